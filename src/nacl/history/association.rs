//! Which ACL each subnet had over time.
//!
//! Owns association ids: one names a subnet and an ACL for as long as it exists, and each replacement makes a new one,
//! so calls and states that share ids tell of the same subnet. Refuses to know entries.

use std::collections::{BTreeMap, BTreeSet};

use super::slot::{Content, Mark, Stretch, Tells, stretches};
use super::{Change, Event, FullState};
use crate::net::Timestamp;

/// Which ACL a subnet has.
#[derive(Debug, Clone, PartialEq)]
enum Behind {
    Acl(String),
    /// The default ACL of a VPC, whose id no state tells.
    DefaultOf(Option<String>),
    /// Some other one than this.
    Not(String),
    Unknown,
}

impl Content for Behind {
    fn and(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Acl(a), Self::Acl(b)) => (a == b).then(|| self.clone()),
            (Self::Acl(a), Self::Not(b)) | (Self::Not(b), Self::Acl(a)) if a == b => None,
            // Which ACL is the default one is not known here: it may be that one.
            (Self::Acl(_), _) => Some(self.clone()),
            (_, Self::Acl(_)) => Some(other.clone()),
            (Self::DefaultOf(_), _) | (Self::Not(_), Self::Unknown) => Some(self.clone()),
            _ => Some(other.clone()),
        }
    }
}

/// One subnet over time.
#[derive(Debug)]
pub(super) struct SubnetTimeline {
    pub(super) segments: Vec<Segment>,
    /// When the association was made or seen.
    pub(super) marks: Vec<Timestamp>,
}

/// A stretch of time in which the association stays.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) from: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    /// The ACLs it may be; `None` for one that the history does not name.
    pub(super) acls: Vec<Option<String>>,
    pub(super) begun_by: Vec<usize>,
}

impl Segment {
    /// All of time behind one ACL.
    pub(super) fn whole(network_acl_id: Option<&str>) -> Self {
        let acls = vec![network_acl_id.map(str::to_owned)];
        Self { from: None, until: None, acls, begun_by: Vec::new() }
    }
}

/// What is known of association ids: the subnet and the ACL of each; and the default ACL of each VPC.
#[derive(Default)]
struct Ids<'a> {
    subnets: BTreeMap<&'a str, &'a str>,
    acls: BTreeMap<&'a str, &'a str>,
    defaults: BTreeMap<&'a str, &'a str>,
}

/// Every subnet that a call or a state names, and the calls whose subnet is not known.
pub(super) fn timelines(
    events: &[Event],
    states: &[FullState],
) -> (BTreeMap<String, SubnetTimeline>, Vec<usize>) {
    let ids = Ids::new(events, states);
    let mut unresolved = Vec::new();
    let mut marks: BTreeMap<&str, Vec<Mark<Behind>>> = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        match &event.change {
            Change::ReplaceAssociation {
                old_association_id: old,
                new_association_id: new,
                network_acl_id,
            } => {
                let subnet = [Some(old.as_str()), new.as_deref()];
                let subnet = subnet.into_iter().flatten().find_map(|id| ids.subnets.get(id));
                let Some(subnet_id) = subnet else {
                    unresolved.push(at);
                    continue;
                };
                let found = ids.acls.get(old.as_str());
                let found = found.map_or(Behind::Unknown, |id| Behind::Acl((*id).to_owned()));
                let left = Behind::Acl(network_acl_id.clone());
                let tells = Tells::Call { event: at, found: Some(found), left };
                marks.entry(subnet_id).or_default().push(Mark { at: event.time, tells });
            }
            Change::CreateSubnet { subnet_id, vpc_id } => {
                let tells = Tells::Call { event: at, found: None, left: ids.default_acl(vpc_id.as_deref()) };
                marks.entry(subnet_id).or_default().push(Mark { at: event.time, tells });
            }
            _ => {}
        }
    }
    for state in states {
        for subnet_id in &state.acl.subnet_ids {
            let value = Behind::Acl(state.acl.network_acl_id.clone());
            let tells = Tells::Seen { value, settles_in: state.source.settles_in() };
            let at = state.at.unwrap_or(Timestamp(i64::MAX));
            marks.entry(subnet_id).or_default().push(Mark { at, tells });
        }
    }
    let absent = absences(&marks, states);
    for (subnet_id, mark) in absent {
        marks.entry(subnet_id).or_default().push(mark);
    }
    let subnets = marks.into_iter().map(|(id, marks)| (id.to_owned(), timeline(marks)));
    (subnets.collect(), unresolved)
}

