//! What speech takes of the rest of the engine: files, matrices and their products, attention, the small
//! functions of a transformer.

pub(super) use crate::compute::Disjoint;
pub(super) use crate::compute::Rounded;
pub(super) use crate::compute::linear::{Input, Matrix, matrix_unit, multiply};
pub(super) use crate::compute::math::{dot, exp};
pub(super) use crate::compute::simd::{self, Isa, Kernel};
pub(super) use crate::cpu;
pub(super) use crate::dtype::Dtype;
pub(super) use crate::encoder::attention::{Projections, attend};
pub(super) use crate::encoder::kernels::{Norm, add, gelu, softmax};
pub(super) use crate::error::EngineError;
pub(super) use crate::gguf::MappedTensor;
pub(super) use crate::mapped::MappedFile;

use std::ops::Range;

use super::ct2::Ct2File;
use crate::compute::linear::of_file;

/// What is added to a variance before its root is taken: torch's default, which Whisper was trained with.
const EPSILON: f32 = 1e-5;

/// A linear layer, `out = weight * in + bias`. Whoever uses the product adds the bias.
pub(super) struct Linear {
    pub(super) weight: Box<dyn Matrix>,
    pub(super) bias: Vec<f32>,
}

impl Linear {
    /// Opens some rows of the layer `name`, which has `outputs` of them.
    pub(super) fn part(
        file: &Ct2File,
        name: &str,
        inputs: usize,
        outputs: usize,
        rows: Range<usize>,
    ) -> Result<Self, EngineError> {
        let weight = file.matrix(&format!("{name}/weight"), &[outputs, inputs], rows.clone())?;
        let bias = file.f32s(&format!("{name}/bias"), &[outputs])?;
        Ok(Self {
            weight: of_file(weight),
            bias: bias.get(rows).unwrap_or_default().to_vec(),
        })
    }

    /// Opens the whole layer `name`.
    pub(super) fn open(
        file: &Ct2File,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, EngineError> {
        Self::part(file, name, inputs, outputs, 0..outputs)
    }

    /// The product of rows with the weight, of which the first `single` go the exact way; `out` is
    /// replaced. The bias is left to the caller.
    pub(super) fn product(
        &self,
        x: &[f32],
        single: usize,
        rounded: &mut Rounded,
        out: &mut Vec<f32>,
    ) {
        let weight = self.weight.as_ref();
        let x = Input::new(x, single, &[weight], rounded);
        multiply(&x, [weight], [out]);
    }

    /// The product with the bias.
    pub(super) fn apply(
        &self,
        x: &[f32],
        single: usize,
        rounded: &mut Rounded,
        out: &mut Vec<f32>,
    ) {
        self.product(x, single, rounded, out);
        add_to_rows(out, &self.bias);
    }
}

/// Adds `bias` to each row.
pub(super) fn add_to_rows(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        add(row, bias);
    }
}

/// The whole variable `name` as a matrix.
pub(super) fn matrix(
    file: &Ct2File,
    name: &str,
    shape: &[usize],
) -> Result<Box<dyn Matrix>, EngineError> {
    let rows = 0..shape.first().copied().unwrap_or_default();
    Ok(of_file(file.matrix(name, shape, rows)?))
}

/// Opens the layer norm `name`.
pub(super) fn norm(file: &Ct2File, name: &str, width: usize) -> Result<Norm, EngineError> {
    Ok(Norm {
        weight: file.f32s(&format!("{name}/gamma"), &[width])?,
        bias: file.f32s(&format!("{name}/beta"), &[width])?,
        epsilon: EPSILON,
    })
}
