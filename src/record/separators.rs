//! Where the fields and the lines of a stretch of text end.
//!
//! Finding all of them first, 64 bytes at a time, leaves a reader of fields without a loop or a branch that depends on
//! the text. Refuses to know what a field means.

/// Text looked at in one go: the positions stay in the nearest cache.
pub(super) const WINDOW_BYTES: usize = 16 * 1024;

/// Positions that may be written beyond the last one.
pub(super) const SLACK: usize = 64;

/// The positions found in one window of text.
#[derive(Debug)]
pub(super) struct Separators {
    /// Before the first field, then of every space and line feed.
    fields: Box<Fields>,
    /// Of every line feed.
    lines: Box<Lines>,
    found: Found,
}

/// How many positions there are, and what was seen on the way. Whoever looks for them keeps this by itself: in
/// [`Separators`] it would be read and written for every block of text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    fields: usize,
    lines: usize,
    /// Two separators in a row, and whether the last byte was one.
    doubled: u64,
    after_one: u64,
}

/// Room for positions.
pub(super) type Fields = [u16; 1 + WINDOW_BYTES + SLACK];
pub(super) type Lines = [u16; WINDOW_BYTES + SLACK];

/// What stands before the first field: the position before the text.
const BEFORE: u16 = u16::MAX;

impl Separators {
    #[expect(
        clippy::large_stack_arrays,
        reason = "made on the heap by the optimiser, once an object by anything else"
    )]
    pub(super) fn new() -> Self {
        Self {
            fields: Box::new([BEFORE; 1 + WINDOW_BYTES + SLACK]),
            lines: Box::new([0; WINDOW_BYTES + SLACK]),
            found: Found::NOTHING,
        }
    }

    /// Looks at the first [`WINDOW_BYTES`] of `text`.
    pub(super) fn find(&mut self, text: &[u8]) {
        #[cfg(target_arch = "x86_64")]
        if super::x86::find(text, self) {
            return;
        }
        self.find_portably(text);
    }

    fn find_portably(&mut self, text: &[u8]) {
        let (mut found, fields, lines_found) = self.begin();
        for (nth, block) in text[..text.len().min(WINDOW_BYTES)].chunks(64).enumerate() {
            let (mut spaces, mut lines) = (0_u64, 0_u64);
            for (at, byte) in block.iter().enumerate() {
                spaces |= u64::from(*byte == b' ') << at;
                lines |= u64::from(*byte == b'\n') << at;
            }
            found.note_lines(lines_found, nth * 64, lines);
            found.note_fields(fields, nth * 64, spaces | lines);
        }
        self.end(found);
    }

    /// The position before the first field and all positions of spaces and line feeds, in order.
    #[inline]
    pub(super) fn fields(&self) -> &[u16] {
        &self.fields[..=self.found.fields]
    }

    /// The positions from the `nth` on, however many there are.
    #[inline]
    pub(super) fn fields_from(&self, nth: usize) -> &[u16; SLACK] {
        const NOTHING: [u16; SLACK] = [0; SLACK];
        self.fields.get(nth..).and_then(<[u16]>::first_chunk).unwrap_or(&NOTHING)
    }

    /// Where the fields behind a line's end begin, which is looked for from `field` on.
    pub(super) fn field_after(&self, field: usize, line_end: u16) -> usize {
        let fields = self.fields();
        let rest = fields.get(field + 1..).unwrap_or_default();
        field + rest.iter().take_while(|end| **end <= line_end).count()
    }

    /// All positions of line feeds, in order.
    #[inline]
    pub(super) fn lines(&self) -> &[u16] {
        &self.lines[..self.found.lines]
    }

    /// Nothing found yet, and room for the ends of fields and of lines.
    #[inline]
    pub(super) fn begin(&mut self) -> (Found, &mut Fields, &mut Lines) {
        (Found::NOTHING, &mut self.fields, &mut self.lines)
    }

    /// All was looked at.
    #[inline]
    pub(super) fn end(&mut self, found: Found) {
        self.found = found;
    }

    /// Whether no field is empty: no two separators stand in a row.
    #[inline]
    pub(super) fn are_single(&self) -> bool {
        self.found.doubled == 0
    }
}

