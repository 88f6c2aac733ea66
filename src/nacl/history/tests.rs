//! The rebuilt history against one that was made forward, by a naive replay and a naive undo.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::nacl::{AclProtocol, RuleAction};
use crate::net::Protocol;

type Slot = (Direction, u16);
type Entries = BTreeMap<Slot, NetworkAclEntry>;

const SLOTS: [Slot; 4] = [
    (Direction::Ingress, 100),
    (Direction::Ingress, 110),
    (Direction::Egress, 100),
    (Direction::Ingress, 101),
];

fn entry((direction, rule_number): Slot, content: u8) -> NetworkAclEntry {
    NetworkAclEntry {
        rule_number,
        direction,
        cidr: ["0.0.0.0/0", "10.0.0.0/8", "::/0"][usize::from(content % 3)].parse().unwrap(),
        protocol: if content < 3 { AclProtocol::All } else { AclProtocol::Number(Protocol::TCP) },
        ports: None,
        icmp: None,
        action: if content.is_multiple_of(2) { RuleAction::Allow } else { RuleAction::Deny },
    }
}

fn event(time: i64, id: usize, name: &str, change: Change) -> Event {
    Event {
        time: Timestamp(time),
        event_id: format!("e-{id}"),
        name: name.to_owned(),
        actor: None,
        source_ip: None,
        change,
    }
}

fn state(at: i64, entries: &Entries, subnets: &[(&str, &str)]) -> FullState {
    let mut acl = NetworkAcl::new("acl-1", entries.values().cloned());
    acl.subnet_ids = subnets.iter().map(|(_, subnet)| (*subnet).to_owned()).collect();
    FullState {
        at: Some(Timestamp(at)),
        source: StateSource::Snapshot,
        acl,
        association_ids: subnets
            .iter()
            .map(|(id, subnet)| ((*id).to_owned(), (*subnet).to_owned()))
            .collect(),
    }
}

/// What really happened: entries after each call, and the call.
#[derive(Debug, Clone)]
struct World {
    first: Entries,
    steps: Vec<(Event, Entries)>,
}

impl World {
    fn at(&self, moment: i64) -> &Entries {
        let before = self.steps.iter().rfind(|(event, _)| event.time.0 <= moment);
        before.map_or(&self.first, |(_, entries)| entries)
    }

    fn events(&self) -> Vec<Event> {
        self.steps.iter().map(|(event, _)| event.clone()).collect()
    }

    fn state(&self, moment: i64) -> FullState {
        state(moment, self.at(moment), &[])
    }

    /// Every moment at which something could be told apart.
    fn moments(&self) -> Vec<i64> {
        let last = self.steps.last().map_or(0, |(event, _)| event.time.0);
        (-5..=last + 5).collect()
    }
}

/// Calls with so many seconds between them at least.
fn world(least_gap: i64) -> impl Strategy<Value = World> {
    let call = (least_gap..least_gap + 4, 0..SLOTS.len(), any::<bool>(), 0..6_u8);
    (prop::collection::vec(call, 0..12), prop::collection::btree_map(0..SLOTS.len(), 0..6_u8, 0..4)).prop_map(
        |(calls, first)| {
            let first: Entries =
                first.into_iter().map(|(slot, content)| (SLOTS[slot], entry(SLOTS[slot], content))).collect();
            let (mut now, mut time, mut steps) = (first.clone(), 0, Vec::new());
            for (id, (gap, slot, replaces, content)) in calls.into_iter().enumerate() {
                time += gap;
                let slot = SLOTS[slot];
                let network_acl_id = "acl-1".to_owned();
                let new = entry(slot, content);
                let (name, change) = match (now.contains_key(&slot), replaces) {
                    (false, _) => {
                        ("CreateNetworkAclEntry", Change::CreateEntry { network_acl_id, entry: new.clone() })
                    }
                    (true, true) => (
                        "ReplaceNetworkAclEntry",
                        Change::ReplaceEntry { network_acl_id, entry: new.clone() },
                    ),
                    (true, false) => {
                        let (direction, rule_number) = slot;
                        (
                            "DeleteNetworkAclEntry",
                            Change::DeleteEntry { network_acl_id, direction, rule_number },
                        )
                    }
                };
                match change {
                    Change::DeleteEntry { .. } => now.remove(&slot),
                    _ => now.insert(slot, new),
                };
                steps.push((event(time, id, name, change), now.clone()));
            }
            World { first, steps }
        },
    )
}

