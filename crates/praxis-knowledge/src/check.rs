//! Whether the indexes of a base hold exactly what the store does, and whether what they hold is found.

use std::collections::HashSet;

use praxis_core::{CallError, ChunkId, Clearance};
use praxis_vectors::has_direction;
use serde::Serialize;

use crate::knowledge::{Knowledge, internal};
use crate::vectors::Pieces;

/// Vectors that are searched for, chosen at random.
const SEARCHES: usize = 1000;

/// Whether a base's indexes hold exactly the chunks of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Chunks in the store.
    pub chunks: usize,
    /// Chunks that the keyword index cannot find.
    pub missing_keywords: usize,
    /// Chunks that the vector index cannot find, but for those whose vector has no direction.
    pub missing_vectors: usize,
    /// Documents with text that the keyword index of documents cannot find.
    pub missing_documents: usize,
    /// Entries of the indexes without a chunk.
    pub ghosts: usize,
    /// What is wrong with the files of the vector index, and vectors in it that no search finds.
    pub problems: Vec<String>,
    /// Whether the vector index could not be looked at, because another process has it open.
    pub vectors_elsewhere: bool,
}

impl CheckReport {
    /// Whether nothing that was looked at is missing, too much or wrong.
    pub fn is_clean(&self) -> bool {
        self.missing_keywords + self.missing_vectors + self.missing_documents + self.ghosts == 0
            && self.problems.is_empty()
    }
}

impl std::fmt::Display for CheckReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} chunks, {} missing in keywords, {} missing in vectors, {} documents missing, {} ghosts",
            self.chunks,
            self.missing_keywords,
            self.missing_vectors,
            self.missing_documents,
            self.ghosts
        )?;
        for problem in &self.problems {
            write!(f, "; {problem}")?;
        }
        if self.vectors_elsewhere {
            f.write_str("; vectors not checked: another process has their index open")?;
        }
        Ok(())
    }
}

impl Knowledge {
    /// Compares the indexes with the store, chunk by chunk, and has the vector index check itself: its
    /// checksums, that each id leads to its vector, and that a search finds vectors chosen at random.
    ///
    /// # Errors
    /// An unknown base, or a disk that fails.
    pub async fn check(&self, name: &str) -> Result<CheckReport, CallError> {
        let Some((snapshot, _)) = self.snapshot(name).await? else {
            return Ok(CheckReport::default());
        };
        let entries = self.store().chunk_entries(name).await.map_err(internal)?;
        let indexes = &snapshot.indexes;
        let ids = indexes.keywords.ids().map_err(internal)?;
        let indexed: HashSet<ChunkId> = ids.into_iter().map(ChunkId::from_string).collect();
        let known: HashSet<&ChunkId> = entries.iter().map(|e| &e.chunk).collect();
        let heads = self.documents(name, &Clearance::Full).await?;
        let ids = indexes.document_keywords.ids().map_err(internal)?;
        let whole: HashSet<String> = ids.into_iter().collect();
        let numbers = entries.iter().map(|e| e.number);
        let mut lost: HashSet<u64> = numbers.filter(|n| !indexes.vectors.contains(*n)).collect();
        let index = indexes.vectors.on_disk();
        let found = entries.len() - lost.len();
        let ghosts = index.as_ref().map_or(0, |i| i.len().saturating_sub(found));
        if index.is_some() && !lost.is_empty() {
            self.leave_out_directionless(name, &mut lost).await?;
        }
        let mut report = CheckReport {
            chunks: entries.len(),
            missing_keywords: known.iter().filter(|c| !indexed.contains(**c)).count(),
            missing_vectors: lost.len(),
            missing_documents: heads
                .iter()
                .filter(|d| d.chunks > 0 && !whole.contains(d.id.as_str()))
                .count(),
            ghosts: indexed.iter().filter(|c| !known.contains(c)).count() + ghosts,
            problems: Vec::new(),
            vectors_elsewhere: index.is_none() && found > 0,
        };
        if let Some(index) = index {
            let checked = tokio::task::spawn_blocking(move || index.check(SEARCHES)).await;
            let checked = checked.map_err(internal)?.map_err(internal)?;
            report.problems = checked.problems;
            if !checked.unreachable.is_empty() {
                let count = checked.unreachable.len();
                let problem = format!("{count} of {} vectors are not found", checked.searched);
                report.problems.push(problem);
            }
        }
        Ok(report)
    }

    /// Leaves out the chunks whose vectors have no direction, which their words alone find.
    async fn leave_out_directionless(
        &self,
        name: &str,
        numbers: &mut HashSet<u64>,
    ) -> Result<(), CallError> {
        let mut pieces = Pieces::since(self.store(), name, 0);
        while let Some(piece) = pieces.next().await? {
            for found in piece.iter().filter(|found| !has_direction(&found.vector)) {
                numbers.remove(&found.number);
            }
        }
        Ok(())
    }
}
