//! Makes big flow logs for benchmarks: hours of 200 interfaces, as many records as wanted, and their snapshot.
//!
//! `cargo run --release --example load -- OUT_DIR --records 5000000` writes `OUT_DIR/AWSLogs/…` and
//! `OUT_DIR/snapshot.json`. Every run with the same arguments writes the same bytes. Buckets are made independently on
//! two threads; connections that outlive a bucket are functions of their number, so that no state is handed on.
//!
//! `--format v2|v5`; `--hours H` (default 2, twelve buckets each); `--objects N` in each 5-minute bucket (default 4);
//! `--reject-share 0.002`.
//!
//! What is hardest to read: `--shape flood` is a scan, rejected packets of which each is a flow of its own, and
//! `--shape minute` accepted records within one minute, all of it in one bucket; `--one-object yes` puts everything into a
//! single object; `--late MINUTES` names every second object by a bucket that much later than that of its records.

mod lines;
#[path = "../sample_incident/rng.rs"]
mod rng;
mod snapshot;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use lines::{Bucket, Format, Shape};
use rng::Rng;

const USAGE: &str = "usage: load OUT_DIR --records N [--format v2|v5] [--hours H] [--objects N] \
                     [--reject-share 0.002] [--shape usual|flood|minute] [--one-object yes|no] [--late MINUTES]";
/// 2026-11-20T14:00:00Z.
const BEGIN: i64 = 1_795_183_200;
const BEGIN_HOUR: usize = 14;
const BEGIN_DAY: usize = 20;
const BUCKET_MINUTES: usize = 5;
const BUCKETS_AN_HOUR: usize = 60 / BUCKET_MINUTES;
/// Within the month.
const MOST_HOURS: usize = 240;
const ACCOUNT: &str = "111122223333";

/// What to make.
struct Plan {
    output: PathBuf,
    records: usize,
    format: Format,
    shape: Shape,
    hours: usize,
    /// Rejected records in a million.
    rejects: usize,
    objects: usize,
    one_object: bool,
    late_minutes: usize,
}

fn main() -> io::Result<()> {
    let Some(plan) = plan(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    fs::create_dir_all(&plan.output)?;
    let captured_at = moment(plan.hours * 60 + 5);
    fs::write(plan.output.join("snapshot.json"), snapshot::json(&captured_at))?;
    if plan.one_object {
        return write_one_object(&plan);
    }
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<()> {
        loop {
            let bucket = next.fetch_add(1, Ordering::Relaxed);
            if bucket >= plan.buckets() {
                return Ok(());
            }
            write_bucket(&plan, bucket)?;
        }
    };
    thread::scope(|scope| {
        let other = scope.spawn(work);
        work().and(other.join().expect("the other thread does not panic"))
    })
}

fn plan(mut arguments: impl Iterator<Item = String>) -> Option<Plan> {
    let mut plan = Plan {
        output: PathBuf::from(arguments.next().filter(|first| !first.starts_with('-'))?),
        records: 5_000_000,
        format: Format::V2,
        shape: Shape::Usual,
        hours: 2,
        rejects: 2_000,
        objects: 4,
        one_object: false,
        late_minutes: 0,
    };
    while let Some(option) = arguments.next() {
        let value = arguments.next()?;
        match option.as_str() {
            "--records" => plan.records = value.parse().ok()?,
            "--hours" => plan.hours = value.parse().ok().filter(|hours| (1..=MOST_HOURS).contains(hours))?,
            "--objects" => plan.objects = value.parse().ok().filter(|&objects| objects > 0)?,
            "--format" if value == "v2" => plan.format = Format::V2,
            "--format" if value == "v5" => plan.format = Format::V5,
            "--shape" => plan.shape = Shape::named(&value)?,
            "--reject-share" => plan.rejects = millionths(&value)?,
            "--one-object" => plan.one_object = value == "yes",
            "--late" => plan.late_minutes = value.parse().ok().filter(|&minutes| minutes <= 60)?,
            _ => return None,
        }
    }
    Some(plan)
}

/// A share such as `0.002` in millionths. At most `0.5`: a rejected reply has an accepted request.
fn millionths(share: &str) -> Option<usize> {
    let fraction = share.strip_prefix("0.")?;
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    digits.parse().ok().filter(|&rejects| rejects <= 500_000)
}

impl Plan {
    fn buckets(&self) -> usize {
        self.hours * BUCKETS_AN_HOUR
    }

    /// Minutes from the beginning to the time of a bucket.
    fn minutes(&self, nth: usize) -> usize {
        if self.shape == Shape::Usual { nth * BUCKET_MINUTES } else { 0 }
    }

    fn bucket(&self, nth: usize) -> Bucket {
        let buckets = self.buckets();
        Bucket {
            nth,
            half: buckets / 2,
            begin: BEGIN + i64::try_from(self.minutes(nth) * 60).expect("some days"),
            quota: self.records / buckets + usize::from(nth < self.records % buckets),
            rejects: self.rejects,
            format: self.format,
            shape: self.shape,
        }
    }

    /// An object of these lines after the header, named by its time in minutes from the beginning.
    fn object(&self, minutes: usize, hash: u64) -> io::Result<GzEncoder<fs::File>> {
        let (day, hour, minute) = clock(minutes);
        let folder = self.output.join(format!("AWSLogs/{ACCOUNT}/vpcflowlogs/eu-west-1/2026/11/{day:02}"));
        fs::create_dir_all(&folder)?;
        let name = format!(
            "{ACCOUNT}_vpcflowlogs_eu-west-1_fl-0e5f60718293a4b5c_202611{day:02}T{hour:02}{minute:02}Z_{hash:08x}.log.gz"
        );
        let file = fs::File::create(Path::new(&folder).join(name))?;
        let mut gzip = GzBuilder::new().mtime(0).write(file, Compression::new(6));
        gzip.write_all(self.format.header().as_bytes())?;
        Ok(gzip)
    }
}

/// Day, hour and minute so many minutes after the beginning.
fn clock(minutes: usize) -> (usize, usize, usize) {
    let hours = BEGIN_HOUR + minutes / 60;
    (BEGIN_DAY + hours / 24, hours % 24, minutes % 60)
}

fn moment(minutes: usize) -> String {
    let (day, hour, minute) = clock(minutes);
    format!("2026-11-{day:02}T{hour:02}:{minute:02}:00Z")
}

fn write_bucket(plan: &Plan, nth: usize) -> io::Result<()> {
    let mut rng = Rng::named(&format!("objects {nth}"));
    let mut hashes = BTreeSet::new();
    for (at, text) in plan.bucket(nth).objects(plan.objects).iter().enumerate() {
        let mut hash = rng.next() >> 32;
        // Among very many objects two would have one name.
        while !hashes.insert(hash) {
            hash = rng.next() >> 32;
        }
        let late = if at % 2 == 1 { plan.late_minutes } else { 0 };
        let mut gzip = plan.object(plan.minutes(nth) + late, hash)?;
        gzip.write_all(text)?;
        gzip.finish()?;
    }
    Ok(())
}

fn write_one_object(plan: &Plan) -> io::Result<()> {
    let mut gzip = plan.object(0, 0)?;
    for nth in 0..plan.buckets() {
        for text in plan.bucket(nth).objects(1) {
            gzip.write_all(&text)?;
        }
    }
    gzip.finish()?;
    Ok(())
}
