//! Reading a streamed answer: server-sent events in, pieces out, each wait bounded.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use eventsource_stream::{Event, EventStreamError, Eventsource};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use praxis_core::chat::FinishReason;
use praxis_core::tool::MAX_TOOL_CALLS;
use praxis_core::{ModelError, Usage};
use reqwest::Response;

use super::{Piece, Pieces, Timeouts, failure, tools, wire};

/// When an answer is late.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    began: Instant,
    timeouts: Timeouts,
}

impl Deadlines {
    pub(super) fn start(timeouts: Timeouts) -> Self {
        Self {
            began: Instant::now(),
            timeouts,
        }
    }

    /// How long the next piece may take, and how to tell that it took longer.
    fn wait(&self, started: bool, name: &str) -> (Duration, ModelError) {
        let elapsed = self.began.elapsed();
        let total = self.timeouts.total.saturating_sub(elapsed);
        if !started {
            let limit = self.timeouts.first_token.min(self.timeouts.total);
            return (limit.saturating_sub(elapsed), ModelError::Timeout(limit));
        }
        let (wait, limit, what) = if total < self.timeouts.idle {
            (total, self.timeouts.total, "was not complete within")
        } else {
            (
                self.timeouts.idle,
                self.timeouts.idle,
                "stopped: nothing came for",
            )
        };
        (
            wait,
            ModelError::Broken(format!("the answer of `{name}` {what} {limit:?}")),
        )
    }
}

type Events = BoxStream<'static, Result<Event, EventStreamError<reqwest::Error>>>;

/// The state of reading.
pub(super) struct Reader {
    name: String,
    events: Events,
    deadlines: Deadlines,
    /// Whether any token came: from then on the answer can break, but not be asked for again.
    started: bool,
    finish: Option<FinishReason>,
    /// Whether tools were called: some servers say `stop` then.
    called: bool,
    calls: tools::Calls,
    usage: Option<Usage>,
    /// Read and not given yet: an event may hold several.
    ready: VecDeque<Piece>,
    ended: bool,
}

impl Reader {
    pub(super) fn new(name: String, response: Response, deadlines: Deadlines) -> Self {
        let events = response.bytes_stream().eventsource().boxed();
        Self {
            name,
            events,
            deadlines,
            started: false,
            finish: None,
            called: false,
            calls: tools::Calls::default(),
            usage: None,
            ready: VecDeque::new(),
            ended: false,
        }
    }

    pub(super) fn pieces(self) -> Pieces {
        stream::unfold(self, |mut reader| async move {
            if reader.ended {
                return None;
            }
            let piece = reader.next().await;
            reader.ended = !matches!(piece, Ok(Piece::Delta { .. } | Piece::ToolCall(_)));
            Some((piece, reader))
        })
        .boxed()
    }

    /// The next piece.
    async fn next(&mut self) -> Result<Piece, ModelError> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(piece);
            }
            let (wait, late) = self.deadlines.wait(self.started, &self.name);
            let Ok(event) = tokio::time::timeout(wait, self.events.next()).await else {
                return Err(late);
            };
            let event = match event {
                Some(Ok(event)) => event,
                Some(Err(error)) => return Err(self.interrupted(&error)),
                None => return self.done(),
            };
            if event.data.trim() == "[DONE]" {
                return self.done();
            }
            self.read(&event.data)?;
        }
    }

    /// The end of the stream: good only after a finish reason.
    fn done(&self) -> Result<Piece, ModelError> {
        match self.finish {
            Some(finish_reason) => Ok(Piece::Done {
                finish_reason: match finish_reason {
                    FinishReason::Stop if self.called => FinishReason::ToolCalls,
                    other => other,
                },
                usage: self.usage,
            }),
            None => Err(self.broken(format!(
                "the answer of `{}` ended without a finish",
                self.name
            ))),
        }
    }

    fn interrupted(&self, error: &EventStreamError<reqwest::Error>) -> ModelError {
        match error {
            EventStreamError::Transport(e) if !self.started => failure::of_transport(&self.name, e),
            EventStreamError::Transport(e) => self.broken(format!(
                "the answer of `{}` broke: {}",
                self.name,
                failure::cause(e)
            )),
            other => self.broken(format!("the answer of `{}` is garbled: {other}", self.name)),
        }
    }

    /// An error of the answer: before the first token another attempt may do better.
    fn broken(&self, message: String) -> ModelError {
        if self.started {
            ModelError::Broken(message)
        } else {
            ModelError::Unavailable(message)
        }
    }

    fn read(&mut self, data: &str) -> Result<(), ModelError> {
        let event: wire::ChatEvent = serde_json::from_str(data).map_err(|e| {
            self.broken(format!(
                "the answer of `{}` is not OpenAI's: {e}",
                self.name
            ))
        })?;
        if let Some(error) = event.error.filter(|e| !e.is_null()) {
            let error = failure::of_body(&self.name, None, &error.to_string());
            return Err(if self.started {
                ModelError::Broken(error.to_string())
            } else {
                error
            });
        }
        if let Some(usage) = event.usage {
            self.usage = Some(usage.into());
        }
        // Requests ask for one choice, so others can only be a server's mistake.
        let Some(choice) = event.choices.into_iter().next() else {
            return Ok(());
        };
        if let Some(reason) = choice.finish_reason.as_deref().filter(|r| !r.is_empty()) {
            self.finish = Some(wire::finish_reason(reason));
        }
        let text = choice.delta.content.unwrap_or_default();
        let logprobs = choice.logprobs.and_then(|l| l.content).unwrap_or_default();
        let calls = choice.delta.tool_calls.unwrap_or_default();
        self.called |= !calls.is_empty();
        self.started |= !text.is_empty()
            || !calls.is_empty()
            || choice
                .delta
                .reasoning_content
                .is_some_and(|thought| !thought.is_empty());
        if !(text.is_empty() && logprobs.is_empty()) {
            self.ready.push_back(Piece::Delta { text, logprobs });
        }
        for call in calls.into_iter().take(MAX_TOOL_CALLS) {
            let delta = self.calls.take(call);
            self.ready.push_back(Piece::ToolCall(delta));
        }
        Ok(())
    }
}
