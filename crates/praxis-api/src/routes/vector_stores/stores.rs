//! `/v1/vector_stores` itself: made, listed, changed, deleted.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use praxis_knowledge::{FileRequest, NewVectorStore};
use praxis_store::{VectorStore, VectorStoreChange};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::{Chunking, counts_shape, cut};
use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying};
use crate::routes::paging::{ListParams, SHORT, listed};
use crate::state::ApiState;

/// Files that a vector store may be made of.
const MOST_FILES: usize = 500;

/// Keys of a vector store's metadata, characters of each, and of each value.
const METADATA: (usize, usize, usize) = (16, 64, 512);

/// Characters of a name or a description, at most.
const MAX_NAME: usize = 1024;

/// Days after which a vector store may expire.
pub(crate) const DAYS: std::ops::RangeInclusive<u32> = 1..=365;

#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "VectorStoreRequest")]
pub(crate) struct Create {
    name: Option<String>,
    description: Option<String>,
    file_ids: Option<Vec<String>>,
    metadata: Option<BTreeMap<String, String>>,
    expires_after: Option<Expiry>,
    chunking_strategy: Option<Chunking>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VectorStoreExpiry")]
struct Expiry {
    anchor: Anchor,
    days: u32,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "VectorStoreAnchor")]
enum Anchor {
    LastActiveAt,
}

#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "VectorStoreChange")]
pub(crate) struct Modify {
    name: Option<String>,
    /// Nothing where it is not said, `Some(None)` where it is `null`.
    #[serde(deserialize_with = "said")]
    expires_after: Option<Option<Expiry>>,
    #[serde(deserialize_with = "said")]
    metadata: Option<Option<BTreeMap<String, String>>>,
}

fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Expiry {
    fn days(self) -> Result<u32, ApiError> {
        let Anchor::LastActiveAt = self.anchor;
        if DAYS.contains(&self.days) {
            return Ok(self.days);
        }
        let message = format!("`days` must be between {} and {}", DAYS.start(), DAYS.end());
        Err(ApiError::invalid("expires_after.days", message))
    }
}

pub(crate) fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let (most, key, value) = METADATA;
    let long = |text: &str, most: usize| text.chars().count() > most;
    if metadata.len() > most || metadata.iter().any(|(k, v)| long(k, key) || long(v, value)) {
        let message = format!(
            "`metadata` has at most {most} keys of {key} characters with values of {value}"
        );
        return Err(ApiError::invalid("metadata", message));
    }
    Ok(())
}

fn check_text(name: &str, text: Option<&String>) -> Result<(), ApiError> {
    if text.is_some_and(|text| text.chars().count() > MAX_NAME) {
        let message = format!("`{name}` is longer than {MAX_NAME} characters");
        return Err(ApiError::invalid(name, message));
    }
    Ok(())
}

/// Makes a vector store.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    JsonBody(body): JsonBody<Create>,
) -> Result<Json<Value>, ApiError> {
    let paid_by = paying.pays_later();
    let files = body.file_ids.unwrap_or_default();
    if files.len() > MOST_FILES {
        let message = format!("`file_ids` has more than {MOST_FILES}: add the others as a batch");
        return Err(ApiError::invalid("file_ids", message));
    }
    check_text("name", body.name.as_ref())?;
    check_text("description", body.description.as_ref())?;
    let metadata = body.metadata.unwrap_or_default();
    check_metadata(&metadata)?;
    let cut = cut(body.chunking_strategy)?;
    let file = |file| FileRequest {
        file,
        attributes: Map::new(),
        cut,
        paid_by: Some(paid_by.clone()),
    };
    let new = NewVectorStore {
        name: body.name.unwrap_or_default(),
        description: body.description,
        metadata,
        expires_days: body.expires_after.map(Expiry::days).transpose()?,
        files: files.into_iter().map(file).collect(),
    };
    Ok(Json(shape(
        &state.vector_stores.create(new, &caller).await?,
    )))
}

