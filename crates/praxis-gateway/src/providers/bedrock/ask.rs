//! The question to a model (Amazon Bedrock API reference, "ConverseStream"). What Converse itself has no word for goes
//! to Claude in its maker's words, beside it (`additionalModelRequestFields`; Amazon Bedrock user guide, "Anthropic
//! Claude Messages API"); all else is left out.

use praxis_core::chat::ReasoningEffort;
use praxis_core::tool::no_parameters;
use praxis_core::{ChatRequest, Constraint, ModelError, ToolChoice};
use serde_json::{Map, Value, json};

use super::content::{Conversation, Turn};
use super::model::{Model, Thinking};
use super::{API, To};
use crate::providers::{JSON_ALONE, without_extras};
use crate::wire::{Question, decimal, refused};

/// The fewest tokens that Claude can be told to think at most.
const LEAST_THOUGHTS: u32 = 1024;

/// The question.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for a constraint or media that the model cannot be asked with.
pub(super) fn question(to: To<'_>, request: &ChatRequest) -> Result<Question, ModelError> {
    let (body, left_out) = body(to, request)?;
    let path = format!("model/{}/converse-stream", encoded(to.model));
    Ok(Question {
        left_out,
        ..Question::new(path, body)
    })
}

/// The tool whose input is the answer, where the model is asked for one.
pub(super) fn answer_tool(to: To<'_>, request: &ChatRequest) -> Option<String> {
    match held(to, request) {
        Ok(Held::Tool { name, .. }) => Some(name),
        _ => None,
    }
}

/// Ids have colons, and ARNs slashes.
fn encoded(id: &str) -> String {
    let mut encoded = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// How an answer is held to a schema.
enum Held<'a> {
    No,
    /// The model has to call a tool that takes the answer.
    Tool {
        name: String,
        schema: &'a Value,
    },
    /// By the provider. Models that do not take forced calls are those for which it has a word.
    Format(&'a Value),
    /// In words: any object will do.
    Words,
}

fn held<'a>(to: To<'_>, request: &'a ChatRequest) -> Result<Held<'a>, ModelError> {
    let refused = |what: String| Err(refused("constraint", to.name, API, &what));
    let schema = match &request.constraint {
        None => return Ok(Held::No),
        Some(Constraint::JsonSchema(schema)) => schema,
        Some(Constraint::JsonObject) => return Ok(Held::Words),
        Some(other) => {
            return refused(format!(
                "knows no `{}`; use `json_schema`, or a local model",
                other.kind()
            ));
        }
    };
    if !Model::of(to.model).calls_named() {
        return Ok(Held::Format(schema));
    }
    // It holds for answers, and this will be a call.
    if must_call(request) {
        return Ok(Held::No);
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return refused(
            "takes schemas of objects; make the answer a field of one, or use a local model"
                .to_owned(),
        );
    }
    let mut name = "answer".to_owned();
    while request.tools.iter().any(|tool| tool.name == name) {
        name.push('_');
    }
    Ok(Held::Tool { name, schema })
}

/// Whether the model has to call one of the tools.
fn must_call(request: &ChatRequest) -> bool {
    let forced = matches!(
        request.tool_choice,
        ToolChoice::Required | ToolChoice::Named(_)
    );
    forced && !request.tools.is_empty()
}

/// The body, and what of the request the model has no word for.
fn body(to: To<'_>, request: &ChatRequest) -> Result<(Value, Vec<&'static str>), ModelError> {
    let held = held(to, request)?;
    let mut talk = Conversation::of(to, &request.messages)?;
    if matches!(held, Held::Words) {
        talk.system.push(json!({ "text": JSON_ALONE }));
    }
    let mut body = Body {
        to,
        model: Model::of(to.model),
        request,
        fields: Map::new(),
        more: Map::new(),
        left_out: without_extras(request),
    };
    let forced = body.tools(&held, &talk.called);
    let thinks = body.thinking(forced, talk.forgotten);
    body.sampling(thinks);
    if let Held::Format(schema) = held {
        let schema = json!({ "name": "answer", "schema": schema.to_string() });
        let format = json!({ "type": "json_schema", "structure": { "jsonSchema": schema } });
        body.set("outputConfig", json!({ "textFormat": format }));
    }
    body.conversation(talk);
    if !body.more.is_empty() {
        let more = std::mem::take(&mut body.more);
        body.set("additionalModelRequestFields", Value::Object(more));
    }
    Ok((Value::Object(body.fields), body.left_out))
}

/// A body as it is written.
struct Body<'a> {
    to: To<'a>,
    model: Model<'a>,
    request: &'a ChatRequest,
    fields: Map<String, Value>,
    /// What goes to the model in its maker's words.
    more: Map<String, Value>,
    left_out: Vec<&'static str>,
}

