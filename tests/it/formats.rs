//! The outputs that users script against, by their names in the contract (section 5), and how the others look.

use serde_json::Value;

use crate::run::{Ended, Scratch, flowcheck, sample};

const COLUMNS: &str = "cause,confidence,network_acl_id,direction,rule_number,interface_id,subnet_id,vpc_id,protocol,\
                       srcaddr,srcport,dstaddr,dstport,first_rejected,last_rejected,rejected_packets,rejected_bytes,\
                       request_first,request_last,request_packets,request_bytes,detail";

fn sample_as(format: &str) -> Ended {
    let [logs, option, snapshot] = sample("allow-all-removed");
    let ended = flowcheck(&[logs.as_str(), &option, &snapshot, "--format", format, "--color", "auto"]);
    ended.expect(0, &[]);
    ended
}

#[test]
fn the_json_document_has_every_member_of_the_contract() {
    let document = sample_as("json").json();
    let has = |at: &str, value: &Value, members: &str| {
        let object = value.as_object().unwrap_or_else(|| panic!("{at} is no object: {value}"));
        for member in members.split_whitespace() {
            assert!(object.contains_key(member), "{at} lacks {member}: {:?}", object.keys());
        }
    };
    has(
        "document",
        &document,
        "schema_version generator window network_config input summary findings other_rejects warnings",
    );
    has("generator", &document["generator"], "name version");
    has("window", &document["window"], "since until first_record last_record");
    has("network_config", &document["network_config"], "origin captured_at history network_acls interfaces");
    has(
        "input",
        &document["input"],
        "objects bytes_read bytes_decoded lines records accepted rejected no_data skip_data malformed filtered headers \
         transit_gateway duplicates incomplete",
    );
    has("summary", &document["summary"], "rejected_conversations rejected_packets findings complete");
    has("other_rejects", &document["other_rejects"], "records packets by_cause");
    for finding in document["findings"].as_array().expect("findings") {
        has(
            "finding",
            finding,
            "id cause confidence network_acl_id direction rule_number rule vpc_id subnet_ids interface_ids conversations \
             packets bytes first_seen last_seen services requester_ports near_misses onset change fix examples",
        );
        has("onset", &finding["onset"], "last_accepted_reply first_rejected_reply");
        has("requester_ports", &finding["requester_ports"], "min max");
        has("service", &finding["services"][0], "protocol port conversations");
        has("example", &finding["examples"][0], "request reply steps");
    }
    let first = &document["findings"][0];
    has("near miss", &first["near_misses"][0], "rule_number rule mismatch");
    has("step", &first["examples"][0]["steps"][0], "rule_number rule outcome");
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["generator"]["name"], "flowcheck");
    assert_eq!(document["generator"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(first["id"], "acl-0f3c9d2e8b7a61540/ingress/32767");
    assert_eq!(first["rule"], "* ALL ALL 0.0.0.0/0 DENY");
    assert!(first["rule_number"].is_u64() && first["requester_ports"]["max"].is_u64(), "numbers are numbers");
}

#[test]
fn words_and_times_are_those_of_the_contract() {
    let document = sample_as("json").json();
    let causes = [
        "nacl_rule",
        "nacl_default",
        "not_nacl",
        "vpc_block_public_access",
        "encryption_controls",
        "undetermined",
    ];
    for row in sample_as("jsonl").rows() {
        assert!(causes.iter().any(|cause| row["cause"] == *cause), "{row}");
        assert!(["proven", "likely", "possible"].iter().any(|word| row["confidence"] == *word), "{row}");
        assert!(row["direction"] == "ingress" || row["direction"] == "egress", "{row}");
        for time in ["first_rejected", "last_rejected"] {
            let text = row[time].as_str().expect("a time");
            assert!(
                text.len() == 20 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(),
                "{row}"
            );
        }
        for number in ["protocol", "srcport", "dstport", "rejected_packets", "rejected_bytes"] {
            assert!(row[number].is_u64(), "{number} is a number: {row}");
        }
        if row["cause"] == "not_nacl" {
            assert!(row["detail"].is_string(), "the detail says what is left: {row}");
        }
    }
    for finding in document["findings"].as_array().expect("findings") {
        assert!(finding["examples"].as_array().is_some_and(|examples| examples.len() <= 5), "--top is 5");
    }
}

#[test]
fn top_bounds_the_examples_and_zero_means_all() {
    let [logs, option, snapshot] = sample("custom-format-v5");
    for (top, expected) in [("1", 1), ("0", 17)] {
        let document =
            flowcheck(&[logs.as_str(), &option, &snapshot, "--format", "json", "--top", top]).json();
        let findings = document["findings"].as_array().expect("findings");
        let egress = findings.iter().find(|finding| finding["rule_number"] == 90).expect("rule 90");
        assert_eq!(egress["examples"].as_array().map(Vec::len), Some(expected), "--top {top}");
    }
}

#[test]
fn a_jsonl_row_has_the_columns_in_order() {
    let ended = sample_as("jsonl");
    for line in ended.stdout.lines() {
        let mut rest = line;
        for column in COLUMNS.split(',') {
            let key = format!("\"{column}\":");
            let at = rest.find(&key).unwrap_or_else(|| panic!("{column} is missing or out of order: {line}"));
            rest = &rest[at + key.len()..];
        }
        let row: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(row.as_object().map(serde_json::Map::len), Some(22), "{line}");
    }
}

#[test]
fn csv_and_jsonl_say_the_same() {
    let (csv, rows) = (sample_as("csv"), sample_as("jsonl").rows());
    assert_eq!(csv.stdout.lines().next(), Some(COLUMNS));
    let mut reader = csv::Reader::from_reader(csv.stdout.as_bytes());
    let records: Vec<csv::StringRecord> = reader.records().map(|record| record.expect("a record")).collect();
    assert_eq!(records.len(), rows.len());
    for (record, row) in records.iter().zip(&rows) {
        for (cell, column) in record.iter().zip(COLUMNS.split(',')) {
            let expected = match &row[column] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(cell, expected, "{column} of {row}");
        }
    }
    let scratch = Scratch::new();
    let empty = flowcheck(&[&scratch.file("empty.log", ""), "--format", "csv"]);
    assert_eq!(empty.stdout.trim_end(), COLUMNS, "the header is always there");
}

#[test]
fn the_text_of_the_sample() {
    let text = sample_as("text");
    assert!(!text.stdout.contains('\u{1b}'), "no escape sequence into a pipe");
    // A command that is broken cannot be copied.
    let mut prose = text.stdout.lines().filter(|line| !line.contains("aws ec2 "));
    assert!(prose.all(|line| line.chars().count() <= 100), "100 columns");
    snapshots().bind(|| insta::assert_snapshot!("sample_text", text.stdout));
}

#[test]
fn the_markdown_of_the_sample() {
    let markdown = sample_as("md");
    assert!(!markdown.stdout.contains('\u{1b}'));
    snapshots().bind(|| insta::assert_snapshot!("sample_markdown", markdown.stdout));
}

/// Without the module's name and the expression in the files, so that moving a test changes none.
fn snapshots() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

#[test]
fn colour_is_asked_for() {
    let [logs, option, snapshot] = sample("custom-format-v5");
    let always = flowcheck(&[logs.as_str(), &option, &snapshot, "--color", "always"]);
    let never = flowcheck(&[logs.as_str(), &option, &snapshot, "--color", "never"]);
    assert!(always.stdout.contains("\u{1b}["), "{always}");
    assert!(!never.stdout.contains('\u{1b}'), "{never}");
    let mut plain = String::new();
    let mut rest = always.stdout.as_str();
    while let Some(at) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = &rest[rest.find('m').expect("only colours") + 1..];
    }
    assert_eq!(plain + rest, never.stdout, "colour changes no text");
}

