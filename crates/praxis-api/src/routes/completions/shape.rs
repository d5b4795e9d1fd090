//! Answers in the shape of OpenAI's completions, whole and in pieces, which is the same for both. What a model says
//! beside its text has no place in it.

use axum::response::sse::Event;
use praxis_core::chat::ChatAnswer;
use praxis_core::{ChatChunk, FinishReason, TokenLogprob, Usage};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::super::chat::usage_value;
use super::Asked;
use crate::error::ApiError;
use crate::sse;

/// Log probabilities that are too small to be numbers, as OpenAI writes them.
const LEAST: f32 = -9999.0;

/// What all parts of one answer share.
pub(super) struct Envelope {
    pub(super) id: String,
    pub(super) trace: String,
    pub(super) model: String,
    pub(super) created: i64,
}

impl Envelope {
    fn part(&self, choices: Vec<Value>) -> Value {
        json!({
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }

    /// The whole answer: of each prompt's answers the best, in the order of the prompts.
    ///
    /// # Errors
    /// Where the best cannot be told.
    pub(super) fn whole(&self, asked: &Asked, answers: &[ChatAnswer]) -> Result<Value, ApiError> {
        let (mut choices, mut usage) = (Vec::new(), Usage::default());
        for answers in answers.chunks(asked.best_of.max(1)) {
            usage += used(answers.iter().map(|answer| answer.usage));
            for answer in best(answers, asked.n)? {
                let at = choices.len();
                let (mut text, mut place) = (String::new(), Place::default());
                if asked.echo {
                    text.push_str(asked.echoed(at));
                }
                text.push_str(&answer.text);
                let logprobs = asked.logprobs.map(|_| place.logprobs(&answer.logprobs));
                choices.push(choice(at, &text, logprobs, Some(answer.finish_reason)));
            }
        }
        let mut whole = self.part(choices);
        whole["usage"] = usage_value(usage);
        whole["praxis"] = json!({ "trace_id": self.trace });
        Ok(whole)
    }
}

/// What all answers to one prompt used: it is counted once, as OpenAI does, and they are counted all.
pub(in crate::routes) fn used(answers: impl Iterator<Item = Usage>) -> Usage {
    let mut all = answers;
    let first = all.next().unwrap_or_default();
    all.fold(first, |sum, usage| Usage {
        output_tokens: sum.output_tokens + usage.output_tokens,
        reasoning_tokens: sum.reasoning_tokens + usage.reasoning_tokens,
        ..sum
    })
}

/// The `n` answers whose tokens are the most probable on average, the best first; all as they came where there are no
/// more.
fn best(answers: &[ChatAnswer], n: usize) -> Result<Vec<&ChatAnswer>, ApiError> {
    let mut scored = Vec::with_capacity(answers.len());
    for answer in answers {
        let tokens = answer.logprobs.len();
        let is_untold = tokens == 0 && !answer.text.is_empty();
        if is_untold && answers.len() > n {
            let message = "this model tells no probabilities to choose the best answer by: leave `best_of` out";
            return Err(ApiError::invalid("best_of", message));
        }
        let sum: f64 = answer.logprobs.iter().map(|t| f64::from(t.logprob)).sum();
        let mean = match tokens {
            0 => f64::NEG_INFINITY,
            _ => sum / tokens as f64,
        };
        scored.push((mean, answer));
    }
    if answers.len() > n {
        scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    }
    Ok(scored
        .into_iter()
        .take(n)
        .map(|(_, answer)| answer)
        .collect())
}

fn choice(at: usize, text: &str, logprobs: Option<Value>, finish: Option<FinishReason>) -> Value {
    let reason = finish.map(|finish| match finish {
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        // Texts call nothing.
        FinishReason::Stop | FinishReason::ToolCalls => "stop",
    });
    json!({ "text": text, "index": at, "logprobs": logprobs, "finish_reason": reason })
}

/// How many characters of a text have passed: where its next token begins.
#[derive(Debug, Clone, Copy, Default)]
struct Place(usize);

impl Place {
    /// The log probabilities of the next tokens, side by side. A token's own is among its alternatives, as OpenAI has it.
    fn logprobs(&mut self, tokens: &[TokenLogprob]) -> Value {
        let (mut texts, mut own, mut top, mut offsets) = (vec![], vec![], vec![], vec![]);
        for token in tokens {
            let mut alternatives = Map::new();
            for other in token.top_logprobs.iter().chain([token]) {
                alternatives.insert(written(other), number(other.logprob));
            }
            texts.push(written(token));
            own.push(number(token.logprob));
            top.push(Value::Object(alternatives));
            offsets.push(self.pass(token));
        }
        json!({
            "tokens": texts,
            "token_logprobs": own,
            "top_logprobs": top,
            "text_offset": offsets,
        })
    }

    /// Where a token begins. One that is a later part of a character begins where that does.
    fn pass(&mut self, token: &TokenLogprob) -> usize {
        let begins = |byte: u8| byte & 0b1100_0000 != 0b1000_0000;
        let bytes = token.bytes.as_deref().unwrap_or(token.token.as_bytes());
        let within = bytes.first().is_some_and(|first| !begins(*first));
        let at = self.0.saturating_sub(usize::from(within));
        self.0 += bytes.iter().filter(|byte| begins(**byte)).count();
        at
    }
}

/// A token's text. One that is no whole characters is its bytes, as OpenAI writes them: `bytes:\xe8\x97`.
fn written(token: &TokenLogprob) -> String {
    match token.bytes.as_deref() {
        Some(bytes) if std::str::from_utf8(bytes).is_err() => {
            bytes.iter().fold("bytes:".to_owned(), |mut text, byte| {
                text.push_str(&format!("\\x{byte:02x}"));
                text
            })
        }
        _ => token.token.clone(),
    }
}

fn number(logprob: f32) -> Value {
    match logprob.is_finite() {
        true => json!(logprob),
        false => json!(LEAST),
    }
}

/// Something to send.
#[derive(Debug, PartialEq)]
pub(super) enum Sent {
    /// A piece, or an error.
    Data(Value),
    /// The end of a whole answer.
    Done,
}

/// As an event.
pub(super) fn event(sent: Sent) -> Event {
    match sent {
        Sent::Data(value) => sse::data(&value),
        Sent::Done => Event::default().data("[DONE]"),
    }
}

/// Several answers on their way as one stream, their pieces in the order in which they come.
pub(super) struct Streaming {
    envelope: Envelope,
    asked: Asked,
    include_usage: bool,
    choices: Vec<Choice>,
    /// Stops those that run when one of them fails.
    cancel: CancellationToken,
    failed: bool,
}

/// An answer on its way.
#[derive(Debug, Clone, Copy, Default)]
struct Choice {
    begun: bool,
    place: Place,
    usage: Option<Usage>,
}

impl Streaming {
    /// Of an answer for each prompt and each of `n`.
    pub(super) fn new(
        envelope: Envelope,
        asked: Asked,
        include_usage: bool,
        cancel: CancellationToken,
    ) -> Self {
        let count = asked.prompts.len().saturating_mul(asked.n);
        Self {
            envelope,
            asked,
            include_usage,
            choices: vec![Choice::default(); count],
            cancel,
            failed: false,
        }
    }

    /// What is sent of a piece of the answer `at`. After an error nothing is.
    pub(super) fn take(&mut self, at: usize, piece: Result<ChatChunk, ApiError>) -> Vec<Sent> {
        if self.failed {
            return Vec::new();
        }
        match piece {
            Ok(ChatChunk::Delta { text, logprobs }) => self.piece(at, &text, &logprobs, None),
            Ok(ChatChunk::Done {
                finish_reason,
                usage,
            }) => {
                let mut sent = self.piece(at, "", &[], Some(finish_reason));
                if let Some(choice) = self.choices.get_mut(at) {
                    choice.usage = Some(usage);
                }
                sent.extend(self.end());
                sent
            }
            Ok(ChatChunk::Reasoning(_) | ChatChunk::ToolCall(_)) => Vec::new(),
            Err(error) => {
                self.failed = true;
                self.cancel.cancel();
                vec![Sent::Data(error.body())]
            }
        }
    }

    fn piece(
        &mut self,
        at: usize,
        text: &str,
        tokens: &[TokenLogprob],
        finish: Option<FinishReason>,
    ) -> Vec<Sent> {
        let Some(state) = self.choices.get_mut(at) else {
            return Vec::new();
        };
        let mut whole = String::new();
        if self.asked.echo && !state.begun {
            whole.push_str(self.asked.echoed(at));
        }
        whole.push_str(text);
        state.begun = true;
        if whole.is_empty() && tokens.is_empty() && finish.is_none() {
            return Vec::new();
        }
        let is_told = self.asked.logprobs.is_some() && !tokens.is_empty();
        let logprobs = is_told.then(|| state.place.logprobs(tokens));
        let choice = choice(at, &whole, logprobs, finish);
        vec![Sent::Data(self.envelope.part(vec![choice]))]
    }

    /// What is sent when all answers have ended.
    fn end(&self) -> Vec<Sent> {
        let ended: Option<Vec<Usage>> = self.choices.iter().map(|choice| choice.usage).collect();
        let Some(usages) = ended else {
            return Vec::new();
        };
        let mut sent = Vec::new();
        if self.include_usage {
            let prompts = usages.chunks(self.asked.n.max(1));
            let each = prompts.map(|usages| used(usages.iter().copied()));
            let mut last = self.envelope.part(Vec::new());
            last["usage"] = usage_value(each.fold(Usage::default(), |sum, usage| sum + usage));
            sent.push(Sent::Data(last));
        }
        sent.push(Sent::Done);
        sent
    }
}
