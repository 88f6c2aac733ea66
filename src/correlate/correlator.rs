//! Takes batches in a fixed order, joins their rows, and bounds what has to wait.

use std::collections::{BTreeMap, BTreeSet};

use super::accepted::{AcceptedRow, WideRow};
use super::conversation::{Conversation, UnpairedReject};
use super::duplicates::Seen;
use super::gather::{Batch, Counts};
use super::interface::{Interface, InterfaceIndex, InterfaceTable};
use super::reject::{RejectTable, Settled};
use super::{Span, Timestamp};

/// Seconds of `end` that share one bucket of waiting rows.
const BUCKET_SECONDS: i64 = 300;

/// How the join behaves.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How far apart a request and its rejected reply may lie, beyond their own capture windows.
    pub match_window_seconds: i64,
    /// Bytes that waiting rows and tables may take together.
    pub memory_limit_bytes: usize,
}

/// A record older than an input's name allows, after rows of its time were already joined and forgotten.
/// The only way to a right answer is to read again without going by names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateRecord;

/// The state of the join.
#[derive(Debug)]
pub struct Correlator {
    options: Options,
    interfaces: InterfaceTable,
    buckets: BTreeMap<i64, Bucket>,
    waiting_rows: usize,
    waiting_wide: usize,
    rejects: RejectTable,
    settled: Settled,
    seen: Seen,
    skip_data: BTreeMap<InterfaceIndex, BTreeSet<Span>>,
    /// Nothing that started before this moment may come any more.
    earliest_to_come: Option<Timestamp>,
    /// The longest capture window of an accepted record so far.
    longest_seconds: i64,
    totals: Totals,
}

/// Accepted rows whose `end` lies in one stretch of time.
#[derive(Debug, Default)]
struct Bucket {
    rows: Vec<AcceptedRow>,
    wide: Vec<WideRow>,
}

/// Counts over all batches.
#[derive(Debug, Clone, Default)]
struct Totals {
    counts: Counts,
    accepted: u64,
    rejected: u64,
    no_data: u64,
    skip_data: u64,
    duplicates: u64,
    /// Accepted rows not kept because the memory limit was reached.
    dropped_accepted: u64,
    /// Rejected rows not kept because the memory limit was reached.
    dropped_rejected: u64,
    dropped_rejected_packets: u64,
    span: Option<Span>,
}

/// The result of the join.
#[derive(Debug)]
pub struct Correlated {
    /// Conversations with rejected replies, in an order that depends on nothing but their contents.
    pub conversations: Vec<Conversation>,
    /// Rejects that are no replies, in such an order too.
    pub unpaired: Vec<UnpairedReject>,
    /// By [`InterfaceIndex`].
    pub interfaces: Vec<Interface>,
    /// `SKIPDATA` intervals by interface, in time order.
    pub skip_data: BTreeMap<InterfaceIndex, Vec<Span>>,
    /// Lines that became no row.
    pub counts: Counts,
    /// Accepted records, duplicates left out.
    pub accepted: u64,
    /// Rejected records, duplicates left out.
    pub rejected: u64,
    /// `NODATA` records.
    pub no_data: u64,
    /// `SKIPDATA` records.
    pub skip_data_records: u64,
    /// Records that were there before.
    pub duplicates: u64,
    /// Accepted records that were counted and then not kept for pairing: the memory limit was reached.
    pub dropped_accepted: u64,
    /// Rejected records that were counted and then not kept.
    pub dropped_rejected: u64,
    /// Packets of those.
    pub dropped_rejected_packets: u64,
    /// From the first `start` to the last `end` of what counts.
    pub span: Option<Span>,
}

