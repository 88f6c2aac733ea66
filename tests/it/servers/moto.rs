//! moto as the account: EC2 describes the network and its flow log, CloudWatch Logs or S3 holds what was delivered.

use serde_json::Value;

use super::incident::{Destination, Incident, REGION};
use super::{Caller, expect_same, without};
use crate::run::Scratch;

/// The three causes that the sample is made of: ACL, direction, rule, rejected conversations.
const CAUSES: [(&str, &str, u64, u64); 3] = [
    ("acl-0f3c9d2e8b7a61540", "ingress", 32767, 2295),
    ("acl-0f3c9d2e8b7a61540", "ingress", 32768, 154),
    ("acl-06d8a2b4c1e9f7350", "egress", 90, 93),
];

/// Fails unless the document has exactly these causes of the ACLs' doing, each with every conversation.
#[track_caller]
fn expect_causes(document: &Value, incident: &Incident) {
    let mut found: Vec<_> = document["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|finding| finding["cause"].as_str().is_some_and(|cause| cause.starts_with("nacl_")))
        .map(|finding| {
            let of = |name: &str| finding[name].as_str().expect("a text").to_owned();
            let number = |name: &str| finding[name].as_u64().expect("a number");
            (of("network_acl_id"), of("direction"), number("rule_number"), number("conversations"))
        })
        .collect();
    found.sort();
    let mut expected = CAUSES.map(|(acl, direction, rule, conversations)| {
        (incident.id(acl).to_owned(), direction.to_owned(), rule, conversations)
    });
    expected.sort();
    assert_eq!(found, expected);
}

/// The outage command: nothing said but the time. The incident began two hours and some minutes ago.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_bare_command_finds_the_flow_log_and_the_rule() {
    let incident = Incident::new("210000000001", &Destination::CloudWatch);
    let document = incident.ask(&incident.caller(), &["--since", "3h"]).expect(0, &[]).json();
    expect_causes(&document, &incident);
    assert_eq!(document["network_config"]["origin"], "live");
}

/// Fetching rejects first must not change the answer that all records give.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_log_group_answers_as_its_records_on_disk() {
    let incident = Incident::new("210000000002", &Destination::CloudWatch);
    let snapshot = incident.snapshot();
    let expected = incident.on_disk(&snapshot);
    expect_causes(&expected, &incident);
    let by_name = format!("cloudwatch://{}", incident.place);
    let found =
        incident.diagnose(&incident.caller(), &[&by_name, "--snapshot", &snapshot]).expect(0, &[]).json();
    for member in ["findings", "other_rejects", "summary"] {
        expect_same(&found[member], &expected[member]);
    }
}

/// What `snapshot` saves is what a live run judges by: an ACL, a subnet or an interface lost would change a cause.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_saved_configuration_answers_as_the_live_one() {
    let incident = Incident::new("210000000003", &Destination::CloudWatch);
    let live = incident.diagnose(&incident.caller(), &[]).expect(0, &[]).json();
    let snapshot = incident.snapshot();
    let saved = incident.diagnose(&incident.caller(), &["--snapshot", &snapshot]).expect(0, &[]).json();
    for member in ["network_acls", "interfaces"] {
        expect_same(&live["network_config"][member], &saved["network_config"][member]);
    }
    expect_causes(&live, &incident);
    expect_causes(&saved, &incident);
}

/// Someone in another account reads this one through a role; without it there is nothing to read.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_role_in_another_account_is_assumed() {
    let incident = Incident::new("210000000004", &Destination::CloudWatch);
    let stranger = Caller::with_keys("test", "a-secret-of-another-account", REGION);
    let role = incident.role_arn();
    let document = incident.diagnose(&stranger, &["--role-arn", &role]).expect(0, &[]).json();
    expect_causes(&document, &incident);
    let without = incident.diagnose(&stranger, &[]);
    without.expect(2, &["flow log"]).expect_no_output();
}

/// A flow log that delivers to S3 is found and read there.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_bare_command_reads_a_flow_log_that_delivers_to_s3() {
    let incident = Incident::new("210000000005", &Destination::S3);
    let of_its_own = ["input/requests"];
    let expected = without(incident.on_disk(&incident.snapshot()), &of_its_own);
    let found = without(incident.diagnose(&incident.caller(), &[]).expect(0, &[]).json(), &of_its_own);
    expect_causes(&found, &incident);
    for member in ["input", "other_rejects", "summary"] {
        expect_same(&found[member], &expected[member]);
    }
}

/// A flow log's format cannot be changed, so it is deleted and made anew: what the old one delivered still counts.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn what_an_earlier_flow_log_delivered_to_the_same_place_is_read() {
    let incident = Incident::new("210000000007", &Destination::S3Remade);
    let found = incident.diagnose(&incident.caller(), &[]).expect(0, &[]).json();
    expect_causes(&found, &incident);
    let notes = found["notes"].to_string();
    assert!(notes.contains("flow logs that are there no more"), "{notes}");
}

/// Every region named is asked: one without a flow log beside the one that has it changes nothing, and alone is said.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn several_regions_are_searched_for_flow_logs() {
    let incident = Incident::new("210000000006", &Destination::CloudWatch);
    let both = ["--region", "us-east-1", "--region", REGION];
    let document = incident.diagnose(&incident.caller(), &both).expect(0, &[]).json();
    expect_causes(&document, &incident);
    let elsewhere = incident.diagnose(&incident.caller(), &["--region", "us-east-1"]);
    elsewhere.expect(2, &["flow log", "us-east-1"]).expect_no_output();
}

/// The report of a cron job: from the account's own flow logs, and again from what was kept.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_report_asks_for_what_a_bare_command_asks_for() {
    let incident = Incident::new("210000000009", &Destination::CloudWatch);
    let expected = incident.diagnose(&incident.caller(), &[]).expect(0, &[]).json();
    let report = incident.diagnose(&incident.caller(), &["report"]).expect(0, &[]).json();
    // Each says when it asked for the rules.
    let findings = |document: &Value| {
        let mut findings = document["findings"].clone();
        for finding in findings.as_array_mut().expect("findings") {
            finding["confidence_reason"] = Value::Null;
            finding["detail"] = Value::Null;
        }
        findings
    };
    expect_same(&findings(&report), &findings(&expected));
    for member in ["other_rejects", "summary"] {
        expect_same(&report[member], &expected[member]);
    }
    let unknown = report["coverage"]["unknown"].as_str();
    assert!(
        unknown.is_some_and(|reason| reason.contains("not all records were read")),
        "{}",
        report["coverage"]
    );
    let folder = Scratch::new();
    let state = folder.at("days");
    let kept = || {
        incident
            .ask(&incident.caller(), &["report", "--since", "2d", "--state", &state])
            .expect(0, &[])
            .json()
    };
    let (first, second) = (kept(), kept());
    expect_same(&findings(&second), &findings(&first));
    assert!(second["notes"].to_string().contains("taken from earlier runs: "), "{}", second["notes"]);
    assert!(!second["notes"].to_string().contains("taken from earlier runs: 0"), "{}", second["notes"]);
}
