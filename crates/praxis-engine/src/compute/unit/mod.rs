//! What multiplies bfloat16 tiles: the matrix unit ([`super::amx`]) or, where there is none, dot
//! products in vector registers (`vector`). Both take the same tiles, so that [`super::bulk`] is
//! one for both; they round sums differently.
//!
//! Attention is not multiplied here: it is computed on the matrix unit, or in single precision.

#[cfg(not(target_arch = "x86_64"))]
mod absent;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vector;

use super::amx::{Amx, Operands, Tiles};
#[cfg(not(target_arch = "x86_64"))]
use absent::Vector;
#[cfg(target_arch = "x86_64")]
use vector::Vector;

/// Proof that the processor multiplies bfloat16 tiles, and with what.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    /// The matrix unit, faster than any other way.
    Matrix(Amx),
    /// Dot products of pairs: twice the products of single precision, half of those of bytes.
    Vector(Vector),
}

impl Unit {
    /// The faster one of those that the processor has.
    pub(crate) fn detect() -> Option<Self> {
        let matrix = Amx::detect().map(Self::Matrix);
        matrix.or_else(|| Vector::detect().map(Self::Vector))
    }

    /// All that the processor has.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        let matrix = Amx::detect().map(Self::Matrix);
        let vector = Vector::detect().map(Self::Vector);
        matrix.into_iter().chain(vector).collect()
    }

    /// Makes registers ready until the value is dropped, which belongs to this thread.
    #[inline(always)]
    pub(crate) fn configure(self) -> Registers {
        match self {
            Self::Matrix(amx) => Registers::Matrix(amx.configure()),
            Self::Vector(vector) => Registers::Vector(vector),
        }
    }
}

/// Registers that are ready for use.
pub(crate) enum Registers {
    Matrix(Tiles),
    Vector(Vector),
}

impl Registers {
    /// Asks for two tiles' sums ahead of [`Registers::multiply`], to be written; the address may be
    /// anything.
    #[inline(always)]
    pub(crate) fn expect(&self, sums: *mut f32, stride: usize, rows: usize) {
        match self {
            Self::Matrix(tiles) => tiles.expect(sums, stride, rows),
            // It computes for much longer than it waits for sums.
            Self::Vector(_) => {}
        }
    }

    /// `sums[i, j] += sum_k rows[i, k] * columns[k, j]` for one or two tiles of rows and of columns
    /// (`shape`). Every sum is added up in the same order whatever the others are, and however many
    /// steps are made at a time.
    ///
    /// # Safety
    /// The pointers lead to as many tiles and rows of sums as `shape` and `steps` say.
    #[inline(always)]
    pub(crate) unsafe fn multiply(&self, shape: (usize, usize), o: Operands) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::Matrix(tiles) => tiles.multiply(shape, o),
                Self::Vector(vector) => vector.multiply(shape, o),
            }
        }
    }
}
