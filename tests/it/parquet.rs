//! Parquet beside text: the same records give the same result, and what is wrong with a file is said.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use flowcheck::correlate::{Options, Selection};
use flowcheck::decode::Limits;
use flowcheck::pipeline::{ReadOptions, Reading, read};
use flowcheck::source::{Stop, discover};
use polars::prelude::*;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use serde_json::Value;

use crate::run::{Ended, Scratch, flowcheck, flowcheck_with_input, gzip, repository, sample};

/// Columns of whole numbers that AWS writes with 32 bits, then those with 64 (VPC User Guide, "Flow log files").
const NARROW: [&str; 7] =
    ["version", "srcport", "dstport", "protocol", "tcp-flags", "traffic-path", "encryption-status"];
const WIDE: [&str; 4] = ["packets", "bytes", "start", "end"];

const V2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";

/// The incident in small, with an idle interface, a gap, a ping without ports, and IPv6.
const ROWS: &str = "\
2 111122223333 eni-c 10.0.1.10 203.0.113.7 43210 443 6 6 360 1700000000 1700000055 ACCEPT OK
2 111122223333 eni-c 203.0.113.7 10.0.1.10 443 43210 6 6 360 1700000001 1700000056 REJECT OK
2 111122223333 eni-d - - - - - - - 1700000000 1700000055 - NODATA
2 111122223333 eni-d - - - - - - - 1700000060 1700000115 - SKIPDATA
2 111122223333 eni-e 2001:db8::1 2001:db8::2 40000 53 17 1 80 1700000060 1700000115 ACCEPT OK
2 111122223333 eni-e 2001:db8::2 2001:db8::1 53 40000 17 1 120 1700000060 1700000115 REJECT OK
2 111122223333 eni-e 198.51.100.3 10.0.1.10 0 0 1 2 168 1700000060 1700000115 REJECT OK
2 111122223333 eni-e 198.51.100.3 10.0.1.10 40000 22 6 9 4294967296123 1700000060 1700000115 REJECT OK
";

/// How a writer stores what the text says.
#[derive(Debug, Clone, Copy)]
struct Writer {
    integers: Integers,
    /// 0 for a number that is missing, instead of null.
    zeros: bool,
    strings: Strings,
    rows_per_group: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Integers {
    /// 32 and 64 bits, as AWS does.
    Aws,
    All64,
    Unsigned,
    /// As converters do to whole numbers that can be missing.
    Floats,
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Strings {
    /// UTF-8 with `-` for what is missing, as AWS does.
    Dashes,
    Nulls,
    Empty,
    /// Bytes without a type.
    Bytes,
    Dictionary,
}

const AWS: Writer =
    Writer { integers: Integers::Aws, zeros: false, strings: Strings::Dashes, rows_per_group: 1 << 18 };

impl Writer {
    /// A Parquet file of these records, whose first line names the columns.
    fn write(self, text: &str) -> Vec<u8> {
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().expect("a header").split(' ').collect();
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(' ').collect()).collect();
        let column = |(index, name): (usize, &&str)| {
            let values = rows.iter().map(|row| row[index]);
            let stored = name.replace('-', "_");
            if NARROW.contains(name) || WIDE.contains(name) {
                self.integers(&stored, NARROW.contains(name), values)
            } else {
                self.strings(&stored, values)
            }
        };
        let columns = names.iter().enumerate().map(column).collect();
        self.table(columns)
    }

    fn table(self, columns: Vec<Column>) -> Vec<u8> {
        let mut frame = DataFrame::new_infer_height(columns).expect("columns of one length");
        let mut file = Vec::new();
        ParquetWriter::new(&mut file)
            .with_compression(ParquetCompression::Gzip(None))
            .with_row_group_size(Some(self.rows_per_group))
            .finish(&mut frame)
            .expect("Parquet in memory");
        file
    }

    fn integers<'a>(self, name: &str, narrow: bool, values: impl Iterator<Item = &'a str>) -> Column {
        if self.integers == Integers::Text {
            return self.strings(name, values);
        }
        let missing = self.zeros.then_some(0);
        let values: Vec<Option<i64>> = values.map(|value| value.parse().ok().or(missing)).collect();
        let wide = Series::new(name.into(), values);
        let data_type = match self.integers {
            Integers::Aws if narrow => DataType::Int32,
            Integers::Unsigned if narrow => DataType::UInt32,
            Integers::Unsigned => DataType::UInt64,
            Integers::Floats => DataType::Float64,
            _ => DataType::Int64,
        };
        wide.cast(&data_type).expect("numbers that fit").into_column()
    }

