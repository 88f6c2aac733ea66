//! What a run reads: local inputs, buckets, log groups, or every flow log of the account.
//!
//! Composes the live sources with what decides how much of them is wanted. Connects to AWS once, when it first has to.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, anyhow, bail};

use super::flow_log::{Destination, delivery_failure, name_of, shortcomings};
use super::log_group::{Delivered, LogGroupRead};
use super::watch::Watch;
use crate::aws::{Aws, AwsError, AwsOptions, FlowLog};
use crate::config::Diagnose;
use crate::correlate::{LONGEST_RECORD_SECONDS, Span};
use crate::net::Timestamp;
use crate::pipeline::ReadOptions;
use crate::report::view::Requests;
use crate::source::cloudwatch::{CloudWatch, LogGroup, LogsLimits};
use crate::source::s3::{FlowLogDelivery, S3, S3Limits, S3Listing, S3Location, Wanted};
use crate::source::{Discovery, Object, ObjectName, Stop, discover, is_live};

/// Sources of one run, or of the rounds of one that follows.
pub(super) struct Sources<'a> {
    config: &'a Diagnose,
    stop: Stop,
    aws: Option<Aws>,
    s3: Option<S3>,
    logs: Option<CloudWatch>,
}

/// The time that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    /// It is one of several that follow each other: each record counts in the one that it starts in.
    pub(super) by_start: bool,
}

impl Window {
    /// What the command line asks for.
    pub(super) fn asked_for(since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self { since, until, by_start: false }
    }
}

