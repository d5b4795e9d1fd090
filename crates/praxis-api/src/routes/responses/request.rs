//! The body of `POST /v1/responses` (OpenAI API reference, "Create a model response"), and what it asks for. Left out:
//! its items (`input`) and tools (`tools`).

use std::collections::BTreeMap;

use praxis_core::chat::{CacheRetention, Extras, Form, ReasoningEffort, ServiceTier, Verbosity};
use praxis_core::{Constraint, Sampling};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::tools::{Asked, Offered};
use crate::error::ApiError;
use crate::responses::item::Include;
use crate::responses::run::{Ask, Target};
use crate::routes::extras::{self, CacheOptions, priority};
use crate::routes::models::FUNCTION_PREFIX;
use crate::routes::vector_stores::stores::check_metadata;

/// The most alternatives of a token.
pub(crate) const MOST_LOGPROBS: u8 = 20;

/// What an answer may show on demand. What is not in here is nothing that answers have, or there anyway.
pub(crate) const INCLUDE: [&str; 8] = [
    RESULTS,
    LOGPROBS,
    "reasoning.encrypted_content",
    "message.input_image.image_url",
    OUTPUTS,
    "computer_call_output.output.image_url",
    "web_search_call.action.sources",
    "web_search_call.results",
];
const RESULTS: &str = "file_search_call.results";
const OUTPUTS: &str = "code_interpreter_call.outputs";
const LOGPROBS: &str = "message.output_text.logprobs";

/// A request. Fields that are not listed are ignored if they change nothing, and refused by
/// [`Create::check`] if they would.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ResponseRequest")]
pub(crate) struct Create {
    pub(super) model: Option<String>,
    input: Option<Input>,
    pub(super) instructions: Option<String>,
    previous_response_id: Option<String>,
    conversation: Option<InConversation>,
    store: Option<bool>,
    metadata: Option<BTreeMap<String, String>>,
    text: Option<Text>,
    reasoning: Option<Reasoning>,
    max_output_tokens: Option<u32>,
    max_tool_calls: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_logprobs: Option<u8>,
    pub(super) tools: Option<Vec<Value>>,
    pub(super) tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    truncation: Option<Truncation>,
    service_tier: Option<ServiceTier>,
    user: Option<String>,
    safety_identifier: Option<String>,
    prompt_cache_key: Option<String>,
    prompt_cache_retention: Option<CacheRetention>,
    prompt_cache_options: Option<CacheOptions>,
    include: Option<Vec<String>>,
    background: Option<bool>,
    stream: Option<bool>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(untagged, expecting = "must be a string or an array of items")]
#[schemars(rename = "ResponseInput")]
pub(super) enum Input {
    Text(String),
    Items(Vec<Value>),
}

impl Input {
    /// Its items as they came; a text is a message of the user.
    pub(super) fn items(self) -> Vec<Value> {
        match self {
            Self::Text(text) => vec![json!({ "role": "user", "content": text })],
            Self::Items(items) => items,
        }
    }
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(
    untagged,
    expecting = "must be the id of a conversation or {\"id\": ...}"
)]
#[schemars(rename = "ResponseConversation")]
enum InConversation {
    Id(String),
    Object {
        /// Its id.
        id: String,
    },
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ResponseText")]
struct Text {
    format: Option<Format>,
    verbosity: Option<Verbosity>,
}

/// What the answer must be.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(rename = "ResponseTextFormat")]
enum Format {
    Text,
    JsonObject,
    JsonSchema {
        /// What the answer is called.
        name: String,
        /// What the answer is for.
        description: Option<String>,
        /// The JSON Schema.
        schema: Value,
        /// For providers: a local model is always held to the schema.
        strict: Option<bool>,
    },
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ResponseReasoning")]
struct Reasoning {
    effort: Option<ReasoningEffort>,
    summary: Option<Detail>,
    /// As `summary` was called.
    generate_summary: Option<Detail>,
}

/// How a summary of what was thought is wanted. There is one kind.
#[derive(Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ReasoningSummary")]
enum Detail {
    Auto,
    Concise,
    Detailed,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ResponseTruncation")]
enum Truncation {
    Auto,
    #[default]
    Disabled,
}

/// What a response goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// The response of that id, and those before it.
    Response(String),
    /// The conversation of that id.
    Conversation(String),
}

impl Create {
    /// Refuses what is not supported, and what does not go together.
    ///
    /// # Errors
    /// The field, and the fix.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        for (name, fix) in [
            (
                "prompt",
                "call the application's function as `model: \"function:NAME\"`",
            ),
            (
                "context_management",
                "use `truncation: \"auto\"`, or send the conversation to /v1/responses/compact",
            ),
            ("moderation", "send texts to the endpoint for moderations"),
            ("personality", "say it in `instructions`"),
        ] {
            let given = self.rest.get(name);
            if given.is_some_and(|value| !value.is_null() && value != &json!([])) {
                let message = format!("`{name}` is not supported: {fix}");
                return Err(ApiError::invalid(name, message));
            }
        }
        for (name, value, high) in [
            ("temperature", self.temperature, 2.0),
            ("top_p", self.top_p, 1.0),
        ] {
            if value.is_some_and(|v| !(0.0..=high).contains(&v)) {
                let message = format!("`{name}` must be between 0 and {high}");
                return Err(ApiError::invalid(name, message));
            }
        }
        if self.top_logprobs.is_some_and(|n| n > MOST_LOGPROBS) {
            let message = format!("`top_logprobs` must be between 0 and {MOST_LOGPROBS}");
            return Err(ApiError::invalid("top_logprobs", message));
        }
        if self.max_output_tokens == Some(0) {
            let message = "`max_output_tokens` must be at least 1";
            return Err(ApiError::invalid("max_output_tokens", message));
        }
        if let Some(metadata) = &self.metadata {
            check_metadata(metadata)?;
        }
        if self.previous_response_id.is_some() && self.conversation.is_some() {
            let message =
                "`previous_response_id` cannot be used with `conversation`: send one of them";
            return Err(ApiError::invalid("previous_response_id", message));
        }
        if let Some(options) = &self.prompt_cache_options {
            options.ttl()?;
        }
        if self.is_background() && !self.is_kept() {
            let message = "`background` needs `store: true`, or nobody could ask what became of it";
            return Err(ApiError::invalid("background", message));
        }
        if self.function().is_some() {
            self.check_function()?;
        }
        Ok(())
    }

