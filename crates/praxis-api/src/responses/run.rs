//! The making of a response: the model is asked, what it wants searched or run is, and it is asked again, until it
//! answers or wants something of the client. Then the response is kept, and only then its end is told. Left out: what a
//! request may say, and when it is its turn (`background`).

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use praxis_core::chat::{Extras, ReasoningEffort};
use praxis_core::{
    CallContext, ChatGateway, ChatRequest, Constraint, ErrorCode, FinishReason, Message,
    ModelError, Priority, Sampling, SpanKind, ToolChoice, ToolSpec,
};
use praxis_function::{ModelGuard, PromptFunction};
use praxis_store::ResponseStatus;
use serde_json::{Value, json};

use super::background::Chance;
use super::event::Event;
use super::interpreter::{self, Came, Coder, Container};
use super::item::{Include, Item};
use super::prompt::Prompt;
use super::record::{Failure, Response};
use super::search::{self, FileSearch, Searcher, told};
use super::tell::Teller;
use super::trim::{self, Beside};
use super::turn::{End, Manner, Next, Then, Turn, Wanted};
use super::{Kept, Responses, failed};
use crate::error::ApiError;
use crate::routes::chat::{Piece, of_chunk, of_steps};
use crate::routes::functions;

/// The name of a response's span.
const SPAN: &str = "praxis/response";

/// Rounds of searches, or of code, before the model has to answer.
const MAX_ROUNDS: u32 = 5;

/// Calls of built-in tools of a response where the request sets no limit.
const MOST_SEARCHES: u32 = 16;

/// Tokens that the passages of a search may take, about: a share of the model's window.
const ROOM: std::ops::RangeInclusive<usize> = 256..=8000;
const SHARE: usize = 4;

/// Why a response failed that a server had no time for.
const STOPPED: &str = "the server was stopped before the response was done";

/// What a model is told of a search that is not made.
const NO_MORE: &str = "error: no more searches are made; answer from what was found";

/// What a model is told of code that is not run.
const NO_MORE_CODE: &str = "error: no more code is run; answer from what came out";

/// What is asked of a model or of a function.
#[derive(Clone)]
pub(crate) struct Ask {
    pub target: Target,
    /// The model's name.
    pub model: String,
    pub sampling: Sampling,
    pub top_logprobs: Option<u8>,
    pub constraint: Option<Constraint>,
    /// Functions of the client's.
    pub tools: Vec<ToolSpec>,
    pub search: Option<FileSearch>,
    /// Where code runs, where that is offered.
    pub container: Option<Container>,
    pub choice: ToolChoice,
    pub parallel: Option<bool>,
    pub effort: Option<ReasoningEffort>,
    pub cache_key: Option<String>,
    pub extras: Extras,
    pub priority: Priority,
    /// The most searches and runs of code.
    pub max_tool_calls: Option<u32>,
    /// Whether the oldest turns are left out of what does not fit.
    pub truncates: bool,
    /// Whether what the model thinks is told as a summary.
    pub summary: bool,
    pub include: Include,
    /// This server's address as the client wrote it.
    pub origin: String,
}

/// Who is asked.
#[derive(Clone)]
pub(crate) enum Target {
    /// The model of that name.
    Model,
    /// A function of the application's.
    Function(Arc<PromptFunction>),
}

/// A response to be made.
pub(crate) struct Job {
    pub response: Response,
    pub ask: Ask,
    /// What this turn was given.
    pub input: Vec<Item>,
    pub prompt: Prompt,
    /// Whether it is kept.
    pub kept: bool,
    pub cx: CallContext,
}

/// What a response is made with.
#[derive(Clone)]
pub(crate) struct World {
    pub chat: Arc<dyn ChatGateway>,
    pub searcher: Arc<dyn Searcher>,
    /// What runs code, where the application has it.
    pub coder: Option<Coder>,
    pub responses: Arc<Responses>,
    /// What stands around its models.
    pub guard: Option<ModelGuard>,
}

impl Ask {
    /// Tokens that the passages of a search may take, about.
    pub fn room(&self, chat: &dyn ChatGateway) -> usize {
        let window = chat.window(&self.model);
        let share = window.map_or(*ROOM.end(), |window| window / SHARE);
        share.clamp(*ROOM.start(), *ROOM.end())
    }

    /// Tools that the model is told of in a round.
    pub fn offered(&self, is_last: bool) -> Vec<ToolSpec> {
        let search = self.search.as_ref().map(|_| search::spec());
        let code = self.container.as_ref().map(|_| interpreter::spec());
        match is_last && !self.tools.is_empty() {
            true => self.tools.clone(),
            false => self
                .tools
                .iter()
                .cloned()
                .chain(search)
                .chain(code)
                .collect(),
        }
    }

