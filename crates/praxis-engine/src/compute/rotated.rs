//! Weights that come as floats, rounded to 8 bits, and their products with activations rounded to 8
//! bits: those of encoders; what is quantized in a file stays as it is. Both have a scale for each
//! stretch of 128 values of a row, so that a product is integers for most of its way.
//!
//! With so few scales a large value would take the precision of its neighbours. So rows are rotated
//! before they are rounded: 16 values at a time become their sums with all patterns of signs (a Hadamard
//! matrix), which share a large value out among them. Rotating both sides leaves products as they are
//! (QuaRot, Ashkboos et al. 2024, <https://arxiv.org/abs/2404.00456>).
//!
//! AVX2 without dot products of bytes multiplies bytes of which one has no sign, and sums up two
//! products in 16 bits: those of 7 by 8 bits fit, where those of 8 by 8 need steps for the sign. Weights
//! have 7 bits there. `docs/engine.md` says what rounding costs.

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

/// Bytes of weights that a task reads at most: a share of a small second-level cache.
const KEPT: usize = 96 << 10;

/// Values that are mixed by a rotation, each so many places after the one before.
const MIXED: usize = 16;
const APART: usize = STRETCH / MIXED;

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
    /// The sum of the values, as a weight's centre is taken away with it.
    whole: f32,
}

impl Stretches {
    /// Takes rows of `columns` values, whole stretches, instead of what was there.
    pub(super) fn round(&mut self, x: &[f32], columns: usize) {
        self.rows = x.len() / columns;
        let (x, rest) = x.as_chunks::<STRETCH>();
        assert!(rest.is_empty(), "rows of whole stretches");
        let values = room(&mut self.values, x.len(), [0; STRETCH]);
        let scales = room(&mut self.scales, x.len(), Scale::default());
        let part = 4 * columns / STRETCH;
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
            let group = round_group(&rotate(x), values);
            *scale = Scale {
                step: group.scale,
                whole: group.whole,
            };
        }
    }
}

/// A stretch in other coordinates; the same once more gives it back. Written so that the compiler
/// makes vector instructions of it.
#[inline(always)]
fn rotate(x: &[f32; STRETCH]) -> [f32; STRETCH] {
    let mut x = *x;
    for x in &mut x {
        *x *= 0.25;
    }
    mix::<APART>(&mut x);
    mix::<{ 2 * APART }>(&mut x);
    mix::<{ 4 * APART }>(&mut x);
    mix::<{ 8 * APART }>(&mut x);
    x
}

/// Sums and differences of values that are so far apart.
#[inline(always)]
fn mix<const DISTANCE: usize>(x: &mut [f32; STRETCH]) {
    for pairs in x.chunks_exact_mut(2 * DISTANCE) {
        let (left, right) = pairs.split_at_mut(DISTANCE);
        for (left, right) in left.iter_mut().zip(right) {
            (*left, *right) = (*left + *right, *left - *right);
        }
    }
}

/// A stretch of weights rotated and as integers of so many bits with a sign, and what one step of them stands for.
fn round_weights(bits: usize, weights: &[f32; STRETCH]) -> ([i8; STRETCH], f32) {
    let weights = rotate(weights);
    let max = weights.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    let largest = ((1 << (bits - 1)) - 1) as f32;
    let inverse = if max > 0.0 { largest / max } else { 0.0 };
    (weights.map(|x| (x * inverse).round() as i8), max / largest)
}

/// Packs a matrix, whose rows are whole stretches, for the instructions it runs with.
#[derive(Clone, Copy)]
pub(super) struct Pack<'a> {
    pub(super) values: &'a [f32],
    pub(super) columns: usize,
}

impl Kernel for Pack<'_> {
    type Output = Box<dyn Matrix>;

    fn run<I: Isa>(self, isa: I) -> Self::Output {
        Box::new(Rotated::new(isa, self))
    }
}

/// A matrix packed for some instructions: as many weight rows as a register has lanes form a tile,
/// in which the quads of all of them stand beside each other.
struct Rotated<I> {
    isa: I,
    rows: usize,
    columns: usize,
    weights: Vec<Line>,
    /// For each tile and stretch, one a lane.
    scales: Vec<f32>,
}

impl<I: Isa> Rotated<I> {
    /// Added to a weight's integer, so that it has no sign.
    const ADDED: i16 = 1 << (I::FAST_BITS - 1);

