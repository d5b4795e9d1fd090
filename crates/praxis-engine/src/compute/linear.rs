//! Weight matrices and their products with activations: several matrices at once where they read
//! the same activations, shared out to the threads in tasks. Here is also the plain way for formats
//! without a kernel, which decodes weight rows and multiplies in `f32`. Each row of a product is
//! computed the same way whatever the number of rows, so that a prompt gives the same logits bit for
//! bit whether it was read at once or in pieces.

use std::cell::Cell;

use half::bf16;
use rayon::prelude::*;

use super::amx::Amx;
use super::bulk::{self, Bulk, Gated, Wide};
use super::floats;
use super::math::{dot, swiglu};
use super::packed::{self, Activations};
use super::rotated::{self, Stretches};
use super::shared::Disjoint;
use super::simd;
use super::unit::Unit;
use crate::dtype::Dtype;
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

    /// The matrix for a unit, where it can be had so and is multiplied faster: then only the first
    /// rows, those not in bulk, are computed by [`Matrix::run`].
    fn wide(&self, _: Unit) -> Option<&dyn Wide> {
        None
    }

    /// How [`Matrix::run`] wants activations rounded to 8 bits; `None` where it takes them as they are.
    fn rounding(&self) -> Option<Rounding> {
        None
    }

    /// One row as `f32`, of a matrix that lies in a file: one of [`from_values`] may have its weights
    /// packed only, and leave `out` as it is.
    fn row(&self, index: usize, out: &mut [f32]);

    /// Bytes of memory that it takes beside the file.
    fn bytes(&self) -> usize;

    /// Number of outputs.
    fn rows(&self) -> usize;

    /// Number of inputs.
    fn columns(&self) -> usize;
}

/// How many activations share a scale when they are rounded to 8 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// 32, see [`Activations`].
    Groups,
    /// 128, and rotated, see [`Stretches`].
    Stretches,
}

/// Memory for rounded activations, kept from one product to the next.
#[derive(Default)]
pub(crate) struct Rounded {
    bytes: Activations,
    stretches: Stretches,
    bulk: Bulk,
}

impl Rounded {
    /// Rounds rows to 8 bits.
    fn round(&mut self, rounding: Rounding, x: &[f32], columns: usize) {
        match rounding {
            Rounding::Groups => self.bytes.round(x, columns),
            Rounding::Stretches => self.stretches.round(x, columns),
        }
    }
}

/// Rows of activations, as the matrices of a product want them.
pub(crate) struct Input<'a> {
    /// What multiplies the rows in bulk with those matrices that can be had for it.
    unit: Option<Unit>,
    columns: usize,
    rows: usize,
    /// How many of the rows do not come in bulk: the first.
    single: usize,
    /// As they are; those in bulk may be missing.
    pub(super) x: &'a [f32],
    /// In 8 bits, where a matrix wants that: the single rows, or all where it is not for the unit.
    pub(super) rounded: &'a Activations,
    /// The same in longer groups.
    pub(super) stretches: &'a Stretches,
    /// The rows in bulk, for the unit.
    bulk: &'a Bulk,
}

impl<'a> Input<'a> {
    /// Rows of as many activations as the matrices have columns. Those behind the first `single` come
    /// in bulk and are multiplied by the processor's unit, where it has one that takes the matrix:
    /// which way a row goes must not depend on the other rows of a pass, or its result would.
    /// `rounded` is memory that is used again.
    pub(crate) fn new(
        x: &'a [f32],
        single: usize,
        matrices: &[&dyn Matrix],
        rounded: &'a mut Rounded,
    ) -> Self {
        Self::on(Unit::detect(), x, single, matrices, rounded)
    }

    /// [`Input::new`] for a unit, or for none.
    pub(super) fn on(
        unit: Option<Unit>,
        x: &'a [f32],
        single: usize,
        matrices: &[&dyn Matrix],
        rounded: &'a mut Rounded,
    ) -> Self {
        let columns = matrices.first().map_or(1, |matrix| matrix.columns());
        assert!(
            x.len().is_multiple_of(columns) && matrices.iter().all(|m| m.columns() == columns),
            "shapes of a product"
        );
        let rows = x.len() / columns;
        let single = unit.map_or(rows, |_| single);
        let in_bulk = |matrix: &&dyn Matrix| unit.is_some_and(|unit| matrix.wide(unit).is_some());
        for rounding in [Rounding::Groups, Rounding::Stretches] {
            let those = matrices.iter().filter(|m| m.rounding() == Some(rounding));
            let in_bytes = those.map(|matrix| if in_bulk(matrix) { single } else { rows });
            if let Some(rows) = in_bytes.max() {
                rounded.round(rounding, &x[..rows * columns], columns);
            }
        }
        if matrices.iter().any(in_bulk) {
            rounded.bulk.round(&x[single * columns..], columns);
        }
        Self {
            unit,
            columns,
            rows,
            single,
            x,
            rounded: &rounded.bytes,
            stretches: &rounded.stretches,
            bulk: &rounded.bulk,
        }
    }

