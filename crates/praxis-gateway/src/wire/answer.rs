//! Reading a streamed answer: events in, pieces out, each wait bounded. What an event means is the provider's
//! business ([`Read`]); that an answer ends once, and well or with an error, is this module's.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use praxis_core::{ModelError, Usage};
use reqwest::{Response, header};

use super::frames::{Broken, Events, events};
use super::{Piece, Pieces, Timeouts, failure};
use crate::providers::Dialect;
use crate::tally::Tally;

/// The largest answer that comes as a stream: the longest ones that models write have about a third of it.
const LARGEST: usize = 128 << 20;

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

    /// What the provider told of its use so far, if it did.
    fn usage(&self) -> Option<Usage>;
}

/// When an answer is late.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    began: Instant,
    /// When the provider last showed that it works.
    seen: Instant,
    timeouts: Timeouts,
}

impl Deadlines {
    pub(super) fn start(timeouts: Timeouts) -> Self {
        let began = Instant::now();
        Self {
            began,
            seen: began,
            timeouts,
        }
    }

    /// An event came. It need not say anything: that an answer is in progress, or a model thinks, is enough.
    fn seen(&mut self) {
        self.seen = Instant::now();
    }

    /// How long the next piece may take, and how to tell that it took longer.
    fn wait(&self, started: bool, name: &str) -> (Duration, ModelError) {
        let total = self.timeouts.total.saturating_sub(self.began.elapsed());
        if !started {
            let limit = self.timeouts.first_token;
            let wait = limit.saturating_sub(self.seen.elapsed());
            return match total < wait {
                true => (total, ModelError::Timeout(self.timeouts.total)),
                false => (wait, ModelError::Timeout(limit)),
            };
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
    tally: Tally,
    /// How much came.
    bytes: usize,
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
        tally: Tally,
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
            tally,
            bytes: 0,
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
            self.deadlines.seen();
            self.bytes = self.bytes.saturating_add(event.data.len());
            if self.bytes > LARGEST {
                return Err(self.broken(format!(
                    "the answer of `{}` is larger than {} MiB",
                    self.name,
                    LARGEST >> 20
                )));
            }
            let read = self.reader.event(&event.kind, &event.data, &mut self.ready);
            if let Some(usage) = self.reader.usage() {
                self.tally.told(usage);
            }
            let flow = read.map_err(|fault| self.of_fault(fault))?;
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
            Fault::Said(error) => {
                // As good as a status of an error: nothing was made, unless the provider counted something.
                if self.reader.usage().is_none() {
                    self.tally.refused();
                }
                error
            }
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
