//! Bases of several sources: what comes, changes and goes, and what stays when a source fails.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "support/git.rs"]
mod git;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use praxis_core::embed::{EmbedKind, TokenCounter};
use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Clearance, Embedder, ErrorCode, ModelError, Query, Retriever};
use praxis_knowledge::{BaseConfig, IngestEvent, IngestReport, Knowledge};
use praxis_store::Store;
use tokio_util::sync::CancellationToken;

use git::git;

/// An embedder that counts what it embeds, with vectors of a length.
struct Letters(Mutex<usize>, usize);

#[async_trait]
impl Embedder for Letters {
    fn identity(&self) -> String {
        "letters@1".to_owned()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Ok(self.1)
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Ok(512)
    }

    async fn embed(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        if kind == EmbedKind::Passage {
            *self.0.lock().unwrap() += texts.len();
        }
        let vector = |text: &String| {
            let mut vector = vec![0.01f32; self.1];
            for byte in text.bytes() {
                vector[usize::from(byte % 32)] += 1.0;
            }
            let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
            vector.into_iter().map(|v| v / length).collect()
        };
        Ok(texts.iter().map(vector).collect())
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Ok(Arc::new(|text: &str| text.split_whitespace().count()))
    }
}

fn cx() -> CallContext {
    CallContext::new(Arc::new(NoTrace))
}

fn under(cancel: &CancellationToken) -> CallContext {
    cx().with_cancel(cancel.clone())
}

/// The base `docs` of a folder, by the text of its file.
struct Stand {
    knowledge: Knowledge,
    embedder: Arc<Letters>,
}

impl Stand {
    async fn open(dir: &Path, toml: &str) -> Self {
        Self::with_vectors(dir, toml, 32).await
    }

    async fn with_vectors(dir: &Path, toml: &str, length: usize) -> Self {
        let config: BaseConfig = toml::from_str(toml).unwrap();
        assert_eq!(config.problems(), []);
        let store = Store::open(&dir.join("praxis.db")).await.unwrap();
        let embedder = Arc::new(Letters(Mutex::default(), length));
        let given = Arc::clone(&embedder);
        let specs = vec![("docs".to_owned(), dir.join("knowledge"), config)];
        Self {
            knowledge: Knowledge::open(
                dir.join("state"),
                store,
                specs,
                Arc::new(move |_| Ok(Arc::clone(&given) as Arc<dyn Embedder>)),
            ),
            embedder,
        }
    }

    async fn ingest(&self) -> IngestReport {
        self.knowledge.ingest("docs", &|_| {}, &cx()).await.unwrap()
    }

    async fn uris(&self) -> Vec<String> {
        let heads = self
            .knowledge
            .documents("docs", &Clearance::Full)
            .await
            .unwrap();
        heads.into_iter().map(|d| d.uri).collect()
    }

    /// Labels of its documents, in the order of their URIs.
    async fn labels(&self) -> Vec<Vec<String>> {
        let heads = self
            .knowledge
            .documents("docs", &Clearance::Full)
            .await
            .unwrap();
        heads.into_iter().map(|d| d.labels).collect()
    }

    async fn first(&self, query: &str) -> String {
        let cx = cx();
        let found = self
            .knowledge
            .search("docs", &Query::new(query, 3), &cx)
            .await
            .unwrap();
        found.passages[0].uri.clone()
    }

