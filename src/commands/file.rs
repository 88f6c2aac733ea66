//! Writing a result to the file that was asked for.
//!
//! Owns that a file is there whole or not at all. Refuses to know what is written.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail};

/// Whole or not at all: a temporary file beside it, then a rename. What a link points to is replaced, not the link;
/// a device or a pipe cannot be replaced and is written to.
pub(super) fn write_file(path: &Path, put: impl Fn(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let put = |file: &mut File| {
        let mut out = BufWriter::new(file);
        put(&mut out).and_then(|()| out.flush())
    };
    match std::fs::metadata(&target) {
        Ok(metadata) if metadata.is_dir() => bail!("cannot write {}: it is a directory", path.display()),
        Ok(metadata) if !metadata.is_file() => {
            let mut file = File::options().write(true).open(&target).with_context(context)?;
            return put(&mut file).with_context(context);
        }
        _ => {}
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        bail!("cannot write {}: there is no directory {}", path.display(), folder.display());
    }
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(context)?;
    put(file.as_file_mut()).with_context(context)?;
    allow_what_the_umask_allows(file.as_file());
    file.persist(&target).map_err(|error| error.error).with_context(context)?;
    Ok(())
}

/// A temporary file is private; the result is to be as readable as any other new file.
#[cfg(unix)]
fn allow_what_the_umask_allows(file: &File) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(probe) = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o666)).tempfile()
    else {
        return;
    };
    if let Ok(metadata) = probe.as_file().metadata() {
        let _ = file.set_permissions(metadata.permissions());
    }
}

#[cfg(not(unix))]
fn allow_what_the_umask_allows(_: &File) {}
