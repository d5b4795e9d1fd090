//! LoRA adapters of a decoder (Hu et al. 2021): for some of its projections two thin matrices whose
//! product is added to the weights. They are read from GGUF files as llama.cpp writes them ([`gguf`])
//! and from folders as PEFT saves them ([`peft`]), and checked against the decoder's shape.
//!
//! Left out, with errors that say so: changed embeddings and output heads, norms and biases, DoRA, and
//! adapters that begin to act in the middle of a prompt.

mod gguf;
mod peft;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::config::Config;
use crate::compute::low_rank::{LowRank, Part};
use crate::error::EngineError;

/// A projection of a layer, which an adapter may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Query,
    Key,
    Value,
    Output,
    Gate,
    Up,
    Down,
}

impl Target {
    const ALL: [Self; 7] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::Gate,
        Self::Up,
        Self::Down,
    ];

    /// Its name in GGUF files.
    pub(super) fn gguf(self) -> &'static str {
        match self {
            Self::Query => "attn_q",
            Self::Key => "attn_k",
            Self::Value => "attn_v",
            Self::Output => "attn_output",
            Self::Gate => "ffn_gate",
            Self::Up => "ffn_up",
            Self::Down => "ffn_down",
        }
    }

    /// Its name in Hugging Face's models.
    fn hugging_face(self) -> &'static str {
        match self {
            Self::Query => "self_attn.q_proj",
            Self::Key => "self_attn.k_proj",
            Self::Value => "self_attn.v_proj",
            Self::Output => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// Its outputs and inputs.
    pub(super) fn shape(self, c: &Config) -> (usize, usize) {
        let (queries, keys) = (c.query_heads * c.head_dim, c.kv_heads * c.head_dim);
        match self {
            Self::Query => (queries, c.hidden),
            Self::Key | Self::Value => (keys, c.hidden),
            Self::Output => (c.hidden, queries),
            Self::Gate | Self::Up => (c.feed_forward, c.hidden),
            Self::Down => (c.hidden, c.feed_forward),
        }
    }
}

/// What tells adapters apart: no two loadings have the same, not even of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AdapterId(u64);

impl AdapterId {
    /// A new one.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A loaded adapter.
pub(crate) struct Adapter {
    id: AdapterId,
    /// By layer and [`Target`].
    layers: Vec<[Option<LowRank>; Target::ALL.len()]>,
}

impl Adapter {
    /// Opens a GGUF file, or a folder of PEFT's, for a decoder of this shape.
    ///
    /// # Errors
    /// [`EngineError`], naming the file, the tensor or key, and the way out.
    pub(super) fn open(path: &Path, config: &Config) -> Result<Self, EngineError> {
        if path.is_dir() {
            peft::open(path, config)
        } else {
            gguf::open(path, config)
        }
    }

    /// What tells it from all others.
    pub(crate) fn id(&self) -> AdapterId {
        self.id
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let all = self.layers.iter().flatten().flatten();
        all.map(LowRank::bytes).sum()
    }

    fn matrix(&self, layer: usize, target: Target) -> Option<&LowRank> {
        self.layers[layer][target as usize].as_ref()
    }

    /// Pairs what a file has. `scale` is what a product of matrices of a rank is multiplied by.
    fn assemble(
        path: &Path,
        thins: Vec<Thin>,
        config: &Config,
        scale: &dyn Fn(usize) -> f64,
    ) -> Result<Self, EngineError> {
        let damaged = |problem: String| EngineError::damaged(path, problem);
        if thins.is_empty() {
            return Err(damaged("it has no LoRA tensors".into()));
        }
        let mut pairs: BTreeMap<(usize, Target), [Option<Thin>; 2]> = BTreeMap::new();
        for thin in thins {
            if thin.layer >= config.layers {
                return Err(damaged(format!(
                    "the tensor `{}` is of layer {}, the model has {}: it was made for another model",
                    thin.name, thin.layer, config.layers
                )));
            }
            let pair = pairs.entry((thin.layer, thin.target)).or_default();
            let side = thin.side as usize;
            pair[side] = Some(thin);
        }
        let mut layers = Vec::new();
        layers.resize_with(config.layers, Default::default);
        for ((layer, target), pair) in pairs {
            let (a, b) = match pair {
                [Some(a), Some(b)] => (a, b),
                [Some(one), None] | [None, Some(one)] => {
                    let problem = format!("the tensor `{}` has no counterpart", one.name);
                    return Err(damaged(problem));
                }
                [None, None] => continue,
            };
            let (rows, columns) = target.shape(config);
            let rank = a.shape.first().copied().unwrap_or(0);
            for (thin, wanted) in [(&a, [rank, columns]), (&b, [rows, rank])] {
                if thin.shape != wanted || rank == 0 {
                    return Err(damaged(format!(
                        "the tensor `{}` has shape {:?}, the model and its counterpart want \
                         {wanted:?}: it was made for another model, or is not LoRA's",
                        thin.name, thin.shape
                    )));
                }
            }
            let matrix = LowRank::new(&a.values, &b.values, rank, scale(rank) as f32);
            let matrix = matrix.ok_or_else(|| {
                damaged(format!("`{}` or `{}` has no valid numbers", a.name, b.name))
            })?;
            let of_layer: &mut [Option<LowRank>; 7] = &mut layers[layer];
            of_layer[target as usize] = Some(matrix);
        }
        Ok(Self {
            id: AdapterId::new(),
            layers,
        })
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter").field("id", &self.id).finish()
    }
}

/// Which of the two matrices: inputs to rank, rank to outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    A,
    B,
}

/// One of the two matrices of a projection, as a file has it.
struct Thin {
    /// Its name there.
    name: String,
    layer: usize,
    target: Target,
    side: Side,
    /// Rows first.
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// Rows of a batch with one adapter.
pub(super) struct Group<'a> {
    adapter: &'a Adapter,
    rows: Vec<usize>,
}

impl<'a> Group<'a> {
    /// Gathers rows, given run by run, by their adapters.
    pub(super) fn gather(
        runs: impl Iterator<Item = (Option<&'a Adapter>, std::ops::Range<usize>)>,
    ) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for (adapter, rows) in runs {
            let Some(adapter) = adapter else { continue };
            match groups.iter_mut().find(|g| g.adapter.id == adapter.id) {
                Some(group) => group.rows.extend(rows),
                None => groups.push(Self {
                    adapter,
                    rows: rows.collect(),
                }),
            }
        }
        groups
    }

    /// What it adds to a projection.
    pub(super) fn part(&self, layer: usize, target: Target) -> Option<Part<'_>> {
        let matrix = self.adapter.matrix(layer, target)?;
        Some(Part {
            matrix,
            rows: &self.rows,
        })
    }
}
