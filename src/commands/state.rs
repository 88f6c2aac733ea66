//! `--state`: what each whole day (UTC) came to, kept from run to run.
//!
//! Owns the files: one for each day, in a folder for what was read and how. A day is taken from its file only when its
//! inputs are those that were read then; where inputs cannot be listed without reading them, when it was over long enough.

use std::fs::File;
use std::hash::{BuildHasher, Hash, Hasher};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use super::file::write_file;
use crate::config::{Diagnose, HistorySource};
use crate::net::Timestamp;
use crate::source::Object;
use crate::survey::Survey;

/// The shape of these files.
const VERSION: u32 = 1;

/// The days that are kept of one set of sources and filters.
pub(super) struct Days {
    dir: PathBuf,
    scope: String,
}

/// One day as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept<S> {
    flowcheck_state: u32,
    scope: String,
    /// A hash of the inputs' names and sizes, where they can be listed.
    inputs: Option<String>,
    /// The moment at which the day begins.
    day: Timestamp,
    survey: S,
}

impl Days {
    /// The days of one [`scope`] with so many examples for each finding, in a folder below `dir`.
    pub(super) fn open(dir: &Path, scope: &str, top: usize) -> anyhow::Result<Self> {
        let scope = format!("{scope}; examples {top}");
        let dir = dir.join(format!("{:016x}", FixedState::with_seed(12).hash_one(&scope)));
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("cannot make the directory {}", dir.display()))?;
        Ok(Self { dir, scope })
    }

    fn path(&self, day: Timestamp) -> PathBuf {
        self.dir.join(format!("{}.json.gz", day.strftime("%F")))
    }

    /// What a day came to, if it is there and was made of these inputs. The reason why it cannot be used where it is there
    /// and should serve.
    pub(super) fn load(&self, day: Timestamp, inputs: Option<&str>) -> Result<Option<Survey>, String> {
        let path = self.path(day);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let reader = BufReader::new(GzDecoder::new(file));
        let kept: Kept<Survey> = serde_json::from_reader(reader)
            .map_err(|error| format!("{}: {error}; the day is read again", path.display()))?;
        if kept.flowcheck_state != VERSION || kept.scope != self.scope || kept.day != day {
            return Err(format!("{}: made by another version; the day is read again", path.display()));
        }
        if kept.inputs.as_deref() != inputs {
            return Ok(None);
        }
        let mut survey = kept.survey;
        // Nothing was asked for it in this run.
        survey.diagnosis.input.requests = crate::report::view::Requests::default();
        Ok(Some(survey))
    }

    /// Keeps what a day came to.
    pub(super) fn save(&self, day: Timestamp, inputs: Option<&str>, survey: &Survey) -> anyhow::Result<()> {
        let kept = Kept {
            flowcheck_state: VERSION,
            scope: self.scope.clone(),
            inputs: inputs.map(str::to_owned),
            day,
            survey,
        };
        write_file(&self.path(day), |out| {
            let mut out = GzEncoder::new(out, Compression::default());
            serde_json::to_writer(&mut out, &kept)?;
            out.finish().map(drop)
        })
    }
}

/// What decides what a day comes to, besides its inputs. What the configuration says does not: a day is judged when it is
/// read.
pub(super) fn scope(config: &Diagnose, account_id: Option<&str>) -> String {
    let absolute = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let history = config.history.iter().map(|history| match history {
        HistorySource::Path(path) => absolute(path).display().to_string(),
        HistorySource::Live => "live".to_owned(),
    });
    let formats: Vec<_> = config.log_formats.iter().map(|format| format!("{format:?}")).collect();
    let sources = config.sources.iter().map(|source| absolute(Path::new(source)).display().to_string());
    let snapshots = config.snapshots.iter().map(|snapshot| absolute(snapshot).display().to_string());
    let aws = &config.aws;
    let named = ["AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| std::env::var(name).ok());
    format!(
        "sources {:?}; snapshots {:?}; history {:?}; formats {formats:?}; filters {:?}; match window {}; account \
         {account_id:?}; aws {:?} {named:?}",
        sources.collect::<Vec<_>>(),
        snapshots.collect::<Vec<_>>(),
        history.collect::<Vec<_>>(),
        config.filters,
        config.match_window_seconds,
        (&aws.profile, &aws.regions, &aws.role_arn, &aws.endpoint_url),
    )
}

/// A hash of the names and sizes of inputs, and of when files were last written; the same in every run.
pub(super) fn hash_of(objects: &[Object]) -> String {
    let mut hasher = FixedState::with_seed(13).build_hasher();
    for object in objects {
        let metadata = std::fs::metadata(&object.name).ok();
        let written = metadata.and_then(|metadata| metadata.modified().ok());
        let written = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        (&object.name, object.size, written).hash(&mut hasher);
    }
    format!("{:016x}-{}", hasher.finish(), objects.len())
}
