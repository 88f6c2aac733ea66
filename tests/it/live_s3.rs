//! The whole command on a bucket: the answer of the same files on disk, whatever happens on the way, and each fault
//! named where it costs something.

mod faults;
mod sources;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::proxy::{Fault, Proxy, Request};
use crate::run::{Ended, Scratch, command, repository, sample};
use crate::s3_server::S3Server;

pub const BUCKET: &str = "flow-logs";

/// The day of the sample.
pub const SINCE: [&str; 2] = ["--since", "2026-11-20"];

/// The sample's logs in a bucket behind a proxy, and a user without a home.
pub struct Live {
    pub server: S3Server,
    pub proxy: Proxy,
    home: Scratch,
}

impl Live {
    /// Asks `faults` what to do with each request.
    pub fn start(faults: impl Fn(&Request) -> Fault + Send + Sync + 'static) -> Self {
        Self::of(S3Server::start(&[BUCKET]), faults).with_sample()
    }

    pub fn of(server: S3Server, faults: impl Fn(&Request) -> Fault + Send + Sync + 'static) -> Self {
        let proxy = Proxy::start(server.address, faults);
        Self { server, proxy, home: Scratch::new() }
    }

    fn with_sample(self) -> Self {
        for (key, content) in sample_objects() {
            self.server.put(BUCKET, &key, &content);
        }
        self
    }

    /// `flowcheck SOURCE… --snapshot SAMPLE --no-sign-request …`, in an environment of its own.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let [_, option, snapshot] = sample("allow-all-removed");
        let mut command = command();
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", self.proxy.url())
            .current_dir(repository())
            .args(arguments)
            .args([option, snapshot])
            .args(["--no-sign-request", "--region", "eu-west-1"]);
        command
    }

    /// Runs it with nothing on standard input.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).stdin(Stdio::null()).output().expect("flowcheck runs");
        Ended {
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// The JSON result of the sample's day from the bucket.
    pub fn json(&self, code: i32) -> Value {
        let ended = self.run(&["s3://flow-logs", "--format", "json", SINCE[0], SINCE[1]]);
        ended.expect(code, &[]);
        ended.json()
    }
}

/// The sample's objects: key and content.
pub fn sample_objects() -> Vec<(String, Vec<u8>)> {
    let root = repository().join("sample-logs/allow-all-removed");
    let mut objects = Vec::new();
    gather(&root, &root.join("AWSLogs"), &mut objects);
    objects.sort();
    assert!(objects.len() > 4, "{}", objects.len());
    objects
}

fn gather(root: &Path, folder: &Path, objects: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(root, &path, objects);
        } else {
            let key = path.strip_prefix(root).expect("below the root").to_str().expect("UTF-8");
            objects.push((key.to_owned(), std::fs::read(&path).expect("a file")));
        }
    }
}

/// The result of the sample's day from disk.
pub fn from_disk() -> Value {
    let [_, option, snapshot] = sample("allow-all-removed");
    let logs = "sample-logs/allow-all-removed/AWSLogs";
    let ended = crate::run::flowcheck(&[logs, &option, &snapshot, "--format", "json", SINCE[0], SINCE[1]]);
    ended.expect(0, &[]);
    ended.json()
}

/// The result without what tells how it was reached.
pub fn without_requests(mut result: Value) -> Value {
    result["input"].as_object_mut().expect("input").remove("requests");
    result
}

/// Every line is accounted for.
#[track_caller]
pub fn expect_all_lines_counted(result: &Value) {
    let input = &result["input"];
    let count = |name: &str| input[name].as_u64().unwrap_or_else(|| panic!("no {name} in {input}"));
    let parts = [
        "headers",
        "accepted",
        "rejected",
        "no_data",
        "skip_data",
        "malformed",
        "filtered",
        "transit_gateway",
        "duplicates",
    ];
    assert_eq!(count("lines"), parts.into_iter().map(count).sum::<u64>(), "{input}");
    assert_eq!(count("records"), count("accepted") + count("rejected"), "{input}");
}
