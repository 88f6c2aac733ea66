//! Diagnoses for the tests of every format: an incident, nothing at all, and hostile text everywhere.

use std::collections::BTreeMap;

use crate::net::{Direction, Timestamp};

use super::view::*;

#[path = "sample/week.rs"]
mod week;

pub use week::{hostile_report, huge_report, quiet_report, week};

/// 2026-11-20 14:00:00 UTC plus seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp(1_795_183_200).plus_seconds(seconds)
}

pub fn flow(
    src: (&str, u16),
    dst: (&str, u16),
    action: &'static str,
    flags: u8,
    packets: u64,
) -> FlowSummary {
    FlowSummary {
        interface_id: "eni-0a1b2c3d4e5f60718".to_owned(),
        direction: Some(if action == "ACCEPT" { Direction::Egress } else { Direction::Ingress }),
        protocol: 6,
        srcaddr: src.0.to_owned(),
        srcport: src.1,
        dstaddr: dst.0.to_owned(),
        dstport: dst.1,
        action,
        tcp_flags: Some(flags),
        packets,
        bytes: packets * 52,
        first: Some(at(1442)),
        last: Some(at(1500)),
    }
}

fn example(client: (&str, u16), server: (&str, u16), packets: u64) -> Example {
    let steps = vec![
        step("100 TCP 80 0.0.0.0/0 ALLOW", 100, "port"),
        step("110 TCP 443 0.0.0.0/0 ALLOW", 110, "port"),
        step("120 TCP 5432 10.8.0.0/16 ALLOW", 120, "port, source"),
        step("* ALL ALL 0.0.0.0/0 DENY", 32767, "matched"),
    ];
    Example {
        request: Some(flow(client, server, "ACCEPT", 2, packets)),
        reply: flow(server, client, "REJECT", 18, packets),
        steps,
    }
}

fn step(rule: &str, rule_number: u16, outcome: &str) -> Step {
    Step { rule_number, rule: rule.to_owned(), outcome: outcome.to_owned() }
}

fn miss(rule: &str, rule_number: u16, mismatch: &str) -> NearMiss {
    NearMiss { rule_number, rule: rule.to_owned(), mismatch: mismatch.to_owned() }
}

fn rejects(packets: impl IntoIterator<Item = u64>) -> Timeline {
    Timeline { start: at(0), slice_seconds: 60, packets: packets.into_iter().collect() }
}

/// The finding of the sample incident: an allow-all entry removed, replies fall to `*`.
pub fn default_deny() -> Finding {
    let interfaces = (0..17).map(|n| format!("eni-0a1b2c3d4e5f607{n:02x}"));
    Finding {
        id: "acl-0abc1234def567890/ingress/32767".to_owned(),
        cause: "nacl_default",
        confidence: "likely",
        confidence_reason: Some(
            "the rules are those of the snapshot, and their earlier changes are not known".to_owned(),
        ),
        network_acl_id: Some("acl-0abc1234def567890".to_owned()),
        direction: Some(Direction::Ingress),
        rule_number: Some(32767),
        rule: Some("* ALL ALL 0.0.0.0/0 DENY".to_owned()),
        vpc_id: Some("vpc-0123456789abcdef0".to_owned()),
        subnet_ids: ["a", "b", "c"].map(|zone| format!("subnet-0aa11bb22cc33dd4{zone}")).to_vec(),
        interface_ids: interfaces.collect(),
        affected_clients: Vec::new(),
        affected_clients_left_out: 0,
        conversations: 4812,
        packets: 21_934,
        bytes: 1_140_568,
        first_seen: at(1442),
        last_seen: at(7199),
        ongoing: true,
        detail: None,
        candidates: vec![],
        services: [(443, 4101), (5432, 655), (6379, 56)]
            .map(|(port, conversations)| Service { protocol: 6, port, conversations })
            .to_vec(),
        requester_ports: PortSpan { min: 1024, max: 65535 },
        near_misses: vec![
            miss("100 TCP 80 0.0.0.0/0 ALLOW", 100, "port"),
            miss("110 TCP 443 0.0.0.0/0 ALLOW", 110, "port"),
            miss("120 TCP 5432 10.8.0.0/16 ALLOW", 120, "port, source"),
        ],
        skip_data: vec![SkipInterval {
            interface_id: "eni-0a1b2c3d4e5f60701".to_owned(),
            start: at(1800),
            end: at(1860),
        }],
        onset: Onset { last_accepted_reply: Some(at(1421)), first_rejected_reply: at(1442) },
        change: None,
        restored: None,
        fix: Some(fix()),
        timeline: rejects((0..120).map(|minute| match minute {
            0..24 => 0,
            24..40 => (minute - 23) * 18,
            40 => 312,
            minute => 200 + minute * 37 % 90,
        })),
        examples: vec![
            example(("10.0.1.23", 64214), ("52.94.5.1", 443), 8),
            example(("10.0.1.24", 50112), ("52.94.5.1", 443), 6),
            example(("10.0.2.7", 41002), ("10.9.0.15", 5432), 5),
        ],
    }
}

