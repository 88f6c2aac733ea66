//! Flow logs in S3: which objects a location stands for, and their bytes.
//!
//! Owns listing only what can hold the window, and fetching ahead within a budget of bytes. Async stays in here: objects
//! are read like files. Refuses to know what is in them.

mod body;
mod bucket;
mod fetch;
mod layout;
mod listing;
mod remote;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::HashSet;
use std::future::Future;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use aws_sdk_s3::types::RequestPayer;
use tokio::sync::mpsc;

pub use traffic::Traffic;

use super::Object;
use crate::aws::{Action, Aws, AwsError, Stop};
use crate::net::Timestamp;
use bucket::{Bucket, Buckets};
use fetch::{Fetch, Shared};
use listing::{Refused, Start, Walked};
use remote::S3Object;
use traffic::Counters;

/// `s3://BUCKET[/PREFIX]`. The bucket may be an access point's ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Location {
    /// Its name.
    pub bucket: String,
    /// What the keys begin with: a folder with or without its last `/`, a whole key, or part of a name. May be empty.
    pub prefix: String,
}

/// A text that names no place in S3.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: names no bucket\nhint: write s3://BUCKET or s3://BUCKET/PREFIX")]
pub struct ParseS3LocationError(pub String);

impl FromStr for S3Location {
    type Err = ParseS3LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseS3LocationError(text.to_owned());
        let rest = text.strip_prefix("s3://").ok_or_else(wrong)?;
        // An ARN has a `/` of its own: arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME.
        let own = if rest.starts_with("arn:") { rest.find('/').map_or(0, |at| at + 1) } else { 0 };
        let (bucket, prefix) = match rest[own..].find('/') {
            Some(at) => (&rest[..own + at], &rest[own + at + 1..]),
            None => (rest, ""),
        };
        if bucket.is_empty() || bucket.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

impl S3Location {
    /// Reads `s3://BUCKET[/PREFIX]`.
    pub fn parse(text: &str) -> Result<Self, ParseS3LocationError> {
        text.parse()
    }
}

impl std::fmt::Display for S3Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// Which objects of a location are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Records that ended before this are of no use.
    pub earliest: Option<Timestamp>,
    /// Records that started at or after this are of no use.
    pub latest: Option<Timestamp>,
    /// Only what this flow log delivered.
    pub flow_log: Option<FlowLogDelivery>,
}

/// How a flow log delivers to S3, as `DescribeFlowLogs` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowLogDelivery {
    /// Its owner, if known.
    pub account_id: Option<String>,
    /// Its region.
    pub region: String,
    /// `fl-…`.
    pub flow_log_id: String,
    /// Folders named `year=2026` instead of `2026`.
    pub hive_compatible_partitions: bool,
    /// A folder for each hour.
    pub per_hour_partition: bool,
}

/// What a location stands for.
#[derive(Debug, Default)]
pub struct S3Listing {
    /// What is to be read, in the order of their keys. Objects that an earlier listing of this run gave are left out.
    pub objects: Vec<Object>,
    /// Objects that an earlier listing of this run gave.
    pub already_listed: usize,
    /// Objects that may be flow logs but have another kind of name.
    pub passed_over: Vec<String>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// What could not be listed, with the reason.
    pub unreadable: Vec<(String, String)>,
}

/// Bounds on what fetching may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct S3Limits {
    /// Requests under way at once.
    pub in_flight: usize,
    /// Bytes received that nobody has read yet. A quarter of it is for readers that are opened out of turn, up to
    /// 408 KiB each; only more such readers at the same time than fit into that go beyond it, by as much each.
    /// What the HTTP client itself holds of each request under way (up to 408 KiB) is not counted.
    pub buffered_bytes: usize,
}

impl S3Limits {
    /// For a machine of so many cores and a run that may use so many bytes of memory.
    #[must_use]
    pub fn for_cores(cores: usize, memory_limit: usize) -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            in_flight: cores.saturating_mul(8).clamp(16, 64),
            buffered_bytes: (memory_limit / 8).clamp(16 * MIB, 128 * MIB),
        }
    }
}

/// How long a run waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The pause before what failed is tried again, the first time; it doubles from then on.
    pub first_backoff: Duration,
    /// A body or an answer that brings no byte for so long has broken off.
    pub stalled_after: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { first_backoff: Duration::from_secs(1), stalled_after: Duration::from_secs(20) }
    }
}

/// S3 as one run uses it: clients, budget, counters. Cheap to clone.
#[derive(Clone)]
pub struct S3 {
    inner: Arc<Inner>,
}

struct Inner {
    aws: Aws,
    limits: S3Limits,
    buckets: Buckets,
    counters: Arc<Counters>,
    shared: Arc<Shared>,
    /// The queue of what is to be fetched ahead.
    prepared: mpsc::UnboundedSender<Weak<Fetch>>,
    /// Names of the objects given so far.
    listed: Mutex<HashSet<String>>,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("S3").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}

impl S3 {
    /// For one run.
    #[must_use]
    pub fn new(aws: &Aws, limits: S3Limits) -> Self {
        Self::with_patience(aws, limits, Patience::default())
    }

    /// For one run that waits longer or shorter than others.
    #[must_use]
    pub fn with_patience(aws: &Aws, limits: S3Limits, patience: Patience) -> Self {
        Self::at(aws, limits, patience, aws.has_custom_endpoint("S3"))
    }

