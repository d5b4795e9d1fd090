//! The matrix unit of Intel's servers since 2023 (AMX with bfloat16): products of tiles of 16 rows
//! with 32 values each, summed in single precision. [`unit`] has its instructions; where the processor
//! cannot have it, [`absent`] stands for them.
//!
//! What the tiles hold is the business of [`super::bulk`] and of attention. Where there is no such
//! unit, vector registers may multiply them, see [`super::unit`].

#[cfg(not(target_arch = "x86_64"))]
mod absent;
#[cfg(target_arch = "x86_64")]
mod unit;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use absent::{Amx, Tiles};
#[cfg(target_arch = "x86_64")]
pub(crate) use unit::{Amx, Tiles};

/// Rows of a tile.
pub(crate) const ROWS: usize = 16;
/// Values of one row of activations in a tile, multiplied in one step.
pub(crate) const DEPTH: usize = 32;

/// What [`Tiles::multiply`] and the vector unit work on: up to two tiles of rows and two of
/// columns.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "nothing reads it without the unit")
)]
pub(crate) struct Operands {
    /// Tiles of 16 rows by 32 bfloat16 values, `steps` of them one behind the other, for each tile of
    /// rows.
    pub(crate) rows: [*const u8; 2],
    /// Tiles of 16 pairs of values by 16 columns, likewise.
    pub(crate) columns: [*const u8; 2],
    /// Where the sums lie: a row of floats for each row, the second tile of columns behind the first.
    pub(crate) sums: *mut f32,
    /// Bytes from one row of sums to the next.
    pub(crate) stride: usize,
    /// Tiles along the sum.
    pub(crate) steps: usize,
    /// Whether the sums begin here, whatever is in their place.
    pub(crate) fresh: bool,
}
