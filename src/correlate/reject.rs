//! The table of rejected flows that accepted records probe, and the decision which of them are replies.
//!
//! Requests that were accepted on their way out stand in the same table: whatever belongs to their conversation finds
//! them there. What becomes of them is decided in `silent`.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::{HashSet, HashTable};

use super::accepted::WideRow;
use super::conversation::{Conversation, RejectedRecord, UnpairedKind, UnpairedPart};
use super::draft::{Draft, split_by_gap};
use super::interface::{InterfaceIndex, InterfaceTable};
use super::nearby::Nearby;
use super::settled::Settled;
use super::silent::settle;
use super::waiting::Run;
use super::{Span, Timestamp};
use crate::net::{Direction, FiveTuple, Protocol, TcpFlags};

/// A rejected record, or an accepted request whose answer is looked for, as a batch hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RejectedRow {
    pub(super) interface: InterfaceIndex,
    pub(super) flow: FiveTuple,
    pub(super) packet: FiveTuple,
    pub(super) flow_direction: Option<Direction>,
    pub(super) record: RejectedRecord,
    pub(super) identity: u64,
    pub(super) is_request: bool,
}

/// All rejected records of one direction of one conversation on one interface, and the accepted ones around them.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) hash: u64,
    pub(super) interface: InterfaceIndex,
    pub(super) flow: FiveTuple,
    pub(super) packet: FiveTuple,
    /// These records are no rejects but requests that went out.
    pub(super) is_request: bool,
    /// The first rejected record that came; of a scan there is no other.
    first: Stored,
    more: Vec<Stored>,
    /// Latest `end` of a rejected record.
    last_end: Timestamp,
    /// When the rejected records were; made when it is first asked for.
    times: Option<Nearby>,
    pub(super) hits: Vec<Hit>,
}

/// A rejected record in the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    identity: u64,
    pub(super) flow_direction: Option<Direction>,
    pub(super) record: RejectedRecord,
}

/// An accepted record of the same conversation, inside the match window of a rejected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) row: WideRow,
    pub(super) relation: Relation,
}

impl Hit {
    /// What tells one accepted record of a conversation from another.
    fn key(&self) -> (InterfaceIndex, Relation, Span, Option<u64>, Option<u64>) {
        (self.row.interface, self.relation, self.row.span, self.row.packets, self.row.bytes)
    }

