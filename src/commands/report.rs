//! `flowcheck report [SOURCE]…`: the report of rejected return traffic, over days, compared and divided.

use std::io::{IsTerminal, stdout};
use std::path::Path;

use anyhow::{Context, bail};

use super::dataset::{DAY, Held, has_day, write_days};
use super::diagnose::{put, refuse_imperfect, tell_warnings};
use super::present::fix_survey;
use super::session::{Session, is_guessed};
use super::sources::{Found, Window};
use super::state::{Days, hash_of, scope};
use super::{Outcome, interrupt};
use crate::config::{Diagnose, Earlier, Report, ReportFormat};
use crate::net::Timestamp;
use crate::report::view::{Comparison, Incomplete, Row};
use crate::report::{self, Format};
use crate::source::{Stop, is_live};
use crate::survey::{Baseline, Finish, Survey, compare, merge};

/// Records of a day arrive up to this long after its end: CloudWatch Logs and S3 are usually 5 to 10 minutes late (VPC
/// User Guide, "Flow logs basics").
const SETTLED_SECONDS: i64 = 3600;

/// Days that are kept, and parts that a time is read in: ten years.
const MOST_DAYS: i64 = 3_660;

const INTERRUPTED: &str = "interrupted before anything was read";

/// Runs the report and writes it.
pub fn run(config: &Report) -> anyhow::Result<Outcome> {
    let stop = interrupt::listen()?;
    let baseline = match &config.earlier {
        Some(Earlier::Baseline(path)) => Some((read_baseline(path)?, Some(path.display().to_string()))),
        _ => None,
    };
    let mut session = Session::new(&config.diagnose, &stop)?;
    let is_kept = config.state.is_some() || config.dataset.is_some();
    let account_id = if is_kept { session.account_id() } else { None };
    let mut reader = Reader {
        config,
        scope: scope(&config.diagnose, account_id.as_deref()),
        session: &mut session,
        stop: &stop,
        notes: Vec::new(),
        are_inputs_named: true,
    };
    let window = reader.window()?;
    let baseline = match (&config.earlier, window.since) {
        (Some(Earlier::PreviousPeriod), Some(since)) => {
            let length = window.until.unwrap_or(config.now).seconds_since(since);
            let before = Window { since: Some(since.plus_seconds(-length)), until: Some(since), ..window };
            let earlier = reader.read(before, None)?;
            reader.notes.iter_mut().for_each(|note| *note = format!("of the time before: {note}"));
            Some((Baseline::of(&earlier), None))
        }
        _ => baseline,
    };
    let mut survey = reader.read(window, config.dataset.as_deref())?;
    survey.diagnosis.notes.append(&mut reader.notes);
    let settled = reader.settled(window);
    if config.diagnose.strict {
        refuse_imperfect(&survey.diagnosis)?;
    }
    let network = session.network_around(&survey)?;
    fix_survey(&mut survey, network);
    let comparison = baseline.map(|(baseline, file)| compared(&mut survey, &baseline, file, config.now));
    let division = config.group_by.clone();
    let report = crate::survey::report(survey, network, Finish { division, comparison, settled });
    let output = &config.diagnose.output;
    let format = config.format.unwrap_or_else(|| default_format(config));
    put(output, |style, out| match format {
        ReportFormat::Html => report::write_html(&report, out),
        ReportFormat::As(format) => report::write_report(&report, format, style, out),
    })?;
    if !output.quiet && (output.file.is_some() || format != ReportFormat::As(Format::Text)) {
        tell_warnings(&report.diagnosis);
    }
    Ok(if !report.diagnosis.summary.complete {
        Outcome::Incomplete
    } else if config.diagnose.exit_code && !report.diagnosis.findings.is_empty() {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

/// Text for a person at a terminal, else a page.
fn default_format(config: &Report) -> ReportFormat {
    let is_shown = config.diagnose.output.file.is_none() && stdout().is_terminal();
    if is_shown { ReportFormat::As(Format::Text) } else { ReportFormat::Html }
}

fn read_baseline(path: &Path) -> anyhow::Result<Baseline> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Baseline::from_json(&text).with_context(|| path.display().to_string())
}

/// Holds the findings against an earlier time, and says what the comparison is worth.
fn compared(survey: &mut Survey, baseline: &Baseline, file: Option<String>, now: Timestamp) -> Comparison {
    warn_of_other_length(survey, baseline, now);
    if !baseline.has_records() {
        let warning = "the time compared with has no record at all: what is new against it may be as old";
        survey.diagnosis.warnings.push(warning.to_owned());
    }
    if !survey.diagnosis.summary.complete {
        let warning = "this time was not read whole: what is called better or resolved may still be there";
        survey.diagnosis.warnings.push(warning.to_owned());
    }
    compare(&survey.diagnosis, baseline, file)
}

/// Figures of a day and of a week differ without anything having changed.
fn warn_of_other_length(survey: &mut Survey, baseline: &Baseline, now: Timestamp) {
    let window = &survey.diagnosis.window;
    let start = window.since.or(window.first_record);
    let end = window.until.or(if window.since.is_some() { Some(now) } else { window.last_record });
    let (Some(start), Some(end), Some(before)) = (start, end, baseline.seconds()) else { return };
    let length = end.seconds_since(start);
    if (length - before).abs() > length.max(before) / 10 {
        let hours = |seconds: i64| (seconds + 1800) / 3600;
        survey.diagnosis.warnings.push(format!(
            "the time compared with is {} h long, this one {} h: figures are sums and not rates",
            hours(before),
            hours(length)
        ));
    }
}

/// Reads a time, whole or day by day.
struct Reader<'a, 'c> {
    config: &'a Report,
    session: &'a mut Session<'c>,
    stop: &'a Stop,
    /// Account, sources, filters and options: what kept days and rows are of.
    scope: String,
    notes: Vec<String>,
    /// Whether the names of all inputs say which time they hold.
    are_inputs_named: bool,
}

impl Reader<'_, '_> {
    /// The time asked for; with kept days, from the beginning of its first day.
    fn window(&self) -> anyhow::Result<Window> {
        let Diagnose { since, until, .. } = &self.config.diagnose;
        let since = match self.config.state {
            Some(_) => since.map(midnight_before),
            None => *since,
        };
        if let Some(since) = since.filter(|since| until.unwrap_or(self.config.now) <= *since) {
            bail!("--since {since} is not before the end of the time asked for");
        }
        let days = since.map_or(0, |since| self.config.now.seconds_since(since) / DAY);
        if self.config.state.is_some() && days > MOST_DAYS {
            bail!(
                "--since is {days} days ago\nhint: --state keeps one file a day, for {MOST_DAYS} days at most"
            );
        }
        // Of two times that follow each other, each record counts in the one that it starts in.
        let by_start = self.config.earlier == Some(Earlier::PreviousPeriod);
        Ok(Window { by_start, ..Window::asked_for(since, *until) })
    }

    /// The moment up to which every record is there that will come; `None` where only the records themselves tell.
    fn settled(&self, window: Window) -> Option<Timestamp> {
        let Diagnose { sources, .. } = &self.config.diagnose;
        let is_live = sources.is_empty() || sources.iter().any(|source| is_live(source));
        let settled = self.config.now.plus_seconds(-SETTLED_SECONDS);
        window.until.map(|until| until.min(settled)).or(is_live.then_some(settled))
    }

    /// What a time came to. Its rows go to `dataset`, if they are wanted.
    fn read(&mut self, window: Window, dataset: Option<&Path>) -> anyhow::Result<Survey> {
        if let (Some(dir), Some(since)) = (&self.config.state, window.since) {
            let days = Days::open(dir, &self.scope, self.config.diagnose.output.top)?;
            return self.twice_if_guessed(|reader| reader.day_by_day(&days, since, window.until, dataset));
        }
        let found = self.session.find(window)?;
        if let Some(midnights) = self.days_of_much(&found, window) {
            return self.twice_if_guessed(|reader| reader.in_parts(&found, window, &midnights, dataset));
        }
        let mut survey = self.session.survey_found(window, found)?;
        let rows = self.write_rows(&mut survey, window, dataset)?;
        if self.config.is_rows() {
            survey.diagnosis.rows = rows;
        }
        Ok(survey)
    }

    /// Reads part by part, and once more where a part without accepted records was judged before others showed some.
    fn twice_if_guessed(
        &mut self,
        read: impl Fn(&mut Self) -> anyhow::Result<Survey>,
    ) -> anyhow::Result<Survey> {
        let told = self.notes.len();
        let survey = read(self)?;
        if !self.session.learn_of_accepted(&survey) {
            return Ok(survey);
        }
        self.notes.truncate(told);
        read(self)
    }

    /// The midnights (UTC) between which a time is read part by part: when there is more to read than memory may hold, so
    /// that what is rejected in one day is all that has to be there at once. Not where rows are asked for, which are one for
    /// each conversation of the whole time.
    fn days_of_much(&self, found: &Found, window: Window) -> Option<Vec<Timestamp>> {
        let (first, last, bytes) = found.named_times().filter(|_| !self.config.is_rows())?;
        if bytes <= self.config.diagnose.memory_limit_bytes as u64 {
            return None;
        }
        let first = window.since.map_or(first, |since| since.max(first));
        let last = window.until.map_or(last, |until| until.min(last));
        let days = first.0.div_euclid(DAY) + 1..=last.0.div_euclid(DAY);
        let is_possible = !days.is_empty() && days.end() - days.start() <= MOST_DAYS;
        is_possible.then(|| days.map(|day| Timestamp(day * DAY)).collect())
    }

    /// Reads one part after another and puts them together.
    fn in_parts(
        &mut self,
        found: &Found,
        window: Window,
        midnights: &[Timestamp],
        dataset: Option<&Path>,
    ) -> anyhow::Result<Survey> {
        let Diagnose { match_window_seconds, output, .. } = &self.config.diagnose;
        let mut whole = None::<Survey>;
        let ends = midnights.iter().copied().map(Some).chain([window.until]);
        let mut since = window.since;
        for (at, until) in ends.enumerate() {
            if let (Some(survey), Some(since), true) = (&mut whole, since, self.stop.is_requested()) {
                not_read(survey, since);
                break;
            }
            // What reaches into the whole time counts in it; what reaches into a part counts where it starts.
            let part = Window { since, until, by_start: window.by_start || at > 0 };
            let mut survey = self.session.survey_found(part, found.part(part, *match_window_seconds))?;
            self.write_rows(&mut survey, part, dataset)?;
            whole = Some(match whole {
                Some(before) => merge(before, survey, *match_window_seconds, output.top),
                None => survey,
            });
            since = until;
        }
        let mut whole = whole.context(INTERRUPTED)?;
        (whole.diagnosis.window.since, whole.diagnosis.window.until) = (window.since, window.until);
        self.notes.push(format!(
            "read day by day (UTC), as there is more than --memory-limit: inputs at midnight are read for both days, and \
             their lines counted twice, as filtered in one of them ({} days)",
            midnights.len() + 1
        ));
        Ok(whole)
    }

    /// Takes the rows out of what was read, and writes them for each of its days.
    fn write_rows(
        &mut self,
        survey: &mut Survey,
        window: Window,
        dataset: Option<&Path>,
    ) -> anyhow::Result<Vec<Row>> {
        let rows = std::mem::take(&mut survey.diagnosis.rows);
        if let Some(dir) = dataset {
            // Without a window, what was read begins and ends with its records.
            let read = &survey.diagnosis.window;
            let held = Held {
                since: window.since.or(read.first_record),
                until: window.until.or(read.last_record.map(|last| last.plus_seconds(1))),
                complete: survey.diagnosis.summary.complete,
                scope: self.scope.clone(),
            };
            self.notes.extend(write_days(dir, &rows, &held)?);
        }
        Ok(rows)
    }

    /// Takes each day from where it is kept, or reads it and keeps it; what is left of the last day is read each time.
    fn day_by_day(
        &mut self,
        days: &Days,
        since: Timestamp,
        until: Option<Timestamp>,
        dataset: Option<&Path>,
    ) -> anyhow::Result<Survey> {
        // Of days that are to come there is nothing to be read.
        let end = until.unwrap_or(self.config.now).min(self.config.now);
        let (mut whole, mut kept, mut read) = (None::<Survey>, 0, 0);
        let mut day = since;
        while day < end {
            let next = midnight_before(day).plus_seconds(DAY);
            let is_whole = midnight_before(day) == day && next <= end;
            let slice = Window {
                since: Some(day),
                until: if next <= end { Some(next) } else { until },
                by_start: true,
            };
            if self.stop.is_requested() {
                if let Some(survey) = &mut whole {
                    not_read(survey, day);
                }
                break;
            }
            let (survey, is_kept) = self.day(days, day, slice, is_whole, dataset)?;
            (kept, read) = if is_kept { (kept + 1, read) } else { (kept, read + 1) };
            let Diagnose { match_window_seconds, output, .. } = &self.config.diagnose;
            whole = Some(match whole {
                Some(before) => merge(before, survey, *match_window_seconds, output.top),
                None => survey,
            });
            day = next;
        }
        self.notes.push(format!("days (UTC) read: {read}; taken from earlier runs: {kept}"));
        if read > 1 && !self.are_inputs_named {
            self.notes.push(
                "inputs without AWS's names are read once for each day, and their lines counted as often"
                    .to_owned(),
            );
        }
        let mut whole = whole.context(INTERRUPTED)?;
        whole.diagnosis.window.since = Some(since);
        whole.diagnosis.window.until = until;
        Ok(whole)
    }

    /// What one day came to, and whether it was kept from an earlier run.
    fn day(
        &mut self,
        days: &Days,
        day: Timestamp,
        slice: Window,
        is_whole: bool,
        dataset: Option<&Path>,
    ) -> anyhow::Result<(Survey, bool)> {
        let config = &self.config.diagnose;
        let sources = &config.sources;
        let is_settled = slice.until.is_some_and(|end| end.plus_seconds(SETTLED_SECONDS) <= self.config.now);
        let is_local = !sources.is_empty() && !sources.iter().any(|source| is_live(source));
        let can_be_kept = is_whole && (is_local || is_settled);
        let has_rows = dataset.is_none_or(|dir| has_day(dir, day, &self.scope));
        let can_be_taken = can_be_kept && has_rows;
        // What a log group holds is only known when it is read.
        let is_listed = !sources.is_empty()
            && sources.iter().all(|source| !is_live(source) || source.starts_with("s3://"));
        if can_be_taken
            && !is_listed
            && let Some(survey) = self.kept(days, day, None)
        {
            return Ok((survey, true));
        }
        let mut found = self.session.find(slice)?;
        found.keep_what_may_lie_in(slice, config.match_window_seconds);
        self.are_inputs_named &= found.discovery.objects.is_empty() || found.named_times().is_some();
        let inputs = is_listed.then(|| hash_of(&found.discovery.objects));
        if can_be_taken
            && is_listed
            && let Some(survey) = self.kept(days, day, inputs.as_deref())
        {
            return Ok((survey, true));
        }
        let mut survey = self.session.survey_found(slice, found)?;
        self.write_rows(&mut survey, slice, dataset)?;
        if can_be_kept && survey.diagnosis.summary.complete {
            days.save(day, inputs.as_deref(), &survey)?;
        }
        Ok((survey, false))
    }

    fn kept(&mut self, days: &Days, day: Timestamp, inputs: Option<&str>) -> Option<Survey> {
        match days.load(day, inputs) {
            // Taken for possible replies only because that day alone has no ACCEPT record.
            Ok(survey) => survey.filter(|survey| !(self.session.knows_of_accepted() && is_guessed(survey))),
            Err(problem) => {
                if !self.config.diagnose.output.quiet {
                    eprintln!("warning: {}", report::escape_for_terminal(&problem));
                }
                None
            }
        }
    }
}

fn midnight_before(moment: Timestamp) -> Timestamp {
    Timestamp(moment.0.div_euclid(DAY) * DAY)
}

/// Says that the days from this one on are missing.
fn not_read(survey: &mut Survey, day: Timestamp) {
    let source = format!("the time from {day} on");
    let error = "not read: the run was interrupted".to_owned();
    survey.diagnosis.input.incomplete.push(Incomplete { source, error });
    survey.diagnosis.summary.complete = false;
}
