//! Whether memory grows with the input: N records, and ten times as many over ten times as long.

use std::io;

use crate::bar::Bar;
use crate::contender::{self, Answer};
use crate::input;
use crate::options::Options;
use crate::process::{self, Run};
use crate::table::{median, megabytes};

/// Hours over which N records are spread.
const HOURS: u64 = 2;

const TIMES: u64 = 10;

/// Peaks hardly differ from run to run.
const MOST_RUNS: usize = 3;

/// Peak memory of both.
pub fn measure(options: &Options, bars: &mut Vec<Bar>) -> io::Result<()> {
    println!("peak memory at the same density of connections");
    for format in &options.formats {
        let mut peaks = Vec::new();
        for (times, limit) in [(1, 200.0), (TIMES, 256.0)] {
            let records = options.records * times;
            let hours = (HOURS * times).to_string();
            let more: &[&str] = if times == 1 { &[] } else { &["--hours", &hours] };
            let input = input::made(options, format, records, more)?;
            let runs: Vec<Run> = (0..options.runs.min(MOST_RUNS))
                .map(|_| process::run(contender::flowcheck(options, &input, &["--format", "json"])))
                .collect::<io::Result<_>>()?;
            let peak = megabytes(runs.iter().map(|run| run.peak_kib).max().unwrap_or(0) * 1024);
            let seconds = median(runs.iter().map(|run| run.wall.as_secs_f64()).collect());
            let last = &runs[runs.len() - 1];
            println!(
                "  {records} {format} records over {hours} hours: {seconds:.2} s, peak {peak:.0} MB, exit {:?}, {} \
                 rejected conversations",
                last.code.unwrap_or(-1),
                Answer::of(last).conversations.unwrap_or_default(),
            );
            bars.push(Bar::at_most(format!("{format}: peak memory at {records} records"), limit, peak, "MB"));
            peaks.push(peak);
        }
        let ratio = peaks[1].max(peaks[0]) / peaks[1].min(peaks[0]);
        bars.push(Bar::at_most(format!("{format}: the larger of these two to the other"), 1.25, ratio, "×"));
    }
    Ok(())
}
