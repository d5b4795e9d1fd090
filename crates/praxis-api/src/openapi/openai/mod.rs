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

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::Writer;
use super::operation::Operation;
use super::shape::{
    Field, flag, has, list, may, object, only, open_object, text, texts, with, word,
};

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

/// A list as OpenAI's API pages them.
fn page(of: Value) -> Value {
    object(
        "A page of a list.",
        [
            kind("list"),
            has(
                "first_id",
                "The first item's id; empty where there is none.",
                text(),
            ),
            has(
                "last_id",
                "The last item's id, for `after`; empty where there is none.",
                text(),
            ),
            has("has_more", "Whether there are items after these.", flag()),
            has("data", "The items.", list(of)),
        ],
    )
}

/// An operation with the parameters of a list that is paged so.
fn paged(operation: Operation, limits: (RangeInclusive<usize>, usize)) -> Operation {
    let (range, usual) = limits;
    let limit = json!({
        "type": "integer", "minimum": range.start(), "maximum": range.end(), "default": usual,
    });
    operation
        .asks("limit", "The most items.", limit)
        .asks(
            "order",
            "By the time when they were made: the newest first (`desc`), or the oldest.",
            with(word(&["asc", "desc"]), json!({ "default": "desc" })),
        )
        .asks(
            "after",
            "The id of the item after which items are wanted.",
            text(),
        )
        .asks(
            "before",
            "The id of the item before which items are wanted.",
            text(),
        )
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

/// What kind of thing it is, as every thing of OpenAI's says.
fn kind(name: &str) -> Field {
    has("object", "What kind of thing it is.", only(name))
}
