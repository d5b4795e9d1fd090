//! `/v1/models`: models and functions, which clients call alike.

use axum::Json;
use axum::extract::{Path, State};
use praxis_core::ErrorCode;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::state::ApiState;

/// Prefix of a function's name where a model's is wanted.
pub(crate) const FUNCTION_PREFIX: &str = "function:";

/// Functions first, then models.
pub(crate) async fn list(State(state): State<ApiState>) -> Json<Value> {
    Json(json!({ "object": "list", "data": all(&state) }))
}

/// One of them.
pub(crate) async fn retrieve(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    all(&state)
        .into_iter()
        .find(|m| m["id"] == id)
        .map(Json)
        .ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("no model or function `{id}`")))
}

fn all(state: &ApiState) -> Vec<Value> {
    let functions = state.library.list().into_iter().map(|f| {
        json!({
            "id": format!("{FUNCTION_PREFIX}{}", f.name),
            "object": "model",
            "created": 0,
            "owned_by": "application",
            "praxis": { "task": "function", "available": true, "description": f.description },
        })
    });
    let models = (state.models)().into_iter().map(|m| {
        json!({
            "id": m.id,
            "object": "model",
            "created": 0,
            "owned_by": m.owned_by,
            "praxis": { "task": m.task, "available": m.available },
        })
    });
    functions.chain(models).collect()
}
