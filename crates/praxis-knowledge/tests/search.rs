//! Searches of a real base, with an embedder whose vectors are counts of words.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "support/counts.rs"]
mod counts;

use std::path::Path;
use std::sync::Arc;

use counts::Counts;
use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Clearance, Embedder, Query, Retriever};
use praxis_knowledge::{
    BaseConfig, FoundDocument, IngestReport, Knowledge, Label, SearchConfig, SegmentConfig,
};
use praxis_store::Store;

fn cx() -> CallContext {
    CallContext::new(Arc::new(NoTrace))
}

const ANIMALS: [&str; 12] = [
    "heron", "otter", "lynx", "badger", "falcon", "beaver", "marten", "osprey", "weasel", "stoat",
    "adder", "newt",
];

/// The base of a folder, as each process opens it for itself.
async fn opened(dir: &Path, search: SearchConfig) -> Knowledge {
    let config = BaseConfig {
        search,
        ..BaseConfig::default()
    };
    of_config(dir, config).await
}

/// The same, with all that its file says.
async fn of_config(dir: &Path, config: BaseConfig) -> Knowledge {
    let config = BaseConfig {
        segment: SegmentConfig {
            max_tokens: 16,
            min_tokens: 4,
            ..SegmentConfig::default()
        },
        ..config
    };
    let store = Store::open(&dir.join("praxis.db")).await.unwrap();
    let specs = vec![("docs".to_owned(), dir.join("knowledge"), config)];
    Knowledge::open(
        dir.join("state"),
        store,
        specs,
        Arc::new(|_| Ok(Arc::new(Counts) as Arc<dyn Embedder>)),
    )
}

async fn ingested(knowledge: &Knowledge) -> IngestReport {
    knowledge.ingest("docs", &|_| {}, &cx()).await.unwrap()
}

/// URIs of what vectors alone find.
async fn near(knowledge: &Knowledge, query: &str) -> Vec<String> {
    let found = knowledge
        .search("docs", &Query::new(query, 40), &cx())
        .await
        .unwrap();
    found.passages.into_iter().map(|p| p.uri).collect()
}

fn vectors_alone() -> SearchConfig {
    SearchConfig {
        keyword_weight: 0.0,
        ..SearchConfig::default()
    }
}

/// A base of one file for each animal, each of a few paragraphs.
async fn base(dir: &Path, search: SearchConfig) -> Knowledge {
    std::fs::create_dir_all(dir.join("knowledge")).unwrap();
    for animal in ANIMALS {
        let text = format!(
            "# The {animal}\n\nThe {animal} lives in the reserve.\n\n## Food\n\nWhat a {animal} eats \
             depends on the season of the year.\n\n## Young\n\nThe {animal} raises its young in \
             spring, hidden from people.\n"
        );
        std::fs::write(dir.join(format!("knowledge/{animal}.md")), text).unwrap();
    }
    let knowledge = opened(dir, search).await;
    let report = ingested(&knowledge).await;
    assert_eq!(report.added, ANIMALS.len(), "{report:?}");
    knowledge
}

#[tokio::test]
async fn who_reads_what_a_base_does_not_trust_has_read_from_outside() {
    let dir = tempfile::tempdir().unwrap();
    let folder = base(dir.path(), SearchConfig::default()).await;
    let stranger = BaseConfig {
        trusted: Some(false),
        ..BaseConfig::default()
    };
    let stranger = of_config(dir.path(), stranger).await;
    let query = Query::new("what an otter eats in a season", 5);
    for (knowledge, source) in [(&folder, None), (&stranger, Some("praxis/search/docs"))] {
        let of_passages = cx();
        knowledge
            .search("docs", &query, &of_passages)
            .await
            .unwrap();
        assert_eq!(of_passages.taint().source(), source);
        let of_documents = cx();
        let found = knowledge.search_documents("docs", &query, &of_documents);
        assert!(!found.await.unwrap().documents.is_empty());
        assert_eq!(of_documents.taint().source(), source);
    }
    // What finds nothing has read nothing.
    let nothing = cx();
    let query = Query::new("", 5);
    stranger.search("docs", &query, &nothing).await.unwrap();
    assert!(!nothing.taint().is_tainted());
}

#[tokio::test]
async fn the_right_passage_and_the_right_document_come_first() {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = base(dir.path(), SearchConfig::default()).await;
    let found = knowledge
        .search(
            "docs",
            &Query::new("what an otter eats in a season", 5),
            &cx(),
        )
        .await
        .unwrap();
    assert_eq!(found.passages[0].uri, "otter.md");
    assert_eq!(
        found.passages[0].headings.last().map(String::as_str),
        Some("Food")
    );
    let documents = knowledge
        .search_documents("docs", &Query::new("young of the newt in spring", 3), &cx())
        .await
        .unwrap()
        .documents;
    assert_eq!(documents.len(), 3);
    assert_eq!(documents[0].uri, "newt.md");
    assert!(
        documents[0]
            .passage
            .as_ref()
            .is_some_and(|p| p.text.contains("spring"))
    );
    assert!(
        documents
            .windows(2)
            .all(|pair| pair[0].score >= pair[1].score)
    );
    assert!(knowledge.check("docs").await.unwrap().is_clean());
}

