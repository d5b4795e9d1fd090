//! The arithmetic between the matrix products and attention: kernels over rows, compiled for each set
//! of instructions and shared out to the threads.

use rayon::prelude::*;

use crate::compute::math::{dot, exp, fma};
use crate::compute::simd::{self, Isa, Kernel};

/// Rows that a thread takes at once.
const ROWS: usize = 32;

/// Numbers that are summed or compared beside each other: one after the other would wait for each.
const LANES: usize = 32;

/// Folds lanes to one number, halves onto halves.
#[inline(always)]
fn fold(lanes: &[f32; LANES], with: impl Fn(f32, f32) -> f32) -> f32 {
    // Arrays of their own, so that each step is one instruction and none goes through memory.
    let (mut sixteen, mut eight, mut four) = ([0.0; 16], [0.0; 8], [0.0; 4]);
    for (i, to) in sixteen.iter_mut().enumerate() {
        *to = with(lanes[i], lanes[i + 16]);
    }
    for (i, to) in eight.iter_mut().enumerate() {
        *to = with(sixteen[i], sixteen[i + 8]);
    }
    for (i, to) in four.iter_mut().enumerate() {
        *to = with(eight[i], eight[i + 4]);
    }
    with(with(four[0], four[2]), with(four[1], four[3]))
}

/// The sum of what `of` makes of each number.
#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += of(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += of(*value);
    }
    fold(&lanes, |a, b| a + b)
}

/// The larger number, as one instruction has it.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The error function within 5e-7, as a ratio of polynomials: no branch and no exponential.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let s = x * x;
    let mut p = -2.726_142_3e-10;
    for coefficient in [
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ] {
        p = fma(p, s, coefficient);
    }
    let mut q = -1.456_607_2e-5;
    for coefficient in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_474e-2] {
        q = fma(q, s, coefficient);
    }
    x * p / q
}

/// The Gaussian error linear unit of each number plus its bias (Hendrycks and Gimpel 2016, the exact
/// one by `erf`), in rows as long as `bias`.
pub(crate) fn gelu(rows: &mut [f32], bias: &[f32]) {
    rows.par_chunks_mut(ROWS * bias.len())
        .for_each(|rows| simd::run(Gelu { rows, bias }));
}

struct Gelu<'a> {
    rows: &'a mut [f32],
    bias: &'a [f32],
}

impl Kernel for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        for row in self.rows.chunks_exact_mut(self.bias.len()) {
            for (value, bias) in row.iter_mut().zip(self.bias) {
                let x = *value + bias;
                *value = 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
            }
        }
    }
}

/// The scale and shift of a layer norm (Ba et al. 2016).
pub(crate) struct Norm {
    /// Multiplied to each normalized number.
    pub(crate) weight: Vec<f32>,
    /// Added to it.
    pub(crate) bias: Vec<f32>,
    /// Added to the variance.
    pub(crate) epsilon: f32,
}

impl Norm {
    /// Normalizes each row.
    pub(crate) fn apply(&self, rows: &mut [f32]) {
        rows.par_chunks_mut(ROWS * self.weight.len())
            .for_each(|rows| simd::run(Normalize { rows, norm: self }));
    }

    /// Normalizes `rows + branch + bias`, row by row: the end of both halves of a layer.
    pub(crate) fn apply_to_sum(&self, rows: &mut [f32], branch: &[f32], bias: &[f32]) {
        let part = ROWS * self.weight.len();
        rows.par_chunks_mut(part)
            .zip(branch.par_chunks(part))
            .for_each(|(rows, branch)| {
                simd::run(AddAndNormalize {
                    rows,
                    branch,
                    bias,
                    norm: self,
                });
            });
    }

    #[inline(always)]
    fn apply_to_row(&self, row: &mut [f32]) {
        let count = row.len() as f32;
        let mean = sum(row, |x| x) / count;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / count;
        let scale = 1.0 / (variance + self.epsilon).sqrt();
        for ((value, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
            *value = fma((*value - mean) * scale, *weight, *bias);
        }
    }
}

struct Normalize<'a> {
    rows: &'a mut [f32],
    norm: &'a Norm,
}

impl Kernel for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        for row in self.rows.chunks_exact_mut(self.norm.weight.len()) {
            self.norm.apply_to_row(row);
        }
    }
}

struct AddAndNormalize<'a> {
    rows: &'a mut [f32],
    branch: &'a [f32],
    bias: &'a [f32],
    norm: &'a Norm,
}

impl Kernel for AddAndNormalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let width = self.norm.weight.len();
        let branches = self.branch.chunks_exact(width);
        for (row, branch) in self.rows.chunks_exact_mut(width).zip(branches) {
            for ((value, branch), bias) in row.iter_mut().zip(branch).zip(self.bias) {
                *value += branch + bias;
            }
            self.norm.apply_to_row(row);
        }
    }
}

/// Adds `other` to `row`.
pub(crate) fn add(row: &mut [f32], other: &[f32]) {
    for (value, other) in row.iter_mut().zip(other) {
        *value += other;
    }
}

