//! The events of an answer (Amazon Bedrock API reference, "ConverseStreamOutput"). A block of it is text, thoughts or
//! a call; where the answer is a tool's input, that is its text.

use std::collections::VecDeque;

use praxis_core::chat::FinishReason;
use praxis_core::tool::{CALL, MAX_TOOL_CALLS};
use praxis_core::{ModelError, ToolCallDelta, Usage, ids};
use serde::Deserialize;
use serde_json::{Value, json};

use super::content::keep;
use super::failure::of_exception;
use crate::wire::{Fault, Flow, Piece, Read};

/// The most bytes of thoughts that are kept for the calls that follow them.
const LONGEST_THOUGHTS: usize = 256 << 10;

/// The state of one answer.
pub(super) struct Events {
    /// The model's name, for messages.
    name: String,
    /// Its id: thoughts are kept for it alone.
    model: String,
    /// The tool whose input is the answer.
    answer: Option<String>,
    /// The block that is the answer, if it is a tool's input, and whether text of it came.
    answering: Option<(u64, bool)>,
    /// The blocks of the calls: the place of a block is its call's index.
    calls: Vec<u64>,
    thoughts: Thoughts,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    /// Whether the event came that closes an answer.
    closed: bool,
}

impl Events {
    /// Nothing came yet.
    pub fn new(name: &str, model: &str, answer: Option<String>) -> Self {
        Self {
            name: name.to_owned(),
            model: model.to_owned(),
            answer,
            answering: None,
            calls: Vec::new(),
            thoughts: Thoughts::default(),
            finish: None,
            usage: None,
            closed: false,
        }
    }

    fn begin(&mut self, start: BlockStart) -> Option<Piece> {
        let call = start.start?.tool_use?;
        let thoughts = self.thoughts.take();
        if self.answer.as_ref() == Some(&call.name) {
            // A model that answers twice is heard once.
            self.answering
                .get_or_insert((start.content_block_index, false));
            return None;
        }
        if self.calls.len() >= MAX_TOOL_CALLS {
            return None;
        }
        let mut id = call.tool_use_id;
        if id.is_empty() {
            id = ids::generate(CALL);
        }
        keep(&self.model, &id, thoughts);
        self.calls.push(start.content_block_index);
        Some(Piece::ToolCall(ToolCallDelta {
            index: self.calls.len() - 1,
            id: Some(id),
            name: Some(call.name),
            arguments: String::new(),
        }))
    }

    fn more(&mut self, more: BlockDelta) -> Option<Piece> {
        let (block, delta) = (more.content_block_index, more.delta?);
        if let Some(thought) = delta.reasoning_content {
            self.thoughts.add(block, &thought);
            return thought.text.filter(|t| !t.is_empty()).map(Piece::Reasoning);
        }
        if let Some(input) = delta.tool_use {
            let input = input.input.filter(|input| !input.is_empty())?;
            return self.input(block, input);
        }
        // What is said beside an answer to a schema is no part of it.
        let text = delta
            .text
            .filter(|text| !text.is_empty() && self.answer.is_none())?;
        Some(delta_of(text))
    }

    /// More input of a call, or of the tool that takes the answer.
    fn input(&mut self, block: u64, input: String) -> Option<Piece> {
        if let Some((answering, written)) = &mut self.answering
            && *answering == block
        {
            *written = true;
            return Some(delta_of(input));
        }
        let index = self.calls.iter().rposition(|call| *call == block)?;
        Some(Piece::ToolCall(ToolCallDelta {
            index,
            arguments: input,
            ..ToolCallDelta::default()
        }))
    }

    /// An answer without fields comes as no input at all.
    fn end(&mut self, stop: &BlockStop) -> Option<Piece> {
        match &mut self.answering {
            Some((block, written)) if *block == stop.content_block_index && !*written => {
                *written = true;
                Some(delta_of("{}".to_owned()))
            }
            _ => None,
        }
    }
}

fn delta_of(text: String) -> Piece {
    Piece::Delta {
        text,
        logprobs: Vec::new(),
    }
}

impl Read for Events {
    fn event(
        &mut self,
        kind: &str,
        data: &str,
        pieces: &mut VecDeque<Piece>,
    ) -> Result<Flow, Fault> {
        if let Some(kind) = kind.strip_prefix("exception:") {
            return Err(Fault::Said(of_exception(&self.name, kind, data)));
        }
        let piece = match kind {
            "contentBlockStart" => self.begin(serde_json::from_str(data)?),
            "contentBlockDelta" => self.more(serde_json::from_str(data)?),
            "contentBlockStop" => self.end(&serde_json::from_str(data)?),
            "messageStop" => {
                let stop: MessageStop = serde_json::from_str(data)?;
                let reason = stop.stop_reason.unwrap_or_default();
                self.finish = Some(finish_reason(&self.name, &reason).map_err(Fault::Said)?);
                None
            }
            "metadata" => {
                let metadata: Metadata = serde_json::from_str(data)?;
                self.usage = metadata.usage.map(Usage::from);
                self.closed = true;
                None
            }
            // That the answer begins says nothing, and other events are for others.
            _ => None,
        };
        pieces.extend(piece);
        Ok(match self.closed && self.finish.is_some() {
            true => Flow::End,
            false => Flow::More,
        })
    }

