//! The history of network ACLs as it was given: CloudTrail events, AWS Config items, older snapshots.
//!
//! Owns reading them into a [`Timeline`], and what of time they cover. Refuses to judge anything by them. A document
//! that cannot be understood where it matters is an error: a change that was passed over would make wrong verdicts.

mod item;
mod read;
mod trail;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::{NetworkConfig, SnapshotError};
use crate::nacl::NetworkAcl;
use crate::nacl::history::{Change, Event, FullState, InForce, StateSource, Timeline};
use crate::net::Timestamp;

/// Why a history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// A file cannot be read, is too large, is no JSON, or a member that decides is malformed.
    #[error(transparent)]
    Document(#[from] SnapshotError),
    /// A file named by the user, or every file of a directory, holds no history.
    #[error(
        "{}: holds no history of network ACLs; hint: give CloudTrail files ({{\"Records\": …}}), the output of `aws cloudtrail \
         lookup-events`, AWS Config items ({{\"configurationItems\": …}}) or an older snapshot", path.display()
    )]
    NoHistory {
        /// The file or directory.
        path: PathBuf,
    },
    /// More calls and states than are kept in memory.
    #[error(
        "{}: with it the history holds more than {limit} changes of network ACLs; hint: give the days around the incident only",
        path.display()
    )]
    TooMany {
        /// The file at which the limit was reached.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// A snapshot that does not say when it was captured.
    #[error(
        "{}: does not say when it was captured, so it has no place in a history; hint: add \
         \"flowcheck\": {{\"captured_at\": \"2026-11-20T14:00:00Z\"}} beside its other keys", path.display()
    )]
    NoTime {
        /// The file.
        path: PathBuf,
    },
}

/// How far beyond a covered time a state still belongs to it: asking for all of it takes minutes, and a trail is not
/// written to all the time.
const STATE_AFTER_SECONDS: i64 = 3600;

/// A trail that records an account has something every day: longer without a single record is a hole, files that are missing.
const HOLE_SECONDS: i64 = 24 * 3600;

/// A recorder that was stopped makes no item and says nothing of it: what it proves lies between two states that are no
/// further apart.
const RECORDER_SECONDS: i64 = 24 * 3600;

/// An account and a region, as events and items name them; `None` where a record does not say.
type Place = Option<(String, String)>;

/// The first and the last moment of something.
type Covered = (Timestamp, Timestamp);

/// The documents of a history, read.
#[derive(Debug, Default, Clone)]
pub struct HistoryDocuments {
    events: Vec<Event>,
    states: Vec<FullState>,
    /// Where events and items of an ACL were recorded.
    places: BTreeMap<String, BTreeSet<(String, String)>>,
    /// When the trail files of a place have records: the first and the last of each hour.
    trails: BTreeMap<Place, BTreeMap<i64, Covered>>,
    /// Times of which no call is missing, wherever it was made.
    complete: Vec<Covered>,
    /// First and last event or state.
    covered: Option<Covered>,
    has_trail: bool,
    has_items: bool,
    has_snapshots: bool,
}

impl HistoryDocuments {
    /// Reads files and directories (walked recursively: `*.json`, `*.jsonl`, each also `.gz`).
    ///
    /// Fails on a file that cannot be read, on broken JSON, on a path without any history, and on a change to a
    /// network ACL that cannot be understood.
    pub fn load(paths: &[PathBuf]) -> Result<Self, HistoryError> {
        read::from_paths(paths)
    }

    /// Adds documents that are there already, each with the name that messages call it by. `complete` is the time of
    /// which they hold every call that changed a network ACL, where that is known.
    pub fn add(
        &mut self,
        documents: &[(PathBuf, Value)],
        complete: Option<(Timestamp, Timestamp)>,
    ) -> Result<(), HistoryError> {
        for (name, value) in documents {
            self.add_value(name, value)?;
        }
        if let Some((first, last)) = complete {
            self.add_complete(first, last);
        }
        Ok(())
    }

    /// No call is missing in this time.
    fn add_complete(&mut self, first: Timestamp, last: Timestamp) {
        self.has_trail = true;
        if first <= last {
            self.complete.push((first, last));
            self.cover(first);
            self.cover(last);
        }
    }

