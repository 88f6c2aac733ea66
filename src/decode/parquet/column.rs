//! One column: which it is, how its values are stored, and its cells.
//!
//! The types are those of the Parquet schema itself; what a writer adds about its own types in memory is not looked at.

use std::io::Cursor;
use std::ops::Range;

use polars_arrow::array::{Array, BinaryViewArray, PrimitiveArray, StaticArray};
use polars_arrow::datatypes::{ArrowDataType, Field};
use polars_arrow::types::NativeType;
use polars_buffer::Buffer;
use polars_parquet::parquet::schema::types::{
    IntegerType, PhysicalType, PrimitiveConvertedType, PrimitiveLogicalType, PrimitiveType, TimeUnit,
};
use polars_parquet::read::{
    BasicDecompressor, ColumnChunkMetadata, FileMetadata, Filter, PageReader, RowGroupMetadata,
    column_iter_to_arrays,
};

use super::Fault;
use crate::decode::LineSink;

/// A column that is read.
#[derive(Debug)]
pub(super) struct Column {
    /// Its name, with dashes for underscores.
    pub(super) name: String,
    /// Its place among the columns of a row group.
    pub(super) leaf: usize,
    kind: Kind,
}

/// How values are stored and what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int32 {
        unsigned: bool,
    },
    Int64 {
        unsigned: bool,
        /// Of a time, how many units make a second; 1 of any other number.
        per_unit: i64,
    },
    Float,
    Double,
    Text,
}

/// The columns that the sink wants, in their order.
pub(super) fn wanted(metadata: &FileMetadata, sink: &mut impl LineSink) -> Result<Vec<Column>, Fault> {
    let mut columns: Vec<Column> = Vec::new();
    for (leaf, stored) in metadata.schema().columns().iter().enumerate() {
        let Some(root) = stored.path_in_schema.first().filter(|root| sink.wants_column(root)) else {
            continue;
        };
        let name = root.replace('_', "-");
        let nested = stored.path_in_schema.len() > 1 || stored.descriptor.max_rep_level > 0;
        let kind = if nested { Err("nested values") } else { Kind::of(&stored.descriptor.primitive_type) };
        let kind = kind.map_err(|kind| Fault::ColumnType { name: name.clone(), kind })?;
        if columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name)) {
            return Err(Fault::Twice(name));
        }
        columns.push(Column { name, leaf, kind });
    }
    Ok(columns)
}

impl Kind {
    /// The kind of a stored type, or what it is if it is none that a flow log field can have.
    fn of(stored: &PrimitiveType) -> Result<Self, &'static str> {
        use PrimitiveConvertedType as Converted;
        use PrimitiveLogicalType as Logical;

        let (logical, converted) = (stored.logical_type, stored.converted_type);
        match (logical, converted) {
            (Some(Logical::Decimal(_, 1..)), _) | (None, Some(Converted::Decimal(_, 1..))) => {
                return Err("decimal fractions");
            }
            (Some(Logical::Date), _) | (None, Some(Converted::Date)) => return Err("dates"),
            (Some(Logical::Time { .. }), _) | (None, Some(Converted::TimeMillis | Converted::TimeMicros)) => {
                return Err("times of day");
            }
            _ => {}
        }
        let unsigned = match logical {
            Some(Logical::Integer(kind)) => matches!(
                kind,
                IntegerType::UInt8 | IntegerType::UInt16 | IntegerType::UInt32 | IntegerType::UInt64
            ),
            _ => matches!(
                converted,
                Some(Converted::Uint8 | Converted::Uint16 | Converted::Uint32 | Converted::Uint64)
            ),
        };
        let per_unit = match (logical, converted) {
            (Some(Logical::Timestamp { unit, .. }), _) => match unit {
                TimeUnit::Milliseconds => 1_000,
                TimeUnit::Microseconds => 1_000_000,
                TimeUnit::Nanoseconds => 1_000_000_000,
            },
            (None, Some(Converted::TimestampMillis)) => 1_000,
            (None, Some(Converted::TimestampMicros)) => 1_000_000,
            _ => 1,
        };
        match stored.physical_type {
            PhysicalType::Int32 => Ok(Self::Int32 { unsigned }),
            PhysicalType::Int64 => Ok(Self::Int64 { unsigned, per_unit }),
            PhysicalType::Float => Ok(Self::Float),
            PhysicalType::Double => Ok(Self::Double),
            PhysicalType::ByteArray => Ok(Self::Text),
            PhysicalType::Boolean => Err("truth values"),
            PhysicalType::Int96 => Err("times of 96 bits"),
            PhysicalType::FixedLenByteArray(_) => Err("binary values"),
        }
    }

    fn data_type(self) -> ArrowDataType {
        match self {
            Self::Int32 { .. } => ArrowDataType::Int32,
            Self::Int64 { .. } => ArrowDataType::Int64,
            Self::Float => ArrowDataType::Float32,
            Self::Double => ArrowDataType::Float64,
            // Not as UTF-8: one bad byte is to cost its row, not its file.
            Self::Text => ArrowDataType::BinaryView,
        }
    }
}

