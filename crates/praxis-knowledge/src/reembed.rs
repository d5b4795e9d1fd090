//! Moving a base to another embedder while it serves: its chunks are embedded again beside the vectors in
//! use, and all of them change places at once.
//!
//! A move that is stopped, or killed, goes on from where it was. Ingests go on meanwhile, with the embedder
//! in use. A text that the new embedder refuses gets a vector without a direction: it is found by its words alone, and
//! tried again by a move that goes on and by the next ingest. Left out: cutting documents anew; chunks stay what they
//! are.

use std::collections::{BTreeMap, BTreeSet};

use praxis_core::{CallError, ChunkId, Clearance, DocumentId, Embedder, ErrorCode};
use praxis_store::{Place, UnmovedChunk};
use tokio_util::sync::CancellationToken;

use crate::document::Segment;
use crate::ingest::{
    HEADING_RESERVE, REFUSES_ALL, Refused, Sieve, beginning, indexed_chunk, ingest_lock,
    is_refusal, named, refused, refuses_all,
};
use crate::knowledge::{Knowledge, Maker, internal};
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

/// A text that the new embedder refuses. It is found by its words alone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RefusedText {
    /// Its document's path.
    pub uri: String,
    /// The chunk that it is; `None` for what stands for the whole document.
    pub chunk: Option<ChunkId>,
    /// How it begins.
    pub begins: String,
    /// Why it is refused.
    pub reason: String,
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
    /// Texts that the new embedder refuses, by document; one that a chunk of is refused is told by its chunks.
    pub refused: Vec<RefusedText>,
}

impl Knowledge {
    /// Moves the base `name` to the embedder of the application that is called `to`. Texts that it refuses are in
    /// [`ReembedReport::refused`] and stop nothing.
    ///
    /// # Errors
    /// An unknown or empty base or embedder, one that fails or refuses any text, a store that fails, or `cancelled`;
    /// the base then serves as before, and the next move goes on from there.
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
        let report = ReembedReport {
            from: stored.embedder,
            to: embedder.identity(),
            embedded: 0,
            cut: 0,
            refused: Vec::new(),
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
        if told.moved > 0 {
            // What was refused before the stop may be taken now; if not, it is told again.
            let nothing = vec![0.0; embedder.dimension().await?];
            let forgotten = store.forget_moved(name, &nothing).await;
            told.moved = told.moved.saturating_sub(forgotten.map_err(internal)?);
        }
        let mut moving = Move {
            knowledge: self,
            name,
            embedder: &*embedder,
            report,
            chunks: BTreeMap::new(),
            documents: BTreeMap::new(),
        };
        let mut seen = Seen::nothing();
        while moving.embed_some(&mut seen).await? {
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
            while moving.embed_some(&mut seen).await? {}
            moving.settle().await?;
            if store
                .finish_move(name, &moving.report.to, to)
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
                return Ok(moving.told());
            }
        }
        Err(internal(
            "the store changed although nothing could change it",
        ))
    }
}

/// Texts that were embedded.
struct Embedded {
    /// A vector for each; those of texts that are refused have no direction.
    vectors: Vec<Vec<f32>>,
    /// Which of them are refused.
    refused: Vec<(usize, Refused)>,
}

/// A move that is under way.
struct Move<'a> {
    knowledge: &'a Knowledge,
    name: &'a str,
    embedder: &'a dyn Embedder,
    report: ReembedReport,
    /// Chunks that are refused.
    chunks: BTreeMap<ChunkId, RefusedText>,
    /// Documents for which no vector of the whole is given.
    documents: BTreeMap<DocumentId, RefusedText>,
}

