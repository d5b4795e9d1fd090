//! The knowledge bases of an application, and the state behind them. Left out: searching them (`retrieve`),
//! filling them (`ingest`), making their indexes anew (`rebuild`) and checking those (`check`).

mod rebuild;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use praxis_core::suggest::nearest;
use praxis_core::{
    CallError, ChatGateway, ChunkId, Clearance, DocumentId, Embedder, ErrorCode, ModelError,
    Passage, Reranker, now_s,
};
use praxis_store::{Base as StoredBase, Document, DocumentHead, Store, VectorStoreChange};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::BaseConfig;
use crate::graph::Views;
use crate::ingest::{indexed_chunk, indexed_text};
use crate::keyword::{KeywordEntry, KeywordIndex, KeywordWriter};
use crate::scope::Scopes;
use crate::search::assistant::Assistant;
use crate::search::lanes::Indexes;
use crate::search::rerank::Judges;
use crate::vectors::{OnDisk, VectorKind, clear, tidy};
pub use rebuild::RebuildReport;

/// Of a snapshot that was loaded beside an ingest: no generation of the store, so it does not last.
const NO_GENERATION: i64 = -1;

/// Between two looks at whether a base is free.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Gives the embedder of a name, or the application's default.
pub type EmbedderSource =
    Arc<dyn Fn(Option<&str>) -> Result<Arc<dyn Embedder>, ModelError> + Send + Sync>;

/// Gives the cross-encoder of a name; `None` for one of a chat model, which reranks too.
pub type RerankerSource =
    Arc<dyn Fn(&str) -> Result<Option<Arc<dyn Reranker>>, ModelError> + Send + Sync>;

/// A base to open: its name, the folder that its paths are relative to, its configuration.
pub type BaseSpec = (String, PathBuf, BaseConfig);

/// Seconds within which a vector store is used again without a note of it.
const USE_NOTED: i64 = 60;

/// Who made a base.
pub(crate) enum Maker {
    /// The application: it is a file of it.
    Application,
    /// A client, while the server ran: it is a vector store.
    Client {
        /// Labels of which a caller needs one to know of it.
        labels: Vec<String>,
        /// When its use was noted last.
        noted: AtomicI64,
    },
}

/// A base, as opened.
pub(crate) struct Base {
    pub dir: PathBuf,
    pub config: BaseConfig,
    pub maker: Maker,
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    /// Held by the search that brings the snapshot up to date: of a large base there must be no two that do.
    loading: tokio::sync::Mutex<()>,
    /// The indexes of its vectors, while this process has them open; see [`Base::open_vectors`].
    pub vectors: Mutex<OnDisk>,
    /// Its graph, as callers see it.
    pub graph: Views,
}

/// The indexes of a base at one generation of the store.
pub(crate) struct Snapshot {
    pub generation: i64,
    /// Identity of the embedder that made the vectors.
    pub embedder: String,
    pub indexes: Indexes,
    /// What callers may see of it, as far as it was asked.
    pub scopes: Scopes,
}

/// What a keyword index has an entry for.
#[derive(Debug, Clone, Copy)]
enum IndexKind {
    Chunks,
    Documents,
}

impl IndexKind {
    fn folder(self) -> &'static str {
        match self {
            Self::Chunks => "keyword",
            Self::Documents => "documents",
        }
    }

    /// Adds the entries of a document.
    fn add(self, writer: &KeywordWriter, document: &Document) -> tantivy::Result<()> {
        let head = &document.head;
        match self {
            Self::Chunks => document.chunks.iter().try_for_each(|chunk| {
                let text = indexed_chunk(&head.title, &chunk.headings, &chunk.context, &chunk.text);
                writer.add(&KeywordEntry {
                    id: chunk.id.as_str(),
                    document: head.id.as_str(),
                    generation: head.generation,
                    text: &text,
                })
            }),
            Self::Documents if document.chunks.is_empty() => Ok(()),
            Self::Documents => writer.add(&KeywordEntry {
                id: head.id.as_str(),
                document: head.id.as_str(),
                generation: head.generation,
                text: &indexed_text(&head.title, &[], &document.text),
            }),
        }
    }
}

/// The knowledge bases of an application.
pub struct Knowledge {
    state: PathBuf,
    store: Store,
    bases: RwLock<BTreeMap<String, Arc<Base>>>,
    embedders: EmbedderSource,
    assistant: Assistant,
    rerankers: Option<RerankerSource>,
}

