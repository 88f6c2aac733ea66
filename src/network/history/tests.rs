//! Which time a history proves, who called, and documents handed over in memory.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;

const ACL: &str = "acl-1";

fn at(minute: i64) -> Timestamp {
    Timestamp(1_700_000_000 + minute * 60)
}

fn snapshot(captured_at: Timestamp) -> Value {
    json!({"flowcheck": {"captured_at": captured_at.to_string()}, "NetworkAcls": [{"NetworkAclId": ACL, "Entries": [],
        "Associations": [{"NetworkAclAssociationId": "aclassoc-1", "NetworkAclId": ACL, "SubnetId": "subnet-1"}]}]})
}

fn call(time: Timestamp, id: &str, region: &str) -> Value {
    json!({"eventTime": time.to_string(), "eventSource": "ec2.amazonaws.com", "eventName": "DeleteNetworkAclEntry",
        "awsRegion": region, "recipientAccountId": "1", "eventID": id,
        "requestParameters": {"networkAclId": ACL, "ruleNumber": 100, "egress": false}})
}

fn other(time: Timestamp, region: &str) -> Value {
    json!({"eventTime": time.to_string(), "eventSource": "iam.amazonaws.com", "eventName": "GetUser",
        "awsRegion": region, "recipientAccountId": "1"})
}

fn item(time: Timestamp, frequency: Option<&str>) -> Value {
    let mut item = json!({"resourceType": "AWS::EC2::NetworkAcl", "resourceId": ACL, "accountId": "1",
        "awsRegion": "eu-west-1", "configurationItemCaptureTime": time.to_string(),
        "configuration": {"networkAclId": ACL, "entries": [],
            "associations": [{"networkAclAssociationId": "aclassoc-1", "subnetId": "subnet-1"}]}});
    if let Some(frequency) = frequency {
        item["recordingFrequency"] = frequency.into();
    }
    item
}

/// A history of these documents, with the configuration captured at minute 100.
fn history(documents: Vec<Value>) -> History {
    let mut all = HistoryDocuments::default();
    let named: Vec<_> = documents.into_iter().map(|value| (PathBuf::from("given"), value)).collect();
    all.add(&named, None).expect("history");
    let present = snapshot(at(100)).to_string();
    all.with(&NetworkConfig::from_json(Path::new("present"), present.as_bytes()).expect("snapshot"))
}

fn proven(history: &History, first: i64, last: i64) -> bool {
    let acl = history.proves_acl(ACL, at(first), at(last));
    assert_eq!(acl, history.proves_association("subnet-1", ACL, at(first), at(last)));
    acl
}

#[test]
fn a_trail_proves_from_its_first_event_to_the_state_after_its_last() {
    let region = "eu-west-1";
    let history = history(vec![json!({"Records": [call(at(20), "e", region), other(at(40), region)]})]);
    assert!(proven(&history, 20, 21) && proven(&history, 30, 40) && proven(&history, 90, 100));
    assert!(!proven(&history, 19, 21), "before the first event anything may have been called");
    assert!(!proven(&history, 99, 101), "nothing is known after the last state");
    assert_eq!(history.covered(), Some((at(20), at(40))));
}

#[test]
fn the_trail_of_another_region_proves_nothing() {
    let elsewhere =
        history(vec![json!({"Records": [other(at(0), "us-east-1"), call(at(20), "e", "eu-west-1"),
        other(at(45), "eu-west-1"), other(at(90), "us-east-1")]})]);
    assert!(!proven(&elsewhere, 10, 11) && proven(&elsewhere, 30, 31));
}

#[test]
fn states_alone_prove_nothing_between_them_unless_a_recorder_made_them() {
    let snapshots = history(vec![snapshot(at(0)), snapshot(at(50))]);
    assert!(!proven(&snapshots, 60, 61));
    let items = history(vec![json!({"configurationItems": [item(at(0), None), item(at(50), None)]})]);
    assert!(proven(&items, 10, 11) && proven(&items, 60, 61) && !proven(&items, 100, 101));
    let daily = history(vec![
        json!({"configurationItems": [item(at(0), Some("DAILY")), item(at(50), Some("DAILY"))]}),
    ]);
    assert!(!proven(&daily, 10, 11));
}

