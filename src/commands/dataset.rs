//! `--dataset`: the rejected conversations as Parquet, one file for each day (UTC).
//!
//! A day's file says what time it holds; one that holds less does not take the place of one that holds more.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::file::write_file;
use super::sources::Window;
use crate::net::Timestamp;
use crate::report::view::Row;
use crate::report::write_parquet;

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// Days without a row that get a file all the same: it says that there was none.
const MOST_EMPTY_DAYS: i64 = 400;

const SINCE: &str = "flowcheck.since";
const UNTIL: &str = "flowcheck.until";

/// Writes the rows of each day of `window`. Gives what was left as it is, for a note.
pub(super) fn write_days(dir: &Path, rows: &[Row], window: Window) -> anyhow::Result<Vec<String>> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make the directory {}", dir.display()))?;
    let mut days: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
    if let (Some(since), Some(until)) = (window.since, window.until) {
        let (first, last) = (since.0.div_euclid(DAY), (until.0 - 1).div_euclid(DAY));
        if last - first < MOST_EMPTY_DAYS {
            days.extend((first..=last).map(|day| (day, Vec::new())));
        }
    }
    for row in rows {
        // A record that reaches into the time began before it.
        let at = row.first_rejected.max(window.since.unwrap_or(row.first_rejected));
        days.entry(at.0.div_euclid(DAY)).or_default().push(row);
    }
    let mut kept = Vec::new();
    for (day, rows) in days {
        let (start, end) = (Timestamp(day * DAY), Timestamp((day + 1) * DAY));
        let since = window.since.map_or(start, |since| since.max(start));
        let until = window.until.map_or(end, |until| until.min(end));
        let path = path(dir, start);
        if held(&path).is_some_and(|(held_since, held_until)| held_since < since || held_until > until) {
            kept.push(format!(
                "{} holds more of its day than was read now ({since} to {until}), and was left as it is",
                path.display()
            ));
            continue;
        }
        let about = [(SINCE, since.to_string()), (UNTIL, until.to_string())];
        write_file(&path, |out| write_parquet(&rows, &about, out))?;
    }
    Ok(kept)
}

fn path(dir: &Path, day: Timestamp) -> PathBuf {
    dir.join(format!("rejected-replies-{}.parquet", day.strftime("%F")))
}

/// Whether the rows of the whole day that begins at this moment are there.
pub(super) fn has_day(dir: &Path, day: Timestamp) -> bool {
    held(&path(dir, day)).is_some_and(|(since, until)| since <= day && day.plus_seconds(DAY) <= until)
}

/// The time that a file of an earlier run holds.
fn held(path: &Path) -> Option<(Timestamp, Timestamp)> {
    let metadata = polars_parquet::parquet::read::read_metadata(&mut File::open(path).ok()?).ok()?;
    let about = metadata.key_value_metadata.as_ref()?;
    let moment = |key: &str| -> Option<Timestamp> {
        about.iter().find(|pair| pair.key == key)?.value.as_ref()?.parse().ok()
    };
    Some((moment(SINCE)?, moment(UNTIL)?))
}
