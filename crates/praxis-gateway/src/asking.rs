//! A request on its way: along the models of a plan until an answer begins. What is decided is in [`Attempts`],
//! [`Breaker`] and `routes`; this module waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use praxis_core::chat::{Layout, ReasoningEffort};
use praxis_core::{ChatRequest, ModelError, tokens};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::account::Account;
use crate::attempts::{Attempts, Next};
use crate::breaker::Breaker;
use crate::claims::Purse;
use crate::embedder;
use crate::local::LocalChat;
use crate::price::Price;
use crate::providers::unasked;
use crate::tally::{Tally, Tries};
use crate::vocabulary::Vocabulary;
use crate::wire::{Begun, Endpoint, Piece, Pieces};

/// Tokens that a provider may put around a prompt.
const FRAME: usize = 64;

/// A chat model with its policy.
pub(crate) struct ChatTarget {
    pub name: String,
    pub runner: Runner,
    /// What it costs; `None`: nobody knows.
    pub price: Option<Price>,
    pub max_retries: u32,
    pub fallback: Vec<String>,
    /// How long it thinks where a request does not say.
    pub reasoning_effort: Option<ReasoningEffort>,
    pub breaker: Breaker,
}

pub(crate) enum Runner {
    Local(LocalChat),
    Remote(Box<Endpoint>),
}

/// Whom to ask.
pub(crate) struct Plan {
    /// In this order.
    pub targets: Vec<Arc<ChatTarget>>,
    /// After how long without an answer the next one is asked too.
    pub hedge_after: Option<Duration>,
}

/// An answer that has begun.
pub(crate) struct First {
    pub piece: Piece,
    pub rest: Pieces,
    pub left_out: Vec<&'static str>,
    /// What is owed for it.
    pub tally: Tally,
    /// Whether two models were asked at a time.
    pub hedged: bool,
}

/// What failed before an answer began, as the trace has it.
#[derive(Clone, Default)]
pub(crate) struct Failures(Arc<Mutex<Vec<Value>>>);

impl Failures {
    fn note(&self, model: &str, error: &ModelError) {
        let failure = json!({
            "model": model,
            "code": error.code().as_str(),
            "error": error.to_string(),
        });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(failure);
    }

    /// All that was noted; nothing is left.
    pub(crate) fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the attempts of a call share.
struct Asking<'a> {
    request: &'a ChatRequest,
    failures: Failures,
    tries: Tries,
    purse: Purse,
    stop: &'a CancellationToken,
}

/// Asks along the plan until an answer begins. The first piece is awaited here, because nothing after it can be
/// retried.
pub(crate) async fn begin(
    plan: &Plan,
    request: &ChatRequest,
    account: &mut Account,
    stop: &CancellationToken,
) -> Result<First, ModelError> {
    let asking = Asking {
        request,
        failures: account.failures(),
        tries: account.tries(),
        purse: account.purse(),
        stop,
    };
    let mut waiting = plan.targets.iter().peekable();
    let mut asked = FuturesUnordered::new();
    let mut hedged = false;
    let mut last = ModelError::Internal("nobody to ask".to_owned());
    loop {
        if asked.is_empty() {
            let Some(target) = waiting.next() else {
                return Err(last);
            };
            account.ask(target);
            asked.push(attempt(target, &asking));
        }
        let patience = plan
            .hedge_after
            .filter(|_| !hedged && waiting.peek().is_some());
        let over = async {
            match patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        let (target, begun) = tokio::select! {
            biased;
            Some(ended) = asked.next() => ended,
            () = over => {
                hedged = true;
                if let Some(target) = waiting.next() {
                    metrics::counter!("praxis_model_hedges_total", "model" => target.name.clone())
                        .increment(1);
                    asked.push(attempt(target, &asking));
                }
                continue;
            }
        };
        match begun {
            Ok(mut first) => {
                account.ask(target);
                account.answered_by(first.tally.clone());
                first.hedged = hedged;
                return Ok(first);
            }
            Err(Ended::ForGood(error)) => {
                account.ask(target);
                return Err(error);
            }
            Err(Ended::Here(error)) => {
                if waiting.peek().is_some() || !asked.is_empty() {
                    asking.failures.note(&target.name, &error);
                    let from = target.name.clone();
                    metrics::counter!("praxis_model_fallbacks_total", "model" => from).increment(1);
                    tracing::warn!(model = %target.name, %error, "falling back");
                }
                last = error;
            }
        }
    }
}

/// Why one model did not begin an answer.
enum Ended {
    /// Another one may.
    Here(ModelError),
    /// No other would do better.
    ForGood(ModelError),
}

/// Asks one model, again where that may help.
async fn attempt<'a>(
    target: &'a Arc<ChatTarget>,
    asking: &Asking<'_>,
) -> (&'a Arc<ChatTarget>, Result<First, Ended>) {
    let mut attempts = Attempts::new(target.max_retries);
    loop {
        // What was asked before has to be paid, too: there has to be room for both.
        let owed = asking.tries.due();
        if let Err(error) = asking.purse.covers_one_more(owed).await {
            return (target, Err(Ended::Here(error)));
        }
        if let Err(wait) = target.breaker.admit(Instant::now()) {
            let error = target.left_alone(wait);
            return (target, Err(Ended::Here(error)));
        }
        let tally = asking.tries.begin(target);
        let begun = target.first_piece(asking.request, asking.stop, &tally);
        let error = match begun.await {
            Ok((piece, begun)) => {
                target.breaker.began();
                let first = First {
                    piece,
                    rest: begun.pieces,
                    left_out: begun.left_out,
                    tally,
                    hedged: false,
                };
                return (target, Ok(first));
            }
            Err(error) => error,
        };
        tally.ended();
        target.breaker.failed(&error, Instant::now());
        // A provider that works at an answer bills it, whether it is waited for or not: to ask the same again would cost
        // as much and take as long.
        let works = matches!(error, ModelError::Timeout(_)) && tally.due().is_some();
        let next = match works || target.breaker.is_open(Instant::now()) {
            true => Next::Fallback,
            false => attempts.next(&error, rand::random()),
        };
        match next {
            Next::Retry(pause) => {
                asking.failures.note(&target.name, &error);
                embedder::count_retry(&target.name);
                tracing::debug!(model = %target.name, %error, ?pause, "trying again");
                tokio::time::sleep(pause).await;
            }
            Next::Fallback => return (target, Err(Ended::Here(error))),
            Next::GiveUp => return (target, Err(Ended::ForGood(error))),
        }
    }
}

