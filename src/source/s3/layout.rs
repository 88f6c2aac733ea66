//! Where flow logs lie in a bucket, and which folders and objects can hold a stretch of time. Pure: lists nothing.
//!
//! Source: VPC User Guide, "Flow log files". Plain and hive-compatible folders, by day or by hour, all times in UTC;
//! `AWSLogs` is reserved and cannot be part of a user's own prefix. What is not laid out like this is never left out
//! on the ground of its name.

use std::path::Path;

use super::{FlowLogDelivery, Wanted};
use crate::net::Timestamp;
use crate::source::{NAME_SLACK_SECONDS, ObjectName, looks_like_flow_logs, may_be_flow_logs};

/// An object's records end within this many seconds of the time in its name …
const BUCKET_SECONDS: i64 = 300;

/// … give or take the clock slack that AWS documents; so do modification times.
const CLOCK_SLACK_SECONDS: i64 = 60;

/// The most day folders whose names are made up instead of being looked up.
const MOST_DAYS: i64 = 400;

const DAY_SECONDS: i64 = 86_400;
const HOUR_SECONDS: i64 = 3_600;

/// A folder, by its whole path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folder {
    /// Not part of what AWS lays out: anything may be below it.
    Open,
    /// Of another AWS service.
    OtherService,
    /// At or below `vpcflowlogs`.
    FlowLogs(Dated),
}

/// What a path at or below `vpcflowlogs` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Dated {
    account: Option<String>,
    region: Option<String>,
    /// Year, month, day, hour as far as they are given: one to four numbers of as many digits as AWS writes.
    date: Vec<String>,
    /// Something that is no date stands where a date would.
    other: bool,
}

impl Folder {
    /// Reads a path with or without its last `/`.
    pub(super) fn parse(path: &str) -> Self {
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        if let Some(at) = segments.iter().rposition(|segment| *segment == "AWSLogs") {
            let mut below = &segments[at + 1..];
            if below.first().is_some_and(|segment| segment.starts_with("o-")) {
                below = &below[1..];
            }
            let Some(account) = below.first().and_then(|segment| account(segment)) else {
                return Self::Open;
            };
            return match below.get(1) {
                None => Self::Open,
                Some(service) if !is_flow_logs(service) => Self::OtherService,
                Some(_) => Self::FlowLogs(Dated::parse(Some(account), &below[2..])),
            };
        }
        // Copied elsewhere without the folders above: the folder's name alone proves little, a region below it more.
        match segments.iter().rposition(|segment| is_flow_logs(segment)) {
            Some(at) if segments.get(at + 1).is_some_and(|segment| looks_like_a_region(segment)) => {
                Self::FlowLogs(Dated::parse(None, &segments[at + 1..]))
            }
            _ => Self::Open,
        }
    }

    /// Whether anything wanted can be in it.
    pub(super) fn may_hold(&self, wanted: &Wanted) -> bool {
        let dated = match self {
            Self::Open => return true,
            Self::OtherService => return false,
            Self::FlowLogs(dated) => dated,
        };
        if let (Some(flow_log), Some(region)) = (&wanted.flow_log, &dated.region)
            && flow_log.region != *region
        {
            return false;
        }
        let Some((start, end)) = dated.span() else { return true };
        let (from, until) = bucket_bounds(wanted);
        from.is_none_or(|from| end > from) && until.is_none_or(|until| start < until)
    }
}

