//! Takes batches in a fixed order, joins their rows, and bounds what has to wait.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::accepted::WideRow;
use super::clients::{Client, Clients};
use super::conversation::Conversation;
use super::coverage::Coverage;
use super::gather::{Batch, Counts};
use super::identities::{Class, Identities, PerClass};
use super::interface::{InterfaceIndex, InterfaceTable, Interfaces};
use super::numbering::{News, Numbering};
use super::onset::{Onsets, Turns};
use super::overflow::{PARTITIONS, Quota};
use super::probe::{Askers, Found};
use super::reject::{RejectTable, RejectedRow};
use super::settled::Settled;
use super::silent::SilentRequest;
use super::spill::{Lost, Spilled, Until};
use super::unpaired::UnpairedRejects;
use super::waiting::{Run, Waiting};
use super::{Span, Timestamp};

/// Whatever the memory limit: for the result itself, and for what has to be there at once.
const LEAST_MEMORY: usize = 16 << 20;

/// Whatever the memory limit: smaller pieces of a file would take more to remember than they hold.
const LEAST_BUFFERS: usize = 1 << 20;

/// Bytes of temporary files for each byte of memory.
const DISK_FOR_MEMORY: u64 = 16;

/// Whatever the memory limit: 8 GiB of temporary files.
const LEAST_DISK: u64 = 8 << 30;

/// Seconds of record time after which rows outside memory are as good as over: records of one capture window come
/// within less.
const READ_BACK_SECONDS: i64 = 1800;

/// Stands for interfaces that there was no room for.
const NOWHERE: InterfaceIndex = InterfaceIndex(u32::MAX);

/// How the join behaves.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How far apart a request and its rejected reply may lie, beyond their own capture windows.
    pub match_window_seconds: i64,
    /// Bytes that waiting rows and tables may take together.
    pub memory_limit_bytes: usize,
}

/// What a join may take, by what takes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes of memory for rows and tables; beyond them rows go to a temporary file.
    pub(super) memory: usize,
    /// Bytes of memory for the rejects of one part of that file, while it is joined.
    pub(super) part: usize,
    /// Bytes that conversations take until they are printed; beyond them some are left out.
    pub(super) conversations: usize,
    /// Bytes of memory for the names of interfaces; records of further ones are not kept.
    pub(super) interfaces: usize,
    /// Bytes of memory for rejects that are no replies.
    pub(super) unpaired: usize,
    /// Bytes of memory for requests without an answer; beyond them some are only counted.
    pub(super) silent: usize,
    /// Bytes of memory for when there are records of each interface; beyond them it is not known.
    pub(super) coverage: usize,
    /// Bytes of memory for emptied lists that are to be filled again.
    pub(super) spare: usize,
    /// Bytes of memory for rows on their way to a temporary file.
    pub(super) buffers: usize,
    /// Bytes of temporary files.
    pub(super) disk: u64,
}

impl Bounds {
    fn of(options: &Options) -> Self {
        let memory = options.memory_limit_bytes;
        Self {
            // The rest is for what is on its way to the join and for what is read at the moment.
            memory: memory / 8 * 5,
            part: memory.max(LEAST_MEMORY),
            conversations: memory.max(LEAST_MEMORY),
            interfaces: (memory / 2).max(LEAST_MEMORY),
            unpaired: (memory / 8).max(LEAST_BUFFERS),
            silent: (memory / 16).max(LEAST_BUFFERS),
            coverage: (memory / 16).max(LEAST_BUFFERS),
            spare: memory / 16,
            buffers: (memory / 16).max(LEAST_BUFFERS),
            disk: (memory as u64).saturating_mul(DISK_FOR_MEMORY).max(LEAST_DISK),
        }
    }
}

/// A record older than an input's name allows, after rows of its time were already joined and forgotten.
/// The only way to a right answer is to read again without going by names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateRecord;

/// The state of the join.
#[derive(Debug)]
pub struct Correlator {
    options: Options,
    bounds: Bounds,
    quota: Arc<Quota>,
    interfaces: InterfaceTable,
    /// The join's numbers of interfaces, by the gatherer whose batches have others.
    numbers: HashMap<u64, Numbers>,
    waiting: Waiting,
    rejects: RejectTable,
    settled: Settled,
    identities: Identities,
    clients: Clients,
    onsets: Turns,
    /// When there are records of each interface, if that is wanted.
    coverage: Option<Coverage>,
    /// Rows and rejects outside memory, while there are any.
    spilled: Option<Spilled>,
    /// The moment last given to [`Self::retire`] when the first of them were moved there.
    spilled_at: Option<Timestamp>,
    /// Bytes that were moved there again when they were read back last.
    carried_over: u64,
    /// Nothing that started before this moment may come any more.
    earliest_to_come: Option<Timestamp>,
    /// The moment last given to [`Self::retire`].
    retired_before: Option<Timestamp>,
    totals: Totals,
}