    fn strings<'a>(self, name: &str, values: impl Iterator<Item = &'a str>) -> Column {
        let values: Vec<Option<&str>> = values
            .map(|value| match self.strings {
                Strings::Nulls if value == "-" => None,
                Strings::Empty if value == "-" => Some(""),
                _ => Some(value),
            })
            .collect();
        let series = Series::new(name.into(), values);
        let data_type = match self.strings {
            Strings::Bytes => DataType::Binary,
            Strings::Dictionary => DataType::from_categories(Categories::global()),
            _ => DataType::String,
        };
        series.cast(&data_type).expect("strings").into_column()
    }
}

/// The document without what has to differ between text and Parquet.
fn comparable(ended: &Ended) -> Value {
    let mut document = ended.json();
    let input = &mut document["input"];
    let lines = input["lines"].as_u64().expect("lines") - input["headers"].as_u64().expect("headers");
    input["lines"] = lines.into();
    for name in ["bytes_read", "bytes_decoded", "headers"] {
        input[name] = 0.into();
    }
    document
}

/// Fails with the members that differ, not with two long documents.
#[track_caller]
fn expect_same(found: &Ended, expected: &Ended) {
    let (found, expected) = (comparable(found), comparable(expected));
    let names = expected.as_object().expect("an object").keys();
    let differ: Vec<_> = names.filter(|name| found[*name] != expected[*name]).collect();
    assert!(differ.is_empty(), "{differ:?} differ; input: {}, of text {}", found["input"], expected["input"]);
}

fn diagnose(path: &str) -> Ended {
    flowcheck(&[path, "--format", "json", "--top", "0"])
}

fn v2(rows: &str) -> String {
    format!("{V2}\n{rows}")
}

#[test]
fn however_a_writer_stores_the_records_the_diagnosis_is_that_of_the_text() {
    use {Integers as I, Strings as S};

    let scratch = Scratch::new();
    let text = diagnose(&scratch.file("text.log.gz", gzip(v2(ROWS))));
    let document = text.json();
    assert_eq!(document["input"]["no_data"], 1, "{text}");
    assert_eq!(document["input"]["skip_data"], 1, "{text}");
    assert_eq!(document["summary"]["rejected_conversations"], 2, "{text}");
    for (integers, strings, zeros, rows_per_group) in [
        (I::Aws, S::Dashes, false, 100),
        (I::Aws, S::Dashes, true, 3),
        (I::All64, S::Nulls, false, 1),
        (I::Unsigned, S::Empty, true, 2),
        (I::Floats, S::Bytes, false, 5),
        (I::Text, S::Dictionary, false, 4),
    ] {
        let writer = Writer { integers, zeros, strings, rows_per_group };
        let ended = diagnose(&scratch.file("rows.log.parquet", writer.write(&v2(ROWS))));
        ended.expect(0, &[]);
        println!("{writer:?}");
        expect_same(&ended, &text);
        assert_eq!(ended.json()["input"]["headers"], 0, "Parquet has no header to count");
    }
}

#[test]
fn every_documented_field_may_stand_in_any_order() {
    let names = "next-hop-interface-type log-status reject-reason resource-id encryption-status flow-direction \
                 ecs-cluster-arn ecs-task-id traffic-path pkt-dstaddr pkt-srcaddr pkt-src-aws-service az-id region \
                 sublocation-id type tcp-flags instance-id subnet-id vpc-id action end start bytes packets protocol \
                 dstport srcport dstaddr srcaddr interface-id account-id version a-field-of-tomorrow interface-tag";
    let request = "- OK - eni-c 0 egress - - 8 203.0.113.7 10.0.1.10 - use1-az1 us-east-1 - IPv4 2 i-1 subnet-1 vpc-1 \
                   ACCEPT 1700000055 1700000000 360 6 6 443 43210 203.0.113.7 10.0.1.10 eni-c 111122223333 11 x -";
    let reply = "- OK BPA eni-c 0 ingress - - - 10.0.1.10 203.0.113.7 S3 use1-az1 us-east-1 - IPv4 18 i-1 subnet-1 vpc-1 \
                 REJECT 1700000056 1700000001 360 6 6 43210 443 10.0.1.10 203.0.113.7 eni-c 111122223333 11 x a-tag";
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = [names, request, reply].map(squeezed).join("\n");
    let scratch = Scratch::new();
    let expected = diagnose(&scratch.file("text.log", &text));
    assert_eq!(expected.json()["findings"][0]["cause"], "vpc_block_public_access", "{expected}");
    let ended = diagnose(&scratch.file("rows.parquet", AWS.write(&text)));
    expect_same(&ended, &expected);
}

