//! The body of `POST /responses` (OpenAI API reference, "Create a model response").

use praxis_core::chat::{Form, ReasoningEffort};
use praxis_core::{ChatRequest, Constraint, ModelError, Sampling, ToolChoice, ToolSpec};
use serde_json::{Map, Value, json};

use super::API;
use super::before::before;
use super::input::input;
use crate::openai as words;
use crate::providers::{Facts, schema_alone};
use crate::wire::{Endpoint, Question, decimal, refused};

/// The question for a streamed answer that is not stored.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for what the API has no word for and without which the answer would be another one:
/// constraints but JSON Schema, stop strings, media that it does not take.
pub(super) fn question(
    facts: &Facts,
    to: &Endpoint,
    request: &ChatRequest,
) -> Result<Question, ModelError> {
    let before = |call: &str| before(&to.name, call);
    let mut body = json!({
        "model": to.model,
        "input": input(&to.name, &request.messages, &before)?,
        "stream": true,
        "store": false,
    });
    let mut left_out = sampling(&to.name, &request.sampling, &mut body)?;
    let mut text = Map::new();
    if let Some(constraint) = &request.constraint {
        let format = held_to(facts, to, constraint, &request.extras.form)?;
        text.insert("format".to_owned(), format);
    }
    if let Some(verbosity) = request.extras.verbosity {
        text.insert("verbosity".to_owned(), verbosity.as_str().into());
    }
    if !text.is_empty() {
        body["text"] = text.into();
    }
    if let Some(tier) = request.extras.service_tier {
        match tier.word() {
            Some(word) => body["service_tier"] = word.into(),
            None => left_out.push("service_tier"),
        }
    }
    if request.messages.iter().any(|m| m.name.is_some()) {
        left_out.push("name");
    }
    if !request.tools.is_empty() {
        let strict = &request.extras.strict_tools;
        let tools = request.tools.iter();
        body["tools"] = tools
            .map(|one| tool(one, strict.contains(&one.name)))
            .collect();
        if let Some(choice) = choice(&request.tool_choice) {
            body["tool_choice"] = choice;
        }
        if let Some(parallel) = request.parallel_tool_calls {
            body["parallel_tool_calls"] = parallel.into();
        }
    }
    let mut include = Vec::new();
    if let Some(top) = request.top_logprobs {
        body["top_logprobs"] = top.into();
        include.push("message.output_text.logprobs");
    }
    match request.reasoning_effort {
        None => {}
        Some(ReasoningEffort::None) => {
            body["reasoning"] = json!({ "effort": ReasoningEffort::None.as_str() });
        }
        Some(effort) => {
            // OpenAI tells summaries to verified organizations, and refuses others: for those `extra_body` can say
            // `reasoning` without one.
            body["reasoning"] = json!({ "effort": effort.as_str(), "summary": "auto" });
            // Asked only where it is said that the model thinks: others refuse the word, and those that do think send
            // it without being asked (`ReasoningItem`).
            include.push("reasoning.encrypted_content");
        }
    }
    if !include.is_empty() {
        body["include"] = include.into();
    }
    if let Some(key) = &request.cache_key {
        body["prompt_cache_key"] = key.as_str().into();
    }
    for (word, said) in words::cache_times(request) {
        body[word] = said;
    }
    Ok(Question {
        left_out,
        ..Question::new("responses", body)
    })
}

/// Says how tokens are chosen; gives what the API has no word for.
fn sampling(
    name: &str,
    sampling: &Sampling,
    body: &mut Value,
) -> Result<Vec<&'static str>, ModelError> {
    if !sampling.stop.is_empty() {
        // Left out, the answer would go on where it should have ended.
        let what = "knows no stop strings; leave them out, or use `provider = \"openai\"` for a model that takes them";
        return Err(refused("stop", name, API, what));
    }
    for (word, number) in [
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
    ] {
        if let Some(number) = number {
            body[word] = decimal(number).into();
        }
    }
    if let Some(most) = sampling.max_tokens {
        body["max_output_tokens"] = most.into();
    }
    let absent = [
        ("top_k", sampling.top_k.is_some()),
        ("min_p", sampling.min_p.is_some()),
        ("repetition_penalty", sampling.repetition_penalty.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
    ];
    let asked = absent.into_iter().filter(|(_, asked)| *asked);
    Ok(asked.map(|(word, _)| word).collect())
}

/// What the answer is held to.
fn held_to(
    facts: &Facts,
    to: &Endpoint,
    constraint: &Constraint,
    form: &Form,
) -> Result<Value, ModelError> {
    match constraint {
        Constraint::JsonSchema(schema) => {
            let mut format = words::schema(schema, form);
            format.insert("type".to_owned(), "json_schema".into());
            Ok(format.into())
        }
        Constraint::JsonObject => Ok(json!({ "type": "json_object" })),
        other => Err(schema_alone(&to.name, &facts.api(), other)),
    }
}

/// A tool. Not `strict` unless the client says so: it is the API's default, and takes few schemas. Arguments are checked
/// by who calls.
fn tool(tool: &ToolSpec, strict: bool) -> Value {
    let mut wire = json!({
        "type": "function",
        "name": tool.name,
        "parameters": tool.parameters,
        "strict": strict,
    });
    if !tool.description.is_empty() {
        wire["description"] = tool.description.as_str().into();
    }
    wire
}

/// What has to be called, where that is not up to the model.
fn choice(choice: &ToolChoice) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("none".into()),
        ToolChoice::Required => Some("required".into()),
        ToolChoice::Named(name) => Some(json!({ "type": "function", "name": name })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_word_is_left_out_and_stop_strings_are_refused() {
        let mut body = json!({});
        let all = Sampling {
            temperature: Some(0.7),
            top_k: Some(40),
            top_p: Some(0.9),
            min_p: Some(0.1),
            repetition_penalty: Some(1.1),
            frequency_penalty: Some(0.1),
            presence_penalty: Some(0.1),
            seed: Some(7),
            max_tokens: Some(64),
            ..Sampling::default()
        };
        let left_out = sampling("m", &all, &mut body).unwrap();
        assert_eq!(
            body,
            json!({ "temperature": 0.7, "top_p": 0.9, "max_output_tokens": 64 })
        );
        assert_eq!(left_out.len(), 6, "{left_out:?}");
        let stopped = Sampling {
            stop: vec!["\n".to_owned()],
            ..Sampling::default()
        };
        let error = sampling("m", &stopped, &mut body).unwrap_err().to_string();
        assert!(error.starts_with("stop: `m`"), "{error}");
    }
}
