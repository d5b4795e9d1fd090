//! `/v1/embeddings` (OpenAI API reference, "Create embeddings").

use axum::Json;
use axum::extract::State;
use base64::Engine;
use praxis_core::{CallError, EmbedKind, Embedder, ModelError};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying};
use crate::state::ApiState;

/// The most texts of one request (OpenAI's own limit).
pub(crate) const MAX_INPUTS: usize = 2048;

/// Requests whose long texts are counted at a time; others wait.
static COUNTING: Semaphore = Semaphore::const_new(4);

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
    /// Tokens of the model's.
    Tokens(Vec<u32>),
    ManyTokens(Vec<Vec<u32>>),
    #[schemars(skip)]
    Other(serde::de::IgnoredAny),
}

impl Input {
    fn count(&self) -> usize {
        match self {
            Self::One(_) | Self::Tokens(_) | Self::Other(_) => 1,
            Self::Many(texts) => texts.len(),
            Self::ManyTokens(texts) => texts.len(),
        }
    }

    /// The texts, of which tokens are spelled out.
    ///
    /// # Errors
    /// What is no input, and tokens that cannot be spelled.
    fn texts(self, embedder: &dyn Embedder) -> Result<Vec<String>, ApiError> {
        let spelled = |tokens: Vec<u32>| match tokens.is_empty() {
            true => Err(ApiError::invalid(
                "input",
                "`input` has an array without tokens",
            )),
            false => {
                let text = embedder.detokenize(&tokens);
                text.map_err(|error| ApiError::from(error).about("input"))
            }
        };
        match self {
            Self::One(text) => Ok(vec![text]),
            Self::Many(texts) => Ok(texts),
            Self::Tokens(tokens) => Ok(vec![spelled(tokens)?]),
            Self::ManyTokens(texts) => texts.into_iter().map(spelled).collect(),
            Self::Other(_) => Err(ApiError::invalid(
                "input",
                "`input` must be a string, an array of strings, or tokens",
            )),
        }
    }
}

/// One vector for each text.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    JsonBody(request): JsonBody<Request>,
) -> Result<Json<Value>, ApiError> {
    let count = request.input.count();
    if !(1..=MAX_INPUTS).contains(&count) {
        let message = format!("`input` has {count} texts; between 1 and {MAX_INPUTS} are allowed");
        return Err(ApiError::invalid("input", message));
    }
    if request.dimensions == Some(0) {
        let message = "`dimensions` must be at least 1";
        return Err(ApiError::invalid("dimensions", message));
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
    let texts = request.input.texts(embedder.as_ref())?;
    let texts = none_too_long(embedder.as_ref(), texts).await?;
    let kind = request.input_type.unwrap_or(EmbedKind::Raw);
    let sized = embedder.embed_sized(kind, texts, request.dimensions).await;
    let (vectors, tokens) = sized.map_err(|error| {
        let of_length =
            matches!(&error, ModelError::InvalidRequest(what) if what.starts_with("dimensions"));
        let error = ApiError::from(error);
        match of_length {
            true => error.about("dimensions"),
            false => error,
        }
    })?;
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

/// Texts none of which has more tokens than the model reads: embedders cut what is too long for them, and a client is
/// told instead, as OpenAI's API does it. Long ones are counted where no connections are served, since that takes a
/// processor for seconds where a body is megabytes.
///
/// # Errors
/// `invalid_request` for the first text that is too long.
async fn none_too_long(
    embedder: &dyn Embedder,
    texts: Vec<String>,
) -> Result<Vec<String>, ApiError> {
    let most = embedder.max_tokens().await?;
    // Every token has a byte.
    if texts.iter().all(|text| text.len() <= most) {
        return Ok(texts);
    }
    let counter = embedder.token_counter().await?;
    let room = COUNTING.acquire().await.map_err(CallError::failure)?;
    let count = move || {
        let _room = room;
        let long = texts.iter().enumerate().filter(|(_, t)| t.len() > most);
        let mut counted = long.map(|(at, text)| (at, counter(text)));
        let found = counted.find(|(_, tokens)| *tokens > most);
        (texts, found)
    };
    let counted = tokio::task::spawn_blocking(count).await;
    let (texts, found) = counted.map_err(CallError::failure)?;
    let Some((at, tokens)) = found else {
        return Ok(texts);
    };
    let message = format!(
        "text {} of `input` has {tokens} tokens, and this model reads {most} at most; cut it into parts",
        at + 1
    );
    Err(ApiError::invalid("input", message))
}
