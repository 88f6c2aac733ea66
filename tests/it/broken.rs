//! Inputs, configurations and outputs that are not as they should be: each with its exit code and what is said.

use std::io::Read;
use std::process::Stdio;

use crate::run::{Ended, Scratch, command, flowcheck, flowcheck_with_input, gzip, repository, sample};

const REQUEST: &str =
    "2 111122223333 eni-c 10.0.1.10 203.0.113.7 43210 443 6 6 360 1700000000 1700000055 ACCEPT OK\n";
const REPLY: &str =
    "2 111122223333 eni-c 203.0.113.7 10.0.1.10 443 43210 6 6 360 1700000001 1700000056 REJECT OK\n";

fn pair() -> String {
    format!("{REQUEST}{REPLY}")
}

/// As JSON: whatever is not the result is then on standard error.
fn diagnose(path: &str) -> Ended {
    flowcheck(&[path, "--format", "json"])
}

#[track_caller]
fn expect_input(ended: &Ended, member: &str, expected: u64) {
    assert_eq!(ended.json()["input"][member], expected, "input.{member}\n{ended}");
}

// --- inputs ---

#[test]
fn a_truncated_gzip_is_read_as_far_as_it_goes() {
    let scratch = Scratch::new();
    let many: String = (0..3000_u32)
        .map(|n| {
            REQUEST.replace("43210", &(20_000 + n * 7 % 40_000).to_string()).replace("360", &n.to_string())
        })
        .collect();
    let whole = gzip(pair() + &many);
    let path = scratch.file("cut.log.gz", &whole[..whole.len() / 2]);
    let ended = diagnose(&path);
    ended.expect(3, &[&path, "truncated"]);
    let document = ended.json();
    assert_eq!(document["summary"]["rejected_conversations"], 1, "findings are still printed\n{ended}");
    assert_eq!(document["summary"]["complete"], false);
    assert_eq!(document["input"]["incomplete"][0]["source"], path);
    let text = flowcheck(&[&path]);
    text.expect(3, &[]);
    assert!(text.stdout.contains("truncated"), "{text}");
}

#[test]
fn a_damaged_gzip_is_incomplete() {
    let scratch = Scratch::new();
    let mut bytes = gzip(pair());
    let crc = bytes.len() - 8;
    bytes[crc] ^= 0xff;
    let path = scratch.file("damaged.log.gz", bytes);
    diagnose(&path).expect(3, &[&path, "damaged"]);
}

#[test]
fn garbage_after_a_gzip_is_said_and_members_are_all_read() {
    let scratch = Scratch::new();
    let members = [gzip(REQUEST), gzip(""), gzip(REPLY)].concat();
    let good = diagnose(&scratch.file("members.log.gz", &members));
    good.expect(0, &[]);
    expect_input(&good, "records", 2);
    let path = scratch.file("garbage.log.gz", [members, b"garbage".to_vec()].concat());
    let ended = diagnose(&path);
    ended.expect(3, &[&path, "after the gzip stream"]);
    expect_input(&ended, "records", 2);
}

#[test]
fn content_decides_not_the_name() {
    let scratch = Scratch::new();
    let plain = diagnose(&scratch.file("plain.log.gz", pair()));
    plain.expect(0, &[]);
    expect_input(&plain, "records", 2);
    let zipped = diagnose(&scratch.file("zipped.log", gzip(pair())));
    zipped.expect(0, &[]);
    expect_input(&zipped, "records", 2);
}

#[test]
fn a_line_of_ten_megabytes_costs_itself_only() {
    let scratch = Scratch::new();
    let long = "x".repeat(10 << 20);
    for (name, line) in [("text.log", long.clone()), ("json.log", format!("{{\"message\":\"{long}"))] {
        let ended = diagnose(&scratch.file(name, format!("{REQUEST}{line}\n{REPLY}")));
        ended.expect(0, &[]);
        expect_input(&ended, "malformed", 1);
        expect_input(&ended, "records", 2);
        expect_input(&ended, "lines", 3);
        assert!(ended.stdout.len() < 64 << 10, "the line is not repeated in the result");
    }
}

#[test]
fn a_zip_bomb_is_given_up_and_a_long_run_of_one_line_is_not() {
    let scratch = Scratch::new();
    let bomb = gzip(vec![b' '; 8 << 20]).repeat(40);
    assert!(bomb.len() < 1 << 20);
    let path = scratch.file("bomb.log.gz", bomb);
    let ended = diagnose(&path);
    ended.expect(3, &[&path, "decompresses"]);
    assert!(ended.json()["input"]["bytes_decoded"].as_u64() < Some(320 << 20), "{ended}");

    let lines = 100_000;
    let repeated = diagnose(&scratch.file("repeated.log.gz", gzip(REQUEST.repeat(lines))));
    repeated.expect(0, &[]);
    expect_input(&repeated, "accepted", 1);
    expect_input(&repeated, "duplicates", lines as u64 - 1);
}

