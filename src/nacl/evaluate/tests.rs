//! The evaluator against tables of AWS's documented behaviour and against a naive oracle.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::super::model::{AclProtocol, IcmpTypeCode, PortRange};
use super::*;

/// Entries of one direction written as the console shows them, in any order.
fn acl(direction: Direction, rules: &[&str]) -> NetworkAcl {
    NetworkAcl::new("acl-1", rules.iter().map(|rule| entry(direction, rule)))
}

fn entry(direction: Direction, rule: &str) -> NetworkAclEntry {
    let words: Vec<_> = rule.split(' ').collect();
    let number = |text: &str| text.parse().unwrap();
    let protocol = match words[1] {
        "ALL" => AclProtocol::All,
        name => AclProtocol::Number(Protocol::from_name(name).unwrap()),
    };
    let any = |text: &str| (text != "ALL").then(|| text.parse().unwrap());
    NetworkAclEntry {
        rule_number: number(words[0]),
        direction,
        cidr: words[3].parse().unwrap(),
        protocol,
        ports: words[2]
            .split_once('-')
            .map(|(from, to)| PortRange { from: number(from), to: number(to) })
            .or_else(|| words[2].parse().ok().map(|port| PortRange { from: port, to: port })),
        icmp: words[2]
            .split_once('/')
            .map(|(icmp_type, code)| IcmpTypeCode { icmp_type: any(icmp_type), code: any(code) }),
        action: if words[4] == "ALLOW" { RuleAction::Allow } else { RuleAction::Deny },
    }
}

fn tcp(remote: &str, dstport: u16) -> Packet {
    Packet { remote: remote.parse().unwrap(), protocol: Protocol::TCP, dstport: Some(dstport), icmp: None }
}

fn ping(remote: &str) -> Packet {
    Packet { remote: remote.parse().unwrap(), protocol: Protocol::ICMP, dstport: None, icmp: None }
}

fn rejected<'a>(acl: &'a NetworkAcl, packet: &Packet) -> Verdict<'a> {
    evaluate(acl, Direction::Ingress, packet, Observed::Rejected)
}

#[test]
fn the_lowest_matching_number_decides() {
    let ephemeral = ["140 TCP 1024-65535 0.0.0.0/0 ALLOW"];
    let narrow = ["100 TCP 32768-60999 0.0.0.0/0 ALLOW", "110 TCP 443 0.0.0.0/0 ALLOW"];
    let deny_first = ["100 TCP 1024-65535 0.0.0.0/0 ALLOW", "90 TCP ALL 198.51.100.0/24 DENY"];
    let unsorted =
        ["32767 ALL ALL 0.0.0.0/0 DENY", "200 ALL ALL 0.0.0.0/0 DENY", "100 ALL ALL 0.0.0.0/0 ALLOW"];
    let both = ["100 ALL ALL 0.0.0.0/0 ALLOW", "101 ALL ALL ::/0 DENY"];
    let table: &[(&[&str], &str, u16, Action, u16)] = &[
        (&ephemeral, "203.0.113.9", 1023, Action::Deny, 32767),
        (&ephemeral, "203.0.113.9", 1024, Action::Allow, 140),
        (&ephemeral, "203.0.113.9", 65535, Action::Allow, 140),
        (&narrow, "203.0.113.9", 61000, Action::Deny, 32767),
        (&narrow, "203.0.113.9", 32768, Action::Allow, 100),
        (&narrow, "203.0.113.9", 443, Action::Allow, 110),
        (&deny_first, "198.51.100.7", 50000, Action::Deny, 90),
        (&deny_first, "198.51.101.7", 50000, Action::Allow, 100),
        (&unsorted, "203.0.113.9", 1, Action::Allow, 100),
        (&ephemeral, "2001:db8::1", 50000, Action::Deny, 32768),
        (&both, "2001:db8::1", 50000, Action::Deny, 101),
        (&both, "203.0.113.9", 50000, Action::Allow, 100),
        (&[], "203.0.113.9", 50000, Action::Deny, 32767),
    ];
    for &(rules, remote, dstport, action, rule_number) in table {
        for direction in [Direction::Ingress, Direction::Egress] {
            let acl = acl(direction, rules);
            let verdict = evaluate(&acl, direction, &tcp(remote, dstport), Observed::Rejected);
            let decided = (verdict.action, verdict.rule.map(|rule| rule.rule_number));
            assert_eq!(decided, (action, Some(rule_number)), "{rules:?} {remote} {dstport}");
            assert_eq!(verdict.may_be_allowed, action == Action::Allow);
            assert_eq!(verdict.may_be_denied(), action == Action::Deny);
        }
    }
}

