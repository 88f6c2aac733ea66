//! The sums of a report: hours, interfaces and services, talkers, what fixes are proven by.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Material;
use crate::attribute::{Blamed, Finding, Flows, Judged, Other};
use crate::correlate::{LONGEST_RECORD_SECONDS, Slices, Span};
use crate::nacl::Packet;
use crate::net::{Direction, Timestamp};
use crate::report::view;
use crate::survey::{Cell, Edge, HOUR, OtherFlows, SeenReplies, Sums, SumsKey, Survey, TALKERS_KEPT};

/// Kinds of other rejects that are kept to be held against fixes: scans have no end of them.
const OTHERS_KEPT: usize = 500_000;

/// Changes of network ACLs that a report shows.
const CHANGES_SHOWN: usize = 500;

/// What fixes are proven by.
#[derive(Debug, Default)]
pub(in crate::commands) struct Evidence {
    /// By finding.
    replies: Vec<Vec<SeenReplies>>,
    others: BTreeMap<OtherKey, Flows>,
    others_cut: bool,
}

/// The ACL's id, direction, rule, other end, protocol and destination port.
type OtherKey = (String, Direction, Option<u16>, IpAddr, u8, Option<u16>);

impl Evidence {
    pub(in crate::commands) fn of(blamed: &[Option<Blamed<'_>>]) -> Self {
        let replies = blamed.iter().map(|blamed| blamed.as_ref().map_or_else(Vec::new, seen_replies));
        Self { replies: replies.collect(), ..Self::default() }
    }

    /// Takes note of a reject that is no reply.
    pub(in crate::commands) fn meet(
        &mut self,
        admittable: Option<((&str, Direction), Packet)>,
        other: &Other<'_>,
    ) {
        let Some(((network_acl_id, direction), packet)) = admittable else { return };
        let rule_number = other.rule.map(|rule| rule.rule_number);
        let Packet { remote, protocol, dstport, .. } = packet;
        let key = (network_acl_id.to_owned(), direction, rule_number, remote, protocol.0, dstport);
        if self.others.len() >= OTHERS_KEPT && !self.others.contains_key(&key) {
            self.others_cut = true;
            return;
        }
        self.others.entry(key).or_default().add(Flows { flows: 1, packets: other.packets });
    }
}

fn seen_replies(blamed: &Blamed<'_>) -> Vec<SeenReplies> {
    SeenReplies::sum(blamed.replies.iter().map(|(packet, requester, conversations)| {
        (packet.remote, packet.protocol.0, requester, packet.dstport, conversations)
    }))
}

/// The diagnosis, with the sums that a report needs.
pub(in crate::commands) fn survey(material: Material<'_>) -> Survey {
    material.survey()
}

fn hour_of(span: Span) -> i64 {
    span.start.0.div_euclid(HOUR)
}

impl Material<'_> {
    fn survey(mut self) -> Survey {
        let evidence = self.evidence.take().unwrap_or_default();
        let mut replies = evidence.replies.into_iter();
        let sums = self.findings.iter().map(|finding| {
            let replies = replies.next().unwrap_or_default();
            Sums { replies, ..self.sums(finding) }
        });
        let sums = sums.collect();
        let (coverage, coverage_unknown) = match self.coverage() {
            Ok(coverage) => (Some(coverage), None),
            Err(reason) => (None, Some(reason.to_owned())),
        };
        let others = evidence.others.into_iter().map(
            |((network_acl_id, direction, rule_number, remote, protocol, dstport), flows)| OtherFlows {
                network_acl_id,
                direction,
                rule_number,
                remote,
                protocol,
                dstport,
                flows: flows.flows,
                packets: flows.packets,
            },
        );
        let (changes, changes_left_out) = self.nacl_changes();
        let mut diagnosis = self.diagnosis();
        if changes_left_out > 0 {
            diagnosis.notes.push(format!(
                "{changes_left_out} changes of network ACLs after the first {CHANGES_SHOWN} of a time read at once are not \
                 listed; findings are judged by all of them"
            ));
        }
        Survey {
            sums,
            talkers: self.talkers(),
            coverage,
            coverage_unknown,
            skip_data: self.all_skip_data(),
            changes,
            others: others.collect(),
            others_cut: evidence.others_cut,
            diagnosis,
        }
    }

