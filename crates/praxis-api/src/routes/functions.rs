//! `/praxis/v1/functions`: functions by their own signatures, and as a conversation with events that
//! the OpenAI API has no words for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use praxis_core::{
    CallContext, CallError, CallEvent, ErrorCode, Function, Message, Sampling, TraceId,
};
use praxis_function::PromptFunction;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::error::{ApiError, JsonBody};
use crate::guard::{Admitted, Paying};
use crate::sse::{self, EventStream};
use crate::state::ApiState;

/// Events of a call that may wait to be sent.
const EVENTS: usize = 64;

/// Signatures of all functions.
pub(crate) async fn list(State(state): State<ApiState>) -> Json<Value> {
    let mut functions = state.library.list();
    functions.extend(state.library.built_in());
    Json(json!({ "functions": functions }))
}

/// A call by signature.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FunctionCall")]
pub(crate) struct Call {
    input: Value,
    /// What prompts read as `@state`.
    #[serde(default)]
    state: Map<String, Value>,
    #[serde(default)]
    stream: bool,
}

/// Calls a function: as events, or for its output.
pub(crate) async fn call(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    Path(name): Path<String>,
    JsonBody(call): JsonBody<Call>,
) -> Result<Response, ApiError> {
    let function = state.library.function(&name)?;
    let cx = state.context(caller, paying);
    if !call.stream {
        let body = called(function, call, cx).await?;
        return Ok(body.into_response());
    }
    let cx = with_state(cx, call.state);
    let trace = cx.trace_id().clone();
    let guard = cx.cancel().clone().drop_guard();
    let (cx, received) = heard(cx);
    let cancel = cx.cancel().clone();
    let input = call.input;
    let output = async move { function.call(input, &cx).await }.boxed();
    let events = steps(output, cancel, received).map(move |step| told(step, &trace));
    Ok(sse::stream(events, guard).into_response())
}

/// Waits for the output of a function; with the reasoning and the confidence of its technique, where it has one.
async fn called(
    function: Arc<dyn Function>,
    call: Call,
    cx: CallContext,
) -> Result<Json<Value>, ApiError> {
    // A client that goes away drops this future, and with it the call.
    let _guard = cx.cancel().clone().drop_guard();
    let trace = cx.trace_id().clone();
    let (events, mut received) = mpsc::channel(EVENTS);
    let called = async {
        // The context ends with the call, which ends the channel of events.
        let cx = with_state(cx, call.state).with_events(events);
        function.call(call.input, &cx).await
    };
    let concluded = async {
        let mut body = json!({ "trace_id": trace });
        while let Some(event) = received.recv().await {
            if let CallEvent::Concluded {
                reasoning,
                confidence,
            } = event
            {
                body["reasoning"] = json!(reasoning);
                body["confidence"] = json!(confidence);
            }
        }
        body
    };
    let (output, mut body) = tokio::join!(called, concluded);
    body["output"] = output?;
    Ok(Json(body))
}

/// A conversation.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FunctionChat")]
pub(crate) struct Chat {
    messages: Vec<Message>,
    /// What prompts read as `@state`.
    #[serde(default)]
    state: Map<String, Value>,
}

/// Streams an answer as events: `retrieved`, `reasoning`, `tool_called`, `tool_answered`, `partial`,
/// `delta`, `concluded`, `finished`, `cited`, then `done` or `error`.
pub(crate) async fn chat(
    State(state): State<ApiState>,
    Admitted(caller): Admitted,
    paying: Paying,
    Path(name): Path<String>,
    JsonBody(chat): JsonBody<Chat>,
) -> Result<EventStream, ApiError> {
    let function = state.library.get(&name)?;
    let cx = with_state(state.context(caller, paying), chat.state);
    let trace = cx.trace_id().clone();
    let guard = cx.cancel().clone().drop_guard();
    let events = run(function, chat.messages, Sampling::default(), None, cx)
        .map(move |step| told(step, &trace));
    Ok(sse::stream(events, guard))
}

