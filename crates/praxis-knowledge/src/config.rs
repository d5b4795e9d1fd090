//! `knowledge/NAME.toml`: a knowledge base, declared.

use globset::Glob;
use praxis_core::Problem;
use serde::Deserialize;

/// A knowledge base as its file declares it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaseConfig {
    /// What it knows, in one sentence.
    pub description: Option<String>,
    /// The embedding model; default: the application's.
    pub embedder: Option<String>,
    /// Where its documents are.
    pub source: SourceConfig,
    /// How they are cut.
    pub segment: SegmentConfig,
    /// How they are searched.
    pub search: SearchConfig,
}

/// `[source]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceConfig {
    /// Folders, files and globs, relative to the file's folder; `..` is allowed.
    pub paths: Vec<String>,
    /// Globs of paths to leave out.
    pub exclude: Vec<String>,
    /// Larger files are reported and skipped.
    pub max_file_bytes: u64,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            paths: vec![".".to_owned()],
            exclude: Vec::new(),
            max_file_bytes: 32 << 20,
        }
    }
}

/// `[segment]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SegmentConfig {
    /// The most tokens of a chunk, by the embedder's tokenizer.
    pub max_tokens: usize,
    /// Sections below this are joined with their neighbours.
    pub min_tokens: usize,
}

impl Default for SegmentConfig {
    fn default() -> Self {
        Self {
            max_tokens: 256,
            min_tokens: 48,
        }
    }
}

/// `[search]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// Weight of the keyword lane in the fusion.
    pub keyword_weight: f32,
    /// Weight of the vector lane.
    pub vector_weight: f32,
    /// Relevance below which a question counts as outside of the documents; default: measured for
    /// the embedder.
    pub threshold: Option<f32>,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            keyword_weight: 0.5,
            vector_weight: 0.5,
            threshold: None,
        }
    }
}

impl BaseConfig {
    /// What is wrong with it.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut report = |path: &str, message: String, help: &str| {
            problems.push(Problem {
                path: path.to_owned(),
                message,
                help: Some(help.to_owned()),
            });
        };
        if self.source.paths.is_empty() {
            report(
                "source.paths",
                "`paths` is empty".to_owned(),
                "name at least one folder or glob",
            );
        }
        for (key, globs) in [
            ("source.paths", &self.source.paths),
            ("source.exclude", &self.source.exclude),
        ] {
            for glob in globs {
                if let Err(error) = Glob::new(glob) {
                    report(
                        key,
                        format!("`{glob}` is not a glob: {error}"),
                        "see `praxis docs`; `*`, `**`, `?` and `{a,b}` are understood",
                    );
                }
            }
        }
        if !(16..=2048).contains(&self.segment.max_tokens) {
            report(
                "segment.max_tokens",
                format!("`max_tokens` is {}", self.segment.max_tokens),
                "choose a size between 16 and 2048 tokens",
            );
        }
        let weights = [self.search.keyword_weight, self.search.vector_weight];
        if weights.iter().any(|w| !w.is_finite() || *w < 0.0) || weights.iter().sum::<f32>() <= 0.0
        {
            report(
                "search",
                "the weights must not be negative, nor both zero".to_owned(),
                "the defaults are keyword_weight = 0.5 and vector_weight = 0.5",
            );
        }
        problems
    }
}
