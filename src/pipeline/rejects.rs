//! A first look at rejected records alone: on which interfaces and when they were, so that a source that can be asked for
//! parts need give no more than what can be evidence for them.

use std::collections::BTreeMap;

use super::ReadOptions;
use super::worker::formats;
use crate::correlate::Span;
use crate::decode::{Chunk, Decoded, Decoder, LineSink, Overlong};
use crate::net::Timestamp;
use crate::record::{Action, Field, FlowRecord, LineReader, LogFormat, Malformed, Sink};
use crate::source::Object;

/// Spans of one interface that may pile up before those that touch are made one.
const SPANS_BEFORE_MERGE: usize = 256;

/// Where and when records were rejected.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RejectedSpans {
    /// Disjoint spans in time order, by `interface-id` or the `resource-id` that stands for it.
    pub by_interface: BTreeMap<Vec<u8>, Vec<Span>>,
    /// Records seen, rejected or not.
    pub records: u64,
}

impl RejectedSpans {
    /// The end of the last span.
    #[must_use]
    pub fn last_end(&self) -> Option<Timestamp> {
        self.by_interface.values().filter_map(|spans| spans.last()).map(|span| span.end).max()
    }
}

/// Reads `object` for the rejected records that count and widens each one's capture window by `before` and `after`
/// seconds. How the reading ended comes with it: what could not be read is not in the spans.
#[must_use]
pub fn rejected_spans(
    object: &Object,
    options: &ReadOptions,
    before: i64,
    after: i64,
) -> (RejectedSpans, Decoded) {
    let mut sink = Spans { found: RejectedSpans::default(), options, before, after };
    let decoded = match object.open() {
        Ok(input) => {
            let mut lines = Lines { reader: LineReader::new(&formats(object, options)), sink: &mut sink };
            let decoded = Decoder::default().decode(input, object.size, &options.limits, &mut lines);
            lines.reader.end(lines.sink);
            decoded
        }
        Err(error) => Decoded { error: Some(format!("cannot be opened: {error}")), ..Decoded::default() },
    };
    let mut found = sink.found;
    found.by_interface.values_mut().for_each(merge);
    (found, decoded)
}

struct Lines<'a, 'b> {
    reader: LineReader,
    sink: &'a mut Spans<'b>,
}

impl LineSink for Lines<'_, '_> {
    fn chunk(&mut self, chunk: Chunk<'_>) -> Option<u64> {
        let next = self.reader.lines(chunk.text, chunk.first_line, self.sink);
        (!self.sink.options.stop.is_requested()).then_some(next)
    }

    fn overlong(&mut self, _: Overlong) {}

    fn wants_column(&mut self, name: &str) -> bool {
        Field::is_wanted(name)
    }

    fn columns(&mut self, names: &[String]) {
        self.reader.columns(names);
    }
}

struct Spans<'a> {
    found: RejectedSpans,
    options: &'a ReadOptions,
    before: i64,
    after: i64,
}

impl Sink for Spans<'_> {
    fn record(&mut self, record: &FlowRecord<'_>) {
        self.found.records += 1;
        if record.action != Some(Action::Reject) {
            return;
        }
        // Without these it cannot be paired: nothing is evidence for it.
        let name = record.interface_id.or(record.resource_id);
        let (Some(name), Some(start), Some(end)) = (name, record.start, record.end) else { return };
        let span = Span { start, end };
        let selection = &self.options.selection;
        if !selection.admits_time(span) || !selection.admits_place(name, record.subnet_id, record.vpc_id) {
            return;
        }
        let spans = self.found.by_interface.entry(name.to_vec()).or_default();
        spans.push(Span {
            start: span.start.plus_seconds(-self.before),
            end: span.end.plus_seconds(self.after),
        });
        if spans.len() >= SPANS_BEFORE_MERGE && spans.len().is_power_of_two() {
            merge(spans);
        }
    }

    fn malformed(&mut self, _: u64, _: Malformed) {}
    fn header(&mut self) {}
    fn transit_gateway(&mut self) {}
    fn format(&mut self, _: &LogFormat) {}
    fn foreign_json(&mut self, _: u64, _: &'static str) {}
}

/// Spans that touch or overlap become one.
fn merge(spans: &mut Vec<Span>) {
    spans.sort_unstable();
    spans.dedup_by(|span, kept| {
        let touches = span.start <= kept.end.plus_seconds(1);
        if touches {
            kept.end = kept.end.max(span.end);
        }
        touches
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_touch_become_one() {
        let span = |start, end| Span { start: Timestamp(start), end: Timestamp(end) };
        let mut spans = vec![span(50, 60), span(0, 9), span(10, 20), span(5, 7), span(22, 30), span(55, 58)];
        merge(&mut spans);
        assert_eq!(spans, [span(0, 20), span(22, 30), span(50, 60)]);
    }
}