impl Move<'_> {
    /// Embeds some of what is missing behind what was seen; `false` where nothing is.
    async fn embed_some(&mut self, seen: &mut Seen) -> Result<bool, CallError> {
        let store = self.knowledge.store();
        let chunks = store.unmoved_chunks(self.name, seen.chunk, BATCH).await;
        let chunks = chunks.map_err(internal)?;
        if let Some(last) = chunks.last() {
            seen.chunk = last.place;
            self.embed_chunks(chunks).await?;
            return Ok(true);
        }
        let documents = store.unmoved_documents(self.name, seen.document, BATCH);
        let documents = documents.await.map_err(internal)?;
        let Some((_, generation)) = documents.last() else {
            return Ok(false);
        };
        seen.document = *generation;
        self.embed_documents(documents).await?;
        Ok(true)
    }

    async fn embed_chunks(&mut self, chunks: Vec<UnmovedChunk>) -> Result<(), CallError> {
        let store = self.knowledge.store();
        let counter = self.embedder.token_counter().await?;
        let room = self.embedder.max_tokens().await?;
        let text = |c: &UnmovedChunk| indexed_chunk(&c.title, &c.headings, &c.context, &c.text);
        let texts: Vec<String> = chunks.iter().map(text).collect();
        self.report.cut += texts.iter().filter(|t| counter(t) > room).count() as u64;
        let Embedded { vectors, refused } = self.embed(texts).await?;
        self.report.embedded += chunks.len().saturating_sub(refused.len()) as u64;
        for chunk in &chunks {
            self.chunks.remove(&chunk.id);
        }
        for (at, one) in refused {
            let Some(chunk) = chunks.get(at) else {
                continue;
            };
            let found = store.chunk(&chunk.id, &Clearance::Full).await;
            // One that went meanwhile is nobody's matter.
            if let Some(found) = found.map_err(internal)? {
                let told = RefusedText {
                    uri: found.uri,
                    chunk: Some(chunk.id.clone()),
                    begins: beginning(&chunk.text),
                    reason: one.error.message,
                };
                self.chunks.insert(chunk.id.clone(), told);
            }
        }
        let moved: Vec<_> = chunks.into_iter().map(|c| c.id).zip(vectors).collect();
        store.put_moved_chunks(&moved).await.map_err(internal)
    }

    async fn embed_documents(
        &mut self,
        documents: Vec<(DocumentId, i64)>,
    ) -> Result<(), CallError> {
        let store = self.knowledge.store();
        let mut texts = Vec::with_capacity(documents.len());
        for (id, _) in &documents {
            texts.push(self.document_text(id).await?);
        }
        let Embedded { vectors, refused } = self.embed(texts).await?;
        for (id, _) in &documents {
            self.documents.remove(id);
        }
        for (at, one) in refused {
            let Some((id, _)) = documents.get(at) else {
                continue;
            };
            let head = store.head(id, &Clearance::Full).await;
            if let Some(head) = head.map_err(internal)? {
                let told = RefusedText {
                    uri: head.uri,
                    chunk: None,
                    begins: beginning(&one.text),
                    reason: one.error.message,
                };
                self.documents.insert(id.clone(), told);
            }
        }
        let moved: Vec<_> = documents
            .into_iter()
            .zip(vectors)
            .map(|((id, generation), vector)| (id, generation, vector))
            .collect();
        store.put_moved_documents(&moved).await.map_err(internal)
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Embedded, CallError> {
        let mut vectors = Vec::with_capacity(texts.len());
        let mut refused = Vec::new();
        let mut sieve = Sieve::new(self.embedder, texts);
        while let Some(some) = sieve.next().await {
            match some {
                Ok(some) => vectors.extend(some),
                Err(one) if is_refusal(one.error.code) => {
                    refused.push((vectors.len(), one));
                    vectors.push(Vec::new());
                }
                Err(one) => return Err(one.error),
            }
        }
        let Some((_, first)) = refused.first() else {
            return Ok(Embedded { vectors, refused });
        };
        if refuses_all(self.embedder).await? {
            let error = named(first.error.clone(), &self.report.to);
            return Err(error.with_hint(REFUSES_ALL));
        }
        let nothing = vec![0.0; self.embedder.dimension().await?];
        for (at, _) in &refused {
            if let Some(vector) = vectors.get_mut(*at) {
                vector.clone_from(&nothing);
            }
        }
        Ok(Embedded { vectors, refused })
    }

    /// Forgets refused texts that went meanwhile, and has the next ingest try the documents of the others again. Those
    /// of a vector store are its files, which no ingest reads.
    async fn settle(&mut self) -> Result<(), CallError> {
        let store = self.knowledge.store();
        let all = &Clearance::Full;
        let mut documents: BTreeSet<DocumentId> = self.documents.keys().cloned().collect();
        let chunks: Vec<ChunkId> = self.chunks.keys().cloned().collect();
        for id in chunks {
            match store.chunk(&id, all).await.map_err(internal)? {
                Some(found) => {
                    documents.insert(found.document);
                }
                None => {
                    self.chunks.remove(&id);
                }
            }
        }
        let mut marked = Vec::with_capacity(documents.len());
        for id in documents {
            match store.head(&id, all).await.map_err(internal)? {
                Some(head) => marked.push((id, refused(&head.settings))),
                None => {
                    self.documents.remove(&id);
                }
            }
        }
        if matches!(self.knowledge.base(self.name)?.maker, Maker::Client { .. }) {
            return Ok(());
        }
        store
            .set_settings(self.name, &marked)
            .await
            .map_err(internal)
    }

    /// What the move did, once it is done.
    fn told(self) -> ReembedReport {
        let of_chunks: BTreeSet<String> = self.chunks.values().map(|t| t.uri.clone()).collect();
        let mut documents: Vec<RefusedText> = self.documents.into_values().collect();
        documents.retain(|told| !of_chunks.contains(&told.uri));
        let mut refused: Vec<RefusedText> = self.chunks.into_values().chain(documents).collect();
        refused.sort_by(|a, b| (&a.uri, &a.chunk).cmp(&(&b.uri, &b.chunk)));
        ReembedReport {
            refused,
            ..self.report
        }
    }

    /// What is embedded for a whole document: its summary, or its only chunk. Empty for one that went.
    async fn document_text(&self, id: &DocumentId) -> Result<String, CallError> {
        let store = self.knowledge.store();
        let document = store.document(id, &Clearance::Full).await;
        let Some(document) = document.map_err(internal)? else {
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
        let room = self.embedder.max_tokens().await?;
        let room = room.saturating_sub(HEADING_RESERVE);
        let counter = self.embedder.token_counter().await?;
        let only = |s: &Segment| indexed_chunk(title, &s.headings, &context, &s.text);
        Ok(summary(title, &segments, room, &counter)
            .or_else(|| segments.first().map(only))
            .unwrap_or_default())
    }
}
