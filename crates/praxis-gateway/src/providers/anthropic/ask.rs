//! The body of `POST /messages` (Claude API reference, "Create a Message"; Claude documentation, "Structured outputs",
//! "Prompt caching"). Left out: tools that run at the provider, and what is in beta.

use praxis_core::{ChatRequest, Constraint, ModelError, Sampling, ToolChoice, ToolSpec};
use serde_json::{Map, Value, json};

use super::messages;
use super::thinking::{Asked, Mind};
use crate::providers::{Facts, JSON_ALONE, schema_alone, without_extras};
use crate::wire::{Endpoint, Question, decimal};

/// The most tokens of an answer, which the API has to be told. All models that are served write 64,000 and more. What
/// a model thinks counts too, so fewer would cut answers off; those that are not written cost nothing.
const MAX_TOKENS: u32 = 32_000;

/// The highest temperature that the API takes.
const HOTTEST: f32 = 1.0;

/// The question for a streamed answer.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for constraints but JSON Schema, and for media that the API has no word for.
pub(super) fn question(
    facts: &Facts,
    to: &Endpoint,
    request: &ChatRequest,
) -> Result<Question, ModelError> {
    let (body, left_out) = body(facts, &to.name, &to.model, to.prompt_cache, request)?;
    Ok(Question {
        left_out,
        ..Question::new("messages", Value::Object(body))
    })
}

fn body(
    facts: &Facts,
    name: &str,
    model: &str,
    cache: bool,
    request: &ChatRequest,
) -> Result<(Map<String, Value>, Vec<&'static str>), ModelError> {
    let mind = Mind::of(model);
    let max_tokens = request.sampling.max_tokens.unwrap_or(MAX_TOKENS);
    let mut turns = messages::turns(name, model, request)?;
    let told = mind.tell(Asked {
        effort: request.reasoning_effort,
        max_tokens,
        forced: !request.tools.is_empty() && is_forced(&request.tool_choice),
        whole: messages::begins_with_thought(&turns),
    });
    let mut left_out = left_out(request);
    if told.otherwise {
        left_out.push("reasoning_effort");
    }

    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("model", model.into());
    set("max_tokens", max_tokens.into());
    let object = matches!(request.constraint, Some(Constraint::JsonObject)).then_some(JSON_ALONE);
    let system = messages::system(name, &request.messages)?;
    let system = match (system, object) {
        (Some(text), Some(object)) => Some(format!("{text}\n\n{object}")),
        (system, object) => system.or(object.map(str::to_owned)),
    };
    if let Some(text) = system {
        let mut block = json!({ "type": "text", "text": text });
        if cache {
            mark(&mut block);
        }
        set("system", json!([block]));
    }
    if let Some(block) = turns.last_mut().and_then(|turn| turn.last_block())
        && cache
    {
        mark(block);
    }
    set(
        "messages",
        turns.into_iter().map(messages::Turn::into_json).collect(),
    );
    set("stream", true.into());
    let thinks = told.thinking.is_some();
    if let Some(thinking) = told.thinking {
        set("thinking", thinking);
    }
    let mut output = Map::new();
    if let Some(effort) = told.effort {
        output.insert("effort".to_owned(), effort.into());
    }
    if let Some(constraint) = &request.constraint
        && object.is_none()
    {
        output.insert("format".to_owned(), format(facts, name, constraint)?);
    }
    if !output.is_empty() {
        set("output_config", output.into());
    }
    let (sampling, not_taken) = sampling(mind, thinks, &request.sampling);
    for (name, value) in sampling {
        set(name, value);
    }
    left_out.extend(not_taken);
    if !request.sampling.stop.is_empty() {
        set("stop_sequences", json!(request.sampling.stop));
    }
    if !request.tools.is_empty() {
        let mut tools: Vec<Value> = request.tools.iter().map(tool).collect();
        if let Some(last) = tools.last_mut()
            && cache
        {
            mark(last);
        }
        set("tools", tools.into());
        if let Some(choice) = choice(&request.tool_choice, request.parallel_tool_calls) {
            set("tool_choice", choice);
        }
    }
    Ok((body, left_out))
}

/// Has the prompt kept in the provider's cache up to this block. At most four are marked; here they are the last tool,
/// the system prompt and the last block of the last message.
fn mark(block: &mut Value) {
    block["cache_control"] = json!({ "type": "ephemeral" });
}

/// What the API has no word for, whatever the model.
fn left_out(request: &ChatRequest) -> Vec<&'static str> {
    let sampling = &request.sampling;
    let absent = [
        ("min_p", sampling.min_p.is_some()),
        ("repetition_penalty", sampling.repetition_penalty.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
        ("logprobs", request.top_logprobs.is_some()),
    ];
    let asked = absent.into_iter().filter(|(_, asked)| *asked);
    let asked = asked.map(|(name, _)| name);
    asked.chain(without_extras(request)).collect()
}

