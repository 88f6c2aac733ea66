//! The Huffman codes of a block, from the lengths of their words to tables (RFC 1951, 3.2.2, 3.2.5).
//!
//! A look-up gives all that one step needs: up to two literals and a length after them, as far as they fit in the bits
//! looked up. What does not fit, and what ends a block, has an entry that no ordinary step accepts; [`Words`] reads that.

#![expect(clippy::cast_possible_truncation, reason = "numbers of a few bits, taken from words of many")]

/// Bits looked up for literals and lengths: with ten, the tables of three streams stay in the nearest cache.
pub(super) const SYMBOL_BITS: u32 = 10;
/// Bits looked up for distances.
pub(super) const DISTANCE_BITS: u32 = 8;
/// The longest match.
pub(super) const LONGEST_MATCH: usize = 258;

/// Symbols for literals and lengths in a code, and for distances; the last two of either mean nothing.
pub(super) const SYMBOLS: usize = 288;
pub(super) const DISTANCES: usize = 32;
/// The symbol that ends a block.
pub(super) const END_OF_BLOCK: usize = 256;

/// The first of the lengths that each symbol above 256 stands for, and how many bits say which; 0 means nothing.
const LENGTHS: [(u16, u8); 31] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
    (0, 0),
    (0, 0),
];

/// The longest code word.
const LONGEST_WORD: usize = 15;

/// What a symbol stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    Literal(u8),
    EndOfBlock,
    /// A length, or a distance: the first one, and how many bits that follow are added to it.
    From(u16, u8),
    Invalid,
}

/// What a symbol of the code for literals and lengths stands for.
pub(super) fn symbol(number: usize) -> Symbol {
    match u8::try_from(number) {
        Ok(byte) => Symbol::Literal(byte),
        Err(_) if number == END_OF_BLOCK => Symbol::EndOfBlock,
        Err(_) => LENGTHS.get(number - END_OF_BLOCK - 1).map_or(Symbol::Invalid, |&range| from(range)),
    }
}

/// What a symbol of the code for distances stands for.
pub(super) fn distance(number: usize) -> Symbol {
    // From the fifth on, two symbols have each number of bits.
    let bits = (number as u8 / 2).saturating_sub(1);
    match number {
        0..4 => from((number as u16 + 1, 0)),
        4..30 => from((((2 + number as u16 % 2) << bits) + 1, bits)),
        _ => Symbol::Invalid,
    }
}

fn from((first, bits): (u16, u8)) -> Symbol {
    if first == 0 { Symbol::Invalid } else { Symbol::From(first, bits) }
}

/// What one step does before its distance.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Step {
    /// Bits that all of it takes, those that are added to the length among them.
    pub(super) bits: u8,
    /// Literals at the beginning, at most two.
    pub(super) literals: u8,
    /// The first of the lengths; 0: there is none, and no distance either.
    pub(super) length: u16,
    /// Which of the bits are added to the length.
    pub(super) added: u16,
    pub(super) bytes: [u8; 2],
}

impl Step {
    /// Longer than any length: not an ordinary step.
    const ODD: Self = Self { bits: 0, literals: 0, length: 0x8000, added: 0, bytes: [0, u8::MAX] };

    /// Of one symbol with a word of so many bits, which stand in the second byte until [`join_steps`] has seen them.
    fn of(number: usize, word: u8) -> Self {
        match symbol(number) {
            Symbol::Literal(byte) => {
                Self { bits: word, literals: 1, length: 0, added: 0, bytes: [byte, word] }
            }
            Symbol::From(length, bits) => Self {
                bits: word + bits,
                literals: 0,
                length,
                added: ((1 << bits) - 1) << word,
                bytes: [0, word],
            },
            Symbol::EndOfBlock | Symbol::Invalid => Self::ODD,
        }
    }

    fn to_bits(self) -> u64 {
        let Self { bits, literals, length, added, bytes: [first, second] } = self;
        let [length_low, length_high] = length.to_le_bytes();
        let [added_low, added_high] = added.to_le_bytes();
        u64::from_le_bytes([bits, literals, length_low, length_high, added_low, added_high, first, second])
    }

    fn from_bits(all: u64) -> Self {
        let [bits, literals, length_low, length_high, added_low, added_high, first, second] =
            all.to_le_bytes();
        Self {
            bits,
            literals,
            length: u16::from_le_bytes([length_low, length_high]),
            added: u16::from_le_bytes([added_low, added_high]),
            bytes: [first, second],
        }
    }
}

