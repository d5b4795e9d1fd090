//! What is remembered of an answer with calls (Claude documentation, "Preserving thinking blocks", "Preserved
//! thinking"): what the model thought is signed, and has to come back as it came, with the calls and in its place. Left
//! out: answers without calls, which the API does not ask for again.

use std::hash::{DefaultHasher, Hasher};

use praxis_core::{ChatRequest, Message, Role};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::providers::recall;

/// The most bytes of an answer that are gathered to be remembered; of a longer one nothing is.
const MOST_KEPT: usize = 256 << 10;

/// What a block that is remembered weighs beside its text.
const BLOCK: usize = 64;

/// Whether a block is one of what the model thought.
pub(super) fn is_thought(block: &Value) -> bool {
    matches!(
        block["type"].as_str(),
        Some("thinking" | "redacted_thinking")
    )
}

/// What is remembered of an answer with calls, under the id of the first.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// That of the conversation which it answered.
    mark: u64,
    /// Its blocks in their order: thoughts and texts as they came, and of calls their ids.
    blocks: Vec<Value>,
}

/// Remembers an answer.
pub(super) fn keep(call: &str, mark: u64, blocks: Vec<Value>) {
    recall::keep(call, json!(Kept { mark, blocks }));
}

/// What of an answer may have to come back with its calls, while it comes.
#[derive(Default)]
pub(super) struct Memory {
    /// The first call's id.
    call: Option<String>,
    blocks: Vec<Value>,
    bytes: usize,
}

impl Memory {
    /// Takes room for as many bytes, if there is that much.
    pub(super) fn room(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes);
        self.bytes <= MOST_KEPT
    }

    /// Adds a block for whose texts room was taken.
    pub(super) fn push(&mut self, block: Value) {
        if self.room(BLOCK) {
            self.blocks.push(block);
        }
    }

    /// Notes a call.
    pub(super) fn called(&mut self, id: &str) {
        self.call.get_or_insert_with(|| id.to_owned());
    }

    /// The first call and all blocks, where they say more than the client's message will: where the model thought.
    pub(super) fn take(&mut self) -> Option<(String, Vec<Value>)> {
        let (call, blocks) = (self.call.take()?, std::mem::take(&mut self.blocks));
        let worth = self.bytes <= MOST_KEPT && blocks.iter().any(is_thought);
        worth.then_some((call, blocks))
    }
}

/// What was said before an answer, as far as the API compares it: it takes a thought back only from the account and
/// for the model that it came from, behind the same system prompt, tools and messages. One that would be refused must
/// not be sent, so conversations are told apart by a mark.
pub(super) struct Thread(DefaultHasher);

impl Thread {
    /// That of a request before its first message.
    pub(super) fn of(name: &str, model: &str, request: &ChatRequest) -> Self {
        let mut thread = Self(DefaultHasher::new());
        thread.write(&(name, model, &request.tools));
        for message in request.messages.iter().filter(|m| m.role == Role::System) {
            thread.write(message);
        }
        thread
    }

    /// The mark of a whole request, which its answer is remembered with.
    pub(super) fn mark_of(name: &str, model: &str, request: &ChatRequest) -> u64 {
        let mut thread = Self::of(name, model, request);
        request.messages.iter().for_each(|m| thread.add(m));
        thread.mark()
    }

    /// Goes on; system messages are known from the beginning.
    pub(super) fn add(&mut self, message: &Message) {
        if message.role != Role::System {
            self.write(message);
        }
    }

    /// The blocks of a message, where it is an answer that is remembered and nothing before it has changed.
    pub(super) fn kept(&self, message: &Message) -> Option<Vec<Value>> {
        let call = message.tool_calls.first()?;
        self.own(recall::of(&call.id)?)
    }

    /// The blocks of what is remembered, where it is from here; other providers remember other things.
    fn own(&self, remembered: Value) -> Option<Vec<Value>> {
        let kept = Kept::deserialize(remembered).ok()?;
        (kept.mark == self.mark()).then_some(kept.blocks)
    }

    fn mark(&self) -> u64 {
        self.0.finish()
    }

    fn write(&mut self, data: &impl Serialize) {
        // Plain data can always be written as JSON.
        let bytes = serde_json::to_vec(data).unwrap_or_default();
        self.0.write_usize(bytes.len());
        self.0.write(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(system: &str, more: &[&str]) -> ChatRequest {
        let mut messages = vec![Message::system(system), Message::user("Time?")];
        messages.extend(more.iter().map(|text| Message::user(*text)));
        ChatRequest {
            messages,
            ..ChatRequest::default()
        }
    }

    #[test]
    fn an_answer_is_known_again_only_in_its_own_conversation() {
        let blocks = vec![json!({"type": "thinking", "thinking": "", "signature": "s"})];
        let mark = Thread::mark_of("m", "claude-opus-5-5", &asks("Be brief.", &[]));
        let kept = |name: &str, model: &str, request: &ChatRequest| {
            let mut thread = Thread::of(name, model, request);
            request.messages.iter().for_each(|m| thread.add(m));
            let blocks = blocks.clone();
            thread.own(json!(Kept { mark, blocks }))
        };
        let same = asks("Be brief.", &[]);
        assert_eq!(kept("m", "claude-opus-5-5", &same), Some(blocks.clone()));
        for (name, model, request) in [
            ("n", "claude-opus-5-5", asks("Be brief.", &[])),
            ("m", "claude-sonnet-5-5", asks("Be brief.", &[])),
            ("m", "claude-opus-5-5", asks("Be long.", &[])),
            ("m", "claude-opus-5-5", asks("Be brief.", &["Now!"])),
        ] {
            assert_eq!(kept(name, model, &request), None, "{name} {model}");
        }
        let other = json!({"by": "m", "items": []});
        assert_eq!(Thread::of("m", "m", &same).own(other), None);
    }

    #[test]
    fn an_answer_is_worth_remembering_if_the_model_thought_before_it_called() {
        let text = || json!({"type": "text", "text": "So."});
        let thought = || json!({"type": "redacted_thinking", "data": "d"});
        for (calls, blocks, bytes, worth) in [
            (vec!["x", "y"], vec![text(), thought()], 10, true),
            (vec![], vec![thought()], 10, false),
            (vec!["x"], vec![text()], 10, false),
            (vec!["x"], vec![thought()], MOST_KEPT, false),
            (vec!["x"], vec![thought()], usize::MAX, false),
        ] {
            let mut memory = Memory::default();
            memory.room(bytes);
            calls.iter().for_each(|id| memory.called(id));
            blocks.iter().for_each(|block| memory.push(block.clone()));
            let expected = worth.then(|| ("x".to_owned(), blocks));
            assert_eq!(memory.take(), expected);
            assert_eq!(memory.take(), None);
        }
    }
}
