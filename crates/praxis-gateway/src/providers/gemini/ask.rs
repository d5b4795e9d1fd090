//! The body of `models.streamGenerateContent` (Gemini API reference, "Generating content"): how an answer is made, what
//! it must be, and what may be called. What was said so far is in [`contents`].

use praxis_core::{ChatRequest, Constraint, ModelError, ToolChoice, ToolSpec};
use serde_json::{Map, Value, json};

use super::thinking::Thinking;
use super::{API, contents};
use crate::providers::without_extras;
use crate::wire::{decimal, refused};

/// The body of a request, and what of it the API has no word for.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for a constraint or messages that the API has no word for.
pub(super) fn body(
    name: &str,
    model: &str,
    request: &ChatRequest,
) -> Result<(Value, Vec<&'static str>), ModelError> {
    let thinking = Thinking::of(model);
    let said = contents::of(name, &request.messages, thinking.signs())?;
    let mut left_out = left_out(request);
    let mut config = sampling(request);
    if let Some(constraint) = &request.constraint {
        constrain(name, constraint, &mut config)?;
    }
    if let Some(effort) = request.reasoning_effort {
        match thinking.config(effort) {
            Some(thinking) => {
                config.insert("thinkingConfig".to_owned(), thinking);
            }
            None => left_out.push("reasoning_effort"),
        }
    }
    let mut body = json!({ "contents": said.turns });
    if !said.system.is_empty() {
        body["systemInstruction"] = json!({ "parts": said.system });
    }
    if !config.is_empty() {
        body["generationConfig"] = Value::Object(config);
    }
    if !request.tools.is_empty() {
        let declarations: Vec<Value> = request.tools.iter().map(declaration).collect();
        body["tools"] = json!([{ "functionDeclarations": declarations }]);
        if let Some(calling) = calling(&request.tool_choice) {
            body["toolConfig"] = json!({ "functionCallingConfig": calling });
        }
    }
    Ok((body, left_out))
}

/// What is asked of an answer's making that the API has no word for.
fn left_out(request: &ChatRequest) -> Vec<&'static str> {
    let sampling = &request.sampling;
    let one_call = request.parallel_tool_calls == Some(false) && !request.tools.is_empty();
    let absent = [
        ("min_p", sampling.min_p.is_some()),
        ("repetition_penalty", sampling.repetition_penalty.is_some()),
        // All tokens: the API takes a number of them only.
        ("top_k", sampling.top_k == Some(0)),
        ("parallel_tool_calls", one_call),
    ];
    let asked = absent.into_iter().filter(|(_, asked)| *asked);
    let asked = asked.map(|(name, _)| name);
    asked.chain(without_extras(request)).collect()
}

/// How tokens are chosen and reported ("GenerationConfig").
fn sampling(request: &ChatRequest) -> Map<String, Value> {
    let sampling = &request.sampling;
    let mut config = Map::new();
    let mut set = |word: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(word.to_owned(), value);
        }
    };
    for (word, number) in [
        ("temperature", sampling.temperature),
        ("topP", sampling.top_p),
        ("presencePenalty", sampling.presence_penalty),
        ("frequencyPenalty", sampling.frequency_penalty),
    ] {
        set(word, number.map(|number| decimal(number).into()));
    }
    set("topK", sampling.top_k.filter(|k| *k > 0).map(Value::from));
    // The API's seed has 31 bits and a sign.
    let seed = sampling.seed.map(|seed| seed & 0x7fff_ffff);
    set("seed", seed.map(Value::from));
    set("maxOutputTokens", sampling.max_tokens.map(Value::from));
    let stop = Some(&sampling.stop).filter(|stop| !stop.is_empty());
    set("stopSequences", stop.map(|stop| json!(stop)));
    if let Some(top) = request.top_logprobs {
        set("responseLogprobs", Some(true.into()));
        set(
            "logprobs",
            Some(top).filter(|top| *top > 0).map(Value::from),
        );
    }
    config
}

/// Holds the answer to a constraint ("GenerationConfig": `responseJsonSchema` takes JSON Schema, `responseSchema` the
/// API's own, which the type of enumerations needs).
fn constrain(
    name: &str,
    constraint: &Constraint,
    config: &mut Map<String, Value>,
) -> Result<(), ModelError> {
    let (kind, word, schema) = match constraint {
        Constraint::JsonObject => {
            config.insert("responseMimeType".to_owned(), "application/json".into());
            return Ok(());
        }
        Constraint::JsonSchema(schema) => {
            ("application/json", "responseJsonSchema", schema.clone())
        }
        Constraint::Choice(texts) => {
            let schema = json!({ "type": "STRING", "enum": texts });
            ("text/x.enum", "responseSchema", schema)
        }
        other => {
            let what = format!(
                "knows no `{}`; use `json_schema`, `choice`, or a local model",
                other.kind()
            );
            return Err(refused("constraint", name, API, &what));
        }
    };
    config.insert("responseMimeType".to_owned(), kind.into());
    config.insert(word.to_owned(), schema);
    Ok(())
}

/// A tool as it is offered ("Caching", `FunctionDeclaration`).
fn declaration(tool: &ToolSpec) -> Value {
    let mut declared = json!({ "name": tool.name });
    if !tool.description.is_empty() {
        declared["description"] = tool.description.as_str().into();
    }
    // An object without properties is said by leaving the schema out.
    let properties = tool.parameters.get("properties").and_then(Value::as_object);
    if properties.is_none_or(|properties| !properties.is_empty()) {
        declared["parametersJsonSchema"] = tool.parameters.clone();
    }
    declared
}