/// A passage in its surroundings.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Excerpt {
    /// The base.
    pub base: String,
    /// The passage; its scores are zero.
    pub passage: Passage,
    /// Text before it.
    pub before: String,
    /// Text after it.
    pub after: String,
}

impl Base {
    fn current(&self) -> Option<Arc<Snapshot>> {
        let snapshot = self.snapshot.read();
        snapshot.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The indexes of its vectors that this process has open.
    pub fn open_vectors(&self) -> OnDisk {
        let open = self.vectors.lock();
        open.map(|open| open.clone()).unwrap_or_default()
    }

    fn new(dir: PathBuf, config: BaseConfig, maker: Maker) -> Self {
        Self {
            dir,
            config,
            maker,
            snapshot: RwLock::default(),
            loading: tokio::sync::Mutex::default(),
            vectors: Mutex::default(),
            graph: Views::default(),
        }
    }
}

pub(crate) fn internal(error: impl std::fmt::Display) -> CallError {
    CallError::failure(error)
}

impl Knowledge {
    /// The bases of `specs`, with indexes below `state`. Nothing is read before it is needed.
    pub fn open(
        state: PathBuf,
        store: Store,
        specs: Vec<BaseSpec>,
        embedders: EmbedderSource,
    ) -> Self {
        let bases = specs
            .into_iter()
            .map(|(name, dir, config)| {
                let base = Base::new(dir, config, Maker::Application);
                (name, Arc::new(base))
            })
            .collect();
        Self {
            state,
            store,
            bases: RwLock::new(bases),
            embedders,
            assistant: Assistant::default(),
            rerankers: None,
        }
    }

    /// The same with the models that work on questions and rerank results. Without them, a base that wants
    /// them cannot be searched.
    #[must_use]
    pub fn with_models(mut self, chat: Arc<dyn ChatGateway>, rerankers: RerankerSource) -> Self {
        self.assistant = Assistant::new(chat);
        self.rerankers = Some(rerankers);
        self
    }

    /// The chat models, as searches ask them.
    pub(crate) fn assistant(&self) -> &Assistant {
        &self.assistant
    }

    /// The models that rerank.
    pub(crate) fn judges(&self) -> Judges<'_> {
        Judges {
            assistant: &self.assistant,
            rerankers: self.rerankers.as_ref(),
        }
    }

    /// Names of the bases that a caller may know of: those of the application, and vector stores.
    pub fn names(&self, clearance: &Clearance) -> Vec<String> {
        let bases = self.bases.read().unwrap_or_else(PoisonError::into_inner);
        let known = bases.iter().filter(|(_, base)| match &base.maker {
            Maker::Application => true,
            Maker::Client { labels, .. } => clearance.permits(labels),
        });
        known.map(|(name, _)| name.clone()).collect()
    }

    /// Opens the base of a vector store, unless it is open.
    pub(crate) fn open_vector_store(&self, id: &str, name: &str, labels: &[String]) {
        let mut bases = self.bases.write().unwrap_or_else(PoisonError::into_inner);
        bases.entry(id.to_owned()).or_insert_with(|| {
            let config = BaseConfig {
                description: Some(name.to_owned()).filter(|name| !name.is_empty()),
                ..BaseConfig::default()
            };
            let maker = Maker::Client {
                labels: labels.to_vec(),
                noted: AtomicI64::new(0),
            };
            Arc::new(Base::new(self.state.clone(), config, maker))
        });
    }

    /// Closes the base of a vector store: nobody finds it any more.
    pub(crate) fn close_vector_store(&self, id: &str) {
        let mut bases = self.bases.write().unwrap_or_else(PoisonError::into_inner);
        if bases
            .get(id)
            .is_some_and(|base| matches!(base.maker, Maker::Client { .. }))
        {
            bases.remove(id);
        }
    }

    /// Removes the indexes of a vector store that is closed for good. Blocks.
    pub(crate) fn remove_indexes(&self, id: &str) {
        let dir = self.index_dir(id);
        if dir.exists()
            && let Err(error) = std::fs::remove_dir_all(&dir)
        {
            tracing::warn!(base = id, %error, "indexes of a vector store were not removed");
        }
        for lock in [format!("{id}.lock"), format!("{id}.move.lock")] {
            let _ = std::fs::remove_file(self.state.join("index").join(lock));
        }
    }