fn numbered_deny() -> Finding {
    let mut finding = default_deny();
    finding.id = "acl-0abc1234def567890/egress/90".to_owned();
    finding.cause = "nacl_rule";
    finding.confidence = "proven";
    finding.network_acl_id = Some("acl-0ffe9876543210fed".to_owned());
    finding.direction = Some(Direction::Egress);
    finding.rule_number = Some(90);
    finding.rule = Some("90 TCP 32768-61000 2001:db8:77::/48 DENY".to_owned());
    finding.subnet_ids.truncate(1);
    finding.interface_ids.truncate(1);
    (finding.conversations, finding.packets) = (37, 74);
    (finding.first_seen, finding.last_seen, finding.ongoing) = (at(1442), at(3010), false);
    finding.services = vec![Service { protocol: 6, port: 8443, conversations: 37 }];
    finding.requester_ports = PortSpan { min: 33012, max: 60991 };
    finding.near_misses = vec![miss("80 TCP 443 2001:db8:77::/48 ALLOW", 80, "port")];
    if let Some(fix) = &mut finding.fix {
        fix.entries.truncate(1);
        fix.aws_cli.truncate(1);
        fix.undo.remove(0);
        (fix.undo_in_one_line, fix.restores, fix.of) = (None, 37, 37);
        fix.blocks = vec![Blocked {
            rule_number: 90,
            rule: "90 TCP 32768-61000 2001:db8:77::/48 DENY".to_owned(),
            cancelled: false,
            dropped: Flows { flows: 3, packets: 5 },
        }];
        fix.alternatives.clear();
    }
    finding.skip_data.clear();
    finding.onset.last_accepted_reply = None;
    finding.timeline = rejects([0, 0, 30, 40, 4]);
    let (client, server) = (("2001:db8:77:1:a:b:c:d", 41002), ("2001:db8:12:3456:789a:bcde:f012:3456", 8443));
    let mut one = example(client, server, 2);
    one.reply.direction = Some(Direction::Egress);
    if let Some(request) = &mut one.request {
        request.direction = Some(Direction::Ingress);
    }
    one.steps = vec![
        step("80 TCP 443 2001:db8:77::/48 ALLOW", 80, "port"),
        step("90 TCP 32768-61000 2001:db8:77::/48 DENY", 90, "matched"),
    ];
    finding.examples = vec![one];
    finding
}

fn undetermined() -> Finding {
    let mut finding = numbered_deny();
    finding.id = "undetermined/eni-0f".to_owned();
    finding.fix = None;
    finding.cause = "undetermined";
    finding.confidence = "likely";
    (finding.rule_number, finding.rule) = (None, None);
    finding.network_acl_id = Some("acl-0ffe9876543210fed".to_owned());
    finding.direction = Some(Direction::Ingress);
    finding.detail = Some("rule 95 tests the ICMP type, which these records do not carry".to_owned());
    finding.conversations = 1;
    finding.packets = 1;
    finding.near_misses.clear();
    finding.services = vec![Service { protocol: 1, port: 0, conversations: 1 }];
    finding.requester_ports = PortSpan { min: 0, max: 0 };
    finding.candidates = ["95 ICMP 0 0.0.0.0/0 DENY", "* ALL ALL 0.0.0.0/0 DENY"]
        .map(|rule| Candidate {
            network_acl_id: "acl-0ffe9876543210fed".to_owned(),
            direction: Direction::Ingress,
            rule_number: 95,
            rule: rule.to_owned(),
        })
        .to_vec();
    finding.timeline = Timeline::default();
    let mut reply = flow(("9.9.9.9", 0), ("10.0.1.23", 0), "REJECT", 0, 1);
    (reply.protocol, reply.tcp_flags) = (1, None);
    finding.examples = vec![Example { request: None, reply, steps: vec![] }];
    finding
}

