//! `praxis/search/BASE`: passages of a base for a question, as a model reads them.

use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::{CallContext, CallError, Effects, Filter, Query, Retriever, Signature};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{PREFIX, Work, invalid, read};

/// Passages where the caller does not say, and the most.
const LIMIT: usize = 4;
const MOST: usize = 20;

pub(super) struct Search {
    base: String,
    signature: Signature,
    retriever: Arc<dyn Retriever>,
}

/// What callers may give. Models are not offered `filters`: small ones invent some.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    query: String,
    limit: Option<usize>,
    filters: Option<Value>,
}

/// The function's name.
pub(super) fn name(base: &str) -> String {
    format!("{PREFIX}search/{base}")
}

impl Search {
    /// The search of `base`, whose file says that it is about `description`.
    pub fn new(base: &str, description: Option<&str>, retriever: Arc<dyn Retriever>) -> Self {
        let about = description.map_or_else(
            || format!("the documents `{base}`"),
            |d| format!("these documents: {}", d.trim_end_matches('.')),
        );
        let passage = json!({
            "type": "object",
            "properties": {
                "text": { "type": "string" },
                "title": { "type": "string" },
                "headings": { "type": "array", "items": { "type": "string" } },
                "uri": { "type": "string" },
                "page": { "type": ["integer", "null"] },
                "relevance": { "type": "number" },
                "chunk": { "type": "string" },
            },
        });
        Self {
            base: base.to_owned(),
            signature: Signature {
                name: name(base),
                description: format!(
                    "Searches {about}. Gives the passages that fit a question best."
                ),
                input_schema: json!({
                    "type": "object",
                    "properties": {
                        "query": { "type": "string", "description": "what is looked for, in a question or a few words" },
                        "limit": { "type": "integer", "minimum": 1, "maximum": MOST },
                    },
                    "required": ["query"],
                    "additionalProperties": false,
                }),
                output_schema: json!({
                    "type": "object",
                    "properties": {
                        "passages": { "type": "array", "items": passage },
                        "relevant": { "type": "boolean" },
                    },
                }),
                effects: Effects::READ,
            },
            retriever,
        }
    }
}

#[async_trait]
impl Work for Search {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let name = &self.signature.name;
        let input: Input = read(name, input)?;
        let limit = input.limit.unwrap_or(LIMIT);
        if !(1..=MOST).contains(&limit) {
            return Err(invalid(
                name,
                format!("`limit` must be between 1 and {MOST}"),
            ));
        }
        // Small models fill in what they may leave out.
        let filters = input.filters.filter(|f| !f.is_null() && f != &json!({}));
        let filters: Option<Filter> = filters
            .map(serde_json::from_value)
            .transpose()
            .map_err(|error| invalid(name, format!("`filters`: {error}")))?;
        let query = Query::new(input.query, limit).with_filter(filters);
        let found = self.retriever.search(&self.base, &query, cx).await?;
        let relevant = found.is_relevant();
        let passages: Vec<Value> = found
            .passages
            .into_iter()
            .map(|p| {
                json!({
                    "text": p.text,
                    "title": p.title,
                    "headings": p.headings,
                    "uri": p.uri,
                    "page": p.page,
                    "relevance": p.relevance,
                    "chunk": p.chunk,
                })
            })
            .collect();
        Ok(json!({ "passages": passages, "relevant": relevant }))
    }
}
