//! Owns what is said of the machine. Refuses to measure anything.

use std::fs;

/// Cores and model.
pub fn description() -> String {
    let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kib: u64 = text.lines().next()?.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(format!("{} GB of memory", kib * 1024 / 1_000_000_000))
    });
    let unknown = || "unknown".to_owned();
    format!(
        "{} cores, {}, {}, {}",
        cores(),
        model.unwrap_or_else(unknown),
        memory.unwrap_or_else(unknown),
        std::env::consts::ARCH
    )
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Processes that wanted a core, over 1, 5 and 15 minutes.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
