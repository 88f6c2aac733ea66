//! Owns what CloudTrail recorded: who changed which entry, what failed, and the reading in between. Refuses to know traffic.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::nacl::Entry;
use crate::objects::member;
use crate::rng::Rng;
use crate::topology::{ACCOUNT, REGION, Topology, VPC};
use crate::{BEGIN, CHANGE, MINUTE, Millis, SECOND};

const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
/// 2026-10-06T09:12:08Z: the entries that are deleted later are made.
const MADE: Millis = BEGIN - 45 * DAY - 5 * HOUR + 12 * MINUTE + 8 * SECOND;
/// 2026-11-17T13:40:31Z: somebody changes another NACL.
const ELSEWHERE: Millis = BEGIN - 3 * DAY - 20 * MINUTE + 31 * SECOND;

/// Positions in `Topology::acls`.
const APP_PRIVATE: usize = 0;
const BATCH_PRIVATE: usize = 2;

/// A role in somebody's hands.
struct Caller {
    role: &'static str,
    session: &'static str,
    source: &'static str,
    agent: &'static str,
}

const CLI: &str =
    "aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux lang/python#3.13.7 cfg/retry-mode#standard";
const CHANGE_4389: Caller =
    Caller { role: "NetworkAdmin", session: "change-4389", source: "192.0.2.70", agent: CLI };
const CHANGE_4711: Caller =
    Caller { role: "NetworkAdmin", session: "change-4711", source: "198.51.100.7", agent: CLI };
const PIPELINE: Caller = Caller {
    role: "Deploy",
    session: "terraform-batch",
    source: "192.0.2.18",
    agent: "APN/1.0 HashiCorp/1.0 Terraform/1.13.5 terraform-provider-aws/6.21.0",
};
const MARIA: Caller = Caller { role: "Developer", session: "maria.k", source: "192.0.2.33", agent: CLI };
const ON_CALL: Caller = Caller { role: "OnCall", session: "r.lind", source: "192.0.2.41", agent: CLI };
/// A service that looks on behalf of the account.
const ADVISOR: Caller = Caller {
    role: "AWSServiceRoleForTrustedAdvisor",
    session: "TrustedAdvisor_111122223333",
    source: "trustedadvisor.amazonaws.com",
    agent: "trustedadvisor.amazonaws.com",
};

/// One call, as it ended.
struct Call<'t> {
    at: Millis,
    name: &'static str,
    caller: &'static Caller,
    /// The NACL's position and its entry, where it is about one.
    entry: Option<(usize, &'t Entry)>,
    refused: bool,
}

/// One delivered file: when, and which calls, in no strict order.
struct Delivery<'t> {
    at: Millis,
    calls: Vec<Call<'t>>,
}

fn reading(at: Millis, name: &'static str, caller: &'static Caller) -> Call<'static> {
    Call { at, name, caller, entry: None, refused: false }
}

