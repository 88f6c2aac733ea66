//! Records delivered twice: two flow logs on one interface, an object read twice.
//!
//! A record's identity is a 64-bit hash of everything that describes the flow and its window, looked up among the
//! records with about the same `start`. Two different records are taken for one with a chance of about 10⁻⁹ in a
//! run of fifty million.

use hashbrown::{HashMap, HashTable};

/// Seconds of `start` that share one set.
const SLICE_SECONDS: i64 = 256;

/// The identities of the records seen, by time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    slices: HashMap<i64, HashTable<u64>>,
    /// The slice used last, taken out of the map.
    current: (i64, HashTable<u64>),
    len: usize,
}

impl Seen {
    /// Remembers a record; `false` when it was there already.
    #[inline]
    pub(super) fn insert(&mut self, start: i64, identity: u64) -> bool {
        let slice = start.div_euclid(SLICE_SECONDS);
        if slice != self.current.0 {
            let table = self.slices.remove(&slice).unwrap_or_default();
            let (previous, full) = std::mem::replace(&mut self.current, (slice, table));
            self.slices.insert(previous, full);
        }
        let table = &mut self.current.1;
        let fresh = match table.entry(identity, |known| *known == identity, |known| *known) {
            hashbrown::hash_table::Entry::Occupied(_) => false,
            hashbrown::hash_table::Entry::Vacant(place) => {
                place.insert(identity);
                true
            }
        };
        self.len += usize::from(fresh);
        fresh
    }

    /// Forgets the records that started before this moment: no copy of them can come any more. `true` if any were
    /// forgotten.
    pub(super) fn forget_before(&mut self, start: i64) -> bool {
        let mut forgotten = 0;
        self.slices.retain(|slice, table| {
            let keep = (slice + 1) * SLICE_SECONDS > start;
            forgotten += if keep { 0 } else { table.len() };
            keep
        });
        self.len -= forgotten;
        forgotten > 0
    }

    /// Number of identities held.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_copy_is_known_until_it_is_forgotten() {
        let mut seen = Seen::default();
        assert!(seen.insert(1000, 7) && seen.insert(1000, 8) && seen.insert(5000, 7));
        assert!(!seen.insert(1000, 7) && !seen.insert(5000, 7));
        assert_eq!(seen.len(), 3);
        seen.forget_before(4000);
        assert_eq!(seen.len(), 1);
        assert!(!seen.insert(5000, 7) && seen.insert(1000, 7));
    }
}
