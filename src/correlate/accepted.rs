//! Accepted records as they wait: 32 bytes for what is ordinary, a wider row for IPv6 and large numbers.
//!
//! A compact row has two parts, which lie in lists of their own ([`Rows`]): a [`Head`] of eight bytes, by which nearly all
//! rows are turned away, and the [`Body`], which is read for the few that are looked at in full.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use super::Span;
use super::hash::{conversation_tag_v4, origin, other_address};
use super::interface::InterfaceIndex;
use crate::net::{Direction, FiveTuple, Protocol, TcpFlags, Timestamp};
use crate::record::PlainRecord;

/// The most interfaces a compact row can tell apart.
pub(super) const MAX_COMPACT_INTERFACE: u32 = (1 << 16) - 1;

/// The longest capture window of a compact row, in seconds: twelve bits.
pub(super) const MAX_COMPACT_SECONDS: u32 = (1 << 12) - 1;

pub(super) const HAS_FLAGS: u32 = 1;
pub(super) const INGRESS: u32 = 1 << 1;
pub(super) const EGRESS: u32 = 1 << 2;
const CONTEXT: u32 = 1 << 3;

/// An accepted IPv4 record in 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedRow {
    head: Head,
    body: Body,
}

/// What a row is turned away by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Head {
    /// [`conversation_tag`]. With the rest of the row it tells the destination address.
    pub(super) conversation: u32,
    /// See [`origin`].
    pub(super) origin: u16,
    pub(super) protocol: Protocol,
    /// Of the packets, where the format has them.
    pub(super) tcp_flags: u8,
}

/// The rest of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Body {
    pub(super) srcaddr: u32,
    /// From the upper bits down: interface in 16, seconds from `start` to `end` in 12, and in 4 whether this is evidence
    /// only, direction and flags, as far as the format has them.
    pub(super) interface_seconds_meta: u32,
    pub(super) start: u32,
    pub(super) packets: u32,
    pub(super) bytes: u32,
    pub(super) srcport: u16,
    pub(super) dstport: u16,
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

    /// The same row in 32 bytes, if it fits; `name` is the hash of its interface's.
    #[inline]
    #[must_use]
    pub fn compact(&self, name: u64) -> Option<AcceptedRow> {
        let (IpAddr::V4(srcaddr), IpAddr::V4(dstaddr)) = (self.packet.srcaddr, self.packet.dstaddr) else {
            return None;
        };
        let seconds = u32::try_from(self.span.end.seconds_since(self.span.start)).ok()?;
        Parts {
            name,
            interface: self.interface,
            srcaddr: srcaddr.to_bits(),
            dstaddr: dstaddr.to_bits(),
            srcport: self.packet.srcport,
            dstport: self.packet.dstport,
            protocol: self.packet.protocol,
            start: u32::try_from(self.span.start.0).ok()?,
            seconds,
            packets: u32::try_from(self.packets?).ok()?,
            bytes: u32::try_from(self.bytes?).ok()?,
            tcp_flags: self.tcp_flags,
            flow_direction: self.flow_direction,
            context: self.context,
        }
        .row()
    }
}

/// What a compact row is made of.
struct Parts {
    name: u64,
    interface: InterfaceIndex,
    srcaddr: u32,
    dstaddr: u32,
    srcport: u16,
    dstport: u16,
    protocol: Protocol,
    start: u32,
    seconds: u32,
    packets: u32,
    bytes: u32,
    tcp_flags: Option<TcpFlags>,
    flow_direction: Option<Direction>,
    context: bool,
}

impl Parts {
    /// The row, if it fits.
    #[expect(clippy::inline_always, reason = "as a call, the row is copied once more")]
    #[inline(always)]
    fn row(self) -> Option<AcceptedRow> {
        let Self { srcaddr, dstaddr, srcport, dstport, protocol, .. } = self;
        let fits = self.interface.0 <= MAX_COMPACT_INTERFACE && self.seconds <= MAX_COMPACT_SECONDS;
        let direction = match self.flow_direction {
            Some(Direction::Ingress) => INGRESS,
            Some(Direction::Egress) => EGRESS,
            None => 0,
        };
        let has_flags = if self.tcp_flags.is_some() { HAS_FLAGS } else { 0 };
        let meta = has_flags | direction | if self.context { CONTEXT } else { 0 };
        fits.then(|| AcceptedRow {
            head: Head {
                conversation: conversation_tag_v4((srcaddr, srcport), (dstaddr, dstport)),
                origin: origin(self.name, srcport, protocol),
                protocol,
                tcp_flags: self.tcp_flags.unwrap_or_default().0,
            },
            body: Body {
                srcaddr,
                interface_seconds_meta: self.interface.0 << 16 | self.seconds << 4 | meta,
                start: self.start,
                packets: self.packets,
                bytes: self.bytes,
                srcport,
                dstport,
            },
        })
    }
}

impl AcceptedRow {
    /// The row of an ordinary record, if it fits; `name` is the hash of its interface's.
    #[expect(clippy::inline_always, reason = "as a call, the row is copied once more")]
    #[inline(always)]
    pub(super) fn of_plain(record: &PlainRecord<'_>, interface: InterfaceIndex, name: u64) -> Option<Self> {
        let (srcaddr, dstaddr) = record.packet_addresses();
        let start = record.start();
        Parts {
            name,
            interface,
            srcaddr,
            dstaddr,
            srcport: record.srcport(),
            dstport: record.dstport(),
            protocol: record.protocol(),
            start,
            seconds: record.end().wrapping_sub(start),
            packets: record.packets(),
            bytes: record.bytes(),
            tcp_flags: record.tcp_flags(),
            flow_direction: record.flow_direction(),
            context: false,
        }
        .row()
    }

