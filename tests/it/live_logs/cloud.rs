//! A small account on loopback: EC2, STS, CloudWatch Logs and S3 behind one endpoint, and someone who asks it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::logs_stub::{Behaviour, Group, Logs};
use crate::run::{Ended, Scratch, command, repository};
use crate::stub::{Answer, Request, Stub};

pub const KEY: &str = "AKIALIVELOGSTEST0001";
pub const SECRET: &str = "liveLogsSecretKeyThatNobodyMaySee";
pub const TOKEN: &str = "liveLogsSessionTokenThatNobodyMaySee";
pub const REGION: &str = "eu-west-1";

/// What is in the account.
#[derive(Default)]
pub struct Account {
    pub groups: Vec<(String, Group)>,
    pub behaviour: Behaviour,
    /// `item` elements of `DescribeFlowLogs` by region.
    pub flow_logs: BTreeMap<&'static str, String>,
    /// `item` elements of the other Describe calls by region and action.
    pub network: BTreeMap<(&'static str, &'static str), String>,
    /// Actions, of all regions (`""`) or of one, that are refused with a code.
    pub refused: BTreeMap<(&'static str, &'static str), &'static str>,
    /// `bucket/key` and what it holds.
    pub objects: BTreeMap<String, Vec<u8>>,
    /// Calls of CloudWatch Logs that are answered before all further ones are refused: a session that ends.
    pub ends_after: Option<usize>,
    /// One item a page.
    pub paged: bool,
    /// A prefix that may not be listed.
    pub unlistable: Option<&'static str>,
}

/// The account behind its endpoint.
pub struct Cloud {
    pub stub: Stub,
    home: Scratch,
}

impl Cloud {
    pub fn start(account: Account) -> Self {
        let logs = Logs::new(account.behaviour.clone(), account.groups.clone());
        let answered = AtomicUsize::new(0);
        let stub = Stub::start(move |request| {
            if let Some(target) = request.header("x-amz-target") {
                let count = answered.fetch_add(1, Ordering::SeqCst);
                if account.ends_after.is_some_and(|most| count >= most) {
                    let code = "ExpiredTokenException";
                    return Answer::new(
                        400,
                        format!("{{\"__type\":\"{code}\",\"message\":\"expired: {TOKEN}\"}}"),
                    );
                }
                let (status, body) = logs.answer(target, &request.body);
                return Answer::new(status, body);
            }
            if request.method == "GET" { account.s3(request) } else { account.query(request) }
        });
        Self { stub, home: Scratch::new() }
    }

    /// Runs `flowcheck` as someone with credentials. Nothing secret may be in what it prints.
    #[track_caller]
    pub fn ask<S: AsRef<str>>(&self, arguments: &[S]) -> Ended {
        self.ask_with(
            arguments,
            &[("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", TOKEN)],
        )
    }

