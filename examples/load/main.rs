//! Makes big flow logs for benchmarks: two hours of 200 interfaces, as many records as wanted, and their snapshot.
//!
//! `cargo run --release --example load -- OUT_DIR --records 5000000 [--format v2|v5] [--reject-share 0.002]
//! [--objects N] [--shape usual|flood|minute]` writes `OUT_DIR/AWSLogs/…` (N objects in each 5-minute bucket, default 4)
//! and `OUT_DIR/snapshot.json`. Every run with the same arguments writes the same bytes. Buckets are made independently
//! on two threads; connections that outlive a bucket are functions of their number, so that no state is handed on.
//!
//! The other shapes are what is hardest to keep in memory, all of it in one bucket: `flood` is a scan, rejected packets of
//! which each is a flow of its own; `minute` is accepted records within one minute.

mod lines;
#[path = "../sample_incident/rng.rs"]
mod rng;
mod snapshot;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flate2::{Compression, GzBuilder};

use lines::{Bucket, Format, Shape};
use rng::Rng;

const USAGE: &str = "usage: load OUT_DIR --records N [--format v2|v5] [--reject-share 0.002] [--objects N] \
                     [--shape usual|flood|minute]";
/// 2026-11-20T14:00:00Z.
const BEGIN: i64 = 1_795_183_200;
const BUCKET: i64 = 300;
const BUCKETS: usize = 24;
const ACCOUNT: &str = "111122223333";

/// What to make.
struct Plan {
    output: PathBuf,
    records: usize,
    format: Format,
    shape: Shape,
    /// Rejected records in a million.
    rejects: usize,
    objects: usize,
}

fn main() -> io::Result<()> {
    let Some(plan) = plan(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    let day = plan.output.join(format!("AWSLogs/{ACCOUNT}/vpcflowlogs/eu-west-1/2026/11/20"));
    fs::create_dir_all(&day)?;
    fs::write(plan.output.join("snapshot.json"), snapshot::json())?;
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<()> {
        loop {
            let bucket = next.fetch_add(1, Ordering::Relaxed);
            if bucket >= BUCKETS {
                return Ok(());
            }
            write_bucket(&plan, &day, bucket)?;
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
        rejects: 2_000,
        objects: 4,
    };
    while let Some(option) = arguments.next() {
        let value = arguments.next()?;
        match option.as_str() {
            "--records" => plan.records = value.parse().ok()?,
            "--objects" => plan.objects = value.parse().ok().filter(|&objects| objects > 0)?,
            "--format" if value == "v2" => plan.format = Format::V2,
            "--format" if value == "v5" => plan.format = Format::V5,
            "--shape" => plan.shape = Shape::named(&value)?,
            "--reject-share" => plan.rejects = millionths(&value)?,
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

fn write_bucket(plan: &Plan, day: &Path, nth: usize) -> io::Result<()> {
    let quota = plan.records / BUCKETS + usize::from(nth < plan.records % BUCKETS);
    let time = if plan.shape == Shape::Usual { nth } else { 0 };
    let bucket = Bucket {
        nth,
        begin: BEGIN + i64::try_from(time).expect("24 buckets") * BUCKET,
        quota,
        rejects: plan.rejects,
        format: plan.format,
        shape: plan.shape,
    };
    let mut rng = Rng::named(&format!("objects {nth}"));
    for text in bucket.objects(plan.objects) {
        let (hour, minute) = (14 + time / 12, time % 12 * 5);
        let hash = rng.next() >> 32;
        let name = format!(
            "{ACCOUNT}_vpcflowlogs_eu-west-1_fl-0e5f60718293a4b5c_20261120T{hour:02}{minute:02}Z_{hash:08x}.log.gz"
        );
        let mut gzip =
            GzBuilder::new().mtime(0).write(fs::File::create(day.join(name))?, Compression::new(6));
        gzip.write_all(plan.format.header().as_bytes())?;
        gzip.write_all(&text)?;
        gzip.finish()?;
    }
    Ok(())
}
