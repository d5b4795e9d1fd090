//! A file, loaded and cut to the document that it becomes in a vector store. Left out: its vectors.

use praxis_core::embed::TokenCounter;
use praxis_store::{Chunk, Member, NewDocument, Origin, StoredFile};

use super::attributes;
use crate::ingest::{chunk, give_vectors, indexed_text};
use crate::load::ocr::Ocr;
use crate::load::{LoadError, LoadLimits, Loading, load_guarded};
use crate::segment::{SegmentOptions, segment};
use crate::summary::summary;

/// OpenAI's code for a file that can never be read as it is.
const INVALID: &str = "invalid_file";

/// OpenAI's code for a file of a format that is not read.
const UNSUPPORTED: &str = "unsupported_file";

/// OpenAI's code for what is not the file's fault.
pub(super) const SERVER: &str = "server_error";

/// Why a file became no document, as OpenAI's API tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// One of three codes.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Failure {
    /// One that is not the file's fault.
    pub fn server(message: impl std::fmt::Display) -> Self {
        Self {
            code: SERVER,
            message: message.to_string(),
        }
    }

    fn of(error: &LoadError, name: &str, limits: LoadLimits) -> Self {
        let code = match error {
            LoadError::Unsupported(_) => UNSUPPORTED,
            LoadError::Unreadable(_) | LoadError::Busy { .. } => SERVER,
            LoadError::Empty
            | LoadError::TooLarge { .. }
            | LoadError::Damaged(_)
            | LoadError::Encrypted
            | LoadError::Pointer
            | LoadError::NoText { .. }
            | LoadError::TooSlow(_) => INVALID,
        };
        let hint = match error {
            LoadError::TooLarge { .. } => format!(
                "split it, or raise `max_document_bytes` under [files] in praxis.toml above {}",
                limits.max_bytes
            ),
            LoadError::Empty => "send one with text".to_owned(),
            LoadError::Pointer => {
                "run `git lfs pull` where it lies, and send the file itself".to_owned()
            }
            other => other.hint().to_owned(),
        };
        Self {
            code,
            message: format!("`{name}` {error}: {hint}"),
        }
    }
}

/// How files are loaded and cut.
#[derive(Clone)]
pub(super) struct Reading {
    /// How large chunks become, where the file does not say.
    pub options: SegmentOptions,
    /// Tokens that the embedder reads of a text, but for its prefix and headings.
    pub room: usize,
    pub limits: LoadLimits,
    pub ocr: Ocr,
    pub counter: TokenCounter,
}

/// A document without its vectors.
pub(super) struct Unembedded {
    document: NewDocument,
    /// What is embedded for the whole of it, where that is not its only chunk.
    summary: Option<String>,
}

/// Reads a file that lies at `path`. Blocks.
pub(super) fn read(
    path: &std::path::Path,
    file: &StoredFile,
    member: &Member,
    labels: Vec<String>,
    reading: &Reading,
) -> Result<Unembedded, Failure> {
    let (limits, counter) = (reading.limits, &reading.counter);
    let failed = |error: LoadError| Failure::of(&error, &file.filename, limits);
    if file.bytes > limits.max_bytes {
        return Err(failed(LoadError::TooLarge {
            size: file.bytes,
            limit: limits.max_bytes,
        }));
    }
    let bytes = std::fs::read(path);
    let bytes = bytes.map_err(|error| failed(LoadError::Unreadable(error.to_string())))?;
    let how = Loading::new(limits, reading.ocr.clone());
    let loaded = load_guarded(file.filename.clone(), bytes, how).map_err(failed)?;
    let options = SegmentOptions {
        max_tokens: match member.cut {
            Some(cut) => (cut.max_tokens as usize).min(reading.room),
            None => reading.options.max_tokens,
        },
        ..reading.options
    };
    let segments = segment(&loaded, options, counter);
    let summary = summary(&loaded.title, &segments, reading.room, counter);
    let id = &member.document;
    let chunks = segments.into_iter().map(|s| chunk(id, &file.hash, s));
    Ok(Unembedded {
        summary,
        document: NewDocument {
            id: id.clone(),
            origin: Origin::default(),
            uri: attributes::uri(file),
            chunks: chunks.collect(),
            title: loaded.title,
            text: loaded.text,
            hash: file.hash.clone(),
            size: file.bytes,
            modified: file.created.saturating_mul(1_000_000_000),
            error: None,
            hint: None,
            vector: Vec::new(),
            metadata: attributes::metadata(&loaded.metadata, file, &member.attributes),
            own: loaded.metadata,
            settings: super::work::SETTINGS.to_owned(),
            labels,
        },
    })
}

impl Unembedded {
    /// What is to be embedded.
    pub fn texts(&self) -> Vec<String> {
        let document = &self.document;
        let chunk = |c: &Chunk| indexed_text(&document.title, &c.headings, &c.text);
        let chunks = document.chunks.iter().map(chunk);
        chunks.chain(self.summary.clone()).collect()
    }

    /// How many texts these are.
    pub fn weight(&self) -> usize {
        self.document.chunks.len() + usize::from(self.summary.is_some())
    }

    /// The document with the vectors of its texts.
    pub fn embedded(mut self, vectors: &mut impl Iterator<Item = Vec<f32>>) -> NewDocument {
        let chunks = &mut self.document.chunks;
        self.document.vector = give_vectors(chunks, self.summary.is_some(), vectors);
        self.document
    }
}

/// Bytes of a document's text and vectors.
pub(super) fn usage(document: &NewDocument) -> u64 {
    let vector = |v: &Vec<f32>| v.len() * size_of::<f32>();
    let chunks = document.chunks.iter();
    let chunks: usize = chunks.map(|c| c.text.len() + vector(&c.vector)).sum();
    (chunks + document.text.len() + vector(&document.vector)) as u64
}