/// A distance.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Distance {
    /// Bits that it takes, with those that are added.
    pub(super) bits: u8,
    /// The first of the distances.
    pub(super) first: u16,
    /// Which of the bits are added to it.
    pub(super) added: u32,
}

impl Distance {
    /// Shorter than any length: not an ordinary step.
    const ODD: Self = Self { bits: 0, first: 0, added: 0 };
    /// Of a step without a length: takes nothing, and points at bytes that were written long before.
    const NONE: Self = Self { bits: 0, first: 256, added: 0 };

    fn of(number: usize, word: u8) -> Self {
        match distance(number) {
            Symbol::From(first, bits) => Self { bits: word + bits, first, added: ((1 << bits) - 1) << word },
            _ => Self::ODD,
        }
    }
}

/// The tables of a block.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) steps: [Step; 1 << SYMBOL_BITS],
    /// By the bits looked up; the last one is of steps without a length.
    pub(super) distances: [Distance; (1 << DISTANCE_BITS) + 1],
    pub(super) symbol_words: Words<SYMBOLS>,
    pub(super) distance_words: Words<DISTANCES>,
}

impl Tables {
    pub(super) fn new() -> Self {
        let mut distances = [Distance::ODD; (1 << DISTANCE_BITS) + 1];
        distances[1 << DISTANCE_BITS] = Distance::NONE;
        Self {
            steps: [Step::ODD; 1 << SYMBOL_BITS],
            distances,
            symbol_words: Words::NONE,
            distance_words: Words::NONE,
        }
    }

    /// Makes them of the lengths of all words; `None` when these are no code.
    pub(super) fn fill(&mut self, symbols: &[u8], distances: &[u8]) -> Option<()> {
        self.symbol_words.fill(symbols, &mut self.steps, Step::ODD, Step::of)?;
        join_steps(&mut self.steps);
        let table = &mut self.distances[..1 << DISTANCE_BITS];
        self.distance_words.fill(distances, table, Distance::ODD, Distance::of)
    }
}

/// Makes one step of a literal and what follows it, where both are within the bits looked up.
///
/// On whole entries as numbers, so that a compiler can do several at once: there are a thousand for every block.
fn join_steps(steps: &mut [Step; 1 << SYMBOL_BITS]) {
    let single = steps.map(Step::to_bits);
    for (index, step) in steps.iter_mut().enumerate() {
        let first = single[index];
        let word = first & 0xf;
        let second = single[index >> word];
        let is_literal = (first >> 8) & 0xff_ffff == 1;
        let fits = word + (second >> 56) <= u64::from(SYMBOL_BITS);
        let both = ((second & 0xffff_ffff) + word + 0x100)
            | (second & 0xffff_0000_0000) << word
            | (first & 0x00ff_0000_0000_0000)
            | (second & 0x00ff_0000_0000_0000) << 8;
        *step = Step::from_bits(if is_literal & fits { both } else { first });
    }
}

/// The words of a code in the order of their lengths, to read what no table has.
#[derive(Debug)]
pub(super) struct Words<const N: usize> {
    /// How many words have each length.
    count: [u16; LONGEST_WORD + 1],
    /// The symbols, by the length of their words and then by number.
    symbols: [u16; N],
}

impl<const N: usize> Words<N> {
    pub(super) const NONE: Self = Self { count: [0; LONGEST_WORD + 1], symbols: [0; N] };

    /// Takes the lengths of the words of all symbols, 0 for none, and fills a table for the words that fit in it. The
    /// length of the table is a power of two. `None` when the lengths are no code, or not a complete one of two words and
    /// more.
    pub(super) fn fill<T: Copy>(
        &mut self,
        lengths: &[u8],
        table: &mut [T],
        odd: T,
        entry: impl Fn(usize, u8) -> T,
    ) -> Option<()> {
        self.sort(lengths)?;
        let words: u16 = self.count.iter().sum();
        if words <= 1 {
            // One word of one bit stands alone in some blocks; its other half means nothing.
            (words == self.count[1]).then_some(())?;
            table.fill(odd);
        }
        let mut symbols = self.symbols.iter();
        let mut word = 0;
        let mut size = 2;
        for (length, &count) in (1..).zip(&self.count[1..]) {
            for &symbol in symbols.by_ref().take(usize::from(count)) {
                table[word] = entry(usize::from(symbol), length);
                word = following(word, size);
            }
            if size == table.len() {
                break;
            }
            // What was filled so far, words of up to this length, repeats for either value of the next bit.
            table.copy_within(..size, size);
            size *= 2;
        }
        // Longer words begin with what is left. Not all are longer: that would be more words than there are symbols.
        while word != 0 {
            table[word] = odd;
            word = following(word, size);
        }
        Some(())
    }

