//! Several gzip inputs at once on one thread.
//!
//! Inflating one input is a chain: where a code word ends says where the next one begins. A processor that works on one
//! such chain waits most of the time; with three of them it does three times as much between two waits. Text is handed on
//! in pieces that are still in the nearer caches.
//!
//! Nothing in here decides what an input is: one that is unusual or wrong in any way is left to libdeflate and the
//! streaming inflater, which say what it is and go on from where this stopped.

mod codes;
mod stream;
#[cfg(target_arch = "x86_64")]
mod x86;

use memchr::memrchr;

use self::codes::Tables;
pub(super) use self::stream::{Handed, INPUT_SLACK};
use self::stream::{Stream, TEXT_SLACK, WINDOW};
use super::lines::Chunk;
use super::{Limits, LineSink, not_text, parquet};

/// Inputs that are inflated at once: with a fourth there are more numbers at work than registers.
pub(super) const MOST: usize = 3;

/// Whether this machine gains by it: it takes AVX-512, whose processors gather scattered bits at once as well.
pub(super) fn is_of_use() -> bool {
    #[cfg(target_arch = "x86_64")]
    return x86::is_there();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Bytes of text that are there at once of each input.
pub(super) fn room(limits: &Limits) -> usize {
    WINDOW + limits.together_bytes + TEXT_SLACK
}

/// What is kept from some inputs to the next.
#[derive(Default)]
pub(super) struct Together(Vec<Room>);

/// For one input.
struct Room {
    tables: Box<Tables>,
    text: Vec<u8>,
}

/// One of the inputs, and how far it is.
pub(super) struct Task<'a, S> {
    /// As stored, and [`INPUT_SLACK`] bytes more.
    pub(super) stored: &'a [u8],
    /// How long its text is as far as it says itself, in bytes.
    pub(super) said_length: usize,
    pub(super) sink: S,
}

/// How an input ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All of so many bytes of text was handed on, or the sink has had enough.
    Whole(u64),
    /// It goes on after what was handed on, in another way; the line after that has this number.
    Left(Handed, u64),
}

/// Why the symbols of a stream do not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    EndOfBlock,
    /// The text has no more room.
    Full,
    Fault,
}

/// A stream with what is known of its lines.
struct Reading<'a, 'b, S> {
    stream: Stream<'a>,
    sink: &'b mut S,
    next_line: u64,
    /// Bytes after which a batch may end, and those since the last one did.
    batch_bytes: usize,
    since_batch: usize,
    ended: Option<Ended>,
}

impl Together {
    /// Inflates up to [`MOST`] inputs and hands their lines on as they come. The first one that is not over may wait in its
    /// sink, and it alone: the sinks of the others hold what nobody takes yet, and get no more until theirs is the first.
    /// Tells `over` of each in order, with what it may wait for.
    pub(super) fn read<S: LineSink>(
        &mut self,
        tasks: &mut [Task<'_, &mut S>],
        limits: &Limits,
        over: &mut impl FnMut(usize, Ended, &mut S),
    ) {
        self.0.resize_with(tasks.len().max(self.0.len()), || Room {
            tables: Box::new(Tables::new()),
            text: Vec::new(),
        });
        let mut readings: Vec<_> = tasks
            .iter_mut()
            .zip(&mut self.0)
            .map(|(task, room)| {
                let pieces = task.said_length.div_ceil(limits.chunk_bytes).max(1);
                // New memory that nothing is written to costs nothing: of a small object's text little is.
                if room.text.len() != self::room(limits) {
                    room.text = vec![0; self::room(limits)];
                }
                let mut stream = Stream::new(task.stored, &mut room.text, &mut room.tables);
                // Only a block with a code has tables to go on with.
                let is_usual = stream.member_header().and_then(|()| stream.next_block()) == Some(true);
                Reading {
                    ended: (!is_usual).then(|| Ended::Left(stream.handed(), 1)),
                    stream,
                    sink: &mut *task.sink,
                    next_line: 1,
                    batch_bytes: task.said_length / pieces,
                    since_batch: 0,
                }
            })
            .collect();
        for first in 0..readings.len() {
            if !readings[first].sink.may_wait() {
                readings[first].ended.get_or_insert(Ended::Whole(0));
            }
            let ended = loop {
                if let Some(ended) = readings[first].ended {
                    break ended;
                }
                go_on(&mut readings[first..], limits);
            };
            over(first, ended, readings[first].sink);
        }
    }
}

/// Goes on with all streams that can, until something is to be done for one of them, and does that.
fn go_on<S: LineSink>(readings: &mut [Reading<'_, '_, S>], limits: &Limits) {
    let mut active: Vec<_> = readings
        .iter_mut()
        .filter(|reading| reading.ended.is_none() && !reading.sink.is_held())
        .take(MOST)
        .collect();
    let mut streams: Vec<_> = active.iter_mut().map(|reading| &mut reading.stream).collect();
    let (index, pause) = blocks(&mut streams);
    if let Some(reading) = active.get_mut(index) {
        reading.ended = reading.after(pause, limits);
    }
}

/// Goes on until a block of one stream is over, or one cannot go on: gives which, and why.
fn blocks(streams: &mut [&mut Stream<'_>]) -> (usize, Pause) {
    #[cfg(target_arch = "x86_64")]
    if x86::is_there() {
        return x86::blocks(streams);
    }
    let _ = streams;
    (0, Pause::Fault)
}

impl<S: LineSink> Reading<'_, '_, S> {
    /// What follows a pause; `Some` when this input ended with it.
    fn after(&mut self, pause: Pause, limits: &Limits) -> Option<Ended> {
        let goes_on = match pause {
            Pause::EndOfBlock => self.stream.next_block(),
            Pause::Full => Some(true),
            Pause::Fault => None,
        };
        let left = Ended::Left(self.stream.handed(), self.next_line);
        let Some(goes_on) = goes_on else { return Some(left) };
        if goes_on && pause == Pause::EndOfBlock {
            return None;
        }
        let fresh = self.stream.fresh();
        let is_start = self.stream.made() == fresh.len() as u64;
        if (is_start && (not_text(fresh).is_some() || parquet::is_parquet(fresh)))
            || self.stream.made() > limits.ratio_floor_bytes.min(limits.max_text_bytes)
        {
            return Some(left);
        }
        let length = if goes_on { memrchr(b'\n', fresh).map_or(0, |at| at + 1) } else { fresh.len() };
        if length == 0 {
            // A line too long for this room, or nothing at the end.
            return Some(if goes_on { left } else { Ended::Whole(self.stream.made()) });
        }
        self.since_batch += length;
        let ends_batch = self.since_batch + length / 2 >= self.batch_bytes;
        if ends_batch {
            self.since_batch = 0;
        }
        let text = &fresh[..length];
        let chunk = Chunk { text, first_line: self.next_line, cut_off: false, ends_batch };
        let next = self.sink.chunk(chunk);
        self.stream.hand_on(length);
        self.stream.make_room();
        self.next_line = next.unwrap_or(self.next_line);
        (next.is_none() || !goes_on).then(|| Ended::Whole(self.stream.made()))
    }
}

#[cfg(test)]
mod tests;
