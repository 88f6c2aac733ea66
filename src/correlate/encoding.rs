//! Rows as bytes, for those that do not stay in memory. Knows no files; what it reads it wrote itself, and bytes that it
//! did not write end the rows.

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use foldhash::fast::FixedState;

use super::accepted::WideRow;
use super::conversation::{
    Conversation, RejectedRecord, RequestEvidence, UnpairedKind, UnpairedPart, UnpairedReject,
};
use super::interface::InterfaceIndex;
use super::reject::RejectedRow;
use super::{Span, Timestamp};
use crate::net::{Direction, FiveTuple, Protocol, TcpFlags};
use crate::record::RejectReason;

const INGRESS: u8 = 1;
const EGRESS: u8 = 2;
/// The logged addresses are not those of the packet.
const HAS_FLOW: u8 = 4;
const CONTEXT: u8 = 8;
/// Of what is otherwise a rejected row.
const IS_REQUEST: u8 = 8;
/// Two bits.
const KIND: u8 = 16;

const HAS_PACKETS: u8 = 1;
const HAS_BYTES: u8 = 2;
const HAS_FLAGS: u8 = 4;
/// Times and numbers are of the usual size.
const SMALL: u8 = 8;
/// Two bits.
const REASON: u8 = 16;

/// Of a conversation, in a byte of their own.
const HAS_REQUEST: u8 = 1;
const HAS_ACCEPTED_REPLY: u8 = 2;
const HAS_CLOSING: u8 = 4;
const HAS_IDLE: u8 = 8;

/// Appends an accepted row.
pub(super) fn put_row(out: &mut Vec<u8>, row: &WideRow) {
    out.push(of_direction(row.flow_direction) | if row.context { CONTEXT } else { 0 });
    out.extend(row.interface.0.to_le_bytes());
    put_tuple(out, &row.packet);
    let record = RejectedRecord {
        span: row.span,
        packets: row.packets,
        bytes: row.bytes,
        tcp_flags: row.tcp_flags,
        reject_reason: None,
    };
    put_record(out, &record);
}

/// Appends a rejected row.
pub(super) fn put_rejected(out: &mut Vec<u8>, row: &RejectedRow) {
    let is_request = if row.is_request { IS_REQUEST } else { 0 };
    out.push(of_direction(row.flow_direction) | has_flow(&row.flow, &row.packet) | is_request);
    out.extend(row.interface.0.to_le_bytes());
    put_flows(out, &row.flow, &row.packet);
    put_record(out, &row.record);
    out.extend(row.identity.to_le_bytes());
}

/// Appends rejects that are no replies.
pub(super) fn put_unpaired(out: &mut Vec<u8>, reject: &UnpairedPart<'_>) {
    let kind = reject.kind as u8 * KIND;
    out.push(of_direction(reject.flow_direction) | has_flow(&reject.flow, &reject.packet) | kind);
    out.extend(reject.interface.0.to_le_bytes());
    put_flows(out, &reject.flow, &reject.packet);
    out.extend(u32::try_from(reject.rejected.len()).unwrap_or(u32::MAX).to_le_bytes());
    for record in reject.rejected {
        put_record(out, record);
    }
}

/// Appends a conversation.
pub(super) fn put_conversation(out: &mut Vec<u8>, conversation: &Conversation) {
    let Conversation { interface, reply, packet, flow_direction, rejected, request, accepted_reply, .. } =
        conversation;
    out.push(of_direction(*flow_direction) | has_flow(reply, packet));
    let mut parts = 0;
    for (is_there, bit) in [
        (request.is_some(), HAS_REQUEST),
        (accepted_reply.is_some(), HAS_ACCEPTED_REPLY),
        (conversation.closing_since.is_some(), HAS_CLOSING),
        (conversation.idle_seconds.is_some(), HAS_IDLE),
    ] {
        parts |= if is_there { bit } else { 0 };
    }
    out.push(parts);
    out.extend(interface.0.to_le_bytes());
    put_flows(out, reply, packet);
    out.extend(u32::try_from(rejected.len()).unwrap_or(u32::MAX).to_le_bytes());
    for record in rejected {
        put_record(out, record);
    }
    for evidence in [request, accepted_reply].into_iter().flatten() {
        put_evidence(out, evidence);
    }
    out.extend(conversation.closing_since.map(|at| at.0.to_le_bytes()).into_iter().flatten());
    out.extend(conversation.idle_seconds.map(i64::to_le_bytes).into_iter().flatten());
}

fn put_evidence(out: &mut Vec<u8>, evidence: &RequestEvidence) {
    let RequestEvidence { span, packets, bytes, tcp_flags, other_interface } = *evidence;
    put_record(out, &RejectedRecord { span, packets, bytes, tcp_flags, reject_reason: None });
    out.push(u8::from(other_interface.is_some()));
    out.extend(other_interface.map(|interface| interface.0.to_le_bytes()).into_iter().flatten());
}

fn of_direction(direction: Option<Direction>) -> u8 {
    match direction {
        Some(Direction::Ingress) => INGRESS,
        Some(Direction::Egress) => EGRESS,
        None => 0,
    }
}

