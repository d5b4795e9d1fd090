//! A document on its way into the store: what its source gave, loaded and cut. Left out: its vectors, and writing it.

use std::sync::Arc;

use praxis_core::embed::TokenCounter;
use praxis_core::{Attribute, ChunkId, DocumentId, Metadata};
use praxis_sources::{Content, SourceError};
use praxis_store::{Chunk, Document, DocumentHead, NewDocument};

use super::{FailedDocument, give_vectors, indexed_chunk, short_hash};
use crate::document::{LoadedDocument, Segment};
use crate::listing::{Listed, UNREAD};
use crate::load::ocr::Ocr;
use crate::load::{LoadError, Loading, load_guarded};
use crate::metadata::{Described, Describer};
use crate::segment::{SegmentOptions, segment};
use crate::summary::summary;

/// What the store has of a document.
pub(super) struct Before {
    hash: String,
    /// The settings that it was cut with.
    settings: String,
    /// What the document says of itself, unless it was never asked.
    own: Option<Metadata>,
}

impl Before {
    pub fn of(head: &DocumentHead) -> Self {
        Self {
            hash: head.hash.clone(),
            settings: head.settings.clone(),
            own: head.own.clone(),
        }
    }
}

/// Why a document could not be read, and the fix.
pub(super) struct Unread {
    reason: String,
    hint: String,
    /// Whether it may be there the next time, as it was.
    passing: bool,
}

/// A document, loaded and cut.
pub(super) struct Prepared {
    pub from: Listed,
    hash: String,
    /// The settings that it is cut with.
    pub settings: String,
    /// Whether its content is what the store has, cut with the same settings.
    pub unchanged: bool,
    /// What it says of itself.
    pub own: Metadata,
    /// What is known of it, and who may read it.
    pub described: Described,
    pub document: Result<LoadedDocument, Unread>,
    pub segments: Vec<Segment>,
    /// What a chat model wrote about each of them; empty where none was asked.
    pub contexts: Vec<String>,
    /// What is embedded for the whole document, where that is not its only chunk.
    summary: Option<String>,
}

/// A document's bytes, unless they are too many.
pub(super) async fn fetch(document: &Listed) -> Result<Content, SourceError> {
    let (size, limit) = (document.entry.size, document.source.limits.max_bytes);
    if size > limit {
        return Err(SourceError::TooLarge { size, limit });
    }
    document.source.source.fetch(&document.entry).await
}

/// How documents are read and cut.
#[derive(Clone)]
pub(super) struct Reading {
    pub options: SegmentOptions,
    /// All that decides what chunks a document becomes.
    pub settings: Arc<str>,
    /// Tokens that the embedder reads of a text, but for its prefix and headings.
    pub room: usize,
    pub counter: TokenCounter,
    pub ocr: Ocr,
}

pub(super) fn prepare(
    from: Listed,
    content: Result<Content, SourceError>,
    before: Option<Before>,
    reading: &Reading,
    describer: &Describer,
) -> Prepared {
    let mut prepared = Prepared {
        hash: unread(&from),
        from,
        settings: reading.settings.to_string(),
        unchanged: false,
        own: Metadata::new(),
        described: Described::default(),
        document: Ok(LoadedDocument::default()),
        segments: Vec::new(),
        contexts: Vec::new(),
        summary: None,
    };
    prepared.read(content, before, reading);
    let subject = prepared.from.subject(None);
    prepared.described = describer.describe(&subject, &prepared.own, &subject.sidecar());
    prepared
}

/// What stands for the hash of a document that could not be had.
fn unread(from: &Listed) -> String {
    format!("{UNREAD}{}", from.entry.size)
}

