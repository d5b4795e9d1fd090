//! Batches: requests that come in a file, are made while there is room for them, and leave files of what came of them.
//!
//! A batch and every result of it stand in the store, so that a server that is killed goes on at its next start. One
//! task of one process works (`work`): it reads inputs (`lines`), has requests answered by the server's own router as
//! their maker's (`answer`), and writes the files (`output`). Access is decided here: who may not read a batch is told
//! that there is none. Left out: HTTP (`routes::batches`), and what requests mean.

pub(crate) mod answer;
mod lines;
mod output;
#[cfg(test)]
mod tests;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use praxis_core::{CallError, Caller, Clearance, ErrorCode, Usage, ids};
use praxis_knowledge::{Files, Owned};
use praxis_store::{
    Batch, BatchAdded, BatchBounds, BatchStatus, BatchTimes, Maker, Page, Paged, RequestCounts,
    Store, StoredFile,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::access::{Access, Holder};

/// What ids of batches begin with.
const BATCH: &str = "batch_";

/// What an input is sent for.
const PURPOSE: &str = "batch";

/// Seconds within which a batch is done, or ends without the rest.
const WINDOW: i64 = 24 * 60 * 60;

/// Batches that may be open.
const BOUNDS: BatchBounds = BatchBounds {
    of_one: 32,
    of_all: 256,
};

/// The batches of an application.
pub struct Batches {
    store: Store,
    files: Arc<Files>,
    access: Option<Arc<Access>>,
    clock: fn() -> i64,
    /// Tells who works that there may be work.
    work: Notify,
}

/// A batch to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NewBatch {
    /// The file of its requests.
    pub input: String,
    /// What they are made to.
    pub endpoint: String,
    /// What its maker notes of it.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Seconds after which its output files go.
    pub output_expires: Option<i64>,
    /// What its requests are counted under, as the client sent it.
    pub tags: String,
    /// The name by which the client called the server.
    pub host: String,
}

impl Batches {
    /// The batches of an application, whose makers have these keys. `clock` tells seconds since the epoch.
    pub fn new(
        store: Store,
        files: Arc<Files>,
        access: Option<Arc<Access>>,
        clock: fn() -> i64,
    ) -> Self {
        Self {
            store,
            files,
            access,
            clock,
            work: Notify::new(),
        }
    }

    /// Works until `cancel`, with answers from `router`; then what is not done waits for the next time. The router
    /// has to be the API's own, with its guards: requests go through them as their makers'.
    pub async fn run(&self, router: Router, cancel: CancellationToken) {
        let answers = Arc::new(answer::Routed(router));
        tokio::select! {
            () = cancel.cancelled() => {}
            () = work::work_on(self, answers) => {}
        }
    }

    /// Makes a batch, which waits until its input is read.
    ///
    /// # Errors
    /// `not_found` or `invalid_request` for an input that is not there or not for a batch, `rate_limited` where too
    /// many are open; or a store that fails.
    pub(crate) async fn create(&self, new: NewBatch, holder: &Holder) -> Result<Batch, CallError> {
        let caller = &holder.caller;
        let input = self.files.get(&new.input, &caller.clearance).await?;
        if input.purpose != PURPOSE {
            let message = format!("the file `{}` was sent for `{}`", input.id, input.purpose);
            return Err(CallError::new(ErrorCode::InvalidRequest, message)
                .with_hint("send it again with the purpose `batch`"));
        }
        let batch = self.made(new, input, holder);
        let added = self.store.put_batch(&batch, BOUNDS).await;
        let (message, hint) = match added.map_err(CallError::failure)? {
            BatchAdded::Added => {
                self.work.notify_one();
                return Ok(batch);
            }
            BatchAdded::NoInput => {
                let message = format!("no file `{}`", batch.input);
                return Err(CallError::new(ErrorCode::NotFound, message));
            }
            BatchAdded::MakerHas(open) => (
                format!("{open} batches of this key are not done yet"),
                "wait until some are done, or cancel some",
            ),
            BatchAdded::AllHave(open) => (
                format!("{open} batches of this server are not done yet"),
                "wait until some are done",
            ),
        };
        Err(CallError::new(ErrorCode::RateLimited, message).with_hint(hint))
    }

