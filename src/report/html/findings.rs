//! The findings in a table, with whatever sorts and filters them.

use super::super::view::Finding;
use super::super::wording::{effect, subject};
use super::markup::{Html, length};
use super::table::{Cell, Filter, Row, Table, figures, words};
use super::{Page, Section};

/// Network ACLs that can be chosen one by one.
const ACLS: usize = 8;

impl Page<'_> {
    /// The table, then the sections of the first `shown` findings.
    pub(super) fn findings(&self, cards: &Html, shown: usize) -> Option<Section> {
        let findings = &self.numbering.findings;
        if findings.is_empty() {
            return None;
        }
        let mut content = Html::new();
        if findings.len() > 1 {
            content.put(&self.findings_table());
        }
        content.put(cards);
        if findings.len() > shown {
            let hidden = length(findings.len() - shown);
            let text = format!(
                "{} more in the table above only: there is no room here for their rules and fixes, which --format json holds.",
                super::super::phrase::counted(hidden, "finding")
            );
            content.sentence("p", &[("class", "more")], &text);
        }
        Some(Section {
            id: "findings",
            title: "Findings, most conversations first".to_owned(),
            title_in_short: "Findings",
            content,
        })
    }

    fn findings_table(&self) -> Html {
        let (acls, causes) = (self.acls(), self.causes());
        let statuses = ["new", "worse", "unchanged", "better"];
        let compared = self.report.comparison.is_some();
        let mut filters = vec![
            Filter {
                name: "cause",
                legend: "Cause",
                options: causes.iter().map(|c| cause(c).to_owned()).collect(),
            },
            Filter {
                name: "acl",
                legend: "Network ACL",
                options: acls.iter().map(|acl| self.sort_key(acl)).collect(),
            },
        ];
        if compared {
            let options = statuses.map(str::to_owned).to_vec();
            filters.push(Filter { name: "status", legend: "Compared", options });
        }
        let mut columns = vec![
            figures("#"),
            words("Network ACL"),
            words("Rule, and what it does"),
            figures("Conversations"),
            figures("Packets"),
            words("First and last seen"),
            words("Confidence"),
        ];
        if compared {
            columns.push(words("Compared"));
        }
        let row = |(at, finding): (usize, &&Finding)| {
            let option = |found: Option<usize>| found.unwrap_or(usize::MAX);
            let acl = finding.network_acl_id.as_deref();
            let status = self.status(&finding.id).unwrap_or_default();
            let mut options = vec![
                option(causes.iter().position(|cause| *cause == finding.cause)),
                option(acl.and_then(|acl| acls.iter().position(|known| *known == acl))),
            ];
            let mut cells = self.finding_cells(at + 1, finding);
            if compared {
                options.push(option(statuses.iter().position(|known| *known == status)));
                cells.push(Cell::html(badge(status), status));
            }
            Row { cells, options }
        };
        Table {
            id: "findings-table",
            caption: "All findings",
            columns: &columns,
            filters,
            rows: self.numbering.findings.iter().enumerate().take(2 * self.room.rows).map(row).collect(),
            left_out: length(self.numbering.findings.len().saturating_sub(2 * self.room.rows)),
            left_out_note: ", with fewer conversations each",
        }
        .html()
    }

    fn finding_cells(&self, number: usize, finding: &Finding) -> Vec<Cell> {
        let calendar = self.wording.calendar;
        let acl = finding.network_acl_id.as_deref();
        let rule = subject(finding);
        let is_rule = matches!(finding.cause, "nacl_default" | "nacl_rule");
        let mut shown = Html::of(if is_rule { "code" } else { "span" }, &[], &rule.rule);
        for more in rule.direction.iter().chain(&rule.note) {
            shown.raw(" ").text(more);
        }
        shown.element("div", &[("class", "quiet")], &effect(finding));
        let (first, last) = (calendar.moment(finding.first_seen), calendar.moment(finding.last_seen));
        let mut seen = Html::of("div", &[("class", "moment")], &first);
        seen.within("div", &[("class", "moment")], |seen| {
            seen.text(&last);
            if finding.ongoing {
                seen.raw(" ").put(&badge("ongoing"));
            }
        });
        vec![
            // In the order of the numbers, not the largest first.
            Cell::ranked(self.numbering.link(&finding.id), u64::MAX - length(number)),
            acl.map_or_else(|| Cell::text("none"), |acl| Cell::html(self.named(acl), &self.sort_key(acl))),
            Cell::html(shown, &rule.rule),
            Cell::figure(finding.conversations),
            Cell::figure(finding.packets),
            Cell::html(seen, &first),
            Cell::html(badge(finding.confidence), finding.confidence),
        ]
    }

    /// Those with the most findings' weight first; findings of others are shown with `all` only.
    fn acls(&self) -> Vec<&str> {
        let mut acls: Vec<&str> = Vec::new();
        for acl in self.numbering.findings.iter().filter_map(|finding| finding.network_acl_id.as_deref()) {
            if !acls.contains(&acl) && acls.len() < ACLS {
                acls.push(acl);
            }
        }
        acls
    }

    fn causes(&self) -> Vec<&'static str> {
        let mut causes: Vec<&str> = self.numbering.findings.iter().map(|finding| finding.cause).collect();
        causes.sort_unstable();
        causes.dedup();
        causes
    }

    /// What became of a finding since the earlier time.
    pub(super) fn status(&self, finding_id: &str) -> Option<&'static str> {
        let findings = &self.report.comparison.as_ref()?.findings;
        findings.iter().find(|finding| finding.finding_id == finding_id).map(|finding| finding.status)
    }
}

/// A word that is to be seen at once.
pub(super) fn badge(word: &'static str) -> Html {
    if word.is_empty() {
        return Html::new();
    }
    Html::of("span", &[("class", &format!("badge {word}"))], word)
}

/// A cause for people.
pub(super) fn cause(cause: &str) -> &'static str {
    match cause {
        "nacl_rule" => "numbered deny",
        "nacl_default" => "default deny",
        "not_nacl" => "not the network ACL",
        "vpc_block_public_access" => "VPC Block Public Access",
        "encryption_controls" => "VPC encryption controls",
        _ => "undetermined",
    }
}
