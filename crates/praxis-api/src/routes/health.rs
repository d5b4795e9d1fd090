//! For machines that watch this one.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::state::ApiState;

/// That the process answers, and which models it could call.
pub(crate) async fn healthz(State(state): State<ApiState>) -> Json<Value> {
    let models = (state.models)();
    let missing: Vec<_> = models
        .iter()
        .filter(|m| m.declared && !m.available)
        .map(|m| &m.id)
        .collect();
    Json(json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "functions": state.library.list().len(),
        "models": models.len() - missing.len(),
        "missing_models": missing,
    }))
}

/// That the store answers, too: whether requests should be sent here.
pub(crate) async fn readyz(State(state): State<ApiState>) -> Response {
    match state.store.key_by_hash("").await {
        Ok(_) => Json(json!({ "status": "ready" })).into_response(),
        Err(error) => {
            tracing::error!(%error, "the store does not answer");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            (status, Json(json!({ "status": "unavailable" }))).into_response()
        }
    }
}

/// Prometheus text format.
pub(crate) async fn metrics(State(state): State<ApiState>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        state.metrics.render(),
    )
}
