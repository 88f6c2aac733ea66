//! Reports for the tests of the page: a week with several findings, a quiet one, one full of hostile text, a huge one.

use super::*;

const HOURS: usize = 168;
const NAT: &str = "eni-0a1b2c3d4e5f60701";

/// Monday 2026-11-16 00:00 UTC plus hours.
fn hour(hours: i64) -> Timestamp {
    at(-14 * 3_600 - 4 * 86_400 + hours * 3_600)
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// Always the same, and looks like traffic: more by day than by night.
fn busy(hour: usize, most: u64, seed: u64) -> u64 {
    let by_day =
        [3, 2, 2, 2, 3, 4, 7, 11, 15, 18, 19, 18, 16, 18, 20, 19, 18, 15, 12, 10, 8, 6, 5, 4][hour % 24];
    let noise = (hour as u64 + 1).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed) >> 33;
    most * by_day / 20 * (60 + noise % 40) / 100
}

fn hours_of(finding: &mut Finding, from: usize, to: usize, most: u64, seed: u64) -> HourlyFinding {
    let conversations: Vec<u64> =
        (0..HOURS).map(|hour| if (from..to).contains(&hour) { busy(hour, most, seed) } else { 0 }).collect();
    let packets: Vec<u64> = conversations.iter().map(|count| count * 9 / 2).collect();
    (finding.conversations, finding.packets) = (conversations.iter().sum(), packets.iter().sum());
    finding.bytes = finding.packets * 52;
    let hours = |hours: usize| hour(i64::try_from(hours).unwrap_or(0));
    finding.first_seen = hours(from).plus_seconds(134);
    finding.last_seen = hours(to).plus_seconds(-31);
    finding.ongoing = to == HOURS;
    finding.onset = Onset {
        last_accepted_reply: Some(finding.first_seen.plus_seconds(-21)),
        first_rejected_reply: finding.first_seen,
    };
    if let Some(fix) = &mut finding.fix {
        (fix.restores, fix.of) = (finding.conversations, finding.conversations);
        for other in &mut fix.alternatives {
            (other.restores, other.of) = (finding.conversations, finding.conversations);
        }
    }
    for skip in &mut finding.skip_data {
        (skip.start, skip.end) = (hours(from + 1), hours(from + 1).plus_seconds(60));
    }
    HourlyFinding { finding_id: finding.id.clone(), conversations, packets }
}

fn removed(finding: &Finding) -> Change {
    Change {
        time: finding.first_seen.plus_seconds(-122),
        event: "DeleteNetworkAclEntry".to_owned(),
        event_id: "5c1f1a52-9d1e-4c0b-8f5e-2f0e7a6d4c11".to_owned(),
        actor: Some("NetworkAdmin/change-4711".to_owned()),
        source_ip: Some("198.51.100.7".to_owned()),
        rule_number: Some(32000),
        before: Some("32000 ALL ALL 0.0.0.0/0 ALLOW".to_owned()),
        after: None,
        before_is_unknown: false,
    }
}

fn findings() -> (Vec<Finding>, Vec<HourlyFinding>) {
    let mut first = default_deny();
    first.confidence = "proven";
    first.confidence_reason = None;
    let mut hourly = vec![hours_of(&mut first, 62, HOURS, 160, 1)];
    first.change = Some(removed(&first));
    let mut second = numbered_deny();
    hourly.push(hours_of(&mut second, 10, 128, 34, 2));
    second.change = Some(Change {
        event: "CreateNetworkAclEntry".to_owned(),
        actor: Some("terraform-ci/run-2214".to_owned()),
        source_ip: Some("203.0.113.40".to_owned()),
        rule_number: Some(90),
        before: None,
        after: Some("90 TCP 32768-61000 2001:db8:77::/48 DENY".to_owned()),
        ..removed(&second)
    });
    second.restored = Some(Change {
        time: second.last_seen.plus_seconds(40),
        before: Some("90 TCP 32768-61000 2001:db8:77::/48 DENY".to_owned()),
        rule_number: Some(90),
        ..removed(&second)
    });
    let mut third = default_deny();
    third.id = "acl-0ffe9876543210fed/ingress/32767".to_owned();
    third.network_acl_id = Some("acl-0ffe9876543210fed".to_owned());
    third.interface_ids = vec![NAT.to_owned()];
    third.subnet_ids = strings(["subnet-0aa11bb22cc33dd4d"]);
    third.services = vec![Service { protocol: 17, port: 123, conversations: 900 }];
    third.affected_clients = vec![AffectedClient {
        address: "10.0.1.23".to_owned(),
        interface_id: Some("eni-0a1b2c3d4e5f60700".to_owned()),
        confidence: "proven",
        conversations: 611,
    }];
    hourly.push(hours_of(&mut third, 0, HOURS, 9, 3));
    let mut late = late_packets();
    let mut unknown = undetermined();
    hourly.push(hours_of(&mut late, 0, HOURS, 6, 4));
    hourly.push(hours_of(&mut unknown, 90, 99, 40, 5));
    (vec![first, second, third, late, unknown], hourly)
}

