//! Which events are wanted: what is asked of the server, and the same question asked again of every event it sends.
//!
//! Looks at an event's whitespace-separated tokens and its timestamp, and at no position or field of a record.

use std::collections::{BTreeSet, HashMap};

use super::span::{TimeRange, union};
use super::{LogGroupClass, Needed};

/// The longest `filterPattern` (CloudWatch Logs API reference).
const LONGEST_PATTERN: usize = 1024;
/// Requests that one slice is split into to name every interface. The server reads the whole slice for each, so beyond
/// this it is cheaper to have it send the accepted records of all interfaces once.
const MOST_PATTERNS: usize = 3;
/// Interfaces named in one Insights query, which may have 10 000 characters.
const MOST_IN_QUERY: usize = 400;
/// What a record that was not rejected has one of: `action` or `log-status`.
const NOT_REJECTED: [&str; 3] = ["ACCEPT", "SKIPDATA", "NODATA"];

/// What a slice is read for.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Every event with the token `REJECT`.
    Rejects,
    /// The other events of these interfaces in these spans, each disjoint and in time order; the empty name stands for
    /// all interfaces.
    Others(HashMap<String, Vec<TimeRange>>),
    /// Every event with this word.
    Word(&'static str),
    /// All events.
    Anything,
}

/// One question to the server, and which of its answers count.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// `filterPattern`, or for Insights what stands between `fields` and `sort`; empty for none.
    pub(super) filter: String,
    /// The interfaces asked for here, when the slice is asked for in several requests.
    part: Option<BTreeSet<String>>,
}

impl Wanted {
    /// The other events of what is needed.
    pub(super) fn others(needed: &[Needed]) -> Self {
        let mut spans: HashMap<String, Vec<TimeRange>> = HashMap::new();
        for needed in needed {
            spans.entry(needed.interface_id.clone()).or_default().extend(&needed.spans);
        }
        Self::Others(spans.into_iter().map(|(interface, spans)| (interface, union(spans))).collect())
    }

    /// What to ask for one slice. Every filter lets through at least what [`Self::keeps`] keeps, in any record format.
    pub(super) fn requests(&self, class: LogGroupClass, slice: TimeRange) -> Vec<Request> {
        let insights = class == LogGroupClass::InfrequentAccess;
        match self {
            Self::Anything => vec![Request::whole(String::new())],
            Self::Rejects => Self::Word("REJECT").requests(class, slice),
            Self::Word(word) if insights => vec![Request::whole(format!("| filter @message like /{word}/"))],
            Self::Word(word) => vec![Request::whole((*word).to_owned())],
            Self::Others(spans) => {
                let interfaces: BTreeSet<&str> = spans
                    .iter()
                    .filter(|(_, spans)| spans.iter().any(|span| span.overlaps(slice)))
                    .map(|(interface, _)| interface.as_str())
                    .collect();
                if insights { vec![query(&interfaces)] } else { patterns(&interfaces) }
            }
        }
    }

    /// Whether an event that the server sent for `request` is one that was asked for: the server's filters are not
    /// relied on. The time in milliseconds lies in the slice, which the caller has seen to.
    pub(super) fn keeps(&self, request: &Request, milliseconds: i64, message: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Rejects => Self::Word("REJECT").keeps(request, milliseconds, message),
            Self::Word(word) => tokens(message).any(|token| token == *word),
            Self::Others(spans) => {
                let (mut not_rejected, mut interface) = (false, None);
                let in_spans = |spans: &Vec<TimeRange>| spans.iter().any(|span| span.holds(milliseconds));
                for token in tokens(message) {
                    if token == "REJECT" {
                        return false;
                    }
                    not_rejected |= NOT_REJECTED.contains(&token);
                    // The first one decides, so that an event that names two comes from one request only.
                    if interface.is_none() && spans.get(token).is_some_and(in_spans) {
                        interface = Some(token);
                    }
                }
                let any = || spans.get("").filter(|spans| in_spans(spans)).map(|_| "");
                not_rejected
                    && interface.or_else(any).is_some_and(|interface| {
                        request.part.as_ref().is_none_or(|part| part.contains(interface))
                    })
            }
        }
    }
}

