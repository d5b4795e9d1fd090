//! `praxis.toml`: what it may say, and diagnostics that point at what it should not.

pub mod toml_file;

use std::path::Path;

use praxis_core::access::{MAX_LABEL, is_label};
use praxis_core::{Diagnostic, Limit, Problem};
use praxis_gateway::{
    CacheConfig, Defaults, GatewayConfig, KeyReference, ModelConfig, Prices, RouteConfig,
};
use praxis_knowledge::FileLimits;
use serde::Deserialize;

use self::toml_file::TomlFile;

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

/// `[server]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address to listen on; default 127.0.0.1: this machine only.
    pub host: Option<std::net::IpAddr>,
    /// Port; default 8787, or the next free one.
    pub port: Option<u16>,
    /// Key that clients must send, as `env:NAME`; who has it may read everything. Default: none, which only a
    /// loopback address may have, unless there are `keys`.
    pub api_key: Option<String>,
    /// Keys of callers who may not read everything: `[[server.keys]]`.
    pub keys: Vec<KeyConfig>,
    /// What callers may use, such as `60 requests/minute for key:*`; each key may have limits of its own beside.
    pub limits: Vec<Limit>,
}

/// `[[server.keys]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// What traces call who has it.
    pub name: String,
    /// The key, as `env:NAME`.
    pub key: String,
    /// Access labels of which a document with labels must have one.
    #[serde(default)]
    pub labels: Vec<String>,
    /// What it may use, such as `60 requests/minute`.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

impl ServerConfig {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut report = |path: &str, message: String, help: &str| {
            problems.push(Problem {
                path: path.to_owned(),
                message,
                help: Some(help.to_owned()),
            });
        };
        for (at, key) in self.keys.iter().enumerate() {
            if key.name.trim().is_empty() || key.name.chars().count() > MAX_LABEL {
                report(
                    "server",
                    format!("key {} of `server.keys` has no name", at + 1),
                    "name it after who has it: name = \"hr\"",
                );
            }
            if self.keys[..at].iter().any(|other| other.name == key.name) {
                report(
                    "server",
                    format!("two of `server.keys` are called `{}`", key.name),
                    "give each a name of its own: callers see the traces of their name",
                );
            }
            // A key that was written into the file must not be printed.
            if KeyReference::new(&key.key).variable().is_none() {
                report(
                    &format!("server.keys.{at}.key"),
                    format!("the key `{}` must name an environment variable", key.name),
                    "write `key = \"env:HR_KEY\"`: keys do not belong into files",
                );
            }
            for label in key.labels.iter().filter(|label| !is_label(label)) {
                report(
                    "server",
                    format!("`{label}` of the key `{}` is no label", key.name),
                    "labels have up to 64 letters, digits and `-_.:/`",
                );
            }
        }
        problems
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
        let file = TomlFile::read(&root.join(FILE_NAME), FILE_NAME).map_err(|d| vec![d])?;
        let mut config: AppConfig = file.parse().map_err(|d| vec![d])?;
        config.prices = prices(root).map_err(|d| vec![d])?;
        let problems: Vec<Diagnostic> = config
            .gateway()
            .problems()
            .into_iter()
            .chain(config.prompts.problems())
            .chain(config.server.problems())
            .chain(config.files.problems())
            .map(|p| file.diagnose(p))
            .collect();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
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
