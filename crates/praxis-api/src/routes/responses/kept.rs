//! `/v1/responses/{id}`: responses that are kept, read, followed, called off and deleted.

use axum::Json;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response as HttpResponse};
use praxis_core::ErrorCode;
use praxis_store::Paged;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::request::included;
use super::streamed;
use crate::error::ApiError;
use crate::guard::Admitted;
use crate::responses::item::{Include, Item};
use crate::responses::{failed, items_of, no_item};
use crate::routes::paging::{ListParams, SHORT, listed};
use crate::state::ApiState;

/// What a client wants shown of what is kept: `include`, and how it wants it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Shown {
    pub(crate) include: Include,
    is_streamed: bool,
    /// The number of the last event that the client has.
    after: Option<u64>,
}

impl<S: Send + Sync> FromRequestParts<S> for Shown {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(all) = query
            .map_err(|rejection| ApiError::new(ErrorCode::InvalidRequest, rejection.body_text()))?;
        Self::read(&all)
    }
}

impl Shown {
    fn read(all: &[(String, String)]) -> Result<Self, ApiError> {
        // Lists come as `include[]=a&include[]=b`, with numbers or without brackets.
        let listed = all.iter().filter(|(name, _)| {
            let brackets = name.strip_prefix("include");
            brackets.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        });
        let text = |wanted: &str| {
            let found = all.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.as_str())
        };
        let is_streamed = match text("stream") {
            None | Some("" | "false") => false,
            Some("true") => true,
            Some(_) => {
                return Err(ApiError::invalid("stream", "`stream` is `true` or `false`"));
            }
        };
        let after = match text("starting_after").filter(|text| !text.is_empty()) {
            None => None,
            Some(number) => Some(number.parse().map_err(|_| {
                let message = "`starting_after` is the number of an event";
                ApiError::invalid("starting_after", message)
            })?),
        };
        Ok(Self {
            include: included(listed.map(|(_, value)| value.as_str()))?,
            is_streamed,
            after,
        })
    }
}

/// A response, or the events of one that is or was in the background.
pub(crate) async fn retrieve(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
    shown: Shown,
) -> Result<HttpResponse, ApiError> {
    if shown.is_streamed {
        let lines = state.responses.follow(&id, shown.after, &caller).await?;
        // Who only listens ends nothing by going away.
        let guard = CancellationToken::new().drop_guard();
        return Ok(streamed(lines, guard));
    }
    let response = state.responses.get(&id, &caller).await?;
    Ok(Json(response.shown(shown.include)).into_response())
}

/// Deletes a response.
pub(crate) async fn delete(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    state.responses.delete(&id, &caller).await?;
    Ok(Json(
        json!({ "id": id, "object": "response", "deleted": true }),
    ))
}

/// Calls off a response that is in the background.
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let response = state.responses.cancel(&id, &caller).await?;
    Ok(Json(response.shown(Include::default())))
}

/// A page of what a response was given in its turn.
pub(crate) async fn input_items(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
    params: ListParams,
    shown: Shown,
) -> Result<Json<Value>, ApiError> {
    let page = params.page(SHORT)?;
    state.responses.get(&id, &caller).await?;
    let found = state.responses.store().response_input(&id, &page).await;
    let found = paged(found.map_err(failed)?, &params)?;
    Ok(Json(listed(found, |item| item.shown(shown.include))))
}

/// A page of items as they were kept.
///
/// # Errors
/// A cursor that is no item of the list, or an item that is damaged.
pub(crate) fn paged(
    found: Option<Paged<Value>>,
    params: &ListParams,
) -> Result<Paged<Item>, ApiError> {
    let Some(found) = found else {
        let cursor = params.text("after").or(params.text("before"));
        return Err(no_item(cursor.unwrap_or_default()).about("after"));
    };
    Ok(Paged {
        items: items_of(found.items)?,
        has_more: found.has_more,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_shown_is_read_as_clients_send_it() {
        let read = |pairs: &[(&str, &str)]| {
            let owned = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            Shown::read(&owned.collect::<Vec<_>>())
        };
        let results = Include {
            results: true,
            ..Include::default()
        };
        let found = "file_search_call.results";
        for name in ["include", "include[]", "include[0]"] {
            let shown = read(&[(name, found), ("includes", "x"), ("limit", "3")]).unwrap();
            assert_eq!(shown.include, results, "{name}");
        }
        let both = read(&[
            ("include[]", found),
            ("include[]", "message.output_text.logprobs"),
        ]);
        assert!(both.unwrap().include.logprobs);
        let followed = read(&[("stream", "true"), ("starting_after", "7")]).unwrap();
        assert_eq!((followed.is_streamed, followed.after), (true, Some(7)));
        assert_eq!(read(&[("stream", "false")]).unwrap(), Shown::default());
        for wrong in [
            ("include[]", "everything"),
            ("stream", "yes"),
            ("starting_after", "-1"),
        ] {
            assert!(read(&[wrong]).is_err(), "{wrong:?}");
        }
    }
}
