//! The thread that computes transcripts: one window of each in turn, so that a short recording does not wait for a long
//! one. A defect fails the transcript that it was met with, and the thread goes on.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use praxis_core::speech::TranscriptChunk;
use praxis_core::{ModelError, Place};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::decoder::Memory;
use super::linear::{EngineError, cpu};
use super::model::Model;
use super::transcription::Transcription;

type Chunks = UnboundedSender<Result<TranscriptChunk, ModelError>>;

/// A transcript in the making, and where it goes.
pub(super) struct Job {
    transcription: Transcription,
    begun: bool,
    chunks: Chunks,
    stop: CancellationToken,
    /// Its place among those that are made at once.
    _place: Place,
}

/// Whether a job goes on.
enum Turn {
    Again,
    Over,
}

impl Job {
    pub(super) fn new(
        transcription: Transcription,
        chunks: Chunks,
        stop: CancellationToken,
        place: Place,
    ) -> Self {
        Self {
            transcription,
            begun: false,
            chunks,
            stop,
            _place: place,
        }
    }

    /// Does one window.
    fn turn(&mut self, model: &Model, memory: &mut Memory) -> Result<Turn, ModelError> {
        let stop = self.stop.clone();
        let stopped = || stop.is_cancelled();
        if stopped() {
            return Err(ModelError::Cancelled);
        }
        if !self.begun {
            let language = self.transcription.language(model, memory)?.to_owned();
            let duration = self.transcription.seconds();
            self.begun = true;
            return Ok(self.send(TranscriptChunk::Begun { language, duration }));
        }
        let Some(segments) = self.transcription.next(model, memory, &stopped)? else {
            self.send(TranscriptChunk::Done);
            return Ok(Turn::Over);
        };
        for segment in segments {
            if let Turn::Over = self.send(TranscriptChunk::Segment(segment)) {
                return Ok(Turn::Over);
            }
        }
        Ok(Turn::Again)
    }

    fn send(&self, chunk: TranscriptChunk) -> Turn {
        match self.chunks.send(Ok(chunk)) {
            Ok(()) => Turn::Again,
            // Nobody listens any more.
            Err(_) => Turn::Over,
        }
    }
}

/// The way to the thread, which ends when this is dropped.
pub(super) struct Worker {
    jobs: UnboundedSender<Job>,
}

impl Worker {
    /// Starts a thread for a model, with `threads` computing threads of its own, or with those that all encoders share.
    ///
    /// # Errors
    /// [`EngineError::Resource`] where the system gives no thread.
    pub(super) fn start(model: Arc<Model>, threads: Option<usize>) -> Result<Self, EngineError> {
        let pool = threads
            .map(|threads| cpu::pool("praxis-speech", threads))
            .transpose()?;
        let (jobs, receiver) = unbounded_channel();
        std::thread::Builder::new()
            .name("praxis-speech".to_owned())
            .spawn(move || match pool {
                Some(pool) => run(receiver, |job, memory| {
                    pool.install(|| turn(job, &model, memory))
                }),
                None => run(receiver, |job, memory| turn(job, &model, memory)),
            })
            .map_err(|error| EngineError::Resource(format!("no thread: {error}")))?;
        Ok(Self { jobs })
    }

    /// Gives the thread a job. How many there may be is the caller's to bound.
    ///
    /// # Errors
    /// A thread that has stopped.
    pub(super) fn give(&self, job: Job) -> Result<(), ModelError> {
        let stopped =
            |_| ModelError::Internal("the thread of the speech model has stopped".to_owned());
        self.jobs.send(job).map_err(stopped)
    }
}

/// A turn of a job; what panics is a failure of it.
fn turn(job: &mut Job, model: &Model, memory: &mut Memory) -> Turn {
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| job.turn(model, memory)));
    let result = result.unwrap_or_else(|_| {
        *memory = Memory::default();
        Err(ModelError::Internal(
            "the speech model failed on this audio".into(),
        ))
    });
    match result {
        Ok(turn) => turn,
        Err(error) => {
            // Who has gone away needs no answer.
            let _ = job.chunks.send(Err(error));
            Turn::Over
        }
    }
}

fn run(mut receiver: UnboundedReceiver<Job>, mut turn: impl FnMut(&mut Job, &mut Memory) -> Turn) {
    let mut memory = Memory::default();
    let mut jobs: VecDeque<Job> = VecDeque::new();
    loop {
        while let Ok(job) = receiver.try_recv() {
            jobs.push_back(job);
        }
        let Some(mut job) = jobs.pop_front().or_else(|| receiver.blocking_recv()) else {
            return;
        };
        if let Turn::Again = turn(&mut job, &mut memory) {
            jobs.push_back(job);
        }
    }
}
