//! Composes the reading stages on all cores: objects → lines → records → rows → the join.
//!
//! Objects are decoded and parsed independently, each on one thread; their batches are joined in the order of the
//! objects, so neither the number of threads nor their luck changes the result. Holds no domain rules.

mod queue;
mod rejects;
mod worker;

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::correlate::{
    Batch, Correlated, Correlator, LateRecord, MALFORMED_EXAMPLES, MalformedLine, Options, Selection,
};
use crate::decode::{Decoder, Limits};
use crate::memory;
use crate::net::Timestamp;
use crate::record::{LogFormat, MissingField};
use crate::source::{Object, Stop};
use queue::Gate;
pub use rejects::{RejectedSpans, rejected_spans};
use worker::{Job, Message};

/// Batches on their way to the join may take one part in this many of the memory limit, beside it.
const SHARE_UNDER_WAY: usize = 8;

/// Whatever the memory limit, they may take this much: several batches of every thread. Not so in tests, where there are
/// only small ones.
const LEAST_UNDER_WAY: usize = if cfg!(test) { 0 } else { 16 << 20 };

/// More than this is of no use.
const MOST_UNDER_WAY: usize = 64 << 20;

/// Malformed lines kept as examples, of all objects.
const MOST_EXAMPLES: usize = 10;

/// Objects whose fetching may begin before their turn comes; what they hold is bounded where they are fetched.
const OBJECTS_AHEAD: usize = 64;

/// Objects are read at once by one thread while they have no more than this together, as stored. All that a thread reads
/// beyond the object that is joined waits for it: of large objects that would be much, while other threads stand still.
const AT_ONCE_BYTES: u64 = 6 << 20;

/// How often whoever watches is told, and a request to stop is looked for, while nothing arrives.
const TICK: Duration = Duration::from_millis(100);

/// How to read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Threads that decode and parse.
    pub threads: usize,
    /// Bounds on one input.
    pub limits: Limits,
    /// Formats of input without a header, besides the default one.
    pub log_formats: Vec<Arc<LogFormat>>,
    /// What counts.
    pub selection: Selection,
    /// The join.
    pub correlate: Options,
    /// Interfaces of NAT gateways, as far as they are known beforehand: the clients behind them are looked for.
    pub gateways: Arc<HashSet<Vec<u8>>>,
    /// Whether to take note of when there are records of each interface.
    pub coverage: bool,
    /// Whether the process ends after this reading: giving memory back to the system would be for nothing.
    pub is_last: bool,
    /// Asks to end early: what was read until then is the result, and the rest is named as incomplete.
    pub stop: Stop,
}

/// How far the reading is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Objects read to their end.
    pub objects: usize,
    /// Objects in all.
    pub objects_total: usize,
    /// Bytes of the objects read to their end, as stored.
    pub bytes_read: u64,
    /// Bytes of all objects, as stored, where every one's size is known.
    pub bytes_total: Option<u64>,
    /// Records that count so far.
    pub records: u64,
    /// Rejected ones among them.
    pub rejected: u64,
}

/// Told how far the reading is: often, so that it has to be quick. The join can be asked for what it knows so far.
pub type Observer<'a> = dyn FnMut(Progress, &Correlator) + 'a;

