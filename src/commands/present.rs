//! Turns what the stages found into the view that the reports print: names, orders, examples, warnings.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::attribute::{Cause, Confidence, Finding, Judged, OtherKey, Places, Total};
use crate::config::Diagnose;
use crate::correlate::{Conversation, RejectedRecord, Span, UnpairedKind};
use crate::nacl::{NearMissReason, NetworkAclEntry, Observed, Packet, evaluate, near_misses};
use crate::net::{Direction, FiveTuple, TcpFlags, Timestamp};
use crate::network::NetworkConfig;
use crate::pipeline::Reading;
use crate::report::view;
use crate::source::Discovery;

/// The most slices a timeline has.
const TIMELINE_SLICES: i64 = 240;

/// Replies rejected this close to the end of the records are still being rejected: the longest capture window.
const ONGOING_SECONDS: i64 = 600;

/// Everything a view is made of.
pub(super) struct Material<'a> {
    pub(super) config: &'a Diagnose,
    pub(super) network: &'a NetworkConfig,
    pub(super) discovery: &'a Discovery,
    pub(super) reading: &'a Reading,
    pub(super) places: &'a Places<'a>,
    pub(super) conversations: Vec<Conversation>,
    pub(super) judged: Vec<Judged<'a>>,
    pub(super) findings: Vec<Finding<'a>>,
    pub(super) others: Vec<(OtherKey, Option<&'a NetworkAclEntry>, Total)>,
}

