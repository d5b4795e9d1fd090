//! What models add to a search: rewriting, other wordings, imagined passages and reranking, with real models
//! behind the real gateway. Vectors are counts of words.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they skip"
)]

#[path = "support/counts.rs"]
mod counts;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use counts::Counts;
use praxis_core::trace::{NoTrace, SpanKind};
use praxis_core::{
    CallContext, Embedder, ErrorCode, Filter, Message, Passage, Query, RerankOption,
    RerankSettings, Retriever, SearchOptions, Span, SpanStatus, TraceSink,
};
use praxis_gateway::{Gateway, GatewayConfig};
use praxis_hub::{Cache, Catalogue};
use praxis_knowledge::{BaseConfig, Knowledge};
use praxis_store::Store;

const SMALL: &str = "smollm2-135m-instruct";

#[derive(Default)]
struct Spans(Mutex<Vec<Span>>);

impl TraceSink for Spans {
    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

impl Spans {
    fn take(&self) -> Vec<Span> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Desk {
    knowledge: Knowledge,
    spans: Arc<Spans>,
    _dir: tempfile::TempDir,
}

const ANIMALS: [&str; 12] = [
    "heron", "otter", "lynx", "badger", "falcon", "beaver", "marten", "osprey", "weasel", "stoat",
    "adder", "newt",
];

impl Desk {
    /// A base of one file for each animal, searched as `search` says, with the models of `praxis.toml`.
    async fn open(praxis: &str, search: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let docs = dir.path().join("knowledge");
        std::fs::create_dir_all(&docs).unwrap();
        for animal in ANIMALS {
            let text = format!(
                "# The {animal}\n\nWhat a {animal} eats depends on the season of the year, and in \
                 winter the {animal} eats little.\n"
            );
            std::fs::write(docs.join(format!("{animal}.md")), text).unwrap();
        }
        let models: GatewayConfig = toml::from_str(praxis).unwrap();
        let gateway = Arc::new(Gateway::new(models, Cache::open(None).unwrap()).unwrap());
        let rerankers = Arc::clone(&gateway);
        let config: BaseConfig = toml::from_str(search).unwrap();
        assert_eq!(config.problems(), []);
        let knowledge = Knowledge::open(
            dir.path().join("state"),
            Store::open(&dir.path().join("praxis.db")).await.unwrap(),
            vec![("docs".to_owned(), docs, config)],
            Arc::new(|_| Ok(Arc::new(Counts) as Arc<dyn Embedder>)),
        )
        .with_models(
            gateway,
            Arc::new(move |name: &str| rerankers.reranker(name)),
        );
        knowledge
            .ingest("docs", &|_| {}, &CallContext::new(Arc::new(NoTrace)))
            .await
            .unwrap();
        Self {
            knowledge,
            spans: Arc::default(),
            _dir: dir,
        }
    }

    fn cx(&self) -> CallContext {
        CallContext::new(Arc::clone(&self.spans) as Arc<dyn TraceSink>)
    }

