//! What tells that the files of an index are lost, or not what was written: then they are made anew. A full disk, a
//! table of open files without room, a lock: such errors may go by, and say nothing of the files.

use std::io::{Error, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tantivy::directory::error::{OpenDirectoryError, OpenReadError};
use tantivy::error::DataCorruption;
use tantivy::index::SegmentComponent;
use tantivy::{Index, TantivyError};

use super::KeywordIndex;

/// Whether an error is one of the files' data.
pub(crate) fn is_damage(error: &TantivyError) -> bool {
    match error {
        TantivyError::DataCorruption(_)
        | TantivyError::IncompatibleIndex(_)
        | TantivyError::DeserializeError(_)
        // The schema was compared when the index was opened, so what does not fit it was not written so.
        | TantivyError::SchemaError(_)
        | TantivyError::FieldNotFound(_)
        | TantivyError::OpenDirectoryError(OpenDirectoryError::DoesNotExist(_))
        | TantivyError::OpenReadError(
            OpenReadError::FileDoesNotExist(_) | OpenReadError::IncompatibleIndex(_),
        ) => true,
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. })
        | TantivyError::IoError(io_error) => is_damaged_data(io_error),
        _ => false,
    }
}

/// Whether an error is one of data that was read, and not the operating system's, which knows no such thing; or that
/// a file, or its folder, is gone.
fn is_damaged_data(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::NotFound => true,
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => error.raw_os_error().is_none(),
        _ => false,
    }
}

/// Runs `work`, in which tantivy may panic where files are damaged: that is an error of their data then.
pub(super) fn guarded<T>(work: impl FnOnce() -> tantivy::Result<T>) -> tantivy::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(DataCorruption::comment_only("what was read makes no sense").into())
    })
}

/// An error where a segment lacks the file that opening it does not miss.
pub(super) fn all_there(index: &Index, dir: &Path) -> tantivy::Result<()> {
    for segment in index.searchable_segment_metas()? {
        // Without it, every search of words would fail.
        let path = segment.relative_path(SegmentComponent::Positions);
        if !dir.join(&path).try_exists()? {
            return Err(OpenReadError::FileDoesNotExist(path).into());
        }
    }
    Ok(())
}

impl KeywordIndex {
    /// What is wrong with the files of the index in `dir`: those that are lost, or have another checksum than what was
    /// written. Reads all of them, and blocks.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn damage_in(dir: &Path) -> tantivy::Result<Option<String>> {
        let looked_at = guarded(|| {
            let index = Index::open_in_dir(dir)?;
            all_there(&index, dir)?;
            index.validate_checksum()
        });
        match looked_at {
            Ok(damaged) => {
                let names = damaged.iter().map(|file| file.display().to_string());
                let mut names: Vec<String> = names.collect();
                names.sort_unstable();
                let told = format!("{}: not what was written", names.join(", "));
                Ok((!names.is_empty()).then_some(told))
            }
            Err(error) if is_damage(&error) => Ok(Some(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
