//! The encoder itself: texts of unequal length packed into one matrix, without padding.
//!
//! Linear layers see all tokens of a pack as one matrix; attention runs text by text over its own
//! rows. Packs run in parallel, and each shares out its work to threads that have none.

use std::cell::Cell;

use rayon::prelude::*;

use super::config::EncoderConfig;
use super::kernels::{self, Norm};
use super::layer::{Layer, Memory, load_norm};
use super::tensors::{Part, Table, Tensors};
use crate::EngineError;

/// Most tokens of a pack, unless one text is longer: enough to use each weight often, few enough
/// for the caches and for an even share among threads.
const PACK_TOKENS: usize = 512;

/// Below this many tokens a pack of its own does not pay for a thread.
const SMALL_PACK_TOKENS: usize = 64;

/// A text, or a pair of texts one after the other, as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tokens {
    /// The ids, special tokens included.
    pub(super) ids: Vec<u32>,
    /// How many of them are of the first token type; the others are of the second.
    pub(super) first: usize,
}

/// A loaded encoder.
pub(super) struct Encoder {
    hidden: usize,
    words: Table,
    /// Position rows with the first token type's row added.
    positions: Vec<f32>,
    /// What the second token type has more than the first; nothing where there is no second.
    second_type: Vec<f32>,
    embedding_norm: Norm,
    layers: Vec<Layer>,
}

thread_local! {
    /// Memory of a pack: kept because it is needed all the time.
    static MEMORY: Cell<Memory> = Cell::default();
}

impl Encoder {
    /// Loads the weights that `config` describes.
    pub(super) fn load(tensors: &Tensors<'_>, config: &EncoderConfig) -> Result<Self, EngineError> {
        let hidden = config.hidden;
        let mut positions = tensors.table(Part::POSITION, hidden)?.decode();
        let padding = config.position_offset * hidden;
        if positions.len() <= padding {
            let problem = "its position table has no rows beyond the padding rows";
            return Err(EngineError::damaged(tensors.path(), problem));
        }
        positions.drain(..padding);
        let types = tensors.table(Part::TOKEN_TYPE, hidden)?;
        let mut first_type = vec![0.0; hidden];
        types.read(0, &mut first_type);
        for row in positions.chunks_exact_mut(hidden) {
            kernels::add(row, &first_type);
        }
        let mut second_type = Vec::new();
        if types.rows() > 1 {
            second_type.resize(hidden, 0.0);
            types.read(1, &mut second_type);
            for (second, first) in second_type.iter_mut().zip(&first_type) {
                *second -= first;
            }
        }
        let layers = (0..config.layers).map(|at| Layer::load(tensors, config, at));
        Ok(Self {
            hidden,
            words: tensors.table(Part::WORD, hidden)?,
            positions,
            second_type,
            embedding_norm: load_norm(tensors, Part::EMBEDDING_NORM, 0, config)?,
            layers: layers.collect::<Result<_, _>>()?,
        })
    }

    /// Numbers in a token's vector.
    pub(super) fn hidden(&self) -> usize {
        self.hidden
    }

    /// Most tokens of one text.
    pub(super) fn positions(&self) -> usize {
        self.positions.len() / self.hidden
    }

    /// Bytes of memory that its weights take beside the file; vectors of tokens stay there.
    pub(super) fn weight_bytes(&self) -> usize {
        let layers: usize = self.layers.iter().map(Layer::bytes).sum();
        let values = self.positions.len() + self.second_type.len() + 2 * self.hidden;
        layers + values * size_of::<f32>()
    }

    /// Token ids that have a vector.
    pub(super) fn vocabulary(&self) -> usize {
        self.words.rows()
    }

    /// What `finish` makes of each text's rows, which are the last layer's output: a vector of
    /// [`Encoder::hidden`] numbers for each token.
    pub(super) fn encode<T: Send>(
        &self,
        texts: &[Tokens],
        finish: impl Fn(&[f32]) -> T + Sync,
    ) -> Vec<T> {
        let packs = packs(texts, rayon::current_num_threads());
        packs
            .par_iter()
            .with_max_len(1)
            .flat_map_iter(|pack| {
                let mut memory = MEMORY.take();
                let results = self.encode_pack(pack, &mut memory, &finish);
                MEMORY.set(memory);
                results
            })
            .collect()
    }

    fn encode_pack<T>(
        &self,
        texts: &[Tokens],
        memory: &mut Memory,
        finish: impl Fn(&[f32]) -> T,
    ) -> Vec<T> {
        let ends = texts.iter().scan(0, |end, text| {
            *end += text.ids.len();
            Some(*end)
        });
        let ends = ends.collect::<Vec<_>>();
        self.embed_tokens(texts, &mut memory.rows);
        for layer in &self.layers {
            layer.run(&ends, memory);
        }
        let mut rest = memory.rows.as_slice();
        let finished = texts.iter().map(|text| {
            let (own, others) = rest.split_at(text.ids.len() * self.hidden);
            rest = others;
            finish(own)
        });
        finished.collect()
    }

    fn embed_tokens(&self, texts: &[Tokens], rows: &mut Vec<f32>) {
        let hidden = self.hidden;
        let tokens = texts.iter().map(|text| text.ids.len()).sum::<usize>();
        rows.resize(tokens * hidden, 0.0);
        let mut targets = rows.chunks_exact_mut(hidden);
        for text in texts {
            let positions = self.positions.chunks_exact(hidden);
            // `zip` must come last to the targets, or it would take one too many of them.
            for (at, ((id, position), row)) in text
                .ids
                .iter()
                .zip(positions)
                .zip(targets.by_ref())
                .enumerate()
            {
                self.words.read(*id as usize, row);
                kernels::add(row, position);
                if at >= text.first {
                    kernels::add(row, &self.second_type);
                }
            }
        }
        self.embedding_norm.apply(rows);
    }
}

/// Cuts the texts, in order, into packs: few enough tokens for the caches, enough packs for the
/// threads.
fn packs(texts: &[Tokens], threads: usize) -> Vec<&[Tokens]> {
    let total = texts.iter().map(|text| text.ids.len()).sum::<usize>();
    let limit = total
        .div_ceil(threads.max(1))
        .clamp(SMALL_PACK_TOKENS, PACK_TOKENS);
    let mut packs = Vec::new();
    let (mut start, mut tokens) = (0, 0);
    for (at, text) in texts.iter().enumerate() {
        if at > start && tokens + text.ids.len() > limit {
            packs.push(&texts[start..at]);
            (start, tokens) = (at, 0);
        }
        tokens += text.ids.len();
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
        let texts = |lengths: &[usize]| {
            let text = |length: &usize| Tokens {
                ids: vec![0; *length],
                first: *length,
            };
            lengths.iter().map(text).collect::<Vec<_>>()
        };
        let long = texts(&[3, 500, 200, 313, 600, 1, 2]);
        let lengths = |threads| {
            packs(&long, threads)
                .iter()
                .map(|pack| pack.iter().map(|text| text.ids.len()).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            lengths(2),
            [vec![3, 500], vec![200], vec![313], vec![600], vec![1, 2]],
            "a text longer than the limit is a pack of its own"
        );
        assert!(packs(&[], 2).is_empty());
        let short = texts(&[40; 4]);
        assert_eq!(packs(&short, 2).len(), 2, "both threads get work");
        assert_eq!(packs(&short[..1], 2).len(), 1);
    }
}
