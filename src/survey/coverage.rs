//! When there were records of each interface, and when not.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::correlate::{COVERAGE_SLICE_SECONDS, Slices};
use crate::net::Timestamp;
use crate::report::view::{Coverage, Diagnosis, InterfaceCoverage, SkipInterval, TimeSpan};

/// Interfaces that are listed.
const LISTED: usize = 500;

/// Gaps that are listed for an interface.
const GAPS_LISTED: usize = 20;

/// The most slices that are looked at: a hundred days. A record of another age makes no gap of years.
const MOST_SLICES: i64 = 100 * 144;

/// Gaps of every interface in the time asked for, or else in the time that has records; not after `settled`, from when on
/// records may still arrive. Only slices that lie in it whole count.
pub(super) fn coverage(
    covered: Option<&BTreeMap<String, Slices>>,
    unknown: Option<String>,
    skip_data: &[SkipInterval],
    diagnosis: &Diagnosis,
    settled: Option<Timestamp>,
) -> Coverage {
    let window = &diagnosis.window;
    // NODATA records show that there was nothing else.
    let last_slice = covered.into_iter().flat_map(BTreeMap::values).filter_map(Slices::last).max();
    let last_covered = last_slice.map(|slice| Timestamp((slice + 1) * COVERAGE_SLICE_SECONDS));
    let start = window.since.or(window.first_record).unwrap_or_default();
    let end = settled.or(last_covered).or(window.last_record).unwrap_or_default();
    let start = start.max(end.plus_seconds(-MOST_SLICES * COVERAGE_SLICE_SECONDS));
    let resolution_seconds = u32::try_from(COVERAGE_SLICE_SECONDS).unwrap_or(u32::MAX);
    let mut coverage = Coverage { unknown, resolution_seconds, start, end, ..Coverage::default() };
    let Some(covered) = covered.filter(|_| coverage.unknown.is_none()) else { return coverage };
    let first = start.0.div_euclid(COVERAGE_SLICE_SECONDS) + i64::from(start.0 % COVERAGE_SLICE_SECONDS != 0);
    let slices = first..end.0.div_euclid(COVERAGE_SLICE_SECONDS);
    let skipped = skipped(skip_data);
    let mut rows: Vec<InterfaceCoverage> = Vec::new();
    for (interface_id, known) in covered {
        let gaps = gaps(known, slices.clone());
        let (skip_data, skip_data_seconds) = skipped.get(interface_id.as_str()).copied().unwrap_or_default();
        if gaps.is_empty() && skip_data == 0 {
            coverage.interfaces_covered += 1;
            continue;
        }
        let gap_seconds = gaps.iter().map(seconds).sum();
        let mut longest = gaps.clone();
        longest.sort_by_key(|gap| (Reverse(seconds(gap)), *gap));
        longest.truncate(GAPS_LISTED);
        longest.sort();
        rows.push(InterfaceCoverage {
            interface_id: interface_id.clone(),
            gap_seconds,
            gaps_left_out: (gaps.len() - longest.len()) as u64,
            gaps: longest,
            skip_data,
            skip_data_seconds,
        });
    }
    rows.sort_by_key(|row| (Reverse(row.gap_seconds), Reverse(row.skip_data_seconds)));
    coverage.interfaces_left_out = rows.len().saturating_sub(LISTED) as u64;
    rows.truncate(LISTED);
    coverage.interfaces = rows;
    coverage
}

/// Slices without records, those that follow each other as one.
fn gaps(known: &Slices, slices: std::ops::Range<i64>) -> Vec<TimeSpan> {
    let mut gaps: Vec<TimeSpan> = Vec::new();
    for slice in slices.filter(|slice| !known.contains(*slice)) {
        let start = Timestamp(slice * COVERAGE_SLICE_SECONDS);
        let end = start.plus_seconds(COVERAGE_SLICE_SECONDS - 1);
        match gaps.last_mut() {
            Some(last) if last.end.plus_seconds(1) == start => last.end = end,
            _ => gaps.push(TimeSpan { start, end }),
        }
    }
    gaps
}

fn seconds(span: &TimeSpan) -> u64 {
    u64::try_from(span.end.seconds_since(span.start) + 1).unwrap_or(0)
}

/// By interface: how many intervals AWS lost records in, and their seconds.
fn skipped(intervals: &[SkipInterval]) -> BTreeMap<&str, (u64, u64)> {
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for interval in intervals {
        let sum = sums.entry(&interval.interface_id).or_default();
        sum.0 += 1;
        sum.1 += seconds(&TimeSpan { start: interval.start, end: interval.end });
    }
    sums
}
