//! An object in a bucket as readers see it: prepared, opened, read.
//!
//! Owns waiting for bytes without missing that the run is to end. Refuses to know how they are fetched.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use super::Inner;
use super::fetch::{Download, Fetch, Piece};
use super::traffic::Held;
use crate::aws::Stop;
use crate::source::Remote;

/// How often a reader that waits looks whether the run is to end.
const LOOK: Duration = Duration::from_millis(100);

/// An object that was listed.
pub(super) struct S3Object {
    pub(super) fetch: Arc<Fetch>,
    pub(super) s3: Arc<Inner>,
}

impl std::fmt::Debug for S3Object {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("S3Object").field("key", &self.fetch.entry.key).finish_non_exhaustive()
    }
}

impl Remote for S3Object {
    fn prepare(&self) {
        self.fetch.prepare(&self.s3.shared, &self.s3.prepared);
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        if self.fetch.entry.size == Some(0) {
            return Ok(Box::new(io::empty()));
        }
        let download = self.fetch.open(&self.s3.shared, &self.s3.aws);
        let stop = self.s3.aws.stop().clone();
        Ok(Box::new(Reader { piece: None, state: State::Reading(download), stop }))
    }
}

/// Reads a download. Dropping it ends the download.
struct Reader {
    /// What was received and not read yet, with its length when it came. Dropped before the download gives back its
    /// share of the budget.
    piece: Option<(Held, usize)>,
    state: State,
    stop: Stop,
}

enum State {
    Reading(Download),
    Ended,
    Failed(io::ErrorKind, String),
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some((piece, length)) = &mut self.piece {
                let read = piece.take(buffer);
                if piece.len() == 0 {
                    let length = *length;
                    self.piece = None;
                    if let State::Reading(download) = &self.state {
                        download.window.add_permits(length);
                    }
                }
                return Ok(read);
            }
            let State::Reading(download) = &self.state else { break };
            match self.next(download)? {
                Piece::Bytes(piece) => {
                    let length = piece.len();
                    self.piece = Some((piece, length));
                }
                Piece::End => self.state = State::Ended,
                Piece::Failed(kind, reason) => self.state = State::Failed(kind, reason),
            }
        }
        match &self.state {
            State::Failed(kind, reason) => Err(io::Error::new(*kind, reason.clone())),
            _ => Ok(0),
        }
    }
}

impl Reader {
    fn next(&self, download: &Download) -> io::Result<Piece> {
        loop {
            if self.stop.is_requested() {
                let reason = "not read to its end: the run was interrupted";
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, reason));
            }
            match download.pieces.recv_timeout(LOOK) {
                Ok(piece) => return Ok(piece),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("downloading it failed inside flowcheck"));
                }
            }
        }
    }
}
