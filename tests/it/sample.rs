//! The sample incidents against the simulator's own truth: every conversation, its cause, rule, times and counts.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::run::{Scratch, flowcheck, flowcheck_with_input, gzip, repository, sample};
use crate::scenarios::untruths;

/// What names a rejected conversation: interface, protocol, the reply's ends, its first and last second.
type Conversation = (String, u64, String, u64, String, u64, i64, i64);

/// What is to be found out about it: cause, ACL (of an ACL's cause), direction, rule, packets, bytes, and whether its request
/// was seen.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    cause: String,
    network_acl_id: String,
    direction: String,
    rule_number: String,
    packets: u64,
    bytes: u64,
    request_seen: bool,
}

#[test]
fn allow_all_removed_is_diagnosed_as_simulated() {
    compare("allow-all-removed");
}

#[test]
fn the_fixes_restore_every_reply_of_the_sample() {
    let [logs, option, snapshot] = sample("allow-all-removed");
    let document = flowcheck(&[logs.as_str(), &option, &snapshot, "--format", "json"]).json();
    let mut numbers = Vec::new();
    for finding in array(&document["findings"]) {
        let fix = &finding["fix"];
        let by_acl = text(&finding["cause"]).starts_with("nacl_");
        assert_eq!(fix.is_object(), by_acl, "{finding}");
        if by_acl {
            assert_eq!(number(&fix["restores"]), number(&finding["conversations"]), "{fix}");
            numbers.extend(array(&fix["entries"]).iter().map(|entry| {
                format!("{} {} {}", finding["network_acl_id"], finding["direction"], entry["rule_number"])
            }));
        }
    }
    assert!(!numbers.is_empty());
    let count = numbers.len();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "all can be carried out: {numbers:#?}");
}

#[test]
fn custom_format_v5_is_diagnosed_as_simulated() {
    compare("custom-format-v5");
}

fn compare(folder: &str) {
    let truth = read_json(&repository().join("sample-logs").join(folder).join("truth.json"));
    let [logs, option, snapshot] = sample(folder);
    let run = |format: &str| flowcheck(&[logs.as_str(), &option, &snapshot, "--format", format]);
    let document = run("json").expect(0, &[]).json();
    let rows = run("jsonl").rows();
    assert_eq!(untruths(&document, &rows), Vec::<String>::new());

    let mut wrong = compare_rows(&truth, &rows);
    wrong.extend(compare_totals(&truth, &document));
    wrong.extend(silence(&document));
    wrong.extend(compare_other_rejects(&truth["other_rejects"], &document["other_rejects"]));
    assert!(wrong.is_empty(), "{folder}: {} differences\n{}", wrong.len(), wrong.join("\n"));
}

/// The default format has no TCP flags. In the other one all requests without an answer are so late in its twenty minutes
/// that their answers may come after its end.
fn silence(document: &Value) -> Option<String> {
    let (known, unknown) = (&document["no_reply"], &document["no_reply_unknown"]);
    let is_right = if known.is_null() {
        text(unknown).contains("tcp-flags")
    } else {
        unknown.is_null() && known["conversations"] == 0 && number(&known["not_known_yet"]) > 0
    };
    (!is_right).then(|| format!("no_reply: {known} {unknown}"))
}

/// With a record long after its end, what the simulated monitoring could not reach is known: it was dropped by the ACL
/// that the truth says so of, on the interfaces of its targets. The few others began in the sample's last half minute.
#[test]
fn requests_of_the_sample_are_followed_to_the_acl_that_dropped_them() {
    let [logs, option, snapshot] = sample("custom-format-v5");
    let files = contents(&repository().join(&logs).join("AWSLogs"));
    let forward: Vec<_> = files.values().flatten().copied().collect();
    let all = String::from_utf8(forward).expect("text");
    let mut lines = all.lines();
    let header: Vec<_> = lines.next().expect("a header").split(' ').collect();
    let at = |name: &str| header.iter().position(|field| *field == name).expect("a field");
    let mut later: Vec<_> = lines.next().expect("a record").split(' ').collect();
    (later[at("start")], later[at("end")]) = ("1795190000", "1795190050");
    let input = format!("{all}{}\n", later.join(" "));
    let arguments = ["-", &option, &snapshot, "--format", "json"];
    let ended = flowcheck_with_input(&arguments, input.as_bytes());
    let document = ended.expect(0, &[]).json();
    let truth = read_json(&repository().join("sample-logs/custom-format-v5/truth.json"));
    let dropped = array(&truth["other_rejects"]["by_cause"]);
    let (mut followed, mut others) = (0, 0);
    for group in array(&document["no_reply"]["groups"]) {
        let seen = &group["followed"];
        if seen["outcome"] == "rejected" {
            let is_it = |row: &&Value| {
                ["cause", "network_acl_id", "rule_number", "direction"]
                    .iter()
                    .all(|name| row[name] == seen[name])
            };
            assert!(dropped.iter().any(|row| is_it(&row)), "{group}");
            assert_eq!((&seen["is_destination"], &group["service"]["port"]), (&true.into(), &9100.into()));
            followed += number(&group["conversations"]);
        } else {
            assert!(text(&group["first_seen"]).as_str() >= "2026-11-20T14:33:28Z", "{group}");
            others += number(&group["conversations"]);
        }
    }
    assert_eq!((followed, others), (30, 9));
}

