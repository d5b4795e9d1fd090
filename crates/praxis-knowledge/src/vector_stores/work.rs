//! What is done in the background: files that wait are read, embedded and indexed, and what was deleted or has
//! expired is removed.
//!
//! What waits stands in the store, so a server that is killed goes on at its next start. A file counts as
//! completed once the indexes have it, so that whoever waited for that finds it. Left out: what a file becomes
//! (`document`).
//!
//! Who attached a file pays for what is embedded of it: files of several are embedded apart.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use praxis_core::ledger::PaidBy;
use praxis_core::trace::NoTrace;
use praxis_core::{CallError, Clearance, Embedder};
use praxis_store::{Finished, Member, VectorStore};
use tokio_util::sync::CancellationToken;

use super::document::{Failure, Reading, Unembedded, read, usage};
use super::{VectorStores, labels_of};
use crate::ingest::{EMBED_BATCH, HEADING_RESERVE, LOAD_AHEAD, embedded, one_length, recognition};
use crate::knowledge::{Base, Knowledge, internal};
use crate::load::LoadLimits;

/// Files of one vector store that are read in one go, before it is another one's turn.
const TURN: usize = 64;

/// Chunks after which the indexes take over what is there.
const TURN_CHUNKS: usize = 2048;

/// Times that a file is begun; whoever reads it seems to be killed by it.
const MOST_ATTEMPTS: u64 = 5;

/// The longest time between two looks at what has expired.
const SWEEP: Duration = Duration::from_secs(60);

/// How long to wait where the store or the disk failed.
const PAUSE: Duration = Duration::from_secs(5);

/// Segmentation settings of vector stores, which are the files' own: never such that a base is cut anew.
pub(super) const SETTINGS: &str = "vector store";

/// A file that was loaded.
struct Loaded {
    member: Member,
    document: Unembedded,
}

/// What the files of a vector store are embedded with.
struct Embedding {
    base: Arc<Base>,
    /// At nobody's cost.
    embedder: Arc<dyn Embedder>,
    /// The name of the one that the vector store has moved to, if it has.
    moved: Option<String>,
}

impl Embedding {
    /// The embedder, at the cost of who pays.
    fn at_cost_of(&self, paid_by: Option<&PaidBy>, knowledge: &Knowledge) -> Arc<dyn Embedder> {
        let paid = paid_by.and_then(|paid_by| {
            let cx = paid_by.context(Arc::new(NoTrace));
            let (moved, identity) = (self.moved.as_deref(), self.embedder.identity());
            knowledge.paid_embedder(&self.base, moved, &identity, &cx)
        });
        paid.unwrap_or_else(|| Arc::clone(&self.embedder))
    }
}

