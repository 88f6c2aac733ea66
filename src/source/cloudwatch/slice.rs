//! One slice of a log group as something that can be opened: fetched when its turn comes, again when it is opened again.

use std::io::{self, Read};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::call::{Cut, LOOK};
use super::feed::{Ahead, Feed, FeedReader};
use super::span::TimeRange;
use super::target::{Group, LogGroupClass};
use super::wanted::Wanted;
use crate::aws::{Action, Aws};
use crate::source::Remote;

/// What slices of all groups share.
#[derive(Debug)]
pub(super) struct Fetching {
    pub(super) aws: Aws,
    pub(super) ahead: Arc<Ahead>,
    /// Slices that are fetched at the same time. One that is being read does not wait for its turn.
    pub(super) turns: Semaphore,
}

/// One slice.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) fetching: Arc<Fetching>,
    pub(super) group: Arc<Group>,
    pub(super) range: TimeRange,
    pub(super) wanted: Arc<Wanted>,
    pub(super) feed: Mutex<Option<Arc<Feed>>>,
}

impl Slice {
    fn feed(&self) -> MutexGuard<'_, Option<Arc<Feed>>> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Arc<Feed> {
        let feed = Arc::new(Feed::new(&self.fetching.ahead, self.fetching.aws.stop()));
        let task = Task {
            fetching: Arc::clone(&self.fetching),
            group: Arc::clone(&self.group),
            range: self.range,
            wanted: Arc::clone(&self.wanted),
            feed: Arc::clone(&feed),
        };
        // Ends by itself: when all is handed on, when nobody reads it, when the run stops.
        drop(self.fetching.aws.spawn(task.run()));
        feed
    }
}

impl Remote for Slice {
    fn prepare(&self) {
        let mut feed = self.feed();
        if feed.is_none() {
            *feed = Some(self.start());
        }
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let prepared = self.feed().take();
        Ok(Box::new(FeedReader::open(prepared.unwrap_or_else(|| self.start()))))
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        if let Some(feed) = self.feed().take() {
            feed.give_up();
        }
    }
}

struct Task {
    fetching: Arc<Fetching>,
    group: Arc<Group>,
    range: TimeRange,
    wanted: Arc<Wanted>,
    feed: Arc<Feed>,
}

impl Task {
    async fn run(self) {
        let end = self.fetch().await;
        self.feed.end(end);
    }

    async fn fetch(&self) -> Result<(), Cut> {
        let turn = self.turn().await?;
        let target = self.group.readable().await?;
        let result = if target.class == LogGroupClass::InfrequentAccess {
            self.group.query(target, self.range, &self.wanted, &self.feed).await
        } else {
            self.group.filter(target, self.range, &self.wanted, &self.feed).await
        };
        drop(turn);
        result
    }

    /// Waits for a turn, in the order of asking; a slice that is being read goes at once.
    async fn turn(&self) -> Result<Option<SemaphorePermit<'_>>, Cut> {
        let mut turn = pin!(self.fetching.turns.acquire());
        let mut is_read = pin!(self.feed.until_read());
        loop {
            if let Ok(turn) = tokio::time::timeout(LOOK, turn.as_mut()).await {
                return Ok(turn.ok());
            }
            // Polled once: whether it is read by now, or not needed any more.
            if let Ok(is_read) = tokio::time::timeout(std::time::Duration::ZERO, is_read.as_mut()).await {
                return is_read.map(|()| None);
            }
        }
    }
}

impl Drop for Task {
    /// A reader must not wait for a task that broke down. After a proper end this changes nothing.
    fn drop(&mut self) {
        let broken = self.group.failure(Action::FilterLogEvents, "fetching failed inside flowcheck");
        self.feed.end(Err(Cut::Failed(broken)));
    }
}
