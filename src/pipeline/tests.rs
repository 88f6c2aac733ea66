//! Threads, chunks and names of inputs must leave no trace in the result.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::source::discover;

/// 2026-11-20T14:00:00Z.
const BEGIN: i64 = 1_795_183_200;

/// A little traffic whose `end` lies in the five minutes from `bucket` on: pairs, copies, and lines that are no records.
fn lines(bucket: i64, seed: i64) -> String {
    let mut text = String::from(
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n",
    );
    for n in 0..120 {
        let (a, b) = (n * 7 + seed, n * 13 + seed);
        let end = BEGIN + bucket * 300 + a % 300;
        let start = end - b % 600;
        let (port, service) = (40_000 + b % 40, if n % 11 == 0 { 53 } else { 443 });
        let (host, peer) = (a % 3, b % 4);
        let size = n % 5 + 1;
        let _ = match n % 4 {
            0 => writeln!(
                text,
                "2 1 eni-{host} 192.0.2.{peer} 10.0.0.{host} {service} {port} 6 {size} 60 {start} {end} REJECT OK"
            ),
            1 => writeln!(text, "2 1 eni-{host} - - - - - - - {start} {end} - SKIPDATA\n\njunk {n}"),
            _ => writeln!(
                text,
                "2 1 eni-{host} 10.0.0.{host} 192.0.2.{peer} {port} {service} 6 {size} 60 {start} {end} ACCEPT OK"
            ),
        };
    }
    text
}

fn write(folder: &Path, bucket: i64, named: i64, hash: usize) {
    let minute = named * 5;
    let name = format!(
        "1_vpcflowlogs_eu-west-1_fl-1_20261120T{:02}{:02}Z_{hash:02}.log",
        14 + minute / 60,
        minute % 60
    );
    std::fs::write(folder.join(name), lines(bucket, bucket % 5)).expect("write");
}

fn read_folder(folder: &Path, threads: usize, chunk_bytes: usize, memory_limit_bytes: usize) -> Reading {
    let found = discover(&[folder.display().to_string()], &Stop::default()).expect("discovery");
    let options = ReadOptions {
        threads,
        limits: Limits { chunk_bytes, together_bytes: 512, ..Limits::default() },
        log_formats: Vec::new(),
        selection: Selection::default(),
        correlate: Options { match_window_seconds: 300, memory_limit_bytes },
        gateways: Arc::default(),
        coverage: false,
        is_last: false,
        stop: Stop::default(),
    };
    // A join that is slower than the readers: what it has no room for is held back.
    let pause = Duration::from_millis(if memory_limit_bytes == 0 { 3 } else { 0 });
    read(&found.objects, &options, &mut |_, _| std::thread::sleep(pause))
}

fn lines_counted(reading: &Reading) -> u64 {
    let joined = &reading.correlated;
    let counts = &joined.counts;
    counts.headers
        + counts.malformed
        + counts.filtered
        + counts.transit_gateway
        + joined.accepted
        + joined.rejected
        + joined.no_data
        + joined.skip_data_records
        + joined.duplicates
}

#[test]
fn neither_threads_nor_chunks_nor_names_change_the_result() {
    let honest = tempfile::tempdir().expect("temporary directory");
    let lying = tempfile::tempdir().expect("temporary directory");
    let nameless = tempfile::tempdir().expect("temporary directory");
    let packed = tempfile::tempdir().expect("temporary directory");
    for third in 0..3 {
        let text: String = (third * 8..third * 8 + 8).map(|bucket| lines(bucket, bucket % 5)).collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).expect("gzip in memory");
        let bytes = encoder.finish().expect("gzip in memory");
        std::fs::write(packed.path().join(format!("{third}.log.gz")), bytes).expect("write");
    }
    for bucket in 0..24 {
        write(honest.path(), bucket, bucket, 0);
        write(lying.path(), bucket, 23 - bucket, 0);
        std::fs::write(nameless.path().join(format!("{bucket}.log")), lines(bucket, bucket % 5))
            .expect("write");
    }
    let expected = read_folder(honest.path(), 1, 1 << 18, usize::MAX);
    assert!(expected.correlated.conversations.len() > 20 && expected.correlated.unpaired.all().len() > 2);
    assert_eq!(lines_counted(&expected), 24 * (1 + 120 + 30));
    let joined = format!("{:?}", expected.correlated);
    // Without memory every batch waits for those before it, and every row goes through a file.
    for (folder, threads, chunk_bytes, memory) in [
        (&honest, 4, 1 << 18, usize::MAX),
        (&honest, 3, 128, usize::MAX),
        (&honest, 3, 512, 0),
        (&lying, 1, 128, usize::MAX),
        (&lying, 4, 300, 20_000),
        (&nameless, 2, 1 << 12, 0),
        // Objects that one thread inflates at once, with room for the batches of all of them, and of the first only.
        (&packed, 1, 36 << 10, usize::MAX),
        (&packed, 1, 36 << 10, 0),
        (&packed, 2, 36 << 10, 20_000),
        (&packed, 4, 1 << 12, 0),
    ] {
        let reading = read_folder(folder.path(), threads, chunk_bytes, memory);
        let how = format!("{threads} threads, {chunk_bytes} bytes, {memory} of memory");
        assert_eq!(format!("{:?}", reading.correlated), joined, "{how}");
        if folder.path() == honest.path() {
            assert_eq!(format!("{:?}", reading.malformed), format!("{:?}", expected.malformed), "{how}");
        }
        if folder.path() != packed.path() {
            assert_eq!((reading.objects, reading.bytes_read), (expected.objects, expected.bytes_read));
        }
    }
}
