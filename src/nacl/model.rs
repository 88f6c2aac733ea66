//! A network ACL as EC2 describes it, its entries in the order in which they are tried.
//!
//! Owns order, the implicit `*` entries and how an entry prints. Refuses to decide anything about a packet.
//! Source of the rules: VPC User Guide, "Network ACL rules"; EC2 API, `NetworkAclEntry` and
//! `CreateNetworkAclEntry`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Serialize;

use crate::net::{Direction, Protocol};

/// Rule numbers from here on are AWS's own: 32767 is the `*` entry for IPv4, 32768 the one for IPv6.
/// Users choose from 1 to 32766.
pub const FIRST_RESERVED_RULE_NUMBER: u16 = 32767;

/// What an entry does with a packet that it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// Lets it through.
    Allow,
    /// Drops it.
    Deny,
}

impl RuleAction {
    /// The word of the EC2 API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for RuleAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The protocol of an entry: every one (`-1` in the API) or one IANA number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AclProtocol {
    /// `-1`.
    All,
    /// One protocol.
    Number(Protocol),
}

impl AclProtocol {
    /// Whether a packet of `protocol` passes this part of an entry.
    #[must_use]
    pub fn contains(self, protocol: Protocol) -> bool {
        match self {
            Self::All => true,
            Self::Number(number) => number == protocol,
        }
    }
}

impl fmt::Display for AclProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.pad("ALL"),
            Self::Number(protocol) => match protocol.keyword() {
                Some(keyword) => f.pad(&keyword.to_ascii_uppercase()),
                None => fmt::Display::fmt(&protocol.0, f),
            },
        }
    }
}

/// Ports from `from` to `to`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PortRange {
    /// Lowest port.
    pub from: u16,
    /// Highest port.
    pub to: u16,
}

impl PortRange {
    /// Whether `port` lies in the range.
    #[must_use]
    pub fn contains(self, port: u16) -> bool {
        self.from <= port && port <= self.to
    }

    /// Whether every port lies in the range.
    #[must_use]
    pub fn is_all(self) -> bool {
        self.covers(Self { from: 0, to: u16::MAX })
    }

    /// Whether every port of `other` lies in this range.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.from <= other.from && other.to <= self.to
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { write!(f, "{}", self.from) } else { write!(f, "{}-{}", self.from, self.to) }
    }
}

/// ICMP type and code of an entry; `None` is any (`-1` in the API).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct IcmpTypeCode {
    /// The type, or any.
    pub icmp_type: Option<u8>,
    /// The code, or any.
    pub code: Option<u8>,
}

impl IcmpTypeCode {
    /// Whether a packet with this type and code passes.
    #[must_use]
    pub fn contains(self, (icmp_type, code): (u8, u8)) -> bool {
        self.icmp_type.is_none_or(|wanted| wanted == icmp_type)
            && self.code.is_none_or(|wanted| wanted == code)
    }

    /// Whether every type and code passes.
    #[must_use]
    pub fn is_all(self) -> bool {
        self.icmp_type.is_none() && self.code.is_none()
    }

    /// Whether every type and code that passes `other` passes here too.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        (self.icmp_type.is_none() || self.icmp_type == other.icmp_type)
            && (self.code.is_none() || self.code == other.code)
    }
}

impl fmt::Display for IcmpTypeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.icmp_type, self.code) {
            (None, None) => f.write_str("ALL"),
            (Some(icmp_type), None) => write!(f, "{icmp_type}/ALL"),
            (None, Some(code)) => write!(f, "ALL/{code}"),
            (Some(icmp_type), Some(code)) => write!(f, "{icmp_type}/{code}"),
        }
    }
}

/// One row of a network ACL. Prints as the console shows it: `110 TCP 443 0.0.0.0/0 ALLOW`.
///
/// `ports` and `icmp` hold what the API returned; [`port_range`](Self::port_range) and
/// [`icmp_type_code`](Self::icmp_type_code) say what of it AWS tests. The order of two entries is the order
/// in which they are tried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkAclEntry {
    /// Lowest number is tried first; with ACL and direction it names the rule.
    pub rule_number: u16,
    /// Which of the two lists (`Egress` in the API).
    pub direction: Direction,
    /// The other end's addresses: the source on ingress, the destination on egress.
    pub cidr: IpNet,
    /// The protocol tested.
    pub protocol: AclProtocol,
    /// `PortRange`, if the API returned one.
    pub ports: Option<PortRange>,
    /// `IcmpTypeCode`, if the API returned one.
    pub icmp: Option<IcmpTypeCode>,
    /// What happens to a packet that matches.
    pub action: RuleAction,
}

impl NetworkAclEntry {
    /// The destination ports that the entry tests; `None` when it takes any. Only TCP and UDP entries test
    /// ports; without a `PortRange` they take all (EC2 API, `CreateNetworkAclEntry`).
    #[must_use]
    pub fn port_range(&self) -> Option<PortRange> {
        match self.protocol {
            AclProtocol::Number(protocol) if protocol.has_ports() => {
                self.ports.filter(|range| !range.is_all())
            }
            _ => None,
        }
    }

