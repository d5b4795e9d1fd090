//! Bringing a base up to date: what changed is loaded, cut, embedded and written document by document.
//!
//! Each document is one transaction, and the indexes are brought up to the store afterwards; killed
//! at any moment, the next run goes on from what is there.

mod context;
mod prepare;
mod settings;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use futures::stream;
use praxis_core::embed::EmbedKind;
use praxis_core::trace::SpanKind;
use praxis_core::{CallContext, CallError, Clearance, Embedder, ErrorCode};
use praxis_store::{Chunk, DocumentHead, NewAttributes};
use serde::Serialize;
use serde_json::json;

use crate::config::BaseConfig;
use crate::knowledge::{Base, Knowledge, Maker, internal, other_embedder};
use crate::listing::{Listed, SourceProblem};
use crate::load::ocr::Ocr;
use crate::metadata::Describer;
pub use context::ContextReport;
use context::Writer;
pub(crate) use prepare::chunk;
use prepare::{Before, Prepared, Reading, fetch, prepare};
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
    /// A chat model writes about the chunks of a file.
    Contexts {
        /// Its path.
        uri: String,
        /// Chunks that are done.
        done: usize,
        /// Chunks in all.
        chunks: usize,
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
    /// What a chat model wrote about them, where the base wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contexts: Option<ContextReport>,
    /// Seconds it took.
    pub seconds: f64,
}

impl Knowledge {
    /// Brings the base `name` up to date with its sources.
    ///
    /// # Errors
    /// An unknown base, an embedder that is not there, a chat model that is to write contexts and is unknown, not
    /// here or refuses, or a store that fails. A bad file is reported in [`IngestReport::failed`], a source that
    /// fails in [`IngestReport::problems`], a chat model that does not answer in [`IngestReport::contexts`], and
    /// none of them stops anything.
    pub async fn ingest(
        &self,
        name: &str,
        progress: &(dyn Fn(IngestEvent) + Sync),
        cx: &CallContext,
    ) -> Result<IngestReport, CallError> {
        self.ingest_sources(name, None, progress, cx).await
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
        cx: &CallContext,
    ) -> Result<IngestReport, CallError> {
        if !self.base(name)?.config.context.enabled {
            return self.bring_up(name, only, progress, cx).await;
        }
        // What models are asked about chunks has its place in a trace.
        let (span, inner) = cx.span(SpanKind::Step, "ingest", json!({ "base": name }));
        let report = self.bring_up(name, only, progress, &inner).await;
        match &report {
            Ok(report) => span.finish(json!(report)),
            Err(error) => span.fail(error),
        }
        report
    }

