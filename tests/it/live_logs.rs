//! The outage command from end to end, against an account on loopback: what it reads of log groups, which flow logs it
//! finds, what it asks of EC2, and what it says when something is missing.

mod account;
mod cloud;
mod configuration;
mod equality;
mod words;

use flowcheck::net::Timestamp;
use serde_json::{Value, json};

use crate::logs_stub::{Event, Group};

/// 2026-11-20T12:00:00Z, when the window that tests ask for begins.
const BEGIN: i64 = 1_795_176_000;
const GROUP: &str = "/vpc/flow";
const SOURCE: &str = "cloudwatch:///vpc/flow";
const V2: &str = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} \
                  ${packets} ${bytes} ${start} ${end} ${action} ${log-status}";

/// Checks all cases at the same time: what takes the time is the pace of requests.
fn side_by_side<T: Send>(cases: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        let check = &check;
        let checks: Vec<_> = cases.into_iter().map(|case| scope.spawn(move || check(case))).collect();
        for ended in checks.into_iter().map(std::thread::ScopedJoinHandle::join) {
            if let Err(failure) = ended {
                std::panic::resume_unwind(failure);
            }
        }
    });
}

/// Seconds from the beginning as RFC 3339.
fn moment(seconds: i64) -> String {
    Timestamp(BEGIN + seconds).to_string()
}

/// A record as an event: its time is its record's `start`, as AWS has it.
fn event(start: i64, message: String) -> Event {
    Event { at: (BEGIN + start) * 1000, message }
}

/// A default-format record of eni-0a with its peer's port first.
fn v2(ends: &str, start: i64, end: i64, action: &str) -> Event {
    let (start_at, end_at) = (BEGIN + start, BEGIN + end);
    event(start, format!("2 111122223333 eni-0a {ends} 6 3 180 {start_at} {end_at} {action} OK"))
}

/// A request that was let out, and its replies that were not let in.
fn timeout(port: u16, start: i64) -> [Event; 2] {
    [
        v2(&format!("10.0.1.10 192.0.2.80 {port} 443"), start, start + 50, "ACCEPT"),
        v2(&format!("192.0.2.80 10.0.1.10 443 {port}"), start + 10, start + 60, "REJECT"),
    ]
}

fn group(events: Vec<Event>) -> Group {
    Group { class: "STANDARD", events }
}

/// The lines that the events are.
fn lines(events: &[Event]) -> String {
    events.iter().flat_map(|event| [event.message.as_str(), "\n"]).collect()
}

/// NACLs that let everything out and only HTTPS in, in front of interfaces eni-0a to eni-0d.
fn snapshot() -> Value {
    let entry = |egress: bool, number: u32, action: &str, cidr: &str| {
        let family = if cidr.contains(':') { "Ipv6CidrBlock" } else { "CidrBlock" };
        json!({"Egress": egress, "RuleNumber": number, "Protocol": "-1", "RuleAction": action, family: cidr})
    };
    let entries = json!([
        entry(true, 100, "allow", "0.0.0.0/0"), entry(true, 101, "allow", "::/0"),
        {"Egress": false, "RuleNumber": 100, "Protocol": "6", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0", "PortRange": {"From": 443, "To": 443}},
        entry(true, 32767, "deny", "0.0.0.0/0"), entry(true, 32768, "deny", "::/0"),
        entry(false, 32767, "deny", "0.0.0.0/0"), entry(false, 32768, "deny", "::/0"),
    ]);
    let interface = |number: usize| {
        let letter = ["a", "b", "c", "d"][number];
        json!({"NetworkInterfaceId": format!("eni-0{letter}"), "SubnetId": "subnet-1", "VpcId": "vpc-1",
               "PrivateIpAddress": format!("10.0.1.1{number}"),
               "PrivateIpAddresses": [{"PrivateIpAddress": format!("10.0.1.1{number}"), "Primary": true}],
               "Ipv6Addresses": [{"Ipv6Address": format!("2001:db8:1::1{number}")}]})
    };
    json!({
        "NetworkAcls": [{"NetworkAclId": "acl-1", "VpcId": "vpc-1", "IsDefault": true, "Entries": entries,
                         "Associations": [{"NetworkAclAssociationId": "aclassoc-1", "NetworkAclId": "acl-1", "SubnetId": "subnet-1"}]}],
        "Subnets": [{"SubnetId": "subnet-1", "VpcId": "vpc-1", "CidrBlock": "10.0.1.0/24"}],
        "NetworkInterfaces": (0..4).map(interface).collect::<Vec<_>>(),
    })
}
