//! Bringing a base up to date: what changed is loaded, cut, embedded, and written and indexed in steps.
//!
//! A document is written in one transaction or not at all, and the indexes are brought up to the store after each
//! step; killed at any moment, the next run goes on from what is there.

mod context;
mod embedding;
mod prepare;
mod settings;
mod steps;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use futures::stream;
use praxis_core::embed::EmbedKind;
use praxis_core::trace::SpanKind;
use praxis_core::{CallContext, CallError, Clearance, Embedder, ErrorCode};
use praxis_store::{Chunk, DocumentHead};
use serde::Serialize;
use serde_json::json;

use crate::config::BaseConfig;
use crate::knowledge::{Base, Knowledge, Maker, internal, other_embedder};
use crate::listing::{Inventory, Listed, SourceProblem};
use crate::load::ocr::Ocr;
use crate::metadata::Describer;
pub use context::ContextReport;
use context::Writer;
pub(crate) use embedding::{REFUSES_ALL, Refused, Sieve, beginning, is_refusal, refuses_all};
pub(crate) use prepare::chunk;
use prepare::{Before, Prepared, Reading, fetch, prepare};
pub(crate) use settings::{is_outdated, recognition, refused};
use settings::{keep_recognized, settings};
pub(crate) use steps::patiently;
use steps::{Gathered, Pace, Run};

/// Chunks embedded in one call: enough to fill the encoder's batches.
pub(crate) const EMBED_BATCH: usize = 64;

/// Documents fetched and loaded ahead of the embedder.
pub(crate) const LOAD_AHEAD: usize = 2;

/// Tokens of a chunk left for its title, headings and the embedder's prefix.
pub(crate) const HEADING_RESERVE: usize = 48;

/// Progress of an ingest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IngestEvent {
    /// It waits for another process that is at work on the base, and goes on when that is done.
    Waiting,
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
    /// A file is done, well or not; it is found a few seconds later.
    Finished {
        /// Its path.
        uri: String,
    },
}

/// A document that could not be read, or that a model refuses.
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
    /// Documents whose files did not change, and that were read again because an older version of Praxis had read
    /// them: among the updated, unchanged and failed ones.
    pub outdated: usize,
    /// Documents whose files are gone.
    pub removed: usize,
    /// What could not be looked at of the sources: nothing of it was removed.
    pub problems: Vec<SourceProblem>,
    /// Sources that were asked what they hold.
    pub sources: usize,
    /// Names of those that told of no document and have a problem; empty for the base's folder.
    pub unheard: Vec<String>,
    /// Files that could not be read, or that the embedder refuses, this time or before.
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

/// What there is to do.
struct Plan {
    /// What the store has of the base's documents, by URI.
    known: HashMap<String, DocumentHead>,
    /// What is to be read.
    changed: Vec<Listed>,
    /// What was done, and found.
    report: IngestReport,
}

