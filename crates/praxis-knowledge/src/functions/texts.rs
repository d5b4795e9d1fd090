//! `praxis/embed`, `similar`, `duplicates`, `classify`, `cluster` and `recommend`: what vectors tell about
//! texts that come with the call.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use praxis_core::{CallContext, CallError, EmbedKind, Embedder, Signature};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{PREFIX, Work, invalid, read};
use crate::knowledge::internal;
use crate::meaning::{
    Classifier, Label, choose_topics, duplicates, k_means, nearest, recommend, topic_terms,
};

/// Texts of one call, and characters of all of them.
const MOST_TEXTS: usize = 2000;
const MOST_CHARACTERS: usize = 2_000_000;

/// Topics of one call.
const MOST_TOPICS: usize = 200;

/// Texts that are embedded in one go.
const BATCH: usize = 64;

/// Results where the caller does not say.
const LIMIT: usize = 5;

/// Cosine from which two texts are twins where the caller does not say; see docs/embeddings.md.
const TWINS: f32 = 0.92;

/// Words that name a topic, and the seed of its choice: equal texts have equal topics.
const TERMS: usize = 5;
const SEED: u64 = 7;

/// What is asked of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Embed,
    Similar,
    Duplicates,
    Classify,
    Cluster,
    Recommend,
}

impl Kind {
    pub const ALL: &[Self] = &[
        Self::Embed,
        Self::Similar,
        Self::Duplicates,
        Self::Classify,
        Self::Cluster,
        Self::Recommend,
    ];

    pub fn name(self) -> String {
        let word = match self {
            Self::Embed => "embed",
            Self::Similar => "similar",
            Self::Duplicates => "duplicates",
            Self::Classify => "classify",
            Self::Cluster => "cluster",
            Self::Recommend => "recommend",
        };
        format!("{PREFIX}{word}")
    }

    fn description(self) -> &'static str {
        match self {
            Self::Embed => "Turns texts into vectors of length 1.",
            Self::Similar => "Ranks texts by how near they are in meaning to a query.",
            Self::Duplicates => "Groups texts that say the same.",
            Self::Classify => {
                "Sorts texts into classes that are described by a sentence or by examples each."
            }
            Self::Cluster => "Groups texts by topic and names each topic by its words.",
            Self::Recommend => {
                "Ranks texts by how near they are to liked ones and far from disliked ones."
            }
        }
    }

    /// The schema of each input, and of what comes out under `data`.
    fn schemas(self) -> (Value, Value) {
        let texts = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": MOST_TEXTS });
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": MOST_TEXTS });
        let places = json!({ "type": "array", "items": { "type": "integer", "minimum": 0 } });
        let ranked = json!({
            "type": "object",
            "properties": { "index": { "type": "integer" }, "text": { "type": "string" }, "cosine": { "type": "number" } },
        });
        let (properties, required, item) = match self {
            Self::Embed => (
                json!({ "texts": texts, "kind": { "enum": ["raw", "query", "passage"] } }),
                json!(["texts"]),
                json!({ "type": "array", "items": { "type": "number" } }),
            ),
            Self::Similar => (
                json!({ "query": { "type": "string" }, "texts": texts, "limit": limit }),
                json!(["query", "texts"]),
                ranked,
            ),
            Self::Duplicates => (
                json!({ "texts": texts, "threshold": { "type": "number", "minimum": 0, "maximum": 1 } }),
                json!(["texts"]),
                places,
            ),
            Self::Classify => (
                json!({
                    "texts": texts,
                    "labels": {
                        "type": "object",
                        "minProperties": 2,
                        "additionalProperties": { "type": "array", "items": { "type": "string" }, "minItems": 1 },
                        "description": "each class with texts that describe it, or examples of it",
                    },
                }),
                json!(["texts", "labels"]),
                json!({ "type": "array", "items": { "type": "object" } }),
            ),
            Self::Cluster => (
                json!({ "texts": texts, "topics": { "type": "integer", "minimum": 1, "maximum": MOST_TOPICS } }),
                json!(["texts"]),
                json!({ "type": "object" }),
            ),
            Self::Recommend => (
                json!({ "texts": texts, "liked": places, "disliked": places, "limit": limit }),
                json!(["texts", "liked"]),
                ranked,
            ),
        };
        (
            json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false }),
            json!({ "type": "object", "properties": { "data": { "type": "array", "items": item } } }),
        )
    }
}

pub(super) struct Texts {
    kind: Kind,
    signature: Signature,
    embedder: Arc<dyn Embedder>,
}

/// All that an input may have; which of it, the schema of each function says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    texts: Vec<String>,
    query: Option<String>,
    kind: Option<EmbedAs>,
    limit: Option<usize>,
    threshold: Option<f32>,
    #[serde(default)]
    labels: BTreeMap<String, Vec<String>>,
    topics: Option<usize>,
    #[serde(default)]
    liked: Vec<usize>,
    #[serde(default)]
    disliked: Vec<usize>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EmbedAs {
    Raw,
    Query,
    Passage,
}

impl Texts {
    pub fn new(kind: Kind, embedder: Arc<dyn Embedder>) -> Self {
        let (input_schema, output_schema) = kind.schemas();
        Self {
            kind,
            signature: Signature {
                name: kind.name(),
                description: kind.description().to_owned(),
                input_schema,
                output_schema,
                effects: praxis_core::Effects::READ,
            },
            embedder,
        }
    }

