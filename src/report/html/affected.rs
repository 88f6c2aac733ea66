//! Who is affected: interfaces, pairs of requester and service, groups.

use super::super::phrase::{counted, service};
use super::super::view::{AffectedInterface, Group, Service, Talker};
use super::markup::{Html, length};
use super::table::{Cell, Row, Table, figures, unsorted, words};
use super::{Page, Section};

/// Links to findings in one cell.
const LINKS: usize = 8;

impl Page<'_> {
    pub(super) fn interfaces(&self) -> Option<Section> {
        let interfaces = &self.report.interfaces;
        if interfaces.is_empty() {
            return None;
        }
        let columns = [
            words("Interface"),
            words("Subnet"),
            words("VPC"),
            words("Account"),
            figures("Conversations"),
            figures("Packets"),
            figures("Bytes"),
            unsorted("Findings"),
        ];
        let id = |id: Option<&str>| {
            id.map_or_else(|| Cell::text("–"), |id| Cell::html(self.named(id), &self.sort_key(id)))
        };
        let row = |interface: &AffectedInterface| {
            Row::from(vec![
                id(Some(&interface.interface_id)),
                id(interface.subnet_id.as_deref()),
                id(interface.vpc_id.as_deref()),
                id(interface.account_id.as_deref()),
                Cell::figure(interface.conversations),
                Cell::figure(interface.packets),
                Cell::figure(interface.bytes),
                Cell::html(self.numbering.links(&interface.finding_ids, LINKS), ""),
            ])
        };
        let table = Table {
            id: "interfaces-table",
            caption: "Interfaces at which replies were rejected",
            columns: &columns,
            filters: vec![],
            rows: interfaces.iter().take(self.room.rows).map(row).collect(),
            left_out: length(interfaces.len().saturating_sub(self.room.rows)),
            left_out_note: ", with fewer conversations each",
        };
        Some(Section {
            id: "interfaces",
            title: "Affected interfaces".to_owned(),
            title_in_short: "Interfaces",
            content: table.html(),
        })
    }

    pub(super) fn talkers(&self) -> Option<Section> {
        let talkers = &self.report.talkers;
        if talkers.rows.is_empty() {
            return None;
        }
        let columns = [
            words("Requester"),
            words("Responder"),
            words("Service"),
            figures("Conversations"),
            figures("Packets"),
            figures("Bytes"),
        ];
        let row = |talker: &Talker| {
            let Talker { protocol, port, conversations, .. } = *talker;
            let service = service(&Service { protocol, port, conversations });
            let code = |text: &str| Cell::html(Html::of("code", &[], text), text);
            let address = |text: &str| Cell::html(self.named(text), text);
            Row::from(vec![
                address(&talker.requester),
                address(&talker.responder),
                code(&service),
                Cell::figure(talker.conversations),
                Cell::figure(talker.packets),
                Cell::figure(talker.bytes),
            ])
        };
        let hidden: u64 = talkers.rows.iter().skip(self.room.rows).map(|talker| talker.conversations).sum();
        let note = format!(
            " with {} together",
            counted(hidden.saturating_add(talkers.left_out_conversations), "conversation")
        );
        let table = Table {
            id: "talkers-table",
            caption: "Requesters and the services whose replies did not reach them",
            columns: &columns,
            filters: vec![],
            rows: talkers.rows.iter().take(self.room.rows).map(row).collect(),
            left_out: talkers.left_out + length(talkers.rows.len().saturating_sub(self.room.rows)),
            left_out_note: &note,
        };
        Some(Section {
            id: "talkers",
            title: "Who got no answer from whom".to_owned(),
            title_in_short: "Talkers",
            content: table.html(),
        })
    }

    pub(super) fn groups(&self) -> Option<Section> {
        let groups = self.report.groups.as_ref()?;
        let columns = [
            words("Group"),
            figures("Conversations"),
            figures("Packets"),
            figures("Bytes"),
            figures("Interfaces"),
            unsorted("Findings"),
        ];
        let row = |group: &Group| {
            let ids: Vec<String> = group.findings.iter().map(|part| part.finding_id.clone()).collect();
            let cell = match group.group.as_deref() {
                Some(id) if self.wording.name(id).is_some() => Cell::html(self.named(id), &self.sort_key(id)),
                Some(value) => Cell::text(value),
                None => Cell::html(Html::of("span", &[("class", "quiet")], "not known"), "\u{10ffff}"),
            };
            Row::from(vec![
                cell,
                Cell::figure(group.conversations),
                Cell::figure(group.packets),
                Cell::figure(group.bytes),
                Cell::figure(group.interfaces),
                Cell::html(self.numbering.links(&ids, LINKS), ""),
            ])
        };
        let table = Table {
            id: "groups-table",
            caption: "Rejected replies of each group",
            columns: &columns,
            filters: vec![],
            rows: groups.rows.iter().take(self.room.rows).map(row).collect(),
            left_out: length(groups.rows.len().saturating_sub(self.room.rows)),
            left_out_note: ", with fewer conversations each",
        };
        Some(Section {
            id: "groups",
            title: format!("By {}", groups.by),
            title_in_short: "Groups",
            content: table.html(),
        })
    }
}
