//! Sources that list nothing, or next to nothing, where they had documents: these stay, and go when their owner says
//! so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "support/counts.rs"]
mod counts;
#[path = "support/git.rs"]
mod git;

use std::path::Path;
use std::sync::Arc;

use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Caller, Clearance, Embedder, ErrorCode, Query, Retriever};
use praxis_knowledge::{BaseConfig, IngestReport, Knowledge};
use praxis_store::Store;

use counts::Counts;
use git::git;

/// Brings the base `docs` of a folder up to date, as its file says.
async fn ingested(dir: &Path, toml: &str) -> (IngestReport, Vec<String>) {
    let config: BaseConfig = toml::from_str(toml).unwrap();
    assert_eq!(config.problems(), []);
    let store = Store::open(&dir.join("praxis.db")).await.unwrap();
    let knowledge = Knowledge::open(
        dir.join("state"),
        store,
        vec![("docs".to_owned(), dir.join("knowledge"), config)],
        Arc::new(|_| Ok(Arc::new(Counts) as Arc<dyn Embedder>)),
    );
    let cx = CallContext::new(Arc::new(NoTrace));
    let report = knowledge.ingest("docs", &|_| {}, &cx).await.unwrap();
    let heads = knowledge.documents("docs", &Clearance::Full).await.unwrap();
    (report, heads.into_iter().map(|head| head.uri).collect())
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn records(count: usize) -> String {
    (0..count)
        .map(|id| format!("{{\"id\": {id}, \"text\": \"Ticket number {id}.\"}}\n"))
        .collect()
}

const TICKETS: &str = "[[sources]]\ntype = \"jsonl\"\nname = \"tickets\"\npaths = [\"lines/*.jsonl\"]\nid = \"id\"\ntext = \"text\"\n";

#[tokio::test]
async fn a_file_of_records_that_is_emptied_takes_its_documents_along_when_its_owner_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let lines = dir.path().join("knowledge/lines");
    write(&lines.join("a.jsonl"), &records(3));
    write(&lines.join("b.jsonl"), &records(2));
    assert_eq!(ingested(dir.path(), TICKETS).await.0.added, 5);
    // An export begins with an empty file.
    write(&lines.join("a.jsonl"), "");
    for _ in 0..2 {
        let (report, uris) = ingested(dir.path(), TICKETS).await;
        assert_eq!((report.removed, uris.len()), (0, 5), "{report:?}");
        let problem = &report.problems[0];
        assert!(
            problem.reason.contains("`lines/a.jsonl` is empty") && problem.hint.is_some(),
            "{report:?}"
        );
    }
    write(&lines.join("b.jsonl"), "\n");
    let (report, uris) = ingested(dir.path(), TICKETS).await;
    assert_eq!((report.removed, uris.len()), (0, 5), "{report:?}");
    let emptied = format!("{TICKETS}may_empty = true\n");
    let (report, uris) = ingested(dir.path(), &emptied).await;
    assert_eq!((report.removed, uris.len()), (5, 0), "{report:?}");
    assert!(report.problems.is_empty(), "{report:?}");
}

#[tokio::test]
async fn a_file_of_records_that_is_deleted_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let lines = dir.path().join("knowledge/lines");
    write(&lines.join("a.jsonl"), &records(3));
    write(&lines.join("b.jsonl"), &records(2));
    ingested(dir.path(), TICKETS).await;
    std::fs::remove_file(lines.join("a.jsonl")).unwrap();
    let (report, uris) = ingested(dir.path(), TICKETS).await;
    assert_eq!((report.removed, uris.len()), (3, 2), "{report:?}");
    assert!(report.problems.is_empty(), "{report:?}");
}

