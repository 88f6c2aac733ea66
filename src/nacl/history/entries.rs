//! The entries of each ACL over time, put together from its slots.
//!
//! Owns what calls and states tell of a rule number, and the ACLs that follow for each stretch of time. Refuses to know
//! subnets.

use std::collections::{BTreeMap, BTreeSet};

use super::slot::{Content, Mark, Stretch, Tells, stretches};
use super::{Change, Event, FullState, StateSource};
use crate::nacl::model::{AclProtocol, FIRST_RESERVED_RULE_NUMBER, NetworkAcl, NetworkAclEntry, RuleAction};
use crate::net::{Direction, Timestamp};

/// The most ACLs listed for one stretch; with more, the stretch says that there are others.
const MAX_VARIANTS: usize = 16;

/// The most stretches kept of one ACL, the latest: room for a change every two minutes over CloudTrail's 90 days.
const MAX_SEGMENTS: usize = 65_536;

/// What AWS adds to a default ACL when its VPC gets an IPv6 CIDR (VPC User Guide, "Default network ACL").
const IPV6_RULE_NUMBER: u16 = 101;

/// A rule number of one direction.
type Slot = (Direction, u16);

/// What a rule number holds.
#[derive(Debug, Clone)]
enum Held {
    Nothing,
    Entry(NetworkAclEntry),
    /// An entry whose content no call and no state tells.
    Unknown,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Entry(one), Self::Entry(other)) => one.is_same_rule(other),
            (Self::Nothing, Self::Nothing) | (Self::Unknown, Self::Unknown) => true,
            _ => false,
        }
    }
}

impl Content for Held {
    fn and(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Unknown, Self::Entry(_)) => Some(other.clone()),
            (Self::Entry(_), Self::Unknown) => Some(self.clone()),
            _ => (self == other).then(|| self.clone()),
        }
    }
}

/// One ACL over time.
#[derive(Debug, Default)]
pub(super) struct AclTimeline {
    /// Whether all its entries are known at some moment; else an entry that no call names may exist.
    pub(super) is_known: bool,
    pub(super) segments: Vec<Segment>,
    /// When full states were captured, those that say so.
    pub(super) states: Vec<(Timestamp, StateSource)>,
}

/// A stretch of time in which the entries stay.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) from: Option<Timestamp>,
    pub(super) variants: Vec<Variant>,
    /// More is possible than the variants.
    pub(super) open: bool,
    pub(super) begun_by: Vec<usize>,
}

/// The ACL as it may have been.
#[derive(Debug, PartialEq)]
pub(super) struct Variant {
    pub(super) acl: NetworkAcl,
    pub(super) unknown: Vec<Slot>,
}

impl AclTimeline {
    /// The segment of a moment; `None` is the first moment of all.
    pub(super) fn at(&self, moment: Option<Timestamp>) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| segment.from <= moment);
        self.segments.get(after.checked_sub(1)?)
    }
}

/// What is told of one ACL.
#[derive(Default)]
struct Told<'a> {
    calls: Vec<(usize, &'a Event)>,
    states: Vec<&'a FullState>,
}

/// Every ACL that a call or a state names.
pub(super) fn timelines(events: &[Event], states: &[FullState]) -> BTreeMap<String, AclTimeline> {
    let mut told: BTreeMap<&str, Told<'_>> = BTreeMap::new();
    let mut default_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for state in states {
        let id = state.acl.network_acl_id.as_str();
        told.entry(id).or_default().states.push(state);
        if let (true, Some(vpc_id)) = (state.acl.is_default, state.acl.vpc_id.as_deref()) {
            default_of.entry(vpc_id).or_default().insert(id);
        }
    }
    for (at, event) in events.iter().enumerate() {
        let ids: Vec<&str> = match &event.change {
            Change::CreateEntry { network_acl_id, .. }
            | Change::ReplaceEntry { network_acl_id, .. }
            | Change::DeleteEntry { network_acl_id, .. }
            | Change::CreateAcl { network_acl_id, .. }
            | Change::DeleteAcl { network_acl_id } => vec![network_acl_id],
            Change::AddIpv6 { vpc_id } => {
                default_of.get(vpc_id.as_str()).into_iter().flatten().copied().collect()
            }
            Change::ReplaceAssociation { .. } | Change::CreateSubnet { .. } => Vec::new(),
        };
        for id in ids {
            told.entry(id).or_default().calls.push((at, event));
        }
    }
    told.into_iter().map(|(id, told)| (id.to_owned(), told.timeline(id))).collect()
}

