//! What is hardest to keep in memory and to read: how each ends, and whether anything is lost in silence.

use std::io;

use serde_json::Value;

use crate::bar::Bar;
use crate::contender;
use crate::input;
use crate::options::Options;
use crate::process::{self, Run};
use crate::table::megabytes;

/// What is made for one of them.
struct Case {
    name: &'static str,
    records: u64,
    arguments: Vec<String>,
}

/// Sizes in proportion to the records asked for, the full ones at five million.
fn cases(options: &Options) -> Vec<Case> {
    let case = |name, records, arguments: &[&str]| Case {
        name,
        records: options.scaled(records),
        arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
    };
    // In each of 24 buckets.
    let tiny = options.scaled(100_000).div_ceil(24).to_string();
    vec![
        case("a scan: every record a rejected flow of its own", 20_000_000, &["--shape", "flood"]),
        case("accepted records within one minute", 20_000_000, &["--shape", "minute"]),
        // 112 bytes each: 4.3 GB.
        case("one object", 38_500_000, &["--one-object", "yes"]),
        case("tiny objects", 5_000_000, &["--objects", &tiny]),
        case("half of the records delivered 15 minutes late", 5_000_000, &["--late", "15"]),
        case("half of the records 45 minutes late, beyond what names promise", 5_000_000, &["--late", "45"]),
    ]
}

/// All of them, once each.
pub fn measure(options: &Options, bars: &mut Vec<Bar>) -> io::Result<()> {
    let limit = &options.memory_limit;
    println!("adversarial input, --memory-limit {limit}");
    println!(
        "{:<62} {:>9} {:>8} {:>8} {:>8} {:>5} {:>8} {:>8} {:>9}",
        "", "records", "objects", "wall s", "peak MB", "exit", "lost", "not kept", "temp MB"
    );
    for case in cases(options) {
        let arguments: Vec<&str> = case.arguments.iter().map(String::as_str).collect();
        let input = input::made(options, "v2", case.records, &arguments)?;
        let objects = input::files(&input.logs)?.len();
        let run = process::run(contender::flowcheck(
            options,
            &input,
            &["--format", "json", "--memory-limit", limit],
        ))?;
        let ending = Ending::of(&run, case.records);
        let peak = megabytes(run.peak_kib * 1024);
        println!(
            "{:<62} {:>9} {objects:>8} {:>8.2} {peak:>8.0} {:>5} {:>8} {:>8} {:>9.0}",
            case.name,
            case.records,
            run.wall.as_secs_f64(),
            run.code.map_or_else(|| "?".to_owned(), |code| code.to_string()),
            ending.lost,
            if ending.said.is_empty() { "none" } else { "some" },
            megabytes(run.temporary_bytes)
        );
        for line in &ending.said {
            println!("    {line}");
        }
        let holds = ending.lost == 0 && ending.code_fits;
        bars.push(Bar::holds(format!("{}: nothing lost in silence", case.name), holds, "once"));
        if let Some(limit) = bytes(limit) {
            bars.push(Bar::at_most(format!("{}: peak memory", case.name), megabytes(limit), peak, "MB"));
        }
    }
    Ok(())
}

/// How a run ended.
struct Ending {
    /// Records of which the result does not know that they were.
    lost: i128,
    /// What the result says it could not read or keep.
    said: Vec<String>,
    /// 0 where everything was read and kept, 3 where something was not.
    code_fits: bool,
}

impl Ending {
    fn of(run: &Run, records: u64) -> Self {
        let document: Value = serde_json::from_slice(&run.output).unwrap_or_default();
        let number = |name: &str| document["input"][name].as_u64().unwrap_or(0);
        let counted = ["accepted", "rejected", "duplicates", "malformed", "filtered", "no_data", "skip_data"];
        let known: u64 = counted.into_iter().map(number).sum();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut said: Vec<String> = document["input"]["incomplete"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| format!("{}: {}", text(&entry["source"]), text(&entry["error"])))
            .collect();
        if document.is_null() {
            said.push(run.errors.trim().to_owned());
        }
        let wanted = if said.is_empty() { 0 } else { 3 };
        Self { lost: i128::from(records) - i128::from(known), code_fits: run.code == Some(wanted), said }
    }
}

/// Bytes of a size such as `256MiB`.
fn bytes(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &size[digits.len()..] {
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    Some(digits.parse::<u64>().ok()? * factor)
}
