//! Ctrl-C: the first asks the run to end with what it knows, the second ends it at once.

use std::io::IsTerminal;
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

/// Does what has to be done before there is anything to show; an interrupt meanwhile ends the process as an incomplete
/// run, with `last_words`, if any.
pub(super) fn before_anything_is_known<T>(
    stop: &Stop,
    last_words: Option<&str>,
    work: impl FnOnce() -> T,
) -> T {
    let (done, waiting) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while waiting.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                if stop.is_requested() {
                    end(last_words);
                }
            }
        });
        let result = work();
        // The work may have seen the request first, and then what it gives is less than there is.
        if stop.is_requested() {
            end(last_words);
        }
        drop(done);
        result
    })
}

fn end(last_words: Option<&str>) -> ! {
    // What was drawn of the progress is in the way.
    let erase = if std::io::stderr().is_terminal() { "\r\x1b[J" } else { "" };
    match last_words {
        Some(last_words) => eprintln!("{erase}error: {last_words}"),
        None => eprint!("{erase}"),
    }
    std::process::exit(i32::from(super::Outcome::Incomplete.exit_code()))
}
