//! Which knowledge a prompt wants and how: `praxis.knowledge`, `.query`, `.limit`, `.filter`.

use praxis_core::Diagnostic;
use serde_json::{Map, Value};

use super::filter::FilterTemplate;
use super::query_input;
use crate::prompt::File;

/// Passages that a prompt gets where it says nothing: a model on a CPU reads some tens of tokens a
/// second.
const DEFAULT_LIMIT: usize = 4;

/// The most passages that a prompt may get.
const MOST: usize = 50;

/// Keys below `praxis.knowledge`.
const KEYS: &[&str] = &["base", "limit", "filter"];

/// How bases are named.
const FORMS: &str = "write a name, a list of names, or {base: NAME, limit: 4}";

/// What a prompt wants from knowledge bases.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KnowledgeUse {
    /// The bases.
    pub bases: Vec<String>,
    /// How many passages.
    pub limit: usize,
    /// The input that is searched for.
    pub query: String,
    /// Whether questions outside of the documents are declined.
    pub scoped: bool,
    /// Which documents the passages may come from.
    pub filter: Option<FilterTemplate>,
}

impl File<'_> {
    /// A number of passages.
    fn limit(&self, limit: &Value, at: &[&str], problems: &mut Vec<Diagnostic>) -> Option<usize> {
        let number = limit.as_u64().and_then(|n| usize::try_from(n).ok());
        let number = number.filter(|n| (1..=MOST).contains(n));
        if number.is_none() {
            let key = at.join(".");
            let message = format!("`{key}` must be a whole number, 1 to {MOST}, not {limit}");
            problems.push(self.at_key_below(at, message).help(format!(
                "write how many passages the model reads, or leave it out for {DEFAULT_LIMIT}"
            )));
        }
        number
    }

    /// A name of a base, or a list of them.
    fn bases(&self, written: &Value, problems: &mut Vec<Diagnostic>) -> Vec<String> {
        let entries: &[Value] = match written {
            Value::Null => &[],
            Value::Array(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut bases = Vec::new();
        for entry in entries {
            match entry {
                Value::String(name) => bases.push(name.clone()),
                other => {
                    let message = format!("`praxis.knowledge`: {other} is no name of a base");
                    let help = match other {
                        Value::Number(_) | Value::Bool(_) => {
                            format!("if it is one, write it in quotes: \"{other}\"")
                        }
                        _ => FORMS.to_owned(),
                    };
                    problems.push(self.at_key("praxis.knowledge", message).help(help));
                }
            }
        }
        bases
    }

    /// Reads the keys of `ours`, `query` being the input that it names; problems go to `problems`.
    pub(crate) fn knowledge(
        &self,
        ours: &Map<String, Value>,
        (scoped, query): (bool, Option<&str>),
        input_schema: &Value,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<KnowledgeUse> {
        let Some(wanted) = ours.get("knowledge") else {
            if scoped {
                problems.push(
                    self.at_key(
                        "praxis.scope",
                        "`praxis.scope: knowledge` needs `praxis.knowledge`",
                    )
                    .help("name a base: `praxis.knowledge: docs`"),
                );
            }
            return None;
        };
        let (named, limit) = match wanted {
            Value::Object(map) => {
                for key in map.keys().filter(|k| !KEYS.contains(&k.as_str())) {
                    problems.push(self.unknown_below(&["knowledge"], key, KEYS));
                }
                let limit = map.get("limit");
                let limit =
                    limit.and_then(|limit| self.limit(limit, &["knowledge", "limit"], problems));
                (map.get("base").unwrap_or(&Value::Null), limit)
            }
            other => (other, None),
        };
        let before = problems.len();
        let bases = self.bases(named, problems);
        if bases.is_empty() && problems.len() == before {
            let message = "`praxis.knowledge` names no base";
            problems.push(self.at_key("praxis.knowledge", message).help(FORMS));
        }
        let filter = wanted.get("filter").or_else(|| ours.get("filter"));
        let filter = filter.and_then(|filter| {
            FilterTemplate::parse(filter, input_schema)
                .map_err(|problem| {
                    let message = format!("the filter of `praxis.knowledge`: {problem}");
                    problems.push(self.at_key("praxis.knowledge", message));
                })
                .ok()
        });
        let own = ours.get("limit");
        let own = own.and_then(|limit| self.limit(limit, &["limit"], problems));
        let limit = limit.or(own);
        let query = query
            .map(str::to_owned)
            .or_else(|| query_input(input_schema))
            .unwrap_or_else(|| {
                problems.push(
                    self.at_key("praxis.knowledge", "which input is searched for?")
                        .help("name it: `praxis.query: INPUT`, or call it `question`"),
                );
                String::new()
            });
        Some(KnowledgeUse {
            bases,
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            query,
            scoped,
            filter,
        })
    }
}
