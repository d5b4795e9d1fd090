//! Keeps personal data from models: what goes to a chat model, an embedder or a knowledge base for a call has
//! placeholders, and what comes back from a chat model has the values again, in streams too.
//!
//! It lies over the ports, so that nothing of a call gets by it: inputs, history, passages, what tools gave. The function
//! itself works on the values. Other functions that it calls get placeholders, since their models are none of this
//! guard's; what they give has the values again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use praxis_core::chat::Layout;
use praxis_core::embed::TokenCounter;
use praxis_core::tool::MAX_TOOL_CALLS;
use praxis_core::{
    CallContext, CallError, ChatChunk, ChatGateway, ChatRequest, ChatStream, Constraint, EmbedKind,
    Embedder, Message, ModelError, Part, Query, Retrieval, Retriever, TokenCount, ToolCallDelta,
};
use serde_json::{Map, Value};

use super::policy::Rules;
use crate::library::Deps;
use crate::personal::{Kinds, Masked, Unmasker, find};

/// The placeholders of one call.
#[derive(Debug)]
pub(crate) struct Veil {
    masked: Mutex<Masked>,
    /// What models do not get.
    kinds: Kinds,
    /// What traces do not get: the same, and what ends a call.
    hidden: Kinds,
    /// Whether answers are JSON, where a value must be written as JSON has it.
    json: bool,
}

impl Veil {
    /// The one of a call under these rules; none where they neither mask nor block.
    pub fn of(rules: Rules, json: bool) -> Option<Arc<Self>> {
        let hidden = rules.mask.with(rules.block);
        if hidden.is_empty() {
            return None;
        }
        Some(Arc::new(Self {
            masked: Mutex::default(),
            kinds: rules.mask,
            hidden,
            json,
        }))
    }

    /// The same ports with it over them.
    pub fn over(self: &Arc<Self>, deps: &Deps) -> Deps {
        if self.kinds.is_empty() {
            return deps.clone();
        }
        let veil = || Arc::clone(self);
        Deps {
            chat: Arc::new(VeiledChat {
                inner: Arc::clone(&deps.chat),
                veil: veil(),
            }),
            retriever: Arc::new(VeiledRetriever {
                inner: Arc::clone(&deps.retriever),
                veil: veil(),
            }),
            embedder: Arc::new(VeiledEmbedder {
                inner: Arc::clone(&deps.embedder),
                veil: veil(),
            }),
            ..deps.clone()
        }
    }

    /// A value as another function gets it.
    pub fn handed(&self, value: &Value) -> Value {
        self.masked(value, &self.kinds)
    }

