//! Searching a vector store, with one question or several. Left out: the search itself, which is that of any
//! base.

use std::collections::HashMap;

use praxis_core::filter::unknown_key_of;
use praxis_core::{
    CallContext, CallError, ChunkId, Filter, Passage, Query, Retrieval, Retriever, SearchOptions,
};
use serde_json::{Map, Value};

use super::VectorStores;
use super::attributes::file_of;
use super::known::{Reduced, without};
use crate::knowledge::internal;

/// How much ranks further down count where several questions are asked (reciprocal rank fusion).
const RANK: f32 = 60.0;

/// Keys of a filter that no file has, at most: as many as it can have.
const MOST_KEYS: usize = praxis_core::filter::MAX_VALUES;

/// A search of a vector store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoreQuery {
    /// The questions.
    pub queries: Vec<String>,
    /// The most hits.
    pub limit: usize,
    /// Which files count.
    pub filter: Option<Filter>,
    /// What models add.
    pub options: SearchOptions,
    /// Relevance below which nothing is a hit, in 0..=1.
    pub threshold: f32,
}

/// A passage that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreHit {
    /// Its file.
    pub file: String,
    /// What the file is called.
    pub filename: String,
    /// The file's attributes.
    pub attributes: Map<String, Value>,
    /// Estimated probability that the passage bears on the question, in 0..=1.
    pub score: f32,
    /// The passage.
    pub text: String,
}

/// What a file is called, and its attributes, if it is there.
type Known = Option<(String, Map<String, Value>)>;

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StoreHits {
    /// The questions as they were searched for.
    pub queries: Vec<String>,
    /// Hits, best first.
    pub hits: Vec<StoreHit>,
}

impl VectorStores {
    /// The best passages of a vector store.
    ///
    /// # Errors
    /// `not_found`, one that has expired, a filter that does not fit, or those of a base's search.
    pub async fn search(
        &self,
        store: &str,
        query: StoreQuery,
        cx: &CallContext,
    ) -> Result<StoreHits, CallError> {
        let store = self.live(store, &cx.caller().clearance).await?;
        let mut found = StoreHits::default();
        let known = self.store().base(&store.id).await.map_err(internal)?;
        let mut rankings = Vec::with_capacity(query.queries.len());
        for text in &query.queries {
            let retrieval = match known {
                Some(_) => self.ask(&store.id, text, &query, cx).await?,
                None => Retrieval::default(),
            };
            found
                .queries
                .push(retrieval.question.unwrap_or_else(|| text.clone()));
            rankings.push(retrieval.passages);
        }
        let mut files: HashMap<String, Known> = HashMap::new();
        for passage in fused(rankings) {
            if found.hits.len() == query.limit {
                break;
            }
            if passage.relevance < query.threshold {
                continue;
            }
            let id = file_of(&passage.uri);
            let known = match files.get(id) {
                Some(known) => known.clone(),
                None => {
                    let known = self.known(&store.id, id).await?;
                    files.insert(id.to_owned(), known.clone());
                    known
                }
            };
            // One that was taken out meanwhile is passed over.
            if let Some((filename, attributes)) = known {
                found.hits.push(StoreHit {
                    file: id.to_owned(),
                    filename,
                    attributes,
                    score: passage.relevance.clamp(0.0, 1.0),
                    text: passage.text,
                });
            }
        }
        Ok(found)
    }

    /// One question to the base. Keys that no file has are no mistake here.
    async fn ask(
        &self,
        store: &str,
        text: &str,
        query: &StoreQuery,
        cx: &CallContext,
    ) -> Result<Retrieval, CallError> {
        let mut filter = query.filter.clone();
        for _ in 0..MOST_KEYS {
            let asked = Query {
                text: text.to_owned(),
                limit: query.limit,
                history: Vec::new(),
                filter: filter.clone(),
                options: query.options.clone(),
            };
            let error = match self.knowledge.search(store, &asked, cx).await {
                Ok(retrieval) => return Ok(retrieval),
                Err(error) => error,
            };
            let (Some(key), Some(whole)) = (unknown_key_of(&error), filter) else {
                return Err(error);
            };
            filter = match without(whole, key) {
                Reduced::All => None,
                Reduced::None => return Ok(Retrieval::default()),
                Reduced::Rest(rest) => Some(rest),
            };
        }
        Ok(Retrieval::default())
    }

    /// What a file is called, and its attributes.
    async fn known(&self, store: &str, file: &str) -> Result<Known, CallError> {
        let member = self.store().member(store, file).await.map_err(internal)?;
        let Some(member) = member else {
            return Ok(None);
        };
        let clearance = praxis_core::Clearance::Full;
        let now = (self.clock)();
        let found = self
            .store()
            .file(file, &clearance, now)
            .await
            .map_err(internal)?;
        Ok(found.map(|found| (found.filename, member.attributes)))
    }
}

/// Rankings as one: a passage counts by its ranks, and is as relevant as to the question that it fits best.
fn fused(mut rankings: Vec<Vec<Passage>>) -> Vec<Passage> {
    if rankings.len() < 2 {
        return rankings.pop().unwrap_or_default();
    }
    let mut scores: HashMap<ChunkId, f32> = HashMap::new();
    let mut passages: Vec<Passage> = Vec::new();
    let mut places: HashMap<ChunkId, usize> = HashMap::new();
    for ranking in rankings {
        for (passage, rank) in ranking.into_iter().zip(0u16..) {
            *scores.entry(passage.chunk.clone()).or_default() += 1.0 / (RANK + f32::from(rank));
            match places.get(&passage.chunk) {
                Some(place) => {
                    let known = &mut passages[*place];
                    known.relevance = known.relevance.max(passage.relevance);
                }
                None => {
                    places.insert(passage.chunk.clone(), passages.len());
                    passages.push(passage);
                }
            }
        }
    }
    let score = |passage: &Passage| scores.get(&passage.chunk).copied().unwrap_or_default();
    passages.sort_by(|a, b| score(b).total_cmp(&score(a)));
    passages
}
