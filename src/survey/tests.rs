//! Stretches of time made by hand: what goes on counts once, what is kept reads back, what differs is told.

use std::collections::BTreeMap;

use super::*;
use crate::report::sample;
use crate::report::view::{Finding, PortSpan, Service, Talker};

/// The earlier stretch ends here, the later one begins.
const MIDNIGHT: i64 = 1_795_219_200;

fn edge(conversation: u64, at: i64) -> Edge {
    Edge {
        conversation,
        at: Timestamp(at),
        cell: 0,
        hour: at.div_euclid(HOUR),
        requester: "10.0.1.23".parse().expect("address"),
        responder: "52.94.5.1".parse().expect("address"),
        packet: Some(("52.94.5.1".parse().expect("address"), Some(64214))),
    }
}

/// One finding with so many conversations of one service, in the hour of this moment.
fn stretch(id: &str, conversations: u64, at: i64) -> Survey {
    let mut diagnosis = sample::empty();
    let finding = Finding {
        id: id.to_owned(),
        conversations,
        packets: conversations * 4,
        first_seen: Timestamp(at),
        last_seen: Timestamp(at),
        services: vec![Service { protocol: 6, port: 443, conversations }],
        requester_ports: PortSpan { min: 64214, max: 64214 },
        examples: Vec::new(),
        ..sample::default_deny()
    };
    diagnosis.summary.rejected_conversations = conversations;
    diagnosis.findings = vec![finding];
    let cell = Cell {
        interface_id: "eni-0a".to_owned(),
        protocol: 6,
        port: 443,
        conversations,
        packets: conversations * 4,
        ..Cell::default()
    };
    let sums = Sums {
        key: SumsKey { id: id.to_owned(), ..SumsKey::default() },
        hours: BTreeMap::from([(at.div_euclid(HOUR), [conversations, conversations * 4])]),
        cells: vec![cell],
        replies: vec![SeenReplies {
            remote: "52.94.5.1".parse().expect("address"),
            protocol: 6,
            requester: Requester::Unknown,
            ports: vec![(64214, conversations)],
            without_port: 0,
        }],
        ..Sums::default()
    };
    let talker = Talker {
        requester: "10.0.1.23".to_owned(),
        responder: "52.94.5.1".to_owned(),
        protocol: 6,
        port: 443,
        conversations,
        packets: conversations * 4,
        bytes: 0,
    };
    Survey {
        diagnosis,
        sums: vec![sums],
        talkers: Talkers { rows: vec![talker], ..Talkers::default() },
        coverage: Some(BTreeMap::new()),
        coverage_unknown: None,
        skip_data: Vec::new(),
        changes: Vec::new(),
        others: Vec::new(),
        others_cut: false,
    }
}

/// Conversations by everything that counts them.
fn counts(survey: &Survey) -> [u64; 7] {
    let (finding, sums) = (&survey.diagnosis.findings[0], &survey.sums[0]);
    [
        survey.diagnosis.summary.rejected_conversations,
        finding.conversations,
        finding.services[0].conversations,
        sums.hours.values().map(|hour| hour[0]).sum(),
        sums.cells[0].conversations,
        sums.replies[0].ports[0].1,
        survey.talkers.rows[0].conversations,
    ]
}

#[test]
fn a_conversation_that_goes_on_counts_once_wherever_it_is_counted() {
    for (silence, expected) in [(120, 7), (300, 7), (301, 8)] {
        let (mut earlier, mut later) = (stretch("a", 5, MIDNIGHT - 60), stretch("a", 3, MIDNIGHT));
        earlier.sums[0].last = vec![edge(1, MIDNIGHT - 60), edge(2, MIDNIGHT - 60)];
        later.sums[0].first = vec![edge(1, MIDNIGHT - 60 + silence), edge(3, MIDNIGHT)];
        let both = merge(earlier, later, 300, 5);
        assert_eq!(counts(&both), [expected; 7], "{silence} s");
        assert_eq!(both.diagnosis.findings[0].packets, 32, "packets are counted each time");
        assert_eq!(both.diagnosis.summary.rejected_packets, 32);
    }
}

#[test]
fn it_goes_on_through_a_third_stretch() {
    let (mut first, mut second, mut third) =
        (stretch("a", 1, MIDNIGHT - 60), stretch("a", 1, MIDNIGHT), stretch("a", 1, MIDNIGHT + 86_400));
    first.sums[0].last = vec![edge(1, MIDNIGHT - 60)];
    second.sums[0].first = vec![edge(1, MIDNIGHT)];
    second.sums[0].last = vec![edge(1, MIDNIGHT + 86_399)];
    third.sums[0].first = vec![edge(1, MIDNIGHT + 86_400)];
    let all = merge(merge(first, second, 300, 5), third, 300, 5);
    assert_eq!(counts(&all), [1; 7]);
}

