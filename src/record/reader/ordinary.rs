//! Runs of ordinary lines: a stretch of text at a time, with the general way for each line that is not.

use memchr::memchr;

use super::{LineReader, Sink};
use crate::record::plain::{
    Arithmetic, BEFORE_BYTES, DEFAULT_LAYOUT, Fields, Layout, Portable, VIEW_BYTES, View,
};
use crate::record::separators::{Separators, WINDOW_BYTES};
#[cfg(target_arch = "x86_64")]
use crate::record::x86;

impl LineReader {
    /// Takes lines in a row, each with its line feed but perhaps the last one; the first has this number, from 1.
    /// Gives the number of the line that follows.
    pub fn lines(&mut self, text: &[u8], first_line: u64, sink: &mut impl Sink) -> u64 {
        let (mut at, mut number) = (0, first_line);
        while at < text.len() {
            if self.is_ordinary() {
                at += self.ordinary_lines(&text[at..], &mut number, sink);
            }
            // What ended the run: the last line, a long one, the first in another format.
            let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) else { break };
            let length = memchr(b'\n', rest).unwrap_or(rest.len());
            self.line(number, &rest[..length], sink);
            at += length + 1;
            number += 1;
        }
        number
    }

    /// Whether lines can be expected to be ordinary records.
    fn is_ordinary(&self) -> bool {
        !self.timestamped
            && !self.json.is_collecting()
            && (!self.headerless.has_rivals || self.header.is_some())
            && self.layout.is_some()
    }

    fn ordinary_lines(&mut self, text: &[u8], number: &mut u64, sink: &mut impl Sink) -> usize {
        #[cfg(target_arch = "x86_64")]
        if x86::level() >= x86::Level::Avx2 {
            return x86::with_avx2!(self.ordinary_lines_avx2(text, number, sink));
        }
        self.run(text, number, sink, Portable)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn ordinary_lines_avx2(&mut self, text: &[u8], number: &mut u64, sink: &mut impl Sink) -> usize {
        self.run(text, number, sink, x86::Avx2)
    }

    /// Reads lines as long as they are whole and in the same format; gives the bytes read.
    #[expect(clippy::inline_always, reason = "compiled once for each set of instructions")]
    #[inline(always)]
    fn run(
        &mut self,
        text: &[u8],
        number: &mut u64,
        sink: &mut impl Sink,
        arithmetic: impl Arithmetic,
    ) -> usize {
        let Some(layout) = self.layout else { return 0 };
        let mut room = self.room.take().unwrap_or_default();
        let mut at = 0;
        while at < text.len() {
            let length = (text.len() - at).min(WINDOW_BYTES);
            let whole = at.checked_sub(BEFORE_BYTES).and_then(|from| text[from..].first_chunk());
            let view = whole.unwrap_or_else(|| {
                // At both ends of a text some of what is around it is not there.
                room.view[BEFORE_BYTES..BEFORE_BYTES + length].copy_from_slice(&text[at..at + length]);
                &*room.view
            });
            room.separators.find(&view[BEFORE_BYTES..BEFORE_BYTES + length]);
            let lines = Lines { text: &text[at..at + length], view, separators: &room.separators };
            let (read, goes_on) = if layout == DEFAULT_LAYOUT {
                self.window(&lines, &DEFAULT_LAYOUT, number, sink, arithmetic)
            } else {
                self.window(&lines, &layout, number, sink, arithmetic)
            };
            at += read;
            if !goes_on || read == 0 {
                break;
            }
        }
        self.room = Some(room);
        at
    }

    /// Reads the whole lines of one window; gives the bytes read, and whether the format is still the same.
    #[expect(clippy::inline_always, reason = "as for run")]
    #[inline(always)]
    fn window(
        &mut self,
        lines: &Lines<'_>,
        layout: &Layout,
        next_number: &mut u64,
        sink: &mut impl Sink,
        arithmetic: impl Arithmetic,
    ) -> (usize, bool) {
        let mut number = *next_number;
        let Lines { text, view, separators } = *lines;
        let fields = separators.fields();
        let may_be_ordinary = separators.are_single();
        let wants_version_2 = self.default_without_header;
        let formats = self.formats_reported;
        let mut common = self.common;
        let (mut begin, mut field) = (0, 0);
        for line_end in separators.lines() {
            let end = usize::from(*line_end);
            let ends = separators.fields_from(field);
            // Beyond the positions found there may be others from before.
            let has_all_columns =
                field + layout.columns < fields.len() && ends[layout.columns & (ends.len() - 1)] == *line_end;
            // A carriage return or a tab would be taken for a part of the last field.
            let ends_plainly = end > begin && text[end - 1] > b' ';
            let record = if has_all_columns && ends_plainly && may_be_ordinary {
                Fields { view, ends }.read(layout, &mut common, arithmetic)
            } else {
                None
            };
            match record {
                Some(record) if !wants_version_2 || text[begin..].starts_with(b"2 ") => {
                    sink.plain(&record);
                    field += layout.columns;
                }
                _ => {
                    self.line(number, &text[begin..end], sink);
                    while fields.get(field + 1).is_some_and(|next| next <= line_end) {
                        field += 1;
                    }
                    if formats != self.formats_reported || !self.is_ordinary() {
                        *next_number = number + 1;
                        self.common = common;
                        return (end + 1, false);
                    }
                }
            }
            begin = end + 1;
            number += 1;
        }
        *next_number = number;
        self.common = common;
        (begin, true)
    }
}

/// A window of text, what surrounds it, and what separates its fields.
struct Lines<'a> {
    text: &'a [u8],
    view: &'a View,
    separators: &'a Separators,
}

/// Room that a reader needs, used again for every window and by one reader after another.
#[derive(Debug)]
pub struct Room {
    separators: Separators,
    view: Box<View>,
}

impl Default for Room {
    #[expect(
        clippy::large_stack_arrays,
        reason = "made on the heap by the optimiser, once an object by anything else"
    )]
    fn default() -> Self {
        Self { separators: Separators::new(), view: Box::new([0; VIEW_BYTES]) }
    }
}

#[cfg(test)]
mod tests;
