//! Calls of tools that wait for a person, and the log of all calls.

use praxis_core::Approval;
use praxis_core::approval::{ApprovalState, Outcome};
use praxis_store::LoggedCall;
use serde_json::{Value, json};

use super::operation::{BY_NAME, Operation};
use super::schemas::says;
use super::shape::{count, flag, has, kind, limit, list, nullable, object, page, text, with, word};
use super::{Writer, tags};
use crate::routes::approvals::{Decide, MOST_NOTE};
use crate::routes::paging::SHORT;

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let approval = to.schemas.given::<Approval>();
    lists(to, &approval);
    waiting(to);
    decisions(to, approval);
    log(to);
}

/// An operation with the parameters of a list.
fn paged(operation: Operation, after: &str) -> Operation {
    operation
        .asks("limit", "The most items.", limit(SHORT))
        .asks(
            "order",
            "By time: the newest first (`desc`), or the oldest.",
            with(word(&["asc", "desc"]), json!({ "default": "desc" })),
        )
        .asks("after", after, text())
        .fails(&[praxis_core::ErrorCode::InvalidRequest])
}

fn lists(to: &mut Writer, approval: &Value) {
    let page = page("A page of approvals.", approval.clone());
    let page = to.schemas.name("ApprovalList", page);
    let states = ApprovalState::ALL.map(ApprovalState::as_str);
    let operation = Operation::get("/praxis/v1/approvals", "listApprovals")
        .tag(tags::APPROVALS)
        .says(
            "List approvals",
            "Calls of tools that wait for a person, and what became of them: those of the key, and those of keys that may \
             read no more than it may.",
        )
        .asks("state", "Only those that stand so.", word(&states))
        .asks("before", "The id of the item before which items are wanted.", text())
        .gives("A page of approvals.", page, Value::Null);
    to.add(paged(
        operation,
        "The id of the item after which items are wanted.",
    ));
}

fn waiting(to: &mut Writer) {
    let schema = object(
        "How many calls wait.",
        [
            kind("approvals.waiting"),
            has("count", "How many the key may decide on.", count()),
        ],
    );
    let schema = to.schemas.name("WaitingApprovals", schema);
    let example = json!({ "object": "approvals.waiting", "count": 2 });
    to.add(
        Operation::get("/praxis/v1/approvals/waiting", "countWaitingApprovals")
            .tag(tags::APPROVALS)
            .says(
                "Count approvals that wait",
                "How many calls wait for a person that the key may decide on: those that it may see, but for what it \
                 asked for itself.",
            )
            .gives("The number.", schema, example),
    );
}

fn decisions(to: &mut Writer, approval: Value) {
    let waits = json!({
        "id": "approval-0193cb1c9c0a7d3e8f6b2a4c5d6e7f80",
        "state": "pending",
        "function": "shop/refund",
        "effects": ["write", "irreversible"],
        "arguments": { "order": "2026-118", "amount": 40 },
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "reason": "what it does cannot be undone",
        "caller": { "name": "website", "labels": [] },
        "user": null,
        "trace_id": "0193cb1c9c0a7d3e8f6b2a4c5d6e7f80",
        "created_ms": 1_800_000_000_000i64,
        "expires_ms": 1_800_086_400_000i64,
        "decided_ms": null,
        "decided_by": null,
        "note": null,
        "consumed_ms": null,
        "ended_ms": null,
        "result": null,
        "error": null,
    });
    let by_id = "/praxis/v1/approvals/{id}";
    let about_id = "The `approval` of the `details` of an `approval_needed`.";
    to.add(
        Operation::get(by_id, "getApproval")
            .tag(tags::APPROVALS)
            .says(
                "One approval",
                "Where it stands, and what the call gave once it was made.",
            )
            .at("id", about_id)
            .fails(BY_NAME)
            .gives("The approval.", approval.clone(), waits),
    );
    let body = to.schemas.taken::<Decide>([
        says("decision", "`approve` lets the call be made once, `deny` does not, and takes an approval back."),
        says("note", "What is said about it; the caller reads it.").within(json!({ "maxLength": MOST_NOTE })),
        says(
            "again",
            "With `approve`: also where the call was begun and its end is not known. It may have been made: look first.",
        ),
    ]);
    to.add(
        Operation::post(by_id, "decideApproval")
            .tag(tags::APPROVALS)
            .says(
                "Approve or deny a call",
                "An approval is for one call with these arguments of this caller. Nobody approves what its own key asked \
                 for. After it is approved the same call, made again, is made once; `praxis/approved` makes it by the id.",
            )
            .at("id", about_id)
            .takes(body, &[("an approval", json!({ "decision": "approve", "note": "as agreed" }))])
            .fails(BY_NAME)
            .gives("The approval as it is now.", approval, Value::Null),
    );
}

fn log(to: &mut Writer) {
    let entry = to.schemas.given::<LoggedCall>();
    let page = object(
        "A page of the log.",
        [
            kind("list"),
            has("data", "The entries.", list(entry)),
            has("has_more", "Whether there are entries after these.", flag()),
            has(
                "last",
                "The number of the last entry, for `after`; none where there is none.",
                nullable(count()),
            ),
        ],
    );
    let page = to.schemas.name("ToolCallPage", page);
    let operation = Operation::get("/praxis/v1/audit", "listToolCalls")
        .tag(tags::APPROVALS)
        .says(
            "The log of calls of tools",
            "Every call, also those that were refused: who, which function, with what, why it was let through or not, and \
             what became of it. Entries are never changed; they are kept for 90 days.",
        )
        .asks(
            "tool",
            "Only calls of this tool (`shop`), or of this one function (`shop/refund`).",
            text(),
        )
        .asks(
            "outcome",
            "Only entries with this outcome.",
            word(&Outcome::ALL.map(Outcome::as_str)),
        )
        .gives("A page of the log.", page, Value::Null);
    to.add(paged(
        operation,
        "The number of the entry after which entries are wanted.",
    ));
}
