//! Whether a question belongs to a function's scene: the gate before anything else is done for it, and
//! what a caller gets whose question does not pass.
//!
//! A question is judged by the function's own model ([`model`]) or by similarity ([`embedding`]). Left
//! out: scope by documents, which retrieval decides (`function`).

mod embedding;
mod model;

use std::sync::atomic::Ordering;

use praxis_core::chat::collect;
use praxis_core::{
    CallContext, CallError, CallEvent, ChatRequest, Constraint, ErrorCode, Message, Role, Sampling,
    SpanKind,
};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::extension::{Judge, Scene};
use crate::function::{Extras, PromptFunction};
use crate::held::Unheld;
use crate::refusal::{self, Reason};
use crate::structured::repair::OutputFormat;
use embedding::Prototypes;

/// Tokens that naming a topic takes at most.
const ANSWER: u32 = 8;

/// What the gate says of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Whether it belongs to the scene.
    pub inside: bool,
    /// The topic that it is about, or what it resembles.
    pub why: String,
}

/// What a function keeps for its gate between calls.
#[derive(Default)]
pub(crate) struct Gate {
    prototypes: OnceCell<Prototypes>,
    /// Whether the function's model can be held to a choice.
    pub choices: Unheld,
}

impl PromptFunction {
    /// How questions are judged before the function answers: `model` or `embedding`; nothing where its
    /// prompt sets no scene.
    pub fn gate(&self) -> Option<&'static str> {
        self.prompt.ours.scene.as_ref().map(|scene| scene.by.name())
    }

    /// Whether the function declines questions outside of its documents.
    pub fn keeps_to_documents(&self) -> bool {
        let knowledge = self.prompt.ours.knowledge.as_ref();
        knowledge.is_some_and(|knowledge| knowledge.scoped)
    }

    /// Judges a question as a call would, `past` being what was said before; nothing where the
    /// function's prompt sets no scene.
    ///
    /// # Errors
    /// The model's, or the embedder's.
    pub async fn judge(
        &self,
        question: &str,
        past: &[Message],
        cx: &CallContext,
    ) -> Result<Option<Verdict>, CallError> {
        self.judged(question, &self.extras(past.to_vec()), cx).await
    }

    /// The same for a call; the tokens that the model writes for it are counted.
    pub(crate) async fn judged(
        &self,
        question: &str,
        extras: &Extras,
        cx: &CallContext,
    ) -> Result<Option<Verdict>, CallError> {
        let Some(scene) = &self.prompt.ours.scene else {
            return Ok(None);
        };
        let veil = extras.veil.as_ref();
        let shown = veil.map(|veil| veil.traced_text(question));
        let shown = shown.unwrap_or_else(|| question.to_owned());
        let about = json!({ "question": shown, "by": scene.by.name() });
        let (span, inner) = cx.span(SpanKind::Step, "scope", about);
        let before = extras.past.iter().rfind(|m| m.role == Role::User);
        let before = before.map(Message::text);
        let verdict = match scene.by {
            Judge::Model => {
                self.by_model(scene, question, before.as_deref(), extras, &inner)
                    .await
            }
            Judge::Embedding => {
                self.by_embedding(scene, question, before.as_deref(), extras)
                    .await
            }
        };
        match &verdict {
            Ok(verdict) => span.finish(json!({ "inside": verdict.inside, "why": verdict.why })),
            Err(error) => span.fail(error),
        }
        verdict.map(Some)
    }

    /// Whether what a call gave for `question` is a refusal, by whatever it was declined.
    pub fn is_refusal(&self, question: &str, output: &Result<Value, CallError>) -> bool {
        match output {
            Err(error) => error.code == ErrorCode::OutOfScope,
            Ok(Value::Object(map)) if self.prompt.ours.knowledge.is_some() => {
                map.get("refused") == Some(&Value::Bool(true))
            }
            Ok(output) => {
                let text = refusal::text(question, Reason::OutOfScope, &self.prompt.ours.refusal);
                self.prompt.ours.scene.is_some() && *output == text
            }
        }
    }

    /// The input that carries the question, with `question` in it.
    pub fn question_as_input(&self, question: &str) -> Option<Value> {
        let key = self.question_input()?;
        Some(Value::Object(Map::from_iter([(key, question.into())])))
    }

    /// What a caller gets whose question is outside: the refusal as text, in the place of the answer,
    /// or as the error of a function whose output has a form that a refusal does not have.
    pub(crate) async fn declined(
        &self,
        question: &str,
        cx: &CallContext,
    ) -> Result<Value, CallError> {
        let ours = &self.prompt.ours;
        let text = refusal::text(question, Reason::OutOfScope, &ours.refusal);
        cx.emit(CallEvent::Delta {
            text: text.clone(),
            logprobs: Vec::new(),
        })
        .await;
        if ours.knowledge.is_some() {
            let citations = Vec::new();
            cx.emit(CallEvent::Cited {
                text: text.clone(),
                citations,
            })
            .await;
            return Ok(json!({ "answer": text, "citations": [], "refused": true }));
        }
        if self.output.format == OutputFormat::Json || self.constraint.is_some() {
            let message = format!("`{}` declines: {text}", self.signature.name);
            return Err(CallError::new(ErrorCode::OutOfScope, message)
                .with_hint("its scope is `praxis.scope` of its prompt file")
                .with_details(json!({ "refusal": text })));
        }
        Ok(Value::String(text))
    }

    async fn by_model(
        &self,
        scene: &Scene,
        question: &str,
        before: Option<&str>,
        extras: &Extras,
        cx: &CallContext,
    ) -> Result<Verdict, CallError> {
        let sorting = model::Sorting::of(scene);
        let request = ChatRequest {
            model: self.prompt.model.clone(),
            messages: sorting.messages(question, before),
            sampling: Sampling {
                temperature: Some(0.0),
                max_tokens: Some(ANSWER),
                ..Sampling::default()
            },
            constraint: Some(Constraint::Choice(sorting.choices())),
            ..ChatRequest::default()
        };
        let answered = |request| answered(request, extras, cx);
        let choices = &self.gate.choices;
        let answer = choices.ask(&self.signature.name, request, answered).await?;
        Ok(sorting.read(&answer))
    }

    async fn by_embedding(
        &self,
        scene: &Scene,
        question: &str,
        before: Option<&str>,
        extras: &Extras,
    ) -> Result<Verdict, CallError> {
        let embedder = extras.deps.embedder.as_ref();
        let prototypes = self
            .gate
            .prototypes
            .get_or_try_init(|| Prototypes::of(scene, embedder));
        let prototypes = prototypes.await?;
        prototypes
            .judge(question, before, scene.threshold, embedder)
            .await
    }
}

async fn answered(
    request: ChatRequest,
    extras: &Extras,
    cx: &CallContext,
) -> Result<String, CallError> {
    let answer = collect(extras.deps.chat.chat(request, cx).await?).await?;
    let tokens = answer.usage.output_tokens;
    extras.written.fetch_add(tokens, Ordering::Relaxed);
    Ok(answer.text)
}
