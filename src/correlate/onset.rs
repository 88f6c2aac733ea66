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
use hashbrown::hash_map::Entry;

use super::Span;
use super::accepted::{AcceptedRow, WideRow};
use super::hash::{name_hash, origin};
use super::interface::InterfaceTable;
use super::reject::RejectedRow;
use crate::net::{Direction, FiveTuple, Timestamp};

/// Kinds kept. With more than that, as in a scan, nothing is said of any: which ones were kept would depend on the order of
/// input.
pub(super) const MOST_KINDS: usize = 262_144;

/// Seconds of one slot of time for which is noted what was rejected in it first.
const SLOT_SECONDS: i64 = 60;

/// As many origins may be noted for nothing.
const FEWEST_NOTED: usize = if cfg!(test) { 0 } else { 4096 };

/// Different [`origin`]s.
const ORIGINS: usize = 1 << 16;

fn slot_of(time: i64) -> i64 {
    time.div_euclid(SLOT_SECONDS)
}

/// When replies of one kind were rejected first, and accepted last before.
#[derive(Debug, Clone, Copy)]
struct Turn {
    origin: u16,
    first_rejected: Timestamp,
    last_accepted: Option<Timestamp>,
}

/// A reply of a kind that was accepted before one was rejected.
#[derive(Debug)]
pub(super) struct Accepted {
    kind: u64,
    end: Timestamp,
}

/// When replies of a kind were accepted last before the first one was rejected, no longer before than the match window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Onsets {
    last_accepted: BTreeMap<u64, Timestamp>,
    match_window_seconds: i64,
    /// Whether there were too many kinds to say this of any.
    pub given_up: bool,
}

/// Which rows of some time tell something, by their origins.
pub(super) struct Told {
    /// Any of them may.
    all: bool,
    /// A bit for each origin.
    origins: Box<[u64; ORIGINS / 64]>,
    /// When replies from there were rejected first: of those kinds the earliest and the latest moment.
    first_rejected: HashMap<u16, (i64, i64)>,
    match_window_seconds: i64,
}

impl Told {
    /// Whether rows from there can tell something.
    #[inline]
    pub(super) fn has(&self, origin: u16) -> bool {
        self.origins[usize::from(origin) / 64] >> (origin % 64) & 1 != 0
    }

    /// Whether a row may be a reply of a kind that was rejected for the first time when it ended, or within the match
    /// window after.
    pub(super) fn tells(&self, row: &AcceptedRow) -> bool {
        let end = row.end();
        let is_told_of = |(earliest, latest): &(i64, i64)| {
            end <= *latest && *earliest <= end.saturating_add(self.match_window_seconds)
        };
        self.all || self.first_rejected.get(&row.origin()).is_some_and(is_told_of)
    }
}

/// All kinds of which a reply was rejected.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns {
    match_window_seconds: i64,
    kinds: HashMap<u64, Turn>,
    /// Origins of the kinds, by the slot of time in which they were rejected first, or were thought to be: most accepted
    /// records stop here. Kinds that are rejected earlier than was known say nothing of what was forgotten before: that
    /// lies further back than the match window.
    first: BTreeMap<i64, Vec<u16>>,
    /// Origins noted there.
    noted: usize,
    /// The latest of the first rejects: what began later tells nothing.
    latest: Option<Timestamp>,
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
        let name = interfaces.name_hash(row.interface);
        let origin = origin(name, row.packet.srcport, row.packet.protocol);
        self.latest = self.latest.max(Some(start));
        for direction in [Direction::Ingress, Direction::Egress] {
            let kind = kind(name, &row.packet, direction);
            let turn = Turn { origin, first_rejected: start, last_accepted: None };
            match self.kinds.entry(kind) {
                Entry::Vacant(place) => {
                    place.insert(turn);
                }
                Entry::Occupied(mut known) if start < known.get().first_rejected => {
                    let last_accepted = known.get().last_accepted.filter(|at| *at <= start);
                    known.insert(Turn { last_accepted, ..turn });
                }
                Entry::Occupied(_) => continue,
            }
            self.note(turn);
        }
        if self.kinds.len() > MOST_KINDS {
            *self = Self { given_up: true, ..Self::default() };
        }
    }

    fn note(&mut self, turn: Turn) {
        let origins = self.first.entry(slot_of(turn.first_rejected.0)).or_default();
        // Those of one reject come one after the other.
        if origins.last() != Some(&turn.origin) {
            origins.push(turn.origin);
            self.noted += 1;
        }
        // What was thought to be the first reject and is not any more is forgotten in between.
        if self.noted > 2 * self.kinds.len() + FEWEST_NOTED {
            (self.first, self.noted) = (BTreeMap::new(), 0);
            let turns: Vec<Turn> = self.kinds.values().copied().collect();
            for turn in turns {
                self.note(turn);
            }
        }
    }

    /// Which of so many rows in this time can tell something.
    pub(super) fn told_of(&self, time: Span, rows: usize) -> Told {
        let window = self.match_window_seconds;
        let mut told = Told {
            all: false,
            origins: Box::new([0; ORIGINS / 64]),
            first_rejected: HashMap::new(),
            match_window_seconds: window,
        };
        let (from, until) = (time.start.0, time.end.0.saturating_add(window));
        if from > until {
            return told;
        }
        let slots = || self.first.range(slot_of(from)..=slot_of(until));
        // To look at every row is less than to look at every kind then.
        if slots().map(|(_, origins)| origins.len()).sum::<usize>() > rows {
            return Told { all: true, origins: Box::new([u64::MAX; ORIGINS / 64]), ..told };
        }
        for (slot, origins) in slots() {
            let (earliest, latest) = (slot * SLOT_SECONDS, slot * SLOT_SECONDS + SLOT_SECONDS - 1);
            for origin in origins {
                told.origins[usize::from(*origin) / 64] |= 1 << (origin % 64);
                let known = told.first_rejected.entry(*origin).or_insert((earliest, latest));
                known.1 = latest;
            }
        }
        told
    }

    /// Finds what one row, its interface by the join's number, tells of which kinds.
    pub(super) fn probe_row(&self, row: &WideRow, interfaces: &InterfaceTable, found: &mut Vec<Accepted>) {
        if self.latest.is_none_or(|latest| row.span.end > latest) {
            return;
        }
        let name = interfaces.name_hash(row.interface);
        for direction in [Direction::Ingress, Direction::Egress] {
            let kind = kind(name, &row.packet, direction);
            if let Some(turn) = self.kinds.get(&kind)
                && row.span.end <= turn.first_rejected
                && turn.first_rejected.seconds_since(row.span.end) <= self.match_window_seconds
            {
                found.push(Accepted { kind, end: row.span.end });
            }
        }
    }

    /// Takes note of what was found, and leaves an empty list.
    pub(super) fn take_accepted(&mut self, found: &mut Vec<Accepted>) {
        for Accepted { kind, end } in found.drain(..) {
            if let Some(turn) = self.kinds.get_mut(&kind) {
                turn.last_accepted = turn.last_accepted.max(Some(end));
            }
        }
    }
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
