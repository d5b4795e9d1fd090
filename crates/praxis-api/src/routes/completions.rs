//! `/v1/completions` (OpenAI API reference, "Create completion"), which OpenAI calls legacy: a model goes on with a raw
//! text, without the template of a chat, or fills a gap before a suffix. Each answer is a request to a model of its
//! own, so that limits count each. Left out: functions, which answer conversations, and prompts as tokens.

mod shape;

use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use praxis_core::chat::{ChatAnswer, Layout, collect};
use praxis_core::{CallContext, ChatGateway, ChatRequest, ChatStream, Message, Sampling, now_s};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

pub(super) use self::shape::used;
use self::shape::{Envelope, Streaming};
use super::bias::biases;
use super::chat::{OneOrMany, PATIENCE, StreamOptions};
use super::models::FUNCTION_PREFIX;
use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying};
use crate::sse;
use crate::state::ApiState;

/// The most answers that one request makes, `best_of` of each prompt.
pub(crate) const MAX_ANSWERS: usize = 128;

/// Answers of a request that are made at a time: others of its kind get their turn too.
pub(super) const AT_ONCE: usize = 8;

/// The tokens of an answer where a request does not say.
pub(crate) const DEFAULT_TOKENS: u32 = 16;

/// The most alternatives to a token that are told.
pub(crate) const MAX_LOGPROBS: u8 = 5;

/// A request; fields that change nothing here are ignored.
#[derive(Deserialize, schemars::JsonSchema)]
#[schemars(rename = "CompletionRequest")]
pub(crate) struct Request {
    model: String,
    /// None is the beginning of a new text.
    prompt: Option<Prompt>,
    suffix: Option<String>,
    max_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    top_k: Option<u32>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
    frequency_penalty: Option<f32>,
    presence_penalty: Option<f32>,
    seed: Option<i64>,
    stop: Option<OneOrMany>,
    n: Option<usize>,
    best_of: Option<usize>,
    logprobs: Option<u8>,
    echo: Option<bool>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    logit_bias: Option<Map<String, Value>>,
    user: Option<String>,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "CompletionPrompt")]
enum Prompt {
    One(String),
    Many(Vec<String>),
    #[schemars(skip)]
    Other(IgnoredAny),
}

/// What is asked, checked.
#[derive(Debug, PartialEq)]
struct Asked {
    model: String,
    prompts: Vec<String>,
    layout: Layout,
    /// Answers that each prompt gets, and those that are made to choose them from.
    n: usize,
    best_of: usize,
    /// Alternatives to each token that are told.
    logprobs: Option<u8>,
    echo: bool,
    sampling: Sampling,
}

/// Goes on with texts, as a stream or whole.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    JsonBody(request): JsonBody<Request>,
) -> Result<Response, ApiError> {
    let is_stream = request.stream.unwrap_or(false);
    let options = request.stream_options.as_ref();
    let include_usage = options.is_some_and(|options| options.include_usage);
    let user = request.user.clone();
    let asked = request.check()?;
    let cx = state.context(caller, paying.by_user(user));
    // A client that goes away drops it, and with it the answers.
    let guard = cx.cancel().clone().drop_guard();
    let envelope = Envelope {
        id: format!("cmpl-{}", cx.trace_id()),
        trace: cx.trace_id().to_string(),
        model: asked.model.clone(),
        created: now_s(),
    };
    let requests = asked.requests().into_iter();
    let answers = requests.map(|request| begun(Arc::clone(&state.chat), request, cx.clone()));
    if !is_stream {
        // They are asked for in their order, and told in it.
        let answers: Vec<_> = answers.map(|answer| collect(answer).boxed()).collect();
        let answers = stream::iter(answers).buffered(AT_ONCE);
        let answers: Vec<ChatAnswer> = answers.try_collect().await?;
        return Ok(Json(envelope.whole(&asked, &answers)?).into_response());
    }
    let marked = answers.enumerate().map(|(at, answer)| {
        let pieces = answer.map(move |chunk| (at, chunk.map_err(ApiError::from)));
        pieces.boxed()
    });
    let pieces = stream::iter(marked.collect::<Vec<_>>()).flatten_unordered(AT_ONCE);
    let mut pieces = Box::pin(pieces.peekable());
    let first = tokio::time::timeout(PATIENCE, Pin::as_mut(&mut pieces).peek()).await;
    if let Ok(Some((_, Err(error)))) = first {
        return Err(error.clone());
    }
    let mut streaming = Streaming::new(envelope, asked, include_usage, cx.cancel().clone());
    let events = pieces.flat_map(move |(at, chunk)| stream::iter(streaming.take(at, chunk)));
    Ok(sse::stream(events.map(shape::event), guard).into_response())
}

/// An answer that is asked for when it is first waited for.
pub(super) fn begun(
    chat: Arc<dyn ChatGateway>,
    request: ChatRequest,
    cx: CallContext,
) -> ChatStream {
    let answer = async move { chat.chat(request, &cx).await };
    stream::once(answer).try_flatten().boxed()
}

