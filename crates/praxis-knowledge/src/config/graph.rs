//! `[graph]`: the knowledge graph of a base. It is off by default, and costs an answer of a chat model for each
//! chunk. Left out: what the model is asked (`graph::prompt`).

use std::ops::RangeInclusive;
use std::time::Duration;

use praxis_core::Problem;
use serde::{Deserialize, Serialize};

use super::checks::Checks;

/// How many triples a chunk may have.
const TRIPLES: RangeInclusive<usize> = 1..=40;

/// How many chunks may be asked at a time.
const CONCURRENCY: RangeInclusive<usize> = 1..=64;

/// How long a model may take for a chunk, in seconds.
const TIMEOUTS: RangeInclusive<u64> = 1..=3600;

/// The most types, or relations, of a vocabulary: all of them stand in each prompt.
const MOST_TERMS: usize = 64;

/// `[graph]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GraphConfig {
    /// Whether the base has a graph, and searches use it.
    pub enabled: bool,
    /// The chat model that reads the chunks; default: the application's.
    pub model: Option<String>,
    /// Types of entities; none: whatever the model calls them.
    pub entities: Vec<String>,
    /// Relations; none: whatever the model calls them.
    pub relations: Vec<String>,
    /// The most triples of a chunk.
    pub max_triples: usize,
    /// Weight of the graph lane beside `search.keyword_weight` and `search.vector_weight`; 0: it has no say.
    pub weight: f32,
    /// Cosine from which two names of one type are one entity; default: measured for the embedder.
    pub alias_cosine: Option<f32>,
    /// How many chunks the model reads at a time.
    pub concurrency: usize,
    /// The longest wait for one chunk, in seconds.
    pub timeout_seconds: u64,
}

impl Default for GraphConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            model: None,
            entities: Vec::new(),
            relations: Vec::new(),
            max_triples: 8,
            weight: 0.0,
            alias_cosine: None,
            concurrency: 4,
            timeout_seconds: 300,
        }
    }
}

impl GraphConfig {
    /// The chat model's name; empty for the application's default.
    pub(crate) fn model(&self) -> &str {
        self.model.as_deref().unwrap_or_default()
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

/// What is wrong with the table.
pub(super) fn problems(graph: &GraphConfig) -> Vec<Problem> {
    let mut checks = Checks::of("graph");
    checks.within("max_triples", &graph.max_triples, &TRIPLES, "a number");
    checks.within("concurrency", &graph.concurrency, &CONCURRENCY, "a number");
    checks.within(
        "timeout_seconds",
        &graph.timeout_seconds,
        &TIMEOUTS,
        "a time",
    );
    checks.check(
        "weight",
        graph.weight.is_finite() && graph.weight >= 0.0,
        &graph.weight,
        "choose 0, or a weight such as 0.25 beside the 0.5 of the other lanes".to_owned(),
    );
    if let Some(cosine) = graph.alias_cosine {
        checks.within("alias_cosine", &cosine, &(0.0..=1.0), "a cosine");
    }
    for (key, terms) in [
        ("entities", &graph.entities),
        ("relations", &graph.relations),
    ] {
        let empty = terms.iter().find(|t| crate::graph::term(t).is_empty());
        if let Some(empty) = empty {
            checks.check(
                key,
                false,
                &format!("[.., \"{empty}\", ..]"),
                "each is a word or two, such as \"works_for\"".to_owned(),
            );
        }
        checks.check(
            key,
            terms.len() <= MOST_TERMS,
            &format!("a list of {}", terms.len()),
            format!("name at most {MOST_TERMS}"),
        );
    }
    checks.problems()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        assert_eq!(problems(&GraphConfig::default()), []);
        for (toml, path) in [
            ("max_triples = 0", "graph.max_triples"),
            ("concurrency = 100", "graph.concurrency"),
            ("timeout_seconds = 0", "graph.timeout_seconds"),
            ("weight = -1.0", "graph.weight"),
            ("weight = nan", "graph.weight"),
            ("alias_cosine = 1.5", "graph.alias_cosine"),
            ("entities = [\"person\", \"--\"]", "graph.entities"),
        ] {
            let config: GraphConfig = toml::from_str(toml).unwrap();
            let paths: Vec<String> = problems(&config).into_iter().map(|p| p.path).collect();
            assert_eq!(paths, [path], "{toml}");
        }
    }
}
