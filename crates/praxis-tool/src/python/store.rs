//! Files that code gave back, kept for a day so that they can be fetched by their ids, by who made them. Left out:
//! files for good, which clients of the API have.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use praxis_core::{CallError, Caller, ErrorCode, ids};
use serde::{Deserialize, Serialize};

use super::said::Given;
use crate::disk;

/// What ids begin with: what OpenAI calls such a thing is a file of a container.
const PREFIX: &str = "cfile_";

/// How long a file is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Files, and bytes of all files, that are kept at a time.
const MOST: usize = 2000;
const MOST_BYTES: u64 = 1 << 30;

/// The folder of the files of a tool.
pub(super) struct Store(PathBuf);

/// What is known of a file beside its bytes: the first line of what is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    name: String,
    owner: Caller,
    /// What the call tree in which it was made had read from outside, if anything.
    #[serde(default)]
    outside: Option<String>,
}

/// A file, and what it may have in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// It.
    pub file: Given,
    /// What the call tree in which it was made had read from outside, if anything.
    pub outside: Option<String>,
}

impl Store {
    /// Files in this folder, which is made when it is needed.
    pub fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Keeps a file, and gives its id; `outside` is what was read from outside before it was made. What is too old, or
    /// too much, goes.
    ///
    /// # Errors
    /// A disk that is full or cannot be written.
    pub fn keep(
        &self,
        file: &Given,
        owner: &Caller,
        outside: Option<&str>,
    ) -> Result<String, CallError> {
        let kept = || -> io::Result<String> {
            fs::create_dir_all(&self.0)?;
            self.sweep(file.bytes.len() as u64)?;
            let head = Head {
                name: file.name.clone(),
                owner: owner.clone(),
                outside: outside.map(str::to_owned),
            };
            let id = ids::generate(PREFIX);
            let head = serde_json::to_vec(&head)?;
            disk::replace(&self.0.join(&id), &[&head, b"\n", &file.bytes])?;
            Ok(id)
        };
        kept().map_err(CallError::failure)
    }

    /// A file of this caller's.
    ///
    /// # Errors
    /// `not_found`.
    pub fn find(&self, id: &str, caller: &Caller) -> Result<Kept, CallError> {
        let missing = || {
            CallError::new(ErrorCode::NotFound, format!("no file `{id}`"))
                .with_hint("files that code gives back are kept for a day; run the code again")
        };
        let plain = |c: char| c.is_ascii_alphanumeric();
        let is_id = id
            .strip_prefix(PREFIX)
            .is_some_and(|rest| rest.chars().all(plain));
        if !is_id {
            return Err(missing());
        }
        let kept = fs::read(self.0.join(id)).map_err(|_| missing())?;
        let end = kept
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or_else(missing)?;
        let (head, bytes) = kept.split_at(end);
        let head: Head = serde_json::from_slice(head).map_err(|_| missing())?;
        if head.owner != *caller {
            return Err(missing());
        }
        let file = Given {
            name: head.name,
            bytes: bytes.get(1..).unwrap_or_default().to_vec(),
        };
        Ok(Kept {
            file,
            outside: head.outside,
        })
    }

    /// Removes files that are too old, and the oldest as long as there is no room for `coming` bytes.
    fn sweep(&self, coming: u64) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            // Another call may have removed it.
            let Ok(kind) = entry.metadata() else { continue };
            let age = kind
                .modified()
                .ok()
                .and_then(|at| SystemTime::now().duration_since(at).ok());
            files.push((age.unwrap_or_default(), kind.len(), entry.path()));
        }
        files.sort();
        let (mut count, mut bytes) = (1, coming);
        for (age, length, path) in files {
            count += 1;
            bytes = bytes.saturating_add(length);
            if age > KEPT || count > MOST || bytes > MOST_BYTES {
                // The next call tries again.
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }
}

/// What kind of content a file has, by the end of its name.
pub(super) fn media_type(name: &str) -> &'static str {
    let end = name
        .rsplit_once('.')
        .map(|(_, end)| end.to_ascii_lowercase());
    match end.as_deref().unwrap_or_default() {
        "csv" => "text/csv",
        "gif" => "image/gif",
        "htm" | "html" => "text/html",
        "jpeg" | "jpg" => "image/jpeg",
        "json" => "application/json",
        "jsonl" => "application/jsonl",
        "md" => "text/markdown",
        "parquet" => "application/vnd.apache.parquet",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "py" => "text/x-python",
        "svg" => "image/svg+xml",
        "txt" => "text/plain",
        "webp" => "image/webp",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xml" => "application/xml",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use praxis_core::Clearance;

    use super::*;

    fn file(bytes: &[u8]) -> Given {
        Given {
            name: "plots/a.png".to_owned(),
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn a_file_is_found_by_who_made_it_and_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&folder.path().join("files"));
        let owner = Caller {
            name: Some("a".to_owned()),
            clearance: Clearance::of(["hr"]),
        };
        let bytes = file(b"\n\x00x\n");
        let id = store.keep(&bytes, &owner, Some("web/page")).unwrap();
        let kept = store.find(&id, &owner).unwrap();
        assert_eq!(
            (kept.file, kept.outside.as_deref()),
            (bytes, Some("web/page"))
        );
        for caller in [Caller::default(), Caller::full()] {
            assert_eq!(
                store.find(&id, &caller).unwrap_err().code,
                ErrorCode::NotFound
            );
        }
        for id in ["cfile_", "cfile_1", "../secret", "cfile_../../x", ""] {
            assert_eq!(
                store.find(id, &owner).unwrap_err().code,
                ErrorCode::NotFound,
                "{id}"
            );
        }
    }

    #[test]
    fn the_oldest_go_when_there_is_too_much() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let owner = Caller::full();
        let old = store.keep(&file(b"old"), &owner, None).unwrap();
        let past = SystemTime::now() - KEPT - Duration::from_secs(60);
        let handle = fs::File::options()
            .write(true)
            .open(folder.path().join(&old))
            .unwrap();
        handle.set_modified(past).unwrap();
        let new = store.keep(&file(b"new"), &owner, None).unwrap();
        assert!(store.find(&old, &owner).is_err() && store.find(&new, &owner).is_ok());
        store.sweep(MOST_BYTES).unwrap();
        assert!(store.find(&new, &owner).is_err());
    }

    #[test]
    fn kinds_of_content_are_known_by_the_end_of_a_name() {
        assert_eq!(media_type("a.b/figure-1.PNG"), "image/png");
        assert_eq!(media_type("Makefile"), "application/octet-stream");
    }
}
