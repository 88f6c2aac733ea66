//! Rows beyond what memory may hold: encoded, by partition, in buffers and then in a temporary file.
//!
//! The file has no name, so that it is gone with the process however that ends, and lies where `TMPDIR` says. What it
//! holds is bounded. Refuses to know what the bytes mean.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Partitions: so many that one of them fits into memory when all of them do not.
pub(super) const PARTITIONS: usize = 256;

/// What all temporary files of a join may hold together, and why something could not be kept.
#[derive(Debug)]
pub(super) struct Quota {
    limit: u64,
    used: AtomicU64,
    refused: Mutex<Option<String>>,
}

impl Quota {
    pub(super) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicU64::new(0), refused: Mutex::default() })
    }

    /// Why something could not be kept, if anything could not.
    pub(super) fn refused(&self) -> Option<String> {
        lock(&self.refused).clone()
    }

    /// Takes note of why something could not be kept; the first reason stays.
    pub(super) fn refuse(&self, reason: &dyn fmt::Display) {
        lock(&self.refused).get_or_insert_with(|| reason.to_string());
    }

    fn take(&self, bytes: u64) -> io::Result<()> {
        if self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.limit {
            return Ok(());
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        Err(io::Error::other(format!("temporary files reached {} MiB", self.limit >> 20)))
    }
}

/// A temporary file that grows.
#[derive(Debug)]
struct Disk {
    file: File,
    end: u64,
    quota: Arc<Quota>,
}

impl Disk {
    /// Adds bytes at the end; gives the place where they are.
    fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let length = bytes.len() as u64;
        self.quota.take(length)?;
        let at = self.end;
        self.file.seek(SeekFrom::Start(at))?;
        if let Err(error) = self.file.write_all(bytes) {
            self.quota.used.fetch_sub(length, Ordering::Relaxed);
            return Err(error);
        }
        self.end += length;
        Ok(at)
    }

    fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(bytes)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.quota.used.fetch_sub(self.end, Ordering::Relaxed);
    }
}

/// Encoded rows by partition. A clone shares the file and must not be written to for long: what it adds stays there.
#[derive(Debug, Clone)]
pub(super) struct Partitioned {
    parts: Vec<Part>,
    buffered: usize,
    /// The most that has waited in buffers.
    kept: usize,
    /// Pieces of the file.
    extents: usize,
    /// Bytes that may wait in buffers.
    budget: usize,
    disk: Option<Arc<Mutex<Disk>>>,
    quota: Arc<Quota>,
}

#[derive(Debug, Clone, Default)]
struct Part {
    buffer: Vec<u8>,
    /// Rows in the buffer.
    rows: u32,
    extents: Vec<Extent>,
}

/// Whole rows in one piece of the file.
#[derive(Debug, Clone, Copy)]
struct Extent {
    at: u64,
    length: u32,
    rows: u32,
}

/// What could not be read back.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) rows: u64,
    pub(super) error: io::Error,
}

impl Partitioned {
    pub(super) fn new(budget: usize, quota: &Arc<Quota>) -> Self {
        let parts = vec![Part::default(); PARTITIONS];
        Self { parts, buffered: 0, kept: 0, extents: 0, budget, disk: None, quota: Arc::clone(quota) }
    }

    /// Adds what `encode` appends, a whole row, to a partition.
    #[inline]
    pub(super) fn push(&mut self, partition: usize, encode: impl FnOnce(&mut Vec<u8>)) {
        let part = &mut self.parts[partition];
        let before = part.buffer.len();
        encode(&mut part.buffer);
        part.rows += 1;
        self.buffered += part.buffer.len() - before;
    }