fn has_flow(flow: &FiveTuple, packet: &FiveTuple) -> u8 {
    if flow == packet { 0 } else { HAS_FLOW }
}

fn put_flows(out: &mut Vec<u8>, flow: &FiveTuple, packet: &FiveTuple) {
    put_tuple(out, packet);
    if flow != packet {
        put_tuple(out, flow);
    }
}

/// 14 bytes for IPv4.
fn put_tuple(out: &mut Vec<u8>, tuple: &FiveTuple) {
    match (tuple.srcaddr, tuple.dstaddr) {
        (IpAddr::V4(srcaddr), IpAddr::V4(dstaddr)) => {
            out.push(4);
            out.extend(srcaddr.octets());
            out.extend(dstaddr.octets());
        }
        addresses => {
            let is_v4 = [addresses.0.is_ipv4(), addresses.1.is_ipv4()];
            out.push(16 | u8::from(is_v4[0]) | u8::from(is_v4[1]) << 1);
            for address in [addresses.0, addresses.1] {
                out.extend(match address {
                    IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                    IpAddr::V6(address) => address.octets(),
                });
            }
        }
    }
    out.extend(tuple.srcport.to_le_bytes());
    out.extend(tuple.dstport.to_le_bytes());
    out.push(tuple.protocol.0);
}

fn put_record(out: &mut Vec<u8>, record: &RejectedRecord) {
    let reason = match record.reject_reason {
        None => 0,
        Some(RejectReason::BlockPublicAccess) => 1,
        Some(RejectReason::EncryptionControls) => 2,
        Some(RejectReason::Other) => 3,
    };
    let mut head = reason * REASON;
    for (is_there, bit) in [
        (record.packets.is_some(), HAS_PACKETS),
        (record.bytes.is_some(), HAS_BYTES),
        (record.tcp_flags.is_some(), HAS_FLAGS),
    ] {
        head |= if is_there { bit } else { 0 };
    }
    let small = |number: Option<u64>| u32::try_from(number.unwrap_or(0));
    let seconds = record.span.end.0.checked_sub(record.span.start.0);
    if let (Ok(start), Some(Ok(seconds)), Ok(packets), Ok(bytes)) = (
        u32::try_from(record.span.start.0),
        seconds.map(u16::try_from),
        small(record.packets),
        small(record.bytes),
    ) {
        out.push(head | SMALL);
        out.extend(start.to_le_bytes());
        out.extend(seconds.to_le_bytes());
        out.extend(record.packets.map(|_| packets.to_le_bytes()).into_iter().flatten());
        out.extend(record.bytes.map(|_| bytes.to_le_bytes()).into_iter().flatten());
    } else {
        out.push(head);
        out.extend(record.span.start.0.to_le_bytes());
        out.extend(record.span.end.0.to_le_bytes());
        out.extend(record.packets.map(u64::to_le_bytes).into_iter().flatten());
        out.extend(record.bytes.map(u64::to_le_bytes).into_iter().flatten());
    }
    out.extend(record.tcp_flags.map(|flags| flags.0));
}

/// Bytes not read yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoded<'a>(pub(super) &'a [u8]);

