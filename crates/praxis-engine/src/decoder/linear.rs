//! Weight matrices as they lie in the file, and their products with activations: the portable way,
//! which decodes weight rows and multiplies in `f32`, and the choice of a faster one. Each row of a
//! product is computed the same way whatever the number of rows, so that a prompt gives the same
//! logits bit for bit whether it was read at once or in pieces.

use std::cell::Cell;

use rayon::prelude::*;

use super::math::dot;
use super::shared::Disjoint;
use crate::error::EngineError;
use crate::gguf::{Gguf, MappedTensor};

/// Weight rows that are decoded together and held in the second-level cache while all activations
/// pass by.
const ROWS: usize = 16;

/// A matrix of `rows` outputs and `columns` inputs.
pub(crate) trait Matrix: Send + Sync {
    /// `out[i, j] = sum_k x[i, k] * self[j, k]` for `m` rows of `x`.
    fn multiply(&self, x: &[f32], m: usize, out: &mut [f32]);

    /// One row as `f32`.
    fn row(&self, index: usize, out: &mut [f32]);

    /// Number of outputs.
    fn rows(&self) -> usize;
}

/// Opens the matrix `name` of `rows` by `columns`.
pub(crate) fn matrix(
    file: &Gguf,
    name: &str,
    rows: usize,
    columns: usize,
) -> Result<Box<dyn Matrix>, EngineError> {
    let tensor = file.mapped(name, &[rows, columns])?;
    if rows == 0 || columns == 0 {
        return Err(file.damaged(format!("tensor `{name}` is empty")));
    }
    #[cfg(test)]
    if tests::EXACT.get() {
        return Ok(Box::new(Portable::new(tensor)));
    }
    #[cfg(all(
        target_arch = "x86_64",
        target_feature = "avx2",
        target_feature = "fma",
        target_feature = "f16c"
    ))]
    if let Some(tiled) = super::tiled::matrix(&tensor) {
        return Ok(tiled);
    }
    Ok(Box::new(Portable::new(tensor)))
}

/// Opens the vector `name` as `f32`.
pub(crate) fn vector(file: &Gguf, name: &str, len: usize) -> Result<Vec<f32>, EngineError> {
    let tensor = file.mapped(name, &[len])?;
    if !tensor.dtype().is_float() {
        let dtype = tensor.dtype();
        return Err(file.unsupported(format!("vector `{name}` is stored as {dtype:?}")));
    }
    file.f32s(name, &[len])
}

/// A matrix of any format, on any processor.
struct Portable {
    tensor: MappedTensor,
    rows: usize,
    columns: usize,
    row_bytes: usize,
}

thread_local! {
    /// Decoded rows: kept because they are needed all the time.
    static DECODED: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

impl Portable {
    fn new(tensor: MappedTensor) -> Self {
        let (rows, columns) = (tensor.shape()[0], tensor.shape()[1]);
        Self {
            row_bytes: tensor.bytes().len() / rows,
            tensor,
            rows,
            columns,
        }
    }
}

impl Matrix for Portable {
    fn multiply(&self, x: &[f32], m: usize, out: &mut [f32]) {
        let (n, k) = (self.rows, self.columns);
        assert!(
            x.len() == m * k && out.len() == m * n,
            "shapes of a product"
        );
        let out = Disjoint::new(out);
        (0..n.div_ceil(ROWS)).into_par_iter().for_each(|block| {
            let mut decoded = DECODED.take();
            decoded.resize(ROWS * k, 0.0);
            let rows = block * ROWS..n.min((block + 1) * ROWS);
            let bytes =
                &self.tensor.bytes()[rows.start * self.row_bytes..rows.end * self.row_bytes];
            self.tensor
                .dtype()
                .decode(bytes, &mut decoded[..rows.len() * k]);
            for (i, x) in x.chunks_exact(k).enumerate() {
                for (j, row) in rows.clone().zip(decoded.chunks_exact(k)) {
                    // SAFETY: rows of different tasks are disjoint, and each (i, j) is written once.
                    unsafe { out.write(i * n + j, &[dot(x, row)]) };
                }
            }
            DECODED.set(decoded);
        });
    }

    fn row(&self, index: usize, out: &mut [f32]) {
        self.tensor
            .dtype()
            .decode(self.tensor.row_bytes(index), out);
    }

    fn rows(&self) -> usize {
        self.rows
    }
}

#[cfg(test)]
pub(super) mod tests {
    //! Choosing products without rounded activations, the truth that kernels are judged by.

    use std::cell::Cell;

    thread_local! {
        /// Whether matrices that are opened now multiply in `f32`.
        pub(crate) static EXACT: Cell<bool> = const { Cell::new(false) };
    }
}
