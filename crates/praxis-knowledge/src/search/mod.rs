//! A search, from a question to a ranking: two lanes, a third of the graph where the base has one, fused, and moved by what came first where the
//! question is open. Passages and documents are ranked by the same lanes. What models add, before
//! (`question`) and after (`rerank`), is functions of their own over questions and rankings. Left out: texts,
//! relevance and spans (`retrieve`), and the learning of weights (`tune`).

pub(crate) mod assistant;
pub(crate) mod diversity;
pub(crate) mod expand;
pub(crate) mod feedback;
pub(crate) mod fusion;
pub(crate) mod lanes;
pub(crate) mod prompts;
pub(crate) mod question;
pub(crate) mod reading;
pub(crate) mod rerank;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use praxis_core::{CallError, ChunkId, DocumentId};
use praxis_store::Store;

use crate::analyze::{Terms, analyze};
use crate::config::{Fusion, SearchConfig};
use crate::graph::GraphHits;
use crate::ingest::indexed_text;
use crate::keyword::KeywordQuery;
use crate::knowledge::internal;
use crate::scope::Scope;
use feedback::{MODEL_PASSAGES, MODEL_WEIGHT, MOVING_PASSAGES};
use fusion::{Lanes, Ranked, fuse, joined, mix, sorted};
use lanes::{Found, Indexes, Question};

/// What a document counts for itself, beside its best chunk, where documents are ranked.
const DOCUMENT_SHARE: f32 = 0.65;

/// The most words of a question that is a name, and passages that hold what it names.
const NAME_WORDS: usize = 2;
const NAMED_PASSAGES: u64 = 10;

/// How many times as much keywords weigh then as vectors at most.
const NAME_LEAD: f32 = 9.0;

/// One search: the indexes that it asks, and how.
pub(crate) struct Search<'a> {
    pub indexes: &'a Indexes,
    pub store: &'a Store,
    pub settings: &'a SearchConfig,
    /// What each lane gives, see [`lanes::depth`].
    pub depth: usize,
    /// What may be found; nothing else is looked at.
    pub scope: &'a Scope,
    /// What the graph has for the question, and what it counts beside the other lanes.
    pub graph: Option<(&'a GraphHits, f32)>,
    /// Whether it learned from its first passages and some of them were gone from the store: then the rest lead it,
    /// away from what replaces them.
    pub met_gone: AtomicBool,
}

/// A ranking with what made it.
struct Ranking {
    /// The question as it was asked.
    asked: Question,
    /// Chunks by the question alone.
    before: Ranked<ChunkId>,
    /// What feedback made of the question and of the chunks, and the share that it has.
    after: Option<(Question, Ranked<ChunkId>, f32)>,
}

impl Ranking {
    fn chunks(self) -> Ranked<ChunkId> {
        match &self.after {
            None => self.before,
            Some((_, after, share)) => mix(&self.before, after, *share),
        }
    }
}

