//! A query made ready: rotated, as tables for the coarse codes and in 8 bits for the others.

use crate::code::{FINE_NUMBERS, Numbers, sum};
use crate::simd::{Tables, kernels};

/// Deviation of a component that is rounded, in steps, times that of a fine code of 0 to 15.
const ROUNDING: f32 = 0.2887 * 4.61;

/// A query of unit length, ready to be compared with codes.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub rotated: Vec<f32>,
    pub tables: Tables,
    /// 8 bits a component, which are times `scale`.
    pub bytes: Vec<i8>,
    pub scale: f32,
    /// Sum of `bytes`.
    pub byte_sum: i32,
    /// What the rounding to 8 bits adds to the deviation of a fine estimate, for a factor of 1.
    rounding: f32,
    /// Sum of the components.
    pub sum: f32,
    /// Square of the length.
    pub square: f32,
}

/// Rounds components to 8 bits; returns what they are times.
pub(crate) fn to_bytes(values: &[f32], out: &mut [i8]) -> f32 {
    let largest = values.iter().fold(f32::MIN_POSITIVE, |a, x| a.max(x.abs()));
    let scale = 127.0 / largest;
    for (x, out) in values.iter().zip(out) {
        *out = (x * scale).round_ties_even() as i8;
    }
    largest / 127.0
}

impl Query {
    pub fn of_rotated(rotated: Vec<f32>) -> Self {
        let mut bytes = vec![0; rotated.len()];
        let scale = to_bytes(&rotated, &mut bytes);
        let total = rotated.iter().sum();
        let rounding = ROUNDING * scale * (rotated.len() as f32).sqrt();
        Self {
            rounding,
            tables: tables(&rotated, total),
            byte_sum: bytes.iter().map(|b| i32::from(*b)).sum(),
            bytes,
            scale,
            sum: total,
            square: sum(&rotated, &rotated),
            rotated,
        }
    }

    /// The score of a fine code, and the deviation that the estimate has. `signs` is the inner product of
    /// the query and the code's signs, `base` that with the centroid, which is at `distance`.
    #[inline]
    pub fn estimate(&self, base: f32, distance: f32, signs: f32, fine: &[u8]) -> (f32, f32) {
        let (code, numbers) = fine.split_at(fine.len() - FINE_NUMBERS);
        let numbers = Numbers::read(numbers);
        let low = (kernels().fine)(&self.bytes, code) as f32 * self.scale;
        // A step is 16 times its sign's bit, which is 0 or 1, and the fine code, less 15.5. What the code is
        // less by counts the rounded components too, so that their errors weigh less.
        let product = 8.0 * signs + low - 7.5 * self.byte_sum as f32 * self.scale;
        let score = base + numbers.offset + numbers.factor * product;
        let deviation = numbers.error * distance + numbers.factor * self.rounding;
        (score, deviation)
    }
}

/// For each four components the sums of those whose bit is set, in 8 bits.
fn tables(rotated: &[f32], total: f32) -> Tables {
    let (mut least, mut widest) = (0f32, f32::MIN_POSITIVE);
    for four in rotated.chunks_exact(4) {
        let (below, above) = four.iter().fold((0f32, 0f32), |(below, above), x| {
            (below + x.min(0.0), above + x.max(0.0))
        });
        least += below;
        widest = widest.max(above - below);
    }
    let scale = 255.0 / widest;
    let mut sums = vec![0u8; rotated.len() * 4];
    for (four, table) in rotated.chunks_exact(4).zip(sums.chunks_exact_mut(16)) {
        let below: f32 = four.iter().map(|x| x.min(0.0)).sum();
        let mut exact = [-below; 16];
        for (bit, x) in four.iter().enumerate() {
            for (code, sum) in exact.iter_mut().enumerate() {
                *sum += if code >> bit & 1 == 1 { *x } else { 0.0 };
            }
        }
        for (sum, exact) in table.iter_mut().zip(exact) {
            *sum = (exact * scale + 0.5) as u8;
        }
    }
    // Signs are 1 and -1, bits 1 and 0.
    Tables {
        sums,
        scale: 2.0 / scale,
        bias: 2.0 * least - total,
    }
}
