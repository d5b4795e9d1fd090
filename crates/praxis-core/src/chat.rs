//! The port to chat models: one request, one stream of chunks. A caller that wants the whole
//! answer folds the stream ([`collect`]); there is no second, non-streaming path.

mod extras;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use self::extras::{CacheRetention, Extras, Form, ServiceTier, Verbosity};
use crate::constraint::Constraint;
use crate::error::ModelError;
use crate::message::Message;
use crate::tokens::TokenCount;
use crate::tool::{ToolCall, ToolCallDelta, ToolCalls, ToolChoice, ToolSpec};
use crate::usage::Usage;

/// How tokens are chosen. `None` leaves the model's default, which for the local engine is greedy
/// for `temperature = 0` and temperature 1.0 otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Softmax temperature; 0 is greedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Keep the `k` likeliest tokens; 0 keeps all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Nucleus sampling (Holtzman et al. 2019): keep the smallest set with this probability mass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Keep tokens with at least this fraction of the likeliest token's probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f32>,
    /// Divide (positive) or multiply (negative) logits of seen tokens (CTRL, Keskar et al. 2019); 1 is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f32>,
    /// Subtract this for each occurrence of a token so far (OpenAI); 0 is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f32>,
    /// Subtract this once for each token that has occurred (OpenAI); 0 is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f32>,
    /// Seed of the random choice; equal seeds give equal answers on the local engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The most tokens to generate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Strings that end the answer; they are not part of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Added to the logits of these tokens, by the ids of the model's own tokenizer, before tokens are chosen (OpenAI's
    /// `logit_bias`): between -100, which bans a token, and 100, which lets no other be chosen. What a constraint
    /// forbids stays forbidden.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub logit_bias: BTreeMap<u32, f32>,
}

impl Sampling {
    /// The largest bias of a token, either way.
    pub const MAX_BIAS: f32 = 100.0;
    /// The most tokens that have one.
    pub const MAX_BIASED: usize = 1024;
}

/// What a chat model is asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The model's name or alias in `praxis.toml`; empty for the application's default.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// What the messages are to the model.
    #[serde(default, skip_serializing_if = "Layout::is_chat")]
    pub layout: Layout,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// How many alternatives to report per token (OpenAI's `top_logprobs`); `None`: no logprobs.
    pub top_logprobs: Option<u8>,
    /// What the answer must be; a model that cannot be held to it refuses the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<Constraint>,
    /// What the model may call instead of answering, or before. A constraint holds for answers, not for
    /// calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// Whether and which it has to call.
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// Whether it may want several calls at once; `None`: it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// How long the model should think before it answers; `None`: as it does unasked. Models that cannot
    /// think ignore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// What requests with the same beginning have in common, for providers that route by it to a machine
    /// that has the beginning in its cache (OpenAI's `prompt_cache_key`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_key: Option<String>,
    /// What else is said to providers that have a word for it.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
    /// Who is served first where requests wait for the local engine; providers ignore it.
    #[serde(default)]
    pub priority: Priority,
    /// Who asks, so that callers whose requests wait for the local engine are served in turn: the name of
    /// a key. `None`: nobody who is to be told from others. It comes from who sent a request, never from
    /// what was sent; providers do not get it.
    #[serde(skip)]
    pub caller: Option<String>,
    /// How long the local engine may take for the whole answer, waiting included; what takes longer
    /// ends with [`ModelError::Timeout`]. Providers ignore it: their models have time-outs of their
    /// own in `praxis.toml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// What the messages of a request are to the model that is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// A conversation, which the model's chat template lays out.
    #[default]
    Chat,
    /// A text ([`raw_text`]) that the model goes on with as it stands, with nothing around it but the token that
    /// begins a text where the model wants one. What it spells of the model's control tokens is those.
    Raw,
    /// The text before a gap that the model fills. Nothing of it, nor of the suffix, is a control token.
    Infill {
        /// The text behind the gap.
        suffix: String,
    },
}

impl Layout {
    /// Whether it is a conversation.
    pub fn is_chat(&self) -> bool {
        *self == Self::Chat
    }
}

/// The text of messages that are no conversation: one after the other, with nothing between.
pub fn raw_text(messages: &[Message]) -> String {
    messages.iter().map(Message::text).collect()
}

/// How long a model thinks before it answers (OpenAI's `reasoning_effort`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReasoningEffort {
    /// Not at all.
    None,
    /// As little as it can.
    Minimal,
    /// A little.
    Low,
    /// What most questions need.
    Medium,
    /// What hard questions need.
    High,
    /// What the hardest questions need.
    XHigh,
    /// As long as it can.
    Max,
}

impl ReasoningEffort {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ReasoningEffort::None => "none",
            ReasoningEffort::Minimal => "minimal",
            ReasoningEffort::Low => "low",
            ReasoningEffort::Medium => "medium",
            ReasoningEffort::High => "high",
            ReasoningEffort::XHigh => "xhigh",
            ReasoningEffort::Max => "max",
        }
    }
}

/// How urgent a request is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Someone waits for the answer (OpenAI's service tiers `default` and `priority`).
    #[default]
    Interactive,
    /// Nobody does: it is answered when there is room, though never put off for ever (OpenAI's
    /// service tier `flex`).
    Batch,
}

