//! The `flowcheck` command: arguments in, exit code out.

use std::process::ExitCode;

use flowcheck::cli::{Cli, Invocation};
use flowcheck::commands;
use flowcheck::net::Timestamp;

fn main() -> ExitCode {
    let now = Timestamp(jiff::Timestamp::now().as_second());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let invocation = match Cli::from_process().into_invocation(now, cores) {
        Ok(invocation) => invocation,
        Err(error) => error.exit(),
    };
    let outcome = match invocation {
        Invocation::Diagnose(config) => commands::diagnose::run(&config),
        Invocation::Report(config) => commands::report::run(&config),
        Invocation::Snapshot(config) => commands::snapshot::run(&config),
        Invocation::Completions(script) => commands::completions::run(&script),
    };
    match outcome {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(error) => {
            // Only a hint begins a line of its own.
            let text = described(&error);
            let lines: Vec<_> = text.split("\nhint: ").map(flowcheck::report::escape_for_terminal).collect();
            eprintln!("error: {}", lines.join("\nhint: "));
            ExitCode::from(2)
        }
    }
}

/// The error and its causes, each said once: some errors repeat their cause in their own words.
fn described(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}
