//! From lines of a log and a saved configuration to a cause: one case for each way a verdict can go.

use std::path::Path;

use super::*;
use crate::correlate::{Correlated, Correlator, Gatherer, Options, Selection};
use crate::net::Direction;
use crate::network::NetworkConfig;
use crate::record::LineReader;

const V2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";

/// Two subnets; the ACL of the first lets TCP 443 in and everything out, that of the second denies by number and by
/// ICMP type; the VPC's default ACL allows everything.
const SNAPSHOT: &str = r#"{
 "NetworkAcls":[
  {"NetworkAclId":"acl-a","VpcId":"vpc-1","IsDefault":false,"Associations":[{"SubnetId":"subnet-a","NetworkAclId":"acl-a"}],
   "Entries":[
    {"RuleNumber":100,"Egress":false,"Protocol":"6","PortRange":{"From":443,"To":443},"CidrBlock":"0.0.0.0/0","RuleAction":"allow"},
    {"RuleNumber":110,"Egress":false,"Protocol":"-1","CidrBlock":"203.0.113.0/24","RuleAction":"allow"},
    {"RuleNumber":100,"Egress":true,"Protocol":"-1","CidrBlock":"0.0.0.0/0","RuleAction":"allow"}]},
  {"NetworkAclId":"acl-b","VpcId":"vpc-1","IsDefault":false,"Associations":[{"SubnetId":"subnet-b","NetworkAclId":"acl-b"}],
   "Entries":[
    {"RuleNumber":90,"Egress":false,"Protocol":"1","IcmpTypeCode":{"Type":0,"Code":-1},"CidrBlock":"0.0.0.0/0","RuleAction":"deny"},
    {"RuleNumber":95,"Egress":false,"Protocol":"6","PortRange":{"From":1024,"To":65535},"CidrBlock":"192.0.2.0/24","RuleAction":"deny"},
    {"RuleNumber":100,"Egress":false,"Protocol":"-1","CidrBlock":"0.0.0.0/0","RuleAction":"allow"},
    {"RuleNumber":100,"Egress":true,"Protocol":"-1","CidrBlock":"0.0.0.0/0","RuleAction":"allow"}]},
  {"NetworkAclId":"acl-d","VpcId":"vpc-1","IsDefault":true,"Entries":[
    {"RuleNumber":100,"Egress":false,"Protocol":"-1","CidrBlock":"0.0.0.0/0","RuleAction":"allow"},
    {"RuleNumber":100,"Egress":true,"Protocol":"-1","CidrBlock":"0.0.0.0/0","RuleAction":"allow"}]}],
 "Subnets":[{"SubnetId":"subnet-a","VpcId":"vpc-1","CidrBlock":"10.0.1.0/24"},
            {"SubnetId":"subnet-b","VpcId":"vpc-1","CidrBlock":"10.0.2.0/24"},
            {"SubnetId":"subnet-d","VpcId":"vpc-1","CidrBlock":"10.0.4.0/24"}],
 "NetworkInterfaces":[
  {"NetworkInterfaceId":"eni-a","SubnetId":"subnet-a","VpcId":"vpc-1","PrivateIpAddress":"10.0.1.10"},
  {"NetworkInterfaceId":"eni-b","SubnetId":"subnet-b","VpcId":"vpc-1","PrivateIpAddress":"10.0.2.10"},
  {"NetworkInterfaceId":"eni-d","SubnetId":"subnet-d","VpcId":"vpc-1","PrivateIpAddress":"10.0.4.10"},
  {"NetworkInterfaceId":"eni-tgw","SubnetId":"subnet-a","VpcId":"vpc-1","PrivateIpAddress":"10.0.1.200","InterfaceType":"transit_gateway"}]}"#;

/// What a test looks at.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    cause: Cause,
    confidence: Confidence,
    direction: Option<Direction>,
    acl: Option<String>,
    rule: Option<u16>,
    candidates: Vec<u16>,
    detail: Option<&'static str>,
}

fn config(json: &str) -> NetworkConfig {
    NetworkConfig::from_json(Path::new("snapshot.json"), json.as_bytes()).expect("snapshot")
}

