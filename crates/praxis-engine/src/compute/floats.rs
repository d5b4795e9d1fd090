//! Weights of 16 or 32 bits: kept as they are stored, packed anew when a model is loaded, and
//! multiplied with activations that are not rounded. As many weight rows as two registers hold form
//! a tile, one row to a lane, so that no sum crosses lanes: for each column the weights of all rows
//! stand side by side.
//!
//! On a processor with a unit for bfloat16, see [`super::bulk`], prompts are multiplied with 16-bit
//! weights as bfloat16, which is what nearly all of them were before they were stored.
//!
//! Few rows of activations (decoding) widen the weights in registers, as they come from memory; for
//! many (prefill) 16-bit weights are widened once, into the second-level cache. Sums are made of
//! [`BLOCK`] columns and added to those of the columns before: in one order whatever the number of
//! rows, and closer to the exact ones than a single sum of all columns is.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use half::{bf16, f16};
use rayon::prelude::*;

use super::bulk::{self, Wide};
use super::line::{LINE, Line};
use super::linear::{Input, Matrix};
use super::pages::Pages;
use super::shared::Disjoint;
use super::simd::{self, Isa, Kernel};
use super::unit::Unit;
use crate::dtype::Dtype;
use crate::gguf::MappedTensor;

/// Columns whose products are summed up in registers.
const BLOCK: usize = 512;

/// Rows of activations up to which 16-bit weights are widened anew for each few of them.
const FEW: usize = 16;

/// Bytes of widened weights that are kept: half of a small second-level cache.
const KEPT: usize = 384 << 10;

/// How far ahead of its use a weight is asked for when it is read from memory.
const AHEAD: usize = 4096;

/// Packs a matrix of floats; `None` for other formats.
pub(super) fn matrix(tensor: &MappedTensor) -> Option<Box<dyn Matrix>> {
    simd::run(Pack(tensor))
}

/// Packs for the instructions that it runs with.
#[derive(Clone, Copy)]
pub(super) struct Pack<'a>(pub(super) &'a MappedTensor);

impl Kernel for Pack<'_> {
    type Output = Option<Box<dyn Matrix>>;

    fn run<I: Isa>(self, isa: I) -> Self::Output {
        match self.0.dtype() {
            Dtype::F32 => Some(packed::<I, f32>(isa, self.0)),
            Dtype::F16 => Some(packed::<I, f16>(isa, self.0)),
            Dtype::Bf16 => Some(packed::<I, bf16>(isa, self.0)),
            _ => None,
        }
    }
}

fn packed<I: Isa, N: Number>(isa: I, tensor: &MappedTensor) -> Box<dyn Matrix> {
    // Enough sums beside each other that none waits for the one before.
    if I::LANES < 8 {
        Box::new(Floats::<I, N, 4>::new(isa, tensor))
    } else {
        Box::new(Floats::<I, N, 2>::new(isa, tensor))
    }
}

/// A stored number.
trait Number: 'static {
    /// Bytes that it takes.
    const BYTES: usize;

    /// Loads one a lane, widened.
    ///
    /// # Safety
    /// `BYTES * LANES` bytes can be read.
    unsafe fn load<I: Isa>(isa: I, at: *const u8) -> I::Float;
}

impl Number for f32 {
    const BYTES: usize = 4;

    #[inline(always)]
    unsafe fn load<I: Isa>(isa: I, at: *const u8) -> I::Float {
        // SAFETY: the caller's promise.
        unsafe { isa.load_floats(at) }
    }
}

impl Number for f16 {
    const BYTES: usize = 2;

    #[inline(always)]
    unsafe fn load<I: Isa>(isa: I, at: *const u8) -> I::Float {
        // SAFETY: the caller's promise.
        unsafe { isa.load_halves(at) }
    }
}

impl Number for bf16 {
    const BYTES: usize = 2;

    #[inline(always)]
    unsafe fn load<I: Isa>(isa: I, at: *const u8) -> I::Float {
        // SAFETY: the caller's promise.
        unsafe { isa.load_upper_halves(at) }
    }
}