impl Correlator {
    /// An empty join.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            interfaces: InterfaceTable::default(),
            buckets: BTreeMap::new(),
            waiting_rows: 0,
            waiting_wide: 0,
            rejects: RejectTable::default(),
            settled: Settled::default(),
            seen: Seen::default(),
            skip_data: BTreeMap::new(),
            earliest_to_come: None,
            longest_seconds: 0,
            totals: Totals::default(),
        }
    }

    /// Takes in one batch.
    pub fn absorb(&mut self, batch: Batch) -> Result<(), LateRecord> {
        if let (Some(earliest), Some(floor)) = (batch.earliest_start, self.earliest_to_come)
            && earliest < floor
        {
            return Err(LateRecord);
        }
        let counts = &mut self.totals.counts;
        counts.headers += batch.counts.headers;
        counts.malformed += batch.counts.malformed;
        counts.filtered += batch.counts.filtered;
        counts.transit_gateway += batch.counts.transit_gateway;
        counts.unpairable_accepted += batch.counts.unpairable_accepted;
        counts.unpairable_rejected += batch.counts.unpairable_rejected;
        counts.unpairable_rejected_packets += batch.counts.unpairable_rejected_packets;
        self.totals.span = match (self.totals.span, batch.span) {
            (Some(a), Some(b)) => Some(a.union(b)),
            (a, b) => a.or(b),
        };
        let indexes: Vec<_> =
            batch.interfaces.iter().map(|interface| self.interfaces.merge(interface.clone())).collect();
        let index_of = |local: InterfaceIndex| indexes[local.0 as usize];
        self.absorb_accepted(&batch, &index_of);
        for mut row in batch.rejected {
            if !self.seen.insert(row.record.span.start.0, row.identity) {
                self.totals.duplicates += 1;
                continue;
            }
            self.totals.rejected += 1;
            if self.is_full() {
                self.totals.dropped_rejected += 1;
                self.totals.dropped_rejected_packets += row.record.packets;
                continue;
            }
            row.interface = index_of(row.interface);
            self.rejects.insert(row);
        }
        for row in batch.status {
            if !self.seen.insert(row.span.start.0, row.identity) {
                self.totals.duplicates += 1;
            } else if row.skip_data {
                self.totals.skip_data += 1;
                if let Some(local) = row.interface {
                    self.skip_data.entry(index_of(local)).or_default().insert(row.span);
                }
            } else {
                self.totals.no_data += 1;
            }
        }
        Ok(())
    }

    fn absorb_accepted(&mut self, batch: &Batch, index_of: &impl Fn(InterfaceIndex) -> InterfaceIndex) {
        let full = self.is_full();
        let mut current: Option<(i64, Bucket)> = None;
        for (row, identity) in batch.accepted.iter().zip(&batch.accepted_identities) {
            if !self.count_accepted(row.start(), *identity, row.is_context(), full) {
                continue;
            }
            let at = row.end().div_euclid(BUCKET_SECONDS);
            self.longest_seconds = self.longest_seconds.max(row.end() - row.start());
            if current.as_ref().is_none_or(|(bucket, _)| *bucket != at) {
                if let Some((at, bucket)) = current.take() {
                    self.buckets.insert(at, bucket);
                }
                current = Some((at, self.buckets.remove(&at).unwrap_or_default()));
            }
            let Some((_, bucket)) = current.as_mut() else { continue };
            let interface = index_of(row.interface());
            if let Some(row) = row.with_interface(interface) {
                bucket.rows.push(row);
                self.waiting_rows += 1;
            } else {
                bucket.wide.push(WideRow { interface, ..row.widen() });
                self.waiting_wide += 1;
            }
        }
        if let Some((at, bucket)) = current {
            self.buckets.insert(at, bucket);
        }
        for (row, identity) in &batch.wide {
            if self.count_accepted(row.span.start.0, *identity, row.context, full) {
                let at = row.span.end.0.div_euclid(BUCKET_SECONDS);
                self.longest_seconds = self.longest_seconds.max(row.span.end.seconds_since(row.span.start));
                let row = WideRow { interface: index_of(row.interface), ..*row };
                self.buckets.entry(at).or_default().wide.push(row);
                self.waiting_wide += 1;
            }
        }
    }

    /// Counts an accepted record; `true` when it is to wait for rejects.
    #[inline]
    fn count_accepted(&mut self, start: i64, identity: u64, context: bool, full: bool) -> bool {
        if !self.seen.insert(start, identity) {
            self.totals.duplicates += u64::from(!context);
            return false;
        }
        self.totals.accepted += u64::from(!context);
        self.totals.dropped_accepted += u64::from(full);
        !full
    }

    fn is_full(&self) -> bool {
        self.bytes() > self.options.memory_limit_bytes
    }

    /// Bytes that rows and tables take, by their sizes.
    fn bytes(&self) -> usize {
        // Vectors grow by doubling: half as much again on average.
        let rows = self.waiting_rows * size_of::<AcceptedRow>() + self.waiting_wide * size_of::<WideRow>();
        rows + rows / 2
            + self.seen.bytes()
            + self.rejects.bytes()
            + self.settled.conversations.len() * (size_of::<Conversation>() + 64)
            + self.settled.unpaired.len() * (size_of::<UnpairedReject>() + 64)
            + self.interfaces.len() * 192
    }

    /// Joins and forgets what nothing to come can match, now that no record that started before `earliest` will.
    pub fn retire(&mut self, earliest: Timestamp) {
        if self.earliest_to_come.is_some_and(|known| known >= earliest) {
            return;
        }
        let window = self.options.match_window_seconds;
        let horizon = earliest.plus_seconds(-window);
        // A bucket goes when all of it ended before the horizon.
        let first_kept = horizon.0.div_euclid(BUCKET_SECONDS);
        let kept = self.buckets.split_off(&first_kept);
        let done = std::mem::replace(&mut self.buckets, kept);
        let probed = !done.is_empty();
        self.probe(done.into_values());
        if probed {
            self.rejects.settle_before(
                Timestamp(first_kept * BUCKET_SECONDS - window),
                window,
                &mut self.settled,
            );
            self.seen.forget_before(earliest.0);
            self.earliest_to_come = Some(earliest);
        }
    }

    fn probe(&mut self, buckets: impl Iterator<Item = Bucket>) {
        let window = self.options.match_window_seconds;
        for bucket in buckets {
            self.waiting_rows -= bucket.rows.len();
            self.waiting_wide -= bucket.wide.len();
            if self.rejects.len() == 0 {
                continue;
            }
            for row in &bucket.rows {
                self.rejects.probe(row, window);
            }
            for row in &bucket.wide {
                self.rejects.probe_wide(row, window);
            }
        }
    }

    /// Joins what is left and hands everything over.
    #[must_use]
    pub fn finish(mut self) -> Correlated {
        let rest = std::mem::take(&mut self.buckets);
        self.probe(rest.into_values());
        self.rejects.settle_all(self.options.match_window_seconds, &mut self.settled);
        let interfaces = self.interfaces.into_interfaces();
        let name = |index: InterfaceIndex| &interfaces[index.0 as usize].interface_id;
        let Settled { mut conversations, mut unpaired } = self.settled;
        conversations.sort_unstable_by(|a, b| {
            (name(a.interface), a.packet, &a.rejected).cmp(&(name(b.interface), b.packet, &b.rejected))
        });
        unpaired.sort_unstable_by(|a, b| {
            (name(a.interface), a.packet, a.kind, &a.rejected).cmp(&(
                name(b.interface),
                b.packet,
                b.kind,
                &b.rejected,
            ))
        });
        Correlated {
            conversations,
            unpaired,
            skip_data: self
                .skip_data
                .into_iter()
                .map(|(at, spans)| (at, spans.into_iter().collect()))
                .collect(),
            accepted: self.totals.accepted + self.totals.counts.unpairable_accepted,
            rejected: self.totals.rejected + self.totals.counts.unpairable_rejected,
            no_data: self.totals.no_data,
            skip_data_records: self.totals.skip_data,
            duplicates: self.totals.duplicates,
            dropped_accepted: self.totals.dropped_accepted,
            dropped_rejected: self.totals.dropped_rejected,
            dropped_rejected_packets: self.totals.dropped_rejected_packets,
            span: self.totals.span,
            counts: self.totals.counts,
            interfaces,
        }
    }
}
