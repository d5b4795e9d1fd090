//! Uploads as one process has them: parts in any order, what is refused, and what is left of what was not completed.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use praxis_store::Store;

use super::super::FileLimits;
use super::*;

const NOW: i64 = 1_774_948_000;

fn now() -> i64 {
    NOW
}

async fn files_at(dir: &Path, clock: fn() -> i64) -> Files {
    let store = Store::open(&dir.join("praxis.db")).await.unwrap();
    let limits = FileLimits {
        max_file_bytes: 1000,
        max_total_bytes: 1500,
        max_document_bytes: 500,
    };
    Files::new(dir.join("files"), store, limits, clock)
}

async fn files() -> (tempfile::TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    let files = files_at(dir.path(), now).await;
    (dir, files)
}

fn named(name: &str) -> Caller {
    Caller {
        name: Some(name.to_owned()),
        clearance: Clearance::of([name]),
    }
}

impl Files {
    async fn begun(&self, bytes: u64) -> String {
        let new = NewUpload {
            bytes,
            file: NewFile {
                filename: "in.jsonl".to_owned(),
                purpose: "batch".to_owned(),
                expires_after: None,
            },
        };
        let upload = self.begin_upload(new, &named("hr")).await.unwrap();
        assert_eq!(upload.expires, upload.created + 3600);
        upload.id
    }

    async fn sent(&self, upload: &str, bytes: &[u8]) -> Result<String, CallError> {
        let caller = named("hr");
        let mut part = self.receive_part(upload, &caller).await?;
        for piece in bytes.chunks(7) {
            part.write(piece).await?;
        }
        Ok(self.keep_part(upload, part, &caller).await?.id)
    }

    async fn text(&self, file: &StoredFile) -> String {
        let mut text = String::new();
        let mut bytes = self.content(file).await.unwrap();
        bytes.read_to_string(&mut text).await.unwrap();
        text
    }

    /// Parts on the disk.
    fn parts_there(&self) -> usize {
        names(&self.root.join(PARTS)).len()
    }
}

#[tokio::test]
async fn parts_become_a_file_in_the_order_in_which_they_are_named() {
    let (_dir, files) = files().await;
    let upload = files.begun(26).await;
    let last = files.sent(&upload, b"of several parts").await.unwrap();
    let unused = files.sent(&upload, b"sent twice").await.unwrap();
    let first = files.sent(&upload, b"One text, ").await.unwrap();
    assert_eq!(files.parts_there(), 3);
    let order = [first.clone(), last.clone()];
    let md5 = "4d0c2d7d9dc0a9a6a9e7cb3c4c0d3b6f";
    for (parts, sum, param) in [
        (&[][..], None, "part_ids"),
        (&[last.clone(), last.clone()], None, "part_ids"),
        (
            &[unused.clone(), last.clone(), first.clone()],
            None,
            "part_ids",
        ),
        (&["part_none".to_owned()], None, "part_ids"),
        (&order, Some(md5), "md5"),
    ] {
        let refused = files
            .complete_upload(&upload, parts, sum, &named("hr"))
            .await
            .unwrap_err();
        assert_eq!(refused.param, Some(param), "{parts:?}: {refused:?}");
        assert_eq!(files.parts_there(), 3);
    }
    let sum = hex::encode(Md5::digest(b"One text, of several parts")).to_uppercase();
    let done = files
        .complete_upload(&upload, &order, Some(&sum), &named("hr"))
        .await;
    let (completed, file) = done.unwrap();
    assert_eq!(files.text(&file).await, "One text, of several parts");
    assert_eq!((file.bytes, file.purpose.as_str()), (26, "batch"));
    assert_eq!(file.owner.as_deref(), Some("hr"));
    assert_eq!(file.labels, ["hr"]);
    assert_eq!(
        file.hash,
        blake3::hash(b"One text, of several parts")
            .to_hex()
            .as_str()
    );
    assert_eq!(files.parts_there(), 0);
    // Who did not hear the answer asks again.
    let again = files
        .complete_upload(&upload, &order, None, &named("hr"))
        .await;
    assert_eq!(again.unwrap(), (completed, file));
    let late = files.sent(&upload, b"x").await.unwrap_err();
    assert!(late.message.contains("completed"), "{}", late.message);
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_leaves_nothing() {
    let (_dir, files) = files().await;
    let new = NewUpload {
        bytes: 1001,
        ..NewUpload::default()
    };
    let refused = files.begin_upload(new, &named("hr")).await.unwrap_err();
    assert_eq!(refused.param, Some("bytes"));
    assert_eq!(refused.error.code, ErrorCode::TooLarge);
    let upload = files.begun(1000).await;
    files.sent(&upload, &[b'a'; 900]).await.unwrap();
    let refused = files.sent(&upload, &[b'a'; 601]).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::TooLarge);
    assert_eq!(files.parts_there(), 1);
}