    /// Number of rows.
    #[cfg(test)]
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Number of rows that [`Matrix::run`] of a matrix computes.
    pub(super) fn rows_for(&self, matrix: &dyn Matrix) -> usize {
        let wide = self.unit.and_then(|unit| matrix.wide(unit));
        wide.map_or(self.rows, |_| self.single)
    }

    /// One row as it was given.
    #[cfg(test)]
    pub(crate) fn row(&self, index: usize) -> &[f32] {
        &self.x[index * self.columns..(index + 1) * self.columns]
    }
}

/// Other work that is shared out together with a product's.
pub(crate) trait Beside: Sync {
    /// How many tasks it has.
    fn tasks(&self) -> usize;

    /// Does one.
    fn run(&self, task: usize);
}

/// Nothing beside a product.
impl Beside for () {
    fn tasks(&self) -> usize {
        0
    }

    fn run(&self, _: usize) {}
}

/// Products of the same activations with several matrices, in one go. What comes into `out` takes the
/// place of what was there.
pub(crate) fn multiply<const N: usize>(
    x: &Input<'_>,
    matrices: [&dyn Matrix; N],
    out: [&mut Vec<f32>; N],
) {
    multiply_beside(x, matrices, out, &());
}

/// [`multiply`], and something beside it.
pub(crate) fn multiply_beside<const N: usize>(
    x: &Input<'_>,
    matrices: [&dyn Matrix; N],
    mut out: [&mut Vec<f32>; N],
    beside: &dyn Beside,
) {
    for (out, matrix) in out.iter_mut().zip(matrices) {
        assert_eq!(matrix.columns(), x.columns, "shapes of a product");
        out.resize(x.rows * matrix.rows(), 0.0);
    }
    let bulk = matrices.map(|matrix| {
        let unit = x.unit?;
        let wide = matrix.wide(unit)?;
        (x.single < x.rows).then(|| bulk::Product::new(unit, x.bulk, wide, matrix.rows(), x.single))
    });
    let tasks: [[usize; 2]; N] = std::array::from_fn(|i| {
        let in_bulk = bulk[i].as_ref().map_or(0, bulk::Product::tasks);
        [matrices[i].tasks(x.rows_for(matrices[i])), in_bulk]
    });
    let parts = out.map(|out| Disjoint::new(out));
    let tasks = tasks.as_flattened();
    let first = beside.tasks();
    let all = first + tasks.iter().sum::<usize>();
    (0..all).into_par_iter().for_each(|task| {
        let Some(mut task) = task.checked_sub(first) else {
            return beside.run(task);
        };
        let mut which = 0;
        while task >= tasks[which] {
            task -= tasks[which];
            which += 1;
        }
        let (matrix, out) = (which / 2, &parts[which / 2]);
        match &bulk[matrix] {
            Some(product) if which % 2 == 1 => product.run(task, out),
            _ => matrices[matrix].run(task, x, out),
        }
    });
}

/// The first half of a gated feed-forward layer (Shazeer 2020), `silu(x * gate) * (x * up)`, as the
/// input of the second half, a product with `down`. `between` is memory for what lies between.
pub(crate) fn gated<'a>(
    x: &Input<'_>,
    [gate, up]: [&dyn Matrix; 2],
    down: &dyn Matrix,
    [between, other]: [&'a mut Vec<f32>; 2],
    rounded: &'a mut Rounded,
) -> Input<'a> {
    let columns = down.columns();
    let in_bulk = x.unit.and_then(|unit| {
        down.wide(unit)?;
        let matrices = [gate.wide(unit)?, up.wide(unit)?];
        (x.single < x.rows).then(|| Gated::new(unit, x.bulk, matrices, columns))
    });
    let single = Input {
        rows: if in_bulk.is_some() { x.single } else { x.rows },
        ..*x
    };
    multiply(&single, [gate, up], [&mut *between, &mut *other]);
    swiglu(between, other);
    let Some(in_bulk) = in_bulk else {
        return Input::on(x.unit, between, x.single, &[down], rounded);
    };
    if let Some(rounding) = down.rounding() {
        rounded.round(rounding, between, columns);
    }
    in_bulk.run(&mut rounded.bulk);
    Input {
        unit: x.unit,
        columns,
        rows: x.rows,
        single: x.single,
        x: between,
        rounded: &rounded.bytes,
        stretches: &rounded.stretches,
        bulk: &rounded.bulk,
    }
}