fn compare_rows(truth: &Value, rows: &[Value]) -> Vec<String> {
    let expected = true_rows(truth);
    let found: BTreeMap<Conversation, Answer> = rows.iter().map(found_row).collect();
    let mut wrong = Vec::new();
    if found.len() != rows.len() {
        wrong.push(format!("{} rows name only {} conversations", rows.len(), found.len()));
    }
    for (conversation, answer) in &expected {
        match found.get(conversation) {
            Some(found) if found == answer => {}
            Some(found) => wrong.push(format!("{conversation:?}: {answer:?} expected, {found:?} found")),
            None => wrong.push(format!("{conversation:?} ({answer:?}): not found")),
        }
    }
    let extra = found.iter().filter(|(conversation, _)| !expected.contains_key(*conversation));
    wrong.extend(
        extra.map(|(conversation, answer)| format!("{conversation:?} ({answer:?}): not in the truth")),
    );
    wrong
}

fn true_rows(truth: &Value) -> BTreeMap<Conversation, Answer> {
    let columns: Vec<_> = array(&truth["row_columns"]).iter().map(text).collect();
    let mut rows = BTreeMap::new();
    for group in array(&truth["rejected_replies"]) {
        for row in array(&group["rows"]) {
            let of = |name: &str| {
                let column = columns.iter().position(|column| column == name);
                &row[column.unwrap_or_else(|| panic!("no column {name}"))]
            };
            let conversation = (
                text(of("interface_id")),
                number(of("protocol")),
                text(of("srcaddr")),
                number(of("srcport")),
                text(of("dstaddr")),
                number(of("dstport")),
                of("first_rejected").as_i64().expect("seconds"),
                of("last_rejected").as_i64().expect("seconds"),
            );
            let answer = Answer {
                packets: number(of("rejected_packets")),
                bytes: number(of("rejected_bytes")),
                request_seen: of("request_seen") == &Value::Bool(true),
                ..Answer::of(group)
            };
            assert!(rows.insert(conversation, answer).is_none(), "the truth names each conversation once");
        }
    }
    rows
}

fn found_row(row: &Value) -> (Conversation, Answer) {
    let seconds = |name: &str| text(&row[name]).parse::<jiff::Timestamp>().expect("RFC 3339").as_second();
    let conversation = (
        text(&row["interface_id"]),
        number(&row["protocol"]),
        text(&row["srcaddr"]),
        number(&row["srcport"]),
        text(&row["dstaddr"]),
        number(&row["dstport"]),
        seconds("first_rejected"),
        seconds("last_rejected"),
    );
    let answer = Answer {
        packets: number(&row["rejected_packets"]),
        bytes: number(&row["rejected_bytes"]),
        request_seen: !row["request_first"].is_null(),
        ..Answer::of(row)
    };
    (conversation, answer)
}

impl Answer {
    fn of(value: &Value) -> Self {
        let cause = text(&value["cause"]);
        // The truth names no ACL where it was not the ACL's doing.
        let network_acl_id = if cause == "not_nacl" { String::new() } else { text(&value["network_acl_id"]) };
        Self {
            cause,
            network_acl_id,
            direction: text(&value["direction"]),
            rule_number: value["rule_number"].to_string(),
            packets: 0,
            bytes: 0,
            request_seen: false,
        }
    }
}

fn compare_totals(truth: &Value, document: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut equal = |what: &str, expected: &Value, found: &Value| {
        if expected != found {
            wrong.push(format!("{what}: {expected} expected, {found} found"));
        }
    };
    let input = [
        "lines",
        "headers",
        "records",
        "accepted",
        "rejected",
        "no_data",
        "skip_data",
        "malformed",
        "interfaces",
    ];
    for name in input {
        equal(&format!("input.{name}"), &truth["input"][name], &document["input"][name]);
    }
    for name in ["filtered", "transit_gateway", "duplicates"] {
        equal(&format!("input.{name}"), &0.into(), &document["input"][name]);
    }
    for name in ["first_record", "last_record"] {
        let found = text(&document["window"][name]).parse::<jiff::Timestamp>().expect("RFC 3339").as_second();
        equal(&format!("window.{name}"), &truth["input"][name], &found.into());
    }
    let groups = array(&truth["rejected_replies"]);
    let sum = |name: &str| groups.iter().map(|group| number(&group[name])).sum::<u64>();
    equal("conversations", &sum("conversations").into(), &document["summary"]["rejected_conversations"]);
    equal("packets", &sum("packets").into(), &document["summary"]["rejected_packets"]);
    for group in groups.iter().filter(|group| group["cause"] != "not_nacl") {
        let same = |finding: &&Value| {
            ["cause", "network_acl_id", "direction", "rule_number"]
                .iter()
                .all(|name| finding[name] == group[name])
        };
        let found: Vec<_> = array(&document["findings"]).iter().filter(same).collect();
        let [finding] = found[..] else {
            equal(&format!("findings of {}", group["rule_number"]), &1.into(), &found.len().into());
            continue;
        };
        for name in ["conversations", "packets", "bytes"] {
            equal(&format!("{} {name}", text(&finding["id"])), &group[name], &finding[name]);
        }
    }
    wrong
}

