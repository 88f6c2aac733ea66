//! `flowcheck [SOURCE]…`: rejected return traffic and the rule behind each timeout.

use std::io::{self, BufWriter, IsTerminal, Write};

use anyhow::{Context, bail};

use super::file::write_file;
use super::session::Session;
use super::sources::Window;
use super::{Outcome, follow, interrupt};
use crate::config::{ColorChoice, Diagnose, Output};
use crate::report::{self, TextStyle, escape_for_terminal, view::Diagnosis};

/// Width of text that goes to no terminal.
const PLAIN_WIDTH: usize = 100;

/// Runs the diagnosis and writes its result.
pub fn run(config: &Diagnose) -> anyhow::Result<Outcome> {
    let stop = interrupt::listen()?;
    let mut session = Session::new(config, &stop)?;
    if let Some(interval_seconds) = config.follow_seconds {
        return follow::run(config, &mut session, &stop, interval_seconds);
    }
    session.ends_after_next();
    let diagnosis = session.diagnose(Window::asked_for(config.since, config.until))?;
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

/// `--strict`: names the first thing that is not as it should be.
pub(super) fn refuse_imperfect(diagnosis: &Diagnosis) -> anyhow::Result<()> {
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
    put(output, |style, out| report::write(diagnosis, output.format, style, out))
}

/// Writes a result to the file asked for, or to standard output.
pub(super) fn put(
    output: &Output,
    write: impl Fn(&TextStyle, &mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    if let Some(path) = output.file.as_ref().filter(|path| path.as_os_str() != "-") {
        let style = style(output, false);
        return write_file(path, |out| write(&style, out));
    }
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let style = style(output, terminal);
    let mut out = BufWriter::new(stdout.lock());
    let result = write(&style, &mut out).and_then(|()| out.flush());
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            // Whoever read the result has seen enough.
            std::process::exit(0)
        }
        result => result.context("cannot write to standard output"),
    }
}

pub(super) fn style(output: &Output, terminal: bool) -> TextStyle {
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

pub(super) fn tell_warnings(diagnosis: &Diagnosis) {
    for warning in &diagnosis.warnings {
        eprintln!("warning: {}", escape_for_terminal(warning));
    }
    for incomplete in &diagnosis.input.incomplete {
        let (source, error) =
            (escape_for_terminal(&incomplete.source), escape_for_terminal(&incomplete.error));
        eprintln!("warning: {source}: {error}");
    }
}
