//! The account behind live configuration: pages, refusals, credentials, endpoints, and what is saved.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use flowcheck::network::NetworkConfig;
use serde_json::{Value, json};

use crate::run::{Ended, Scratch, command};
use crate::stub::{Answer, Request, Stub};

const KEY: &str = "AKIATESTTESTTESTTEST";
const SECRET: &str = "wJalrXUtnFEMIK7MDENGsecretkey";
const TOKEN: &str = "FwoGZXIvYXdzSESSIONTOKEN";

/// One ACL in `vpc_id`, with a tag that needs escaping and an IPv6 and an ICMP entry.
fn network_acl(id: &str, vpc_id: &str) -> String {
    format!(
        "<item><networkAclId>{id}</networkAclId><vpcId>{vpc_id}</vpcId><default>true</default><ownerId>111122223333</ownerId>\
         <entrySet><item><ruleNumber>100</ruleNumber><protocol>6</protocol><ruleAction>allow</ruleAction><egress>true</egress>\
         <cidrBlock>0.0.0.0/0</cidrBlock><portRange><from>443</from><to>443</to></portRange></item>\
         <item><ruleNumber>110</ruleNumber><protocol>58</protocol><ruleAction>allow</ruleAction><egress>false</egress>\
         <ipv6CidrBlock>::/0</ipv6CidrBlock><icmpTypeCode><code>-1</code><type>128</type></icmpTypeCode></item></entrySet>\
         <associationSet><item><networkAclAssociationId>aclassoc-1</networkAclAssociationId><networkAclId>{id}</networkAclId>\
         <subnetId>subnet-1</subnetId></item></associationSet>\
         <tagSet><item><key>Name</key><value>a &amp; b</value></item></tagSet></item>"
    )
}

/// The answer to a Describe call that finds these items.
fn found(action: &str, items: &str, token: &str) -> Answer {
    let set = match action {
        "DescribeNetworkAcls" => "networkAclSet",
        "DescribeSubnets" => "subnetSet",
        "DescribeNetworkInterfaces" => "networkInterfaceSet",
        "DescribeNatGateways" => "natGatewaySet",
        "DescribeVpcs" => "vpcSet",
        "DescribeFlowLogs" => "flowLogSet",
        other => panic!("unexpected call {other}"),
    };
    let token = if token.is_empty() { String::new() } else { format!("<nextToken>{token}</nextToken>") };
    Answer::new(
        200,
        format!(
            "<{action}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId><{set}>{items}</{set}>{token}</{action}Response>"
        ),
    )
}

/// What a small account answers.
pub fn account(request: &Request) -> Answer {
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/"));
    match request.action().as_str() {
        "GetCallerIdentity" => Answer::new(
            200,
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws:iam::111122223333:user/a</Arn><UserId>AIDA</UserId><Account>111122223333</Account>\
             </GetCallerIdentityResult></GetCallerIdentityResponse>",
        ),
        "DescribeNetworkAcls" => found("DescribeNetworkAcls", &network_acl("acl-1", "vpc-1"), ""),
        "DescribeSubnets" => found(
            "DescribeSubnets",
            "<item><subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId><cidrBlock>10.0.1.0/24</cidrBlock></item>",
            "",
        ),
        "DescribeFlowLogs" => found(
            "DescribeFlowLogs",
            "<item><flowLogId>fl-1</flowLogId><resourceId>vpc-1</resourceId><trafficType>ALL</trafficType></item>\
             <item><flowLogId>fl-2</flowLogId><resourceId>subnet-1</resourceId></item>\
             <item><flowLogId>fl-3</flowLogId><resourceId>vpc-other</resourceId></item>",
            "",
        ),
        action => found(action, "", ""),
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        "<?xml version=\"1.0\"?><Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
    );
    Answer::new(status, body)
}

/// A user whose home and environment hold nothing but what a test puts there.
pub struct User {
    home: Scratch,
    variables: Vec<(String, String)>,
}

impl User {
    fn without_credentials() -> Self {
        let user = Self { home: Scratch::new(), variables: Vec::new() };
        let home = user.home.path().to_str().expect("UTF-8").to_owned();
        user.with("HOME", &home).with("AWS_EC2_METADATA_DISABLED", "true")
    }

