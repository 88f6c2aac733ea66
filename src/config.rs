//! Arguments made into a validated configuration: pure, no I/O but the clock it is handed.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

use crate::aws::AwsOptions;
use crate::net::{Protocol, Timestamp};
use crate::record::LogFormat;
use crate::report::Format;
use crate::survey::Division;

/// How far back a live source is read when nothing is said.
pub const DEFAULT_LIVE_SECONDS: i64 = 3600;

/// What `flowcheck` was asked to do.
#[derive(Debug, Clone)]
pub struct Diagnose {
    /// Files, directories, `-`, `s3://…`, `cloudwatch://…`; empty means every flow log that can be found.
    pub sources: Vec<String>,
    /// Whether the network configuration is asked of EC2: no snapshot is given, and AWS is to be talked to anyway.
    pub live_network: bool,
    /// Files and directories with the network configuration.
    pub snapshots: Vec<PathBuf>,
    /// Where changes of network ACLs are from.
    pub history: Vec<HistorySource>,
    /// How to reach AWS.
    pub aws: AwsOptions,
    /// Keep reading, with a pause of so many seconds between one time and the next.
    pub follow_seconds: Option<i64>,
    /// First moment of interest.
    pub since: Option<Timestamp>,
    /// First moment no longer of interest.
    pub until: Option<Timestamp>,
    /// Formats of input without a header.
    pub log_formats: Vec<Arc<LogFormat>>,
    /// What is kept.
    pub filters: Filters,
    /// How far apart a request and its rejected reply may lie.
    pub match_window_seconds: i64,
    /// What is kept of what was read, beyond what a diagnosis says.
    pub keep: Keep,
    /// How the result is written, and where.
    pub output: Output,
    /// Threads that read.
    pub threads: usize,
    /// Bound on what waits in memory.
    pub memory_limit_bytes: usize,
    /// A malformed record or an unreadable input is an error.
    pub strict: bool,
    /// Exit 1 when there are findings.
    pub exit_code: bool,
}

/// What is kept of what was read, beyond what a diagnosis says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// A row for each rejected conversation and cause.
    pub rows: bool,
    /// When there are records of each interface.
    pub coverage: bool,
    /// What fixes are proven by, for a time put together of several.
    pub evidence: bool,
}

/// What `flowcheck report` was asked to write.
#[derive(Debug, Clone)]
pub struct Report {
    /// What to read and how to judge it; where the report goes.
    pub diagnose: Diagnose,
    /// How it is written; `None`: text on a terminal, else HTML.
    pub format: Option<ReportFormat>,
    /// What it is compared with.
    pub earlier: Option<Earlier>,
    /// How the findings are divided.
    pub group_by: Option<Division>,
    /// Directory for the rejected conversations as Parquet.
    pub dataset: Option<PathBuf>,
    /// Directory for what each day came to.
    pub state: Option<PathBuf>,
    /// When the run began: the end of a time that has no other.
    pub now: Timestamp,
}

impl Report {
    /// Whether it is one row for each rejected conversation of the whole time.
    #[must_use]
    pub fn is_rows(&self) -> bool {
        matches!(self.format, Some(ReportFormat::As(format)) if format.has_rows())
    }
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// A page.
    Html,
    /// As a diagnosis is.
    As(Format),
}

/// What a report is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// The time before, as long, from the same sources.
    PreviousPeriod,
    /// An earlier report or diagnosis, as JSON.
    Baseline(PathBuf),
}

/// Where changes of network ACLs over time are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistorySource {
    /// A file or a directory.
    Path(PathBuf),
    /// CloudTrail and AWS Config.
    Live,
}

impl From<&str> for HistorySource {
    /// `live`, else a path; a file of that name is `./live`.
    fn from(text: &str) -> Self {
        if text == "live" { Self::Live } else { Self::Path(text.into()) }
    }
}

/// What `flowcheck snapshot` was asked to save.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Which account and regions.
    pub aws: AwsOptions,
    /// Only these VPCs; empty means all.
    pub vpc_ids: Vec<String>,
    /// How far back changes of network ACLs are saved too, if they are.
    pub history_seconds: Option<i64>,
    /// File, or standard output.
    pub file: Option<PathBuf>,
    /// No warnings on standard error.
    pub quiet: bool,
    /// Say how much was saved.
    pub verbose: bool,
}

/// What is kept; empty means everything.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "named as the options are")]
pub struct Filters {
    pub interface_ids: Vec<String>,
    pub subnet_ids: Vec<String>,
    pub vpc_ids: Vec<String>,
    pub network_acl_ids: Vec<String>,
    pub cidrs: Vec<IpNet>,
    pub ports: Vec<RangeInclusive<u16>>,
    pub protocols: Vec<Protocol>,
}

/// How and where the result is written.
#[derive(Debug, Clone)]
pub struct Output {
    /// Format.
    pub format: Format,
    /// File, or standard output.
    pub file: Option<PathBuf>,
    /// Examples per finding; 0 means all.
    pub top: usize,
    /// When to colour.
    pub color: ColorChoice,
    /// Whether progress is shown on a terminal.
    pub progress: bool,
    /// No warnings on standard error.
    pub quiet: bool,
    /// More of everything.
    pub verbose: bool,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// An option value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Neither a time, nor a date, nor a duration.
    #[error("`{0}` is neither an RFC 3339 time, nor a date, nor a duration such as 2h, 90m or 1d12h")]
    Time(String),
    /// Not a duration.
    #[error("`{0}` is not a duration such as 30s, 5m or 1h30m")]
    Duration(String),
    /// Not a size.
    #[error("`{0}` is not a size such as 512MiB or 1GiB")]
    Size(String),
    /// Not a port or a range.
    #[error("`{0}` is neither a port nor a range such as 1024-65535")]
    Ports(String),
    /// Not an address or a CIDR.
    #[error("`{0}` is neither an IP address nor a CIDR")]
    Cidr(String),
    /// Nothing to divide findings by.
    #[error("`{0}` is none of subnet, vpc, account, service and tag:KEY")]
    Division(String),
    /// Not a protocol.
    #[error("`{0}` is neither a protocol number nor a name such as tcp, udp or icmp")]
    Protocol(String),
}

