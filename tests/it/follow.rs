//! `--follow`: the whole report once, then what is new and nothing else.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::live_s3::{BUCKET, Live};
use crate::proxy::Fault;
use crate::run::{Scratch, command};
use crate::s3_server::S3Server;

/// Far longer than a round takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// Two subnets, each behind an ACL that lets nothing in, and an interface in each.
fn snapshot(scratch: &Scratch) -> String {
    let deny = |egress| json!({"RuleNumber": 32767, "Protocol": "-1", "RuleAction": "deny", "Egress": egress, "CidrBlock": "0.0.0.0/0"});
    let allow = json!({"RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "Egress": true, "CidrBlock": "0.0.0.0/0"});
    let each = |make: &dyn Fn(u8) -> Value| -> Value { [1, 2].map(make).to_vec().into() };
    let document = json!({
        "NetworkAcls": each(&|n| json!({
            "NetworkAclId": format!("acl-{n}"), "VpcId": "vpc-1", "IsDefault": false,
            "Entries": [allow, deny(true), deny(false)],
            "Associations": [{"NetworkAclAssociationId": format!("aclassoc-{n}"), "NetworkAclId": format!("acl-{n}"),
                              "SubnetId": format!("subnet-{n}")}],
        })),
        "Subnets": each(&|n| json!({
            "SubnetId": format!("subnet-{n}"), "VpcId": "vpc-1", "CidrBlock": format!("10.0.{n}.0/24"),
        })),
        "NetworkInterfaces": each(&|n| json!({
            "NetworkInterfaceId": format!("eni-{n}"), "SubnetId": format!("subnet-{n}"), "VpcId": "vpc-1",
            "PrivateIpAddress": format!("10.0.{n}.1"),
            "PrivateIpAddresses": [{"PrivateIpAddress": format!("10.0.{n}.1")}],
        })),
    });
    scratch.file("snapshot.json", document.to_string())
}

/// Requests of one interface whose replies were rejected, a minute ago.
fn conversations(interface: u8, ports: std::ops::Range<u16>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let (start, end) = (now - 70, now - 60);
    let mut text = String::new();
    for port in ports {
        let (own, other) = (format!("10.0.{interface}.1"), "192.0.2.1");
        let _ = writeln!(text, "2 1 eni-{interface} {own} {other} {port} 443 6 1 60 {start} {end} ACCEPT OK");
        let _ = writeln!(text, "2 1 eni-{interface} {other} {own} 443 {port} 6 1 60 {start} {end} REJECT OK");
    }
    text
}

/// A run that goes on, and the lines it writes.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(mut command: Command) -> Self {
        command.args(["--follow", "--interval", "1s"]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("flowcheck starts");
        let stdout = BufReader::new(child.stdout.take().expect("standard output"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // A test that failed listens no more.
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("another line")
    }

    /// The lines up to one with this part.
    #[track_caller]
    fn until(&self, part: &str) -> Vec<String> {
        let mut lines = vec![self.line()];
        while !lines.last().is_some_and(|line| line.contains(part)) {
            lines.push(self.line());
        }
        lines
    }

    /// Ends it; gives its exit code, what it still wrote and standard error.
    fn interrupt(mut self) -> (Option<i32>, Vec<String>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &id]).status().expect("kill runs").success());
        let mut stderr = String::new();
        let errors = self.child.stderr.as_mut().expect("standard error");
        std::io::Read::read_to_string(errors, &mut stderr).expect("UTF-8");
        let status = self.child.wait().expect("it ends");
        (status.code(), self.lines.iter().collect(), stderr)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where objects appear whole or not at all.
struct Logs(PathBuf);

impl Logs {
    fn put(&self, name: &str, content: &str) {
        let hidden = self.0.join(".new");
        std::fs::write(&hidden, content).expect("a file");
        std::fs::rename(hidden, self.0.join(name)).expect("its place");
    }
}

/// A new object, the same again, another finding, and the end, wherever the objects are.
fn expect_growth(logs: &Logs, command: Command) {
    logs.put("1.log", &conversations(1, 40_000..40_003));
    let following = Following::start(command);
    let report = following.until("acl-1");
    assert!(report[0].starts_with("flowcheck"), "{report:?}");
    let first = conversations(1, 40_100..40_102);
    logs.put("2.log", &first);
    // The rest of the report, then one line for what is new.
    let growth = following.until("so far");
    let line = growth.last().expect("a line");
    assert!(line.contains("+2 conversations (5 so far): acl-1 ingress *"), "{growth:?}");
    // The same records again say nothing; what comes with them says that they were read.
    logs.put("3.log", &format!("{first}{}", conversations(1, 40_200..40_201)));
    let line = following.line();
    assert!(line.contains("+1 conversation (6 so far): acl-1 ingress *"), "{line}");
    logs.put("4.log", &conversations(2, 40_000..40_004));
    let block = following.until("acl-2");
    assert!(!block.iter().any(|line| line.contains("acl-1") || line.contains("so far")), "{block:?}");
    logs.put("5.log", &conversations(2, 40_100..40_101));
    let growth = following.until("so far");
    assert!(
        growth.last().is_some_and(|line| line.contains("+1 conversation (5 so far): acl-2")),
        "{growth:?}"
    );
    assert!(!growth.iter().any(|line| line.contains("acl-1") || line.contains('✓')), "{growth:?}");
    let (code, rest, stderr) = following.interrupt();
    assert_eq!((code, rest), (Some(3), vec![]), "{stderr}");
    assert_eq!(stderr, "");
}

#[test]
fn a_folder_that_grows_is_told_as_it_grows() {
    let (scratch, logs) = (Scratch::new(), Scratch::new());
    let mut command = command();
    command.args([&logs.at(""), "--snapshot", &snapshot(&scratch)]);
    expect_growth(&Logs(logs.path().to_owned()), command);
}

#[test]
fn a_bucket_that_grows_is_told_as_it_grows() {
    let scratch = Scratch::new();
    let live = Live::of(S3Server::start(&[BUCKET]), |_| Fault::None);
    let mut command = command();
    command
        .env_clear()
        .env("HOME", scratch.path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .args(["s3://flow-logs", "--snapshot", &snapshot(&scratch)])
        .args(["--no-sign-request", "--region", "eu-west-1", "--endpoint-url", &live.proxy.url()]);
    expect_growth(&Logs(live.server.path(BUCKET, "")), command);
}

#[test]
fn rows_are_written_once() {
    let (scratch, logs) = (Scratch::new(), Scratch::new());
    let folder = Logs(logs.path().to_owned());
    let first = conversations(1, 40_000..40_002);
    folder.put("1.log", &first);
    let mut command = command();
    command.args([&logs.at(""), "--snapshot", &snapshot(&scratch), "--format", "jsonl"]);
    let following = Following::start(command);
    let ports = |lines: &[String]| -> Vec<u64> {
        let row = |line: &String| serde_json::from_str::<Value>(line).expect("a row");
        lines.iter().map(|line| row(line)["dstport"].as_u64().expect("a port")).collect()
    };
    assert_eq!(ports(&[following.line(), following.line()]), [40_000, 40_001]);
    folder.put("2.log", &format!("{first}{}", conversations(2, 40_000..40_001)));
    assert_eq!(ports(&[following.line()]), [40_000], "the other interface's");
    folder.put("3.log", &conversations(1, 40_002..40_003));
    assert_eq!(ports(&[following.line()]), [40_002]);
    let (code, rest, stderr) = following.interrupt();
    assert_eq!((code, rest), (Some(3), vec![]), "{stderr}");
}

#[test]
fn a_warning_in_a_later_round_is_said_once_and_is_no_verdict() {
    let (scratch, logs) = (Scratch::new(), Scratch::new());
    let folder = Logs(logs.path().to_owned());
    folder.put("1.log", &conversations(1, 40_000..40_001));
    let mut command = command();
    command.args([&logs.at(""), "--snapshot", &snapshot(&scratch)]);
    let following = Following::start(command);
    following.until("acl-1");
    // Half a gzip file, and what says that it was met.
    let mut broken = crate::run::gzip(conversations(1, 50_000..50_100));
    broken.truncate(broken.len() / 2);
    std::fs::write(logs.path().join("0.gz"), broken).expect("a file");
    folder.put("2.log", &conversations(1, 40_100..40_101));
    let growth = following.until("so far");
    folder.put("3.log", &conversations(1, 40_200..40_201));
    following.until("so far");
    let (code, rest, stderr) = following.interrupt();
    assert_eq!((code, rest), (Some(3), vec![]), "{stderr}");
    assert_eq!(stderr.matches("0.gz").count(), 1, "{stderr}");
    assert!(!growth.iter().any(|line| line.contains("No rejected return traffic")), "{growth:?}");
}