#[test]
fn documents_in_memory_prove_as_far_as_they_are_said_to_be_complete() {
    let mut documents = HistoryDocuments::default();
    assert!(documents.is_empty());
    let events =
        json!({"Events": [{"EventId": "e", "CloudTrailEvent": call(at(20), "e", "eu-west-1").to_string()}]});
    documents
        .add(&[(PathBuf::from("CloudTrail eu-west-1"), events)], Some((at(0), at(95))))
        .expect("history");
    let present = snapshot(at(100)).to_string();
    let present = NetworkConfig::from_json(Path::new("present"), present.as_bytes()).expect("snapshot");
    let history = documents.with(&present);
    assert!(proven(&history, 1, 2) && proven(&history, 96, 97) && !proven(&history, -1, 2));
    assert_eq!((history.sources(), history.timeline().events().len()), ("cloudtrail", 1));
}

#[test]
fn a_saved_snapshot_with_its_history_is_a_state_and_says_how_far_it_is_complete() {
    let mut saved = snapshot(at(90));
    saved["Events"] = json!([]);
    saved["flowcheck"]["history"] =
        json!({"complete_since": at(0).to_string(), "complete_until": at(90).to_string()});
    let mut documents = HistoryDocuments::default();
    documents.add(&[(PathBuf::from("saved.json"), saved)], None).expect("history");
    let history = documents.with(&NetworkConfig::default());
    assert!(proven(&history, 1, 2) && proven(&history, 80, 90) && !proven(&history, 80, 91));
    assert_eq!(history.sources(), "cloudtrail");
}

#[test]
fn what_lies_between_two_complete_times_is_not_covered() {
    let mut documents = HistoryDocuments::default();
    for (first, last) in [(180, 195), (0, 20), (15, 30)] {
        documents.add(&[], Some((at(first), at(last)))).expect("history");
    }
    documents.add(&[(PathBuf::from("old.json"), snapshot(at(5)))], None).expect("history");
    let present = snapshot(at(190)).to_string();
    let present = NetworkConfig::from_json(Path::new("present"), present.as_bytes()).expect("snapshot");
    let history = documents.with(&present);
    assert!(proven(&history, 10, 30) && proven(&history, 182, 185));
    assert!(!proven(&history, 10, 185), "{history:?}");
}

#[test]
fn nothing_added_is_a_complete_history_of_no_change() {
    let mut documents = HistoryDocuments::default();
    documents.add(&[], Some((at(0), at(95)))).expect("history");
    assert!(!documents.is_empty());
    let present = snapshot(at(100)).to_string();
    let present = NetworkConfig::from_json(Path::new("present"), present.as_bytes()).expect("snapshot");
    assert!(proven(&documents.with(&present), 10, 11));
}

#[test]
fn an_association_that_no_state_names_is_told() {
    let replaced = json!({"eventTime": at(20).to_string(), "eventName": "ReplaceNetworkAclAssociation", "eventID": "e",
        "requestParameters": {"associationId": "aclassoc-x", "networkAclId": ACL},
        "responseElements": {"newAssociationId": "aclassoc-y"}});
    let history = history(vec![replaced]);
    assert_eq!(history.warnings().len(), 1);
    assert!(history.warnings()[0].contains("which subnet"), "{:?}", history.warnings());
}

#[test]
fn who_called_by_kind_of_identity() {
    let named = |identity: Value| {
        let mut record = call(at(20), "e", "eu-west-1");
        record["userIdentity"] = identity;
        let record = record.as_object().expect("object").clone();
        trail::event(&record).expect("event").expect("change").actor
    };
    let table = [
        (
            json!({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/NetworkAdmin/change-4711"}),
            "NetworkAdmin/change-4711",
        ),
        (
            json!({"type": "AssumedRole", "principalId": "AROA:s", "sessionContext": {"sessionIssuer": {"userName": "R"}}}),
            "R/s",
        ),
        (json!({"type": "IAMUser", "userName": "eve", "arn": "arn:aws:iam::1:user/path/eve"}), "eve"),
        (json!({"type": "Root", "arn": "arn:aws:iam::1:root"}), "root"),
        (json!({"type": "AWSService", "invokedBy": "config.amazonaws.com"}), "config.amazonaws.com"),
        (
            json!({"type": "IAMUser", "userName": "eve", "invokedBy": "cloudformation.amazonaws.com"}),
            "eve via cloudformation.amazonaws.com",
        ),
        (json!({"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/mallory"}), "mallory"),
        (json!({"type": "AWSAccount", "principalId": "AIDA1"}), "AIDA1"),
    ];
    for (identity, expected) in table {
        assert_eq!(named(identity.clone()).as_deref(), Some(expected), "{identity}");
    }
    assert_eq!(named(json!("nobody")), None);
}
