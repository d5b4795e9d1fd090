//! Keys and values in half precision, as llama.cpp keeps them, in blocks of 64 tokens (the paged
//! cache of Kwon et al. 2023, "Efficient Memory Management for LLM Serving with PagedAttention").
//! Sequences that begin alike share full blocks; a block that is being filled belongs to one
//! sequence. All blocks of a model count against one limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Tokens in a block.
pub(crate) const BLOCK: usize = 64;

/// What a model keeps of a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CacheShape {
    /// Transformer blocks.
    pub(crate) layers: usize,
    /// Key-value heads.
    pub(crate) heads: usize,
    /// Values in a head.
    pub(crate) dim: usize,
}

impl CacheShape {
    /// Bytes of a block of tokens.
    fn block_bytes(&self) -> usize {
        2 * size_of::<f16>() * self.layers * self.heads * self.dim * BLOCK
    }
}

/// Gives out blocks, up to a limit.
pub(crate) struct BlockPool {
    shape: CacheShape,
    used: Arc<AtomicUsize>,
    limit: usize,
}

impl BlockPool {
    /// A pool of at most `limit` blocks.
    pub(crate) fn new(shape: CacheShape, limit: usize) -> Self {
        Self {
            shape,
            used: Arc::default(),
            limit,
        }
    }

    /// Blocks that can still be had.
    pub(crate) fn free(&self) -> usize {
        self.limit.saturating_sub(self.used.load(Ordering::Relaxed))
    }

    /// Bytes that all its blocks take.
    pub(crate) fn max_bytes(&self) -> usize {
        self.limit.saturating_mul(self.shape.block_bytes())
    }

    fn block(&self) -> Option<Arc<Block>> {
        let one_more = |used: usize| (used < self.limit).then_some(used + 1);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        let CacheShape { layers, heads, dim } = self.shape;
        let zeros = || vec![f16::ZERO; layers * heads * dim * BLOCK];
        Some(Arc::new(Block {
            keys: zeros(),
            values: zeros(),
            used: Arc::clone(&self.used),
        }))
    }
}

/// Keys and values of 64 tokens, for all layers and heads.
pub(crate) struct Block {
    /// Of each layer and head: rows of one key's value each, tokens beside each other.
    keys: Vec<f16>,
    /// Of each layer and head: rows of one token each.
    values: Vec<f16>,
    used: Arc<AtomicUsize>,
}

impl Drop for Block {
    fn drop(&mut self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The keys and values of a sequence.
pub(crate) struct KvCache {
    shape: CacheShape,
    blocks: Vec<Arc<Block>>,
    len: usize,
}

impl KvCache {
    /// An empty cache.
    pub(crate) fn new(shape: CacheShape) -> Self {
        Self {
            shape,
            blocks: Vec::new(),
            len: 0,
        }
    }

    /// Tokens that are in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Blocks that `more` tokens need beyond those that are there.
    pub(crate) fn blocks_for(&self, more: usize) -> usize {
        (self.len + more)
            .div_ceil(BLOCK)
            .saturating_sub(self.blocks.len())
    }

    /// Makes room for `more` tokens; `false`, with nothing changed, where the pool has too little.
    pub(crate) fn reserve(&mut self, more: usize, pool: &BlockPool) -> bool {
        let count = self.blocks_for(more);
        let blocks: Vec<_> = (0..count).map_while(|_| pool.block()).collect();
        if blocks.len() < count {
            return false;
        }
        self.blocks.extend(blocks);
        true
    }

    /// The full block at `index`, to be shared.
    pub(crate) fn full_block(&self, index: usize) -> Option<&Arc<Block>> {
        ((index + 1) * BLOCK <= self.len).then(|| &self.blocks[index])
    }

    /// Puts another sequence's block of the same tokens into the place of a full one.
    pub(crate) fn share_full(&mut self, index: usize, block: Arc<Block>) {
        debug_assert!((index + 1) * BLOCK <= self.len);
        self.blocks[index] = block;
    }

    /// The block behind the full ones and how many tokens are in it.
    pub(crate) fn last_part(&self) -> Option<(&Arc<Block>, usize)> {
        let (full, rest) = (self.len / BLOCK, self.len % BLOCK);
        (rest > 0).then(|| (&self.blocks[full], rest))
    }

    /// Appends a full block of another sequence with the same beginning.
    pub(crate) fn push_shared(&mut self, block: Arc<Block>) {
        debug_assert!(self.len == self.blocks.len() * BLOCK);
        self.blocks.push(block);
        self.len += BLOCK;
    }

    /// Appends a copy of the first `tokens` of a block of another sequence with the same beginning;
    /// `false` where the pool has no block left.
    pub(crate) fn push_copy(&mut self, block: &Block, tokens: usize, pool: &BlockPool) -> bool {
        debug_assert!(self.len == self.blocks.len() * BLOCK && tokens < BLOCK);
        let Some(mut copy) = pool.block() else {
            return false;
        };
        if let Some(copy) = Arc::get_mut(&mut copy) {
            copy.keys.copy_from_slice(&block.keys);
            copy.values.copy_from_slice(&block.values);
        }
        self.blocks.push(copy);
        self.len += tokens;
        true
    }

    /// Forgets all after the first `tokens`, which are not all of full blocks that were shared.
    pub(crate) fn truncate(&mut self, tokens: usize) {
        self.len = self.len.min(tokens);
        self.blocks.truncate(self.len.div_ceil(BLOCK));
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
        self.len = 0;
    }

    /// Counts `tokens` in that were written to all layers.
    pub(crate) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
        debug_assert!(self.len <= self.blocks.len() * BLOCK);
    }

    /// Writes keys and values (rows of all heads) of one layer behind what is there, into the room
    /// that was reserved.
    pub(crate) fn write(&mut self, layer: usize, keys: &[f32], values: &[f32]) {
        let CacheShape { heads, dim, .. } = self.shape;
        let row = heads * dim;
        let mut narrow = vec![f16::ZERO; row];
        let rows = keys.chunks_exact(row).zip(values.chunks_exact(row));
        for (i, (keys, values)) in rows.enumerate() {
            let (block, token) = ((self.len + i) / BLOCK, (self.len + i) % BLOCK);
            // Only full blocks are shared, so one with room belongs to this sequence alone.
            let Some(block) = Arc::get_mut(&mut self.blocks[block]) else {
                unreachable!("a block that is being filled is shared");
            };
            let start = layer * row * BLOCK;
            narrow.convert_from_f32_slice(keys);
            for (at, key) in narrow.iter().enumerate() {
                block.keys[start + at * BLOCK + token] = *key;
            }
            narrow.convert_from_f32_slice(values);
            for (head, values) in narrow.chunks_exact(dim).enumerate() {
                let at = start + (head * BLOCK + token) * dim;
                block.values[at..at + dim].copy_from_slice(values);
            }
        }
    }

    /// One head's keys (`dim` rows of 64 tokens) and values (64 rows of `dim`) in a block.
    #[inline(always)]
    pub(crate) fn head(&self, layer: usize, head: usize, block: usize) -> (&[f16], &[f16]) {
        let CacheShape { heads, dim, .. } = self.shape;
        let size = dim * BLOCK;
        let at = (layer * heads + head) * size;
        let block = &self.blocks[block];
        (&block.keys[at..at + size], &block.values[at..at + size])
    }
}
