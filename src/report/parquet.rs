//! The rows of rejected conversations as Parquet: the columns of `csv` with types, and the finding of each.
//!
//! Times are UTC in milliseconds, numbers are signed, so that every reader of Parquet takes them (Athena knows no
//! unsigned ones). Refuses to know files and days.

use std::io::{self, Write};
use std::sync::Arc;

use polars_arrow::array::{Array, PrimitiveArray, Utf8ViewArray};
use polars_arrow::datatypes::{ArrowDataType, ArrowSchema, Field, TimeUnit};
use polars_arrow::record_batch::RecordBatchT;
use polars_parquet::write::{
    CompressionOptions, Encoding, FileWriter, KeyValue, RowGroupIterator, StatisticsOptions, Version,
    WriteOptions,
};

use super::view::Row;
use crate::net::{Direction, Timestamp};

/// Rows in one row group.
const ROWS_A_GROUP: usize = 128 * 1024;

/// Writes a whole file. `about` goes into the file's metadata.
pub fn write_parquet(rows: &[&Row], about: &[(&str, String)], out: &mut dyn Write) -> io::Result<()> {
    let (schema, _) = columns(&[]);
    let options = WriteOptions {
        statistics: StatisticsOptions::default(),
        version: Version::V1,
        compression: CompressionOptions::Snappy,
        data_page_size: None,
    };
    let mut writer = FileWriter::try_new(out, schema.clone(), options).map_err(io::Error::other)?;
    let shared = Arc::new(schema.clone());
    for group in rows.chunks(ROWS_A_GROUP) {
        let (_, arrays) = columns(group);
        let batch =
            RecordBatchT::try_new(group.len(), Arc::clone(&shared), arrays).map_err(io::Error::other)?;
        let encodings = vec![vec![Encoding::Plain]; schema.len()];
        let groups =
            RowGroupIterator::try_new(std::iter::once(Ok(batch)), &schema, options, encodings.into())
                .map_err(io::Error::other)?;
        for columns in groups {
            let columns = columns.map_err(io::Error::other)?;
            writer.write(group.len() as u64, columns).map_err(io::Error::other)?;
        }
    }
    // Without the writer's own schema beside them, the columns are what Parquet says of them to every reader.
    let about = about.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
    writer.end(Some(about.collect())).map_err(io::Error::other)?;
    Ok(())
}

/// The columns of some rows, and their schema.
fn columns(rows: &[&Row]) -> (ArrowSchema, Vec<Box<dyn Array>>) {
    let mut table = Table { rows, schema: ArrowSchema::default(), arrays: Vec::new() };
    table.text("cause", |row| Some(row.cause));
    table.text("confidence", |row| Some(row.confidence));
    table.text("network_acl_id", |row| row.network_acl_id.as_deref());
    table.text("direction", |row| row.direction.map(Direction::as_str));
    table.small("rule_number", |row| row.rule_number.map(i32::from));
    table.text("interface_id", |row| row.interface_id.as_deref());
    table.text("subnet_id", |row| row.subnet_id.as_deref());
    table.text("vpc_id", |row| row.vpc_id.as_deref());
    table.small("protocol", |row| Some(row.protocol.into()));
    table.text("srcaddr", |row| Some(&row.srcaddr));
    table.small("srcport", |row| Some(row.srcport.into()));
    table.text("dstaddr", |row| Some(&row.dstaddr));
    table.small("dstport", |row| Some(row.dstport.into()));
    table.time("first_rejected", |row| Some(row.first_rejected));
    table.time("last_rejected", |row| Some(row.last_rejected));
    table.large("rejected_packets", |row| row.rejected_packets);
    table.large("rejected_bytes", |row| row.rejected_bytes);
    table.time("request_first", |row| row.request_first);
    table.time("request_last", |row| row.request_last);
    table.large("request_packets", |row| row.request_packets);
    table.large("request_bytes", |row| row.request_bytes);
    table.text("detail", |row| row.detail.as_deref());
    table.text("finding_id", |row| Some(&row.finding_id));
    (table.schema, table.arrays)
}

struct Table<'a> {
    rows: &'a [&'a Row],
    schema: ArrowSchema,
    arrays: Vec<Box<dyn Array>>,
}

impl<'a> Table<'a> {
    fn column(&mut self, name: &str, array: Box<dyn Array>) {
        let field = Field::new(name.into(), array.dtype().clone(), true);
        self.schema.insert(name.into(), field);
        self.arrays.push(array);
    }

    fn text(&mut self, name: &str, of: impl Fn(&'a Row) -> Option<&'a str>) {
        let values: Vec<Option<&str>> = self.rows.iter().map(|row| of(row)).collect();
        self.column(name, Utf8ViewArray::from_slice(values).boxed());
    }

    fn small(&mut self, name: &str, of: impl Fn(&Row) -> Option<i32>) {
        let values: Vec<Option<i32>> = self.rows.iter().map(|row| of(row)).collect();
        self.column(name, PrimitiveArray::from(values).boxed());
    }

    /// What is larger than the type holds is not known: no count of packets comes near it.
    fn large(&mut self, name: &str, of: impl Fn(&Row) -> Option<u64>) {
        let values = self.rows.iter().map(|row| of(row).and_then(|value| i64::try_from(value).ok()));
        self.column(name, PrimitiveArray::from(values.collect::<Vec<_>>()).boxed());
    }

    fn time(&mut self, name: &str, of: impl Fn(&Row) -> Option<Timestamp>) {
        let values = self.rows.iter().map(|row| of(row).map(|at| at.0.saturating_mul(1000)));
        let array = PrimitiveArray::from(values.collect::<Vec<Option<i64>>>());
        let milliseconds = ArrowDataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        self.column(name, array.to(milliseconds).boxed());
    }
}
