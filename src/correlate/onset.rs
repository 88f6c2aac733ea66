//! When replies of a kind were accepted last before the first one was rejected.
//!
//! Short connections leave no accepted record in the conversation whose reply is rejected: it is the one before that got
//! its answer. Replies are of one kind when they pass the same interface the same way from the same port of the same
//! protocol. Owns the join over the accepted records as they are forgotten. Refuses to know why anything was rejected.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::accepted::WideRow;
use super::interface::{InterfaceIndex, InterfaceTable};
use super::reject::RejectedRow;
use super::waiting::Run;
use crate::net::{Direction, FiveTuple, Timestamp};

/// Kinds kept. With more than that, as in a scan, nothing is said of any: which ones were kept would depend on the order of
/// input.
pub(super) const MOST_KINDS: usize = 262_144;

/// When replies of one kind were rejected first, and accepted last before.
#[derive(Debug, Clone, Copy)]
struct Turn {
    first_rejected: Timestamp,
    last_accepted: Option<Timestamp>,
}

/// When replies of a kind were accepted last before the first one was rejected, no longer before than the match window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Onsets {
    last_accepted: BTreeMap<u64, Timestamp>,
    match_window_seconds: i64,
    /// Whether there were too many kinds to say this of any.
    pub given_up: bool,
}

/// All kinds of which a reply was rejected.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    match_window_seconds: i64,
    kinds: HashMap<u64, Turn>,
    /// One bit for each kind that may be there.
    filter: Vec<u64>,
    /// The latest of the first rejects: what began later tells nothing.
    latest: Option<Timestamp>,
    /// Hashes of names, by the join's numbers.
    names: Vec<u64>,
    given_up: bool,
}

impl Onsets {
    /// The end of the last accepted record before the first rejected one, of replies like this packet. Nothing when replies
    /// of the kind were rejected before already: then it was another time that they stopped being accepted.
    #[must_use]
    pub fn last_accepted(
        &self,
        interface_id: &[u8],
        packet: &FiveTuple,
        direction: Direction,
        first_rejected: Timestamp,
    ) -> Option<Timestamp> {
        let at = self.last_accepted.get(&kind(name_hash(interface_id), packet, direction))?;
        let is_near = |at: &Timestamp| {
            *at <= first_rejected && first_rejected.seconds_since(*at) <= self.match_window_seconds
        };
        Some(*at).filter(is_near)
    }
}

impl Turns {
    pub(super) fn new(match_window_seconds: i64) -> Self {
        Self { match_window_seconds, ..Self::default() }
    }

    /// What is known of each kind.
    pub(super) fn finish(&self) -> Onsets {
        let known = self.kinds.iter().filter_map(|(kind, turn)| Some((*kind, turn.last_accepted?)));
        Onsets {
            last_accepted: known.collect(),
            match_window_seconds: self.match_window_seconds,
            given_up: self.given_up,
        }
    }

    /// Takes note of a rejected record, its interface by the join's number.
    pub(super) fn rejected(&mut self, row: &RejectedRow, interfaces: &InterfaceTable) {
        if self.given_up {
            return;
        }
        let start = row.record.span.start;
        let name = self.name(row.interface, interfaces);
        for direction in [Direction::Ingress, Direction::Egress] {
            let kind = kind(name, &row.packet, direction);
            let turn = self.kinds.entry(kind).or_insert(Turn { first_rejected: start, last_accepted: None });
            turn.first_rejected = turn.first_rejected.min(start);
            turn.last_accepted = turn.last_accepted.filter(|at| *at <= turn.first_rejected);
            self.latest = self.latest.max(Some(turn.first_rejected));
            if self.filter.is_empty() {
                self.filter = vec![0; 4096];
            }
            let (word, bit) = place(kind);
            self.filter[word] |= bit;
        }
        if self.kinds.len() > MOST_KINDS {
            *self = Self { given_up: true, ..Self::default() };
        }
    }

    /// Looks for accepted replies of these kinds.
    pub(super) fn probe(&mut self, run: &Run, interfaces: &InterfaceTable) {
        let Some(latest) = self.latest else { return };
        for row in run.rows.iter().filter(|row| row.end() <= latest.0) {
            let mut row = row.widen();
            if let Some(numbers) = &run.interfaces {
                row.interface = numbers[row.interface.0 as usize];
            }
            self.probe_row(&row, interfaces);
        }
        for row in &run.wide {
            self.probe_row(row, interfaces);
        }
    }

    /// Looks at one row, its interface by the join's number.
    pub(super) fn probe_row(&mut self, row: &WideRow, interfaces: &InterfaceTable) {
        if self.latest.is_none_or(|latest| row.span.end > latest) {
            return;
        }
        let name = self.name(row.interface, interfaces);
        for direction in [Direction::Ingress, Direction::Egress] {
            let kind = kind(name, &row.packet, direction);
            let (word, bit) = place(kind);
            if self.filter[word] & bit == 0 {
                continue;
            }
            if let Some(turn) = self.kinds.get_mut(&kind)
                && row.span.end <= turn.first_rejected
                && turn.first_rejected.seconds_since(row.span.end) <= self.match_window_seconds
            {
                turn.last_accepted = turn.last_accepted.max(Some(row.span.end));
            }
        }
    }

    fn name(&mut self, index: InterfaceIndex, interfaces: &InterfaceTable) -> u64 {
        let at = index.0 as usize;
        for next in self.names.len()..=at {
            let index = InterfaceIndex(u32::try_from(next).unwrap_or(u32::MAX));
            self.names.push(name_hash(interfaces.name(index)));
        }
        self.names[at]
    }
}

fn name_hash(interface_id: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(11).build_hasher();
    hasher.write(interface_id);
    hasher.finish()
}

/// What replies that cross the interface in this direction have in common: its own address is their destination on the
/// way in and their source on the way out.
#[inline]
fn kind(name: u64, packet: &FiveTuple, direction: Direction) -> u64 {
    let own = match direction {
        Direction::Ingress => packet.dstaddr,
        Direction::Egress => packet.srcaddr,
    };
    let mut hasher = FixedState::with_seed(12).build_hasher();
    hasher.write_u64(name);
    hasher.write_u64(u64::from(packet.srcport) << 16 | u64::from(packet.protocol.0) << 8 | direction as u64);
    match own {
        IpAddr::V4(address) => hasher.write_u64(u64::from(address.to_bits())),
        IpAddr::V6(address) => hasher.write_u128(address.to_bits()),
    }
    hasher.finish()
}

/// Word and bit of a kind in the filter.
#[inline]
fn place(kind: u64) -> (usize, u64) {
    ((kind >> 6 & 4095) as usize, 1 << (kind & 63))
}
