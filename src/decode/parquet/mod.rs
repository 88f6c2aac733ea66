//! Parquet to lines: the rows of a table as text, a token for each wanted column.
//!
//! Goes row group by row group, so that what stands before a fault is still handed out. Refuses to know what a column
//! means: the sink says which ones it wants. Column types and missing values are as AWS writes them (VPC User Guide,
//! "Flow log files": integers of either width, strings with or without a type) and as converters leave them.

mod column;
mod guard;
mod stored;
mod text;

use std::io::{self, Read};
use std::ops::Range;

use polars_parquet::read::{FileMetadata, RowGroupMetadata};

use super::{Decoded, Limits, LineSink, describe};
use column::{Cells, Chunk, Column};
use guard::guarded;
use stored::Stored;
use text::Rows;

/// The first and the last bytes of a Parquet file.
const MAGIC: &[u8] = b"PAR1";

/// What keeps a Parquet file, or the rest of it, from being read: lowercase fragments.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Input(String),
    #[error("is truncated: a Parquet file ends with its index, and here the end is missing")]
    NoIndex,
    #[error("is damaged: its Parquet index cannot be read: {0}")]
    Index(String),
    #[error("is a Parquet file without flow log columns")]
    NoColumns,
    #[error("is a Parquet file with two columns {0}")]
    Twice(String),
    #[error("is a Parquet file whose column {name} holds {kind}, which is not read")]
    ColumnType { name: String, kind: &'static str },
    #[error("is damaged: its rows from {row} on cannot be read: {reason}")]
    Rows { row: u64, reason: String },
    #[error("is damaged: its index counts {promised} rows, its row groups hold {held}")]
    RowCount { promised: usize, held: usize },
}

/// Whether an input that begins like this is a Parquet file.
pub(super) fn is_parquet(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Reads the Parquet file that is `head` followed by `rest`. `bytes_read` is left to the caller.
pub(super) fn decode(
    head: Vec<u8>,
    rest: &mut impl Read,
    limits: &Limits,
    sink: &mut impl LineSink,
) -> Decoded {
    let mut decoded = Decoded::default();
    let read = Stored::read(head, rest, limits.parquet_stored_bytes)
        .map_err(|error| Fault::Input(describe_reading(&error)))
        .and_then(|mut stored| rows(&mut stored, limits, sink, &mut decoded.bytes_decoded));
    decoded.error = read.err().map(|fault| fault.to_string());
    decoded
}

/// Unlike text, nothing of a Parquet file can be read before its end is there.
fn describe_reading(error: &io::Error) -> String {
    format!("{}; without its end, a Parquet file cannot be read", describe(error))
}

fn rows(
    stored: &mut Stored,
    limits: &Limits,
    sink: &mut impl LineSink,
    bytes_decoded: &mut u64,
) -> Result<(), Fault> {
    let metadata = metadata(stored, limits)?;
    let columns = column::wanted(&metadata, sink)?;
    if columns.is_empty() {
        return Err(Fault::NoColumns);
    }
    let names: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
    sink.columns(&names);
    let mut rows = Rows::new(stored.size(), limits, sink);
    let mut read = Ok(());
    for group in &metadata.row_groups {
        read = read_group(stored, group, &columns, limits, &mut rows);
        if read.is_err() || rows.is_stopped() {
            break;
        }
    }
    let row = rows.next_row();
    *bytes_decoded = rows.finish();
    read.map_err(|reason| Fault::Rows { row, reason })?;
    let held = metadata.row_groups.iter().fold(0_usize, |sum, group| sum.saturating_add(group.num_rows()));
    if held == metadata.num_rows {
        Ok(())
    } else {
        Err(Fault::RowCount { promised: metadata.num_rows, held })
    }
}

/// The index at the end of the file.
fn metadata(stored: &mut Stored, limits: &Limits) -> Result<FileMetadata, Fault> {
    let size = stored.size();
    let tail = stored.range(size.saturating_sub(8)..size).map_err(|error| Fault::Input(error.to_string()))?;
    let Some((length, MAGIC)) = tail.split_first_chunk::<4>() else { return Err(Fault::NoIndex) };
    let length = u64::from(u32::from_le_bytes(*length));
    if length > limits.parquet_group_bytes || length + 12 > size {
        return Err(Fault::Index(format!("it claims to be {length} bytes long")));
    }
    let footer = stored.range(size - 8 - length..size).map_err(|error| Fault::Input(error.to_string()))?;
    guarded(|| polars_parquet::parquet::read::deserialize_metadata(footer).map_err(|error| error.to_string()))
        .map_err(Fault::Index)
}

/// Hands out the rows of one group, piece by piece.
fn read_group(
    stored: &mut Stored,
    group: &RowGroupMetadata,
    columns: &[Column],
    limits: &Limits,
    rows: &mut Rows<'_, impl LineSink>,
) -> Result<(), String> {
    let count = group.num_rows();
    if count == 0 {
        return Ok(());
    }
    let chunks = load(stored, group, columns, limits)?;
    let mut start = 0;
    while start < count && !rows.is_stopped() {
        let piece = start..count.min(start.saturating_add(limits.parquet_rows));
        start = piece.end;
        let mut cells = cells(&chunks, columns, &piece)?;
        rows.append(&mut cells, piece.len())?;
    }
    Ok(())
}

/// The wanted columns of a row group as stored, checked against what the index says of them.
fn load<'a>(
    stored: &mut Stored,
    group: &'a RowGroupMetadata,
    columns: &[Column],
    limits: &Limits,
) -> Result<Vec<Chunk<'a>>, String> {
    let too_large = |bytes: u64| {
        let most = limits.parquet_group_bytes >> 20;
        format!("a row group takes {} MiB, and no more than {most} MiB are held at once", bytes >> 20)
    };
    let ranges = columns.iter().map(|column| column.range(group, stored.size()));
    let ranges: Vec<Range<u64>> = ranges.collect::<Result<_, _>>()?;
    let compressed = ranges.iter().map(|range| range.end - range.start).sum();
    if compressed > limits.parquet_group_bytes {
        return Err(too_large(compressed));
    }
    let mut chunks = Vec::with_capacity(columns.len());
    let mut decompressed = 0_u64;
    for (column, range) in columns.iter().zip(ranges) {
        let bytes = stored.range(range).map_err(|error| error.to_string())?;
        let chunk = Chunk::new(bytes, &group.parquet_columns()[column.leaf]);
        decompressed += guarded(|| chunk.check(group.num_rows()))?;
        if decompressed > limits.parquet_group_bytes {
            return Err(too_large(decompressed));
        }
        if decompressed > limits.ratio_floor_bytes && decompressed / compressed.max(1) > limits.max_ratio {
            return Err(format!("it decompresses to more than {} times its size", limits.max_ratio));
        }
        chunks.push(chunk);
    }
    Ok(chunks)
}

fn cells(chunks: &[Chunk<'_>], columns: &[Column], rows: &Range<usize>) -> Result<Vec<Cells>, String> {
    let cells = chunks.iter().zip(columns).map(|(chunk, column)| {
        guarded(|| chunk.decode(column, rows)).map_err(|error| format!("column {}: {error}", column.name))
    });
    cells.collect()
}

#[cfg(test)]
mod tests;
