//! The decoder of the llama family over candle's tensors: what [`crate::decoder`] computes, one sequence
//! at a time and on any device. Its shape is read and checked by the same [`Config`].

use candle_core::quantized::QMatMul;
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::ops::{rms_norm, silu, softmax_last_dim};
use candle_nn::rotary_emb;

use super::cache::Cache;
use super::loading;
use super::weights::{Linear, Weights};
use crate::decoder::{Config, RopeLayout};
use crate::error::EngineError;
use crate::gguf::Gguf;

struct Layer {
    attention_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    /// Of each query and key head, where the family has them.
    head_norms: Option<[Tensor; 2]>,
    feed_forward_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Layer {
    fn open(
        weights: &Weights<'_>,
        index: usize,
        c: &Config,
    ) -> std::result::Result<Self, EngineError> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let linear = |part, rows, columns, biased| {
            weights.linear(&name(part), (rows, columns), biased && c.qkv_bias)
        };
        let (q_len, kv_len) = (c.query_heads * c.head_dim, c.kv_heads * c.head_dim);
        Ok(Self {
            attention_norm: weights.vector(&name("attn_norm.weight"), c.hidden)?,
            query: linear("attn_q", q_len, c.hidden, true)?,
            key: linear("attn_k", kv_len, c.hidden, true)?,
            value: linear("attn_v", kv_len, c.hidden, true)?,
            output: linear("attn_output", c.hidden, q_len, false)?,
            head_norms: if c.head_norms {
                let norm = |part: &str| weights.vector(&name(part), c.head_dim);
                Some([norm("attn_q_norm.weight")?, norm("attn_k_norm.weight")?])
            } else {
                None
            },
            feed_forward_norm: weights.vector(&name("ffn_norm.weight"), c.hidden)?,
            gate: linear("ffn_gate", c.feed_forward, c.hidden, false)?,
            up: linear("ffn_up", c.feed_forward, c.hidden, false)?,
            down: linear("ffn_down", c.hidden, c.feed_forward, false)?,
        })
    }

    fn feed_forward(&self, x: &Tensor) -> Result<Tensor> {
        let gated = (silu(&self.gate.forward(x)?)? * self.up.forward(x)?)?;
        self.down.forward(&gated)
    }
}

/// A model on a device.
pub(crate) struct Decoder {
    config: Config,
    device: Device,
    embedding: QMatMul,
    layers: Vec<Layer>,
    norm: Tensor,
    head: Linear,
    /// Cosines and sines of all positions of the window, a row each.
    angles: [Tensor; 2],
    /// Tokens of a sequence.
    window: usize,
}

impl Decoder {
    /// Brings a file's tensors to a device, for sequences of at most `window` tokens.
    pub(crate) fn open(
        file: &Gguf,
        device: &Device,
        window: usize,
    ) -> std::result::Result<Self, EngineError> {
        let config = Config::read(file)?;
        let c = &config;
        let weights = Weights { file, device };
        let embedding = weights.matrix("token_embd.weight", c.vocabulary, c.hidden)?;
        let mut layers = Vec::new();
        for index in 0..c.layers {
            layers.push(Layer::open(&weights, index, c)?);
        }
        let norm = weights.vector("output_norm.weight", c.hidden)?;
        let head = Linear::new(if file.has_tensor("output.weight") {
            weights.matrix("output.weight", c.vocabulary, c.hidden)?
        } else {
            embedding.clone()
        });
        let window = window.clamp(1, c.context);
        let angles = c.rope.angles(0..window).into_tables();
        let [cos, sin] = angles.map(|table| {
            let shape = (window, table.len() / window);
            Tensor::from_vec(table, shape, device).map_err(|error| loading(&error))
        });
        Ok(Self {
            angles: [cos?, sin?],
            device: device.clone(),
            embedding,
            layers,
            norm,
            head,
            window,
            config,
        })
    }

    /// Tokens of a sequence.
    pub(crate) fn window(&self) -> usize {
        self.window
    }

    /// Tokens of the vocabulary.
    pub(crate) fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    /// An empty cache for a sequence.
    pub(crate) fn cache(&self) -> std::result::Result<Cache, EngineError> {
        let c = &self.config;
        let shape = (c.kv_heads, self.window, c.head_dim);
        Cache::new(c.layers, shape, &self.device).map_err(|error| loading(&error))
    }

