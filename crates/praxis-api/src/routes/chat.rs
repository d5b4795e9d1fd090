//! `/v1/chat/completions` (OpenAI API reference, "Create chat completion"), for models and functions. Each choice of an
//! answer is a request to a model of its own, so that limits count each.

mod answer;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use praxis_core::chat::{CacheRetention, Extras, Form, ReasoningEffort, ServiceTier, Verbosity};
use praxis_core::{
    CallContext, CallEvent, ChatChunk, ChatGateway, ChatRequest, Citation, Constraint,
    FinishReason, Message, ModelError, Sampling, TokenLogprob, ToolCallDelta, Usage, now_s,
};
use praxis_store::Scope;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::answer::{Envelope, Marked};
pub(crate) use self::answer::{marks, usage_value};
use super::bias::biases;
use super::completions::{AT_ONCE, MAX_ANSWERS, begun};
use super::extras::{self, CacheOptions, priority};
use super::functions::{self, Step};
use super::messages::InMessage;
use super::models::FUNCTION_PREFIX;
use super::tools::{InChoice, InTool};
use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying};
use crate::responses::attached::Reader;
use crate::sse;
use crate::state::ApiState;

/// How long a stream may wait for the first piece of its answer before it begins with status 200. An
/// error that comes earlier has its own status, as clients expect it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A request. Fields that are not listed are ignored if they change nothing, and refused by
/// [`Request::refuse_unsupported`] if they would.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ChatCompletionRequest")]
pub(crate) struct Request {
    model: String,
    messages: Vec<InMessage>,
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<u32>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    seed: Option<i64>,
    logit_bias: Option<Map<String, Value>>,
    n: Option<usize>,
    #[serde(default)]
    stop: Option<OneOrMany>,
    #[serde(default)]
    logprobs: Option<bool>,
    top_logprobs: Option<u8>,
    response_format: Option<ResponseFormat>,
    structured_outputs: Option<StructuredOutputs>,
    service_tier: Option<ServiceTier>,
    tools: Option<Vec<InTool>>,
    tool_choice: Option<InChoice>,
    parallel_tool_calls: Option<bool>,
    reasoning_effort: Option<ReasoningEffort>,
    verbosity: Option<Verbosity>,
    prompt_cache_key: Option<String>,
    prompt_cache_retention: Option<CacheRetention>,
    prompt_cache_options: Option<CacheOptions>,
    user: Option<String>,
    safety_identifier: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// What the answer must be, in OpenAI's words.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat {
    /// Any text.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of a schema.
    JsonSchema {
        /// The schema.
        json_schema: NamedSchema,
    },
}

#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "ResponseFormatSchema")]
struct NamedSchema {
    name: Option<String>,
    description: Option<String>,
    schema: Value,
    strict: Option<bool>,
}

/// What the answer must be, in vLLM's words, which say more.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum StructuredOutputs {
    /// JSON of a schema.
    Json(Value),
    /// A text that matches, in the syntax of Rust's `regex`.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A text of a grammar, in Lark's notation.
    Grammar(String),
}

#[derive(Deserialize, schemars::JsonSchema)]
pub(super) struct StreamOptions {
    #[serde(default)]
    pub(super) include_usage: bool,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(untagged, expecting = "must be a string or an array of strings")]
