//! What a report has at a terminal beside the diagnosis: what is different, days, groups, talkers, gaps.

use std::io::{self, Write};

use super::super::compared;
use super::super::phrase::{counted, grouped};
use super::super::view::Report;
use super::super::wording::Wording;
use super::page::{Flow, Page, Text, Tone};
use super::{Sheet, TextStyle};

/// Columns before a finding that is compared.
const STATUS: usize = 13;

/// Rows of a list before `+n more`.
const ROWS: usize = 10;

/// Writes a report for a person at a terminal.
pub fn write_report_text(report: &Report, style: &TextStyle, out: &mut dyn Write) -> io::Result<()> {
    let mut sheet = Sheet {
        wording: Wording::new(&report.diagnosis),
        style: *style,
        page: Page::new(out, style.color, style.width),
    };
    sheet.diagnosis(|sheet| {
        sheet.comparison(report)?;
        sheet.days(report)?;
        sheet.groups(report)
    })?;
    sheet.talkers(report)?;
    sheet.coverage(report)
}

impl Sheet<'_> {
    fn comparison(&mut self, report: &Report) -> io::Result<()> {
        let Some(comparison) = &report.comparison else { return Ok(()) };
        self.page.gap()?;
        let line = Flow::new(Text::default(), 2)
            .then("", Text::new(Tone::Strong, &compared::statuses(comparison)))
            .words(Tone::Faint, &compared::compared_with(comparison));
        self.page.flow(&line)?;
        let shown = self.shown(comparison.findings.len());
        for one in comparison.findings.iter().take(shown) {
            let tone = match one.status {
                "new" | "worse" => Tone::Alarm,
                "better" | "resolved" => Tone::Fine,
                _ => Tone::Plain,
            };
            let status = Text::new(tone, &format!("  {}", one.status)).padded(STATUS);
            let line = Flow::new(status, STATUS)
                .then("", Text::plain(&one.finding_id))
                .then("  ", Text::plain(&compared::figures(one)));
            self.page.flow(&line)?;
        }
        self.rest(comparison.findings.len() - shown)
    }

    fn days(&mut self, report: &Report) -> io::Result<()> {
        let days = compared::days(report);
        if days.is_empty() {
            return Ok(());
        }
        self.page.gap()?;
        self.page.flow(&Flow::new(Text::new(Tone::Strong, "By day (UTC)"), 2))?;
        for (day, conversations, packets) in days {
            let line = Flow::new(Text::plain(&format!("  {}", day.strftime("%a %F"))).padded(18), 18)
                .then("", Text::plain(&counted(conversations, "conversation")))
                .then(" · ", Text::plain(&counted(packets, "packet")));
            self.page.flow(&line)?;
        }
        Ok(())
    }

    fn groups(&mut self, report: &Report) -> io::Result<()> {
        let Some(groups) = &report.groups else { return Ok(()) };
        self.page.gap()?;
        self.page.flow(&Flow::new(Text::new(Tone::Strong, &format!("By {}", groups.by)), 2))?;
        let shown = self.shown(groups.rows.len());
        for row in groups.rows.iter().take(shown) {
            let group = row.group.as_deref().unwrap_or("not known");
            let line = Flow::new(Text::blank(2), 4)
                .then("", self.named(Tone::Plain, group))
                .then("  ", Text::plain(&counted(row.conversations, "conversation")))
                .then(" · ", Text::plain(&counted(row.packets, "packet")))
                .then(" · ", Text::plain(&counted(row.interfaces, "interface")));
            self.page.flow(&line)?;
        }
        self.rest(groups.rows.len() - shown)
    }

    fn talkers(&mut self, report: &Report) -> io::Result<()> {
        let talkers = &report.talkers;
        if talkers.rows.is_empty() {
            return Ok(());
        }
        self.page.gap()?;
        self.page.flow(&Flow::new(Text::new(Tone::Strong, "Who got no answer from whom"), 2))?;
        let shown = self.shown(talkers.rows.len());
        for row in talkers.rows.iter().take(shown) {
            let (requester, service) = compared::talker(row);
            let line = Flow::new(Text::blank(2), 4)
                .then("", self.named(Tone::Plain, &requester))
                .then(" ← ", Text::plain(&service))
                .then("  ", Text::plain(&counted(row.conversations, "conversation")))
                .then(" · ", Text::plain(&counted(row.packets, "packet")));
            self.page.flow(&line)?;
        }
        self.rest(talkers.rows.len() - shown + usize::try_from(talkers.left_out).unwrap_or(usize::MAX))
    }

    fn coverage(&mut self, report: &Report) -> io::Result<()> {
        let coverage = &report.coverage;
        self.page.gap()?;
        let line = Flow::new(Text::default(), 2).then("", Text::new(Tone::Strong, "Coverage"));
        self.page.flow(&line.words(Tone::Plain, &compared::coverage(coverage)))?;
        let with_gaps: Vec<_> = coverage.interfaces.iter().filter(|one| one.gap_seconds > 0).collect();
        let shown = self.shown(with_gaps.len());
        for one in with_gaps.iter().take(shown) {
            let mut line = Flow::new(Text::blank(2), 4).then("", self.named(Tone::Plain, &one.interface_id));
            for (at, gap) in one.gaps.iter().take(3).enumerate() {
                line = line.then(if at == 0 { "  " } else { " · " }, Text::plain(&compared::gap(gap)));
            }
            let more = one.gaps.len().saturating_sub(3) as u64 + one.gaps_left_out;
            if more > 0 {
                line = line.then(" · ", Text::new(Tone::Faint, &format!("+{} more", grouped(more))));
            }
            self.page.flow(&line)?;
        }
        self.rest(with_gaps.len() - shown)
    }

    /// How many of so many rows are shown.
    fn shown(&self, rows: usize) -> usize {
        if self.style.verbose || rows <= ROWS + 1 { rows } else { ROWS }
    }

    fn rest(&mut self, hidden: usize) -> io::Result<()> {
        if hidden == 0 {
            return Ok(());
        }
        self.page.flow(&Flow::new(Text::blank(2), 2).then("", Self::more(hidden)))
    }
}
