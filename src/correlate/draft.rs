//! Rejected replies gathered into conversations, with the accepted records around them.

use super::accepted::WideRow;
use super::conversation::{RejectedRecord, RequestEvidence};
use super::interface::{InterfaceIndex, InterfaceTable};
use super::reject::{Hit, Relation, Stored, either_flags, least};
use super::{Span, Timestamp};
use crate::net::{Direction, TcpFlags};

/// A conversation in the making.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) rejected: Vec<RejectedRecord>,
    pub(super) span: Span,
    pub(super) flow_direction: Option<Direction>,
    pub(super) request: Option<RequestEvidence>,
    pub(super) request_elsewhere: Option<RequestEvidence>,
    pub(super) accepted_reply: Option<RequestEvidence>,
    pub(super) closing_since: Option<Timestamp>,
    pub(super) last_activity: Option<Timestamp>,
}

impl Draft {
    fn new(first: &Stored) -> Self {
        Self {
            rejected: vec![first.record],
            span: first.record.span,
            flow_direction: first.flow_direction,
            request: None,
            request_elsewhere: None,
            accepted_reply: None,
            closing_since: None,
            last_activity: None,
        }
    }

    /// Takes an accepted record that is near.
    pub(super) fn add(&mut self, hit: &Hit, interfaces: &InterfaceTable) {
        let row = &hit.row;
        match hit.relation {
            Relation::Reverse => add_evidence(&mut self.request, row, None, interfaces),
            Relation::Same => add_evidence(&mut self.accepted_reply, row, None, interfaces),
            Relation::ReverseElsewhere => {
                if row.flow_direction != self.flow_direction.map(Direction::opposite) {
                    return;
                }
                add_evidence(&mut self.request_elsewhere, row, Some(row.interface), interfaces);
            }
            Relation::SameElsewhere => return,
        }
        if row.tcp_flags.is_some_and(TcpFlags::is_closing) {
            self.closing_since = least(self.closing_since, Some(row.span.start));
        }
        if row.span.start <= self.span.start {
            self.last_activity = self.last_activity.max(Some(row.span.end));
        }
    }
}

/// Cuts records in time order wherever more than the match window lies between two of them.
pub(super) fn split_by_gap(records: &[Stored], match_window_seconds: i64) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for stored in records {
        match drafts.last_mut() {
            Some(draft) if stored.record.span.gap(draft.span) <= match_window_seconds => {
                draft.rejected.push(stored.record);
                draft.span = draft.span.union(stored.record.span);
                draft.flow_direction = least(draft.flow_direction, stored.flow_direction);
            }
            _ => drafts.push(Draft::new(stored)),
        }
    }
    drafts
}

/// Adds an accepted record to a sum of them.
fn add_evidence(
    sum: &mut Option<RequestEvidence>,
    row: &WideRow,
    other_interface: Option<InterfaceIndex>,
    interfaces: &InterfaceTable,
) {
    let known = sum.get_or_insert(RequestEvidence {
        span: row.span,
        packets: None,
        bytes: None,
        tcp_flags: None,
        other_interface,
    });
    known.span = known.span.union(row.span);
    known.packets = sum_of_known(known.packets, row.packets);
    known.bytes = sum_of_known(known.bytes, row.bytes);
    known.tcp_flags = either_flags(known.tcp_flags, row.tcp_flags);
    // Of several the first by name: numbers depend on the order of input.
    known.other_interface = match (known.other_interface, other_interface) {
        (Some(a), Some(b)) => Some(if interfaces.name(b) < interfaces.name(a) { b } else { a }),
        (a, b) => a.or(b),
    };
}

/// The sum of what is known; unknown only while nothing is.
pub(super) fn sum_of_known(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    }
}
