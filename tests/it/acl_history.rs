//! The past of network ACLs, asked of a stand-in for CloudTrail and AWS Config that holds callers to what the services
//! allow: the same parameters with a token, spans of seven days, pages of fifty and a hundred.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flowcheck::aws::{Action, Aws, AwsError, AwsOptions, HistoryLimits, NetworkAclHistory, Stop};
use flowcheck::net::Timestamp;
use flowcheck::network::NetworkConfig;
use serde_json::{Value, json};

use crate::account::{User, account};
use crate::stub::{Answer, Request, Stub};

const NOW: i64 = 1_795_190_700;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const LOOKUP: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
const HISTORY: &str = "StarlingDoveService.GetResourceConfigHistory";

/// An account's past.
#[derive(Default)]
struct Past {
    events: Vec<Value>,
    items: Vec<Value>,
    /// Entries on a page; 0 for as many as are asked for.
    page: usize,
    /// No earlier event may be asked for.
    kept_since: i64,
    /// Before each page with something on it there is one without.
    empty_pages: bool,
}

impl Past {
    /// Answers as the services' models say.
    fn answer(&self, request: &Request) -> Answer {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/"));
        assert_eq!(request.header("content-type"), Some("application/x-amz-json-1.1"));
        match request.header("x-amz-target") {
            Some(LOOKUP) => self.lookup(&body(request)),
            Some(HISTORY) => self.history(&body(request)),
            _ => account(request),
        }
    }

    fn lookup(&self, asked: &Value) -> Answer {
        let [attribute] = &asked["LookupAttributes"].as_array().expect("attributes")[..] else {
            return refusal("InvalidLookupAttributesException", "exactly one");
        };
        assert_eq!(attribute["AttributeKey"], "EventName");
        let (start, end) = (asked["StartTime"].as_i64(), asked["EndTime"].as_i64());
        let (start, end) = (start.expect("seconds"), end.expect("seconds"));
        if start > end || start < self.kept_since {
            return refusal(
                "InvalidTimeRangeException",
                "the time range is outside the range of possible values",
            );
        }
        let is_found = |event: &&Value| {
            let time = seconds(&event["EventTime"]);
            event["EventName"] == attribute["AttributeValue"] && start <= time && time <= end
        };
        let found: Vec<_> = self.events.iter().filter(is_found).cloned().collect();
        self.page(asked, found, ("EventTime", "MaxResults", 50), ("Events", "NextToken"))
    }

    fn history(&self, asked: &Value) -> Answer {
        assert_eq!(asked["resourceType"], "AWS::EC2::NetworkAcl");
        let (earlier, later) = (asked["earlierTime"].as_i64(), asked["laterTime"].as_i64());
        let (earlier, later) = (earlier.expect("seconds"), later.expect("seconds"));
        if later - earlier > 7 * DAY || later <= earlier {
            return refusal("InvalidTimeRangeException", "a span of at most seven days");
        }
        let mut known = self.items.iter().filter(|item| item["resourceId"] == asked["resourceId"]).peekable();
        if known.peek().is_none() {
            return refusal("ResourceNotDiscoveredException", "Resource is not discovered");
        }
        let time = |item: &Value| seconds(&item["configurationItemCaptureTime"]);
        let found = known.filter(|item| earlier <= time(item) && time(item) <= later).cloned().collect();
        let sizes = ("configurationItemCaptureTime", "limit", 100);
        self.page(asked, found, sizes, ("configurationItems", "nextToken"))
    }

    /// A page, newest first. A token holds the parameters that it was given for and where the next page begins.
    fn page(
        &self,
        asked: &Value,
        mut found: Vec<Value>,
        (time, size, most): (&str, &str, u64),
        (key, token_key): (&str, &str),
    ) -> Answer {
        found.sort_by_key(|one| std::cmp::Reverse(seconds(&one[time])));
        let size = asked[size].as_u64().expect("a page size");
        assert!((1..=most).contains(&size), "{size}");
        let size = if self.page > 0 { self.page } else { usize::try_from(size).expect("small") };
        let mut parameters = asked.clone();
        let token = parameters.as_object_mut().expect("an object").remove(token_key);
        let (at, is_empty) = match token {
            None => (0, self.empty_pages),
            Some(token) => {
                let token: Value =
                    serde_json::from_str(token.as_str().expect("text")).expect("a token of ours");
                if token["for"] != parameters {
                    return refusal("InvalidNextTokenException", "used with different parameters");
                }
                (token["at"].as_u64().expect("a number"), token["empty"] == true)
            }
        };
        let at = usize::try_from(at).expect("small");
        let end = if is_empty { at } else { (at + size).min(found.len()) };
        let mut answer = json!({ key: found[at..end] });
        if is_empty || end < found.len() {
            let empty = self.empty_pages && !is_empty;
            answer[token_key] = json!({"for": parameters, "at": end, "empty": empty}).to_string().into();
        }
        Answer::new(200, answer.to_string())
    }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).expect("JSON")
}

