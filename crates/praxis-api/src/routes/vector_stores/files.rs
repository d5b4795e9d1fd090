//! `/v1/vector_stores/{store}/files`: the files in a vector store.

use axum::Json;
use axum::extract::{Path, State};
use praxis_core::ErrorCode;
use praxis_core::ledger::PaidBy;
use praxis_knowledge::FileRequest;
use praxis_store::Member;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Attributes, Chunking, chunking_shape, cut};
use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying};
use crate::routes::paging::{ListParams, SHORT, listed};
use crate::state::ApiState;

/// A file to be added.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VectorStoreFileRequest")]
pub(crate) struct Create {
    file_id: String,
    #[serde(default)]
    attributes: Attributes,
    #[serde(default)]
    chunking_strategy: Option<Chunking>,
}

impl Create {
    /// The request behind it, of who pays for it.
    pub(super) fn request(self, paid_by: &PaidBy) -> Result<FileRequest, ApiError> {
        Ok(FileRequest {
            file: self.file_id,
            attributes: self.attributes.unwrap_or_default(),
            cut: cut(self.chunking_strategy)?,
            paid_by: Some(paid_by.clone()),
        })
    }
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VectorStoreFileChange")]
pub(crate) struct Update {
    attributes: Option<Map<String, Value>>,
}

/// Adds a file.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    Path(store): Path<String>,
    JsonBody(body): JsonBody<Create>,
) -> Result<Json<Value>, ApiError> {
    let request = body.request(&paying.pays_later())?;
    let added = state
        .vector_stores
        .add_file(&store, request, &caller)
        .await?;
    Ok(Json(shape(&added)))
}

/// A page of files.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(store): Path<String>,
    params: ListParams,
) -> Result<Json<Value>, ApiError> {
    let (page, status) = (params.page(SHORT)?, params.status()?);
    let stores = &state.vector_stores;
    let found = stores
        .files(&store, status, &page, &caller.clearance)
        .await?;
    Ok(Json(listed(found, shape)))
}

/// One of them.
pub(crate) async fn retrieve(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path((store, file)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let found = state
        .vector_stores
        .file(&store, &file, &caller.clearance)
        .await?;
    Ok(Json(shape(&found)))
}

/// Replaces a file's attributes.
pub(crate) async fn update(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path((store, file)): Path<(String, String)>,
    JsonBody(body): JsonBody<Update>,
) -> Result<Json<Value>, ApiError> {
    let attributes = body.attributes.unwrap_or_default();
    let stores = &state.vector_stores;
    let changed = stores
        .set_attributes(&store, &file, &attributes, &caller)
        .await?;
    Ok(Json(shape(&changed)))
}

/// Takes a file out of the vector store; the file itself stays.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path((store, file)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    state
        .vector_stores
        .remove_file(&store, &file, &caller)
        .await?;
    Ok(Json(
        json!({ "id": file, "object": "vector_store.file.deleted", "deleted": true }),
    ))
}

/// A file's text as it was read.
pub(crate) async fn content(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path((store, file)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let text = state
        .vector_stores
        .text(&store, &file, &caller.clearance)
        .await?;
    let Some(text) = text else {
        let message = format!("the file `{file}` has no text: its status is not `completed`");
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    };
    Ok(Json(json!({
        "object": "vector_store.file_content.page",
        "data": [{ "type": "text", "text": text }],
        "has_more": false,
        "next_page": null,
    })))
}

/// A file of a vector store as it is answered.
pub(super) fn shape(member: &Member) -> Value {
    let error = member.error.as_ref();
    json!({
        "id": member.file,
        "object": "vector_store.file",
        "usage_bytes": member.usage_bytes,
        "created_at": member.created,
        "vector_store_id": member.store,
        "status": member.status.as_str(),
        "last_error": error.map(|(code, message)| json!({ "code": code, "message": message })),
        "chunking_strategy": chunking_shape(member.cut),
        "attributes": member.attributes,
    })
}
