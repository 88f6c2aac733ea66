//! The table of rejected flows that accepted records probe, and the decision which of them are replies.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::accepted::{AcceptedRow, WideRow};
use super::conversation::{Conversation, RejectedRecord, RequestEvidence, UnpairedKind, UnpairedReject};
use super::interface::InterfaceIndex;
use super::{Span, Timestamp};
use crate::net::{Direction, FiveTuple, Protocol, TcpFlags};

/// A rejected record as a batch hands it over.
#[derive(Debug, Clone)]
pub(super) struct RejectedRow {
    pub(super) interface: InterfaceIndex,
    pub(super) flow: FiveTuple,
    pub(super) packet: FiveTuple,
    pub(super) flow_direction: Option<Direction>,
    pub(super) record: RejectedRecord,
    pub(super) identity: u64,
}

/// All rejected records of one direction of one conversation on one interface, and the accepted ones around them.
#[derive(Debug)]
struct Entry {
    hash: u64,
    interface: InterfaceIndex,
    flow: FiveTuple,
    packet: FiveTuple,
    flow_direction: Option<Direction>,
    rejected: Vec<RejectedRecord>,
    hits: Vec<Hit>,
}

/// An accepted record of the same conversation, inside the match window of a rejected one.
#[derive(Debug, Clone, Copy)]
struct Hit {
    row: WideRow,
    relation: Relation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// The other direction, on the same interface: the request.
    Reverse,
    /// The same direction, on the same interface: a reply that got through.
    Same,
    /// The other direction, on another interface of the same host.
    ReverseElsewhere,
}

/// Rejected flows by conversation: both directions, on all interfaces, find the same place.
#[derive(Debug, Default)]
pub(super) struct RejectTable {
    table: HashTable<Entry>,
    /// One bit for each hash that may be in the table; most accepted records stop here.
    filter: Vec<u64>,
    records: usize,
}

/// What leaves the table.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) conversations: Vec<Conversation>,
    pub(super) unpaired: Vec<UnpairedReject>,
}

impl RejectTable {
    pub(super) fn insert(&mut self, row: RejectedRow) {
        let hash = conversation_hash(&row.packet);
        self.records += 1;
        let found =
            self.table.find_mut(hash, |entry| entry.interface == row.interface && entry.packet == row.packet);
        if let Some(entry) = found {
            // Two formats on one interface: whichever says more counts, in whatever order they came.
            entry.flow = entry.flow.min(row.flow);
            entry.flow_direction = match (entry.flow_direction, row.flow_direction) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            entry.rejected.push(row.record);
            return;
        }
        let entry = Entry {
            hash,
            interface: row.interface,
            flow: row.flow,
            packet: row.packet,
            flow_direction: row.flow_direction,
            rejected: vec![row.record],
            hits: Vec::new(),
        };
        self.table.insert_unique(hash, entry, |entry| entry.hash);
        if self.filter.len() * 8 < self.table.len() {
            self.rebuild_filter();
        } else {
            self.mark(hash);
        }
    }

    /// Rejected records held.
    pub(super) fn len(&self) -> usize {
        self.records
    }

    pub(super) fn bytes(&self) -> usize {
        self.table.capacity() * (size_of::<Entry>() + 8) + self.records * size_of::<RejectedRecord>()
    }

    /// Lets a compact row probe the table.
    #[inline]
    pub(super) fn probe(&mut self, row: &AcceptedRow, match_window_seconds: i64) {
        let (a, b) = row.ends();
        let hash = hash_ends_v4(a, b, row.protocol());
        if self.may_contain(hash) {
            self.hit(hash, &row.widen(), match_window_seconds);
        }
    }

    /// Lets a wide row probe the table.
    pub(super) fn probe_wide(&mut self, row: &WideRow, match_window_seconds: i64) {
        let hash = conversation_hash(&row.packet);
        if self.may_contain(hash) {
            self.hit(hash, row, match_window_seconds);
        }
    }

    fn hit(&mut self, hash: u64, row: &WideRow, match_window_seconds: i64) {
        for entry in self.table.iter_hash_mut(hash) {
            let Some(relation) = entry.relation(row) else { continue };
            if entry.rejected.iter().any(|record| record.span.gap(row.span) <= match_window_seconds) {
                entry.hits.push(Hit { row: *row, relation });
            }
        }
    }