    /// Whether the buffers hold more than they may: then they are to be written.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.buffered > self.budget
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffered == 0 && self.disk.is_none()
    }

    /// Lets the buffers grow without bound instead of going to the file.
    pub(super) fn keep_in_memory(&mut self) {
        self.budget = usize::MAX;
    }

    /// Writes the buffers. What cannot be written goes to `lost`, whole rows of one partition at a time.
    pub(super) fn write(&mut self, mut lost: impl FnMut(usize, &[u8])) {
        let keep = (self.budget / PARTITIONS).saturating_mul(4);
        self.kept = self.kept.max(self.buffered);
        for at in 0..self.parts.len() {
            if self.parts[at].buffer.is_empty() {
                continue;
            }
            let mut buffer = std::mem::take(&mut self.parts[at].buffer);
            let rows = std::mem::take(&mut self.parts[at].rows);
            match self.append(&buffer) {
                Ok((at_byte, length)) => {
                    self.parts[at].extents.push(Extent { at: at_byte, length, rows });
                    self.extents += 1;
                }
                Err(error) => {
                    self.quota.refuse(&error);
                    lost(at, &buffer);
                }
            }
            if buffer.capacity() <= keep {
                buffer.clear();
                self.parts[at].buffer = buffer;
            }
        }
        self.buffered = 0;
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<(u64, u32)> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let disk = if let Some(disk) = &self.disk {
            disk
        } else {
            let quota = Arc::clone(&self.quota);
            let disk = Disk { file: tempfile::tempfile()?, end: 0, quota };
            self.disk.insert(Arc::new(Mutex::new(disk)))
        };
        Ok((lock(disk).append(bytes)?, length))
    }

    /// Gives the rows of a partition in the order in which they came, in blocks of whole rows, as far as they can be
    /// read. `space` is reused.
    pub(super) fn blocks(
        &self,
        partition: usize,
        space: &mut Vec<u8>,
        mut block: impl FnMut(&[u8]),
    ) -> Result<(), Unread> {
        let part = &self.parts[partition];
        let mut unread: Option<Unread> = None;
        for extent in &part.extents {
            let Some(disk) = &self.disk else { break };
            space.resize(extent.length as usize, 0);
            match lock(disk).read(extent.at, space) {
                Ok(()) => block(space),
                Err(error) => {
                    self.quota.refuse(&error);
                    unread.get_or_insert(Unread { rows: 0, error }).rows += u64::from(extent.rows);
                }
            }
        }
        if !part.buffer.is_empty() {
            block(&part.buffer);
        }
        unread.map_or(Ok(()), Err)
    }

    /// Rows of a partition.
    pub(super) fn rows(&self, partition: usize) -> u64 {
        let part = &self.parts[partition];
        part.extents.iter().map(|extent| u64::from(extent.rows)).sum::<u64>() + u64::from(part.rows)
    }

    /// Bytes in the file.
    pub(super) fn stored(&self) -> u64 {
        self.disk.as_ref().map_or(0, |disk| lock(disk).end)
    }

    /// Bytes held in memory.
    pub(super) fn bytes(&self) -> usize {
        // Lists grow by doubling: half as much again on average. Emptied buffers are kept up to a bound.
        let buffers = self.buffered.max(self.kept);
        buffers
            + buffers / 2
            + self.extents * size_of::<Extent>() / 2 * 3
            + self.parts.len() * size_of::<Part>()
    }
}

/// The guard of a mutex under which nothing can be left half-done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(store: &Partitioned, partition: usize) -> Vec<u8> {
        let (mut space, mut all) = (Vec::new(), Vec::new());
        store.blocks(partition, &mut space, |block| all.extend_from_slice(block)).expect("readable");
        all
    }

    #[test]
    fn what_was_put_in_comes_out_wherever_it_is() {
        let mut store = Partitioned::new(20, &Quota::new(1 << 20));
        for number in 0..100_u8 {
            store.push(usize::from(number % 3), |out| out.push(number));
            if store.is_due() {
                store.write(|_, _| panic!("there is room"));
            }
        }
        assert!(store.stored() > 50 && store.buffered > 0);
        let copy = store.clone();
        store.push(1, |out| out.push(255));
        for partition in 0..3_u8 {
            let expected: Vec<u8> = (0..100).filter(|number| number % 3 == partition).collect();
            assert_eq!(all(&copy, usize::from(partition)), expected);
        }
        assert_eq!(all(&store, 1).last(), Some(&255));
    }

    #[test]
    fn beyond_the_quota_rows_are_handed_back_and_space_that_is_freed_counts_again() {
        let quota = Quota::new(10);
        let mut lost = Vec::new();
        let mut first = Partitioned::new(0, &quota);
        first.push(0, |out| out.extend([1; 8]));
        first.push(7, |out| out.extend([2; 4]));
        first.write(|_, rows| lost.extend_from_slice(rows));
        assert_eq!((lost.as_slice(), first.stored()), (&[2; 4][..], 8));
        assert!(quota.refused().expect("a reason").contains("temporary files reached"));
        drop(first);
        let mut second = Partitioned::new(0, &quota);
        second.push(0, |out| out.extend([1; 9]));
        second.write(|_, _| panic!("there is room again"));
        assert_eq!(all(&second, 0), [1; 9]);
    }
}
