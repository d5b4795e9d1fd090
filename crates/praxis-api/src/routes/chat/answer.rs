//! Answers in the shape of OpenAI's chat completions, whole and in pieces: one, or several choices side by side. Left
//! out: what is asked, and of whom.

use axum::response::sse::Event;
use futures::{Stream, StreamExt, stream};
use praxis_core::{Citation, FinishReason, ModelError, TokenLogprob, ToolCalls, Usage};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Piece;
use crate::error::ApiError;
use crate::routes::completions::used;
use crate::routes::tools;
use crate::sse;

/// A piece of the choice of that index.
pub(super) type Marked = (usize, Piece);

/// What all parts of one answer share.
pub(super) struct Envelope {
    pub id: String,
    pub trace: String,
    pub model: String,
    pub created: i64,
    pub origin: String,
    /// How many choices there are.
    pub choices: usize,
}

/// What is known of a choice so far.
#[derive(Default)]
struct Choice {
    content: String,
    reasoning: String,
    logprobs: Vec<TokenLogprob>,
    calls: ToolCalls,
    citations: Vec<Citation>,
    confidence: Option<f32>,
    end: Option<End>,
}

/// How a choice ended.
#[derive(Clone, Copy)]
struct End {
    finish: FinishReason,
    usage: Usage,
    refused: Option<bool>,
}

/// What all choices used, once all have ended.
fn total(choices: &[Choice]) -> Option<Usage> {
    let ends = choices.iter().map(|choice| choice.end);
    let ends: Option<Vec<End>> = ends.collect();
    Some(used(ends?.into_iter().map(|end| end.usage)))
}

impl Envelope {
    fn nothing_yet(&self) -> Vec<Choice> {
        (0..self.choices).map(|_| Choice::default()).collect()
    }

    fn chunk(&self, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }

    /// A piece of a choice, with nothing else in it.
    fn delta(&self, at: usize, delta: &Value) -> Event {
        let choice = json!({ "index": at, "delta": delta, "finish_reason": null });
        sse::data(&self.chunk(&json!([choice])))
    }

    /// The events of an answer. Where a choice fails, that is the end, and `cancel` stops the others.
    pub(super) fn stream(
        self,
        pieces: impl Stream<Item = Marked> + Send + 'static,
        include_usage: bool,
        cancel: CancellationToken,
    ) -> impl Stream<Item = Event> + Send {
        let begin = json!({ "role": "assistant", "content": "" });
        let first = (0..self.choices).map(|at| self.delta(at, &begin));
        let first: Vec<Event> = first.collect();
        let mut streaming = Streaming {
            choices: self.nothing_yet(),
            envelope: self,
            include_usage,
            cancel,
            failed: false,
        };
        let rest = pieces.flat_map(move |(at, piece)| stream::iter(streaming.take(at, piece)));
        stream::iter(first).chain(rest)
    }

    /// The whole answer.
    ///
    /// # Errors
    /// That of the first choice that fails, or that one ended without a reason.
    pub(super) async fn whole(
        self,
        mut pieces: impl Stream<Item = Marked> + Unpin,
    ) -> Result<Value, ApiError> {
        let mut choices = self.nothing_yet();
        let usage = loop {
            if let Some(usage) = total(&choices) {
                break usage;
            }
            let Some((at, piece)) = pieces.next().await else {
                let broken = ModelError::Broken("the answer ended without a finish reason".into());
                return Err(broken.into());
            };
            let Some(choice) = choices.get_mut(at) else {
                continue;
            };
            choice.add(piece)?;
        };
        let ours = choices
            .first()
            .map(|first| self.extension(first))
            .unwrap_or_default();
        let choices = choices.into_iter().enumerate();
        let choices = choices.map(|(at, choice)| self.choice(at, choice));
        let choices: Vec<Value> = choices.collect();
        Ok(json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": usage_value(usage),
            "praxis": ours,
        }))
    }

    fn choice(&self, at: usize, choice: Choice) -> Value {
        let content = &choice.content;
        let mut message = json!({
            "role": "assistant",
            "content": content,
            "refusal": null,
            "annotations": annotations(&self.origin, content, &choice.citations),
        });
        let calls = choice.calls.finish();
        if !calls.is_empty() {
            if content.is_empty() {
                message["content"] = Value::Null;
            }
            message["tool_calls"] = calls.iter().map(tools::call).collect();
        }
        if !choice.reasoning.is_empty() {
            message["reasoning_content"] = json!(choice.reasoning.trim());
        }
        json!({
            "index": at,
            "message": message,
            "logprobs": logprobs_value(&choice.logprobs),
            "finish_reason": choice.end.map(|end| end.finish),
        })
    }

    fn extension(&self, choice: &Choice) -> Value {
        let mut ours = json!({
            "trace_id": self.trace,
            "citations": choice.citations,
            "refused": choice.end.and_then(|end| end.refused),
        });
        if let Some(confidence) = choice.confidence {
            ours["confidence"] = json!(confidence);
        }
        ours
    }
}

