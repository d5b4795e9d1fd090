//! What can go wrong between a model file and a running model.

use std::path::{Path, PathBuf};

/// An engine error, sorted by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Give another path, or mend permissions.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Free some space, mend permissions, or give another path.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Get the file again: it is cut or damaged.
    #[error("`{}` is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit; names the key, field or tensor.
        problem: String,
    },
    /// Choose another model: this one is of a kind that the engine does not run.
    #[error("`{}` cannot be run: {problem}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not supported, and what is.
        problem: String,
    },
    /// Free memory or raise a limit, then try again: the system refused a thread.
    #[error("the engine could not start: {0}")]
    Resource(String),
    /// Run the model on the CPU, or mend what is said of the GPU that was asked for.
    #[error("the model cannot run on the GPU: {0}")]
    Gpu(String),
}

impl EngineError {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, problem: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    pub(crate) fn unsupported(path: &Path, problem: impl Into<String>) -> Self {
        Self::Unsupported {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}

impl From<EngineError> for praxis_core::ModelError {
    fn from(error: EngineError) -> Self {
        praxis_core::ModelError::Unavailable(error.to_string())
    }
}