/// Replaces scores by their exponentials relative to the largest, and returns what makes these sum
/// to one.
#[inline(always)]
pub(crate) fn softmax(scores: &mut [f32]) -> f32 {
    let (chunks, rest) = scores.as_chunks_mut::<LANES>();
    let mut largest = [f32::NEG_INFINITY; LANES];
    for chunk in chunks.iter() {
        for (lane, value) in largest.iter_mut().zip(chunk) {
            *lane = larger(*value, *lane);
        }
    }
    for (lane, value) in largest.iter_mut().zip(rest.iter()) {
        *lane = larger(*value, *lane);
    }
    let max = fold(&largest, larger);
    let mut sums = [0.0f32; LANES];
    for chunk in chunks {
        for (lane, value) in sums.iter_mut().zip(chunk) {
            *value = exp(*value - max);
            *lane += *value;
        }
    }
    for (lane, value) in sums.iter_mut().zip(rest) {
        *value = exp(*value - max);
        *lane += *value;
    }
    1.0 / fold(&sums, |a, b| a + b)
}

/// Scales a vector to length 1; the zero vector stays.
pub(crate) fn unit_length(vector: &mut [f32]) {
    let norm = dot(vector, vector).sqrt().max(1e-12);
    for value in vector {
        *value /= norm;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// erf by its series, in double precision.
    fn erf_exact(x: f64) -> f64 {
        let (mut term, mut total) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            total += term / f64::from(2 * n + 1);
        }
        total * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn gelu_is_exact_to_single_precision() {
        let numbers: Vec<f32> = (-600..=600).map(|step| step as f32 / 100.0).collect();
        let bias = 0.125;
        let mut values: Vec<f32> = numbers.iter().map(|x| x - bias).collect();
        gelu(&mut values, &vec![bias; numbers.len()]);
        for (x, value) in numbers.iter().zip(values) {
            let x = f64::from(*x);
            let exact = 0.5 * x * (1.0 + erf_exact(x / std::f64::consts::SQRT_2));
            let error = (f64::from(value) - exact).abs();
            assert!(error < 2e-6, "gelu({x}) = {value}, exactly {exact}");
        }
    }

    #[test]
    fn softmax_sums_to_one_and_keeps_proportions() {
        for width in [1, 3, 8, 19, 40] {
            let mut row: Vec<f32> = (0..width).map(|at| at as f32 * 0.75 - 9.0).collect();
            let exact: Vec<f64> = row.iter().map(|value| f64::from(*value).exp()).collect();
            let total = exact.iter().sum::<f64>();
            let share = softmax(&mut row);
            for (value, exact) in row.iter().zip(&exact) {
                let weight = f64::from(value * share);
                assert!((weight - exact / total).abs() < 1e-6, "{row:?}");
            }
        }
        let mut far_apart = [0.0, -1000.0, f32::MIN];
        assert_eq!(softmax(&mut far_apart) * far_apart[0], 1.0);
    }

    #[test]
    fn layer_norm_agrees_with_double_precision() {
        for width in [1, 12, 33, 48] {
            let number = |at: usize| ((at * 37 + at / 3) % 17) as f32 / 4.0 - 2.0;
            let row: Vec<f32> = (0..width).map(number).collect();
            let branch: Vec<f32> = (0..width).map(|at| number(at + 5)).collect();
            let bias: Vec<f32> = (0..width).map(|at| number(at + 11)).collect();
            let norm = Norm {
                weight: (0..width).map(|at| number(at + 3)).collect(),
                bias: (0..width).map(|at| number(at + 7)).collect(),
                epsilon: 1e-5,
            };
            let (mut alone, mut summed) = (row.repeat(2), row.repeat(2));
            norm.apply(&mut alone);
            norm.apply_to_sum(&mut summed, &branch.repeat(2), &bias);
            let sums = |at: usize| row[at] + branch[at] + bias[at];
            let cases: [(_, &dyn Fn(usize) -> f32); 2] =
                [(alone, &|at| row[at]), (summed, &|at| sums(at))];
            for (ours, number) in cases {
                let numbers: Vec<f64> = (0..width).map(|at| f64::from(number(at))).collect();
                let mean = numbers.iter().sum::<f64>() / width as f64;
                let square = numbers.iter().map(|x| (x - mean) * (x - mean));
                let scale = 1.0 / (square.sum::<f64>() / width as f64 + 1e-5).sqrt();
                for (at, ours) in ours.iter().enumerate() {
                    let at = at % width;
                    let (weight, bias) = (f64::from(norm.weight[at]), f64::from(norm.bias[at]));
                    let exact = (numbers[at] - mean) * scale * weight + bias;
                    assert!((f64::from(*ours) - exact).abs() < 1e-5, "{width} {at}");
                }
            }
        }
    }

    #[test]
    fn the_zero_vector_keeps_its_length_and_others_get_length_one() {
        let (mut zero, mut other) = ([0.0; 3], [3.0, 0.0, 4.0]);
        unit_length(&mut zero);
        unit_length(&mut other);
        assert_eq!((zero, other), ([0.0; 3], [0.6, 0.0, 0.8]));
    }
}
