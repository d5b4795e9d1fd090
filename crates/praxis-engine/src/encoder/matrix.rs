//! Matrix products over plain slices, for factors that are laid out once and used often.
//!
//! The right factor is cut into [`Panels`] of 16 columns; a tile of 6 rows by 16 columns stays in
//! registers while it runs down a panel. Plain loops over arrays of fixed size compile to fused
//! products in registers without a line of assembly; they count on the build's baseline of AVX2 and
//! FMA on x86-64, or on NEON. `make bench` compares embeddings with sentence-transformers.

use std::cell::Cell;
use std::ops::Range;

/// Columns of a panel: two AVX2 or four NEON registers.
pub(crate) const PANEL: usize = 16;

/// Whether a fused product is an instruction: else it would be a library call.
const FUSED: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));

/// Rows of a tile: 12 of AVX2's 16 registers hold its sums.
const TILE: usize = 6;

/// Rows after which the panels are begun anew, so that the rows stay in the second-level cache.
/// A multiple of the tile.
pub(crate) const BLOCK: usize = 96;

/// A matrix of `inputs` rows and any number of columns, cut into panels of 16 columns; what is
/// missing to the last panel is zero.
#[derive(Default)]
pub(crate) struct Panels {
    rows: Vec<[f32; PANEL]>,
    inputs: usize,
    outputs: usize,
}

impl Panels {
    /// Makes room for another matrix, keeping the memory.
    fn reset(&mut self, inputs: usize, outputs: usize) {
        self.rows.clear();
        self.rows
            .resize(outputs.div_ceil(PANEL) * inputs, [0.0; PANEL]);
        (self.inputs, self.outputs) = (inputs, outputs);
    }

    /// Cuts a matrix that is stored column by column (`outputs` runs of `inputs` numbers, `stride`
    /// apart), as weights and attention keys are.
    pub(crate) fn set_columns(
        &mut self,
        stored: &[f32],
        outputs: usize,
        inputs: usize,
        stride: usize,
    ) {
        self.reset(inputs, outputs);
        for (output, column) in stored.chunks(stride).take(outputs).enumerate() {
            let panel = &mut self.rows[output / PANEL * inputs..][..inputs];
            for (row, value) in panel.iter_mut().zip(column) {
                row[output % PANEL] = *value;
            }
        }
    }

    /// Cuts a matrix that is stored row by row (`inputs` rows of `outputs` numbers, `stride`
    /// apart), as attention values are.
    pub(crate) fn set_rows(
        &mut self,
        stored: &[f32],
        inputs: usize,
        outputs: usize,
        stride: usize,
    ) {
        self.reset(inputs, outputs);
        for (input, row) in stored.chunks(stride).take(inputs).enumerate() {
            for (panel, values) in row[..outputs].chunks(PANEL).enumerate() {
                self.rows[panel * inputs + input][..values.len()].copy_from_slice(values);
            }
        }
    }

    /// Number of columns.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }
}

/// `count` rows in a slice, one `stride` after the other.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// The numbers.
    pub(crate) values: &'a [f32],
    /// Number of rows.
    pub(crate) count: usize,
    /// From one row to the next.
    pub(crate) stride: usize,
}

/// `out = left * right + bias`, with rows of `out` `out_stride` apart; no bias is zero.
pub(crate) fn multiply(
    left: Rows<'_>,
    right: &Panels,
    bias: Option<&[f32]>,
    out: &mut [f32],
    out_stride: usize,
) {
    if left.count == 0 || right.outputs == 0 || right.inputs == 0 {
        return;
    }
    let last = left.count - 1;
    assert!(
        last * left.stride + right.inputs <= left.values.len(),
        "a row lies outside"
    );
    assert!(
        last * out_stride + right.outputs <= out.len(),
        "a row of the product lies outside"
    );
    let mut packed = PACKED.take();
    for first_row in (0..left.count).step_by(BLOCK) {
        let count = BLOCK.min(left.count - first_row);
        pack(
            &mut packed,
            &left,
            first_row..first_row + count,
            right.inputs,
        );
        let out = &mut out[first_row * out_stride..];
        for panel in 0..right.outputs.div_ceil(PANEL) {
            let first = panel * PANEL;
            let width = PANEL.min(right.outputs - first);
            let mut start = [0.0; PANEL];
            if let Some(bias) = bias {
                start[..width].copy_from_slice(&bias[first..first + width]);
            }
            let rows = &right.rows[panel * right.inputs..(panel + 1) * right.inputs];
            let mut target = Target {
                out: &mut out[first..],
                stride: out_stride,
                count,
                width,
            };
            run_panel(&packed, rows, &start, &mut target);
        }
    }
    PACKED.set(packed);
}