    pub fn new(stub: &Stub) -> Self {
        Self::without_credentials()
            .with("AWS_ACCESS_KEY_ID", KEY)
            .with("AWS_SECRET_ACCESS_KEY", SECRET)
            .with("AWS_SESSION_TOKEN", TOKEN)
            .with("AWS_REGION", "eu-west-1")
            .with("AWS_ENDPOINT_URL", &stub.url())
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self
    }

    pub fn file(&self) -> PathBuf {
        self.home.path().join("saved.json")
    }

    /// `flowcheck snapshot -o saved.json …`; no key may appear, however it ends.
    pub fn snapshot(&self, arguments: &[&str]) -> Ended {
        let file = self.file();
        let mut all = vec!["snapshot", "-v", "-o", file.to_str().expect("UTF-8")];
        all.extend(arguments);
        self.run(&all)
    }

    /// `flowcheck …` with this user's environment; no key may appear, however it ends.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let all: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut command: Command = command();
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = command.args(&all).output().expect("flowcheck runs");
        let ended = Ended {
            arguments: all,
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        };
        for secret in [SECRET, TOKEN, KEY] {
            assert!(
                !ended.stderr.contains(secret) && !ended.stdout.contains(secret),
                "a key is printed\n{ended}"
            );
        }
        ended
    }

    pub fn saved(&self) -> Value {
        let text = std::fs::read_to_string(self.file()).expect("the snapshot");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Nothing is left behind: neither the file nor a part of it.
    #[track_caller]
    fn expect_nothing_saved(&self) {
        assert_eq!(self.home.names(), [".aws"; 0]);
    }
}

#[test]
fn a_snapshot_holds_what_the_cli_prints_and_is_read_back() {
    let stub = Stub::start(account);
    let user = User::new(&stub);
    user.snapshot(&[]).expect(0, &["saved: NetworkAcls 1, Subnets 1"]).expect_no_output();
    let saved = user.saved();
    assert_eq!(
        saved["NetworkAcls"],
        json!([{
            "NetworkAclId": "acl-1", "VpcId": "vpc-1", "IsDefault": true, "OwnerId": "111122223333",
            "Entries": [
                {"RuleNumber": 100, "Protocol": "6", "RuleAction": "allow", "Egress": true, "CidrBlock": "0.0.0.0/0",
                 "PortRange": {"From": 443, "To": 443}},
                {"RuleNumber": 110, "Protocol": "58", "RuleAction": "allow", "Egress": false, "Ipv6CidrBlock": "::/0",
                 "IcmpTypeCode": {"Code": -1, "Type": 128}},
            ],
            "Associations": [{"NetworkAclAssociationId": "aclassoc-1", "NetworkAclId": "acl-1", "SubnetId": "subnet-1"}],
            "Tags": [{"Key": "Name", "Value": "a & b"}],
        }])
    );
    assert_eq!(saved["Vpcs"], json!([]), "allowed and empty");
    let own = &saved["flowcheck"];
    assert_eq!((&own["region"], &own["account_id"]), (&json!("eu-west-1"), &json!("111122223333")));
    assert_eq!(own["version"], env!("CARGO_PKG_VERSION"));
    let network = NetworkConfig::load(&[user.file()]).expect("read back");
    assert_eq!((network.counts().network_acls, network.counts().subnets), (1, 1));
    assert!(network.captured_at().is_some());
    assert!(network.warnings().is_empty());
}

#[test]
fn every_page_is_read_even_behind_an_empty_one() {
    let stub =
        Stub::start(|request| match (request.action().as_str(), request.form("NextToken").as_deref()) {
            ("DescribeNetworkAcls", None) => {
                found("DescribeNetworkAcls", &network_acl("acl-1", "vpc-1"), "a/b+c==")
            }
            ("DescribeNetworkAcls", Some("a/b+c==")) => found("DescribeNetworkAcls", "", "third"),
            ("DescribeNetworkAcls", Some("third")) => {
                found("DescribeNetworkAcls", &network_acl("acl-2", "vpc-2"), "")
            }
            _ => account(request),
        });
    let user = User::new(&stub);
    user.snapshot(&[]).expect(0, &["NetworkAcls 2"]);
    assert!(user.saved().get("NextToken").is_none());
    let described = stub.requests().into_iter().filter(|request| request.action() == "DescribeNetworkAcls");
    assert!(described.into_iter().all(|request| request.form("MaxResults").as_deref() == Some("1000")));
}

