//! Filters and access labels of a real base, with an embedder whose vectors are counts of words: what is
//! found is what a search of the allowed documents alone would find, and nobody sees what is not theirs.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "support/counts.rs"]
mod counts;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use counts::Counts;
use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Caller, Clearance, Embedder, Filter, Query, Retrieval, Retriever};
use praxis_knowledge::{BaseConfig, IngestReport, Knowledge};
use praxis_store::Store;
use proptest::prelude::*;
use serde_json::json;

const RULES: &str = r#"
[segment]
max_tokens = 16
min_tokens = 4

[search]
expand_tokens = 30
diversity = 0.2

[types]
year = "number"

[[metadata]]
match = "hr/**"
set = { department = "hr" }
labels = ["hr"]

[[metadata]]
match = "board/**"
set = { department = "board", secret_key = "x" }
labels = ["board"]
"#;

fn open(dir: &Path, store: Store, toml: &str) -> Knowledge {
    let config: BaseConfig = toml::from_str(toml).unwrap();
    assert!(config.problems().is_empty(), "{:?}", config.problems());
    let specs = vec![("docs".to_owned(), dir.join("knowledge"), config)];
    Knowledge::open(
        dir.join("state"),
        store,
        specs,
        Arc::new(|_| Ok(Arc::new(Counts) as Arc<dyn Embedder>)),
    )
}

async fn opened(dir: &Path, toml: &str) -> Knowledge {
    let store = Store::open(&dir.join("praxis.db")).await.unwrap();
    open(dir, store, toml)
}

