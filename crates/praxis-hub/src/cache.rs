//! The shared cache: one folder a model, `<cache>/<name>/`, and in it a marker that says which
//! files were verified. A file stands under its own name only when it is complete, so whatever
//! stands there may be loaded; verification is repeated only for files that changed since.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::catalogue::ModelEntry;
use crate::files;
use crate::{HubError, Progress};

/// The marker's name in a model's folder.
const MARKER: &str = ".verified.json";

/// The folder of models that all applications of a user share.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// A model's files on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalModel {
    dir: PathBuf,
    path: PathBuf,
}

impl LocalModel {
    /// The model's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the engine loads: a file, or the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What the cache knows of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelInfo {
    /// What the engine loads, if the model is here.
    pub path: Option<PathBuf>,
    /// Bytes in its folder, unfinished downloads included.
    pub bytes_on_disk: u64,
    /// Whether every file is as it was when its checksum was checked.
    pub verified: bool,
    /// Where it came from, as the marker says.
    pub source: Option<String>,
}

/// What was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// Where the files came from.
    pub source: String,
    /// The checksums that the catalogue had then, to notice when a model is updated.
    pub catalogue: BTreeMap<String, String>,
    /// The files that the engine loads.
    pub files: BTreeMap<String, Verified>,
}

/// A verified file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verified {
    pub size: u64,
    pub modified_ns: u64,
    pub sha256: String,
}

impl Cache {
    /// The cache in `dir`; `None`: in the folder that `PRAXIS_CACHE` names, else in the user's cache
    /// folder (`~/.cache/praxis/models` on Linux). Nothing is created yet.
    ///
    /// # Errors
    /// [`HubError::NoCacheDir`] where the system names no home folder.
    pub fn open(dir: Option<PathBuf>) -> Result<Self, HubError> {
        let of_env = || {
            std::env::var_os("PRAXIS_CACHE")
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let of_user = || {
            directories::ProjectDirs::from("", "", "praxis").map(|d| d.cache_dir().join("models"))
        };
        let root = dir
            .or_else(of_env)
            .or_else(of_user)
            .ok_or(HubError::NoCacheDir)?;
        Ok(Self { root })
    }

    /// The cache's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A model's folder, whether it exists or not.
    pub fn dir(&self, entry: &ModelEntry) -> PathBuf {
        self.root.join(&entry.name)
    }

    /// The model, if its files are here. Cheap: sizes are looked at, contents are not; see
    /// [`Cache::info`] for whether they were verified.
    pub fn resolve(&self, entry: &ModelEntry) -> Option<LocalModel> {
        let dir = self.dir(entry);
        let complete = loaded_files(entry).iter().all(|(name, size)| {
            files::stamp(&dir.join(name)).is_some_and(|(actual, _)| match size {
                Some(size) => actual == *size,
                None => actual > 0,
            })
        });
        complete.then(|| {
            let path = match entry.primary.as_str() {
                "." => dir.clone(),
                file => dir.join(file),
            };
            LocalModel { dir, path }
        })
    }

    /// What is here of a model.
    pub fn info(&self, entry: &ModelEntry) -> ModelInfo {
        let dir = self.dir(entry);
        let bytes_on_disk = std::fs::read_dir(&dir)
            .into_iter()
            .flatten()
            .filter_map(|e| e.ok()?.metadata().ok())
            .filter(std::fs::Metadata::is_file)
            .map(|m| m.len())
            .sum();
        let marker = self.marker(entry);
        ModelInfo {
            path: self.resolve(entry).map(|local| local.path),
            bytes_on_disk,
            verified: marker.is_some(),
            source: marker.map(|m| m.source),
        }
    }

    /// Removes a model and its unfinished downloads; false if there was nothing.
    ///
    /// # Errors
    /// [`HubError::Busy`] while the model is being pulled; the folder cannot be removed.
    pub fn remove(&self, entry: &ModelEntry) -> Result<bool, HubError> {
        let dir = self.dir(entry);
        if !dir.exists() {
            return Ok(false);
        }
        let (lock, path) = self.lock_file(entry)?;
        if !try_lock(&lock, &path)? {
            return Err(HubError::Busy {
                model: entry.name.clone(),
            });
        }
        match std::fs::remove_dir_all(&dir) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(HubError::io("cannot remove", &dir, e)),
        }
    }