#[test]
fn findings_of_one_stretch_only_stay_and_stand_by_their_conversations() {
    let both = merge(stretch("a", 2, MIDNIGHT - 60), stretch("b", 9, MIDNIGHT), 300, 5);
    let told: Vec<_> =
        both.diagnosis.findings.iter().map(|finding| (finding.id.as_str(), finding.conversations)).collect();
    assert_eq!(told, [("b", 9), ("a", 2)]);
    assert_eq!(both.sums.iter().map(|sums| sums.key.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(both.diagnosis.summary.findings, 2);
    assert!(both.diagnosis.findings.iter().all(|finding| finding.fix.is_none()), "to be made anew");
}

#[test]
fn the_same_rule_at_two_times_is_two_findings_with_their_times() {
    let (mut earlier, mut later) = (stretch("a", 2, MIDNIGHT - 60), stretch("a", 3, MIDNIGHT));
    earlier.sums[0].key.since = Some(Timestamp(MIDNIGHT - 3600));
    later.sums[0].key.since = Some(Timestamp(MIDNIGHT - 60));
    let both = merge(earlier, later, 300, 5);
    let ids: Vec<_> = both.diagnosis.findings.iter().map(|finding| finding.id.clone()).collect();
    assert_eq!(ids, ["a@2026-11-20T23:59:00Z", "a@2026-11-20T23:00:00Z"]);
}

#[test]
fn what_is_kept_reads_back_as_it_was() {
    let mut survey = stretch("a", 5, MIDNIGHT);
    for diagnosis in [sample::incident(), sample::silent(), sample::hostile()] {
        survey.diagnosis = diagnosis;
        survey.diagnosis.rows.clear();
        let text = serde_json::to_string(&survey).expect("JSON");
        let read: Survey = serde_json::from_str(&text).expect("what was written");
        assert_eq!(serde_json::to_string(&read).expect("JSON"), text);
    }
    let other = serde_json::to_string(&survey).expect("JSON").replace("\"nacl_default\"", "\"nacl_gremlin\"");
    let error = serde_json::from_str::<Survey>(&other).expect_err("a word of another version");
    assert!(error.to_string().contains("nacl_gremlin"), "{error}");
}

#[test]
fn a_tenth_more_is_worse_and_a_tenth_less_is_better() {
    for (before, now, status) in [
        (100, 110, "unchanged"),
        (100, 111, "worse"),
        (100, 90, "unchanged"),
        (100, 89, "better"),
        (1, 1, "unchanged"),
        (1, 2, "worse"),
        (2, 1, "better"),
        (u64::MAX, u64::MAX, "unchanged"),
    ] {
        let (earlier, later) = (stretch("a", before.min(1 << 60), 0), stretch("a", now.min(1 << 60), 0));
        let told = compare(&later.diagnosis, &Baseline::of(&earlier), None);
        assert_eq!(told.findings[0].status, status, "{before} → {now}");
    }
    let told = compare(&stretch("b", 1, 0).diagnosis, &Baseline::of(&stretch("a", 1, 0)), None);
    let statuses: Vec<_> = told.findings.iter().map(|one| (one.status, one.finding_id.as_str())).collect();
    assert_eq!(statuses, [("new", "b"), ("resolved", "a")]);
}

#[test]
fn what_is_said_of_several_days_is_said_once_and_true_of_all() {
    let said = |before: &str, now: &str| {
        let (mut earlier, mut later) = (stretch("a", 1, MIDNIGHT - 60), stretch("a", 1, MIDNIGHT));
        earlier.diagnosis.findings[0].detail = Some(before.to_owned());
        later.diagnosis.findings[0].detail = Some(now.to_owned());
        merge(earlier, later, 300, 5).diagnosis.findings[0].detail.clone().unwrap_or_default()
    };
    let captured = |at: &str| format!("rules as captured at {at}, without a history of changes");
    let (first, second) = ("2026-11-20T02:30:00Z", "2026-11-21T02:30:00Z");
    assert_eq!(said(&captured(first), &captured(first)), captured(first));
    assert_eq!(said(&captured(first), &captured(second)), captured(&format!("{first}–{second}")));
    assert_eq!(
        said(&captured(&format!("{first}–{second}")), &captured("2026-11-22T02:30:00Z")),
        captured(&format!("{first}–2026-11-22T02:30:00Z"))
    );
    assert_eq!(
        said("2 of 55 conversations lack it", "1 of 27 conversations lack it"),
        "3 of 82 conversations lack it"
    );
    // Two subnets are two, whatever their ids are made of.
    assert_eq!(
        said("both ends are in subnet-01", "both ends are in subnet-02"),
        "both ends are in subnet-01; both ends are in subnet-02"
    );
    assert_eq!(said("a; b", "b; c"), "a; b; c");
}