impl Body<'_> {
    fn set(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    fn conversation(&mut self, talk: Conversation) {
        let (mut system, mut turns) = (talk.system, talk.turns);
        if self.to.prompt_cache && self.model.caches() {
            if !system.is_empty() {
                system.push(cache_point());
            }
            let all = self.model.caches_all();
            let fits = |block: &Value| all || block.get("text").is_some();
            if let Some(last) = turns.last_mut()
                && last.is_users()
                && last.content.last().is_some_and(fits)
            {
                last.content.push(cache_point());
            }
        }
        if !system.is_empty() {
            self.set("system", Value::Array(system));
        }
        self.set("messages", turns.into_iter().map(Turn::value).collect());
    }

    /// Says what may be called; whether a call is forced.
    fn tools(&mut self, held: &Held<'_>, called: &[String]) -> bool {
        let request = self.request;
        let offered = !request.tools.is_empty() && request.tool_choice != ToolChoice::None;
        let mut tools: Vec<Value> = Vec::new();
        // A conversation with calls has to say what can be called, even where nothing should be.
        if offered || !called.is_empty() {
            let given = request.tools.iter();
            tools.extend(given.map(|t| tool(&t.name, &t.description, &t.parameters)));
        }
        if tools.is_empty() {
            tools.extend(called.iter().map(|name| tool(name, "", &no_parameters())));
        }
        let choice = match held {
            Held::Tool { name, schema } => {
                let purpose = "Takes the whole answer. Call it once, when the answer is ready.";
                tools.push(tool(name, purpose, schema));
                Some(match offered {
                    true => json!({ "any": {} }),
                    false => json!({ "tool": { "name": name } }),
                })
            }
            Held::No | Held::Format(_) | Held::Words if tools.is_empty() => None,
            Held::No | Held::Format(_) | Held::Words => self.choice(),
        };
        if offered && request.parallel_tool_calls == Some(false) {
            self.left_out.push("parallel_tool_calls");
        }
        if tools.is_empty() {
            return false;
        }
        if self.to.prompt_cache && self.model.caches_all() {
            tools.push(cache_point());
        }
        let forced = choice.is_some();
        let mut config = json!({ "tools": tools });
        if let Some(choice) = choice {
            config["toolChoice"] = choice;
        }
        self.set("toolConfig", config);
        forced
    }

    /// What has to be called, where there is something to call; `auto` is what models do anyway.
    fn choice(&mut self) -> Option<Value> {
        if self.request.tools.is_empty() {
            return None;
        }
        match &self.request.tool_choice {
            ToolChoice::Auto => return None,
            ToolChoice::Required if self.model.calls_any() => return Some(json!({ "any": {} })),
            ToolChoice::Named(name) if self.model.calls_named() => {
                return Some(json!({ "tool": { "name": name } }));
            }
            ToolChoice::None | ToolChoice::Required | ToolChoice::Named(_) => {}
        }
        self.left_out.push("tool_choice");
        None
    }

    /// Says how long to think; whether the model does so, which excludes that its sampling is changed. Thoughts exclude
    /// forced calls.
    fn thinking(&mut self, forced: bool, forgotten: bool) -> bool {
        let Some(effort) = self.request.reasoning_effort else {
            return false;
        };
        let rests = effort == ReasoningEffort::None;
        match self.model.thinking() {
            Thinking::Untold => self.left_out.push("reasoning_effort"),
            Thinking::Budget if rests => {}
            Thinking::Budget => {
                let budget = budget(effort, self.request.sampling.max_tokens);
                if let Some(most) = budget.filter(|_| !forced && !forgotten) {
                    let thinking = json!({ "type": "enabled", "budget_tokens": most });
                    self.more.insert("thinking".to_owned(), thinking);
                    return true;
                }
                self.left_out.push("reasoning_effort");
            }
            Thinking::Effort if rests && !self.model.thinks_unasked() => {}
            Thinking::Effort if rests && self.model.can_rest() => {
                self.more
                    .insert("thinking".to_owned(), json!({ "type": "disabled" }));
            }
            Thinking::Effort if rests => self.left_out.push("reasoning_effort"),
            Thinking::Effort => {
                let config = json!({ "effort": self.model.effort(effort) });
                self.more.insert("output_config".to_owned(), config);
                if !forced {
                    self.more
                        .insert("thinking".to_owned(), json!({ "type": "adaptive" }));
                    return true;
                }
            }
        }
        false
    }

    fn sampling(&mut self, thinks: bool) {
        let request = self.request;
        let sampling = &request.sampling;
        let samples = !thinks && self.model.samples();
        let both = sampling.temperature.is_none() || !self.model.takes_one_of_both();
        let mut config = Map::new();
        for (name, word, taken, number) in [
            ("temperature", "temperature", samples, sampling.temperature),
            ("top_p", "topP", samples && both, sampling.top_p),
        ] {
            match number {
                Some(number) if taken => {
                    config.insert(word.to_owned(), decimal(number).into());
                }
                Some(_) => self.left_out.push(name),
                None => {}
            }
        }
        if let Some(most) = sampling.max_tokens {
            config.insert("maxTokens".to_owned(), most.into());
        }
        let stops = sampling.stop.iter().filter(|stop| !stop.is_empty());
        let stops: Vec<Value> = stops.map(|stop| stop.as_str().into()).collect();
        if !stops.is_empty() {
            config.insert("stopSequences".to_owned(), stops.into());
        }
        if !config.is_empty() {
            self.set("inferenceConfig", Value::Object(config));
        }
        match sampling.top_k {
            // All of them, as without it.
            None | Some(0) => {}
            Some(top_k) if samples && self.model.is_claude() => {
                self.more.insert("top_k".to_owned(), top_k.into());
            }
            Some(_) => self.left_out.push("top_k"),
        }
        for (name, given) in [
            ("min_p", sampling.min_p.is_some()),
            ("repetition_penalty", sampling.repetition_penalty.is_some()),
            ("frequency_penalty", sampling.frequency_penalty.is_some()),
            ("presence_penalty", sampling.presence_penalty.is_some()),
            ("seed", sampling.seed.is_some()),
            ("logprobs", request.top_logprobs.is_some()),
        ] {
            if given {
                self.left_out.push(name);
            }
        }
    }
}

fn cache_point() -> Value {
    json!({ "cachePoint": { "type": "default" } })
}

fn tool(name: &str, description: &str, schema: &Value) -> Value {
    let mut spec = json!({ "name": name, "inputSchema": { "json": schema } });
    if !description.trim().is_empty() {
        spec["description"] = description.into();
    }
    json!({ "toolSpec": spec })
}

/// The most tokens of thoughts; they count as tokens of the answer, of which some have to be left.
fn budget(effort: ReasoningEffort, most: Option<u32>) -> Option<u32> {
    let wanted = match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal => LEAST_THOUGHTS,
        ReasoningEffort::Low => 2048,
        ReasoningEffort::Medium => 8192,
        ReasoningEffort::High => 16384,
        // The longest answers of some models have 32,000 tokens.
        ReasoningEffort::XHigh | ReasoningEffort::Max => 24576,
    };
    let budget = most.map_or(wanted, |most| wanted.min(most / 2));
    (budget >= LEAST_THOUGHTS).then_some(budget)
}

#[cfg(test)]
mod tests;