#[test]
fn protocols_other_than_tcp_and_udp_have_no_ports() {
    let gre =
        Packet { remote: IpAddr::from([203, 0, 113, 9]), protocol: Protocol(47), dstport: None, icmp: None };
    let acl = acl(Direction::Ingress, &["100 gre 80 0.0.0.0/0 ALLOW"]);
    assert_eq!(rejected(&acl, &gre).action, Action::Allow);
    let all_ports = self::acl(Direction::Ingress, &["100 tcp 0-65535 0.0.0.0/0 ALLOW"]);
    let unknown_port = Packet { dstport: None, ..tcp("203.0.113.9", 0) };
    assert_eq!(rejected(&all_ports, &unknown_port).action, Action::Allow);
}

#[test]
fn steps_say_which_part_failed() {
    let rules = [
        "50 ALL ALL ::/0 ALLOW",
        "100 UDP 53 10.0.0.0/8 ALLOW",
        "110 TCP 443 10.0.0.0/8 ALLOW",
        "120 TCP 443 0.0.0.0/0 ALLOW",
        "130 ICMP 3/4 0.0.0.0/0 ALLOW",
    ];
    let expected = ["address family", "protocol, source", "port, source", "port", "protocol", "matched"];
    let acl_in = acl(Direction::Ingress, &rules);
    let verdict = rejected(&acl_in, &tcp("203.0.113.9", 50000));
    let steps: Vec<_> = verdict.steps.iter().map(|step| step.outcome.describe(Direction::Ingress)).collect();
    assert_eq!(steps, expected);
    let acl_out = acl(Direction::Egress, &rules);
    let verdict = evaluate(&acl_out, Direction::Egress, &tcp("203.0.113.9", 50000), Observed::Rejected);
    assert_eq!(verdict.steps[2].outcome.describe(Direction::Egress), "port, destination");
}

#[test]
fn an_unknown_icmp_type_leaves_only_denies_open() {
    /// Rules; action, deciding rule, candidates, whether it may be allowed.
    type Row<'a> = (&'a [&'a str], Action, Option<u16>, &'a [u16], bool);
    let numbers = |entries: &[&NetworkAclEntry]| entries.iter().map(|e| e.rule_number).collect::<Vec<_>>();
    let table: &[Row<'_>] = &[
        // The rejection proves that it was not the allowed type.
        (&["100 ICMP 0/0 0.0.0.0/0 ALLOW"], Action::Deny, Some(32767), &[], false),
        (&["100 ICMP 0/0 0.0.0.0/0 DENY"], Action::Undetermined, None, &[100, 32767], false),
        (
            &["100 ICMP 0/0 0.0.0.0/0 DENY", "110 ALL ALL 0.0.0.0/0 ALLOW"],
            Action::Undetermined,
            None,
            &[100],
            true,
        ),
        (&["100 ICMP ALL/ALL 0.0.0.0/0 DENY"], Action::Deny, Some(100), &[], false),
        (&["100 ICMP ALL 0.0.0.0/0 ALLOW"], Action::Allow, Some(100), &[], true),
        // Whatever 110 could deny was taken by 100 before it.
        (
            &["100 ICMP 3/ALL 0.0.0.0/0 ALLOW", "110 ICMP 3/4 0.0.0.0/0 DENY"],
            Action::Deny,
            Some(32767),
            &[],
            false,
        ),
        (&["100 ICMP 8/ALL 10.0.0.0/8 DENY"], Action::Deny, Some(32767), &[], false),
    ];
    for &(rules, action, rule_number, candidates, may_be_allowed) in table {
        let acl = acl(Direction::Ingress, rules);
        let verdict = rejected(&acl, &ping("203.0.113.9"));
        assert_eq!(verdict.action, action, "{rules:?}");
        assert_eq!(verdict.rule.map(|rule| rule.rule_number), rule_number, "{rules:?}");
        assert_eq!(numbers(&verdict.candidates), candidates, "{rules:?}");
        assert_eq!(verdict.may_be_allowed, may_be_allowed, "{rules:?}");
    }
    let acl = acl(Direction::Ingress, &["100 ICMP 0/0 0.0.0.0/0 ALLOW", "110 ALL ALL 0.0.0.0/0 ALLOW"]);
    let verdict = evaluate(&acl, Direction::Ingress, &ping("203.0.113.9"), Observed::Nothing);
    assert_eq!((verdict.action, numbers(&verdict.candidates)), (Action::Undetermined, vec![100, 110]));
    assert!(verdict.may_be_allowed && !verdict.may_be_denied());
}

