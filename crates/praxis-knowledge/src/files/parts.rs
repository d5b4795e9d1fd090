//! Uploads: files that come in parts, which are put together when all are there. The bytes of a part are on the disk
//! before its row is in the store, and its row is gone before they are. Left out: what a whole file is.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use praxis_core::{CallError, Caller, Clearance, ErrorCode, ids};
use praxis_store::{StoredFile, StoredUpload, UploadBounds, UploadPart, UploadStatus, UploadStep};
use tokio::io::AsyncReadExt;

use super::{Files, Most, NewFile, Owned, SWEPT, Upload, forbidden, place};
use crate::knowledge::internal;

/// What ids of uploads begin with.
const UPLOAD: &str = "upload_";

/// What ids of parts begin with.
const PART: &str = "part_";

/// The folder of parts.
const PARTS: &str = "parts";

/// Seconds within which an upload has to be complete.
const LIFETIME: i64 = 60 * 60;

/// Seconds for which an upload is known when its time is over.
const KNOWN: i64 = 24 * 60 * 60;

/// Uploads that may wait for parts.
const MOST_PENDING: u64 = 1000;

/// Parts of an upload.
const MOST_PARTS: u64 = 10_000;

/// Bytes that are read from the disk in one go.
const PIECE: usize = 1 << 20;

/// A file that is to come in parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewUpload {
    /// How many bytes the whole file has.
    pub bytes: u64,
    /// What is said of the file.
    pub file: NewFile,
}

/// Why an upload is refused, and the field that it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct UploadError {
    /// The field, where it is one.
    pub param: Option<&'static str>,
    /// Why.
    pub error: CallError,
}

impl UploadError {
    fn about(param: &'static str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param),
            error: CallError::new(ErrorCode::InvalidRequest, message),
        }
    }
}

impl From<CallError> for UploadError {
    fn from(error: CallError) -> Self {
        Self { param: None, error }
    }
}

impl Files {
    /// The most bytes of a part.
    pub const MAX_PART: u64 = 64 << 20;

    fn upload_bounds(&self) -> UploadBounds {
        UploadBounds {
            pending: MOST_PENDING,
            parts: MOST_PARTS,
            bytes: self.limits.max_total_bytes,
        }
    }

    /// Begins an upload, with the labels of who begins it.
    ///
    /// # Errors
    /// `too_large`, `rate_limited` where too many wait for parts; or a store that fails.
    pub async fn begin_upload(
        &self,
        new: NewUpload,
        caller: &Caller,
    ) -> Result<StoredUpload, UploadError> {
        let most = self.limits.max_file_bytes;
        if new.bytes > most {
            let message = format!("the file is larger than {most} bytes");
            let error = CallError::new(ErrorCode::TooLarge, message).with_hint(
                "send a smaller one, or raise `max_file_bytes` under [files] in praxis.toml",
            );
            let param = Some("bytes");
            return Err(UploadError { param, error });
        }
        let now = (self.clock)();
        let Owned { owner, labels } = Owned::by(caller);
        let upload = StoredUpload {
            id: ids::generate(UPLOAD),
            filename: new.file.filename,
            purpose: new.file.purpose,
            bytes: new.bytes,
            expires_after: new.file.expires_after,
            status: UploadStatus::Pending,
            file: None,
            created: now,
            expires: now.saturating_add(LIFETIME),
            owner,
            labels,
        };
        let added = self.store.put_upload(&upload, self.upload_bounds()).await;
        if !added.map_err(internal)? {
            let message = format!("{MOST_PENDING} uploads wait for parts");
            let error = CallError::new(ErrorCode::RateLimited, message)
                .with_hint("complete or cancel some");
            return Err(error.into());
        }
        Ok(upload)
    }

    /// Makes room for a part that is to come.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, an upload that no parts come to any more; or a disk that fails.
    pub async fn receive_part(&self, upload: &str, caller: &Caller) -> Result<Upload, CallError> {
        self.pending(upload, caller).await?;
        self.arriving(Most {
            bytes: Self::MAX_PART,
            what: "part",
            fix: "cut the file into smaller ones",
        })
        .await
    }

    /// Keeps a part that has come whole.
    ///
    /// # Errors
    /// As [`receive_part`](Self::receive_part), and `too_large` where all files and parts together would be.
    pub async fn keep_part(
        &self,
        upload: &str,
        mut arrived: Upload,
        caller: &Caller,
    ) -> Result<UploadPart, CallError> {
        self.pending(upload, caller).await?;
        arrived.sync().await?;
        let now = (self.clock)();
        let part = UploadPart {
            id: ids::generate(PART),
            upload: upload.to_owned(),
            bytes: arrived.bytes,
            created: now,
        };
        let (temporary, target) = (arrived.path, self.part_path(&part.id));
        // No sweep may find the bytes before their row is there.
        let _lock = self.lock().await?;
        let placed = tokio::task::spawn_blocking(move || place(temporary, &target));
        placed.await.map_err(internal)?.map_err(internal)?;
        let noted = self.store.put_part(&part, self.upload_bounds(), now).await;
        if matches!(noted, Ok(UploadStep::Noted)) {
            return Ok(part);
        }
        self.drop_part(&part.id).await;
        Err(match noted.map_err(internal)? {
            UploadStep::TooMany => {
                let message = format!("the upload has {MOST_PARTS} parts, which is the most");
                CallError::new(ErrorCode::InvalidRequest, message).with_hint("send larger parts")
            }
            UploadStep::NoRoom => self.no_room(),
            UploadStep::Closed | UploadStep::Noted => self.closed_by_now(upload).await,
        })
    }