    /// Whether and which tool has to be called in a round: what is forced is forced once, or no answer would ever come.
    fn chosen(&self, round: u32, is_last: bool) -> ToolChoice {
        match (round, is_last && self.tools.is_empty()) {
            (0, false) => self.choice.clone(),
            (_, true) => ToolChoice::None,
            (_, false) => ToolChoice::Auto,
        }
    }

    fn manner(&self) -> Manner {
        let most = self.max_tool_calls.unwrap_or(MOST_SEARCHES);
        Manner {
            summary: self.summary,
            searches: self.search.as_ref().map(|_| most.min(MOST_SEARCHES)),
            runs: self.container.as_ref().map(|_| most.min(MOST_SEARCHES)),
            include: self.include,
            origin: self.origin.clone(),
        }
    }

    /// Begins a round of a turn.
    async fn round(
        &self,
        round: u32,
        messages: &[Message],
        turn: &Turn,
        world: &World,
        cx: &CallContext,
    ) -> Result<BoxStream<'static, Piece>, ApiError> {
        let mut sampling = self.sampling.clone();
        if let Some(most) = &mut sampling.max_tokens {
            let spent = u32::try_from(turn.usage().output_tokens).unwrap_or(u32::MAX);
            *most = most.saturating_sub(spent);
        }
        if let Target::Function(function) = &self.target {
            let function = Arc::clone(function);
            let (messages, top) = (messages.to_vec(), self.top_logprobs);
            let steps = functions::run(function, messages, sampling, top, cx.clone());
            return Ok(of_steps(steps).boxed());
        }
        let is_last = round == MAX_ROUNDS;
        let tools = self.offered(is_last);
        let beside = Beside {
            model: &self.model,
            tools: &tools,
            answer: sampling.max_tokens,
        };
        let messages = match self.truncates {
            true => trim::fitting(messages, beside, &*world.chat, cx).await,
            false => messages.to_vec(),
        };
        let request = ChatRequest {
            model: self.model.clone(),
            messages,
            sampling,
            top_logprobs: self.top_logprobs,
            constraint: self.constraint.clone(),
            tools,
            tool_choice: self.chosen(round, is_last),
            parallel_tool_calls: self.parallel,
            reasoning_effort: self.effort,
            cache_key: self.cache_key.clone(),
            extras: self.extras.clone(),
            priority: self.priority,
            ..ChatRequest::default()
        };
        Ok(world.chat.chat(request, cx).await?.map(of_chunk).boxed())
    }
}

/// Makes a response.
///
/// # Errors
/// What went wrong before anything was told, for who waits for it; a response that is in the background fails instead.
pub(crate) async fn perform(
    mut job: Job,
    world: &World,
    mut teller: Teller,
) -> Result<Response, ApiError> {
    let include = job.ask.include;
    let traced = job.ask.target.hidden(job.traced(), world);
    let (span, cx) = job.cx.span(SpanKind::Function, SPAN, traced);
    let target = job.ask.target.clone();
    let mut opening = Vec::new();
    if !job.response.background {
        opening.push(job.response.told("response.created", include));
    }
    opening.push(job.response.told("response.in_progress", include));
    teller.tell(opening).await;
    let sources = job.prompt.sources.clone();
    let mut turn = Turn::new(job.ask.manner(), sources);
    let ended = converse(&job, &mut turn, world, &mut teller, &cx).await;
    let now = world.responses.now();
    let made = match ended {
        Ok(end) => {
            let events = turn.end();
            teller.tell(events).await;
            job.response.complete(end, turn, now);
            job.settle(world, &mut teller).await
        }
        Err(error) if job.is_refused(&error, &mut teller) => Err(error),
        Err(error) => {
            job.response.fail(failure(&error), turn, now);
            job.settle(world, &mut teller).await
        }
    };
    teller.end();
    match &made {
        Ok(response) => {
            let output = response.output.iter().map(|i| i.shown(include)).collect();
            span.finish(json!({
                "status": response.status.as_str(),
                "output": target.hidden(output, world),
            }));
        }
        Err(error) => span.fail(&error.message()),
    }
    made
}

