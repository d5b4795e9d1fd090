//! The decoder of the llama family (RMS norm, rotary positions, grouped queries, SwiGLU), as one
//! configurable model over plain slices. It knows tokens and logits; text, sampling and requests
//! are other modules' business.

mod attention;
mod cache;
mod config;
mod linear;
mod math;
mod rope;
mod shared;
#[cfg(test)]
mod tests;
#[cfg(all(
    target_arch = "x86_64",
    target_feature = "avx2",
    target_feature = "fma",
    target_feature = "f16c"
))]
mod tiled;

use rayon::prelude::*;

pub(crate) use cache::KvCache;
pub(crate) use math::exp;

use crate::error::EngineError;
use crate::gguf::Gguf;
use config::Config;
use linear::{Matrix, matrix, vector};

/// The computation was stopped on request; the cache is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interrupted;

/// What a pass over tokens should return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// Nothing: more of the prompt follows.
    Nothing,
    /// The logits after the last token.
    LastLogits,
}

/// A projection with an optional bias.
struct Linear {
    weight: Box<dyn Matrix>,
    bias: Option<Vec<f32>>,
}

impl Linear {
    fn open(
        file: &Gguf,
        name: &str,
        shape: (usize, usize),
        bias: bool,
    ) -> Result<Self, EngineError> {
        let weight = matrix(file, &format!("{name}.weight"), shape.0, shape.1)?;
        let bias_name = format!("{name}.bias");
        let bias = if bias || file.has_tensor(&bias_name) {
            Some(vector(file, &bias_name, shape.0)?)
        } else {
            None
        };
        Ok(Self { weight, bias })
    }

    fn apply(&self, x: &[f32], m: usize) -> Vec<f32> {
        let n = self.weight.rows();
        let mut out = vec![0.0; m * n];
        self.weight.multiply(x, m, &mut out);
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(n) {
                row.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
            }
        }
        out
    }
}

struct Layer {
    attention_norm: Vec<f32>,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    feed_forward_norm: Vec<f32>,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Layer {
    fn open(file: &Gguf, index: usize, c: &Config) -> Result<Self, EngineError> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let queries = c.query_heads * c.head_dim;
        let keys = c.kv_heads * c.head_dim;
        let linear = |part: &str, rows, columns, bias| {
            Linear::open(file, &name(part), (rows, columns), bias)
        };
        Ok(Self {
            attention_norm: vector(file, &name("attn_norm.weight"), c.hidden)?,
            query: linear("attn_q", queries, c.hidden, c.qkv_bias)?,
            key: linear("attn_k", keys, c.hidden, c.qkv_bias)?,
            value: linear("attn_v", keys, c.hidden, c.qkv_bias)?,
            output: linear("attn_output", c.hidden, queries, false)?,
            feed_forward_norm: vector(file, &name("ffn_norm.weight"), c.hidden)?,
            gate: linear("ffn_gate", c.feed_forward, c.hidden, false)?,
            up: linear("ffn_up", c.feed_forward, c.hidden, false)?,
            down: linear("ffn_down", c.hidden, c.feed_forward, false)?,
        })
    }
}

/// A loaded model.
pub(crate) struct Decoder {
    config: Config,
    embedding: Box<dyn Matrix>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// `None` where the embedding matrix is used for the output as well.
    head: Option<Box<dyn Matrix>>,
}

impl Decoder {
    /// Opens the tensors of a file.
    pub(crate) fn open(file: &Gguf) -> Result<Self, EngineError> {
        let config = Config::read(file)?;
        let c = &config;
        let embedding = matrix(file, "token_embd.weight", c.vocabulary, c.hidden)?;
        let mut layers = Vec::new();
        for index in 0..c.layers {
            layers.push(Layer::open(file, index, c)?);
        }
        let norm = vector(file, "output_norm.weight", c.hidden)?;
        let head = if file.has_tensor("output.weight") {
            Some(matrix(file, "output.weight", c.vocabulary, c.hidden)?)
        } else {
            None
        };
        Ok(Self {
            embedding,
            layers,
            norm,
            head,
            config,
        })
    }

    /// Tokens of the context window that the model was trained for.
    pub(crate) fn context(&self) -> usize {
        self.config.context
    }

    /// Tokens of the vocabulary.
    pub(crate) fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    /// An empty cache for a sequence of this model.
    pub(crate) fn new_cache(&self) -> KvCache {
        KvCache::new(
            self.config.layers,
            self.config.kv_heads,
            self.config.head_dim,
        )
    }

    /// Reads `tokens`, which stand at `position` after what `cache` holds, and appends them to it.
    /// `interrupted` is asked between layers.
    pub(crate) fn forward(
        &self,
        tokens: &[u32],
        position: usize,
        cache: &mut KvCache,
        want: Want,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Vec<f32>, Interrupted> {
        let c = &self.config;
        let mut m = tokens.len();
        let mut x = vec![0.0; m * c.hidden];
        for (row, token) in x.chunks_exact_mut(c.hidden).zip(tokens) {
            self.embedding
                .row((*token as usize).min(c.vocabulary - 1), row);
        }
        let angles = c.rope.angles(position..position + m);
        let (q_len, kv_len) = (c.query_heads * c.head_dim, c.kv_heads * c.head_dim);
        for (index, layer) in self.layers.iter().enumerate() {
            if interrupted() {
                cache.truncate(position);
                return Err(Interrupted);
            }
            let h = self.normalize(&x, &layer.attention_norm);
            let mut keys = layer.key.apply(&h, m);
            let values = layer.value.apply(&h, m);
            c.rope.rotate(&mut keys, kv_len, c.head_dim, &angles);
            cache.append(index, &keys, &values);
            let last = index + 1 == self.layers.len();
            if last && want == Want::Nothing {
                return Ok(Vec::new());
            }
            let mut queries = layer.query.apply(&h, m);
            c.rope.rotate(&mut queries, q_len, c.head_dim, &angles);
            let mut first = position;
            if last {
                // Only the last token's logits are wanted, and nothing reads this layer's output.
                queries.drain(..(m - 1) * q_len);
                x.drain(..(m - 1) * c.hidden);
                first = position + m - 1;
                m = 1;
            }
            let mut attended = vec![0.0; m * q_len];
            attention::attend(
                &queries,
                first,
                cache.layer(index),
                c.heads(),
                &mut attended,
            );
            add(&mut x, &layer.output.apply(&attended, m));
            let h = self.normalize(&x, &layer.feed_forward_norm);
            let mut gate = layer.gate.apply(&h, m);
            let up = layer.up.apply(&h, m);
            gate.par_chunks_mut(4096)
                .zip(up.par_chunks(4096))
                .for_each(|(gate, up)| math::swiglu(gate, up));
            add(&mut x, &layer.down.apply(&gate, m));
        }
        let h = self.normalize(&x, &self.norm);
        let head = self.head.as_deref().unwrap_or(self.embedding.as_ref());
        let mut logits = vec![0.0; head.rows()];
        head.multiply(&h, 1, &mut logits);
        Ok(logits)
    }

    fn normalize(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let (n, eps) = (self.config.hidden, self.config.eps);
        let mut out = vec![0.0; x.len()];
        if x.len() == n {
            math::rms_norm(x, weight, eps, &mut out);
        } else {
            x.par_chunks(n)
                .zip(out.par_chunks_mut(n))
                .for_each(|(x, out)| math::rms_norm(x, weight, eps, out));
        }
        out
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
