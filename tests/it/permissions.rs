//! `docs/iam-policy.json` grants what the code asks for: no less, and no more.

use std::collections::{BTreeMap, BTreeSet};

use flowcheck::aws::Action;
use serde_json::Value;

use crate::run::repository;

/// Asked for without a permission, or with one that is the caller's own affair: whoever may assume the role needs no
/// more from this policy, which is the role's.
const NOT_IN_THE_POLICY: [Action; 2] = [Action::GetCallerIdentity, Action::AssumeRole];

/// Needed by S3 on the way to an object, never called.
const ON_THE_WAY: [&str; 1] = ["kms:Decrypt"];

/// What each operation of the SDK clients needs.
const OPERATIONS: [(&str, Action); 10] = [
    ("list_objects_v2", Action::ListBucket),
    ("head_bucket", Action::ListBucket),
    ("get_object", Action::GetObject),
    ("head_object", Action::GetObject),
    ("describe_log_groups", Action::DescribeLogGroups),
    ("filter_log_events", Action::FilterLogEvents),
    ("start_query", Action::StartQuery),
    ("get_query_results", Action::GetQueryResults),
    ("stop_query", Action::StopQuery),
    ("get_caller_identity", Action::GetCallerIdentity),
];

/// Besides EC2's Describe calls.
const WITHOUT_RESOURCES: [&str; 5] = [
    "logs:DescribeLogGroups",
    "logs:GetQueryResults",
    "logs:StopQuery",
    "cloudtrail:LookupEvents",
    "config:GetResourceConfigHistory",
];

/// Methods that a client or its builder has besides its operations.
const NO_OPERATIONS: [&str; 4] = ["build", "clone", "config", "region"];

fn policy() -> Value {
    let text = std::fs::read_to_string(repository().join("docs/iam-policy.json")).expect("the policy");
    serde_json::from_str(&text).expect("the policy is JSON")
}

fn statements(policy: &Value) -> &[Value] {
    policy["Statement"].as_array().expect("statements")
}

fn actions(statement: &Value) -> impl Iterator<Item = &str> {
    let actions = statement["Action"].as_array().expect("a list of actions");
    actions.iter().map(|action| action.as_str().expect("an action"))
}

#[test]
fn the_policy_grants_exactly_what_is_called() {
    let policy = policy();
    let granted: BTreeSet<_> = statements(&policy).iter().flat_map(actions).collect();
    let called = Action::ALL.iter().filter(|action| !NOT_IN_THE_POLICY.contains(action));
    let needed: BTreeSet<_> = called.map(|action| action.iam_name()).chain(ON_THE_WAY).collect();
    let missing: Vec<_> = needed.difference(&granted).collect();
    let too_much: Vec<_> = granted.difference(&needed).collect();
    assert!(missing.is_empty() && too_much.is_empty(), "missing: {missing:?}, too much: {too_much:?}");
}

#[test]
fn the_policy_is_one_that_iam_accepts_and_keeps_to_resources_where_it_can() {
    let policy = policy();
    assert_eq!(policy["Version"], "2012-10-17");
    let mut sids = BTreeSet::new();
    for statement in statements(&policy) {
        let sid = statement["Sid"].as_str().expect("a Sid");
        assert!(sid.chars().all(|letter| letter.is_ascii_alphanumeric()) && sids.insert(sid), "{sid}");
        assert_eq!(statement["Effect"], "Allow", "{sid}");
        let everywhere = statement["Resource"] == "*";
        for action in actions(statement) {
            // EC2's Describe calls know no resources, nor do a query's results or the history of events and states.
            let may = action.starts_with("ec2:Describe") || WITHOUT_RESOURCES.contains(&action);
            assert!(may || !everywhere, "{sid}: {action} on every resource");
        }
    }
}

#[test]
fn every_operation_called_is_an_action_that_the_policy_knows() {
    let known: BTreeMap<_, _> = OPERATIONS.into_iter().collect();
    let mut unknown = Vec::new();
    let sources = walkdir::WalkDir::new(repository().join("src")).sort_by_file_name();
    for entry in sources {
        let path = entry.expect("entry").into_path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("source");
        for method in methods_of_clients(&source) {
            if !known.contains_key(method.as_str()) && !NO_OPERATIONS.contains(&method.as_str()) {
                unknown.push(format!("{}: {method}", path.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "operations without an action and a policy entry: {unknown:#?}");
    for action in known.values() {
        assert!(Action::ALL.contains(action), "{}", action.iam_name());
    }
}

#[test]
fn the_scan_sees_operations_however_the_client_is_named_and_the_line_broken() {
    let source = "let a = client.put_object().send();\nself.inner.client\n    .delete_object()\n;\nself.client(&region).head_bucket();\n\
                  s3_client.list_buckets();\n// client.commented()\nlet b = client.bucket(\"x\"); clients.len()";
    let found: Vec<_> = methods_of_clients(source).collect();
    assert_eq!(found, ["put_object", "delete_object", "head_bucket", "list_buckets"]);
}

/// The methods without arguments that are called on anything named `client` or given by a `client(…)`: that is how
/// every operation of an SDK client begins.
fn methods_of_clients(source: &str) -> impl Iterator<Item = String> {
    let code: String = source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code: String = code.split_whitespace().collect::<Vec<_>>().join("");
    let mut found = Vec::new();
    for (at, word) in code.match_indices("client") {
        let mut rest = &code[at + word.len()..];
        if rest.starts_with('(') {
            rest = rest.find(')').map_or("", |end| &rest[end + 1..]);
        }
        let Some(rest) = rest.strip_prefix('.') else { continue };
        let end =
            rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
        if rest[end..].starts_with("()") {
            found.push(rest[..end].to_owned());
        }
    }
    found.into_iter()
}