#[test]
fn near_misses_name_the_part_or_the_order() {
    let describe = |acl: &NetworkAcl, packet: &Packet| -> Vec<(u16, String)> {
        near_misses(acl, Direction::Ingress, packet)
            .into_iter()
            .map(|miss| (miss.entry.rule_number, miss.reason.describe(Direction::Ingress)))
            .collect()
    };
    let named = |rows: &[(u16, &str)]| -> Vec<(u16, String)> {
        rows.iter().map(|&(number, text)| (number, text.to_owned())).collect()
    };
    let acl_tcp = acl(
        Direction::Ingress,
        &[
            "80 TCP 443 0.0.0.0/0 ALLOW",
            "90 TCP 1024-65535 198.51.100.0/24 DENY",
            "100 TCP 1024-65535 0.0.0.0/0 ALLOW",
            "110 ALL ALL ::/0 ALLOW",
            "120 UDP ALL 10.0.0.0/8 ALLOW",
        ],
    );
    assert_eq!(
        describe(&acl_tcp, &tcp("198.51.100.7", 50000)),
        named(&[(80, "port"), (100, "rule order"), (110, "address family"), (120, "protocol, source")])
    );
    assert!(describe(&acl_tcp, &tcp("203.0.113.9", 50000)).is_empty(), "an allowed packet missed nothing");
    let acl_icmp = acl(
        Direction::Ingress,
        &["90 ICMP 3/4 0.0.0.0/0 ALLOW", "100 ALL ALL 0.0.0.0/0 DENY", "110 ICMP 0/0 0.0.0.0/0 ALLOW"],
    );
    assert_eq!(describe(&acl_icmp, &ping("203.0.113.9")), named(&[(90, "icmp type"), (110, "rule order")]));
}

#[test]
fn a_flow_is_tested_by_its_far_address_and_its_destination_port() {
    let flow = FiveTuple {
        srcaddr: IpAddr::from([203, 0, 113, 9]),
        dstaddr: IpAddr::from([10, 0, 1, 5]),
        srcport: 443,
        dstport: 50000,
        protocol: Protocol::TCP,
    };
    let ingress = Packet::of_flow(Direction::Ingress, &flow);
    assert_eq!((ingress.remote, ingress.dstport), (flow.srcaddr, Some(50000)));
    assert_eq!(Packet::of_flow(Direction::Egress, &flow).remote, flow.dstaddr);
    let echo = FiveTuple { protocol: Protocol::ICMP, srcport: 0, dstport: 0, ..flow };
    assert_eq!(Packet::of_flow(Direction::Ingress, &echo).dstport, None);
}

// The oracle: entries as bare numbers, bytes and bits, and the plainest possible reading of the AWS guide.

#[derive(Debug, Clone)]
struct RawEntry {
    number: u16,
    egress: bool,
    allow: bool,
    v6: bool,
    address: [u8; 16],
    prefix: u8,
    protocol: i16,
    ports: Option<(u16, u16)>,
    icmp: Option<(i16, i16)>,
}

