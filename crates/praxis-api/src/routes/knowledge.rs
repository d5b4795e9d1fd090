//! Documents, passages and graphs, for consoles and for who follows a citation.

use std::ops::RangeInclusive;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{self, Path, State};
use axum::response::{IntoResponse, Response};
use praxis_core::{
    ChunkId, ErrorCode, Filter, Message, Query, RerankOption, Retriever, SearchOptions,
};
use praxis_knowledge::Excerpt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::paging::ListParams;
use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying};
use crate::state::ApiState;

/// Characters shown before and after a passage.
const AROUND: usize = 600;

/// Passages of a search where the request names no number.
pub(crate) const DEFAULT_LIMIT: usize = 10;

/// The most passages of one search.
pub(crate) const MAX_LIMIT: usize = 100;

/// Triples, or entities, of a graph where the request names no number, and at most.
pub(crate) const DEFAULT_TRIPLES: usize = 30;
pub(crate) const MAX_TRIPLES: usize = 1000;

/// Triples of the way from one entity to another at most, where the request names no number.
pub(crate) const DEFAULT_DEPTH: usize = 4;

/// How many documents a list may give, and gives.
pub(crate) const DOCUMENTS: (RangeInclusive<usize>, usize) = (1..=1000, 100);

/// The bases that the caller may know of, each with its first documents that the caller may read, so many in all; or
/// one base, with those after a document.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: ListParams,
) -> Result<Json<Value>, ApiError> {
    let page = params.page(DOCUMENTS)?;
    let (base, after) = (params.text("base"), page.after.as_deref());
    if base.is_none() && after.is_some() {
        let message = "`after` needs `base`, whose documents are meant";
        return Err(ApiError::invalid("base", message));
    }
    let listings = state
        .knowledge
        .list(base, after, page.limit, &caller.clearance)
        .await?;
    let bases = listings.into_iter().map(|listing| {
        let documents = listing.documents;
        json!({
            "base": listing.base,
            "counts": listing.counts,
            "last_uri": documents.items.last().map(|document| &document.uri),
            "has_more": documents.has_more,
            "documents": documents.items,
        })
    });
    let bases: Vec<Value> = bases.collect();
    Ok(Json(json!({ "bases": bases })))
}

/// A passage in its surroundings.
pub(crate) async fn passage(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(chunk): Path<String>,
) -> Result<Json<Excerpt>, ApiError> {
    Ok(Json(
        state
            .knowledge
            .excerpt(&ChunkId::from_string(chunk), AROUND, &caller.clearance)
            .await?,
    ))
}

/// A question to a graph.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphQuery {
    /// A name; without one, the most frequent entities are shown.
    entity: Option<String>,
    /// Another name: the shortest way there is shown.
    to: Option<String>,
    depth: Option<usize>,
    limit: Option<usize>,
}

/// What the graph of a base says of an entity, or the way from one to another, of documents that the caller
/// may read.
pub(crate) async fn graph(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(base): Path<String>,
    query: Result<extract::Query<GraphQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let query = query
        .map_err(|e| ApiError::new(ErrorCode::InvalidRequest, e.body_text()))?
        .0;
    let limit = query.limit.unwrap_or(DEFAULT_TRIPLES);
    if !(1..=MAX_TRIPLES).contains(&limit) {
        let message = format!("`limit` must be between 1 and {MAX_TRIPLES}");
        return Err(ApiError::invalid("limit", message));
    }
    let (knowledge, clearance) = (&state.knowledge, &caller.clearance);
    Ok(match (query.entity, query.to) {
        (Some(from), Some(to)) => {
            let depth = query.depth.unwrap_or(DEFAULT_DEPTH);
            let path = knowledge.graph_path(&base, (&from, &to), depth, clearance);
            Json(json!({ "base": base, "path": path.await? })).into_response()
        }
        (None, Some(_)) => {
            return Err(ApiError::invalid(
                "entity",
                "`to` needs `entity`, from where",
            ));
        }
        (entity, None) => {
            let answer = knowledge.graph(&base, entity.as_deref(), limit, clearance);
            Json(json!({ "base": base, "graph": answer.await? })).into_response()
        }
    })
}

/// A search.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KnowledgeSearch")]
pub(crate) struct Search {
    query: String,
    limit: Option<usize>,
    #[serde(default)]
    level: Level,
    /// The conversation before the question, oldest first.
    #[serde(default)]
    history: Vec<Message>,
    model: Option<String>,
    rewrite: Option<bool>,
    queries: Option<usize>,
    hyde: Option<bool>,
    rerank: Option<RerankOption>,
    /// Which documents count; OpenAI's name for it.
    #[serde(alias = "filter")]
    filters: Option<Filter>,
}

/// What a search ranks.
#[derive(Clone, Copy, Default, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SearchLevel")]
enum Level {
    #[default]
    Passage,
    Document,
}

/// Passages or documents of one base, best first, with their scores and the base's threshold.
pub(crate) async fn search(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    Path(base): Path<String>,
    JsonBody(search): JsonBody<Search>,
) -> Result<Response, ApiError> {
    let limit = search.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let message = format!("`limit` must be between 1 and {MAX_LIMIT}");
        return Err(ApiError::invalid("limit", message));
    }
    let cx = state.context(caller, paying);
    let _guard = cx.cancel().clone().drop_guard();
    let knowledge = &state.knowledge;
    let query = Query {
        text: search.query,
        limit,
        history: search.history,
        filter: search.filters,
        options: SearchOptions {
            model: search.model,
            rewrite: search.rewrite,
            queries: search.queries,
            hyde: search.hyde,
            rerank: search.rerank,
        },
    };
    Ok(match search.level {
        Level::Passage => Json(knowledge.search(&base, &query, &cx).await?).into_response(),
        Level::Document => {
            Json(knowledge.search_documents(&base, &query, &cx).await?).into_response()
        }
    })
}
