//! Proposals by example, and held against an evaluator that shares no line with the one that proves them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::nacl::{AclProtocol, IcmpTypeCode, evaluate};

/// `100 TCP 1024-65535 10.0.0.0/8 ALLOW`, as entries print.
fn entry(text: &str) -> NetworkAclEntry {
    let words: Vec<_> = text.split(' ').collect();
    let [number, protocol, ports, cidr, action] = words[..] else { panic!("{text}") };
    let protocol = match protocol {
        "ALL" => AclProtocol::All,
        name => AclProtocol::Number(Protocol::from_name(name).expect("protocol")),
    };
    let range = || {
        let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
        PortRange { from: from.parse().expect("port"), to: to.parse().expect("port") }
    };
    NetworkAclEntry {
        rule_number: number.parse().expect("number"),
        direction: Direction::Ingress,
        cidr: cidr.parse().expect("CIDR"),
        protocol,
        ports: (ports != "ALL").then(range),
        icmp: None,
        action: if action == "ALLOW" { RuleAction::Allow } else { RuleAction::Deny },
    }
}

fn acl(rules: &[&str]) -> NetworkAcl {
    NetworkAcl::new("acl-0a", rules.iter().map(|text| entry(text)))
}

fn packet(remote: &str, protocol: Protocol, dstport: u16) -> Packet {
    let dstport = protocol.has_ports().then_some(dstport);
    Packet { remote: remote.parse().expect("address"), protocol, dstport, icmp: None }
}

fn tcp(replies: &[(&str, u16)]) -> Replies {
    let mut all = Replies::default();
    for (remote, port) in replies {
        all.add(packet(remote, Protocol::TCP, *port), Requester::Unknown, 1);
    }
    all
}

fn proposals(acl: &NetworkAcl, replies: &Replies) -> Vec<Fix> {
    propose(acl, Direction::Ingress, replies, &BTreeSet::new())
}

/// The entries of both proposals, then what is restored by the first.
fn shown(acl: &NetworkAcl, replies: &Replies) -> (Vec<Vec<String>>, u64, u64) {
    let fixes = proposals(acl, replies);
    let lines = |fix: &Fix| {
        fix.entries
            .iter()
            .map(|(entry, widened)| match widened {
                Some(before) => format!("{entry} (was {before})"),
                None => entry.to_string(),
            })
            .collect()
    };
    let first = fixes.first().map_or((0, 0), |fix| (fix.restores, fix.of));
    (fixes.iter().map(lines).collect(), first.0, first.1)
}

fn entries(acl: &NetworkAcl, replies: &Replies) -> Vec<Vec<String>> {
    let (lines, restores, of) = shown(acl, replies);
    assert_eq!(restores, of);
    lines
}

#[test]
fn the_removed_allow_comes_back_as_narrow_as_it_was_used() {
    let acl = acl(&["100 TCP 80 0.0.0.0/0 ALLOW", "120 TCP 5432 10.8.0.0/16 ALLOW"]);
    let replies = tcp(&[("52.94.5.1", 33000), ("52.94.5.1", 60999), ("10.8.10.11", 40000)]);
    assert_eq!(
        entries(&acl, &replies),
        [
            vec!["130 TCP 32768-60999 10.8.10.11/32 ALLOW", "140 TCP 32768-60999 52.94.5.1/32 ALLOW"],
            vec!["130 TCP 1024-65535 0.0.0.0/0 ALLOW"],
        ]
    );
}

#[test]
fn ranges_are_the_requesters_own_where_it_is_known() {
    let acl = acl(&[]);
    let mut replies = tcp(&[("9.9.9.9", 50000), ("9.9.9.9", 65000)]);
    assert_eq!(entries(&acl, &replies)[0], ["10 TCP 49152-65535 9.9.9.9/32 ALLOW"]);
    replies.add(packet("9.9.9.9", Protocol::TCP, 33000), Requester::Unknown, 1);
    assert_eq!(entries(&acl, &replies)[0], ["10 TCP 32768-65535 9.9.9.9/32 ALLOW"]);
    replies.add(packet("8.8.8.8", Protocol::TCP, 33000), Requester::Managed, 1);
    // What more conversations need comes first.
    let own = ["10 TCP 32768-65535 9.9.9.9/32 ALLOW", "20 TCP 1024-65535 8.8.8.8/32 ALLOW"];
    assert_eq!(entries(&acl, &replies)[0], own);
    replies.add(packet("9.9.9.9", Protocol::TCP, 33000), Requester::Managed, 1);
    // What the wider range covers needs no other.
    assert_eq!(
        entries(&acl, &replies)[0],
        ["10 TCP 1024-65535 8.8.8.8/32 ALLOW", "20 TCP 1024-65535 9.9.9.9/32 ALLOW"]
    );
}

