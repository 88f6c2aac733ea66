//! Takes batches in a fixed order, joins their rows, and bounds what has to wait.

use std::collections::{BTreeMap, BTreeSet};

use super::accepted::WideRow;
use super::conversation::{Conversation, UnpairedReject};
use super::gather::{Batch, Counts};
use super::identities::{Class, Identities, PerClass};
use super::interface::{Interface, InterfaceIndex, InterfaceTable};
use super::reject::{RejectTable, Settled};
use super::waiting::{RowTimes, Run, Waiting};
use super::{Span, Timestamp};

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
    /// The join's numbers of a batch's interfaces, while it is taken in.
    numbers: Vec<InterfaceIndex>,
    waiting: Waiting,
    rejects: RejectTable,
    settled: Settled,
    identities: Identities,
    skip_data: BTreeMap<InterfaceIndex, BTreeSet<Span>>,
    skip_data_spans: usize,
    /// Nothing that started before this moment may come any more.
    earliest_to_come: Option<Timestamp>,
    /// The moment last given to [`Self::retire`].
    retired_before: Option<Timestamp>,
    totals: Totals,
}

/// Counts over all batches.
#[derive(Debug, Clone, Default)]
struct Totals {
    counts: Counts,
    /// Records of which copies cannot be told.
    without_identity: PerClass,
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
            numbers: Vec::new(),
            waiting: Waiting::default(),
            rejects: RejectTable::default(),
            settled: Settled::default(),
            identities: Identities::default(),
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
        let mut interfaces = std::mem::take(&mut self.numbers);
        interfaces.clear();
        interfaces.extend(batch.interfaces.iter().map(|interface| self.interfaces.merge(interface)));
        let full = self.is_full();
        self.absorb_accepted(batch, &interfaces, full);
        for mut row in batch.rejected.drain(..) {
            self.identities.add(Class::Rejected, row.record.span.start.0, row.identity);
            if full {
                let packets = &mut self.totals.dropped_rejected_packets;
                *packets = packets.saturating_add(row.record.packets.unwrap_or(0));
                self.totals.dropped_rejected += 1;
                continue;
            }
            row.interface = interfaces[row.interface.0 as usize];
            self.rejects.insert(&row);
        }
        self.absorb_status(batch, &interfaces);
        self.numbers = interfaces;
        batch.clear();
        Ok(())
    }

    fn absorb_accepted(&mut self, batch: &mut Batch, interfaces: &[InterfaceIndex], full: bool) {
        if full {
            self.totals.dropped_accepted += (batch.accepted.len() + batch.wide.len()) as u64;
        }
        let known = batch.row_times.take();
        if let Some(times) = known.or_else(|| RowTimes::of(&batch.accepted)) {
            let identities = &mut batch.accepted_identities;
            if times.has_context
                || !self.identities.add_accepted(identities, times.earliest_start, times.latest_start)
            {
                for (row, identity) in batch.accepted.iter().zip(identities.drain(..)) {
                    if !row.is_context() {
                        self.identities.add(Class::Accepted, row.start(), identity);
                    }
                }
            }
            if !full {
                self.waiting.add(&mut batch.accepted, times, interfaces, self.retired_before.is_some());
            }
        }
        for (row, identity) in batch.wide.drain(..) {
            if !row.context {
                self.identities.add(Class::Accepted, row.span.start.0, identity);
            }
            if !full {
                self.waiting.add_wide(WideRow { interface: interfaces[row.interface.0 as usize], ..row });
            }
        }
    }

    fn absorb_status(&mut self, batch: &mut Batch, interfaces: &[InterfaceIndex]) {
        for row in batch.status.drain(..) {
            let class = if row.skip_data { Class::SkipData } else { Class::NoData };
            match row.identity {
                Some(identity) => self.identities.add(class, row.span.start.0, identity),
                None => self.totals.without_identity.add(class, 1),
            }
            if let (true, Some(local)) = (row.skip_data, row.interface) {
                let spans = self.skip_data.entry(interfaces[local.0 as usize]).or_default();
                self.skip_data_spans += usize::from(spans.insert(row.span));
            }
        }
    }

    fn is_full(&self) -> bool {
        self.bytes() > self.options.memory_limit_bytes
    }

    /// Bytes that rows and tables take, by their sizes.
    fn bytes(&self) -> usize {
        self.waiting.bytes()
            + self.identities.bytes()
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
        let done = self.waiting.take_before(earliest.plus_seconds(-window).0);
        let mut forgot = !done.is_empty();
        self.probe(done);
        // A reject goes when no row that waits or is still to come can be near it.
        let waiting = self.waiting.earliest_start();
        let horizon = waiting.map_or(earliest, |start| earliest.min(Timestamp(start))).plus_seconds(-window);
        forgot |= self.rejects.settle_before(horizon, window, &self.interfaces, &mut self.settled);
        forgot |= self.identities.count_before(earliest.0);
        if forgot {
            self.earliest_to_come = Some(earliest);
        }
    }

    fn probe(&mut self, runs: Vec<Run>) {
        for run in runs {
            self.rejects.probe(&run, self.options.match_window_seconds);
            self.waiting.reuse(run);
        }
    }

    /// Records that count so far: accepted and rejected. Some may turn out to be copies of others.
    #[must_use]
    pub fn records(&self) -> (u64, u64) {
        let counts = &self.totals.counts;
        (
            self.identities.seen(Class::Accepted) + counts.unpairable_accepted,
            self.identities.seen(Class::Rejected) + counts.unpairable_rejected,
        )
    }

    /// What [`Self::finish`] would say if nothing more came. The join itself goes on as if it had not been asked.
    #[must_use]
    pub fn so_far(&self) -> Correlated {
        let window = self.options.match_window_seconds;
        let mut rejects = self.rejects.clone();
        for run in self.waiting.runs() {
            rejects.probe(run, window);
        }
        let mut settled = self.settled.clone();
        rejects.settle_all(window, &self.interfaces, &mut settled);
        let counted = self.identities.counted();
        correlated(settled, self.interfaces.clone(), self.skip_data.clone(), self.totals.clone(), counted)
    }

    /// Joins what is left and hands everything over.
    #[must_use]
    pub fn finish(mut self) -> Correlated {
        let rest = self.waiting.take_all();
        self.probe(rest);
        let window = self.options.match_window_seconds;
        self.rejects.settle_all(window, &self.interfaces, &mut self.settled);
        self.identities.count_all();
        let counted = self.identities.counted();
        correlated(self.settled, self.interfaces, self.skip_data, self.totals, counted)
    }
}

