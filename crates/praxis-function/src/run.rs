//! Drives a technique: does what its machine wants, several questions at a time, within a budget.
//!
//! Left out: what is asked and when (`technique`), and how one question is put and its answer checked
//! (`ask`).

use std::collections::{HashMap, VecDeque};

use futures::StreamExt;
use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::FuturesUnordered;
use praxis_core::{CallError, EmbedKind, ErrorCode};
use serde_json::{Value, json};

use crate::ask::Asking;
use crate::technique::{AskId, Command, Conclusion, Event, Machine};

/// Questions of one call that are with the model at a time; the others wait here, so that a call with
/// many samples leaves room in the engine's queue.
const AT_ONCE: usize = 8;

/// What a call may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Questions to the model, repairs apart.
    pub questions: usize,
    /// Times that an output is asked for again because it did not keep its promise.
    pub repairs: u32,
    /// Tokens that the model writes, all answers together.
    pub tokens: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            questions: 128,
            repairs: 3,
            tokens: 100_000,
        }
    }
}

/// Runs `machine` to its end.
///
/// # Errors
/// What made its questions fail, where it has no other way to an output; `budget_exceeded` where it
/// asks for more than it may, but for a vote that more would not change.
pub(crate) async fn conclude(
    mut machine: Machine,
    asking: &Asking<'_>,
) -> Result<Conclusion, CallError> {
    let mut commands: VecDeque<Command> = machine.start().into();
    let mut waiting: VecDeque<(AskId, Work<'_>)> = VecDeque::new();
    let mut running = FuturesUnordered::new();
    let mut stops: HashMap<AskId, AbortHandle> = HashMap::new();
    let mut error: Option<CallError> = None;
    let mut questions = 0;
    loop {
        while let Some(command) = commands.pop_front() {
            let work: (AskId, Work<'_>) = match command {
                // What still runs is dropped, which stops the model.
                Command::Done(conclusion) => return Ok(conclusion),
                Command::GiveUp => {
                    return Err(error.unwrap_or_else(|| {
                        CallError::new(ErrorCode::Internal, "a technique ended without an output")
                    }));
                }
                Command::Cancel(id) => {
                    waiting.retain(|(waiting, _)| *waiting != id);
                    if let Some(stop) = stops.remove(&id) {
                        stop.abort();
                    }
                    continue;
                }
                Command::Ask { id, ask } => {
                    questions += 1;
                    if questions > asking.budget.questions {
                        let error = Budget::exceeded("questions", asking.budget.questions);
                        return machine.decided().ok_or(error);
                    }
                    (
                        id,
                        Box::pin(async move {
                            let answer = asking.ask(&ask).await?;
                            Ok(Event::Answered { id, answer })
                        }),
                    )
                }
                Command::Embed { id, texts } => (id, Box::pin(embed(asking, id, texts))),
                Command::Grade {
                    id,
                    function,
                    output,
                } => (id, Box::pin(grade(asking, id, function, output))),
            };
            waiting.push_back(work);
        }
        while running.len() < AT_ONCE
            && let Some((id, work)) = waiting.pop_front()
        {
            let (stop, registration) = AbortHandle::new_pair();
            stops.insert(id, stop);
            running.push(Abortable::new(
                async move { (id, work.await) },
                registration,
            ));
        }
        let Some(done) = running.next().await else {
            return Err(CallError::new(
                ErrorCode::Internal,
                "a technique waits for nothing",
            ));
        };
        let Ok((id, result)) = done else {
            // It was cancelled: its machine has forgotten it.
            continue;
        };
        stops.remove(&id);
        let event = match result {
            Ok(event) => event,
            Err(failure) => match failure.code {
                // What holds for the whole call is not for a technique to make up for.
                ErrorCode::Cancelled | ErrorCode::InvalidRequest | ErrorCode::NotFound => {
                    return Err(failure);
                }
                // That of a function which is called for it is its own.
                ErrorCode::BudgetExceeded if asking.is_spent() => {
                    return machine.decided().ok_or(failure);
                }
                _ => {
                    error = Some(failure);
                    Event::Failed { id }
                }
            },
        };
        commands.extend(machine.on(event));
    }
}

type Work<'a> = BoxFuture<'a, Result<Event, CallError>>;

impl Budget {
    /// The error of a call that wants more than it may have.
    pub fn exceeded(what: &str, most: impl std::fmt::Display) -> CallError {
        let message = format!("the call needs more than the {most} {what} of its budget");
        CallError::new(ErrorCode::BudgetExceeded, message)
            .with_hint(format!("raise `{what}` of `praxis.budget` in the prompt"))
    }
}

async fn embed(asking: &Asking<'_>, id: AskId, texts: Vec<String>) -> Result<Event, CallError> {
    let vectors = asking.deps.embedder.embed(EmbedKind::Raw, texts).await?;
    Ok(Event::Embedded { id, vectors })
}

/// A grade by a function: a number, or an object with a `score`.
async fn grade(
    asking: &Asking<'_>,
    id: AskId,
    function: String,
    output: Value,
) -> Result<Event, CallError> {
    let input = json!({ "input": asking.input, "output": output });
    let graded = asking.call(&function, input).await?;
    let score = match &graded {
        Value::Object(map) => map.get("score").and_then(number),
        other => number(other),
    };
    // `nan` is a number to a parser of numbers, and to nobody else.
    let score = score.filter(|score| !score.is_nan()).ok_or_else(|| {
        let message = format!("grader `{function}` gave no number: {graded}");
        CallError::new(ErrorCode::Upstream, message)
            .with_hint("its output must be a number, or an object with a number `score`")
    })?;
    Ok(Event::Graded { id, score })
}

/// A number, or a text that is one.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    }
}
