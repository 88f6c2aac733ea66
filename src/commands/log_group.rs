//! What is read of a log group: its rejected records, then what can be evidence for them.

use std::collections::btree_map::Entry;

use anyhow::bail;

use super::sources::{Found, Window};
use super::watch::Watch;
use crate::aws::{AwsError, FlowLog};
use crate::config::DEFAULT_LIVE_SECONDS;
use crate::correlate::{LONGEST_RECORD_SECONDS, Span};
use crate::net::Timestamp;
use crate::pipeline::{ReadOptions, RejectedSpans, rejected_spans};
use crate::report::view::ONGOING_SECONDS;
use crate::source::cloudwatch::{CloudWatch, LogGroup, Needed, TimeRange};

/// What flow logs that deliver to a group say of it.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// Their formats.
    pub(super) log_formats: Vec<String>,
    /// One of them records accepted traffic.
    pub(super) accepted: bool,
    /// They are known, and none of them records rejected traffic.
    pub(super) accept_only: bool,
}

impl Delivered {
    /// Adds what one flow log says of a group.
    pub(super) fn note(group: Entry<'_, LogGroup, Self>, flow_log: &FlowLog) {
        let delivered = group.or_insert_with(|| Self { accept_only: true, ..Self::default() });
        delivered.accepted |= flow_log.traffic_type.as_deref() != Some("REJECT");
        delivered.accept_only &= flow_log.traffic_type.as_deref() == Some("ACCEPT");
        let formats = &mut delivered.log_formats;
        if let Some(own) = flow_log.log_format.as_ref().filter(|own| !formats.contains(own)) {
            formats.push(own.clone());
        }
    }
}

/// One group to be read.
pub(super) struct LogGroupRead<'a> {
    pub(super) logs: &'a CloudWatch,
    pub(super) group: &'a LogGroup,
    pub(super) delivered: &'a Delivered,
    pub(super) match_window_seconds: i64,
}

impl LogGroupRead<'_> {
    /// Rejected records first, then the other records of the same interfaces around them.
    pub(super) fn find(
        &self,
        window: Window,
        options: &ReadOptions,
        found: &mut Found,
        watch: &mut Watch,
    ) -> anyhow::Result<()> {
        let name = self.group.to_string();
        let until = window.until.unwrap_or_else(|| Timestamp(jiff::Timestamp::now().as_second()));
        let since = window.since.unwrap_or(until.plus_seconds(-DEFAULT_LIVE_SECONDS));
        // An event's time is its record's `start`, and a record that ends in the window may have begun before it.
        let range = TimeRange { from: since.plus_seconds(-LONGEST_RECORD_SECONDS), to: until };
        let fetched = self.logs.rejects(self.group, range, &mut |progress| {
            watch.say(&format!("{name}: {} events with REJECT", progress.events));
        });
        let mut fetched = match fetched {
            Ok(fetched) => fetched,
            Err(AwsError::NotFound { resource }) if self.is_discovered() => {
                let reason = format!(
                    "{resource}: does not exist; its flow log makes it with the first record it delivers there"
                );
                found.discovery.unreadable.push((name, reason));
                return Ok(());
            }
            Err(error) => return found.fail(name, error),
        };
        fetched.object.log_formats.clone_from(&self.delivered.log_formats);
        let before = self.match_window_seconds + LONGEST_RECORD_SECONDS;
        let (spans, decoded) = rejected_spans(&fetched.object, options, before, self.match_window_seconds);
        if let Some(error) = decoded.error.filter(|_| fetched.cut_off.is_none()) {
            bail!("{name}: {error}");
        }
        let last_rejected = spans.last_end().map(|end| end.plus_seconds(-self.match_window_seconds));
        let seen = match self.look(range, fetched.events, last_rejected, found) {
            Ok(seen) => seen,
            Err(error) => return found.fail(name, error),
        };
        let needed = needed(spans);
        found.notes.extend(self.note(&seen, fetched.events, needed.len()));
        for mut object in self.logs.others(self.group, &needed) {
            object.log_formats.clone_from(&self.delivered.log_formats);
            found.discovery.objects.push(object);
        }
        found.discovery.objects.push(fetched.object);
        Ok(())
    }

    /// Found by a flow log, not named on the command line.
    fn is_discovered(&self) -> bool {
        self.delivered.accepted || !self.delivered.log_formats.is_empty()
    }

    /// Looks at a few events beside the rejected ones, which stand for all that are not read: whether there are accepted
    /// records at all, and from when to when records go. A group of rejects alone says less, one that holds no flow logs
    /// says nothing, and what is rejected last may have ended long before the records do.
    fn look(
        &self,
        range: TimeRange,
        rejects: u64,
        last_rejected: Option<Timestamp>,
        found: &mut Found,
    ) -> Result<Seen, AwsError> {
        let mut seen = Seen::default();
        for event in self.logs.sample(self.group, range, None)? {
            seen.note(event.at, &event.message);
        }
        let told = self.delivered.accepted && rejects > 0;
        if (rejects > 0 || seen.events > 0) && !told && !seen.accepted {
            for event in self.logs.sample(self.group, range, Some("ACCEPT"))? {
                seen.note(event.at, &event.message);
            }
        }
        let after = last_rejected.map(|last| last.plus_seconds(ONGOING_SECONDS + 1));
        if let Some(from) = after.filter(|from| *from < range.to) {
            for event in self.logs.sample(self.group, TimeRange { from, to: range.to }, None)? {
                seen.note(event.at, &event.message);
            }
        }
        let name = self.group;
        if rejects == 0 && seen.events == 0 {
            found.warnings.push(format!(
                "{name} holds no event of this time; records come minutes after their traffic, as a rule up to 15"
            ));
        } else if rejects == 0 && !seen.flow_log {
            found.warnings.push(format!("{name} holds events, but none that looks like a flow log record"));
        }
        if rejects == 0 {
            self.look_for_losses(range, found)?;
        }
        found.accepted_unread |= seen.accepted || told;
        found.note_times(seen.times);
        Ok(seen)
    }

    /// Where AWS lost records there may be rejected ones among them.
    fn look_for_losses(&self, range: TimeRange, found: &mut Found) -> Result<(), AwsError> {
        if let Some(first) = self.logs.sample(self.group, range, Some("SKIPDATA"))?.first() {
            found.losses_unread = true;
            found.warnings.push(format!(
                "{} holds SKIPDATA records, the first of {}: AWS lost traffic there, rejected replies perhaps too",
                self.group, first.at
            ));
        }
        Ok(())
    }

    /// How much is read, and why that is enough; nothing where there is nothing to read.
    fn note(&self, seen: &Seen, rejects: u64, interfaces: usize) -> Option<String> {
        let name = self.group;
        match rejects {
            0 if !seen.flow_log => None,
            0 if self.delivered.accept_only => Some(format!(
                "{name}: its flow logs record ACCEPT only, so rejected replies cannot be seen; it was not read"
            )),
            0 => Some(format!(
                "{name}: no event says REJECT, so accepted records were not read: either nothing was rejected, or its \
                 flow log records ACCEPT only"
            )),
            _ => Some(note(&name.to_string(), rejects, interfaces)),
        }
    }
}

