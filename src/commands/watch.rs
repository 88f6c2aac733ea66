//! What a person sees on standard error while the reading goes on: how far it is, and what was found so far.
//!
//! On a terminal only. The lines are drawn over each other and gone when the result is printed.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthChar;

use crate::config::Output;
use crate::pipeline::Progress;
use crate::report::escape_for_terminal;

/// A redraw this often looks like motion and costs nothing.
const REDRAW: Duration = Duration::from_millis(100);

/// Findings so far are first looked at after this long, and then not more often than that.
const LOOK: Duration = Duration::from_secs(2);

/// Looking may take one part in this many of the time.
const LOOK_SHARE: u32 = 20;

/// Findings shown while the reading goes on.
pub(super) const FINDINGS_SHOWN: usize = 5;

/// Before this much is read, what is left cannot be told.
const ETA_AFTER: Duration = Duration::from_secs(3);

/// The lines on the terminal.
pub(super) struct Watch {
    wanted: bool,
    began: Instant,
    drawn: Option<Instant>,
    lines: usize,
    next_look: Instant,
    findings: Vec<String>,
}

impl Watch {
    pub(super) fn new(output: &Output) -> Self {
        let began = Instant::now();
        Self {
            wanted: output.progress && !output.quiet && io::stderr().is_terminal(),
            began,
            drawn: None,
            lines: 0,
            next_look: began + LOOK,
            findings: Vec::new(),
        }
    }

    /// The reading begins now.
    pub(super) fn begin(&mut self) {
        self.began = Instant::now();
        self.next_look = self.began + LOOK;
    }

    /// One line of what is being done before the reading begins.
    pub(super) fn say(&mut self, what: &str) {
        if self.is_due() {
            self.draw(&[what.to_owned()]);
        }
    }

    /// How far the reading is. `look` gives a line for each finding so far; it is asked now and then.
    pub(super) fn show(&mut self, progress: Progress, look: impl FnOnce() -> Vec<String>) {
        if !self.is_due() {
            return;
        }
        let now = Instant::now();
        if now >= self.next_look && progress.rejected > 0 {
            self.findings = look();
            let took = now.elapsed();
            self.next_look = Instant::now() + LOOK.max(took * LOOK_SHARE);
        }
        let mut lines = vec![progress_line(progress, self.began.elapsed())];
        if !self.findings.is_empty() {
            lines.push("found so far:".to_owned());
            lines.extend(self.findings.iter().cloned());
        }
        self.draw(&lines);
    }

    /// Takes the lines off the terminal.
    pub(super) fn clear(&mut self) {
        if self.lines > 0 {
            let _ = write!(io::stderr().lock(), "{}", self.back());
            self.lines = 0;
        }
        self.findings.clear();
    }

    fn is_due(&mut self) -> bool {
        self.wanted && self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW)
    }

    /// To the beginning of what was drawn last, and everything from there on erased.
    fn back(&self) -> String {
        match self.lines {
            0 => String::new(),
            1 => "\r\x1b[J".to_owned(),
            lines => format!("\r\x1b[{}A\x1b[J", lines - 1),
        }
    }

    fn draw(&mut self, lines: &[String]) {
        let width =
            terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| usize::from(width.0));
        let mut text = self.back();
        let lines: Vec<_> =
            lines.iter().map(|line| cut(&escape_for_terminal(line), width.saturating_sub(1))).collect();
        text.push_str(&lines.join("\n"));
        // A terminal that is gone is no reason to stop reading.
        let _ = io::stderr().lock().write_all(text.as_bytes());
        self.lines = lines.len();
        self.drawn = Some(Instant::now());
    }
}

/// As much of a line as fits: a wrapped one could not be drawn over.
fn cut(line: &str, width: usize) -> String {
    let mut used = 0;
    let fits = |letter: &char| {
        used += letter.width().unwrap_or(0);
        used <= width
    };
    line.chars().take_while(fits).collect()
}

/// `412 of 2 000 inputs · 180 of 950 MiB · 4 120 331 records · 1 204 rejected · 12 s left`.
fn progress_line(progress: Progress, elapsed: Duration) -> String {
    let mut parts = vec![format!("{} of {} inputs", progress.objects, progress.objects_total)];
    let mebibytes = progress.bytes_read >> 20;
    parts.push(match progress.bytes_total {
        Some(total) => format!("{mebibytes} of {} MiB", total >> 20),
        None => format!("{mebibytes} MiB"),
    });
    parts.push(format!("{} records", progress.records));
    parts.push(format!("{} rejected", progress.rejected));
    parts.extend(time_left(progress, elapsed).map(|left| format!("{left} left")));
    parts.join(" · ")
}

/// What is left, if it goes on as it went: by bytes where all sizes are known, else by inputs.
fn time_left(progress: Progress, elapsed: Duration) -> Option<String> {
    let (done, total) = match progress.bytes_total.filter(|total| *total > 0) {
        Some(total) => (progress.bytes_read, total),
        None => (progress.objects as u64, progress.objects_total as u64),
    };
    if elapsed < ETA_AFTER || done == 0 || done >= total {
        return None;
    }
    let seconds = u128::from(elapsed.as_secs()) * u128::from(total - done) / u128::from(done);
    Some(match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_from_bytes_else_from_inputs_and_not_too_early() {
        let progress = Progress {
            objects: 1,
            objects_total: 4,
            bytes_read: 30 << 20,
            bytes_total: Some(90 << 20),
            records: 1000,
            rejected: 7,
        };
        let line = |progress, seconds| progress_line(progress, Duration::from_secs(seconds));
        assert_eq!(
            line(progress, 10),
            "1 of 4 inputs · 30 of 90 MiB · 1000 records · 7 rejected · 20 s left"
        );
        assert_eq!(line(progress, 1), "1 of 4 inputs · 30 of 90 MiB · 1000 records · 7 rejected");
        let unsized_inputs = Progress { bytes_total: None, ..progress };
        assert_eq!(
            line(unsized_inputs, 60),
            "1 of 4 inputs · 30 MiB · 1000 records · 7 rejected · 3 min left"
        );
        let done = Progress { bytes_read: 90 << 20, ..progress };
        assert!(!line(done, 60).contains("left"));
    }

    #[test]
    fn a_line_never_wraps() {
        assert_eq!(cut("a→漢字b", 5), "a→漢");
        assert_eq!(cut("short", 80), "short");
    }
}