impl ChatTarget {
    /// The tokenizer of a model that others run, or one like it.
    pub(crate) fn vocabulary(&self) -> Option<Vocabulary> {
        match &self.runner {
            Runner::Local(_) => None,
            Runner::Remote(endpoint) => Some(Vocabulary::like(&endpoint.model)),
        }
    }

    /// Whether it thinks before it answers such a request, as far as that can be told.
    pub(crate) fn thinks(&self, request: &ChatRequest) -> bool {
        let Runner::Remote(endpoint) = &self.runner else {
            return false;
        };
        match request.reasoning_effort.or(self.reasoning_effort) {
            Some(effort) => effort != ReasoningEffort::None,
            None => unasked::thinks(&endpoint.model),
        }
    }

    /// Loads it before it is asked.
    pub(crate) async fn load(&self) -> Result<(), ModelError> {
        match &self.runner {
            Runner::Local(local) => local.engine().await.map(|_| ()),
            Runner::Remote(_) => Ok(()),
        }
    }

    /// The most tokens that a request can be as its prompt, tools and constraints aside. A local model counts, since
    /// its template may say something of its own; what a provider adds is guessed generously.
    pub(crate) async fn most_of(&self, request: &ChatRequest) -> usize {
        if let Runner::Local(local) = &self.runner
            && let Ok(engine) = local.engine().await
        {
            let request = request.clone();
            let count = engine.counting(move |engine| engine.count_prompt(&request));
            if let Ok(count) = count.await {
                return count;
            }
        }
        let suffix = match &request.layout {
            Layout::Chat | Layout::Raw => 0,
            Layout::Infill { suffix } => suffix.len(),
        };
        tokens::most(&request.messages) + suffix + FRAME
    }

    fn left_alone(&self, wait: Duration) -> ModelError {
        ModelError::Unavailable(format!(
            "`{}` failed several times in a row and is left alone for {} s more",
            self.name,
            wait.as_secs() + 1
        ))
    }

    async fn first_piece(
        &self,
        request: &ChatRequest,
        stop: &CancellationToken,
        tally: &Tally,
    ) -> Result<(Piece, Begun), ModelError> {
        let thinks = self.thinks(request);
        let begun = async {
            let mut begun = match &self.runner {
                Runner::Local(local) => {
                    // The engine's errors name the model as the application does.
                    let request = ChatRequest {
                        model: self.name.clone(),
                        ..request.clone()
                    };
                    let pieces = local.chat(request, stop.child_token()).await?;
                    Begun {
                        pieces,
                        left_out: Vec::new(),
                    }
                }
                Runner::Remote(endpoint)
                    if request.reasoning_effort.is_none() && self.reasoning_effort.is_some() =>
                {
                    let request = ChatRequest {
                        reasoning_effort: self.reasoning_effort,
                        ..request.clone()
                    };
                    endpoint.chat(&request, thinks, tally).await?
                }
                Runner::Remote(endpoint) => endpoint.chat(request, thinks, tally).await?,
            };
            match begun.pieces.next().await {
                Some(Ok(first)) => Ok((first, begun)),
                Some(Err(ModelError::Broken(message))) => Err(ModelError::Unavailable(message)),
                Some(Err(error)) => Err(error),
                None => Err(ModelError::Unavailable(format!(
                    "`{}` gave no answer",
                    self.name
                ))),
            }
        };
        match &self.runner {
            Runner::Local(LocalChat {
                first_token_timeout: Some(limit),
                ..
            }) => tokio::time::timeout(*limit, begun)
                .await
                .unwrap_or(Err(ModelError::Timeout(*limit))),
            _ => begun.await,
        }
    }
}
