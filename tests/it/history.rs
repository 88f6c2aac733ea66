//! `--history`: what cannot be read is named, what is beside it is passed over, and the answer is said in words.

use serde_json::{Value, json};

use crate::run::{Ended, Scratch, flowcheck, gzip};

const RECORDS: &str =
    "2 111122223333 eni-c 10.0.1.10 203.0.113.7 43210 443 6 6 360 1700000600 1700000655 ACCEPT OK
2 111122223333 eni-c 203.0.113.7 10.0.1.10 443 43210 6 6 360 1700000601 1700000656 REJECT OK
";

fn snapshot() -> Value {
    json!({
        "flowcheck": {"captured_at": "2023-11-14T23:00:00Z"},
        "NetworkAcls": [{"NetworkAclId": "acl-c", "VpcId": "vpc-1", "IsDefault": false, "Entries": [],
            "Associations": [{"NetworkAclAssociationId": "aclassoc-c", "NetworkAclId": "acl-c", "SubnetId": "subnet-c"}]}],
        "NetworkInterfaces": [{"NetworkInterfaceId": "eni-c", "SubnetId": "subnet-c", "VpcId": "vpc-1", "PrivateIpAddress": "10.0.1.10"}],
    })
}

fn event(name: &str, request: &Value) -> Value {
    json!({
        "eventTime": "2023-11-14T22:20:00Z", "eventSource": "ec2.amazonaws.com", "eventName": name,
        "awsRegion": "eu-west-1", "recipientAccountId": "111122223333", "eventID": "e-1",
        "sourceIPAddress": "198.51.100.7", "requestParameters": request, "responseElements": {"_return": true},
        "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/NetworkAdmin/change-4711"},
    })
}

fn created() -> Value {
    event(
        "CreateNetworkAclEntry",
        &json!({"networkAclId": "acl-c", "ruleNumber": 32000, "egress": false, "ruleAction": "allow", "icmpTypeCode": {},
                "portRange": {}, "aclProtocol": "-1", "cidrBlock": "0.0.0.0/0"}),
    )
}

fn deleted() -> Value {
    event("DeleteNetworkAclEntry", &json!({"networkAclId": "acl-c", "ruleNumber": 32000, "egress": false}))
}

/// Runs a diagnosis with these files as history.
fn diagnose(scratch: &Scratch, history: &[&str], format: &str) -> Ended {
    diagnose_with(&snapshot(), scratch, history, format)
}

fn diagnose_with(snapshot: &Value, scratch: &Scratch, history: &[&str], format: &str) -> Ended {
    let records = scratch.file("flow.log", RECORDS);
    let configuration = scratch.file("snapshot.json", snapshot.to_string());
    let mut arguments = vec![records.as_str(), "--snapshot", &configuration, "--format", format];
    arguments.extend(history.iter().flat_map(|path| ["--history", path]));
    flowcheck(&arguments)
}

