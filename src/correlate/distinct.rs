//! How many of many hashes are distinct, counted at once when all are there: parts that fit the cache, each in a small
//! table, instead of one look-up for each into a large one.

/// Hashes that are counted in one table: it fits the second-level cache.
const FITS: usize = 4096;

/// Parts of one division.
const PARTS: usize = 256;

/// Divisions by 8 bits each after which a 64-bit hash is used up.
const LEVELS: usize = 8;

/// Words of a sieve, 32 KiB: it fits the nearest cache.
const SIEVE_WORDS: usize = 4096;

/// Fewer hashes are quicker to look up in a table than a sieve is cleared.
const FEW: usize = 512;

/// Numbers of a division's space that is kept for the next count.
const KEPT: usize = 1 << 21;

/// Counts distinct hashes; keeps the memory it needs for that.
#[derive(Debug, Default)]
pub(super) struct DistinctCounter {
    /// The hashes of each level of division, part by part.
    levels: [Vec<u64>; LEVELS],
    /// Open addressing, at most half full; 0 is free.
    slots: Vec<u64>,
    /// Three bits for each hash.
    sieve: Vec<u64>,
}

impl DistinctCounter {
    /// How many distinct hashes these lists hold together. 0 and 1 are taken for the same.
    pub(super) fn count(&mut self, lists: &[&[u64]]) -> u64 {
        let distinct = self.count_at(lists, 0);
        for space in &mut self.levels {
            if space.capacity() > KEPT {
                *space = Vec::new();
            }
        }
        distinct
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let numbers = self.levels.iter().map(Vec::capacity).sum::<usize>()
            + self.slots.capacity()
            + self.sieve.capacity();
        numbers * size_of::<u64>()
    }

    fn count_at(&mut self, lists: &[&[u64]], level: usize) -> u64 {
        let total = lists.iter().map(|list| list.len()).sum();
        if total <= FITS {
            // Copies are rare: nearly always it is enough to see that there are none.
            let is_plain = total > FEW && self.are_distinct(lists);
            return if is_plain { total as u64 } else { self.in_table(lists, total) };
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
            distinct += self.count_at(&[&divided[from..end]], level + 1);
            from = end;
        }
        self.levels[level] = divided;
        distinct
    }

    /// Whether no hash can be there twice; `false` where that would have to be looked up: of 4096 different hashes, one in
    /// ten such lists has one whose three bits others have set.
    fn are_distinct(&mut self, lists: &[&[u64]]) -> bool {
        self.sieve.clear();
        self.sieve.resize(SIEVE_WORDS, 0);
        let Some(sieve) = self.sieve.first_chunk_mut::<SIEVE_WORDS>() else { return false };
        let mut were_set = 0;
        for hash in lists.iter().copied().flatten() {
            // 0 is taken for 1 in a table.
            let hash = (*hash).max(1);
            let mut all = 1;
            for shift in [0, 18, 36] {
                let (word, bit) = ((hash >> shift >> 6) as usize % SIEVE_WORDS, hash >> shift & 63);
                all &= sieve[word] >> bit;
                sieve[word] |= 1 << bit;
            }
            were_set |= all;
        }
        were_set & 1 == 0
    }

    fn in_table(&mut self, lists: &[&[u64]], total: usize) -> u64 {
        if total < 2 {
            return total as u64;
        }
        let size = (total * 2).next_power_of_two();
        if self.slots.len() < size {
            self.slots.resize(size, 0);
        }
        let slots = &mut self.slots[..size];
        slots.fill(0);
        let (mask, shift) = (size - 1, 64 - size.trailing_zeros());
        let mut distinct = 0;
        for hash in lists.iter().copied().flatten() {
            let hash = (*hash).max(1);
            #[expect(clippy::cast_possible_truncation, reason = "fewer bits than the table has slots")]
            let mut at = (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize;
            loop {
                let known = &mut slots[at & mask];
                if *known == hash {
                    break;
                }
                if *known == 0 {
                    *known = hash;
                    distinct += 1;
                    break;
                }
                at += 1;
            }
        }
        distinct
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
        for total in [0, 1, 2, 3, 100, 513, 3000, 4096, 4097, 60_000, 1_200_000] {
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
