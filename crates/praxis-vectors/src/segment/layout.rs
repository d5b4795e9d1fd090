//! Where things are in a segment's file of codes: a head of 4 KiB, then sections one after the
//! other, each on a line of the cache. All places follow from the counts in the head.

use std::ops::Range;
use std::path::Path;

use crate::code::fine_len;
use crate::error::{Error, Result};
use crate::files::write_at;
use crate::rotation::padded;
use crate::simd::{TILE, block_len};

const MAGIC: &[u8; 8] = b"PRXVEC\x00\x01";
/// Length of the head in bytes.
pub(super) const HEAD: usize = 4096;
/// Recall targets that the calibration knows.
pub(crate) const TARGETS: [f32; 4] = [0.9, 0.95, 0.99, 0.999];
/// Ranks that the calibration knows.
pub(crate) const RANKS: [usize; 2] = [10, 100];
/// How many lists to look through for a rank and a recall target, see [`super::calibrate`].
pub(crate) type Calibration = [[f32; TARGETS.len()]; RANKS.len()];

/// Parts of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// Centroids in tiles of 32.
    Tiles,
    /// Centroids one after the other, 7 bits a component.
    Rows,
    /// Of each list: scale and square of its centroid (f32).
    Lists,
    /// First block of each list, and one past the last (u32).
    BlockStarts,
    /// First row of each list, and one past the last (u32).
    RowStarts,
    /// Coarse codes.
    Blocks,
    /// Fine codes, in the order of rows.
    Fine,
    /// Ids (u64), in the order of rows.
    Ids,
    /// Where an id is: a slot for each id from the first on, or all ids ascending (u64) and then
    /// their slots (u32). A slot is 32 times the block, and the vector's place in it.
    Places,
}

pub(super) const SECTIONS: [Section; 9] = [
    Section::Tiles,
    Section::Rows,
    Section::Lists,
    Section::BlockStarts,
    Section::RowStarts,
    Section::Blocks,
    Section::Fine,
    Section::Ids,
    Section::Places,
];

/// What the head says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Head {
    pub dimension: usize,
    pub lists: usize,
    pub rows: usize,
    pub blocks: usize,
    pub seed: u64,
    /// Length of the table of slots, or 0 where ids are sorted.
    pub table: usize,
    pub first_id: u64,
    pub checksums: [u32; SECTIONS.len()],
    /// That of the file of vectors.
    pub vectors_checksum: u32,
    pub calibration: Calibration,
}

impl Head {
    pub fn padded(&self) -> usize {
        padded(self.dimension)
    }

    /// Where a section is. The counts are those of a file that exists, or is about to: the products
    /// were checked by `read`.
    pub fn section(&self, section: Section) -> Range<usize> {
        let mut start = HEAD;
        for other in SECTIONS {
            let len = self.section_len(other);
            if other == section {
                return start..start + len;
            }
            start += len.next_multiple_of(64);
        }
        start..start
    }

    pub fn file_len(&self) -> usize {
        self.section(Section::Places).end
    }

    fn section_len(&self, section: Section) -> usize {
        let padded = self.padded();
        let whole = self.lists.next_multiple_of(TILE);
        match section {
            Section::Tiles => whole * padded,
            Section::Rows => self.lists * padded,
            Section::Lists => 2 * 4 * whole,
            Section::BlockStarts | Section::RowStarts => 4 * (self.lists + 1),
            Section::Blocks => self.blocks * block_len(padded),
            Section::Fine => self.rows * fine_len(padded),
            Section::Ids => 8 * self.rows,
            Section::Places if self.table > 0 => 4 * self.table,
            Section::Places => 12 * self.rows,
        }
    }

    pub fn write(&self, file: &std::fs::File, path: &Path) -> Result<()> {
        let mut bytes = MAGIC.to_vec();
        for number in [
            self.dimension as u64,
            self.lists as u64,
            self.rows as u64,
            self.blocks as u64,
            self.seed,
            self.table as u64,
            self.first_id,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for sum in self.checksums.iter().chain([&self.vectors_checksum]) {
            bytes.extend_from_slice(&sum.to_le_bytes());
        }
        for value in self.calibration.as_flattened() {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes.resize(HEAD - 4, 0);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        write_at(file, &bytes, 0).map_err(Error::io("write", path))
    }

    /// Reads a head and checks that the file is as long as it says.
    pub fn read(file: &[u8], path: &Path) -> Result<Self> {
        let corrupt = |what: &str| Error::corrupt(path, what);
        let bytes = file.get(..HEAD).ok_or_else(|| corrupt("it is too short"))?;
        if !bytes.starts_with(&MAGIC[..6]) {
            return Err(corrupt("it is no segment of vectors"));
        }
        if !bytes.starts_with(MAGIC) {
            return Err(corrupt("it was written by another version"));
        }
        let word = |at: usize| {
            let four = bytes[at..at + 4].try_into().unwrap_or_default();
            u32::from_le_bytes(four)
        };
        if crc32fast::hash(&bytes[..HEAD - 4]) != word(HEAD - 4) {
            return Err(corrupt("the head's checksum is wrong"));
        }
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let mut head = Self {
            dimension: long(8) as usize,
            lists: long(16) as usize,
            rows: long(24) as usize,
            blocks: long(32) as usize,
            seed: long(40),
            table: long(48) as usize,
            first_id: long(56),
            checksums: std::array::from_fn(|i| word(64 + 4 * i)),
            vectors_checksum: word(64 + 4 * SECTIONS.len()),
            calibration: Calibration::default(),
        };
        let start = 64 + 4 * (SECTIONS.len() + 1);
        for (i, value) in head.calibration.as_flattened_mut().iter_mut().enumerate() {
            *value = f32::from_bits(word(start + 4 * i));
        }
        let small = head.dimension <= 1 << 16
            && [head.lists, head.rows, head.blocks, head.table]
                .iter()
                .all(|count| *count <= u32::MAX as usize);
        if !small || head.dimension == 0 || head.lists == 0 || head.file_len() != file.len() {
            return Err(corrupt("its length is not what the head says"));
        }
        Ok(head)
    }
}
