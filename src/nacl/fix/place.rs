//! Where new entries go: free rule numbers before the entry that denies, and room made where there is none.
//!
//! Owns the order of the changes: at no moment between two of them does the ACL deny what it allowed before. Refuses to
//! know why an entry is wanted.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::Change;
use super::need::Need;
use crate::nacl::{
    AclProtocol, FIRST_RESERVED_RULE_NUMBER, NetworkAcl, NetworkAclEntry, PortRange, RuleAction,
};
use crate::net::Direction;

/// Distances between rule numbers, the kindest to whoever comes next first.
const STEPS: [u16; 3] = [10, 5, 1];

/// One direction of an ACL while it is being changed.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    acl: &'a NetworkAcl,
    direction: Direction,
    /// Numbers that other proposals for the same list use.
    reserved: &'a BTreeSet<u16>,
    /// The numbered entries as they are after the changes.
    entries: BTreeMap<u16, NetworkAclEntry>,
    /// Where the entries of the ACL stand now → where they stood.
    origins: BTreeMap<u16, u16>,
    changes: Vec<Change>,
    /// Where the new allow entries stand, widened ones included.
    allows: BTreeSet<u16>,
    /// Numbers of denies that new entries go in front of and that would have denied some of what those allow.
    overridden: BTreeSet<u16>,
}

/// What a draft has become.
#[derive(Debug)]
pub(super) struct Drafted {
    pub changes: Vec<Change>,
    pub allows: BTreeSet<u16>,
    pub overridden: BTreeSet<u16>,
    /// Which of them are entries that were made wider → where those stood.
    pub widened: BTreeMap<u16, u16>,
    /// From, to.
    pub moved: Vec<(u16, u16)>,
    pub changed: NetworkAcl,
}

impl<'a> Draft<'a> {
    /// `None` for a list with a number twice or a number 0: no real ACL has one, and what a command would change cannot be
    /// known.
    pub(super) fn new(
        acl: &'a NetworkAcl,
        direction: Direction,
        reserved: &'a BTreeSet<u16>,
    ) -> Option<Self> {
        let numbered = || acl.entries(direction).iter().filter(|entry| !entry.is_default());
        let entries: BTreeMap<_, _> = numbered().map(|entry| (entry.rule_number, entry.clone())).collect();
        (entries.len() == numbered().count() && !entries.contains_key(&0)).then(|| Self {
            acl,
            direction,
            reserved,
            origins: entries.keys().map(|number| (*number, *number)).collect(),
            entries,
            changes: Vec::new(),
            allows: BTreeSet::new(),
            overridden: BTreeSet::new(),
        })
    }

    /// Rules in the list, as AWS counts them: the `*` entries do not count.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Widens an allow entry that misses the need by its ports alone, where that lets nothing in that a deny between
    /// it and the `*` entry holds back. `false` when there is none such.
    pub(super) fn widen(&mut self, need: &Need<'_>) -> bool {
        let Some(wanted) = need.ports.filter(|_| need.decider.is_default()) else { return false };
        let holds_all =
            |entry: &NetworkAclEntry| need.cover.nets().iter().all(|net| entry.cidr.contains(net));
        let found = self.entries.values().find_map(|entry| {
            let is_like = entry.action == RuleAction::Allow
                && entry.protocol == AclProtocol::Number(need.protocol)
                && entry.cidr.addr().is_ipv4() == need.decider.cidr.addr().is_ipv4()
                && holds_all(entry);
            let ports = joined(entry.port_range().filter(|_| is_like)?, wanted)?;
            let after = NetworkAclEntry { ports: Some(ports), ..entry.clone() };
            let held_back =
                self.entries.range(entry.rule_number..).any(|(_, deny)| is_taken_from(deny, &after));
            (!held_back).then_some(after)
        });
        match found {
            Some(after) => {
                self.allows.insert(after.rule_number);
                self.put(after);
                true
            }
            None => false,
        }
    }

    /// Adds allow entries before `bound`, and after every deny that they would take something from.
    pub(super) fn insert(&mut self, mut wanted: Vec<NetworkAclEntry>, bound: &NetworkAclEntry) {
        let taken_from = |deny: &NetworkAclEntry| wanted.iter().any(|allow| is_taken_from(deny, allow));
        let mut bound_number = self.place_of(bound);
        let lower = self.entries.range(..bound_number).rev().find(|(_, entry)| taken_from(entry));
        let lower = lower.map_or(0, |(number, _)| *number);
        let behind = self.entries.range(bound_number..).filter(|(_, entry)| taken_from(entry));
        let behind: Vec<_> = behind.filter_map(|(number, _)| self.origins.get(number).copied()).collect();
        self.overridden.extend(behind);

        let numbers = self.numbers(wanted.len(), lower, bound_number);
        let left = wanted.split_off(numbers.len());
        for (number, entry) in numbers.into_iter().zip(wanted) {
            self.allow_at(number, entry);
        }
        for entry in left {
            match self.make_room(bound_number) {
                Some((number, bound)) => {
                    bound_number = bound;
                    self.allow_at(number, entry);
                }
                None => return,
            }
        }
    }

    /// Where an entry of the ACL stands now; the `*` entries stand behind every number.
    fn place_of(&self, entry: &NetworkAclEntry) -> u16 {
        let place = self.origins.iter().find(|(_, origin)| **origin == entry.rule_number);
        place.map_or(FIRST_RESERVED_RULE_NUMBER, |(number, _)| *number)
    }