/// What was read, joined.
#[derive(Debug)]
pub struct Reading {
    /// The join.
    pub correlated: Correlated,
    /// Objects opened.
    pub objects: u64,
    /// Bytes as stored.
    pub bytes_read: u64,
    /// Bytes after decompression.
    pub bytes_decoded: u64,
    /// Inputs not read to their end: name and reason.
    pub incomplete: Vec<(String, String)>,
    /// The first malformed lines: name of the input and line.
    pub malformed: Vec<(String, MalformedLine)>,
    /// What formats lack, with the first input each was met in and the number of such inputs.
    pub missing: Vec<(MissingField, String, usize)>,
    /// Inputs that are JSON of another kind: name and telling key.
    pub foreign: Vec<(String, &'static str)>,
}

/// Reads all objects and joins their records.
pub fn read(objects: &[Object], options: &ReadOptions, observer: &mut Observer<'_>) -> Reading {
    // Going by names lets the join forget; a name that lies is found out, and then everything is read once more.
    let go_by_names = objects.iter().all(Object::is_rereadable);
    match read_once(objects, options, go_by_names, observer) {
        Ok(reading) => reading,
        Err(LateRecord) => read_once(objects, options, false, observer).unwrap_or_else(|LateRecord| {
            unreachable!("a join that never forgets cannot meet a record that is late")
        }),
    }
}

fn read_once(
    objects: &[Object],
    options: &ReadOptions,
    go_by_names: bool,
    observer: &mut Observer<'_>,
) -> Result<Reading, LateRecord> {
    let spent = Mutex::default();
    let bytes_total = objects.iter().map(|object| object.size).sum();
    let mut join = Join::new(
        options,
        &spent,
        Progress { objects_total: objects.len(), bytes_total, ..Progress::default() },
    );
    let budget = options.correlate.memory_limit_bytes / SHARE_UNDER_WAY;
    let gate = Gate::new(budget.clamp(LEAST_UNDER_WAY, MOST_UNDER_WAY));
    std::thread::scope(|scope| {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..options.threads.max(1).min(objects.len()) {
            let queue = Arc::clone(&queue);
            let spent = &spent;
            scope.spawn(move || worker::work(&queue, spent, options));
        }
        let plan = Plan { objects, go_by_names, threads: options.threads.max(1), jobs, gate: &gate };
        let _closing = gate.closing();
        join.all(&plan, observer)
    })?;
    if options.is_last {
        memory::keep_freed();
    }
    Ok(join.finish(options.threads))
}

/// The objects, and how they come to be read.
struct Plan<'a, 'b> {
    objects: &'b [Object],
    go_by_names: bool,
    threads: usize,
    jobs: Sender<Job<'b>>,
    gate: &'a Arc<Gate>,
}

impl Plan<'_, '_> {
    /// Objects that may be read at once: what every thread works on, and what they go on with.
    fn ahead(&self) -> usize {
        self.threads * Decoder::at_once() + 2
    }

    /// Has the next objects read by one thread, from the one with that index on; gives the ways of their batches.
    ///
    /// Several at once, but towards the end not more than leave something for every other thread.
    fn send(&self, index: usize) -> Vec<Receiver<Message>> {
        let rest = &self.objects[index..];
        let fair = (rest.len() / self.threads).clamp(1, Decoder::at_once());
        let mut room = AT_ONCE_BYTES;
        let has_room = |object: &&Object| {
            let left = object.size.and_then(|size| room.checked_sub(size));
            room = left.unwrap_or(0);
            left.is_some()
        };
        let count = rest.iter().take(fair).take_while(has_room).count().max(1);
        let (ways, receivers): (Vec<_>, Vec<_>) =
            (index..index + count).map(|index| self.gate.way(index)).unzip();
        // A send fails only when every worker is gone, which the missing ends of the objects then tell.
        let _ = self.jobs.send(Job(rest.iter().zip(ways).collect()));
        receivers
    }
}

/// The guard of a mutex under which nothing can be left half-done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The joining side: one object after another.
struct Join<'a> {
    /// Batches whose rows were taken in, for the workers to fill again: memory that is given back and forth between
    /// threads costs more than it holds.
    spent: &'a Mutex<Vec<Batch>>,
    stop: &'a Stop,
    correlator: Correlator,
    reading: Partial,
    progress: Progress,
}

#[derive(Default)]
struct Partial {
    objects: u64,
    bytes_read: u64,
    bytes_decoded: u64,
    incomplete: BTreeSet<(String, String)>,
    malformed: Vec<(String, MalformedLine)>,
    missing: Vec<(MissingField, String, usize)>,
    foreign: Vec<(String, &'static str)>,
}

impl<'a> Join<'a> {
    fn new(options: &'a ReadOptions, spent: &'a Mutex<Vec<Batch>>, progress: Progress) -> Self {
        let mut correlator = Correlator::new(options.correlate).with_gateways(Arc::clone(&options.gateways));
        if options.coverage {
            correlator = correlator.with_coverage();
        }
        Self { spent, stop: &options.stop, correlator, reading: Partial::default(), progress }
    }

    /// The rest of the objects is not read.
    fn interrupted(&mut self, left: usize) {
        let total = self.progress.objects_total;
        let inputs = if total == 1 { "the input".to_owned() } else { format!("{left} of {total} inputs") };
        self.reading.incomplete.insert((inputs, "not read: the run was interrupted".to_owned()));
    }

    fn tell(&mut self, observer: &mut Observer<'_>) {
        let (accepted, rejected) = self.correlator.records();
        self.progress.records = accepted + rejected;
        self.progress.rejected = rejected;
        self.progress.bytes_read = self.reading.bytes_read;
        observer(self.progress, &self.correlator);
    }

