//! The words of OpenAI's chat completions, completions, embeddings, and `/rerank` as Cohere, Jina, vLLM and others add
//! it: what most providers speak, each with changes of its own (`providers`).

mod body;
mod completions;
mod content;
mod events;
pub(crate) mod strict;
mod tools;

use praxis_core::{Relevance, RerankRequest, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) use self::body::{biases, body, cache_times, schema};
pub(crate) use self::completions::{Texts, completion};
pub(crate) use self::events::{Events, WireUsage};
use crate::wire::{Endpoint, Question};

/// The question for vectors (OpenAI API reference, "Create embeddings").
pub(crate) fn embeddings(to: &Endpoint, texts: &[String], dimension: Option<usize>) -> Question {
    let mut body = json!({ "model": to.model, "input": texts, "encoding_format": "float" });
    if let Some(dimension) = dimension {
        body["dimensions"] = dimension.into();
    }
    Question::new("embeddings", body)
}

/// The vectors of an answer, in the order of their texts.
pub(crate) fn vectors(bytes: &[u8]) -> Result<(Vec<Vec<f32>>, Option<Usage>), serde_json::Error> {
    #[derive(Deserialize)]
    struct Answer {
        data: Vec<Datum>,
        #[serde(default)]
        usage: Option<WireUsage>,
    }
    #[derive(Deserialize)]
    struct Datum {
        #[serde(default)]
        index: usize,
        embedding: Vec<f32>,
    }
    let mut answer: Answer = serde_json::from_slice(bytes)?;
    answer.data.sort_by_key(|datum| datum.index);
    let vectors = answer.data.into_iter().map(|datum| datum.embedding);
    Ok((vectors.collect(), answer.usage.map(Usage::from)))
}

/// The question for an order of documents (Cohere API reference, "Rerank").
pub(crate) fn ranking(to: &Endpoint, request: &RerankRequest) -> Question {
    let mut body = json!({
        "model": to.model,
        "query": request.query,
        "documents": request.documents,
        "return_documents": false,
    });
    if let Some(top_n) = request.top_n {
        body["top_n"] = top_n.into();
    }
    Question::new("rerank", body)
}

/// The scores of a rerank.
pub(crate) fn ranked(bytes: &[u8]) -> Result<Vec<Relevance>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Answer {
        results: Vec<Relevance>,
    }
    Ok(serde_json::from_slice::<Answer>(bytes)?.results)
}

/// The value as JSON. What is written here is plain data, which always is.
fn value(data: impl serde::Serialize) -> Value {
    serde_json::to_value(data).unwrap_or_default()
}
