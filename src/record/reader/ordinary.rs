//! Runs of ordinary lines: a stretch of text at a time, with the general way for each line that is not.

use memchr::memchr;

use super::{LineReader, Sink};
use crate::record::PlainRecords;
use crate::record::fields::{Arithmetic, Fields, Portable};
use crate::record::plain::{
    BEFORE_BYTES, Common, DEFAULT_LAYOUT, Layout, MOST_LINES, PlainLine, VIEW_BYTES, View,
};
use crate::record::separators::{Separators, WINDOW_BYTES};
#[cfg(target_arch = "x86_64")]
use crate::record::x86::{self, permute::Moves};

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
        let Some(layout) = self.layout else { return 0 };
        let only_version_2 = self.default_without_header;
        #[cfg(target_arch = "x86_64")]
        {
            let formats = self.formats_reported;
            if let Some(moves) = self.moves.take() {
                let (at, most) = x86::with_avx512!(self.moved_lines(text, number, sink, (&layout, &moves)));
                // Another format has its own, or none.
                if most && formats == self.formats_reported {
                    self.moves = Some(moves);
                }
                return at;
            }
            if x86::level() >= x86::Level::Avx2 {
                let way = ByFields { layout: &layout, only_version_2, arithmetic: x86::Avx2 };
                return x86::with_avx2!(self.ordinary_lines_avx2(text, number, sink, way));
            }
        }
        let way = ByFields { layout: &layout, only_version_2, arithmetic: Portable };
        self.field_by_field(text, number, sink, way)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn ordinary_lines_avx2(
        &mut self,
        text: &[u8],
        number: &mut u64,
        sink: &mut impl Sink,
        way: ByFields<'_, x86::Avx2>,
    ) -> usize {
        self.field_by_field(text, number, sink, way)
    }

    #[expect(clippy::inline_always, reason = "compiled once for each set of instructions")]
    #[inline(always)]
    fn field_by_field(
        &mut self,
        text: &[u8],
        number: &mut u64,
        sink: &mut impl Sink,
        way: ByFields<'_, impl Arithmetic>,
    ) -> usize {
        if *way.layout == DEFAULT_LAYOUT {
            // What is known beforehand need not be looked up for every field.
            return self.run(text, number, sink, ByFields { layout: &DEFAULT_LAYOUT, ..way }).0;
        }
        self.run(text, number, sink, way).0
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn moved_lines(
        &mut self,
        text: &[u8],
        number: &mut u64,
        sink: &mut impl Sink,
        (layout, moves): (&Layout, &Moves),
    ) -> (usize, bool) {
        self.run(text, number, sink, ByMoves { layout, moves })
    }

    /// Reads lines as long as they are whole and in the same format, a window at a time; gives the bytes read, and
    /// whether most lines were ordinary.
    #[expect(clippy::inline_always, reason = "compiled once for each set of instructions")]
    #[inline(always)]
    fn run(&mut self, text: &[u8], number: &mut u64, sink: &mut impl Sink, way: impl Way) -> (usize, bool) {
        let mut room = self.room.take().unwrap_or_default();
        let (mut at, mut others, first_number) = (0, 0, *number);
        while at < text.len() {
            let length = (text.len() - at).min(WINDOW_BYTES);
            let whole = at.checked_sub(BEFORE_BYTES).and_then(|from| text[from..].first_chunk());
            let view = whole.unwrap_or_else(|| {
                // At both ends of a text some of what is around it is not there.
                room.view[BEFORE_BYTES..BEFORE_BYTES + length].copy_from_slice(&text[at..at + length]);
                &*room.view
            });
            way.find(&mut room.separators, &view[BEFORE_BYTES..BEFORE_BYTES + length]);
            let window = Window { text: &text[at..at + length], view, separators: &room.separators };
            let (read, goes_on) = self.window(window, &mut room.plain, (number, &mut others), sink, way);
            at += read;
            if !goes_on || read == 0 {
                break;
            }
        }
        self.room = Some(room);
        (at, others * 2 <= *number - first_number)
    }

    /// Reads the whole lines of one window; gives the bytes read, and whether the format is still the same. Some lines
    /// are read before any is handed on: the processor works on several at once.
    #[expect(clippy::inline_always, reason = "as for run")]
    #[inline(always)]
    fn window(
        &mut self,
        window: Window<'_>,
        plain: &mut [PlainLine; MOST_LINES],
        (number, others): (&mut u64, &mut u64),
        sink: &mut impl Sink,
        way: impl Way,
    ) -> (usize, bool) {
        let Window { text, view, separators } = window;
        let line_ends = separators.lines();
        let (formats, extras) = (self.formats_reported, way.layout().extras());
        let (mut begin, mut field, mut line) = (0, 0, 0);
        while line < line_ends.len() {
            let mut count = 0;
            if separators.are_single() {
                count = way.read(window, (line, field), &mut self.common, plain);
                if count > 0 {
                    sink.plain(PlainRecords::new(plain, count, extras, view));
                }
                *number += count as u64;
                field += count * way.of_line();
                line += count;
            }
            if count > 0 {
                begin = usize::from(line_ends[line - 1]) + 1;
            }
            let Some(line_end) = line_ends.get(line).filter(|_| count < plain.len()) else { continue };
            let end = usize::from(*line_end);
            *others += 1;
            self.line(*number, &text[begin..end], sink);
            field = separators.field_after(field, *line_end);
            *number += 1;
            line += 1;
            begin = end + 1;
            if formats != self.formats_reported || !self.is_ordinary() {
                return (begin, false);
            }
        }
        (begin, true)
    }
}

