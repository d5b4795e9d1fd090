//! The decoder of the llama family (RMS norm, rotary positions, grouped queries, SwiGLU; biases,
//! norms of heads and layers without positions where a relative has them), as one configurable model
//! over plain slices. It knows tokens and logits; text, sampling and requests are other modules'
//! business.

mod adapter;
mod attention;
mod cache;
mod config;
mod rope;
#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;

use rayon::prelude::*;

pub(crate) use adapter::{Adapter, AdapterId};
pub(crate) use cache::{BLOCK, Block, BlockPool, CacheShape, KvCache};
pub(crate) use config::Config;
#[cfg(any(test, feature = "cuda"))]
pub(crate) use rope::RopeLayout;

use crate::compute::Rounded;
use crate::compute::linear::{self, Input, Matrix, matrix, table, vector};
use crate::compute::low_rank::{Additions, Part};
use crate::compute::math;
use crate::error::EngineError;
use crate::gguf::Gguf;
use adapter::{Group, Target};
use attention::Span;

/// The computation was stopped on request; the cache is as it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interrupted;

/// A projection with an optional bias.
struct Linear {
    target: Target,
    weight: Box<dyn Matrix>,
    bias: Option<Vec<f32>>,
}

impl Linear {
    fn open(
        file: &Gguf,
        layer: usize,
        target: Target,
        c: &Config,
        bias: bool,
    ) -> Result<Self, EngineError> {
        let name = format!("blk.{layer}.{}", target.gguf());
        let (rows, columns) = target.shape(c);
        let weight = matrix(file, &format!("{name}.weight"), rows, columns)?;
        let bias_name = format!("{name}.bias");
        let bias = if bias || file.has_tensor(&bias_name) {
            Some(vector(file, &bias_name, rows)?)
        } else {
            None
        };
        Ok(Self {
            target,
            weight,
            bias,
        })
    }

    fn add_bias(&self, rows: &mut [f32]) {
        if let Some(bias) = &self.bias {
            rows.par_chunks_exact_mut(bias.len())
                .with_min_len(16)
                .for_each(|row| row.iter_mut().zip(bias).for_each(|(x, b)| *x += b));
        }
    }
}

/// Memory of products, kept from one to the next.
#[derive(Default)]
struct Scratch {
    rounded: Rounded,
    /// Activations between the halves of a feed-forward layer.
    hidden: Rounded,
    /// What adapters make of activations.
    inner: Vec<f32>,
}

/// What rows of a batch have in a layer.
#[derive(Clone, Copy)]
struct Kinds<'a> {
    /// The first so many do not come in bulk.
    single: usize,
    layer: usize,
    /// Those with adapters.
    groups: &'a [Group<'a>],
}

/// The projections of `x`, rows of as many values as the projections take, with what the rows' adapters
/// add to them.
fn project<const N: usize>(
    x: &[f32],
    projections: [&Linear; N],
    kinds: Kinds<'_>,
    scratch: &mut Scratch,
    mut out: [&mut Vec<f32>; N],
) {
    let weights = projections.map(|p| p.weight.as_ref());
    let input = Input::new(x, kinds.single, &weights, &mut scratch.rounded);
    let parts = projections.map(|projection| {
        let parts = kinds.groups.iter();
        let parts = parts.map(|group| group.part(kinds.layer, projection.target));
        parts.flatten().collect::<Vec<Part<'_>>>()
    });
    let additions = Additions::new(&parts);
    let inner = additions.inner(x, &mut scratch.inner);
    let products = out.each_mut().map(|out| &mut **out);
    linear::multiply_beside(&input, weights, products, &inner);
    drop(inner);
    for (out, projection) in out.iter_mut().zip(projections) {
        projection.add_bias(out);
    }
    if !kinds.groups.is_empty() {
        additions.add(&scratch.inner, out.map(|out| out.as_mut_slice()));
    }
}

