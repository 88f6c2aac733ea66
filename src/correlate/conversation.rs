//! What pairing gives: conversations whose replies were rejected, and rejects that are no replies.

use super::Span;
use super::interface::InterfaceIndex;
use crate::net::{Direction, FiveTuple, TcpFlags, Timestamp};
use crate::record::RejectReason;

/// One rejected record, without its tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RejectedRecord {
    /// Capture window.
    pub span: Span,
    /// Packets; `None` where the format or the record does not say.
    pub packets: Option<u64>,
    /// Bytes; `None` where AWS leaves them out (Block Public Access).
    pub bytes: Option<u64>,
    /// Flags, if the format has them.
    pub tcp_flags: Option<TcpFlags>,
    /// `reject-reason`, if it says anything.
    pub reject_reason: Option<RejectReason>,
}

/// Accepted records of one direction of a conversation, summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestEvidence {
    /// Earliest `start` to latest `end`.
    pub span: Span,
    /// Packets; `None` where the format or the record does not say.
    pub packets: Option<u64>,
    /// Bytes; `None` where none of the records says.
    pub bytes: Option<u64>,
    /// OR of the flags, if the format has them.
    pub tcp_flags: Option<TcpFlags>,
    /// The interface that recorded the request, when it is not the one that rejected the reply.
    pub other_interface: Option<InterfaceIndex>,
}

/// A conversation on one interface whose replies were rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The interface that rejected.
    pub interface: InterfaceIndex,
    /// The reply as logged (`srcaddr` … `dstport`).
    pub reply: FiveTuple,
    /// The reply with packet-level addresses, which network ACLs are matched against.
    pub packet: FiveTuple,
    /// `flow-direction` of the reply, if the format has it.
    pub flow_direction: Option<Direction>,
    /// The rejected records, in time order. Never empty.
    pub rejected: Vec<RejectedRecord>,
    /// The accepted request; `None` when only a SYN-ACK proves that this is a reply.
    pub request: Option<RequestEvidence>,
    /// Accepted records of the reply's own direction within the match window.
    pub accepted_reply: Option<RequestEvidence>,
    /// Earliest FIN or RST seen in an accepted record of either direction: its `start`.
    pub closing_since: Option<Timestamp>,
    /// Seconds of silence before the first rejected record, since the last accepted record of either direction.
    pub idle_seconds: Option<i64>,
}

impl Conversation {
    /// First to last second of the rejected records.
    #[must_use]
    pub fn rejected_span(&self) -> Span {
        let mut spans = self.rejected.iter().map(|record| record.span);
        let first = spans.next().unwrap_or(Span { start: Timestamp(0), end: Timestamp(0) });
        spans.fold(first, Span::union)
    }
}

/// Why a rejected record is not a rejected reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnpairedKind {
    /// SYN without ACK: a new request.
    Request,
    /// The other direction is the reply's: its SYN, or the peer's SYN-ACK, was accepted before.
    RequestSide,
    /// No accepted record of the reverse direction within the match window.
    Unsolicited,
}

/// Rejected records of one flow that are no replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpairedReject {
    /// The interface that rejected.
    pub interface: InterfaceIndex,
    /// The flow as logged.
    pub flow: FiveTuple,
    /// The flow with packet-level addresses.
    pub packet: FiveTuple,
    /// `flow-direction`, if the format has it.
    pub flow_direction: Option<Direction>,
    /// Why it is not a reply.
    pub kind: UnpairedKind,
    /// The rejected records, in time order. Never empty.
    pub rejected: Vec<RejectedRecord>,
}

/// Some of the records of an [`UnpairedReject`].
#[derive(Debug, Clone, Copy)]
pub(super) struct UnpairedPart<'a> {
    pub(super) interface: InterfaceIndex,
    pub(super) flow: FiveTuple,
    pub(super) packet: FiveTuple,
    pub(super) flow_direction: Option<Direction>,
    pub(super) kind: UnpairedKind,
    pub(super) rejected: &'a [RejectedRecord],
}
