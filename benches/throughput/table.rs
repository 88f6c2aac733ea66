//! Turns of several contenders, and the table of them. Refuses to know what they are.

use crate::process::Run;

/// One turn of a contender.
#[derive(Debug)]
pub struct Turn {
    /// What all records take, where only some were read in proportion to those.
    pub seconds: f64,
    pub run: Run,
}

/// All turns of a contender.
#[derive(Debug)]
pub struct Series {
    pub name: String,
    pub turns: Vec<Turn>,
}

/// A ratio of two series.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    /// Of the medians.
    pub of_medians: f64,
    /// The smallest and the largest within one turn.
    pub within_turns: (f64, f64),
}

impl Series {
    /// The median of what turns took, in seconds.
    pub fn median(&self) -> f64 {
        median(self.turns.iter().map(|turn| turn.seconds).collect())
    }

    /// The largest peak memory, in MB.
    pub fn peak_mb(&self) -> f64 {
        let kib = self.turns.iter().map(|turn| turn.run.peak_kib).max().unwrap_or(0);
        megabytes(kib * 1024)
    }

    /// How many times as long as another this took.
    pub fn to(&self, other: &Self) -> Ratio {
        let within: Vec<f64> =
            self.turns.iter().zip(&other.turns).map(|(a, b)| a.seconds / b.seconds).collect();
        Ratio {
            of_medians: self.median() / other.median(),
            within_turns: (
                within.iter().copied().fold(f64::INFINITY, f64::min),
                within.iter().copied().fold(0.0, f64::max),
            ),
        }
    }
}

/// The middle one of these, or the mean of the two in the middle.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => numbers[count / 2],
        count => f64::midpoint(numbers[count / 2 - 1], numbers[count / 2]),
    }
}

/// Millions of bytes.
#[expect(clippy::cast_precision_loss, reason = "a figure for a person")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The table, and how each compares to the first.
#[expect(clippy::cast_precision_loss, reason = "figures for a person")]
pub fn print(series: &[Series], records: u64, text_bytes: u64) {
    println!(
        "{:<26} {:>8} {:>8} {:>8} {:>9} {:>9} {:>12} {:>8} {:>8}",
        "", "min s", "median s", "max s", "cpu s", "ns/record", "records/s", "MB/s", "peak MB"
    );
    for series in series {
        let median = series.median();
        let seconds = || series.turns.iter().map(|turn| turn.seconds);
        let cpu = self::median(series.turns.iter().map(|turn| turn.run.processor_seconds).collect());
        println!(
            "{:<26} {:>8.3} {median:>8.3} {:>8.3} {cpu:>9.2} {:>9.0} {:>12.0} {:>8.0} {:>8.0}",
            series.name,
            seconds().fold(f64::INFINITY, f64::min),
            seconds().fold(0.0, f64::max),
            median * 1e9 / records as f64,
            records as f64 / median,
            megabytes(text_bytes) / median,
            series.peak_mb()
        );
    }
}