    /// The marker, if it still describes the files and the catalogue.
    pub(crate) fn marker(&self, entry: &ModelEntry) -> Option<Marker> {
        let dir = self.dir(entry);
        let marker: Marker = serde_json::from_slice(&std::fs::read(dir.join(MARKER)).ok()?).ok()?;
        let same_catalogue = marker.catalogue == checksums(entry);
        let untouched = loaded_files(entry).iter().all(|(name, _)| {
            let verified = marker.files.get(name);
            verified.is_some_and(|v| files::stamp(&dir.join(name)) == Some((v.size, v.modified_ns)))
        });
        (same_catalogue && untouched).then_some(marker)
    }

    /// Notes that the model's files were verified; `hashes` holds what is not in the catalogue.
    pub(crate) fn mark(
        &self,
        entry: &ModelEntry,
        source: &str,
        hashes: &BTreeMap<String, String>,
    ) -> Result<(), HubError> {
        let dir = self.dir(entry);
        let mut marker = Marker {
            source: source.to_owned(),
            catalogue: checksums(entry),
            files: BTreeMap::new(),
        };
        for (name, _) in loaded_files(entry) {
            let known = marker
                .catalogue
                .get(&name)
                .or_else(|| hashes.get(&name))
                .cloned();
            let stamp = files::stamp(&dir.join(&name));
            if let (Some(sha256), Some((size, modified_ns))) = (known, stamp) {
                marker.files.insert(
                    name,
                    Verified {
                        size,
                        modified_ns,
                        sha256,
                    },
                );
            }
        }
        let text = serde_json::to_vec_pretty(&marker)
            .map_err(|e| HubError::io("cannot write", &dir.join(MARKER), e.into()))?;
        files::write_small(&dir.join(MARKER), &text)
    }

    /// Waits until this process alone may change the model; others wait until the file is dropped.
    pub(crate) async fn lock(
        &self,
        entry: &ModelEntry,
        progress: &(dyn Fn(Progress) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<File, HubError> {
        let (file, path) = self.lock_file(entry)?;
        let mut told = false;
        loop {
            if try_lock(&file, &path)? {
                return Ok(file);
            }
            if !std::mem::replace(&mut told, true) {
                progress(Progress::Note(format!(
                    "waiting: `{}` is being pulled already",
                    entry.name
                )));
            }
            // Polled, because a blocked `flock` could not be cancelled.
            tokio::select! {
                () = cancel.cancelled() => return Err(HubError::Cancelled),
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    }

    /// The file whose lock stands for the model, and its path.
    fn lock_file(&self, entry: &ModelEntry) -> Result<(File, PathBuf), HubError> {
        std::fs::create_dir_all(&self.root)
            .map_err(|e| HubError::io("cannot create", &self.root, e))?;
        // Beside the model's folder, not in it: `remove` must not take the lock away.
        let path = self.root.join(format!(".{}.lock", entry.name));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| HubError::io("cannot create", &path, e))?;
        Ok((file, path))
    }
}

/// Locks a file unless somebody else has; says whether. Dropping the file unlocks it.
fn try_lock(file: &File, path: &Path) -> Result<bool, HubError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(e)) => Err(HubError::io("cannot lock", path, e)),
    }
}

fn checksums(entry: &ModelEntry) -> BTreeMap<String, String> {
    entry
        .files
        .iter()
        .map(|f| (f.name.clone(), f.sha256.clone()))
        .collect()
}

/// The files that the engine loads, with their size where the catalogue says it: the fetched ones,
/// or what they are converted to.
pub(crate) fn loaded_files(entry: &ModelEntry) -> Vec<(String, Option<u64>)> {
    match entry.convert {
        Some(_) => vec![(entry.primary.clone(), None)],
        None => entry
            .files
            .iter()
            .map(|f| (f.name.clone(), Some(f.size)))
            .collect(),
    }
}
