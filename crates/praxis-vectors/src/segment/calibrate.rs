//! Learns how far to look. For a sample of the segment's own vectors the true neighbours are found
//! by looking at everything. A neighbour is found if its list's promise exceeds the score of the
//! last result; how many deviations the promise must add for that is known afterwards, and for a
//! share of the neighbours it is a quantile.

use rayon::prelude::*;

use super::layout::{Calibration, RANKS, TARGETS};
use super::{Scan, Segment};
use crate::error::Result;
use crate::query::Query;
use crate::random::Random;
use crate::rotation::Rotation;

/// Vectors that are asked for their neighbours.
const SAMPLE: usize = 256;

impl Segment {
    pub(super) fn calibrate(&self, rotation: &Rotation) -> Result<Calibration> {
        let mut random = Random::new(self.head.seed ^ self.number);
        let rows = random.sample(self.len(), SAMPLE);
        let needed: Vec<[Vec<f32>; 2]> = rows
            .par_iter()
            .map(|row| self.needed(*row, rotation))
            .collect::<Result<_>>()?;
        let mut calibration = Calibration::default();
        for (rank, targets) in calibration.iter_mut().enumerate() {
            let mut all: Vec<f32> = needed.iter().flat_map(|n| &n[rank]).copied().collect();
            all.sort_unstable_by(f32::total_cmp);
            for (reach, target) in targets.iter_mut().zip(TARGETS) {
                let at = (all.len() as f32 * target).ceil() as usize;
                *reach = all
                    .get(at.min(all.len()) - 1)
                    .copied()
                    .unwrap_or(0.0)
                    .max(0.0);
            }
        }
        Ok(calibration)
    }

    /// For the ranks that are calibrated: how far one must look for each neighbour of a row.
    fn needed(&self, row: usize, rotation: &Rotation) -> Result<[Vec<f32>; 2]> {
        let mut vector = vec![0.0; self.head.dimension];
        self.vector(row, &mut vector)?;
        let mut rotated = vec![0.0; self.head.padded()];
        rotation.apply(&vector, &mut rotated);
        let query = Query::of_rotated(rotated);
        // One more, because the row finds itself.
        let mut scan = Scan::new(&query, RANKS[1] + 1, 0.995, None);
        scan.looks_at_all = true;
        self.scan(0, &mut scan);
        let mut found = scan.found;
        found.retain(|found| found.row as usize != row);
        found.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
        let (near, far) = (self.promise(&query, 0.0), self.promise(&query, 1.0));
        Ok(RANKS.map(|rank| {
            let found = &found[..rank.min(found.len())];
            let last = found.last().map_or(0.0, |found| found.score);
            found
                .iter()
                .filter_map(|found| {
                    let list = self.list_of(found.slot)?;
                    let spread = (far[list] - near[list]).max(1e-6);
                    Some((last - near[list]) / spread)
                })
                .collect()
        }))
    }
}
