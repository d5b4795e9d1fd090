//! `knowledge/NAME.toml`: a knowledge base, declared.

mod checks;
mod context;
mod graph;
mod models;
mod ocr;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use praxis_core::Problem;
use praxis_sources::{FolderConfig, SourceConfig};
use serde::{Deserialize, Serialize};

use self::checks::Checks;
pub use self::context::ContextConfig;
pub use self::graph::GraphConfig;
pub use self::models::{ModelUse, QuestionConfig, RerankConfig};
pub use self::ocr::OcrConfig;
use crate::load::LoadLimits;
use crate::metadata::{DeclaredType, MetadataRule};
use crate::segment::{SegmentOptions, Strategy};

/// Tokens of a chunk, at most and at least.
const CHUNKS: RangeInclusive<usize> = 16..=2048;

/// Tokens that a passage may grow to.
const EXPANDED: RangeInclusive<usize> = 0..=32_000;

/// What URIs of documents begin with that are pages of the web.
const WEB: [&str; 2] = ["https://", "http://"];

/// A knowledge base as its file declares it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaseConfig {
    /// What it knows, in one sentence.
    pub description: Option<String>,
    /// Whether its documents are trusted as the application's own texts are; default: all are but pages of the web.
    pub trusted: Option<bool>,
    /// The embedding model; default: the application's.
    pub embedder: Option<String>,
    /// The folder with its documents; its own, where nothing else is named.
    pub source: Option<FolderConfig>,
    /// Where else its documents are.
    pub sources: Vec<SourceConfig>,
    /// How text in pictures is recognized.
    pub ocr: OcrConfig,
    /// How they are cut.
    pub segment: SegmentConfig,
    /// What a chat model writes about their chunks, for them to be found by.
    pub context: ContextConfig,
    /// How they are searched.
    pub search: SearchConfig,
    /// What its chunks say of whom.
    pub graph: GraphConfig,
    /// What is known of documents by their paths, and who may read them.
    pub metadata: Vec<MetadataRule>,
    /// What the values of keys must be.
    pub types: BTreeMap<String, DeclaredType>,
}

/// `[segment]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SegmentConfig {
    /// Where chunks begin and end.
    pub strategy: Strategy,
    /// The most tokens of a chunk, by the embedder's tokenizer.
    pub max_tokens: usize,
    /// Sections below this are joined with their neighbours.
    pub min_tokens: usize,
}

impl Default for SegmentConfig {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            max_tokens: 128,
            min_tokens: 32,
        }
    }
}

/// How two rankings become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fusion {
    /// By their scaled scores.
    #[default]
    Score,
    /// By their ranks alone (reciprocal rank fusion).
    Rank,
}

/// `[search]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// Weight of the keyword lane in the fusion.
    pub keyword_weight: f32,
    /// Weight of the vector lane.
    pub vector_weight: f32,
    /// Share that a chunk's whole document has in the keyword lane, in 0..=1.
    pub document_weight: f32,
    /// How the lanes are fused.
    pub fusion: Fusion,
    /// How far the first results may move the ranking of an open question, in 0..=1.
    pub feedback: f32,
    /// How much likeness to earlier results counts against a passage, in 0..1; 0 ranks by score alone.
    pub diversity: f32,
    /// Tokens that a passage grows to over its neighbours; 0 leaves it as it is.
    pub expand_tokens: usize,
    /// Relevance below which a question counts as outside of the documents; default: measured for
    /// the embedder.
    pub threshold: Option<f32>,
    /// What a chat model makes of a question before it is searched.
    pub question: QuestionConfig,
    /// Whether a model ranks the first results anew.
    pub rerank: RerankConfig,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            keyword_weight: 0.5,
            vector_weight: 0.5,
            document_weight: 0.35,
            fusion: Fusion::Score,
            feedback: 1.0,
            diversity: 0.0,
            expand_tokens: 0,
            threshold: None,
            question: QuestionConfig::default(),
            rerank: RerankConfig::default(),
        }
    }
}

impl BaseConfig {
    /// Its sources by name; that of `[source]` is empty.
    pub fn named_sources(&self) -> Vec<(String, SourceConfig)> {
        let folder = match &self.source {
            None if self.sources.is_empty() => Some(FolderConfig::default()),
            given => given.clone(),
        };
        let folder = folder.map(|f| (String::new(), SourceConfig::Folder(f)));
        let others = self.sources.iter().map(|s| (s.name(), s.clone()));
        folder.into_iter().chain(others).collect()
    }

