//! Tiles on AVX-512 with BF16 (VDPBF16PS: Zen 4, Cooper Lake and later): one instruction adds the
//! products of a pair of numbers to 16 sums.

use std::arch::x86_64::*;
use std::mem::transmute;

use super::Operands;
use crate::compute::amx::{DEPTH, ROWS};
use crate::compute::line::LINE;
use crate::compute::simd::Avx512;

/// Bytes of a tile.
const TILE: usize = ROWS * LINE;
/// Pairs of numbers in a line.
const PAIRS: usize = DEPTH / 2;
/// Bytes of a pair.
const PAIR: usize = LINE / PAIRS;
/// Rows that share the load of a pair of all columns: as many as leave registers for two tiles'
/// sums.
const TOGETHER: usize = 8;
/// Steps after which the next rows take their turn: up to four tiles of so many are half of a small
/// first-level cache.
const STEPS: usize = 4;

/// Proof that the processor has the instruction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vector(());

impl Vector {
    /// Asks the processor.
    pub(crate) fn detect() -> Option<Self> {
        // Tiles are filled by registers of 16 lanes.
        let has = Avx512::detect().is_some() && is_x86_feature_detected!("avx512bf16");
        has.then_some(Self(()))
    }

    /// [`super::Registers::multiply`]: a sum goes along its pairs.
    ///
    /// # Safety
    /// The pointers lead to as many tiles and rows of sums as the shape and `steps` say.
    #[inline(always)]
    pub(crate) unsafe fn multiply(self, (rows, columns): (usize, usize), o: Operands) {
        // SAFETY: `self` proves that the processor has the instructions; the rest is the caller's
        // promise.
        unsafe {
            match columns {
                2 => products::<2>(rows, o),
                _ => products::<1>(rows, o),
            }
        }
    }
}

/// Some tiles of rows with `C` tiles of columns.
///
/// # Safety
/// As of [`Vector::multiply`].
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn products<const C: usize>(tiles: usize, o: Operands) {
    for step in (0..o.steps).step_by(STEPS) {
        for row in (0..tiles * ROWS).step_by(TOGETHER) {
            let at = step * TILE + row % ROWS * LINE;
            let part = Operands {
                rows: [o.rows[row / ROWS].wrapping_add(at); 2],
                columns: o.columns.map(|tile| tile.wrapping_add(step * TILE)),
                sums: o.sums.wrapping_byte_add(row * o.stride),
                stride: o.stride,
                steps: STEPS.min(o.steps - step),
                fresh: o.fresh && step == 0,
            };
            // SAFETY: a part of what the caller promises.
            unsafe { rows::<C>(part) };
        }
    }
}

/// [`TOGETHER`] rows with `C` tiles of columns.
///
/// # Safety
/// So many rows are there at the first of `o.rows`, and the rest as of [`Vector::multiply`].
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn rows<const C: usize>(o: Operands) {
    let mut sums = [[_mm512_setzero_ps(); C]; TOGETHER];
    if !o.fresh {
        for (row, sums) in sums.iter_mut().enumerate() {
            let place = o.sums.wrapping_byte_add(row * o.stride);
            for (tile, sum) in sums.iter_mut().enumerate() {
                // SAFETY: a register of sums is there.
                *sum = unsafe { _mm512_loadu_ps(place.wrapping_add(tile * ROWS)) };
            }
        }
    }
    for step in 0..o.steps {
        let start = step * TILE;
        for pair in 0..PAIRS {
            let mut columns = [_mm512_setzero_si512(); C];
            for (column, tile) in columns.iter_mut().zip(o.columns) {
                let line = tile.wrapping_add(start + pair * LINE);
                // SAFETY: the tile has as many lines as a line has pairs.
                *column = unsafe { _mm512_loadu_si512(line.cast()) };
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let x = o.rows[0].wrapping_add(start + row * LINE + pair * PAIR);
                // SAFETY: the row's line has so many pairs.
                let x = _mm512_set1_epi32(unsafe { x.cast::<i32>().read() });
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = add_products(*sum, x, column);
                }
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        let place = o.sums.wrapping_byte_add(row * o.stride);
        for (tile, sum) in sums.into_iter().enumerate() {
            // SAFETY: a register of sums is there.
            unsafe { _mm512_storeu_ps(place.wrapping_add(tile * ROWS), sum) };
        }
    }
}

/// Adds to the sum in each lane the products of both numbers of a pair with those of the other.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn add_products(sums: __m512, x: __m512i, y: __m512i) -> __m512 {
    // SAFETY: both are 64 bytes, and any bits are numbers.
    let x = unsafe { transmute::<__m512i, __m512bh>(x) };
    // SAFETY: as above.
    let y = unsafe { transmute::<__m512i, __m512bh>(y) };
    _mm512_dpbf16_ps(sums, x, y)
}
