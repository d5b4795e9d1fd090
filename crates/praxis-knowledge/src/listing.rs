//! What the sources of a base hold, put together, and what of it is new, changed or gone. Left out: reading
//! documents, and how a source finds them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use praxis_core::{CallError, DocumentId};
use praxis_sources::{Entry, Listing, Place, Run, Source, SourceConfig, SourceError};
use praxis_store::{DocumentHead, Origin};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::limits;
use crate::ingest::{IngestEvent, stopped};
use crate::knowledge::{Base, Knowledge};
use crate::load::LoadLimits;
use crate::metadata::Subject;

/// Begins the hash of a document that could not be read.
pub(crate) const UNREAD: &str = "size:";

/// A source that had as many documents as this, and has fewer than one of `SHARE` of them, is not taken for one that
/// was nearly emptied: a query of a table that is being filled, and a site that is being mended, look the same.
const MANY: usize = 20;
const SHARE: usize = 10;

/// What to do where a source that lost its documents is right.
const EMPTIED: &str = "the next `praxis ingest` looks again; if it was emptied, set `may_empty = true` for the source, or take it out of the \
     base's file, to remove its documents";

/// Something of a source that its owner must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceProblem {
    /// The source; empty for the base's folder.
    pub source: String,
    /// What could not be looked at, and why.
    pub reason: String,
    /// The fix.
    pub hint: Option<String>,
}

/// A source, ready to give its documents.
#[derive(Clone)]
pub(crate) struct Opened {
    pub name: String,
    pub source: Arc<dyn Source>,
    pub limits: LoadLimits,
}

/// A document that a source lists.
#[derive(Clone)]
pub(crate) struct Listed {
    pub source: Arc<Opened>,
    pub entry: Entry,
}

impl Listed {
    /// Where it comes from, for the store.
    pub fn origin(&self) -> Origin {
        Origin {
            source: self.source.name.clone(),
            version: self.entry.version.clone(),
        }
    }

    /// What it is, to be described. Where `head` is the store's word for the same version, its time counts:
    /// some sources only know when they last looked.
    pub fn subject(&self, head: Option<&DocumentHead>) -> Subject {
        let known = head.filter(|_| self.entry.version.is_some());
        Subject {
            uri: self.entry.uri.clone(),
            size: self.entry.size,
            modified: known.map_or(self.entry.modified, |head| head.modified),
            path: self.entry.path().map(std::path::Path::to_owned),
            origin: self.origin(),
        }
    }

    /// Whether the store has it as it is, cut with these settings.
    pub fn is_current(&self, head: &DocumentHead, settings: &str) -> bool {
        head.settings == settings && self.is_known(head)
    }

    /// Whether the store has it as it is, however it was cut.
    pub fn is_known(&self, head: &DocumentHead) -> bool {
        // What it says of itself was never read.
        if head.own.is_none() {
            return false;
        }
        // What was too large may be within the limit now, and what could not be had may be there.
        if head.hash.starts_with(UNREAD) && self.entry.size <= self.source.limits.max_bytes {
            return false;
        }
        match &self.entry.version {
            Some(_) => head.origin.version == self.entry.version,
            None => {
                head.origin.version.is_none()
                    && head.size == self.entry.size
                    && head.modified == self.entry.modified
            }
        }
    }
}

/// A document of the store that stays, and that no source lists now.
pub(crate) struct Unlisted {
    pub head: DocumentHead,
    /// Whether a file beside it may have set its labels.
    pub has_neighbours: bool,
}