thread_local! {
    /// The left factor's rows of one block, regrouped: kept because it is needed all the time.
    static PACKED: Cell<Vec<[f32; TILE]>> = const { Cell::new(Vec::new()) };
}

/// Regroups rows so that a tile reads its numbers one after the other; rows that are missing to
/// the last tile are zero.
fn pack(packed: &mut Vec<[f32; TILE]>, left: &Rows<'_>, rows: Range<usize>, inputs: usize) {
    packed.clear();
    packed.resize(rows.len().div_ceil(TILE) * inputs, [0.0; TILE]);
    for (at, row) in rows.enumerate() {
        let values = &left.values[row * left.stride..][..inputs];
        let tile = &mut packed[at / TILE * inputs..][..inputs];
        for (group, value) in tile.iter_mut().zip(values) {
            group[at % TILE] = *value;
        }
    }
}

/// Where a panel's products go.
struct Target<'a> {
    out: &'a mut [f32],
    stride: usize,
    count: usize,
    width: usize,
}

/// One panel against all tiles of a block. Not inlined: alone, it compiles to registers and fused
/// products even with debug assertions; within the loops around it, it does not.
#[inline(never)]
fn run_panel(
    packed: &[[f32; TILE]],
    panel: &[[f32; PANEL]],
    start: &[f32; PANEL],
    target: &mut Target<'_>,
) {
    for (at, tile) in packed.chunks_exact(panel.len()).enumerate() {
        // The sums are an array of fixed size that never leaves its registers.
        let mut sums = [*start; TILE];
        for (left, right) in tile.iter().zip(panel) {
            for (sums, factor) in sums.iter_mut().zip(left) {
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum = if FUSED {
                        factor.mul_add(*right, *sum)
                    } else {
                        factor * right + *sum
                    };
                }
            }
        }
        let first = at * TILE;
        for (row, sums) in sums.iter().enumerate().take(target.count - first) {
            let out = &mut target.out[(first + row) * target.stride..];
            match out.first_chunk_mut::<PANEL>() {
                Some(whole) if target.width == PANEL => *whole = *sums,
                _ => out[..target.width].copy_from_slice(&sums[..target.width]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers, so that sums are exact in any order.
    fn numbers(count: usize) -> Vec<f32> {
        (0..count)
            .map(|at| ((at * 7 + at / 5) % 11) as f32 - 5.0)
            .collect()
    }

    #[test]
    fn products_equal_the_schoolbook_for_all_remainders() {
        for (count, inputs, outputs) in [
            (1, 1, 1),
            (5, 3, 16),
            (6, 8, 17),
            (7, 33, 40),
            (BLOCK + 8, 4, 5),
            (0, 3, 3),
        ] {
            let (stride, out_stride) = (inputs + 2, outputs + 3);
            let left = numbers(count * stride);
            let columns = numbers(outputs * inputs);
            let bias = numbers(outputs);
            let mut by_rows = vec![0.0; inputs * outputs];
            for (output, column) in columns.chunks(inputs).enumerate() {
                for (input, value) in column.iter().enumerate() {
                    by_rows[input * outputs + output] = *value;
                }
            }
            let (mut panels, mut same) = (Panels::default(), Panels::default());
            panels.set_columns(&columns, outputs, inputs, inputs);
            same.set_rows(&by_rows, inputs, outputs, outputs);
            assert!(panels.rows == same.rows, "both ways of cutting agree");

            let mut out = vec![99.0; count * out_stride];
            let rows = Rows {
                values: &left,
                count,
                stride,
            };
            multiply(rows, &panels, Some(&bias), &mut out, out_stride);
            for row in 0..count {
                for output in 0..outputs {
                    let exact = (0..inputs)
                        .map(|k| left[row * stride + k] * columns[output * inputs + k])
                        .sum::<f32>();
                    let case = (count, inputs, outputs, row, output);
                    assert_eq!(
                        out[row * out_stride + output],
                        exact + bias[output],
                        "{case:?}"
                    );
                }
                assert_eq!(
                    out[row * out_stride + outputs],
                    99.0,
                    "the gap is left alone"
                );
            }
        }
    }
}
