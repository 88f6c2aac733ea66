//! Verdicts over time against the truth, second by second: what is decided must hold at every moment that is possible.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Judged, Places, judge_conversations};
use super::*;
use crate::correlate::{Correlated, Correlator, Gatherer, Options, Selection};
use crate::nacl::{AclProtocol, Action};
use crate::network::NetworkConfig;
use crate::network::history::HistoryDocuments;
use crate::record::LineReader;

const T0: i64 = 1_700_000_000;
const NUMBERS: [u16; 3] = [90, 100, 110];
const REMOTE: &str = "203.0.113.9";

/// Ingress entries by number.
type Entries = BTreeMap<u16, NetworkAclEntry>;

fn entry(rule_number: u16, content: u8) -> NetworkAclEntry {
    NetworkAclEntry {
        rule_number,
        direction: Direction::Ingress,
        cidr: ["0.0.0.0/0", "203.0.113.0/24", "10.0.0.0/8"][usize::from(content % 3)].parse().unwrap(),
        protocol: AclProtocol::All,
        ports: None,
        icmp: None,
        action: if content < 3 { RuleAction::Allow } else { RuleAction::Deny },
    }
}

fn described(entries: &Entries, at: i64) -> Value {
    let entries: Vec<_> = entries
        .values()
        .map(|entry| {
            json!({"RuleNumber": entry.rule_number, "Egress": false, "Protocol": "-1",
                "CidrBlock": entry.cidr.to_string(), "RuleAction": entry.action.as_str()})
        })
        .collect();
    json!({"flowcheck": {"captured_at": Timestamp(T0 + at).to_string()},
        "NetworkAcls": [{"NetworkAclId": "acl-1", "VpcId": "vpc-1", "Entries": entries,
            "Associations": [{"NetworkAclAssociationId": "aclassoc-1", "NetworkAclId": "acl-1", "SubnetId": "subnet-1"}]}],
        "NetworkInterfaces": [{"NetworkInterfaceId": "eni-1", "SubnetId": "subnet-1", "VpcId": "vpc-1",
            "PrivateIpAddress": "10.0.1.10"}]})
}

fn call(at: i64, id: usize, name: &str, rule_number: u16, new: Option<&NetworkAclEntry>) -> Value {
    let mut request = json!({"networkAclId": "acl-1", "ruleNumber": rule_number, "egress": false});
    if let Some(new) = new {
        request["aclProtocol"] = "-1".into();
        request["ruleAction"] = new.action.as_str().into();
        request["cidrBlock"] = new.cidr.to_string().into();
    }
    json!({"eventTime": Timestamp(T0 + at).to_string(), "eventSource": "ec2.amazonaws.com", "eventName": name,
        "eventID": format!("e-{id}"), "awsRegion": "eu-west-1", "recipientAccountId": "1", "requestParameters": request})
}

/// What happened: the entries from each moment on, and the documents that tell of it.
#[derive(Debug, Clone)]
struct World {
    truth: Vec<(i64, Entries)>,
    records: Vec<Value>,
}

impl World {
    fn at(&self, moment: i64) -> &Entries {
        let before = self.truth.iter().rfind(|(at, _)| *at <= moment);
        before.map_or(&self.truth[0].1, |(_, entries)| entries)
    }

    /// What decides at a moment: a denying entry, or none where the packet is allowed.
    fn decider(&self, moment: i64) -> Option<String> {
        let acl = NetworkAcl::new("acl-1", self.at(moment).values().cloned());
        let packet = Packet {
            remote: REMOTE.parse().unwrap(),
            protocol: crate::net::Protocol::TCP,
            dstport: Some(40000),
            icmp: None,
        };
        let verdict = evaluate(&acl, Direction::Ingress, &packet, Observed::Rejected);
        (verdict.action == Action::Deny).then(|| verdict.rule.unwrap().to_string())
    }
}

fn world() -> impl Strategy<Value = World> {
    let calls = prop::collection::vec((1..250_i64, 0..NUMBERS.len(), any::<bool>(), 0..6_u8), 0..7);
    let first = prop::collection::btree_map(0..NUMBERS.len(), 0..6_u8, 0..3);
    (calls, first).prop_map(|(calls, first)| {
        let first = first.into_iter().map(|(at, content)| (NUMBERS[at], entry(NUMBERS[at], content)));
        let mut now: Entries = first.collect();
        let (mut time, mut truth, mut records) = (0, vec![(i64::MIN, now.clone())], Vec::new());
        for (id, (gap, slot, replaces, content)) in calls.into_iter().enumerate() {
            time += gap;
            let number = NUMBERS[slot];
            let new = entry(number, content);
            let (name, new) = match (now.contains_key(&number), replaces) {
                (false, _) => ("CreateNetworkAclEntry", Some(new)),
                (true, true) => ("ReplaceNetworkAclEntry", Some(new)),
                (true, false) => ("DeleteNetworkAclEntry", None),
            };
            records.push(call(time, id, name, number, new.as_ref()));
            match new {
                Some(new) => now.insert(number, new),
                None => now.remove(&number),
            };
            truth.push((time, now.clone()));
        }
        World { truth, records }
    })
}

