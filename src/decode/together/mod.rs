//! Several gzip inputs at once on one thread.
//!
//! Inflating one input is a chain: where a code word ends says where the next one begins. A processor that works on one
//! such chain waits most of the time; with three of them it does three times as much between two waits. Nothing in here
//! decides what an input is: what is unusual or wrong in any way is left, and libdeflate, or the streaming inflater, says
//! what it is. Text counts only when its checksum is right.

mod codes;
#[cfg(target_arch = "x86_64")]
mod x86;

use codes::{DISTANCES, END_OF_BLOCK, SYMBOLS, Tables, Words};

use super::inflate::GZIP_MAGIC;
use super::libdeflate::crc32;

/// Inputs that are inflated at once: with a fourth there are more numbers at work than registers.
pub(super) const MOST: usize = 3;
/// Bytes that may be read beyond an input's end.
pub(super) const INPUT_SLACK: usize = 64;
/// Bytes of room beyond a text that have to be there for its last steps.
pub(super) const TEXT_SLACK: usize = 1024;

/// Whether this machine gains by it: it takes AVX-512, whose processors gather scattered bits at once as well.
pub(super) fn is_of_use() -> bool {
    #[cfg(target_arch = "x86_64")]
    return x86::is_there();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// The tables of all streams, kept for the next inputs.
pub(super) struct Together([Box<Tables>; MOST]);

impl Default for Together {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Box::new(Tables::new())))
    }
}

/// One of the inputs.
pub(super) struct Task<'a> {
    /// As stored, and [`INPUT_SLACK`] bytes more.
    pub(super) stored: &'a [u8],
    /// Where its text goes, with [`TEXT_SLACK`] bytes more.
    pub(super) text: &'a mut [u8],
    /// How long the text is; `None` when it is to be inflated in another way.
    pub(super) length: Option<usize>,
}

impl Together {
    /// Inflates up to [`MOST`] inputs at once; the others are left.
    pub(super) fn inflate(&mut self, tasks: &mut [Task<'_>]) {
        let mut places: Vec<&mut Option<usize>> = Vec::new();
        let mut streams: Vec<Stream<'_>> = Vec::new();
        for (task, tables) in tasks.iter_mut().zip(&mut self.0) {
            let mut stream = Stream::new(task.stored, task.text, tables);
            if stream.member_header().and_then(|()| stream.next_block()).is_some() {
                places.push(&mut task.length);
                streams.push(stream);
            }
        }
        while !streams.is_empty() {
            let (index, over) = match blocks(&mut streams) {
                Ok(index) => match streams[index].next_block() {
                    Some(true) => continue,
                    Some(false) => (index, Some(streams[index].at)),
                    None => (index, None),
                },
                Err(index) => (index, None),
            };
            streams.remove(index);
            *places.remove(index) = over;
        }
    }
}

/// Goes on until a block of one stream is over, or one is at fault: gives which.
fn blocks(streams: &mut [Stream<'_>]) -> Result<usize, usize> {
    #[cfg(target_arch = "x86_64")]
    if x86::is_there() {
        return x86::blocks(streams);
    }
    let _ = streams;
    Err(0)
}

/// Bits of a block's header that may be looked at at once.
const PEEKED_BITS: u32 = 48;

/// An input on its way.
struct Stream<'a> {
    input: &'a [u8],
    /// Bits of the input before the slack.
    end: usize,
    /// The next bit.
    bit: usize,
    text: &'a mut [u8],
    /// Where the next byte goes.
    at: usize,
    /// Where the text of this member begins.
    start: usize,
    /// Where the text begins that is not in the checksum yet.
    unchecked: usize,
    checksum: u32,
    /// The block is the last one of its member.
    is_last: bool,
    tables: &'a mut Tables,
}

impl<'a> Stream<'a> {
    fn new(input: &'a [u8], text: &'a mut [u8], tables: &'a mut Tables) -> Self {
        let end = input.len().saturating_sub(INPUT_SLACK) * 8;
        Self { input, end, bit: 0, text, at: 0, start: 0, unchecked: 0, checksum: 0, is_last: false, tables }
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

    /// Reads the header of a member (RFC 1952, 2.3), none of whose optional parts AWS writes.
    fn member_header(&mut self) -> Option<()> {
        let [magic, 0x8b, 8, 0, ..] = *self.rest()?.first_chunk::<10>()? else { return None };
        self.bit += 10 * 8;
        (self.start, self.unchecked, self.checksum, self.is_last) = (self.at, self.at, 0, false);
        (magic == GZIP_MAGIC).then_some(())
    }

    /// Reads the header of the next block, and of the next member when one is over. `Some(false)`: there is no more.
    fn next_block(&mut self) -> Option<bool> {
        loop {
            self.checksum = crc32(self.checksum, &self.text[self.unchecked..self.at]);
            self.unchecked = self.at;
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
        let length = self.at - self.start;
        if u32::from_le_bytes([a, b, c, d]) != self.checksum || u32::from_le_bytes(size) as usize != length {
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
