//! Bringing a base up to date: what changed is loaded, cut, embedded and written document by document.
//!
//! Each document is one transaction, and the indexes are brought up to the store afterwards; killed
//! at any moment, the next run goes on from what is there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use futures::stream;
use praxis_core::embed::{EmbedKind, TokenCounter};
use praxis_core::{CallError, ChunkId, Clearance, DocumentId, Embedder, ErrorCode, Metadata};
use praxis_store::{Chunk, DocumentHead, NewAttributes, NewDocument};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::BaseConfig;
use crate::document::{LoadedDocument, Segment};
use crate::knowledge::{Base, Knowledge, internal, other_embedder};
use crate::load::{LoadError, LoadLimits, load_file};
use crate::metadata::{Described, Describer, Sidecar};
use crate::segment::{SegmentOptions, segment};
use crate::summary::summary;
use crate::walk::{SourceFile, walk};

/// Chunks embedded in one call: enough to fill the encoder's batches.
const EMBED_BATCH: usize = 64;

/// Files loaded ahead of the embedder.
const LOAD_AHEAD: usize = 2;

/// Tokens of a chunk left for its title, headings and the embedder's prefix.
pub(crate) const HEADING_RESERVE: usize = 48;

/// Begins the hash of a file that was too large to be read.
const UNREAD: &str = "size:";

/// Progress of an ingest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IngestEvent {
    /// The files that are new or changed are known.
    Planned {
        /// How many.
        files: usize,
    },
    /// Work on a file begins.
    Started {
        /// Its path.
        uri: String,
    },
    /// A file is done, well or not.
    Finished {
        /// Its path.
        uri: String,
    },
}

/// A document that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedDocument {
    /// Its path.
    pub uri: String,
    /// Why.
    pub reason: String,
    /// The fix.
    pub hint: Option<String>,
}

/// What is missing of a document that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Its path.
    pub uri: String,
    /// What is missing, and why.
    pub reason: String,
}

/// What an ingest did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct IngestReport {
    /// Documents that are new.
    pub added: usize,
    /// Documents whose content changed.
    pub updated: usize,
    /// Documents that were left alone.
    pub unchanged: usize,
    /// Of these, documents whose metadata or access labels changed.
    pub described: usize,
    /// Documents whose files are gone.
    pub removed: usize,
    /// Files that could not be read, this time or before.
    pub failed: Vec<FailedDocument>,
    /// What could not be read of files that were read this time.
    pub warnings: Vec<Warning>,
    /// Chunks written.
    pub chunks: usize,
    /// Seconds it took.
    pub seconds: f64,
}

