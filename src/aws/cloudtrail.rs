//! What CloudTrail's event history tells of network ACLs: `LookupEvents`.
//!
//! Owns which events are asked for, the pages, and how far back they are whole. Refuses to know what an event changed: it
//! is handed on as the AWS CLI prints it.
//!
//! # Why by name
//!
//! A look-up takes one attribute. By resource there would be one for each ACL, and it is nowhere said that CloudTrail lists
//! the ACL among the resources of every event: `ReplaceNetworkAclAssociation` takes the id of an association and names only
//! the new ACL. By name there are always as many look-ups, however many ACLs there are, and they also tell of an ACL that is
//! deleted by now. The service is asked twice a second at most, so ten names take five seconds.
//!
//! # How far back
//!
//! As far as the service keeps events, 90 days, whatever the time in question: what an entry held that was deleted yesterday
//! is told by the call that made it. Events come newest first and fit on a page as a rule, so that costs nothing; where it
//! would, a few pages of what is older than the time in question have to do.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::json::{JsonClient, Pages, print_time};
use super::{Action, AwsError};
use crate::net::Timestamp;

/// What changes a network ACL or which subnet has it; the last ones do so without saying it: a new subnet gets the default
/// ACL, a VPC's IPv6 block brings entries.
const EVENT_NAMES: [&str; 10] = [
    "DeleteNetworkAclEntry",
    "ReplaceNetworkAclEntry",
    "CreateNetworkAclEntry",
    "ReplaceNetworkAclAssociation",
    "DeleteNetworkAcl",
    "CreateNetworkAcl",
    "AssociateVpcCidrBlock",
    "CreateSubnet",
    "CreateDefaultSubnet",
    "DeleteSubnet",
];

/// The most that the service gives on a page.
const PAGE_SIZE: u32 = 50;

/// How long the service keeps events, less what the clocks may differ by.
const KEPT_SECONDS: i64 = 90 * 86_400 - 120;

/// How long after a call its event may be missing. AWS speaks of five minutes on average, and promises nothing.
const DELIVERY_SECONDS: i64 = 15 * 60;

/// A stretch of time in which every change is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Complete {
    /// First moment.
    pub since: Timestamp,
    /// Last moment.
    pub until: Timestamp,
}

/// What the event history holds.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// Newest first, each once.
    pub(super) events: Vec<Value>,
    /// When all of them are here, if ever.
    pub(super) complete: Option<Complete>,
    /// Why there is not more.
    pub(super) limitations: Vec<AwsError>,
}

/// The time in question, and what may be asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) since: Timestamp,
    /// Now.
    pub(super) until: Timestamp,
    /// Pages for each name.
    pub(super) most_pages: usize,
    /// Pages for each name that hold nothing of the time in question.
    pub(super) most_older_pages: usize,
}

/// Asks for every change since then, and for what came before. Fails only when nothing else can succeed either.
pub(super) async fn changes(client: &JsonClient, asked: Asked) -> Result<Trail, AwsError> {
    let kept_since = asked.until.plus_seconds(-KEPT_SECONDS);
    let asked = Asked { since: asked.since.clamp(kept_since, asked.until), ..asked };
    let mut lookup = Lookup { client, asked, kept_since, known: HashSet::new(), trail: Trail::default() };
    let mut whole_since = kept_since;
    for name in EVENT_NAMES {
        match lookup.named(name).await {
            Ok(since) => whole_since = whole_since.max(since),
            Err(error) if error.is_fatal() => return Err(error),
            // What one name meets, the others meet as well.
            Err(error) => {
                lookup.trail.limitations.push(error);
                whole_since = asked.until;
                break;
            }
        }
    }
    let mut trail = lookup.trail;
    trail.events.sort_by_cached_key(|event| std::cmp::Reverse(time(event)));
    let whole_until = asked.until.plus_seconds(-DELIVERY_SECONDS);
    let complete = Complete { since: whole_since, until: whole_until };
    trail.complete = (whole_since <= whole_until).then_some(complete);
    Ok(trail)
}

struct Lookup<'a> {
    client: &'a JsonClient,
    asked: Asked,
    kept_since: Timestamp,
    known: HashSet<String>,
    trail: Trail,
}

impl Lookup<'_> {
    /// Adds the events of this name; says since when they are all there.
    async fn named(&mut self, name: &str) -> Result<Timestamp, AwsError> {
        let Asked { since, until, most_pages, most_older_pages } = self.asked;
        let parameters = Map::from_iter([
            ("LookupAttributes".to_owned(), json!([{"AttributeKey": "EventName", "AttributeValue": name}])),
            ("StartTime".to_owned(), json!(self.kept_since.0)),
            ("EndTime".to_owned(), json!(until.0)),
            ("MaxResults".to_owned(), json!(PAGE_SIZE)),
        ]);
        let (mut pages, mut older_pages, mut whole_since, mut is_broken) = (0, 0, until, false);
        let client = self.client;
        let take = |events: Vec<Value>| {
            pages += 1;
            older_pages += usize::from(whole_since <= since);
            for event in events.into_iter().filter(|event| event["EventName"] == name) {
                match self.add(event) {
                    // More of that second may be on the next page.
                    Some(time) => whole_since = whole_since.min(time.plus_seconds(1)),
                    None => is_broken = true,
                }
            }
            !is_broken && pages < most_pages && older_pages < most_older_pages
        };
        let fetched = client.pages(Action::LookupEvents, &parameters, ("Events", "NextToken"), take).await;
        let fetched = fetched.map_err(|refused| refused.error)?;
        let failed = |message: String| AwsError::Failed {
            action: Action::LookupEvents,
            resource: client.region().to_owned(),
            message,
        };
        match fetched {
            // A change that is passed over would make a past that never was.
            _ if is_broken => return Err(failed(format!("a {name} without a time"))),
            Pages::All => return Ok(self.kept_since),
            Pages::Enough if whole_since <= since => {}
            Pages::Enough => self.trail.limitations.push(failed(format!(
                "more than {pages} pages of {name}: those before {whole_since} were not read"
            ))),
        }
        Ok(whole_since)
    }

    /// Keeps an event, once, if it is of the time asked for. Gives its time.
    fn add(&mut self, event: Value) -> Option<Timestamp> {
        let Value::Object(mut event) = event else { return None };
        print_time(&mut event, "EventTime");
        let event = Value::Object(event);
        let time = time(&event)?;
        let is_asked_for = (self.kept_since..=self.asked.until).contains(&time);
        let is_new = event["EventId"].as_str().is_none_or(|id| self.known.insert(id.to_owned()));
        if is_asked_for && is_new {
            self.trail.events.push(event);
        }
        Some(time)
    }
}

/// When an event happened.
pub(super) fn time(event: &Value) -> Option<Timestamp> {
    event.get("EventTime")?.as_str()?.parse().ok()
}
