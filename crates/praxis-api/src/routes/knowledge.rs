//! Documents and passages, for consoles and for who follows a citation.

use axum::Json;
use axum::extract::{Path, State};
use praxis_core::ChunkId;
use praxis_knowledge::Excerpt;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::state::ApiState;

/// Characters shown before and after a passage.
const AROUND: usize = 600;

/// All bases with their documents.
pub(crate) async fn list(State(state): State<ApiState>) -> Result<Json<Value>, ApiError> {
    let mut bases = Vec::new();
    for name in state.knowledge.names() {
        bases.push(json!({ "base": name, "documents": state.knowledge.documents(name).await? }));
    }
    Ok(Json(json!({ "bases": bases })))
}

/// A passage in its surroundings.
pub(crate) async fn passage(
    State(state): State<ApiState>,
    Path(chunk): Path<String>,
) -> Result<Json<Excerpt>, ApiError> {
    Ok(Json(
        state
            .knowledge
            .excerpt(&ChunkId::from_string(chunk), AROUND)
            .await?,
    ))
}
