//! `/v1/responses` (OpenAI API reference, "Responses"): a request becomes a response, now, as a stream or in the
//! background. Handlers read and shape; the making is `crate::responses`.

pub(crate) mod compact;
mod input;
mod kept;
pub(crate) mod request;
mod tools;

use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response as HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use futures::stream::BoxStream;
use praxis_core::{CallContext, Caller, ErrorCode};
use praxis_store::{ResponseStatus, Scope};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::input::{Entry, InItem};
pub(super) use self::kept::{Shown, paged};
pub(crate) use self::kept::{cancel, delete, input_items, retrieve};
use self::request::{Before, Create};
use self::tools::{Offered, offered};
use super::chat::{PATIENCE, origin};
use crate::error::{ApiError, JsonBody, KeptBody};
use crate::guard::{Admitted, Paying, Resuming, TAGS};
use crate::responses::again::{Resumed, Waiting};
use crate::responses::attached::Reader;
use crate::responses::background::Chance;
use crate::responses::event::Line;
use crate::responses::interpreter::{self, Coder};
use crate::responses::item::Item;
use crate::responses::prompt::prompt;
use crate::responses::record::{Failure, Outcome, Response};
use crate::responses::run::{Job, Target, World, perform, perform_in_turn};
use crate::responses::search::Searcher;
use crate::responses::tell::{Log, Teller};
use crate::responses::trim::of_tools;
use crate::responses::turn::Turn;
use crate::sse;
use crate::state::ApiState;

/// Items of one request, at most, and those of them that are references.
const MOST_ITEMS: usize = 2000;
const MOST_REFERENCES: usize = 100;

/// Bytes of all files that a container is given.
const MOST_GIVEN: u64 = 16 << 20;

/// Makes a response.
pub(crate) async fn create(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    headers: HeaderMap,
    Resuming(resumed): Resuming,
    KeptBody(mut request, body): KeptBody<Create>,
) -> Result<HttpResponse, ApiError> {
    request.check()?;
    if request.model.is_none() {
        return Err(ApiError::invalid("model", "`model` is missing"));
    }
    let offered = offered(request.tools.as_deref(), request.tool_choice.as_ref())?;
    if request.function().is_some() {
        paying.is_for(Scope::Functions)?;
    }
    if offered.search.is_some() {
        paying.is_for(Scope::VectorStores)?;
    }
    if let Some(container) = &offered.container {
        paying.is_for(Scope::Functions)?;
        if !container.files.is_empty() {
            paying.is_for(Scope::Files)?;
        }
    }
    let reads_files = paying.is_for(Scope::Files).is_ok();
    let (is_streamed, in_background) = (request.is_streamed(), request.is_background());
    let brought = in_background.then(|| match resumed {
        Some(resumed) => Brought::Again(resumed),
        None => Brought::Now(waiting(&state, &paying, &headers, &body)),
    });
    let cx = state.context(caller, paying.by_user(request.payer()));
    let origin = origin(&headers);
    let job = job(&state, &mut request, &offered, cx, origin, reads_files).await?;
    match brought {
        Some(brought) => begin_in_background(&state, job, is_streamed, brought).await,
        None => wait_for(&state, job, is_streamed).await,
    }
}

/// How a response in the background came.
enum Brought {
    /// By a client, with what it can be made by again.
    Now(Waiting),
    /// From a process that is gone; it is kept already.
    Again(Resumed),
}

/// What a response in the background can be made by again.
fn waiting(state: &ApiState, paying: &Paying, headers: &HeaderMap, body: &Bytes) -> Waiting {
    let text = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    Waiting {
        body: String::from_utf8_lossy(body).into_owned(),
        maker: state.batches.maker(paying.holder()),
        tags: text(TAGS),
        host: text(header::HOST.as_str()),
    }
}