#[expect(clippy::cast_possible_truncation, reason = "times of this century")]
fn seconds(time: &Value) -> i64 {
    time.as_f64().expect("seconds since 1970") as i64
}

fn refusal(code: &str, message: &str) -> Answer {
    Answer::new(400, json!({"__type": code, "message": message}).to_string())
}

fn denied(action: &str) -> Answer {
    let message = format!(
        "User: arn:aws:iam::111122223333:user/a is not authorized to perform: {action} because no identity-based policy \
         allows the {action} action"
    );
    refusal("AccessDeniedException", &message)
}

/// An event so many seconds ago, on this ACL.
fn event(id: &str, name: &str, ago: i64, network_acl_id: &str) -> Value {
    let record = json!({
        "eventName": name, "eventID": id, "requestParameters": {"networkAclId": network_acl_id, "ruleNumber": 100},
    });
    json!({
        "EventId": id, "EventName": name, "EventTime": NOW - ago, "ReadOnly": "false", "Username": "change-1",
        "Resources": [], "CloudTrailEvent": record.to_string(),
    })
}

/// A state recorded so many seconds ago.
fn item(network_acl_id: &str, ago: i64) -> Value {
    json!({
        "version": "1.3", "resourceType": "AWS::EC2::NetworkAcl", "resourceId": network_acl_id,
        "configurationItemCaptureTime": NOW - ago, "configurationStateId": (NOW - ago).to_string(),
        "configurationItemStatus": "OK", "configuration": "{}",
    })
}

/// As fast as it goes.
fn limits() -> HistoryLimits {
    HistoryLimits {
        lookups_per_second: 1e6,
        config_requests_per_second: 1e6,
        attempts: 4,
        first_backoff: Duration::from_millis(1),
        ..HistoryLimits::default()
    }
}

fn connect(stub: &Stub, stop: &Stop) -> Aws {
    let options = AwsOptions {
        regions: vec!["eu-west-1".to_owned()],
        endpoint_url: Some(stub.url()),
        no_sign_request: true,
        ..AwsOptions::default()
    };
    Aws::connect(&options, stop).expect("connection")
}

/// Asks for the last two hours of these ACLs.
fn ask(stub: &Stub, ids: &[&str]) -> NetworkAclHistory {
    ask_since(stub, ids, 2 * HOUR, &limits())
}

fn ask_since(stub: &Stub, ids: &[&str], ago: i64, limits: &HistoryLimits) -> NetworkAclHistory {
    let ids: Vec<_> = ids.iter().map(|id| (*id).to_owned()).collect();
    let times = (Timestamp(NOW - ago), Timestamp(NOW));
    let aws = connect(stub, &Stop::default());
    aws.network_acl_history("eu-west-1", &ids, times, limits).expect("nothing fatal")
}

fn ids(history: &NetworkAclHistory) -> Vec<String> {
    let events = history.document["Events"].as_array().expect("events");
    events.iter().map(|event| event["EventId"].as_str().expect("an id").to_owned()).collect()
}

/// ACL and seconds before now of each state.
fn states(history: &NetworkAclHistory) -> Vec<(String, i64)> {
    let items = history.document["configurationItems"].as_array().expect("items");
    let state = |item: &Value| {
        let time: Timestamp = item["configurationItemCaptureTime"].as_str()?.parse().ok()?;
        Some((item["resourceId"].as_str()?.to_owned(), NOW - time.0))
    };
    items.iter().map(|item| state(item).expect("an ACL and a time")).collect()
}

/// The bodies of the requests with this target.
fn bodies(stub: &Stub, target: &str) -> Vec<Value> {
    let requests = stub.requests();
    requests.iter().filter(|request| request.header("x-amz-target") == Some(target)).map(body).collect()
}