/// A log and a snapshot whose every free text is hostile, written to `scratch`.
fn hostile(scratch: &Scratch) -> [String; 2] {
    let log = scratch.file(
        "a<b>|\u{1b}[31m.log",
        "version interface-id subnet-id vpc-id srcaddr dstaddr srcport dstport protocol packets bytes start end action flow-direction\n\
         2 =cmd|'/C\u{a0}calc'!A0 @SUM(1) <script>alert(1)</script> 10.0.1.10 203.0.113.7 43210 443 6 6 360 1700000000 1700000055 ACCEPT egress\n\
         2 =cmd|'/C\u{a0}calc'!A0 @SUM(1) <script>alert(1)</script> 203.0.113.7 10.0.1.10 443 43210 6 6 360 1700000001 1700000056 REJECT ingress\n\
         2 eni-\u{1b}[2J\u{202e} subnet-c vpc-1 10.0.1.11 203.0.113.7 43210 443 6 6 360 1700000000 1700000055 ACCEPT egress\n\
         2 eni-\u{1b}[2J\u{202e} subnet-c vpc-1 203.0.113.7 10.0.1.11 443 43210 6 6 360 1700000001 1700000056 REJECT ingress\n\
         2 eni-c subnet-c vpc-1 10.0.1.10 203.0.113.7 \u{1b}]0;owned\u{7} 443 6 6 360 1700000000 1700000055 ACCEPT egress\n",
    );
    let snapshot = scratch.file(
        "snapshot.json",
        r#"{"NetworkAcls":[{"NetworkAclId":"acl-\u001b[31m<script>|`x`","VpcId":"vpc-1","IsDefault":false,
            "Associations":[{"SubnetId":"subnet-c"},{"SubnetId":"@SUM(1)"}],"Entries":[],
            "Tags":[{"Key":"Name","Value":"\u202e]\u001b]8;;http://evil\u0007 **bold** [x](javascript:y) <img src=x>"}]}],
            "Subnets":[{"SubnetId":"subnet-c","VpcId":"vpc-1","CidrBlock":"10.0.1.0/24","Tags":[{"Key":"Name","Value":"=1+1\r\n## title"}]}]}"#,
    );
    [log, snapshot]
}

