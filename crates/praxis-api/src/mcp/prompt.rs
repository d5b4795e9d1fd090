//! A prompt file as a prompt: its inputs are arguments, its messages are what a client's model reads. Left out: prompts
//! with a guard or a scene, which would be passed by whoever has their messages.

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::json_schema::{properties, resolved, without_null};
use praxis_core::{CallError, ErrorCode, Function};
use praxis_function::PromptFunction;
use rmcp::ErrorData;
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitationSchema, GetPromptResult, InputRequest,
    InputRequests, JsonObject, Prompt, PromptArgument,
};
use serde_json::{Map, Value, json};

use super::asking::Halt;
use super::call::Call;
use super::server::ServerPrompt;
use super::{completion, content};

/// What a missing argument is asked for by.
const FORM: &str = "arguments";

/// A prompt file as a prompt.
pub(super) struct PromptFile {
    function: Arc<PromptFunction>,
    prompt: Prompt,
}

impl PromptFile {
    /// The prompt of this name.
    pub(super) fn new(name: String, function: Arc<PromptFunction>) -> Self {
        let signature = function.signature();
        let schema = &signature.input_schema;
        let needed = required(schema);
        let arguments = properties(resolved(schema, schema)).into_iter().flatten();
        let arguments = arguments.map(|(name, part)| {
            let argument = PromptArgument::new(name).with_required(needed.contains(&name.as_str()));
            match about(schema, part) {
                Some(about) => argument.with_description(about),
                None => argument,
            }
        });
        let description = match signature.description.trim() {
            "" => format!("The prompt `{}`.", signature.name),
            description => description.to_owned(),
        };
        let mut prompt = Prompt::new(name, Some(description), Some(arguments.collect()));
        prompt.title = Some(signature.name.clone());
        Self { function, prompt }
    }

    fn schema(&self) -> &Value {
        &self.function.signature().input_schema
    }

    /// The input of the prompt: arguments are texts, whatever the inputs are.
    fn input(&self, arguments: JsonObject) -> Map<String, Value> {
        let schema = self.schema();
        let all = properties(resolved(schema, schema));
        let read = |(name, value): (String, Value)| {
            let part = all.and_then(|all| all.get(&name));
            let value = match (part, value) {
                (Some(part), Value::String(text)) => of_text(schema, part, text),
                (_, value) => value,
            };
            (name, value)
        };
        arguments.into_iter().map(read).collect()
    }

    /// Names of inputs that are needed and missing.
    fn missing(&self, input: &Map<String, Value>) -> Vec<&str> {
        let mut needed = required(self.schema());
        needed.retain(|name| !input.contains_key(*name));
        needed
    }

    /// A form for what is missing.
    fn form(&self, missing: &[&str]) -> Option<InputRequests> {
        let schema = self.schema();
        let all = properties(resolved(schema, schema));
        let field = |name: &&str| {
            let part = all.and_then(|all| all.get(*name));
            let about = part.and_then(|part| about(schema, part));
            let mut field = json!({ "type": "string", "title": name });
            if let Some(about) = about {
                field["description"] = Value::String(about);
            }
            ((*name).to_owned(), field)
        };
        let fields: Map<String, Value> = missing.iter().map(field).collect();
        let form = json!({ "type": "object", "properties": fields, "required": missing });
        let form: ElicitationSchema = serde_json::from_value(form).ok()?;
        let request = ElicitRequest::new(ElicitRequestParams::FormElicitationParams {
            meta: None,
            message: format!("What `{}` needs:", self.prompt.name),
            requested_schema: form,
        });
        Some(InputRequests::from([(
            FORM.to_owned(),
            InputRequest::Elicitation(request),
        )]))
    }
}

fn required(schema: &Value) -> Vec<&str> {
    let names = resolved(schema, schema)
        .get("required")
        .and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// What a person is told of an input.
fn about(schema: &Value, part: &Value) -> Option<String> {
    let inner = without_null(schema, part);
    let said = part.get("description").or_else(|| inner.get("description"));
    let said = said.and_then(Value::as_str);
    let kinds = completion::kinds(schema, part);
    match (said, kinds.as_slice()) {
        (said, [] | ["string"]) => said.map(str::to_owned),
        (Some(said), kinds) => Some(format!("{said} ({})", kinds.join(" or "))),
        (None, kinds) => Some(kinds.join(" or ")),
    }
}

/// A text as the value that an input takes: JSON where it takes no text.
fn of_text(schema: &Value, part: &Value, text: String) -> Value {
    let kinds = completion::kinds(schema, part);
    if kinds.is_empty() || kinds.contains(&"string") {
        return Value::String(text);
    }
    // What is no JSON stays a text, and the prompt says what is wrong with it.
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// An error as the protocol has it.
fn failed(error: &CallError) -> ErrorData {
    let data = Some(json!({ "code": error.code.as_str() }));
    let said = content::said(error);
    match error.code {
        ErrorCode::InvalidRequest | ErrorCode::NotFound => ErrorData::invalid_params(said, data),
        _ => ErrorData::internal_error(said, data),
    }
}

#[async_trait]
impl ServerPrompt for PromptFile {
    fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    async fn get(&self, arguments: JsonObject, call: &Call) -> Result<GetPromptResult, Halt> {
        let mut input = self.input(arguments);
        let missing = self.missing(&input);
        if !missing.is_empty()
            && call.has_forms()
            && let Some(form) = self.form(&missing)
        {
            let answers = call.ask(form).await?;
            let answer = answers.get(FORM);
            if answer.is_none_or(|answer| answer["action"] != "accept") {
                let message = format!("these arguments are missing: {}", missing.join(", "));
                return Err(ErrorData::invalid_params(message, None).into());
            }
            let given = answer.and_then(|answer| answer["content"].as_object().cloned());
            input.extend(self.input(given.unwrap_or_default()));
        }
        let rendered = self.function.render(Value::Object(input), call.cx()).await;
        let messages = rendered.map_err(|error| Halt::Fails(failed(&error)))?;
        let mut result = GetPromptResult::new(content::messages(messages));
        result.description.clone_from(&self.prompt.description);
        Ok(result)
    }

    fn complete(&self, argument: &str, typed: &str) -> Vec<String> {
        completion::fitting(completion::values(self.schema(), argument), typed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_what_an_input_takes() {
        let schema = json!({
            "properties": {
                "text": { "type": "string" },
                "count": { "type": ["integer", "null"] },
                "maybe": { "anyOf": [{ "type": "number" }, { "type": "null" }] },
                "any": {},
                "list": { "type": "array" },
            },
        });
        let read =
            |name: &str, text: &str| of_text(&schema, &schema["properties"][name], text.to_owned());
        assert_eq!(read("text", "3"), json!("3"));
        assert_eq!(read("count", "3"), json!(3));
        assert_eq!(read("count", "three"), json!("three"));
        assert_eq!(read("maybe", "1.5"), json!(1.5));
        assert_eq!(read("any", "3"), json!("3"));
        assert_eq!(read("list", "[\"a\"]"), json!(["a"]));
    }

    #[test]
    fn a_person_is_told_what_kind_of_value_it_is() {
        let schema = json!({});
        for (part, told) in [
            (json!({ "type": "string" }), None),
            (
                json!({ "type": "string", "description": "A city" }),
                Some("A city"),
            ),
            (
                json!({ "type": "integer", "description": "How many" }),
                Some("How many (integer)"),
            ),
            (json!({ "type": ["boolean", "null"] }), Some("boolean")),
        ] {
            assert_eq!(about(&schema, &part).as_deref(), told, "{part}");
        }
    }
}
