//! Without a SOURCE: the flow logs of the account, each at its own destination and in its own format.

use std::fmt::Write as _;

use super::cloud::{Account, Cloud, REGION};
use super::{GROUP, V2, event, group, moment, snapshot, timeout};
use crate::logs_stub::{Event, Group};
use crate::run::{Ended, Scratch, gzip};

const FOLDER: &str = "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/11/20";

/// One flow log, with what else EC2 says of it.
fn flow_log(id: &str, resource: &str, kind: &str, rest: &str) -> String {
    format!(
        "<item><flowLogId>{id}</flowLogId><resourceId>{resource}</resourceId><trafficType>{kind}</trafficType>\
         <flowLogStatus>ACTIVE</flowLogStatus>{rest}</item>\n"
    )
}

fn to_group(name: &str, format: &str) -> String {
    format!(
        "<logDestinationType>cloud-watch-logs</logDestinationType><logGroupName>{name}</logGroupName><logFormat>{format}</logFormat>"
    )
}

fn to_bucket(bucket: &str) -> String {
    format!(
        "<logDestinationType>s3</logDestinationType><logDestination>arn:aws:s3:::{bucket}</logDestination><logFormat>{V2}</logFormat>"
    )
}

fn ask(account: Account, arguments: &[&str]) -> (Ended, Cloud) {
    let scratch = Scratch::new();
    let snapshot = scratch.file("snapshot.json", snapshot().to_string());
    let (since, until) = (moment(0), moment(900));
    let options = ["--snapshot", &snapshot, "--since", &since, "--until", &until, "--format", "json"];
    let cloud = Cloud::start(account);
    (cloud.ask(&[arguments, &options].concat()), cloud)
}

fn of(flow_logs: &str, events: Vec<Event>) -> Account {
    Account {
        groups: vec![(GROUP.to_owned(), group(events))],
        flow_logs: [(REGION, flow_logs.trim_end().to_owned())].into(),
        ..Account::default()
    }
}

/// The object in S3 that holds these events.
fn object(flow_log_id: &str, events: &[Event]) -> (String, Vec<u8>) {
    let mut text = V2.replace(['$', '{', '}'], "") + "\n";
    for event in events {
        let _ = writeln!(text, "{}", event.message);
    }
    let name = format!("111122223333_vpcflowlogs_eu-west-1_{flow_log_id}_20261120T1200Z_0a.log.gz");
    (format!("logs/{FOLDER}/{name}"), gzip(text))
}

#[test]
fn two_flow_logs_on_one_vpc_give_each_record_once() {
    let events = timeout(40_000, 100).to_vec();
    let flow_logs = flow_log("fl-1", "vpc-1", "ALL", &to_bucket("logs"))
        + &flow_log("fl-2", "vpc-1", "ALL", &to_group(GROUP, V2));
    let account = Account { objects: [object("fl-1", &events)].into(), ..of(&flow_logs, events) };
    let (ended, _) = ask(account, &[]);
    let document = ended.expect(0, &[]).json();
    assert_eq!(document["summary"]["rejected_conversations"], 1, "{ended}");
    let input = &document["input"];
    assert_eq!(
        (&input["accepted"], &input["rejected"], &input["duplicates"]),
        (&1.into(), &1.into(), &2.into())
    );
    assert_eq!(document["findings"][0]["packets"], 3);
    assert!(document["warnings"].as_array().is_some_and(Vec::is_empty), "{ended}");
}

