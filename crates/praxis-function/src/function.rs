//! A prompt as a function: validate, retrieve, render, ask, filter, cite.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use praxis_core::trace::{SpanKind, SpanStatus};
use praxis_core::{
    CallContext, CallError, CallEvent, ChatChunk, ChatRequest, Citation, ErrorCode, Function,
    Message, Passage, Retrieval, Role, Sampling, Signature,
};
use serde_json::{Map, Value, json};

use crate::answer::AnswerFilter;
use crate::library::Deps;
use crate::passages;
use crate::prompt::{KnowledgeUse, Prompt};
use crate::refusal;
use crate::template::Templates;

/// Earlier messages of a conversation that a prompt sees, the latest: a model on a CPU reads slowly.
const PAST: usize = 12;

/// Pieces that a model may write after the refusal before it is stopped.
const AFTER_REFUSAL: usize = 8;

/// A function made of a prompt file.
pub struct PromptFunction {
    pub(crate) signature: Signature,
    pub(crate) prompt: Prompt,
    /// Hash of the prompt and its partials.
    pub(crate) version: String,
    pub(crate) templates: Arc<Templates>,
    /// Whether the template says where the passages go.
    pub(crate) places_passages: bool,
    pub(crate) validator: jsonschema::Validator,
    pub(crate) deps: Deps,
}

/// What a caller may add to a call beside its input.
#[derive(Debug, Default)]
struct Extras {
    past: Vec<Message>,
    sampling: Sampling,
    top_logprobs: Option<u8>,
}

/// What a call gives.
struct Outcome {
    text: String,
    citations: Vec<Citation>,
    refused: bool,
}

#[async_trait]
impl Function for PromptFunction {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn call(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        self.traced(input, Extras::default(), cx).await
    }
}

impl PromptFunction {
    /// Calls it as a chat: the last message of the user is the input that is searched for (or the
    /// only text input), what comes before is history. Sampling that is given outranks the prompt's.
    ///
    /// # Errors
    /// As [`Function::call`]; `invalid_request` where the last message is not the user's.
    pub async fn call_chat(
        &self,
        mut messages: Vec<Message>,
        sampling: Sampling,
        top_logprobs: Option<u8>,
        cx: &CallContext,
    ) -> Result<Value, CallError> {
        let last = messages
            .pop()
            .filter(|m| m.role == Role::User)
            .ok_or_else(|| {
                CallError::new(
                    ErrorCode::InvalidRequest,
                    "the last of `messages` must be the user's",
                )
            })?;
        let key = self.question_input().ok_or_else(|| {
            CallError::new(
                ErrorCode::InvalidRequest,
                format!(
                    "`{}` has no input that a chat message could be",
                    self.signature.name
                ),
            )
            .with_hint("call it with `praxis call` or POST /praxis/v1/functions/NAME/call")
        })?;
        messages.retain(|m| m.role != Role::System);
        messages.drain(..messages.len().saturating_sub(PAST));
        let extras = Extras {
            past: messages,
            sampling,
            top_logprobs,
        };
        self.traced(json!({ key: last.content }), extras, cx).await
    }

    fn question_input(&self) -> Option<String> {
        if let Some(knowledge) = &self.prompt.knowledge {
            return Some(knowledge.query.clone());
        }
        let properties = self.prompt.input_schema.get("properties")?.as_object()?;
        let mut texts = properties.iter().filter(|(_, s)| s["type"] == "string");
        match (
            properties.contains_key("question"),
            texts.next(),
            texts.next(),
        ) {
            (true, ..) => Some("question".to_owned()),
            (false, Some((name, _)), None) => Some(name.clone()),
            _ => None,
        }
    }

    async fn traced(
        &self,
        input: Value,
        extras: Extras,
        cx: &CallContext,
    ) -> Result<Value, CallError> {
        let shown = json!({ "input": input, "version": self.version });
        let (span, inner) = cx.span(SpanKind::Function, &self.signature.name, shown);
        match self.run(input, extras, &inner).await {
            Ok(output) => {
                span.finish(output.clone());
                Ok(output)
            }
            Err(error) => {
                let status = match error.code {
                    ErrorCode::Cancelled => SpanStatus::Cancelled,
                    _ => SpanStatus::Error(error.message.clone()),
                };
                span.close(Value::Null, status);
                Err(error)
            }
        }
    }

