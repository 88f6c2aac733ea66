//! What rejected replies need of an ACL: protocols, port ranges and networks, in few entries.
//!
//! Owns how wide a need is drawn around what was seen. Refuses to know rule numbers and which entries there are,
//! beyond the one that denied.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::cover::{Cover, EVERYTHING};
use super::{Denied, FIRST_EPHEMERAL_PORT, Requester};
use crate::nacl::{AclProtocol, IcmpTypeCode, NetworkAclEntry, PortRange, RuleAction};
use crate::net::{Direction, Protocol};

/// So many ports below 1024 get an entry each; more are taken for a range.
const LOW_PORTS: usize = 4;

/// Networks of all needs together, above which they are widened at once before the closest are merged.
const MANY: usize = 1024;

/// Linux and Windows together: what AWS prints in its recommended rules.
const LINUX_AND_WINDOWS: PortRange = PortRange { from: 32768, to: 65535 };

/// What one protocol's replies need, as far as one entry denied them.
#[derive(Debug, Clone)]
pub(super) struct Need<'a> {
    /// What denied them.
    pub decider: &'a NetworkAclEntry,
    pub protocol: Protocol,
    /// `None` for protocols whose ports an ACL cannot test.
    pub ports: Option<PortRange>,
    pub cover: Cover,
    pub conversations: u64,
}

impl Need<'_> {
    /// Whether a wider range would let unlike things in together: below 1024 stand services.
    fn is_low(&self) -> bool {
        self.ports.is_some_and(|ports| ports.from < FIRST_EPHEMERAL_PORT)
    }

    /// Allow entries without a number.
    pub(super) fn entries(&self, direction: Direction) -> Vec<NetworkAclEntry> {
        let nets = self.cover.nets().iter();
        nets.map(|cidr| allow(direction, self.protocol, self.ports, *cidr)).collect()
    }
}

/// An allow entry without a number.
pub(super) fn allow(
    direction: Direction,
    protocol: Protocol,
    ports: Option<PortRange>,
    cidr: IpNet,
) -> NetworkAclEntry {
    NetworkAclEntry {
        rule_number: 0,
        direction,
        cidr,
        protocol: AclProtocol::Number(protocol),
        ports,
        // Which types there were is unknown, so all of them.
        icmp: protocol.is_icmp().then_some(IcmpTypeCode { icmp_type: None, code: None }),
        action: RuleAction::Allow,
    }
}

/// What these replies need, by what denied them, protocol and ports; no two needs the same.
pub(super) fn needs<'a>(denied: &[Denied<'a>]) -> Vec<Need<'a>> {
    let mut groups: BTreeMap<(u16, Protocol), Vec<&Denied<'a>>> = BTreeMap::new();
    for one in denied {
        groups.entry((one.decider.rule_number, one.packet.protocol)).or_default().push(one);
    }
    let mut needs = Vec::new();
    for ((_, protocol), group) in groups {
        let decider = group[0].decider;
        if protocol.has_ports() {
            of_ports(decider, protocol, &group, &mut needs);
        } else {
            let hosts = group.iter().map(|one| (one.packet.remote, one.conversations));
            needs.extend(need(decider, protocol, None, hosts.collect()));
        }
    }
    needs
}

fn need(
    decider: &NetworkAclEntry,
    protocol: Protocol,
    ports: Option<PortRange>,
    hosts: Vec<(IpAddr, u64)>,
) -> Option<Need<'_>> {
    let conversations =
        hosts.iter().map(|(_, conversations)| conversations).fold(0_u64, |a, b| a.saturating_add(*b));
    let cover = Cover::of(hosts.into_iter().map(|(host, _)| host));
    (!cover.nets().is_empty()).then_some(Need { decider, protocol, ports, cover, conversations })
}

/// The needs of a protocol with ports. A host that needs a range needs no smaller one within it.
fn of_ports<'a>(
    decider: &'a NetworkAclEntry,
    protocol: Protocol,
    group: &[&Denied<'a>],
    needs: &mut Vec<Need<'a>>,
) {
    let mut by_range: BTreeMap<PortRange, Vec<&Denied<'a>>> = BTreeMap::new();
    let ranges = Ranges::of(group);
    for one in group {
        if let Some(range) = one.packet.dstport.map(|port| ranges.around(one.requester, port)) {
            // In front of an explicit deny no more is taken from it than what it denied.
            let range = decider.port_range().map_or(range, |limit| intersection(range, limit));
            by_range.entry(range).or_default().push(one);
        }
    }
    let mut by_width: Vec<_> = by_range.into_iter().collect();
    by_width.sort_by_key(|(range, _)| (Reverse(range.to - range.from), range.from));
    let mut known: Vec<(PortRange, BTreeSet<IpAddr>)> = Vec::new();
    for (range, members) in by_width {
        let is_new =
            |host: &IpAddr| !known.iter().any(|(wider, hosts)| wider.covers(range) && hosts.contains(host));
        let members = members.into_iter().map(|one| (one.packet.remote, one.conversations));
        let hosts: Vec<_> = members.filter(|(host, _)| is_new(host)).collect();
        known.push((range, hosts.iter().map(|(host, _)| *host).collect()));
        needs.extend(need(decider, protocol, Some(range), hosts));
    }
}

