//! Walking a bucket: several lists at once, all their pages, only into folders that can hold what is wanted.
//!
//! Owns the walk and what a location without a `/` at its end means. Refuses to know how objects are read.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::list_objects_v2::{ListObjectsV2Error, ListObjectsV2Output};
use tokio::task::JoinSet;

use super::Wanted;
use super::bucket::{Bucket, is_misdirected, named_region};
use super::layout::{self, Choice, Folder, Keys};
use crate::aws::{Action, AwsError, Stop};
use crate::net::Timestamp;

/// How often the walk looks whether the run is to end.
const LOOK: Duration = Duration::from_millis(100);

/// How often a page is asked for when the answer to it is not whole.
const ATTEMPTS: u32 = 5;

/// An object to read.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) size: Option<u64>,
    pub(super) etag: Option<String>,
    pub(super) earliest_start: Option<Timestamp>,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) entries: Vec<Entry>,
    pub(super) passed_over: Vec<String>,
    /// Prefixes that could not be listed to their end, with the reason.
    pub(super) unreadable: Vec<(String, String)>,
    /// Whether any key at all begins as asked.
    pub(super) any: bool,
}

/// Why a walk could not even begin.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: AwsError,
    /// The region to ask in instead.
    pub(super) region: Option<String>,
}

/// Where a walk begins.
#[derive(Debug, Clone)]
pub(super) enum Start {
    /// As the user gave it: a folder, an object, or the beginning of names.
    Location(String),
    /// Folders that may or may not exist.
    Folders(Vec<String>),
}

/// The keys of one folder.
#[derive(Debug, Default)]
struct Listed {
    folders: Vec<String>,
    entries: Vec<Entry>,
    passed_over: Vec<String>,
    /// The object that is named exactly as asked.
    exact: Option<Entry>,
    any: bool,
    failed: Option<Refused>,
}

/// Walks from `start`. Fails when nothing could be listed there.
pub(super) async fn walk(
    bucket: &Arc<Bucket>,
    start: &Start,
    wanted: &Arc<Wanted>,
    at_once: usize,
    stop: &Stop,
) -> Result<Walked, Refused> {
    let waiting = match start {
        Start::Location(prefix) => VecDeque::from([Keys::beginning_with(prefix)]),
        Start::Folders(folders) => folders.iter().map(|folder| Keys::of_folder(folder, wanted)).collect(),
    };
    let (running, found) = (JoinSet::new(), Walked::default());
    Walk { bucket, wanted, stop, at_once, waiting, running, found }.run(start).await
}

struct Walk<'a> {
    bucket: &'a Arc<Bucket>,
    wanted: &'a Arc<Wanted>,
    stop: &'a Stop,
    at_once: usize,
    waiting: VecDeque<Keys>,
    running: JoinSet<(String, Listed)>,
    found: Walked,
}

impl Walk<'_> {
    async fn run(mut self, start: &Start) -> Result<Walked, Refused> {
        let roots: BTreeSet<String> = self.waiting.iter().map(|keys| keys.prefix.clone()).collect();
        let mut refused = Vec::new();
        while self.begin_lists() {
            if self.stop.is_requested() {
                let at = self.waiting.front().map_or_else(String::new, |keys| keys.prefix.clone());
                self.unreadable(&at, "not listed to its end: the run was interrupted".to_owned());
                return Ok(self.found);
            }
            let Ok(next) = tokio::time::timeout(LOOK, self.running.join_next()).await else { continue };
            let Some(Ok((prefix, mut listed))) = next else {
                self.unreadable("", "listing it failed inside flowcheck".to_owned());
                continue;
            };
            if let Start::Location(location) = start
                && *location == prefix
            {
                listed = as_named(listed, location);
            }
            self.found.any |= listed.any;
            if let Some(reason) = listed.failed.take() {
                if reason.error.is_fatal() {
                    return Err(reason);
                }
                if roots.contains(&prefix) && !listed.any {
                    refused.push((prefix, reason));
                } else {
                    self.unreadable(&prefix, reason.error.to_string());
                }
            }
            self.take(listed);
        }
        // Only when each beginning was refused is there nothing to go on with.
        if refused.len() == roots.len()
            && let Some((_, reason)) = refused.pop()
        {
            return Err(reason);
        }
        for (prefix, reason) in refused {
            self.unreadable(&prefix, reason.error.to_string());
        }
        self.found.entries.sort_by(|a, b| a.key.cmp(&b.key));
        self.found.passed_over.sort();
        Ok(self.found)
    }

    /// Begins as many lists as may run; `false` when none is left.
    fn begin_lists(&mut self) -> bool {
        while self.running.len() < self.at_once {
            let Some(keys) = self.waiting.pop_front() else { break };
            let (bucket, wanted) = (Arc::clone(self.bucket), Arc::clone(self.wanted));
            self.running.spawn(async move {
                let prefix = keys.prefix.clone();
                (prefix, list(&bucket, keys, &wanted).await)
            });
        }
        !self.running.is_empty()
    }

    fn take(&mut self, listed: Listed) {
        let folders = listed.folders.iter().filter(|folder| Folder::parse(folder).may_hold(self.wanted));
        self.waiting.extend(folders.map(|folder| Keys::of_folder(folder, self.wanted)));
        self.found.entries.extend(listed.entries);
        let name = |key: String| format!("s3://{}/{key}", self.bucket.name);
        self.found.passed_over.extend(listed.passed_over.into_iter().map(name));
    }

    fn unreadable(&mut self, prefix: &str, reason: String) {
        let name = format!("s3://{}/{prefix}", self.bucket.name);
        // Errors begin with what they are about, and so does the line that this becomes.
        let reason = reason.strip_prefix(&format!("{name}: ")).map(str::to_owned).unwrap_or(reason);
        self.found.unreadable.push((name, reason));
    }
}

