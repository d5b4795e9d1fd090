//! SGLang's server: what OpenAI's API has, `/rerank`, and answers that are held to regular expressions. Grammars are
//! refused: its own are EBNF, those of a request Lark.

use praxis_core::{ChatRequest, Constraint, ModelError, Relevance};
use praxis_hub::Task;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::errors;
use super::{Chat, Dialect, Facts, TEXTS_AT_ONCE, vllm};
use crate::openai as words;
use crate::wire::{Endpoint, failure, refused};

pub(super) struct SgLang;

static FACTS: Facts = Facts {
    name: "sglang",
    title: "SGLang",
    base_url: Some("http://127.0.0.1:30000/v1"),
    key: None,
    reference: "https://docs.sglang.io",
    tasks: &[Task::Chat, Task::Embedding, Task::Reranking],
    texts_at_once: TEXTS_AT_ONCE,
    chat: Chat {
        structured_outputs: true,
        ..Chat::OPEN
    },
};

impl Dialect for SgLang {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn adapt(
        &self,
        to: &Endpoint,
        request: &ChatRequest,
        body: &mut Map<String, Value>,
        _left_out: &mut Vec<&'static str>,
    ) -> Result<(), ModelError> {
        if let Some(pattern) = pattern(&FACTS, to, request)? {
            body.remove("structured_outputs");
            body.insert("regex".to_owned(), pattern.into());
        }
        vllm::think(request, body);
        Ok(())
    }

    fn failure(&self, name: &str, status: Option<StatusCode>, body: &str) -> ModelError {
        let said = errors::field(body, "message");
        errors::too_long(&said, "The input (", "context length (")
            .unwrap_or_else(|| failure::of_body(name, status, body))
    }

    /// A list without more around it.
    fn ranked(&self, bytes: &[u8]) -> Result<Vec<Relevance>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Scored {
            index: usize,
            score: f32,
        }
        if bytes.trim_ascii_start().first() != Some(&b'[') {
            return words::ranked(bytes);
        }
        let scored: Vec<Scored> = serde_json::from_slice(bytes)?;
        let relevance = |one: Scored| Relevance {
            index: one.index,
            relevance_score: one.score,
        };
        Ok(scored.into_iter().map(relevance).collect())
    }
}

/// What an answer has to match, where it has to, for servers that take regular expressions only.
///
/// # Errors
/// [`ModelError::InvalidRequest`] for a grammar.
pub(super) fn pattern(
    facts: &Facts,
    to: &Endpoint,
    request: &ChatRequest,
) -> Result<Option<String>, ModelError> {
    match &request.constraint {
        None | Some(Constraint::JsonSchema(_) | Constraint::JsonObject) => Ok(None),
        Some(Constraint::Regex(pattern)) => Ok(Some(pattern.clone())),
        Some(Constraint::Choice(texts)) => {
            let texts: Vec<String> = texts.iter().map(|text| escaped(text)).collect();
            Ok(Some(format!("({})", texts.join("|"))))
        }
        Some(Constraint::Grammar(_)) => {
            let what =
                "knows no `grammar` in Lark's notation; use a local model, or one behind vLLM";
            Err(refused("constraint", &to.name, &facts.api(), what))
        }
    }
}

/// A regular expression that matches the text and nothing else.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_one_of_its_texts_to_the_letter() {
        assert_eq!(escaped("a.b (c|d) é"), r"a\.b \(c\|d\) é");
    }
}