impl Choice {
    /// Adds a piece.
    ///
    /// # Errors
    /// Where the piece is one.
    fn add(&mut self, piece: Piece) -> Result<(), ApiError> {
        match piece {
            Piece::Text { text, logprobs } => {
                self.content.push_str(&text);
                self.logprobs.extend(logprobs);
            }
            Piece::Reasoning(text) => self.reasoning.push_str(&text),
            Piece::ToolCall(delta) => self.calls.push(&delta),
            Piece::Concluded { confidence } => self.confidence = confidence,
            Piece::Cited { text, citations } => {
                (self.content, self.citations) = (text, citations);
            }
            Piece::Done {
                finish,
                usage,
                refused,
            } => {
                self.end = Some(End {
                    finish,
                    usage,
                    refused,
                });
            }
            Piece::Failed(error) => return Err(error),
        }
        Ok(())
    }
}

/// An answer that is told as it comes.
struct Streaming {
    envelope: Envelope,
    choices: Vec<Choice>,
    include_usage: bool,
    cancel: CancellationToken,
    failed: bool,
}

impl Streaming {
    /// The events of a piece.
    fn take(&mut self, at: usize, piece: Piece) -> Vec<Event> {
        let Some(choice) = self.choices.get_mut(at).filter(|_| !self.failed) else {
            return Vec::new();
        };
        match piece {
            Piece::Reasoning(text) => {
                let thought = json!({ "reasoning_content": text });
                vec![self.envelope.delta(at, &thought)]
            }
            Piece::ToolCall(delta) => {
                let calls = json!({ "tool_calls": [tools::piece(&delta)] });
                vec![self.envelope.delta(at, &calls)]
            }
            Piece::Text { text, logprobs } if text.is_empty() && logprobs.is_empty() => Vec::new(),
            Piece::Text { text, logprobs } => {
                let choice = json!({
                    "index": at,
                    "delta": { "content": text },
                    "logprobs": logprobs_value(&logprobs),
                    "finish_reason": null,
                });
                vec![sse::data(&self.envelope.chunk(&json!([choice])))]
            }
            kept => match choice.add(kept) {
                Ok(()) if choice.end.is_some() => self.ended(at),
                Ok(()) => Vec::new(),
                Err(error) => {
                    self.failed = true;
                    self.cancel.cancel();
                    vec![sse::data(&error.body())]
                }
            },
        }
    }

    /// The events at the end of a choice, which may be the end of all.
    fn ended(&self, at: usize) -> Vec<Event> {
        let Some((choice, end)) = self.choices.get(at).and_then(|c| Some((c, c.end?))) else {
            return Vec::new();
        };
        let finish = json!({ "index": at, "delta": {}, "finish_reason": end.finish });
        let mut last = self.envelope.chunk(&json!([finish]));
        last["praxis"] = self.envelope.extension(choice);
        if !choice.citations.is_empty() {
            last["choices"][0]["delta"]["annotations"] =
                annotations(&self.envelope.origin, &choice.content, &choice.citations);
        }
        let mut events = vec![sse::data(&last)];
        let Some(usage) = total(&self.choices) else {
            return events;
        };
        if self.include_usage {
            let mut chunk = self.envelope.chunk(&json!([]));
            chunk["usage"] = usage_value(usage);
            events.push(sse::data(&chunk));
        }
        events.push(Event::default().data("[DONE]"));
        events
    }
}

