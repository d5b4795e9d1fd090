//! The codes of a vector (RaBitQ and its extension to more bits): each component of the rotated
//! residual, which is the vector less its centroid, becomes one of 32 steps. The highest bit, the
//! sign, goes into the coarse codes; the other four are the fine code. With three numbers beside
//! each, an inner product with a query is estimated, and how far off it may be.
//!
//! For the residual `r`, the centroid `c` and the code's vector `v`, let `f = <r,r> / <r,v>`. Then
//! `<x,q>` is about `<c,q> + <r,c> - f <v,c> + f <v,q>`, with an error of the deviation
//! `|q-c| |r| tan(r,v) / sqrt(d-1)`.

use crate::simd::BLOCK;

/// Half of the steps of a component.
const HALF: f32 = 16.0;
/// The step that suits normally distributed components best, in deviations.
const STEP: f32 = 0.1881;
/// Bytes of the numbers beside a fine code: offset, factor, error, and 4 to keep the alignment.
pub(crate) const FINE_NUMBERS: usize = 16;

/// Length of a fine code with its numbers, in bytes.
pub(crate) fn fine_len(padded: usize) -> usize {
    padded / 2 + FINE_NUMBERS
}

/// What is known of a code's vector beside the code.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Numbers {
    pub offset: f32,
    pub factor: f32,
    pub error: f32,
}

/// A vector's codes.
#[derive(Debug, Default)]
pub(crate) struct Code {
    /// Steps of all components, 0 to 31.
    steps: Vec<u8>,
    pub coarse: Numbers,
    pub fine: Numbers,
}

impl Code {
    /// Computes the codes of a residual.
    pub fn compute(&mut self, residual: &[f32], centroid: &[f32]) {
        let dimension = residual.len() as f32;
        let square: f32 = sum(residual, residual);
        let scale = 1.0 / (STEP * (square / dimension).sqrt()).max(f32::MIN_POSITIVE);
        self.steps.clear();
        // The conversion to an integer saturates, and takes what is no number for 0.
        let steps = residual
            .iter()
            .map(|r| (r * scale + HALF).clamp(0.0, 31.0) as u8);
        self.steps.extend(steps);
        let (mut signs, mut values) = (Products::default(), Products::default());
        for ((&r, &c), &step) in residual.iter().zip(centroid).zip(&self.steps) {
            signs.add(r, c, if step >= 16 { 1.0 } else { -1.0 });
            values.add(r, c, f32::from(step) - 15.5);
        }
        let with_centroid = sum(residual, centroid);
        self.coarse = signs.numbers(square, with_centroid, dimension);
        self.fine = values.numbers(square, with_centroid, dimension);
    }