    /// Runs it with these variables.
    #[track_caller]
    pub fn ask_with<S: AsRef<str>>(&self, arguments: &[S], variables: &[(&str, &str)]) -> Ended {
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.as_ref().to_owned()).collect();
        let output = command()
            .args(&arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("AWS_REGION", REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", self.stub.url())
            .env("AWS_MAX_ATTEMPTS", "1")
            .envs(variables.iter().copied())
            .current_dir(repository())
            .output()
            .expect("flowcheck starts");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let ended = Ended {
            arguments,
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        for secret in [SECRET, TOKEN] {
            assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "a secret is printed");
        }
        ended
    }

    /// The Query actions asked so far, with the region of each.
    pub fn queries(&self) -> Vec<(String, String)> {
        let requests = self.stub.requests();
        let queries = requests
            .iter()
            .filter(|request| request.method == "POST" && request.header("x-amz-target").is_none());
        queries.map(|request| (region(request), request.action())).collect()
    }
}

/// The region that a request is signed for.
fn region(request: &Request) -> String {
    let scope = request.header("authorization").and_then(|value| value.split("Credential=").nth(1));
    scope.and_then(|scope| scope.split('/').nth(2)).unwrap_or_default().to_owned()
}

impl Account {
    fn query(&self, request: &Request) -> Answer {
        let (region, action) = (region(request), request.action());
        let asked = |of: &str| self.refused.iter().find(|((place, name), _)| *name == action && *place == of);
        if let Some((_, code)) = asked("").or_else(|| asked(&region)) {
            let body = format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors></Response>"
            );
            return Answer::new(403, body);
        }
        let set = match action.as_str() {
            "GetCallerIdentity" => {
                return Answer::new(
                    200,
                    "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111122223333</Account>\
                     </GetCallerIdentityResult></GetCallerIdentityResponse>",
                );
            }
            "DescribeFlowLogs" => "flowLogSet",
            "DescribeNetworkAcls" => "networkAclSet",
            "DescribeSubnets" => "subnetSet",
            "DescribeNetworkInterfaces" => "networkInterfaceSet",
            "DescribeNatGateways" => "natGatewaySet",
            "DescribeVpcs" => "vpcSet",
            other => panic!("unexpected call {other}"),
        };
        let items = if action == "DescribeFlowLogs" {
            self.flow_logs.get(region.as_str())
        } else {
            self.network
                .iter()
                .find(|((place, name), _)| *place == region && *name == action)
                .map(|(_, items)| items)
        };
        let items: Vec<&str> = items.map_or(Vec::new(), |items| items.split('\n').collect());
        let at: usize = request.form("NextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
        let (shown, next) = if self.paged && at + 1 < items.len() {
            (items[at].to_owned(), format!("<nextToken>{}</nextToken>", at + 1))
        } else {
            (items.get(at..).unwrap_or_default().concat(), String::new())
        };
        Answer::new(200, format!("<{action}Response><{set}>{shown}</{set}>{next}</{action}Response>"))
    }

    /// Lists by prefix and delimiter, and gives objects.
    fn s3(&self, request: &Request) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let path = path.trim_start_matches('/').trim_end_matches('/');
        if !query.contains("list-type=2") {
            let content = self.objects.iter().find(|(key, _)| *key == path);
            return content.map_or_else(
                || s3_error(404, "NoSuchKey"),
                |(_, content)| Answer::new(200, content.clone()),
            );
        }
        let whole = |key: &String| key.starts_with(&format!("{path}/"));
        if !self.objects.keys().any(whole) {
            return s3_error(404, "NoSuchBucket");
        }
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.replace("%2F", "/").replace("%3D", "="))
                .unwrap_or_default()
        };
        let (prefix, delimiter) = (value("prefix"), value("delimiter"));
        if self.unlistable == Some(prefix.as_str()) {
            return s3_error(403, "AccessDenied");
        }
        let (mut keys, mut folders) = (String::new(), BTreeSet::new());
        for (key, content) in self.objects.iter().filter(|(key, _)| whole(key)) {
            let key = &key[path.len() + 1..];
            let Some(rest) = key.strip_prefix(&prefix) else { continue };
            if let Some((folder, _)) = rest.split_once('/').filter(|_| !delimiter.is_empty()) {
                folders
                    .insert(format!("<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>"));
                continue;
            }
            let size = content.len();
            let _ = write!(
                keys,
                "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>\"e{size}\"</ETag>\
                 <LastModified>2026-11-20T13:00:00.000Z</LastModified></Contents>"
            );
        }
        let folders: String = folders.into_iter().collect();
        Answer::new(
            200,
            format!("<ListBucketResult><IsTruncated>false</IsTruncated>{keys}{folders}</ListBucketResult>"),
        )
    }
}

fn s3_error(status: u16, code: &str) -> Answer {
    Answer::new(status, format!("<Error><Code>{code}</Code><Message>no</Message></Error>"))
}
