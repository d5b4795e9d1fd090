//! The body of `POST /chat/completions` (OpenAI API reference, "Create chat completion"), as a provider takes it.

use praxis_core::chat::Form;
use praxis_core::{ChatRequest, Constraint, Message, ModelError, Role, Sampling};
use serde_json::{Map, Value, json};

use super::content::wire_messages;
use super::tools::{wire_choice, wire_tools};
use super::{strict, value};
use crate::providers::{Chat, Facts};
use crate::wire::{Endpoint, decimal, refused};

/// The providers whose API has `logit_bias`, by name. Others have no such word, or take it and do nothing.
static BIASED: [&str; 6] = [
    "azure",
    "llama-server",
    "openai",
    "openrouter",
    "sglang",
    "vllm",
];

/// Whether the biases of a request, if it has some, can be told.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for a provider that has no word for them: a token that was banned would come.
pub(crate) fn biases(
    facts: &Facts,
    to: &Endpoint,
    request: &ChatRequest,
) -> Result<(), ModelError> {
    if request.sampling.logit_bias.is_empty() || BIASED.contains(&facts.name) {
        return Ok(());
    }
    let what = "takes no bias of tokens: leave `logit_bias` out, or name a model whose API has it";
    Err(refused("logit_bias", &to.name, &facts.api(), what))
}

/// The body of a request, and what of it the provider has no word for.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for a constraint or media that the provider has no word for: without them the
/// answer would be another one.
pub(crate) fn body(
    facts: &Facts,
    to: &Endpoint,
    request: &ChatRequest,
) -> Result<(Map<String, Value>, Vec<&'static str>), ModelError> {
    let chat = &facts.chat;
    let mut body = Body::default();
    body.set("model", &to.model);
    body.set("messages", wire_messages(facts, to, &request.messages)?);
    body.set("stream", true);
    if chat.stream_options {
        body.set("stream_options", json!({ "include_usage": true }));
    }
    body.sampling(chat, request);
    body.constraint(facts, to, request)?;
    if !request.tools.is_empty() {
        let strict: &[String] = match chat.strict_tools {
            true => &request.extras.strict_tools,
            false => &[],
        };
        body.set("tools", wire_tools(&request.tools, strict));
        if let Some(choice) = wire_choice(&request.tool_choice, &request.tools) {
            body.set("tool_choice", choice);
        }
        if let Some(parallel) = request.parallel_tool_calls {
            body.known(
                chat.parallel_tool_calls,
                "parallel_tool_calls",
                "parallel_tool_calls",
                parallel,
            );
        }
    }
    if let Some(effort) = request.reasoning_effort {
        let word = chat.reasoning_effort.then_some("reasoning_effort");
        body.known_as(word, "reasoning_effort", effort.as_str());
    }
    if let Some(key) = request
        .cache_key
        .as_deref()
        .filter(|_| chat.prompt_cache_key)
    {
        body.set("prompt_cache_key", key);
    }
    body.extras(chat, request);
    Ok((body.fields, body.left_out))
}

/// A bias as JSON has it: OpenAI's are whole numbers.
fn number(bias: f32) -> Value {
    match bias.fract() == 0.0 {
        true => json!(bias as i64),
        false => json!(decimal(bias)),
    }
}

/// A schema that the answer is held to: strictly, where the client or else the schema lets it. A provider that cannot
/// hold a strict one refuses it.
pub(crate) fn schema(schema: &Value, form: &Form) -> Map<String, Value> {
    let mut told = Map::new();
    let name = form.name.as_deref().unwrap_or("answer");
    told.insert("name".to_owned(), name.into());
    if let Some(description) = &form.description {
        told.insert("description".to_owned(), description.as_str().into());
    }
    let strict = form.strict.unwrap_or_else(|| strict::fits(schema));
    told.insert("strict".to_owned(), strict.into());
    told.insert("schema".to_owned(), schema.clone());
    told
}

/// What is said of caches beside the key, where the provider has words for it.
pub(crate) fn cache_times(request: &ChatRequest) -> Vec<(&'static str, Value)> {
    let extras = &request.extras;
    let retention = extras.cache_retention.map(value);
    let options = extras.cache_ttl.as_ref().map(|ttl| json!({ "ttl": ttl }));
    let times = [
        ("prompt_cache_retention", retention),
        ("prompt_cache_options", options),
    ];
    let said = times.into_iter();
    said.filter_map(|(word, said)| Some((word, said?)))
        .collect()
}

/// A body as it is written.
#[derive(Default)]
pub(super) struct Body {
    pub(super) fields: Map<String, Value>,
    pub(super) left_out: Vec<&'static str>,
}

