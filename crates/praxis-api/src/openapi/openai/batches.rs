//! Many requests that nobody waits for.

use praxis_core::ErrorCode;
use serde_json::{Value, json};

use super::{kind, metadata, page};
use crate::openapi::operation::{BY_NAME, Operation};
use crate::openapi::schemas::says;
use crate::openapi::shape::{count, described, has, list, may, nullable, object, text, time, word};
use crate::openapi::{Writer, tags};
use crate::routes::batches::{Create, ENDPOINTS, WINDOW};
use crate::routes::paging::SHORT;

/// Where a batch may stand.
const STATUSES: &[&str] = &[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
];

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let batch = to.schemas.name("Batch", batch());
    let all = to.schemas.name("BatchList", page(batch.clone()));
    let begin = to.schemas.taken::<Create>([
        says(
            "input_file_id",
            "A file of purpose `batch`: on each line a request, with `custom_id`, `method`, `url` and `body`.",
        ),
        says("endpoint", "Where its requests go.").within(json!({ "enum": ENDPOINTS })),
        says("completion_window", "Within which time.").within(json!({ "enum": [WINDOW] })),
        says("metadata", "Facts to keep with it: up to 16 keys of 64 characters, with values of 512."),
        says("output_expires_after", "When the files with its answers go."),
    ]);
    let example = json!({
        "input_file_id": "file-0193cb1c", "endpoint": "/v1/chat/completions", "completion_window": "24h",
    });
    to.add(
        Operation::post("/v1/batches", "createBatch")
            .tag(tags::BATCHES)
            .openai("batch/create")
            .says(
                "Have many requests done",
                "They are answered when there is room, after those that somebody waits for.",
            )
            .takes(begin, &[("chats", example)])
            .fails(&[
                ErrorCode::NotFound,
                ErrorCode::RateLimited,
                ErrorCode::QuotaExceeded,
            ])
            .gives("The batch.", batch.clone(), json!(null)),
    );
    let list = Operation::get("/v1/batches", "listBatches")
        .tag(tags::BATCHES)
        .openai("batch/list")
        .says("List batches", "Those that the caller may see.")
        .fails(&[ErrorCode::InvalidRequest])
        .gives("A page of batches.", all, json!(null));
    to.add(list.paged(SHORT));
    to.add(
        Operation::get("/v1/batches/{batch}", "retrieveBatch")
            .tag(tags::BATCHES)
            .openai("batch/retrieve")
            .says("One batch", "Where it stands.")
            .at("batch", "The batch's id.")
            .fails(BY_NAME)
            .gives("The batch.", batch.clone(), json!(null)),
    );
    to.add(
        Operation::post("/v1/batches/{batch}/cancel", "cancelBatch")
            .tag(tags::BATCHES)
            .openai("batch/cancel")
            .says(
                "Call a batch off",
                "Requests that are answered already stay in its output.",
            )
            .at("batch", "The batch's id.")
            .fails(BY_NAME)
            .gives("The batch.", batch, json!(null)),
    );
}

fn batch() -> Value {
    let counts = object(
        "Its requests.",
        [
            has(
                "total",
                "All of them; none before its file was read.",
                count(),
            ),
            has("completed", "Those that were answered.", count()),
            has("failed", "Those that failed.", count()),
        ],
    );
    let of = |name: &'static str, about: &'static str| {
        let of = object("A part of the tokens.", [has(name, about, count())]);
        described(of, "Of these.")
    };
    let usage = object(
        "Tokens in and out.",
        [
            has("input_tokens", "Tokens of the requests.", count()),
            has(
                "input_tokens_details",
                "Of these.",
                of("cached_tokens", "Those that came from a cache."),
            ),
            has("output_tokens", "Tokens of the answers.", count()),
            has(
                "output_tokens_details",
                "Of these.",
                of("reasoning_tokens", "Those that models thought with."),
            ),
            has("total_tokens", "Both.", count()),
        ],
    );
    let error = object(
        "What is wrong.",
        [
            has("code", "For programs.", text()),
            has("line", "The line of the file, from 1.", nullable(count())),
            has("message", "For people.", text()),
            has("param", "The field.", nullable(text())),
        ],
    );
    let errors = object(
        "What is wrong with its file.",
        [kind("list"), has("data", "The mistakes.", list(error))],
    );
    object(
        "Many requests that nobody waits for.",
        [
            has("id", "Its id.", text()),
            kind("batch"),
            has("endpoint", "Where its requests go.", text()),
            may("model", "The model of its requests.", text()),
            may("errors", "What is wrong with its file.", errors),
            has("input_file_id", "The file with its requests.", text()),
            has("completion_window", "Within which time.", text()),
            has("status", "Where it stands.", word(STATUSES)),
            may("output_file_id", "The file with the answers.", text()),
            may(
                "error_file_id",
                "The file with the requests that failed.",
                text(),
            ),
            has(
                "created_at",
                "When it was made, in seconds since 1970.",
                time(),
            ),
            may("in_progress_at", "When it was begun.", time()),
            has("expires_at", "When it expires.", time()),
            may("finalizing_at", "When its files were begun.", time()),
            may("completed_at", "When it was done.", time()),
            may("failed_at", "When it failed.", time()),
            may("expired_at", "When it expired.", time()),
            may("cancelling_at", "When it was called off.", time()),
            may("cancelled_at", "When it was over.", time()),
            has("request_counts", "Its requests.", counts),
            has("usage", "Tokens in and out.", usage),
            has(
                "metadata",
                "Facts that are kept with it.",
                nullable(metadata()),
            ),
        ],
    )
}