#[tokio::test]
async fn a_source_that_lists_next_to_nothing_is_taken_for_one_that_is_out_of_order() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("knowledge/lines/a.jsonl");
    write(&file, &records(50));
    assert_eq!(ingested(dir.path(), TICKETS).await.0.added, 50);
    // Ten of fifty go, as documents do.
    write(&file, &records(40));
    assert_eq!(ingested(dir.path(), TICKETS).await.0.removed, 10);
    // Nearly all of them, as of an export that was cut.
    write(&file, &records(3));
    let (report, uris) = ingested(dir.path(), TICKETS).await;
    assert_eq!((report.removed, uris.len()), (0, 40), "{report:?}");
    let problem = &report.problems[0];
    assert!(
        problem.reason.contains("3 documents now and had 40 before"),
        "{report:?}"
    );
    assert!(
        problem.hint.as_ref().unwrap().contains("may_empty"),
        "{report:?}"
    );
    // Others in their place are no loss.
    let others = records(40).replace("\"id\": ", "\"id\": 1");
    write(&file, &others);
    let (report, uris) = ingested(dir.path(), TICKETS).await;
    assert_eq!(uris.len(), 40, "{report:?}");
    assert!(report.problems.is_empty(), "{report:?}");
    write(&file, &records(3));
    let emptied = format!("{TICKETS}may_empty = true\n");
    assert_eq!(ingested(dir.path(), &emptied).await.1.len(), 3);
    // Of few, few may be left.
    write(&file, &records(1));
    assert_eq!(ingested(dir.path(), TICKETS).await.0.removed, 2);
}

#[tokio::test]
async fn a_repository_whose_globs_fit_nothing_any_more_keeps_its_documents() {
    let dir = tempfile::tempdir().unwrap();
    let manual = dir.path().join("manual");
    write(&manual.join("docs/pump.md"), "# Pump\n\nOil it.\n");
    git(&manual, &["init", "--quiet"]);
    git(&manual, &["add", "."]);
    git(&manual, &["commit", "--quiet", "-m", "one"]);
    std::fs::create_dir_all(dir.path().join("knowledge")).unwrap();
    let source = "[[sources]]\ntype = \"git\"\nname = \"manual\"\nurl = \"../manual\"\n";
    let globs = format!("{source}paths = [\"docs/**\"]\n");
    assert_eq!(ingested(dir.path(), &globs).await.0.added, 1);
    git(&manual, &["mv", "docs", "pages"]);
    git(&manual, &["commit", "--quiet", "-m", "two"]);
    let (report, uris) = ingested(dir.path(), &globs).await;
    assert_eq!(uris, ["manual:docs/pump.md"], "{report:?}");
    assert_eq!(report.problems[0].source, "manual");
    assert_eq!(report.unheard, ["manual"]);
    let mended = format!("{source}paths = [\"pages/**\"]\n");
    let (report, uris) = ingested(dir.path(), &mended).await;
    assert_eq!(uris, ["manual:pages/pump.md"], "{report:?}");
    // So does one without any document, until it is taken out of the file.
    git(&manual, &["rm", "--quiet", "-r", "pages"]);
    let empty = ["commit", "--quiet", "--allow-empty", "-m", "three"];
    git(&manual, &empty);
    let (report, uris) = ingested(dir.path(), source).await;
    assert_eq!((report.removed, uris.len()), (0, 1), "{report:?}");
    let (report, uris) = ingested(dir.path(), "[source]\n").await;
    assert_eq!((report.removed, uris.len()), (1, 0), "{report:?}");
}

#[tokio::test]
async fn a_folder_that_was_emptied_says_so_like_any_source() {
    let dir = tempfile::tempdir().unwrap();
    let share = dir.path().join("share");
    write(&share.join("a.md"), "# A\n\nText.\n");
    std::fs::create_dir_all(dir.path().join("knowledge")).unwrap();
    let source = "[source]\npaths = [\"../share\"]\n";
    assert_eq!(ingested(dir.path(), source).await.0.added, 1);
    std::fs::remove_file(share.join("a.md")).unwrap();
    let (report, uris) = ingested(dir.path(), source).await;
    assert_eq!((report.problems.len(), uris.len()), (1, 1), "{report:?}");
    assert!(
        report.problems[0]
            .hint
            .as_ref()
            .unwrap()
            .contains("may_empty"),
        "{report:?}"
    );
    let emptied = format!("{source}may_empty = true\n");
    let (report, uris) = ingested(dir.path(), &emptied).await;
    assert_eq!((report.removed, uris.len()), (1, 0), "{report:?}");
}

