//! One call to CloudWatch Logs: its turn, its retries, the wish to stop, and what was counted. Refuses to know what calls
//! are for.

use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::retry::RetryConfig;
use aws_sdk_cloudwatchlogs::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatchlogs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::LogsLimits;
use super::rate::Rate;
use crate::aws::{Action, Aws, AwsError, Stop};

/// How often a wait looks whether the run is to stop.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// The longest pause before a retry.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// Tries of a request that does not reach the service at all: nobody is throttling, and somebody is waiting.
const UNREACHABLE_ATTEMPTS: u32 = 4;
/// A service that throttles this many times all attempts of a request, and answers none, is not asked again.
const HOPELESS: u32 = 3;
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Codes that ask for a slower pace (CloudWatch Logs API reference, "Common errors"; `StartQuery`).
const THROTTLED: [&str; 6] = [
    "LimitExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
];
/// Codes of faults that pass.
const TRANSIENT: [&str; 4] =
    ["InternalFailure", "InternalServerException", "ServiceUnavailable", "ServiceUnavailableException"];

/// Why fetching ended before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cut {
    /// The run is to end early, or nobody reads any more.
    Stopped,
    /// A call failed for good.
    Failed(AwsError),
}

impl From<AwsError> for Cut {
    fn from(error: AwsError) -> Self {
        Self::Failed(error)
    }
}

/// What was asked and received so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogsTraffic {
    /// Requests sent, retries among them.
    pub requests: u64,
    /// Requests sent again after throttling or a fault.
    pub retries: u64,
    /// Pages of events or rows received.
    pub pages: u64,
    /// Pages without any.
    pub empty_pages: u64,
    /// Events received, whatever became of them.
    pub events_received: u64,
    /// Events that were asked for and handed on.
    pub events_kept: u64,
    /// Bytes of the messages received.
    pub bytes: u64,
}

