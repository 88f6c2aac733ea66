//! Takes batches in a fixed order, joins their rows, and bounds what has to wait.

use std::collections::{BTreeMap, BTreeSet};

use super::accepted::{AcceptedRow, WideRow};
use super::conversation::{Conversation, UnpairedReject};
use super::duplicates::Seen;
use super::gather::{Batch, Counts};
use super::interface::{Interface, InterfaceIndex, InterfaceTable};
use super::reject::{RejectTable, Settled};
use super::{Span, Timestamp};

/// Emptied buckets kept.
const SPARE_BUCKETS: usize = 2;

/// Rows whose identities are looked up together.
const TOUCHED_AT_ONCE: usize = 32;

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
    /// Emptied rows of buckets that are done, for the next ones: growing copies, and new pages cost more than old ones.
    spare_rows: Vec<Vec<AcceptedRow>>,
    rejects: RejectTable,
    settled: Settled,
    seen: Seen,
    skip_data: BTreeMap<InterfaceIndex, BTreeSet<Span>>,
    skip_data_spans: usize,
    /// Nothing that started before this moment may come any more.
    earliest_to_come: Option<Timestamp>,
    /// The moment last given to [`Self::retire`].
    retired_before: Option<Timestamp>,
    totals: Totals,
}

/// Accepted rows whose `end` lies in one stretch of time.
#[derive(Debug, Default)]
struct Bucket {
    rows: Vec<AcceptedRow>,
    wide: Vec<WideRow>,
    /// Earliest `start`: a long capture window ends in a later bucket than it begins.
    earliest_start: Option<i64>,
}

