//! One slice of a log group of class Standard: every page of `FilterLogEvents`, however many of them are empty.
//!
//! Facts: CloudWatch Logs API reference, `FilterLogEvents`. Pages end with a missing token only. `startTime` and `endTime`
//! are both inclusive. Results come by event time.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;

use super::Sampled;
use super::call::Cut;
use super::feed::Feed;
use super::span::TimeRange;
use super::target::{Group, Target};
use super::wanted::{Request, Wanted};
use crate::aws::Action;

/// Events of which the identity is remembered to tell repeated ones: ten full pages. As results come by time, a repeated
/// event stands close to itself.
const REMEMBERED: usize = 100_000;
/// Events that a sample asks for.
const SAMPLE_EVENTS: i32 = 100;

impl Group {
    /// Fetches what is wanted of a slice and hands it on page by page.
    pub(super) async fn filter(
        &self,
        target: &Target,
        slice: TimeRange,
        wanted: &Wanted,
        feed: &Feed,
    ) -> Result<(), Cut> {
        for request in wanted.requests(target.class, slice) {
            let mut tokens = Tokens::default();
            let mut events = Events::default();
            let mut token = None;
            loop {
                let page = self.page(target, slice, &request.filter, None, token).await?;
                let text = self.text(&page, slice, wanted, &request, &mut events)?;
                feed.push(text).await?;
                token = match tokens.next(page.next_token) {
                    Ok(Some(token)) => Some(token),
                    Ok(None) => break,
                    Err(Repeated) => return Err(self.token_loop(Action::FilterLogEvents)),
                };
            }
        }
        Ok(())
    }

    /// The first events of a range that are wanted.
    pub(super) async fn first_events(
        &self,
        target: &Target,
        range: TimeRange,
        wanted: &Wanted,
    ) -> Result<Vec<Sampled>, Cut> {
        let requests = wanted.requests(target.class, range);
        let Some(request) = requests.first() else { return Ok(Vec::new()) };
        let mut tokens = Tokens::default();
        let mut token = None;
        loop {
            let page = self.page(target, range, &request.filter, Some(SAMPLE_EVENTS), token).await?;
            let sampled = |event: &FilteredLogEvent| {
                let (at, message) = (event.timestamp()?, event.message().unwrap_or_default());
                let counts = range.holds(at) && wanted.keeps(request, at, message);
                counts.then(|| Sampled::new(at, message))
            };
            let events: Vec<Sampled> = page
                .events()
                .iter()
                .filter_map(sampled)
                .take(SAMPLE_EVENTS.unsigned_abs() as usize)
                .collect();
            let bytes = page.events().iter().filter_map(|event| event.message().map(str::len)).sum();
            self.service.traffic().page(page.events().len(), bytes);
            if !events.is_empty() {
                return Ok(events);
            }
            token = match tokens.next(page.next_token) {
                Ok(Some(token)) => Some(token),
                Ok(None) => break,
                Err(Repeated) => return Err(self.token_loop(Action::FilterLogEvents)),
            };
        }
        Ok(Vec::new())
    }

    async fn page(
        &self,
        target: &Target,
        slice: TimeRange,
        pattern: &str,
        limit: Option<i32>,
        token: Option<String>,
    ) -> Result<FilterLogEventsOutput, Cut> {
        let (first, last) = slice.milliseconds();
        self.service
            .call(Action::FilterLogEvents, &self.name, || {
                let request = self.service.client.filter_log_events();
                let request = match &target.identifier {
                    Some(arn) => request.log_group_identifier(arn),
                    None => request.log_group_name(&self.id.name),
                };
                let pattern = Some(pattern.to_owned()).filter(|pattern| !pattern.is_empty());
                request
                    .start_time(first)
                    .end_time(last)
                    .set_filter_pattern(pattern)
                    .set_limit(limit)
                    .set_next_token(token.clone())
                    .send()
            })
            .await
    }