/// A step as an event of a stream.
fn told(step: Step, trace: &TraceId) -> Event {
    match step {
        Step::Event(CallEvent::Retrieved(r)) => sse::named(
            "retrieved",
            &json!({ "passages": r.passages.len(), "relevant": r.is_relevant() }),
        ),
        Step::Event(CallEvent::Delta { text, .. }) => sse::named("delta", &json!({ "text": text })),
        Step::Event(CallEvent::Reasoning { text }) => {
            sse::named("reasoning", &json!({ "text": text }))
        }
        Step::Event(CallEvent::ToolCalled(call)) => sse::named("tool_called", &json!(call)),
        Step::Event(CallEvent::ToolAnswered { id, text, failed }) => sse::named(
            "tool_answered",
            &json!({ "id": id, "text": text, "failed": failed }),
        ),
        Step::Event(CallEvent::Partial(output)) => {
            sse::named("partial", &json!({ "output": output }))
        }
        Step::Event(CallEvent::Concluded {
            reasoning,
            confidence,
        }) => sse::named(
            "concluded",
            &json!({ "reasoning": reasoning, "confidence": confidence }),
        ),
        Step::Event(CallEvent::Finished {
            finish_reason,
            usage,
        }) => sse::named(
            "finished",
            &json!({ "finish_reason": finish_reason, "usage": usage }),
        ),
        Step::Event(CallEvent::Cited { text, citations }) => {
            sse::named("cited", &json!({ "text": text, "citations": citations }))
        }
        Step::Done(Ok(output)) => {
            let refused = output.get("refused").cloned().unwrap_or_default();
            sse::named(
                "done",
                &json!({ "trace_id": trace, "refused": refused, "output": output }),
            )
        }
        Step::Done(Err(error)) => sse::named("error", &ApiError::from(error).body()),
    }
}

/// The context with what prompts read as `@state`.
fn with_state(cx: CallContext, state: Map<String, Value>) -> CallContext {
    if state.is_empty() {
        return cx;
    }
    cx.with_data("state", Value::Object(state))
}

/// What happens in a call, and how it ends.
pub(crate) enum Step {
    Event(CallEvent),
    Done(Result<Value, CallError>),
}

/// Runs a call on a task of its own and gives its steps; the last is [`Step::Done`].
pub(crate) fn run(
    function: Arc<PromptFunction>,
    messages: Vec<Message>,
    sampling: Sampling,
    top_logprobs: Option<u8>,
    cx: CallContext,
) -> impl futures::Stream<Item = Step> + Send + 'static {
    let (cx, received) = heard(cx);
    let cancel = cx.cancel().clone();
    // The context ends with the call, which ends the channel of events.
    let output = async move {
        let output = function.call_chat(messages, sampling, top_logprobs, &cx);
        output.await
    };
    steps(output.boxed(), cancel, received)
}

/// A context whose events are received.
fn heard(cx: CallContext) -> (CallContext, mpsc::Receiver<CallEvent>) {
    let (events, received) = mpsc::channel(EVENTS);
    (cx.with_events(events), received)
}

/// The events that are received, and at the end the output, which is made on a task of its own.
fn steps(
    output: BoxFuture<'static, Result<Value, CallError>>,
    cancel: CancellationToken,
    received: mpsc::Receiver<CallEvent>,
) -> impl futures::Stream<Item = Step> + Send + 'static {
    let task = tokio::spawn(async move {
        // A client that goes away cancels the token; dropping the call stops the model.
        tokio::select! {
            output = output => output,
            () = cancel.cancelled() => {
                Err(CallError::new(ErrorCode::Cancelled, "the call was cancelled"))
            }
        }
    });
    let done = async move {
        Step::Done(task.await.unwrap_or_else(|error| {
            Err(CallError::new(
                ErrorCode::Internal,
                format!("the call's task failed: {error}"),
            ))
        }))
    };
    ReceiverStream::new(received)
        .map(Step::Event)
        .chain(futures::stream::once(done))
}

#[cfg(test)]
mod tests;