/// What the sources of a base hold.
#[derive(Default)]
pub(crate) struct Inventory {
    /// Their documents, each URI once.
    pub documents: Vec<Listed>,
    pub problems: Vec<SourceProblem>,
    /// Sources of which all that is not listed is gone.
    whole: HashSet<String>,
    /// All sources that the base has.
    declared: HashSet<String>,
    /// Those that told what they hold.
    heard: HashSet<String>,
    /// Those that were asked, whether they told or not.
    asked: HashSet<String>,
    /// Those that told of a document.
    telling: HashSet<String>,
    /// Those with files of this machine, which other files beside them may describe.
    folders: HashSet<String>,
    /// URIs that are gone for sure, with their source.
    gone: HashSet<(String, String)>,
    /// Folders without files and files without records, with their source: emptied, not mounted, or about to be
    /// written.
    empty: Vec<(String, String)>,
    /// How many documents each source told of.
    listed: Vec<(String, usize)>,
    /// Sources that may lose all of their documents at once.
    may_empty: HashSet<String>,
}

impl Inventory {
    /// Which of the store's documents are gone. What a source could not look at stays, and so does what no one
    /// looked at; what belongs to a source that the base no longer has goes.
    pub fn removed(&self, known: &HashMap<String, DocumentHead>) -> Vec<DocumentId> {
        let uris = self.uris();
        let gone = known.values().filter(|head| self.is_gone(head, &uris));
        gone.map(|head| head.id.clone()).collect()
    }

    /// The documents that sources told of.
    fn uris(&self) -> HashSet<&str> {
        let documents = self.documents.iter();
        documents.map(|d| d.entry.uri.as_str()).collect()
    }

    /// Whether a document of the store is gone, where sources told of these.
    fn is_gone(&self, head: &DocumentHead, listed: &HashSet<&str>) -> bool {
        let source = &head.origin.source;
        !listed.contains(head.uri.as_str())
            && (!self.declared.contains(source)
                || self.whole.contains(source)
                || self.gone.contains(&(source.clone(), head.uri.clone())))
    }

    /// Takes sources that lost all of their documents at once for ones that are out of order: then nothing of them is
    /// gone, unless they may be emptied.
    pub fn doubt(&mut self, known: &HashMap<String, DocumentHead>) {
        self.doubt_places(known);
        self.doubt_sources(known);
    }

    /// Takes folders without files for ones that are not mounted, and files without records for ones that are about to
    /// be written, where the store has documents of them: then nothing of their source is gone.
    fn doubt_places(&mut self, known: &HashMap<String, DocumentHead>) {
        let empty = std::mem::take(&mut self.empty);
        // There may be as many files without records as there are documents.
        let mut had: HashMap<&str, BTreeSet<&str>> = HashMap::new();
        for head in known.values().filter(|_| !empty.is_empty()) {
            let of_source = had.entry(head.origin.source.as_str()).or_default();
            of_source.insert(head.uri.as_str());
        }
        for (source, place) in empty {
            let uris = had.get(source.as_str());
            let is_lost = uris.is_some_and(|uris| is_any_below(uris, &place));
            if self.may_empty.contains(&source) || !is_lost {
                continue;
            }
            self.whole.remove(&source);
            let place = match place.as_str() {
                "" => "its folder".to_owned(),
                name => format!("`{name}`"),
            };
            self.problem(
                &source,
                format!(
                    "{place} is empty and had documents before: they stay, as it may not be mounted, or not be \
                     written yet"
                ),
                Some(
                    "mount it, or restore its files; if it was emptied, take it out of `paths`, or set `may_empty = \
                     true`, to remove its documents",
                ),
            );
        }
    }

    /// The same of sources that are no folders as a whole. Folders are left to what is in them: one file is enough for
    /// a folder to be there.
    fn doubt_sources(&mut self, known: &HashMap<String, DocumentHead>) {
        let counts = self.losses(known);
        for (source, listed) in std::mem::take(&mut self.listed) {
            let (had, gone) = counts.get(source.as_str()).copied().unwrap_or_default();
            if self.folders.contains(&source) || self.may_empty.contains(&source) {
                continue;
            }
            // What comes for what goes counts: a source that moved has lost nothing.
            let left = listed.max(had - gone);
            if gone == 0 || left > 0 && (had < MANY || left * SHARE >= had) {
                continue;
            }
            self.whole.remove(&source);
            self.gone.retain(|(of, _)| *of != source);
            let lists = match left {
                0 => "no document".to_owned(),
                some => format!("{some} documents"),
            };
            self.problem(
                &source,
                format!(
                    "it has {lists} now and had {had} before: those that are missing stay, as it may be out of order"
                ),
                Some(EMPTIED),
            );
        }
    }

