//! Files and vector stores with a real store and real indexes: what was acknowledged holds, whoever is killed
//! when (`kills`), and nobody sees what is not theirs.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod kills;
mod payers;
mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Caller, Clearance, ErrorCode, Query, Retriever, now_s};
use praxis_knowledge::{NewVectorStore, StoreQuery};
use praxis_store::{MemberStatus, Page, VectorStoreChange};
use serde_json::json;

use support::{code, labelled, page, process, process_at, query, request};

#[tokio::test]
async fn files_are_thrown_in_and_asked_in_plain_words() {
    let dir = tempfile::tempdir().unwrap();
    let process = process(dir.path()).await;
    let otter = process
        .send("otter.md", "# The otter\n\nAn otter eats fish.")
        .await;
    let heron = process
        .send("heron.txt", "A heron stands in the reeds.")
        .await;
    let store = process.store_by(&Caller::full(), &[&otter, &heron]).await;
    let before = process.stores.get(&store, &Clearance::Full).await.unwrap();
    assert_eq!((before.counts.in_progress, before.counts.total()), (2, 2));
    assert!(
        process.found(&store, "otter", None).await.is_empty(),
        "nothing is there yet"
    );
    process.work().await;
    let after = process.stores.get(&store, &Clearance::Full).await.unwrap();
    assert_eq!((after.counts.completed, after.counts.total()), (2, 2));
    assert!(after.usage_bytes > 0);
    assert_eq!(
        process.found(&store, "what an otter eats", None).await[0],
        otter.id
    );
    let text = process
        .stores
        .text(&store, &heron.id, &Clearance::Full)
        .await;
    assert!(text.unwrap().unwrap().contains("stands in the reeds"));
    process.check(&store).await;
    assert!(process.knowledge.names(&Clearance::Full).contains(&store));

    // Several questions at once, and a threshold that nothing reaches.
    let several = StoreQuery {
        queries: vec!["heron".to_owned(), "otter".to_owned()],
        ..query("")
    };
    let found = process.found_by(&Caller::full(), &store, several).await;
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 2);
    let strict = StoreQuery {
        threshold: 1.0,
        ..query("zebra")
    };
    assert!(
        process
            .found_by(&Caller::full(), &store, strict)
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn attributes_filter_and_follow_their_updates() {
    let dir = tempfile::tempdir().unwrap();
    let process = process(dir.path()).await;
    let full = Caller::full();
    let old = process.send("a.md", "A report of the otter.").await;
    let new = process.send("b.md", "A report of the heron.").await;
    let store = process.store_by(&full, &[]).await;
    let requests = vec![
        request(&old.id, json!({ "year": 2019, "draft": false })),
        request(&new.id, json!({ "year": 2026 })),
    ];
    process
        .stores
        .add_batch(&store, requests, &full)
        .await
        .unwrap();
    process.work().await;
    let year =
        |operator: &str, year: i64| json!({ "type": operator, "key": "year", "value": year });
    assert_eq!(
        process
            .found(&store, "report", Some(year("gte", 2020)))
            .await,
        [new.id.as_str()]
    );
    // Keys that no file has are no mistake.
    let unknown = json!({ "type": "eq", "key": "colour", "value": "red" });
    assert!(
        process
            .found(&store, "report", Some(unknown.clone()))
            .await
            .is_empty()
    );
    let either = json!({ "type": "or", "filters": [unknown, year("lt", 2020)] });
    assert_eq!(
        process.found(&store, "report", Some(either)).await,
        [old.id.as_str()]
    );

    let changed = json!({ "year": 2027, "colour": "red" });
    let changed = changed.as_object().unwrap();
    let member = process
        .stores
        .set_attributes(&store, &old.id, changed, &full)
        .await
        .unwrap();
    assert_eq!(
        (&member.attributes, member.status),
        (changed, MemberStatus::Completed)
    );
    let both = process
        .found(&store, "report", Some(year("gte", 2020)))
        .await;
    assert_eq!(both.len(), 2);
    assert_eq!(
        process
            .found(&store, "report", Some(year("eq", 2027)))
            .await,
        [old.id.as_str()]
    );
    process.work().await;
    process.check(&store).await;
}

#[tokio::test]
async fn files_that_cannot_be_read_say_why_and_stop_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let process = process(dir.path()).await;
    let files = [
        ("good.txt", "An otter.".to_owned(), None),
        ("empty.txt", " \n".to_owned(), Some("invalid_file")),
        (
            "letter.rtf",
            "{\\rtf1 x}".to_owned(),
            Some("unsupported_file"),
        ),
        ("long.txt", "word ".repeat(150), Some("invalid_file")),
    ];
    let store = process.store_by(&Caller::full(), &[]).await;
    for (name, text, wanted) in &files {
        let file = process.send(name, text).await;
        let request = request(&file.id, json!({}));
        process
            .stores
            .add_file(&store, request, &Caller::full())
            .await
            .unwrap();
        process.work().await;
        let member = process
            .stores
            .file(&store, &file.id, &Clearance::Full)
            .await
            .unwrap();
        let error = member.error.as_ref().map(|(code, _)| code.as_str());
        assert_eq!(error, *wanted, "{name}: {:?}", member.error);
    }
    let counts = process
        .stores
        .get(&store, &Clearance::Full)
        .await
        .unwrap()
        .counts;
    assert_eq!((counts.completed, counts.failed), (1, 3));
    process.check(&store).await;
}