struct Layer {
    attention_norm: Vec<f32>,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    /// Of each query and key head, where the family has them.
    head_norms: Option<[Vec<f32>; 2]>,
    feed_forward_norm: Vec<f32>,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Layer {
    fn open(file: &Gguf, index: usize, c: &Config) -> Result<Self, EngineError> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let linear = |target, bias| Linear::open(file, index, target, c, bias);
        Ok(Self {
            attention_norm: vector(file, &name("attn_norm.weight"), c.hidden)?,
            query: linear(Target::Query, c.qkv_bias)?,
            key: linear(Target::Key, c.qkv_bias)?,
            value: linear(Target::Value, c.qkv_bias)?,
            output: linear(Target::Output, false)?,
            head_norms: if c.head_norms {
                let norm = |part: &str| vector(file, &name(part), c.head_dim);
                Some([norm("attn_q_norm.weight")?, norm("attn_k_norm.weight")?])
            } else {
                None
            },
            feed_forward_norm: vector(file, &name("ffn_norm.weight"), c.hidden)?,
            gate: linear(Target::Gate, false)?,
            up: linear(Target::Up, false)?,
            down: linear(Target::Down, false)?,
        })
    }

    /// The feed-forward half of the layer.
    fn feed_forward(
        &self,
        x: &[f32],
        kinds: Kinds<'_>,
        scratch: &mut Scratch,
        [gate, up]: [&mut Vec<f32>; 2],
        out: &mut Vec<f32>,
    ) {
        let first = [&self.gate, &self.up];
        let biased = [&self.gate, &self.up, &self.down]
            .iter()
            .any(|projection| projection.bias.is_some());
        if biased || !kinds.groups.is_empty() {
            // What is added comes between the steps that are one without it. The numbers are the same.
            project(x, first, kinds, scratch, [&mut *gate, &mut *up]);
            math::swiglu(gate, up);
            project(gate, [&self.down], kinds, scratch, [out]);
            return;
        }
        let weights = first.map(|p| p.weight.as_ref());
        let down = self.down.weight.as_ref();
        let input = Input::new(x, kinds.single, &weights, &mut scratch.rounded);
        let input = linear::gated(&input, weights, down, [gate, up], &mut scratch.hidden);
        linear::multiply(&input, [down], [out]);
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
        // Where the embedding is used for the output as well, it is a matrix like others.
        let tied = !file.has_tensor("output.weight");
        let open = if tied { matrix } else { table };
        let embedding = open(file, "token_embd.weight", c.vocabulary, c.hidden)?;
        let mut layers = Vec::new();
        for index in 0..c.layers {
            layers.push(Layer::open(file, index, c)?);
        }
        let norm = vector(file, "output_norm.weight", c.hidden)?;
        let head = if tied {
            None
        } else {
            Some(matrix(file, "output.weight", c.vocabulary, c.hidden)?)
        };
        Ok(Self {
            embedding,
            layers,
            norm,
            head,
            config,
        })
    }

    /// Opens an adapter for it: a GGUF file, or a folder as PEFT saves it.
    ///
    /// # Errors
    /// [`EngineError`], naming the file, the tensor or key, and the way out.
    pub(crate) fn adapter(&self, path: &Path) -> Result<Adapter, EngineError> {
        Adapter::open(path, &self.config)
    }

    /// Tokens of the context window that the model was trained for.
    pub(crate) fn context(&self) -> usize {
        self.config.context
    }

    /// Tokens of the vocabulary.
    pub(crate) fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    /// Bytes of memory that its matrices take beside the file.
    pub(crate) fn weight_bytes(&self) -> usize {
        let layers = self.layers.iter().flat_map(|l| {
            [
                &l.query, &l.key, &l.value, &l.output, &l.gate, &l.up, &l.down,
            ]
        });
        let head = self.head.as_ref().map_or(0, |head| head.bytes());
        self.embedding.bytes() + head + layers.map(|l| l.weight.bytes()).sum::<usize>()
    }

