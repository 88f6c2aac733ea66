//! What is different from an earlier time: findings that are new, worse, unchanged, better or resolved.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Survey;
use crate::net::{Direction, Timestamp};
use crate::report::view::{ComparedFinding, Comparison, Diagnosis, Difference, Finding};

/// A change of less than one part in this many leaves a finding unchanged.
const NOTICEABLE: u64 = 10;

/// The results of an earlier time, as far as they are compared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Baseline {
    window: BaselineWindow,
    summary: BaselineSummary,
    findings: Vec<BaselineFinding>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct BaselineWindow {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    first_record: Option<Timestamp>,
    last_record: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct BaselineSummary {
    rejected_conversations: u64,
    rejected_packets: u64,
    complete: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct BaselineFinding {
    id: String,
    cause: String,
    network_acl_id: Option<String>,
    direction: Option<Direction>,
    rule: Option<String>,
    conversations: u64,
    packets: u64,
}

/// A document that is no earlier result.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// Not what `--format json` writes.
    #[error("not a report or a diagnosis as --format json writes it: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl Baseline {
    /// Reads a report or a diagnosis in JSON.
    pub fn from_json(text: &[u8]) -> Result<Self, BaselineError> {
        Ok(serde_json::from_slice(text)?)
    }

    /// What a survey of the earlier time found.
    #[must_use]
    pub fn of(survey: &Survey) -> Self {
        let Diagnosis { window, summary, findings, .. } = &survey.diagnosis;
        Self {
            window: BaselineWindow {
                since: window.since,
                until: window.until,
                first_record: window.first_record,
                last_record: window.last_record,
            },
            summary: BaselineSummary {
                rejected_conversations: summary.rejected_conversations,
                rejected_packets: summary.rejected_packets,
                complete: summary.complete,
            },
            findings: findings.iter().map(BaselineFinding::of).collect(),
        }
    }

    /// First moment and end of its time.
    fn ends(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let window = &self.window;
        (window.since.or(window.first_record), window.until.or(window.last_record))
    }

    /// Whether there was any record in it.
    #[must_use]
    pub fn has_records(&self) -> bool {
        self.window.first_record.is_some()
    }

    /// Its length in seconds, as far as it is known.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        let (start, end) = self.ends();
        Some(end?.seconds_since(start?))
    }
}

impl BaselineFinding {
    fn of(finding: &Finding) -> Self {
        Self {
            id: finding.id.clone(),
            cause: finding.cause.to_owned(),
            network_acl_id: finding.network_acl_id.clone(),
            direction: finding.direction,
            rule: finding.rule.clone(),
            conversations: finding.conversations,
            packets: finding.packets,
        }
    }
}

/// Holds the findings of now against those of an earlier time. `file` is where they are from, if from a file.
#[must_use]
pub fn compare(now: &Diagnosis, earlier: &Baseline, file: Option<String>) -> Comparison {
    let of_now: Vec<BaselineFinding> = now.findings.iter().map(BaselineFinding::of).collect();
    let matches = matches(&of_now, &earlier.findings);
    let known: BTreeSet<usize> = matches.iter().flatten().copied().collect();
    let mut findings: Vec<ComparedFinding> = of_now
        .iter()
        .zip(&matches)
        .map(|(finding, before)| compared(finding, Some(finding), before.map(|at| &earlier.findings[at])))
        .collect();
    let gone = earlier.findings.iter().enumerate().filter(|(at, _)| !known.contains(at));
    findings.extend(gone.map(|(_, before)| compared(before, None, Some(before))));
    findings.sort_by_key(|one| {
        let order = STATUS.iter().position(|status| *status == one.status);
        (order, Reverse(one.figures.conversations.max(one.figures.conversations_before)))
    });
    let (start, end) = earlier.ends();
    Comparison {
        origin: if file.is_some() { "baseline" } else { "previous_period" },
        file,
        start,
        end,
        complete: earlier.summary.complete,
        total: Difference {
            conversations_before: earlier.summary.rejected_conversations,
            conversations: now.summary.rejected_conversations,
            packets_before: earlier.summary.rejected_packets,
            packets: now.summary.rejected_packets,
        },
        findings,
    }
}

/// What can become of a finding, in the order in which it is told.
const STATUS: [&str; 5] = ["new", "worse", "unchanged", "better", "resolved"];

/// For each finding of now its place in the earlier ones. Ids are stable; where a rule was told apart by time at one of
/// the times only, what is left of it on both sides is the same rule if there is one on each.
fn matches(now: &[BaselineFinding], earlier: &[BaselineFinding]) -> Vec<Option<usize>> {
    let places: BTreeMap<&str, usize> =
        earlier.iter().enumerate().map(|(at, finding)| (finding.id.as_str(), at)).collect();
    let mut matches: Vec<Option<usize>> =
        now.iter().map(|finding| places.get(finding.id.as_str()).copied()).collect();
    let taken: BTreeSet<usize> = matches.iter().flatten().copied().collect();
    let mut left: BTreeMap<&str, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (at, finding) in now.iter().enumerate().filter(|(at, _)| matches[*at].is_none()) {
        left.entry(whatever_its_time(&finding.id)).or_default().0.push(at);
    }
    for (at, finding) in earlier.iter().enumerate().filter(|(at, _)| !taken.contains(at)) {
        left.entry(whatever_its_time(&finding.id)).or_default().1.push(at);
    }
    for (of_now, before) in left.into_values() {
        if let ([at], [before]) = (of_now.as_slice(), before.as_slice()) {
            matches[*at] = Some(*before);
        }
    }
    matches
}

/// `acl-…/ingress/32767` of `acl-…/ingress/32767@2026-11-20T14:24:00Z`.
fn whatever_its_time(id: &str) -> &str {
    id.split_once('@').map_or(id, |(rule, _)| rule)
}

fn compared(
    told: &BaselineFinding,
    now: Option<&BaselineFinding>,
    before: Option<&BaselineFinding>,
) -> ComparedFinding {
    let of = |finding: Option<&BaselineFinding>| {
        finding.map_or((0, 0), |finding| (finding.conversations, finding.packets))
    };
    let ((conversations, packets), (conversations_before, packets_before)) = (of(now), of(before));
    let status = match (now, before) {
        (Some(_), None) => "new",
        (None, _) => "resolved",
        _ if conversations > conversations_before.saturating_add(conversations_before / NOTICEABLE) => {
            "worse"
        }
        _ if conversations < conversations_before - conversations_before / NOTICEABLE => "better",
        _ => "unchanged",
    };
    let told = told.clone();
    ComparedFinding {
        finding_id: told.id,
        status,
        cause: told.cause,
        network_acl_id: told.network_acl_id,
        direction: told.direction,
        rule: told.rule,
        figures: Difference { conversations_before, conversations, packets_before, packets },
    }
}