    /// Takes one batch in and gives its memory back.
    fn batch(
        &mut self,
        object: &Object,
        mut batch: Box<Batch>,
        missing: &mut BTreeSet<MissingField>,
    ) -> Result<(), LateRecord> {
        missing.extend(batch.missing.drain(..));
        // Where a batch ends is of no consequence: the first ones of an object are in its first batches.
        let examples = &mut self.reading.malformed;
        let known = examples.iter().rev().take_while(|(name, _)| *name == object.name).count();
        let room = MALFORMED_EXAMPLES.saturating_sub(known).min(MOST_EXAMPLES - examples.len());
        examples.extend(batch.malformed.drain(..).take(room).map(|line| (object.name.clone(), line)));
        for key in batch.foreign.drain(..) {
            if self.reading.foreign.last().is_none_or(|(name, _)| *name != object.name) {
                self.reading.foreign.push((object.name.clone(), key));
            }
        }
        self.correlator.absorb(&mut batch)?;
        lock(self.spent).push(*batch);
        Ok(())
    }

    /// Has all objects read, some at once, and takes them one after another.
    fn all(&mut self, plan: &Plan<'_, '_>, observer: &mut Observer<'_>) -> Result<(), LateRecord> {
        let mut waiting: VecDeque<Receiver<Message>> = VecDeque::new();
        let mut sent = 0;
        let mut soon = plan.objects.iter();
        // None is opened before it was prepared.
        let prepared = OBJECTS_AHEAD.max(plan.ahead() + Decoder::at_once());
        soon.by_ref().take(prepared).for_each(Object::prepare);
        for (index, object) in plan.objects.iter().enumerate() {
            if self.stop.is_requested() {
                self.interrupted(plan.objects.len() - index);
                break;
            }
            if let Some(object) = soon.next() {
                object.prepare();
            }
            while waiting.len() < plan.ahead() && sent < plan.objects.len() {
                waiting.extend(plan.send(sent));
                sent = index + waiting.len();
            }
            let Some(receiver) = waiting.pop_front() else { break };
            plan.gate.turn_of(index);
            if let Some(earliest) = object.earliest_start.filter(|_| plan.go_by_names) {
                self.correlator.retire(earliest);
            }
            self.object(object, &receiver, plan.gate, observer)?;
        }
        Ok(())
    }

    fn object(
        &mut self,
        object: &Object,
        messages: &Receiver<Message>,
        gate: &Gate,
        observer: &mut Observer<'_>,
    ) -> Result<(), LateRecord> {
        self.reading.objects += 1;
        let mut missing = BTreeSet::new();
        let mut ended = false;
        loop {
            if self.stop.is_requested() {
                let reason = "not read to its end: the run was interrupted".to_owned();
                self.reading.incomplete.insert((object.name.clone(), reason));
                ended = true;
                break;
            }
            let message = match messages.recv_timeout(TICK) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    self.tell(observer);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            match message {
                Message::Batch(batch) => {
                    gate.taken(batch.bytes());
                    self.batch(object, batch, &mut missing)?;
                    self.tell(observer);
                }
                Message::End(decoded) => {
                    ended = true;
                    self.reading.bytes_read += decoded.bytes_read;
                    self.reading.bytes_decoded += decoded.bytes_decoded;
                    if let Some(error) = decoded.error {
                        self.reading.incomplete.insert((object.name.clone(), error));
                    }
                    break;
                }
            }
        }
        if !ended {
            self.reading
                .incomplete
                .insert((object.name.clone(), "reading it failed inside flowcheck".to_owned()));
        }
        self.progress.objects += 1;
        self.tell(observer);
        for field in missing {
            match self.reading.missing.iter_mut().find(|(known, ..)| *known == field) {
                Some((_, _, inputs)) => *inputs += 1,
                None => self.reading.missing.push((field, object.name.clone(), 1)),
            }
        }
        Ok(())
    }

    fn finish(self, threads: usize) -> Reading {
        let partial = self.reading;
        Reading {
            correlated: self.correlator.finish(threads),
            objects: partial.objects,
            bytes_read: partial.bytes_read,
            bytes_decoded: partial.bytes_decoded,
            incomplete: partial.incomplete.into_iter().collect(),
            malformed: partial.malformed,
            missing: partial.missing,
            foreign: partial.foreign,
        }
    }
}

impl Reading {
    /// A reading that is not over, of which the join alone is known.
    #[must_use]
    pub fn so_far(correlated: Correlated) -> Self {
        Self {
            correlated,
            objects: 0,
            bytes_read: 0,
            bytes_decoded: 0,
            incomplete: Vec::new(),
            malformed: Vec::new(),
            missing: Vec::new(),
            foreign: Vec::new(),
        }
    }

    /// Latest `end` of a record that counts.
    #[must_use]
    pub fn last_record(&self) -> Option<Timestamp> {
        self.correlated.span.map(|span| span.end)
    }
}

#[cfg(test)]
mod tests;