    /// Takes out the flows whose last rejected record ended before `horizon`, decided.
    pub(super) fn settle_before(
        &mut self,
        horizon: Timestamp,
        match_window_seconds: i64,
        into: &mut Settled,
    ) {
        let done: Vec<Entry> = self
            .table
            .extract_if(|entry| entry.rejected.iter().all(|record| record.span.end < horizon))
            .collect();
        if done.is_empty() {
            return;
        }
        for entry in done {
            self.records -= entry.rejected.len();
            entry.settle(match_window_seconds, into);
        }
        self.rebuild_filter();
    }

    /// Decides everything that is left.
    pub(super) fn settle_all(mut self, match_window_seconds: i64, into: &mut Settled) {
        for entry in self.table.drain() {
            entry.settle(match_window_seconds, into);
        }
    }

    #[inline]
    fn may_contain(&self, hash: u64) -> bool {
        let (word, bit) = filter_place(hash, self.filter.len());
        self.filter.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn mark(&mut self, hash: u64) {
        let (word, bit) = filter_place(hash, self.filter.len());
        self.filter[word] |= bit;
    }

    /// About 32 bits for each flow, so that one in thirty other probes goes on to the table.
    fn rebuild_filter(&mut self) {
        let words = (self.table.len() / 2).next_power_of_two().max(64);
        self.filter.clear();
        self.filter.resize(words, 0);
        let hashes: Vec<u64> = self.table.iter().map(|entry| entry.hash).collect();
        for hash in hashes {
            self.mark(hash);
        }
    }
}

#[inline]
fn filter_place(hash: u64, words: usize) -> (usize, u64) {
    #[expect(clippy::cast_possible_truncation, reason = "any part of the hash will do")]
    let word = (hash >> 12) as usize & words.wrapping_sub(1);
    (word, 1 << (hash >> 6 & 63))
}

impl Entry {
    fn relation(&self, row: &WideRow) -> Option<Relation> {
        if row.packet == self.packet {
            return (row.interface == self.interface).then_some(Relation::Same);
        }
        if row.packet != self.packet.reversed() {
            return None;
        }
        if row.interface == self.interface {
            return Some(Relation::Reverse);
        }
        // The peer's own interface sees the same conversation the other way round; only a request that went the
        // opposite way through another interface of this side is meant, and only the direction field can tell.
        let opposite = self.flow_direction.map(Direction::opposite);
        (opposite.is_some() && row.flow_direction == opposite).then_some(Relation::ReverseElsewhere)
    }

    /// Decides record by record, then gathers the replies into conversations.
    fn settle(mut self, match_window_seconds: i64, into: &mut Settled) {
        self.rejected.sort_unstable();
        let mut replies: Vec<RejectedRecord> = Vec::new();
        let mut others: Vec<(UnpairedKind, RejectedRecord)> = Vec::new();
        for record in std::mem::take(&mut self.rejected) {
            match self.kind_of(&record, match_window_seconds) {
                None => replies.push(record),
                Some(kind) => others.push((kind, record)),
            }
        }
        for group in split_by_gap(replies, match_window_seconds) {
            into.conversations.push(self.conversation(group, match_window_seconds));
        }
        for kind in [UnpairedKind::Request, UnpairedKind::RequestSide, UnpairedKind::Unsolicited] {
            let rejected: Vec<_> =
                others.iter().filter(|(k, _)| *k == kind).map(|(_, record)| *record).collect();
            if !rejected.is_empty() {
                into.unpaired.push(UnpairedReject {
                    interface: self.interface,
                    flow: self.flow,
                    packet: self.packet,
                    flow_direction: self.flow_direction,
                    kind,
                    rejected,
                });
            }
        }
    }

    /// `None` for a rejected reply, else why it is none.
    fn kind_of(&self, record: &RejectedRecord, match_window_seconds: i64) -> Option<UnpairedKind> {
        let flags = record.tcp_flags.filter(|_| self.packet.protocol == Protocol::TCP).unwrap_or_default();
        if flags.has_syn_ack() {
            return None;
        }
        if flags.is_pure_syn() {
            return Some(UnpairedKind::Request);
        }
        let near = |hit: &&Hit| hit.row.span.gap(record.span) <= match_window_seconds;
        let any = |relation, test: fn(TcpFlags) -> bool| {
            let hits = self.hits.iter().filter(near).filter(|hit| hit.relation == relation);
            hits.filter_map(|hit| hit.row.tcp_flags).any(test)
        };
        let paired = self.hits.iter().filter(near).any(|hit| hit.relation != Relation::Same);
        if !paired {
            return Some(UnpairedKind::Unsolicited);
        }
        // Who began? A SYN in this direction or a SYN-ACK in the other one makes this side the requester.
        let this_side_began =
            any(Relation::Same, TcpFlags::is_pure_syn) || any(Relation::Reverse, TcpFlags::has_syn_ack);
        let other_side_began =
            any(Relation::Same, TcpFlags::has_syn_ack) || any(Relation::Reverse, TcpFlags::is_pure_syn);
        let is_tcp = self.packet.protocol == Protocol::TCP;
        (is_tcp && this_side_began && !other_side_began).then_some(UnpairedKind::RequestSide)
    }

