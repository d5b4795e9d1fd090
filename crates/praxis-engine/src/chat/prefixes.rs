//! What was computed for the beginnings of sequences (system prompts, retrieved passages, earlier
//! turns, the prompt of several samples), so that a request computes only what is new: a tree of
//! blocks of tokens with their keys and values, as RadixAttention keeps them (Zheng et al. 2024,
//! "SGLang"). The blocks are those of the sequences themselves; when new ones are needed, the least
//! recently used that no running sequence reads are forgotten. Each adapter has a tree of its own: the
//! same tokens have other keys and values with it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::decoder::{AdapterId, BLOCK, Block, BlockPool, KvCache};

/// A place in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NodeId(u64);

/// What a node hangs on: another, or the root of an adapter's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parent {
    Root(Option<AdapterId>),
    Node(NodeId),
}

struct Node {
    /// A full block's tokens, or fewer: the end of a sequence.
    tokens: Vec<u32>,
    block: Arc<Block>,
    parent: Parent,
    children: Vec<NodeId>,
    /// When it was last read or written.
    used: u64,
}

/// The trees.
#[derive(Default)]
pub(super) struct Prefixes {
    nodes: HashMap<NodeId, Node>,
    roots: HashMap<Option<AdapterId>, Vec<NodeId>>,
    clock: u64,
}

/// How far a sequence is known to its adapter's tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    node: Parent,
    blocks: usize,
}

impl Known {
    /// Nothing yet, of a sequence with this adapter.
    pub(super) fn nothing(adapter: Option<AdapterId>) -> Self {
        Self {
            node: Parent::Root(adapter),
            blocks: 0,
        }
    }
}

impl Prefixes {
    /// Extends a cache by what is kept of `tokens` beyond it, at least one token short of their end
    /// (whose logits are needed).
    pub(super) fn extend(
        &mut self,
        tokens: &[u32],
        cache: &mut KvCache,
        known: &mut Known,
        pool: &BlockPool,
    ) {
        let Some((id, common)) = self.share(tokens, cache, known) else {
            return;
        };
        self.touch(id);
        if let Some(node) = self.nodes.get(&id) {
            let block = Arc::clone(&node.block);
            self.make_room(1, pool);
            cache.push_copy(&block, common, pool);
        }
    }

    /// The same by full blocks only, which take no memory, and after which the sequence can share what
    /// others compute of it meanwhile. The block that goes on like it for some tokens, where there is
    /// one, and for how many.
    pub(super) fn share(
        &mut self,
        tokens: &[u32],
        cache: &mut KvCache,
        known: &mut Known,
    ) -> Option<(NodeId, usize)> {
        while cache.len() == known.blocks * BLOCK {
            let rest = &tokens[cache.len()..tokens.len().saturating_sub(1).max(cache.len())];
            let (id, common) = self.best_child(known.node, rest)?;
            if common < BLOCK {
                return Some((id, common));
            }
            self.touch(id);
            cache.push_shared(Arc::clone(&self.nodes.get(&id)?.block));
            *known = Known {
                node: Parent::Node(id),
                blocks: known.blocks + 1,
            };
        }
        None
    }

    /// Keeps what a sequence has computed: its full blocks, which it goes on sharing, and, where it
    /// has ended, what follows them.
    pub(super) fn keep(
        &mut self,
        tokens: &[u32],
        cache: &mut KvCache,
        known: &mut Known,
        ended: bool,
    ) {
        while let Some(block) = cache.full_block(known.blocks) {
            let start = known.blocks * BLOCK;
            let id = self.insert(known.node, &tokens[start..start + BLOCK], block);
            if let Some(node) = self.nodes.get(&id) {
                cache.share_full(known.blocks, Arc::clone(&node.block));
            }
            *known = Known {
                node: Parent::Node(id),
                blocks: known.blocks + 1,
            };
        }
        if ended && let Some((block, len)) = cache.last_part() {
            let start = known.blocks * BLOCK;
            self.insert(known.node, &tokens[start..start + len], block);
        }
    }

    /// Forgets until the pool has `blocks` free ones, or nothing is left that can be forgotten.
    pub(super) fn make_room(&mut self, blocks: usize, pool: &BlockPool) -> bool {
        while pool.free() < blocks {
            let unused = self.nodes.iter().filter(|(_, node)| {
                node.children.is_empty() && Arc::strong_count(&node.block) == 1
            });
            let Some((id, _)) = unused.min_by_key(|(_, node)| node.used) else {
                return false;
            };
            self.remove(*id);
        }
        true
    }

    fn children(&self, parent: Parent) -> &[NodeId] {
        match parent {
            Parent::Node(id) => self.nodes.get(&id).map_or(&[], |node| &node.children),
            Parent::Root(adapter) => self.roots.get(&adapter).map_or(&[], Vec::as_slice),
        }
    }

