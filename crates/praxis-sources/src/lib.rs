//! Where the documents of a knowledge base come from.
//!
//! A [`Source`] lists what it holds, each [`Entry`] under a stable name and with the version that it has, and
//! gives the bytes of an entry when they are asked for. Folders, web sites, Git repositories, buckets, databases
//! and files of records are each one implementation; [`open`] makes them of their configuration. Left out: what is
//! done with the bytes, which documents are known already, and when to look again: that is the caller's.

mod config;
mod folder;
mod git;
mod glob;
pub mod html;
mod media;
mod place;
mod records;
#[cfg(feature = "s3")]
mod s3;
pub mod watch;
mod web;
mod xml;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use config::{
    FolderConfig, GitConfig, JsonlConfig, S3Config, SourceConfig, SqlConfig, WebConfig, Within,
    problems,
};
pub use git::lfs::is_pointer as is_lfs_pointer;
pub use glob::path_glob;
pub use place::{Environment, Place};
pub use web::guard::{Guard, Lookup, Refused};
pub use web::robots::{MAX_BYTES as MAX_ROBOTS_BYTES, Robots};

/// A document as its source lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name within the base: a path, a URL, or `SOURCE:NAME`. The same document has the same name each time.
    pub uri: String,
    /// What changes with the content, and only then; `None` where size and time of modification tell.
    pub version: Option<String>,
    /// Bytes, as far as known; what is larger than the source's limit is not fetched.
    pub size: u64,
    /// Last modification, nanoseconds since the epoch; 0 where nobody knows.
    pub modified: i64,
    /// How its source finds it again.
    locator: Locator,
}

impl Entry {
    /// The file that it is, where it is one of this machine.
    pub fn path(&self) -> Option<&std::path::Path> {
        match &self.locator {
            Locator::File(path) => Some(path),
            Locator::Name(_) | Locator::Spool(_) => None,
        }
    }
}

/// How a source finds an entry again.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Locator {
    /// A file of this machine.
    File(std::path::PathBuf),
    /// A name that only its source understands.
    Name(String),
    /// Bytes of the source's spool.
    Spool(records::Span),
}

/// The bytes of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// A file name: its ending tells the format, its stem is the title of last resort.
    pub name: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The title, where the source knows it better than the document.
    pub title: Option<String>,
}

/// What a source holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its documents, by URI, each once.
    pub entries: Vec<Entry>,
    /// Whether what is not listed is gone. Where a part could not be looked at, nothing but `gone` is.
    pub complete: bool,
    /// URIs that are gone for sure, whatever else could not be looked at.
    pub gone: Vec<String>,
    /// Folders that are there and hold no file, and files of records that hold none, as the URIs of their documents
    /// begin: emptied, not mounted, or about to be written. Empty for the base's own folder.
    pub empty: Vec<String>,
    /// What its owner must know: what could not be looked at, and why.
    pub notes: Vec<String>,
}

impl Listing {
    /// A listing in order. Of entries of one name the first stays, and the notes tell of the others.
    fn new(mut entries: Vec<Entry>, complete: bool, notes: Vec<String>) -> Self {
        entries.sort_by(|a, b| a.uri.cmp(&b.uri));
        let before = entries.len();
        let mut twice = None;
        entries.dedup_by(|later, first| {
            let same = later.uri == first.uri;
            if same {
                twice.get_or_insert_with(|| first.uri.clone());
            }
            same
        });
        let mut notes = few(notes);
        if let Some(uri) = twice {
            notes.push(format!(
                "{} documents share their name with another, such as `{uri}`: the first of each is read",
                before - entries.len()
            ));
        }
        Self {
            entries,
            complete,
            gone: Vec::new(),
            empty: Vec::new(),
            notes,
        }
    }
}

