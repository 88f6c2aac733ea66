//! The command line: names, help, and the way from arguments to a validated configuration.

mod aws;
mod read;
mod report;
mod snapshot;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::config::{Diagnose, Report, Snapshot, parse_duration};
use crate::net::Timestamp;
use crate::report as formats;
use read::{OutputArgs, ReadArgs, usage};

/// Find the network ACL rule that drops your return traffic, from VPC Flow Logs.
///
/// Reads flow logs, pairs accepted requests with rejected replies to the same port, and says which network ACL rule
/// caused each timeout. Without a SOURCE it finds the flow logs of the account itself and reads the last hour.
#[derive(Debug, Parser)]
#[command(name = "flowcheck", version, args_conflicts_with_subcommands = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done · 1 findings (with --exit-code) · 2 error · 3 done, but an input was incomplete"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    diagnose: DiagnoseArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the report of rejected return traffic: a page for a team to read and an auditor to keep, compared with the week
    /// before if wanted
    Report(Box<report::ReportArgs>),
    /// Save live network ACLs, subnets, interfaces and flow-log settings (and their history), to be read with --snapshot
    Snapshot(snapshot::SnapshotArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
struct DiagnoseArgs {
    /// Keep reading: report each new finding once, and how it grows, until Ctrl-C
    #[arg(long, conflicts_with_all = ["until", "strict"])]
    follow: bool,

    /// How long --follow waits before it reads again
    #[arg(long, value_name = "DUR", default_value = "60s", value_parser = parse_duration, requires = "follow")]
    interval: i64,

    #[command(flatten)]
    read: ReadArgs,

    /// How the result is written
    #[arg(long, value_enum, default_value_t = FormatArg::Text, help_heading = "Output")]
    format: FormatArg,

    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArg {
    Text,
    Json,
    Jsonl,
    Csv,
    Md,
}

/// What is to be run.
#[derive(Debug)]
pub enum Invocation {
    /// The diagnosis.
    Diagnose(Box<Diagnose>),
    /// The report.
    Report(Box<Report>),
    /// Saving the live network configuration.
    Snapshot(Box<Snapshot>),
    /// A completion script, already written.
    Completions(Vec<u8>),
}

impl Cli {
    /// Reads the process's arguments; prints help or an error and exits when they ask for it.
    #[must_use]
    pub fn from_process() -> Self {
        Self::parse()
    }

    /// The configuration for a run that starts at `now`, or what is wrong with the arguments as a whole.
    pub fn into_invocation(self, now: Timestamp, cores: usize) -> Result<Invocation, clap::Error> {
        match self.command {
            Some(Command::Report(arguments)) => {
                arguments.into_config(now, cores).map(|config| Invocation::Report(Box::new(config)))
            }
            Some(Command::Snapshot(arguments)) => Ok(Invocation::Snapshot(Box::new(arguments.into_config()))),
            Some(Command::Completions { shell }) => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "flowcheck", &mut script);
                Ok(Invocation::Completions(script))
            }
            None => {
                self.diagnose.into_config(now, cores).map(|config| Invocation::Diagnose(Box::new(config)))
            }
        }
    }
}

impl DiagnoseArgs {
    fn into_config(self, now: Timestamp, cores: usize) -> Result<Diagnose, clap::Error> {
        if self.follow && self.read.sources.iter().any(|source| source == "-") {
            return Err(usage("--follow reads again and again, which standard input cannot"));
        }
        if self.follow && !matches!(self.format, FormatArg::Text | FormatArg::Jsonl) {
            return Err(usage("--follow writes --format text or jsonl: the others are whole documents"));
        }
        if self.follow && self.output.output.is_some() {
            return Err(usage(
                "--follow writes to standard output: --output writes a file whole or not at all",
            ));
        }
        let format = match self.format {
            FormatArg::Text => formats::Format::Text,
            FormatArg::Json => formats::Format::Json,
            FormatArg::Jsonl => formats::Format::Jsonl,
            FormatArg::Csv => formats::Format::Csv,
            FormatArg::Md => formats::Format::Md,
        };
        let mut config = self.read.into_config(now, cores, self.output.into_config(format))?;
        config.follow_seconds = self.follow.then_some(self.interval);
        config.keep.rows |= self.follow;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HistorySource;

    fn config(arguments: &[&str]) -> Result<Diagnose, clap::Error> {
        let cli = Cli::try_parse_from(std::iter::once("flowcheck").chain(arguments.iter().copied()))?;
        match cli.into_invocation(Timestamp(1_000_000), 2)? {
            Invocation::Diagnose(config) => Ok(*config),
            Invocation::Report(_) | Invocation::Snapshot(_) | Invocation::Completions(_) => {
                unreachable!("not asked for")
            }
        }
    }

    #[test]
    fn the_command_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let config = config(&["logs"]).expect("configuration");
        assert_eq!(config.match_window_seconds, 300);
        assert_eq!((config.output.top, config.threads, config.memory_limit_bytes), (5, 2, 1 << 30));
        assert_eq!((config.since, config.until), (None, None));
    }

    #[test]
    fn durations_count_back_from_now() {
        let config = config(&["--since", "2h", "--until", "90m", "-"]).expect("configuration");
        assert_eq!(config.since, Some(Timestamp(1_000_000 - 7200)));
        assert_eq!(config.until, Some(Timestamp(1_000_000 - 5400)));
    }

    #[test]
    fn live_sources_begin_an_hour_ago_and_ask_for_the_configuration() {
        let hour = Some(Timestamp(1_000_000 - 3600));
        for (arguments, since, live_network) in [
            (&[][..], hour, true),
            (&["s3://bucket"], hour, true),
            (&["cloudwatch://group", "logs"], hour, true),
            (&["--snapshot", "s.json"], hour, false),
            (&["--since", "2h"], Some(Timestamp(1_000_000 - 7200)), true),
            (&["s3://bucket", "--no-sign-request", "--region", "eu-west-1"], hour, false),
            (&["logs"], None, false),
            (&["logs", "--region", "eu-west-1"], None, true),
            (&["logs", "--region", "eu-west-1", "--snapshot", "s.json"], None, false),
        ] {
            let config = config(arguments).expect("configuration");
            assert_eq!((config.since, config.live_network), (since, live_network), "{arguments:?}");
        }
    }

    #[test]
    fn a_history_is_a_path_unless_it_is_the_word() {
        let config = config(&["--history", "./live", "--history", "trail", "-"]).expect("configuration");
        assert_eq!(config.history, ["./live", "trail"].map(|path| HistorySource::Path(path.into())));
        assert!(!config.live_network);
        let config = self::config(&["--history", "live", "-"]).expect("configuration");
        assert_eq!((config.history, config.live_network), (vec![HistorySource::Live], true));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for arguments in [
            &["--since", "1h", "--until", "2h", "-"][..],
            &["--until", "2h"],
            &["--follow", "-"],
            &["--follow", "--format", "json"],
            &["--external-id", "x"],
            &["--since", "soon", "-"],
            &["--port", "9-1", "-"],
            &["--nacl", "acl-1", "-"],
            &["--log-format", "nothing known", "-"],
            &["--quiet", "--verbose", "-"],
            &["--history", "live", "--no-sign-request", "-"],
        ] {
            assert!(config(arguments).is_err(), "{arguments:?}");
        }
    }
}
