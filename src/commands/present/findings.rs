//! Findings and their examples as the reports print them.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::{Material, Rejected};
use crate::attribute::{ChangeSeen, Confidence, Finding, Judged, Part, affected_clients};
use crate::correlate::Span;
use crate::nacl::{NearMissReason, Observed, Packet, evaluate, near_misses};
use crate::net::{Direction, FiveTuple, Timestamp};
use crate::report::view::{self, CLIENTS_LISTED, ONGOING_SECONDS, TIMELINE_SLICES};

impl Material<'_> {
    pub(super) fn finding(&self, at: usize, finding: &Finding<'_>) -> view::Finding {
        let last_record = self.reading.last_record().unwrap_or(finding.span.end);
        let mut services: Vec<_> = finding
            .services
            .iter()
            .map(|((protocol, port), conversations)| view::Service {
                protocol: protocol.0,
                port: *port,
                conversations: *conversations,
            })
            .collect();
        services.sort_by_key(|service| std::cmp::Reverse(service.conversations));
        let candidates = finding.candidates.iter().map(|(acl, entry)| view::Candidate {
            network_acl_id: acl.network_acl_id.clone(),
            direction: entry.direction,
            rule_number: entry.rule_number,
            rule: entry.to_string(),
        });
        let mut clients = affected_clients(
            finding,
            &self.judged,
            &self.conversations,
            &self.reading.correlated.clients,
            self.places,
        );
        let affected_clients_left_out = clients.len().saturating_sub(CLIENTS_LISTED) as u64;
        clients.truncate(CLIENTS_LISTED);
        let affected_clients = clients.into_iter().map(|client| view::AffectedClient {
            address: client.address.to_string(),
            interface_id: client.interface_id,
            confidence: client.confidence.as_str(),
            conversations: client.conversations,
        });
        view::Finding {
            id: finding.id.clone(),
            affected_clients: affected_clients.collect(),
            affected_clients_left_out,
            cause: finding.key.cause.as_str(),
            confidence: finding.confidence.as_str(),
            confidence_reason: self.confidence_reason(finding),
            network_acl_id: finding.key.network_acl_id.clone(),
            direction: finding.key.direction,
            rule_number: finding.key.rule_number,
            rule: finding.rule.map(ToString::to_string),
            vpc_id: Some(&finding.vpc_ids).filter(|ids| ids.len() == 1).and_then(|ids| ids.first().cloned()),
            subnet_ids: finding.subnet_ids.iter().cloned().collect(),
            interface_ids: finding.interface_ids.iter().cloned().collect(),
            conversations: finding.total.conversations,
            packets: finding.total.packets,
            bytes: finding.total.bytes,
            first_seen: finding.span.start,
            last_seen: finding.span.end,
            ongoing: finding.restored.is_none()
                && last_record.seconds_since(finding.span.end) <= ONGOING_SECONDS,
            detail: finding.detail.clone().or_else(|| proven_by_traffic(finding)),
            candidates: candidates.collect(),
            services,
            requester_ports: finding
                .requester_ports
                .map_or(view::PortSpan { min: 0, max: 0 }, |(min, max)| view::PortSpan { min, max }),
            near_misses: self.near_misses(finding),
            skip_data: self.skip_data(finding),
            onset: self.onset(finding),
            change: finding.change.as_ref().map(change),
            restored: finding.restored.as_ref().map(change),
            fix: self.fix(at),
            timeline: self.timeline(finding),
            examples: self.examples(finding),
        }
    }

    /// When replies of this kind were accepted last, and when first rejected.
    fn onset(&self, finding: &Finding<'_>) -> view::Onset {
        let first_rejected_reply = finding.span.start;
        let accepted = finding.members.iter().filter_map(|at| {
            let (one, onsets) = (&self.judged[*at], &self.reading.correlated.onsets);
            let conversation = &self.conversations[one.index];
            // Summed over several records: of a sum that goes on after the first reject only its beginning is known.
            let own = conversation.accepted_reply.and_then(|reply| {
                let moments = [reply.span.end, reply.span.start];
                moments.into_iter().find(|moment| *moment <= first_rejected_reply)
            });
            let interface = &self.places.of(conversation.interface).interface_id;
            let of_the_kind = one.direction.and_then(|direction| {
                let packet = &conversation.packet;
                onsets.last_accepted(interface.as_bytes(), packet, direction, first_rejected_reply)
            });
            own.max(of_the_kind)
        });
        // What was rejected before the time asked for is not known: then nothing shows that it began here. Of a part of a
        // longer time, the part before it knows.
        let since = self.window.since.filter(|_| !self.window.by_start);
        let last_accepted_reply = accepted.max().filter(|at| since.is_none_or(|since| *at >= since));
        view::Onset { last_accepted_reply, first_rejected_reply }
    }

    fn confidence_reason(&self, finding: &Finding<'_>) -> Option<String> {
        if finding.confidence == Confidence::Proven {
            return None;
        }
        if finding.confidence == Confidence::Possible {
            return Some(
                "the input holds no ACCEPT records; these rejects only have the shape of replies".to_owned(),
            );
        }
        let members = || finding.members.iter().map(|at| &self.judged[*at]);
        let mut reasons = Vec::new();
        let is_inferred = finding.network_acl.is_some()
            && members().any(|one| {
                let place = self.places.of(self.conversations[one.index].interface);
                // That the subnet was inferred is said below.
                !(one.config_in_force || self.network.history().is_some() && place.subnet_is_inferred)
            });
        if let (true, Some(history)) = (is_inferred, self.network.history()) {
            reasons.push(match history.covered() {
                Some((first, last)) => format!(
                    "the history given ({}, {first} to {last}) does not show without a gap that these rules were in \
                     force then",
                    history.sources()
                ),
                None => "the history given does not show that these rules were in force then".to_owned(),
            });
        } else if is_inferred {
            let captured_at = finding
                .network_acl
                .and_then(|acl| self.network.config().acl_captured_at(&acl.network_acl_id));
            reasons.push(match captured_at {
                Some(at) => format!("rules as captured at {at}, without a history of changes"),
                None => "rules as in the snapshot, which does not say when it was captured".to_owned(),
            });
        }
        let request = |one: &Judged<'_>| self.conversations[one.index].request;
        let missing = members().filter(|one| request(one).is_none()).count();
        if missing > 0 {
            reasons.push(format!(
                "{missing} of {} conversations have no record of the request, only of its SYN-ACK",
                finding.total.conversations
            ));
        }
        if members().any(|one| request(one).is_some_and(|request| request.other_interface.is_some())) {
            reasons.push("some requests were seen on another interface".to_owned());
        }
        if members().any(|one| self.places.of(self.conversations[one.index].interface).subnet_is_inferred) {
            reasons.push(
                "an interface is not in the network configuration; its subnet was inferred from its address"
                    .to_owned(),
            );
        }
        Some(reasons.join("; ")).filter(|reason| !reason.is_empty())
    }

    /// For each allow entry the way in which it missed most of the conversations.
    fn near_misses(&self, finding: &Finding<'_>) -> Vec<view::NearMiss> {
        let (Some(acl), Some(direction)) = (finding.network_acl, finding.key.direction) else {
            return Vec::new();
        };
        if !finding.key.cause.is_nacl() {
            return Vec::new();
        }
        let mut counts: HashMap<(u16, NearMissReason), u64> = HashMap::new();
        for at in &finding.members {
            let packet = Packet::of_flow(direction, &self.conversations[self.judged[*at].index].packet);
            for miss in near_misses(acl, direction, &packet) {
                *counts.entry((miss.entry.rule_number, miss.reason)).or_default() += 1;
            }
        }
        let mut best: BTreeMap<u16, (u64, std::cmp::Reverse<String>)> = BTreeMap::new();
        for ((rule_number, reason), count) in counts {
            let candidate = (count, std::cmp::Reverse(reason.describe(direction)));
            let known = best.entry(rule_number).or_insert_with(|| candidate.clone());
            if candidate > *known {
                *known = candidate;
            }
        }
        best.into_iter()
            .filter_map(|(rule_number, (_, std::cmp::Reverse(mismatch)))| {
                let rule = acl.entry(direction, rule_number)?.to_string();
                Some(view::NearMiss { rule_number, rule, mismatch })
            })
            .collect()
    }

    /// `SKIPDATA` intervals of the finding's interfaces while their replies were rejected.
    fn skip_data(&self, finding: &Finding<'_>) -> Vec<view::SkipInterval> {
        let mut spans: BTreeMap<_, Span> = BTreeMap::new();
        for at in &finding.members {
            let one = &self.judged[*at];
            let interface = self.conversations[one.index].interface;
            for record in &one.rejected {
                spans
                    .entry(interface)
                    .and_modify(|span| *span = span.union(record.span))
                    .or_insert(record.span);
            }
        }
        let mut intervals = Vec::new();
        for (interface, span) in spans {
            let lost = self.reading.correlated.skip_data.get(&interface).map_or(&[][..], Vec::as_slice);
            for interval in lost.iter().filter(|interval| interval.gap(span) == 0) {
                intervals.push(view::SkipInterval {
                    interface_id: self.places.of(interface).interface_id.to_string(),
                    start: interval.start,
                    end: interval.end,
                });
            }
        }
        intervals.sort();
        intervals
    }

    fn timeline(&self, finding: &Finding<'_>) -> view::Timeline {
        let window = self.reading.correlated.span.unwrap_or(finding.span).union(finding.span);
        let minutes = window.end.seconds_since(window.start) / 60 + 1;
        let slice = 60 * (minutes / TIMELINE_SLICES + 1);
        let start = Timestamp(window.start.0.div_euclid(slice) * slice);
        let slot = |at: Timestamp| usize::try_from(at.seconds_since(start) / slice).unwrap_or(0);
        let mut packets = vec![0; slot(window.end) + 1];
        for at in &finding.members {
            for record in &self.judged[*at].rejected {
                let sum: &mut u64 = &mut packets[slot(record.span.start)];
                *sum = sum.saturating_add(record.packets.unwrap_or(0));
            }
        }
        view::Timeline { start, slice_seconds: u32::try_from(slice).unwrap_or(u32::MAX), packets }
    }

    /// The conversations with most packets, but one of each service before a second of any.
    fn examples(&self, finding: &Finding<'_>) -> Vec<view::Example> {
        let packets = |at: usize| {
            self.judged[at].rejected.iter().filter_map(|record| record.packets).fold(0, u64::saturating_add)
        };
        let service = |at: usize| {
            let reply = &self.conversations[self.judged[at].index].reply;
            (reply.protocol, reply.srcport)
        };
        let mut members = finding.members.clone();
        members.sort_by_cached_key(|at| std::cmp::Reverse(packets(*at)));
        let mut turns: HashMap<_, u64> = HashMap::new();
        let mut ranked: Vec<_> = members
            .into_iter()
            .map(|at| {
                let turn = turns.entry(service(at)).or_default();
                *turn += 1;
                (*turn, std::cmp::Reverse(finding.services.get(&service(at)).copied()), at)
            })
            .collect();
        ranked.sort_by_key(|(turn, conversations, _)| (*turn, *conversations));
        let count = if self.config.output.top == 0 { ranked.len() } else { self.config.output.top };
        ranked.into_iter().take(count).map(|(_, _, at)| self.example(&self.judged[at])).collect()
    }

    fn example(&self, judged: &Judged<'_>) -> view::Example {
        let conversation = &self.conversations[judged.index];
        let interface = self.places.of(conversation.interface);
        let flow = |flow: FiveTuple, action, direction: Option<Direction>| view::FlowSummary {
            interface_id: interface.interface_id.to_string(),
            direction,
            protocol: flow.protocol.0,
            srcaddr: flow.srcaddr.to_string(),
            srcport: flow.srcport,
            dstaddr: flow.dstaddr.to_string(),
            dstport: flow.dstport,
            action,
            tcp_flags: None,
            packets: 0,
            bytes: 0,
            first: None,
            last: None,
        };
        let request = conversation.request.map(|request| view::FlowSummary {
            interface_id: request
                .other_interface
                .map_or(&interface.interface_id, |other| &self.places.of(other).interface_id)
                .to_string(),
            tcp_flags: request.tcp_flags.map(|flags| flags.0),
            packets: request.packets.unwrap_or(0),
            bytes: request.bytes.unwrap_or(0),
            first: Some(request.span.start),
            last: Some(request.span.end),
            ..flow(conversation.reply.reversed(), "ACCEPT", judged.direction.map(Direction::opposite))
        });
        let sum = Rejected::of(&judged.rejected);
        let reply = view::FlowSummary {
            tcp_flags: sum.tcp_flags.map(|flags| flags.0),
            packets: sum.packets.unwrap_or(0),
            bytes: sum.bytes.unwrap_or(0),
            first: sum.span.map(|span| span.start),
            last: sum.span.map(|span| span.end),
            ..flow(conversation.reply, "REJECT", judged.direction)
        };
        view::Example { request, reply, steps: steps(judged, &conversation.packet) }
    }
}

