//! Whether memory grows with the input: N records, and ten times as many over ten times as long.

use std::io;

use crate::bar::Bar;
use crate::contender::{self, Answer};
use crate::input;
use crate::options::Options;
use crate::process;
use crate::table::megabytes;

/// Hours over which N records are spread.
const HOURS: u64 = 2;

const TIMES: u64 = 10;

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
            let run = process::run(contender::flowcheck(options, &input, &["--format", "json"]))?;
            let peak = megabytes(run.peak_kib * 1024);
            let conversations = Answer::of(&run).conversations.unwrap_or_default();
            println!(
                "  {records} {format} records over {hours} hours: {:.2} s, peak {peak:.0} MB, exit {}, {conversations} \
                 rejected conversations",
                run.wall.as_secs_f64(),
                run.code.map_or_else(|| "by a signal".to_owned(), |code| code.to_string()),
            );
            bars.push(Bar::at_most(format!("{format}: peak memory at {records} records"), limit, peak, "MB"));
            peaks.push(peak);
        }
        let ratio = peaks[1].max(peaks[0]) / peaks[1].min(peaks[0]);
        bars.push(Bar::at_most(format!("{format}: the larger of these two to the other"), 1.25, ratio, "×"));
    }
    Ok(())
}