    /// Puts parts together to a file, in the order in which they are named. `md5` is what the file must have, in
    /// hexadecimal. An upload that is complete already stays as it is.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, parts that are not there or not as long together as the upload says, an MD5 that
    /// differs, `too_large`; or a disk or a store that fails. Then the upload is as it was.
    pub async fn complete_upload(
        &self,
        id: &str,
        parts: &[String],
        md5: Option<&str>,
        caller: &Caller,
    ) -> Result<(StoredUpload, StoredFile), UploadError> {
        let upload = self.changeable_upload(id, caller).await?;
        if let Some(file) = &upload.file {
            let file = self.get(file, &caller.clearance).await?;
            return Ok((upload, file));
        }
        if upload.status != UploadStatus::Pending {
            return Err(closed(id, upload.status).into());
        }
        let known = self.store.upload_parts(id).await.map_err(internal)?;
        let parts = in_order(parts, &known)?;
        let bytes = parts.iter().map(|part| part.bytes).sum::<u64>();
        if bytes != upload.bytes {
            let message = format!(
                "the parts have {bytes} bytes together, and the upload was begun for {}",
                upload.bytes
            );
            return Err(UploadError::about("part_ids", message));
        }
        let (whole, sum) = self.joined(&upload, &parts, md5.is_some()).await?;
        if let (Some(wanted), Some(sum)) = (md5, sum)
            && !wanted.eq_ignore_ascii_case(&sum)
        {
            let message = format!("the MD5 of the parts together is {sum}");
            return Err(UploadError::about("md5", message));
        }
        self.keep_joined(upload, whole, &known).await
    }

    /// Notes what was put together as the file of an upload.
    async fn keep_joined(
        &self,
        mut upload: StoredUpload,
        whole: Upload,
        parts: &[UploadPart],
    ) -> Result<(StoredUpload, StoredFile), UploadError> {
        let new = NewFile {
            filename: upload.filename.clone(),
            purpose: upload.purpose.clone(),
            expires_after: upload.expires_after,
        };
        let owned = Owned {
            owner: upload.owner.clone(),
            labels: upload.labels.clone(),
        };
        let placed = self.place(vec![(whole, new)], &owned).await?;
        let Some(file) = placed.files.first().cloned() else {
            return Err(internal("a file was lost on its way").into());
        };
        let (most, now) = (self.limits.max_total_bytes, (self.clock)());
        let noted = self
            .store
            .complete_upload(&upload.id, &file, most, now)
            .await;
        if !matches!(noted, Ok(UploadStep::Noted)) {
            self.withdraw(placed).await;
            return Err(match noted.map_err(internal)? {
                UploadStep::NoRoom => self.no_room().into(),
                _ => self.closed_by_now(&upload.id).await.into(),
            });
        }
        drop(placed);
        let ids: Vec<String> = parts.iter().map(|part| part.id.clone()).collect();
        self.remove_parts(&ids).await;
        upload.status = UploadStatus::Completed;
        upload.file = Some(file.id.clone());
        Ok((upload, file))
    }

    /// Calls off an upload. One that is called off already stays so.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, an upload that is complete or has expired; or a store that fails.
    pub async fn cancel_upload(
        &self,
        id: &str,
        caller: &Caller,
    ) -> Result<StoredUpload, CallError> {
        let mut upload = self.changeable_upload(id, caller).await?;
        let cancelled = self.store.cancel_upload(id, (self.clock)()).await;
        match cancelled.map_err(internal)? {
            Some(parts) => self.remove_parts(&parts).await,
            None if upload.status == UploadStatus::Cancelled => {}
            None => return Err(self.closed_by_now(id).await),
        }
        upload.status = UploadStatus::Cancelled;
        Ok(upload)
    }

    /// An upload that the caller may read.
    async fn get_upload(&self, id: &str, clearance: &Clearance) -> Result<StoredUpload, CallError> {
        let found = self.store.upload(id, clearance, (self.clock)()).await;
        found.map_err(internal)?.ok_or_else(|| {
            CallError::new(ErrorCode::NotFound, format!("no upload `{id}`"))
                .with_hint("`POST /v1/uploads` begins one")
        })
    }

