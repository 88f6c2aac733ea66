//! Rows of cells as lines of text, handed out in chunks of the usual size.

use super::column::Cells;
use crate::decode::{Chunk, Limits, LineSink, Overlong};

/// The text of the rows so far, and where it goes.
pub(super) struct Rows<'a, S: LineSink> {
    sink: &'a mut S,
    limits: &'a Limits,
    /// Bytes of the file as stored.
    stored: u64,
    text: Vec<u8>,
    /// Number of the first row in `text`, from 1.
    first: u64,
    /// Number of the row that comes next.
    next: u64,
    /// Bytes of text made.
    made: u64,
    stopped: bool,
    /// A long value that stands once in the file and in every row.
    bomb: bool,
}

impl<'a, S: LineSink> Rows<'a, S> {
    pub(super) fn new(stored: u64, limits: &'a Limits, sink: &'a mut S) -> Self {
        let text = Vec::with_capacity(limits.chunk_bytes);
        Self { sink, limits, stored, text, first: 1, next: 1, made: 0, stopped: false, bomb: false }
    }

    /// Whether the sink has had enough.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Number of the row that comes next.
    pub(super) fn next_row(&self) -> u64 {
        self.next
    }

    /// Takes `count` rows. An error when they are a bomb.
    pub(super) fn append(&mut self, cells: &mut [Cells], count: usize) -> Result<(), String> {
        for _ in 0..count {
            self.row(cells);
            if self.bomb {
                return Err(format!("it decompresses to more than {} times its size", self.limits.max_ratio));
            }
            if self.stopped {
                break;
            }
        }
        Ok(())
    }

    #[inline]
    fn row(&mut self, cells: &mut [Cells]) {
        let limit = self.limits.chunk_bytes;
        let start = self.text.len();
        for cell in cells {
            cell.write_next(limit, &mut self.text);
            self.text.push(b' ');
        }
        if let Some(last) = self.text.last_mut() {
            *last = b'\n';
        }
        let length = self.text.len() - start;
        self.made += length as u64;
        self.next += 1;
        if length > limit {
            self.text.truncate(start);
            self.hand_out(start);
            self.sink.overlong(Overlong { line: self.next - 1 });
            self.first = self.next;
        } else if self.text.len() > limit {
            self.hand_out(start);
            self.first = self.next - 1;
        }
    }

    /// Hands out the text before `end`.
    fn hand_out(&mut self, end: usize) {
        if end > 0 && !self.stopped {
            let chunk =
                Chunk { text: &self.text[..end], first_line: self.first, cut_off: false, ends_batch: true };
            self.stopped = self.sink.chunk(chunk).is_none();
        }
        self.text.drain(..end);
        self.bomb = self.made > self.limits.ratio_floor_bytes
            && self.made / self.stored.max(1) > self.limits.max_ratio;
    }

    /// Hands out what is left; gives the bytes of text made.
    pub(super) fn finish(mut self) -> u64 {
        self.hand_out(self.text.len());
        self.made
    }
}
