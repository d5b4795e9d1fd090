//! Accounting: one `Chat` span and one set of metrics for each call, whichever way it ends.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::{Stream, StreamExt};
use praxis_core::function::OpenSpan;
use praxis_core::ledger::UsageKind;
use praxis_core::{
    CallContext, ChatChunk, ChatRequest, FinishReason, Message, ModelError, Money, SpanKind,
    SpanStatus, Spent, ToolCallDelta, ToolCalls, Usage,
};
use praxis_engine::ChatMemory;
use serde_json::{Value, json};
use tokio_util::sync::DropGuard;

use crate::asking::{ChatTarget, Failures};
use crate::cache::Storing;
use crate::claims::Bill;
use crate::config::Price;
use crate::tokens;
use crate::vocabulary::Vocabulary;
use crate::wire::{Piece, Pieces};

/// Describes the metrics, for exporters that show descriptions.
pub(crate) fn describe_metrics() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!(
        "praxis_model_tokens_total",
        "Tokens read and written by models; those that constraints forced are among those written"
    );
    describe_counter!(
        "praxis_model_requests_total",
        "Requests to models, by outcome"
    );
    describe_counter!(
        "praxis_model_retries_total",
        "Requests sent again after a passing error"
    );
    describe_counter!(
        "praxis_model_fallbacks_total",
        "Requests handed to the next model"
    );
    describe_counter!(
        "praxis_model_hedges_total",
        "Requests to a further model because the first did not begin its answer in time"
    );
    describe_counter!(
        "praxis_model_shadows_total",
        "Requests to shadow models, and those for which there was no room"
    );
    describe_histogram!(
        "praxis_model_request_seconds",
        Unit::Seconds,
        "Time from a request to the end of its answer"
    );
    describe_gauge!(
        "praxis_model_memory_bytes",
        Unit::Bytes,
        "Memory of a chat model that is loaded: its weights, and the most that keys and values take"
    );
}

/// Shows what a model takes.
pub(crate) fn show_memory(model: &str, memory: ChatMemory) {
    for (of, bytes) in [
        ("weights", memory.weights),
        ("cache_limit", memory.max_cache),
    ] {
        metrics::gauge!("praxis_model_memory_bytes", "model" => model.to_owned(), "of" => of)
            .set(bytes as f64);
    }
}

/// Counts a finished request.
pub(crate) fn count(model: &str, outcome: &str, usage: Usage, began: Instant) {
    let model = model.to_owned();
    let outcome = outcome.to_owned();
    metrics::counter!("praxis_model_requests_total", "model" => model.clone(), "outcome" => outcome)
        .increment(1);
    for (direction, tokens) in [
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
        ("forced", usage.forced_tokens),
    ] {
        metrics::counter!("praxis_model_tokens_total", "model" => model.clone(), "direction" => direction)
            .increment(tokens);
    }
    metrics::histogram!("praxis_model_request_seconds", "model" => model)
        .record(began.elapsed().as_secs_f64());
}

/// A call's account: opened before the first attempt, closed exactly once.
pub(crate) struct Account {
    span: Option<OpenSpan>,
    /// The model that answers; the one asked for until another one takes over.
    model: String,
    price: Price,
    began: Instant,
    /// What it is asked, for its tokens where the provider does not tell them.
    prompt: Vec<Message>,
    /// The tokenizer of the model that answers, or one like it; none for local models, which count themselves.
    vocabulary: Option<Vocabulary>,
    /// What is owed for it.
    bill: Option<Bill>,
    /// What it counts as.
    kind: UsageKind,
    /// Whether the answer was kept before: no model is asked for it.
    kept: bool,
    /// What failed before the answer began.
    failed: Failures,
    /// What else the trace says of how the answer came.
    notes: serde_json::Map<String, Value>,
    text: String,
    reasoning: String,
    calls: ToolCalls,
}

