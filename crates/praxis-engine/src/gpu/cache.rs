//! The keys and values of one sequence on a device, in single precision. Room for the whole context
//! window is taken at once, so that a memory too small shows when a model is loaded and not later.

use candle_core::{DType, Device, Result, Tensor};

/// The keys and values of a sequence.
pub(crate) struct Cache {
    /// Keys and values of each layer: a row of `heads` by `window` by `dim`.
    layers: Vec<[Tensor; 2]>,
    window: usize,
    len: usize,
}

impl Cache {
    /// An empty cache of `window` tokens for so many layers of `heads` of `dim` values.
    pub(super) fn new(
        layers: usize,
        (heads, window, dim): (usize, usize, usize),
        device: &Device,
    ) -> Result<Self> {
        let zeros = || Tensor::zeros((heads, window, dim), DType::F32, device);
        let layers = (0..layers).map(|_| Ok([zeros()?, zeros()?]));
        Ok(Self {
            layers: layers.collect::<Result<_>>()?,
            window,
            len: 0,
        })
    }

    /// Tokens that are in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Tokens that still fit.
    pub(super) fn room(&self) -> usize {
        self.window - self.len
    }

    /// Forgets all after the first `tokens`.
    pub(crate) fn truncate(&mut self, tokens: usize) {
        self.len = self.len.min(tokens);
    }

    /// Writes a layer's keys and values (heads by tokens by values) behind those that are there, and
    /// gives all of the layer. They count once [`Cache::advance`] says so.
    pub(super) fn append(&self, layer: usize, new: [&Tensor; 2]) -> Result<[Tensor; 2]> {
        let [keys, values] = &self.layers[layer];
        let end = self.len + new[0].dim(1)?;
        keys.slice_set(new[0], 1, self.len)?;
        values.slice_set(new[1], 1, self.len)?;
        Ok([keys.narrow(1, 0, end)?, values.narrow(1, 0, end)?])
    }

    /// Counts tokens in that were written to all layers.
    pub(super) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }
}
