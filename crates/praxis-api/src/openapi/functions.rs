//! Functions by their signatures, and as a conversation with events.

use praxis_core::{Citation, FinishReason, Message, Role, Signature, ToolCall, Usage};
use serde_json::{Value, json};

use super::operation::{FUNCTIONS, Operation};
use super::schemas::{Schemas, says};
use super::shape::{
    Field, anything, count, described, flag, has, list, may, named, nullable, number, object, only,
    text,
};
use super::{Writer, tags};
use crate::routes::functions::{Call, Chat};

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    words_of_messages(&mut to.schemas);
    let events = events(&mut to.schemas);
    signatures(to);
    call(to, events.clone());
    chat(to, events);
}

/// Whether a call is answered with events.
pub(super) fn stream() -> Field {
    let schema = json!({ "type": "boolean", "default": false });
    may(
        "stream",
        "Whether the answer comes as server-sent events while it is made.",
        schema,
    )
}

/// The name of the schema of an event.
pub(super) const EVENT: &str = "FunctionEvent";

/// A stream, as an example.
const STREAM: &str = "event: delta\ndata: {\"text\":\"Everybody\"}\n\nevent: done\ndata: {\"trace_id\":\"0193cb1c9c0a7d3e8f6b2a4c5d6e7f80\",\"refused\":false,\"output\":{\"text\":\"Everybody\"}}\n\n";

/// What prompts read as `@state`.
pub(super) fn state() -> Field {
    let schema = json!({ "type": "object", "additionalProperties": true });
    may(
        "state",
        "What prompts read as `@state`: facts that are not the function's input.",
        schema,
    )
}

/// The answer of a call with such an output.
pub(super) fn call_answer(output: Value) -> Value {
    object(
        "What a function gave.",
        [
            has("trace_id", "The call's trace.", text()),
            may(
                "reasoning",
                "How the answer came about, where the function's technique says so.",
                nullable(text()),
            ),
            may(
                "confidence",
                "Share of the samples that agree with the answer, where there was a vote.",
                nullable(json!({ "type": "number", "minimum": 0, "maximum": 1 })),
            ),
            has(
                "output",
                "The output, as the function's signature has it.",
                output,
            ),
        ],
    )
}

fn signatures(to: &mut Writer) {
    let signature = to.schemas.given::<Signature>();
    let all = object(
        "Functions.",
        [has("functions", "All of them.", list(signature))],
    );
    let all = to.schemas.name("FunctionList", all);
    let example = json!({ "functions": [{
        "name": "answer",
        "description": "Answers questions from the documents.",
        "input_schema": {
            "type": "object",
            "properties": { "question": { "type": "string" } },
            "required": ["question"],
        },
        "output_schema": { "type": "object", "properties": { "text": { "type": "string" } } },
        "effects": ["read"],
    }] });
    to.add(
        Operation::get("/praxis/v1/functions", "listFunctions")
            .tag(tags::FUNCTIONS)
            .says(
                "List functions",
                "The signatures of the application's functions, and of those that are there without a file, such as \
                 `praxis/search/BASE`.",
            )
            .gives("The signatures.", all, example),
    );
}

fn call(to: &mut Writer, events: Value) {
    let body = to.schemas.taken::<Call>([
        says(
            "input",
            "The input, as the function's `input_schema` has it.",
        ),
        says(
            "state",
            "What prompts read as `@state`: facts that are not the function's input.",
        ),
        says(
            "stream",
            "Whether the answer comes as server-sent events while it is made.",
        ),
    ]);
    let answer = to.schemas.name("FunctionAnswer", call_answer(anything()));
    let example = json!({
        "trace_id": "0193cb1c9c0a7d3e8f6b2a4c5d6e7f80",
        "output": { "text": "Everybody with a card [1].", "citations": [], "refused": false },
    });
    to.add(
        Operation::post("/praxis/v1/functions/{name}/call", "callFunction")
            .tag(tags::FUNCTIONS)
            .says(
                "Call a function",
                "The whole output; with `stream`, the events that a chat with a function has, the last of which is `done` \
                 with the output, or `error`. A client that closes the connection stops the call.",
            )
            .at("name", "The function's name; a `/` in it is written `%2F`.")
            .takes(
                body,
                &[
                    (
                        "an input",
                        json!({ "input": { "question": "Who may borrow books?" } }),
                    ),
                    (
                        "an input and a state",
                        json!({ "input": { "question": "And me?" }, "state": { "user": "Ada" } }),
                    ),
                    (
                        "a stream",
                        json!({ "input": { "question": "Who may borrow books?" }, "stream": true }),
                    ),
                ],
            )
            .paid()
            .fails(FUNCTIONS)
            .gives("The output, whole or as events.", answer, example)
            .gives_as(
                "text/event-stream",
                "",
                events,
                &[("a stream", json!(STREAM))],
            ),
    );
}

