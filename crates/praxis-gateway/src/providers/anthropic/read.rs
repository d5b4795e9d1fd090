//! Reading a streamed answer (Claude documentation, "Streaming messages"): blocks come one behind the other, each with
//! its beginning, its pieces and its end. What is unknown is passed over, as the documentation wants it: events,
//! pieces, and blocks, among them those of tools that run at the provider.

use std::collections::VecDeque;

use praxis_core::chat::FinishReason;
use praxis_core::tool::{CALL, MAX_TOOL_CALLS};
use praxis_core::{ToolCallDelta, Usage, ids};
use serde_json::{Value, json};

use super::events::{Block, Counts, Delta, Event, finish_reason};
use super::thread::{self, Memory};
use crate::wire::{Fault, Flow, Piece, Read};

/// The state of one answer.
pub(super) struct Events {
    /// That of the conversation, with which the answer is remembered.
    mark: u64,
    /// The block that comes now, with its index.
    open: Option<(u64, Open)>,
    /// Calls so far.
    calls: usize,
    memory: Memory,
    finish: Option<FinishReason>,
    counts: Counts,
}

/// A block as it comes.
enum Open {
    Text(String),
    Thinking {
        thinking: String,
        signature: String,
    },
    Redacted(String),
    Call {
        /// Which of the answer's calls it is.
        at: usize,
        id: String,
        /// Arguments that came with the beginning.
        input: Value,
        /// Whether some came behind it.
        more: bool,
    },
    Other,
}

impl Events {
    /// Nothing came yet.
    pub(super) fn new(mark: u64) -> Self {
        Self {
            mark,
            open: None,
            calls: 0,
            memory: Memory::default(),
            finish: None,
            counts: Counts::default(),
        }
    }

    fn begin(&mut self, index: u64, block: Block, pieces: &mut VecDeque<Piece>) {
        let (open, first) = match block {
            Block::Text { text } => (Open::Text(String::new()), Delta::Text { text }),
            Block::Thinking {
                thinking,
                signature,
            } => (
                Open::Thinking {
                    thinking: String::new(),
                    signature: signature.unwrap_or_default(),
                },
                Delta::Thinking { thinking },
            ),
            Block::RedactedThinking { data } => (Open::Redacted(data), Delta::Other),
            Block::ToolUse { id, name, input } => {
                (self.call(id, name, input, pieces), Delta::Other)
            }
            Block::Other => (Open::Other, Delta::Other),
        };
        self.open = Some((index, open));
        self.add(index, first, pieces);
    }

    /// Begins a call.
    fn call(
        &mut self,
        id: String,
        name: String,
        input: Value,
        pieces: &mut VecDeque<Piece>,
    ) -> Open {
        if self.calls >= MAX_TOOL_CALLS {
            return Open::Other;
        }
        let id = match id.is_empty() {
            true => ids::generate(CALL),
            false => id,
        };
        let at = self.calls;
        self.calls += 1;
        self.memory.called(&id);
        pieces.push_back(Piece::ToolCall(ToolCallDelta {
            index: at,
            id: Some(id.clone()),
            name: (!name.is_empty()).then_some(name),
            arguments: String::new(),
        }));
        Open::Call {
            at,
            id,
            input,
            more: false,
        }
    }

    fn add(&mut self, index: u64, delta: Delta, pieces: &mut VecDeque<Piece>) {
        let Some((_, open)) = self.open.as_mut().filter(|(at, _)| *at == index) else {
            return;
        };
        match (open, delta) {
            (Open::Text(all), Delta::Text { text }) if !text.is_empty() => {
                if self.memory.room(text.len()) {
                    all.push_str(&text);
                }
                pieces.push_back(Piece::Delta {
                    text,
                    logprobs: Vec::new(),
                });
            }
            (Open::Thinking { thinking: all, .. }, Delta::Thinking { thinking })
                if !thinking.is_empty() =>
            {
                if self.memory.room(thinking.len()) {
                    all.push_str(&thinking);
                }
                pieces.push_back(Piece::Reasoning(thinking));
            }
            // It comes whole.
            (Open::Thinking { signature: all, .. }, Delta::Signature { signature })
                if self.memory.room(signature.len()) =>
            {
                *all = signature;
            }
            (Open::Call { at, more, .. }, Delta::InputJson { partial_json })
                if !partial_json.is_empty() =>
            {
                *more = true;
                pieces.push_back(arguments(*at, partial_json));
            }
            _ => {}
        }
    }

    fn end(&mut self, index: u64, pieces: &mut VecDeque<Piece>) {
        let Some((_, open)) = self.open.take_if(|(at, _)| *at == index) else {
            return;
        };
        match open {
            Open::Text(text) => self.memory.push(json!({ "type": "text", "text": text })),
            // Without a signature the API would not take it back.
            Open::Thinking {
                thinking,
                signature,
            } if !signature.is_empty() => {
                self.memory.push(json!({
                    "type": "thinking",
                    "thinking": thinking,
                    "signature": signature,
                }));
            }
            Open::Redacted(data) if self.memory.room(data.len()) => {
                let block = json!({ "type": "redacted_thinking", "data": data });
                self.memory.push(block);
            }
            Open::Call {
                at,
                id,
                input,
                more,
            } => {
                let whole = input.as_object().filter(|input| !input.is_empty());
                if whole.is_some() && !more {
                    pieces.push_back(arguments(at, input.to_string()));
                }
                self.memory.push(json!({ "type": "tool_use", "id": id }));
            }
            Open::Thinking { .. } | Open::Redacted(_) | Open::Other => {}
        }
    }
}

