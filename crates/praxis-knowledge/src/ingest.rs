//! Bringing a base up to date: what changed is loaded, cut, embedded and written document by document.
//!
//! Each document is one transaction, and the indexes are brought up to the store afterwards; killed
//! at any moment, the next run goes on from what is there.

mod settings;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use futures::stream;
use praxis_core::embed::{EmbedKind, TokenCounter};
use praxis_core::{
    Attribute, CallError, ChunkId, Clearance, DocumentId, Embedder, ErrorCode, Metadata,
};
use praxis_sources::{Content, SourceError};
use praxis_store::{Chunk, DocumentHead, NewAttributes, NewDocument};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::BaseConfig;
use crate::document::{LoadedDocument, Segment};
use crate::knowledge::{Base, Knowledge, Maker, internal, other_embedder};
use crate::listing::{Listed, SourceProblem, UNREAD};
use crate::load::ocr::Ocr;
use crate::load::{Loading, load_guarded};
use crate::metadata::{Described, Describer};
use crate::segment::{SegmentOptions, segment};
use crate::summary::summary;
pub(crate) use settings::recognition;
use settings::{keep_recognized, settings};

/// Chunks embedded in one call: enough to fill the encoder's batches.
pub(crate) const EMBED_BATCH: usize = 64;

/// Documents fetched and loaded ahead of the embedder.
pub(crate) const LOAD_AHEAD: usize = 2;

/// Tokens of a chunk left for its title, headings and the embedder's prefix.
pub(crate) const HEADING_RESERVE: usize = 48;