    /// Whether nothing was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !(self.has_trail || self.has_items || self.has_snapshots)
    }

    /// Puts the history together, with the present configuration as one more state.
    #[must_use]
    pub fn with(&self, config: &NetworkConfig) -> History {
        let mut states = self.states.clone();
        states.extend(config.acls().map(|acl| FullState {
            at: config.acl_captured_at(&acl.network_acl_id),
            source: StateSource::Snapshot,
            acl: acl.clone(),
            association_ids: config.association_ids.get(&acl.network_acl_id).cloned().unwrap_or_default(),
        }));
        let vpc = |state: &FullState| Some((state.acl.network_acl_id.clone(), state.acl.vpc_id.clone()?));
        let vpcs = states.iter().filter_map(vpc).collect();
        let timeline = Timeline::new(self.events.clone(), states);
        let mut warnings: Vec<String> = unplaced(&timeline, config).into_iter().collect();
        let undated = config.acls().any(|acl| config.acl_captured_at(&acl.network_acl_id).is_none());
        if undated && !self.is_empty() {
            warnings.push(
                "the network configuration does not say when it was captured: it is taken to be later than every change \
                 in the history"
                    .to_owned(),
            );
        }
        let mut places = self.places.clone();
        for acl in config.acls() {
            if let Some(place) = config.acl_place(&acl.network_acl_id) {
                places.entry(acl.network_acl_id.clone()).or_default().insert(place.clone());
            }
        }
        History {
            timeline,
            places,
            vpcs,
            trails: self.trails.iter().map(|(place, hours)| (place.clone(), segments(hours))).collect(),
            complete: joined(self.complete.clone()),
            covered: self.covered,
            sources: self.sources(),
            warnings,
        }
    }

    /// `cloudtrail`, `config`, `snapshots`, joined by `+`.
    fn sources(&self) -> &'static str {
        match (self.has_trail, self.has_items, self.has_snapshots) {
            (false, false, false) => "none",
            (true, false, false) => "cloudtrail",
            (false, true, false) => "config",
            (false, false, true) => "snapshots",
            (true, true, false) => "cloudtrail+config",
            (true, false, true) => "cloudtrail+snapshots",
            (false, true, true) => "config+snapshots",
            (true, true, true) => "cloudtrail+config+snapshots",
        }
    }

    fn cover(&mut self, at: Timestamp) {
        let (first, last) = self.covered.unwrap_or((at, at));
        self.covered = Some((first.min(at), last.max(at)));
    }
}

/// What to say of calls that gave a subnet one of the known ACLs, where it is not known which subnet.
fn unplaced(timeline: &Timeline, config: &NetworkConfig) -> Option<String> {
    let concerns = |event: &&Event| match &event.change {
        Change::ReplaceAssociation { network_acl_id, .. } => config.acl(network_acl_id).is_some(),
        _ => false,
    };
    let times: Vec<_> = timeline.unresolved().filter(concerns).map(|event| event.time).collect();
    let what = match times.as_slice() {
        [] => return None,
        [_] => "one ReplaceNetworkAclAssociation".to_owned(),
        more => format!("{} ReplaceNetworkAclAssociation events", more.len()),
    };
    let first = times.first()?;
    Some(format!(
        "{what} of the history cannot be placed (the first at {first}): no state names the association, so it is not known \
         which subnet got another network ACL"
    ))
}

/// Times that touch or overlap become one; what lies between others stays uncovered.
fn joined(mut times: Vec<Covered>) -> Vec<Covered> {
    times.sort_unstable();
    let mut found: Vec<Covered> = Vec::new();
    for (first, last) in times {
        match found.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => found.push((first, last)),
        }
    }
    found
}

fn widen(trails: &mut BTreeMap<Place, BTreeMap<i64, Covered>>, place: Place, at: Timestamp) {
    let covered = trails.entry(place).or_default().entry(at.0.div_euclid(3600)).or_insert((at, at));
    *covered = (covered.0.min(at), covered.1.max(at));
}

/// The times without a hole.
fn segments(hours: &BTreeMap<i64, Covered>) -> Vec<Covered> {
    let mut found: Vec<Covered> = Vec::new();
    for &(first, last) in hours.values() {
        match found.last_mut() {
            Some(before) if first.seconds_since(before.1) <= HOLE_SECONDS => before.1 = last,
            _ => found.push((first, last)),
        }
    }
    found
}

/// Network ACLs over time, and how much of it the documents prove.
#[derive(Debug)]
pub struct History {
    timeline: Timeline,
    places: BTreeMap<String, BTreeSet<(String, String)>>,
    /// The VPC of each ACL that a state tells of.
    vpcs: BTreeMap<String, String>,
    trails: BTreeMap<Place, Vec<Covered>>,
    complete: Vec<Covered>,
    covered: Option<Covered>,
    sources: &'static str,
    warnings: Vec<String>,
}

