//! `/v1/vector_stores`: the resource and all below it, as OpenAI's API has them. Handlers read and shape;
//! what a vector store is lives in `praxis-knowledge`.

pub(crate) mod batches;
pub(crate) mod files;
pub(crate) mod search;
pub(crate) mod stores;

use praxis_knowledge::VectorStores;
use praxis_store::{Cut, FileCounts};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// Tokens of a chunk that a client may ask for.
pub(crate) const CHUNK_TOKENS: std::ops::RangeInclusive<u32> = 100..=4096;

/// How a client wants a file cut.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "ChunkingStrategy")]
enum Chunking {
    /// As bases have it.
    Auto {},
    /// By tokens.
    Static {
        /// How many.
        #[serde(rename = "static")]
        sizes: Sizes,
    },
}

#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChunkSizes")]
struct Sizes {
    max_chunk_size_tokens: u32,
    chunk_overlap_tokens: u32,
}

/// How a file is to be cut.
fn cut(chunking: Option<Chunking>) -> Result<Option<Cut>, ApiError> {
    let Some(Chunking::Static { sizes }) = chunking else {
        return Ok(None);
    };
    let (max_tokens, overlap) = (sizes.max_chunk_size_tokens, sizes.chunk_overlap_tokens);
    let place = "chunking_strategy.static";
    if !CHUNK_TOKENS.contains(&max_tokens) {
        let (least, most) = (CHUNK_TOKENS.start(), CHUNK_TOKENS.end());
        let message = format!("`max_chunk_size_tokens` must be between {least} and {most}");
        return Err(ApiError::invalid(
            &format!("{place}.max_chunk_size_tokens"),
            message,
        ));
    }
    if overlap > max_tokens / 2 {
        let message = "`chunk_overlap_tokens` must not exceed half of `max_chunk_size_tokens`";
        return Err(ApiError::invalid(
            &format!("{place}.chunk_overlap_tokens"),
            message,
        ));
    }
    Ok(Some(Cut {
        max_tokens,
        overlap,
    }))
}

/// How a file is cut, as it is answered.
fn chunking_shape(cut: Option<Cut>) -> Value {
    let cut = cut.unwrap_or_else(|| Cut {
        max_tokens: u32::try_from(VectorStores::usual_tokens()).unwrap_or(u32::MAX),
        overlap: 0,
    });
    json!({
        "type": "static",
        "static": {
            "max_chunk_size_tokens": cut.max_tokens,
            "chunk_overlap_tokens": cut.overlap,
        },
    })
}

/// Counts as they are answered.
fn counts_shape(counts: FileCounts) -> Value {
    json!({
        "in_progress": counts.in_progress,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "total": counts.total(),
    })
}

/// Attributes, or none.
type Attributes = Option<Map<String, Value>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_chunks_have_bounds() {
        for (sizes, good) in [
            (json!({ "type": "auto" }), true),
            (
                json!({ "type": "static", "static": { "max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50 } }),
                true,
            ),
            (
                json!({ "type": "static", "static": { "max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51 } }),
                false,
            ),
            (
                json!({ "type": "static", "static": { "max_chunk_size_tokens": 99, "chunk_overlap_tokens": 0 } }),
                false,
            ),
            (
                json!({ "type": "static", "static": { "max_chunk_size_tokens": 4097, "chunk_overlap_tokens": 0 } }),
                false,
            ),
        ] {
            let chunking: Chunking = serde_json::from_value(sizes.clone()).unwrap();
            assert_eq!(cut(Some(chunking)).is_ok(), good, "{sizes}");
        }
        for wrong in [
            json!({ "type": "semantic" }),
            json!({ "type": "static" }),
            json!({ "type": "auto", "size": 1 }),
        ] {
            assert!(
                serde_json::from_value::<Chunking>(wrong.clone()).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_usual_size_is_one_that_a_client_may_ask_for() {
        let shape = chunking_shape(None);
        let size = shape["static"]["max_chunk_size_tokens"].as_u64().unwrap();
        assert!(CHUNK_TOKENS.contains(&u32::try_from(size).unwrap()));
    }
}
