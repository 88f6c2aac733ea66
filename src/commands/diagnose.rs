//! `flowcheck [SOURCE]…`: rejected return traffic and the rule behind each timeout.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, bail};

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
    if config.follow {
        return follow::run(config, &mut session, &stop);
    }
    let diagnosis = session.diagnose(Window { since: config.since, until: config.until })?;
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
        return write_file(diagnosis, output, path);
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

/// Whole or not at all: a temporary file beside it, then a rename. What a link points to is replaced, not the link;
/// a device or a pipe cannot be replaced and is written to.
fn write_file(diagnosis: &Diagnosis, output: &Output, path: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let style = style(output, false);
    let put = |file: &mut File| {
        let mut out = BufWriter::new(file);
        report::write(diagnosis, output.format, &style, &mut out).and_then(|()| out.flush())
    };
    match std::fs::metadata(&target) {
        Ok(metadata) if metadata.is_dir() => bail!("cannot write {}: it is a directory", path.display()),
        Ok(metadata) if !metadata.is_file() => {
            let mut file = File::options().write(true).open(&target).with_context(context)?;
            return put(&mut file).with_context(context);
        }
        _ => {}
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("cannot write {}: there is no directory {}", path.display(), folder.display());
    }
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(context)?;
    put(file.as_file_mut()).with_context(context)?;
    allow_what_the_umask_allows(file.as_file());
    file.persist(&target).map_err(|error| error.error).with_context(context)?;
    Ok(())
}

/// A temporary file is private; the result is to be as readable as any other new file.
#[cfg(unix)]
fn allow_what_the_umask_allows(file: &File) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(probe) = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o666)).tempfile()
    else {
        return;
    };
    if let Ok(metadata) = probe.as_file().metadata() {
        let _ = file.set_permissions(metadata.permissions());
    }
}

#[cfg(not(unix))]
fn allow_what_the_umask_allows(_: &File) {}

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
