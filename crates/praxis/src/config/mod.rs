//! `praxis.toml`: what it may say, and diagnostics that point at what it should not.

mod server;
pub mod toml_file;

use std::path::{Path, PathBuf};

use praxis_core::{Diagnostic, Problem};
use praxis_function::moderation::Classifier;
use praxis_function::{ApplicationGuard, Moderator};
use praxis_gateway::{CacheConfig, Defaults, GatewayConfig, ModelConfig, Prices, RouteConfig};
use praxis_knowledge::FileLimits;
use serde::Deserialize;

pub use self::server::{ServerConfig, address};

/// The application's configuration file.
pub const FILE_NAME: &str = "praxis.toml";

/// The application's table of prices, if it has one of its own.
const PRICES_NAME: &str = "prices.toml";

/// `praxis.toml`, as written. Every table is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppConfig {
    /// What the application is called.
    pub app: AppInfo,
    /// Models to use where nothing else is named.
    pub defaults: Defaults,
    /// Models by name.
    pub models: std::collections::BTreeMap<String, ModelConfig>,
    /// Other names for chat models, and ways to choose among several.
    pub routes: std::collections::BTreeMap<String, RouteConfig>,
    /// How much memory answers take that are kept.
    pub cache: CacheConfig,
    /// The prompts.
    pub prompts: PromptsConfig,
    /// The HTTP server.
    pub server: ServerConfig,
    /// Files that clients send.
    pub files: FilesConfig,
    /// What texts are judged by.
    pub moderation: ModerationConfig,
    /// What is done about the texts of all functions, as it is written.
    pub guard: Option<serde_json::Value>,
    /// The web console.
    pub console: ConsoleConfig,
    /// The application's own table of prices, `prices.toml` beside this file.
    #[serde(skip)]
    pub prices: Option<Prices>,
}

/// The table of prices of an application, if it has one.
fn prices(root: &Path) -> Result<Option<Prices>, Diagnostic> {
    let path = root.join(PRICES_NAME);
    if !path.exists() {
        return Ok(None);
    }
    let wrong = |message: String| Diagnostic::error(format!("{PRICES_NAME}: {message}"));
    let text = std::fs::read_to_string(&path).map_err(|e| wrong(e.to_string()))?;
    let prices = Prices::read(&text).map_err(|problem| wrong(problem.to_string()))?;
    Ok(Some(prices))
}

/// `[app]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppInfo {
    /// Short name; default: the folder's.
    pub name: Option<String>,
    /// Title of the console.
    pub title: Option<String>,
    /// One sentence about it.
    pub description: Option<String>,
}

/// `[moderation]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModerationConfig {
    /// A classifier of the application's own, as `praxis moderation train` makes it, relative to the application's folder.
    pub classifier: Option<PathBuf>,
}

impl ModerationConfig {
    /// What texts are judged by: what comes with the program, and the application's own classifier.
    ///
    /// # Errors
    /// A file that cannot be read, or is none.
    pub fn moderator(&self, root: &Path) -> Result<Moderator, Diagnostic> {
        let Some(path) = &self.classifier else {
            return Ok(Moderator::new(None));
        };
        let wrong = |problem: String| {
            let shown = path.display();
            Diagnostic::error(format!(
                "praxis.toml: `moderation.classifier`: `{shown}` {problem}"
            ))
            .help("make one with `praxis moderation train`, or leave it out")
        };
        let bytes = std::fs::read(root.join(path))
            .map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let own = Classifier::parse(&bytes)
            .map_err(|error| wrong(format!("is no classifier: {error}")))?;
        Ok(Moderator::new(Some(own)))
    }
}

/// `[prompts]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromptsConfig {
    /// Versions to serve instead of the working copy, by function: `[prompts.pin]`.
    pub pin: std::collections::BTreeMap<String, String>,
}

impl PromptsConfig {
    fn problems(&self) -> Vec<Problem> {
        let wrong = |(function, version): (&String, &String)| {
            (!praxis_function::version::is_version(version)).then(|| Problem {
                path: format!("prompts.pin.{function}"),
                message: format!("`{version}` is no version of a prompt: that has 12 hex digits"),
                help: Some(format!("praxis prompts log {function}")),
            })
        };
        self.pin.iter().filter_map(wrong).collect()
    }
}

/// `[files]`: what clients may send to `/v1/files`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilesConfig {
    /// The most bytes of one file; default 512 MiB.
    pub max_file_bytes: Option<u64>,
    /// The most bytes of all files together; default 64 GiB.
    pub max_total_bytes: Option<u64>,
    /// The most bytes of a file that a vector store reads, and of the text that it unpacks to; default 64 MiB.
    pub max_document_bytes: Option<u64>,
}

impl FilesConfig {
    /// The limits, with what is usual where nothing is said.
    pub fn limits(&self) -> FileLimits {
        let usual = FileLimits::default();
        FileLimits {
            max_file_bytes: self.max_file_bytes.unwrap_or(usual.max_file_bytes),
            max_total_bytes: self.max_total_bytes.unwrap_or(usual.max_total_bytes),
            max_document_bytes: self.max_document_bytes.unwrap_or(usual.max_document_bytes),
        }
    }

    fn problems(&self) -> Vec<Problem> {
        let limits = [
            ("max_file_bytes", self.max_file_bytes),
            ("max_total_bytes", self.max_total_bytes),
            ("max_document_bytes", self.max_document_bytes),
        ];
        let none = limits.iter().filter(|(_, limit)| *limit == Some(0));
        none.map(|(key, _)| Problem {
            path: format!("files.{key}"),
            message: format!("`{key}` is 0, which lets nothing in"),
            help: Some("choose a number of bytes, or leave it out for the usual one".to_owned()),
        })
        .collect()
    }
}

/// `[console]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleConfig {
    /// Questions to offer to a newcomer.
    pub suggestions: Vec<String>,
}

impl AppConfig {
    /// Reads the file of the application in `root`; paths in diagnostics are relative to it.
    ///
    /// # Errors
    /// One diagnostic for a syntax error, else one for each thing that is wrong.
    pub fn load(root: &Path) -> Result<AppConfig, Vec<Diagnostic>> {
        let file = toml_file::read(&root.join(FILE_NAME), FILE_NAME).map_err(|d| vec![d])?;
        let mut config: AppConfig = file.parse().map_err(|d| vec![d])?;
        config.prices = prices(root).map_err(|d| vec![d])?;
        let problems: Vec<Diagnostic> = config
            .gateway()
            .problems()
            .into_iter()
            .chain(config.prompts.problems())
            .chain(config.server.problems())
            .chain(config.files.problems())
            .chain(config.guard().err().into_iter().flatten())
            .map(|p| file.diagnose(p))
            .collect();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }

    /// What is done about the texts of all functions, if anything is.
    ///
    /// # Errors
    /// All that is wrong with `[guard]`.
    pub fn guard(&self) -> Result<Option<ApplicationGuard>, Vec<Problem>> {
        self.guard.as_ref().map(ApplicationGuard::read).transpose()
    }

    /// The gateway's part.
    pub fn gateway(&self) -> GatewayConfig {
        GatewayConfig {
            models: self.models.clone(),
            routes: self.routes.clone(),
            cache: self.cache,
            prices: self.prices.clone(),
            defaults: self.defaults.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
