//! Turns what the stages found into the view that the reports print: names, orders, examples, warnings.

mod caveats;
mod findings;
mod fix;
mod rows;
mod silent;
mod survey;

use std::collections::BTreeMap;

use super::live_network::Network;
use super::sources::{Found, Window};
use crate::attribute::{Finding, Fixes, Judged, NoReply, OtherKey, Places, Total};
use crate::config::Diagnose;
use crate::correlate::{Conversation, RejectedRecord, Span};
use crate::nacl::NetworkAclEntry;
use crate::net::TcpFlags;
use crate::network::history::History;
use crate::pipeline::Reading;
use crate::report::view;

pub(super) use caveats::NO_ACCEPT;
pub(super) use fix::fix_survey;
pub(super) use survey::{Evidence, survey};

/// Everything a view is made of.
pub(super) struct Material<'a> {
    pub(super) config: &'a Diagnose,
    pub(super) window: Window,
    pub(super) network: &'a Network,
    pub(super) found: &'a Found,
    pub(super) reading: &'a Reading,
    pub(super) places: &'a Places<'a>,
    pub(super) conversations: Vec<Conversation>,
    pub(super) judged: Vec<Judged<'a>>,
    pub(super) findings: Vec<Finding<'a>>,
    pub(super) fixes: Fixes<'a>,
    /// What fixes are proven by, where they are made later on.
    pub(super) evidence: Option<Evidence>,
    pub(super) no_reply: NoReply<'a>,
    pub(super) others: Vec<(OtherKey<'a>, Option<&'a NetworkAclEntry>, Total)>,
}

