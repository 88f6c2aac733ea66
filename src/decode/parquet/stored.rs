//! The bytes of a Parquet file, in memory or in a temporary file: they are read from the end.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use polars_buffer::Buffer;

/// A file that can be read anywhere.
pub(super) enum Stored {
    Memory(Buffer<u8>),
    Spooled(File, u64),
}

impl Stored {
    /// Takes in `head` and `rest`: in memory up to `limit` bytes, else in a temporary file that has no name.
    pub(super) fn read(head: Vec<u8>, rest: &mut impl Read, limit: usize) -> io::Result<Self> {
        let mut bytes = head;
        let more = (limit as u64 + 1).saturating_sub(bytes.len() as u64);
        rest.by_ref().take(more).read_to_end(&mut bytes)?;
        if bytes.len() <= limit {
            return Ok(Self::Memory(Buffer::from_vec(bytes)));
        }
        let mut file = tempfile::tempfile()?;
        let size = io::copy(&mut bytes.as_slice().chain(rest), &mut file)?;
        Ok(Self::Spooled(file, size))
    }

    /// Bytes in all.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Spooled(_, size) => *size,
        }
    }

    /// Some of the bytes; an error when there are not so many.
    pub(super) fn range(&mut self, range: Range<u64>) -> io::Result<Buffer<u8>> {
        let outside = || io::Error::from(io::ErrorKind::UnexpectedEof);
        if range.start > range.end || range.end > self.size() {
            return Err(outside());
        }
        let index = |at: u64| usize::try_from(at).map_err(|_| outside());
        match self {
            Self::Memory(bytes) => Ok(bytes.clone().sliced(index(range.start)?..index(range.end)?)),
            Self::Spooled(file, _) => {
                let mut bytes = vec![0; index(range.end - range.start)?];
                file.seek(SeekFrom::Start(range.start))?;
                file.read_exact(&mut bytes)?;
                Ok(Buffer::from_vec(bytes))
            }
        }
    }
}
