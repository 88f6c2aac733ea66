//! The body of one object, from its first byte to its last: continued by range where it breaks off, never taken for
//! whole when it is short.
//!
//! Owns what an answer to `GetObject` means. Refuses to know the order of objects and what their bytes mean.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{Builder, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::Patience;
use super::bucket::Bucket;
use super::fetch::{CHUNK_BYTES, Piece};
use super::listing::Entry;
use super::traffic::{Counters, Held};
use crate::aws::{Action, AwsError};

/// How often in a row a body is continued.
const RESUMES: u32 = 5;

/// After this many further bytes a body that breaks off is forgiven what came before.
const PROGRESS_BYTES: u64 = 8 * 1024 * 1024;

/// The longest pause before a body is continued.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// What to download.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) bucket: Arc<Bucket>,
    pub(super) entry: Entry,
    pub(super) patience: Patience,
    pub(super) counters: Arc<Counters>,
}

/// Where pieces go, and how many bytes may be on their way to the reader.
pub(super) struct Pieces {
    sender: Sender<Piece>,
    window: Arc<Semaphore>,
    window_bytes: usize,
    counters: Arc<Counters>,
    /// Bytes that may be received before asking the window again.
    granted: usize,
}

/// Nobody reads any more.
struct Unwanted;

impl Pieces {
    pub(super) fn new(
        sender: Sender<Piece>,
        window: &Arc<Semaphore>,
        window_bytes: usize,
        counters: &Arc<Counters>,
    ) -> Self {
        let (window, counters) = (Arc::clone(window), Arc::clone(counters));
        Self { sender, window, window_bytes, counters, granted: 0 }
    }

    /// Waits until the next chunk of a body has room: `left` bytes are still to come, if that is known.
    async fn room(&mut self, left: Option<u64>) -> Result<(), Unwanted> {
        let left = left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        self.grant(CHUNK_BYTES.min(left).min(self.window_bytes)).await
    }

    async fn grant(&mut self, bytes: usize) -> Result<(), Unwanted> {
        if let Some(missing) = bytes.checked_sub(self.granted).filter(|missing| *missing > 0) {
            let missing = u32::try_from(missing).unwrap_or(u32::MAX);
            self.window.acquire_many(missing).await.map_err(|_| Unwanted)?.forget();
            self.granted = bytes;
        }
        Ok(())
    }

    /// Hands on a chunk; one that is larger than its room goes on as the reader makes more.
    async fn send(&mut self, chunk: Bytes) -> Result<(), Unwanted> {
        let mut chunk = Held::new(chunk, &self.counters);
        while chunk.len() > 0 {
            self.grant(chunk.len().min(self.window_bytes).min(CHUNK_BYTES)).await?;
            let piece = chunk.split_to(self.granted);
            self.granted -= piece.len();
            self.sender.send(Piece::Bytes(piece)).map_err(|_| Unwanted)?;
        }
        Ok(())
    }

    fn end(&self, how: Result<(), (ErrorKind, String)>) {
        // A reader that is gone needs no end.
        let _ = self.sender.send(match how {
            Ok(()) => Piece::End,
            Err((kind, reason)) => Piece::Failed(kind, reason),
        });
    }
}

/// Downloads it piece by piece, ending with one [`Piece::End`] or [`Piece::Failed`].
pub(super) async fn download(source: Source, mut pieces: Pieces) {
    let mut progress = Progress::default();
    let how = loop {
        match source.part(&mut progress, &mut pieces).await {
            Ok(()) => break Ok(()),
            Err(Interrupted::Unwanted) => return,
            Err(Interrupted::Failed(kind, reason)) => break Err((kind, reason)),
            Err(Interrupted::BrokeOff(reason)) => {
                if !progress.may_resume() {
                    let received = progress.received;
                    let reason =
                        format!("broke off after {received} bytes, {RESUMES} times in a row: {reason}");
                    break Err((ErrorKind::ConnectionReset, reason));
                }
                source.counters.resumed();
                let doublings = progress.resumed.saturating_sub(1);
                let pause = source.patience.first_backoff.saturating_mul(1 << doublings);
                tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
            }
        }
    };
    pieces.end(how);
}

/// How far a download is.
#[derive(Debug, Default)]
struct Progress {
    begun: bool,
    received: u64,
    /// Of the object that the first part came from.
    etag: Option<String>,
    /// Bytes in all, if that is known.
    expected: Option<u64>,
    resumed: u32,
    resumed_at: u64,
}

impl Progress {
    fn may_resume(&mut self) -> bool {
        if self.received - self.resumed_at >= PROGRESS_BYTES {
            self.resumed = 0;
        }
        self.resumed += 1;
        self.resumed_at = self.received;
        self.resumed <= RESUMES
    }

    fn left(&self) -> Option<u64> {
        self.expected.map(|expected| expected.saturating_sub(self.received))
    }
}

/// Why a part was the last one, or not.
enum Interrupted {
    /// To be continued.
    BrokeOff(String),
    Failed(ErrorKind, String),
    Unwanted,
}

impl From<Unwanted> for Interrupted {
    fn from(Unwanted: Unwanted) -> Self {
        Self::Unwanted
    }
}

