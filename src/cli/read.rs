//! Options shared by the commands that read traffic.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, CommandFactory, ValueEnum};
use ipnet::IpNet;

use super::Cli;
use super::aws::AwsArgs;
use crate::aws::AwsOptions;
use crate::config::{
    ColorChoice, DEFAULT_LIVE_SECONDS, Diagnose, Filters, HistorySource, Keep, Moment, Output, parse_cidr,
    parse_duration, parse_moment, parse_ports, parse_protocol, parse_size,
};
use crate::net::{Protocol, Timestamp};
use crate::record::LogFormat;
use crate::report;
use crate::source::is_live;

#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    /// Files, directories (read recursively: .log .txt .gz .parquet), `-`, `s3://BUCKET[/PREFIX]`, `cloudwatch://LOG-GROUP`;
    /// none: every flow log of the region
    #[arg(value_name = "SOURCE")]
    pub(super) sources: Vec<String>,

    /// Network configuration from JSON as the AWS CLI or `flowcheck snapshot` prints it, in place of live EC2 calls:
    /// file or directory; repeatable
    #[arg(long, value_name = "PATH")]
    pub(super) snapshot: Vec<PathBuf>,

    /// Changes of network ACLs over time: CloudTrail files, `aws cloudtrail lookup-events` output, AWS Config items, older
    /// snapshots; file or directory; repeatable
    #[arg(long, value_name = "PATH|live")]
    pub(super) history: Vec<HistorySource>,

    /// Only records from this moment on: RFC 3339, a date, or a duration back from now (2h, 90m, 7d, 1d12h)
    /// [default: 1h for live sources, everything for files]
    #[arg(long, value_name = "T", value_parser = parse_moment)]
    pub(super) since: Option<Moment>,

    /// Only records before this moment
    #[arg(long, value_name = "T", value_parser = parse_moment)]
    pub(super) until: Option<Moment>,

    /// Fields of input without a header line: `${version} ${account-id} …` or bare names; repeatable
    #[arg(long, value_name = "STR", value_parser = parse_log_format)]
    pub(super) log_format: Vec<Arc<LogFormat>>,

    /// How far apart a request and its rejected reply may lie, beyond the records' own capture windows
    #[arg(long, value_name = "DUR", default_value = "5m", value_parser = parse_duration)]
    pub(super) match_window: i64,

    /// Threads that read [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,

    /// What waiting records may take in memory, such as 512MiB
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_size)]
    pub(super) memory_limit: usize,

    /// Treat any malformed record or unreadable input as an error
    #[arg(long)]
    pub(super) strict: bool,

    /// Exit with 1 when there are findings
    #[arg(long)]
    pub(super) exit_code: bool,

    #[command(flatten)]
    pub(super) filters: FilterArgs,
    #[command(flatten)]
    pub(super) aws: AwsArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Filters (repeatable)")]
pub(super) struct FilterArgs {
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
pub(super) struct OutputArgs {
    /// Write to this file, whole or not at all
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Examples per finding; 0 for all
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(super) top: usize,
    /// When to colour
    #[arg(long, value_enum, default_value_t = ColorArg::Auto)]
    pub(super) color: ColorArg,
    /// No progress on the terminal
    #[arg(long)]
    pub(super) no_progress: bool,
    /// No warnings on standard error
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// More of everything
    #[arg(short, long)]
    pub(super) verbose: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ColorArg {
    Auto,
    Always,
    Never,
}

impl ReadArgs {
    /// Whether a source is read over the network; none at all stands for every flow log.
    pub(super) fn is_live(&self) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|source| is_live(source))
    }

    /// The configuration for a run that starts at `now`, or what is wrong with the arguments as a whole.
    pub(super) fn into_config(
        self,
        now: Timestamp,
        cores: usize,
        output: Output,
    ) -> Result<Diagnose, clap::Error> {
        let live = self.is_live();
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
            follow_seconds: None,
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
            keep: Keep { rows: output.format.has_rows(), ..Keep::default() },
            output,
            threads: self.threads.map_or(cores, usize::from),
            memory_limit_bytes: self.memory_limit,
            strict: self.strict,
            exit_code: self.exit_code,
        })
    }
}

/// Arguments that cannot be meant.
pub(super) fn usage(message: &str) -> clap::Error {
    Cli::command().error(clap::error::ErrorKind::ValueValidation, message)
}

impl OutputArgs {
    pub(super) fn into_config(self, format: report::Format) -> Output {
        Output {
            format,
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