/// A matrix packed for some instructions, in tiles of `T` registers of weight rows.
struct Floats<I, N, const T: usize> {
    isa: I,
    rows: usize,
    columns: usize,
    tiles: Pages,
    /// The file's bytes, for single rows; none of a matrix that was made in memory.
    tensor: Option<MappedTensor>,
    number: PhantomData<fn() -> N>,
}

impl<I: Isa, N: Number, const T: usize> Floats<I, N, T> {
    /// Weight rows in a tile.
    const WIDTH: usize = T * I::LANES;

    fn new(isa: I, tensor: &MappedTensor) -> Self {
        let (rows, columns) = (tensor.shape()[0], tensor.shape()[1]);
        let bytes = Self::tile_bytes(columns);
        let mut tiles = Pages::new(rows.div_ceil(Self::WIDTH) * bytes);
        tiles
            .par_chunks_mut(bytes)
            .enumerate()
            .for_each(|(index, tile)| Self::pack(tensor, index * Self::WIDTH, tile));
        tensor.release();
        Self {
            isa,
            rows,
            columns,
            tiles,
            tensor: tensor.kept(),
            number: PhantomData,
        }
    }

    /// Bytes of a tile.
    fn tile_bytes(columns: usize) -> usize {
        (columns * Self::WIDTH * N::BYTES).next_multiple_of(LINE)
    }

    /// Packs the tile whose first weight row is `first`; lanes without a row repeat the last one.
    fn pack(tensor: &MappedTensor, first: usize, tile: &mut [u8]) {
        /// Bytes of a row that are moved before the next row's turn, so that their places stay in
        /// the first-level cache.
        const PART: usize = 128;
        let last = tensor.shape()[0] - 1;
        let row = |lane| tensor.row_bytes(last.min(first + lane));
        for start in (0..row(0).len()).step_by(PART) {
            for lane in 0..Self::WIDTH {
                let row = row(lane);
                let part = row[start..row.len().min(start + PART)].chunks_exact(N::BYTES);
                let places = tile[start * Self::WIDTH..].chunks_exact_mut(Self::WIDTH * N::BYTES);
                for (number, place) in part.zip(places) {
                    place[lane * N::BYTES..(lane + 1) * N::BYTES].copy_from_slice(number);
                }
            }
        }
    }

    fn tiles(&self) -> usize {
        self.rows.div_ceil(Self::WIDTH)
    }

    /// Tiles whose widened weights are kept together.
    fn kept() -> usize {
        (KEPT / (BLOCK * Self::WIDTH * 4)).max(1)
    }

    /// Tiles that one task takes: enough to be worth waking a thread, few enough to share fairly.
    fn share(&self, rows: usize) -> usize {
        let fair = self.tiles().div_ceil(rayon::current_num_threads() * 4);
        if rows <= FEW {
            fair
        } else {
            fair.min(Self::kept())
        }
    }
}

impl<I: Isa, N: Number, const T: usize> Matrix for Floats<I, N, T> {
    fn tasks(&self, rows: usize) -> usize {
        if rows == 0 {
            return 0;
        }
        self.tiles().div_ceil(self.share(rows))
    }

    fn run(&self, task: usize, x: &Input<'_>, out: &Disjoint<'_>) {
        let rows = x.rows_for(self);
        let share = self.share(rows);
        self.isa.run(Product::<N, T> {
            weights: &self.tiles,
            tile: Self::tile_bytes(self.columns),
            tiles: task * share..self.tiles().min((task + 1) * share),
            x: &x.x[..rows * self.columns],
            columns: self.columns,
            out,
            rows: self.rows,
            number: PhantomData,
        });
    }

    fn wide(&self, _: Unit) -> Option<&dyn Wide> {
        // Whoever keeps 32 bits wants them.
        let fits =
            N::BYTES == 2 && I::LANES == bulk::ROWS && self.columns.is_multiple_of(bulk::GROUP);
        fits.then_some(self)
    }

    fn row(&self, index: usize, out: &mut [f32]) {
        // Rows are asked of embeddings only, which lie in files.
        if let Some(tensor) = &self.tensor {
            tensor.dtype().decode(tensor.row_bytes(index), out);
        }
    }

