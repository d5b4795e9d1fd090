//! The knowledge bases of an application, and the state behind them. Left out: searching them (`retrieve`),
//! filling them (`ingest`), keeping their indexes up to the store (`keeper`), making these anew (`rebuild`) and
//! checking them (`check`).

mod keeper;
mod keywords;
mod lock;
mod rebuild;
mod snapshot;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use praxis_core::suggest::nearest;
use praxis_core::{
    CallContext, CallError, ChatGateway, ChunkId, Clearance, DocumentId, Embedder, ErrorCode,
    ModelError, Passage, Reranker, now_s,
};
use praxis_store::{Base as StoredBase, Document, DocumentHead, Store, VectorStoreChange};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::BaseConfig;
use crate::graph::Views;
use crate::search::assistant::Assistant;
use crate::search::rerank::Judges;
use crate::vectors::OnDisk;
pub(crate) use keeper::{Keeper, aside};
pub(crate) use lock::BaseLock;
pub use rebuild::RebuildReport;
pub(crate) use snapshot::Snapshot;

/// Between two looks at whether a base is free.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Seconds after which an index of vectors that another process had open is tried again.
const RETRY: i64 = 60;

/// Gives the embedder of a name, or the application's default.
pub type EmbedderSource =
    Arc<dyn Fn(Option<&str>) -> Result<Arc<dyn Embedder>, ModelError> + Send + Sync>;

/// Gives the same for a call, whose caller pays for it.
pub type PaidEmbedderSource =
    Arc<dyn Fn(Option<&str>, &CallContext) -> Result<Arc<dyn Embedder>, ModelError> + Send + Sync>;

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
    /// Held while the snapshot is brought up to date for a search: of a large base there must be no two that do.
    loading: Arc<tokio::sync::Mutex<()>>,
    /// Its lock, while this process has it.
    held: Mutex<Weak<lock::Held>>,
    /// The indexes of its vectors, while this process has them open; see [`Base::open_vectors`].
    pub vectors: Mutex<OnDisk>,
    /// When another process was last found to have these open, in seconds; 0 for never.
    pub elsewhere: AtomicI64,
    /// Its graph, as callers see it.
    pub graph: Views,
}

/// The knowledge bases of an application.
pub struct Knowledge {
    state: PathBuf,
    store: Store,
    bases: RwLock<BTreeMap<String, Arc<Base>>>,
    embedders: EmbedderSource,
    paid_embedders: Option<PaidEmbedderSource>,
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

    /// Whether this process searches it.
    pub fn is_searched(&self) -> bool {
        self.current().is_some()
    }

    /// A share of its lock, where this process has it.
    fn held(&self) -> Option<BaseLock> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.upgrade().map(BaseLock::share)
    }

    /// Whether a snapshot is of all that the store has, as far as it could be, and nothing speaks against it.
    fn is_fresh(&self, known: &Snapshot, stored: &StoredBase) -> bool {
        let is_retry_due = || now_s() - self.elsewhere.load(Ordering::Relaxed) >= RETRY;
        known.generation >= stored.generation
            && !known.is_suspect()
            && !(known.indexes.vectors.are_in_memory() && is_retry_due())
    }

    /// Closes the indexes of its vectors unless a search of this process may use them: whoever finds them open in
    /// another process has to read all vectors.
    fn close_idle_vectors(&self) {
        let current = self.current();
        let mut open = self.vectors.lock().unwrap_or_else(PoisonError::into_inner);
        let is_used = current.is_some_and(|known| known.indexes.vectors.are_over(&open));
        if !is_used {
            *open = OnDisk::default();
        }
    }

    fn new(dir: PathBuf, config: BaseConfig, maker: Maker) -> Self {
        Self {
            dir,
            config,
            maker,
            snapshot: RwLock::default(),
            loading: Arc::default(),
            held: Mutex::default(),
            vectors: Mutex::default(),
            elsewhere: AtomicI64::new(0),
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
            paid_embedders: None,
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

    /// The same with embedders whose callers pay for them: for what is embedded for vector stores, which are their
    /// clients'. Without them nobody pays, as nobody does for the application's own bases.
    #[must_use]
    pub fn with_paid_embedders(mut self, embedders: PaidEmbedderSource) -> Self {
        self.paid_embedders = Some(embedders);
        self
    }

    /// The embedder of a base with this identity as who makes a call pays for it; `None` where nobody does. `moved`
    /// names the embedder that the base has moved to, if it has.
    pub(crate) fn paid_embedder(
        &self,
        base: &Base,
        moved: Option<&str>,
        identity: &str,
        cx: &CallContext,
    ) -> Option<Arc<dyn Embedder>> {
        let paid = self.paid_embedders.as_ref()?;
        if let Maker::Application = base.maker {
            return None;
        }
        let configured = base.config.embedder.as_deref();
        let names = std::iter::once(configured).chain(moved.map(Some));
        let mut embedders = names.filter_map(|name| paid(name, cx).ok());
        embedders.find(|embedder| embedder.identity() == identity)
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

    /// Takes a base's lock, which whoever writes to it or to its indexes holds meanwhile, over all processes; or
    /// that of one kind of work on it. Whoever waits for another one can be stopped.
    ///
    /// # Errors
    /// That somebody stopped it, or a disk that fails.
    pub(crate) async fn lock(
        &self,
        name: &str,
        cancel: &CancellationToken,
    ) -> Result<BaseLock, CallError> {
        let path = self.lock_path(name)?;
        let file = File::create(&path).map_err(|error| unwritten(&path, &error))?;
        while !lock::try_lock(&file)? {
            tokio::select! {
                () = cancel.cancelled() => {
                    let message = "it was stopped while it waited for another one on the same base";
                    return Err(CallError::new(ErrorCode::Cancelled, message)
                        .with_hint("run it again when the other one is done"));
                }
                () = tokio::time::sleep(LOCK_PAUSE) => {}
            }
        }
        let bases = self.bases.read().unwrap_or_else(PoisonError::into_inner);
        Ok(BaseLock::over(file, bases.get(name).cloned()))
    }

    fn lock_path(&self, name: &str) -> Result<PathBuf, CallError> {
        let dir = self.state.join("index");
        std::fs::create_dir_all(&dir).map_err(|error| unwritten(&dir, &error))?;
        Ok(dir.join(format!("{name}.lock")))
    }

    /// What the sources of a base keep.
    pub(crate) fn sources_dir(&self, name: &str) -> PathBuf {
        self.state.join("sources").join(name)
    }

    pub(crate) fn index_dir(&self, name: &str) -> PathBuf {
        self.state.join("index").join(name)
    }
}

/// The error of a file or a folder that cannot be written.
fn unwritten(path: &Path, error: &std::io::Error) -> CallError {
    let failed = internal(format!("cannot write `{}`: {error}", path.display()));
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            failed.with_hint("this user must be able to write to it")
        }
        _ => failed,
    }
}

fn remove_dir(dir: &Path) -> Result<(), CallError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(internal(error)),
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
