//! Text that was fetched and will be read more than once: in memory up to a bound, then in a temporary file that has
//! no name and is gone with the process.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::call::Cut;
use super::feed::io_error;
use crate::source::Remote;

/// Text while it is gathered.
#[derive(Debug)]
pub(super) struct Spool {
    bound: usize,
    head: Vec<u8>,
    file: Option<File>,
    pub(super) lines: u64,
    pub(super) bytes: u64,
}

impl Spool {
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, head: Vec::new(), file: None, lines: 0, bytes: 0 }
    }

    /// Adds whole lines.
    pub(super) fn add(&mut self, text: &[u8]) -> io::Result<()> {
        self.lines += memchr::memchr_iter(b'\n', text).count() as u64;
        self.bytes += text.len() as u64;
        if self.file.is_none() && self.head.len() + text.len() <= self.bound {
            self.head.extend_from_slice(text);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile()?),
        };
        file.write_all(text)
    }

    /// All of it, to be read; reading ends with the reason when it was cut off.
    pub(super) fn finish(self, cut: Option<Cut>) -> Spooled {
        Spooled { head: self.head, tail: self.file.map(Mutex::new), cut }
    }
}

/// Text that can be read any number of times.
#[derive(Debug)]
pub(super) struct Spooled {
    head: Vec<u8>,
    tail: Option<Mutex<File>>,
    cut: Option<Cut>,
}

/// What [`Remote`] hands out: it must own what it reads.
#[derive(Debug)]
pub(super) struct Shared(pub(super) Arc<Spooled>);

#[derive(Debug)]
struct SpooledReader {
    spooled: Arc<Spooled>,
    at: u64,
}

impl Remote for Shared {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(SpooledReader { spooled: Arc::clone(&self.0), at: 0 }))
    }
}

impl Spooled {
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let in_head = usize::try_from(at).ok().and_then(|at| self.head.get(at..)).unwrap_or_default();
        if !in_head.is_empty() {
            let count = in_head.len().min(buffer.len());
            buffer[..count].copy_from_slice(&in_head[..count]);
            return Ok(count);
        }
        let Some(tail) = &self.tail else { return Ok(0) };
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.seek(SeekFrom::Start(at - self.head.len() as u64))?;
        tail.read(buffer)
    }
}

impl Read for SpooledReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.spooled.read_at(self.at, buffer)?;
        self.at += count as u64;
        match &self.spooled.cut {
            Some(cut) if count == 0 && !buffer.is_empty() => Err(io_error(cut.clone())),
            _ => Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_the_same_any_number_of_times_wherever_it_is_kept() {
        for bound in [0, 7, 8, 1_000] {
            let mut spool = Spool::new(bound);
            for text in ["one\n", "two\n", "three\n"] {
                spool.add(text.as_bytes()).expect("room");
            }
            assert_eq!((spool.lines, spool.bytes), (3, 14));
            let shared = Shared(Arc::new(spool.finish(None)));
            let (mut first, mut second) = (shared.open().expect("open"), shared.open().expect("open"));
            let mut texts = [String::new(), String::new()];
            // One reader moves the file's position under the other.
            first.by_ref().take(5).read_to_string(&mut texts[0]).expect("text");
            second.read_to_string(&mut texts[1]).expect("text");
            first.read_to_string(&mut texts[0]).expect("text");
            assert_eq!(texts, ["one\ntwo\nthree\n", "one\ntwo\nthree\n"], "bound {bound}");
        }
    }

    #[test]
    fn what_was_cut_off_never_reads_as_whole() {
        let mut spool = Spool::new(100);
        spool.add(b"one\n").expect("room");
        let shared = Shared(Arc::new(spool.finish(Some(Cut::Stopped))));
        let mut text = Vec::new();
        let error = shared.open().expect("open").read_to_end(&mut text).expect_err("an end");
        assert_eq!(text, b"one\n");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
