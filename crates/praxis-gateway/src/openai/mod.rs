//! Any endpoint that speaks OpenAI's API: `/chat/completions` as a stream, `/embeddings`, and `/rerank` as
//! Cohere, Jina, vLLM and others add it.

mod content;
mod failure;
mod stream;
mod tools;
mod wire;

use std::time::Duration;

use futures::stream::BoxStream;
use praxis_core::chat::{FinishReason, TokenLogprob};
use praxis_core::{
    ChatRequest, ModelError, Relevance, RerankRequest, Secret, ToolCallDelta, Usage,
};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::Serialize;

use self::stream::{Deadlines, Reader};

/// A piece of an answer, from any provider. Unlike a `ChatChunk` it may lack the usage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    Delta {
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    ToolCall(ToolCallDelta),
    Done {
        finish_reason: FinishReason,
        usage: Option<Usage>,
    },
}

/// Pieces, ending with `Done` or an error.
pub(crate) type Pieces = BoxStream<'static, Result<Piece, ModelError>>;

/// How long an endpoint may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub total: Duration,
    pub first_token: Duration,
    pub idle: Duration,
}

/// A model behind an endpoint.
pub(crate) struct Endpoint {
    /// The model's name in `praxis.toml`, for messages.
    pub name: String,
    /// The provider's name for it.
    pub model: String,
    pub base_url: Url,
    /// The environment variable that should hold the key, and the key if it does.
    pub key: Option<(String, Option<Secret>)>,
    pub timeouts: Timeouts,
    /// Whether it takes what OpenAI's API has no word for, as vLLM does.
    pub structured_outputs: bool,
    pub client: Client,
}

impl Endpoint {
    /// Starts an answer.
    pub(crate) async fn chat(&self, request: &ChatRequest) -> Result<Pieces, ModelError> {
        let deadlines = Deadlines::start(self.timeouts);
        let body = wire::ChatBody::new(self, request)?;
        let sent = self.send("chat/completions", &body);
        let response = tokio::time::timeout(self.timeouts.first_token, sent)
            .await
            .map_err(|_| ModelError::Timeout(self.timeouts.first_token))??;
        Ok(Reader::new(self.name.clone(), response, deadlines).pieces())
    }

    /// Vectors of texts, in order, as the provider gives them.
    pub(crate) async fn embed(
        &self,
        texts: &[String],
        dimension: Option<usize>,
    ) -> Result<(Vec<Vec<f32>>, Option<Usage>), ModelError> {
        let body = wire::EmbeddingsBody {
            model: &self.model,
            input: texts,
            encoding_format: "float",
            dimensions: dimension,
        };
        let work = async {
            let response = self.send("embeddings", &body).await?;
            let bytes = response
                .bytes()
                .await
                .map_err(|e| failure::of_transport(&self.name, &e))?;
            serde_json::from_slice::<wire::Embeddings>(&bytes).map_err(|e| {
                ModelError::Broken(format!("`{}`: the answer is not OpenAI's: {e}", self.name))
            })
        };
        let answer = tokio::time::timeout(self.timeouts.total, work)
            .await
            .map_err(|_| ModelError::Timeout(self.timeouts.total))??;
        let mut data = answer.data;
        data.sort_by_key(|d| d.index);
        if data.len() != texts.len() {
            let message = format!(
                "`{}` answered {} texts with {} vectors",
                self.name,
                texts.len(),
                data.len()
            );
            return Err(ModelError::Broken(message));
        }
        let usage = answer.usage.map(Usage::from);
        Ok((data.into_iter().map(|d| d.embedding).collect(), usage))
    }

    /// The scores of a rerank, as the provider gives them.
    pub(crate) async fn rerank(
        &self,
        request: &RerankRequest,
    ) -> Result<Vec<Relevance>, ModelError> {
        let body = wire::RerankBody {
            model: &self.model,
            query: &request.query,
            documents: &request.documents,
            top_n: request.top_n,
            return_documents: false,
        };
        let work = async {
            let response = self.send("rerank", &body).await?;
            let bytes = response
                .bytes()
                .await
                .map_err(|e| failure::of_transport(&self.name, &e))?;
            serde_json::from_slice::<wire::Reranked>(&bytes).map_err(|e| {
                ModelError::Broken(format!("`{}`: the answer is no rerank's: {e}", self.name))
            })
        };
        let answer = tokio::time::timeout(self.timeouts.total, work).await;
        Ok(answer
            .map_err(|_| ModelError::Timeout(self.timeouts.total))??
            .results)
    }

    /// Why it cannot be used as configured.
    pub(crate) fn unavailable(&self) -> Option<String> {
        match &self.key {
            Some((variable, None)) => {
                Some(format!("the environment variable {variable} is not set"))
            }
            _ => None,
        }
    }

    /// Whether it is OpenAI's own, which has retired some fields that others still need.
    fn is_openai(&self) -> bool {
        self.base_url.host_str() == Some("api.openai.com")
    }

    async fn send(&self, path: &str, body: &impl Serialize) -> Result<Response, ModelError> {
        if let Some(reason) = self.unavailable() {
            return Err(ModelError::Unauthorized(format!(
                "`{}`: {reason}",
                self.name
            )));
        }
        let base = self.base_url.as_str().trim_end_matches('/');
        let request = self
            .authorized(self.client.post(format!("{base}/{path}")))
            .json(body);
        let response = request
            .send()
            .await
            .map_err(|e| failure::of_transport(&self.name, &e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(failure::of_response(&self.name, response).await)
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.key {
            Some((_, Some(key))) => request.bearer_auth(key.expose()),
            _ => request,
        }
    }
}
