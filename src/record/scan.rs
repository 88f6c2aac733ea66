//! Walks along a line field by field, eight bytes at a time, and reads each field on the way.
//!
//! A flow log is mostly digits, and their count changes from field to field: a loop over bytes spends its time on
//! branches guessed wrong, and finding the fields first means to look at everything twice. Whatever is unusual ends
//! the walk; the plain parser then says what it is. Property tests hold both to the same results.

use std::net::Ipv4Addr;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const ZEROS: u64 = 0x3030_3030_3030_3030;
const SPACES: u64 = 0x2020_2020_2020_2020;

const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Something that ends the walk: the plain parser is to look at the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unusual;

/// A position in a line whose fields are separated by single spaces.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a line.
    #[inline]
    pub(super) fn new(line: &'a [u8]) -> Self {
        Self { line, at: 0 }
    }

    /// Whether the field read last was the last of the line.
    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.line.len() + 1
    }

    /// Reads a number of at most 16 digits; `None` for `-`.
    #[inline]
    pub(super) fn number(&mut self) -> Result<Option<u64>, Unusual> {
        let word = self.word(self.at)?;
        let others = !digit_bytes(word) & HIGHS;
        if others == 0 {
            return self.long_number(word);
        }
        let len = others.trailing_zeros() as usize / 8;
        if byte_at(word, len) != b' ' {
            return self.dash(word);
        }
        self.at += len + 1;
        if len == 0 { Err(Unusual) } else { Ok(Some(value_of(word, len))) }
    }

    /// The same for a number that begins with these eight digits.
    #[inline]
    fn long_number(&mut self, high: u64) -> Result<Option<u64>, Unusual> {
        let word = self.word(self.at + 8)?;
        let others = !digit_bytes(word) & HIGHS;
        let len = others.trailing_zeros() as usize / 8;
        if others == 0 || byte_at(word, len) != b' ' {
            return Err(Unusual);
        }
        self.at += 8 + len + 1;
        let low = if len == 0 { 0 } else { value_of(word, len) };
        Ok(Some(value_of(high, 8) * POWERS[len] + low))
    }

    /// Reads an IPv4 address; `None` for `-`.
    #[inline]
    pub(super) fn ipv4(&mut self) -> Result<Option<Ipv4Addr>, Unusual> {
        let mut bits = 0;
        let mut at = self.at;
        for part in 0..4 {
            let four = self.line.get(at..).and_then(<[u8]>::first_chunk).ok_or(Unusual)?;
            let Some((value, len)) = octet(*four) else {
                let word = self.word(self.at)?;
                return self.dash(word);
            };
            bits = bits << 8 | value;
            at += len + 1;
            let separator = if part < 3 { b'.' } else { b' ' };
            if self.line.get(at - 1) != Some(&separator) {
                return Err(Unusual);
            }
        }
        self.at = at;
        Ok(Some(Ipv4Addr::from(bits)))
    }

    /// Reads a text; `None` for `-`.
    #[inline]
    pub(super) fn text(&mut self) -> Result<Option<&'a [u8]>, Unusual> {
        let start = self.at;
        let text = &self.line[start..self.skip()?];
        Ok((text != b"-").then_some(text))
    }

    /// Steps over a field; gives its end.
    #[inline]
    pub(super) fn skip(&mut self) -> Result<usize, Unusual> {
        let mut end = self.at;
        loop {
            let spaces = zero_bytes(self.word(end)? ^ SPACES);
            if spaces != 0 {
                end += spaces.trailing_zeros() as usize / 8;
                break;
            }
            end += 8;
        }
        let empty = end == self.at;
        self.at = end + 1;
        if empty { Err(Unusual) } else { Ok(end) }
    }

    /// A field that is nothing but `-`.
    #[cold]
    fn dash<T>(&mut self, word: u64) -> Result<Option<T>, Unusual> {
        if byte_at(word, 0) != b'-' || byte_at(word, 1) != b' ' {
            return Err(Unusual);
        }
        self.at += 2;
        Ok(None)
    }

    /// Eight bytes of the line, as if spaces followed it.
    #[inline]
    fn word(&self, at: usize) -> Result<u64, Unusual> {
        let rest = self.line.get(at..).ok_or(Unusual)?;
        Ok(rest.first_chunk().map_or_else(|| last_word(rest), |bytes| u64::from_le_bytes(*bytes)))
    }
}