/// What was found to read, and what there is to say of it.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Found {
    pub(super) discovery: Discovery,
    /// Regions that the inputs are from, where that is known.
    pub(super) regions: BTreeSet<String>,
    pub(super) warnings: Vec<String>,
    pub(super) notes: Vec<String>,
    /// Requests made to AWS for the records.
    pub(super) requests: Requests,
    /// What happened while they were made.
    pub(super) events: Option<String>,
    /// Sources hold accepted records beyond those that are read.
    pub(super) accepted_unread: bool,
    /// Other parts of the time hold accepted records.
    pub(super) accepted_elsewhere: bool,
    /// A flow log records ACCEPT only, and no other one records what is rejected there.
    pub(super) rejects_unrecorded: bool,
    /// Sources hold SKIPDATA records that are not read.
    pub(super) losses_unread: bool,
    /// Records that are not read lie at these moments.
    times: Option<Span>,
    /// Places that were looked at, failed ones among them.
    looked_at: usize,
    /// Places that failed, which is the run's error if nothing else is there.
    failed: Vec<(String, anyhow::Error)>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(config: &'a Diagnose, stop: &Stop) -> Self {
        Self { config, stop: stop.clone(), aws: None, s3: None, logs: None }
    }

    /// The connection to AWS, made when it is first asked for.
    pub(super) fn aws(&mut self) -> Result<Aws, AwsError> {
        if let Some(aws) = &self.aws {
            return Ok(aws.clone());
        }
        let options = &self.config.aws;
        let aws = match Aws::connect(options, &self.stop) {
            // A bucket is found from any region, and its objects tell theirs; the AWS CLI begins there too.
            Err(AwsError::NoRegion) if self.reads_buckets_only() => {
                let regions = vec!["us-east-1".to_owned()];
                Aws::connect(&AwsOptions { regions, ..options.clone() }, &self.stop)?
            }
            connected => connected?,
        };
        self.aws = Some(aws.clone());
        Ok(aws)
    }

    fn reads_buckets_only(&self) -> bool {
        let mut live = self.config.sources.iter().filter(|source| is_live(source)).peekable();
        live.peek().is_some() && live.all(|source| source.starts_with("s3://"))
    }

    /// Requests made so far for records.
    pub(super) fn requests(&self) -> Requests {
        let s3 = self.s3.as_ref().map(S3::traffic).unwrap_or_default();
        let logs = self.logs.as_ref().map(CloudWatch::traffic).unwrap_or_default();
        Requests {
            sent: s3.requests + logs.requests,
            repeated: s3.retries + logs.retries,
            resumed: s3.resumed,
        }
    }

    /// How many events CloudWatch Logs sent so far, and how many of them were wanted; nothing where it was not asked.
    pub(super) fn events(&self) -> Option<String> {
        let traffic = self.logs.as_ref()?.traffic();
        Some(format!(
            "CloudWatch Logs sent {} events in {} pages, of which {} were wanted",
            traffic.events_received, traffic.pages, traffic.events_kept
        ))
    }

    /// Finds what there is to read for `window`.
    pub(super) fn find(
        &mut self,
        window: Window,
        options: &ReadOptions,
        watch: &mut Watch,
    ) -> anyhow::Result<Found> {
        let mut found = Found::default();
        if let Some(s3) = &self.s3 {
            s3.begin_again();
        }
        let (live, local): (Vec<_>, Vec<_>) =
            self.config.sources.iter().cloned().partition(|source| is_live(source));
        if !local.is_empty() {
            found.looked_at += 1;
            match discover(&local, &self.stop) {
                Ok(discovery) => found.discovery = discovery,
                Err(error) => found.failed.push((local.join(", "), error.into())),
            }
        }
        let mut groups: BTreeMap<LogGroup, Delivered> = BTreeMap::new();
        if self.config.sources.is_empty() {
            self.flow_logs(window, &mut groups, &mut found, watch)?;
        }
        for source in &live {
            if source.starts_with("s3://") {
                let location = S3Location::parse(source)?;
                self.bucket(&location, window, None, &mut found, watch)?;
            } else {
                groups.entry(log_group(source)?).or_default();
            }
        }
        for (group, delivered) in groups {
            self.log_group(&group, &delivered, window, options, &mut found, watch)?;
        }
        found.warnings.extend(self.logs.iter().flat_map(CloudWatch::notes));
        found.finish()
    }

    /// Every flow log of the regions, at its own destination.
    fn flow_logs(
        &mut self,
        window: Window,
        groups: &mut BTreeMap<LogGroup, Delivered>,
        found: &mut Found,
        watch: &mut Watch,
    ) -> anyhow::Result<()> {
        let aws = self.aws()?;
        let (mut seen, mut wanted) = (0, 0);
        let mut earlier = EarlierDeliveries::default();
        for region in aws.regions() {
            watch.say(&format!("looking for flow logs in {region}"));
            let flow_logs = match aws.flow_logs(region) {
                Ok(flow_logs) => flow_logs,
                Err(error) => {
                    found.looked_at += 1;
                    found.fail(format!("flow logs of {region}"), error)?;
                    continue;
                }
            };
            found.regions.insert(region.clone());
            seen += flow_logs.len();
            for flow_log in &flow_logs {
                earlier.described.insert(flow_log.flow_log_id.clone());
                if flow_log.resource_id.starts_with("tgw-") {
                    found.warnings.push(format!(
                        "{} logs a transit gateway, whose records tell of no rejects: it was not read",
                        name_of(flow_log)
                    ));
                } else if self.is_wanted(flow_log) {
                    wanted += 1;
                    found.note_limits(flow_log, &flow_logs);
                    match Destination::of(flow_log) {
                        Destination::S3(location) => {
                            let own = self.deliveries(&location, (flow_log, region), window, found, watch)?;
                            if own == Some(0) || is_younger(flow_log, window) {
                                earlier.note(location, region, (own == Some(0)).then(|| name_of(flow_log)));
                            }
                        }
                        Destination::LogGroup(name) => {
                            let group = LogGroup { region: Some(region.clone()), name, account_id: None };
                            Delivered::note(groups.entry(group), flow_log);
                        }
                        Destination::Other(kind) => {
                            let reason = format!(
                                "delivers to {kind}, which cannot be read back: give its files as SOURCE"
                            );
                            found.discovery.unreadable.push((name_of(flow_log), reason));
                        }
                    }
                }
            }
        }
        if wanted == 0 && found.failed.is_empty() {
            bail!(no_flow_log(&aws.regions().join(", "), seen));
        }
        self.earlier_deliveries(earlier, window, found, watch)
    }

    /// What one flow log delivered to S3: how many objects, unless they cannot be listed.
    fn deliveries(
        &mut self,
        location: &S3Location,
        (flow_log, region): (&FlowLog, &str),
        window: Window,
        found: &mut Found,
        watch: &mut Watch,
    ) -> anyhow::Result<Option<usize>> {
        let options = &flow_log.destination_options;
        let delivery = FlowLogDelivery {
            account_id: self.aws()?.account_id().ok(),
            region: region.to_owned(),
            flow_log_id: flow_log.flow_log_id.clone(),
            hive_compatible_partitions: options.hive_compatible_partitions,
            per_hour_partition: options.per_hour_partition,
        };
        self.bucket(location, window, Some(delivery), found, watch)
    }

    /// Whether a flow log can hold records of the places asked for; where that is not sure, it is read.
    fn is_wanted(&self, flow_log: &FlowLog) -> bool {
        let filters = &self.config.filters;
        let resource = &flow_log.resource_id;
        let admits = |wanted: &[String], kind: &str| {
            wanted.is_empty() || !resource.starts_with(kind) || wanted.contains(resource)
        };
        admits(&filters.vpc_ids, "vpc-")
            && admits(&filters.subnet_ids, "subnet-")
            && admits(&filters.interface_ids, "eni-")
    }

    fn log_group(
        &mut self,
        group: &LogGroup,
        delivered: &Delivered,
        window: Window,
        options: &ReadOptions,
        found: &mut Found,
        watch: &mut Watch,
    ) -> anyhow::Result<()> {
        found.looked_at += 1;
        let aws = self.aws()?;
        let limits = LogsLimits::for_memory(self.config.memory_limit_bytes);
        let logs = self.logs.get_or_insert_with(|| CloudWatch::new(&aws, limits)).clone();
        found.regions.extend(group.region.clone().or_else(|| aws.regions().first().cloned()));
        let match_window_seconds = self.config.match_window_seconds;
        LogGroupRead { logs: &logs, group, delivered, match_window_seconds }
            .find(window, options, found, watch)
    }

    /// A flow log cannot be changed, only made anew under another id: what one that is gone delivered to the same place, for
    /// the same account and region, is as good.
    fn earlier_deliveries(
        &mut self,
        earlier: EarlierDeliveries,
        window: Window,
        found: &mut Found,
        watch: &mut Watch,
    ) -> anyhow::Result<()> {
        let EarlierDeliveries { described, places } = earlier;
        if places.is_empty() {
            return Ok(());
        }
        let account_id = match self.aws()?.account_id() {
            Ok(account_id) => account_id,
            Err(error) => return found.fail("what earlier flow logs delivered".to_owned(), error),
        };
        for (EarlierPlace { bucket, prefix, region }, silent) in places {
            let base = prefix.trim_end_matches('/');
            let slash = if base.is_empty() { "" } else { "/" };
            let hive = |service: &str| {
                format!("aws-account-id={account_id}/{service}=vpcflowlogs/aws-region={region}")
            };
            let mut more = 0;
            for folder in [format!("{account_id}/vpcflowlogs/{region}"), hive("aws-service"), hive("service")]
            {
                let prefix = format!("{base}{slash}AWSLogs/{folder}/");
                let location = S3Location { bucket: bucket.clone(), prefix };
                match self.list(&location, window, None, watch)? {
                    Ok(mut listing) => {
                        listing.objects.retain(|object| !is_from(object, &described));
                        more += listing.objects.len();
                        found.take(listing);
                    }
                    // There is one of these folders or another.
                    Err(AwsError::NotFound { .. }) => {}
                    Err(error) => {
                        found.looked_at += 1;
                        found.fail(location.to_string(), error)?;
                    }
                }
            }
            let place = S3Location { bucket, prefix };
            if more > 0 {
                found.notes.push(format!(
                    "{place}: of flow logs that are there no more, {more} objects were read too"
                ));
            } else {
                let silent = silent
                    .iter()
                    .map(|name| format!("{name} has delivered nothing to {place} for this time"));
                found.warnings.extend(silent);
            }
        }
        Ok(())
    }

    /// Lists a location. Gives how many objects it stands for, unless it cannot be listed.
    fn bucket(
        &mut self,
        location: &S3Location,
        window: Window,
        flow_log: Option<FlowLogDelivery>,
        found: &mut Found,
        watch: &mut Watch,
    ) -> anyhow::Result<Option<usize>> {
        found.looked_at += 1;
        let is_named = flow_log.is_none();
        match self.list(location, window, flow_log, watch)? {
            Ok(listing) => {
                let objects = listing.objects.len() + listing.already_listed;
                if is_named && objects == 0 && listing.unreadable.is_empty() {
                    found.warnings.push(format!("{location} holds no flow log object for this time"));
                }
                found.take(listing);
                Ok(Some(objects))
            }
            Err(error) => found.fail(location.to_string(), error).map(|()| None),
        }
    }

    fn list(
        &mut self,
        location: &S3Location,
        window: Window,
        flow_log: Option<FlowLogDelivery>,
        watch: &mut Watch,
    ) -> Result<Result<S3Listing, AwsError>, AwsError> {
        let aws = self.aws()?;
        let limits = S3Limits::for_cores(self.config.threads, self.config.memory_limit_bytes);
        let s3 = self.s3.get_or_insert_with(|| S3::new(&aws, limits));
        watch.say(&format!("listing {location}"));
        let reach = self.config.match_window_seconds + LONGEST_RECORD_SECONDS;
        let wanted = Wanted {
            earliest: window.since.map(|since| since.plus_seconds(-reach)),
            latest: window.until.map(|until| until.plus_seconds(reach)),
            flow_log,
        };
        Ok(s3.list(location, &wanted))
    }
}

