//! Opening an index: what the manifest names is loaded, the log is done again, and what a crash left
//! behind is removed.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::files::sync_folder;
use crate::index::{State, Writer};
use crate::log::{Log, Record};
use crate::manifest::Manifest;
use crate::segment::Segment;

/// How often, and how far apart, to ask for the lock.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// Locks a folder for this process. A program that this process is just starting has a copy of what
/// is open, so that a lock lives on for a moment after it was given up: it is asked for several times.
pub(crate) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(Error::io("create", &path))?;
    for attempt in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt < TRIES => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked {
                    path: folder.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
    }
    Ok(file)
}

/// Makes an empty index.
pub(crate) fn create(folder: &Path, dimension: usize) -> Result<(Writer, State)> {
    // The manifest is older than any segment.
    if fs::read_dir(folder)
        .map_err(Error::io("list", folder))?
        .flatten()
        .any(|entry| entry.path().extension().is_some_and(|kind| kind == "codes"))
    {
        return Err(Error::corrupt(
            &crate::manifest::path(folder),
            "it is missing",
        ));
    }
    clean(folder, &Manifest::default())?;
    let log = Log::create(folder, 1, dimension)?;
    let mut writer = Writer {
        log,
        watermark: 0,
        next: 2,
        named_log: 1,
        garbage: Vec::new(),
    };
    writer.log.sync()?;
    sync_folder(folder)?;
    let manifest = Manifest {
        dimension,
        log: 1,
        committed: writer.log.len(),
        ..Manifest::default()
    };
    manifest.write(folder)?;
    Ok((writer, State::default()))
}

/// Loads what a manifest names.
pub(crate) fn load(
    folder: &Path,
    dimension: usize,
    manifest: &Manifest,
) -> Result<(Writer, State)> {
    if manifest.dimension != dimension {
        return Err(Error::Dimension {
            expected: manifest.dimension,
            found: dimension,
        });
    }
    let last = clean(folder, manifest)?;
    let mut state = State::default();
    for number in &manifest.segments {
        let segment = Segment::open(folder, *number, dimension)?;
        state.segments.push(Arc::new(segment));
    }
    state
        .segments
        .sort_by_key(|segment| std::cmp::Reverse(segment.len()));
    let replay = |record: Record<'_>| -> Result<()> {
        match record {
            Record::Insert { id, vector } => state.insert(id, vector),
            Record::Delete { id } => {
                state.delete(id);
            }
            Record::Dead { segment, slots } => {
                let named = state.segments.iter().find(|s| s.number == segment);
                for slot in slots.iter().filter(|_| named.is_some()) {
                    named.map(|segment| segment.kill(*slot));
                }
            }
        }
        Ok(())
    };
    let log = Log::open(folder, manifest.log, dimension, manifest.committed, replay)?;
    let writer = Writer {
        named_log: log.number,
        log,
        watermark: manifest.watermark,
        next: last + 1,
        garbage: Vec::new(),
    };
    Ok((writer, state))
}

/// Removes files of the index that the manifest does not name; returns the highest number of those
/// that it does.
fn clean(folder: &Path, manifest: &Manifest) -> Result<u64> {
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        let kind = path.extension().and_then(|extension| extension.to_str());
        let named = match (kind, number) {
            (Some("codes" | "vectors"), Some(number)) => manifest.segments.contains(&number),
            (Some("log"), Some(number)) => manifest.log == number,
            _ => true,
        };
        if !named {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(manifest
        .segments
        .iter()
        .copied()
        .fold(manifest.log, u64::max))
}
