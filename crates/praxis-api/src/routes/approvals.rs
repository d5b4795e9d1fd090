//! `/praxis/v1/approvals` and `/praxis/v1/audit`: calls of tools that wait for a person, decisions, and the log of all
//! calls. Who may decide has a key for `approvals`, may read what the caller may, and is not the caller itself. Left
//! out: which calls wait (`praxis-tool`).

use axum::Json;
use axum::extract::{Path, State};
use praxis_core::approval::{ApprovalState, Decision, Outcome, Ruling};
use praxis_core::function::now_ms;
use praxis_core::{Approval, CallError, Caller, ErrorCode};
use praxis_store::{LogPage, Store};
use serde::Deserialize;
use serde_json::{Value, json};

use super::paging::{ListParams, SHORT, listed};
use crate::error::{ApiError, JsonBody};
use crate::guard::Admitted;
use crate::state::ApiState;

/// The most characters of what is said about a decision.
pub(crate) const MOST_NOTE: usize = 2000;

/// Who has the server's one key, or a server without keys.
const OWNER: &str = "the owner of the server";

/// A decision.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApprovalDecision")]
pub(crate) struct Decide {
    decision: Word,
    note: Option<String>,
    #[serde(default)]
    again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ApprovalDecisionWord")]
enum Word {
    Approve,
    Deny,
}

/// A page of approvals that the caller may see.
pub(crate) async fn list(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: ListParams,
) -> Result<Json<Value>, ApiError> {
    let wanted = params.text("state").map(state_of).transpose()?;
    let page = params.page(SHORT)?;
    let found = state
        .store
        .approvals(wanted, &page, &caller, now_ms())
        .await;
    let found = found.map_err(CallError::failure)?;
    Ok(Json(listed(found, |approval| json!(approval))))
}

fn state_of(name: &str) -> Result<ApprovalState, ApiError> {
    ApprovalState::parse(name).ok_or_else(|| {
        let names = ApprovalState::ALL.map(ApprovalState::as_str).join("`, `");
        ApiError::invalid("state", format!("`state` must be one of `{names}`"))
    })
}

/// How many wait that the caller may decide on.
pub(crate) async fn waiting(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
) -> Result<Json<Value>, ApiError> {
    let count = state.store.waiting_approvals(&caller, now_ms()).await;
    let count = count.map_err(CallError::failure)?;
    Ok(Json(
        json!({ "object": "approvals.waiting", "count": count }),
    ))
}

/// One of them.
pub(crate) async fn retrieve(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let found = seen(&state.store, &id, &caller).await?;
    Ok(Json(json!(found)))
}

async fn seen(store: &Store, id: &str, caller: &Caller) -> Result<Approval, ApiError> {
    let found = store.approval(id, now_ms()).await;
    let found = found.map_err(CallError::failure)?;
    let found = found.filter(|approval| approval.is_seen_by(caller));
    found.ok_or_else(|| ApiError::new(ErrorCode::NotFound, format!("no approval `{id}`")))
}

/// Decides on one.
pub(crate) async fn decide(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<Decide>,
) -> Result<Json<Value>, ApiError> {
    let ruling = ruling(body, &caller)?;
    let asked = seen(&state.store, &id, &caller).await?;
    if asked.was_asked_by(&caller) {
        let name = caller.name.as_deref().unwrap_or_default();
        let message = format!("`{name}` asked for `{id}` itself: another key has to decide on it");
        return Err(ApiError::new(ErrorCode::Forbidden, message));
    }
    let decided = state.store.decide_approval(&id, &ruling, now_ms()).await;
    let decided = decided.map_err(CallError::failure)?.unwrap_or(asked);
    if decided.state == ruling.decision.state() {
        return Ok(Json(json!(decided)));
    }
    let message = match decided.state {
        ApprovalState::Consumed => format!(
            "`{id}` was begun, and its end is not known: look whether the call was made, and send `\"again\": true` to \
             let it run again"
        ),
        other => format!("`{id}` is {} by now, and stays so", other.as_str()),
    };
    Err(ApiError::invalid("decision", message))
}

fn ruling(body: Decide, caller: &Caller) -> Result<Ruling, ApiError> {
    let note = body.note.filter(|note| !note.trim().is_empty());
    let length = note.as_deref().map_or(0, |note| note.chars().count());
    if length > MOST_NOTE {
        let message = format!("`note` has {length} characters, {MOST_NOTE} are the most");
        return Err(ApiError::invalid("note", message));
    }
    let decision = match (body.decision, body.again) {
        (Word::Approve, false) => Decision::Approve,
        (Word::Approve, true) => Decision::ApproveAgain,
        (Word::Deny, false) => Decision::Deny,
        (Word::Deny, true) => {
            let message = "`again` goes with `approve`: what was begun cannot be denied";
            return Err(ApiError::invalid("again", message));
        }
    };
    Ok(Ruling {
        decision,
        by: caller.name.clone().unwrap_or_else(|| OWNER.to_owned()),
        note,
    })
}

/// A page of the log of calls that the caller may see.
pub(crate) async fn audit(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    params: ListParams,
) -> Result<Json<Value>, ApiError> {
    let page = params.page(SHORT)?;
    let after = page.after.as_deref().map(str::parse::<i64>).transpose();
    let after =
        after.map_err(|_| ApiError::invalid("after", "`after` must be a number of an entry"))?;
    let page = LogPage {
        limit: page.limit,
        descending: page.descending,
        after,
        tool: params.text("tool").map(str::to_owned),
        outcome: params.text("outcome").map(outcome_of).transpose()?,
        ..LogPage::default()
    };
    let found = state.store.tool_calls(&page, &caller).await;
    let found = found.map_err(CallError::failure)?;
    let last = found.items.last().map(|logged| logged.number);
    Ok(Json(json!({
        "object": "list",
        "data": found.items,
        "has_more": found.has_more,
        "last": last,
    })))
}

fn outcome_of(name: &str) -> Result<Outcome, ApiError> {
    Outcome::parse(name).ok_or_else(|| {
        let names = Outcome::ALL.map(Outcome::as_str).join("`, `");
        ApiError::invalid("outcome", format!("`outcome` must be one of `{names}`"))
    })
}

#[cfg(test)]
mod tests;
