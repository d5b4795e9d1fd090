//! The one noun and the one verb: a [`Function`] is called in a [`CallContext`].

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::access::Caller;
use crate::chat::{FinishReason, Priority, TokenLogprob};
use crate::effect::Effects;
use crate::error::{ErrorCode, ModelError};
use crate::ids::{SpanId, TraceId};
use crate::knowledge::{Citation, Retrieval};
use crate::ledger::{Limit, Payer, Told, UsageKind};
use crate::taint::Taint;
use crate::tool::ToolCall;
use crate::trace::redact::Steps;
use crate::trace::{Secrets, Span, SpanKind, SpanStatus, TraceSink};
use crate::usage::{Money, Usage};

/// What a function is called, takes and gives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Signature {
    /// Its name, unique in the application.
    pub name: String,
    /// What it does, in one sentence.
    pub description: String,
    /// JSON Schema of the input.
    pub input_schema: Value,
    /// JSON Schema of the output.
    pub output_schema: Value,
    /// What a call does to the world.
    #[serde(default)]
    pub effects: Effects,
}

/// What happens during a call, in order. A caller that does not stream ignores them.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEvent {
    /// Passages were found, before the model is asked.
    Retrieved(Retrieval),
    /// More text of the answer.
    Delta {
        /// Text to append.
        text: String,
        /// Logprobs of its tokens, where asked for.
        logprobs: Vec<TokenLogprob>,
    },
    /// More of what the model thinks before it answers; it is no part of the answer.
    Reasoning {
        /// Text to append.
        text: String,
    },
    /// The model wants a tool called.
    ToolCalled(ToolCall),
    /// What the tool gave.
    ToolAnswered {
        /// Id of the call.
        id: String,
        /// The result as the model reads it.
        text: String,
        /// Whether it is an error.
        failed: bool,
    },
    /// A structured output as far as it is written: valid JSON that fits what comes later, but for one
    /// case: an output that did not keep its promise is written anew, and begins again.
    Partial(Value),
    /// How the answer came about, where its technique says more than the answer.
    Concluded {
        /// The model's reasoning, whole.
        reasoning: Option<String>,
        /// Share of the samples that agree with the answer, in 0..=1, where there was a vote.
        confidence: Option<f32>,
    },
    /// A model's answer below the call has ended.
    Finished {
        /// Why.
        finish_reason: FinishReason,
        /// Tokens in and out.
        usage: Usage,
    },
    /// The answer's text is final and differs from the concatenated deltas (citations that point to
    /// nothing were removed, and numbers closed up), and these are its citations.
    Cited {
        /// The final text.
        text: String,
        /// Its citations, in the order of their numbers.
        citations: Vec<Citation>,
    },
}

/// Why a call failed, as the caller sees it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// Stable code.
    pub code: ErrorCode,
    /// Names the offender.
    pub message: String,
    /// Says the fix.
    pub hint: Option<String>,
    /// What a program can use: the best attempt at an output, for one.
    pub details: Option<Box<Value>>,
    /// After how long the same call may be taken, where that is known.
    pub retry_after: Option<Duration>,
}

/// How a disk or a quota without room is told of: `ENOSPC` and `EDQUOT` of the operating system, as text and as
/// `Debug` prints them, `SQLITE_FULL`, and `SQLITE_IOERR_SHMSIZE` of a store that is opened.
const FULL: [&str; 6] = [
    "No space left on device",
    "StorageFull",
    "Disk quota exceeded",
    "QuotaExceeded",
    "database or disk is full",
    "(code: 4874)",
];

impl CallError {
    /// An error without a hint.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            details: None,
            retry_after: None,
        }
    }

    /// What failed here through no fault of the caller: a full disk, or else a defect. A full disk is known by
    /// the words of the operating system and of SQLite, since the threads of an index hand on nothing else.
    pub fn failure(error: impl std::fmt::Display) -> Self {
        let message = error.to_string();
        if FULL.iter().any(|words| message.contains(words)) {
            let code = ErrorCode::StorageFull;
            return Self::new(code, message).with_hint(code.remedy());
        }
        Self::new(ErrorCode::Internal, message)
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with what a program can use.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }
}

impl From<ModelError> for CallError {
    fn from(error: ModelError) -> Self {
        if let ModelError::Limited(error) = error {
            return *error;
        }
        let retry_after = match &error {
            ModelError::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        };
        Self {
            retry_after,
            ..Self::new(error.code(), error.to_string())
        }
    }
}

/// What a call carries down: identity of the trace, who called, cancellation, and where events and spans
/// go.
#[derive(Clone)]
pub struct CallContext {
    caller: Arc<Caller>,
    payer: Arc<Payer>,
    limits: Arc<[Limit]>,
    told: Told,
    priority: Priority,
    trace_id: TraceId,
    parent: Option<SpanId>,
    cancel: CancellationToken,
    events: Option<mpsc::Sender<CallEvent>>,
    sink: Arc<dyn TraceSink>,
    data: Arc<Map<String, Value>>,
    taint: Taint,
    secrets: Secrets,
    scope: Option<Arc<str>>,
    kind: Option<UsageKind>,
    depth: usize,
}

