//! Makes `sample-logs/`: two hours in a small VPC around the removal of an allow-all inbound network ACL entry.
//!
//! `cargo run --example sample_incident -- [OUTPUT_DIR]` writes `allow-all-removed/` and `custom-format-v5/` into
//! `OUTPUT_DIR` (default `sample-logs`). No clock, no randomness: every run writes the same bytes.
//!
//! Packets of the story (`traffic`) are sent by two-sided conversations (`conversation`) through stateless NACLs and
//! stateful security groups (`world`, `nacl`, `topology`), what each interface saw is aggregated into flow-log records
//! (`capture`), and these are written as AWS would (`objects`, `snapshot`, `trail`) beside the true answer (`truth`), which
//! the simulator knows because it dropped the packets itself.

mod capture;
mod conversation;
mod nacl;
mod objects;
mod rng;
mod snapshot;
mod topology;
mod traffic;
mod trail;
mod truth;
mod world;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use capture::Row;
use objects::{FlowLog, Format};
use topology::Topology;

/// Milliseconds of Unix time.
type Millis = i64;
const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
/// 2026-11-20T14:00:00Z.
const BEGIN: Millis = 1_795_183_200 * SECOND;
/// 2026-11-20T16:00:00Z.
const END: Millis = BEGIN + 120 * MINUTE;
/// 2026-11-20T14:24:00Z: the two allow-all inbound entries of app-private are deleted.
const CHANGE: Millis = BEGIN + 24 * MINUTE;

fn main() -> io::Result<()> {
    let output = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("sample-logs"), PathBuf::from);
    let topology = Topology::new();
    let world = traffic::play(&topology);
    let checkout = topology.named("checkout-a");
    let skipped: Vec<_> =
        [31, 32, 58].iter().map(|minute| (checkout, BEGIN + minute * MINUTE + 30 * SECOND)).collect();
    let rows = world.capture.rows(&topology, &skipped);

    let default = FlowLog { id: "fl-0a1b2c3d4e5f60718", format: Format::Default };
    sample(&output.join("allow-all-removed"), &topology, default, &rows)?;

    let around = |row: &&Row| {
        row.start() >= (BEGIN + 14 * MINUTE) / SECOND && row.end() < (BEGIN + 34 * MINUTE) / SECOND
    };
    let rows: Vec<Row> = rows.iter().filter(around).cloned().collect();
    let custom = FlowLog { id: "fl-0d4c3b2a190807f6e", format: Format::Custom };
    sample(&output.join("custom-format-v5"), &topology, custom, &rows)
}

/// Writes one sample afresh.
fn sample(folder: &Path, topology: &Topology, log: FlowLog, rows: &[Row]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let headers = objects::write(folder, topology, log, rows)?;
    trail::write(&folder.join("cloudtrail"), topology)?;
    fs::write(folder.join("snapshot.json"), snapshot::json(topology))?;
    fs::write(folder.join("truth.json"), truth::json(topology, rows, headers, log.format == Format::Custom))
}