#[schemars(rename = "Stop")]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Request {
    fn refuse_unsupported(&self) -> Result<(), ApiError> {
        for name in [
            "functions",
            "function_call",
            "audio",
            "modalities",
            "moderation",
            "prediction",
            "web_search_options",
        ] {
            let given = self.rest.get(name).is_some_and(|v| {
                !v.is_null() && v != &json!([]) && v != &json!({}) && v != &json!(["text"])
            });
            if given {
                return Err(ApiError::invalid(
                    name,
                    format!("`{name}` is not supported"),
                ));
            }
        }
        if self.rest.get("store").is_some_and(|store| store == true) {
            let message = "chats are not kept here: leave `store` out, or use `/v1/responses`";
            return Err(ApiError::invalid("store", message));
        }
        for (name, value, high) in [
            ("temperature", self.temperature, 2.0),
            ("top_p", self.top_p, 1.0),
            ("min_p", self.min_p, 1.0),
        ] {
            if value.is_some_and(|v| !(0.0..=high).contains(&v)) {
                let message = format!("`{name}` must be between 0 and {high}");
                return Err(ApiError::invalid(name, message));
            }
        }
        let is_function = self.model.starts_with(FUNCTION_PREFIX);
        match self.count() {
            2.. if is_function => {
                return Err(ApiError::invalid(
                    "n",
                    "a function gives one answer: leave `n` out",
                ));
            }
            1..=MAX_ANSWERS => {}
            _ => {
                let message = format!("`n` must be between 1 and {MAX_ANSWERS}");
                return Err(ApiError::invalid("n", message));
            }
        }
        if is_function && self.tools.as_ref().is_some_and(|t| !t.is_empty()) {
            return Err(ApiError::invalid(
                "tools",
                "a function calls the tools that its prompt names",
            ));
        }
        if is_function && self.constraint().is_some() {
            return Err(ApiError::invalid(
                "response_format",
                "a function's answer has the form that its prompt gives it",
            ));
        }
        Ok(())
    }

    /// How many choices are wanted.
    fn count(&self) -> usize {
        self.n.unwrap_or(1)
    }

    fn constraint(&self) -> Option<Constraint> {
        if let Some(outputs) = &self.structured_outputs {
            return Some(match outputs {
                StructuredOutputs::Json(schema) => Constraint::JsonSchema(schema.clone()),
                StructuredOutputs::Regex(regex) => Constraint::Regex(regex.clone()),
                StructuredOutputs::Choice(texts) => Constraint::Choice(texts.clone()),
                StructuredOutputs::Grammar(lark) => Constraint::Grammar(lark.clone()),
            });
        }
        match self.response_format.as_ref()? {
            ResponseFormat::Text => None,
            ResponseFormat::JsonObject => Some(Constraint::JsonObject),
            ResponseFormat::JsonSchema { json_schema } => {
                Some(Constraint::JsonSchema(json_schema.schema.clone()))
            }
        }
    }

    /// What is said in words that few providers have.
    fn extras(&self) -> Result<Extras, ApiError> {
        let form = match (&self.structured_outputs, &self.response_format) {
            (None, Some(ResponseFormat::JsonSchema { json_schema })) => json_schema.form(),
            _ => Form::default(),
        };
        let options = self.prompt_cache_options.as_ref();
        let tools = self.tools.iter().flatten();
        Ok(Extras {
            verbosity: self.verbosity,
            service_tier: self.service_tier,
            cache_retention: self.prompt_cache_retention,
            cache_ttl: options.map(CacheOptions::ttl).transpose()?.flatten(),
            form,
            strict_tools: tools.filter_map(InTool::strict).collect(),
        })
    }

    fn messages(&self) -> Result<Vec<Message>, ApiError> {
        self.messages
            .iter()
            .enumerate()
            .map(|(i, message)| {
                message.message().map_err(|(place, what)| {
                    ApiError::invalid(&format!("messages[{i}]{place}"), what)
                })
            })
            .collect()
    }

    /// Puts what files say in their places.
    async fn read_files(&mut self, reader: &mut Reader<'_>) -> Result<(), ApiError> {
        for (i, message) in self.messages.iter_mut().enumerate() {
            let place = format!("messages[{i}]");
            message.read_files(&place, reader).await?;
        }
        reader.fits("messages").await
    }

    fn sampling(&self) -> Result<Sampling, ApiError> {
        Ok(Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            seed: self.seed.map(i64::cast_unsigned),
            max_tokens: self.max_completion_tokens.or(self.max_tokens),
            stop: match &self.stop {
                None => Vec::new(),
                Some(OneOrMany::One(stop)) => vec![stop.clone()],
                Some(OneOrMany::Many(stops)) => stops.clone(),
            },
            logit_bias: biases(self.logit_bias.as_ref())?,
        })
    }

    fn wanted_logprobs(&self) -> Result<Option<u8>, ApiError> {
        match (self.logprobs.unwrap_or(false), self.top_logprobs) {
            (false, Some(_)) => Err(ApiError::invalid(
                "top_logprobs",
                "`top_logprobs` needs `logprobs: true`",
            )),
            (false, None) => Ok(None),
            (true, n) => Ok(Some(n.unwrap_or(0))),
        }
    }
}

