//! Which of the rejected records of one flow are replies, by the accepted ones around them, and what conversations they
//! make.

use super::accepted::WideRow;
use super::conversation::{Conversation, RejectedRecord, RequestEvidence, UnpairedKind, UnpairedPart};
use super::interface::{InterfaceIndex, InterfaceTable};
use super::nearby::Nearby;
use super::reject::{Entry, Hit, Relation, Stored};
use super::settled::Settled;
use super::{Span, Timestamp};
use crate::net::{Direction, Protocol, TcpFlags};

impl Entry {
    /// Decides record by record, then gathers the replies into conversations.
    pub(super) fn settle(
        mut self,
        match_window_seconds: i64,
        interfaces: &InterfaceTable,
        into: &mut Settled,
    ) {
        let is_tcp = self.packet.protocol == Protocol::TCP;
        if self.hits.is_empty()
            && self.more.is_empty()
            && let Some(kind) = Around::default().kind_of(&self.first, is_tcp, match_window_seconds)
        {
            into.unpaired(&self.unpaired(kind, self.first.flow_direction, &[self.first.record]));
            return;
        }
        let hits = merge_hits(std::mem::take(&mut self.hits));
        let around = Around::new(&hits);
        let mut replies: Vec<Stored> = Vec::new();
        let mut others: [Vec<Stored>; 3] = Default::default();
        for stored in self.take_records() {
            match around.kind_of(&stored, is_tcp, match_window_seconds) {
                None => replies.push(stored),
                Some(kind) => others[kind as usize].push(stored),
            }
        }
        let mut drafts = split_by_gap(&replies, match_window_seconds);
        for hit in &hits {
            let span = hit.row.span;
            // Records of one draft lie so close that whatever is near its span is near one of them.
            let first = drafts
                .partition_point(|draft| span.start.seconds_since(draft.span.end) > match_window_seconds);
            let near = |draft: &&mut Draft| draft.span.start.seconds_since(span.end) <= match_window_seconds;
            for draft in drafts[first..].iter_mut().take_while(near) {
                draft.add(hit, interfaces);
            }
        }
        for draft in drafts {
            into.conversation(&Conversation {
                interface: self.interface,
                reply: self.flow,
                packet: self.packet,
                flow_direction: draft.flow_direction,
                request: draft.request.or(draft.request_elsewhere),
                accepted_reply: draft.accepted_reply,
                closing_since: draft.closing_since,
                idle_seconds: draft.last_activity.map(|end| draft.span.start.seconds_since(end).max(0)),
                rejected: draft.rejected,
            });
        }
        for kind in [UnpairedKind::Request, UnpairedKind::RequestSide, UnpairedKind::Unsolicited] {
            let stored = &others[kind as usize];
            if !stored.is_empty() {
                let direction = stored.iter().filter_map(|stored| stored.flow_direction).min();
                let records: Vec<_> = stored.iter().map(|stored| stored.record).collect();
                into.unpaired(&self.unpaired(kind, direction, &records));
            }
        }
    }

    fn unpaired<'r>(
        &self,
        kind: UnpairedKind,
        flow_direction: Option<Direction>,
        rejected: &'r [RejectedRecord],
    ) -> UnpairedPart<'r> {
        let Self { interface, flow, packet, .. } = *self;
        UnpairedPart { interface, flow, packet, flow_direction, kind, rejected }
    }
}

/// What formats say differently of one record is put together. The result is in time order.
pub(super) fn merge_copies(mut rejected: Vec<Stored>) -> Vec<Stored> {
    rejected.sort_unstable_by_key(|stored| stored.identity);
    rejected.dedup_by(|copy, kept| {
        if copy.identity != kept.identity {
            return false;
        }
        kept.flow_direction = least(kept.flow_direction, copy.flow_direction);
        kept.record.tcp_flags = either_flags(kept.record.tcp_flags, copy.record.tcp_flags);
        kept.record.reject_reason = least(kept.record.reject_reason, copy.record.reject_reason);
        true
    });
    rejected.sort_unstable_by_key(|stored| (stored.record, stored.flow_direction));
    rejected
}

