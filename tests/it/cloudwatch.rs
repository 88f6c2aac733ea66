//! Reading flow logs from CloudWatch Logs, against a stand-in that filters, one that does not, and ones at fault: every
//! event that is wanted exactly once, or an error that says what is missing.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::time::Duration;

use flowcheck::aws::{Action, Aws, AwsError, AwsOptions, Stop};
use flowcheck::net::Timestamp;
use flowcheck::source::Object;
use flowcheck::source::cloudwatch::{CloudWatch, LogGroup, LogGroupClass, LogsLimits, Needed, TimeRange};
use proptest::prelude::*;

use crate::logs_stub::{Behaviour, Event, Group, LogsStub};

/// The beginning of the range that is asked for.
const BEGIN: i64 = 1_700_000_000;
const NAME: &str = "/vpc/flow-logs";
const CLASSES: [&str; 2] = ["STANDARD", "INFREQUENT_ACCESS"];

/// A stand-in, and the code under test connected to it.
struct Bench {
    stub: LogsStub,
    logs: CloudWatch,
    stop: Stop,
}

impl Bench {
    fn new(behaviour: Behaviour, class: &'static str, events: &[Event]) -> Self {
        Self::limited(behaviour, class, events, limits())
    }

    fn limited(behaviour: Behaviour, class: &'static str, events: &[Event], limits: LogsLimits) -> Self {
        let other = Group { class: "DELIVERY", events: Vec::new() };
        let group = Group { class, events: events.to_vec() };
        let groups = [("/vpc/flow", other.clone()), (NAME, group), ("/vpc/flow-logs-old", other)];
        let stub = LogsStub::start(behaviour, &groups);
        let stop = Stop::default();
        let options = AwsOptions {
            regions: vec!["eu-west-1".to_owned()],
            endpoint_url: Some(stub.url()),
            no_sign_request: true,
            ..AwsOptions::default()
        };
        let aws = Aws::connect(&options, &stop).expect("connection");
        Self { stub, logs: CloudWatch::new(&aws, limits), stop }
    }

    fn rejects(&self) -> Result<Vec<String>, AwsError> {
        let fetched = self.logs.rejects(&group(), hour(), &mut |_| {})?;
        assert_eq!(fetched.cut_off, None);
        let lines = lines(&fetched.object);
        assert_eq!(fetched.events, lines.len() as u64);
        assert_eq!(fetched.bytes, lines.iter().map(|line| line.len() as u64 + 1).sum::<u64>());
        Ok(lines)
    }

    fn others(&self, needed: &[Needed]) -> Vec<String> {
        let objects = self.logs.others(&group(), needed);
        objects.iter().for_each(Object::prepare);
        objects.iter().flat_map(lines).collect()
    }
}

/// As fast as it goes: the stand-in has no quota.
fn limits() -> LogsLimits {
    LogsLimits {
        first_requests_per_second: 100_000.0,
        most_requests_per_second: 100_000.0,
        attempts: 5,
        first_backoff: Duration::from_millis(1),
        first_poll: Duration::from_millis(1),
        ..LogsLimits::default()
    }
}

fn group() -> LogGroup {
    LogGroup::parse(&format!("cloudwatch://{NAME}")).expect("group")
}

fn hour() -> TimeRange {
    range(0, 3599)
}

/// Seconds from the beginning.
fn range(from: i64, to: i64) -> TimeRange {
    TimeRange { from: Timestamp(BEGIN + from), to: Timestamp(BEGIN + to) }
}

fn read(object: &Object) -> (String, std::io::Result<usize>) {
    let mut text = Vec::new();
    let result = object.open().and_then(|mut reader| reader.read_to_end(&mut text));
    (String::from_utf8(text).expect("text"), result)
}

#[track_caller]
fn lines(object: &Object) -> Vec<String> {
    let (text, result) = read(object);
    result.unwrap_or_else(|error| panic!("{}: {error}", object.name));
    text.lines().map(str::to_owned).collect()
}

fn event(milliseconds: i64, message: impl Into<String>) -> Event {
    Event { at: BEGIN * 1000 + milliseconds, message: message.into() }
}

fn record(number: usize, interface: &str, action: &str) -> String {
    format!("2 123456789012 {interface} 10.0.0.1 10.0.0.2 {number} 443 6 1 40 0 59 {action} OK")
}

