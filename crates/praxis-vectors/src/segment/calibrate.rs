//! Learns how many lists to look through. For a sample of the segment's own vectors, moved at random
//! because queries are seldom as near to the vectors as these to each other, the true neighbours are
//! found by looking at everything. How near the list of each is among all lists is known then, and
//! for a share of the neighbours it is a quantile.

use rayon::prelude::*;

use super::layout::{Calibration, RANKS, TARGETS};
use super::reader::{by_nearness, list_at};
use super::{Scan, Segment};
use crate::error::Result;
use crate::query::Query;
use crate::random::Random;
use crate::rotation::Rotation;

/// Vectors that are moved and asked for their neighbours.
const SAMPLE: usize = 256;
/// Length of the move, where vectors have length 1.
const MOVE: f32 = 1.0;
/// What lists that were learned from queries are multiplied by, for those to come and for what the codes
/// miss.
const MARGIN: f32 = 1.3;
/// What lists are multiplied by until [`crate::Index::calibrate`] has seen queries, as these come from
/// elsewhere than the vectors: questions from other texts than passages.
pub(crate) const CAUTION: Calibration = [[4.0; TARGETS.len()]; RANKS.len()];

impl Segment {
    pub(super) fn calibrate(&self, rotation: &Rotation) -> Result<Calibration> {
        let mut random = Random::new(self.head.seed ^ self.number);
        let rows = random.sample(self.len(), SAMPLE);
        let needed: Vec<[Vec<usize>; 2]> = rows
            .par_iter()
            .map(|row| self.needed_for_row(*row, rotation))
            .collect::<Result<_>>()?;
        Ok(quantiles(&needed))
    }

    /// By what the lists that were learned from moved vectors must be multiplied for these queries.
    /// None if the segment is so small that it is looked through whole.
    pub fn caution(&self, queries: &[Query]) -> Option<Calibration> {
        if self.head.lists == 1 || queries.is_empty() {
            return None;
        }
        let needed: Vec<[Vec<usize>; 2]> = queries
            .par_iter()
            .map(|query| self.needed(query, None))
            .collect();
        let mut caution = quantiles(&needed);
        let learned = self.head.calibration.as_flattened();
        for (caution, learned) in caution.as_flattened_mut().iter_mut().zip(learned) {
            *caution = MARGIN * *caution / learned.max(1.0);
        }
        Some(caution)
    }

    fn needed_for_row(&self, row: usize, rotation: &Rotation) -> Result<[Vec<usize>; 2]> {
        let mut vector = vec![0.0; self.head.dimension];
        self.vector(row, &mut vector)?;
        let mut rotated = vec![0.0; self.head.padded()];
        rotation.apply(&vector, &mut rotated);
        let mut random = Random::new(row as u64);
        let step = MOVE * (3.0 / rotated.len() as f32).sqrt();
        for x in &mut rotated {
            *x += step * (random.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0);
        }
        let norm = crate::code::sum(&rotated, &rotated)
            .sqrt()
            .max(f32::MIN_POSITIVE);
        rotated.iter_mut().for_each(|x| *x /= norm);
        Ok(self.needed(&Query::of_rotated(rotated), Some(row)))
    }

    /// For the ranks that are calibrated: how many lists are at least as near as the list of each
    /// neighbour of a query, `but` one.
    fn needed(&self, query: &Query, but: Option<usize>) -> [Vec<usize>; 2] {
        // One more, because the row is found too.
        let mut scan = Scan::new(query, RANKS[1] + 1, 0.995, None);
        scan.looks_at_all = true;
        self.scan(0, &mut scan);
        let mut found = scan.found;
        found.retain(|found| Some(found.row as usize) != but);
        found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
        let nearness = self.nearness(query);
        let mut order = by_nearness(&nearness[..self.head.lists]);
        order.sort_unstable();
        let mut place = vec![0; order.len()];
        for (at, list) in order.into_iter().enumerate() {
            place[list_at(list)] = at + 1;
        }
        RANKS.map(|rank| {
            let found = &found[..rank.min(found.len())];
            let lists = found.iter().filter_map(|found| self.list_of(found.slot));
            lists.filter_map(|list| place.get(list).copied()).collect()
        })
    }
}

/// How many lists hold a share of the neighbours, for each rank and recall target.
fn quantiles(needed: &[[Vec<usize>; 2]]) -> Calibration {
    let mut calibration = Calibration::default();
    for (rank, targets) in calibration.iter_mut().enumerate() {
        let mut all: Vec<usize> = needed.iter().flat_map(|n| &n[rank]).copied().collect();
        all.sort_unstable();
        for (lists, target) in targets.iter_mut().zip(TARGETS) {
            let at = ((all.len() as f32 * target).ceil() as usize).max(1) - 1;
            *lists = all.get(at).copied().unwrap_or(1) as f32;
        }
    }
    calibration
}
