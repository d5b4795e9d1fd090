//! What becomes of uploads: until when parts may come, how many, and that a complete one is one file.

use super::*;
use crate::tests::store;

const NOW: i64 = 1_774_948_000;

const BOUNDS: UploadBounds = UploadBounds {
    pending: 2,
    parts: 3,
    bytes: 100,
};

fn new(id: &str) -> StoredUpload {
    StoredUpload {
        id: id.to_owned(),
        filename: "in.jsonl".to_owned(),
        purpose: "batch".to_owned(),
        bytes: 30,
        expires_after: Some(3600),
        status: UploadStatus::Pending,
        file: None,
        created: NOW,
        expires: NOW + 60,
        owner: Some("hr".to_owned()),
        labels: vec!["hr".to_owned()],
    }
}

fn part(id: &str, bytes: u64) -> UploadPart {
    UploadPart {
        id: id.to_owned(),
        upload: "u1".to_owned(),
        bytes,
        created: NOW,
    }
}

fn file(id: &str) -> StoredFile {
    StoredFile {
        id: id.to_owned(),
        hash: format!("hash of {id}"),
        bytes: 30,
        filename: "in.jsonl".to_owned(),
        purpose: "batch".to_owned(),
        created: NOW,
        expires: None,
        owner: None,
        labels: Vec::new(),
    }
}

async fn with_upload() -> (tempfile::TempDir, Store) {
    let (dir, store) = store().await;
    assert!(store.put_upload(&new("u1"), BOUNDS).await.unwrap());
    (dir, store)
}

async fn status(store: &Store, now: i64) -> UploadStatus {
    let found = store.upload("u1", &Clearance::Full, now).await.unwrap();
    found.unwrap().status
}

#[tokio::test]
async fn an_upload_is_for_who_may_read_it_and_expires() {
    let (_dir, store) = with_upload().await;
    let hr = Clearance::of(["hr"]);
    let found = store.upload("u1", &hr, NOW).await.unwrap();
    assert_eq!(found, Some(new("u1")));
    let other = store.upload("u1", &Clearance::default(), NOW).await;
    assert_eq!(other.unwrap(), None);
    assert_eq!(status(&store, NOW + 59).await, UploadStatus::Pending);
    assert_eq!(status(&store, NOW + 60).await, UploadStatus::Expired);
    // So many may be pending; those that have expired are not.
    assert!(store.put_upload(&new("u2"), BOUNDS).await.unwrap());
    assert!(!store.put_upload(&new("u3"), BOUNDS).await.unwrap());
    let mut later = new("u3");
    later.created = NOW + 60;
    assert!(store.put_upload(&later, BOUNDS).await.unwrap());
}

#[tokio::test]
async fn parts_have_bounds_and_a_time() {
    let (_dir, store) = with_upload().await;
    for (id, bytes, now, step) in [
        ("p1", 10, NOW, UploadStep::Noted),
        ("p2", 91, NOW, UploadStep::NoRoom),
        ("p2", 90, NOW + 60, UploadStep::Closed),
        ("p2", 20, NOW, UploadStep::Noted),
        ("p3", 1, NOW, UploadStep::Noted),
        ("p4", 1, NOW, UploadStep::TooMany),
    ] {
        let found = store.put_part(&part(id, bytes), BOUNDS, now).await.unwrap();
        assert_eq!(found, step, "{id} of {bytes} bytes");
    }
    let parts = store.upload_parts("u1").await.unwrap();
    assert_eq!(parts, [part("p1", 10), part("p2", 20), part("p3", 1)]);
    assert!(store.has_part("p1").await.unwrap());
    assert!(!store.has_part("p4").await.unwrap());
}

#[tokio::test]
async fn a_complete_upload_is_one_file_without_parts() {
    let (_dir, store) = with_upload().await;
    store.put_part(&part("p1", 30), BOUNDS, NOW).await.unwrap();
    for (most, now, step) in [
        (29, NOW, UploadStep::NoRoom),
        (100, NOW + 60, UploadStep::Closed),
        (100, NOW, UploadStep::Noted),
        (100, NOW, UploadStep::Closed),
    ] {
        let found = store
            .complete_upload("u1", &file("file-1"), most, now)
            .await
            .unwrap();
        assert_eq!(found, step, "{most} bytes at {now}");
        let is_file = store.has_bytes("hash of file-1").await.unwrap();
        let parts = store.upload_parts("u1").await.unwrap();
        assert_ne!(is_file, parts.iter().any(|part| part.id == "p1"));
    }
    let found = store.upload("u1", &Clearance::Full, NOW).await.unwrap();
    let found = found.unwrap();
    assert_eq!(found.status, UploadStatus::Completed);
    assert_eq!(found.file.as_deref(), Some("file-1"));
    let added = store.put_part(&part("p2", 1), BOUNDS, NOW).await.unwrap();
    assert_eq!(added, UploadStep::Closed);
    assert_eq!(store.cancel_upload("u1", NOW).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_called_off_or_expires_leaves_nothing() {
    let (_dir, store) = with_upload().await;
    store.put_part(&part("p1", 1), BOUNDS, NOW).await.unwrap();
    let parts = store.cancel_upload("u1", NOW).await.unwrap();
    assert_eq!(parts, Some(vec!["p1".to_owned()]));
    assert_eq!(store.cancel_upload("u1", NOW).await.unwrap(), None);
    assert_eq!(status(&store, NOW + 99).await, UploadStatus::Cancelled);
    store.forget_uploads(NOW + 59).await.unwrap();
    assert_eq!(status(&store, NOW).await, UploadStatus::Cancelled);

    let (_dir, store) = with_upload().await;
    store.put_part(&part("p1", 1), BOUNDS, NOW).await.unwrap();
    store.put_part(&part("p2", 1), BOUNDS, NOW).await.unwrap();
    assert!(store.expire_parts(NOW + 59, 9).await.unwrap().is_empty());
    // An upload is known as long as it has parts.
    let expired = store.expire_parts(NOW + 60, 1).await.unwrap();
    assert_eq!(expired.len(), 1);
    store.forget_uploads(NOW + 60).await.unwrap();
    assert_eq!(status(&store, NOW + 60).await, UploadStatus::Expired);
    assert_eq!(store.expire_parts(NOW + 60, 9).await.unwrap().len(), 1);
    store.forget_uploads(NOW + 60).await.unwrap();
    let gone = store.upload("u1", &Clearance::Full, NOW).await.unwrap();
    assert_eq!(gone, None);
}
