//! Traces of calls, and what people say of them.

use praxis_core::ErrorCode;
use praxis_core::trace::{Span, SpanKind};
use praxis_store::{Feedback, Thumb, TraceEnd, TraceHead};
use serde_json::{Value, json};

use super::operation::{BY_NAME, Operation};
use super::schemas::says;
use super::shape::{described, has, list, object, page, text, time, word};
use super::{Writer, tags};
use crate::routes::feedback::{Give, MOST_COMMENT, MOST_NAME};
use crate::routes::paging::SHORT;

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let feedback = to.schemas.given::<Feedback>();
    traces(to);
    trace(to, &feedback);
    all_feedback(to, &feedback);
    give(to, feedback);
}

fn traces(to: &mut Writer) {
    let head = to.schemas.given::<TraceHead>();
    let page = page("A page of traces.", head);
    let page = to.schemas.name("TraceList", page);
    let operation = Operation::get("/praxis/v1/traces", "listTraces")
        .tag(tags::TRACES)
        .says(
            "List traces",
            "Calls that have ended, each with its first step and with the tokens and cost of all: those of the key, and of \
             all keys where it may read everything.",
        )
        .asks(
            "name",
            "Only those whose first step has this name: a function's, or a model's.",
            text(),
        )
        .asks(
            "kind",
            "Only those whose first step is of this kind.",
            word(&SpanKind::ALL.map(SpanKind::as_str)),
        )
        .asks(
            "status",
            "Only those that ended so.",
            word(&TraceEnd::ALL.map(TraceEnd::as_str)),
        )
        .asks("key", "Only those of the key of this name.", text())
        .asks(
            "since_ms",
            "Only those that began then or later, in milliseconds since 1970.",
            time(),
        )
        .asks(
            "before_ms",
            "Only those that began before then, in milliseconds since 1970.",
            time(),
        )
        .asks(
            "thumb",
            "Only those of which somebody said so.",
            word(&Thumb::ALL.map(Thumb::as_str)),
        )
        .gives("A page of traces.", page, Value::Null);
    to.add(operation.paged(SHORT).fails(&[ErrorCode::InvalidRequest]));
}

fn all_feedback(to: &mut Writer, feedback: &Value) {
    let page = page("A page of feedback.", feedback.clone());
    let page = to.schemas.name("FeedbackList", page);
    let operation = Operation::get("/praxis/v1/feedback", "listFeedback")
        .tag(tags::TRACES)
        .says(
            "List feedback",
            "What people said of the calls whose traces the key sees.",
        )
        .asks("trace_id", "Only what was said of this call.", text())
        .asks(
            "thumb",
            "Only what has this thumb.",
            word(&Thumb::ALL.map(Thumb::as_str)),
        )
        .gives("A page of feedback.", page, Value::Null);
    to.add(operation.paged(SHORT).fails(&[ErrorCode::InvalidRequest]));
}

fn give(to: &mut Writer, feedback: Value) {
    let body = to.schemas.taken::<Give>([
        says("trace_id", "The `trace_id` of an answer, whole."),
        says("thumb", "Whether the answer was good."),
        says("score", "How good it was, from 0 to 1.")
            .within(json!({ "minimum": 0, "maximum": 1 })),
        says("comment", "In words.").within(json!({ "maxLength": MOST_COMMENT })),
        says("by", "Who says so, as you call your users.")
            .within(json!({ "maxLength": MOST_NAME })),
    ]);
    let example = json!({
        "id": "feedback-0193cb1c9c0a7d3e8f6b2a4c5d6e7f81",
        "trace_id": "0193cb1c9c0a7d3e8f6b2a4c5d6e7f80",
        "thumb": "down",
        "score": null,
        "comment": "The card is not needed any more.",
        "by": "ada",
        "key": "website",
        "created_ms": 1_800_000_060_000i64,
    });
    let sent = json!({
        "trace_id": "0193cb1c9c0a7d3e8f6b2a4c5d6e7f80",
        "thumb": "down",
        "comment": "The card is not needed any more.",
        "by": "ada",
    });
    to.add(
        Operation::post("/praxis/v1/feedback", "giveFeedback")
            .tag(tags::TRACES)
            .says(
                "Say something of a call",
                "A thumb, a score, a comment, or several of them, on a call whose trace the key sees. It is kept with the \
                 trace. Of one call 100 are kept, and none is ever changed.",
            )
            .takes(body, &[("a thumb", sent)])
            .fails(BY_NAME)
            .gives("What is kept.", feedback, example),
    );
}

fn trace(to: &mut Writer, feedback: &Value) {
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
        [
            has("spans", "Its steps, oldest first.", list(span)),
            has(
                "feedback",
                "What was said of it, oldest first.",
                list(feedback.clone()),
            ),
        ],
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
    }], "feedback": [] });
    to.add(
        Operation::get("/praxis/v1/traces/{id}", "getTrace")
            .tag(tags::TRACES)
            .says(
                "The steps of a call",
                "Functions, searches, questions to models and tools, each with what went in and came out, its time, \
                 tokens and cost, and what people said of it. A call that still runs has none yet. Traces of other keys are not found, unless the \
                 key may read everything.",
            )
            .at("id", "The `trace_id` of an answer.")
            .fails(BY_NAME)
            .gives("The trace.", trace, example),
    );
}