fn late_packets() -> Finding {
    let mut finding = default_deny();
    finding.id = "not_nacl/late".to_owned();
    finding.fix = None;
    finding.cause = "not_nacl";
    finding.confidence = "proven";
    finding.rule = None;
    finding.detail = Some("late packet after close (FIN or RST seen before it)".to_owned());
    (finding.conversations, finding.packets, finding.ongoing) = (31, 40, false);
    finding.interface_ids.truncate(3);
    finding
}

fn other(cause: &'static str, rule: Option<(&str, u16)>, detail: Option<&str>, records: u64) -> OtherReject {
    OtherReject {
        cause,
        network_acl_id: Some("acl-0abc1234def567890".to_owned()),
        direction: Some(Direction::Ingress),
        rule_number: rule.map(|(_, number)| number),
        rule: rule.map(|(text, _)| text.to_owned()),
        kind: "unsolicited",
        reason: detail.map(str::to_owned),
        detail: detail.map(str::to_owned),
        records,
        packets: records * 2,
    }
}

fn row() -> Row {
    Row {
        cause: "nacl_default",
        confidence: "likely",
        network_acl_id: Some("acl-0abc1234def567890".to_owned()),
        direction: Some(Direction::Ingress),
        rule_number: Some(32767),
        interface_id: Some("eni-0a1b2c3d4e5f60718".to_owned()),
        subnet_id: Some("subnet-0aa11bb22cc33dd4a".to_owned()),
        vpc_id: Some("vpc-0123456789abcdef0".to_owned()),
        protocol: 6,
        srcaddr: "52.94.5.1".to_owned(),
        srcport: 443,
        dstaddr: "10.0.1.23".to_owned(),
        dstport: 64214,
        first_rejected: at(1442),
        last_rejected: at(1500),
        rejected_packets: Some(8),
        rejected_bytes: Some(416),
        request_first: Some(at(1441)),
        request_last: Some(at(1500)),
        request_packets: Some(8),
        request_bytes: Some(480),
        detail: None,
        finding_id: String::new(),
    }
}

fn input() -> InputSummary {
    InputSummary {
        interfaces: 19,
        objects: 24,
        bytes_read: 28_900_000,
        lines: 1_204_389,
        records: 1_204_331,
        accepted: 1_180_000,
        rejected: 24_331,
        skip_data: 52,
        malformed: 3,
        ..InputSummary::default()
    }
}

/// Findings of every kind, other rejects, warnings, inputs cut short and malformed lines.
pub fn incident() -> Diagnosis {
    let unknown = Row {
        cause: "undetermined",
        network_acl_id: None,
        direction: None,
        rule_number: None,
        subnet_id: None,
        vpc_id: None,
        rejected_bytes: None,
        request_first: None,
        request_last: None,
        request_packets: None,
        request_bytes: None,
        detail: Some("no network ACL known, \"eni-0f\" is in no snapshot".to_owned()),
        ..row()
    };
    let mut input = input();
    input.incomplete = vec![Incomplete {
        source: "logs/fl-0abc_20261120T1455Z.log.gz".to_owned(),
        error: "unexpected end of gzip stream".to_owned(),
    }];
    input.malformed_examples = vec![MalformedExample {
        source: "logs/fl-0abc_20261120T1410Z.log.gz".to_owned(),
        line: 1207,
        field: "srcport".to_owned(),
        value: "70000".to_owned(),
        error: "not a port number".to_owned(),
    }];
    let names = [
        ("acl-0abc1234def567890", "private"),
        ("eni-0a1b2c3d4e5f60700", "Lambda checkout"),
        ("eni-0a1b2c3d4e5f60701", "NAT gateway nat-0fedcba9876543210"),
        ("subnet-0aa11bb22cc33dd4a", "private-a"),
    ];
    Diagnosis {
        input,
        summary: Summary {
            rejected_conversations: 4881,
            rejected_packets: 22_049,
            findings: 4,
            complete: false,
        },
        findings: vec![default_deny(), late_packets(), numbered_deny(), undetermined()],
        other_rejects: OtherRejects {
            records: 1_204,
            packets: 2_408,
            by_cause: vec![
                other("nacl_default", Some(("* ALL ALL 0.0.0.0/0 DENY", 32767)), None, 900),
                other("not_nacl", None, None, 304),
            ],
        },
        warnings: vec![
            "no flow-direction field in logs/default.log.gz: direction taken from the interfaces' addresses"
                .to_owned(),
        ],
        names: names.map(|(id, name)| (id.to_owned(), name.to_owned())).into(),
        rows: vec![row(), unknown],
        ..empty()
    }
}

