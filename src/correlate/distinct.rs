//! How many of many hashes are distinct, counted at once when all are there.
//!
//! Copies are rare: a sieve that fits the second-level cache shows which few hashes may be there twice, and another look at
//! all of them how often these are. Where many are, or there are too many hashes for that, they are divided into parts
//! with a small table each.

/// Hashes that go through one sieve.
const SIEVED: usize = 1 << 20;

/// Words of the largest sieve, 1 MiB.
const MOST_WORDS: usize = 1 << 17;

/// Words of the sieve of those that may be there twice, by 18 bits: 32 KiB, which fit the nearest cache.
const SUSPECT_WORDS: usize = 4096;

/// Of as many hashes one may be suspected of being there twice; of more, looking for them once more takes longer than
/// dividing.
const PER_SUSPECT: usize = 16;

/// Hashes that are counted in one table: it fits the second-level cache.
const FITS: usize = 4096;

/// Fewer hashes are quicker to look up in a table than a sieve is cleared.
const FEW: usize = 512;

/// Parts of one division.
const PARTS: usize = 256;

/// Divisions by 8 bits each after which a 64-bit hash is used up.
const LEVELS: usize = 8;

/// Numbers of a division's space that is kept for the next count.
const KEPT: usize = 1 << 21;

/// Counts distinct hashes; keeps the memory it needs for that.
#[derive(Debug, Default)]
pub(super) struct DistinctCounter {
    /// Words in each of which three bits are set for a hash.
    sieve: Vec<u64>,
    /// Hashes whose bits others had set, and a sieve of these.
    suspects: Vec<u64>,
    suspect_bits: Vec<u64>,
    /// The hashes of each level of division, part by part.
    levels: [Vec<u64>; LEVELS],
    table: Table,
}

impl DistinctCounter {
    /// How many distinct hashes these lists hold together. 0 and 1 are taken for the same.
    pub(super) fn count(&mut self, lists: &[&[u64]]) -> u64 {
        let distinct = self.count_at(lists, 0, false);
        for space in &mut self.levels {
            if space.capacity() > KEPT {
                *space = Vec::new();
            }
        }
        distinct
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let Self { sieve, suspects, suspect_bits, levels, table } = self;
        let numbers = levels.iter().chain([sieve, suspects, suspect_bits, &table.slots]).map(Vec::capacity);
        numbers.sum::<usize>() * size_of::<u64>()
    }

    /// `copied` where it is known that many are there twice.
    fn count_at(&mut self, lists: &[&[u64]], level: usize, mut copied: bool) -> u64 {
        let total = lists.iter().map(|list| list.len()).sum();
        if (FEW..=SIEVED).contains(&total) && !copied {
            if let Some(distinct) = self.sieved(lists, total) {
                return distinct;
            }
            copied = true;
        }
        if total <= FITS {
            return self.table.distinct(lists, total);
        }
        if level == LEVELS {
            return 1;
        }
        let shift = 56 - 8 * level;
        #[expect(clippy::cast_possible_truncation, reason = "eight bits of the hash are meant")]
        let part = |hash: u64| usize::from((hash >> shift) as u8);
        let mut ends = [0_usize; PARTS];
        for hash in lists.iter().copied().flatten() {
            ends[part(*hash)] += 1;
        }
        let mut before = 0;
        for end in &mut ends {
            before += std::mem::replace(end, before);
        }
        let mut divided = std::mem::take(&mut self.levels[level]);
        if divided.len() < total {
            divided.clear();
            divided.resize(total, 0);
        }
        for list in lists {
            for hash in *list {
                let end = &mut ends[part(*hash)];
                divided[*end] = *hash;
                *end += 1;
            }
        }
        let (mut from, mut distinct) = (0, 0);
        for end in ends {
            distinct += self.count_at(&[&divided[from..end]], level + 1, copied);
            from = end;
        }
        self.levels[level] = divided;
        distinct
    }

    /// The same where few are there twice; `None` where they may be many.
    fn sieved(&mut self, lists: &[&[u64]], total: usize) -> Option<u64> {
        // Two to four hashes for each word, eight in the largest: of the last ones some in a hundred, of all a few in a
        // thousand have bits that others have set.
        let words = (total / 4).next_power_of_two().min(MOST_WORDS);
        self.sieve.clear();
        self.sieve.resize(words, 0);
        self.suspects.clear();
        for list in lists {
            for hash in list.iter().map(|hash| (*hash).max(1)) {
                // Hashes of one part are alike in their upper bits, those of a spilled one in the lowest.
                let word = &mut self.sieve[(hash >> 18) as usize & (words - 1)];
                let bits = 1 << (hash >> 36 & 63) | 1 << (hash >> 42 & 63) | 1 << (hash >> 12 & 63);
                if *word & bits == bits {
                    if self.suspects.len() == total / PER_SUSPECT {
                        return None;
                    }
                    self.suspects.push(hash);
                }
                *word |= bits;
            }
        }
        if self.suspects.is_empty() {
            return Some(total as u64);
        }
        self.suspect_bits.clear();
        self.suspect_bits.resize(SUSPECT_WORDS, 0);
        let suspect_bits = self.suspect_bits.first_chunk_mut::<SUSPECT_WORDS>()?;
        let place = |hash: u64| ((hash >> 42) as usize % SUSPECT_WORDS, hash >> 36 & 63);
        for hash in &self.suspects {
            let (word, bit) = place(*hash);
            suspect_bits[word] |= 1 << bit;
        }
        let suspects = self.table.distinct(&[&self.suspects], self.suspects.len());
        let is_suspected = |hash: &u64| {
            let (word, bit) = place(*hash);
            suspect_bits[word] >> bit & 1 == 1
        };
        let hashes = lists.iter().copied().flatten().map(|hash| (*hash).max(1));
        let seen = hashes.filter(is_suspected).filter(|hash| self.table.has(*hash)).count() as u64;
        // Of those seen, the first of each is no copy.
        Some(total as u64 - (seen - suspects))
    }
}