/// What a few events showed.
#[derive(Default)]
struct Seen {
    events: usize,
    flow_log: bool,
    accepted: bool,
    /// The first and the last record's beginning.
    times: Option<Span>,
}

impl Seen {
    fn note(&mut self, at: Timestamp, event: &str) {
        let mut words = event.split(|letter: char| !letter.is_ascii_alphanumeric());
        let told = words.find(|word| ["ACCEPT", "REJECT", "NODATA", "SKIPDATA"].contains(word));
        self.events += 1;
        self.flow_log |= told.is_some();
        self.accepted |= told == Some("ACCEPT");
        if told.is_some() {
            let span = Span { start: at, end: at };
            self.times = Some(self.times.map_or(span, |known| known.union(span)));
        }
    }
}

fn needed(spans: RejectedSpans) -> Vec<Needed> {
    let needed = |(interface_id, spans): (Vec<u8>, Vec<Span>)| Needed {
        interface_id: String::from_utf8_lossy(&interface_id).into_owned(),
        spans: spans.iter().map(|span| TimeRange { from: span.start, to: span.end }).collect(),
    };
    spans.by_interface.into_iter().map(needed).collect()
}

/// How much is read where there are rejects.
fn note(name: &str, rejects: u64, interfaces: usize) -> String {
    let events = if rejects == 1 {
        "the one event that says".to_owned()
    } else {
        format!("the {rejects} events that say")
    };
    let interfaces = match interfaces {
        0 => {
            return format!("{name}: {events} REJECT; none of them can be judged here, so no other was read");
        }
        1 => "the one interface".to_owned(),
        interfaces => format!("the {interfaces} interfaces"),
    };
    format!(
        "{name}: {events} REJECT, and the other records of {interfaces} around them: an accepted record of the same \
         interface near in time is what shows a reject to be a reply; requests that left by another interface were not \
         looked for"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_said_with_its_reason() {
        assert!(note("g", 3, 0).contains("none of them can be judged"));
        assert!(
            note("g", 1, 1)
                .starts_with("g: the one event that says REJECT, and the other records of the one")
        );
        assert!(
            note("g", 30, 4).starts_with("g: the 30 events that say REJECT, and the other records of the 4")
        );
    }

    #[test]
    fn a_group_is_known_by_the_words_of_its_events() {
        let seen = |events: &[&str]| {
            let mut seen = Seen::default();
            for event in events {
                seen.note(Timestamp(0), event);
            }
            (seen.flow_log, seen.accepted)
        };
        assert_eq!(seen(&["2 1 eni-1 - - - - - - - 1 2 - NODATA", "2 … ACCEPT OK"]), (true, true));
        assert_eq!(seen(&["2 … REJECT OK"]), (true, false));
        assert_eq!(seen(&["{\"message\":\"2 … ACCEPT OK\"}"]), (true, true));
        assert_eq!(seen(&["user ACCEPTED the offer"]), (false, false));
    }
}
