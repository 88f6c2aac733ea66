//! The arguments of `flowcheck snapshot`.

use std::path::PathBuf;

use clap::Args;

use super::aws::AwsArgs;
use crate::config::{Snapshot, parse_duration};

#[derive(Debug, Args)]
pub(super) struct SnapshotArgs {
    /// Write to this file, whole or not at all; `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Only this VPC; repeatable
    #[arg(long, value_name = "VPC")]
    vpc: Vec<String>,
    /// Save what changed in this time too, from CloudTrail and AWS Config, to be read with --history [default: 90d]
    #[arg(long, value_name = "DUR", num_args = 0..=1, default_missing_value = "90d", value_parser = parse_duration)]
    history: Option<i64>,
    #[command(flatten)]
    aws: AwsArgs,
    /// No warnings on standard error
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say how much was saved
    #[arg(short, long)]
    verbose: bool,
}

impl SnapshotArgs {
    pub(super) fn into_config(self) -> Snapshot {
        Snapshot {
            aws: self.aws.into_options(),
            vpc_ids: self.vpc,
            history_seconds: self.history,
            file: (self.output.as_os_str() != "-").then_some(self.output),
            quiet: self.quiet,
            verbose: self.verbose,
        }
    }
}