/// Records of three interfaces every seven seconds, from before the hour to after it, and what else can be in a group.
fn traffic() -> Vec<Event> {
    let mut events: Vec<Event> = (0..600)
        .zip(0_i64..)
        .map(|(index, at)| {
            let interface = ["eni-0a", "eni-0b", "eni-0c"][index % 3];
            let action = if index % 5 == 0 { "REJECT" } else { "ACCEPT" };
            event(at * 7_000 - 300_000, record(index, interface, action))
        })
        .collect();
    let borders = [-1, 0, 224_999, 225_000, 3_599_999, 3_600_000];
    for (index, at) in borders.into_iter().enumerate() {
        events.push(event(at, record(1000 + index, "eni-0a", "REJECT")));
        events.push(event(at, record(2000 + index, "eni-0a", "ACCEPT")));
    }
    events.push(event(1_000, "2 123456789012 eni-0a - - - - - - - 0 59 - NODATA"));
    events.push(event(2_000, "2 123456789012 eni-0a - - - - - - - 0 59 - SKIPDATA"));
    events.push(event(3_000, "eni-0a REJECTED ACCEPT"));
    events.push(event(4_000, r#"{"message":"2 123456789012 eni-0a REJECT OK"}"#));
    events.push(event(5_000, r#"{"message":"2 123456789012 eni-0a ACCEPT OK"}"#));
    events.push(event(6_000, "REJECT is\na word on the first of two lines"));
    events.push(event(7_000, "nothing of the kind"));
    events.sort_by_key(|event| event.at);
    events
}

fn needed() -> Vec<Needed> {
    let interface =
        |id: &str, spans: &[TimeRange]| Needed { interface_id: id.to_owned(), spans: spans.to_vec() };
    vec![
        interface("eni-0a", &[range(0, 900), range(600, 1200), range(3000, 3599)]),
        interface("eni-0b", &[range(1100, 1150)]),
        interface("eni-0d", &[range(2000, 2100)]),
    ]
}

fn in_hour(event: &Event) -> bool {
    (BEGIN * 1000..(BEGIN + 3600) * 1000).contains(&event.at)
}

fn expected_rejects(events: &[Event]) -> Vec<String> {
    let rejected = |event: &&Event| in_hour(event) && event.message.replace('"', " ").contains("REJECT ");
    events.iter().filter(rejected).map(|event| event.message.replace('\n', " ")).collect()
}

fn expected_others(events: &[Event], needed: &[Needed]) -> Vec<String> {
    let is_needed = |event: &Event| {
        needed.iter().any(|needed| {
            let in_time = |span: &TimeRange| (span.from.0..=span.to.0).contains(&event.at.div_euclid(1000));
            event.message.contains(&needed.interface_id) && needed.spans.iter().any(in_time)
        })
    };
    let other = |event: &&Event| is_needed(event) && !event.message.contains("REJECT ");
    events.iter().filter(other).map(|event| event.message.clone()).collect()
}

/// A filter that a server does not know, pages of any size and empty ones must change neither the answer nor its counts.
#[test]
fn the_answer_is_the_same_whatever_the_server_filters_and_however_it_pages() {
    let events = traffic();
    let (rejects, others) = (expected_rejects(&events), expected_others(&events, &needed()));
    assert!(rejects.len() > 100 && others.len() > 60, "{} and {}", rejects.len(), others.len());
    for class in CLASSES {
        for ignores_filters in [false, true] {
            // A server that ignores times sends everything for each slice.
            let few = if ignores_filters { 90 } else { 7 };
            for (page, empty_pages, repeats) in [(10_000, 0, false), (few, 2, false), (few, 0, true)] {
                let behaviour =
                    Behaviour { ignores_filters, page, empty_pages, repeats, ..Behaviour::default() };
                let bench = Bench::new(behaviour.clone(), class, &events);
                assert_eq!(bench.rejects().expect("rejects"), rejects, "{class} {behaviour:?}");
                assert_eq!(bench.others(&needed()), others, "{class} {behaviour:?}");
                let traffic = bench.logs.traffic();
                assert_eq!(traffic.events_kept, (rejects.len() + others.len()) as u64);
                assert_eq!(traffic.retries, 0);
                if class == "STANDARD" {
                    assert!(traffic.empty_pages >= empty_pages as u64 * 16, "{traffic:?}");
                }
            }
        }
    }
}

/// What the filters are for: accepted records of other interfaces and times are not transferred.
#[test]
fn a_server_that_filters_sends_little_else() {
    let events = traffic();
    for class in CLASSES {
        let bench = Bench::new(Behaviour::default(), class, &events);
        bench.rejects().expect("rejects");
        bench.others(&needed());
        let traffic = bench.logs.traffic();
        assert!(traffic.events_received < traffic.events_kept * 2, "{class} {traffic:?}");
    }
}

#[test]
fn throttling_is_waited_out_and_counted() {
    let events = traffic();
    for class in CLASSES {
        let bench = Bench::new(Behaviour { throttled: 4, ..Behaviour::default() }, class, &events);
        assert_eq!(bench.rejects().expect("rejects"), expected_rejects(&events));
        assert_eq!(bench.logs.traffic().retries, 4);
    }
}

#[test]
fn throttling_without_end_is_an_error_and_not_an_empty_group() {
    let actions = ["DescribeLogGroups", "FilterLogEvents", "StartQuery", "GetQueryResults"];
    // With two attempts it is mostly another slice's first attempt that shows that nothing is answered.
    for (action, attempts) in actions.into_iter().flat_map(|action| [(action, 5), (action, 2)]) {
        let errors = BTreeMap::from([(action, "ThrottlingException")]);
        let class = CLASSES[usize::from(action.contains("Query"))];
        let behaviour = Behaviour { errors, ..Behaviour::default() };
        let bench = Bench::limited(behaviour, class, &traffic(), LogsLimits { attempts, ..limits() });
        let error = bench.rejects().expect_err("an error").to_string();
        assert!(error.contains(NAME) && error.contains("attempts"), "{error}");
        for object in bench.logs.others(&group(), &needed()) {
            let (text, result) = read(&object);
            assert!(text.is_empty() && result.is_err(), "{}", object.name);
        }
        assert!(bench.stub.requests(action).len() < 50, "not every slice tries to the end");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// An event at a border of slices that both or neither ask for would be counted twice or lost.
    #[test]
    fn each_event_of_the_range_comes_exactly_once(
        times in prop::collection::vec(0_i64..4_000_000, 0..60),
        (from, length) in (0_i64..1_000, 0_i64..3_000),
        (page, empty_pages, infrequent) in (1_usize..9, 0_usize..2, any::<bool>()),
    ) {
        let asked = range(from, from + length);
        let borders = [from * 1000 - 1, from * 1000, (from + length) * 1000 + 999, (from + length + 1) * 1000];
        let events: Vec<Event> = times
            .into_iter()
            .chain(borders)
            .enumerate()
            .map(|(index, at)| event(at, record(index, "eni-0a", "REJECT")))
            .collect();
        let mut expected: Vec<_> = events
            .iter()
            .filter(|event| (asked.from.0 * 1000..(asked.to.0 + 1) * 1000).contains(&event.at))
            .map(|event| event.message.clone())
            .collect();
        expected.sort();
        let behaviour = Behaviour { page, empty_pages, ..Behaviour::default() };
        let bench = Bench::limited(
            behaviour,
            CLASSES[usize::from(infrequent)],
            &events,
            LogsLimits { query_rows: 60, ..limits() },
        );
        let fetched = bench.logs.rejects(&group(), asked, &mut |_| {}).expect("rejects");
        let mut found = lines(&fetched.object);
        found.sort();
        prop_assert_eq!(found, expected);
    }
}

/// Rows above the most that a query answers are never just missing.
#[test]
fn a_query_that_answers_as_much_as_it_may_is_asked_again_in_halves() {
    let events = traffic();
    let few_rows = LogsLimits { query_rows: 3, ..limits() };
    let bench = Bench::limited(Behaviour { polls: 2, ..Behaviour::default() }, CLASSES[1], &events, few_rows);
    assert_eq!(bench.rejects().expect("rejects"), expected_rejects(&events));
    assert!(bench.stub.requests("StartQuery").len() > 40);
    assert!(bench.stub.requests("FilterLogEvents").is_empty());
}

#[test]
fn more_rows_than_can_be_had_in_one_second_cut_the_answer_off_and_say_where() {
    let mut events = vec![event(1_000, record(1, "eni-0a", "REJECT"))];
    events.extend((0..9).map(|index| event(3_000_500, record(index, "eni-0a", "REJECT"))));
    let few_rows = LogsLimits { query_rows: 5, ..limits() };
    let bench = Bench::limited(Behaviour::default(), CLASSES[1], &events, few_rows);
    let fetched = bench.logs.rejects(&group(), hour(), &mut |_| {}).expect("the first slices");
    let (text, result) = read(&fetched.object);
    assert_eq!(text, format!("{}\n", events[0].message));
    let error = result.expect_err("cut off").to_string();
    assert_eq!(fetched.cut_off.as_deref(), Some(error.as_str()));
    assert!(
        error.contains("more than 5") && error.contains(&Timestamp(BEGIN + 3_000).to_string()),
        "{error}"
    );
}

#[test]
fn a_token_that_comes_twice_is_an_error_and_not_a_loop() {
    let bench = Bench::new(Behaviour { loops: true, ..Behaviour::default() }, "STANDARD", &traffic());
    let error = bench.rejects().expect_err("an error").to_string();
    assert!(error.contains("token twice"), "{error}");
}

#[test]
fn a_query_that_fails_is_an_error_and_is_stopped() {
    for status in ["Failed", "Timeout", "Cancelled"] {
        let behaviour = Behaviour { query_status: status, ..Behaviour::default() };
        let bench = Bench::new(behaviour, CLASSES[1], &traffic());
        let error = bench.rejects().expect_err("an error").to_string();
        assert!(error.contains(status), "{error}");
        bench.stub.wait_for("StopQuery");
    }
}

/// The reader ends though the server never answers, and a query does not go on at the user's cost.
#[test]
fn stopping_ends_a_reader_that_waits() {
    let hanging = Behaviour { hangs: Some("FilterLogEvents"), ..Behaviour::default() };
    let running = Behaviour { polls: usize::MAX, ..Behaviour::default() };
    for (behaviour, class, waits_in) in
        [(hanging, CLASSES[0], "FilterLogEvents"), (running, CLASSES[1], "GetQueryResults")]
    {
        let bench = Bench::new(behaviour, class, &traffic());
        let objects = bench.logs.others(&group(), &needed());
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| read(&objects[0]).1);
            bench.stub.wait_for(waits_in);
            bench.stop.request();
            let error = reading.join().expect("reader").expect_err("stopped");
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
        });
        if class == CLASSES[1] {
            bench.stub.wait_for("StopQuery");
        }
        let fetched = bench.logs.rejects(&group(), hour(), &mut |_| {}).expect("nothing, and why");
        assert!(fetched.cut_off.is_some());
        assert_eq!(read(&fetched.object).1.expect_err("stopped").kind(), ErrorKind::ConnectionAborted);
    }
}

#[test]
fn what_is_not_allowed_or_not_there_is_said() {
    let failing = |action, code| {
        let errors = BTreeMap::from([(action, code)]);
        Bench::new(Behaviour { errors, ..Behaviour::default() }, "STANDARD", &traffic())
    };
    let expired = failing("FilterLogEvents", "ExpiredTokenException").rejects().expect_err("expired");
    assert!(matches!(expired, AwsError::Credentials { .. }), "{expired}");
    let denied = failing("FilterLogEvents", "AccessDeniedException").rejects().expect_err("denied");
    assert!(matches!(denied, AwsError::Denied { action: Action::FilterLogEvents, .. }), "{denied}");
    let missing = failing("FilterLogEvents", "ResourceNotFoundException").rejects().expect_err("missing");
    assert!(matches!(missing, AwsError::NotFound { .. }), "{missing}");

    // Without the permission to look the group up it is still read, and that is said.
    let bench = failing("DescribeLogGroups", "AccessDeniedException");
    assert_eq!(bench.logs.class(&group()), Ok(LogGroupClass::Standard));
    assert_eq!(bench.rejects().expect("rejects"), expected_rejects(&traffic()));
    let notes = bench.logs.notes();
    assert!(notes.len() == 1 && notes[0].contains("logs:DescribeLogGroups"), "{notes:?}");
}

#[test]
fn the_group_is_the_one_of_exactly_that_name() {
    for (class, expected) in [
        ("STANDARD", LogGroupClass::Standard),
        ("", LogGroupClass::Standard),
        ("INFREQUENT_ACCESS", LogGroupClass::InfrequentAccess),
        ("DELIVERY", LogGroupClass::Delivery),
    ] {
        let bench = Bench::new(Behaviour::default(), class, &[]);
        assert_eq!(bench.logs.class(&group()), Ok(expected), "{class}");
        let absent = LogGroup { name: "/vpc/fl".to_owned(), ..group() };
        assert!(matches!(bench.logs.class(&absent), Err(AwsError::NotFound { .. })));
        // Another account's group of the same name is not it.
        let foreign = LogGroup { account_id: Some("999999999999".to_owned()), ..group() };
        assert!(matches!(bench.logs.class(&foreign), Err(AwsError::NotFound { .. })));
        let own = LogGroup { account_id: Some("123456789012".to_owned()), ..group() };
        assert_eq!(bench.logs.class(&own), Ok(expected));
        if expected == LogGroupClass::Delivery {
            let error = bench.rejects().expect_err("nothing to read").to_string();
            assert!(error.contains("DELIVERY") && error.contains("hint:"), "{error}");
        }
    }
}

/// Slices fetched ahead must not use up the memory that the slice being read needs, whichever is opened first.
#[test]
fn a_small_budget_slows_fetching_down_and_never_stops_it() {
    let events = traffic();
    let everything = [Needed { interface_id: String::new(), spans: vec![hour()] }];
    let in_hour: Vec<Event> = events.iter().filter(|event| in_hour(event)).cloned().collect();
    let words = ["ACCEPT", "NODATA", "SKIPDATA"];
    let mut expected: Vec<String> = expected_others(&in_hour, &everything)
        .into_iter()
        .filter(|message| words.iter().any(|word| message.contains(word)))
        .collect();
    expected.sort();
    for class in CLASSES {
        let tight = LogsLimits { ahead_bytes: 1, slices_at_once: 2, ..limits() };
        let behaviour = Behaviour { page: 2, ..Behaviour::default() };
        let bench = Bench::limited(behaviour, class, &events, tight);
        let objects = bench.logs.others(&group(), &everything);
        assert_eq!(objects.len(), 16);
        assert!(objects.windows(2).all(|pair| pair[0].earliest_start < pair[1].earliest_start));
        objects.iter().for_each(Object::prepare);
        let mut found: Vec<String> = objects.iter().rev().flat_map(lines).collect();
        found.sort();
        assert_eq!(found, expected, "{class}");
        // Opened again, it is fetched again.
        assert_eq!(lines(&objects[3]), lines(&objects[3]));
    }
}

#[test]
fn many_rejects_go_to_a_file_and_read_the_same_each_time() {
    let events = traffic();
    let bench = Bench::limited(
        Behaviour::default(),
        "STANDARD",
        &events,
        LogsLimits { rejects_in_memory: 500, ..limits() },
    );
    let mut seen = Vec::new();
    let fetched = bench.logs.rejects(&group(), hour(), &mut |progress| seen.push(progress)).expect("rejects");
    for _ in 0..2 {
        assert_eq!(lines(&fetched.object), expected_rejects(&events));
    }
    let last = seen.last().expect("progress");
    assert_eq!((last.slices, last.slices_total, last.events), (16, 16, fetched.events));
}

#[test]
fn a_sample_shows_the_first_events_whatever_they_are() {
    for class in CLASSES {
        let events = [event(-1, "before"), event(5_000, "first"), event(6_000, "second")];
        let behaviour = Behaviour { empty_pages: 3, page: 1, ..Behaviour::default() };
        let bench = Bench::new(behaviour, class, &events);
        let sample = bench.logs.sample(&group(), hour(), None).expect("sample");
        let first = sample.first().map(|event| (event.at.0 - BEGIN, event.message.as_str()));
        assert_eq!(first, Some((5, "first")), "{class}");
        let empty = bench.logs.sample(&group(), range(100, 200), None).expect("sample");
        assert!(empty.is_empty(), "{class} {empty:?}");
    }
}

/// Among any number of rejected records a single accepted one is found, also where the server does not look for it.
#[test]
fn a_sample_by_a_word_looks_past_all_other_events() {
    let mut events: Vec<Event> =
        (0..700).map(|index| event(1_000, record(index, "eni-0a", "REJECT"))).collect();
    for class in CLASSES {
        for ignores_filters in [false, true] {
            let behaviour = Behaviour { ignores_filters, ..Behaviour::default() };
            let found = |events: &[Event]| {
                let bench = Bench::new(behaviour.clone(), class, events);
                bench.logs.sample(&group(), hour(), Some("ACCEPT")).expect("sample").len()
            };
            assert_eq!(found(&events), 0, "{class} {ignores_filters}");
            // Logs Insights has no pages: what one query does not filter is not there.
            let accepted = event(1_000, record(1, "eni-0a", "ACCEPT"));
            events.insert(if ignores_filters && class == CLASSES[1] { 0 } else { 600 }, accepted);
            assert_eq!(found(&events), 1, "{class} {ignores_filters}");
            events.retain(|event| event.message.contains("REJECT"));
        }
    }
}
