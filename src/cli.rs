//! The command line: names, help, and the way from arguments to a validated configuration.

mod aws;
mod snapshot;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::aws::AwsOptions;
use crate::config::{
    ColorChoice, DEFAULT_LIVE_SECONDS, Diagnose, Filters, HistorySource, Moment, Output, Snapshot,
    parse_cidr, parse_duration, parse_moment, parse_ports, parse_protocol, parse_size,
};
use crate::net::{Protocol, Timestamp};
use crate::record::LogFormat;
use crate::report;
use crate::source::is_live;
use aws::AwsArgs;

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
    /// Files, directories (read recursively: .log .txt .gz .parquet), `-`, `s3://BUCKET[/PREFIX]`, `cloudwatch://LOG-GROUP`;
    /// none: every flow log of the region
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,

    /// Network configuration from JSON as the AWS CLI or `flowcheck snapshot` prints it, in place of live EC2 calls:
    /// file or directory; repeatable
    #[arg(long, value_name = "PATH")]
    snapshot: Vec<PathBuf>,

    /// Changes of network ACLs over time: CloudTrail files, `aws cloudtrail lookup-events` output, AWS Config items, older
    /// snapshots; file or directory; repeatable
    #[arg(long, value_name = "PATH|live")]
    history: Vec<HistorySource>,

    /// Only records from this moment on: RFC 3339, a date, or a duration back from now (2h, 90m, 7d, 1d12h)
    /// [default: 1h for live sources, everything for files]
    #[arg(long, value_name = "T", value_parser = parse_moment)]
    since: Option<Moment>,

    /// Only records before this moment
    #[arg(long, value_name = "T", value_parser = parse_moment)]
    until: Option<Moment>,

    /// Fields of input without a header line: `${version} ${account-id} …` or bare names; repeatable
    #[arg(long, value_name = "STR", value_parser = parse_log_format)]
    log_format: Vec<Arc<LogFormat>>,

    /// How far apart a request and its rejected reply may lie, beyond the records' own capture windows
    #[arg(long, value_name = "DUR", default_value = "5m", value_parser = parse_duration)]
    match_window: i64,

    /// Keep reading: report each new finding once, and how it grows, until Ctrl-C
    #[arg(long, conflicts_with_all = ["until", "strict"])]
    follow: bool,

    /// How long --follow waits before it reads again
    #[arg(long, value_name = "DUR", default_value = "60s", value_parser = parse_duration, requires = "follow")]
    interval: i64,

    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    aws: AwsArgs,

    /// Threads that read [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// What waiting records may take in memory, such as 512MiB
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_size)]
    memory_limit: usize,

    /// Treat any malformed record or unreadable input as an error
    #[arg(long)]
    strict: bool,

    /// Exit with 1 when there are findings
    #[arg(long)]
    exit_code: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Filters (repeatable)")]