impl Bucket {
    fn note_start(&mut self, start: i64) {
        self.earliest_start = Some(self.earliest_start.map_or(start, |known| known.min(start)));
    }
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
            spare_rows: Vec::new(),
            rejects: RejectTable::default(),
            settled: Settled::default(),
            seen: Seen::default(),
            skip_data: BTreeMap::new(),
            skip_data_spans: 0,
            earliest_to_come: None,
            retired_before: None,
            totals: Totals::default(),
        }
    }

    /// Takes in one batch and leaves it empty, to be filled again.
    pub fn absorb(&mut self, batch: &mut Batch) -> Result<(), LateRecord> {
        if let (Some(earliest), Some(floor)) = (batch.earliest_start, self.earliest_to_come)
            && earliest < floor
        {
            return Err(LateRecord);
        }
        self.totals.counts.add(&batch.counts);
        self.totals.span = match (self.totals.span, batch.span) {
            (Some(a), Some(b)) => Some(a.union(b)),
            (a, b) => a.or(b),
        };
        let indexes: Vec<_> =
            batch.interfaces.iter().map(|interface| self.interfaces.merge(interface.clone())).collect();
        let index_of = |local: InterfaceIndex| indexes[local.0 as usize];
        self.absorb_accepted(batch, &index_of);
        for mut row in batch.rejected.drain(..) {
            let start = row.record.span.start.0;
            if self.seen.insert(start, row.identity) {
                self.totals.rejected += 1;
                if self.is_full() {
                    let packets = &mut self.totals.dropped_rejected_packets;
                    *packets = packets.saturating_add(row.record.packets.unwrap_or(0));
                    self.totals.dropped_rejected += 1;
                    continue;
                }
            } else {
                self.totals.duplicates += 1;
                if self.is_full() || !self.says_more(start, row.identity, row.says()) {
                    continue;
                }
            }
            row.interface = index_of(row.interface);
            self.rejects.insert(&row);
        }
        self.absorb_status(batch, &index_of);
        batch.clear();
        Ok(())
    }

    fn absorb_status(&mut self, batch: &mut Batch, index_of: &impl Fn(InterfaceIndex) -> InterfaceIndex) {
        for row in batch.status.drain(..) {
            if row.identity.is_some_and(|identity| !self.seen.insert(row.span.start.0, identity)) {
                self.totals.duplicates += 1;
            } else if row.skip_data {
                self.totals.skip_data += 1;
                if let Some(local) = row.interface {
                    let fresh = self.skip_data.entry(index_of(local)).or_default().insert(row.span);
                    self.skip_data_spans += usize::from(fresh);
                }
            } else {
                self.totals.no_data += 1;
            }
        }
    }

    fn absorb_accepted(&mut self, batch: &Batch, index_of: &impl Fn(InterfaceIndex) -> InterfaceIndex) {
        let full = self.is_full();
        let mut current: Option<(i64, Bucket)> = None;
        for (at, (row, identity)) in batch.accepted.iter().zip(&batch.accepted_identities).enumerate() {
            if at % TOUCHED_AT_ONCE == 0 {
                self.touch_next(batch, at);
            }
            if !self.count_accepted(row.start(), *identity, row.says(), row.is_context(), full) {
                continue;
            }
            let at = row.end().div_euclid(BUCKET_SECONDS);
            if current.as_ref().is_none_or(|(bucket, _)| *bucket != at) {
                if let Some((at, bucket)) = current.take() {
                    self.buckets.insert(at, bucket);
                }
                let bucket = self.buckets.remove(&at).unwrap_or_else(|| Bucket {
                    rows: self.spare_rows.pop().unwrap_or_default(),
                    ..Bucket::default()
                });
                current = Some((at, bucket));
            }
            let Some((_, bucket)) = current.as_mut() else { continue };
            bucket.note_start(row.start());
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
            if self.count_accepted(row.span.start.0, *identity, row.says(), row.context, full) {
                let at = row.span.end.0.div_euclid(BUCKET_SECONDS);
                let row = WideRow { interface: index_of(row.interface), ..*row };
                let bucket = self.buckets.entry(at).or_default();
                bucket.note_start(row.span.start.0);
                bucket.wide.push(row);
                self.waiting_wide += 1;
            }
        }
    }

    /// Starts the way from memory for the next rows' identities: one after the other, each would be waited for.
    fn touch_next(&mut self, batch: &Batch, at: usize) {
        let rows = batch.accepted[at..].iter().zip(&batch.accepted_identities[at..]).take(TOUCHED_AT_ONCE);
        let seen = rows.map(|(row, identity)| self.seen.touch(row.start(), *identity)).fold(0, |a, b| a ^ b);
        std::hint::black_box(seen);
    }

    /// Counts an accepted record; `true` when it is to wait for rejects.
    #[inline]
    fn count_accepted(&mut self, start: i64, identity: u64, says: u64, context: bool, full: bool) -> bool {
        if !self.seen.insert(start, identity) {
            self.totals.duplicates += u64::from(!context);
            return !full && self.says_more(start, identity, says);
        }
        self.totals.accepted += u64::from(!context);
        self.totals.dropped_accepted += u64::from(full);
        !full
    }

    /// Whether a copy of a record may say what the copies before it did not, being in another format. Such a copy is
    /// counted as the duplicate it is, and its flags are heard all the same: the order of input must not decide.
    fn says_more(&mut self, start: i64, identity: u64, says: u64) -> bool {
        says != 0
            && self.seen.insert(start, (identity ^ says).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31))
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
            + self.settled.bytes()
            + self.interfaces.len() * 192
            + self.skip_data_spans * size_of::<Span>() * 2
    }

    /// Joins and forgets what nothing to come can match, now that no record that started before `earliest` will.
    pub fn retire(&mut self, earliest: Timestamp) {
        if self.retired_before.is_some_and(|known| known >= earliest) {
            return;
        }
        self.retired_before = Some(earliest);
        let window = self.options.match_window_seconds;
        // A bucket goes when all of it ended before the horizon.
        let first_kept = earliest.plus_seconds(-window).0.div_euclid(BUCKET_SECONDS);
        let kept = self.buckets.split_off(&first_kept);
        let done = std::mem::replace(&mut self.buckets, kept);
        let mut forgot = !done.is_empty();
        self.probe(done.into_values());
        // A reject goes when no row that waits or is still to come can be near it.
        let waiting = self.buckets.values().filter_map(|bucket| bucket.earliest_start).min();
        let horizon = waiting.map_or(earliest, |start| earliest.min(Timestamp(start))).plus_seconds(-window);
        forgot |= self.rejects.settle_before(horizon, window, &self.interfaces, &mut self.settled);
        forgot |= self.seen.forget_before(earliest.0);
        if forgot {
            self.earliest_to_come = Some(earliest);
        }
    }

    fn probe(&mut self, buckets: impl Iterator<Item = Bucket>) {
        let window = self.options.match_window_seconds;
        for bucket in buckets {
            self.waiting_rows -= bucket.rows.len();
            self.waiting_wide -= bucket.wide.len();
            if self.rejects.len() > 0 {
                self.rejects.probe_all(&bucket.rows, &bucket.wide, window);
            }
            let mut rows = bucket.rows;
            if self.spare_rows.len() < SPARE_BUCKETS {
                rows.clear();
                self.spare_rows.push(rows);
            }
        }
    }

    /// Records that count so far: accepted and rejected.
    #[must_use]
    pub fn records(&self) -> (u64, u64) {
        let totals = &self.totals;
        (
            totals.accepted + totals.counts.unpairable_accepted,
            totals.rejected + totals.counts.unpairable_rejected,
        )
    }

    /// What [`Self::finish`] would say if nothing more came. The join itself goes on as if it had not been asked.
    #[must_use]
    pub fn so_far(&self) -> Correlated {
        let mut rejects = self.rejects.clone();
        if rejects.len() > 0 {
            let window = self.options.match_window_seconds;
            for bucket in self.buckets.values() {
                rejects.probe_all(&bucket.rows, &bucket.wide, window);
            }
        }
        Self {
            options: self.options,
            interfaces: self.interfaces.clone(),
            buckets: BTreeMap::new(),
            waiting_rows: 0,
            waiting_wide: 0,
            spare_rows: Vec::new(),
            rejects,
            settled: self.settled.clone(),
            seen: Seen::default(),
            skip_data: self.skip_data.clone(),
            skip_data_spans: self.skip_data_spans,
            earliest_to_come: self.earliest_to_come,
            retired_before: self.retired_before,
            totals: self.totals.clone(),
        }
        .finish()
    }

    /// Joins what is left and hands everything over.
    #[must_use]
    pub fn finish(mut self) -> Correlated {
        let rest = std::mem::take(&mut self.buckets);
        self.probe(rest.into_values());
        let window = self.options.match_window_seconds;
        self.rejects.settle_all(window, &self.interfaces, &mut self.settled);
        let (interfaces, renumbered) = self.interfaces.in_order();
        let new = |index: InterfaceIndex| renumbered[index.0 as usize];
        let Settled { mut conversations, mut unpaired, .. } = self.settled;
        for conversation in &mut conversations {
            conversation.interface = new(conversation.interface);
            if let Some(request) = &mut conversation.request {
                request.other_interface = request.other_interface.map(new);
            }
        }
        conversations.sort_unstable_by(|a, b| {
            (a.interface, a.packet, &a.rejected, a.reply).cmp(&(b.interface, b.packet, &b.rejected, b.reply))
        });
        for reject in &mut unpaired {
            reject.interface = new(reject.interface);
        }
        let unpaired = merge_unpaired(unpaired);
        Correlated {
            conversations,
            unpaired,
            skip_data: self
                .skip_data
                .into_iter()
                .map(|(at, spans)| (new(at), spans.into_iter().collect()))
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

/// One flow's rejects may have been decided in parts, as time went by: here they are one again.
fn merge_unpaired(mut parts: Vec<UnpairedReject>) -> Vec<UnpairedReject> {
    let key = |part: &UnpairedReject| (part.interface, part.packet, part.kind, part.flow);
    parts.sort_unstable_by(|a, b| (key(a), &a.rejected).cmp(&(key(b), &b.rejected)));
    parts.dedup_by(|part, kept| {
        if key(part) != key(kept) {
            return false;
        }
        kept.rejected.append(&mut part.rejected);
        kept.flow_direction = match (kept.flow_direction, part.flow_direction) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        true
    });
    parts
}
