//! `--follow`: reads again and again, and reports each new finding once, and how it grows.
//!
//! Records come late (VPC User Guide: minutes, without a bound), so each round reads back over the rounds before and
//! what was told already is known by its conversations. CloudWatch's Live Tail is no source for this: it samples.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::Outcome;
use super::diagnose::{style, tell_warnings};
use super::session::Session;
use super::sources::Window;
use crate::aws::AwsError;
use crate::config::Diagnose;
use crate::net::Timestamp;
use crate::report::view::{Diagnosis, Row};
use crate::report::{self, Format};
use crate::source::Stop;

/// How far back each round reads: delivery takes ten minutes and more, and a capture window is up to ten minutes long.
const OVERLAP_SECONDS: i64 = 30 * 60;

/// How long the network configuration is taken to stay as it is.
const NETWORK_FRESH: Duration = Duration::from_mins(5);

/// How often a request to stop is looked for.
const TICK: Duration = Duration::from_millis(100);

/// What was told.
#[derive(Debug, Default)]
struct Told {
    rounds: u64,
    findings: BTreeMap<String, ToldFinding>,
    warnings: HashSet<String>,
}

/// What was told of one finding.
#[derive(Debug, Default)]
struct ToldFinding {
    /// Conversations that a later round may read again, with the moment at which each was last rejected.
    conversations: HashMap<Conversation, Timestamp>,
    /// Conversations in all.
    total: u64,
}

/// What makes a rejected conversation the same one in the next round.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Conversation {
    interface_id: Option<String>,
    protocol: u8,
    source: (String, u16),
    destination: (String, u16),
}

/// What is new in one finding.
#[derive(Debug, PartialEq, Eq)]
struct News {
    /// Position in the diagnosis.
    finding: usize,
    /// New conversations.
    new: u64,
    /// All conversations told of so far, the new ones included.
    total: u64,
    /// The finding was not there before.
    first: bool,
    /// Rows of the new conversations, by position in the diagnosis.
    rows: Vec<usize>,
}

/// Goes on until it is interrupted.
pub(super) fn run(
    config: &Diagnose,
    session: &mut Session<'_>,
    stop: &Stop,
    interval_seconds: i64,
) -> anyhow::Result<Outcome> {
    let mut told = Told::default();
    let mut since = config.since;
    let mut network_asked = Instant::now();
    loop {
        let began = Timestamp(jiff::Timestamp::now().as_second());
        match session.diagnose(Window { since, until: None }) {
            Ok(diagnosis) => tell(config, &mut told, diagnosis)?,
            Err(error) if told.rounds == 0 || is_final(&error) => return Err(error),
            // The next round reads over this one's time again.
            Err(error) => eprintln!("warning: {}", report::escape_for_terminal(&format!("{error:#}"))),
        }
        if wait(stop, interval_seconds) {
            // What was still to come was not read.
            return Ok(Outcome::Incomplete);
        }
        let overlap = began.plus_seconds(-OVERLAP_SECONDS - config.match_window_seconds);
        since = config.since.map(|first| first.max(overlap));
        if since.is_some() {
            told.forget_before(overlap);
        }
        if network_asked.elapsed() >= NETWORK_FRESH {
            session.forget_network();
            network_asked = Instant::now();
        }
    }
}

/// Whether no later round can succeed either.
fn is_final(error: &anyhow::Error) -> bool {
    error.downcast_ref::<AwsError>().is_some_and(AwsError::is_fatal)
}

/// Waits for the next round; `true` when it is not to come.
fn wait(stop: &Stop, seconds: i64) -> bool {
    let until = Instant::now() + Duration::from_secs(seconds.unsigned_abs());
    while !stop.is_requested() && Instant::now() < until {
        std::thread::sleep(TICK);
    }
    stop.is_requested()
}

