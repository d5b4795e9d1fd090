//! What keeps the indexes of one base up to the store. It owns all that it needs, so that its work goes on to the end
//! where whoever asked for it has hung up. Left out: each of the indexes (`keywords`, `vectors::open`), and who asks
//! (`snapshot`).

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use praxis_core::CallError;
use praxis_store::{Base as StoredBase, Store};

use super::keywords::IndexKind;
use super::lock::{self, BaseLock};
use super::snapshot::Snapshot;
use super::{Base, Knowledge, internal, unwritten};
use crate::scope::Scopes;
use crate::search::lanes::Indexes;
use crate::vectors::{VectorKind, clear, tidy};

/// One base, with what its indexes are made of.
#[derive(Clone)]
pub(crate) struct Keeper {
    pub name: String,
    /// The folder of its indexes.
    pub dir: PathBuf,
    /// The file of its lock.
    lock: PathBuf,
    pub store: Store,
    pub base: Arc<Base>,
}

/// Runs what blocks where it may.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CallError> + Send + 'static,
) -> Result<T, CallError> {
    tokio::task::spawn_blocking(work).await.map_err(internal)?
}

impl Knowledge {
    /// Who keeps the indexes of a base.
    pub(crate) fn keeper(&self, name: &str) -> Result<Keeper, CallError> {
        let base = self.base(name)?;
        Ok(Keeper {
            name: name.to_owned(),
            dir: self.index_dir(name),
            lock: self.lock_path(name)?,
            store: self.store.clone(),
            base,
        })
    }

    /// Brings the indexes up to the store and loads them, and merges vectors in the background. The caller
    /// holds the base's lock.
    pub(crate) async fn refresh_locked(
        &self,
        name: &str,
    ) -> Result<Option<Arc<Snapshot>>, CallError> {
        let work = |keeper: Keeper| async move { keeper.refreshed_to_serve().await };
        self.keeper(name)?.apart(work).await
    }

    /// Brings the keyword indexes on disk, of chunks and of documents, up to the store. The caller holds
    /// the base's lock.
    pub(crate) async fn index_keywords(&self, name: &str) -> Result<(), CallError> {
        let work = |keeper: Keeper| async move { keeper.keywords().await.map(|_| ()) };
        self.keeper(name)?.apart(work).await
    }

    /// Brings the indexes of vectors on disk up to the store, where no other process has them open. The caller holds
    /// the base's lock, and closes them with it unless searches of this process use them.
    pub(crate) async fn index_vectors(
        &self,
        name: &str,
        stored: &StoredBase,
    ) -> Result<(), CallError> {
        let stored = stored.clone();
        let work = |keeper: Keeper| async move {
            let on_disk = keeper.vectors_on_disk(&stored).await;
            on_disk.map(|_| ())
        };
        self.keeper(name)?.apart(work).await
    }

    /// Makes indexes anew that are ahead of the store, as where an older copy of it was put back. Before it
    /// changes: once it has their generations again, for other documents, nothing tells. The caller holds the
    /// base's lock.
    pub(crate) async fn forget_what_is_ahead(
        &self,
        name: &str,
        stored: Option<&StoredBase>,
    ) -> Result<(), CallError> {
        let keeper = self.keeper(name)?;
        let Some(stored) = stored.cloned() else {
            let work = |keeper: Keeper| async move { keeper.empty().await };
            return keeper.apart(work).await;
        };
        let work = |keeper: Keeper| async move {
            keeper.forget_keywords_ahead(&stored).await?;
            if keeper.vectors_on_disk(&stored).await?.chunks.is_none() {
                // Without a vector in the store there is nothing to compare them with.
                keeper.clear_vectors().await?;
            }
            Ok::<(), CallError>(())
        };
        keeper.apart(work).await
    }

