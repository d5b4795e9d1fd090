//! Answers of chats, whole and in pieces.

use praxis_core::{Citation, FinishReason, TokenLogprob};
use serde_json::{Value, json};

use super::super::kind;
use crate::openapi::schemas::Schemas;
use crate::openapi::shape::{
    count, flag, has, list, may, named, nullable, number, object, only, text, time,
};

/// Tokens of an answer.
pub(super) fn usage(schemas: &mut Schemas) {
    let prompt = object(
        "Of the prompt's tokens.",
        [
            has("cached_tokens", "Those that came from a cache.", count()),
            has(
                "cache_write_tokens",
                "Those that were written into a provider's cache.",
                count(),
            ),
        ],
    );
    let completion = object(
        "Of the answer's tokens.",
        [
            has(
                "reasoning_tokens",
                "Those that the model thought with.",
                count(),
            ),
            has(
                "forced_tokens",
                "Those that a constraint left no choice about.",
                count(),
            ),
        ],
    );
    let usage = object(
        "Tokens in and out.",
        [
            has("prompt_tokens", "Tokens of the prompt.", count()),
            has("completion_tokens", "Tokens of the answer.", count()),
            has("total_tokens", "Both.", count()),
            has("prompt_tokens_details", "Of the prompt's tokens.", prompt),
            has(
                "completion_tokens_details",
                "Of the answer's tokens.",
                completion,
            ),
        ],
    );
    schemas.name("CompletionUsage", usage);
}

/// What Praxis adds to an answer.
pub(super) fn extension(schemas: &mut Schemas) {
    let citation = schemas.given::<Citation>();
    let ours = object(
        "What Praxis adds to an answer.",
        [
            has(
                "trace_id",
                "The call's trace, for `GET /praxis/v1/traces/{id}`.",
                text(),
            ),
            has(
                "citations",
                "The passages that marks such as `[1]` point to.",
                list(citation),
            ),
            has(
                "refused",
                "Whether the function declined to answer; null where a model answered.",
                nullable(flag()),
            ),
            may(
                "confidence",
                "Share of the samples that agree with the answer, where there was a vote.",
                number(),
            ),
        ],
    );
    schemas.name("PraxisExtension", ours);
}

fn annotations() -> Value {
    let citation = object(
        "Where the mark stands, and where it leads.",
        [
            has(
                "start_index",
                "The mark's first character in the text.",
                count(),
            ),
            has("end_index", "The character after it.", count()),
            has("title", "The document's title.", text()),
            has("url", "The passage in the console.", text()),
        ],
    );
    list(object(
        "A mark such as `[1]`.",
        [
            has("type", "Always `url_citation`.", only("url_citation")),
            has("url_citation", "The citation.", citation),
        ],
    ))
}

/// The message of a whole answer.
pub(super) fn message(schemas: &mut Schemas) -> Value {
    let function = object(
        "What the model wants called.",
        [
            has("name", "The tool's name.", text()),
            has(
                "arguments",
                "The arguments, the text of a JSON object.",
                text(),
            ),
        ],
    );
    let call = object(
        "A call that the model wants made.",
        [
            has("id", "The call's id, which its result carries too.", text()),
            has("type", "Always `function`.", only("function")),
            has("function", "What is called.", function),
        ],
    );
    let call = schemas.name("ChatCompletionToolCall", call);
    object(
        "The answer.",
        [
            has("role", "Always `assistant`.", only("assistant")),
            has(
                "content",
                "The text; null where there are calls alone.",
                nullable(text()),
            ),
            has("refusal", "Always null.", json!({ "type": "null" })),
            has(
                "annotations",
                "The marks of the text that cite something.",
                annotations(),
            ),
            may("tool_calls", "What the model wants called.", list(call)),
            may(
                "reasoning_content",
                "What the model thought aloud before it answered.",
                text(),
            ),
        ],
    )
}

fn logprobs(schemas: &mut Schemas) -> Value {
    let token = schemas.given::<TokenLogprob>();
    nullable(object(
        "Log probabilities.",
        [
            has("content", "One for each token.", list(token)),
            has("refusal", "Always null.", json!({ "type": "null" })),
        ],
    ))
}

/// A whole answer.
pub(super) fn answer(schemas: &mut Schemas, message: Value) -> Value {
    let choice = object(
        "The one answer.",
        [
            has("index", "Always 0.", count()),
            has("message", "The answer.", message),
            has(
                "logprobs",
                "Log probabilities, where they were asked for.",
                logprobs(schemas),
            ),
            has(
                "finish_reason",
                "Why it ended.",
                schemas.given::<FinishReason>(),
            ),
        ],
    );
    let answer = object(
        "An answer.",
        [
            has("id", "The answer's id.", text()),
            kind("chat.completion"),
            has("created", "When, in seconds since 1970.", time()),
            has("model", "The model, as the request named it.", text()),
            has("choices", "The one answer.", list(choice)),
            has("usage", "Tokens in and out.", named("CompletionUsage")),
            has("praxis", "What Praxis adds.", named("PraxisExtension")),
        ],
    );
    schemas.name("ChatCompletion", answer)
}

/// A piece of one.
pub(super) fn chunk(schemas: &mut Schemas) -> Value {
    let call = object(
        "A piece of a call.",
        [
            has(
                "index",
                "Which of the answer's calls it belongs to.",
                count(),
            ),
            may("id", "The call's id, with its first piece.", text()),
            may(
                "type",
                "Always `function`, with its first piece.",
                only("function"),
            ),
            has(
                "function",
                "The tool's name, with its first piece, and more text of the arguments.",
                object(
                    "A piece of what is called.",
                    [
                        may("name", "The tool's name.", text()),
                        has("arguments", "More text of the arguments.", text()),
                    ],
                ),
            ),
        ],
    );
    let delta = object(
        "What is new.",
        [
            may(
                "role",
                "Always `assistant`, in the first piece.",
                only("assistant"),
            ),
            may("content", "More text.", text()),
            may(
                "reasoning_content",
                "More of what the model thinks.",
                text(),
            ),
            may("tool_calls", "Pieces of calls.", list(call)),
            may(
                "annotations",
                "The marks of the whole text, in the last piece.",
                annotations(),
            ),
        ],
    );
    let choice = object(
        "The one answer.",
        [
            has("index", "Always 0.", count()),
            has("delta", "What is new.", delta),
            may(
                "logprobs",
                "Log probabilities, where they were asked for.",
                logprobs(schemas),
            ),
            has(
                "finish_reason",
                "Why the answer ended, in its last piece.",
                nullable(schemas.given::<FinishReason>()),
            ),
        ],
    );
    object(
        "A piece of a streamed answer.",
        [
            has("id", "The answer's id, the same in all pieces.", text()),
            kind("chat.completion.chunk"),
            has(
                "created",
                "When the answer began, in seconds since 1970.",
                time(),
            ),
            has("model", "The model, as the request named it.", text()),
            has(
                "choices",
                "The one answer; none in a piece that tells the usage.",
                list(choice),
            ),
            may(
                "usage",
                "Tokens in and out, in the last piece.",
                named("CompletionUsage"),
            ),
            may(
                "praxis",
                "What Praxis adds, where the answer ends.",
                named("PraxisExtension"),
            ),
        ],
    )
}
