//! Segments: vectors that are written once, as inverted lists of codes, with their originals in a
//! file beside. What may change of a segment is only which of its vectors are alive.

mod build;
mod calibrate;
mod layout;
mod reader;
mod scan;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::files::{Mapped, bytes_mut, numbers, read_at};
use crate::simd::{BLOCK, TILE};

pub(crate) use build::{Source, build};
pub(crate) use calibrate::CAUTION;
pub(crate) use layout::Calibration;
use layout::{Head, SECTIONS, Section};
pub(crate) use scan::Scan;

/// Where a vector is in a segment: 32 times the block, and its place in it.
pub(crate) type Slot = u32;

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub number: u64,
    head: Head,
    map: Mapped,
    vectors: File,
    vectors_path: PathBuf,
    /// A bit for each vector that is alive, a word for each block.
    live: Vec<AtomicU32>,
    dead: AtomicUsize,
    /// Whether the files are known to be on the disk.
    synced: AtomicBool,
}

/// The files of a segment: codes, and vectors.
pub(crate) fn paths(folder: &Path, number: u64) -> [PathBuf; 2] {
    [
        folder.join(format!("{number:08}.codes")),
        folder.join(format!("{number:08}.vectors")),
    ]
}

impl Segment {
    /// Opens a segment with all of its vectors alive.
    pub fn open(folder: &Path, number: u64, dimension: usize) -> Result<Self> {
        let [codes, vectors_path] = paths(folder, number);
        let map = Mapped::open(&codes)?;
        let head = Head::read(map.bytes(), &codes)?;
        if head.dimension != dimension {
            return Err(Error::Dimension {
                expected: dimension,
                found: head.dimension,
            });
        }
        let vectors = File::open(&vectors_path).map_err(Error::named(&vectors_path))?;
        let len = vectors
            .metadata()
            .map_err(Error::io("read", &vectors_path))?
            .len();
        if len != head.rows as u64 * dimension as u64 * 4 {
            return Err(Error::corrupt(
                &vectors_path,
                "it has not the length of its vectors",
            ));
        }
        let mut segment = Self {
            number,
            live: Vec::new(),
            dead: AtomicUsize::new(0),
            synced: AtomicBool::new(false),
            head,
            map,
            vectors,
            vectors_path,
        };
        segment.live = segment.all_alive()?;
        Ok(segment)
    }

    /// Checks the tables of lists, which everything else is found by, and counts each list's rows
    /// into its blocks.
    fn all_alive(&self) -> Result<Vec<AtomicU32>> {
        let small = [
            Section::Rows,
            Section::Tiles,
            Section::Lists,
            Section::BlockStarts,
            Section::RowStarts,
        ];
        if let Some(section) = small.into_iter().find(|section| !self.intact(*section)) {
            return Err(self.damaged(format!("the checksum of {section:?} is wrong")));
        }
        let (blocks, rows) = (
            self.starts(Section::BlockStarts),
            self.starts(Section::RowStarts),
        );
        let mut live = Vec::with_capacity(self.head.blocks);
        let wrong = || self.damaged("its lists do not add up");
        for (blocks, rows) in blocks.windows(2).zip(rows.windows(2)) {
            let count = rows[1].checked_sub(rows[0]).ok_or_else(wrong)? as usize;
            if blocks[0] as usize != live.len() || rows[1] as usize > self.head.rows {
                return Err(wrong());
            }
            for block in 0..count.div_ceil(BLOCK) {
                let left = (count - block * BLOCK).min(BLOCK);
                live.push(AtomicU32::new(u32::MAX >> (BLOCK - left)));
            }
            if blocks[1] as usize != live.len() {
                return Err(wrong());
            }
        }
        let ends = (rows.first(), rows.last());
        if ends != (Some(&0), Some(&(self.head.rows as u32))) || live.len() != self.head.blocks {
            return Err(wrong());
        }
        Ok(live)
    }

    fn damaged(&self, what: impl Into<String>) -> Error {
        Error::corrupt(self.map.path(), what)
    }

    fn section(&self, section: Section) -> &[u8] {
        &self.map.bytes()[self.head.section(section)]
    }

    fn starts(&self, section: Section) -> &[u32] {
        numbers(self.section(section))
    }

    fn intact(&self, section: Section) -> bool {
        let at = SECTIONS.iter().position(|s| *s == section).unwrap_or(0);
        crc32fast::hash(self.section(section)) == self.head.checksums[at]
    }

    /// All vectors, dead ones too.
    pub fn len(&self) -> usize {
        self.head.rows
    }

    /// Vectors that were deleted.
    pub fn dead(&self) -> usize {
        self.dead.load(Ordering::Relaxed)
    }

    pub fn is_live(&self, slot: Slot) -> bool {
        self.live
            .get(slot as usize / BLOCK)
            .is_some_and(|word| word.load(Ordering::Relaxed) >> (slot % BLOCK as u32) & 1 == 1)
    }

    /// Deletes a vector; whether it was alive.
    pub fn kill(&self, slot: Slot) -> bool {
        let bit = 1u32 << (slot % BLOCK as u32);
        let Some(word) = self.live.get(slot as usize / BLOCK) else {
            return false;
        };
        let was = word.fetch_and(!bit, Ordering::Relaxed) & bit != 0;
        self.dead.fetch_add(usize::from(was), Ordering::Relaxed);
        was
    }