impl Material<'_> {
    pub(super) fn diagnosis(&self) -> view::Diagnosis {
        let input = self.input();
        let findings: Vec<_> =
            self.findings.iter().enumerate().map(|(at, finding)| self.finding(at, finding)).collect();
        let other_rejects = self.other_rejects();
        let no_reply = self.no_reply();
        let counts = self.network.config().counts();
        let span = self.reading.correlated.span;
        view::Diagnosis {
            schema_version: 1,
            generator: view::Generator::default(),
            window: view::Window {
                since: self.window.since,
                until: self.window.until,
                first_record: span.map(|span| span.start),
                last_record: span.map(|span| span.end),
            },
            network_config: view::NetworkConfigSummary {
                origin: self.network.origin(),
                captured_at: self.network.config().captured_at(),
                history: self.network.history().map_or("none", History::sources),
                network_acls: counts.network_acls,
                interfaces: counts.interfaces,
            },
            summary: view::Summary {
                rejected_conversations: self.rejected_conversations(),
                rejected_packets: findings.iter().map(|finding| finding.packets).fold(0, u64::saturating_add),
                findings: findings.len(),
                complete: input.incomplete.is_empty(),
            },
            names: self.names(&findings, &other_rejects, no_reply.as_ref().ok()),
            no_reply_unknown: no_reply.as_ref().err().map(|reason| (*reason).to_owned()),
            no_reply: no_reply.ok(),
            rows: if self.config.keep.rows { self.rows() } else { Vec::new() },
            warnings: self.warnings(),
            notes: self.notes(),
            input,
            findings,
            other_rejects,
        }
    }

    /// What was read and why that was enough, and what was not looked for.
    fn notes(&self) -> Vec<String> {
        let mut notes = self.found.notes.clone();
        let is_gateway = |id: &String| self.network.config().interface_is_nat_gateway(id);
        let behind = self.findings.iter().flat_map(|finding| &finding.interface_ids).any(is_gateway);
        if behind && self.network.origin() == "live" {
            notes.push(
                "the private clients behind a NAT gateway are looked for when the configuration is known before the \
                 records are read: give the one that `flowcheck snapshot` saves with --snapshot"
                    .to_owned(),
            );
        }
        notes.extend(self.fixes.held_back().iter().map(|at| fix::held_back(&self.findings[*at].id)));
        let narrow = "narrow it down with --since, --interface or --ip";
        if self.reading.correlated.clients_given_up {
            notes.push(format!(
                "clients behind NAT gateways are not named, because there are too many; {narrow}"
            ));
        }
        if self.reading.correlated.onsets.given_up {
            notes.push(format!(
                "when replies were accepted last is not said, because too many kinds of them were rejected; {narrow}"
            ));
        }
        notes.extend(self.found.events.iter().cloned());
        notes
    }

    /// A conversation with two causes is one conversation.
    fn rejected_conversations(&self) -> u64 {
        let mut indexes: Vec<_> = self.judged.iter().map(|one| one.index).collect();
        indexes.sort_unstable();
        indexes.dedup();
        indexes.len() as u64
    }

    fn input(&self) -> view::InputSummary {
        let Reading { correlated, .. } = self.reading;
        let counts = &correlated.counts;
        let mut input = view::InputSummary {
            objects: self.reading.objects,
            bytes_read: self.reading.bytes_read,
            bytes_decoded: self.reading.bytes_decoded,
            lines: 0,
            records: correlated.accepted + correlated.rejected,
            accepted: correlated.accepted,
            rejected: correlated.rejected,
            no_data: correlated.no_data,
            skip_data: correlated.skip_data_records,
            malformed: counts.malformed,
            filtered: counts.filtered,
            headers: counts.headers,
            transit_gateway: counts.transit_gateway,
            duplicates: correlated.duplicates,
            interfaces: correlated.interfaces.len(),
            accepted_unread: self.found.accepted_unread,
            rejects_unrecorded: self.found.rejects_unrecorded,
            losses_unread: self.found.losses_unread,
            requests: self.found.requests,
            incomplete: self.incomplete(),
            malformed_examples: Vec::new(),
        };
        input.lines = input.headers
            + input.records
            + input.no_data
            + input.skip_data
            + input.malformed
            + input.filtered
            + input.transit_gateway
            + input.duplicates;
        input.malformed_examples = self
            .reading
            .malformed
            .iter()
            .map(|(source, line)| view::MalformedExample {
                source: source.clone(),
                line: line.line,
                field: line.malformed.field.to_owned(),
                value: line.malformed.value.clone(),
                error: line.malformed.problem.to_string(),
            })
            .collect();
        input
    }

    fn names(
        &self,
        findings: &[view::Finding],
        others: &view::OtherRejects,
        no_reply: Option<&view::NoReply>,
    ) -> BTreeMap<String, String> {
        let ids = findings.iter().flat_map(|finding| {
            let lists = finding.interface_ids.iter().chain(&finding.subnet_ids);
            let candidates = finding.candidates.iter().map(|candidate| &candidate.network_acl_id);
            let clients = finding.affected_clients.iter().filter_map(|client| client.interface_id.as_ref());
            lists.chain(&finding.network_acl_id).chain(&finding.vpc_id).chain(candidates).chain(clients)
        });
        let ids = ids.chain(others.by_cause.iter().filter_map(|row| row.network_acl_id.as_ref()));
        let silent = no_reply.into_iter().flat_map(|silent| &silent.groups).flat_map(|group| {
            let followed = group.followed.iter();
            let followed = followed.flat_map(|one| one.network_acl_id.iter().chain([&one.interface_id]));
            followed.chain([&group.interface_id])
        });
        let ids = ids.chain(silent);
        ids.filter_map(|id| Some((id.clone(), self.network.config().label(id)?))).collect()
    }
}

/// Rejected records, summed.
struct Rejected {
    span: Option<Span>,
    packets: Option<u64>,
    bytes: Option<u64>,
    tcp_flags: Option<TcpFlags>,
}

impl Rejected {
    fn of(records: &[RejectedRecord]) -> Self {
        Self {
            span: records.iter().map(|record| record.span).reduce(Span::union),
            packets: records.iter().filter_map(|record| record.packets).reduce(u64::saturating_add),
            bytes: records.iter().filter_map(|record| record.bytes).reduce(u64::saturating_add),
            tcp_flags: records
                .iter()
                .filter_map(|record| record.tcp_flags)
                .reduce(|a, b| TcpFlags(a.0 | b.0)),
        }
    }
}