    fn sort(&mut self, lengths: &[u8]) -> Option<()> {
        self.count.fill(0);
        for &length in lengths {
            self.count[usize::from(length)] += 1;
        }
        self.count[0] = 0;
        let mut first = [0; LONGEST_WORD + 2];
        let mut space = 0_u32;
        for length in 1..=LONGEST_WORD {
            first[length + 1] = first[length] + self.count[length];
            space += u32::from(self.count[length]) << (LONGEST_WORD - length);
        }
        for (number, &length) in (0..).zip(lengths) {
            if length > 0 {
                let place = &mut first[usize::from(length)];
                self.symbols[usize::from(*place)] = number;
                *place += 1;
            }
        }
        let words: u16 = self.count.iter().sum();
        (space == 1 << LONGEST_WORD || (words <= 1 && space < 1 << LONGEST_WORD)).then_some(())
    }

    /// The symbol whose word the bits begin with, and the length of that word.
    pub(super) fn read(&self, bits: u64) -> Option<(usize, u32)> {
        let (mut word, mut first, mut index) = (0_usize, 0_usize, 0_usize);
        for length in 1..=LONGEST_WORD {
            let count = usize::from(self.count[length]);
            word |= (bits >> (length - 1)) as usize & 1;
            if word < first + count {
                return Some((usize::from(self.symbols[index + word - first]), length as u32));
            }
            index += count;
            first = (first + count) << 1;
            word <<= 1;
        }
        None
    }
}

/// The word after one, in a code whose words are read from their last bit on; 0 after the last one.
fn following(word: usize, size: usize) -> usize {
    let zeros = !word & (size - 1);
    if zeros == 0 {
        return 0;
    }
    let bit = 1 << zeros.ilog2();
    (word & (bit - 1)) | bit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1951, 3.2.5, at its corners.
    #[test]
    fn symbols_stand_for_what_the_rfc_says() {
        assert_eq!(symbol(65), Symbol::Literal(b'A'));
        assert_eq!(symbol(256), Symbol::EndOfBlock);
        let lengths = [(257, 3, 0), (264, 10, 0), (265, 11, 1), (284, 227, 5), (285, 258, 0)];
        for (number, first, bits) in lengths {
            assert_eq!(symbol(number), Symbol::From(first, bits));
        }
        let distances = [(0, 1, 0), (3, 4, 0), (4, 5, 1), (5, 7, 1), (6, 9, 2), (29, 24_577, 13)];
        for (number, first, bits) in distances {
            assert_eq!(distance(number), Symbol::From(first, bits));
        }
        for invalid in [symbol(286), symbol(287), distance(30), distance(31)] {
            assert_eq!(invalid, Symbol::Invalid);
        }
    }

    fn fill(lengths: &[u8]) -> Option<[(usize, u8); 8]> {
        let mut table = [(usize::MAX, 0); 8];
        let mut words = Words::<8>::NONE;
        words.fill(lengths, &mut table, (usize::MAX, 0), |symbol, length| (symbol, length))?;
        for (bits, &(symbol, length)) in (0..).zip(&table) {
            let read = words.read(bits);
            assert!(length == 0 || read == Some((symbol, length.into())), "{bits}: {read:?}");
        }
        Some(table)
    }

    /// RFC 1951, 3.2.2: the words of its example, read from the last bit on.
    #[test]
    fn a_table_has_the_words_that_fit() {
        let table = fill(&[3, 3, 3, 3, 3, 2, 4, 4]).expect("a code");
        let (f, a, h_or_g) = ((5, 2), (0, 3), (usize::MAX, 0));
        assert_eq!([table[0b000], table[0b100], table[0b010], table[0b111]], [f, f, a, h_or_g]);
    }

    #[test]
    fn lengths_that_are_no_code_are_refused() {
        assert!(fill(&[1, 1, 1]).is_none(), "too many words");
        assert!(fill(&[2, 2, 2]).is_none(), "too few");
        assert!(fill(&[2]).is_none(), "one alone has one bit");
        let alone = fill(&[0, 1]).expect("one alone");
        assert_eq!([alone[0], alone[1]], [(1, 1), (usize::MAX, 0)]);
        assert_eq!(fill(&[0, 0]), Some([(usize::MAX, 0); 8]));
    }
}
