//! For machines that watch this one.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
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

/// Prometheus text format.
pub(crate) async fn metrics(State(state): State<ApiState>) -> impl IntoResponse {
    state.metrics.run_upkeep();
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        state.metrics.render(),
    )
}
