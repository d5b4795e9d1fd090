//! What ingestion would make of a file, without a store and without an index: its format, its chunks and
//! what of it could not be read. Left out: embedding, so that no model is needed.

use std::path::Path;
use std::sync::Arc;

use praxis_core::embed::TokenCounter;
use praxis_core::{CallError, ErrorCode};
use serde::Serialize;

use crate::config::SegmentConfig;
use crate::ingest::HEADING_RESERVE;
use crate::knowledge::{Knowledge, internal};
use crate::load::{Format, LoadLimits, load_file};
use crate::segment::segment;

/// What a file would become.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// Its title.
    pub title: String,
    /// Its format, as people know it.
    pub format: String,
    /// Characters of its text.
    pub characters: usize,
    /// Headings, paragraphs, items, tables and pieces of code.
    pub blocks: usize,
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
#[derive(Debug, Clone, PartialEq, Serialize)]
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
        let counting = match self.embedder(&base.config) {
            Ok(embedder) => match (embedder.token_counter().await, embedder.max_tokens().await) {
                (Ok(counter), Ok(most)) => Counting {
                    counter,
                    room: Some(most.saturating_sub(HEADING_RESERVE)),
                },
                _ => Counting::approximate(),
            },
            Err(_) => Counting::approximate(),
        };
        let limits = base.config.limits();
        let (file, config) = (file.to_owned(), base.config.segment.clone());
        tokio::task::spawn_blocking(move || preview_file(&file, limits, &config, &counting))
            .await
            .map_err(internal)?
    }
}

/// What a file would become with these settings. Blocks.
///
/// # Errors
/// A file that cannot be read.
pub fn preview_file(
    file: &Path,
    limits: LoadLimits,
    config: &SegmentConfig,
    counting: &Counting,
) -> Result<Preview, CallError> {
    let document = load_file(file, limits).map_err(|error| {
        let message = format!("`{}` {error}", file.display());
        CallError::new(ErrorCode::InvalidRequest, message).with_hint(error.hint())
    })?;
    let options = config.options(counting.room.unwrap_or(usize::MAX));
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
    Ok(Preview {
        format: document.format.map_or("unknown", Format::name).to_owned(),
        characters: document.text.chars().count(),
        blocks: document.blocks.len(),
        title: document.title,
        max_tokens: options.max_tokens,
        min_tokens: options.min_tokens,
        approximate: counting.room.is_none(),
        notes: document.notes,
        chunks,
    })
}
