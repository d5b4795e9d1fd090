//! `/v1/batches` (OpenAI API reference, "Batch"): made, listed, called off. Handlers read and shape; what a batch is
//! lives in `crate::batches`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use praxis_core::{CallError, ErrorCode};
use praxis_store::{Batch, BatchStatus};
use serde::Deserialize;
use serde_json::{Value, json};

use super::paging::{ListParams, SHORT, listed};
use super::uploads::Lifetime;
use super::vector_stores::stores::check_metadata;
use crate::batches::NewBatch;
use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying, TAGS, scope_of};
use crate::state::ApiState;

/// What the requests of a batch may be made to.
pub(crate) const ENDPOINTS: &[&str] = &[
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/moderations",
    "/v1/responses",
];

/// The only time that a batch may take.
pub(crate) const WINDOW: &str = "24h";

/// A batch to be made.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "BatchRequest")]
pub(crate) struct Create {
    input_file_id: String,
    endpoint: String,
    completion_window: String,
    metadata: Option<BTreeMap<String, String>>,
    output_expires_after: Option<Lifetime>,
}

impl Create {
    fn batch(self, headers: &HeaderMap) -> Result<NewBatch, ApiError> {
        if !ENDPOINTS.contains(&self.endpoint.as_str()) {
            let message = format!("`endpoint` must be one of {}", ENDPOINTS.join(", "));
            return Err(ApiError::invalid("endpoint", message));
        }
        if self.completion_window != WINDOW {
            let message = format!("`completion_window` must be `{WINDOW}`");
            return Err(ApiError::invalid("completion_window", message));
        }
        if let Some(metadata) = &self.metadata {
            check_metadata(metadata)?;
        }
        let expires = self.output_expires_after;
        let text = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        Ok(NewBatch {
            input: self.input_file_id,
            endpoint: self.endpoint,
            metadata: self.metadata,
            output_expires: expires
                .map(|expires| expires.seconds("output_expires_after"))
                .transpose()?,
            tags: text(TAGS),
            host: text(header::HOST.as_str()),
        })
    }
}

/// Makes a batch.
pub(crate) async fn create(
    State(state): State<ApiState>,
    paying: Paying,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Create>,
) -> Result<Json<Value>, ApiError> {
    let new = body.batch(&headers)?;
    // Who may not make a request may not make many either.
    if let Some(scope) = scope_of(&new.endpoint) {
        paying.is_for(scope)?;
    }
    let made = state.batches.create(new, paying.holder()).await;
    Ok(Json(shape(&made.map_err(about_input)?)))
}

/// What is wrong with the input names it.
fn about_input(error: CallError) -> ApiError {
    let of_input = matches!(error.code, ErrorCode::NotFound | ErrorCode::InvalidRequest);
    let error = ApiError::from(error);
    match of_input {
        true => error.about("input_file_id"),
        false => error,
    }
}

/// A page of batches.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: ListParams,
) -> Result<Json<Value>, ApiError> {
    let page = params.page(SHORT)?;
    let found = state.batches.list(&page, &caller.clearance).await?;
    Ok(Json(listed(found, shape)))
}

/// One of them.
pub(crate) async fn retrieve(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = state.batches.get(&id, &caller.clearance).await?;
    Ok(Json(shape(&found)))
}

/// Calls off what is not done yet.
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = state.batches.cancel(&id, &caller).await?;
    Ok(Json(shape(&found)))
}

