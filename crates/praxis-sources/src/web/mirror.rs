//! Pages as they were fetched last, in a folder of the source: two files a page, each written whole or not at all.
//! With them a page that did not change is not fetched again, and a crawl that was killed goes on. Left out: what is
//! in the pages.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::fetch::Validators;
use crate::{SourceError, hash};

/// A crawl that was begun longer ago is begun anew.
const MAX_AGE: Duration = Duration::from_secs(6 * 3600);

/// What is known of a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    /// The URL.
    pub url: String,
    /// The crawl that last asked for it.
    pub crawl: u64,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
    /// What is there.
    pub what: What,
}

/// What is at a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum What {
    /// A page or a file.
    Page(Page),
    /// Something that is no document.
    Other,
    /// It is elsewhere.
    Moved(String),
}

/// A page or a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    /// The ending of its loader.
    pub ending: String,
    /// Hash of its bytes; of its size where they are too many to be kept.
    pub hash: String,
    /// Bytes.
    pub size: u64,
    /// Where its links lead.
    pub links: Vec<String>,
    /// The address that it has by its own account.
    pub canonical: Option<String>,
    /// It does not want to be found.
    pub noindex: bool,
}

impl Known {
    /// How to ask whether it changed.
    pub fn validators(&self) -> Validators {
        Validators {
            etag: self.etag.clone(),
            last_modified: self.last_modified.clone(),
        }
    }

    /// Its page.
    pub fn page(&self) -> Option<&Page> {
        match &self.what {
            What::Page(page) => Some(page),
            What::Other | What::Moved(_) => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Begun {
    /// Names the crawl: when it was begun, in nanoseconds since the epoch.
    crawl: u64,
}

/// The pages of a source.
#[derive(Debug, Clone)]
pub(crate) struct Mirror {
    dir: PathBuf,
}

impl Mirror {
    /// # Errors
    /// A folder that cannot be made.
    pub fn open(dir: PathBuf) -> Result<Self, SourceError> {
        std::fs::create_dir_all(&dir).map_err(SourceError::unavailable)?;
        Ok(Self { dir })
    }

    /// What the present crawl is called: an earlier one that did not end goes on.
    pub fn begin(&self) -> Result<u64, SourceError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let crawl = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let path = self.dir.join("crawl.json");
        let begun = std::fs::read(&path)
            .ok()
            .and_then(|b| serde_json::from_slice::<Begun>(&b).ok());
        if let Some(begun) = begun
            && crawl
                .checked_sub(begun.crawl)
                .is_some_and(|age| u128::from(age) < MAX_AGE.as_nanos())
        {
            return Ok(begun.crawl);
        }
        let text = serde_json::to_vec(&Begun { crawl }).unwrap_or_default();
        self.write(&path, &text)?;
        Ok(crawl)
    }

    /// The crawl is over. If it saw everything, what it did not see is removed.
    pub fn end(&self, seen: Option<&HashSet<String>>) {
        let _ = std::fs::remove_file(self.dir.join("crawl.json"));
        let Some(seen) = seen else { return };
        let stems: HashSet<String> = seen.iter().map(|url| stem(url)).collect();
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let known = path
                .file_stem()
                .is_some_and(|s| stems.contains(&*s.to_string_lossy()));
            if !known {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// What is known of a URL; nothing where its files are not whole.
    pub fn get(&self, url: &str) -> Option<Known> {
        let bytes = std::fs::read(self.path(url, "json")).ok()?;
        let known: Known = serde_json::from_slice(&bytes).ok()?;
        let whole = known.page().is_none_or(|page| {
            page.hash.starts_with("size:")
                || std::fs::metadata(self.path(url, "body")).is_ok_and(|m| m.len() == page.size)
        });
        (known.url == url && whole).then_some(known)
    }

    /// Notes what is at a URL, and its bytes where they are new.
    pub fn put(&self, known: &Known, bytes: Option<&[u8]>) -> Result<(), SourceError> {
        // Bytes of one page with notes of an earlier one are found out by their size, or fetched again.
        if let Some(bytes) = bytes {
            let _ = std::fs::remove_file(self.path(&known.url, "json"));
            self.write(&self.path(&known.url, "body"), bytes)?;
        }
        let text = serde_json::to_vec(known).map_err(SourceError::unavailable)?;
        self.write(&self.path(&known.url, "json"), &text)
    }

    /// Forgets a URL.
    pub fn remove(&self, url: &str) {
        for ending in ["json", "body"] {
            let _ = std::fs::remove_file(self.path(url, ending));
        }
    }

    /// The bytes of a page.
    pub fn bytes(&self, url: &str, version: &str) -> Option<Vec<u8>> {
        let bytes = std::fs::read(self.path(url, "body")).ok()?;
        (hash(&bytes) == version).then_some(bytes)
    }

    fn path(&self, url: &str, ending: &str) -> PathBuf {
        self.dir.join(format!("{}.{ending}", stem(url)))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), SourceError> {
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            file.write_all(bytes)?;
            file.persist(path).map_err(|e| e.error)?;
            Ok::<(), std::io::Error>(())
        };
        write().map_err(|e| {
            SourceError::Unavailable(format!("cannot write `{}`: {e}", path.display()))
        })
    }
}

fn stem(url: &str) -> String {
    hash(url.as_bytes())[..32].to_owned()
}
