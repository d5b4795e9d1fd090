//! Answers that the server keeps: OpenAI's newer API. Items are described as far as clients need to tell them apart;
//! OpenAI's reference has the rest.

use praxis_core::ErrorCode;
use serde_json::{Value, json};

use super::{deleted, kind, metadata, page, traced};
use crate::openapi::operation::{BY_NAME, CALLS, FUNCTIONS, Operation};
use crate::openapi::schemas::{Schemas, says};
use crate::openapi::shape::{
    anything, count, flag, has, list, may, named, nullable, number, object, only, open_object,
    text, time, word,
};
use crate::openapi::{Writer, tags};
use crate::routes::paging::SHORT;
use crate::routes::responses::compact::Compact;
use crate::routes::responses::request::{Create, INCLUDE, MOST_LOGPROBS};

/// What a request with files may fail with beside that.
pub(super) const FILES: &[ErrorCode] = &[ErrorCode::TooLarge];

/// Where one of them is.
const ONE: &str = "/v1/responses/{response}";

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let request = request(&mut to.schemas);
    to.schemas.name("ResponseItem", item());
    let response = to.schemas.name("Response", response());
    let event = object(
        "A step of a streamed answer.",
        [
            has(
                "event",
                "Its type, such as `response.output_text.delta`.",
                text(),
            ),
            has(
                "data",
                "The same type, a `sequence_number`, and what is new, in JSON.",
                text(),
            ),
        ],
    );
    let event = to.schemas.name("ResponseEvent", event);
    asked(to, request, &response, &event);
    compacted(to);
    kept(to, &response, event);
}

fn asked(to: &mut Writer, request: Value, response: &Value, event: &Value) {
    let counted = object(
        "How many tokens a request has.",
        [
            kind("response.input_tokens"),
            has(
                "input_tokens",
                "Tokens of the input, and of what comes before it.",
                count(),
            ),
        ],
    );
    let counted = to.schemas.name("ResponseInputTokens", counted);
    to.add(
        of(Operation::post("/v1/responses", "createResponse"), "responses/create")
            .says(
                "Answer, and keep the answer",
                "By a model, or by a function (`function:NAME`). What it goes on from is a `conversation`, or a \
                 `previous_response_id`. With `stream: true` the answer comes as server-sent events. `prompt`, \
                 `context_management`, `moderation` and `personality` are refused; other fields that are not listed \
                 are ignored.",
            )
            .takes(request.clone(), &[
                ("a question", json!({ "model": "function:answer", "input": "Who may borrow books?" })),
                (
                    "one that leans on another",
                    json!({ "model": "function:answer", "input": "And films?", "previous_response_id": "resp_1" }),
                ),
            ])
            .paid()
            .fails(FUNCTIONS)
            .fails(FILES)
            .gives(super::OK, response.clone(), Value::Null)
            .gives_as("text/event-stream", "The steps of the answer.", event.clone(), &[]),
    );
    to.add(
        of(
            Operation::post("/v1/responses/input_tokens", "countResponseInputTokens"),
            "responses/input-tokens",
        )
        .says("Count the tokens of a request", "Without answering it.")
        .takes(request, &[])
        .fails(CALLS)
        .fails(FILES)
        .gives("How many there are.", counted, Value::Null),
    );
}

fn compacted(to: &mut Writer) {
    let request = to.schemas.taken::<Compact>([
        says("model", "The model that writes the summary; no function."),
        says(
            "input",
            "The conversation, or what is behind that of `previous_response_id`: a text, or items.",
        ),
        says(
            "previous_response_id",
            "The response whose conversation it is, with all before it.",
        ),
        says(
            "instructions",
            "What the model is told beside; it is not carried over.",
        ),
        says(
            "prompt_cache_key",
            "What requests with the same beginning have in common, for providers that route by it.",
        ),
        says(
            "service_tier",
            "`flex` marks a request that nobody waits for; others are answered before it.",
        ),
    ]);
    let item = object(
        "A conversation made shorter.",
        [
            has(
                "id",
                "Its id, to go on from as `previous_response_id`.",
                text(),
            ),
            kind("response.compaction"),
            has("created_at", "When, in seconds since 1970.", time()),
            has(
                "output",
                "Items to go on from: the latest messages of the user, and a `compaction` that stands for the rest.",
                list(named("ResponseItem")),
            ),
            has("usage", "Tokens in and out.", usage()),
            has("praxis", "What Praxis adds.", traced()),
        ],
    );
    let item = to.schemas.name("CompactedResponse", item);
    to.add(
        of(
            Operation::post("/v1/responses/compact", "compactResponse"),
            "responses/compact",
        )
        .says(
            "Make a conversation shorter",
            "What was said becomes a summary by the model. It is sealed: its item means something to this server \
             alone, for the key that had it made, for 30 days and as long as a response that it was sent with is there.",
        )
        .takes(request, &[(
            "a response with all before it",
            json!({ "model": "qwen2.5-coder-1.5b-instruct", "previous_response_id": "resp_1" }),
        )])
        .paid()
        .fails(&[ErrorCode::OutputInvalid])
        .fails(FILES)
        .gives(super::OK, item, Value::Null),
    );
}