    /// The child that begins like `tokens` as far as any does, and how far.
    fn best_child(&self, parent: Parent, tokens: &[u32]) -> Option<(NodeId, usize)> {
        self.children(parent)
            .iter()
            .filter_map(|id| Some((*id, common(&self.nodes.get(id)?.tokens, tokens))))
            .max_by_key(|(_, common)| *common)
            .filter(|(_, common)| *common > 0)
    }

    fn insert(&mut self, parent: Parent, tokens: &[u32], block: &Arc<Block>) -> NodeId {
        let children = self.children(parent);
        // A sequence's end that these tokens continue is no longer needed.
        let mut shorter = None;
        for id in children {
            let Some(node) = self.nodes.get(id) else {
                continue;
            };
            if node.tokens.starts_with(tokens) {
                let id = *id;
                self.touch(id);
                return id;
            }
            if tokens.starts_with(&node.tokens) {
                shorter = Some(*id);
            }
        }
        if let Some(id) = shorter {
            self.remove(id);
        }
        self.clock += 1;
        let id = NodeId(self.clock);
        self.nodes.insert(
            id,
            Node {
                tokens: tokens.to_vec(),
                block: Arc::clone(block),
                parent,
                children: Vec::new(),
                used: self.clock,
            },
        );
        self.change_children(parent, |children| children.push(id));
        id
    }

    fn remove(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.remove(&id) {
            self.change_children(node.parent, |children| {
                children.retain(|other| *other != id);
            });
        }
    }

    fn change_children(&mut self, parent: Parent, change: impl FnOnce(&mut Vec<NodeId>)) {
        match parent {
            Parent::Node(id) => {
                if let Some(node) = self.nodes.get_mut(&id) {
                    change(&mut node.children);
                }
            }
            Parent::Root(adapter) => {
                let roots = self.roots.entry(adapter).or_default();
                change(roots);
                // Adapters come and go; of those that went nothing remains.
                if roots.is_empty() {
                    self.roots.remove(&adapter);
                }
            }
        }
    }

    fn touch(&mut self, id: NodeId) {
        self.clock += 1;
        if let Some(node) = self.nodes.get_mut(&id) {
            node.used = self.clock;
        }
    }
}