    fn bytes(&self) -> usize {
        self.tiles.len()
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn columns(&self) -> usize {
        self.columns
    }
}

impl<I: Isa, N: Number, const T: usize> Wide for Floats<I, N, T> {
    fn widen(&self, tiles: Range<usize>, groups: Range<usize>, panel: &mut [Line]) {
        self.isa.run(Widen::<N, T> {
            weights: &self.tiles,
            tile: Self::tile_bytes(self.columns),
            tiles,
            groups,
            panel,
            number: PhantomData,
        });
    }
}

/// Makes bfloat16 tiles of weights, as [`bulk`] wants them: of each register of a tile one.
struct Widen<'a, N, const T: usize> {
    /// All tiles.
    weights: &'a [u8],
    /// Bytes of one.
    tile: usize,
    tiles: Range<usize>,
    groups: Range<usize>,
    panel: &'a mut [Line],
    number: PhantomData<fn() -> N>,
}

impl<N: Number, const T: usize> Kernel for Widen<'_, N, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let width = I::LANES * N::BYTES;
        let lines = self.panel.chunks_exact_mut(self.groups.len() * bulk::ROWS);
        for (tile, lines) in self.tiles.clone().zip(lines) {
            let from = &self.weights[tile / T * self.tile..(tile / T + 1) * self.tile];
            let first = self.groups.start * bulk::ROWS;
            for (pair, line) in lines.iter_mut().enumerate() {
                let at = (2 * (first + pair) * T + tile % T) * width;
                let (low, high) = (&from[at..][..width], &from[at + T * width..][..width]);
                // SAFETY: both slices have a register of numbers, and a line holds one of pairs.
                unsafe {
                    let (low, high) = (N::load(isa, low.as_ptr()), N::load(isa, high.as_ptr()));
                    isa.store(std::ptr::from_mut(line).cast(), isa.pair_bf16(low, high));
                }
            }
        }
    }
}

/// A part of a product: some tiles with all rows of activations.
struct Product<'a, N, const T: usize> {
    /// All tiles.
    weights: &'a [u8],
    /// Bytes of one.
    tile: usize,
    tiles: Range<usize>,
    x: &'a [f32],
    columns: usize,
    out: &'a Disjoint<'a>,
    /// Weight rows of the matrix.
    rows: usize,
    number: PhantomData<fn() -> N>,
}

thread_local! {
    /// Widened weights.
    static WIDE: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

impl<N: Number, const T: usize> Kernel for Product<'_, N, T> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let few = self.x.len() <= FEW * self.columns;
        if few || N::BYTES == 4 {
            let together = if few { 1 } else { self.tiles.len() };
            for first in self.tiles.clone().step_by(together.max(1)) {
                for block in 0..self.columns.div_ceil(BLOCK) {
                    let tiles = first..self.tiles.end.min(first + together);
                    let at = block * BLOCK * T * I::LANES * N::BYTES;
                    let source = self.weights[tiles.start * self.tile + at..].as_ptr();
                    self.block::<I, N>(isa, block, tiles, source, self.tile);
                }
            }
            return;
        }
        // Not within a closure: that would be compiled without the instructions.
        let mut wide = WIDE.take();
        let bytes = BLOCK * T * I::LANES * 4;
        let lines = (self.tiles.len() * bytes).div_ceil(LINE);
        if wide.len() < lines {
            wide.resize(lines, Line::ZERO);
        }
        let start = wide.as_mut_ptr().cast::<u8>();
        for block in 0..self.columns.div_ceil(BLOCK) {
            for (i, tile) in self.tiles.clone().enumerate() {
                // SAFETY: there are lines for a block of each of these tiles.
                unsafe { self.widen(isa, block, tile, start.add(i * bytes)) };
            }
            self.block::<I, f32>(isa, block, self.tiles.clone(), start, bytes);
        }
        WIDE.set(wide);
    }
}

