//! `flowcheck report`: days put together, what is kept of them, comparison, division, the dataset, formats.

mod comparison;
mod dataset;
mod days;
mod incident;

use serde_json::Value;

use crate::run::{Ended, Scratch, flowcheck, sample};
use incident::Incident;

/// A report in JSON on the sample incident, with more options.
fn of_sample(more: &[&str]) -> Ended {
    let [logs, option, snapshot] = sample("allow-all-removed");
    let history = "sample-logs/allow-all-removed/cloudtrail";
    let mut arguments = vec!["report", &logs, &option, &snapshot, "--history", history, "--format", "json"];
    arguments.extend(more);
    flowcheck(&arguments)
}

/// The members of a list.
#[track_caller]
fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

/// The sum of a member over a list.
#[track_caller]
fn sum(list: &[Value], member: &str) -> u64 {
    list.iter().map(|one| one[member].as_u64().unwrap_or_else(|| panic!("no {member}: {one}"))).sum()
}

#[test]
fn it_is_the_diagnosis_and_its_sums_come_to_the_same() {
    let report = of_sample(&[]).json();
    let [logs, option, snapshot] = sample("allow-all-removed");
    let history = "sample-logs/allow-all-removed/cloudtrail";
    let arguments = [&logs, &option, &snapshot, "--history", history, "--format", "json"];
    let diagnosis = flowcheck(&arguments).json();
    for (member, value) in diagnosis.as_object().expect("a document") {
        if member != "names" {
            assert_eq!(&report[member], value, "{member}");
        }
    }
    let findings = list(&report["findings"]);
    let hours = list(&report["hourly"]["findings"]);
    assert_eq!(findings.len(), hours.len());
    for (finding, hours) in findings.iter().zip(hours) {
        let total = |member: &str| list(&hours[member]).iter().filter_map(Value::as_u64).sum::<u64>();
        assert_eq!(hours["finding_id"], finding["id"]);
        assert_eq!(finding["conversations"], total("conversations"), "{}", finding["id"]);
        assert_eq!(finding["packets"], total("packets"), "{}", finding["id"]);
        assert_eq!(list(&hours["packets"]).len(), 2, "two hours of records");
    }
    let packets = sum(findings, "packets");
    assert_eq!(sum(list(&report["interfaces"]), "packets"), packets);
    assert_eq!(sum(list(&report["talkers"]["rows"]), "packets"), packets);
    let changes = list(&report["nacl_changes"]);
    assert_eq!(changes[0]["event"], "DeleteNetworkAclEntry");
    assert_eq!(changes[0]["began"][0], findings[0]["id"]);
    assert_eq!(report["coverage"]["interfaces_covered"], 17, "{}", report["coverage"]);
    assert_eq!(report["coverage"]["interfaces"][0]["skip_data"], 3);
}

#[test]
fn rows_are_those_of_the_diagnosis() {
    let [logs, option, snapshot] = sample("allow-all-removed");
    for format in ["csv", "jsonl"] {
        let diagnosis = flowcheck(&[&logs, &option, &snapshot, "--format", format]);
        let report = flowcheck(&["report", &logs, &option, &snapshot, "--format", format]);
        report.expect(0, &[]);
        assert_eq!(report.stdout, diagnosis.stdout, "{format}");
    }
}

#[test]
fn a_file_is_written_in_the_format_of_its_name_unless_another_is_asked_for() {
    let scratch = Scratch::new();
    let [logs, option, snapshot] = sample("allow-all-removed");
    for (name, beginning) in [
        ("r.html", "<!doctype html>"),
        ("r.HTM", "<!doctype html>"),
        ("r.md", "# Rejected return traffic"),
        ("r.json", "{\n  \"schema_version\": 1"),
        ("r.csv", "cause,confidence,"),
        ("r.txt", "flowcheck · "),
        ("r", "<!doctype html>"),
    ] {
        let path = scratch.at(name);
        flowcheck(&["report", &logs, &option, &snapshot, "-o", &path]).expect(0, &[]).expect_no_output();
        let text = std::fs::read_to_string(&path).expect("a report");
        assert!(
            text.to_lowercase().starts_with(&beginning.to_lowercase()),
            "{name}: {:?}",
            text.lines().next()
        );
    }
    let path = scratch.at("other.html");
    flowcheck(&["report", &logs, &option, &snapshot, "-o", &path, "--format", "md"]).expect(0, &[]);
    assert!(std::fs::read_to_string(&path).expect("a report").starts_with("# Rejected"));
    // Without a file it goes to standard output, which is no terminal here.
    let page = flowcheck(&["report", &logs, &option, &snapshot]);
    assert!(page.expect(0, &[]).stdout.starts_with("<!DOCTYPE html>"), "{page}");
}

