//! Numbers and addresses from ASCII, eight bytes at a time and without branches that depend on the digits.
//!
//! A flow log is mostly digits, and their count changes from field to field: a loop over bytes spends its time on
//! branches guessed wrong. The plain versions below take what is left; property tests hold both to the standard library.

use std::net::Ipv4Addr;

/// One token and what follows it in its line, so that whole words can be loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    rest: &'a [u8],
    len: usize,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The most columns whose tokens are found in one pass; AWS has 54 fields.
pub(super) const MAX_COLUMNS: usize = 64;

/// Where the tokens of a line end, if single spaces stand between them and there are at most [`MAX_COLUMNS`].
#[derive(Debug)]
pub(super) struct Ends {
    /// Where each token begins, and where one after the last would. Longer than needed so that no index can miss it.
    starts: [u16; 2 * MAX_COLUMNS],
}

impl Ends {
    /// Nothing found yet.
    #[inline]
    pub(super) fn new() -> Self {
        Self { starts: [0; 2 * MAX_COLUMNS] }
    }

    /// Finds the ends in a line and gives their number; `None` for a line of almost 64 KiB or more, of too many tokens,
    /// or with an empty token.
    #[inline]
    pub(super) fn find(&mut self, line: &[u8]) -> Option<usize> {
        let length = u16::try_from(line.len() + 1).ok()?;
        let starts = &mut self.starts;
        let mut count = 0;
        let mut previous = 0;
        let mut empty = false;
        let mut found = |next: u16| {
            empty |= next - previous < 2;
            previous = next;
            count += 1;
            starts[count % (2 * MAX_COLUMNS)] = next;
        };
        // Sixty-four bytes at a time: the number of spaces changes from word to word, less so from block to block.
        let mut blocks = line.chunks_exact(64);
        let mut base = 1_u16;
        for block in &mut blocks {
            let mut spaces = space_bits(block);
            while spaces != 0 {
                #[expect(clippy::cast_possible_truncation, reason = "at most 63")]
                found(base + spaces.trailing_zeros() as u16);
                spaces &= spaces - 1;
            }
            base += 64;
        }
        let rest = blocks.remainder();
        let mut spaces = space_bits(rest);
        for (at, byte) in rest.iter().enumerate().skip(rest.len() / 8 * 8) {
            spaces |= u64::from(*byte == b' ') << at;
        }
        while spaces != 0 {
            #[expect(clippy::cast_possible_truncation, reason = "at most 63")]
            found(base + spaces.trailing_zeros() as u16);
            spaces &= spaces - 1;
        }
        found(length);
        (!empty && count <= MAX_COLUMNS).then_some(count)
    }

    /// One token of the line they were found in.
    #[inline]
    pub(super) fn token<'a>(&self, line: &'a [u8], column: usize) -> Token<'a> {
        let (start, next) = (usize::from(self.starts[column]), usize::from(self.starts[column + 1]));
        Token { rest: &line[start..], len: next - start - 1 }
    }
}

impl<'a> Token<'a> {
    /// The token that begins at `start`: up to the next space or the end of the line.
    #[inline]
    pub(super) fn at(line: &'a [u8], start: usize) -> Self {
        let rest = &line[start..];
        let mut len = 0;
        while let Some(word) = word_at(rest, len) {
            let spaces = zero_bytes(word ^ (ONES * 0x20));
            if spaces != 0 {
                return Self { rest, len: len + spaces.trailing_zeros() as usize / 8 };
            }
            len += 8;
        }
        while rest.get(len).is_some_and(|byte| *byte != b' ') {
            len += 1;
        }
        Self { rest, len }
    }

    /// A token that stands alone.
    pub(super) fn whole(text: &'a [u8]) -> Self {
        Self { rest: text, len: text.len() }
    }

    /// Its bytes.
    #[inline]
    pub(super) fn bytes(&self) -> &'a [u8] {
        &self.rest[..self.len]
    }

    /// Its length in bytes.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether it is `-`.
    #[inline]
    pub(super) fn is_dash(&self) -> bool {
        self.len == 1 && self.rest[0] == b'-'
    }

    /// Its value as a decimal number of at most 16 digits; `None` when it is anything else.
    #[inline]
    pub(super) fn short_number(&self) -> Option<u64> {
        match self.len {
            1..=8 => eight_digits(word_at(self.rest, 0)?, self.len),
            9..=16 => {
                let high = eight_digits(word_at(self.rest, 0)?, 8)?;
                let low = eight_digits(word_at(self.rest, 8)?, self.len - 8)?;
                Some(high * POWERS[self.len - 8] + low)
            }
            _ => None,
        }
    }

    /// Its value as a dotted IPv4 address, if four bytes can be loaded at each part and it is one.
    #[inline]
    pub(super) fn ipv4(&self) -> Option<Ipv4Addr> {
        let mut bits = 0;
        let mut at = 0;
        for part in 0..4 {
            let (value, len) = octet(*self.rest.get(at..)?.first_chunk()?)?;
            bits = bits << 8 | value;
            at += len;
            if part < 3 {
                if self.rest.get(at) != Some(&b'.') {
                    return None;
                }
                at += 1;
            }
        }
        (at == self.len).then(|| Ipv4Addr::from(bits))
    }
}

