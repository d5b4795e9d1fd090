//! Raw texts that a model goes on with, at `POST /completions` (OpenAI API reference, "Create completion"): the
//! question, and the events of its streamed answer. Left out: what providers that only chat are asked.

use std::collections::{HashMap, VecDeque};

use praxis_core::chat::{FinishReason, Layout, TokenLogprob, raw_text};
use praxis_core::{ChatRequest, ModelError, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Body;
use super::events::{GIVEN_UP, WireUsage, finish_reason};
use crate::providers::Facts;
use crate::wire::{Endpoint, Fault, Flow, Piece, Question, Read, refused};

/// The providers that go on with texts, by name, and whether they fill gaps. Others only chat, or have words of their
/// own for it. Whether a model of one of them does, its provider says.
static SERVE: [(&str, bool); 8] = [
    ("azure", true),
    ("deepseek", true),
    ("llama-server", false),
    ("ollama", true),
    ("openai", true),
    ("sglang", false),
    ("tgi", false),
    ("vllm", false),
];

/// The most alternatives to a token that the API tells.
const MOST_ALTERNATIVES: u8 = 5;

/// OpenAI's own host, which does not know the words of open servers.
const OPENAI: &str = "api.openai.com";

/// The question that a request with a raw text is.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for a provider that only chats or fills no gaps, and for what texts cannot have.
pub(crate) fn completion(
    facts: &Facts,
    to: &Endpoint,
    request: &ChatRequest,
) -> Result<Question, ModelError> {
    let cannot = |part: &str, what: &str| Err(refused(part, &to.name, &facts.api(), what));
    let Some((_, fills)) = SERVE.iter().find(|(name, _)| *name == facts.name) else {
        return cannot(
            "prompt",
            "only chats: send it messages, at `/v1/chat/completions`, or name a local model",
        );
    };
    if request.constraint.is_some() || !request.tools.is_empty() {
        return cannot(
            "constraint",
            "holds no raw text to a form and knows no tools in it; send messages",
        );
    }
    let mut body = Body::default();
    body.set("model", &to.model);
    body.set("prompt", raw_text(&request.messages));
    if let Layout::Infill { suffix } = &request.layout {
        if !fills {
            return cannot(
                "suffix",
                "fills no gaps: write the model's own marks of one (such as `<|fim_prefix|>`) into the prompt",
            );
        }
        body.set("suffix", suffix);
    }
    body.set("stream", true);
    if facts.chat.stream_options {
        body.set("stream_options", json!({ "include_usage": true }));
    }
    words(&mut body, facts, to, request);
    let path = match (facts.name, to.base_url.path().trim_end_matches('/')) {
        // It has texts beside the addresses of its chats.
        ("deepseek", base) if base.ends_with("/v1") => "../beta/completions",
        ("deepseek", base) if !base.ends_with("/beta") => "beta/completions",
        _ => "completions",
    };
    Ok(Question {
        left_out: body.left_out,
        ..Question::new(path, Value::Object(body.fields))
    })
}

/// How tokens are chosen, how many, and what is told of them.
fn words(body: &mut Body, facts: &Facts, to: &Endpoint, request: &ChatRequest) {
    body.choices(&facts.chat, &request.sampling);
    if facts.name == "openai" && to.base_url.host_str() == Some(OPENAI) {
        for name in ["top_k", "min_p", "repetition_penalty"] {
            if body.fields.remove(name).is_some() {
                body.left_out.push(name);
            }
        }
    }
    if facts.name == "llama-server"
        && let Some(penalty) = body.fields.remove("repetition_penalty")
    {
        body.set("repeat_penalty", penalty);
    }
    if let Some(most) = request.sampling.max_tokens {
        body.set("max_tokens", most);
    }
    if let Some(top) = request.top_logprobs {
        let top = top.min(MOST_ALTERNATIVES);
        body.known(facts.chat.logprobs, "logprobs", "logprobs", top);
    }
}

/// The state of one answer.
#[derive(Default)]
pub(crate) struct Texts {
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

impl Read for Texts {
    fn event(&mut self, _: &str, data: &str, pieces: &mut VecDeque<Piece>) -> Result<Flow, Fault> {
        if data.trim() == "[DONE]" {
            return Ok(Flow::End);
        }
        let event: TextEvent = serde_json::from_str(data)?;
        if event.error.is_some_and(|e| !e.is_null()) {
            return Err(Fault::Told(data.to_owned()));
        }
        if let Some(usage) = event.usage {
            self.usage = Some(usage.into());
        }
        // Requests ask for one choice, so others can only be a server's mistake.
        let Some(choice) = event.choices.into_iter().next() else {
            return Ok(Flow::More);
        };
        if let Some(reason) = choice.finish_reason.as_deref().filter(|r| !r.is_empty()) {
            if GIVEN_UP.contains(&reason) {
                let said = format!("the answer ended with `{reason}`");
                return Err(Fault::Told(said));
            }
            self.finish = Some(finish_reason(reason));
        }
        let logprobs = choice.logprobs.map(Logprobs::tokens).unwrap_or_default();
        let text = choice.text.unwrap_or_default();
        if !(text.is_empty() && logprobs.is_empty()) {
            pieces.push_back(Piece::Delta { text, logprobs });
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

/// An event of a streamed answer.
#[derive(Deserialize)]
struct TextEvent {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    logprobs: Option<Logprobs>,
}

/// Log probabilities side by side, as OpenAI tells those of texts; or, with llama.cpp's server, those of a chat.
#[derive(Deserialize)]
struct Logprobs {
    #[serde(default)]
    tokens: Vec<String>,
    /// Null for a token that nothing stands before.
    #[serde(default)]
    token_logprobs: Vec<Option<f32>>,
    #[serde(default)]
    top_logprobs: Option<Vec<Option<HashMap<String, f32>>>>,
    #[serde(default)]
    content: Option<Vec<TokenLogprob>>,
}

impl Logprobs {
    fn tokens(self) -> Vec<TokenLogprob> {
        if let Some(content) = self.content {
            return content;
        }
        let one = |token: String, logprob: f32| TokenLogprob {
            token,
            logprob,
            bytes: None,
            top_logprobs: Vec::new(),
        };
        let mut tops = self.top_logprobs.unwrap_or_default().into_iter();
        let tokens = self.tokens.into_iter().zip(self.token_logprobs);
        tokens
            .map(|(token, logprob)| {
                let top = tops.next().flatten().unwrap_or_default();
                let mut top: Vec<TokenLogprob> = top.into_iter().map(|(t, l)| one(t, l)).collect();
                top.sort_by(|a, b| {
                    let better = b.logprob.total_cmp(&a.logprob);
                    better.then_with(|| a.token.cmp(&b.token))
                });
                TokenLogprob {
                    top_logprobs: top,
                    ..one(token, logprob.unwrap_or(0.0))
                }
            })
            .collect()
    }
}