    /// How many documents the store has of each source, and how many of them are gone.
    fn losses<'k>(
        &self,
        known: &'k HashMap<String, DocumentHead>,
    ) -> HashMap<&'k str, (usize, usize)> {
        let uris = self.uris();
        let mut counts = HashMap::new();
        for head in known.values() {
            let count: &mut (usize, usize) = counts.entry(head.origin.source.as_str()).or_default();
            count.0 += 1;
            count.1 += usize::from(self.is_gone(head, &uris));
        }
        counts
    }

    /// Documents of the store that stay, and that no source lists now. Those of a folder that was not asked are as
    /// its last listing left them.
    pub fn unlisted(
        &self,
        known: &HashMap<String, DocumentHead>,
        gone: &[DocumentId],
    ) -> Vec<Unlisted> {
        let listed: HashSet<&str> = self
            .documents
            .iter()
            .map(|d| d.entry.uri.as_str())
            .collect();
        let gone: HashSet<&str> = gone.iter().map(DocumentId::as_str).collect();
        let unlisted = |head: &DocumentHead| {
            let source = &head.origin.source;
            let has_neighbours = self.folders.contains(source);
            let stays = !listed.contains(head.uri.as_str()) && !gone.contains(head.id.as_str());
            (stays && (!has_neighbours || self.asked.contains(source))).then(|| Unlisted {
                head: head.clone(),
                has_neighbours,
            })
        };
        known.values().filter_map(unlisted).collect()
    }

    /// How many sources were asked what they hold.
    pub fn asked(&self) -> usize {
        self.asked.len()
    }

    /// Names of the sources that were asked, told of no document, and may have some all the same: they failed, or
    /// could not look at what they read. Asked after [`Inventory::doubt`].
    pub fn unheard(&self) -> Vec<String> {
        let silent = self.asked.difference(&self.telling);
        let mut unheard: Vec<String> = silent
            .filter(|source| !self.whole.contains(*source))
            .cloned()
            .collect();
        unheard.sort();
        unheard
    }

    /// Leaves out what the store has from another source, which may still hold it: that one was not asked now, or
    /// could not tell.
    pub fn yield_to_others(&mut self, known: &HashMap<String, DocumentHead>) {
        let (declared, heard) = (&self.declared, &self.heard);
        self.documents.retain(|document| {
            known.get(&document.entry.uri).is_none_or(|head| {
                let owner = &head.origin.source;
                *owner == document.source.name || heard.contains(owner) || !declared.contains(owner)
            })
        });
    }

    fn problem(&mut self, source: &str, reason: impl Into<String>, hint: Option<&str>) {
        self.problems.push(SourceProblem {
            source: source.to_owned(),
            reason: reason.into(),
            hint: hint.map(str::to_owned),
        });
    }

    fn add(&mut self, opened: Opened, listing: Listing, seen: &mut HashMap<String, String>) {
        for note in listing.notes {
            self.problem(&opened.name, note, None);
        }
        self.heard.insert(opened.name.clone());
        if listing.complete {
            self.whole.insert(opened.name.clone());
        }
        if !listing.entries.is_empty() {
            self.telling.insert(opened.name.clone());
        }
        let listed = listing.entries.len();
        self.listed.push((opened.name.clone(), listed));
        let gone = listing
            .gone
            .into_iter()
            .map(|uri| (opened.name.clone(), uri));
        self.gone.extend(gone);
        let empty = listing.empty.into_iter();
        self.empty
            .extend(empty.map(|folder| (opened.name.clone(), folder)));
        let source = Arc::new(opened);
        let mut twice = None;
        for entry in listing.entries {
            if let Some(first) = seen.get(&entry.uri) {
                twice.get_or_insert_with(|| (entry.uri.clone(), first.clone()));
                continue;
            }
            seen.insert(entry.uri.clone(), source.name.clone());
            self.documents.push(Listed {
                source: Arc::clone(&source),
                entry,
            });
        }
        if let Some((uri, first)) = twice {
            let reason = format!(
                "it has documents that the source `{first}` has too, such as `{uri}`: they are read from there"
            );
            self.problem(&source.name, reason, None);
        }
    }
}

