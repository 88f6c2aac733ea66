//! Flow logs in CloudWatch Logs: first every rejected record, then the other records of the interfaces and times that
//! have rejected ones.
//!
//! Owns log groups, slices of time, filters, pages and queries. Refuses to know what a record means: it looks at an event's
//! time and at its whitespace-separated words, and never at a field by position. An event is a *reject* if one of its
//! words is exactly `REJECT`; no event is handed on both as a reject and as another.
//!
//! # What is asked, and why so
//!
//! `FilterLogEvents` costs time, not money: an account may send 5 to 25 requests a second, a page has at most 1 MB or
//! 10 000 events, and the service reads a stretch of time whole, whatever the filter lets through. So the range is cut
//! into slices that are asked for side by side, at a pace that the service sets, and filters are there to spare pages:
//!
//! - *Rejects*: the term `REJECT`. A term matches in every record format, which a positional pattern does not.
//! - *The others*: the ids of the slice's interfaces, as optional terms. A pattern has room for about forty of them. Up to
//!   three patterns are used for a slice; with more interfaces than that reading the slice once more for each pattern is
//!   dearer than receiving it once, and the pattern is `?ACCEPT ?SKIPDATA ?NODATA`. Streams are not chosen by name:
//!   one stream an interface is usual, its name is not promised.
//!
//! Every filter is applied again to what is received, times as well: a server that ignores them only costs time.
//!
//! Groups of class Infrequent Access are read by Logs Insights with the same conditions. There a query costs by the bytes
//! of the stretch of time it covers, and slices that do not overlap cover each byte once.

mod call;
mod feed;
mod filter;
mod group;
mod insights;
mod rate;
mod slice;
mod span;
mod spool;
mod target;
mod wanted;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

pub use call::LogsTraffic;
use call::{Cut, Service, Traffic};
use feed::Ahead;
pub use group::LogGroup;
use slice::{Fetching, Slice};
pub use span::{Needed, TimeRange};
use spool::{Shared, Spool};
use target::Group;
pub use target::LogGroupClass;
use wanted::Wanted;

use super::{Object, Remote};
use crate::aws::{Action, Aws, AwsError};
use crate::net::Timestamp;

/// Slices of rejects whose fetching may begin before they are read.
const SLICES_AHEAD: usize = 64;
/// What is copied at once.
const COPY_BYTES: usize = 64 * 1024;

/// Bounds on what is asked of the service and on what is held here.
#[derive(Debug, Clone)]
pub struct LogsLimits {
    /// The pace at the beginning …
    pub first_requests_per_second: f64,
    /// … and at most, by kind of request, region and account.
    pub most_requests_per_second: f64,
    /// How often a request that is throttled or meets a fault of the service is sent, the first time included.
    pub attempts: u32,
    /// The pause before the first retry; each further one is twice as long, up to five seconds.
    pub first_backoff: Duration,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// Slices that are fetched at the same time.
    pub slices_at_once: usize,
    /// Text fetched ahead of its reading, in bytes, for all slices together. A page or query result under way comes
    /// on top for each slice.
    pub ahead_bytes: usize,
    /// Rejected records kept in memory, in bytes; what is beyond goes to a temporary file.
    pub rejects_in_memory: usize,
    /// The most rows that a Logs Insights query answers: at most 100 000.
    pub query_rows: i32,
    /// The pause before a query is looked at again; each further one is half as long again, up to two seconds.
    pub first_poll: Duration,
}

impl Default for LogsLimits {
    fn default() -> Self {
        Self {
            // The least and the most that AWS grants by region (CloudWatch Logs User Guide, "CloudWatch Logs quotas").
            first_requests_per_second: 5.0,
            most_requests_per_second: 25.0,
            attempts: 10,
            first_backoff: Duration::from_millis(200),
            request_timeout: Duration::from_mins(1),
            slices_at_once: 8,
            ahead_bytes: 64 * 1024 * 1024,
            rejects_in_memory: 32 * 1024 * 1024,
            query_rows: 100_000,
            first_poll: Duration::from_millis(250),
        }
    }
}

