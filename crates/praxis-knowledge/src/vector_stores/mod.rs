//! Vector stores of OpenAI's API: bases that clients make, fill with files and search while the server runs.
//!
//! A vector store is a base like any other, of its own id as name, so all that bases do holds for it: searches
//! with filters and access labels, checks, moves to other embedders, prompts. Files are read in the background
//! (`work`), and what a client was told survives whatever is killed. Access is decided here: who may not read a
//! store or a file is told that there is none. Left out: HTTP, and the files in them
//! (`members`).

mod attributes;
mod document;
mod known;
mod members;
mod search;
#[cfg(test)]
mod tests;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use praxis_core::ledger::PaidBy;
use praxis_core::{CallError, Caller, Clearance, ErrorCode, VECTOR_STORE, ids};
use praxis_store::{
    Cut, FileCounts, Page, Paged, Store, StoredFile, VectorStore, VectorStoreChange,
};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::files::{Files, forbidden, owner};
use crate::knowledge::{Knowledge, internal};
pub use search::{StoreHit, StoreHits, StoreQuery};

/// The vector stores of an application.
pub struct VectorStores {
    knowledge: Arc<Knowledge>,
    files: Arc<Files>,
    clock: fn() -> i64,
    /// Tells who works that there may be work.
    work: Notify,
}

/// A vector store to be made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewVectorStore {
    /// What its maker calls it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What its maker notes of it.
    pub metadata: BTreeMap<String, String>,
    /// Days without use after which it expires.
    pub expires_days: Option<u32>,
    /// Its first files.
    pub files: Vec<FileRequest>,
}

/// A file to be added to a vector store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileRequest {
    /// The file.
    pub file: String,
    /// Values to search by.
    pub attributes: Map<String, Value>,
    /// How it is cut; `None` as bases have it.
    pub cut: Option<Cut>,
    /// Who pays for what is embedded of it, in the background; `None`: nobody.
    pub paid_by: Option<PaidBy>,
}

impl VectorStores {
    /// Opens the vector stores of an application.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn open(
        knowledge: Arc<Knowledge>,
        files: Arc<Files>,
        clock: fn() -> i64,
    ) -> Result<Self, CallError> {
        let live = knowledge.store().live_vector_stores().await;
        for (id, name, labels) in live.map_err(internal)? {
            knowledge.open_vector_store(&id, &name, &labels);
        }
        Ok(Self {
            knowledge,
            files,
            clock,
            work: Notify::new(),
        })
    }

    fn store(&self) -> &Store {
        self.knowledge.store()
    }

    /// The most tokens of a chunk where nothing else was asked for.
    pub fn usual_tokens() -> usize {
        crate::config::SegmentConfig::default().max_tokens
    }

    /// Makes a vector store, with the labels of who makes it.
    ///
    /// # Errors
    /// A file that is not there, attributes that cannot be searched by, `rate_limited` where too many files
    /// wait; or a store that fails.
    pub async fn create(
        &self,
        new: NewVectorStore,
        caller: &Caller,
    ) -> Result<VectorStore, CallError> {
        let id = ids::generate(VECTOR_STORE);
        let members = self.members_of(&id, new.files, caller).await?;
        let now = (self.clock)();
        let store = VectorStore {
            id: id.clone(),
            name: new.name,
            description: new.description,
            metadata: new.metadata,
            expires_days: new.expires_days,
            created: now,
            active: now,
            expired: false,
            owner: owner(caller),
            labels: caller.clearance.labels(),
            counts: FileCounts::default(),
            usage_bytes: 0,
        };
        self.store()
            .put_vector_store(&store)
            .await
            .map_err(internal)?;
        self.knowledge
            .open_vector_store(&id, &store.name, &store.labels);
        if !members.is_empty()
            && let Err(error) = self.put(&id, None, &members).await
        {
            self.drop_store(&id).await?;
            return Err(error);
        }
        self.get(&id, &caller.clearance).await
    }

    /// A vector store that the caller may read, whether or not it has expired.
    ///
    /// # Errors
    /// `not_found`, or a store that fails.
    pub async fn get(&self, id: &str, clearance: &Clearance) -> Result<VectorStore, CallError> {
        let found = self.store().vector_store(id, clearance).await;
        let mut store = found.map_err(internal)?.ok_or_else(|| missing(id))?;
        store.expired = store.is_expired((self.clock)());
        Ok(store)
    }

    /// A vector store that the caller may read and that has not expired.
    async fn live(&self, id: &str, clearance: &Clearance) -> Result<VectorStore, CallError> {
        let store = self.get(id, clearance).await?;
        if store.expired {
            let message = format!("the vector store `{id}` has expired");
            return Err(CallError::new(ErrorCode::InvalidRequest, message)
                .with_hint("make a new one of its files; they are still there"));
        }
        // Another process may have made it.
        self.knowledge
            .open_vector_store(id, &store.name, &store.labels);
        Ok(store)
    }

    /// One that the caller may change, too.
    async fn changeable(&self, id: &str, caller: &Caller) -> Result<VectorStore, CallError> {
        changeable_by(self.live(id, &caller.clearance).await?, caller)
    }

    /// A page of the vector stores that the caller may read.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn list(
        &self,
        page: &Page,
        clearance: &Clearance,
    ) -> Result<Paged<VectorStore>, CallError> {
        let mut listed = self
            .store()
            .vector_stores(page, clearance)
            .await
            .map_err(internal)?;
        for store in &mut listed.items {
            store.expired = store.is_expired((self.clock)());
        }
        Ok(listed)
    }

    /// Changes a vector store.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, one that has expired, or a store that fails.
    pub async fn modify(
        &self,
        id: &str,
        change: &VectorStoreChange,
        caller: &Caller,
    ) -> Result<VectorStore, CallError> {
        self.changeable(id, caller).await?;
        let changed = self
            .store()
            .change_vector_store(id, change, (self.clock)())
            .await;
        if !changed.map_err(internal)? {
            return Err(missing(id));
        }
        self.get(id, &caller.clearance).await
    }

    /// Deletes a vector store. Its documents are out of reach from now on, and removed in the background.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, or a store that fails.
    pub async fn delete(&self, id: &str, caller: &Caller) -> Result<(), CallError> {
        changeable_by(self.get(id, &caller.clearance).await?, caller)?;
        self.drop_store(id).await
    }

    async fn drop_store(&self, id: &str) -> Result<(), CallError> {
        let marked = self.store().mark_vector_store_deleted(id).await;
        marked.map_err(internal)?;
        self.knowledge.close_vector_store(id);
        self.work.notify_one();
        Ok(())
    }
}

/// The vector store, if the caller may change it.
fn changeable_by(store: VectorStore, caller: &Caller) -> Result<VectorStore, CallError> {
    match caller.may_change(store.owner.as_deref(), &store.labels) {
        true => Ok(store),
        false => Err(forbidden("vector store", &store.id)),
    }
}

fn missing(id: &str) -> CallError {
    CallError::new(ErrorCode::NotFound, format!("no vector store `{id}`"))
        .with_hint("`GET /v1/vector_stores` lists them")
}

/// The labels of a document: those of its file, which must not be read by others, else those of its store.
fn labels_of(file: &StoredFile, store: &VectorStore) -> Vec<String> {
    match file.labels.is_empty() {
        true => store.labels.clone(),
        false => file.labels.clone(),
    }
}
