//! One gzip input on its way: its members, the headers of its blocks, and the text that is not handed on yet.

#![expect(clippy::cast_possible_truncation, reason = "numbers of a few bits, taken from words of many")]

use memchr::memchr;

use super::super::inflate::GZIP_MAGIC;
use super::super::libdeflate::crc32;
use super::codes::{DISTANCES, END_OF_BLOCK, SYMBOLS, Tables, Words};

/// How far back a match may point (RFC 1951, 3.2.5).
pub(super) const WINDOW: usize = 32 * 1024;
/// Bytes that may be read beyond an input's end.
pub(in super::super) const INPUT_SLACK: usize = 64;
/// Bytes of room behind the last byte before which steps are made.
pub(super) const TEXT_SLACK: usize = 2048;

/// Bits of a block's header that may be looked at at once.
const PEEKED_BITS: u32 = 48;

/// An input on its way.
pub(super) struct Stream<'a> {
    pub(super) input: &'a [u8],
    /// Bits of the input before the slack.
    pub(super) end: usize,
    /// The next bit.
    pub(super) bit: usize,
    /// What matches may point to, what is not handed on yet, and room for more.
    pub(super) text: &'a mut [u8],
    /// Where the next byte goes.
    pub(super) at: usize,
    /// Where the text of this member begins, as far as it is still there.
    pub(super) start: usize,
    pub(super) tables: &'a mut Tables,
    /// Where the text begins that is not handed on.
    fresh: usize,
    /// Where this member's text begins that is not in the checksum.
    unchecked: usize,
    /// Bytes that were there before those in `text`.
    gone: u64,
    /// Bytes before this member.
    before: u64,
    /// Of what this member has before that.
    checksum: u32,
    /// The block is the last one of its member.
    is_last: bool,
}

/// How much of an input's text was handed on, to find that place again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Handed {
    /// Bytes of whole members, whose checksums were right.
    pub(in super::super) before: u64,
    /// Bytes of the member after these, and their checksum.
    pub(in super::super) bytes: u64,
    pub(in super::super) checksum: u32,
}

impl Handed {
    /// Before anything was.
    pub(in super::super) const NOTHING: Self = Self { before: 0, bytes: 0, checksum: 0 };
}

impl<'a> Stream<'a> {
    /// Of an input with its slack. The room for text is longer than a window and the slack of text.
    pub(super) fn new(input: &'a [u8], text: &'a mut [u8], tables: &'a mut Tables) -> Self {
        let end = input.len().saturating_sub(INPUT_SLACK) * 8;
        Self {
            input,
            end,
            bit: 0,
            text,
            at: 0,
            start: 0,
            tables,
            fresh: 0,
            unchecked: 0,
            gone: 0,
            before: 0,
            checksum: 0,
            is_last: false,
        }
    }

    /// The text that is not handed on yet.
    pub(super) fn fresh(&self) -> &[u8] {
        &self.text[self.fresh..self.at]
    }

    /// Bytes of text made so far.
    pub(super) fn made(&self) -> u64 {
        self.gone + self.at as u64
    }

    pub(super) fn handed(&self) -> Handed {
        let handed = self.gone + self.fresh as u64;
        match handed.checked_sub(self.before) {
            Some(bytes) => Handed { before: self.before, bytes, checksum: self.checksum },
            None => Handed { before: handed, ..Handed::NOTHING },
        }
    }

    /// So many bytes of the fresh text are handed on.
    pub(super) fn hand_on(&mut self, bytes: usize) {
        self.fresh += bytes;
        if let Some(text) = self.text.get(self.unchecked..self.fresh) {
            self.checksum = crc32(self.checksum, text);
            self.unchecked = self.fresh;
        }
    }

    /// Makes room by forgetting what was handed on and no match can point to any more.
    pub(super) fn make_room(&mut self) {
        let kept = self.fresh.min(self.at.saturating_sub(WINDOW));
        self.text.copy_within(kept..self.at, 0);
        self.gone += kept as u64;
        self.at -= kept;
        self.fresh -= kept;
        self.unchecked -= kept;
        self.start = self.start.saturating_sub(kept);
    }