    /// Merges the vectors of a base, for a process that may end thereafter; nothing where another process has
    /// their indexes open. Before the caller gives up the base's lock, or after that, unless somebody has it by now.
    pub(crate) async fn tidy_vectors(&self, name: &str) -> Result<(), CallError> {
        let keeper = self.keeper(name)?;
        let lock = match keeper.base.held() {
            Some(lock) => Some(lock),
            None => keeper.try_lock()?,
        };
        let Some(_lock) = lock else {
            return Ok(());
        };
        // Whoever gave up the lock has closed them.
        if keeper.base.open_vectors().chunks.is_none() {
            let stored = self.store.base(name).await.map_err(internal)?;
            if let Some(stored) = stored {
                self.index_vectors(name, &stored).await?;
            }
        }
        let open = keeper.base.open_vectors();
        for index in open.chunks.into_iter().chain(open.documents) {
            tidy(index).await;
        }
        Ok(())
    }
}

impl Keeper {
    /// Does work on a task of its own, which has a share of the base's lock until its end: it is not left half done
    /// where the caller is given up.
    pub(super) async fn apart<T, W>(&self, work: impl FnOnce(Self) -> W) -> Result<T, CallError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, CallError>> + Send + 'static,
    {
        let (lock, work) = (self.base.held(), work(self.clone()));
        let task = tokio::spawn(async move {
            let _lock = lock;
            work.await
        });
        task.await.map_err(internal)?
    }

    /// The base's lock, unless somebody else has it.
    pub(super) fn try_lock(&self) -> Result<Option<BaseLock>, CallError> {
        let file = File::create(&self.lock).map_err(|error| unwritten(&self.lock, &error))?;
        let base = Arc::clone(&self.base);
        Ok(lock::try_lock(&file)?.then(|| BaseLock::over(file, Some(base))))
    }

    /// Brings the indexes up to the store and has searches use them, and merges vectors in the background. The caller
    /// holds the base's lock.
    pub(super) async fn refreshed_to_serve(&self) -> Result<Option<Arc<Snapshot>>, CallError> {
        let snapshot = self.refreshed().await?;
        let vectors = snapshot.as_ref().map(|s| &s.indexes.vectors);
        for kind in VectorKind::ALL {
            let index = vectors.and_then(|vectors| vectors.on_disk(kind));
            if let Some(index) = index.filter(|index| index.is_merge_due()) {
                tokio::spawn(tidy(index));
            }
        }
        Ok(snapshot)
    }

    /// Brings the indexes up to the store and has searches use them; `None` for a base that was never ingested. The
    /// caller holds the base's lock.
    pub(super) async fn refreshed(&self) -> Result<Option<Arc<Snapshot>>, CallError> {
        let Some(stored) = self.store.base(&self.name).await.map_err(internal)? else {
            return Ok(None);
        };
        let before = self
            .base
            .current()
            .filter(|known| known.is_whole() && known.generation <= stored.generation);
        let on_disk = self.vectors_on_disk(&stored).await?;
        let same = before.as_ref().filter(|known| {
            known.generation == stored.generation
                && !known.is_suspect()
                && known.indexes.vectors.are_over(&on_disk)
        });
        if let Some(same) = same {
            return Ok(Some(Arc::clone(same)));
        }
        let (keywords, document_keywords) = self.keywords().await?;
        let vectors = self
            .vectors(before.as_deref(), &stored.embedder, on_disk)
            .await?;
        Ok(Some(self.keep(Snapshot {
            generation: stored.generation,
            embedder: stored.embedder,
            indexes: Indexes {
                keywords,
                vectors,
                document_keywords,
            },
            scopes: Scopes::default(),
        })))
    }

    /// Removes what the indexes hold, so that they are made anew. The caller holds the base's lock.
    pub(super) async fn empty(&self) -> Result<(), CallError> {
        for kind in IndexKind::ALL {
            self.remove_keywords(kind).await?;
        }
        self.clear_vectors().await
    }

    /// Removes all indexes of vectors but those that are open somewhere.
    async fn clear_vectors(&self) -> Result<(), CallError> {
        let dir = self.dir.clone();
        aside(move || {
            clear(&dir);
            Ok(())
        })
        .await
    }
}
