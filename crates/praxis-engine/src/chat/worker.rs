//! The thread that owns a model's sequences and computes the answers.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use praxis_core::{ChatChunk, FinishReason, ModelError, TokenLogprob, Usage};

use super::Model;
use super::answer::{Answer, Piece};
use super::queue::{Job, Queue};
use super::sequences::{Sequence, Sequences};
use crate::decoder::{Interrupted, Want};
use crate::error::EngineError;
use crate::sampler::{best, log_denominator};

/// Prompt tokens that are computed at a time: enough to reuse each weight many times.
const PREFILL_CHUNK: usize = 256;

/// Why a job ended without an answer.
enum Failure {
    /// Nobody waits any more.
    Abandoned,
    /// The model's numbers broke down.
    Error(ModelError),
}

impl From<Interrupted> for Failure {
    fn from(_: Interrupted) -> Self {
        Failure::Abandoned
    }
}

/// The owner of a model's sequences.
pub(super) struct Worker {
    model: Arc<Model>,
    queue: Arc<Queue>,
    sequences: Sequences,
}

impl Worker {
    /// A worker for `queue` that keeps some past sequences.
    pub(super) fn new(model: Arc<Model>, queue: Arc<Queue>, kept_sequences: usize) -> Self {
        let sequences = Sequences::new(kept_sequences, model.context);
        Self {
            model,
            queue,
            sequences,
        }
    }

    /// Starts the worker's thread and its computing threads.
    pub(super) fn spawn(mut self, threads: usize) -> Result<(), EngineError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("praxis-chat-{i}"))
            .build()
            .map_err(|e| EngineError::Resource(e.to_string()))?;
        std::thread::Builder::new()
            .name("praxis-chat".into())
            .spawn(move || {
                while let Some(job) = self.queue.pop() {
                    let started = Instant::now();
                    pool.install(|| self.serve(job));
                    self.queue.took(started.elapsed());
                }
            })
            .map_err(|e| EngineError::Resource(e.to_string()))?;
        Ok(())
    }

    fn serve(&mut self, mut job: Job) {
        let sender = job.sender.clone();
        // A defect in one answer must not take the model away from all others. The sequence in
        // use is lost with it, the kept ones are untouched.
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| self.answer(&mut job)));
        let end = match result {
            Ok(Ok(end)) => Ok(end),
            Ok(Err(Failure::Abandoned)) => Err(ModelError::Cancelled),
            Ok(Err(Failure::Error(error))) => Err(error),
            Err(_) => Err(ModelError::Internal(
                "the engine failed on this request".into(),
            )),
        };
        // Nobody may be listening any more, which is fine.
        let _ = sender.send(end);
    }

    fn answer(&mut self, job: &mut Job) -> Result<ChatChunk, Failure> {
        if job.is_abandoned() {
            return Err(Failure::Abandoned);
        }
        let decoder = &self.model.decoder;
        let mut sequence = self.sequences.take(&job.prompt, || decoder.new_cache());
        let reused = sequence.tokens.len();
        let mut usage = Usage {
            input_tokens: job.prompt.len() as u64,
            cached_tokens: reused as u64,
            output_tokens: 0,
        };
        let result = self.generate(job, &mut sequence, &mut usage);
        self.sequences.put(sequence);
        result.map(|finish_reason| ChatChunk::Done {
            finish_reason,
            usage,
        })
    }

    fn generate(
        &self,
        job: &mut Job,
        sequence: &mut Sequence,
        usage: &mut Usage,
    ) -> Result<FinishReason, Failure> {
        let mut logits = self.prefill(job, sequence)?;
        let mut answer = Answer::new(std::mem::take(&mut job.stop));
        loop {
            logits.truncate(self.model.tokenizer.len());
            if !logits.iter().all(|l| l.is_finite()) {
                let problem = "the model computed no valid numbers; its file may be damaged";
                return Err(Failure::Error(ModelError::Broken(problem.into())));
            }
            let unfiltered = job.top_logprobs.map(|_| logits.clone());
            let token = job.sampler.sample(&mut logits);
            if self.model.tokenizer.is_end(token) {
                send(job, answer.finish())?;
                return Ok(FinishReason::Stop);
            }
            usage.output_tokens += 1;
            let logprob = unfiltered
                .zip(job.top_logprobs)
                .map(|(logits, n)| self.logprob(&logits, token, n));
            let piece = answer.push(self.model.tokenizer.bytes(token), logprob);
            let stopped = piece.stopped;
            send(job, piece)?;
            if stopped {
                return Ok(FinishReason::Stop);
            }
            if usage.output_tokens >= job.max_tokens as u64 {
                send(job, answer.finish())?;
                return Ok(FinishReason::Length);
            }
            logits = self.forward(job, sequence, &[token], Want::LastLogits)?;
        }
    }

    /// Computes what is new of the prompt; returns the logits after it.
    fn prefill(&self, job: &Job, sequence: &mut Sequence) -> Result<Vec<f32>, Failure> {
        loop {
            let rest = &job.prompt[sequence.tokens.len()..];
            let chunk = &rest[..rest.len().min(PREFILL_CHUNK)];
            let last = chunk.len() == rest.len();
            let want = if last {
                Want::LastLogits
            } else {
                Want::Nothing
            };
            let logits = self.forward(job, sequence, chunk, want)?;
            if last {
                return Ok(logits);
            }
        }
    }

    fn forward(
        &self,
        job: &Job,
        sequence: &mut Sequence,
        tokens: &[u32],
        want: Want,
    ) -> Result<Vec<f32>, Failure> {
        let position = sequence.tokens.len();
        let gone = || job.is_abandoned();
        let logits =
            self.model
                .decoder
                .forward(tokens, position, &mut sequence.cache, want, &gone)?;
        sequence.tokens.extend_from_slice(tokens);
        Ok(logits)
    }

    fn logprob(&self, logits: &[f32], token: u32, alternatives: usize) -> TokenLogprob {
        let denominator = log_denominator(logits);
        let entry = |token: u32| {
            let bytes = self.model.tokenizer.bytes(token);
            TokenLogprob {
                token: String::from_utf8_lossy(bytes).into_owned(),
                logprob: logits[token as usize] - denominator,
                bytes: Some(bytes.to_vec()),
                top_logprobs: Vec::new(),
            }
        };
        let top_logprobs = best(logits, alternatives).into_iter().map(entry).collect();
        TokenLogprob {
            top_logprobs,
            ..entry(token)
        }
    }
}

fn send(job: &Job, piece: Piece) -> Result<(), Failure> {
    let Piece { text, logprobs, .. } = piece;
    if text.is_empty() && logprobs.is_empty() {
        return Ok(());
    }
    job.sender
        .send(Ok(ChatChunk::Delta { text, logprobs }))
        .map_err(|_| Failure::Abandoned)
}
