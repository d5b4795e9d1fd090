//! The port to knowledge bases: a question in, passages with their origin out.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::filter::Filter;
use crate::function::{CallContext, CallError};
use crate::ids::{ChunkId, DocumentId};
use crate::message::Message;

/// What ids of vector stores begin with: bases that clients make, whose names nobody else may have.
pub const VECTOR_STORE: &str = "vs_";

/// What a search asks a knowledge base for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// The question, or what else is looked for.
    pub text: String,
    /// The most results.
    pub limit: usize,
    /// The conversation before it, oldest first, for questions that lean on it.
    pub history: Vec<Message>,
    /// What outranks the base's settings, for this query only.
    pub options: SearchOptions,
    /// Which documents count; default: all that the caller may read.
    pub filter: Option<Filter>,
}

impl Query {
    /// The `limit` best results for a text that stands alone.
    pub fn new(text: impl Into<String>, limit: usize) -> Self {
        Self {
            text: text.into(),
            limit,
            ..Self::default()
        }
    }

    /// The same query among the documents that a filter holds of.
    #[must_use]
    pub fn with_filter(mut self, filter: Option<Filter>) -> Self {
        self.filter = filter;
        self
    }
}

/// Settings of a search that outrank those of its base; what is `None` stays as the base has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchOptions {
    /// The chat model that works on the question.
    pub model: Option<String>,
    /// Whether a question that leans on the conversation is rewritten to stand alone.
    pub rewrite: Option<bool>,
    /// How many other wordings of the question are searched for too.
    pub queries: Option<usize>,
    /// Whether an imagined answer is searched with.
    pub hyde: Option<bool>,
    /// Whether and how the results are reranked.
    pub rerank: Option<RerankOption>,
}

/// Reranking as a query asks for it: `true`, `false`, or settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(
    untagged,
    expecting = "must be true, false, or an object with `model`, `depth` or `weight`"
)]
pub enum RerankOption {
    /// As the base has it, or not at all.
    Switch(bool),
    /// With these settings.
    With(RerankSettings),
}

/// Settings of a rerank that outrank those of the base.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RerankSettings {
    /// A cross-encoder or a chat model.
    pub model: Option<String>,
    /// How many of the first results are reranked.
    pub depth: Option<usize>,
    /// What the model's opinion counts beside the score, in 0..=1.
    pub weight: Option<f32>,
}

/// A passage that a search found, with all that is needed to cite it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Passage {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// The document's title.
    pub title: String,
    /// The document's path or URI in its source.
    pub uri: String,
    /// Headings above the passage, outermost first.
    pub headings: Vec<String>,
    /// First page (1-based), where the format has pages.
    pub page: Option<u32>,
    /// First character of the passage in the document's text (Unicode scalar values, 0-based).
    pub start: usize,
    /// Character after the last.
    pub end: usize,
    /// The passage itself, without title and headings.
    pub text: String,
    /// Fused score; comparable within one search only.
    pub score: f32,
    /// Estimated probability in 0..=1 that the passage bears on the question; comparable across
    /// searches of one embedder, and what `praxis.scope: knowledge` compares with its threshold.
    pub relevance: f32,
}

/// What a search returns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Retrieval {
    /// Passages, best first.
    pub passages: Vec<Passage>,
    /// Relevance below which a question counts as outside of the documents (measured; see
    /// `docs/retrieval.md`).
    pub threshold: f32,
    /// The question that was searched for where the conversation was read into it; `None` where the base
    /// does not rewrite, there was no conversation, or rewriting failed or changed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

impl Retrieval {
    /// Whether any passage passes the threshold.
    pub fn is_relevant(&self) -> bool {
        self.passages.iter().any(|p| p.relevance >= self.threshold)
    }
}

/// A mark such as `[1]` in an answer, resolved to where it points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Citation {
    /// The number in the answer's text, from 1.
    pub number: u32,
    /// The passage.
    #[serde(flatten)]
    pub passage: Passage,
}

/// A knowledge base, or several behind one name.
#[async_trait]
pub trait Retriever: Send + Sync {
    /// The best passages of base `knowledge` for `query`, of documents that the caller of `cx` may read
    /// and no others. Records a retrieval span.
    ///
    /// # Errors
    /// [`CallError`] with code `not_found` for an unknown base, `model_not_pulled` where the
    /// embedder is absent, `invalid_request` for a filter that does not fit the base.
    async fn search(
        &self,
        knowledge: &str,
        query: &Query,
        cx: &CallContext,
    ) -> Result<Retrieval, CallError>;
}
