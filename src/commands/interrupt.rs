//! Ctrl-C: the first asks the run to end with what it knows, the second ends it at once.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::source::Stop;

/// What a shell says of a command that Ctrl-C ended.
const ENDED_BY_INTERRUPT: i32 = 130;

/// How often a request to stop is looked for.
const TICK: Duration = Duration::from_millis(50);

/// From now on Ctrl-C requests a stop.
pub(super) fn listen() -> anyhow::Result<Stop> {
    let stop = Stop::default();
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset and sets it, the second finds it set.
        flag::register_conditional_shutdown(signal, ENDED_BY_INTERRUPT, stop.flag())
            .and_then(|_| flag::register(signal, stop.flag()))
            .context("cannot listen for Ctrl-C")?;
    }
    Ok(stop)
}

/// Does what has to be done before there is anything to show; an interrupt meanwhile ends the process as an incomplete run.
pub(super) fn before_anything_is_known<T>(stop: &Stop, work: impl FnOnce() -> T) -> T {
    let (done, waiting) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while waiting.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                if stop.is_requested() {
                    eprintln!("\rerror: interrupted before anything was read");
                    std::process::exit(i32::from(super::Outcome::Incomplete.exit_code()));
                }
            }
        });
        let result = work();
        drop(done);
        result
    })
}
