//! Vectors of texts.

use serde_json::json;

use super::kind;
use crate::openapi::operation::Operation;
use crate::openapi::schemas::says;
use crate::openapi::shape::{any_of, count, has, list, number, object, text};
use crate::openapi::{Writer, tags};
use crate::routes::embeddings::{MAX_INPUTS, Request};

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let body = to.schemas.taken::<Request>([
        says(
            "model",
            "The embedding model; where it is empty or left out, the application's.",
        ),
        says(
            "input",
            "A text, or up to 2,048 of them; for OpenAI's models also as tokens.",
        ),
        says(
            "encoding_format",
            "How vectors are written: `float`, or `base64` of little-endian floats.",
        )
        .within(json!({ "enum": ["float", "base64", null] })),
        says(
            "dimensions",
            "The length of the vectors, for models that give more than one; others have their own alone.",
        )
        .within(json!({ "minimum": 1 })),
        says(
            "user",
            "Who asks, as the client calls them; limits may hold for each user.",
        ),
    ]);
    to.schemas.amend("EmbeddingInput", |_| {
        let token = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
        json!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": MAX_INPUTS },
            { "type": "array", "items": token, "minItems": 1 },
            {
                "type": "array",
                "items": { "type": "array", "items": token, "minItems": 1 },
                "minItems": 1,
                "maxItems": MAX_INPUTS,
            },
        ] })
    });
    let vector = any_of(&[list(number()), text()]);
    let embedding = object(
        "A vector.",
        [
            kind("embedding"),
            has("index", "The text's place in the request, from 0.", count()),
            has(
                "embedding",
                "The vector, of length 1; a text where `base64` was asked for.",
                vector,
            ),
        ],
    );
    let embedding = to.schemas.name("Embedding", embedding);
    let usage = object(
        "Tokens.",
        [
            has("prompt_tokens", "Tokens of the texts.", count()),
            has("total_tokens", "The same.", count()),
        ],
    );
    let answer = object(
        "Vectors.",
        [
            kind("list"),
            has("data", "A vector for each text, in order.", list(embedding)),
            has("model", "The model, as the request named it.", text()),
            has("usage", "Tokens that were read.", usage),
        ],
    );
    let answer = to.schemas.name("EmbeddingList", answer);
    to.add(
        Operation::post("/v1/embeddings", "createEmbedding")
            .tag(tags::EMBEDDINGS)
            .openai("embeddings/create")
            .says(
                "Turn texts into vectors",
                "One vector a text, of length 1. Texts that are longer than the model reads are cut at their ends. \
                 `input_type` is ours.",
            )
            .takes(body, &[
                ("a text", json!({ "model": "multilingual-e5-small", "input": "a red coat" })),
                (
                    "questions",
                    json!({
                        "model": "multilingual-e5-small",
                        "input": ["Who may borrow books?", "谁可以借书？"],
                        "input_type": "query",
                    }),
                ),
            ])
            .paid()
            .gives(
                super::OK,
                answer,
                json!({
                    "object": "list",
                    "data": [{ "object": "embedding", "index": 0, "embedding": [0.6, 0.8] }],
                    "model": "multilingual-e5-small",
                    "usage": { "prompt_tokens": 4, "total_tokens": 4 },
                }),
            ),
    );
}