/// A location may name an object, which is then read whatever its name, or a folder without the `/` at its end; only
/// when it is neither does it stand for everything that begins like it.
fn as_named(mut listed: Listed, location: &str) -> Listed {
    if location.is_empty() || location.ends_with('/') {
        return listed;
    }
    let folder = format!("{location}/");
    let is_folder = listed.folders.contains(&folder);
    if listed.exact.is_some() || is_folder {
        listed.entries = listed.exact.take().into_iter().collect();
        listed.passed_over.clear();
        listed.folders = is_folder.then_some(folder).into_iter().collect();
    }
    listed
}

/// Lists the keys of one folder, all pages.
async fn list(bucket: &Bucket, keys: Keys, wanted: &Wanted) -> Listed {
    let mut listed = Listed::default();
    let mut token = None;
    loop {
        let page = match page(bucket, &keys, token).await {
            Ok(page) => page,
            Err(refused) => {
                listed.failed = Some(refused);
                return listed;
            }
        };
        let more = page.is_truncated == Some(true);
        token = page.next_continuation_token.clone().filter(|_| more);
        if more && token.is_none() {
            let reason = "the answer says that there is more, but not how to ask for it";
            listed.failed = Some(failed(bucket, &keys, reason));
        }
        let last = listed.page(page, &keys, wanted);
        let beyond = last.zip(keys.before.as_ref()).is_some_and(|(last, before)| last >= *before);
        if token.is_none() || beyond {
            return listed;
        }
    }
}

/// One page, whole: the SDK also takes an answer that ends too early for one, and what is missing for absent.
async fn page(bucket: &Bucket, keys: &Keys, token: Option<String>) -> Result<ListObjectsV2Output, Refused> {
    for _ in 0..ATTEMPTS {
        let request = bucket
            .client
            .list_objects_v2()
            .bucket(&bucket.name)
            .prefix(&keys.prefix)
            .delimiter("/")
            .set_request_payer(bucket.payer.clone())
            .set_start_after(keys.after.clone().filter(|_| token.is_none()))
            .set_continuation_token(token.clone());
        let page = request.send().await.map_err(|error| refused(&error, bucket, keys))?;
        let held = page.contents().len() + page.common_prefixes().len();
        let said = page.key_count().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        if page.is_truncated.is_some() && held >= said {
            return Ok(page);
        }
    }
    Err(failed(bucket, keys, "the answer ends before everything that it says it holds"))
}

impl Listed {
    /// Takes in a page; gives its last key.
    fn page(&mut self, page: ListObjectsV2Output, keys: &Keys, wanted: &Wanted) -> Option<String> {
        self.folders.extend(page.common_prefixes.unwrap_or_default().into_iter().filter_map(|it| it.prefix));
        let mut last = None;
        for object in page.contents.unwrap_or_default() {
            let Some(key) = object.key else { continue };
            let modified = object.last_modified.map(|moment| Timestamp(moment.secs()));
            let choice = layout::choose(&key, modified, wanted);
            let entry = |earliest_start| Entry {
                key: key.clone(),
                size: object.size.and_then(|size| u64::try_from(size).ok()),
                etag: object.e_tag.clone(),
                earliest_start,
            };
            if key == keys.prefix && !key.ends_with('/') {
                self.exact = Some(entry(layout::earliest_start(&key)));
            }
            match choice {
                Choice::Read { earliest_start } => self.entries.push(entry(earliest_start)),
                Choice::PassOver => self.passed_over.push(key.clone()),
                Choice::Leave => {}
            }
            last = Some(key);
        }
        self.any |= last.is_some() || !self.folders.is_empty();
        last
    }
}

fn refused(error: &SdkError<ListObjectsV2Error, HttpResponse>, bucket: &Bucket, keys: &Keys) -> Refused {
    let region = is_misdirected(error).then(|| named_region(error)).flatten();
    let resource = format!("s3://{}/{}", bucket.name, keys.prefix);
    Refused { error: AwsError::from_sdk(error, Action::ListBucket, resource), region }
}

fn failed(bucket: &Bucket, keys: &Keys, message: &str) -> Refused {
    let error = AwsError::Failed {
        action: Action::ListBucket,
        resource: format!("s3://{}/{}", bucket.name, keys.prefix),
        message: message.to_owned(),
    };
    Refused { error, region: None }
}
