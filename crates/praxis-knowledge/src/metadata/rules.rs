//! What a base's file says of its documents: `[[metadata]]`, rules by path, and `[types]`, what a key's values
//! must be. The last rule that says something of a key, or of labels, decides.
//!
//! In `match`, `*` stays within a folder. Where a rule with labels would be about a document if it did not, and no
//! rule says who may read the document, the labels hold, and that is told: who meant all of a folder is not to have
//! opened what lies deeper in it. A rule that opens reaches no further than it says.

use std::collections::BTreeMap;

use globset::{Glob, GlobMatcher};
use praxis_core::Problem;
use praxis_core::access::{MAX_LABEL, is_label};
use praxis_core::metadata::{Attribute, MAX_KEY, Metadata, RESERVED, is_key};
use praxis_sources::path_glob;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sidecar::to_json;
use super::typed::typed;
use crate::config::BaseConfig;

/// `[[metadata]]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataRule {
    /// A glob of the documents that it is about: `*` stays within a folder, `**` crosses folders.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Values by key.
    #[serde(default)]
    pub set: BTreeMap<String, toml::Value>,
    /// The documents' access labels; an empty list lets every caller read them.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
}

/// What a key's values must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeclaredType {
    /// A text, whatever it looks like.
    Text,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// A day or a moment.
    Date,
    /// Several texts.
    List,
}

/// The rules of a base, ready for use.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    types: BTreeMap<String, DeclaredType>,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: String,
    documents: GlobMatcher,
    /// What it would be about if its `*` crossed folders; of rules that ask for labels.
    across: Option<GlobMatcher>,
    set: Metadata,
    labels: Option<Vec<String>>,
}

impl Rules {
    /// Those of a base without [`problems`].
    pub fn new(config: &BaseConfig) -> Self {
        let types = config.types.clone();
        let value = |(key, value): (&String, &toml::Value)| {
            let value = typed(&to_json(value.clone()), types.get(key).copied());
            Some((key.clone(), value.ok()??))
        };
        let rule = |rule: &MetadataRule| {
            let protects = rule
                .labels
                .as_ref()
                .is_some_and(|labels| !labels.is_empty());
            let across = Glob::new(&rule.pattern).ok().filter(|_| protects);
            Some(Rule {
                pattern: rule.pattern.clone(),
                documents: path_glob(&rule.pattern).ok()?.compile_matcher(),
                across: across.map(|glob| glob.compile_matcher()),
                set: rule.set.iter().filter_map(value).collect(),
                labels: rule.labels.clone(),
            })
        };
        Self {
            rules: config.metadata.iter().filter_map(rule).collect(),
            types,
        }
    }

    /// A value by the type that its key is declared to have.
    pub fn typed(&self, key: &str, value: &Value) -> Result<Option<Attribute>, String> {
        typed(value, self.types.get(key).copied())
    }

    /// What they say of the document at a path.
    pub fn of(&self, uri: &str) -> (Metadata, Vec<String>) {
        let mut metadata = Metadata::new();
        let mut labels = None;
        for rule in self.rules.iter().filter(|r| r.documents.is_match(uri)) {
            let set = rule.set.iter().map(|(k, v)| (k.clone(), v.clone()));
            metadata.extend(set);
            labels = rule.labels.as_ref().or(labels);
        }
        let labels = labels.or_else(|| self.rules[self.in_doubt(uri)?].labels.as_ref());
        (metadata, labels.cloned().unwrap_or_default())
    }

    /// The rule whose labels a document has although it lies in a folder below those that the rule is about, as no
    /// rule says who may read it.
    pub fn in_doubt(&self, uri: &str) -> Option<usize> {
        let mut deciding = self.rules.iter().filter(|rule| rule.labels.is_some());
        if deciding.any(|rule| rule.documents.is_match(uri)) {
            return None;
        }
        let across = |rule: &Rule| rule.across.as_ref().is_some_and(|glob| glob.is_match(uri));
        self.rules.iter().rposition(across)
    }

    /// What is told of a rule whose labels documents have in doubt.
    pub fn doubt(&self, rule: usize, others: usize) -> String {
        let pattern = &self.rules[rule].pattern;
        let more = match others {
            0 => String::new(),
            others => format!(" ({others} more)"),
        };
        format!(
            "lies below the folders that rule {} (`{pattern}`) is about{more}: `*` stays within a folder. It has the \
             labels of that rule, as no other rule says who may read it: write `**` where the rule is meant for \
             folders below too, or add a rule with `labels` for them",
            rule + 1
        )
    }
}

/// What is wrong with the rules and types of a base.
pub(crate) fn problems(config: &BaseConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |path: &str, message: String, help: String| {
        problems.push(Problem {
            path: path.to_owned(),
            message,
            help: Some(help),
        });
    };
    let key_help = || {
        format!(
            "keys have up to {MAX_KEY} characters, none of `=!<>`, and are not {}",
            RESERVED.join(", ")
        )
    };
    let bad_key = |key: &str| !is_key(key) || RESERVED.contains(&key) || key == "labels";
    for key in config.types.keys().filter(|key| bad_key(key)) {
        let message = format!("`{key}` cannot be declared");
        report("types", message, key_help());
    }
    for (rule, number) in config.metadata.iter().zip(1..) {
        let at = format!("rule {number} (`{}`)", rule.pattern);
        if let Err(error) = path_glob(&rule.pattern) {
            report(
                "metadata",
                format!("{at} has no glob in `match`: {error}"),
                "`*`, `**`, `?` and `{a,b}` are understood".to_owned(),
            );
        }
        for (key, value) in &rule.set {
            if bad_key(key) {
                report("metadata", format!("{at} cannot set `{key}`"), key_help());
            } else if let Err(problem) =
                typed(&to_json(value.clone()), config.types.get(key).copied())
            {
                report(
                    "metadata",
                    format!("{at}: `{key}` {problem}"),
                    "values are texts, numbers, true or false, dates and lists of texts".to_owned(),
                );
            }
        }
        for label in rule.labels.iter().flatten().filter(|l| !is_label(l)) {
            report(
                "metadata",
                format!("{at}: `{label}` is no label"),
                format!("labels have up to {MAX_LABEL} letters, digits and `-_.:/`"),
            );
        }
        if rule.set.is_empty() && rule.labels.is_none() {
            report(
                "metadata",
                format!("{at} says nothing"),
                "add `set = { KEY = VALUE }` or `labels = [\"NAME\"]`".to_owned(),
            );
        }
    }
    problems
}