/// Counts the tokens of a request.
pub(crate) async fn input_tokens(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    JsonBody(mut request): JsonBody<Create>,
) -> Result<Json<Value>, ApiError> {
    request.check()?;
    if request.function().is_some() {
        let message = "the prompt of a function is made when it is called: name a model";
        return Err(ApiError::invalid("model", message));
    }
    let offered = offered(request.tools.as_deref(), request.tool_choice.as_ref())?;
    let include = request.included()?;
    let ask = request.ask(Target::Model, &offered, include, String::new());
    let (before, input) = items(&state, &mut request, &caller).await?;
    let past = before.len();
    let mut all = [before, input].concat();
    let reads_files = paying.is_for(Scope::Files).is_ok();
    Reader::new(&state, &caller, reads_files, Some(ask.model.as_str()))
        .lay_in(&mut all, past)
        .await?;
    let room = ask.room(&*state.chat);
    let prompt = prompt(request.instructions.as_deref(), &all, room);
    let prompt = prompt.map_err(|what| ApiError::invalid("input", what))?;
    let count = state
        .chat
        .count_tokens(&ask.model, &prompt.messages)
        .await?;
    let tokens = count.total() + of_tools(&ask.offered(false));
    Ok(Json(
        json!({ "object": "response.input_tokens", "input_tokens": tokens }),
    ))
}

/// A request as a response that is to be made.
async fn job(
    state: &ApiState,
    request: &mut Create,
    offered: &Offered,
    cx: CallContext,
    origin: String,
    reads_files: bool,
) -> Result<Job, ApiError> {
    let target = match request.function() {
        Some(name) => Target::Function(state.library.get(name)?),
        None => Target::Model,
    };
    let include = request.included()?;
    let mut ask = request.ask(target, offered, include, origin);
    let clearance = &cx.caller().clearance;
    for store in offered.search.iter().flat_map(|search| &search.stores) {
        let found = state.vector_stores.get(store, clearance).await;
        found.map_err(|error| ApiError::from(error).about("tools"))?;
    }
    let (before, input) = items(state, request, cx.caller()).await?;
    let past = before.len();
    let mut all = [before, input.clone()].concat();
    if all.is_empty() {
        return Err(ApiError::invalid("input", "`input` is missing"));
    }
    if let (Some(container), Some(asked)) = (&mut ask.container, &offered.container) {
        if coder(state).is_none() {
            let message =
                "this application runs no code: it has no `tools/code_interpreter.python.toml`";
            return Err(ApiError::invalid("tools", message));
        }
        container.files = given(state, &asked.files, cx.caller()).await?;
        // As OpenAI has it: the container of the conversation, as long as it is there.
        container.id = container
            .id
            .take()
            .or_else(|| interpreter::last_container(&all));
    }
    let model = match ask.target {
        Target::Model => Some(ask.model.as_str()),
        Target::Function(_) => None,
    };
    Reader::new(state, cx.caller(), reads_files, model)
        .lay_in(&mut all, past)
        .await?;
    let room = ask.room(&*state.chat);
    let prompt = prompt(request.instructions.as_deref(), &all, room);
    let (previous, conversation) = match request.before() {
        Before::Nothing => (None, None),
        Before::Response(id) => (Some(id), None),
        Before::Conversation(id) => (None, Some(id)),
    };
    let mut outcome = Outcome::default();
    let trace = json!(cx.trace_id());
    outcome.praxis.insert("trace_id".to_owned(), trace);
    Ok(Job {
        response: Response {
            id: format!("resp_{}", cx.trace_id()),
            status: ResponseStatus::InProgress,
            created: state.responses.now(),
            ended: None,
            background: false,
            streamed: false,
            previous,
            conversation,
            echo: request.echo(offered),
            outcome,
            output: Vec::new(),
        },
        prompt: prompt.map_err(|what| ApiError::invalid("input", what))?,
        ask,
        input,
        kept: request.is_kept(),
        cx,
    })
}