/// Whether one of these URIs, of which there are some, is that of a document in a folder, or of a record in a file. In
/// the folder without a name are all.
fn is_any_below(uris: &BTreeSet<&str>, place: &str) -> bool {
    let begins = |with: String| {
        let from = (Bound::Included(with.as_str()), Bound::Unbounded);
        let first = uris.range::<str, _>(from).next();
        first.is_some_and(|uri| uri.starts_with(with.as_str()))
    };
    let signs = ['/', '#'].into_iter();
    place.is_empty() || signs.map(|sign| format!("{place}{sign}")).any(begins)
}

impl Knowledge {
    /// Asks the sources of a base what they hold: all, or those in `only`. One that fails is a problem in the
    /// inventory, and the others are asked all the same.
    ///
    /// # Errors
    /// That somebody stopped it.
    pub(crate) async fn inventory(
        &self,
        name: &str,
        base: &Base,
        only: Option<&BTreeSet<String>>,
        progress: &(dyn Fn(IngestEvent) + Sync),
        cancel: &CancellationToken,
    ) -> Result<Inventory, CallError> {
        let mut inventory = Inventory::default();
        let mut seen = HashMap::new();
        let state = self.sources_dir(name);
        let sources = base.config.named_sources();
        inventory.declared = sources.iter().map(|(name, _)| name.clone()).collect();
        inventory.folders = sources
            .iter()
            .filter(|(_, config)| matches!(config, SourceConfig::Folder(_)))
            .map(|(name, _)| name.clone())
            .collect();
        inventory.may_empty = sources
            .iter()
            .filter(|(_, config)| config.may_empty())
            .map(|(name, _)| name.clone())
            .collect();
        forget_others(&state, &inventory.declared);
        for (source, config) in sources {
            if only.is_some_and(|only| !only.contains(&source)) {
                continue;
            }
            inventory.asked.insert(source.clone());
            let place = Place {
                dir: base.dir.clone(),
                state: state.join(&source),
                ..Place::default()
            };
            let told = |seen: usize| {
                progress(IngestEvent::Listed {
                    source: source.clone(),
                    seen,
                });
            };
            let run = Run {
                progress: &told,
                cancel,
            };
            let listed = match praxis_sources::open(&config, place) {
                Ok(opened) => opened.list(&run).await.map(|listing| (opened, listing)),
                Err(error) => Err(error),
            };
            match listed {
                Ok((opened, listing)) => {
                    let opened = Opened {
                        name: source.clone(),
                        source: Arc::from(opened),
                        limits: limits(config.max_file_bytes()),
                    };
                    inventory.add(opened, listing, &mut seen);
                }
                Err(SourceError::Cancelled) => return Err(stopped()),
                Err(error) => {
                    inventory.problem(&source, error.to_string(), Some(error.hint()));
                }
            }
        }
        Ok(inventory)
    }
}

/// Removes what sources kept that the base no longer has.
fn forget_others(state: &std::path::Path, declared: &HashSet<String>) {
    for entry in std::fs::read_dir(state).into_iter().flatten().flatten() {
        if !declared.contains(&*entry.file_name().to_string_lossy()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