/// Hashes by open addressing, at most half full; 0 is free.
#[derive(Debug, Default)]
struct Table {
    /// The first ones, as many as a power of two.
    slots: Vec<u64>,
    size: usize,
}

impl Table {
    /// Forgets all others and takes these, of which there are at most `total`: gives how many are distinct.
    fn distinct(&mut self, lists: &[&[u64]], total: usize) -> u64 {
        self.size = (total * 2).next_power_of_two();
        if self.slots.len() < self.size {
            self.slots.resize(self.size, 0);
        }
        self.slots[..self.size].fill(0);
        let mut distinct = 0;
        for hash in lists.iter().copied().flatten() {
            let hash = (*hash).max(1);
            let at = self.place(hash);
            if self.slots[at] == 0 {
                self.slots[at] = hash;
                distinct += 1;
            }
        }
        distinct
    }

    /// Whether a hash other than 0 is among those taken.
    fn has(&self, hash: u64) -> bool {
        self.slots[self.place(hash)] == hash
    }

    /// Where a hash is, or would be.
    #[inline]
    fn place(&self, hash: u64) -> usize {
        let mask = self.size - 1;
        let mut at = (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize & mask;
        while self.slots[at] != hash && self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn mixed(number: u64) -> u64 {
        (number ^ number >> 31).wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(32)
    }

    #[test]
    fn numbers_of_every_order_of_magnitude_are_counted() {
        let mut counter = DistinctCounter::default();
        for total in [0, 1, 2, 3, 100, 511, 512, 513, 3000, 4096, 4097, 60_000, 1_200_000] {
            // Every third is a copy, in another list.
            let first: Vec<_> = (0..total - total / 3).map(mixed).collect();
            let second: Vec<_> = (0..total / 3).map(mixed).collect();
            assert_eq!(counter.count(&[&first, &second]), first.len() as u64, "{total}");
        }
    }

    #[test]
    fn one_copy_among_many_is_found_wherever_it_is() {
        let mut counter = DistinctCounter::default();
        for total in [600, 4096, 50_000] {
            let hashes: Vec<_> = (0..total).map(mixed).collect();
            assert_eq!(counter.count(&[&hashes]), total, "none");
            for copy in [0, total / 2, total - 1] {
                assert_eq!(counter.count(&[&hashes, &[mixed(copy)]]), total, "{copy} of {total}");
            }
            assert_eq!(counter.count(&[&[1], &hashes[1..], &[0]]), total, "0 and 1 are one");
        }
    }

    /// Of copies there may be few, which a sieve finds, or many, which is told by dividing; some are there many times.
    #[test]
    fn any_number_of_copies_is_counted() {
        let mut counter = DistinctCounter::default();
        for total in [600, 5000, 300_000, SIEVED as u64 + 1, 2_200_000] {
            let hashes: Vec<_> = (0..total).map(mixed).collect();
            for copies in [1, 10, total / 64, total / 17, total / 15, total] {
                let copied = &hashes[..usize::try_from(copies).expect("few")];
                assert_eq!(counter.count(&[copied, &hashes]), total, "{copies} of {total}");
            }
            let often = vec![hashes[7]; 30];
            assert_eq!(counter.count(&[&often, &hashes, &often]), total, "one 61 times among {total}");
        }
    }

    /// As in one part of identities outside memory.
    #[test]
    fn hashes_alike_in_their_lowest_bits_are_sieved() {
        let mut counter = DistinctCounter::default();
        let hashes: Vec<_> = (0..300_000).map(|number| mixed(number) & !63 | 5).collect();
        assert_eq!(counter.count(&[&hashes, &hashes[..100]]), 300_000);
        assert!(counter.suspects.len() < hashes.len() / 1000, "{}", counter.suspects.len());
    }

    #[test]
    fn hashes_that_no_division_tells_apart_are_counted_too() {
        let mut counter = DistinctCounter::default();
        assert_eq!(counter.count(&[&vec![7; 10_000]]), 1);
        let alike: Vec<_> = (0..10_000_u64).map(|number| 5 << 56 | (number % 5000 + 1)).collect();
        assert_eq!(counter.count(&[&alike]), 5000);
    }

    proptest! {
        #[test]
        fn it_counts_what_a_set_holds(lists in proptest::collection::vec(proptest::collection::vec(1..500_u64, 0..200), 0..6)) {
            let set: BTreeSet<_> = lists.iter().flatten().collect();
            let lists: Vec<_> = lists.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(DistinctCounter::default().count(&lists), set.len() as u64);
        }
    }
}