    /// Reads tokens that follow what the cache holds and appends them to it. Returns the logits after
    /// each of the last `wanted`. After an error the cache is as before.
    pub(crate) fn forward(
        &self,
        tokens: &[u32],
        cache: &mut Cache,
        wanted: usize,
    ) -> Result<Vec<Vec<f32>>> {
        let c = &self.config;
        let (m, start) = (tokens.len(), cache.len());
        if m > cache.room() {
            candle_core::bail!("{m} tokens for a cache with room for {}", cache.room());
        }
        let last_token = c.vocabulary as u32 - 1;
        let tokens: Vec<u32> = tokens
            .iter()
            .map(|token| (*token).min(last_token))
            .collect();
        let ids = Tensor::from_vec(tokens, m, &self.device)?;
        let mut x = self.embedding.embedding(&ids)?;
        let [cos, sin] = &self.angles;
        let angles = [cos.narrow(0, start, m)?, sin.narrow(0, start, m)?];
        let mask = self.mask(start, m)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let h = rms_norm(&x, &layer.attention_norm, c.eps)?;
            let [query_norm, key_norm] = match &layer.head_norms {
                Some([query, key]) => [Some(query), Some(key)],
                None => [None, None],
            };
            let angles = c.rotates(index).then_some(&angles);
            let mut queries = self.heads(&layer.query.forward(&h)?, query_norm, angles)?;
            let keys = self.heads(&layer.key.forward(&h)?, key_norm, angles)?;
            let values = self.heads(&layer.value.forward(&h)?, None, None)?;
            let [keys, values] = cache.append(index, [&keys, &values])?;
            let mut mask = mask.clone();
            if index + 1 == self.layers.len() && wanted < m {
                // Only the rows whose logits are wanted go on: nothing reads this layer's output.
                if wanted == 0 {
                    break;
                }
                queries = queries.narrow(1, m - wanted, wanted)?.contiguous()?;
                x = x.narrow(0, m - wanted, wanted)?.contiguous()?;
                mask = match mask {
                    Some(mask) => Some(mask.narrow(0, m - wanted, wanted)?),
                    None => None,
                };
            }
            let attended = self.attend(&queries, &keys, &values, mask.as_ref())?;
            x = (x + layer.output.forward(&attended)?)?;
            let h = rms_norm(&x, &layer.feed_forward_norm, c.eps)?;
            x = (x + layer.feed_forward(&h)?)?;
        }
        if wanted == 0 {
            cache.advance(m);
            return Ok(Vec::new());
        }
        let h = rms_norm(&x, &self.norm, c.eps)?;
        // Only here does the device have to be ready.
        let logits = self.head.forward(&h)?.to_vec2()?;
        cache.advance(m);
        Ok(logits)
    }

    /// Rows of heads as heads of rows, normalized and rotated where that is wanted.
    fn heads(
        &self,
        rows: &Tensor,
        norm: Option<&Tensor>,
        angles: Option<&[Tensor; 2]>,
    ) -> Result<Tensor> {
        let (m, len) = rows.dims2()?;
        let dim = self.config.head_dim;
        let mut heads = rows.reshape((m, len / dim, dim))?;
        if let Some(norm) = norm {
            heads = rms_norm(&heads, norm, self.config.eps)?;
        }
        let heads = heads.transpose(0, 1)?.contiguous()?;
        match angles {
            Some(angles) => self.rotate(&heads, angles),
            None => Ok(heads),
        }
    }

    fn rotate(&self, heads: &Tensor, [cos, sin]: &[Tensor; 2]) -> Result<Tensor> {
        let rotated = 2 * cos.dim(1)?;
        let rest = self.config.head_dim - rotated;
        if rest > 0 {
            let first = heads.narrow(2, 0, rotated)?.contiguous()?;
            let first = self.rotate_all(&first, cos, sin)?;
            return Tensor::cat(&[&first, &heads.narrow(2, rotated, rest)?], 2);
        }
        self.rotate_all(heads, cos, sin)
    }

    fn rotate_all(&self, heads: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
        let heads = heads.unsqueeze(0)?;
        let rotated = match self.config.rope.layout() {
            RopeLayout::Neighbours => rotary_emb::rope_i(&heads, cos, sin),
            RopeLayout::Halves => rotary_emb::rope(&heads, cos, sin),
        };
        rotated?.squeeze(0)
    }

    /// What `m` tokens after `start` others may not see: those after themselves.
    fn mask(&self, start: usize, m: usize) -> Result<Option<Tensor>> {
        if m == 1 {
            return Ok(None);
        }
        let unseen = |row| (0..start + m).map(move |at| at > start + row);
        let mask = (0..m).flat_map(unseen);
        let mask = mask.map(|unseen| if unseen { f32::NEG_INFINITY } else { 0.0 });
        Tensor::from_vec(mask.collect(), (m, start + m), &self.device).map(Some)
    }

    /// The values that queries attend to, as rows of all heads.
    fn attend(
        &self,
        queries: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        mask: Option<&Tensor>,
    ) -> Result<Tensor> {
        let c = &self.config;
        let (heads, m, dim) = queries.dims3()?;
        let seen = keys.dim(1)?;
        // The queries of all heads that share keys are rows of one product.
        let together = (c.kv_heads, heads / c.kv_heads * m, dim);
        let queries = (queries * (1.0 / (dim as f64).sqrt()))?.reshape(together)?;
        let mut scores = queries.matmul(&keys.transpose(1, 2)?)?;
        if let Some(mask) = mask {
            let apart = scores.reshape((heads, m, seen))?.broadcast_add(mask)?;
            scores = apart.reshape((c.kv_heads, heads / c.kv_heads * m, seen))?;
        }
        let attended = softmax_last_dim(&scores)?.matmul(values)?;
        debug_assert_eq!(attended.dtype(), DType::F32);
        let rows = attended.reshape((heads, m, dim))?.transpose(0, 1)?;
        rows.contiguous()?.reshape((m, heads * dim))
    }
}
