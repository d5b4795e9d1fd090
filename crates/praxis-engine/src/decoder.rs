//! The decoder: one forward pass for the llama family, told apart by configuration only.
//!
//! Llama and SmolLM2 rotate neighbouring pairs of a head (their GGUF weights are permuted for it),
//! Qwen2 rotates halves and adds biases to queries, keys and values. Left out: batching of several
//! sequences, which comes with the scheduler.

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};
use rayon::prelude::*;

use crate::attention::{Heads, LayerCache, causal};
use crate::error::EngineError;
use crate::gguf::Gguf;

/// Which elements of a head a rotary embedding turns together (Su et al. 2021).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rotary {
    /// 2i and 2i + 1.
    Pairs,
    /// i and i + width / 2.
    Halves,
}

/// The shape of a decoder, from GGUF metadata.
#[derive(Debug, Clone)]
struct Config {
    layers: usize,
    hidden: usize,
    inner: usize,
    heads: Heads,
    vocabulary: usize,
    rotary: Rotary,
    rotary_base: f64,
    epsilon: f32,
    bias: bool,
    context: usize,
}

struct Linear {
    weight: QMatMul,
    bias: Option<Vec<f32>>,
}

struct Layer {
    attention_norm: Vec<f32>,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    inner_norm: Vec<f32>,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// Weights of a decoder.
pub(crate) struct Decoder {
    config: Config,
    embedding: QTensor,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: QMatMul,
}

/// What a sequence has left behind in each layer.
#[derive(Clone)]
pub(crate) struct KvCache {
    layers: Vec<LayerCache>,
    length: usize,
}

impl KvCache {
    /// Positions held.
    pub fn len(&self) -> usize {
        self.length
    }
}

impl Config {
    fn from_gguf(gguf: &Gguf) -> Result<Self, EngineError> {
        let architecture = gguf.text("general.architecture")?.to_owned();
        let (rotary, bias) = match architecture.as_str() {
            "llama" => (Rotary::Pairs, false),
            "qwen2" => (Rotary::Halves, true),
            other => {
                return Err(EngineError::unsupported(
                    gguf.path(),
                    format!("its architecture is `{other}`; llama and qwen2 are supported"),
                ));
            }
        };
        let key = |name: &str| format!("{architecture}.{name}");
        let number = |name: &str| gguf.number(&key(name));
        let (hidden, query) = (number("embedding_length")?, number("attention.head_count")?);
        let kv = number("attention.head_count_kv").unwrap_or(query);
        let fits = query > 0 && kv > 0 && query % kv == 0 && hidden % query == 0;
        if !fits || (hidden / query) % 2 != 0 {
            return Err(EngineError::damaged(
                gguf.path(),
                format!("{query} heads over {kv} kv heads do not divide {hidden} dimensions evenly"),
            ));
        }
        let head_width = hidden / query;
        if gguf.has(&key("rope.dimension_count")) && number("rope.dimension_count")? != head_width {
            return Err(EngineError::unsupported(
                gguf.path(),
                format!("`{}` differs from the head width {head_width}", key("rope.dimension_count")),
            ));
        }
        Ok(Self {
            layers: number("block_count")?,
            hidden,
            inner: number("feed_forward_length")?,
            heads: Heads { query, kv, width: head_width },
            vocabulary: gguf.texts("tokenizer.ggml.tokens")?.len(),
            rotary,
            rotary_base: gguf.float(&key("rope.freq_base")).unwrap_or(10_000.0),
            epsilon: gguf.float(&key("attention.layer_norm_rms_epsilon"))? as f32,
            bias,
            context: number("context_length")?,
        })
    }
}

impl Decoder {
    /// Reads the weights.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, EngineError> {
        let config = Config::from_gguf(gguf)?;
        let (hidden, inner, heads) = (config.hidden, config.inner, config.heads);
        let (query, kv) = (heads.query * heads.width, heads.kv * heads.width);
        let layers = (0..config.layers)
            .map(|i| {
                let name = |part: &str| format!("blk.{i}.{part}");
                let linear = |part: &str, rows: usize, columns: usize, bias: bool| {
                    Ok::<_, EngineError>(Linear {
                        weight: gguf.matrix(&name(&format!("{part}.weight")), rows, columns)?,
                        bias: bias
                            .then(|| gguf.f32s(&name(&format!("{part}.bias")), &[rows]))
                            .transpose()?,
                    })
                };
                Ok(Layer {
                    attention_norm: gguf.f32s(&name("attn_norm.weight"), &[hidden])?,
                    query: linear("attn_q", query, hidden, config.bias)?,
                    key: linear("attn_k", kv, hidden, config.bias)?,
                    value: linear("attn_v", kv, hidden, config.bias)?,
                    output: linear("attn_output", hidden, query, false)?,
                    inner_norm: gguf.f32s(&name("ffn_norm.weight"), &[hidden])?,
                    gate: linear("ffn_gate", inner, hidden, false)?,
                    up: linear("ffn_up", inner, hidden, false)?,
                    down: linear("ffn_down", hidden, inner, false)?,
                })
            })
            .collect::<Result<_, EngineError>>()?;
        // Small models tie the output to the token embedding and store it once.
        let head = if gguf.has_tensor("output.weight") { "output.weight" } else { "token_embd.weight" };
        Ok(Self {
            embedding: gguf.tensor("token_embd.weight", &[config.vocabulary, hidden])?,
            norm: gguf.f32s("output_norm.weight", &[hidden])?,
            head: gguf.matrix(head, config.vocabulary, hidden)?,
            layers,
            config,
        })
    }