/// What the timeline says of one moment.
fn told(timeline: &Timeline, moment: i64) -> InForce<'_> {
    let at = Timestamp(moment);
    let states = timeline.of_acl("acl-1");
    let found = states
        .iter()
        .find(|state| state.from.is_none_or(|from| from <= at) && state.until.is_none_or(|until| at < until));
    found.cloned().expect("the states leave no gap")
}

fn entries_of(acl: &NetworkAcl) -> Entries {
    let both = [Direction::Ingress, Direction::Egress];
    let all = both.into_iter().flat_map(|direction| acl.entries(direction));
    all.filter(|entry| !entry.is_default())
        .map(|entry| ((entry.direction, entry.rule_number), entry.clone()))
        .collect()
}

/// Whether the truth is one of the possibilities.
fn is_possible(one: &InForce<'_>, truth: &Entries) -> bool {
    one.rules.iter().any(|rules| {
        let mut known = truth.clone();
        rules.unknown.iter().all(|slot| known.remove(slot).is_some())
            && rules.acl.is_some_and(|acl| entries_of(acl) == known)
    })
}

/// From the latest state before the moment, call by call.
fn replay(world: &World, from: i64, moment: i64) -> Entries {
    let mut entries = entries_of(&world.state(from).acl);
    for event in world.events() {
        if event.time.0 > from && event.time.0 <= moment {
            match event.change {
                Change::CreateEntry { entry, .. } | Change::ReplaceEntry { entry, .. } => {
                    entries.insert((entry.direction, entry.rule_number), entry);
                }
                Change::DeleteEntry { direction, rule_number, .. } => {
                    entries.remove(&(direction, rule_number));
                }
                _ => unreachable!("not made here"),
            }
        }
    }
    entries
}

/// From the state after the moment, back call by call; `None` is an entry of unknown content.
fn undo(world: &World, from: i64, moment: i64) -> BTreeMap<Slot, Option<NetworkAclEntry>> {
    let entries = entries_of(&world.state(from).acl);
    let mut entries: BTreeMap<_, _> = entries.into_iter().map(|(slot, entry)| (slot, Some(entry))).collect();
    for event in world.events().into_iter().rev() {
        if event.time.0 <= from && event.time.0 > moment {
            let (_, direction, number) = event.change.rule().expect("a rule");
            match event.change {
                Change::CreateEntry { .. } => entries.remove(&(direction, number)),
                _ => entries.insert((direction, number), None),
            };
        }
    }
    entries
}

