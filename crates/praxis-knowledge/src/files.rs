//! Files that clients send: bytes on the disk by their hash, and what is known of them in the store. A file is
//! there whole or not at all: it is written under a name of its own, brought to the disk, renamed, and only
//! then noted. A file may come in parts (`parts`), and the server writes some itself. Left out: what becomes of a
//! file (`vector_stores`).

mod parts;

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use praxis_core::{CallError, Caller, Clearance, ErrorCode, ids};
use praxis_store::{Page, Paged, Store, StoredFile};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;

use crate::knowledge::internal;

pub use parts::{NewUpload, UploadError};

/// What ids of files begin with.
const FILE: &str = "file-";

/// The folder of files that are on their way.
const ARRIVING: &str = "arriving";

/// How long a file may be on its way; then whoever sent it is gone.
const ABANDONED: Duration = Duration::from_secs(60 * 60);

/// Expired files that are removed in one go.
const SWEPT: usize = 100;

/// Bounds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimits {
    /// The most bytes of one file.
    pub max_file_bytes: u64,
    /// The most bytes of all files together.
    pub max_total_bytes: u64,
    /// The most bytes of a file that is read as a document.
    pub max_document_bytes: u64,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self {
            max_file_bytes: 512 << 20,
            max_total_bytes: 64 << 30,
            max_document_bytes: 64 << 20,
        }
    }
}

/// The files of an application.
pub struct Files {
    root: PathBuf,
    store: Store,
    limits: FileLimits,
    clock: fn() -> i64,
}

/// What a client says of a file that it sends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewFile {
    /// What it calls it.
    pub filename: String,
    /// What it sends it for.
    pub purpose: String,
    /// Seconds after which it goes.
    pub expires_after: Option<i64>,
}

/// A file, or a part of one, on its way. Dropped, it leaves nothing behind.
pub struct Upload {
    file: tokio::fs::File,
    path: TempPath,
    hasher: blake3::Hasher,
    bytes: u64,
    most: Most,
}

/// How much may come, and what is said to who sends more.
#[derive(Debug, Clone, Copy)]
struct Most {
    bytes: u64,
    what: &'static str,
    fix: &'static str,
}

impl Most {
    fn exceeded(self) -> CallError {
        let message = format!("the {} is larger than {} bytes", self.what, self.bytes);
        CallError::new(ErrorCode::TooLarge, message).with_hint(self.fix)
    }
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// `too_large`, or a disk that fails.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.most.bytes {
            return Err(self.most.exceeded());
        }
        self.hasher.update(bytes);
        self.file.write_all(bytes).await.map_err(internal)
    }

    /// The file as it lies on the disk, for who does not keep it: it is there as long as what this returns.
    ///
    /// # Errors
    /// A disk that fails.
    pub async fn arrived(
        mut self,
    ) -> Result<impl AsRef<std::path::Path> + Send + Sync + 'static, CallError> {
        self.file.flush().await.map_err(internal)?;
        Ok(self.path)
    }

    /// Brings what came to the disk.
    async fn sync(&mut self) -> Result<(), CallError> {
        self.file.flush().await.map_err(internal)?;
        self.file.sync_all().await.map_err(internal)
    }
}

/// Who has what is made: the name of the key, and the labels of which a reader needs one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owned {
    /// Name of the key; none for one that may read everything.
    pub owner: Option<String>,
    /// The labels.
    pub labels: Vec<String>,
}

impl Owned {
    /// What this caller makes is owned so.
    pub fn by(caller: &Caller) -> Self {
        Self {
            owner: owner(caller),
            labels: caller.clearance.labels(),
        }
    }
}

/// Whole files whose bytes are in their places, and that are yet to be noted in the store. As long as it is there,
/// nobody removes bytes, so it is to be dropped soon.
pub struct Placed {
    files: Vec<StoredFile>,
    _lock: std::fs::File,
}

impl Placed {
    /// The files, in the order in which they were given.
    pub fn files(&self) -> &[StoredFile] {
        &self.files
    }
}

impl Files {
    /// The files below the folder `root`, which is made when it is needed.
    pub fn new(root: PathBuf, store: Store, limits: FileLimits, clock: fn() -> i64) -> Self {
        Self {
            root,
            store,
            limits,
            clock,
        }
    }

    /// Their bounds.
    pub fn limits(&self) -> FileLimits {
        self.limits
    }

    /// Makes room for a file that is to come.
    ///
    /// # Errors
    /// A disk that fails.
    pub async fn receive(&self) -> Result<Upload, CallError> {
        self.arriving(Most {
            bytes: self.limits.max_file_bytes,
            what: "file",
            fix: "send a smaller one, or raise `max_file_bytes` under [files] in praxis.toml",
        })
        .await
    }