/// Why a source, or one document of it, cannot be had; sorted by what its owner can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Mend the base's file or the environment.
    #[error("{message}")]
    Settings {
        /// What is wrong.
        message: String,
        /// The fix.
        hint: String,
    },
    /// Wait, or mend the other side: the network, the server, the disk.
    #[error("{0}")]
    Unavailable(String),
    /// Look again: it changed or went after it was listed.
    #[error("it is gone since it was listed: {0}")]
    Gone(String),
    /// Raise the limit, or split it.
    #[error("is {size} bytes large, over the limit of {limit}")]
    TooLarge {
        /// Bytes of it, or those read before the limit.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Somebody stopped it.
    #[error("the ingest was stopped")]
    Cancelled,
}

impl SourceError {
    /// Something to mend in the base's file or the environment.
    pub(crate) fn settings(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Settings {
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// Something that may work later.
    pub(crate) fn unavailable(error: impl std::fmt::Display) -> Self {
        Self::Unavailable(error.to_string())
    }

    /// The fix.
    pub fn hint(&self) -> &str {
        match self {
            Self::Settings { hint, .. } => hint,
            Self::Unavailable(_) => {
                "the next `praxis ingest` tries again; what was read before stays"
            }
            Self::Gone(_) => "the next `praxis ingest` finds it as it is then",
            Self::TooLarge { .. } => "split it, or raise `max_file_bytes` of its source",
            Self::Cancelled => "what is done is kept: `praxis ingest` goes on from here",
        }
    }
}

/// One pass over a source: who watches, and who may stop it.
pub struct Run<'a> {
    /// Is told, now and then, how many documents have been looked at.
    pub progress: &'a (dyn Fn(usize) + Send + Sync),
    /// Ends the pass early.
    pub cancel: &'a CancellationToken,
}

impl Run<'_> {
    /// Fails if the pass was stopped.
    pub(crate) fn check(&self) -> Result<(), SourceError> {
        if self.cancel.is_cancelled() {
            return Err(SourceError::Cancelled);
        }
        Ok(())
    }
}

/// A place that documents come from.
///
/// A listing that fails, or is not complete, says nothing of what is gone: its caller keeps what it has. Sources
/// keep what they fetched below [`Place::state`], whole or not at all, so that a pass that was killed is taken up
/// by the next. One pass over a source runs at a time.
#[async_trait]
pub trait Source: Send + Sync {
    /// Everything that is there now.
    ///
    /// # Errors
    /// [`SourceError`] where nothing can be said of the source as a whole.
    async fn list(&self, run: &Run<'_>) -> Result<Listing, SourceError>;

    /// The bytes of an entry of the last listing.
    ///
    /// # Errors
    /// [`SourceError`] of this document alone.
    async fn fetch(&self, entry: &Entry) -> Result<Content, SourceError>;
}

/// The source of a configuration. Nothing is read and nobody is asked before it is listed, but for secrets.
///
/// # Errors
/// [`SourceError::Settings`]: an environment variable that is not set, or a key that makes no sense.
pub fn open(config: &SourceConfig, place: Place) -> Result<Box<dyn Source>, SourceError> {
    Ok(match config {
        SourceConfig::Folder(config) => Box::new(folder::Folder::new(config.clone(), place)),
        SourceConfig::Web(config) => Box::new(web::Web::new(config.clone(), place)?),
        SourceConfig::Git(config) => Box::new(git::Git::new(config.clone(), place)?),
        SourceConfig::Sql(config) => Box::new(records::sql::Sql::new(config.clone(), place)?),
        SourceConfig::Jsonl(config) => Box::new(records::jsonl::Jsonl::new(config.clone(), place)?),
        #[cfg(feature = "s3")]
        SourceConfig::S3(config) => Box::new(s3::S3::new(config.clone(), place)?),
        #[cfg(not(feature = "s3"))]
        SourceConfig::S3(_) => {
            return Err(SourceError::settings(
                "this build reads no buckets",
                "build it with the feature `s3`, which is on by default",
            ));
        }
    })
}

/// The first notes of many, and how many more there are.
fn few(mut notes: Vec<String>) -> Vec<String> {
    const SHOWN: usize = 8;
    let more = notes.len().saturating_sub(SHOWN);
    if more > 0 {
        notes.truncate(SHOWN);
        notes.push(format!("and {more} more of this kind"));
    }
    notes
}

/// Bytes as hexadecimal digits of their BLAKE3 hash.
fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
