//! Where bytes come from: files, directories, standard input, S3, CloudWatch Logs.
//!
//! Owns finding inputs, their order, and opening them. Refuses to know what the bytes mean. Whatever waits for a network
//! does so in here: the rest of the program reads.

pub mod cloudwatch;
mod name;
mod remote;
pub mod s3;
mod stdin;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use name::ObjectName;
pub use remote::Remote;

pub use crate::aws::Stop;
use crate::net::Timestamp;

/// File name endings that a directory is searched for; a file named on the command line is read whatever its name.
const EXTENSIONS: [&str; 4] = ["log", "txt", "gz", "parquet"];

/// A record's `start` may lie this long before the five minutes that its object's name gives for its `end`:
/// the longest aggregation interval (600 s), and clock slack (VPC User Guide: up to 60 s either way).
const NAME_SLACK_SECONDS: i64 = 900;

/// One thing to read.
#[derive(Debug, Clone)]
pub struct Object {
    /// What messages call it: the path as given, `-`, `s3://bucket/key`, `cloudwatch://group` with a stretch of time.
    pub name: String,
    location: Location,
    /// No record in it started before this moment, as far as its name or the request for it says; `None` when nothing does.
    pub earliest_start: Option<Timestamp>,
    /// Size in bytes as stored, if known.
    pub size: Option<u64>,
    /// Formats (`${version} …`) that its records may have when it has no header, besides those of the command line.
    pub log_formats: Vec<String>,
}

#[derive(Debug, Clone)]
enum Location {
    File(PathBuf),
    /// A path that is no regular file: a named pipe, a device.
    Pipe(PathBuf, Stop),
    Stdin(Stop),
    Remote(Arc<dyn Remote>),
}

/// The inputs found, in the order in which they are to be read, and what was passed over.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Inputs without a time in their names first, then by that time, then by name.
    pub objects: Vec<Object>,
    /// Files in directories that may be flow logs but have another kind of name.
    pub passed_over: Vec<String>,
    /// Directories that could not be listed, with the reason.
    pub unreadable: Vec<(String, String)>,
}

/// A source that cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing there.
    #[error("{path}: no such file or directory")]
    NotFound {
        /// As given.
        path: String,
    },
    /// A directory without anything to read.
    #[error(
        "{path}: no flow log files in this directory\nhint: files ending in .log, .txt, .gz or .parquet are read; name a file to read it whatever its ending"
    )]
    EmptyDirectory {
        /// As given.
        path: String,
    },
    /// A scheme that this program does not read.
    #[error(
        "{source_name}: this kind of source is not supported\nhint: give files, directories, `-` for standard input, s3://BUCKET[/PREFIX] or cloudwatch://LOG-GROUP"
    )]
    UnsupportedScheme {
        /// As given.
        source_name: String,
    },
}

/// Whether a source on the command line is read over the network.
#[must_use]
pub fn is_live(source: &str) -> bool {
    ["s3://", "cloudwatch://", "arn:aws"].iter().any(|scheme| source.starts_with(scheme))
}

/// Finds the inputs on this machine that the sources on the command line stand for. `stop` ends a wait for standard input.
pub fn discover(sources: &[String], stop: &Stop) -> Result<Discovery, SourceError> {
    let mut discovery = Discovery::default();
    let mut failed = Vec::new();
    for source in sources {
        if source == "-" {
            discovery.objects.push(Object {
                name: source.clone(),
                location: Location::Stdin(stop.clone()),
                earliest_start: None,
                size: None,
                log_formats: Vec::new(),
            });
        } else if source.contains("://") && !Path::new(source).exists() {
            return Err(SourceError::UnsupportedScheme { source_name: source.clone() });
        } else if let Err(error) = discover_path(source, stop, &mut discovery) {
            failed.push((source, error));
        }
    }
    // A typing error among other sources does not cost what they hold.
    if discovery.objects.is_empty()
        && let Some((_, error)) = failed.pop()
    {
        return Err(error);
    }
    for (source, error) in failed {
        let reason = match error {
            SourceError::NotFound { .. } => "no such file or directory",
            _ => "no flow log files in this directory",
        };
        discovery.unreadable.push((source.clone(), reason.to_owned()));
    }
    discovery.sort();
    Ok(discovery)
}

impl Discovery {
    /// Brings everything into the order in which it is to be read and told.
    pub fn sort(&mut self) {
        self.objects.sort_by(|a, b| a.order().cmp(&b.order()));
        self.passed_over.sort();
        self.unreadable.sort();
        self.unreadable.dedup();
    }
}

