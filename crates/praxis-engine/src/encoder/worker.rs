//! The thread that computes: async callers hand it inputs over a bounded queue and await outputs. A
//! defect fails those that it was met with, and the thread goes on.

use std::panic::AssertUnwindSafe;

use praxis_core::ModelError;
use tokio::sync::{mpsc, oneshot};

use crate::{EngineError, cpu};

/// Jobs that may wait; more make their callers wait.
const QUEUE: usize = 16;

/// Inputs computed in one go: a job that comes while these are computed waits for no more.
const AT_ONCE: usize = 64;

type Outputs<O> = Result<Vec<O>, ModelError>;

/// Some inputs of one caller, and where the outputs go.
struct Job<I, O> {
    inputs: Vec<I>,
    /// Closed where the caller has gone away: the job is then skipped.
    reply: oneshot::Sender<Outputs<O>>,
}

/// The way to the thread, which ends when this is dropped.
pub(super) struct Worker<I, O> {
    jobs: mpsc::Sender<Job<I, O>>,
}

impl<I: Send + 'static, O: Send + 'static> Worker<I, O> {
    /// Starts a thread on which `compute` makes one output of each input, in order, with `threads`
    /// computing threads of its own, or with those that all encoders share: one for each processor.
    pub(super) fn start(
        name: &str,
        threads: Option<usize>,
        compute: impl Fn(Vec<I>) -> Outputs<O> + Send + Sync + 'static,
    ) -> Result<Self, EngineError> {
        let pool = threads
            .map(|threads| cpu::pool(name, threads))
            .transpose()?;
        let compute = move |inputs| match &pool {
            Some(pool) => pool.install(|| compute(inputs)),
            None => compute(inputs),
        };
        let (jobs, receiver) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&compute, receiver))
            .map_err(|error| EngineError::Resource(format!("no thread: {error}")))?;
        Ok(Self { jobs })
    }

    /// The outputs of all inputs, in order. Other callers' jobs come in between.
    pub(super) async fn compute(&self, mut inputs: impl Iterator<Item = I>) -> Outputs<O> {
        let stopped = || ModelError::Internal("the encoder's thread has stopped".to_owned());
        let mut outputs = Vec::new();
        // One part is computed while the next one waits, so that the thread never idles.
        let mut waiting: Option<oneshot::Receiver<Outputs<O>>> = None;
        loop {
            let part = inputs.by_ref().take(AT_ONCE).collect::<Vec<_>>();
            let last = part.is_empty();
            let next = if last {
                None
            } else {
                let (reply, answer) = oneshot::channel();
                let job = Job {
                    inputs: part,
                    reply,
                };
                self.jobs.send(job).await.map_err(|_| stopped())?;
                Some(answer)
            };
            if let Some(answer) = std::mem::replace(&mut waiting, next) {
                outputs.extend(answer.await.map_err(|_| stopped())??);
            }
            if last {
                return Ok(outputs);
            }
        }
    }
}

fn run<I, O>(compute: &impl Fn(Vec<I>) -> Outputs<O>, mut jobs: mpsc::Receiver<Job<I, O>>) {
    while let Some(first) = jobs.blocking_recv() {
        // Jobs that wait already are computed together: single queries fill a pack.
        let mut batch = vec![first];
        let mut count = batch[0].inputs.len();
        while count < AT_ONCE {
            let Ok(job) = jobs.try_recv() else { break };
            count += job.inputs.len();
            batch.push(job);
        }
        batch.retain(|job| !job.reply.is_closed());
        let (mut inputs, mut replies) = (Vec::new(), Vec::new());
        for job in batch {
            replies.push((job.inputs.len(), job.reply));
            inputs.extend(job.inputs);
        }
        let outputs = std::panic::catch_unwind(AssertUnwindSafe(|| compute(inputs)))
            .unwrap_or_else(|_| {
                Err(ModelError::Internal(
                    "the encoder failed on these texts".into(),
                ))
            });
        match outputs {
            Ok(outputs) => {
                let mut outputs = outputs.into_iter();
                for (count, reply) in replies {
                    // A caller that has gone away needs no answer.
                    let _ = reply.send(Ok(outputs.by_ref().take(count).collect()));
                }
            }
            Err(error) => {
                let problem = error.to_string();
                for (_, reply) in replies {
                    let _ = reply.send(Err(ModelError::Internal(problem.clone())));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_fails_on_one_text_does_not_stop_the_next() {
        let compute = |texts: Vec<u32>| Ok(texts.iter().map(|text| 100 / text).collect());
        let worker = Worker::start("test", Some(1), compute).unwrap();
        assert!(worker.compute([5, 0].into_iter()).await.is_err());
        assert_eq!(worker.compute([5, 20].into_iter()).await.unwrap(), [20, 5]);
    }
}