/// How many tokens two sequences have in common from their beginning.
pub(super) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decoder::CacheShape;

    const SHAPE: CacheShape = CacheShape {
        layers: 1,
        heads: 1,
        dim: 1,
    };

    /// Computes what is missing of a sequence: each token's key and value are its own number.
    fn compute(tokens: &[u32], cache: &mut KvCache, pool: &BlockPool, prefixes: &mut Prefixes) {
        let new: Vec<f32> = tokens[cache.len()..].iter().map(|t| *t as f32).collect();
        assert!(prefixes.make_room(cache.blocks_for(new.len()), pool));
        assert!(cache.reserve(new.len(), pool));
        cache.write(0, &new, &new);
        cache.advance(new.len());
    }

    /// Answers a request; returns how many tokens it did not have to compute.
    fn serve(tokens: &[u32], prefixes: &mut Prefixes, pool: &BlockPool) -> usize {
        serve_with(None, tokens, prefixes, pool)
    }

    fn serve_with(
        adapter: Option<AdapterId>,
        tokens: &[u32],
        prefixes: &mut Prefixes,
        pool: &BlockPool,
    ) -> usize {
        let (mut cache, mut known) = (KvCache::new(SHAPE), Known::nothing(adapter));
        prefixes.extend(tokens, &mut cache, &mut known, pool);
        let reused = cache.len();
        compute(tokens, &mut cache, pool, prefixes);
        for (i, token) in tokens.iter().enumerate() {
            let (keys, values) = cache.head(0, 0, i / BLOCK);
            let (key, value) = (keys[i % BLOCK].to_f32(), values[i % BLOCK].to_f32());
            assert_eq!((key, value), (*token as f32, *token as f32), "token {i}");
        }
        prefixes.keep(tokens, &mut cache, &mut known, true);
        reused
    }

    fn sequence(parts: &[(u32, usize)]) -> Vec<u32> {
        parts
            .iter()
            .flat_map(|(token, count)| vec![*token; *count])
            .collect()
    }

    #[test]
    fn the_longest_common_beginning_is_reused_to_the_token() {
        let (mut prefixes, pool) = (Prefixes::default(), BlockPool::new(SHAPE, 100));
        let first = sequence(&[(1, 150), (2, 20)]);
        assert_eq!(serve(&first, &mut prefixes, &pool), 0);
        let other = sequence(&[(1, 150), (3, 20)]);
        assert_eq!(serve(&other, &mut prefixes, &pool), 150);
        assert_eq!(
            serve(&first, &mut prefixes, &pool),
            169,
            "the last token's logits are needed"
        );
        let longer = sequence(&[(1, 150), (2, 20), (4, 200)]);
        assert_eq!(serve(&longer, &mut prefixes, &pool), 170);
        assert_eq!(serve(&longer[..300], &mut prefixes, &pool), 299);
        assert_eq!(serve(&sequence(&[(9, 70)]), &mut prefixes, &pool), 0);
    }

    #[test]
    fn what_is_shared_before_a_sequence_is_computed_leaves_the_rest_to_be_shared_too() {
        let (mut prefixes, pool) = (Prefixes::default(), BlockPool::new(SHAPE, 100));
        serve(&sequence(&[(1, 80), (2, 20)]), &mut prefixes, &pool);
        let tokens = sequence(&[(1, 80), (3, 200)]);
        let (mut waiting, mut known) = (KvCache::new(SHAPE), Known::nothing(None));
        let next = prefixes.share(&tokens, &mut waiting, &mut known);
        assert_eq!(next.map(|(_, common)| common), Some(16));
        assert_eq!(waiting.len(), BLOCK, "it holds no copy of a part");
        serve(&tokens, &mut prefixes, &pool);
        prefixes.extend(&tokens, &mut waiting, &mut known, &pool);
        assert_eq!(waiting.len(), tokens.len() - 1);
    }

    #[test]
    fn adapters_share_no_beginnings_and_leave_nothing_behind() {
        let (mut prefixes, pool) = (Prefixes::default(), BlockPool::new(SHAPE, 100));
        let tokens = sequence(&[(1, 150)]);
        for adapter in [None, Some(AdapterId::new()), Some(AdapterId::new())] {
            for reused in [0, 149] {
                let found = serve_with(adapter, &tokens, &mut prefixes, &pool);
                assert_eq!(found, reused, "{adapter:?}");
            }
        }
        assert_eq!(prefixes.roots.len(), 3);
        assert!(prefixes.make_room(100, &pool));
        assert!(prefixes.roots.is_empty() && prefixes.nodes.is_empty());
    }

    #[test]
    fn what_two_sequences_compute_beside_each_other_is_kept_once() {
        let (mut prefixes, pool) = (Prefixes::default(), BlockPool::new(SHAPE, 100));
        let tokens = sequence(&[(1, 200), (2, 100)]);
        let mut caches = [KvCache::new(SHAPE), KvCache::new(SHAPE)];
        for cache in &mut caches {
            compute(&tokens, cache, &pool, &mut prefixes);
        }
        assert_eq!(pool.free(), 100 - 2 * 5);
        for cache in &mut caches {
            prefixes.keep(&tokens, cache, &mut Known::nothing(None), false);
        }
        assert_eq!(
            pool.free(),
            100 - 4 - 2,
            "four full blocks, two that are being filled"
        );
    }

    #[test]
    fn the_least_recently_used_is_forgotten_first_and_what_is_read_never() {
        let (mut prefixes, pool) = (Prefixes::default(), BlockPool::new(SHAPE, 4));
        for token in [1, 2] {
            serve(&[token; 70], &mut prefixes, &pool);
        }
        assert_eq!((pool.free(), prefixes.nodes.len()), (0, 4));
        let (mut reader, mut known) = (KvCache::new(SHAPE), Known::nothing(None));
        prefixes.extend(&[1; 65], &mut reader, &mut known, &pool);
        assert_eq!(reader.len(), 64);
        assert_eq!(serve(&[3; 128], &mut prefixes, &pool), 0);
        assert_eq!(
            serve(&[1; 66], &mut prefixes, &pool),
            64,
            "a running request reads it"
        );
        assert!(
            !prefixes.make_room(4, &pool),
            "one block is a running request's"
        );
        assert_eq!(pool.free(), 3);
        drop(reader);
        assert!(prefixes.make_room(4, &pool));
    }

    proptest! {
        #[test]
        fn what_is_reused_is_what_would_be_computed_within_the_limit(
            requests in proptest::collection::vec(
                proptest::collection::vec((0u32..3, 1usize..100), 1..4), 1..12),
            limit in 6usize..12,
        ) {
            let (mut prefixes, pool) = (Prefixes::default(), BlockPool::new(SHAPE, limit));
            let mut past: Vec<Vec<u32>> = Vec::new();
            for request in requests {
                let tokens = sequence(&request);
                let reused = serve(&tokens, &mut prefixes, &pool);
                let known = past.iter().map(|p| common(p, &tokens)).max().unwrap_or(0);
                prop_assert!(reused <= known && reused < tokens.len());
                past.push(tokens);
            }
            let all = limit - pool.free();
            prop_assert_eq!(all, prefixes.nodes.len());
        }
    }
}