impl Knowledge {
    /// Brings the base `name` up to date with its source.
    ///
    /// # Errors
    /// An unknown base, an embedder that is not there, or a store that fails. A bad file is reported
    /// in [`IngestReport::failed`] and stops nothing.
    pub async fn ingest(
        &self,
        name: &str,
        progress: &(dyn Fn(IngestEvent) + Sync),
        cancel: &CancellationToken,
    ) -> Result<IngestReport, CallError> {
        let started = Instant::now();
        let base = self.base(name)?;
        let describer = Arc::new(Describer::new(&base.config)?);
        let _lock = self.lock(name).await?;
        let embedder = self.embedder_for_ingest(name, &base.config).await?;
        let settings = serde_json::json!({
            "max_tokens": base.config.segment.max_tokens,
            "min_tokens": base.config.segment.min_tokens,
            "revision": 3,
        });
        let store = self.store();
        store
            .prepare_base(name, &embedder.identity(), &settings.to_string())
            .await
            .map_err(internal)?;
        let (dir, source) = (base.dir.clone(), base.config.source.clone());
        let files = tokio::task::spawn_blocking(move || walk(&dir, &source))
            .await
            .map_err(internal)?
            .map_err(internal)?;
        let known: HashMap<String, DocumentHead> = store
            .documents(name, &Clearance::Full)
            .await
            .map_err(internal)?
            .into_iter()
            .map(|d| (d.uri.clone(), d))
            .collect();

        let mut report = IngestReport::default();
        let gone: Vec<DocumentId> = known
            .values()
            .filter(|d| files.binary_search_by(|f| f.uri.cmp(&d.uri)).is_err())
            .map(|d| d.id.clone())
            .collect();
        store
            .delete_documents(name, &gone)
            .await
            .map_err(internal)?;
        report.removed = gone.len();

        let limit = base.config.source.max_file_bytes;
        let (same, changed): (Vec<_>, Vec<_>) = files.into_iter().partition(|f| {
            known.get(&f.uri).is_some_and(|d| {
                // What was too large may be within the limit now.
                let unread = d.hash.starts_with(UNREAD) && f.size <= limit;
                // What its file says of it was never read.
                let undescribed = d.own.is_none();
                d.size == f.size && d.modified == f.modified && !unread && !undescribed
            })
        });
        let mut kept = Vec::with_capacity(same.len());
        for file in same {
            if let Some(head) = known.get(&file.uri) {
                report.keep(head);
                kept.push((file, head.clone()));
            }
        }
        self.describe_anew(name, &describer, kept, &mut report)
            .await?;
        progress(IngestEvent::Planned {
            files: changed.len(),
        });
        if !changed.is_empty() {
            self.ingest_files(
                name,
                &base,
                &describer,
                changed,
                &known,
                &*embedder,
                progress,
                cancel,
                &mut report,
            )
            .await?;
        }
        self.index_keywords(name).await?;
        if let Some(stored) = store.base(name).await.map_err(internal)? {
            self.index_vectors(name, &stored).await?;
        }
        report.failed.sort_by(|a, b| a.uri.cmp(&b.uri));
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    /// The embedder of the base's vectors. Another one is not taken: the base would be empty until all of
    /// its documents are embedded again.
    async fn embedder_for_ingest(
        &self,
        name: &str,
        config: &BaseConfig,
    ) -> Result<Arc<dyn Embedder>, CallError> {
        let configured = self.embedder(config)?;
        let Some(stored) = self.store().base(name).await.map_err(internal)? else {
            return Ok(configured);
        };
        if let Some(same) = self.embedder_of(name, &stored.embedder).await? {
            return Ok(same);
        }
        let all = &Clearance::Full;
        let documents = self.store().documents(name, all).await.map_err(internal)?;
        if documents.iter().all(|d| d.chunks == 0) {
            return Ok(configured);
        }
        Err(other_embedder(
            name,
            &stored.embedder,
            &configured.identity(),
        ))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the state of one run, taken apart to be borrowed"
    )]
    async fn ingest_files(
        &self,
        name: &str,
        base: &Base,
        describer: &Arc<Describer>,
        files: Vec<SourceFile>,
        known: &HashMap<String, DocumentHead>,
        embedder: &dyn Embedder,
        progress: &(dyn Fn(IngestEvent) + Sync),
        cancel: &CancellationToken,
        report: &mut IngestReport,
    ) -> Result<(), CallError> {
        let counter = embedder.token_counter().await?;
        let room = embedder.max_tokens().await?.saturating_sub(HEADING_RESERVE);
        let options = base.config.segment.options(room);
        let limits = base.config.source.limits();
        let mut prepared = stream::iter(files)
            .map(|file| {
                let before = known.get(&file.uri).map(Before::of);
                let (counter, describer) = (counter.clone(), Arc::clone(describer));
                tokio::task::spawn_blocking(move || {
                    prepare(file, before, limits, options, room, &counter, &describer)
                })
            })
            .buffered(LOAD_AHEAD);
        let mut batch: Vec<Prepared> = Vec::new();
        loop {
            let next = prepared.next().await.transpose().map_err(internal)?;
            if cancel.is_cancelled() {
                return Err(
                    CallError::new(ErrorCode::Cancelled, "the ingest was stopped")
                        .with_hint("what is done is kept: `praxis ingest` goes on from here"),
                );
            }
            let last = next.is_none();
            if let Some(next) = next {
                progress(IngestEvent::Started {
                    uri: next.file.uri.clone(),
                });
                batch.push(next);
            }
            let waiting: usize = batch.iter().map(|p| p.segments.len()).sum();
            if last || waiting >= EMBED_BATCH || batch.len() >= EMBED_BATCH {
                self.write(
                    name,
                    std::mem::take(&mut batch),
                    known,
                    embedder,
                    progress,
                    report,
                )
                .await?;
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Embeds and writes a batch of documents.
    async fn write(
        &self,
        name: &str,
        batch: Vec<Prepared>,
        known: &HashMap<String, DocumentHead>,
        embedder: &dyn Embedder,
        progress: &(dyn Fn(IngestEvent) + Sync),
        report: &mut IngestReport,
    ) -> Result<(), CallError> {
        let texts: Vec<String> = batch.iter().flat_map(Prepared::embedded_texts).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        let mut texts = texts.into_iter();
        loop {
            let some: Vec<String> = texts.by_ref().take(EMBED_BATCH).collect();
            if some.is_empty() {
                break;
            }
            vectors.extend(embedder.embed(EmbedKind::Passage, some).await?);
        }
        let mut vectors = vectors.into_iter();
        for prepared in batch {
            let uri = prepared.file.uri.clone();
            let before = known.get(&uri);
            let notes = prepared.document.iter().flat_map(|d| &d.notes);
            let notes = notes.chain(&prepared.described.notes);
            let notes = notes.chain(&prepared.described.sidecar_notes);
            report.warnings.extend(notes.map(|reason| Warning {
                uri: uri.clone(),
                reason: reason.clone(),
            }));
            if prepared.unchanged {
                if let Some(head) = before {
                    report.keep(head);
                    let described = prepared.described;
                    let is_new =
                        described.metadata != head.metadata || described.labels != head.labels;
                    report.described += usize::from(is_new);
                    let attributes = NewAttributes {
                        document: head.id.clone(),
                        modified: prepared.file.modified,
                        own: prepared.own,
                        metadata: described.metadata,
                        labels: described.labels,
                    };
                    self.store()
                        .set_attributes(name, &[attributes])
                        .await
                        .map_err(internal)?;
                }
            } else {
                let document = prepared.into_document(name, &mut vectors);
                report.chunks += document.chunks.len();
                match (&document.error, before) {
                    (Some(reason), _) => report.failed.push(FailedDocument {
                        uri: uri.clone(),
                        reason: reason.clone(),
                        hint: document.hint.clone(),
                    }),
                    (None, Some(head)) if head.error.is_none() => report.updated += 1,
                    (None, _) => report.added += 1,
                }
                self.store()
                    .put_document(name, &document)
                    .await
                    .map_err(internal)?;
            }
            progress(IngestEvent::Finished { uri });
        }
        Ok(())
    }
}

impl IngestReport {
    /// Counts a document that needs no work; one that failed before is failed still.
    fn keep(&mut self, head: &DocumentHead) {
        match &head.error {
            None => self.unchanged += 1,
            Some(reason) => self.failed.push(FailedDocument {
                uri: head.uri.clone(),
                reason: reason.clone(),
                hint: head.hint.clone(),
            }),
        }
    }
}

/// What the store has of a file.
struct Before {
    hash: String,
    /// What the file says of itself, unless it was never asked.
    own: Option<Metadata>,
}

impl Before {
    fn of(head: &DocumentHead) -> Self {
        Self {
            hash: head.hash.clone(),
            own: head.own.clone(),
        }
    }
}

/// A file, loaded and cut.
struct Prepared {
    file: SourceFile,
    hash: String,
    /// Whether its content is what the store has.
    unchanged: bool,
    /// What it says of itself.
    own: Metadata,
    /// What is known of it, and who may read it.
    described: Described,
    document: Result<LoadedDocument, LoadError>,
    segments: Vec<Segment>,
    /// What is embedded for the whole document, where that is not its only chunk.
    summary: Option<String>,
}

/// `room` is how many tokens the embedder reads of a text, but for its prefix and headings.
fn prepare(
    file: SourceFile,
    before: Option<Before>,
    limits: LoadLimits,
    options: SegmentOptions,
    room: usize,
    counter: &TokenCounter,
    describer: &Describer,
) -> Prepared {
    let hash = hash(&file, limits.max_bytes);
    let sidecar = Sidecar::beside(&file.path);
    if let Some(before) = before.filter(|before| before.hash == hash) {
        let own = before.own.unwrap_or_else(|| {
            let document = load_file(&file.path, limits);
            document.map(|d| d.metadata).unwrap_or_default()
        });
        return Prepared {
            described: describer.describe(&file, &own, &sidecar),
            file,
            hash,
            unchanged: true,
            own,
            document: Ok(LoadedDocument::default()),
            segments: Vec::new(),
            summary: None,
        };
    }
    let document = load_file(&file.path, limits);
    let own = document.as_ref().map(|d| d.metadata.clone());
    let own = own.unwrap_or_default();
    let segments = document
        .as_ref()
        .map_or_else(|_| Vec::new(), |d| segment(d, options, counter));
    let summary = document
        .as_ref()
        .ok()
        .and_then(|d| summary(&d.title, &segments, room, counter));
    Prepared {
        described: describer.describe(&file, &own, &sidecar),
        file,
        hash,
        unchanged: false,
        own,
        document,
        segments,
        summary,
    }
}

/// Hash of a file's content; of its size alone where it is too large to be read.
fn hash(file: &SourceFile, limit: u64) -> String {
    let mut hasher = blake3::Hasher::new();
    if file.size > limit || hasher.update_mmap(&file.path).is_err() {
        return format!("{UNREAD}{}", file.size);
    }
    hasher.finalize().to_hex().to_string()
}

impl Prepared {
    fn embedded_texts(&self) -> Vec<String> {
        let title = self.document.as_ref().map_or("", |d| d.title.as_str());
        self.segments
            .iter()
            .map(|s| indexed_text(title, &s.headings, &s.text))
            .chain(self.summary.clone())
            .collect()
    }

    fn into_document(
        self,
        base: &str,
        vectors: &mut impl Iterator<Item = Vec<f32>>,
    ) -> NewDocument {
        let id = DocumentId::from_string(short_hash(&[base, &self.file.uri]));
        let chunks: Vec<Chunk> = self
            .segments
            .into_iter()
            .map(|s| Chunk {
                id: ChunkId::from_string(short_hash(&[
                    id.as_str(),
                    &self.hash,
                    &format!("{}-{}", s.start, s.end),
                ])),
                headings: s.headings,
                page: s.page,
                start: s.start,
                end: s.end,
                text: s.text,
                vector: vectors.next().unwrap_or_default(),
            })
            .collect();
        // The one chunk of a short document is the whole of it.
        let vector = match self.summary {
            Some(_) => vectors.next().unwrap_or_default(),
            None => chunks.first().map(|c| c.vector.clone()).unwrap_or_default(),
        };
        let (title, text, error) = match self.document {
            Ok(document) => (document.title, document.text, None),
            Err(error) => (String::new(), String::new(), Some(error)),
        };
        NewDocument {
            id,
            uri: self.file.uri,
            title,
            text,
            hash: self.hash,
            size: self.file.size,
            modified: self.file.modified,
            hint: error.as_ref().map(|e| e.hint().to_owned()),
            error: error.map(|e| e.to_string()),
            vector,
            own: self.own,
            metadata: self.described.metadata,
            labels: self.described.labels,
            chunks,
        }
    }
}

/// What both lanes index of a chunk: title and heading path before the text, so that a passage is
/// found by what its document is about. A title without a letter, as of `0042.txt`, tells nothing, and
/// embedders are led astray by it.
pub(crate) fn indexed_text(title: &str, headings: &[String], text: &str) -> String {
    let mut path: Vec<&str> = vec![title];
    path.extend(headings.iter().map(String::as_str).filter(|h| *h != title));
    path.retain(|part| part.chars().any(char::is_alphabetic));
    if path.is_empty() {
        return text.to_owned();
    }
    format!("{}\n{text}", path.join(" > "))
}

fn short_hash(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..24].to_owned()
}