/// What was delivered. One event comes twice, which CloudTrail does not exclude.
fn deliveries(topology: &Topology) -> Vec<Delivery<'_>> {
    let on = |at, name, caller, acl: usize, number: u16, egress: bool| {
        let is_it = |entry: &&Entry| entry.number == number && entry.egress == egress;
        let entry = topology.acls[acl].entries.iter().find(is_it).expect("an entry that was there once");
        Call { at, name, caller, entry: Some((acl, entry)), refused: false }
    };
    let made =
        |number, after| on(MADE + after, "CreateNetworkAclEntry", &CHANGE_4389, APP_PRIVATE, number, false);
    let deleted = |number| on(CHANGE, "DeleteNetworkAclEntry", &CHANGE_4711, APP_PRIVATE, number, false);
    let refused = Call {
        refused: true,
        ..on(CHANGE - 734 * SECOND, "DeleteNetworkAclEntry", &MARIA, APP_PRIVATE, 32_000, false)
    };
    vec![
        Delivery {
            at: MADE - 8 * SECOND + 5 * MINUTE,
            calls: vec![
                made(32_001, SECOND),
                reading(MADE - 51 * SECOND, "DescribeNetworkAcls", &CHANGE_4389),
                made(32_000, 0),
            ],
        },
        Delivery {
            at: ELSEWHERE - 31 * SECOND + 5 * MINUTE,
            calls: vec![
                reading(ELSEWHERE - 4 * SECOND, "DescribeNetworkAcls", &PIPELINE),
                on(ELSEWHERE, "CreateNetworkAclEntry", &PIPELINE, BATCH_PRIVATE, 130, false),
            ],
        },
        Delivery {
            at: BEGIN - 5 * MINUTE,
            calls: vec![
                reading(BEGIN - 8 * MINUTE + 10 * SECOND, "DescribeSubnets", &ADVISOR),
                reading(BEGIN - 8 * MINUTE + 9 * SECOND, "DescribeNetworkInterfaces", &ADVISOR),
            ],
        },
        Delivery { at: BEGIN + 15 * MINUTE, calls: vec![refused] },
        Delivery {
            at: CHANGE + 6 * MINUTE,
            calls: vec![
                reading(CHANGE + 3 * SECOND, "DescribeNetworkAcls", &CHANGE_4711),
                deleted(32_000),
                reading(CHANGE - 69 * SECOND, "DescribeNetworkAcls", &CHANGE_4711),
                deleted(32_001),
            ],
        },
        Delivery { at: CHANGE + 11 * MINUTE, calls: vec![deleted(32_000)] },
        Delivery {
            at: BEGIN + 130 * MINUTE,
            calls: vec![
                reading(BEGIN + 125 * MINUTE, "DescribeNetworkAcls", &ON_CALL),
                reading(BEGIN + 91 * MINUTE + 20 * SECOND, "DescribeNetworkAcls", &ON_CALL),
            ],
        },
    ]
}

/// Writes the files below `folder`, as a trail delivers them.
pub fn write(folder: &Path, topology: &Topology) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    for Delivery { at, calls } in deliveries(topology) {
        let at = time(at);
        let day = folder.join(format!("AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{}", at.strftime("%Y/%m/%d")));
        fs::create_dir_all(&day)?;
        let moment = at.strftime("%Y%m%dT%H%MZ").to_string();
        let name = format!("{ACCOUNT}_CloudTrail_{REGION}_{moment}_{}.json.gz", unique(&moment));
        let records: Vec<Value> = calls.iter().map(|call| call.record(topology)).collect();
        let text = json!({ "Records": records }).to_string();
        fs::write(day.join(name), member(&[&text])?)?;
    }
    Ok(())
}

/// What is to be said of the deletion of an entry.
pub fn deletion(topology: &Topology, acl: usize, egress: bool, number: u16) -> Value {
    let all = deliveries(topology);
    let is_it = |call: &&Call| {
        let of = call
            .entry
            .is_some_and(|(of, entry)| of == acl && entry.egress == egress && entry.number == number);
        of && call.name == "DeleteNetworkAclEntry" && !call.refused
    };
    let call = all.iter().flat_map(|delivery| &delivery.calls).find(is_it).expect("what is gone was deleted");
    let (_, entry) = call.entry.expect("it is about an entry");
    json!({
        "time": time(call.at).to_string(),
        "event": call.name,
        "event_id": call.id("event"),
        "actor": format!("{}/{}", call.caller.role, call.caller.session),
        "source_ip": call.caller.source,
        "rule_number": number,
        "before": format!("{number} ALL ALL {} {}", entry.cidr, if entry.allow { "ALLOW" } else { "DENY" }),
        "after": null,
    })
}

