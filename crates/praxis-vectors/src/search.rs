//! Searches over all parts of an index, and the exact comparison of what they find.

use crate::best::Best;
use crate::error::Result;
use crate::ids::Filter;
use crate::index::Index;
use crate::query::Query;
use crate::segment::Scan;
use crate::simd::kernels;

/// What a search should find.
#[derive(Debug, Clone, Copy)]
pub struct SearchOptions<'a> {
    /// Share of the true nearest vectors to find on average, 0 to 1. Less is faster; 1 looks at
    /// everything, as every search with a filter does. Few vectors are always all looked at.
    pub recall: f32,
    /// How many lists of each segment to look through, in place of what the recall would need.
    pub lists: Option<usize>,
    /// Which vectors count. What is found is exactly the best of them, whatever the recall.
    pub filter: Option<Filter<'a>>,
}

impl Default for SearchOptions<'_> {
    fn default() -> Self {
        Self {
            recall: 0.99,
            lists: None,
            filter: None,
        }
    }
}

/// A vector that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The caller's id.
    pub id: u64,
    /// Cosine with the query, -1 to 1, not an estimate.
    pub score: f32,
}

impl Index {
    /// Learns from real queries, some hundreds, how many lists to look through for a recall target.
    /// Without, the index assumes that they need four times as many as its own vectors do, moved at
    /// random. Takes some milliseconds a query and million vectors; [`Index::commit`] keeps it.
    pub fn calibrate(&self, queries: &[&[f32]]) -> Result<()> {
        let prepared: Vec<Query> = queries
            .iter()
            .map(|query| Ok(self.prepare(&self.unit(query)?)))
            .collect::<Result<_>>()?;
        let state = self.state();
        if let Some(caution) = state.segments.first().and_then(|s| s.caution(&prepared)) {
            self.set_caution(caution);
        }
        Ok(())
    }

    fn prepare(&self, query: &[f32]) -> Query {
        let mut rotated = vec![0.0; crate::rotation::padded(self.dimension)];
        self.rotation.apply(query, &mut rotated);
        Query::of_rotated(rotated)
    }

    /// The `k` vectors nearest to a query of any length but 0, best first; of equals the lower id.
    pub fn search(&self, query: &[f32], k: usize, options: &SearchOptions<'_>) -> Result<Vec<Hit>> {
        let query = self.unit(query)?;
        let state = self.state();
        if k == 0 {
            return Ok(Vec::new());
        }
        let prepared = self.prepare(&query);
        let mut scan = Scan::new(&prepared, k, options.recall, options.filter);
        scan.lists = options.lists;
        scan.caution = self.caution();
        let mut hits: Vec<Hit> = Vec::new();
        for chunk in state.delta.chunks() {
            let vectors = chunk.values.chunks_exact(self.dimension);
            for (at, (&id, vector)) in chunk.ids.iter().zip(vectors).enumerate() {
                let allowed = || options.filter.is_none_or(|filter| filter.allows(id));
                if !chunk.is_live(at) || !allowed() {
                    continue;
                }
                let score = (kernels().dot)(vector, &query);
                if score >= scan.best.threshold() {
                    scan.best.offer(score);
                    hits.push(Hit { id, score });
                }
            }
        }
        for (segment, number) in state.segments.iter().zip(0u32..) {
            segment.scan(number, &mut scan);
        }
        let mut best = Best::new(k);
        hits.iter().for_each(|hit| best.offer(hit.score));
        let mut found = scan.found;
        let least = scan.best.threshold();
        found.retain(|found| found.score + found.margin >= least);
        found.sort_unstable_by(|a, b| (b.score + b.margin).total_cmp(&(a.score + a.margin)));
        let mut vector = vec![0.0; self.dimension];
        for found in found {
            if found.score + found.margin < best.threshold() {
                break;
            }
            let segment = &state.segments[found.segment as usize];
            // It may have been deleted since the scan.
            if !segment.is_live(found.slot) {
                continue;
            }
            segment.vector(found.row as usize, &mut vector)?;
            let score = (kernels().dot)(&vector, &query);
            best.offer(score);
            let id = segment.id(found.row as usize);
            hits.push(Hit { id, score });
        }
        hits.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        // A vector that is being replaced may be there twice.
        let mut seen = std::collections::HashSet::with_capacity(k);
        hits.retain(|hit| seen.len() < k && seen.insert(hit.id));
        Ok(hits)
    }
}