#[tokio::test]
async fn too_large_files_are_refused_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let process = process(dir.path()).await;
    let mut upload = process.files.receive().await.unwrap();
    upload.write(&[b'x'; 900]).await.unwrap();
    assert_eq!(code(upload.write(&[b'x'; 200]).await), ErrorCode::TooLarge);
    drop(upload);
    let arriving = std::fs::read_dir(dir.path().join("files/arriving")).unwrap();
    assert_eq!(arriving.count(), 0);
    let listed = process
        .files
        .list(None, &page(10), &Clearance::Full)
        .await
        .unwrap();
    assert!(listed.items.is_empty());
}

#[tokio::test]
async fn equal_bytes_are_kept_once_and_as_long_as_a_file_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let process = process(dir.path()).await;
    let (one, other) = (
        process.send("a.txt", "same").await,
        process.send("b.txt", "same").await,
    );
    assert_eq!(one.hash, other.hash);
    process
        .files
        .delete(&one.id, &Caller::full())
        .await
        .unwrap();
    assert!(process.files.content(&other).await.is_ok());
    process
        .files
        .delete(&other.id, &Caller::full())
        .await
        .unwrap();
    assert!(process.files.content(&other).await.is_err());
    let gone = process.files.get(&other.id, &Clearance::Full).await;
    assert_eq!(code(gone), ErrorCode::NotFound);
}

#[tokio::test]
async fn what_is_deleted_is_gone_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let process = process(dir.path()).await;
    let full = Caller::full();
    let otter = process.send("otter.md", "An otter eats fish.").await;
    let heron = process.send("heron.md", "A heron eats fish.").await;
    let lynx = process.send("lynx.md", "A lynx eats hares.").await;
    let store = process.store_by(&full, &[&otter, &heron, &lynx]).await;
    process.work().await;
    process
        .stores
        .remove_file(&store, &otter.id, &full)
        .await
        .unwrap();
    process.files.delete(&heron.id, &full).await.unwrap();
    assert_eq!(
        process.found(&store, "eats", None).await,
        [lynx.id.as_str()]
    );
    process.check(&store).await;
    let missing = process
        .stores
        .file(&store, &heron.id, &Clearance::Full)
        .await;
    assert_eq!(code(missing), ErrorCode::NotFound);
    assert!(
        process.files.get(&otter.id, &Clearance::Full).await.is_ok(),
        "the file itself stays"
    );

    process.stores.delete(&store, &full).await.unwrap();
    assert_eq!(
        code(process.stores.get(&store, &Clearance::Full).await),
        ErrorCode::NotFound
    );
    assert!(!process.knowledge.names(&Clearance::Full).contains(&store));
    process.work().await;
    assert!(!dir.path().join("state/index").join(&store).exists());
    assert!(process.files.get(&lynx.id, &Clearance::Full).await.is_ok());
}