/// A busy week: somebody removed an allow-all entry on Wednesday afternoon.
pub fn week() -> Report {
    let (findings, hourly) = findings();
    let mut diagnosis = incident();
    let total = |of: fn(&Finding) -> u64| findings.iter().map(of).sum();
    diagnosis.summary.rejected_conversations = total(|finding| finding.conversations);
    diagnosis.summary.rejected_packets = total(|finding| finding.packets);
    diagnosis.summary.findings = findings.len();
    diagnosis.window = Window {
        since: Some(hour(0)),
        until: Some(hour(168)),
        first_record: Some(hour(0)),
        last_record: Some(hour(168)),
    };
    diagnosis.network_config.history = "cloudtrail";
    diagnosis.input.lines = 161_204_389;
    diagnosis.input.records = 161_204_331;
    diagnosis.no_reply = silent().no_reply;
    diagnosis.names.insert("acl-0ffe9876543210fed".to_owned(), "edge".to_owned());
    diagnosis.names.insert("subnet-0aa11bb22cc33dd4d".to_owned(), "public-a".to_owned());
    diagnosis.notes = vec!["read 2 of 3 flow logs: the third one holds the same records".to_owned()];
    diagnosis.findings = findings;
    Report {
        nacl_changes: changes(&diagnosis),
        interfaces: interfaces(&diagnosis),
        talkers: talkers(),
        groups: Some(groups(&diagnosis)),
        coverage: coverage(),
        comparison: Some(comparison(&diagnosis)),
        hourly: Hourly { start: hour(0), slice_seconds: 3_600, findings: hourly },
        diagnosis,
    }
}

fn changes(diagnosis: &Diagnosis) -> Vec<NaclChange> {
    let mut changes: Vec<NaclChange> = Vec::new();
    for finding in &diagnosis.findings {
        for (change, is_end) in [(&finding.change, false), (&finding.restored, true)] {
            let Some(change) = change else { continue };
            let id = vec![finding.id.clone()];
            let (began, ended) = if is_end { (vec![], id) } else { (id, vec![]) };
            changes.push(NaclChange {
                time: change.time,
                event: change.event.clone(),
                event_id: change.event_id.clone(),
                actor: change.actor.clone(),
                source_ip: change.source_ip.clone(),
                network_acl_id: finding.network_acl_id.clone(),
                direction: finding.direction,
                rule_number: change.rule_number,
                began,
                ended,
            });
        }
    }
    let unrelated = NaclChange {
        time: hour(35),
        event: "ReplaceNetworkAclAssociation".to_owned(),
        network_acl_id: Some("acl-0ffe9876543210fed".to_owned()),
        direction: None,
        rule_number: None,
        actor: None,
        began: vec![],
        ended: vec![],
        ..changes[0].clone()
    };
    changes.push(unrelated);
    changes.sort_by_key(|change| change.time);
    changes
}

fn interfaces(diagnosis: &Diagnosis) -> Vec<AffectedInterface> {
    let ids: Vec<String> = diagnosis.findings.iter().map(|finding| finding.id.clone()).collect();
    let one = |(at, id): (usize, &String)| AffectedInterface {
        interface_id: id.clone(),
        subnet_id: Some("subnet-0aa11bb22cc33dd4a".to_owned()),
        vpc_id: Some("vpc-0123456789abcdef0".to_owned()),
        account_id: Some("123456789012".to_owned()),
        conversations: 2_100 / (at as u64 + 1),
        packets: 9_450 / (at as u64 + 1),
        bytes: 491_400 / (at as u64 + 1),
        finding_ids: ids.iter().take(if at < 2 { 3 } else { 1 }).cloned().collect(),
    };
    diagnosis.findings[0].interface_ids.iter().enumerate().map(one).collect()
}

fn talkers() -> Talkers {
    let one = |at: u16| Talker {
        requester: format!("10.0.{}.{}", at % 3 + 1, 20 + at),
        responder: ["52.94.5.1", "10.9.0.15", "2001:db8:12:3456::7"][usize::from(at % 3)].to_owned(),
        protocol: 6,
        port: [443, 5432, 8443][usize::from(at % 3)],
        conversations: 1_900 / (u64::from(at) + 1),
        packets: 8_550 / (u64::from(at) + 1),
        bytes: 444_600 / (u64::from(at) + 1),
    };
    Talkers { rows: (0..20).map(one).collect(), left_out: 212, left_out_conversations: 845 }
}