    /// What it keeps of a token.
    pub(crate) fn cache_shape(&self) -> CacheShape {
        CacheShape {
            layers: self.config.layers,
            heads: self.config.kv_heads,
            dim: self.config.head_dim,
        }
    }

    /// Reads the tokens of all pieces, those of prompts behind the others, and appends them to their
    /// caches, where room was reserved for them. Returns the logits that the pieces want, row by row.
    /// `interrupted` is asked between layers; after it the caches are as before.
    pub(crate) fn forward(
        &self,
        pieces: &mut [Piece<'_>],
        memory: &mut Memory,
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Vec<Vec<f32>>, Interrupted> {
        let c = &self.config;
        let mut rows: Vec<Rows> = Rows::of(pieces);
        let mut m: usize = pieces.iter().map(|piece| piece.tokens.len()).sum();
        debug_assert!(pieces.is_sorted_by_key(|piece| piece.reads));
        let answers = pieces.iter().take_while(|piece| !piece.reads);
        // Rows that are computed as those of answers.
        let mut single: usize = answers.map(|piece| piece.tokens.len()).sum();
        let wanted: usize = pieces.iter().map(|piece| piece.logits).sum();
        let Memory {
            x,
            h,
            queries,
            keys,
            values,
            attended,
            gate,
            up,
            added,
            scratch,
        } = memory;
        x.resize(m * c.hidden, 0.0);
        let tokens = pieces.iter().flat_map(|piece| piece.tokens);
        for (row, token) in x.chunks_exact_mut(c.hidden).zip(tokens) {
            self.embedding
                .row((*token as usize).min(c.vocabulary - 1), row);
        }
        let positions = pieces.iter().flat_map(|piece| {
            let start = piece.cache.len();
            start..start + piece.tokens.len()
        });
        let angles = c.rope.angles(positions);
        let mut groups = groups(pieces, &rows);
        let (q_len, kv_len) = (c.query_heads * c.head_dim, c.kv_heads * c.head_dim);
        for (index, layer) in self.layers.iter().enumerate() {
            if interrupted() {
                return Err(Interrupted);
            }
            let last = index + 1 == self.layers.len();
            let kinds = Kinds {
                single,
                layer: index,
                groups: &groups,
            };
            self.normalize(x, &layer.attention_norm, h);
            let out = [&mut *queries, &mut *keys, &mut *values];
            let projections = [&layer.query, &layer.key, &layer.value];
            project(h, projections, kinds, scratch, out);
            if let Some([query_norm, key_norm]) = &layer.head_norms {
                math::normalize_heads(queries, query_norm, c.eps);
                math::normalize_heads(keys, key_norm, c.eps);
            }
            if c.rotates(index) {
                c.rope.rotate(keys, kv_len, c.head_dim, &angles);
                c.rope.rotate(queries, q_len, c.head_dim, &angles);
            }
            let mut row = 0;
            for piece in pieces.iter_mut() {
                let range = row * kv_len..(row + piece.tokens.len()) * kv_len;
                piece
                    .cache
                    .write(index, &keys[range.clone()], &values[range]);
                row += piece.tokens.len();
            }
            if last {
                // Only the rows whose logits are wanted go on: nothing reads this layer's output.
                keep(queries, q_len, &rows, pieces);
                keep(x, c.hidden, &rows, pieces);
                rows = Rows::of_wanted(pieces);
                (m, single) = (wanted, wanted);
                if m == 0 {
                    break;
                }
                groups = self::groups(pieces, &rows);
            }
            let kinds = Kinds {
                single,
                layer: index,
                groups: &groups,
            };
            let spans: Vec<Span<'_>> = pieces
                .iter()
                .zip(&rows)
                .map(|(piece, rows)| Span {
                    cache: piece.cache,
                    position: piece.cache.len() + piece.tokens.len() - rows.count,
                    row: rows.first,
                    tokens: rows.count,
                    bulk: piece.reads && !last,
                })
                .collect();
            attended.resize(m * q_len, 0.0);
            attention::attend(queries, &spans, index, c.heads(), attended);
            project(attended, [&layer.output], kinds, scratch, [&mut *added]);
            add(x, added);
            self.normalize(x, &layer.feed_forward_norm, h);
            layer.feed_forward(h, kinds, scratch, [&mut *gate, &mut *up], added);
            add(x, added);
        }
        for piece in pieces.iter_mut() {
            piece.cache.advance(piece.tokens.len());
        }
        if wanted == 0 {
            return Ok(Vec::new());
        }
        self.normalize(x, &self.norm, h);
        let head = self.head.as_deref().unwrap_or(self.embedding.as_ref());
        let mut logits = Vec::new();
        let input = Input::new(h, wanted, &[head], &mut scratch.rounded);
        linear::multiply(&input, [head], [&mut logits]);
        Ok(logits.chunks(head.rows()).map(<[f32]>::to_vec).collect())
    }

    fn normalize(&self, x: &[f32], weight: &[f32], out: &mut Vec<f32>) {
        let (n, eps) = (self.config.hidden, self.config.eps);
        out.resize(x.len(), 0.0);
        if x.len() == n {
            math::rms_norm(x, weight, eps, out);
        } else {
            x.par_chunks(n)
                .zip(out.par_chunks_mut(n))
                .for_each(|(x, out)| math::rms_norm(x, weight, eps, out));
        }
    }
}

/// Tokens that follow what a cache holds.
pub(crate) struct Piece<'a> {
    /// The tokens.
    pub(crate) tokens: &'a [u32],
    /// Keys and values of what comes before them.
    pub(crate) cache: &'a mut KvCache,
    /// How many of the last tokens' logits are wanted.
    pub(crate) logits: usize,
    /// Whether the tokens are of a prompt: read in bulk, with other rounding than an answer's.
    pub(crate) reads: bool,
    /// What is added to the model for them.
    pub(crate) adapter: Option<&'a Adapter>,
}

/// The rows of a batch by their adapters.
fn groups<'a>(pieces: &[Piece<'a>], rows: &[Rows]) -> Vec<Group<'a>> {
    let runs = pieces.iter().zip(rows);
    Group::gather(runs.map(|(piece, rows)| (piece.adapter, rows.first..rows.first + rows.count)))
}