impl Request {
    fn whole(filter: String) -> Self {
        Self { filter, part: None }
    }
}

/// Patterns of optional terms, `?"eni-…" ?"eni-…"`, which match an event with any of them. Optional terms are ignored
/// in a pattern that has others as well (CloudWatch Logs User Guide, "Filter pattern syntax"): the two kinds are never mixed.
fn patterns(interfaces: &BTreeSet<&str>) -> Vec<Request> {
    let mut parts: Vec<(String, BTreeSet<String>)> = Vec::new();
    if interfaces.iter().all(|interface| is_interface_id(interface)) {
        for interface in interfaces {
            let term = format!("?\"{interface}\"");
            let has_room = |pattern: &str| pattern.len() + 1 + term.len() <= LONGEST_PATTERN;
            match parts.last_mut() {
                Some((pattern, part)) if has_room(pattern) => {
                    pattern.push(' ');
                    pattern.push_str(&term);
                    part.insert((*interface).to_owned());
                }
                _ => parts.push((term, BTreeSet::from([(*interface).to_owned()]))),
            }
        }
    }
    if (1..=MOST_PATTERNS).contains(&parts.len()) {
        return parts.into_iter().map(|(filter, part)| Request { filter, part: Some(part) }).collect();
    }
    let terms = NOT_REJECTED.map(|word| format!("?{word}"));
    vec![Request::whole(terms.join(" "))]
}

/// The clauses of an Insights query. It must not exclude `REJECT` by pattern: a cluster may be named so.
fn query(interfaces: &BTreeSet<&str>) -> Request {
    let mut clauses = format!("| filter @message like /{}/", NOT_REJECTED.join("|"));
    if interfaces.len() <= MOST_IN_QUERY && interfaces.iter().all(|interface| is_interface_id(interface)) {
        let names: Vec<_> = interfaces.iter().copied().collect();
        clauses = format!("{clauses} | filter @message like /{}/", names.join("|"));
    }
    Request::whole(clauses)
}

