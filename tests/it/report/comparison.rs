//! What is different from an earlier time.

use serde_json::{Value, json};

use super::incident::Incident;
use super::{list, of_sample};
use crate::run::{Scratch, flowcheck};

fn statuses(report: &Value) -> Vec<(&str, &str)> {
    let findings = list(&report["comparison"]["findings"]).iter();
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
    findings
        .map(|one| (text(&one["status"]).leak() as &str, text(&one["finding_id"]).leak() as &str))
        .collect()
}

#[test]
fn the_time_before_is_as_long_and_from_the_same_sources() {
    let incident = Incident::new(2);
    let range = ["--since", "2026-11-21", "--until", "2026-11-22", "--format", "json", "--compare"];
    let report = incident.report(&range).expect(0, &[]).json();
    let comparison = &report["comparison"];
    assert_eq!(comparison["origin"], "previous_period");
    assert_eq!(
        (&comparison["start"], &comparison["end"]),
        (&json!("2026-11-20T00:00:00Z"), &json!("2026-11-21T00:00:00Z"))
    );
    assert_eq!(statuses(&report), [("unchanged", "acl-0a/ingress/32767")]);
    assert_eq!(comparison["total"]["conversations_before"], 25, "with the one over midnight");
    // With days that are kept, the earlier ones are kept too.
    let state = incident.scratch.at("state");
    let mut kept = range.to_vec();
    kept.extend(["--state", &state]);
    let report = incident.report(&kept).expect(0, &[]).json();
    assert_eq!(statuses(&report), [("unchanged", "acl-0a/ingress/32767")]);
    let again = incident.report(&kept).json();
    assert!(again["notes"].to_string().contains("taken from earlier runs: 1"), "{}", again["notes"]);
}

#[test]
fn a_report_and_a_diagnosis_serve_as_baseline() {
    let scratch = Scratch::new();
    let earlier = of_sample(&[]);
    let baseline = scratch.file("baseline.json", &earlier.stdout);
    let report = of_sample(&["--baseline", &baseline]).json();
    assert!(statuses(&report).iter().all(|(status, _)| *status == "unchanged"), "{report}");
    assert_eq!(report["comparison"]["file"], baseline);
    let mut document = earlier.json();
    let findings = document["findings"].as_array_mut().expect("findings");
    let worse = findings[0]["id"].clone();
    findings[0]["conversations"] = json!(100);
    let better = findings[1]["id"].clone();
    findings[1]["conversations"] = json!(10_000);
    let new = findings.remove(2)["id"].clone();
    let mut gone = findings[2].clone();
    gone["id"] = json!("acl-gone/egress/90");
    findings.push(gone);
    let baseline = scratch.file("other.json", document.to_string());
    let report = of_sample(&["--baseline", &baseline]).json();
    let told = statuses(&report);
    for (status, id) in
        [("worse", &worse), ("better", &better), ("new", &new), ("resolved", &json!("acl-gone/egress/90"))]
    {
        assert!(told.contains(&(status, id.as_str().expect("text"))), "{status} {id}: {told:?}");
    }
    let order = ["new", "worse", "unchanged", "better", "resolved"];
    let places: Vec<_> = told.iter().map(|(status, _)| order.iter().position(|one| one == status)).collect();
    assert!(places.is_sorted(), "{told:?}");
}

#[test]
fn a_rule_told_apart_by_time_is_still_the_same_rule() {
    let scratch = Scratch::new();
    let mut document = of_sample(&[]).json();
    let id = document["findings"][0]["id"].as_str().expect("an id").to_owned();
    document["findings"][0]["id"] = json!(format!("{id}@2026-11-20T14:24:00Z"));
    let baseline = scratch.file("baseline.json", document.to_string());
    let report = of_sample(&["--baseline", &baseline]).json();
    assert!(statuses(&report).contains(&("unchanged", id.as_str())), "{report}");
}

#[test]
fn what_is_no_earlier_result_is_refused() {
    let scratch = Scratch::new();
    let [logs, option, snapshot] = crate::run::sample("allow-all-removed");
    for content in ["not json", "{\"findings\": []}", "[]"] {
        let baseline = scratch.file("baseline.json", content);
        let ended = flowcheck(&["report", &logs, &option, &snapshot, "--baseline", &baseline]);
        ended.expect(2, &["baseline.json", "--format json"]).expect_no_output();
    }
}

#[test]
fn what_was_not_read_is_not_called_resolved_without_a_word() {
    let incident = Incident::new(2);
    incident.cut_short();
    let range = ["--since", "2026-11-21", "--until", "2026-11-22", "--format", "json", "--compare"];
    let report = incident.report(&range);
    report.expect(3, &["this time was not read whole: what is called better or resolved may still be there"]);
}

#[test]
fn times_of_other_lengths_are_said() {
    let incident = Incident::new(2);
    let baseline = incident.scratch.at("day.json");
    incident.report(&["--until", "2026-11-21", "-o", &baseline]).expect(0, &[]);
    let report = incident.report(&["--baseline", &baseline, "--format", "json"]);
    report.expect(0, &["24 h long, this one 48 h"]);
}