    /// The ICMP type and code that the entry tests; `None` when it takes any. Only protocol 1 with an IPv4
    /// CIDR and protocol 58 with an IPv6 CIDR test them (EC2 API, `CreateNetworkAclEntry`).
    #[must_use]
    pub fn icmp_type_code(&self) -> Option<IcmpTypeCode> {
        let tested = match self.cidr {
            IpNet::V4(_) => Protocol::ICMP,
            IpNet::V6(_) => Protocol::ICMPV6,
        };
        self.icmp.filter(|icmp| self.protocol == AclProtocol::Number(tested) && !icmp.is_all())
    }

    /// Whether both are the same rule: one may be written with the range of all ports and the other without a range.
    #[must_use]
    pub fn is_same_rule(&self, other: &Self) -> bool {
        let plain = |entry: &Self| Self {
            ports: entry.port_range(),
            icmp: entry.icmp_type_code(),
            cidr: entry.cidr.trunc(),
            ..entry.clone()
        };
        plain(self) == plain(other)
    }

    /// Whether this is one of AWS's own last entries, shown as `*`.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.rule_number >= FIRST_RESERVED_RULE_NUMBER
    }

    /// Whether it denies every packet of its address family.
    fn denies_all(&self) -> bool {
        self.action == RuleAction::Deny && self.protocol == AclProtocol::All && self.cidr.prefix_len() == 0
    }
}

impl fmt::Display for NetworkAclEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_default() {
            f.write_str("*")?;
        } else {
            write!(f, "{}", self.rule_number)?;
        }
        write!(f, " {} ", self.protocol)?;
        // A range of all ports prints as the numbers it was written with.
        let ports = self.ports.filter(|_| matches!(self.protocol, AclProtocol::Number(p) if p.has_ports()));
        match (ports, self.icmp_type_code()) {
            (Some(ports), _) => write!(f, "{ports}")?,
            (None, Some(icmp)) => write!(f, "{icmp}")?,
            (None, None) => f.write_str("ALL")?,
        }
        let action = if self.action == RuleAction::Allow { "ALLOW" } else { "DENY" };
        write!(f, " {} {action}", self.cidr)
    }
}

/// The `*` entries of one direction, IPv4 (32767) before IPv6 (32768).
///
/// They cannot be deleted; an ACL of a VPC without IPv6 does not list the IPv6 one, and its packets are
/// still denied.
#[must_use]
pub fn implicit_entries(direction: Direction) -> [NetworkAclEntry; 2] {
    let v4 = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0));
    let v6 = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0));
    [(FIRST_RESERVED_RULE_NUMBER, v4), (FIRST_RESERVED_RULE_NUMBER + 1, v6)].map(|(rule_number, cidr)| {
        NetworkAclEntry {
            rule_number,
            direction,
            cidr,
            protocol: AclProtocol::All,
            ports: None,
            icmp: None,
            action: RuleAction::Deny,
        }
    })
}

/// A network ACL: two lists of entries and the subnets it stands in front of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkAcl {
    /// `acl-…`.
    pub network_acl_id: String,
    /// Its VPC, if the document says so.
    pub vpc_id: Option<String>,
    /// Whether it is the VPC's default ACL, which guards every subnet without an association.
    pub is_default: bool,
    /// Its `Name` tag.
    pub name: Option<String>,
    /// The subnets associated with it.
    pub subnet_ids: Vec<String>,
    ingress: Vec<NetworkAclEntry>,
    egress: Vec<NetworkAclEntry>,
}

impl NetworkAcl {
    /// An ACL with these entries, in whatever order they come; the other members start empty.
    ///
    /// CIDRs are cut to their prefix, as AWS stores them, and the `*` entries are added where they are
    /// missing.
    #[must_use]
    pub fn new(
        network_acl_id: impl Into<String>,
        entries: impl IntoIterator<Item = NetworkAclEntry>,
    ) -> Self {
        let (ingress, egress) = entries.into_iter().partition(|entry| entry.direction == Direction::Ingress);
        Self {
            network_acl_id: network_acl_id.into(),
            vpc_id: None,
            is_default: false,
            name: None,
            subnet_ids: Vec::new(),
            ingress: in_order(Direction::Ingress, ingress),
            egress: in_order(Direction::Egress, egress),
        }
    }

    /// The same ACL with these entries in place of its own.
    #[must_use]
    pub fn with_entries(&self, entries: impl IntoIterator<Item = NetworkAclEntry>) -> Self {
        Self {
            vpc_id: self.vpc_id.clone(),
            is_default: self.is_default,
            name: self.name.clone(),
            subnet_ids: self.subnet_ids.clone(),
            ..Self::new(self.network_acl_id.clone(), entries)
        }
    }

    /// The entries of one direction in the order in which they are tried; the last ones are the `*` entries.
    #[must_use]
    pub fn entries(&self, direction: Direction) -> &[NetworkAclEntry] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    /// The entry with this number, if there is one.
    #[must_use]
    pub fn entry(&self, direction: Direction, rule_number: u16) -> Option<&NetworkAclEntry> {
        self.entries(direction).iter().find(|entry| entry.rule_number == rule_number)
    }
}

