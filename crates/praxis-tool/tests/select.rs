//! The right tool among 213: 72 questions in English and Chinese, by words and by meaning.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they skip and measure"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::embed::TokenCounter;
use praxis_core::language::is_han;
use praxis_core::select::ToolSelector;
use praxis_core::{EmbedKind, Embedder, ModelError, ToolSpec};
use praxis_gateway::{Gateway, GatewayConfig};
use praxis_hub::{Cache, Catalogue};
use praxis_tool::Selector;

/// Tools that a turn is given.
const GIVEN: usize = 12;

/// The embedder that is measured.
const MODEL: &str = "multilingual-e5-small";

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

fn tools() -> Vec<ToolSpec> {
    data("tools.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Share of the questions whose tool is among those that are given: of the English and of the Chinese ones.
async fn measured(selector: &Selector) -> (f64, f64) {
    let tools = tools();
    let mut found: BTreeMap<bool, (u32, u32)> = BTreeMap::new();
    for line in data("questions.tsv").lines() {
        let (wanted, question) = line.split_once('\t').unwrap();
        for name in wanted.split('|') {
            assert!(tools.iter().any(|tool| tool.name == name), "{name}");
        }
        let chosen = selector.select(question, &tools, GIVEN).await;
        assert_eq!(chosen.len(), GIVEN);
        let hit = chosen
            .iter()
            .any(|i| wanted.split('|').any(|name| tools[*i].name == name));
        let (hits, count) = found.entry(question.chars().any(is_han)).or_default();
        *hits += u32::from(hit);
        *count += 1;
        if !hit {
            eprintln!("missed {wanted}: {question}");
        }
    }
    let share = |is_chinese| {
        let (hits, count) = found[&is_chinese];
        f64::from(hits) / f64::from(count)
    };
    (share(false), share(true))
}

/// An embedder that cannot be asked.
struct Deaf;

#[async_trait]
impl Embedder for Deaf {
    fn identity(&self) -> String {
        "deaf".to_owned()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Ok(1)
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Ok(1)
    }

    async fn embed(&self, _: EmbedKind, _: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        Err(ModelError::Unavailable("deaf".to_owned()))
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Err(ModelError::Unavailable("deaf".to_owned()))
    }
}

#[tokio::test]
async fn words_alone_find_most_tools() {
    let state = tempfile::tempdir().unwrap();
    let (english, _) = measured(&Selector::new(Arc::new(Deaf), state.path())).await;
    eprintln!("by words: English {english:.3}");
    assert!(english >= 0.82, "{english}");
}

#[tokio::test]
async fn words_and_meaning_find_nearly_all() {
    let catalogue = Catalogue::builtin().unwrap();
    let cache = Cache::open(None).unwrap();
    if cache.resolve(catalogue.get(MODEL).unwrap()).is_none() {
        eprintln!("SKIPPED: needs `praxis models pull {MODEL}`");
        return;
    }
    let gateway = Gateway::new(GatewayConfig::default(), cache).unwrap();
    let state = tempfile::tempdir().unwrap();
    let selector = Selector::new(gateway.embedder(Some(MODEL)).unwrap(), state.path());
    let (english, chinese) = measured(&selector).await;
    eprintln!("by words and meaning: English {english:.3}, Chinese {chinese:.3}");
    assert!(english >= 0.93, "{english}");
    assert!(chinese >= 0.87, "{chinese}");
}