impl Encoded<'_> {
    /// The next accepted row.
    pub(super) fn row(&mut self) -> Option<WideRow> {
        let head = self.byte()?;
        let interface = self.interface()?;
        let packet = self.tuple()?;
        let record = self.record()?;
        Some(WideRow {
            interface,
            packet,
            span: record.span,
            packets: record.packets,
            bytes: record.bytes,
            tcp_flags: record.tcp_flags,
            flow_direction: direction(head),
            context: head & CONTEXT != 0,
        })
    }

    /// The next rejected row.
    pub(super) fn rejected(&mut self) -> Option<RejectedRow> {
        let head = self.byte()?;
        let interface = self.interface()?;
        let (flow, packet) = self.flows(head)?;
        let record = self.record()?;
        let identity = u64::from_le_bytes(self.array()?);
        Some(RejectedRow {
            interface,
            flow,
            packet,
            flow_direction: direction(head),
            record,
            identity,
            is_request: head & IS_REQUEST != 0,
        })
    }

    /// The next rejects that are no replies.
    pub(super) fn unpaired(&mut self) -> Option<UnpairedReject> {
        let head = self.byte()?;
        let interface = self.interface()?;
        let (flow, packet) = self.flows(head)?;
        let kind = match head / KIND {
            0 => UnpairedKind::Request,
            1 => UnpairedKind::RequestSide,
            _ => UnpairedKind::Unsolicited,
        };
        let records = u32::from_le_bytes(self.array()?);
        let rejected = (0..records).map(|_| self.record()).collect::<Option<_>>()?;
        Some(UnpairedReject { interface, flow, packet, flow_direction: direction(head), kind, rejected })
    }

    /// The next conversation.
    pub(super) fn conversation(&mut self) -> Option<Conversation> {
        let head = self.byte()?;
        let parts = self.byte()?;
        let interface = self.interface()?;
        let (reply, packet) = self.flows(head)?;
        let records = u32::from_le_bytes(self.array()?);
        let rejected = (0..records).map(|_| self.record()).collect::<Option<_>>()?;
        let request = if parts & HAS_REQUEST == 0 { None } else { Some(self.evidence()?) };
        let accepted_reply = if parts & HAS_ACCEPTED_REPLY == 0 { None } else { Some(self.evidence()?) };
        let mut number =
            |bit| Some(if parts & bit == 0 { None } else { Some(i64::from_le_bytes(self.array()?)) });
        Some(Conversation {
            interface,
            reply,
            packet,
            flow_direction: direction(head),
            rejected,
            request,
            accepted_reply,
            closing_since: number(HAS_CLOSING)?.map(Timestamp),
            idle_seconds: number(HAS_IDLE)?,
        })
    }

    fn evidence(&mut self) -> Option<RequestEvidence> {
        let RejectedRecord { span, packets, bytes, tcp_flags, .. } = self.record()?;
        let other_interface = if self.byte()? == 0 { None } else { Some(self.interface()?) };
        Some(RequestEvidence { span, packets, bytes, tcp_flags, other_interface })
    }

    /// Passes over the next rejects that are no replies; gives a hash of their packet, the same for all of one packet.
    pub(super) fn pass_unpaired(&mut self) -> Option<u64> {
        let head = self.byte()?;
        self.interface()?;
        let before = self.0;
        self.pass_tuple()?;
        let mut hasher = FixedState::with_seed(9).build_hasher();
        hasher.write(&before[..before.len() - self.0.len()]);
        if head & HAS_FLOW != 0 {
            self.pass_tuple()?;
        }
        for _ in 0..u32::from_le_bytes(self.array()?) {
            self.pass_record()?;
        }
        Some(hasher.finish())
    }

    fn pass(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    fn pass_tuple(&mut self) -> Option<()> {
        let addresses = if self.byte()? == 4 { 8 } else { 32 };
        self.pass(addresses + 5)
    }

    fn pass_record(&mut self) -> Option<()> {
        let head = self.byte()?;
        let has = |bit| usize::from(head & bit != 0);
        let (times, number) = if head & SMALL == 0 { (16, 8) } else { (6, 4) };
        self.pass(times + number * (has(HAS_PACKETS) + has(HAS_BYTES)) + has(HAS_FLAGS))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn interface(&mut self) -> Option<InterfaceIndex> {
        self.array().map(|bytes| InterfaceIndex(u32::from_le_bytes(bytes)))
    }

    fn flows(&mut self, head: u8) -> Option<(FiveTuple, FiveTuple)> {
        let packet = self.tuple()?;
        let flow = if head & HAS_FLOW == 0 { packet } else { self.tuple()? };
        Some((flow, packet))
    }

    fn tuple(&mut self) -> Option<FiveTuple> {
        let family = self.byte()?;
        let (srcaddr, dstaddr) = if family == 4 {
            let addresses: [[u8; 4]; 2] = [self.array()?, self.array()?];
            (Ipv4Addr::from(addresses[0]).into(), Ipv4Addr::from(addresses[1]).into())
        } else {
            (self.wide_address(family & 1 != 0)?, self.wide_address(family & 2 != 0)?)
        };
        Some(FiveTuple {
            srcaddr,
            dstaddr,
            srcport: u16::from_le_bytes(self.array()?),
            dstport: u16::from_le_bytes(self.array()?),
            protocol: Protocol(self.byte()?),
        })
    }

    fn wide_address(&mut self, is_v4: bool) -> Option<IpAddr> {
        let address = Ipv6Addr::from(self.array::<16>()?);
        Some(match address.to_ipv4_mapped().filter(|_| is_v4) {
            Some(address) => address.into(),
            None => address.into(),
        })
    }

    fn record(&mut self) -> Option<RejectedRecord> {
        let head = self.byte()?;
        let has = |bit| head & bit != 0;
        let (start, end) = if has(SMALL) {
            let start = i64::from(u32::from_le_bytes(self.array()?));
            (start, start + i64::from(u16::from_le_bytes(self.array()?)))
        } else {
            (i64::from_le_bytes(self.array()?), i64::from_le_bytes(self.array()?))
        };
        let mut number = || {
            Some(if has(SMALL) {
                u64::from(u32::from_le_bytes(self.array()?))
            } else {
                u64::from_le_bytes(self.array()?)
            })
        };
        let packets = if has(HAS_PACKETS) { Some(number()?) } else { None };
        let bytes = if has(HAS_BYTES) { Some(number()?) } else { None };
        let tcp_flags = if has(HAS_FLAGS) { Some(TcpFlags(self.byte()?)) } else { None };
        let reject_reason = match head / REASON {
            0 => None,
            1 => Some(RejectReason::BlockPublicAccess),
            2 => Some(RejectReason::EncryptionControls),
            _ => Some(RejectReason::Other),
        };
        let span = Span { start: Timestamp(start), end: Timestamp(end) };
        Some(RejectedRecord { span, packets, bytes, tcp_flags, reject_reason })
    }
}

fn direction(head: u8) -> Option<Direction> {
    match head & (INGRESS | EGRESS) {
        INGRESS => Some(Direction::Ingress),
        EGRESS => Some(Direction::Egress),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