    /// Texts embedded since the last time.
    fn embedded(&self) -> usize {
        std::mem::take(&mut *self.embedder.0.lock().unwrap())
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const THREE: &str = "[source]\npaths = [\".\"]\nexclude = [\"*.jsonl\"]\n\
    [[sources]]\ntype = \"jsonl\"\nname = \"tickets\"\npaths = [\"tickets.jsonl\"]\nid = \"id\"\ntext = \"text\"\ntitle = \"about\"\n\
    [[sources]]\ntype = \"git\"\nname = \"manual\"\nurl = \"../manual\"\n";

fn fill(dir: &Path) {
    write(
        &dir.join("knowledge/guide.md"),
        "# Guide\n\nThe library opens at nine.\n",
    );
    write(
        &dir.join("knowledge/tickets.jsonl"),
        "{\"id\": 1, \"about\": \"Lamp\", \"text\": \"The lamp flickers at dusk.\"}\n\
         {\"id\": 2, \"about\": \"Door\", \"text\": \"The door squeaks.\"}\n",
    );
    let manual = dir.join("manual");
    write(
        &manual.join("pump.md"),
        "# Pump\n\nOil the pump every month.\n",
    );
    git(&manual, &["init", "--quiet"]);
    git(&manual, &["add", "."]);
    git(&manual, &["commit", "--quiet", "-m", "one"]);
}

#[tokio::test]
async fn a_base_has_several_sources_and_each_is_brought_up_to_date_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let stand = Stand::open(dir.path(), THREE).await;
    let report = stand.ingest().await;
    assert_eq!((report.added, report.problems.len()), (4, 0), "{report:?}");
    let all = [
        "guide.md",
        "manual:pump.md",
        "tickets.jsonl#1",
        "tickets.jsonl#2",
    ];
    assert_eq!(stand.uris().await, all);
    assert_eq!(stand.first("oil pump month").await, "manual:pump.md");
    assert_eq!(stand.first("lamp flickers dusk").await, "tickets.jsonl#1");
    let heads = stand
        .knowledge
        .documents("docs", &Clearance::Full)
        .await
        .unwrap();
    let titles: Vec<&str> = heads.iter().map(|h| h.title.as_str()).collect();
    assert_eq!(titles, ["Guide", "Pump", "Lamp", "Door"]);

    stand.embedded();
    let report = stand.ingest().await;
    assert_eq!((report.unchanged, stand.embedded()), (4, 0), "{report:?}");

    write(
        &dir.path().join("knowledge/tickets.jsonl"),
        "{\"id\": 1, \"about\": \"Lamp\", \"text\": \"The lamp glows.\"}\n",
    );
    let report = stand.ingest().await;
    let counts = (
        report.updated,
        report.removed,
        report.unchanged,
        stand.embedded(),
    );
    assert_eq!(counts, (1, 1, 2, 1), "{report:?}");
    assert!(stand.knowledge.check("docs").await.unwrap().is_clean());

    // A source that the base no longer has takes its documents along, and what it kept.
    let fewer = THREE.split("[[sources]]\ntype = \"git\"").next().unwrap();
    assert!(dir.path().join("state/sources/docs/manual").exists());
    let stand = Stand::open(dir.path(), fewer).await;
    assert_eq!(stand.ingest().await.removed, 1);
    assert_eq!(stand.uris().await, ["guide.md", "tickets.jsonl#1"]);
    assert!(!dir.path().join("state/sources/docs/manual").exists());
}

#[tokio::test]
async fn what_a_failing_source_had_stays_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let stand = Stand::open(dir.path(), THREE).await;
    stand.ingest().await;
    std::fs::rename(dir.path().join("manual"), dir.path().join("away")).unwrap();
    write(&dir.path().join("knowledge/tickets.jsonl"), "{\"id\": 1,");
    write(
        &dir.path().join("knowledge/new.md"),
        "# New\n\nSomething else.\n",
    );
    let report = stand.ingest().await;
    assert_eq!((report.added, report.removed), (1, 0), "{report:?}");
    let sources: Vec<&str> = report.problems.iter().map(|p| p.source.as_str()).collect();
    assert_eq!(sources, ["tickets", "manual"], "{report:?}");
    assert_eq!(stand.uris().await.len(), 5);
    assert_eq!(stand.first("oil pump month").await, "manual:pump.md");

    let missing = THREE.replace(
        "url = \"../manual\"",
        "url = \"https://example.invalid/m.git\"\ntoken = \"env:PRAXIS_NO_SUCH_TOKEN\"",
    );
    let report = Stand::open(dir.path(), &missing).await.ingest().await;
    let told = report
        .problems
        .iter()
        .find(|p| p.source == "manual")
        .unwrap();
    assert!(
        told.reason.contains("PRAXIS_NO_SUCH_TOKEN") && told.hint.is_some(),
        "{told:?}"
    );
    assert_eq!(report.removed, 0);

