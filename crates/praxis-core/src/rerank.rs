//! The port to rerankers: models that say how well documents answer a query. The vocabulary is that
//! of the `rerank` endpoints of Cohere and Jina.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// What to rank by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerankRequest {
    /// The question or search phrase.
    pub query: String,
    /// The texts to be ranked.
    pub documents: Vec<String>,
    /// How many of the best are wanted; all where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_n: Option<usize>,
}

/// How well one document fits the query.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Relevance {
    /// The document's place in the request.
    pub index: usize,
    /// Between 0 and 1. Scores of one model may be compared across queries, those of different
    /// models never.
    pub relevance_score: f32,
}

impl Relevance {
    /// The best `top_n` of documents with these scores, the best first; of equal ones the earlier
    /// first.
    pub fn best_first(scores: Vec<f32>, top_n: Option<usize>) -> Vec<Self> {
        let scored = scores.into_iter().enumerate();
        let mut ranked: Vec<Self> = scored
            .map(|(index, relevance_score)| Self {
                index,
                relevance_score,
            })
            .collect();
        ranked.sort_by(|a, b| b.relevance_score.total_cmp(&a.relevance_score));
        ranked.truncate(top_n.unwrap_or(usize::MAX));
        ranked
    }
}

/// A reranking model behind a name.
#[async_trait]
pub trait Reranker: Send + Sync {
    /// Identity of the model and its weights, e.g. `bge-reranker-v2-m3@1571fc98`.
    fn identity(&self) -> String;

    /// The best documents of the request, at most `top_n`, the best first. A document's score does
    /// not depend on the others. Pairs longer than the model reads are cut at their ends.
    async fn rerank(&self, request: RerankRequest) -> Result<Vec<Relevance>, ModelError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_ties_keep_their_order() {
        let ranked = |top_n| {
            let ranked = Relevance::best_first(vec![0.2, 0.9, 0.2, 0.5], top_n);
            ranked.iter().map(|one| one.index).collect::<Vec<_>>()
        };
        assert_eq!(ranked(None), [1, 3, 0, 2]);
        assert_eq!(ranked(Some(2)), [1, 3]);
        assert_eq!(ranked(Some(0)), [0; 0]);
        assert_eq!(ranked(Some(9)).len(), 4);
    }
}