#[test]
fn ports_of_services_and_protocols_without_ports_are_let_in_by_themselves() {
    let mut replies = Replies::default();
    replies.add(packet("9.9.9.9", Protocol::UDP, 123), Requester::Managed, 1);
    replies.add(packet("9.9.9.9", Protocol::UDP, 40000), Requester::Unknown, 1);
    replies.add(packet("192.0.2.1", Protocol::ICMP, 0), Requester::Unknown, 1);
    let acl = acl(&[]);
    let (lines, restores, of) = shown(&acl, &replies);
    assert_eq!((restores, of), (3, 3));
    assert_eq!(
        lines,
        [
            vec![
                "10 ICMP ALL 192.0.2.1/32 ALLOW",
                "20 UDP 32768-60999 9.9.9.9/32 ALLOW",
                "30 UDP 123 9.9.9.9/32 ALLOW"
            ],
            vec!["10 UDP 1024-65535 0.0.0.0/0 ALLOW"],
        ]
    );
    let fixes = proposals(&acl, &replies);
    assert!(fixes[0].allows_all_icmp_types() && !fixes[1].allows_all_icmp_types());
    assert_eq!((fixes[1].restores, fixes[1].of), (1, 3), "the conventional range does not hold them all");
}

#[test]
fn many_hosts_are_taken_together_as_far_as_needed_and_no_farther() {
    let mut replies = Replies::default();
    for host in 0..200_u8 {
        let remote = format!("10.1.{}.{host}", host % 3 * 100);
        replies.add(packet(&remote, Protocol::TCP, 40000), Requester::Unknown, 1);
    }
    let narrow = &entries(&acl(&[]), &replies)[0];
    assert_eq!(
        *narrow,
        [
            "10 TCP 32768-60999 10.1.0.0/24 ALLOW",
            "20 TCP 32768-60999 10.1.100.0/24 ALLOW",
            "30 TCP 32768-60999 10.1.200.0/24 ALLOW"
        ]
    );
}

#[test]
fn an_allow_whose_range_alone_is_too_narrow_is_widened() {
    let rules = acl(&["100 TCP 32768-60999 0.0.0.0/0 ALLOW"]);
    let replies = tcp(&[("203.0.113.7", 1024), ("203.0.113.7", 61000)]);
    // The same as the conventional proposal, which is not made twice.
    assert_eq!(
        entries(&rules, &replies),
        [["100 TCP 1024-65535 0.0.0.0/0 ALLOW (was 100 TCP 32768-60999 0.0.0.0/0 ALLOW)"]]
    );
    let fix = &proposals(&rules, &replies)[0];
    assert_eq!(fix.undo(), [Command::Replace(&entry("100 TCP 32768-60999 0.0.0.0/0 ALLOW"))]);
    // Not across a gap, and not past a deny that the wider range would undo.
    let gap = acl(&["100 TCP 443 0.0.0.0/0 ALLOW"]);
    assert_eq!(entries(&gap, &replies)[0], ["110 TCP 1024-65535 203.0.113.7/32 ALLOW"]);
    let deny = acl(&["100 TCP 32768-60999 0.0.0.0/0 ALLOW", "110 TCP 3389 0.0.0.0/0 DENY"]);
    assert_eq!(entries(&deny, &replies)[0], ["120 TCP 1024-65535 203.0.113.7/32 ALLOW"]);
}

#[test]
fn an_explicit_deny_loses_no_more_than_needed() {
    let rules = acl(&[
        "50 ALL ALL 198.51.100.0/24 DENY",
        "90 TCP 1024-50000 10.1.3.0/24 DENY",
        "100 TCP 1024-65535 10.1.0.0/16 ALLOW",
    ]);
    let replies = tcp(&[("10.1.3.19", 1388), ("10.1.3.19", 49000)]);
    // Neither more of its ports nor of its CIDR, and behind the deny that has nothing to do with it.
    assert_eq!(
        entries(&rules, &replies),
        [["80 TCP 1024-50000 10.1.3.19/32 ALLOW"], ["80 TCP 1024-65535 10.1.3.0/24 ALLOW"]]
    );
    let fix = &proposals(&rules, &replies)[0];
    assert_eq!(fix.overridden, [entry("90 TCP 1024-50000 10.1.3.0/24 DENY")]);
    assert_eq!(fix.behind, [entry("100 TCP 1024-65535 10.1.0.0/16 ALLOW")]);
    // What the deny had for itself it keeps.
    assert!(!fix.admits(&rules, Direction::Ingress, &packet("10.1.3.20", Protocol::TCP, 2000)));
    assert!(fix.admits(&rules, Direction::Ingress, &packet("10.1.3.19", Protocol::TCP, 2000)));
}