    // A folder that is not mounted is not an empty one.
    let mounted = "[source]\npaths = [\".\", \"../mount\"]\nexclude = [\"*.jsonl\"]\n";
    write(&dir.path().join("mount/a.md"), "# Mounted\n\nText.\n");
    let stand = Stand::open(dir.path(), mounted).await;
    stand.ingest().await;
    assert_eq!(stand.uris().await, ["../mount/a.md", "guide.md", "new.md"]);
    std::fs::rename(dir.path().join("mount"), dir.path().join("unmounted")).unwrap();
    let report = stand.ingest().await;
    assert_eq!(
        (report.removed, report.problems.len()),
        (0, 1),
        "{report:?}"
    );
    assert_eq!(stand.uris().await.len(), 3);
}

#[tokio::test]
async fn an_empty_folder_is_not_taken_for_one_that_was_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let both = "[source]\npaths = [\".\", \"../mount\"]\n";
    let knowledge = dir.path().join("knowledge");
    for path in ["a.md", "b.md", "../mount/c.md", "../mount/d.md"] {
        write(&knowledge.join(path), &format!("# {path}\n\nText.\n"));
    }
    let stand = Stand::open(dir.path(), both).await;
    assert_eq!(stand.ingest().await.added, 4);
    // Some files of a folder go.
    std::fs::remove_file(knowledge.join("../mount/d.md")).unwrap();
    let report = stand.ingest().await;
    assert_eq!(
        (report.removed, report.problems.len()),
        (1, 0),
        "{report:?}"
    );
    // All of them: as with a share that is not mounted.
    std::fs::remove_file(knowledge.join("../mount/c.md")).unwrap();
    for _ in 0..2 {
        let report = stand.ingest().await;
        assert_eq!(report.removed, 0, "{report:?}");
        let problem = &report.problems[0];
        assert!(
            problem.reason.contains("`../mount` is empty") && problem.hint.is_some(),
            "{problem:?}"
        );
    }
    // Nor do they go where all is cut anew.
    let anew = Stand::open(dir.path(), &format!("[segment]\nmax_tokens = 64\n{both}")).await;
    assert_eq!(anew.ingest().await.updated, 2);
    assert_eq!(stand.uris().await, ["../mount/c.md", "a.md", "b.md"]);
    // What the hint says removes them.
    let stand = Stand::open(dir.path(), "[source]\npaths = [\".\"]\n").await;
    assert_eq!(stand.ingest().await.removed, 1);
    // A folder that holds the base's own file is there.
    write(&knowledge.join("docs.toml"), "");
    for file in ["a.md", "b.md"] {
        std::fs::remove_file(knowledge.join(file)).unwrap();
    }
    let report = stand.ingest().await;
    assert_eq!(
        (report.removed, report.problems.len()),
        (2, 0),
        "{report:?}"
    );
}

#[tokio::test]
async fn who_waits_for_a_base_can_be_stopped() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("knowledge/a.md"), "# A\n\nText.\n");
    let stand = Stand::open(dir.path(), "").await;
    stand.ingest().await;
    // What an ingest of another process holds.
    let path = dir.path().join("state/index/docs.lock");
    let lock = std::fs::File::create(path).unwrap();
    lock.lock().unwrap();
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        stop.cancel();
    });
    let stopped = stand
        .knowledge
        .ingest("docs", &|_| {}, &under(&cancel))
        .await;
    assert_eq!(stopped.unwrap_err().code, ErrorCode::Cancelled);
    let (report, ()) = tokio::join!(stand.ingest(), async move {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        drop(lock);
    });
    assert_eq!(report.unchanged, 1);
}

