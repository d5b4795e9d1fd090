//! Cross-encoders as a caller sees them, against the scores that transformers computes for tiny
//! models of random weights, which `scripts/reference/cross_encoders.py` writes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]
use std::path::{Path, PathBuf};

use praxis_core::{RerankRequest, Reranker};
use praxis_engine::{RerankEngine, RerankOptions};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    query: String,
    passage: String,
    score: f32,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn engine(name: &str) -> (RerankEngine, Vec<Case>) {
    let folder = folder(name);
    let options = RerankOptions {
        name: name.to_owned(),
        revision: "1".into(),
        max_tokens: None,
        threads: None,
    };
    let cases = std::fs::read(folder.join("scores.json")).unwrap();
    let engine = RerankEngine::load(&folder, options).unwrap();
    (engine, serde_json::from_slice(&cases).unwrap())
}

const MODELS: [&str; 2] = ["tiny-bert-reranker", "tiny-xlmr-reranker"];

#[tokio::test]
async fn scores_are_those_of_transformers_but_for_rounding() {
    for name in MODELS {
        let (engine, cases) = engine(name);
        assert_eq!(engine.identity(), format!("{name}@1"));
        for case in cases {
            let scores = engine.score(&case.query, vec![case.passage.clone()]).await;
            let score = scores.unwrap()[0];
            let difference = (score - case.score).abs();
            // Random weights are worse to round than trained ones, on a matrix unit most of all.
            assert!(difference < 0.04, "{name}: {score}, not {}", case.score);
        }
    }
}

#[tokio::test]
async fn a_passage_scores_the_same_alone_and_among_others() {
    for name in MODELS {
        let (engine, cases) = engine(name);
        let passages: Vec<String> = (0..150)
            .map(|at| cases[at * 5 % cases.len()].passage.clone())
            .collect();
        let query = &cases[0].query;
        let together = engine.score(query, passages.clone()).await.unwrap();
        for (passage, score) in passages.into_iter().zip(together).take(cases.len()) {
            let alone = engine.score(query, vec![passage]).await.unwrap();
            assert_eq!(alone, [score], "bit for bit");
        }
    }
}

#[tokio::test]
async fn the_best_documents_come_first_with_their_places_in_the_request() {
    let (engine, cases) = engine(MODELS[1]);
    let documents: Vec<String> = cases.iter().map(|case| case.passage.clone()).collect();
    let query = cases[0].query.clone();
    let scores = engine.score(&query, documents.clone()).await.unwrap();
    let rerank = |top_n| RerankRequest {
        query: query.clone(),
        documents: documents.clone(),
        top_n,
    };
    let all = engine.rerank(rerank(None)).await.unwrap();
    assert_eq!(all.len(), documents.len());
    for pair in all.windows(2) {
        assert!(pair[0].relevance_score >= pair[1].relevance_score);
    }
    for one in &all {
        assert_eq!(one.relevance_score, scores[one.index]);
    }
    assert_eq!(engine.rerank(rerank(Some(2))).await.unwrap(), all[..2]);
    let nothing = RerankRequest {
        documents: Vec::new(),
        ..rerank(None)
    };
    assert!(engine.rerank(nothing).await.unwrap().is_empty());
}

#[test]
fn a_model_that_does_not_rerank_says_why() {
    let target = tempfile::tempdir().unwrap();
    let copy = |name: &str| {
        let from = folder(MODELS[0]).join(name);
        std::fs::copy(from, target.path().join(name)).unwrap();
    };
    copy("config.json");
    copy("tokenizer.json");
    copy("model.safetensors");
    let load = || match RerankEngine::load(target.path(), RerankOptions::default()) {
        Ok(_) => panic!("it was loaded"),
        Err(error) => error.to_string(),
    };
    let weights = target.path().join("model.safetensors");
    let renamed = |from: &str, to: &str| {
        // Names of one length, so that the header keeps its own.
        assert_eq!(from.len(), to.len());
        let mut bytes = std::fs::read(folder(MODELS[0]).join("model.safetensors")).unwrap();
        let at = bytes
            .windows(from.len())
            .position(|at| at == from.as_bytes());
        let at = at.unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        std::fs::write(&weights, bytes).unwrap();
    };
    for (from, to, part) in [
        ("classifier.weight", "classifies.weight", "no `classifier`"),
        (r#"[1,32]"#, r#"[2,16]"#, "rows of 32 are wanted"),
        (
            "bert.pooler.dense.weight",
            "bert.puuler.dense.weight",
            "bert.pooler.dense.weight",
        ),
    ] {
        renamed(from, to);
        let message = load();
        assert!(
            message.contains("model.safetensors") && message.contains(part),
            "{message}"
        );
    }
}
