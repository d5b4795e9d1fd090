//! Products with quantized weights on AVX2: eight weight rows at a time, one in each 32-bit lane.
//!
//! A group of 32 weights of eight rows is widened to bytes and transposed, so that one instruction
//! multiplies four values of all eight rows with four activations, and no sum crosses lanes. With
//! one row of activations (decoding) that happens in registers; with many (prefill) the widened
//! tile is kept in the second-level cache and reused for all of them. Both do the same arithmetic
//! in the same order, so results do not depend on how a prompt was cut.
//!
//! Activations are rounded to 8 bits in groups of 32. Formats without a kernel here (and other
//! processors) are multiplied the portable way, see [`super::linear`].

mod activations;
mod formats;
mod simd;

use std::cell::RefCell;
use std::marker::PhantomData;

use rayon::prelude::*;

use super::linear::Matrix;
use super::shared::Disjoint;
use crate::dtype::Dtype;
use crate::gguf::MappedTensor;
use activations::Activations;
use formats::{Format, Q4_0, Q4_1, Q4K, Q5K, Q6K, transpose};
use simd::*;

/// Weight rows in a tile: the 32-bit lanes of a register.
const LANES: usize = 8;
/// Values in a group of activations.
const GROUP: usize = 32;
/// Tiles that are kept in the second-level cache together.
const TILES: usize = 4;
/// Rows of activations that share the load of a weight.
const ROWS: usize = 4;

/// A matrix of one of the formats that have a kernel; `None` for others.
pub(super) fn matrix(tensor: &MappedTensor) -> Option<Box<dyn Matrix>> {
    fn boxed<F: Format + 'static>(tensor: &MappedTensor) -> Option<Box<dyn Matrix>> {
        let (rows, columns) = (tensor.shape()[0], tensor.shape()[1]);
        Some(Box::new(Tiled::<F> {
            tensor: tensor.clone(),
            rows,
            columns,
            kind: PhantomData,
        }))
    }
    match tensor.dtype() {
        Dtype::Q4_0 => boxed::<Q4_0>(tensor),
        Dtype::Q4_1 => boxed::<Q4_1>(tensor),
        Dtype::Q4K => boxed::<Q4K>(tensor),
        Dtype::Q5K => boxed::<Q5K>(tensor),
        Dtype::Q6K => boxed::<Q6K>(tensor),
        _ => None,
    }
}

struct Tiled<F> {
    tensor: MappedTensor,
    rows: usize,
    columns: usize,
    kind: PhantomData<fn() -> F>,
}

/// Widened weights of eight rows.
#[derive(Default)]
struct Tile {
    quants: Vec<[__m256i; LANES]>,
    scales: Vec<Scales>,
}

/// What turns a group's integers into weights, `scale * q + offset`, for eight rows. The second
/// of each is of the group's second half and used by formats whose scales change there.
#[derive(Clone, Copy)]
struct Scales {
    scale: [__m256; 2],
    offset: [__m256; 2],
}

thread_local! {
    static SCRATCH: RefCell<Vec<Tile>> = const { RefCell::new(Vec::new()) };
}

impl<F: Format> Tiled<F> {
    /// The blocks at `block` of eight rows from `first`; rows past the end repeat the last.
    #[inline(always)]
    fn blocks(&self, first: usize, block: usize) -> [&F::Block; LANES] {
        let mut blocks = [self.block(first, block); LANES];
        for (lane, of_row) in blocks.iter_mut().enumerate().skip(1) {
            *of_row = self.block((first + lane).min(self.rows - 1), block);
        }
        blocks
    }

    #[inline(always)]
    fn block(&self, row: usize, block: usize) -> &F::Block {
        let start = row * self.row_bytes() + block * size_of::<F::Block>();
        let bytes = &self.tensor.bytes()[start..start + size_of::<F::Block>()];
        // SAFETY: `F::Block` is an array of bytes, and as many bytes are there.
        unsafe { &*bytes.as_ptr().cast::<F::Block>() }
    }

    fn row_bytes(&self) -> usize {
        self.columns / F::VALUES * size_of::<F::Block>()
    }

    /// How far ahead of its use a weight is asked for when each is used once. The next tile follows
    /// in memory; where it is too far away for the first-level cache, the row itself is long enough.
    fn prefetch_distance(&self) -> usize {
        let tile = self.row_bytes() * LANES;
        if tile <= 16 << 10 {
            tile
        } else {
            8 * size_of::<F::Block>().max(64)
        }
    }

    /// The integers of one group of eight rows, transposed.
    #[inline(always)]
    fn quants(blocks: &[&F::Block; LANES], group: usize) -> [__m256i; LANES] {
        let mut rows = [_mm256_setzero_si256(); LANES];
        for (row, block) in rows.iter_mut().zip(blocks) {
            *row = F::quants(block, group);
        }
        transpose(rows)
    }

    fn multiply_one(&self, x: &Activations, out: &Disjoint<'_>, first: usize) {
        let mut sum = [_mm256_setzero_ps()];
        let ahead = self.prefetch_distance();
        for block in 0..self.columns / F::VALUES {
            let blocks = self.blocks(first, block);
            for block in blocks {
                prefetch(block, ahead);
            }
            let mut scales = [Scales::zero(); 8];
            F::scales(&blocks, &mut scales);
            for (g, scales) in scales.iter().enumerate().take(F::VALUES / GROUP) {
                let quants = Self::quants(&blocks, g);
                let group = block * (F::VALUES / GROUP) + g;
                accumulate::<F, 1>(&quants, scales, x, 0, group, &mut sum);
            }
        }
        self.store(out, 0, first, sum[0]);
    }

