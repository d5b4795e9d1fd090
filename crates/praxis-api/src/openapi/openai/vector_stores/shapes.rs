//! What vector stores, their files and batches are in answers, and what the parts of requests mean.

use serde_json::{Value, json};

use super::super::{kind, metadata, page};
use crate::openapi::schemas::{Schemas, says};
use crate::openapi::shape::{
    any_of, count, flag, has, may, named, nullable, number, object, only, text, time, word,
};
use crate::routes::vector_stores::CHUNK_TOKENS;
use crate::routes::vector_stores::stores::DAYS;

/// Names them all.
pub(super) fn shapes(schemas: &mut Schemas) {
    let counts = object(
        "How many files there are.",
        [
            has("in_progress", "Files that are being read.", count()),
            has("completed", "Files that are found.", count()),
            has("failed", "Files that could not be read.", count()),
            has("cancelled", "Files that were called off.", count()),
            has("total", "All of them.", count()),
        ],
    );
    schemas.name("FileCounts", counts);
    let expiry = object(
        "When it expires.",
        [
            has("anchor", "From when on.", only("last_active_at")),
            has("days", "After how many days.", count()),
        ],
    );
    let store = object(
        "Documents that clients threw in: a knowledge base whose name is its id.",
        [
            has("id", "Its id.", text()),
            kind("vector_store"),
            has(
                "created_at",
                "When it was made, in seconds since 1970.",
                time(),
            ),
            has("name", "Its name.", text()),
            may("description", "What it is for.", text()),
            has("usage_bytes", "Bytes of the texts in it.", count()),
            has("file_counts", "How many files it has.", named("FileCounts")),
            has(
                "status",
                "Whether all of its files are read, or it has expired.",
                word(&["in_progress", "completed", "expired"]),
            ),
            may("expires_after", "When it expires.", expiry),
            has(
                "expires_at",
                "When it expires, in seconds since 1970.",
                nullable(time()),
            ),
            has(
                "last_active_at",
                "When it was last searched or changed.",
                nullable(time()),
            ),
            has(
                "metadata",
                "Facts that are kept with it.",
                nullable(metadata()),
            ),
        ],
    );
    schemas.name("VectorStore", store);
    let error = object(
        "Why it could not be read.",
        [
            has(
                "code",
                "`unsupported_file` for a format that is not read, `invalid_file` for one that is damaged, empty, \
                 behind a password or too large, `server_error` for what is not the file's fault.",
                word(&["unsupported_file", "invalid_file", "server_error"]),
            ),
            has("message", "What is wrong, and the fix.", text()),
        ],
    );
    let sizes = object(
        "The size of its chunks.",
        [
            has(
                "max_chunk_size_tokens",
                "Tokens of a chunk at most.",
                count(),
            ),
            has(
                "chunk_overlap_tokens",
                "What was asked for; chunks follow the structure and do not overlap.",
                count(),
            ),
        ],
    );
    let chunking = object(
        "How it is cut.",
        [
            has("type", "Always `static`.", only("static")),
            has("static", "The size of its chunks.", sizes),
        ],
    );
    let file = object(
        "A file in a vector store.",
        [
            has("id", "The file's id.", text()),
            kind("vector_store.file"),
            has("usage_bytes", "Bytes of its text.", count()),
            has(
                "created_at",
                "When it was added, in seconds since 1970.",
                time(),
            ),
            has("vector_store_id", "The vector store.", text()),
            has(
                "status",
                "Where it stands; what is `completed` is found by the next search.",
                word(&["in_progress", "completed", "cancelled", "failed"]),
            ),
            has("last_error", "Why it could not be read.", nullable(error)),
            has("chunking_strategy", "How it is cut.", chunking),
            has(
                "attributes",
                "What searches filter by.",
                nullable(attributes()),
            ),
        ],
    );
    schemas.name("VectorStoreFile", file);
    let batch = object(
        "Files that were added together.",
        [
            has("id", "Its id.", text()),
            kind("vector_store.files_batch"),
            has(
                "created_at",
                "When it was made, in seconds since 1970.",
                time(),
            ),
            has("vector_store_id", "The vector store.", text()),
            has(
                "status",
                "Where it stands.",
                word(&["in_progress", "completed", "cancelled", "failed"]),
            ),
            has("file_counts", "Its files.", named("FileCounts")),
        ],
    );
    schemas.name("VectorStoreFileBatch", batch);
    schemas.name("VectorStoreList", page(named("VectorStore")));
    schemas.name("VectorStoreFileList", page(named("VectorStoreFile")));
    words(schemas);
}

/// Texts, numbers and truth values by key.
pub(super) fn attributes() -> Value {
    json!({
        "type": "object",
        "additionalProperties": any_of(&[text(), number(), flag()]),
    })
}

/// What the parts of requests mean.
fn words(schemas: &mut Schemas) {
    schemas.explain("ChunkSizes", [
        says("max_chunk_size_tokens", "Tokens of a chunk at most, as far as the embedder reads.")
            .within(json!({ "minimum": CHUNK_TOKENS.start(), "maximum": CHUNK_TOKENS.end() })),
        says(
            "chunk_overlap_tokens",
            "At most half of that. It is kept and has no effect: chunks follow the structure and do not overlap.",
        ),
    ]);
    schemas.explain(
        "VectorStoreExpiry",
        [
            says("anchor", "From when on."),
            says("days", "After how many days.")
                .within(json!({ "minimum": DAYS.start(), "maximum": DAYS.end() })),
        ],
    );
    schemas.explain(
        "VectorStoreRanking",
        [
            says(
                "ranker",
                "`none` turns off a rerank; `auto` leaves it as the base has it.",
            ),
            says("score_threshold", "Hits below this score are left out.")
                .within(json!({ "minimum": 0, "maximum": 1 })),
        ],
    );
}