    /// Whether the document of a URI is trusted. Who reads one that is not has read what comes from outside.
    pub fn trusts(&self, uri: &str) -> bool {
        let is_page = WEB.iter().any(|scheme| uri.starts_with(scheme));
        self.trusted.unwrap_or(!is_page)
    }

    /// How large chunks become for an embedder that reads `room` tokens beside headings and prefix.
    pub(crate) fn cutting(&self, room: usize) -> SegmentOptions {
        let room = room - self.context.reserve(room);
        SegmentOptions {
            strategy: self.segment.strategy,
            max_tokens: self.segment.max_tokens.min(room),
            min_tokens: self.segment.min_tokens,
        }
    }

    /// Bounds of one file that is none of a source's.
    pub(crate) fn limits(&self) -> LoadLimits {
        limits(self.source.clone().unwrap_or_default().max_file_bytes)
    }

    /// What is wrong with it.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = crate::metadata::problems(self);
        let folder = self.source.clone().map(SourceConfig::Folder);
        problems.extend(praxis_sources::problems(
            folder.as_ref().map(|f| ("source".to_owned(), f)),
        ));
        let others = self.sources.iter().enumerate();
        problems.extend(praxis_sources::problems(
            others.map(|(i, s)| (format!("sources.{i}"), s)),
        ));
        problems.extend(self.empty_bounds());
        problems.extend(segment_problems(&self.segment));
        problems.extend(search_problems(&self.search));
        problems.extend(models::problems(&self.search));
        problems.extend(context::problems(&self.context));
        problems.extend(graph::problems(&self.graph));
        problems.extend(ocr::problems(&self.ocr));
        problems
    }

    /// Sources that may read no file, however small.
    fn empty_bounds(&self) -> Vec<Problem> {
        let folder = self.source.iter();
        let folder = folder.map(|f| ("source".to_owned(), f.max_file_bytes));
        let others = self.sources.iter().enumerate();
        let others = others.map(|(i, s)| (format!("sources.{i}"), s.max_file_bytes()));
        let empty = folder.chain(others).filter(|(_, bytes)| *bytes == 0);
        let problem = |(table, _): (String, u64)| Problem {
            path: format!("{table}.max_file_bytes"),
            message: "`max_file_bytes` is 0".to_owned(),
            help: Some("choose bytes of the largest file to read, such as 33554432".to_owned()),
        };
        empty.map(problem).collect()
    }
}

/// What is wrong with `[segment]`.
fn segment_problems(segment: &SegmentConfig) -> Vec<Problem> {
    let SegmentConfig {
        max_tokens,
        min_tokens,
        ..
    } = *segment;
    let mut checks = Checks::of("segment");
    checks.check(
        "max_tokens",
        CHUNKS.contains(&max_tokens),
        &max_tokens,
        "choose a size between 16 and 2048 tokens".to_owned(),
    );
    checks.check(
        "min_tokens",
        min_tokens <= max_tokens || !CHUNKS.contains(&max_tokens),
        &format!("{min_tokens}, and `max_tokens` is {max_tokens}"),
        "choose at most `max_tokens`: smaller sections are joined, larger ones are cut".to_owned(),
    );
    checks.problems()
}

/// What is wrong with `[search]`, but for what models add to it.
fn search_problems(search: &SearchConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let weights = [search.keyword_weight, search.vector_weight];
    if weights.iter().any(|w| !w.is_finite() || *w < 0.0) || weights.iter().sum::<f32>() <= 0.0 {
        problems.push(Problem {
            path: "search".to_owned(),
            message: "the weights must not be negative, nor both zero".to_owned(),
            help: Some("the defaults are keyword_weight = 0.5 and vector_weight = 0.5".to_owned()),
        });
    }
    let mut checks = Checks::of("search");
    for (key, value) in [
        ("document_weight", search.document_weight),
        ("feedback", search.feedback),
        ("diversity", search.diversity),
    ] {
        checks.within(key, &value, &(0.0..=1.0), "a share");
    }
    checks.within(
        "expand_tokens",
        &search.expand_tokens,
        &EXPANDED,
        "a number",
    );
    if let Some(threshold) = search.threshold {
        checks.check(
            "threshold",
            (0.0..=1.0).contains(&threshold),
            &threshold,
            "choose a relevance between 0 and 1, or leave it out: there is one for each embedder"
                .to_owned(),
        );
    }
    problems.extend(checks.problems());
    problems
}

/// Bounds of one document.
pub(crate) fn limits(max_bytes: u64) -> LoadLimits {
    LoadLimits {
        max_bytes,
        ..LoadLimits::default()
    }
}

#[cfg(test)]
mod tests;
