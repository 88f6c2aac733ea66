//! Against real servers: Ceph RGW as S3, moto as EC2, CloudWatch Logs, STS and S3. `tests/with-servers` starts them and
//! says where they are in the environment; plain `cargo test` passes these tests over.

mod incident;
mod moto;
mod rgw;

use std::process::Command;

use serde_json::Value;

use crate::run::{Ended, Scratch, command, repository};

/// What `tests/with-servers` says about a server.
fn told(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run tests/with-servers"))
}

/// Runs one of `tests/servers/*.py` to its end and gives what it printed.
fn fixture(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = Command::new(told("FLOWCHECK_TEST_PYTHON"))
        .arg(repository().join("tests/servers").join(name))
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(repository())
        .output()
        .expect("the fixture starts");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Someone at a shell who has credentials and nothing else: an empty home, no other variable.
struct Caller {
    home: Scratch,
    environment: Vec<(&'static str, String)>,
}

impl Caller {
    /// Long-term keys in the environment.
    fn with_keys(key: &str, secret: &str, region: &str) -> Self {
        let environment = vec![
            ("AWS_ACCESS_KEY_ID", key.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
            ("AWS_REGION", region.to_owned()),
            // There is no instance role to be found here, and none to be waited for.
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        Self { home: Scratch::new(), environment }
    }

    /// Keys that go with a session token.
    fn with_session(mut self, token: &str) -> Self {
        self.environment.push(("AWS_SESSION_TOKEN", token.to_owned()));
        self
    }

    /// Runs `flowcheck` from the repository's root. Nothing secret may be in what it prints, whatever it was asked.
    #[track_caller]
    fn flowcheck<S: AsRef<str>>(&self, arguments: &[S]) -> Ended {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.as_ref().to_owned()).collect();
        let output = command()
            .args(&arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(repository())
            .output()
            .expect("flowcheck starts");
        let ended = Ended {
            arguments,
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
        };
        self.expect_no_secret(&ended);
        ended
    }

    #[track_caller]
    fn expect_no_secret(&self, ended: &Ended) {
        let secret = |name: &str| matches!(name, "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN");
        for (name, value) in self.environment.iter().filter(|(name, _)| secret(name)) {
            let shown = ended.stdout.contains(value) || ended.stderr.contains(value);
            // The message has the name, not the value: this text is printed too.
            assert!(!shown, "the value of {name} is printed by flowcheck {}", ended.arguments.join(" "));
        }
    }
}

/// Fails unless nothing is on standard output, the exit code is 2, and standard error is one error with at most one hint.
#[track_caller]
fn expect_refusal(ended: &Ended, parts: &[&str]) {
    ended.expect(2, parts).expect_no_output();
    let lines: Vec<_> = ended.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let hints = lines.iter().filter(|line| line.trim_start().starts_with("hint:")).count();
    assert!(lines.len() - hints == 1 && hints <= 1, "one line and its hint\n{ended}");
}

/// The members of `document` that a path such as `input/objects` leads to, taken out; a path that leads nowhere is an
/// error in the test.
#[track_caller]
fn without(mut document: Value, paths: &[&str]) -> Value {
    for path in paths {
        let (parent, member) = path.rsplit_once('/').unwrap_or(("", path));
        let pointer = if parent.is_empty() { String::new() } else { format!("/{parent}") };
        let object = document.pointer_mut(&pointer).and_then(Value::as_object_mut);
        let taken = object.and_then(|object| object.remove(member));
        assert!(taken.is_some(), "{path} is not in the document");
    }
    document
}

/// Fails at the first member in which two documents differ, and names it.
#[track_caller]
pub(crate) fn expect_same(found: &Value, expected: &Value) {
    if let Some(difference) = difference("", found, expected) {
        panic!("{difference}");
    }
}

fn difference(path: &str, found: &Value, expected: &Value) -> Option<String> {
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().find_map(|(key, value)| difference(&format!("{path}/{key}"), value, &b[key]))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.into_iter().find_map(|(at, (a, b))| difference(&format!("{path}/{at}"), a, b))
        }
        _ if found == expected => None,
        _ => Some(format!("{path}: found {found}, expected {expected}")),
    }
}