impl Account {
    pub(crate) fn open(model: &str, request: &ChatRequest, cx: &CallContext) -> Self {
        let mut input = json!({ "messages": request.messages, "sampling": request.sampling });
        if let (Some(effort), Some(map)) = (request.reasoning_effort, input.as_object_mut()) {
            map.insert("reasoning_effort".to_owned(), effort.as_str().into());
        }
        if let (false, Some(map)) = (request.layout.is_chat(), input.as_object_mut()) {
            map.insert("layout".to_owned(), json!(request.layout));
        }
        if let (Some(n), Some(map)) = (request.top_logprobs, input.as_object_mut()) {
            map.insert("top_logprobs".to_owned(), n.into());
        }
        if let (Some(constraint), Some(map)) = (&request.constraint, input.as_object_mut()) {
            map.insert("constraint".to_owned(), json!(constraint));
        }
        if let (false, Some(map)) = (request.tools.is_empty(), input.as_object_mut()) {
            map.insert("tools".to_owned(), json!(request.tools));
            map.insert("tool_choice".to_owned(), json!(request.tool_choice));
        }
        let (span, _) = cx.span(SpanKind::Chat, model, input);
        Self {
            span: Some(span),
            model: model.to_owned(),
            price: Price::default(),
            began: Instant::now(),
            prompt: request.messages.clone(),
            vocabulary: None,
            bill: None,
            kind: cx.kind().unwrap_or(UsageKind::Completion),
            kept: false,
            failed: Failures::default(),
            notes: serde_json::Map::new(),
            text: String::new(),
            reasoning: String::new(),
            calls: ToolCalls::default(),
        }
    }

    /// Notes which model is asked now.
    pub(crate) fn ask(&mut self, target: &ChatTarget) {
        target.name.clone_into(&mut self.model);
        self.price = target.price.unwrap_or_default();
        self.vocabulary = target.vocabulary();
    }

    /// The model that answers.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// Notes that this model's answer was kept: it costs nothing.
    pub(crate) fn was_kept(&mut self, model: &str) {
        model.clone_into(&mut self.model);
        self.price = Price::default();
        self.note("cache", "hit");
        self.kept = true;
    }

    /// What is owed is paid when it is closed.
    pub(crate) fn owes(&mut self, bill: Bill) {
        self.bill = Some(bill);
    }

    /// Where attempts that failed are noted.
    pub(crate) fn failures(&self) -> Failures {
        self.failed.clone()
    }

    /// Notes how the answer came.
    pub(crate) fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.notes.insert(name.to_owned(), value.into());
    }

    fn cost(&self, usage: Usage) -> Money {
        self.price.cost(usage)
    }

    /// What was used, where the provider did not tell: by the model's tokenizer, or about.
    fn estimate(&self) -> Usage {
        let count = |text: &str| match self.vocabulary {
            Some(vocabulary) => vocabulary.count(text) as u64,
            None => tokens::estimate(text),
        };
        let prompt = match self.vocabulary {
            Some(vocabulary) => vocabulary.count_prompt(&self.prompt).total() as u64,
            None => tokens::estimate_prompt(&self.prompt),
        };
        Usage {
            input_tokens: prompt,
            output_tokens: count(&self.text)
                + count(&self.reasoning)
                + tokens::estimate_calls(&self.calls),
            ..Usage::default()
        }
    }

    fn delta(&mut self, text: &str) {
        if let Some(span) = &mut self.span {
            span.first_token();
        }
        self.text.push_str(text);
    }

    fn thought(&mut self, text: &str) {
        if let Some(span) = &mut self.span {
            span.first_token();
        }
        self.reasoning.push_str(text);
    }

    fn call(&mut self, delta: &ToolCallDelta) {
        if let Some(span) = &mut self.span {
            span.first_token();
        }
        self.calls.push(delta);
    }

    /// Closes it after a whole answer; gives the usage.
    fn finish(&mut self, reason: FinishReason, usage: Option<Usage>) -> Usage {
        let charged = usage.unwrap_or_else(|| self.estimate());
        self.close(
            Some(charged),
            usage.is_none(),
            Some(reason),
            SpanStatus::Ok,
            "ok",
        );
        charged
    }

    /// Closes it with an error. What came of the answer was paid for, so it is charged.
    pub(crate) fn fail(&mut self, error: &ModelError) {
        let came = !self.text.is_empty() || !self.reasoning.is_empty() || !self.calls.is_empty();
        let charged = came.then(|| self.estimate());
        let (status, outcome) = match error {
            ModelError::Cancelled => (SpanStatus::Cancelled, "cancelled"),
            other => (SpanStatus::Error(other.to_string()), other.code().as_str()),
        };
        self.close(charged, true, None, status, outcome);
    }

    fn close(
        &mut self,
        usage: Option<Usage>,
        estimated: bool,
        reason: Option<FinishReason>,
        status: SpanStatus,
        outcome: &str,
    ) {
        let Some(mut span) = self.span.take() else {
            return;
        };
        let mut output = serde_json::Map::new();
        output.insert("model".to_owned(), json!(self.model));
        output.append(&mut self.notes);
        if usage.is_some() {
            output.insert("text".to_owned(), json!(self.text));
        }
        if !self.reasoning.is_empty() {
            output.insert("reasoning".to_owned(), json!(self.reasoning));
        }
        if !self.calls.is_empty() {
            let calls = std::mem::take(&mut self.calls).finish();
            output.insert("tool_calls".to_owned(), json!(calls));
        }
        if let Some(reason) = reason {
            output.insert("finish_reason".to_owned(), json!(reason));
        }
        if estimated && usage.is_some() {
            output.insert("estimated".to_owned(), json!(true));
        }
        let failed = self.failed.take();
        if !failed.is_empty() {
            output.insert("failed_attempts".to_owned(), Value::Array(failed));
        }
        let usage = usage.unwrap_or_default();
        let money = self.cost(usage);
        if let Some(bill) = self.bill.take() {
            bill.pay(Spent {
                kind: self.kind,
                model: self.model.clone(),
                usage,
                money,
                failed: status != SpanStatus::Ok,
            });
        }
        span.charge(usage, money);
        span.close(Value::Object(output), status);
        // No model read or wrote anything for what was kept.
        let (outcome, usage) = match (self.kept, outcome) {
            (true, "ok") => ("cached", Usage::default()),
            (true, other) => (other, Usage::default()),
            (false, other) => (other, usage),
        };
        count(&self.model, outcome, usage, self.began);
    }
}