/// More of a call's arguments.
fn arguments(at: usize, text: String) -> Piece {
    Piece::ToolCall(ToolCallDelta {
        index: at,
        arguments: text,
        ..ToolCallDelta::default()
    })
}

impl Read for Events {
    fn event(
        &mut self,
        kind: &str,
        data: &str,
        pieces: &mut VecDeque<Piece>,
    ) -> Result<Flow, Fault> {
        let failed = || Fault::Told(data.to_owned());
        if kind == "error" {
            return Err(failed());
        }
        match serde_json::from_str::<Event>(data)? {
            Event::Error => return Err(failed()),
            Event::MessageStart { message } => self.counts.add(message.usage),
            Event::ContentBlockStart {
                index,
                content_block,
            } => self.begin(index, content_block, pieces),
            Event::ContentBlockDelta { index, delta } => self.add(index, delta, pieces),
            Event::ContentBlockStop { index } => self.end(index, pieces),
            Event::MessageDelta { delta, usage } => {
                self.counts.add(usage);
                if let Some(reason) = delta.stop_reason {
                    self.finish = Some(finish_reason(&reason));
                }
            }
            Event::MessageStop => return Ok(Flow::End),
            Event::Other => {}
        }
        Ok(Flow::More)
    }

    fn done(&mut self) -> Option<Piece> {
        let finish_reason = match self.finish? {
            FinishReason::Stop if self.calls > 0 => FinishReason::ToolCalls,
            other => other,
        };
        if let Some((call, blocks)) = self.memory.take() {
            thread::keep(&call, self.mark, blocks);
        }
        Some(Piece::Done {
            finish_reason,
            usage: self.counts.usage(),
        })
    }

    fn usage(&self) -> Option<Usage> {
        self.counts.usage()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of these events, the last of which may be `Done`.
    fn read(events: &[Value]) -> Vec<Piece> {
        let (mut reader, mut pieces) = (Events::new(7), VecDeque::new());
        for event in events {
            reader.event("", &event.to_string(), &mut pieces).unwrap();
        }
        pieces.extend(reader.done());
        pieces.into()
    }

    fn begin(block: Value) -> Value {
        json!({"type": "content_block_start", "index": 0, "content_block": block})
    }

    fn add(delta: Value) -> Value {
        json!({"type": "content_block_delta", "index": 0, "delta": delta})
    }

    fn end() -> Value {
        json!({"type": "content_block_stop", "index": 0})
    }

    fn call(id: &str, input: Value) -> Value {
        begin(json!({"type": "tool_use", "id": id, "name": "f", "input": input}))
    }

    #[test]
    fn arguments_that_came_with_the_beginning_are_given_once() {
        let more = |text: &str| add(json!({"type": "input_json_delta", "partial_json": text}));
        for (events, expected) in [
            (vec![call("x", json!({})), more(""), end()], ""),
            (
                vec![call("x", json!({})), more("{\"a\""), more(":1}"), end()],
                "{\"a\":1}",
            ),
            (vec![call("x", json!({"a": 1})), end()], "{\"a\":1}"),
            (
                vec![call("x", json!({"a": 1})), more("{\"a\":2}"), end()],
                "{\"a\":2}",
            ),
        ] {
            let mut arguments = String::new();
            for piece in read(&events) {
                let Piece::ToolCall(delta) = piece else {
                    panic!("{piece:?}");
                };
                assert_eq!(delta.index, 0);
                arguments.push_str(&delta.arguments);
            }
            assert_eq!(arguments, expected);
        }
    }

    #[test]
    fn calls_are_counted_without_other_blocks_and_have_ids() {
        let other = begin(json!({"type": "server_tool_use", "id": "s", "input": {}}));
        let stray = json!({"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta", "text": "?"}});
        let pieces = read(&[
            other,
            add(json!({"type": "input_json_delta", "partial_json": "{}"})),
            end(),
            call("", json!({})),
            stray,
            end(),
            call("y", json!({})),
        ]);
        let begun: Vec<(usize, String)> = pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::ToolCall(delta) => (delta.index, delta.id.unwrap_or_default()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(begun.len(), 2);
        assert!(begun[0].0 == 0 && begun[0].1.starts_with(CALL), "{begun:?}");
        assert_eq!(begun[1], (1, "y".to_owned()));
    }

    #[test]
    fn blocks_are_gathered_as_the_api_has_them() {
        let mut reader = Events::new(7);
        for event in [
            begin(json!({"type": "thinking", "thinking": "", "signature": ""})),
            add(json!({"type": "thinking_delta", "thinking": "So."})),
            add(json!({"type": "signature_delta", "signature": "s"})),
            end(),
            begin(json!({"type": "thinking", "thinking": "unsigned"})),
            end(),
            begin(json!({"type": "redacted_thinking", "data": "d"})),
            end(),
            begin(json!({"type": "text", "text": "Let me"})),
            add(json!({"type": "text_delta", "text": " see."})),
            end(),
            call("x", json!({"a": 1})),
            end(),
        ] {
            let mut pieces = VecDeque::new();
            reader.event("", &event.to_string(), &mut pieces).unwrap();
        }
        let blocks = vec![
            json!({"type": "thinking", "thinking": "So.", "signature": "s"}),
            json!({"type": "redacted_thinking", "data": "d"}),
            json!({"type": "text", "text": "Let me see."}),
            json!({"type": "tool_use", "id": "x"}),
        ];
        assert_eq!(reader.memory.take(), Some(("x".to_owned(), blocks)));
    }
}