impl Search<'_> {
    /// Chunks, best first, for a question with its vector.
    ///
    /// # Errors
    /// An index or a store that fails.
    pub async fn chunks(
        &self,
        terms: &Terms,
        vector: Vec<f32>,
    ) -> Result<Ranked<ChunkId>, CallError> {
        Ok(self.rank(terms, vector).await?.chunks())
    }

    /// Documents, best first, each with its best chunk where one was found: its best chunk's score and
    /// its own, as whole-document BM25 and as the vector of its summary, fused.
    ///
    /// # Errors
    /// An index or a store that fails.
    pub async fn documents(
        &self,
        terms: &Terms,
        vector: Vec<f32>,
    ) -> Result<Vec<(DocumentId, f32, Option<ChunkId>)>, CallError> {
        let ranking = self.rank(terms, vector).await?;
        let before = self.join_documents(&ranking.before, &ranking.asked)?;
        let ranked = match &ranking.after {
            None => before,
            Some((moved, after, share)) => {
                let after = self.join_documents(&mix(&ranking.before, after, *share), moved)?;
                let after = &after[..after.len().min(self.depth)];
                let ids = after.iter().map(|(id, _)| id);
                let vectors = self.indexes.vectors.of_summaries(ids);
                let after = feedback::smoothed(after, |id| vectors.get(id).map(Vec::as_slice));
                mix(&before, &after, *share)
            }
        };
        let mut best: HashMap<DocumentId, ChunkId> = HashMap::new();
        for (chunk, _) in ranking.chunks() {
            if let Some(document) = self.indexes.vectors.document(&chunk) {
                best.entry(document.clone()).or_insert(chunk);
            }
        }
        Ok(ranked
            .into_iter()
            .map(|(id, score)| {
                let chunk = best.remove(&id);
                (id, score, chunk)
            })
            .collect())
    }

    async fn rank(&self, terms: &Terms, vector: Vec<f32>) -> Result<Ranking, CallError> {
        let keywords = KeywordQuery::of(terms);
        let asked = Question {
            of_documents: keywords.clone(),
            keywords,
            vector,
        };
        let found = self.lanes(&asked)?;
        let is_name = self.is_name(&asked.keywords)?;
        let mut weights = self.weights();
        if is_name {
            weights.vector = weights.vector.min(weights.keyword / NAME_LEAD);
        }
        let before = self.fuse(&found, weights, self.settings.fusion);
        if is_name {
            return Ok(Ranking {
                asked,
                before,
                after: None,
            });
        }
        // Openness is a matter of scores, so ranks cannot tell it.
        let openness = match self.settings.fusion {
            Fusion::Score => feedback::openness(&self.by_document(&before)),
            Fusion::Rank => {
                feedback::openness(&self.by_document(&self.fuse(&found, weights, Fusion::Score)))
            }
        };
        let share = self.settings.feedback * openness;
        if share <= 0.0 {
            return Ok(Ranking {
                asked,
                before,
                after: None,
            });
        }
        let moved = self.learn(&asked, &before).await?;
        let after = self.fuse(&self.lanes(&moved)?, weights, self.settings.fusion);
        let after = &after[..after.len().min(self.depth)];
        let vectors = self.indexes.vectors.of(after.iter().map(|(id, _)| id));
        let after = feedback::smoothed(after, |id| vectors.get(id).map(Vec::as_slice));
        Ok(Ranking {
            asked,
            before,
            after: Some((moved, after, share)),
        })
    }

    /// Whether a question is the name of something, such as a number of an order or a part: a word or two
    /// that few passages hold. What holds it comes first then, since a model that has never seen a name
    /// says nothing of its meaning, and passages near to that nothing must not displace it.
    pub fn is_name(&self, keywords: &KeywordQuery) -> Result<bool, CallError> {
        let words = keywords.words();
        if self.settings.keyword_weight <= 0.0 || !(1..=NAME_WORDS).contains(&words.len()) {
            return Ok(false);
        }
        for word in words {
            let known = self.scope.known_texts();
            let keywords = &self.indexes.keywords;
            let holding = keywords.holding(word, known).map_err(internal)?;
            if (1..=NAMED_PASSAGES).contains(&holding) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The question with the words and the direction of its first passages.
    async fn learn(
        &self,
        asked: &Question,
        before: &[(ChunkId, f32)],
    ) -> Result<Question, CallError> {
        let mut passages: Vec<(Terms, f32)> = Vec::new();
        for (id, score) in before.iter().take(MODEL_PASSAGES) {
            let found = self.store.chunk(id, &self.scope.clearance).await;
            let Some(found) = found.map_err(internal)? else {
                self.met_gone.store(true, Ordering::Relaxed);
                continue;
            };
            let text = indexed_text(&found.title, &found.chunk.headings, &found.chunk.text);
            passages.push((analyze(&text), *score));
        }
        let known = self.scope.known_texts();
        let frequency = |word: &str| self.indexes.keywords.frequency(word, known);
        let model = feedback::relevance_model(&passages, frequency).map_err(internal)?;
        let (mut keywords, mut of_documents) = (asked.keywords.clone(), asked.of_documents.clone());
        let weight = MODEL_WEIGHT * asked.keywords.weight();
        for (word, share) in model {
            keywords.add(&word, weight * share);
            of_documents.add(&word, weight * share);
        }
        let nearest: Vec<(Vec<f32>, f32)> = before
            .iter()
            .take(MOVING_PASSAGES)
            .filter_map(|(id, score)| Some((self.indexes.vectors.get(id)?, *score)))
            .collect();
        let nearest: Vec<(&[f32], f32)> = nearest.iter().map(|(v, s)| (&v[..], *s)).collect();
        Ok(Question {
            keywords,
            of_documents,
            vector: feedback::moved(&asked.vector, &nearest),
        })
    }

    fn lanes(&self, question: &Question) -> Result<Found, CallError> {
        let share = self.settings.document_weight;
        self.indexes.lanes(question, share, self.depth, self.scope)
    }

    fn weights(&self) -> Lanes {
        Lanes {
            keyword: self.settings.keyword_weight,
            vector: self.settings.vector_weight,
        }
    }

    /// What the lanes found as one ranking. A lane without weight adds nothing, not even its chunks.
    fn fuse(&self, found: &Found, weights: Lanes, fusion: Fusion) -> Ranked<ChunkId> {
        let lane = |hits, weight: f32| if weight > 0.0 { hits } else { &[][..] };
        let fused = fuse(
            lane(&found.keyword[..], weights.keyword),
            lane(&found.vector[..], weights.vector),
            weights,
            fusion,
        );
        match self.graph {
            None => fused,
            Some((hits, weight)) => {
                let share = weight / (weights.keyword + weights.vector + weight);
                joined(fused, &hits.chunks, share, fusion)
            }
        }
    }

    /// Each document by its best chunk.
    fn by_document(&self, chunks: &[(ChunkId, f32)]) -> Ranked<DocumentId> {
        let mut seen: HashSet<&DocumentId> = HashSet::new();
        chunks
            .iter()
            .filter_map(|(chunk, score)| Some((self.indexes.vectors.document(chunk)?, *score)))
            .filter(|(document, _)| seen.insert(document))
            .map(|(document, score)| (document.clone(), score))
            .collect()
    }

    /// Documents by their best chunk and by themselves.
    fn join_documents(
        &self,
        chunks: &[(ChunkId, f32)],
        question: &Question,
    ) -> Result<Ranked<DocumentId>, CallError> {
        let by_chunk = self.by_document(chunks);
        let weights = self.weights();
        let by_keyword = if weights.keyword > 0.0 {
            let mut hits = sorted(
                self.indexes
                    .documents_by_keyword(question, self.depth, self.scope)
                    .map_err(internal)?,
            );
            hits.truncate(self.depth);
            hits
        } else {
            Vec::new()
        };
        let by_vector = if weights.vector > 0.0 {
            let (indexes, depth) = (self.indexes, self.depth);
            indexes.documents_by_vector(question, depth, self.scope)?
        } else {
            Vec::new()
        };
        let own = fuse(&by_keyword, &by_vector, weights, self.settings.fusion);
        if self.settings.document_weight <= 0.0 || own.is_empty() {
            return Ok(by_chunk);
        }
        Ok(mix(&by_chunk, &own, DOCUMENT_SHARE))
    }
}