#[tokio::test]
async fn what_cannot_be_had_keeps_its_text_while_all_else_is_cut_anew() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    Stand::open(dir.path(), THREE).await.ingest().await;
    let (manual, away) = (dir.path().join("manual"), dir.path().join("away"));
    std::fs::rename(&manual, &away).unwrap();
    let stand = Stand::open(dir.path(), &format!("[segment]\nmax_tokens = 64\n{THREE}")).await;
    let report = stand.ingest().await;
    assert_eq!((report.updated, report.removed), (3, 0), "{report:?}");
    assert_eq!(report.problems[0].source, "manual");
    assert_eq!(stand.first("oil pump month").await, "manual:pump.md");
    let all = stand.uris().await;
    // What waited is cut when it is there, also if it is asked for alone; nothing else is cut twice.
    std::fs::rename(&away, &manual).unwrap();
    let only = ["manual".to_owned()].into_iter().collect();
    let cancel = CancellationToken::new();
    let work = under(&cancel);
    let some = stand
        .knowledge
        .ingest_sources("docs", Some(&only), &|_| {}, &work);
    assert_eq!(some.await.unwrap().updated, 1);
    let report = stand.ingest().await;
    assert_eq!((report.updated, report.unchanged), (0, 4), "{report:?}");
    assert_eq!(stand.uris().await, all);
}

#[tokio::test]
async fn a_base_is_never_empty_while_it_is_cut_anew_however_that_ends() {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = dir.path().join("knowledge");
    // Many small documents, so that they are written in several pieces.
    for number in 0..160 {
        let text = format!("# N{number}\n\nWord{number} of a text that is long enough.\n");
        write(&knowledge.join(format!("{number:03}.md")), &text);
    }
    Stand::open(dir.path(), "").await.ingest().await;
    let stand = Stand::open(dir.path(), "[segment]\nmax_tokens = 64\n").await;
    // Stopped at once, and in the middle: what was there is there, old or new.
    for stop_after in [0, 70] {
        let cancel = CancellationToken::new();
        let done = Mutex::new(0);
        let progress = |event| match event {
            IngestEvent::Planned { .. } if stop_after == 0 => cancel.cancel(),
            IngestEvent::Finished { .. } => {
                let mut done = done.lock().unwrap();
                *done += 1;
                if *done >= stop_after && stop_after > 0 {
                    cancel.cancel();
                }
            }
            _ => {}
        };
        let stopped = stand
            .knowledge
            .ingest("docs", &progress, &under(&cancel))
            .await;
        assert_eq!(stopped.unwrap_err().code, ErrorCode::Cancelled);
        let heads = stand.knowledge.documents("docs", &Clearance::Full).await;
        let heads = heads.unwrap();
        assert!(heads.len() == 160 && heads.iter().all(|h| h.chunks > 0));
        assert!(stand.knowledge.check("docs").await.unwrap().is_clean());
    }
    let report = stand.ingest().await;
    // What was done is not done again.
    assert!(report.updated > 0 && report.updated < 160, "{report:?}");
    assert_eq!(report.updated + report.unchanged, 160);
    assert_eq!(stand.ingest().await.unchanged, 160);
}

#[tokio::test]
async fn a_fetch_that_fails_while_all_is_cut_anew_keeps_the_text() {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = dir.path().join("knowledge");
    write(&knowledge.join("a.md"), "# A\n\nOil the pump each month.\n");
    write(&knowledge.join("b.md"), "# B\n\nText.\n");
    Stand::open(dir.path(), "").await.ingest().await;
    // Its folder lists it, and does not let it be read.
    let stand = Stand::open(dir.path(), "[segment]\nstrategy = \"fixed\"\n").await;
    let file = knowledge.join("a.md");
    let told = |event: IngestEvent| {
        if matches!(event, IngestEvent::Planned { .. }) {
            std::fs::remove_file(&file).unwrap();
            std::fs::create_dir(&file).unwrap();
        }
    };
    let cancel = CancellationToken::new();
    let report = stand
        .knowledge
        .ingest("docs", &told, &under(&cancel))
        .await
        .unwrap();
    assert_eq!((report.updated, report.failed.len()), (1, 1), "{report:?}");
    assert_eq!(stand.first("oil pump month").await, "a.md");
    std::fs::remove_dir(&file).unwrap();
    write(&file, "# A\n\nOil the pump each month.\n");
    let report = stand.ingest().await;
    assert_eq!((report.updated, report.failed.len()), (1, 0), "{report:?}");
}

