//! Values, pieces and damage: what becomes of the rows of a file, whatever is done to it.

use polars::prelude::*;
use proptest::prelude::*;

use crate::decode::{Chunk, Decoded, Decoder, Limits, LineSink, Overlong};

#[derive(Debug, Default, PartialEq, Eq)]
struct Collect {
    columns: Vec<String>,
    lines: Vec<(u64, String)>,
    overlong: Vec<u64>,
}

impl LineSink for Collect {
    fn chunk(&mut self, chunk: Chunk<'_>) -> Option<u64> {
        assert!(!chunk.cut_off);
        self.lines
            .extend(chunk.lines().map(|(number, line)| (number, String::from_utf8_lossy(line).into_owned())));
        self.lines.last().map(|(number, _)| number + 1)
    }
    fn overlong(&mut self, overlong: Overlong) {
        self.overlong.push(overlong.line);
    }
    fn wants_column(&mut self, name: &str) -> bool {
        !name.starts_with("other")
    }
    fn columns(&mut self, names: &[String]) {
        self.columns = names.to_vec();
    }
}

/// Gives a few bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl std::io::Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(buffer.len()).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn read(file: &[u8], limits: &Limits) -> (Collect, Decoded) {
    let mut sink = Collect::default();
    let decoded = Decoder::default().decode(file, Some(file.len() as u64), limits, &mut sink);
    (sink, decoded)
}

fn write(columns: Vec<Column>, rows_per_group: usize, compression: ParquetCompression) -> Vec<u8> {
    let mut frame = DataFrame::new_infer_height(columns).expect("columns of one length");
    let mut file = Vec::new();
    ParquetWriter::new(&mut file)
        .with_compression(compression)
        .with_row_group_size(Some(rows_per_group))
        .with_data_page_size(Some(512))
        .finish(&mut frame)
        .expect("Parquet in memory");
    file
}

/// Rows of numbers and texts that are easy to check: row 7 is `7 text-7 7000000000`.
fn counting(rows: u32, rows_per_group: usize) -> Vec<u8> {
    let numbers: Vec<u32> = (1..=rows).collect();
    let texts: Vec<String> = numbers.iter().map(|n| format!("text-{n}")).collect();
    let large: Vec<i64> = numbers.iter().map(|n| i64::from(*n) * 1_000_000_000).collect();
    let columns = vec![
        Series::new("a_number".into(), numbers).into_column(),
        Series::new("other".into(), texts.clone()).into_column(),
        Series::new("a_text".into(), texts).into_column(),
        Series::new("large".into(), large).into_column(),
    ];
    write(columns, rows_per_group, ParquetCompression::Gzip(None))
}

fn counted(row: u64) -> String {
    format!("{row} text-{row} {row}000000000")
}

#[test]
fn values_are_tokens() {
    let text = |values: &[Option<&str>]| Series::new("text".into(), values).into_column();
    let columns = vec![
        Series::new("small".into(), [Some(-1_i32), None, Some(65_535), Some(0)]).into_column(),
        Series::new("large".into(), [Some(u64::MAX), Some(0), None, Some(1)]).into_column(),
        Series::new("real".into(), [Some(443.0), Some(f64::NAN), None, Some(0.5)]).into_column(),
        text(&[Some("-"), Some(""), None, Some(" two\twords\n\u{7f}é\0")]),
        Series::new("bytes".into(), [Some(&b"\xff"[..]), Some(b"OK"), None, Some(b"{")]).into_column(),
    ];
    let (sink, decoded) = read(&write(columns, 10, ParquetCompression::Snappy), &Limits::default());
    assert_eq!(decoded.error, None);
    assert_eq!(sink.columns, ["small", "large", "real", "text", "bytes"]);
    let lines: Vec<_> = sink.lines.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(
        lines,
        ["-1 18446744073709551615 443 - \u{fffd}", "- 0 - - OK", "65535 - - - -", "0 1 0.5 _two_words__é_ {"]
    );
    let text: usize = lines.iter().map(|line| line.len() + 1).sum();
    // The replacement character is three bytes for one.
    assert_eq!(decoded.bytes_decoded, text as u64 - 2);
}

#[test]
fn only_wanted_columns_are_read_and_their_names_have_dashes() {
    let (sink, decoded) = read(&counting(3, 2), &Limits::default());
    assert_eq!(
        (decoded.error, sink.columns),
        (None, ["a-number", "a-text", "large"].map(str::to_owned).to_vec())
    );
    assert_eq!(sink.lines, (1..=3).map(|row| (row, counted(row))).collect::<Vec<_>>());
}

