//! The encoder itself: texts of unequal length packed into one matrix, without padding.
//!
//! Linear layers see all tokens of a pack as one matrix; attention runs text by text over its own
//! rows. Packs run in parallel, one thread each; a pack that is alone shares out its rows instead.

use rayon::prelude::*;

use super::config::{EncoderConfig, Pooling};
use super::kernels::{self, Norm};
use super::matrix::{BLOCK, PANEL, Panels, Rows, multiply};
use super::tensors::{Part, Table, Tensors};
use crate::EngineError;

/// Most tokens of a pack, unless one text is longer: enough to use each weight often, few enough
/// for the third-level cache and for an even share among threads.
const PACK_TOKENS: usize = 512;

/// Below this many tokens a pack of its own does not pay for a thread.
const SMALL_PACK_TOKENS: usize = 64;

/// A linear layer, `out = in * weight + bias`.
struct Linear {
    weight: Panels,
    bias: Vec<f32>,
}

impl Linear {
    /// Stacks `parts` of `outputs` each into one layer.
    fn load(
        tensors: &Tensors<'_>,
        parts: &[Part],
        layer: usize,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, EngineError> {
        let (mut stored, mut bias) = (Vec::new(), Vec::new());
        for part in parts {
            stored.extend(tensors.matrix(*part, layer, outputs, inputs)?);
            bias.extend(tensors.vector(*part, layer, "bias", outputs)?);
        }
        let mut weight = Panels::default();
        weight.set_columns(&stored, outputs * parts.len(), inputs, inputs);
        Ok(Self { weight, bias })
    }

    fn apply(&self, rows: Rows<'_>, out: &mut [f32]) {
        multiply(
            rows,
            &self.weight,
            Some(&self.bias),
            out,
            self.weight.outputs(),
        );
    }
}

struct Layer {
    query_key_value: Linear,
    attention_out: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    out_norm: Norm,
}

/// A loaded encoder.
pub(crate) struct Encoder {
    hidden: usize,
    heads: usize,
    pooling: Pooling,
    words: Table,
    /// Position rows with the first token type's row added: single texts know no other type.
    positions: Vec<f32>,
    embedding_norm: Norm,
    layers: Vec<Layer>,
}

fn load_norm(
    tensors: &Tensors<'_>,
    part: Part,
    layer: usize,
    config: &EncoderConfig,
) -> Result<Norm, EngineError> {
    Ok(Norm {
        weight: tensors.vector(part, layer, "weight", config.hidden)?,
        bias: tensors.vector(part, layer, "bias", config.hidden)?,
        epsilon: config.epsilon,
    })
}

impl Encoder {
    /// Loads the weights that `config` describes.
    pub(crate) fn load(
        tensors: &Tensors<'_>,
        config: &EncoderConfig,
        pooling: Pooling,
    ) -> Result<Self, EngineError> {
        let hidden = config.hidden;
        let mut positions = tensors.table(Part::POSITION, hidden)?.decode();
        let padding = config.position_offset * hidden;
        if positions.len() <= padding {
            let problem = "its position table has no rows beyond the padding rows";
            return Err(EngineError::damaged(tensors.path(), problem));
        }
        positions.drain(..padding);
        let mut token_type = vec![0.0; hidden];
        tensors
            .table(Part::TOKEN_TYPE, hidden)?
            .read(0, &mut token_type);
        for row in positions.chunks_exact_mut(hidden) {
            kernels::add(row, &token_type);
        }
        let mut layers = Vec::with_capacity(config.layers);
        for at in 0..config.layers {
            let qkv = [Part::QUERY, Part::KEY, Part::VALUE];
            let wide = config.feed_forward;
            layers.push(Layer {
                query_key_value: Linear::load(tensors, &qkv, at, hidden, hidden)?,
                attention_out: Linear::load(tensors, &[Part::ATTENTION_OUT], at, hidden, hidden)?,
                attention_norm: load_norm(tensors, Part::ATTENTION_NORM, at, config)?,
                up: Linear::load(tensors, &[Part::UP], at, hidden, wide)?,
                down: Linear::load(tensors, &[Part::DOWN], at, wide, hidden)?,
                out_norm: load_norm(tensors, Part::OUT_NORM, at, config)?,
            });
        }
        Ok(Self {
            hidden,
            heads: config.heads,
            pooling,
            words: tensors.table(Part::WORD, hidden)?,
            positions,
            embedding_norm: load_norm(tensors, Part::EMBEDDING_NORM, 0, config)?,
            layers,
        })
    }

