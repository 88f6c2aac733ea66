//! Days put together are what one reading of all of them is; what is kept of a day serves until its inputs change.

use serde_json::Value;

use super::incident::Incident;
use super::{list, sum};
use crate::run::Ended;

/// The report over three days, from days that are kept.
fn kept(incident: &Incident, more: &[&str]) -> Ended {
    let state = incident.scratch.at("state");
    let mut arguments = vec!["--since", "2026-11-20", "--until", "2026-11-23", "--state", &state];
    arguments.extend(more);
    if !more.contains(&"--format") {
        arguments.extend(["--format", "json"]);
    }
    incident.report(&arguments)
}

/// What was read and what was kept, as the report says it.
fn read_and_kept(report: &Value) -> (usize, usize) {
    let notes = list(&report["notes"]).iter().filter_map(Value::as_str);
    let note = notes.into_iter().find_map(|note| note.strip_prefix("days (UTC) read: ")).expect("a note");
    let (read, kept) = note.split_once("; taken from earlier runs: ").expect("both");
    (read.parse().expect("a number"), kept.parse().expect("a number"))
}

/// Without what has to differ: how often files were read, how finely examples and times were drawn.
fn compared(mut report: Value) -> Value {
    report["notes"] = Value::Null;
    let input = report["input"].as_object_mut().expect("an object");
    for member in ["objects", "bytes_read", "bytes_decoded", "lines", "filtered", "headers"] {
        input.remove(member);
    }
    for finding in report["findings"].as_array_mut().expect("findings") {
        finding["timeline"] = Value::Null;
        // An example that goes on over midnight is shown as it was on one day.
        finding["examples"] = Value::Null;
    }
    report
}

#[test]
fn days_put_together_come_to_what_one_reading_of_all_comes_to() {
    let incident = Incident::new(3);
    let whole = incident.report(&["--since", "2026-11-20", "--until", "2026-11-23", "--format", "json"]);
    let whole = whole.expect(0, &[]).json();
    // 24 every day, and two over a midnight.
    assert_eq!(whole["summary"]["rejected_conversations"], 74);
    let days = kept(&incident, &[]).expect(0, &[]).json();
    assert_eq!(read_and_kept(&days), (3, 0));
    assert_eq!(compared(days), compared(whole));
    let again = kept(&incident, &[]).json();
    assert_eq!(read_and_kept(&again), (0, 3));
}

#[test]
fn a_kept_week_is_the_same_report_as_a_fresh_one_in_every_format() {
    let incident = Incident::new(3);
    for format in ["json", "md", "text", "html"] {
        let told = |text: String| {
            text.replace("read: 3; taken from earlier runs: 0", "read: 0; taken from earlier runs: 3")
        };
        let fresh = incident.scratch.at(&format!("fresh-{format}"));
        let range = ["--since", "2026-11-20", "--until", "2026-11-23", "--format", format, "--state", &fresh];
        let first = incident.report(&range);
        let second = incident.report(&range);
        first.expect(0, &[]);
        // What was read now was read again in no part.
        let same = format == "json" || told(first.stdout.clone()) == second.stdout;
        assert!(same, "{format}: {first}{second}");
    }
}

#[test]
fn only_the_days_whose_inputs_changed_are_read_again() {
    let incident = Incident::new(3);
    kept(&incident, &[]).expect(0, &[]);
    // Noon of the second day.
    incident.add(86_400 + 12 * 3600 + 120, 50_000);
    let report = kept(&incident, &[]).json();
    assert_eq!(read_and_kept(&report), (1, 2));
    assert_eq!(report["summary"]["rejected_conversations"], 75);
}