/// What is known of an entry only by the replies that it let in.
fn proven_by_traffic(finding: &Finding<'_>) -> Option<String> {
    let change = finding.change.filter(|change| change.needs_traffic)?;
    let number = change.event.change.rule().map(|(_, _, number)| number)?;
    let why = match change.before {
        Part::Unknown => "what it held before is not in the history",
        _ => "it tests an ICMP type, which flow logs do not carry",
    };
    Some(format!(
        "rule {number} let these replies in before {}: {why}, but replies of these conversations were accepted until then \
         and no other entry matches them",
        change.event.time
    ))
}

/// A call as the reports print it.
fn change(seen: &ChangeSeen<'_>) -> view::Change {
    let part = |part: Part<'_>| match part {
        Part::Nothing | Part::Unknown => None,
        Part::Entry(entry) => Some(entry.to_string()),
        Part::Acl(id) => Some(id.to_owned()),
    };
    view::Change {
        time: seen.event.time,
        event: seen.event.name.clone(),
        event_id: seen.event.event_id.clone(),
        actor: seen.event.actor.clone(),
        source_ip: seen.event.source_ip.clone(),
        rule_number: seen.event.change.rule().map(|(_, _, number)| number),
        before: part(seen.before),
        after: part(seen.after),
        before_is_unknown: seen.before == Part::Unknown,
    }
}

/// The evaluation of an example, entry by entry, by the evaluator that judged it.
fn steps(judged: &Judged<'_>, packet: &FiveTuple) -> Vec<view::Step> {
    let (Some(acl), Some(direction)) = (judged.network_acl, judged.direction) else { return Vec::new() };
    let verdict = evaluate(acl, direction, &Packet::of_flow(direction, packet), Observed::Rejected);
    let steps = verdict.steps.iter().map(|step| view::Step {
        rule_number: step.entry.rule_number,
        rule: step.entry.to_string(),
        outcome: step.outcome.describe(direction),
    });
    steps.collect()
}