fn groups(diagnosis: &Diagnosis) -> Groups {
    let part = |finding: &Finding| GroupFinding {
        finding_id: finding.id.clone(),
        conversations: finding.conversations / 3,
        packets: finding.packets / 3,
    };
    let one = |group: Option<&str>, findings: usize| {
        let findings: Vec<GroupFinding> = diagnosis.findings.iter().take(findings).map(part).collect();
        Group {
            group: group.map(str::to_owned),
            conversations: findings.iter().map(|part| part.conversations).sum(),
            packets: findings.iter().map(|part| part.packets).sum(),
            bytes: findings.iter().map(|part| part.packets * 52).sum(),
            interfaces: findings.len() as u64 * 3,
            findings,
        }
    };
    Groups {
        by: "tag:Team".to_owned(),
        rows: vec![one(Some("checkout"), 3), one(Some("search"), 2), one(None, 1)],
    }
}

fn coverage() -> Coverage {
    let gap = |from: i64, hours: i64| TimeSpan { start: hour(from), end: hour(from + hours) };
    let one = |interface: &str, gaps: Vec<TimeSpan>, skip_data| InterfaceCoverage {
        interface_id: interface.to_owned(),
        gap_seconds: gaps.iter().map(|gap| gap.end.seconds_since(gap.start).unsigned_abs()).sum(),
        gaps,
        gaps_left_out: 0,
        skip_data,
        skip_data_seconds: skip_data * 60,
    };
    Coverage {
        unknown: None,
        resolution_seconds: 600,
        start: hour(0),
        end: hour(168),
        interfaces: vec![
            one("eni-0a1b2c3d4e5f60704", vec![gap(30, 9), gap(120, 2)], 0),
            one(NAT, vec![], 52),
            one("eni-0a1b2c3d4e5f60700", vec![gap(77, 1)], 3),
        ],
        interfaces_left_out: 0,
        interfaces_covered: 16,
    }
}

fn comparison(diagnosis: &Diagnosis) -> Comparison {
    let statuses = ["new", "worse", "unchanged"];
    let of = diagnosis.findings.iter().filter(|finding| finding.cause != "not_nacl").zip(statuses);
    let mut findings: Vec<ComparedFinding> = of
        .map(|(finding, status)| ComparedFinding {
            finding_id: finding.id.clone(),
            status,
            cause: finding.cause.to_owned(),
            network_acl_id: finding.network_acl_id.clone(),
            direction: finding.direction,
            rule: finding.rule.clone(),
            figures: Difference {
                conversations_before: if status == "new" { 0 } else { finding.conversations * 9 / 10 },
                conversations: finding.conversations,
                packets_before: if status == "new" { 0 } else { finding.packets * 9 / 10 },
                packets: finding.packets,
            },
        })
        .collect();
    findings.push(ComparedFinding {
        finding_id: "acl-0ccc000000000000a/egress/32767".to_owned(),
        status: "resolved",
        cause: "nacl_default".to_owned(),
        network_acl_id: Some("acl-0ccc000000000000a".to_owned()),
        direction: Some(Direction::Egress),
        rule: Some("* ALL ALL 0.0.0.0/0 DENY".to_owned()),
        figures: Difference { conversations_before: 412, packets_before: 1_854, ..Difference::default() },
    });
    Comparison {
        origin: "previous_period",
        file: None,
        start: Some(hour(-168)),
        end: Some(hour(0)),
        complete: true,
        total: Difference {
            conversations_before: 2_744,
            conversations: diagnosis.summary.rejected_conversations,
            packets_before: 12_348,
            packets: diagnosis.summary.rejected_packets,
        },
        findings,
    }
}

/// A week in which no reply was rejected.
pub fn quiet_report() -> Report {
    let week = week();
    let diagnosis = Diagnosis { window: week.diagnosis.window, ..healthy() };
    Report {
        diagnosis,
        hourly: Hourly { start: hour(0), slice_seconds: 3_600, findings: vec![] },
        nacl_changes: vec![],
        interfaces: vec![],
        talkers: Talkers::default(),
        groups: None,
        coverage: Coverage { interfaces: vec![], interfaces_covered: 19, ..week.coverage },
        comparison: None,
    }
}

/// What ends a script, a comment, a CDATA section, an attribute, and a formula, besides [`HOSTILE`].
fn hostile_text() -> String {
    format!(
        "=cmd()\"' onload=x --> ]]> </style></script></title><img src=http://e/ onerror=alert(2)>{HOSTILE}"
    )
}