/// The ranges to draw around the ports of one protocol.
struct Ranges {
    /// Around ports of requesters of which nothing is known: the smallest documented range with all of them.
    unknown: PortRange,
    /// Around ports below 1024, where they are too many for an entry each.
    low: Option<PortRange>,
}

impl Ranges {
    fn of(group: &[&Denied<'_>]) -> Self {
        let ports = || group.iter().filter_map(|one| Some((one.requester, one.packet.dstport?)));
        let high: BTreeSet<u16> = ports()
            .filter(|(requester, port)| *port >= FIRST_EPHEMERAL_PORT && !requester.explains(*port))
            .map(|(_, port)| port)
            .collect();
        let low: BTreeSet<u16> =
            ports().map(|(_, port)| port).filter(|port| *port < FIRST_EPHEMERAL_PORT).collect();
        let documented = [
            Requester::Linux.ephemeral_ports(),
            Requester::Windows.ephemeral_ports(),
            Some(LINUX_AND_WINDOWS),
        ];
        let holds_all = |range: &PortRange| high.iter().all(|port| range.contains(*port));
        let hull = || Some(PortRange { from: *low.first()?, to: *low.last()? });
        Self {
            unknown: documented.into_iter().flatten().find(holds_all).unwrap_or(super::CONVENTIONAL_PORTS),
            low: if low.len() > LOW_PORTS { hull() } else { None },
        }
    }

    fn around(&self, requester: Requester, port: u16) -> PortRange {
        if port < FIRST_EPHEMERAL_PORT {
            return self.low.unwrap_or(PortRange { from: port, to: port });
        }
        requester.ephemeral_ports().filter(|_| requester.explains(port)).unwrap_or(self.unknown)
    }
}

fn intersection(a: PortRange, b: PortRange) -> PortRange {
    PortRange { from: a.from.max(b.from), to: a.to.min(b.to) }
}

/// Widens the needs, networks first, until they take `most` entries, or as few as they can.
pub(super) fn reduce(needs: &mut Vec<Need<'_>>, most: usize) {
    let each = (MANY / needs.len().max(1)).max(most);
    for need in needs.iter_mut() {
        need.cover.coarsen(each);
    }
    while entries(needs) > most {
        let cheapest = needs.iter().enumerate().filter_map(|(at, need)| {
            let (cost, place) = need.cover.cheapest()?;
            Some((cost, Reverse(need.cover.nets().len()), at, place))
        });
        let cheapest = cheapest.min();
        if cheapest.is_none_or(|(cost, ..)| cost == EVERYTHING) && merge_ranges(needs) {
            continue;
        }
        let Some((_, _, at, place)) = cheapest else { break };
        needs[at].cover.merge(place);
    }
    for need in needs {
        need.cover.clip(need.decider.cidr);
    }
}

fn entries(needs: &[Need<'_>]) -> usize {
    needs.iter().map(|need| need.cover.nets().len()).sum()
}

/// Makes one need of two of the same protocol with different ports; `false` when there are no such two.
fn merge_ranges(needs: &mut Vec<Need<'_>>) -> bool {
    for at in 1..needs.len() {
        let one = &needs[at];
        let is_like = |other: &Need<'_>| {
            other.decider.rule_number == one.decider.rule_number
                && other.protocol == one.protocol
                && other.is_low() == one.is_low()
        };
        let Some(first) = needs[..at].iter().position(is_like) else { continue };
        let one = needs.remove(at);
        let other = &mut needs[first];
        other.cover = other.cover.union(&one.cover);
        other.conversations = other.conversations.saturating_add(one.conversations);
        if let (Some(a), Some(b)) = (other.ports, one.ports) {
            other.ports = Some(PortRange { from: a.from.min(b.from), to: a.to.max(b.to) });
        }
        return true;
    }
    false
}
