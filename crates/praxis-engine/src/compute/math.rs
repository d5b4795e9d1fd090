//! The small functions of a transformer over plain slices, written so that the compiler turns them
//! into vector instructions.

use rayon::prelude::*;

use super::simd::{self, Isa, Kernel};

/// `a * b + c`, fused where the processor does that in one instruction (elsewhere a fused
/// multiply-add would be a slow library call).
#[inline(always)]
pub(crate) fn fma(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

/// Sum of products.
#[inline]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 32;
    let mut sums = [0.0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_rest, b_rest) = (a_chunks.remainder(), b_chunks.remainder());
    for (a, b) in a_chunks.zip(b_chunks) {
        for i in 0..LANES {
            sums[i] = fma(a[i], b[i], sums[i]);
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0] + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// What brings the root mean square of some values to one.
fn rms_scale(x: &[f32], eps: f32) -> f32 {
    1.0 / (dot(x, x) / x.len() as f32 + eps).sqrt()
}

/// Root-mean-square normalization (Zhang and Sennrich 2019).
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let scale = rms_scale(x, eps);
    for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
        *out = x * scale * w;
    }
}

/// [`rms_norm`] of every head in rows of heads.
pub(crate) fn normalize_heads(rows: &mut [f32], weight: &[f32], eps: f32) {
    rows.par_chunks_exact_mut(weight.len())
        .with_min_len(64)
        .for_each(|head| {
            let scale = rms_scale(head, eps);
            for (x, w) in head.iter_mut().zip(weight) {
                *x *= scale * w;
            }
        });
}

/// e^x to about one unit in the last place, by a polynomial (Cephes' `expf`), without branches.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Beyond these the result is 0 or infinity in single precision.
    let x = x.clamp(-87.3, 88.3);
    // Added to a small number, it leaves the number's nearest integer in the lowest bits.
    const MAGIC: f32 = 12_582_912.0;
    let shifted = fma(x, std::f32::consts::LOG2_E, MAGIC);
    let n = shifted - MAGIC;
    let r = fma(n, 2.121_944_4e-4, fma(n, -0.693_359_4, x));
    let mut p = 1.987_569_1e-4;
    p = fma(p, r, 1.398_199_9e-3);
    p = fma(p, r, 8.333_452e-3);
    p = fma(p, r, 4.166_579_6e-2);
    p = fma(p, r, 1.666_666_5e-1);
    p = fma(p, r, 0.5);
    let p = fma(p, r * r, r) + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    p * power
}

/// `x * sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// `gate = silu(gate) * up`, the SwiGLU activation (Shazeer 2020).
pub(crate) fn swiglu(gate: &mut [f32], up: &[f32]) {
    gate.par_chunks_mut(4096)
        .zip(up.par_chunks(4096))
        .for_each(|(gate, up)| simd::run(SwiGlu { gate, up }));
}

struct SwiGlu<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl Kernel for SwiGlu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        for (g, u) in self.gate.iter_mut().zip(self.up) {
            *g = silu(*g) * u;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_standard_library() {
        for i in -8700..8800 {
            let x = i as f32 / 100.0;
            let (ours, std) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                ((ours - std) / std).abs() < 3e-7,
                "exp({x}) = {ours}, not {std}"
            );
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e30) < 1e-37 && exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn dot_sums_every_element_once() {
        for len in [0, 1, 31, 32, 33, 64, 100] {
            let a: Vec<f32> = (0..len).map(|i| i as f32).collect();
            let b = vec![2.0; len];
            assert_eq!(
                dot(&a, &b),
                (0..len).map(|i| 2 * i).sum::<usize>() as f32,
                "{len}"
            );
        }
    }

    fn numbers(len: usize) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * 0.37).sin() * 6.0).collect()
    }

    /// In double precision, as the papers have them.
    #[test]
    fn norms_and_activations_agree_with_double_precision() {
        for len in [1, 3, 31, 32, 33, 100, 576] {
            let (x, weight) = (numbers(len), numbers(2 * len)[len..].to_vec());
            let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / len as f64;
            let norm = |i: usize| {
                f64::from(x[i]) / (mean + f64::from(1e-5f32)).sqrt() * f64::from(weight[i])
            };
            let mut out = vec![f32::NAN; len];
            rms_norm(&x, &weight, 1e-5, &mut out);
            let mut heads = [x.clone(), x.clone(), x.clone()].concat();
            normalize_heads(&mut heads, &weight, 1e-5);
            for (i, ours) in out.iter().enumerate() {
                assert!(
                    (f64::from(*ours) - norm(i)).abs() < 1e-5,
                    "{len}, {i}: {ours}"
                );
                for head in heads.chunks(len) {
                    assert!(
                        (f64::from(head[i]) - norm(i)).abs() < 1e-5,
                        "head {len}, {i}"
                    );
                }
            }
        }
        // More than one part, and one that is not full.
        for len in [1, 17, 4096, 9001] {
            let (mut gate, up) = (numbers(len), numbers(2 * len)[len..].to_vec());
            let exact: Vec<f64> = gate
                .iter()
                .zip(&up)
                .map(|(g, u)| f64::from(*g) / (1.0 + (-f64::from(*g)).exp()) * f64::from(*u))
                .collect();
            swiglu(&mut gate, &up);
            for (i, (ours, exact)) in gate.iter().zip(exact).enumerate() {
                assert!(
                    (f64::from(*ours) - exact).abs() < 1e-5,
                    "{len}, {i}: {ours} for {exact}"
                );
            }
        }
    }
}
