//! Calls in the AWS JSON protocol, version 1.1.
//!
//! Owns how such a request is written, its answer and its error are read, and the pace at which a service with a small
//! quota is asked. Refuses to know what the calls are for. Protocol: Smithy `awsJson1_1`.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_runtime::retries::classifiers::THROTTLING_ERRORS;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_types::error::ErrorMetadata;
use serde_json::{Map, Value};

use super::service::Service;
use super::transport::{Content, Failure, Throttling, Transport, Unanswered};
use super::{Action, AwsError};

/// The longest pause before a throttled request is sent again.
const LONGEST_BACKOFF: Duration = Duration::from_secs(8);

/// How often a service is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// From the beginning of one request to that of the next, at least.
    pub(super) interval: Duration,
    /// How often a request that is throttled is sent, the first time included.
    pub(super) attempts: u32,
    /// The pause of all requests after the first throttling of one; each further one is twice as long.
    pub(super) first_backoff: Duration,
}

/// A service in a region, ready to be called. Clones share its pace.
#[derive(Debug, Clone)]
pub(super) struct JsonClient {
    transport: Transport,
    target: &'static str,
    pace: Pace,
    turns: Arc<Mutex<Turns>>,
}

/// Gives requests their turns.
#[derive(Debug, Default)]
struct Turns {
    /// When the next request may go; nothing before the first.
    next: Option<Instant>,
}

impl Turns {
    /// How long the request that is next has to wait; the one after it goes so much later at the earliest.
    fn take(&mut self, now: Instant, interval: Duration) -> Duration {
        let slot = self.next.map_or(now, |next| next.max(now));
        self.next = Some(slot + interval);
        slot.saturating_duration_since(now)
    }

    /// No request goes before this pause is over.
    fn hold(&mut self, now: Instant, pause: Duration) {
        let earliest = now + pause;
        self.next = Some(self.next.map_or(earliest, |next| next.max(earliest)));
    }
}

/// How far tokens were followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pages {
    /// To the end.
    All,
    /// Until no more was wanted.
    Enough,
}

/// A call that failed: the code of the service's refusal, if it was one, and what it means.
#[derive(Debug)]
pub(super) struct JsonError {
    pub(super) code: Option<String>,
    pub(super) error: AwsError,
}

impl JsonClient {
    pub(super) fn cloudtrail(config: &SdkConfig, region: &str, endpoint: String, pace: Pace) -> Self {
        let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101";
        Self::new(config, (Service::CloudTrail, target), region, endpoint, pace)
    }

    pub(super) fn config(config: &SdkConfig, region: &str, endpoint: String, pace: Pace) -> Self {
        Self::new(config, (Service::Config, "StarlingDoveService"), region, endpoint, pace)
    }

