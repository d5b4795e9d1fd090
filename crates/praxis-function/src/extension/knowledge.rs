//! Which knowledge a prompt wants and how: `praxis.knowledge`, `.query`, `.limit`, `.filter`.

use praxis_core::Diagnostic;
use serde_json::{Map, Value};

use super::filter::FilterTemplate;
use super::query_input;
use crate::prompt::File;

/// Passages that a prompt gets where it says nothing: a model on a CPU reads some tens of tokens a
/// second.
const DEFAULT_LIMIT: usize = 4;

/// Keys below `praxis.knowledge`.
const KEYS: &[&str] = &["base", "limit", "filter"];

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
    fn limit(&self, limit: &Value, at: &[&str], problems: &mut Vec<Diagnostic>) -> Option<u64> {
        let number = limit.as_u64();
        if number.is_none() {
            let message = format!("`{}` must be a whole number, 1 to 50", at.join("."));
            problems.push(self.at_key_below(at, message));
        }
        number
    }

    /// Reads the keys of `ours`, `query` being the input that it names; problems go to `problems`.
    pub(crate) fn knowledge(
        &self,
        ours: &Map<String, Value>,
        (scoped, query): (bool, Option<&str>),
        input_schema: &Value,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<KnowledgeUse> {
        let names = |value: &Value| -> Vec<String> {
            match value {
                Value::String(name) => vec![name.clone()],
                Value::Array(all) => all
                    .iter()
                    .filter_map(|v| v.as_str().map(str::to_owned))
                    .collect(),
                _ => Vec::new(),
            }
        };
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
        let (bases, limit) = match wanted {
            Value::Object(map) => {
                for key in map.keys().filter(|k| !KEYS.contains(&k.as_str())) {
                    problems.push(self.unknown_below(&["knowledge"], key, KEYS));
                }
                let limit = map.get("limit");
                let limit =
                    limit.and_then(|limit| self.limit(limit, &["knowledge", "limit"], problems));
                (map.get("base").map(names).unwrap_or_default(), limit)
            }
            other => (names(other), None),
        };
        if bases.is_empty() {
            problems.push(
                self.at_key("praxis.knowledge", "`praxis.knowledge` names no base")
                    .help("write a name, a list of names, or {base: NAME, limit: 4}"),
            );
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
            limit: limit.map_or(DEFAULT_LIMIT, |l| l.clamp(1, 50) as usize),
            query,
            scoped,
            filter,
        })
    }
}