#[test]
fn exit_codes_are_those_of_the_diagnosis() {
    let incident = Incident::new(1);
    incident.report(&["--exit-code", "--format", "json"]).expect(1, &[]);
    incident.report(&["--interface", "eni-none", "--exit-code", "--format", "json"]).expect(0, &[]);
    incident.cut_short();
    incident.report(&["--exit-code", "--format", "json"]).expect(3, &["truncated"]);
    incident.report(&["--strict", "--format", "json"]).expect(2, &["truncated"]).expect_no_output();
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_read() {
    for (arguments, message) in [
        (&["--group-by", "colour", "logs"][..], "subnet, vpc, account, service and tag:KEY"),
        (&["--group-by", "tag:", "logs"], "tag:KEY"),
        (&["--state", "d", "logs"], "--state needs --since"),
        (&["--state", "d", "--since", "7d", "--format", "csv", "logs"], "--dataset"),
        (&["--state", "d", "--since", "7d", "-o", "rows.jsonl", "logs"], "--dataset"),
        (&["--compare", "logs"], "--compare needs --since"),
        (&["--compare", "--since", "7d", "-"], "standard input"),
        (&["--compare", "--baseline", "b.json", "--since", "7d", "logs"], "cannot be used with"),
        (&["--follow", "logs"], "--follow"),
        (&["--baseline", "no-such.json", "logs"], "no-such.json"),
    ] {
        let mut all = vec!["report"];
        all.extend(arguments);
        flowcheck(&all).expect(2, &[message]).expect_no_output();
    }
}

#[test]
fn findings_are_divided_by_place_service_and_tag() {
    for (by, group, of_all) in [
        ("subnet", Some("subnet-0a7d3c5e9f1b24680"), true),
        ("vpc", Some("vpc-0d5a7e91c3b2f4860"), true),
        ("account", Some("111122223333"), true),
        ("service", Some("5432/tcp"), true),
        ("tag:Name", Some("web-1"), true),
        ("tag:none-has-it", None, true),
    ] {
        let report = of_sample(&["--group-by", by]).json();
        let groups = &report["groups"];
        assert_eq!(groups["by"], by);
        let rows = list(&groups["rows"]);
        let named = rows.iter().any(|row| row["group"].as_str() == group);
        assert!(named, "{by}: {rows:#?}");
        let findings = list(&report["findings"]);
        assert_eq!(sum(rows, "packets") == sum(findings, "packets"), of_all, "{by}");
        assert_eq!(sum(rows, "conversations"), sum(findings, "conversations"), "{by}");
        for row in rows {
            assert_eq!(sum(list(&row["findings"]), "packets"), row["packets"].as_u64().expect("a number"));
        }
    }
    assert!(of_sample(&[]).json()["groups"].is_null());
}

#[test]
fn a_time_without_any_record_of_an_interface_is_a_gap() {
    let incident = Incident::new(1);
    let covered = incident.report(&["--format", "json"]).json();
    assert_eq!(covered["coverage"]["interfaces"], serde_json::json!([]), "{}", covered["coverage"]);
    // An idle interface has NODATA records; one that has none from 12:00 to 13:30 was not logged then.
    incident.forget("eni-idle", 12 * 3600, 13 * 3600 + 1800);
    let report = incident.report(&["--format", "json"]).json();
    let coverage = &report["coverage"];
    let row = &coverage["interfaces"][0];
    assert_eq!((row["interface_id"].as_str(), row["gap_seconds"].as_u64()), (Some("eni-idle"), Some(5400)));
    assert_eq!(row["gaps"][0]["start"], "2026-11-20T12:00:00Z");
    assert_eq!(row["gaps"][0]["end"], "2026-11-20T13:29:59Z");
    let text = incident.report(&["--format", "text"]).stdout;
    assert!(text.contains("eni-idle  2026-11-20 12:00 – 13:30"), "{text}");
    // The end of the time asked for, and not the last record, is where gaps end; NODATA shows that there was nothing else.
    let longer = incident.report(&["--until", "2026-11-22", "--format", "json"]).json();
    let rows = list(&longer["coverage"]["interfaces"]).to_vec();
    assert_eq!(rows.len(), 2, "{rows:#?}");
    assert!(rows.iter().all(|row| row["gaps"].to_string().contains("2026-11-21T23:59:59Z")), "{rows:#?}");
    // What a filter leaves out may be the only record of its time.
    let filtered = incident.report(&["--port", "443", "--format", "json"]).json();
    assert!(filtered["coverage"]["unknown"].as_str().is_some_and(|reason| reason.contains("filter")));
}

#[test]
fn the_sample_reads_well_as_markdown_and_is_stable_as_json() {
    let [logs, option, snapshot] = sample("allow-all-removed");
    let history = "sample-logs/allow-all-removed/cloudtrail";
    let common = [&logs, &option, &snapshot, "--history", history, "--group-by", "service", "--top", "1"];
    for format in ["md", "json"] {
        let mut arguments = vec!["report", "--format", format];
        arguments.extend(common.iter().copied());
        arguments.extend(["--since", "2026-11-20T15:00:00Z", "--until", "2026-11-20T16:00:00Z", "--compare"]);
        let report = flowcheck(&arguments);
        report.expect(0, &[]);
        insta::with_settings!({ prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("sample_report_{format}"), report.stdout);
        });
    }
}
