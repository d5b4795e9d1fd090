//! `/v1/embeddings` (OpenAI API reference, "Create embeddings").

use axum::Json;
use axum::extract::State;
use base64::Engine;
use praxis_core::EmbedKind;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying};
use crate::state::ApiState;

/// The most texts of one request (OpenAI's own limit).
pub(crate) const MAX_INPUTS: usize = 2048;

/// A request; fields that change nothing here are ignored.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "EmbeddingRequest")]
pub(crate) struct Request {
    #[serde(default)]
    model: String,
    input: Input,
    #[serde(default)]
    encoding_format: Option<String>,
    #[serde(default)]
    dimensions: Option<usize>,
    #[serde(default)]
    user: Option<String>,
    /// Ours: `query` or `passage` for embedders that tell them apart; default: the text as it is.
    #[serde(default)]
    input_type: Option<EmbedKind>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "EmbeddingInput")]
enum Input {
    One(String),
    Many(Vec<String>),
    #[schemars(skip)]
    Other(serde::de::IgnoredAny),
}

/// One vector for each text.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Value>, ApiError> {
    let texts = match request.input {
        Input::One(text) => vec![text],
        Input::Many(texts) => texts,
        Input::Other(_) => {
            return Err(ApiError::invalid(
                "input",
                "`input` must be a string or an array of strings",
            ));
        }
    };
    if texts.is_empty() || texts.len() > MAX_INPUTS {
        let message = format!(
            "`input` has {} texts; between 1 and {MAX_INPUTS} are allowed",
            texts.len()
        );
        return Err(ApiError::invalid("input", message));
    }
    let base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => {
            let message = format!("`encoding_format` is `{other}`; `float` and `base64` are known");
            return Err(ApiError::invalid("encoding_format", message));
        }
    };
    let cx = state.context(caller, paying.by_user(request.user));
    let model = Some(request.model.as_str()).filter(|m| !m.is_empty());
    let embedder = (state.embedders)(model, &cx)?;
    let dimension = embedder.dimension().await?;
    if request.dimensions.is_some_and(|d| d != dimension) {
        let message = format!("this model's vectors have {dimension} dimensions");
        return Err(ApiError::invalid("dimensions", message));
    }
    let counter = embedder.token_counter().await?;
    let tokens: usize = texts.iter().map(|t| counter(t)).sum();
    let kind = request.input_type.unwrap_or(EmbedKind::Raw);
    let vectors = embedder.embed(kind, texts).await?;
    let data: Vec<Value> = vectors
        .iter()
        .enumerate()
        .map(|(index, vector)| {
            let embedding = if base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|v| v.to_le_bytes()).collect();
                json!(base64::engine::general_purpose::STANDARD.encode(bytes))
            } else {
                json!(vector)
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    Ok(Json(json!({
        "object": "list",
        "data": data,
        "model": request.model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    })))
}
