//! Reading a streamed answer: events in, pieces out, each wait bounded. What an event means is the provider's
//! business ([`Read`]); that an answer ends once, and well or with an error, is this module's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use praxis_core::ModelError;
use reqwest::{Response, header};

use super::frames::{Broken, Events, events};
use super::{Piece, Pieces, Timeouts, failure};
use crate::providers::Dialect;

/// Whether an answer goes on after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It may.
    More,
    /// It does not: the connection need not be waited for.
    End,
}

/// Why an event ends its answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is not what the provider's protocol says.
    Garbled(String),
    /// The provider says that something went wrong: an error as it came, for the dialect to understand.
    Told(String),
    /// The same, understood.
    Said(ModelError),
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Fault::Garbled(error.to_string())
    }
}

/// What a provider's events mean: the state of one answer.
pub(crate) trait Read: Send {
    /// Takes an event, and adds the pieces that it holds, but for [`Piece::Done`]. `kind` is empty where the
    /// protocol has no names of events.
    ///
    /// # Errors
    /// What ends the answer.
    fn event(
        &mut self,
        kind: &str,
        data: &str,
        pieces: &mut VecDeque<Piece>,
    ) -> Result<Flow, Fault>;

    /// [`Piece::Done`], where what came is a whole answer.
    fn done(&mut self) -> Option<Piece>;
}

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

/// The state of reading.
pub(super) struct Answer {
    name: String,
    dialect: &'static dyn Dialect,
    events: Events,
    reader: Box<dyn Read>,
    deadlines: Deadlines,
    /// Whether anything came: from then on the answer can break, but not be asked for again.
    started: bool,
    /// Read and not given yet: an event may hold several.
    ready: VecDeque<Piece>,
    /// Whether the provider said that it is over.
    over: bool,
    ended: bool,
}

impl Answer {
    /// The answer that a response brings.
    ///
    /// # Errors
    /// [`ModelError::Unavailable`] for one of another type.
    pub(super) fn new(
        name: String,
        dialect: &'static dyn Dialect,
        response: Response,
        reader: Box<dyn Read>,
        deadlines: Deadlines,
    ) -> Result<Self, ModelError> {
        let framing = dialect.framing();
        if !framing.is_of(&response) {
            let kind = response.headers().get(header::CONTENT_TYPE);
            let kind = kind.and_then(|k| k.to_str().ok()).unwrap_or_default();
            return Err(ModelError::Unavailable(format!(
                "`{name}` answered with `{kind}`, not with a stream (`{}`); is its address right?",
                framing.content_type()
            )));
        }
        Ok(Self {
            name,
            dialect,
            events: events(response, framing),
            reader,
            deadlines,
            started: false,
            ready: VecDeque::new(),
            over: false,
            ended: false,
        })
    }

    pub(super) fn pieces(self) -> Pieces {
        stream::unfold(self, |mut answer| async move {
            if answer.ended {
                return None;
            }
            let piece = answer.next().await;
            answer.ended = matches!(piece, Err(_) | Ok(Piece::Done { .. }));
            Some((piece, answer))
        })
        .boxed()
    }

    /// The next piece.
    async fn next(&mut self) -> Result<Piece, ModelError> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(piece);
            }
            if self.over {
                return self.done();
            }
            let (wait, late) = self.deadlines.wait(self.started, &self.name);
            let Ok(event) = tokio::time::timeout(wait, self.events.next()).await else {
                return Err(late);
            };
            let event = match event {
                Some(Ok(event)) => event,
                Some(Err(error)) => return Err(self.interrupted(error)),
                None => return self.done(),
            };
            let flow = self
                .reader
                .event(&event.kind, &event.data, &mut self.ready)
                .map_err(|fault| self.of_fault(fault))?;
            self.over = flow == Flow::End;
            self.started |= !self.ready.is_empty();
        }
    }

    /// The end of the stream: good only where the answer is whole.
    fn done(&mut self) -> Result<Piece, ModelError> {
        let done = self.reader.done();
        done.ok_or_else(|| {
            self.broken(format!(
                "the answer of `{}` ended without a finish",
                self.name
            ))
        })
    }

    fn interrupted(&self, error: Broken) -> ModelError {
        match error {
            Broken::Transport(e) if !self.started => failure::of_transport(&self.name, &e),
            Broken::Transport(e) => self.broken(format!(
                "the answer of `{}` broke: {}",
                self.name,
                failure::cause(&e)
            )),
            Broken::Garbled(what) => {
                self.broken(format!("the answer of `{}` is garbled: {what}", self.name))
            }
        }
    }

    fn of_fault(&self, fault: Fault) -> ModelError {
        match fault {
            Fault::Told(body) => {
                let error = self.dialect.failure(&self.name, None, &body);
                self.of_fault(Fault::Said(error))
            }
            Fault::Said(error) if self.started => ModelError::Broken(error.to_string()),
            Fault::Said(error) => error,
            Fault::Garbled(what) => self.broken(format!(
                "the answer of `{}` is not what its provider's protocol says: {what}",
                self.name
            )),
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
}