    /// Where the vector of an id is, dead or alive.
    pub fn find(&self, id: u64) -> Option<Slot> {
        let places = self.section(Section::Places);
        let slot = if self.head.table > 0 {
            let at = usize::try_from(id.checked_sub(self.head.first_id)?).ok()?;
            *numbers::<u32>(places).get(at)?
        } else {
            let (ids, slots) = places.split_at_checked(8 * self.head.rows)?;
            let at = numbers::<u64>(ids).binary_search(&id).ok()?;
            *numbers::<u32>(slots).get(at)?
        };
        (slot != Slot::MAX && self.row(slot).is_some()).then_some(slot)
    }

    fn list_of(&self, slot: Slot) -> Option<usize> {
        let starts = self.starts(Section::BlockStarts);
        let block = slot / BLOCK as u32;
        starts
            .partition_point(|start| *start <= block)
            .checked_sub(1)
    }

    /// The row of a slot.
    pub fn row(&self, slot: Slot) -> Option<usize> {
        let starts = self.starts(Section::BlockStarts);
        let list = self.list_of(slot)?;
        let rows = self.starts(Section::RowStarts).get(list..list + 2)?;
        let row = rows[0] + (slot - starts[list] * BLOCK as u32);
        (row < rows[1]).then_some(row as usize)
    }

    /// Slots of all vectors that are alive, with their rows, in order.
    pub fn live_slots(&self) -> Vec<(Slot, usize)> {
        let mut slots = Vec::with_capacity(self.len() - self.dead().min(self.len()));
        let blocks = self.starts(Section::BlockStarts);
        for (list, row) in self.starts(Section::RowStarts).windows(2).enumerate() {
            let first = blocks[list] * BLOCK as u32;
            let all = (row[0]..row[1]).map(|r| (first + (r - row[0]), r as usize));
            slots.extend(all.filter(|(slot, _)| self.is_live(*slot)));
        }
        slots
    }

    /// The ids of all vectors that are alive.
    pub fn live_ids(&self) -> impl Iterator<Item = u64> {
        let slots = self.live_slots().into_iter();
        slots.map(|(_, row)| self.id(row))
    }

    /// Slots of all vectors that were deleted.
    pub fn dead_slots(&self) -> Vec<Slot> {
        let blocks = self.starts(Section::BlockStarts);
        let rows = self.starts(Section::RowStarts).windows(2).enumerate();
        rows.flat_map(|(list, row)| {
            let first = blocks[list] * BLOCK as u32;
            (first..first + (row[1] - row[0])).filter(|slot| !self.is_live(*slot))
        })
        .collect()
    }

    /// The id of a row.
    pub fn id(&self, row: usize) -> u64 {
        numbers::<u64>(self.section(Section::Ids))
            .get(row)
            .copied()
            .unwrap_or(u64::MAX)
    }

    /// Reads the vector of a row.
    pub fn vector(&self, row: usize, out: &mut [f32]) -> Result<()> {
        let offset = row as u64 * self.head.dimension as u64 * 4;
        read_at(&self.vectors, bytes_mut(out), offset)
            .map_err(Error::io("read", &self.vectors_path))
    }

    /// Puts the files on the disk.
    pub fn sync(&self) -> Result<()> {
        if self.synced.load(Ordering::Relaxed) {
            return Ok(());
        }
        let codes = File::open(self.map.path()).map_err(Error::io("open", self.map.path()))?;
        codes
            .sync_all()
            .map_err(Error::io("sync", self.map.path()))?;
        self.vectors
            .sync_all()
            .map_err(Error::io("sync", &self.vectors_path))?;
        self.synced.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// What is wrong with the files: checksums, and ids that are not found where they are.
    pub fn problems(&self) -> Vec<String> {
        let name = self
            .map
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let mut problems: Vec<String> = SECTIONS
            .par_iter()
            .filter(|section| !self.intact(**section))
            .map(|section| format!("{name}: the checksum of {section:?} is wrong"))
            .collect();
        match self.vectors_checksum() {
            Ok(sum) if sum == self.head.vectors_checksum => {}
            Ok(_) => problems.push(format!("{name}: the checksum of its vectors is wrong")),
            Err(error) => problems.push(error.to_string()),
        }
        let lost = |(slot, row): &(Slot, usize)| self.find(self.id(*row)) != Some(*slot);
        let lost = self.live_slots().into_par_iter().filter(lost).count();
        if lost > 0 {
            problems.push(format!("{name}: {lost} ids are not found where they are"));
        }
        problems
    }

    fn vectors_checksum(&self) -> Result<u32> {
        let mut hasher = crc32fast::Hasher::new();
        let row = self.head.dimension * 4;
        let mut buffer = vec![0; row * 256];
        for first in (0..self.head.rows).step_by(256) {
            let buffer = &mut buffer[..row * (self.head.rows - first).min(256)];
            read_at(&self.vectors, buffer, (first * row) as u64)
                .map_err(Error::io("read", &self.vectors_path))?;
            hasher.update(buffer);
        }
        Ok(hasher.finalize())
    }

    /// Of each list: scale and square of its centroid.
    fn list_numbers(&self) -> (&[f32], &[f32]) {
        let values: &[f32] = numbers(self.section(Section::Lists));
        values.split_at(self.head.lists.next_multiple_of(TILE))
    }
}
