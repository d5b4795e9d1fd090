//! Weights rounded to 7 bits, for AVX2 without dot products of bytes, and their products with
//! activations rounded to 8 bits. Both have a scale for each stretch of 128 values of a row, so that a
//! product is integers for most of its way.
//!
//! The instruction there multiplies bytes of which one has no sign, and sums up two products in 16
//! bits: those of 7 by 8 bits fit, where those of 8 by 8 need two steps more. With fewer scales, this is
//! twice as fast as [`super::packed`] has it with 8 bits; `docs/engine.md` says what it costs. It is
//! for encoders, whose weights come as floats: what is quantized in a file stays as it is.

use std::ops::Range;

use rayon::prelude::*;

use super::line::{LINE, Line, room};
use super::linear::{Input, Matrix, Rounding};
use super::packed::round_group;
use super::shared::Disjoint;
use super::simd::{self, Isa, Kernel};

/// Values that share a scale.
pub(crate) const STRETCH: usize = 128;

/// Four consecutive values, those of one instruction.
const QUADS: usize = STRETCH / 4;

/// Bits of a weight.
const BITS: usize = 7;

/// The largest integer of a weight; the smallest is as far from zero.
const LARGEST: f32 = 63.0;

/// Added to a weight's integer, so that it has no sign.
const CENTRE: f32 = 64.0;

/// Bytes of weights that a task reads at most: a share of a small second-level cache.
const KEPT: usize = 96 << 10;

/// Rows of activations that pass by the weights of a task together.
const ROWS: usize = 4;

/// Rows of activations, rounded to 8 bits in stretches.
#[derive(Default)]
pub(crate) struct Stretches {
    rows: usize,
    values: Vec<[i8; STRETCH]>,
    scales: Vec<Scale>,
}

/// What a stretch of activations is multiplied with.
#[derive(Clone, Copy, Default)]
struct Scale {
    /// What one step of the integers stands for.
    step: f32,
    /// What [`CENTRE`] adds to a sum, with the sign that takes it away.
    centre: f32,
}

impl Stretches {
    /// Takes rows of `columns` values, whole stretches, instead of what was there.
    pub(super) fn round(&mut self, x: &[f32], columns: usize) {
        self.rows = x.len() / columns;
        let (x, rest) = x.as_chunks::<STRETCH>();
        assert!(rest.is_empty(), "rows of whole stretches");
        let values = room(&mut self.values, x.len(), [0; STRETCH]);
        let scales = room(&mut self.scales, x.len(), Scale::default());
        let part = ROWS * columns / STRETCH;
        x.par_chunks(part)
            .zip(values.par_chunks_mut(part))
            .zip(scales.par_chunks_mut(part))
            .for_each(|((x, values), scales)| simd::run(Round { x, values, scales }));
    }
}

struct Round<'a> {
    x: &'a [[f32; STRETCH]],
    values: &'a mut [[i8; STRETCH]],
    scales: &'a mut [Scale],
}

impl Kernel for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let to = self.values.iter_mut().zip(self.scales);
        for (x, (values, scale)) in self.x.iter().zip(to) {
            let group = round_group(x, values);
            *scale = Scale {
                step: group.scale,
                centre: -CENTRE * group.whole,
            };
        }
    }
}

/// A stretch of weights as integers without a sign, and what one step of them stands for. Of a few
/// scales the one that is nearest in the mean is taken: the largest weight need not be met.
fn round_weights(weights: &[f32; STRETCH]) -> ([u8; STRETCH], f32) {
    let max = weights.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let rounded = |step: f32| {
        let inverse = if step > 0.0 { 1.0 / step } else { 0.0 };
        weights.map(|x| (x * inverse).round().clamp(-LARGEST, LARGEST))
    };
    let error = |step: f32| {
        let pairs = rounded(step).into_iter().zip(weights);
        pairs.map(|(r, x)| (r * step - x).powi(2)).sum::<f32>()
    };
    let steps = [LARGEST, 64.0, 66.0].map(|range| max / range);
    let nearest = steps
        .into_iter()
        .min_by(|a, b| error(*a).total_cmp(&error(*b)));
    let step = nearest.unwrap_or_default();
    (rounded(step).map(|r| (r + CENTRE) as u8), step)
}

/// Packs a matrix for the instructions it runs with; `None` where it has no whole stretches or the
/// instructions multiply 8 bits as fast.
#[derive(Clone, Copy)]
pub(super) struct Pack<'a> {
    pub(super) values: &'a [f32],
    pub(super) columns: usize,
}

impl Kernel for Pack<'_> {
    type Output = Option<Box<dyn Matrix>>;

    fn run<I: Isa>(self, isa: I) -> Self::Output {
        let fits = I::SEVEN_BITS && self.columns > 0 && self.columns.is_multiple_of(STRETCH);
        fits.then(|| Box::new(SevenBits::new(isa, self)) as Box<dyn Matrix>)
    }
}

