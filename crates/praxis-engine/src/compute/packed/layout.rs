//! How a tile of packed weights lies in memory: as many weight rows as a register has lanes, in
//! three stretches that a product reads front to back. All numbers of the lanes stand side by side.
//!
//! 1. the blocks' headers;
//! 2. the groups' scales and offsets;
//! 3. the groups' integers, in bit planes, each with the lowest bits that those before it left:
//!    where a format has 4 bits or more, four registers whose low nibbles are the even and whose
//!    high nibbles the odd quads (four consecutive integers) of the 32; where two more bits remain,
//!    two with those of four quads each; where one remains, one with that of quad `q` as its bit
//!    `q`. Integers of 8 bits are eight registers.

use std::ops::Range;

use super::formats::Format;
use super::{GROUP, QUADS};
use crate::compute::line::LINE;

/// Where things lie in the tiles of a matrix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Weight rows of the matrix.
    pub(super) rows: usize,
    /// Values in a row.
    pub(super) columns: usize,
    /// Weight rows in a tile.
    pub(super) lanes: usize,
    scales: usize,
    quants: usize,
    tile: usize,
}

impl Layout {
    pub(super) fn new<F: Format>(rows: usize, columns: usize, lanes: usize) -> Self {
        let groups = columns / GROUP;
        let scales = columns / F::VALUES * F::HEADERS * 2 * lanes;
        let quants = (scales + groups * F::SCALES * lanes).next_multiple_of(LINE);
        let tile = (quants + groups * F::BITS * 4 * lanes).next_multiple_of(LINE);
        Self {
            rows,
            columns,
            lanes,
            scales,
            quants,
            tile,
        }
    }

    /// Tiles of the matrix; the last may be filled up with repetitions of the last row.
    pub(super) fn tiles(&self) -> usize {
        self.rows.div_ceil(self.lanes)
    }

    /// Bytes of all tiles.
    pub(super) fn bytes(&self) -> usize {
        self.tiles() * self.tile
    }

    /// Bytes of one tile.
    pub(super) fn tile_bytes(&self) -> usize {
        self.tile
    }

    /// The bytes of a tile.
    pub(super) fn tile(&self, index: usize) -> Range<usize> {
        index * self.tile..(index + 1) * self.tile
    }

    /// Where a block's header begins in its tile.
    #[inline(always)]
    pub(super) fn header<F: Format>(&self, block: usize) -> usize {
        block * F::HEADERS * 2 * self.lanes
    }

    /// Where a group's scales begin in its tile.
    #[inline(always)]
    pub(super) fn scales<F: Format>(&self, group: usize) -> usize {
        self.scales + group * F::SCALES * self.lanes
    }

    /// Where a group's integers begin in its tile.
    #[inline(always)]
    pub(super) fn quants<F: Format>(&self, group: usize) -> usize {
        self.quants + group * F::BITS * 4 * self.lanes
    }

    /// Packs tile `index`; `row` gives the blocks of a weight row as they lie in the file.
    pub(super) fn pack<'a, F: Format>(
        &self,
        index: usize,
        row: impl Fn(usize) -> &'a [u8],
        out: &mut [u8],
    ) {
        let lanes = self.lanes;
        for lane in 0..lanes {
            let row = row((index * lanes + lane).min(self.rows - 1));
            for (b, block) in row.chunks_exact(F::BYTES).enumerate() {
                for (i, number) in F::header(block)[..F::HEADERS].iter().enumerate() {
                    let at = self.header::<F>(b) + (i * lanes + lane) * 2;
                    out[at..at + 2].copy_from_slice(number);
                }
                for g in 0..F::VALUES / GROUP {
                    let group = b * (F::VALUES / GROUP) + g;
                    let at = self.scales::<F>(group);
                    let width = F::SCALE_WIDTH;
                    let scales = F::scales(block, g);
                    for (i, number) in scales[..F::SCALES].chunks_exact(width).enumerate() {
                        let at = at + (i * lanes + lane) * width;
                        out[at..at + width].copy_from_slice(number);
                    }
                    let mut quads = [0u32; QUADS];
                    for (q, quad) in quads.iter_mut().enumerate() {
                        *quad = F::quad(block, g, q);
                    }
                    let mut at = self.quants::<F>(group) + 4 * lane;
                    let mut plane = |bits: u32| {
                        out[at..at + 4].copy_from_slice(&bits.to_le_bytes());
                        at += 4 * lanes;
                    };
                    if F::BITS == 8 {
                        quads.into_iter().for_each(plane);
                        continue;
                    }
                    let mut bits = 0;
                    if F::BITS & 4 != 0 {
                        for pair in quads.as_chunks::<2>().0 {
                            plane(pair[0] & 0x0f0f_0f0f | (pair[1] & 0x0f0f_0f0f) << 4);
                        }
                        bits = 4;
                    }
                    for width in [2, 1] {
                        if F::BITS & width == 0 {
                            continue;
                        }
                        let mask = ((1 << width) - 1) * 0x0101_0101;
                        for quads in quads.chunks_exact(8 / width) {
                            let quads = quads.iter().enumerate();
                            plane(quads.fold(0, |plane, (q, quad)| {
                                plane | (quad >> bits & mask) << (q * width)
                            }));
                        }
                        bits += width;
                    }
                }
            }
        }
    }
}