impl LogsLimits {
    /// For a run that may use so many bytes of memory.
    #[must_use]
    pub fn for_memory(memory_limit: usize) -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            ahead_bytes: (memory_limit / 16).clamp(16 * MIB, 64 * MIB),
            rejects_in_memory: (memory_limit / 32).clamp(8 * MIB, 32 * MIB),
            ..Self::default()
        }
    }
}

/// How far the fetching of rejects is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogsProgress {
    /// Slices of time fetched to their end.
    pub slices: usize,
    /// Slices in all.
    pub slices_total: usize,
    /// Rejected records so far.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Rejected records that were fetched.
#[derive(Debug)]
pub struct Fetched {
    /// All of them, to be read any number of times. When fetching was cut off, reading gives what was fetched and then
    /// fails with the reason.
    pub object: Object,
    /// How many.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Why there may be more, a lowercase fragment; reading `object` to its end says the same.
    pub cut_off: Option<String>,
}

/// One event of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// The event's time: its record's `start`.
    pub at: Timestamp,
    /// Its message as one line.
    pub message: String,
}

impl Sampled {
    fn new(milliseconds: i64, message: &str) -> Self {
        let line = filter::line(message);
        let message = String::from_utf8_lossy(&line).trim_end().to_owned();
        Self { at: Timestamp(milliseconds.div_euclid(1000)), message }
    }
}

/// CloudWatch Logs for one run. Clones share everything.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    shared: Arc<SharedState>,
}

#[derive(Debug)]
struct SharedState {
    fetching: Arc<Fetching>,
    limits: LogsLimits,
    traffic: Arc<Traffic>,
    known: Mutex<Known>,
}

/// Clients by region and account, which have quotas of their own, and the groups looked up.
#[derive(Debug, Default)]
struct Known {
    services: BTreeMap<(String, Option<String>), Arc<Service>>,
    groups: BTreeMap<LogGroup, Arc<Group>>,
}

impl CloudWatch {
    /// Nothing is asked of AWS yet.
    #[must_use]
    pub fn new(aws: &Aws, limits: LogsLimits) -> Self {
        let fetching = Fetching {
            aws: aws.clone(),
            ahead: Arc::new(Ahead::new(limits.ahead_bytes)),
            turns: Semaphore::new(limits.slices_at_once.max(1)),
        };
        Self {
            shared: Arc::new(SharedState {
                fetching: Arc::new(fetching),
                limits,
                traffic: Arc::default(),
                known: Mutex::default(),
            }),
        }
    }

    /// How a group can be read; fails when there is none of that name. Where looking it up is not allowed it is taken
    /// for a standard one, and [`Self::notes`] says so.
    pub fn class(&self, group: &LogGroup) -> Result<LogGroupClass, AwsError> {
        let group = self.group(group);
        let target = self.shared.fetching.aws.block_on(group.target());
        target.map(|target| target.class).map_err(|cut| cut_error(&group, cut))
    }

    /// Every event with the word `REJECT` in `range`, one a line. Fails when nothing could be fetched; when fetching is
    /// cut off later, by a fault or by the wish to stop, what was fetched is kept and says so when it is read.
    pub fn rejects(
        &self,
        group: &LogGroup,
        range: TimeRange,
        progress: &mut dyn FnMut(LogsProgress),
    ) -> Result<Fetched, AwsError> {
        let group = self.group(group);
        let ranges = span::union(vec![range]);
        let slices = self.slices(&group, &ranges, &Arc::new(Wanted::Rejects));
        let mut spool = Spool::new(self.shared.limits.rejects_in_memory);
        let mut soon = slices.iter();
        soon.by_ref().take(SLICES_AHEAD).for_each(Slice::prepare);
        let mut cut_off = None;
        for (index, slice) in slices.iter().enumerate() {
            if let Some(slice) = soon.next() {
                slice.prepare();
            }
            let result = copy(slice, &mut spool, &group);
            let so_far = LogsProgress {
                slices: index + usize::from(result.is_ok()),
                slices_total: slices.len(),
                events: spool.lines,
                bytes: spool.bytes,
            };
            progress(so_far);
            match result {
                Ok(()) => {}
                Err(Cut::Failed(error)) if spool.bytes == 0 || error.is_fatal() => return Err(error),
                Err(cut) => {
                    cut_off = Some(cut);
                    break;
                }
            }
        }
        let (events, bytes) = (spool.lines, spool.bytes);
        let reason = cut_off.as_ref().map(|cut| feed::io_error(cut.clone()).to_string());
        let remote = Shared(Arc::new(spool.finish(cut_off)));
        let name = format!("{} (rejected)", group.name);
        let object = Object::remote(name, Some(bytes), Some(range.from), Arc::new(remote));
        Ok(Fetched { object, events, bytes, cut_off: reason })
    }

