//! What a function is for: `praxis.scope`, the word `knowledge` or a scene with a role and topics.
//!
//! Left out: deciding whether a question belongs to the scene (`crate::scope`).

use praxis_core::Diagnostic;
use serde_json::{Map, Value};

use super::query_input;
use crate::prompt::File;

/// Keys below `praxis.scope`.
const KEYS: &[&str] = &["role", "topics", "not", "knowledge", "by", "threshold"];

/// The scene that a function is bound to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scene {
    /// Who answers: a sentence or several.
    pub role: String,
    /// What may be asked.
    pub topics: Vec<String>,
    /// Examples of what is outside.
    pub outside: Vec<String>,
    /// The input that is judged.
    pub query: String,
    /// How it is judged.
    pub by: Judge,
    /// How much nearer to the scene than to the outside a question must be, by `embedding`.
    pub threshold: Option<f32>,
}

/// Who decides whether a question belongs to a scene.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Judge {
    /// The function's own model, asked before the question itself.
    #[default]
    Model,
    /// The application's embedder.
    Embedding,
}

impl Judge {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Embedding => "embedding",
        }
    }
}

/// What `praxis.scope` says.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Whether the function answers only from its documents.
    pub knowledge: bool,
    /// What it is bound to beside.
    pub scene: Option<Scene>,
}

impl File<'_> {
    /// Reads `praxis.scope`; problems go to `problems`.
    pub(super) fn scope(
        &self,
        ours: &Map<String, Value>,
        query: Option<&str>,
        input_schema: &Value,
        problems: &mut Vec<Diagnostic>,
    ) -> Scope {
        match ours.get("scope") {
            None => Scope::default(),
            Some(Value::String(word)) if word == "knowledge" => Scope {
                knowledge: true,
                scene: None,
            },
            Some(Value::Object(keys)) => {
                let before = problems.len();
                let scene = self.scene(keys, problems);
                let knowledge = self.scope_key(keys, "knowledge", "true or false", problems, |v| {
                    v.as_bool()
                });
                let query = query.map(str::to_owned);
                let query = query.or_else(|| query_input(input_schema));
                if query.is_none() {
                    let found = self.at_key("praxis.scope", "which input is judged?");
                    problems
                        .push(found.help("name it: `praxis.query: INPUT`, or call it `question`"));
                }
                Scope {
                    knowledge: knowledge.unwrap_or(false),
                    scene: (problems.len() == before).then(|| Scene {
                        query: query.unwrap_or_default(),
                        ..scene
                    }),
                }
            }
            Some(_) => {
                let message =
                    "`praxis.scope` must be `knowledge`, or a mapping with `topics` or `role`";
                problems.push(self.at_key("praxis.scope", message));
                Scope::default()
            }
        }
    }

    fn scene(&self, keys: &Map<String, Value>, problems: &mut Vec<Diagnostic>) -> Scene {
        for key in keys.keys().filter(|k| !KEYS.contains(&k.as_str())) {
            problems.push(self.unknown_below(&["scope"], key, KEYS));
        }
        let texts = |value: &Value| match value {
            Value::String(text) => Some(vec![text.trim().to_owned()]),
            Value::Array(all) => all
                .iter()
                .map(|v| v.as_str().map(|text| text.trim().to_owned()))
                .collect(),
            _ => None,
        };
        let role = self.scope_key(keys, "role", "a text", problems, |v| {
            v.as_str().map(|text| text.trim().to_owned())
        });
        let topics = self.scope_key(keys, "topics", "a list of texts", problems, texts);
        let outside = self.scope_key(keys, "not", "a list of texts", problems, texts);
        let by = self.scope_key(keys, "by", "`model` or `embedding`", problems, |v| {
            [Judge::Model, Judge::Embedding]
                .into_iter()
                .find(|judge| v.as_str() == Some(judge.name()))
        });
        let threshold = self.scope_key(keys, "threshold", "a number", problems, |v| {
            v.as_f64().map(|number| number as f32)
        });
        let (role, topics) = (role.unwrap_or_default(), topics.unwrap_or_default());
        let by = by.unwrap_or_default();
        let filled = |texts: Vec<String>| -> Vec<String> {
            texts.into_iter().filter(|t| !t.is_empty()).collect()
        };
        let topics = filled(topics);
        if role.is_empty() && topics.is_empty() {
            let found = self.at_key("praxis.scope", "`praxis.scope` needs `topics` or a `role`");
            problems.push(found.help(
                "write `topics: [lending, opening hours]`; to keep to the documents alone, `praxis.scope: \
                 knowledge`",
            ));
        }
        if threshold.is_some() && by != Judge::Embedding {
            let message = "`scope.threshold` goes with `by: embedding`";
            problems.push(self.at_key_below(&["scope", "threshold"], message));
        }
        Scene {
            role,
            topics,
            outside: filled(outside.unwrap_or_default()),
            query: String::new(),
            by,
            threshold,
        }
    }

    /// The value of a key below `praxis.scope`, if it is there and is what it must be.
    fn scope_key<T>(
        &self,
        keys: &Map<String, Value>,
        key: &str,
        wanted: &str,
        problems: &mut Vec<Diagnostic>,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let found = read(keys.get(key)?);
        if found.is_none() {
            let message = format!("`scope.{key}` must be {wanted}");
            problems.push(self.at_key_below(&["scope", key], message));
        }
        found
    }
}
