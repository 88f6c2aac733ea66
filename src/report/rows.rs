//! The row formats: one rejected conversation and cause a line, as `jsonl` or `csv`.
//!
//! Columns and their order are fixed by the contract (section 5.1). Unknown is `null`, in CSV empty.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::CompactFormatter;

use super::escape::{VisibleJson, csv_cell};
use super::view::{Diagnosis, Row};

/// The CSV header: the members of [`Row`] in order.
pub const COLUMNS: [&str; 22] = [
    "cause",
    "confidence",
    "network_acl_id",
    "direction",
    "rule_number",
    "interface_id",
    "subnet_id",
    "vpc_id",
    "protocol",
    "srcaddr",
    "srcport",
    "dstaddr",
    "dstport",
    "first_rejected",
    "last_rejected",
    "rejected_packets",
    "rejected_bytes",
    "request_first",
    "request_last",
    "request_packets",
    "request_bytes",
    "detail",
];

/// Writes one JSON object a line for each row.
pub fn write_jsonl(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    for row in &diagnosis.rows {
        row.serialize(&mut Serializer::with_formatter(&mut *out, VisibleJson(CompactFormatter)))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Writes the header, always, and one record for each row.
pub fn write_csv(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(COLUMNS).map_err(into_io)?;
    for row in &diagnosis.rows {
        csv.write_record(cells(row).iter().map(|cell| cell.as_bytes())).map_err(into_io)?;
    }
    csv.flush()
}

/// Keeps the kind of the underlying error: a closed pipe must stay recognisable as one.
fn into_io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn cells(row: &Row) -> [Cow<'_, str>; 22] {
    [
        csv_cell(row.cause),
        csv_cell(row.confidence),
        text(row.network_acl_id.as_deref()),
        row.direction.map_or(Cow::Borrowed(""), |direction| Cow::Borrowed(direction.as_str())),
        plain(row.rule_number),
        text(row.interface_id.as_deref()),
        text(row.subnet_id.as_deref()),
        text(row.vpc_id.as_deref()),
        plain(Some(row.protocol)),
        csv_cell(&row.srcaddr),
        plain(Some(row.srcport)),
        csv_cell(&row.dstaddr),
        plain(Some(row.dstport)),
        plain(Some(row.first_rejected)),
        plain(Some(row.last_rejected)),
        plain(row.rejected_packets),
        plain(row.rejected_bytes),
        plain(row.request_first),
        plain(row.request_last),
        plain(row.request_packets),
        plain(row.request_bytes),
        text(row.detail.as_deref()),
    ]
}

fn text(value: Option<&str>) -> Cow<'_, str> {
    value.map_or(Cow::Borrowed(""), csv_cell)
}

/// Numbers and times, which no spreadsheet takes for a formula.
fn plain<'a>(value: Option<impl ToString>) -> Cow<'a, str> {
    value.map_or(Cow::Borrowed(""), |value| Cow::Owned(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn written(diagnosis: &Diagnosis, write: fn(&Diagnosis, &mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(diagnosis, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn jsonl_keys_are_the_columns_in_order() {
        let lines = written(&sample::incident(), write_jsonl);
        let first = lines.lines().next().unwrap();
        let at: Vec<usize> =
            COLUMNS.iter().map(|column| first.find(&format!("\"{column}\":")).unwrap()).collect();
        assert!(at.is_sorted(), "{first}");
        assert!(
            first.starts_with(r#"{"cause":"nacl_default","confidence":"likely","network_acl_id":"acl-0abc"#)
        );
        assert!(first.contains(r#""rule_number":32767,"#) && first.contains(r#""protocol":6,"#), "{first}");
        assert!(first.contains(r#""first_rejected":"2026-11-20T14:24:02Z""#), "{first}");
        let second: serde_json::Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        assert!(second["network_acl_id"].is_null() && second["request_first"].is_null());
        assert_eq!(second.as_object().unwrap().len(), COLUMNS.len());
        assert_eq!(lines.lines().count(), 2);
    }

    #[test]
    fn csv_reads_back_with_the_columns_and_empty_for_unknown() {
        let text = written(&sample::incident(), write_csv);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), &csv::StringRecord::from(COLUMNS.to_vec()));
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(records.len(), 2);
        assert_eq!(&records[0][9], "52.94.5.1");
        assert_eq!(&records[0][15], "8");
        assert_eq!(&records[0][13], "2026-11-20T14:24:02Z");
        assert_eq!((&records[1][2], &records[1][4], &records[1][17]), ("", "", ""));
        assert_eq!(&records[1][21], "no network ACL known, \"eni-0f\" is in no snapshot");
    }

    #[test]
    fn csv_without_rows_is_the_header() {
        assert_eq!(written(&sample::empty(), write_csv), format!("{}\n", COLUMNS.join(",")));
        assert_eq!(written(&sample::empty(), write_jsonl), "");
    }

    #[test]
    fn csv_neutralises_formulas_in_text_cells_only() {
        let text = written(&sample::hostile(), write_csv);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let record = reader.records().next().unwrap().unwrap();
        assert_eq!(&record[5], "'=cmd()");
        assert!(record[21].starts_with("'@") && !text.contains('\x1b'), "{text}");
        assert_eq!(&record[8], "6");
    }

    /// Fails every write the way a closed pipe does.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_reported_as_one() {
        for write in [write_csv, write_jsonl, super::super::json::write_json] {
            let error = write(&sample::incident(), &mut Closed).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
    }
}
