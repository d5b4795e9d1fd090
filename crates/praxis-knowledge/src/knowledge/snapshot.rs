//! Snapshots: the indexes of a base as searches use them, who loads them, and which one stays. Left out: what loading
//! takes (`keeper`).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use praxis_core::{CallError, ErrorCode};
use praxis_store::Base as StoredBase;

use super::keeper::{Keeper, aside};
use super::keywords::{IndexKind, rebuilding};
use super::{Knowledge, internal};
use crate::keyword::KeywordIndex;
use crate::scope::Scopes;
use crate::search::lanes::Indexes;
use crate::vectors::OnDisk;

/// Of a snapshot that was loaded beside an ingest: no generation of the store, so it does not last.
pub(super) const NO_GENERATION: i64 = -1;

/// The longest wait of a search for indexes that are brought up to the store, where there are others that can be
/// searched.
const PATIENCE: Duration = Duration::from_secs(5);

/// The indexes of a base at one generation of the store.
pub(crate) struct Snapshot {
    pub generation: i64,
    /// Identity of the embedder that made the vectors.
    pub embedder: String,
    pub indexes: Indexes,
    /// What callers may see of it, as far as it was asked.
    pub scopes: Scopes,
}

impl Snapshot {
    /// Whether it is all of the base at its generation, and not what was there beside an ingest.
    pub fn is_whole(&self) -> bool {
        self.generation != NO_GENERATION
    }

    /// Whether a search met what looks like damage of an index. It is looked into when the snapshot is next asked for.
    pub fn is_suspect(&self) -> bool {
        self.indexes.keywords.is_suspect() || self.indexes.document_keywords.is_suspect()
    }
}

impl Knowledge {
    /// The indexes, up to date with the store where that can be done without waiting for long, and the base as the
    /// store had it before; `None` for a base that was never ingested.
    pub(crate) async fn snapshot(
        &self,
        name: &str,
    ) -> Result<Option<(Arc<Snapshot>, StoredBase)>, CallError> {
        let keeper = self.keeper(name)?;
        let Some(stored) = self.store.base(name).await.map_err(internal)? else {
            return Ok(None);
        };
        let snapshot = keeper.snapshot(&stored).await?;
        Ok(snapshot.map(|snapshot| (snapshot, stored)))
    }

    /// After a search that failed: `Ok` where it met a damaged index, which is mended by now. It is to be tried again.
    ///
    /// # Errors
    /// The search's, where that is not so.
    pub(crate) async fn mended(&self, name: &str, error: CallError) -> Result<(), CallError> {
        let current = self.base(name)?.current();
        if !current.is_some_and(|known| known.is_suspect()) {
            return Err(error);
        }
        tracing::warn!(base = name, %error, "a search met an index that may be damaged");
        match self.snapshot(name).await {
            Ok(Some((snapshot, _))) if !snapshot.is_suspect() => Ok(()),
            _ => Err(error.with_hint(rebuilding(name))),
        }
    }
}

impl Keeper {
    /// The snapshot in use where it is fresh; else one that is brought up to the store, beside the search.
    async fn snapshot(&self, stored: &StoredBase) -> Result<Option<Arc<Snapshot>>, CallError> {
        let base = &self.base;
        let current = base.current();
        if let Some(fresh) = current
            .as_ref()
            .filter(|known| base.is_fresh(known, stored))
        {
            return Ok(Some(Arc::clone(fresh)));
        }
        let serving = current.filter(|known| !known.is_suspect());
        let loading = match (&serving, Arc::clone(&base.loading).try_lock_owned()) {
            (_, Ok(loading)) => loading,
            // What is there serves until the one who loads is done.
            (Some(serving), Err(_)) => return Ok(Some(Arc::clone(serving))),
            (None, Err(_)) => Arc::clone(&base.loading).lock_owned().await,
        };
        let current = base.current();
        if let Some(fresh) = current.filter(|known| base.is_fresh(known, stored)) {
            return Ok(Some(fresh));
        }
        let (keeper, stored) = (self.clone(), stored.clone());
        // On a task of its own, which ends also where this search is given up.
        let mut task = tokio::spawn(async move {
            let _loading = loading;
            keeper.brought_up(stored).await
        });
        let Some(serving) = serving else {
            return task.await.map_err(internal)?;
        };
        match tokio::time::timeout(PATIENCE, &mut task).await {
            Ok(done) => done.map_err(internal)?,
            // The next search after its end has it.
            Err(_) => Ok(Some(serving)),
        }
    }

    /// A snapshot that is up to the store, or else the best that there is.
    async fn brought_up(self, stored: StoredBase) -> Result<Option<Arc<Snapshot>>, CallError> {
        let serving = self.base.current().filter(|known| !known.is_suspect());
        // An ingest in another process moves the store all the time: what is there serves until it
        // is done.
        let refreshed = match self.try_lock() {
            Ok(Some(_lock)) => Some(self.refreshed_to_serve().await),
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        };
        match (refreshed, serving) {
            (Some(Ok(snapshot)), _) => Ok(snapshot),
            (None, Some(serving)) => Ok(Some(serving)),
            (Some(Err(error)), Some(serving)) => {
                self.stays_behind(&error);
                Ok(Some(serving))
            }
            // What is there can still be searched.
            (Some(Err(error)), None) if error.code == ErrorCode::StorageFull => {
                self.stays_behind(&error);
                self.beside(stored.embedder).await.map(Some)
            }
            (Some(Err(error)), None) => Err(error),
            (None, None) => self.beside(stored.embedder).await.map(Some),
        }
    }

    fn stays_behind(&self, error: &CallError) {
        let name = &self.name;
        tracing::warn!(base = %name, %error, "the indexes stay behind the store");
    }

    /// What is committed so far, while another process ingests. It is refreshed when that is done.
    pub(super) async fn beside(&self, embedder: String) -> Result<Arc<Snapshot>, CallError> {
        let (mut embedder, mut again) = (embedder, 0..3);
        let indexes = loop {
            let dirs = IndexKind::ALL.map(|kind| self.keyword_dir(kind));
            let [keywords, document_keywords] = aside(move || {
                let [chunks, documents] = dirs.map(|dir| KeywordIndex::open_beside(&dir));
                Ok([chunks.map_err(internal)?, documents.map_err(internal)?])
            })
            .await?;
            let vectors = self.vectors(None, &embedder, OnDisk::default()).await?;
            // A base that moved to another embedder while its vectors were read is read again.
            let now = self.store.base(&self.name).await.map_err(internal)?;
            match now {
                Some(now) if now.embedder != embedder && again.next().is_some() => {
                    embedder = now.embedder;
                }
                _ => {
                    break Indexes {
                        keywords,
                        vectors,
                        document_keywords,
                    };
                }
            }
        };
        Ok(self.keep(Snapshot {
            generation: NO_GENERATION,
            embedder,
            indexes,
            scopes: Scopes::default(),
        }))
    }

    /// Has searches use a snapshot from now on; the one that they use, which is another where this is worse.
    pub(super) fn keep(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let snapshot = Arc::new(snapshot);
        let slot = self.base.snapshot.write();
        let mut slot = slot.unwrap_or_else(PoisonError::into_inner);
        // One that was made beside an ingest is worse than any other.
        let better = slot
            .as_ref()
            .filter(|known| known.is_whole() && !known.is_suspect());
        if !snapshot.is_whole()
            && let Some(better) = better
        {
            return Arc::clone(better);
        }
        *slot = Some(Arc::clone(&snapshot));
        snapshot
    }
}
