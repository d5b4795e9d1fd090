//! The index: a few segments, a delta of what is new, and a log of what was done since the last
//! segment was made. One writer at a time; searches take what there is and wait for nobody.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::delta::Delta;
use crate::error::{Error, Result};
use crate::files::sync_folder;
use crate::log::{self, Log, Record};
use crate::manifest::Manifest;
use crate::recovery::{create, load, lock};
use crate::rotation::Rotation;
use crate::segment::{CAUTION, Calibration, Segment, paths};
use crate::simd::kernels;

/// The seed of all that is random. Queries and codes must be turned alike, so there is only one.
pub(crate) const SEED: u64 = 0x7072_6178_6973;
/// Dimensions that an index can have.
const DIMENSIONS: std::ops::RangeInclusive<usize> = 1..=4096;
/// Vectors of a batch that are written to the log together.
const PIECE: usize = 1024;

/// Sizes at which things happen. The defaults suit; tests make them small.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Vectors in the delta from which on [`Index::merge`] makes a segment of it.
    pub seal: usize,
    /// Vectors in the delta at which an insertion does.
    pub full: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seal: 2048,
            full: 65_536,
        }
    }
}

/// An index of vectors by cosine, in a folder of its own.
///
/// Ids are the caller's. All methods may be called from any thread; [`Index::merge`] is meant for
/// one in the background.
#[derive(Debug)]
pub struct Index {
    pub(crate) folder: PathBuf,
    pub(crate) dimension: usize,
    pub(crate) options: Options,
    pub(crate) rotation: Rotation,
    state: RwLock<Arc<State>>,
    /// What segments' lists are multiplied by.
    caution: RwLock<Calibration>,
    writer: Mutex<Writer>,
    pub(crate) merging: Mutex<()>,
    /// Locked while the index is open.
    _lock: File,
}

/// Whether a vector has a direction, without which it cannot be compared: it is finite, and not zero.
pub fn has_direction(vector: &[f32]) -> bool {
    let largest = vector.iter().fold(0f32, |a, x| a.max(x.abs()));
    largest >= f32::MIN_POSITIVE && vector.iter().all(|x| x.is_finite())
}

/// What is searched.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The largest first.
    pub segments: Vec<Arc<Segment>>,
    pub delta: Arc<Delta>,
}

/// What only the writer needs.
#[derive(Debug)]
pub(crate) struct Writer {
    pub log: Log,
    pub watermark: u64,
    /// The next file's number.
    pub next: u64,
    /// The log that the manifest names: it stays until the manifest names another.
    pub named_log: u64,
    /// Files that the next manifest does not name.
    pub garbage: Vec<PathBuf>,
}

impl Index {
    /// Opens the index in a folder, or makes an empty one there.
    ///
    /// What an interrupted process left behind is removed. Damage that was not caused by an
    /// interruption is [`Error::Corrupt`]: then the folder must be removed and filled anew.
    pub fn open(folder: &Path, dimension: usize) -> Result<Self> {
        Self::open_with(folder, dimension, Options::default())
    }

    /// Opens an index with other sizes than the default.
    pub fn open_with(folder: &Path, dimension: usize, options: Options) -> Result<Self> {
        if !DIMENSIONS.contains(&dimension) {
            return Err(Error::Limit("vectors have 1 to 4096 dimensions"));
        }
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let lock = lock(folder)?;
        let manifest = Manifest::read(folder)?;
        let mut caution = CAUTION;
        let learned = manifest.iter().flat_map(|manifest| &manifest.caution);
        for (value, percent) in caution.as_flattened_mut().iter_mut().zip(learned) {
            *value = *percent as f32 / 100.0;
        }
        let (writer, state) = match manifest {
            Some(manifest) => load(folder, dimension, &manifest)?,
            None => create(folder, dimension)?,
        };
        Ok(Self {
            folder: folder.to_owned(),
            dimension,
            options,
            rotation: Rotation::new(dimension, SEED),
            state: RwLock::new(Arc::new(state)),
            caution: RwLock::new(caution),
            writer: Mutex::new(writer),
            merging: Mutex::new(()),
            _lock: lock,
        })
    }