impl Material<'_> {
    pub(super) fn diagnosis(&self) -> view::Diagnosis {
        let input = self.input();
        let findings: Vec<_> = self.findings.iter().map(|finding| self.finding(finding)).collect();
        let other_rejects = self.other_rejects();
        let counts = self.network.counts();
        let span = self.reading.correlated.span;
        view::Diagnosis {
            schema_version: 1,
            generator: view::Generator { name: "flowcheck", version: env!("CARGO_PKG_VERSION") },
            window: view::Window {
                since: self.config.since,
                until: self.config.until,
                first_record: span.map(|span| span.start),
                last_record: span.map(|span| span.end),
            },
            network_config: view::NetworkConfigSummary {
                origin: if self.config.snapshots.is_empty() { "none" } else { "snapshot" },
                captured_at: self.network.captured_at(),
                history: "none",
                network_acls: counts.network_acls,
                interfaces: counts.interfaces,
            },
            summary: view::Summary {
                rejected_conversations: self.rejected_conversations(),
                rejected_packets: findings.iter().map(|finding| finding.packets).sum(),
                findings: findings.len(),
                complete: input.incomplete.is_empty(),
            },
            names: self.names(&findings, &other_rejects),
            rows: self.rows(),
            warnings: self.warnings(),
            input,
            findings,
            other_rejects,
        }
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

    fn incomplete(&self) -> Vec<view::Incomplete> {
        let inputs = self.discovery.unreadable.iter().chain(&self.reading.incomplete);
        let mut incomplete: Vec<_> = inputs
            .map(|(source, error)| view::Incomplete { source: source.clone(), error: error.clone() })
            .collect();
        let correlated = &self.reading.correlated;
        let dropped = correlated.dropped_accepted + correlated.dropped_rejected;
        if dropped > 0 {
            let error = format!(
                "{dropped} records were counted but not paired, because waiting records took {} MiB; \
                 give a larger --memory-limit or a shorter --since",
                self.config.memory_limit_bytes >> 20
            );
            incomplete.push(view::Incomplete { source: "memory limit".to_owned(), error });
        }
        incomplete
    }

    fn finding(&self, finding: &Finding<'_>) -> view::Finding {
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
        view::Finding {
            id: finding.key.id(),
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
            ongoing: last_record.seconds_since(finding.span.end) <= ONGOING_SECONDS,
            detail: finding.detail.clone(),
            candidates: candidates.collect(),
            services,
            requester_ports: finding
                .requester_ports
                .map_or(view::PortSpan { min: 0, max: 0 }, |(min, max)| view::PortSpan { min, max }),
            near_misses: self.near_misses(finding),
            skip_data: self.skip_data(finding),
            onset: view::Onset { last_accepted_reply: None, first_rejected_reply: finding.span.start },
            change: (),
            fix: (),
            timeline: self.timeline(finding),
            examples: self.examples(finding),
        }
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
        if members().any(|one| !one.config_in_force) && finding.network_acl.is_some() {
            reasons.push(match self.network.captured_at() {
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
                "an interface is not in the snapshot; its subnet was inferred from its address".to_owned(),
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
                packets[slot(record.span.start)] += record.packets;
            }
        }
        view::Timeline { start, slice_seconds: u32::try_from(slice).unwrap_or(u32::MAX), packets }
    }

    /// The conversations with most packets, but one of each service before a second of any.
    fn examples(&self, finding: &Finding<'_>) -> Vec<view::Example> {
        let packets = |at: usize| self.judged[at].rejected.iter().map(|record| record.packets).sum::<u64>();
        let service = |at: usize| {
            let reply = &self.conversations[self.judged[at].index].reply;
            (reply.protocol, reply.srcport)
        };
        let mut members = finding.members.clone();
        members.sort_by_key(|at| std::cmp::Reverse(packets(*at)));
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
            packets: request.packets,
            bytes: request.bytes,
            first: Some(request.span.start),
            last: Some(request.span.end),
            ..flow(conversation.reply.reversed(), "ACCEPT", judged.direction.map(Direction::opposite))
        });
        let sum = Rejected::of(&judged.rejected);
        let reply = view::FlowSummary {
            tcp_flags: sum.tcp_flags.map(|flags| flags.0),
            packets: sum.packets,
            bytes: sum.bytes.unwrap_or(0),
            first: sum.span.map(|span| span.start),
            last: sum.span.map(|span| span.end),
            ..flow(conversation.reply, "REJECT", judged.direction)
        };
        view::Example { request, reply, steps: steps(judged, &conversation.packet) }
    }

    fn rows(&self) -> Vec<view::Row> {
        let mut rows: Vec<_> = self.judged.iter().filter_map(|one| self.row(one)).collect();
        rows.sort_by(|a, b| {
            let key = |row: &view::Row| {
                (row.first_rejected, row.protocol, row.srcport, row.dstport, row.last_rejected, row.cause)
            };
            key(a)
                .cmp(&key(b))
                .then_with(|| a.interface_id.cmp(&b.interface_id))
                .then_with(|| (&a.srcaddr, &a.dstaddr).cmp(&(&b.srcaddr, &b.dstaddr)))
        });
        rows
    }

    fn row(&self, judged: &Judged<'_>) -> Option<view::Row> {
        let conversation = &self.conversations[judged.index];
        let place = self.places.of(conversation.interface);
        let sum = Rejected::of(&judged.rejected);
        let span = sum.span?;
        let request = conversation.request;
        Some(view::Row {
            cause: judged.cause.as_str(),
            confidence: judged.confidence.as_str(),
            network_acl_id: judged.network_acl.map(|acl| acl.network_acl_id.clone()),
            direction: judged.direction,
            rule_number: judged.rule.map(|entry| entry.rule_number),
            interface_id: Some(place.interface_id.to_string()),
            subnet_id: place.subnet_id.as_deref().map(str::to_owned),
            vpc_id: place.vpc_id.as_deref().map(str::to_owned),
            protocol: conversation.reply.protocol.0,
            srcaddr: conversation.reply.srcaddr.to_string(),
            srcport: conversation.reply.srcport,
            dstaddr: conversation.reply.dstaddr.to_string(),
            dstport: conversation.reply.dstport,
            first_rejected: span.start,
            last_rejected: span.end,
            rejected_packets: sum.packets,
            rejected_bytes: sum.bytes,
            request_first: request.map(|request| request.span.start),
            request_last: request.map(|request| request.span.end),
            request_packets: request.map(|request| request.packets),
            request_bytes: request.map(|request| request.bytes),
            detail: judged.detail.as_ref().map(ToString::to_string),
        })
    }

    fn other_rejects(&self) -> view::OtherRejects {
        let mut by_cause: Vec<_> = self
            .others
            .iter()
            .map(|(key, rule, total)| view::OtherReject {
                cause: key.cause.as_str(),
                network_acl_id: key.network_acl_id.clone(),
                direction: key.direction,
                rule_number: key.rule_number,
                rule: rule.map(ToString::to_string),
                kind: other_kind(key.kind),
                detail: other_detail(key),
                records: total.records,
                packets: total.packets,
            })
            .collect();
        let correlated = &self.reading.correlated;
        let counts = &correlated.counts;
        for (records, packets, detail) in [
            (
                counts.unpairable_rejected,
                counts.unpairable_rejected_packets,
                "the format lacks a field without which requests and replies cannot be paired",
            ),
            (
                correlated.dropped_rejected,
                correlated.dropped_rejected_packets,
                "not paired: the memory limit was reached",
            ),
        ] {
            if records > 0 {
                by_cause.push(view::OtherReject {
                    cause: Cause::Undetermined.as_str(),
                    network_acl_id: None,
                    direction: None,
                    rule_number: None,
                    rule: None,
                    kind: "unpaired",
                    detail: Some(detail.to_owned()),
                    records,
                    packets,
                });
            }
        }
        view::OtherRejects {
            records: by_cause.iter().map(|row| row.records).sum(),
            packets: by_cause.iter().map(|row| row.packets).sum(),
            by_cause,
        }
    }

    fn names(&self, findings: &[view::Finding], others: &view::OtherRejects) -> BTreeMap<String, String> {
        let ids = findings.iter().flat_map(|finding| {
            let lists = finding.interface_ids.iter().chain(&finding.subnet_ids);
            let candidates = finding.candidates.iter().map(|candidate| &candidate.network_acl_id);
            lists.chain(&finding.network_acl_id).chain(&finding.vpc_id).chain(candidates)
        });
        let ids = ids.chain(others.by_cause.iter().filter_map(|row| row.network_acl_id.as_ref()));
        ids.filter_map(|id| Some((id.clone(), self.network.label(id)?))).collect()
    }

    fn warnings(&self) -> Vec<String> {
        let Reading { correlated, missing, foreign, .. } = self.reading;
        let mut warnings = Vec::new();
        for (field, first, inputs) in missing {
            let others = if *inputs > 1 { format!(" and {} more", inputs - 1) } else { String::new() };
            warnings.push(format!("no {} field in {first}{others}: {}", field.name, field.consequence));
        }
        for (name, key) in foreign {
            warnings.push(format!("{name} holds {}, not flow logs: it was not read", describe_foreign(key)));
        }
        if correlated.counts.transit_gateway > 0 {
            warnings.push(format!(
                "{} transit gateway records were counted apart: they have no action, so they cannot show a reject",
                correlated.counts.transit_gateway
            ));
        }
        if correlated.accepted == 0 && correlated.rejected > 0 && correlated.counts.filtered == 0 {
            warnings.push(
                "the input holds no ACCEPT records (a flow log that records only rejects?): requests cannot be seen, \
                 so only replies that show themselves by a SYN-ACK or by their shape are reported; a flow log of \
                 traffic type ALL with the tcp-flags field would settle it"
                    .to_owned(),
            );
        }
        if self.config.snapshots.is_empty() && correlated.rejected > 0 {
            warnings.push(
                "no network configuration: the rules behind the rejects are not known; give --snapshot with the \
                 output of `aws ec2 describe-network-acls` and `aws ec2 describe-network-interfaces`"
                    .to_owned(),
            );
        }
        for id in &self.config.filters.network_acl_ids {
            if self.network.acl(id).is_none() {
                warnings.push(format!("{id} is not in the snapshot: --nacl {id} matches nothing"));
            }
        }
        warnings.extend(self.network.warnings().iter().cloned());
        warnings
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

fn other_kind(kind: Option<UnpairedKind>) -> &'static str {
    match kind {
        Some(UnpairedKind::Request) => "new_request",
        Some(UnpairedKind::RequestSide) => "request_side",
        Some(UnpairedKind::Unsolicited) => "unsolicited",
        None => "unpaired",
    }
}

