//! Stretches of event time and how a range is cut into slices that are asked for side by side. Refuses to know events.

use crate::net::Timestamp;

/// Slices that a range is cut into, unless they would be shorter or longer than …
const SLICES: i64 = 16;
/// … this many seconds …
const SHORTEST_SLICE_SECONDS: i64 = 60;
/// … or this many.
const LONGEST_SLICE_SECONDS: i64 = 600;

/// Event timestamps (a record's `start`) from the first to the last second, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeRange {
    /// First second.
    pub from: Timestamp,
    /// Last second.
    pub to: Timestamp,
}

/// An interface of which the accepted records matter, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// `eni-…`; empty for formats without `interface-id`: then every record of the spans is needed.
    pub interface_id: String,
    /// May overlap and come in any order.
    pub spans: Vec<TimeRange>,
}

impl TimeRange {
    /// First millisecond and last millisecond, as `FilterLogEvents` takes them: both are inclusive.
    pub(super) fn milliseconds(self) -> (i64, i64) {
        (self.from.0.saturating_mul(1000), self.to.0.saturating_mul(1000).saturating_add(999))
    }

    /// Whether an event with this timestamp in milliseconds lies in it.
    pub(super) fn holds(self, milliseconds: i64) -> bool {
        let (first, last) = self.milliseconds();
        (first..=last).contains(&milliseconds)
    }

    pub(super) fn overlaps(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }

    /// Two halves; `None` when it is a single second.
    pub(super) fn halves(self) -> Option<(Self, Self)> {
        let seconds = self.seconds();
        (seconds > 1).then(|| {
            let middle = self.from.plus_seconds(seconds / 2);
            (Self { to: middle.plus_seconds(-1), ..self }, Self { from: middle, ..self })
        })
    }

    fn seconds(self) -> i64 {
        self.to.seconds_since(self.from).saturating_add(1)
    }
}

/// Cuts disjoint ranges, which are in time order, into slices: disjoint, in time order, together exactly the ranges.
pub(super) fn slices(ranges: &[TimeRange]) -> Vec<TimeRange> {
    let total = ranges.iter().fold(0_i64, |total, range| total.saturating_add(range.seconds()));
    let length = (total / SLICES).clamp(SHORTEST_SLICE_SECONDS, LONGEST_SLICE_SECONDS);
    let mut slices = Vec::new();
    for range in ranges {
        let mut from = range.from;
        while from <= range.to {
            let to = from.plus_seconds(length - 1).min(range.to);
            slices.push(TimeRange { from, to });
            from = to.plus_seconds(1);
        }
    }
    slices
}

/// The same moments as disjoint ranges in time order.
pub(super) fn union(mut ranges: Vec<TimeRange>) -> Vec<TimeRange> {
    ranges.retain(|range| range.from <= range.to);
    ranges.sort_unstable();
    let mut union: Vec<TimeRange> = Vec::new();
    for range in ranges {
        match union.last_mut() {
            Some(last) if range.from <= last.to.plus_seconds(1) => last.to = last.to.max(range.to),
            _ => union.push(range),
        }
    }
    union
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(from: i64, to: i64) -> TimeRange {
        TimeRange { from: Timestamp(from), to: Timestamp(to) }
    }

    proptest! {
        /// A millisecond in two slices is an event counted twice; one in none is an event lost.
        #[test]
        fn every_millisecond_of_the_ranges_is_in_exactly_one_slice(
            spans in prop::collection::vec((0_i64..20_000, 0_i64..4_000), 0..8),
            events in prop::collection::vec(0_i64..25_000_000, 0..200),
        ) {
            let spans: Vec<_> = spans.iter().map(|(from, length)| range(*from, from + length)).collect();
            let slices = slices(&union(spans.clone()));
            prop_assert!(slices.windows(2).all(|pair| pair[0].to < pair[1].from));
            let borders = spans.iter().flat_map(|span| {
                let (first, last) = span.milliseconds();
                [first - 1, first, last, last + 1]
            });
            let inner = slices.iter().flat_map(|slice| [slice.milliseconds().0, slice.milliseconds().1]);
            for event in events.iter().copied().chain(borders).chain(inner) {
                let wanted = spans.iter().any(|span| span.holds(event));
                let times = slices.iter().filter(|slice| slice.holds(event)).count();
                prop_assert_eq!(times, usize::from(wanted), "event at {} ms", event);
            }
        }

        #[test]
        fn halves_are_the_whole(from in -10_i64..10, length in 0_i64..50) {
            let whole = range(from, from + length);
            match whole.halves() {
                None => prop_assert_eq!(length, 0),
                Some((early, late)) => {
                    prop_assert_eq!((early.from, late.to), (whole.from, whole.to));
                    prop_assert_eq!(early.to.plus_seconds(1), late.from);
                    prop_assert!(early.from <= early.to && late.from <= late.to);
                }
            }
        }
    }

    #[test]
    fn a_range_is_cut_into_slices_of_one_to_ten_minutes() {
        let lengths = |to| {
            let slices = slices(&[range(0, to)]);
            (slices.len(), slices[0].to.0 + 1)
        };
        assert_eq!(lengths(3599), (16, 225));
        assert_eq!(lengths(59), (1, 60));
        assert_eq!(lengths(119), (2, 60));
        assert_eq!(lengths(86_399), (144, 600));
    }
}