/// The rows of a piece in a batch.
struct Rows {
    first: usize,
    count: usize,
}

impl Rows {
    fn of(pieces: &[Piece<'_>]) -> Vec<Self> {
        Self::counted(pieces.iter().map(|piece| piece.tokens.len()))
    }

    fn of_wanted(pieces: &[Piece<'_>]) -> Vec<Self> {
        Self::counted(pieces.iter().map(|piece| piece.logits))
    }

    fn counted(counts: impl Iterator<Item = usize>) -> Vec<Self> {
        let mut first = 0;
        counts
            .map(|count| {
                let rows = Self { first, count };
                first += count;
                rows
            })
            .collect()
    }
}

/// Keeps only the rows whose logits are wanted.
fn keep(x: &mut Vec<f32>, len: usize, rows: &[Rows], pieces: &[Piece<'_>]) {
    let mut to = 0;
    for (rows, piece) in rows.iter().zip(pieces) {
        let end = (rows.first + rows.count) * len;
        let start = end - piece.logits * len;
        x.copy_within(start..end, to);
        to += end - start;
    }
    x.truncate(to);
}

/// Memory of a pass, kept from one to the next.
#[derive(Default)]
pub(crate) struct Memory {
    x: Vec<f32>,
    h: Vec<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    attended: Vec<f32>,
    gate: Vec<f32>,
    up: Vec<f32>,
    added: Vec<f32>,
    scratch: Scratch,
}

fn add(x: &mut [f32], y: &[f32]) {
    const PART: usize = 16 << 10;
    x.par_chunks_mut(PART)
        .zip(y.par_chunks(PART))
        .for_each(|(x, y)| x.iter_mut().zip(y).for_each(|(x, y)| *x += y));
}
