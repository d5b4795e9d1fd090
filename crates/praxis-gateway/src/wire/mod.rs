//! What all providers over HTTP have in common: an address with a key, questions that go there, answers that
//! come in pieces, each wait and each size bounded. Left out: what a provider's words are (`providers`).

mod answer;
mod body;
pub(crate) mod failure;
mod frames;
mod sse;

use std::time::Duration;

use futures::stream::BoxStream;
use praxis_core::chat::{FinishReason, TokenLogprob};
use praxis_core::{
    ChatRequest, ModelError, Relevance, RerankRequest, Secret, ToolCallDelta, Usage,
};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Response, Url};
use serde_json::{Map, Value};

use self::answer::{Answer, Deadlines};
pub(crate) use self::answer::{Fault, Flow, Read};
pub(crate) use self::frames::Framing;
use crate::openai as words;
use crate::providers::Dialect;
use crate::tally::Tally;

/// A piece of an answer, from any provider. Unlike a `ChatChunk` it may lack the usage.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    Delta {
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    Reasoning(String),
    ToolCall(ToolCallDelta),
    Done {
        finish_reason: FinishReason,
        usage: Option<Usage>,
    },
}

/// Pieces, ending with `Done` or an error.
pub(crate) type Pieces = BoxStream<'static, Result<Piece, ModelError>>;

/// An answer that has begun.
pub(crate) struct Begun {
    pub pieces: Pieces,
    /// What was asked that the provider has no word for, and that it was therefore not told.
    pub left_out: Vec<&'static str>,
}

/// How long an endpoint may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub total: Duration,
    /// From one sign of work to the next, before anything of the answer came.
    pub first_token: Duration,
    pub idle: Duration,
    /// The latter two of a model that thinks before it answers.
    pub thinking: (Duration, Duration),
}

impl Timeouts {
    /// Those of one answer.
    fn of(self, thinks: bool) -> Self {
        let (first_token, idle) = match thinks {
            true => self.thinking,
            false => (self.first_token, self.idle),
        };
        Self {
            first_token: first_token.min(self.total),
            idle,
            ..self
        }
    }
}

/// A question as a provider is asked it.
pub(crate) struct Question {
    /// What follows the base address, without a slash before it; may have a query.
    pub path: String,
    pub body: Value,
    /// Headers beside the key, the content's type and those of the configuration.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What was asked that the provider has no word for.
    pub left_out: Vec<&'static str>,
}

impl Question {
    /// A question without more headers.
    pub fn new(path: impl Into<String>, body: Value) -> Self {
        Self {
            path: path.into(),
            body,
            headers: Vec::new(),
            left_out: Vec::new(),
        }
    }
}

/// A model behind an endpoint.
pub(crate) struct Endpoint {
    /// The model's name in `praxis.toml`, for messages.
    pub name: String,
    /// The provider's name for it.
    pub model: String,
    pub dialect: &'static dyn Dialect,
    pub base_url: Url,
    /// The environment variable that should hold the key, and the key if it does.
    pub key: Option<(String, Option<Secret>)>,
    /// An environment variable of a header that is not set.
    pub absent: Option<String>,
    pub timeouts: Timeouts,
    /// Whether it takes what OpenAI's API has no word for, as vLLM does.
    pub structured_outputs: bool,
    /// Where it runs, for providers that have regions.
    #[cfg_attr(
        not(feature = "bedrock"),
        expect(
            dead_code,
            reason = "of all providers, Bedrock alone signs for a region"
        )
    )]
    pub region: Option<String>,
    /// The version of the provider's API, where it has some.
    pub api_version: Option<String>,
    /// Whether providers that must be told are told to keep prompts in their caches.
    pub prompt_cache: bool,
    /// Headers that are sent beside the provider's own.
    pub headers: HeaderMap,
    /// Fields of the body beside the provider's own.
    pub extra_body: Map<String, Value>,
    pub client: Client,
}

impl Endpoint {
    /// Starts an answer of a model that thinks before, or does not.
    pub(crate) async fn chat(
        &self,
        request: &ChatRequest,
        thinks: bool,
        tally: &Tally,
    ) -> Result<Begun, ModelError> {
        let timeouts = self.timeouts.of(thinks);
        let deadlines = Deadlines::start(timeouts);
        let is_chat = request.layout.is_chat();
        words::biases(self.dialect.facts(), self, request)?;
        let mut question = match is_chat {
            true => self.dialect.ask(self, request)?,
            false => words::completion(self.dialect.facts(), self, request)?,
        };
        let left_out = std::mem::take(&mut question.left_out);
        let sent = self.send(question, tally);
        let response = tokio::time::timeout(timeouts.first_token, sent)
            .await
            .map_err(|_| ModelError::Timeout(timeouts.first_token))??;
        let reader: Box<dyn Read> = match is_chat {
            true => self.dialect.reader(self, request),
            false => Box::new(words::Texts::default()),
        };
        let answer = Answer::new(
            self.name.clone(),
            self.dialect,
            response,
            reader,
            deadlines,
            tally.clone(),
        )?;
        Ok(Begun {
            pieces: answer.pieces(),
            left_out,
        })
    }

