//! Records delivered twice: two flow logs on one interface, an object read twice.
//!
//! A record's identity is a 64-bit hash of everything that describes the flow and its window, looked up among the
//! records with about the same `start`. Two different records are taken for one with a chance of about 10⁻⁹ in a
//! run of fifty million.

use hashbrown::HashMap;

/// Seconds of `start` that share one set.
const SLICE_SECONDS: i64 = 256;

/// Emptied sets kept for the slices to come.
const KEPT: usize = 4;

/// Slots of the smallest set: a quiet network's year has a hundred thousand slices with a few records each.
const SMALLEST: usize = 16;

/// The identities of the records seen, by time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Slice of time → place of its set.
    places: HashMap<i64, usize>,
    sets: Vec<Identities>,
    /// Places whose slice was forgotten, their sets emptied: memory that is at hand needs no growing into.
    free: Vec<usize>,
    /// The slice used last; records come in runs.
    last: Option<(i64, usize)>,
    slots: usize,
}

impl Seen {
    /// Remembers a record; `false` when it was there already.
    #[inline]
    pub(super) fn insert(&mut self, start: i64, identity: u64) -> bool {
        let place = self.place(start);
        let set = &mut self.sets[place];
        if set.len * 2 >= set.slots.len() {
            self.slots += set.grow();
        }
        set.insert(identity)
    }

    /// Looks where a record would be, so that several such places are on their way from memory at once.
    #[inline]
    pub(super) fn touch(&mut self, start: i64, identity: u64) -> u64 {
        let place = self.place(start);
        self.sets[place].first_slot(identity)
    }

    #[inline]
    fn place(&mut self, start: i64) -> usize {
        let slice = start.div_euclid(SLICE_SECONDS);
        match self.last {
            Some((last, place)) if last == slice => place,
            _ => self.other_place(slice),
        }
    }

    fn other_place(&mut self, slice: i64) -> usize {
        let place = *self.places.entry(slice).or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.sets.push(Identities::default());
                self.sets.len() - 1
            })
        });
        self.last = Some((slice, place));
        place
    }

    /// Forgets the records that started before this moment: no copy of them can come any more. `true` if any were
    /// forgotten.
    pub(super) fn forget_before(&mut self, start: i64) -> bool {
        let (mut freed, mut forgotten) = (0, false);
        let (sets, free) = (&mut self.sets, &mut self.free);
        self.places.retain(|slice, place| {
            let keep = (*slice + 1) * SLICE_SECONDS > start;
            if !keep {
                let set = &mut sets[*place];
                if free.len() < KEPT {
                    forgotten = true;
                    set.clear();
                } else {
                    freed += std::mem::take(set).slots.len();
                }
                free.push(*place);
            }
            keep
        });
        self.last = None;
        self.slots -= freed;
        forgotten || freed > 0
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.slots * size_of::<u64>()
    }
}

/// A set of 64-bit hashes: open addressing at most half full, and nothing but the hashes themselves, since every
/// record of the input comes by here and most of them miss the cache.
#[derive(Debug, Default)]
struct Identities {
    /// A power of two of slots; 0 is free.
    slots: Vec<u64>,
    len: usize,
}

impl Identities {
    #[inline]
    fn first_slot(&self, identity: u64) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let at = identity as usize & self.slots.len().wrapping_sub(1);
        self.slots.get(at).copied().unwrap_or(0)
    }

    #[inline]
    fn insert(&mut self, identity: u64) -> bool {
        let identity = identity.max(1);
        let mask = self.slots.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let mut at = identity as usize & mask;
        loop {
            match self.slots[at & mask] {
                0 => {
                    self.slots[at & mask] = identity;
                    self.len += 1;
                    return true;
                }
                known if known == identity => return false,
                _ => at += 1,
            }
        }
    }

    fn clear(&mut self) {
        self.slots.fill(0);
        self.len = 0;
    }

    /// Doubles the slots; gives how many there are more.
    fn grow(&mut self) -> usize {
        let size = (self.slots.len() * 2).max(SMALLEST);
        let full = std::mem::replace(&mut self.slots, vec![0; size]);
        self.len = 0;
        for identity in full.iter().filter(|identity| **identity != 0) {
            self.insert(*identity);
        }
        size - full.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_grows_keeps_what_it_had() {
        let mut seen = Seen::default();
        // Hashes that collide in their lower bits, and the one that stands for a free slot.
        let identities = || (0..2_000_u64).map(|n| (n << 20) | (n % 7));
        assert!(identities().all(|identity| seen.insert(1000, identity)));
        assert!(!identities().any(|identity| seen.insert(1000, identity)));
    }

    #[test]
    fn a_second_copy_is_known_until_it_is_forgotten() {
        let mut seen = Seen::default();
        assert!(seen.insert(1000, 7) && seen.insert(1000, 8) && seen.insert(5000, 7));
        assert!(!seen.insert(1000, 7) && !seen.insert(5000, 7));
        assert!(seen.forget_before(4000) && !seen.forget_before(4000));
        assert!(!seen.insert(5000, 7) && seen.insert(1000, 7));
    }
}
