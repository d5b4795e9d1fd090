//! What is served of OpenAI's API, by its names and with its links: our parameters, limits and answers, and what the
//! field `praxis` adds. `docs/http-api.md` tells what differs in more words.

mod audio;
mod batches;
mod chat;
mod completions;
mod conversations;
mod embeddings;
mod files;
mod models;
mod moderations;
mod responses;
mod uploads;
mod usage;
mod vector_stores;

use serde_json::{Value, json};

use super::Writer;
use super::shape::{self, has, kind, may, object, open_object, text, texts, with};
use crate::routes::bias::{MAX_BIAS, MAX_BIASED};

/// What every answer of a model is in.
const OK: &str = "The answer.";

/// Describes all of it.
pub(super) fn describe(to: &mut Writer) {
    for resource in [
        chat::describe,
        completions::describe,
        responses::describe,
        conversations::describe,
        embeddings::describe,
        moderations::describe,
        models::describe,
        audio::describe,
        files::describe,
        uploads::describe,
        batches::describe,
        vector_stores::describe,
        usage::describe,
    ] {
        resource(to);
    }
}

/// A list of these.
fn page(of: Value) -> Value {
    shape::page("A page of a list.", of)
}

/// What is answered for something that was deleted.
fn deleted(name: &str) -> Value {
    object(
        "That it is deleted.",
        [
            has("id", "What its id was.", text()),
            kind(name),
            has(
                "deleted",
                "Always true.",
                json!({ "type": "boolean", "const": true }),
            ),
        ],
    )
}

/// Facts that a client keeps with something.
fn metadata() -> Value {
    with(texts(), json!({ "maxProperties": 16 }))
}

/// Within which limits a client says what is added to logits.
fn biases() -> Value {
    json!({
        "maxProperties": MAX_BIASED,
        "propertyNames": { "pattern": "^[0-9]{1,9}$" },
        "additionalProperties": { "type": "number", "minimum": -MAX_BIAS, "maximum": MAX_BIAS },
    })
}

/// What Praxis adds to answers that need not be a function's.
fn traced() -> Value {
    open_object(
        "What Praxis adds: of a function's answer also `citations` and `refused`.",
        [may(
            "trace_id",
            "The call's trace, for `GET /praxis/v1/traces/{id}`.",
            text(),
        )],
    )
}