impl NamedSchema {
    fn form(&self) -> Form {
        extras::form(
            self.name.as_deref(),
            self.description.as_deref(),
            self.strict,
        )
    }
}

/// A piece of an answer, of a model or of a function.
pub(crate) enum Piece {
    Text {
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    Reasoning(String),
    ToolCall(ToolCallDelta),
    Concluded {
        confidence: Option<f32>,
    },
    Cited {
        text: String,
        citations: Vec<Citation>,
    },
    Done {
        finish: FinishReason,
        usage: Usage,
        refused: Option<bool>,
    },
    Failed(ApiError),
}

/// Answers, as a stream or whole.
pub(crate) async fn completions(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    headers: HeaderMap,
    JsonBody(mut request): JsonBody<Request>,
) -> Result<Response, ApiError> {
    request.refuse_unsupported()?;
    if request.model.starts_with(FUNCTION_PREFIX) {
        paying.is_for(Scope::Functions)?;
    }
    let user = request.safety_identifier.clone().or(request.user.clone());
    let reads_files = paying.is_for(Scope::Files).is_ok();
    let cx = state.context(caller, paying.by_user(user));
    let guard = cx.cancel().clone().drop_guard();
    let envelope = Envelope {
        id: format!("chatcmpl-{}", cx.trace_id()),
        trace: cx.trace_id().to_string(),
        model: request.model.clone(),
        created: now_s(),
        origin: origin(&headers),
        choices: request.count(),
    };
    let model = request.model.clone();
    // A function takes texts.
    let model = Some(model.as_str()).filter(|name| !name.starts_with(FUNCTION_PREFIX));
    request
        .read_files(&mut Reader::new(&state, cx.caller(), reads_files, model))
        .await?;
    let (messages, sampling, top) = (
        request.messages()?,
        request.sampling()?,
        request.wanted_logprobs()?,
    );
    let pieces = match request.model.strip_prefix(FUNCTION_PREFIX) {
        Some(name) => {
            let function = state.library.get(name)?;
            let steps = functions::run(function, messages, sampling, top, cx.clone());
            of_steps(steps).map(|piece| (0, piece)).boxed()
        }
        None => {
            let choices = request.count();
            let chat = ChatRequest {
                constraint: request.constraint(),
                extras: request.extras()?,
                priority: priority(request.service_tier),
                model: request.model,
                messages,
                sampling,
                top_logprobs: top,
                tools: request
                    .tools
                    .into_iter()
                    .flatten()
                    .map(InTool::spec)
                    .collect(),
                tool_choice: request
                    .tool_choice
                    .map(InChoice::choice)
                    .unwrap_or_default(),
                parallel_tool_calls: request.parallel_tool_calls,
                reasoning_effort: request.reasoning_effort,
                cache_key: request.prompt_cache_key,
                ..ChatRequest::default()
            };
            match choices {
                1 => {
                    let chunks = state.chat.chat(chat, &cx).await?;
                    chunks.map(|chunk| (0, of_chunk(chunk))).boxed()
                }
                _ => side_by_side(Arc::clone(&state.chat), chat, choices, cx.clone()),
            }
        }
    };
    if request.stream.unwrap_or(false) {
        let usage = request.stream_options.is_some_and(|o| o.include_usage);
        let mut pieces = Box::pin(pieces.peekable());
        let first = tokio::time::timeout(PATIENCE, Pin::as_mut(&mut pieces).peek()).await;
        if let Ok(Some((_, Piece::Failed(error)))) = first {
            return Err(error.clone());
        }
        let events = envelope.stream(pieces, usage, cx.cancel().clone());
        return Ok(sse::stream(events, guard).into_response());
    }
    Ok(Json(envelope.whole(pieces).await?).into_response())
}

/// The pieces of several answers to one request, some of which are made at a time. Each has a seed of its own where there
/// is one: with the same all would be the same.
fn side_by_side(
    chat: Arc<dyn ChatGateway>,
    request: ChatRequest,
    choices: usize,
    cx: CallContext,
) -> BoxStream<'static, Marked> {
    // A request is copied when its turn comes: all at once, long prompts would take a hundred times their memory.
    let answers = (0..choices).map(move |at| {
        let mut request = request.clone();
        let seed = request.sampling.seed;
        request.sampling.seed = seed.map(|seed| seed.wrapping_add(at as u64));
        let chunks = begun(Arc::clone(&chat), request, cx.clone());
        chunks.map(move |chunk| (at, of_chunk(chunk))).boxed()
    });
    stream::iter(answers).flatten_unordered(AT_ONCE).boxed()
}