    fn at(aws: &Aws, limits: S3Limits, patience: Patience, custom_endpoint: bool) -> Self {
        let counters = Arc::<Counters>::default();
        let region = aws.regions().first().map_or("us-east-1", String::as_str);
        let buckets = Buckets::new(aws.sdk_config(region), region, custom_endpoint, patience, &counters);
        let shared = Arc::new(Shared::new(limits, patience, &counters, aws.stop()));
        let (prepared, queue) = mpsc::unbounded_channel();
        aws.spawn(Arc::clone(&shared).dispatch(queue));
        let inner =
            Inner { aws: aws.clone(), limits, buckets, counters, shared, prepared, listed: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// The objects that a location stands for. Fails when nothing there can be listed at all.
    pub fn list(&self, location: &S3Location, wanted: &Wanted) -> Result<S3Listing, AwsError> {
        let inner = &self.inner;
        let start = match &wanted.flow_log {
            Some(flow_log) => Start::Folders(layout::folders_of(&location.prefix, flow_log, wanted)),
            None => Start::Location(location.prefix.clone()),
        };
        let wanted = Arc::new(wanted.clone());
        let stop = inner.aws.stop();
        let reached = inner.aws.block_on(until_stopped(stop, inner.reach(location, &start, &wanted)));
        let Some(reached) = reached else {
            let reason = "not listed to its end: the run was interrupted".to_owned();
            return Ok(S3Listing {
                unreadable: vec![(location.to_string(), reason)],
                ..S3Listing::default()
            });
        };
        let (bucket, walked, notes) = reached?;
        if !walked.any
            && walked.unreadable.is_empty()
            && wanted.flow_log.is_none()
            && !location.prefix.is_empty()
        {
            return Err(AwsError::NotFound { resource: location.to_string() });
        }
        Ok(self.listing(&bucket, walked, notes))
    }

    fn listing(&self, bucket: &Arc<Bucket>, walked: Walked, notes: Vec<String>) -> S3Listing {
        let (passed_over, unreadable) = (walked.passed_over, walked.unreadable);
        let mut listing = S3Listing { passed_over, notes, unreadable, ..S3Listing::default() };
        let mut listed = lock(&self.inner.listed);
        for entry in walked.entries {
            let name = format!("s3://{}/{}", bucket.name, entry.key);
            if !listed.insert(name.clone()) {
                listing.already_listed += 1;
                continue;
            }
            let (size, earliest_start) = (entry.size, entry.earliest_start);
            let fetch = Arc::new(Fetch::new(bucket, entry));
            let object = S3Object { fetch, s3: Arc::clone(&self.inner) };
            listing.objects.push(Object::remote(name, size, earliest_start, Arc::new(object)));
        }
        listing
    }

    /// Forgets which objects were given: the next listing gives them again.
    pub fn begin_again(&self) {
        lock(&self.inner.listed).clear();
    }

    /// What was sent so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.inner.counters.traffic()
    }

    /// The most bytes received and not read that were held at any one moment.
    #[must_use]
    pub fn buffered_most(&self) -> usize {
        self.inner.counters.held_most()
    }
}

impl Inner {
    /// Walks a location, following the bucket to its region and accepting its charges where that is asked for.
    async fn reach(
        &self,
        location: &S3Location,
        start: &Start,
        wanted: &Arc<Wanted>,
    ) -> Result<(Arc<Bucket>, Walked, Vec<String>), AwsError> {
        let mut bucket = self.buckets.find(&location.bucket).await;
        let mut notes = Vec::new();
        let (mut redirected, mut refused_unpaid) = (false, None);
        loop {
            let (at_once, stop) = (self.limits.in_flight, self.aws.stop());
            let Refused { error, region } = match listing::walk(&bucket, start, wanted, at_once, stop).await {
                Ok(walked) => {
                    if refused_unpaid.is_some() {
                        let name = &bucket.name;
                        notes.push(format!(
                            "s3://{name}: requester pays: this account is charged for requests"
                        ));
                    }
                    self.buckets.remember(&bucket);
                    return Ok((bucket, walked, notes));
                }
                Err(refused) => refused,
            };
            if let Some(region) = region.filter(|_| !redirected) {
                redirected = true;
                bucket = self.buckets.in_region(&bucket, &region);
            } else if matches!(error, AwsError::Denied { action: Action::ListBucket, .. })
                && bucket.payer.is_none()
            {
                refused_unpaid = Some(error);
                bucket = Arc::new(Bucket { payer: Some(RequestPayer::Requester), ..(*bucket).clone() });
            } else {
                // Offering to pay did not help: then what was said before is the reason.
                return Err(refused_unpaid.filter(|_| !error.is_fatal()).unwrap_or(error));
            }
        }
    }
}

/// Gives up waiting when the run is to end.
async fn until_stopped<F: Future>(stop: &Stop, future: F) -> Option<F::Output> {
    const LOOK: Duration = Duration::from_millis(100);
    /// The walk sees the request too, and knows what it has found by then.
    const GRACE: u32 = 5;
    let mut future = std::pin::pin!(future);
    let mut looks = 0;
    loop {
        if let Ok(output) = tokio::time::timeout(LOOK, future.as_mut()).await {
            return Some(output);
        }
        if stop.is_requested() {
            looks += 1;
            if looks > GRACE {
                return None;
            }
        }
    }
}

/// The guard of a mutex under which nothing can be left half-done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
