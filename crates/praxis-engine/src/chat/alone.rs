//! The thread that owns a model on a GPU and answers its requests one after the other, by their turns.
//! Queue, sampler, constraints and the text of answers are those of the other worker
//! ([`super::worker`]); keys and values are the device's, of one sequence.
//!
//! Left out: several answers in one pass, adapters, and guesses, since a device may round the rows of
//! larger products in another way.

#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use praxis_core::{FinishReason, ModelError};

use super::Model;
use super::prefixes::common;
use super::queue::{Job, Queue};
use super::running::{Computed, Failure, Running, Shortcuts, failed};
use crate::error::EngineError;
use crate::gpu::{self, Cache, Decoder};

/// Tokens of a prompt in a pass. Prompts are cut where whole pieces end, so that a beginning that is
/// read again is computed as it was before. Between passes, requests can be cancelled.
const PIECE: usize = if cfg!(test) { 32 } else { 256 };

impl Computed for Cache {
    fn len(&self) -> usize {
        self.len()
    }

    fn truncate(&mut self, tokens: usize) {
        self.truncate(tokens);
    }
}

/// The owner of a model on a device.
pub(super) struct Worker {
    model: Arc<Model>,
    decoder: Decoder,
    queue: Arc<Queue>,
    shortcuts: Shortcuts,
    /// `None` while a request has it.
    cache: Option<Cache>,
    /// What the cache holds of the last prompt, in whole pieces: the next may begin alike.
    kept: Vec<u32>,
}

impl Worker {
    /// A worker for `queue`.
    pub(super) fn new(
        model: Arc<Model>,
        decoder: Decoder,
        queue: Arc<Queue>,
        jump_forward: bool,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            cache: Some(decoder.cache()?),
            model,
            decoder,
            queue,
            shortcuts: Shortcuts {
                prompt_lookup: false,
                jump_forward,
            },
            kept: Vec::new(),
        })
    }

    /// Starts the worker's thread.
    pub(super) fn spawn(mut self) -> Result<(), EngineError> {
        std::thread::Builder::new()
            .name("praxis-chat-gpu".into())
            .spawn(move || {
                while let Some(job) = self.queue.wait() {
                    self.answer(job);
                }
            })
            .map_err(|e| EngineError::Resource(e.to_string()))?;
        Ok(())
    }

    /// Answers a request, and keeps what was computed of its prompt.
    fn answer(&mut self, job: Job) {
        let cache = match self.cache.take().map_or_else(|| self.decoder.cache(), Ok) {
            Ok(cache) => cache,
            Err(error) => {
                let _ = job.sender.send(Err(error.into()));
                return;
            }
        };
        let mut request = Running::new(job, cache, self.shortcuts);
        let prompt = request.tokens.len();
        // The last token is always read: the logits after it are wanted.
        let known = common(&self.kept, &request.tokens).min(prompt.saturating_sub(1));
        request.cache.truncate(known / PIECE * PIECE);
        self.kept.clear();
        // A defect in one request must not take the model away from all others.
        let run = AssertUnwindSafe(|| self.run(&mut request));
        let result = std::panic::catch_unwind(run).unwrap_or_else(|_| {
            request.cache.truncate(0);
            Err(failed())
        });
        let whole = prompt.min(request.cache.len()) / PIECE * PIECE;
        self.kept.extend_from_slice(&request.tokens[..whole]);
        self.queue.took(request.started.elapsed(), 1);
        request.end(result);
        self.cache = Some(request.cache);
    }

    fn run(&self, request: &mut Running<Cache>) -> Result<FinishReason, Failure> {
        // An answer may begin with what its constraint forces, or be nothing else.
        let mut end = request.jump(&self.model)?;
        request.begin();
        loop {
            if let Some(reason) = end {
                return Ok(reason);
            }
            self.queue.drop_over();
            if let Some(error) = request.job.is_over() {
                return Err(Failure::Error(error));
            }
            let Running { tokens, cache, .. } = request;
            let start = cache.len();
            let stop = tokens.len().min((start / PIECE + 1) * PIECE);
            let complete = stop == tokens.len();
            let logits = self
                .decoder
                .forward(&tokens[start..stop], cache, usize::from(complete))
                .map_err(|error| {
                    let problem = format!("the GPU failed: {}", gpu::brief(&error));
                    Failure::Error(ModelError::Broken(problem))
                })?;
            if complete {
                end = request.go_on(&self.model, logits.into_iter())?;
            }
        }
    }
}
