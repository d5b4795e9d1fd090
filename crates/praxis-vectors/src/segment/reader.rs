//! Looks through lists and blocks of a segment: the loops of a scan. Which lists and blocks these are
//! is decided in `scan.rs`.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::layout::Section;
use super::scan::{Found, Scan};
use super::{Segment, Slot};
use crate::code::fine_len;
use crate::files::numbers;
use crate::query::Query;
use crate::simd::{BLOCK, Gate, SHIFT, block_len, kernels, prefetch};

/// Survivors that wait for their fine codes to arrive in the cache.
const PENDING: usize = 16;
/// Blocks that are asked for before they are looked at.
const AHEAD: usize = 2;
/// What rounding may add to any estimate.
const EPSILON: f32 = 1e-5;
/// Where everything is looked at: blocks that are first, so that it is known what must be exceeded; from how
/// many others on threads share them; how many of these are one's at a time; and the most threads.
const FIRST: usize = 512;
const SHARED: usize = 4096;
const RUN: usize = 128;
const MOST_THREADS: usize = 4;

#[derive(Clone, Copy)]
struct Survivor {
    slot: Slot,
    row: u32,
    base: f32,
    distance: f32,
    signs: f32,
}

/// A list as the query sees it.
#[derive(Clone, Copy)]
struct Near {
    /// Inner product with the centroid, and distance from it.
    base: f32,
    distance: f32,
    first_block: usize,
    first_row: u32,
}

/// The parts of a segment that a scan reads, and what it has not yet looked at closely.
pub(super) struct Reader<'a> {
    segment: &'a Segment,
    number: u32,
    blocks: &'a [u8],
    fine: &'a [u8],
    ids: &'a [u64],
    centroids: &'a [u8],
    block_starts: &'a [u32],
    row_starts: &'a [u32],
    slack: [f32; 2],
    pending: Vec<Survivor>,
}

/// The `count` nearest lists, the nearest first.
fn nearest(nearness: &[f32], count: usize) -> Vec<u64> {
    if count >= nearness.len() / 4 {
        let mut order = by_nearness(nearness);
        order.sort_unstable();
        order.truncate(count.max(1));
        return order;
    }
    // Keeps the best of twice as many as wanted, so that most lists are only looked at.
    let keep = count.max(16);
    let (mut kept, mut limit) = (Vec::with_capacity(2 * keep), f32::NEG_INFINITY);
    for (near, list) in nearness.iter().zip(0u64..) {
        if *near <= limit {
            continue;
        }
        kept.push(key(*near, list));
        if kept.len() == 2 * keep {
            let (_, last, _) = kept.select_nth_unstable(keep - 1);
            limit = nearness[list_at(*last)];
            kept.truncate(keep);
        }
    }
    kept.sort_unstable();
    kept.truncate(count.max(1));
    kept
}

/// Threads that share a large scan.
fn threads() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    let ask = || std::thread::available_parallelism().map_or(1, usize::from);
    *THREADS.get_or_init(|| ask().min(MOST_THREADS))
}

/// A list as a number, the less the nearer: nearness above, list below.
fn key(near: f32, list: u64) -> u64 {
    let bits = near.to_bits();
    // Ascending with the number: negative ones have all bits turned, others the sign.
    let ascending = bits ^ (((bits as i32 >> 31) as u32) | 1 << 31);
    (u64::from(!ascending) << 32) | list
}

/// Lists as numbers of which the nearest is the least: nearness above, list below.
pub(super) fn by_nearness(nearness: &[f32]) -> Vec<u64> {
    nearness
        .iter()
        .zip(0u64..)
        .map(|(near, list)| key(*near, list))
        .collect()
}

pub(super) fn list_at(place: u64) -> usize {
    place as u32 as usize
}

impl<'a> Reader<'a> {
    pub fn new(segment: &'a Segment, number: u32, slack: [f32; 2]) -> Self {
        Self {
            segment,
            number,
            blocks: segment.section(Section::Blocks),
            fine: segment.section(Section::Fine),
            ids: numbers(segment.section(Section::Ids)),
            centroids: segment.section(Section::Rows),
            block_starts: segment.starts(Section::BlockStarts),
            row_starts: segment.starts(Section::RowStarts),
            slack,
            pending: Vec::with_capacity(PENDING + BLOCK),
        }
    }