/// How deep functions may call each other: one that calls itself ends here, not with the stack.
pub const MAX_DEPTH: usize = 16;

impl CallContext {
    /// A root context: a new trace, of a caller who may read documents without labels only.
    pub fn new(sink: Arc<dyn TraceSink>) -> Self {
        Self {
            caller: Arc::default(),
            payer: Arc::default(),
            limits: Arc::default(),
            told: Told::default(),
            priority: Priority::default(),
            trace_id: TraceId::generate(),
            parent: None,
            cancel: CancellationToken::new(),
            events: None,
            sink,
            data: Arc::default(),
            taint: Taint::default(),
            secrets: Secrets::default(),
            scope: None,
            kind: None,
            depth: 0,
        }
    }

    /// The same context with data that is not the function's input: prompts read it as `@name`, such as
    /// `@state.user`. What a model writes never gets here.
    #[must_use]
    pub fn with_data(mut self, name: impl Into<String>, value: Value) -> Self {
        Arc::make_mut(&mut self.data).insert(name.into(), value);
        self
    }

    /// The data that is not the function's input, by name.
    pub fn data(&self) -> &Map<String, Value> {
        &self.data
    }

    /// The context of a call that a function makes of another one: its events are not the caller's.
    ///
    /// # Errors
    /// `budget_exceeded` where functions call each other too deep.
    pub fn nested(&self) -> Result<Self, CallError> {
        if self.depth == MAX_DEPTH {
            let message = format!("functions call each other more than {MAX_DEPTH} deep");
            return Err(CallError::new(ErrorCode::BudgetExceeded, message)
                .with_hint("does one of them call itself, as a tool or a check?"));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self.quiet()
        })
    }

    /// The same context for this caller. It comes from who sent a request, never from what was sent.
    #[must_use]
    pub fn with_caller(mut self, caller: Caller) -> Self {
        self.caller = Arc::new(caller);
        self
    }

    /// Who called.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The same context with who pays for the call, and the limits that hold for it. Both come from who sent a
    /// request, as the caller does.
    #[must_use]
    pub fn with_payer(mut self, payer: Payer, limits: Arc<[Limit]>) -> Self {
        self.payer = Arc::new(payer);
        self.limits = limits;
        self
    }

    /// Who pays.
    pub fn payer(&self) -> &Payer {
        &self.payer
    }

    /// The limits that hold for who pays.
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// The same context, whose calls note here what they are told of the limits.
    #[must_use]
    pub fn with_told(mut self, told: Told) -> Self {
        self.told = told;
        self
    }

    /// The same context for calls that are no more urgent than this.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// How urgent its calls are at most.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Where calls note what they are told of the limits.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// The same context with events sent to `events` (bounded: a slow reader slows the call).
    #[must_use]
    pub fn with_events(mut self, events: mpsc::Sender<CallEvent>) -> Self {
        self.events = Some(events);
        self
    }

    /// The same context with this cancellation token.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// The same context whose spans go to `sink`: to one that looks at them and hands them on.
    #[must_use]
    pub fn with_sink(mut self, sink: Arc<dyn TraceSink>) -> Self {
        self.sink = sink;
        self
    }

    /// Where its spans go.
    pub fn sink(&self) -> Arc<dyn TraceSink> {
        Arc::clone(&self.sink)
    }

    /// The same context without events: for calls whose events are not the caller's.
    #[must_use]
    pub fn quiet(&self) -> Self {
        Self {
            events: None,
            ..self.clone()
        }
    }

    /// Whether anything in the call tree has read what comes from outside: all contexts that were made of one root
    /// share it.
    pub fn taint(&self) -> &Taint {
        &self.taint
    }

    /// The same context within a longer exchange, whose requests know of each other what they have read.
    #[must_use]
    pub fn with_taint(mut self, taint: Taint) -> Self {
        self.taint = taint;
        self
    }

    /// What is kept out of the spans of the call tree: all contexts that were made of one root share it.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The same context within what the client says is one request: a call of a tool that was approved and made is
    /// not made again in it.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<Arc<str>>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Within which a repeated call is the same one: what the client says is one request, else the call tree.
    pub fn scope(&self) -> &str {
        let own = self.scope.as_deref();
        own.unwrap_or_else(|| self.trace_id.as_str())
    }

    /// The same context, whose calls are counted as of this kind, whatever models they ask.
    #[must_use]
    pub fn counted_as(mut self, kind: UsageKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// What its calls are counted as, where that does not go by the model.
    pub fn kind(&self) -> Option<UsageKind> {
        self.kind
    }

    /// Whether somebody takes the events.
    pub fn is_heard(&self) -> bool {
        self.events.is_some()
    }

    /// The trace's id.
    pub fn trace_id(&self) -> &TraceId {
        &self.trace_id
    }

    /// Cancelled when the caller goes away.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Sends an event to the caller, waiting for room. A caller that went away cancels the call.
    pub async fn emit(&self, event: CallEvent) {
        if let Some(events) = &self.events
            && events.send(event).await.is_err()
        {
            self.cancel.cancel();
        }
    }

    /// Opens a child span: the guard to finish it with, and the context for what happens inside.
    pub fn span(&self, kind: SpanKind, name: impl Into<String>, input: Value) -> (OpenSpan, Self) {
        let span_id = SpanId::generate();
        let inner = Self {
            parent: Some(span_id.clone()),
            ..self.clone()
        };
        let open = OpenSpan {
            started: Instant::now(),
            sink: Arc::clone(&self.sink),
            secrets: self.secrets.clone(),
            span: Some(Span {
                trace_id: self.trace_id.clone(),
                span_id,
                parent_id: self.parent.clone(),
                kind,
                name: name.into(),
                started_ms: now_ms(),
                duration_us: 0,
                first_token_us: None,
                input,
                output: Value::Null,
                usage: Usage::default(),
                cost: Money::default(),
                status: SpanStatus::Ok,
                caller: (self.parent.is_none() && *self.caller != Caller::full())
                    .then(|| Caller::clone(&self.caller)),
            }),
        };
        (open, inner)
    }
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// Seconds since the Unix epoch, as the OpenAI API writes times.
pub fn now_s() -> i64 {
    now_ms() / 1000
}

/// A span that runs. Dropped unfinished, it is recorded as cancelled: no call goes untraced.
pub struct OpenSpan {
    started: Instant,
    sink: Arc<dyn TraceSink>,
    secrets: Secrets,
    span: Option<Span>,
}

impl OpenSpan {
    /// Notes the time of the first token, once.
    pub fn first_token(&mut self) {
        let elapsed = self.elapsed_us();
        if let Some(span) = &mut self.span {
            span.first_token_us.get_or_insert(elapsed);
        }
    }

    /// Adds tokens and cost.
    pub fn charge(&mut self, usage: Usage, cost: Money) {
        if let Some(span) = &mut self.span {
            span.usage += usage;
            span.cost = span.cost + cost;
        }
    }

    /// Ends it well.
    pub fn finish(self, output: Value) {
        self.close(output, SpanStatus::Ok);
    }

    /// Ends it with an error.
    pub fn fail(self, error: &dyn std::fmt::Display) {
        self.close(Value::Null, SpanStatus::Error(error.to_string()));
    }

    /// Ends it with what came out so far and a status.
    pub fn close(mut self, output: Value, status: SpanStatus) {
        self.record(output, status);
    }

    fn record(&mut self, output: Value, status: SpanStatus) {
        let duration_us = self.elapsed_us();
        if let Some(mut span) = self.span.take() {
            span.duration_us = duration_us;
            span.output = output;
            span.status = status;
            self.secrets.hide(&mut span);
            self.sink.record(span);
        }
    }

    fn elapsed_us(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        self.record(Value::Null, SpanStatus::Cancelled);
    }
}

/// Anything an application can call: a prompt, or a function without a file; chains and agents later.
#[async_trait]
pub trait Function: Send + Sync {
    /// What it is called, takes and gives.
    fn signature(&self) -> &Signature;

    /// Calls it. Contract: opens one `Function` span in `cx` and finishes it; sends events through
    /// `cx`; stops soon after `cx.cancel()` fires.
    ///
    /// # Errors
    /// [`CallError`] with code `invalid_request` for input that does not fit the schema; otherwise
    /// what failed below.
    async fn call(&self, input: Value, cx: &CallContext) -> Result<Value, CallError>;

    /// The steps to what nobody is shown of its input, logs and traces included, beside what names tell
    /// ([`crate::trace::redact`]).
    fn secrets(&self) -> &[Steps] {
        &[]
    }

    /// Names of those of its inputs that never leave this machine by it, though it is external: a text that only the
    /// application's own model reads, for one.
    fn kept_here(&self) -> &'static [&'static str] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_defect() {
        // ENOSPC of Linux and macOS.
        let full = std::io::Error::from_raw_os_error(28);
        let cases = [
            full.to_string(),
            format!("An error occurred in a thread: '{full:?}'"),
            "the store failed: (code: 13) database or disk is full".to_owned(),
            "cannot open the store: (code: 4874) disk I/O error".to_owned(),
        ];
        for message in cases {
            let error = CallError::failure(&message);
            assert_eq!(error.code, ErrorCode::StorageFull, "{message}");
            assert!(error.hint.is_some());
        }
        let error = CallError::failure("a row is damaged");
        assert_eq!((error.code, error.hint), (ErrorCode::Internal, None));
    }
}
