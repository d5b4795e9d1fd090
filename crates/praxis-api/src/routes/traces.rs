//! Traces of single calls.

use axum::Json;
use axum::extract::{Path, State};
use praxis_core::{CallError, ErrorCode};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::guard::Admitted;
use crate::state::ApiState;

/// The spans of one trace that the caller may see, oldest first.
pub(crate) async fn show(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let spans = state
        .store
        .spans_of(&id, &caller)
        .await
        .map_err(CallError::failure)?;
    if spans.is_empty() {
        return Err(ApiError::new(
            ErrorCode::NotFound,
            format!("no trace `{id}`"),
        ));
    }
    Ok(Json(json!({ "spans": spans })))
}
