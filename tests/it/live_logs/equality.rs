//! A log group, of which only a part is read, answers as a file with all of its records.

use serde_json::Value;

use super::cloud::{Account, Cloud};
use super::{BEGIN, GROUP, SOURCE, event, group, lines, moment, side_by_side, snapshot, timeout, v2};
use crate::logs_stub::{Behaviour, Event, Group};
use crate::run::Scratch;

/// Length of the window that is asked for.
const WINDOW: i64 = 900;
const V5: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action \
                  log-status vpc-id subnet-id tcp-flags pkt-srcaddr pkt-dstaddr flow-direction";

/// A small generator: the same cases on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).expect("an index")]
    }

    fn between(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(u64::try_from(to - from).expect("a length"))).expect("seconds")
    }
}

/// Records of few flows on several interfaces, so that they meet: at the edges of the window and of the match window, in
/// capture windows up to ten minutes long, in two formats, some of them twice.
fn traffic(random: &mut Random, match_window: i64) -> Vec<Event> {
    let mut events = Vec::new();
    let edges = [
        0,
        -1,
        1,
        WINDOW,
        WINDOW - 1,
        -600,
        -match_window,
        -match_window - 600,
        WINDOW + match_window,
        300,
        600,
    ];
    for _ in 0..400 {
        let interface = random.of(&[0_usize, 0, 1, 2, 3]);
        let name = ["eni-0a", "eni-0b", "eni-0c", "eni-0d"][interface];
        let ipv6 = random.below(5) == 0;
        let (own, peer) = if ipv6 {
            (format!("2001:db8:1::1{interface}"), format!("2001:db8:9::{}", random.below(2)))
        } else {
            (format!("10.0.1.1{interface}"), format!("192.0.2.{}", 80 + random.below(2)))
        };
        let protocol = random.of(&[6, 6, 6, 17, if ipv6 { 58 } else { 1 }]);
        let ports = if matches!(protocol, 1 | 58) { (0, 0) } else { (40_000 + random.below(3), 443) };
        let start = match random.below(3) {
            0 => random.of(&edges) + random.between(-2, 3),
            _ => random.between(-1500 - match_window, WINDOW + 1500),
        };
        let end = start + random.of(&[0, 1, 59, 59, 60, 599, 600]);
        let out = random.below(2) == 0;
        let rejected = random.below(if out { 8 } else { 2 }) == 0;
        let action = if rejected { "REJECT" } else { "ACCEPT" };
        let ends = if out {
            format!("{own} {peer} {} {}", ports.0, ports.1)
        } else {
            format!("{peer} {own} {} {}", ports.1, ports.0)
        };
        let (start_at, end_at, size) = (BEGIN + start, BEGIN + end, random.below(4) + 1);
        let common = format!("{name} {ends} {protocol} {size} {} {start_at} {end_at}", size * 40);
        let flags = if protocol == 6 { random.of(&[0, 2, 18, 16, 1, 4]) } else { 0 };
        let (from, to) = if out { (&own, &peer) } else { (&peer, &own) };
        let way = if out { "egress" } else { "ingress" };
        let in_v2 = format!("2 111122223333 {common} {action} OK");
        let in_v5 = format!("5 111122223333 {common} {action} OK vpc-1 subnet-1 {flags} {from} {to} {way}");
        match random.below(12) {
            0 => events.extend([event(start, in_v2.clone()), event(start, in_v2)]),
            1 => events.extend([event(start, in_v5), event(start, in_v2)]),
            2..7 => events.push(event(start, in_v2)),
            7..11 => events.push(event(start, in_v5)),
            _ => {
                let status = random.of(&["NODATA", "SKIPDATA"]);
                let nothing = format!("{name} - - - - - - - {start_at} {end_at} -");
                events.push(event(start, format!("2 111122223333 {nothing} {status}")));
            }
        }
    }
    // In the time before and after there is other traffic.
    for seconds in [-4000, WINDOW + 4000] {
        events.push(v2("10.0.1.10 192.0.2.99 50000 443", seconds, seconds + 59, "ACCEPT"));
    }
    events.sort_by_key(|event| event.at);
    events
}

/// Fails at what a group and a file with its records say differently of findings and rejects.
#[track_caller]
fn expect_equal(case: &str, live: &Value, file: &Value) {
    for member in ["other_rejects", "summary", "findings"] {
        let (mut live, mut file) = (live[member].clone(), file[member].clone());
        for side in [&mut live, &mut file] {
            for finding in side.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
                // These are about the records' whole time, of which a group's is known only about.
                for about in ["timeline", "ongoing"] {
                    finding.remove(about);
                }
            }
        }
        assert_eq!(live, file, "{case}: {member}");
    }
}

