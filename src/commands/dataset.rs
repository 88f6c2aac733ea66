//! `--dataset`: the rejected conversations as Parquet, one file for each day (UTC).
//!
//! A day's file says what time it holds; one that holds less does not take the place of one that holds more.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::file::write_file;
use crate::net::Timestamp;
use crate::report::view::Row;
use crate::report::write_parquet;

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// Days without a row that get a file all the same: it says that there was none.
const MOST_EMPTY_DAYS: i64 = 400;

const SINCE: &str = "flowcheck.since";
const UNTIL: &str = "flowcheck.until";
const COMPLETE: &str = "flowcheck.complete";
const SCOPE: &str = "flowcheck.scope";

/// What rows are of, and what a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// The time that was read.
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    /// Whether all of it was read.
    pub(super) complete: bool,
    /// Sources, filters and options.
    pub(super) scope: String,
}

/// Writes the rows of each day. Gives what was left as it is, for a note. Fails where a file of a day has rows of other
/// sources or filters.
pub(super) fn write_days(dir: &Path, rows: &[Row], read: &Held) -> anyhow::Result<Vec<String>> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make the directory {}", dir.display()))?;
    let mut days: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
    if let (Some(since), Some(until)) = (read.since, read.until) {
        let (first, last) = (since.0.div_euclid(DAY), (until.0 - 1).div_euclid(DAY));
        if last - first < MOST_EMPTY_DAYS {
            days.extend((first..=last).map(|day| (day, Vec::new())));
        }
    }
    for row in rows {
        // A record that reaches into the time began before it.
        let at = row.first_rejected.max(read.since.unwrap_or(row.first_rejected));
        days.entry(at.0.div_euclid(DAY)).or_default().push(row);
    }
    let mut kept = Vec::new();
    for (day, rows) in days {
        let (start, end) = (Timestamp(day * DAY), Timestamp((day + 1) * DAY));
        let since = read.since.map_or(start, |since| since.max(start));
        let until = read.until.map_or(end, |until| until.min(end));
        let of_day = Held { since: Some(since), until: Some(until), ..read.clone() };
        let path = path(dir, start);
        if let Some(held) = held(&path) {
            if held.scope != of_day.scope {
                bail!(
                    "{} holds rows of other sources or filters\nhint: give a --dataset directory of its own",
                    path.display()
                );
            }
            if !of_day.serves_for(&held) {
                kept.push(format!(
                    "{} holds more of its day than was read now ({since} to {until}{}), and was left as it is",
                    path.display(),
                    if of_day.complete { "" } else { ", in part" }
                ));
                continue;
            }
        }
        let about = [
            (SINCE, since.to_string()),
            (UNTIL, until.to_string()),
            (COMPLETE, of_day.complete.to_string()),
            (SCOPE, of_day.scope.clone()),
        ];
        write_file(&path, |out| write_parquet(&rows, &about, out))?;
    }
    Ok(kept)
}

impl Held {
    /// Whether nothing is lost with what another file holds.
    fn serves_for(&self, other: &Self) -> bool {
        self.since <= other.since && self.until >= other.until && (self.complete || !other.complete)
    }
}

fn path(dir: &Path, day: Timestamp) -> PathBuf {
    dir.join(format!("rejected-replies-{}.parquet", day.strftime("%F")))
}

/// Whether the rows of the whole day that begins at this moment are there, of these sources and filters.
pub(super) fn has_day(dir: &Path, day: Timestamp, scope: &str) -> bool {
    held(&path(dir, day)).is_some_and(|held| {
        held.complete
            && held.scope == scope
            && held.since <= Some(day)
            && held.until >= Some(day.plus_seconds(DAY))
    })
}

/// What a file of an earlier run says of itself; nothing where it is none of these.
fn held(path: &Path) -> Option<Held> {
    let metadata = polars_parquet::parquet::read::read_metadata(&mut File::open(path).ok()?).ok()?;
    let about = metadata.key_value_metadata.as_ref()?;
    let value = |key: &str| about.iter().find(|pair| pair.key == key)?.value.clone();
    Some(Held {
        since: Some(value(SINCE)?.parse().ok()?),
        until: Some(value(UNTIL)?.parse().ok()?),
        complete: value(COMPLETE)? == "true",
        scope: value(SCOPE)?,
    })
}
