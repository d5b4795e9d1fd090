//! `/praxis/v1/traces`: what calls did, as a list and each with its steps and what was said of it.

use axum::Json;
use axum::extract::{Path, State};
use praxis_core::trace::SpanKind;
use praxis_core::{CallError, ErrorCode};
use praxis_store::{TraceEnd, TraceFilter};
use serde_json::{Value, json};

use super::feedback::thumb;
use super::paging::{ListParams, SHORT, listed};
use crate::error::ApiError;
use crate::guard::Admitted;
use crate::state::ApiState;

/// A page of the traces that the caller may see.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: ListParams,
) -> Result<Json<Value>, ApiError> {
    let filter = filter(&params)?;
    let page = params.page(SHORT)?;
    let found = state.store.trace_page(&filter, &page, &caller).await;
    let found = found.map_err(CallError::failure)?;
    Ok(Json(listed(found, |head| json!(head))))
}

fn filter(params: &ListParams) -> Result<TraceFilter, ApiError> {
    let text = |name| params.text(name).map(str::to_owned);
    let time = |name: &str| {
        let time = params.text(name).map(str::parse::<i64>).transpose();
        time.map_err(|_| {
            let message = format!("`{name}` must be a number of milliseconds since 1970");
            ApiError::invalid(name, message)
        })
    };
    let kinds = SpanKind::ALL.map(SpanKind::as_str);
    let ends = TraceEnd::ALL.map(TraceEnd::as_str);
    Ok(TraceFilter {
        name: text("name"),
        kind: one_of(params, "kind", SpanKind::parse, kinds)?,
        end: one_of(params, "status", TraceEnd::parse, ends)?,
        key: text("key"),
        since_ms: time("since_ms")?,
        before_ms: time("before_ms")?,
        thumb: thumb(params)?,
    })
}

/// What a parameter names of a closed list.
fn one_of<T, const N: usize>(
    params: &ListParams,
    name: &str,
    parse: fn(&str) -> Option<T>,
    words: [&str; N],
) -> Result<Option<T>, ApiError> {
    let Some(word) = params.text(name) else {
        return Ok(None);
    };
    parse(word).map(Some).ok_or_else(|| {
        let message = format!("`{name}` must be one of `{}`", words.join("`, `"));
        ApiError::invalid(name, message)
    })
}

/// The spans of one trace that the caller may see, oldest first, and what was said of it.
pub(crate) async fn show(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let spans = state.store.spans_of(&id, &caller).await;
    let spans = spans.map_err(CallError::failure)?;
    let Some(first) = spans.first() else {
        return Err(ApiError::new(
            ErrorCode::NotFound,
            format!("no trace `{id}`"),
        ));
    };
    let feedback = state.store.feedback_of(&first.trace_id).await;
    let feedback = feedback.map_err(CallError::failure)?;
    Ok(Json(json!({ "spans": spans, "feedback": feedback })))
}