fn other_detail(key: &OtherKey) -> Option<String> {
    let detail = match (key.cause, key.slug?) {
        (Cause::NotNacl, "same_subnet") => {
            "inside one subnet, where no network ACL applies: a security group"
        }
        (Cause::NotNacl, "link_local") => "link-local, which no network ACL filters",
        (Cause::Undetermined, "no_network_acl") => "no network ACL known for the interface",
        (Cause::Undetermined, "direction_unknown") => "direction unknown",
        (Cause::Undetermined, _) => "a rule tests the ICMP type, which flow logs do not carry",
        _ => return None,
    };
    Some(detail.to_owned())
}

fn describe_foreign(key: &str) -> &'static str {
    match key {
        "Records" | "Events" => "CloudTrail events",
        "configurationItems" => "AWS Config items",
        "generator" => "a flowcheck result",
        _ => "a network configuration (give it to --snapshot)",
    }
}

/// Rejected records, summed.
struct Rejected {
    span: Option<Span>,
    packets: u64,
    bytes: Option<u64>,
    tcp_flags: Option<TcpFlags>,
}

impl Rejected {
    fn of(records: &[RejectedRecord]) -> Self {
        Self {
            span: records.iter().map(|record| record.span).reduce(Span::union),
            packets: records.iter().map(|record| record.packets).sum(),
            bytes: records.iter().filter_map(|record| record.bytes).reduce(|a, b| a + b),
            tcp_flags: records
                .iter()
                .filter_map(|record| record.tcp_flags)
                .reduce(|a, b| TcpFlags(a.0 | b.0)),
        }
    }
}
