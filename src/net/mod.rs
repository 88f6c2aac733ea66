//! The words of the wire: protocol, TCP flags, direction, five-tuple and time.
//!
//! Owns what every stage means by a flow. Refuses to know about log formats, network ACLs or output.

mod time;

use std::fmt;
use std::net::IpAddr;

pub use time::{ParseTimestampError, Timestamp};

/// An IANA protocol number, as flow logs and network ACL entries carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP for IPv4 (RFC 792).
    pub const ICMP: Self = Self(1);
    /// TCP (RFC 9293).
    pub const TCP: Self = Self(6);
    /// UDP (RFC 768).
    pub const UDP: Self = Self(17);
    /// ICMP for IPv6 (RFC 4443).
    pub const ICMPV6: Self = Self(58);

    /// Whether a flow of this protocol carries ports that a network ACL entry can test.
    #[must_use]
    pub fn has_ports(self) -> bool {
        self == Self::TCP || self == Self::UDP
    }

    /// Whether this is ICMP in either address family.
    #[must_use]
    pub fn is_icmp(self) -> bool {
        self == Self::ICMP || self == Self::ICMPV6
    }

    /// The keyword people use (`tcp`, `udp`, `icmp` …), if the number has a common one.
    #[must_use]
    pub fn keyword(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "icmp",
            2 => "igmp",
            4 => "ipip",
            6 => "tcp",
            17 => "udp",
            41 => "ipv6",
            47 => "gre",
            50 => "esp",
            51 => "ah",
            58 => "icmpv6",
            89 => "ospf",
            112 => "vrrp",
            132 => "sctp",
            _ => return None,
        })
    }

    /// Reads a number (`6`) or a keyword (`tcp`, any case); `None` when it is neither.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if let Ok(number) = name.parse() {
            return Some(Self(number));
        }
        let lower = name.to_ascii_lowercase();
        (0..=u8::MAX).map(Self).find(|p| p.keyword() == Some(lower.as_str()))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.keyword() {
            Some(keyword) => f.pad(keyword),
            None => self.0.fmt(f),
        }
    }
}

/// The `tcp-flags` field: the OR of the flags of all packets of one direction in one capture window.
///
/// Flow logs carry FIN 1, SYN 2, RST 4 and SYN-ACK 18; ACK alone is logged as 0
/// (VPC User Guide, "Flow log records"). Other bits may appear and are never an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    const FIN: u8 = 0x01;
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const ACK: u8 = 0x10;

    /// Nothing but SYNs, or SYNs and packets whose flags a flow log does not record.
    pub const SYN_ALONE: Self = Self(Self::SYN);

    /// A SYN-ACK was among the packets: the sender is the responder.
    #[must_use]
    pub fn has_syn_ack(self) -> bool {
        self.0 & (Self::SYN | Self::ACK) == Self::SYN | Self::ACK
    }

    /// A SYN but no SYN-ACK was among the packets: the sender is the initiator.
    #[must_use]
    pub fn is_pure_syn(self) -> bool {
        self.0 & (Self::SYN | Self::ACK) == Self::SYN
    }

    /// A FIN or a RST was among the packets: the connection was being closed.
    #[must_use]
    pub fn is_closing(self) -> bool {
        self.0 & (Self::FIN | Self::RST) != 0
    }
}

/// Direction of a packet relative to the interface that recorded it, and of a network ACL entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Towards the interface (and into its subnet).
    Ingress,
    /// From the interface (and out of its subnet).
    Egress,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Ingress => Self::Egress,
            Self::Egress => Self::Ingress,
        }
    }

    /// The flow-log word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Source and destination address and port, and the protocol. Ports are 0 where the protocol has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FiveTuple {
    /// Source address.
    pub srcaddr: IpAddr,
    /// Destination address.
    pub dstaddr: IpAddr,
    /// Source port.
    pub srcport: u16,
    /// Destination port.
    pub dstport: u16,
    /// IANA protocol number.
    pub protocol: Protocol,
}

impl FiveTuple {
    /// The tuple of a packet going the other way in the same conversation.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self {
            srcaddr: self.dstaddr,
            dstaddr: self.srcaddr,
            srcport: self.dstport,
            dstport: self.srcport,
            protocol: self.protocol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_tested_by_mask_not_by_equality() {
        // 19 = SYN-ACK and FIN in one window; 22 = SYN-ACK and RST; 3 = a client's whole short session.
        assert!(TcpFlags(19).has_syn_ack() && TcpFlags(22).has_syn_ack());
        assert!(!TcpFlags(19).is_pure_syn() && TcpFlags(3).is_pure_syn());
        assert!(TcpFlags(5).is_closing() && !TcpFlags(18).is_closing());
    }

    #[test]
    fn reversing_twice_is_the_same_tuple() {
        let tuple = FiveTuple {
            srcaddr: IpAddr::from([10, 0, 1, 23]),
            dstaddr: IpAddr::from([52, 94, 5, 1]),
            srcport: 64214,
            dstport: 443,
            protocol: Protocol::TCP,
        };
        assert_eq!(tuple.reversed().dstport, 64214);
        assert_eq!(tuple.reversed().reversed(), tuple);
    }

    #[test]
    fn protocols_read_by_number_and_by_keyword() {
        assert_eq!(Protocol::from_name("TCP"), Some(Protocol::TCP));
        assert_eq!(Protocol::from_name("47").map(|p| p.to_string()), Some("gre".to_owned()));
        assert_eq!(Protocol::from_name("nope"), None);
    }
}
