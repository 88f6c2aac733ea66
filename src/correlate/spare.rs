//! Emptied lists for those to come: growing copies, leaves pieces of all sizes behind, and new pages cost more than old
//! ones.

/// The most lists kept.
const MOST: usize = 64;

/// Lists without content, and a bound on what they take.
#[derive(Debug)]
pub(super) struct Spare<T> {
    lists: Vec<Vec<T>>,
    bytes: usize,
    limit: usize,
}

impl<T> Spare<T> {
    /// None yet; they may take `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { lists: Vec::new(), bytes: 0, limit }
    }

    /// An empty list that is to become about as long as `like`.
    pub(super) fn list(&mut self, like: usize) -> Vec<T> {
        match self.lists.pop() {
            Some(list) => {
                self.bytes -= list.capacity() * size_of::<T>();
                list
            }
            None => Vec::with_capacity(like + like / 8),
        }
    }

    /// Keeps the memory of a list that is done with.
    pub(super) fn keep(&mut self, mut list: Vec<T>) {
        let bytes = list.capacity() * size_of::<T>();
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
