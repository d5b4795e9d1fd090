//! `/praxis/v1/feedback`: what people say of calls. Who sees a trace says something of it, and reads what others said.
//! Left out: what is made of it.

use axum::Json;
use axum::extract::State;
use praxis_core::function::now_ms;
use praxis_core::{CallError, ErrorCode, TraceId};
use praxis_store::{FeedbackFilter, Given, NewFeedback, Thumb};
use serde::Deserialize;
use serde_json::{Value, json};

use super::paging::{ListParams, SHORT, listed};
use crate::error::{ApiError, JsonBody};
use crate::guard::Admitted;
use crate::state::ApiState;

/// The most characters of what is said.
pub(crate) const MOST_COMMENT: usize = 4000;

/// The most characters of who says it.
pub(crate) const MOST_NAME: usize = 200;

/// What is said of a call.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewFeedback")]
pub(crate) struct Give {
    trace_id: String,
    thumb: Option<Thumb>,
    score: Option<f64>,
    comment: Option<String>,
    by: Option<String>,
}

/// Keeps what is said.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    JsonBody(give): JsonBody<Give>,
) -> Result<Json<Value>, ApiError> {
    let (trace_id, new) = checked(give)?;
    let given = state
        .store
        .give_feedback(&trace_id, &new, &caller, now_ms());
    match given.await.map_err(CallError::failure)? {
        Given::Kept(feedback) => Ok(Json(json!(feedback))),
        Given::NoTrace => {
            let message = format!("no trace `{trace_id}`; a call that still runs has none yet");
            Err(ApiError::new(ErrorCode::NotFound, message).about("trace_id"))
        }
        Given::Full => {
            let message = format!("as much was said of `{trace_id}` as is kept of one call");
            Err(ApiError::invalid("trace_id", message))
        }
    }
}

/// What is said, where it says something and within its bounds. Blank texts say nothing.
fn checked(give: Give) -> Result<(TraceId, NewFeedback), ApiError> {
    let new = NewFeedback {
        thumb: give.thumb,
        score: give.score,
        comment: within("comment", give.comment, MOST_COMMENT)?,
        by: within("by", give.by, MOST_NAME)?,
    };
    if let Some(score) = new.score.filter(|score| !(0.0..=1.0).contains(score)) {
        let message = format!("`score` is {score}, and must be a number from 0 to 1");
        return Err(ApiError::invalid("score", message));
    }
    if new.thumb.is_none() && new.score.is_none() && new.comment.is_none() {
        let message = "nothing is said: send `thumb`, `score` or `comment`";
        return Err(ApiError::invalid("thumb", message));
    }
    Ok((TraceId::from_string(give.trace_id), new))
}

fn within(name: &str, text: Option<String>, most: usize) -> Result<Option<String>, ApiError> {
    let text = text.filter(|text| !text.trim().is_empty());
    let length = text.as_deref().map_or(0, |text| text.chars().count());
    if length > most {
        let message = format!("`{name}` has {length} characters, {most} are the most");
        return Err(ApiError::invalid(name, message));
    }
    Ok(text)
}

/// A page of what was said of the calls that the caller sees.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: ListParams,
) -> Result<Json<Value>, ApiError> {
    let filter = FeedbackFilter {
        trace_id: params.text("trace_id").map(TraceId::from_string),
        thumb: thumb(&params)?,
    };
    let page = params.page(SHORT)?;
    let found = state.store.feedback(&filter, &page, &caller).await;
    let found = found.map_err(CallError::failure)?;
    Ok(Json(listed(found, |feedback| json!(feedback))))
}

/// The thumb that is asked for.
pub(super) fn thumb(params: &ListParams) -> Result<Option<Thumb>, ApiError> {
    let Some(word) = params.text("thumb") else {
        return Ok(None);
    };
    let thumb = Thumb::parse(word);
    thumb.map(Some).ok_or_else(|| {
        let words = Thumb::ALL.map(Thumb::as_str).join("` or `");
        ApiError::invalid("thumb", format!("`thumb` must be `{words}`"))
    })
}

#[cfg(test)]
mod tests;