#[test]
fn a_broken_history_is_named_and_never_passed_over() {
    let with = |name: &str, member: &str, value: Value| {
        let mut event = if name.starts_with("Delete") { deleted() } else { created() };
        event["requestParameters"][member] = value;
        json!({"Records": [event]}).to_string()
    };
    let whole = json!({"Records": [deleted()]}).to_string();
    let item = |configuration: Value| {
        json!({"configurationItems": [{"resourceType": "AWS::EC2::NetworkAcl", "resourceId": "acl-c",
            "configurationItemCaptureTime": "2023-11-14T22:00:00Z", "configuration": configuration}]})
        .to_string()
    };
    let mut undated = created();
    undated["eventTime"] = json!("yesterday");
    let mut timeless = item(json!("{}"));
    timeless = timeless.replace("2023-11-14T22:00:00Z", "soon");
    let table: Vec<(Vec<u8>, &str)> = vec![
        (whole.as_bytes()[..whole.len() - 3].to_vec(), "not a JSON document"),
        (gzip(&whole)[..60].to_vec(), "cannot be read"),
        (b"".to_vec(), "holds no history"),
        (b"null".to_vec(), "holds no history"),
        (b"[[[[[[]]]]]]".to_vec(), "holds no history"),
        (br#"{"Records":7}"#.to_vec(), "holds no history"),
        (with("Delete", "ruleNumber", json!(99_999_999_999_u64)).into_bytes(), "event e-1: RuleNumber"),
        (with("Delete", "ruleNumber", json!(-1)).into_bytes(), "event e-1: RuleNumber"),
        (with("Delete", "ruleNumber", json!(1e300)).into_bytes(), "event e-1: RuleNumber"),
        (with("Delete", "egress", json!("perhaps")).into_bytes(), "event e-1: Egress"),
        (with("Delete", "networkAclId", json!(["acl-c"])).into_bytes(), "event e-1: NetworkAclId"),
        (with("Create", "cidrBlock", json!("0.0.0.0/99")).into_bytes(), "event e-1: CidrBlock"),
        (with("Create", "cidrBlock", Value::Null).into_bytes(), "event e-1: CidrBlock"),
        (with("Create", "aclProtocol", json!("9999")).into_bytes(), "event e-1: Protocol"),
        (with("Create", "aclProtocol", json!({"a": 1})).into_bytes(), "event e-1: Protocol"),
        (with("Create", "ruleAction", json!("maybe")).into_bytes(), "event e-1: RuleAction"),
        (json!({"Records": [undated]}).to_string().into_bytes(), "event e-1: eventTime"),
        (br#"{"Events":[{"EventId":"e-9"}]}"#.to_vec(), "e-9: CloudTrailEvent is missing"),
        (br#"{"Events":[{"EventId":"e-9","CloudTrailEvent":"{"}]}"#.to_vec(), "e-9: CloudTrailEvent"),
        (br#"{"Events":[{"EventId":"e-9","CloudTrailEvent":"[]"}]}"#.to_vec(), "e-9: CloudTrailEvent"),
        (item(json!("{")).into_bytes(), "item of acl-c: configuration"),
        (item(json!(7)).into_bytes(), "item of acl-c: configuration"),
        (item(json!({"networkAclId": "acl-c"})).into_bytes(), "item of acl-c: Entries is missing"),
        (
            item(json!({"networkAclId": "acl-c", "entries": [{"ruleNumber": 1}]})).into_bytes(),
            "item of acl-c",
        ),
        (timeless.into_bytes(), "item of acl-c: configurationItemCaptureTime"),
        (
            snapshot().to_string().replace("captured_at", "when").into_bytes(),
            "does not say when it was captured",
        ),
    ];
    for (content, expected) in table {
        let scratch = Scratch::new();
        let path = scratch.file("broken.json", &content);
        let ended = diagnose(&scratch, &[&path], "json");
        ended.expect(2, &["broken.json", expected]);
    }
}

#[test]
fn deep_and_strange_documents_do_no_harm() {
    let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let mut strange = deleted();
    strange["userIdentity"] = json!({"type": ["x"], "arn": 7, "sessionContext": "none", "principalId": null});
    strange["sourceIPAddress"] = json!({"a": "b"});
    let scratch = Scratch::new();
    let strange =
        scratch.file("strange.json", json!({"Records": [strange, 7, null, {"eventName": 3}]}).to_string());
    diagnose(&scratch, &[&strange], "json").expect(0, &[]);
    let nested = scratch.file("nested.json", nested);
    diagnose(&scratch, &[&nested], "json").expect(2, &["nested.json"]);
}

#[test]
fn a_directory_is_walked_and_what_is_no_history_in_it_costs_nothing() {
    let scratch = Scratch::new();
    let records = json!({"Records": [created(), {"eventName": "RunInstances", "eventSource": "ec2.amazonaws.com",
        "eventTime": "2023-11-14T22:01:00Z", "awsRegion": "eu-west-1", "recipientAccountId": "111122223333"}]});
    let mut later = deleted();
    (later["eventTime"], later["eventID"]) = (json!("2023-11-14T22:21:00Z"), json!("e-2"));
    let quiet = json!({"Records": [{"eventTime": "2023-11-14T23:30:00Z", "awsRegion": "eu-west-1", "recipientAccountId": "1", "eventName": "X"}]});
    scratch.file("trail/CloudTrail/eu-west-1/2023/11/14/a.json.gz", gzip(records.to_string()));
    scratch.file("trail/CloudTrail/eu-west-1/2023/11/14/b.jsonl", format!("{later}\n{later}\n"));
    scratch.file("trail/CloudTrail/eu-west-1/2023/11/14/c.json", quiet.to_string());
    scratch.file("trail/CloudTrail-Digest/eu-west-1/d.json", "{ no JSON at all");
    scratch.file(
        "trail/Config/eu-west-1/subnets.json",
        r#"{"configurationItems":[{"resourceType":"AWS::EC2::Subnet"}]}"#,
    );
    scratch.file("trail/other.json", r#"{"something":"else"}"#);
    scratch.file("trail/readme.txt", "not JSON");
    let ended = diagnose(&scratch, &[&scratch.at("trail")], "json");
    ended.expect(0, &[]);
    let document = ended.json();
    assert_eq!(document["network_config"]["history"], "cloudtrail+config");
    let change = &document["findings"][0]["change"];
    assert_eq!(
        (&change["event_id"], &change["before"]),
        (&json!("e-2"), &json!("32000 ALL ALL 0.0.0.0/0 ALLOW"))
    );
}

#[test]
fn text_and_markdown_say_the_change_in_one_line() {
    let scratch = Scratch::new();
    let mut before = created();
    (before["eventTime"], before["eventID"]) = (json!("2023-11-14T22:00:00Z"), json!("e-0"));
    let mut after = created();
    (after["eventTime"], after["eventID"]) = (json!("2023-11-14T22:31:07Z"), json!("e-2"));
    let path = scratch.file("history.json", json!({"Records": [after, deleted(), before]}).to_string());
    let by = "by NetworkAdmin/change-4711 from 198.51.100.7";
    let mut restored = snapshot();
    restored["NetworkAcls"][0]["Entries"] = json!([{"RuleNumber": 32000, "Egress": false, "Protocol": "-1",
        "CidrBlock": "0.0.0.0/0", "RuleAction": "allow"}]);
    for format in ["text", "md"] {
        let ended = diagnose_with(&restored, &scratch, &[&path], format);
        for line in [
            format!("changed 22:20:00Z DeleteNetworkAclEntry 32000 (ALL 0.0.0.0/0 ALLOW) {by}"),
            format!("restored 22:31:07Z CreateNetworkAclEntry 32000 (ALL 0.0.0.0/0 ALLOW) {by}"),
        ] {
            assert!(ended.stdout.contains(&line), "{line}\n{ended}");
        }
    }
    let other = scratch.file(
        "other.json",
        json!({"Records": [event("DeleteNetworkAclEntry",
        &json!({"networkAclId": "acl-other", "ruleNumber": 1, "egress": true}))]})
        .to_string(),
    );
    let ended = diagnose(&scratch, &[&other], "text");
    assert!(ended.stdout.contains("no change seen in the history given"), "{ended}");
}

#[test]
fn who_called_cannot_draw_on_the_terminal() {
    let scratch = Scratch::new();
    let mut before = created();
    (before["eventTime"], before["eventID"]) = (json!("2023-11-14T22:00:00Z"), json!("e-0"));
    let mut hostile = deleted();
    hostile["userIdentity"] = json!({"type": "IAMUser", "userName": "\u{1b}[2J\u{202e}eve|`<b>"});
    let path = scratch.file("history.json", json!({"Records": [before, hostile]}).to_string());
    for format in ["text", "md", "json"] {
        let ended = diagnose(&scratch, &[&path], format);
        assert!(ended.stdout.contains("eve"), "{ended}");
        assert!(!ended.stdout.contains(['\u{1b}', '\u{202e}']), "{ended}");
    }
}

#[test]
fn live_is_a_word_and_not_a_path() {
    let scratch = Scratch::new();
    let records = scratch.file("flow.log", RECORDS);
    flowcheck(&[records.as_str(), "--history", "live", "--no-sign-request"]).expect(2, &["--history live"]);
}