    /// What counts of a page, as lines.
    fn text(
        &self,
        page: &FilterLogEventsOutput,
        slice: TimeRange,
        wanted: &Wanted,
        request: &Request,
        events: &mut Events,
    ) -> Result<Vec<u8>, Cut> {
        let (mut text, mut kept, mut bytes) = (Vec::new(), 0, 0);
        for event in page.events() {
            let message = event.message().unwrap_or_default();
            bytes += message.len();
            let Some(at) = event.timestamp() else {
                let problem = "the service sent an event without its time";
                return Err(Cut::Failed(self.failure(Action::FilterLogEvents, problem)));
            };
            if slice.holds(at) && wanted.keeps(request, at, message) && events.is_new(event.event_id()) {
                text.extend(line(message));
                kept += 1;
            }
        }
        self.service.traffic().page(page.events().len(), bytes);
        self.service.traffic().kept(kept);
        Ok(text)
    }

    pub(super) fn token_loop(&self, action: Action) -> Cut {
        let problem = "the service sent a page token twice, so what follows it cannot be reached";
        Cut::Failed(self.failure(action, problem))
    }
}

/// A message as one line: a line break inside it, which no record has, must not make two of it.
pub(super) fn line(message: &str) -> Vec<u8> {
    let one_line = message.trim_end_matches(['\n', '\r']).bytes();
    let mut line: Vec<u8> =
        one_line.map(|byte| if byte == b'\n' || byte == b'\r' { b' ' } else { byte }).collect();
    line.push(b'\n');
    line
}

/// A page token came twice.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated;

/// The page tokens seen, by their hashes: 16 bytes a page.
#[derive(Debug, Default)]
pub(super) struct Tokens(HashSet<[u64; 2]>);

impl Tokens {
    /// The token of the next page; `None` at the end.
    pub(super) fn next(&mut self, token: Option<String>) -> Result<Option<String>, Repeated> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
        if self.0.insert(fingerprint(&token)) { Ok(Some(token)) } else { Err(Repeated) }
    }
}

/// The events seen last.
#[derive(Debug, Default)]
pub(super) struct Events {
    known: HashSet<[u64; 2]>,
    order: VecDeque<[u64; 2]>,
}

impl Events {
    /// Whether an event was not seen before; one without identity is always new.
    pub(super) fn is_new(&mut self, id: Option<&str>) -> bool {
        let Some(id) = id else { return true };
        let id = fingerprint(id);
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// 128 bits: two texts that are not the same differ in them.
fn fingerprint(text: &str) -> [u64; 2] {
    [0_u8, 1].map(|seed| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        text.hash(&mut hasher);
        hasher.finish()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(line("2 1 eni-a"), b"2 1 eni-a\n");
        assert_eq!(line("2 1 eni-a\r\n"), b"2 1 eni-a\n");
        assert_eq!(line("2 1\r\n\neni-a"), b"2 1   eni-a\n");
    }

    #[test]
    fn a_repeated_token_is_told_from_the_end_even_in_a_longer_loop() {
        let mut tokens = Tokens::default();
        for token in ["a", "b", "c"] {
            assert_eq!(tokens.next(Some(token.into())), Ok(Some(token.to_owned())));
        }
        assert_eq!(tokens.next(Some("a".into())), Err(Repeated));
        assert_eq!(tokens.next(Some(String::new())), Ok(None));
        assert_eq!(tokens.next(None), Ok(None));
    }

    #[test]
    fn events_are_remembered_up_to_a_bound() {
        let mut events = Events::default();
        assert!(events.is_new(Some("first")));
        assert!(!events.is_new(Some("first")));
        assert!(events.is_new(None) && events.is_new(None));
        for index in 0..REMEMBERED {
            assert!(events.is_new(Some(&index.to_string())));
        }
        assert_eq!(events.known.len(), REMEMBERED);
        assert!(!events.is_new(Some("99999")));
    }
}