/// Progress of an ingest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IngestEvent {
    /// A source is being looked through.
    Listed {
        /// Its name; empty for the base's folder.
        source: String,
        /// Documents seen so far.
        seen: usize,
    },
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
    /// What could not be looked at of the sources: nothing of it was removed.
    pub problems: Vec<SourceProblem>,
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
    /// Brings the base `name` up to date with its sources.
    ///
    /// # Errors
    /// An unknown base, an embedder that is not there, or a store that fails. A bad file is reported
    /// in [`IngestReport::failed`], a source that fails in [`IngestReport::problems`], and neither stops
    /// anything.
    pub async fn ingest(
        &self,
        name: &str,
        progress: &(dyn Fn(IngestEvent) + Sync),
        cancel: &CancellationToken,
    ) -> Result<IngestReport, CallError> {
        self.ingest_sources(name, None, progress, cancel).await
    }

    /// The same with the sources in `only`, by the names of [`crate::BaseConfig::named_sources`].
    ///
    /// # Errors
    /// Those of [`Knowledge::ingest`].
    pub async fn ingest_sources(
        &self,
        name: &str,
        only: Option<&BTreeSet<String>>,
        progress: &(dyn Fn(IngestEvent) + Sync),
        cancel: &CancellationToken,
    ) -> Result<IngestReport, CallError> {
        let started = Instant::now();
        let base = self.base(name)?;
        if matches!(base.maker, Maker::Client { .. }) {
            let message = format!("`{name}` is a vector store: its documents are sent to it");
            return Err(CallError::new(ErrorCode::InvalidRequest, message)
                .with_hint("use `/v1/vector_stores` of the server's API"));
        }
        let describer = Arc::new(Describer::new(&base.config)?);
        let _lock = self.lock(name, cancel).await?;
        let embedder = self.embedder_for_ingest(name, &base.config).await?;
        let ocr = recognition(&base.config.ocr).await?;
        let settings = settings(&base.config.segment, &ocr);
        let store = self.store();
        let stored = store.base(name).await.map_err(internal)?;
        if let Some(stored) = &stored {
            keep_recognized(&stored.settings, &base.config.ocr, &ocr)?;
        }
        let anew =
            stored.is_some_and(|b| b.embedder != embedder.identity() || b.settings != settings);
        // Where everything is cut anew, everything has to be there.
        let only = only.filter(|_| !anew);
        let mut inventory = self.inventory(name, &base, only, progress, cancel).await?;
        if inventory.has_doubts() {
            inventory.doubt(&self.heads(name).await?);
        }
        if let Some(problem) = inventory.missing().filter(|_| anew) {
            return Err(kept_as_it_is(problem));
        }
        store
            .prepare_base(name, &embedder.identity(), &settings)
            .await
            .map_err(internal)?;
        let known = self.heads(name).await?;
        inventory.yield_to_others(&known);
        let gone = inventory.removed(&known);
        store
            .delete_documents(name, &gone)
            .await
            .map_err(internal)?;
        let mut report = IngestReport {
            removed: gone.len(),
            ..IngestReport::default()
        };
        let unlisted = inventory.unlisted(&known, &gone);
        report.problems = inventory.problems;
        self.hide_anew(name, &describer, unlisted, &mut report)
            .await?;
        let (same, changed): (Vec<_>, Vec<_>) = inventory
            .documents
            .into_iter()
            .partition(|d| known.get(&d.entry.uri).is_some_and(|h| d.is_current(h)));
        let mut kept = Vec::with_capacity(same.len());
        for document in same {
            if let Some(head) = known.get(&document.entry.uri) {
                report.keep(head);
                kept.push((document.subject(Some(head)), head.clone()));
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
                ocr,
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

    /// The documents that the store has of a base, by URI.
    async fn heads(&self, name: &str) -> Result<HashMap<String, DocumentHead>, CallError> {
        let all = &Clearance::Full;
        let heads = self.store().documents(name, all).await.map_err(internal)?;
        Ok(heads.into_iter().map(|d| (d.uri.clone(), d)).collect())
    }

    /// The embedder of the base's vectors. Another one is not taken: the base would be empty until all of
    /// its documents are embedded again.
    pub(crate) async fn embedder_for_ingest(
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
        files: Vec<Listed>,
        known: &HashMap<String, DocumentHead>,
        ocr: Ocr,
        embedder: &dyn Embedder,
        progress: &(dyn Fn(IngestEvent) + Sync),
        cancel: &CancellationToken,
        report: &mut IngestReport,
    ) -> Result<(), CallError> {
        let room = embedder.max_tokens().await?.saturating_sub(HEADING_RESERVE);
        let reading = Reading {
            options: base.config.segment.options(room),
            room,
            counter: embedder.token_counter().await?,
            ocr,
        };
        let mut prepared = stream::iter(files)
            .map(|document| {
                let before = known.get(&document.entry.uri).map(Before::of);
                let (reading, describer) = (reading.clone(), Arc::clone(describer));
                // On a task of its own, so that it goes on while others are embedded.
                tokio::spawn(async move {
                    let content = fetch(&document).await;
                    let work = move || prepare(document, content, before, &reading, &describer);
                    tokio::task::spawn_blocking(work).await
                })
            })
            .buffered(LOAD_AHEAD);
        let mut batch: Vec<Prepared> = Vec::new();
        loop {
            let next = match prepared.next().await {
                Some(next) => Some(next.map_err(internal)?.map_err(internal)?),
                None => None,
            };
            if cancel.is_cancelled() {
                return Err(stopped());
            }
            let last = next.is_none();
            if let Some(next) = next {
                progress(IngestEvent::Started {
                    uri: next.from.entry.uri.clone(),
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
        let mut vectors = embedded(embedder, texts).await?.into_iter();
        for prepared in batch {
            let uri = prepared.from.entry.uri.clone();
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
                        origin: prepared.from.origin(),
                        modified: prepared.from.entry.modified,
                        own: prepared.own,
                        metadata: described.metadata,
                        labels: described.labels,
                    };
                    self.store()
                        .set_attributes(name, &[attributes])
                        .await
                        .map_err(internal)?;
                }
            } else if let Some(failure) = prepared.missing(before) {
                // What was read before is better than nothing; who may read it may have changed.
                report.failed.push(failure);
                if let Some(head) = before {
                    let attributes = NewAttributes {
                        document: head.id.clone(),
                        origin: head.origin.clone(),
                        modified: head.modified,
                        own: prepared.own,
                        metadata: prepared.described.metadata,
                        labels: prepared.described.labels,
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

/// What the store has of a document.
struct Before {
    hash: String,
    /// What the document says of itself, unless it was never asked.
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

/// Why a document could not be read, and the fix.
struct Unread {
    reason: String,
    hint: String,
    /// Whether it may be there the next time, as it was.
    passing: bool,
}

/// A document, loaded and cut.
struct Prepared {
    from: Listed,
    hash: String,
    /// Whether its content is what the store has.
    unchanged: bool,
    /// What it says of itself.
    own: Metadata,
    /// What is known of it, and who may read it.
    described: Described,
    document: Result<LoadedDocument, Unread>,
    segments: Vec<Segment>,
    /// What is embedded for the whole document, where that is not its only chunk.
    summary: Option<String>,
}

/// A document's bytes, unless they are too many.
async fn fetch(document: &Listed) -> Result<Content, SourceError> {
    let (size, limit) = (document.entry.size, document.source.limits.max_bytes);
    if size > limit {
        return Err(SourceError::TooLarge { size, limit });
    }
    document.source.source.fetch(&document.entry).await
}

/// How documents are read and cut.
#[derive(Clone)]
struct Reading {
    options: SegmentOptions,
    /// Tokens that the embedder reads of a text, but for its prefix and headings.
    room: usize,
    counter: TokenCounter,
    ocr: Ocr,
}

fn prepare(
    from: Listed,
    content: Result<Content, SourceError>,
    before: Option<Before>,
    reading: &Reading,
    describer: &Describer,
) -> Prepared {
    let mut prepared = Prepared {
        hash: format!("{UNREAD}{}", from.entry.size),
        from,
        unchanged: false,
        own: Metadata::new(),
        described: Described::default(),
        document: Ok(LoadedDocument::default()),
        segments: Vec::new(),
        summary: None,
    };
    prepared.read(content, before, reading);
    let subject = prepared.from.subject(None);
    prepared.described = describer.describe(&subject, &prepared.own, &subject.sidecar());
    prepared
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

/// Why a base is not cut anew.
fn kept_as_it_is(problem: &SourceProblem) -> CallError {
    let source = match problem.source.as_str() {
        "" => "its folder".to_owned(),
        name => format!("the source `{name}`"),
    };
    CallError::new(
        ErrorCode::Upstream,
        format!(
            "the settings of the base changed, so all of it has to be read anew, and {source} cannot be: {}",
            problem.reason
        ),
    )
    .with_hint("nothing was changed: mend the source, or take the new settings back")
}

/// What an ingest says that somebody stopped.
pub(crate) fn stopped() -> CallError {
    CallError::new(ErrorCode::Cancelled, "the ingest was stopped")
        .with_hint("what is done is kept: `praxis ingest` goes on from here")
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
        let before = before.filter(|before| before.hash == self.hash);
        self.unchanged = before.is_some();
        if let Some(Before { own: Some(own), .. }) = before {
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
                self.document = Err(Unread {
                    reason: error.to_string(),
                    hint: error.hint().to_owned(),
                    passing: false,
                });
            }
        }
    }

    /// What to report of a document that cannot be had now, where the store has it as it was.
    fn missing(&self, before: Option<&DocumentHead>) -> Option<FailedDocument> {
        let unread = self.document.as_ref().err().filter(|u| u.passing)?;
        before.filter(|head| head.error.is_none())?;
        Some(FailedDocument {
            uri: self.from.entry.uri.clone(),
            reason: unread.reason.clone(),
            hint: Some(unread.hint.clone()),
        })
    }

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
        let id = DocumentId::from_string(short_hash(&[base, &self.from.entry.uri]));
        let segments = self.segments.into_iter();
        let mut chunks: Vec<Chunk> = segments.map(|s| chunk(&id, &self.hash, s)).collect();
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
            chunks,
        }
    }
}

/// A segment of a document whose content has this hash, as a chunk that has no vector yet.
pub(crate) fn chunk(document: &DocumentId, hash: &str, segment: Segment) -> Chunk {
    let place = format!("{}-{}", segment.start, segment.end);
    Chunk {
        id: ChunkId::from_string(short_hash(&[document.as_str(), hash, &place])),
        headings: segment.headings,
        page: segment.page,
        start: segment.start,
        end: segment.end,
        text: segment.text,
        vector: Vec::new(),
    }
}

/// Gives a document's chunks their vectors, in order; returns that of the whole document, which comes after them
/// where it has a summary. The one chunk of a short document is the whole of it.
pub(crate) fn give_vectors(
    chunks: &mut [Chunk],
    has_summary: bool,
    vectors: &mut impl Iterator<Item = Vec<f32>>,
) -> Vec<f32> {
    for chunk in chunks.iter_mut() {
        chunk.vector = vectors.next().unwrap_or_default();
    }
    if has_summary {
        return vectors.next().unwrap_or_default();
    }
    let first = chunks.first();
    first.map(|c| c.vector.clone()).unwrap_or_default()
}

/// Vectors of texts to be found, some at a time.
pub(crate) async fn embedded(
    embedder: &dyn Embedder,
    texts: Vec<String>,
) -> Result<Vec<Vec<f32>>, CallError> {
    let mut vectors = Vec::with_capacity(texts.len());
    let mut texts = texts.into_iter();
    loop {
        let some: Vec<String> = texts.by_ref().take(EMBED_BATCH).collect();
        if some.is_empty() {
            return Ok(vectors);
        }
        vectors.extend(embedder.embed(EmbedKind::Passage, some).await?);
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

pub(crate) fn short_hash(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..24].to_owned()
}
