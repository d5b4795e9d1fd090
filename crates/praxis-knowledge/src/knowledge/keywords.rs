//! The indexes of keywords, brought up to the store. One that is damaged, or ahead of the store, is made anew; an
//! error of the store or of the disk is none of these, and leaves it as it is. Left out: what an index is (`keyword`).
//!
//! Who reads the store awaits, who cuts texts into words and writes blocks: documents go from the one to the other.

use std::path::{Path, PathBuf};

use praxis_core::{CallError, Clearance};
use praxis_store::{Base as StoredBase, Document};
use tantivy::TantivyError;
use tokio::sync::mpsc;

use super::keeper::{Keeper, aside};
use super::{internal, remove_dir};
use crate::ingest::{indexed_chunk, indexed_text};
use crate::keyword::{KeywordEntry, KeywordIndex, KeywordWriter, Mark, is_damage};

/// Documents that are read ahead of whoever indexes them.
const AHEAD: usize = 2;

/// What a keyword index has an entry for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IndexKind {
    Chunks,
    Documents,
}

impl IndexKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Chunks, Self::Documents];

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
                    generation: head.generation,
                    text: &text,
                })
            }),
            Self::Documents if document.chunks.is_empty() => Ok(()),
            Self::Documents => writer.add(&KeywordEntry {
                id: head.id.as_str(),
                generation: head.generation,
                text: &indexed_text(&head.title, &[], &document.text),
            }),
        }
    }
}

/// Why an index of keywords could not be brought up to the store.
enum Trouble {
    /// It has to be made anew.
    Unfit(String),
    /// It is whole as it was before, and trying again may help.
    Other(CallError),
}

impl Trouble {
    /// That of an index in a folder, which is looked into where the error does not tell. Blocks.
    fn of(error: TantivyError, dir: &Path) -> Self {
        // A thread that gave up does not tell why.
        let is_unclear = matches!(
            error,
            TantivyError::ErrorInThread(_) | TantivyError::Poisoned
        );
        if is_damage(&error) {
            return Self::Unfit(error.to_string());
        }
        match is_unclear.then(|| KeywordIndex::damage_in(dir)) {
            Some(Ok(Some(damage))) => Self::Unfit(damage),
            _ => Self::Other(internal(error)),
        }
    }
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Other(error)
    }
}

impl Keeper {
    /// Where an index of keywords lies.
    pub(super) fn keyword_dir(&self, kind: IndexKind) -> PathBuf {
        self.dir.join(kind.folder())
    }

    /// The keyword indexes on disk, of chunks and of documents, up to the store. The caller holds the base's lock.
    pub(super) async fn keywords(&self) -> Result<(KeywordIndex, KeywordIndex), CallError> {
        let chunks = self.keyword_index(IndexKind::Chunks).await?;
        let documents = self.keyword_index(IndexKind::Documents).await?;
        Ok((chunks, documents))
    }

    /// Removes the indexes of keywords that hold what the store does not know. The caller holds the base's lock.
    pub(super) async fn forget_keywords_ahead(&self, stored: &StoredBase) -> Result<(), CallError> {
        let now = Mark {
            store: self.store.id().await.map_err(internal)?,
            generation: stored.generation,
        };
        for kind in IndexKind::ALL {
            let dir = self.keyword_dir(kind);
            let held = aside(move || KeywordIndex::mark_in(&dir).map_err(internal)).await?;
            if let Some(why) = misfit(&held, &now) {
                tracing::warn!(base = %self.name, "an index of keywords is made anew: {why}");
                self.remove_keywords(kind).await?;
            }
        }
        Ok(())
    }

    /// Removes an index of keywords.
    pub(super) async fn remove_keywords(&self, kind: IndexKind) -> Result<(), CallError> {
        let dir = self.keyword_dir(kind);
        aside(move || remove_dir(&dir)).await
    }

    async fn keyword_index(&self, kind: IndexKind) -> Result<KeywordIndex, CallError> {
        let trouble = match self.found_damage(kind).await? {
            Some(damage) => damage,
            None => match self.synced(kind).await {
                Ok(index) => return Ok(index),
                Err(Trouble::Other(error)) => return Err(error),
                Err(Trouble::Unfit(why)) => why,
            },
        };
        let name = &self.name;
        tracing::warn!(
            base = %name,
            error = %trouble,
            "an index of keywords is made anew from the store"
        );
        self.remove_keywords(kind).await?;
        match self.synced(kind).await {
            Ok(index) => Ok(index),
            Err(Trouble::Other(error)) => Err(error),
            Err(Trouble::Unfit(why)) => Err(internal(why).with_hint(rebuilding(name))),
        }
    }

    /// What is wrong with the files of the indexes of keywords. Reads all of them.
    pub(crate) async fn keyword_problems(&self) -> Result<Vec<String>, CallError> {
        let mut problems = Vec::new();
        for kind in IndexKind::ALL {
            let name = match kind {
                IndexKind::Chunks => "keywords",
                IndexKind::Documents => "keywords of documents",
            };
            let damage = self.keyword_damage(kind).await?;
            problems.extend(damage.map(|damage| format!("{name}: {damage}")));
        }
        Ok(problems)
    }