/// Places to which flow logs that are gone may have delivered what is wanted.
#[derive(Default)]
struct EarlierDeliveries {
    /// Flow logs that are there: what they delivered is asked for by their ids.
    described: BTreeSet<String>,
    /// With the names of the flow logs that have delivered nothing there themselves.
    places: BTreeMap<EarlierPlace, Vec<String>>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct EarlierPlace {
    bucket: String,
    prefix: String,
    region: String,
}

impl EarlierDeliveries {
    fn note(&mut self, location: S3Location, region: &str, silent: Option<String>) {
        let S3Location { bucket, prefix } = location;
        let place = EarlierPlace { bucket, prefix, region: region.to_owned() };
        self.places.entry(place).or_default().extend(silent);
    }
}

/// What the name of an object says, where AWS gave it.
fn name_of_object(object: &Object) -> Option<ObjectName> {
    object.name.rsplit('/').next().and_then(ObjectName::parse)
}

/// Whether an object may hold records of a time or what pairs with them, as far as its name tells.
fn may_lie_in(object: &Object, window: Window, match_window_seconds: i64) -> bool {
    let Some(name) = name_of_object(object) else { return true };
    let reach = match_window_seconds + LONGEST_RECORD_SECONDS;
    // The records in it end in these five minutes.
    let (first, last) = (name.bucket.plus_seconds(-reach), name.bucket.plus_seconds(300 + reach));
    window.since.is_none_or(|since| last >= since) && window.until.is_none_or(|until| first < until)
}

/// Whether one of these flow logs delivered the object, by its name.
fn is_from(object: &Object, flow_log_ids: &BTreeSet<String>) -> bool {
    name_of_object(object).is_some_and(|name| flow_log_ids.contains(&name.flow_log_id))
}

/// There is no flow log, or none that may know.
fn no_flow_log(regions: &str, seen: usize) -> String {
    if seen > 0 {
        return format!(
            "no flow log in {regions} can hold records of what is asked for; there are {seen}\nhint: \
             `aws ec2 describe-flow-logs` lists them; give --region for another region, or fewer filters"
        );
    }
    format!(
        "no flow logs in {regions}\nhint: aws ec2 create-flow-logs --resource-type VPC --resource-ids vpc-… \
         --traffic-type ALL --log-destination-type s3 --log-destination arn:aws:s3:::BUCKET \
         --max-aggregation-interval 60; the first records come some ten minutes later. \
         Another region: --region; files: flowcheck PATH"
    )
}

/// Whether the flow log was made after the beginning of the window.
fn is_younger(flow_log: &FlowLog, window: Window) -> bool {
    let created = flow_log.creation_time.as_deref().and_then(|time| time.parse::<Timestamp>().ok());
    matches!((created, window.since), (Some(created), Some(since)) if created > since)
}

impl Found {
    /// For what is shown before all is read: that no accepted record was seen says nothing then.
    pub(super) fn while_reading() -> Self {
        Self { accepted_unread: true, ..Self::default() }
    }