/// Records and packets by cause, ACL and rule.
fn compare_other_rejects(truth: &Value, found: &Value) -> Vec<String> {
    let sums = |value: &Value| {
        let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for row in array(&value["by_cause"]) {
            let answer = Answer::of(row);
            let sum = sums.entry(format!("{answer:?}")).or_default();
            sum.0 += number(&row["records"]);
            sum.1 += number(&row["packets"]);
        }
        sums.insert("all".to_owned(), (number(&value["records"]), number(&value["packets"])));
        sums
    };
    let (truth, found) = (sums(truth), sums(found));
    if truth == found {
        Vec::new()
    } else {
        vec![format!("other rejects: {truth:#?} expected, {found:#?} found")]
    }
}

/// Rejected replies of a cause that no change in the trail brought about have none.
#[test]
fn the_truth_names_the_change_behind_each_cause_as_the_trail_has_it() {
    for folder in ["allow-all-removed", "custom-format-v5"] {
        let folder = repository().join("sample-logs").join(folder);
        let records: Vec<Value> = contents(&folder.join("cloudtrail"))
            .values()
            .flat_map(|file| array(&serde_json::from_slice::<Value>(file).expect("JSON")["Records"]).to_vec())
            .collect();
        let failed = records.iter().filter(|record| !record["errorCode"].is_null());
        assert_eq!(failed.count(), 1, "somebody else's attempt that changed nothing");
        let truth = read_json(&folder.join("truth.json"));
        let mut found = Vec::new();
        for group in array(&truth["rejected_replies"]) {
            let change = &group["change"];
            if change.is_null() {
                continue;
            }
            let is_it = |record: &&Value| record["eventID"] == change["event_id"];
            let record = records.iter().find(is_it).expect("the event is in the trail");
            assert_eq!((&record["eventTime"], &record["eventName"]), (&change["time"], &change["event"]));
            assert_eq!(record["sourceIPAddress"], change["source_ip"]);
            assert!(text(&record["userIdentity"]["arn"]).ends_with(&text(&change["actor"])));
            let asked = &record["requestParameters"];
            assert_eq!((&asked["networkAclId"], &asked["egress"]), (&group["network_acl_id"], &false.into()));
            assert_eq!(asked["ruleNumber"], change["rule_number"]);
            found.push((number(&group["rule_number"]), text(&change["before"])));
        }
        let wanted = [(32767, "32000 ALL ALL 0.0.0.0/0 ALLOW"), (32768, "32001 ALL ALL ::/0 ALLOW")];
        assert_eq!(found, wanted.map(|(rule, before)| (rule, before.to_owned())));
    }
}

/// With the trail each finding names the change that the truth names. What was rejected within a minute of it may have
/// met either rules: that is told apart, and nothing is lost.
#[test]
fn with_the_trail_each_finding_names_its_change() {
    for folder in ["allow-all-removed", "custom-format-v5"] {
        let [logs, option, snapshot] = sample(folder);
        let trail = format!("{logs}/cloudtrail");
        let arguments = [&logs, &option, &snapshot, "--history", &trail, "--format", "json"];
        let document = flowcheck(&arguments).expect(0, &[]).json();
        let truth = read_json(&repository().join(&logs).join("truth.json"));
        let conversations = |groups: &Value, key: &str| -> u64 {
            array(groups).iter().map(|group| number(&group[key])).sum()
        };
        let mut compared = 0;
        for group in array(&truth["rejected_replies"]).iter().filter(|group| group["rule_number"].is_number())
        {
            let is_it = |finding: &&Value| {
                ["network_acl_id", "direction", "rule_number"].iter().all(|key| finding[key] == group[key])
            };
            let finding = array(&document["findings"]).iter().find(is_it).expect("a finding");
            assert_eq!(finding["change"], group["change"], "{folder}");
            compared += 1;
        }
        assert_eq!(compared, 3);
        let undetermined: u64 = array(&document["findings"])
            .iter()
            .filter(|finding| finding["cause"] == "undetermined")
            .map(|finding| number(&finding["conversations"]))
            .sum();
        assert!(undetermined > 0 && undetermined < 30, "{undetermined}");
        let (found, wanted) = (
            conversations(&document["findings"], "packets"),
            conversations(&truth["rejected_replies"], "packets"),
        );
        assert_eq!(found, wanted, "{folder}");
    }
}

