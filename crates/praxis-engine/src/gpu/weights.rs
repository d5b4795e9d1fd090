//! The tensors of a GGUF file on a device. The file is read and checked by [`Gguf`], as for our own
//! decoder; quantized matrices stay as they are in it.

use std::borrow::Cow;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{Device, Module, Result, Tensor};

use super::loading;
use crate::compute::linear;
use crate::dtype::Dtype;
use crate::error::EngineError;
use crate::gguf::Gguf;

/// A projection with an optional bias.
pub(super) struct Linear {
    weight: QMatMul,
    bias: Option<Tensor>,
}

impl Linear {
    /// A projection without a bias.
    pub(super) fn new(weight: QMatMul) -> Self {
        Self { weight, bias: None }
    }

    /// Rows of `x` multiplied.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.weight.forward(x)?;
        match &self.bias {
            Some(bias) => x.broadcast_add(bias),
            None => Ok(x),
        }
    }
}

/// A file whose tensors go to a device.
pub(super) struct Weights<'a> {
    pub(super) file: &'a Gguf,
    pub(super) device: &'a Device,
}

impl Weights<'_> {
    /// `NAME.weight`, and `NAME.bias` where it is there or must be.
    pub(super) fn linear(
        &self,
        name: &str,
        (rows, columns): (usize, usize),
        biased: bool,
    ) -> std::result::Result<Linear, EngineError> {
        let bias = format!("{name}.bias");
        let bias = if biased || self.file.has_tensor(&bias) {
            Some(self.vector(&bias, rows)?)
        } else {
            None
        };
        let weight = self.matrix(&format!("{name}.weight"), rows, columns)?;
        Ok(Linear { weight, bias })
    }

    /// A matrix. Floats are multiplied in single precision, whatever the file's.
    pub(super) fn matrix(
        &self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> std::result::Result<QMatMul, EngineError> {
        let tensor = self.file.mapped(name, &[rows, columns])?;
        let bytes = Cow::Borrowed(tensor.bytes());
        let matrix = QStorage::from_data(bytes, self.device, ggml(tensor.dtype()))
            .and_then(|storage| QTensor::new(storage, (rows, columns)))
            .and_then(|tensor| QMatMul::from_arc(Arc::new(tensor)));
        // The device has its own copy.
        tensor.release();
        matrix.map_err(|error| loading(&error))
    }

    /// A vector of floats.
    pub(super) fn vector(
        &self,
        name: &str,
        len: usize,
    ) -> std::result::Result<Tensor, EngineError> {
        let values = linear::vector(self.file, name, len)?;
        Tensor::from_vec(values, len, self.device).map_err(|error| loading(&error))
    }
}

fn ggml(dtype: Dtype) -> GgmlDType {
    match dtype {
        Dtype::F32 => GgmlDType::F32,
        Dtype::F16 => GgmlDType::F16,
        Dtype::Bf16 => GgmlDType::BF16,
        Dtype::Q4_0 => GgmlDType::Q4_0,
        Dtype::Q4_1 => GgmlDType::Q4_1,
        Dtype::Q5_0 => GgmlDType::Q5_0,
        Dtype::Q5_1 => GgmlDType::Q5_1,
        Dtype::Q8_0 => GgmlDType::Q8_0,
        Dtype::Q2K => GgmlDType::Q2K,
        Dtype::Q3K => GgmlDType::Q3K,
        Dtype::Q4K => GgmlDType::Q4K,
        Dtype::Q5K => GgmlDType::Q5K,
        Dtype::Q6K => GgmlDType::Q6K,
    }
}