/// The same for accepted records: of one interface, one tuple, one window and one size.
pub(super) fn merge_hits(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_unstable_by_key(Hit::order);
    hits.dedup_by(|copy, kept| {
        let directions = (copy.row.flow_direction, kept.row.flow_direction);
        if copy.key() != kept.key() || matches!(directions, (Some(a), Some(b)) if a != b) {
            return false;
        }
        kept.row.flow_direction = least(directions.0, directions.1);
        kept.row.tcp_flags = either_flags(kept.row.tcp_flags, copy.row.tcp_flags);
        true
    });
    hits
}

pub(super) fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

pub(super) fn either_flags(a: Option<TcpFlags>, b: Option<TcpFlags>) -> Option<TcpFlags> {
    match (a, b) {
        (Some(a), Some(b)) => Some(TcpFlags(a.0 | b.0)),
        (a, b) => a.or(b),
    }
}

/// The times of the accepted records around the rejected ones, by what they tell.
#[derive(Debug, Default)]
struct Around {
    requests: Nearby,
    /// Requests through another interface that went in, and that went out.
    elsewhere: [Nearby; 2],
    /// A SYN in the rejected direction or a SYN-ACK in the other one makes this side the requester.
    this_side_began: Nearby,
    other_side_began: Nearby,
}

impl Around {
    fn new(hits: &[Hit]) -> Self {
        let of = |test: &dyn Fn(&Hit) -> bool| {
            Nearby::new(hits.iter().filter(|hit| test(hit)).map(|hit| hit.row.span))
        };
        let says = |hit: &Hit, relation, test: fn(TcpFlags) -> bool| {
            hit.relation == relation && hit.row.tcp_flags.is_some_and(test)
        };
        let elsewhere = |direction| {
            of(&|hit| hit.relation == Relation::ReverseElsewhere && hit.row.flow_direction == Some(direction))
        };
        Self {
            requests: of(&|hit| hit.relation == Relation::Reverse),
            elsewhere: [elsewhere(Direction::Ingress), elsewhere(Direction::Egress)],
            this_side_began: of(&|hit| {
                says(hit, Relation::Same, TcpFlags::is_pure_syn)
                    || says(hit, Relation::Reverse, TcpFlags::has_syn_ack)
            }),
            other_side_began: of(&|hit| {
                says(hit, Relation::Same, TcpFlags::has_syn_ack)
                    || says(hit, Relation::Reverse, TcpFlags::is_pure_syn)
            }),
        }
    }

    /// `None` for a rejected reply, else why it is none.
    fn kind_of(&self, stored: &Stored, is_tcp: bool, match_window_seconds: i64) -> Option<UnpairedKind> {
        let span = stored.record.span;
        let flags = stored.record.tcp_flags.filter(|_| is_tcp).unwrap_or_default();
        if flags.has_syn_ack() {
            return None;
        }
        if flags.is_pure_syn() {
            return Some(UnpairedKind::Request);
        }
        let any = |times: &Nearby| times.any_within(span, match_window_seconds);
        let elsewhere = match stored.flow_direction {
            Some(Direction::Egress) => any(&self.elsewhere[0]),
            Some(Direction::Ingress) => any(&self.elsewhere[1]),
            None => false,
        };
        if !elsewhere && !any(&self.requests) {
            return Some(UnpairedKind::Unsolicited);
        }
        let this_side_is_the_requester = is_tcp && any(&self.this_side_began) && !any(&self.other_side_began);
        this_side_is_the_requester.then_some(UnpairedKind::RequestSide)
    }
}

/// A conversation in the making.
#[derive(Debug)]
struct Draft {
    rejected: Vec<RejectedRecord>,
    span: Span,
    flow_direction: Option<Direction>,
    request: Option<RequestEvidence>,
    request_elsewhere: Option<RequestEvidence>,
    accepted_reply: Option<RequestEvidence>,
    closing_since: Option<Timestamp>,
    last_activity: Option<Timestamp>,
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

    fn add(&mut self, hit: &Hit, interfaces: &InterfaceTable) {
        let row = &hit.row;
        match hit.relation {
            Relation::Reverse => add_evidence(&mut self.request, row, None, interfaces),
            Relation::Same => add_evidence(&mut self.accepted_reply, row, None, interfaces),
            Relation::SameElsewhere => return,
            Relation::ReverseElsewhere => {
                if row.flow_direction != self.flow_direction.map(Direction::opposite) {
                    return;
                }
                add_evidence(&mut self.request_elsewhere, row, Some(row.interface), interfaces);
            }
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
fn split_by_gap(records: &[Stored], match_window_seconds: i64) -> Vec<Draft> {
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