impl Dated {
    fn parse(account: Option<String>, below: &[&str]) -> Self {
        let mut dated = Self { account, ..Self::default() };
        let mut segments = below.iter();
        dated.region =
            segments.next().map(|region| region.strip_prefix("aws-region=").unwrap_or(region).to_owned());
        for (label, digits) in [("year=", 4), ("month=", 2), ("day=", 2), ("hour=", 2)] {
            let Some(segment) = segments.next() else { return dated };
            let number = segment.strip_prefix(label).unwrap_or(segment);
            if number.len() != digits || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                dated.other = true;
                return dated;
            }
            dated.date.push(number.to_owned());
        }
        dated.other = segments.next().is_some();
        dated
    }

    /// The first moment of this year, month, day or hour, and the first after it. `None` when it is not one of these.
    fn span(&self) -> Option<(Timestamp, Timestamp)> {
        if self.other {
            return None;
        }
        let part = |at: usize| self.date.get(at).map_or("01", String::as_str);
        let hour = self.date.get(3).map_or("00", String::as_str);
        let moment = |year: &str, month: &str| -> Option<Timestamp> {
            format!("{year}-{month}-{}T{hour}:00:00Z", part(2)).parse().ok()
        };
        let start = moment(part(0), part(1))?;
        let end = match self.date.len() {
            1 => moment(&format!("{:04}", part(0).parse::<u32>().ok()? + 1), "01")?,
            2 if part(1) == "12" => moment(&format!("{:04}", part(0).parse::<u32>().ok()? + 1), "01")?,
            2 => moment(part(0), &format!("{:02}", part(1).parse::<u32>().ok()? + 1))?,
            3 => start.plus_seconds(DAY_SECONDS),
            4 => start.plus_seconds(HOUR_SECONDS),
            _ => return None,
        };
        Some((start, end))
    }
}

/// The times that the name of a wanted object can have: from the first one on, and before the second.
fn bucket_bounds(wanted: &Wanted) -> (Option<Timestamp>, Option<Timestamp>) {
    (
        wanted.earliest.map(|earliest| earliest.plus_seconds(-BUCKET_SECONDS - CLOCK_SLACK_SECONDS)),
        wanted.latest.map(|latest| latest.plus_seconds(NAME_SLACK_SECONDS)),
    )
}

/// What becomes of a listed object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// It is read.
    Read {
        /// No record in it started before this moment, as far as its name says.
        earliest_start: Option<Timestamp>,
    },
    /// It may be flow logs, but is named like something else.
    PassOver,
    /// It holds nothing that is wanted.
    Leave,
}

/// The moment before which no record in an object of this key started, as far as its name says.
pub(super) fn earliest_start(key: &str) -> Option<Timestamp> {
    ObjectName::parse(key.rsplit('/').next()?).map(|name| name.earliest_start())
}

/// Decides about an object by its key and the time it was last modified.
pub(super) fn choose(key: &str, last_modified: Option<Timestamp>, wanted: &Wanted) -> Choice {
    let file_name = key.rsplit('/').next().unwrap_or_default();
    if file_name.is_empty() || file_name.starts_with('.') {
        return Choice::Leave;
    }
    let Some(name) = ObjectName::parse(file_name) else {
        return choose_unnamed(file_name, last_modified, wanted);
    };
    let (from, until) = bucket_bounds(wanted);
    let in_time =
        from.is_none_or(|from| name.bucket >= from) && until.is_none_or(|until| name.bucket < until);
    let of_flow_log =
        wanted.flow_log.as_ref().is_none_or(|flow_log| flow_log.flow_log_id == name.flow_log_id);
    if in_time && of_flow_log {
        Choice::Read { earliest_start: Some(name.earliest_start()) }
    } else {
        Choice::Leave
    }
}

/// An object that AWS did not name. It cannot hold records that ended after it was last modified.
fn choose_unnamed(file_name: &str, last_modified: Option<Timestamp>, wanted: &Wanted) -> Choice {
    let too_early = match (wanted.earliest, last_modified) {
        (Some(earliest), Some(modified)) => modified < earliest.plus_seconds(-CLOCK_SLACK_SECONDS),
        _ => false,
    };
    if too_early || wanted.flow_log.is_some() {
        Choice::Leave
    } else if looks_like_flow_logs(Path::new(file_name)) {
        Choice::Read { earliest_start: None }
    } else if may_be_flow_logs(Path::new(file_name)) {
        Choice::PassOver
    } else {
        Choice::Leave
    }
}

/// Keys to ask for: those that begin with `prefix`, come after `after`, and before `before`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) prefix: String,
    pub(super) after: Option<String>,
    pub(super) before: Option<String>,
}

