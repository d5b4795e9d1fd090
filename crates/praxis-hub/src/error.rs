//! What can go wrong between a model's name and its files, sorted by what the caller can do.

use std::path::{Path, PathBuf};

/// A hub error. The message names the offender and, where there is one, the fix.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Correct the name.
    #[error("no model `{name}` in the catalogue{}", suggestion(nearest.as_deref()))]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// The nearest name of the catalogue.
        nearest: Option<String>,
    },
    /// Correct the catalogue.
    #[error("models.toml, line {line}: {message}")]
    BadCatalogue {
        /// First line of the offence, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// Try again later, or configure another source.
    #[error("`{model}` could not be fetched:{}", list(failures))]
    NoSource {
        /// The model.
        model: String,
        /// What each source said, in order.
        failures: Vec<String>,
    },
    /// Free some space.
    #[error(
        "no space left on the disk of `{}`; `praxis models rm` frees some, and PRAXIS_CACHE moves the cache elsewhere",
        path.display()
    )]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
    },
    /// Mend permissions, or set `PRAXIS_CACHE` to another folder.
    #[error("{action} `{}`: {source}", path.display())]
    Io {
        /// What was tried: "cannot write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Set `PRAXIS_CACHE`: the system names no home folder.
    #[error("no home folder to keep models in; set PRAXIS_CACHE to a folder")]
    NoCacheDir,
    /// The bytes are not the model's. Another source may have the right ones.
    #[error("{origin}: `{file}` has SHA-256 {actual}, not {expected}")]
    Checksum {
        /// Where the bytes came from.
        origin: String,
        /// The file.
        file: String,
        /// What the catalogue says.
        expected: String,
        /// What came.
        actual: String,
    },
    /// The source failed; another one may serve.
    #[error("{0}")]
    Source(String),
    /// The file came intact and could not be converted.
    #[error("cannot convert `{model}`: {source}")]
    Convert {
        /// The model.
        model: String,
        /// The engine's error.
        source: praxis_engine::EngineError,
    },
    /// Wait for the pull, or stop it.
    #[error("`{model}` is being pulled at this moment; try again when that has ended")]
    Busy {
        /// The model.
        model: String,
    },
    /// The caller stopped it; what has come so far is kept and continued next time.
    #[error("the download was stopped; the same command continues it")]
    Cancelled,
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "; `praxis models list` shows all".to_owned(),
        |name| format!("; did you mean `{name}`?"),
    )
}

fn list(failures: &[String]) -> String {
    failures.iter().map(|f| format!("\n  - {f}")).collect()
}

impl HubError {
    pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        if matches!(
            source.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        ) {
            return Self::DiskFull {
                path: path.to_owned(),
            };
        }
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether another source may do better: not so for trouble on this machine.
    pub(crate) fn is_of_source(&self) -> bool {
        matches!(self, Self::Checksum { .. } | Self::Source(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = HubError::io("cannot write", Path::new("models/m/model.gguf.part"), full);
        assert!(!error.is_of_source(), "no other source would mend it");
        let text = error.to_string();
        for part in [
            "no space left",
            "model.gguf.part",
            "praxis models rm",
            "PRAXIS_CACHE",
        ] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }
}
