//! Finding, reading and merging the documents of a saved configuration.
//!
//! Owns files, gzip, text encodings and which of two descriptions of one resource counts. Refuses to know
//! what the members of a document mean.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;
use walkdir::WalkDir;

use super::document::{Document, Fault, KNOWN_KEYS};
use super::model::Known;
use super::{Association, DocumentSource, NetworkConfig, SnapshotError};

/// The largest file read, in bytes after decompression; room for far more interfaces than a region's quota
/// (a described one takes a few kB), and an end for an archive that inflates without one.
pub const MAX_DOCUMENT_BYTES: u64 = 512 << 20;

/// How many ids a warning about differing documents lists.
const IDS_LISTED: usize = 3;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// [`NetworkConfig::load`].
pub(super) fn from_paths(paths: &[PathBuf]) -> Result<NetworkConfig, SnapshotError> {
    let mut loader = Loader::default();
    for path in paths {
        let metadata =
            path.metadata().map_err(|source| SnapshotError::Read { path: path.clone(), source })?;
        if metadata.is_dir() { loader.add_directory(path)? } else { loader.add_named_file(path)? }
    }
    Ok(loader.finish())
}

/// [`NetworkConfig::from_json`].
pub(super) fn from_content(name: &Path, content: &[u8]) -> Result<NetworkConfig, SnapshotError> {
    let mut loader = Loader::default();
    if loader.add_content(name, content)? == 0 {
        return Err(no_known_key(name));
    }
    Ok(loader.finish())
}

/// [`NetworkConfig::from_documents`].
pub(super) fn from_values(documents: &[(PathBuf, Value)]) -> Result<NetworkConfig, SnapshotError> {
    let mut loader = Loader::default();
    for (name, value) in documents {
        loader.add_value(name, value)?;
    }
    Ok(loader.finish())
}

fn no_known_key(path: &Path) -> SnapshotError {
    SnapshotError::NoKnownKey { path: path.to_owned(), known: KNOWN_KEYS.join(", ") }
}

/// The configuration so far.
#[derive(Default)]
struct Loader {
    config: NetworkConfig,
    /// Ids described differently: (document used, document not used) → ids.
    differing: BTreeMap<(usize, usize), Vec<String>>,
}

impl Loader {
    fn add_named_file(&mut self, path: &Path) -> Result<(), SnapshotError> {
        if self.add_file(path)? == 0 { Err(no_known_key(path)) } else { Ok(()) }
    }