#[test]
fn a_token_that_never_changes_is_an_error_and_no_endless_run() {
    let stub = Stub::start(|request| match request.action().as_str() {
        "DescribeNetworkAcls" => found("DescribeNetworkAcls", "", "again"),
        _ => account(request),
    });
    let user = User::new(&stub);
    user.snapshot(&[]).expect(2, &["the same page again and again"]);
    user.expect_nothing_saved();
}

#[test]
fn throttling_is_waited_out() {
    let refused = AtomicUsize::new(0);
    let stub = Stub::start(move |request| match request.action().as_str() {
        "DescribeSubnets" if refused.fetch_add(1, Ordering::SeqCst) == 0 => {
            refusal(503, "RequestLimitExceeded", "Request limit exceeded.")
        }
        _ => account(request),
    });
    let user = User::new(&stub);
    user.snapshot(&[]).expect(0, &["Subnets 1"]);
}

#[test]
fn throttling_that_does_not_end_says_how_often_it_was_tried() {
    let stub = Stub::start(|request| match request.action().as_str() {
        "DescribeVpcs" => refusal(503, "RequestLimitExceeded", "Request limit exceeded."),
        _ => account(request),
    });
    let user = User::new(&stub).with("AWS_MAX_ATTEMPTS", "2");
    let wanted = "ec2:DescribeVpcs failed: Request limit exceeded. (RequestLimitExceeded) (after 2 attempts)";
    user.snapshot(&[]).expect(3, &[wanted]);
}

#[test]
fn what_is_allowed_is_saved_and_what_is_not_is_named() {
    let stub = Stub::start(|request| match request.action().as_str() {
        "DescribeVpcs" | "DescribeNatGateways" => {
            refusal(403, "UnauthorizedOperation", "You are not authorized")
        }
        _ => account(request),
    });
    let user = User::new(&stub);
    let ended = user.snapshot(&[]);
    ended.expect(
        3,
        &["warning: eu-west-1: not allowed: ec2:DescribeVpcs is missing", "ec2:DescribeNatGateways"],
    );
    let saved = user.saved();
    assert!(
        saved.get("Vpcs").is_none() && saved["Subnets"].as_array().is_some_and(|subnets| subnets.len() == 1)
    );
    let vpcs = stub.requests().into_iter().filter(|request| request.action() == "DescribeVpcs");
    assert_eq!(vpcs.count(), 1, "a refusal is not tried again");
}

#[test]
fn without_network_acls_nothing_is_saved() {
    let stub = Stub::start(|request| match request.action().as_str() {
        "DescribeNetworkAcls" => refusal(403, "UnauthorizedOperation", "You are not authorized"),
        _ => account(request),
    });
    let user = User::new(&stub);
    user.snapshot(&[]).expect(2, &["ec2:DescribeNetworkAcls is missing", "hint: docs/iam-policy.json"]);
    user.expect_nothing_saved();
}

#[test]
fn an_answer_that_is_broken_or_none_is_never_an_empty_network() {
    for (body, wanted) in [
        ("<DescribeNetworkAclsResponse><networkAclSet><item>", "it breaks off"),
        ("<html><body>Sign in</body></html>", "`html` instead of the answer"),
        ("", "it breaks off"),
        ("<DescribeNetworkAclsResponse/>", "an answer without NetworkAcls"),
    ] {
        let stub = Stub::start(move |request| match request.action().as_str() {
            "DescribeNetworkAcls" => Answer::new(200, body),
            _ => account(request),
        });
        let user = User::new(&stub).with("AWS_MAX_ATTEMPTS", "1");
        user.snapshot(&[]).expect(2, &[wanted]);
        user.expect_nothing_saved();
    }
}

