//! The whole diagnosis of big inputs, beside the floor that inflating them is and beside what anyone would run instead.
//!
//! `cargo bench --bench throughput -- --all` measures every bar that `docs/performance.md` names; without `--all`, five
//! million records and the start-up. All contenders read the same files turn by turn in one run, so that a machine that
//! slows down slows everyone. A bar that is missed is printed as such and fails nothing.

mod adversarial;
mod bar;
mod contender;
mod floor;
mod input;
mod machine;
mod memory;
mod options;
mod process;
mod startup;
mod table;
mod usual;
mod venv;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use bar::Bar;
use options::{Options, Section};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = if let [word, threads, folder] = arguments.as_slice()
        && word == floor::WORD
    {
        floor::work(threads, Path::new(folder))
    } else if let Some(options) = Options::parse(&arguments) {
        measure(&options)
    } else {
        eprintln!("{}", options::USAGE);
        return ExitCode::from(2);
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> io::Result<()> {
    println!("{}", machine::description());
    println!("load average before: {}", machine::load_average());
    let mut bars: Vec<Bar> = Vec::new();
    for section in &options.sections {
        println!();
        match section {
            Section::Usual => {
                for format in &options.formats {
                    usual::measure(options, format, &mut bars)?;
                }
            }
            Section::Startup => startup::measure(options, &mut bars)?,
            Section::Memory => memory::measure(options, &mut bars)?,
            Section::Adversarial => adversarial::measure(options, &mut bars)?,
        }
    }
    println!("\nload average after: {}\n", machine::load_average());
    if options.records != options::FULL {
        println!("The bars speak of {} records; this run had {}.", options::FULL, options.records);
    }
    bar::print(&bars);
    Ok(())
}
