//! Makes the report of what a time came to.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::coverage::coverage;
use super::group::{Division, groups};
use super::{HOUR, Sums, Survey};
use crate::net::Timestamp;
use crate::network::NetworkConfig;
use crate::report::view::{
    AffectedInterface, Comparison, Diagnosis, Hourly, HourlyFinding, NaclChange, Report, Talkers,
};

/// Pairs of requester and service in a report.
const TALKERS_REPORTED: usize = 100;

/// Hours that a report counts one by one: those of a leap year.
const MOST_HOURS: i64 = 366 * 24;

/// What a report is made with.
#[derive(Debug, Default)]
pub struct Finish {
    /// How the findings are divided, and what that is called.
    pub division: Option<Division>,
    /// What is different from an earlier time.
    pub comparison: Option<Comparison>,
    /// The moment up to which every record is there that will come; `None` where only the records themselves tell.
    pub settled: Option<Timestamp>,
}

/// The report of a survey. `config` gives names and tags.
#[must_use]
pub fn report(survey: Survey, config: &NetworkConfig, finish: Finish) -> Report {
    let Survey { mut diagnosis, sums, mut talkers, changes, .. } = survey;
    talkers.cut(TALKERS_REPORTED);
    if let Some(since) = diagnosis.window.since {
        // What was rejected before is not known, so that nothing shows that it began here.
        for onset in diagnosis.findings.iter_mut().map(|finding| &mut finding.onset) {
            onset.last_accepted_reply = onset.last_accepted_reply.filter(|at| *at >= since);
        }
    }
    let interfaces = interfaces(&diagnosis, &sums);
    let coverage = coverage(
        survey.coverage.as_ref(),
        survey.coverage_unknown,
        &survey.skip_data,
        &diagnosis,
        finish.settled,
    );
    let hourly = hourly(&diagnosis, &sums);
    let is_before = |hour: &i64| Timestamp(hour * HOUR) < hourly.start;
    if sums.iter().flat_map(|sums| sums.hours.keys()).any(is_before) {
        let note = format!("what was rejected before {} is in the sums, and not hour by hour", hourly.start);
        diagnosis.notes.push(note);
    }
    let groups = finish.division.map(|division| groups(&division, &diagnosis, &sums, config));
    let named = coverage.interfaces.iter().map(|one| &one.interface_id);
    let named =
        named.chain(groups.iter().flat_map(|groups| &groups.rows).filter_map(|row| row.group.as_ref()));
    for id in named {
        if !diagnosis.names.contains_key(id)
            && let Some(label) = config.label(id)
        {
            diagnosis.names.insert(id.clone(), label);
        }
    }
    name_addresses(&mut diagnosis.names, &talkers, config);
    Report {
        hourly,
        nacl_changes: nacl_changes(changes, &diagnosis),
        interfaces,
        talkers,
        groups,
        coverage,
        comparison: finish.comparison,
        diagnosis,
    }
}

/// What the interfaces behind addresses are called, where one alone has the address.
fn name_addresses(names: &mut BTreeMap<String, String>, talkers: &Talkers, config: &NetworkConfig) {
    for text in talkers.rows.iter().flat_map(|row| [&row.requester, &row.responder]) {
        let Ok(address) = text.parse() else { continue };
        let interface = config.interface_with_address(address, None);
        if let Some(label) = interface.and_then(|interface| config.label(&interface.interface_id)) {
            names.insert(text.clone(), label);
        }
    }
}

/// Hours from the first to the last of the window, or of what was rejected in it.
fn hourly(diagnosis: &Diagnosis, sums: &[Sums]) -> Hourly {
    let window = &diagnosis.window;
    let ends = [window.since.or(window.first_record), window.last_record];
    let ends = ends.into_iter().flatten().map(|at| at.0.div_euclid(HOUR));
    let seen = || sums.iter().flat_map(|sums| sums.hours.keys().copied());
    let (Some(first), Some(last)) = (ends.clone().chain(seen()).min(), ends.chain(seen()).max()) else {
        return Hourly { slice_seconds: 3600, ..Hourly::default() };
    };
    // A record of another age does not make a list without end.
    let first = first.max(last.saturating_sub(MOST_HOURS - 1));
    let findings = diagnosis.findings.iter().zip(sums).map(|(finding, sums)| {
        let of = |which: usize| {
            (first..=last).map(|hour| sums.hours.get(&hour).map_or(0, |sum| sum[which])).collect()
        };
        HourlyFinding { finding_id: finding.id.clone(), conversations: of(0), packets: of(1) }
    });
    Hourly { start: Timestamp(first * HOUR), slice_seconds: 3600, findings: findings.collect() }
}

/// With the findings that each is proven to have begun or ended.
fn nacl_changes(mut changes: Vec<NaclChange>, diagnosis: &Diagnosis) -> Vec<NaclChange> {
    for change in &mut changes {
        for finding in &diagnosis.findings {
            let is_it = |other: &Option<crate::report::view::Change>| {
                other
                    .as_ref()
                    .is_some_and(|other| other.event_id == change.event_id && other.time == change.time)
            };
            if is_it(&finding.change) {
                change.began.push(finding.id.clone());
            }
            if is_it(&finding.restored) {
                change.ended.push(finding.id.clone());
            }
        }
    }
    changes
}

fn interfaces(diagnosis: &Diagnosis, sums: &[Sums]) -> Vec<AffectedInterface> {
    let mut rows: BTreeMap<&str, AffectedInterface> = BTreeMap::new();
    let mut findings: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (at, sums) in sums.iter().enumerate() {
        for cell in &sums.cells {
            findings.entry(&cell.interface_id).or_default().insert(at);
            let row = rows.entry(&cell.interface_id).or_insert_with(|| AffectedInterface {
                interface_id: cell.interface_id.clone(),
                subnet_id: cell.subnet_id.clone(),
                vpc_id: cell.vpc_id.clone(),
                account_id: cell.account_id.clone(),
                conversations: 0,
                packets: 0,
                bytes: 0,
                finding_ids: Vec::new(),
            });
            row.conversations = row.conversations.saturating_add(cell.conversations);
            row.packets = row.packets.saturating_add(cell.packets);
            row.bytes = row.bytes.saturating_add(cell.bytes);
        }
    }
    for (interface_id, row) in &mut rows {
        let takes_part = findings.remove(interface_id).unwrap_or_default();
        let ids = takes_part.into_iter().filter_map(|at| diagnosis.findings.get(at));
        row.finding_ids = ids.map(|finding| finding.id.clone()).collect();
    }
    let mut rows: Vec<_> = rows.into_values().collect();
    rows.sort_by_key(|row| (Reverse(row.conversations), Reverse(row.packets)));
    rows
}