/// Writes what this round adds to what was told.
fn tell(config: &Diagnose, told: &mut Told, mut diagnosis: Diagnosis) -> anyhow::Result<()> {
    let first_round = told.rounds == 0;
    let news = told.take_in(&diagnosis, config.match_window_seconds);
    diagnosis.warnings.retain(|warning| told.warnings.insert(warning.clone()));
    if !first_round {
        diagnosis.notes.clear();
    }
    let out = io::stdout();
    let terminal = out.is_terminal();
    let mut text = Vec::new();
    let style = style(&config.output, terminal);
    if config.output.format == Format::Jsonl {
        let fresh: HashSet<usize> = news.iter().flat_map(|news| news.rows.iter().copied()).collect();
        let mut at = 0..;
        diagnosis.rows.retain(|_| at.next().is_some_and(|at| fresh.contains(&at)));
        report::write(&diagnosis, Format::Jsonl, &style, &mut text)?;
    } else if first_round {
        report::write(&diagnosis, Format::Text, &style, &mut text)?;
    } else {
        for news in news.iter().filter(|news| !news.first) {
            writeln!(text, "{}", report::escape_for_terminal(&growth(&diagnosis, news)))?;
        }
        let new: HashSet<usize> = news.iter().filter(|news| news.first).map(|news| news.finding).collect();
        let incomplete = !diagnosis.input.incomplete.is_empty();
        if !new.is_empty() || !diagnosis.warnings.is_empty() || incomplete {
            let mut at = 0..;
            diagnosis.findings.retain(|_| at.next().is_some_and(|at| new.contains(&at)));
            report::write(&diagnosis, Format::Text, &style, &mut text)?;
        }
    }
    if config.output.format == Format::Jsonl && !config.output.quiet {
        tell_warnings(&diagnosis);
    }
    let mut out = out.lock();
    match out.write_all(&text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.context("cannot write to standard output"),
    }
}

/// `14:35:10Z +12 conversations (224 so far): acl-… ingress * drops …`.
fn growth(diagnosis: &Diagnosis, news: &News) -> String {
    let finding = &diagnosis.findings[news.finding];
    let time = finding.last_seen.to_string();
    let clock = time.split_once('T').map_or(time.as_str(), |(_, clock)| clock);
    let what = if news.new == 1 { "conversation" } else { "conversations" };
    format!("{clock} +{} {what} ({} so far): {}", news.new, news.total, report::brief(diagnosis, finding))
}

impl Told {
    /// What is new in `diagnosis`, in the order of its findings; from now on it is told.
    fn take_in(&mut self, diagnosis: &Diagnosis, match_window_seconds: i64) -> Vec<News> {
        self.rounds += 1;
        let mut news = Vec::new();
        for (at, finding) in diagnosis.findings.iter().enumerate() {
            let first = !self.findings.contains_key(&finding.id);
            let told = self.findings.entry(finding.id.clone()).or_default();
            let mut rows = Vec::new();
            for (row_at, row) in
                diagnosis.rows.iter().enumerate().filter(|(_, row)| row.finding_id == finding.id)
            {
                let known = told.conversations.insert(Conversation::of(row), row.last_rejected);
                // After a silence longer than the match window the same ports are another conversation.
                if known.is_none_or(|last| row.first_rejected.seconds_since(last) > match_window_seconds) {
                    rows.push(row_at);
                }
            }
            if !rows.is_empty() {
                let new = rows.len() as u64;
                told.total += new;
                news.push(News { finding: at, new, total: told.total, first, rows });
            }
        }
        news
    }

    /// Lets go of conversations that no later round reads again.
    fn forget_before(&mut self, moment: Timestamp) {
        for told in self.findings.values_mut() {
            told.conversations.retain(|_, last| *last >= moment);
        }
    }
}

impl Conversation {
    fn of(row: &Row) -> Self {
        Self {
            interface_id: row.interface_id.clone(),
            protocol: row.protocol,
            source: (row.srcaddr.clone(), row.srcport),
            destination: (row.dstaddr.clone(), row.dstport),
        }
    }
}