#[derive(Debug, Clone)]
struct RawPacket {
    v6: bool,
    address: [u8; 16],
    protocol: u8,
    dstport: u16,
    icmp: (u8, u8),
}

#[expect(clippy::collapsible_if, reason = "one question a line: it must be right at sight")]
fn oracle_matches(entry: &RawEntry, packet: &RawPacket) -> bool {
    if entry.v6 != packet.v6 {
        return false;
    }
    for bit in 0..usize::from(entry.prefix) {
        let mask = 0x80 >> (bit % 8);
        if entry.address[bit / 8] & mask != packet.address[bit / 8] & mask {
            return false;
        }
    }
    if entry.protocol != -1 && entry.protocol != i16::from(packet.protocol) {
        return false;
    }
    if entry.protocol == 6 || entry.protocol == 17 {
        if let Some((from, to)) = entry.ports {
            if packet.dstport < from || packet.dstport > to {
                return false;
            }
        }
    }
    if (entry.protocol == 1 && !entry.v6) || (entry.protocol == 58 && entry.v6) {
        if let Some((icmp_type, code)) = entry.icmp {
            if icmp_type != -1 && icmp_type != i16::from(packet.icmp.0) {
                return false;
            }
            if code != -1 && code != i16::from(packet.icmp.1) {
                return false;
            }
        }
    }
    true
}

/// The deciding rule's number and whether it allows.
fn oracle(entries: &[RawEntry], egress: bool, packet: &RawPacket) -> (u16, bool) {
    let mut best: Option<&RawEntry> = None;
    for entry in entries {
        if entry.egress == egress
            && oracle_matches(entry, packet)
            && best.is_none_or(|chosen| entry.number < chosen.number)
        {
            best = Some(entry);
        }
    }
    match best {
        Some(entry) => (entry.number, entry.allow),
        None => (if packet.v6 { 32768 } else { 32767 }, false),
    }
}

fn ip(v6: bool, bytes: [u8; 16]) -> IpAddr {
    if v6 {
        IpAddr::V6(Ipv6Addr::from(bytes))
    } else {
        IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
    }
}

fn build(entries: &[RawEntry]) -> NetworkAcl {
    NetworkAcl::new(
        "acl-1",
        entries.iter().map(|raw| NetworkAclEntry {
            rule_number: raw.number,
            direction: if raw.egress { Direction::Egress } else { Direction::Ingress },
            cidr: IpNet::new(ip(raw.v6, raw.address), raw.prefix).unwrap(),
            protocol: u8::try_from(raw.protocol)
                .map_or(AclProtocol::All, |number| AclProtocol::Number(Protocol(number))),
            ports: raw.ports.map(|(from, to)| PortRange { from, to }),
            icmp: raw.icmp.map(|(icmp_type, code)| IcmpTypeCode {
                icmp_type: u8::try_from(icmp_type).ok(),
                code: u8::try_from(code).ok(),
            }),
            action: if raw.allow { RuleAction::Allow } else { RuleAction::Deny },
        }),
    )
}

fn address() -> impl Strategy<Value = [u8; 16]> {
    (0u8..2, 0u8..4, any::<u8>(), any::<u8>()).prop_map(|(b, c, d, e)| {
        let mut bytes = [0; 16];
        (bytes[0], bytes[1], bytes[2], bytes[3], bytes[15]) = (10, b, c, d, e);
        bytes
    })
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![prop::sample::select(vec![0, 1, 443, 1023, 1024, 1025, 65534, 65535]), any::<u16>()]
}

fn protocol_number() -> impl Strategy<Value = u8> {
    prop_oneof![4 => prop::sample::select(vec![1, 6, 17, 58]), 1 => any::<u8>()]
}

