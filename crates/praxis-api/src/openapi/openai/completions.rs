//! How a text goes on: OpenAI's older API.

use serde_json::{Value, json};

use super::{biases, kind, traced};
use crate::openapi::operation::Operation;
use crate::openapi::schemas::{Schemas, says};
use crate::openapi::shape::{
    count, has, list, may, named, nullable, number, object, text, time, word,
};
use crate::openapi::{Writer, tags};
use crate::routes::completions::{DEFAULT_TOKENS, MAX_ANSWERS, MAX_LOGPROBS, Request};

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let body = request(&mut to.schemas);
    let answer = to.schemas.name("Completion", answer());
    let event = object(
        "A piece of a streamed answer. The last of them is `[DONE]`, unless it is an error.",
        [has(
            "data",
            "A `Completion` in JSON with the new text, or `[DONE]`; an `Error` where it broke off.",
            text(),
        )],
    );
    let event = to.schemas.name("CompletionEvent", event);
    to.add(
        Operation::post("/v1/completions", "createCompletion")
            .tag(tags::COMPLETIONS)
            .openai("completions/create")
            .says(
                "Go on with a text",
                "The model reads the text as it is, without the form of a conversation, or fills the gap before \
                 `suffix`. With `stream: true` the answer comes as server-sent events. Functions answer conversations, \
                 and not here.",
            )
            .takes(body, &[(
                "a text",
                json!({ "model": "smollm2-135m-instruct", "prompt": "Once upon a time", "max_tokens": 16 }),
            )])
            .paid()
            .gives(super::OK, answer, Value::Null)
            .gives_as("text/event-stream", "The pieces of the answer.", event, &[]),
    );
}

fn request(schemas: &mut Schemas) -> Value {
    schemas.amend("CompletionPrompt", |_| {
        json!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" } },
        ] })
    });
    let between = |least: i32, most: i32| json!({ "minimum": least, "maximum": most });
    let answers = json!({ "minimum": 1, "maximum": MAX_ANSWERS, "default": 1 });
    schemas.taken::<Request>([
        says("model", "The model."),
        says(
            "prompt",
            "The text, or several texts; nothing is the beginning of a new one.",
        ),
        says(
            "suffix",
            "What comes after the answer, for models that can write between two texts.",
        ),
        says("max_tokens", "The most tokens of the answer.")
            .within(json!({ "minimum": 1, "default": DEFAULT_TOKENS })),
        says(
            "temperature",
            "How freely tokens are chosen; 0 takes the likeliest.",
        )
        .within(between(0, 2)),
        says(
            "top_p",
            "Only the likeliest tokens that have this probability together.",
        )
        .within(between(0, 1)),
        says(
            "top_k",
            "Only so many of the likeliest tokens; 0 keeps all. Beyond OpenAI's.",
        ),
        says(
            "min_p",
            "Only tokens with this share of the likeliest token's probability. Beyond OpenAI's.",
        )
        .within(between(0, 1)),
        says(
            "repetition_penalty",
            "Divides the logits of tokens that were seen; 1 is off. Beyond OpenAI's.",
        ),
        says(
            "frequency_penalty",
            "Is subtracted for each occurrence of a token so far; 0 is off.",
        )
        .within(between(-2, 2)),
        says(
            "presence_penalty",
            "Is subtracted once for each token that has occurred; 0 is off.",
        )
        .within(between(-2, 2)),
        says("seed", "Equal seeds give equal answers of a local model."),
        says("stop", "Texts that end the answer; they are no part of it."),
        says("n", "How many answers are given of each text.").within(answers.clone()),
        says(
            "best_of",
            "How many are made to choose them from; not with `stream`.",
        )
        .within(answers),
        says(
            "logprobs",
            "How many alternatives are told for each token; not with `echo`.",
        )
        .within(json!({ "maximum": MAX_LOGPROBS })),
        says(
            "echo",
            "Whether the answer begins with the text; not with `suffix`.",
        ),
        says(
            "stream",
            "Whether the answer comes in pieces, as server-sent events.",
        ),
        says("stream_options", "What a stream tells beside the answer."),
        says(
            "logit_bias",
            "What is added to the logits of tokens, by their ids: -100 bans a token, 100 lets no other be chosen.",
        )
        .within(biases()),
        says(
            "user",
            "Who asks, as the client calls them; limits may hold for each user.",
        ),
    ])
}

fn answer() -> Value {
    let alternatives = json!({ "type": "object", "additionalProperties": { "type": "number" } });
    let logprobs = object(
        "Log probabilities, side by side.",
        [
            has("tokens", "The tokens.", list(text())),
            has("token_logprobs", "That of each.", list(number())),
            has(
                "top_logprobs",
                "Those of each token's alternatives, its own among them.",
                list(alternatives),
            ),
            has(
                "text_offset",
                "Where each begins in the text.",
                list(count()),
            ),
        ],
    );
    let choice = object(
        "A way to go on.",
        [
            has("index", "Its place, from 0.", count()),
            has("text", "The text.", text()),
            has(
                "logprobs",
                "Log probabilities, where they were asked for.",
                nullable(logprobs),
            ),
            has(
                "finish_reason",
                "Why it ended; null in a piece before the end.",
                nullable(word(&["stop", "length", "content_filter"])),
            ),
        ],
    );
    object(
        "A text that goes on.",
        [
            has("id", "The answer's id.", text()),
            kind("text_completion"),
            has("created", "When, in seconds since 1970.", time()),
            has("model", "The model, as the request named it.", text()),
            has(
                "choices",
                "The ways to go on, those of each text together.",
                list(choice),
            ),
            may("usage", "Tokens in and out.", named("CompletionUsage")),
            may("praxis", "What Praxis adds.", traced()),
        ],
    )
}