impl<'a> Ids<'a> {
    fn new(events: &'a [Event], states: &'a [FullState]) -> Self {
        let mut ids = Self::default();
        for state in states {
            let acl = &state.acl;
            for (association_id, subnet_id) in &state.association_ids {
                ids.subnets.insert(association_id, subnet_id);
                ids.acls.insert(association_id, &acl.network_acl_id);
            }
            if let (true, Some(vpc_id)) = (acl.is_default, acl.vpc_id.as_deref()) {
                ids.defaults.insert(vpc_id, &acl.network_acl_id);
            }
        }
        let mut links: Vec<(&str, &str)> = Vec::new();
        for event in events {
            if let Change::ReplaceAssociation { old_association_id, new_association_id, network_acl_id } =
                &event.change
                && let Some(new) = new_association_id
            {
                ids.acls.insert(new, network_acl_id);
                links.push((old_association_id, new));
            }
        }
        ids.spread(&links);
        ids
    }

    /// Old and new association are of one subnet, along chains of replacements in both directions.
    fn spread(&mut self, links: &[(&'a str, &'a str)]) {
        let mut neighbours: BTreeMap<&str, Vec<&'a str>> = BTreeMap::new();
        for &(old, new) in links {
            neighbours.entry(old).or_default().push(new);
            neighbours.entry(new).or_default().push(old);
        }
        let mut reached: Vec<&str> = self.subnets.keys().copied().collect();
        while let Some(id) = reached.pop() {
            let Some(subnet_id) = self.subnets.get(id).copied() else { continue };
            for next in neighbours.get(id).into_iter().flatten() {
                if !self.subnets.contains_key(next) {
                    self.subnets.insert(next, subnet_id);
                    reached.push(next);
                }
            }
        }
    }

    fn default_acl(&self, vpc_id: Option<&str>) -> Behind {
        match vpc_id.and_then(|vpc_id| self.defaults.get(vpc_id)) {
            Some(network_acl_id) => Behind::Acl((*network_acl_id).to_owned()),
            None => Behind::DefaultOf(vpc_id.map(str::to_owned)),
        }
    }
}

/// A state of an ACL that does not list a subnet which was last seen behind it: the subnet has another one by then.
fn absences<'a>(
    marks: &BTreeMap<&'a str, Vec<Mark<Behind>>>,
    states: &[FullState],
) -> Vec<(&'a str, Mark<Behind>)> {
    let mut states_of: BTreeMap<&str, Vec<&FullState>> = BTreeMap::new();
    for state in states {
        states_of.entry(&state.acl.network_acl_id).or_default().push(state);
    }
    let mut found = Vec::new();
    for (subnet_id, marks) in marks {
        let acls: BTreeSet<&str> = marks.iter().filter_map(|mark| left_behind(mark)).collect();
        for acl in acls {
            for state in states_of.get(acl).into_iter().flatten() {
                let at = state.at.unwrap_or(Timestamp(i64::MAX));
                if state.acl.subnet_ids.iter().any(|id| id == subnet_id) {
                    continue;
                }
                let last = marks.iter().filter(|mark| mark.at <= at).max_by_key(|mark| mark.at);
                let settled = last.is_some_and(|last| {
                    left_behind(last) == Some(acl) && at.seconds_since(last.at) > state.source.settles_in()
                });
                if settled {
                    let tells = Tells::Seen { value: Behind::Not(acl.to_owned()), settles_in: 0 };
                    found.push((*subnet_id, Mark { at, tells }));
                }
            }
        }
    }
    found
}

fn left_behind(mark: &Mark<Behind>) -> Option<&str> {
    match &mark.tells {
        Tells::Call { left: Behind::Acl(id), .. } | Tells::Seen { value: Behind::Acl(id), .. } => Some(id),
        _ => None,
    }
}

fn timeline(marks: Vec<Mark<Behind>>) -> SubnetTimeline {
    let mut times: Vec<_> =
        marks.iter().map(|mark| mark.at).filter(|at| *at != Timestamp(i64::MAX)).collect();
    times.sort_unstable();
    times.dedup();
    let stretches = stretches(marks);
    let ends: Vec<_> = stretches.iter().skip(1).map(|next| next.from).chain([None]).collect();
    let segment = |(stretch, until): (Stretch<Behind>, Option<Timestamp>)| Segment {
        from: stretch.from,
        until,
        acls: acls(&stretch.values),
        begun_by: stretch.begun_by,
    };
    SubnetTimeline { segments: stretches.into_iter().zip(ends).map(segment).collect(), marks: times }
}

fn acls(values: &[Behind]) -> Vec<Option<String>> {
    let name = |value: &Behind| match value {
        Behind::Acl(id) => Some(id.clone()),
        Behind::DefaultOf(_) | Behind::Not(_) | Behind::Unknown => None,
    };
    if values.is_empty() { vec![None] } else { values.iter().map(name).collect() }
}
