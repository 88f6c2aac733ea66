//! Cuts a stream of text into chunks of whole lines, with a bound on every line.

use memchr::{memchr_iter, memrchr};

use super::{Limits, LineSink};

/// Whole lines in a row.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// The lines, each with its line feed; the very last of an input may lack it.
    pub text: &'a [u8],
    /// Number of the first line, from 1.
    pub first_line: u64,
    /// The last line lacks its end because the input broke off.
    pub cut_off: bool,
    /// With the chunks before it this is about as much as the usual chunk: what is made of them can be handed on.
    pub ends_batch: bool,
}

/// A line that was dropped because it is too long.
#[derive(Debug, Clone, Copy)]
pub struct Overlong {
    /// Its number, from 1.
    pub line: u64,
}

impl<'a> Chunk<'a> {
    /// The lines that are there whole, and the last one with its number when it is cut off.
    #[must_use]
    pub fn whole_and_cut_off(&self) -> (&'a [u8], Option<(u64, &'a [u8])>) {
        if !self.cut_off {
            return (self.text, None);
        }
        let (whole, last) = self.text.split_at(memrchr(b'\n', self.text).map_or(0, |at| at + 1));
        let number = self.first_line + memchr_iter(b'\n', whole).count() as u64;
        (whole, (!last.is_empty()).then_some((number, last)))
    }

    /// The lines without their line feeds, with their numbers.
    pub fn lines(&self) -> impl Iterator<Item = (u64, &'a [u8])> {
        let text = self.text;
        let mut start = 0;
        let unended = (!text.is_empty() && !text.ends_with(b"\n")).then_some(text.len());
        memchr_iter(b'\n', text).chain(unended).zip(self.first_line..).map(move |(end, number)| {
            let line = &text[start..end];
            start = end + 1;
            (number, line)
        })
    }
}

/// How much more than its share a chunk may have: the last one is then not a few lines too many.
const FAIR_SLACK: usize = 4096;

/// Hands out a text that is there whole, in chunks of about the usual size and without copying it.
pub(super) fn cut(text: &[u8], limits: &Limits, sink: &mut impl LineSink) {
    let mut rest = text;
    let mut first_line = 1;
    // Chunks of about one size: what is kept for a large one is not wasted on a small one.
    let fair = text.len().div_ceil(text.len().div_ceil(limits.chunk_bytes).max(1));
    while !rest.is_empty() {
        let size = (fair + FAIR_SLACK).min(limits.chunk_bytes);
        let piece = if rest.len() <= size {
            rest
        } else if let Some(last) = memrchr(b'\n', &rest[..size])
            .or_else(|| memrchr(b'\n', &rest[..limits.chunk_bytes.min(rest.len())]))
        {
            &rest[..=last]
        } else {
            // A line longer than a chunk: let the buffer decide what it may be.
            return buffer_rest(rest, first_line, limits, sink);
        };
        if rest.len() < limits.chunk_bytes || piece.len() < rest.len() || piece.ends_with(b"\n") {
            match sink.chunk(Chunk { text: piece, first_line, cut_off: false, ends_batch: true }) {
                Some(next) => first_line = next,
                None => return,
            }
        } else {
            return buffer_rest(rest, first_line, limits, sink);
        }
        rest = &rest[piece.len()..];
    }
}

fn buffer_rest(rest: &[u8], first_line: u64, limits: &Limits, sink: &mut impl LineSink) {
    let mut lines = Lines::new(limits, first_line);
    let mut rest = rest;
    while !rest.is_empty() {
        let space = lines.space();
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        if !lines.filled(count, sink) {
            return;
        }
    }
    lines.end(true, sink);
}

/// The buffer between a stream and its lines.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Bytes of `buffer` in use, all of one unfinished line.
    used: usize,
    next_line: u64,
    chunk_bytes: usize,
    json_line_bytes: usize,
    /// Inside a line that is being dropped.
    dropping: bool,
}

impl Lines {
    /// The first line has that number.
    pub(super) fn new(limits: &Limits, first_line: u64) -> Self {
        Self {
            buffer: vec![0; limits.chunk_bytes],
            used: 0,
            next_line: first_line,
            chunk_bytes: limits.chunk_bytes,
            json_line_bytes: limits.json_line_bytes,
            dropping: false,
        }
    }

    /// Where the next bytes go. Never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[self.used..]
    }

    /// The bytes just put into [`Self::space`], before they are accounted for.
    pub(super) fn peek(&self, count: usize) -> &[u8] {
        &self.buffer[self.used..self.used + count]
    }

    /// Takes `count` bytes that were put into [`Self::space`]. `false` when the sink has had enough.
    pub(super) fn filled(&mut self, count: usize, sink: &mut impl LineSink) -> bool {
        let fresh = self.used;
        self.used += count;
        if self.dropping && !self.drop_until_line_feed(fresh) {
            return true;
        }
        // A chunk goes out when the buffer is full: small reads do not make small chunks.
        if self.used < self.buffer.len() {
            return true;
        }
        self.hand_out(sink)
    }

    /// Nobody wants what is left.
    pub(super) fn forget(&mut self) {
        self.used = 0;
    }

    /// The input is over; `whole` says whether it ended as it should.
    pub(super) fn end(&mut self, whole: bool, sink: &mut impl LineSink) {
        if self.used == 0 || self.dropping {
            return;
        }
        let text = &self.buffer[..self.used];
        let cut_off = !whole && !text.ends_with(b"\n");
        sink.chunk(Chunk { text, first_line: self.next_line, cut_off, ends_batch: true });
        self.used = 0;
    }

    fn hand_out(&mut self, sink: &mut impl LineSink) -> bool {
        let Some(last) = memrchr(b'\n', &self.buffer[..self.used]) else {
            self.make_room_or_drop(sink);
            return true;
        };
        let chunk = Chunk {
            text: &self.buffer[..=last],
            first_line: self.next_line,
            cut_off: false,
            ends_batch: true,
        };
        let next = sink.chunk(chunk);
        self.next_line = next.unwrap_or(self.next_line);
        self.buffer.copy_within(last + 1..self.used, 0);
        self.used -= last + 1;
        self.buffer.truncate(self.chunk_bytes.max(self.used + 1));
        next.is_some()
    }

    /// The buffer is full of one line: JSON may have more room, anything else is dropped up to its line feed.
    fn make_room_or_drop(&mut self, sink: &mut impl LineSink) {
        let first = self.buffer[..self.used].iter().copied().find(|byte| !byte.is_ascii_whitespace());
        if matches!(first, Some(b'{' | b'[')) && self.buffer.len() < self.json_line_bytes {
            let size = (self.buffer.len() * 2).min(self.json_line_bytes);
            self.buffer.resize(size, 0);
            return;
        }
        sink.overlong(Overlong { line: self.next_line });
        self.used = 0;
        self.dropping = true;
        self.buffer.truncate(self.chunk_bytes);
    }

    /// While dropping: forgets everything up to the line feed. `false` while there is none.
    fn drop_until_line_feed(&mut self, fresh: usize) -> bool {
        match memchr::memchr(b'\n', &self.buffer[fresh..self.used]) {
            None => {
                self.used = 0;
                false
            }
            Some(at) => {
                let end = fresh + at + 1;
                self.buffer.copy_within(end..self.used, 0);
                self.used -= end;
                self.next_line += 1;
                self.dropping = false;
                true
            }
        }
    }
}