/// A piece of a model's answer.
pub(crate) fn of_chunk(chunk: Result<ChatChunk, ModelError>) -> Piece {
    match chunk {
        Ok(ChatChunk::Delta { text, logprobs }) => Piece::Text { text, logprobs },
        Ok(ChatChunk::Reasoning(text)) => Piece::Reasoning(text),
        Ok(ChatChunk::ToolCall(delta)) => Piece::ToolCall(delta),
        Ok(ChatChunk::Done {
            finish_reason,
            usage,
        }) => Piece::Done {
            finish: finish_reason,
            usage,
            refused: None,
        },
        Err(error) => Piece::Failed(error.into()),
    }
}

/// A function's steps as pieces; what its model said of the end goes into the last of them.
pub(crate) fn of_steps(
    steps: impl Stream<Item = Step> + Send + 'static,
) -> impl Stream<Item = Piece> + Send {
    let (mut finish, mut total) = (FinishReason::Stop, Usage::default());
    steps.filter_map(move |step| {
        let piece = match step {
            Step::Event(CallEvent::Delta { text, logprobs }) => {
                Some(Piece::Text { text, logprobs })
            }
            Step::Event(CallEvent::Cited { text, citations }) => {
                Some(Piece::Cited { text, citations })
            }
            Step::Event(CallEvent::Reasoning { text }) => Some(Piece::Reasoning(text)),
            Step::Event(CallEvent::Concluded { confidence, .. }) => {
                Some(Piece::Concluded { confidence })
            }
            Step::Event(
                CallEvent::Retrieved(_)
                | CallEvent::Partial(_)
                | CallEvent::ToolCalled(_)
                | CallEvent::ToolAnswered { .. },
            ) => None,
            Step::Event(CallEvent::Finished {
                finish_reason,
                usage,
            }) => {
                finish = finish_reason;
                total += usage;
                None
            }
            Step::Done(Ok(output)) => Some(Piece::Done {
                finish,
                usage: total,
                refused: output.get("refused").and_then(Value::as_bool),
            }),
            Step::Done(Err(error)) => Some(Piece::Failed(ApiError::from(error))),
        };
        futures::future::ready(piece)
    })
}

/// This server's address as the client wrote it, for links that the client can open.
pub(crate) fn origin(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let scheme = text("x-forwarded-proto").filter(|s| *s == "https");
    let host = text(header::HOST.as_str()).unwrap_or_default();
    format!("{}://{host}", scheme.unwrap_or("http"))
}
