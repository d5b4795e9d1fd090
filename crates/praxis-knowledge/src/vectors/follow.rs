//! Keeping an index of vectors on the disk up to the store: where it lies, and what it takes over. The
//! index is derived and may be deleted at any time. It commits before it forgets what it took over, so a
//! killed process takes over the same again, which changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use praxis_core::CallError;
use praxis_store::{Base, Place as Since, Store};
use praxis_vectors::{Error, IdSet, Index, has_direction};

use crate::knowledge::internal;

/// Vectors that are read in one go.
const PIECE: usize = 2048;

/// What vectors are of, and what their ids are. There is an index for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VectorKind {
    /// Chunks, by their numbers.
    Chunks,
    /// Summaries of documents, by the generation that wrote the document: one that is written anew has another.
    Documents,
}

impl VectorKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Chunks, Self::Documents];

    /// The folder with the indexes of a base, beside those of its keywords.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Chunks => "vectors",
            Self::Documents => "document-vectors",
        }
    }
}

/// A vector with its id.
pub(crate) type Numbered = (u64, Vec<f32>);

/// Where a base's index lies: a folder for one store, one embedder and one dimension, so that nothing of
/// another is ever found.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The folder with all indexes of the base of vectors of this kind.
    root: PathBuf,
    folder: PathBuf,
    dimension: usize,
}

impl Place {
    /// Below the folder `root`.
    pub fn new(root: PathBuf, store: &str, embedder: &str, dimension: usize) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [store, embedder, &dimension.to_string()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let folder = root.join(&hasher.finalize().to_hex()[..16]);
        Self {
            root,
            folder,
            dimension,
        }
    }

    /// Whether an index that is open is this one.
    pub fn is_of(&self, index: &Index) -> bool {
        index.dimension() == self.dimension && index.folder() == self.folder
    }

    /// Opens the index, `None` where another process has it open. One that is damaged is made anew; those
    /// of other embedders are removed. Blocks.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn open(&self) -> Result<Option<Arc<Index>>, Error> {
        let index = match Index::open(&self.folder, self.dimension) {
            Err(Error::Locked { .. }) => return Ok(None),
            Err(error @ (Error::Corrupt { .. } | Error::Dimension { .. })) => {
                tracing::warn!(%error, "an index of vectors is made anew from the store");
                remove(&self.folder)?;
                Index::open(&self.folder, self.dimension)?
            }
            other => other?,
        };
        // This one is locked now, and stays.
        clear_root(&self.root);
        Ok(Some(Arc::new(index)))
    }
}

/// Removes all indexes of vectors of a base, whose indexes are below `dir`, but those that are open somewhere.
pub(crate) fn clear(dir: &Path) {
    for kind in VectorKind::ALL {
        clear_root(&dir.join(kind.folder()));
    }
}

fn clear_root(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let lock = std::fs::File::open(entry.path().join("lock"));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn remove(folder: &Path) -> Result<(), Error> {
    std::fs::remove_dir_all(folder).map_err(|source| Error::Io {
        action: "remove",
        path: folder.to_owned(),
        source,
    })
}

/// The vectors of a base that came after a generation, piece by piece: those of a large base must not be in
/// memory twice.
pub(crate) struct Pieces<'a> {
    store: &'a Store,
    name: &'a str,
    after: After,
}

/// Where reading goes on.
enum After {
    Chunk(Since),
    /// The generation that wrote it.
    Document(u64),
}

impl<'a> Pieces<'a> {
    /// Those after the generation `since`.
    pub fn since(store: &'a Store, name: &'a str, kind: VectorKind, since: i64) -> Self {
        let after = match kind {
            VectorKind::Chunks => After::Chunk(Since::after(since)),
            VectorKind::Documents => After::Document(u64::try_from(since).unwrap_or_default()),
        };
        Self { store, name, after }
    }