    /// The next bits, of which at least [`PEEKED_BITS`] are there; `None` beyond the end.
    fn peek(&self) -> Option<u64> {
        if self.bit > self.end {
            return None;
        }
        let bytes = self.input.get(self.bit / 8..)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes) >> (self.bit % 8))
    }

    fn bits(&mut self, count: u32) -> Option<usize> {
        debug_assert!(count <= PEEKED_BITS);
        let bits = self.peek()? & ((1 << count) - 1);
        self.bit += count as usize;
        Some(bits as usize)
    }

    /// The rest of the input without its slack, from the next whole byte on.
    fn rest(&mut self) -> Option<&'a [u8]> {
        self.bit = self.bit.next_multiple_of(8);
        self.input.get(self.bit / 8..self.end / 8)
    }

    /// Reads the header of a member (RFC 1952, 2.3), with a name in it or a comment, but nothing rarer.
    pub(super) fn member_header(&mut self) -> Option<()> {
        const NAME: u8 = 1 << 3;
        const COMMENT: u8 = 1 << 4;
        let [GZIP_MAGIC, 0x8b, 8, flags, ..] = *self.rest()?.first_chunk::<10>()? else { return None };
        self.bit += 10 * 8;
        for text in [NAME, COMMENT] {
            if flags & text != 0 {
                self.bit += (memchr(0, self.rest()?)? + 1) * 8;
            }
        }
        (self.start, self.unchecked, self.before, self.checksum) = (self.at, self.at, self.made(), 0);
        self.is_last = false;
        (flags & !(NAME | COMMENT) == 0).then_some(())
    }

    /// Reads the header of the next block, and of the next member when one is over. `Some(false)`: there is no more.
    pub(super) fn next_block(&mut self) -> Option<bool> {
        loop {
            if self.is_last && !self.next_member()? {
                return Some(false);
            }
            self.is_last = self.bits(1)? == 1;
            match self.bits(2)? {
                0 => self.stored_block()?,
                1 => {
                    self.fixed_code()?;
                    return Some(true);
                }
                2 => {
                    self.own_code()?;
                    return Some(true);
                }
                _ => return None,
            }
        }
    }

    /// Reads the end of a member, and the header of the next one. `Some(false)`: only padding follows.
    fn next_member(&mut self) -> Option<bool> {
        let [a, b, c, d, size @ ..] = *self.rest()?.first_chunk::<8>()?;
        self.bit += 8 * 8;
        let checksum = crc32(self.checksum, &self.text[self.unchecked..self.at]);
        let length = (self.made() - self.before) as u32;
        if u32::from_le_bytes([a, b, c, d]) != checksum || u32::from_le_bytes(size) != length {
            return None;
        }
        let rest = self.rest()?;
        let Some(padding) = rest.iter().position(|byte| *byte != 0) else { return Some(false) };
        self.bit += padding * 8;
        self.member_header()?;
        Some(true)
    }

    fn stored_block(&mut self) -> Option<()> {
        let rest = self.rest()?;
        let (&[a, b, c, d], rest) = rest.split_first_chunk()?;
        let length = u16::from_le_bytes([a, b]);
        if u16::from_le_bytes([c, d]) != !length {
            return None;
        }
        let bytes = rest.get(..usize::from(length))?;
        self.text.get_mut(self.at..self.at + bytes.len())?.copy_from_slice(bytes);
        self.at += bytes.len();
        self.bit += (4 + bytes.len()) * 8;
        Some(())
    }

    fn fixed_code(&mut self) -> Option<()> {
        let mut lengths = [8; SYMBOLS];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.tables.fill(&lengths, &[5; DISTANCES])
    }

    /// Reads the lengths of a block's own code, which are in a code themselves (RFC 1951, 3.2.7).
    fn own_code(&mut self) -> Option<()> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let symbols = self.bits(5)? + 257;
        let distances = self.bits(5)? + 1;
        let known = self.bits(4)? + 4;
        if symbols > SYMBOLS - 2 || distances > DISTANCES - 2 {
            return None;
        }
        let mut lengths = [0; 19];
        for &symbol in ORDER.iter().take(known) {
            lengths[symbol] = self.bits(3)? as u8;
        }
        let mut table = [(0_u8, 0_u8); 1 << 7];
        let mut words = Words::<19>::NONE;
        words.fill(&lengths, &mut table, (0, 0), |symbol, length| (symbol as u8, length))?;
        // A repetition may be longer than what is left, which is then no code.
        let mut lengths = [0; SYMBOLS + DISTANCES + 138];
        let mut count = 0;
        while count < symbols + distances {
            let (symbol, bits) = table[self.peek()? as usize & (table.len() - 1)];
            self.bit += usize::from(bits);
            let (length, times) = match (symbol, bits) {
                (_, 0) => return None,
                (0..16, _) => (symbol, 1),
                (16, _) => (lengths[..count].last().copied()?, 3 + self.bits(2)?),
                (17, _) => (0, 3 + self.bits(3)?),
                _ => (0, 11 + self.bits(7)?),
            };
            lengths[count..count + times].fill(length);
            count += times;
        }
        if count > symbols + distances || lengths[END_OF_BLOCK] == 0 {
            return None;
        }
        self.tables.fill(&lengths[..symbols], &lengths[symbols..count])
    }
}