/// Documents that are found, best first.
async fn documents(knowledge: &Knowledge, query: &str, limit: usize) -> Vec<FoundDocument> {
    let query = Query::new(query, limit);
    let found = knowledge.search_documents("docs", &query, &cx()).await;
    found.unwrap().documents
}

#[tokio::test]
async fn the_passages_of_documents_grow_as_others_do() {
    let dir = tempfile::tempdir().unwrap();
    let question = "what an otter eats in a season";
    let knowledge = base(dir.path(), SearchConfig::default()).await;
    let short = documents(&knowledge, question, 3).await;
    drop(knowledge);
    let search = SearchConfig {
        expand_tokens: 60,
        ..SearchConfig::default()
    };
    let knowledge = opened(dir.path(), search).await;
    let grown = documents(&knowledge, question, 3).await;
    assert_eq!((short.len(), grown.len()), (3, 3));
    for (short, grown) in short.iter().zip(&grown) {
        assert_eq!((&short.uri, short.score), (&grown.uri, grown.score));
        let (short, grown) = (short.passage.as_ref(), grown.passage.as_ref());
        let (short, grown) = (short.unwrap(), grown.unwrap());
        assert!(grown.text.len() > short.text.len(), "{}", grown.text);
        assert!(grown.text.contains(&short.text), "{}", grown.text);
        assert_eq!(grown.relevance, short.relevance);
    }
}

#[tokio::test]
async fn documents_that_repeat_others_give_way_where_that_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("knowledge")).unwrap();
    for (uri, text) in [
        ("a.md", "The otter slides into the cold river."),
        ("b.md", "The otter slides into the cold river."),
        (
            "c.md",
            "Granite comes from quarries above the town of an otter.",
        ),
    ] {
        std::fs::write(dir.path().join("knowledge").join(uri), text).unwrap();
    }
    let alike = opened(dir.path(), vectors_alone()).await;
    assert_eq!(ingested(&alike).await.added, 3);
    let spread = SearchConfig {
        diversity: 0.8,
        ..vectors_alone()
    };
    let spread = opened(dir.path(), spread).await;
    for (knowledge, second_is_c) in [(&alike, false), (&spread, true)] {
        let found = documents(knowledge, "the otter slides into a river", 2).await;
        let uris: Vec<&str> = found.iter().map(|d| d.uri.as_str()).collect();
        assert_eq!(uris.len(), 2, "{uris:?}");
        assert!(
            uris[0] != "c.md" && (uris[1] == "c.md") == second_is_c,
            "{uris:?}"
        );
    }
}

#[tokio::test]
async fn an_open_question_is_answered_alike_twice_and_by_each_fusion() {
    for fusion in [
        praxis_knowledge::Fusion::Score,
        praxis_knowledge::Fusion::Rank,
    ] {
        let dir = tempfile::tempdir().unwrap();
        let search = SearchConfig {
            fusion,
            ..SearchConfig::default()
        };
        let knowledge = base(dir.path(), search).await;
        let ask = || async {
            knowledge
                .search("docs", &Query::new("young in spring", 20), &cx())
                .await
                .unwrap()
        };
        let (first, second) = (ask().await, ask().await);
        assert_eq!(first, second);
        let young = first.passages[..8]
            .iter()
            .filter(|p| p.text.contains("young"))
            .count();
        assert_eq!(young, 8, "{fusion:?}");
    }
}

#[tokio::test]
async fn a_passage_grows_over_its_neighbours_and_stays_a_part_of_its_document() {
    let dir = tempfile::tempdir().unwrap();
    let search = SearchConfig {
        expand_tokens: 40,
        ..SearchConfig::default()
    };
    let knowledge = base(dir.path(), search).await;
    let found = knowledge
        .search("docs", &Query::new("what a lynx eats", 3), &cx())
        .await
        .unwrap();
    let first = &found.passages[0];
    assert!(
        first.text.contains("eats") && first.text.contains("raises its young"),
        "{first:?}"
    );
    let document = knowledge
        .document(&first.document, &Clearance::default())
        .await
        .unwrap();
    let part: String = document
        .text
        .chars()
        .skip(first.start)
        .take(first.end - first.start)
        .collect();
    assert_eq!(part, first.text);
    let others: Vec<&str> = found.passages.iter().map(|p| p.uri.as_str()).collect();
    assert_eq!(
        others.iter().filter(|uri| **uri == "lynx.md").count(),
        1,
        "{others:?}"
    );
}

