//! Requests that went out, were accepted, and got neither an answer nor a reject.
//!
//! Owns what silence is: records of SYNs alone, with nothing inside the match window that answers them, rejects them or
//! shows that the connection went on. A record with data is no such request, and an answer without a record (`SKIPDATA`,
//! the end of the input, an interface without a flow log) cannot be told from none: whoever asks has to know that.
//! Refuses to know configurations.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Span;
use super::accepted::WideRow;
use super::decide::{either_flags, least, merge_hits, sum_of_known};
use super::hash::conversation_hash;
use super::interface::{InterfaceIndex, InterfaceTable};
use super::nearby::Nearby;
use super::reject::{Entry, Hit, RejectedRow, Relation, Stored};
use super::settled::Settled;
use crate::net::{Direction, FiveTuple, TcpFlags};
use crate::record::RejectReason;

/// Other interfaces kept for one request.
const SIGHTINGS: usize = 8;

/// The SYNs of one connection that got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilentRequest {
    /// The interface that accepted them.
    pub interface: InterfaceIndex,
    /// As logged.
    pub flow: FiveTuple,
    /// With packet-level addresses.
    pub packet: FiveTuple,
    /// `flow-direction`, if the format has it; never ingress.
    pub flow_direction: Option<Direction>,
    /// First to last second of their records.
    pub span: Span,
    /// Packets; `None` where no record says.
    pub packets: Option<u64>,
    /// What other interfaces recorded of them; of many the first few.
    pub sightings: Vec<Sighting>,
}

/// What another interface recorded of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// What it did.
    pub kind: SightingKind,
    /// When.
    pub span: Span,
    /// The other interface.
    pub interface: InterfaceIndex,
    /// The request as it was logged there; packet-level where it was accepted.
    pub flow: FiveTuple,
    /// `flow-direction` there, if the format has it.
    pub flow_direction: Option<Direction>,
    /// `reject-reason`, if it says anything.
    pub reject_reason: Option<RejectReason>,
}

/// What another interface did with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SightingKind {
    /// Dropped it.
    Rejected,
    /// Let an answer out, which the requester's interface never recorded.
    Answered,
    /// Let it pass.
    Accepted,
}

/// A rejected record of the same conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct RejectedNearby {
    interface: InterfaceIndex,
    flow: FiveTuple,
    packet: FiveTuple,
    flow_direction: Option<Direction>,
    span: Span,
    reject_reason: Option<RejectReason>,
}

impl RejectedNearby {
    pub(super) fn of(row: &RejectedRow) -> Self {
        Self {
            interface: row.interface,
            flow: row.flow,
            packet: row.packet,
            flow_direction: row.flow_direction,
            span: row.record.span,
            reject_reason: row.record.reject_reason,
        }
    }
}

/// Decides entries that leave; those of a conversation with a request leave together.
pub(super) fn settle(
    entries: Vec<Entry>,
    match_window_seconds: i64,
    interfaces: &InterfaceTable,
    into: &mut Settled,
) {
    let requests = || entries.iter().filter(|entry| entry.is_request && !entry.was_answered_at_once());
    let mut rejected: HashMap<u64, Vec<RejectedNearby>> = HashMap::with_capacity(requests().count());
    rejected.extend(requests().map(|entry| (entry.hash, Vec::new())));
    if !rejected.is_empty() {
        for entry in entries.iter().filter(|entry| !entry.is_request) {
            if let Some(known) = rejected.get_mut(&entry.hash) {
                known.extend(entry.rows().map(|row| RejectedNearby::of(&row)));
            }
        }
    }
    for entry in entries {
        if entry.was_answered_at_once() {
            continue;
        }
        if entry.is_request {
            let rejected = rejected.get(&entry.hash).map_or(&[][..], Vec::as_slice);
            entry.settle_request(rejected, match_window_seconds, interfaces, into);
        } else {
            entry.settle(match_window_seconds, interfaces, into);
        }
    }
}

/// What is around the requests of one entry.
#[derive(Default)]
struct Around {
    /// Whatever shows that they were not left without an answer.
    heard: Vec<Span>,
    sightings: Vec<(Span, Sighting)>,
}