#[test]
fn a_session_that_is_over_is_one_line_and_how_to_renew_it() {
    let stub = Stub::start(|_| refusal(400, "RequestExpired", "Request has expired."));
    let user = User::new(&stub);
    let ended = user.snapshot(&[]);
    ended.expect(
        2,
        &["error: the AWS session has expired (RequestExpired)\nhint: renew the session (`aws sso login`"],
    );
    assert_eq!(ended.stderr.lines().count(), 2, "{ended}");
    user.expect_nothing_saved();
}

#[test]
fn a_signature_that_is_refused_does_not_bring_the_token_to_light() {
    let message =
        format!("The Canonical String should have been 'POST / x-amz-security-token:{TOKEN} {KEY}'");
    let stub = Stub::start(move |_| refusal(403, "SignatureDoesNotMatch", &message));
    User::new(&stub)
        .snapshot(&[])
        .expect(2, &["AWS does not accept the credentials (SignatureDoesNotMatch)"]);
}

#[test]
fn absent_credentials_are_one_line_and_the_fix() {
    let user = User::without_credentials().with("AWS_REGION", "eu-west-1");
    let ended = user.snapshot(&[]);
    ended.expect(2, &["error: no AWS credentials were found\nhint: run `aws configure` or `aws sso login`"]);
    assert_eq!(ended.stderr.lines().count(), 2, "{ended}");
}

#[test]
fn a_profile_that_does_not_exist_is_named() {
    let stub = Stub::start(account);
    let user = User::new(&stub);
    // Keys in the environment do not stand in for it.
    let wanted = "error: the AWS profile `prod` does not exist\nhint: see `aws configure list-profiles`";
    user.snapshot(&["--profile", "prod"]).expect(2, &[wanted]);
    user.home.file(".aws/config", "[profile other]\nregion = eu-west-1\n");
    let user = user.with("AWS_PROFILE", "prod");
    user.snapshot(&[]).expect(2, &[wanted]);
    assert!(stub.requests().is_empty());
}

#[test]
fn a_login_that_is_over_names_the_command_and_the_profile() {
    let user = User::without_credentials();
    let config = "[profile dev]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = Reader\nregion = eu-west-1\n\
                  [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n";
    user.home.file(".aws/config", config);
    let wanted = "hint: run `aws sso login --profile dev`, then run it again";
    user.snapshot(&["--profile", "dev"]).expect(2, &["error: the AWS session is over: ", wanted]);
}

#[test]
fn a_role_that_may_not_be_assumed_is_named_with_the_permission() {
    let stub = Stub::start(|request| {
        assert_eq!(request.action(), "AssumeRole");
        assert_eq!(request.form("ExternalId").as_deref(), Some("x-1"));
        let message = "User: a is not authorized to perform: sts:AssumeRole on resource: b";
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
        Answer::new(403, body)
    });
    let role = "arn:aws:iam::444455556666:role/Reader";
    let ended = User::new(&stub).snapshot(&["--role-arn", role, "--external-id", "x-1"]);
    ended.expect(2, &["cannot assume arn:aws:iam::444455556666:role/Reader: sts:AssumeRole is missing"]);
}

#[test]
fn requests_are_signed_for_their_region_unless_asked_not_to() {
    let stub = Stub::start(account);
    let user = User::new(&stub);
    user.snapshot(&["--region", "us-east-2", "--region", "eu-west-1"]).expect(0, &["NetworkAcls 2"]);
    assert_eq!(user.saved()["flowcheck"]["region"], "us-east-2,eu-west-1");
    let scopes: Vec<_> = stub
        .requests()
        .iter()
        .filter_map(|request| Some(request.header("authorization")?.to_owned()))
        .collect();
    assert!(scopes.iter().any(|scope| scope.contains("/us-east-2/ec2/aws4_request")), "{scopes:?}");
    assert!(scopes.iter().any(|scope| scope.contains("/eu-west-1/ec2/aws4_request")), "{scopes:?}");

    let stub = Stub::start(account);
    let user =
        User::without_credentials().with("AWS_REGION", "eu-west-1").with("AWS_ENDPOINT_URL", &stub.url());
    user.snapshot(&["--no-sign-request"]).expect(0, &[]);
    assert!(stub.requests().iter().all(|request| request.header("authorization").is_none()));
    assert_eq!(user.saved()["flowcheck"]["account_id"], "111122223333", "from the ACL's owner");
}

