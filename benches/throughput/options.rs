//! Owns the words on the command line. Refuses to know what is done with them.

use std::path::PathBuf;

pub const USAGE: &str = "\
usage: cargo bench --bench throughput -- [OPTIONS]
  --all                every section, both formats
  --usual              the diagnosis beside the floor and other tools (this and --startup where none is named)
  --startup            the sample incident to the first byte of output
  --memory             N records, and 10 N at the same density
  --adversarial        a scan, a crowded minute, one object, tiny objects, late records
  --records N          records, default 5000000; what the sections make is in proportion
  --format v2|v5|both  default v2
  --runs N             turns, default 5
  --with TOOLS         duckdb,flowlogs-reader (default) or none; both come from PyPI into target/bench-venv
  --memory-limit SIZE  of --adversarial, default 256MiB
  --flowcheck PATH     another binary than that of this build
  --load PATH          another binary of the load example than that of this build";

/// Records of which the bars speak.
pub const FULL: u64 = 5_000_000;

/// A part of what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Usual,
    Startup,
    Memory,
    Adversarial,
}

const SECTIONS: [(&str, Section); 4] = [
    ("--usual", Section::Usual),
    ("--startup", Section::Startup),
    ("--memory", Section::Memory),
    ("--adversarial", Section::Adversarial),
];

/// What to measure.
#[derive(Debug)]
pub struct Options {
    pub sections: Vec<Section>,
    pub records: u64,
    pub formats: Vec<String>,
    pub runs: usize,
    /// Tools from elsewhere.
    pub with: Vec<String>,
    pub memory_limit: String,
    pub flowcheck: PathBuf,
    pub load: Option<PathBuf>,
}

impl Options {
    /// `None` for words that mean nothing.
    pub fn parse(arguments: &[String]) -> Option<Self> {
        let mut options = Self {
            sections: Vec::new(),
            records: FULL,
            formats: vec!["v2".to_owned()],
            runs: 5,
            with: vec!["duckdb".to_owned(), "flowlogs-reader".to_owned()],
            memory_limit: "256MiB".to_owned(),
            flowcheck: PathBuf::from(env!("CARGO_BIN_EXE_flowcheck")),
            load: None,
        };
        let both = || vec!["v2".to_owned(), "v5".to_owned()];
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            if let Some((_, section)) = SECTIONS.iter().find(|(word, _)| word == argument) {
                options.sections.push(*section);
                continue;
            }
            if argument == "--all" {
                options.sections = SECTIONS.map(|(_, section)| section).to_vec();
                options.formats = both();
                continue;
            }
            // Cargo says this to every benchmark.
            if argument == "--bench" {
                continue;
            }
            let value = arguments.next()?;
            match argument.as_str() {
                "--records" => options.records = value.parse().ok().filter(|&records| records > 0)?,
                "--runs" => options.runs = value.parse().ok().filter(|&runs| runs > 0)?,
                "--format" if value == "both" => options.formats = both(),
                "--format" if value == "v2" || value == "v5" => options.formats = vec![value.clone()],
                "--with" if value == "none" => options.with.clear(),
                "--with" => options.with = value.split(',').map(str::to_owned).collect(),
                "--memory-limit" => options.memory_limit.clone_from(value),
                "--flowcheck" => options.flowcheck = PathBuf::from(value),
                "--load" => options.load = Some(PathBuf::from(value)),
                _ => return None,
            }
        }
        if options.sections.is_empty() {
            options.sections = vec![Section::Usual, Section::Startup];
        }
        Some(options)
    }

    /// A number that belongs to five million records, in proportion to those of this run.
    pub fn scaled(&self, number: u64) -> u64 {
        u64::try_from(u128::from(number) * u128::from(self.records) / u128::from(FULL))
            .unwrap_or(number)
            .max(1)
    }
}