fn kept(to: &mut Writer, response: &Value, event: Value) {
    let inputs = to
        .schemas
        .name("ResponseItemList", page(named("ResponseItem")));
    let gone = to.schemas.name("ResponseDeleted", deleted("response"));
    to.add(
        one(Operation::get(ONE, "getResponse"), "responses/get")
            .says(
                "One response",
                "As it was answered. With `stream=true`, the events of one in the background.",
            )
            .asks("include", "What is told beside the items.", included())
            .asks("stream", "Whether its events are wanted.", flag())
            .asks(
                "starting_after",
                "The number of the event after which events are wanted.",
                count(),
            )
            .gives("The response.", response.clone(), Value::Null)
            .gives_as("text/event-stream", "Its events.", event, &[]),
    );
    to.add(
        one(Operation::delete(ONE, "deleteResponse"), "responses/delete")
            .says(
                "Delete a response",
                "What was said in a conversation stays there.",
            )
            .gives("That it is deleted.", gone, Value::Null),
    );
    to.add(
        one(
            Operation::post(format!("{ONE}/cancel"), "cancelResponse"),
            "responses/cancel",
        )
        .says("Call a response off", "One that is made in the background.")
        .gives("The response.", response.clone(), Value::Null),
    );
    let items = one(
        Operation::get(format!("{ONE}/input_items"), "listInputItems"),
        "responses/input-items",
    );
    to.add(
        listed(items)
            .says("What a response was asked", "The items of its input.")
            .gives("A page of items.", inputs, Value::Null),
    );
}

fn of(operation: Operation, reference: &str) -> Operation {
    operation.tag(tags::RESPONSES).openai(reference)
}

fn one(operation: Operation, reference: &str) -> Operation {
    let operation = of(operation, reference).fails(BY_NAME);
    operation.at("response", "The response's id.")
}

/// An operation with the parameters of a list of items.
pub(super) fn listed(operation: Operation) -> Operation {
    operation
        .paged(SHORT)
        .asks("include", "What is told beside the items.", included())
}

/// What can be told beside items.
pub(super) fn included() -> Value {
    list(word(&INCLUDE))
}

/// An item of inputs, outputs and conversations.
fn item() -> Value {
    open_object(
        "A message, a call of a tool, what it gave, a search, or what a model thought. Its `type` says which.",
        [
            may("id", "Its id.", text()),
            may(
                "type",
                "What it is: `message`, `function_call`, `function_call_output`, `file_search_call`, \
                 `code_interpreter_call`, `reasoning` or `compaction`.",
                text(),
            ),
            may(
                "status",
                "How far it is, such as `completed`.",
                nullable(text()),
            ),
            may("role", "Of a message: who wrote it.", text()),
            may("content", "Of a message: what it says.", anything()),
            may(
                "call_id",
                "Of a call and of what it gave: what belongs together.",
                text(),
            ),
            may("name", "Of a call: the tool's name.", text()),
            may(
                "arguments",
                "Of a call: the arguments, the text of a JSON object.",
                text(),
            ),
            may("output", "Of what a call gave: the result.", anything()),
            may(
                "queries",
                "Of a search: what was searched for.",
                list(text()),
            ),
            may(
                "results",
                "Of a search: what was found, where it was asked for.",
                anything(),
            ),
            may("container_id", "Of code: where it ran.", text()),
            may("code", "Of code: it.", nullable(text())),
            may(
                "outputs",
                "Of code: what came of it, where it was asked for.",
                anything(),
            ),
            may(
                "summary",
                "Of what a model thought: it in short.",
                anything(),
            ),
            may(
                "encrypted_content",
                "Of a compaction: what stands for a conversation, to be sent back as it is.",
                text(),
            ),
        ],
    )
}

