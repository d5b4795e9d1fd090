//! What of a base one search may see: the documents that its caller may read and its filter holds of, as
//! sets that every lane looks into, so that what is found is exactly the best of them.
//!
//! Sets are made from the store (`resolve`) for one snapshot of the indexes and kept with it, since the same
//! callers ask the same filters. Left out: what a filter may say (`praxis_core::filter`).

mod resolve;

use std::sync::{Arc, Mutex, PoisonError};

use praxis_core::{CallError, Clearance, Filter};
use praxis_store::Store;
use praxis_vectors::IdSet;
use tokio::sync::OnceCell;

use crate::keyword::{KeywordScope, KnownTexts};
use crate::knowledge::internal;
use crate::search::lanes::Indexes;
use resolve::Resolver;

/// Scopes that are kept for each snapshot: of a million chunks, half a megabyte each.
const MAX_SCOPES: usize = 48;

/// Callers whose documents are kept.
const MAX_CALLERS: usize = 16;

/// Keys that are looked at to name some of them.
const MAX_KEYS: usize = 100;

/// What one search may see.
#[derive(Clone)]
pub(crate) struct Scope {
    /// What the caller may read, for whatever is read from the store.
    pub clearance: Clearance,
    /// The documents that count; all without it.
    sets: Option<Arc<Sets>>,
}

/// The documents that count, as each index knows them.
pub(crate) struct Sets {
    /// The generations that wrote them.
    documents: IdSet,
    /// Numbers of their chunks.
    chunks: IdSet,
    keywords: KeywordScope,
    document_keywords: KeywordScope,
    /// Whether the indexes hold documents that the store no longer has.
    lack_replaced: bool,
    /// Where the caller may not know of all documents, those it may know of.
    known: Option<Arc<Known>>,
}

/// The documents that a caller may read, of a base in which it may not read all.
pub(crate) struct Known {
    /// The generations that wrote them.
    pub documents: IdSet,
    texts: KnownTexts,
    document_texts: KnownTexts,
    keys: OnceCell<Vec<String>>,
}

impl Scope {
    /// All documents.
    pub fn all() -> Self {
        Self {
            clearance: Clearance::Full,
            sets: None,
        }
    }

    /// Whether just the same documents count, as far as that can be told at a glance.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.sets, &other.sets) {
            (None, None) => true,
            (Some(own), Some(others)) => Arc::ptr_eq(own, others),
            _ => false,
        }
    }

    /// Whether documents may be left out of it because they were being replaced when it was made: of what the store no
    /// longer has, nothing tells who may read it or whether a filter holds.
    pub fn lacks_replaced(&self) -> bool {
        self.sets.as_ref().is_some_and(|sets| sets.lack_replaced)
    }

    /// Numbers of the chunks that count, where not all do.
    pub fn chunks(&self) -> Option<&IdSet> {
        self.sets.as_ref().map(|sets| &sets.chunks)
    }

    /// The generations that wrote the documents that count, where not all do.
    pub fn documents(&self) -> Option<&IdSet> {
        self.sets.as_ref().map(|sets| &sets.documents)
    }

    /// Whether a document counts, by the generation that wrote it.
    pub fn has_document(&self, generation: u64) -> bool {
        let documents = self.documents();
        documents.is_none_or(|documents| documents.contains(generation))
    }

    /// The texts of chunks that count, where not all do.
    pub fn keywords(&self) -> Option<&KeywordScope> {
        self.sets.as_ref().map(|sets| &sets.keywords)
    }

    /// The texts of chunks that the caller may know of, where that is not all.
    pub fn known_texts(&self) -> Option<&KnownTexts> {
        Some(&self.sets.as_ref()?.known.as_ref()?.texts)
    }

    /// The texts of whole documents that count, where not all do.
    pub fn document_keywords(&self) -> Option<&KeywordScope> {
        self.sets.as_ref().map(|sets| &sets.document_keywords)
    }

    /// The texts of whole documents that the caller may know of, where that is not all.
    pub fn known_document_texts(&self) -> Option<&KnownTexts> {
        Some(&self.sets.as_ref()?.known.as_ref()?.document_texts)
    }
}

/// The scopes of a snapshot that were asked for last.
#[derive(Default)]
pub(crate) struct Scopes(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The revision of the base's metadata and labels that they were made from.
    revision: i64,
    /// The last used are last.
    scopes: Vec<(Clearance, String, Arc<Sets>)>,
    known: Vec<(Clearance, Option<Arc<Known>>)>,
}

impl Scopes {
    /// Looks something up, after whatever was made from an older revision is forgotten.
    fn kept<T>(&self, revision: i64, look: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.revision < revision {
            *kept = Kept {
                revision,
                ..Kept::default()
            };
        }
        look(&mut kept)
    }

    fn known(&self, revision: i64, clearance: &Clearance) -> Option<Option<Arc<Known>>> {
        self.kept(revision, |kept| {
            used(&mut kept.known, |k| k.0 == *clearance).map(|k| k.1)
        })
    }

    fn sets(&self, revision: i64, clearance: &Clearance, filter: &str) -> Option<Arc<Sets>> {
        self.kept(revision, |kept| {
            let same = |s: &(Clearance, String, _)| s.0 == *clearance && s.1 == filter;
            used(&mut kept.scopes, same).map(|s| s.2)
        })
    }
}