    fn order(&self) -> impl Ord + use<> {
        (self.key(), self.row.flow_direction, self.row.tcp_flags)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Relation {
    /// The other direction, on the same interface: the request.
    Reverse,
    /// The same direction, on the same interface: a reply that got through.
    Same,
    /// The other direction, on another interface: of the same host, and for requests of any.
    ReverseElsewhere,
    /// The same direction, on another interface; for requests only.
    SameElsewhere,
}

/// Rejected flows by conversation: both directions, on all interfaces, find the same place.
#[derive(Debug, Clone, Default)]
pub(super) struct RejectTable {
    /// Places in `entries`: a list of them grows without being in memory twice.
    table: HashTable<u32>,
    entries: Vec<Entry>,
    /// One bit for each hash that may be in the table; most accepted records stop here.
    filter: Vec<u64>,
    records: usize,
    hits: usize,
    /// Entries that are requests.
    requests: usize,
}

impl RejectTable {
    /// What a flow of one record takes at most.
    pub(super) const BYTES_A_FLOW: usize = size_of::<Entry>() + 2 * size_of::<Stored>();

    /// An empty table with room for the flows of so many records.
    pub(super) fn with_room_for(records: usize) -> Self {
        Self { entries: Vec::with_capacity(records), ..Self::default() }
    }

    pub(super) fn insert(&mut self, row: &RejectedRow) {
        let hash = conversation_hash(&row.packet);
        self.records += 1;
        let stored =
            Stored { identity: row.identity, flow_direction: row.flow_direction, record: row.record };
        let end = row.record.span.end;
        // The same packets may pass an appliance's interface twice, in and out: the logged addresses tell.
        let found = self.table.find(hash, |at| {
            let entry = &self.entries[*at as usize];
            entry.is_request == row.is_request
                && entry.interface == row.interface
                && entry.packet == row.packet
                && entry.flow == row.flow
        });
        if let Some(at) = found {
            let entry = &mut self.entries[*at as usize];
            entry.last_end = entry.last_end.max(end);
            entry.times = None;
            entry.more.push(stored);
            return;
        }
        self.insert_entry(Entry {
            hash,
            interface: row.interface,
            flow: row.flow,
            packet: row.packet,
            is_request: row.is_request,
            first: stored,
            more: Vec::new(),
            last_end: end,
            times: None,
            hits: Vec::new(),
        });
    }

    fn insert_entry(&mut self, entry: Entry) {
        let hash = entry.hash;
        self.requests += usize::from(entry.is_request);
        self.entries.push(entry);
        self.index(self.entries.len() - 1);
        if self.filter.len() * 8 < self.table.len() {
            self.rebuild_filter();
        } else {
            mark(&mut self.filter, hash);
        }
    }

    /// Makes the entry at this place findable.
    fn index(&mut self, at: usize) {
        let entries = &self.entries;
        let place = u32::try_from(at).unwrap_or(u32::MAX);
        self.table.insert_unique(entries[at].hash, place, |at| entries[*at as usize].hash);
    }

    /// Bytes held, by their sizes.
    pub(super) fn bytes(&self) -> usize {
        // Vectors grow by doubling: half as much again on average. Times are kept in a list of their own.
        let lists = self.records * (size_of::<Stored>() + size_of::<Span>()) + self.hits * size_of::<Hit>();
        let entries = self.entries.len() * size_of::<Entry>();
        // The table is full at seven eighths, with a byte beside each place.
        let places = self.table.capacity() / 7 * 8 * (size_of::<u32>() + 1);
        entries + places + self.filter.capacity() * size_of::<u64>() + lists + lists / 2
    }

    /// Lets the rows of one run probe the table.
    pub(super) fn probe(&mut self, run: &Run, match_window_seconds: i64) {
        if self.records == 0 {
            return;
        }
        for row in &run.rows {
            let (a, b) = row.ends();
            let hash = hash_ends_v4(a, b, row.protocol());
            if self.may_contain(hash) {
                let mut row = row.widen();
                if let Some(interfaces) = &run.interfaces {
                    row.interface = interfaces[row.interface.0 as usize];
                }
                self.hit(hash, &row, match_window_seconds);
            }
        }
        for row in &run.wide {
            self.probe_row(row, match_window_seconds);
        }
    }

    /// Lets one row, its interface by the join's number, probe the table.
    pub(super) fn probe_row(&mut self, row: &WideRow, match_window_seconds: i64) {
        let hash = conversation_hash(&row.packet);
        if self.may_contain(hash) {
            self.hit(hash, row, match_window_seconds);
        }
    }

    fn hit(&mut self, hash: u64, row: &WideRow, match_window_seconds: i64) {
        for at in self.table.iter_hash(hash) {
            let entry = &mut self.entries[*at as usize];
            let relation =
                if entry.is_request { entry.relation_to_request(row) } else { entry.relation(row) };
            let Some(relation) = relation else { continue };
            let rejected = std::iter::once(&entry.first).chain(&entry.more);
            let times =
                entry.times.get_or_insert_with(|| Nearby::new(rejected.map(|stored| stored.record.span)));
            if times.any_within(row.span, match_window_seconds) {
                entry.hits.push(Hit { row: *row, relation });
                self.hits += 1;
            }
        }
    }

    /// Takes out the flows whose last rejected record ended before `horizon`, decided. `true` if there were any.
    pub(super) fn settle_before(
        &mut self,
        horizon: Timestamp,
        match_window_seconds: i64,
        interfaces: &InterfaceTable,
        into: &mut Settled,
    ) -> bool {
        let staying = self.conversations_that_stay(horizon);
        let is_over = |entry: &mut Entry| entry.last_end < horizon && !staying.contains(&entry.hash);
        let over: Vec<Entry> = self.entries.extract_if(.., is_over).collect();
        if over.is_empty() {
            return false;
        }
        for entry in &over {
            self.records -= 1 + entry.more.len();
            self.hits -= entry.hits.len();
            self.requests -= usize::from(entry.is_request);
        }
        settle(over, match_window_seconds, interfaces, into);
        self.table.clear();
        (0..self.entries.len()).for_each(|at| self.index(at));
        self.rebuild_filter();
        true
    }

    /// Decides everything that is left.
    pub(super) fn settle_all(
        self,
        match_window_seconds: i64,
        interfaces: &InterfaceTable,
        into: &mut Settled,
    ) {
        settle(self.entries, match_window_seconds, interfaces, into);
    }

    /// Hashes of conversations of which a request is here and something is not over yet: what is rejected tells of the
    /// request, so that all of them leave together.
    fn conversations_that_stay(&self, horizon: Timestamp) -> HashSet<u64> {
        if self.requests == 0 {
            return HashSet::new();
        }
        let requests = self.entries.iter().filter(|entry| entry.is_request).map(|entry| entry.hash);
        let stays = |hash: &u64| {
            let mut entries = self.table.iter_hash(*hash).map(|at| &self.entries[*at as usize]);
            entries.any(|entry| entry.hash == *hash && entry.last_end >= horizon)
        };
        requests.filter(stays).collect()
    }

    /// Takes out everything, undecided.
    pub(super) fn take_entries(&mut self) -> impl Iterator<Item = Entry> + use<> {
        std::mem::take(self).entries.into_iter()
    }

    /// Takes in the flows of another table; none of them may be in this one.
    pub(super) fn take_in(&mut self, other: Self) {
        self.records += other.records;
        self.hits += other.hits;
        other.entries.into_iter().for_each(|entry| self.insert_entry(entry));
    }

    #[inline]
    fn may_contain(&self, hash: u64) -> bool {
        let (word, bit) = filter_place(hash, self.filter.len());
        self.filter.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// About 32 bits for each flow, so that one in thirty other probes goes on to the table.
    fn rebuild_filter(&mut self) {
        let words = (self.table.len() / 2).next_power_of_two().max(64);
        self.filter.clear();
        self.filter.resize(words, 0);
        for entry in &self.entries {
            mark(&mut self.filter, entry.hash);
        }
    }
}

fn mark(filter: &mut [u64], hash: u64) {
    let (word, bit) = filter_place(hash, filter.len());
    filter[word] |= bit;
}

#[inline]
fn filter_place(hash: u64, words: usize) -> (usize, u64) {
    let word = (hash >> 12) as usize & words.wrapping_sub(1);
    (word, 1 << (hash >> 6 & 63))
}

impl Entry {
    /// Its rejected records as rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = RejectedRow> {
        std::iter::once(&self.first).chain(&self.more).map(|stored| RejectedRow {
            interface: self.interface,
            flow: self.flow,
            packet: self.packet,
            flow_direction: stored.flow_direction,
            record: stored.record,
            identity: stored.identity,
            is_request: self.is_request,
        })
    }

    /// The accepted rows around them, each once: a row that several flows found is written once for each of them, and
    /// every one of these finds all of them again.
    pub(super) fn into_hits(mut self) -> impl Iterator<Item = WideRow> {
        self.hits.sort_unstable_by_key(Hit::order);
        self.hits.dedup();
        self.hits.into_iter().map(|hit| hit.row)
    }

    /// Takes out its records, each once, in time order.
    pub(super) fn take_records(&mut self) -> Vec<Stored> {
        let mut records = std::mem::take(&mut self.more);
        records.push(self.first);
        merge_copies(records)
    }

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
        // opposite way through another interface of this side is meant, and only the direction field can tell. Which
        // way the rejected records went is asked when all of them are there.
        row.flow_direction.map(|_| Relation::ReverseElsewhere)
    }

    /// Decides record by record, then gathers the replies into conversations.
    pub(super) fn settle(
        mut self,
        match_window_seconds: i64,
        interfaces: &InterfaceTable,
        into: &mut Settled,
    ) {
        let is_tcp = self.packet.protocol == Protocol::TCP;
        if self.hits.is_empty()
            && self.more.is_empty()
            && let Some(kind) = Around::default().kind_of(&self.first, is_tcp, match_window_seconds)
        {
            into.unpaired(&self.unpaired(kind, self.first.flow_direction, &[self.first.record]));
            return;
        }
        let hits = merge_hits(std::mem::take(&mut self.hits));
        let around = Around::new(&hits);
        let mut replies: Vec<Stored> = Vec::new();
        let mut others: [Vec<Stored>; 3] = Default::default();
        for stored in self.take_records() {
            match around.kind_of(&stored, is_tcp, match_window_seconds) {
                None => replies.push(stored),
                Some(kind) => others[kind as usize].push(stored),
            }
        }
        let mut drafts = split_by_gap(&replies, match_window_seconds);
        for hit in &hits {
            let span = hit.row.span;
            // Records of one draft lie so close that whatever is near its span is near one of them.
            let first = drafts
                .partition_point(|draft| span.start.seconds_since(draft.span.end) > match_window_seconds);
            let near = |draft: &&mut Draft| draft.span.start.seconds_since(span.end) <= match_window_seconds;
            for draft in drafts[first..].iter_mut().take_while(near) {
                draft.add(hit, interfaces);
            }
        }
        for draft in drafts {
            into.conversation(Conversation {
                interface: self.interface,
                reply: self.flow,
                packet: self.packet,
                flow_direction: draft.flow_direction,
                request: draft.request.or(draft.request_elsewhere),
                accepted_reply: draft.accepted_reply,
                closing_since: draft.closing_since,
                idle_seconds: draft.last_activity.map(|end| draft.span.start.seconds_since(end).max(0)),
                rejected: draft.rejected,
            });
        }
        for kind in [UnpairedKind::Request, UnpairedKind::RequestSide, UnpairedKind::Unsolicited] {
            let stored = &others[kind as usize];
            if !stored.is_empty() {
                let direction = stored.iter().filter_map(|stored| stored.flow_direction).min();
                let records: Vec<_> = stored.iter().map(|stored| stored.record).collect();
                into.unpaired(&self.unpaired(kind, direction, &records));
            }
        }
    }

    fn unpaired<'r>(
        &self,
        kind: UnpairedKind,
        flow_direction: Option<Direction>,
        rejected: &'r [RejectedRecord],
    ) -> UnpairedPart<'r> {
        let Self { interface, flow, packet, .. } = *self;
        UnpairedPart { interface, flow, packet, flow_direction, kind, rejected }
    }
}

