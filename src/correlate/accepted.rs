//! Accepted records as they wait: 32 bytes for what is ordinary, a wider row for IPv6 and large numbers.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use super::Span;
use super::hash::hash_ends_v4;
use super::interface::InterfaceIndex;
use crate::net::{Direction, FiveTuple, Protocol, TcpFlags, Timestamp};
use crate::record::PlainRecord;

/// The most interfaces a compact row can tell apart.
const MAX_COMPACT_INTERFACE: u32 = (1 << 24) - 1;

const HAS_FLAGS: u16 = 1 << 8;
const INGRESS: u16 = 1 << 9;
const EGRESS: u16 = 1 << 10;
const CONTEXT: u16 = 1 << 11;

/// An accepted IPv4 record in 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedRow {
    srcaddr: u32,
    dstaddr: u32,
    /// Interface in the upper 24 bits, protocol in the lower 8.
    interface_protocol: u32,
    start: u32,
    packets: u32,
    bytes: u32,
    srcport: u16,
    dstport: u16,
    seconds: u16,
    meta: u16,
}

/// An accepted record, any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WideRow {
    /// The interface that recorded it.
    pub interface: InterfaceIndex,
    /// Five-tuple with packet-level addresses.
    pub packet: FiveTuple,
    /// Capture window.
    pub span: Span,
    /// Packets; `None` where the record does not say.
    pub packets: Option<u64>,
    /// Bytes; `None` where the record does not say.
    pub bytes: Option<u64>,
    /// Flags, if the format has them.
    pub tcp_flags: Option<TcpFlags>,
    /// Direction, if the format has it.
    pub flow_direction: Option<Direction>,
    /// Outside the time window: evidence only, not counted.
    pub context: bool,
}

/// What a SYN takes, headers and all: 20 or 40 bytes of IP, 20 of TCP, and options.
const SYN_BYTES: RangeInclusive<u64> = 40..=80;

impl WideRow {
    /// SYNs and nothing else, as far as a record can show it: ACKs and data leave no flag, but the SYNs of one
    /// connection are all of one size, and small.
    #[must_use]
    pub fn is_syn_alone(&self) -> bool {
        let (Some(packets), Some(bytes)) = (self.packets, self.bytes) else { return false };
        self.packet.protocol == Protocol::TCP
            && self.tcp_flags == Some(TcpFlags::SYN_ALONE)
            && packets > 0
            && bytes.is_multiple_of(packets)
            && SYN_BYTES.contains(&(bytes / packets))
    }

    /// Whether this is a request that may have gone out and that counts. Where the record has no direction, that is
    /// asked when everything is known of its interface.
    #[must_use]
    pub fn is_request_out(&self) -> bool {
        !self.context && self.flow_direction != Some(Direction::Ingress) && self.is_syn_alone()
    }

    /// The same row in 32 bytes, if it fits.
    #[inline]
    #[must_use]
    pub fn compact(&self) -> Option<AcceptedRow> {
        let (IpAddr::V4(srcaddr), IpAddr::V4(dstaddr)) = (self.packet.srcaddr, self.packet.dstaddr) else {
            return None;
        };
        if self.interface.0 > MAX_COMPACT_INTERFACE {
            return None;
        }
        let context = if self.context { CONTEXT } else { 0 };
        Some(AcceptedRow {
            srcaddr: srcaddr.to_bits(),
            dstaddr: dstaddr.to_bits(),
            interface_protocol: self.interface.0 << 8 | u32::from(self.packet.protocol.0),
            start: u32::try_from(self.span.start.0).ok()?,
            packets: u32::try_from(self.packets?).ok()?,
            bytes: u32::try_from(self.bytes?).ok()?,
            srcport: self.packet.srcport,
            dstport: self.packet.dstport,
            seconds: u16::try_from(self.span.end.seconds_since(self.span.start)).ok()?,
            meta: meta(self.tcp_flags, self.flow_direction) | context,
        })
    }
}

/// Flags and direction, and whether the format has them, in 11 bits.
#[inline]
fn meta(tcp_flags: Option<TcpFlags>, flow_direction: Option<Direction>) -> u16 {
    let direction = match flow_direction {
        Some(Direction::Ingress) => INGRESS,
        Some(Direction::Egress) => EGRESS,
        None => 0,
    };
    tcp_flags.map_or(0, |flags| u16::from(flags.0) | HAS_FLAGS) | direction
}

impl AcceptedRow {
    /// The row of an ordinary record, if it fits.
    #[expect(clippy::inline_always, reason = "as a call, the row is copied once more")]
    #[inline(always)]
    pub(super) fn of_plain(record: &PlainRecord<'_>, interface: InterfaceIndex) -> Option<Self> {
        let (srcaddr, dstaddr) = record.packet_addresses();
        let start = record.start();
        let seconds = u16::try_from(record.end().wrapping_sub(start)).ok()?;
        (interface.0 <= MAX_COMPACT_INTERFACE).then(|| Self {
            srcaddr,
            dstaddr,
            interface_protocol: interface.0 << 8 | u32::from(record.protocol().0),
            start,
            packets: record.packets(),
            bytes: record.bytes(),
            srcport: record.srcport(),
            dstport: record.dstport(),
            seconds,
            meta: meta(record.tcp_flags(), record.flow_direction()),
        })
    }

