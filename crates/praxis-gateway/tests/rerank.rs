//! Rerankers through the gateway: an endpoint's against traffic in its documented shape, and a cross-encoder of
//! the engine.

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

use praxis_core::{ModelError, RerankRequest};
use support::{Replay, fixture, gateway};

const REMOTE: &str = "[models.jina]\nprovider = \"openai\"\ntask = \"reranking\"\n\
    model = \"jina-reranker-v2-base-multilingual\"\nbase_url = \"URL\"\napi_key = \"env:TEST_KEY\"\n";

fn request() -> RerankRequest {
    RerankRequest {
        query: "Who taught Lu Xun?".to_owned(),
        documents: [
            "Sendai is a city.",
            "Fujino taught Lu Xun anatomy.",
            "藤野先生",
        ]
        .map(str::to_owned)
        .to_vec(),
        top_n: None,
    }
}

#[tokio::test]
async fn an_endpoint_s_scores_come_best_first() {
    let server = Replay::start(vec![fixture("rerank")]).await;
    let gateway = gateway(REMOTE, &server.url);
    let reranker = gateway.reranker("jina").unwrap().unwrap();
    assert_eq!(
        reranker.identity(),
        "jina-reranker-v2-base-multilingual@127.0.0.1"
    );
    let ranked = reranker.rerank(request()).await.unwrap();
    let order: Vec<usize> = ranked.iter().map(|one| one.index).collect();
    assert_eq!(order, [1, 2, 0]);
    assert_eq!(ranked[0].relevance_score, 0.97);
    let nothing = RerankRequest {
        documents: Vec::new(),
        ..request()
    };
    assert_eq!(reranker.rerank(nothing).await.unwrap(), []);
    server.finish();
}

#[tokio::test]
async fn an_answer_about_other_documents_is_refused_and_a_passing_error_retried() {
    let mut strange = fixture("rerank");
    strange.response.body = vec![r#"{"results":[{"index":3,"relevance_score":0.5}]}"#.into()];
    let mut twice = fixture("rerank");
    twice.response.body = vec![
        r#"{"results":[{"index":1,"relevance_score":0.5},{"index":1,"relevance_score":0.4}]}"#
            .into(),
    ];
    let mut busy = fixture("rerank");
    busy.response.status = 503;
    let server = Replay::start(vec![strange, twice, busy, fixture("rerank")]).await;
    let gateway = gateway(REMOTE, &server.url);
    let reranker = gateway.reranker("jina").unwrap().unwrap();
    for _ in 0..2 {
        let error = reranker.rerank(request()).await.unwrap_err();
        assert!(matches!(error, ModelError::Broken(_)), "{error}");
    }
    assert_eq!(reranker.rerank(request()).await.unwrap().len(), 3);
    server.finish();
}

#[tokio::test]
async fn a_cross_encoder_of_the_engine_is_loaded_from_its_folder() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../praxis-engine/tests/fixtures/tiny-xlmr-reranker"
    );
    let config = format!(
        "[models.tiny]\nprovider = \"local\"\ntask = \"reranking\"\nmodel = \"{folder}\"\n\
         [models.absent]\nprovider = \"local\"\ntask = \"reranking\"\nmodel = \"no/such\"\n"
    );
    let gateway = gateway(&config, "");
    let reranker = gateway.reranker("tiny").unwrap().unwrap();
    assert!(!reranker.identity().ends_with("absent"));
    let ranked = reranker.rerank(request()).await.unwrap();
    assert_eq!(ranked.len(), 3);
    assert!(
        ranked
            .windows(2)
            .all(|w| w[0].relevance_score >= w[1].relevance_score)
    );
    let absent = gateway.reranker("absent").unwrap().unwrap();
    let error = absent.rerank(request()).await.unwrap_err();
    assert!(matches!(error, ModelError::NotFound(_)), "{error}");
    let infos = gateway.models();
    let of = |name: &str| infos.iter().find(|m| m.name == name).unwrap();
    assert_eq!(of("tiny").task.to_string(), "reranking");
    assert!(of("tiny").available && !of("absent").available);
}

#[test]
fn a_name_is_a_reranker_s_a_chat_model_s_or_wrong() {
    let gateway = gateway(REMOTE, "http://127.0.0.1:9/v1");
    assert!(gateway.reranker("smollm2-135m-instruct").unwrap().is_none());
    for (name, part) in [
        ("all-minilm-l6-v2", "for embedding, not reranking"),
        ("jinna", "did you mean `jina`?"),
    ] {
        let Err(error) = gateway.reranker(name) else {
            panic!("{name}")
        };
        assert!(error.to_string().contains(part), "{error}");
    }
}
