//! Files that are there whole or not at all, whenever the process ends. Left out: files of a workspace, which no path may
//! leave (`builtin/workspace`), and the directory's own entry: what is kept here can be made again.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Writes a file that only its owner reads, in the place of one that is there; its folder is made where it is missing.
///
/// # Errors
/// Those of the file system; then the older file is there still.
pub(crate) fn replace(path: &Path, content: &[&[u8]]) -> io::Result<()> {
    written(path, content)?
        .persist(path)
        .map_err(|error| error.error)?;
    Ok(())
}

/// The same, where there is no such file yet.
///
/// # Errors
/// As [`replace`], and that there is one.
pub(crate) fn create(path: &Path, content: &[&[u8]]) -> io::Result<()> {
    written(path, content)?
        .persist_noclobber(path)
        .map_err(|error| error.error)?;
    Ok(())
}

/// A file beside its place, as it will be there.
fn written(path: &Path, content: &[&[u8]]) -> io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    for part in content {
        file.write_all(part)?;
    }
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_replaced_and_not_made_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/file");
        replace(&path, &[b"a", b"b"]).unwrap();
        replace(&path, &[b"c"]).unwrap();
        let error = create(&path, &[b"d"]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"c");
        create(&folder.path().join("other"), &[b"d"]).unwrap();
        // Nothing is left beside them.
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
    }
}