    /// The row at full width.
    #[must_use]
    pub fn widen(&self) -> WideRow {
        let start = Timestamp(i64::from(self.start));
        WideRow {
            interface: self.interface(),
            packet: FiveTuple {
                srcaddr: Ipv4Addr::from(self.srcaddr).into(),
                dstaddr: Ipv4Addr::from(self.dstaddr).into(),
                srcport: self.srcport,
                dstport: self.dstport,
                protocol: self.protocol(),
            },
            span: Span { start, end: start.plus_seconds(i64::from(self.seconds)) },
            packets: Some(u64::from(self.packets)),
            bytes: Some(u64::from(self.bytes)),
            tcp_flags: (self.meta & HAS_FLAGS != 0).then_some(TcpFlags(self.meta.to_le_bytes()[0])),
            flow_direction: match (self.meta & INGRESS != 0, self.meta & EGRESS != 0) {
                (true, _) => Some(Direction::Ingress),
                (_, true) => Some(Direction::Egress),
                _ => None,
            },
            context: self.is_context(),
        }
    }

    /// The interface, as the batch or the correlator numbers it.
    #[must_use]
    pub fn interface(&self) -> InterfaceIndex {
        InterfaceIndex(self.interface_protocol >> 8)
    }

    /// The same row under another interface number; `None` when it no longer fits.
    #[inline]
    #[must_use]
    pub fn with_interface(mut self, interface: InterfaceIndex) -> Option<Self> {
        if interface.0 > MAX_COMPACT_INTERFACE {
            return None;
        }
        self.interface_protocol = interface.0 << 8 | self.interface_protocol & 0xff;
        Some(self)
    }

    /// Protocol number.
    #[inline]
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        Protocol(self.interface_protocol.to_le_bytes()[0])
    }

    /// Source port.
    #[inline]
    #[must_use]
    pub fn srcport(&self) -> u16 {
        self.srcport
    }

    /// Destination address and port.
    #[inline]
    pub(super) fn destination(&self) -> (u32, u16) {
        (self.dstaddr, self.dstport)
    }

    /// Evidence only.
    #[inline]
    #[must_use]
    pub fn is_context(&self) -> bool {
        self.meta & CONTEXT != 0
    }

    /// `start` in Unix seconds.
    #[inline]
    #[must_use]
    pub fn start(&self) -> i64 {
        i64::from(self.start)
    }

    /// `end` in Unix seconds.
    #[inline]
    #[must_use]
    pub fn end(&self) -> i64 {
        i64::from(self.start) + i64::from(self.seconds)
    }

    /// The hash of its conversation, as [`conversation_hash`](super::hash::conversation_hash) has it.
    #[inline]
    pub(super) fn conversation_hash(&self) -> u64 {
        hash_ends_v4(
            u64::from(self.srcaddr) << 16 | u64::from(self.srcport),
            u64::from(self.dstaddr) << 16 | u64::from(self.dstport),
            self.protocol(),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_ordinary_row_takes_32_bytes() {
        assert_eq!(size_of::<AcceptedRow>(), 32);
    }

    proptest! {
        #[test]
        fn what_is_compacted_widens_to_the_same(
            interface in 0..1_u32 << 26, addresses in any::<(u32, u32)>(), ports in any::<(u16, u16)>(),
            protocol in any::<u8>(), start in 0..u32::MAX, seconds in 0..100_000_i64,
            counts in (0..1_u64 << 34, 0..1_u64 << 34), flags in any::<Option<u8>>(), direction in 0..3_u8,
            context in any::<bool>(),
        ) {
            let start = Timestamp(i64::from(start));
            let row = WideRow {
                interface: InterfaceIndex(interface),
                packet: FiveTuple {
                    srcaddr: Ipv4Addr::from(addresses.0).into(),
                    dstaddr: Ipv4Addr::from(addresses.1).into(),
                    srcport: ports.0,
                    dstport: ports.1,
                    protocol: Protocol(protocol),
                },
                span: Span { start, end: start.plus_seconds(seconds) },
                packets: Some(counts.0),
                bytes: Some(counts.1),
                tcp_flags: flags.map(TcpFlags),
                flow_direction: [None, Some(Direction::Ingress), Some(Direction::Egress)][usize::from(direction)],
                context,
            };
            let fits = interface < 1 << 24
                && seconds <= i64::from(u16::MAX)
                && u32::try_from(counts.0).is_ok()
                && u32::try_from(counts.1).is_ok();
            prop_assert_eq!(row.compact().is_some(), fits);
            if let Some(compact) = row.compact() {
                prop_assert_eq!(compact.widen(), row);
                prop_assert_eq!(compact.end(), row.span.end.0);
            }
        }
    }
}
