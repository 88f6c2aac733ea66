//! Accepted rows that wait for rejects: kept as batches bring them, forgotten when nothing to come can match them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::accepted::{AcceptedRow, WideRow};
use super::interface::InterfaceIndex;
use super::rows::Rows;
use super::spare::{Reusable, Spare};
use super::{Span, Timestamp};

/// A list shorter than this is copied: memory for many small objects is not to be that of as many large ones.
const WHOLE: usize = if cfg!(test) { 2 } else { 1024 };

/// Who has a list of interfaces before any run has: the join, and the call that brings it.
const HOLDERS_BEFORE_RUNS: usize = 2;

/// Rows whose times lie further apart wait one by one, so that one of them does not keep all.
const LONG_SECONDS: i64 = 3600;

/// Seconds of `end` that share one run of rows that wait one by one.
const BUCKET_SECONDS: i64 = 300;

/// When the accepted rows of a batch were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowTimes {
    /// Earliest `start`.
    pub(super) earliest_start: i64,
    /// Latest `start`.
    pub(super) latest_start: i64,
    /// Latest `end`.
    pub(super) latest_end: i64,
    /// Whether some of them are evidence only and not counted.
    pub(super) has_context: bool,
}

impl RowTimes {
    /// Those of no rows.
    pub(super) const NONE: Self =
        Self { earliest_start: i64::MAX, latest_start: i64::MIN, latest_end: i64::MIN, has_context: false };

    /// Those of one row.
    pub(super) fn of(row: &AcceptedRow) -> Self {
        Self {
            earliest_start: row.start(),
            latest_start: row.start(),
            latest_end: row.end(),
            has_context: row.is_context(),
        }
    }

    /// Those of two lots of rows.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            earliest_start: self.earliest_start.min(other.earliest_start),
            latest_start: self.latest_start.max(other.latest_start),
            latest_end: self.latest_end.max(other.latest_end),
            has_context: self.has_context || other.has_context,
        }
    }
}

/// Rows that are forgotten together.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) rows: Rows,
    pub(super) wide: Vec<WideRow>,
    /// The interfaces of `rows` by the numbers in them; `None` when those are the join's own.
    pub(super) interfaces: Option<Arc<[InterfaceIndex]>>,
    /// How many of those no other run has: a list is counted for the first run that has it.
    own_interfaces: usize,
    /// Earliest `start`: a long capture window ends in a later run than it begins.
    earliest_start: Option<i64>,
    latest_end: i64,
}

impl Run {
    /// The join's number of a row's interface.
    #[inline]
    pub(super) fn interface(&self, row: &AcceptedRow) -> InterfaceIndex {
        match &self.interfaces {
            Some(interfaces) => interfaces[row.interface().0 as usize],
            None => row.interface(),
        }
    }

    /// A row at full width, its interface by the join's number.
    pub(super) fn widen(&self, row: &AcceptedRow) -> WideRow {
        WideRow { interface: self.interface(row), ..row.widen() }
    }

    /// When its rows were: from the earliest `start` to the latest `end`.
    pub(super) fn span(&self) -> Span {
        let start = Timestamp(self.earliest_start.unwrap_or(i64::MAX));
        Span { start, end: Timestamp(self.latest_end) }
    }

    fn note(&mut self, start: i64, end: i64) {
        self.latest_end = self.earliest_start.map_or(end, |_| self.latest_end.max(end));
        self.earliest_start = Some(self.earliest_start.map_or(start, |known| known.min(start)));
    }
}

/// All rows that wait.
#[derive(Debug)]
pub(super) struct Waiting {
    whole: Vec<Run>,
    /// Rows one by one, by their `end`.
    buckets: BTreeMap<i64, Run>,
    rows: usize,
    wide: usize,
    interfaces: usize,
    spare: Spare<Rows>,
}

impl Waiting {
    /// None yet; lists for those to come may take `spare` bytes.
    pub(super) fn new(spare: usize) -> Self {
        Self {
            whole: Vec::new(),
            buckets: BTreeMap::new(),
            rows: 0,
            wide: 0,
            interfaces: 0,
            spare: Spare::new(spare),
        }
    }

    /// Takes a batch's rows and leaves an empty list. `interfaces` has the join's numbers by the batch's.
    /// `forgets` says that rows will be forgotten as time goes by.
    pub(super) fn add(
        &mut self,
        rows: &mut Rows,
        times: RowTimes,
        interfaces: &Arc<[InterfaceIndex]>,
        forgets: bool,
    ) {
        let is_small = rows.len() < WHOLE || rows.len() * 2 < rows.capacity();
        let is_long = times.latest_end - times.earliest_start > LONG_SECONDS;
        if is_small || (forgets && is_long) {
            self.add_singly(rows, interfaces);
            rows.clear();
            return;
        }
        self.rows += rows.len();
        let is_shared = Arc::strong_count(interfaces) > HOLDERS_BEFORE_RUNS;
        let own_interfaces = if is_shared { 0 } else { interfaces.len() };
        self.interfaces += own_interfaces;
        let empty = self.spare.list(rows.len());
        self.whole.push(Run {
            rows: std::mem::replace(rows, empty),
            wide: Vec::new(),
            interfaces: Some(Arc::clone(interfaces)),
            own_interfaces,
            earliest_start: Some(times.earliest_start),
            latest_end: times.latest_end,
        });
    }

