//! The whole diagnosis of a big input, beside what anyone would run instead, in one run on the same files.
//!
//! `cargo bench --bench throughput` (options after `--`: `--records N`, default 5000000; `--format v2|v5`;
//! `--runs N`, default 5). Makes its data once under `target/`. Prints medians: records and megabytes of text a
//! second, peak memory of the largest process, and the ratio to `zcat | wc -l`, which only inflates and counts lines.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

struct Options {
    records: u64,
    format: String,
    runs: usize,
}

/// What is run, and what the table calls it.
type Contender<'a> = (&'static str, Box<dyn Fn() -> Command + 'a>);

struct Measured {
    name: &'static str,
    wall: Duration,
    peak_kib: Option<u64>,
}

fn main() -> io::Result<()> {
    let options = options();
    let data = data(&options)?;
    let logs = data.join("AWSLogs");
    let snapshot = data.join("snapshot.json");
    let flowcheck = |threads: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowcheck"));
        command.arg(&logs).arg("--snapshot").arg(&snapshot).args(["--format", "json", "--threads", threads]);
        command
    };
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script).arg("sh").arg(&logs);
        command
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).to_string();
    let mut contenders: Vec<Contender<'_>> = vec![
        ("flowcheck, all cores", Box::new(|| flowcheck(&cores))),
        ("flowcheck, one thread", Box::new(|| flowcheck("1"))),
        ("zcat | wc -l", Box::new(|| shell("find \"$1\" -name '*.gz' -exec zcat {} + | wc -l"))),
        (
            "zcat | grep -c REJECT",
            Box::new(|| shell("find \"$1\" -name '*.gz' -exec zcat {} + | grep -c REJECT")),
        ),
    ];
    let mut samples: Vec<Vec<Measured>> = contenders.iter().map(|_| Vec::new()).collect();
    // Turn by turn, so that a machine that slows down slows everyone.
    for _ in 0..options.runs {
        for ((name, command), samples) in contenders.iter_mut().zip(&mut samples) {
            samples.push(measure(name, command())?);
        }
    }
    report(&options, &logs, samples)
}

fn options() -> Options {
    let mut options = Options { records: 5_000_000, format: "v2".to_owned(), runs: 5 };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--records" => options.records = value().parse().unwrap_or(options.records),
            "--format" => options.format = value(),
            "--runs" => options.runs = value().parse().unwrap_or(options.runs).max(1),
            _ => {}
        }
    }
    options
}

/// The input, made by the `load` example unless it is there already.
fn data(options: &Options) -> io::Result<PathBuf> {
    let name = format!("bench-data/{}-{}", options.format, options.records);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(name);
    if !folder.join("snapshot.json").exists() || !folder.join("complete").exists() {
        let status = Command::new(env!("CARGO"))
            .args(["run", "--release", "--quiet", "--example", "load", "--"])
            .arg(&folder)
            .args(["--records", &options.records.to_string(), "--format", &options.format])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()?;
        if !status.success() {
            return Err(io::Error::other("making the data failed"));
        }
        fs::write(folder.join("complete"), "")?;
    }
    Ok(folder)
}

/// Runs a command to its end; its peak memory is read while it runs, every few milliseconds.
fn measure(name: &'static str, mut command: Command) -> io::Result<Measured> {
    let begin = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak_kib = None;
    let status = loop {
        peak_kib =
            peak_kib.max(fs::read_to_string(&status_file).ok().and_then(|text| high_water_mark(&text)));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let wall = begin.elapsed();
    if !status.success() {
        return Err(io::Error::other(format!("{name} failed: {status}")));
    }
    Ok(Measured { name, wall, peak_kib })
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "figures for a person")]
fn report(options: &Options, logs: &Path, samples: Vec<Vec<Measured>>) -> io::Result<()> {
    let (compressed, text) = sizes(logs)?;
    println!(
        "{} {} records, {:.0} MB of text, {:.0} MB gzip, {} runs each",
        options.records,
        options.format,
        text as f64 / 1e6,
        compressed as f64 / 1e6,
        options.runs
    );
    println!(
        "{:<24} {:>9} {:>9} {:>9} {:>12} {:>9} {:>9}",
        "", "min s", "median s", "max s", "records/s", "MB/s", "peak MB"
    );
    let mut medians = Vec::new();
    for mut runs in samples {
        runs.sort_by_key(|run| run.wall);
        let median = runs[runs.len() / 2].wall.as_secs_f64();
        let peak = runs.iter().filter_map(|run| run.peak_kib).max().unwrap_or(0);
        println!(
            "{:<24} {:>9.3} {median:>9.3} {:>9.3} {:>12.0} {:>9.0} {:>9.0}",
            runs[0].name,
            runs[0].wall.as_secs_f64(),
            runs[runs.len() - 1].wall.as_secs_f64(),
            options.records as f64 / median,
            text as f64 / 1e6 / median,
            peak as f64 / 1024.0
        );
        medians.push((runs[0].name, median));
    }
    let own = medians[0].1;
    for (name, median) in &medians[1..] {
        println!("{name}: {:.2} times as long as {}", median / own, medians[0].0);
    }
    Ok(())
}

/// Bytes of the objects as stored, and of their text by the size field of each gzip member (one a file here).
fn sizes(folder: &Path) -> io::Result<(u64, u64)> {
    let mut sizes = (0, 0);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            let inner = self::sizes(&path)?;
            sizes = (sizes.0 + inner.0, sizes.1 + inner.1);
        } else {
            let bytes = fs::read(&path)?;
            let tail = bytes.last_chunk::<4>().map_or(0, |tail| u32::from_le_bytes(*tail));
            sizes = (sizes.0 + bytes.len() as u64, sizes.1 + u64::from(tail));
        }
    }
    Ok(sizes)
}
