//! The table of rejected flows that accepted records probe.
//!
//! Requests that were accepted on their way out stand in the same table: whatever belongs to their conversation finds
//! them there. What becomes of them is decided in `silent`.

use std::sync::OnceLock;

use hashbrown::HashTable;

use super::accepted::WideRow;
use super::conversation::RejectedRecord;
use super::decide::merge_copies;
use super::hash::{conversation_hash, conversation_tag};
use super::interface::{InterfaceIndex, InterfaceTable};
use super::nearby::Nearby;
use super::settled::Settled;
use super::silent::settle;
use super::{Span, Timestamp};
use crate::net::{Direction, FiveTuple};

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
    pub(super) first: Stored,
    pub(super) more: Vec<Stored>,
    /// Latest `end` of a rejected record.
    last_end: Timestamp,
    /// When the rejected records were; made when it is first asked for.
    times: OnceLock<Nearby>,
    pub(super) hits: Vec<Hit>,
}

/// A rejected record in the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) identity: u64,
    pub(super) flow_direction: Option<Direction>,
    pub(super) record: RejectedRecord,
}

/// An accepted record of the same conversation, inside the match window of a rejected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) row: WideRow,
    pub(super) relation: Relation,
}

/// A hit, and the place of the flow whose it is.
#[derive(Debug)]
pub(super) struct FlowHit {
    entry: u32,
    hit: Hit,
}

impl Hit {
    /// What tells one accepted record of a conversation from another.
    pub(super) fn key(&self) -> (InterfaceIndex, Relation, Span, Option<u64>, Option<u64>) {
        (self.row.interface, self.relation, self.row.span, self.row.packets, self.row.bytes)
    }

    pub(super) fn order(&self) -> impl Ord + use<> {
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
    /// Two bits for each tag that may be in the table; most accepted records stop here.
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
            entry.times = OnceLock::new();
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
            times: OnceLock::new(),
            hits: Vec::new(),
        });
    }

    fn insert_entry(&mut self, entry: Entry) {
        let tag = conversation_tag(&entry.packet);
        self.requests += usize::from(entry.is_request);
        self.entries.push(entry);
        self.index(self.entries.len() - 1);
        if self.filter.len() * 8 < self.table.len() {
            self.rebuild_filter();
        } else {
            mark(&mut self.filter, tag);
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

    /// Finds the flows that one row, its interface by the join's number, is near to.
    pub(super) fn probe_row(&self, row: &WideRow, match_window_seconds: i64, found: &mut Vec<FlowHit>) {
        if !self.may_contain(conversation_tag(&row.packet)) {
            return;
        }
        for at in self.table.iter_hash(conversation_hash(&row.packet)) {
            let entry = &self.entries[*at as usize];
            let relation =
                if entry.is_request { entry.relation_to_request(row) } else { entry.relation(row) };
            let Some(relation) = relation else { continue };
            let rejected = std::iter::once(&entry.first).chain(&entry.more);
            let times = entry.times.get_or_init(|| Nearby::new(rejected.map(|stored| stored.record.span)));
            if times.any_within(row.span, match_window_seconds) {
                found.push(FlowHit { entry: *at, hit: Hit { row: *row, relation } });
            }
        }
    }

    /// Takes note of what was found since the last change of the table, and leaves an empty list.
    pub(super) fn take_hits(&mut self, found: &mut Vec<FlowHit>) {
        self.hits += found.len();
        for FlowHit { entry, hit } in found.drain(..) {
            self.entries[entry as usize].hits.push(hit);
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
        let is_over =
            |entry: &Entry| entry.last_end < horizon && !self.keeps_its_requests(entry.hash, horizon);
        let leaving: Vec<bool> = self.entries.iter().map(is_over).collect();
        let mut leaves = leaving.into_iter();
        let over: Vec<Entry> = self.entries.extract_if(.., |_| leaves.next() == Some(true)).collect();
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

    /// Whether a request of this conversation is here and something of it is not over yet: what is rejected tells of the
    /// request, so that all of them leave together.
    fn keeps_its_requests(&self, hash: u64, horizon: Timestamp) -> bool {
        if self.requests == 0 {
            return false;
        }
        let (mut has_request, mut goes_on) = (false, false);
        for entry in self.table.iter_hash(hash).map(|at| &self.entries[*at as usize]) {
            if entry.hash == hash {
                has_request |= entry.is_request;
                goes_on |= entry.last_end >= horizon;
            }
        }
        has_request && goes_on
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

    /// Whether a conversation with this tag may be in the table.
    #[inline]
    pub(super) fn may_contain(&self, tag: u32) -> bool {
        let (word, bits) = filter_place(tag, self.filter.len());
        self.filter.get(word).is_some_and(|known| known & bits == bits)
    }

    /// Two bits of about 32 for each flow, so that of some hundred other probes one goes on to the table.
    fn rebuild_filter(&mut self) {
        let words = (self.table.len() / 2).next_power_of_two().max(64);
        self.filter.clear();
        self.filter.resize(words, 0);
        for entry in &self.entries {
            mark(&mut self.filter, conversation_tag(&entry.packet));
        }
    }
}

fn mark(filter: &mut [u64], tag: u32) {
    let (word, bits) = filter_place(tag, filter.len());
    filter[word] |= bits;
}

/// The word of a tag, and its two bits in it.
#[inline]
fn filter_place(tag: u32, words: usize) -> (usize, u64) {
    // The sum of two ends is not mixed yet.
    let mixed = u64::from(tag).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = (mixed >> 38) as usize & words.wrapping_sub(1);
    (word, 1 << (mixed >> 32 & 63) | 1 << (mixed >> 26 & 63))
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
}