/// A flow log is not changed but made anew. What the old one delivered counts, and if it cannot be seen that is said.
#[test]
fn what_a_flow_log_that_is_gone_delivered_is_read() {
    let (old, own) = (timeout(40_000, 100), timeout(40_001, 200));
    let flow_logs = flow_log("fl-1", "vpc-1", "ALL", &to_bucket("logs"))
        + &flow_log("fl-2", "vpc-2", "ALL", &to_bucket("logs"));
    let account = || Account {
        objects: [object("fl-0", &old), object("fl-2", &own)].into(),
        ..of(&flow_logs, Vec::new())
    };
    let (ended, _) = ask(account(), &[]);
    let document = ended.expect(0, &[]).json();
    assert_eq!(document["summary"]["rejected_conversations"], 2, "{ended}");
    assert!(
        document["notes"].to_string().contains("of flow logs that are there no more, 1 objects"),
        "{ended}"
    );
    assert!(document["warnings"].as_array().is_some_and(Vec::is_empty), "{ended}");

    // Nothing but its neighbour's: then it is the one that delivered nothing.
    let (ended, _) = ask(Account { objects: [object("fl-2", &own)].into(), ..account() }, &[]);
    let document = ended.expect(0, &["fl-1 (vpc-1) has delivered nothing to s3://logs"]).json();
    assert_eq!(document["summary"]["rejected_conversations"], 1, "{ended}");

    let place = "AWSLogs/111122223333/vpcflowlogs/eu-west-1/";
    let (ended, _) = ask(Account { unlistable: Some(place), ..account() }, &[]);
    let document = ended.expect(3, &["s3:ListBucket"]).json();
    assert_eq!(document["summary"]["rejected_conversations"], 1, "{ended}");
}