/// Hash of a document's content, and of the title that its source gives it.
fn hash(content: &Content) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&content.bytes);
    if let Some(title) = &content.title {
        hasher.update(b"\0title\0").update(title.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

impl Prepared {
    /// Takes up what its source gave.
    fn read(
        &mut self,
        content: Result<Content, SourceError>,
        before: Option<Before>,
        reading: &Reading,
    ) {
        let content = match content {
            Ok(content) => content,
            Err(error) => {
                self.own = before.and_then(|b| b.own).unwrap_or_default();
                self.document = Err(Unread {
                    hint: error.hint().to_owned(),
                    passing: !matches!(error, SourceError::TooLarge { .. }),
                    reason: error.to_string(),
                });
                return;
            }
        };
        self.hash = hash(&content);
        let same = before.filter(|before| before.hash == self.hash);
        self.unchanged = same.as_ref().is_some_and(|b| b.settings == self.settings);
        let said = same.as_ref().and_then(|before| before.own.clone());
        if self.unchanged
            && let Some(own) = said
        {
            self.own = own;
            return;
        }
        let how = Loading::new(self.from.source.limits, reading.ocr.clone());
        match load_guarded(content.name, content.bytes, how) {
            Ok(mut document) => {
                if let Some(title) = content.title {
                    let said = Attribute::Text(title.clone());
                    document.metadata.insert("title".to_owned(), said);
                    document.title = title;
                }
                self.own.clone_from(&document.metadata);
                if !self.unchanged {
                    let counter = &reading.counter;
                    self.segments = segment(&document, reading.options, counter);
                    self.summary = summary(&document.title, &self.segments, reading.room, counter);
                    self.document = Ok(document);
                }
            }
            Err(error) => {
                // What was read of the same content before still holds, unless that was a pointer's own lines.
                let holds = same.is_some() && error != LoadError::Pointer;
                self.own = said.filter(|_| holds).unwrap_or_default();
                let is_busy = matches!(error, LoadError::Busy { .. });
                if is_busy {
                    self.hash = unread(&self.from);
                }
                self.document = Err(Unread {
                    reason: error.to_string(),
                    hint: error.hint().to_owned(),
                    passing: is_busy || holds,
                });
            }
        }
    }

    /// What to report of a document that cannot be had now, where the store has it as it was.
    pub fn missing(&self, before: Option<&DocumentHead>) -> Option<FailedDocument> {
        let unread = self.document.as_ref().err().filter(|u| u.passing)?;
        before.filter(|head| head.error.is_none())?;
        Some(FailedDocument {
            uri: self.from.entry.uri.clone(),
            reason: unread.reason.clone(),
            hint: Some(unread.hint.clone()),
        })
    }

    /// Takes it for a document that cannot be read, because its texts are refused. The next ingest tries it again, by
    /// its `settings`; what the store has of the same content stays.
    pub fn refuse(
        &mut self,
        reason: String,
        hint: &str,
        settings: &str,
        before: Option<&DocumentHead>,
    ) {
        let same = before.filter(|head| head.hash == self.hash);
        // It was refused before, and that is known.
        self.unchanged = same.is_some_and(|head| {
            head.settings == settings && head.error.as_deref() == Some(reason.as_str())
        });
        self.document = Err(Unread {
            reason,
            hint: hint.to_owned(),
            passing: same.is_some(),
        });
        settings.clone_into(&mut self.settings);
        self.segments.clear();
        self.contexts.clear();
        self.summary = None;
    }

    /// Whether what was read of it is what the store has of the same content: its title, its text and its chunks.
    pub fn is_as(&self, stored: &Document) -> bool {
        let Ok(document) = &self.document else {
            return false;
        };
        let (segments, contexts) = (self.segments.clone(), self.contexts.clone());
        self.hash == stored.head.hash
            && document.title == stored.head.title
            && document.text == stored.text
            && chunks(&stored.head.id, &self.hash, segments, contexts) == stored.chunks
    }

    /// Leaves what the store has of it as it is, but for what is known of it.
    pub fn stay(&mut self) {
        self.unchanged = true;
        self.segments.clear();
        self.contexts.clear();
        self.summary = None;
    }

    pub fn embedded_texts(&self) -> Vec<String> {
        let title = self.document.as_ref().map_or("", |d| d.title.as_str());
        let contexts = self.contexts.iter().map(String::as_str);
        self.segments
            .iter()
            .zip(contexts.chain(std::iter::repeat("")))
            .map(|(s, context)| indexed_chunk(title, &s.headings, context, &s.text))
            .chain(self.summary.clone())
            .collect()
    }

    pub fn into_document(
        self,
        base: &str,
        vectors: &mut impl Iterator<Item = Vec<f32>>,
    ) -> NewDocument {
        let id = DocumentId::from_string(short_hash(&[base, &self.from.entry.uri]));
        let mut chunks = chunks(&id, &self.hash, self.segments, self.contexts);
        let vector = give_vectors(&mut chunks, self.summary.is_some(), vectors);
        let (title, text, error) = match self.document {
            Ok(document) => (document.title, document.text, None),
            Err(error) => (String::new(), String::new(), Some(error)),
        };
        NewDocument {
            id,
            origin: self.from.origin(),
            uri: self.from.entry.uri,
            title,
            text,
            hash: self.hash,
            size: self.from.entry.size,
            modified: self.from.entry.modified,
            hint: error.as_ref().map(|e| e.hint.clone()),
            error: error.map(|e| e.reason),
            vector,
            own: self.own,
            metadata: self.described.metadata,
            labels: self.described.labels,
            settings: self.settings,
            chunks,
        }
    }
}

/// The segments of a document as chunks that have no vectors yet, with what a chat model wrote about each.
fn chunks(
    document: &DocumentId,
    hash: &str,
    segments: Vec<Segment>,
    contexts: Vec<String>,
) -> Vec<Chunk> {
    let segments = segments.into_iter();
    let mut chunks: Vec<Chunk> = segments.map(|s| chunk(document, hash, s)).collect();
    for (chunk, context) in chunks.iter_mut().zip(contexts) {
        chunk.context = context;
    }
    chunks
}

/// A segment of a document whose content has this hash, as a chunk that has no vector yet.
pub(crate) fn chunk(document: &DocumentId, hash: &str, segment: Segment) -> Chunk {
    let place = format!("{}-{}", segment.start, segment.end);
    Chunk {
        id: ChunkId::from_string(short_hash(&[document.as_str(), hash, &place])),
        headings: segment.headings,
        page: segment.page,
        section: Some(segment.number),
        start: segment.start,
        end: segment.end,
        text: segment.text,
        context: String::new(),
        vector: Vec::new(),
    }
}