/// What formats say differently of one record is put together. The result is in time order.
fn merge_copies(mut rejected: Vec<Stored>) -> Vec<Stored> {
    rejected.sort_unstable_by_key(|stored| stored.identity);
    rejected.dedup_by(|copy, kept| {
        if copy.identity != kept.identity {
            return false;
        }
        kept.flow_direction = least(kept.flow_direction, copy.flow_direction);
        kept.record.tcp_flags = either_flags(kept.record.tcp_flags, copy.record.tcp_flags);
        kept.record.reject_reason = least(kept.record.reject_reason, copy.record.reject_reason);
        true
    });
    rejected.sort_unstable_by_key(|stored| (stored.record, stored.flow_direction));
    rejected
}

/// The same for accepted records: of one interface, one tuple, one window and one size.
pub(super) fn merge_hits(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_unstable_by_key(Hit::order);
    hits.dedup_by(|copy, kept| {
        let directions = (copy.row.flow_direction, kept.row.flow_direction);
        if copy.key() != kept.key() || matches!(directions, (Some(a), Some(b)) if a != b) {
            return false;
        }
        kept.row.flow_direction = least(directions.0, directions.1);
        kept.row.tcp_flags = either_flags(kept.row.tcp_flags, copy.row.tcp_flags);
        true
    });
    hits
}

