//! The rejected conversations as Parquet, one file a day.

use std::fs::File;
use std::path::Path;

use polars::prelude::*;

use super::incident::Incident;
use crate::run::{Scratch, flowcheck, sample};

/// Columns of times, which are read by their numbers here.
const TIMES: [&str; 4] = ["first_rejected", "last_rejected", "request_first", "request_last"];

/// The columns of a file, in their order.
fn columns(path: &Path) -> Vec<(String, String)> {
    let mut file = File::open(path).expect("a file");
    let metadata = polars_parquet::parquet::read::read_metadata(&mut file).expect("Parquet");
    let fields = metadata.schema().fields().iter();
    fields.map(|field| (field.name().to_string(), format!("{field:?}"))).collect()
}

/// All columns but the times.
fn table(path: &Path) -> DataFrame {
    let names =
        columns(path).into_iter().map(|(name, _)| name).filter(|name| !TIMES.contains(&name.as_str()));
    let reader = ParquetReader::new(File::open(path).expect("a file"));
    reader.with_columns(Some(names.collect())).finish().expect("Parquet")
}

fn sum(table: &DataFrame, column: &str) -> i64 {
    table.column(column).expect("a column").i64().expect("64 bits").sum().unwrap_or(0)
}

#[test]
fn the_rows_are_those_of_csv_with_types() {
    let scratch = Scratch::new();
    let [logs, option, snapshot] = sample("allow-all-removed");
    let dataset = scratch.at("dataset");
    let csv = scratch.at("rows.csv");
    let arguments = ["report", &logs, &option, &snapshot, "--dataset", &dataset, "-o", &csv];
    flowcheck(&arguments).expect(0, &[]);
    let file = Path::new(&dataset).join("rejected-replies-2026-11-20.parquet");
    let table = table(&file);
    let csv = std::fs::read_to_string(&csv).expect("rows");
    let header: Vec<&str> = csv.lines().next().expect("a header").split(',').collect();
    let columns = columns(&file);
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..header.len()], header);
    assert_eq!(names[header.len()..], ["finding_id"]);
    assert_eq!(table.height(), csv.lines().count() - 1);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let packets = header.iter().position(|name| *name == "rejected_packets").expect("a column");
    let total: i64 =
        reader.records().map(|row| row.expect("a row")[packets].parse::<i64>().unwrap_or(0)).sum();
    assert_eq!(sum(&table, "rejected_packets"), total);
    for (_, field) in columns.iter().filter(|(name, _)| TIMES.contains(&name.as_str())) {
        assert!(field.contains("Millis") && field.contains("is_adjusted_to_utc: true"), "{field}");
    }
    for column in ["protocol", "srcport", "rule_number"] {
        assert_eq!(table.column(column).expect("a column").dtype(), &DataType::Int32, "{column}");
    }
}

#[test]
fn each_day_has_a_file_and_days_without_rejects_an_empty_one() {
    let incident = Incident::new(2);
    let dataset = incident.scratch.at("dataset");
    let range = ["--since", "2026-11-19", "--until", "2026-11-22", "--dataset", &dataset, "--format", "json"];
    incident.report(&range).expect(0, &[]);
    let rows: Vec<_> = ["2026-11-19", "2026-11-20", "2026-11-21"]
        .map(|day| table(&Path::new(&dataset).join(format!("rejected-replies-{day}.parquet"))).height())
        .into();
    assert_eq!(rows, [0, 25, 24], "the one over midnight is the first day's");
}

#[test]
fn less_of_a_day_does_not_take_the_place_of_more() {
    let incident = Incident::new(1);
    let dataset = incident.scratch.at("dataset");
    let file = Path::new(&dataset).join("rejected-replies-2026-11-20.parquet");
    let report = |since: &str, until: &str| {
        let range = ["--since", since, "--until", until, "--dataset", &dataset, "--format", "json"];
        incident.report(&range).expect(0, &[]).json()["notes"].to_string()
    };
    report("2026-11-20T06:00:00Z", "2026-11-20T12:00:00Z");
    assert_eq!(table(&file).height(), 6);
    report("2026-11-20", "2026-11-21");
    assert_eq!(table(&file).height(), 24);
    let notes = report("2026-11-20T06:00:00Z", "2026-11-20T12:00:00Z");
    assert!(notes.contains("left as it is"), "{notes}");
    assert_eq!(table(&file).height(), 24);
}

#[test]
fn days_that_are_kept_have_written_their_rows_when_they_were_read() {
    let incident = Incident::new(2);
    let (dataset, state) = (incident.scratch.at("dataset"), incident.scratch.at("state"));
    let range = [
        "--since",
        "2026-11-20",
        "--until",
        "2026-11-22",
        "--dataset",
        &dataset,
        "--state",
        &state,
        "--format",
        "json",
    ];
    incident.report(&range).expect(0, &[]);
    let first = Path::new(&dataset).join("rejected-replies-2026-11-20.parquet");
    let second = Path::new(&dataset).join("rejected-replies-2026-11-21.parquet");
    // The one over midnight has rejected packets on both days.
    assert_eq!((table(&first).height(), table(&second).height()), (25, 25));
    incident.report(&range).expect(0, &[]);
    assert_eq!((table(&first).height(), table(&second).height()), (25, 25));
}

#[test]
fn a_kept_day_without_its_rows_is_read_again_for_them() {
    let incident = Incident::new(1);
    let (dataset, state) = (incident.scratch.at("dataset"), incident.scratch.at("state"));
    let range = ["--since", "2026-11-20", "--until", "2026-11-21", "--state", &state, "--format", "json"];
    incident.report(&range).expect(0, &[]);
    let mut with_rows = range.to_vec();
    with_rows.extend(["--dataset", &dataset]);
    incident.report(&with_rows).expect(0, &[]);
    let file = Path::new(&dataset).join("rejected-replies-2026-11-20.parquet");
    assert_eq!(table(&file).height(), 24);
}

#[test]
fn rows_of_a_filter_or_of_a_part_do_not_take_the_place_of_all() {
    let incident = Incident::new(1);
    let dataset = incident.scratch.at("dataset");
    let file = Path::new(&dataset).join("rejected-replies-2026-11-20.parquet");
    let range = ["--since", "2026-11-20", "--until", "2026-11-21", "--dataset", &dataset, "--format", "json"];
    incident.report(&range).expect(0, &[]);
    let mut filtered = range.to_vec();
    filtered.extend(["--interface", "eni-idle"]);
    incident.report(&filtered).expect(2, &["other sources or filters", "--dataset"]);
    incident.cut_short();
    let notes = incident.report(&range).expect(3, &[]).json()["notes"].to_string();
    assert!(notes.contains("left as it is"), "{notes}");
    assert_eq!(table(&file).height(), 24);
}
