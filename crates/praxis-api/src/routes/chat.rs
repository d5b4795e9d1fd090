//! `/v1/chat/completions` (OpenAI API reference, "Create chat completion"), for models and functions.

use std::pin::Pin;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt};
use praxis_core::chat::{Layout, ReasoningEffort};
use praxis_core::{
    CallEvent, ChatChunk, ChatRequest, Citation, Constraint, FinishReason, Message, ModelError,
    Priority, Sampling, TokenLogprob, ToolCallDelta, ToolCalls, Usage, now_s,
};
use praxis_store::Scope;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::functions::{self, Step};
use super::messages::InMessage;
use super::models::FUNCTION_PREFIX;
use super::tools::{self, InChoice, InTool};
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
    #[serde(default)]
    stop: Option<OneOrMany>,
    #[serde(default)]
    logprobs: Option<bool>,
    top_logprobs: Option<u8>,
    response_format: Option<ResponseFormat>,
    structured_outputs: Option<StructuredOutputs>,
    service_tier: Option<String>,
    tools: Option<Vec<InTool>>,
    tool_choice: Option<InChoice>,
    parallel_tool_calls: Option<bool>,
    reasoning_effort: Option<ReasoningEffort>,
    prompt_cache_key: Option<String>,
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
    schema: Value,
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
            "logit_bias",
            "audio",
            "modalities",
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
        if self.rest.get("n").is_some_and(|n| n != 1) {
            return Err(ApiError::invalid("n", "`n` can only be 1"));
        }
        if self.tools.as_ref().is_some_and(|t| !t.is_empty())
            && self.model.starts_with(FUNCTION_PREFIX)
        {
            return Err(ApiError::invalid(
                "tools",
                "a function calls the tools that its prompt names",
            ));
        }
        if self.constraint().is_some() && self.model.starts_with(FUNCTION_PREFIX) {
            return Err(ApiError::invalid(
                "response_format",
                "a function's answer has the form that its prompt gives it",
            ));
        }
        Ok(())
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
            ResponseFormat::JsonObject => Some(Constraint::JsonSchema(json!({ "type": "object" }))),
            ResponseFormat::JsonSchema { json_schema } => {
                Some(Constraint::JsonSchema(json_schema.schema.clone()))
            }
        }
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

    fn sampling(&self) -> Sampling {
        Sampling {
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
        }
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

/// OpenAI's cheap tier is for requests that nobody waits for.
pub(crate) fn priority(service_tier: Option<&str>) -> Priority {
    match service_tier {
        Some("flex") => Priority::Batch,
        _ => Priority::Interactive,
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
    };
    let model = request.model.clone();
    // A function takes texts.
    let model = Some(model.as_str()).filter(|name| !name.starts_with(FUNCTION_PREFIX));
    request
        .read_files(&mut Reader::new(&state, cx.caller(), reads_files, model))
        .await?;
    let (messages, sampling, top) = (
        request.messages()?,
        request.sampling(),
        request.wanted_logprobs()?,
    );
    let pieces = match request.model.strip_prefix(FUNCTION_PREFIX) {
        Some(name) => {
            let function = state.library.get(name)?;
            of_steps(functions::run(function, messages, sampling, top, cx)).boxed()
        }
        None => {
            let chat = ChatRequest {
                constraint: request.constraint(),
                priority: priority(request.service_tier.as_deref()),
                model: request.model,
                messages,
                layout: Layout::Chat,
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
                timeout: None,
            };
            state.chat.chat(chat, &cx).await?.map(of_chunk).boxed()
        }
    };
    if request.stream.unwrap_or(false) {
        let usage = request.stream_options.is_some_and(|o| o.include_usage);
        let mut pieces = Box::pin(pieces.peekable());
        let first = tokio::time::timeout(PATIENCE, Pin::as_mut(&mut pieces).peek()).await;
        if let Ok(Some(Piece::Failed(error))) = first {
            return Err(error.clone());
        }
        return Ok(sse::stream(envelope.stream(pieces, usage), guard).into_response());
    }
    Ok(Json(envelope.whole(pieces).await?).into_response())
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

/// What all parts of one answer share.
struct Envelope {
    id: String,
    trace: String,
    model: String,
    created: i64,
    origin: String,
}

impl Envelope {
    fn chunk(&self, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }

    fn stream(
        self,
        pieces: impl Stream<Item = Piece> + Send + 'static,
        include_usage: bool,
    ) -> impl Stream<Item = axum::response::sse::Event> + Send {
        let first = self.chunk(&json!([{
            "index": 0, "delta": { "role": "assistant", "content": "" }, "finish_reason": null
        }]));
        let (mut whole, mut citations, mut certain) = (String::new(), Vec::new(), None);
        let rest = pieces.flat_map(move |piece| {
            let events = match piece {
                Piece::Reasoning(text) => {
                    let delta = json!({ "reasoning_content": text });
                    let choice = json!({ "index": 0, "delta": delta, "finish_reason": null });
                    vec![sse::data(&self.chunk(&json!([choice])))]
                }
                Piece::ToolCall(delta) => {
                    let choice = json!({
                        "index": 0,
                        "delta": { "tool_calls": [tools::piece(&delta)] },
                        "finish_reason": null,
                    });
                    vec![sse::data(&self.chunk(&json!([choice])))]
                }
                Piece::Concluded { confidence } => {
                    certain = confidence;
                    Vec::new()
                }
                Piece::Text { text, logprobs } if text.is_empty() && logprobs.is_empty() => {
                    Vec::new()
                }
                Piece::Text { text, logprobs } => {
                    let choice = json!({
                        "index": 0,
                        "delta": { "content": text },
                        "logprobs": logprobs_value(&logprobs),
                        "finish_reason": null,
                    });
                    vec![sse::data(&self.chunk(&json!([choice])))]
                }
                Piece::Cited {
                    text,
                    citations: found,
                } => {
                    (whole, citations) = (text, found);
                    Vec::new()
                }
                Piece::Done {
                    finish,
                    usage,
                    refused,
                } => {
                    let choice = json!({ "index": 0, "delta": {}, "finish_reason": finish });
                    let mut last = self.chunk(&json!([choice]));
                    last["praxis"] = self.extension(&citations, refused, certain);
                    if !citations.is_empty() {
                        last["choices"][0]["delta"]["annotations"] =
                            annotations(&self.origin, &whole, &citations);
                    }
                    let mut events = vec![sse::data(&last)];
                    if include_usage {
                        let mut chunk = self.chunk(&json!([]));
                        chunk["usage"] = usage_value(usage);
                        events.push(sse::data(&chunk));
                    }
                    events.push(axum::response::sse::Event::default().data("[DONE]"));
                    events
                }
                Piece::Failed(error) => vec![sse::data(&error.body())],
            };
            futures::stream::iter(events)
        });
        futures::stream::once(async move { sse::data(&first) }).chain(rest)
    }

    async fn whole(self, mut pieces: impl Stream<Item = Piece> + Unpin) -> Result<Value, ApiError> {
        let (mut content, mut logprobs, mut citations) = (String::new(), Vec::new(), Vec::new());
        let (mut reasoning, mut certain, mut calls) = (String::new(), None, ToolCalls::default());
        while let Some(piece) = pieces.next().await {
            match piece {
                Piece::Reasoning(text) => reasoning.push_str(&text),
                Piece::ToolCall(delta) => calls.push(&delta),
                Piece::Concluded { confidence } => certain = confidence,
                Piece::Text {
                    text,
                    logprobs: mut more,
                } => {
                    content.push_str(&text);
                    logprobs.append(&mut more);
                }
                Piece::Cited {
                    text,
                    citations: found,
                } => {
                    content = text;
                    citations = found;
                }
                Piece::Failed(error) => return Err(error),
                Piece::Done {
                    finish,
                    usage,
                    refused,
                } => {
                    let mut message = json!({
                        "role": "assistant",
                        "content": content,
                        "refusal": null,
                        "annotations": annotations(&self.origin, &content, &citations),
                    });
                    let calls = calls.finish();
                    if !calls.is_empty() {
                        if content.is_empty() {
                            message["content"] = Value::Null;
                        }
                        message["tool_calls"] = calls.iter().map(tools::call).collect();
                    }
                    if !reasoning.is_empty() {
                        message["reasoning_content"] = json!(reasoning.trim());
                    }
                    return Ok(json!({
                        "id": self.id,
                        "object": "chat.completion",
                        "created": self.created,
                        "model": self.model,
                        "choices": [{
                            "index": 0,
                            "message": message,
                            "logprobs": logprobs_value(&logprobs),
                            "finish_reason": finish,
                        }],
                        "usage": usage_value(usage),
                        "praxis": self.extension(&citations, refused, certain),
                    }));
                }
            }
        }
        Err(ModelError::Broken("the answer ended without a finish reason".into()).into())
    }

    fn extension(
        &self,
        citations: &[Citation],
        refused: Option<bool>,
        confidence: Option<f32>,
    ) -> Value {
        let mut ours =
            json!({ "trace_id": self.trace, "citations": citations, "refused": refused });
        if let Some(confidence) = confidence {
            ours["confidence"] = json!(confidence);
        }
        ours
    }
}

/// A mark such as `[1]` in a text: its characters, and the passage that it links to.
pub(crate) struct Mark {
    pub start: usize,
    pub end: usize,
    pub title: String,
    pub url: String,
}

/// The marks of a text, with links to their passages in the console.
pub(crate) fn marks(origin: &str, text: &str, citations: &[Citation]) -> Vec<Mark> {
    let mut found = Vec::new();
    for Citation { number, passage } in citations {
        let mark = format!("[{number}]");
        for (at, _) in text.match_indices(&mark) {
            let start = text[..at].chars().count();
            found.push(Mark {
                start,
                end: start + mark.len(),
                title: passage.title.clone(),
                url: format!(
                    "{origin}/documents/{}?start={}&end={}#passage",
                    passage.document, passage.start, passage.end
                ),
            });
        }
    }
    found
}

/// Each mark of the text as OpenAI's URL citation.
fn annotations(origin: &str, text: &str, citations: &[Citation]) -> Value {
    let annotation = |mark: Mark| {
        json!({
            "type": "url_citation",
            "url_citation": {
                "start_index": mark.start,
                "end_index": mark.end,
                "title": mark.title,
                "url": mark.url,
            },
        })
    };
    marks(origin, text, citations)
        .into_iter()
        .map(annotation)
        .collect()
}

fn logprobs_value(logprobs: &[TokenLogprob]) -> Value {
    if logprobs.is_empty() {
        Value::Null
    } else {
        json!({ "content": logprobs, "refusal": null })
    }
}

pub(super) fn usage_value(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "forced_tokens": usage.forced_tokens,
        },
    })
}