fn chat(to: &mut Writer, events: Value) {
    let body = to.schemas.taken::<Chat>([
        says(
            "messages",
            "The conversation, oldest first. The last message is the question.",
        ),
        says(
            "state",
            "What prompts read as `@state`: facts that are not the function's input.",
        ),
    ]);
    to.add(
        Operation::post("/praxis/v1/functions/{name}/chat", "chatWithFunction")
            .tag(tags::FUNCTIONS)
            .says(
                "Talk to a function",
                "An answer as server-sent events, in this order: `retrieved`, then any of `reasoning`, `tool_called`, \
                 `tool_answered`, `partial` and `delta`, then `concluded`, `finished` and `cited` where there is \
                 something to say, and at the end `done` or `error`. Comments keep the connection open.",
            )
            .at("name", "The name of a function that is a prompt; a `/` in it is written `%2F`.")
            .takes(body, &[(
                "a question",
                json!({ "messages": [{ "role": "user", "content": "Who may borrow books?" }] }),
            )])
            .paid()
            .gives_as("text/event-stream", "The events.", events, &[("a stream", json!(STREAM))]),
    );
}

/// One event of a stream, whose data is JSON.
pub(super) fn event(name: &str, about: &str, data: Value) -> Value {
    let data = json!({
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": data,
    });
    object(
        about,
        [
            has("event", "The event's name.", only(name)),
            has("data", "What it says, in JSON.", data),
        ],
    )
}

/// What a stream of a function may send.
fn events(schemas: &mut Schemas) -> Value {
    let (call, usage, finish) = (
        schemas.given::<ToolCall>(),
        schemas.given::<Usage>(),
        schemas.given::<FinishReason>(),
    );
    let citation = schemas.given::<Citation>();
    let more = |about: &str| object(about, [has("text", "Text to append.", text())]);
    let all = [
        event(
            "retrieved",
            "Passages were found, before the model is asked.",
            object(
                "",
                [
                    has("passages", "How many.", count()),
                    has(
                        "relevant",
                        "Whether one of them bears on the question.",
                        flag(),
                    ),
                ],
            ),
        ),
        event(
            "delta",
            "More text of the answer.",
            more("More text of the answer."),
        ),
        event(
            "reasoning",
            "More of what the model thinks before it answers.",
            more("More of what the model thinks."),
        ),
        event("tool_called", "The model wants a tool called.", call),
        event(
            "tool_answered",
            "What the tool gave.",
            object(
                "",
                [
                    has("id", "Id of the call.", text()),
                    has("text", "The result as the model reads it.", text()),
                    has("failed", "Whether it is an error.", flag()),
                ],
            ),
        ),
        event(
            "partial",
            "A structured output as far as it is written. After a repair it begins again.",
            object("", [has("output", "The output so far.", anything())]),
        ),
        event(
            "concluded",
            "How the answer came about, where its technique says more than the answer.",
            object(
                "",
                [
                    has(
                        "reasoning",
                        "The model's reasoning, whole.",
                        nullable(text()),
                    ),
                    has(
                        "confidence",
                        "Share of the samples that agree with the answer.",
                        nullable(number()),
                    ),
                ],
            ),
        ),
        event(
            "finished",
            "A model's answer has ended.",
            object(
                "",
                [
                    has("finish_reason", "Why.", finish),
                    has("usage", "Tokens in and out.", usage),
                ],
            ),
        ),
        event(
            "cited",
            "The final text, which differs from the deltas, and its citations.",
            object(
                "",
                [
                    has("text", "The final text.", text()),
                    has(
                        "citations",
                        "Its citations, in the order of their numbers.",
                        list(citation),
                    ),
                ],
            ),
        ),
        event(
            "done",
            "The end of a call that went well.",
            object(
                "",
                [
                    has("trace_id", "The call's trace.", text()),
                    has(
                        "refused",
                        "Whether the function declined to answer.",
                        nullable(flag()),
                    ),
                    has("output", "The whole output.", anything()),
                ],
            ),
        ),
        event("error", "The end of a call that failed.", named("Error")),
    ];
    schemas.name(
        EVENT,
        json!({
            "description": "An event of a function's stream.",
            "oneOf": all,
        }),
    )
}

/// What the vocabulary's own messages mean, and what else they are read from.
fn words_of_messages(schemas: &mut Schemas) {
    schemas.taken::<Message>([]);
    schemas.taken::<Role>([]);
    schemas.amend("Role", |mut role| {
        let alias = |name: &str, about: &str| described(only(name), about);
        if let Some(Value::Array(all)) = role.get_mut("oneOf") {
            all.push(alias("developer", "OpenAI's newer word for `system`."));
            all.push(alias("model", "Dotprompt's word for `assistant`."));
        }
        role
    });
}