/// The entry that fits, which is then the last used.
fn used<T: Clone>(entries: &mut [T], fits: impl FnMut(&T) -> bool) -> Option<T> {
    let at = entries.iter().position(fits)?;
    entries[at..].rotate_left(1);
    entries.last().cloned()
}

/// Adds an entry; the first goes where there are too many.
fn keep<T>(entries: &mut Vec<T>, entry: T, most: usize) {
    if entries.len() >= most {
        entries.remove(0);
    }
    entries.push(entry);
}

/// A base's indexes with the store that they are derived from, to make scopes of.
pub(crate) struct Scoping<'a> {
    pub store: &'a Store,
    pub base: &'a str,
    /// The revision of its metadata and labels, read before anything else.
    pub revision: i64,
    /// Whether the indexes hold what the store holds now.
    pub is_current: bool,
    pub indexes: &'a Indexes,
    pub scopes: &'a Scopes,
}

impl Scoping<'_> {
    /// What a search with this filter may see.
    ///
    /// # Errors
    /// A filter that does not fit the base: a key that no document has, or a value of another type; or a
    /// store or an index that fails.
    pub async fn scope(
        &self,
        filter: Option<&Filter>,
        clearance: &Clearance,
    ) -> Result<Scope, CallError> {
        let known = self.known(clearance).await?;
        let scope = |sets| Scope {
            clearance: clearance.clone(),
            sets,
        };
        if known.is_none() && filter.is_none() {
            return Ok(scope(None));
        }
        // Callers who may read everything share what they ask.
        let caller = match known {
            Some(_) => clearance.clone(),
            None => Clearance::Full,
        };
        let asked = filter.map(serde_json::to_string).transpose();
        let asked = asked.map_err(internal)?.unwrap_or_default();
        if let Some(sets) = self.scopes.sets(self.revision, &caller, &asked) {
            return Ok(scope(Some(sets)));
        }
        let resolver = Resolver {
            scoping: self,
            known: known.as_deref(),
        };
        let resolved = match filter {
            Some(filter) => Some(resolver.resolve(filter).await?),
            None => None,
        };
        // Read last: of what is gone by then, the store told nothing, not even that a filter does not hold.
        let stored = match self.is_current {
            true => None,
            false => Some(self.stored().await?),
        };
        let is_stored = |document: u64| {
            let stored = stored.as_ref();
            stored.is_none_or(|stored| stored.contains(document))
        };
        let vectors = &self.indexes.vectors;
        let (documents, chunks) = vectors.select(|document| {
            known
                .as_ref()
                .is_none_or(|known| known.documents.contains(document))
                && resolved.as_ref().is_none_or(|node| node.holds(document))
                && is_stored(document)
        });
        let lack_replaced = stored.is_some() && {
            let (replaced, _) = vectors.select(|document| !is_stored(document));
            !replaced.is_empty()
        };
        let texts = |index: &crate::keyword::KeywordIndex| {
            index
                .scope(|document| documents.contains(document))
                .map_err(internal)
        };
        let sets = Arc::new(Sets {
            lack_replaced,
            keywords: texts(&self.indexes.keywords)?,
            document_keywords: texts(&self.indexes.document_keywords)?,
            documents,
            chunks,
            known,
        });
        self.scopes.kept(self.revision, |kept| {
            // Nothing of an older revision than the one that is kept by now.
            if kept.revision == self.revision {
                keep(
                    &mut kept.scopes,
                    (caller, asked, Arc::clone(&sets)),
                    MAX_SCOPES,
                );
            }
        });
        Ok(scope(Some(sets)))
    }

    /// The generations that wrote the documents which the store has.
    async fn stored(&self) -> Result<IdSet, CallError> {
        let stored = self.store.document_generations(self.base).await;
        Ok(stored.map_err(internal)?.into_iter().collect())
    }

    /// The documents that a caller may read, where that is not all of them.
    async fn known(&self, clearance: &Clearance) -> Result<Option<Arc<Known>>, CallError> {
        if clearance.is_full() {
            return Ok(None);
        }
        // That a base has no labels is known of what the indexes hold now: the first document with one moves no
        // revision.
        if let Some(known) = self.scopes.known(self.revision, clearance)
            && (known.is_some() || self.is_current)
        {
            return Ok(known);
        }
        let open = self.is_current && !self.store.has_labels(self.base).await.map_err(internal)?;
        let known = if open {
            None
        } else {
            let all = self.store.documents_by_labels(self.base).await;
            let permitted = all
                .map_err(internal)?
                .into_iter()
                .filter(|(labels, _)| clearance.permits(labels));
            let documents: IdSet = permitted.flat_map(|(_, documents)| documents).collect();
            let texts = |index: &crate::keyword::KeywordIndex| {
                index
                    .known(|document| documents.contains(document))
                    .map_err(internal)
            };
            Some(Arc::new(Known {
                texts: texts(&self.indexes.keywords)?,
                document_texts: texts(&self.indexes.document_keywords)?,
                documents,
                keys: OnceCell::new(),
            }))
        };
        // A document that changes later has another generation, or moves the revision.
        self.scopes.kept(self.revision, |kept| {
            if kept.revision == self.revision {
                kept.known.retain(|(other, _)| other != clearance);
                keep(
                    &mut kept.known,
                    (clearance.clone(), known.clone()),
                    MAX_CALLERS,
                );
            }
        });
        Ok(known)
    }
}
