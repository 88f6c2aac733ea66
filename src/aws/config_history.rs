//! Earlier states of network ACLs as AWS Config recorded them: `GetResourceConfigHistory`.
//!
//! Owns the spans that are asked for and when enough is known. Refuses to know what a state holds: it is handed on as the
//! AWS CLI prints it.
//!
//! # How far back
//!
//! A call spans seven days. What is wanted of an ACL that changed is the last state recorded before the time in question,
//! however old that is, so its history is walked backwards week by week until there is one. An ACL of which nothing was
//! recorded since then, and of which nobody says that it changed, is as it was: no more is asked of it.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value, json};

use super::json::{JsonClient, Pages, print_time};
use super::{Action, AwsError};
use crate::net::Timestamp;

/// The most that one call may span.
const SPAN_SECONDS: i64 = 7 * 86_400;

/// How far before the time in question a state is looked for.
const LOOK_BACK_SECONDS: i64 = 365 * 86_400;

/// The most items on a page.
const PAGE_SIZE: u32 = 100;

/// Ids that a limitation names.
const NAMED: usize = 3;

/// Members of an item that hold times.
const TIMES: [&str; 3] =
    ["configurationItemCaptureTime", "configurationItemDeliveryTime", "resourceCreationTime"];

/// What AWS Config holds.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// By ACL and time, each once.
    pub(super) items: Vec<Value>,
    /// Why there is not more.
    pub(super) limitations: Vec<AwsError>,
}

/// The time in question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) since: Timestamp,
    /// Now.
    pub(super) until: Timestamp,
    /// Calls that may be made for all ACLs together.
    pub(super) most_requests: usize,
}

/// Asks for the states of these ACLs that were in force since then. `changed` are those that others say have changed.
/// Fails only when nothing else can succeed either.
pub(super) async fn states(
    client: &JsonClient,
    network_acl_ids: &BTreeSet<String>,
    changed: &BTreeSet<String>,
    asked: Asked,
) -> Result<Recorded, AwsError> {
    let mut walk = Walk { client, asked, requests: 0, known: HashSet::new(), recorded: Recorded::default() };
    let (mut unknown, mut unasked) = (Vec::new(), Vec::new());
    // Those that changed first: the number of calls is limited.
    let (first, last): (Vec<_>, Vec<_>) = network_acl_ids.iter().partition(|id| changed.contains(*id));
    for id in first.into_iter().chain(last) {
        match walk.back(id, changed.contains(id)).await {
            Ok(()) => {}
            Err(End::Unknown) => unknown.push(id.as_str()),
            Err(End::Exhausted) => unasked.push(id.as_str()),
            Err(End::Failed(error)) if error.is_fatal() => return Err(error),
            Err(End::Failed(error)) => {
                walk.recorded.limitations.push(error);
                break;
            }
        }
    }
    let region = client.region();
    if !unknown.is_empty() {
        let resource = format!("{} in {region}", list(&unknown));
        walk.recorded.limitations.push(AwsError::NotRecorded { resource });
    }
    if !unasked.is_empty() {
        let message = format!("{} requests were not enough for {}", asked.most_requests, list(&unasked));
        let (action, resource) = (Action::GetResourceConfigHistory, region.to_owned());
        walk.recorded.limitations.push(AwsError::Failed { action, resource, message });
    }
    walk.recorded.items.sort_by_cached_key(|item| (text(item, "resourceId"), captured_at(item)));
    Ok(walk.recorded)
}

/// Why the walk through an ACL's history ended before its aim.
enum End {
    /// Config does not know this ACL.
    Unknown,
    /// No more calls may be made.
    Exhausted,
    /// And no other can succeed.
    Failed(AwsError),
}

struct Walk<'a> {
    client: &'a JsonClient,
    asked: Asked,
    requests: usize,
    known: HashSet<String>,
    recorded: Recorded,
}

impl Walk<'_> {
    async fn back(&mut self, network_acl_id: &str, mut has_changed: bool) -> Result<(), End> {
        let Asked { since, until, .. } = self.asked;
        let floor = since.plus_seconds(-LOOK_BACK_SECONDS);
        let mut later = until;
        loop {
            let earlier = later.plus_seconds(-SPAN_SECONDS).max(floor);
            let times = self.span(network_acl_id, earlier, later).await?;
            has_changed |= times.iter().any(|time| *time > since);
            let is_found = times.iter().any(|time| *time <= since);
            later = earlier;
            if is_found || later <= floor || (later <= since && !has_changed) {
                return Ok(());
            }
        }
    }

    /// Adds what was recorded in a span of at most seven days; gives the times.
    async fn span(
        &mut self,
        network_acl_id: &str,
        earlier: Timestamp,
        later: Timestamp,
    ) -> Result<Vec<Timestamp>, End> {
        let most_requests = self.asked.most_requests;
        if self.requests >= most_requests {
            return Err(End::Exhausted);
        }
        let parameters = Map::from_iter([
            ("resourceType".to_owned(), json!("AWS::EC2::NetworkAcl")),
            ("resourceId".to_owned(), json!(network_acl_id)),
            ("earlierTime".to_owned(), json!(earlier.0)),
            ("laterTime".to_owned(), json!(later.0)),
            ("limit".to_owned(), json!(PAGE_SIZE)),
        ]);
        let mut times = Vec::new();
        let client = self.client;
        let take = |items: Vec<Value>| {
            self.requests += 1;
            times.extend(items.into_iter().filter_map(|item| self.add(item, network_acl_id)));
            self.requests < most_requests
        };
        let keys = ("configurationItems", "nextToken");
        let fetched = client.pages(Action::GetResourceConfigHistory, &parameters, keys, take).await;
        match fetched {
            Ok(Pages::Enough) => Err(End::Exhausted),
            Ok(Pages::All) => Ok(times),
            Err(refused) => Err(match refused.code.as_deref() {
                Some("ResourceNotDiscoveredException") => End::Unknown,
                Some("NoAvailableConfigurationRecorderException") => {
                    let resource = format!("network ACLs in {}", client.region());
                    End::Failed(AwsError::NotRecorded { resource })
                }
                _ => End::Failed(refused.error),
            }),
        }
    }

    /// Keeps an item of this ACL, once; gives its time.
    fn add(&mut self, item: Value, network_acl_id: &str) -> Option<Timestamp> {
        let Value::Object(mut item) = item else { return None };
        for member in TIMES {
            print_time(&mut item, member);
        }
        let item = Value::Object(item);
        let time = captured_at(&item).filter(|_| item["resourceId"] == network_acl_id)?;
        let (state, moment) =
            (text(&item, "configurationStateId"), text(&item, "configurationItemCaptureTime"));
        if self.known.insert(format!("{network_acl_id} {moment:?} {state:?}")) {
            self.recorded.items.push(item);
        }
        Some(time)
    }
}

fn captured_at(item: &Value) -> Option<Timestamp> {
    text(item, "configurationItemCaptureTime")?.parse().ok()
}

fn text(item: &Value, member: &str) -> Option<String> {
    item.get(member)?.as_str().map(ToOwned::to_owned)
}

/// `acl-1, acl-2, acl-3 and 4 more`.
fn list(ids: &[&str]) -> String {
    let (named, more) = ids.split_at(ids.len().min(NAMED));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{}{more}", named.join(", "))
}
