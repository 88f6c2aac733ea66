//! The sample incident: how long until something is there to read.

use std::io::{self, Read};
use std::process::Stdio;
use std::time::Instant;

use crate::bar::Bar;
use crate::contender;
use crate::input::{Input, repository};
use crate::options::Options;
use crate::table::median;

const RUNS: usize = 20;

/// Milliseconds to the first byte and to the end.
pub fn measure(options: &Options, bars: &mut Vec<Bar>) -> io::Result<()> {
    let folder = repository().join("sample-logs/allow-all-removed");
    let input = Input { logs: folder.join("AWSLogs"), snapshot: folder.join("snapshot.json"), records: 0 };
    let (mut first, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let mut command = contender::flowcheck(options, &input, &["--format", "text"]);
        let begin = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut output = child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        output.read_exact(&mut [0])?;
        first.push(begin.elapsed().as_secs_f64() * 1e3);
        io::copy(&mut output, &mut io::sink())?;
        let status = child.wait()?;
        whole.push(begin.elapsed().as_secs_f64() * 1e3);
        if !status.success() {
            return Err(io::Error::other(format!("the sample incident ended with {status}")));
        }
    }
    println!("the sample incident, {RUNS} runs");
    let least = first.iter().copied().fold(f64::INFINITY, f64::min);
    let most = first.iter().copied().fold(0.0, f64::max);
    let median_first = median(first);
    println!("  to the first byte: {median_first:.1} ms ({least:.1}–{most:.1})");
    println!("  to the end:        {:.1} ms", median(whole));
    bars.push(Bar::at_most("the sample incident to its first byte", 30.0, median_first, "ms"));
    Ok(())
}
