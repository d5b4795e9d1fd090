//! Traces of calls.

use praxis_core::trace::Span;
use serde_json::{Value, json};

use super::operation::{BY_NAME, Operation};
use super::shape::{described, has, list, object};
use super::{Writer, tags};

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let span = to.schemas.given::<Span>();
    to.schemas.amend("SpanStatus", |mut status| {
        let cases = status.get_mut("oneOf").and_then(Value::as_array_mut);
        for case in cases.into_iter().flatten() {
            if let Some(message) = case.pointer_mut("/properties/message") {
                *message = described(message.take(), "The error.");
            }
        }
        status
    });
    let trace = object(
        "A trace.",
        [has("spans", "Its steps, oldest first.", list(span))],
    );
    let trace = to.schemas.name("Trace", trace);
    let example = json!({ "spans": [{
        "trace_id": "0193cb1c9c0a7d3e8f6b2a4c5d6e7f80",
        "span_id": "0193cb1c9c0b7aa1b2c3d4e5f6071829",
        "parent_id": null,
        "kind": "function",
        "name": "answer",
        "started_ms": 1_800_000_000_000i64,
        "duration_us": 812_000,
        "first_token_us": 96_000,
        "input": { "input": { "question": "Who may borrow books?" } },
        "output": { "text": "Everybody with a card [1]." },
        "usage": { "input_tokens": 412, "cached_tokens": 0, "output_tokens": 9 },
        "cost": 0,
        "status": { "status": "ok" },
    }] });
    to.add(
        Operation::get("/praxis/v1/traces/{id}", "getTrace")
            .tag(tags::TRACES)
            .says(
                "The steps of a call",
                "Functions, searches, questions to models and tools, each with what went in and came out, its time, \
                 tokens and cost. A call that still runs has none yet. Traces of other keys are not found, unless the \
                 key may read everything.",
            )
            .at("id", "The `trace_id` of an answer.")
            .fails(BY_NAME)
            .gives("The trace.", trace, example),
    );
}
