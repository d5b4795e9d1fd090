//! Whether a text may do harm.

use serde_json::{Value, json};

use crate::openapi::operation::Operation;
use crate::openapi::schemas::says;
use crate::openapi::shape::{count, flag, has, list, may, number, object, text, with};
use crate::openapi::{Writer, tags};
use crate::routes::moderations::{MAX_CHARS, MAX_INPUTS, Request};

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let text_of = json!({ "type": "string", "maxLength": MAX_CHARS });
    let part = object(
        "A part of a message.",
        [
            has(
                "type",
                "Always `text`.",
                json!({ "type": "string", "const": "text" }),
            ),
            has("text", "The text.", text_of.clone()),
        ],
    );
    let several =
        |of: Value| json!({ "type": "array", "items": of, "minItems": 1, "maxItems": MAX_INPUTS });
    let body = to.schemas.taken::<Request>([
        says("input", "A text, several, or the parts of one message.")
            .within(json!({ "anyOf": [text_of, several(text_of.clone()), several(part)] })),
        says(
            "model",
            "One of OpenAI's names for its model, which all mean the one here, or an embedder's.",
        ),
        says(
            "user",
            "Who asks, as the client calls them; limits may hold for each user.",
        ),
    ]);
    let answer = object(
        "A judgement of each input.",
        [
            has("id", "The judgement's id.", text()),
            has("model", "The model that judged.", text()),
            has(
                "results",
                "One for each text, in order; one for all parts of a message.",
                list(result()),
            ),
        ],
    );
    let answer = to.schemas.name("Moderation", answer);
    to.add(
        Operation::post("/v1/moderations", "createModeration")
            .tag(tags::MODERATIONS)
            .openai("moderations/create")
            .says(
                "Judge texts",
                "Whether they may do harm, and of which kind, and where they have personal data or secrets.",
            )
            .takes(body, &[("a text", json!({ "input": "I like trains." }))])
            .paid()
            .gives(super::OK, answer, Value::Null),
    );
}

fn result() -> Value {
    let of_each = |of: Value| json!({ "type": "object", "additionalProperties": of });
    let score = with(number(), json!({ "minimum": 0, "maximum": 1 }));
    let found = object(
        "Personal data or a secret, by its place.",
        [
            has("kind", "What it is, such as `email`.", text()),
            has("start", "Its first character.", count()),
            has("end", "The character after its last.", count()),
            has(
                "proven",
                "Whether a checksum or the like proves it.",
                flag(),
            ),
            may("part", "Which part of a message it is in, from 0.", count()),
        ],
    );
    let ours = object(
        "What Praxis adds.",
        [
            has(
                "categories",
                "Which kinds of the application's own.",
                of_each(flag()),
            ),
            has(
                "category_scores",
                "How sure that is.",
                of_each(score.clone()),
            ),
            has(
                "personal",
                "Personal data and secrets; their values are not told.",
                list(found),
            ),
        ],
    );
    object(
        "What was found.",
        [
            has("flagged", "Whether any kind of harm was found.", flag()),
            has(
                "categories",
                "Which kinds, by OpenAI's names for them.",
                of_each(flag()),
            ),
            has(
                "category_scores",
                "How sure that is, for each kind.",
                of_each(score),
            ),
            has(
                "category_applied_input_types",
                "Which kinds of input were judged; none where no classifier looks at that kind of harm.",
                of_each(list(text())),
            ),
            has("praxis", "What Praxis adds.", ours),
        ],
    )
}
