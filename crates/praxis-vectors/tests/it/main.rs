//! Tests of the index from outside: against brute force, on damaged files, and with `kill -9`.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod crash;
mod damage;
mod model;
mod recall;

use std::path::Path;

use praxis_vectors::{Index, Options};

/// Sizes at which a few dozen vectors already make segments.
const SMALL: Options = Options {
    seal: 24,
    full: 100,
};

/// Numbers that only depend on a seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// About normally distributed.
    fn normal(&mut self) -> f32 {
        (0..4)
            .map(|_| self.below(1 << 20) as f32 / (1 << 20) as f32 - 0.5)
            .sum::<f32>()
            * 1.7
    }

    fn unit(&mut self, dimension: usize) -> Vec<f32> {
        unit((0..dimension).map(|_| self.normal()).collect())
    }
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn open(folder: &Path, dimension: usize) -> Index {
    Index::open_with(folder, dimension, SMALL).unwrap()
}