/// `eni-` and letters and digits: nothing that means something in a pattern.
fn is_interface_id(name: &str) -> bool {
    name.len() <= 64
        && name
            .strip_prefix("eni-")
            .is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// The tokens of a record: what stands between whitespace, or in wrapped JSON between anything but letters, digits and `-`.
fn tokens(message: &str) -> impl Iterator<Item = &str> {
    let json = message.starts_with('{');
    let between = move |letter: char| {
        if json { !letter.is_ascii_alphanumeric() && letter != '-' } else { letter.is_ascii_whitespace() }
    };
    message.split(between).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Timestamp;

    const ACCEPTED: &str = "2 1 eni-a 10.0.0.1 10.0.0.2 1 2 6 1 40 0 59 ACCEPT OK";
    const REJECTED: &str = "2 1 eni-a 10.0.0.1 10.0.0.2 1 2 6 1 40 0 59 REJECT OK";

    fn range(from: i64, to: i64) -> TimeRange {
        TimeRange { from: Timestamp(from), to: Timestamp(to) }
    }

    fn needed(interface: &str, spans: &[TimeRange]) -> Needed {
        Needed { interface_id: interface.to_owned(), spans: spans.to_vec() }
    }

    fn keeps(wanted: &Wanted, at: i64, message: &str) -> usize {
        let requests = wanted.requests(LogGroupClass::Standard, range(0, 1_000));
        requests.iter().filter(|request| wanted.keeps(request, at, message)).count()
    }

    #[test]
    fn an_event_is_a_reject_by_a_whole_token_in_any_format() {
        let rejects = Wanted::Rejects;
        for (message, expected) in [
            (REJECTED, 1),
            (ACCEPTED, 0),
            ("REJECT 10.0.0.1", 1),
            ("5 10.0.0.1\tREJECT", 1),
            ("2 eni-a ACCEPT OK REJECTED", 0),
            (r#"{"message":"2 1 eni-a REJECT OK"}"#, 1),
            (r#"{"action":"REJECT"}"#, 1),
            (r#"{"action":"REJECTED"}"#, 0),
        ] {
            assert_eq!(keeps(&rejects, 0, message), expected, "{message}");
        }
    }

    #[test]
    fn the_others_are_of_their_interface_in_their_span_and_not_rejected() {
        let others = Wanted::others(&[
            needed("eni-a", &[range(60, 119), range(100, 130)]),
            needed("eni-b", &[range(0, 59)]),
        ]);
        assert_eq!(keeps(&others, 60_000, ACCEPTED), 1);
        assert_eq!(keeps(&others, 130_999, ACCEPTED), 1);
        assert_eq!(keeps(&others, 59_999, ACCEPTED), 0, "another interface's span");
        assert_eq!(keeps(&others, 131_000, ACCEPTED), 0);
        assert_eq!(keeps(&others, 60_000, REJECTED), 0);
        assert_eq!(keeps(&others, 60_000, "2 1 eni-a - - - - - - - 0 59 - NODATA"), 1);
        assert_eq!(keeps(&others, 60_000, "2 1 eni-ab - - - - - - - 0 59 - NODATA"), 0, "a longer name");
        assert_eq!(keeps(&others, 60_000, r#"{"message":"2 1 eni-a ACCEPT OK"}"#), 1);
        assert_eq!(keeps(&others, 60_000, "eni-a said something"), 0);
    }

    #[test]
    fn without_an_interface_in_the_format_the_span_alone_counts() {
        let others = Wanted::others(&[needed("", &[range(0, 9)])]);
        assert_eq!(keeps(&others, 5_000, "10.0.0.1 ACCEPT"), 1);
        assert_eq!(keeps(&others, 10_000, "10.0.0.1 ACCEPT"), 0);
    }

    #[test]
    fn patterns_name_few_interfaces_in_few_requests_and_each_event_comes_from_one() {
        let many = |count: usize| {
            let all: Vec<_> =
                (0..count).map(|index| needed(&format!("eni-{index:017x}"), &[range(0, 9)])).collect();
            Wanted::others(&all)
        };
        let slice = range(0, 1_000);
        let one = many(2).requests(LogGroupClass::Standard, slice);
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].filter, "?\"eni-00000000000000000\" ?\"eni-00000000000000001\"");
        let three = many(100).requests(LogGroupClass::Standard, slice);
        assert_eq!(three.len(), 3);
        assert!(three.iter().all(|request| request.filter.len() <= LONGEST_PATTERN));
        let both = "2 1 eni-00000000000000063 eni-00000000000000000 ACCEPT OK";
        assert_eq!(keeps(&many(100), 0, both), 1);
        let all = many(200).requests(LogGroupClass::Standard, slice);
        assert_eq!(all, [Request::whole("?ACCEPT ?SKIPDATA ?NODATA".to_owned())]);
        // An interface that is not needed in a slice is not asked for in it.
        let elsewhere = Wanted::others(&[needed("eni-a", &[range(0, 9)]), needed("eni-b", &[range(20, 29)])]);
        assert_eq!(elsewhere.requests(LogGroupClass::Standard, range(5, 19))[0].filter, "?\"eni-a\"");
    }

    #[test]
    fn what_means_something_in_a_pattern_never_gets_into_one() {
        for name in ["-", "eni-", "eni-a\" -ACCEPT \"", "eni-a/", ""] {
            let others = Wanted::others(&[needed(name, &[range(0, 9)])]);
            let standard = others.requests(LogGroupClass::Standard, range(0, 9));
            assert_eq!(standard[0].filter, "?ACCEPT ?SKIPDATA ?NODATA", "{name}");
            let query = &others.requests(LogGroupClass::InfrequentAccess, range(0, 9))[0].filter;
            assert_eq!(query, "| filter @message like /ACCEPT|SKIPDATA|NODATA/", "{name}");
        }
    }
}
