//! Small file work: hashing, atomic placement, locks. All of it blocks; callers on the async runtime
//! go through [`blocking`].

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::HubError;

/// Bytes that are read at once when hashing and copying.
const BUFFER: usize = 1 << 20;

/// Runs blocking work beside the async runtime.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, HubError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, HubError> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| HubError::Source(format!("a background task failed: {e}")))?
}

/// Feeds all of `reader` to `hash` and, if given, to `writer`; gives the number of bytes.
///
/// # Errors
/// The reader's error as `Err(Ok(..))`, the writer's as `Err(Err(..))`: they are told differently.
pub(crate) fn pump(
    reader: &mut dyn Read,
    hash: &mut Sha256,
    mut writer: Option<&mut dyn Write>,
    stop: &dyn Fn() -> bool,
) -> Result<u64, Pump> {
    let mut buffer = vec![0; BUFFER];
    let mut total = 0;
    loop {
        if stop() {
            return Err(Pump::Stopped);
        }
        let n = match reader.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Pump::Read(e)),
        };
        hash.update(&buffer[..n]);
        if let Some(writer) = writer.as_deref_mut() {
            writer.write_all(&buffer[..n]).map_err(Pump::Write)?;
        }
        total += n as u64;
    }
}

/// Why [`pump`] stopped early.
#[derive(Debug)]
pub(crate) enum Pump {
    /// The reader failed.
    Read(io::Error),
    /// The writer failed.
    Write(io::Error),
    /// `stop` said so.
    Stopped,
}

/// SHA-256 state of the first `len` bytes of a file.
pub(crate) fn hash_prefix(path: &Path, len: u64) -> Result<Sha256, HubError> {
    let mut hash = Sha256::new();
    if len > 0 {
        let file = File::open(path).map_err(|e| HubError::io("cannot read", path, e))?;
        pump(&mut file.take(len), &mut hash, None, &|| false).map_err(|e| match e {
            Pump::Read(e) | Pump::Write(e) => HubError::io("cannot read", path, e),
            Pump::Stopped => HubError::Cancelled,
        })?;
    }
    Ok(hash)
}

/// SHA-256 of a file, in hex.
pub(crate) fn sha256(path: &Path) -> Result<String, HubError> {
    Ok(hex::encode(hash_prefix(path, u64::MAX)?.finalize()))
}

/// A short identity of a file's content for models outside of the catalogue: eight hex digits from
/// its size, first and last mebibyte, so that a file of gigabytes costs milliseconds.
///
/// # Errors
/// The file cannot be read.
pub fn fingerprint(path: &Path) -> io::Result<String> {
    use std::io::{Seek, SeekFrom};
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut hash = Sha256::new();
    hash.update(size.to_le_bytes());
    let mut buffer = Vec::with_capacity(BUFFER);
    Read::by_ref(&mut file)
        .take(BUFFER as u64)
        .read_to_end(&mut buffer)?;
    hash.update(&buffer);
    file.seek(SeekFrom::Start(size.saturating_sub(BUFFER as u64)))?;
    buffer.clear();
    file.take(BUFFER as u64).read_to_end(&mut buffer)?;
    hash.update(&buffer);
    let digest = hex::encode(hash.finalize());
    Ok(digest.get(..8).unwrap_or_default().to_owned())
}

/// Puts a complete temporary file in its place: synced, renamed, and the rename synced too.
pub(crate) fn place(temporary: &Path, target: &Path) -> Result<(), HubError> {
    let failed = |e| HubError::io("cannot write", target, e);
    OpenOptions::new()
        .write(true)
        .open(temporary)
        .and_then(|file| file.sync_all())
        .map_err(failed)?;
    std::fs::rename(temporary, target).map_err(failed)?;
    sync_dir(target);
    Ok(())
}

/// Writes a small file atomically.
pub(crate) fn write_small(target: &Path, bytes: &[u8]) -> Result<(), HubError> {
    let failed = |e| HubError::io("cannot write", target, e);
    let dir = target.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed)?;
    file.persist(target).map_err(|e| failed(e.error))?;
    sync_dir(target);
    Ok(())
}

/// Syncs a file's folder where the system can; its failure costs durability, not correctness.
fn sync_dir(target: &Path) {
    if let Some(dir) = target.parent().and_then(|d| File::open(d).ok()) {
        let _ = dir.sync_all();
    }
}

/// Removes a file that may be absent.
pub(crate) fn remove_if_there(path: &Path) -> Result<bool, HubError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(HubError::io("cannot remove", path, e)),
    }
}

/// Size and time of the last change in nanoseconds: what tells an untouched file.
pub(crate) fn stamp(path: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)?;
    let modified = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((meta.len(), u64::try_from(modified.as_nanos()).ok()?))
}