/// A matrix packed for some instructions: as many weight rows as a register has lanes form a tile,
/// in which the quads of all of them stand beside each other.
struct SevenBits<I> {
    isa: I,
    rows: usize,
    columns: usize,
    weights: Vec<Line>,
    /// For each tile and stretch, one a lane.
    scales: Vec<f32>,
}

impl<I: Isa> SevenBits<I> {
    fn new(isa: I, pack: Pack<'_>) -> Self {
        let columns = pack.columns;
        let rows = pack.values.len() / columns;
        let (stretches, tiles) = (columns / STRETCH, rows.div_ceil(I::LANES));
        let mut weights = Line::zeros(tiles * columns * I::LANES);
        let mut scales = vec![0.0; tiles * stretches * I::LANES];
        let values = pack.values.as_chunks::<STRETCH>().0;
        let bytes = Line::bytes_mut(&mut weights);
        bytes
            .par_chunks_exact_mut(columns * I::LANES)
            .zip(scales.par_chunks_exact_mut(stretches * I::LANES))
            .enumerate()
            .for_each(|(tile, (bytes, scales))| {
                for lane in 0..I::LANES {
                    // The last tile is filled up with repetitions of the last row.
                    let row = (tile * I::LANES + lane).min(rows - 1);
                    for stretch in 0..stretches {
                        let (integers, step) = round_weights(&values[row * stretches + stretch]);
                        scales[stretch * I::LANES + lane] = step;
                        for (q, quad) in integers.as_chunks::<4>().0.iter().enumerate() {
                            let at = ((stretch * QUADS + q) * I::LANES + lane) * 4;
                            bytes[at..at + 4].copy_from_slice(quad);
                        }
                    }
                }
            });
        Self {
            isa,
            rows,
            columns,
            weights,
            scales,
        }
    }

    fn tiles(&self) -> usize {
        self.rows.div_ceil(I::LANES)
    }

    /// Tiles that one task takes.
    fn share(&self) -> usize {
        let fair = self.tiles().div_ceil(rayon::current_num_threads() * 4);
        fair.min(KEPT / (self.columns * I::LANES)).max(1)
    }

    /// The quads and scales of a stretch of a tile.
    #[inline(always)]
    fn stretch(&self, tile: usize, stretch: usize) -> (&[I::Int], *const f32) {
        let at = tile * (self.columns / STRETCH) + stretch;
        let registers = at * QUADS..(at + 1) * QUADS;
        assert!(registers.end * 4 * I::LANES <= self.weights.len() * LINE);
        let scales = &self.scales[at * I::LANES..(at + 1) * I::LANES];
        let start = self.weights.as_ptr().cast::<I::Int>();
        // SAFETY: so many registers are there, each aligned as a part of a line, and any bits are
        // integers.
        let quads = unsafe { std::slice::from_raw_parts(start.add(registers.start), QUADS) };
        (quads, scales.as_ptr())
    }
}

impl<I: Isa> Matrix for SevenBits<I> {
    fn tasks(&self, rows: usize) -> usize {
        match rows {
            0 => 0,
            _ => self.tiles().div_ceil(self.share()),
        }
    }

    fn run(&self, task: usize, x: &Input<'_>, out: &Disjoint<'_>) {
        let share = self.share();
        self.isa.run(Product {
            matrix: self,
            x: x.stretches,
            tiles: task * share..self.tiles().min((task + 1) * share),
            out,
        });
    }

    fn rounding(&self) -> Option<Rounding> {
        Some(Rounding::Stretches)
    }

    fn row(&self, index: usize, out: &mut [f32]) {
        let bytes = Line::bytes(&self.weights);
        let (tile, lane) = (index / I::LANES, index % I::LANES);
        for (at, out) in out.iter_mut().enumerate() {
            let register = tile * self.columns / 4 + at / 4;
            let byte = bytes[(register * I::LANES + lane) * 4 + at % 4];
            let stretch = tile * (self.columns / STRETCH) + at / STRETCH;
            *out = (f32::from(byte) - CENTRE) * self.scales[stretch * I::LANES + lane];
        }
    }

    fn bytes(&self) -> usize {
        self.weights.len() * LINE + size_of_val(self.scales.as_slice())
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn columns(&self) -> usize {
        self.columns
    }
}

/// Some tiles with all rows of activations.
struct Product<'a, I> {
    matrix: &'a SevenBits<I>,
    x: &'a Stretches,
    tiles: Range<usize>,
    out: &'a Disjoint<'a>,
}

impl<M: Isa> Kernel for Product<'_, M> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let (isa, mut row) = (self.matrix.isa, 0);
        while row < self.x.rows {
            let left = self.x.rows - row;
            for tile in self.tiles.clone() {
                if left >= ROWS {
                    self.rows::<ROWS>(isa, tile, row);
                } else {
                    self.rows::<1>(isa, tile, row);
                }
            }
            row += if left >= ROWS { ROWS } else { 1 };
        }
    }
}

