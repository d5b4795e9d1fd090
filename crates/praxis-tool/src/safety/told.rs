//! How a caller, most often a model, is told that its call is not made, and what has to happen for it to be made. Left
//! out: errors of the function itself.

use std::fmt::Display;

use praxis_core::approval::ApprovalState;
use praxis_core::{Approval, CallError, ErrorCode, Refusal};
use serde_json::json;

/// That a person has to decide, or to look.
pub(super) fn waits(approval: &Approval) -> CallError {
    let Approval { id, function, .. } = approval;
    let (message, hint) = match approval.state {
        ApprovalState::Consumed => (
            format!(
                "`{function}` was begun under the approval `{id}`, and its end is not known: it runs, or may have run"
            ),
            format!(
                "do not call it again; a person has to look whether it was made, and can let it run again with \
                 `praxis approvals approve {id} --again`"
            ),
        ),
        _ => (
            format!(
                "`{function}` waits for the approval `{id}`, because {}",
                approval.reason
            ),
            format!(
                "tell the user so, with the approval's id; a person approves it with `praxis approvals approve {id}` \
                 or `POST /praxis/v1/approvals/{id}`; then the same call with the same arguments is made once, also by \
                 `praxis/approved` with that id"
            ),
        ),
    };
    CallError::new(ErrorCode::ApprovalNeeded, message)
        .with_hint(hint)
        .with_details(json!({
            "approval": id,
            "state": approval.state,
            "function": function,
            "arguments": approval.shown,
            "digest": approval.digest,
            "reason": approval.reason,
            "expires_ms": approval.expires_ms,
        }))
}

/// That a person refused it.
pub(super) fn refused(approval: &Approval) -> CallError {
    let by = approval.decided_by.as_deref().unwrap_or("a person");
    let note = approval.note.as_deref().map(|note| format!(": {note}"));
    let message = format!(
        "`{}` was refused by {by}{}",
        approval.function,
        note.unwrap_or_default()
    );
    CallError::new(ErrorCode::Denied, message)
        .with_hint("do not call it again with these arguments")
        .with_details(json!({ "approval": approval.id, "state": approval.state }))
}

/// That the policy refuses it.
pub(super) fn denied(function: &str, why: &str) -> CallError {
    CallError::new(
        ErrorCode::Denied,
        format!("`{function}` is not called: {why}"),
    )
    .with_hint("call it with other arguments, or change `[policy]` of the tool's file")
}

/// That there is no such approval, of this caller at least.
pub(super) fn unknown(id: &str) -> CallError {
    let message = format!("there is no approval `{id}` of this caller");
    CallError::new(ErrorCode::NotFound, message)
        .with_hint("give the id that the call which waits was told of, by the same caller")
}

/// That an approval is over.
pub(super) fn over(approval: &Approval) -> CallError {
    let why = match (approval.state, &approval.error) {
        (ApprovalState::Failed, Some(error)) => format!("has failed: {error}"),
        _ => format!("is {}", approval.state.as_str()),
    };
    let message = format!(
        "the call of `{}` under `{}` {why}",
        approval.function, approval.id
    );
    CallError::new(ErrorCode::Denied, message)
        .with_hint("call the function itself again, which asks for a new approval")
}

/// That an approval is for a call which would be another one by now: the tool's file or its schema has changed.
pub(super) fn of_another_call(approval: &Approval) -> CallError {
    let message = format!(
        "the call of `{}` under `{}` would not be the one that was approved: the tool has changed since",
        approval.function, approval.id
    );
    CallError::new(ErrorCode::Denied, message)
        .with_hint("call the function itself again, which asks for a new approval")
}

/// That the tool's own limit has no room.
pub(super) fn limited(tool: &str, refusal: &Refusal) -> CallError {
    let mut error = CallError::from(refusal.clone());
    error.message = format!(
        "the tool `{tool}` may be used for {} by each caller, as its policy says, and there is no room for this call",
        refusal.limit.figure()
    );
    error.hint = Some(match refusal.retry_after {
        Some(wait) => format!("there is room in {} s", wait.as_secs().saturating_add(1)),
        None => "have the limit in `[policy]` of the tool's file raised".to_owned(),
    });
    error
}

/// That nothing can be called by a policy that cannot be read.
pub(super) fn broken(function: &str, problem: &dyn Display) -> CallError {
    let message = format!("`{function}` is not called, since its policy cannot be read: {problem}");
    CallError::new(ErrorCode::Internal, message)
}

/// That nothing can be called whose schema is none.
pub(super) fn without_schema(function: &str) -> CallError {
    let message = format!(
        "the schema of the input of `{function}` is no JSON Schema: its arguments cannot be checked"
    );
    CallError::new(ErrorCode::Internal, message)
}
