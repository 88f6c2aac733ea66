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

/// How long after the end of a complete time a state still tells what happened since: asking for all of it takes minutes.
const STATE_AFTER_SECONDS: i64 = 3600;

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
    /// What the CloudTrail documents of a place cover.
    trails: BTreeMap<Place, Covered>,
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
        History {
            timeline,
            places: self.places.clone(),
            trails: self.trails.clone(),
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

fn widen(trails: &mut BTreeMap<Place, Covered>, place: Place, at: Timestamp) {
    let covered = trails.entry(place).or_insert((at, at));
    *covered = (covered.0.min(at), covered.1.max(at));
}

/// Network ACLs over time, and how much of it the documents prove.
#[derive(Debug)]
pub struct History {
    timeline: Timeline,
    places: BTreeMap<String, BTreeSet<(String, String)>>,
    trails: BTreeMap<Place, Covered>,
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
        self.trail_proves(network_acl_id, &times, first, last) || recorded(states, first, last)
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
        self.trail_proves(network_acl_id, times, first, last)
            || recorded(self.timeline.states_of(network_acl_id), first, last)
    }

    fn trail_proves(&self, acl: &str, marks: &[Timestamp], first: Timestamp, last: Timestamp) -> bool {
        self.trails_of(acl).any(|((trail_first, trail_last), most)| {
            // A state that comes next after the last event says what was missed until then.
            let end = marks.iter().copied().find(|at| *at > trail_last);
            let end = end.filter(|at| at.seconds_since(trail_last) <= most).unwrap_or(trail_last);
            let begin = marks.iter().copied().rfind(|at| *at < trail_first).unwrap_or(trail_first);
            trail_first <= first && last <= end && marks.iter().any(|at| begin <= *at && *at <= end)
        })
    }

    /// What trails cover, and how long after that a state may say what was missed since. Of files it is what was recorded
    /// where this ACL's own events and items are, else in the only place there is.
    fn trails_of(&self, network_acl_id: &str) -> impl Iterator<Item = (Covered, i64)> {
        let own = self.places.get(network_acl_id).map(|places| places.iter().collect::<Vec<_>>());
        let here = match own.as_deref() {
            Some([place]) => self.trails.get(&Some((*place).clone())),
            None if self.trails.len() == 1 => self.trails.values().next(),
            _ => None,
        };
        let complete = self.complete.iter().map(|covered| (*covered, STATE_AFTER_SECONDS));
        complete.chain(here.map(|covered| (*covered, i64::MAX)))
    }
}

/// Whether a recorder that makes an item of each change saw the ACL before and something saw it after.
fn recorded(states: &[(Timestamp, StateSource)], first: Timestamp, last: Timestamp) -> bool {
    let before = states.iter().rev().find(|(at, _)| *at <= first);
    let after = states.iter().find(|(at, _)| *at >= last);
    before.is_some_and(|(_, source)| *source == StateSource::Config)
        && after.is_some_and(|(_, source)| *source != StateSource::ConfigDaily)
}

#[cfg(test)]
mod tests;