#[test]
fn neither_pieces_nor_where_it_is_held_change_the_rows() {
    let file = counting(1_000, 300);
    let (expected, decoded) = read(&file, &Limits::default());
    assert_eq!((expected.lines.len(), &decoded.error, decoded.bytes_read), (1_000, &None, file.len() as u64));
    for (chunk_bytes, parquet_rows, parquet_stored_bytes, step) in
        [(64, 1, 1 << 20, 1), (100, 299, 1_000, 7), (4_096, 300, 0, 4_000), (1 << 20, 7, 1 << 20, 100)]
    {
        let limits = Limits { chunk_bytes, parquet_stored_bytes, parquet_rows, ..Limits::default() };
        // Of unknown size: the way of standard input.
        let mut sink = Collect::default();
        let streamed = Decoder::default().decode(Trickle(&file, step), None, &limits, &mut sink);
        assert_eq!(streamed, decoded, "{limits:?}");
        assert_eq!(sink, expected, "{limits:?}");
        if parquet_stored_bytes >= file.len() {
            assert_eq!(read(&file, &limits), (sink, streamed), "{limits:?}");
        }
    }
}

#[test]
fn a_row_longer_than_a_line_may_be_is_dropped_alone() {
    let long = "x".repeat(5_000);
    let column = Series::new("text".into(), ["a", &long, "b", &long, &long, "c"]).into_column();
    let limits = Limits { chunk_bytes: 1_024, ..Limits::default() };
    let (sink, decoded) = read(&write(vec![column], 10, ParquetCompression::Uncompressed), &limits);
    assert_eq!((decoded.error, sink.overlong), (None, vec![2, 4, 5]));
    assert_eq!(sink.lines, [(1, "a".to_owned()), (3, "b".to_owned()), (6, "c".to_owned())]);
}

#[test]
fn bombs_are_given_up() {
    let long = "x".repeat(500);
    let column = Series::new("text".into(), vec![long.as_str(); 100_000]).into_column();
    let file = write(vec![column], 10_000, ParquetCompression::Gzip(None));
    let small = Limits { ratio_floor_bytes: 1 << 20, max_ratio: 20, ..Limits::default() };
    let (_, decoded) = read(&file, &small);
    assert!(decoded.error.is_some_and(|error| error.contains("decompresses to more than 20")));
    assert!(decoded.bytes_decoded < 20 << 20);

    let (sink, decoded) =
        read(&counting(1_000, 1_000), &Limits { parquet_group_bytes: 2_000, ..Limits::default() });
    assert!(decoded.error.is_some_and(|error| error.contains("row group takes")));
    assert_eq!(sink.lines.len(), 0);
}

#[test]
fn a_file_cut_anywhere_is_truncated() {
    let file = counting(20, 5);
    for length in 4..file.len() {
        let (sink, decoded) = read(&file[..length], &Limits::default());
        assert!(decoded.error.is_some_and(|error| error.starts_with("is ")), "{length}");
        assert_eq!(sink.lines.len(), 0);
    }
}

#[test]
fn the_row_groups_before_a_fault_are_read() {
    let file = counting(1_000, 100);
    let mut damaged = file.clone();
    // In the middle of the data, over more than one column.
    damaged[file.len() / 2..file.len() / 2 + 1_200].fill(0xee);
    let (sink, decoded) = read(&damaged, &Limits::default());
    let rows = sink.lines.len() as u64;
    assert!(decoded.error.is_some_and(|error| error.contains(&format!("its rows from {} on", rows + 1))));
    assert!(rows > 100 && rows.is_multiple_of(100), "{rows}");
    assert!(sink.lines.iter().all(|(row, line)| *line == counted(*row)));
}

proptest! {
    /// Whatever is done to a file, reading it ends, says so or gives rows with their numbers in order.
    #[test]
    fn damage_never_escapes(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        near_the_end in any::<bool>(),
        gzip in any::<bool>(),
    ) {
        let mut file = counting(60, 25);
        if !gzip {
            let texts: Vec<String> = (0..60).map(|n| format!("text-{}", n % 7)).collect();
            let columns = vec![
                Series::new("text".into(), texts).into_column(),
                Series::new("number".into(), (0..60).map(|n| (n % 3 > 0).then_some(n)).collect::<Vec<Option<i64>>>()).into_column(),
            ];
            file = write(columns, 25, ParquetCompression::Uncompressed);
        }
        for (at, value) in flips {
            let length = file.len();
            // The index is at the end: what is damaged there leads anywhere.
            let at = if near_the_end { length - 1 - at.index(length / 3) } else { 4 + at.index(length - 4) };
            file[at] = value;
        }
        let (sink, decoded) = read(&file, &Limits { parquet_rows: 10, ..Limits::default() });
        let numbers: Vec<u64> = sink.lines.iter().map(|(number, _)| *number).collect();
        prop_assert_eq!(&numbers, &(1..=numbers.len() as u64).collect::<Vec<_>>());
        prop_assert!(decoded.error.is_some() || numbers.len() == 60, "{} rows", numbers.len());
    }
}