    /// The same for a file that the server writes, which only the limit of all files together holds for.
    ///
    /// # Errors
    /// A disk that fails.
    pub async fn write_own(&self) -> Result<Upload, CallError> {
        self.arriving(Most {
            bytes: self.limits.max_total_bytes,
            what: "file",
            fix: "raise `max_total_bytes` under [files] in praxis.toml",
        })
        .await
    }

    async fn arriving(&self, most: Most) -> Result<Upload, CallError> {
        let folder = self.root.join(ARRIVING);
        let made = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&folder)?;
            tempfile::NamedTempFile::new_in(&folder)
        });
        let (file, path) = made
            .await
            .map_err(internal)?
            .map_err(internal)?
            .into_parts();
        Ok(Upload {
            file: tokio::fs::File::from_std(file),
            path,
            hasher: blake3::Hasher::new(),
            bytes: 0,
            most,
        })
    }

    /// Keeps a file that has come whole. It gets the labels of who sent it.
    ///
    /// # Errors
    /// `too_large` where all files together would be, or a disk or a store that fails; then nothing is kept.
    pub async fn keep(
        &self,
        upload: Upload,
        new: NewFile,
        caller: &Caller,
    ) -> Result<StoredFile, CallError> {
        let placed = self.place(vec![(upload, new)], &Owned::by(caller)).await?;
        let Some(file) = placed.files.first() else {
            return Err(internal("a file was lost on its way"));
        };
        match self.store.put_file(file, self.limits.max_total_bytes).await {
            Ok(true) => Ok(file.clone()),
            refused => {
                self.withdraw(placed).await;
                refused.map_err(internal)?;
                Err(self.no_room())
            }
        }
    }

    /// Brings the bytes of whole files to their places. Who calls it notes the files in the store, or withdraws them.
    ///
    /// # Errors
    /// A disk that fails.
    pub async fn place(
        &self,
        whole: Vec<(Upload, NewFile)>,
        owned: &Owned,
    ) -> Result<Placed, CallError> {
        let now = (self.clock)();
        let (mut files, mut moves) = (Vec::new(), Vec::new());
        for (mut upload, new) in whole {
            upload.sync().await?;
            let file = StoredFile {
                id: ids::generate(FILE),
                hash: upload.hasher.finalize().to_hex().to_string(),
                bytes: upload.bytes,
                filename: new.filename,
                purpose: new.purpose,
                created: now,
                expires: new.expires_after.map(|seconds| now.saturating_add(seconds)),
                owner: owned.owner.clone(),
                labels: owned.labels.clone(),
            };
            moves.push((upload.path, self.path(&file.hash)));
            files.push(file);
        }
        // Nobody may remove equal bytes between here and the note of the files.
        let lock = self.lock().await?;
        let placed = tokio::task::spawn_blocking(move || {
            let mut moves = moves.into_iter();
            moves.try_for_each(|(temporary, target)| place(temporary, &target))
        });
        placed.await.map_err(internal)?.map_err(internal)?;
        Ok(Placed { files, _lock: lock })
    }

    /// Lets go of files that were not noted.
    pub async fn withdraw(&self, placed: Placed) {
        for file in &placed.files {
            self.drop_bytes(&file.hash).await;
        }
    }

    /// The error of a file that there is no room for beside all others.
    pub fn no_room(&self) -> CallError {
        let most = self.limits.max_total_bytes;
        let message = format!("all files together would be larger than {most} bytes");
        CallError::new(ErrorCode::TooLarge, message)
            .with_hint("delete some, or raise `max_total_bytes` under [files] in praxis.toml")
    }

    /// Removes bytes that were kept for something that has ended, unless a file has them.
    ///
    /// # Errors
    /// A disk that fails.
    pub async fn release(&self, hash: &str) -> Result<(), CallError> {
        let _lock = self.lock().await?;
        self.drop_bytes(hash).await;
        Ok(())
    }

    /// Claims work of this name on these files for this process, until what is given is dropped or the process ends,
    /// however it does; nothing where another process has it.
    ///
    /// # Errors
    /// A disk that fails.
    pub async fn claim(&self, work: &str) -> Result<Option<std::fs::File>, CallError> {
        let (root, name) = (self.root.clone(), format!("{work}.lock"));
        let claimed = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&root)?;
            let file = std::fs::File::create(root.join(name))?;
            match file.try_lock() {
                Ok(()) => Ok(Some(file)),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(error),
            }
        });
        claimed.await.map_err(internal)?.map_err(internal)
    }

    /// A file that the caller may read.
    ///
    /// # Errors
    /// `not_found`, or a store that fails.
    pub async fn get(&self, id: &str, clearance: &Clearance) -> Result<StoredFile, CallError> {
        let found = self.store.file(id, clearance, (self.clock)()).await;
        found.map_err(internal)?.ok_or_else(|| {
            CallError::new(ErrorCode::NotFound, format!("no file `{id}`"))
                .with_hint("`GET /v1/files` lists them")
        })
    }

    /// A page of the files that the caller may read.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn list(
        &self,
        purpose: Option<&str>,
        page: &Page,
        clearance: &Clearance,
    ) -> Result<Paged<StoredFile>, CallError> {
        let listed = self
            .store
            .files(purpose, page, clearance, (self.clock)())
            .await;
        listed.map_err(internal)
    }

    /// The bytes of a file, to be read from the start.
    ///
    /// # Errors
    /// A disk that fails.
    pub async fn content(&self, file: &StoredFile) -> Result<tokio::fs::File, CallError> {
        tokio::fs::File::open(self.path(&file.hash))
            .await
            .map_err(|error| {
                internal(format!(
                    "the bytes of `{}` cannot be read: {error}",
                    file.id
                ))
            })
    }

    /// Deletes a file, also from all vector stores.
    ///
    /// # Errors
    /// `not_found`; `forbidden` for a caller who may only read it; or a store that fails.
    pub async fn delete(&self, id: &str, caller: &Caller) -> Result<(), CallError> {
        let file = self.get(id, &caller.clearance).await?;
        if !caller.may_change(file.owner.as_deref(), &file.labels) {
            return Err(forbidden("file", id));
        }
        self.remove(id).await
    }

    /// Removes a file with its documents, and its bytes where no other file has them.
    async fn remove(&self, id: &str) -> Result<(), CallError> {
        let _lock = self.lock().await?;
        let deleted = self.store.delete_file(id).await.map_err(internal)?;
        if let Some(deleted) = deleted.filter(|deleted| deleted.is_last) {
            self.drop_bytes(&deleted.hash).await;
        }
        Ok(())
    }

    /// Removes files that have expired, and parts of uploads that have.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) async fn expire(&self) -> Result<(), CallError> {
        self.expire_parts().await?;
        loop {
            let expired = self.store.expired_files((self.clock)(), SWEPT).await;
            let expired = expired.map_err(internal)?;
            if expired.is_empty() {
                return Ok(());
            }
            for id in expired {
                self.remove(&id).await?;
            }
        }
    }

    /// Removes what killed processes left: bytes of no file or part, and files that never came whole.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) async fn sweep(&self) -> Result<(), CallError> {
        let root = self.root.clone();
        let found = tokio::task::spawn_blocking(move || {
            remove_abandoned(&root.join(ARRIVING));
            hashes(&root)
        });
        for hash in found.await.map_err(internal)? {
            let _lock = self.lock().await?;
            self.drop_bytes(&hash).await;
        }
        self.sweep_parts().await
    }

    /// Removes bytes that no file has. The caller holds the lock.
    async fn drop_bytes(&self, hash: &str) {
        match self.store.has_bytes(hash).await {
            Ok(false) => {
                // What stays is removed by the next sweep.
                let _ = tokio::fs::remove_file(self.path(hash)).await;
            }
            Ok(true) => {}
            Err(error) => tracing::warn!(%error, "bytes of a file were not removed"),
        }
    }

    /// Where the bytes of a hash are.
    pub fn path(&self, hash: &str) -> PathBuf {
        let folder = hash.get(..2).unwrap_or("00");
        self.root.join(folder).join(hash)
    }

    /// One process at a time changes which bytes there are.
    async fn lock(&self) -> Result<std::fs::File, CallError> {
        let root = self.root.clone();
        tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&root)?;
            let file = std::fs::File::create(root.join("lock"))?;
            file.lock()?;
            Ok::<_, std::io::Error>(file)
        })
        .await
        .map_err(internal)?
        .map_err(internal)
    }
}