    /// What a flow log cannot show, by what it records and by how its delivery goes.
    fn note_limits(&mut self, flow_log: &FlowLog, flow_logs: &[FlowLog]) {
        if let Some(shortcoming) = shortcomings(flow_log, flow_logs) {
            self.warnings.push(shortcoming);
            self.rejects_unrecorded |= flow_log.traffic_type.as_deref() == Some("ACCEPT");
        }
        if let Some(failure) = delivery_failure(flow_log) {
            self.discovery.unreadable.push((name_of(flow_log), failure));
        }
    }

    /// Leaves out objects that AWS named after another time than the one of `window`, as listing a bucket does.
    pub(super) fn keep_what_may_lie_in(&mut self, window: Window, match_window_seconds: i64) {
        self.discovery.objects.retain(|object| may_lie_in(object, window, match_window_seconds));
    }

    /// What is to be read for a part of the time.
    pub(super) fn part(&self, window: Window, match_window_seconds: i64) -> Self {
        let Discovery { objects, passed_over, unreadable } = &self.discovery;
        let objects = objects.iter().filter(|object| may_lie_in(object, window, match_window_seconds));
        let discovery = Discovery {
            objects: objects.cloned().collect(),
            passed_over: passed_over.clone(),
            unreadable: unreadable.clone(),
        };
        Self {
            discovery,
            regions: self.regions.clone(),
            warnings: self.warnings.clone(),
            notes: self.notes.clone(),
            accepted_unread: self.accepted_unread,
            rejects_unrecorded: self.rejects_unrecorded,
            losses_unread: self.losses_unread,
            looked_at: self.looked_at,
            ..Self::default()
        }
    }