/// The join's numbers of a gatherer's interfaces, by its own.
#[derive(Debug)]
struct Numbers {
    beginning: u32,
    of: Arc<[InterfaceIndex]>,
    /// Whether all of them have one.
    has_room: bool,
}

impl Default for Numbers {
    fn default() -> Self {
        Self { beginning: 0, of: Arc::default(), has_room: true }
    }
}

/// Counts over all batches.
#[derive(Debug, Clone, Default)]
struct Totals {
    counts: Counts,
    /// Records of which copies cannot be told.
    without_identity: PerClass,
    /// Rows that were not kept.
    lost: Lost,
    /// Records among which copies were not looked for.
    unchecked: u64,
    not_kept_because: Option<String>,
    span: Option<Span>,
    /// Whether a record or a format says TCP flags.
    has_tcp_flags: bool,
}

/// The result of the join.
#[derive(Debug)]
pub struct Correlated {
    /// Conversations with rejected replies, in an order that depends on nothing but their contents.
    pub conversations: Vec<Conversation>,
    /// Rejects that are no replies.
    pub unpaired: UnpairedRejects,
    /// Who sent to the remote ends of replies that NAT gateways rejected, at about the same time; by remote end.
    pub clients: Vec<Client>,
    /// Whether they were too many to name any.
    pub clients_given_up: bool,
    /// When replies of the kinds that were rejected were accepted last before.
    pub onsets: Onsets,
    /// Requests that were accepted and got neither an answer nor a reject, in an order that depends on nothing but their
    /// contents. Only TCP flags tell, and an answer may come after the last record.
    pub silent: Vec<SilentRequest>,
    /// Such requests left out of `silent`, which take more than their part of the memory limit.
    pub cut_silent: u64,
    /// Requests whose answer was not looked for: neither memory nor disk had room.
    pub dropped_requests: u64,
    /// Whether a record or a format says TCP flags.
    pub has_tcp_flags: bool,
    /// By [`InterfaceIndex`].
    pub interfaces: Interfaces,
    /// When there are records of each interface, if that was asked for.
    pub coverage: Option<Coverage>,
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
    /// Accepted records that were counted and then not kept for pairing: neither memory nor disk had room.
    pub dropped_accepted: u64,
    /// Rejected records that were counted and then not kept.
    pub dropped_rejected: u64,
    /// Packets of those.
    pub dropped_rejected_packets: u64,
    /// Conversations left out of `conversations`, which take more than the memory limit. Their records are among those
    /// not kept.
    pub cut_conversations: u64,
    /// Whether `SKIPDATA` intervals are left out of `skip_data`, for the same reason.
    pub cut_skip_data: bool,
    /// Records among which copies were not looked for: neither memory nor disk had room.
    pub unchecked: u64,
    /// Why the disk had no room.
    pub not_kept_because: Option<String>,
    /// From the first `start` to the last `end` of what counts.
    pub span: Option<Span>,
}

