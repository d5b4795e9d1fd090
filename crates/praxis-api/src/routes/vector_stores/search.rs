//! `/v1/vector_stores/{store}/search`: passages for a question in plain words.

use axum::Json;
use axum::extract::{Path, State};
use praxis_core::{Filter, RerankOption, SearchOptions};
use praxis_knowledge::{StoreHit, StoreQuery};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying};
use crate::state::ApiState;

/// Hits of a search where the request names no number.
pub(crate) const USUAL: usize = 10;

/// The most hits of one search.
pub(crate) const MOST: usize = 50;

/// Questions of one search, at most.
pub(crate) const MOST_QUERIES: usize = 16;

/// Other wordings that `rewrite_query` searches for too.
const WORDINGS: usize = 2;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VectorStoreSearch")]
pub(crate) struct Search {
    query: Queries,
    #[serde(default)]
    rewrite_query: Option<bool>,
    #[serde(default)]
    max_num_results: Option<usize>,
    #[serde(default)]
    filters: Option<Filter>,
    #[serde(default)]
    ranking_options: Option<Ranking>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(untagged, expecting = "must be a text or a list of texts")]
#[schemars(rename = "VectorStoreQuery")]
enum Queries {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VectorStoreRanking")]
struct Ranking {
    #[serde(default)]
    ranker: Ranker,
    #[serde(default)]
    score_threshold: Option<f32>,
}

/// Whether results are reranked, as the base has it; vector stores have no reranker of their own.
#[derive(Default, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "VectorStoreRanker")]
enum Ranker {
    #[serde(rename = "none")]
    Off,
    #[default]
    #[serde(rename = "auto", alias = "default-2024-11-15")]
    Usual,
}

impl Search {
    pub(crate) fn query(self) -> Result<StoreQuery, ApiError> {
        let limit = self.max_num_results.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            let message = format!("`max_num_results` must be between 1 and {MOST}");
            return Err(ApiError::invalid("max_num_results", message));
        }
        let queries = match self.query {
            Queries::One(query) => vec![query],
            Queries::Several(queries) => queries,
        };
        if queries.is_empty() || queries.len() > MOST_QUERIES {
            let message = format!("`query` is a text, or 1 to {MOST_QUERIES} of them");
            return Err(ApiError::invalid("query", message));
        }
        if queries.iter().any(|query| query.trim().is_empty()) {
            return Err(ApiError::invalid("query", "`query` is empty"));
        }
        let mut options = SearchOptions::default();
        if self.rewrite_query == Some(true) {
            options.queries = Some(WORDINGS);
        }
        let mut threshold = 0.0;
        if let Some(ranking) = self.ranking_options {
            if let Ranker::Off = ranking.ranker {
                options.rerank = Some(RerankOption::Switch(false));
            }
            threshold = ranking.score_threshold.unwrap_or(0.0);
        }
        if !(0.0..=1.0).contains(&threshold) {
            let message = "`score_threshold` must be between 0 and 1";
            return Err(ApiError::invalid(
                "ranking_options.score_threshold",
                message,
            ));
        }
        Ok(StoreQuery {
            queries,
            limit,
            filter: self.filters,
            options,
            threshold,
        })
    }
}

/// The best passages.
pub(crate) async fn search(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    Path(store): Path<String>,
    JsonBody(body): JsonBody<Search>,
) -> Result<Json<Value>, ApiError> {
    let query = body.query()?;
    let cx = state.context(caller, paying);
    let _guard = cx.cancel().clone().drop_guard();
    let found = state.vector_stores.search(&store, query, &cx).await?;
    Ok(Json(json!({
        "object": "vector_store.search_results.page",
        "search_query": found.queries,
        "data": found.hits.iter().map(shape).collect::<Vec<_>>(),
        "has_more": false,
        "next_page": null,
    })))
}

fn shape(hit: &StoreHit) -> Value {
    json!({
        "file_id": hit.file,
        "filename": hit.filename,
        "score": hit.score,
        "attributes": hit.attributes,
        "content": [{ "type": "text", "text": hit.text }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(body: Value) -> Result<StoreQuery, ApiError> {
        serde_json::from_value::<Search>(body).unwrap().query()
    }

    #[test]
    fn a_search_is_as_openai_has_it() {
        let plain = query(json!({ "query": "cats" })).unwrap();
        assert_eq!(
            (plain.queries.len(), plain.limit, plain.threshold),
            (1, 10, 0.0)
        );
        assert_eq!(plain.options, SearchOptions::default());
        let full = query(json!({
            "query": ["cats", "dogs"],
            "max_num_results": 50,
            "rewrite_query": true,
            "filters": { "type": "eq", "key": "year", "value": 2026 },
            "ranking_options": { "ranker": "none", "score_threshold": 0.5 },
        }))
        .unwrap();
        assert_eq!(
            (full.queries.len(), full.limit, full.threshold),
            (2, 50, 0.5)
        );
        assert_eq!(full.options.queries, Some(WORDINGS));
        assert_eq!(full.options.rerank, Some(RerankOption::Switch(false)));
        assert!(full.filter.is_some());
        let ranked = json!({ "query": "x", "ranking_options": { "ranker": "default-2024-11-15" } });
        assert_eq!(query(ranked).unwrap().options.rerank, None);
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        for wrong in [
            json!({ "query": "x", "max_num_results": 0 }),
            json!({ "query": "x", "max_num_results": 51 }),
            json!({ "query": [] }),
            json!({ "query": " " }),
            json!({ "query": ["x", ""] }),
            json!({ "query": "x", "ranking_options": { "score_threshold": 1.5 } }),
        ] {
            assert!(query(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
