//! The live configuration: asked of EC2 when it is needed, for the VPCs that matter, and what is said without it.

use serde_json::Value;

use super::cloud::{Account, Cloud, REGION};
use super::{BEGIN, GROUP, SOURCE, event, group, lines, moment, side_by_side, snapshot, timeout, v2};
use crate::logs_stub::Event;
use crate::run::{Ended, Scratch};

const KINDS: [&str; 5] = [
    "DescribeNatGateways",
    "DescribeNetworkAcls",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "DescribeVpcs",
];

/// Two VPCs with an ACL, a subnet and an interface each: eni-0a in vpc-1, eni-0b in vpc-2.
fn network(region: &'static str) -> Vec<((&'static str, &'static str), String)> {
    let both = |item: &dyn Fn(u8, &str) -> String| format!("{}\n{}", item(1, "a"), item(2, "b"));
    let acl = both(&|vpc, _| {
        let entry = |egress, number, action| {
            format!(
                "<item><ruleNumber>{number}</ruleNumber><protocol>-1</protocol><ruleAction>{action}</ruleAction><egress>{egress}</egress><cidrBlock>0.0.0.0/0</cidrBlock></item>"
            )
        };
        format!(
            "<item><networkAclId>acl-{vpc}</networkAclId><vpcId>vpc-{vpc}</vpcId><default>true</default><entrySet>{}{}{}</entrySet>\
             <associationSet><item><networkAclAssociationId>aclassoc-{vpc}</networkAclAssociationId><networkAclId>acl-{vpc}</networkAclId>\
             <subnetId>subnet-{vpc}</subnetId></item></associationSet></item>",
            entry(true, 100, "allow"),
            entry(true, 32767, "deny"),
            entry(false, 32767, "deny")
        )
    });
    let subnet = both(&|vpc, _| {
        format!(
            "<item><subnetId>subnet-{vpc}</subnetId><vpcId>vpc-{vpc}</vpcId><cidrBlock>10.0.{vpc}.0/24</cidrBlock></item>"
        )
    });
    let interface = both(&|vpc, letter| {
        format!(
            "<item><networkInterfaceId>eni-0{letter}</networkInterfaceId><subnetId>subnet-{vpc}</subnetId><vpcId>vpc-{vpc}</vpcId><privateIpAddress>10.0.{vpc}.10</privateIpAddress></item>"
        )
    });
    vec![
        ((region, "DescribeNetworkAcls"), acl),
        ((region, "DescribeSubnets"), subnet),
        ((region, "DescribeNetworkInterfaces"), interface),
    ]
}

fn of(events: Vec<Event>) -> Account {
    Account {
        groups: vec![(GROUP.to_owned(), group(events))],
        network: network(REGION).into_iter().collect(),
        ..Account::default()
    }
}

fn ask(account: Account, arguments: &[&str]) -> (Ended, Cloud) {
    let cloud = Cloud::start(account);
    let (since, until) = (moment(0), moment(900));
    (cloud.ask(&[arguments, &["--since", &since, "--until", &until, "--format", "json"]].concat()), cloud)
}

/// The Describe calls asked, sorted.
fn asked(cloud: &Cloud) -> Vec<String> {
    let mut asked: Vec<_> = cloud.queries().into_iter().map(|(_, action)| action).collect();
    asked.sort();
    asked
}

fn events() -> Vec<Event> {
    timeout(40_000, 100).to_vec()
}

#[track_caller]
fn expect_default_deny(document: &Value) {
    let finding = &document["findings"][0];
    assert_eq!(
        (&finding["cause"], &finding["network_acl_id"]),
        (&"nacl_default".into(), &"acl-1".into()),
        "{document}"
    );
    // Captured after the records: inferred, not proven.
    assert_eq!(finding["confidence"], "likely");
}

#[test]
fn everything_is_asked_once_and_in_pages_and_saved_configuration_asks_nothing() {
    for paged in [false, true] {
        let (ended, cloud) = ask(Account { paged, ..of(events()) }, &[SOURCE]);
        let document = ended.expect(0, &[]).json();
        expect_default_deny(&document);
        assert_eq!(
            (&document["network_config"]["origin"], &document["network_config"]["network_acls"]),
            (&"live".into(), &2.into())
        );
        if !paged {
            assert_eq!(asked(&cloud), KINDS);
        }
    }
    let scratch = Scratch::new();
    let saved = scratch.file("snapshot.json", snapshot().to_string());
    let (ended, cloud) = ask(of(events()), &[SOURCE, "--snapshot", &saved]);
    expect_default_deny(&ended.expect(0, &[]).json());
    assert!(asked(&cloud).is_empty(), "{:?}", asked(&cloud));
}

#[test]
fn files_ask_nothing_of_aws_unless_it_is_named() {
    let scratch = Scratch::new();
    let file = scratch.file("flow.log", lines(&events()));
    let (ended, cloud) = ask(of(Vec::new()), &[&file]);
    assert_eq!(ended.expect(0, &[]).json()["network_config"]["origin"], "none");
    assert!(cloud.stub.requests().is_empty());
    let (ended, cloud) = ask(of(Vec::new()), &[&file, "--region", REGION]);
    expect_default_deny(&ended.expect(0, &[]).json());
    assert_eq!(asked(&cloud), KINDS);
}