    /// Numbers in a vector.
    pub(crate) fn dimension(&self) -> usize {
        self.hidden
    }

    /// Most tokens of one text.
    pub(crate) fn positions(&self) -> usize {
        self.positions.len() / self.hidden
    }

    /// Token ids that have a vector.
    pub(crate) fn vocabulary(&self) -> usize {
        self.words.rows()
    }

    /// One vector of length 1 for each text, given as token ids.
    pub(crate) fn encode(&self, texts: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let threads = rayon::current_num_threads();
        match packs(texts, threads).as_slice() {
            [pack] => self.encode_pack(pack, threads),
            packs => packs
                .par_iter()
                .flat_map_iter(|pack| self.encode_pack(pack, 1))
                .collect(),
        }
    }

    fn encode_pack(&self, texts: &[Vec<u32>], threads: usize) -> Vec<Vec<f32>> {
        let hidden = self.hidden;
        let mut rows = self.embed_tokens(texts);
        let tokens = rows.len() / hidden;
        let mut qkv = vec![0.0; tokens * 3 * hidden];
        let mut context = vec![0.0; tokens * hidden];
        let mut attention = Attention::default();
        // Rows that are computed in one go: all by themselves, or a share for each thread.
        let share = tokens.div_ceil(threads).clamp(1, BLOCK);
        for layer in &self.layers {
            let project = |(rows, qkv): (&[f32], &mut [f32])| {
                layer.query_key_value.apply(self.rows_of(rows), qkv);
            };
            let finish = |(rows, context): (&mut [f32], &[f32])| {
                self.finish_layer(layer, rows, context);
            };
            let (narrow, wide) = (share * hidden, share * 3 * hidden);
            if threads > 1 {
                rows.par_chunks(narrow)
                    .zip(qkv.par_chunks_mut(wide))
                    .for_each(project);
                self.attend(texts, &qkv, &mut context, &mut attention);
                rows.par_chunks_mut(narrow)
                    .zip(context.par_chunks(narrow))
                    .for_each(finish);
            } else {
                rows.chunks(narrow)
                    .zip(qkv.chunks_mut(wide))
                    .for_each(project);
                self.attend(texts, &qkv, &mut context, &mut attention);
                rows.chunks_mut(narrow)
                    .zip(context.chunks(narrow))
                    .for_each(finish);
            }
        }
        let mut rest = rows.as_slice();
        let pooled = texts.iter().map(|text| {
            let (own, others) = rest.split_at(text.len() * hidden);
            rest = others;
            self.pool(own)
        });
        pooled.collect()
    }

