//! What ingestion would make of a file, without a store and without an index: its format, its chunks and
//! what of it could not be read. The file is one of this machine's, or bytes that somebody sends. Left out:
//! embedding, so that no model is needed.

use std::path::Path;
use std::sync::Arc;

use praxis_core::embed::TokenCounter;
use praxis_core::{CallError, Clearance, ErrorCode};
use serde::Serialize;

use crate::config::BaseConfig;
use crate::document::LoadedDocument;
use crate::ingest::HEADING_RESERVE;
use crate::knowledge::{Base, Knowledge, Maker, internal};
use crate::load::ocr::Ocr;
use crate::load::{Format, LoadError, Loading, load_file, load_guarded};
use crate::segment::{Strategy, segment};

/// What a file would become.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Preview {
    /// Its title.
    pub title: String,
    /// Its format, as people know it.
    pub format: String,
    /// Characters of its text.
    pub characters: usize,
    /// Headings, paragraphs, items, tables and pieces of code.
    pub blocks: usize,
    /// Where its chunks begin and end.
    pub strategy: Strategy,
    /// The most tokens of a chunk.
    pub max_tokens: usize,
    /// Sections below this are joined with their neighbours.
    pub min_tokens: usize,
    /// Whether tokens were counted by rule of thumb, for want of the embedder's tokenizer.
    pub approximate: bool,
    /// What of it could not be read.
    pub notes: Vec<String>,
    /// Its chunks, in order.
    pub chunks: Vec<PreviewChunk>,
}

/// A chunk, as it would be stored.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct PreviewChunk {
    /// Headings above it, outermost first.
    pub headings: Vec<String>,
    /// Page it begins on.
    pub page: Option<u32>,
    /// Tokens of its text.
    pub tokens: usize,
    /// First character.
    pub start: usize,
    /// Character after the last.
    pub end: usize,
    /// First character of the section around it, and the character after the last.
    pub section: (usize, usize),
    /// Its text.
    pub text: String,
}

/// How tokens are counted.
pub struct Counting {
    counter: TokenCounter,
    /// The most tokens that the embedder reads.
    room: Option<usize>,
}

impl Counting {
    /// By rule of thumb, from the letters of a text.
    pub fn approximate() -> Self {
        Self {
            counter: Arc::new(praxis_core::tokens::estimate),
            room: None,
        }
    }
}

impl Knowledge {
    /// What a file would become in a base. Without the base's embedder, tokens are counted by rule of
    /// thumb.
    ///
    /// # Errors
    /// An unknown base, or a file that cannot be read.
    pub async fn preview(&self, base: &str, file: &Path) -> Result<Preview, CallError> {
        let base = self.base(base)?;
        let counting = self.counting(&base).await;
        let file = file.to_owned();
        tokio::task::spawn_blocking(move || preview_file(&file, &base.config, &counting))
            .await
            .map_err(internal)?
    }

    /// What the bytes of a file of that name would become in a base, as [`Knowledge::preview`] says it.
    ///
    /// # Errors
    /// A base that is unknown or not for the caller to know of, which is told alike; bytes that cannot be read,
    /// or are more than [`Knowledge::preview_limit`].
    pub async fn preview_bytes(
        &self,
        base: &str,
        name: String,
        bytes: Vec<u8>,
        clearance: &Clearance,
    ) -> Result<Preview, CallError> {
        let base = self.known_base(base, clearance)?;
        let counting = self.counting(&base).await;
        let read = move || {
            let document = load_guarded(name.clone(), bytes, loading(&base.config));
            let document = document.map_err(|error| unreadable(&name, &error))?;
            Ok(preview(document, &base.config, &counting))
        };
        tokio::task::spawn_blocking(read).await.map_err(internal)?
    }

    /// The most bytes of a file that a base reads.
    ///
    /// # Errors
    /// A base that is unknown or not for the caller to know of, which is told alike.
    pub fn preview_limit(&self, base: &str, clearance: &Clearance) -> Result<u64, CallError> {
        let base = self.known_base(base, clearance)?;
        Ok(base.config.limits().max_bytes)
    }

    /// A base that the caller may know of.
    pub(crate) fn known_base(
        &self,
        name: &str,
        clearance: &Clearance,
    ) -> Result<Arc<Base>, CallError> {
        let base = self.base(name)?;
        // Without a look at the names of all others: each search asks.
        let is_known = match &base.maker {
            Maker::Application => true,
            Maker::Client { labels, .. } => clearance.permits(labels),
        };
        if is_known {
            return Ok(base);
        }
        let message = format!("no knowledge base `{name}`");
        Err(CallError::new(ErrorCode::NotFound, message)
            .with_hint("a base is a file `knowledge/NAME.toml`"))
    }

    /// How the embedder of a base counts, if it is on this machine.
    async fn counting(&self, base: &Base) -> Counting {
        let Ok(embedder) = self.embedder(&base.config) else {
            return Counting::approximate();
        };
        match (embedder.token_counter().await, embedder.max_tokens().await) {
            (Ok(counter), Ok(most)) => Counting {
                counter,
                room: Some(most.saturating_sub(HEADING_RESERVE)),
            },
            _ => Counting::approximate(),
        }
    }
}

/// What a file would become with the settings of a base. Blocks.
///
/// # Errors
/// A file that cannot be read.
pub fn preview_file(
    file: &Path,
    config: &BaseConfig,
    counting: &Counting,
) -> Result<Preview, CallError> {
    let document = load_file(file, loading(config));
    let document = document.map_err(|error| unreadable(file.display(), &error))?;
    Ok(preview(document, config, counting))
}

/// How the files of a base are read.
fn loading(config: &BaseConfig) -> Loading {
    Loading::new(config.limits(), Ocr::new(&config.ocr))
}

fn unreadable(name: impl std::fmt::Display, error: &LoadError) -> CallError {
    let message = format!("`{name}` {error}");
    CallError::new(ErrorCode::InvalidRequest, message).with_hint(error.hint())
}

fn preview(document: LoadedDocument, config: &BaseConfig, counting: &Counting) -> Preview {
    let options = config.cutting(counting.room.unwrap_or(usize::MAX));
    let chunks = segment(&document, options, &counting.counter)
        .into_iter()
        .map(|s| PreviewChunk {
            tokens: (counting.counter)(&s.text),
            headings: s.headings,
            page: s.page,
            start: s.start,
            end: s.end,
            section: s.section,
            text: s.text,
        })
        .collect();
    Preview {
        format: document.format.map_or("unknown", Format::name).to_owned(),
        characters: document.text.chars().count(),
        blocks: document.blocks.len(),
        title: document.title,
        strategy: options.strategy,
        max_tokens: options.max_tokens,
        min_tokens: options.min_tokens,
        approximate: counting.room.is_none(),
        notes: document.notes,
        chunks,
    }
}
