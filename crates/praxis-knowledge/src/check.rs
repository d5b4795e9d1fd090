//! Whether the indexes of a base hold exactly what the store does, and whether what they hold is found.

use std::collections::HashSet;

use praxis_core::{CallError, ChunkId, Clearance};
use praxis_vectors::has_direction;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::ingest::{is_outdated, patiently};
use crate::keyword::KeywordIndex;
use crate::knowledge::{Knowledge, Maker, Snapshot, internal};
use crate::vectors::{Pieces, VectorIndex, VectorKind};

/// Vectors of each index that are searched for, chosen at random.
const SEARCHES: usize = 1000;

/// Times that a base is looked at whose documents go meanwhile, as clients remove files of a vector store.
const LOOKS: usize = 3;

/// Whether a base's indexes hold exactly the chunks and documents of the store.
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
    /// Documents that the vector index of documents cannot find, but for those that have no vector, or one without
    /// a direction.
    pub missing_document_vectors: usize,
    /// Entries of the indexes without a chunk or a document.
    pub ghosts: usize,
    /// What is wrong with the files of the indexes, and vectors in them that no search finds.
    pub problems: Vec<String>,
    /// Documents that are as an older version of Praxis read them, which the next ingest reads again; none of a vector
    /// store, whose files are read once.
    pub outdated: usize,
    /// Whether a vector index could not be looked at, because another process has it open.
    pub vectors_elsewhere: bool,
}

impl CheckReport {
    /// Whether nothing that was looked at is missing, too much or wrong.
    pub fn is_clean(&self) -> bool {
        let missing_chunks = self.missing_keywords + self.missing_vectors;
        let missing_documents = self.missing_documents + self.missing_document_vectors;
        missing_chunks + missing_documents + self.ghosts == 0 && self.problems.is_empty()
    }
}

impl std::fmt::Display for CheckReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} chunks, {} missing in keywords, {} missing in vectors; documents: {} missing in keywords, \
             {} missing in vectors; {} ghosts",
            self.chunks,
            self.missing_keywords,
            self.missing_vectors,
            self.missing_documents,
            self.missing_document_vectors,
            self.ghosts
        )?;
        for problem in &self.problems {
            write!(f, "; {problem}")?;
        }
        if self.outdated > 0 {
            write!(
                f,
                "; {} documents are as an older version of Praxis read them: `praxis ingest` reads them again",
                self.outdated
            )?;
        }
        if self.vectors_elsewhere {
            f.write_str("; vectors not checked: another process has their index open")?;
        }
        Ok(())
    }
}

impl Knowledge {
    /// Compares the indexes with the store, chunk by chunk and document by document, and has the vector indexes
    /// check themselves: their checksums, that each id leads to its vector, and that a search finds vectors
    /// chosen at random. The indexes are brought up to the store before. Whoever writes to the base, as an ingest
    /// does every few seconds, is waited for, and waits for the end of this.
    ///
    /// # Errors
    /// An unknown base, or a disk that fails.
    pub async fn check(&self, name: &str) -> Result<CheckReport, CallError> {
        self.check_telling(name, &|| {}).await
    }

    /// The same; calls `waiting` where it has to wait for more than a moment.
    ///
    /// # Errors
    /// Those of [`Knowledge::check`].
    pub async fn check_telling(
        &self,
        name: &str,
        waiting: &(dyn Fn() + Sync),
    ) -> Result<CheckReport, CallError> {
        self.base(name)?;
        let cancel = CancellationToken::new();
        // What is written to the store and not to the indexes yet is under way, and not missing.
        let _lock = patiently(self.lock(name, &cancel), waiting).await?;
        let mut looks = 1..LOOKS;
        loop {
            let Some(snapshot) = self.refresh_locked(name).await? else {
                return Ok(CheckReport::default());
            };
            let report = self.compared(name, &snapshot).await?;
            let stored = self.store().base(name).await.map_err(internal)?;
            let is_of_now = stored.is_some_and(|now| now.generation == snapshot.generation);
            if report.is_clean() || is_of_now || looks.next().is_none() {
                return Ok(report);
            }
        }
    }

