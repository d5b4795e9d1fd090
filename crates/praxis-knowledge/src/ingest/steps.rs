//! The steps of an ingest: what is embedded is gathered, and every few seconds it is written to the store and indexed.
//! A document is found as it was until the step that replaces it, and as it is from then on. Left out: embedding
//! (`embedding`).
//!
//! That there is one ingest of a base at a time is a lock of its own; the base's is held for a step, so that whoever
//! searches brings its view up to date between two of them. Each step costs a commit of every index and a look at all
//! documents of the base, so steps become rarer where they take long.

use std::collections::HashMap;
use std::time::Duration;

use praxis_core::{CallContext, CallError, DocumentId, Embedder, ErrorCode};
use praxis_store::{Chunk, DocumentHead, NewAttributes, NewDocument};
use tokio::time::Instant;

use super::IngestEvent;
use crate::knowledge::{BaseLock, Knowledge, internal};

/// From the beginning to the first step. Each pause is twice as long as the one before, up to `LONGEST`: who is killed
/// loses half of the work at most, and whoever is killed again and again gets on.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause between two steps that cost little.
const LONGEST: Duration = Duration::from_secs(15);

/// A pause is at least so many times as long as the step before it took: steps take a twentieth of the time at most.
const SHARE: u32 = 20;

/// Bytes of text and vectors that are gathered before a step is taken although it is not time for one: they are in
/// memory. About 12,000 chunks with vectors of 384 dimensions.
const MOST_BYTES: usize = 32 << 20;

/// Chunks and documents of one transaction: other writers of the store wait for its end.
const TRANSACTION: usize = 512;

/// How long a lock is waited for before that is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// An ingest of a base, under way.
pub(super) struct Run<'a> {
    pub knowledge: &'a Knowledge,
    pub name: &'a str,
    pub embedder: &'a dyn Embedder,
    /// What the store had of the base's documents when it began, by URI.
    pub known: &'a HashMap<String, DocumentHead>,
    pub progress: &'a (dyn Fn(IngestEvent) + Sync),
    pub cx: &'a CallContext,
    /// The settings of documents that the embedder refuses.
    pub refused: String,
    /// Length of the base's vectors, once there is one.
    pub length: Option<usize>,
    pub gathered: Gathered,
    pub pace: Pace,
}

/// What is to be written by the next step.
#[derive(Default)]
pub(super) struct Gathered {
    documents: Vec<NewDocument>,
    /// Of documents whose texts stay.
    attributes: Vec<NewAttributes>,
    /// Settings that some of these were read with again.
    settings: Vec<(DocumentId, String)>,
    /// Of texts and vectors.
    bytes: usize,
}

/// When the next step is due.
pub(super) struct Pace {
    pause: Duration,
    due: Instant,
}

impl Gathered {
    /// Adds a document.
    pub fn add(&mut self, document: NewDocument) {
        let bytes = |chunk: &Chunk| {
            chunk.text.len() + chunk.context.len() + size_of_val(chunk.vector.as_slice())
        };
        self.bytes += document.text.len() + document.chunks.iter().map(bytes).sum::<usize>();
        self.documents.push(document);
    }

    /// Adds what is known of a document whose text stays.
    pub fn describe(&mut self, attributes: NewAttributes) {
        self.attributes.push(attributes);
    }

    /// Adds the settings of a document that is described too, and comes out the same with them.
    pub fn recut(&mut self, document: DocumentId, settings: String) {
        self.settings.push((document, settings));
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.attributes.is_empty()
    }

    /// Whether it takes as much memory as it may.
    pub fn is_full(&self) -> bool {
        self.bytes >= MOST_BYTES
    }
}

impl Pace {
    /// That of an ingest which begins.
    pub fn begin(now: Instant) -> Self {
        Self {
            pause: FIRST,
            due: now + FIRST,
        }
    }

    /// When the next step is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// A step ended that took so long.
    fn stepped(&mut self, took: Duration, now: Instant) {
        self.pause = (self.pause * 2).min(LONGEST).max(took * SHARE);
        self.due = now + self.pause;
    }
}

