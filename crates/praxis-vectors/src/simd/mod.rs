//! The inner loops, compiled for several instruction sets and chosen once, when the program runs.
//! All give the same results, to the bit: sums of integers, and floats in one order.
//!
//! | layout | what it is |
//! | --- | --- |
//! | block | 32 vectors: for each 4 tables a group of 64 bytes, 16 for each table; byte `i` has the table index of vector `i` in its low half, of vector `16 + i` in its high half. Then 32 offsets, 32 factors, 32 errors (f32) |
//! | fine code | 4 bits a dimension; of each 128 dimensions byte `i` has dimension `i` in its low half and `64 + i` in its high half |
//! | tile | 32 centroids: two halves of 16; of each, 4 dimensions a centroid and 16 centroids side by side, 7 bits a dimension |

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
#[cfg(test)]
mod tests;

/// Vectors in a block of coarse codes.
pub(crate) const BLOCK: usize = 32;
/// Centroids in a tile.
pub(crate) const TILE: usize = 32;
/// What a 7-bit component of a centroid has been shifted by.
pub(crate) const SHIFT: i32 = 64;

/// Length of a block in bytes.
pub(crate) fn block_len(padded: usize) -> usize {
    padded * BLOCK / 8 + 3 * BLOCK * 4
}

/// The query's side of the coarse codes: for each 4 dimensions a table of 16 sums.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    pub sums: Vec<u8>,
    /// What a sum over tables is times, and what is added to it, for the inner product of the query
    /// and the signs.
    pub scale: f32,
    pub bias: f32,
}

/// What lets a vector of a block pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate {
    /// Inner product of query and centroid.
    pub base: f32,
    /// What a vector's error is times.
    pub slack: f32,
    /// Scores above it pass.
    pub threshold: f32,
}

/// The best centroid of a row so far, for each place in a tile.
#[derive(Debug, Clone)]
pub(crate) struct Nearest {
    pub score: [f32; TILE],
    pub tile: [u32; TILE],
}

impl Nearest {
    pub const NONE: Self = Self {
        score: [f32::NEG_INFINITY; TILE],
        tile: [0; TILE],
    };

    /// The centroid with the highest score, the first of equals.
    pub fn best(&self) -> (usize, f32) {
        let mut best = (0, f32::NEG_INFINITY);
        for (i, (&score, &tile)) in self.score.iter().zip(&self.tile).enumerate() {
            let at = tile as usize * TILE + i;
            if score > best.1 || (score == best.1 && at < best.0) {
                best = (at, score);
            }
        }
        best
    }
}

/// Rows whose products with a tile are computed together.
pub(crate) const ROWS: usize = 8;

/// Inner products of [`ROWS`] rows and a tile.
pub(crate) type Products = [[i32; TILE]; ROWS];

/// The functions for one instruction set.
pub(crate) struct Kernels {
    /// For tests and reports.
    pub name: &'static str,
    /// Which vectors of a block may score above the gate's threshold: a bit for each. `out` gets
    /// the inner products of the query and their signs.
    pub survivors: fn(&Tables, &[u8], &Gate, &mut [f32; BLOCK]) -> u32,
    /// Inner product of an 8-bit query and a fine code.
    pub fine: fn(&[i8], &[u8]) -> i32,
    /// Inner products of one row and a tile.
    pub tile: fn(&[i8], &[u8], &mut [i32; TILE]),
    /// Inner products of [`ROWS`] rows and a tile.
    pub tiles: fn(&[&[i8]; ROWS], &[u8], &mut Products),
    /// Inner product of floats.
    pub dot: fn(&[f32], &[f32]) -> f32,
    /// Inner product of floats and bytes.
    pub dot_bytes: fn(&[f32], &[u8]) -> f32,
}

impl std::fmt::Debug for Kernels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The best functions for this processor.
pub(crate) fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<&'static Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(kernels) = avx512::kernels() {
                return kernels;
            }
            if let Some(kernels) = avx2::kernels() {
                return kernels;
            }
        }
        &portable::KERNELS
    })
}

/// Asks for what will be read soon.
#[inline(always)]
pub(crate) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        // SAFETY: a prefetch reads nothing, wherever it points.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
                line.as_ptr().cast(),
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}
