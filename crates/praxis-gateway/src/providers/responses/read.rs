//! Reading a streamed response. Events that say nothing new are ignored: whole texts after their pieces, and what
//! servers invent.

use std::collections::VecDeque;

use praxis_core::chat::FinishReason;
use praxis_core::tool::{CALL, MAX_TOOL_CALLS};
use praxis_core::{ToolCallDelta, Usage, ids};
use serde::Deserialize;
use serde_json::Value;

use super::before::{Before, Since};
use super::events::{Delta, End, FunctionCall, Item, ItemEvent, Response, said};
use crate::providers::recall;
use crate::wire::{Fault, Flow, Piece, Read};

/// The state of one answer.
pub(super) struct Events {
    /// The model's name, for messages.
    name: String,
    calls: Vec<Call>,
    /// Which part of what is thought came last.
    thought: Option<Part>,
    since: Since,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

/// A call that has begun.
struct Call {
    /// The id of its item, which is not the call's.
    item: Option<String>,
    /// Where it is among all items.
    output_index: Option<u64>,
    id: String,
    /// Whether its arguments came.
    written: bool,
}

/// An item, and its part by the index of summaries or of contents.
type Part = (Option<u64>, Option<u64>, Option<u64>);

impl Events {
    /// Nothing came yet.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            calls: Vec::new(),
            thought: None,
            since: Since::default(),
            finish: None,
            usage: None,
        }
    }

    /// The call of an item. Ids come first: some servers give each item the same index, others an id that changes.
    fn find(&self, item: Option<&str>, output_index: Option<u64>) -> Option<usize> {
        let mut calls = self.calls.iter();
        let by_id = calls.position(|call| item.is_some() && call.item.as_deref() == item);
        by_id.or_else(|| {
            let mut calls = self.calls.iter();
            calls.position(|call| output_index.is_some() && call.output_index == output_index)
        })
    }

    /// Begins a call; `None` for one too many.
    fn begin(
        &mut self,
        output_index: Option<u64>,
        call: &FunctionCall,
        pieces: &mut VecDeque<Piece>,
    ) -> Option<usize> {
        let index = self.calls.len();
        if index >= MAX_TOOL_CALLS {
            return None;
        }
        let id = filled(&call.call_id).or(filled(&call.id));
        let id = id.map_or_else(|| ids::generate(CALL), str::to_owned);
        pieces.push_back(Piece::ToolCall(ToolCallDelta {
            index,
            id: Some(id.clone()),
            name: filled(&call.name).map(str::to_owned),
            arguments: String::new(),
        }));
        self.calls.push(Call {
            item: filled(&call.id).map(str::to_owned),
            output_index,
            id,
            written: false,
        });
        Some(index)
    }

    fn arguments(&mut self, delta: Delta, pieces: &mut VecDeque<Piece>) {
        let found = self.find(filled(&delta.item_id), delta.output_index);
        // Those of a call that is not known come again with its end.
        let (Some(index), Some(arguments)) = (found, delta.delta) else {
            return;
        };
        self.write(index, arguments, pieces);
    }

    fn write(&mut self, index: usize, arguments: String, pieces: &mut VecDeque<Piece>) {
        let Some(call) = self.calls.get_mut(index).filter(|_| !arguments.is_empty()) else {
            return;
        };
        call.written = true;
        pieces.push_back(Piece::ToolCall(ToolCallDelta {
            index,
            arguments,
            ..ToolCallDelta::default()
        }));
    }

    fn added(&mut self, event: ItemEvent, pieces: &mut VecDeque<Piece>) {
        if let Item::FunctionCall(call) = event.item
            && self.find(filled(&call.id), None).is_none()
        {
            self.begin(event.output_index, &call, pieces);
        }
    }

    fn ended(&mut self, event: ItemEvent, pieces: &mut VecDeque<Piece>) {
        match event.item {
            Item::FunctionCall(call) => {
                let found = self.find(filled(&call.id), event.output_index);
                let Some(index) = found.or_else(|| self.begin(event.output_index, &call, pieces))
                else {
                    return;
                };
                if self.calls.get(index).is_some_and(|call| !call.written) {
                    self.write(index, call.arguments.unwrap_or_default(), pieces);
                }
                let remembered = self.since.take(&self.name);
                if let (Some(call), Some(remembered)) = (self.calls.get(index), remembered) {
                    recall::keep(&call.id, remembered);
                }
            }
            // What is not encrypted is with the provider only, which was told not to store it.
            Item::Reasoning {
                summary,
                encrypted_content: Some(encrypted_content),
            } if !encrypted_content.is_empty() => self.since.push(Before::Reasoning {
                summary: summary.unwrap_or_default(),
                encrypted_content,
            }),
            Item::Message { phase } => self.since.push(Before::Message { phase }),
            Item::Reasoning { .. } | Item::Other => {}
        }
    }

    fn think(&mut self, delta: Delta, pieces: &mut VecDeque<Piece>) {
        let part = (delta.output_index, delta.summary_index, delta.content_index);
        let Some(text) = delta.delta.filter(|text| !text.is_empty()) else {
            return;
        };
        let before = self.thought.replace(part);
        let text = match before.is_some_and(|before| before != part) {
            true => format!("\n\n{text}"),
            false => text,
        };
        pieces.push_back(Piece::Reasoning(text));
    }

    fn end(&mut self, response: Response) {
        self.usage = response.usage.map(Usage::from);
        let reason = response.incomplete_details.and_then(|why| why.reason);
        let cut = response.status.as_deref() == Some("incomplete");
        self.finish = Some(match reason.as_deref() {
            Some("content_filter") => FinishReason::ContentFilter,
            // `max_output_tokens`, in an example of the reference `max_tokens`.
            Some(_) => FinishReason::Length,
            None if cut => FinishReason::Length,
            None if self.calls.is_empty() => FinishReason::Stop,
            None => FinishReason::ToolCalls,
        });
    }
}

