//! Ctrl-C: what is known is printed, what is not is named, and nothing is left behind.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::live_s3::{BUCKET, Live, SINCE, expect_all_lines_counted};
use crate::proxy::{Fault, Request};
use crate::run::{Scratch, command};
use crate::s3_server::S3Server;
use crate::stub::{Answer, Stub};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// Objects of which the last is not asked for before some of the first are joined: fetching ahead is bounded.
const MANY: usize = 80;

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// How it ended: exit code, standard output, standard error.
fn ended(child: Child) -> (Option<i32>, String, String) {
    let output = child.wait_with_output().expect("flowcheck ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("flowcheck starts")
}

/// Records of one conversation: a request and its rejected reply.
fn conversation(port: u16) -> String {
    format!(
        "2 1 eni-1 10.0.0.1 192.0.2.1 {port} 443 6 1 60 1795132800 1795132810 ACCEPT OK\n\
         2 1 eni-1 192.0.2.1 10.0.0.1 443 {port} 6 1 60 1795132800 1795132810 REJECT OK\n"
    )
}

/// A bucket of many objects in which this fault meets the requests that `is_it` tells of, and a word for each of these.
fn hanging(is_it: fn(&Request) -> bool) -> (Live, Receiver<()>) {
    let (sender, seen) = channel();
    let sender = Mutex::new(sender);
    let server = S3Server::start(&[BUCKET]);
    for number in 0..MANY {
        let port = 40_000 + u16::try_from(number).expect("a port");
        server.put(BUCKET, &format!("{number:03}.log"), conversation(port).as_bytes());
    }
    let live = Live::of(server, move |request| {
        if !is_it(request) {
            return Fault::None;
        }
        // The test may be over.
        let _ = sender.lock().expect("the sender").send(());
        Fault::HangAfter(10)
    });
    (live, seen)
}

#[test]
fn what_was_read_is_written_whole_while_a_body_hangs() {
    let (live, seen) = hanging(|request| request.path().ends_with("/079.log"));
    let scratch = Scratch::new();
    let file = scratch.at("result.json");
    let child = spawn(live.command(&["s3://flow-logs", "--format", "json", "-o", &file, SINCE[0], SINCE[1]]));
    seen.recv_timeout(PATIENCE).expect("the last object is asked for");
    signal(&child, "INT");
    let (code, stdout, stderr) = ended(child);
    assert_eq!((code, stdout.as_str()), (Some(3), ""), "{stderr}");
    assert_eq!(scratch.names(), ["result.json"]);
    let result: Value = serde_json::from_slice(&std::fs::read(file).expect("the file")).expect("JSON");
    assert!(result["summary"]["rejected_conversations"].as_u64() >= Some(5), "{result}");
    assert_eq!(result["summary"]["complete"], false);
    let incomplete = result["input"]["incomplete"].as_array().expect("incomplete");
    assert!(!incomplete.is_empty());
    let interrupted = |one: &Value| one["error"].as_str().is_some_and(|it| it.contains("interrupted"));
    assert!(incomplete.iter().all(interrupted), "{incomplete:?}");
    expect_all_lines_counted(&result);
    assert!(stderr.contains("interrupted"), "{stderr}");
}

#[test]
fn while_a_list_hangs_there_is_nothing_to_show_and_that_is_said() {
    let (live, seen) = hanging(|request| !request.is_download());
    let scratch = Scratch::new();
    let file = scratch.at("result.json");
    let child = spawn(live.command(&["s3://flow-logs", "--format", "json", "-o", &file]));
    seen.recv_timeout(PATIENCE).expect("the list is asked for");
    signal(&child, "TERM");
    let (code, stdout, stderr) = ended(child);
    assert_eq!((code, stdout.as_str()), (Some(3), ""), "{stderr}");
    assert_eq!(stderr, "error: interrupted before anything was read\n");
    assert_eq!(scratch.names(), [""; 0]);
}

#[test]
fn rules_that_were_not_asked_for_any_more_are_named_and_what_was_read_is_not_lost() {
    let (live, seen) = hanging(|request| request.path().ends_with("/079.log"));
    let account = Stub::start(|_| Answer::new(500, "not asked by a run that is to end"));
    let home = Scratch::new();
    let mut command = command();
    command
        .env_clear()
        .env("HOME", home.path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", "AKIATESTTESTTESTTEST")
        .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGsecretkey")
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ENDPOINT_URL", account.url())
        .env("AWS_ENDPOINT_URL_S3", live.proxy.url())
        .args(["s3://flow-logs", "--format", "json", SINCE[0], SINCE[1]]);
    let child = spawn(command);
    seen.recv_timeout(PATIENCE).expect("the last object is asked for");
    signal(&child, "INT");
    let (code, stdout, stderr) = ended(child);
    assert_eq!(code, Some(3), "{stderr}");
    let result: Value = serde_json::from_str(&stdout).expect("JSON");
    assert!(result["summary"]["rejected_conversations"].as_u64() >= Some(5), "{result}");
    assert_eq!(result["findings"][0]["cause"], "undetermined");
    let incomplete = result["input"]["incomplete"].as_array().expect("incomplete");
    assert!(incomplete.iter().any(|one| one["source"] == "network configuration"), "{incomplete:?}");
}

#[test]
fn an_open_standard_input_does_not_keep_it() {
    let mut command = command();
    command.args(["-", "--format", "json"]).stdin(Stdio::piped());
    let mut child = spawn(command);
    let mut stdin = child.stdin.take().expect("standard input");
    // More than a pipe holds: when it is written, it is being read.
    let text: String = (0..8_000).map(|n| conversation(20_000 + n)).collect();
    stdin.write_all(text.as_bytes()).expect("input");
    signal(&child, "INT");
    let (code, stdout, stderr) = ended(child);
    drop(stdin);
    assert_eq!(code, Some(3), "{stderr}");
    let result: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(result["input"]["incomplete"][0]["source"], "-");
    expect_all_lines_counted(&result);
}

#[test]
fn a_pipe_that_nobody_writes_to_does_not_keep_it() {
    let scratch = Scratch::new();
    let pipes = [scratch.at("1.pipe"), scratch.at("2.pipe")];
    for pipe in &pipes {
        assert!(Command::new("mkfifo").arg(pipe).status().expect("mkfifo runs").success());
    }
    let mut command = command();
    command.args(&pipes).args(["--format", "json", "--threads", "2"]).stdin(Stdio::null());
    let child = spawn(command);
    // Opening it waits for a reader; the other is never opened here.
    let mut first = File::options().write(true).open(&pipes[0]).expect("a reader");
    first.write_all(conversation(40_000).as_bytes()).expect("a line");
    signal(&child, "INT");
    let (code, stdout, stderr) = ended(child);
    assert_eq!(code, Some(3), "{stderr}");
    let result: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(result["summary"]["complete"], false);
}

#[test]
fn many_local_files_are_left_where_it_was_asked_to() {
    let scratch = Scratch::new();
    let pipe = scratch.at("0.pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    for number in 0..200 {
        scratch.file(&format!("logs/{number:03}.log"), conversation(40_000 + number));
    }
    let mut command = command();
    command.args([pipe.as_str(), &scratch.at("logs"), "--format", "json"]).stdin(Stdio::null());
    let child = spawn(command);
    // The pipe is first by name, so that nothing behind it is joined while it is open.
    let first = File::options().write(true).open(&pipe).expect("a reader");
    signal(&child, "INT");
    let (code, stdout, stderr) = ended(child);
    drop(first);
    assert_eq!(code, Some(3), "{stderr}");
    let result: Value = serde_json::from_str(&stdout).expect("JSON");
    let incomplete = result["input"]["incomplete"].to_string();
    assert!(incomplete.contains("0.pipe") && incomplete.contains("200 of 201 inputs"), "{incomplete}");
}

#[test]
fn the_second_ends_it_at_once() {
    let live = Live::start(|_| Fault::None);
    let arguments = ["s3://flow-logs", "--format", "json", "--top", "0", SINCE[0], SINCE[1]];
    let mut child = spawn(live.command(&arguments));
    let mut stdout = child.stdout.take().expect("standard output");
    // It is writing more than a pipe holds, and nobody reads on.
    stdout.read_exact(&mut [0]).expect("the beginning");
    let give_up = Instant::now() + PATIENCE;
    let status = loop {
        assert!(Instant::now() < give_up, "it goes on");
        // Signals that nobody has taken yet are one.
        signal(&child, "INT");
        if let Some(status) = child.try_wait().expect("its state") {
            break status;
        }
    };
    assert_eq!(status.code(), Some(130));
}