const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

#[inline]
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// One bit for each byte that is a space, over the whole words of at most 64 bytes.
#[inline]
fn space_bits(block: &[u8]) -> u64 {
    let words = block.chunks_exact(8).filter_map(|word| word_at(word, 0)).zip((0..64).step_by(8));
    words.fold(0, |bits, (word, shift)| {
        let spaces = zero_bytes(word ^ (ONES * 0x20));
        // Gathers the eight high bits in the upper byte (a multiplication adds them up without carries).
        bits | ((spaces >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << shift
    })
}

/// The high bit of every byte that is zero, exact up to and including the first one.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    // Exact for every byte, not only for the first: no borrow crosses bytes.
    !(((word & !HIGHS) + !HIGHS) | word) & HIGHS
}

/// The high bit of every byte that is an ASCII digit.
#[inline]
fn digit_bytes(word: u64) -> u64 {
    let value = word ^ ZEROS;
    // Below ten: no high bit, and adding 118 does not carry into it.
    !(((value & !HIGHS) + ONES * 118) | value) & HIGHS
}

/// The number of one to eight digits at the beginning of a word.
#[inline]
fn eight_digits(word: u64, len: usize) -> Option<u64> {
    // Move the digits to the end and fill up with zeros in front.
    let unused = 64 - 8 * len as u64;
    let text = if unused == 0 { word } else { word << unused | ZEROS >> (64 - unused) };
    if digit_bytes(text) != HIGHS {
        return None;
    }
    let value = text ^ ZEROS;
    let pairs = (value * 10 + (value >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// One to three digits at the beginning of four bytes, up to 255 and without a leading zero: value and length.
#[inline]
fn octet(text: [u8; 4]) -> Option<(u32, usize)> {
    let word = u32::from_le_bytes(text) ^ 0x3030_3030;
    // The high bit of every byte that is no digit, exact up to the first.
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
        fn numbers_are_those_of_the_standard_library(text in "[0-9]{1,18}|[0-9]{0,9}[/:x-][0-9]{0,9}", after in " {0,17}") {
            let line = format!("{text}{after}");
            let token = Token::at(line.as_bytes(), 0);
            prop_assert_eq!(token.bytes(), text.as_bytes());
            match token.short_number() {
                Some(value) => prop_assert_eq!(Ok(value), text.parse()),
                None => prop_assert!(text.parse::<u64>().is_err() || text.len() > 16 || line.len() < 16),
            }
        }

        #[test]
        fn addresses_are_those_of_the_standard_library(
            text in "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}|[0-9./]{7,15}",
        ) {
            let line = format!("{text} 0123456789abcdef");
            let token = Token::at(line.as_bytes(), 0);
            prop_assert_eq!(token.ipv4(), text.parse().ok());
        }

        #[test]
        fn every_address_reads_back(bits in any::<u32>()) {
            let line = format!("{} 0123456789abcdef", Ipv4Addr::from(bits));
            prop_assert_eq!(Token::at(line.as_bytes(), 0).ipv4(), Some(Ipv4Addr::from(bits)));
        }

        #[test]
        fn tokens_are_those_of_a_split(text in "[a ]{0,60}|(a{1,9} ){0,70}a") {
            let expected: Vec<&str> = text.split(' ').collect();
            let single = !expected.contains(&"") && expected.len() <= MAX_COLUMNS;
            let mut found = Ends::new();
            let count = found.find(text.as_bytes());
            prop_assert_eq!(count.is_some(), single);
            if let Some(count) = count {
                let tokens: Vec<_> = (0..count).map(|at| found.token(text.as_bytes(), at).bytes()).collect();
                prop_assert_eq!(tokens, expected.iter().map(|token| token.as_bytes()).collect::<Vec<_>>());
            }
        }

        #[test]
        fn tokens_end_at_the_first_space(text in proptest::collection::vec(any::<u8>(), 0..40), start in 0_usize..40) {
            let start = start.min(text.len());
            let expected = text[start..].split(|byte| *byte == b' ').next().unwrap_or_default();
            prop_assert_eq!(Token::at(&text, start).bytes(), expected);
        }
    }
}