impl Body {
    pub(super) fn set(&mut self, name: &str, data: impl serde::Serialize) {
        self.fields.insert(name.to_owned(), value(data));
    }

    /// Sets a field where the provider has it, by its word for it; else notes that it was left out.
    fn known_as(&mut self, word: Option<&str>, name: &'static str, data: impl serde::Serialize) {
        match word {
            Some(word) => self.set(word, data),
            None => self.left_out.push(name),
        }
    }

    pub(super) fn known(
        &mut self,
        has: bool,
        word: &str,
        name: &'static str,
        data: impl serde::Serialize,
    ) {
        self.known_as(has.then_some(word), name, data);
    }

    fn sampling(&mut self, chat: &Chat, request: &ChatRequest) {
        self.choices(chat, &request.sampling);
        if let Some(most) = request.sampling.max_tokens {
            self.set(chat.max_tokens, most);
        }
        if let Some(top) = request.top_logprobs {
            match chat.logprobs {
                true => {
                    self.set("logprobs", true);
                    self.set("top_logprobs", top);
                }
                false => self.left_out.push("logprobs"),
            }
        }
    }

    /// What is not said by all who speak to a model, nor known by all providers.
    fn extras(&mut self, chat: &Chat, request: &ChatRequest) {
        let extras = &request.extras;
        if let Some(verbosity) = extras.verbosity {
            self.known(chat.verbosity, "verbosity", "verbosity", verbosity);
        }
        if let Some(tier) = extras.service_tier {
            match tier.word().filter(|_| chat.service_tier) {
                Some(word) => self.set("service_tier", word),
                None if tier.differs() => self.left_out.push("service_tier"),
                None => {}
            }
        }
        if !extras.strict_tools.is_empty() && !chat.strict_tools && !request.tools.is_empty() {
            self.left_out.push("strict");
        }
        let named = |message: &Message| message.name.is_some() && message.role != Role::Tool;
        if !chat.names && request.messages.iter().any(named) {
            self.left_out.push("name");
        }
        if chat.prompt_cache_key && chat.cache_times {
            for (word, said) in cache_times(request) {
                self.set(word, said);
            }
        }
    }

    /// How tokens are chosen, and what ends the answer: the words that chats and texts have in common.
    pub(super) fn choices(&mut self, chat: &Chat, sampling: &Sampling) {
        for (name, has, number) in [
            ("temperature", true, sampling.temperature),
            ("top_p", true, sampling.top_p),
            ("min_p", chat.open_sampling, sampling.min_p),
            (
                "repetition_penalty",
                chat.open_sampling,
                sampling.repetition_penalty,
            ),
            (
                "frequency_penalty",
                chat.penalties,
                sampling.frequency_penalty,
            ),
            (
                "presence_penalty",
                chat.penalties,
                sampling.presence_penalty,
            ),
        ] {
            if let Some(number) = number {
                self.known(has, name, name, decimal(number));
            }
        }
        if let Some(top_k) = sampling.top_k {
            self.known(chat.open_sampling, "top_k", "top_k", top_k);
        }
        if let Some(seed) = sampling.seed {
            self.known_as(chat.seed, "seed", seed);
        }
        if !sampling.stop.is_empty() {
            self.set("stop", &sampling.stop);
        }
        if !sampling.logit_bias.is_empty() {
            let biases = sampling.logit_bias.iter();
            let biases = biases.map(|(token, bias)| (token.to_string(), number(*bias)));
            self.set("logit_bias", biases.collect::<Map<_, _>>());
        }
    }

    fn constraint(
        &mut self,
        facts: &Facts,
        to: &Endpoint,
        request: &ChatRequest,
    ) -> Result<(), ModelError> {
        match &request.constraint {
            None => Ok(()),
            Some(Constraint::JsonSchema(held)) if facts.chat.json_schema => {
                let held = schema(held, &request.extras.form);
                let format = json!({ "type": "json_schema", "json_schema": held });
                self.set("response_format", format);
                Ok(())
            }
            Some(Constraint::JsonObject) => {
                self.set("response_format", json!({ "type": "json_object" }));
                Ok(())
            }
            // Its names are vLLM's.
            Some(other) if to.structured_outputs || facts.chat.structured_outputs => {
                self.set("structured_outputs", other);
                Ok(())
            }
            Some(other) => {
                let what = format!(
                    "knows no `{}`; use {}a local model, or say `structured_outputs = true` for an endpoint that takes \
                     them as vLLM does",
                    other.kind(),
                    match facts.chat.json_schema {
                        true => "`json_schema`, ",
                        false => "`json_object`, ",
                    }
                );
                Err(refused("constraint", &to.name, &facts.api(), &what))
            }
        }
    }
}
