//! Running the real binary: arguments and standard input in, exit code and both streams out.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

/// How a run ended.
pub struct Ended {
    /// The arguments, for messages.
    pub arguments: Vec<String>,
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "flowcheck {} → exit {:?}", self.arguments.join(" "), self.code)?;
        writeln!(f, "--- stdout ---\n{}--- stderr ---\n{}", self.stdout, self.stderr)
    }
}

impl Ended {
    /// The document on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }

    /// The rows on standard output.
    #[track_caller]
    pub fn rows(&self) -> Vec<Value> {
        let row = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{self}"));
        self.stdout.lines().map(row).collect()
    }

    /// Fails unless it ended with `code` and standard error has every one of `parts`.
    #[track_caller]
    pub fn expect(&self, code: i32, parts: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "exit code\n{self}");
        for part in parts {
            assert!(self.stderr.contains(part), "standard error lacks {part:?}\n{self}");
        }
        self
    }

    /// Fails unless nothing is on standard output.
    #[track_caller]
    pub fn expect_no_output(&self) -> &Self {
        assert!(self.stdout.is_empty(), "standard output is to be empty\n{self}");
        self
    }
}

/// The command, in an environment without anything that changes what it does.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowcheck"));
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "RUST_BACKTRACE", "COLUMNS"] {
        command.env_remove(name);
    }
    command
}

/// Runs it from the repository root.
pub fn flowcheck<S: AsRef<str>>(arguments: &[S]) -> Ended {
    flowcheck_with_input(arguments, b"")
}

/// Runs it with these bytes on standard input.
pub fn flowcheck_with_input<S: AsRef<str>>(arguments: &[S], input: &[u8]) -> Ended {
    let arguments: Vec<String> = arguments.iter().map(|argument| argument.as_ref().to_owned()).collect();
    let mut child = command()
        .args(&arguments)
        .current_dir(repository())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("flowcheck starts");
    let mut stdin = child.stdin.take().expect("standard input");
    let output = std::thread::scope(|scope| {
        // It may end without reading what it is given.
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().expect("flowcheck ends")
    });
    Ended {
        arguments,
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("standard error is UTF-8"),
    }
}

/// The repository's root.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder for one test's files; removed when it goes out of scope.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// An empty folder.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary folder"))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of something in it, as an argument.
    pub fn at(&self, name: &str) -> String {
        text(&self.0.path().join(name))
    }

    /// Writes a file, with its folders, and gives its path as an argument.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folders");
        std::fs::write(&path, content).expect("write");
        text(&path)
    }

    /// The names of everything in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("temporary paths are UTF-8").to_owned()
}

/// One gzip member.
pub fn gzip(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_ref()).and_then(|()| encoder.finish()).expect("gzip in memory")
}

/// The logs and the snapshot of a folder in `sample-logs/`.
pub fn sample(folder: &str) -> [String; 3] {
    let folder = PathBuf::from("sample-logs").join(folder);
    [text(&folder), "--snapshot".to_owned(), text(&folder.join("snapshot.json"))]
}