    /// Looks through the `count` nearest lists, and on until there are as many results as wanted.
    pub fn lists(&mut self, nearness: &[f32], count: usize, scan: &mut Scan<'_>) {
        let nearness = &nearness[..self.segment.head.lists];
        let first = nearest(nearness, count);
        let (mut all, mut done) = (Vec::new(), 0);
        while done < nearness.len() {
            let now: &[u64] = if done < first.len() {
                &first
            } else {
                // Only where too few are alive, or so many lists are wanted.
                if all.is_empty() {
                    all = by_nearness(nearness);
                    all.sort_unstable();
                }
                &all[done..(done + 64).min(all.len())]
            };
            for (i, place) in now.iter().enumerate() {
                if done >= count && scan.best.threshold() > f32::NEG_INFINITY {
                    return;
                }
                if let Some(next) = now.get(i + 1) {
                    self.prefetch(list_at(*next), scan);
                }
                self.list(list_at(*place), scan);
                done += 1;
                if done >= count {
                    self.drain(scan);
                }
            }
        }
    }

    fn prefetch(&self, list: usize, scan: &Scan<'_>) {
        let padded = scan.query.rotated.len();
        prefetch(&self.centroids[list * padded..(list + 1) * padded]);
        let start = self.block_starts[list] as usize * block_len(padded);
        let end = (start + AHEAD * block_len(padded)).min(self.blocks.len());
        prefetch(&self.blocks[start..end]);
    }

    /// Looks at the vectors of a list.
    fn list(&mut self, list: usize, scan: &mut Scan<'_>) {
        let near = self.near(list, scan.query);
        let len = block_len(scan.query.rotated.len());
        for block in self.block_starts[list]..self.block_starts[list + 1] {
            let ahead = (block as usize + AHEAD) * len;
            prefetch(self.blocks.get(ahead..ahead + len).unwrap_or_default());
            self.block(block as usize, &near, u32::MAX, scan);
        }
    }

    /// Looks through all lists, the nearest first: at all vectors, or at those whose bits are set in
    /// `allowed`, a word for each block.
    pub fn all(&mut self, nearness: &[f32], allowed: Option<&[u32]>, scan: &mut Scan<'_>) {
        let mut order = by_nearness(&nearness[..self.segment.head.lists]);
        order.sort_unstable();
        let starts = self.block_starts;
        let blocks = |list: usize| starts[list]..starts[list + 1];
        let places: Vec<(u32, u32)> = order
            .into_iter()
            .map(list_at)
            .flat_map(|list| blocks(list).map(move |block| (list as u32, block)))
            .filter(|(_, block)| allowed.is_none_or(|allowed| allowed[*block as usize] != 0))
            .collect();
        let (first, others) = places.split_at(places.len().min(FIRST));
        self.places(first, allowed, scan);
        if others.len() < SHARED || threads() < 2 {
            return self.places(others, allowed, scan);
        }
        let shares: Vec<Vec<(u32, u32)>> = (0..threads())
            .map(|thread| {
                let runs = others.chunks(RUN).skip(thread).step_by(threads());
                runs.flatten().copied().collect()
            })
            .collect();
        let (segment, number, slack) = (self.segment, self.number, self.slack);
        let forks: Vec<Scan<'_>> = std::thread::scope(|scope| {
            let (own, shares) = shares.split_first().unzip();
            let handles: Vec<_> = shares
                .into_iter()
                .flatten()
                .map(|share| (share, scan.fork()))
                .map(|(share, mut fork)| {
                    scope.spawn(move || {
                        let mut reader = Reader::new(segment, number, slack);
                        reader.places(share, allowed, &mut fork);
                        fork
                    })
                })
                .collect();
            self.places(own.map_or(&[][..], Vec::as_slice), allowed, scan);
            let results = handles.into_iter().map(|handle| handle.join());
            results
                .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        forks.into_iter().for_each(|fork| scan.join(fork));
    }

