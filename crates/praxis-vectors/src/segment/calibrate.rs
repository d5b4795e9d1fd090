//! Learns how many lists to look through. For a sample of the segment's own vectors, moved at random
//! because queries are seldom as near to the vectors as these to each other, the true neighbours are
//! found by looking at everything. How near the list of each is among all lists is known then, and
//! for a share of the neighbours it is a quantile.

use rayon::prelude::*;

use super::layout::{Calibration, RANKS, TARGETS};
use super::{Scan, Segment};
use crate::error::Result;
use crate::query::Query;
use crate::random::Random;
use crate::rotation::Rotation;

/// Vectors that are moved and asked for their neighbours.
const SAMPLE: usize = 256;
/// Length of the move, where vectors have length 1.
const MOVE: f32 = 1.0;
/// Lists are multiplied by it, as real queries come from elsewhere than the vectors: questions from
/// other texts than passages.
const SAFETY: f32 = 3.0;

impl Segment {
    pub(super) fn calibrate(&self, rotation: &Rotation) -> Result<Calibration> {
        let mut random = Random::new(self.head.seed ^ self.number);
        let rows = random.sample(self.len(), SAMPLE);
        let needed: Vec<[Vec<usize>; 2]> = rows
            .par_iter()
            .map(|row| self.needed(*row, rotation))
            .collect::<Result<_>>()?;
        let mut calibration = Calibration::default();
        for (rank, targets) in calibration.iter_mut().enumerate() {
            let mut all: Vec<usize> = needed.iter().flat_map(|n| &n[rank]).copied().collect();
            all.sort_unstable();
            for (lists, target) in targets.iter_mut().zip(TARGETS) {
                let at = ((all.len() as f32 * target).ceil() as usize).max(1);
                let most = all.get(at.min(all.len()) - 1).copied().unwrap_or(1);
                *lists = (most as f32 * SAFETY).min(self.head.lists as f32);
            }
        }
        Ok(calibration)
    }

    /// For the ranks that are calibrated: how many lists have the list of each neighbour of a row.
    fn needed(&self, row: usize, rotation: &Rotation) -> Result<[Vec<usize>; 2]> {
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
        let query = Query::of_rotated(rotated);
        // One more, because the row is found too.
        let mut scan = Scan::new(&query, RANKS[1] + 1, 0.995, None);
        scan.looks_at_all = true;
        self.scan(0, &mut scan);
        let mut found = scan.found;
        found.retain(|found| found.row as usize != row);
        found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
        let nearness = self.nearness(&query);
        let mut order: Vec<usize> = (0..self.head.lists).collect();
        order.sort_unstable_by(|a, b| nearness[*b].total_cmp(&nearness[*a]).then(a.cmp(b)));
        let mut place = vec![0; order.len()];
        for (at, list) in order.iter().enumerate() {
            place[*list] = at + 1;
        }
        Ok(RANKS.map(|rank| {
            let found = &found[..rank.min(found.len())];
            let lists = found.iter().filter_map(|found| self.list_of(found.slot));
            lists.filter_map(|list| place.get(list).copied()).collect()
        }))
    }
}
