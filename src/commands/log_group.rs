//! What is read of a log group: its rejected records, then what can be evidence for them.

use anyhow::bail;

use super::sources::{Found, LONGEST_RECORD_SECONDS, Window};
use super::watch::Watch;
use crate::aws::AwsError;
use crate::net::Timestamp;
use crate::pipeline::{ReadOptions, RejectedSpans, rejected_spans};
use crate::source::cloudwatch::{CloudWatch, LogGroup, Needed, TimeRange};

/// How far back a log group is read when nothing says.
const DEFAULT_SECONDS: i64 = 3600;

/// Places in a range at which its first events are looked at, in quarters.
const LOOKS: i64 = 4;

/// What flow logs that deliver to a group say of it.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// Their formats.
    pub(super) log_formats: Vec<String>,
    /// One of them records accepted traffic.
    pub(super) accepted: bool,
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
        let since = window.since.unwrap_or(until.plus_seconds(-DEFAULT_SECONDS));
        // An event's time is its record's `start`, and a record that ends in the window may have begun before it.
        let range = TimeRange { from: since.plus_seconds(-LONGEST_RECORD_SECONDS), to: until };
        let fetched = self.logs.rejects(self.group, range, &mut |progress| {
            watch.say(&format!("{name}: {} events with REJECT", progress.events));
        });
        let mut fetched = match fetched {
            Ok(fetched) => fetched,
            Err(error) => return found.fail(name, error),
        };
        fetched.object.log_formats.clone_from(&self.delivered.log_formats);
        let before = self.match_window_seconds + LONGEST_RECORD_SECONDS;
        let (spans, decoded) = rejected_spans(&fetched.object, options, before, self.match_window_seconds);
        if let Some(error) = decoded.error.filter(|_| fetched.cut_off.is_none()) {
            bail!("{name}: {error}");
        }
        if let Err(error) = self.look_for_accepted(range, fetched.events, found) {
            return found.fail(name, error);
        }
        let needed = needed(spans);
        found.notes.push(note(&name, fetched.events, needed.len()));
        for mut object in self.logs.others(self.group, &needed) {
            object.log_formats.clone_from(&self.delivered.log_formats);
            found.discovery.objects.push(object);
        }
        found.discovery.objects.push(fetched.object);
        Ok(())
    }

    /// Whether there are accepted records at all, which are read only around rejected ones: a group of rejects alone says
    /// less, and one that holds no flow logs says nothing.
    fn look_for_accepted(&self, range: TimeRange, rejects: u64, found: &mut Found) -> Result<(), AwsError> {
        let mut seen = Seen::default();
        let quarter = (range.to.seconds_since(range.from) / LOOKS).max(1);
        for look in 0..LOOKS {
            if self.delivered.accepted && rejects > 0 || seen.accepted {
                break;
            }
            let from = range.from.plus_seconds(quarter * look);
            for event in self.logs.sample(self.group, TimeRange { from, to: range.to })? {
                seen.note(&event);
            }
            if seen.events == 0 {
                break;
            }
        }
        let name = self.group;
        if rejects == 0 && seen.events == 0 {
            found.warnings.push(format!("{name} holds no event of this time"));
        } else if rejects == 0 && !seen.flow_log {
            found.warnings.push(format!("{name} holds events, but none that looks like a flow log record"));
        }
        found.accepted_unread |= seen.accepted || self.delivered.accepted && (rejects > 0 || seen.flow_log);
        Ok(())
    }
}

/// What a few events showed.
#[derive(Default)]
struct Seen {
    events: usize,
    flow_log: bool,
    accepted: bool,
}

impl Seen {
    fn note(&mut self, event: &str) {
        let mut words = event.split(|letter: char| !letter.is_ascii_alphanumeric());
        let told = words.find(|word| ["ACCEPT", "REJECT", "NODATA", "SKIPDATA"].contains(word));
        self.events += 1;
        self.flow_log |= told.is_some();
        self.accepted |= told == Some("ACCEPT");
    }
}

fn needed(spans: RejectedSpans) -> Vec<Needed> {
    let needed = |(interface_id, spans): (Vec<u8>, Vec<crate::correlate::Span>)| Needed {
        interface_id: String::from_utf8_lossy(&interface_id).into_owned(),
        spans: spans.iter().map(|span| TimeRange { from: span.start, to: span.end }).collect(),
    };
    spans.by_interface.into_iter().map(needed).collect()
}

/// How much is read, and why that is enough.
fn note(name: &str, rejects: u64, interfaces: usize) -> String {
    if rejects == 0 {
        return format!(
            "{name}: no event says REJECT, so no reply was rejected; accepted records were not read"
        );
    }
    let events = if rejects == 1 {
        "the one event that says".to_owned()
    } else {
        format!("the {rejects} events that say")
    };
    let interfaces = match interfaces {
        0 => return format!("{name}: {events} REJECT; none of them counts here, so no other was read"),
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
        assert!(note("g", 0, 0).contains("accepted records were not read"));
        assert!(note("g", 3, 0).contains("none of them counts"));
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
                seen.note(event);
            }
            (seen.flow_log, seen.accepted)
        };
        assert_eq!(seen(&["2 1 eni-1 - - - - - - - 1 2 - NODATA", "2 … ACCEPT OK"]), (true, true));
        assert_eq!(seen(&["2 … REJECT OK"]), (true, false));
        assert_eq!(seen(&["{\"message\":\"2 … ACCEPT OK\"}"]), (true, true));
        assert_eq!(seen(&["user ACCEPTED the offer"]), (false, false));
    }
}