impl Run<'_> {
    /// Takes the base's lock; says so where it has to wait.
    ///
    /// # Errors
    /// That somebody stopped it, or a disk that fails.
    pub async fn lock(&self) -> Result<BaseLock, CallError> {
        let lock = self.knowledge.lock(self.name, self.cx.cancel());
        patiently(lock, &|| (self.progress)(IngestEvent::Waiting)).await
    }

    /// Writes and indexes what was gathered.
    ///
    /// # Errors
    /// A base that moved to another embedder, a store or a disk that fails, or that somebody stopped it while it
    /// waited for another process.
    pub async fn step(&mut self) -> Result<(), CallError> {
        if self.gathered.is_empty() {
            self.pace.stepped(Duration::ZERO, Instant::now());
            return Ok(());
        }
        let lock = self.lock().await?;
        let began = Instant::now();
        self.write().await?;
        self.knowledge.catch_up(self.name).await?;
        drop(lock);
        self.pace.stepped(began.elapsed(), Instant::now());
        Ok(())
    }

    /// Writes what was gathered. The caller holds the base's lock.
    ///
    /// # Errors
    /// A base that moved to another embedder, or a store that fails.
    pub async fn write(&mut self) -> Result<(), CallError> {
        let gathered = std::mem::take(&mut self.gathered);
        if gathered.is_empty() {
            return Ok(());
        }
        let store = self.knowledge.store();
        let stored = store.base(self.name).await.map_err(internal)?;
        let identity = self.embedder.identity();
        if stored.is_none_or(|stored| stored.embedder != identity) {
            return Err(moved(self.name));
        }
        // Labels first: they may be narrower than before.
        for piece in gathered.attributes.chunks(TRANSACTION) {
            let written = store.set_attributes(self.name, piece).await;
            written.map_err(internal)?;
        }
        let noted = store.set_settings(self.name, &gathered.settings).await;
        noted.map_err(internal)?;
        let mut documents = gathered.documents.as_slice();
        while !documents.is_empty() {
            let (piece, rest) = documents.split_at(transaction(documents));
            let written = store.put_documents(self.name, piece).await;
            written.map_err(internal)?;
            documents = rest;
        }
        Ok(())
    }
}

/// How many of these documents are written in one transaction.
fn transaction(documents: &[NewDocument]) -> usize {
    let mut rows = 0;
    let within = documents.iter().take_while(|document| {
        rows += 1 + document.chunks.len();
        rows <= TRANSACTION
    });
    // One that is larger than that is one transaction all the same.
    within.count().max(1)
}

/// What an ingest says of a base that moved to another embedder while it ran. Those who move a base wait for its
/// ingest to end, so this takes one that does not know of that.
fn moved(name: &str) -> CallError {
    let message = format!("`{name}` moved to another embedder while it was ingested");
    CallError::new(ErrorCode::InvalidRequest, message).with_hint(format!(
        "run `praxis ingest {name}` again: what was written before is kept"
    ))
}

/// Waits for a lock, and says so after a moment by `waiting`.
pub(crate) async fn patiently(
    lock: impl Future<Output = Result<BaseLock, CallError>>,
    waiting: &(dyn Fn() + Sync),
) -> Result<BaseLock, CallError> {
    let mut lock = std::pin::pin!(lock);
    if let Ok(locked) = tokio::time::timeout(PATIENCE, lock.as_mut()).await {
        return locked;
    }
    waiting();
    lock.await
}

impl Knowledge {
    /// Brings the indexes of a base up to the store, and what this process searches with them, where it does. The
    /// caller holds the base's lock.
    pub(super) async fn catch_up(&self, name: &str) -> Result<(), CallError> {
        if self.base(name)?.is_searched() {
            return self.refresh_locked(name).await.map(|_| ());
        }
        self.index_keywords(name).await?;
        if let Some(stored) = self.store().base(name).await.map_err(internal)? {
            self.index_vectors(name, &stored).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn steps_come_soon_at_first_and_become_rare_where_they_cost() {
        let began = Instant::now();
        let mut pace = Pace::begin(began);
        let mut now = pace.due();
        assert_eq!(now - began, FIRST);
        let mut pauses = Vec::new();
        for took in [0, 100, 100, 100, 100, 3_000, 100] {
            pace.stepped(Duration::from_millis(took), now);
            pauses.push((pace.due() - now).as_secs());
            now = pace.due();
        }
        assert_eq!(pauses, [2, 4, 8, 15, 15, 60, 15]);
    }

    #[test]
    fn a_transaction_is_bounded_unless_one_document_is_larger() {
        let document = |chunks: usize| {
            let chunk = Chunk {
                id: praxis_core::ChunkId::from_string("c".to_owned()),
                headings: Vec::new(),
                page: None,
                section: None,
                start: 0,
                end: 1,
                text: "x".to_owned(),
                context: String::new(),
                vector: vec![0.0; 4],
            };
            NewDocument {
                id: praxis_core::DocumentId::from_string("d".to_owned()),
                uri: "d".to_owned(),
                origin: praxis_store::Origin::default(),
                title: String::new(),
                text: "x".to_owned(),
                hash: String::new(),
                size: 1,
                modified: 0,
                error: None,
                hint: None,
                vector: Vec::new(),
                own: praxis_core::Metadata::new(),
                metadata: praxis_core::Metadata::new(),
                labels: Vec::new(),
                settings: String::new(),
                chunks: vec![chunk; chunks],
            }
        };
        let large = TRANSACTION * 2;
        for (sizes, expected) in [
            (&[1usize, 1, 1][..], 3),
            (&[large, 1], 1),
            (&[1, large], 1),
            (&[TRANSACTION / 2, TRANSACTION / 2 - 2, 1], 2),
        ] {
            let documents: Vec<NewDocument> = sizes.iter().map(|size| document(*size)).collect();
            assert_eq!(transaction(&documents), expected, "{sizes:?}");
        }
        let mut gathered = Gathered::default();
        assert!(gathered.is_empty() && !gathered.is_full());
        gathered.add(document(1));
        assert!(!gathered.is_empty() && gathered.bytes == 1 + 1 + 16);
    }
}