/// What came before a request, and what it brings.
async fn items(
    state: &ApiState,
    request: &mut Create,
    caller: &Caller,
) -> Result<(Vec<Item>, Vec<Item>), ApiError> {
    let before = match request.before() {
        Before::Nothing => Vec::new(),
        Before::Response(id) => state.responses.before(&id, caller).await?,
        Before::Conversation(id) => state.responses.said_in(&id, caller).await?,
    };
    let input = read_items(state, request.items(), "input", caller).await?;
    Ok((before, input))
}

/// Items that a client sent as the field `place`, those that it refers to, or has the seal of, among them.
///
/// # Errors
/// Where something is wrong, and what.
pub(super) async fn read_items(
    state: &ApiState,
    sent: Vec<Value>,
    place: &str,
    caller: &Caller,
) -> Result<Vec<Item>, ApiError> {
    if sent.len() > MOST_ITEMS {
        let message = format!("`{place}` has at most {MOST_ITEMS} items");
        return Err(ApiError::invalid(place, message));
    }
    let (mut items, mut references) = (Vec::with_capacity(sent.len()), 0);
    for (i, value) in sent.into_iter().enumerate() {
        let at = format!("{place}[{i}]");
        let item: InItem = serde_json::from_value(value)
            .map_err(|error| ApiError::invalid(&at, format!("`{at}`: {error}")))?;
        let entry = item
            .entry()
            .map_err(|(inside, what)| ApiError::invalid(&format!("{at}{inside}"), what))?;
        items.push(match entry {
            Entry::Item(item) => item,
            Entry::Reference(_) | Entry::Sealed(_) if references == MOST_REFERENCES => {
                let message = format!("`{place}` refers to at most {MOST_REFERENCES} items");
                return Err(ApiError::invalid(place, message));
            }
            Entry::Reference(id) => {
                references += 1;
                let found = state.responses.item(&id, caller).await;
                found.map_err(|error| error.about(&at))?
            }
            Entry::Sealed(content) => {
                references += 1;
                let found = state.responses.compaction(&content, caller).await;
                found.map_err(|error| error.about(&format!("{at}.encrypted_content")))?
            }
        });
    }
    match twice(&items) {
        None => Ok(items),
        Some(id) => {
            let message = format!("two items have the id `{id}`");
            Err(ApiError::invalid(place, message))
        }
    }
}

/// An id that two items have.
fn twice(items: &[Item]) -> Option<String> {
    let mut ids = HashSet::new();
    let mut all = items.iter().map(Item::id);
    all.find(|id| !ids.insert(*id)).map(str::to_owned)
}

/// What runs code, if the application has it.
fn coder(state: &ApiState) -> Option<Coder> {
    Some(Coder {
        run: state.library.function(interpreter::RUN).ok()?,
        file: state.library.function(interpreter::FILE).ok()?,
    })
}

/// Files of the client's as the interpreter takes them.
async fn given(state: &ApiState, ids: &[String], caller: &Caller) -> Result<Vec<Value>, ApiError> {
    let (mut given, mut left) = (Vec::with_capacity(ids.len()), MOST_GIVEN);
    for id in ids {
        let file = state.files.get(id, &caller.clearance).await;
        let file = file.map_err(|error| ApiError::from(error).about("tools"))?;
        let Some(rest) = left.checked_sub(file.bytes) else {
            let message =
                format!("the files of a container have at most {MOST_GIVEN} bytes together");
            return Err(ApiError::new(ErrorCode::TooLarge, message).about("tools"));
        };
        left = rest;
        let mut bytes = Vec::new();
        let mut content = state.files.content(&file).await?;
        let read = content.read_to_end(&mut bytes).await;
        read.map_err(praxis_core::CallError::failure)?;
        let name = file.filename.replace(['/', '\\'], "_");
        let name = name.trim_start_matches('.');
        given.push(json!({ "name": name, "base64": STANDARD.encode(bytes) }));
    }
    Ok(given)
}

fn world(state: &ApiState) -> World {
    World {
        chat: Arc::clone(&state.chat),
        searcher: Arc::clone(&state.vector_stores) as Arc<dyn Searcher>,
        coder: coder(state),
        responses: Arc::clone(&state.responses),
        guard: state.library.model_guard().cloned(),
    }
}