/// Why an answer ended (OpenAI's `finish_reason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its turn, or a stop string came.
    Stop,
    /// `max_tokens` or the context window was reached.
    Length,
    /// The provider withheld the rest.
    ContentFilter,
    /// The model wants tools called, and waits for what they give.
    ToolCalls,
}

/// A token of the answer with its natural-log probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TokenLogprob {
    /// The token's text; incomplete UTF-8 is shown lossily, the exact bytes are in `bytes`.
    pub token: String,
    /// ln p(token), from the distribution before sampling filters.
    pub logprob: f32,
    /// The token's UTF-8 bytes.
    pub bytes: Option<Vec<u8>>,
    /// The likeliest alternatives at this position, best first.
    #[serde(default)]
    pub top_logprobs: Vec<TokenLogprob>,
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatChunk {
    /// More text, and the logprobs of its tokens where asked for.
    Delta {
        /// Text to append; never splits a character.
        text: String,
        /// One entry for each token behind `text`.
        logprobs: Vec<TokenLogprob>,
    },
    /// More of what the model thinks aloud before it answers; no part of the answer.
    Reasoning(String),
    /// A piece of a call that the model wants made.
    ToolCall(ToolCallDelta),
    /// The end; always the last chunk of a stream that did not fail.
    Done {
        /// Why it ended.
        finish_reason: FinishReason,
        /// Tokens in and out.
        usage: Usage,
    },
}

/// A stream of chunks that ends with [`ChatChunk::Done`] or with an error.
pub type ChatStream = BoxStream<'static, Result<ChatChunk, ModelError>>;

/// A chat model behind a name. Contract: `chat` returns once the request is accepted; dropping the
/// stream, or cancelling the token, stops the work and frees its slot.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// Starts an answer.
    async fn chat(
        &self,
        request: ChatRequest,
        cancel: CancellationToken,
    ) -> Result<ChatStream, ModelError>;
}

/// A whole answer: the fold of a [`ChatStream`].
#[derive(Debug, Clone, PartialEq)]
pub struct ChatAnswer {
    /// The text.
    pub text: String,
    /// What the model thought aloud before it.
    pub reasoning: String,
    /// Logprobs, where asked for.
    pub logprobs: Vec<TokenLogprob>,
    /// What the model wants called.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens in and out.
    pub usage: Usage,
}

/// Folds a stream into a whole answer.
///
/// # Errors
/// The stream's error, or [`ModelError::Broken`] where it ends without [`ChatChunk::Done`].
pub async fn collect(mut stream: ChatStream) -> Result<ChatAnswer, ModelError> {
    let (mut text, mut reasoning) = (String::new(), String::new());
    let (mut logprobs, mut calls) = (Vec::new(), ToolCalls::default());
    while let Some(chunk) = stream.next().await {
        match chunk? {
            ChatChunk::Delta {
                text: more,
                logprobs: mut lp,
            } => {
                text.push_str(&more);
                logprobs.append(&mut lp);
            }
            ChatChunk::Reasoning(more) => reasoning.push_str(&more),
            ChatChunk::ToolCall(delta) => calls.push(&delta),
            ChatChunk::Done {
                finish_reason,
                usage,
            } => {
                return Ok(ChatAnswer {
                    text,
                    reasoning,
                    logprobs,
                    tool_calls: calls.finish(),
                    finish_reason,
                    usage,
                });
            }
        }
    }
    Err(ModelError::Broken(
        "the answer's stream ended without a finish reason".into(),
    ))
}

/// All chat models of an application behind their names in `praxis.toml`, with trace, cost, retries
/// and fallback: what functions and the API call. The gateway implements it.
#[async_trait]
pub trait ChatGateway: Send + Sync {
    /// Starts an answer by `request.model` (empty: the application's default). Records one `Chat`
    /// span in `cx`, charged with usage and cost when the stream ends, fails or is dropped.
    ///
    /// # Errors
    /// The last error of the fallback chain.
    async fn chat(
        &self,
        request: ChatRequest,
        cx: &crate::function::CallContext,
    ) -> Result<ChatStream, ModelError>;

    /// Whether `model` (empty: the application's default) takes media of this type in messages as they are. Asks
    /// nobody; a fallback may take less.
    fn reads(&self, model: &str, media_type: &str) -> bool {
        let _ = (model, media_type);
        false
    }

    /// Tokens of prompt and answer together that `model` (empty: the application's default) takes,
    /// where known. Loads nothing; a fallback's window may be narrower.
    fn window(&self, model: &str) -> Option<usize> {
        let _ = model;
        None
    }

    /// Tokens that a conversation takes as a prompt of `model`: exact for a local model, which is
    /// loaded for it, so ask only for a request that follows; an estimate for others.
    ///
    /// # Errors
    /// What stands in the way of asking the model anyway: it is unknown, absent or refuses the
    /// messages.
    async fn count_tokens(
        &self,
        model: &str,
        messages: &[Message],
    ) -> Result<TokenCount, ModelError> {
        let _ = model;
        Ok(TokenCount::estimate(messages))
    }
}