#[test]
fn every_event_of_the_time_is_there_once_newest_first() {
    let mut events: Vec<_> = (0..120)
        .map(|number| event(&format!("d{number}"), "DeleteNetworkAclEntry", number * 10, "acl-1"))
        .collect();
    events.push(event("c", "CreateNetworkAclEntry", 55, "acl-1"));
    events.push(event("before", "CreateNetworkAclEntry", 45 * DAY, "acl-1"));
    events.push(event("subnet", "CreateSubnet", 2 * HOUR, "acl-1"));
    events.push(event("other", "DescribeNetworkAcls", 5, "acl-1"));
    events.push(event("gone", "CreateNetworkAclEntry", 91 * DAY, "acl-1"));
    let mut wanted: Vec<_> = (0..120).map(|number| format!("d{number}")).collect();
    wanted.insert(6, "c".to_owned());
    // What an entry held that was deleted now is told by what made it.
    wanted.extend(["subnet".to_owned(), "before".to_owned()]);
    for (page, empty_pages) in [(0, false), (0, true), (7, true)] {
        let past = Past { events: events.clone(), page, empty_pages, ..Past::default() };
        let stub = Stub::start(move |request| past.answer(request));
        let history = ask(&stub, &[]);
        assert_eq!(ids(&history), wanted, "pages of {page}, empty ones: {empty_pages}");
        assert_eq!(history.limitations, []);
        let complete = history.complete.expect("complete");
        assert_eq!((complete.since.0, complete.until.0), (NOW - 90 * DAY + 120, NOW - 15 * 60));
        assert_eq!(
            history.document["Events"][6]["EventTime"], "2026-11-20T16:04:05Z",
            "as the AWS CLI prints it"
        );
    }
}

#[test]
fn a_server_that_ignores_what_is_asked_costs_only_time() {
    let everything = json!({"Events": [
        event("d", "DeleteNetworkAclEntry", 60, "acl-1"),
        event("c", "CreateNetworkAclEntry", 100 * DAY, "acl-1"),
        event("x", "RunInstances", 60, "acl-1"),
    ]});
    let items = json!({"configurationItems": [item("acl-1", 3 * HOUR), item("acl-2", 3 * HOUR), null]});
    let stub = Stub::start(move |request| match request.header("x-amz-target") {
        Some(LOOKUP) => Answer::new(200, everything.to_string()),
        _ => Answer::new(200, items.to_string()),
    });
    let history = ask(&stub, &["acl-1"]);
    assert_eq!(ids(&history), ["d"]);
    assert_eq!(states(&history), [("acl-1".to_owned(), 3 * HOUR)]);
}

#[test]
fn throttling_is_waited_out_and_told_when_it_does_not_end() {
    for (throttled, is_complete) in [(3, true), (usize::MAX, false)] {
        let left: BTreeMap<_, _> =
            [LOOKUP, HISTORY].map(|target| (target, AtomicUsize::new(throttled))).into();
        let past = Past { items: vec![item("acl-1", 3 * HOUR)], ..Past::default() };
        let stub = Stub::start(move |request| {
            let left = &left[request.header("x-amz-target").expect("a target")];
            let throttle = |left: usize| left.checked_sub(1);
            match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, throttle) {
                Ok(_) => refusal("ThrottlingException", "Rate exceeded"),
                Err(_) => past.answer(request),
            }
        });
        let history = ask(&stub, &["acl-1"]);
        assert_eq!(history.complete.is_some(), is_complete);
        if is_complete {
            assert_eq!((history.limitations.len(), states(&history).len()), (0, 1));
            continue;
        }
        let texts: Vec<_> = history.limitations.iter().map(ToString::to_string).collect();
        let text = |action| {
            format!("eu-west-1: {action} failed: Rate exceeded (ThrottlingException) (after 4 attempts)")
        };
        assert_eq!(texts, [text("cloudtrail:LookupEvents"), text("config:GetResourceConfigHistory")]);
        assert_eq!(history.document, json!({}), "nothing was learned, which is not that there is nothing");
        assert_eq!(bodies(&stub, LOOKUP).len(), 4, "the other names would be throttled as well");
    }
}

#[test]
fn tokens_that_lead_nowhere_are_an_error_and_no_endless_run() {
    let turn = AtomicUsize::new(0);
    let stub = Stub::start(move |request| {
        let token = ["a", "b"][turn.fetch_add(1, Ordering::SeqCst) % 2];
        Answer::new(
            200,
            match request.header("x-amz-target") {
                Some(LOOKUP) => json!({"Events": [], "NextToken": token}).to_string(),
                _ => json!({"configurationItems": [], "nextToken": token}).to_string(),
            },
        )
    });
    let history = ask(&stub, &["acl-1"]);
    let texts: Vec<_> = history.limitations.iter().map(ToString::to_string).collect();
    let text = |action| format!("eu-west-1: {action} failed: the same page again and again");
    assert_eq!(texts, [text("cloudtrail:LookupEvents"), text("config:GetResourceConfigHistory")]);
    assert_eq!(history.complete, None);
}