    /// Notes that a vector store is used, so that it does not expire. A store that cannot write now stops no search.
    pub(crate) async fn note_use(&self, name: &str, base: &Base) {
        let Maker::Client { noted, .. } = &base.maker else {
            return;
        };
        let now = now_s();
        let before = noted.swap(now, Ordering::Relaxed);
        if now - before < USE_NOTED {
            return;
        }
        let used = VectorStoreChange::default();
        if let Err(error) = self.store.change_vector_store(name, &used, now).await {
            noted.store(before, Ordering::Relaxed);
            tracing::warn!(base = name, %error, "the use of a vector store was not noted");
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn base(&self, name: &str) -> Result<Arc<Base>, CallError> {
        let bases = self.bases.read().unwrap_or_else(PoisonError::into_inner);
        bases.get(name).cloned().ok_or_else(|| {
            let error = CallError::new(ErrorCode::NotFound, format!("no knowledge base `{name}`"));
            // Those of clients are not for everybody to know.
            let own = bases
                .iter()
                .filter(|(_, base)| matches!(base.maker, Maker::Application));
            match nearest(name, own.map(|(name, _)| name.as_str())) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint("a base is a file `knowledge/NAME.toml`"),
            }
        })
    }

    pub(crate) fn embedder(&self, config: &BaseConfig) -> Result<Arc<dyn Embedder>, CallError> {
        Ok((self.embedders)(config.embedder.as_deref())?)
    }

    /// The embedder of that name.
    pub(crate) fn embedder_named(&self, name: &str) -> Result<Arc<dyn Embedder>, CallError> {
        Ok((self.embedders)(Some(name))?)
    }

    /// The embedder that made a base's vectors: the one that its configuration names, or the one that it
    /// has moved to since. `None` where they are another one's.
    pub(crate) async fn embedder_of(
        &self,
        name: &str,
        identity: &str,
    ) -> Result<Option<Arc<dyn Embedder>>, CallError> {
        let configured = self.embedder(&self.base(name)?.config)?;
        if configured.identity() == identity {
            return Ok(Some(configured));
        }
        let stored = self.store.base(name).await.map_err(internal)?;
        let moved = stored.and_then(|stored| stored.embedder_name);
        let moved = moved.and_then(|moved| self.embedder_named(&moved).ok());
        Ok(moved.filter(|embedder| embedder.identity() == identity))
    }

    /// Documents of a base that a caller may read, with their state.
    ///
    /// # Errors
    /// An unknown base, or a store that fails.
    pub async fn documents(
        &self,
        name: &str,
        clearance: &Clearance,
    ) -> Result<Vec<DocumentHead>, CallError> {
        self.base(name)?;
        let documents = self.store.documents(name, clearance).await;
        documents.map_err(internal)
    }

    /// One document with its text.
    ///
    /// # Errors
    /// An unknown document, or one that the caller may not read, which is told alike; or a store that
    /// fails.
    pub async fn document(
        &self,
        id: &DocumentId,
        clearance: &Clearance,
    ) -> Result<Document, CallError> {
        self.store
            .document(id, clearance)
            .await
            .map_err(internal)?
            .ok_or_else(|| CallError::new(ErrorCode::NotFound, format!("no document `{id}`")))
    }

    /// A passage with up to `around` characters on either side.
    ///
    /// # Errors
    /// An unknown chunk, or one that the caller may not read, which is told alike; or a store that fails.
    pub async fn excerpt(
        &self,
        id: &ChunkId,
        around: usize,
        clearance: &Clearance,
    ) -> Result<Excerpt, CallError> {
        let missing = || {
            CallError::new(ErrorCode::NotFound, format!("no passage `{id}`"))
                .with_hint("its document has changed since; ask again")
        };
        let found = self
            .store
            .chunk(id, clearance)
            .await
            .map_err(internal)?
            .ok_or_else(missing)?;
        let document = self
            .store
            .document(&found.document, clearance)
            .await
            .map_err(internal)?
            .ok_or_else(missing)?;
        let (start, end) = (found.chunk.start, found.chunk.end);
        let cut = |from: usize, to: usize| {
            document
                .text
                .chars()
                .skip(from)
                .take(to.saturating_sub(from))
                .collect::<String>()
        };
        Ok(Excerpt {
            base: document.base.clone(),
            before: cut(start.saturating_sub(around), start),
            after: cut(end, end + around),
            passage: passage(found, 0.0, 0.0),
        })
    }

    /// One ingest or rebuild of a base at a time, over all processes. Whoever waits for another one can be stopped.
    ///
    /// # Errors
    /// That somebody stopped it, or a disk that fails.
    pub(crate) async fn lock(
        &self,
        name: &str,
        cancel: &CancellationToken,
    ) -> Result<File, CallError> {
        let file = File::create(self.lock_path(name)?).map_err(internal)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(internal(error)),
            }
            tokio::select! {
                () = cancel.cancelled() => {
                    let message = "it was stopped while it waited for another one on the same base";
                    return Err(CallError::new(ErrorCode::Cancelled, message)
                        .with_hint("run it again when the other one is done"));
                }
                () = tokio::time::sleep(LOCK_PAUSE) => {}
            }
        }
    }

    fn lock_path(&self, name: &str) -> Result<PathBuf, CallError> {
        let dir = self.state.join("index");
        std::fs::create_dir_all(&dir).map_err(internal)?;
        Ok(dir.join(format!("{name}.lock")))
    }

    /// What the sources of a base keep.
    pub(crate) fn sources_dir(&self, name: &str) -> PathBuf {
        self.state.join("sources").join(name)
    }

    pub(crate) fn index_dir(&self, name: &str) -> PathBuf {
        self.state.join("index").join(name)
    }

    /// The indexes, up to date with the store where that can be done without waiting, and the base as the
    /// store had it before; `None` for a base that was never ingested.
    pub(crate) async fn snapshot(
        &self,
        name: &str,
    ) -> Result<Option<(Arc<Snapshot>, StoredBase)>, CallError> {
        self.base(name)?;
        let Some(stored) = self.store.base(name).await.map_err(internal)? else {
            return Ok(None);
        };
        let snapshot = self.snapshot_of(name, &stored).await?;
        Ok(snapshot.map(|snapshot| (snapshot, stored)))
    }

    async fn snapshot_of(
        &self,
        name: &str,
        stored: &StoredBase,
    ) -> Result<Option<Arc<Snapshot>>, CallError> {
        let base = self.base(name)?;
        let is_fresh = |known: &Arc<Snapshot>| known.generation >= stored.generation;
        let current = base.current();
        let loading = base.loading.try_lock();
        let _loading = match (&current, loading) {
            (Some(current), _) if is_fresh(current) => return Ok(Some(Arc::clone(current))),
            (_, Ok(loading)) => loading,
            // What is there serves until the one who loads is done.
            (Some(current), Err(_)) => return Ok(Some(Arc::clone(current))),
            (None, Err(_)) => base.loading.lock().await,
        };
        let current = base.current();
        if let Some(current) = current.as_ref().filter(|known| is_fresh(known)) {
            return Ok(Some(Arc::clone(current)));
        }
        // An ingest in another process moves the store all the time: what is there serves until it
        // is done.
        let free = File::create(self.lock_path(name)?)
            .and_then(|f| f.try_lock().map(|()| f).map_err(Into::into));
        if let Ok(_lock) = free {
            match self.refresh_locked(name).await {
                // What is there can still be searched.
                Err(error) if error.code == ErrorCode::StorageFull => {
                    tracing::warn!(base = name, %error, "the indexes stay behind the store");
                }
                refreshed => return refreshed,
            }
        }
        match current {
            Some(current) => Ok(Some(current)),
            None => {
                let embedder = stored.embedder.clone();
                self.snapshot_beside(name, embedder).await.map(Some)
            }
        }
    }

    /// What is committed so far, while another process ingests. It is refreshed when that is done.
    async fn snapshot_beside(
        &self,
        name: &str,
        embedder: String,
    ) -> Result<Arc<Snapshot>, CallError> {
        let open = |kind: IndexKind| {
            KeywordIndex::open_beside(&self.index_dir(name).join(kind.folder())).map_err(internal)
        };
        let (mut embedder, mut again) = (embedder, 0..3);
        let indexes = loop {
            let (keywords, documents) = (open(IndexKind::Chunks)?, open(IndexKind::Documents)?);
            let indexes = self
                .indexes(name, OnDisk::default(), keywords, documents)
                .await?;
            // A base that moved to another embedder while its vectors were read is read again.
            let now = self.store.base(name).await.map_err(internal)?;
            match now {
                Some(now) if now.embedder != embedder && again.next().is_some() => {
                    embedder = now.embedder;
                }
                _ => break indexes,
            }
        };
        self.keep(
            name,
            Snapshot {
                generation: NO_GENERATION,
                embedder,
                indexes,
                scopes: Scopes::default(),
            },
        )
    }

    /// The indexes of a base. Vectors that are not `on_disk` are read from the store.
    async fn indexes(
        &self,
        name: &str,
        on_disk: OnDisk,
        keywords: KeywordIndex,
        document_keywords: KeywordIndex,
    ) -> Result<Indexes, CallError> {
        let vectors = self.vectors(name, on_disk).await?;
        Ok(Indexes {
            keywords,
            vectors,
            document_keywords,
        })
    }

    fn keep(&self, name: &str, snapshot: Snapshot) -> Result<Arc<Snapshot>, CallError> {
        let snapshot = Arc::new(snapshot);
        let base = self.base(name)?;
        let slot = base.snapshot.write();
        let mut slot = slot.unwrap_or_else(PoisonError::into_inner);
        // One that was made beside an ingest is worse than any other.
        if snapshot.generation == NO_GENERATION
            && let Some(better) = slot.as_ref().filter(|s| s.generation != NO_GENERATION)
        {
            return Ok(Arc::clone(better));
        }
        *slot = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    /// Brings the indexes up to the store and loads them, and merges vectors in the background. The caller
    /// holds the base's lock.
    pub(crate) async fn refresh_locked(
        &self,
        name: &str,
    ) -> Result<Option<Arc<Snapshot>>, CallError> {
        let snapshot = self.refreshed(name).await?;
        let vectors = snapshot.as_ref().map(|s| &s.indexes.vectors);
        for kind in VectorKind::ALL {
            let index = vectors.and_then(|vectors| vectors.on_disk(kind));
            if let Some(index) = index.filter(|index| index.is_merge_due()) {
                tokio::spawn(tidy(index));
            }
        }
        Ok(snapshot)
    }

    /// Merges the vectors of a base, for a process that may end thereafter; nothing where another process has
    /// their indexes open.
    pub(crate) async fn tidy_vectors(&self, name: &str) -> Result<(), CallError> {
        let open = self.base(name)?.open_vectors();
        for index in open.chunks.into_iter().chain(open.documents) {
            tidy(index).await;
        }
        Ok(())
    }

    /// Makes indexes anew that are ahead of the store, as where an older copy of it was put back. Before it
    /// changes: once it has their generations again, for other documents, nothing tells. The caller holds the
    /// base's lock.
    pub(crate) async fn forget_what_is_ahead(
        &self,
        name: &str,
        stored: Option<&StoredBase>,
    ) -> Result<(), CallError> {
        let Some(stored) = stored else {
            return self.empty_indexes(name);
        };
        for kind in [IndexKind::Chunks, IndexKind::Documents] {
            let dir = self.index_dir(name).join(kind.folder());
            let index = KeywordIndex::open_beside(&dir).map_err(internal)?;
            if is_ahead(&index.manifest().map_err(internal)?, stored) {
                tracing::warn!(base = name, "an index of keywords is ahead of the store");
                remove_dir(&dir)?;
            }
        }
        if self.index_vectors(name, stored).await?.chunks.is_none() {
            // Without a vector in the store there is nothing to compare them with.
            clear(&self.index_dir(name));
        }
        Ok(())
    }

    /// Removes what the indexes hold, so that they are made anew. The caller holds the base's lock.
    fn empty_indexes(&self, name: &str) -> Result<(), CallError> {
        let dir = self.index_dir(name);
        for kind in [IndexKind::Chunks, IndexKind::Documents] {
            remove_dir(&dir.join(kind.folder()))?;
        }
        clear(&dir);
        Ok(())
    }

    async fn refreshed(&self, name: &str) -> Result<Option<Arc<Snapshot>>, CallError> {
        let Some(stored) = self.store.base(name).await.map_err(internal)? else {
            return Ok(None);
        };
        let (keywords, documents) = self.index_keywords(name).await?;
        let on_disk = self.index_vectors(name, &stored).await?;
        let indexes = self.indexes(name, on_disk, keywords, documents).await?;
        let snapshot = Snapshot {
            generation: stored.generation,
            embedder: stored.embedder,
            indexes,
            scopes: Scopes::default(),
        };
        self.keep(name, snapshot).map(Some)
    }

    /// Brings the keyword indexes on disk, of chunks and of documents, up to the store. The caller holds
    /// the base's lock.
    pub(crate) async fn index_keywords(
        &self,
        name: &str,
    ) -> Result<(KeywordIndex, KeywordIndex), CallError> {
        let chunks = self.index(name, IndexKind::Chunks).await?;
        let documents = self.index(name, IndexKind::Documents).await?;
        Ok((chunks, documents))
    }

    async fn index(&self, name: &str, kind: IndexKind) -> Result<KeywordIndex, CallError> {
        let dir = self.index_dir(name).join(kind.folder());
        let keywords = KeywordIndex::open(&dir).map_err(internal)?;
        let Err(error) = self.sync_keywords(name, &keywords, kind).await else {
            return Ok(keywords);
        };
        drop(keywords);
        // It is whole as it was before.
        if error.code == ErrorCode::StorageFull {
            return Err(error);
        }
        tracing::warn!(base = name, %error, "an index of keywords is made anew from the store");
        std::fs::remove_dir_all(&dir).map_err(internal)?;
        let keywords = KeywordIndex::open(&dir).map_err(internal)?;
        self.sync_keywords(name, &keywords, kind).await?;
        Ok(keywords)
    }

    async fn sync_keywords(
        &self,
        name: &str,
        keywords: &KeywordIndex,
        kind: IndexKind,
    ) -> Result<(), CallError> {
        let before = keywords.manifest().map_err(internal)?;
        let documents = self.store.generations(name).await.map_err(internal)?;
        let after: BTreeMap<String, i64> = documents
            .iter()
            .map(|(id, generation)| (id.to_string(), *generation))
            .collect();
        let stored = self.store.base(name).await.map_err(internal)?;
        if stored.is_some_and(|stored| is_ahead(&before, &stored)) {
            return Err(internal("it is ahead of the store"));
        }
        if before == after {
            return keywords.reload().map_err(internal);
        }
        let writer = keywords.writer().map_err(internal)?;
        for (id, generation) in &before {
            if after.get(id) != Some(generation) {
                writer.remove(id);
            }
        }
        for (id, _) in documents
            .iter()
            .filter(|(id, generation)| before.get(id.as_str()) != Some(generation))
        {
            // An index holds all documents; who may find them is a matter of each search.
            let document = self.store.document(id, &Clearance::Full).await;
            let Some(document) = document.map_err(internal)? else {
                continue;
            };
            if let Err(error) = kind.add(&writer, &document) {
                return Err(internal(writer.cause(error)));
            }
        }
        tokio::task::spawn_blocking(move || writer.commit(&after))
            .await
            .map_err(internal)?
            .map_err(internal)?;
        keywords.reload().map_err(internal)
    }
}

/// Whether an index of keywords holds what the store does not know yet.
fn is_ahead(held: &BTreeMap<String, i64>, stored: &StoredBase) -> bool {
    held.values()
        .any(|generation| *generation > stored.generation)
}

fn remove_dir(dir: &Path) -> Result<(), CallError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(internal(error)),
        _ => Ok(()),
    }
}

/// The error of a base whose vectors are another embedder's than the one that it is to be used with.
pub(crate) fn other_embedder(name: &str, stored: &str, configured: &str) -> CallError {
    let message =
        format!("`{name}` holds vectors of `{stored}`, its embedder is now `{configured}`");
    CallError::new(ErrorCode::InvalidRequest, message).with_hint(format!(
        "run `praxis knowledge reembed {name}` to move it there while it serves, or set `embedder` back"
    ))
}

pub(crate) fn passage(found: praxis_store::FoundChunk, score: f32, relevance: f32) -> Passage {
    Passage {
        chunk: found.chunk.id,
        document: found.document,
        title: found.title,
        uri: found.uri,
        headings: found.chunk.headings,
        page: found.chunk.page,
        start: found.chunk.start,
        end: found.chunk.end,
        text: found.chunk.text,
        score,
        relevance,
    }
}

#[cfg(test)]
mod tests;
