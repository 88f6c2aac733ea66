//! How often requests may be sent: a rate that grows while the service takes it and halves when it throttles.
//!
//! An account's quota for `FilterLogEvents` is 5 to 25 requests a second by region, shared with whatever else the account
//! runs, so it cannot be known beforehand (CloudWatch Logs User Guide, "CloudWatch Logs quotas").

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests that may go at once after a pause.
const BURST: f64 = 5.0;
/// The rate is never halved below this.
const LEAST_PER_SECOND: f64 = 0.5;

/// The pace of one kind of request in one region and account.
#[derive(Debug)]
pub(super) struct Rate(Mutex<Pace>);

#[derive(Debug)]
struct Pace {
    per_second: f64,
    most_per_second: f64,
    /// When the next request may go; earlier than now by up to a burst after a pause.
    next: Option<Instant>,
    /// Throttling of a request sent before this says nothing about the rate after it.
    halved: Option<Instant>,
    /// Requests throttled since the last one that was answered.
    throttled_in_a_row: u32,
}

impl Rate {
    pub(super) fn new(per_second: f64, most_per_second: f64) -> Self {
        Self(Mutex::new(Pace {
            per_second,
            most_per_second,
            next: None,
            halved: None,
            throttled_in_a_row: 0,
        }))
    }

    /// Waits for a turn; turns are given in the order of the calls. Returns when the request goes.
    pub(super) async fn turn(&self) -> Instant {
        let now = Instant::now();
        let wait = self.pace().reserve(now);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        now + wait
    }

    /// A request was answered.
    pub(super) fn answered(&self) {
        self.pace().answered();
    }

    /// A request sent at that moment was throttled: how many were since the last that was answered.
    pub(super) fn throttled(&self, sent: Instant) -> u32 {
        let mut pace = self.pace();
        pace.throttled(sent, Instant::now());
        pace.throttled_in_a_row
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }

    fn reserve(&mut self, now: Instant) -> Duration {
        let burst = self.interval().mul_f64(BURST - 1.0);
        let earliest = now.checked_sub(burst).unwrap_or(now);
        let slot = self.next.map_or(earliest, |next| next.max(earliest));
        self.next = Some(slot + self.interval());
        slot.saturating_duration_since(now)
    }

    fn answered(&mut self) {
        self.throttled_in_a_row = 0;
        // Quickly to what the region allows, as most runs need few requests; once throttled, carefully.
        let step = if self.halved.is_none() { 1.0 } else { 1.0 / self.per_second };
        self.per_second = (self.per_second + step).min(self.most_per_second);
    }

    fn throttled(&mut self, sent: Instant, now: Instant) {
        self.throttled_in_a_row = self.throttled_in_a_row.saturating_add(1);
        if self.halved.is_some_and(|halved| sent < halved) {
            return;
        }
        self.per_second = (self.per_second / 2.0).max(LEAST_PER_SECOND);
        self.halved = Some(now);
        self.next = Some(self.next.map_or(now, |next| next.max(now)) + self.interval());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace { per_second: 5.0, most_per_second: 25.0, next: None, halved: None, throttled_in_a_row: 0 }
    }

    #[test]
    fn a_burst_then_the_rate() {
        let (mut pace, now) = (pace(), Instant::now());
        let waits: Vec<_> = (0..7).map(|_| pace.reserve(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 200, 400]);
        // A long pause does not save up more than a burst.
        let later = now + Duration::from_mins(1);
        assert_eq!((0..6).filter(|_| pace.reserve(later).is_zero()).count(), 5);
    }

    #[test]
    fn the_rate_grows_to_its_bound_and_halves_once_for_requests_sent_together() {
        let (mut pace, now) = (pace(), Instant::now());
        (0..100).for_each(|_| pace.answered());
        assert!((pace.per_second - 25.0).abs() < 1e-9);
        let later = now + Duration::from_secs(1);
        pace.throttled(now, later);
        pace.throttled(now, later);
        assert!((pace.per_second - 12.5).abs() < 1e-9, "{}", pace.per_second);
        pace.throttled(later, later);
        assert!((pace.per_second - 6.25).abs() < 1e-9);
        (0..100).for_each(|_| pace.throttled(later, later));
        assert!(pace.per_second >= LEAST_PER_SECOND);
        assert!(!pace.reserve(later).is_zero(), "after throttling there is no burst");
    }
}
