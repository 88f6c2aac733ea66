//! `flowcheck [SOURCE]…`: rejected return traffic and the rule behind each timeout.

use std::io::{self, BufWriter, IsTerminal, Write};

use anyhow::{Context, bail};

use super::file::write_file;
use super::selection::selection;
use super::{Outcome, present};
use crate::attribute::{Places, findings, judge_conversations, judge_unpaired, other_rejects};
use crate::config::{ColorChoice, Diagnose, Output};
use crate::correlate::Options;
use crate::decode::Limits;
use crate::network::NetworkConfig;
use crate::pipeline::{Progress, ReadOptions, Reading, read};
use crate::report::{self, TextStyle, escape_for_terminal, view::Diagnosis};
use crate::source::{Discovery, discover};

/// Width of text that goes to no terminal.
const PLAIN_WIDTH: usize = 100;

/// Runs the diagnosis and writes its result.
pub fn run(config: &Diagnose) -> anyhow::Result<Outcome> {
    let network = NetworkConfig::load(&config.snapshots).context("cannot use the snapshot")?;
    let discovery = discover(&config.sources)?;
    let diagnosis = diagnose(config, &network, &discovery);
    if config.strict {
        refuse_imperfect(&diagnosis)?;
    }
    write(&diagnosis, &config.output)?;
    if !config.output.quiet && (config.output.file.is_some() || config.output.format != report::Format::Text)
    {
        tell_warnings(&diagnosis);
    }
    Ok(if !diagnosis.summary.complete {
        Outcome::Incomplete
    } else if config.exit_code && !diagnosis.findings.is_empty() {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn diagnose(config: &Diagnose, network: &NetworkConfig, discovery: &Discovery) -> Diagnosis {
    let options = ReadOptions {
        threads: config.threads,
        limits: Limits::default(),
        log_formats: config.log_formats.clone(),
        selection: selection(config, network),
        correlate: Options {
            match_window_seconds: config.match_window_seconds,
            memory_limit_bytes: config.memory_limit_bytes,
        },
    };
    let mut line = ProgressLine::new(config.output.progress && !config.output.quiet);
    let reading = read(&discovery.objects, &options, &mut |progress| line.show(progress));
    line.clear();
    attribute(config, network, discovery, reading)
}

fn attribute(
    config: &Diagnose,
    network: &NetworkConfig,
    discovery: &Discovery,
    mut reading: Reading,
) -> Diagnosis {
    let mut conversations = std::mem::take(&mut reading.correlated.conversations);
    let places = Places::new(&reading.correlated.interfaces, network);
    let mut judged = judge_conversations(&conversations, &places);
    // Only input without a single accepted record leaves nothing but the shape of a reject to go by.
    let reject_only = reading.correlated.accepted == 0 && reading.correlated.counts.filtered == 0;
    let (possible, others) = judge_unpaired(&reading.correlated.unpaired, reject_only, &places);
    for (conversation, mut one) in possible {
        one.index = conversations.len();
        conversations.push(conversation);
        judged.push(one);
    }
    let findings = findings(&judged, &conversations, &places);
    let others = other_rejects(&others);
    present::Material {
        config,
        network,
        discovery,
        reading: &reading,
        places: &places,
        conversations,
        judged,
        findings,
        others,
    }
    .diagnosis()
}

/// `--strict`: names the first thing that is not as it should be.
fn refuse_imperfect(diagnosis: &Diagnosis) -> anyhow::Result<()> {
    if let Some(incomplete) = diagnosis.input.incomplete.first() {
        bail!("{}: {}", incomplete.source, incomplete.error);
    }
    if let Some(line) = diagnosis.input.malformed_examples.first() {
        let more = match diagnosis.input.malformed.saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more malformed)"),
        };
        bail!("{}:{}: {}={} {}{more}", line.source, line.line, line.field, line.value, line.error);
    }
    Ok(())
}

fn write(diagnosis: &Diagnosis, output: &Output) -> anyhow::Result<()> {
    if let Some(path) = output.file.as_ref().filter(|path| path.as_os_str() != "-") {
        let style = style(output, false);
        return write_file(path, |out| report::write(diagnosis, output.format, &style, out));
    }
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let style = style(output, terminal);
    let mut out = BufWriter::new(stdout.lock());
    let result = report::write(diagnosis, output.format, &style, &mut out).and_then(|()| out.flush());
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            // Whoever read the result has seen enough.
            std::process::exit(0)
        }
        result => result.context("cannot write to standard output"),
    }
}

fn style(output: &Output, terminal: bool) -> TextStyle {
    let color = match output.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    let width = if terminal {
        terminal_size::terminal_size().map_or(PLAIN_WIDTH, |(width, _)| usize::from(width.0).min(160))
    } else {
        PLAIN_WIDTH
    };
    TextStyle { color, width, top: output.top, verbose: output.verbose }
}

fn tell_warnings(diagnosis: &Diagnosis) {
    for warning in &diagnosis.warnings {
        eprintln!("warning: {}", escape_for_terminal(warning));
    }
    for incomplete in &diagnosis.input.incomplete {
        let (source, error) =
            (escape_for_terminal(&incomplete.source), escape_for_terminal(&incomplete.error));
        eprintln!("warning: {source}: {error}");
    }
}

/// One line on standard error that is overwritten, on a terminal only.
struct ProgressLine {
    shown: bool,
    wanted: bool,
}

impl ProgressLine {
    fn new(wanted: bool) -> Self {
        Self { shown: false, wanted: wanted && io::stderr().is_terminal() }
    }

    fn show(&mut self, progress: Progress) {
        if self.wanted {
            let mebibytes = progress.bytes_read >> 20;
            eprint!("\r\x1b[K{} of {} inputs · {mebibytes} MiB", progress.objects, progress.objects_total);
            self.shown = true;
        }
    }

    fn clear(&mut self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}