    /// The folder that it lies in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Components of a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// How many vectors can be found.
    pub fn len(&self) -> usize {
        let state = self.state();
        let in_segments: usize = state
            .segments
            .iter()
            .map(|segment| segment.len().saturating_sub(segment.dead()))
            .sum();
        in_segments + state.delta.live()
    }

    /// Whether no vector can be found.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of all vectors that can be found, in no order.
    pub fn ids(&self) -> Vec<u64> {
        let state = self.state();
        let in_segments = state.segments.iter().flat_map(|segment| segment.live_ids());
        state.delta.ids().into_iter().chain(in_segments).collect()
    }

    /// Whether a vector has this id.
    pub fn contains(&self, id: u64) -> bool {
        let state = self.state();
        state.delta.contains(id) || state.find(id).is_some()
    }

    /// The vector of an id, of length 1.
    pub fn vector(&self, id: u64) -> Result<Option<Vec<f32>>> {
        let state = self.state();
        if let Some(vector) = state.delta.with(id, <[f32]>::to_vec) {
            return Ok(Some(vector));
        }
        let Some((segment, row)) = state.find(id) else {
            return Ok(None);
        };
        let mut vector = vec![0.0; self.dimension];
        segment.vector(row, &mut vector)?;
        Ok(Some(vector))
    }

    /// The exact cosine of a query and the vector of an id.
    pub fn cosine(&self, id: u64, query: &[f32]) -> Result<Option<f32>> {
        let query = self.unit(query)?;
        let vector = self.vector(id)?;
        Ok(vector.map(|vector| (kernels().dot)(&vector, &query)))
    }

