//! Who answers the same question about the same files, and how each is started. Refuses to measure.

use std::io;
use std::process::Command;

use serde_json::Value;

use crate::input::{Input, repository};
use crate::options::Options;
use crate::process::Run;
use crate::venv::Venv;
use crate::{floor, machine};

/// Records after which the slowest of them has read enough: what it takes is in proportion to them.
pub const SUBSET_RECORDS: u64 = 200_000;

/// What is run, and what the table calls it.
pub struct Contender<'a> {
    pub name: String,
    /// Without it there is nothing to compare; another that fails is named as missing.
    pub is_needed: bool,
    pub command: Box<dyn Fn() -> io::Result<Command> + 'a>,
}

impl<'a> Contender<'a> {
    fn needed(name: &str, command: impl Fn() -> io::Result<Command> + 'a) -> Self {
        Self { name: name.to_owned(), is_needed: true, command: Box::new(command) }
    }

    fn beside(name: &str, command: impl Fn() -> io::Result<Command> + 'a) -> Self {
        Self { name: name.to_owned(), is_needed: false, command: Box::new(command) }
    }
}

pub const ALL_CORES: &str = "flowcheck, all cores";
pub const ONE_THREAD: &str = "flowcheck, one thread";
pub const ONE_CORE: &str = "flowcheck, one core";
pub const FLOOR: &str = "floor, all cores";
pub const FLOOR_ONE: &str = "floor, one thread";
pub const ZCAT: &str = "zcat | wc -l";
pub const DUCKDB: &str = "DuckDB";
pub const FLOWLOGS_READER: &str = "flowlogs-reader";

/// The diagnosis.
pub fn flowcheck(options: &Options, input: &Input, more: &[&str]) -> Command {
    let mut command = Command::new(&options.flowcheck);
    command.arg(&input.logs).arg("--snapshot").arg(&input.snapshot).args(more);
    command
}

/// Those that need nothing but this project and what every machine has.
pub fn here<'a>(options: &'a Options, input: &'a Input) -> Vec<Contender<'a>> {
    let cores = machine::cores();
    let all = cores.to_string();
    vec![
        Contender::needed(FLOOR, move || floor::command(cores, &input.logs)),
        Contender::needed(ALL_CORES, move || {
            Ok(flowcheck(options, input, &["--format", "json", "--threads", &all]))
        }),
        Contender::needed(FLOOR_ONE, move || floor::command(1, &input.logs)),
        Contender::needed(ONE_THREAD, move || {
            Ok(flowcheck(options, input, &["--format", "json", "--threads", "1"]))
        }),
        // With one thread that reads, another joins; here both share a core.
        Contender::beside(ONE_CORE, move || {
            let whole = flowcheck(options, input, &["--format", "json", "--threads", "1"]);
            let mut command = Command::new("taskset");
            command.args(["-c", "0"]).arg(whole.get_program()).args(whole.get_args());
            Ok(command)
        }),
        Contender::beside(ZCAT, || {
            let mut command = Command::new("sh");
            let script =
                "command -v zcat > /dev/null || exit 127; find \"$1\" -name '*.gz' -exec zcat {} + | wc -l";
            command.arg("-c").arg(script).arg("sh").arg(&input.logs);
            Ok(command)
        }),
    ]
}

/// Those from elsewhere, and why some of them are not there.
pub fn elsewhere<'a>(options: &Options, input: &'a Input) -> (Vec<Contender<'a>>, Vec<String>) {
    let (mut contenders, mut missing) = (Vec::new(), Vec::new());
    let wanted = [
        ("duckdb", DUCKDB, "duckdb_join.py", String::new()),
        ("flowlogs-reader", FLOWLOGS_READER, "flowlogs_reader_join.py", SUBSET_RECORDS.to_string()),
    ];
    for name in &options.with {
        if !wanted.iter().any(|(package, ..)| package == name) {
            missing.push(format!("{name}: not known here"));
        }
    }
    for (package, name, script, argument) in wanted {
        if !options.with.iter().any(|wanted| wanted == package) {
            missing.push(format!("{name}: not asked for"));
            continue;
        }
        match Venv::with(package) {
            Ok(venv) => {
                println!("{name} {} from PyPI", venv.version);
                contenders.push(Contender::beside(name, move || {
                    let mut command = Command::new(&venv.python);
                    command.arg(repository().join("benches/throughput").join(script));
                    command.arg(&input.logs).arg(&argument);
                    Ok(command)
                }));
            }
            Err(error) => missing.push(format!("{name}: {error}")),
        }
    }
    (contenders, missing)
}

/// What a contender says of its work.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Rejected conversations.
    pub conversations: Option<u64>,
    /// Records read, where not all were.
    pub records: Option<u64>,
    /// Seconds that it took by its own clock, where starting it does not count.
    pub seconds: Option<f64>,
}

impl Answer {
    pub fn of(run: &Run) -> Self {
        let document: Value = serde_json::from_slice(&run.output).unwrap_or_default();
        let conversations = document.pointer("/summary/rejected_conversations");
        Self {
            conversations: conversations
                .or_else(|| document.get("rejected_conversations"))
                .and_then(Value::as_u64),
            records: document.get("records").and_then(Value::as_u64),
            seconds: document.get("seconds").and_then(Value::as_f64),
        }
    }
}
