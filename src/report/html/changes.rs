//! The calls that changed network ACLs in this time.

use super::super::view::NaclChange;
use super::chart;
use super::markup::{Html, length};
use super::table::{Cell, Row, Table, figures, unsorted, words};
use super::{LISTED, Page, Section};

impl Page<'_> {
    /// Nothing where no history was given; that there was no change, where there was none.
    pub(super) fn changes(&self) -> Option<Section> {
        let changes = &self.report.nacl_changes;
        let known = self.report.diagnosis.network_config.history != "none";
        if changes.is_empty() && !known {
            return None;
        }
        let mut content = Html::new();
        if changes.is_empty() {
            content.raw("<p>The history given holds no change of a network ACL in this time.</p>");
        } else {
            content.put(&self.changes_table(changes));
        }
        Some(Section {
            id: "changes",
            title: "Changes of network ACLs".to_owned(),
            title_in_short: "Changes",
            content,
        })
    }

    fn changes_table(&self, changes: &[NaclChange]) -> Html {
        let columns = [
            unsorted("Mark"),
            words("When"),
            words("Who"),
            words("From"),
            words("Call"),
            words("Network ACL"),
            figures("Rule"),
            unsorted("Began"),
            unsorted("Ended"),
        ];
        let slots = self.slots();
        let marks = slots.as_ref().map(|slots| self.marks(slots)).unwrap_or_default();
        // Those that explain a finding are not left out.
        let (matter, rest): (Vec<_>, Vec<_>) =
            changes.iter().partition(|change| !change.began.is_empty() || !change.ended.is_empty());
        let mut shown: Vec<&NaclChange> = matter.into_iter().chain(rest).take(self.room.rows).collect();
        shown.sort_by_key(|change| change.time);
        let row = |change: &&NaclChange| {
            let letter = slots.as_ref().and_then(|slots| chart::letter(slots, &marks, change.time));
            let mut acl = Html::new();
            if let Some(id) = &change.network_acl_id {
                acl.put(&self.named(id));
            }
            if let Some(direction) = change.direction {
                acl.raw(" ").text(direction.as_str());
            }
            let key = change.network_acl_id.as_deref().map(|id| self.sort_key(id)).unwrap_or_default();
            let mut rule = Html::new();
            rule.text(&change.rule_number.map(|number| number.to_string()).unwrap_or_default());
            let source = change.source_ip.as_deref().unwrap_or_default();
            Row::from(vec![
                Cell::text(&letter.map(String::from).unwrap_or_default()),
                Cell::moment(&change.time.strftime("%F %T")),
                Cell::text(change.actor.as_deref().unwrap_or("unknown")),
                Cell::html(Html::of("code", &[], source), source),
                Cell::html(Html::of("code", &[], &change.event), &change.event),
                Cell::html(acl, &key),
                Cell::ranked(rule, change.rule_number.map_or(0, u64::from)),
                Cell::html(self.numbering.links(&change.began, LISTED), ""),
                Cell::html(self.numbering.links(&change.ended, LISTED), ""),
            ])
        };
        Table {
            id: "changes-table",
            caption: "Calls that changed network ACLs, and the findings that began or ended with them",
            columns: &columns,
            filters: vec![],
            rows: shown.iter().map(row).collect(),
            left_out: length(changes.len().saturating_sub(self.room.rows)),
            left_out_note: ", with which no finding shown began or ended",
        }
        .html()
    }
}