fn raw_entry() -> impl Strategy<Value = RawEntry> {
    let cidr =
        (any::<bool>(), address(), prop::sample::select(vec![0, 0, 8, 15, 16, 23, 24, 25, 32, 127, 128]));
    let protocol = prop_oneof![1 => Just(-1), 4 => protocol_number().prop_map(i16::from)];
    let ports = prop::option::weighted(0.8, (port(), port()).prop_map(|(a, b)| (a.min(b), a.max(b))));
    let icmp_type = prop::sample::select(vec![-1, 0, 3, 8, 11, 128]);
    let icmp = prop::option::weighted(0.8, (icmp_type, prop::sample::select(vec![-1, 0, 4])));
    (1u16..60, any::<bool>(), any::<bool>(), cidr, protocol, ports, icmp).prop_map(
        |(number, egress, allow, (v6, address, prefix), protocol, ports, icmp)| {
            let prefix = if v6 { prefix } else { prefix.min(32) };
            RawEntry { number, egress, allow, v6, address, prefix, protocol, ports, icmp }
        },
    )
}

/// Entries in random order, every number once a direction, with or without the `*` rows that the API lists.
fn raw_entries() -> impl Strategy<Value = Vec<RawEntry>> {
    (prop::collection::vec(raw_entry(), 0..14), any::<bool>()).prop_map(|(mut entries, listed)| {
        let mut seen = BTreeSet::new();
        entries.retain(|entry| seen.insert((entry.egress, entry.number)));
        for (number, v6) in [(32767, false), (32768, true)] {
            for egress in [false, true] {
                let (allow, address, prefix, protocol) = (false, [0; 16], 0, -1);
                let star = RawEntry {
                    number,
                    egress,
                    allow,
                    v6,
                    address,
                    prefix,
                    protocol,
                    ports: None,
                    icmp: None,
                };
                entries.extend(listed.then_some(star));
            }
        }
        entries.reverse();
        entries
    })
}

fn raw_packet() -> impl Strategy<Value = RawPacket> {
    let icmp = (prop::sample::select(vec![0u8, 3, 8, 11, 128, 255]), prop::sample::select(vec![0u8, 4, 255]));
    (any::<bool>(), address(), protocol_number(), port(), icmp)
        .prop_map(|(v6, address, protocol, dstport, icmp)| RawPacket { v6, address, protocol, dstport, icmp })
}

fn known(raw: &RawPacket) -> Packet {
    Packet {
        remote: ip(raw.v6, raw.address),
        protocol: Protocol(raw.protocol),
        dstport: Some(raw.dstport),
        icmp: Some(raw.icmp),
    }
}

fn numbers(entries: &[&NetworkAclEntry]) -> BTreeSet<u16> {
    entries.iter().map(|entry| entry.rule_number).collect()
}