/// Sorts one direction's entries and completes them with the `*` entries.
fn in_order(direction: Direction, mut entries: Vec<NetworkAclEntry>) -> Vec<NetworkAclEntry> {
    for entry in &mut entries {
        entry.cidr = entry.cidr.trunc();
    }
    for implicit in implicit_entries(direction) {
        let same =
            |entry: &NetworkAclEntry| entry.is_default() && entry.denies_all() && entry.cidr == implicit.cidr;
        if !entries.iter().any(same) {
            entries.push(implicit);
        }
    }
    entries.sort();
    entries.dedup();
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(rule_number: u16, protocol: i16, cidr: &str, action: RuleAction) -> NetworkAclEntry {
        NetworkAclEntry {
            rule_number,
            direction: Direction::Ingress,
            cidr: cidr.parse().unwrap(),
            protocol: u8::try_from(protocol)
                .map_or(AclProtocol::All, |number| AclProtocol::Number(Protocol(number))),
            ports: None,
            icmp: None,
            action,
        }
    }

    #[test]
    fn prints_as_the_console_shows_it() {
        use RuleAction::{Allow, Deny};
        let ports = |from, to| Some(PortRange { from, to });
        let icmp = |icmp_type, code| Some(IcmpTypeCode { icmp_type, code });
        let any4 = "0.0.0.0/0";
        let table = [
            (
                NetworkAclEntry { ports: ports(443, 443), ..entry(110, 6, any4, Allow) },
                "110 TCP 443 0.0.0.0/0 ALLOW",
            ),
            (entry(100, -1, any4, Allow), "100 ALL ALL 0.0.0.0/0 ALLOW"),
            (
                NetworkAclEntry { ports: ports(1024, 65535), ..entry(140, 6, any4, Allow) },
                "140 TCP 1024-65535 0.0.0.0/0 ALLOW",
            ),
            (
                NetworkAclEntry { ports: ports(0, 65535), ..entry(1, 17, any4, Allow) },
                "1 UDP 0-65535 0.0.0.0/0 ALLOW",
            ),
            (entry(90, 17, "10.0.0.0/8", Deny), "90 UDP ALL 10.0.0.0/8 DENY"),
            (entry(32767, -1, any4, Deny), "* ALL ALL 0.0.0.0/0 DENY"),
            (entry(32768, -1, "::/0", Deny), "* ALL ALL ::/0 DENY"),
            (
                NetworkAclEntry { icmp: icmp(Some(3), Some(4)), ..entry(150, 1, any4, Allow) },
                "150 ICMP 3/4 0.0.0.0/0 ALLOW",
            ),
            (
                NetworkAclEntry { icmp: icmp(None, None), ..entry(150, 1, any4, Allow) },
                "150 ICMP ALL 0.0.0.0/0 ALLOW",
            ),
            (
                NetworkAclEntry { icmp: icmp(Some(8), None), ..entry(150, 1, any4, Deny) },
                "150 ICMP 8/ALL 0.0.0.0/0 DENY",
            ),
            (
                NetworkAclEntry { icmp: icmp(Some(128), Some(0)), ..entry(151, 58, "::/0", Allow) },
                "151 ICMPV6 128/0 ::/0 ALLOW",
            ),
            // An IPv4 CIDR with protocol 58 ignores type and code, other protocols ignore ports.
            (
                NetworkAclEntry { icmp: icmp(Some(1), None), ..entry(151, 58, any4, Allow) },
                "151 ICMPV6 ALL 0.0.0.0/0 ALLOW",
            ),
            (
                NetworkAclEntry { ports: ports(1, 2), ..entry(200, 47, any4, Deny) },
                "200 GRE ALL 0.0.0.0/0 DENY",
            ),
            (entry(200, 253, any4, Deny), "200 253 ALL 0.0.0.0/0 DENY"),
        ];
        for (entry, expected) in table {
            assert_eq!(entry.to_string(), expected);
        }
    }

    #[test]
    fn entries_are_in_rule_order_whatever_order_they_come_in() {
        let star = implicit_entries(Direction::Ingress)[0].clone();
        let given = [
            star,
            entry(120, -1, "10.1.2.3/8", RuleAction::Allow),
            entry(90, 6, "0.0.0.0/0", RuleAction::Deny),
        ];
        let acl = NetworkAcl::new("acl-1", given.clone());
        let numbers =
            |direction| acl.entries(direction).iter().map(|entry| entry.rule_number).collect::<Vec<_>>();
        assert_eq!(numbers(Direction::Ingress), [90, 120, 32767, 32768], "the listed `*` is not doubled");
        assert_eq!(numbers(Direction::Egress), [32767, 32768], "the `*` entries exist even when not listed");
        assert_eq!(acl.entries(Direction::Ingress)[1].cidr.to_string(), "10.0.0.0/8");
        assert_eq!(acl, NetworkAcl::new("acl-1", given.into_iter().rev()));
        assert_eq!(acl.entry(Direction::Ingress, 90).map(|entry| entry.action), Some(RuleAction::Deny));
    }
}
