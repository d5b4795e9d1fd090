//! A model file mapped read-only into memory.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use crate::EngineError;

/// The bytes of one model file, and the path for messages.
#[derive(Debug)]
pub(crate) struct MappedFile {
    path: PathBuf,
    map: Arc<Mmap>,
}

impl MappedFile {
    /// Maps `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, EngineError> {
        let file = File::open(path).map_err(|error| EngineError::read(path, error))?;
        let length = file
            .metadata()
            .map_err(|error| EngineError::read(path, error))?
            .len();
        if length == 0 {
            return Err(EngineError::damaged(path, "the file is empty"));
        }
        // SAFETY: the map is read-only and private. Model files are written under a temporary
        // name and renamed into place, never changed afterwards, so the bytes stay put.
        let map = unsafe { Mmap::map(&file) }.map_err(|error| EngineError::read(path, error))?;
        Ok(Self {
            path: path.to_path_buf(),
            map: Arc::new(map),
        })
    }

    /// Where it came from.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The map, for tensors that keep it.
    pub(crate) fn map(&self) -> &Arc<Mmap> {
        &self.map
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The bytes of `range`, empty where it lies outside: ranges are checked when they are made.
    pub(crate) fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.map.get(range.clone()).unwrap_or_default()
    }
}
