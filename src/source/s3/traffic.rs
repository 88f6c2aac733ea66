//! What is counted over a run: requests, retries, resumed bodies, bytes held. Refuses to know what they are about.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use aws_sdk_s3::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use bytes::Bytes;

/// What was sent to S3 over the run so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests sent, retries among them.
    pub requests: u64,
    /// Those of them that repeat a failed one.
    pub retries: u64,
    /// Bodies that broke off and were continued where they had.
    pub resumed: u64,
}

/// The counters behind [`Traffic`], and the bytes received that no reader has taken yet.
#[derive(Debug, Default)]
pub(super) struct Counters {
    calls: AtomicU64,
    attempts: AtomicU64,
    resumed: AtomicU64,
    held: AtomicUsize,
    held_most: AtomicUsize,
}

impl Counters {
    pub(super) fn traffic(&self) -> Traffic {
        let attempts = self.attempts.load(Ordering::Relaxed);
        Traffic {
            requests: attempts,
            retries: attempts.saturating_sub(self.calls.load(Ordering::Relaxed)),
            resumed: self.resumed.load(Ordering::Relaxed),
        }
    }

    pub(super) fn resumed(&self) {
        self.resumed.fetch_add(1, Ordering::Relaxed);
    }

    /// The most bytes that were held at any one moment.
    pub(super) fn held_most(&self) -> usize {
        self.held_most.load(Ordering::Relaxed)
    }
}

/// Received bytes that count as held until they are dropped.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Bytes,
    counted: usize,
    counters: Arc<Counters>,
}

impl Held {
    pub(super) fn new(bytes: Bytes, counters: &Arc<Counters>) -> Self {
        let counted = bytes.len();
        let held = counters.held.fetch_add(counted, Ordering::Relaxed) + counted;
        counters.held_most.fetch_max(held, Ordering::Relaxed);
        Self { bytes, counted, counters: Arc::clone(counters) }
    }

    /// Cuts off the first bytes. They are counted apart from here on.
    pub(super) fn split_to(&mut self, at: usize) -> Self {
        let at = at.min(self.bytes.len());
        self.counted -= at;
        Self { bytes: self.bytes.split_to(at), counted: at, counters: Arc::clone(&self.counters) }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Copies as much as fits and forgets it; what is left still counts in full until it is dropped, as its memory does.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> usize {
        let length = self.bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.bytes.split_to(length));
        length
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counters.held.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

/// Sees each call and each attempt at it that the SDK makes.
#[derive(Debug)]
pub(super) struct Counting(pub(super) Arc<Counters>);

impl Intercept for Counting {
    fn name(&self) -> &'static str {
        "Counting"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.attempts.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
