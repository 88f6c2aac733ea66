//! What is read: made once by the `load` example under `target/bench-data`, and kept. Refuses to know who reads it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::options::Options;

/// A folder of logs with the snapshot that goes with them.
#[derive(Debug, Clone)]
pub struct Input {
    pub logs: PathBuf,
    pub snapshot: PathBuf,
    pub records: u64,
}

/// Where this project is.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Makes an input unless it is there: so many records of one format, and what else is said to the example.
pub fn made(options: &Options, format: &str, records: u64, more: &[&str]) -> io::Result<Input> {
    let mut name = format!("{format}-{records}");
    for word in more {
        name.push('-');
        name.push_str(word.trim_start_matches("--"));
    }
    let folder = repository().join("target/bench-data").join(name);
    let input = Input { logs: folder.join("AWSLogs"), snapshot: folder.join("snapshot.json"), records };
    if folder.join("complete").exists() {
        return Ok(input);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    eprintln!("making {}", folder.display());
    let mut command = if let Some(path) = &options.load {
        Command::new(path)
    } else {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--release", "--quiet", "--example", "load", "--"]);
        cargo
    };
    command.arg(&folder).args(["--records", &records.to_string(), "--format", format]).args(more);
    let status = command.current_dir(repository()).status()?;
    if !status.success() {
        return Err(io::Error::other("making the input failed"));
    }
    fs::write(folder.join("complete"), "")?;
    Ok(input)
}

/// All files in a folder and those in it, in the order of their paths.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.append(&mut self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Bytes of the objects as stored, and of their text by the size field of each gzip member (one a file here). Reads them
/// all, so that every contender finds them in memory.
pub fn sizes(folder: &Path) -> io::Result<(u64, u64)> {
    let mut sizes = (0, 0);
    for path in files(folder)? {
        let bytes = fs::read(&path)?;
        let tail = bytes.last_chunk::<4>().map_or(0, |tail| u32::from_le_bytes(*tail));
        sizes = (sizes.0 + bytes.len() as u64, sizes.1 + u64::from(tail));
    }
    Ok(sizes)
}