proptest! {
    #[test]
    fn forward_from_a_state_every_moment_is_what_a_naive_replay_gives(world in world(1), from in -3..3_i64) {
        let timeline = Timeline::new(world.events(), vec![world.state(from)]);
        for moment in world.moments().into_iter().filter(|moment| *moment >= from) {
            let one = told(&timeline, moment);
            prop_assert_eq!(one.rules.len(), 1, "{:?}", one);
            prop_assert_eq!(one.rules[0].unknown, &[]);
            prop_assert_eq!(entries_of(one.rules[0].acl.unwrap()), replay(&world, from, moment));
        }
    }

    #[test]
    fn backward_from_a_state_nothing_is_said_that_a_naive_undo_denies(world in world(1)) {
        let end = world.moments().last().copied().unwrap_or_default();
        let timeline = Timeline::new(world.events(), vec![world.state(end)]);
        for moment in world.moments() {
            let one = told(&timeline, moment);
            prop_assert_eq!(one.rules.len(), 1, "{:?}", one);
            let undone = undo(&world, end, moment);
            let rules = one.rules[0];
            let mut said: BTreeMap<_, _> =
                entries_of(rules.acl.unwrap()).into_iter().map(|(slot, entry)| (slot, Some(entry))).collect();
            said.extend(rules.unknown.iter().map(|slot| (*slot, None)));
            prop_assert_eq!(said.keys().collect::<Vec<_>>(), undone.keys().collect::<Vec<_>>());
            for (slot, entry) in undone {
                // An earlier call may tell what the undo alone cannot.
                prop_assert!(entry.is_none() || said[&slot] == entry, "{slot:?} at {moment}");
            }
            prop_assert!(is_possible(&one, world.at(moment)));
        }
    }

    #[test]
    fn with_states_on_both_sides_replay_and_undo_agree_with_what_happened(world in world(1), from in -3..3_i64) {
        let end = world.moments().last().copied().unwrap_or_default();
        let timeline = Timeline::new(world.events(), vec![world.state(end), world.state(from)]);
        for moment in world.moments().into_iter().filter(|moment| *moment >= from) {
            let one = told(&timeline, moment);
            prop_assert_eq!(one.rules.len(), 1);
            prop_assert_eq!(&entries_of(one.rules[0].acl.unwrap()), world.at(moment));
        }
    }

    #[test]
    fn what_happened_is_always_among_what_is_possible(
        world in world(0), at in prop::collection::vec(-5..50_i64, 1..4),
    ) {
        // Calls of one second come in any order; a state of that second may show any of them.
        let is_call = |at: &i64| world.steps.iter().any(|(event, _)| event.time.0 == *at);
        let at: Vec<i64> = at.into_iter().filter(|at| !is_call(at)).collect();
        prop_assume!(!at.is_empty());
        let states = at.iter().map(|at| world.state(*at)).collect();
        let timeline = Timeline::new(world.events(), states);
        for moment in world.moments() {
            let one = told(&timeline, moment);
            prop_assert!(one.open || is_possible(&one, world.at(moment)), "{moment}: {one:?} {:?}", world.at(moment));
        }
    }

    #[test]
    fn order_and_duplicates_change_nothing(
        world in world(0), at in prop::collection::vec(-5..50_i64, 0..4), seed in any::<u64>(),
    ) {
        let events = world.events();
        let states: Vec<_> = at.iter().map(|at| world.state(*at)).collect();
        let timeline = Timeline::new(events.clone(), states.clone());
        let mut again: Vec<_> = events.iter().chain(&events).cloned().collect();
        let count = again.len().max(1) as u64;
        again.sort_by_key(|event| event.time.0.cast_unsigned().wrapping_mul(seed | 1).wrapping_add(seed) % (count * 7));
        let twice = states.iter().rev().chain(&states).cloned().collect();
        let other = Timeline::new(again, twice);
        prop_assert_eq!(timeline.of_acl("acl-1"), other.of_acl("acl-1"));
    }

    #[test]
    fn a_subnet_is_behind_the_acl_that_it_was_given_last(
        calls in prop::collection::vec((1..5_i64, 0..2_usize, 0..3_usize), 1..10), with_first in any::<bool>(),
    ) {
        let subnets = ["subnet-a", "subnet-b"];
        let acl = |number: usize| format!("acl-{number}");
        let mut now: Vec<(String, usize)> = vec![("assoc-a".into(), 0), ("assoc-b".into(), 0)];
        let states_of = |now: &[(String, usize)], at: i64| -> Vec<FullState> {
            (0..3).map(|number| {
                let own: Vec<_> = now.iter().zip(subnets).filter(|((_, acl), _)| *acl == number).collect();
                let own: Vec<_> = own.iter().map(|((id, _), subnet)| (id.as_str(), *subnet)).collect();
                let mut state = state(at, &Entries::new(), &own);
                state.acl = {
                    let mut renamed = NetworkAcl::new(acl(number), []);
                    renamed.subnet_ids = state.acl.subnet_ids.clone();
                    renamed
                };
                state
            }).collect()
        };
        let mut states = if with_first { states_of(&now, 0) } else { Vec::new() };
        let (mut time, mut events, mut truth) = (0, Vec::new(), vec![(0, now.clone())]);
        for (id, (gap, subnet, number)) in calls.into_iter().enumerate() {
            time += gap;
            let new = format!("assoc-{id}");
            events.push(event(time, id, "ReplaceNetworkAclAssociation", Change::ReplaceAssociation {
                old_association_id: now[subnet].0.clone(),
                new_association_id: Some(new.clone()),
                network_acl_id: acl(number),
            }));
            now[subnet] = (new, number);
            truth.push((time, now.clone()));
        }
        states.extend(states_of(&now, time + 5));
        let timeline = Timeline::new(events, states);
        prop_assert_eq!(timeline.unresolved().count(), 0);
        for moment in 0..time + 10 {
            let real = &truth.iter().rfind(|(at, _)| *at <= moment).unwrap().1;
            for (place, subnet) in subnets.iter().enumerate() {
                let at = Timestamp(moment);
                let over = timeline.of_subnet(Some(subnet), None);
                let one = over.iter().find(|one| one.from.is_none_or(|from| from <= at) && one.until.is_none_or(|until| at < until));
                let one = one.unwrap();
                prop_assert_eq!(one.rules.len(), 1);
                match one.rules[0].network_acl_id {
                    Some(id) => prop_assert_eq!(id, acl(real[place].1)),
                    // Only before its first known association.
                    None => prop_assert!(!with_first && one.from.is_none()),
                }
            }
        }
    }
}