    /// Vectors of texts, in order, as the provider gives them.
    pub(crate) async fn embed(
        &self,
        texts: &[String],
        dimension: Option<usize>,
        tally: &Tally,
    ) -> Result<(Vec<Vec<f32>>, Option<Usage>), ModelError> {
        let question = self.dialect.embeddings(self, texts, dimension);
        let (vectors, usage) = self
            .whole(question, tally, |bytes| self.dialect.vectors(bytes))
            .await?;
        if let Some(usage) = usage {
            tally.told(usage);
        }
        if vectors.len() != texts.len() {
            let message = format!(
                "`{}` answered {} texts with {} vectors",
                self.name,
                texts.len(),
                vectors.len()
            );
            return Err(ModelError::Broken(message));
        }
        Ok((vectors, usage))
    }

    /// The scores of a rerank, as the provider gives them.
    pub(crate) async fn rerank(
        &self,
        request: &RerankRequest,
    ) -> Result<Vec<Relevance>, ModelError> {
        let question = self.dialect.ranking(self, request);
        // Nothing of it is charged to anybody.
        let tally = Tally::default();
        self.whole(question, &tally, |bytes| self.dialect.ranked(bytes))
            .await
    }

    /// An answer that comes whole.
    async fn whole<T>(
        &self,
        question: Question,
        tally: &Tally,
        read: impl FnOnce(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Result<T, ModelError> {
        let work = async {
            let response = self.send(question, tally).await?;
            let bytes = body::whole(&self.name, response).await?;
            read(&bytes).map_err(|e| {
                ModelError::Broken(format!(
                    "`{}`: the answer is not {}'s: {e}",
                    self.name,
                    self.dialect.facts().title
                ))
            })
        };
        tokio::time::timeout(self.timeouts.total, work)
            .await
            .map_err(|_| ModelError::Timeout(self.timeouts.total))?
    }

    /// Why it cannot be used as configured.
    pub(crate) fn unavailable(&self) -> Option<String> {
        let variable = match &self.key {
            Some((variable, None)) => Some(variable),
            _ => self.absent.as_ref(),
        };
        variable.map(|variable| format!("the environment variable {variable} is not set"))
    }

    /// The key, where there is one.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        self.key.as_ref()?.1.as_ref()
    }

    /// Sends a question, and notes that it left. Where the provider is not reached, or says no, nothing is owed for it.
    async fn send(&self, question: Question, tally: &Tally) -> Result<Response, ModelError> {
        if let Some(reason) = self.unavailable() {
            return Err(ModelError::Unauthorized(format!(
                "`{}`: {reason}",
                self.name
            )));
        }
        let request = self.request(question).await?;
        tally.sent();
        let response = self.client.execute(request).await.map_err(|e| {
            if e.is_connect() {
                tally.refused();
            }
            failure::of_transport(&self.name, &e)
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        tally.refused();
        Err(failure::of_response(&self.name, self.dialect, response).await)
    }

    async fn request(&self, mut question: Question) -> Result<Request, ModelError> {
        if let Value::Object(body) = &mut question.body {
            body.extend(self.extra_body.clone());
        }
        let address = self.dialect.address(self, &question.path);
        let url = Url::parse(&address).map_err(|e| {
            ModelError::InvalidRequest(format!("`{}`: `{address}` is no address: {e}", self.name))
        })?;
        let mut request = Request::new(Method::POST, url);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(question.headers);
        headers.extend(self.headers.clone());
        let body =
            serde_json::to_vec(&question.body).map_err(|e| ModelError::Internal(e.to_string()))?;
        *request.body_mut() = Some(body.into());
        self.dialect.authorize(self, &mut request).await?;
        Ok(request)
    }
}

/// Why a part of a request cannot be sent: `behind` says whose API the model runs behind, `what` what that does not do,
/// and the fix.
pub(crate) fn refused(part: &str, name: &str, behind: &str, what: &str) -> ModelError {
    ModelError::InvalidRequest(format!(
        "{part}: `{name}` runs behind {behind}, which {what}"
    ))
}

/// A number as JSON has it, widened by way of its decimals: 0.7 stays 0.7.
pub(crate) fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_default()
}

/// The value of a header that holds a key: it is not shown where headers are.
pub(crate) fn secret_header(name: &str, value: &str) -> Result<HeaderValue, ModelError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        ModelError::Unauthorized(format!(
            "`{name}`: the key has characters that no header can carry"
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}
