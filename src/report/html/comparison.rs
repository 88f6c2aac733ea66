//! What is different from an earlier time.

use super::super::view::ComparedFinding;
use super::findings::{badge, cause};
use super::glance::compared_in_short;
use super::markup::{Html, length, number};
use super::table::{Cell, Filter, Row, Table, figures, words};
use super::{Page, Section, capital};

const STATUSES: [&str; 5] = ["new", "worse", "unchanged", "better", "resolved"];

impl Page<'_> {
    pub(super) fn comparison(&self) -> Option<Section> {
        let comparison = self.report.comparison.as_ref()?;
        let mut content = Html::new();
        let total = &comparison.total;
        let mut about = format!(
            "{} {} conversations without a reply, {} before; {} rejected packets, {} before.",
            capital(&compared_in_short(comparison)),
            number(total.conversations),
            number(total.conversations_before),
            number(total.packets),
            number(total.packets_before)
        );
        let ends = [comparison.start, comparison.end].map(|end| end.map(|end| end.strftime("%F %H:%M")));
        if let [Some(start), Some(end)] = ends {
            about = format!("{about} The earlier time is {start} – {end} UTC.");
        }
        if let Some(file) = &comparison.file {
            about = format!("{about} Baseline: {file}.");
        }
        content.sentence("p", &[("class", "about")], &about);
        if !comparison.complete {
            content.raw("<p class=\"alert\" role=\"note\"><strong>The earlier input was not read whole:</strong> what is called new or worse may have been there before.</p>");
        }
        if !comparison.findings.is_empty() {
            content.put(&self.compared(&comparison.findings));
        }
        Some(Section {
            id: "compared",
            title: "Compared with the time before".to_owned(),
            title_in_short: "Compared",
            content,
        })
    }

    fn compared(&self, findings: &[ComparedFinding]) -> Html {
        let columns = [
            words("Status"),
            figures("#"),
            words("Network ACL"),
            words("Rule"),
            figures("Conversations"),
            figures("before"),
            figures("Packets"),
            figures("packets before"),
        ];
        let row = |finding: &ComparedFinding| {
            let acl = finding.network_acl_id.as_deref();
            let rule = finding.rule.as_deref().unwrap_or_else(|| cause(&finding.cause));
            let mut shown = Html::of("code", &[], rule);
            if let Some(direction) = finding.direction {
                shown.raw(" ").text(direction.as_str());
            }
            let place = self.numbering.number(&finding.finding_id);
            let link = match place {
                Some(_) => self.numbering.link(&finding.finding_id),
                None => Html::of("span", &[("class", "quiet")], "–"),
            };
            let figures = finding.figures;
            let cells = vec![
                Cell::html(badge(finding.status), finding.status),
                Cell::ranked(link, u64::MAX - place.map_or(u64::from(u32::MAX), length)),
                acl.map_or_else(
                    || Cell::text("none"),
                    |acl| Cell::html(self.named(acl), &self.sort_key(acl)),
                ),
                Cell::html(shown, rule),
                Cell::figure(figures.conversations),
                Cell::figure(figures.conversations_before),
                Cell::figure(figures.packets),
                Cell::figure(figures.packets_before),
            ];
            let option = STATUSES.iter().position(|status| *status == finding.status);
            Row { cells, options: vec![option.unwrap_or(usize::MAX)] }
        };
        let options = STATUSES.map(str::to_owned).to_vec();
        Table {
            id: "compared-table",
            caption: "Findings of both times",
            columns: &columns,
            filters: vec![Filter { name: "became", legend: "Status", options }],
            rows: findings.iter().take(self.room.rows).map(row).collect(),
            left_out: length(findings.len().saturating_sub(self.room.rows)),
            left_out_note: "",
        }
        .html()
    }
}