/// The matrix unit, where it multiplies rows in bulk with a matrix: what is computed of such
/// products may be rounded for it as well.
pub(crate) fn matrix_unit(matrix: &dyn Matrix) -> Option<Amx> {
    Amx::detect().filter(|amx| matrix.wide(Unit::Matrix(*amx)).is_some())
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
    Ok(of_tensor(tensor(file, name, rows, columns)?))
}

/// A matrix of any format, with the fastest kernel that it has.
fn of_tensor(tensor: MappedTensor) -> Box<dyn Matrix> {
    if is_exact() {
        return Box::new(Plain::new(tensor));
    }
    packed::matrix(&tensor)
        .or_else(|| floats::matrix(&tensor))
        .unwrap_or_else(|| Box::new(Plain::new(tensor)))
}

/// Whether matrices that are opened now multiply without rounding, as tests ask for.
#[cfg(test)]
fn is_exact() -> bool {
    tests::EXACT.get()
}

#[cfg(not(test))]
const fn is_exact() -> bool {
    false
}

/// A matrix of `rows` by `columns` from its values, for products of many rows. They are rounded as the
/// processor multiplies fastest: to bfloat16 where there is a matrix unit, else to 8 bits or less
/// ([`rotated`]). Where rows are not whole groups or stretches of those, they stay as they are.
pub(crate) fn from_values(
    values: &[f32],
    rows: usize,
    columns: usize,
) -> Result<Box<dyn Matrix>, EngineError> {
    let is_whole = |part: usize| !is_exact() && columns.is_multiple_of(part);
    #[cfg(test)]
    if let Some(instructions) = tests::ROTATED.get() {
        return Ok(tests::rotated(instructions, values, columns));
    }
    let (dtype, bytes) = if Amx::detect().is_some() && is_whole(bulk::GROUP) {
        let halves = values.iter().map(|x| bf16::from_f32(*x).to_le_bytes());
        (Dtype::Bf16, halves.flatten().collect())
    } else if is_whole(rotated::STRETCH) {
        return Ok(simd::run(rotated::Pack { values, columns }));
    } else {
        let words = values.iter().map(|x| x.to_le_bytes());
        (Dtype::F32, words.flatten().collect::<Vec<u8>>())
    };
    let tensor = MappedTensor::in_memory(dtype, (rows, columns), &bytes)?;
    Ok(of_tensor(tensor))
}

/// A matrix of any format whose bytes lie in a mapped file.
pub(crate) fn of_file(tensor: MappedTensor) -> Box<dyn Matrix> {
    of_tensor(tensor)
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
    //! Choosing products without rounded activations, the truth that kernels are judged by, or by other
    //! instructions than the best.

    use std::cell::Cell;

    use super::{Matrix, rotated, simd};

    thread_local! {
        /// Whether matrices that are opened now multiply in `f32`.
        pub(crate) static EXACT: Cell<bool> = const { Cell::new(false) };

        /// The instructions for which floats that are given now are rotated and rounded.
        pub(crate) static ROTATED: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// What [`ROTATED`] asks for.
    pub(super) fn rotated(instructions: &str, values: &[f32], columns: usize) -> Box<dyn Matrix> {
        let all = simd::all(|| rotated::Pack { values, columns }).into_iter();
        let asked = all.filter(|(name, _)| *name == instructions);
        asked.map(|(_, matrix)| matrix).next().unwrap()
    }

    struct Nothing;

    impl simd::Kernel for Nothing {
        type Output = ();

        fn run<I: simd::Isa>(self, _: I) {}
    }

    /// All instructions that this processor has.
    pub(crate) fn instructions() -> Vec<&'static str> {
        let all = simd::all(|| Nothing).into_iter();
        all.map(|(name, ())| name).collect()
    }
}
