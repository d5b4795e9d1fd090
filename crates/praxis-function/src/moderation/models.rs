//! The application's guard around chat models that are asked past all functions: it lies over the port, so that whatever
//! asks through it is guarded. What goes in is judged as a whole, with tools, constraints and what came before; what
//! comes out is held back until it is judged, as a function's is, and calls that the model wants made come whole then.
//! Left out: functions, which have a guard of their own around all that they do (`crate::function`).

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::ready;
use futures::{FutureExt, StreamExt, stream};
use praxis_core::chat::Layout;
use praxis_core::{
    CallContext, CallError, CallEvent, ChatChunk, ChatGateway, ChatRequest, ChatStream, Constraint,
    ErrorCode, Message, ModelError, TokenCount, ToolCallDelta, ToolCalls,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::decision::Before;
use super::guard::{Guarding, Watch};
use super::policy::{Guard, Rules};
use super::veil::Veil;
use crate::library::Deps;

/// The most pieces of an answer that are judged and wait to be taken.
const WAITING: usize = 64;

/// The guard of an application for its models.
#[derive(Clone)]
pub struct ModelGuard {
    guard: Arc<Guard>,
    /// What it judges by.
    deps: Deps,
}

impl ModelGuard {
    pub(crate) fn new(guard: Guard, deps: Deps) -> Self {
        Self {
            guard: Arc::new(guard),
            deps,
        }
    }

    /// The same models within this guard.
    #[must_use]
    pub fn over(&self, chat: Arc<dyn ChatGateway>) -> Arc<dyn ChatGateway> {
        let guard = Arc::clone(&self.guard);
        let deps = Deps {
            chat,
            ..self.deps.clone()
        };
        Arc::new(Guarded { guard, deps })
    }

    /// A value as traces have it: without what the guard masks or blocks.
    #[must_use]
    pub fn hidden(&self, value: Value) -> Value {
        match Veil::of(Rules::of(&self.guard.input), false) {
            Some(veil) => veil.traced(&value),
            None => value,
        }
    }
}

/// Models within a guard.
struct Guarded {
    guard: Arc<Guard>,
    deps: Deps,
}

#[async_trait]
impl ChatGateway for Guarded {
    async fn chat(
        &self,
        mut request: ChatRequest,
        cx: &CallContext,
    ) -> Result<ChatStream, ModelError> {
        let json = matches!(
            request.constraint,
            Some(Constraint::JsonSchema(_) | Constraint::JsonObject)
        );
        let veil = Veil::of(Rules::of(&self.guard.input), json);
        let deps = match &veil {
            Some(veil) => veil.over(&self.deps),
            None => self.deps.clone(),
        };
        let beside = beside(&request);
        let mut guarding = Guarding::new(&self.guard, Before::Models, &deps);
        let let_in = guarding.let_in(&beside, &request.messages, cx);
        let_in.await.map_err(refused)?;
        let own = guarding.into_own();
        if let Some(veil) = &veil {
            veil.beside(&mut request);
        }
        let answer = deps.chat.chat(request, cx).await?;
        if self.guard.output.is_empty() {
            return Ok(answer);
        }
        let output = Output {
            guard: Arc::clone(&self.guard),
            deps,
            own,
            json,
            cx: cx.clone(),
        };
        Ok(match self.guard.holds_back() {
            true => output.held(answer),
            false => output.noted(answer),
        })
    }

    fn reads(&self, model: &str, media_type: &str) -> bool {
        self.deps.chat.reads(model, media_type)
    }

    fn window(&self, model: &str) -> Option<usize> {
        self.deps.chat.window(model)
    }

    async fn count_tokens(
        &self,
        model: &str,
        messages: &[Message],
    ) -> Result<TokenCount, ModelError> {
        self.deps.chat.count_tokens(model, messages).await
    }
}

/// What a guard ends a call with, on its way through the port.
fn refused(error: CallError) -> ModelError {
    ModelError::Limited(Box::new(error))
}

/// What of a request a model reads beside the texts of its messages. The schemas of tools have many short texts, which
/// are one to who judges them; so are a schema of the answer with what it is called, and the names of who wrote messages.
fn beside(request: &ChatRequest) -> Value {
    let mut all = Vec::new();
    for tool in &request.tools {
        let said = format!("{}\n{}\n{}", tool.name, tool.description, tool.parameters);
        all.push(Value::String(said));
    }
    match &request.constraint {
        None | Some(Constraint::JsonObject) => {}
        Some(Constraint::JsonSchema(schema)) => {
            let form = &request.extras.form;
            let told = form.name.iter().chain(&form.description).cloned();
            let told: Vec<String> = told.chain([schema.to_string()]).collect();
            all.push(json!(told.join("\n")));
        }
        Some(Constraint::Regex(text) | Constraint::Grammar(text)) => all.push(json!(text)),
        Some(Constraint::Choice(texts)) => all.push(json!(texts.join("\n"))),
    }
    let names = request.messages.iter().filter_map(|m| m.name.as_deref());
    let names: Vec<&str> = names.collect();
    if !names.is_empty() {
        all.push(json!(names.join("\n")));
    }
    if let Layout::Infill { suffix } = &request.layout {
        all.push(json!(suffix));
    }
    Value::Array(all)
}

/// The output of a call.
struct Output {
    guard: Arc<Guard>,
    deps: Deps,
    /// What of the input is the caller's own.
    own: HashSet<String>,
    /// Whether the answer is to be JSON.
    json: bool,
    cx: CallContext,
}

/// What a model has said.
#[derive(Default)]
struct Said {
    text: String,
    reasoning: String,
    calls: ToolCalls,
}

impl Said {
    fn push(&mut self, chunk: &ChatChunk) {
        match chunk {
            ChatChunk::Delta { text, .. } => self.text.push_str(text),
            ChatChunk::Reasoning(text) => self.reasoning.push_str(text),
            ChatChunk::ToolCall(delta) => self.calls.push(delta),
            ChatChunk::Done { .. } => {}
        }
    }

    /// The text as it is judged: as the value that it is, where it is to be JSON.
    fn output(&mut self, json: bool) -> Value {
        let text = std::mem::take(&mut self.text);
        let value = json.then(|| serde_json::from_str(&text).ok()).flatten();
        value.unwrap_or(Value::String(text))
    }
}

impl Output {
    /// An answer that is held back until it is judged.
    fn held(self, answer: ChatStream) -> ChatStream {
        let (events, mut heard) = mpsc::channel(WAITING);
        let (ended, end) = oneshot::channel();
        let run = async move {
            let outcome = self.passed(answer, events).await;
            // Nobody waits for it where the answer is not wanted any more.
            let _ = ended.send(outcome);
        };
        let nothing = || ready(None::<Result<ChatChunk, ModelError>>);
        let running = run.into_stream().filter_map(move |()| nothing());
        let mut calls = 0;
        let chunks = stream::poll_fn(move |cx| heard.poll_recv(cx))
            .filter_map(move |event| ready(chunk(event, &mut calls).map(Ok)));
        let last = stream::once(end).filter_map(|outcome| {
            let failed = outcome.ok().and_then(Result::err);
            ready(failed.map(|error| Err(refused(error))))
        });
        // Who drops it drops the answer, which stops the model.
        stream::select(running, chunks.chain(last)).boxed()
    }

    /// Hands on as events what is judged by now.
    async fn passed(
        self,
        answer: ChatStream,
        events: mpsc::Sender<CallEvent>,
    ) -> Result<(), CallError> {
        let cx = &self.cx;
        let own_cancel = cx.cancel().child_token();
        // Dropped at the end, which ends the events.
        let heard = cx.clone().with_events(events).with_cancel(own_cancel);
        let guarding = Guarding::new(&self.guard, Before::Models, &self.deps).knowing(self.own);
        let (span, judging) = guarding.begin_output(cx);
        let mut watch = guarding.watch(self.json);
        let outcome = relayed(answer, &mut watch, self.json, (&heard, &judging)).await;
        watch.end(span, outcome)
    }

    /// An answer of which the trace says what was found, and that is not held back: its end alone is.
    fn noted(self, answer: ChatStream) -> ChatStream {
        let (mut said, mut waiting) = (Said::default(), Some(self));
        let answer = answer.then(move |chunk| {
            let mut judged = None;
            if let Ok(chunk) = &chunk {
                said.push(chunk);
                if matches!(chunk, ChatChunk::Done { .. }) {
                    judged = waiting.take().map(|out| (out, std::mem::take(&mut said)));
                }
            }
            async move {
                if let Some((output, said)) = judged {
                    output.judge(said).await.map_err(refused)?;
                }
                chunk
            }
        });
        answer.boxed()
    }

    /// Judges a whole answer that was heard.
    async fn judge(self, mut said: Said) -> Result<(), CallError> {
        let guarding = Guarding::new(&self.guard, Before::Models, &self.deps).knowing(self.own);
        let (span, judging) = guarding.begin_output(&self.cx);
        let mut watch = guarding.watch(self.json);
        let calls = said.calls.as_slice().iter();
        let calls: Vec<&str> = calls.map(|call| call.arguments.as_str()).collect();
        let mut beside = Some(format!("{}\n{}", said.reasoning, calls.join("\n")));
        let output = said.output(self.json);
        let outcome = watch.settle(output, &mut beside, None, &judging).await;
        watch.end(span, outcome.map(drop))
    }
}

/// Takes an answer to its end and says what of it is judged.
async fn relayed(
    mut answer: ChatStream,
    watch: &mut Watch<'_>,
    json: bool,
    (heard, judging): (&CallContext, &CallContext),
) -> Result<(), CallError> {
    let mut said = Said::default();
    while let Some(piece) = answer.next().await {
        let piece = piece?;
        said.push(&piece);
        let event = match piece {
            ChatChunk::Delta { text, logprobs } => CallEvent::Delta { text, logprobs },
            ChatChunk::Reasoning(text) => CallEvent::Reasoning { text },
            // A call can be judged when it is whole.
            ChatChunk::ToolCall(_) => continue,
            ChatChunk::Done {
                finish_reason,
                usage,
            } => {
                watch.say_rest(heard).await?;
                let output = said.output(json);
                for call in said.calls.finish() {
                    watch.take(CallEvent::ToolCalled(call), heard).await?;
                }
                watch
                    .settle(output, &mut None, Some(heard), judging)
                    .await?;
                let end = CallEvent::Finished {
                    finish_reason,
                    usage,
                };
                heard.emit(end).await;
                return Ok(());
            }
        };
        watch.take(event, heard).await?;
    }
    let message = "the answer ended without a finish reason";
    Err(CallError::new(ErrorCode::Upstream, message))
}

/// A piece of an answer that was let through; `calls` counts those that the model wants made.
fn chunk(event: CallEvent, calls: &mut usize) -> Option<ChatChunk> {
    Some(match event {
        CallEvent::Delta { text, logprobs } => ChatChunk::Delta { text, logprobs },
        CallEvent::Reasoning { text } => ChatChunk::Reasoning(text),
        CallEvent::ToolCalled(call) => {
            let index = *calls;
            *calls += 1;
            ChatChunk::ToolCall(ToolCallDelta {
                index,
                id: Some(call.id),
                name: Some(call.name),
                arguments: call.arguments,
            })
        }
        CallEvent::Finished {
            finish_reason,
            usage,
        } => ChatChunk::Done {
            finish_reason,
            usage,
        },
        // Only functions say these.
        CallEvent::Retrieved(_)
        | CallEvent::ToolAnswered { .. }
        | CallEvent::Partial(_)
        | CallEvent::Concluded { .. }
        | CallEvent::Cited { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use praxis_core::chat::{Extras, Form};

    use super::*;

    #[test]
    fn names_that_a_client_chooses_are_judged_too() {
        let by = |name: &str| Message {
            name: Some(name.to_owned()),
            ..Message::user("Hi")
        };
        let form = Form {
            name: Some("answer".to_owned()),
            description: Some("What it is for.".to_owned()),
            ..Form::default()
        };
        let request = ChatRequest {
            messages: vec![by("ann"), Message::user("Hi"), by("bo")],
            constraint: Some(Constraint::JsonSchema(json!({}))),
            extras: Extras {
                form,
                ..Extras::default()
            },
            ..ChatRequest::default()
        };
        let expected = json!(["answer\nWhat it is for.\n{}", "ann\nbo"]);
        assert_eq!(beside(&request), expected);
    }
}