pub(super) fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

pub(super) fn either_flags(a: Option<TcpFlags>, b: Option<TcpFlags>) -> Option<TcpFlags> {
    match (a, b) {
        (Some(a), Some(b)) => Some(TcpFlags(a.0 | b.0)),
        (a, b) => a.or(b),
    }
}

/// The times of the accepted records around the rejected ones, by what they tell.
#[derive(Debug, Default)]
struct Around {
    requests: Nearby,
    /// Requests through another interface that went in, and that went out.
    elsewhere: [Nearby; 2],
    /// A SYN in the rejected direction or a SYN-ACK in the other one makes this side the requester.
    this_side_began: Nearby,
    other_side_began: Nearby,
}

impl Around {
    fn new(hits: &[Hit]) -> Self {
        let of = |test: &dyn Fn(&Hit) -> bool| {
            Nearby::new(hits.iter().filter(|hit| test(hit)).map(|hit| hit.row.span))
        };
        let says = |hit: &Hit, relation, test: fn(TcpFlags) -> bool| {
            hit.relation == relation && hit.row.tcp_flags.is_some_and(test)
        };
        let elsewhere = |direction| {
            of(&|hit| hit.relation == Relation::ReverseElsewhere && hit.row.flow_direction == Some(direction))
        };
        Self {
            requests: of(&|hit| hit.relation == Relation::Reverse),
            elsewhere: [elsewhere(Direction::Ingress), elsewhere(Direction::Egress)],
            this_side_began: of(&|hit| {
                says(hit, Relation::Same, TcpFlags::is_pure_syn)
                    || says(hit, Relation::Reverse, TcpFlags::has_syn_ack)
            }),
            other_side_began: of(&|hit| {
                says(hit, Relation::Same, TcpFlags::has_syn_ack)
                    || says(hit, Relation::Reverse, TcpFlags::is_pure_syn)
            }),
        }
    }

