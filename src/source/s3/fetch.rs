//! Fetching ahead: which objects are downloaded before a reader asks for them, and how many bytes that may hold.
//!
//! Objects are fetched in the order in which they were prepared, each once its share of the budget and a slot are free.
//! A reader never waits for that: what has not begun when it is opened is fetched for that reader alone, out of whatever
//! is free of the budget or else out of a reserve. So readers may open in any order while others hold the whole budget
//! unread. Refuses to know what a download does with the network.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::body::{self, Pieces};
use super::bucket::Bucket;
use super::listing::Entry;
use super::traffic::{Counters, Held};
use super::{Patience, S3Limits, lock};
use crate::aws::{Aws, Stop};

/// The most that one object holds: a small one fits whole, a larger one streams through as much.
const WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// The most that the HTTP client hands over at once (the largest read buffer of hyper).
pub(super) const CHUNK_BYTES: usize = 8 * 1024 + 100 * 4 * 1024;

/// Downloads started and perhaps not opened that are remembered.
const AHEAD: usize = 1024;

/// The piece of a body, its end, or why there is none.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Held),
    End,
    Failed(std::io::ErrorKind, String),
}

/// An object and how far its download is.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) bucket: Arc<Bucket>,
    pub(super) entry: Entry,
    stage: Mutex<Stage>,
    /// The pass in which it was last opened; 0 is never.
    opened_in: AtomicU64,
}

#[derive(Debug)]
enum Stage {
    Idle,
    Prepared,
    Started(Download),
}

/// A running or finished download that no other reader has.
#[derive(Debug)]
pub(super) struct Download {
    pub(super) pieces: Receiver<Piece>,
    /// Bytes that may still be received before the reader takes some.
    pub(super) window: Arc<Semaphore>,
    task: AbortHandle,
    _share: Share,
}

impl Drop for Download {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A part of the budget, given back when the download is dropped.
#[derive(Debug)]
struct Share {
    _permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

/// What the downloads of a run share. Knows nothing of the runtime, so that a task may be the last to hold it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) counters: Arc<Counters>,
    pub(super) patience: Patience,
    stop: Stop,
    budget: Arc<Semaphore>,
    budget_bytes: usize,
    reserve: Arc<Semaphore>,
    reserve_bytes: usize,
    in_flight: Arc<Semaphore>,
    ahead: Mutex<VecDeque<Weak<Fetch>>>,
    /// How often the objects are being read: 1 is the first time.
    pass: AtomicU64,
}

impl Shared {
    pub(super) fn new(limits: S3Limits, patience: Patience, counters: &Arc<Counters>, stop: &Stop) -> Self {
        let most = limits.buffered_bytes.clamp(4 * 1024, u32::MAX as usize);
        let reserve_bytes = most / 4;
        let budget_bytes = most - reserve_bytes;
        Self {
            counters: Arc::clone(counters),
            patience,
            stop: stop.clone(),
            budget: Arc::new(Semaphore::new(budget_bytes)),
            budget_bytes,
            reserve: Arc::new(Semaphore::new(reserve_bytes)),
            reserve_bytes,
            in_flight: Arc::new(Semaphore::new(limits.in_flight.max(1))),
            ahead: Mutex::default(),
            pass: AtomicU64::new(1),
        }
    }

    /// Starts prepared objects in their order, until nobody is left who could prepare one.
    pub(super) async fn dispatch(self: Arc<Self>, mut prepared: mpsc::UnboundedReceiver<Weak<Fetch>>) {
        while let Some(fetch) = prepared.recv().await {
            let Some(bytes) = fetch.upgrade().map(|fetch| self.share_of(&fetch)) else { continue };
            let Ok(permit) = Arc::clone(&self.budget).acquire_many_owned(as_permits(bytes)).await else {
                return;
            };
            let Ok(slot) = Arc::clone(&self.in_flight).acquire_owned().await else { return };
            let Some(fetch) = fetch.upgrade().filter(|_| !self.stop.is_requested()) else { continue };
            self.start(&fetch, Share { _permit: Some(permit), bytes }, slot);
        }
    }

