//! The floor: reading the files and inflating them with libdeflate, and nothing else, in a process of its own.
//!
//! Each thread takes the next file, reads it whole into a buffer and inflates it into another; both are used again.
//! Refuses to know what is in the text.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use libdeflater::Decompressor;

use crate::input;

/// The first argument of a process that does this.
pub const WORD: &str = "floor";

/// This program as such a process.
pub fn command(threads: usize, folder: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(WORD).arg(threads.to_string()).arg(folder);
    Ok(command)
}

/// Inflates all files of a folder.
pub fn work(threads: &str, folder: &Path) -> io::Result<()> {
    let threads: usize = threads.parse().map_err(io::Error::other)?;
    let files = input::files(folder)?;
    let next = AtomicUsize::new(0);
    let bytes = thread::scope(|scope| -> io::Result<u64> {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| inflate_some(&files, &next))).collect();
        let mut bytes = 0;
        for worker in workers {
            bytes += worker.join().map_err(|_| io::Error::other("a thread failed"))??;
        }
        Ok(bytes)
    })?;
    println!("{bytes}");
    Ok(())
}

fn inflate_some(files: &[PathBuf], next: &AtomicUsize) -> io::Result<u64> {
    let mut decompressor = Decompressor::new();
    let (mut stored, mut text, mut bytes) = (Vec::new(), Vec::new(), 0);
    while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
        stored.clear();
        fs::File::open(path)?.read_to_end(&mut stored)?;
        // One member each, which says its size at its end.
        let size = stored.last_chunk::<4>().map_or(0, |tail| u32::from_le_bytes(*tail) as usize);
        if text.len() < size {
            text.resize(size, 0);
        }
        let produced = decompressor
            .gzip_decompress(&stored, &mut text)
            .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        bytes += produced as u64;
    }
    Ok(bytes)
}