#[test]
fn a_difference_without_a_call_is_a_change_at_an_unknown_moment() {
    let slot = SLOTS[0];
    let with = Entries::from([(slot, entry(slot, 0))]);
    let timeline = Timeline::new(Vec::new(), vec![state(100, &with, &[]), state(200, &Entries::new(), &[])]);
    let states = timeline.of_acl("acl-1");
    let spans: Vec<_> = states.iter().map(|one| (one.from, one.until, one.rules.len())).collect();
    let at = |seconds| Some(Timestamp(seconds));
    assert_eq!(spans, [(None, at(100), 1), (at(100), at(200), 2), (at(200), None, 1)]);
    assert!(states[2].begun_by.is_empty());
}

#[test]
fn what_a_deleted_entry_held_stays_unknown_without_an_earlier_state() {
    let delete = Change::DeleteEntry {
        network_acl_id: "acl-1".to_owned(),
        direction: Direction::Ingress,
        rule_number: 100,
    };
    let events = vec![event(100, 1, "DeleteNetworkAclEntry", delete)];
    let timeline = Timeline::new(events, vec![state(200, &Entries::new(), &[])]);
    let states = timeline.of_acl("acl-1");
    assert_eq!(states[0].rules[0].unknown, [(Direction::Ingress, 100)]);
    assert_eq!((states[1].rules[0].unknown, states[1].begun_by.len()), (&[][..], 1));
}

#[test]
fn a_state_captured_right_after_a_call_may_show_what_was_before_it() {
    let slot = SLOTS[0];
    let with = Entries::from([(slot, entry(slot, 0))]);
    let create = Change::CreateEntry { network_acl_id: "acl-1".to_owned(), entry: entry(slot, 0) };
    let stale = FullState { source: StateSource::Config, ..state(130, &Entries::new(), &[]) };
    let events = vec![event(100, 1, "CreateNetworkAclEntry", create)];
    let timeline = Timeline::new(events, vec![stale]);
    let last = timeline.of_acl("acl-1").pop().unwrap();
    assert_eq!(last.rules.len(), 2, "both are possible: {last:?}");
    assert!(is_possible(&last, &with));
}

#[test]
fn an_ipv6_cidr_may_bring_the_default_acl_an_entry() {
    let mut before = state(100, &Entries::new(), &[]);
    (before.acl.is_default, before.acl.vpc_id) = (true, Some("vpc-1".to_owned()));
    let add = event(150, 1, "AssociateVpcCidrBlock", Change::AddIpv6 { vpc_id: "vpc-1".to_owned() });
    let timeline = Timeline::new(vec![add], vec![before]);
    let last = timeline.of_acl("acl-1").pop().unwrap();
    let slot = (Direction::Ingress, 101);
    let has = |rules: &Rules<'_>| rules.acl.is_some_and(|acl| acl.entry(slot.0, slot.1).is_some());
    assert!(last.rules.iter().any(has) && !last.rules.iter().all(has), "{last:?}");
}

#[test]
fn a_new_subnet_begins_behind_the_default_acl() {
    let mut default = state(100, &Entries::new(), &[]);
    (default.acl.is_default, default.acl.vpc_id) = (true, Some("vpc-1".to_owned()));
    let created = Change::CreateSubnet { subnet_id: "subnet-n".to_owned(), vpc_id: Some("vpc-1".to_owned()) };
    let timeline = Timeline::new(vec![event(150, 1, "CreateSubnet", created)], vec![default]);
    let last = timeline.of_subnet(Some("subnet-n"), None).pop().unwrap();
    assert_eq!(last.rules[0].network_acl_id, Some("acl-1"));
}
