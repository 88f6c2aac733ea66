//! The sample incident in an account of moto of its own, as `tests/servers/incident.py` puts it there.

use serde_json::Value;

use super::{Caller, fixture, told};
use crate::run::{Ended, Scratch};

/// The region of everything in it.
pub const REGION: &str = "eu-west-1";

/// Where the account's flow log delivers to.
pub enum Destination {
    CloudWatch,
    S3,
    /// S3, but what is there was delivered by the flow log that this one took the place of.
    S3Remade,
}

/// One account with the incident in it. Each test has an account of its own: moto keeps them apart.
pub struct Incident {
    /// The log group or the bucket.
    pub place: String,
    endpoint: String,
    account: &'static str,
    told: Value,
    delivered: Scratch,
}

impl Incident {
    /// Puts it there, the flow log's records delivered to `destination`.
    pub fn new(account: &'static str, destination: &Destination) -> Self {
        let endpoint = told("FLOWCHECK_TEST_MOTO");
        let delivered = Scratch::new();
        let destination = match destination {
            Destination::CloudWatch => "cloudwatch",
            Destination::S3 => "s3",
            Destination::S3Remade => "s3-remade",
        };
        let out = delivered.at("");
        let arguments = [&endpoint, account, REGION, destination, "sample-logs/allow-all-removed", &out];
        let told: Value = serde_json::from_str(&fixture("incident.py", &arguments, &[])).expect("JSON");
        let place = told["place"].as_str().expect("a place").to_owned();
        Self { place, endpoint, account, told, delivered }
    }

    /// Someone in the account, by a session's credentials.
    pub fn caller(&self) -> Caller {
        let credential = |name: &str| self.told["credentials"][name].as_str().expect("a credential");
        let (key, secret) = (credential("aws_access_key_id"), credential("aws_secret_access_key"));
        Caller::with_keys(key, secret, REGION).with_session(credential("aws_session_token"))
    }

    /// The role that gives access from another account.
    pub fn role_arn(&self) -> String {
        format!("arn:aws:iam::{}:role/flowcheck", self.account)
    }

    /// Runs `flowcheck` on moto, with the incident's two hours as the window.
    #[track_caller]
    pub fn diagnose(&self, caller: &Caller, arguments: &[&str]) -> Ended {
        let [since, until] = self.window();
        self.ask(caller, &[arguments, &["--since", &since, "--until", &until]].concat())
    }

    /// Runs `flowcheck` on moto.
    #[track_caller]
    pub fn ask(&self, caller: &Caller, arguments: &[&str]) -> Ended {
        caller.flowcheck(&[arguments, &["--endpoint-url", &self.endpoint, "--format", "json"]].concat())
    }

    /// Saves the account's configuration, and gives the path.
    #[track_caller]
    pub fn snapshot(&self) -> String {
        let path = self.delivered.at("snapshot.json");
        let arguments = ["snapshot", "--endpoint-url", &self.endpoint, "-o", &path];
        self.caller().flowcheck(&arguments).expect(0, &[]);
        path
    }

    /// The diagnosis of the same records from disk, with a saved configuration.
    #[track_caller]
    pub fn on_disk(&self, snapshot: &str) -> Value {
        let [since, until] = self.window();
        let logs = self.delivered.at("AWSLogs");
        let arguments =
            [&logs, "--snapshot", snapshot, "--since", &since, "--until", &until, "--format", "json"];
        self.caller().flowcheck(&arguments).expect(0, &[]).json()
    }

    /// The id in this account of something in the sample.
    pub fn id(&self, in_sample: &str) -> &str {
        self.told["ids"][in_sample].as_str().unwrap_or_else(|| panic!("{in_sample} is not in the sample"))
    }

    fn window(&self) -> [String; 2] {
        ["first", "end"].map(|name| {
            let seconds = self.told[name].as_i64().expect("seconds");
            jiff::Timestamp::from_second(seconds).expect("a moment").to_string()
        })
    }
}
