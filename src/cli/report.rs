//! `flowcheck report`: its options.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::read::{OutputArgs, ReadArgs, usage};
use crate::config::{Earlier, Keep, Report, ReportFormat, parse_division};
use crate::net::Timestamp;
use crate::report;
use crate::survey::Division;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    read: ReadArgs,

    /// Compare with the equal time before, from the same sources
    #[arg(long, help_heading = "Report", conflicts_with = "baseline")]
    compare: bool,

    /// Compare with an earlier report or diagnosis, as `--format json` wrote it
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    baseline: Option<PathBuf>,

    /// Divide the findings: subnet, vpc, account, service or tag:KEY
    #[arg(long, value_name = "BY", help_heading = "Report", value_parser = parse_division)]
    group_by: Option<Division>,

    /// Write the rejected conversations as Parquet too, one file a day
    #[arg(long, value_name = "DIR", help_heading = "Report")]
    dataset: Option<PathBuf>,

    /// Keep what each whole day (UTC) came to, and read only the days that are not there yet; --since goes back to the
    /// beginning of its day
    #[arg(long, value_name = "DIR", help_heading = "Report")]
    state: Option<PathBuf>,

    /// How the report is written [default: by the ending of --output; text on a terminal; else html]
    #[arg(long, value_enum, help_heading = "Output")]
    format: Option<ReportFormatArg>,

    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ReportFormatArg {
    Html,
    Text,
    Json,
    Jsonl,
    Csv,
    Md,
}

impl From<ReportFormatArg> for ReportFormat {
    fn from(format: ReportFormatArg) -> Self {
        match format {
            ReportFormatArg::Html => Self::Html,
            ReportFormatArg::Text => Self::As(report::Format::Text),
            ReportFormatArg::Json => Self::As(report::Format::Json),
            ReportFormatArg::Jsonl => Self::As(report::Format::Jsonl),
            ReportFormatArg::Csv => Self::As(report::Format::Csv),
            ReportFormatArg::Md => Self::As(report::Format::Md),
        }
    }
}

/// The format that a file's name asks for.
fn by_ending(path: &Path) -> Option<ReportFormat> {
    Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "html" | "htm" => ReportFormat::Html,
        "txt" => ReportFormat::As(report::Format::Text),
        "json" => ReportFormat::As(report::Format::Json),
        "jsonl" | "ndjson" => ReportFormat::As(report::Format::Jsonl),
        "csv" => ReportFormat::As(report::Format::Csv),
        "md" | "markdown" => ReportFormat::As(report::Format::Md),
        _ => return None,
    })
}

impl ReportArgs {
    pub(super) fn into_config(self, now: Timestamp, cores: usize) -> Result<Report, clap::Error> {
        let asked = self.format.map(ReportFormat::from);
        let format = asked.or_else(|| by_ending(self.output.output.as_deref()?));
        let rows = match format {
            Some(ReportFormat::As(format)) => format.has_rows(),
            _ => false,
        };
        if rows && self.state.is_some() {
            return Err(usage(
                "--format csv and jsonl are one row per conversation, which --state does not keep: --dataset writes \
                 each day's rows when the day is read",
            ));
        }
        if self.read.since.is_none() && self.state.is_some() {
            return Err(usage("--state needs --since: it keeps whole days"));
        }
        if self.compare && self.read.since.is_none() && !self.read.is_live() {
            return Err(usage("--compare needs --since: the time before is as long as the time from it on"));
        }
        if self.read.sources.iter().any(|source| source == "-") && (self.compare || self.state.is_some()) {
            return Err(usage("standard input can be read once only: --compare and --state read again"));
        }
        let text = match format {
            Some(ReportFormat::As(format)) => format,
            _ => report::Format::Text,
        };
        let mut diagnose = self.read.into_config(now, cores, self.output.into_config(text))?;
        diagnose.keep = Keep { rows: rows || self.dataset.is_some(), coverage: true, evidence: true };
        let earlier = match self.baseline {
            Some(file) => Some(Earlier::Baseline(file)),
            None => self.compare.then_some(Earlier::PreviousPeriod),
        };
        Ok(Report {
            diagnose,
            format,
            earlier,
            group_by: self.group_by,
            dataset: self.dataset,
            state: self.state,
            now,
        })
    }
}
