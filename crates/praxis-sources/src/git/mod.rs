//! Files of a Git repository, through the `git` program: one shallow fetch into a bare repository of our own, then
//! files by their object ids. Nothing is checked out. Left out: history, submodules, links, Git LFS.

pub(crate) mod lfs;
mod objects;
mod program;
pub(crate) mod remote;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use globset::GlobSet;
use tokio::sync::Mutex;

use self::objects::{Blob, Objects, blobs};
use self::program::Program;
use self::remote::Remote;
use crate::config::GitConfig;
use crate::glob::path_globs;
use crate::{Content, Entry, Listing, Locator, Place, Run, Source, SourceError, media};

/// What the fetched commit is called in our repository.
const TIP: &str = "refs/praxis/tip";

/// Files beyond which a repository is no set of documents.
const MAX_FILES: usize = 200_000;

/// A Git repository.
pub(crate) struct Git {
    config: GitConfig,
    name: String,
    remote: Remote,
    paths: Option<GlobSet>,
    exclude: GlobSet,
    program: Program,
    dir: PathBuf,
    objects: Mutex<Option<Objects>>,
}

impl Git {
    /// # Errors
    /// A URL, a reference or a glob that is none; a token that is not set.
    pub fn new(config: GitConfig, place: Place) -> Result<Self, SourceError> {
        let remote = remote::parse(&config.url)
            .map_err(|(message, hint)| SourceError::settings(message, hint))?
            .at(&place.dir);
        if config
            .reference
            .as_deref()
            .is_some_and(|r| !remote::is_reference(r))
        {
            return Err(SourceError::settings(
                "`ref` is no branch, tag or commit",
                "write it as in `git fetch`",
            ));
        }
        let token = config
            .token
            .as_ref()
            .map(|t| place.secret("token", t))
            .transpose()?;
        let set = |list: &[String]| {
            path_globs(list).map_err(|e| SourceError::settings(e.to_string(), "mend the glob"))
        };
        let dir = place.state.join("repository.git");
        Ok(Self {
            name: crate::SourceConfig::Git(config.clone()).name(),
            paths: (!config.paths.is_empty())
                .then(|| set(&config.paths))
                .transpose()?,
            exclude: set(&config.exclude)?,
            program: Program::new(dir.clone(), &remote, token.as_ref(), &config),
            objects: Mutex::new(None),
            remote,
            dir,
            config,
        })
    }

    /// Whether a path is to be read.
    fn takes(&self, path: &str) -> bool {
        if self.exclude.is_match(path) {
            return false;
        }
        match &self.paths {
            Some(paths) => paths.is_match(path),
            None => !media::is_other(path) && !path.split('/').any(|part| part.starts_with('.')),
        }
    }

    /// Brings our repository up to the other one.
    async fn fetch_tip(&self) -> Result<(), SourceError> {
        if !self.dir.join("HEAD").exists() {
            std::fs::create_dir_all(&self.dir).map_err(SourceError::unavailable)?;
            self.program.run(&["init", "--quiet", "--bare"]).await?;
        }
        clear_locks(&self.dir);
        let reference = self.config.reference.as_deref().unwrap_or("HEAD");
        let refspec = format!("+{reference}:{TIP}");
        self.program
            .run(&[
                "fetch",
                "--quiet",
                "--depth=1",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                "--end-of-options",
                self.remote.url(),
                &refspec,
            ])
            .await?;
        Ok(())
    }

    async fn tree(&self) -> Result<(i64, Vec<Blob>), SourceError> {
        let time = self
            .program
            .run(&["log", "-1", "--format=%ct", TIP, "--"])
            .await?;
        let seconds: i64 = String::from_utf8_lossy(&time)
            .trim()
            .parse()
            .unwrap_or_default();
        let listing = self
            .program
            .run(&["ls-tree", "-r", "-z", "--full-tree", TIP])
            .await?;
        Ok((seconds.saturating_mul(1_000_000_000), blobs(&listing)))
    }
}