    /// The other events of these interfaces in these spans: accepted records, SKIPDATA and NODATA. One object a slice of
    /// time, disjoint, in time order; each is fetched when it is prepared or opened.
    #[must_use]
    pub fn others(&self, group: &LogGroup, needed: &[Needed]) -> Vec<Object> {
        let group = self.group(group);
        let ranges = span::union(needed.iter().flat_map(|needed| needed.spans.iter().copied()).collect());
        let slices = self.slices(&group, &ranges, &Arc::new(Wanted::others(needed)));
        let object = |slice: Slice| {
            let (from, to) = (slice.range.from, slice.range.to);
            let name = format!("{} ({from} to {to})", group.name);
            Object::remote(name, None, Some(from), Arc::new(slice))
        };
        slices.into_iter().map(object).collect()
    }

    /// The first events of a range, whatever they are or those with `word`: tells an empty group, one of rejected
    /// records only and one that holds no flow logs.
    pub fn sample(
        &self,
        group: &LogGroup,
        range: TimeRange,
        word: Option<&'static str>,
    ) -> Result<Vec<Sampled>, AwsError> {
        let group = self.group(group);
        let wanted = word.map_or(Wanted::Anything, Wanted::Word);
        let sample = async {
            let target = group.readable().await?;
            match target.class {
                LogGroupClass::InfrequentAccess => group.first_rows(target, range, &wanted).await,
                _ => group.first_events(target, range, &wanted).await,
            }
        };
        self.shared.fetching.aws.block_on(sample).map_err(|cut| cut_error(&group, cut))
    }

    /// What was asked and received so far, for all groups.
    #[must_use]
    pub fn traffic(&self) -> LogsTraffic {
        self.shared.traffic.so_far()
    }

    /// What could not be found out about groups, one sentence each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.known().groups.values().filter_map(|group| group.note()).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn group(&self, group: &LogGroup) -> Arc<Group> {
        let aws = &self.shared.fetching.aws;
        let region = group.region.clone().or_else(|| aws.regions().first().cloned()).unwrap_or_default();
        let mut known = self.known();
        let key = (region.clone(), group.account_id.clone());
        let service = known.services.entry(key).or_insert_with(|| {
            Arc::new(Service::new(aws, &region, &self.shared.limits, &self.shared.traffic))
        });
        let service = Arc::clone(service);
        let entry = known.groups.entry(group.clone());
        Arc::clone(entry.or_insert_with(|| Arc::new(Group::new(service, group.clone()))))
    }

    fn slices(&self, group: &Arc<Group>, ranges: &[TimeRange], wanted: &Arc<Wanted>) -> Vec<Slice> {
        let slice = |range| Slice {
            fetching: Arc::clone(&self.shared.fetching),
            group: Arc::clone(group),
            range,
            wanted: Arc::clone(wanted),
            feed: Mutex::default(),
        };
        span::slices(ranges).into_iter().map(slice).collect()
    }
}

fn copy(slice: &Slice, spool: &mut Spool, group: &Group) -> Result<(), Cut> {
    let kept = |error: &std::io::Error| {
        let problem = format!(
            "cannot keep the rejected records in a temporary file: {error}\nhint: set TMPDIR to a folder with room"
        );
        Cut::Failed(group.failure(Action::FilterLogEvents, problem))
    };
    let mut reader = slice.open().map_err(|error| kept(&error))?;
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => spool.add(&buffer[..count]).map_err(|error| kept(&error))?,
            Err(error) => return Err(feed::cut(&error).unwrap_or_else(|| kept(&error))),
        }
    }
}

fn cut_error(group: &Group, cut: Cut) -> AwsError {
    match cut {
        Cut::Failed(error) => error,
        Cut::Stopped => group.failure(Action::DescribeLogGroups, "stopped before its answer"),
    }
}