#[test]
fn no_control_or_direction_character_gets_through_in_any_format() {
    let scratch = Scratch::new();
    let [log, snapshot] = hostile(&scratch);
    for format in ["text", "md", "csv", "json", "jsonl"] {
        let ended = flowcheck(&[&log, "--snapshot", &snapshot, "--format", format, "--top", "0", "-v"]);
        ended.expect(0, &[]);
        assert!(ended.stdout.contains("203.0.113.7"), "{format} has the findings\n{ended}");
        for (stream, text) in [("output", &ended.stdout), ("error", &ended.stderr)] {
            let bad = |c: &char| {
                (c.is_control() && !matches!(c, '\n' | '\r'))
                    || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            if let Some(found) = text.chars().find(bad) {
                panic!("{found:?} in the {format} {stream}\n{text:?}");
            }
        }
        if format != "csv" {
            assert!(!ended.stdout.contains('\r'), "a carriage return in {format}");
        }
    }
    let strict = flowcheck(&[&log, "--strict"]);
    strict.expect(2, &["srcport"]);
    assert!(!strict.stderr.contains('\u{1b}') && !strict.stderr.contains('\u{7}'), "{strict}");
    let missing = flowcheck(&["no\u{1b}[31m-such"]);
    missing.expect(2, &[]);
    assert!(!missing.stderr.contains('\u{1b}'), "{missing}");
}

#[test]
fn markdown_and_csv_hold_no_live_markup_or_formula() {
    let scratch = Scratch::new();
    let [log, snapshot] = hostile(&scratch);
    let run = |format: &str| flowcheck(&[&log, "--snapshot", &snapshot, "--format", format, "--top", "0"]);
    let markdown = run("md");
    for live in ["<script", "<img", "](javascript", "\n## title", "**bold**"] {
        let escaped = format!("\\{live}");
        let outside = markdown.stdout.replace(&escaped, "");
        assert!(!outside.contains(live), "{live:?} is live in Markdown\n{markdown}");
    }
    let csv = run("csv");
    let mut reader = csv::Reader::from_reader(csv.stdout.as_bytes());
    let mut cells = 0;
    for record in reader.records() {
        for cell in &record.expect("a record") {
            cells += 1;
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
                "{cell:?} would run as a formula\n{csv}"
            );
        }
    }
    assert_eq!(cells, 2 * 22, "{csv}");
    let json = run("jsonl");
    let ids: Vec<_> = json.rows().iter().map(|row| row["vpc_id"].clone()).collect();
    assert!(ids.contains(&"<script>alert(1)</script>".into()), "JSON keeps the text as it is: {ids:?}");
}