    fn start(self: &Arc<Self>, fetch: &Arc<Fetch>, share: Share, slot: OwnedSemaphorePermit) {
        let mut stage = lock(&fetch.stage);
        // Opened or given up meanwhile: then it is not waited for any more.
        if matches!(*stage, Stage::Prepared) {
            let (sender, pieces) = channel();
            let window = Arc::new(Semaphore::new(share.bytes));
            let pieces_out = Pieces::new(sender, &window, share.bytes, &self.counters);
            let download = body::download(self.download_of(fetch), pieces_out);
            let task = tokio::spawn(async move {
                download.await;
                drop(slot);
            });
            *stage = Stage::Started(Download { pieces, window, task: task.abort_handle(), _share: share });
            drop(stage);
            let mut ahead = lock(&self.ahead);
            ahead.push_back(Arc::downgrade(fetch));
            if ahead.len() > AHEAD {
                ahead.retain(|fetch| fetch.upgrade().is_some_and(|fetch| fetch.is_ahead()));
            }
        }
    }

    /// Starts it for a reader that waits for it already. Neither a slot nor a share of the budget is waited for.
    fn start_for_reader(self: &Arc<Self>, fetch: &Fetch, aws: &Aws) -> Download {
        let whole = self.share_of(fetch);
        let part = whole.min(CHUNK_BYTES).min(self.reserve_bytes);
        let of_budget = Arc::clone(&self.budget).try_acquire_many_owned(as_permits(whole)).ok();
        let share = if of_budget.is_some() {
            Share { _permit: of_budget, bytes: whole }
        } else {
            let of_reserve = Arc::clone(&self.reserve).try_acquire_many_owned(as_permits(part)).ok();
            Share { _permit: of_reserve, bytes: part }
        };
        let (sender, pieces) = channel();
        let window = Arc::new(Semaphore::new(share.bytes));
        let pieces_out = Pieces::new(sender, &window, share.bytes, &self.counters);
        let task = aws.spawn(body::download(self.download_of(fetch), pieces_out));
        Download { pieces, window, task: task.abort_handle(), _share: share }
    }

    fn download_of(&self, fetch: &Fetch) -> body::Source {
        body::Source {
            bucket: Arc::clone(&fetch.bucket),
            entry: fetch.entry.clone(),
            patience: self.patience,
            counters: Arc::clone(&self.counters),
        }
    }

    fn share_of(&self, fetch: &Fetch) -> usize {
        let size = fetch.entry.size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        size.min(WINDOW_BYTES).min(self.budget_bytes)
    }

    /// Everything is read once more from here on: what the pass before fetched and did not open only holds the budget.
    fn begin_pass(&self, from: u64) {
        if self.pass.compare_exchange(from, from + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            let ahead = std::mem::take(&mut *lock(&self.ahead));
            for fetch in ahead.iter().filter_map(Weak::upgrade) {
                *lock(&fetch.stage) = Stage::Idle;
            }
        }
    }
}

impl Fetch {
    pub(super) fn new(bucket: &Arc<Bucket>, entry: Entry) -> Self {
        Self {
            bucket: Arc::clone(bucket),
            entry,
            stage: Mutex::new(Stage::Idle),
            opened_in: AtomicU64::new(0),
        }
    }

    fn is_ahead(&self) -> bool {
        matches!(*lock(&self.stage), Stage::Started(_))
    }

    /// Puts it in the queue, unless it is there or nothing is to be fetched.
    pub(super) fn prepare(self: &Arc<Self>, shared: &Shared, queue: &mpsc::UnboundedSender<Weak<Self>>) {
        let opened_in = self.opened_in.load(Ordering::SeqCst);
        if opened_in != 0 {
            shared.begin_pass(opened_in);
        }
        let mut stage = lock(&self.stage);
        if matches!(*stage, Stage::Idle) && self.entry.size != Some(0) {
            *stage = Stage::Prepared;
            // Fails only at the end of the run; then the reader fetches it itself.
            let _ = queue.send(Arc::downgrade(self));
        }
    }

    /// Its download, begun by now or before.
    pub(super) fn open(self: &Arc<Self>, shared: &Arc<Shared>, aws: &Aws) -> Download {
        self.opened_in.store(shared.pass.load(Ordering::SeqCst), Ordering::SeqCst);
        let stage = std::mem::replace(&mut *lock(&self.stage), Stage::Idle);
        match stage {
            Stage::Started(download) => download,
            Stage::Idle | Stage::Prepared => shared.start_for_reader(self, aws),
        }
    }
}

/// Shares are no larger than the budget, which fits.
fn as_permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