    fn done(&mut self) -> Option<Piece> {
        let finish_reason = match self.finish? {
            FinishReason::Stop | FinishReason::ToolCalls => match self.calls.is_empty() {
                true => FinishReason::Stop,
                false => FinishReason::ToolCalls,
            },
            other => other,
        };
        Some(Piece::Done {
            finish_reason,
            usage: self.usage,
        })
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

/// Why the answer ended.
fn finish_reason(name: &str, reason: &str) -> Result<FinishReason, ModelError> {
    Ok(match reason {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "guardrail_intervened" | "content_filtered" => FinishReason::ContentFilter,
        "tool_use" => FinishReason::ToolCalls,
        "malformed_model_output" | "malformed_tool_use" => {
            let message = format!("`{name}`: the model wrote what cannot be read ({reason})");
            return Err(ModelError::Unavailable(message));
        }
        _ => FinishReason::Stop,
    })
}

/// Thoughts since the last call.
#[derive(Default)]
struct Thoughts {
    blocks: Vec<(u64, Thinking)>,
    bytes: usize,
}

impl Thoughts {
    fn add(&mut self, block: u64, more: &Thinking) {
        let parts = [&more.text, &more.signature, &more.redacted_content];
        let length: usize = parts.into_iter().flatten().map(String::len).sum();
        self.bytes = self.bytes.saturating_add(length);
        if length == 0 {
            return;
        }
        // Signatures are of whole thoughts: a part of them is of no use.
        if self.bytes > LONGEST_THOUGHTS {
            self.blocks.clear();
            return;
        }
        if self.blocks.last().is_none_or(|(last, _)| *last != block) {
            self.blocks.push((block, Thinking::default()));
        }
        if let Some((_, thought)) = self.blocks.last_mut() {
            append(&mut thought.text, more.text.as_deref());
            append(&mut thought.signature, more.signature.as_deref());
            append(
                &mut thought.redacted_content,
                more.redacted_content.as_deref(),
            );
        }
    }

    /// Those that can be sent back: unsigned ones cannot.
    fn take(&mut self) -> Vec<Value> {
        let taken = std::mem::take(self);
        if taken.bytes > LONGEST_THOUGHTS {
            return Vec::new();
        }
        let sent = |thought: Thinking| {
            let content = match (thought.redacted_content, thought.signature) {
                (Some(redacted), _) => json!({ "redactedContent": redacted }),
                (None, Some(signature)) => {
                    let text = thought.text.unwrap_or_default();
                    json!({ "reasoningText": { "text": text, "signature": signature } })
                }
                (None, None) => return None,
            };
            Some(json!({ "reasoningContent": content }))
        };
        let thoughts = taken.blocks.into_iter().map(|(_, thought)| thought);
        thoughts.filter_map(sent).collect()
    }
}

fn append(text: &mut Option<String>, more: Option<&str>) {
    if let Some(more) = more.filter(|more| !more.is_empty()) {
        text.get_or_insert_default().push_str(more);
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct BlockStart {
    content_block_index: u64,
    start: Option<Start>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Start {
    tool_use: Option<ToolStart>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ToolStart {
    tool_use_id: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct BlockDelta {
    content_block_index: u64,
    delta: Option<Delta>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Delta {
    text: Option<String>,
    tool_use: Option<ToolInput>,
    reasoning_content: Option<Thinking>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ToolInput {
    input: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Thinking {
    text: Option<String>,
    signature: Option<String>,
    /// In base64.
    redacted_content: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct BlockStop {
    content_block_index: u64,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct MessageStop {
    stop_reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    usage: Option<TokenUsage>,
}

/// Tokens; those that a cache has to do with are counted apart from the others.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct TokenUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
}

impl From<TokenUsage> for Usage {
    fn from(wire: TokenUsage) -> Self {
        let read = wire.cache_read_input_tokens.unwrap_or_default();
        let written = wire.cache_write_input_tokens.unwrap_or_default();
        let others = wire.input_tokens.unwrap_or_default();
        Usage {
            input_tokens: others.saturating_add(read).saturating_add(written),
            cached_tokens: read,
            cache_write_tokens: written,
            output_tokens: wire.output_tokens.unwrap_or_default(),
            ..Usage::default()
        }
    }
}

#[cfg(test)]
mod tests;