fn discover_path(source: &str, stop: &Stop, discovery: &mut Discovery) -> Result<(), SourceError> {
    let path = Path::new(source);
    let metadata = std::fs::metadata(path).map_err(|_| SourceError::NotFound { path: source.to_owned() })?;
    if !metadata.is_dir() {
        let mut object = Object::file(path, metadata.is_file().then_some(metadata.len()));
        if !metadata.is_file() {
            object.location = Location::Pipe(path.to_owned(), stop.clone());
        }
        discovery.objects.push(object);
        return Ok(());
    }
    let before = discovery.objects.len() + discovery.unreadable.len();
    for entry in walkdir::WalkDir::new(path).follow_links(true) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                let name = entry.file_name().to_string_lossy();
                // A bucket often has more than flow logs below `AWSLogs/`, and so has a copy of it.
                let hidden = name.starts_with('.') || name::is_of_another_service(&name);
                if looks_like_flow_logs(entry.path()) && !hidden {
                    let size = entry.metadata().ok().map(|metadata| metadata.len());
                    discovery.objects.push(Object::file(entry.path(), size));
                } else if !hidden && may_be_flow_logs(entry.path()) {
                    discovery.passed_over.push(entry.path().display().to_string());
                }
            }
            Ok(_) => {}
            Err(error) => {
                let at = error.path().unwrap_or(path).display().to_string();
                discovery.unreadable.push((at, error.to_string()));
            }
        }
    }
    if discovery.objects.len() + discovery.unreadable.len() == before {
        return Err(SourceError::EmptyDirectory { path: source.to_owned() });
    }
    Ok(())
}

/// Names that flow logs can have though they are not searched for: none at all after the dot (Firehose), `.log.1`, `.json`.
fn may_be_flow_logs(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_none_or(|extension| {
        extension.bytes().all(|byte| byte.is_ascii_digit())
            || ["jsonl", "ndjson"].contains(&extension.as_str())
    })
}

fn looks_like_flow_logs(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

impl Object {
    fn file(path: &Path, size: Option<u64>) -> Self {
        let name = path.file_name().and_then(|name| ObjectName::parse(&name.to_string_lossy()));
        Self {
            name: path.display().to_string(),
            location: Location::File(path.to_owned()),
            earliest_start: name.map(|name| name.earliest_start()),
            size,
            log_formats: Vec::new(),
        }
    }

    /// Something read over the network.
    #[must_use]
    pub fn remote(
        name: String,
        size: Option<u64>,
        earliest_start: Option<Timestamp>,
        remote: Arc<dyn Remote>,
    ) -> Self {
        Self { name, location: Location::Remote(remote), earliest_start, size, log_formats: Vec::new() }
    }

    /// Whether it can be opened again after it was read.
    #[must_use]
    pub fn is_rereadable(&self) -> bool {
        match &self.location {
            Location::File(_) | Location::Remote(_) => true,
            Location::Pipe(..) | Location::Stdin(_) => false,
        }
    }

    /// Says that it will be opened soon, in the order of these calls. Never blocks.
    pub fn prepare(&self) {
        if let Location::Remote(remote) = &self.location {
            remote.prepare();
        }
    }

    /// Opens it at its beginning.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match &self.location {
            Location::File(path) => Box::new(File::open(path)?),
            Location::Pipe(path, stop) => {
                let path = path.clone();
                Box::new(stdin::Stdin::start(move || File::open(path), stop.clone()))
            }
            Location::Stdin(stop) => Box::new(stdin::Stdin::start(|| Ok(io::stdin()), stop.clone())),
            Location::Remote(remote) => remote.open()?,
        })
    }

    fn order(&self) -> (Option<i64>, &str) {
        (self.earliest_start.map(|start| start.0), &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_read_in_time_order_whatever_the_order_given() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let late = "1_vpcflowlogs_eu-west-1_fl-1_20261120T1405Z_aa.log.gz";
        let early = "1_vpcflowlogs_eu-west-1_fl-2_20261120T1400Z_bb.log.gz";
        let trail = "111122223333_CloudTrail_eu-west-1_20261120T1430Z_Jd8sKq2LxZ0aVb7N.json.gz";
        for name in [late, early, "plain.log", "notes.md", ".hidden.log", "delivery-1", trail] {
            std::fs::write(dir.path().join(name), "x").expect("write");
        }
        let at = |name: &str| dir.path().join(name).display().to_string();
        let found = discover(&[at(late), dir.path().display().to_string(), at("missing")], &Stop::default())
            .expect("discovery");
        let names: Vec<_> = found.objects.iter().map(|object| object.name.clone()).collect();
        assert_eq!(names, [at("plain.log"), at(early), at(late), at(late)]);
        assert_eq!(
            found.unreadable.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(),
            [at("missing")]
        );
        assert_eq!(found.passed_over, [at("delivery-1")]);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert!(matches!(
            discover(&["/no/such/path".into()], &Stop::default()),
            Err(SourceError::NotFound { .. })
        ));
        assert!(matches!(
            discover(&["s4://bucket".into()], &Stop::default()),
            Err(SourceError::UnsupportedScheme { .. })
        ));
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().display().to_string();
        assert!(matches!(discover(&[path], &Stop::default()), Err(SourceError::EmptyDirectory { .. })));
    }
}