#[tokio::test]
async fn who_has_no_label_of_it_sees_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let process = process(dir.path()).await;
    let (hr, guest) = (labelled("hr", &["hr"]), labelled("guest", &[]));
    let secret = process
        .send_by(&hr, "pay.md", "The pay of the director.")
        .await;
    let store = process.store_by(&hr, &[&secret]).await;
    process.work().await;
    assert_eq!(
        process.found_by(&hr, &store, query("pay")).await,
        [secret.id.as_str()]
    );
    let stores = &process.stores;
    let none = &guest.clearance;
    assert_eq!(code(stores.get(&store, none).await), ErrorCode::NotFound);
    assert_eq!(
        code(process.files.get(&secret.id, none).await),
        ErrorCode::NotFound
    );
    assert!(stores.list(&page(10), none).await.unwrap().items.is_empty());
    assert!(
        process
            .files
            .list(None, &page(10), none)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(!process.knowledge.names(none).contains(&store));
    // Nor by its id as that of a base, which is told as one that there is not.
    let knowledge = &process.knowledge;
    for id in [store.as_str(), "vs_none"] {
        let cx = CallContext::new(Arc::new(NoTrace)).with_caller(guest.clone());
        let pay = Query::new("pay", 3);
        let missing = format!("no knowledge base `{id}`");
        for told in [
            knowledge.search(id, &pay, &cx).await.unwrap_err(),
            knowledge.search_documents(id, &pay, &cx).await.unwrap_err(),
            knowledge.graph(id, None, 3, none).await.unwrap_err(),
            knowledge
                .graph_path(id, ("a", "b"), 3, none)
                .await
                .unwrap_err(),
        ] {
            assert_eq!((told.code, &told.message), (ErrorCode::NotFound, &missing));
            assert_eq!(
                told.hint.as_deref(),
                Some("a base is a file `knowledge/NAME.toml`")
            );
        }
    }
    let cx = CallContext::new(Arc::new(NoTrace)).with_caller(hr.clone());
    let found = knowledge.search(&store, &Query::new("pay", 3), &cx).await;
    assert_eq!(found.unwrap().passages.len(), 1);

    // What everybody may read is changed by its owner alone; and a file keeps its labels in any store.
    let open = process.store_by(&Caller::full(), &[&secret]).await;
    process.work().await;
    assert!(
        process
            .found_by(&guest, &open, query("pay"))
            .await
            .is_empty()
    );
    assert_eq!(process.found_by(&hr, &open, query("pay")).await.len(), 1);
    assert_eq!(
        code(stores.delete(&open, &guest).await),
        ErrorCode::Forbidden
    );
    let public = process.send_by(&guest, "hello.md", "Hello to all.").await;
    let add = stores
        .add_file(&open, request(&public.id, json!({})), &guest)
        .await;
    assert_eq!(code(add), ErrorCode::Forbidden);
    let stolen = NewVectorStore {
        files: vec![request(&secret.id, json!({}))],
        ..NewVectorStore::default()
    };
    assert_eq!(
        code(stores.create(stolen, &guest).await),
        ErrorCode::NotFound
    );
    let own = process.store_by(&guest, &[&public]).await;
    stores.delete(&own, &guest).await.unwrap();
}