fn request(schemas: &mut Schemas) -> Value {
    let within = |most: u8| json!({ "minimum": 0, "maximum": most });
    schemas.explain(
        "ResponseText",
        [
            says("format", "What the answer must be."),
            says(
                "verbosity",
                "How long the answer is to be, for models of providers that know the word.",
            ),
        ],
    );
    schemas.explain(
        "ResponseReasoning",
        [
            says(
                "effort",
                "How long a model that thinks should do so before it answers.",
            ),
            says("summary", "How it is told what it thought."),
        ],
    );
    schemas.taken::<Create>([
        says("model", "A model's name, or `function:NAME`; to count tokens, it may be left out."),
        says("input", "A text, or items: messages, calls of tools, and what they gave."),
        says("instructions", "What the model is told before the input; a function has its own."),
        says("previous_response_id", "The response that this one goes on from."),
        says("conversation", "The conversation that this one is part of: its id, or `{\"id\": ...}`."),
        says("store", "Whether the response is kept, for 30 days; it is unless this is `false`."),
        says("metadata", "Facts to keep with it: up to 16 keys of 64 characters, with values of 512."),
        says("text", "The form of the answer."),
        says("reasoning", "How long a model that thinks should do so, and how it is told."),
        says("max_output_tokens", "The most tokens of the answer.").within(json!({ "minimum": 1 })),
        says("max_tool_calls", "The most searches and runs of code that the model may have made."),
        says("temperature", "How freely tokens are chosen; 0 takes the likeliest.").within(within(2)),
        says("top_p", "Only the likeliest tokens that have this probability together.").within(within(1)),
        says("top_logprobs", "How many alternatives are told for each token.").within(within(MOST_LOGPROBS)),
        says(
            "tools",
            "What the model may call: functions of the client's, `file_search` and `code_interpreter`.",
        ),
        says("tool_choice", "Whether and which it has to call."),
        says("parallel_tool_calls", "Whether it may want several calls at once."),
        says("truncation", "Whether what came before is left out where all of it is too long."),
        says("service_tier", "`flex` marks a request that nobody waits for; others are answered before it."),
        says("user", "Who asks, as the client calls them; limits may hold for each user."),
        says("safety_identifier", "The same; it outranks `user`."),
        says("prompt_cache_key", "What requests with the same beginning have in common, for providers that route by it."),
        says("prompt_cache_retention", "How long a provider may keep the prompt in its cache."),
        says("prompt_cache_options", "How a provider is to keep the prompt in its cache."),
        says("include", "What is told beside the answer.")
            .within(json!({ "items": { "type": "string", "enum": INCLUDE } })),
        says("background", "Whether it is made without anybody waiting; it needs `store`."),
        says("stream", "Whether the answer comes in pieces, as server-sent events."),
    ])
}

/// Tokens in and out.
fn usage() -> Value {
    let of_input = object(
        "Of the input's tokens.",
        [
            has("cached_tokens", "Those that came from a cache.", count()),
            has(
                "cache_write_tokens",
                "Those that were written into a provider's cache.",
                count(),
            ),
        ],
    );
    let of_output = object(
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
    object(
        "Tokens in and out.",
        [
            has("input_tokens", "Tokens of the input.", count()),
            has("input_tokens_details", "Of these.", of_input),
            has("output_tokens", "Tokens of the answer.", count()),
            has("output_tokens_details", "Of these.", of_output),
            has("total_tokens", "Both.", count()),
        ],
    )
}

fn response() -> Value {
    let error = object(
        "What went wrong.",
        [
            has("code", "For programs: one of OpenAI's.", text()),
            has("message", "For people.", text()),
        ],
    );
    let cut = object(
        "Why.",
        [has(
            "reason",
            "In a word.",
            word(&["max_output_tokens", "content_filter"]),
        )],
    );
    let conversation = object("A conversation.", [has("id", "Its id.", text())]);
    open_object(
        "An answer that is kept. It repeats the settings of its request.",
        [
            has("id", "Its id.", text()),
            has("object", "What kind of thing it is.", only("response")),
            has("created_at", "When, in seconds since 1970.", time()),
            has("completed_at", "When it was whole.", nullable(time())),
            has(
                "status",
                "Where it stands.",
                word(&[
                    "completed",
                    "failed",
                    "in_progress",
                    "cancelled",
                    "queued",
                    "incomplete",
                ]),
            ),
            has("background", "Whether nobody waited for it.", flag()),
            has("error", "What went wrong.", nullable(error)),
            has("incomplete_details", "Why it is not whole.", nullable(cut)),
            has(
                "instructions",
                "What the model was told before the input.",
                nullable(text()),
            ),
            has("model", "The model, as the request named it.", text()),
            has("output", "The answer's items.", list(named("ResponseItem"))),
            has(
                "parallel_tool_calls",
                "Whether it might want several calls at once.",
                flag(),
            ),
            has("metadata", "Facts that are kept with it.", metadata()),
            has("tools", "What the model might call.", list(anything())),
            has(
                "tool_choice",
                "Whether and which it had to call.",
                anything(),
            ),
            has(
                "temperature",
                "How freely tokens were chosen.",
                nullable(number()),
            ),
            has(
                "top_p",
                "How many of the likeliest tokens were let in.",
                nullable(number()),
            ),
            has(
                "previous_response_id",
                "The response that it goes on from.",
                nullable(text()),
            ),
            has(
                "conversation",
                "The conversation that it is part of.",
                nullable(conversation),
            ),
            may("usage", "Tokens in and out.", usage()),
            has("praxis", "What Praxis adds.", traced()),
        ],
    )
}
