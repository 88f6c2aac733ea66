//! A small VPC over several days, as files under AWS's names: a web server whose replies from a database are dropped
//! every hour, one conversation over each midnight, an idle interface.

use std::fmt::Write;
use std::path::PathBuf;

use crate::run::{Ended, Scratch, flowcheck, gzip};

/// 2026-11-20T00:00:00Z.
pub const FIRST_DAY: i64 = 1_795_132_800;
const DAY: i64 = 86_400;

const SNAPSHOT: &str = r#"{
  "flowcheck": {"captured_at": "2026-11-27T00:00:00Z", "region": "eu-west-1", "account_id": "111122223333", "version": "0"},
  "NetworkAcls": [{"NetworkAclId": "acl-0a", "VpcId": "vpc-0a", "IsDefault": true, "Associations": [
      {"NetworkAclAssociationId": "aclassoc-0a", "NetworkAclId": "acl-0a", "SubnetId": "subnet-0a"}],
    "Entries": [
      {"RuleNumber": 100, "Protocol": "6", "RuleAction": "allow", "Egress": false, "CidrBlock": "0.0.0.0/0",
        "PortRange": {"From": 443, "To": 443}},
      {"RuleNumber": 32767, "Protocol": "-1", "RuleAction": "deny", "Egress": false, "CidrBlock": "0.0.0.0/0"},
      {"RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "Egress": true, "CidrBlock": "0.0.0.0/0"},
      {"RuleNumber": 32767, "Protocol": "-1", "RuleAction": "deny", "Egress": true, "CidrBlock": "0.0.0.0/0"}]}],
  "Subnets": [{"SubnetId": "subnet-0a", "VpcId": "vpc-0a", "CidrBlock": "10.0.1.0/24", "OwnerId": "111122223333",
    "Tags": [{"Key": "team", "Value": "payments"}]}],
  "NetworkInterfaces": [
    {"NetworkInterfaceId": "eni-web", "SubnetId": "subnet-0a", "VpcId": "vpc-0a", "PrivateIpAddress": "10.0.1.10",
      "TagSet": [{"Key": "Name", "Value": "web-1"}]},
    {"NetworkInterfaceId": "eni-idle", "SubnetId": "subnet-0a", "VpcId": "vpc-0a", "PrivateIpAddress": "10.0.1.11"}]
}"#;

/// Its files and their folder.
pub struct Incident {
    pub scratch: Scratch,
    days: i64,
}

impl Incident {
    /// Logs of so many whole days.
    pub fn new(days: i64) -> Self {
        let incident = Self { scratch: Scratch::new(), days };
        incident.scratch.file("snapshot.json", SNAPSHOT);
        for slice in 0..days * DAY / 600 {
            incident.write(slice, &lines(slice, days));
        }
        incident
    }

    /// The file of ten minutes.
    fn path(slice: i64) -> PathBuf {
        let end = at(FIRST_DAY + slice * 600 + 599).replace(['-', ':'], "");
        let bucket = format!("{}{}", &end[..12], if &end[12..13] >= "5" { "5Z" } else { "0Z" });
        PathBuf::from(format!("logs/111122223333_vpcflowlogs_eu-west-1_fl-0a_{bucket}_{slice:08x}.log.gz"))
    }

    fn write(&self, slice: i64, lines: &str) {
        let header = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
                      action log-status\n";
        self.scratch.file(&Self::path(slice).to_string_lossy(), gzip(format!("{header}{lines}")));
    }

    /// One more conversation of eni-web at a moment, in a file that is there already.
    pub fn add(&self, second: i64, port: u16) {
        let slice = second / 600;
        let start = FIRST_DAY + second;
        let more = conversation(start, start + 30, port);
        self.write(slice, &format!("{}{more}", lines(slice, self.days)));
    }

    /// More records, of ten minutes that begin so many seconds after the first midnight.
    pub fn add_lines(&self, second: i64, more: &str) {
        let slice = second / 600;
        self.write(slice, &format!("{}{more}", lines(slice, self.days)));
    }

    /// Leaves out the records of an interface that begin in this time of the first day.
    pub fn forget(&self, interface: &str, from: i64, to: i64) {
        for slice in from / 600..to / 600 {
            let kept = lines(slice, self.days);
            let kept = kept.lines().filter(|line| !line.contains(interface));
            let kept = kept.fold(String::new(), |all, line| all + line + "\n");
            self.write(slice, &kept);
        }
    }

    /// The first day and the hour after it have this record and no other.
    pub fn forget_all_but(&self, slice: i64, line: &str) {
        for empty in 0..(DAY + 3600) / 600 {
            self.write(empty, "");
        }
        self.write(slice, line);
    }

    /// The last file ends in the middle.
    pub fn cut_short(&self) {
        let path = self.scratch.path().join(Self::path(self.days * DAY / 600 - 1));
        let content = std::fs::read(&path).expect("a file");
        std::fs::write(&path, &content[..content.len() / 2]).expect("write");
    }

    /// A report on it.
    pub fn report(&self, more: &[&str]) -> Ended {
        let (logs, snapshot) = (self.scratch.at("logs"), self.scratch.at("snapshot.json"));
        let mut arguments = vec!["report", &logs, "--snapshot", &snapshot];
        arguments.extend(more);
        flowcheck(&arguments)
    }
}

fn at(seconds: i64) -> String {
    flowcheck::net::Timestamp(seconds).to_string()
}

fn conversation(start: i64, end: i64, port: u16) -> String {
    format!(
        "2 111122223333 eni-web 10.0.1.10 10.8.0.5 {port} 5432 6 3 180 {start} {end} ACCEPT OK\n\
         2 111122223333 eni-web 10.8.0.5 10.0.1.10 5432 {port} 6 4 240 {start} {end} REJECT OK\n"
    )
}

/// The records of ten minutes.
fn lines(slice: i64, days: i64) -> String {
    let start = FIRST_DAY + slice * 600;
    let mut lines = String::new();
    let _ = writeln!(
        lines,
        "2 111122223333 eni-idle - - - - - - - {start} {} - NODATA\n\
         2 111122223333 eni-web 10.0.1.10 10.0.9.9 40000 443 6 9 900 {start} {} ACCEPT OK",
        start + 599,
        start + 599
    );
    if slice % 6 == 2 {
        // One every hour, with a port of its own.
        let port = 33_000 + u16::try_from(slice / 6 % 24).expect("an hour");
        lines += &conversation(start, start + 59, port);
    }
    let of_day = slice % (DAY / 600);
    let (before, after) = (of_day == DAY / 600 - 1, of_day == 0 && slice > 0);
    if before && slice / (DAY / 600) < days - 1 {
        // It goes on after midnight, and one of its records lies on both sides.
        lines += &conversation(start + 480, start + 539, 61_000);
        let (start, end) = (start + 570, start + 629);
        let _ = writeln!(
            lines,
            "2 111122223333 eni-web 10.8.0.5 10.0.1.10 5432 61000 6 5 300 {start} {end} REJECT OK"
        );
    }
    if after {
        lines += &conversation(start + 60, start + 119, 61_000);
    }
    lines
}