#[test]
fn entries_stay_behind_denies_that_they_would_undo() {
    let rules = acl(&["49 ALL ALL 198.51.100.0/24 DENY", "50 TCP 3389 0.0.0.0/0 DENY"]);
    let replies = tcp(&[("203.0.113.7", 40000), ("203.0.113.7", 2000)]);
    let fix = &proposals(&rules, &replies)[0];
    assert_eq!(fix.entries[0].0.rule_number, 60);
    assert!(fix.overridden.is_empty());
    assert!(!fix.admits(&rules, Direction::Ingress, &packet("203.0.113.7", Protocol::TCP, 3389)));
}

#[test]
fn the_entry_that_denies_moves_where_no_number_is_free() {
    let rules = acl(&["1 TCP ALL 10.0.0.0/8 DENY", "2 TCP 1024-65535 10.0.0.0/8 ALLOW"]);
    let replies = tcp(&[("10.1.3.19", 40000)]);
    let fix = &proposals(&rules, &replies)[0];
    assert_eq!((fix.restores, fix.of), (1, 1));
    assert_eq!(fix.moved, [(1, 2), (2, 3)]);
    let commands: Vec<_> = fix.commands().iter().map(|command| command.aws_cli("acl-0a")).collect();
    let numbers = |lines: &[String]| {
        let word = |line: &String, at| line.split_whitespace().nth(at).unwrap_or_default().to_owned();
        lines.iter().map(|line| format!("{} {}", word(line, 2), word(line, 7))).collect::<Vec<_>>()
    };
    assert_eq!(
        numbers(&commands),
        ["create-network-acl-entry 3", "replace-network-acl-entry 2", "replace-network-acl-entry 1"]
    );
    assert_eq!(fix.entries, [(entry("1 TCP 32768-60999 10.1.3.19/32 ALLOW"), None)]);
}

#[test]
fn a_full_list_says_so() {
    let rules = |count: u16| {
        let texts: Vec<_> =
            (1..=count).map(|number| format!("{} TCP 443 10.0.0.0/8 ALLOW", number * 10)).collect();
        NetworkAcl::new("acl-0a", texts.iter().map(|text| entry(text)))
    };
    let replies = tcp(&[("203.0.113.7", 40000), ("203.0.113.9", 40000), ("9.9.9.9", 40000)]);
    let quota = |count| {
        let fixes = proposals(&rules(count), &replies);
        (fixes[0].quota, fixes[0].entries.len(), fixes[0].restores, fixes.len())
    };
    assert_eq!(quota(17), (Quota::Fits, 3, 3, 2));
    // Wider rather than more than everybody may have.
    assert_eq!(quota(18), (Quota::Fits, 2, 3, 2));
    assert_eq!(quota(20), (Quota::NeedsMore(21), 1, 3, 2));
    assert_eq!(quota(36), (Quota::Fits, 3, 3, 2), "it has a raised quota");
    assert_eq!(quota(40), (Quota::Full, 0, 0, 1));
}

#[test]
fn a_list_with_a_number_twice_gets_no_proposal() {
    let rules = acl(&["100 TCP 80 0.0.0.0/0 ALLOW", "100 TCP 443 0.0.0.0/0 DENY"]);
    assert!(proposals(&rules, &tcp(&[("9.9.9.9", 40000)])).is_empty());
}

#[test]
fn other_proposals_keep_their_numbers() {
    let replies = tcp(&[("9.9.9.9", 40000)]);
    let fixes = propose(&acl(&[]), Direction::Ingress, &replies, &BTreeSet::from([10, 20]));
    assert_eq!(fixes[0].entries[0].0.rule_number, 30);
}

// An evaluator of its own, over entries that are what a command makes of them.

#[derive(Debug, Clone, Copy)]
struct Probe {
    remote: IpAddr,
    protocol: u8,
    port: u16,
    icmp_type: u8,
}