    /// `None` for a rejected reply, else why it is none.
    fn kind_of(&self, stored: &Stored, is_tcp: bool, match_window_seconds: i64) -> Option<UnpairedKind> {
        let span = stored.record.span;
        let flags = stored.record.tcp_flags.filter(|_| is_tcp).unwrap_or_default();
        if flags.has_syn_ack() {
            return None;
        }
        if flags.is_pure_syn() {
            return Some(UnpairedKind::Request);
        }
        let any = |times: &Nearby| times.any_within(span, match_window_seconds);
        let elsewhere = match stored.flow_direction {
            Some(Direction::Egress) => any(&self.elsewhere[0]),
            Some(Direction::Ingress) => any(&self.elsewhere[1]),
            None => false,
        };
        if !elsewhere && !any(&self.requests) {
            return Some(UnpairedKind::Unsolicited);
        }
        let this_side_is_the_requester = is_tcp && any(&self.this_side_began) && !any(&self.other_side_began);
        this_side_is_the_requester.then_some(UnpairedKind::RequestSide)
    }
}

/// A hash that both directions of a conversation share.
pub(super) fn conversation_hash(tuple: &FiveTuple) -> u64 {
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

/// The partition of rows outside memory, by bits of the hash that neither the table nor its filter goes by.
#[inline]
pub(super) fn partition_of(hash: u64) -> usize {
    usize::from(hash.to_le_bytes()[5])
}

#[inline]
fn hash_ends_v4(a: u64, b: u64, protocol: Protocol) -> u64 {
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let mut hasher = FixedState::with_seed(4).build_hasher();
    hasher.write_u64(low);
    hasher.write_u64(high ^ u64::from(protocol.0) << 56);
    hasher.finish()
}
