//! The one source of truth: documents, chunks, files, vector stores, traces, feedback, versions of prompts, API keys and
//! what they use.
//!
//! SQLite in WAL mode today; the SQL keeps to one portable dialect so that PostgreSQL can come
//! behind the same methods. Indexes and caches are derived from here and live elsewhere. Left out:
//! what a document means, and how it is searched.

mod approvals;
mod attributes;
mod batches;
mod changes;
mod contexts;
mod conversations;
mod counts;
mod direct;
mod documents;
mod feedback;
mod files;
mod graph;
mod idempotency;
mod keys;
mod ledger;
mod members;
mod moves;
mod page;
mod responses;
mod spans;
mod surroundings;
mod uploads;
mod vector_stores;
mod versions;
mod waiting;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection;
use sqlx::SqlitePool;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::Mutex;

pub use approvals::{LogPage, LoggedCall, StoreApprovals};
pub use attributes::{NewAttributes, ValueRange};
pub use batches::{
    Batch, BatchAdded, BatchAnswer, BatchBounds, BatchError, BatchFiles, BatchStatus, BatchTimes,
    Ended, LineOutcome, Maker, RequestCounts,
};
pub use changes::{ChunkEntry, NumberedVector, Place};
pub use conversations::{Conversation, ConversationBounds, ItemsAdded, StoredItem};
pub use counts::DocumentCounts;
pub use documents::{Base, Chunk, Document, DocumentHead, FoundChunk, NewDocument, Origin};
pub use feedback::{Feedback, FeedbackFilter, Given, NewFeedback, Thumb};
pub use files::{DeletedFile, StoredFile};
pub use graph::{
    EntityVector, ExtractionCount, ExtractionTotal, GraphChunk, GraphPlace, GraphRows, HandMerge,
    MentionRow, NewExtraction, NewMention, NewTriple, StoredTriple, UnembeddedEntity,
};
pub use idempotency::{Attempt, Begun, KeptAnswer, MostKept};
pub use keys::{ApiKey, KeyChange, NewKey, Scope, ScopeError, Scopes, hash_of};
pub use ledger::{Clock, StoreLedger, UsageGroup, UsageSum};
pub use members::{Added, Cut, FileBatch, Member, MemberStatus, NewMember};
pub use moves::{MoveProgress, UnmovedChunk};
pub use page::{Page, Paged};
pub use responses::{
    Chain, ChainBounds, Held, LeftResponse, ResponseEnd, ResponseItems, ResponseStatus,
    StoredEvents, StoredResponse,
};
pub use spans::{TraceEnd, TraceFilter, TraceHead};
pub use surroundings::{DocumentVector, Neighbour};
pub use uploads::{StoredUpload, UploadBounds, UploadPart, UploadStatus, UploadStep};
pub use vector_stores::{FileCounts, VectorStore, VectorStoreChange};
pub use versions::{PromptVersion, VersionUse};
pub use waiting::Finished;
pub use writer::TraceWriter;

/// A store error, sorted by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Mend the path, its permissions or the disk.
    #[error("cannot open the store `{}`: {source}{fix}", path.display(), fix = remedy(is_damaged(.source)))]
    Open {
        /// The database file.
        path: PathBuf,
        /// The driver's error.
        source: sqlx::Error,
    },
    /// Use a newer Praxis, or delete the folder `.praxis` to begin anew.
    #[error("the store `{}` does not fit this version of Praxis: {source}", path.display())]
    Migrate {
        /// The database file.
        path: PathBuf,
        /// What does not fit.
        source: sqlx::migrate::MigrateError,
    },
    /// Retry, or mend the disk.
    #[error("the store failed: {0}{fix}", fix = remedy(is_damaged(.0)))]
    Query(#[from] sqlx::Error),
    /// The same of the ledger's connection.
    #[error("the store failed: {0}{fix}", fix = remedy(is_damaged_ledger(.0)))]
    Ledger(#[from] rusqlite::Error),
    /// Mend the system: it gives no thread.
    #[error("the system gives no thread: {0}")]
    Thread(std::io::Error),
    /// Mend the system: without random bytes no key can be made.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// Report it: a row holds what Praxis never writes.
    #[error("the store holds a damaged row: {0}")]
    Damaged(String),
}

/// What is said behind an error of a file that is damaged, or no database at all.
fn remedy(is_damaged: bool) -> &'static str {
    match is_damaged {
        true => {
            "; restore `.praxis/praxis.db` from a backup, or move it away and run `praxis ingest` again: keys, traces \
             and usage in it are lost"
        }
        false => "",
    }
}

fn is_damaged(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    let code = code.and_then(|code| code.parse::<i32>().ok());
    // An extended code has its kind in its lowest byte: `SQLITE_CORRUPT`, `SQLITE_NOTADB`.
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

fn is_damaged_ledger(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(
        error.sqlite_error_code(),
        Some(DatabaseCorrupt | NotADatabase)
    )
}

/// A handle to the store. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
    /// Whose turn it is of those who write at each call (`direct`).
    turn: Arc<Mutex<()>>,
    counts: counts::Counts,
}

/// Connections to the database, at most.
const CONNECTIONS: u32 = 4;

impl Store {
    /// Opens the database at `path`, creating it and bringing its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Open`] or [`StoreError::Migrate`].
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A committed transaction survives `kill -9` and a crash of the machine.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(30));
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            // SQLite rolls back by itself where a disk is full, and the driver goes on to count the transaction.
            .before_acquire(|connection, _| {
                let is_usable = !connection.is_in_transaction();
                Box::pin(async move { Ok(is_usable) })
            })
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open {
                path: path.to_owned(),
                source,
            })?;
        sqlx::migrate!()
            .run(&pool)
            .await
            .map_err(|source| match source {
                // A damaged file says nothing of versions.
                MigrateError::Execute(source) if is_damaged(&source) => StoreError::Open {
                    path: path.to_owned(),
                    source,
                },
                source => StoreError::Migrate {
                    path: path.to_owned(),
                    source,
                },
            })?;
        Ok(Self {
            pool,
            turn: Arc::default(),
            counts: counts::Counts::default(),
        })
    }
}

#[cfg(test)]
mod tests;
