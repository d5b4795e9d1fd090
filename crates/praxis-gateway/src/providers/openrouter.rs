//! OpenRouter: chat completions of many providers behind one address. It wants thoughts back in a form of its own, and
//! tells of errors within streams, with what the provider behind it said.

use std::collections::VecDeque;

use praxis_core::{ChatRequest, ModelError, Usage};
use praxis_hub::Task;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE, errors, thoughts};
use crate::openai as words;
use crate::wire::{Endpoint, Fault, Flow, Piece, Read, failure};

pub(super) struct OpenRouter;

static FACTS: Facts = Facts {
    name: "openrouter",
    title: "OpenRouter",
    base_url: Some("https://openrouter.ai/api/v1"),
    key: Some("OPENROUTER_API_KEY"),
    reference: "https://openrouter.ai/docs/api-reference/overview",
    tasks: &[Task::Chat, Task::Embedding],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat {
        max_tokens: "max_tokens",
        stream_options: false,
        open_sampling: true,
        prompt_cache_key: false,
        service_tier: false,
        ..Chat::OPENAI
    },
};

/// Where thoughts are that have to go back.
const DETAILS: &str = "reasoning_details";

impl Dialect for OpenRouter {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    /// Providers that cannot hold an answer to a schema are not asked: they would ignore it.
    fn adapt(
        &self,
        _to: &Endpoint,
        _request: &ChatRequest,
        body: &mut Map<String, Value>,
        _left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        thoughts::give_back(body, DETAILS);
        if let Some(effort) = body.remove("reasoning_effort") {
            body.insert("reasoning".to_owned(), json!({ "effort": effort }));
        }
        if body.contains_key("response_format") {
            let provider = json!({ "require_parameters": true });
            body.insert("provider".to_owned(), provider);
        }
        Ok(())
    }

    fn reader(&self, _to: &Endpoint, _request: &ChatRequest) -> Box<dyn Read> {
        Box::new(Answer {
            events: words::Events::default(),
            calls: thoughts::Calls::default(),
            details: Vec::new(),
            size: 0,
        })
    }

    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        meaning(name, status, body, json.get("error").unwrap_or(&json))
    }
}

/// What an error means: `body` is all that came, `error` what it holds.
fn meaning(name: &str, status: Option<StatusCode>, body: &str, error: &Value) -> ModelError {
    let code = error.get("code").and_then(Value::as_u64);
    let code = code.and_then(|code| u16::try_from(code).ok());
    let status = status.or(code.and_then(|code| StatusCode::from_u16(code).ok()));
    let told = |field: &str| error.pointer(&format!("/metadata/{field}"));
    let message = error.get("message").and_then(Value::as_str);
    let whole = match (message, told("raw")) {
        (Some(message), Some(Value::String(raw))) => failure::of_body(
            name,
            status,
            &json!({ "message": format!("{message}: {raw}") }).to_string(),
        ),
        (_, _) => failure::of_body(name, status, body),
    };
    let flagged = told("reasons").or(told("flagged_input")).is_some();
    let in_flight = told("limit_source").and_then(Value::as_str);
    match status.map(|status| status.as_u16()) {
        // Answers under way have taken what there is of the money.
        Some(402) if in_flight == Some("openrouter_in_flight_budget") => {
            errors::meant(whole, errors::busy)
        }
        Some(402) => errors::meant(whole, ModelError::Unauthorized),
        Some(403) if flagged => errors::meant(whole, ModelError::InvalidRequest),
        _ => whole,
    }
}

/// Reads an answer as OpenAI's, and keeps the thoughts that have to go back with its calls.
struct Answer {
    events: words::Events,
    calls: thoughts::Calls,
    details: Vec<Value>,
    /// Bytes of events with thoughts.
    size: usize,
}

impl Read for Answer {
    fn event(
        &mut self,
        kind: &str,
        data: &str,
        pieces: &mut VecDeque<Piece>,
    ) -> Result<Flow, Fault> {
        let before = pieces.len();
        let flow = self.events.event(kind, data, pieces)?;
        // What is no JSON is the end.
        let event: Value = serde_json::from_str(data).unwrap_or_default();
        for piece in pieces.iter_mut().skip(before) {
            if let Piece::ToolCall(delta) = piece {
                self.calls.rename(delta);
            }
        }
        let details = event.pointer("/choices/0/delta/reasoning_details");
        let details = details.and_then(Value::as_array);
        if let Some(details) = details.filter(|_| self.size <= thoughts::MOST) {
            self.size += data.len();
            for detail in details {
                add(&mut self.details, detail);
            }
        }
        Ok(flow)
    }

    fn done(&mut self) -> Option<Piece> {
        let details = std::mem::take(&mut self.details);
        let fits = !details.is_empty() && self.size <= thoughts::MOST;
        self.calls.keep(DETAILS, fits.then(|| details.into()));
        self.events.done()
    }

    fn usage(&self) -> Option<Usage> {
        self.events.usage()
    }
}

/// Adds a piece of a thought to the thought that it goes on, or as a new one.
fn add(details: &mut Vec<Value>, piece: &Value) {
    let same = |one: &Value, field: &str| one.get(field) == piece.get(field);
    let last = details.last_mut();
    let last = last.filter(|last| same(last, "type") && same(last, "index"));
    let (Some(Value::Object(last)), Value::Object(fields)) = (last, piece) else {
        details.push(piece.clone());
        return;
    };
    for (name, more) in fields.iter().filter(|(_, more)| !more.is_null()) {
        match (name.as_str(), last.get_mut(name), more) {
            ("text" | "summary", Some(Value::String(text)), Value::String(more)) => {
                text.push_str(more);
            }
            _ => {
                last.insert(name.clone(), more.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_thought_become_one() {
        let mut details = Vec::new();
        let piece = |index: u64, text: &str, signature: Option<&str>| {
            let kind = "reasoning.text";
            json!({ "type": kind, "index": index, "text": text, "signature": signature })
        };
        let sealed = json!({"type": "reasoning.encrypted", "index": 1, "data": "abc"});
        for one in [
            piece(0, "First ", None),
            piece(0, "this.", None),
            piece(0, "", Some("sig")),
            sealed.clone(),
            piece(1, "Then that.", None),
        ] {
            add(&mut details, &one);
        }
        assert_eq!(
            details,
            [
                piece(0, "First this.", Some("sig")),
                sealed,
                piece(1, "Then that.", None),
            ]
        );
    }
}
