//! How much of a conversation a prompt sees: `praxis.history`, and what is done where it does not fit.
//!
//! Nothing is left out silently: a step of the trace says what was. The decision is `hygiene`'s; here
//! tokens are counted and summaries written.

use std::sync::atomic::{AtomicU64, Ordering};

use praxis_core::chat::collect;
use praxis_core::{CallContext, CallError, ChatGateway, ErrorCode, Message, SpanKind, TokenCount};
use serde::Deserialize;
use serde_json::json;

use crate::hygiene::{Fitted, Policy, Room, fit, keep_latest};
use crate::moderation::veil::Veil;
use crate::summary;

/// Earlier messages that a prompt sees where it does not say: a model on a CPU reads slowly.
const MOST: usize = 12;

/// Tokens that a summary and what it is written of may take where the model's window is not known.
const WINDOW: usize = 4096;

/// Tokens around the messages that are summarized.
const AROUND: usize = 96;

/// Room for an answer where a prompt sets it no limit.
const ANSWER: usize = 512;

/// `praxis.history`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct History {
    policy: Policy,
    most: usize,
}

impl Default for History {
    fn default() -> Self {
        Self {
            policy: Policy::OldestFirst,
            most: MOST,
        }
    }
}

/// The same as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryKeys {
    #[serde(default)]
    policy: PolicyName,
    pinned: Option<usize>,
    max_messages: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PolicyName {
    #[default]
    OldestFirst,
    Summary,
    Pinned,
}

impl TryFrom<HistoryKeys> for History {
    type Error = &'static str;

    fn try_from(keys: HistoryKeys) -> Result<Self, Self::Error> {
        let policy = match (keys.policy, keys.pinned) {
            (PolicyName::Pinned, first) => Policy::Pinned {
                first: first.unwrap_or(2),
            },
            (_, Some(_)) => return Err("`pinned` goes with `policy: pinned`"),
            (PolicyName::OldestFirst, None) => Policy::OldestFirst,
            (PolicyName::Summary, None) => Policy::Summary,
        };
        Ok(Self {
            policy,
            most: keys.max_messages.unwrap_or(MOST),
        })
    }
}

/// Whom to ask, and under which name.
pub(crate) struct Asked<'a> {
    pub chat: &'a dyn ChatGateway,
    pub model: &'a str,
    /// Tokens that models have written for the call.
    pub written: &'a AtomicU64,
    /// Tokens of the prompt beside its messages: its tools.
    pub tools: usize,
    /// What keeps personal data from traces.
    pub veil: Option<&'a Veil>,
    pub cx: &'a CallContext,
}

impl History {
    /// The latest of the earlier messages.
    ///
    /// # Errors
    /// `cancelled`, while the model summarizes the others.
    pub async fn latest(
        &self,
        past: Vec<Message>,
        asked: &Asked<'_>,
    ) -> Result<Vec<Message>, CallError> {
        if past.len() <= self.most {
            return Ok(past);
        }
        let sizes = TokenCount::estimate(&past).messages;
        let fitted = keep_latest(&past, &sizes, self.most, self.policy);
        asked.settled(past, &fitted, &sizes).await
    }

    /// The messages that fit the model's window beside an answer of `answer` tokens.
    ///
    /// # Errors
    /// `context_length_exceeded`, naming the sizes, where what must stay does not fit.
    pub async fn fitting(
        &self,
        messages: Vec<Message>,
        answer: Option<u32>,
        asked: &Asked<'_>,
    ) -> Result<Vec<Message>, CallError> {
        let Some(window) = asked.chat.window(asked.model) else {
            return Ok(messages);
        };
        let answer = answer.map_or(ANSWER.min(window / 4), |tokens| tokens as usize);
        // An estimate is seldom wrong by half: what is far from the window is not counted.
        let least = TokenCount::estimate(&messages).total() * 2 + answer + asked.tools;
        if least <= window {
            return Ok(messages);
        }
        let count = asked.chat.count_tokens(asked.model, &messages).await?;
        let room = Room {
            window: window.saturating_sub(count.frame),
            answer,
            tools: asked.tools,
        };
        let fitted = fit(&messages, &count.messages, room, self.policy)?;
        asked.settled(messages, &fitted, &count.messages).await
    }
}

impl Asked<'_> {
    /// What stays, with a summary of the rest where one is wanted; without it where it fails, since the trace
    /// says so and the question can still be answered.
    async fn settled(
        &self,
        messages: Vec<Message>,
        fitted: &Fitted,
        sizes: &[usize],
    ) -> Result<Vec<Message>, CallError> {
        let Some(report) = fitted.report() else {
            return Ok(messages);
        };
        let (span, cx) = self.cx.span(SpanKind::Step, "history", report);
        let mut kept = fitted.messages(&messages);
        let Some(summary) = fitted.summary else {
            span.finish(json!({ "messages": kept.len() }));
            return Ok(kept);
        };
        let room = self.room(summary.tokens);
        let latest = latest(&fitted.dropped, sizes, room);
        let left_out: Vec<Message> = latest.iter().map(|i| messages[*i].clone()).collect();
        match self.summary(&left_out, room, summary.tokens, &cx).await {
            Ok(text) if !text.is_empty() => {
                let shown = self.veil.map(|veil| veil.traced_text(&text));
                span.finish(json!({
                    "messages": kept.len(),
                    "summary": shown.as_ref().unwrap_or(&text),
                    "summarized_messages": latest,
                }));
                kept.insert(summary.at.min(kept.len()), summary::told(&text));
                Ok(kept)
            }
            Err(error) if error.code == ErrorCode::Cancelled => {
                span.fail(&error);
                Err(error)
            }
            other => {
                let why = other.map_or_else(|error| error.message, |_| "it was empty".to_owned());
                span.finish(json!({
                    "messages": kept.len(),
                    "summary": null,
                    "no_summary": why,
                    "policy": "oldest_first",
                }));
                Ok(kept)
            }
        }
    }

    /// Tokens of messages that a summary of so many can be written of.
    fn room(&self, summary: usize) -> usize {
        let window = self.chat.window(self.model).unwrap_or(WINDOW);
        // Their sizes may be estimates, and the names of who speaks take some.
        window.saturating_sub(summary + AROUND) * 3 / 4
    }

    async fn summary(
        &self,
        messages: &[Message],
        room: usize,
        tokens: usize,
        cx: &CallContext,
    ) -> Result<String, CallError> {
        let transcript = summary::transcript(messages, room);
        let request = summary::question(self.model, transcript, tokens);
        let answer = collect(self.chat.chat(request, cx).await?).await?;
        self.written
            .fetch_add(answer.usage.output_tokens, Ordering::Relaxed);
        Ok(answer.text.trim().to_owned())
    }
}

/// The latest of some messages that fit the room together; one at least, which may be cut.
fn latest(messages: &[usize], sizes: &[usize], room: usize) -> Vec<usize> {
    let mut left = room;
    let mut found: Vec<usize> = Vec::new();
    for message in messages.iter().rev() {
        let size = sizes.get(*message).copied().unwrap_or(0);
        match left.checked_sub(size) {
            Some(rest) => left = rest,
            None if found.is_empty() => left = 0,
            None => break,
        }
        found.push(*message);
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests;