#[tokio::test]
async fn the_length_of_vectors_does_not_change_unnoticed() {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = dir.path().join("knowledge");
    write(&knowledge.join("a.md"), "# A\n\nOil the pump each month.\n");
    let stand = Stand::open(dir.path(), "").await;
    stand.ingest().await;
    write(&knowledge.join("b.md"), "# B\n\nClean the filter.\n");
    let longer = Stand::with_vectors(dir.path(), "", 64).await;
    let cancel = CancellationToken::new();
    let refused = longer
        .knowledge
        .ingest("docs", &|_| {}, &under(&cancel))
        .await;
    let refused = refused.unwrap_err();
    assert!(
        refused.message.contains("of 32 dimensions") && refused.message.contains("one of 64"),
        "{refused:?}"
    );
    assert!(
        refused
            .hint
            .unwrap()
            .contains("praxis knowledge reembed docs")
    );
    assert_eq!(stand.first("oil pump").await, "a.md");
    // What the hint says mends it, although the model's name is the same.
    let moved = longer
        .knowledge
        .reembed("docs", "letters", &|_| {}, &cancel)
        .await;
    assert_eq!(moved.unwrap().embedded, 1);
    assert_eq!(longer.ingest().await.added, 1);
    assert!(longer.knowledge.check("docs").await.unwrap().is_clean());
    let same = longer
        .knowledge
        .reembed("docs", "letters", &|_| {}, &cancel)
        .await;
    assert_eq!(same.unwrap().embedded, 0);
}

#[tokio::test]
async fn rules_hide_documents_of_a_source_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    Stand::open(dir.path(), THREE).await.ingest().await;
    std::fs::rename(dir.path().join("manual"), dir.path().join("away")).unwrap();
    let ruled =
        format!("{THREE}[[metadata]]\nmatch = \"{{manual:*,*#1}}\"\nlabels = [\"staff\"]\n");
    let stand = Stand::open(dir.path(), &ruled).await;
    let report = stand.ingest().await;
    assert_eq!((report.removed, report.described), (0, 2), "{report:?}");
    let heads = stand
        .knowledge
        .documents("docs", &Clearance::Full)
        .await
        .unwrap();
    let labels: Vec<usize> = heads.iter().map(|h| h.labels.len()).collect();
    assert_eq!(labels, [0, 1, 1, 0]);
    // Nothing loosens what cannot be looked at.
    let stand = Stand::open(dir.path(), THREE).await;
    stand.ingest().await;
    let heads = stand
        .knowledge
        .documents("docs", &Clearance::Full)
        .await
        .unwrap();
    let labels: Vec<usize> = heads.iter().map(|h| h.labels.len()).collect();
    assert_eq!(labels, [0, 1, 0, 0]);
    // A rule that is tightened holds for them, and for sources that are not asked.
    let only = ["tickets".to_owned()].into_iter().collect();
    for (label, only) in [("board", None), ("owner", Some(&only))] {
        let tighter = ruled.replace("staff", label);
        let stand = Stand::open(dir.path(), &tighter).await;
        stand
            .knowledge
            .ingest_sources("docs", only, &|_| {}, &cx())
            .await
            .unwrap();
        assert_eq!(stand.labels().await[1], [label]);
    }
}

#[tokio::test]
async fn what_a_file_beside_a_document_says_holds_while_its_folder_is_not_asked() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let guide = dir.path().join("knowledge/guide.md.meta.toml");
    write(&guide, "labels = []\n");
    let ruled = format!("{THREE}[[metadata]]\nmatch = \"**\"\nlabels = [\"staff\"]\n");
    let stand = Stand::open(dir.path(), &ruled).await;
    stand.ingest().await;
    let labels = stand.labels().await;
    assert_eq!((labels[0].len(), labels[1].len()), (0, 1), "{labels:?}");
    let only = ["manual".to_owned()].into_iter().collect();
    let report = stand
        .knowledge
        .ingest_sources("docs", Some(&only), &|_| {}, &cx())
        .await
        .unwrap();
    assert_eq!(report.described, 0, "{report:?}");
    assert_eq!(stand.labels().await, labels);
}

