//! Many short names in little memory: one after the other, each once, known by their numbers.

use hashbrown::HashTable;

use super::hash::name_hash;

/// Stands for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameIndex(pub(super) u32);

/// Distinct names in the order in which they came.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    /// Where each name ends.
    ends: Vec<u32>,
    table: HashTable<u32>,
}

impl Names {
    pub(super) fn get(&self, index: NameIndex) -> &[u8] {
        nth(&self.bytes, &self.ends, index.0)
    }

    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<NameIndex> {
        self.find_hashed(name, name_hash(name))
    }

    /// The same with the name's hash at hand.
    #[inline]
    pub(super) fn find_hashed(&self, name: &[u8], hash: u64) -> Option<NameIndex> {
        self.table.find(hash, |at| self.get(NameIndex(*at)) == name).map(|at| NameIndex(*at))
    }

    /// Adds a name that is not there; `None` when there is no number left for it.
    pub(super) fn add(&mut self, name: &[u8]) -> Option<NameIndex> {
        let index = u32::try_from(self.ends.len()).ok()?;
        let end = u32::try_from(self.bytes.len() + name.len()).ok()?;
        self.bytes.extend_from_slice(name);
        self.ends.push(end);
        let (bytes, ends) = (&self.bytes, &self.ends);
        self.table.insert_unique(name_hash(name), index, |at| name_hash(nth(bytes, ends, *at)));
        Some(NameIndex(index))
    }

    /// Of what was said of one thing the first in alphabetical order is kept.
    #[inline]
    pub(super) fn learn(&mut self, known: &mut Option<NameIndex>, said: Option<&[u8]>) {
        let Some(said) = said else { return };
        if known.is_none_or(|known| said < self.get(known)) {
            *known = self.find(said).or_else(|| self.add(said));
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.capacity() + (self.ends.capacity() + self.table.capacity() * 3 / 2) * size_of::<u32>()
    }
}

fn nth<'a>(bytes: &'a [u8], ends: &[u32], index: u32) -> &'a [u8] {
    let index = index as usize;
    let start = index.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[start as usize..ends[index] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_number_and_little_memory() {
        let mut names = Names::default();
        let name = |n: u32| format!("eni-0{n:016x}");
        for n in 0..10_000 {
            assert_eq!(names.find(name(n).as_bytes()), None);
            assert_eq!(names.add(name(n).as_bytes()), Some(NameIndex(n)));
        }
        for n in 0..10_000 {
            assert_eq!(names.find(name(n).as_bytes()), Some(NameIndex(n)));
            assert_eq!(names.get(NameIndex(n)), name(n).as_bytes());
        }
        assert!(names.bytes() < 10_000 * 21 * 3, "{}", names.bytes());
    }

    #[test]
    fn the_first_in_alphabetical_order_is_learnt() {
        let mut names = Names::default();
        let mut known = None;
        for said in
            [None, Some(&b"subnet-2"[..]), Some(b"subnet-3"), None, Some(b"subnet-1"), Some(b"subnet-2")]
        {
            names.learn(&mut known, said);
        }
        assert_eq!(known.map(|known| names.get(known)), Some(&b"subnet-1"[..]));
    }
}