/// A page of vector stores.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: ListParams,
) -> Result<Json<Value>, ApiError> {
    let page = params.page(SHORT)?;
    let found = state.vector_stores.list(&page, &caller.clearance).await?;
    Ok(Json(listed(found, shape)))
}

/// One of them.
pub(crate) async fn retrieve(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = state.vector_stores.get(&id, &caller.clearance).await?;
    Ok(Json(shape(&found)))
}

/// Changes a vector store.
pub(crate) async fn modify(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<Modify>,
) -> Result<Json<Value>, ApiError> {
    check_text("name", body.name.as_ref())?;
    let metadata = body.metadata.map(Option::unwrap_or_default);
    if let Some(metadata) = &metadata {
        check_metadata(metadata)?;
    }
    let days = |expiry: Option<Expiry>| expiry.map(Expiry::days).transpose();
    let change = VectorStoreChange {
        name: body.name,
        expires_days: body.expires_after.map(days).transpose()?,
        metadata,
    };
    let changed = state.vector_stores.modify(&id, &change, &caller).await?;
    Ok(Json(shape(&changed)))
}

/// Deletes a vector store; its files stay.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    state.vector_stores.delete(&id, &caller).await?;
    Ok(Json(
        json!({ "id": id, "object": "vector_store.deleted", "deleted": true }),
    ))
}

/// A vector store as it is answered.
fn shape(store: &VectorStore) -> Value {
    let status = match (store.expired, store.counts.in_progress) {
        (true, _) => "expired",
        (false, 0) => "completed",
        (false, _) => "in_progress",
    };
    let mut shown = json!({
        "id": store.id,
        "object": "vector_store",
        "created_at": store.created,
        "name": store.name,
        "usage_bytes": store.usage_bytes,
        "file_counts": counts_shape(store.counts),
        "status": status,
        "expires_at": store.expires(),
        "last_active_at": store.active,
        "metadata": store.metadata,
    });
    if let Some(description) = &store.description {
        shown["description"] = json!(description);
    }
    if let Some(days) = store.expires_days {
        shown["expires_after"] = json!({ "anchor": "last_active_at", "days": days });
    }
    shown
}

#[cfg(test)]
mod tests {
    use praxis_store::FileCounts;

    use super::*;

    #[test]
    fn a_vector_store_is_as_openai_has_it() {
        let mut store = VectorStore {
            id: "vs_1".to_owned(),
            name: "n".to_owned(),
            description: None,
            metadata: BTreeMap::new(),
            expires_days: Some(2),
            created: 10,
            active: 20,
            expired: false,
            owner: Some("hr".to_owned()),
            labels: vec!["hr".to_owned()],
            counts: FileCounts {
                in_progress: 1,
                completed: 2,
                ..FileCounts::default()
            },
            usage_bytes: 5,
        };
        let shown = shape(&store);
        assert_eq!(shown["status"], "in_progress");
        assert_eq!(shown["file_counts"]["total"], 3);
        assert_eq!(shown["expires_at"], 20 + 2 * 86_400);
        assert!(
            !shown.to_string().contains("hr"),
            "nothing of who may read it"
        );
        store.counts.in_progress = 0;
        assert_eq!(shape(&store)["status"], "completed");
        store.expired = true;
        assert_eq!(shape(&store)["status"], "expired");
    }

    #[test]
    fn what_is_not_said_stays_and_null_takes_away() {
        let modify = |json: Value| serde_json::from_value::<Modify>(json).unwrap();
        assert!(modify(json!({})).expires_after.is_none());
        let taken = modify(json!({ "expires_after": null, "metadata": null }));
        assert!(matches!(taken.expires_after, Some(None)));
        assert!(matches!(taken.metadata, Some(None)));
        let set = modify(json!({ "expires_after": { "anchor": "last_active_at", "days": 400 } }));
        assert!(set.expires_after.flatten().unwrap().days().is_err());
    }
}
