//! Days put together are what one reading of all of them is; what is kept of a day serves until its inputs change.

use serde_json::Value;

use super::incident::Incident;
use super::{list, sum};
use crate::run::Ended;
use crate::servers::expect_same;

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
    expect_same(&compared(days), &compared(whole));
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
    expect_same(&compared(first), &compared(second));
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
    expect_same(&compared(report.json()), &compared(first));
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
        expect_same(&compared(parts), &compared(whole));
    }
    // Rows are one for each conversation of the whole time.
    let rows = |more: &[&str]| {
        let mut arguments = vec!["--format", "jsonl"];
        arguments.extend(more);
        incident.report(&arguments).rows().len()
    };
    assert_eq!((rows(&[]), rows(&["--memory-limit", "20KiB"])), (74, 74));
}

/// The first report keeps the days of the time before too, which does not begin at midnight: what it read of the first day
/// is not that day.
#[test]
fn a_part_of_a_day_is_never_taken_for_the_day() {
    let incident = Incident::new(3);
    let files = std::fs::read_dir(incident.scratch.at("logs"))
        .expect("logs")
        .map(|file| file.expect("a file").path());
    // Without AWS's names every input is one of every day.
    for (number, file) in files.enumerate() {
        std::fs::rename(&file, file.with_file_name(format!("{number}.log.gz"))).expect("rename");
    }
    let state = incident.scratch.at("state");
    let report = |since: &str, until: &str, more: &[&str]| {
        let mut arguments = vec!["--since", since, "--until", until, "--state", &state, "--format", "json"];
        arguments.extend(more);
        incident.report(&arguments).expect(0, &[]).json()
    };
    report("2026-11-22", "2026-11-22T10:00:00Z", &["--compare"]);
    report("2026-11-22", "2026-11-22T18:30:00Z", &["--compare"]);
    let whole = report("2026-11-20", "2026-11-23", &[]);
    assert_eq!(whole["summary"]["rejected_conversations"], 74, "{}", whole["notes"]);
    assert!(whole["notes"].to_string().contains("read once for each day"), "{}", whole["notes"]);
}

/// A day without an ACCEPT record among others that have some is no REJECT-only log.
#[test]
fn the_shape_of_a_reject_is_no_evidence_where_other_days_have_accepted_records() {
    let incident = Incident::new(3);
    let shape =
        "2 111122223333 eni-web 10.8.0.5 10.0.1.10 443 50000 6 4 240 1795140000 1795140050 REJECT OK\n";
    incident.forget_all_but(13, shape);
    let whole =
        incident.report(&["--since", "2026-11-20", "--until", "2026-11-23", "--format", "json"]).json();
    let days = kept(&incident, &[]).json();
    expect_same(&compared(days), &compared(whole));
    let again = kept(&incident, &[]).json();
    assert!(list(&again["findings"]).iter().all(|finding| finding["confidence"] != "possible"), "{again}");
}

/// Two causes of one conversation, on both sides of midnight.
#[test]
fn a_conversation_with_two_causes_is_one_over_midnight_too() {
    let incident = Incident::new(2);
    let fields = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action \
                  log-status reject-reason\n";
    let record = |second: i64, action: &str, reason: &str| {
        let (start, end) = (super::incident::FIRST_DAY + second, super::incident::FIRST_DAY + second + 19);
        let ends =
            if action == "ACCEPT" { "10.0.1.10 10.9.0.5 40404 443" } else { "10.9.0.5 10.0.1.10 443 40404" };
        format!("2 111122223333 eni-web {ends} 6 3 180 {start} {end} {action} OK {reason}\n")
    };
    let mut lines = fields.to_owned();
    for (second, reason) in [(86_160, "-"), (86_360, "BPA"), (86_420, "BPA"), (86_600, "-")] {
        lines += &record(second - 5, "ACCEPT", "-");
        lines += &record(second, "REJECT", reason);
    }
    incident.scratch.file("logs/more.log", lines);
    let range = ["--since", "2026-11-20", "--until", "2026-11-22", "--ip", "10.9.0.5", "--format", "json"];
    let whole = incident.report(&range).expect(0, &[]).json();
    assert_eq!(whole["summary"]["rejected_conversations"], 1, "{}", whole["findings"]);
    let state = incident.scratch.at("state");
    let mut by_day = range.to_vec();
    by_day.extend(["--state", &state]);
    let days = incident.report(&by_day).expect(0, &[]).json();
    expect_same(&compared(days), &compared(whole));
}

#[test]
fn numbers_beyond_all_traffic_break_nothing() {
    let incident = Incident::new(2);
    for day in [0, 86_400] {
        let (start, port) = (super::incident::FIRST_DAY + day + 7_200, 51_000 + day / 86_400);
        let more = format!(
            "2 111122223333 eni-web 10.0.1.10 10.8.0.5 {port} 5432 6 3 180 {start} {start} ACCEPT OK\n\
             2 111122223333 eni-web 10.8.0.5 10.0.1.10 5432 {port} 6 9223372036854775807 9223372036854775807 {start} {start} \
             REJECT OK\n\
             2 111122223333 eni-old 10.8.0.5 10.0.1.10 5432 {port} 6 1 1 0 0 REJECT OK\n"
        );
        incident.add_lines(day + 7_200, &more);
    }
    for format in ["json", "md", "text", "html", "csv"] {
        incident.report(&["--format", format]).expect(0, &[]);
    }
    for format in ["json", "md", "text", "html"] {
        kept(&incident, &["--format", format]).expect(0, &[]);
        incident.report(&["--memory-limit", "20KiB", "--format", format]).expect(0, &[]);
    }
}

#[test]
fn times_that_cannot_be_reported_on_are_refused() {
    let incident = Incident::new(1);
    let state = incident.scratch.at("state");
    for (arguments, message) in [
        (&["--since", "2099-01-01"][..], "--since 2099-01-01T00:00:00Z is not before the end"),
        (&["--since", "2099-01-01", "--compare"], "is not before the end"),
        (&["--since", "1926-01-01", "--state", &state], "3660 days at most"),
    ] {
        incident.report(arguments).expect(2, &[message]).expect_no_output();
    }
    // Days that are to come are none yet.
    let range = ["--since", "2026-11-20", "--until", "2126-01-01", "--state", &state, "--format", "json"];
    let report = incident.report(&range).expect(0, &[]).json();
    assert_eq!(report["summary"]["rejected_conversations"], 24);
}
