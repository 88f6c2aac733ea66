//! One thread's work: open an object or a few, decode them, parse their lines, hand on batches.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use super::queue::{Batches, Closed};
use super::{ReadOptions, lock};
use crate::correlate::{Batch, Gatherer};
use crate::decode::{Chunk, Decoded, Decoder, LineSink, Overlong};
use crate::record::{Field, LineReader, LogFormat, Malformed, Problem, Room, Sink};
use crate::source::Object;

/// Objects to read by one worker, in order, and where the batches of each go.
pub(super) struct Job<'a>(pub(super) Vec<(&'a Object, Batches)>);

/// What a worker says about its object, ending with one `End`.
pub(super) enum Message {
    Batch(Box<Batch>),
    End(Decoded),
}

/// Takes jobs until there are no more.
pub(super) fn work(queue: &Mutex<Receiver<Job<'_>>>, spent: &Mutex<Vec<Batch>>, options: &ReadOptions) {
    let mut kept = Kept::new(options);
    loop {
        // The lock is held only while waiting: another worker's panic cannot leave the queue half-changed.
        let next = lock(queue).recv();
        let Ok(job) = next else { return };
        // A fault in reading one object must not take its worker away: the others would wait for it without end.
        // The join misses the end of that object and says so.
        let reading = std::panic::AssertUnwindSafe(|| read_objects(&job, &mut kept, spent, options));
        if std::panic::catch_unwind(reading).is_err() {
            kept = Kept::new(options);
        }
    }
}

/// What a worker keeps from one object to the next: there may be a hundred thousand small ones.
struct Kept<'a> {
    decoder: Decoder,
    /// One for each object that is read at once.
    readers: Vec<(Gatherer<'a>, Option<Room>)>,
}

impl<'a> Kept<'a> {
    fn new(options: &'a ReadOptions) -> Self {
        let reader = || (Gatherer::new(&options.selection, options.correlate.match_window_seconds), None);
        let readers = std::iter::repeat_with(reader).take(Decoder::at_once()).collect();
        Self { decoder: Decoder::default(), readers }
    }
}

fn read_objects(job: &Job<'_>, kept: &mut Kept<'_>, spent: &Mutex<Vec<Batch>>, options: &ReadOptions) {
    let mut inputs = Vec::new();
    let mut sinks = Vec::new();
    let mut readers = kept.readers.iter_mut();
    for (object, batches) in &job.0 {
        match object.open() {
            Ok(input) => {
                let Some((gatherer, room)) = readers.next() else { break };
                let reader = LineReader::with_room(&formats(object, options), room.take());
                inputs.push((input, object.size));
                sinks.push(RecordSink {
                    reader: Some(reader),
                    room,
                    gatherer,
                    batches,
                    spent,
                    held: None,
                    may_wait: false,
                });
            }
            Err(error) => {
                let error = Some(format!("cannot be opened: {error}"));
                // Nobody listens any more when the join gave up: then nobody needs to know.
                let _ = batches.send(Message::End(Decoded { error, ..Decoded::default() }));
            }
        }
    }
    kept.decoder.decode_all(inputs, &options.limits, &mut sinks, &mut |_, decoded, sink| sink.end(decoded));
}

/// The object's own formats before those of the command line.
pub(super) fn formats(object: &Object, options: &ReadOptions) -> Vec<Arc<LogFormat>> {
    let own = object.log_formats.iter().filter_map(|format| LogFormat::parse(format).ok());
    own.map(Arc::new).chain(options.log_formats.iter().cloned()).collect()
}

struct RecordSink<'a, 'b> {
    /// There until the end.
    reader: Option<LineReader>,
    room: &'a mut Option<Room>,
    gatherer: &'a mut Gatherer<'b>,
    batches: &'a Batches,
    spent: &'a Mutex<Vec<Batch>>,
    /// A batch that there was no room for.
    held: Option<Message>,
    /// All objects before this one are over: the join comes to this one, and makes room.
    may_wait: bool,
}

impl RecordSink<'_, '_> {
    /// `false` when the join gave up.
    fn send(&mut self) -> bool {
        let empty = lock(self.spent).pop().unwrap_or_default();
        let batch = Message::Batch(Box::new(self.gatherer.exchange(empty)));
        if self.may_wait {
            return self.batches.send(batch).is_ok();
        }
        match self.batches.try_send(batch) {
            Ok(held) => {
                self.held = held;
                true
            }
            Err(Closed) => false,
        }
    }

    fn end(&mut self, decoded: Decoded) {
        if let Some(mut reader) = self.reader.take() {
            reader.end(self.gatherer);
            *self.room = reader.into_room();
        }
        if !self.gatherer.is_empty() {
            self.send();
        }
        // Nobody listens any more when the join gave up: then nobody needs to know.
        let _ = self.batches.send(Message::End(decoded));
    }
}

impl LineSink for RecordSink<'_, '_> {
    fn chunk(&mut self, chunk: Chunk<'_>) -> Option<u64> {
        let (whole, cut_off) = chunk.whole_and_cut_off();
        let reader = self.reader.as_mut()?;
        let mut next = reader.lines(whole, chunk.first_line, self.gatherer);
        if let Some((number, line)) = cut_off {
            // Half a record can look like a whole one.
            self.gatherer.malformed(number, Malformed::new("line", line, Problem::CutOff));
            next += 1;
        }
        (!chunk.ends_batch || self.send()).then_some(next)
    }

    fn is_held(&self) -> bool {
        self.held.is_some()
    }

    fn may_wait(&mut self) -> bool {
        self.may_wait = true;
        self.held.take().is_none_or(|held| self.batches.send(held).is_ok())
    }

    fn overlong(&mut self, overlong: Overlong) {
        self.gatherer.malformed(overlong.line, Malformed::new("line", b"", Problem::TooLong));
    }
    fn wants_column(&mut self, name: &str) -> bool {
        Field::is_wanted(name)
    }

    fn columns(&mut self, names: &[String]) {
        if let Some(reader) = &mut self.reader {
            reader.columns(names);
        }
    }
}
