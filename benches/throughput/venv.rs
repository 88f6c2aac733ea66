//! Tools from the Python package index, in an environment of their own under `target/bench-venv`. Refuses to know what they are for.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::input::repository;

/// A package that is there.
#[derive(Debug)]
pub struct Venv {
    pub python: PathBuf,
    pub version: String,
}

impl Venv {
    /// Installs a package unless it is there; says why it cannot.
    pub fn with(package: &str) -> Result<Self, String> {
        let folder = repository().join("target/bench-venv");
        let python = folder.join("bin/python");
        if !python.exists() {
            succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        }
        if version(&python, package).is_err() {
            succeed(Command::new(&python).args(["-m", "pip", "install", "--quiet", package]))?;
        }
        let version = version(&python, package)?;
        Ok(Self { python, version })
    }
}

fn version(python: &PathBuf, package: &str) -> Result<String, String> {
    let script = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))";
    let output = succeed(Command::new(python).args(["-c", script, package]))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn succeed(command: &mut Command) -> Result<Output, String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(output);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(errors.lines().next_back().unwrap_or("it failed without a word").to_owned())
}
