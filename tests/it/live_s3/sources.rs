//! Several sources, sources that hold nothing, sources that are not there.

use super::{BUCKET, Live, SINCE, expect_all_lines_counted, from_disk, without_requests};
use crate::proxy::{Fault, Request};
use crate::run::{Ended, Scratch};

fn live() -> Live {
    Live::start(|_| Fault::None)
}

fn run(live: &Live, sources: &[&str]) -> Ended {
    live.run(&[sources, &SINCE, &["--format", "json"]].concat())
}

#[test]
fn what_two_sources_share_is_read_once() {
    let live = live();
    let ended =
        run(&live, &["s3://flow-logs/AWSLogs/111122223333", "s3://flow-logs/AWSLogs", "s3://flow-logs"]);
    ended.expect(0, &[]);
    assert_eq!(without_requests(ended.json()), without_requests(from_disk()));
    let downloads = live.proxy.requests().iter().filter(|request| request.is_download()).count();
    assert_eq!(downloads, super::sample_objects().len());
}

#[test]
fn a_folder_standard_input_and_a_bucket_together_are_their_sum() {
    let live = Live::of(crate::s3_server::S3Server::start(&[BUCKET]), |_| Fault::None);
    let scratch = Scratch::new();
    let mut objects = super::sample_objects();
    let (_, piped) = objects.pop().expect("an object");
    for (at, (key, content)) in objects.iter().enumerate() {
        if at % 2 == 0 {
            live.server.put(BUCKET, key, content);
        } else {
            scratch.file(key, content);
        }
    }
    let scratch = scratch.at("");
    let mut child = live
        .command(&[&[scratch.as_str(), "-", "s3://flow-logs"], &SINCE[..], &["--format", "json"]].concat())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("flowcheck starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("standard input"), &piped).expect("input");
    let output = child.wait_with_output().expect("flowcheck ends");
    assert_eq!(output.status.code(), Some(0));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let whole = from_disk();
    assert_eq!(result["findings"], whole["findings"]);
    assert_eq!(result["input"]["records"], whole["input"]["records"]);
    expect_all_lines_counted(&result);
}

#[test]
fn what_is_not_there_is_an_error_alone_and_named_among_others() {
    let live = live();
    let missing = "s3://flow-logs/AWSlogs";
    let alone = run(&live, &[missing]);
    alone.expect(2, &["error: s3://flow-logs/AWSlogs: does not exist\nhint: `aws s3 ls`"]).expect_no_output();
    let bucket = run(&live, &["s3://flow-log"]);
    bucket.expect(2, &["error: s3://flow-log/: does not exist\nhint: "]).expect_no_output();
    for others in [[missing, "s3://flow-log"], [missing, "/no/such/folder"]] {
        let ended = run(&live, &others);
        ended.expect(2, &["error: ", "AWSlogs: does not exist", others[1], "\nhint: "]).expect_no_output();
        assert_eq!(ended.stderr.lines().count(), 2, "{ended}");
    }
    for other in [missing, "/no/such/folder"] {
        let ended = run(&live, &["s3://flow-logs", other]);
        ended.expect(3, &[&format!("warning: {other}: ")]);
        let mut result = ended.json();
        let incomplete = result["input"]["incomplete"].take();
        assert_eq!(incomplete.as_array().map(Vec::len), Some(1), "{incomplete}");
        assert_eq!(incomplete[0]["source"], other);
        assert_eq!(result["findings"], from_disk()["findings"]);
    }
}

#[test]
fn a_time_without_objects_does_not_look_as_if_all_were_well() {
    let live = live();
    let empty = live.run(&["s3://flow-logs", "--since", "2026-10-01", "--until", "2026-10-02"]);
    empty.expect(0, &[]);
    assert!(empty.stdout.contains("s3://flow-logs holds no flow log object for this time"), "{empty}");
    assert!(empty.stdout.contains("Nothing to judge") && !empty.stdout.contains('✓'), "{empty}");
    assert!(!live.proxy.requests().iter().any(Request::is_download));
    // A script sees it too.
    let json =
        live.run(&["s3://flow-logs", "--since", "2026-10-01", "--until", "2026-10-02", "--format", "json"]);
    json.expect(0, &["warning: s3://flow-logs holds no flow log object"]);
    assert_eq!(json.json()["input"]["objects"], 0);
    // One of two that holds nothing is not the run's result.
    let two = live.run(&[
        "s3://flow-logs/AWSLogs",
        "--since",
        "2026-10-01",
        "--until",
        "2026-10-02",
        "/no/such/folder",
    ]);
    two.expect(3, &[]);
}
