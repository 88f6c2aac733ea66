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
    /// The position before each token, moved by one: 0, then one behind each space.
    starts: [u16; MAX_COLUMNS + 1],
    count: usize,
}

impl Ends {
    /// Finds them; `None` for a line of almost 64 KiB or more, of too many tokens, or with an empty token.
    #[inline]
    pub(super) fn find(line: &[u8]) -> Option<Self> {
        let length = u16::try_from(line.len() + 1).ok()?;
        let mut found = Self { starts: [0; MAX_COLUMNS + 1], count: 0 };
        let mut empty = false;
        let mut words = line.chunks_exact(8);
        let mut base = 1_u16;
        for word in &mut words {
            let mut spaces = zero_bytes(word_at(word, 0)? ^ (ONES * 0x20));
            while spaces != 0 {
                #[expect(clippy::cast_possible_truncation, reason = "at most 7")]
                found.add(base + (spaces.trailing_zeros() / 8) as u16, &mut empty)?;
                spaces &= spaces - 1;
            }
            base += 8;
        }
        for (at, byte) in (base..).zip(words.remainder()) {
            if *byte == b' ' {
                found.add(at, &mut empty)?;
            }
        }
        found.add(length, &mut empty)?;
        (!empty).then_some(found)
    }

    #[inline]
    fn add(&mut self, next_start: u16, empty: &mut bool) -> Option<()> {
        *empty |= next_start - *self.starts.get(self.count)? < 2;
        self.count += 1;
        *self.starts.get_mut(self.count)? = next_start;
        Some(())
    }

    /// Number of tokens.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.count
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

    /// Its value as a dotted IPv4 address, if 16 bytes can be loaded and it is one.
    #[inline]
    pub(super) fn ipv4(&self) -> Option<Ipv4Addr> {
        if !(7..=15).contains(&self.len) {
            return None;
        }
        let (low, high) = (word_at(self.rest, 0)?, word_at(self.rest, 8)?);
        let text = u128::from(high) << 64 | u128::from(low);
        let inside = (1_u32 << self.len) - 1;
        let dots = byte_mask(zero_bytes(low ^ (ONES * 0x2e)), zero_bytes(high ^ (ONES * 0x2e))) & inside;
        let digits = byte_mask(digit_bytes(low), digit_bytes(high)) & inside;
        if dots | digits != inside || dots.count_ones() != 3 {
            return None;
        }
        let first = dots.trailing_zeros();
        let second = (dots & (dots - 1)).trailing_zeros();
        let third = 31 - dots.leading_zeros();
        #[expect(clippy::cast_possible_truncation, reason = "at most 15")]
        let end = self.len as u32;
        let a = octet(text, 0, first)?;
        let b = octet(text, first + 1, second)?;
        let c = octet(text, second + 1, third)?;
        let d = octet(text, third + 1, end)?;
        Some(Ipv4Addr::from(a << 24 | b << 16 | c << 8 | d))
    }
}

const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

#[inline]
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
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
    !((value & !HIGHS) + ONES * 118 | value) & HIGHS
}

/// Sixteen high bits as sixteen bits, the first byte lowest.
#[inline]
fn byte_mask(low: u64, high: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "eight bits are left")]
    let gather = |bits: u64| ((bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32;
    gather(low) | gather(high) << 8
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

/// One to three digits between `from` and `to`, up to 255, without a leading zero.
#[inline]
fn octet(text: u128, from: u32, to: u32) -> Option<u32> {
    let len = to - from;
    if !(1..=3).contains(&len) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "three bytes are wanted")]
    let digits = (text >> (8 * from)) as u32;
    let aligned = (digits << (8 * (3 - len))) & 0x000f_0f0f;
    let value = (aligned & 0xff) * 100 + (aligned >> 8 & 0xff) * 10 + (aligned >> 16);
    let leading_zero = len > 1 && digits & 0x0f == 0;
    (value <= 255 && !leading_zero).then_some(value)
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
            let found = Ends::find(text.as_bytes());
            prop_assert_eq!(found.is_some(), single);
            if let Some(found) = found {
                let tokens: Vec<_> = (0..found.len()).map(|at| found.token(text.as_bytes(), at).bytes()).collect();
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