/// Fewer than eight bytes, filled up with spaces.
#[inline(never)]
fn last_word(rest: &[u8]) -> u64 {
    let mut bytes = [b' '; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(bytes)
}

#[inline]
fn byte_at(word: u64, at: usize) -> u8 {
    (word >> (8 * at)).to_le_bytes()[0]
}

/// The high bit of every byte that is zero.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    // No carry crosses bytes.
    !(((word & !HIGHS) + !HIGHS) | word) & HIGHS
}

/// The high bit of every byte that is an ASCII digit.
#[inline]
fn digit_bytes(word: u64) -> u64 {
    let value = word ^ ZEROS;
    // Below ten: no high bit, and adding 118 does not carry into it.
    !(((value & !HIGHS) + ONES * 118) | value) & HIGHS
}

/// The number that one to eight digits at the beginning of a word make.
#[inline]
fn value_of(word: u64, len: usize) -> u64 {
    // The digits move to the end; what is in front of them counts as zeros.
    let value = ((word ^ ZEROS) << (64 - 8 * len)) & (ONES * 0x0f);
    let pairs = (value * 10 + (value >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}

/// One to three digits at the beginning of four bytes, up to 255 and without a leading zero: value and length.
#[inline]
pub(super) fn octet(text: [u8; 4]) -> Option<(u32, usize)> {
    let word = u32::from_le_bytes(text) ^ 0x3030_3030;
    // The high bit of every byte that is no digit.
    let others = (((word & 0x7f7f_7f7f) + 0x7676_7676) | word) & 0x8080_8080;
    let len = others.trailing_zeros() / 8;
    if !(1..=3).contains(&len) {
        return None;
    }
    let aligned = word << (8 * (4 - len));
    let value = (aligned >> 24) + (aligned >> 16 & 0xff) * 10 + (aligned >> 8 & 0xff) * 100;
    let leading_zero = len > 1 && text[0] == b'0';
    (value <= 255 && !leading_zero).then_some((value, len as usize))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_are_those_of_the_standard_library(
            text in "[0-9]{1,18}|[0-9]{0,9}[/:x-][0-9]{0,9}|-", after in "| |  ?[0-9]{0,12}",
        ) {
            let line = format!("{text}{after}");
            let first = line.split(' ').next().unwrap_or_default();
            let mut cursor = Cursor::new(line.as_bytes());
            match cursor.number() {
                Ok(Some(value)) => prop_assert_eq!(Some(value), first.parse().ok()),
                Ok(None) => prop_assert_eq!(first, "-"),
                Err(Unusual) => prop_assert!(first.parse::<u64>().is_err() || first.len() > 15),
            }
            if !after.contains(' ') && first.len() < 16 && first.parse::<u64>().is_ok() {
                prop_assert!(cursor.is_at_end());
            }
        }

        #[test]
        fn addresses_are_those_of_the_standard_library(
            text in "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}|[0-9./]{7,15}|-",
        ) {
            let line = format!("{text} next");
            match Cursor::new(line.as_bytes()).ipv4() {
                Ok(Some(address)) => prop_assert_eq!(Some(address), text.parse().ok()),
                Ok(None) => prop_assert_eq!(text, "-"),
                Err(Unusual) => prop_assert!(text.parse::<Ipv4Addr>().is_err()),
            }
        }

        #[test]
        fn every_address_reads_back(bits in any::<u32>()) {
            let line = format!("{} next", Ipv4Addr::from(bits));
            prop_assert_eq!(Cursor::new(line.as_bytes()).ipv4(), Ok(Some(Ipv4Addr::from(bits))));
        }

        #[test]
        fn texts_are_those_of_a_split(line in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b' ')], 0..60)) {
            let mut cursor = Cursor::new(&line);
            for expected in line.split(|byte| *byte == b' ') {
                let text = cursor.text();
                if expected.is_empty() {
                    prop_assert_eq!(text, Err(Unusual));
                    return Ok(());
                }
                prop_assert_eq!(text, Ok((expected != b"-").then_some(expected)));
            }
            prop_assert!(cursor.is_at_end());
        }
    }
}
