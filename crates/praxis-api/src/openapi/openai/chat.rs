//! Chat completions.

mod shapes;

use serde_json::{Value, json};

use self::shapes::{answer, chunk, extension, message, usage};
use super::biases;
use super::responses::FILES;
use crate::openapi::operation::{FUNCTIONS, Operation};
use crate::openapi::schemas::{Schemas, says};
use crate::openapi::shape::{has, object, text};
use crate::openapi::{Writer, tags};
use crate::routes::chat::Request;
use crate::routes::completions::MAX_ANSWERS;

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let body = request(&mut to.schemas);
    usage(&mut to.schemas);
    extension(&mut to.schemas);
    let message = message(&mut to.schemas);
    let whole = answer(&mut to.schemas, message);
    let chunk = chunk(&mut to.schemas);
    let event = object(
        "A piece of a streamed answer. The last of them is `[DONE]`, unless it is an error.",
        [has(
            "data",
            "A `ChatCompletionChunk` in JSON, or `[DONE]`; an `Error` where the answer broke off.",
            text(),
        )],
    );
    to.schemas.name("ChatCompletionChunk", chunk);
    let event = to.schemas.name("ChatCompletionEvent", event);
    let stream = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1800000000,\"model\":\"function:answer\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Everybody\"},\"finish_reason\":null}]}\n\ndata: [DONE]\n\n";
    to.add(
        Operation::post("/v1/chat/completions", "createChatCompletion")
            .tag(tags::CHAT)
            .openai("chat/create")
            .says(
                "Answer a conversation",
                "By a model, or by a function (`function:NAME`), which retrieves, cites and keeps its scope as on the \
                 command line. With `stream: true` the answer comes as server-sent events. Fields that would change \
                 the answer and are not supported are refused by name: `functions`, `function_call`, `audio`, \
                 `modalities`, `moderation`, `prediction`, `web_search_options`, and `store: true`. All other fields \
                 that are not listed here are ignored. Providers that have no word for a field do not get it, or \
                 refuse it where the answer would be another one; the trace says so.",
            )
            .takes(body, &[
                (
                    "a function",
                    json!({
                        "model": "function:answer",
                        "messages": [{ "role": "user", "content": "Who may borrow books?" }],
                    }),
                ),
                (
                    "a model, streamed",
                    json!({
                        "model": "smollm2-135m-instruct",
                        "messages": [
                            { "role": "system", "content": "Be brief." },
                            { "role": "user", "content": "Name a colour." },
                        ],
                        "max_tokens": 8,
                        "stream": true,
                        "stream_options": { "include_usage": true },
                    }),
                ),
                (
                    "an answer that has to be JSON",
                    json!({
                        "model": "qwen2.5-coder-1.5b-instruct",
                        "messages": [{ "role": "user", "content": "Invent a person." }],
                        "response_format": { "type": "json_schema", "json_schema": { "name": "person", "schema": {
                            "type": "object",
                            "properties": { "name": { "type": "string" } },
                            "required": ["name"],
                        } } },
                    }),
                ),
            ])
            .paid()
            .fails(FUNCTIONS)
            .fails(FILES)
            .gives(super::OK, whole, example())
            .gives_as(
                "text/event-stream",
                "The pieces of the answer.",
                event,
                &[("a stream", json!(stream))],
            ),
    );
}