/// The result, in an order that depends on nothing but its contents.
fn correlated(
    settled: Settled,
    interfaces: InterfaceTable,
    skip_data: BTreeMap<InterfaceIndex, BTreeSet<Span>>,
    totals: Totals,
    (distinct, copies): (PerClass, u64),
) -> Correlated {
    let (interfaces, renumbered) = interfaces.in_order();
    let new = |index: InterfaceIndex| renumbered[index.0 as usize];
    let Settled { mut conversations, mut unpaired, .. } = settled;
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
    Correlated {
        conversations,
        unpaired: merge_unpaired(unpaired),
        skip_data: skip_data.into_iter().map(|(at, spans)| (new(at), spans.into_iter().collect())).collect(),
        accepted: distinct.of(Class::Accepted) + totals.counts.unpairable_accepted,
        rejected: distinct.of(Class::Rejected) + totals.counts.unpairable_rejected,
        no_data: distinct.of(Class::NoData) + totals.without_identity.of(Class::NoData),
        skip_data_records: distinct.of(Class::SkipData) + totals.without_identity.of(Class::SkipData),
        duplicates: copies,
        dropped_accepted: totals.dropped_accepted,
        dropped_rejected: totals.dropped_rejected,
        dropped_rejected_packets: totals.dropped_rejected_packets,
        span: totals.span,
        counts: totals.counts,
        interfaces,
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