    fn rows_of<'a>(&self, values: &'a [f32]) -> Rows<'a> {
        Rows {
            values,
            count: values.len() / self.hidden,
            stride: self.hidden,
        }
    }

    /// What comes after attention, row by row: its projection and the feed-forward half.
    fn finish_layer(&self, layer: &Layer, rows: &mut [f32], context: &[f32]) {
        let count = rows.len() / self.hidden;
        let wide = layer.up.weight.outputs();
        let mut branch = vec![0.0; rows.len()];
        let mut expanded = vec![0.0; count * wide];
        layer
            .attention_out
            .apply(self.rows_of(context), &mut branch);
        kernels::add_layer_norm(rows, &branch, &layer.attention_norm);
        layer.up.apply(self.rows_of(rows), &mut expanded);
        kernels::gelu(&mut expanded);
        layer.down.apply(
            Rows {
                values: &expanded,
                count,
                stride: wide,
            },
            &mut branch,
        );
        kernels::add_layer_norm(rows, &branch, &layer.out_norm);
    }

    fn embed_tokens(&self, texts: &[Vec<u32>]) -> Vec<f32> {
        let hidden = self.hidden;
        let tokens = texts.iter().map(Vec::len).sum::<usize>();
        let mut rows = vec![0.0; tokens * hidden];
        let mut targets = rows.chunks_exact_mut(hidden);
        for text in texts {
            // `zip` must come last to the targets, or it would take one too many of them.
            for ((id, position), row) in text
                .iter()
                .zip(self.positions.chunks_exact(hidden))
                .zip(targets.by_ref())
            {
                self.words.read(*id as usize, row);
                kernels::add(row, position);
            }
        }
        kernels::layer_norm(&mut rows, &self.embedding_norm);
        rows
    }

    /// Scaled dot-product attention of each text over itself.
    fn attend(
        &self,
        texts: &[Vec<u32>],
        qkv: &[f32],
        context: &mut [f32],
        Attention {
            keys,
            values,
            scores,
        }: &mut Attention,
    ) {
        let (hidden, size) = (self.hidden, self.hidden / self.heads);
        let (scale, stride) = (1.0 / (size as f32).sqrt(), 3 * hidden);
        let mut start = 0;
        for text in texts {
            let count = text.len();
            let qkv = &qkv[start * stride..(start + count) * stride];
            let context = &mut context[start * hidden..(start + count) * hidden];
            let width = count.next_multiple_of(PANEL);
            scores.resize(count * width, 0.0);
            for head in 0..self.heads {
                let own = head * size;
                let query = Rows {
                    values: &qkv[own..],
                    count,
                    stride,
                };
                keys.set_columns(&qkv[hidden + own..], count, size, stride);
                values.set_rows(&qkv[2 * hidden + own..], count, size, stride);
                multiply(query, keys, None, scores, width);
                kernels::softmax(scores, count, width, scale);
                let weights = Rows {
                    values: scores,
                    count,
                    stride: width,
                };
                multiply(weights, values, None, &mut context[own..], hidden);
            }
            start += count;
        }
    }

    fn pool(&self, rows: &[f32]) -> Vec<f32> {
        let mut vector = vec![0.0; self.hidden];
        match self.pooling {
            // The length is made 1 afterwards, so the sum does for the mean.
            Pooling::Mean => {
                for row in rows.chunks_exact(self.hidden) {
                    kernels::add(&mut vector, row);
                }
            }
            Pooling::Cls => vector.copy_from_slice(&rows[..self.hidden]),
        }
        kernels::unit_length(&mut vector);
        vector
    }
}

/// What attention needs besides its result, kept from text to text.
#[derive(Default)]
struct Attention {
    keys: Panels,
    values: Panels,
    scores: Vec<f32>,
}

/// Cuts the texts, in order, into packs: few enough tokens for the caches, enough packs for the
/// threads.
fn packs(texts: &[Vec<u32>], threads: usize) -> Vec<&[Vec<u32>]> {
    let total = texts.iter().map(Vec::len).sum::<usize>();
    let limit = total
        .div_ceil(threads.max(1))
        .clamp(SMALL_PACK_TOKENS, PACK_TOKENS);
    let mut packs = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (at, text) in texts.iter().enumerate() {
        if at > start && tokens + text.len() > limit {
            packs.push(&texts[start..at]);
            (start, tokens) = (at, 0);
        }
        tokens += text.len();
    }
    if start < texts.len() {
        packs.push(&texts[start..]);
    }
    packs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_keep_order_and_stay_within_their_limit() {
        let texts = [3, 500, 200, 313, 600, 1, 2].map(|length| vec![0u32; length]);
        let lengths = |threads| {
            packs(&texts, threads)
                .iter()
                .map(|pack| pack.iter().map(Vec::len).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            lengths(2),
            [vec![3, 500], vec![200], vec![313], vec![600], vec![1, 2]],
            "a text longer than the limit is a pack of its own"
        );
        assert!(packs(&[], 2).is_empty());
        let short = vec![vec![0u32; 40]; 4];
        assert_eq!(packs(&short, 2).len(), 2, "both threads get work");
        assert_eq!(packs(&short[..1], 2).len(), 1);
    }
}
