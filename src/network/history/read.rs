//! Finding and reading the documents of a history: files, directories, JSON lines, and which kind each value is.

use std::path::{Path, PathBuf};

use memchr::memmem;
use serde::Deserialize;
use serde_json::Value;
use walkdir::WalkDir;

use super::super::SnapshotError;
use super::super::document::{Document, Fault, Object};
use super::super::load::{malformed, read_file, text_of};
use super::{HistoryDocuments, HistoryError, Place, item, trail, widen};
use crate::nacl::history::{FullState, StateSource};
use crate::net::Timestamp;

/// Folders beside CloudTrail's own (CloudTrail User Guide): digests, insights, network activity, aggregations. None holds
/// calls that change a network ACL.
const OTHER_FOLDERS: [&str; 4] =
    ["CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-NetworkActivity", "CloudTrail-Aggregated"];

/// The most calls and states kept: far more than a region's 90 days hold.
const MAX_CHANGES: usize = 1_000_000;

/// The most lists inside one another that are looked through.
const DEPTH: usize = 2;

/// [`HistoryDocuments::load`].
pub(super) fn from_paths(paths: &[PathBuf]) -> Result<HistoryDocuments, HistoryError> {
    let mut documents = HistoryDocuments::default();
    for path in paths {
        let metadata =
            path.metadata().map_err(|source| SnapshotError::Read { path: path.clone(), source })?;
        let found = if metadata.is_dir() {
            documents.add_directory(path)?
        } else {
            documents.add_content(path, &read_file(path)?)?
        };
        if !found {
            return Err(HistoryError::NoHistory { path: path.clone() });
        }
    }
    Ok(documents)
}

impl HistoryDocuments {
    fn add_directory(&mut self, directory: &Path) -> Result<bool, HistoryError> {
        let mut found = false;
        let walk = WalkDir::new(directory).follow_links(true).sort_by_file_name();
        for entry in walk.into_iter().filter_entry(|entry| !is_other_folder(entry)) {
            let entry = entry.map_err(|error| SnapshotError::Read {
                path: error.path().unwrap_or(directory).to_owned(),
                source: error.into(),
            })?;
            if entry.file_type().is_file() && has_history_name(entry.path()) {
                found |= self.add_content(entry.path(), &read_file(entry.path())?)?;
            }
        }
        Ok(found)
    }

    /// Adds what one file holds; `false` when none of it is history.
    pub(super) fn add_content(&mut self, path: &Path, content: &[u8]) -> Result<bool, HistoryError> {
        let text = text_of(path, content)?;
        if !trail::NAME_PARTS.iter().any(|name| memmem::find(&text, name.as_bytes()).is_some())
            && let Ok(Covers { records }) = serde_json::from_slice(&text)
        {
            // A trail file of other calls, as most are: it says only that the trail was there.
            for record in &records {
                self.cover_by_trail(record.place(), record.event_time.parse().ok());
            }
            self.has_trail = true;
            return Ok(true);
        }
        let mut found = false;
        for value in serde_json::Deserializer::from_slice(&text).into_iter::<Value>() {
            let value = value.map_err(|source| SnapshotError::NotJson { path: path.to_owned(), source })?;
            found |= self.add_value(path, &value)?;
        }
        Ok(found)
    }

    /// Adds one document; `false` when it is no history.
    pub(super) fn add_value(&mut self, path: &Path, value: &Value) -> Result<bool, HistoryError> {
        self.add_any(path, value, DEPTH)
    }

    fn add_any(&mut self, path: &Path, value: &Value, depth: usize) -> Result<bool, HistoryError> {
        let object = match value {
            Value::Object(object) => object,
            Value::Array(values) if depth > 0 => {
                let mut found = false;
                for value in values {
                    found |= self.add_any(path, value, depth - 1)?;
                }
                return Ok(found);
            }
            _ => return Ok(false),
        };
        let list = |key: &str| object.get(key).and_then(Value::as_array);
        let mut found = false;
        if let Some(records) = list("Records") {
            found = true;
            self.has_trail = true;
            for record in records.iter().filter_map(Value::as_object) {
                self.add_trail_record(path, record)?;
            }
        }
        if let Some(events) = list("Events") {
            found = true;
            self.has_trail = true;
            for event in events.iter().filter_map(Value::as_object) {
                self.add_looked_up(path, event)?;
            }
        }
        if let Some(items) = list("configurationItems").or_else(|| list("baseConfigurationItems")) {
            found = true;
            self.has_items = true;
            for item in items.iter().filter_map(Value::as_object) {
                self.add_item(path, item)?;
            }
        }
        if found {
            self.add_rest(path, value)?;
            return Ok(true);
        }
        if object.contains_key("CloudTrailEvent") {
            self.has_trail = true;
            self.add_looked_up(path, object)?;
        } else if object.contains_key("eventName") && object.contains_key("eventTime") {
            self.has_trail = true;
            self.add_record(path, object)?;
        } else if object.contains_key("configurationItemCaptureTime") {
            self.has_items = true;
            self.add_item(path, object)?;
        } else {
            return self.add_snapshot(path, value);
        }
        Ok(true)
    }

    /// What `flowcheck snapshot --history` writes beside events and items: the configuration itself, and the time of which
    /// no change is missing.
    fn add_rest(&mut self, path: &Path, value: &Value) -> Result<(), HistoryError> {
        let has_snapshots = self.has_snapshots;
        if value.get("NetworkAcls").is_some() {
            self.add_snapshot(path, value)?;
            // It is where the history was saved, and none of its sources.
            self.has_snapshots = has_snapshots;
        }
        let own = value.get("flowcheck").and_then(|own| own.get("history"));
        let time = |member: &str| own?.get(member)?.as_str()?.parse::<Timestamp>().ok();
        if let (Some(since), Some(until)) = (time("complete_since"), time("complete_until")) {
            self.add_complete(since, until);
        }
        Ok(())
    }

