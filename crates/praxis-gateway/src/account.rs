//! Accounting: one `Chat` span and one set of metrics for each call, whichever way it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::{Stream, StreamExt};
use praxis_core::function::OpenSpan;
use praxis_core::ledger::UsageKind;
use praxis_core::{
    CallContext, ChatChunk, ChatRequest, FinishReason, ModelError, SpanKind, SpanStatus, Spent,
    ToolCallDelta, ToolCalls, Usage,
};
use serde_json::{Value, json};
use tokio_util::sync::DropGuard;

use crate::asking::{ChatTarget, Failures};
use crate::cache::Storing;
use crate::claims::{Bill, LONGEST_ANSWER, Purse};
use crate::price::Price;
use crate::tally::{Due, Tally, Tries};
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
        "Memory of a local model that is loaded: its weights, and of a chat model its adapter and the most that keys and \
         values and constraints take"
    );
}

/// Shows what a model takes by its name in the configuration, and of what.
pub(crate) fn show_memory(model: &str, parts: &[(&'static str, usize)]) {
    for (of, bytes) in parts.iter().copied() {
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
    count_tokens(&model, usage);
    metrics::histogram!("praxis_model_request_seconds", "model" => model)
        .record(began.elapsed().as_secs_f64());
}

fn count_tokens(model: &str, usage: Usage) {
    for (direction, tokens) in [
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
        ("forced", usage.forced_tokens),
    ] {
        metrics::counter!("praxis_model_tokens_total", "model" => model.to_owned(), "direction" => direction)
            .increment(tokens);
    }
}

/// A call's account: opened before the first attempt, closed exactly once.
pub(crate) struct Account {
    span: Option<OpenSpan>,
    /// The model that answers; the one asked for until another one takes over.
    model: String,
    /// The same, once it is asked; none for an answer that was kept.
    target: Option<Arc<ChatTarget>>,
    began: Instant,
    /// What it is asked, for its tokens where the provider does not tell them.
    request: Arc<ChatRequest>,
    /// What its attempts owe to providers.
    tries: Tries,
    /// The attempt that answers.
    answered: Option<Tally>,
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
    pub(crate) fn open(model: &str, request: &Arc<ChatRequest>, cx: &CallContext) -> Self {
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
            target: None,
            began: Instant::now(),
            request: Arc::clone(request),
            tries: Tries::default(),
            answered: None,
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
    pub(crate) fn ask(&mut self, target: &Arc<ChatTarget>) {
        target.name.clone_into(&mut self.model);
        self.target = Some(Arc::clone(target));
    }

    /// Notes which attempt answers: nobody waits for the others any more.
    pub(crate) fn answered_by(&mut self, tally: Tally) {
        self.tries.answered(&tally);
        self.answered = Some(tally);
    }

    /// The model that answers.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// Notes that this model's answer was kept: it costs nothing.
    pub(crate) fn was_kept(&mut self, model: &str) {
        model.clone_into(&mut self.model);
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

    /// Where attempts note what they owe.
    pub(crate) fn tries(&self) -> Tries {
        self.tries.clone()
    }

    /// Where attempts take more of the caller's limits.
    pub(crate) fn purse(&self) -> Purse {
        self.bill.as_ref().map(Bill::purse).unwrap_or_default()
    }

    /// Notes how the answer came.
    pub(crate) fn note(&mut self, name: &str, value: impl Into<Value>) {
        self.notes.insert(name.to_owned(), value.into());
    }

    fn price(&self) -> Price {
        let price = self.target.as_ref().and_then(|target| target.price);
        price.unwrap_or_default()
    }

    /// The tokenizer of the model that answers, or one like it; none for local models, which count themselves.
    fn vocabulary(&self) -> Option<Vocabulary> {
        self.target.as_ref()?.vocabulary()
    }

    /// Tokens of the prompt with its tools and its schema.
    fn prompt(&self, vocabulary: Option<Vocabulary>) -> u64 {
        let request = &self.request;
        let sizes = request.messages.iter().map(|m| m.text().len());
        let sizes: Vec<usize> = sizes.collect();
        let messages = tokens::by_the_beginning(&sizes, |some| {
            let some = request.messages.get(..some).unwrap_or_default();
            match vocabulary {
                Some(vocabulary) => vocabulary.quick().count_prompt(some).total() as u64,
                None => tokens::estimate_prompt(some),
            }
        });
        let mut form = String::new();
        if !request.tools.is_empty() {
            form.push_str(&serde_json::to_string(&request.tools).unwrap_or_default());
        }
        if let Some(constraint) = &request.constraint {
            form.push_str(&serde_json::to_string(constraint).unwrap_or_default());
        }
        messages + count_text(vocabulary, &form)
    }

    /// Tokens of what came of the answer.
    fn written(&self, vocabulary: Option<Vocabulary>) -> u64 {
        count_text(vocabulary, &self.text)
            + count_text(vocabulary, &self.reasoning)
            + tokens::estimate_calls(&self.calls)
    }

    /// What was used, where the provider did not tell: by the model's tokenizer, or about.
    fn estimate(&self) -> Usage {
        let vocabulary = self.vocabulary();
        Usage {
            input_tokens: self.prompt(vocabulary),
            output_tokens: self.written(vocabulary),
            ..Usage::default()
        }
    }

    /// What was used of an answer that did not come whole. `None`: nothing that anybody bills.
    fn broken_off(&self) -> Option<Usage> {
        let came = !self.text.is_empty() || !self.reasoning.is_empty() || !self.calls.is_empty();
        let due = self.answered.as_ref().and_then(Tally::due);
        match (due, &self.target) {
            (Some(due), Some(target)) => {
                let vocabulary = target.vocabulary();
                let hidden = match self.reasoning.is_empty() {
                    true => self.hidden(target, due),
                    false => 0,
                };
                let written = self.written(vocabulary).max(hidden);
                Some(due.usage(|| self.prompt(vocabulary), written))
            }
            _ => came.then(|| self.estimate()),
        }
    }

    /// The most that a model thought unseen: a provider bills it and nobody told how much it was.
    fn hidden(&self, target: &ChatTarget, due: Due) -> u64 {
        let is_told = due.told.is_some_and(|usage| usage.reasoning_tokens > 0);
        if is_told || !target.thinks(&self.request) {
            return 0;
        }
        let longest = self.request.sampling.max_tokens.unwrap_or(LONGEST_ANSWER);
        due.hidden(u64::from(longest))
    }

    /// What attempts took that did not answer, each at its own model.
    fn lost(&self) -> Vec<(Arc<ChatTarget>, Usage)> {
        let lost = self.tries.lost(self.answered.as_ref()).into_iter();
        lost.filter_map(|(target, tally)| {
            let due = tally.due()?;
            let prompt = || self.prompt(target.vocabulary());
            let usage = due.usage(prompt, self.hidden(&target, due));
            Some((target, usage))
        })
        .collect()
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
        if let Some(target) = &self.target {
            target.breaker.succeeded();
        }
        self.close(
            Some(charged),
            usage.is_none(),
            Some(reason),
            SpanStatus::Ok,
            "ok",
        );
        charged
    }

    /// Notes that the answer broke off after it began.
    fn broke(&self, error: &ModelError) {
        if let (Some(target), ModelError::Broken(_)) = (&self.target, error) {
            target.breaker.failed(error, Instant::now());
        }
    }

    /// Closes it with an error. What the provider bills all the same is charged.
    pub(crate) fn fail(&mut self, error: &ModelError) {
        if self.span.is_none() {
            return;
        }
        let charged = self.broken_off();
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
        let (mut all, mut money) = (usage, self.price().cost(usage));
        let mut others = Vec::new();
        for (target, usage) in self.lost() {
            all += usage;
            money = money + target.price.unwrap_or_default().cost(usage);
            count_tokens(&target.name, usage);
            others.push(json!({ "model": target.name, "usage": usage }));
        }
        if !others.is_empty() {
            output.insert("charged_attempts".to_owned(), Value::Array(others));
        }
        if let Some(bill) = self.bill.take() {
            bill.pay(Spent {
                kind: self.kind,
                model: self.model.clone(),
                usage: all,
                money,
                failed: status != SpanStatus::Ok,
            });
        }
        span.charge(all, money);
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

/// Tokens of a text by a tokenizer, or about.
fn count_text(vocabulary: Option<Vocabulary>, text: &str) -> u64 {
    match vocabulary {
        Some(vocabulary) => vocabulary.quick().count(text) as u64,
        None => tokens::estimate(text),
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
                self.account.broke(&error);
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
