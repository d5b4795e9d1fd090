//! Scans in a base: recognized, cut, embedded, and found with their page. Needs the feature `ocr`, and Tesseract with the
//! languages of the scans: `make test-ocr` installs it.

#![cfg(feature = "ocr")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they need"
)]

#[path = "support/counts.rs"]
mod counts;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use counts::Counts;
use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Embedder, Query, Retriever};
use praxis_knowledge::{BaseConfig, Knowledge};
use praxis_store::Store;

/// Whether Tesseract reads the languages of the scans here; says so where not.
fn has_tesseract() -> bool {
    let listed = Command::new("tesseract").arg("--list-langs").output();
    let listed = listed.map(|out| [out.stdout, out.stderr].concat());
    let listed = String::from_utf8_lossy(&listed.unwrap_or_default()).into_owned();
    let reads = |language: &str| listed.lines().any(|line| line.trim() == language);
    let here = reads("eng") && reads("chi_sim");
    if !here {
        eprintln!("SKIPPED: needs Tesseract with eng and chi_sim: `scripts/setup.sh ocr`");
    }
    here
}

#[tokio::test]
async fn an_ingested_scan_is_found_on_its_page() {
    if !has_tesseract() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let documents = dir.path().join("knowledge");
    std::fs::create_dir_all(&documents).unwrap();
    let scans = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scans");
    for name in ["english.pdf", "chinese.pdf", "screen.png"] {
        std::fs::copy(scans.join(name), documents.join(name)).unwrap();
    }
    let knowledge = Knowledge::open(
        dir.path().join("state"),
        Store::open(&dir.path().join("praxis.db")).await.unwrap(),
        vec![("docs".to_owned(), documents, BaseConfig::default())],
        Arc::new(|_| Ok(Arc::new(Counts) as Arc<dyn Embedder>)),
    );
    let cx = CallContext::new(Arc::new(NoTrace));
    let report = knowledge.ingest("docs", &|_| {}, &cx).await.unwrap();
    assert!(
        report.added == 3 && report.failed.is_empty() && report.warnings.is_empty(),
        "{report:?}"
    );
    for (question, uri, page, answer) in [
        (
            "What does a library card cost, and who under sixteen pays?",
            "english.pdf",
            Some(1),
            "12 euros",
        ),
        (
            "Where are maps and prints made before 1850 kept?",
            "english.pdf",
            Some(2),
            "cellar",
        ),
        ("图书馆的借书证怎么办理？", "chinese.pdf", Some(1), ""),
        (
            "Rinse a blocked filter with warm water",
            "screen.png",
            None,
            "",
        ),
    ] {
        let found = knowledge
            .search("docs", &Query::new(question, 3), &cx)
            .await;
        let first = found.unwrap().passages.swap_remove(0);
        assert_eq!(
            (first.uri.as_str(), first.page),
            (uri, page),
            "{question}: {first:?}"
        );
        assert!(first.text.contains(answer), "{question}: {first:?}");
    }
}