impl Knowledge {
    /// Brings the base `name` up to date with its sources.
    ///
    /// # Errors
    /// An unknown base, an embedder that is not there, a chat model that is to write contexts and is unknown, not
    /// here or refuses whatever it is asked, an embedder that fails or refuses any text, or a store that fails. A bad
    /// file, and one whose text the embedder refuses, is reported in [`IngestReport::failed`], a source that fails in
    /// [`IngestReport::problems`], a chat model that does not answer in [`IngestReport::contexts`], and none of them
    /// stops anything. What was written before an error is found.
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
        let waiting = || progress(IngestEvent::Waiting);
        let _alone = patiently(self.lock(&ingest_lock(name), cx.cancel()), &waiting).await?;
        let embedder = self.embedder_for_ingest(name, &base.config).await?;
        let ocr = recognition(&base.config.ocr).await?;
        let settings = settings(&base.config, &ocr);
        let store = self.store();
        let known = self.heads(name).await?;
        for head in known.values().filter(|head| head.chunks > 0) {
            keep_recognized(&head.settings, &base.config.ocr, &ocr)?;
        }
        // Before the base is locked: a crawl may take hours.
        let mut inventory = self
            .inventory(name, &base, only, progress, cx.cancel())
            .await?;
        inventory.doubt(&known);
        let lock = patiently(self.lock(name, cx.cancel()), &waiting).await?;
        let how = (&describer, embedder.identity(), settings.as_str());
        let plan = self.plan(name, only.is_none(), inventory, known, how);
        let Plan {
            known,
            changed,
            mut report,
        } = plan.await?;
        drop(lock);
        progress(IngestEvent::Planned {
            files: changed.len(),
        });
        let mut run = Run {
            knowledge: self,
            name,
            embedder: &*embedder,
            known: &known,
            progress,
            cx,
            refused: refused(&settings),
            length: store.dimension(name).await.map_err(internal)?,
            gathered: Gathered::default(),
            pace: Pace::begin(tokio::time::Instant::now()),
        };
        if !changed.is_empty() {
            let read = run
                .read(&base, &describer, changed, (ocr, &settings), &mut report)
                .await;
            if let Err(error) = read {
                // What is embedded is not lost to what stopped the rest.
                if let Err(lost) = run.step().await {
                    tracing::warn!(base = name, error = %lost, "the last documents were not written");
                }
                return Err(error);
            }
        }
        let lock = run.lock().await?;
        run.write().await?;
        if only.is_none() && report.problems.is_empty() {
            store
                .forget_contexts_of_strangers(name)
                .await
                .map_err(internal)?;
        }
        self.catch_up(name).await?;
        if !base.is_searched() {
            // While nobody else can look: who finds an index in use reads all vectors. A process that searches merges
            // in the background.
            self.tidy_vectors(name).await?;
        }
        drop(lock);
        report.failed.sort_by(|a, b| a.uri.cmp(&b.uri));
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Compares what the sources of a base hold with what the store has, removes what is gone, and describes what
    /// stays. `all` documents that were refused are tried again, or only those that changed. The caller holds the
    /// base's lock.
    async fn plan(
        &self,
        name: &str,
        all: bool,
        mut inventory: Inventory,
        known: HashMap<String, DocumentHead>,
        (describer, embedder, settings): (&Arc<Describer>, String, &str),
    ) -> Result<Plan, CallError> {
        let store = self.store();
        let stored = store.base(name).await.map_err(internal)?;
        self.forget_what_is_ahead(name, stored.as_ref()).await?;
        // Documents that were cut with other settings stay until each is replaced: a run that fails or is killed
        // leaves a base that is whole, and the next one goes on.
        let emptied = store.prepare_base(name, &embedder, settings).await;
        let known = match emptied.map_err(internal)? {
            true => HashMap::new(),
            false => known,
        };
        let mut report = IngestReport {
            sources: inventory.asked(),
            unheard: inventory.unheard(),
            ..IngestReport::default()
        };
        inventory.yield_to_others(&known);
        let gone = inventory.removed(&known);
        store
            .delete_documents(name, &gone)
            .await
            .map_err(internal)?;
        report.removed = gone.len();
        let unlisted = inventory.unlisted(&known, &gone);
        report.problems = inventory.problems;
        let uris = inventory.documents.iter().map(|d| d.entry.uri.as_str());
        report.warnings.extend(describer.doubts(uris));
        self.hide_anew(name, describer, unlisted, &mut report)
            .await?;
        let refused = refused(settings);
        let is_current = |document: &Listed, head: &DocumentHead| {
            document.is_current(head, settings) || (!all && document.is_current(head, &refused))
        };
        let (same, changed): (Vec<_>, Vec<_>) = inventory.documents.into_iter().partition(|d| {
            known
                .get(&d.entry.uri)
                .is_some_and(|head| is_current(d, head))
        });
        let outdated = changed.iter().filter(|d| {
            let head = known.get(&d.entry.uri);
            head.is_some_and(|head| d.is_known(head) && is_outdated(&head.settings))
        });
        report.outdated = outdated.count();
        let again = changed.iter().filter_map(|document| {
            let head = known.get(&document.entry.uri)?;
            Some((document.subject(Some(head)), head.clone()))
        });
        self.narrow(name, describer, again.collect()).await?;
        let mut kept = Vec::with_capacity(same.len());
        for document in same {
            if let Some(head) = known.get(&document.entry.uri) {
                report.keep(head);
                kept.push((document.subject(Some(head)), head.clone()));
            }
        }
        self.describe_anew(name, describer, kept, &mut report)
            .await?;
        Ok(Plan {
            known,
            changed,
            report,
        })
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
}

impl Run<'_> {
    /// Reads documents, has them embedded, and takes a step whenever one is due.
    ///
    /// # Errors
    /// Those of [`Knowledge::ingest`].
    async fn read(
        &mut self,
        base: &Base,
        describer: &Arc<Describer>,
        files: Vec<Listed>,
        (ocr, settings): (Ocr, &str),
        report: &mut IngestReport,
    ) -> Result<(), CallError> {
        let (known, progress, cx) = (self.known, self.progress, self.cx);
        let room = self.embedder.max_tokens().await?;
        let room = room.saturating_sub(HEADING_RESERVE);
        let reading = Reading {
            options: base.config.cutting(room),
            settings: settings.into(),
            room,
            counter: self.embedder.token_counter().await?,
            ocr,
        };
        let context = &base.config.context;
        let writer = Writer::of(self.knowledge, self.name, context, &reading.counter, room);
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
            let waits = !batch.is_empty() || !self.gathered.is_empty();
            let next = tokio::select! {
                biased;
                // Also while a document takes long to be loaded: others do not wait for it.
                () = tokio::time::sleep_until(self.pace.due()), if waits => {
                    self.take(std::mem::take(&mut batch), report).await?;
                    self.step().await?;
                    continue;
                }
                next = prepared.next() => next,
            };
            if cx.cancel().is_cancelled() {
                return Err(stopped());
            }
            let Some(next) = next else {
                return self.take(batch, report).await;
            };
            let mut next = next.map_err(internal)?.map_err(internal)?;
            progress(IngestEvent::Started {
                uri: next.from.entry.uri.clone(),
            });
            if let Some(writer) = &writer {
                self.write_contexts(writer, &mut next, &mut batch, report)
                    .await?;
            }
            batch.push(next);
            let waiting: usize = batch.iter().map(|p| p.segments.len()).sum();
            if waiting >= EMBED_BATCH || batch.len() >= EMBED_BATCH {
                self.take(std::mem::take(&mut batch), report).await?;
            }
            if self.gathered.is_full() {
                self.step().await?;
            }
        }
    }

    /// Has a chat model write about the chunks of a document, which may take hours: the documents before it do not
    /// wait for that.
    async fn write_contexts(
        &mut self,
        writer: &Writer<'_>,
        document: &mut Prepared,
        batch: &mut Vec<Prepared>,
        report: &mut IngestReport,
    ) -> Result<(), CallError> {
        let (uri, progress, cx) = (document.from.entry.uri.clone(), self.progress, self.cx);
        let mut contexts = report.contexts.take().unwrap_or_default();
        let written = {
            let writing = writer.write(document, progress, &mut contexts, cx);
            let mut writing = std::pin::pin!(writing);
            loop {
                let waits = !batch.is_empty() || !self.gathered.is_empty();
                tokio::select! {
                    biased;
                    () = tokio::time::sleep_until(self.pace.due()), if waits => {
                        self.take(std::mem::take(batch), report).await?;
                        self.step().await?;
                    }
                    written = &mut writing => break written,
                }
            }
        };
        report.contexts = Some(contexts);
        match written {
            Err(error) if error.code != ErrorCode::Cancelled => Err(named(error, &uri)),
            other => other,
        }
    }
}

impl IngestReport {
    /// Whether there are sources, and none of them told what it holds.
    pub fn is_unheard(&self) -> bool {
        self.sources > 0 && self.unheard.len() == self.sources
    }

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

/// What there is one of at a time of each base, for as long as it runs: an ingest, as a lock's name.
pub(crate) fn ingest_lock(name: &str) -> String {
    format!("{name}.ingest")
}

/// An error with the document that it is about.
pub(crate) fn named(error: CallError, uri: &str) -> CallError {
    let message = format!("`{uri}`: {}", error.message);
    CallError { message, ..error }
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