/// Healthy logs: nothing was rejected in return.
pub fn healthy() -> Diagnosis {
    Diagnosis { input: InputSummary { skip_data: 0, malformed: 0, rejected: 42, ..input() }, ..empty() }
}

/// Healthy logs but for requests that nothing came back from.
pub fn silent() -> Diagnosis {
    let group = |interface_id: &str, conversations, followed, detail: &str| NoReplyGroup {
        interface_id: interface_id.to_owned(),
        service: NoReplyService { protocol: 6, port: 443 },
        dstaddr: "203.0.113.7".to_owned(),
        conversations,
        packets: conversations * 3,
        first_seen: at(60),
        last_seen: at(300),
        followed,
        detail: detail.to_owned(),
    };
    let dropped = Followed {
        interface_id: "eni-0a1b2c3d4e5f60701".to_owned(),
        outcome: "rejected",
        answered: false,
        is_destination: true,
        direction: Some(Direction::Ingress),
        cause: Some("nacl_default"),
        network_acl_id: Some("acl-0abc1234def567890".to_owned()),
        rule_number: Some(32767),
        rule: Some("* ALL ALL 0.0.0.0/0 DENY".to_owned()),
    };
    let no_reply = NoReply {
        conversations: 1_042,
        packets: 3_126,
        groups: vec![
            group("eni-0a1b2c3d4e5f60700", 1_041, Some(dropped), "eni-0a1b2c3d4e5f60701 dropped them"),
            group("eni-0a1b2c3d4e5f60702", 1, None, "no other interface here recorded them"),
        ],
        not_known_yet: 2,
        ..NoReply::default()
    };
    let names = [("eni-0a1b2c3d4e5f60700", "Lambda checkout")];
    Diagnosis {
        no_reply: Some(no_reply),
        names: names.map(|(id, name)| (id.to_owned(), name.to_owned())).into(),
        ..healthy()
    }
}

/// No input at all.
pub fn empty() -> Diagnosis {
    Diagnosis {
        schema_version: 1,
        generator: Generator { name: "flowcheck", version: "0.1.0" },
        window: Window { since: None, until: None, first_record: Some(at(0)), last_record: Some(at(7200)) },
        network_config: NetworkConfigSummary {
            origin: "snapshot",
            captured_at: None,
            history: "none",
            network_acls: 2,
            interfaces: 19,
        },
        no_reply: None,
        no_reply_unknown: None,
        input: InputSummary::default(),
        summary: Summary { complete: true, ..Summary::default() },
        findings: vec![],
        other_rejects: OtherRejects::default(),
        warnings: vec![],
        notes: vec![],
        names: BTreeMap::new(),
        rows: vec![],
    }
}

/// Text that would run, hide, reorder or break something wherever foreign text is shown.
pub const HOSTILE: &str =
    "<script>alert(1)</script>\x1b[2J\u{9b}31m\u{202e}gpj|`a`*b*_c_[d](http://e)\n# f\u{200b}東京";