fn write(dir: &Path, uri: &str, text: &str) {
    let path = dir.join("knowledge").join(uri);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

async fn ingested(knowledge: &Knowledge) -> IngestReport {
    knowledge
        .ingest("docs", &|_| {}, &cx(&Clearance::Full))
        .await
        .unwrap()
}

fn cx(clearance: &Clearance) -> CallContext {
    CallContext::new(Arc::new(NoTrace)).with_caller(Caller {
        name: None,
        clearance: clearance.clone(),
    })
}

async fn search(
    knowledge: &Knowledge,
    text: &str,
    filter: Option<serde_json::Value>,
    clearance: &Clearance,
) -> Retrieval {
    let filter = filter.map(|f| Filter::parse(&f).unwrap());
    let query = Query::new(text, 40).with_filter(filter);
    let found = knowledge.search("docs", &query, &cx(clearance)).await;
    found.unwrap()
}

fn uris(found: &Retrieval) -> BTreeSet<&str> {
    found.passages.iter().map(|p| p.uri.as_str()).collect()
}

fn fact(what: &str, year: usize, extra: &str) -> String {
    format!(
        "---\nyear: {year}\ntags: [{extra}]\n---\n# The {what}\n\nThe {what} lives in the reserve.\n\n\
         ## Food\n\nWhat a {what} eats depends on the season of the year.\n\n## Young\n\nThe {what} \
         raises its young in spring.\n"
    )
}

async fn base(dir: &Path) -> Knowledge {
    for (uri, year, tag) in [
        ("heron.md", 2024, "bird"),
        ("otter.md", 2025, "mammal"),
        ("hr/badger.md", 2025, "mammal"),
        ("hr/osprey.md", 2026, "bird, rare"),
        ("board/lynx.md", 2026, "mammal, rare"),
    ] {
        let name = uri.rsplit('/').next().unwrap().trim_end_matches(".md");
        write(dir, uri, &fact(name, year, tag));
    }
    let knowledge = opened(dir, RULES).await;
    assert_eq!(ingested(&knowledge).await.added, 5);
    knowledge
}

#[tokio::test]
async fn a_filter_finds_just_what_it_holds_of() {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = base(dir.path()).await;
    let compare = |kind: &str, key: &str, value: serde_json::Value| json!({ "type": kind, "key": key, "value": value });
    for (filter, want) in [
        (
            compare("eq", "department", json!("hr")),
            &["hr/badger.md", "hr/osprey.md"][..],
        ),
        (
            compare("ne", "department", json!("hr")),
            &["board/lynx.md", "heron.md", "otter.md"],
        ),
        (
            compare("gte", "year", json!(2026)),
            &["board/lynx.md", "hr/osprey.md"],
        ),
        (compare("lt", "year", json!("2025")), &["heron.md"]),
        (
            compare("in", "tags", json!(["rare", "nothing"])),
            &["board/lynx.md", "hr/osprey.md"],
        ),
        (
            compare("nin", "tags", json!(["rare", "bird"])),
            &["hr/badger.md", "otter.md"],
        ),
        (compare("eq", "uri", json!("heron.md")), &["heron.md"]),
        (compare("eq", "title", json!("The otter")), &["otter.md"]),
        (compare("lt", "modified", json!("2001-01-01")), &[]),
        (
            json!({ "type": "and", "filters": [
                compare("eq", "tags", json!("mammal")),
                { "type": "or", "filters": [
                    compare("eq", "year", json!(2026)),
                    compare("eq", "department", json!("hr")),
                ]},
            ]}),
            &["board/lynx.md", "hr/badger.md"],
        ),
    ] {
        let found = search(
            &knowledge,
            "young in spring",
            Some(filter.clone()),
            &Clearance::Full,
        )
        .await;
        let want: BTreeSet<&str> = want.iter().copied().collect();
        assert_eq!(uris(&found), want, "{filter}");
        let query = Query::new("young", 9).with_filter(Some(Filter::parse(&filter).unwrap()));
        let documents = knowledge
            .search_documents("docs", &query, &cx(&Clearance::Full))
            .await
            .unwrap()
            .documents;
        let found: BTreeSet<&str> = documents.iter().map(|d| d.uri.as_str()).collect();
        assert_eq!(found, want, "{filter}");
    }
}

#[tokio::test]
async fn a_filter_that_does_not_fit_names_the_key_and_the_fix() {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = base(dir.path()).await;
    let ask = async |key: &str, value: serde_json::Value, clearance: &Clearance| {
        let filter = Filter::parse(&json!({ "type": "eq", "key": key, "value": value })).unwrap();
        let query = Query::new("spring", 9).with_filter(Some(filter));
        let found = knowledge.search("docs", &query, &cx(clearance)).await;
        let error = found.unwrap_err();
        format!("{error} / {}", error.hint.as_deref().unwrap_or_default())
    };
    for (key, value, part) in [
        ("departmnt", json!("hr"), "did you mean `department`?"),
        ("colour", json!("red"), "there are: department"),
        ("year", json!("soon"), "write a number"),
        ("modified", json!("soon"), "2026-01-31"),
        ("department", json!(7), "a text, in quotes"),
    ] {
        let error = ask(key, value, &Clearance::Full).await;
        assert!(
            error.contains(part) && error.contains(&format!("`{key}`")),
            "{error}"
        );
    }
    // A key of hidden documents is no key, neither asked for nor named.
    let error = ask("secret_kee", json!("x"), &Clearance::Full).await;
    assert!(error.contains("secret_key"), "{error}");
    for key in ["secret_key", "secret_kee"] {
        let error = ask(key, json!("x"), &Clearance::of(["hr"])).await;
        assert!(error.contains("no document of `docs` has"), "{error}");
        assert!(!error.replace(key, "").contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn nobody_finds_or_reads_what_needs_a_label_that_they_lack() {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = base(dir.path()).await;
    let all = knowledge.documents("docs", &Clearance::Full).await.unwrap();
    let mut chunks = Vec::new();
    for head in &all {
        let document = knowledge
            .document(&head.id, &Clearance::Full)
            .await
            .unwrap();
        let ids = document.chunks.into_iter().map(|c| c.id);
        chunks.extend(ids.map(|id| (head.uri.clone(), id)));
    }
    for (clearance, hidden) in [
        (Clearance::default(), &["hr/", "board/"][..]),
        (Clearance::of(["hr"]), &["board/"]),
        (Clearance::of(["board", "other"]), &["hr/"]),
        (Clearance::of(["hr", "board"]), &[]),
        (Clearance::Full, &[]),
    ] {
        let permitted = |uri: &str| !hidden.iter().any(|folder| uri.starts_with(folder));
        for query in [
            "lynx",
            "badger",
            "what an osprey eats",
            "young in spring",
            "department hr",
        ] {
            for filter in [
                None,
                Some(json!({ "type": "gte", "key": "year", "value": 0 })),
            ] {
                let found = search(&knowledge, query, filter.clone(), &clearance).await;
                assert!(uris(&found).iter().all(|uri| permitted(uri)), "{query}");
                let filter = filter.map(|f| Filter::parse(&f).unwrap());
                let query = Query::new(query, 40).with_filter(filter);
                let documents = knowledge
                    .search_documents("docs", &query, &cx(&clearance))
                    .await
                    .unwrap();
                assert!(documents.documents.iter().all(|d| permitted(&d.uri)));
                let visible = all.iter().filter(|d| permitted(&d.uri)).count();
                if query.text == "young in spring" {
                    assert_eq!(documents.documents.len(), visible, "{clearance:?}");
                }
            }
        }
        let listed = knowledge.documents("docs", &clearance).await.unwrap();
        assert!(listed.iter().all(|d| permitted(&d.uri)));
        for head in &all {
            let found = knowledge.document(&head.id, &clearance).await;
            assert_eq!(found.is_ok(), permitted(&head.uri));
        }
        let absent = praxis_core::ChunkId::from_string("absent");
        let absent = knowledge.excerpt(&absent, 9, &clearance).await.unwrap_err();
        for (uri, id) in &chunks {
            let found = knowledge.excerpt(id, 9, &clearance).await;
            if permitted(uri) {
                assert_eq!(found.unwrap().passage.uri, *uri);
            } else {
                // Told in the same words as one that is not there.
                let error = found.unwrap_err();
                let message = error.message.replace(id.as_str(), "absent");
                assert_eq!(
                    (error.code, message, error.hint),
                    (absent.code, absent.message.clone(), absent.hint.clone())
                );
            }
        }
    }
}

#[tokio::test]
async fn labels_and_metadata_change_without_embedding_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let knowledge = open(dir.path(), store.clone(), RULES);
    write(dir.path(), "heron.md", &fact("heron", 2024, "bird"));
    write(dir.path(), "otter.md", &fact("otter", 2025, "mammal"));
    ingested(&knowledge).await;
    let nobody = Clearance::default();
    let seen = async |knowledge: &Knowledge| {
        let found = search(knowledge, "young in spring", None, &Clearance::default()).await;
        uris(&found)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(seen(&knowledge).await, ["heron.md", "otter.md"]);

    // A file beside the document.
    write(
        dir.path(),
        "heron.md.meta.toml",
        "labels = [\"hr\"]\nreviewed = 2026-01-02\n",
    );
    let report = ingested(&knowledge).await;
    assert_eq!(
        (report.unchanged, report.described, report.chunks),
        (2, 1, 0),
        "{report:?}"
    );
    assert_eq!(seen(&knowledge).await, ["otter.md"]);
    let reviewed = json!({ "type": "eq", "key": "reviewed", "value": "2026-01-02" });
    let found = search(&knowledge, "heron", Some(reviewed), &Clearance::of(["hr"])).await;
    assert_eq!(uris(&found), ["heron.md"].into());

    // One that is broken hides it from all but who sees everything, and is told until it is mended.
    write(dir.path(), "heron.md.meta.toml", "labels = [\"hr\"");
    for _ in 0..2 {
        let report = ingested(&knowledge).await;
        assert!(report.failed.is_empty());
        let reason = &report.warnings[0].reason;
        assert!(reason.contains("heron.md.meta.toml"), "{report:?}");
        let found = search(&knowledge, "heron", None, &Clearance::of(["hr"])).await;
        assert_eq!(uris(&found), ["otter.md"].into());
    }
    let found = search(&knowledge, "heron", None, &Clearance::Full).await;
    assert!(uris(&found).contains("heron.md"));

    // A rule of the base, in a process that reads its file anew; the other one sees it at once.
    std::fs::remove_file(dir.path().join("knowledge/heron.md.meta.toml")).unwrap();
    let rules = format!(
        "{RULES}\n[[metadata]]\nmatch = \"otter.md\"\nset = {{ year = 1999 }}\nlabels = [\"board\"]\n"
    );
    let other = open(dir.path(), store, &rules);
    let report = ingested(&other).await;
    assert_eq!((report.described, report.chunks), (2, 0), "{report:?}");
    for knowledge in [&knowledge, &other] {
        assert_eq!(seen(knowledge).await, ["heron.md"]);
        let old = json!({ "type": "lt", "key": "year", "value": 2000 });
        let found = search(knowledge, "otter", Some(old), &Clearance::Full).await;
        assert_eq!(uris(&found), ["otter.md"].into());
    }
    assert!(knowledge.check("docs").await.unwrap().is_clean());
    assert_eq!(knowledge.documents("docs", &nobody).await.unwrap().len(), 1);
}

/// A base of small documents, with a label or none each.
#[derive(Debug, Clone)]
struct Small {
    words: Vec<usize>,
    year: usize,
    label: Option<&'static str>,
}

const WORDS: [&str; 8] = [
    "heron", "otter", "lynx", "badger", "falcon", "beaver", "marten", "stoat",
];

fn small() -> impl Strategy<Value = Vec<Small>> {
    let one = (
        proptest::collection::vec(0usize..WORDS.len(), 3..14),
        2020usize..2026,
        prop_oneof![Just(None), Just(Some("hr")), Just(Some("board"))],
    )
        .prop_map(|(words, year, label)| Small { words, year, label });
    proptest::collection::vec(one, 4..14)
}

/// Passages as they rank, by what does not depend on a base's name for things.
fn ranked(found: &Retrieval) -> Vec<(String, usize, i32)> {
    let mut all: Vec<_> = found
        .passages
        .iter()
        .map(|p| (p.uri.clone(), p.start, (p.score * 1e3).round() as i32))
        .collect();
    all.sort();
    all
}

fn alike(a: &[(String, usize, i32)], b: &[(String, usize, i32)]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| (&a.0, a.1) == (&b.0, b.1) && (a.2 - b.2).abs() <= 2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn a_search_with_labels_and_filter_is_one_of_what_is_left(
        documents in small(),
        year in 2020usize..2026,
        question in proptest::collection::vec(0usize..WORDS.len(), 1..5),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let question = question.iter().map(|w| WORDS[*w]).collect::<Vec<_>>().join(" ");
            let whole = tempfile::tempdir().unwrap();
            let part = tempfile::tempdir().unwrap();
            let hr = Clearance::of(["hr"]);
            for (at, document) in documents.iter().enumerate() {
                let words = document.words.iter().map(|w| WORDS[*w]);
                let words = words.collect::<Vec<_>>().join(" ");
                let text = format!("---\nyear: {}\n---\n\n{words}.\n", document.year);
                let uri = format!("{at:02}.md");
                write(whole.path(), &uri, &text);
                if document.label != Some("board") {
                    write(part.path(), &uri, &text);
                }
                if let Some(label) = document.label {
                    let sidecar = format!("labels = [\"{label}\"]\n");
                    write(whole.path(), &format!("{uri}.meta.toml"), &sidecar);
                }
            }
            std::fs::create_dir_all(part.path().join("knowledge")).unwrap();
            let plain = "[segment]\nmax_tokens = 16\nmin_tokens = 4\n";
            let whole_base = opened(whole.path(), plain).await;
            let part_base = opened(part.path(), plain).await;
            ingested(&whole_base).await;
            ingested(&part_base).await;

            // Labels: as if what is hidden did not exist, to the score.
            let found = search(&whole_base, &question, None, &hr).await;
            let want = search(&part_base, &question, None, &Clearance::Full).await;
            let (found, want) = (ranked(&found), ranked(&want));
            prop_assert!(alike(&found, &want), "{found:?}\n{want:?}");

            // A filter: all of what it holds of that there is, and nothing else.
            let filter = json!({ "type": "gte", "key": "year", "value": year });
            if documents.iter().any(|d| d.label != Some("board")) {
                let found = search(&whole_base, &question, Some(filter), &hr).await;
                let all = search(&whole_base, &question, None, &hr).await;
                let held = |uri: &str| {
                    let at: usize = uri.trim_end_matches(".md").parse().unwrap();
                    documents[at].year >= year
                };
                let brute: BTreeSet<&str> =
                    uris(&all).into_iter().filter(|uri| held(uri)).collect();
                prop_assert_eq!(uris(&found), brute);
            }
            Ok(())
        })?;
    }
}