impl Correlator {
    /// An empty join.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self::bounded(options, Bounds::of(&options))
    }

    pub(super) fn bounded(options: Options, bounds: Bounds) -> Self {
        let quota = Quota::new(bounds.disk);
        Self {
            options,
            bounds,
            settled: Settled::new(bounds.conversations, bounds.unpaired, bounds.silent, &quota),
            quota,
            interfaces: InterfaceTable::default(),
            numbers: HashMap::new(),
            waiting: Waiting::new(bounds.spare),
            rejects: RejectTable::default(),
            identities: Identities::new(bounds.spare / 2),
            clients: Clients::default(),
            onsets: Turns::new(options.match_window_seconds),
            coverage: None,
            spilled: None,
            spilled_at: None,
            carried_over: 0,
            earliest_to_come: None,
            retired_before: None,
            totals: Totals::default(),
        }
    }

    /// Looks for the clients behind these interfaces, by what the log calls them, which are NAT gateways'.
    #[must_use]
    pub fn with_gateways(mut self, gateways: Arc<HashSet<Vec<u8>>>) -> Self {
        self.clients = Clients::new(gateways, self.options.match_window_seconds);
        self
    }

    /// Takes note of when there are records of each interface.
    #[must_use]
    pub fn with_coverage(mut self) -> Self {
        self.coverage = Some(Coverage::new(self.bounds.coverage));
        self
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
        let (interfaces, has_room) = self.numbers_of(batch);
        if self.clients.has_gateways() {
            for row in &batch.rejected {
                let interface = interfaces[row.interface.0 as usize];
                if interface != NOWHERE && self.clients.is_gateway(self.interfaces.name(interface)) {
                    self.clients.rejected(row);
                }
            }
        }
        if let Some(coverage) = &mut self.coverage {
            batch.cover(coverage, &interfaces);
        }
        self.absorb_accepted(batch, &interfaces, has_room);
        for mut row in batch.rejected.drain(..) {
            self.identities.add(Class::Rejected, row.record.span.start.0, row.identity);
            row.interface = interfaces[row.interface.0 as usize];
            if row.interface == NOWHERE {
                self.totals.lost.rejected(&row.record);
            } else {
                self.onsets.rejected(&row, &self.interfaces);
                self.rejects.insert(&row);
            }
        }
        for row in batch.requests.drain(..) {
            // Where there is no room for its interface, it is lost as the accepted record that it is.
            match interfaces[row.interface.0 as usize] {
                NOWHERE => {}
                interface => self.rejects.insert(&RejectedRow { interface, ..row }),
            }
        }
        self.totals.has_tcp_flags |= batch.has_tcp_flags;
        if !has_room {
            self.quota.refuse(&format_args!("more than {} interfaces", self.interfaces.len()));
        }
        self.absorb_status(batch, &interfaces);
        batch.clear();
        self.spill_if_full();
        Ok(())
    }

    /// The join's numbers of a batch's interfaces, after taking in what it says of them, and whether all have one.
    fn numbers_of(&mut self, batch: &Batch) -> (Arc<[InterfaceIndex]>, bool) {
        let Numbering { gatherer, beginning } = batch.numbering;
        let numbers = self.numbers.entry(gatherer).or_default();
        if numbers.beginning != beginning {
            *numbers = Numbers { beginning, ..Numbers::default() };
        }
        if !batch.news.is_empty() {
            let mut of = numbers.of.to_vec();
            for News { index, name, interface } in &batch.news {
                let at = index.0 as usize;
                of.resize(of.len().max(at + 1), NOWHERE);
                of[at] = self.interfaces.merge(interface, *name, self.bounds.interfaces).unwrap_or(NOWHERE);
            }
            numbers.has_room = !of.contains(&NOWHERE);
            numbers.of = of.into();
        }
        (Arc::clone(&numbers.of), numbers.has_room)
    }

    fn absorb_accepted(&mut self, batch: &mut Batch, interfaces: &Arc<[InterfaceIndex]>, has_room: bool) {
        if let Some(times) = batch.row_times.take() {
            let identities = &mut batch.accepted_identities;
            if times.has_context {
                for (row, identity) in batch.accepted.iter().zip(identities.drain(..)) {
                    if !row.is_context() {
                        self.identities.add(Class::Accepted, row.start(), identity);
                    }
                }
            } else {
                let starts = batch.accepted.starts();
                self.identities.add_accepted(identities, times.earliest_start, times.latest_start, starts);
            }
            if !has_room {
                let before = batch.accepted.len();
                batch.accepted.retain(|local| interfaces[local.0 as usize] != NOWHERE);
                self.totals.lost.accepted += (before - batch.accepted.len()) as u64;
            }
            self.waiting.add(&mut batch.accepted, times, interfaces, self.retired_before.is_some());
        }
        for (row, identity) in batch.wide.drain(..) {
            if !row.context {
                self.identities.add(Class::Accepted, row.span.start.0, identity);
            }
            match interfaces[row.interface.0 as usize] {
                NOWHERE => self.totals.lost.accepted += 1,
                interface => {
                    let name = self.interfaces.name_hash(interface);
                    self.waiting.add_row(WideRow { interface, ..row }, name);
                }
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
            let interface = row.interface.map(|local| interfaces[local.0 as usize]);
            if let Some(interface) = interface.filter(|interface| row.skip_data && *interface != NOWHERE) {
                self.settled.skip_data(interface, row.span);
            }
        }
    }

    /// Moves what waits out of memory when that is full.
    fn spill_if_full(&mut self) {
        let limit = self.bounds.memory;
        let movable = self.waiting.bytes() + self.identities.bytes() + self.rejects.bytes();
        // What cannot be moved leaves at least a part of the room: else every row would be moved by itself.
        if movable > limit.saturating_sub(self.immovable()).max(limit / 8) {
            self.spill();
        }
    }

    fn spill(&mut self) {
        let Bounds { buffers, .. } = self.bounds;
        if self.spilled.is_none() {
            self.spilled_at = self.retired_before;
        }
        let spilled = self.spilled.get_or_insert_with(|| Spilled::new(buffers, &self.quota));
        spilled.take(&mut self.waiting, &mut self.rejects);
        self.identities.spill(buffers / 2, &self.quota);
    }

    /// Bytes held, by their sizes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.waiting.bytes() + self.identities.bytes() + self.rejects.bytes() + self.immovable()
    }

    /// Bytes that stay in memory, by their sizes.
    fn immovable(&self) -> usize {
        self.spilled.as_ref().map_or(0, Spilled::bytes)
            + self.identities.buffered()
            + self.settled.bytes()
            + self.interfaces.bytes()
    }

    /// Joins and forgets what nothing to come can match, now that no record that started before `earliest` will.
    pub fn retire(&mut self, earliest: Timestamp) {
        if self.retired_before.is_some_and(|known| known >= earliest) {
            return;
        }
        self.retired_before = Some(earliest);
        let forgot = if self.spilled.is_none() {
            self.forget_before(earliest)
        } else if self.is_worth_reading_back(earliest) {
            self.join_spilled(Some(earliest));
            true
        } else {
            // What waits in memory may be the other half of what lies outside.
            false
        };
        if self.identities.count_before(earliest.0) || forgot {
            self.earliest_to_come = Some(earliest);
        }
    }

    fn forget_before(&mut self, earliest: Timestamp) -> bool {
        let window = self.options.match_window_seconds;
        let done = self.waiting.take_before(earliest.plus_seconds(-window).0);
        let forgot = !done.is_empty();
        self.probe(done);
        // A reject goes when no row that waits or is still to come can be near it.
        let waiting = self.waiting.earliest_start();
        let horizon = waiting.map_or(earliest, |start| earliest.min(Timestamp(start))).plus_seconds(-window);
        self.rejects.settle_before(horizon, window, &self.interfaces, &mut self.settled) || forgot
    }

    /// Whether enough of what lies outside memory is over by now: all of it, or as good as all after some time and with
    /// twice as much there as was not over the last time.
    fn is_worth_reading_back(&self, earliest: Timestamp) -> bool {
        let Some(spilled) = &self.spilled else { return false };
        let window = self.options.match_window_seconds;
        let is_long_ago = self
            .spilled_at
            .is_none_or(|at| earliest.seconds_since(at) > window.saturating_add(READ_BACK_SECONDS));
        spilled.ended_before(earliest.plus_seconds(-window))
            || is_long_ago && spilled.stored() / 2 >= self.carried_over
    }

    /// Joins what lies outside memory, part by part, as far as nothing that starts at `earliest` or later can change it.
    fn join_spilled(&mut self, earliest: Option<Timestamp>) {
        self.spill();
        let Some(mut spilled) = self.spilled.take() else { return };
        let window = self.options.match_window_seconds;
        let until = Until { earliest, match_window_seconds: window, limit: self.bounds.part };
        let mut accepted = Vec::new();
        for partition in 0..PARTITIONS {
            let Self { clients, onsets, interfaces, waiting, .. } = self;
            let (mut rejects, over) = spilled.join(partition, until, (waiting, interfaces), &mut |row| {
                if clients.know(row) {
                    clients.take(row);
                }
                onsets.probe_row(row, interfaces, &mut accepted);
                onsets.take_accepted(&mut accepted);
            });
            match over {
                Some(horizon) => {
                    rejects.settle_before(horizon, window, &self.interfaces, &mut self.settled);
                    self.rejects.take_in(rejects);
                    self.spill_if_full();
                }
                None => rejects.settle_all(window, &self.interfaces, &mut self.settled),
            }
        }
        self.carried_over = self.spilled.as_ref().map_or(0, Spilled::stored);
        self.totals.lost.add(spilled.lost);
    }

    fn probe(&mut self, runs: Vec<Run>) {
        let (mut askers, waiting) = self.askers();
        let mut found = Found::default();
        for run in runs {
            askers.probe(&run, &mut found);
            waiting.reuse(run);
        }
    }

    fn askers(&mut self) -> (Askers<'_>, &mut Waiting) {
        let askers = Askers {
            rejects: &mut self.rejects,
            clients: &mut self.clients,
            onsets: &mut self.onsets,
            interfaces: &self.interfaces,
            match_window_seconds: self.options.match_window_seconds,
        };
        (askers, &mut self.waiting)
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
    ///
    /// Where memory has no room for that, it is only what is decided already.
    #[must_use]
    pub fn so_far(&self) -> Correlated {
        let (mut settled, mut clients) = (self.settled.clone(), self.clients.clone());
        let mut onsets = self.onsets.clone();
        settled.unpaired.keep_in_memory();
        if self.spilled.is_none() && self.rejects.bytes() <= self.bounds.memory / 4 {
            let window = self.options.match_window_seconds;
            let mut rejects = self.rejects.clone();
            let mut askers = Askers {
                rejects: &mut rejects,
                clients: &mut clients,
                onsets: &mut onsets,
                interfaces: &self.interfaces,
                match_window_seconds: window,
            };
            let mut found = Found::default();
            self.waiting.runs().for_each(|run| askers.probe(run, &mut found));
            rejects.settle_all(window, &self.interfaces, &mut settled);
        }
        let totals = Totals { unchecked: self.identities.unchecked(), ..self.totals.clone() };
        let counted = self.identities.counted();
        correlated(settled, self.interfaces.clone(), totals, counted, (clients, onsets, None))
    }

    /// Joins what is left, on so many threads, and hands everything over.
    #[must_use]
    pub fn finish(mut self, threads: usize) -> Correlated {
        if self.spilled.is_some() {
            self.join_spilled(None);
        }
        // Nobody reads any more: what is left to count does not have to wait for what is left to join.
        let mut identities = std::mem::replace(&mut self.identities, Identities::new(0));
        let counted = std::thread::scope(|scope| {
            let counting = scope.spawn(move || {
                identities.count_all();
                (identities.counted(), identities.unchecked())
            });
            let rest = self.waiting.take_all();
            self.askers().0.probe_all(&rest, threads);
            let window = self.options.match_window_seconds;
            let rejects = std::mem::take(&mut self.rejects);
            rejects.settle_all(window, &self.interfaces, &mut self.settled);
            counting.join()
        });
        let (counted, unchecked) = counted.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.totals.unchecked = unchecked;
        self.totals.not_kept_because = self.quota.refused();
        let asides = (self.clients, self.onsets, self.coverage);
        correlated(self.settled, self.interfaces, self.totals, counted, asides)
    }
}