    /// Adds the JSON files below `directory`, in the order of their names.
    fn add_directory(&mut self, directory: &Path) -> Result<(), SnapshotError> {
        let mut documents = 0;
        for entry in WalkDir::new(directory).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|error| SnapshotError::Read {
                path: error.path().unwrap_or(directory).to_owned(),
                source: error.into(),
            })?;
            if !entry.file_type().is_file() || !has_json_name(entry.path()) {
                continue;
            }
            match self.add_file(entry.path())? {
                0 => self.config.ignored.push(entry.into_path()),
                added => documents += added,
            }
        }
        if documents == 0 { Err(no_known_key(directory)) } else { Ok(()) }
    }

    fn add_file(&mut self, path: &Path) -> Result<usize, SnapshotError> {
        self.add_content(path, &read_file(path)?)
    }

    /// Adds the documents in one file's content and says how many had a known key.
    fn add_content(&mut self, path: &Path, content: &[u8]) -> Result<usize, SnapshotError> {
        let text = text_of(path, content)?;
        let mut documents = 0;
        // Output appended to one file (`>>`) is several documents in a row.
        for value in serde_json::Deserializer::from_slice(&text).into_iter::<Value>() {
            let value = value.map_err(|source| SnapshotError::NotJson { path: path.to_owned(), source })?;
            documents += usize::from(self.add_value(path, &value)?);
        }
        Ok(documents)
    }

    /// Adds one document; `false` when it has no known key.
    fn add_value(&mut self, path: &Path, value: &Value) -> Result<bool, SnapshotError> {
        let document = Document::read(value).map_err(|fault| malformed(path, fault))?;
        let known = document.is_some();
        if let Some(document) = document {
            self.add_document(path, document);
        }
        Ok(known)
    }

    fn add_document(&mut self, path: &Path, document: Document) {
        if document.has_next_token {
            let warning = format!("{} holds only the first page: it has a NextToken", path.display());
            self.config.warnings.push(warning);
            self.config.network_acls_cut_off |= !document.network_acls.is_empty();
        }
        let config = &mut self.config;
        for [association_id, network_acl_id, subnet_id] in document.associations {
            config.association_ids.entry(network_acl_id).or_default().insert(association_id, subnet_id);
        }
        config.documents.push(DocumentSource {
            path: path.to_owned(),
            captured_at: document.captured_at,
            place: document.place,
        });
        let mut merge = Merge { documents: &config.documents, differing: &mut self.differing };
        for acl in document.network_acls {
            merge.add(&mut config.network_acls, acl.network_acl_id.clone(), acl);
        }
        for subnet in document.subnets {
            merge.add(&mut config.subnets, subnet.subnet_id.clone(), subnet);
        }
        for interface in document.interfaces {
            merge.add(&mut config.interfaces, interface.interface_id.clone(), interface);
        }
        for nat_gateway in document.nat_gateways {
            merge.add(&mut config.nat_gateways, nat_gateway.nat_gateway_id.clone(), nat_gateway);
        }
        for vpc in document.vpcs {
            merge.add(&mut config.vpcs, vpc.vpc_id.clone(), vpc);
        }
    }

    /// Builds what is looked up, and says what differed.
    fn finish(self) -> NetworkConfig {
        let mut config = self.config;
        for ((used, unused), ids) in &self.differing {
            config.warnings.push(differing_warning(&config.documents, *used, *unused, ids));
        }
        config.associations = associations(&config);
        for (id, known) in &config.interfaces {
            for &addr in &known.value.addresses {
                config.by_address.entry(addr).or_default().push(id.clone());
            }
            if !known.value.prefixes.is_empty() {
                config.with_prefixes.push(id.clone());
            }
        }
        for (id, known) in &config.nat_gateways {
            for interface_id in &known.value.interface_ids {
                config.nat_gateway_of.insert(interface_id.clone(), id.clone());
            }
        }
        config
    }
}

/// Adds resources of the newest document to what is known.
struct Merge<'a> {
    documents: &'a [DocumentSource],
    differing: &'a mut BTreeMap<(usize, usize), Vec<String>>,
}

impl Merge<'_> {
    /// The later capture counts; where one is unknown, the document loaded later.
    fn add<T: PartialEq>(&mut self, known: &mut BTreeMap<String, Known<T>>, id: String, value: T) {
        let document = self.documents.len() - 1;
        match known.entry(id) {
            Entry::Vacant(vacant) => {
                vacant.insert(Known { value, document });
            }
            Entry::Occupied(mut occupied) => {
                let old = occupied.get().document;
                let used = if is_later(self.documents, document, old) { document } else { old };
                if occupied.get().value != value {
                    let unused = if used == document { old } else { document };
                    self.differing.entry((used, unused)).or_default().push(occupied.key().clone());
                }
                if used == document {
                    occupied.insert(Known { value, document });
                }
            }
        }
    }
}

/// Whether document `a` counts before document `b`, which was loaded before it.
fn is_later(documents: &[DocumentSource], a: usize, b: usize) -> bool {
    match (documents[a].captured_at, documents[b].captured_at) {
        (Some(a_time), Some(b_time)) if a_time != b_time => a_time > b_time,
        _ => a > b,
    }
}