#[test]
fn the_endpoint_is_that_of_the_option_then_of_the_service_then_of_all() {
    let (option, service, all) = (Stub::start(account), Stub::start(account), Stub::start(account));
    let user = User::new(&all).with("AWS_ENDPOINT_URL_EC2", &service.url());
    user.snapshot(&[]).expect(0, &[]);
    assert!(service.requests().iter().all(|request| request.action().starts_with("Describe")));
    assert_eq!((service.requests().len(), all.requests().len()), (6, 1), "STS has no endpoint of its own");
    user.snapshot(&["--endpoint-url", &option.url()]).expect(0, &[]);
    assert_eq!((option.requests().len(), service.requests().len(), all.requests().len()), (7, 6, 1));
}

#[test]
fn a_profile_gives_keys_region_and_endpoint() {
    let stub = Stub::start(account);
    let user = User::without_credentials();
    let config = format!(
        "[profile lab]\nregion = ap-south-1\nservices = here\n[services here]\nec2 =\n  endpoint_url = {url}\nsts =\n  endpoint_url = {url}\n",
        url = stub.url()
    );
    user.home.file(".aws/config", config);
    user.home.file(
        ".aws/credentials",
        format!("[lab]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"),
    );
    let user = user.with("AWS_PROFILE", "lab");
    user.snapshot(&[]).expect(0, &[]);
    assert_eq!(user.saved()["flowcheck"]["region"], "ap-south-1");
}

#[test]
fn what_cannot_be_reached_is_said_with_its_address() {
    let stub = Stub::start(account);
    let (user, url) = (User::new(&stub).with("AWS_MAX_ATTEMPTS", "1"), stub.url());
    drop(stub);
    user.snapshot(&[]).expect(2, &[&format!("cannot reach {url}: "), "refused"]);
}

#[test]
fn a_region_that_is_none_and_none_at_all_are_told_apart() {
    let stub = Stub::start(account);
    User::new(&stub).snapshot(&["--region", "eu-west-1/"]).expect(2, &["`eu-west-1/` is no AWS region"]);
    User::new(&stub)
        .without("AWS_REGION")
        .snapshot(&[])
        .expect(2, &["no AWS region is known\nhint: give --region"]);
    assert!(stub.requests().is_empty());
}

#[test]
fn many_vpcs_are_asked_for_in_as_many_filters_as_it_takes() {
    let stub = Stub::start(|request| match request.action().as_str() {
        "DescribeNetworkAcls" => {
            let ids = (1..).map_while(|number| request.form(&format!("Filter.1.Value.{number}")));
            let items: String = ids.map(|id| network_acl(&id.replace("vpc", "acl"), &id)).collect();
            assert_eq!(request.form("Filter.1.Name").as_deref(), Some("vpc-id"));
            found("DescribeNetworkAcls", &items, "")
        }
        _ => account(request),
    });
    let user = User::new(&stub);
    let ids: Vec<String> = (1..=201).map(|number| format!("vpc-{number}")).collect();
    let arguments: Vec<&str> = ids.iter().flat_map(|id| ["--vpc", id.as_str()]).collect();
    user.snapshot(&arguments).expect(0, &["NetworkAcls 201"]);
    let calls = stub.requests().into_iter().filter(|request| request.action() == "DescribeNetworkAcls");
    assert!(calls.into_iter().all(|request| request.form("Filter.1.Value.201").is_none()));
    // Of the flow logs those on one of the VPCs or on something in it, which EC2 cannot choose.
    let flow_logs: Vec<_> = user.saved()["FlowLogs"]
        .as_array()
        .expect("flow logs")
        .iter()
        .map(|log| log["FlowLogId"].clone())
        .collect();
    assert_eq!(flow_logs, ["fl-1", "fl-2"]);
}

#[test]
fn a_vpc_that_is_not_there_is_an_error() {
    let stub = Stub::start(|request| match request.action().as_str() {
        "DescribeNetworkAcls" => found("DescribeNetworkAcls", "", ""),
        _ => account(request),
    });
    let user = User::new(&stub);
    user.snapshot(&["--vpc", "vpc-mistyped"])
        .expect(2, &["no network ACL of vpc-mistyped was found", "hint: see --region"]);
    user.expect_nothing_saved();
}
