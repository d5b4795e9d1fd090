//! An application's files and vector stores as one process has them, with an embedder whose vectors are counts
//! of words.

#[path = "../support/counts.rs"]
mod counts;

use std::path::Path;
use std::sync::Arc;

pub use counts::Counts;
use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Caller, Clearance, Embedder, ErrorCode, Filter, now_s};
use praxis_knowledge::{
    FileLimits, FileRequest, Files, Knowledge, NewFile, NewVectorStore, StoreQuery, VectorStores,
};
use praxis_store::{MemberStatus, Page, Store, StoredFile};
use serde_json::{Value, json};

/// What a process has of an application.
pub struct Process {
    pub knowledge: Arc<Knowledge>,
    pub files: Arc<Files>,
    pub stores: VectorStores,
}

pub async fn process_at(dir: &Path, clock: fn() -> i64) -> Process {
    process_with(dir, clock, |knowledge| knowledge).await
}

/// The same with bases that are `made` otherwise.
pub async fn process_with(
    dir: &Path,
    clock: fn() -> i64,
    made: impl FnOnce(Knowledge) -> Knowledge,
) -> Process {
    let store = Store::open(&dir.join("praxis.db")).await.unwrap();
    let embedders = Arc::new(|_: Option<&str>| Ok(Arc::new(Counts) as Arc<dyn Embedder>));
    let knowledge = Knowledge::open(dir.join("state"), store.clone(), Vec::new(), embedders);
    let knowledge = Arc::new(made(knowledge));
    let limits = FileLimits {
        max_file_bytes: 1000,
        max_total_bytes: 100_000,
        max_document_bytes: 500,
    };
    let files = Arc::new(Files::new(dir.join("files"), store, limits, clock));
    let stores = VectorStores::open(Arc::clone(&knowledge), Arc::clone(&files), clock);
    Process {
        stores: stores.await.unwrap(),
        knowledge,
        files,
    }
}

pub async fn process(dir: &Path) -> Process {
    process_at(dir, now_s).await
}

pub fn labelled(name: &str, labels: &[&str]) -> Caller {
    Caller {
        name: Some(name.to_owned()),
        clearance: Clearance::of(labels.iter().copied()),
    }
}

impl Process {
    pub async fn send_by(&self, caller: &Caller, filename: &str, text: &str) -> StoredFile {
        let mut upload = self.files.receive().await.unwrap();
        for piece in text.as_bytes().chunks(7) {
            upload.write(piece).await.unwrap();
        }
        let new = NewFile {
            filename: filename.to_owned(),
            purpose: "assistants".to_owned(),
            expires_after: None,
        };
        self.files.keep(upload, new, caller).await.unwrap()
    }

    pub async fn send(&self, filename: &str, text: &str) -> StoredFile {
        self.send_by(&Caller::full(), filename, text).await
    }

    /// A vector store of these files, made by a caller.
    pub async fn store_by(&self, caller: &Caller, files: &[&StoredFile]) -> String {
        let request = |file: &&StoredFile| request(&file.id, json!({}));
        let new = NewVectorStore {
            name: "library".to_owned(),
            files: files.iter().map(request).collect(),
            ..NewVectorStore::default()
        };
        self.stores.create(new, caller).await.unwrap().id
    }

    /// Works until there is nothing to do.
    pub async fn work(&self) {
        let mut last = String::new();
        let mut busy = true;
        for _ in 0..200 {
            busy = busy && self.stores.step(&mut last).await.unwrap();
        }
        assert!(!busy, "there is no end to the work");
    }

    pub async fn found_by(&self, caller: &Caller, store: &str, query: StoreQuery) -> Vec<String> {
        let cx = CallContext::new(Arc::new(NoTrace)).with_caller(caller.clone());
        let found = self.stores.search(store, query, &cx).await.unwrap();
        found.hits.into_iter().map(|hit| hit.file).collect()
    }

    /// Files that a question finds, best first.
    pub async fn found(&self, store: &str, text: &str, filter: Option<Value>) -> Vec<String> {
        let query = StoreQuery {
            filter: filter.map(|json| Filter::parse(&json).unwrap()),
            ..query(text)
        };
        self.found_by(&Caller::full(), store, query).await
    }

    pub async fn status(&self, store: &str, file: &str) -> MemberStatus {
        let found = self.stores.file(store, file, &Clearance::Full).await;
        found.unwrap().status
    }

    /// That the indexes hold exactly what the store does.
    pub async fn check(&self, store: &str) {
        let report = self.knowledge.check(store).await.unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

pub fn request(file: &str, attributes: Value) -> FileRequest {
    FileRequest {
        file: file.to_owned(),
        attributes: attributes.as_object().unwrap().clone(),
        cut: None,
        paid_by: None,
    }
}

pub fn query(text: &str) -> StoreQuery {
    StoreQuery {
        queries: vec![text.to_owned()],
        limit: 50,
        ..StoreQuery::default()
    }
}

pub fn page(limit: usize) -> Page {
    Page {
        limit,
        descending: true,
        ..Page::default()
    }
}

pub fn code<T: std::fmt::Debug>(outcome: Result<T, praxis_core::CallError>) -> ErrorCode {
    outcome.unwrap_err().code
}