/// A way to read ordinary lines.
trait Way: Copy {
    /// Finds the separators that this way goes by.
    fn find(self, separators: &mut Separators, text: &[u8]);

    /// What stands where.
    fn layout(&self) -> &Layout;

    /// Separators of a line, its line feed among them.
    fn of_line(self) -> usize;

    /// Reads ordinary lines in a row, from the `line`th of a window on, whose fields begin at `field` of the separators.
    /// Gives how many there were until one that is not ordinary, or `into` is full.
    fn read(
        self,
        window: Window<'_>,
        place: (usize, usize),
        common: &mut Common,
        into: &mut [PlainLine],
    ) -> usize;
}

/// Field by field.
#[derive(Clone, Copy)]
struct ByFields<'a, A> {
    layout: &'a Layout,
    only_version_2: bool,
    arithmetic: A,
}

impl<A: Arithmetic> Way for ByFields<'_, A> {
    #[inline]
    fn find(self, separators: &mut Separators, text: &[u8]) {
        separators.find(text);
    }

    #[inline]
    fn layout(&self) -> &Layout {
        self.layout
    }

    #[inline]
    fn of_line(self) -> usize {
        self.layout.columns
    }

    #[expect(clippy::inline_always, reason = "compiled once for each set of instructions")]
    #[inline(always)]
    fn read(
        self,
        Window { text, view, separators }: Window<'_>,
        (line, mut field): (usize, usize),
        common: &mut Common,
        into: &mut [PlainLine],
    ) -> usize {
        let fields = separators.fields();
        let mut count = 0;
        for (line_end, into) in separators.lines()[line..].iter().zip(into) {
            let ends = separators.fields_from(field);
            let (begin, end) = (usize::from(ends[0].wrapping_add(1)), usize::from(*line_end));
            // Beyond the positions found there may be others from before.
            let has_all_columns = field + self.layout.columns < fields.len()
                && ends[self.layout.columns & (ends.len() - 1)] == *line_end;
            // A carriage return or a tab would be taken for a part of the last field.
            let ends_plainly = end > begin && text[end - 1] > b' ';
            let has_version = !self.only_version_2 || text[begin..].starts_with(b"2 ");
            let is_ordinary = has_all_columns
                && ends_plainly
                && has_version
                && Fields { view, ends }.read(self.layout, common, self.arithmetic, into);
            if !is_ordinary {
                break;
            }
            field += self.layout.columns;
            count += 1;
        }
        count
    }
}

/// All fields at once.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct ByMoves<'a> {
    layout: &'a Layout,
    moves: &'a Moves,
}

#[cfg(target_arch = "x86_64")]
impl Way for ByMoves<'_> {
    #[inline]
    fn find(self, separators: &mut Separators, text: &[u8]) {
        x86::with_avx512!(x86::find_with_dots(text, separators));
    }

    #[inline]
    fn layout(&self) -> &Layout {
        self.layout
    }

    #[inline]
    fn of_line(self) -> usize {
        self.moves.of_line()
    }

    #[inline]
    fn read(
        self,
        window: Window<'_>,
        place: (usize, usize),
        common: &mut Common,
        into: &mut [PlainLine],
    ) -> usize {
        x86::with_avx512!(self.moves.read(self.layout, window.view, window.separators, place, common, into))
    }
}

/// A window of text, what surrounds it, and what separates its fields.
#[derive(Clone, Copy)]
struct Window<'a> {
    text: &'a [u8],
    view: &'a View,
    separators: &'a Separators,
}

/// Room that a reader needs, used again for every window and by one reader after another.
#[derive(Debug)]
pub struct Room {
    separators: Separators,
    view: Box<View>,
    plain: Box<[PlainLine; MOST_LINES]>,
}

impl Default for Room {
    #[expect(
        clippy::large_stack_arrays,
        reason = "made on the heap by the optimiser, once an object by anything else"
    )]
    fn default() -> Self {
        Self {
            separators: Separators::new(),
            view: Box::new([0; VIEW_BYTES]),
            plain: Box::new([PlainLine::default(); MOST_LINES]),
        }
    }
}

#[cfg(test)]
mod tests;