impl Call<'_> {
    /// The same for the same call, however often it is delivered.
    fn id(&self, kind: &str) -> String {
        let number = self.entry.map_or(0, |(_, entry)| entry.number);
        uuid(&format!("{kind} {} {} {number}", self.at, self.name))
    }

    fn record(&self, topology: &Topology) -> Value {
        let is_reading = self.name.starts_with("Describe");
        let mut record = json!({
            "eventVersion": "1.11",
            "userIdentity": self.caller.identity(self.at),
            "eventTime": time(self.at).to_string(),
            "eventSource": "ec2.amazonaws.com",
            "eventName": self.name,
            "awsRegion": REGION,
            "sourceIPAddress": self.caller.source,
            "userAgent": self.caller.agent,
            "requestParameters": self.parameters(topology),
            "responseElements": null,
            "requestID": self.id("request"),
            "eventID": self.id("event"),
            "readOnly": is_reading,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": ACCOUNT,
            "eventCategory": "Management",
            "tlsDetails": {
                "tlsVersion": "TLSv1.3",
                "cipherSuite": "TLS_AES_128_GCM_SHA256",
                "clientProvidedHostHeader": format!("ec2.{REGION}.amazonaws.com"),
            },
        });
        if self.refused {
            let who =
                format!("arn:aws:sts::{ACCOUNT}:assumed-role/{}/{}", self.caller.role, self.caller.session);
            record["errorCode"] = json!("Client.UnauthorizedOperation");
            record["errorMessage"] = json!(format!(
                "You are not authorized to perform this operation. User: {who} is not authorized to perform: ec2:{} \
                 because no identity-based policy allows the ec2:{} action",
                self.name, self.name
            ));
        } else if !is_reading {
            record["responseElements"] = json!({"requestId": self.id("request"), "_return": true});
        }
        record
    }

    fn parameters(&self, topology: &Topology) -> Value {
        let Some((acl, entry)) = self.entry else {
            let set = match self.name {
                "DescribeNetworkAcls" => "networkAclIdSet",
                "DescribeSubnets" => "subnetSet",
                _ => "networkInterfaceIdSet",
            };
            let filter = json!({"items": [{"name": "vpc-id", "valueSet": {"items": [{"value": VPC}]}}]});
            return json!({ set: {}, "filterSet": filter });
        };
        let mut parameters = json!({
            "networkAclId": topology.acls[acl].id, "ruleNumber": entry.number, "egress": entry.egress,
        });
        if self.name == "DeleteNetworkAclEntry" {
            return parameters;
        }
        let family = if entry.cidr.addr().is_ipv4() { "cidrBlock" } else { "ipv6CidrBlock" };
        parameters[family] = json!(entry.cidr.to_string());
        parameters["ruleAction"] = json!(if entry.allow { "allow" } else { "deny" });
        parameters["aclProtocol"] =
            json!(entry.protocol.map_or_else(|| "-1".to_owned(), |protocol| protocol.to_string()));
        parameters["portRange"] = entry.ports.map_or(json!({}), |(from, to)| json!({"from": from, "to": to}));
        parameters["icmpTypeCode"] = json!({});
        parameters
    }
}

impl Caller {
    fn identity(&self, at: Millis) -> Value {
        let Self { role, session, source, .. } = self;
        let principal = format!("AROA{:016X}0", Rng::named(role).next());
        let begun = at.div_euclid(HOUR) * HOUR + Rng::named(session).range(0, 9) * SECOND;
        let mut identity = json!({
            "type": "AssumedRole",
            "principalId": format!("{principal}:{session}"),
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}"),
            "accountId": ACCOUNT,
            "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": principal,
                    "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"),
                    "accountId": ACCOUNT,
                    "userName": role,
                },
                "attributes": {"creationDate": time(begun).to_string(), "mfaAuthenticated": "false"},
            },
        });
        if source.ends_with(".amazonaws.com") {
            identity["invokedBy"] = json!(source);
        }
        identity
    }
}

fn time(at: Millis) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at).expect("in the calendar")
}

fn uuid(of: &str) -> String {
    let mut rng = Rng::named(of);
    let hex = format!("{:016x}{:016x}", rng.next(), rng.next());
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// Sixteen letters and digits, as at the end of a file's name.
fn unique(of: &str) -> String {
    const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rng = Rng::named(of);
    (0..16).map(|_| char::from(*rng.pick(LETTERS))).collect()
}
