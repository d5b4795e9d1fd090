//! The settings of what models add to a search: `[search.question]` and `[search.rerank]`. All of it is off by
//! default. Left out: what the models are asked (`search::prompts`).

use std::ops::RangeInclusive;
use std::time::Duration;

use praxis_core::{CallError, ErrorCode, Problem, RerankOption, SearchOptions};
use serde::{Deserialize, Serialize};

use super::checks::Checks;
use super::{BaseConfig, SearchConfig};

/// The most other wordings of a question.
const MOST_QUERIES: usize = 8;

/// How many results may be reranked.
const DEPTHS: RangeInclusive<usize> = 2..=100;

/// Tokens of a passage that a reranking chat model reads.
const PASSAGE_TOKENS: RangeInclusive<usize> = 16..=512;

/// How long a model may take, in seconds.
const TIMEOUTS: RangeInclusive<u64> = 1..=600;

/// `[search.question]`: what a chat model makes of a question before it is searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuestionConfig {
    /// The chat model; default: the application's.
    pub model: Option<String>,
    /// Whether a question that leans on the conversation is rewritten to stand alone.
    pub rewrite: bool,
    /// How many other wordings of the question are searched for too, at most 8.
    pub queries: usize,
    /// Whether a passage that might answer is imagined and searched with (HyDE).
    pub hyde: bool,
    /// The longest wait for each of them, in seconds.
    pub timeout_seconds: u64,
}

impl Default for QuestionConfig {
    fn default() -> Self {
        Self {
            model: None,
            rewrite: false,
            queries: 0,
            hyde: false,
            timeout_seconds: 30,
        }
    }
}

/// `[search.rerank]`: the first results, ranked anew by a model that reads them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RerankConfig {
    /// A cross-encoder, or a chat model; without one nothing is reranked.
    pub model: Option<String>,
    /// How many of the first results are reranked.
    pub depth: usize,
    /// What the model's opinion counts beside the score, in 0..=1; default: 0.5 of a cross-encoder, 0.3 of a
    /// chat model.
    pub weight: Option<f32>,
    /// Tokens of each passage that a chat model reads.
    pub passage_tokens: usize,
    /// The longest wait for all of it, in seconds.
    pub timeout_seconds: u64,
}

impl Default for RerankConfig {
    fn default() -> Self {
        Self {
            model: None,
            depth: 30,
            weight: None,
            passage_tokens: 128,
            timeout_seconds: 60,
        }
    }
}