/// A folder of `sample-logs/` with every second object, or every one, turned into Parquet.
fn converted(folder: &str, scratch: &Scratch, every: usize) {
    let logs = repository().join("sample-logs").join(folder).join("AWSLogs");
    let mut paths: Vec<_> =
        walkdir::WalkDir::new(&logs).into_iter().map(|entry| entry.expect("entry").into_path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    for (index, path) in paths.iter().enumerate() {
        let stored = std::fs::read(path).expect("object");
        let name = path.strip_prefix(&logs).expect("below").display().to_string();
        if index % every == 0 {
            let mut text = String::new();
            MultiGzDecoder::new(&stored[..]).read_to_string(&mut text).expect("gzip of text");
            // One of them has a header in its middle, where its second gzip member begins.
            let (header, _) = text.split_once('\n').expect("lines");
            let rows = text.lines().filter(|line| *line != header);
            let table: Vec<_> = std::iter::once(header).chain(rows).collect();
            scratch.file(&name.replace(".log.gz", ".log.parquet"), AWS.write(&table.join("\n")));
        } else {
            scratch.file(&name, stored);
        }
    }
}

#[test]
fn the_sample_incidents_are_found_in_parquet_too() {
    for (folder, every) in [("allow-all-removed", 1), ("allow-all-removed", 2), ("custom-format-v5", 1)] {
        let [logs, option, snapshot] = sample(folder);
        let scratch = Scratch::new();
        converted(folder, &scratch, every);
        let parquet = scratch.path().display().to_string();
        let run = |path: &str, format: &str| {
            let ended = flowcheck(&[path, &option, &snapshot, "--format", format]);
            ended.expect(0, &[]);
            ended
        };
        assert!(run(&parquet, "jsonl").stdout == run(&logs, "jsonl").stdout, "{folder}: other rows");
        expect_same(&run(&parquet, "json"), &run(&logs, "json"));
    }
}

#[test]
fn standard_input_and_gzip_around_it_are_read() {
    let scratch = Scratch::new();
    let file = AWS.write(&v2(ROWS));
    let expected = diagnose(&scratch.file("rows.parquet", &file));
    for input in [file.clone(), gzip(&file)] {
        let ended = flowcheck_with_input(&["-", "--format", "json", "--top", "0"], &input);
        ended.expect(0, &[]);
        expect_same(&ended, &expected);
        assert_eq!(ended.json()["input"]["bytes_read"], input.len() as u64);
    }
    let ended = diagnose(&scratch.file("rows.parquet.gz", gzip(&file)));
    ended.expect(0, &[]);
    expect_same(&ended, &expected);
}

#[test]
fn a_wrong_checksum_around_a_table_is_told() {
    let scratch = Scratch::new();
    // The one is there whole before its checksum is met, the other is not.
    for rows in ["", ROWS] {
        let mut damaged = gzip(AWS.write(&v2(rows)));
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 1;
        let path = scratch.file("rows.parquet.gz", damaged);
        diagnose(&path).expect(3, &[&path, "is damaged"]);
    }
}

#[test]
fn a_table_without_rows_is_complete_and_one_of_something_else_is_not() {
    let scratch = Scratch::new();
    let empty = diagnose(&scratch.file("empty.parquet", AWS.write(&v2(""))));
    empty.expect(0, &[]);
    assert_eq!(empty.json()["input"]["lines"], 0, "{empty}");

    let people = scratch.file("people.parquet", AWS.write("name age\nada 36\n"));
    diagnose(&people).expect(3, &[&people, "without flow log columns"]);
    let odd = AWS.table(vec![Series::new("srcport".into(), [true, false]).into_column()]);
    let odd = scratch.file("odd.parquet", odd);
    diagnose(&odd).expect(3, &[&odd, "srcport", "truth values"]);
}

#[test]
fn a_truncated_file_is_incomplete_and_the_other_files_still_count() {
    let scratch = Scratch::new();
    let file = AWS.write(&v2(ROWS));
    scratch.file("logs/good.log", v2(ROWS));
    let cut = scratch.file("logs/cut.parquet", &file[..file.len() - 20]);
    let ended = diagnose(&scratch.at("logs"));
    ended.expect(3, &[&cut, "truncated"]);
    assert_eq!(ended.json()["input"]["records"], 6, "{ended}");
}

#[test]
fn damage_in_one_row_group_leaves_the_rows_before_it() {
    let scratch = Scratch::new();
    let mut file = Writer { rows_per_group: 2, ..AWS }.write(&v2(ROWS));
    // The second half of the data, in front of the index.
    let index = file.len() - 8;
    let index = index - u32::from_le_bytes(file[index..index + 4].try_into().expect("four bytes")) as usize;
    file[index / 2..index].fill(0xff);
    let path = scratch.file("damaged.parquet", file);
    let ended = diagnose(&path);
    ended.expect(3, &[&path, "damaged", "its rows from "]);
    let document = ended.json();
    assert_eq!(document["summary"]["rejected_conversations"], 1, "the pair of the first group\n{ended}");
    assert!(document["input"]["lines"].as_u64() < Some(8), "{ended}");
}

#[test]
fn a_value_that_is_no_token_costs_its_row_only() {
    let scratch = Scratch::new();
    // Blanks, line feeds and braces inside values: neither new lines nor JSON.
    let mut frame = ParquetReader::new(std::io::Cursor::new(AWS.write(&v2(ROWS)))).finish().expect("Parquet");
    let names = ["{", "eni c\n2 3", "eni-d", "\u{feff}eni-d", "", "eni-e", "version action", "é"];
    frame.with_column(Series::new("interface_id".into(), names).into_column()).expect("as many rows");
    frame
        .with_column(Series::new("srcport".into(), [1, 2, 3, 4, 5, 6, -7, 70_000]).into_column())
        .expect("as many rows");
    let file = AWS.table(frame.columns().to_vec());
    let ended = diagnose(&scratch.file("odd.parquet", file));
    ended.expect(0, &[]);
    let input = &ended.json()["input"];
    for (name, expected) in [("lines", 8), ("malformed", 2), ("records", 4), ("headers", 0)] {
        assert_eq!(input[name], expected, "{name}\n{ended}");
    }
}

fn read_file(path: &Path) -> Reading {
    let found = discover(&[path.display().to_string()], &Stop::default()).expect("discovery");
    let options = ReadOptions {
        threads: 1,
        // Small pieces, so that a few rows make several.
        limits: Limits { chunk_bytes: 200, parquet_rows: 3, ..Limits::default() },
        log_formats: Vec::new(),
        selection: Selection::default(),
        correlate: Options { match_window_seconds: 300, memory_limit_bytes: usize::MAX },
        gateways: std::sync::Arc::default(),
        coverage: false,
        is_last: false,
        stop: Stop::default(),
    };
    read(&found.objects, &options, &mut |_, _| {})
}

/// A record, mostly a good one; now and then with something missing or out of place.
fn record() -> impl Strategy<Value = String> {
    let host = prop_oneof![4 => Just("10.0.0.1"), 4 => Just("10.0.0.2"), 2 => Just("2001:db8::9"), 1 => Just("-"), 1 => Just("no.where")];
    let port =
        prop_oneof![5 => Just("443"), 5 => Just("40000"), 1 => Just("0"), 1 => Just("-"), 1 => Just("70000")];
    let action = prop_oneof![4 => Just("ACCEPT"), 4 => Just("REJECT"), 1 => Just("-")];
    let status = prop_oneof![8 => Just("OK"), 1 => Just("NODATA"), 1 => Just("SKIPDATA"), 1 => Just("-"), 1 => Just("?")];
    let protocol = prop_oneof![6 => Just("6"), 2 => Just("17"), 1 => Just("1"), 1 => Just("-")];
    (host.clone(), host, port.clone(), port, protocol, action, status, 0..600_u32, any::<bool>()).prop_map(
        |(src, dst, sport, dport, protocol, action, status, at, odd)| {
            let start = 1_700_000_000 + at;
            let end = if odd && at % 50 == 0 { start - 1 } else { start + 55 };
            format!("2 1 eni-1 {src} {dst} {sport} {dport} {protocol} 3 120 {start} {end} {action} {status}")
        },
    )
}

proptest! {
    #[test]
    fn parquet_and_text_are_read_alike(rows in proptest::collection::vec(record(), 0..40), rows_per_group in 1_usize..20) {
        let scratch = Scratch::new();
        let text = v2(&rows.join("\n"));
        scratch.file("rows.log", &text);
        scratch.file("rows.parquet", Writer { rows_per_group, ..AWS }.write(&text));
        let mut expected = read_file(&scratch.path().join("rows.log"));
        let found = read_file(&scratch.path().join("rows.parquet"));
        prop_assert_eq!(&found.incomplete, &expected.incomplete);
        prop_assert_eq!(expected.correlated.counts.headers, 1);
        expected.correlated.counts.headers = 0;
        prop_assert_eq!(format!("{:?}", found.correlated), format!("{:?}", expected.correlated));
        let malformed = |reading: &Reading, header| {
            reading.malformed.iter().map(|(_, line)| (line.line - header, line.malformed.clone())).collect::<Vec<_>>()
        };
        prop_assert_eq!(malformed(&found, 0), malformed(&expected, 1));
    }
}