    /// Compares the indexes of a snapshot with the store.
    async fn compared(&self, name: &str, snapshot: &Snapshot) -> Result<CheckReport, CallError> {
        let entries = self.store().chunk_entries(name).await.map_err(internal)?;
        let indexes = &snapshot.indexes;
        let of_keywords = self.keeper(name)?.keyword_problems().await?;
        let ids_of = |index: &KeywordIndex| match index.ids() {
            Ok(ids) => Ok(ids),
            // Nothing is found in what cannot be read.
            Err(_) if !of_keywords.is_empty() => Ok(Vec::new()),
            Err(error) => Err(internal(error)),
        };
        let ids = ids_of(&indexes.keywords)?;
        let indexed: HashSet<ChunkId> = ids.into_iter().map(ChunkId::from_string).collect();
        let known: HashSet<&ChunkId> = entries.iter().map(|e| &e.chunk).collect();
        let heads = self.documents(name, &Clearance::Full).await?;
        let is_ingested = matches!(self.base(name)?.maker, Maker::Application);
        let outdated = heads.iter().filter(|d| is_outdated(&d.settings)).count();
        let outdated = if is_ingested { outdated } else { 0 };
        let ids = ids_of(&indexes.document_keywords)?;
        let whole: HashSet<String> = ids.into_iter().collect();
        let vectors = &indexes.vectors;
        let numbers = entries.iter().map(|e| e.number).collect();
        let of_chunks = self.vectors_of(name, vectors, VectorKind::Chunks, numbers);
        let of_chunks = of_chunks.await?;
        let generations = entries.iter().map(|e| e.generation).collect();
        let of_documents = self.vectors_of(name, vectors, VectorKind::Documents, generations);
        let of_documents = of_documents.await?;
        let ghosts = indexed.iter().filter(|c| !known.contains(c)).count();
        Ok(CheckReport {
            chunks: entries.len(),
            missing_keywords: known.iter().filter(|c| !indexed.contains(**c)).count(),
            missing_vectors: of_chunks.missing,
            missing_documents: heads
                .iter()
                .filter(|d| d.chunks > 0 && !whole.contains(d.id.as_str()))
                .count(),
            missing_document_vectors: of_documents.missing,
            ghosts: ghosts + of_chunks.ghosts + of_documents.ghosts,
            outdated,
            problems: [of_keywords, of_chunks.problems, of_documents.problems].concat(),
            vectors_elsewhere: of_chunks.elsewhere || of_documents.elsewhere,
        })
    }

    /// Compares vectors with those that the store has by these ids.
    async fn vectors_of(
        &self,
        name: &str,
        vectors: &VectorIndex,
        kind: VectorKind,
        ids: HashSet<u64>,
    ) -> Result<VectorReport, CallError> {
        let held = ids.iter().filter(|id| vectors.contains(kind, **id)).count();
        let mut report = VectorReport::default();
        if held < ids.len() {
            report.missing = self.missing(name, vectors, kind, &ids).await?;
        }
        let Some(index) = vectors.on_disk(kind) else {
            report.elsewhere = held > 0;
            return Ok(report);
        };
        report.ghosts = index.len().saturating_sub(held);
        let checked = tokio::task::spawn_blocking(move || index.check(SEARCHES)).await;
        let checked = checked.map_err(internal)?.map_err(internal)?;
        report.problems = checked.problems;
        if !checked.unreachable.is_empty() {
            let count = checked.unreachable.len();
            let problem = format!("{count} of {} vectors are not found", checked.searched);
            report.problems.push(problem);
        }
        if kind == VectorKind::Documents {
            for problem in &mut report.problems {
                problem.insert_str(0, "documents: ");
            }
        }
        Ok(report)
    }

    /// How many vectors of the store cannot be found, of those with these ids. Texts whose vectors have no direction
    /// are found by their words alone, and not missing.
    async fn missing(
        &self,
        name: &str,
        vectors: &VectorIndex,
        kind: VectorKind,
        ids: &HashSet<u64>,
    ) -> Result<usize, CallError> {
        let mut missing = 0;
        let mut pieces = Pieces::since(self.store(), name, kind, 0);
        while let Some(piece) = pieces.next().await? {
            let lost = |id: &u64| ids.contains(id) && !vectors.contains(kind, *id);
            let lost = piece
                .iter()
                .filter(|(id, vector)| lost(id) && has_direction(vector));
            missing += lost.count();
        }
        Ok(missing)
    }
}

/// What is wrong with the vectors of one kind.
#[derive(Default)]
struct VectorReport {
    missing: usize,
    ghosts: usize,
    problems: Vec<String>,
    elsewhere: bool,
}
