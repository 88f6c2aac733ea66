//! Network ACLs over time: what stood in front of a subnet at any moment, and which call changed it.
//!
//! Owns the rebuilding: forward from each full state and each call, backward where a call says what was there before
//! it. Every rule number of an ACL and every subnet's association is one *slot* with a history of its own; an ACL at a
//! moment is what its slots held then. Refuses to know files, JSON and log records. What the history does not tell is
//! a [`Rules`] that is one of several, or whose rule has unknown content; it never guesses between them.

mod association;
mod entries;
mod slot;

use std::collections::BTreeMap;

use super::model::{NetworkAcl, NetworkAclEntry};
use crate::net::{Direction, Timestamp};
use association::SubnetTimeline;
use entries::AclTimeline;

/// One successful call that changed network ACLs, or that changed them without naming them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Event {
    /// `eventTime`: the moment of the switch; it takes effect shortly after (VPC User Guide, "Network ACL rules").
    pub time: Timestamp,
    /// `eventID`; the same event delivered twice counts once.
    pub event_id: String,
    /// `eventName`.
    pub name: String,
    /// Who: `role/session`, a user's name, `root`.
    pub actor: Option<String>,
    /// `sourceIPAddress`: an address or a service's name.
    pub source_ip: Option<String>,
    /// What it did.
    pub change: Change,
}

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the members are those of the EC2 API")]
pub enum Change {
    /// `CreateNetworkAclEntry`: there was no entry of that number before.
    CreateEntry { network_acl_id: String, entry: NetworkAclEntry },
    /// `ReplaceNetworkAclEntry`: there was one before.
    ReplaceEntry { network_acl_id: String, entry: NetworkAclEntry },
    /// `DeleteNetworkAclEntry`: there was one before, and the call does not say what it held.
    DeleteEntry { network_acl_id: String, direction: Direction, rule_number: u16 },
    /// `CreateNetworkAcl`: only the `*` entries exist.
    CreateAcl { network_acl_id: String, vpc_id: Option<String> },
    /// `DeleteNetworkAcl`.
    DeleteAcl { network_acl_id: String },
    /// `ReplaceNetworkAclAssociation`: the subnet of the old association is behind this ACL from now on.
    ReplaceAssociation {
        old_association_id: String,
        new_association_id: Option<String>,
        network_acl_id: String,
    },
    /// `CreateSubnet`: it begins behind the default ACL of its VPC.
    CreateSubnet { subnet_id: String, vpc_id: Option<String> },
    /// An IPv6 CIDR for a VPC: its default ACL may get the allow-all entry 101.
    AddIpv6 { vpc_id: String },
}

impl Change {
    /// The ACL that the call is about, or that a subnet gets by it.
    #[must_use]
    pub fn network_acl_id(&self) -> Option<&str> {
        match self {
            Self::CreateAcl { network_acl_id, .. }
            | Self::DeleteAcl { network_acl_id }
            | Self::ReplaceAssociation { network_acl_id, .. } => Some(network_acl_id),
            Self::CreateSubnet { .. } | Self::AddIpv6 { .. } => None,
            _ => self.rule().map(|(network_acl_id, ..)| network_acl_id),
        }
    }

    /// The rule that the call is about.
    #[must_use]
    pub fn rule(&self) -> Option<(&str, Direction, u16)> {
        match self {
            Self::CreateEntry { network_acl_id, entry } | Self::ReplaceEntry { network_acl_id, entry } => {
                Some((network_acl_id, entry.direction, entry.rule_number))
            }
            Self::DeleteEntry { network_acl_id, direction, rule_number } => {
                Some((network_acl_id, *direction, *rule_number))
            }
            _ => None,
        }
    }
}

/// Where a full state is from. The order is that in which they count at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateSource {
    /// An AWS Config item of a recorder that records once a day: what came between is lost.
    ConfigDaily,
    /// An AWS Config item: one for each change, captured after it.
    Config,
    /// A saved description.
    Snapshot,
}

impl StateSource {
    /// For how many seconds after a call the state may still be the one before it.
    fn settles_in(self) -> i64 {
        match self {
            // Captured when the recording of a change began, seconds to minutes after a change: perhaps an earlier one.
            Self::ConfigDaily | Self::Config => 600,
            Self::Snapshot => 60,
        }
    }
}

/// One ACL with all its entries and associations at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullState {
    /// When; a state without a time is taken to be later than all others.
    pub at: Option<Timestamp>,
    /// Where it is from.
    pub source: StateSource,
    /// The ACL. `subnet_ids` are the subnets associated with it then.
    pub acl: NetworkAcl,
    /// Association id → subnet, where the document says so.
    pub association_ids: BTreeMap<String, String>,
}

/// The rules that may have been in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules<'t> {
    /// Which ACL; `None` when the history does not say which one the subnet had.
    pub network_acl_id: Option<&'t str>,
    /// The ACL as it was; `None` when no state of it is known at all.
    pub acl: Option<&'t NetworkAcl>,
    /// Rules that existed and whose content is unknown. They are not among the entries of `acl`.
    pub unknown: &'t [(Direction, u16)],
}

/// A stretch of time in which what stood in front of a subnet did not change, as far as the history tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce<'t> {
    /// Since when; `None` for as far back as anything is known.
    pub from: Option<Timestamp>,
    /// Until when; `None` for on and on.
    pub until: Option<Timestamp>,
    /// What may have been in force: one, unless the history has a gap there.
    pub rules: Vec<Rules<'t>>,
    /// More is possible than `rules` lists.
    pub open: bool,
    /// The calls at `from` that began it, in the order in which they were applied; empty when it began unseen.
    pub begun_by: Vec<&'t Event>,
}