    fn add_singly(&mut self, rows: &Rows, interfaces: &[InterfaceIndex]) {
        let mut current: Option<(i64, Run)> = None;
        for row in rows.iter() {
            let at = row.end().div_euclid(BUCKET_SECONDS);
            if current.as_ref().is_none_or(|(bucket, _)| *bucket != at) {
                self.buckets.extend(current.take());
                current = Some((at, self.buckets.remove(&at).unwrap_or_default()));
            }
            let Some((_, bucket)) = current.as_mut() else { continue };
            bucket.note(row.start(), row.end());
            let interface = interfaces[row.interface().0 as usize];
            if let Some(row) = row.with_interface(interface) {
                bucket.rows.push(row);
                self.rows += 1;
            } else {
                bucket.wide.push(WideRow { interface, ..row.widen() });
                self.wide += 1;
            }
        }
        self.buckets.extend(current);
    }

    /// Takes one row, its interface by the join's number; `name` is the hash of that interface's.
    pub(super) fn add_row(&mut self, row: WideRow, name: u64) {
        let bucket = self.buckets.entry(row.span.end.0.div_euclid(BUCKET_SECONDS)).or_default();
        bucket.note(row.span.start.0, row.span.end.0);
        if let Some(row) = row.compact(name) {
            bucket.rows.push(row);
            self.rows += 1;
        } else {
            bucket.wide.push(row);
            self.wide += 1;
        }
    }

    /// All that waits.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.whole.iter().chain(self.buckets.values())
    }

    /// Takes out the runs of which every row ended before `horizon`.
    pub(super) fn take_before(&mut self, horizon: i64) -> Vec<Run> {
        let mut done: Vec<Run> = self.whole.extract_if(.., |run| run.latest_end < horizon).collect();
        done.extend(self.buckets.extract_if(.., |_, run| run.latest_end < horizon).map(|(_, run)| run));
        self.count_out(&done);
        done
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<Run> {
        let mut all = std::mem::take(&mut self.whole);
        all.extend(std::mem::take(&mut self.buckets).into_values());
        self.count_out(&all);
        all
    }

    fn count_out(&mut self, runs: &[Run]) {
        for run in runs {
            self.rows -= run.rows.len();
            self.wide -= run.wide.len();
            self.interfaces -= run.own_interfaces;
        }
    }

    /// Gives back the memory of a run that is done with.
    pub(super) fn reuse(&mut self, run: Run) {
        if run.interfaces.is_some() {
            self.spare.keep(run.rows);
        }
    }

    /// The earliest `start` of a row that waits.
    pub(super) fn earliest_start(&self) -> Option<i64> {
        self.runs().filter_map(|run| run.earliest_start).min()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let rows = self.rows * size_of::<AcceptedRow>() + self.wide * size_of::<WideRow>();
        // Lists grow by doubling: half as much again on average.
        rows + rows / 2
            + self.spare.bytes()
            + self.interfaces * size_of::<InterfaceIndex>()
            + (self.whole.len() + self.buckets.len()) * (size_of::<Run>() + 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{FiveTuple, Protocol};

    fn times_of(rows: &Rows) -> RowTimes {
        rows.iter().map(|row| RowTimes::of(&row)).fold(RowTimes::NONE, RowTimes::and)
    }

    fn rows(times: &[(i64, i64)]) -> Rows {
        let row = |&(start, end): &(i64, i64)| {
            let address = |text: &str| text.parse().expect("address");
            let packet = FiveTuple {
                srcaddr: address("10.0.0.1"),
                dstaddr: address("10.0.0.2"),
                srcport: 1,
                dstport: 2,
                protocol: Protocol::TCP,
            };
            WideRow {
                interface: InterfaceIndex(0),
                packet,
                span: Span { start: Timestamp(start), end: Timestamp(end) },
                packets: Some(1),
                bytes: Some(1),
                tcp_flags: None,
                flow_direction: None,
                context: false,
            }
            .compact(7)
            .expect("small")
        };
        let mut rows = Rows::default();
        times.iter().map(row).for_each(|row| rows.push(row));
        rows
    }

    #[test]
    fn one_row_of_another_time_does_not_keep_the_others() {
        let mut waiting = Waiting::new(usize::MAX);
        let mut all = rows(&[(0, 60), (10, 70), (90_000, 90_060)]);
        let times = times_of(&all);
        waiting.add(&mut all, times, &Arc::from([InterfaceIndex(7)]), true);
        let done = waiting.take_before(1000);
        assert_eq!(done.iter().map(|run| run.rows.len()).sum::<usize>(), 2);
        assert_eq!(waiting.earliest_start(), Some(90_000));
        assert_eq!(done[0].rows.at(0).interface(), InterfaceIndex(7));
    }

    #[test]
    fn a_run_waits_for_its_last_row_and_its_memory_comes_back() {
        let mut waiting = Waiting::new(usize::MAX);
        let mut all = rows(&[(0, 60), (10, 900)]);
        let (at, times) = (all.heads().as_ptr(), times_of(&all));
        waiting.add(&mut all, times, &Arc::from([InterfaceIndex(7)]), true);
        assert!(all.len() == 0 && waiting.take_before(900).is_empty());
        let used = waiting.bytes();
        for run in waiting.take_before(901) {
            waiting.reuse(run);
        }
        assert!(waiting.bytes() < used);
        let mut next = rows(&[(0, 60), (10, 900)]);
        waiting.add(&mut next, times, &Arc::from([InterfaceIndex(7)]), true);
        assert_eq!(next.heads().as_ptr(), at);
    }
}