impl<I: Isa> Product<'_, I> {
    /// `R` rows from `first` with a tile.
    #[inline(always)]
    fn rows<const R: usize>(&self, isa: I, tile: usize, first: usize) {
        let stretches = self.matrix.columns / STRETCH;
        let rows = first * stretches..(first + R) * stretches;
        let values = &self.x.values[rows.clone()];
        let scales = &self.x.scales[rows];
        let mut sums = [isa.splat(0.0); R];
        for stretch in 0..stretches {
            let (quads, steps) = self.matrix.stretch(tile, stretch);
            let mut x = [std::ptr::null(); R];
            for (r, x) in x.iter_mut().enumerate() {
                *x = values[r * stretches + stretch].as_ptr();
            }
            // SAFETY: each row has as many quads in a stretch, and there is a scale a lane.
            let (dots, steps) =
                unsafe { (isa.dots(BITS, quads, x), isa.load_floats(steps.cast())) };
            for (r, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
                let Scale { step, centre } = scales[r * stretches + stretch];
                let dot = isa.mul_add(isa.to_float(dot), isa.splat(step), isa.splat(centre));
                *sum = isa.mul_add(dot, steps, *sum);
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            let at = (first + r) * self.matrix.rows + tile * I::LANES;
            let lanes = I::LANES.min(self.matrix.rows - tile * I::LANES);
            // SAFETY: each tile belongs to one task, which writes each row of it once.
            unsafe { self.out.store(isa, at, lanes, sums) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::testing::{
        assert_products_agree, assert_rows_are_alone, product, random, shapes,
    };

    /// A matrix for each set of instructions that has such a kernel. Says where there is none.
    fn packed(values: &[f32], columns: usize) -> Vec<(&'static str, Box<dyn Matrix>)> {
        let all = simd::all(|| Pack { values, columns });
        let all: Vec<_> = all
            .into_iter()
            .filter_map(|(name, m)| Some((name, m?)))
            .collect();
        if all.is_empty() {
            eprintln!("SKIPPED: this processor has no AVX2");
        }
        all
    }

    /// The weights as they are rounded.
    fn weights(values: &[f32]) -> Vec<f32> {
        let stretches = values.as_chunks::<STRETCH>().0.iter();
        let rounded = stretches.flat_map(|stretch| {
            let (integers, step) = round_weights(stretch);
            integers.map(|integer| (f32::from(integer) - CENTRE) * step)
        });
        rounded.collect()
    }

    /// Activations as the kernel rounds them.
    fn activations(x: &[f32]) -> Vec<f64> {
        x.chunks(STRETCH)
            .flat_map(|stretch| {
                let max = stretch.iter().fold(0.0f32, |max, x| max.max(x.abs()));
                let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
                let step = f64::from(max / 127.0);
                let round = move |x: &f32| f64::from((x * inverse).round_ties_even()) * step;
                stretch.iter().map(round)
            })
            .collect()
    }

    #[test]
    fn products_agree_with_double_precision_on_odd_shapes() {
        for (rows, columns) in shapes(STRETCH) {
            let values = random(rows * columns, 1);
            for (kernel, matrix) in packed(&values, columns) {
                let matrix = (kernel, matrix.as_ref());
                assert_products_agree(matrix, &weights(&values), activations, 4e-6);
            }
        }
    }

    #[test]
    fn a_row_of_a_product_does_not_depend_on_the_others() {
        for (kernel, matrix) in packed(&random(41 * 512, 3), 512) {
            assert_rows_are_alone((kernel, matrix.as_ref()));
        }
    }

    #[test]
    fn the_largest_integers_do_not_overflow() {
        let (rows, columns) = (9, 2 * STRETCH);
        for weight in [1.0f32, -1.0] {
            for (kernel, matrix) in packed(&vec![weight; rows * columns], columns) {
                for x in [1.0f32, -1.0] {
                    for ours in product(matrix.as_ref(), &vec![x; 5 * columns]) {
                        let exact = x * weight * columns as f32;
                        assert!((ours - exact).abs() < 0.01, "{kernel} {weight} {x}: {ours}");
                    }
                }
            }
        }
    }

    #[test]
    fn weights_are_nearer_than_half_a_step_of_the_largest() {
        let mut values = random(4 * STRETCH, 5);
        values[STRETCH..2 * STRETCH].fill(0.0);
        let error = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
        for (values, rounded) in values.chunks(STRETCH).zip(weights(&values).chunks(STRETCH)) {
            let max = values.iter().fold(0.0f32, |max, x| max.max(x.abs()));
            let mean = values.iter().zip(rounded).map(error).sum::<f64>() / STRETCH as f64;
            // Even errors of up to half a step are a twelfth of its square in the mean.
            assert!(
                mean <= f64::from(max / LARGEST).powi(2) / 10.0,
                "{mean} of {max}"
            );
        }
    }

    #[test]
    fn rows_of_no_whole_stretches_are_left_to_others() {
        assert!(packed(&random(96 * 2, 1), 96).is_empty());
    }
}