fn naive_allows(entries: &[NetworkAclEntry], probe: &Probe) -> bool {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_by_key(|entry| entry.rule_number);
    for entry in sorted {
        let prefix = u32::from(entry.cidr.prefix_len());
        let in_cidr = match (entry.cidr.addr(), probe.remote) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                prefix == 0 || (a.to_bits() ^ b.to_bits()) >> (32 - prefix) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                prefix == 0 || (a.to_bits() ^ b.to_bits()) >> (128 - prefix) == 0
            }
            _ => false,
        };
        let in_protocol = match entry.protocol {
            AclProtocol::All => true,
            AclProtocol::Number(Protocol(number)) => {
                let ports = entry.ports.filter(|_| number == 6 || number == 17);
                let icmp = entry.icmp.filter(|_| number == if probe.remote.is_ipv4() { 1 } else { 58 });
                number == probe.protocol
                    && ports.is_none_or(|range| range.from <= probe.port && probe.port <= range.to)
                    && icmp.is_none_or(|icmp| icmp.icmp_type.is_none_or(|wanted| wanted == probe.icmp_type))
            }
        };
        if in_cidr && in_protocol {
            return entry.action == RuleAction::Allow;
        }
    }
    false
}

/// The list after these calls, or why one of them would fail.
fn after(entries: &[NetworkAclEntry], commands: &[Command<'_>]) -> Result<Vec<NetworkAclEntry>, String> {
    let mut list: BTreeMap<u16, NetworkAclEntry> =
        entries.iter().map(|entry| (entry.rule_number, entry.clone())).collect();
    for command in commands {
        let is_known = match command {
            Command::Create(entry) => {
                if !(1..=32766).contains(&entry.rule_number) {
                    return Err(format!("{} is no rule number", entry.rule_number));
                }
                list.insert(entry.rule_number, (*entry).clone()).is_none()
            }
            Command::Replace(entry) => list.insert(entry.rule_number, (*entry).clone()).is_some(),
            Command::Delete(_, number) => list.remove(number).is_some(),
        };
        if !is_known {
            return Err(format!("{command:?} fails"));
        }
    }
    Ok(list.into_values().collect())
}

fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = (prop::sample::select(vec![[10, 1], [10, 200], [52, 94], [9, 9]]), 0u8..3, 0u8..6)
        .prop_map(|([a, b], c, d)| IpAddr::from([a, b, c, d]));
    let v6 = (0u16..3, 0u16..3).prop_map(|(a, b)| IpAddr::from([0x2001, 0xdb8, a, 0, 0, 0, 0, b]));
    prop_oneof![3 => v4, 1 => v6]
}

fn port() -> impl Strategy<Value = u16> {
    let edges = vec![0, 53, 123, 1023, 1024, 3389, 32767, 32768, 49152, 60999, 61000, 65535];
    prop_oneof![prop::sample::select(edges), any::<u16>()]
}

fn rule() -> impl Strategy<Value = NetworkAclEntry> {
    let number = prop_oneof![1u16..12, 1u16..300, 32750u16..=32766];
    let protocol = prop::sample::select(vec![-1, 1, 6, 6, 6, 17, 58]);
    let prefix = prop::sample::select(vec![0u8, 0, 8, 16, 24, 32, 64]);
    (number, address(), prefix, protocol, (port(), port()), any::<bool>(), prop::option::of(0u8..9)).prop_map(
        |(rule_number, addr, prefix, protocol, (a, b), allow, icmp_type)| NetworkAclEntry {
            rule_number,
            direction: Direction::Ingress,
            cidr: IpNet::new(addr, if addr.is_ipv4() { prefix.min(32) } else { prefix })
                .expect("prefix")
                .trunc(),
            protocol: u8::try_from(protocol)
                .map_or(AclProtocol::All, |number| AclProtocol::Number(Protocol(number))),
            ports: (protocol == 6 || protocol == 17).then_some(PortRange { from: a.min(b), to: a.max(b) }),
            icmp: (protocol == 1 || protocol == 58).then_some(IcmpTypeCode { icmp_type, code: None }),
            action: if allow { RuleAction::Allow } else { RuleAction::Deny },
        },
    )
}

/// Up to a full list, every number once.
fn rules() -> impl Strategy<Value = Vec<NetworkAclEntry>> {
    let count = prop_oneof![8 => 0usize..12, 1 => 0usize..42];
    count.prop_flat_map(|count| prop::collection::vec(rule(), count)).prop_map(|rules| {
        let mut seen = BTreeSet::new();
        rules.into_iter().filter(|rule| seen.insert(rule.rule_number)).collect()
    })
}