    /// What another function gave, with the values back in their places.
    pub fn restored(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.lock().unmask(text)),
            Value::Array(all) => all.iter().map(|v| self.restored(v)).collect(),
            Value::Object(map) => {
                let entry = |(key, v): (&String, &Value)| (key.clone(), self.restored(v));
                Value::Object(map.iter().map(entry).collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }

    /// A value as traces have it.
    pub fn traced(&self, value: &Value) -> Value {
        self.masked(value, &self.hidden)
    }

    /// A text as traces have it.
    pub fn traced_text(&self, text: &str) -> String {
        self.text(text, &self.hidden)
    }

    /// Whether there was nothing to hide by now.
    pub fn is_idle(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Masked> {
        // Placeholders that were given stay good.
        self.masked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self, text: &str, kinds: &Kinds) -> String {
        let found = find(text, kinds);
        self.lock().mask(text, &found)
    }

    fn masked(&self, value: &Value, kinds: &Kinds) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text, kinds)),
            Value::Array(all) => all.iter().map(|v| self.masked(v, kinds)).collect(),
            Value::Object(map) => {
                let entry =
                    |(key, v): (&String, &Value)| (self.text(key, kinds), self.masked(v, kinds));
                Value::Object(map.iter().map(entry).collect::<Map<_, _>>())
            }
            Value::Number(number) => {
                let text = number.to_string();
                match find(&text, kinds).is_empty() {
                    true => value.clone(),
                    false => Value::String(self.text(&text, kinds)),
                }
            }
            Value::Bool(_) | Value::Null => value.clone(),
        }
    }

    /// Placeholders that messages have of themselves are not given to values.
    fn reserve(&self, messages: &[Message]) {
        let mut masked = self.lock();
        for text in messages.iter().flat_map(texts) {
            masked.reserve(text);
        }
    }

    /// What a client's request says beside its messages, as a model gets it: of a function that is the application's own.
    pub fn beside(&self, request: &mut ChatRequest) {
        self.reserve(&request.messages);
        let hide = |text: &mut String| *text = self.text(text, &self.kinds);
        if let Layout::Infill { suffix } = &mut request.layout {
            hide(suffix);
        }
        for tool in &mut request.tools {
            hide(&mut tool.description);
            tool.parameters = self.handed(&tool.parameters);
        }
        match &mut request.constraint {
            None | Some(Constraint::JsonObject) => {}
            Some(Constraint::JsonSchema(schema)) => *schema = self.handed(schema),
            Some(Constraint::Regex(text) | Constraint::Grammar(text)) => hide(text),
            Some(Constraint::Choice(texts)) => texts.iter_mut().for_each(hide),
        }
        if let Some(purpose) = &mut request.extras.form.description {
            hide(purpose);
        }
    }

    fn messages(&self, messages: &mut [Message]) {
        self.reserve(messages);
        for message in messages {
            for part in &mut message.content {
                if let Part::Text(text) = part {
                    *text = self.text(text, &self.kinds);
                }
            }
            for call in &mut message.tool_calls {
                call.arguments = self.text(&call.arguments, &self.kinds);
            }
            if let Some(name) = &mut message.name {
                *name = self.text(name, &self.kinds);
            }
        }
    }

    /// An answer with the values in their places.
    fn lifted(&self, stream: ChatStream) -> ChatStream {
        let values = Arc::new(self.lock().clone());
        if values.is_empty() {
            return stream;
        }
        let in_json = Arc::new(values.in_json());
        let answer = if self.json { &in_json } else { &values };
        let mut text = Unmasker::new(Arc::clone(answer));
        let mut thought = Unmasker::new(values);
        let mut calls: BTreeMap<usize, Unmasker> = BTreeMap::new();
        let lifted = stream.flat_map(move |chunk| {
            let chunks = match chunk {
                Ok(ChatChunk::Delta {
                    text: more,
                    logprobs,
                }) => vec![Ok(ChatChunk::Delta {
                    text: text.push(&more),
                    logprobs,
                })],
                Ok(ChatChunk::Reasoning(more)) => {
                    vec![Ok(ChatChunk::Reasoning(thought.push(&more)))]
                }
                Ok(ChatChunk::ToolCall(mut delta)) if delta.index < MAX_TOOL_CALLS => {
                    let values = || Unmasker::new(Arc::clone(&in_json));
                    let call = calls.entry(delta.index).or_insert_with(values);
                    delta.arguments = call.push(&delta.arguments);
                    vec![Ok(ChatChunk::ToolCall(delta))]
                }
                Ok(done @ ChatChunk::Done { .. }) => {
                    let rest = ChatChunk::Delta {
                        text: text.finish(),
                        logprobs: Vec::new(),
                    };
                    let mut last = vec![Ok(ChatChunk::Reasoning(thought.finish())), Ok(rest)];
                    last.extend(calls.iter_mut().map(|(index, call)| {
                        Ok(ChatChunk::ToolCall(ToolCallDelta {
                            index: *index,
                            arguments: call.finish(),
                            ..ToolCallDelta::default()
                        }))
                    }));
                    last.push(Ok(done));
                    last
                }
                other => vec![other],
            };
            futures::stream::iter(chunks)
        });
        lifted.boxed()
    }
}

fn texts(message: &Message) -> impl Iterator<Item = &str> {
    let parts = message.content.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.as_str()),
        Part::Media { .. } => None,
    });
    let calls = message.tool_calls.iter();
    parts.chain(calls.map(|call| call.arguments.as_str()))
}

struct VeiledChat {
    inner: Arc<dyn ChatGateway>,
    veil: Arc<Veil>,
}

#[async_trait]
impl ChatGateway for VeiledChat {
    async fn chat(
        &self,
        mut request: ChatRequest,
        cx: &CallContext,
    ) -> Result<ChatStream, ModelError> {
        self.veil.messages(&mut request.messages);
        let stream = self.inner.chat(request, cx).await?;
        Ok(self.veil.lifted(stream))
    }

    fn window(&self, model: &str) -> Option<usize> {
        self.inner.window(model)
    }

    async fn count_tokens(
        &self,
        model: &str,
        messages: &[Message],
    ) -> Result<TokenCount, ModelError> {
        let mut masked = messages.to_vec();
        self.veil.messages(&mut masked);
        self.inner.count_tokens(model, &masked).await
    }
}

struct VeiledRetriever {
    inner: Arc<dyn Retriever>,
    veil: Arc<Veil>,
}

#[async_trait]
impl Retriever for VeiledRetriever {
    async fn search(
        &self,
        base: &str,
        query: &Query,
        cx: &CallContext,
    ) -> Result<Retrieval, CallError> {
        let mut masked = query.clone();
        masked.text = self.veil.text(&query.text, &self.veil.kinds);
        self.veil.messages(&mut masked.history);
        let mut found = self.inner.search(base, &masked, cx).await?;
        if let Some(question) = &mut found.question {
            *question = self.veil.lock().unmask(question);
        }
        Ok(found)
    }
}

