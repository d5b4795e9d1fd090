//! Thoughts that a provider wants back with the calls that came of them, and ids of calls that are no one else's:
//! some providers number calls anew in each conversation (`functions.weather:0`), and what is remembered by such an id
//! could reach another conversation. So each call gets an id of its own here, and goes back with the provider's.

use std::collections::{HashMap, VecDeque};

use praxis_core::chat::ReasoningEffort;
use praxis_core::tool::{CALL, MAX_TOOL_CALLS};
use praxis_core::{ChatRequest, ToolCallDelta, ToolChoice, Usage, ids};
use serde_json::{Map, Value, json};

use super::recall;
use crate::openai as words;
use crate::wire::{Fault, Flow, Piece, Read};

/// Where most providers keep what a model thought.
pub(super) const WORD: &str = "reasoning_content";

/// The most bytes of thoughts that are kept for one answer; of longer ones nothing is.
pub(super) const MOST: usize = 192 << 10;

/// The calls of an answer.
#[derive(Default)]
pub(super) struct Calls(Vec<Renamed>);

struct Renamed {
    index: usize,
    theirs: String,
    ours: String,
}

impl Calls {
    /// Gives a call an id of its own.
    pub(super) fn rename(&mut self, delta: &mut ToolCallDelta) {
        let Some(theirs) = delta.id.take() else {
            return;
        };
        let known = self.0.iter().find(|call| call.index == delta.index);
        let ours = known.map_or_else(|| ids::generate(CALL), |call| call.ours.clone());
        if known.is_none() && self.0.len() < MAX_TOOL_CALLS {
            self.0.push(Renamed {
                index: delta.index,
                theirs,
                ours: ours.clone(),
            });
        }
        delta.id = Some(ours);
    }

    /// Remembers the provider's ids, and with the first call what has to go back in the field `word` of its message.
    pub(super) fn keep(&self, word: &str, mut thoughts: Option<Value>) {
        for call in &self.0 {
            let mut kept = Map::new();
            kept.insert("call_id".to_owned(), call.theirs.as_str().into());
            if let Some(thoughts) = thoughts.take() {
                kept.insert(word.to_owned(), thoughts);
            }
            recall::keep(&call.ours, Value::Object(kept));
        }
    }
}

/// Reads an answer as OpenAI's, and keeps what the model thought before it called.
#[derive(Default)]
pub(super) struct Thoughts {
    events: words::Events,
    calls: Calls,
    thought: String,
}

impl Read for Thoughts {
    fn event(
        &mut self,
        kind: &str,
        data: &str,
        pieces: &mut VecDeque<Piece>,
    ) -> Result<Flow, Fault> {
        let before = pieces.len();
        let flow = self.events.event(kind, data, pieces)?;
        for piece in pieces.iter_mut().skip(before) {
            match piece {
                Piece::Reasoning(text) if self.thought.len() <= MOST => self.thought.push_str(text),
                Piece::ToolCall(delta) => self.calls.rename(delta),
                _ => {}
            }
        }
        Ok(flow)
    }

    fn done(&mut self) -> Option<Piece> {
        let thought = std::mem::take(&mut self.thought);
        let fits = !thought.is_empty() && thought.len() <= MOST;
        self.calls.keep(WORD, fits.then(|| thought.into()));
        self.events.done()
    }

    fn usage(&self) -> Option<Usage> {
        self.events.usage()
    }
}

/// Gives the messages of a body back what came with their calls: the provider's ids, and the field `word`.
pub(super) fn give_back(body: &mut Map<String, Value>, word: &str) {
    let mut known: HashMap<String, Value> = HashMap::new();
    for message in messages(body) {
        if let Some(id) = message.get_mut("tool_call_id") {
            let theirs = id.as_str().and_then(|ours| known.get(ours)).cloned();
            if let Some(theirs) = theirs {
                *id = theirs;
            }
        }
        let mut thoughts = None;
        let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
        for call in calls.into_iter().flatten() {
            let Some(id) = call.get_mut("id") else {
                continue;
            };
            let Some(ours) = id.as_str().map(str::to_owned) else {
                continue;
            };
            let Some(Value::Object(mut kept)) = recall::of(&ours) else {
                continue;
            };
            if let Some(theirs) = kept.remove("call_id").filter(Value::is_string) {
                id.clone_from(&theirs);
                known.insert(ours, theirs);
            }
            thoughts = thoughts.or_else(|| kept.remove(word));
        }
        if let Some(thoughts) = thoughts {
            message.insert(word.to_owned(), thoughts);
        }
    }
}

/// Gives `thoughts` to the model's messages that have none: providers refuse those that are `wanted` without.
pub(super) fn pad(
    body: &mut Map<String, Value>,
    thoughts: &str,
    wanted: impl Fn(&Map<String, Value>) -> bool,
) {
    for message in messages(body) {
        let role = message.get("role").and_then(Value::as_str);
        if role == Some("assistant") && wanted(message) {
            message.entry(WORD).or_insert_with(|| thoughts.into());
        }
    }
}