    /// Looks at these blocks, each with its list.
    fn places(&mut self, places: &[(u32, u32)], allowed: Option<&[u32]>, scan: &mut Scan<'_>) {
        let len = block_len(scan.query.rotated.len());
        let mut near = None;
        for (at, &(list, block)) in places.iter().enumerate() {
            if let Some((_, ahead)) = places.get(at + AHEAD) {
                let ahead = *ahead as usize * len;
                prefetch(&self.blocks[ahead..ahead + len]);
            }
            let near = match near {
                Some((of, near)) if of == list => near,
                _ => near.insert((list, self.near(list as usize, scan.query))).1,
            };
            let allowed = allowed.map_or(u32::MAX, |allowed| allowed[block as usize]);
            self.block(block as usize, &near, allowed, scan);
        }
        self.drain(scan);
    }

    /// A list as the query sees it.
    fn near(&self, list: usize, query: &Query) -> Near {
        let padded = query.rotated.len();
        let (scales, squares) = self.segment.list_numbers();
        let centroid = &self.centroids[list * padded..(list + 1) * padded];
        let product = (kernels().dot_bytes)(&query.rotated, centroid);
        let base = (product - SHIFT as f32 * query.sum) * scales[list];
        Near {
            base,
            distance: (query.square + squares[list] - 2.0 * base).max(0.0).sqrt(),
            first_block: self.block_starts[list] as usize,
            first_row: self.row_starts[list],
        }
    }

    /// Looks at the vectors of a block that are alive and `allowed`.
    fn block(&mut self, block: usize, near: &Near, allowed: u32, scan: &mut Scan<'_>) {
        let padded = scan.query.rotated.len();
        let (len, fine_len) = (block_len(padded), fine_len(padded));
        let live = &self.segment.live[block];
        let mut mask = allowed & live.load(Ordering::Relaxed);
        if mask == 0 {
            return;
        }
        let gate = Gate {
            base: near.base,
            slack: self.slack[0] * near.distance,
            threshold: scan.gate(),
        };
        let codes = &self.blocks[block * len..(block + 1) * len];
        let mut signs = [0.0; BLOCK];
        mask &= (kernels().survivors)(&scan.query.tables, codes, &gate, &mut signs);
        while mask != 0 {
            let lane = mask.trailing_zeros();
            mask &= mask - 1;
            let row = near.first_row + ((block - near.first_block) * BLOCK) as u32 + lane;
            let id = self.ids[row as usize];
            if scan.filter.is_some_and(|filter| !filter.allows(id)) {
                continue;
            }
            prefetch(&self.fine[row as usize * fine_len..][..fine_len]);
            self.pending.push(Survivor {
                slot: (block * BLOCK) as u32 + lane,
                row,
                base: near.base,
                distance: near.distance,
                signs: signs[lane as usize],
            });
        }
        if self.pending.len() >= PENDING {
            self.drain(scan);
        }
    }

    /// Estimates what survived by its fine codes.
    pub fn drain(&mut self, scan: &mut Scan<'_>) {
        let fine_len = fine_len(scan.query.rotated.len());
        for survivor in self.pending.drain(..) {
            let row = survivor.row as usize;
            let fine = &self.fine[row * fine_len..(row + 1) * fine_len];
            let Survivor {
                base,
                distance,
                signs,
                ..
            } = survivor;
            let (score, deviation) = scan.query.estimate(base, distance, signs, fine);
            scan.take(Found {
                score,
                margin: self.slack[1] * deviation + EPSILON,
                segment: self.number,
                slot: survivor.slot,
                row: survivor.row,
            });
        }
        scan.tidy();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_list_is_first() {
        let mut order = by_nearness(&[-0.5, 0.25, -0.25, 0.5, 0.0]);
        order.sort_unstable();
        let lists: Vec<usize> = order.into_iter().map(list_at).collect();
        assert_eq!(lists, [3, 1, 4, 2, 0]);
        let many: Vec<f32> = (0..500).map(|i| ((i * 37) % 500) as f32 - 250.0).collect();
        let mut order = by_nearness(&many);
        order.sort_unstable();
        for count in [1, 7, 40, 124, 125, 499, 500, 900] {
            assert_eq!(nearest(&many, count), order[..count.min(500)]);
        }
    }
}