#[test]
fn a_day_in_progress_is_read_but_not_kept() {
    let incident = Incident::new(2);
    let state = incident.scratch.at("state");
    let range = ["--since", "2026-11-20T05:00:00Z", "--until", "2026-11-21T06:00:00Z", "--format", "json"];
    let report = || {
        let mut arguments = range.to_vec();
        arguments.extend(["--state", &state]);
        incident.report(&arguments).json()
    };
    let first = report();
    assert_eq!(read_and_kept(&first), (2, 0));
    // From the beginning of its day on, and six hours of the second, with the one over midnight.
    assert_eq!(first["window"]["since"], "2026-11-20T00:00:00Z");
    assert_eq!(first["summary"]["rejected_conversations"], 24 + 6 + 1);
    let second = report();
    assert_eq!(read_and_kept(&second), (1, 1));
    assert_eq!(compared(first), compared(second));
}

#[test]
fn a_damaged_or_foreign_file_is_said_and_its_day_read_again() {
    let incident = Incident::new(3);
    let first = kept(&incident, &[]).json();
    let folder = std::fs::read_dir(incident.scratch.at("state")).expect("folder").next().expect("a scope");
    let folder = folder.expect("entry").path();
    let damaged = folder.join("2026-11-21.json.gz");
    let content = std::fs::read(&damaged).expect("a day");
    std::fs::write(&damaged, &content[..content.len() / 2]).expect("write");
    std::fs::write(folder.join("2026-11-22.json.gz"), crate::run::gzip("{\"flowcheck_state\": 99}"))
        .expect("write");
    let report = kept(&incident, &[]);
    report.expect(0, &["2026-11-21.json.gz", "2026-11-22.json.gz", "read again"]);
    assert_eq!(read_and_kept(&report.json()), (2, 1));
    assert_eq!(compared(report.json()), compared(first));
}

#[test]
fn days_are_kept_apart_for_other_filters() {
    let incident = Incident::new(3);
    kept(&incident, &[]).expect(0, &[]);
    let filtered = kept(&incident, &["--port", "443"]).json();
    assert_eq!(read_and_kept(&filtered), (3, 0));
    assert_eq!(filtered["summary"]["rejected_conversations"], 0);
    assert_eq!(read_and_kept(&kept(&incident, &[]).json()), (0, 3));
}

#[test]
fn a_day_that_was_not_read_whole_is_not_kept() {
    let incident = Incident::new(3);
    incident.cut_short();
    assert_eq!(read_and_kept(&kept(&incident, &[]).expect(3, &[]).json()), (3, 0));
    let again = kept(&incident, &[]).expect(3, &[]).json();
    assert_eq!(read_and_kept(&again), (1, 2));
}

#[test]
fn fixes_of_days_put_together_are_proven_on_all_of_them() {
    let incident = Incident::new(3);
    kept(&incident, &[]).expect(0, &[]);
    let report = kept(&incident, &[]).json();
    let finding = &list(&report["findings"])[0];
    assert_eq!(finding["fix"]["restores"], finding["conversations"]);
    assert_eq!(finding["fix"]["of"], 74);
    assert_eq!(sum(list(&report["interfaces"]), "conversations"), 74);
}

#[test]
fn what_is_more_than_memory_may_hold_is_read_day_by_day_to_the_same_end() {
    let incident = Incident::new(3);
    for range in [&[][..], &["--since", "2026-11-20T05:00:00Z"], &["--until", "2026-11-22T05:00:00Z"]] {
        let report = |more: &[&str]| {
            let mut arguments = range.to_vec();
            arguments.extend(["--format", "json"]);
            arguments.extend(more);
            incident.report(&arguments).expect(0, &[]).json()
        };
        let (whole, parts) = (report(&[]), report(&["--memory-limit", "20KiB"]));
        assert!(!whole["notes"].to_string().contains("day by day"), "{}", whole["notes"]);
        assert!(parts["notes"].to_string().contains("day by day"), "{}", parts["notes"]);
        assert_eq!(compared(parts), compared(whole), "{range:?}");
    }
    // Rows are one for each conversation of the whole time.
    let rows = |more: &[&str]| {
        let mut arguments = vec!["--format", "jsonl"];
        arguments.extend(more);
        incident.report(&arguments).rows().len()
    };
    assert_eq!((rows(&[]), rows(&["--memory-limit", "20KiB"])), (74, 74));
}