    /// Sets the signs in the block at the vector's lane.
    pub fn put_signs(&self, lane: usize, block: &mut [u8]) {
        let (column, shift) = (lane % 16, if lane < 16 { 0 } else { 4 });
        for (four, table) in self.steps.chunks_exact(4).zip(block.chunks_exact_mut(16)) {
            let bit = |i: usize| four[i] >> 4 << i;
            table[column] |= (bit(0) | bit(1) | bit(2) | bit(3)) << shift;
        }
        let factors = block.len() - 3 * BLOCK * 4;
        for (kind, value) in self.coarse.list().into_iter().enumerate() {
            let at = factors + (kind * BLOCK + lane) * 4;
            block[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Writes the fine code and its numbers.
    pub fn put_fine(&self, out: &mut [u8]) {
        let (codes, numbers) = out.split_at_mut(out.len() - FINE_NUMBERS);
        for (steps, codes) in self.steps.chunks_exact(128).zip(codes.chunks_exact_mut(64)) {
            for (i, code) in codes.iter_mut().enumerate() {
                *code = (steps[i] & 15) | (steps[64 + i] & 15) << 4;
            }
        }
        for (value, out) in self
            .fine
            .list()
            .into_iter()
            .zip(numbers.chunks_exact_mut(4))
        {
            out.copy_from_slice(&value.to_le_bytes());
        }
    }
}

impl Numbers {
    fn list(self) -> [f32; 3] {
        [self.offset, self.factor, self.error]
    }

    /// Reads those behind a fine code.
    pub fn read(bytes: &[u8]) -> Self {
        let float = |at: usize| {
            bytes
                .get(at..at + 4)
                .and_then(|b| b.try_into().ok())
                .map_or(0.0, f32::from_le_bytes)
        };
        Self {
            offset: float(0),
            factor: float(4),
            error: float(8),
        }
    }
}

/// Inner products of a code's vector.
#[derive(Default)]
struct Products {
    residual: f32,
    centroid: f32,
    itself: f32,
}

impl Products {
    #[inline(always)]
    fn add(&mut self, residual: f32, centroid: f32, value: f32) {
        self.residual += residual * value;
        self.centroid += centroid * value;
        self.itself += value * value;
    }

    fn numbers(&self, square: f32, with_centroid: f32, dimension: f32) -> Numbers {
        // A vector that is its centroid has nothing to estimate.
        if self.residual <= f32::MIN_POSITIVE || square <= 1e-12 {
            return Numbers {
                offset: with_centroid,
                ..Numbers::default()
            };
        }
        let factor = square / self.residual;
        let cosine2 = (self.residual * self.residual / (square * self.itself)).min(1.0);
        Numbers {
            offset: with_centroid - factor * self.centroid,
            factor,
            error: (square * (1.0 / cosine2 - 1.0) / (dimension - 1.0)).sqrt(),
        }
    }
}

/// Sum of products in eight lanes.
pub(crate) fn sum(a: &[f32], b: &[f32]) -> f32 {
    (crate::simd::kernels().dot)(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;
    use crate::random::Random;
    use crate::simd::{Gate, block_len, kernels};

    fn normal(random: &mut Random, count: usize) -> Vec<f32> {
        let uniform = |random: &mut Random| random.below(1 << 20) as f32 / (1 << 20) as f32;
        (0..count)
            .map(|_| (0..6).map(|_| uniform(random) - 0.5).sum::<f32>())
            .collect()
    }

    #[test]
    fn estimates_are_as_near_as_they_say() {
        let padded = 384;
        let mut random = Random::new(2);
        let centroid: Vec<f32> = normal(&mut random, padded)
            .iter()
            .map(|x| x * 0.05)
            .collect();
        let mut query = normal(&mut random, padded);
        let norm = sum(&query, &query).sqrt();
        query.iter_mut().for_each(|x| *x /= norm);
        let prepared = Query::of_rotated(query.clone());
        let mut code = Code::default();
        let mut squares = [0.0, 0.0];
        let count = 32 * 40;
        for _ in 0..count / 32 {
            let mut block = vec![0; block_len(padded)];
            let mut vectors = Vec::new();
            let mut fine = vec![vec![0; fine_len(padded)]; BLOCK];
            for (lane, fine) in fine.iter_mut().enumerate() {
                let residual: Vec<f32> = normal(&mut random, padded)
                    .iter()
                    .map(|x| x * 0.07)
                    .collect();
                code.compute(&residual, &centroid);
                code.put_signs(lane, &mut block);
                code.put_fine(fine);
                vectors.push((residual, code.coarse));
            }
            let base = sum(&centroid, &query);
            // The query is a unit vector, and the centroid short: about 1.2.
            let distance = (1.0 + sum(&centroid, &centroid) - 2.0 * base).sqrt();
            let gate = Gate {
                base,
                slack: 0.0,
                threshold: -9.0,
            };
            let mut signs = [0.0; BLOCK];
            (kernels().survivors)(&prepared.tables, &block, &gate, &mut signs);
            for (lane, (residual, coarse)) in vectors.iter().enumerate() {
                let exact = base + sum(residual, &query);
                let first = base + coarse.offset + coarse.factor * signs[lane];
                let (second, deviation) =
                    prepared.estimate(base, distance, signs[lane], &fine[lane]);
                let of_first = coarse.error * distance;
                squares[0] += ((exact - first) / of_first).powi(2) / count as f32;
                squares[1] += ((exact - second) / deviation).powi(2) / count as f32;
            }
        }
        for (kind, square) in squares.into_iter().enumerate() {
            let ratio = square.sqrt();
            assert!((0.5..1.15).contains(&ratio), "{kind}: {ratio}");
        }
    }

    #[test]
    fn a_vector_on_its_centroid_is_exact() {
        let mut code = Code::default();
        code.compute(&[0.0; 128], &[0.1; 128]);
        assert_eq!(code.fine.factor, 0.0);
        assert_eq!(code.coarse.error, 0.0);
    }
}