    /// First and last of the five minutes that all inputs are named after, and their bytes; `None` when one of them has
    /// another kind of name or no size.
    pub(super) fn named_times(&self) -> Option<(Timestamp, Timestamp, u64)> {
        let objects = &self.discovery.objects;
        let buckets: Vec<_> =
            objects.iter().map(|object| Some(name_of_object(object)?.bucket)).collect::<Option<_>>()?;
        let bytes = objects.iter().map(|object| object.size).sum::<Option<u64>>()?;
        Some((*buckets.iter().min()?, *buckets.iter().max()?, bytes))
    }

    /// Takes over what a location stands for.
    fn take(&mut self, listing: S3Listing) {
        let S3Listing { objects, passed_over, notes, unreadable, .. } = listing;
        let names = objects.iter().filter_map(|object| object.name.rsplit('/').next());
        self.regions.extend(names.filter_map(ObjectName::parse).map(|name| name.region));
        self.discovery.objects.extend(objects);
        self.discovery.passed_over.extend(passed_over);
        self.discovery.unreadable.extend(unreadable);
        self.warnings.extend(notes);
    }

    /// Keeps the failure of one source for later, unless nothing else can succeed either.
    pub(super) fn fail(&mut self, name: String, error: AwsError) -> anyhow::Result<()> {
        if error.is_fatal() {
            return Err(error.into());
        }
        let error = match hint(&name, &error) {
            Some(hint) => anyhow!("{error}\nhint: {hint}"),
            None => error.into(),
        };
        self.failed.push((name, error));
        Ok(())
    }

    /// There are records at the beginning and at the end of this span, whether or not they are read.
    pub(super) fn note_times(&mut self, times: Option<Span>) {
        self.times = match (self.times, times) {
            (Some(a), Some(b)) => Some(a.union(b)),
            (a, b) => a.or(b),
        };
    }