impl<N: Number, const T: usize> Product<'_, N, T> {
    /// The columns of a block.
    #[inline(always)]
    fn columns(&self, block: usize) -> Range<usize> {
        block * BLOCK..self.columns.min((block + 1) * BLOCK)
    }

    /// Widens a block of a tile.
    ///
    /// # Safety
    /// There is room for a block at `to`.
    #[inline(always)]
    unsafe fn widen<I: Isa>(&self, isa: I, block: usize, tile: usize, to: *mut u8) {
        let columns = self.columns(block);
        let width = I::LANES * N::BYTES;
        let from = &self.weights[tile * self.tile..][columns.start * T * width..];
        let from = &from[..columns.len() * T * width];
        for i in 0..columns.len() * T {
            // SAFETY: the slice has as many registers of weights, and there is room for as many.
            unsafe {
                let wide = N::load(isa, from.as_ptr().add(i * width));
                isa.store_floats(to.add(i * I::LANES * 4), wide);
            }
        }
    }

    /// All rows of activations with a block of some tiles, which lie `stride` bytes apart from
    /// `source` on as numbers of type `S`.
    #[inline(always)]
    fn block<I: Isa, S: Number>(
        &self,
        isa: I,
        block: usize,
        tiles: Range<usize>,
        source: *const u8,
        stride: usize,
    ) {
        let rows = self.x.len() / self.columns;
        let mut row = 0;
        while row < rows {
            let left = rows - row;
            let step = match left {
                8.. if I::ROWS == 8 => 8,
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
            for (i, tile) in tiles.clone().enumerate() {
                let source = source.wrapping_add(i * stride);
                match step {
                    8 => self.rows::<I, S, 8>(isa, block, tile, source, row),
                    4 => self.rows::<I, S, 4>(isa, block, tile, source, row),
                    2 => self.rows::<I, S, 2>(isa, block, tile, source, row),
                    _ => self.rows::<I, S, 1>(isa, block, tile, source, row),
                }
            }
            row += step;
        }
    }

    /// `R` rows of activations from `first` with a block of a tile.
    #[inline(always)]
    fn rows<I: Isa, S: Number, const R: usize>(
        &self,
        isa: I,
        block: usize,
        tile: usize,
        source: *const u8,
        first: usize,
    ) {
        let columns = self.columns(block);
        let x = &self.x[first * self.columns..(first + R) * self.columns];
        let mut rows = [x.as_ptr(); R];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = x[i * self.columns + columns.start..].as_ptr();
        }
        let mut sums = [[isa.splat(0.0); T]; R];
        let width = I::LANES * S::BYTES;
        for k in 0..columns.len() {
            let at = source.wrapping_add(k * T * width);
            for line in (0..T * width).step_by(LINE) {
                isa.prefetch(at.wrapping_add(AHEAD + line));
            }
            let mut weights = [isa.splat(0.0); T];
            for (t, weights) in weights.iter_mut().enumerate() {
                // SAFETY: a block of the tile is there.
                *weights = unsafe { S::load(isa, at.add(t * width)) };
            }
            for (sums, row) in sums.iter_mut().zip(rows) {
                // SAFETY: each row has so many columns.
                let x = isa.splat(unsafe { *row.add(k) });
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = isa.mul_add(weights, x, *sum);
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            for (t, sum) in sums.into_iter().enumerate() {
                let column = (tile * T + t) * I::LANES;
                self.add(isa, block, first + i, column, sum);
            }
        }
    }

    /// Adds the sums of a block for `LANES` weight rows to what the blocks before came to.
    #[inline(always)]
    fn add<I: Isa>(&self, isa: I, block: usize, row: usize, column: usize, sums: I::Float) {
        if column >= self.rows {
            return;
        }
        let lanes = I::LANES.min(self.rows - column);
        let out = self.out.at(row * self.rows + column, lanes);
        let mut values = [0.0f32; 16];
        let place = if lanes == I::LANES {
            out
        } else {
            if block > 0 {
                // SAFETY: each tile belongs to one task, which wrote so many sums before.
                unsafe { std::ptr::copy_nonoverlapping(out, values.as_mut_ptr(), lanes) };
            }
            values.as_mut_ptr()
        };
        // SAFETY: a register of sums is at the place, and no register has more than 16 lanes.
        unsafe {
            let before = place.cast::<u8>();
            let sums = if block > 0 {
                isa.add(isa.load_floats(before), sums)
            } else {
                sums
            };
            isa.store_floats(before, sums);
        }
        if lanes < I::LANES {
            // SAFETY: each tile belongs to one task, and there is room for so many sums.
            unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), out, lanes) };
        }
    }
}

#[cfg(test)]
mod tests;