impl Found {
    /// A window begins a line: a separator there is one after another.
    const NOTHING: Self = Self { fields: 0, lines: 0, doubled: 0, after_one: 1 };

    /// Watches for separators in a row.
    #[inline]
    pub(super) fn note_doubled(&mut self, mask: u64) {
        self.doubled |= mask & (mask << 1 | self.after_one);
        self.after_one = mask >> 63;
    }

    /// Takes the line feeds of the 64 bytes at `at`.
    #[inline]
    pub(super) fn note_lines(&mut self, lines: &mut Lines, at: usize, mut mask: u64) {
        // One or none, nearly always: writing what may be no position costs less than asking.
        let count = mask.count_ones() as usize;
        lines[self.lines] = position(at, mask);
        if count > 1 {
            for nth in 1..count {
                mask &= mask - 1;
                lines[self.lines + nth] = position(at, mask);
            }
        }
        self.lines += count;
    }

    /// Takes the ends of fields in the 64 bytes at `at`.
    #[inline]
    pub(super) fn note_fields(&mut self, fields: &mut Fields, at: usize, mut mask: u64) {
        self.note_doubled(mask);
        let count = mask.count_ones() as usize;
        // Nearly always few enough: writing what may be no position costs less than asking for each.
        let room = self.room(fields);
        for place in &mut room[..12] {
            *place = position(at, mask);
            mask &= mask.wrapping_sub(1);
        }
        if mask != 0 {
            for place in &mut room[12..] {
                *place = position(at, mask);
                mask &= mask.wrapping_sub(1);
            }
        }
        self.advance(count);
    }

    /// Where the next positions go.
    #[inline]
    pub(super) fn room(self, fields: &mut Fields) -> &mut [u16; SLACK] {
        let at = 1 + self.fields;
        let room = fields[at..].first_chunk_mut();
        room.unwrap_or_else(|| unreachable!("a window has no more positions than bytes"))
    }

    /// Says how many positions were put there.
    #[inline]
    pub(super) fn advance(&mut self, count: usize) {
        self.fields += count;
    }
}

/// The position of the lowest bit, in a block at `at`.
#[inline]
fn position(at: usize, mask: u64) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "a window is shorter than 64 KiB")]
    let position = at as u16 + mask.trailing_zeros() as u16;
    position
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the processor can do, the positions are those that looking at each byte gives.
        #[test]
        fn positions_are_those_of_each_byte(
            text in proptest::collection::vec(
                prop_oneof![4 => any::<u8>(), 2 => Just(b' '), 1 => Just(b'\n')], 0..700),
            long in any::<bool>(),
        ) {
            let text = if long { text.repeat(40) } else { text };
            let seen = &text[..text.len().min(WINDOW_BYTES)];
            let at = |wanted: &dyn Fn(u8) -> bool| -> Vec<usize> {
                seen.iter().enumerate().filter(|(_, byte)| wanted(**byte)).map(|(at, _)| at).collect()
            };
            let fields = at(&|byte| byte == b' ' || byte == b'\n');
            let lines = at(&|byte| byte == b'\n');
            let mut separators = Separators::new();
            for portably in [true, false] {
                if portably { separators.find_portably(&text) } else { separators.find(&text) }
                prop_assert_eq!(separators.fields()[0], BEFORE);
                let found: Vec<_> = separators.fields()[1..].iter().map(|at| usize::from(*at)).collect();
                prop_assert_eq!(&found, &fields);
                let found: Vec<_> = separators.lines().iter().map(|at| usize::from(*at)).collect();
                prop_assert_eq!(&found, &lines);
                let mut before = Some(0);
                let doubled = fields.iter().any(|at| before.replace(at + 1) == Some(*at));
                prop_assert_eq!(separators.are_single(), !doubled);
            }
        }
    }
}