    fn sums(&self, finding: &Finding<'_>) -> Sums {
        let key = SumsKey {
            id: finding.key.id(),
            since: finding.key.since,
            change: finding.key.change.as_ref().map(|(_, _, event_id)| event_id.clone()),
        };
        let mut sums = Sums { key, ..Sums::default() };
        let mut places: HashMap<(u32, u8, u16), usize> = HashMap::new();
        for at in &finding.members {
            let judged = &self.judged[*at];
            let Some(span) = judged.rejected.iter().map(|record| record.span).reduce(Span::union) else {
                continue;
            };
            sums.hours.entry(hour_of(span)).or_default()[0] += 1;
            let conversation = &self.conversations[judged.index];
            let service = (conversation.reply.protocol.0, conversation.reply.srcport);
            let cell = *places.entry((conversation.interface.0, service.0, service.1)).or_insert_with(|| {
                sums.cells.push(self.cell(judged, service));
                sums.cells.len() - 1
            });
            sums.cells[cell].conversations += 1;
            for record in &judged.rejected {
                let packets = record.packets.unwrap_or(0);
                let hour = sums.hours.entry(record.span.start.0.div_euclid(HOUR)).or_default();
                hour[1] = hour[1].saturating_add(packets);
                let cell = &mut sums.cells[cell];
                cell.packets = cell.packets.saturating_add(packets);
                cell.bytes = cell.bytes.saturating_add(record.bytes.unwrap_or(0));
            }
            self.note_edges(&mut sums, judged, hour_of(span), cell);
        }
        sums
    }

    fn cell(&self, judged: &Judged<'_>, (protocol, port): (u8, u16)) -> Cell {
        let place = self.places.of(self.conversations[judged.index].interface);
        let subnet_id = place.subnet_id.as_deref();
        let account_id = self.network.config().account(&place.interface_id, subnet_id);
        Cell {
            interface_id: place.interface_id.to_string(),
            subnet_id: subnet_id.map(str::to_owned),
            vpc_id: place.vpc_id.as_deref().map(str::to_owned),
            account_id: account_id.map(str::to_owned),
            protocol,
            port,
            ..Cell::default()
        }
    }

    /// A conversation at the beginning or at the end of the time may be part of one that reaches beyond it.
    fn note_edges(&self, sums: &mut Sums, judged: &Judged<'_>, hour: i64, cell: usize) {
        let reach = self.config.match_window_seconds.saturating_add(LONGEST_RECORD_SECONDS);
        let conversation = &self.conversations[judged.index];
        // Of all its rejects, whatever their causes: it is one conversation.
        let span = conversation.rejected_span();
        let edge = |at: Timestamp| {
            let interface = &self.places.of(conversation.interface).interface_id;
            let mut hasher = FixedState::with_seed(11).build_hasher();
            (interface.as_bytes(), conversation.reply, conversation.packet).hash(&mut hasher);
            Edge {
                conversation: std::hash::Hasher::finish(&hasher),
                at,
                cell,
                hour,
                requester: conversation.reply.dstaddr,
                responder: conversation.reply.srcaddr,
                packet: judged.direction.map(|direction| {
                    let packet = Packet::of_flow(direction, &conversation.packet);
                    (packet.remote, packet.dstport)
                }),
            }
        };
        if self.window.since.is_some_and(|since| span.start.seconds_since(since) <= reach) {
            sums.first.push(edge(span.start));
        }
        if self.window.until.is_some_and(|until| until.seconds_since(span.end) <= reach) {
            sums.last.push(edge(span.end));
        }
    }

