//! The files in vector stores, as clients add, describe and remove them. Left out: how they are read (`work`).

use std::collections::HashSet;

use praxis_core::{CallError, Caller, Clearance, DocumentId, ErrorCode, ids};
use praxis_store::{
    Added, FileBatch, Member, MemberStatus, NewAttributes, NewMember, Page, Paged, VectorStore,
};
use serde_json::{Map, Value};

use super::{FileRequest, VectorStores, attributes, changeable_by, labels_of, missing};
use crate::ingest::short_hash;
use crate::knowledge::internal;

/// What ids of batches begin with.
const BATCH: &str = "vsfb_";

/// What places of files begin with.
const PLACE: &str = "p";

/// Files that may wait in all vector stores together.
const MOST_WAITING: u64 = 20_000;

/// Times that an update is tried while others change the same file.
const TRIES: usize = 8;

impl VectorStores {
    /// Adds files to a vector store; one that is there already is read anew.
    ///
    /// # Errors
    /// As [`VectorStores::create`], and `not_found`, `forbidden` and expired stores.
    pub async fn add_file(
        &self,
        store: &str,
        request: FileRequest,
        caller: &Caller,
    ) -> Result<Member, CallError> {
        let store = self.changeable(store, caller).await?;
        let file = request.file.clone();
        let members = self.members_of(&store.id, vec![request], caller).await?;
        self.put(&store.id, None, &members).await?;
        self.member(&store.id, &file).await
    }

    /// Adds files to a vector store, together.
    ///
    /// # Errors
    /// Those of [`VectorStores::add_file`]; then none is added.
    pub async fn add_batch(
        &self,
        store: &str,
        requests: Vec<FileRequest>,
        caller: &Caller,
    ) -> Result<FileBatch, CallError> {
        let store = self.changeable(store, caller).await?;
        let members = self.members_of(&store.id, requests, caller).await?;
        let id = ids::generate(BATCH);
        self.put(&store.id, Some(&id), &members).await?;
        self.batch_of(&store.id, &id).await
    }

    /// Files as they are to be added: readable by the caller, each once, the last request for it.
    pub(super) async fn members_of(
        &self,
        store: &str,
        requests: Vec<FileRequest>,
        caller: &Caller,
    ) -> Result<Vec<NewMember>, CallError> {
        let mut members = Vec::with_capacity(requests.len());
        let mut seen = HashSet::new();
        for request in requests.into_iter().rev() {
            attributes::check(&request.attributes)?;
            if !seen.insert(request.file.clone()) {
                continue;
            }
            self.files.get(&request.file, &caller.clearance).await?;
            members.push(NewMember {
                document: document_of(store, &request.file),
                place: String::new(),
                file: request.file,
                attributes: request.attributes,
                cut: request.cut,
                paid_by: request.paid_by,
            });
        }
        members.reverse();
        for member in &mut members {
            member.place = ids::generate(PLACE);
        }
        Ok(members)
    }

    pub(super) async fn put(
        &self,
        store: &str,
        batch: Option<&str>,
        members: &[NewMember],
    ) -> Result<(), CallError> {
        let now = (self.clock)();
        let added = self
            .store()
            .add_members(store, batch, members, now, MOST_WAITING)
            .await;
        match added.map_err(internal)? {
            Added::All => {
                self.work.notify_one();
                Ok(())
            }
            Added::TooMany(waiting) => {
                let message =
                    format!("{waiting} files wait to be read, and no more than {MOST_WAITING} may");
                Err(CallError::new(ErrorCode::RateLimited, message)
                    .with_hint("wait until some of them are done"))
            }
            Added::NoStore => Err(missing(store)),
            Added::NoFile(file) => Err(CallError::new(
                ErrorCode::NotFound,
                format!("no file `{file}`"),
            )),
        }
    }

    /// A page of a vector store's files.
    ///
    /// # Errors
    /// `not_found`, or a store that fails.
    pub async fn files(
        &self,
        store: &str,
        status: Option<MemberStatus>,
        page: &Page,
        clearance: &Clearance,
    ) -> Result<Paged<Member>, CallError> {
        let store = self.get(store, clearance).await?;
        let listed = self.store().members(&store.id, None, status, page).await;
        listed.map_err(internal)
    }

    /// A page of a batch's files.
    ///
    /// # Errors
    /// `not_found`, or a store that fails.
    pub async fn files_of_batch(
        &self,
        store: &str,
        batch: &str,
        status: Option<MemberStatus>,
        page: &Page,
        clearance: &Clearance,
    ) -> Result<Paged<Member>, CallError> {
        let batch = self.batch(store, batch, clearance).await?;
        let listed = self
            .store()
            .members(&batch.store, Some(&batch.id), status, page)
            .await;
        listed.map_err(internal)
    }