/// The messages of a body.
pub(super) fn messages(
    body: &mut Map<String, Value>,
) -> impl Iterator<Item = &mut Map<String, Value>> {
    let messages = body.get_mut("messages").and_then(Value::as_array_mut);
    let messages = messages.into_iter().flatten();
    messages.filter_map(Value::as_object_mut)
}

/// Says that the model does or does not think, as DeepSeek, Moonshot and Zhipu say it.
pub(super) fn thinking(body: &mut Map<String, Value>, on: bool) {
    let kind = if on { "enabled" } else { "disabled" };
    body.insert("thinking".to_owned(), json!({ "type": kind }));
}

/// Whether a tool has to be called, which many models cannot be held to while they think.
pub(super) fn forced(request: &ChatRequest) -> bool {
    let choice = &request.tool_choice;
    !request.tools.is_empty() && matches!(choice, ToolChoice::Required | ToolChoice::Named(_))
}

/// Takes the effort out of a body; that it is not told is noted, unless the model was not to think at all.
pub(super) fn drop_effort(
    request: &ChatRequest,
    body: &mut Map<String, Value>,
    left_out: &mut Vec<&'static str>,
) {
    body.remove("reasoning_effort");
    if request
        .reasoning_effort
        .is_some_and(|effort| effort != ReasoningEffort::None)
    {
        left_out.push("reasoning_effort");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(messages: Value) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("messages".to_owned(), messages);
        body
    }

    fn called(id: &str) -> Value {
        json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } })
    }

    fn delta(index: usize, id: Option<&str>) -> ToolCallDelta {
        ToolCallDelta {
            index,
            id: id.map(str::to_owned),
            ..ToolCallDelta::default()
        }
    }

    #[test]
    fn equal_ids_of_two_answers_stay_apart_and_go_back_as_they_came() {
        let answer = |thought: &str| {
            let mut calls = Calls::default();
            let mut first = delta(0, Some("functions.f:0"));
            calls.rename(&mut first);
            let mut again = delta(0, Some("functions.f:0"));
            calls.rename(&mut again);
            assert_eq!(first.id, again.id);
            let mut more = delta(0, None);
            calls.rename(&mut more);
            assert_eq!(more.id, None);
            let mut second = delta(1, Some("functions.f:1"));
            calls.rename(&mut second);
            calls.keep(WORD, Some(thought.into()));
            [first.id.unwrap(), second.id.unwrap()]
        };
        let (one, other) = (answer("one"), answer("other"));
        for ([first, second], thought) in [(one, "one"), (other, "other")] {
            let mut body = body(json!([
                { "role": "assistant", "content": null, "tool_calls": [called(&first), called(&second)] },
                { "role": "tool", "tool_call_id": first, "content": "4" },
                { "role": "tool", "tool_call_id": "unknown", "content": "5" },
            ]));
            give_back(&mut body, WORD);
            assert_eq!(
                body["messages"],
                json!([
                    {
                        "role": "assistant",
                        "content": null,
                        "tool_calls": [called("functions.f:0"), called("functions.f:1")],
                        "reasoning_content": thought,
                    },
                    { "role": "tool", "tool_call_id": "functions.f:0", "content": "4" },
                    { "role": "tool", "tool_call_id": "unknown", "content": "5" },
                ])
            );
        }
    }

    #[test]
    fn what_another_provider_keeps_is_not_given_back() {
        let mut calls = Calls::default();
        let mut first = delta(0, Some("tool_0"));
        calls.rename(&mut first);
        calls.keep("reasoning_details", Some(json!([])));
        let messages = json!([{ "role": "assistant", "tool_calls": [called(&first.id.unwrap())] }]);
        let mut body = body(messages);
        give_back(&mut body, WORD);
        let expected = json!([{ "role": "assistant", "tool_calls": [called("tool_0")] }]);
        assert_eq!(body["messages"], expected);
        pad(&mut body, " ", |message| message.contains_key("tool_calls"));
        assert_eq!(body["messages"][0][WORD], " ");
    }

    #[test]
    fn thoughts_that_are_too_long_are_not_kept() {
        let mut reader = Thoughts::default();
        let mut pieces = VecDeque::new();
        for field in [
            json!({ WORD: "x".repeat(MOST) }),
            json!({ WORD: "y" }),
            json!({ WORD: "z" }),
            json!({ "tool_calls": [called("a")] }),
        ] {
            let event = json!({ "choices": [{ "delta": field }] }).to_string();
            reader.event("", &event, &mut pieces).unwrap();
        }
        assert_eq!(reader.thought.len(), MOST + 1);
        assert_eq!(reader.done(), None);
        let Some(Piece::ToolCall(call)) = pieces.pop_back() else {
            panic!("no call: {pieces:?}");
        };
        let kept = recall::of(&call.id.unwrap()).unwrap();
        assert_eq!(kept, json!({ "call_id": "a" }));
    }
}