fn reply() -> impl Strategy<Value = (Packet, Requester)> {
    let requester = prop::sample::select(vec![Requester::Managed, Requester::Unknown, Requester::Unknown]);
    (address(), prop::sample::select(vec![6, 6, 17, 1, 47]), port(), requester).prop_map(
        |(remote, protocol, port, requester)| {
            let protocol = Protocol(if protocol == 1 && remote.is_ipv6() { 58 } else { protocol });
            let dstport = protocol.has_ports().then_some(port);
            (Packet { remote, protocol, dstport, icmp: None }, requester)
        },
    )
}

fn probe() -> impl Strategy<Value = Probe> {
    (address(), prop::sample::select(vec![6, 17, 1, 58, 47]), port(), 0u8..10)
        .prop_map(|(remote, protocol, port, icmp_type)| Probe { remote, protocol, port, icmp_type })
}

/// All that a reply may have been.
fn probes(packet: &Packet) -> Vec<Probe> {
    let of = |icmp_type| Probe {
        remote: packet.remote,
        protocol: packet.protocol.0,
        port: packet.dstport.unwrap_or(0),
        icmp_type,
    };
    (0..10).map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn proposals_do_what_they_claim(
        rules in rules(),
        seen in prop::collection::vec(reply(), 1..25),
        others in prop::collection::vec(probe(), 60),
        reserved in prop::collection::btree_set(prop_oneof![1u16..12, 90u16..130], 0..3),
    ) {
        let acl = NetworkAcl::new("acl-0a", rules.iter().cloned());
        let mut replies = Replies::default();
        for (packet, requester) in &seen {
            replies.add(*packet, *requester, 1);
        }
        let fixes = propose(&acl, Direction::Ingress, &replies, &reserved);
        let all_allowed = |entries: &[NetworkAclEntry], packet: &Packet| {
            probes(packet).iter().all(|probe| naive_allows(entries, probe))
        };
        prop_assert_eq!(fixes.is_empty(), seen.iter().all(|(packet, _)| all_allowed(&rules, packet)
            || evaluate(&acl, Direction::Ingress, packet, Observed::Rejected).action == Action::Allow));
        for fix in &fixes {
            let changed = after(&rules, &fix.commands()).map_err(TestCaseError::fail)?;
            let restored = seen.iter().filter(|(packet, _)| all_allowed(&changed, packet)).count();
            prop_assert_eq!((fix.restores, fix.of), (restored as u64, seen.len() as u64), "{:?}", fix);
            // Nothing that passed before is denied, at no moment.
            for done in 0..=fix.changes.len() {
                let so_far = after(&rules, &fix.commands()[..done]).map_err(TestCaseError::fail)?;
                for probe in &others {
                    prop_assert!(!naive_allows(&rules, probe) || naive_allows(&so_far, probe), "{:?} {:?}", probe, fix);
                }
            }
            // What else it lets in is what it says.
            for probe in &others {
                let packet = Packet {
                    remote: probe.remote,
                    protocol: Protocol(probe.protocol),
                    dstport: Some(probe.port),
                    icmp: Some((probe.icmp_type, 0)),
                };
                let is_new = !naive_allows(&rules, probe) && naive_allows(&changed, probe);
                prop_assert_eq!(fix.admits(&acl, Direction::Ingress, &packet), is_new);
            }
            for change in &fix.changes {
                let is_new_number = matches!(change, Change::Create(_));
                prop_assert!(!is_new_number || !reserved.contains(&change.entry().rule_number));
            }
            prop_assert!(changed.len() + reserved.len() <= HIGHEST_QUOTA.max(rules.len() + reserved.len()));
            // The way back leads to where it began.
            let mut before = rules.clone();
            before.sort_by_key(|entry| entry.rule_number);
            prop_assert_eq!(after(&changed, &fix.undo()).map_err(TestCaseError::fail)?, before);
        }
        // The narrow proposal lets nothing in that the conventional one does not, but for ports below 1024, protocols
        // without ports, and what it can reach where the other is not.
        if let [narrow, conventional] = &fixes[..] {
            let [narrow, conventional] =
                [narrow, conventional].map(|fix| after(&rules, &fix.commands()).unwrap_or_default());
            for probe in others.iter().filter(|probe| probe.port >= 1024 && matches!(probe.protocol, 6 | 17)) {
                let is_new = !naive_allows(&rules, probe) && naive_allows(&narrow, probe);
                prop_assert!(!is_new || naive_allows(&conventional, probe), "{:?}", probe);
            }
        }
    }
}