impl QuestionConfig {
    /// The chat model's name; empty for the application's default.
    pub(crate) fn model(&self) -> &str {
        self.model.as_deref().unwrap_or_default()
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

impl RerankConfig {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

impl SearchConfig {
    /// How many of the first results a reranker reads.
    pub(crate) fn reads(&self) -> usize {
        match self.rerank.model {
            Some(_) => self.rerank.depth,
            None => 0,
        }
    }

    /// The same with what a query asks for.
    ///
    /// # Errors
    /// `invalid_request` for a setting out of its range, or a rerank without a model.
    pub(crate) fn with(&self, options: &SearchOptions) -> Result<Self, CallError> {
        if *options == SearchOptions::default() {
            return Ok(self.clone());
        }
        let mut settings = self.clone();
        let question = &mut settings.question;
        question.model = options.model.clone().or(question.model.take());
        question.rewrite = options.rewrite.unwrap_or(question.rewrite);
        question.queries = options.queries.unwrap_or(question.queries);
        question.hyde = options.hyde.unwrap_or(question.hyde);
        let rerank = &mut settings.rerank;
        match &options.rerank {
            None | Some(RerankOption::Switch(true)) => {}
            Some(RerankOption::Switch(false)) => rerank.model = None,
            Some(RerankOption::With(wanted)) => {
                rerank.model = wanted.model.clone().or(rerank.model.take());
                rerank.depth = wanted.depth.unwrap_or(rerank.depth);
                rerank.weight = wanted.weight.or(rerank.weight);
            }
        }
        let wanted = options.rerank.as_ref();
        let wants = wanted.is_some_and(|r| *r != RerankOption::Switch(false));
        if wants && settings.rerank.model.is_none() {
            let message = "`rerank` names no model, and neither does the base";
            return Err(CallError::new(ErrorCode::InvalidRequest, message)
                .with_hint("name a cross-encoder or a chat model: `rerank.model`"));
        }
        match problems(&settings).into_iter().next() {
            None => Ok(settings),
            Some(problem) => {
                let error = CallError::new(ErrorCode::InvalidRequest, problem.message);
                Err(error.with_hint(problem.help.unwrap_or_default()))
            }
        }
    }
}

/// What a base needs a model for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelUse {
    /// Vectors.
    Embedding,
    /// Working on questions.
    Chat,
    /// Reranking, which cross-encoders and chat models do.
    Reranking,
}

impl BaseConfig {
    /// The models that it names: the key, the name, and what for.
    pub fn models(&self) -> Vec<(&'static str, &str, ModelUse)> {
        let SearchConfig {
            question, rerank, ..
        } = &self.search;
        [
            ("embedder", &self.embedder, ModelUse::Embedding),
            ("search.question.model", &question.model, ModelUse::Chat),
            ("search.rerank.model", &rerank.model, ModelUse::Reranking),
            ("context.model", &self.context.model, ModelUse::Chat),
            ("graph.model", &self.graph.model, ModelUse::Chat),
        ]
        .into_iter()
        .filter_map(|(key, name, used)| Some((key, name.as_deref()?, used)))
        .collect()
    }
}

/// What is wrong with these tables.
pub(super) fn problems(search: &SearchConfig) -> Vec<Problem> {
    let SearchConfig {
        question, rerank, ..
    } = search;
    let mut checks = Checks::of("search");
    checks.within(
        "question.queries",
        &question.queries,
        &(0..=MOST_QUERIES),
        "a number",
    );
    for (key, seconds) in [
        ("question.timeout_seconds", question.timeout_seconds),
        ("rerank.timeout_seconds", rerank.timeout_seconds),
    ] {
        checks.within(key, &seconds, &TIMEOUTS, "a time");
    }
    checks.within("rerank.depth", &rerank.depth, &DEPTHS, "a number");
    checks.within(
        "rerank.passage_tokens",
        &rerank.passage_tokens,
        &PASSAGE_TOKENS,
        "a number",
    );
    if let Some(weight) = rerank.weight {
        checks.within("rerank.weight", &weight, &(0.0..=1.0), "a share");
    }
    checks.problems()
}

#[cfg(test)]
mod tests {
    use praxis_core::RerankSettings;

    use super::*;

    fn settings(options: &SearchOptions) -> Result<SearchConfig, CallError> {
        SearchConfig::default().with(options)
    }

    fn rerank(model: Option<&str>, depth: Option<usize>, weight: Option<f32>) -> SearchOptions {
        let with = RerankSettings {
            model: model.map(str::to_owned),
            depth,
            weight,
        };
        SearchOptions {
            rerank: Some(RerankOption::With(with)),
            ..SearchOptions::default()
        }
    }

    #[test]
    fn a_query_outranks_its_base_where_it_says_something() {
        let same = settings(&SearchOptions::default()).unwrap();
        assert_eq!(same, SearchConfig::default());
        let with = settings(&rerank(Some("judge"), Some(9), None)).unwrap();
        assert_eq!(with.rerank.model.as_deref(), Some("judge"));
        assert_eq!((with.rerank.depth, with.rerank.weight), (9, None));
        let off = SearchOptions {
            rerank: Some(RerankOption::Switch(false)),
            hyde: Some(true),
            ..SearchOptions::default()
        };
        let off = with.with(&off).unwrap();
        assert_eq!((off.rerank.model, off.question.hyde), (None, true));
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let queries = SearchOptions {
            queries: Some(9),
            ..SearchOptions::default()
        };
        let switch = SearchOptions {
            rerank: Some(RerankOption::Switch(true)),
            ..SearchOptions::default()
        };
        for (options, part) in [
            (queries, "`queries` is 9"),
            (switch, "names no model"),
            (rerank(None, Some(5), None), "names no model"),
            (rerank(Some("m"), Some(1), None), "`depth` is 1"),
            (rerank(Some("m"), None, Some(1.5)), "`weight` is 1.5"),
            (rerank(Some("m"), None, Some(f32::NAN)), "`weight` is NaN"),
        ] {
            let error = settings(&options).unwrap_err();
            assert!(error.message.contains(part), "{error}");
            assert!(error.hint.is_some_and(|hint| !hint.is_empty()));
        }
    }

    #[test]
    fn a_rerank_is_asked_for_by_a_switch_or_by_settings() {
        for (json, wanted) in [
            ("false", RerankOption::Switch(false)),
            (
                r#"{"model": "m", "weight": 0.5}"#,
                RerankOption::With(RerankSettings {
                    model: Some("m".to_owned()),
                    depth: None,
                    weight: Some(0.5),
                }),
            ),
        ] {
            assert_eq!(serde_json::from_str::<RerankOption>(json).unwrap(), wanted);
        }
        for json in ["3", r#"{"modell": "m"}"#] {
            let error = serde_json::from_str::<RerankOption>(json).unwrap_err();
            assert!(error.to_string().contains("true, false"), "{error}");
        }
    }

    #[test]
    fn a_base_names_its_models_by_their_keys() {
        let mut config = BaseConfig::default();
        assert_eq!(config.models(), []);
        config.search.question.model = Some("gpt".to_owned());
        config.search.rerank.model = Some("bge".to_owned());
        config.context.model = Some("qwen".to_owned());
        assert_eq!(
            config.models(),
            [
                ("search.question.model", "gpt", ModelUse::Chat),
                ("search.rerank.model", "bge", ModelUse::Reranking),
                ("context.model", "qwen", ModelUse::Chat),
            ]
        );
    }
}