fn compare(case: u64) {
    let mut random = Random(case.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 7);
    let match_window = random.of(&[0, 30, 300, 300, 700]);
    let events = traffic(&mut random, match_window);
    let scratch = Scratch::new();
    let all = scratch.file("all.log", lines(&events));
    let snapshot = scratch.file("snapshot.json", snapshot().to_string());
    let behaviour = Behaviour {
        ignores_filters: random.below(2) == 0,
        page: random.of(&[10_000, 10_000, 300]),
        empty_pages: usize::try_from(random.below(2)).expect("0 or 1"),
        ..Behaviour::default()
    };
    let class = random.of(&["STANDARD", "STANDARD", "INFREQUENT_ACCESS"]);
    let groups = vec![(GROUP.to_owned(), Group { class, events })];
    let cloud = Cloud::start(Account { groups, behaviour: behaviour.clone(), ..Account::default() });
    let window = format!("{match_window}s");
    let (since, until) = (moment(0), moment(WINDOW));
    let mut options =
        vec!["--snapshot", &snapshot, "--since", &since, "--until", &until, "--match-window", &window];
    options.extend(["--log-format", V5, "--top", "0"]);
    let filter = [&["--interface", "eni-0a"][..], &["--port", "40001"], &[], &[]];
    options.extend(random.of(&filter));
    let ask =
        |source: &str, format: &str| cloud.ask(&[&[source][..], &options, &["--format", format]].concat());
    let name = format!("case {case}: {class} {behaviour:?} {options:?}");
    let (live, file) = (ask(SOURCE, "json"), ask(&all, "json"));
    live.expect(0, &[]);
    file.expect(0, &[]);
    let (live, file) = (live.json(), file.json());
    expect_equal(&name, &live, &file);
    assert!(file["input"]["rejected"].as_u64() > Some(5), "{name}: too little to compare");
    assert!(live["input"]["accepted"].as_u64() <= file["input"]["accepted"].as_u64(), "{name}");
    assert_eq!(live["input"]["rejected"], file["input"]["rejected"], "{name}");
    let rows = |source| ask(source, "jsonl").expect(0, &[]).rows();
    if case.is_multiple_of(4) {
        assert_eq!(rows(SOURCE), rows(&all), "{name}");
    }
}

#[test]
fn a_log_group_answers_as_a_file_with_all_of_its_records() {
    side_by_side(0..16, compare);
}

/// Only a record on the interface itself is looked for; that the request went out by another one is not seen, and said.
#[test]
fn a_request_that_left_by_another_interface_is_not_looked_for_and_that_is_said() {
    let record = |interface: &str, ends: &str, action: &str, way: &str| {
        let (start, end) = (BEGIN + 100, BEGIN + 150);
        let line = format!(
            "5 111122223333 {interface} {ends} 6 3 180 {start} {end} {action} OK vpc-1 subnet-1 0 {} {way}",
            ends.split(' ').take(2).collect::<Vec<_>>().join(" ")
        );
        event(100, line)
    };
    let events = vec![
        record("eni-0b", "10.0.1.10 192.0.2.80 40000 443", "ACCEPT", "egress"),
        record("eni-0a", "192.0.2.80 10.0.1.10 443 40000", "REJECT", "ingress"),
    ];
    let scratch = Scratch::new();
    let all = scratch.file("all.log", lines(&events));
    let snapshot = scratch.file("snapshot.json", snapshot().to_string());
    let cloud =
        Cloud::start(Account { groups: vec![(GROUP.to_owned(), group(events))], ..Account::default() });
    let (since, until) = (moment(0), moment(WINDOW));
    let ask = |source: &str| {
        let options = [
            "--snapshot",
            &snapshot,
            "--since",
            &since,
            "--until",
            &until,
            "--log-format",
            V5,
            "--format",
            "json",
        ];
        cloud.ask(&[&[source][..], &options].concat()).expect(0, &[]).json()
    };
    let (live, file) = (ask(SOURCE), ask(&all));
    assert_eq!(file["summary"]["findings"], 1);
    assert_eq!((&live["summary"]["findings"], &live["other_rejects"]["records"]), (&0.into(), &1.into()));
    let note = live["notes"][0].as_str().expect("a note");
    assert!(note.contains("requests that left by another interface were not looked for"), "{note}");
}

/// Records go on long after the last rejected reply: an outage that is over is not one that still goes on, though nothing
/// of what came after it is read.
#[test]
fn an_outage_that_is_over_is_not_said_to_go_on() {
    let mut events: Vec<_> = (0..5).flat_map(|n| timeout(40_000 + n, 600)).collect();
    events.extend(
        (0..58).map(|minute| v2("10.0.1.11 192.0.2.99 50000 443", minute * 60, minute * 60 + 59, "ACCEPT")),
    );
    let scratch = Scratch::new();
    let snapshot = scratch.file("snapshot.json", snapshot().to_string());
    let ask = |events: &[Event]| {
        let groups = vec![(GROUP.to_owned(), group(events.to_vec()))];
        let cloud = Cloud::start(Account { groups, ..Account::default() });
        cloud.ask(&[SOURCE, "--snapshot", &snapshot, "--since", &moment(0), "--until", &moment(3600)])
    };
    let over = ask(&events);
    over.expect(0, &[]);
    assert!(
        over.stdout.contains("5 connections timed out") && !over.stdout.contains("still going"),
        "{over}"
    );
    assert!(!over.stdout.contains("since the records begin"), "{over}");
    let going: Vec<_> = events.into_iter().filter(|event| event.at < (BEGIN + 900) * 1000).collect();
    let going = ask(&going);
    assert!(going.stdout.contains("still going"), "{going}");
}
