//! The commands, one file each: they compose the stages and decide the exit code. No domain rules.

pub mod completions;
mod dataset;
pub mod diagnose;
mod file;
mod flow_log;
mod follow;
mod interrupt;
mod live_history;
mod live_network;
mod log_group;
mod present;
pub mod report;
mod selection;
mod session;
pub mod snapshot;
mod sources;
mod state;
mod watch;

/// How a command ended when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Done, there are findings, and `--exit-code` asks to say so.
    Findings,
    /// Done, but an input could not be read to its end or a cap was hit.
    Incomplete,
}

impl Outcome {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Incomplete => 3,
        }
    }
}
