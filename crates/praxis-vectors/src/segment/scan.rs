//! Searches a segment. Lists are looked through from the nearest on, as many as the recall that was
//! asked for needs. Of a list all coarse codes are looked at; those that may be good enough are
//! estimated again by their fine codes; those that still may be are left for the caller to compare
//! exactly. Deleted vectors and those that the filter refuses never count.
//!
//! With a filter, and where everything is to be found, a search is exact: all lists are looked through,
//! and what counts as reached is not what the best are estimated at but what they are at least. So one of
//! the best is lost only by an estimate of its own that is off by five deviations and more, which is one in
//! three million (the errors are no wider than normal ones; Gao and Long 2024).

use super::calibrate::CAUTION;
use super::layout::{Calibration, RANKS, Section, TARGETS};
use super::reader::Reader;
use super::{Segment, Slot};
use crate::best::Best;
use crate::ids::{Filter, IdSet};
use crate::query::Query;
use crate::simd::{BLOCK, SHIFT, TILE, kernels};

/// Recall from which on everything is looked at.
const ALL: f32 = 0.9995;
/// Segments up to this size are looked through whole.
const SMALL: usize = 20_000;
/// Where a filter lets at most one of so many of a segment pass, they are looked up first, so that blocks
/// without any are not read. That costs a step for each of them, and the scan one for each of the segment.
const SPARSE: usize = 8;

/// Errors that an estimate may be off before it is given up, in deviations: for the recall targets,
/// and for exact results. First of coarse codes, then of fine ones.
const SLACK: [(f32, [f32; 2]); 4] = [
    (0.95, [1.8, 2.2]),
    (0.99, [2.0, 2.5]),
    (0.999, [2.8, 3.5]),
    (ALL, [5.0, 5.5]),
];

/// A vector that may be among the best.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Estimated score.
    pub score: f32,
    /// How much higher the score may be.
    pub margin: f32,
    /// Which segment, in the order of the search.
    pub segment: u32,
    pub slot: Slot,
    pub row: u32,
}

/// A search over several segments.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    pub query: &'a Query,
    pub filter: Option<Filter<'a>>,
    /// Share of the true results to find.
    pub recall: f32,
    /// How many results are wanted.
    pub k: usize,
    /// Scores so far.
    pub best: Best,
    /// What may be among the best.
    pub found: Vec<Found>,
    /// What the lists that a segment has learned to look through are multiplied by.
    pub caution: Calibration,
    /// How many lists to look through, if that is not to follow from the recall.
    pub lists: Option<usize>,
    /// Whether every list is looked through, whatever the recall.
    pub looks_at_all: bool,
    /// Whether nothing may be missed: there is a filter, or everything is to be found.
    exact: bool,
    /// Found that were kept when there were last too many.
    kept: usize,
}

impl<'a> Scan<'a> {
    pub fn new(query: &'a Query, k: usize, recall: f32, filter: Option<Filter<'a>>) -> Self {
        Self {
            query,
            filter,
            recall,
            k,
            best: Best::new(k),
            found: Vec::new(),
            caution: CAUTION,
            lists: None,
            looks_at_all: recall >= ALL,
            exact: recall >= ALL || filter.is_some(),
            kept: 0,
        }
    }

    /// Slack of coarse and fine estimates.
    fn slack(&self) -> [f32; 2] {
        if self.exact {
            return SLACK[SLACK.len() - 1].1;
        }
        let after = SLACK.iter().position(|(recall, _)| *recall >= self.recall);
        match after {
            None => SLACK[SLACK.len() - 1].1,
            Some(0) => SLACK[0].1,
            Some(at) => {
                let ((low, a), (high, b)) = (SLACK[at - 1], SLACK[at]);
                let part = (self.recall - low) / (high - low);
                [0, 1].map(|i| a[i] + part * (b[i] - a[i]))
            }
        }
    }

    /// What a coarse estimate with its slack must exceed. The rounding of its tables is no part of the
    /// deviation that a code has; five deviations of it are about a step of theirs.
    pub(super) fn gate(&self) -> f32 {
        let rounding = if self.exact {
            self.query.tables.scale
        } else {
            0.0
        };
        self.best.threshold() - rounding
    }

    /// Takes up a vector that may be among the best.
    pub(super) fn take(&mut self, found: Found) {
        if found.score + found.margin >= self.best.threshold() {
            self.best.offer(self.reached(&found));
            self.found.push(found);
        }
    }

    /// What a vector counts for, against others.
    fn reached(&self, found: &Found) -> f32 {
        if self.exact {
            found.score - found.margin
        } else {
            found.score
        }
    }

    /// A scan of another part, that knows what was reached so far.
    pub(super) fn fork(&self) -> Self {
        Self {
            found: Vec::new(),
            kept: 0,
            best: self.best.clone(),
            ..*self
        }
    }

    /// Takes up what a fork has found.
    pub(super) fn join(&mut self, fork: Self) {
        fork.found.into_iter().for_each(|found| self.take(found));
        self.tidy();
    }

    /// Forgets what has been outdone when there is much of it.
    pub(super) fn tidy(&mut self) {
        if self.found.len() >= 2 * self.kept + 256 {
            let threshold = self.best.threshold();
            self.found
                .retain(|found| found.score + found.margin >= threshold);
            self.kept = self.found.len();
        }
    }
}