#[tokio::test]
async fn a_store_that_nobody_used_expires_and_its_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    let first = process(dir.path()).await;
    let file = first.send("otter.md", "An otter.").await;
    let store = first.store_by(&Caller::full(), &[&file]).await;
    let change = VectorStoreChange {
        expires_days: Some(Some(2)),
        ..VectorStoreChange::default()
    };
    first
        .stores
        .modify(&store, &change, &Caller::full())
        .await
        .unwrap();
    first.work().await;
    drop(first);
    let later = process_at(dir.path(), || now_s() + 3 * 86_400).await;
    let expired = later.stores.get(&store, &Clearance::Full).await.unwrap();
    assert!(expired.expired);
    let cx = CallContext::new(Arc::new(NoTrace)).with_caller(Caller::full());
    let search = later.stores.search(&store, query("otter"), &cx).await;
    assert_eq!(code(search), ErrorCode::InvalidRequest);
    later.work().await;
    let listed = later
        .stores
        .files(&store, None, &page(10), &Clearance::Full)
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1, "to make a new one of them");
    let emptied = later.stores.get(&store, &Clearance::Full).await.unwrap();
    assert!(emptied.expired && emptied.usage_bytes == 0);
    assert!(!dir.path().join("state/index").join(&store).exists());
}

#[tokio::test]
async fn a_batch_is_called_off() {
    let dir = tempfile::tempdir().unwrap();
    let process = process(dir.path()).await;
    let full = Caller::full();
    let otter = process.send("otter.md", "An otter.").await;
    let store = process.store_by(&full, &[]).await;
    let requests = vec![request(&otter.id, json!({}))];
    let batch = process
        .stores
        .add_batch(&store, requests.clone(), &full)
        .await
        .unwrap();
    let batch = process
        .stores
        .cancel_batch(&store, &batch.id, &full)
        .await
        .unwrap();
    assert!(batch.cancelled && batch.counts.cancelled == 1);
    process.work().await;
    assert_eq!(
        process.status(&store, &otter.id).await,
        MemberStatus::Cancelled
    );
    // It may be added again; one that is done cannot be called off.
    let again = process
        .stores
        .add_batch(&store, requests, &full)
        .await
        .unwrap();
    process.work().await;
    let again = process
        .stores
        .cancel_batch(&store, &again.id, &full)
        .await
        .unwrap();
    assert!(!again.cancelled && again.counts.completed == 1);
}

#[tokio::test]
async fn pages_go_on_after_what_was_deleted_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let process = process(dir.path()).await;
    let full = Caller::full();
    let store = process.store_by(&full, &[]).await;
    let mut sent = Vec::new();
    for n in 0..7 {
        let file = process
            .send("a.md", &format!("An otter of the year {n}."))
            .await;
        let request = request(&file.id, json!({}));
        process
            .stores
            .add_file(&store, request, &full)
            .await
            .unwrap();
        sent.push(file.id);
    }
    for descending in [true, false] {
        let mut wanted = sent.clone();
        if descending {
            wanted.reverse();
        }
        let (mut seen, mut page) = (
            Vec::new(),
            Page {
                descending,
                ..page(2)
            },
        );
        loop {
            let part = process
                .stores
                .files(&store, None, &page, &Clearance::Full)
                .await
                .unwrap();
            seen.extend(part.items.iter().map(|member| member.file.clone()));
            page.after = seen.last().cloned();
            if !part.has_more {
                break;
            }
            if descending {
                let last = seen.last().unwrap();
                process
                    .stores
                    .remove_file(&store, last, &full)
                    .await
                    .unwrap();
            }
        }
        if descending {
            assert_eq!(seen, wanted);
            for file in &sent {
                let request = request(file, json!({}));
                process
                    .stores
                    .add_file(&store, request, &full)
                    .await
                    .unwrap();
            }
        } else {
            assert_eq!(
                seen.iter().collect::<BTreeSet<_>>(),
                wanted.iter().collect()
            );
        }
    }
    let before = Page {
        before: Some(sent[2].clone()),
        ..page(2)
    };
    let part = process
        .files
        .list(None, &before, &Clearance::Full)
        .await
        .unwrap();
    let ids: Vec<&str> = part.items.iter().map(|file| file.id.as_str()).collect();
    assert_eq!(ids, [sent[4].as_str(), sent[3].as_str()]);
    assert!(part.has_more);
}