    async fn ask(&self, query: &Query) -> (Vec<Passage>, Option<String>, Vec<Span>) {
        let found = self.knowledge.search("docs", query, &self.cx()).await;
        let found = found.unwrap();
        (found.passages, found.question, self.spans.take())
    }
}

fn query(options: SearchOptions) -> Query {
    Query {
        options,
        ..Query::new("what does the otter eat in winter", 12)
    }
}

fn reranked_by(model: &str, weight: f32) -> SearchOptions {
    SearchOptions {
        rerank: Some(RerankOption::With(RerankSettings {
            model: Some(model.to_owned()),
            depth: Some(12),
            weight: Some(weight),
        })),
        ..SearchOptions::default()
    }
}

/// Relevance by document, as the same whatever the order.
fn relevances(passages: &[Passage]) -> BTreeMap<String, u32> {
    let of = |p: &Passage| (p.uri.clone(), (p.relevance * 1e6) as u32);
    passages.iter().map(of).collect()
}

fn uris(passages: &[Passage]) -> Vec<&str> {
    passages.iter().map(|p| p.uri.as_str()).collect()
}

/// The only step of that name, which must be below the retrieval, and what its model was asked.
fn step<'a>(spans: &'a [Span], name: &str) -> (&'a Span, Vec<&'a Span>) {
    let steps: Vec<&Span> = spans
        .iter()
        .filter(|s| s.kind == SpanKind::Step && s.name == name)
        .collect();
    let [step] = steps.as_slice() else {
        panic!("{name}: {spans:?}")
    };
    let retrieval = spans
        .iter()
        .find(|s| s.kind == SpanKind::Retrieval)
        .unwrap();
    assert_eq!(step.parent_id.as_ref(), Some(&retrieval.span_id));
    let below = |s: &&Span| s.kind == SpanKind::Chat && s.parent_id.as_ref() == Some(&step.span_id);
    (step, spans.iter().filter(below).collect())
}

fn has_model(name: &str) -> bool {
    let catalogue = Catalogue::builtin().unwrap();
    let cache = Cache::open(None).unwrap();
    let here = cache.resolve(catalogue.get(name).unwrap()).is_some();
    if !here {
        eprintln!("SKIPPED: needs `praxis models pull {name}`");
    }
    here
}

#[tokio::test]
async fn a_small_model_works_on_the_question_within_bounds_and_leaves_steps() {
    if !has_model(SMALL) {
        return;
    }
    let search = format!("[search.question]\nmodel = \"{SMALL}\"\ntimeout_seconds = 120\n");
    let desk = Desk::open("", &search).await;
    let (plain, _, _) = desk.ask(&query(SearchOptions::default())).await;
    assert_eq!(plain[0].uri, "otter.md");

    let rewrite = Query {
        text: "And what in winter?".to_owned(),
        history: vec![
            Message::user("What does the otter eat?"),
            Message::assistant("Mostly fish."),
        ],
        ..query(SearchOptions {
            rewrite: Some(true),
            ..SearchOptions::default()
        })
    };
    let (passages, question, spans) = desk.ask(&rewrite).await;
    assert_eq!(passages.len(), 12);
    let (rewritten, asked) = step(&spans, "rewrite");
    assert_eq!(asked.len(), 1);
    // So small a model may write what cannot be used; then the question stays, and the step says so.
    match (&question, &rewritten.status) {
        (Some(text), SpanStatus::Ok) => assert_eq!(rewritten.output["question"], *text),
        (None, SpanStatus::Ok) => assert_eq!(rewritten.output["question"], rewrite.text),
        (None, SpanStatus::Error(why)) => assert!(why.contains("cannot be used"), "{why}"),
        other => panic!("{other:?}"),
    }
    let (_, question, spans) = desk.ask(&query(SearchOptions::default())).await;
    assert_eq!(
        question, None,
        "without a conversation there is nothing to rewrite"
    );
    assert!(spans.iter().all(|s| s.kind != SpanKind::Step), "{spans:?}");

    let both = query(SearchOptions {
        queries: Some(2),
        hyde: Some(true),
        ..SearchOptions::default()
    });
    let (passages, _, spans) = desk.ask(&both).await;
    assert_eq!(passages.len(), 12);
    let (imagined, asked) = step(&spans, "hyde");
    assert_eq!((asked.len(), &imagined.status), (1, &SpanStatus::Ok));
    let text = imagined.output["passage"].as_str().unwrap();
    assert!(!text.is_empty() && text.chars().count() <= 600, "{text}");
    let (wordings, asked) = step(&spans, "queries");
    assert_eq!(asked.len(), 1);
    if wordings.status == SpanStatus::Ok {
        let count = wordings.output["queries"].as_array().map_or(0, Vec::len);
        assert!((1..=2).contains(&count), "{wordings:?}");
    }
    for chat in spans.iter().filter(|s| s.kind == SpanKind::Chat) {
        assert!(
            chat.usage.output_tokens > 0 && chat.usage.output_tokens <= 400,
            "{chat:?}"
        );
    }
    // Relevance is by the question itself, so it stays what it was.
    assert_eq!(relevances(&passages), relevances(&plain));

    let (again, _, spans) = desk.ask(&both).await;
    assert_eq!(uris(&again), uris(&passages));
    let (imagined, asked) = step(&spans, "hyde");
    assert_eq!(
        (asked.len(), &imagined.output["remembered"]),
        (0, &true.into())
    );
}

#[tokio::test]
async fn a_small_chat_model_reranks_within_bounds_and_loses_nothing() {
    if !has_model(SMALL) {
        return;
    }
    let search = "[search.rerank]\npassage_tokens = 32\ntimeout_seconds = 120\n";
    let desk = Desk::open("", search).await;
    let (plain, _, _) = desk.ask(&query(SearchOptions::default())).await;
    for (weight, first_stays) in [(0.3, true), (1.0, false)] {
        let (passages, _, spans) = desk.ask(&query(reranked_by(SMALL, weight))).await;
        assert_eq!(relevances(&passages), relevances(&plain));
        assert!(passages.windows(2).all(|w| w[0].score >= w[1].score));
        let (step, _) = step(&spans, "rerank");
        assert_eq!(
            (&step.status, &step.output["questions"]),
            (&SpanStatus::Ok, &2.into())
        );
        let order: Vec<usize> = serde_json::from_value(step.output["order"].clone()).unwrap();
        let by_order: Vec<&str> = order
            .iter()
            .map(|place| plain[place - 1].uri.as_str())
            .collect();
        assert_eq!(by_order, uris(&passages));
        if first_stays {
            // It leads by far, and a model of this weight cannot displace it.
            assert_eq!(passages[0].uri, "otter.md");
        }
        for chat in spans.iter().filter(|s| s.kind == SpanKind::Chat) {
            assert!(chat.usage.output_tokens <= 60, "{chat:?}");
        }
    }
    let found = desk
        .knowledge
        .search_documents("docs", &query(reranked_by(SMALL, 0.3)), &desk.cx())
        .await
        .unwrap();
    assert_eq!(found.documents.len(), 12);
    assert_eq!(found.documents[0].uri, "otter.md");
    step(&desk.spans.take(), "rerank");
}

#[tokio::test]
async fn a_cross_encoder_of_the_engine_changes_the_order_and_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../praxis-engine/tests/fixtures/tiny-xlmr-reranker");
    let praxis = format!(
        "[models.tiny]\nprovider = \"local\"\ntask = \"reranking\"\nmodel = {:?}\n",
        folder.display().to_string()
    );
    let desk = Desk::open(
        &praxis,
        "[search.rerank]\nmodel = \"tiny\"\ndepth = 5\nweight = 1.0\n",
    )
    .await;
    let off = SearchOptions {
        rerank: Some(RerankOption::Switch(false)),
        ..SearchOptions::default()
    };
    let (plain, _, spans) = desk.ask(&query(off)).await;
    assert!(spans.iter().all(|s| s.kind != SpanKind::Step));
    let (passages, _, spans) = desk.ask(&query(SearchOptions::default())).await;
    let (step, _) = step(&spans, "rerank");
    assert_eq!(
        (&step.status, &step.input["model"]),
        (&SpanStatus::Ok, &"tiny".into())
    );
    let order: Vec<usize> = serde_json::from_value(step.output["order"].clone()).unwrap();
    let mut places = order.clone();
    places.sort_unstable();
    assert_eq!(places, [1, 2, 3, 4, 5]);
    let first: Vec<&str> = order
        .iter()
        .map(|place| plain[place - 1].uri.as_str())
        .collect();
    assert_eq!(uris(&passages)[..5], first);
    assert_eq!(
        uris(&passages)[5..],
        uris(&plain)[5..],
        "below the depth all stays"
    );
    assert_eq!(relevances(&passages), relevances(&plain));
    assert!(passages.windows(2).all(|w| w[0].score >= w[1].score));
}