fn correlated(start: i64, seconds: i64) -> Correlated {
    let header = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
    let (from, to) = (T0 + start, T0 + start + seconds);
    let lines = format!(
        "{header}\n2 1 eni-1 10.0.1.10 {REMOTE} 40000 443 6 1 60 {from} {to} ACCEPT OK\n\
         2 1 eni-1 {REMOTE} 10.0.1.10 443 40000 6 1 61 {from} {to} REJECT OK"
    );
    let selection = Selection::default();
    let mut gatherer = Gatherer::new(&selection, 300);
    let mut reader = LineReader::new(&[]);
    for (line, number) in lines.lines().zip(1..) {
        reader.line(number, line.as_bytes(), &mut gatherer);
    }
    reader.end(&mut gatherer);
    let mut correlator =
        Correlator::new(Options { match_window_seconds: 300, memory_limit_bytes: usize::MAX });
    correlator.absorb(&mut gatherer.take()).expect("the only batch");
    correlator.finish(2)
}

/// Judges one rejected record, with a state before everything if `with_first`, and looks at the verdict.
fn with_verdict(world: &World, with_first: bool, record: (i64, i64), look: impl FnOnce(&Judged<'_>)) {
    let present = described(world.at(i64::MAX), 3000).to_string();
    let config = NetworkConfig::from_json(Path::new("present"), present.as_bytes()).unwrap();
    let mut documents = vec![json!({"Records": world.records})];
    if with_first {
        documents.push(described(world.at(i64::MIN), -900));
    }
    let documents: Vec<_> = documents.into_iter().map(|value| (PathBuf::from("given"), value)).collect();
    let mut history = HistoryDocuments::default();
    history.add(&documents, Some((Timestamp(T0 - 1000), Timestamp(T0 + 2900)))).unwrap();
    let history = history.with(&config);
    let correlated = correlated(record.0, record.1);
    let places = Places::over_time(&correlated.interfaces, &config, Some(&history));
    let judged = judge_conversations(&correlated.conversations, &places);
    assert_eq!(judged.len(), 1, "{judged:?}");
    look(&judged[0]);
}

proptest! {
    #[test]
    fn what_is_decided_holds_at_every_moment_that_is_possible(
        world in world(), with_first in any::<bool>(), record in (-200..1500_i64, 0..400_i64),
    ) {
        let (start, end) = (record.0, record.0 + record.1);
        let possible: BTreeSet<Option<String>> =
            (start - CHANGE_SECONDS..=end + CHANGE_SECONDS).map(|moment| world.decider(moment)).collect();
        with_verdict(&world, with_first, record, |one| {
            let slug = one.detail.as_ref().map(Detail::slug);
            match one.cause {
                Cause::NaclRule | Cause::NaclDefault => {
                    let rule = one.rule.map(ToString::to_string);
                    assert_eq!(possible, BTreeSet::from([rule]), "{one:?}");
                }
                Cause::NotNacl => assert_eq!(possible, BTreeSet::from([None]), "{one:?}"),
                Cause::Undetermined if slug == Some("change_in_window") => {
                    assert!(possible.len() > 1 || !with_first, "{one:?}");
                    let denying: BTreeSet<_> = possible.iter().flatten().cloned().collect();
                    let listed: BTreeSet<_> = one.candidates.iter().map(|(_, entry)| entry.to_string()).collect();
                    assert!(listed.is_subset(&denying) || !with_first, "{listed:?} {denying:?}");
                    assert!(denying.is_subset(&listed) || !with_first, "{listed:?} {denying:?}");
                }
                Cause::Undetermined => assert!(!with_first, "everything is known: {one:?}"),
                other => panic!("{other:?}"),
            }
        });
    }

    #[test]
    fn the_call_that_is_named_turned_allowed_into_denied(world in world(), record in (0..1500_i64, 0..100_i64)) {
        with_verdict(&world, true, record, |one| {
            let denied = |moment: i64| world.decider(moment).is_some();
            if let Some(began) = &one.episode.began {
                let at = began.event.time.0 - T0;
                assert!(!denied(at - 1) && (at..=record.0 + record.1).all(denied), "{one:?}");
            } else if one.cause.is_nacl() {
                // Nothing to name only where it was denied from the beginning.
                assert!((-1000..=record.0).all(denied), "{one:?}");
            }
            if let Some(ended) = &one.episode.ended {
                let at = ended.event.time.0 - T0;
                assert!(denied(at - 1) && !denied(at), "{one:?}");
            }
        });
    }
}