impl Read for Events {
    fn event(
        &mut self,
        kind: &str,
        data: &str,
        pieces: &mut VecDeque<Piece>,
    ) -> Result<Flow, Fault> {
        // Some servers end as chat completions do.
        if data.trim() == "[DONE]" {
            return Ok(Flow::End);
        }
        let event: Value = serde_json::from_str(data)?;
        match event.get("type").and_then(Value::as_str).unwrap_or(kind) {
            "response.output_text.delta" | "response.refusal.delta" => {
                text(Delta::deserialize(&event)?, pieces);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.think(Delta::deserialize(&event)?, pieces);
            }
            "response.function_call_arguments.delta" => {
                self.arguments(Delta::deserialize(&event)?, pieces);
            }
            "response.output_item.added" => self.added(ItemEvent::deserialize(&event)?, pieces),
            "response.output_item.done" => self.ended(ItemEvent::deserialize(&event)?, pieces),
            "response.completed" | "response.incomplete" => {
                self.end(End::deserialize(&event)?.response);
                return Ok(Flow::End);
            }
            "response.failed" | "error" => return Err(Fault::Said(said(&self.name, &event))),
            // What is between may fail in words of its own.
            _ if event.get("type").is_none()
                && event.get("error").is_some_and(Value::is_object) =>
            {
                return Err(Fault::Said(said(&self.name, &event)));
            }
            _ => {}
        }
        Ok(Flow::More)
    }

    fn done(&mut self) -> Option<Piece> {
        Some(Piece::Done {
            finish_reason: self.finish?,
            usage: self.usage,
        })
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

fn text(delta: Delta, pieces: &mut VecDeque<Piece>) {
    let text = delta.delta.unwrap_or_default();
    let logprobs = delta.logprobs.unwrap_or_default();
    if !(text.is_empty() && logprobs.is_empty()) {
        pieces.push_back(Piece::Delta { text, logprobs });
    }
}

fn filled(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