    /// Adds vectors, which are scaled to length 1. One takes the place of another with its id.
    ///
    /// They are found at once, and survive a crash from the next [`Index::commit`] on. After an
    /// error some may have been added; to add all of them again is harmless.
    pub fn insert<'a>(&self, batch: impl IntoIterator<Item = (u64, &'a [f32])>) -> Result<()> {
        let mut batch = batch.into_iter().peekable();
        while batch.peek().is_some() {
            let piece: Vec<(u64, Vec<f32>)> = batch
                .by_ref()
                .take(PIECE)
                .map(|(id, vector)| Ok((id, self.unit(vector)?)))
                .collect::<Result<_>>()?;
            let mut writer = self.writer();
            for (id, vector) in &piece {
                writer.log.push(&Record::Insert { id: *id, vector })?;
            }
            writer.log.flush()?;
            let state = self.state();
            for (id, vector) in &piece {
                state.insert(*id, vector);
            }
            if state.delta.len() >= self.options.full {
                self.seal(&mut writer)?;
            }
        }
        Ok(())
    }

    /// Deletes the vectors of ids; those that there are not are passed over. Returns how many there
    /// were. They are not found any more at once, and stay deleted after a crash from the next
    /// [`Index::commit`] on.
    pub fn delete(&self, ids: impl IntoIterator<Item = u64>) -> Result<usize> {
        let ids: Vec<u64> = ids.into_iter().collect();
        let mut writer = self.writer();
        for id in &ids {
            writer.log.push(&Record::Delete { id: *id })?;
        }
        writer.log.flush()?;
        let state = self.state();
        Ok(ids.iter().filter(|id| state.delete(**id)).count())
    }

    /// Makes all that was done survive a crash, then moves the watermark.
    pub fn commit(&self, watermark: u64) -> Result<()> {
        let mut writer = self.writer();
        self.persist(&mut writer, watermark)
    }

    /// Forgets everything, and the watermark: the index is as one that was just made, also after a
    /// crash. Waits for a merge that goes on.
    pub fn clear(&self) -> Result<()> {
        let _merging = self.merging.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writer = self.writer();
        let number = writer.next;
        writer.next += 1;
        let log = Log::create(&self.folder, number, self.dimension)?;
        writer.turn_to(log, &self.folder);
        for segment in &self.state().segments {
            writer.garbage.extend(paths(&self.folder, segment.number));
        }
        self.set_state(State::default());
        self.persist(&mut writer, 0)
    }

    /// The watermark of the last commit: the caller does again what it did later. To do again also
    /// what it did before changes nothing.
    pub fn watermark(&self) -> u64 {
        self.writer().watermark
    }

    /// A vector of length 1 with the same direction.
    pub(crate) fn unit(&self, vector: &[f32]) -> Result<Vec<f32>> {
        if vector.len() != self.dimension {
            return Err(Error::Dimension {
                expected: self.dimension,
                found: vector.len(),
            });
        }
        if !has_direction(vector) {
            return Err(Error::Direction);
        }
        let square = f64::from((kernels().dot)(vector, vector));
        if (square - 1.0).abs() < 1e-6 {
            return Ok(vector.to_vec());
        }
        let norm: f64 = vector
            .iter()
            .map(|x| f64::from(*x).powi(2))
            .sum::<f64>()
            .sqrt();
        Ok(vector
            .iter()
            .map(|x| (f64::from(*x) / norm) as f32)
            .collect())
    }

    /// What there is now.
    pub(crate) fn state(&self) -> Arc<State> {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn caution(&self) -> Calibration {
        *self.caution.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_caution(&self, caution: Calibration) {
        *self.caution.write().unwrap_or_else(PoisonError::into_inner) = caution;
    }

    pub(crate) fn set_state(&self, mut state: State) {
        let size = |segment: &Arc<Segment>| std::cmp::Reverse(segment.len());
        state.segments.sort_by_key(size);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts everything on the disk, then names it in the manifest, then removes what it replaced.
    pub(crate) fn persist(&self, writer: &mut Writer, watermark: u64) -> Result<()> {
        writer.log.sync()?;
        let state = self.state();
        for segment in &state.segments {
            segment.sync()?;
        }
        sync_folder(&self.folder)?;
        let manifest = Manifest {
            dimension: self.dimension,
            watermark,
            log: writer.log.number,
            committed: writer.log.len(),
            caution: self
                .caution()
                .as_flattened()
                .iter()
                .map(|x| (x * 100.0) as u64)
                .collect(),
            segments: state
                .segments
                .iter()
                .map(|segment| segment.number)
                .collect(),
        };
        manifest.write(&self.folder)?;
        writer.watermark = watermark;
        writer.named_log = writer.log.number;
        for path in writer.garbage.drain(..) {
            // What cannot be removed now is when the index is next opened.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}

impl Writer {
    /// Goes on in another log. The one before goes, once the manifest does not name it.
    pub fn turn_to(&mut self, log: Log, folder: &Path) {
        let before = std::mem::replace(&mut self.log, log).number;
        let path = log::path(folder, before);
        if before == self.named_log {
            self.garbage.push(path);
        } else {
            let _ = fs::remove_file(path);
        }
    }
}

impl State {
    /// The segment and row of an id, if it is alive there.
    pub fn find(&self, id: u64) -> Option<(&Segment, usize)> {
        self.segments.iter().find_map(|segment| {
            let slot = segment.find(id).filter(|slot| segment.is_live(*slot))?;
            Some((segment.as_ref(), segment.row(slot)?))
        })
    }

    fn kill(&self, id: u64) -> bool {
        let kill = |segment: &Arc<Segment>| segment.find(id).is_some_and(|slot| segment.kill(slot));
        // In all of them: `any` would stop at the first.
        self.segments.iter().filter(|segment| kill(segment)).count() > 0
    }

    pub fn insert(&self, id: u64, vector: &[f32]) {
        self.delta.insert(id, vector);
        self.kill(id);
    }

    pub fn delete(&self, id: u64) -> bool {
        let in_segments = self.kill(id);
        self.delta.delete(id) || in_segments
    }
}