    /// The longest sequence that the model was trained for.
    pub fn context(&self) -> usize {
        self.config.context
    }

    /// An empty cache.
    pub fn new_cache(&self) -> KvCache {
        KvCache { layers: vec![LayerCache::new(self.config.heads); self.layers.len()], length: 0 }
    }

    /// Forgets all positions of `cache` from `length` on.
    pub fn truncate(&self, cache: &mut KvCache, length: usize) {
        for layer in &mut cache.layers {
            layer.truncate(length, self.config.heads);
        }
        cache.length = cache.length.min(length);
    }

    /// Reads `tokens` into `cache`; returns the logits after the last of them, or nothing where
    /// they are not wanted.
    pub fn forward(
        &self,
        tokens: &[u32],
        cache: &mut KvCache,
        want_logits: bool,
    ) -> Result<Option<Vec<f32>>, EngineError> {
        let (hidden, heads) = (self.config.hidden, self.config.heads);
        let ids = Tensor::from_slice(tokens, tokens.len(), &Device::Cpu)?;
        let mut x = floats(&self.embedding.embedding(&ids)?)?;
        let rotation = Rotation::new(&self.config, cache.length, tokens.len());
        for (layer, cache) in self.layers.iter().zip(&mut cache.layers) {
            let normed = tensor(rms_norm(&x, &layer.attention_norm, self.config.epsilon), hidden)?;
            let mut query = layer.query.forward(&normed)?;
            let mut key = layer.key.forward(&normed)?;
            let value = layer.value.forward(&normed)?;
            rotation.apply(&mut query, heads.query);
            rotation.apply(&mut key, heads.kv);
            cache.append(&key, &value, heads);
            let mixed = tensor(causal(&query, cache, heads)?, heads.query * heads.width)?;
            add(&mut x, &layer.output.forward(&mixed)?);

            let normed = tensor(rms_norm(&x, &layer.inner_norm, self.config.epsilon), hidden)?;
            let mut gate = layer.gate.forward(&normed)?;
            let up = layer.up.forward(&normed)?;
            swiglu(&mut gate, &up);
            add(&mut x, &layer.down.forward(&tensor(gate, self.config.inner)?)?);
        }
        cache.length += tokens.len();
        if !want_logits {
            return Ok(None);
        }
        let last = rms_norm(&x[x.len() - hidden..], &self.norm, self.config.epsilon);
        Ok(Some(floats(&self.head.forward(&tensor(last, hidden)?)?)?))
    }
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Result<Vec<f32>, EngineError> {
        let mut y = floats(&self.weight.forward(x)?)?;
        if let Some(bias) = &self.bias {
            for row in y.chunks_exact_mut(bias.len()) {
                add(row, bias);
            }
        }
        Ok(y)
    }
}

/// Sines and cosines for a run of positions.
struct Rotation {
    kind: Rotary,
    half: usize,
    /// `[position, half]` pairs of cosine and sine.
    turns: Vec<(f32, f32)>,
}

impl Rotation {
    fn new(config: &Config, start: usize, count: usize) -> Self {
        let half = config.heads.width / 2;
        let turns = (start..start + count)
            .flat_map(|position| {
                (0..half).map(move |i| {
                    let exponent = -2.0 * i as f64 / config.heads.width as f64;
                    let angle = position as f64 * config.rotary_base.powf(exponent);
                    (angle.cos() as f32, angle.sin() as f32)
                })
            })
            .collect();
        Self { kind: config.rotary, half, turns }
    }

    fn apply(&self, rows: &mut [f32], heads: usize) {
        let width = 2 * self.half;
        let turns = self.turns.chunks_exact(self.half);
        for (row, turns) in rows.chunks_exact_mut(heads * width).zip(turns) {
            for head in row.chunks_exact_mut(width) {
                for (i, (cos, sin)) in turns.iter().enumerate() {
                    let (a, b) = match self.kind {
                        Rotary::Pairs => (2 * i, 2 * i + 1),
                        Rotary::Halves => (i, i + self.half),
                    };
                    let (x, y) = (head[a], head[b]);
                    head[a] = x * cos - y * sin;
                    head[b] = x * sin + y * cos;
                }
            }
        }
    }
}

fn tensor(values: Vec<f32>, columns: usize) -> Result<Tensor, EngineError> {
    let rows = values.len() / columns;
    Ok(Tensor::from_vec(values, (rows, columns), &Device::Cpu)?)
}

fn floats(tensor: &Tensor) -> Result<Vec<f32>, EngineError> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// Root-mean-square normalization of each row (Zhang and Sennrich 2019).
fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let width = weight.len();
    out.par_chunks_mut(width).zip(x.par_chunks(width)).with_min_len(16).for_each(|(out, x)| {
        let mean: f32 = x.iter().map(|v| v * v).sum::<f32>() / width as f32;
        let scale = 1.0 / (mean + epsilon).sqrt();
        for ((o, v), w) in out.iter_mut().zip(x).zip(weight) {
            *o = v * scale * w;
        }
    });
    out
}

/// `gate = silu(gate) * up` (Shazeer 2020).
fn swiglu(gate: &mut [f32], up: &[f32]) {
    gate.par_chunks_mut(4096).zip(up.par_chunks(4096)).for_each(|(gate, up)| {
        for (g, u) in gate.iter_mut().zip(up) {
            *g = *g / (1.0 + (-*g).exp()) * u;
        }
    });
}