/// A batch as it is answered. What is not known yet is left out.
fn shape(batch: &Batch) -> Value {
    let (times, usage) = (&batch.times, &batch.usage);
    let mut shown = json!({
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "input_file_id": batch.input,
        "completion_window": WINDOW,
        "status": batch.status.as_str(),
        "created_at": times.created,
        "expires_at": times.expires,
        "request_counts": {
            "total": batch.counts.total,
            "completed": batch.counts.completed,
            "failed": batch.counts.failed,
        },
        "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": { "cached_tokens": usage.cached_tokens },
            "output_tokens": usage.output_tokens,
            "output_tokens_details": { "reasoning_tokens": usage.reasoning_tokens },
            "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
        },
        "metadata": batch.metadata,
    });
    let ended = match batch.status {
        BatchStatus::Completed => Some("completed_at"),
        BatchStatus::Failed => Some("failed_at"),
        BatchStatus::Expired => Some("expired_at"),
        BatchStatus::Cancelled => Some("cancelled_at"),
        _ => None,
    };
    for (name, time) in [
        (Some("in_progress_at"), times.begun),
        (Some("finalizing_at"), times.finalizing),
        (Some("cancelling_at"), times.cancelling),
        (ended, times.ended),
    ] {
        if let (Some(name), Some(time)) = (name, time) {
            shown[name] = json!(time);
        }
    }
    for (name, text) in [
        ("model", &batch.model),
        ("output_file_id", &batch.output_file),
        ("error_file_id", &batch.error_file),
    ] {
        if let Some(text) = text {
            shown[name] = json!(text);
        }
    }
    if !batch.errors.is_empty() {
        shown["errors"] = json!({ "object": "list", "data": batch.errors });
    }
    shown
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use praxis_core::Usage;
    use praxis_store::{BatchError, BatchTimes, Maker, RequestCounts};

    use super::*;

    fn create(change: impl Fn(&mut Value)) -> Result<NewBatch, ApiError> {
        let mut body = json!({
            "input_file_id": "file-1",
            "endpoint": "/v1/embeddings",
            "completion_window": "24h",
        });
        change(&mut body);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("kb.example"));
        headers.insert(TAGS, HeaderValue::from_static("team, x"));
        let create: Create = serde_json::from_value(body).unwrap();
        create.batch(&headers)
    }

    #[test]
    fn a_batch_keeps_whose_requests_it_makes() {
        let new = create(|body| {
            body["metadata"] = json!({ "a": "b" });
            body["output_expires_after"] = json!({ "anchor": "created_at", "seconds": 3600 });
        });
        let wanted = NewBatch {
            input: "file-1".to_owned(),
            endpoint: "/v1/embeddings".to_owned(),
            metadata: Some([("a".to_owned(), "b".to_owned())].into()),
            output_expires: Some(3600),
            tags: "team, x".to_owned(),
            host: "kb.example".to_owned(),
        };
        assert_eq!(new.unwrap(), wanted);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (field, value) in [
            ("endpoint", json!("/v1/files")),
            ("completion_window", json!("1h")),
            ("metadata", json!({ "a": "b".repeat(513) })),
            (
                "output_expires_after",
                json!({ "anchor": "created_at", "seconds": 1 }),
            ),
        ] {
            let error = create(|body| body[field] = value.clone()).unwrap_err();
            let param = error.body()["error"]["param"].clone();
            let param = param.as_str().unwrap();
            assert!(param.starts_with(field), "{param}");
        }
    }

    #[test]
    fn a_batch_is_as_openai_has_it() {
        let mut batch = Batch {
            id: "batch_1".to_owned(),
            input: "file-1".to_owned(),
            hash: "secret".to_owned(),
            endpoint: "/v1/embeddings".to_owned(),
            metadata: None,
            output_expires: None,
            status: BatchStatus::Validating,
            ending: None,
            errors: Vec::new(),
            model: None,
            counts: RequestCounts::default(),
            usage: Usage {
                input_tokens: 3,
                output_tokens: 4,
                ..Usage::default()
            },
            output_file: None,
            error_file: None,
            times: BatchTimes {
                created: 1,
                expires: 9,
                ..BatchTimes::default()
            },
            maker: Maker::Stored("secret".to_owned()),
            tags: "secret".to_owned(),
            host: "secret".to_owned(),
            owner: Some("secret".to_owned()),
            labels: vec!["secret".to_owned()],
        };
        let shown = shape(&batch);
        assert_eq!(shown["status"], "validating");
        assert_eq!(shown["usage"]["total_tokens"], 7);
        assert!(!shown.to_string().contains("secret"), "{shown}");
        for name in ["errors", "model", "output_file_id", "in_progress_at"] {
            assert!(shown.get(name).is_none(), "{name}");
        }
        batch.times.ended = Some(7);
        batch.errors.push(BatchError {
            code: "empty_file".to_owned(),
            line: None,
            message: "m".to_owned(),
            param: None,
        });
        for (status, name) in [
            (BatchStatus::Completed, "completed_at"),
            (BatchStatus::Failed, "failed_at"),
            (BatchStatus::Expired, "expired_at"),
            (BatchStatus::Cancelled, "cancelled_at"),
        ] {
            batch.status = status;
            let shown = shape(&batch);
            assert_eq!(shown[name], 7);
            assert_eq!(shown["errors"]["data"][0]["code"], "empty_file");
        }
    }
}