struct FilterArgs {
    /// Only this interface
    #[arg(long, value_name = "ENI")]
    interface: Vec<String>,
    /// Only interfaces in this subnet
    #[arg(long, value_name = "SUBNET")]
    subnet: Vec<String>,
    /// Only interfaces in this VPC
    #[arg(long, value_name = "VPC")]
    vpc: Vec<String>,
    /// Only interfaces behind this network ACL
    #[arg(long, value_name = "ACL")]
    nacl: Vec<String>,
    /// Only flows from or to these addresses
    #[arg(long, value_name = "CIDR", value_parser = parse_cidr)]
    ip: Vec<IpNet>,
    /// Only flows from or to these ports
    #[arg(long, value_name = "N|A-B", value_parser = parse_ports)]
    port: Vec<RangeInclusive<u16>>,
    /// Only this protocol: a number, tcp, udp, icmp …
    #[arg(long, value_name = "P", value_parser = parse_protocol)]
    protocol: Vec<Protocol>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// How the result is written
    #[arg(long, value_enum, default_value_t = FormatArg::Text)]
    format: FormatArg,
    /// Write to this file, whole or not at all
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Examples per finding; 0 for all
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
    /// When to colour
    #[arg(long, value_enum, default_value_t = ColorArg::Auto)]
    color: ColorArg,
    /// No progress on the terminal
    #[arg(long)]
    no_progress: bool,
    /// No warnings on standard error
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// More of everything
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArg {
    Text,
    Json,
    Jsonl,
    Csv,
    Md,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ColorArg {
    Auto,
    Always,
    Never,
}

/// What is to be run.
#[derive(Debug)]
pub enum Invocation {
    /// The diagnosis.
    Diagnose(Box<Diagnose>),
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
        let usage = |message: &str| Cli::command().error(clap::error::ErrorKind::ValueValidation, message);
        let live = self.sources.is_empty() || self.sources.iter().any(|source| is_live(source));
        let since = self
            .since
            .or(live.then_some(Moment::Ago(DEFAULT_LIVE_SECONDS)))
            .map(|moment| moment.resolve(now));
        let until = self.until.map(|moment| moment.resolve(now));
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err(usage(&format!("--since {since} is not before --until {until}")));
        }
        let FilterArgs { interface, subnet, vpc, nacl, ip, port, protocol } = self.filters;
        let aws = self.aws.into_options();
        // EC2 answers nobody who does not sign.
        let asks_history = self.history.contains(&HistorySource::Live);
        let wants_aws = live || asks_history || aws != AwsOptions::default();
        let live_network = self.snapshot.is_empty() && !aws.no_sign_request && wants_aws;
        if !nacl.is_empty() && self.snapshot.is_empty() && !live_network {
            return Err(usage(
                "--nacl needs --snapshot, or --region to ask AWS: only the configuration says which interfaces are \
                 behind an ACL",
            ));
        }
        if self.follow && self.sources.iter().any(|source| source == "-") {
            return Err(usage("--follow reads again and again, which standard input cannot"));
        }
        if self.follow && !matches!(self.output.format, FormatArg::Text | FormatArg::Jsonl) {
            return Err(usage("--follow writes --format text or jsonl: the others are whole documents"));
        }
        if self.follow && self.output.output.is_some() {
            return Err(usage(
                "--follow writes to standard output: --output writes a file whole or not at all",
            ));
        }
        if aws.no_sign_request && asks_history {
            return Err(usage(
                "--history live asks CloudTrail and AWS Config, which answer nobody who does not sign",
            ));
        }
        Ok(Diagnose {
            sources: self.sources,
            snapshots: self.snapshot,
            history: self.history,
            live_network,
            aws,
            follow_seconds: self.follow.then_some(self.interval),
            since,
            until,
            log_formats: self.log_format,
            filters: Filters {
                interface_ids: interface,
                subnet_ids: subnet,
                vpc_ids: vpc,
                network_acl_ids: nacl,
                cidrs: ip,
                ports: port,
                protocols: protocol,
            },
            match_window_seconds: self.match_window,
            output: self.output.into_config(),
            threads: self.threads.map_or(cores, usize::from),
            memory_limit_bytes: self.memory_limit,
            strict: self.strict,
            exit_code: self.exit_code,
        })
    }
}

impl OutputArgs {
    fn into_config(self) -> Output {
        Output {
            format: match self.format {
                FormatArg::Text => report::Format::Text,
                FormatArg::Json => report::Format::Json,
                FormatArg::Jsonl => report::Format::Jsonl,
                FormatArg::Csv => report::Format::Csv,
                FormatArg::Md => report::Format::Md,
            },
            file: self.output,
            top: self.top,
            color: match self.color {
                ColorArg::Auto => ColorChoice::Auto,
                ColorArg::Always => ColorChoice::Always,
                ColorArg::Never => ColorChoice::Never,
            },
            progress: !self.no_progress,
            quiet: self.quiet,
            verbose: self.verbose,
        }
    }
}

fn parse_log_format(text: &str) -> Result<Arc<LogFormat>, crate::record::LogFormatError> {
    LogFormat::parse(text).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Result<Diagnose, clap::Error> {
        let cli = Cli::try_parse_from(std::iter::once("flowcheck").chain(arguments.iter().copied()))?;
        match cli.into_invocation(Timestamp(1_000_000), 2)? {
            Invocation::Diagnose(config) => Ok(*config),
            Invocation::Snapshot(_) | Invocation::Completions(_) => unreachable!("not asked for"),
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