    /// The row at full width.
    #[must_use]
    pub fn widen(&self) -> WideRow {
        let Self { head, body } = self;
        let start = Timestamp(i64::from(body.start));
        let meta = body.interface_seconds_meta;
        WideRow {
            interface: self.interface(),
            packet: FiveTuple {
                srcaddr: Ipv4Addr::from(body.srcaddr).into(),
                dstaddr: Ipv4Addr::from(self.dstaddr()).into(),
                srcport: body.srcport,
                dstport: body.dstport,
                protocol: self.protocol(),
            },
            span: Span { start, end: Timestamp(self.end()) },
            packets: Some(u64::from(body.packets)),
            bytes: Some(u64::from(body.bytes)),
            tcp_flags: (meta & HAS_FLAGS != 0).then_some(TcpFlags(head.tcp_flags)),
            flow_direction: match (meta & INGRESS != 0, meta & EGRESS != 0) {
                (true, _) => Some(Direction::Ingress),
                (_, true) => Some(Direction::Egress),
                _ => None,
            },
            context: self.is_context(),
        }
    }

    /// Head and body.
    #[inline]
    pub(super) fn parts(self) -> (Head, Body) {
        (self.head, self.body)
    }

    /// The row of a head and a body that belong together.
    #[inline]
    pub(super) fn of_parts(head: Head, body: Body) -> Self {
        Self { head, body }
    }

    /// The interface, as the batch or the correlator numbers it.
    #[must_use]
    pub fn interface(&self) -> InterfaceIndex {
        self.body.interface()
    }

    /// The same row under another interface number; `None` when it no longer fits.
    #[inline]
    #[must_use]
    pub fn with_interface(mut self, interface: InterfaceIndex) -> Option<Self> {
        if interface.0 > MAX_COMPACT_INTERFACE {
            return None;
        }
        let rest = self.body.interface_seconds_meta & 0xffff;
        self.body.interface_seconds_meta = interface.0 << 16 | rest;
        Some(self)
    }

    /// Protocol number.
    #[inline]
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.head.protocol
    }

    /// Destination address and port.
    #[inline]
    pub(super) fn destination(&self) -> (u32, u16) {
        (self.dstaddr(), self.body.dstport)
    }

    #[inline]
    fn dstaddr(&self) -> u32 {
        let Body { srcaddr, srcport, dstport, .. } = self.body;
        other_address(self.head.conversation, (srcaddr, srcport), dstport)
    }

    /// See [`origin`].
    #[inline]
    pub(super) fn origin(&self) -> u16 {
        self.head.origin
    }

    /// Evidence only.
    #[inline]
    #[must_use]
    pub fn is_context(&self) -> bool {
        self.body.interface_seconds_meta & CONTEXT != 0
    }

    /// `start` in Unix seconds.
    #[inline]
    #[must_use]
    pub fn start(&self) -> i64 {
        self.body.start()
    }

    /// `end` in Unix seconds.
    #[inline]
    #[must_use]
    pub fn end(&self) -> i64 {
        self.start() + i64::from(self.body.interface_seconds_meta >> 4 & MAX_COMPACT_SECONDS)
    }
}

#[cfg(target_arch = "x86_64")]
impl Head {
    /// Of no row.
    pub(super) const NONE: Self = Self { conversation: 0, origin: 0, protocol: Protocol(0), tcp_flags: 0 };
}

impl Body {
    /// Of no row.
    #[cfg(target_arch = "x86_64")]
    pub(super) const NONE: Self = Self {
        srcaddr: 0,
        interface_seconds_meta: 0,
        start: 0,
        packets: 0,
        bytes: 0,
        srcport: 0,
        dstport: 0,
    };

    #[inline]
    pub(super) fn interface(&self) -> InterfaceIndex {
        InterfaceIndex(self.interface_seconds_meta >> 16)
    }

    #[inline]
    pub(super) fn start(&self) -> i64 {
        i64::from(self.start)
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
            interface in 0..1_u32 << 17, addresses in any::<(u32, u32)>(), ports in any::<(u16, u16)>(),
            protocol in any::<u8>(), start in 0..u32::MAX, seconds in 0..8000_i64,
            counts in (0..1_u64 << 34, 0..1_u64 << 34), flags in any::<Option<u8>>(), direction in 0..3_u8,
            context in any::<bool>(), name in any::<u64>(), other in 0..1_u32 << 16,
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
            let fits = interface <= MAX_COMPACT_INTERFACE
                && seconds <= i64::from(MAX_COMPACT_SECONDS)
                && u32::try_from(counts.0).is_ok()
                && u32::try_from(counts.1).is_ok();
            prop_assert_eq!(row.compact(name).is_some(), fits);
            if let Some(compact) = row.compact(name) {
                prop_assert_eq!(compact.widen(), row);
                prop_assert_eq!(compact.end(), row.span.end.0);
                let elsewhere = compact.with_interface(InterfaceIndex(other)).expect("small");
                prop_assert_eq!(elsewhere.widen(), WideRow { interface: InterfaceIndex(other), ..row });
            }
        }
    }
}
