//! Ceph RGW, the S3 server that others run in production: it checks signatures and answers as S3 does.

use serde_json::Value;

use super::{Caller, expect_refusal, expect_same, fixture, told, without};
use crate::run::{Ended, Scratch, flowcheck};

const SAMPLE: &str = "sample-logs/allow-all-removed";
const SNAPSHOT: &str = "sample-logs/allow-all-removed/snapshot.json";
/// The whole of the sample's two hours.
const ALL: [&str; 2] = ["2026-11-20T14:00:00Z", "2026-11-20T16:00:00Z"];
/// From where the incident is half an hour old.
const SECOND_HALF: [&str; 2] = ["2026-11-20T15:00:00Z", "2026-11-20T16:00:00Z"];

/// A bucket with the sample's objects, as delivered below a prefix of the flow log's own.
struct Bucket {
    endpoint: String,
    name: &'static str,
}

impl Bucket {
    fn new(name: &'static str) -> Self {
        let endpoint = told("FLOWCHECK_TEST_RGW");
        let (key, secret) = (told("FLOWCHECK_TEST_RGW_KEY"), told("FLOWCHECK_TEST_RGW_SECRET"));
        let credentials = [("AWS_ACCESS_KEY_ID", key.as_str()), ("AWS_SECRET_ACCESS_KEY", secret.as_str())];
        let logs = format!("{SAMPLE}/AWSLogs");
        fixture("bucket.py", &[&endpoint, name, &logs, "network/AWSLogs/"], &credentials);
        Self { endpoint, name }
    }

    /// The diagnosis of everything in it.
    #[track_caller]
    fn diagnose(&self, caller: &Caller, prefix: &str, [since, until]: [&str; 2], more: &[&str]) -> Ended {
        let source = format!("s3://{}{prefix}", self.name);
        let mut arguments = vec![source.as_str(), "--endpoint-url", &self.endpoint, "--snapshot", SNAPSHOT];
        arguments.extend(["--since", since, "--until", until, "--format", "json"]);
        arguments.extend(more);
        caller.flowcheck(&arguments)
    }
}

fn owner() -> Caller {
    Caller::with_keys(&told("FLOWCHECK_TEST_RGW_KEY"), &told("FLOWCHECK_TEST_RGW_SECRET"), "us-east-1")
}

/// The diagnosis of the same objects on disk.
fn on_disk([since, until]: [&str; 2]) -> Value {
    let logs = format!("{SAMPLE}/AWSLogs");
    let arguments = [&logs, "--snapshot", SNAPSHOT, "--since", since, "--until", until, "--format", "json"];
    flowcheck(&arguments).expect(0, &[]).json()
}

/// An object lost, read twice or cut short changes a count or a finding.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_bucket_reads_as_the_same_files_on_disk() {
    let bucket = Bucket::new("whole");
    let expected = without(on_disk(ALL), &["input/requests"]);
    for prefix in ["", "/network", "/network/AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026"] {
        let found = bucket.diagnose(&owner(), prefix, ALL, &[]).expect(0, &[]).json();
        // Asking for it takes requests; on disk there are none.
        expect_same(&without(found, &["input/requests"]), &expected);
    }
}

/// A window that lists too few objects loses findings; one that lists too many reads what it need not.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_window_is_answered_from_the_objects_that_can_hold_it() {
    let bucket = Bucket::new("half");
    let found = bucket.diagnose(&owner(), "", SECOND_HALF, &[]).expect(0, &[]).json();
    let expected = on_disk(SECOND_HALF);
    let objects = |document: &Value| document["input"]["objects"].as_u64().expect("a number");
    assert!(
        (objects(&expected) / 2..objects(&expected)).contains(&objects(&found)),
        "objects read: {} of {}",
        objects(&found),
        objects(&expected)
    );
    // What lies outside the window is counted on disk, and never seen here.
    let unread = ["objects", "bytes_read", "bytes_decoded", "lines", "headers", "filtered", "requests"]
        .map(|member| format!("input/{member}"));
    let unread: Vec<_> = unread.iter().map(String::as_str).collect();
    expect_same(&without(found, &unread), &without(expected, &unread));
}

/// Signing with a wrong key must be told as what it is, not as an empty bucket.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_wrong_secret_is_refused_in_one_line() {
    let bucket = Bucket::new("wrong-secret");
    let caller =
        Caller::with_keys(&told("FLOWCHECK_TEST_RGW_KEY"), "not-the-secret-of-this-key", "us-east-1");
    expect_refusal(&bucket.diagnose(&caller, "", ALL, &[]), &["SignatureDoesNotMatch"]);
}

/// The same for a key that the server has never seen.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn an_unknown_key_is_refused_in_one_line() {
    let bucket = Bucket::new("unknown-key");
    let caller = Caller::with_keys("NOSUCHKEY", "not-the-secret-of-this-key", "us-east-1");
    expect_refusal(&bucket.diagnose(&caller, "", ALL, &[]), &["InvalidAccessKeyId"]);
}

/// A private bucket asked without a signature: the permission is named, and keys are not used behind the user's back.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn an_unsigned_request_is_denied_by_name() {
    let bucket = Bucket::new("unsigned");
    expect_refusal(&bucket.diagnose(&owner(), "", ALL, &["--no-sign-request"]), &["s3:ListBucket"]);
}

/// A misspelt bucket is an error, not a quiet hour.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_bucket_that_is_not_there_is_an_error() {
    let absent = Bucket { endpoint: told("FLOWCHECK_TEST_RGW"), name: "nobody-made-this-one" };
    expect_refusal(&absent.diagnose(&owner(), "", ALL, &[]), &["nobody-made-this-one"]);
}

/// A day that is kept is listed, not fetched again, and comes to the same report.
#[test]
#[ignore = "needs the servers that tests/with-servers starts"]
fn a_kept_day_is_not_fetched_again() {
    let bucket = Bucket::new("kept");
    let folder = Scratch::new();
    let state = folder.at("days");
    let report = || {
        let mut arguments =
            vec!["report", "s3://kept", "--endpoint-url", &bucket.endpoint, "--snapshot", SNAPSHOT];
        arguments.extend([
            "--since",
            "2026-11-20",
            "--until",
            "2026-11-21",
            "--state",
            &state,
            "--format",
            "json",
        ]);
        owner().flowcheck(&arguments).expect(0, &[]).json()
    };
    let (first, second) = (report(), report());
    assert!(first["input"]["requests"]["sent"].as_u64().is_some_and(|sent| sent > 30), "{}", first["input"]);
    assert!(
        second["notes"].to_string().contains("read: 0; taken from earlier runs: 1"),
        "{}",
        second["notes"]
    );
    let other = ["input/requests", "notes"];
    expect_same(&without(second, &other), &without(first, &other));
}
