//! The vocabulary of Praxis: what every other crate speaks and nothing that does I/O.
//!
//! A *function* is anything that can be called; every *call* runs in a [`CallContext`] and leaves
//! [`Span`]s. Models and knowledge are reached through the ports in [`chat`], [`embed`], [`rerank`]
//! and [`knowledge`]; traces leave through [`TraceSink`]. Left out on purpose: HTTP, files, SQL, clocks.

pub mod access;
pub mod approval;
pub mod chat;
pub mod constraint;
pub mod diagnostic;
pub mod effect;
pub mod embed;
pub mod error;
pub mod filter;
pub mod function;
pub mod ids;
pub mod json_schema;
pub mod knowledge;
pub mod language;
pub mod ledger;
pub mod message;
pub mod metadata;
pub mod period;
pub mod places;
pub mod plain;
pub mod rerank;
pub mod secret;
pub mod select;
pub mod speech;
pub mod suggest;
pub mod taint;
pub mod tokens;
pub mod toml_file;
pub mod tool;
pub mod trace;
pub mod usage;

pub use access::{Caller, Clearance};
pub use approval::{Approval, Approvals};
pub use chat::{
    ChatChunk, ChatGateway, ChatModel, ChatRequest, ChatStream, FinishReason, Priority, Sampling,
    TokenLogprob,
};
pub use constraint::Constraint;
pub use diagnostic::{Diagnostic, Problem, Severity, SourceSpan};
pub use effect::{Effect, Effects};
pub use embed::{EmbedKind, Embedder};
pub use error::{ErrorCode, ModelError};
pub use filter::Filter;
pub use function::{CallContext, CallError, CallEvent, Function, Signature, now_s};
pub use ids::{ChunkId, DocumentId, EntityId, SpanId, TraceId};
pub use knowledge::{
    Citation, Passage, Query, RerankOption, RerankSettings, Retrieval, Retriever, SearchOptions,
    VECTOR_STORE,
};
pub use language::Language;
pub use ledger::{
    Claim, Ledger, LedgerError, Limit, Payer, Refusal, Remaining, Reserved, Spent, Subject, Ticket,
};
pub use message::{Message, Part, Role};
pub use metadata::{Attribute, Metadata};
pub use period::Period;
pub use places::{NoPlace, Place, Places};
pub use rerank::{Relevance, RerankRequest, Reranker};
pub use secret::{KeyReference, Secret};
pub use tokens::TokenCount;
pub use tool::{ToolCall, ToolCallDelta, ToolCalls, ToolChoice, ToolSpec};
pub use trace::{Span, SpanKind, SpanStatus, TraceSink};
pub use usage::{Money, Usage};