/// A mark such as `[1]` in a text: its characters, and the passage that it links to.
pub(crate) struct Mark {
    pub start: usize,
    pub end: usize,
    pub title: String,
    pub url: String,
}

/// The marks of a text, with links to their passages in the console.
pub(crate) fn marks(origin: &str, text: &str, citations: &[Citation]) -> Vec<Mark> {
    let mut found = Vec::new();
    for Citation { number, passage } in citations {
        let mark = format!("[{number}]");
        for (at, _) in text.match_indices(&mark) {
            let start = text[..at].chars().count();
            found.push(Mark {
                start,
                end: start + mark.len(),
                title: passage.title.clone(),
                url: format!(
                    "{origin}/documents/{}?start={}&end={}#passage",
                    passage.document, passage.start, passage.end
                ),
            });
        }
    }
    found
}

/// Each mark of the text as OpenAI's URL citation.
fn annotations(origin: &str, text: &str, citations: &[Citation]) -> Value {
    let annotation = |mark: Mark| {
        json!({
            "type": "url_citation",
            "url_citation": {
                "start_index": mark.start,
                "end_index": mark.end,
                "title": mark.title,
                "url": mark.url,
            },
        })
    };
    marks(origin, text, citations)
        .into_iter()
        .map(annotation)
        .collect()
}

fn logprobs_value(logprobs: &[TokenLogprob]) -> Value {
    if logprobs.is_empty() {
        Value::Null
    } else {
        json!({ "content": logprobs, "refusal": null })
    }
}

/// Tokens in OpenAI's shape.
pub(crate) fn usage_value(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "forced_tokens": usage.forced_tokens,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(choices: usize) -> Envelope {
        Envelope {
            id: "chatcmpl-1".to_owned(),
            trace: "1".to_owned(),
            model: "m".to_owned(),
            created: 1,
            origin: String::new(),
            choices,
        }
    }

    fn said(at: usize, text: &str) -> Marked {
        let (text, logprobs) = (text.to_owned(), Vec::new());
        (at, Piece::Text { text, logprobs })
    }

    fn done(at: usize) -> Marked {
        let usage = Usage {
            input_tokens: 7,
            output_tokens: 2,
            ..Usage::default()
        };
        let (finish, refused) = (FinishReason::Stop, None);
        (
            at,
            Piece::Done {
                finish,
                usage,
                refused,
            },
        )
    }

    fn two() -> Vec<Marked> {
        vec![said(1, "B"), said(0, "A"), done(1), said(0, "!"), done(0)]
    }

    #[tokio::test]
    async fn choices_side_by_side_are_told_apart_and_their_prompt_counts_once() {
        let whole = envelope(2).whole(stream::iter(two())).await.unwrap();
        for (at, text) in ["A!", "B"].into_iter().enumerate() {
            let choice = &whole["choices"][at];
            assert_eq!(choice["index"], at);
            assert_eq!(choice["message"]["content"], text);
            assert_eq!(choice["finish_reason"], "stop");
        }
        let usage = &whole["usage"];
        assert_eq!(
            (&usage["prompt_tokens"], &usage["completion_tokens"]),
            (&json!(7), &json!(4))
        );
        // A beginning of each, three texts, an end of each, the usage and the end of all.
        let cancel = CancellationToken::new();
        let events = envelope(2).stream(stream::iter(two()), true, cancel);
        assert_eq!(events.collect::<Vec<_>>().await.len(), 9);
    }

    #[tokio::test]
    async fn a_choice_that_fails_ends_all() {
        let pieces = || {
            let failed = Piece::Failed(ApiError::invalid("n", "no"));
            stream::iter([said(0, "A"), (1, failed), said(0, "!"), done(0)])
        };
        let cancel = CancellationToken::new();
        let events = envelope(2).stream(pieces(), false, cancel.clone());
        assert_eq!(events.collect::<Vec<_>>().await.len(), 4);
        assert!(cancel.is_cancelled());
        assert!(envelope(2).whole(pieces()).await.is_err());
        let broken = envelope(2).whole(stream::iter([done(0)])).await;
        assert!(broken.is_err(), "the other has no end");
    }
}
