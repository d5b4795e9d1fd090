//! The self-check: proves that every vector that is alive can be found.

use std::collections::HashSet;

use rayon::prelude::*;

use crate::error::Result;
use crate::index::Index;
use crate::random::Random;
use crate::search::SearchOptions;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Vectors that are alive.
    pub live: usize,
    /// Of these, vectors that are in no segment yet.
    pub delta: usize,
    /// Deleted vectors that still take up space.
    pub dead: usize,
    /// Segments.
    pub segments: usize,
    /// Vectors that were searched for.
    pub searched: usize,
    /// Ids of those that the search did not find.
    pub unreachable: Vec<u64>,
    /// What is wrong, in words.
    pub problems: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.unreachable.is_empty() && self.problems.is_empty()
    }
}

impl Index {
    /// Checks the files' checksums, that the id of each live vector leads to it and is in one place
    /// only, and that a search for it finds it: for `searches` of the vectors, chosen at random, or for
    /// all if there are no more. Where one at the default recall does not, as may be where many are near,
    /// the whole index is looked through.
    ///
    /// Writers wait meanwhile, searches do not.
    pub fn check(&self, searches: usize) -> Result<Report> {
        let _writer = self.writer();
        let state = self.state();
        let mut report = Report {
            delta: state.delta.live(),
            segments: state.segments.len(),
            ..Report::default()
        };
        let mut ids = state.delta.ids();
        if ids.iter().any(|id| !state.delta.contains(*id)) || ids.len() != report.delta {
            report.problems.push("the delta has lost ids".into());
        }
        for segment in &state.segments {
            report.problems.extend(segment.problems());
            report.dead += segment.dead();
            ids.extend(segment.live_ids());
        }
        report.live = ids.len();
        if self.len() != ids.len() {
            report.problems.push(format!(
                "{} vectors are counted, and {} are there",
                self.len(),
                ids.len()
            ));
        }
        let different: HashSet<u64> = ids.iter().copied().collect();
        if different.len() != ids.len() {
            let twice = ids.len() - different.len();
            report
                .problems
                .push(format!("{twice} vectors have the id of another"));
        }
        drop(different);
        let chosen = Random::new(ids.len() as u64).sample(ids.len(), searches);
        report.searched = chosen.len();
        let found: Vec<Option<u64>> = chosen
            .par_iter()
            .map(|at| Ok((!self.is_found(ids[*at])?).then_some(ids[*at])))
            .collect::<Result<_>>()?;
        report.unreachable = found.into_iter().flatten().collect();
        Ok(report)
    }

    /// Whether a search for the vector of an id returns it, or one that is equal to it.
    fn is_found(&self, id: u64) -> Result<bool> {
        let Some(vector) = self.vector(id)? else {
            return Ok(false);
        };
        if vector.iter().any(|x| !x.is_finite()) {
            return Ok(false);
        }
        let finds = |options: &SearchOptions<'_>| -> Result<bool> {
            let hits = self.search(&vector, 1, options)?;
            Ok(hits
                .iter()
                .any(|hit| hit.id == id || hit.score > 1.0 - 1e-5))
        };
        let whole = SearchOptions {
            recall: 1.0,
            ..SearchOptions::default()
        };
        Ok(finds(&SearchOptions::default())? || finds(&whole)?)
    }
}
