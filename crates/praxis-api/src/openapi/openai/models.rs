//! Functions and models by name.

use serde_json::json;

use super::kind;
use crate::openapi::operation::{BY_NAME, Operation};
use crate::openapi::shape::{flag, has, list, may, object, text, time};
use crate::openapi::{Writer, tags};

/// Describes them.
pub(super) fn describe(to: &mut Writer) {
    let ours = object(
        "What Praxis knows of it.",
        [
            has(
                "task",
                "What it does, such as `function`, `chat` or `embedding`.",
                text(),
            ),
            has("available", "Whether it can be called now.", flag()),
            may("description", "Of a function: what it does.", text()),
        ],
    );
    let model = object(
        "A model, or a function of the application.",
        [
            has(
                "id",
                "Its name; that of a function begins with `function:`.",
                text(),
            ),
            kind("model"),
            has("created", "Zero: that is not known.", time()),
            has(
                "owned_by",
                "Who runs it: `application`, `local`, or the provider.",
                text(),
            ),
            has("praxis", "What Praxis knows of it.", ours),
        ],
    );
    let model = to.schemas.name("Model", model);
    let all = object(
        "Functions and models.",
        [
            kind("list"),
            has("data", "Functions first, then models.", list(model.clone())),
        ],
    );
    let all = to.schemas.name("ModelList", all);
    let example = json!({
        "id": "function:answer",
        "object": "model",
        "created": 0,
        "owned_by": "application",
        "praxis": { "task": "function", "available": true, "description": "Answers questions." },
    });
    to.add(
        Operation::get("/v1/models", "listModels")
            .tag(tags::MODELS)
            .openai("models/list")
            .says(
                "List models",
                "The application's functions, then the models that it names and those of the catalogue.",
            )
            .gives("The models.", all, json!({ "object": "list", "data": [example] })),
    );
    to.add(
        Operation::get("/v1/models/{id}", "retrieveModel")
            .tag(tags::MODELS)
            .openai("models/retrieve")
            .says("One model", "A model or a function by its name.")
            .at("id", "The model's name.")
            .fails(BY_NAME)
            .gives("The model.", model, example),
    );
}