/// What has to be called; the API does as it sees fit where nothing is said.
fn calling(choice: &ToolChoice) -> Option<Value> {
    match choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!({ "mode": "NONE" })),
        ToolChoice::Required => Some(json!({ "mode": "ANY" })),
        ToolChoice::Named(name) => Some(json!({ "mode": "ANY", "allowedFunctionNames": [name] })),
    }
}

#[cfg(test)]
mod tests {
    use praxis_core::{Message, Sampling};

    use super::*;

    fn request() -> ChatRequest {
        ChatRequest {
            messages: vec![Message::user("Hi")],
            ..ChatRequest::default()
        }
    }

    fn asked(model: &str, request: &ChatRequest) -> (Value, Vec<&'static str>) {
        body("m", model, request).unwrap()
    }

    #[test]
    fn sampling_is_told_in_the_api_s_words_and_the_rest_is_left_out() {
        let (body, left_out) = asked("gemini-2.5-flash", &request());
        let contents = json!([{ "role": "user", "parts": [{ "text": "Hi" }] }]);
        assert_eq!((body, left_out), (json!({ "contents": contents }), vec![]));
        let sampling = Sampling {
            temperature: Some(0.7),
            top_k: Some(40),
            top_p: Some(0.9),
            min_p: Some(0.1),
            repetition_penalty: Some(1.1),
            frequency_penalty: Some(0.5),
            presence_penalty: Some(-0.5),
            seed: Some((1 << 31) + 7),
            max_tokens: Some(24),
            stop: vec!["END".to_owned()],
            ..Sampling::default()
        };
        let full = ChatRequest {
            sampling,
            top_logprobs: Some(3),
            parallel_tool_calls: Some(false),
            ..request()
        };
        let (body, left_out) = asked("gemini-2.5-flash", &full);
        assert_eq!(
            body["generationConfig"],
            json!({
                "temperature": 0.7, "topP": 0.9, "presencePenalty": -0.5, "frequencyPenalty": 0.5, "topK": 40,
                "seed": 7, "maxOutputTokens": 24, "stopSequences": ["END"], "responseLogprobs": true, "logprobs": 3,
            })
        );
        assert_eq!(left_out, ["min_p", "repetition_penalty"]);
        let few = ChatRequest {
            sampling: Sampling {
                top_k: Some(0),
                ..Sampling::default()
            },
            top_logprobs: Some(0),
            ..request()
        };
        let (body, left_out) = asked("gemini-2.5-flash", &few);
        assert_eq!(
            body["generationConfig"],
            json!({ "responseLogprobs": true })
        );
        assert_eq!(left_out, ["top_k"]);
    }

    #[test]
    fn constraints_are_told_where_the_api_has_a_word() {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
        let choices = vec!["yes".to_owned(), "no".to_owned()];
        for (constraint, expected) in [
            (
                Constraint::JsonObject,
                json!({ "responseMimeType": "application/json" }),
            ),
            (
                Constraint::JsonSchema(schema.clone()),
                json!({ "responseMimeType": "application/json", "responseJsonSchema": schema }),
            ),
            (
                Constraint::Choice(choices),
                json!({
                    "responseMimeType": "text/x.enum",
                    "responseSchema": { "type": "STRING", "enum": ["yes", "no"] },
                }),
            ),
        ] {
            let mut config = Map::new();
            constrain("m", &constraint, &mut config).unwrap();
            assert_eq!(Value::Object(config), expected);
        }
        for constraint in [
            Constraint::Regex("a+".to_owned()),
            Constraint::Grammar("start: \"a\"".to_owned()),
        ] {
            let error = constrain("m", &constraint, &mut Map::new()).unwrap_err();
            assert_eq!(error.code().as_str(), "invalid_request");
            let text = error.to_string();
            let kind = format!("`{}`", constraint.kind());
            assert!(text.starts_with("constraint: `m`") && text.contains(&kind));
        }
    }

    #[test]
    fn tools_are_declared_and_choices_told() {
        let tool = |name: &str, parameters: Value| ToolSpec {
            name: name.to_owned(),
            description: String::new(),
            parameters,
        };
        let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
        let mut weather = tool("weather", schema.clone());
        weather.description = "The weather of a city.".to_owned();
        let asked = |choice: ToolChoice| ChatRequest {
            tools: vec![
                weather.clone(),
                tool("now", praxis_core::tool::no_parameters()),
                tool("any", json!({ "type": "object" })),
            ],
            tool_choice: choice,
            parallel_tool_calls: Some(false),
            ..request()
        };
        for (choice, calling) in [
            (ToolChoice::Auto, None),
            (ToolChoice::None, Some(json!({ "mode": "NONE" }))),
            (ToolChoice::Required, Some(json!({ "mode": "ANY" }))),
            (
                ToolChoice::Named("now".to_owned()),
                Some(json!({ "mode": "ANY", "allowedFunctionNames": ["now"] })),
            ),
        ] {
            let (body, left_out) = super::body("m", "gemini-2.5-flash", &asked(choice)).unwrap();
            assert_eq!(
                body["tools"],
                json!([{ "functionDeclarations": [
                    {
                        "name": "weather",
                        "description": "The weather of a city.",
                        "parametersJsonSchema": schema,
                    },
                    { "name": "now" },
                    { "name": "any", "parametersJsonSchema": { "type": "object" } },
                ] }])
            );
            let config = body.get("toolConfig").map(|c| &c["functionCallingConfig"]);
            assert_eq!(config, calling.as_ref());
            assert_eq!(left_out, ["parallel_tool_calls"]);
        }
    }
}