    /// A file of a vector store.
    ///
    /// # Errors
    /// `not_found`, or a store that fails.
    pub async fn file(
        &self,
        store: &str,
        file: &str,
        clearance: &Clearance,
    ) -> Result<Member, CallError> {
        let store = self.get(store, clearance).await?;
        self.member(&store.id, file).await
    }

    async fn member(&self, store: &str, file: &str) -> Result<Member, CallError> {
        let found = self.store().member(store, file).await.map_err(internal)?;
        found.ok_or_else(|| {
            let message = format!("no file `{file}` in the vector store `{store}`");
            CallError::new(ErrorCode::NotFound, message)
        })
    }

    /// The text of a file as it was read; `None` while there is none.
    ///
    /// # Errors
    /// `not_found`, or a store that fails.
    pub async fn text(
        &self,
        store: &str,
        file: &str,
        clearance: &Clearance,
    ) -> Result<Option<String>, CallError> {
        let member = self.file(store, file, clearance).await?;
        if member.status != MemberStatus::Completed {
            return Ok(None);
        }
        let found = self.store().document(&member.document, clearance).await;
        Ok(found.map_err(internal)?.map(|document| document.text))
    }

    /// Replaces the attributes of a file.
    ///
    /// # Errors
    /// Those of [`VectorStores::add_file`].
    pub async fn set_attributes(
        &self,
        store: &str,
        file: &str,
        attributes: &Map<String, Value>,
        caller: &Caller,
    ) -> Result<Member, CallError> {
        attributes::check(attributes)?;
        let store = self.changeable(store, caller).await?;
        for _ in 0..TRIES {
            let member = self.member(&store.id, file).await?;
            let document = self.described(&store, &member, attributes).await?;
            let now = (self.clock)();
            let set = self
                .store()
                .set_member_attributes(&member, attributes, document, now)
                .await;
            if set.map_err(internal)? {
                return self.member(&store.id, file).await;
            }
        }
        let message = format!("others keep changing the file `{file}`");
        Err(CallError::new(ErrorCode::RateLimited, message))
    }

    /// What is known of a file's document by these attributes, where it is there.
    async fn described(
        &self,
        store: &VectorStore,
        member: &Member,
        attributes: &Map<String, Value>,
    ) -> Result<Option<NewAttributes>, CallError> {
        let head = self.store().head(&member.document, &Clearance::Full).await;
        let Some(head) = head.map_err(internal)? else {
            return Ok(None);
        };
        let file = self.files.get(&member.file, &Clearance::Full).await?;
        let own = head.own.unwrap_or_default();
        Ok(Some(NewAttributes {
            document: member.document.clone(),
            modified: head.modified,
            origin: head.origin,
            metadata: attributes::metadata(&own, &file, attributes),
            own,
            labels: labels_of(&file, store),
        }))
    }

    /// Takes a file out of a vector store.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, or a store that fails.
    pub async fn remove_file(
        &self,
        store: &str,
        file: &str,
        caller: &Caller,
    ) -> Result<(), CallError> {
        let store = changeable_by(self.get(store, &caller.clearance).await?, caller)?;
        self.member(&store.id, file).await?;
        let removed = self.store().remove_member(&store.id, file).await;
        removed.map(|_| ()).map_err(internal)
    }

    /// A batch of a vector store.
    ///
    /// # Errors
    /// `not_found`, or a store that fails.
    pub async fn batch(
        &self,
        store: &str,
        batch: &str,
        clearance: &Clearance,
    ) -> Result<FileBatch, CallError> {
        let store = self.get(store, clearance).await?;
        self.batch_of(&store.id, batch).await
    }

    async fn batch_of(&self, store: &str, batch: &str) -> Result<FileBatch, CallError> {
        let found = self
            .store()
            .file_batch(store, batch)
            .await
            .map_err(internal)?;
        found.ok_or_else(|| {
            let message = format!("no batch `{batch}` in the vector store `{store}`");
            CallError::new(ErrorCode::NotFound, message)
        })
    }

    /// Calls off what of a batch is not done yet.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, or a store that fails.
    pub async fn cancel_batch(
        &self,
        store: &str,
        batch: &str,
        caller: &Caller,
    ) -> Result<FileBatch, CallError> {
        let store = changeable_by(self.get(store, &caller.clearance).await?, caller)?;
        let batch = self.batch_of(&store.id, batch).await?;
        let cancelled = self.store().cancel_file_batch(&store.id, &batch.id).await;
        cancelled.map_err(internal)?;
        self.batch_of(&store.id, &batch.id).await
    }
}

/// The document that a file becomes in a vector store.
fn document_of(store: &str, file: &str) -> DocumentId {
    DocumentId::from_string(short_hash(&[store, file]))
}
