//! Chat models on a GPU, through candle: the decoder of the llama family over its tensors, its keys and
//! values, and how a device is opened. The code is the same for each of candle's devices, so that tests
//! compare it with our own decoder on a machine without a GPU.
//!
//! It is behind the feature `cuda`. Left out: adapters, encoders, several GPUs for one model, and several
//! sequences in one pass; requests are [`crate::chat`]'s business.

mod cache;
mod decoder;
#[cfg(test)]
pub(crate) mod tests;
mod weights;

pub(crate) use cache::Cache;
pub(crate) use decoder::Decoder;

use candle_core::Error;

use crate::error::EngineError;

/// The first GPU that this process sees; `CUDA_VISIBLE_DEVICES` chooses another.
#[cfg(feature = "cuda")]
pub(crate) fn cuda() -> Result<candle_core::Device, EngineError> {
    candle_core::Device::new_cuda(0).map_err(|error| {
        EngineError::Gpu(format!(
            "no NVIDIA GPU can be used ({}); does `nvidia-smi` show one? Without a GPU, set \
             `device = \"cpu\"`",
            brief(&error)
        ))
    })
}

/// An error while a model is brought to a device.
fn loading(error: &Error) -> EngineError {
    EngineError::Gpu(format!(
        "loading failed ({}); if its memory is too small, set a smaller `context_length`, take a smaller \
         model, or set `device = \"cpu\"`",
        brief(error)
    ))
}

/// What happened, without the backtrace that candle adds where one is asked for.
pub(crate) fn brief(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().into()
}