    fn made(&self, new: NewBatch, input: StoredFile, holder: &Holder) -> Batch {
        let created = (self.clock)();
        let Owned { owner, labels } = Owned::by(&holder.caller);
        Batch {
            id: ids::generate(BATCH),
            input: input.id,
            hash: input.hash,
            endpoint: new.endpoint,
            metadata: new.metadata,
            output_expires: new.output_expires,
            status: BatchStatus::Validating,
            ending: None,
            errors: Vec::new(),
            model: None,
            counts: RequestCounts::default(),
            usage: Usage::default(),
            output_file: None,
            error_file: None,
            times: BatchTimes {
                created,
                expires: created.saturating_add(WINDOW),
                ..BatchTimes::default()
            },
            maker: self.maker(holder),
            tags: new.tags,
            host: new.host,
            owner,
            // Of who has no labels, what comes of a file with some must not be for everybody.
            labels: match labels.is_empty() {
                true => input.labels,
                false => labels,
            },
        }
    }

    /// Which key work of this holder is made with later.
    pub(crate) fn maker(&self, holder: &Holder) -> Maker {
        match &self.access {
            None => Maker::Nobody,
            Some(_) => holder.maker(),
        }
    }

    /// A batch that the caller may read.
    ///
    /// # Errors
    /// `not_found`, or a store that fails.
    pub(crate) async fn get(&self, id: &str, clearance: &Clearance) -> Result<Batch, CallError> {
        let found = self.store.batch(id, clearance).await;
        found.map_err(CallError::failure)?.ok_or_else(|| {
            CallError::new(ErrorCode::NotFound, format!("no batch `{id}`"))
                .with_hint("`GET /v1/batches` lists them")
        })
    }

    /// A page of the batches that the caller may read.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) async fn list(
        &self,
        page: &Page,
        clearance: &Clearance,
    ) -> Result<Paged<Batch>, CallError> {
        let listed = self.store.batches(page, clearance).await;
        listed.map_err(CallError::failure)
    }

    /// Calls off what of a batch is not done yet. One that was called off already stays as it is.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, a batch without requests to be made, or a store that fails.
    pub(crate) async fn cancel(&self, id: &str, caller: &Caller) -> Result<Batch, CallError> {
        let batch = self.get(id, &caller.clearance).await?;
        if !caller.may_change(batch.owner.as_deref(), &batch.labels) {
            let message = format!("the batch `{id}` is another key's: this one may only read it");
            return Err(CallError::new(ErrorCode::Forbidden, message).with_hint(
                "use the key that made it, one with a label of it, or the server's own",
            ));
        }
        let cancelled = self.store.cancel_batch(id, (self.clock)()).await;
        if cancelled.map_err(CallError::failure)? {
            self.work.notify_one();
        }
        let batch = self.get(id, &caller.clearance).await?;
        match batch.status {
            BatchStatus::Cancelling | BatchStatus::Cancelled => Ok(batch),
            status => {
                let message = format!("the batch `{id}` is {} already", status.as_str());
                Err(CallError::new(ErrorCode::InvalidRequest, message))
            }
        }
    }

    /// Who has the key of a batch's maker by now; nothing where it opens nothing any more.
    pub(crate) async fn holder(&self, maker: &Maker) -> Result<Option<Arc<Holder>>, CallError> {
        match (&self.access, maker) {
            // Without keys, only this machine may ask, and everything.
            (None, Maker::Nobody) => Ok(Some(Arc::new(Caller::full().into()))),
            (None, _) => Ok(None),
            (Some(access), maker) => {
                let holder = access.holder_again(maker).await;
                holder.map_err(CallError::failure)
            }
        }
    }
}
