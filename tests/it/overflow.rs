//! More records than memory may hold: the answer is the same, what has no room anywhere is told, and nothing is left
//! behind.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::live_s3::expect_all_lines_counted;
use crate::run::{Scratch, command, repository};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// 2026-11-20T14:00:00Z.
const BEGIN: u32 = 1_795_183_200;

/// A scan of a network, each packet a flow of its own, traffic that has nothing to do with it, conversations whose
/// replies are rejected, and copies of all of these.
fn flood(packets: u32) -> String {
    let mut text = String::new();
    for n in 0..packets {
        let start = BEGIN + n * 7 % 1800;
        let end = start + 59;
        let [_, _, a, b] = n.to_be_bytes();
        let port = 1024 + n % 60_000;
        let _ = writeln!(
            text,
            "2 1 eni-{} 198.51.{a}.{b} 10.0.0.{} {port} 22 6 1 44 {start} {end} REJECT OK\n\
             2 1 eni-{} 10.0.1.{} 203.0.113.9 {port} 443 6 9 900 {start} {end} ACCEPT OK",
            n % 7,
            n % 7,
            n % 50,
            n % 50,
        );
        if n % 400 == 0 {
            let _ = writeln!(
                text,
                "2 1 eni-1 10.0.0.1 192.0.2.1 {port} 5432 6 3 180 {start} {end} ACCEPT OK\n\
                 2 1 eni-1 192.0.2.1 10.0.0.1 5432 {port} 6 2 120 {start} {end} REJECT OK\n\
                 2 1 eni-1 192.0.2.1 10.0.0.1 5432 {port} 6 2 120 {start} {end} REJECT OK\n\
                 2 1 eni-{} 198.51.{a}.{b} 10.0.0.{} {port} 22 6 1 44 {start} {end} REJECT OK",
                n % 7,
                n % 7,
            );
        }
    }
    text
}

fn flowcheck(logs: &str, temporary: &str, more: &[&str]) -> (Option<i32>, Value) {
    let snapshot = repository().join("sample-logs/allow-all-removed/snapshot.json");
    let output = command()
        .arg(logs)
        .arg("--snapshot")
        .arg(snapshot)
        .args(["--format", "json"])
        .args(more)
        .env("TMPDIR", temporary)
        .output()
        .expect("flowcheck runs");
    let document = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), document)
}

#[test]
fn a_flood_beyond_the_memory_limit_gives_the_same_document() {
    let scratch = Scratch::new();
    let logs = scratch.file("flood.log", flood(30_000));
    let temporary = scratch.file("temporary/kept", "");
    let temporary = temporary.strip_suffix("/kept").expect("a folder");
    let (code, whole) = flowcheck(&logs, temporary, &[]);
    assert_eq!((code, &whole["summary"]["complete"]), (Some(0), &Value::Bool(true)));
    assert_eq!(whole["summary"]["rejected_conversations"], 75);
    assert_eq!((&whole["input"]["duplicates"], &whole["input"]["rejected"]), (&150.into(), &30_075.into()));
    for more in [["--memory-limit", "64KiB", "--threads", "1"], ["--memory-limit", "1MiB", "--threads", "3"]]
    {
        assert!(flowcheck(&logs, temporary, &more) == (Some(0), whole.clone()), "{more:?}");
    }
    assert_eq!(fs::read_dir(temporary).expect("the folder").count(), 1, "something was left behind");
}

#[test]
fn what_has_no_room_on_disk_either_is_counted_and_told() {
    let scratch = Scratch::new();
    let logs = scratch.file("flood.log", flood(30_000));
    let (code, document) = flowcheck(&logs, &scratch.at("nowhere"), &["--memory-limit", "64KiB"]);
    assert_eq!(code, Some(3));
    let incomplete = &document["input"]["incomplete"][0];
    assert_eq!(incomplete["source"], "memory limit");
    assert!(incomplete["error"].as_str().is_some_and(|error| error.contains("TMPDIR")), "{incomplete}");
    expect_all_lines_counted(&document);
    assert_eq!(document["input"]["lines"], 60_000 + 75 * 4);
}

/// Files of a process that lie in a folder, by name or without one.
#[cfg(target_os = "linux")]
fn open_files(child: &Child, folder: &str) -> usize {
    let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", child.id())) else { return 0 };
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.starts_with(folder)).count()
}

#[cfg(target_os = "linux")]
#[test]
fn however_it_ends_no_file_stays() {
    for signal in ["INT", "KILL"] {
        let scratch = Scratch::new();
        let mut child = command()
            .args(["-", "--memory-limit", "64KiB", "--format", "json"])
            .env("TMPDIR", scratch.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("flowcheck starts");
        let mut stdin = child.stdin.take().expect("standard input");
        stdin.write_all(flood(40_000).as_bytes()).expect("input");
        // The end of the input does not come; what was read so far is more than memory and buffers hold.
        let give_up = Instant::now() + PATIENCE;
        while open_files(&child, &scratch.at("")) == 0 {
            assert!(Instant::now() < give_up, "there is no temporary file");
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent =
            Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), (signal == "INT").then_some(3));
        assert_eq!(scratch.names(), [""; 0], "{signal}");
        drop(stdin);
    }
}