/// Makes a response that the client waits for.
async fn wait_for(state: &ApiState, job: Job, is_streamed: bool) -> Result<HttpResponse, ApiError> {
    let guard = job.cx.cancel().clone().drop_guard();
    let (world, include) = (world(state), job.ask.include);
    if !is_streamed {
        let response = perform(job, &world, Teller::nobody()).await?;
        drop(guard);
        return Ok(Json(response.shown(include)).into_response());
    }
    let (teller, heard) = Teller::client();
    tokio::spawn(async move {
        // What went wrong was told.
        let _ = perform(job, &world, teller).await;
    });
    // An error that comes before the first piece has its own status, as clients expect it.
    let begun = tokio::time::timeout(PATIENCE, heard.begun).await;
    match begun {
        Ok(Ok(Err(error))) => Err(error),
        _ => Ok(streamed(heard.lines, guard)),
    }
}

/// Begins a response that nobody waits for.
async fn begin_in_background(
    state: &ApiState,
    mut job: Job,
    is_streamed: bool,
    brought: Brought,
) -> Result<HttpResponse, ApiError> {
    if let Target::Model = job.ask.target {
        let is_there = |name: &str| (state.models)().iter().any(|model| model.id == name);
        if !job.ask.model.is_empty() && !is_there(&job.ask.model) {
            let message = format!("no model is called `{}`", job.ask.model);
            return Err(ApiError::new(ErrorCode::NotFound, message).about("model"));
        }
    }
    let background = state.responses.background();
    let key = job.cx.payer().key.as_deref();
    let place = match brought {
        Brought::Now(_) => background.admit(key)?,
        Brought::Again(_) => background.admit_again(key)?,
    };
    let cancel = background.token();
    job.cx = job.cx.with_cancel(cancel.clone());
    job.response.status = ResponseStatus::Queued;
    job.response.background = true;
    job.response.streamed = is_streamed;
    match brought {
        Brought::Now(waiting) => {
            let (request, caller) = (json!(waiting).to_string(), job.cx.caller());
            let responses = &state.responses;
            let put = responses.put_waiting(&job.response, &job.input, &request, caller);
            put.await?;
        }
        Brought::Again(resumed) => {
            (job.response.id, job.response.created) = (resumed.id, resumed.created);
        }
    }
    let log = is_streamed.then(|| Arc::new(Log::default()));
    let mut teller = match &log {
        Some(log) => Teller::log(Arc::clone(log)),
        None => Teller::nobody(),
    };
    let include = job.ask.include;
    let begun =
        ["response.created", "response.queued"].map(|kind| job.response.told(kind, include));
    teller.tell(begun.into()).await;
    let shown = job.response.shown(include);
    let (id, broken) = (job.response.id.clone(), job.response.clone());
    let (world, responses) = (world(state), Arc::clone(&state.responses));
    let run = move |chance: Chance| async move {
        perform_in_turn(job, &world, teller, chance).await;
    };
    let note = move || async move {
        let mut broken = broken;
        let failure = Failure::of_server("the response met a defect of Praxis");
        broken.fail(failure, Turn::default(), responses.now());
        if let Err(error) = responses.end(&broken, &[], Vec::new()).await {
            tracing::error!(why = error.message(), "a response was not noted as failed");
        }
    };
    background.start(place, &id, cancel, log.clone(), run, note);
    match log {
        None => Ok(Json(shown).into_response()),
        Some(log) => {
            let guard = CancellationToken::new().drop_guard();
            Ok(streamed(log.follow(None).boxed(), guard))
        }
    }
}

/// Events on their way to a client. Who goes away drops `guard`.
fn streamed(lines: BoxStream<'static, Line>, guard: DropGuard) -> HttpResponse {
    let event = |line: Line| Event::default().event(&*line.kind).data(&*line.data);
    sse::stream(lines.map(event), guard).into_response()
}