impl Segment {
    /// Adds to `scan` what this segment, the `number`th of the search, has.
    pub fn scan(&self, number: u32, scan: &mut Scan<'_>) {
        let mut reader = Reader::new(self, number, scan.slack());
        let nearness = self.nearness(scan.query);
        if scan.exact {
            match scan.filter {
                Some(Filter::Only(ids)) if ids.len() <= self.len() / SPARSE => {
                    let filter = scan.filter.take();
                    reader.all(&nearness, Some(&self.allowed(ids)), scan);
                    scan.filter = filter;
                }
                _ => reader.all(&nearness, None, scan),
            }
            return;
        }
        let all = scan.looks_at_all || (self.len() <= SMALL && scan.lists.is_none());
        let count = if all {
            self.head.lists
        } else {
            self.lists_for(scan)
        };
        reader.lists(&nearness, count, scan);
        reader.drain(scan);
    }

    /// A bit for each vector that is one of `ids`, a word for each block.
    fn allowed(&self, ids: &IdSet) -> Vec<u32> {
        let mut allowed = vec![0u32; self.head.blocks];
        ids.for_each(|id| {
            if let Some(slot) = self.find_slot(id)
                && let Some(word) = allowed.get_mut(slot as usize / BLOCK)
            {
                *word |= 1 << (slot % BLOCK as u32);
            }
        });
        allowed
    }

    /// How many lists to look through.
    fn lists_for(&self, scan: &Scan<'_>) -> usize {
        let mut table = self.head.calibration;
        let cautious = table
            .as_flattened_mut()
            .iter_mut()
            .zip(scan.caution.as_flattened());
        cautious.for_each(|(lists, caution)| *lists *= caution);
        let lists = interpolate(&table, scan.recall, scan.k as f32);
        scan.lists.unwrap_or((lists.ceil() as usize).max(1))
    }

    /// Of each list how near its centroid is to the query: half of the square of their distance,
    /// negative, but for a constant. Of places without a list it is negative infinity.
    pub(super) fn nearness(&self, query: &Query) -> Vec<f32> {
        let tiles = self.section(Section::Tiles);
        let (scales, squares) = self.list_numbers();
        let mut nearness = vec![f32::NEG_INFINITY; scales.len()];
        let shift = query.byte_sum * SHIFT;
        let tile_len = TILE * query.rotated.len();
        let mut out = [0; TILE];
        for (at, tile) in tiles.chunks_exact(tile_len).enumerate() {
            (kernels().tile)(&query.bytes, tile, &mut out);
            let lanes = at * TILE..(at + 1) * TILE;
            let numbers = scales[lanes.clone()].iter().zip(&squares[lanes.clone()]);
            for ((nearness, (scale, square)), out) in
                nearness[lanes].iter_mut().zip(numbers).zip(out)
            {
                *nearness = (out - shift) as f32 * (scale * query.scale) - 0.5 * square;
            }
        }
        nearness
    }

    /// As [`Segment::find`], without a check of the slot: a wrong one is masked by what is alive.
    fn find_slot(&self, id: u64) -> Option<Slot> {
        if self.head.table == 0 {
            return self.find(id);
        }
        let at = id.checked_sub(self.head.first_id)?;
        let table: &[u32] = crate::files::numbers(self.section(Section::Places));
        table
            .get(at as usize)
            .copied()
            .filter(|slot| *slot != Slot::MAX)
    }
}

/// Lists to look through for a recall target and a rank, between those that were measured.
fn interpolate(table: &Calibration, recall: f32, rank: f32) -> f32 {
    let between =
        |a: f32, b: f32, part: f32| (a.max(1.0).ln() * (1.0 - part) + b.max(1.0).ln() * part).exp();
    let along = |values: &[f32; TARGETS.len()]| {
        let after = TARGETS.iter().position(|target| *target >= recall);
        match after {
            None => values[TARGETS.len() - 1] * 2.0,
            Some(0) => values[0],
            Some(at) => {
                let part = (recall - TARGETS[at - 1]) / (TARGETS[at] - TARGETS[at - 1]);
                between(values[at - 1], values[at], part)
            }
        }
    };
    let [low, high] = [along(&table[0]), along(&table[1])];
    let span = (RANKS[1] as f32 / RANKS[0] as f32).ln();
    let part = ((rank.max(1.0) / RANKS[0] as f32).ln() / span).clamp(0.0, 2.0);
    between(low, high, part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_between_what_was_measured() {
        let table = [[1.0, 2.0, 8.0, 16.0], [2.0, 4.0, 16.0, 32.0]];
        for (recall, rank, expected) in [
            (0.5, 10.0, 1.0),
            (0.95, 1.0, 2.0),
            (0.97, 10.0, 4.0),
            (0.99, 100.0, 16.0),
            (0.95, 1000.0, 8.0),
            (0.9999, 10.0, 32.0),
        ] {
            let lists = interpolate(&table, recall, rank);
            assert!((lists - expected).abs() < 1e-3, "{recall} {rank}: {lists}");
        }
    }
}
