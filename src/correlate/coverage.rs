//! When there are records of each interface, `NODATA` and `SKIPDATA` included, in slices of ten minutes.
//!
//! Ten minutes are the longest aggregation interval: an interface that is logged has a record in every slice. Refuses to
//! know what the records say.

use super::Span;
use super::interface::InterfaceIndex;
use super::selection::LONGEST_RECORD_SECONDS;

/// The longest aggregation interval (VPC User Guide, "Flow log records").
pub const COVERAGE_SLICE_SECONDS: i64 = 600;

/// Slices in one word.
const WORD: i64 = 64;

/// Slices with records, by interface.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// By [`InterfaceIndex`].
    interfaces: Vec<Slices>,
    words: usize,
    limit: usize,
    given_up: bool,
}

/// The slices of one interface: words of 64 slices since the epoch, in time order, each with a bit for each slice.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Slices(pub Vec<(i64, u64)>);

impl Slices {
    /// Takes note of a slice; `true` when that takes another word.
    fn mark(&mut self, slice: i64) -> bool {
        let (word, bit) = (slice.div_euclid(WORD), 1_u64 << slice.rem_euclid(WORD));
        if let Some((last, bits)) = self.0.last_mut()
            && *last == word
        {
            *bits |= bit;
            return false;
        }
        match self.0.binary_search_by_key(&word, |(known, _)| *known) {
            Ok(at) => {
                self.0[at].1 |= bit;
                false
            }
            Err(at) => {
                self.0.insert(at, (word, bit));
                true
            }
        }
    }

    /// Adds the slices of another time or source.
    pub fn merge(&mut self, other: &Self) {
        for (word, bits) in &other.0 {
            match self.0.binary_search_by_key(word, |(known, _)| *known) {
                Ok(at) => self.0[at].1 |= bits,
                Err(at) => self.0.insert(at, (*word, *bits)),
            }
        }
    }

    /// The last slice with a record.
    #[must_use]
    pub fn last(&self) -> Option<i64> {
        let (word, bits) = self.0.iter().rev().find(|(_, bits)| *bits != 0)?;
        Some(word * WORD + i64::from(bits.ilog2()))
    }

    /// Whether there is a record in a slice.
    #[must_use]
    pub fn contains(&self, slice: i64) -> bool {
        let word = self.0.binary_search_by_key(&slice.div_euclid(WORD), |(known, _)| *known);
        word.is_ok_and(|at| self.0[at].1 >> slice.rem_euclid(WORD) & 1 == 1)
    }
}

impl Coverage {
    /// Nothing; `limit` bytes may be taken.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Takes note of a record.
    pub(super) fn record(&mut self, interface: InterfaceIndex, span: Span) {
        if self.given_up {
            return;
        }
        let at = interface.0 as usize;
        if at >= self.interfaces.len() {
            self.interfaces.resize_with(at + 1, Slices::default);
        }
        let slices = &mut self.interfaces[at];
        let first = span.start.0.div_euclid(COVERAGE_SLICE_SECONDS);
        let last = span.end.0.div_euclid(COVERAGE_SLICE_SECONDS);
        self.words += usize::from(slices.mark(first));
        if last != first {
            // A record longer than any aggregation interval says nothing of the time between its ends.
            if span.end.0.saturating_sub(span.start.0) <= LONGEST_RECORD_SECONDS {
                (first + 1..last).for_each(|slice| self.words += usize::from(slices.mark(slice)));
            }
            self.words += usize::from(slices.mark(last));
        }
        if self.words * size_of::<(i64, u64)>() + self.interfaces.len() * size_of::<Slices>() > self.limit {
            *self = Self { given_up: true, ..Self::default() };
        }
    }

    /// The numbers under which interfaces are known from now on.
    pub(super) fn renumber(&mut self, renumbered: &[InterfaceIndex]) {
        let mut interfaces = vec![Slices::default(); self.interfaces.len()];
        for (old, slices) in std::mem::take(&mut self.interfaces).into_iter().enumerate() {
            let at = renumbered.get(old).map_or(old, |new| new.0 as usize);
            if at >= interfaces.len() {
                interfaces.resize_with(at + 1, Slices::default);
            }
            interfaces[at] = slices;
        }
        self.interfaces = interfaces;
    }

    /// Whether there was no room for it.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// The interfaces with records, and their slices.
    pub fn iter(&self) -> impl Iterator<Item = (InterfaceIndex, &Slices)> {
        let known = (0..).map(InterfaceIndex).zip(&self.interfaces);
        known.filter(|(_, slices)| !slices.0.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Timestamp;

    fn span(start: i64, end: i64) -> Span {
        Span { start: Timestamp(start), end: Timestamp(end) }
    }

    #[test]
    fn records_in_any_order_mark_the_slices_of_both_their_ends() {
        let mut spans =
            vec![span(0, 59), span(599, 600), span(40_000, 40_059), span(-1, -1), span(1_200, 1_259)];
        spans.extend([span(5_999, 6_660), span(60_000, 69_000)]);
        let marked = |spans: &[Span]| {
            let mut coverage = Coverage::new(1 << 20);
            for span in spans {
                coverage.record(InterfaceIndex(2), *span);
            }
            let (index, slices) = coverage.iter().next().expect("one interface");
            assert_eq!((index, coverage.iter().count()), (InterfaceIndex(2), 1));
            slices.clone()
        };
        let slices = marked(&spans);
        let there: Vec<i64> = (-70..140).filter(|slice| slices.contains(*slice)).collect();
        // The record of eleven minutes covers the slice between; one of hours says nothing of them.
        assert_eq!(there, [-1, 0, 1, 2, 9, 10, 11, 66, 100, 115]);
        assert_eq!(slices.last(), Some(115));
        spans.reverse();
        assert_eq!(marked(&spans), slices);
    }

    #[test]
    fn two_times_put_together_are_the_whole() {
        let (mut a, mut b, mut whole) = (Slices::default(), Slices::default(), Slices::default());
        for slice in [5, 70, 6, 300] {
            a.mark(slice);
            whole.mark(slice);
        }
        for slice in [6, 64, 1_000] {
            b.mark(slice);
            whole.mark(slice);
        }
        a.merge(&b);
        assert_eq!(a, whole);
    }

    #[test]
    fn without_room_nothing_is_claimed() {
        let mut coverage = Coverage::new(200);
        (0..100).for_each(|interface| coverage.record(InterfaceIndex(interface), span(0, 59)));
        assert!(coverage.is_given_up() && coverage.iter().next().is_none());
    }
}
