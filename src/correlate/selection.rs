//! Which records count: the time window and the filters of the command line.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use hashbrown::HashSet;
use ipnet::IpNet;

use super::Span;
use crate::net::{FiveTuple, Protocol, Timestamp};

/// A record at the edge of the window may reach this far beyond it: the longest aggregation interval (600 s), and clock
/// slack (VPC User Guide: up to 60 s either way).
pub const LONGEST_RECORD_SECONDS: i64 = 720;

/// What a record must be to count. Options of one kind widen each other; different kinds narrow each other.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Records that ended before this moment do not count.
    pub since: Option<Timestamp>,
    /// Records that started at or after this moment do not count.
    pub until: Option<Timestamp>,
    /// A record that reaches into the time and started before it does not count: it counts in the time before.
    pub by_start: bool,
    /// `--interface`, `--subnet`, `--vpc`, `--nacl`: one filter for each kind given.
    pub places: Vec<PlaceFilter>,
    /// `--ip`: either address lies in one of these.
    pub cidrs: Vec<IpNet>,
    /// `--port`: either port lies in one of these.
    pub ports: Vec<RangeInclusive<u16>>,
    /// `--protocol`.
    pub protocols: Vec<Protocol>,
}

/// Interfaces chosen by name or by where they are.
#[derive(Debug, Clone, Default)]
pub struct PlaceFilter {
    /// Interfaces, by id.
    pub interface_ids: HashSet<Vec<u8>>,
    /// Subnets, for records that carry `subnet-id`.
    pub subnet_ids: HashSet<Vec<u8>>,
    /// VPCs, for records that carry `vpc-id`.
    pub vpc_ids: HashSet<Vec<u8>>,
}

impl PlaceFilter {
    fn admits(&self, interface_id: &[u8], subnet_id: Option<&[u8]>, vpc_id: Option<&[u8]>) -> bool {
        self.interface_ids.contains(interface_id)
            || subnet_id.is_some_and(|id| self.subnet_ids.contains(id))
            || vpc_id.is_some_and(|id| self.vpc_ids.contains(id))
    }
}

impl Selection {
    /// Whether records of this interface count.
    #[must_use]
    pub fn admits_place(&self, interface_id: &[u8], subnet_id: Option<&[u8]>, vpc_id: Option<&[u8]>) -> bool {
        self.places.iter().all(|place| place.admits(interface_id, subnet_id, vpc_id))
    }

    /// Whether a record of this time counts: it lies in the window at least in part.
    #[must_use]
    pub fn admits_time(&self, span: Span) -> bool {
        let from = if self.by_start { span.start } else { span.end };
        self.since.is_none_or(|since| from >= since) && self.until.is_none_or(|until| span.start < until)
    }

    /// Whether a request of this time, though it does not count, may be the evidence for a reply that does. The reply
    /// may lie in the window only in part, and the match window counts from its other end.
    #[must_use]
    pub fn is_context(&self, span: Span, match_window_seconds: i64) -> bool {
        let reach = match_window_seconds.saturating_add(LONGEST_RECORD_SECONDS);
        self.since.is_none_or(|since| span.end.plus_seconds(reach) >= since)
            && self.until.is_none_or(|until| span.start.plus_seconds(-reach) < until)
    }

    /// Whether a flow counts; `packet` has the packet-level addresses.
    #[must_use]
    pub fn admits_flow(&self, flow: &FiveTuple, packet: &FiveTuple) -> bool {
        if self.cidrs.is_empty() && self.ports.is_empty() && self.protocols.is_empty() {
            return true;
        }
        let addresses = [flow.srcaddr, flow.dstaddr, packet.srcaddr, packet.dstaddr];
        let in_cidrs = |address: &IpAddr| self.cidrs.iter().any(|cidr| cidr.contains(address));
        let in_ports = |port: u16| self.ports.iter().any(|range| range.contains(&port));
        (self.cidrs.is_empty() || addresses.iter().any(in_cidrs))
            && (self.ports.is_empty() || in_ports(flow.srcport) || in_ports(flow.dstport))
            && (self.protocols.is_empty() || self.protocols.contains(&flow.protocol))
    }

    /// Whether anything but the window narrows what counts.
    #[must_use]
    pub fn has_filters(&self) -> bool {
        !(self.places.is_empty()
            && self.cidrs.is_empty()
            && self.ports.is_empty()
            && self.protocols.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_when_it_lies_in_the_window_in_part() {
        let selection =
            Selection { since: Some(Timestamp(100)), until: Some(Timestamp(200)), ..Selection::default() };
        let span = |start, end| Span { start: Timestamp(start), end: Timestamp(end) };
        assert!(selection.admits_time(span(50, 100)) && selection.admits_time(span(199, 260)));
        assert!(!selection.admits_time(span(40, 99)) && !selection.admits_time(span(200, 260)));
        let reach = 1 + LONGEST_RECORD_SECONDS;
        assert!(selection.is_context(span(-900, 100 - reach), 1));
        assert!(!selection.is_context(span(-900, 99 - reach), 1));
        assert!(selection.is_context(span(199 + reach, 2000), 1));
        assert!(!selection.is_context(span(200 + reach, 2000), 1));
    }
}
