//! Documents in, passages out.
//!
//! Sources list documents (`praxis-sources`). Each is loaded to a canonical text ([`load`]), cut along its structure ([`segment`]), embedded
//! and written to the store in one transaction ([`Knowledge::ingest`]). Two indexes derived from the
//! store, keywords and vectors, answer a search together; models may work on the question before and rerank
//! what was found. Left out: models (they come through [`praxis_core::Embedder`],
//! [`praxis_core::ChatGateway`] and [`praxis_core::Reranker`]) and what is done with the passages.

mod analyze;
mod check;
mod config;
mod document;
mod documents;
mod files;
mod functions;
mod graph;
mod ingest;
mod keyword;
mod knowledge;
mod listing;
pub mod load;
pub mod meaning;
mod metadata;
mod preview;
mod reembed;
mod relevance;
mod retrieve;
mod scope;
mod search;
mod segment;
mod summary;
mod tune;
mod vector_stores;
mod vectors;

pub use check::CheckReport;
pub use config::{
    BaseConfig, ContextConfig, Fusion, GraphConfig, ModelUse, OcrConfig, QuestionConfig,
    RerankConfig, SearchConfig, SegmentConfig,
};
pub use document::{Block, BlockKind, LoadedDocument, Segment};
pub use documents::BaseDocuments;
pub use files::{FileLimits, Files, NewFile, NewUpload, Owned, Placed, Upload, UploadError};
pub use functions::{PREFIX as FUNCTION_PREFIX, function_names, functions};
pub use graph::{
    ExtractionStats, GraphAnswer, GraphEntity, GraphFormat, GraphOptions, GraphProgress,
    GraphReport, GraphSize, GraphStats, GraphTriple, Provenance,
};
pub use ingest::{ContextReport, FailedDocument, IngestEvent, IngestReport, Warning};
pub use knowledge::{
    BaseSpec, EmbedderSource, Excerpt, Knowledge, PaidEmbedderSource, RebuildReport, RerankerSource,
};
pub use listing::SourceProblem;
pub use metadata::{DeclaredType, MetadataRule, is_sidecar};
pub use praxis_sources::{FolderConfig, SourceConfig};
pub use preview::{Counting, Preview, PreviewChunk, preview_file};
pub use reembed::{ReembedProgress, ReembedReport, RefusedText};
pub use retrieve::{FoundDocument, FoundDocuments};
pub use search::fusion::Lanes;
pub use segment::{SegmentOptions, Strategy, segment};
pub use tune::{Label, TuneReport};
pub use vector_stores::{
    FileRequest, NewVectorStore, StoreHit, StoreHits, StoreQuery, VectorStores,
};
