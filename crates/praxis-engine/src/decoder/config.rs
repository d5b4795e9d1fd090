//! The shape of a decoder, read from a file's metadata and checked.

use super::attention::Heads;
use super::linear::vector;
use super::rope::{Rope, RopeLayout};
use crate::error::EngineError;
use crate::gguf::Gguf;

/// The most heads, and values of a head: more than any model has, and few enough that no product of them overflows.
const MOST_HEADS: usize = 1 << 16;

/// The most blocks, and values of a vector.
const MOST: usize = 1 << 24;

/// The shape of a decoder.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Its family's name in GGUF.
    pub(crate) architecture: String,
    /// Transformer blocks.
    pub(crate) layers: usize,
    /// Width of the residual stream.
    pub(crate) hidden: usize,
    /// Width of the feed-forward network.
    pub(crate) feed_forward: usize,
    /// Query heads.
    pub(crate) query_heads: usize,
    /// Key-value heads.
    pub(crate) kv_heads: usize,
    /// Values in a head.
    pub(crate) head_dim: usize,
    /// Tokens of the vocabulary.
    pub(crate) vocabulary: usize,
    /// Tokens of the context window that the model was trained for.
    pub(crate) context: usize,
    /// Epsilon of the norms.
    pub(crate) eps: f32,
    /// Whether query, key and value projections have biases.
    pub(crate) qkv_bias: bool,
    /// Whether each head's queries and keys are normalized before they are rotated.
    pub(crate) head_norms: bool,
    /// Every so many layers, queries and keys are not rotated.
    pub(crate) unrotated_every: Option<usize>,
    /// The rotation of queries and keys.
    pub(crate) rope: Rope,
}

/// What tells the architectures apart that this decoder computes.
struct Family {
    layout: RopeLayout,
    qkv_bias: bool,
    head_norms: bool,
    unrotated_every: Option<usize>,
}

impl Family {
    fn of(architecture: &str) -> Option<Self> {
        let llama = Self {
            layout: RopeLayout::Neighbours,
            qkv_bias: false,
            head_norms: false,
            unrotated_every: None,
        };
        Some(match architecture {
            "llama" => llama,
            "qwen2" => Self {
                layout: RopeLayout::Halves,
                qkv_bias: true,
                ..llama
            },
            "qwen3" => Self {
                layout: RopeLayout::Halves,
                head_norms: true,
                ..llama
            },
            // Layers without positions (Yang et al. 2025, "Rope to Nope and Back Again").
            "smollm3" => Self {
                unrotated_every: Some(4),
                ..llama
            },
            _ => return None,
        })
    }
}

impl Config {
    /// Reads and checks the metadata.
    pub(crate) fn read(file: &Gguf) -> Result<Self, EngineError> {
        let architecture = file.text("general.architecture")?;
        let Family {
            layout,
            qkv_bias,
            head_norms,
            unrotated_every,
        } = Family::of(architecture).ok_or_else(|| {
            file.unsupported(format!(
                "the architecture `{architecture}`; implemented are `llama` (Llama, Mistral, \
                 SmolLM2), `qwen2`, `qwen3` and `smollm3`"
            ))
        })?;
        let optional = |name: &str| file.optional_number(&format!("{architecture}.{name}"));
        let positive = |name: &str| {
            let key = format!("{architecture}.{name}");
            match file.number(&key)? {
                0 => Err(file.damaged(format!("the key `{key}` is 0"))),
                n if n > MOST => Err(file.damaged(format!("the key `{key}` is {n}"))),
                n => Ok(n),
            }
        };
        let float = |name: &str| -> Result<Option<f32>, EngineError> {
            Ok(file
                .optional_float(&format!("{architecture}.{name}"))?
                .map(|x| x as f32))
        };
        let hidden = positive("embedding_length")?;
        let query_heads = positive("attention.head_count")?;
        let kv_heads = optional("attention.head_count_kv")?.unwrap_or(query_heads);
        let head_dim = optional("attention.key_length")?.unwrap_or(hidden / query_heads);
        if kv_heads == 0 || query_heads % kv_heads != 0 {
            return Err(file.damaged(format!(
                "{query_heads} query heads cannot share {kv_heads} key-value heads \
                 (`{architecture}.attention.head_count_kv`)"
            )));
        }
        if optional("attention.value_length")?.is_some_and(|v| v != head_dim) {
            return Err(file.unsupported("heads whose keys and values differ in length"));
        }
        let sizes = [
            ("attention.head_count", query_heads),
            ("attention.head_count_kv", kv_heads),
            ("attention.key_length", head_dim),
        ];
        for (name, size) in sizes {
            if !(1..=MOST_HEADS).contains(&size) {
                return Err(file.damaged(format!(
                    "`{architecture}.{name}` is {size}, not between 1 and {MOST_HEADS}"
                )));
            }
        }
        if optional("expert_count")?.is_some_and(|n| n > 0) {
            return Err(file.unsupported("a mixture of experts"));
        }
        let eps_key = format!("{architecture}.attention.layer_norm_rms_epsilon");
        let eps = file.float(&eps_key)? as f32;
        if !(eps.is_finite() && eps >= 0.0) {
            return Err(file.damaged(format!("the key `{eps_key}` is {eps}")));
        }
        let rope_dim = optional("rope.dimension_count")?.unwrap_or(head_dim);
        if rope_dim % 2 != 0 || rope_dim > head_dim || rope_dim == 0 {
            return Err(file.damaged(format!(
                "`{architecture}.rope.dimension_count` is {rope_dim}, a head has {head_dim} values"
            )));
        }
        let scaling = match file.optional_text(&format!("{architecture}.rope.scaling.type"))? {
            None | Some("none") => 1.0,
            Some("linear") => float("rope.scaling.factor")?.unwrap_or(1.0),
            Some(other) => return Err(file.unsupported(format!("rope scaling of type `{other}`"))),
        };
        let factors = if file.has_tensor("rope_freqs.weight") {
            Some(vector(file, "rope_freqs.weight", rope_dim / 2)?)
        } else {
            None
        };
        let base = float("rope.freq_base")?.unwrap_or(10_000.0);
        if !(base.is_finite() && base > 0.0 && scaling.is_finite() && scaling > 0.0) {
            return Err(file.damaged(format!(
                "`{architecture}.rope.freq_base` is {base} and the scaling factor {scaling}"
            )));
        }
        let vocabulary = match *file.shape("token_embd.weight") {
            [rows, columns] if columns == hidden && rows > 0 => rows,
            ref shape => {
                return Err(file.damaged(format!(
                    "the tensor `token_embd.weight` is missing or not of rows of {hidden} values \
                     (shape {shape:?})"
                )));
            }
        };
        Ok(Self {
            architecture: architecture.to_owned(),
            layers: positive("block_count")?,
            hidden,
            feed_forward: positive("feed_forward_length")?,
            query_heads,
            kv_heads,
            head_dim,
            vocabulary,
            context: positive("context_length")?,
            eps,
            qkv_bias,
            head_norms,
            unrotated_every,
            rope: Rope::new(layout, rope_dim, base, scaling, factors.as_deref()),
        })
    }

    /// Whether a layer rotates queries and keys.
    pub(crate) fn rotates(&self, layer: usize) -> bool {
        self.unrotated_every
            .is_none_or(|every| !(layer + 1).is_multiple_of(every))
    }

    /// The shape of a layer's heads.
    pub(crate) fn heads(&self) -> Heads {
        Heads {
            queries: self.query_heads,
            keys: self.kv_heads,
            dim: self.head_dim,
        }
    }
}

#[cfg(test)]
mod tests;
