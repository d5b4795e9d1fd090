//! The events of a streamed chat completion. Unknown fields are ignored, absent ones tolerated: compatible servers
//! differ.

use std::collections::VecDeque;

use praxis_core::Usage;
use praxis_core::chat::{FinishReason, TokenLogprob};
use praxis_core::tool::MAX_TOOL_CALLS;
use serde::Deserialize;

use super::tools::{CallPiece, Calls};
use crate::wire::{Fault, Flow, Piece, Read};

/// The state of one answer.
#[derive(Default)]
pub(crate) struct Events {
    finish: Option<FinishReason>,
    /// Whether tools were called: some servers say `stop` then.
    called: bool,
    calls: Calls,
    usage: Option<Usage>,
}

/// Ends of an answer that is none: the server gave up.
pub(super) const GIVEN_UP: [&str; 5] = [
    "error",
    "abort",
    "aborted",
    "insufficient_system_resource",
    "network_error",
];

impl Read for Events {
    fn event(&mut self, _: &str, data: &str, pieces: &mut VecDeque<Piece>) -> Result<Flow, Fault> {
        if data.trim() == "[DONE]" {
            return Ok(Flow::End);
        }
        let event: ChatEvent = serde_json::from_str(data)?;
        if event.error.is_some_and(|e| !e.is_null()) {
            return Err(Fault::Told(data.to_owned()));
        }
        let usage = event.usage.or(event.x_groq.and_then(|groq| groq.usage));
        // Requests ask for one choice, so others can only be a server's mistake.
        let choice = event.choices.into_iter().next();
        let (choice, of_choice) = match choice {
            Some(mut choice) => {
                let usage = choice.usage.take();
                (Some(choice), usage)
            }
            None => (None, None),
        };
        if let Some(usage) = usage.or(of_choice) {
            self.usage = Some(usage.into());
        }
        let Some(choice) = choice else {
            return Ok(Flow::More);
        };
        if let Some(reason) = choice.finish_reason.as_deref().filter(|r| !r.is_empty()) {
            if GIVEN_UP.contains(&reason) {
                let said = format!("the answer ended with `{reason}`");
                return Err(Fault::Told(said));
            }
            self.finish = Some(finish_reason(reason));
        }
        let delta = choice.delta;
        let thoughts = [delta.reasoning_content, delta.reasoning];
        let thought = thoughts.into_iter().flatten().find(|t| !t.is_empty());
        if let Some(thought) = thought {
            pieces.push_back(Piece::Reasoning(thought));
        }
        let text = delta.content.unwrap_or_default();
        let logprobs = choice.logprobs.and_then(|l| l.content).unwrap_or_default();
        if !(text.is_empty() && logprobs.is_empty()) {
            pieces.push_back(Piece::Delta { text, logprobs });
        }
        let calls = delta.tool_calls.unwrap_or_default();
        self.called |= !calls.is_empty();
        for call in calls.into_iter().take(MAX_TOOL_CALLS) {
            pieces.push_back(Piece::ToolCall(self.calls.take(call)));
        }
        Ok(Flow::More)
    }

    fn done(&mut self) -> Option<Piece> {
        Some(Piece::Done {
            finish_reason: match self.finish? {
                FinishReason::Stop if self.called => FinishReason::ToolCalls,
                other => other,
            },
            usage: self.usage,
        })
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

/// An event of a streamed answer.
#[derive(Deserialize)]
struct ChatEvent {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<WireUsage>,
    /// Groq's place for the usage.
    #[serde(default)]
    x_groq: Option<Groq>,
    /// Some servers report a failure inside of a stream that began well.
    #[serde(default)]
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Groq {
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    logprobs: Option<Logprobs>,
    /// Moonshot's place for the usage.
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize, Default)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    /// DeepSeek's, Qwen's and vLLM's word for what the model thinks.
    #[serde(default)]
    reasoning_content: Option<String>,
    /// OpenRouter's and Groq's word for it. Servers that send both say the same twice.
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallPiece>>,
}

#[derive(Deserialize)]
struct Logprobs {
    #[serde(default)]
    content: Option<Vec<TokenLogprob>>,
}

/// Tokens as OpenAI reports them, and those of the cache also in the words of DeepSeek and Moonshot.
#[derive(Deserialize)]
pub(crate) struct WireUsage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
    #[serde(default)]
    prompt_cache_hit_tokens: Option<u64>,
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    cache_write_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let details = wire.prompt_tokens_details.as_ref();
        Usage {
            input_tokens: wire.prompt_tokens,
            cache_write_tokens: details
                .and_then(|d| d.cache_write_tokens)
                .unwrap_or_default(),
            cached_tokens: details
                .and_then(|d| d.cached_tokens)
                .or(wire.prompt_cache_hit_tokens)
                .or(wire.cached_tokens)
                .unwrap_or_default(),
            output_tokens: wire.completion_tokens,
            reasoning_tokens: wire
                .completion_tokens_details
                .and_then(|d| d.reasoning_tokens)
                .unwrap_or_default(),
            ..Usage::default()
        }
    }
}

/// OpenAI's `finish_reason`; servers invent more, which all mean that the model ended its turn.
pub(super) fn finish_reason(text: &str) -> FinishReason {
    match text {
        "length" | "max_tokens" | "model_length" | "model_context_window_exceeded" => {
            FinishReason::Length
        }
        "content_filter" | "sensitive" => FinishReason::ContentFilter,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}
