//! How the report's own parts are said for people, in text and in Markdown: what is different, days, gaps.
//!
//! Values come out raw; escaping is up to the format.

use super::phrase::{counted, duration, grouped};
use super::view::{ComparedFinding, Comparison, Coverage, Report, Talker, TimeSpan};
use crate::net::Timestamp;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// `2 new, 1 worse, 3 unchanged, 1 better, 2 resolved`; nothing where there is nothing to compare.
#[must_use]
pub fn statuses(comparison: &Comparison) -> String {
    let words = ["new", "worse", "unchanged", "better", "resolved"];
    let counts =
        words.map(|word| (comparison.findings.iter().filter(|one| one.status == word).count(), word));
    let told =
        counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    let told = told.collect::<Vec<_>>().join(", ");
    if told.is_empty() { "no finding then, and none now".to_owned() } else { told }
}

/// `compared with 2026-11-13 00:00 – 2026-11-20 00:00 UTC`, or with a file.
#[must_use]
pub fn compared_with(comparison: &Comparison) -> String {
    let moment = |at: Option<Timestamp>| at.map(|at| at.strftime("%F %H:%M"));
    let time = match (moment(comparison.start), moment(comparison.end)) {
        (Some(start), Some(end)) => format!("{start} – {end} UTC"),
        _ => "an earlier time".to_owned(),
    };
    let file = comparison.file.as_ref().map(|file| format!(" ({file})")).unwrap_or_default();
    let part = if comparison.complete { "" } else { ", which was not read whole" };
    format!("compared with {time}{file}{part}")
}

/// `120 → 2 280 conversations`.
#[must_use]
pub fn figures(one: &ComparedFinding) -> String {
    let (before, now) = (one.figures.conversations_before, one.figures.conversations);
    match one.status {
        "new" => counted(now, "conversation"),
        "resolved" => format!("{} then", counted(before, "conversation")),
        _ => format!("{} → {}", grouped(before), counted(now, "conversation")),
    }
}

/// Days with their conversations and packets, where there are several and not too many.
#[must_use]
pub fn days(report: &Report) -> Vec<(Timestamp, u64, u64)> {
    const MOST_DAYS: usize = 62;
    let mut days: Vec<(Timestamp, u64, u64)> = Vec::new();
    let hourly = &report.hourly;
    let hours = hourly.findings.iter().map(|finding| finding.packets.len()).max().unwrap_or(0);
    for at in 0..hours {
        let offset = i64::try_from(at).unwrap_or(0) * i64::from(hourly.slice_seconds);
        let day = Timestamp(hourly.start.plus_seconds(offset).0.div_euclid(DAY) * DAY);
        if days.last().is_none_or(|(last, ..)| *last != day) {
            days.push((day, 0, 0));
        }
        let Some((_, conversations, packets)) = days.last_mut() else { continue };
        for finding in &hourly.findings {
            let of = |list: &[u64]| list.get(at).copied().unwrap_or(0);
            *conversations = conversations.saturating_add(of(&finding.conversations));
            *packets = packets.saturating_add(of(&finding.packets));
        }
    }
    if days.len() < 2 || days.len() > MOST_DAYS { Vec::new() } else { days }
}

/// Who did not get an answer from where: `10.1.1.40 ← 10.8.10.11:5432 tcp`.
#[must_use]
pub fn talker(one: &Talker) -> (String, String) {
    let service = super::phrase::endpoint(&one.responder, one.port, one.protocol);
    (one.requester.clone(), format!("{service} {}", super::phrase::protocol(one.protocol)))
}

/// What is to be said of coverage in a sentence.
#[must_use]
pub fn coverage(coverage: &Coverage) -> String {
    if let Some(reason) = &coverage.unknown {
        return format!("gaps in the records: not known, because {reason}");
    }
    let with_gaps = coverage.interfaces.iter().filter(|one| one.gap_seconds > 0).count() as u64;
    let lossy = coverage.interfaces.iter().filter(|one| one.skip_data > 0).count() as u64;
    let all = coverage.interfaces.len() as u64 + coverage.interfaces_left_out + coverage.interfaces_covered;
    if all == 0 {
        return "there is no record of any interface".to_owned();
    }
    if with_gaps + lossy + coverage.interfaces_left_out == 0 {
        return format!(
            "{} with records in every {}",
            counted(all, "interface"),
            duration(i64::from(coverage.resolution_seconds))
        );
    }
    let left_out = match coverage.interfaces_left_out {
        0 => String::new(),
        more => format!(", {} more of both kinds", grouped(more)),
    };
    format!(
        "{} of {} have times without any record, {} lost records (SKIPDATA){left_out}",
        grouped(with_gaps),
        counted(all, "interface"),
        grouped(lossy)
    )
}

/// `2026-11-20 14:00 – 15:10`.
#[must_use]
pub fn gap(gap: &TimeSpan) -> String {
    let end = gap.end.plus_seconds(1);
    let format = if gap.start.strftime("%F") == end.strftime("%F") { "%H:%M" } else { "%F %H:%M" };
    format!("{} – {}", gap.start.strftime("%F %H:%M"), end.strftime(format))
}
