//! Moving a base to another embedder while it serves: its chunks are embedded again beside the vectors in
//! use, and all of them change places at once.
//!
//! A move that is stopped, or killed, goes on from where it was. Ingests go on meanwhile, with the embedder
//! in use. Left out: cutting documents anew; chunks stay what they are.

use praxis_core::embed::EmbedKind;
use praxis_core::{CallError, Clearance, DocumentId, Embedder, ErrorCode};
use praxis_store::{Place, UnmovedChunk};
use tokio_util::sync::CancellationToken;

use crate::document::Segment;
use crate::ingest::{HEADING_RESERVE, indexed_chunk, ingest_lock};
use crate::knowledge::{Knowledge, internal};
use crate::summary::summary;

/// Chunks, and documents, embedded and written in one go.
const BATCH: usize = 64;

/// Times that a move may find new chunks while it holds the lock: none can come then.
const LAST_ROUNDS: usize = 3;

/// Behind what a pass over a base has seen: chunks come first, then documents.
struct Seen {
    chunk: Place,
    /// The generation that wrote the last document.
    document: i64,
}

impl Seen {
    /// Nothing yet.
    fn nothing() -> Self {
        Self {
            chunk: Place::after(0),
            document: 0,
        }
    }
}

/// Where a move stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReembedProgress {
    /// Chunks that have their new vector.
    pub done: u64,
    /// Chunks in all, as far as is known.
    pub chunks: u64,
}

/// What a move did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ReembedReport {
    /// Identity of the vectors before.
    pub from: String,
    /// Identity of the vectors now.
    pub to: String,
    /// Chunks embedded in this run.
    pub embedded: u64,
    /// Chunks longer than the new embedder reads: the rest of them tells nothing to it.
    pub cut: u64,
}

impl Knowledge {
    /// Moves the base `name` to the embedder of the application that is called `to`.
    ///
    /// # Errors
    /// An unknown or empty base or embedder, one that fails, a store that fails, or `cancelled`; the base
    /// then serves as before, and the next move goes on from there.
    pub async fn reembed(
        &self,
        name: &str,
        to: &str,
        progress: &(dyn Fn(ReembedProgress) + Sync),
        cancel: &CancellationToken,
    ) -> Result<ReembedReport, CallError> {
        self.base(name)?;
        let store = self.store();
        let Some(stored) = store.base(name).await.map_err(internal)? else {
            let message = format!("the knowledge base `{name}` is empty");
            return Err(
                CallError::new(ErrorCode::NotFound, message).with_hint(format!(
                    "set `embedder` in knowledge/{name}.toml and run `praxis ingest {name}`"
                )),
            );
        };
        let embedder = self.embedder_named(to)?;
        let mut report = ReembedReport {
            from: stored.embedder,
            to: embedder.identity(),
            embedded: 0,
            cut: 0,
        };
        if report.from == report.to {
            // A model behind an endpoint may have changed its vectors' length, and kept its name.
            let length = store.dimension(name).await.map_err(internal)?;
            match length {
                Some(length) if embedder.dimension().await? != length => {}
                _ => return Ok(report),
            }
        }
        // Two moves of one base would throw away each other's work.
        let _alone = self.lock(&format!("{name}.move"), cancel).await?;
        store.begin_move(name, &report.to).await.map_err(internal)?;
        let mut told = store.move_progress(name).await.map_err(internal)?;
        let mut seen = Seen::nothing();
        while self
            .embed_some(name, &*embedder, &mut seen, &mut report)
            .await?
        {
            told.moved += BATCH as u64;
            progress(ReembedProgress {
                done: told.moved.min(told.chunks),
                chunks: told.chunks,
            });
            if cancel.is_cancelled() {
                let message = "the move to another embedder was stopped";
                return Err(CallError::new(ErrorCode::Cancelled, message).with_hint(
                    "what is done is kept, and the base serves as before: run it again to go on",
                ));
            }
        }
        // What an ingest wrote meanwhile comes last, while no other can begin.
        let _no_ingest = self.lock(&ingest_lock(name), cancel).await?;
        let lock = self.lock(name, cancel).await?;
        for _ in 0..LAST_ROUNDS {
            let mut seen = Seen::nothing();
            while self
                .embed_some(name, &*embedder, &mut seen, &mut report)
                .await?
            {}
            if store
                .finish_move(name, &report.to, to)
                .await
                .map_err(internal)?
            {
                let stored = store.base(name).await.map_err(internal)?;
                if let Some(stored) = stored {
                    self.index_vectors(name, &stored).await?;
                }
                // Before a server can look at the base: one that finds the index in use reads all vectors.
                self.tidy_vectors(name).await?;
                drop(lock);
                return Ok(report);
            }
        }
        Err(internal(
            "the store changed although nothing could change it",
        ))
    }

