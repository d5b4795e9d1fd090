//! Weight matrices and their products with activations: several matrices at once where they read
//! the same activations, shared out to the threads in tasks. Here is also the plain way for formats
//! without a kernel, which decodes weight rows and multiplies in `f32`. Each row of a product is
//! computed the same way whatever the number of rows, so that a prompt gives the same logits bit for
//! bit whether it was read at once or in pieces.

use std::cell::Cell;

use rayon::prelude::*;

use super::floats;
use super::math::dot;
use super::packed::{self, Activations};
use super::shared::Disjoint;
use crate::error::EngineError;
use crate::gguf::{Gguf, MappedTensor};

/// Weight rows that are decoded together and held in the second-level cache while all activations
/// pass by.
const ROWS: usize = 16;

/// A matrix of `rows` outputs and `columns` inputs.
pub(crate) trait Matrix: Send + Sync {
    /// Into how many tasks a product with so many rows of activations is cut.
    fn tasks(&self, rows: usize) -> usize;

    /// Computes one task of `out[i, j] = sum_k x[i, k] * self[j, k]`: some `j` for all `i`.
    fn run(&self, task: usize, x: &Input<'_>, out: &Disjoint<'_>);

    /// Whether it is multiplied with activations rounded to 8 bits.
    fn rounds(&self) -> bool {
        false
    }

    /// One row as `f32`.
    fn row(&self, index: usize, out: &mut [f32]);

    /// Bytes of memory that it takes beside the file.
    fn bytes(&self) -> usize;

    /// Number of outputs.
    fn rows(&self) -> usize;

    /// Number of inputs.
    fn columns(&self) -> usize;
}

/// Rows of activations, as the matrices of a product want them.
pub(crate) struct Input<'a> {
    columns: usize,
    /// As they are.
    pub(super) x: &'a [f32],
    /// In 8 bits, where a matrix wants that.
    pub(super) rounded: &'a Activations,
}

impl<'a> Input<'a> {
    /// Rows of as many activations as the matrices have columns. `rounded` is memory that is used
    /// again.
    pub(super) fn new(
        x: &'a [f32],
        matrices: &[&dyn Matrix],
        rounded: &'a mut Activations,
    ) -> Self {
        let columns = matrices.first().map_or(1, |matrix| matrix.columns());
        assert!(
            x.len().is_multiple_of(columns) && matrices.iter().all(|m| m.columns() == columns),
            "shapes of a product"
        );
        if matrices.iter().any(|matrix| matrix.rounds()) {
            rounded.round(x, columns);
        }
        Self {
            columns,
            x,
            rounded,
        }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.x.len() / self.columns
    }
}

/// Products of the same activations with several matrices, in one go. `rounded` is memory that is
/// used again, and what comes into `out` takes the place of what was there.
pub(crate) fn multiply<const N: usize>(
    x: &[f32],
    matrices: [&dyn Matrix; N],
    rounded: &mut Activations,
    mut out: [&mut Vec<f32>; N],
) {
    let x = Input::new(x, &matrices, rounded);
    let m = x.rows();
    for (out, matrix) in out.iter_mut().zip(matrices) {
        out.resize(m * matrix.rows(), 0.0);
    }
    let tasks = matrices.map(|matrix| matrix.tasks(m));
    let parts = out.map(|out| Disjoint::new(out));
    (0..tasks.iter().sum()).into_par_iter().for_each(|task| {
        let (mut task, mut which) = (task, 0);
        while task >= tasks[which] {
            task -= tasks[which];
            which += 1;
        }
        matrices[which].run(task, &x, &parts[which]);
    });
}

/// Opens the matrix `name` of `rows` by `columns` for single rows: products are slow.
pub(crate) fn table(
    file: &Gguf,
    name: &str,
    rows: usize,
    columns: usize,
) -> Result<Box<dyn Matrix>, EngineError> {
    Ok(Box::new(Plain::new(tensor(file, name, rows, columns)?)))
}

fn tensor(
    file: &Gguf,
    name: &str,
    rows: usize,
    columns: usize,
) -> Result<MappedTensor, EngineError> {
    if rows == 0 || columns == 0 {
        return Err(file.damaged(format!("tensor `{name}` is empty")));
    }
    file.mapped(name, &[rows, columns])
}

/// Opens the matrix `name` of `rows` by `columns`.
pub(crate) fn matrix(
    file: &Gguf,
    name: &str,
    rows: usize,
    columns: usize,
) -> Result<Box<dyn Matrix>, EngineError> {
    let tensor = tensor(file, name, rows, columns)?;
    #[cfg(test)]
    if tests::EXACT.get() {
        return Ok(Box::new(Plain::new(tensor)));
    }
    Ok(packed::matrix(&tensor)
        .or_else(|| floats::matrix(&tensor))
        .unwrap_or_else(|| Box::new(Plain::new(tensor))))
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

/// A matrix of any format, multiplied without rounding.
struct Plain {
    tensor: MappedTensor,
    rows: usize,
    columns: usize,
    row_bytes: usize,
}

thread_local! {
    /// Decoded rows: kept because they are needed all the time.
    static DECODED: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

impl Plain {
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

impl Matrix for Plain {
    fn tasks(&self, _: usize) -> usize {
        self.rows.div_ceil(ROWS)
    }

    fn run(&self, task: usize, x: &Input<'_>, out: &Disjoint<'_>) {
        let (n, k) = (self.rows, self.columns);
        let mut decoded = DECODED.take();
        decoded.resize(ROWS * k, 0.0);
        let rows = task * ROWS..n.min((task + 1) * ROWS);
        let bytes = &self.tensor.bytes()[rows.start * self.row_bytes..rows.end * self.row_bytes];
        self.tensor
            .dtype()
            .decode(bytes, &mut decoded[..rows.len() * k]);
        for (i, x) in x.x.chunks_exact(k).enumerate() {
            for (j, row) in rows.clone().zip(decoded.chunks_exact(k)) {
                // SAFETY: rows of different tasks are disjoint, and each (i, j) is written once.
                unsafe { out.write(i * n + j, &[dot(x, row)]) };
            }
        }
        DECODED.set(decoded);
    }

    fn row(&self, index: usize, out: &mut [f32]) {
        self.tensor
            .dtype()
            .decode(self.tensor.row_bytes(index), out);
    }

    fn bytes(&self) -> usize {
        0
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn columns(&self) -> usize {
        self.columns
    }
}

#[cfg(test)]
pub(crate) mod tests {
    //! Choosing products without rounded activations, the truth that kernels are judged by.

    use std::cell::Cell;

    thread_local! {
        /// Whether matrices that are opened now multiply in `f32`.
        pub(crate) static EXACT: Cell<bool> = const { Cell::new(false) };
    }
}