    async fn keyword_damage(&self, kind: IndexKind) -> Result<Option<String>, CallError> {
        let dir = self.keyword_dir(kind);
        aside(move || KeywordIndex::damage_in(&dir).map_err(internal)).await
    }

    /// What is wrong with the files of an index in which a search met what looks like damage.
    async fn found_damage(&self, kind: IndexKind) -> Result<Option<String>, CallError> {
        let is_suspect = self.base.current().is_some_and(|known| match kind {
            IndexKind::Chunks => known.indexes.keywords.is_suspect(),
            IndexKind::Documents => known.indexes.document_keywords.is_suspect(),
        });
        match is_suspect {
            true => self.keyword_damage(kind).await,
            false => Ok(None),
        }
    }

    /// An index, opened and brought up to the store.
    async fn synced(&self, kind: IndexKind) -> Result<KeywordIndex, Trouble> {
        let dir = self.keyword_dir(kind);
        let opened = tokio::task::spawn_blocking(move || {
            let open = || -> tantivy::Result<(KeywordIndex, Mark, Vec<u64>)> {
                let index = KeywordIndex::open(&dir)?;
                let (mark, held) = (index.mark()?, index.documents()?);
                Ok((index, mark, held))
            };
            open().map_err(|error| Trouble::of(error, &dir))
        });
        let (index, before, held) = opened.await.map_err(internal)??;
        // Before its documents are asked for: what comes meanwhile is taken over the next time too.
        let stored = self.store.base(&self.name).await.map_err(internal)?;
        let after = Mark {
            store: self.store.id().await.map_err(internal)?,
            generation: stored.map_or(0, |stored| stored.generation),
        };
        if let Some(why) = misfit(&before, &after) {
            return Err(Trouble::Unfit(why.to_owned()));
        }
        let since = before.generation;
        let documents = self.store.generations_after(&self.name, since).await;
        let documents = documents.map_err(internal)?;
        let kept = self.store.document_generations(&self.name).await;
        let mut kept = kept.map_err(internal)?;
        kept.sort_unstable();
        // What came while another change was written comes again below.
        let is_gone = |generation: &u64| {
            i64::try_from(*generation).is_ok_and(|came| came > since)
                || kept.binary_search(generation).is_err()
        };
        let gone: Vec<u64> = held.into_iter().filter(is_gone).collect();
        if documents.is_empty() && gone.is_empty() {
            return Ok(index);
        }
        let (sender, receiver) = mpsc::channel(AHEAD);
        let (dir, lock) = (self.keyword_dir(kind), self.base.held());
        let writing = tokio::task::spawn_blocking(move || {
            // Until the last file is written, whoever has hung up: nobody may begin beside it.
            let _lock = lock;
            let written = write(&index, kind, &gone, receiver, &after);
            let written = written.map_err(|error| Trouble::of(error, &dir));
            written.map(|()| index)
        });
        for (id, _) in &documents {
            // An index holds all documents; who may find them is a matter of each search.
            let document = self.store.document(id, &Clearance::Full).await;
            let Some(document) = document.map_err(internal)? else {
                continue;
            };
            if sender.send(Step::Add(document)).await.is_err() {
                // Whoever writes gave up, and says why.
                break;
            }
        }
        let _ = sender.send(Step::Commit).await;
        writing.await.map_err(internal)?
    }
}

/// What is done next with an index.
enum Step {
    Add(Document),
    Commit,
}

/// Takes documents into an index instead of those that are gone, and commits. Without a step that says so nothing is
/// committed: whoever reads the store has given up. Blocks.
fn write(
    index: &KeywordIndex,
    kind: IndexKind,
    gone: &[u64],
    mut steps: mpsc::Receiver<Step>,
    after: &Mark,
) -> tantivy::Result<()> {
    let writer = index.writer()?;
    gone.iter()
        .for_each(|generation| writer.remove(*generation));
    loop {
        match steps.blocking_recv() {
            Some(Step::Add(document)) => {
                if let Err(error) = kind.add(&writer, &document) {
                    return Err(writer.cause(error));
                }
            }
            Some(Step::Commit) => break,
            None => {
                let given_up = "the documents to be indexed could not be read";
                return Err(TantivyError::InternalError(given_up.to_owned()));
            }
        }
    }
    writer.commit(after)?;
    index.reload()
}

/// Why an index that is so far cannot be brought up to a store that is so far: then its generations are those of other
/// documents.
fn misfit(held: &Mark, stored: &Mark) -> Option<&'static str> {
    match () {
        // Nothing was committed yet.
        () if held.store.is_empty() => None,
        () if held.store != stored.store => Some("it is of another store"),
        () if held.generation > stored.generation => Some("it is ahead of the store"),
        () => None,
    }
}

/// The fix where an index cannot be mended by itself.
pub(super) fn rebuilding(name: &str) -> String {
    format!("run `praxis knowledge rebuild {name}`")
}