#[test]
fn an_answer_that_is_none_is_never_an_empty_past() {
    // Broken ones are tried again, as for any other call.
    for body in ["{}", "{\"Events\":null,\"configurationItems\":null}", "<html>sign in</html>"] {
        let stub = Stub::start(move |_| Answer::new(200, body));
        let history = ask(&stub, &["acl-1"]);
        assert_eq!((history.complete, history.limitations.len()), (None, 2), "{body}");
        assert_eq!(history.document, json!({}), "{body}");
    }
}

#[test]
fn a_change_that_cannot_be_placed_in_time_is_not_passed_over() {
    let answer = |time: Value| {
        let mut broken = event("d", "DeleteNetworkAclEntry", 60, "acl-1");
        broken["EventTime"] = time;
        let body = json!({"Events": [broken]}).to_string();
        Stub::start(move |request| match request.header("x-amz-target") {
            Some(LOOKUP) => Answer::new(200, body.clone()),
            _ => Past::default().answer(request),
        })
    };
    for time in [json!(null), json!("soon"), json!(1e300)] {
        let history = ask(&answer(time.clone()), &[]);
        let texts: Vec<_> = history.limitations.iter().map(ToString::to_string).collect();
        let wanted = "eu-west-1: cloudtrail:LookupEvents failed: a DeleteNetworkAclEntry without a time";
        assert_eq!((texts, history.complete), (vec![wanted.to_owned()], None), "{time}");
    }
    assert!(ask(&answer(json!("2026-11-20T16:00:00+00:00")), &[]).complete.is_some());
}

#[test]
fn the_state_before_a_change_is_found_however_old_and_weeks_are_joined() {
    // On the border of two weeks, within one, before the time in question, and older ones that are not needed.
    let states_of =
        |id: &str| [HOUR, 7 * DAY, 14 * DAY, 40 * DAY, 41 * DAY, 200 * DAY].map(|ago| item(id, ago));
    let mut items: Vec<_> = states_of("acl-1").into();
    items.push(item("acl-old", 300 * DAY));
    items.push(item("acl-ancient", 400 * DAY));
    items.extend(states_of("acl-2").into_iter().skip(1));
    for (page, empty_pages) in [(0, false), (1, true)] {
        let past = Past {
            events: vec![
                event("e1", "DeleteNetworkAclEntry", 30 * DAY, "acl-1"),
                event("e2", "ReplaceNetworkAclEntry", 60, "acl-old"),
                event("e3", "ReplaceNetworkAclEntry", 60, "acl-ancient"),
            ],
            items: items.clone(),
            page,
            empty_pages,
            ..Past::default()
        };
        let stub = Stub::start(move |request| past.answer(request));
        let history = ask_since(&stub, &["acl-1", "acl-old", "acl-ancient"], 30 * DAY, &limits());
        let of = |id: &str, days: i64| (id.to_owned(), days * DAY);
        let mut wanted = vec![of("acl-1", 41), of("acl-1", 40), of("acl-1", 14), of("acl-1", 7)];
        wanted.extend([("acl-1".to_owned(), HOUR), of("acl-old", 300)]);
        assert_eq!(states(&history), wanted);
        assert_eq!(history.limitations, []);
    }
}