fn request(schemas: &mut Schemas) -> Value {
    let probability = json!({ "minimum": 0, "maximum": 1 });
    schemas.explain(
        "ChatMessage",
        [
            says("role", "Who wrote it."),
            says(
                "content",
                "What it says; null where the model only called tools.",
            ),
            says(
                "tool_calls",
                "What the model wanted called; of its own messages only.",
            ),
            says("tool_call_id", "The call that a tool's message answers."),
            says(
                "refusal",
                "Why the model did not answer; it stands for the content where there is none.",
            ),
            says(
                "name",
                "Which of several that have the role wrote it; some providers tell the model.",
            ),
        ],
    );
    schemas.explain(
        "ChatPart",
        [
            says(
                "type",
                "What it is: `text`, `image_url`, `input_audio`, `file` or, of the model's own messages, `refusal`.",
            ),
            says("text", "The text."),
            says("refusal", "Why the model did not answer."),
            says("image_url", "The image."),
            says("input_audio", "A recording, for models that hear."),
            says(
                "file",
                "The file: what it says is put in its place, marked as data; a PDF goes as it is to models that take \
                 such.",
            ),
        ],
    );
    schemas.explain(
        "ChatImage",
        [
            says("url", "Where it is; a `data:` URL holds it."),
            says(
                "detail",
                "How closely it is to be looked at: `auto`, `low`, `high` or `original`.",
            ),
        ],
    );
    schemas.explain(
        "ChatRecording",
        [
            says("data", "What is in the file, in base64."),
            says("format", "`wav` or `mp3`."),
        ],
    );
    schemas.explain(
        "PromptCacheOptions",
        [
            says(
                "ttl",
                "How long a provider is to keep the prompt at least, such as `30m`.",
            ),
            says(
                "mode",
                "`implicit`; `explicit` is refused, as marks within messages are not passed on.",
            ),
        ],
    );
    schemas.explain(
        "ChatToolCall",
        [
            says("id", "The call's id."),
            says("function", "What was called."),
        ],
    );
    schemas.explain("ChatToolCallFunction", [says("name", "The tool's name.")]);
    schemas.explain(
        "ChatToolFunction",
        [
            says("name", "Its name: letters, digits, `_` and `-`.")
                .within(json!({ "minLength": 1, "maxLength": praxis_core::tool::MAX_TOOL_NAME })),
            says(
                "description",
                "What it does and when it is of use; models choose by it.",
            ),
            says("parameters", "JSON Schema of its arguments, an object."),
            says(
                "strict",
                "Whether a provider has to hold arguments to the schema; local models always are.",
            ),
        ],
    );
    schemas.explain("ChatToolChoiceName", [says("name", "The tool's name.")]);
    schemas.explain(
        "ResponseFormatSchema",
        [
            says("name", "What the answer is called."),
            says(
                "description",
                "What the answer is for; models of providers read it.",
            ),
            says("schema", "The JSON Schema."),
            says(
                "strict",
                "Whether a provider has to hold the answer to it; local models always are.",
            ),
        ],
    );
    schemas.explain(
        "StreamOptions",
        [says(
            "include_usage",
            "Whether a last piece tells how many tokens there were.",
        )],
    );
    schemas.taken::<Request>([
        says(
            "model",
            "A model's name, or `function:NAME`; where it is empty, the application's model.",
        ),
        says("messages", "The conversation, oldest first."),
        says(
            "stream",
            "Whether the answer comes in pieces, as server-sent events.",
        ),
        says("stream_options", "What a stream tells beside the answer."),
        says(
            "max_tokens",
            "The most tokens of the answer; `max_completion_tokens` outranks it.",
        ),
        says("max_completion_tokens", "The most tokens of the answer."),
        says(
            "temperature",
            "How freely tokens are chosen; 0 takes the likeliest.",
        )
        .within(json!({ "minimum": 0, "maximum": 2 })),
        says(
            "top_p",
            "Only the likeliest tokens that have this probability together.",
        )
        .within(probability.clone()),
        says(
            "top_k",
            "Only so many of the likeliest tokens; 0 keeps all. Beyond OpenAI's.",
        ),
        says(
            "min_p",
            "Only tokens with this share of the likeliest token's probability. Beyond OpenAI's.",
        )
        .within(probability),
        says(
            "repetition_penalty",
            "Divides the logits of tokens that were seen; 1 is off. Beyond OpenAI's.",
        ),
        says(
            "frequency_penalty",
            "Is subtracted for each occurrence of a token so far; 0 is off.",
        ),
        says(
            "presence_penalty",
            "Is subtracted once for each token that has occurred; 0 is off.",
        ),
        says("seed", "Equal seeds give equal answers of a local model."),
        says(
            "logit_bias",
            "What is added to the logits of tokens, by their ids: -100 bans a token, 100 lets no other be chosen.",
        )
        .within(biases()),
        says(
            "n",
            "How many choices are made, each an answer of its own; of a function one.",
        )
        .within(json!({ "minimum": 1, "maximum": MAX_ANSWERS })),
        says("stop", "Texts that end the answer; they are no part of it."),
        says(
            "logprobs",
            "Whether the tokens' log probabilities are told.",
        ),
        says(
            "top_logprobs",
            "How many alternatives are told for each token; it needs `logprobs`.",
        ),
        says("response_format", "What the answer must be."),
        says(
            "structured_outputs",
            "What the answer must be, in vLLM's words, which say more.",
        ),
        says(
            "service_tier",
            "`flex` marks a request that nobody waits for; others are answered before it. Providers are told `flex` and \
             `default`; what costs more than a model's price is not passed on.",
        ),
        says("tools", "What the model may call."),
        says("tool_choice", "Whether and which it has to call."),
        says(
            "parallel_tool_calls",
            "Whether it may want several calls at once.",
        ),
        says(
            "reasoning_effort",
            "How long a model that thinks should do so before it answers.",
        ),
        says(
            "verbosity",
            "How long the answer is to be, for models of providers that know the word.",
        ),
        says(
            "prompt_cache_retention",
            "How long a provider may keep the prompt in its cache.",
        ),
        says(
            "prompt_cache_options",
            "How a provider is to keep the prompt in its cache.",
        ),
        says(
            "prompt_cache_key",
            "What requests with the same beginning have in common, for providers that route by it.",
        ),
        says(
            "user",
            "Who asks, as the client calls them; limits may hold for each user.",
        ),
        says("safety_identifier", "The same; it outranks `user`."),
    ])
}

fn example() -> Value {
    let message = json!({
        "role": "assistant",
        "content": "Everybody with a card.",
        "refusal": null,
        "annotations": [],
    });
    let usage = json!({
        "prompt_tokens": 412,
        "completion_tokens": 5,
        "total_tokens": 417,
        "prompt_tokens_details": { "cached_tokens": 0, "cache_write_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": 0, "forced_tokens": 0 },
    });
    json!({
        "id": "chatcmpl-0193cb1c9c0a7d3e8f6b2a4c5d6e7f80",
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": "function:answer",
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": "stop" }],
        "usage": usage,
        "praxis": {
            "trace_id": "0193cb1c9c0a7d3e8f6b2a4c5d6e7f80", "citations": [], "refused": false,
        },
    })
}