/// [`hostile_text`] in every place that comes from a log, a snapshot, a tag or CloudTrail.
pub fn hostile_report() -> Report {
    let text = hostile_text();
    let mut report = week();
    let hostile = hostile();
    let hourly = report.hourly.findings.clone();
    report.diagnosis = Diagnosis { window: report.diagnosis.window.clone(), ..hostile };
    report.diagnosis.network_config.history = "cloudtrail";
    for (at, finding) in report.diagnosis.findings.iter_mut().enumerate() {
        finding.id = format!("{at}{text}");
        finding.vpc_id = Some(text.clone());
        finding.confidence_reason = Some(text.clone());
        let change = Change {
            event: text.clone(),
            actor: Some(text.clone()),
            source_ip: Some(text.clone()),
            before: Some(text.clone()),
            after: Some(text.clone()),
            ..removed(finding)
        };
        (finding.change, finding.restored) = (Some(change.clone()), Some(change));
        if let Some(fix) = &mut finding.fix {
            fix.terraform = format!("{text}\nresource \"{text}\" {{\n}}\n");
            fix.quota = Some(text.clone());
        }
    }
    let ids: Vec<String> = report.diagnosis.findings.iter().map(|finding| finding.id.clone()).collect();
    report.hourly.findings = hourly;
    for (hourly, id) in report.hourly.findings.iter_mut().zip(&ids) {
        hourly.finding_id.clone_from(id);
    }
    for change in &mut report.nacl_changes {
        change.event.clone_from(&text);
        change.actor = Some(text.clone());
        change.source_ip = Some(text.clone());
        change.network_acl_id = Some(text.clone());
        change.began.clone_from(&ids);
    }
    for interface in &mut report.interfaces {
        interface.interface_id.clone_from(&text);
        (interface.subnet_id, interface.vpc_id) = (Some(text.clone()), Some(text.clone()));
        interface.account_id = Some(text.clone());
        interface.finding_ids.clone_from(&ids);
    }
    for talker in &mut report.talkers.rows {
        (talker.requester, talker.responder) = (text.clone(), text.clone());
    }
    if let Some(groups) = &mut report.groups {
        groups.by.clone_from(&text);
        groups.rows.iter_mut().for_each(|group| group.group = Some(text.clone()));
    }
    for interface in &mut report.coverage.interfaces {
        interface.interface_id.clone_from(&text);
    }
    if let Some(comparison) = &mut report.comparison {
        comparison.file = Some(text.clone());
        for finding in &mut comparison.findings {
            finding.finding_id.clone_from(&text);
            finding.network_acl_id = Some(text.clone());
            finding.rule = Some(text.clone());
        }
    }
    report.diagnosis.notes = vec![text.clone()];
    report.diagnosis.names.insert(text.clone(), text);
    report
}

/// More of everything than there is room for: 200 findings in 168 hours, 2 000 interfaces.
pub fn huge_report() -> Report {
    let mut report = week();
    let (model, hourly) = (report.diagnosis.findings[0].clone(), report.hourly.findings[0].clone());
    report.diagnosis.findings.clear();
    report.hourly.findings.clear();
    for at in 0..200 {
        let mut finding = model.clone();
        finding.id = format!("acl-0{at:016x}/ingress/32767");
        finding.network_acl_id = Some(format!("acl-0{at:016x}"));
        finding.interface_ids = (0..2_000).map(|eni| format!("eni-0{eni:016x}")).collect();
        finding.conversations -= at;
        let mut hours = hourly.clone();
        hours.finding_id.clone_from(&finding.id);
        report.diagnosis.findings.push(finding);
        report.hourly.findings.push(hours);
    }
    let ids: Vec<String> = report.diagnosis.findings.iter().map(|finding| finding.id.clone()).collect();
    let model = report.interfaces[0].clone();
    let interface = |eni| AffectedInterface {
        interface_id: format!("eni-0{eni:016x}"),
        finding_ids: ids.clone(),
        ..model.clone()
    };
    report.interfaces = (0..2_000).map(interface).collect();
    let model = report.nacl_changes[0].clone();
    report.nacl_changes = (0..2_000).map(|at| NaclChange { time: hour(at % 168), ..model.clone() }).collect();
    let model = report.coverage.interfaces[0].clone();
    report.coverage.interfaces = (0..2_000)
        .map(|eni| InterfaceCoverage { interface_id: format!("eni-0{eni:016x}"), ..model.clone() })
        .collect();
    let model = report.diagnosis.input.incomplete[0].clone();
    report.diagnosis.input.incomplete = vec![model; 2_000];
    report.diagnosis.warnings = vec![HOSTILE.to_owned(); 2_000];
    let model = report.talkers.rows.clone();
    report.talkers.rows = model.into_iter().cycle().take(2_000).collect();
    report
}