#[test]
fn of_an_acl_that_did_not_change_no_more_is_asked_than_the_time_in_question() {
    let past = Past {
        events: vec![event("e", "DeleteNetworkAclEntry", 60, "acl-1")],
        items: ["acl-1", "acl-2", "acl-3"]
            .map(|id| item(id, 20 * DAY))
            .into_iter()
            // What CloudTrail does not tell of, Config may.
            .chain([item("acl-3", HOUR)])
            .collect(),
        ..Past::default()
    };
    let stub = Stub::start(move |request| past.answer(request));
    let history = ask(&stub, &["acl-1", "acl-2", "acl-3"]);
    let state = |id: &str, ago| (id.to_owned(), ago);
    assert_eq!(states(&history), [state("acl-1", 20 * DAY), state("acl-3", 20 * DAY), state("acl-3", HOUR)]);
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for request in bodies(&stub, HISTORY) {
        *asked.entry(request["resourceId"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    assert_eq!(
        asked,
        BTreeMap::from([("acl-1", 3), ("acl-2", 1), ("acl-3", 3)].map(|(id, n)| (id.to_owned(), n)))
    );
}

#[test]
fn an_acl_that_is_deleted_by_now_is_asked_for_and_a_failed_deletion_is_none() {
    let mut failed = event("f", "DeleteNetworkAcl", 50, "acl-kept");
    let record = json!({
        "eventName": "DeleteNetworkAcl", "errorCode": "Client.DependencyViolation",
        "requestParameters": {"networkAclId": "acl-kept"},
    });
    failed["CloudTrailEvent"] = record.to_string().into();
    let past = Past {
        events: vec![event("d", "DeleteNetworkAcl", 60, "acl-gone"), failed],
        items: vec![item("acl-gone", 20 * DAY), item("acl-kept", 20 * DAY)],
        ..Past::default()
    };
    let stub = Stub::start(move |request| past.answer(request));
    let history = ask(&stub, &[]);
    assert_eq!(ids(&history), ["f", "d"], "what failed is told, too");
    assert_eq!(states(&history), [("acl-gone".to_owned(), 20 * DAY)]);
}

#[test]
fn a_subnet_that_moved_asks_for_the_state_before_of_every_acl() {
    let past = Past {
        events: vec![event("m", "ReplaceNetworkAclAssociation", 60, "acl-new")],
        items: vec![item("acl-new", 20 * DAY), item("acl-before", 9 * DAY)],
        ..Past::default()
    };
    let stub = Stub::start(move |request| past.answer(request));
    let wanted = [("acl-before".to_owned(), 9 * DAY), ("acl-new".to_owned(), 20 * DAY)];
    assert_eq!(states(&ask(&stub, &["acl-before", "acl-new"])), wanted);
}

#[test]
fn what_the_service_does_not_keep_is_not_said_to_be_known() {
    let events = vec![event("e", "DeleteNetworkAclEntry", 80 * DAY, "acl-1")];
    let past = Past { events, kept_since: NOW - 90 * DAY, ..Past::default() };
    let stub = Stub::start(move |request| past.answer(request));
    let history = ask_since(&stub, &[], 200 * DAY, &limits());
    assert_eq!((ids(&history), history.limitations.as_slice()), (vec!["e".to_owned()], &[][..]));
    let since = history.complete.expect("complete").since.0;
    assert!(since > NOW - 90 * DAY && since < NOW - 89 * DAY, "{}", NOW - since);
}

#[test]
fn a_limit_on_pages_is_kept_and_told_with_what_is_still_whole() {
    let events =
        (0..9).map(|number| event(&format!("s{number}"), "CreateSubnet", 1200 + number / 2, "acl-1"));
    let past = Past { events: events.collect(), page: 2, ..Past::default() };
    let stub = Stub::start(move |request| past.answer(request));
    let history = ask_since(&stub, &[], 2 * HOUR, &HistoryLimits { pages_of_a_name: 3, ..limits() });
    assert_eq!(ids(&history).len(), 6);
    let [limitation] = &history.limitations[..] else { panic!("{:?}", history.limitations) };
    assert!(limitation.to_string().contains("more than 3 pages of CreateSubnet: those before 2026-11-20T"));
    // The next page may hold more of the second of the last event read.
    assert_eq!(history.complete.map(|complete| complete.since.0), Some(NOW - 1201));
}

#[test]
fn of_what_is_older_than_the_time_in_question_a_few_pages_do() {
    let events = (0..20).map(|number| event(&format!("s{number}"), "CreateSubnet", 1200 * number, "acl-1"));
    let past = Past { events: events.collect(), page: 2, ..Past::default() };
    let stub = Stub::start(move |request| past.answer(request));
    // Six events lie in the two hours, the seventh on their border.
    let history = ask_since(&stub, &[], 2 * HOUR, &HistoryLimits { older_pages_of_a_name: 2, ..limits() });
    assert_eq!((ids(&history).len(), history.limitations.as_slice()), (12, &[][..]));
    assert_eq!(history.complete.map(|complete| complete.since.0), Some(NOW - 1200 * 11 + 1));
}

#[test]
fn a_limit_on_requests_to_config_is_kept_and_names_what_was_not_asked() {
    let items = ["acl-1", "acl-2", "acl-3"].map(|id| item(id, 20 * DAY)).into();
    let events = vec![event("e", "DeleteNetworkAclEntry", 60, "acl-3")];
    let past = Past { events, items, ..Past::default() };
    let stub = Stub::start(move |request| past.answer(request));
    let limits = HistoryLimits { config_requests: 4, ..limits() };
    let history = ask_since(&stub, &["acl-1", "acl-2", "acl-3"], 2 * HOUR, &limits);
    assert_eq!(states(&history), [("acl-3".to_owned(), 20 * DAY)], "those that changed come first");
    assert_eq!(bodies(&stub, HISTORY).len(), 4);
    let texts: Vec<_> = history.limitations.iter().map(ToString::to_string).collect();
    let wanted = "eu-west-1: config:GetResourceConfigHistory failed: 4 requests were not enough for acl-2";
    assert_eq!(texts, [wanted]);
}

#[test]
fn each_permission_that_is_missing_is_named_once_and_the_other_service_still_answers() {
    for (target, action) in [(LOOKUP, Action::LookupEvents), (HISTORY, Action::GetResourceConfigHistory)] {
        let past = Past {
            events: vec![event("e", "DeleteNetworkAclEntry", 60, "acl-1")],
            items: vec![item("acl-1", HOUR), item("acl-2", 3 * HOUR)],
            ..Past::default()
        };
        let stub = Stub::start(move |request| match request.header("x-amz-target") {
            Some(named) if named == target => denied(action.iam_name()),
            _ => past.answer(request),
        });
        let history = ask(&stub, &["acl-1", "acl-2"]);
        let resource = "eu-west-1".to_owned();
        assert_eq!(history.limitations, [AwsError::Denied { action, resource }]);
        assert_eq!(bodies(&stub, target).len(), 1, "a refusal is not tried again");
        let is_known = |key: &str| history.document.get(key).is_some();
        assert_eq!(is_known("Events"), target != LOOKUP);
        assert_eq!(is_known("configurationItems"), target != HISTORY);
        assert_eq!(history.complete.is_some(), target != LOOKUP);
    }
}

#[test]
fn that_config_does_not_record_ends_nothing() {
    let stub = Stub::start(|request| match request.header("x-amz-target") {
        Some(HISTORY) => refusal("NoAvailableConfigurationRecorderException", "no recorder"),
        _ => Past::default().answer(request),
    });
    let history = ask(&stub, &["acl-1", "acl-2"]);
    let texts: Vec<_> = history.limitations.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["network ACLs in eu-west-1: not recorded by AWS Config"]);
    assert!(history.complete.is_some());
    assert_eq!(bodies(&stub, HISTORY).len(), 1);

    let past = Past { items: vec![item("acl-3", HOUR)], ..Past::default() };
    let stub = Stub::start(move |request| past.answer(request));
    let history = ask(&stub, &["acl-1", "acl-2", "acl-3", "acl-4", "acl-5"]);
    assert_eq!(states(&history), [("acl-3".to_owned(), HOUR)]);
    let texts: Vec<_> = history.limitations.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["acl-1, acl-2, acl-4 and 1 more in eu-west-1: not recorded by AWS Config"]);
}

#[test]
fn a_run_that_is_to_end_does_not_wait_for_an_answer() {
    for target in [LOOKUP, HISTORY] {
        let stop = Stop::default();
        let (ended, ends) = std::sync::mpsc::channel::<()>();
        let (asked, ends) = (stop.clone(), Mutex::new(ends));
        let stub = Stub::start(move |request| {
            if request.header("x-amz-target") == Some(target) {
                asked.request();
                // Until the test is over.
                let _ = ends.lock().expect("not poisoned").recv();
            }
            Past::default().answer(request)
        });
        let times = (Timestamp(NOW - HOUR), Timestamp(NOW));
        let aws = connect(&stub, &stop);
        let answer = aws.network_acl_history("eu-west-1", &["acl-1".to_owned()], times, &limits());
        assert!(matches!(answer, Err(AwsError::Interrupted { .. })), "{answer:?}");
        drop(ended);
    }
}

/// An account whose entry was deleted an hour before the test runs.
fn recent() -> Past {
    let ago = NOW - jiff::Timestamp::now().as_second();
    Past {
        events: vec![event("e", "DeleteNetworkAclEntry", ago + HOUR, "acl-1")],
        items: vec![item("acl-1", ago + 2 * DAY)],
        ..Past::default()
    }
}

#[test]
fn a_snapshot_with_history_is_one_file_for_both_options() {
    let past = recent();
    let stub = Stub::start(move |request| match request.header("x-amz-target") {
        Some(_) => past.answer(request),
        None => account(request),
    });
    let user = User::new(&stub);
    user.snapshot(&["--history", "1d"]).expect(0, &["NetworkAcls 1", "Events 1, configurationItems 1"]);
    let saved = user.saved();
    assert_eq!(saved["Events"][0]["EventId"], "e");
    assert_eq!(saved["configurationItems"][0]["resourceId"], "acl-1");
    let time = |value: &Value| value.as_str().expect("a time").parse::<Timestamp>().expect("RFC 3339").0;
    let own = &saved["flowcheck"];
    let (since, until) = (time(&own["history"]["complete_since"]), time(&own["history"]["complete_until"]));
    assert!(since < time(&saved["Events"][0]["EventTime"]) && until < time(&own["captured_at"]));

    let network = NetworkConfig::load(&[user.file()]).expect("read back");
    assert_eq!((network.counts().network_acls, network.warnings().len()), (1, 0));

    let scopes: Vec<_> = stub
        .requests()
        .iter()
        .filter(|request| request.header("x-amz-target").is_some())
        .map(|request| {
            assert!(request.header("x-amz-security-token").is_some());
            request.header("authorization").expect("signed").to_owned()
        })
        .collect();
    assert!(scopes.iter().all(|scope| scope.contains("x-amz-target")), "the operation is signed: {scopes:?}");
    let of = |service: &str| scopes.iter().filter(|scope| scope.contains(service)).count();
    assert_eq!(of("/eu-west-1/cloudtrail/aws4_request"), 10);
    assert_eq!(of("/eu-west-1/config/aws4_request") + 10, scopes.len());
}

#[test]
fn a_snapshot_asks_for_history_only_when_it_is_told_to_and_then_back_to_ninety_days() {
    let stub = Stub::start(move |request| match request.header("x-amz-target") {
        Some(HISTORY) => Answer::new(200, r#"{"configurationItems":[]}"#),
        Some(_) => Answer::new(200, r#"{"Events":[]}"#),
        None => account(request),
    });
    let user = User::new(&stub);
    user.snapshot(&[]).expect(0, &[]);
    assert!(stub.requests().iter().all(|request| request.header("x-amz-target").is_none()));
    assert!(user.saved().get("Events").is_none() && user.saved()["flowcheck"].get("history").is_none());

    user.snapshot(&["--history"]).expect(0, &["Events 0, configurationItems 0"]);
    let times = bodies(&stub, HISTORY).into_iter();
    let times: Vec<_> =
        times.map(|body| (body["earlierTime"].as_i64(), body["laterTime"].as_i64())).collect();
    let days = |seconds: i64| seconds.div_euclid(DAY);
    let (Some((_, Some(now))), Some((Some(first), _))) = (times.first(), times.last()) else {
        panic!("{times:?}")
    };
    assert_eq!(
        (times.len(), days(now - first)),
        (13, 91),
        "in weeks, the last of which ends before the ninety days"
    );
}

#[test]
fn that_an_account_records_nothing_is_told_and_makes_a_snapshot_no_less_whole() {
    let stub = Stub::start(move |request| match request.header("x-amz-target") {
        Some(HISTORY) => refusal("NoAvailableConfigurationRecorderException", "no recorder"),
        Some(_) => Answer::new(200, r#"{"Events":[]}"#),
        None => account(request),
    });
    let warning = "warning: network ACLs in eu-west-1: not recorded by AWS Config: what entries held before they were \
                   changed may not be known";
    let user = User::new(&stub);
    user.snapshot(&["--history", "7d"]).expect(0, &[warning]);
    assert!(user.saved().get("configurationItems").is_none());
}

#[test]
fn a_snapshot_without_the_permission_is_saved_incomplete_and_names_it() {
    let stub = Stub::start(move |request| match request.header("x-amz-target") {
        Some(LOOKUP) => denied("cloudtrail:LookupEvents"),
        Some(_) => denied("config:GetResourceConfigHistory"),
        None => account(request),
    });
    let user = User::new(&stub);
    let ended = user.snapshot(&["--history", "2h"]);
    ended.expect(
        3,
        &[
            "warning: eu-west-1: not allowed: cloudtrail:LookupEvents is missing: changes of network ACLs",
            "warning: eu-west-1: not allowed: config:GetResourceConfigHistory is missing: what entries held",
        ],
    );
    let saved = user.saved();
    assert!(saved.get("Events").is_none() && saved.get("configurationItems").is_none());
    assert_eq!(saved["flowcheck"]["history"]["complete_since"], Value::Null);
    assert_eq!(saved["NetworkAcls"].as_array().map(Vec::len), Some(1));
}

#[test]
fn each_service_has_an_endpoint_of_its_own() {
    let (all, past) = (Stub::start(account), recent());
    let trail = Stub::start(move |request| past.answer(request));
    let past = recent();
    let config = Stub::start(move |request| past.answer(request));
    let user = User::new(&all)
        .with("AWS_ENDPOINT_URL_CLOUDTRAIL", &trail.url())
        .with("AWS_ENDPOINT_URL_CONFIG_SERVICE", &config.url());
    user.snapshot(&["--history", "1d"]).expect(0, &["Events 1, configurationItems 1"]);
    assert_eq!((bodies(&trail, LOOKUP).len(), trail.requests().len()), (10, 10));
    assert_eq!(bodies(&config, HISTORY).len(), config.requests().len());
}

/// Half an hour of replies that are dropped since a call an hour ago, and some that got through before it.
fn outage(now: i64) -> String {
    let mut text = String::from(
        "version interface-id subnet-id vpc-id srcaddr dstaddr srcport dstport protocol packets bytes start end action \
         log-status tcp-flags flow-direction\n",
    );
    let mut line = |ago: i64, port: u16, reply: &str, flags: u8| {
        let (start, end) = (now - ago, now - ago + 20);
        let place = "eni-0a subnet-1 vpc-1";
        let written = write!(
            text,
            "5 {place} 10.0.1.5 203.0.113.7 {port} 443 6 4 240 {start} {end} ACCEPT OK 2 egress\n\
             5 {place} 203.0.113.7 10.0.1.5 443 {port} 6 4 240 {start} {end} {reply} OK {flags} ingress\n"
        );
        written.expect("writing to memory");
    };
    line(2 * HOUR, 40_001, "ACCEPT", 18);
    line(HOUR + 600, 40_002, "ACCEPT", 18);
    line(HOUR - 600, 40_003, "REJECT", 18);
    line(HOUR / 2, 40_004, "REJECT", 18);
    text
}

#[test]
fn a_diagnosis_with_live_history_names_the_call_and_who_made_it() {
    let now = jiff::Timestamp::now().as_second();
    let call = |id: &str, name: &str, ago: i64, more: Value| {
        let time = Timestamp(now - ago).to_string();
        let mut asked = json!({"networkAclId": "acl-1", "ruleNumber": 32000, "egress": false});
        asked.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let record = json!({
            "eventVersion": "1.11", "eventSource": "ec2.amazonaws.com", "eventName": name, "eventID": id,
            "eventTime": time, "awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.7",
            "recipientAccountId": "111122223333", "requestParameters": asked,
            "userIdentity": {
                "type": "AssumedRole",
                "arn": "arn:aws:sts::111122223333:assumed-role/NetworkAdmin/change-4711",
                "sessionContext": {"sessionIssuer": {"userName": "NetworkAdmin"}},
            },
        });
        json!({
            "EventId": id, "EventName": name, "EventTime": now - ago, "ReadOnly": "false",
            "CloudTrailEvent": record.to_string(),
        })
    };
    let content = json!({"aclProtocol": "-1", "cidrBlock": "0.0.0.0/0", "ruleAction": "allow"});
    let past = Past {
        events: vec![
            call("made", "CreateNetworkAclEntry", 9 * DAY, content),
            call("gone", "DeleteNetworkAclEntry", HOUR, json!({})),
        ],
        ..Past::default()
    };
    let stub = Stub::start(move |request| match request.header("x-amz-target") {
        Some(_) => past.answer(request),
        None => account(request),
    });
    let scratch = crate::run::Scratch::new();
    let logs = scratch.file("flow.log", outage(now));
    let user = User::new(&stub);
    let ended = user.run(&[&logs, "--history", "live", "--format", "json", "--no-progress"]);
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let [finding] = &document["findings"].as_array().expect("findings")[..] else { panic!("{ended}") };
    assert_eq!(
        (&finding["cause"], &finding["conversations"]),
        (&"nacl_default".into(), &2.into()),
        "{ended}"
    );
    let change = &finding["change"];
    assert_eq!(change["event_id"], "gone", "{ended}");
    assert_eq!(change["actor"], "NetworkAdmin/change-4711");
    assert_eq!(change["before"], "32000 ALL ALL 0.0.0.0/0 ALLOW");
    assert_eq!(document["network_config"]["history"], "cloudtrail");
}
