//! `/v1/conversations` (OpenAI API reference, "Conversations"): lists of items that responses go on from and add to.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use praxis_core::ids;
use praxis_store::{Conversation, ItemsAdded, Paged};
use serde::Deserialize;
use serde_json::{Value, json};

use super::paging::{ListParams, SHORT, listed};
use super::responses::{Shown, paged, read_items};
use super::vector_stores::stores::check_metadata;
use crate::error::{ApiError, JsonBody};
use crate::guard::Admitted;
use crate::responses::item::{Item, stored};
use crate::responses::{CONVERSATION, failed, full, items_of, no_conversation, no_item};
use crate::state::ApiState;

/// What ids of conversations begin with.
const PREFIX: &str = "conv_";

/// Items that are added at a time.
pub(crate) const MOST_ITEMS: usize = 20;

#[derive(Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ConversationRequest")]
pub(crate) struct Create {
    items: Option<Vec<Value>>,
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConversationChange")]
pub(crate) struct Update {
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConversationItems")]
pub(crate) struct Add {
    items: Vec<Value>,
}

/// Makes a conversation.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    JsonBody(body): JsonBody<Create>,
) -> Result<Json<Value>, ApiError> {
    let metadata = body.metadata.unwrap_or_default();
    check_metadata(&metadata)?;
    let sent = few(body.items.unwrap_or_default())?;
    let items = read_items(&state, sent, "items", &caller).await?;
    let now = state.responses.now();
    let new = Conversation {
        id: ids::generate(PREFIX),
        metadata,
        created: now,
        active: now,
        items: 0,
        bytes: 0,
    };
    let store = state.responses.store();
    let put = store.put_conversation(&new, &caller, &stored(&items)).await;
    put.map_err(failed)?;
    Ok(Json(shape(&new)))
}

/// A conversation.
pub(crate) async fn retrieve(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = state.responses.conversation(&id, &caller).await?;
    Ok(Json(shape(&found)))
}

/// Replaces what is noted of a conversation.
pub(crate) async fn update(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<Update>,
) -> Result<Json<Value>, ApiError> {
    let metadata = body.metadata.unwrap_or_default();
    check_metadata(&metadata)?;
    state.responses.conversation(&id, &caller).await?;
    let (store, now) = (state.responses.store(), state.responses.now());
    let changed = store.set_conversation_metadata(&id, &caller, &metadata, now);
    let changed = changed.await.map_err(failed)?;
    Ok(Json(shape(&changed.ok_or_else(|| no_conversation(&id))?)))
}

/// Deletes a conversation with its items; responses of it stay.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let deleted = state.responses.store().delete_conversation(&id, &caller);
    if !deleted.await.map_err(failed)? {
        return Err(no_conversation(&id));
    }
    Ok(Json(
        json!({ "id": id, "object": "conversation.deleted", "deleted": true }),
    ))
}

/// Adds items to the end of a conversation.
pub(crate) async fn add_items(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
    shown: Shown,
    JsonBody(body): JsonBody<Add>,
) -> Result<Json<Value>, ApiError> {
    state.responses.conversation(&id, &caller).await?;
    let items = read_items(&state, few(body.items)?, "items", &caller).await?;
    let (store, now) = (state.responses.store(), state.responses.now());
    let rows = stored(&items);
    let added = store.add_conversation_items(&id, &caller, &rows, CONVERSATION, now);
    match added.await.map_err(failed)? {
        ItemsAdded::All => {
            let has_more = false;
            let page = Paged { items, has_more };
            Ok(Json(listed(page, |item: &Item| item.shown(shown.include))))
        }
        ItemsAdded::Gone => Err(no_conversation(&id)),
        ItemsAdded::Full => Err(full().about("items")),
        ItemsAdded::Taken(item) => {
            let message = format!("the conversation has, or had, an item of the id `{item}`");
            Err(ApiError::invalid("items", message))
        }
    }
}

/// A page of a conversation's items.
pub(crate) async fn list_items(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
    params: ListParams,
    shown: Shown,
) -> Result<Json<Value>, ApiError> {
    let page = params.page(SHORT)?;
    state.responses.conversation(&id, &caller).await?;
    let found = state.responses.store().conversation_items(&id, &page).await;
    let found = paged(found.map_err(failed)?, &params)?;
    Ok(Json(listed(found, |item| item.shown(shown.include))))
}

/// An item of a conversation.
pub(crate) async fn retrieve_item(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path((id, item)): Path<(String, String)>,
    shown: Shown,
) -> Result<Json<Value>, ApiError> {
    state.responses.conversation(&id, &caller).await?;
    let found = state.responses.store().conversation_item(&id, &item).await;
    let found = items_of(found.map_err(failed)?.into_iter().collect())?;
    let found = found.first().ok_or_else(|| no_item(&item))?;
    Ok(Json(found.shown(shown.include)))
}

/// Deletes an item of a conversation, which is the answer.
pub(crate) async fn delete_item(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path((id, item)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    state.responses.conversation(&id, &caller).await?;
    let (store, now) = (state.responses.store(), state.responses.now());
    let deleted = store.delete_conversation_item(&id, &item, now).await;
    if !deleted.map_err(failed)? {
        return Err(no_item(&item));
    }
    let left = state.responses.conversation(&id, &caller).await?;
    Ok(Json(shape(&left)))
}

/// Items that are not too many.
fn few(items: Vec<Value>) -> Result<Vec<Value>, ApiError> {
    match items.len() <= MOST_ITEMS {
        true => Ok(items),
        false => {
            let message = format!("at most {MOST_ITEMS} items are added at a time");
            Err(ApiError::invalid("items", message))
        }
    }
}

/// A conversation as it is answered.
fn shape(conversation: &Conversation) -> Value {
    json!({
        "id": conversation.id,
        "object": "conversation",
        "created_at": conversation.created,
        "metadata": conversation.metadata,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_items_are_added_at_a_time() {
        for (count, good) in [(0, true), (MOST_ITEMS, true), (MOST_ITEMS + 1, false)] {
            assert_eq!(few(vec![json!({}); count]).is_ok(), good, "{count}");
        }
    }

    #[test]
    fn a_conversation_is_as_openai_has_it() {
        let conversation = Conversation {
            id: "conv_1".to_owned(),
            metadata: BTreeMap::from([("topic".to_owned(), "demo".to_owned())]),
            created: 10,
            active: 20,
            items: 3,
            bytes: 400,
        };
        assert_eq!(
            shape(&conversation),
            json!({ "id": "conv_1", "object": "conversation", "created_at": 10, "metadata": { "topic": "demo" } })
        );
    }
}