    fn add_looked_up(&mut self, path: &Path, event: &Object) -> Result<(), HistoryError> {
        const MEMBER: &str = "CloudTrailEvent";
        let fault = |problem: String| {
            let id = event.get("EventId").and_then(Value::as_str).unwrap_or("an event");
            let fault = Fault { resource: shortened(id), ..Fault::new(MEMBER, problem) };
            HistoryError::from(malformed(path, fault))
        };
        let record: Value = match event.get(MEMBER) {
            Some(Value::String(text)) => {
                serde_json::from_str(text).map_err(|error| fault(error.to_string()))?
            }
            Some(value @ Value::Object(_)) => value.clone(),
            _ => return Err(fault("is missing".to_owned())),
        };
        match record.as_object() {
            Some(record) => self.add_record(path, record),
            None => Err(fault("is not an object".to_owned())),
        }
    }

    /// A record of a trail's file, which holds all that was recorded in its time.
    fn add_trail_record(&mut self, path: &Path, record: &Object) -> Result<(), HistoryError> {
        let time = record.get("eventTime").and_then(Value::as_str).and_then(|text| text.parse().ok());
        self.cover_by_trail(trail::place(record), time);
        self.add_record(path, record)
    }

    /// A record that may be one of those that someone chose: it does not show that others are there too.
    fn add_record(&mut self, path: &Path, record: &Object) -> Result<(), HistoryError> {
        let time = record.get("eventTime").and_then(Value::as_str).and_then(|text| text.parse().ok());
        if let Some(time) = time {
            self.cover(time);
        }
        let place = trail::place(record);
        let event = trail::event(record).map_err(|fault| {
            let id = record.get("eventID").and_then(Value::as_str).unwrap_or("an event");
            malformed(path, Fault { resource: format!("event {}", shortened(id)), ..fault })
        })?;
        let Some(event) = event else { return Ok(()) };
        if let (Some(place), Some(network_acl_id)) = (place, event.change.network_acl_id()) {
            self.places.entry(network_acl_id.to_owned()).or_default().insert(place);
        }
        self.events.push(event);
        self.check_size(path)
    }

    fn cover_by_trail(&mut self, place: Place, time: Option<Timestamp>) {
        if let Some(time) = time {
            self.cover(time);
            widen(&mut self.trails, Some(place.unwrap_or_default()), time);
        }
    }

    fn add_item(&mut self, path: &Path, item: &Object) -> Result<(), HistoryError> {
        let id = || item.get("resourceId").and_then(Value::as_str).unwrap_or("an item");
        let found = item::state(item).map_err(|fault| {
            malformed(path, Fault { resource: format!("item of {}", shortened(id())), ..fault })
        })?;
        let Some(state) = found else { return Ok(()) };
        if let Some(at) = state.at {
            self.cover(at);
        }
        if let Some(place) = item::place(item) {
            self.places.entry(state.acl.network_acl_id.clone()).or_default().insert(place);
        }
        self.states.push(state);
        self.check_size(path)
    }

    fn check_size(&self, path: &Path) -> Result<(), HistoryError> {
        if self.events.len() + self.states.len() > MAX_CHANGES {
            return Err(HistoryError::TooMany { path: path.to_owned(), limit: MAX_CHANGES });
        }
        Ok(())
    }

    fn add_snapshot(&mut self, path: &Path, value: &Value) -> Result<bool, HistoryError> {
        let Some(document) = Document::read(value).map_err(|fault| malformed(path, fault))? else {
            return Ok(false);
        };
        if document.network_acls.is_empty() {
            // A page of something else, as a whole snapshot has.
            return Ok(value.get("NetworkAcls").is_some());
        }
        let Some(at) = document.captured_at else {
            return Err(HistoryError::NoTime { path: path.to_owned() });
        };
        self.has_snapshots = true;
        self.cover(at);
        for acl in document.network_acls {
            let own = document.associations.iter().filter(|[_, id, _]| *id == acl.network_acl_id);
            let association_ids = own.map(|[id, _, subnet_id]| (id.clone(), subnet_id.clone())).collect();
            self.states.push(FullState { at: Some(at), source: StateSource::Snapshot, acl, association_ids });
        }
        Ok(true)
    }
}

/// Of a trail file what says when and where the trail was there.
#[derive(Deserialize)]
struct Covers {
    #[serde(rename = "Records")]
    records: Vec<Brief>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Brief {
    event_time: String,
    aws_region: Option<String>,
    recipient_account_id: Option<String>,
}

impl Brief {
    fn place(&self) -> Place {
        Some((self.recipient_account_id.clone()?, self.aws_region.clone()?))
    }
}

fn shortened(id: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    id.chars().take(SHOWN_CHARS).collect()
}

fn is_other_folder(entry: &walkdir::DirEntry) -> bool {
    entry.file_type().is_dir()
        && OTHER_FOLDERS.iter().any(|folder| entry.file_name().eq_ignore_ascii_case(folder))
}

fn has_history_name(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let extension = Path::new(name.trim_end_matches(".gz")).extension();
    extension.is_some_and(|extension| ["json", "jsonl", "ndjson"].iter().any(|known| extension == *known))
}