    /// The time that records are known of, of which those in `read` were read.
    pub(super) fn times_known(&self, read: Span, window: Window) -> Span {
        let Some(times) = self.times else { return read };
        let start = window.since.map_or(times.start, |since| times.start.max(since));
        let end = window.until.map_or(times.end, |until| times.end.min(until));
        Span { start: read.start.min(start), end: read.end.max(end) }
    }

    /// Places that failed are named, or are the end of it when there is nothing else.
    fn finish(mut self) -> anyhow::Result<Self> {
        let nothing_else = self.discovery.objects.is_empty() && self.discovery.unreadable.is_empty();
        if nothing_else && !self.failed.is_empty() && self.failed.len() >= self.looked_at {
            return Err(all_failed(self.failed));
        }
        for (name, error) in self.failed.drain(..) {
            let text = error.to_string();
            let text = text.lines().next().unwrap_or_default();
            let reason = text.strip_prefix(&format!("{name}: ")).unwrap_or(text).to_owned();
            self.discovery.unreadable.push((name, reason));
        }
        self.discovery.sort();
        self.warnings.sort();
        self.warnings.dedup();
        Ok(self)
    }
}

/// One error for all: what each says, and what would help with the first.
fn all_failed(mut failed: Vec<(String, anyhow::Error)>) -> anyhow::Error {
    if failed.len() == 1
        && let Some((_, error)) = failed.pop()
    {
        return error;
    }
    let texts: Vec<String> = failed.iter().map(|(_, error)| error.to_string()).collect();
    let problems: Vec<_> = texts.iter().filter_map(|text| text.lines().next()).collect();
    let hint = texts.iter().find_map(|text| text.split_once("\nhint: "));
    let hint = hint.map(|(_, hint)| format!("\nhint: {hint}")).unwrap_or_default();
    anyhow!("{}{hint}", problems.join("; "))
}

/// What would help when a place cannot be used at all.
fn hint(name: &str, error: &AwsError) -> Option<&'static str> {
    match error {
        error if error.is_denied() => Some("docs/iam-policy.json lists the permissions"),
        AwsError::NotFound { .. } if name.starts_with("s3://") => {
            Some("`aws s3 ls` lists the buckets, and `aws s3 ls s3://BUCKET/` what is in one")
        }
        AwsError::NotFound { .. } => Some("`aws logs describe-log-groups` lists the groups of a --region"),
        _ => None,
    }
}

/// A log group of the command line.
fn log_group(source: &str) -> anyhow::Result<LogGroup> {
    LogGroup::parse(source).with_context(|| {
        format!("{source}: names no log group\nhint: cloudwatch://LOG-GROUP or arn:aws:logs:REGION:ACCOUNT:log-group:NAME")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Action;

    /// So many places looked at, of which these buckets are denied.
    fn looked_at(places: usize, denied: &[&str]) -> Found {
        let mut found = Found { looked_at: places, ..Found::default() };
        for name in denied {
            let error = AwsError::Denied { action: Action::ListBucket, resource: (*name).to_owned() };
            found.fail((*name).to_owned(), error).expect("not fatal");
        }
        found
    }

    #[test]
    fn a_place_that_fails_beside_one_that_holds_nothing_is_named_and_the_run_goes_on() {
        let found = looked_at(2, &["s3://a/"]).finish().expect("one was looked at");
        let reason = "not allowed: s3:ListBucket is missing".to_owned();
        assert_eq!(found.discovery.unreadable, [("s3://a/".to_owned(), reason)]);
    }

    #[test]
    fn when_all_places_fail_each_is_named_in_one_line_with_one_hint() {
        let error = looked_at(2, &["s3://a/", "s3://b/"]).finish().expect_err("nothing to go on with");
        assert_eq!(
            error.to_string(),
            "s3://a/: not allowed: s3:ListBucket is missing; s3://b/: not allowed: s3:ListBucket is missing\n\
             hint: docs/iam-policy.json lists the permissions"
        );
    }

    #[test]
    fn credentials_that_do_not_serve_end_the_run_at_once() {
        let error = AwsError::Credentials { problem: "expired".to_owned(), fix: "renew".to_owned() };
        assert!(Found::default().fail("s3://a/".to_owned(), error).is_err());
    }
}