    async fn run(
        &self,
        input: Value,
        extras: Extras,
        cx: &CallContext,
    ) -> Result<Value, CallError> {
        let input = self.validated(input)?;
        let Some(knowledge) = &self.prompt.knowledge else {
            let outcome = self.ask(&input, &[], &extras, cx).await?;
            return self.structured(outcome.text);
        };
        let question = input
            .get(&knowledge.query)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let retrieval = self
            .retrieve(knowledge, &question, &extras.past, cx)
            .await?;
        cx.emit(CallEvent::Retrieved(retrieval.clone())).await;
        let refuse = async |cx: &CallContext| {
            let text = refusal::text(&question, &knowledge.refusal);
            cx.emit(CallEvent::Delta {
                text: text.clone(),
                logprobs: Vec::new(),
            })
            .await;
            Outcome {
                text,
                citations: Vec::new(),
                refused: true,
            }
        };
        let outcome = if knowledge.scoped && !retrieval.is_relevant() {
            refuse(cx).await
        } else {
            let outcome = self.ask(&input, &retrieval.passages, &extras, cx).await?;
            if outcome.refused {
                refuse(cx).await
            } else {
                outcome
            }
        };
        cx.emit(CallEvent::Cited {
            text: outcome.text.clone(),
            citations: outcome.citations.clone(),
        })
        .await;
        Ok(json!({
            "answer": outcome.text,
            "citations": outcome.citations,
            "refused": outcome.refused,
        }))
    }

    /// The input with defaults, checked against the schema.
    fn validated(&self, input: Value) -> Result<Map<String, Value>, CallError> {
        let invalid = |message: String| CallError::new(ErrorCode::InvalidRequest, message);
        let Value::Object(given) = input else {
            return Err(invalid(format!(
                "the input of `{}` must be a JSON object",
                self.signature.name
            )));
        };
        let mut all = self.prompt.defaults.clone();
        all.extend(given);
        let value = Value::Object(all);
        if let Some(error) = self.validator.iter_errors(&value).next() {
            let at = error.instance_path().to_string();
            let place = if at.is_empty() {
                String::new()
            } else {
                format!(" at `{at}`")
            };
            let inputs: Vec<&str> = self.prompt.input_schema["properties"]
                .as_object()
                .map(|p| p.keys().map(String::as_str).collect())
                .unwrap_or_default();
            return Err(invalid(format!(
                "input of `{}`{place}: {error}",
                self.signature.name
            ))
            .with_hint(format!("inputs: {}", inputs.join(", "))));
        }
        match value {
            Value::Object(map) => Ok(map),
            _ => Ok(Map::new()),
        }
    }

    /// Searches all bases; a question that finds nothing by itself is tried once more together with
    /// the one before it, which it may lean on.
    async fn retrieve(
        &self,
        knowledge: &KnowledgeUse,
        question: &str,
        past: &[Message],
        cx: &CallContext,
    ) -> Result<Retrieval, CallError> {
        let found = self.search(knowledge, question, cx).await?;
        let before = past.iter().rev().find(|m| m.role == Role::User);
        if let Some(before) = before
            && !found.is_relevant()
        {
            let both = format!("{}\n{question}", before.content);
            let wider = self.search(knowledge, &both, cx).await?;
            if wider.is_relevant() {
                return Ok(wider);
            }
        }
        Ok(found)
    }

    async fn search(
        &self,
        knowledge: &KnowledgeUse,
        query: &str,
        cx: &CallContext,
    ) -> Result<Retrieval, CallError> {
        let mut all = Retrieval {
            passages: Vec::new(),
            threshold: 1.0,
        };
        for base in &knowledge.bases {
            let found = self
                .deps
                .retriever
                .search(base, query, knowledge.limit, cx)
                .await?;
            all.threshold = all.threshold.min(found.threshold);
            all.passages.extend(found.passages);
        }
        if knowledge.bases.len() > 1 {
            all.passages
                .sort_by(|a, b| b.relevance.total_cmp(&a.relevance));
            all.passages.truncate(knowledge.limit);
        }
        Ok(all)
    }