    /// Refuses what is the function's to say.
    fn check_function(&self) -> Result<(), ApiError> {
        for (name, given, why) in [
            (
                "tools",
                self.tools.as_ref().is_some_and(|tools| !tools.is_empty()),
                "a function calls the tools that its prompt names",
            ),
            (
                "text.format",
                self.constraint().is_some(),
                "a function's answer has the form that its prompt gives it",
            ),
            (
                "instructions",
                self.instructions
                    .as_ref()
                    .is_some_and(|text| !text.is_empty()),
                "a function's instructions are those of its prompt",
            ),
        ] {
            if given {
                return Err(ApiError::invalid(name, why));
            }
        }
        Ok(())
    }

    /// The function that is asked instead of a model.
    pub(super) fn function(&self) -> Option<&str> {
        self.model.as_deref()?.strip_prefix(FUNCTION_PREFIX)
    }

    /// Whether nobody waits for it.
    pub(super) fn is_background(&self) -> bool {
        self.background.unwrap_or(false)
    }

    /// Whether its events are wanted.
    pub(super) fn is_streamed(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// Whether it is kept.
    pub(super) fn is_kept(&self) -> bool {
        self.store.unwrap_or(true)
    }

    /// The user of the key, as the client says.
    pub(super) fn payer(&self) -> Option<String> {
        self.safety_identifier.clone().or(self.user.clone())
    }

    /// What it goes on from.
    pub(super) fn before(&self) -> Before {
        match (&self.previous_response_id, &self.conversation) {
            (Some(id), _) => Before::Response(id.clone()),
            (None, Some(InConversation::Id(id) | InConversation::Object { id })) => {
                Before::Conversation(id.clone())
            }
            (None, None) => Before::Nothing,
        }
    }

    /// Its items as they came.
    pub(super) fn items(&mut self) -> Vec<Value> {
        self.input.take().map(Input::items).unwrap_or_default()
    }

    /// What it shows on demand.
    ///
    /// # Errors
    /// A name that is none.
    pub(super) fn included(&self) -> Result<Include, ApiError> {
        let names = self.include.iter().flatten().map(String::as_str);
        let mut include = included(names)?;
        // Alternatives that nobody is shown would have been computed in vain.
        include.logprobs |= self.top_logprobs.is_some_and(|n| n > 0);
        Ok(include)
    }

    fn constraint(&self) -> Option<Constraint> {
        match self.text.as_ref()?.format.as_ref()? {
            Format::Text => None,
            Format::JsonObject => Some(Constraint::JsonObject),
            Format::JsonSchema { schema, .. } => Some(Constraint::JsonSchema(schema.clone())),
        }
    }

    /// What is said in words that few providers have.
    fn extras(&self, offered: &Offered) -> Extras {
        let text = self.text.as_ref();
        let form = match text.and_then(|text| text.format.as_ref()) {
            Some(Format::JsonSchema {
                name,
                description,
                strict,
                ..
            }) => extras::form(Some(name), description.as_deref(), *strict),
            _ => Form::default(),
        };
        let options = self.prompt_cache_options.as_ref();
        Extras {
            verbosity: text.and_then(|text| text.verbosity),
            service_tier: self.service_tier,
            cache_retention: self.prompt_cache_retention,
            // It was checked.
            cache_ttl: options.and_then(|options| options.ttl().ok().flatten()),
            form,
            strict_tools: offered.strict.clone(),
        }
    }

    fn truncation(&self) -> Truncation {
        self.truncation.unwrap_or_default()
    }

    fn summary(&self) -> Option<Detail> {
        let reasoning = self.reasoning.as_ref()?;
        reasoning.summary.or(reasoning.generate_summary)
    }

    /// What is asked, of whom.
    pub(super) fn ask(
        &self,
        target: Target,
        offered: &Offered,
        include: Include,
        origin: String,
    ) -> Ask {
        Ask {
            target,
            model: self.model.clone().unwrap_or_default(),
            sampling: Sampling {
                temperature: self.temperature,
                top_p: self.top_p,
                max_tokens: self.max_output_tokens,
                ..Sampling::default()
            },
            top_logprobs: include.logprobs.then(|| self.top_logprobs.unwrap_or(0)),
            constraint: self.constraint(),
            tools: offered.functions.clone(),
            search: offered.search.clone(),
            container: offered.container.as_ref().map(Asked::container),
            choice: offered.choice.clone(),
            parallel: self.parallel_tool_calls,
            effort: self.reasoning.as_ref().and_then(|r| r.effort),
            cache_key: self.prompt_cache_key.clone(),
            extras: self.extras(offered),
            priority: priority(self.service_tier),
            max_tool_calls: self.max_tool_calls,
            truncates: self.truncation() == Truncation::Auto,
            summary: self.summary().is_some(),
            include,
            origin,
        }
    }

    /// What the answer repeats.
    pub(super) fn echo(&self, offered: &Offered) -> Map<String, Value> {
        let format = match self.text.as_ref().and_then(|text| text.format.as_ref()) {
            None | Some(Format::Text) => json!({ "type": "text" }),
            Some(Format::JsonObject) => json!({ "type": "json_object" }),
            Some(Format::JsonSchema {
                name,
                description,
                schema,
                strict,
            }) => {
                let mut format = json!({
                    "type": "json_schema",
                    "name": name,
                    "schema": schema,
                    "strict": strict.unwrap_or(false),
                });
                if let Some(description) = description {
                    format["description"] = json!(description);
                }
                format
            }
        };
        let effort = self.reasoning.as_ref().and_then(|r| r.effort);
        let truncation = match self.truncation() {
            Truncation::Auto => "auto",
            Truncation::Disabled => "disabled",
        };
        let tier = match self.service_tier {
            Some(ServiceTier::Flex) => "flex",
            _ => "default",
        };
        let summary = self.summary().map(|detail| match detail {
            Detail::Auto => "auto",
            Detail::Concise => "concise",
            Detail::Detailed => "detailed",
        });
        let mut echo = json!({
            "model": self.model,
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "max_tool_calls": self.max_tool_calls,
            "metadata": self.metadata.clone().unwrap_or_default(),
            "parallel_tool_calls": self.parallel_tool_calls.unwrap_or(true),
            "prompt_cache_key": self.prompt_cache_key,
            "reasoning": { "effort": effort, "summary": summary },
            "safety_identifier": self.safety_identifier,
            "service_tier": tier,
            "store": self.is_kept(),
            "temperature": self.temperature.map(decimal),
            "text": { "format": format },
            "tool_choice": offered.choice_echo,
            "tools": offered.echo,
            "top_logprobs": self.top_logprobs.unwrap_or(0),
            "top_p": self.top_p.map(decimal),
            "truncation": truncation,
        });
        if let Some(user) = &self.user {
            echo["user"] = json!(user);
        }
        if let Some(verbosity) = self.text.as_ref().and_then(|text| text.verbosity) {
            echo["text"]["verbosity"] = json!(verbosity);
        }
        match echo {
            Value::Object(echo) => echo,
            _ => Map::new(),
        }
    }
}

/// What an answer shows on demand, by OpenAI's names.
///
/// # Errors
/// A name that is none.
pub(super) fn included<'a>(names: impl Iterator<Item = &'a str>) -> Result<Include, ApiError> {
    let mut include = Include::default();
    for name in names {
        match name {
            RESULTS => include.results = true,
            OUTPUTS => include.outputs = true,
            LOGPROBS => include.logprobs = true,
            name if INCLUDE.contains(&name) => {}
            name => {
                let message = format!(
                    "nothing is called `{name}`; there are {}",
                    INCLUDE.join(", ")
                );
                return Err(ApiError::invalid("include", message));
            }
        }
    }
    Ok(include)
}

/// A number as it was written: its shortest digits, not those of the nearest binary fraction.
fn decimal(number: f32) -> f64 {
    number
        .to_string()
        .parse()
        .unwrap_or_else(|_| f64::from(number))
}

#[cfg(test)]
mod tests;