    /// What of that is in a sum of products.
    const CENTRE: f32 = match I::FAST_BITS == 8 && I::CENTERED {
        true => 0.0,
        false => Self::ADDED as f32,
    };

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
                        let weights = &values[row * stretches + stretch];
                        let (integers, step) = round_weights(I::FAST_BITS, weights);
                        scales[stretch * I::LANES + lane] = step;
                        for (q, quad) in integers.as_chunks::<4>().0.iter().enumerate() {
                            let at = ((stretch * QUADS + q) * I::LANES + lane) * 4;
                            let quad = quad.map(|integer| (i16::from(integer) + Self::ADDED) as u8);
                            bytes[at..at + 4].copy_from_slice(&quad);
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

impl<I: Isa> Matrix for Rotated<I> {
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
        for (stretch, out) in out.as_chunks_mut::<STRETCH>().0.iter_mut().enumerate() {
            let at = tile * (self.columns / STRETCH) + stretch;
            let step = self.scales[at * I::LANES + lane];
            for (q, quad) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let first = ((at * QUADS + q) * I::LANES + lane) * 4;
                for (out, byte) in quad.iter_mut().zip(&bytes[first..]) {
                    let integer = i16::from(*byte) - Self::ADDED;
                    *out = f32::from(integer) * step;
                }
            }
            *out = rotate(out);
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
    matrix: &'a Rotated<I>,
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
            // As many rows pass by the weights of a task together.
            let some = match left {
                8.. if M::ROWS == 8 => 8,
                4.. => 4,
                _ => 1,
            };
            for tile in self.tiles.clone() {
                match some {
                    8 => self.rows::<8>(isa, tile, row),
                    4 => self.rows::<4>(isa, tile, row),
                    _ => self.rows::<1>(isa, tile, row),
                }
            }
            row += some;
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
            let (dots, steps) = unsafe {
                (
                    isa.dots(I::FAST_BITS, quads, x),
                    isa.load_floats(steps.cast()),
                )
            };
            for (r, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
                let Scale { step, whole } = scales[r * stretches + stretch];
                let centre = isa.splat(-Rotated::<I>::CENTRE * whole);
                let dot = isa.mul_add(isa.to_float(dot), isa.splat(step), centre);
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

    /// A matrix for each set of instructions.
    fn packed(values: &[f32], columns: usize) -> Vec<(&'static str, Box<dyn Matrix>)> {
        simd::all(|| Pack { values, columns })
    }

    /// The weights as a matrix has rounded them.
    fn weights(matrix: &dyn Matrix) -> Vec<f32> {
        let mut values = vec![0.0; matrix.rows() * matrix.columns()];
        for (index, row) in values.chunks_mut(matrix.columns()).enumerate() {
            matrix.row(index, row);
        }
        values
    }

    /// Activations as the kernel rounds them.
    fn activations(x: &[f32]) -> Vec<f64> {
        let stretches = x.as_chunks::<STRETCH>().0.iter();
        let rounded = stretches.flat_map(|x| {
            let x = rotate(x);
            let max = x.iter().fold(0.0f32, |max, x| max.max(x.abs()));
            let inverse = if max > 0.0 { 127.0 / max } else { 0.0 };
            let integers = x.map(|x| (x * inverse).round_ties_even());
            rotate(&integers).map(|x| f64::from(x) * f64::from(max / 127.0))
        });
        rounded.collect()
    }

    #[test]
    fn a_rotation_keeps_products_and_is_its_own_inverse() {
        let (a, b) = (random(STRETCH, 6), random(STRETCH, 7));
        let (a, b) = (&a.as_chunks::<STRETCH>().0[0], &b.as_chunks().0[0]);
        let dot = |a: &[f32; STRETCH], b: &[f32; STRETCH]| {
            let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
            products.sum::<f64>()
        };
        assert!((dot(a, b) - dot(&rotate(a), &rotate(b))).abs() < 1e-5);
        for (x, again) in a.iter().zip(rotate(&rotate(a))) {
            assert!((x - again).abs() < 1e-6, "{x} {again}");
        }
        // One large value becomes sixteen that are a quarter of it.
        let mut one = [0.0; STRETCH];
        one[37] = 8.0;
        let shared = rotate(&one).map(f32::abs);
        assert_eq!(shared.iter().filter(|x| **x == 2.0).count(), MIXED);
        assert_eq!(shared.iter().sum::<f32>(), 32.0);
    }

    #[test]
    fn products_agree_with_double_precision_on_odd_shapes() {
        for (rows, columns) in shapes(STRETCH) {
            let values = random(rows * columns, 1);
            for (kernel, matrix) in packed(&values, columns) {
                let weights = weights(matrix.as_ref());
                assert_products_agree((kernel, matrix.as_ref()), &weights, activations, 4e-6);
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
        let columns = 2 * STRETCH;
        // Rotated once more, these are rows of the same value everywhere.
        let extreme = |rows: usize, x: f32| {
            let row = rotate(&[x; STRETCH]);
            row.repeat(rows * columns / STRETCH)
        };
        for weight in [1.0f32, -1.0] {
            for (kernel, matrix) in packed(&extreme(9, weight), columns) {
                for x in [1.0f32, -1.0] {
                    for ours in product(matrix.as_ref(), &extreme(13, x)) {
                        let exact = x * weight * columns as f32;
                        assert!((ours - exact).abs() < 0.01, "{kernel} {weight} {x}: {ours}");
                    }
                }
            }
        }
    }

    #[test]
    fn weights_are_as_near_as_their_bits_let_them() {
        let mut values = random(4 * STRETCH, 5);
        values[STRETCH..2 * STRETCH].fill(0.0);
        values[3 * STRETCH] = 20.0;
        for (kernel, matrix) in packed(&values, 2 * STRETCH) {
            let rounded = weights(matrix.as_ref());
            let pairs = values.chunks(STRETCH).zip(rounded.chunks(STRETCH));
            for (values, rounded) in pairs {
                let error = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
                let mean = values.iter().zip(rounded).map(error).sum::<f64>() / STRETCH as f64;
                let largest = rotate(values.try_into().unwrap()).map(f32::abs);
                let largest = largest.into_iter().fold(0.0, f32::max);
                // Even errors of up to half a step are a twelfth of its square in the mean.
                let step = f64::from(largest / 63.0);
                assert!(mean <= step.powi(2) / 9.0, "{kernel}: {mean} of {largest}");
            }
        }
    }
}