/// Which ACL each subnet is associated with; of several documents the later one counts, as for resources.
fn associations(config: &NetworkConfig) -> BTreeMap<String, Association> {
    let mut found: BTreeMap<String, Association> = BTreeMap::new();
    for (network_acl_id, known) in &config.network_acls {
        for subnet_id in &known.value.subnet_ids {
            let association =
                Association { network_acl_id: network_acl_id.clone(), document: known.document, rival: None };
            match found.entry(subnet_id.clone()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(association);
                }
                Entry::Occupied(mut occupied) => {
                    let old = occupied.get_mut();
                    if old.network_acl_id == *network_acl_id {
                        // The same association listed twice.
                    } else if old.document == known.document {
                        old.rival = Some(network_acl_id.clone());
                    } else if is_later(&config.documents, known.document, old.document) {
                        *old = association;
                    }
                }
            }
        }
    }
    found
}

/// `acl-1, acl-2 and 3 more differ between a.json and b.json: b.json is used`.
fn differing_warning(documents: &[DocumentSource], used: usize, unused: usize, ids: &[String]) -> String {
    let mut listed = ids[..ids.len().min(IDS_LISTED)].join(", ");
    if ids.len() > IDS_LISTED {
        listed = format!("{listed} and {} more", ids.len() - IDS_LISTED);
    }
    let (used_path, unused_path) = (documents[used].path.display(), documents[unused].path.display());
    let verb = if ids.len() == 1 { "differs" } else { "differ" };
    let later = match (documents[used].captured_at, documents[unused].captured_at) {
        (Some(a), Some(b)) if a != b => "captured later",
        _ => "loaded later",
    };
    format!("{listed} {verb} between {unused_path} and {used_path}: {used_path} is used, it was {later}")
}

pub(super) fn malformed(path: &Path, fault: Fault) -> SnapshotError {
    let Fault { resource, rule, member, problem } = fault;
    SnapshotError::Malformed { path: path.to_owned(), resource, rule, member, problem }
}

pub(super) fn has_json_name(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    Path::new(name.trim_end_matches(".gz")).extension().is_some_and(|extension| extension == "json")
}

/// A whole file, but not many more bytes than are allowed.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, SnapshotError> {
    let read_error = |source| SnapshotError::Read { path: path.to_owned(), source };
    read_bounded(File::open(path).map_err(read_error)?).map_err(read_error)
}

/// The text in a file's content (plain or gzip), as UTF-8 without a byte order mark.
pub(super) fn text_of<'a>(path: &Path, content: &'a [u8]) -> Result<Cow<'a, [u8]>, SnapshotError> {
    let inflated = if content.starts_with(&GZIP_MAGIC) {
        let inflated = read_bounded(flate2::read::MultiGzDecoder::new(content));
        Cow::Owned(inflated.map_err(|source| SnapshotError::Read { path: path.to_owned(), source })?)
    } else {
        Cow::Borrowed(content)
    };
    if inflated.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(SnapshotError::TooLarge { path: path.to_owned(), limit: MAX_DOCUMENT_BYTES });
    }
    Ok(match inflated {
        Cow::Borrowed(text) => as_utf8(text),
        Cow::Owned(text) => {
            let other = match as_utf8(&text) {
                Cow::Borrowed(same) if same.len() == text.len() => None,
                other => Some(other.into_owned()),
            };
            Cow::Owned(other.unwrap_or(text))
        }
    })
}

/// All bytes, but not many more than are allowed.
fn read_bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    reader.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// The text without a byte order mark; UTF-16, as PowerShell's `>` writes it, becomes UTF-8.
fn as_utf8(content: &[u8]) -> Cow<'_, [u8]> {
    let utf16 = |unit: fn([u8; 2]) -> u16, text: &[u8]| {
        let units: Vec<u16> = text.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        Cow::Owned(String::from_utf16_lossy(&units).into_bytes())
    };
    match content {
        [0xef, 0xbb, 0xbf, text @ ..] => Cow::Borrowed(text),
        [0xff, 0xfe, text @ ..] => utf16(u16::from_le_bytes, text),
        [0xfe, 0xff, text @ ..] => utf16(u16::from_be_bytes, text),
        _ => Cow::Borrowed(content),
    }
}
