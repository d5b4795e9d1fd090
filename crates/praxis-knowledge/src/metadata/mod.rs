//! What is known of a document beside its text, and who may read it: from its file (front matter, heads of
//! pages and messages, properties), from rules of the base, and from a file beside it. Later ones outrank
//! earlier ones, key by key.
//!
//! Access labels come from rules and from files beside documents, never from a document itself: what
//! somebody wrote into a file must not decide who reads it. Where labels cannot be read, nobody but who may
//! read everything sees the document. Left out: how documents are found by all this (`scope`).

mod refresh;
mod rules;
mod sidecar;
mod typed;

use std::collections::BTreeMap;
use std::path::PathBuf;

use praxis_core::access::UNREADABLE;
use praxis_core::metadata::{Attribute, Metadata, RESERVED, written};
use praxis_core::{CallError, ErrorCode};
use praxis_store::Origin;

use crate::config::BaseConfig;
use crate::ingest::Warning;
use rules::Rules;
pub(crate) use rules::problems;
pub use rules::{DeclaredType, MetadataRule};
pub(crate) use sidecar::Sidecar;
pub use sidecar::is_sidecar;
pub(crate) use typed::{from_file, typed};

/// Values of a document, at most.
const MAX_KEYS: usize = 64;

/// A document to be described.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// Its path or URL.
    pub uri: String,
    /// Bytes.
    pub size: u64,
    /// Last modification, nanoseconds since the epoch.
    pub modified: i64,
    /// Its file, where it is one of this machine.
    pub path: Option<PathBuf>,
    /// The source that lists it.
    pub origin: Origin,
}

impl Subject {
    /// What stands beside it; only files of this machine have neighbours. Blocks.
    pub fn sidecar(&self) -> Sidecar {
        self.path.as_deref().map_or(Sidecar::None, Sidecar::beside)
    }
}

/// A document's metadata and labels, and what of it could not be read.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Described {
    pub metadata: Metadata,
    pub labels: Vec<String>,
    /// Of its file and of rules.
    pub notes: Vec<String>,
    /// Of the file beside it; told until it is mended, because it may hide the document.
    pub sidecar_notes: Vec<String>,
}

/// Describes the documents of a base.
#[derive(Debug, Clone)]
pub(crate) struct Describer {
    rules: Rules,
}

impl Describer {
    /// By the rules of a base.
    ///
    /// # Errors
    /// The first thing that is wrong with them: a rule that is passed over might have protected something.
    pub fn new(config: &BaseConfig) -> Result<Self, CallError> {
        if let Some(problem) = problems(config).into_iter().next() {
            let error = CallError::new(ErrorCode::InvalidRequest, problem.message);
            return Err(match problem.help {
                Some(help) => error.with_hint(help),
                None => error,
            });
        }
        Ok(Self {
            rules: Rules::new(config),
        })
    }

    /// The labels that rules give to a document.
    pub fn labels(&self, uri: &str) -> Vec<String> {
        self.rules.of(uri).1
    }

    /// What rules leave in doubt of documents, once a rule: who may read what lies below the folders that it is about.
    pub fn doubts<'a>(&self, uris: impl IntoIterator<Item = &'a str>) -> Vec<Warning> {
        let mut found: BTreeMap<usize, (&str, usize)> = BTreeMap::new();
        for uri in uris {
            if let Some(rule) = self.rules.in_doubt(uri) {
                found.entry(rule).or_insert((uri, 0)).1 += 1;
            }
        }
        let warning = |(rule, (uri, count)): (usize, (&str, usize))| Warning {
            uri: uri.to_owned(),
            reason: self.rules.doubt(rule, count - 1),
        };
        found.into_iter().map(warning).collect()
    }

    /// What is known of a file, of which `own` is what it says itself.
    pub fn describe(&self, file: &Subject, own: &Metadata, sidecar: &Sidecar) -> Described {
        let mut described = Described::default();
        for (key, value) in own {
            let typed = self.rules.typed(key, &value.to_json());
            described.set(key, typed, "");
        }
        let (set, labels) = self.rules.of(&file.uri);
        described.metadata.extend(set);
        described.labels = labels;
        match sidecar {
            Sidecar::None => {}
            Sidecar::Read { values, labels } => {
                for (key, value) in values {
                    let typed = self.rules.typed(key, value);
                    described.set(key, typed, sidecar::SUFFIX);
                }
                if let Some(labels) = labels {
                    described.labels.clone_from(labels);
                }
            }
            Sidecar::Broken(problem) => {
                described.labels = vec![UNREADABLE.to_owned()];
                described.sidecar_notes.push(format!(
                    "{}{} {problem}; until it is mended, only callers who may read everything find \
                     this document",
                    file.uri,
                    sidecar::SUFFIX
                ));
            }
        }
        if described.metadata.len() > MAX_KEYS {
            let kept = described.metadata.keys().nth(MAX_KEYS).cloned();
            described.metadata.split_off(&kept.unwrap_or_default());
            let note =
                format!("has more than {MAX_KEYS} values of metadata; the last are left out");
            described.notes.push(note);
        }
        let format = own.get("format").cloned();
        let reserved = [
            ("uri", Some(Attribute::Text(file.uri.clone()))),
            ("format", format),
            ("modified", Some(Attribute::Date(written(file.modified)))),
            ("size", Some(Attribute::Number(file.size as f64))),
        ];
        for (key, value) in reserved {
            if let Some(value) = value {
                described.metadata.insert(key.to_owned(), value);
            }
        }
        described
    }
}

impl Described {
    /// Takes a value, or notes why not. `of` is the ending of the file that it comes from, where that is
    /// not the document's own.
    fn set(&mut self, key: &str, typed: Result<Option<Attribute>, String>, of: &str) {
        let notes = if of.is_empty() {
            &mut self.notes
        } else {
            &mut self.sidecar_notes
        };
        let whose = if of.is_empty() {
            String::new()
        } else {
            format!(" of its {of} file")
        };
        if of.is_empty() && RESERVED.contains(&key) {
            return;
        }
        match typed {
            Ok(Some(value)) => {
                self.metadata.insert(key.to_owned(), value);
            }
            Ok(None) => {}
            Err(problem) => notes.push(format!("`{key}`{whose} {problem}")),
        }
    }
}

#[cfg(test)]
mod tests;
