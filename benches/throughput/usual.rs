//! The usual traffic: every contender in turn on the same files, and the bars that speak of them.

use std::io;

use crate::bar::Bar;
use crate::contender::{self, Answer, Contender};
use crate::input::{self, Input};
use crate::options::Options;
use crate::process::{self, Run};
use crate::table::{self, Ratio, Series, Turn};

/// Records of one format, by everyone.
pub fn measure(options: &Options, format: &str, bars: &mut Vec<Bar>) -> io::Result<()> {
    let input = input::made(options, format, options.records, &[])?;
    let (stored, text) = input::sizes(&input.logs)?;
    println!(
        "{} {format} records, {:.0} MB of text, {:.0} MB gzip, {} objects, {} turns",
        input.records,
        table::megabytes(text),
        table::megabytes(stored),
        input::files(&input.logs)?.len(),
        options.runs
    );
    let mut contenders = contender::here(options, &input);
    let (elsewhere, mut missing) = contender::elsewhere(options, &input);
    contenders.extend(elsewhere);
    let series = turns(&contenders, &input, options.runs, &mut missing)?;
    table::print(&series, input.records, text);
    for line in &missing {
        println!("missing: {line}");
    }
    answers(&series, &input);
    judge(format, &series, bars);
    Ok(())
}

/// Turn by turn, so that a machine that slows down slows everyone.
fn turns(
    contenders: &[Contender<'_>],
    input: &Input,
    runs: usize,
    missing: &mut Vec<String>,
) -> io::Result<Vec<Series>> {
    let mut both: Vec<(&Contender<'_>, Series)> = contenders
        .iter()
        .map(|who| (who, Series { name: who.name.clone(), turns: Vec::with_capacity(runs) }))
        .collect();
    for _ in 0..runs {
        let mut failed = None;
        both.retain_mut(|(who, series)| {
            let why = match (who.command)().and_then(process::run) {
                Ok(run) if run.code == Some(0) => {
                    series.turns.push(turn(run, input));
                    return true;
                }
                Ok(run) => format!("{}: ended with {:?}: {}", who.name, run.code, run.errors.trim()),
                Err(error) => format!("{}: {error}", who.name),
            };
            if who.is_needed {
                failed.get_or_insert(why);
            } else {
                missing.push(why);
            }
            false
        });
        if let Some(why) = failed {
            return Err(io::Error::other(why));
        }
    }
    Ok(both.into_iter().map(|(_, series)| series).collect())
}

#[expect(clippy::cast_precision_loss, reason = "records are few enough")]
fn turn(run: Run, input: &Input) -> Turn {
    let answer = Answer::of(&run);
    let seconds = answer.seconds.unwrap_or(run.wall.as_secs_f64());
    let share = answer.records.map_or(1.0, |records| records as f64 / input.records as f64);
    Turn { seconds: seconds / share, run }
}

/// How many rejected conversations each found.
fn answers(series: &[Series], input: &Input) {
    for series in series {
        let Some(turn) = series.turns.last() else { continue };
        let answer = Answer::of(&turn.run);
        let Some(conversations) = answer.conversations else { continue };
        match answer.records {
            None => println!("{}: {conversations} rejected conversations", series.name),
            Some(records) => println!(
                "{}: {conversations} rejected conversations in {records} records; what it takes is scaled to {}, and \
                 its processor time and memory are those of what it read",
                series.name, input.records
            ),
        }
    }
}

fn judge(format: &str, series: &[Series], bars: &mut Vec<Bar>) {
    let find = |name: &str| series.iter().find(|series| series.name == name);
    let Some(own) = find(contender::ALL_CORES) else { return };
    let ratio = |name: &str| find(name).map(|other| other.to(own));
    println!("times as long as {}, by medians (within single turns):", own.name);
    for other in series.iter().filter(|other| other.name != own.name) {
        let Ratio { of_medians, within_turns: (least, most) } = other.to(own);
        println!("  {:<24} {of_medians:>7.2} ({least:.2}–{most:.2})", other.name);
    }
    if let Some(floor) = find(contender::FLOOR) {
        bars.push(Bar::at_most(
            format!("{format}: the diagnosis to the floor, all cores"),
            1.4,
            own.to(floor).of_medians,
            "×",
        ));
    }
    for (name, limit) in
        [(contender::DUCKDB, 15.0), (contender::ZCAT, 4.0), (contender::FLOWLOGS_READER, 100.0)]
    {
        let what = format!("{format}: {name} to the diagnosis");
        bars.push(match ratio(name) {
            Some(ratio) => Bar::at_least(what, limit, ratio.of_medians, "×"),
            None => Bar::missing(what, "missing"),
        });
    }
    if let Some(ratio) = ratio(contender::ONE_THREAD) {
        bars.push(Bar::at_least(
            format!("{format}: one reading thread to all cores"),
            1.8,
            ratio.of_medians,
            "×",
        ));
    }
    if let Some(ratio) = ratio(contender::ONE_CORE) {
        bars.push(Bar::at_least(format!("{format}: one core to all cores"), 1.8, ratio.of_medians, "×"));
    }
    bars.push(same_output(format, series));
    if let Some(duckdb) = find(contender::DUCKDB) {
        let found =
            |series: &Series| series.turns.last().and_then(|turn| Answer::of(&turn.run).conversations);
        let (theirs, ours) = (found(duckdb), found(own));
        let number = |found: Option<u64>| found.map_or_else(|| "none".to_owned(), |found| found.to_string());
        bars.push(Bar::holds(
            format!("{format}: DuckDB finds as many rejected conversations"),
            theirs == ours,
            format!("{} / {}", number(theirs), number(ours)),
        ));
    }
    bars.push(Bar::at_most(format!("{format}: peak memory, all cores"), 200.0, own.peak_mb(), "MB"));
}

/// Whether every run of the diagnosis printed the same bytes.
fn same_output(format: &str, series: &[Series]) -> Bar {
    let ours = [contender::ALL_CORES, contender::ONE_THREAD, contender::ONE_CORE];
    let mut outputs: Vec<&[u8]> = series
        .iter()
        .filter(|series| ours.contains(&series.name.as_str()))
        .flat_map(|series| series.turns.iter().map(|turn| turn.run.output.as_slice()))
        .collect();
    let count = outputs.len();
    outputs.dedup();
    let same = outputs.len() == 1;
    Bar::holds(
        format!("{format}: the same bytes whatever the number of threads"),
        same,
        format!("{count} runs"),
    )
}