    /// One that the caller may change, too.
    async fn changeable_upload(
        &self,
        id: &str,
        caller: &Caller,
    ) -> Result<StoredUpload, CallError> {
        let upload = self.get_upload(id, &caller.clearance).await?;
        match caller.may_change(upload.owner.as_deref(), &upload.labels) {
            true => Ok(upload),
            false => Err(forbidden("upload", id)),
        }
    }

    /// One that parts may come to.
    async fn pending(&self, id: &str, caller: &Caller) -> Result<StoredUpload, CallError> {
        let upload = self.changeable_upload(id, caller).await?;
        match upload.status {
            UploadStatus::Pending => Ok(upload),
            status => Err(closed(id, status)),
        }
    }

    /// The error of an upload that was changed by somebody else, or whose time was over, in the middle of something.
    async fn closed_by_now(&self, id: &str) -> CallError {
        match self.get_upload(id, &Clearance::Full).await {
            Ok(upload) => closed(id, upload.status),
            Err(error) => error,
        }
    }

    /// The bytes of parts, one after the other, and their MD5 where it is wanted.
    async fn joined(
        &self,
        upload: &StoredUpload,
        parts: &[&UploadPart],
        summed: bool,
    ) -> Result<(Upload, Option<String>), CallError> {
        let mut whole = self.receive().await?;
        let mut sum = summed.then(Md5::new);
        let mut piece = vec![0; PIECE];
        for part in parts {
            let opened = tokio::fs::File::open(self.part_path(&part.id)).await;
            let mut file = opened.map_err(|error| match error.kind() {
                // Parts go with their upload only.
                std::io::ErrorKind::NotFound => closed(&upload.id, UploadStatus::Pending),
                _ => internal(error),
            })?;
            loop {
                let read = file.read(&mut piece).await.map_err(internal)?;
                let bytes = piece.get(..read).unwrap_or_default();
                if bytes.is_empty() {
                    break;
                }
                if let Some(sum) = &mut sum {
                    sum.update(bytes);
                }
                whole.write(bytes).await?;
            }
        }
        if whole.bytes != upload.bytes {
            let message = format!("parts of `{}` are not as long as they were", upload.id);
            return Err(internal(message));
        }
        Ok((whole, sum.map(|sum| hex::encode(sum.finalize()))))
    }

    /// Drops the parts of uploads that have expired, and forgets what is long over.
    pub(super) async fn expire_parts(&self) -> Result<(), CallError> {
        let now = (self.clock)();
        loop {
            let parts = self
                .store
                .expire_parts(now, SWEPT)
                .await
                .map_err(internal)?;
            if parts.is_empty() {
                let forgotten = self.store.forget_uploads(now.saturating_sub(KNOWN)).await;
                return forgotten.map_err(internal);
            }
            self.remove_parts(&parts).await;
        }
    }

    /// Removes bytes of no part, which killed processes left.
    pub(super) async fn sweep_parts(&self) -> Result<(), CallError> {
        let folder = self.root.join(PARTS);
        let found = tokio::task::spawn_blocking(move || names(&folder));
        for name in found.await.map_err(internal)? {
            let _lock = self.lock().await?;
            self.drop_part(&name).await;
        }
        Ok(())
    }

    /// Removes the bytes of a part that has no row. The caller holds the lock.
    async fn drop_part(&self, id: &str) {
        match self.store.has_part(id).await {
            Ok(false) => self.remove_parts(&[id.to_owned()]).await,
            Ok(true) => {}
            Err(error) => tracing::warn!(%error, "bytes of a part were not removed"),
        }
    }

    /// Removes the bytes of parts whose rows are gone.
    async fn remove_parts(&self, ids: &[String]) {
        for id in ids {
            // What stays is removed by the next sweep.
            let _ = tokio::fs::remove_file(self.part_path(id)).await;
        }
    }

    fn part_path(&self, id: &str) -> PathBuf {
        self.root.join(PARTS).join(id)
    }
}

/// The error of an upload that nothing can be done with any more.
fn closed(id: &str, status: UploadStatus) -> CallError {
    let message = match status {
        UploadStatus::Pending => format!("the upload `{id}` is being completed or called off"),
        status => format!("the upload `{id}` is {}", status.as_str()),
    };
    CallError::new(ErrorCode::InvalidRequest, message)
        .with_hint("begin a new one; it has to be complete within an hour")
}

/// The parts that are named, in their order.
fn in_order<'a>(
    named: &[String],
    known: &'a [UploadPart],
) -> Result<Vec<&'a UploadPart>, UploadError> {
    let mut known: HashMap<&str, &UploadPart> =
        known.iter().map(|part| (part.id.as_str(), part)).collect();
    let found = named.iter().map(|id| {
        // What was taken is not there a second time.
        known.remove(id.as_str()).ok_or_else(|| {
            let message = format!("the upload has no part `{id}`, or it is named twice");
            UploadError::about("part_ids", message)
        })
    });
    found.collect()
}

/// What is in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().into_string());
    names.flatten().collect()
}