#[test]
fn binary_files_are_named_and_not_parsed() {
    let scratch = Scratch::new();
    for (name, content, said) in [
        ("zeros.gz", gzip(vec![0; 1 << 20]), "binary"),
        ("program.log", b"\x7fELF\x02\x01\x01\0\0\0\0\n\n".to_vec(), "binary"),
        ("columns.parquet", b"PAR1\x15\x04\x15".to_vec(), "Parquet"),
    ] {
        let path = scratch.file(name, content);
        let ended = diagnose(&path);
        ended.expect(3, &[&path, said]);
        expect_input(&ended, "malformed", 0);
    }
}

#[test]
fn empty_and_header_only_files_are_complete() {
    let scratch = Scratch::new();
    let header = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
    for (name, content, headers) in [
        ("empty.log", Vec::new(), 0),
        ("empty.log.gz", gzip(""), 0),
        ("blank.log", b"\n\r\n   \n".to_vec(), 0),
        ("header.log", header.as_bytes().to_vec(), 1),
    ] {
        let path = scratch.file(name, content);
        let ended = diagnose(&path);
        ended.expect(0, &[]);
        expect_input(&ended, "headers", headers);
        expect_input(&ended, "lines", headers);
        assert_eq!(ended.json()["window"]["first_record"], serde_json::Value::Null);
        flowcheck(&[&path]).expect(0, &[]);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_loops_is_read_and_incomplete() {
    let scratch = Scratch::new();
    scratch.file("logs/flow.log", pair());
    std::os::unix::fs::symlink(scratch.path().join("logs"), scratch.path().join("logs/again"))
        .expect("symlink");
    let ended = diagnose(&scratch.at("logs"));
    ended.expect(3, &["again"]);
    expect_input(&ended, "records", 2);
    flowcheck(&[&scratch.at("logs"), "--strict"]).expect(2, &["again"]).expect_no_output();
}

#[test]
fn sources_that_are_not_there_are_errors() {
    let scratch = Scratch::new();
    let good = scratch.file("flow.log", pair());
    let missing = scratch.at("missing.log");
    flowcheck(&[&missing]).expect(2, &["error", &missing]).expect_no_output();
    // Among others it is an input that could not be read: what the others hold is still said.
    let ended = flowcheck(&[&good, &missing, "--format", "json"]);
    ended.expect(3, &[&missing, "no such file"]);
    expect_input(&ended, "records", 2);
    flowcheck(&[&good, &missing, "--strict"]).expect(2, &[&missing]).expect_no_output();
    std::fs::create_dir(scratch.path().join("nothing")).expect("folder");
    flowcheck(&[&scratch.at("nothing")]).expect(2, &["error", "nothing", "hint"]).expect_no_output();
    flowcheck(&["ftp://somewhere/logs"]).expect(2, &["error", "ftp://somewhere/logs"]).expect_no_output();
}

#[cfg(unix)]
#[test]
fn output_goes_through_links_and_into_pipes_without_replacing_them() {
    let scratch = Scratch::new();
    let good = scratch.file("flow.log", pair());
    let target = scratch.file("target.json", "old");
    std::os::unix::fs::symlink(&target, scratch.path().join("link.json")).expect("symlink");
    flowcheck(&[&good, "--format", "json", "-o", &scratch.at("link.json")]).expect(0, &[]);
    assert!(scratch.path().join("link.json").is_symlink(), "the link stays");
    assert!(std::fs::read_to_string(&target).expect("target").contains("schema_version"));
    let printed = flowcheck(&[&good, "--format", "csv", "-o", "-"]);
    printed.expect(0, &[]);
    assert!(printed.stdout.starts_with("cause,"), "`-` is standard output");
    flowcheck(&[&good, "-o", &scratch.at("nowhere/out.txt")]).expect(2, &["no directory"]).expect_no_output();
}

#[test]
fn a_stray_zero_byte_is_one_malformed_line() {
    let scratch = Scratch::new();
    let log = scratch.file("flow.log", format!("{}\u{0}\n", pair()));
    let ended = diagnose(&log);
    ended.expect(0, &[]);
    expect_input(&ended, "records", 2);
    expect_input(&ended, "malformed", 1);
}

#[test]
fn filters_that_match_nothing_are_said() {
    let scratch = Scratch::new();
    let good = scratch.file("flow.log", pair());
    flowcheck(&[&good, "--format", "json", "--interface", "eni-typo"])
        .expect(0, &["no record", "2 were read"]);
}

#[test]
fn other_documents_of_aws_are_named_and_not_parsed() {
    let scratch = Scratch::new();
    let trail = scratch.file("trail.log", r#"{"Records":[{"eventSource":"ec2.amazonaws.com"}]}"#);
    let ended = diagnose(&trail);
    ended.expect(0, &[&trail, "CloudTrail"]);
    expect_input(&ended, "malformed", 0);
}

#[test]
fn malformed_records_are_shown_with_their_place() {
    let scratch = Scratch::new();
    let path = scratch.file("flow.log", format!("{}{}", pair(), REQUEST.replace("43210", "99999")));
    let ended = diagnose(&path);
    ended.expect(0, &[]);
    let example = &ended.json()["input"]["malformed_examples"][0];
    assert_eq!(
        (&example["source"], &example["line"], &example["field"], &example["value"]),
        (&path.as_str().into(), &3.into(), &"srcport".into(), &"99999".into()),
        "{ended}"
    );
    flowcheck(&[&path, "--strict"]).expect(2, &[&path, ":3", "srcport", "99999"]).expect_no_output();
    flowcheck(&[&scratch.file("good.log", pair()), "--strict"]).expect(0, &[]);
}

#[test]
fn standard_input_may_be_plain_gzip_or_empty() {
    for bytes in [pair().into_bytes(), gzip(pair())] {
        let ended = flowcheck_with_input(&["-", "--format", "json"], &bytes);
        ended.expect(0, &[]);
        expect_input(&ended, "records", 2);
        expect_input(&ended, "objects", 1);
    }
    let empty = flowcheck_with_input(&["-", "--format", "json"], b"");
    empty.expect(0, &[]);
    expect_input(&empty, "lines", 0);
    let cut = gzip(pair());
    flowcheck_with_input(&["-", "--format", "json"], &cut[..cut.len() - 9]).expect(3, &["-", "truncated"]);
}

// --- configuration ---

#[test]
fn a_bad_snapshot_names_file_resource_and_member() {
    let scratch = Scratch::new();
    let log = scratch.file("flow.log", pair());
    let acl = |entry: &str| format!(r#"{{"NetworkAcls":[{{"NetworkAclId":"acl-7","Entries":[{entry}]}}]}}"#);
    let rule =
        r#"{"RuleNumber":110,"Egress":false,"Protocol":"6","RuleAction":"allow","CidrBlock":"0.0.0.0/0"}"#;
    for (name, content, said) in [
        (
            "protocol",
            acl(&rule.replace("\"6\"", "\"tcp\"")),
            &["acl-7", "ingress rule 110", "Protocol", "tcp"][..],
        ),
        (
            "cidr",
            acl(&rule.replace("0.0.0.0/0", "10.0.0.0/33")),
            &["acl-7", "110", "CidrBlock", "10.0.0.0/33"],
        ),
        ("action", acl(&rule.replace("allow", "maybe")), &["acl-7", "110", "RuleAction", "maybe"]),
        ("number", acl(&rule.replace("110", "70000")), &["acl-7", "RuleNumber", "70000"]),
        ("direction", acl(&rule.replace("\"Egress\":false,", "")), &["acl-7", "Egress"]),
        ("entries", r#"{"NetworkAcls":[{"NetworkAclId":"acl-7"}]}"#.to_owned(), &["acl-7", "Entries"]),
        ("id", r#"{"NetworkAcls":[{"Entries":[]}]}"#.to_owned(), &["NetworkAcls[0]", "NetworkAclId"]),
        (
            "address",
            r#"{"NetworkInterfaces":[{"NetworkInterfaceId":"eni-7","PrivateIpAddress":"10.0.0"}]}"#
                .to_owned(),
            &["eni-7", "PrivateIpAddress"],
        ),
        ("broken", "{\"NetworkAcls\": [".to_owned(), &["JSON"]),
        ("foreign", "{\"Reservations\": []}".to_owned(), &["NetworkAcls", "hint"]),
        ("empty", String::new(), &["hint"]),
    ] {
        let path = scratch.file(&format!("{name}.json"), content);
        let ended = flowcheck(&[&log, "--snapshot", &path]);
        ended.expect(2, &["error", &path]).expect(2, said).expect_no_output();
    }
    let missing = scratch.at("missing.json");
    flowcheck(&[&log, "--snapshot", &missing]).expect(2, &["error", &missing]).expect_no_output();
}

#[test]
fn options_that_cannot_be_meant_are_usage_errors() {
    for arguments in [
        &["-", "--format", "yaml"][..],
        &["-", "--since", "soon"],
        &["-", "--since", "1h", "--until", "2h"],
        &["-", "--port", "70000"],
        &["-", "--port", "9-1"],
        &["-", "--ip", "10.0.0.0/33"],
        &["-", "--protocol", "quic"],
        &["-", "--threads", "0"],
        &["-", "--memory-limit", "much"],
        &["-", "--match-window", "5"],
        &["-", "--top", "-1"],
        &["-", "--color", "blue"],
        &["-", "--log-format", "nothing known"],
        &["-", "--no-such-option"],
        &["-", "-q", "-v"],
        &["completions", "tcsh"],
    ] {
        let ended = flowcheck(arguments);
        ended.expect(2, &["error"]).expect_no_output();
    }
}

#[test]
fn help_version_and_completions_go_to_standard_output() {
    for (arguments, part) in [
        (&["--help"][..], "--match-window"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "bash"], "--snapshot"),
        (&["completions", "zsh"], "--snapshot"),
        (&["completions", "fish"], "snapshot"),
    ] {
        let ended = flowcheck(arguments);
        ended.expect(0, &[]);
        assert!(ended.stdout.contains(part) && ended.stderr.is_empty(), "{ended}");
    }
}

// --- outputs ---

#[test]
fn nothing_found_is_said_and_is_no_error() {
    let scratch = Scratch::new();
    let path = scratch.file("flow.log", REQUEST);
    let ended = flowcheck(&[&path, "--exit-code"]);
    ended.expect(0, &[]);
    assert!(!ended.stdout.trim().is_empty() && ended.stderr.is_empty(), "{ended}");
    flowcheck(&[&path, "--format", "jsonl"]).expect(0, &[]).expect_no_output();
}

#[test]
fn the_exit_code_tells_findings_only_when_asked() {
    let scratch = Scratch::new();
    let path = scratch.file("flow.log", pair());
    flowcheck(&[&path]).expect(0, &[]);
    for format in ["text", "json", "jsonl", "csv", "md"] {
        let ended = flowcheck(&[&path, "--exit-code", "--format", format]);
        ended.expect(1, &[]);
        assert!(ended.stdout.contains("203.0.113.7"), "{ended}");
    }
}

#[test]
fn warnings_are_on_standard_error_and_quiet_silences_them() {
    let scratch = Scratch::new();
    let path = scratch.file("flow.log", pair());
    flowcheck(&[&path, "--format", "jsonl"]).expect(0, &["warning", "--snapshot"]);
    let quiet = flowcheck(&[&path, "--format", "jsonl", "-q"]);
    quiet.expect(0, &[]);
    assert!(quiet.stderr.is_empty() && quiet.rows().len() == 1, "{quiet}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let [logs, option, snapshot] = sample("allow-all-removed");
    for format in ["text", "json", "jsonl", "csv", "md"] {
        for bytes_read in [0, 10] {
            let mut child = command()
                .args([&logs, &option, &snapshot, "--format", format, "--top", "0"])
                .current_dir(repository())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("flowcheck starts");
            let mut stdout = child.stdout.take().expect("standard output");
            stdout.read_exact(&mut vec![0; bytes_read]).expect("some output");
            drop(stdout);
            let output = child.wait_with_output().expect("flowcheck ends");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), &*stderr), (Some(0), ""), "{format}, {bytes_read} bytes read");
        }
    }
}

#[test]
fn an_output_file_is_written_whole() {
    let scratch = Scratch::new();
    let log = scratch.file("flow.log", pair());
    let out = scratch.file("out.json", "old");
    flowcheck(&[&log, "--format", "json", "-o", &out]).expect(0, &[]).expect_no_output();
    let written = std::fs::read_to_string(&out).expect("output");
    let document: serde_json::Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(document["summary"]["rejected_conversations"], 1);
    assert_eq!(scratch.names(), ["flow.log", "out.json"]);
    let text = scratch.at("out.txt");
    flowcheck(&[&log, "--color", "always", "--output", &text]).expect(0, &[]).expect_no_output();
    assert!(std::fs::read_to_string(&text).is_ok_and(|text| text.contains("203.0.113.7")));
}

#[test]
fn an_output_file_stays_as_it_was_when_the_run_fails() {
    let scratch = Scratch::new();
    let log = scratch.file("flow.log", pair() + "not a record\n");
    let out = scratch.file("out.json", "old");
    flowcheck(&[&log, "--strict", "--format", "json", "-o", &out]).expect(2, &["error"]).expect_no_output();
    flowcheck(&[&log, "--snapshot", &log, "-o", &out]).expect(2, &["error"]).expect_no_output();
    flowcheck(&[&scratch.at("missing.log"), "-o", &out]).expect(2, &["error"]).expect_no_output();
    assert_eq!(std::fs::read_to_string(&out).expect("output"), "old");

    let nowhere = scratch.at("no/such/folder/out.json");
    flowcheck(&[&log, "-o", &nowhere]).expect(2, &["error", &nowhere]).expect_no_output();
    std::fs::create_dir(scratch.path().join("folder")).expect("folder");
    flowcheck(&[&log, "-o", &scratch.at("folder")]).expect(2, &["error", "folder"]).expect_no_output();
    assert_eq!(scratch.names(), ["flow.log", "folder", "out.json"], "no temporary file is left");
}