impl Column {
    /// Where in a file of `size` bytes the column of a row group is.
    pub(super) fn range(&self, group: &RowGroupMetadata, size: u64) -> Result<Range<u64>, String> {
        let stored = group.parquet_columns().get(self.leaf);
        let range = stored.map(ColumnChunkMetadata::byte_range);
        range
            .filter(|range| range.start <= range.end && range.end <= size)
            .ok_or_else(|| format!("column {} lies outside the file", self.name))
    }
}

/// The stored bytes of one column in one row group.
pub(super) struct Chunk<'a> {
    bytes: Buffer<u8>,
    metadata: &'a ColumnChunkMetadata,
}

impl<'a> Chunk<'a> {
    pub(super) fn new(bytes: Buffer<u8>, metadata: &'a ColumnChunkMetadata) -> Self {
        Self { bytes, metadata }
    }

    fn pages(&self) -> BasicDecompressor {
        let reader = Cursor::new(self.bytes.clone());
        BasicDecompressor::new(
            PageReader::new(reader, self.metadata, Vec::new(), self.bytes.len()),
            Vec::new(),
        )
    }

    /// Walks over the pages without decompressing them: whether they hold a value for each of `rows` rows. Gives their
    /// size when decompressed.
    pub(super) fn check(&self, rows: usize) -> Result<u64, String> {
        let mut pages = self.pages();
        let dictionary = pages.read_dict_page().map_err(|error| error.to_string())?;
        let mut size = 0;
        if let Some(dictionary) = dictionary {
            size += dictionary.buffer.len() as u64;
            // No value takes less than four bytes: memory is set aside by this count.
            if dictionary.num_values > dictionary.buffer.len() / 4 {
                return Err("a dictionary claims more values than it holds".to_owned());
            }
        }
        let mut values = 0_usize;
        for page in pages {
            let page = page.map_err(|error| error.to_string())?;
            values = values.saturating_add(page.num_values());
            size += page.page().uncompressed_size() as u64;
        }
        if values == rows { Ok(size) } else { Err(format!("{values} values for {rows} rows")) }
    }

    /// The values of some of its rows.
    pub(super) fn decode(&self, column: &Column, rows: &Range<usize>) -> Result<Cells, String> {
        let field = Field::new(column.name.as_str().into(), column.kind.data_type(), true);
        let stored = &self.metadata.descriptor().descriptor.primitive_type;
        let filter = Filter::new_ranged(rows.start, rows.end);
        let (arrays, _) = column_iter_to_arrays(vec![self.pages()], vec![stored], field, Some(filter))
            .map_err(|error| error.to_string())?;
        let cells = Cells::new(&arrays, column.kind).ok_or("its values are of another type")?;
        let found: usize = arrays.iter().map(|array| array.len()).sum();
        if found == rows.len() { Ok(cells) } else { Err(format!("{found} values for {} rows", rows.len())) }
    }
}