/// The owner of what a caller makes.
pub(crate) fn owner(caller: &Caller) -> Option<String> {
    match &caller.clearance {
        Clearance::Full => None,
        Clearance::Labels(_) => caller.name.clone(),
    }
}

/// The error of a caller who may read something and not change it.
pub(crate) fn forbidden(what: &str, id: &str) -> CallError {
    let message = format!("the {what} `{id}` is another key's: this one may only read it");
    CallError::new(ErrorCode::Forbidden, message)
        .with_hint("use the key that made it, one with a label of it, or the server's own")
}

/// Moves a whole file to its place, which survives a crash of the machine.
fn place(temporary: TempPath, target: &Path) -> std::io::Result<()> {
    let folder = target.parent().unwrap_or(target);
    std::fs::create_dir_all(folder)?;
    temporary.persist(target).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}

fn remove_abandoned(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let changed = entry.metadata().and_then(|metadata| metadata.modified());
        let age = changed.map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
        if age.is_ok_and(|age| age > ABANDONED) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Hashes of all bytes that are there.
fn hashes(root: &Path) -> Vec<String> {
    let folders = std::fs::read_dir(root).into_iter().flatten().flatten();
    let folders = folders.filter(|entry| entry.file_name().len() == 2);
    folders
        .flat_map(|folder| {
            std::fs::read_dir(folder.path())
                .into_iter()
                .flatten()
                .flatten()
        })
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