/// The result, in an order that depends on nothing but its contents.
fn correlated(
    settled: Settled,
    interfaces: InterfaceTable,
    totals: Totals,
    (distinct, copies): (PerClass, u64),
    (clients, onsets, mut coverage): (Clients, Turns, Option<Coverage>),
) -> Correlated {
    let (interfaces, renumbered) = interfaces.in_order();
    let new = |index: InterfaceIndex| renumbered[index.0 as usize];
    let Settled { conversations, mut unpaired, silent, skip_data, lost, cut, highest_span_rank, .. } =
        settled;
    let conversations = conversations.in_order(&new);
    let (silent, cut_silent) = silent.in_order(&new);
    let (clients, clients_given_up) = clients.in_order(&new);
    let skip_data = skip_data.into_iter().map(|(at, spans)| (new(at), spans.into_iter().collect())).collect();
    if let Some(coverage) = &mut coverage {
        coverage.renumber(&renumbered);
    }
    unpaired.renumber(renumbered);
    Correlated {
        coverage,
        conversations,
        unpaired,
        clients,
        clients_given_up,
        onsets: onsets.finish(),
        silent,
        cut_silent,
        dropped_requests: totals.lost.requests + lost.requests,
        has_tcp_flags: totals.has_tcp_flags,
        skip_data,
        accepted: distinct.of(Class::Accepted) + totals.counts.unpairable_accepted,
        rejected: distinct.of(Class::Rejected) + totals.counts.unpairable_rejected,
        no_data: distinct.of(Class::NoData) + totals.without_identity.of(Class::NoData),
        skip_data_records: distinct.of(Class::SkipData) + totals.without_identity.of(Class::SkipData),
        duplicates: copies,
        dropped_accepted: totals.lost.accepted,
        dropped_rejected: totals.lost.rejected + lost.rejected,
        dropped_rejected_packets: totals.lost.rejected_packets.saturating_add(lost.rejected_packets),
        cut_conversations: cut,
        cut_skip_data: highest_span_rank < u64::MAX,
        unchecked: totals.unchecked,
        not_kept_because: totals.not_kept_because,
        span: totals.span,
        counts: totals.counts,
        interfaces,
    }
}