#[test]
fn accepts_in_one_place_and_rejects_in_another_are_joined() {
    let events = timeout(40_000, 100);
    let flow_logs = flow_log("fl-1", "vpc-1", "ACCEPT", &to_bucket("logs"))
        + &flow_log("fl-2", "vpc-1", "REJECT", &to_group(GROUP, V2));
    let account =
        Account { objects: [object("fl-1", &events[..1])].into(), ..of(&flow_logs, events[1..].to_vec()) };
    let (ended, _) = ask(account, &[]);
    let document = ended.expect(0, &[]).json();
    assert_eq!(document["findings"][0]["confidence"], "likely", "{ended}");
    assert_eq!(document["findings"][0]["examples"][0]["request"]["action"], "ACCEPT", "{ended}");
    assert!(document["warnings"].as_array().is_some_and(Vec::is_empty), "{ended}");
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_read() {
    let failed = |message: &str| {
        format!(
            "<deliverLogsStatus>FAILED</deliverLogsStatus><deliverLogsErrorMessage>{message}</deliverLogsErrorMessage>"
        )
    };
    let firehose = "<logDestinationType>kinesis-data-firehose</logDestinationType><logDestination>arn:aws:firehose:eu-west-1:111122223333:deliverystream/d</logDestination>";
    let flow_logs = [
        flow_log("fl-1", "vpc-1", "ALL", &to_group(GROUP, V2)),
        flow_log("fl-2", "vpc-2", "ALL", &(to_group("/absent", V2) + &failed("Access error"))),
        flow_log("fl-3", "vpc-3", "ALL", &(to_bucket("gone") + &failed("Access error"))),
        flow_log("fl-4", "vpc-4", "ALL", &(to_group(GROUP, V2) + &failed("Rate limited"))),
        flow_log("fl-5", "vpc-5", "ALL", &(to_group(GROUP, V2) + &failed("Unknown error"))),
        flow_log("fl-6", "vpc-6", "ALL", firehose),
        flow_log("fl-7", "vpc-7", "ALL", &to_group("/delivery", V2)),
        format!(
            "<item><flowLogId>fl-8</flowLogId><resourceId>tgw-1</resourceId>{}</item>\n",
            to_group(GROUP, V2)
        ),
    ];
    let mut account = of(&flow_logs.concat(), timeout(40_000, 100).to_vec());
    account.groups.push(("/delivery".to_owned(), Group { class: "DELIVERY", events: Vec::new() }));
    let (ended, _) = ask(account, &[]);
    let document = ended.expect(3, &[]).json();
    assert_eq!(document["summary"]["rejected_conversations"], 1, "{ended}");
    let incomplete = document["input"]["incomplete"].as_array().expect("incomplete inputs");
    let said = |source: &str| {
        let errors =
            incomplete.iter().filter(|one| one["source"].as_str().is_some_and(|name| name.contains(source)));
        errors.map(|one| one["error"].as_str().expect("a reason").to_owned()).collect::<Vec<_>>().join("; ")
    };
    for (source, part) in [
        ("fl-2", "logs:PutLogEvents"),
        ("fl-3", "s3:PutObject"),
        ("fl-4", "Rate limited"),
        ("fl-5", "Unknown error"),
        ("fl-6", "Firehose"),
        ("/absent", "does not exist; its flow log makes it"),
        ("s3://gone", "does not exist"),
        ("/delivery", "class DELIVERY holds no events to read"),
    ] {
        assert!(said(source).contains(part), "{source}: {part}: {:?}\n{ended}", said(source));
    }
    assert!(incomplete.iter().all(|one| !one["error"].as_str().expect("a reason").contains('\n')), "{ended}");
    assert!(document["warnings"].to_string().contains("fl-8 (tgw-1) logs a transit gateway"), "{ended}");
}

#[test]
fn a_region_that_is_closed_does_not_hide_another() {
    let flow_logs = flow_log("fl-1", "vpc-1", "ALL", &to_group(GROUP, V2));
    let both = ["--region", "us-east-1", "--region", REGION];
    let account = |flow_logs: &str| Account {
        refused: [(("us-east-1", "DescribeFlowLogs"), "UnauthorizedOperation")].into(),
        ..of(flow_logs, timeout(40_000, 100).to_vec())
    };
    let (ended, cloud) = ask(account(&flow_logs), &both);
    let document = ended.expect(3, &["ec2:DescribeFlowLogs"]).json();
    assert_eq!(document["summary"]["rejected_conversations"], 1, "{ended}");
    let asked: Vec<_> = cloud.queries().into_iter().map(|(region, _)| region).collect();
    assert_eq!(asked, ["us-east-1", REGION]);
    // With nothing in the other one, the refusal is what there is to say.
    let (ended, _) = ask(Account { flow_logs: [].into(), ..account("") }, &both);
    ended.expect(2, &["us-east-1: not allowed: ec2:DescribeFlowLogs is missing"]).expect_no_output();
}

#[test]
fn without_any_flow_log_the_command_that_makes_one_is_told() {
    let (ended, _) = ask(Account::default(), &["--region", REGION, "--region", "us-east-1"]);
    ended
        .expect(2, &["no flow logs in eu-west-1, us-east-1", "hint: aws ec2 create-flow-logs"])
        .expect_no_output();
}

/// Nothing to read is not nothing found.
#[test]
fn flow_logs_of_other_places_are_no_answer() {
    let vpc_2 = flow_log("fl-1", "vpc-2", "ALL", &to_group(GROUP, V2));
    let tgw = format!(
        "<item><flowLogId>fl-8</flowLogId><resourceId>tgw-1</resourceId>{}</item>",
        to_group(GROUP, V2)
    );
    for (flow_logs, arguments) in [(&vpc_2, &["--vpc", "vpc-1"][..]), (&tgw, &[])] {
        let (ended, cloud) = ask(of(flow_logs, timeout(40_000, 100).to_vec()), arguments);
        ended
            .expect(2, &["no flow log in eu-west-1 can hold records of what is asked for; there are 1"])
            .expect_no_output();
        assert_eq!(cloud.stub.requests().len(), 1, "nothing is read");
    }
    let here = flow_log("fl-1", "vpc-1", "ALL", &to_group(GROUP, V2));
    let (ended, _) = ask(of(&(here + &vpc_2), timeout(40_000, 100).to_vec()), &["--vpc", "vpc-1"]);
    assert_eq!(ended.expect(0, &[]).json()["summary"]["rejected_conversations"], 1);
}

/// The same packets as [`timeout`], in a format of their own, from interface eni-0b.
fn of_format(order: &str, port: u16) -> Vec<Event> {
    timeout(port, 100)
        .into_iter()
        .map(|one| {
            let values: Vec<&str> = one.message.split(' ').collect();
            let names: Vec<&str> = V2.split(' ').collect();
            let value = |name: &str| match name {
                "${version}" => "5",
                "${interface-id}" => "eni-0b",
                name => names.iter().position(|known| *known == name).map_or("-", |at| values[at]),
            };
            let line: Vec<_> = order.split(' ').map(value).collect();
            event(100, line.join(" "))
        })
        .collect()
}

#[test]
fn each_record_is_read_in_the_format_of_its_flow_log() {
    let custom = "${interface-id} ${action} ${srcaddr} ${srcport} ${dstaddr} ${dstport} ${protocol} ${start} ${end} ${packets}";
    let flow_logs = flow_log("fl-1", "vpc-1", "ALL", &to_group(GROUP, V2))
        + &flow_log("fl-2", "vpc-1", "ALL", &to_group(GROUP, custom));
    let events = [timeout(40_000, 100).to_vec(), of_format(custom, 40_001)].concat();
    let (ended, _) = ask(of(&flow_logs, events), &[]);
    let document = ended.expect(0, &[]).json();
    assert_eq!(
        (&document["summary"]["rejected_conversations"], &document["input"]["malformed"]),
        (&2.into(), &0.into())
    );
    assert_eq!(document["findings"][0]["interface_ids"].as_array().map(Vec::len), Some(2), "{ended}");
}

/// As many fields in another order: where a line fits both formats nobody can say who asked whom.
#[test]
fn formats_that_cannot_be_told_apart_are_not_guessed_at() {
    let straight = "${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${start} ${end} ${packets} ${action}";
    let swapped = "${interface-id} ${dstaddr} ${srcaddr} ${dstport} ${srcport} ${protocol} ${start} ${end} ${packets} ${action}";
    let flow_logs = flow_log("fl-1", "vpc-1", "ALL", &to_group(GROUP, straight))
        + &flow_log("fl-2", "vpc-1", "ALL", &to_group(GROUP, swapped));
    let events = [of_format(straight, 40_000), of_format(swapped, 40_001)].concat();
    let (ended, _) = ask(of(&flow_logs, events), &[]);
    let document = ended.expect(3, &["fits two log formats"]).json();
    assert_eq!(
        (&document["summary"]["findings"], &document["input"]["records"]),
        (&0.into(), &0.into()),
        "{ended}"
    );
    assert_eq!(document["input"]["malformed"], 2, "the rejected ones; the others are not needed: {ended}");
    assert_eq!(document["summary"]["complete"], false);

    // However many other malformed lines come first.
    let junk = (0..12).map(|n| event(50, format!("junk {n} REJECT")));
    let events = junk.chain(of_format(straight, 40_000)).collect();
    let (ended, _) = ask(of(&flow_logs, events), &[]);
    let document = ended.expect(3, &["fits two log formats"]).json();
    assert_eq!(document["input"]["malformed"], 13, "{ended}");
}

/// What a group is decides how it is read, and whether.
#[test]
fn groups_of_both_classes_and_absent_ones() {
    let events = timeout(40_000, 100).to_vec();
    let source = format!("cloudwatch://{GROUP}");
    let account = |class| Account {
        groups: vec![(GROUP.to_owned(), Group { class, events: events.clone() })],
        ..Account::default()
    };
    for class in ["STANDARD", "INFREQUENT_ACCESS"] {
        let (ended, _) = ask(account(class), &[&source]);
        assert_eq!(ended.expect(0, &[]).json()["summary"]["rejected_conversations"], 1, "{class}");
    }
    let (ended, _) = ask(account("DELIVERY"), &[&source]);
    ended.expect(2, &["class DELIVERY", "hint: "]).expect_no_output();
    let (ended, _) = ask(account("STANDARD"), &["cloudwatch:///absent"]);
    ended.expect(2, &["cloudwatch:///absent in eu-west-1: does not exist"]).expect_no_output();
    // Beside another source an absent one is named, and the run goes on.
    let (ended, _) = ask(account("STANDARD"), &["cloudwatch:///absent", &source]);
    ended.expect(3, &["/absent"]);
}
