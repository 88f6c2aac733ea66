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
#[derive(Debug)]
struct Told {
    rounds: u64,
    match_window_seconds: i64,
    findings: BTreeMap<String, ToldFinding>,
    warnings: HashSet<String>,
    incomplete: HashSet<(String, String)>,
}

/// What was told of one finding.
#[derive(Debug, Default)]
struct ToldFinding {
    /// Conversations that a later round may read again, with the times over which each was rejected.
    conversations: HashMap<Conversation, Vec<Rejected>>,
    /// Conversations in all.
    total: u64,
}

/// From the first to the last reject of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rejected {
    first: Timestamp,
    last: Timestamp,
}

/// What makes a rejected conversation the same one in the next round, together with its time: after a silence longer
/// than the match window the same ports are another conversation.
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
    let mut told = Told::new(config.match_window_seconds);
    let mut since = config.since;
    let mut network_asked = Instant::now();
    loop {
        let began = Timestamp(jiff::Timestamp::now().as_second());
        match session.diagnose(Window::asked_for(since, None)) {
            Ok(diagnosis) => tell(config, &mut told, diagnosis)?,
            Err(error) if told.rounds == 0 || is_final(&error) => return Err(error),
            // The next round reads over this one's time again.
            Err(error) => {
                let text = format!("{error:#}");
                let problem = text.lines().next().unwrap_or_default();
                eprintln!("warning: {}", report::escape_for_terminal(problem));
            }
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
    let findings: Vec<_> = diagnosis.findings.iter().map(|finding| finding.id.as_str()).collect();
    let news = told.take_in(&findings, &diagnosis.rows);
    told.leave_out_what_was_said(&mut diagnosis);
    let out = io::stdout();
    let style = style(&config.output, out.is_terminal());
    let mut text = Vec::new();
    let warns_beside = if config.output.format == Format::Jsonl {
        let fresh: HashSet<usize> = news.iter().flat_map(|news| news.rows.iter().copied()).collect();
        keep_at(&mut diagnosis.rows, &fresh);
        report::write(&diagnosis, Format::Jsonl, &style, &mut text)?;
        true
    } else if first_round {
        report::write(&diagnosis, Format::Text, &style, &mut text)?;
        false
    } else {
        for news in news.iter().filter(|news| !news.first) {
            writeln!(text, "{}", report::escape_for_terminal(&growth(&diagnosis, news)))?;
        }
        let new: HashSet<usize> = news.iter().filter(|news| news.first).map(|news| news.finding).collect();
        if !new.is_empty() {
            keep_at(&mut diagnosis.findings, &new);
            report::write(&diagnosis, Format::Text, &style, &mut text)?;
        }
        // A report without a finding would say that nothing was found, which is not so.
        new.is_empty()
    };
    if warns_beside && !config.output.quiet {
        tell_warnings(&diagnosis);
    }
    let mut out = out.lock();
    match out.write_all(&text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.context("cannot write to standard output"),
    }
}

/// Keeps the items at these positions.
fn keep_at<T>(items: &mut Vec<T>, wanted: &HashSet<usize>) {
    let mut at = 0..;
    items.retain(|_| at.next().is_some_and(|at| wanted.contains(&at)));
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
    fn new(match_window_seconds: i64) -> Self {
        Self {
            rounds: 0,
            match_window_seconds,
            findings: BTreeMap::new(),
            warnings: HashSet::new(),
            incomplete: HashSet::new(),
        }
    }

    /// What is new in a round's rows, in the order of its findings; from now on it is told.
    fn take_in(&mut self, findings: &[&str], rows: &[Row]) -> Vec<News> {
        self.rounds += 1;
        let mut rows_of: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            rows_of.entry(&row.finding_id).or_default().push(at);
        }
        let mut news = Vec::new();
        for (finding, id) in findings.iter().enumerate() {
            let first = !self.findings.contains_key(*id);
            let told = self.findings.entry((*id).to_owned()).or_default();
            let of_this = rows_of.remove(id).unwrap_or_default();
            // The rows of one round are conversations apart from each other: only earlier rounds told of one.
            let mut fresh = of_this.clone();
            fresh.retain(|at| !told.knows(&rows[*at], self.match_window_seconds));
            for at in of_this {
                told.note(&rows[at], self.match_window_seconds);
            }
            if !fresh.is_empty() {
                let new = fresh.len() as u64;
                told.total += new;
                news.push(News { finding, new, total: told.total, first, rows: fresh });
            }
        }
        news
    }

    /// Lets go of conversations that no later round reads again, when it reads from `moment` on.
    fn forget_before(&mut self, moment: Timestamp) {
        // What is rejected again this soon is still the same conversation.
        let moment = moment.plus_seconds(-self.match_window_seconds);
        for told in self.findings.values_mut() {
            told.conversations.retain(|_, times| {
                times.retain(|time| time.last >= moment);
                !times.is_empty()
            });
        }
    }

    /// What limits the result is said once, and what a later round did not find out is not said again.
    fn leave_out_what_was_said(&mut self, diagnosis: &mut Diagnosis) {
        let mut gists = HashSet::new();
        diagnosis.warnings.retain(|warning| {
            let gist = gist(warning);
            // Two warnings of one round are two.
            let is_new = !self.warnings.contains(&gist);
            gists.insert(gist);
            is_new
        });
        self.warnings.extend(gists);
        let told = &mut self.incomplete;
        diagnosis.input.incomplete.retain(|it| told.insert((it.source.clone(), it.error.clone())));
        if self.rounds > 1 {
            diagnosis.notes.clear();
        }
    }
}

impl ToldFinding {
    fn knows(&self, row: &Row, match_window_seconds: i64) -> bool {
        let time = Rejected::of(row);
        let told = self.conversations.get(&Conversation::of(row));
        told.is_some_and(|told| told.iter().any(|told| told.is_near(time, match_window_seconds)))
    }

    fn note(&mut self, row: &Row, match_window_seconds: i64) {
        let mut time = Rejected::of(row);
        let told = self.conversations.entry(Conversation::of(row)).or_default();
        told.retain(|known| {
            let is_apart = !known.is_near(time, match_window_seconds);
            if !is_apart {
                time = Rejected { first: time.first.min(known.first), last: time.last.max(known.last) };
            }
            is_apart
        });
        told.push(time);
    }
}

impl Rejected {
    fn of(row: &Row) -> Self {
        Self { first: row.first_rejected, last: row.last_rejected }
    }

    fn is_near(self, other: Self, seconds: i64) -> bool {
        self.first.seconds_since(other.last) <= seconds && other.first.seconds_since(self.last) <= seconds
    }
}

/// A warning without what changes from round to round: counts, and the names of delivered objects.
fn gist(warning: &str) -> String {
    let word = |word: &str| {
        let is_count = word.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_punctuation());
        if is_count || word.contains("_vpcflowlogs_") { "#".to_owned() } else { word.to_owned() }
    };
    warning.split(' ').map(word).collect::<Vec<_>>().join(" ")
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

#[cfg(test)]
mod tests;