fn captured_at(time: &str) -> NetworkConfig {
    config(&format!(r#"{},"flowcheck":{{"captured_at":"{time}"}}}}"#, SNAPSHOT.trim_end_matches('}')))
}

fn read(lines: &str) -> Correlated {
    let selection = Selection::default();
    let mut gatherer = Gatherer::new(&selection, 300);
    let mut reader = LineReader::new(&[]);
    for (line, number) in lines.lines().zip(1..) {
        reader.line(number, line.as_bytes(), &mut gatherer);
    }
    reader.end(&mut gatherer);
    let mut batch = gatherer.take();
    assert_eq!(batch.malformed, []);
    let mut correlator =
        Correlator::new(Options { match_window_seconds: 300, memory_limit_bytes: usize::MAX });
    correlator.absorb(&mut batch).expect("the only batch");
    correlator.finish(2)
}

fn said(judged: &Judged<'_>) -> Verdict {
    Verdict {
        cause: judged.cause,
        confidence: judged.confidence,
        direction: judged.direction,
        acl: judged.network_acl.map(|acl| acl.network_acl_id.clone()),
        rule: judged.rule.map(|entry| entry.rule_number),
        candidates: judged.candidates.iter().map(|(_, entry)| entry.rule_number).collect(),
        detail: judged.detail.as_ref().map(Detail::slug),
    }
}

fn judge_lines(lines: &str, config: &NetworkConfig) -> Vec<Verdict> {
    let correlated = read(lines);
    let places = Places::new(&correlated.interfaces, config);
    judge_conversations(&correlated.conversations, &places).iter().map(said).collect()
}

/// The only verdict on the lines.
fn judge_one(lines: &str, config: &NetworkConfig) -> Verdict {
    let mut verdicts = judge_lines(lines, config);
    assert_eq!(verdicts.len(), 1, "{verdicts:?}");
    verdicts.remove(0)
}

/// A request and its rejected reply in the default format, twenty seconds apart.
fn pair(interface: &str, requester: &str, responder: &str, protocol: u8) -> String {
    let ports = if protocol == 1 { ["0", "0"] } else { ["40000", "5432"] };
    let [own, service] = ports;
    format!(
        "{V2}\n2 1 {interface} {requester} {responder} {own} {service} {protocol} 1 60 1700000000 1700000010 ACCEPT OK\n\
         2 1 {interface} {responder} {requester} {service} {own} {protocol} 1 60 1700000030 1700000050 REJECT OK"
    )
}

#[test]
fn the_default_rule_is_blamed_when_nothing_matches() {
    let verdict = judge_one(&pair("eni-a", "10.0.1.10", "192.0.2.9", 6), &config(SNAPSHOT));
    assert_eq!(
        verdict,
        Verdict {
            cause: Cause::NaclDefault,
            confidence: Confidence::Likely,
            direction: Some(Direction::Ingress),
            acl: Some("acl-a".to_owned()),
            rule: Some(32767),
            candidates: vec![],
            detail: None,
        }
    );
}

#[test]
fn a_numbered_deny_is_blamed_by_its_number() {
    let verdict = judge_one(&pair("eni-b", "10.0.2.10", "192.0.2.9", 6), &config(SNAPSHOT));
    assert_eq!((verdict.cause, verdict.rule), (Cause::NaclRule, Some(95)));
}

#[test]
fn an_acl_that_allows_the_reply_is_not_blamed() {
    let verdict = judge_one(&pair("eni-a", "10.0.1.10", "203.0.113.9", 6), &config(SNAPSHOT));
    assert_eq!((verdict.cause, verdict.detail), (Cause::NotNacl, Some("acl_allows")));
}

#[test]
fn proven_needs_the_configuration_of_that_moment() {
    let lines = pair("eni-a", "10.0.1.10", "192.0.2.9", 6);
    for (time, expected) in [
        ("2023-11-14T22:13:49Z", Confidence::Likely),
        ("2023-11-14T22:13:50Z", Confidence::Proven),
        ("2023-11-14T22:14:10Z", Confidence::Proven),
        ("2023-11-14T22:14:11Z", Confidence::Likely),
    ] {
        assert_eq!(judge_one(&lines, &captured_at(time)).confidence, expected, "{time}");
    }
}

#[test]
fn the_direction_field_comes_before_everything() {
    // The interface is not in the snapshot and its records name one peer only.
    let header = format!("{V2} flow-direction subnet-id");
    let lines = |request, reply| {
        pair("eni-new", "10.0.1.77", "192.0.2.9", 6)
            .replace(V2, &header)
            .replace("ACCEPT OK", &format!("ACCEPT OK {request} subnet-a"))
            .replace("REJECT OK", &format!("REJECT OK {reply} subnet-a"))
    };
    let verdict = judge_one(&lines("egress", "ingress"), &config(SNAPSHOT));
    assert_eq!((verdict.direction, verdict.rule), (Some(Direction::Ingress), Some(32767)));
    let verdict = judge_one(&lines("ingress", "egress"), &config(SNAPSHOT));
    assert_eq!((verdict.direction, verdict.cause), (Some(Direction::Egress), Cause::NotNacl));
}

#[test]
fn the_direction_is_told_by_the_address_common_to_the_records() {
    // NACLs and interfaces, no subnets; the interface has another address in the snapshot than in the log.
    let without_subnets = SNAPSHOT.replace("\"Subnets\"", "\"Unused\"").replace("10.0.1.10", "10.0.1.99");
    let lines = pair("eni-a", "10.0.1.10", "192.0.2.9", 6);
    let verdict = judge_one(&lines, &config(&without_subnets));
    assert_eq!((verdict.cause, verdict.detail), (Cause::Undetermined, Some("direction_unknown")));
    assert_eq!(
        (verdict.direction, verdict.candidates),
        (None, vec![32767]),
        "egress allows, ingress does not"
    );
    let another = "2 1 eni-a 198.51.100.1 10.0.1.10 5 6 6 1 60 1700000000 1700000010 ACCEPT OK";
    let verdict = judge_one(&format!("{lines}\n{another}"), &config(&without_subnets));
    assert_eq!((verdict.direction, verdict.cause), (Some(Direction::Ingress), Cause::NaclDefault));
}

#[test]
fn the_direction_is_told_by_the_subnet_last() {
    let lines = pair("eni-new", "10.0.1.77", "192.0.2.9", 6)
        .replace(V2, &format!("{V2} subnet-id"))
        .replace(" OK", " OK subnet-a");
    let verdict = judge_one(&lines, &config(SNAPSHOT));
    assert_eq!((verdict.direction, verdict.cause), (Some(Direction::Ingress), Cause::NaclDefault));
}

#[test]
fn without_a_direction_an_acl_that_allows_both_ways_is_cleared() {
    let json = SNAPSHOT.replace("\"Subnets\"", "\"Unused\"").replace("10.0.1.10", "10.0.1.99");
    let lines = pair("eni-a", "203.0.113.7", "203.0.113.9", 6);
    let verdict = judge_one(&lines, &config(&json));
    assert_eq!((verdict.cause, verdict.direction), (Cause::NotNacl, None));
}

#[test]
fn inside_a_subnet_no_acl_is_blamed() {
    let verdict = judge_one(&pair("eni-a", "10.0.1.10", "10.0.1.20", 6), &config(SNAPSHOT));
    assert_eq!((verdict.cause, verdict.detail), (Cause::NotNacl, Some("same_subnet")));
    // Nor when the subnet is all that is known: whichever way the packet went, it stayed inside.
    let lines = pair("eni-new", "10.0.1.77", "10.0.1.20", 6)
        .replace(V2, &format!("{V2} subnet-id"))
        .replace(" OK", " OK subnet-a");
    let verdict = judge_one(&lines, &config(SNAPSHOT));
    assert_eq!(
        (verdict.cause, verdict.detail, verdict.direction),
        (Cause::NotNacl, Some("same_subnet"), None)
    );
}

#[test]
fn what_goes_to_a_transit_gateway_is_evaluated_inside_its_subnet_and_what_comes_from_it_is_not() {
    let header = format!("{V2} pkt-srcaddr pkt-dstaddr");
    let at_the_attachment =
        |request: &str, reply: &str| format!("{header}\n2 1 eni-tgw {request}\n2 1 eni-tgw {reply}");
    // The instance answers a client on the other side of the gateway.
    let verdict = judge_one(
        &at_the_attachment(
            "10.0.1.200 10.0.1.10 40000 443 6 1 60 1700000000 1700000010 ACCEPT OK 192.168.0.1 10.0.1.10",
            "10.0.1.10 10.0.1.200 443 40000 6 1 60 1700000001 1700000011 REJECT OK 10.0.1.10 192.168.0.1",
        ),
        &config(SNAPSHOT),
    );
    assert_eq!((verdict.direction, verdict.cause), (Some(Direction::Ingress), Cause::NaclDefault));
    // A server on the other side answers the instance.
    let verdict = judge_one(
        &at_the_attachment(
            "10.0.1.10 10.0.1.200 40000 443 6 1 60 1700000000 1700000010 ACCEPT OK 10.0.1.10 192.168.0.1",
            "10.0.1.200 10.0.1.10 443 40000 6 1 60 1700000001 1700000011 REJECT OK 192.168.0.1 10.0.1.10",
        ),
        &config(SNAPSHOT),
    );
    assert_eq!((verdict.direction, verdict.detail), (Some(Direction::Egress), Some("same_subnet")));
}

#[test]
fn a_deny_that_tests_the_icmp_type_leaves_the_rule_open() {
    let verdict = judge_one(&pair("eni-b", "10.0.2.10", "192.0.2.9", 1), &config(SNAPSHOT));
    assert_eq!((verdict.cause, verdict.rule), (Cause::Undetermined, None));
    assert_eq!((verdict.candidates, verdict.detail), (vec![90], Some("icmp_type_unknown")));
}

#[test]
fn a_reason_in_the_record_comes_before_the_acl() {
    let header = format!("{V2} reject-reason");
    let lines =
        pair("eni-a", "10.0.1.10", "192.0.2.9", 6).replace(V2, &header).replace("ACCEPT OK", "ACCEPT OK -");
    let reply = lines.lines().last().expect("reply").to_owned();
    let all = format!(
        "{}\n{}\n{}\n{}",
        lines.replace("REJECT OK", "REJECT OK -"),
        reply
            .replace("REJECT OK", "REJECT OK BPA")
            .replace("1700000050", "1700000051")
            .replace(" 60 17", " - 17"),
        reply.replace("REJECT OK", "REJECT OK EC").replace("1700000050", "1700000052"),
        reply.replace("REJECT OK", "REJECT OK NEW").replace("1700000050", "1700000053"),
    );
    let verdicts = judge_lines(&all, &config(SNAPSHOT));
    let causes: Vec<_> = verdicts.iter().map(|verdict| (verdict.cause, verdict.confidence)).collect();
    assert_eq!(
        causes,
        [
            (Cause::NaclDefault, Confidence::Likely),
            (Cause::VpcBlockPublicAccess, Confidence::Proven),
            (Cause::EncryptionControls, Confidence::Proven),
            (Cause::Undetermined, Confidence::Likely),
        ]
    );
    assert_eq!(verdicts[3].detail, Some("unknown_reject_reason"));
}

#[test]
fn a_packet_after_the_close_is_late() {
    let header = format!("{V2} tcp-flags");
    let lines = |request, reply| {
        pair("eni-d", "10.0.4.10", "192.0.2.9", 6)
            .replace(V2, &header)
            .replace("ACCEPT OK", &format!("ACCEPT OK {request}"))
            .replace("REJECT OK", &format!("REJECT OK {reply}"))
    };
    let detail = |request, reply| judge_one(&lines(request, reply), &config(SNAPSHOT)).detail;
    assert_eq!(detail("3", "0"), Some("late_after_close"));
    assert_eq!(detail("2", "4"), Some("late_after_close"));
    assert_eq!(detail("2", "18"), Some("acl_allows"));
    assert_eq!(detail("2", "22"), Some("acl_allows"), "a refused handshake is not a late packet");
}

#[test]
fn an_answer_after_a_long_silence_is_no_longer_tracked() {
    let at = |start: &str| {
        pair("eni-d", "10.0.4.10", "192.0.2.9", 17)
            .replace("1700000030 1700000050", &format!("{start} 1700000100"))
    };
    let detail = |start| judge_one(&at(start), &config(SNAPSHOT)).detail;
    assert_eq!(detail("1700000040"), Some("acl_allows"));
    assert_eq!(detail("1700000041"), Some("tracking_expired"));
}

#[test]
fn a_request_through_another_interface_is_named() {
    let header = format!("{V2} flow-direction");
    let lines = |interface: &str| {
        pair(interface, "10.0.4.10", "192.0.2.9", 6)
            .replace(V2, &header)
            .replacen(&format!("2 1 {interface}"), "2 1 eni-z", 1)
            .replace("ACCEPT OK", "ACCEPT OK egress")
            .replace("REJECT OK", "REJECT OK ingress")
    };
    let verdict = judge_one(&lines("eni-d"), &config(SNAPSHOT));
    assert_eq!((verdict.cause, verdict.detail), (Cause::NotNacl, Some("other_interface")));
    let verdict = judge_one(&lines("eni-a"), &captured_at("2023-11-14T22:14:00Z"));
    assert_eq!((verdict.cause, verdict.confidence), (Cause::NaclDefault, Confidence::Likely));
    // The peer's own interface sees the same packets, and is no other interface of this side.
    let peer = lines("eni-d").replace("ACCEPT OK egress", "ACCEPT OK ingress");
    assert_eq!(judge_lines(&peer, &config(SNAPSHOT)), []);
}

#[test]
fn a_syn_ack_without_its_request_is_likely() {
    let lines = format!(
        "{V2} tcp-flags\n2 1 eni-a 192.0.2.9 10.0.1.10 5432 40000 6 1 60 1700000030 1700000050 REJECT OK 18"
    );
    let verdict = judge_one(&lines, &captured_at("2023-11-14T22:14:00Z"));
    assert_eq!((verdict.cause, verdict.confidence), (Cause::NaclDefault, Confidence::Likely));
}

#[test]
fn possible_is_said_only_where_nothing_was_accepted() {
    let lines =
        format!("{V2}\n2 1 eni-a 192.0.2.9 10.0.1.10 5432 40000 6 1 60 1700000030 1700000050 REJECT OK");
    let correlated = read(&lines);
    let config = config(SNAPSHOT);
    let places = Places::new(&correlated.interfaces, &config);
    let judge = |reject_only, most| {
        let (judged, read) = judge_unpaired(&correlated.unpaired, reject_only, most, &places);
        read.expect("readable");
        judged
    };
    let judged = judge(true, 1);
    assert_eq!(judged.possible[0].1.confidence, Confidence::Possible);
    assert_eq!((judged.possible.len(), judged.possible_cut, judged.others.rows().len()), (1, 0, 0));
    let judged = judge(false, 1);
    assert_eq!((judged.possible.len(), judged.possible_cut, judged.others.rows().len()), (0, 0, 1));
    let judged = judge(true, 0);
    assert_eq!((judged.possible.len(), judged.possible_cut, judged.others.rows().len()), (0, 1, 1));
}

#[test]
fn flags_that_are_no_syn_ack_take_away_the_shape_of_a_reply() {
    let lines = format!(
        "{V2} tcp-flags\n2 1 eni-a 192.0.2.9 10.0.1.10 5432 40000 6 1 60 1700000030 1700000050 REJECT OK 0"
    );
    let correlated = read(&lines);
    let config = config(SNAPSHOT);
    let places = Places::new(&correlated.interfaces, &config);
    let (judged, read) = judge_unpaired(&correlated.unpaired, true, 9, &places);
    assert!(read.is_ok());
    assert_eq!((judged.possible.len(), judged.others.rows().len()), (0, 1));
}

#[test]
fn rules_are_held_against_the_addresses_of_the_packet() {
    // A NAT gateway hands a reply from the internet on to its client: the packet's source is the internet host.
    let header = format!("{V2} pkt-srcaddr pkt-dstaddr");
    let lines = format!(
        "{header}\n\
         2 1 eni-b 10.0.2.10 10.0.9.9 40000 443 6 1 60 1700000000 1700000010 ACCEPT OK 10.0.2.10 192.0.2.9\n\
         2 1 eni-b 10.0.9.9 10.0.2.10 443 40000 6 1 60 1700000001 1700000011 REJECT OK 192.0.2.9 10.0.2.10"
    );
    let verdict = judge_one(&lines, &config(SNAPSHOT));
    assert_eq!((verdict.cause, verdict.rule), (Cause::NaclRule, Some(95)), "by 192.0.2.0/24, not 10.0.9.9");
}

#[test]
fn an_unknown_acl_is_said_and_not_guessed() {
    let verdict = judge_one(&pair("eni-nowhere", "172.16.0.1", "192.0.2.9", 6), &config(SNAPSHOT));
    assert_eq!((verdict.cause, verdict.detail), (Cause::Undetermined, Some("no_network_acl")));
    assert_eq!(verdict.acl, None);
}

#[test]
fn a_regional_nat_gateway_has_no_address_of_its_own() {
    // All its clients talk to one host, which is then common to all records without being the gateway's own.
    let header = V2.replace("interface-id", "resource-id");
    let lines = format!(
        "{header}\n\
         2 1 nat-1 10.0.1.5 192.0.2.9 40000 5432 6 1 60 1700000000 1700000010 ACCEPT OK\n\
         2 1 nat-1 10.0.1.6 192.0.2.9 40000 5432 6 1 60 1700000000 1700000010 ACCEPT OK\n\
         2 1 nat-1 192.0.2.9 10.0.1.5 5432 40000 6 1 60 1700000001 1700000011 REJECT OK"
    );
    assert_eq!(judge_one(&lines, &config(SNAPSHOT)).direction, None);
}