    async fn bring_up(
        &self,
        name: &str,
        only: Option<&BTreeSet<String>>,
        progress: &(dyn Fn(IngestEvent) + Sync),
        cx: &CallContext,
    ) -> Result<IngestReport, CallError> {
        let started = Instant::now();
        let base = self.base(name)?;
        if matches!(base.maker, Maker::Client { .. }) {
            let message = format!("`{name}` is a vector store: its documents are sent to it");
            return Err(CallError::new(ErrorCode::InvalidRequest, message)
                .with_hint("use `/v1/vector_stores` of the server's API"));
        }
        let describer = Arc::new(Describer::new(&base.config)?);
        let lock = self.lock(name, cx.cancel()).await?;
        let embedder = self.embedder_for_ingest(name, &base.config).await?;
        let ocr = recognition(&base.config.ocr).await?;
        let settings = settings(&base.config, &ocr);
        let store = self.store();
        let stored = store.base(name).await.map_err(internal)?;
        self.forget_what_is_ahead(name, stored.as_ref()).await?;
        let known = self.heads(name).await?;
        for head in known.values().filter(|head| head.chunks > 0) {
            keep_recognized(&head.settings, &base.config.ocr, &ocr)?;
        }
        let mut inventory = self
            .inventory(name, &base, only, progress, cx.cancel())
            .await?;
        inventory.doubt(&known);
        // Documents that were cut with other settings stay until each is replaced: a run that fails or is killed
        // leaves a base that is whole, and the next one goes on.
        let emptied = store
            .prepare_base(name, &embedder.identity(), &settings)
            .await
            .map_err(internal)?;
        let known = if emptied { HashMap::new() } else { known };
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
        let (same, changed): (Vec<_>, Vec<_>) = inventory.documents.into_iter().partition(|d| {
            known
                .get(&d.entry.uri)
                .is_some_and(|h| d.is_current(h, &settings))
        });
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
                (ocr, &settings),
                &*embedder,
                progress,
                cx,
                &mut report,
            )
            .await?;
        }
        if only.is_none() && report.problems.is_empty() {
            store
                .forget_contexts_of_strangers(name)
                .await
                .map_err(internal)?;
        }
        self.index_keywords(name).await?;
        if let Some(stored) = store.base(name).await.map_err(internal)? {
            self.index_vectors(name, &stored).await?;
        }
        drop(lock);
        self.tidy_vectors(name).await?;
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
        (ocr, settings): (Ocr, &str),
        embedder: &dyn Embedder,
        progress: &(dyn Fn(IngestEvent) + Sync),
        cx: &CallContext,
        report: &mut IngestReport,
    ) -> Result<(), CallError> {
        let room = embedder.max_tokens().await?.saturating_sub(HEADING_RESERVE);
        let reading = Reading {
            options: base.config.cutting(room),
            settings: settings.into(),
            room,
            counter: embedder.token_counter().await?,
            ocr,
        };
        let context = &base.config.context;
        let writer = Writer::of(self, name, context, &reading.counter, room);
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
            if cx.cancel().is_cancelled() {
                return Err(stopped());
            }
            let last = next.is_none();
            if let Some(mut next) = next {
                progress(IngestEvent::Started {
                    uri: next.from.entry.uri.clone(),
                });
                if let Some(writer) = &writer {
                    let contexts = report.contexts.get_or_insert_default();
                    writer.write(&mut next, progress, contexts, cx).await?;
                }
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
        let vectors = embedded(embedder, texts).await?;
        let stored = self.store().dimension(name).await.map_err(internal)?;
        one_length(name, embedder, stored, &vectors)?;
        let mut vectors = vectors.into_iter();
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

/// What an ingest says that somebody stopped.
pub(crate) fn stopped() -> CallError {
    CallError::new(ErrorCode::Cancelled, "the ingest was stopped")
        .with_hint("what is done is kept: `praxis ingest` goes on from here")
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

/// Refuses vectors of another length than those that a base has: they could never be compared, nor found.
pub(crate) fn one_length(
    base: &str,
    embedder: &dyn Embedder,
    stored: Option<usize>,
    vectors: &[Vec<f32>],
) -> Result<(), CallError> {
    let Some(expected) = stored.or_else(|| vectors.first().map(Vec::len)) else {
        return Ok(());
    };
    let Some(other) = vectors.iter().find(|vector| vector.len() != expected) else {
        return Ok(());
    };
    let identity = embedder.identity();
    let message = format!(
        "`{base}` holds vectors of {expected} dimensions, and `{identity}` gave one of {}",
        other.len()
    );
    Err(
        CallError::new(ErrorCode::InvalidRequest, message).with_hint(format!(
            "run `praxis knowledge reembed {base}` to embed all of it anew while it serves, or set the \
             embedder's `dimension` back"
        )),
    )
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

/// The same of a chunk with what a chat model wrote about it, which stands before the text.
pub(crate) fn indexed_chunk(title: &str, headings: &[String], context: &str, text: &str) -> String {
    match context {
        "" => indexed_text(title, headings, text),
        context => indexed_text(title, headings, &format!("{context}\n{text}")),
    }
}

pub(crate) fn short_hash(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..24].to_owned()
}