    fn check(&self, input: &Input) -> Result<(), CallError> {
        let wrong = |what: String| Err(invalid(&self.signature.name, what));
        let count = input.texts.len();
        let labels: usize = input.labels.values().map(Vec::len).sum();
        if count == 0 || count + labels > MOST_TEXTS {
            return wrong(format!("1 to {MOST_TEXTS} texts are taken at once"));
        }
        let all = input
            .texts
            .iter()
            .chain(input.labels.values().flatten())
            .chain(&input.query);
        if all.map(|text| text.len()).sum::<usize>() > MOST_CHARACTERS {
            return wrong(format!(
                "all texts together have more than {MOST_CHARACTERS} bytes"
            ));
        }
        let named = input.liked.iter().chain(&input.disliked);
        if let Some(none) = named.copied().find(|i| *i >= count) {
            return wrong(format!(
                "there is no text {none}; the first is 0, the last {}",
                count - 1
            ));
        }
        if input
            .limit
            .is_some_and(|limit| !(1..=MOST_TEXTS).contains(&limit))
        {
            return wrong(format!("`limit` must be between 1 and {MOST_TEXTS}"));
        }
        if input
            .topics
            .is_some_and(|topics| !(1..=MOST_TOPICS).contains(&topics))
        {
            return wrong(format!("`topics` must be between 1 and {MOST_TOPICS}"));
        }
        if input.threshold.is_some_and(|t| !(0.0..=1.0).contains(&t)) {
            return wrong("`threshold` must be between 0 and 1".to_owned());
        }
        if self.kind == Kind::Recommend && input.liked.is_empty() {
            return wrong("`liked` names no text".to_owned());
        }
        if self.kind == Kind::Similar && input.query.as_deref().is_none_or(|q| q.trim().is_empty())
        {
            return wrong("`query` is empty".to_owned());
        }
        Ok(())
    }

    async fn vectors(
        &self,
        kind: EmbedKind,
        texts: &[String],
        cx: &CallContext,
    ) -> Result<Vec<Vec<f32>>, CallError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            if cx.cancel().is_cancelled() {
                return Err(CallError::from(praxis_core::ModelError::Cancelled));
            }
            vectors.extend(self.embedder.embed(kind, batch.to_vec()).await?);
        }
        Ok(vectors)
    }

    async fn classes(&self, input: &Input, cx: &CallContext) -> Result<Value, CallError> {
        let described: Vec<String> = input.labels.values().flatten().cloned().collect();
        let mut vectors = self
            .vectors(EmbedKind::Raw, &described, cx)
            .await?
            .into_iter();
        let labels = input.labels.iter().map(|(name, texts)| Label {
            name: name.clone(),
            vectors: vectors.by_ref().take(texts.len()).collect(),
        });
        let classifier = Classifier::new(labels.collect());
        let classifier = classifier.map_err(|what| invalid(&self.signature.name, what))?;
        let texts = self.vectors(EmbedKind::Raw, &input.texts, cx).await?;
        Ok(texts
            .iter()
            .map(|v| json!(classifier.classify(v)))
            .collect())
    }
}

#[async_trait]
impl Work for Texts {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let input: Input = read(&self.signature.name, input)?;
        self.check(&input)?;
        let limit = input.limit.unwrap_or(LIMIT);
        let ranked = |found: Vec<(usize, f32)>| -> Value {
            let item = |(i, cosine): &(usize, f32)| json!({ "index": i, "text": input.texts[*i], "cosine": cosine });
            found.iter().map(item).collect()
        };
        let texts = &input.texts;
        let data = match self.kind {
            Kind::Embed => {
                let kind = match input.kind.unwrap_or(EmbedAs::Raw) {
                    EmbedAs::Raw => EmbedKind::Raw,
                    EmbedAs::Query => EmbedKind::Query,
                    EmbedAs::Passage => EmbedKind::Passage,
                };
                json!(self.vectors(kind, texts, cx).await?)
            }
            Kind::Similar => {
                let query = vec![input.query.clone().unwrap_or_default()];
                let query = self.vectors(EmbedKind::Query, &query, cx).await?;
                let items = self.vectors(EmbedKind::Passage, texts, cx).await?;
                let query = query.first().map(Vec::as_slice).unwrap_or_default();
                ranked(nearest(query, &items, limit))
            }
            Kind::Duplicates => {
                let items = self.vectors(EmbedKind::Raw, texts, cx).await?;
                let threshold = input.threshold.unwrap_or(TWINS);
                json!(aside(move || duplicates(&items, threshold)).await?)
            }
            Kind::Classify => self.classes(&input, cx).await?,
            Kind::Cluster => {
                let items = self.vectors(EmbedKind::Raw, texts, cx).await?;
                let topics = input.topics;
                let found = aside(move || match topics {
                    Some(topics) => k_means(&items, topics, SEED),
                    None => choose_topics(&items, SEED),
                })
                .await?;
                let terms = topic_terms(texts, &found.cluster, found.centres.len(), TERMS);
                let topic = |(i, terms): (usize, Vec<String>)| json!({ "terms": terms, "members": found.members(i) });
                terms.into_iter().enumerate().map(topic).collect()
            }
            Kind::Recommend => {
                let items = self.vectors(EmbedKind::Raw, texts, cx).await?;
                ranked(recommend(&items, &input.liked, &input.disliked, limit))
            }
        };
        Ok(json!({ "data": data }))
    }
}

/// Work that takes a processor for a while, where it holds up nobody else.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CallError> {
    tokio::task::spawn_blocking(work).await.map_err(internal)
}
