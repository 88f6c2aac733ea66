//! Runs a command to its end and tells what it took: time, peak memory, temporary files. Refuses to know what it is.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often a process is looked at. Its peak memory is kept by the kernel; only what it takes in its last moments is
/// missed.
const LOOK: Duration = Duration::from_millis(10);

/// The clock ticks in which Linux tells the processor time of a process.
const TICKS_A_SECOND: f64 = 100.0;

/// What a command took and said.
#[derive(Debug)]
pub struct Run {
    pub wall: Duration,
    /// Seconds of processor time of the process itself, to within a look.
    pub processor_seconds: f64,
    pub peak_kib: u64,
    /// The largest sum of its files without a name.
    pub temporary_bytes: u64,
    /// `None` when it was killed.
    pub code: Option<i32>,
    pub output: Vec<u8>,
    pub errors: String,
}

#[derive(Debug, Default)]
struct Seen {
    processor_ticks: u64,
    peak_kib: u64,
    temporary_bytes: u64,
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> io::Result<Run> {
    let (mut output, mut errors) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdout(output.try_clone()?).stderr(errors.try_clone()?);
    let begin = Instant::now();
    let mut child = command.spawn()?;
    let over = AtomicBool::new(false);
    let (process, over) = (format!("/proc/{}", child.id()), &over);
    let (status, wall, seen) = thread::scope(|scope| -> io::Result<_> {
        let watcher = scope.spawn(move || watch(&process, over));
        let status = child.wait();
        let wall = begin.elapsed();
        over.store(true, Ordering::Relaxed);
        let seen = watcher.join().map_err(|_| io::Error::other("watching failed"))?;
        Ok((status?, wall, seen))
    })?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for a person")]
    let processor_seconds = seen.processor_ticks as f64 / TICKS_A_SECOND;
    Ok(Run {
        wall,
        processor_seconds,
        peak_kib: seen.peak_kib,
        temporary_bytes: seen.temporary_bytes,
        code: status.code(),
        output: whole(&mut output)?,
        errors: String::from_utf8_lossy(&whole(&mut errors)?).into_owned(),
    })
}

fn whole(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn watch(process: &str, over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !over.load(Ordering::Relaxed) {
        let status = fs::read_to_string(format!("{process}/status")).unwrap_or_default();
        seen.peak_kib = seen.peak_kib.max(high_water_mark(&status).unwrap_or(0));
        let stat = fs::read_to_string(format!("{process}/stat")).unwrap_or_default();
        seen.processor_ticks = seen.processor_ticks.max(processor_ticks(&stat).unwrap_or(0));
        seen.temporary_bytes = seen.temporary_bytes.max(temporary_bytes(process));
        thread::sleep(LOOK);
    }
    seen
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Of the process itself, in user mode and in the kernel: the twelfth and thirteenth field after the name.
fn processor_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// Open files that have no name any more, but for its output, which are such files too.
fn temporary_bytes(process: &str) -> u64 {
    let Ok(entries) = fs::read_dir(format!("{process}/fd")) else { return 0 };
    let size = |entry: fs::DirEntry| {
        let is_output = matches!(entry.file_name().to_str(), Some("1" | "2"));
        let path = entry.path();
        let target = fs::read_link(&path).ok()?;
        let has_no_name = target.to_string_lossy().ends_with("(deleted)");
        (has_no_name && !is_output).then(|| fs::metadata(&path).map_or(0, |found| found.len()))
    };
    entries.flatten().filter_map(size).sum()
}