    /// The next ones, by id, since numbers of chunks grow with generations; `None` at the end.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn next(&mut self) -> Result<Option<Vec<Numbered>>, CallError> {
        let (store, name) = (self.store, self.name);
        let piece: Vec<Numbered> = match &mut self.after {
            After::Chunk(place) => {
                let piece = store.vectors_after(name, *place, PIECE).await;
                let piece = piece.map_err(internal)?;
                *place = piece.last().map_or(*place, |last| last.place);
                piece.into_iter().map(|v| (v.number, v.vector)).collect()
            }
            After::Document(generation) => {
                let piece = store.document_vectors_after(name, *generation, PIECE).await;
                let piece = piece.map_err(internal)?;
                *generation = piece.last().map_or(*generation, |last| last.generation);
                piece
                    .into_iter()
                    .map(|v| (v.generation, v.vector))
                    .collect()
            }
        };
        Ok((!piece.is_empty()).then_some(piece))
    }
}

/// Takes over what changed in the base since the index last did. An index that is ahead of the store, as where
/// an older copy of the store was put back, is filled anew.
///
/// # Errors
/// A store or a disk that fails.
pub(crate) async fn follow(
    store: &Store,
    name: &str,
    base: &Base,
    kind: VectorKind,
    index: &Arc<Index>,
) -> Result<(), CallError> {
    let mut since = i64::try_from(index.watermark()).unwrap_or(i64::MAX);
    if since == base.generation {
        return Ok(());
    }
    if since > base.generation {
        tracing::warn!(
            base = name,
            "an index of vectors is ahead of the store, and made anew from it"
        );
        blocking(index, Index::clear).await?;
        since = 0;
    }
    let gone = match kind {
        VectorKind::Chunks => store.removed_chunks(name, since).await.map_err(internal)?,
        // There are few enough to compare them all, so nobody has to note which went.
        VectorKind::Documents => {
            let kept = store.document_generations(name).await.map_err(internal)?;
            let kept: IdSet = kept.into_iter().collect();
            blocking(index, move |index| Ok(beside(index, &kept))).await?
        }
    };
    blocking(index, move |index| index.delete(gone)).await?;
    let mut pieces = Pieces::since(store, name, kind, since);
    while let Some(piece) = pieces.next().await? {
        blocking(index, move |index| {
            let fit = piece.iter().filter(|v| v.1.len() == index.dimension());
            // A text whose vector has no direction is found by its words.
            let fit = fit.filter(|v| has_direction(&v.1));
            index.insert(fit.map(|(id, vector)| (*id, vector.as_slice())))
        })
        .await?;
    }
    let generation = u64::try_from(base.generation).unwrap_or_default();
    blocking(index, move |index| index.commit(generation)).await?;
    if kind == VectorKind::Chunks {
        let forgotten = store.forget_removed(name, base.generation).await;
        forgotten.map_err(internal)?;
    }
    Ok(())
}

/// The ids in an index that are none of `kept`.
pub(super) fn beside(index: &Index, kept: &IdSet) -> Vec<u64> {
    let mut ids = index.ids();
    ids.retain(|id| !kept.contains(*id));
    ids
}

/// Merges what there is to merge of an index: whatever came since it was last done is compared one by one, and
/// read again by each process that opens it. What fails is done the next time.
pub(crate) async fn tidy(index: Arc<Index>) {
    if !index.is_merge_due() {
        return;
    }
    let merged = tokio::task::spawn_blocking(move || index.merge().map_err(internal)).await;
    if let Err(error) = merged.map_err(internal).flatten() {
        tracing::warn!(%error, "an index of vectors could not be tidied up");
    }
}

/// Runs `work` on the index where it may block.
async fn blocking<T: Send + 'static>(
    index: &Arc<Index>,
    work: impl FnOnce(&Index) -> Result<T, Error> + Send + 'static,
) -> Result<T, CallError> {
    let index = Arc::clone(index);
    tokio::task::spawn_blocking(move || work(&index))
        .await
        .map_err(internal)?
        .map_err(internal)
}