impl Request {
    /// What is asked.
    ///
    /// # Errors
    /// The first field that is wrong or not supported.
    fn check(self) -> Result<Asked, ApiError> {
        self.refuse_unsupported()?;
        let sampling = self.sampling()?;
        let (n, best_of) = self.counts()?;
        let prompts = match self.prompt {
            None => vec![String::new()],
            Some(Prompt::One(text)) => vec![text],
            Some(Prompt::Many(texts)) => texts,
            Some(Prompt::Other(_)) => {
                let message =
                    "`prompt` must be a string or an array of strings; tokens are not taken";
                return Err(ApiError::invalid("prompt", message));
            }
        };
        if prompts.is_empty() || prompts.len().saturating_mul(best_of) > MAX_ANSWERS {
            let message = format!(
                "`prompt` has {} texts of which each is answered {best_of} times; between 1 and {MAX_ANSWERS} \
                 answers can be made at once",
                prompts.len()
            );
            return Err(ApiError::invalid("prompt", message));
        }
        Ok(Asked {
            model: self.model,
            prompts,
            layout: match self.suffix.filter(|suffix| !suffix.is_empty()) {
                None => Layout::Raw,
                Some(suffix) => Layout::Infill { suffix },
            },
            n,
            best_of,
            logprobs: self.logprobs,
            echo: self.echo.unwrap_or(false),
            sampling,
        })
    }

    fn refuse_unsupported(&self) -> Result<(), ApiError> {
        let refused = |param: &str, message: &str| Err(ApiError::invalid(param, message));
        if self.model.starts_with(FUNCTION_PREFIX) {
            let message = "a function answers conversations: call it at `/v1/chat/completions`";
            return refused("model", message);
        }
        let echo = self.echo.unwrap_or(false);
        match self.logprobs {
            Some(count) if count > MAX_LOGPROBS => {
                let message = format!("`logprobs` must be between 0 and {MAX_LOGPROBS}");
                return refused("logprobs", &message);
            }
            Some(_) if echo => {
                let message = "with `echo`, `logprobs` would be those of the prompt too, which are not computed: leave \
                               one of them out";
                return refused("logprobs", message);
            }
            _ => {}
        }
        if echo && self.suffix.as_ref().is_some_and(|s| !s.is_empty()) {
            return refused("echo", "`echo` and `suffix` do not go together");
        }
        Ok(())
    }

    /// How many answers are given of each prompt, and how many are made.
    fn counts(&self) -> Result<(usize, usize), ApiError> {
        let n = self.n.unwrap_or(1);
        let best_of = self.best_of.unwrap_or(n);
        for (name, count) in [("n", n), ("best_of", best_of)] {
            if !(1..=MAX_ANSWERS).contains(&count) {
                let message = format!("`{name}` must be between 1 and {MAX_ANSWERS}");
                return Err(ApiError::invalid(name, message));
            }
        }
        if best_of < n {
            let message = "`best_of` must not be less than `n`";
            return Err(ApiError::invalid("best_of", message));
        }
        if best_of > n && self.stream.unwrap_or(false) {
            let message = "the best of several answers is known at their end: leave `stream` or `best_of` out";
            return Err(ApiError::invalid("best_of", message));
        }
        Ok((n, best_of))
    }

    fn sampling(&self) -> Result<Sampling, ApiError> {
        for (name, value, low, high) in [
            ("temperature", self.temperature, 0.0, 2.0),
            ("top_p", self.top_p, 0.0, 1.0),
            ("min_p", self.min_p, 0.0, 1.0),
            ("frequency_penalty", self.frequency_penalty, -2.0, 2.0),
            ("presence_penalty", self.presence_penalty, -2.0, 2.0),
        ] {
            if value.is_some_and(|v| !(low..=high).contains(&v)) {
                let message = format!("`{name}` must be between {low} and {high}");
                return Err(ApiError::invalid(name, message));
            }
        }
        if self.max_tokens == Some(0) {
            let message = "`max_tokens` must be at least 1: prompts are not scored";
            return Err(ApiError::invalid("max_tokens", message));
        }
        Ok(Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            seed: self.seed.map(i64::cast_unsigned),
            max_tokens: Some(self.max_tokens.unwrap_or(DEFAULT_TOKENS)),
            stop: match &self.stop {
                None => Vec::new(),
                Some(OneOrMany::One(stop)) => vec![stop.clone()],
                Some(OneOrMany::Many(stops)) => stops.clone(),
            },
            logit_bias: biases(self.logit_bias.as_ref())?,
        })
    }
}

impl Asked {
    /// The requests for all answers, those of a prompt side by side. Each has a seed of its own where there is one: with
    /// the same all would be the same.
    fn requests(&self) -> Vec<ChatRequest> {
        let request = |prompt: &String, at: u64| ChatRequest {
            model: self.model.clone(),
            messages: vec![Message::user(prompt.as_str())],
            layout: self.layout.clone(),
            sampling: Sampling {
                seed: self.sampling.seed.map(|seed| seed.wrapping_add(at)),
                ..self.sampling.clone()
            },
            // The best ones are told by the probabilities of their tokens.
            top_logprobs: self.logprobs.or((self.best_of > self.n).then_some(0)),
            ..ChatRequest::default()
        };
        let prompts = self.prompts.iter();
        prompts
            .flat_map(|prompt| (0..).take(self.best_of).map(move |at| request(prompt, at)))
            .collect()
    }

    /// The prompt, as it is repeated before its answer: the `at`th of those that are given.
    fn echoed(&self, at: usize) -> &str {
        let prompt = self.prompts.get(at / self.n.max(1));
        prompt.map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests;
