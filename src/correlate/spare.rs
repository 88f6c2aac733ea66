//! Emptied lists for those to come: growing copies, leaves pieces of all sizes behind, and new pages cost more than old
//! ones.

/// The most lists kept.
const MOST: usize = 64;

/// A list whose memory can be used again.
pub(super) trait Reusable {
    /// What one of its elements takes.
    const ELEMENT_BYTES: usize;

    /// An empty list with room for so many elements.
    fn with_room_for(elements: usize) -> Self;

    /// Elements there is room for.
    fn capacity(&self) -> usize;

    /// Forgets the elements.
    fn clear(&mut self);
}

impl<T> Reusable for Vec<T> {
    const ELEMENT_BYTES: usize = size_of::<T>();

    fn with_room_for(elements: usize) -> Self {
        Self::with_capacity(elements)
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }

    fn clear(&mut self) {
        self.clear();
    }
}

/// Lists without content, and a bound on what they take.
#[derive(Debug)]
pub(super) struct Spare<L> {
    lists: Vec<L>,
    bytes: usize,
    limit: usize,
}

impl<L: Reusable> Spare<L> {
    /// None yet; they may take `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { lists: Vec::new(), bytes: 0, limit }
    }

    /// An empty list that is to become about as long as `like`.
    pub(super) fn list(&mut self, like: usize) -> L {
        match self.lists.pop() {
            Some(list) => {
                self.bytes -= list.capacity() * L::ELEMENT_BYTES;
                list
            }
            None => L::with_room_for(like + like / 8),
        }
    }

    /// Keeps the memory of a list that is done with.
    pub(super) fn keep(&mut self, mut list: L) {
        let bytes = list.capacity() * L::ELEMENT_BYTES;
        if self.lists.len() < MOST && self.bytes + bytes <= self.limit {
            list.clear();
            self.bytes += bytes;
            self.lists.push(list);
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_empty_and_no_more_are_kept_than_may_be() {
        let mut spare = Spare::new(100 * size_of::<u32>());
        for _ in 0..3 {
            let mut list: Vec<u32> = Vec::with_capacity(40);
            list.push(7);
            spare.keep(list);
        }
        assert_eq!(spare.bytes(), 2 * 40 * size_of::<u32>());
        let list = spare.list(8);
        assert!(list.is_empty() && list.capacity() == 40);
        let _ = spare.list(8);
        assert!((8..40).contains(&spare.list(8).capacity()));
        assert_eq!(spare.bytes(), 0);
    }
}