impl Drop for Account {
    /// The caller went away: with the stream, or while it waited for the first token.
    fn drop(&mut self) {
        self.fail(&ModelError::Cancelled);
    }
}

/// An answer whose pieces are accounted for as they pass.
pub(crate) struct Accounted {
    first: Option<Piece>,
    rest: Pieces,
    account: Account,
    /// Keeps the answer.
    storing: Option<Storing>,
    ended: bool,
    /// Stops the work when the stream is dropped.
    _stop: DropGuard,
}

impl Accounted {
    pub(crate) fn new(first: Piece, rest: Pieces, account: Account, stop: DropGuard) -> Self {
        Self {
            first: Some(first),
            rest,
            account,
            storing: None,
            ended: false,
            _stop: stop,
        }
    }

    /// The same, kept when it has come whole.
    pub(crate) fn storing(mut self, storing: Option<Storing>) -> Self {
        self.storing = storing;
        self
    }

    fn pass(&mut self, piece: Result<Piece, ModelError>) -> Result<ChatChunk, ModelError> {
        if let (Some(storing), Ok(piece)) = (&mut self.storing, &piece) {
            storing.push(piece);
        }
        match piece {
            Ok(Piece::Delta { text, logprobs }) => {
                self.account.delta(&text);
                Ok(ChatChunk::Delta { text, logprobs })
            }
            Ok(Piece::Reasoning(text)) => {
                self.account.thought(&text);
                Ok(ChatChunk::Reasoning(text))
            }
            Ok(Piece::ToolCall(delta)) => {
                self.account.call(&delta);
                Ok(ChatChunk::ToolCall(delta))
            }
            Ok(Piece::Done {
                finish_reason,
                usage,
            }) => {
                self.ended = true;
                if let Some(storing) = self.storing.take() {
                    let charged = usage.unwrap_or_else(|| self.account.estimate());
                    if storing.finish(finish_reason, charged, Instant::now()) {
                        self.account.note("cache", "stored");
                    }
                }
                let usage = self.account.finish(finish_reason, usage);
                Ok(ChatChunk::Done {
                    finish_reason,
                    usage,
                })
            }
            Err(error) => {
                self.ended = true;
                self.account.fail(&error);
                Err(error)
            }
        }
    }
}

impl Stream for Accounted {
    type Item = Result<ChatChunk, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(self.pass(Ok(first))));
        }
        match std::task::ready!(self.rest.poll_next_unpin(cx)) {
            Some(piece) => Poll::Ready(Some(self.pass(piece))),
            None => {
                let message = format!(
                    "the answer of `{}` ended without a finish",
                    self.account.model
                );
                Poll::Ready(Some(self.pass(Err(ModelError::Broken(message)))))
            }
        }
    }
}
