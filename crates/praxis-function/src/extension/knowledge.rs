//! Which knowledge a prompt wants and how: `praxis.knowledge`, `.query`, `.limit`, `.filter`.

use praxis_core::Diagnostic;
use serde_json::{Map, Value};

use super::filter::FilterTemplate;
use super::query_input;
use crate::prompt::File;

/// Passages that a prompt gets where it says nothing: a model on a CPU reads some tens of tokens a
/// second.
const DEFAULT_LIMIT: usize = 4;

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
    /// Reads the keys of `ours`; problems go to `problems`.
    pub(crate) fn knowledge(
        &self,
        ours: &Map<String, Value>,
        scoped: bool,
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
            Value::Object(map) => (
                map.get("base").map(names).unwrap_or_default(),
                map.get("limit").and_then(Value::as_u64),
            ),
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
        let limit = limit.or_else(|| ours.get("limit").and_then(Value::as_u64));
        let query = ours.get("query").and_then(Value::as_str).map(str::to_owned);
        let query = query
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
