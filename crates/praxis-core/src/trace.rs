//! Traces: what a call did, as spans. Names follow OpenTelemetry; attributes its GenAI conventions. What nobody is
//! shown of tools' arguments and results is taken out before a sink has a span (`secrets`).

pub mod redact;
mod secrets;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::secrets::Secrets;
use crate::access::Caller;
use crate::ids::{SpanId, TraceId};
use crate::usage::{Money, Usage};

/// What a span measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// A function's call.
    Function,
    /// A step of a call that is more than one question to a model: a sample, a repair, a grading.
    Step,
    /// A search in a knowledge base.
    Retrieval,
    /// A chat model's answer.
    Chat,
    /// Texts turned into vectors.
    Embedding,
    /// Speech written down.
    Transcription,
    /// A tool that a model wanted called.
    Tool,
}

impl SpanKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Function,
        Self::Step,
        Self::Retrieval,
        Self::Chat,
        Self::Embedding,
        Self::Transcription,
        Self::Tool,
    ];

    /// The kind's stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            SpanKind::Function => "function",
            SpanKind::Step => "step",
            SpanKind::Retrieval => "retrieval",
            SpanKind::Chat => "chat",
            SpanKind::Embedding => "embedding",
            SpanKind::Transcription => "transcription",
            SpanKind::Tool => "tool",
        }
    }

    /// The kind of a stored text.
    pub fn parse(text: &str) -> Option<SpanKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How a span ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "status", content = "message")]
pub enum SpanStatus {
    /// As hoped.
    Ok,
    /// With this error.
    Error(String),
    /// The caller stopped it.
    Cancelled,
}

/// One finished step of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Span {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
    /// The step that caused it; `None` for the root.
    pub parent_id: Option<SpanId>,
    /// What it measures.
    pub kind: SpanKind,
    /// The function's, base's or model's name.
    pub name: String,
    /// Start, in milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// Duration in microseconds.
    pub duration_us: i64,
    /// Time to the first token in microseconds, for streamed answers.
    pub first_token_us: Option<i64>,
    /// What went in.
    pub input: Value,
    /// What came out.
    pub output: Value,
    /// Tokens.
    pub usage: Usage,
    /// Cost.
    pub cost: Money,
    /// How it ended.
    pub status: SpanStatus,
    /// Of a root: who called, where that caller has a name or may not read everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
}

/// Where finished spans go. Contract: `record` never blocks and never fails the call; a sink that
/// cannot keep up drops spans and counts them.
pub trait TraceSink: Send + Sync {
    /// Takes a finished span.
    fn record(&self, span: Span);
}

/// A sink that keeps nothing, for tools and tests that need no trace.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoTrace;

impl TraceSink for NoTrace {
    fn record(&self, _: Span) {}
}