impl Told<'_> {
    fn timeline(&self, network_acl_id: &str) -> AclTimeline {
        let created = self.calls.iter().any(|(_, event)| matches!(event.change, Change::CreateAcl { .. }));
        let slots: BTreeMap<Slot, Vec<Stretch<Held>>> =
            self.slots().into_iter().map(|slot| (slot, stretches(self.marks(slot)))).collect();
        AclTimeline {
            is_known: created || !self.states.is_empty(),
            segments: segments(&self.shell(network_acl_id), &slots),
            states: self.states.iter().filter_map(|state| Some((state.at?, state.source))).collect(),
        }
    }

    /// Every rule number that is ever mentioned. The `*` entries never change.
    fn slots(&self) -> BTreeSet<Slot> {
        let mut slots = BTreeSet::new();
        for (_, event) in &self.calls {
            match &event.change {
                Change::AddIpv6 { .. } => slots.extend(
                    [Direction::Ingress, Direction::Egress].map(|direction| (direction, IPV6_RULE_NUMBER)),
                ),
                change => slots.extend(change.rule().map(|(_, direction, number)| (direction, number))),
            }
        }
        for state in &self.states {
            for direction in [Direction::Ingress, Direction::Egress] {
                let entries = state.acl.entries(direction).iter();
                slots.extend(entries.map(|entry| (direction, entry.rule_number)));
            }
        }
        slots.retain(|(_, number)| *number < FIRST_RESERVED_RULE_NUMBER);
        slots
    }

    /// Everything that tells of one rule number.
    fn marks(&self, slot: Slot) -> Vec<Mark<Held>> {
        let mut marks = Vec::new();
        for (at, event) in &self.calls {
            let call = |found, left| Tells::Call { event: *at, found, left };
            let is_here =
                event.change.rule().is_some_and(|(_, direction, number)| (direction, number) == slot);
            let tells = match &event.change {
                Change::CreateEntry { entry, .. } if is_here => {
                    call(Some(Held::Nothing), Held::Entry(entry.clone()))
                }
                Change::ReplaceEntry { entry, .. } if is_here => {
                    call(Some(Held::Unknown), Held::Entry(entry.clone()))
                }
                Change::DeleteEntry { .. } if is_here => call(Some(Held::Unknown), Held::Nothing),
                Change::CreateAcl { .. } => call(Some(Held::Nothing), Held::Nothing),
                Change::DeleteAcl { .. } => call(None, Held::Nothing),
                Change::AddIpv6 { .. } if slot.1 == IPV6_RULE_NUMBER => Tells::Perhaps {
                    event: *at,
                    if_found: Held::Nothing,
                    left: Held::Entry(ipv6_entry(slot.0)),
                },
                _ => continue,
            };
            marks.push(Mark { at: event.time, tells });
        }
        for state in &self.states {
            let entry = state.acl.entry(slot.0, slot.1);
            let value = entry.map_or(Held::Nothing, |entry| Held::Entry(entry.clone()));
            let tells = Tells::Seen { value, settles_in: state.source.settles_in() };
            marks.push(Mark { at: state.at.unwrap_or(Timestamp(i64::MAX)), tells });
        }
        marks
    }

    /// The ACL without entries: what does not change, as last seen.
    fn shell(&self, network_acl_id: &str) -> NetworkAcl {
        if let Some(state) = self.states.last() {
            return state.acl.with_entries([]);
        }
        let mut acl = NetworkAcl::new(network_acl_id, []);
        acl.vpc_id = self.calls.iter().find_map(|(_, event)| match &event.change {
            Change::CreateAcl { vpc_id, .. } => vpc_id.clone(),
            _ => None,
        });
        acl
    }
}

fn ipv6_entry(direction: Direction) -> NetworkAclEntry {
    NetworkAclEntry {
        rule_number: IPV6_RULE_NUMBER,
        direction,
        cidr: ipnet::IpNet::V6(ipnet::Ipv6Net::default()),
        protocol: AclProtocol::All,
        ports: None,
        icmp: None,
        action: RuleAction::Allow,
    }
}

/// The ACL between each two changes of any of its slots.
fn segments(shell: &NetworkAcl, slots: &BTreeMap<Slot, Vec<Stretch<Held>>>) -> Vec<Segment> {
    let mut starts: Vec<Option<Timestamp>> = vec![None];
    starts.extend(slots.values().flatten().map(|stretch| stretch.from));
    starts.sort_unstable();
    starts.dedup();
    let mut places = vec![0; slots.len()];
    let mut found = Vec::with_capacity(starts.len());
    let dropped = starts.len().saturating_sub(MAX_SEGMENTS);
    if dropped > 0 {
        // Of what was before the latest ones, nothing is said.
        found.push(Segment { from: None, variants: Vec::new(), open: true, begun_by: Vec::new() });
    }
    for from in starts.into_iter().skip(dropped) {
        let mut begun_by = Vec::new();
        let mut held = Vec::with_capacity(slots.len());
        for ((slot, stretches), place) in slots.iter().zip(&mut places) {
            while stretches.get(*place + 1).is_some_and(|next| next.from <= from) {
                *place += 1;
            }
            let stretch = &stretches[*place];
            held.push((*slot, stretch.values.as_slice()));
            if stretch.from == from {
                begun_by.extend(&stretch.begun_by);
            }
        }
        let (variants, open) = variants(shell, &held);
        found.push(Segment { from, variants, open, begun_by });
    }
    found
}

/// Every ACL that the slots allow, up to a number of them.
fn variants(shell: &NetworkAcl, held: &[(Slot, &[Held])]) -> (Vec<Variant>, bool) {
    let uncertain = held.iter().filter(|(_, values)| values.len() > 1);
    let count = uncertain.fold(1_usize, |count, (_, values)| count.saturating_mul(values.len()));
    // A slot of which nothing is known may hold anything.
    let is_open = held.iter().any(|(_, values)| values.is_empty());
    let found = (0..count.min(MAX_VARIANTS)).map(|choice| {
        let mut left = choice;
        let mut entries = Vec::with_capacity(held.len());
        let mut unknown = Vec::new();
        for (slot, values) in held {
            let Some(held) = values.get(left % values.len().max(1)) else { continue };
            left /= values.len();
            match held {
                Held::Nothing => {}
                Held::Entry(entry) => entries.push(entry.clone()),
                Held::Unknown => unknown.push(*slot),
            }
        }
        Variant { acl: shell.with_entries(entries), unknown }
    });
    (found.collect(), is_open || count > MAX_VARIANTS)
}