    async fn ask(
        &self,
        input: &Map<String, Value>,
        passages: &[Passage],
        extras: &Extras,
        cx: &CallContext,
    ) -> Result<Outcome, CallError> {
        let mut data = input.clone();
        if self.prompt.knowledge.is_some() {
            data.insert("passages".to_owned(), passages::template_value(passages));
        }
        let data = Value::Object(data);
        let render = |template: &str, past: &[Message]| {
            self.templates.render(template, &data, past).map_err(|e| {
                CallError::new(
                    ErrorCode::InvalidRequest,
                    format!("`{}`: {e}", self.signature.name),
                )
            })
        };
        let mut messages = render(&self.signature.name, &extras.past)?;
        if self.prompt.knowledge.is_some() && !self.places_passages {
            let passages = render(passages::PARTIAL_NAME, &[])?;
            passages::put_before_question(&mut messages, &passages);
        }
        let request = ChatRequest {
            model: self.prompt.model.clone(),
            messages,
            sampling: merged(&self.prompt.sampling, &extras.sampling),
            top_logprobs: extras.top_logprobs,
            ..ChatRequest::default()
        };
        let mut stream = self.deps.chat.chat(request, cx).await?;
        let mut filter = AnswerFilter::new(passages);
        let cites = self.prompt.knowledge.is_some();
        let mut text = String::new();
        let mut patience = AFTER_REFUSAL;
        while let Some(chunk) = stream.next().await {
            let (more, logprobs) = match chunk? {
                ChatChunk::Delta { text, logprobs } => (text, logprobs),
                ChatChunk::Done {
                    finish_reason,
                    usage,
                } => {
                    cx.emit(CallEvent::Finished {
                        finish_reason,
                        usage,
                    })
                    .await;
                    continue;
                }
            };
            let shown = if cites { filter.push(&more) } else { more };
            text.push_str(&shown);
            if !shown.is_empty() || !logprobs.is_empty() {
                cx.emit(CallEvent::Delta {
                    text: shown,
                    logprobs,
                })
                .await;
            }
            if filter.refused() {
                // Most models end here, and say what it cost; dropping the stream stops the others.
                patience -= 1;
                if patience == 0 {
                    break;
                }
            }
        }
        if cites {
            let rest = filter.finish();
            if !rest.is_empty() {
                text.push_str(&rest);
                cx.emit(CallEvent::Delta {
                    text: rest,
                    logprobs: Vec::new(),
                })
                .await;
            }
        }
        let refused = filter.refused() || (cites && text.trim().is_empty());
        Ok(Outcome {
            citations: filter.citations(passages),
            refused,
            text,
        })
    }

    /// The output as its schema wants it.
    fn structured(&self, text: String) -> Result<Value, CallError> {
        let Some(schema) = &self.prompt.output_schema else {
            return Ok(Value::String(text));
        };
        let failed = |what: String| {
            CallError::new(
                ErrorCode::Upstream,
                format!(
                    "the model's answer is not the JSON that `{}` promises: {what}; it wrote: {text}",
                    self.signature.name
                ),
            )
        };
        let start = text.find(['{', '[']).unwrap_or(0);
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => return Err(failed(error.to_string())),
            None => return Err(failed("it is empty".to_owned())),
        };
        match jsonschema::validate(schema, &value) {
            Ok(()) => Ok(value),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// The prompt's sampling with what the caller gives over it.
fn merged(base: &Sampling, over: &Sampling) -> Sampling {
    Sampling {
        temperature: over.temperature.or(base.temperature),
        top_k: over.top_k.or(base.top_k),
        top_p: over.top_p.or(base.top_p),
        min_p: over.min_p.or(base.min_p),
        repetition_penalty: over.repetition_penalty.or(base.repetition_penalty),
        frequency_penalty: over.frequency_penalty.or(base.frequency_penalty),
        presence_penalty: over.presence_penalty.or(base.presence_penalty),
        seed: over.seed.or(base.seed),
        max_tokens: over.max_tokens.or(base.max_tokens),
        stop: if over.stop.is_empty() {
            base.stop.clone()
        } else {
            over.stop.clone()
        },
    }
}