/// Makes a response that waited in the background, if its turn comes.
pub(crate) async fn perform_in_turn(
    mut job: Job,
    world: &World,
    mut teller: Teller,
    chance: Chance,
) {
    let id = job.response.id.clone();
    let (store, owner) = (world.responses.store(), world.responses.owner());
    let begun = match chance {
        Chance::Comes => store.begin_response(&id, owner).await,
        Chance::Never => match store.leave_response(&id, owner).await {
            // Another server makes it, or this one once it is started again.
            Ok(true) => return teller.end(),
            Ok(false) => Ok(false),
            Err(error) => Err(error),
        },
    };
    let made = match begun {
        Ok(true) => {
            job.response.status = ResponseStatus::InProgress;
            perform(job, world, teller).await.map(drop)
        }
        Ok(false) => {
            let now = world.responses.now();
            let failure = Failure::of_server(STOPPED);
            job.response.fail(failure, Turn::default(), now);
            job.settle(world, &mut teller).await.map(drop)
        }
        Err(error) => Err(failed(error)),
    };
    if let Err(error) = made {
        tracing::error!(%id, why = error.message(), "the end of a response was not kept");
    }
}

impl Target {
    /// A value as traces have it: without what a guard hides.
    fn hidden(&self, value: Value, world: &World) -> Value {
        match (self, &world.guard) {
            (Self::Function(function), _) => function.hidden(value),
            (Self::Model, Some(guard)) => guard.hidden(value),
            (Self::Model, None) => value,
        }
    }
}

impl Job {
    /// What the trace says of it.
    fn traced(&self) -> Value {
        json!({
            "response": self.response.id,
            "model": self.ask.model,
            "previous_response_id": self.response.previous,
            "conversation": self.response.conversation,
            "input": self.input.iter().map(|i| i.shown(Include::default())).collect::<Vec<_>>(),
        })
    }

    /// Whether an error is the answer of a request that nobody was told anything of.
    fn is_refused(&self, error: &ApiError, teller: &mut Teller) -> bool {
        !self.response.background && (error.code() == ErrorCode::Cancelled || teller.refuse(error))
    }

    /// Keeps the response, and then tells its end.
    async fn settle(self, world: &World, teller: &mut Teller) -> Result<Response, ApiError> {
        let include = self.ask.include;
        let last = teller.number(self.response.last_word(include));
        let rows = teller.as_log().map(|log| log.rows(&last));
        let rows = rows.unwrap_or_default();
        let kept = match (self.response.background, self.kept) {
            (true, _) => world.responses.end(&self.response, &self.input, rows).await,
            (false, kept) => {
                let (response, caller) = (&self.response, self.cx.caller());
                let done = world.responses.put(response, &self.input, kept, caller);
                done.await.map(|()| Kept::Whole)
            }
        };
        match kept {
            Ok(Kept::Whole) => {
                teller.send(last).await;
                Ok(self.response)
            }
            Ok(Kept::Cancelled) => {
                let event = Event::error("cancelled", "the response was cancelled");
                teller.send(event.numbered(last.number)).await;
                Ok(self.response)
            }
            Err(error) => {
                let event = Event::error(error.code().as_str(), error.message());
                teller.send(event.numbered(last.number)).await;
                Err(error)
            }
        }
    }
}

/// How an error is kept. Who cancels a response has it noted before it ends: here it is the server that stops.
fn failure(error: &ApiError) -> Failure {
    match error.code() {
        ErrorCode::Cancelled => Failure::of_server(STOPPED),
        _ => Failure::from(error),
    }
}

/// Asks and searches until there is an answer.
async fn converse(
    job: &Job,
    turn: &mut Turn,
    world: &World,
    teller: &mut Teller,
    cx: &CallContext,
) -> Result<End, ApiError> {
    let mut messages = job.prompt.messages.clone();
    let mut container = job.ask.container.clone().unwrap_or_default();
    for round in 0..=MAX_ROUNDS {
        if round == MAX_ROUNDS {
            turn.stop_searching();
        }
        let asked = job.ask.round(round, &messages, turn, world, cx);
        let pieces = tokio::select! {
            biased;
            () = cx.cancel().cancelled() => return Err(ModelError::Cancelled.into()),
            pieces = asked => pieces?,
        };
        let next = read(pieces, turn, teller, cx).await?;
        let found = calls(next.searches, job, &mut container, turn, world, teller, cx).await?;
        match next.then {
            Then::End(end) => return Ok(end),
            Then::Ask(said) => {
                messages.push(said);
                messages.extend(found);
            }
        }
        let most = job.ask.sampling.max_tokens.map(u64::from);
        if most.is_some_and(|most| turn.usage().output_tokens >= most) {
            return Ok(End::TooLong);
        }
    }
    Ok(End::Whole)
}