#[tokio::test]
async fn an_upload_is_its_makers() {
    let (_dir, files) = files().await;
    let upload = files.begun(1).await;
    let part = files.sent(&upload, b"x").await.unwrap();
    let other = named("it");
    let received = files.receive_part(&upload, &other).await;
    assert_eq!(received.err().unwrap().code, ErrorCode::NotFound);
    let completed = files.complete_upload(&upload, &[part], None, &other).await;
    assert_eq!(completed.unwrap_err().error.code, ErrorCode::NotFound);
    let cancelled = files.cancel_upload(&upload, &other).await;
    assert_eq!(cancelled.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test]
async fn an_upload_that_is_called_off_is_gone() {
    let (_dir, files) = files().await;
    let upload = files.begun(1).await;
    let part = files.sent(&upload, b"x").await.unwrap();
    for _ in 0..2 {
        let cancelled = files.cancel_upload(&upload, &named("hr")).await.unwrap();
        assert_eq!(cancelled.status, UploadStatus::Cancelled);
        assert_eq!(files.parts_there(), 0);
    }
    let completed = files
        .complete_upload(&upload, &[part], None, &named("hr"))
        .await;
    let refused = completed.unwrap_err().error;
    assert_eq!(refused.code, ErrorCode::InvalidRequest);
    assert!(refused.message.contains("cancelled"), "{}", refused.message);
}

#[tokio::test]
async fn what_is_late_or_left_over_is_removed() {
    static CLOCK: AtomicI64 = AtomicI64::new(NOW);
    fn clock() -> i64 {
        CLOCK.load(Ordering::Relaxed)
    }
    let dir = tempfile::tempdir().unwrap();
    let files = files_at(dir.path(), clock).await;
    let upload = files.begun(1).await;
    let part = files.sent(&upload, b"x").await.unwrap();
    // A process was killed between the bytes of a part and its row.
    std::fs::write(files.part_path("part_orphan"), b"y").unwrap();
    files.sweep().await.unwrap();
    assert_eq!(names(&files.root.join(PARTS)), std::slice::from_ref(&part));
    files.expire().await.unwrap();
    assert_eq!(files.parts_there(), 1);

    CLOCK.fetch_add(3600, Ordering::Relaxed);
    files.expire().await.unwrap();
    assert_eq!(files.parts_there(), 0);
    let (parts, caller) = ([part], named("hr"));
    let late = files.complete_upload(&upload, &parts, None, &caller);
    let refused = late.await.unwrap_err().error;
    assert!(refused.message.contains("expired"), "{}", refused.message);
    CLOCK.fetch_add(KNOWN, Ordering::Relaxed);
    files.expire().await.unwrap();
    let gone = files.cancel_upload(&upload, &named("hr")).await;
    assert_eq!(gone.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test]
async fn one_process_has_a_claim() {
    let (_dir, files) = files().await;
    let claim = files.claim("work").await.unwrap();
    assert!(claim.is_some());
    assert!(files.claim("work").await.unwrap().is_none());
    assert!(files.claim("other").await.unwrap().is_some());
    drop(claim);
    assert!(files.claim("work").await.unwrap().is_some());
}
