//! Reports of what was used.

use praxis_core::ErrorCode;
use serde_json::{Value, json};

use super::kind;
use crate::openapi::operation::Operation;
use crate::openapi::shape::{
    Field, count, flag, has, list, nullable, number, object, only, text, time, with, word,
};
use crate::openapi::{Writer, tags};
use crate::routes::usage::params::{FIELDS, FIELDS_OF_COSTS, LIMITS, USUAL};

/// What all reports say of themselves.
const ABOUT: &str = "In buckets of whole days of UTC. A key's id is its name, a user's is `KEY/USER`, and a project is \
    a tag. A call counts for the day on which it began. Results are grouped by one field at most; a call without it is \
    in no group, and one with two tags is in two. A key that may not read everything sees its own use, and no projects. \
    Lists are parameters that come several times, called `NAME` or `NAME[]`.";

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let used = object(
        "Calls and tokens.",
        [
            kind("organization.usage.completions.result"),
            has("input_tokens", "Tokens of prompts.", count()),
            has(
                "input_cached_tokens",
                "Those of them that came from a cache.",
                count(),
            ),
            has("output_tokens", "Tokens of answers.", count()),
            has("num_model_requests", "Calls.", count()),
            group("project_id", "The tag, where they are grouped by it."),
            group("user_id", "The user, where they are grouped by it."),
            group("api_key_id", "The key, where they are grouped by it."),
            group("model", "The model, where they are grouped by it."),
            has("batch", "Always null.", nullable(flag())),
            has("service_tier", "Always null.", nullable(text())),
        ],
    );
    let embedded = texts("organization.usage.embeddings.result");
    let judged = texts("organization.usage.moderations.result");
    let heard = measured(
        "Transcripts and translations of audio.",
        "organization.usage.audio_transcriptions.result",
        has("seconds", "Seconds of audio, begun ones too.", count()),
    );
    let amount = object(
        "Money.",
        [
            has("value", "How much.", number()),
            has("currency", "Always `usd`.", only("usd")),
        ],
    );
    let spent = object(
        "What it cost.",
        [
            kind("organization.costs.result"),
            has("amount", "What it cost.", amount),
            group("line_item", "The model, where they are grouped by it."),
            group("project_id", "The tag, where they are grouped by it."),
            group("api_key_id", "The key, where they are grouped by it."),
            has("quantity", "Always null.", nullable(number())),
            has("quantity_unit", "Always null.", nullable(text())),
        ],
    );
    let spent = with(
        spent,
        json!({ "additionalProperties": { "type": ["string", "null"] } }),
    );
    for (place, id, summary, reference, name, result, fields) in [
        (
            "usage/completions",
            "getUsageOfCompletions",
            "Calls and tokens",
            "usage/completions",
            "UsageOfCompletions",
            used,
            FIELDS,
        ),
        (
            "usage/embeddings",
            "getUsageOfEmbeddings",
            "Calls and tokens of embeddings",
            "usage/embeddings",
            "UsageOfEmbeddings",
            embedded,
            FIELDS,
        ),
        (
            "usage/moderations",
            "getUsageOfModerations",
            "Calls and tokens of moderations",
            "usage/moderations",
            "UsageOfModerations",
            judged,
            FIELDS,
        ),
        (
            "usage/audio_transcriptions",
            "getUsageOfAudioTranscriptions",
            "Calls and seconds of audio",
            "usage/audio_transcriptions",
            "UsageOfAudioTranscriptions",
            heard,
            FIELDS,
        ),
        (
            "costs",
            "getCosts",
            "What calls cost",
            "usage/costs",
            "Costs",
            spent,
            FIELDS_OF_COSTS,
        ),
    ] {
        let page = to.schemas.name(name, page(result));
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let operation = Operation::get(format!("/v1/organization/{place}"), id)
            .tag(tags::USAGE)
            .openai(reference)
            .says(summary, ABOUT);
        let operation = asked(operation, &names)
            .fails(&[ErrorCode::InvalidRequest])
            .gives("A page of buckets.", page, Value::Null);
        to.add(operation);
    }
}

/// A result of a report on texts that are only read.
fn texts(name: &str) -> Value {
    let tokens = has("input_tokens", "Tokens of texts.", count());
    measured("Calls and tokens.", name, tokens)
}

/// Results that have one measure beside their calls.
fn measured(about: &str, name: &str, measure: Field) -> Value {
    let calls = has("num_model_requests", "Calls.", count());
    object(
        about,
        [kind(name), measure, calls].into_iter().chain(groups()),
    )
}

/// What calls can be grouped by.
fn groups() -> [Field; 4] {
    [
        group("project_id", "The tag, where they are grouped by it."),
        group("user_id", "The user, where they are grouped by it."),
        group("api_key_id", "The key, where they are grouped by it."),
        group("model", "The model, where they are grouped by it."),
    ]
}

/// A field that is null unless results are grouped by it.
fn group(name: &'static str, about: &'static str) -> Field {
    has(name, about, nullable(text()))
}

/// A page of buckets with such results.
fn page(result: Value) -> Value {
    let bucket = object(
        "A day.",
        [
            kind("bucket"),
            has("start_time", "Its first second, since 1970.", time()),
            has("end_time", "The second after its last.", time()),
            has("results", "What was used.", list(result)),
        ],
    );
    object(
        "A page of a report.",
        [
            kind("page"),
            has(
                "data",
                "A bucket for each day, also where nothing was used.",
                list(bucket),
            ),
            has("has_more", "Whether there are days after these.", flag()),
            has(
                "next_page",
                "What to send as `page` for the next days.",
                nullable(text()),
            ),
        ],
    )
}

fn asked(operation: Operation, fields: &[&str]) -> Operation {
    let limit = json!({
        "type": "integer", "minimum": LIMITS.start(), "maximum": LIMITS.end(), "default": USUAL,
    });
    let several = || list(text());
    operation
        .needs("start_time", "From when on, in seconds since 1970.", time())
        .asks(
            "end_time",
            "Until when; until now where it is left out.",
            time(),
        )
        .asks(
            "bucket_width",
            "How long a bucket is: a day.",
            with(only("1d"), json!({ "default": "1d" })),
        )
        .asks(
            "group_by",
            "By what results are grouped.",
            with(list(word(fields)), json!({ "maxItems": 1 })),
        )
        .asks("limit", "The most days.", limit)
        .asks(
            "page",
            "The `next_page` of the page before, with the same times.",
            text(),
        )
        .asks("models", "Only these models.", several())
        .asks("api_key_ids", "Only these keys.", several())
        .asks("user_ids", "Only these users, as `KEY/USER`.", several())
        .asks("project_ids", "Only these tags.", several())
        .asks(
            "batch",
            "`false`, or nothing: no batches are counted.",
            json!({ "type": "boolean", "const": false }),
        )
}
