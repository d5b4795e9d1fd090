//! A random rotation, after which the components of any vector look alike, as the codes need them.
//! Four rounds of random signs and a Walsh-Hadamard transform; where the padded dimension is no
//! power of two, the transform takes the beginning and the end in turn, and halves are mixed.

use crate::random::Random;

const ROUNDS: usize = 4;

/// A rotation of vectors of one dimension.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    padded: usize,
    /// 1.0 or -1.0 for each round and component.
    signs: Vec<f32>,
}

/// The dimension of rotated vectors and their codes.
pub(crate) fn padded(dimension: usize) -> usize {
    dimension.next_multiple_of(128)
}

impl Rotation {
    pub fn new(dimension: usize, seed: u64) -> Self {
        let padded = padded(dimension);
        let mut random = Random::new(seed ^ 0x726f_7461_7465);
        let signs = (0..ROUNDS * padded)
            .map(|_| if random.next() >> 63 == 0 { 1.0 } else { -1.0 })
            .collect();
        Self { padded, signs }
    }

    /// Rotates `vector` into `out`, which has the padded dimension.
    pub fn apply(&self, vector: &[f32], out: &mut [f32]) {
        let count = vector.len().min(out.len());
        out[..count].copy_from_slice(&vector[..count]);
        out[count..].fill(0.0);
        let power = 1usize << self.padded.ilog2();
        let norm = 1.0 / (power as f32).sqrt();
        for (round, signs) in self.signs.chunks_exact(self.padded).enumerate() {
            for (x, sign) in out.iter_mut().zip(signs) {
                *x *= sign;
            }
            let part = if round % 2 == 0 {
                &mut out[..power]
            } else {
                &mut out[self.padded - power..]
            };
            hadamard(part, norm);
            if power != self.padded {
                let (low, high) = out.split_at_mut(self.padded / 2);
                for (a, b) in low.iter_mut().zip(high) {
                    let (x, y) = (*a, *b);
                    *a = (x + y) * std::f32::consts::FRAC_1_SQRT_2;
                    *b = (x - y) * std::f32::consts::FRAC_1_SQRT_2;
                }
            }
        }
    }
}

/// The Walsh-Hadamard transform of a power of two of numbers, times `norm`.
fn hadamard(values: &mut [f32], norm: f32) {
    // The first three stages within eight neighbours, the others between halves of a piece.
    for eight in values.chunks_exact_mut(8) {
        let mut v = [0f32; 8];
        v.copy_from_slice(eight);
        for half in [1, 2, 4] {
            let mut next = [0f32; 8];
            for i in 0..8 {
                let (a, b) = (v[i & !half], v[i | half]);
                next[i] = if i & half == 0 { a + b } else { a - b };
            }
            v = next;
        }
        for (x, v) in eight.iter_mut().zip(v) {
            *x = v * norm;
        }
    }
    let mut half = 8;
    while half < values.len() {
        for piece in values.chunks_exact_mut(half * 2) {
            let (low, high) = piece.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                let (x, y) = (*a, *b);
                *a = x + y;
                *b = x - y;
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_angles_stay() {
        for dimension in [32, 100, 384, 768, 1000] {
            let rotation = Rotation::new(dimension, 3);
            let mut random = Random::new(1);
            let mut vector = || -> Vec<f32> {
                (0..dimension)
                    .map(|_| (random.below(2001) as f32 - 1000.0) / 1000.0)
                    .collect()
            };
            let (a, b) = (vector(), vector());
            let (mut x, mut y) = (vec![0.0; padded(dimension)], vec![0.0; padded(dimension)]);
            rotation.apply(&a, &mut x);
            rotation.apply(&b, &mut y);
            let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
            assert!((dot(&a, &b) - dot(&x, &y)).abs() < 1e-3 * dimension as f32);
            assert!((dot(&a, &a) - dot(&x, &x)).abs() < 1e-4 * dimension as f32);
        }
    }

    #[test]
    fn a_single_component_is_spread_over_all() {
        let mut vector = vec![0.0; 384];
        vector[5] = 1.0;
        let mut out = vec![0.0; 384];
        Rotation::new(384, 9).apply(&vector, &mut out);
        assert!(out.iter().all(|x| x.abs() < 0.3));
        assert!(out.iter().filter(|x| x.abs() > 0.01).count() > 250);
    }
}
