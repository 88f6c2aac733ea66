//! Runs of ordinary lines: a stretch of text at a time, with the general way for each line that is not.

use memchr::memchr;

use super::{LineReader, Sink};
use crate::record::plain::{Fields, LOOKAHEAD_BYTES, Layout, ipv4};
use crate::record::separators::Separators;
#[cfg(target_arch = "x86_64")]
use crate::record::x86;

impl LineReader {
    /// Takes lines in a row, each with its line feed but perhaps the last one; the first has this number, from 1.
    pub fn lines(&mut self, text: &[u8], first_line: u64, sink: &mut impl Sink) {
        let (mut at, mut number) = (0, first_line);
        while at < text.len() {
            if self.is_ordinary() {
                at += self.ordinary_lines(&text[at..], &mut number, sink);
            }
            // What ended the run: the last line, a long one, the first in another format.
            let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) else { return };
            let length = memchr(b'\n', rest).unwrap_or(rest.len());
            self.line(number, &rest[..length], sink);
            at += length + 1;
            number += 1;
        }
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
        self.run(text, number, sink, ipv4)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn ordinary_lines_avx2(&mut self, text: &[u8], number: &mut u64, sink: &mut impl Sink) -> usize {
        self.run(text, number, sink, |bytes, length| x86::ipv4(bytes, length))
    }

    /// Reads lines as long as they are whole and in the same format; gives the bytes read.
    #[expect(clippy::inline_always, reason = "compiled once for each set of instructions")]
    #[inline(always)]
    fn run(
        &mut self,
        text: &[u8],
        number: &mut u64,
        sink: &mut impl Sink,
        ipv4: impl Fn(&[u8; 16], usize) -> (u32, u64) + Copy,
    ) -> usize {
        let Some(layout) = self.layout else { return 0 };
        let mut separators = self.separators.take().unwrap_or_else(Separators::new);
        let mut at = 0;
        loop {
            let (read, goes_on) = self.window(&text[at..], &layout, &mut separators, number, sink, ipv4);
            at += read;
            if !goes_on || read == 0 || at >= text.len() {
                break;
            }
        }
        self.separators = Some(separators);
        at
    }

    /// Reads the whole lines of one window; gives the bytes read, and whether the format is still the same.
    #[expect(clippy::inline_always, reason = "as for run")]
    #[inline(always)]
    fn window(
        &mut self,
        text: &[u8],
        layout: &Layout,
        separators: &mut Separators,
        number: &mut u64,
        sink: &mut impl Sink,
        ipv4: impl Fn(&[u8; 16], usize) -> (u32, u64) + Copy,
    ) -> (usize, bool) {
        separators.find(text);
        let (fields, lines) = (separators.fields(), separators.lines());
        let wants_version_2 = self.default_without_header;
        let formats = self.formats_reported;
        let (mut begin, mut field) = (0, 0);
        for line_end in lines {
            let end = usize::from(*line_end);
            let has_all_columns = fields.get(field + layout.columns) == Some(line_end);
            let can_look_ahead = end + LOOKAHEAD_BYTES <= text.len();
            let record = if has_all_columns && can_look_ahead {
                let ends = &fields[field..=field + layout.columns];
                Fields { text, ends }.read(layout, ipv4)
            } else {
                None
            };
            match record {
                Some(record) if !wants_version_2 || text[begin..].starts_with(b"2 ") => {
                    sink.plain(&record);
                    field += layout.columns;
                }
                _ => {
                    self.line(*number, &text[begin..end], sink);
                    while fields.get(field + 1).is_some_and(|next| next <= line_end) {
                        field += 1;
                    }
                    if formats != self.formats_reported || !self.is_ordinary() {
                        *number += 1;
                        return (end + 1, false);
                    }
                }
            }
            begin = end + 1;
            *number += 1;
        }
        (begin, true)
    }
}