    fn multiply_many(&self, x: &Activations, m: usize, out: &Disjoint<'_>, tiles: usize) {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize_with(TILES, Tile::default);
            let firsts = (tiles * TILES..(tiles + 1) * TILES).map(|tile| tile * LANES);
            let mut kept = Vec::with_capacity(TILES);
            for (tile, first) in scratch.iter_mut().zip(firsts) {
                if first < self.rows {
                    self.widen(tile, first);
                    kept.push((first, &*tile));
                }
            }
            let mut i = 0;
            while i + ROWS <= m {
                for (first, tile) in &kept {
                    self.multiply_rows::<ROWS>(tile, x, i, out, *first);
                }
                i += ROWS;
            }
            for i in i..m {
                for (first, tile) in &kept {
                    self.multiply_rows::<1>(tile, x, i, out, *first);
                }
            }
        });
    }

    fn widen(&self, tile: &mut Tile, first: usize) {
        tile.quants.clear();
        tile.scales.clear();
        for block in 0..self.columns / F::VALUES {
            let blocks = self.blocks(first, block);
            let mut scales = [Scales::zero(); 8];
            F::scales(&blocks, &mut scales);
            tile.scales.extend_from_slice(&scales[..F::VALUES / GROUP]);
            for g in 0..F::VALUES / GROUP {
                tile.quants.push(Self::quants(&blocks, g));
            }
        }
    }

    fn multiply_rows<const R: usize>(
        &self,
        tile: &Tile,
        x: &Activations,
        row: usize,
        out: &Disjoint<'_>,
        first: usize,
    ) {
        let mut sums = [_mm256_setzero_ps(); R];
        for (group, (quants, scales)) in tile.quants.iter().zip(&tile.scales).enumerate() {
            accumulate::<F, R>(quants, scales, x, row, group, &mut sums);
        }
        for (i, sum) in sums.into_iter().enumerate() {
            self.store(out, row + i, first, sum);
        }
    }

    fn store(&self, out: &Disjoint<'_>, row: usize, first: usize, sum: __m256) {
        let values = store(sum);
        let count = LANES.min(self.rows - first);
        // SAFETY: each tile belongs to one task, each row of it is written once.
        unsafe { out.write(row * self.rows + first, &values[..count]) };
    }
}

impl<F: Format + 'static> Matrix for Tiled<F> {
    fn multiply(&self, x: &[f32], m: usize, out: &mut [f32]) {
        assert!(
            x.len() == m * self.columns && out.len() == m * self.rows,
            "shapes of a product"
        );
        let x = Activations::new(x, self.columns);
        let out = Disjoint::new(out);
        let tiles = self.rows.div_ceil(LANES);
        if m == 1 {
            let share = tiles.div_ceil(rayon::current_num_threads() * 4).max(4);
            (0..tiles.div_ceil(share)).into_par_iter().for_each(|part| {
                for tile in part * share..tiles.min((part + 1) * share) {
                    self.multiply_one(&x, &out, tile * LANES);
                }
            });
        } else {
            (0..tiles.div_ceil(TILES))
                .into_par_iter()
                .for_each(|tiles| self.multiply_many(&x, m, &out, tiles));
        }
    }

    fn row(&self, index: usize, out: &mut [f32]) {
        self.tensor
            .dtype()
            .decode(self.tensor.row_bytes(index), out);
    }

    fn rows(&self) -> usize {
        self.rows
    }
}

impl Scales {
    fn zero() -> Self {
        let zero = [_mm256_setzero_ps(); 2];
        Self {
            scale: zero,
            offset: zero,
        }
    }
}

/// Adds the products of one group for `R` rows of activations from `row`.
#[inline(always)]
fn accumulate<F: Format, const R: usize>(
    quants: &[__m256i; LANES],
    scales: &Scales,
    x: &Activations,
    row: usize,
    group: usize,
    sums: &mut [__m256; R],
) {
    let mut rows = [x.group(row, group); R];
    for (r, of_row) in rows.iter_mut().enumerate().skip(1) {
        *of_row = x.group(row + r, group);
    }
    let halves = if F::HALVES { 2 } else { 1 };
    let steps = LANES / halves;
    for half in 0..halves {
        let mut totals = [_mm256_setzero_si256(); R];
        for step in 0..steps / F::STEPS {
            // Products of `F::STEPS` steps fit into 16 bits.
            let mut parts = [_mm256_setzero_si256(); R];
            for s in 0..F::STEPS {
                let quad = half * steps + step * F::STEPS + s;
                for (part, (values, _)) in parts.iter_mut().zip(&rows) {
                    let products = _mm256_maddubs_epi16(quants[quad], broadcast_4(values, quad));
                    *part = _mm256_add_epi16(*part, products);
                }
            }
            for (total, part) in totals.iter_mut().zip(parts) {
                let wide = _mm256_madd_epi16(part, _mm256_set1_epi16(1));
                *total = _mm256_add_epi32(*total, wide);
            }
        }
        for ((sum, total), (_, of_group)) in sums.iter_mut().zip(totals).zip(&rows) {
            let part = if F::HALVES {
                of_group.halves[half]
            } else {
                of_group.whole
            };
            let scale = _mm256_mul_ps(scales.scale[half], _mm256_set1_ps(of_group.scale));
            *sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(total), scale, *sum);
            *sum = _mm256_fmadd_ps(scales.offset[half], _mm256_set1_ps(part), *sum);
        }
    }
}

#[cfg(test)]
mod tests;
