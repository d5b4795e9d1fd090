//! Embeddings through the gateway: remote against recorded traffic, local against the same server's
//! vectors.

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

use praxis_core::{EmbedKind, ModelError};
use serde_json::json;
use support::{Replay, fixture, gateway, model_dir};

const REMOTE: &str = "[models.e5]\nprovider = \"openai\"\ntask = \"embedding\"\nmodel = \"e5\"\nbase_url = \"URL\"\n\
    query_prefix = \"query: \"\n";

fn questions() -> Vec<String> {
    vec![
        "Who taught Lu Xun?".to_owned(),
        "鲁迅的老师是谁？".to_owned(),
    ]
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[tokio::test]
async fn remote_vectors_come_normalized_and_in_order() {
    let server = Replay::start(vec![fixture("embeddings")]).await;
    let gateway = gateway(REMOTE, &server.url);
    let embedder = gateway.embedder(Some("e5")).unwrap();
    let vectors = embedder.embed(EmbedKind::Query, questions()).await.unwrap();
    assert_eq!(vectors.len(), 2);
    for vector in &vectors {
        assert_eq!(vector.len(), 384);
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
    }
    // The recorded vectors, before normalization.
    assert!((vectors[0][0] / vectors[0][1] - 0.217_297_55 / -0.102_990_86).abs() < 1e-3);
    assert_eq!(
        embedder.dimension().await.unwrap(),
        384,
        "known from the first answer"
    );
    // Its own prefix makes its vectors others than those of the bare model.
    let identity = embedder.identity();
    assert!(identity.starts_with("e5@127.0.0.1+"), "{identity}");
    let bare = REMOTE.replace("query_prefix = \"query: \"", "");
    let bare = support::gateway(&bare, &server.url);
    let bare = bare.embedder(Some("e5")).unwrap().identity();
    assert_eq!(bare, "e5@127.0.0.1");
    assert_eq!(
        embedder.embed(EmbedKind::Query, Vec::new()).await.unwrap(),
        Vec::<Vec<f32>>::new()
    );
    let count = embedder.token_counter().await.unwrap();
    assert_eq!((count("藤野先生"), count("four letters")), (4, 3));
    server.finish();
}

#[tokio::test]
async fn a_length_that_a_request_asks_for_is_the_provider_s_to_give() {
    let asked = |length: usize| fixture("embeddings").asked_with(json!({ "dimensions": length }));
    let server = Replay::start(vec![asked(384), asked(5)]).await;
    let gateway = gateway(REMOTE, &server.url);
    let embedder = gateway.embedder(Some("e5")).unwrap();
    let sized = |length| embedder.embed_sized(EmbedKind::Query, questions(), Some(length));
    let (vectors, _) = sized(384).await.unwrap();
    assert!(vectors.len() == 2 && vectors.iter().all(|vector| vector.len() == 384));
    let error = sized(5).await.unwrap_err();
    assert!(matches!(error, ModelError::InvalidRequest(_)), "{error:?}");
    let error = embedder.detokenize(&[1]).unwrap_err().to_string();
    assert!(error.contains("send texts"), "{error}");
    server.finish();
}

#[tokio::test]
async fn passing_errors_of_an_embedder_are_retried() {
    let mut overloaded = fixture("embeddings");
    overloaded.response.status = 503;
    let server = Replay::start(vec![overloaded, fixture("embeddings")]).await;
    let gateway = gateway(REMOTE, &server.url);
    let embedder = gateway.embedder(Some("e5")).unwrap();
    assert_eq!(
        embedder
            .embed(EmbedKind::Query, questions())
            .await
            .unwrap()
            .len(),
        2
    );
    server.finish();
}

#[tokio::test]
async fn vectors_of_another_length_or_number_are_refused() {
    let wide = format!("{REMOTE}dimension = 512\n");
    let asked = fixture("embeddings").asked_with(json!({"dimensions": 512}));
    let server = Replay::start(vec![
        asked,
        fixture("embeddings").asked_with(json!({"input": ["query: one"]})),
    ])
    .await;
    let embedder = gateway(&wide, &server.url).embedder(Some("e5")).unwrap();
    let identity = embedder.identity();
    assert!(identity.starts_with("e5#512@127.0.0.1+"), "{identity}");
    let error = embedder
        .embed(EmbedKind::Query, questions())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("384 dimensions, not 512"),
        "{error}"
    );
    let embedder = gateway(REMOTE, &server.url).embedder(Some("e5")).unwrap();
    let error = embedder
        .embed(EmbedKind::Query, vec!["one".to_owned()])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("1 texts with 2 vectors"),
        "{error}"
    );
    server.finish();
}

#[tokio::test]
async fn the_local_embedder_agrees_with_a_remote_one_of_the_same_model() {
    if model_dir("multilingual-e5-small").is_none() {
        return;
    }
    let server = Replay::start(vec![fixture("embeddings")]).await;
    let gateway = gateway(REMOTE, &server.url);
    let remote = gateway.embedder(Some("e5")).unwrap();
    let local = gateway.embedder(None).unwrap();
    gateway.preload("multilingual-e5-small").await.unwrap();
    let theirs = remote.embed(EmbedKind::Query, questions()).await.unwrap();
    let ours = local.embed(EmbedKind::Query, questions()).await.unwrap();
    for (a, b) in ours.iter().zip(&theirs) {
        // Theirs quantizes activations to 8 bits.
        assert!(cosine(a, b) > 0.99, "{}", cosine(a, b));
    }
    assert_eq!(local.dimension().await.unwrap(), 384);
    assert_eq!(local.max_tokens().await.unwrap(), 512);
    let sized = |length| local.embed_sized(EmbedKind::Query, questions(), length);
    let count = local.token_counter().await.unwrap();
    let expected: usize = questions().iter().map(|text| count(text)).sum();
    for length in [None, Some(384)] {
        assert_eq!(
            sized(length).await.unwrap(),
            (ours.clone(), expected as u64)
        );
    }
    let error = sized(Some(5)).await.unwrap_err().to_string();
    assert!(error.contains("384 dimensions, not 5"), "{error}");
    server.finish();
}