#[tokio::test]
async fn a_base_without_any_document_is_told_like_one_that_was_never_ingested() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("knowledge");
    std::fs::create_dir_all(&folder).unwrap();
    let rule = "[[metadata]]\nmatch = \"*.md\"\nlabels = [\"hr\"]\n";
    let config: BaseConfig = toml::from_str(rule).unwrap();
    let knowledge = Knowledge::open(
        dir.path().join("state"),
        Store::open(&dir.path().join("praxis.db")).await.unwrap(),
        vec![("docs".to_owned(), folder.clone(), config)],
        Arc::new(|_| Ok(Arc::new(Counts) as Arc<dyn Embedder>)),
    );
    let cx = CallContext::new(Arc::new(NoTrace));
    let query = Query::new("where the otter swims", 3);
    for is_ingested in [false, true] {
        if is_ingested {
            // Of an empty folder, whatever it says of that.
            let _ = knowledge.ingest("docs", &|_| {}, &cx).await;
        }
        let error = knowledge.search("docs", &query, &cx).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{is_ingested}: {error}");
        assert!(error.message.contains("`docs` is empty"), "{error}");
        assert!(error.hint.unwrap().contains("praxis ingest docs"));
    }
    // Documents that a caller may not see are there all the same.
    write(
        &folder.join("otter.md"),
        "# Otter\n\nThe otter swims here.\n",
    );
    let report = knowledge.ingest("docs", &|_| {}, &cx).await.unwrap();
    assert_eq!(report.added, 1, "{report:?}");
    let stranger = cx.with_caller(Caller {
        name: None,
        clearance: Clearance::of(Vec::<String>::new()),
    });
    let found = knowledge.search("docs", &query, &stranger).await.unwrap();
    assert!(found.passages.is_empty());
}

#[tokio::test]
async fn a_star_that_stays_in_its_folder_leaves_nothing_open_below() {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = dir.path().join("knowledge");
    for path in ["hr/a.md", "hr/old/b.md", "c.md"] {
        write(&knowledge.join(path), &format!("# {path}\n\nText.\n"));
    }
    let rule = |glob: &str| format!("[[metadata]]\nmatch = \"{glob}\"\nlabels = [\"hr\"]\n");
    let config: BaseConfig = toml::from_str(&rule("hr/*")).unwrap();
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let bases = vec![("docs".to_owned(), knowledge, config)];
    let knowledge = Knowledge::open(
        dir.path().join("state"),
        store,
        bases,
        Arc::new(|_| Ok(Arc::new(Counts) as Arc<dyn Embedder>)),
    );
    let cx = CallContext::new(Arc::new(NoTrace));
    let report = knowledge.ingest("docs", &|_| {}, &cx).await.unwrap();
    let [warning] = report.warnings.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(warning.uri, "hr/old/b.md");
    assert!(warning.reason.contains("rule 1 (`hr/*`)"), "{warning:?}");
    let open = Clearance::of(Vec::<String>::new());
    let heads = knowledge.documents("docs", &open).await.unwrap();
    let uris: Vec<String> = heads.into_iter().map(|head| head.uri).collect();
    assert_eq!(uris, ["c.md"]);
    // Said plainly, nothing is in doubt.
    let (report, _) = ingested(dir.path(), &rule("hr/**")).await;
    assert_eq!(
        (report.warnings.len(), report.described),
        (0, 0),
        "{report:?}"
    );
}