    fn conversation(&self, rejected: Vec<RejectedRecord>, match_window_seconds: i64) -> Conversation {
        let near =
            |hit: &&Hit| rejected.iter().any(|record| record.span.gap(hit.row.span) <= match_window_seconds);
        let of = |relation| self.hits.iter().filter(near).filter(move |hit| hit.relation == relation);
        let first_rejected = rejected.iter().map(|record| record.span.start).min().unwrap_or_default();
        let both_ways =
            || of(Relation::Reverse).chain(of(Relation::Same)).chain(of(Relation::ReverseElsewhere));
        let closing_since = both_ways()
            .filter(|hit| hit.row.tcp_flags.is_some_and(TcpFlags::is_closing))
            .map(|hit| hit.row.span.start)
            .min();
        let last_activity = both_ways().map(|hit| hit.row.span).filter(|span| span.start <= first_rejected);
        let idle_seconds =
            last_activity.map(|span| span.end).max().map(|end| first_rejected.seconds_since(end).max(0));
        Conversation {
            interface: self.interface,
            reply: self.flow,
            packet: self.packet,
            flow_direction: self.flow_direction,
            request: evidence(of(Relation::Reverse)).or_else(|| evidence(of(Relation::ReverseElsewhere))),
            accepted_reply: evidence(of(Relation::Same)),
            closing_since,
            idle_seconds,
            rejected,
        }
    }
}

/// Cuts records in time order wherever more than the match window lies between two of them.
fn split_by_gap(records: Vec<RejectedRecord>, match_window_seconds: i64) -> Vec<Vec<RejectedRecord>> {
    let mut groups: Vec<Vec<RejectedRecord>> = Vec::new();
    let mut last_end = None;
    for record in records {
        match (groups.last_mut(), last_end) {
            (Some(group), Some(end)) if record.span.start.seconds_since(end) <= match_window_seconds => {
                group.push(record);
            }
            _ => groups.push(vec![record]),
        }
        last_end = last_end.max(Some(record.span.end));
    }
    groups
}

/// Sums accepted records; `None` when there are none.
fn evidence<'a>(hits: impl Iterator<Item = &'a Hit>) -> Option<RequestEvidence> {
    let mut sum: Option<RequestEvidence> = None;
    for Hit { row, relation } in hits {
        let other_interface = (*relation == Relation::ReverseElsewhere).then_some(row.interface);
        let known = sum.get_or_insert(RequestEvidence {
            span: row.span,
            packets: 0,
            bytes: 0,
            tcp_flags: None,
            other_interface,
        });
        known.span = Span::union(known.span, row.span);
        known.packets += row.packets;
        known.bytes += row.bytes;
        known.tcp_flags = match (known.tcp_flags, row.tcp_flags) {
            (Some(a), Some(b)) => Some(TcpFlags(a.0 | b.0)),
            (a, b) => a.or(b),
        };
        known.other_interface = known.other_interface.min(other_interface);
    }
    sum
}

/// A hash that both directions of a conversation share.
fn conversation_hash(tuple: &FiveTuple) -> u64 {
    let end = |address: IpAddr, port: u16| match address {
        IpAddr::V4(address) => u64::from(address.to_bits()) << 16 | u64::from(port),
        IpAddr::V6(address) => {
            let mut hasher = FixedState::with_seed(6).build_hasher();
            hasher.write_u128(address.to_bits());
            hasher.write_u16(port);
            hasher.finish()
        }
    };
    hash_ends_v4(end(tuple.srcaddr, tuple.srcport), end(tuple.dstaddr, tuple.dstport), tuple.protocol)
}

#[inline]
fn hash_ends_v4(a: u64, b: u64, protocol: Protocol) -> u64 {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut hasher = FixedState::with_seed(4).build_hasher();
    hasher.write_u64(low);
    hasher.write_u64(high ^ u64::from(protocol.0) << 56);
    hasher.finish()
}
