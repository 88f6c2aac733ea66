//! What is no finding of a network ACL: late replies and the like, other rejects, requests without an answer.

use super::super::phrase::{counted, endpoint};
use super::super::view::{Finding, NoReplyGroup, OtherReject};
use super::super::wording::{other_cause, other_kind, silent_total};
use super::markup::{Html, length};
use super::table::{Cell, Filter, Row, Table, figures, words};
use super::{Page, Section};

impl Page<'_> {
    pub(super) fn not_the_acl(&self) -> Option<Section> {
        let findings = &self.numbering.asides;
        if findings.is_empty() {
            return None;
        }
        let columns = [
            words("What is left"),
            figures("Conversations"),
            figures("Reply packets"),
            words("Interfaces"),
            words("When"),
            words("Confidence"),
        ];
        let row = |finding: &&Finding| {
            let detail = finding.detail.as_deref().unwrap_or("the network ACL allows them");
            let key = finding.interface_ids.first().map(|id| self.sort_key(id)).unwrap_or_default();
            Row::from(vec![
                Cell::text(detail),
                Cell::figure(finding.conversations),
                Cell::figure(finding.packets),
                Cell::html(self.all_named(&finding.interface_ids), &key),
                Cell::text(&self.wording.when(finding)),
                Cell::html(super::findings::badge(finding.confidence), finding.confidence),
            ])
        };
        let table = Table {
            id: "not-acl-table",
            caption: "Rejected replies that the network ACL is not to blame for",
            columns: &columns,
            filters: vec![],
            rows: findings.iter().take(self.room.rows).map(row).collect(),
            left_out: length(findings.len().saturating_sub(self.room.rows)),
            left_out_note: "",
        };
        Some(Section {
            id: "not-acl",
            title: "Not the network ACL".to_owned(),
            title_in_short: "Not the ACL",
            content: table.html(),
        })
    }

    pub(super) fn other_rejects(&self) -> Option<Section> {
        let others = &self.report.diagnosis.other_rejects;
        if others.records == 0 {
            return None;
        }
        let mut content = Html::new();
        let about = format!(
            "{}, {}: requests and scans, not return traffic.",
            counted(others.records, "record"),
            counted(others.packets, "packet")
        );
        content.sentence("p", &[("class", "about")], &about);
        if !others.by_cause.is_empty() {
            content.put(&self.others_table(&others.by_cause));
        }
        Some(Section {
            id: "other-rejects",
            title: "Other rejects".to_owned(),
            title_in_short: "Other rejects",
            content,
        })
    }

    fn others_table(&self, others: &[OtherReject]) -> Html {
        let columns = [
            words("Rejected by"),
            words("What they are"),
            words("Network ACL"),
            words("Direction"),
            words("Rule"),
            figures("Records"),
            figures("Packets"),
        ];
        let row = |other: &OtherReject| {
            let by = rejecter(other);
            let what = match (&other.rule, &other.reason) {
                (Some(rule), _) => Cell::html(Html::of("code", &[], rule), rule),
                (None, Some(reason)) => Cell::text(reason),
                (None, None) => Cell::text(other_cause(other)),
            };
            let acl = other.network_acl_id.as_deref();
            let cells = vec![
                Cell::text(REJECTERS[by]),
                Cell::text(kind(other)),
                acl.map_or_else(|| Cell::text("–"), |acl| Cell::html(self.named(acl), &self.sort_key(acl))),
                Cell::text(other.direction.map_or("–", |direction| direction.as_str())),
                what,
                Cell::figure(other.records),
                Cell::figure(other.packets),
            ];
            Row { cells, options: vec![by] }
        };
        Table {
            id: "others-table",
            caption: "Rejects that are no replies",
            columns: &columns,
            filters: vec![Filter {
                name: "by",
                legend: "Rejected by",
                options: REJECTERS.map(str::to_owned).to_vec(),
            }],
            rows: others.iter().take(self.room.rows).map(row).collect(),
            left_out: length(others.len().saturating_sub(self.room.rows)),
            left_out_note: ", with fewer records each",
        }
        .html()
    }

    pub(super) fn no_reply(&self) -> Option<Section> {
        let diagnosis = &self.report.diagnosis;
        let mut content = Html::new();
        match (&diagnosis.no_reply, &diagnosis.no_reply_unknown) {
            (Some(silent), _) if !silent.groups.is_empty() => {
                let about = format!("{}. They are not among the rejected replies.", silent_total(silent));
                content.sentence("p", &[("class", "about")], &about);
                let left_out =
                    silent.groups_left_out + length(silent.groups.len().saturating_sub(self.room.rows));
                content.put(&self.silent(&silent.groups, left_out));
                content.put(&not_counted(silent));
            }
            (None, Some(unknown)) => {
                content.sentence("p", &[("class", "about")], &super::capital(unknown));
            }
            _ => return None,
        }
        Some(Section {
            id: "no-reply",
            title: "Requests without a reply".to_owned(),
            title_in_short: "Without a reply",
            content,
        })
    }

    fn silent(&self, groups: &[NoReplyGroup], left_out: u64) -> Html {
        let columns = [
            words("From"),
            words("To"),
            figures("Conversations"),
            figures("Packets"),
            words("When"),
            words("What is left"),
        ];
        let row = |group: &NoReplyGroup| {
            let to = endpoint(&group.dstaddr, group.service.port, group.service.protocol);
            Row::from(vec![
                Cell::html(self.named(&group.interface_id), &self.sort_key(&group.interface_id)),
                Cell::html(Html::of("code", &[], &to), &to),
                Cell::figure(group.conversations),
                Cell::figure(group.packets),
                Cell::text(&self.wording.calendar.span(group.first_seen, group.last_seen)),
                Cell::text(&group.detail),
            ])
        };
        Table {
            id: "no-reply-table",
            caption: "Requests that went out and got no answer",
            columns: &columns,
            filters: vec![],
            rows: groups.iter().take(self.room.rows).map(row).collect(),
            left_out,
            left_out_note: ", with fewer conversations each",
        }
        .html()
    }
}

/// Further requests of which nothing is said above.
fn not_counted(silent: &super::super::view::NoReply) -> Html {
    let reasons = [
        (silent.not_known_yet, "so late that an answer may be in a record still to come"),
        (silent.records_lost, "around which AWS lost records (SKIPDATA)"),
        (silent.direction_unknown, "of which it is unknown whether they went out"),
        (silent.not_kept, "that memory had no room for"),
    ];
    let mut html = Html::new();
    for (count, reason) in reasons.into_iter().filter(|(count, _)| *count > 0) {
        html.sentence(
            "p",
            &[("class", "more")],
            &format!("Not counted: {} {reason}.", counted(count, "request")),
        );
    }
    html
}

const REJECTERS: [&str; 4] = ["network ACL", "security group", "VPC-wide control", "undetermined"];

/// Which of [`REJECTERS`].
fn rejecter(other: &OtherReject) -> usize {
    match other.cause {
        "nacl_rule" | "nacl_default" => 0,
        "not_nacl" => 1,
        "vpc_block_public_access" | "encryption_controls" => 2,
        _ => 3,
    }
}

fn kind(other: &OtherReject) -> &'static str {
    match (other.kind, other_kind(other)) {
        ("unsolicited", "") => "unsolicited",
        ("unpaired", "") => "neither request nor reply for certain",
        (_, said) => said,
    }
}
