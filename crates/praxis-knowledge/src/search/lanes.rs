//! The lanes of a search: what keywords find and what vectors find, in chunks and in whole documents. Left
//! out: how lanes become one ranking (`fusion`).
//!
//! A small chunk lacks words that its document has, and that the document is about the question is evidence
//! of its own (Callan 1994): so whole-document BM25 has a share in the keyword lane of chunks. It has none in
//! the vector lane, where the vector of a summary told nothing that the chunk's had not
//! (`docs/retrieval.md`).

use std::collections::HashMap;

use praxis_core::{CallError, ChunkId, DocumentId};

use super::fusion::{Ranked, scale, sorted};
use crate::keyword::{KeywordIndex, KeywordQuery};
use crate::knowledge::internal;
use crate::scope::Scope;
use crate::vectors::VectorIndex;

/// Chunks that a lane gives to the fusion, where no more results are wanted.
pub(crate) const DEPTH: usize = 60;

/// The most that a lane gives, however many are wanted.
const MOST: usize = 1000;

/// Chunks that the keyword lane looks at before their documents are counted in, for each that it gives.
const LOOK: usize = 2;

/// Documents that the keyword lane ranks, at least.
const DOCUMENTS: usize = 200;

/// What each lane gives for so many results.
pub(crate) fn depth(limit: usize) -> usize {
    DEPTH.max(limit.min(MOST))
}

/// The indexes of a base.
pub(crate) struct Indexes {
    /// Of chunks.
    pub keywords: KeywordIndex,
    /// Of chunks, and of the documents' summaries.
    pub vectors: VectorIndex,
    /// Of whole documents.
    pub document_keywords: KeywordIndex,
}

/// A question as the lanes take it.
pub(crate) struct Question {
    /// For the index of chunks.
    pub keywords: KeywordQuery,
    /// For the index of documents, which feedback leaves alone.
    pub of_documents: KeywordQuery,
    /// Of unit length.
    pub vector: Vec<f32>,
}

/// What the lanes found, best first.
pub(crate) struct Found {
    pub keyword: Ranked<ChunkId>,
    pub vector: Ranked<ChunkId>,
}

impl Indexes {
    /// The `depth` best chunks of a scope by each lane; `share` is what a chunk's document counts in the keyword
    /// lane.
    pub fn lanes(
        &self,
        question: &Question,
        share: f32,
        depth: usize,
        scope: &Scope,
    ) -> Result<Found, CallError> {
        let by_document = if share > 0.0 {
            self.documents_by_keyword(question, depth, scope)
                .map_err(internal)?
        } else {
            HashMap::new()
        };
        let chunks: Ranked<ChunkId> = self
            .keywords
            .search(
                &question.keywords,
                LOOK * depth,
                scope.keywords(),
                scope.known_texts(),
            )
            .map_err(internal)?
            .into_iter()
            .map(|(id, score)| (ChunkId::from_string(id), score))
            .collect();
        let scaled = scale(&chunks, 0.0);
        let keyword = chunks.into_iter().zip(scaled).map(|((id, _), score)| {
            let document = self.vectors.document(&id).and_then(|d| by_document.get(d));
            let score = score * (1.0 - share) + document.copied().unwrap_or(0.0) * share;
            (id, score)
        });
        Ok(Found {
            keyword: first(sorted(keyword), depth),
            vector: self
                .vectors
                .search(&question.vector, depth, scope.chunks())
                .map_err(internal)?,
        })
    }

    /// BM25 of whole documents of a scope, the best being 1.
    pub fn documents_by_keyword(
        &self,
        question: &Question,
        depth: usize,
        scope: &Scope,
    ) -> tantivy::Result<HashMap<DocumentId, f32>> {
        let hits = self.document_keywords.search(
            &question.of_documents,
            DOCUMENTS.max(depth),
            scope.document_keywords(),
            scope.known_document_texts(),
        )?;
        let scaled = scale(&hits, 0.0);
        Ok(hits
            .into_iter()
            .zip(scaled)
            .map(|((id, _), score)| (DocumentId::from_string(id), score))
            .collect())
    }

    /// The `depth` documents of a scope whose summaries are nearest to the question, best first.
    pub fn documents_by_vector(
        &self,
        question: &Question,
        depth: usize,
        scope: &Scope,
    ) -> Result<Ranked<DocumentId>, CallError> {
        let found = self
            .vectors
            .search_documents(&question.vector, depth, scope.documents())
            .map_err(internal)?;
        Ok(sorted(found))
    }
}

fn first<Id>(mut ranked: Ranked<Id>, depth: usize) -> Ranked<Id> {
    ranked.truncate(depth);
    ranked
}