/// Reads the pieces of a round to their end.
async fn read(
    mut pieces: BoxStream<'static, Piece>,
    turn: &mut Turn,
    teller: &mut Teller,
    cx: &CallContext,
) -> Result<Next, ApiError> {
    loop {
        let piece = tokio::select! {
            biased;
            () = cx.cancel().cancelled() => return Err(ModelError::Cancelled.into()),
            piece = pieces.next() => piece,
        };
        let finish = match piece {
            None => {
                let message = "the answer ended without a finish reason";
                return Err(ModelError::Broken(message.to_owned()).into());
            }
            Some(Piece::Failed(error)) => return Err(error),
            Some(Piece::Done {
                finish,
                usage,
                refused,
            }) => {
                turn.spend(usage);
                if let Some(refused) = refused {
                    turn.note("refused", json!(refused));
                }
                Some(finish)
            }
            Some(piece) => {
                teller.begin();
                let events = turn.push(piece);
                teller.tell(events).await;
                let is_full = turn.is_full() || teller.is_full();
                is_full.then_some(FinishReason::Length)
            }
        };
        if let Some(finish) = finish {
            teller.begin();
            let (events, next) = turn.finish(finish);
            teller.tell(events).await;
            return Ok(next);
        }
    }
}

/// What came of code that a model wants run, and what it is told of it; `traced` is the call as traces have it.
async fn came(
    traced: Value,
    code: Result<String, String>,
    coder: &Coder,
    container: &mut Container,
    room: usize,
    cx: &CallContext,
) -> Result<(String, Option<Came>), ApiError> {
    let (span, inner) = cx.span(SpanKind::Tool, interpreter::TOOL, traced);
    let came = match code {
        Ok(code) => coder
            .run(&code, container, room, &inner)
            .await
            .map_err(ApiError::from),
        Err(wrong) => Err(ApiError::new(ErrorCode::InvalidRequest, wrong)),
    };
    match came {
        Ok(came) => {
            span.finish(json!({ "container": came.container, "outputs": came.outputs.len() }));
            Ok((came.told.clone(), Some(came)))
        }
        Err(error) => {
            span.fail(&error.message());
            match error.code() {
                ErrorCode::Cancelled => Err(error),
                _ => Ok((format!("error: {}", error.message()), None)),
            }
        }
    }
}

/// Makes the calls of built-in tools that a model wants; gives what it is told of each.
async fn calls(
    wanted: Vec<Wanted>,
    job: &Job,
    container: &mut Container,
    turn: &mut Turn,
    world: &World,
    teller: &mut Teller,
    cx: &CallContext,
) -> Result<Vec<Message>, ApiError> {
    let room = job.ask.room(&*world.chat) / wanted.len().max(1);
    let mut results = Vec::with_capacity(wanted.len());
    for Wanted { place, call } in wanted {
        let traced = job.ask.target.hidden(json!(call), world);
        if call.name == interpreter::TOOL {
            let (Some(place), Some(coder)) = (place, &world.coder) else {
                results.push(Message::tool(&call.id, NO_MORE_CODE));
                continue;
            };
            let code = interpreter::code(&call);
            let events = turn.interpreting(place, code.as_deref().unwrap_or_default());
            teller.tell(events).await;
            let (text, came) = came(traced, code, coder, container, room, cx).await?;
            let events = turn.interpreted(place, came);
            teller.tell(events).await;
            results.push(Message::tool(&call.id, text));
            continue;
        }
        let (Some(place), Some(asked)) = (place, &job.ask.search) else {
            results.push(Message::tool(&call.id, NO_MORE));
            continue;
        };
        let events = turn.searching(place);
        teller.tell(events).await;
        let (span, inner) = cx.span(SpanKind::Tool, search::TOOL, traced);
        let queries = search::queries(&call);
        let found = match &queries {
            Ok(queries) => search::run(&*world.searcher, asked, queries, &inner)
                .await
                .map_err(ApiError::from),
            Err(wrong) => Err(ApiError::new(ErrorCode::InvalidRequest, wrong.as_str())),
        };
        let (text, found) = match found {
            Ok(found) => {
                span.finish(json!({ "passages": found.len() }));
                (told(&found, turn.next_mark(), room), Some(found))
            }
            Err(error) => {
                span.fail(&error.message());
                if error.code() == ErrorCode::Cancelled {
                    return Err(error);
                }
                (format!("error: {}", error.message()), None)
            }
        };
        let events = turn.searched(place, queries.unwrap_or_default(), found);
        teller.tell(events).await;
        results.push(Message::tool(&call.id, text));
    }
    Ok(results)
}

#[cfg(test)]
mod tests;