impl History {
    /// What stood in front of a subnet over time; see [`Timeline::of_subnet`].
    #[must_use]
    pub fn of_subnet<'t>(
        &'t self,
        subnet_id: Option<&str>,
        otherwise: Option<&'t NetworkAcl>,
    ) -> Vec<InForce<'t>> {
        self.timeline.of_subnet(subnet_id, otherwise.map(|acl| acl.network_acl_id.as_str()))
    }

    /// Network ACLs over time.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// `cloudtrail`, `config`, `snapshots`, joined by `+`.
    #[must_use]
    pub fn sources(&self) -> &'static str {
        self.sources
    }

    /// First and last event or state given.
    #[must_use]
    pub fn covered(&self) -> Option<(Timestamp, Timestamp)> {
        self.covered
    }

    /// What makes the history less than it seems.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether the rules of an ACL are known to be those in force from `first` to `last`: a trail of all calls reaches
    /// from one of its full states to then, or a recorder of changes saw it before and after.
    #[must_use]
    pub fn proves_acl(&self, network_acl_id: &str, first: Timestamp, last: Timestamp) -> bool {
        let states = self.timeline.states_of(network_acl_id);
        let times: Vec<Timestamp> = states.iter().map(|(at, _)| *at).collect();
        self.trail_marks(network_acl_id, &times, first, last).next().is_some()
            || recorded(states, first, last).is_some()
    }

    /// The same for which ACL a subnet has.
    #[must_use]
    pub fn proves_association(
        &self,
        subnet_id: &str,
        network_acl_id: &str,
        first: Timestamp,
        last: Timestamp,
    ) -> bool {
        let own = self.timeline.associations_of(subnet_id);
        // A subnet that no state lists has the default ACL, whose states do not list it.
        let states: Vec<_> = self.timeline.states_of(network_acl_id).iter().map(|(at, _)| *at).collect();
        let times = if own.is_empty() { states.as_slice() } else { own };
        // A subnet may have been moved unseen between the moment at which its ACL is known and the one asked for.
        let is_placed = |from: Timestamp, until: Timestamp| {
            let mut moved = self.timeline.unresolved().filter(|event| self.may_move(event, network_acl_id));
            !moved.any(|event| from.plus_seconds(-60) <= event.time && event.time <= until.plus_seconds(60))
        };
        self.trail_marks(network_acl_id, times, first, last)
            .any(|mark| is_placed(mark.min(first), mark.max(last)))
            || recorded(self.timeline.states_of(network_acl_id), first, last)
                .is_some_and(|(before, after)| is_placed(before, after))
    }

    /// Whether a call on a subnet that is not known may have been on one of this ACL: it was not when the subnet got an ACL
    /// of another VPC.
    fn may_move(&self, event: &Event, network_acl_id: &str) -> bool {
        let vpc = |id: &str| self.vpcs.get(id);
        let other = event.change.network_acl_id().and_then(vpc);
        other.is_none() || vpc(network_acl_id).is_none() || other == vpc(network_acl_id)
    }

    /// Those of the moments at which something is known that a trail of all calls joins with the time from `first` to
    /// `last`.
    fn trail_marks(
        &self,
        acl: &str,
        marks: &[Timestamp],
        first: Timestamp,
        last: Timestamp,
    ) -> impl Iterator<Item = Timestamp> {
        self.trails_of(acl).into_iter().flat_map(move |(trail_first, trail_last)| {
            // A state that comes soon after the last event says what was missed until then.
            let end = marks.iter().copied().find(|at| *at > trail_last);
            let end =
                end.filter(|at| at.seconds_since(trail_last) <= STATE_AFTER_SECONDS).unwrap_or(trail_last);
            let begin = trail_first.plus_seconds(-STATE_AFTER_SECONDS);
            let is_covered = trail_first <= first && last <= end;
            marks.iter().copied().filter(move |at| is_covered && begin <= *at && *at <= end)
        })
    }

    /// What trails cover. Of files it is what was recorded where this ACL is, as its own events and items and its
    /// description say.
    fn trails_of(&self, network_acl_id: &str) -> Vec<Covered> {
        let own = self.places.get(network_acl_id).map(|places| places.iter().collect::<Vec<_>>());
        let here = match own.as_deref() {
            Some([place]) => self.trails.get(&Some((*place).clone())),
            _ => None,
        };
        self.complete.iter().chain(here.into_iter().flatten()).copied().collect()
    }
}

/// The states between which a recorder that makes an item of each change proves that there was none: it saw the ACL before
/// and something saw it after, not long apart.
fn recorded(states: &[(Timestamp, StateSource)], first: Timestamp, last: Timestamp) -> Option<Covered> {
    let before = states.iter().rev().find(|(at, _)| *at <= first)?;
    let after = states.iter().find(|(at, _)| *at >= last)?;
    let proves = before.1 == StateSource::Config
        && after.1 != StateSource::ConfigDaily
        && after.0.seconds_since(before.0) <= RECORDER_SECONDS;
    proves.then_some((before.0, after.0))
}

#[cfg(test)]
mod tests;