#[tokio::test]
async fn a_model_that_is_down_leaves_the_search_as_it_is_and_an_unknown_one_is_an_error() {
    // A port that nothing listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let model = |name: &str, task: &str| {
        format!(
            "[models.{name}]\nprovider = \"openai\"\ntask = \"{task}\"\nmodel = \"m\"\n\
             base_url = \"http://{closed}/v1\"\nmax_retries = 0\n"
        )
    };
    let praxis = model("gone", "chat") + &model("cross", "reranking");
    let desk = Desk::open(&praxis, "[search.question]\nmodel = \"gone\"\n").await;
    let (plain, _, _) = desk.ask(&query(SearchOptions::default())).await;
    for rerank in ["gone", "cross"] {
        let mut all = query(SearchOptions {
            rewrite: Some(true),
            queries: Some(2),
            hyde: Some(true),
            ..reranked_by(rerank, 0.5)
        });
        all.history.push(Message::user("What is an otter?"));
        let (passages, question, spans) = desk.ask(&all).await;
        assert_eq!((passages, question), (plain.clone(), None));
        for name in ["rewrite", "queries", "hyde", "rerank"] {
            let (step, _) = step(&spans, name);
            assert!(matches!(step.status, SpanStatus::Error(_)), "{step:?}");
            assert!(step.output["kept"].is_string(), "{step:?}");
        }
    }
    for (options, code, part) in [
        (reranked_by("nobody", 0.5), ErrorCode::NotFound, "`nobody`"),
        (
            reranked_by("gone", 3.0),
            ErrorCode::InvalidRequest,
            "`weight` is 3",
        ),
    ] {
        let found = desk
            .knowledge
            .search("docs", &query(options), &desk.cx())
            .await;
        let error = found.unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(part), "{error}");
    }
    // Also where one result leaves nothing to rank.
    let one = serde_json::json!({ "type": "eq", "key": "uri", "value": "otter.md" });
    let one = query(reranked_by("nobody", 0.5)).with_filter(Some(Filter::parse(&one).unwrap()));
    let found = desk.knowledge.search("docs", &one, &desk.cx()).await;
    assert_eq!(found.unwrap_err().code, ErrorCode::NotFound);
}

#[test]
fn what_a_base_says_of_models_is_checked() {
    for (search, path) in [
        ("[search.question]\nqueries = 9", "search.question.queries"),
        (
            "[search.question]\ntimeout_seconds = 0",
            "search.question.timeout_seconds",
        ),
        ("[search.rerank]\ndepth = 1", "search.rerank.depth"),
        ("[search.rerank]\nweight = 1.1", "search.rerank.weight"),
        (
            "[search.rerank]\npassage_tokens = 4",
            "search.rerank.passage_tokens",
        ),
        (
            "[search.rerank]\ntimeout_seconds = 3600",
            "search.rerank.timeout_seconds",
        ),
    ] {
        let config: BaseConfig = toml::from_str(search).unwrap();
        let problems = config.problems();
        let [problem] = problems.as_slice() else {
            panic!("{search}: {problems:?}")
        };
        assert_eq!(problem.path, path);
    }
}
