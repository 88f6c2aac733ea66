//! One thread's work: open an object, decode it, parse its lines, hand on batches.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use super::queue::Batches;
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
    gatherer: Gatherer<'a>,
    room: Option<Room>,
}

impl<'a> Kept<'a> {
    fn new(options: &'a ReadOptions) -> Self {
        Self {
            decoder: Decoder::default(),
            gatherer: Gatherer::new(&options.selection, options.correlate.match_window_seconds),
            room: None,
        }
    }
}

fn read_objects(job: &Job<'_>, kept: &mut Kept<'_>, spent: &Mutex<Vec<Batch>>, options: &ReadOptions) {
    let mut inputs = Vec::new();
    let mut found = Vec::new();
    for (object, _) in &job.0 {
        found.push(object.open().map(|input| inputs.push((input, object.size))));
    }
    let mut opened = kept.decoder.open_all(inputs, &options.limits).into_iter().enumerate();
    for ((object, batches), found) in job.0.iter().zip(found) {
        let decoded = match found {
            Ok(()) => opened.next().map(|(index, opened)| {
                let Kept { decoder, gatherer, room } = &mut *kept;
                let reader = LineReader::with_room(&formats(object, options), room.take());
                let mut sink = RecordSink { reader, gatherer, batches, spent };
                let decoded = decoder.hand_on(index, opened, &options.limits, &mut sink);
                sink.reader.end(sink.gatherer);
                if !sink.gatherer.is_empty() {
                    sink.send();
                }
                *room = sink.reader.into_room();
                decoded
            }),
            Err(error) => {
                Some(Decoded { error: Some(format!("cannot be opened: {error}")), ..Decoded::default() })
            }
        };
        // Nobody listens any more when the join gave up: then nobody needs to know.
        let _ = batches.send(Message::End(decoded.unwrap_or_default()));
    }
}

/// The object's own formats before those of the command line.
pub(super) fn formats(object: &Object, options: &ReadOptions) -> Vec<Arc<LogFormat>> {
    let own = object.log_formats.iter().filter_map(|format| LogFormat::parse(format).ok());
    own.map(Arc::new).chain(options.log_formats.iter().cloned()).collect()
}

struct RecordSink<'a, 'b> {
    reader: LineReader,
    gatherer: &'a mut Gatherer<'b>,
    batches: &'a Batches,
    spent: &'a Mutex<Vec<Batch>>,
}

impl RecordSink<'_, '_> {
    /// `false` when the join gave up.
    fn send(&mut self) -> bool {
        let empty = lock(self.spent).pop().unwrap_or_default();
        self.batches.send(Message::Batch(Box::new(self.gatherer.exchange(empty)))).is_ok()
    }
}

impl LineSink for RecordSink<'_, '_> {
    fn chunk(&mut self, chunk: Chunk<'_>) -> Option<u64> {
        let (whole, cut_off) = chunk.whole_and_cut_off();
        let mut next = self.reader.lines(whole, chunk.first_line, self.gatherer);
        if let Some((number, line)) = cut_off {
            // Half a record can look like a whole one.
            self.gatherer.malformed(number, Malformed::new("line", line, Problem::CutOff));
            next += 1;
        }
        self.send().then_some(next)
    }

    fn overlong(&mut self, overlong: Overlong) {
        self.gatherer.malformed(overlong.line, Malformed::new("line", b"", Problem::TooLong));
    }
    fn wants_column(&mut self, name: &str) -> bool {
        Field::is_wanted(name)
    }

    fn columns(&mut self, names: &[String]) {
        self.reader.columns(names);
    }
}