impl Source {
    /// One request and its body.
    async fn part(&self, progress: &mut Progress, pieces: &mut Pieces) -> Result<(), Interrupted> {
        let answer = self.get(progress).await.map_err(|error| self.refused(&error, progress))?;
        let mut skip = self.begin(progress, &answer)?;
        let mut body = answer.body;
        loop {
            pieces.room(progress.left()).await?;
            let mut chunk = match tokio::time::timeout(self.patience.stalled_after, body.next()).await {
                Err(_) => return Err(Interrupted::BrokeOff("nothing came any more".to_owned())),
                Ok(None) => break,
                Ok(Some(Err(error))) => return Self::broken(&error, progress),
                Ok(Some(Ok(chunk))) => chunk,
            };
            let skipped = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            skip -= skipped as u64;
            let chunk = chunk.split_off(skipped);
            progress.received += chunk.len() as u64;
            if progress.expected.is_some_and(|expected| progress.received > expected) {
                let reason = "is longer than S3 said it would be".to_owned();
                return Err(Interrupted::Failed(ErrorKind::InvalidData, reason));
            }
            pieces.send(chunk).await?;
        }
        match progress.left() {
            Some(left) if left > 0 => {
                Err(Interrupted::BrokeOff(format!("the answer ended {left} bytes before the object does")))
            }
            _ => Ok(()),
        }
    }

    async fn get(
        &self,
        progress: &Progress,
    ) -> Result<GetObjectOutput, SdkError<GetObjectError, HttpResponse>> {
        let request = self.bucket.client.get_object().bucket(&self.bucket.name).key(&self.entry.key);
        let request = request.set_request_payer(self.bucket.payer.clone());
        if progress.received == 0 {
            return request.set_if_match(progress.etag.clone()).send().await;
        }
        // A server may send the whole object's checksum with a part of it.
        let unchecked = Builder::new().response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        request
            .range(format!("bytes={}-", progress.received))
            .set_if_match(progress.etag.clone())
            .customize()
            .config_override(unchecked)
            .send()
            .await
    }

    /// Looks at what an answer says of itself. Gives the number of bytes at its beginning that are known already.
    fn begin(&self, progress: &mut Progress, answer: &GetObjectOutput) -> Result<u64, Interrupted> {
        let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
        if !progress.begun {
            progress.begun = true;
            progress.etag = answer.e_tag().map(str::to_owned);
            // Replaced since it was listed: what is there now is as good. Else the list knows its length.
            let replaced = self.entry.etag.is_some()
                && answer.e_tag().is_some()
                && self.entry.etag.as_deref() != answer.e_tag();
            // Something that lists no ETags can still tell of a longer object; a shorter answer may be a broken one.
            progress.expected = if replaced { length } else { length.max(self.entry.size) };
            return Ok(0);
        }
        if progress.etag.is_some() && answer.e_tag().is_some() && progress.etag.as_deref() != answer.e_tag() {
            return Err(replaced());
        }
        match answer.content_range() {
            Some(range) if range_begins_at(range) == Some(progress.received) => Ok(0),
            None => Ok(progress.received),
            Some(range) => {
                let asked = progress.received;
                let reason = format!("asked for bytes from {asked} on, S3 sent `{range}`");
                Err(Interrupted::Failed(ErrorKind::InvalidData, reason))
            }
        }
    }

    /// A body that ended in an error.
    fn broken(error: &(dyn std::error::Error + 'static), progress: &Progress) -> Result<(), Interrupted> {
        let reason = innermost(error);
        if reason.contains("checksum") {
            let reason = "does not match the checksum that S3 gives for it".to_owned();
            return Err(Interrupted::Failed(ErrorKind::InvalidData, reason));
        }
        // Cut off after its last byte: nothing is missing.
        if progress.left() == Some(0) {
            return Ok(());
        }
        Err(Interrupted::BrokeOff(reason))
    }

    fn refused(&self, error: &SdkError<GetObjectError, HttpResponse>, progress: &Progress) -> Interrupted {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        if status == Some(412) {
            return replaced();
        }
        if status == Some(416) {
            let reason = format!("has no more than {} bytes any more", progress.received);
            return Interrupted::Failed(ErrorKind::UnexpectedEof, reason);
        }
        if code == Some("InvalidObjectState") {
            let reason = "is archived (Glacier storage class): restore it to have it read".to_owned();
            return Interrupted::Failed(ErrorKind::Other, reason);
        }
        let name = format!("s3://{}/{}", self.bucket.name, self.entry.key);
        match AwsError::from_sdk(error, Action::GetObject, name.clone()) {
            AwsError::NotFound { .. } if code == Some("NoSuchBucket") => {
                Interrupted::Failed(ErrorKind::NotFound, "the bucket does not exist any more".to_owned())
            }
            AwsError::NotFound { .. } => {
                let reason = "does not exist any more: deleted after it was listed".to_owned();
                Interrupted::Failed(ErrorKind::NotFound, reason)
            }
            AwsError::Denied { .. } => {
                let reason =
                    "not allowed: s3:GetObject is missing, or kms:Decrypt if it is encrypted with a KMS key";
                Interrupted::Failed(ErrorKind::PermissionDenied, reason.to_owned())
            }
            other => {
                let kind = if other.is_denied() { ErrorKind::PermissionDenied } else { ErrorKind::Other };
                let text = other.to_string();
                let reason = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text);
                Interrupted::Failed(kind, reason.replace("\nhint: ", ": "))
            }
        }
    }
}

fn replaced() -> Interrupted {
    Interrupted::Failed(ErrorKind::Other, "was replaced by another object while it was being read".to_owned())
}

/// `bytes 1000-4095/4096` begins at 1000.
fn range_begins_at(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// What is at the bottom of an error: the rest repeats that something failed.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string().trim().lines().next().unwrap_or_default().to_owned()
}