/// A moment given on the command line: fixed, or so many seconds before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A fixed moment.
    At(Timestamp),
    /// Seconds back from now.
    Ago(i64),
}

impl Moment {
    /// The moment, for a run that starts at `now`.
    #[must_use]
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(seconds) => now.plus_seconds(-seconds),
        }
    }
}

/// Reads `--since` and `--until`.
pub fn parse_moment(text: &str) -> Result<Moment, ValueError> {
    if let Ok(moment) = text.parse() {
        return Ok(Moment::At(moment));
    }
    parse_duration(text).map(Moment::Ago).map_err(|_| ValueError::Time(text.to_owned()))
}

/// Reads a duration such as `2h`, `90m`, `7d`, `1d12h` as seconds.
pub fn parse_duration(text: &str) -> Result<i64, ValueError> {
    let error = || ValueError::Duration(text.to_owned());
    if !text.starts_with(|c: char| c.is_ascii_digit()) || text.ends_with(|c: char| c.is_ascii_digit()) {
        return Err(error());
    }
    let span: jiff::Span = text.parse().map_err(|_| error())?;
    let relative = jiff::SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(relative).map_err(|_| error())?;
    Ok(duration.as_secs())
}

/// Reads a size in bytes: `1GiB`, `512MB`, `64K`, `1000000`.
pub fn parse_size(text: &str) -> Result<usize, ValueError> {
    let error = || ValueError::Size(text.to_owned());
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: usize = text[..digits].parse().map_err(|_| error())?;
    let factor: usize = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "kb" => 1_000,
        "m" | "mib" => 1 << 20,
        "mb" => 1_000_000,
        "g" | "gib" => 1 << 30,
        "gb" => 1_000_000_000,
        _ => return Err(error()),
    };
    number.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(error)
}

/// Reads `443` or `1024-65535`.
pub fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, ValueError> {
    let error = || ValueError::Ports(text.to_owned());
    let port = |part: &str| part.trim().parse::<u16>().map_err(|_| error());
    let (from, to) = match text.split_once('-') {
        Some((from, to)) => (port(from)?, port(to)?),
        None => (port(text)?, port(text)?),
    };
    if from > to { Err(error()) } else { Ok(from..=to) }
}

/// Reads `subnet`, `vpc`, `account`, `service` or `tag:KEY`.
pub fn parse_division(text: &str) -> Result<Division, ValueError> {
    match text {
        "subnet" => Ok(Division::Subnet),
        "vpc" => Ok(Division::Vpc),
        "account" => Ok(Division::Account),
        "service" => Ok(Division::Service),
        _ => match text.strip_prefix("tag:") {
            Some(key) if !key.is_empty() => Ok(Division::Tag(key.to_owned())),
            _ => Err(ValueError::Division(text.to_owned())),
        },
    }
}

/// Reads an address or a CIDR.
pub fn parse_cidr(text: &str) -> Result<IpNet, ValueError> {
    text.parse::<IpNet>()
        .map(|cidr| cidr.trunc())
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| ValueError::Cidr(text.to_owned()))
}

/// Reads a protocol number or name.
pub fn parse_protocol(text: &str) -> Result<Protocol, ValueError> {
    Protocol::from_name(text).ok_or_else(|| ValueError::Protocol(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_row_by_row() {
        for (text, expected) in [
            ("2h", Ok(Moment::Ago(7200))),
            ("90m", Ok(Moment::Ago(5400))),
            ("7d", Ok(Moment::Ago(604_800))),
            ("1d12h", Ok(Moment::Ago(129_600))),
            ("2023-11-14T22:13:20Z", Ok(Moment::At(Timestamp(1_700_000_000)))),
            ("2023-11-14", Ok(Moment::At(Timestamp(1_699_920_000)))),
            ("2", Err(ValueError::Time("2".into()))),
            ("-2h", Err(ValueError::Time("-2h".into()))),
            ("soon", Err(ValueError::Time("soon".into()))),
        ] {
            assert_eq!(parse_moment(text), expected, "{text}");
        }
    }

    #[test]
    fn other_values_row_by_row() {
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        assert_eq!(parse_size("512mb"), Ok(512_000_000));
        assert!(parse_size("1 parsec").is_err() && parse_size("0").is_err());
        assert_eq!(parse_ports("1024-65535"), Ok(1024..=65535));
        assert!(parse_ports("9-1").is_err() && parse_ports("70000").is_err());
        assert_eq!(parse_cidr("10.1.2.3/16").map(|c| c.to_string()), Ok("10.1.0.0/16".into()));
        assert_eq!(parse_cidr("::1").map(|c| c.to_string()), Ok("::1/128".into()));
        assert_eq!(parse_protocol("UDP"), Ok(Protocol::UDP));
        assert!(parse_protocol("quic").is_err());
    }
}