/// The rules that decide a packet over all values of the fact that is unknown; `(all, denies)`.
fn deciders<'a>(
    entries: &[RawEntry],
    egress: bool,
    packets: impl Iterator<Item = RawPacket> + 'a,
) -> (BTreeSet<u16>, BTreeSet<u16>) {
    let decided: Vec<_> = packets.map(|packet| oracle(entries, egress, &packet)).collect();
    let all = decided.iter().map(|&(number, _)| number).collect();
    let denies = decided.iter().filter(|(_, allow)| !allow).map(|&(number, _)| number).collect();
    (all, denies)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_oracle_when_every_fact_is_known(
        entries in raw_entries(), egress in any::<bool>(), raw in raw_packet(), was_rejected in any::<bool>(),
    ) {
        let acl = build(&entries);
        let direction = if egress { Direction::Egress } else { Direction::Ingress };
        let observed = if was_rejected { Observed::Rejected } else { Observed::Nothing };
        let verdict = evaluate(&acl, direction, &known(&raw), observed);
        let without_steps = Verdict { steps: Vec::new(), ..verdict.clone() };
        prop_assert_eq!(verdict_on(&acl, direction, &known(&raw), observed), without_steps);
        let (number, allow) = oracle(&entries, egress, &raw);
        prop_assert_eq!(verdict.rule.map(|rule| rule.rule_number), Some(number));
        prop_assert_eq!(verdict.action, if allow { Action::Allow } else { Action::Deny });
        prop_assert!(verdict.candidates.is_empty());
        prop_assert_eq!(verdict.steps.last().map(|step| step.outcome), Some(Outcome::Matched));
        let earlier = &verdict.steps[..verdict.steps.len() - 1];
        prop_assert!(earlier.iter().all(|step| matches!(step.outcome, Outcome::Mismatch(parts) if !parts.is_empty())));

        // A near miss is an allow entry, and it is called a matter of order exactly when it would have
        // matched.
        let misses = near_misses(&acl, direction, &known(&raw));
        let allows: Vec<_> = entries.iter().filter(|entry| entry.egress == egress && entry.allow).collect();
        prop_assert_eq!(misses.len(), if allow { 0 } else { allows.len() });
        for miss in misses {
            let same = allows.iter().find(|entry| entry.number == miss.entry.rule_number);
            let matches = same.is_some_and(|entry| oracle_matches(entry, &raw));
            prop_assert_eq!(miss.reason == NearMissReason::RuleOrder, matches);
        }
    }

    #[test]
    fn an_unknown_icmp_type_stands_for_every_type(
        entries in raw_entries(), egress in any::<bool>(), mut raw in raw_packet(),
    ) {
        raw.protocol = if raw.v6 { 58 } else { 1 };
        // 255/255 is in no entry: it stands for all the types that none of them names.
        let every = [0u8, 3, 8, 11, 128, 255].into_iter().flat_map(|t| [0u8, 4, 255].map(|code| (t, code)));
        let (all, denies) =
            deciders(&entries, egress, every.map(|icmp| RawPacket { icmp, ..raw.clone() }));
        let allowed_otherwise = oracle(&entries, egress, &RawPacket { icmp: (255, 255), ..raw.clone() }).1;
        let acl = build(&entries);
        let direction = if egress { Direction::Egress } else { Direction::Ingress };
        let packet = Packet { icmp: None, ..known(&raw) };

        let verdict = evaluate(&acl, direction, &packet, Observed::Rejected);
        let decider: BTreeSet<_> = verdict.rule.map(|rule| rule.rule_number).into_iter().collect();
        match verdict.action {
            Action::Allow => prop_assert!(denies.is_empty()),
            Action::Deny => prop_assert_eq!(&denies, &decider),
            Action::Undetermined => {
                prop_assert_eq!(&denies, &numbers(&verdict.candidates));
                prop_assert_eq!(verdict.may_be_allowed, allowed_otherwise);
            }
        }
        let verdict = evaluate(&acl, direction, &packet, Observed::Nothing);
        let deciding = verdict.rule.map_or_else(|| numbers(&verdict.candidates), |rule| [rule.rule_number].into());
        prop_assert_eq!(&deciding, &all);
        prop_assert_eq!(verdict.may_be_denied(), !denies.is_empty());
        prop_assert_eq!(verdict.may_be_allowed, all != denies);
    }

    #[test]
    fn an_unknown_port_hides_no_deciding_rule(
        entries in raw_entries(), egress in any::<bool>(), mut raw in raw_packet(), udp in any::<bool>(),
    ) {
        raw.protocol = if udp { 17 } else { 6 };
        let edges: BTreeSet<u16> = entries.iter().filter_map(|entry| entry.ports)
            .flat_map(|(from, to)| [from, to, from.saturating_sub(1), to.saturating_add(1)]).collect();
        let (all, denies) =
            deciders(&entries, egress, edges.into_iter().map(|dstport| RawPacket { dstport, ..raw.clone() }));
        let acl = build(&entries);
        let direction = if egress { Direction::Egress } else { Direction::Ingress };
        let packet = Packet { dstport: None, ..known(&raw) };
        for (observed, expected) in [(Observed::Rejected, denies), (Observed::Nothing, all)] {
            let verdict = evaluate(&acl, direction, &packet, observed);
            let deciding =
                verdict.rule.map_or_else(|| numbers(&verdict.candidates), |rule| [rule.rule_number].into());
            prop_assert!(expected.is_subset(&deciding), "{expected:?} {deciding:?}");
        }
    }
}
