//! Text on its way from the tasks that fetch it to the threads that read it, within a shared bound.
//!
//! What is fetched ahead of its reader counts against one budget for all slices of a run. A slice that is being read is
//! exempt, up to a small bound of its own: otherwise slices fetched ahead could use the budget up and keep the very
//! slice that everything waits for from arriving.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::call::{Cut, LOOK};
use crate::aws::Stop;

/// What a slice that is being read may hold, in bytes: a few pages.
const READ_AHEAD: usize = 4 * 1024 * 1024;

/// The budget that all slices share.
#[derive(Debug)]
pub(super) struct Ahead {
    bound: usize,
    held: Mutex<usize>,
    /// Something was read, opened or given up.
    changed: Notify,
}

/// The text of one slice, in pieces of whole lines.
#[derive(Debug)]
pub(super) struct Feed {
    ahead: Arc<Ahead>,
    stop: Stop,
    state: Mutex<State>,
    readable: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pieces: VecDeque<Vec<u8>>,
    held: usize,
    end: Option<Result<(), Cut>>,
    is_read: bool,
    is_given_up: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ahead {
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, held: Mutex::new(0), changed: Notify::new() }
    }

    fn give_back(&self, bytes: usize) {
        *lock(&self.held) -= bytes;
        self.changed.notify_waiters();
    }
}

impl Feed {
    pub(super) fn new(ahead: &Arc<Ahead>, stop: &Stop) -> Self {
        Self {
            ahead: Arc::clone(ahead),
            stop: stop.clone(),
            state: Mutex::default(),
            readable: Condvar::new(),
        }
    }

    /// Hands on some lines once there is room for them.
    pub(super) async fn push(&self, piece: Vec<u8>) -> Result<(), Cut> {
        if piece.is_empty() {
            return if self.is_over() { Err(Cut::Stopped) } else { Ok(()) };
        }
        self.until(|state| {
            let mut held = lock(&self.ahead.held);
            let has_room = if state.is_read {
                state.held == 0 || state.held + piece.len() <= READ_AHEAD
            } else {
                *held == 0 || *held + piece.len() <= self.ahead.bound
            };
            if has_room {
                *held += piece.len();
                state.held += piece.len();
            }
            has_room
        })
        .await?;
        lock(&self.state).pieces.push_back(piece);
        self.readable.notify_all();
        Ok(())
    }

    /// Waits until it is being read.
    pub(super) async fn until_read(&self) -> Result<(), Cut> {
        self.until(|state| state.is_read).await
    }

    /// Waits until `ready`, which may change the state when it is. Fails when nobody waits for the text any more.
    async fn until(&self, mut ready: impl FnMut(&mut State) -> bool) -> Result<(), Cut> {
        loop {
            let mut changed = pin!(self.ahead.changed.notified());
            changed.as_mut().enable();
            if self.is_over() {
                return Err(Cut::Stopped);
            }
            if ready(&mut lock(&self.state)) {
                return Ok(());
            }
            // The wish to stop comes without a notice.
            let _ = tokio::time::timeout(LOOK, changed).await;
        }
    }

    fn is_over(&self) -> bool {
        self.stop.is_requested() || lock(&self.state).is_given_up
    }

    /// Says how it ended; only the first time counts.
    pub(super) fn end(&self, end: Result<(), Cut>) {
        lock(&self.state).end.get_or_insert(end);
        self.readable.notify_all();
    }

    /// Nobody will read it (any further).
    pub(super) fn give_up(&self) {
        let mut state = lock(&self.state);
        state.is_given_up = true;
        state.pieces.clear();
        let held = std::mem::take(&mut state.held);
        drop(state);
        self.ahead.give_back(held);
    }

    /// The next piece, or how it ended.
    fn next(&self) -> Result<Option<Vec<u8>>, Cut> {
        let mut state = lock(&self.state);
        loop {
            if self.stop.is_requested() {
                return Err(Cut::Stopped);
            }
            if let Some(piece) = state.pieces.pop_front() {
                state.held -= piece.len();
                drop(state);
                self.ahead.give_back(piece.len());
                return Ok(Some(piece));
            }
            if let Some(end) = &state.end {
                return end.clone().map(|()| None);
            }
            state = match self.readable.wait_timeout(state, LOOK) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

/// Reads a feed from its beginning; once.
#[derive(Debug)]
pub(super) struct FeedReader {
    feed: Arc<Feed>,
    piece: io::Cursor<Vec<u8>>,
}

impl FeedReader {
    pub(super) fn open(feed: Arc<Feed>) -> Self {
        lock(&feed.state).is_read = true;
        feed.ahead.changed.notify_waiters();
        Self { feed, piece: io::Cursor::default() }
    }
}

impl Read for FeedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let count = self.piece.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            match self.feed.next() {
                Ok(Some(piece)) => self.piece = io::Cursor::new(piece),
                Ok(None) => return Ok(0),
                Err(cut) => return Err(io_error(cut)),
            }
        }
    }
}

impl Drop for FeedReader {
    fn drop(&mut self) {
        self.feed.give_up();
    }
}

/// What a reader of bytes is told.
pub(super) fn io_error(cut: Cut) -> io::Error {
    match cut {
        Cut::Stopped => io::Error::new(io::ErrorKind::ConnectionAborted, "stopped before its end"),
        Cut::Failed(error) => io::Error::other(error),
    }
}

/// The same, back from it.
pub(super) fn cut(error: &io::Error) -> Option<Cut> {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(error) => Some(Cut::Failed(crate::aws::AwsError::clone(error))),
        None => (error.kind() == io::ErrorKind::ConnectionAborted).then_some(Cut::Stopped),
    }
}
