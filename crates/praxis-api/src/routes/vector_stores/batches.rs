//! `/v1/vector_stores/{store}/file_batches`: files that are added together.

use axum::Json;
use axum::extract::{Path, State};
use praxis_core::ErrorCode;
use praxis_core::ledger::PaidBy;
use praxis_knowledge::FileRequest;
use praxis_store::FileBatch;
use serde::Deserialize;
use serde_json::{Value, json};

use super::files::{self, Create as CreateFile};
use super::{Attributes, Chunking, counts_shape, cut};
use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying};
use crate::routes::paging::{ListParams, SHORT, listed};
use crate::state::ApiState;

/// Files of a batch, at most.
const MOST_FILES: usize = 2000;

/// Files to be added: by id, all alike, or each with its own settings.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VectorStoreFileBatchRequest")]
pub(crate) struct Create {
    file_ids: Option<Vec<String>>,
    files: Option<Vec<CreateFile>>,
    #[serde(default)]
    attributes: Attributes,
    chunking_strategy: Option<Chunking>,
}

impl Create {
    fn requests(self, paid_by: &PaidBy) -> Result<Vec<FileRequest>, ApiError> {
        let requests: Vec<FileRequest> = match (self.file_ids, self.files) {
            (Some(ids), None) => {
                let cut = cut(self.chunking_strategy)?;
                let attributes = self.attributes.unwrap_or_default();
                let request = |file| FileRequest {
                    file,
                    attributes: attributes.clone(),
                    cut,
                    paid_by: Some(paid_by.clone()),
                };
                ids.into_iter().map(request).collect()
            }
            (None, Some(files)) => {
                let requests = files.into_iter().map(|file| file.request(paid_by));
                requests.collect::<Result<_, _>>()?
            }
            _ => {
                let message = "a batch needs either `file_ids` or `files`";
                return Err(ApiError::new(ErrorCode::InvalidRequest, message));
            }
        };
        if requests.is_empty() || requests.len() > MOST_FILES {
            let message = format!("a batch has 1 to {MOST_FILES} files");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        Ok(requests)
    }
}

/// Adds files together.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    Path(store): Path<String>,
    JsonBody(body): JsonBody<Create>,
) -> Result<Json<Value>, ApiError> {
    let requests = body.requests(&paying.pays_later())?;
    let batch = state
        .vector_stores
        .add_batch(&store, requests, &caller)
        .await?;
    Ok(Json(shape(&batch)))
}

/// A batch.
pub(crate) async fn retrieve(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path((store, batch)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let found = state
        .vector_stores
        .batch(&store, &batch, &caller.clearance)
        .await?;
    Ok(Json(shape(&found)))
}

/// Calls off what is not done yet.
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path((store, batch)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let found = state
        .vector_stores
        .cancel_batch(&store, &batch, &caller)
        .await?;
    Ok(Json(shape(&found)))
}

/// A page of a batch's files.
pub(crate) async fn files(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path((store, batch)): Path<(String, String)>,
    params: ListParams,
) -> Result<Json<Value>, ApiError> {
    let (page, status) = (params.page(SHORT)?, params.status()?);
    let stores = &state.vector_stores;
    let clearance = &caller.clearance;
    let found = stores
        .files_of_batch(&store, &batch, status, &page, clearance)
        .await?;
    Ok(Json(listed(found, files::shape)))
}

/// A batch as it is answered.
fn shape(batch: &FileBatch) -> Value {
    let status = match (batch.cancelled, batch.counts.in_progress) {
        (true, _) => "cancelled",
        (false, 0) => "completed",
        (false, _) => "in_progress",
    };
    json!({
        "id": batch.id,
        "object": "vector_store.files_batch",
        "created_at": batch.created,
        "vector_store_id": batch.store,
        "status": status,
        "file_counts": counts_shape(batch.counts),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_of_ids_or_of_files_and_not_of_both() {
        let requests = |body: Value| {
            let batch = serde_json::from_value::<Create>(body).unwrap();
            batch.requests(&PaidBy::default())
        };
        let ids = requests(json!({ "file_ids": ["a", "b"], "attributes": { "x": 1 } })).unwrap();
        assert_eq!(ids.len(), 2);
        assert_eq!(ids[1].attributes["x"], 1);
        let files = json!({ "files": [{ "file_id": "a", "attributes": { "y": true } }], "attributes": { "x": 1 } });
        let files = requests(files).unwrap();
        assert!(!files[0].attributes.contains_key("x") && files[0].attributes.contains_key("y"));
        for wrong in [
            json!({}),
            json!({ "file_ids": [] }),
            json!({ "file_ids": ["a"], "files": [{ "file_id": "b" }] }),
            json!({ "file_ids": vec!["a"; MOST_FILES + 1] }),
        ] {
            assert!(requests(wrong).is_err());
        }
    }
}