/// How tokens are chosen, and what of it the model does not take: nothing while it thinks, nothing at all from Claude
/// 4.7 on, and for Claude not `temperature` and `top_p` together. A temperature that is too high for the API becomes
/// its highest, the nearest to what was asked for; it counts as left out.
fn sampling(
    mind: Mind,
    thinks: bool,
    sampling: &Sampling,
) -> (Vec<(&'static str, Value)>, Vec<&'static str>) {
    // 0 keeps all tokens, as saying nothing does.
    let top_k = sampling.top_k.filter(|k| *k > 0);
    let taken = mind.sampled && !thinks;
    let (mut sent, mut left_out) = (Vec::new(), Vec::new());
    if let Some(temperature) = sampling.temperature {
        if taken {
            sent.push(("temperature", decimal(temperature.min(HOTTEST)).into()));
        }
        if !taken || temperature > HOTTEST {
            left_out.push("temperature");
        }
    }
    if let Some(top_p) = sampling.top_p {
        match taken && (mind.both || sampling.temperature.is_none()) {
            true => sent.push(("top_p", decimal(top_p).into())),
            false => left_out.push("top_p"),
        }
    }
    if let Some(top_k) = top_k {
        match taken {
            true => sent.push(("top_k", top_k.into())),
            false => left_out.push("top_k"),
        }
    }
    (sent, left_out)
}

/// What the answer is held to. A schema with something that cannot be held is refused by the API.
fn format(facts: &Facts, name: &str, constraint: &Constraint) -> Result<Value, ModelError> {
    match constraint {
        Constraint::JsonSchema(schema) => Ok(json!({ "type": "json_schema", "schema": schema })),
        other => Err(schema_alone(name, &facts.api(), other)),
    }
}

/// A tool. The API wants its schema to say that arguments are an object.
fn tool(tool: &ToolSpec) -> Value {
    let mut schema = tool.parameters.clone();
    if let Some(schema) = schema.as_object_mut() {
        schema.entry("type").or_insert_with(|| "object".into());
    }
    let mut wire = json!({ "name": tool.name });
    if !tool.description.is_empty() {
        wire["description"] = tool.description.as_str().into();
    }
    wire["input_schema"] = schema;
    wire
}

/// Whether the model has to call a tool.
fn is_forced(choice: &ToolChoice) -> bool {
    matches!(choice, ToolChoice::Required | ToolChoice::Named(_))
}

/// What has to be called, where that is not up to the model. Newer models refuse to be forced, and say so.
fn choice(choice: &ToolChoice, parallel: Option<bool>) -> Option<Value> {
    let alone = parallel == Some(false);
    let mut wire = match choice {
        ToolChoice::None => return Some(json!({ "type": "none" })),
        ToolChoice::Auto if !alone => return None,
        ToolChoice::Auto => json!({ "type": "auto" }),
        ToolChoice::Required => json!({ "type": "any" }),
        ToolChoice::Named(name) => json!({ "type": "tool", "name": name }),
    };
    if alone {
        wire["disable_parallel_tool_use"] = true.into();
    }
    Some(wire)
}

#[cfg(test)]
mod tests {
    use praxis_core::Message;
    use praxis_core::chat::{ReasoningEffort, ServiceTier, Verbosity};

    use super::super::FACTS;
    use super::*;

    fn sent(model: &str, cache: bool, request: &ChatRequest) -> (Value, Vec<&'static str>) {
        let (body, left_out) = body(&FACTS, "m", model, cache, request).unwrap();
        (Value::Object(body), left_out)
    }

    fn request() -> ChatRequest {
        ChatRequest {
            messages: vec![Message::user("Hi")],
            ..ChatRequest::default()
        }
    }

    fn weather() -> ToolSpec {
        ToolSpec {
            name: "weather".to_owned(),
            description: String::new(),
            parameters: json!({"properties": {"city": {"type": "string"}}}),
        }
    }

    #[test]
    fn tokens_are_chosen_as_far_as_the_model_takes_it() {
        let all = Sampling {
            temperature: Some(1.5),
            top_p: Some(0.9),
            top_k: Some(40),
            ..Sampling::default()
        };
        let cool = Sampling {
            temperature: Some(0.7),
            top_k: Some(0),
            ..Sampling::default()
        };
        let high = Some(ReasoningEffort::High);
        for (model, effort, sampling, expected, left_out) in [
            (
                "claude-haiku-4-5",
                None,
                &all,
                json!({"temperature": 1.0, "top_k": 40}),
                vec!["temperature", "top_p"],
            ),
            (
                "glm-5",
                None,
                &all,
                json!({"temperature": 1.0, "top_p": 0.9, "top_k": 40}),
                vec!["temperature"],
            ),
            (
                "claude-haiku-4-5",
                None,
                &cool,
                json!({"temperature": 0.7}),
                vec![],
            ),
            (
                "claude-haiku-4-5",
                high,
                &cool,
                json!({}),
                vec!["temperature"],
            ),
            (
                "claude-opus-4-8",
                None,
                &all,
                json!({}),
                vec!["temperature", "top_p", "top_k"],
            ),
        ] {
            let request = ChatRequest {
                sampling: sampling.clone(),
                reasoning_effort: effort,
                ..request()
            };
            let (body, dropped) = sent(model, false, &request);
            for word in ["temperature", "top_p", "top_k"] {
                assert_eq!(body.get(word), expected.get(word), "{model} {word}");
            }
            assert_eq!(dropped, left_out, "{model}");
        }
    }

    #[test]
    fn an_answer_has_a_limit_whether_or_not_one_is_asked_for() {
        let (body, left_out) = sent("claude-opus-4-8", false, &request());
        let text = json!([{"type": "text", "text": "Hi"}]);
        let expected = json!({
            "model": "claude-opus-4-8",
            "max_tokens": MAX_TOKENS,
            "messages": [{"role": "user", "content": text}],
            "stream": true,
        });
        assert_eq!((body, left_out), (expected, vec![]));
        let mut short = request();
        short.sampling.max_tokens = Some(9);
        assert_eq!(sent("claude-opus-4-8", false, &short).0["max_tokens"], 9);
    }

    #[test]
    fn three_blocks_are_marked_for_the_cache() {
        let mut request = request();
        request.messages.insert(0, Message::system("Be brief."));
        request.tools = vec![weather(), weather()];
        let marks = |cache| {
            sent("claude", cache, &request)
                .0
                .to_string()
                .matches("cache_control")
                .count()
        };
        assert_eq!((marks(true), marks(false)), (3, 0));
        let (body, _) = sent("claude", true, &request);
        let mark = json!({"type": "ephemeral"});
        assert_eq!(body["tools"][1]["cache_control"], mark);
        assert_eq!(body["system"][0]["cache_control"], mark);
        assert_eq!(body["messages"][0]["content"][0]["cache_control"], mark);
    }

    #[test]
    fn tools_and_their_choice_have_words_of_their_own() {
        let tool = tool(&weather());
        assert_eq!(tool["input_schema"]["type"], "object");
        assert_eq!(tool.get("description"), None);
        let named = ToolChoice::Named("weather".to_owned());
        for (asked, parallel, expected) in [
            (ToolChoice::Auto, None, None),
            (ToolChoice::Auto, Some(true), None),
            (
                ToolChoice::Auto,
                Some(false),
                Some(json!({"type": "auto", "disable_parallel_tool_use": true})),
            ),
            (ToolChoice::None, Some(false), Some(json!({"type": "none"}))),
            (ToolChoice::Required, None, Some(json!({"type": "any"}))),
            (
                named,
                None,
                Some(json!({"type": "tool", "name": "weather"})),
            ),
        ] {
            assert_eq!(choice(&asked, parallel), expected, "{asked:?}");
        }
        let mut none = request();
        none.tool_choice = ToolChoice::Required;
        assert_eq!(sent("claude", false, &none).0.get("tool_choice"), None);
    }

    #[test]
    fn an_answer_is_held_to_a_schema_and_to_nothing_else() {
        let mut request = request();
        request.constraint = Some(Constraint::Regex("a+".to_owned()));
        let error = body(&FACTS, "m", "claude", false, &request).unwrap_err();
        assert!(error.to_string().starts_with("constraint: `m`"), "{error}");
        request.constraint = Some(Constraint::JsonSchema(json!({"type": "object"})));
        request.reasoning_effort = Some(ReasoningEffort::Low);
        let expected = json!({
            "effort": "low",
            "format": {"type": "json_schema", "schema": {"type": "object"}},
        });
        assert_eq!(
            sent("claude-opus-4-8", false, &request).0["output_config"],
            expected
        );
    }

    #[test]
    fn json_of_any_kind_is_asked_for_in_words() {
        let mut request = request();
        request.constraint = Some(Constraint::JsonObject);
        let (body, left_out) = sent("claude-opus-4-8", false, &request);
        assert_eq!(body["system"][0]["text"], JSON_ALONE);
        assert_eq!((body.get("output_config"), left_out), (None, vec![]));
        request.messages.insert(0, Message::system("Be brief."));
        let (body, _) = sent("claude-opus-4-8", false, &request);
        assert_eq!(
            body["system"][0]["text"],
            format!("Be brief.\n\n{JSON_ALONE}")
        );
    }

    #[test]
    fn words_of_openais_alone_are_left_out() {
        let mut request = request();
        request.messages[0].name = Some("ann".to_owned());
        request.extras.verbosity = Some(Verbosity::Low);
        request.extras.service_tier = Some(ServiceTier::Flex);
        request.extras.strict_tools = vec!["weather".to_owned()];
        let (body, left_out) = sent("claude-opus-4-8", false, &request);
        assert_eq!(left_out, ["verbosity", "service_tier", "strict", "name"]);
        assert_eq!(body["messages"][0].get("name"), None);
    }
}