#[tokio::test]
async fn chosen_sources_are_looked_at_alone() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let stand = Stand::open(dir.path(), THREE).await;
    let only = ["manual".to_owned()].into_iter().collect();
    let cancel = CancellationToken::new();
    let work = under(&cancel);
    let some = stand
        .knowledge
        .ingest_sources("docs", Some(&only), &|_| {}, &work);
    assert_eq!(some.await.unwrap().added, 1);
    assert_eq!(stand.ingest().await.added, 3);
    let some = stand
        .knowledge
        .ingest_sources("docs", Some(&only), &|_| {}, &work);
    let report = some.await.unwrap();
    assert_eq!((report.removed, report.unchanged), (0, 1), "{report:?}");
    cancel.cancel();
    let stopped = stand
        .knowledge
        .ingest("docs", &|_| {}, &under(&cancel))
        .await;
    assert_eq!(stopped.unwrap_err().code, ErrorCode::Cancelled);
    assert_eq!(stand.uris().await.len(), 4);
}

#[tokio::test]
async fn a_document_of_two_sources_stays_with_the_first() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("knowledge/a.md"), "# A\n\nText.\n");
    let two = "[[sources]]\ntype = \"folder\"\nname = \"first\"\npaths = [\"a.md\"]\n\
        [[sources]]\ntype = \"folder\"\nname = \"second\"\npaths = [\".\"]\n";
    let stand = Stand::open(dir.path(), two).await;
    let report = stand.ingest().await;
    assert_eq!((report.added, report.problems.len()), (1, 1), "{report:?}");
    let owner = async || {
        let heads = stand
            .knowledge
            .documents("docs", &Clearance::Full)
            .await
            .unwrap();
        let owners: Vec<String> = heads.into_iter().map(|h| h.origin.source).collect();
        owners
    };
    assert_eq!(owner().await, ["first"]);
    let second = ["second".to_owned()].into_iter().collect();
    let cancel = CancellationToken::new();
    let work = under(&cancel);
    let some = stand
        .knowledge
        .ingest_sources("docs", Some(&second), &|_| {}, &work);
    assert_eq!(some.await.unwrap().removed, 0);
    assert_eq!(owner().await, ["first"]);
}

/// Pages by their path, for as long as the test runs.
fn serve(pages: Arc<Mutex<BTreeMap<String, String>>>) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().and_then(Result::ok).unwrap_or_default();
            while lines
                .next()
                .and_then(Result::ok)
                .is_some_and(|l| !l.is_empty())
            {}
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            let page = pages.lock().unwrap().get(&path).cloned();
            let status = if page.is_some() {
                "200 OK"
            } else {
                "404 Not Found"
            };
            let body = page.unwrap_or_default();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let mut stream = stream;
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    port
}