impl Entry {
    /// What a row tells of a request. Requests themselves tell nothing of it that it does not say itself.
    pub(super) fn relation_to_request(&self, row: &WideRow) -> Option<Relation> {
        let here = row.interface == self.interface;
        if row.packet == self.packet {
            let is_itself = here && row.is_request_out();
            return (!is_itself).then_some(if here { Relation::Same } else { Relation::SameElsewhere });
        }
        let reverse = if here { Relation::Reverse } else { Relation::ReverseElsewhere };
        (row.packet == self.packet.reversed()).then_some(reverse)
    }

    /// Whether this is one request and something came back to it, as with nearly all: then there is nothing to decide. What
    /// was found of one record lies inside the match window.
    fn was_answered_at_once(&self) -> bool {
        self.is_request
            && self.more.is_empty()
            && self.hits.iter().any(|hit| hit.relation == Relation::Reverse)
    }

    /// Decides which of its requests got no answer. `rejected` are the rejected records of the same conversation.
    pub(super) fn settle_request(
        mut self,
        rejected: &[RejectedNearby],
        match_window_seconds: i64,
        interfaces: &InterfaceTable,
        into: &mut Settled,
    ) {
        let hits = merge_hits(std::mem::take(&mut self.hits));
        let mut sent = self.take_records();
        let mut around = Around::default();
        for hit in &hits {
            around.accepted(hit, &mut sent);
        }
        for one in rejected {
            around.rejected(one, &self);
        }
        sent.retain(is_request);
        let heard = Nearby::new(around.heard.into_iter());
        let mut drafts = self.drafts(&sent, match_window_seconds);
        drafts.retain(|draft| !heard.any_within(draft.span, match_window_seconds));
        for (span, sighting) in around.sightings {
            let first = drafts
                .partition_point(|draft| span.start.seconds_since(draft.span.end) > match_window_seconds);
            let near =
                |draft: &&mut SilentRequest| draft.span.start.seconds_since(span.end) <= match_window_seconds;
            for draft in drafts[first..].iter_mut().take_while(near) {
                add_sighting(&mut draft.sightings, sighting, interfaces);
            }
        }
        for draft in drafts {
            into.silent.push(draft);
        }
    }

    /// Cuts records in time order wherever more than the match window lies between two of them.
    fn drafts(&self, sent: &[Stored], match_window_seconds: i64) -> Vec<SilentRequest> {
        let mut drafts: Vec<SilentRequest> = Vec::new();
        for stored in sent {
            let record = &stored.record;
            match drafts.last_mut() {
                Some(draft) if record.span.gap(draft.span) <= match_window_seconds => {
                    draft.span = draft.span.union(record.span);
                    draft.flow_direction = least(draft.flow_direction, stored.flow_direction);
                    draft.packets = sum_of_known(draft.packets, record.packets);
                }
                _ => drafts.push(SilentRequest {
                    interface: self.interface,
                    flow: self.flow,
                    packet: self.packet,
                    flow_direction: stored.flow_direction,
                    span: record.span,
                    packets: record.packets,
                    sightings: Vec::new(),
                }),
            }
        }
        drafts
    }
}

/// Whether it is one still, now that all formats have said what they know of it.
fn is_request(stored: &Stored) -> bool {
    stored.record.tcp_flags == Some(TcpFlags::SYN_ALONE) && stored.flow_direction != Some(Direction::Ingress)
}

impl Around {
    fn accepted(&mut self, hit: &Hit, sent: &mut [Stored]) {
        let row = &hit.row;
        match hit.relation {
            // What left another interface has not come back. Without a direction it may have.
            Relation::ReverseElsewhere if row.flow_direction == Some(Direction::Egress) => {
                self.sighting(row, SightingKind::Answered);
            }
            Relation::Reverse | Relation::ReverseElsewhere => self.heard.push(row.span),
            Relation::SameElsewhere => self.sighting(row, SightingKind::Accepted),
            Relation::Same => {
                let Some(copy) = copy_of(row, sent) else {
                    // Out of the time asked for, or on its way in: no request here, and nothing else either.
                    if !row.is_syn_alone() {
                        self.heard.push(row.span);
                    }
                    return;
                };
                copy.flow_direction = least(copy.flow_direction, row.flow_direction);
                copy.record.tcp_flags = either_flags(copy.record.tcp_flags, row.tcp_flags);
                if copy.record.tcp_flags != Some(TcpFlags::SYN_ALONE) {
                    self.heard.push(row.span);
                }
            }
        }
    }