impl VectorStores {
    /// Works until `cancel`; then what is not done waits for the next time.
    pub async fn run(&self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = self.work_on() => {}
        }
        // Whoever is asked to stop was not killed by what it read.
        if let Err(error) = self.store().forgive_members().await {
            tracing::warn!(%error, "files that were begun count as if they had failed once");
        }
    }

    async fn work_on(&self) {
        if let Err(error) = self.files.sweep().await {
            tracing::warn!(error = %error.message, "files that are left over were not removed");
        }
        let mut last = String::new();
        loop {
            match self.step(&mut last).await {
                Ok(true) => {}
                Ok(false) => {
                    let _ = tokio::time::timeout(SWEEP, self.work.notified()).await;
                }
                Err(error) => {
                    tracing::warn!(error = %error.message, "files of vector stores wait");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Does some of what there is to do; `false` where there is nothing. `last` is the vector store whose turn
    /// it was.
    ///
    /// # Errors
    /// A store or a disk that fails.
    pub async fn step(&self, last: &mut String) -> Result<bool, CallError> {
        self.tidy().await?;
        let waiting = self.store().waiting_store(last).await.map_err(internal)?;
        let Some(store) = waiting else {
            return Ok(false);
        };
        last.clone_from(&store);
        self.turn(&store).await?;
        Ok(true)
    }

    /// Removes what was deleted or has expired.
    async fn tidy(&self) -> Result<(), CallError> {
        let now = (self.clock)();
        self.files.expire().await?;
        self.store()
            .expire_vector_stores(now)
            .await
            .map_err(internal)?;
        let ended = self
            .store()
            .vector_stores_to_empty()
            .await
            .map_err(internal)?;
        for id in ended {
            self.knowledge.close_vector_store(&id);
            self.store()
                .empty_vector_store(&id)
                .await
                .map_err(internal)?;
            let knowledge = Arc::clone(&self.knowledge);
            let removed = tokio::task::spawn_blocking(move || knowledge.remove_indexes(&id));
            removed.await.map_err(internal)?;
        }
        Ok(())
    }

    /// Reads some files of a vector store.
    async fn turn(&self, id: &str) -> Result<(), CallError> {
        let found = self.store().vector_store(id, &Clearance::Full).await;
        let Some(store) = found.map_err(internal)? else {
            return Ok(());
        };
        self.knowledge
            .open_vector_store(id, &store.name, &store.labels);
        let _lock = self.knowledge.lock(id, &CancellationToken::new()).await?;
        let stored = self.store().base(id).await.map_err(internal)?;
        self.knowledge
            .forget_what_is_ahead(id, stored.as_ref())
            .await?;
        let members = self
            .store()
            .waiting_members(id, TURN)
            .await
            .map_err(internal)?;
        let moved = stored.and_then(|stored| stored.embedder_name);
        let (embedding, reading) = match self.reading(id, moved).await {
            Ok(ready) => ready,
            Err(error) => {
                let failure = Failure::server(told(&error));
                for member in &members {
                    self.fail(member, &failure).await?;
                }
                return Ok(());
            }
        };
        let prepared = self
            .store()
            .prepare_base(id, &embedding.embedder.identity(), SETTINGS)
            .await;
        prepared.map_err(internal)?;
        let members = members.into_iter();
        let loads: Vec<_> = members
            .map(|member| self.load(&store, member, &reading))
            .collect();
        let mut loaded = std::pin::pin!(stream::iter(loads).buffered(LOAD_AHEAD));
        let (mut batch, mut finished): (Vec<Loaded>, Vec<Finished>) = Default::default();
        let mut chunks = 0;
        while let Some(next) = loaded.next().await {
            if let Some(next) = next? {
                chunks += next.document.weight();
                batch.push(next);
            }
            let waiting: usize = batch.iter().map(|one| one.document.weight()).sum();
            if waiting >= EMBED_BATCH {
                self.write(std::mem::take(&mut batch), &embedding, &mut finished)
                    .await?;
            }
            if chunks >= TURN_CHUNKS {
                break;
            }
        }
        self.write(batch, &embedding, &mut finished).await?;
        // The indexes first: what is completed is found.
        self.knowledge.refresh_locked(id).await?;
        let completed = self.store().complete_members(id, &finished).await;
        completed.map_err(internal)
    }

    /// The embedder of a vector store, and how its files are read.
    async fn reading(
        &self,
        id: &str,
        moved: Option<String>,
    ) -> Result<(Embedding, Reading), CallError> {
        let base = self.knowledge.base(id)?;
        let embedder = self.knowledge.embedder_for_ingest(id, &base.config).await?;
        let room = embedder.max_tokens().await?.saturating_sub(HEADING_RESERVE);
        let reading = Reading {
            options: base.config.cutting(room),
            room,
            limits: LoadLimits {
                max_bytes: self.files.limits().max_document_bytes,
                ..LoadLimits::default()
            },
            ocr: recognition(&base.config.ocr).await?,
            counter: embedder.token_counter().await?,
        };
        let embedding = Embedding {
            base,
            embedder,
            moved,
        };
        Ok((embedding, reading))
    }

    /// Loads a file; nothing where it need not, or cannot, be read.
    async fn load(
        &self,
        store: &VectorStore,
        member: Member,
        reading: &Reading,
    ) -> Result<Option<Loaded>, CallError> {
        match self.store().begin_member(&member).await.map_err(internal)? {
            None => return Ok(None),
            Some(attempts) if attempts > MOST_ATTEMPTS => {
                let message = format!(
                    "it was begun {MOST_ATTEMPTS} times, and whoever read it ended each time"
                );
                self.fail(&member, &Failure::server(message)).await?;
                return Ok(None);
            }
            Some(_) => {}
        }
        let file = self
            .store()
            .file(&member.file, &Clearance::Full, (self.clock)())
            .await;
        let Some(file) = file.map_err(internal)? else {
            return Ok(None);
        };
        let (path, reading) = (self.files.path(&file.hash), reading.clone());
        let labels = labels_of(&file, store);
        let work = tokio::task::spawn_blocking(move || {
            let document = read(&path, &file, &member, labels, &reading);
            (member, document)
        });
        let (member, document) = work.await.map_err(internal)?;
        match document {
            Ok(document) => Ok(Some(Loaded { member, document })),
            Err(failure) => {
                self.fail(&member, &failure).await?;
                Ok(None)
            }
        }
    }

    /// Embeds and writes documents, those of each payer at its cost.
    async fn write(
        &self,
        mut batch: Vec<Loaded>,
        embedding: &Embedding,
        finished: &mut Vec<Finished>,
    ) -> Result<(), CallError> {
        while let Some(first) = batch.first() {
            let payer = first.member.paid_by.clone();
            let is_its = |one: &Loaded| one.member.paid_by == payer;
            let (own, others) = batch.into_iter().partition(is_its);
            batch = others;
            let embedder = embedding.at_cost_of(payer.as_ref(), &self.knowledge);
            self.write_with(own, &*embedder, finished).await?;
        }
        Ok(())
    }

    /// Embeds and writes documents. Where some cannot be embedded, each is tried alone.
    async fn write_with(
        &self,
        batch: Vec<Loaded>,
        embedder: &dyn Embedder,
        finished: &mut Vec<Finished>,
    ) -> Result<(), CallError> {
        let Some(first) = batch.first() else {
            return Ok(());
        };
        let id = first.member.store.clone();
        let texts = batch.iter().flat_map(|one| one.document.texts()).collect();
        let stored = self.store().dimension(&id).await.map_err(internal)?;
        let embed = async |texts| {
            let vectors = embedded(embedder, texts).await?;
            one_length(&id, embedder, stored, &vectors)?;
            Ok::<_, CallError>(vectors)
        };
        if let Ok(vectors) = embed(texts).await {
            let mut vectors = vectors.into_iter();
            for one in batch {
                self.put_document(one, &mut vectors, finished).await?;
            }
            return Ok(());
        }
        for one in batch {
            match embed(one.document.texts()).await {
                Ok(vectors) => {
                    self.put_document(one, &mut vectors.into_iter(), finished)
                        .await?;
                }
                Err(error) => {
                    self.fail(&one.member, &Failure::server(told(&error)))
                        .await?;
                }
            }
        }
        Ok(())
    }

    async fn put_document(
        &self,
        one: Loaded,
        vectors: &mut impl Iterator<Item = Vec<f32>>,
        finished: &mut Vec<Finished>,
    ) -> Result<(), CallError> {
        let document = one.document.embedded(vectors);
        let put = self
            .store()
            .put_member_document(&one.member, &document)
            .await;
        if put.map_err(internal)? {
            finished.push(Finished {
                usage_bytes: usage(&document),
                file: one.member.file,
                revision: one.member.revision,
            });
        }
        Ok(())
    }

    async fn fail(&self, member: &Member, failure: &Failure) -> Result<(), CallError> {
        let noted = self
            .store()
            .fail_member(member, failure.code, &failure.message)
            .await;
        noted.map_err(internal)
    }
}

/// An error with its fix.
fn told(error: &CallError) -> String {
    match &error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message.clone(),
    }
}