/// Of a record that names its VPC no other VPC is asked for, and a server that sends all of them changes nothing.
#[test]
fn only_the_vpcs_of_the_records_are_asked_for() {
    let format = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status vpc-id";
    let with_vpc: Vec<_> =
        events().into_iter().map(|one| event(100, format!("{} vpc-1", one.message))).collect();
    let (ended, cloud) = ask(of(with_vpc), &[SOURCE, "--log-format", format]);
    expect_default_deny(&ended.expect(0, &[]).json());
    let requests = cloud.stub.requests();
    let described: Vec<_> = requests.iter().filter(|one| one.body.starts_with(b"Action=Describe")).collect();
    assert_eq!(described.len(), KINDS.len());
    for request in described {
        assert_eq!(request.form("Filter.1.Name").as_deref(), Some("vpc-id"));
        assert_eq!(
            (request.form("Filter.1.Value.1").as_deref(), request.form("Filter.1.Value.2")),
            (Some("vpc-1"), None)
        );
    }
}

#[test]
fn what_ec2_refuses_is_named_and_the_verdict_waits_for_it() {
    let refused = |kinds: &[&'static str]| {
        let refused = kinds.iter().map(|kind| (("", *kind), "UnauthorizedOperation")).collect();
        ask(Account { refused, ..of(events()) }, &[SOURCE]).0
    };
    let cases = [
        (&KINDS[..], "undetermined"),
        (&["DescribeNetworkAcls"], "undetermined"),
        // Of two addresses nobody knows which one is the interface's.
        (&["DescribeNetworkInterfaces"], "undetermined"),
        (&["DescribeSubnets"], "nacl_default"),
    ];
    side_by_side(cases, |(kinds, cause)| {
        let ended = refused(kinds);
        let document = ended.expect(3, &["not allowed"]).json();
        let finding = &document["findings"][0];
        assert_eq!(finding["cause"], cause, "{kinds:?}\n{ended}");
        assert_ne!(finding["confidence"], "proven");
        for kind in kinds {
            assert!(ended.stderr.contains(&format!("ec2:{kind} is missing")), "{kind}\n{ended}");
        }
    });
    // Without these only names are missing.
    let ended = refused(&["DescribeNatGateways", "DescribeVpcs"]);
    expect_default_deny(&ended.expect(0, &["ec2:DescribeVpcs is missing: names may be missing"]).json());
}

#[test]
fn the_configuration_of_every_region_counts() {
    let elsewhere = "us-east-1";
    let account = || Account { network: network(elsewhere).into_iter().collect(), ..of(events()) };
    let (ended, cloud) = ask(account(), &[SOURCE, "--region", REGION, "--region", elsewhere]);
    expect_default_deny(&ended.expect(0, &[]).json());
    assert_eq!(cloud.queries().len(), 2 * KINDS.len());
    // A group that names its region has its network there, also for the filters.
    let arn = format!("arn:aws:logs:{elsewhere}:123456789012:log-group:{GROUP}");
    let filters = [&[][..], &["--subnet", "subnet-1"], &["--vpc", "vpc-1"], &["--nacl", "acl-1"]];
    side_by_side(filters, |filter| {
        let (ended, cloud) = ask(account(), &[&[arn.as_str()][..], filter].concat());
        expect_default_deny(&ended.expect(0, &[]).json());
        assert!(cloud.queries().iter().all(|(region, _)| region == elsewhere), "{:?}", cloud.queries());
    });
}

/// The records say only which interface they are of.
#[test]
fn filters_by_place_go_by_the_live_configuration() {
    let mut all = events();
    all.extend(
        timeout(41_000, 100)
            .into_iter()
            .map(|one| event(100, one.message.replace("eni-0a", "eni-0b").replace("10.0.1.10", "10.0.2.10"))),
    );
    let cases = [
        (["--vpc", "vpc-1"], "acl-1"),
        (["--vpc", "vpc-2"], "acl-2"),
        (["--subnet", "subnet-2"], "acl-2"),
        (["--nacl", "acl-2"], "acl-2"),
        (["--interface", "eni-0b"], "acl-2"),
    ];
    side_by_side(cases, |(filter, acl)| {
        let (ended, _) = ask(of(all.clone()), &[&[SOURCE][..], &filter].concat());
        let document = ended.expect(0, &[]).json();
        let acls: Vec<_> = document["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .map(|one| &one["network_acl_id"])
            .collect();
        assert_eq!(acls, [acl], "{filter:?}");
    });
}

/// A capture inside a record's own window is what was in force then.
#[test]
fn a_capture_inside_the_records_window_proves() {
    let now = jiff::Timestamp::now().as_second() - BEGIN;
    let live = vec![
        v2("10.0.1.10 192.0.2.80 40000 443", now - 30, now + 570, "ACCEPT"),
        v2("192.0.2.80 10.0.1.10 443 40000", now - 30, now + 570, "REJECT"),
    ];
    let cloud = Cloud::start(of(live));
    let document = cloud.ask(&[SOURCE, "--since", "10m", "--format", "json"]).expect(0, &[]).json();
    assert_eq!(document["findings"][0]["confidence"], "proven", "{document}");
}
