//! Whether any of many spans lies near another one, without looking at each.

use super::{Span, Timestamp};

/// Below this number looking at each is quicker.
const FEW: usize = 8;

/// Spans by `start`, each with the latest `end` up to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Nearby {
    spans: Vec<(Timestamp, Timestamp)>,
}

impl Nearby {
    pub(super) fn new(spans: impl Iterator<Item = Span>) -> Self {
        let mut spans: Vec<_> = spans.map(|span| (span.start, span.end)).collect();
        if spans.len() > FEW {
            spans.sort();
            let mut latest = Timestamp(i64::MIN);
            for (_, end) in &mut spans {
                latest = latest.max(*end);
                *end = latest;
            }
        }
        Self { spans }
    }

    /// Whether one of the spans lies within `seconds` of this one.
    pub(super) fn any_within(&self, span: Span, seconds: i64) -> bool {
        if self.spans.len() <= FEW {
            return self.spans.iter().any(|&(start, end)| Span { start, end }.gap(span) <= seconds);
        }
        // Of those that begin early enough, the one that ends last.
        let early = self.spans.partition_point(|(start, _)| start.seconds_since(span.end) <= seconds);
        early.checked_sub(1).is_some_and(|last| span.start.seconds_since(self.spans[last].1) <= seconds)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn says_what_looking_at_each_says(
            spans in proptest::collection::vec((0..60_i64, 0..20_i64), 0..30),
            probe in (0..80_i64, 0..20_i64),
            seconds in 0..10_i64,
        ) {
            let span = |(start, length)| Span { start: Timestamp(start), end: Timestamp(start + length) };
            let spans: Vec<_> = spans.into_iter().map(span).collect();
            let expected = spans.iter().any(|one| one.gap(span(probe)) <= seconds);
            prop_assert_eq!(Nearby::new(spans.into_iter()).any_within(span(probe), seconds), expected);
        }
    }
}