    /// Embeds some of what is missing behind what was seen; `false` where nothing is.
    async fn embed_some(
        &self,
        name: &str,
        embedder: &dyn Embedder,
        seen: &mut Seen,
        report: &mut ReembedReport,
    ) -> Result<bool, CallError> {
        let store = self.store();
        let chunks = store.unmoved_chunks(name, seen.chunk, BATCH).await;
        let chunks = chunks.map_err(internal)?;
        if let Some(last) = chunks.last() {
            let place = last.place;
            let counter = embedder.token_counter().await?;
            let room = embedder.max_tokens().await?;
            let text = |c: &UnmovedChunk| indexed_chunk(&c.title, &c.headings, &c.context, &c.text);
            let texts: Vec<String> = chunks.iter().map(text).collect();
            report.cut += texts.iter().filter(|t| counter(t) > room).count() as u64;
            report.embedded += chunks.len() as u64;
            let vectors = embedder.embed(EmbedKind::Passage, texts).await?;
            let moved: Vec<_> = chunks.into_iter().map(|c| c.id).zip(vectors).collect();
            store.put_moved_chunks(&moved).await.map_err(internal)?;
            seen.chunk = place;
            return Ok(true);
        }
        let documents = store.unmoved_documents(name, seen.document, BATCH).await;
        let documents = documents.map_err(internal)?;
        let Some((_, generation)) = documents.last() else {
            return Ok(false);
        };
        let last = *generation;
        let mut texts = Vec::with_capacity(documents.len());
        for (id, _) in &documents {
            texts.push(self.document_text(id, embedder).await?);
        }
        let vectors = embedder.embed(EmbedKind::Passage, texts).await?;
        let moved: Vec<_> = documents
            .into_iter()
            .zip(vectors)
            .map(|((id, generation), vector)| (id, generation, vector))
            .collect();
        store.put_moved_documents(&moved).await.map_err(internal)?;
        seen.document = last;
        Ok(true)
    }

    /// What is embedded for a whole document: its summary, or its only chunk. Empty for one that went.
    async fn document_text(
        &self,
        id: &DocumentId,
        embedder: &dyn Embedder,
    ) -> Result<String, CallError> {
        let Some(document) = self
            .store()
            .document(id, &Clearance::Full)
            .await
            .map_err(internal)?
        else {
            return Ok(String::new());
        };
        let first = document.chunks.first();
        let context = first.map(|c| c.context.clone()).unwrap_or_default();
        let segments: Vec<Segment> = document
            .chunks
            .into_iter()
            .map(|chunk| Segment {
                headings: chunk.headings,
                page: chunk.page,
                start: chunk.start,
                end: chunk.end,
                text: chunk.text,
                section: (chunk.start, chunk.end),
                number: chunk.section.unwrap_or_default(),
            })
            .collect();
        let title = &document.head.title;
        let room = embedder.max_tokens().await?.saturating_sub(HEADING_RESERVE);
        let counter = embedder.token_counter().await?;
        let only = |s: &Segment| indexed_chunk(title, &s.headings, &context, &s.text);
        Ok(summary(title, &segments, room, &counter)
            .or_else(|| segments.first().map(only))
            .unwrap_or_default())
    }
}