#[async_trait]
impl Source for Git {
    async fn list(&self, run: &Run<'_>) -> Result<Listing, SourceError> {
        run.check()?;
        *self.objects.lock().await = None;
        let read = async {
            self.fetch_tip().await?;
            self.tree().await
        };
        let (time, blobs) = tokio::select! {
            read = read => match read {
                Ok(read) => read,
                // A repository that was damaged is fetched anew, once.
                Err(error) if is_damage(&error) => {
                    std::fs::remove_dir_all(&self.dir).map_err(SourceError::unavailable)?;
                    self.fetch_tip().await?;
                    self.tree().await?
                }
                Err(error) => return Err(error),
            },
            () = run.cancel.cancelled() => return Err(SourceError::Cancelled),
        };
        let mut notes = Vec::new();
        let mut taken: Vec<Blob> = blobs.into_iter().filter(|b| self.takes(&b.path)).collect();
        let complete = taken.len() <= MAX_FILES;
        if !complete {
            taken.truncate(MAX_FILES);
            notes.push(format!("there are more than {MAX_FILES} files: choose some with `paths`; nothing is removed until then"));
        }
        let mut objects = Objects::open(&self.program)?;
        let mut entries = Vec::with_capacity(taken.len());
        let mut pointers = Pointers::default();
        for blob in taken {
            run.check()?;
            let size = objects.size(&blob.id).await?;
            if lfs::SIZES.contains(&size) && lfs::is_pointer(&objects.read(&blob.id).await?) {
                pointers.note(blob.path);
                continue;
            }
            entries.push(Entry {
                uri: format!("{}:{}", self.name, blob.path),
                version: Some(blob.id.clone()),
                size,
                modified: time,
                locator: Locator::Name(blob.id),
            });
        }
        notes.extend(pointers.told());
        (run.progress)(entries.len());
        Ok(Listing::new(entries, complete, notes))
    }

    async fn fetch(&self, entry: &Entry) -> Result<Content, SourceError> {
        let Locator::Name(id) = &entry.locator else {
            return Err(SourceError::Gone(entry.uri.clone()));
        };
        let mut slot = self.objects.lock().await;
        let mut objects = match slot.take() {
            Some(objects) => objects,
            None => Objects::open(&self.program)?,
        };
        // Where it fails, the process is in no known state and is not kept.
        let bytes = objects.get(id, self.config.max_file_bytes).await?;
        *slot = Some(objects);
        let name = entry.uri.rsplit(['/', ':']).next().unwrap_or_default();
        Ok(Content {
            name: name.to_owned(),
            bytes,
            title: None,
        })
    }
}

/// Files that are elsewhere, and only named here.
#[derive(Default)]
struct Pointers {
    first: Option<String>,
    count: usize,
}

impl Pointers {
    fn note(&mut self, path: String) {
        self.first.get_or_insert(path);
        self.count += 1;
    }

    fn told(self) -> Option<String> {
        let first = self.first?;
        Some(format!(
            "{} files are pointers of Git LFS, such as `{first}`: what they point to is not read; clone the repository, \
             run `git lfs pull` there and read the clone as a folder, or leave them out with `exclude`",
            self.count
        ))
    }
}

/// Whether our own repository is what failed.
fn is_damage(error: &SourceError) -> bool {
    let text = error.to_string();
    [
        "not a git repository",
        "bad object",
        "corrupt",
        "missing blob",
        "unable to read tree",
        "loose object",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

/// Removes what a killed `git` left: one pass at a time is made over a source, so nobody holds these.
fn clear_locks(dir: &Path) {
    for file in [
        "shallow.lock",
        "config.lock",
        "HEAD.lock",
        "packed-refs.lock",
        "refs/praxis/tip.lock",
        "gc.pid",
    ] {
        let _ = std::fs::remove_file(dir.join(file));
    }
}

#[cfg(test)]
mod tests;