/// [`HOSTILE`] in every place that comes from a log or a snapshot.
pub fn hostile() -> Diagnosis {
    let mut diagnosis = incident();
    for finding in &mut diagnosis.findings {
        finding.network_acl_id = Some("acl-\x1b[31m0|`x`".to_owned());
        finding.interface_ids = vec!["eni-\u{202e}0<b>".to_owned()];
        finding.subnet_ids = vec!["subnet-\n|0".to_owned()];
        finding.detail = Some(HOSTILE.to_owned());
        finding.rule = finding.rule.take().map(|_| "* ALL|\x1b[0m `x` <b>".to_owned());
        for miss in &mut finding.near_misses {
            miss.rule = "1 <i>|\x07".to_owned();
            miss.mismatch = "port\n| a | b |".to_owned();
        }
        for candidate in &mut finding.candidates {
            candidate.rule = HOSTILE.to_owned();
        }
        for example in &mut finding.examples {
            example.reply.srcaddr = "10.0.0.1\n```\x1b[0m".to_owned();
        }
        if let Some(fix) = &mut finding.fix {
            fix.entries[0].rule = HOSTILE.to_owned();
            // Ids in commands are checked; an escape or a fence must be harmless all the same.
            fix.aws_cli[0] = "aws ec2 \x1b[2J\u{202e}\n```\n# x".to_owned();
            fix.undo = vec![fix.aws_cli[0].clone()];
            fix.undo_in_one_line = None;
            fix.notes = vec![HOSTILE.to_owned()];
            fix.blocks = vec![Blocked {
                rule_number: 1,
                rule: HOSTILE.to_owned(),
                cancelled: true,
                dropped: Flows::default(),
            }];
        }
        for skip in &mut finding.skip_data {
            skip.interface_id = "eni-\u{202e}0<b>".to_owned();
        }
    }
    let mut no_reply = silent().no_reply.unwrap_or_default();
    for group in &mut no_reply.groups {
        group.interface_id = "eni-\u{202e}0<b>".to_owned();
        group.dstaddr = "10.0.0.1\n```\x1b[0m|".to_owned();
        group.detail = HOSTILE.to_owned();
    }
    diagnosis.no_reply = Some(no_reply);
    for other in &mut diagnosis.other_rejects.by_cause {
        other.detail = Some(HOSTILE.to_owned());
    }
    diagnosis.warnings = vec![HOSTILE.to_owned()];
    for incomplete in &mut diagnosis.input.incomplete {
        incomplete.source = "logs/\x1b]0;x\x07|<b>.gz".to_owned();
        incomplete.error = HOSTILE.to_owned();
    }
    for example in &mut diagnosis.input.malformed_examples {
        example.value = HOSTILE.to_owned();
        example.field = "src|`port`".to_owned();
    }
    let ids = ["acl-\x1b[31m0|`x`", "eni-\u{202e}0<b>"];
    diagnosis.names = ids.map(|id| (id.to_owned(), HOSTILE.to_owned())).into();
    diagnosis.rows.truncate(1);
    diagnosis.rows[0].interface_id = Some("=cmd()".to_owned());
    diagnosis.rows[0].detail = Some(format!("@{HOSTILE}"));
    diagnosis
}

/// A narrow change of two entries, and the conventional one.
fn fix() -> Fix {
    let entry = |rule_number, rule: &str, cidr: &str| FixEntry {
        rule_number,
        rule: rule.to_owned(),
        direction: Direction::Ingress,
        protocol: 6,
        from_port: Some(1024),
        to_port: Some(65535),
        cidr_block: Some(cidr.to_owned()),
        ipv6_cidr_block: None,
        replaces: None,
    };
    let acl = "acl-0abc1234def567890";
    let create = |number: u16, cidr: &str| {
        format!(
            "aws ec2 create-network-acl-entry --network-acl-id {acl} --ingress --rule-number {number} --protocol tcp \
             --port-range From=1024,To=65535 --cidr-block {cidr} --rule-action allow"
        )
    };
    let delete = |numbers: &str| {
        format!("aws ec2 delete-network-acl-entry --network-acl-id {acl} --ingress --rule-number {numbers}")
    };
    let conventional = Fix {
        variant: "conventional",
        summary: "adds 130 TCP 1024-65535 0.0.0.0/0 ALLOW".to_owned(),
        entries: vec![entry(130, "130 TCP 1024-65535 0.0.0.0/0 ALLOW", "0.0.0.0/0")],
        aws_cli: vec![create(130, "0.0.0.0/0")],
        undo: vec![delete("130")],
        undo_in_one_line: None,
        terraform: "resource \"aws_network_acl_rule\" \"flowcheck\" {\n}\n".to_owned(),
        restores: 4812,
        of: 4812,
        also_admits: Flows { flows: 212, packets: 424 },
        blocks: vec![],
        quota: None,
        notes: vec![],
        alternatives: vec![],
    };
    Fix {
        variant: "narrow",
        summary: "adds 130 TCP 1024-65535 10.9.0.0/24 ALLOW, 140 TCP 1024-65535 52.94.5.1/32 ALLOW"
            .to_owned(),
        entries: vec![
            entry(130, "130 TCP 1024-65535 10.9.0.0/24 ALLOW", "10.9.0.0/24"),
            entry(140, "140 TCP 1024-65535 52.94.5.1/32 ALLOW", "52.94.5.1/32"),
        ],
        aws_cli: vec![create(130, "10.9.0.0/24"), create(140, "52.94.5.1/32")],
        undo: vec![delete("140"), delete("130")],
        undo_in_one_line: Some(format!("for n in 140 130; do {}; done", delete("$n"))),
        also_admits: Flows::default(),
        alternatives: vec![conventional.clone()],
        ..conventional
    }
}