struct VeiledEmbedder {
    inner: Arc<dyn Embedder>,
    veil: Arc<Veil>,
}

#[async_trait]
impl Embedder for VeiledEmbedder {
    fn identity(&self) -> String {
        self.inner.identity()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        self.inner.dimension().await
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        self.inner.max_tokens().await
    }

    async fn embed(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let masked = texts
            .iter()
            .map(|text| self.veil.text(text, &self.veil.kinds));
        let masked: Vec<String> = masked.collect();
        self.inner.embed(kind, masked).await
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        self.inner.token_counter().await
    }
}

#[cfg(test)]
mod tests {
    use praxis_core::{FinishReason, Role, Usage};
    use proptest::prelude::*;

    use super::*;

    /// What comes of an answer that says what the last message said, in pieces of these lengths.
    fn echoed(veil: &Arc<Veil>, messages: &mut [Message], lengths: &[usize]) -> String {
        veil.messages(messages);
        let said: Vec<char> = messages.last().unwrap().text().chars().collect();
        let mut chunks = Vec::new();
        let (mut at, mut lengths) = (0, lengths.iter().cycle());
        while at < said.len() {
            let end = (at + lengths.next().unwrap()).min(said.len());
            chunks.push(Ok(ChatChunk::Delta {
                text: said[at..end].iter().collect(),
                logprobs: Vec::new(),
            }));
            at = end;
        }
        chunks.push(Ok(ChatChunk::Done {
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
        }));
        let stream = veil.lifted(futures::stream::iter(chunks).boxed());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let answer = runtime
            .block_on(praxis_core::chat::collect(stream))
            .unwrap();
        answer.text
    }

    fn veil(json: bool) -> Arc<Veil> {
        let rules = Rules {
            mask: Kinds::ALL,
            ..Rules::default()
        };
        Veil::of(rules, json).unwrap()
    }

    #[test]
    fn without_rules_that_hide_there_is_none() {
        let flag = Rules {
            flag: Kinds::ALL,
            ..Rules::default()
        };
        assert!(Veil::of(flag, false).is_none() && Veil::of(Rules::default(), true).is_none());
    }

    #[test]
    fn values_hide_wherever_they_stand() {
        let veil = veil(false);
        let value = serde_json::json!({
            "ann@example.com": ["ann@example.com", 13_800_138_000_u64, 7, true, null],
        });
        let handed = veil.handed(&value);
        let wanted = serde_json::json!({
            "<EMAIL_1>": ["<EMAIL_1>", "<PHONE_1>", 7, true, null],
        });
        assert_eq!(handed, wanted);
        assert_eq!(veil.traced(&value), wanted);
        let back = serde_json::json!({
            "<EMAIL_1>": ["ann@example.com", "13800138000", 7, true, null],
        });
        assert_eq!(veil.restored(&wanted), back);
    }

    #[test]
    fn in_json_a_value_is_written_as_json_has_it() {
        let line = "aB3+".repeat(16);
        let key = format!("-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----");
        let veil = veil(true);
        let mut messages = vec![Message::user(format!("a key: {key}"))];
        veil.messages(&mut messages);
        let said = "{\"key\": \"<PRIVATE_KEY_1>\"}".to_owned();
        let done = ChatChunk::Done {
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
        };
        let delta = ChatChunk::Delta {
            text: said,
            logprobs: Vec::new(),
        };
        let stream = futures::stream::iter(vec![Ok(delta), Ok(done)]).boxed();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let lifted = runtime
            .block_on(praxis_core::chat::collect(veil.lifted(stream)))
            .unwrap();
        let value: Value = serde_json::from_str(&lifted.text).unwrap();
        assert_eq!(value["key"], key);
    }

    proptest! {
        #[test]
        fn what_was_masked_comes_back_however_it_is_cut(
            text in "([a-z<>_ ]{0,6}|ann@example\\.com |<EMAIL_1>|<EMAIL|13800138000 ){0,12}",
            before in "(bob@example\\.com |<EMAIL_2>|x ){0,4}",
            lengths in prop::collection::vec(1usize..12, 1..5),
        ) {
            let veil = veil(false);
            let mut messages = vec![Message::new(Role::User, before), Message::user(text.clone())];
            let answer = echoed(&veil, &mut messages, &lengths);
            prop_assert_eq!(answer, text);
            let first = messages[0].text();
            prop_assert!(!first.contains("@example.com"), "{}", first);
        }
    }
}
