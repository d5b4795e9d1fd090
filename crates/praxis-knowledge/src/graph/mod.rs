//! The knowledge graph of a base: what its chunks say of whom, as typed triples with the words that say it.
//!
//! A chat model reads each chunk once ([`build`](Knowledge::build_graph)); what the chunk does not bear out is
//! dropped (`ground`), names that are one entity are found (`resolve`), and each caller sees the graph of its own
//! documents (`view`). It can be asked (`ask`), exported, and takes part in searches (`lane`). All but `build`,
//! `ask` and `views` is pure. Left out: the rows themselves (`praxis_store`).
//!
//! [`Knowledge::build_graph`]: crate::Knowledge::build_graph

mod ask;
mod build;
mod export;
mod ground;
mod lane;
mod names;
mod path;
mod prompt;
mod reading;
mod resolve;
#[cfg(test)]
mod tests;
mod view;
mod views;

use praxis_core::{ChunkId, DocumentId, Usage};
use serde::Serialize;

use crate::ingest::FailedDocument;
pub use export::GraphFormat;
pub(crate) use lane::GraphHits;
pub(crate) use names::term;
pub(crate) use views::Views;

/// An entity of a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct GraphEntity {
    /// As it is written most often.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Other ways in which it is written.
    pub aliases: Vec<String>,
    /// Chunks that name it.
    pub chunks: u32,
    /// Triples that it is in.
    pub triples: usize,
}

/// A triple with where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct GraphTriple {
    /// Of whom it is said.
    pub subject: String,
    /// The subject's type.
    pub subject_type: String,
    /// What.
    pub relation: String,
    /// And of whom.
    pub object: String,
    /// The object's type.
    pub object_type: String,
    /// How many chunks state it.
    pub statements: usize,
    /// The first of them.
    pub provenance: Vec<Provenance>,
}

/// The words of a document that state a triple.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Provenance {
    /// The chunk that they stand in.
    pub chunk: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// The document's path or URI in its source.
    pub uri: String,
    /// First character in the document's text (Unicode scalar values, 0-based).
    pub start: usize,
    /// Character after the last.
    pub end: usize,
    /// The words.
    pub quote: String,
}

/// What a graph says of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct GraphAnswer {
    /// The entities of that name, one for each type; without a name, the most frequent entities.
    pub entities: Vec<GraphEntity>,
    /// Their triples.
    pub triples: Vec<GraphTriple>,
    /// Triples beyond those.
    pub more: usize,
}

/// How large a graph is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GraphSize {
    /// Entities.
    pub entities: usize,
    /// Different triples.
    pub triples: usize,
    /// Chunks that name something.
    pub chunks: usize,
    /// How many entities each type has, the largest first.
    pub types: Vec<(String, usize)>,
    /// How many triples each relation has, the largest first.
    pub relations: Vec<(String, usize)>,
}

/// How large a graph is, and what it was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GraphStats {
    /// How large it is.
    #[serde(flatten)]
    pub size: GraphSize,
    /// What was extracted by which model; nothing for who may not read all documents.
    pub extractions: Vec<ExtractionStats>,
}

/// What a model extracted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExtractionStats {
    /// Its name.
    pub model: String,
    /// Chunks that it read.
    pub chunks: u64,
    /// Of these, chunks whose answer could not be read.
    pub failed: u64,
    /// Triples that were dropped, because their chunk does not bear them out.
    pub dropped: u64,
    /// Tokens that it took.
    pub usage: Usage,
}

/// How a graph is built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphOptions {
    /// The chat model, where the base names none: the application's default.
    pub default_model: String,
    /// The most chunks of this run; default: all.
    pub limit: Option<usize>,
    /// Whether chunks whose answer could not be read are read again.
    pub retry: bool,
}

/// Where a build stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GraphProgress {
    /// Chunks that were read.
    pub done: u64,
    /// Chunks in all.
    pub chunks: u64,
}

/// What a build did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GraphReport {
    /// The model that read the chunks.
    pub model: String,
    /// Chunks that were read in this run.
    pub extracted: u64,
    /// Of these, chunks that the model refused, or whose answer could not be read.
    pub failed: u64,
    /// The documents of those that the model refused, or has no answer for, each with the first reason.
    pub refused: Vec<FailedDocument>,
    /// Chunks that the model did not answer in time; the next build reads them.
    pub unanswered: u64,
    /// Triples that were written in this run.
    pub triples: u64,
    /// Triples that were dropped in this run, because their chunk does not bear them out.
    pub dropped: u64,
    /// Chunks that are not read yet.
    pub left: u64,
    /// Pairs of names that were found to be one entity.
    pub aliases: usize,
    /// Tokens of this run.
    pub usage: Usage,
}