    /// The changes, and the ACL after them.
    pub(super) fn finish(self) -> Drafted {
        let others = [self.direction, self.direction.opposite()].into_iter().flat_map(|direction| {
            let is_kept = move |entry: &&NetworkAclEntry| direction != self.direction || entry.is_default();
            self.acl.entries(direction).iter().filter(is_kept).cloned()
        });
        let entries: Vec<_> = others.chain(self.entries.values().cloned()).collect();
        let is_widened = |number: &u16| Some((*number, *self.origins.get(number)?));
        Drafted {
            changes: self.changes,
            widened: self.allows.iter().filter_map(is_widened).collect(),
            allows: self.allows,
            overridden: self.overridden,
            moved: self
                .origins
                .iter()
                .filter(|(number, origin)| number != origin)
                .map(|(number, origin)| (*origin, *number))
                .collect(),
            changed: NetworkAcl::new(self.acl.network_acl_id.clone(), entries),
        }
    }

    /// As many free numbers as there are, up to `count`, all between `lower` and `bound`, in order.
    fn numbers(&self, count: usize, lower: u16, bound: u16) -> Vec<u16> {
        let last = self.entries.range(..bound).next_back().map_or(0, |(number, _)| *number);
        let is_free = |number: &u16| !self.entries.contains_key(number) && !self.reserved.contains(number);
        let after = |floor: u16| floor + 1..bound;
        // Close to what is gone in front of; the `*` is always far.
        let is_far = bound == FIRST_RESERVED_RULE_NUMBER;
        for step in STEPS {
            let free = || after(last).filter(|number| number % step == 0).filter(is_free);
            let mut found: Vec<_> =
                if is_far { free().take(count).collect() } else { free().rev().take(count).collect() };
            if found.len() == count {
                found.sort_unstable();
                return found;
            }
        }
        let free: Vec<_> = after(lower).filter(is_free).collect();
        free[free.len().saturating_sub(count)..].to_vec()
    }

    /// Moves entries to the next free number, up or down, whichever moves fewer. Gives the number that the entry to be
    /// added replaces, whose own entry stands next to it by now, and the number of the bound.
    fn make_room(&mut self, bound: u16) -> Option<(u16, u16)> {
        let is_free = |number: &u16| !self.entries.contains_key(number) && !self.reserved.contains(number);
        let is_user_s = bound < FIRST_RESERVED_RULE_NUMBER;
        let up = (bound + 1..FIRST_RESERVED_RULE_NUMBER).find(is_free).filter(|_| is_user_s);
        let down = (1..bound).rev().find(is_free);
        let moves = |(end, first): (u16, u16)| self.entries.range(end..first).count();
        let moved_up = up.map(|free| moves((bound, free)));
        let moved_down = down.map(|free| moves((free, bound)));
        match (up, down) {
            (Some(free), _) if moved_down.is_none_or(|down| moved_up.is_some_and(|up| up <= down)) => {
                let moving: Vec<u16> =
                    self.entries.range(bound..free).rev().map(|(number, _)| *number).collect();
                let mut to = free;
                for number in moving {
                    self.copy(number, to);
                    to = number;
                }
                let bound = self.entries.range(bound + 1..).next().map_or(bound, |(number, _)| *number);
                Some((to, bound))
            }
            (_, Some(free)) => {
                let moving: Vec<u16> = self.entries.range(free..bound).map(|(number, _)| *number).collect();
                let mut to = free;
                for number in moving {
                    self.copy(number, to);
                    to = number;
                }
                Some((to, bound))
            }
            _ => None,
        }
    }

    fn copy(&mut self, from: u16, to: u16) {
        if let Some(entry) = self.entries.get(&from) {
            let entry = NetworkAclEntry { rule_number: to, ..entry.clone() };
            if self.allows.remove(&from) {
                self.allows.insert(to);
            }
            if let Some(origin) = self.origins.remove(&from) {
                self.origins.insert(to, origin);
            }
            self.put(entry);
        }
    }

    fn allow_at(&mut self, number: u16, mut entry: NetworkAclEntry) {
        entry.rule_number = number;
        self.allows.insert(number);
        self.put(entry);
    }

    /// One change more; widening one entry twice is one change.
    fn put(&mut self, entry: NetworkAclEntry) {
        let before = self.entries.insert(entry.rule_number, entry.clone());
        match (before, self.changes.last_mut()) {
            (Some(_), Some(Change::Replace { after, .. })) if after.rule_number == entry.rule_number => {
                *after = entry;
            }
            (Some(before), _) => self.changes.push(Change::Replace { before, after: entry }),
            (None, _) => self.changes.push(Change::Create(entry)),
        }
    }
}

/// Both ranges as one, where no port lies between them.
fn joined(a: PortRange, b: PortRange) -> Option<PortRange> {
    let is_next_to = u32::from(a.from) <= u32::from(b.to) + 1 && u32::from(b.from) <= u32::from(a.to) + 1;
    is_next_to.then(|| PortRange { from: a.from.min(b.from), to: a.to.max(b.to) })
}

/// Whether `deny` denies some packet that `allow` allows.
fn is_taken_from(deny: &NetworkAclEntry, allow: &NetworkAclEntry) -> bool {
    deny.action == RuleAction::Deny
        && overlap(deny.cidr, allow.cidr)
        && match (deny.protocol, allow.protocol) {
            (AclProtocol::Number(a), AclProtocol::Number(b)) if a != b => false,
            // Without a range, or of all protocols, an entry takes every port.
            _ => match (deny.port_range(), allow.port_range()) {
                (Some(a), Some(b)) => a.from <= b.to && b.from <= a.to,
                _ => true,
            },
        }
}

fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}
