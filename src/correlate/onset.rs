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

use super::Span;
use super::accepted::{AcceptedRow, WideRow};
use super::interface::{InterfaceIndex, InterfaceTable};
use super::reject::RejectedRow;
use crate::net::{Direction, FiveTuple, Protocol, Timestamp};

/// Kinds kept. With more than that, as in a scan, nothing is said of any: which ones were kept would depend on the order of
/// input.
pub(super) const MOST_KINDS: usize = 262_144;

/// Places for what replies come from; those that share one share its time.
const ORIGINS: usize = 4096;

/// No time at all.
const NEVER: Span = Span { start: Timestamp(i64::MAX), end: Timestamp(i64::MIN) };

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
    /// When records have to end that say something of kinds, by a hash of what the replies come from: most accepted
    /// records stop here. Kinds that are rejected earlier than was known say nothing of what was forgotten before: that
    /// lies further back than the match window.
    telling: Vec<Span>,
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
        if self.telling.is_empty() {
            self.telling = vec![NEVER; ORIGINS];
        }
        let origin = place(row.interface, row.packet.srcport, row.packet.protocol);
        for direction in [Direction::Ingress, Direction::Egress] {
            let kind = kind(name, &row.packet, direction);
            let turn = self.kinds.entry(kind).or_insert(Turn { first_rejected: start, last_accepted: None });
            turn.first_rejected = turn.first_rejected.min(start);
            turn.last_accepted = turn.last_accepted.filter(|at| *at <= turn.first_rejected);
            let first = turn.first_rejected;
            self.latest = self.latest.max(Some(first));
            let telling = Span { start: first.plus_seconds(-self.match_window_seconds), end: first };
            self.telling[origin] = self.telling[origin].union(telling);
        }
        if self.kinds.len() > MOST_KINDS {
            *self = Self { given_up: true, ..Self::default() };
        }
    }

    /// Looks whether an accepted row is a reply of one of these kinds, as far as that takes no time.
    #[expect(clippy::needless_bitwise_bool, reason = "times come in any order: one branch, not two")]
    #[inline]
    pub(super) fn may_know(&self, row: &AcceptedRow, interface: InterfaceIndex) -> bool {
        let telling = self.telling.get(place(interface, row.srcport(), row.protocol())).unwrap_or(&NEVER);
        let end = row.end();
        (telling.start.0 <= end) & (end <= telling.end.0)
    }

    /// Looks at one row, its interface by the join's number.
    pub(super) fn probe_row(&mut self, row: &WideRow, interfaces: &InterfaceTable) {
        if self.latest.is_none_or(|latest| row.span.end > latest) {
            return;
        }
        let name = self.name(row.interface, interfaces);
        for direction in [Direction::Ingress, Direction::Egress] {
            if let Some(turn) = self.kinds.get_mut(&kind(name, &row.packet, direction))
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

/// The place of what a kind's replies come from, as far as a row says it without its interface's name.
#[inline]
fn place(interface: InterfaceIndex, srcport: u16, protocol: Protocol) -> usize {
    let origin = u64::from(interface.0) << 24 | u64::from(srcport) << 8 | u64::from(protocol.0);
    (origin.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize & (ORIGINS - 1)
}
