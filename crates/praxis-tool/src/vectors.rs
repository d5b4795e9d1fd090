//! Vectors of texts that stay, of tools and of a database's tables: in memory, and in a file for each embedder, so that
//! hundreds of them are embedded once and not at each start. A file that is damaged is made anew.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use praxis_core::{EmbedKind, Embedder, ModelError};
use tokio::sync::Mutex;

use crate::disk;

/// What a file begins with.
const MAGIC: &[u8; 8] = b"PXTOOLS1";

/// Vectors that are kept, and the largest file that is read.
const MOST: usize = 20_000;
const LARGEST: u64 = 256 << 20;

/// Texts that are embedded in one go.
const BATCH: usize = 64;

/// A text's digest.
type Key = [u8; 32];

/// Vectors by text.
type Kept = HashMap<Key, Arc<[f32]>>;

/// The vectors of all texts that were seen.
pub(crate) struct Vectors {
    folder: PathBuf,
    /// Those of the embedder that was asked last. Held while texts are embedded, so that none is twice.
    kept: Mutex<Option<(String, Kept)>>,
}

impl Vectors {
    /// Vectors that are kept in this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            kept: Mutex::new(None),
        }
    }

    /// One vector a text, in order.
    ///
    /// # Errors
    /// The embedder's.
    pub async fn of(
        &self,
        embedder: &dyn Embedder,
        texts: Vec<String>,
    ) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let identity = embedder.identity();
        let path = self.path(&identity);
        let mut kept = self.kept.lock().await;
        let mut all = match kept.take() {
            Some((of, all)) if of == identity => all,
            _ => {
                let path = path.clone();
                tokio::task::spawn_blocking(move || read(&path).unwrap_or_default())
                    .await
                    .unwrap_or_default()
            }
        };
        let keys: Vec<Key> = texts
            .iter()
            .map(|text| *blake3::hash(text.as_bytes()).as_bytes())
            .collect();
        let mut missing: Vec<(Key, String)> = keys
            .iter()
            .copied()
            .zip(texts)
            .filter(|(key, _)| !all.contains_key(key))
            .collect();
        missing.sort();
        missing.dedup();
        let mut failed = None;
        for batch in missing.chunks(BATCH) {
            let texts = batch.iter().map(|(_, text)| text.clone()).collect();
            match embedded(embedder, texts).await {
                Ok(vectors) => {
                    for ((key, _), vector) in batch.iter().zip(vectors) {
                        all.insert(*key, vector.into());
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let found: Option<Vec<Arc<[f32]>>> = keys.iter().map(|key| all.get(key).cloned()).collect();
        if all.len() > MOST {
            all.retain(|key, _| keys.contains(key));
        }
        if !missing.is_empty() && failed.is_none() {
            let copy = all.clone();
            let written = tokio::task::spawn_blocking(move || write(&path, &copy)).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(%error, "vectors could not be kept");
            }
        }
        *kept = Some((identity, all));
        match (found, failed) {
            (Some(found), _) => Ok(found),
            (None, Some(error)) => Err(error),
            (None, None) => Err(ModelError::Broken(
                "the embedder gave too few vectors".to_owned(),
            )),
        }
    }

    /// The file of an embedder's vectors.
    fn path(&self, identity: &str) -> PathBuf {
        let digest = blake3::hash(identity.as_bytes()).to_hex();
        self.folder.join(format!("{}.vectors", &digest[..16]))
    }
}

/// One vector a text, of the embedder's dimension.
async fn embedded(
    embedder: &dyn Embedder,
    texts: Vec<String>,
) -> Result<Vec<Vec<f32>>, ModelError> {
    let (count, dimension) = (texts.len(), embedder.dimension().await?);
    let vectors = embedder.embed(EmbedKind::Passage, texts).await?;
    if vectors.len() != count || vectors.iter().any(|vector| vector.len() != dimension) {
        return Err(ModelError::Broken(
            "the embedder gave other vectors than were asked for".to_owned(),
        ));
    }
    Ok(vectors)
}

/// Reads a file: its magic, the dimension and the count, key and vector of each, and a digest of all that.
fn read(path: &Path) -> Option<Kept> {
    if std::fs::metadata(path).ok()?.len() > LARGEST {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    let (body, digest) = bytes.split_last_chunk::<32>()?;
    if blake3::hash(body).as_bytes() != digest {
        return None;
    }
    let body = body.strip_prefix(MAGIC.as_slice())?;
    let (dimension, body) = body.split_first_chunk::<4>()?;
    let dimension = usize::try_from(u32::from_le_bytes(*dimension)).ok()?;
    let entry = 32 + dimension.checked_mul(4)?;
    let mut all = Kept::new();
    for entry in body.chunks_exact(entry) {
        let (key, vector) = entry.split_first_chunk::<32>()?;
        let float = |bytes: &[u8]| bytes.try_into().map_or(0.0, f32::from_le_bytes);
        all.insert(*key, vector.chunks_exact(4).map(float).collect());
    }
    Some(all)
}

/// Writes a file whole.
fn write(path: &Path, all: &Kept) -> std::io::Result<()> {
    let dimension = all.values().next().map_or(0, |vector| vector.len());
    let mut body = MAGIC.to_vec();
    body.extend(u32::try_from(dimension).unwrap_or_default().to_le_bytes());
    for (key, vector) in all.iter().filter(|(_, vector)| vector.len() == dimension) {
        body.extend(key);
        body.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
    }
    let digest = blake3::hash(&body);
    body.extend(digest.as_bytes());
    disk::replace(path, &[&body])
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use praxis_core::embed::TokenCounter;

    use super::*;

    /// An embedder of two numbers that counts what it is asked, and fails beyond `most`.
    struct Counts {
        name: &'static str,
        asked: AtomicUsize,
        most: usize,
    }

    #[async_trait]
    impl Embedder for Counts {
        fn identity(&self) -> String {
            self.name.to_owned()
        }

        async fn dimension(&self) -> Result<usize, ModelError> {
            Ok(2)
        }

        async fn max_tokens(&self) -> Result<usize, ModelError> {
            Ok(10)
        }

        async fn embed(
            &self,
            _: EmbedKind,
            texts: Vec<String>,
        ) -> Result<Vec<Vec<f32>>, ModelError> {
            if self.asked.fetch_add(texts.len(), Ordering::Relaxed) + texts.len() > self.most {
                return Err(ModelError::Unavailable("too many".to_owned()));
            }
            Ok(texts
                .iter()
                .map(|text| vec![text.len() as f32, 1.0])
                .collect())
        }

        async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
            Err(ModelError::Unavailable("none".to_owned()))
        }
    }

    fn counts(name: &'static str, most: usize) -> Counts {
        Counts {
            name,
            asked: AtomicUsize::new(0),
            most,
        }
    }

    fn texts(count: usize) -> Vec<String> {
        (0..count).map(|i| "x".repeat(i + 1)).collect()
    }

    #[tokio::test]
    async fn a_text_is_embedded_once_also_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let embedder = counts("a", 1000);
        let vectors = Vectors::new(folder.path().join("select"));
        let mut twice = texts(100);
        twice.push("x".to_owned());
        let found = vectors.of(&embedder, twice).await.unwrap();
        assert_eq!(found.len(), 101);
        assert_eq!(
            (found[0][0], found[99][0], found[100][0]),
            (1.0, 100.0, 1.0)
        );
        vectors.of(&embedder, texts(101)).await.unwrap();
        assert_eq!(embedder.asked.load(Ordering::Relaxed), 101);
        let again = Vectors::new(folder.path().join("select"));
        let found = again.of(&embedder, texts(101)).await.unwrap();
        assert_eq!(found[100][0], 101.0);
        assert_eq!(embedder.asked.load(Ordering::Relaxed), 101);
        // Another embedder's vectors are others.
        let other = counts("b", 1000);
        again.of(&other, texts(2)).await.unwrap();
        assert_eq!(other.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_damaged_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let embedder = counts("a", 1000);
        let vectors = Vectors::new(folder.path().to_owned());
        vectors.of(&embedder, texts(3)).await.unwrap();
        let path = vectors.path("a");
        let whole = std::fs::read(&path).unwrap();
        for damaged in [
            &b""[..],
            &whole[..10],
            &whole[..whole.len() - 1],
            &b"{}\n"[..],
            &[0; 100],
        ] {
            std::fs::write(&path, damaged).unwrap();
            assert!(read(&path).is_none());
        }
        let before = embedder.asked.load(Ordering::Relaxed);
        let again = Vectors::new(folder.path().to_owned());
        again.of(&embedder, texts(3)).await.unwrap();
        assert_eq!(embedder.asked.load(Ordering::Relaxed), before + 3);
        assert_eq!(read(&path).unwrap().len(), 3);
    }

    #[tokio::test]
    async fn an_embedder_that_fails_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let embedder = counts("a", 64);
        let vectors = Vectors::new(folder.path().to_owned());
        assert!(vectors.of(&embedder, texts(70)).await.is_err());
        // What it gave is not asked for again.
        assert!(vectors.of(&embedder, Vec::new()).await.unwrap().is_empty());
    }
}