    fn new(
        config: &SdkConfig,
        (service, target): (Service, &'static str),
        region: &str,
        endpoint: String,
        pace: Pace,
    ) -> Self {
        let transport = Transport::new(config, service, region, endpoint, Throttling::Told);
        Self { transport, target, pace, turns: Arc::default() }
    }

    /// The region, which is what messages name.
    pub(super) fn region(&self) -> &str {
        self.transport.region()
    }

    /// Makes one call, as often as it takes, and reads its answer.
    pub(super) async fn call(
        &self,
        action: Action,
        parameters: &Map<String, Value>,
    ) -> Result<Map<String, Value>, JsonError> {
        let (mut attempts, mut backoff) = (0_u32, self.pace.first_backoff);
        let body = Value::Object(parameters.clone()).to_string();
        loop {
            self.turn().await;
            let content = Content {
                media_type: "application/x-amz-json-1.1",
                target: Some(format!("{}.{}", self.target, action.operation())),
                body: body.clone(),
            };
            let failure = match self.transport.send(action, content, answer).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            attempts = attempts.saturating_add(failure.attempts().max(1));
            if !is_throttled(&failure) || attempts >= self.pace.attempts {
                let error = self.transport.error(action, &failure, attempts);
                return Err(JsonError { code: failure.code().map(ToOwned::to_owned), error });
            }
            self.turns().hold(Instant::now(), backoff);
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    /// Follows tokens to the end, with the same parameters each time; a page may be empty and still have one. `take` is
    /// handed the list `key` of each page, and says whether it wants more.
    pub(super) async fn pages(
        &self,
        action: Action,
        parameters: &Map<String, Value>,
        (key, token_key): (&str, &str),
        mut take: impl FnMut(Vec<Value>) -> bool,
    ) -> Result<Pages, JsonError> {
        let mut parameters = parameters.clone();
        let mut tokens = HashSet::new();
        loop {
            let mut page = self.call(action, &parameters).await?;
            let Some(Value::Array(found)) = page.remove(key) else {
                return Err(self.failed(action, format!("an answer without {key}")));
            };
            let token = match page.remove(token_key) {
                Some(Value::String(token)) if !token.is_empty() => token,
                _ => {
                    take(found);
                    return Ok(Pages::All);
                }
            };
            if !take(found) {
                return Ok(Pages::Enough);
            }
            if !tokens.insert(token.clone()) {
                return Err(self.failed(action, "the same page again and again".to_owned()));
            }
            parameters.insert(token_key.to_owned(), Value::String(token));
        }
    }

    fn failed(&self, action: Action, message: String) -> JsonError {
        let error = AwsError::Failed { action, resource: self.region().to_owned(), message };
        JsonError { code: None, error }
    }

    /// Waits until a request may go; turns are given in the order of the calls.
    async fn turn(&self) {
        let wait = self.turns().take(Instant::now(), self.pace.interval);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_throttled(failure: &Failure) -> bool {
    let by_code = failure.code().is_some_and(|code| THROTTLING_ERRORS.contains(&code));
    by_code || failure.status() == Some(429)
}

/// A number of seconds since the Unix epoch, as this protocol writes times, in RFC 3339 as the AWS CLI prints them.
pub(super) fn print_time(object: &mut Map<String, Value>, member: &str) {
    const MILLIS: f64 = 1000.0;
    let Some(seconds) = object.get(member).and_then(Value::as_f64) else { return };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a time beyond the calendar saturates, and is left as it is"
    )]
    let time = jiff::Timestamp::from_millisecond((seconds * MILLIS).round() as i64);
    if let Ok(time) = time {
        object.insert(member.to_owned(), Value::String(time.to_string()));
    }
}

/// Broken answers are errors of the response, which are retried.
fn answer(response: &HttpResponse) -> Result<Map<String, Value>, Unanswered> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return serde_json::from_slice(body).map_err(|error| OrchestratorError::response(error.into()));
    }
    let (code, message) = refusal(response.headers().get("x-amzn-errortype"), body);
    let mut metadata = ErrorMetadata::builder();
    if let Some(code) = code {
        metadata = metadata.code(code);
    }
    if let Some(message) = message {
        metadata = metadata.message(message);
    }
    Err(OrchestratorError::operation(metadata.build()))
}

/// The code and the message of an error: `{"__type": "namespace#Code", "message": "…"}`. Neither when it is no such answer.
fn refusal(header: Option<&str>, body: &[u8]) -> (Option<String>, Option<String>) {
    let object: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| object.get(*name)?.as_str());
        found.map(ToOwned::to_owned)
    };
    let code = header.map(ToOwned::to_owned).or_else(|| text(&["code", "__type"])).map(|code| {
        let code = code.split(':').next().unwrap_or_default();
        code.rsplit('#').next().unwrap_or_default().to_owned()
    });
    (code.filter(|code| !code.is_empty()), text(&["message", "Message", "errorMessage"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_go_one_interval_apart_and_after_throttling_none_goes() {
        let (mut turns, now, interval) = (Turns::default(), Instant::now(), Duration::from_millis(500));
        let waits: Vec<_> = (0..3).map(|_| turns.take(now, interval).as_millis()).collect();
        assert_eq!(waits, [0, 500, 1000], "not two at once, as nothing is saved up");
        let later = now + Duration::from_mins(1);
        assert_eq!([turns.take(later, interval), turns.take(later, interval)], [Duration::ZERO, interval]);
        turns.hold(later, Duration::from_secs(4));
        assert_eq!(turns.take(later, interval).as_millis(), 4000);
        turns.hold(later, Duration::from_secs(1));
        assert_eq!(turns.take(later, interval).as_millis(), 4500, "a shorter pause takes nothing back");
    }

    #[test]
    fn the_code_of_an_error_row_by_row() {
        let denied = (Some("AccessDeniedException".to_owned()), Some("no".to_owned()));
        for (header, body) in [
            (None, r#"{"__type":"AccessDeniedException","message":"no"}"#),
            (None, r#"{"__type":"com.amazonaws.cloudtrail#AccessDeniedException","Message":"no"}"#),
            (Some("AccessDeniedException:http://internal.amazon.com/coral/"), r#"{"message":"no"}"#),
            (Some("AccessDeniedException"), r#"{"__type":"Other","message":"no"}"#),
        ] {
            assert_eq!(refusal(header, body.as_bytes()), denied, "{header:?} {body}");
        }
        for body in ["", "<html>Bad Gateway", "[]", "{\"__type\":7}", "{\"__type\":\"\"}"] {
            assert_eq!(refusal(None, body.as_bytes()), (None, None), "{body}");
        }
    }

    #[test]
    fn times_become_those_of_the_cli_and_anything_else_stays() {
        let print = |value: Value| {
            let mut object = Map::from_iter([("EventTime".to_owned(), value)]);
            print_time(&mut object, "EventTime");
            print_time(&mut object, "Absent");
            object["EventTime"].clone()
        };
        assert_eq!(print(json!(1_795_184_640)), "2026-11-20T14:24:00Z");
        assert_eq!(print(json!(1.795_184_640_5e9)), "2026-11-20T14:24:00.5Z");
        for odd in [json!("2026-11-20T14:24:00+00:00"), json!(null), json!(1e300), json!(-1e300)] {
            assert_eq!(print(odd.clone()), odd);
        }
    }
}
