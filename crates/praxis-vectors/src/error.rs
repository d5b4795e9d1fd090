//! What can go wrong, sorted by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an index could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused; trying again may help.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file is not what was written. The index must be built anew from its source.
    #[error("{} is damaged: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A vector or a query has another number of components than the index.
    #[error("a vector of {found} dimensions in an index of {expected}")]
    Dimension {
        /// Dimensions of the index.
        expected: usize,
        /// Components of the vector.
        found: usize,
    },
    /// A vector has no direction: it is zero, or a component is not a finite number.
    #[error("a vector without a direction: it is zero or not finite")]
    Direction,
    /// Another process has the index open for writing.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The index's folder.
        path: PathBuf,
    },
    /// The index is full, or was asked for a dimension that it does not support.
    #[error("{0}")]
    Limit(&'static str),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// An error of opening a file that the index names: where it is not there, no later try finds it.
    pub(crate) fn named(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::corrupt(&path, "it is missing"),
            _ => Self::Io {
                action: "open",
                path,
                source,
            },
        }
    }

    pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}
