//! What a report has in Markdown beside the diagnosis: what is different, days, groups, talkers, gaps.

use std::io::{self, Write};

use super::super::compared;
use super::super::escape::{markdown, markdown_code};
use super::super::phrase::{counted, grouped};
use super::super::view::{ComparedFinding, Report};
use super::{Document, LISTED, listed};
use crate::report::wording::Wording;

/// Rows of a table before `n more`.
const ROWS: usize = 20;

/// Writes a report as Markdown, with at most `top` examples per finding (0 for all there are).
pub fn write_report_markdown(report: &Report, top: usize, out: &mut dyn Write) -> io::Result<()> {
    let wording = Wording::new(&report.diagnosis);
    let (findings, asides) = wording.findings();
    let mut document = Document { wording, top, out };
    document.headline(&findings, &asides)?;
    document.comparison(report)?;
    document.days(report)?;
    document.groups(report)?;
    for (at, finding) in findings.iter().enumerate() {
        document.finding(at + 1, finding)?;
    }
    document.not_the_acl(&asides)?;
    document.talkers(report)?;
    document.no_reply()?;
    document.other_rejects()?;
    document.input()?;
    document.coverage(report)?;
    document.notes()?;
    document.warnings()
}

impl Document<'_> {
    fn comparison(&mut self, report: &Report) -> io::Result<()> {
        let Some(comparison) = &report.comparison else { return Ok(()) };
        writeln!(self.out, "\n## What is different\n")?;
        writeln!(
            self.out,
            "{}: **{}**.",
            capital(&markdown(&compared::compared_with(comparison))),
            compared::statuses(comparison)
        )?;
        if comparison.findings.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n| | finding | conversations | before | packets | before |")?;
        writeln!(self.out, "|---|---|--:|--:|--:|--:|")?;
        for one in comparison.findings.iter().take(ROWS) {
            let figures = &one.figures;
            writeln!(
                self.out,
                "| {} | {} | {} | {} | {} | {} |",
                one.status,
                self.compared(one),
                grouped(figures.conversations),
                grouped(figures.conversations_before),
                grouped(figures.packets),
                grouped(figures.packets_before)
            )?;
        }
        let total = &comparison.total;
        writeln!(
            self.out,
            "| | **all** | {} | {} | {} | {} |",
            grouped(total.conversations),
            grouped(total.conversations_before),
            grouped(total.packets),
            grouped(total.packets_before)
        )?;
        self.more(comparison.findings.len())
    }

    /// `` `acl-…` (name) ingress `* ALL ALL 0.0.0.0/0 DENY` ``, or the finding's id.
    fn compared(&self, one: &ComparedFinding) -> String {
        let (Some(acl), Some(rule)) = (&one.network_acl_id, &one.rule) else {
            return markdown_code(&one.finding_id);
        };
        let direction = one.direction.map_or("", |direction| direction.as_str());
        format!("{} {direction} {}", self.named(acl), markdown_code(rule))
    }

    fn more(&mut self, rows: usize) -> io::Result<()> {
        match rows.saturating_sub(ROWS) {
            0 => Ok(()),
            more => writeln!(self.out, "\n{} more in the JSON output.", grouped(more as u64)),
        }
    }

    fn days(&mut self, report: &Report) -> io::Result<()> {
        let days = compared::days(report);
        if days.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n## By day\n\n| day (UTC) | conversations | rejected packets |\n|---|--:|--:|")?;
        for (day, conversations, packets) in days {
            writeln!(
                self.out,
                "| {} | {} | {} |",
                day.strftime("%a %F"),
                grouped(conversations),
                grouped(packets)
            )?;
        }
        Ok(())
    }

    fn groups(&mut self, report: &Report) -> io::Result<()> {
        let Some(groups) = &report.groups else { return Ok(()) };
        writeln!(self.out, "\n## By {}\n", markdown(&groups.by))?;
        writeln!(self.out, "| {} | conversations | packets | interfaces | findings |", markdown(&groups.by))?;
        writeln!(self.out, "|---|--:|--:|--:|---|")?;
        for row in groups.rows.iter().take(ROWS) {
            let group = row.group.as_ref().map_or_else(|| "not known".to_owned(), |group| self.named(group));
            let findings = row.findings.iter();
            let findings = findings
                .map(|one| format!("{} {}", markdown_code(&one.finding_id), grouped(one.conversations)));
            writeln!(
                self.out,
                "| {group} | {} | {} | {} | {} |",
                grouped(row.conversations),
                grouped(row.packets),
                grouped(row.interfaces),
                listed(findings.collect())
            )?;
        }
        self.more(groups.rows.len())
    }

    fn talkers(&mut self, report: &Report) -> io::Result<()> {
        let talkers = &report.talkers;
        if talkers.rows.is_empty() {
            return Ok(());
        }
        writeln!(self.out, "\n## Who got no answer from whom\n")?;
        writeln!(self.out, "| requester | service | conversations | packets |\n|---|---|--:|--:|")?;
        for row in talkers.rows.iter().take(LISTED) {
            let (requester, service) = compared::talker(row);
            writeln!(
                self.out,
                "| {} | {} | {} | {} |",
                self.named(&requester),
                markdown_code(&service),
                grouped(row.conversations),
                grouped(row.packets)
            )?;
        }
        let more = talkers.rows.len().saturating_sub(LISTED) as u64 + talkers.left_out;
        if more > 0 {
            writeln!(self.out, "\n{} more.", counted(more, "pair"))?;
        }
        Ok(())
    }

    fn coverage(&mut self, report: &Report) -> io::Result<()> {
        let coverage = &report.coverage;
        writeln!(self.out, "- coverage: {}", markdown(&compared::coverage(coverage)))?;
        for one in coverage.interfaces.iter().filter(|one| one.gap_seconds > 0).take(LISTED) {
            let gaps = one.gaps.iter().map(compared::gap).collect();
            writeln!(self.out, "- no records of {}: {}", self.named(&one.interface_id), listed(gaps))?;
        }
        Ok(())
    }
}

/// With a capital letter.
fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(rest).collect()
}
