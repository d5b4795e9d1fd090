//! The JSON of OpenAI's API, as far as it is used. Unknown fields of answers are ignored, absent
//! ones tolerated: compatible servers differ.

use praxis_core::chat::{FinishReason, TokenLogprob};
use praxis_core::{ChatRequest, Constraint, ModelError, Relevance, Usage};
use serde::{Deserialize, Serialize};

use super::Endpoint;
use super::content::{WireMessage, wire_messages};
use super::tools::{CallPiece, WireChoice, WireTool, wire_choice, wire_tools};

/// Body of `POST /chat/completions`. `top_k`, `min_p` and `repetition_penalty` are not OpenAI's, but
/// open servers (vLLM, SGLang, llama.cpp) read them; they are sent only where set.
#[derive(Serialize)]
pub(super) struct ChatBody<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repetition_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_outputs: Option<&'a Constraint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
}

/// A schema that the answer is held to. `strict`: an endpoint that cannot hold it has to refuse.
#[derive(Serialize)]
#[serde(tag = "type", content = "json_schema", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonSchema {
        name: &'static str,
        strict: bool,
        schema: &'a serde_json::Value,
    },
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> ChatBody<'a> {
    /// The body of a request.
    ///
    /// # Errors
    /// [`ModelError::InvalidRequest`] for a constraint or media that OpenAI's API has no word for.
    pub(super) fn new(
        endpoint: &'a Endpoint,
        request: &'a ChatRequest,
    ) -> Result<Self, ModelError> {
        let (mut response_format, mut structured_outputs) = (None, None);
        match &request.constraint {
            None => {}
            Some(Constraint::JsonSchema(schema)) => {
                response_format = Some(ResponseFormat::JsonSchema {
                    name: "answer",
                    strict: true,
                    schema,
                });
            }
            // Its names are vLLM's.
            Some(other) if endpoint.structured_outputs => structured_outputs = Some(other),
            Some(other) => {
                return Err(ModelError::InvalidRequest(format!(
                    "constraint: `{}` runs behind OpenAI's API, which knows no `{}`; use `json_schema`, \
                     a local model, or say `structured_outputs = true` for an endpoint that takes them \
                     as vLLM does",
                    endpoint.name,
                    other.kind()
                )));
            }
        }
        let sampling = &request.sampling;
        let (max_tokens, max_completion_tokens) = match endpoint.is_openai() {
            true => (None, sampling.max_tokens),
            false => (sampling.max_tokens, None),
        };
        Ok(Self {
            model: &endpoint.model,
            messages: wire_messages(&endpoint.name, &request.messages)?,
            stream: true,
            stream_options: StreamOptions {
                include_usage: true,
            },
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k: sampling.top_k,
            min_p: sampling.min_p,
            repetition_penalty: sampling.repetition_penalty,
            frequency_penalty: sampling.frequency_penalty,
            presence_penalty: sampling.presence_penalty,
            seed: sampling.seed,
            max_tokens,
            max_completion_tokens,
            stop: &sampling.stop,
            logprobs: request.top_logprobs.map(|_| true),
            top_logprobs: request.top_logprobs,
            response_format,
            structured_outputs,
            tools: wire_tools(&request.tools),
            tool_choice: wire_choice(&request.tool_choice, &request.tools),
            parallel_tool_calls: request
                .parallel_tool_calls
                .filter(|_| !request.tools.is_empty()),
        })
    }
}

/// An event of a streamed answer.
#[derive(Deserialize)]
pub(super) struct ChatEvent {
    #[serde(default)]
    pub choices: Vec<Choice>,
    #[serde(default)]
    pub usage: Option<WireUsage>,
    /// Some servers report a failure inside of a stream that began well.
    #[serde(default)]
    pub error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    pub delta: Delta,
    #[serde(default)]
    pub finish_reason: Option<String>,
    #[serde(default)]
    pub logprobs: Option<Logprobs>,
}

#[derive(Deserialize, Default)]
pub(super) struct Delta {
    #[serde(default)]
    pub content: Option<String>,
    /// Models that think aloud send this first: not part of the answer, but a sign of life.
    #[serde(default, alias = "reasoning")]
    pub reasoning_content: Option<String>,
    #[serde(default)]
    pub tool_calls: Option<Vec<CallPiece>>,
}

#[derive(Deserialize)]
pub(super) struct Logprobs {
    #[serde(default)]
    pub content: Option<Vec<TokenLogprob>>,
}

#[derive(Deserialize)]
pub(super) struct WireUsage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        Usage {
            input_tokens: wire.prompt_tokens,
            cached_tokens: wire
                .prompt_tokens_details
                .and_then(|d| d.cached_tokens)
                .unwrap_or_default(),
            output_tokens: wire.completion_tokens,
            ..Usage::default()
        }
    }
}

/// OpenAI's `finish_reason`; servers invent more, which all mean that the model ended its turn.
pub(super) fn finish_reason(text: &str) -> FinishReason {
    match text {
        "length" | "max_tokens" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

/// Body of `POST /embeddings`.
#[derive(Serialize)]
pub(super) struct EmbeddingsBody<'a> {
    pub model: &'a str,
    pub input: &'a [String],
    pub encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
}

#[derive(Deserialize)]
pub(super) struct Embeddings {
    pub data: Vec<EmbeddingDatum>,
    #[serde(default)]
    pub usage: Option<WireUsage>,
}

#[derive(Deserialize)]
pub(super) struct EmbeddingDatum {
    #[serde(default)]
    pub index: usize,
    pub embedding: Vec<f32>,
}

/// Body of `POST /rerank`.
#[derive(Serialize)]
pub(super) struct RerankBody<'a> {
    pub model: &'a str,
    pub query: &'a str,
    pub documents: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_n: Option<usize>,
    pub return_documents: bool,
}

#[derive(Deserialize)]
pub(super) struct Reranked {
    pub results: Vec<Relevance>,
}