#[tokio::test]
async fn pages_of_the_web_are_found_under_their_addresses() {
    let dir = tempfile::tempdir().unwrap();
    let pages: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let put = |path: &str, body: &str| {
        pages
            .lock()
            .unwrap()
            .insert(path.to_owned(), body.to_owned())
    };
    put(
        "/",
        "<title>Home</title><main><h1>Home</h1><p>Welcome to the mill.</p><a href=hours>hours</a><a href=gone>g</a></main>",
    );
    put(
        "/hours",
        "<title>Hours</title><main><h1>Hours</h1><p>The mill grinds on Fridays.</p></main>",
    );
    put(
        "/gone",
        "<main><h1>Old</h1><p>An old page about flour.</p></main>",
    );
    let port = serve(Arc::clone(&pages));
    let toml = format!(
        "[[sources]]\ntype = \"web\"\nurls = [\"http://127.0.0.1:{port}/\"]\nallow_private = true\n"
    );
    let stand = Stand::open(dir.path(), &toml).await;
    let report = stand.ingest().await;
    assert_eq!(
        (report.added, report.problems.len(), report.failed.len()),
        (3, 0, 0),
        "{report:?}"
    );
    assert_eq!(
        stand.first("mill grinds Fridays").await,
        format!("http://127.0.0.1:{port}/hours")
    );
    let context = cx();
    let query = Query::new("mill grinds Fridays", 1);
    let found = stand.knowledge.search("docs", &query, &context).await;
    assert_eq!(found.unwrap().passages.len(), 1);
    assert_eq!(context.taint().source(), Some("praxis/search/docs"));
    assert!(
        context
            .taint()
            .knows_link(&format!("http://127.0.0.1:{port}/hours"))
    );

    stand.embedded();
    put(
        "/hours",
        "<title>Hours</title><main><h1>Hours</h1><p>The mill grinds on Mondays.</p></main>",
    );
    pages.lock().unwrap().remove("/gone");
    let report = stand.ingest().await;
    assert_eq!(
        (report.updated, report.unchanged, report.removed),
        (1, 1, 1),
        "{report:?}"
    );
    assert_eq!(stand.embedded(), report.chunks);

    let closed = toml.replace("allow_private = true", "");
    let report = Stand::open(dir.path(), &closed).await.ingest().await;
    assert!(
        report.problems[0].reason.contains("private address"),
        "{report:?}"
    );
    assert_eq!(report.removed, 0);
}

#[test]
fn pages_of_the_web_are_not_trusted_unless_the_base_says_so() {
    let trusts = |text: &str, uri: &str| {
        let config: BaseConfig = toml::from_str(text).unwrap();
        config.trusts(uri)
    };
    for (uri, by_itself) in [
        ("guide/hours.md", true),
        ("handbook:docs/a.md", true),
        ("s3://bucket/a.pdf", true),
        ("https://example.com/", false),
        ("http://intranet/", false),
    ] {
        assert_eq!(trusts("", uri), by_itself, "{uri}");
        assert!(trusts("trusted = true", uri), "{uri}");
        assert!(!trusts("trusted = false", uri), "{uri}");
    }
}

#[tokio::test]
async fn a_base_whose_sources_all_fail_is_told_from_one_that_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("knowledge");
    std::fs::create_dir_all(&folder).unwrap();
    let report = Stand::open(dir.path(), "").await.ingest().await;
    assert_eq!((report.sources, report.unheard.len()), (1, 0), "{report:?}");
    assert!(!report.is_unheard(), "nothing is there, and that was seen");

    write(
        &folder.join("guide.md"),
        "# Guide\n\nThe library opens at nine.\n",
    );
    let git = "[[sources]]\ntype = \"git\"\nname = \"manual\"\nurl = \"../nowhere\"\n";
    let both = format!("[source]\n{git}");
    let report = Stand::open(dir.path(), &both).await.ingest().await;
    assert_eq!((report.added, report.sources), (1, 2), "{report:?}");
    assert_eq!(report.unheard, ["manual"]);
    assert!(!report.is_unheard());
    for toml in [git, "[source]\npaths = [\"away\"]\n"] {
        let report = Stand::open(dir.path(), toml).await.ingest().await;
        assert!(report.is_unheard(), "{toml}: {report:?}");
    }

    // Its folder is there, and not what was in it: it may not be mounted.
    Stand::open(dir.path(), "").await.ingest().await;
    std::fs::remove_file(folder.join("guide.md")).unwrap();
    let report = Stand::open(dir.path(), "").await.ingest().await;
    assert_eq!((report.removed, report.unheard.len()), (0, 1), "{report:?}");
    assert!(report.is_unheard());
}

#[test]
fn without_sources_a_base_is_its_own_folder() {
    let names = |text: &str| {
        let config: BaseConfig = toml::from_str(text).unwrap();
        let sources = config.named_sources();
        sources
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    let git = "[[sources]]\ntype = \"git\"\nurl = \"../x\"\n";
    assert_eq!(names(""), [""]);
    assert_eq!(names(git), ["x"]);
    assert_eq!(
        names(&format!("[source]\npaths = [\"a\"]\n{git}")),
        ["", "x"]
    );
}