    fn talkers(&self) -> view::Talkers {
        let mut sums: HashMap<(IpAddr, IpAddr, u8, u16), [u64; 3]> = HashMap::new();
        let mut before = None;
        for judged in &self.judged {
            let reply = &self.conversations[judged.index].reply;
            let pair = (reply.dstaddr, reply.srcaddr, reply.protocol.0, reply.srcport);
            let sum = sums.entry(pair).or_default();
            // A conversation with two causes is one.
            sum[0] += u64::from(before.replace(judged.index) != Some(judged.index));
            for record in &judged.rejected {
                sum[1] = sum[1].saturating_add(record.packets.unwrap_or(0));
                sum[2] = sum[2].saturating_add(record.bytes.unwrap_or(0));
            }
        }
        let rows = sums.into_iter().map(
            |((requester, responder, protocol, port), [conversations, packets, bytes])| view::Talker {
                requester: requester.to_string(),
                responder: responder.to_string(),
                protocol,
                port,
                conversations,
                packets,
                bytes,
            },
        );
        let mut talkers = view::Talkers { rows: rows.collect(), ..view::Talkers::default() };
        talkers.cut(TALKERS_KEPT);
        talkers
    }

    /// When there are records of each interface, or why that is not known.
    fn coverage(&self) -> Result<BTreeMap<String, Slices>, &'static str> {
        let correlated = &self.reading.correlated;
        let filters = &self.config.filters;
        if self.found.accepted_unread {
            return Err("not all records were read, so that gaps cannot be told");
        }
        if !(filters.cidrs.is_empty() && filters.ports.is_empty() && filters.protocols.is_empty()) {
            return Err("filters leave records out, so that gaps cannot be told");
        }
        let Some(coverage) = correlated.coverage.as_ref().filter(|coverage| !coverage.is_given_up()) else {
            return Err("there are too many interfaces for the memory limit");
        };
        let named = coverage.iter().map(|(index, slices)| {
            let name = correlated.interfaces.get(index).interface_id;
            (String::from_utf8_lossy(name).into_owned(), slices.clone())
        });
        Ok(named.collect())
    }

    fn all_skip_data(&self) -> Vec<view::SkipInterval> {
        let correlated = &self.reading.correlated;
        let intervals = correlated.skip_data.iter().flat_map(|(interface, spans)| {
            let name = correlated.interfaces.get(*interface).interface_id;
            spans.iter().map(|span| view::SkipInterval {
                interface_id: String::from_utf8_lossy(name).into_owned(),
                start: span.start,
                end: span.end,
            })
        });
        let mut intervals: Vec<_> = intervals.collect();
        intervals.sort();
        intervals
    }

    /// Changes in the time asked for, or else in the time that has records; and how many are beyond those shown.
    fn nacl_changes(&self) -> (Vec<view::NaclChange>, usize) {
        let Some(history) = self.network.history() else { return (Vec::new(), 0) };
        let span = self.reading.correlated.span;
        let since = self.window.since.or(span.map(|span| span.start));
        let until = self.window.until.or(span.map(|span| span.end));
        let (Some(since), Some(until)) = (since, until) else { return (Vec::new(), 0) };
        let events = history.timeline().events().iter();
        let events: Vec<_> = events.filter(|event| since <= event.time && event.time <= until).collect();
        let left_out = events.len().saturating_sub(CHANGES_SHOWN);
        let changes = events.into_iter().take(CHANGES_SHOWN).map(|event| {
            let rule = event.change.rule();
            view::NaclChange {
                time: event.time,
                event: event.name.clone(),
                event_id: event.event_id.clone(),
                actor: event.actor.clone(),
                source_ip: event.source_ip.clone(),
                network_acl_id: event.change.network_acl_id().map(str::to_owned),
                direction: rule.map(|(_, direction, _)| direction),
                rule_number: rule.map(|(_, _, number)| number),
                began: Vec::new(),
                ended: Vec::new(),
            }
        });
        (changes.collect(), left_out)
    }
}