#[tokio::test]
async fn weights_are_learned_from_labels_that_fit_the_base() {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = base(dir.path(), SearchConfig::default()).await;
    let label = |animal: &str| Label {
        query: format!("food of the {animal}"),
        documents: vec![format!("{animal}.md")],
        passage: None,
    };
    let labels: Vec<Label> = ANIMALS.iter().map(|a| label(a)).collect();
    let report = knowledge.tune("docs", &labels).await.unwrap();
    assert_eq!(report.questions, ANIMALS.len());
    assert!(
        report.before > 0.9 && report.fitted >= report.before,
        "{report:?}"
    );
    for (labels, message) in [
        (labels[..3].to_vec(), "too few"),
        (vec![label("unicorn"); 12], "no document `unicorn.md`"),
        (
            vec![
                Label {
                    query: "why".to_owned(),
                    documents: Vec::new(),
                    passage: None,
                };
                12
            ],
            "no answer is given to `why`",
        ),
    ] {
        let error = knowledge.tune("docs", &labels).await.unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[tokio::test]
async fn what_another_process_changed_is_found_and_what_it_removed_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let server = base(dir.path(), vectors_alone()).await;
    assert!(
        near(&server, "the heron lives")
            .await
            .contains(&"heron.md".to_owned())
    );

    // The other one cannot open the index of vectors, which the first one holds, and searches without.
    let other = opened(dir.path(), vectors_alone()).await;
    std::fs::remove_file(dir.path().join("knowledge/heron.md")).unwrap();
    std::fs::write(dir.path().join("knowledge/kite.md"), "The kite circles.").unwrap();
    std::fs::write(dir.path().join("knowledge/newt.md"), "The newt swims.").unwrap();
    let report = ingested(&other).await;
    assert_eq!((report.added, report.updated, report.removed), (1, 1, 1));
    for knowledge in [&other, &server] {
        assert_eq!(near(knowledge, "the kite circles").await[0], "kite.md");
        assert_eq!(near(knowledge, "the newt swims").await[0], "newt.md");
        assert!(
            !near(knowledge, "the heron lives")
                .await
                .contains(&"heron.md".to_owned())
        );
        assert!(knowledge.check("docs").await.unwrap().is_clean());
    }
    // It takes the index over when the first one ends.
    drop(server);
    let last = opened(dir.path(), vectors_alone()).await;
    assert_eq!(near(&last, "the kite circles").await[0], "kite.md");
    assert!(last.check("docs").await.unwrap().is_clean());
}

#[tokio::test]
async fn an_index_of_vectors_that_is_damaged_or_of_another_store_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    drop(base(dir.path(), vectors_alone()).await);
    let vectors = dir.path().join("state/index/docs/vectors");
    let files = || {
        let folders = std::fs::read_dir(&vectors).unwrap().flatten();
        let files = folders.flat_map(|f| std::fs::read_dir(f.path()).unwrap().flatten());
        files.map(|f| f.path()).collect::<Vec<_>>()
    };
    assert!(!files().is_empty());
    for file in files() {
        std::fs::write(&file, b"no index").unwrap();
    }
    let knowledge = opened(dir.path(), vectors_alone()).await;
    assert_eq!(near(&knowledge, "the otter lives").await[0], "otter.md");
    assert!(knowledge.check("docs").await.unwrap().is_clean());
    drop(knowledge);

    // Chunks of another store have the same numbers.
    for file in ["praxis.db", "praxis.db-wal", "praxis.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(file));
    }
    for animal in &ANIMALS[1..] {
        std::fs::remove_file(dir.path().join(format!("knowledge/{animal}.md"))).unwrap();
    }
    let knowledge = opened(dir.path(), vectors_alone()).await;
    assert_eq!(ingested(&knowledge).await.added, 1);
    assert!(
        near(&knowledge, "the otter lives")
            .await
            .iter()
            .all(|uri| uri == "heron.md")
    );
    assert!(knowledge.check("docs").await.unwrap().is_clean());
    assert_eq!(
        knowledge.rebuild("docs").await.unwrap().chunks,
        near(&knowledge, "heron").await.len()
    );
}

#[tokio::test]
async fn what_holds_a_name_comes_before_what_is_near_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let knowledge = base(dir.path(), SearchConfig::default()).await;
    let parts = (0..30).map(|i| format!("# P{i}\n\nPart PX{i:03} fits a wheel of the season.\n\n"));
    std::fs::write(
        dir.path().join("knowledge/parts.md"),
        parts.collect::<String>(),
    )
    .unwrap();
    ingested(&knowledge).await;
    for i in [0, 13, 29] {
        let found = knowledge
            .search("docs", &Query::new(format!("PX{i:03}"), 2), &cx())
            .await
            .unwrap();
        assert!(
            found.passages[0].text.contains(&format!("PX{i:03}")),
            "{found:?}"
        );
    }
}