    fn sighting(&mut self, row: &WideRow, kind: SightingKind) {
        let sighting = Sighting {
            kind,
            span: row.span,
            interface: row.interface,
            flow: row.packet,
            flow_direction: row.flow_direction,
            reject_reason: None,
        };
        self.sightings.push((row.span, sighting));
    }

    fn rejected(&mut self, one: &RejectedNearby, entry: &Entry) {
        let RejectedNearby { interface, flow, packet, flow_direction, span, reject_reason } = *one;
        if packet != entry.packet {
            if packet == entry.packet.reversed() {
                self.heard.push(span);
            }
        } else if interface == entry.interface {
            self.heard.push(span);
        } else {
            let kind = SightingKind::Rejected;
            let sighting = Sighting { kind, span, interface, flow, flow_direction, reject_reason };
            self.sightings.push((span, sighting));
        }
    }
}

/// The request of which this row is a copy that another format brought.
fn copy_of<'s>(row: &WideRow, sent: &'s mut [Stored]) -> Option<&'s mut Stored> {
    let of = |stored: &Stored| (stored.record.span, stored.record.packets, stored.record.bytes);
    let wanted = (row.span, row.packets, row.bytes);
    let at = sent.partition_point(|stored| of(stored) < wanted);
    sent.get_mut(at).filter(|stored| of(stored) == wanted)
}

/// One for each interface and kind, in the order of their names: numbers depend on the order of input.
fn add_sighting(known: &mut Vec<Sighting>, one: Sighting, interfaces: &InterfaceTable) {
    let place = |sighting: &Sighting| (sighting.kind, interfaces.name(sighting.interface));
    match known.binary_search_by(|other| place(other).cmp(&place(&one))) {
        Ok(at) => {
            let known = &mut known[at];
            known.span = known.span.union(one.span);
            known.flow = known.flow.min(one.flow);
            known.flow_direction = least(known.flow_direction, one.flow_direction);
            known.reject_reason = least(known.reject_reason, one.reject_reason);
        }
        Err(at) if at < SIGHTINGS => {
            known.insert(at, one);
            known.truncate(SIGHTINGS);
        }
        Err(_) => {}
    }
}

/// All requests without an answer, as many as their bound lets there be.
#[derive(Debug, Clone)]
pub(super) struct SilentRequests {
    kept: Vec<SilentRequest>,
    cut: u64,
    cost: usize,
    limit: usize,
    /// Requests of a higher rank are left out: which ones they are does not depend on the order of input.
    highest_rank: u64,
}

impl SilentRequests {
    /// None; they may take `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { kept: Vec::new(), cut: 0, cost: 0, limit, highest_rank: u64::MAX }
    }

    fn push(&mut self, request: SilentRequest) {
        if rank(&request) > self.highest_rank {
            self.cut += 1;
            return;
        }
        self.cost += cost(&request);
        self.kept.push(request);
        while self.cost > self.limit && !self.kept.is_empty() {
            self.highest_rank /= 2;
            let highest = self.highest_rank;
            for out in self.kept.extract_if(.., |request| rank(request) > highest) {
                self.cost -= cost(&out);
                self.cut += 1;
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.cost + (self.kept.capacity() - self.kept.len()) * size_of::<SilentRequest>()
    }

    /// The requests under the final numbers of interfaces, and how many are left out.
    pub(super) fn in_order(
        self,
        new: &impl Fn(InterfaceIndex) -> InterfaceIndex,
    ) -> (Vec<SilentRequest>, u64) {
        let mut requests = self.kept;
        for request in &mut requests {
            request.interface = new(request.interface);
            for sighting in &mut request.sightings {
                sighting.interface = new(sighting.interface);
            }
        }
        requests.sort_unstable_by_key(|one| (one.interface, one.packet, one.span, one.flow));
        (requests, self.cut)
    }
}

fn cost(request: &SilentRequest) -> usize {
    size_of::<SilentRequest>() + request.sightings.len() * size_of::<Sighting>()
}

fn rank(request: &SilentRequest) -> u64 {
    let mut hasher = FixedState::with_seed(10).build_hasher();
    hasher.write_u64(conversation_hash(&request.packet));
    hasher.write_i64(request.span.start.0);
    hasher.finish()
}
