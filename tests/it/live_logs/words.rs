//! What a log group that holds little is said to hold: a `✓` only where it means something.

use super::cloud::{Account, Cloud, REGION};
use super::{GROUP, SOURCE, V2, event, group, moment, side_by_side, snapshot, timeout, v2};
use crate::logs_stub::{Behaviour, Event};
use crate::run::{Ended, Scratch};

fn accepted() -> Vec<Event> {
    (0..5).map(|n| v2(&format!("10.0.1.10 192.0.2.80 4000{n} 443"), 60 * n, 60 * n + 59, "ACCEPT")).collect()
}

/// Replies without their requests, by their look.
fn rejected() -> Vec<Event> {
    (0..5).map(|n| v2(&format!("192.0.2.80 10.0.1.10 443 4000{n}"), 60 * n, 60 * n + 59, "REJECT")).collect()
}

fn ask(account: Account, arguments: &[&str]) -> Ended {
    let scratch = Scratch::new();
    let snapshot = scratch.file("snapshot.json", snapshot().to_string());
    let (since, until) = (moment(0), moment(900));
    let options = ["--snapshot", &snapshot, "--since", &since, "--until", &until];
    Cloud::start(account).ask(&[arguments, &options].concat())
}

fn of(events: Vec<Event>) -> Account {
    Account { groups: vec![(GROUP.to_owned(), group(events))], ..Account::default() }
}

#[track_caller]
fn expect(ended: &Ended, parts: &[&str], absent: &[&str]) {
    ended.expect(0, &[]);
    for part in parts {
        // Lines are broken where they are full.
        let text = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(part), "standard output lacks {part:?}\n{ended}");
    }
    for part in absent {
        assert!(!ended.stdout.contains(part), "standard output has {part:?}\n{ended}");
    }
}

#[test]
fn an_empty_group_is_not_clear() {
    let ended = ask(of(Vec::new()), &[SOURCE]);
    expect(&ended, &["? Nothing to judge", "holds no event of this time"], &["✓", "no event says REJECT"]);
}

#[test]
fn a_group_without_flow_logs_is_not_clear() {
    let events = vec![
        event(10, "START RequestId: 1 Version: $LATEST".to_owned()),
        event(20, "user ACCEPTED".to_owned()),
    ];
    let ended = ask(of(events), &[SOURCE]);
    expect(
        &ended,
        &["? Nothing to judge", "none that looks like a flow log record"],
        &["✓", "no event says REJECT"],
    );
}

#[test]
fn accepted_traffic_alone_is_clear_with_a_word_on_what_it_may_be() {
    let ended = ask(of(accepted()), &[SOURCE]);
    expect(&ended, &["✓ No rejected return traffic found", "records ACCEPT only"], &["Nothing to judge"]);
}

#[test]
fn what_aws_lost_is_not_clear() {
    let mut events = accepted();
    let at = super::BEGIN + 90;
    events.push(event(90, format!("2 111122223333 eni-0a - - - - - - - {at} {} - SKIPDATA", at + 59)));
    let ended = ask(of(events), &[SOURCE]);
    expect(&ended, &["? No rejected return traffic found", "AWS lost traffic"], &["✓"]);
}

#[test]
fn rejects_alone_are_possible_replies_though_some_lie_before_the_window() {
    let mut events = rejected();
    events.push(v2("192.0.2.80 10.0.1.10 443 39999", -300, -241, "REJECT"));
    let ended = ask(of(events), &[SOURCE, "--format", "json"]);
    let document = ended.expect(0, &[]).json();
    assert_eq!(document["findings"][0]["confidence"], "possible", "{ended}");
    assert_eq!(document["findings"][0]["conversations"], 5);
    assert!(document["warnings"].to_string().contains("no ACCEPT records"), "{ended}");
}

/// One accepted record among so many rejected ones that the first events do not show it: it is not a log of rejects alone.
#[test]
fn a_single_accepted_record_is_found_among_many_rejects() {
    let mut events: Vec<_> = (0..900)
        .map(|n| v2(&format!("192.0.2.80 10.0.1.10 443 {}", 40_000 + n), 100, 159, "REJECT"))
        .collect();
    events.push(v2("10.0.1.11 192.0.2.99 50000 443", 100, 159, "ACCEPT"));
    // On another interface, so that it is no evidence for them and not read for that.
    if let Some(last) = events.last_mut() {
        last.message = last.message.replace("eni-0a", "eni-0b");
    }
    let document = ask(of(events), &[SOURCE, "--format", "json"]).expect(0, &[]).json();
    assert_eq!(
        (&document["summary"]["findings"], &document["input"]["accepted_unread"]),
        (&0.into(), &true.into())
    );
}

#[test]
fn a_flow_log_of_accepted_traffic_alone_is_not_clear() {
    let flow_log = |kind: &str| {
        format!(
            "<item><flowLogId>fl-1</flowLogId><resourceId>vpc-1</resourceId><trafficType>{kind}</trafficType>\
             <logDestinationType>cloud-watch-logs</logDestinationType><logGroupName>{GROUP}</logGroupName><logFormat>{V2}</logFormat></item>"
        )
    };
    let account = |kind: &str, events| Account { flow_logs: [(REGION, flow_log(kind))].into(), ..of(events) };
    let only = ask(account("ACCEPT", accepted()), &[]);
    expect(
        &only,
        &["? Nothing to judge: a flow log here records ACCEPT only", "fl-1 (vpc-1) records ACCEPT only"],
        &["✓"],
    );
    let all = ask(account("ALL", accepted()), &[]);
    expect(&all, &["✓ No rejected return traffic found"], &["records ACCEPT only, so"]);
    let rejects = ask(account("REJECT", rejected()), &["--format", "json"]).expect(0, &[]).json();
    assert_eq!(rejects["findings"][0]["confidence"], "possible");
}

#[test]
fn credentials_that_are_absent_or_end_in_the_middle_are_one_line_and_its_fix() {
    let cloud = Cloud::start(of(timeout(40_000, 100).to_vec()));
    let absent = cloud.ask_with(&[SOURCE], &[]);
    absent.expect(2, &["error: no AWS credentials were found\nhint: "]).expect_no_output();
    assert_eq!(absent.stderr.lines().count(), 2, "{absent}");
    let events: Vec<_> = (0..40).flat_map(|n| timeout(40_000 + n, 20 * i64::from(n))).collect();
    side_by_side([0, 1, 4, 12], |after| {
        let behaviour = Behaviour { page: 5, ..Behaviour::default() };
        let ended =
            ask(Account { ends_after: Some(after), behaviour, ..of(events.clone()) }, &[SOURCE, "-v"]);
        ended
            .expect(2, &["error: the AWS session has expired (ExpiredTokenException)\nhint: renew"])
            .expect_no_output();
        assert_eq!(ended.stderr.lines().count(), 2, "{ended}");
    });
}