/// The values of a column, to be taken one after another.
pub(super) struct Cells {
    values: Values,
    /// Arrays taken from to their end.
    array: usize,
    /// Place in the current array.
    at: usize,
}

enum Values {
    Int32(Vec<PrimitiveArray<i32>>, bool),
    Int64(Vec<PrimitiveArray<i64>>, bool, i64),
    Float(Vec<PrimitiveArray<f32>>),
    Double(Vec<PrimitiveArray<f64>>),
    Text(Vec<BinaryViewArray>),
}

impl Cells {
    fn new(arrays: &[Box<dyn Array>], kind: Kind) -> Option<Self> {
        fn all<A: Clone + 'static>(arrays: &[Box<dyn Array>]) -> Option<Vec<A>> {
            arrays.iter().map(|array| array.as_any().downcast_ref().cloned()).collect()
        }
        let values = match kind {
            Kind::Int32 { unsigned } => Values::Int32(all(arrays)?, unsigned),
            Kind::Int64 { unsigned, per_unit } => Values::Int64(all(arrays)?, unsigned, per_unit),
            Kind::Float => Values::Float(all(arrays)?),
            Kind::Double => Values::Double(all(arrays)?),
            Kind::Text => Values::Text(all(arrays)?),
        };
        Some(Self { values, array: 0, at: 0 })
    }

    /// Writes the next value as a token of at most `limit` bytes and one more.
    #[inline]
    pub(super) fn write_next(&mut self, limit: usize, out: &mut Vec<u8>) {
        let Self { values, array, at } = self;
        match values {
            Values::Int32(arrays, unsigned) => match next(arrays, array, at) {
                Some(value) if *unsigned => write_integer(value.cast_unsigned(), out),
                Some(value) => write_integer(value, out),
                None => out.push(b'-'),
            },
            Values::Int64(arrays, unsigned, per_unit) => match next(arrays, array, at) {
                Some(value) if *unsigned => write_integer(value.cast_unsigned(), out),
                Some(value) if *per_unit == 1 => write_integer(value, out),
                Some(value) => write_integer(value.div_euclid(*per_unit), out),
                None => out.push(b'-'),
            },
            Values::Float(arrays) => write_float(next(arrays, array, at).map(f64::from), out),
            Values::Double(arrays) => write_float(next(arrays, array, at), out),
            Values::Text(arrays) => {
                step(arrays, array, at);
                match arrays.get(*array).and_then(|values| values.get(*at)) {
                    Some(value) => write_text(&value[..value.len().min(limit + 1)], out),
                    None => out.push(b'-'),
                }
                *at += 1;
            }
        }
    }
}

/// Moves on to the array that has the next value.
#[inline]
fn step(arrays: &[impl Array], array: &mut usize, at: &mut usize) {
    while arrays.get(*array).is_some_and(|values| values.len() == *at) {
        *array += 1;
        *at = 0;
    }
}

#[inline]
fn next<T: NativeType>(arrays: &[PrimitiveArray<T>], array: &mut usize, at: &mut usize) -> Option<T> {
    step(arrays, array, at);
    let value = arrays.get(*array).and_then(|values| values.get(*at));
    *at += 1;
    value
}

#[inline]
fn write_integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Some converters make fractions of integers that can be missing, and put NaN where one is.
fn write_float(value: Option<f64>, out: &mut Vec<u8>) {
    match value {
        Some(value) if !value.is_nan() => out.extend_from_slice(value.to_string().as_bytes()),
        _ => out.push(b'-'),
    }
}

/// Blanks and control characters would end the token or the line: they become `_`.
#[inline]
fn write_text(value: &[u8], out: &mut Vec<u8>) {
    if value.is_empty() {
        out.push(b'-');
        return;
    }
    let start = out.len();
    out.extend_from_slice(value);
    for byte in &mut out[start..] {
        if *byte <= b' ' || *byte == 0x7f {
            *byte = b'_';
        }
    }
}