/// [`LogsTraffic`] while it grows.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    requests: AtomicU64,
    retries: AtomicU64,
    pages: AtomicU64,
    empty_pages: AtomicU64,
    events_received: AtomicU64,
    events_kept: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    /// Counts a page of so many events with so many bytes of messages.
    pub(super) fn page(&self, received: usize, bytes: usize) {
        let (received, bytes) = (received as u64, bytes as u64);
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.empty_pages.fetch_add(u64::from(received == 0), Ordering::Relaxed);
        self.events_received.fetch_add(received, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts events that are handed on.
    pub(super) fn kept(&self, events: usize) {
        self.events_kept.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(super) fn so_far(&self) -> LogsTraffic {
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LogsTraffic {
            requests: now(&self.requests),
            retries: now(&self.retries),
            pages: now(&self.pages),
            empty_pages: now(&self.empty_pages),
            events_received: now(&self.events_received),
            events_kept: now(&self.events_kept),
            bytes: now(&self.bytes),
        }
    }
}

/// The service in one region and account.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) client: Client,
    pub(super) region: String,
    /// The pace of `FilterLogEvents` and `DescribeLogGroups`.
    filter_rate: Rate,
    /// The pace of `StartQuery`, and that of looking at queries: each has a quota of its own.
    start_rate: Rate,
    results_rate: Rate,
    /// Calls that the service does not answer any more.
    given_up: Mutex<Vec<AwsError>>,
    traffic: Arc<Traffic>,
    stop: Stop,
    limits: LogsLimits,
}

impl Service {
    pub(super) fn new(aws: &Aws, region: &str, limits: &LogsLimits, traffic: &Arc<Traffic>) -> Self {
        let shared = aws.sdk_config(region);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(limits.request_timeout)
            .build();
        // Retries are made here: the pace must know of every request that was throttled.
        let mut config = aws_sdk_cloudwatchlogs::config::Builder::from(&shared)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if shared.credentials_provider().is_none() {
            config = config.allow_no_auth();
        }
        let rate = || Rate::new(limits.first_requests_per_second, limits.most_requests_per_second);
        Self {
            client: Client::from_conf(config.build()),
            region: region.to_owned(),
            filter_rate: rate(),
            start_rate: rate(),
            results_rate: rate(),
            given_up: Mutex::default(),
            traffic: Arc::clone(traffic),
            stop: aws.stop().clone(),
            limits: limits.clone(),
        }
    }

    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    pub(super) fn limits(&self) -> &LogsLimits {
        &self.limits
    }

    /// Makes a call until it is answered, refused, or retries are used up. `resource` is what messages say it was about.
    pub(super) async fn call<T, E, F>(
        &self,
        action: Action,
        resource: &str,
        send: impl Fn() -> F,
    ) -> Result<T, Cut>
    where
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let rate = match action {
            Action::StartQuery => &self.start_rate,
            Action::GetQueryResults => &self.results_rate,
            _ => &self.filter_rate,
        };
        let mut backoff = self.limits.first_backoff;
        for attempt in 1.. {
            let sent = self.unless_stopped(rate.turn()).await?;
            if let Some(error) = self.given_up(action) {
                return Err(Cut::Failed(error));
            }
            self.traffic.requests.fetch_add(1, Ordering::Relaxed);
            let error = match self.unless_stopped(send()).await? {
                Ok(answer) => {
                    rate.answered();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let fault = Fault::of(&error);
            let in_a_row = if fault == Fault::Throttled { rate.throttled(sent) } else { 0 };
            // When nothing is answered at all, not every slice has to find that out for itself.
            let is_hopeless = in_a_row > self.limits.attempts.saturating_mul(HOPELESS);
            if is_hopeless || attempt >= fault.attempts(&self.limits) {
                // This call may have made one attempt only: what was given up upon is all that were made.
                let attempts = if is_hopeless { in_a_row } else { attempt };
                let error = after(attempts, AwsError::from_sdk(&error, action, resource));
                if is_hopeless {
                    self.given_up.lock().unwrap_or_else(PoisonError::into_inner).push(error.clone());
                }
                return Err(Cut::Failed(error));
            }
            self.traffic.retries.fetch_add(1, Ordering::Relaxed);
            self.pause(backoff).await?;
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
        Err(Cut::Stopped)
    }

    fn given_up(&self, action: Action) -> Option<AwsError> {
        let given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        let is_this =
            |error: &&AwsError| matches!(error, AwsError::Failed { action: of, .. } if *of == action);
        given_up.iter().find(is_this).cloned()
    }

    pub(super) async fn pause(&self, duration: Duration) -> Result<(), Cut> {
        self.unless_stopped(tokio::time::sleep(duration)).await
    }

    /// Waits for something for as long as the run is not to stop.
    pub(super) async fn unless_stopped<F: Future>(&self, future: F) -> Result<F::Output, Cut> {
        let mut future = pin!(future);
        loop {
            if self.stop.is_requested() {
                return Err(Cut::Stopped);
            }
            if let Ok(output) = tokio::time::timeout(LOOK, future.as_mut()).await {
                return Ok(output);
            }
        }
    }
}

/// Adds to a failure how often it was tried.
fn after(attempts: u32, error: AwsError) -> AwsError {
    match error {
        AwsError::Failed { action, resource, message } if attempts > 1 => {
            AwsError::Failed { action, resource, message: format!("{message} (after {attempts} attempts)") }
        }
        other => other,
    }
}

/// What a failure says about trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Throttled,
    Transient,
    Unreachable,
    Final,
}

impl Fault {
    fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Self::Transient,
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
                Self::Unreachable
            }
            SdkError::ServiceError(service) => match error.code() {
                Some(code) if THROTTLED.contains(&code) => Self::Throttled,
                Some(code) if TRANSIENT.contains(&code) => Self::Transient,
                _ if service.raw().status().as_u16() == 429 => Self::Throttled,
                _ if service.raw().status().is_server_error() => Self::Transient,
                _ => Self::Final,
            },
            _ => Self::Final,
        }
    }

    fn attempts(self, limits: &LogsLimits) -> u32 {
        match self {
            Self::Throttled | Self::Transient => limits.attempts,
            Self::Unreachable => limits.attempts.min(UNREACHABLE_ATTEMPTS),
            Self::Final => 1,
        }
    }
}
