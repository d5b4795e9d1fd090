//! The arithmetic between the matrix products, in plain loops that the compiler vectorizes.

/// Sums in eight lanes: a single accumulator could not be vectorized.
#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut lanes = [0.0f32; 8];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += of(*value);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|value| of(*value)).sum::<f32>()
}

/// The exponential within 2 ulp (Cephes' polynomial), for arguments up to 0 as softmax has them.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x > -87.0 { x } else { -87.0 };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        0.166_666_65,
        0.5,
    ] {
        p = p * r + coefficient;
    }
    let p = p * r * r + r + 1.0;
    // 2^n: n as the exponent, whose bias is 127.
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
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
        p = p * s + coefficient;
    }
    let mut q = -1.456_607_2e-5;
    for coefficient in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_474e-2] {
        q = q * s + coefficient;
    }
    x * p / q
}

/// The Gaussian error linear unit of each number (the exact one, by `erf`).
pub(crate) fn gelu(values: &mut [f32]) {
    for value in values {
        *value = 0.5 * *value * (1.0 + erf(*value * std::f32::consts::FRAC_1_SQRT_2));
    }
}

/// The scale and shift of a layer norm.
pub(crate) struct Norm {
    /// Multiplied to each normalized number.
    pub(crate) weight: Vec<f32>,
    /// Added to it.
    pub(crate) bias: Vec<f32>,
    /// Added to the variance.
    pub(crate) epsilon: f32,
}

#[inline(always)]
fn normalize(row: &mut [f32], norm: &Norm) {
    let count = row.len() as f32;
    let mean = sum(row, |value| value) / count;
    let variance = sum(row, |value| (value - mean) * (value - mean)) / count;
    let scale = 1.0 / (variance + norm.epsilon).sqrt();
    for ((value, weight), bias) in row.iter_mut().zip(&norm.weight).zip(&norm.bias) {
        *value = (*value - mean) * scale * weight + bias;
    }
}

/// Normalizes each row.
pub(crate) fn layer_norm(rows: &mut [f32], norm: &Norm) {
    for row in rows.chunks_exact_mut(norm.weight.len()) {
        normalize(row, norm);
    }
}

/// `rows = layer_norm(rows + branch)`: the end of both halves of a layer.
pub(crate) fn add_layer_norm(rows: &mut [f32], branch: &[f32], norm: &Norm) {
    let width = norm.weight.len();
    for (row, branch) in rows.chunks_exact_mut(width).zip(branch.chunks_exact(width)) {
        for (value, branch) in row.iter_mut().zip(branch) {
            *value += branch;
        }
        normalize(row, norm);
    }
}

/// Adds `other` to `row`.
pub(crate) fn add(row: &mut [f32], other: &[f32]) {
    for (value, other) in row.iter_mut().zip(other) {
        *value += other;
    }
}

/// The softmax of `scale` times each row of `width` numbers, rows being `stride` apart.
pub(crate) fn softmax(rows: &mut [f32], width: usize, stride: usize, scale: f32) {
    for row in rows.chunks_mut(stride) {
        let row = &mut row[..width];
        let (chunks, rest) = row.as_chunks::<8>();
        let mut lanes = [f32::NEG_INFINITY; 8];
        for chunk in chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane = if *value > *lane { *value } else { *lane };
            }
        }
        let largest = lanes
            .iter()
            .chain(rest)
            .copied()
            .fold(f32::NEG_INFINITY, f32::max);
        for value in row.iter_mut() {
            *value = exp((*value - largest) * scale);
        }
        let share = 1.0 / sum(row, |value| value);
        for value in row.iter_mut() {
            *value *= share;
        }
    }
}

/// Scales a vector to length 1; the zero vector stays.
pub(crate) fn unit_length(vector: &mut [f32]) {
    let norm = sum(vector, |value| value * value).sqrt().max(1e-12);
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
        for step in -480..=480 {
            let x = step as f32 / 100.0;
            let mut value = [x];
            gelu(&mut value);
            let exact =
                0.5 * f64::from(x) * (1.0 + erf_exact(f64::from(x) / std::f64::consts::SQRT_2));
            let error = (f64::from(value[0]) - exact).abs();
            assert!(error < 2e-6, "gelu({x}) = {}, exactly {exact}", value[0]);
        }
    }

    #[test]
    fn softmax_sums_to_one_and_keeps_proportions() {
        for width in [1, 3, 8, 19] {
            let mut row = (0..width)
                .map(|at| at as f32 * 1.5 - 9.0)
                .collect::<Vec<_>>();
            let exact = row
                .iter()
                .map(|value| f64::from(*value).exp())
                .collect::<Vec<_>>();
            let total = exact.iter().sum::<f64>();
            softmax(&mut row, width, width, 1.0);
            for (value, exact) in row.iter().zip(&exact) {
                assert!((f64::from(*value) - exact / total).abs() < 1e-6, "{row:?}");
            }
        }
        let mut far_apart = [0.0, -1000.0, f32::MIN];
        softmax(&mut far_apart, 3, 3, 1.0);
        assert_eq!(far_apart[0], 1.0);
    }

    #[test]
    fn layer_norm_centres_and_scales() {
        let norm = Norm {
            weight: vec![2.0; 12],
            bias: vec![1.0; 12],
            epsilon: 0.0,
        };
        let mut row = (0..12).map(|at| at as f32).collect::<Vec<_>>();
        layer_norm(&mut row, &norm);
        assert!(
            (row.iter().sum::<f32>() / 12.0 - 1.0).abs() < 1e-5,
            "{row:?}"
        );
        let spread = row
            .iter()
            .map(|value| (value - 1.0) * (value - 1.0))
            .sum::<f32>()
            / 12.0;
        assert!((spread - 4.0).abs() < 1e-4, "{row:?}");
    }

    #[test]
    fn the_zero_vector_keeps_its_length_and_others_get_length_one() {
        let (mut zero, mut other) = ([0.0; 3], [3.0, 0.0, 4.0]);
        unit_length(&mut zero);
        unit_length(&mut other);
        assert_eq!((zero, other), ([0.0; 3], [0.6, 0.0, 0.8]));
    }
}