#[test]
fn what_lies_beside_the_flow_logs_is_neither_read_nor_told_of() {
    for folder in ["allow-all-removed", "custom-format-v5"] {
        let [logs, option, snapshot] = sample(folder);
        let document = flowcheck(&[&logs, &option, &snapshot, "--format", "json"]).expect(0, &[]).json();
        let flow_logs = contents(&repository().join(&logs).join("AWSLogs"));
        assert_eq!(document["input"]["objects"], flow_logs.len(), "{folder}");
        assert_eq!(document["input"]["malformed"], 0, "{folder}");
        assert_eq!(document["warnings"], Value::Array(Vec::new()), "{folder}");
    }
}

#[test]
fn the_incident_of_the_readme_is_found_by_its_port() {
    let [logs, option, snapshot] = sample("allow-all-removed");
    let filters = ["--ip", "52.94.5.1", "--port", "64214", "--format", "jsonl"];
    let rows = flowcheck(&[&[logs.as_str(), &option, &snapshot], &filters[..]].concat()).rows();
    let [row] = &rows[..] else { panic!("one conversation expected: {rows:#?}") };
    assert_eq!(row["cause"], "nacl_default");
    assert_eq!(row["network_acl_id"], "acl-0f3c9d2e8b7a61540");
    assert_eq!((row["srcport"].as_u64(), row["dstport"].as_u64()), (Some(443), Some(64214)));
}

#[test]
fn threads_one_stream_and_the_opposite_order_change_no_row() {
    let [logs, option, snapshot] = sample("allow-all-removed");
    let run = |arguments: &[&str], input: &[u8]| {
        let all = [arguments, &[option.as_str(), &snapshot, "--format", "jsonl"]].concat();
        let ended = flowcheck_with_input(&all, input);
        ended.expect(0, &[]);
        ended.stdout
    };
    let rows = run(&[&logs], b"");
    assert!(run(&[&logs, "--threads", "1"], b"") == rows, "one thread");
    assert!(run(&[&logs, "--threads", "7"], b"") == rows, "seven threads");

    let files = contents(&repository().join(&logs).join("AWSLogs"));
    let forward: Vec<_> = files.values().flatten().copied().collect();
    assert!(run(&["-"], &forward) == rows, "all in one stream");
    assert!(run(&["-", "--threads", "1"], &gzip(&forward)) == rows, "all in one gzip");
    let backward: Vec<_> = files.values().rev().flatten().copied().collect();
    assert!(run(&["-"], &backward) == rows, "the latest file first, in one stream");
    let mut lines: Vec<_> =
        forward.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"2 ")).collect();
    lines.reverse();
    assert!(run(&["-"], &lines.join(&b'\n')) == rows, "the latest line first");
}

#[test]
fn a_memory_limit_changes_nothing() {
    let [logs, option, snapshot] = sample("allow-all-removed");
    for format in ["json", "jsonl"] {
        let arguments = [logs.as_str(), &option, &snapshot, "--format", format];
        let unlimited = flowcheck(&arguments);
        let limited = flowcheck(&[&arguments[..], &["--memory-limit", "4KiB"]].concat());
        limited.expect(0, &[]);
        assert!(limited.stdout == unlimited.stdout, "{format}");
    }
}

#[test]
fn the_generator_makes_the_samples_that_are_checked_in() {
    let scratch = Scratch::new();
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--example", "sample_incident", "--"])
        .arg(scratch.path())
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let checked_in = contents(&repository().join("sample-logs"));
    let made = contents(scratch.path());
    for (name, content) in &made {
        assert!(checked_in.get(name) == Some(content), "{} differs or is missing", name.display());
    }
    let not_made: Vec<_> =
        checked_in.keys().filter(|name| !made.contains_key(*name) && !name.ends_with("README.md")).collect();
    assert!(not_made.is_empty(), "checked in and not made: {not_made:?}");
}

/// Every file below a folder, decompressed.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.expect("entry");
        if entry.file_type().is_file() {
            let mut content = std::fs::read(entry.path()).expect("file");
            if content.starts_with(&[0x1f, 0x8b]) {
                let mut inflated = Vec::new();
                MultiGzDecoder::new(&content[..]).read_to_end(&mut inflated).expect("gzip");
                content = inflated;
            }
            files.insert(entry.path().strip_prefix(folder).expect("below").to_owned(), content);
        }
    }
    files
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("file")).expect("JSON")
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}