impl InForce<'_> {
    /// Whether some of the time from `first` to `last` lies in it.
    #[must_use]
    pub fn overlaps(&self, first: Timestamp, last: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= last) && self.until.is_none_or(|until| until > first)
    }
}

/// Everything known of network ACLs over time.
#[derive(Debug, Default)]
pub struct Timeline {
    events: Vec<Event>,
    acls: BTreeMap<String, AclTimeline>,
    subnets: BTreeMap<String, SubnetTimeline>,
    unresolved: Vec<usize>,
}

impl Timeline {
    /// Rebuilds the history from calls and states in whatever order they come; duplicates do no harm.
    #[must_use]
    pub fn new(mut events: Vec<Event>, mut states: Vec<FullState>) -> Self {
        events.sort();
        events.dedup_by(|again, first| {
            again == first || (!again.event_id.is_empty() && again.event_id == first.event_id)
        });
        states.sort_by_cached_key(|state| {
            (state.at.unwrap_or(Timestamp(i64::MAX)), state.source, format!("{state:?}"))
        });
        states.dedup();
        let acls = entries::timelines(&events, &states);
        let (subnets, unresolved) = association::timelines(&events, &states);
        Self { events, acls, subnets, unresolved }
    }

    /// The calls, in time order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Calls that gave a subnet another ACL, where the history does not tell which subnet.
    pub fn unresolved(&self) -> impl Iterator<Item = &Event> {
        self.unresolved.iter().map(|at| &self.events[*at])
    }

    /// When full states of an ACL were captured, in order.
    #[must_use]
    pub fn states_of(&self, network_acl_id: &str) -> &[(Timestamp, StateSource)] {
        self.acls.get(network_acl_id).map_or(&[], |acl| &acl.states)
    }

    /// When the association of a subnet was seen or made, in order.
    #[must_use]
    pub fn associations_of(&self, subnet_id: &str) -> &[Timestamp] {
        self.subnets.get(subnet_id).map_or(&[], |subnet| &subnet.marks)
    }

    /// What stood in front of a subnet over time, without a break from the first moment to the last.
    ///
    /// `otherwise` is the ACL of a subnet that the history says nothing of.
    #[must_use]
    pub fn of_subnet<'t>(&'t self, subnet_id: Option<&str>, otherwise: Option<&'t str>) -> Vec<InForce<'t>> {
        match subnet_id.and_then(|subnet_id| self.subnets.get(subnet_id)) {
            Some(subnet) => self.behind(&subnet.segments),
            None => merged(self.over(&association::Segment::whole(otherwise), &[otherwise])),
        }
    }

    /// What an ACL was over time.
    #[must_use]
    pub fn of_acl<'t>(&'t self, network_acl_id: &'t str) -> Vec<InForce<'t>> {
        self.of_subnet(None, Some(network_acl_id))
    }

    fn behind<'t>(&'t self, segments: &'t [association::Segment]) -> Vec<InForce<'t>> {
        let mut found: Vec<InForce<'t>> = Vec::new();
        for segment in segments {
            let acls: Vec<_> = segment.acls.iter().map(Option::as_deref).collect();
            found.extend(self.over(segment, &acls));
        }
        merged(found)
    }

    /// The states of the ACLs that a subnet may have had during one segment of its associations.
    fn over<'t>(&'t self, segment: &association::Segment, acls: &[Option<&'t str>]) -> Vec<InForce<'t>> {
        let mut cuts: Vec<Timestamp> = Vec::new();
        let inside = |at: Timestamp| {
            segment.from.is_none_or(|from| from < at) && segment.until.is_none_or(|until| at < until)
        };
        for acl in acls.iter().flatten().filter_map(|id| self.acls.get(*id)) {
            cuts.extend(acl.segments.iter().filter_map(|segment| segment.from).filter(|at| inside(*at)));
        }
        cuts.sort_unstable();
        cuts.dedup();
        let starts = std::iter::once(segment.from).chain(cuts.iter().copied().map(Some));
        let ends = cuts.iter().copied().map(Some).chain([segment.until]);
        starts
            .zip(ends)
            .map(|(from, until)| {
                let mut one = InForce { from, until, rules: Vec::new(), open: false, begun_by: Vec::new() };
                if from == segment.from {
                    one.begun_by.extend(segment.begun_by.iter().map(|at| &self.events[*at]));
                }
                for network_acl_id in acls {
                    self.add_rules(&mut one, *network_acl_id);
                }
                one
            })
            .collect()
    }

    fn add_rules<'t>(&'t self, one: &mut InForce<'t>, network_acl_id: Option<&'t str>) {
        let acl = network_acl_id.and_then(|id| self.acls.get(id)).filter(|acl| acl.is_known);
        let Some(acl) = acl else {
            one.rules.push(Rules { network_acl_id, acl: None, unknown: &[] });
            return;
        };
        let Some(segment) = acl.at(one.from) else { return };
        one.open |= segment.open;
        if segment.from == one.from {
            for at in &segment.begun_by {
                let event = &self.events[*at];
                if !one.begun_by.contains(&event) {
                    one.begun_by.push(event);
                }
            }
        }
        one.rules.extend(segment.variants.iter().map(|variant| Rules {
            network_acl_id,
            acl: Some(&variant.acl),
            unknown: &variant.unknown,
        }));
    }
}

/// Neighbours that are the same become one.
fn merged(states: Vec<InForce<'_>>) -> Vec<InForce<'_>> {
    let mut found: Vec<InForce<'_>> = Vec::with_capacity(states.len());
    for state in states {
        match found.last_mut() {
            Some(last) if last.rules == state.rules && last.open == state.open => last.until = state.until,
            _ => found.push(state),
        }
    }
    found
}

#[cfg(test)]
mod tests;