impl Keys {
    /// All that begin so.
    pub(super) fn beginning_with(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), after: None, before: None }
    }

    /// What to ask for in a folder: with a flow log known and the folder being one that its objects lie in, only those.
    pub(super) fn of_folder(path: &str, wanted: &Wanted) -> Self {
        let Some(flow_log) = &wanted.flow_log else { return Self::beginning_with(path) };
        let Folder::FlowLogs(dated) = Folder::parse(path) else { return Self::beginning_with(path) };
        let (Some(account), Some((start, end))) = (&dated.account, dated.span()) else {
            return Self::beginning_with(path);
        };
        let last = if flow_log.per_hour_partition { 4 } else { 3 };
        if dated.date.len() != last {
            return Self::beginning_with(path);
        }
        let day = dated.date[..3].concat();
        let FlowLogDelivery { region, flow_log_id, .. } = flow_log;
        let prefix = format!("{path}{account}_vpcflowlogs_{region}_{flow_log_id}_{day}T");
        // With everything before it fixed, the time orders the keys.
        let (from, until) = bucket_bounds(wanted);
        let at = |moment: Timestamp| format!("{prefix}{}", moment.strftime("%H%M"));
        Self {
            after: from.filter(|from| (start..end).contains(from)).map(at),
            before: until
                .map(|until| until.plus_seconds(59))
                .filter(|until| (start..end).contains(until))
                .map(at),
            prefix,
        }
    }
}

/// The folders to begin at when a flow log's own are known: those of its days or hours where that is a bounded number
/// and its account is known, else `AWSLogs` below its prefix.
pub(super) fn folders_of(prefix: &str, flow_log: &FlowLogDelivery, wanted: &Wanted) -> Vec<String> {
    let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
    let base = format!("{prefix}{slash}AWSLogs/");
    let Some(account) = &flow_log.account_id else { return vec![base] };
    let region = &flow_log.region;
    let trunks = if flow_log.hive_compatible_partitions {
        // The VPC guide and the transit gateway guide print different names for the second folder.
        ["aws-service", "service"]
            .map(|service| {
                format!("{base}aws-account-id={account}/{service}=vpcflowlogs/aws-region={region}/")
            })
            .to_vec()
    } else {
        vec![format!("{base}{account}/vpcflowlogs/{region}/")]
    };
    let Some(times) = partitions(flow_log.per_hour_partition, wanted) else { return trunks };
    let pattern = match (flow_log.hive_compatible_partitions, flow_log.per_hour_partition) {
        (false, false) => "%Y/%m/%d/",
        (false, true) => "%Y/%m/%d/%H/",
        (true, false) => "year=%Y/month=%m/day=%d/",
        (true, true) => "year=%Y/month=%m/day=%d/hour=%H/",
    };
    let below = |trunk: &String| {
        times.iter().map(|time| format!("{trunk}{}", time.strftime(pattern))).collect::<Vec<_>>()
    };
    trunks.iter().flat_map(below).collect()
}

/// The beginnings of the days or hours that wanted objects can be named for.
fn partitions(per_hour: bool, wanted: &Wanted) -> Option<Vec<Timestamp>> {
    let (Some(from), Some(until)) = bucket_bounds(wanted) else { return None };
    if until.seconds_since(from) > MOST_DAYS * DAY_SECONDS {
        return None;
    }
    let step = if per_hour { HOUR_SECONDS } else { DAY_SECONDS };
    let mut next = Timestamp(from.0.div_euclid(step) * step);
    let mut times = Vec::new();
    while next < until {
        times.push(next);
        next = next.plus_seconds(step);
    }
    Some(times)
}

fn account(segment: &str) -> Option<String> {
    let number = segment.strip_prefix("aws-account-id=").unwrap_or(segment);
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| number.to_owned())
}

fn is_flow_logs(segment: &str) -> bool {
    ["vpcflowlogs", "aws-service=vpcflowlogs", "service=vpcflowlogs"].contains(&segment)
}

/// `eu-west-1`, `us-gov-east-1`, `aws-region=eu-west-1`.
fn looks_like_a_region(segment: &str) -> bool {
    let name = segment.strip_prefix("aws-region=").unwrap_or(segment);
    let mut parts = name.rsplit('-');
    let number = parts.next().unwrap_or_default();
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && parts.clone().count() >= 2
        && parts.all(|part| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_lowercase()))
}
