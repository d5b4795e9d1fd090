//! The thread that computes: async callers hand it inputs over a bounded queue and await outputs. A defect, or a text that
//! cannot be tokenized, fails the call that it came with and none beside it, and the thread goes on.

use std::iter::Peekable;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use praxis_core::{ModelError, Priority};
use tokio::sync::oneshot;

use super::queue::{Job, Most, Outputs, Queue};
use crate::{EngineError, cpu};

/// Inputs computed in one go.
const AT_ONCE: usize = 64;

/// Bytes of text computed in one go, for each thread: some packs, so that none of them waits long for the others at the
/// end, and little enough that a query which comes meanwhile waits for a part of a second.
const BYTES_A_THREAD: usize = 16 << 10;

/// The way to the thread, which ends when this is dropped.
pub(super) struct Worker<I, O> {
    queue: Arc<Queue<I, O>>,
    most: Most,
    /// About how many bytes of text an input is.
    size: Box<dyn Fn(&I) -> usize + Send + Sync>,
}

impl<I, O> Drop for Worker<I, O> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<I: Send + Sync + 'static, O: Send + 'static> Worker<I, O> {
    /// Starts a thread on which `compute` makes one output of each input, in order, with `threads`
    /// computing threads of its own, or with those that all encoders share: one for each processor.
    /// `size` says about how many bytes of text an input is.
    pub(super) fn start(
        name: &str,
        threads: Option<usize>,
        size: impl Fn(&I) -> usize + Send + Sync + 'static,
        compute: impl Fn(&[I]) -> Outputs<O> + Send + Sync + 'static,
    ) -> Result<Self, EngineError> {
        let most = Most {
            inputs: AT_ONCE,
            bytes: threads.unwrap_or_else(cpu::threads).max(1) * BYTES_A_THREAD,
        };
        let pool = threads
            .map(|threads| cpu::pool(name, threads))
            .transpose()?;
        let compute = move |inputs: &[I]| match &pool {
            Some(pool) => pool.install(|| compute(inputs)),
            None => compute(inputs),
        };
        let queue = Arc::new(Queue::new());
        let jobs = Arc::clone(&queue);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&jobs, most, &compute))
            .map_err(|error| EngineError::Resource(format!("no thread: {error}")))?;
        Ok(Self {
            queue,
            most,
            size: Box::new(size),
        })
    }

    /// The outputs of all inputs, in order. Other callers' jobs come in between.
    ///
    /// # Errors
    /// [`ModelError::RateLimited`] where too many calls wait already, [`ModelError::Timeout`] where a call that somebody
    /// waits for was not begun for a minute, [`ModelError::Internal`] where one of its inputs cannot be computed.
    pub(super) async fn compute(
        &self,
        priority: Priority,
        inputs: impl Iterator<Item = I>,
    ) -> Outputs<O> {
        let stopped = || ModelError::Internal("the encoder's thread has stopped".to_owned());
        let _place = self.queue.place(priority)?;
        let mut inputs = inputs.peekable();
        let mut outputs = Vec::new();
        // One part is computed while the next one waits, so that the thread never idles.
        let mut waiting: Option<oneshot::Receiver<Outputs<O>>> = None;
        loop {
            let first = waiting.is_none();
            let next = self.part(&mut inputs).map(|(inputs, size)| {
                let (reply, answer) = oneshot::channel();
                self.queue.push(Job {
                    inputs,
                    size,
                    priority,
                    came: Instant::now(),
                    first,
                    reply,
                });
                answer
            });
            let last = next.is_none();
            if let Some(answer) = std::mem::replace(&mut waiting, next) {
                outputs.extend(answer.await.map_err(|_| stopped())??);
            }
            if last {
                return Ok(outputs);
            }
        }
    }

    /// The next inputs that are computed in one go, and their size; `None` at the end.
    fn part(&self, inputs: &mut Peekable<impl Iterator<Item = I>>) -> Option<(Vec<I>, usize)> {
        let first = inputs.next()?;
        let mut size = (self.size)(&first);
        let mut part = vec![first];
        while part.len() < self.most.inputs {
            let fits = |input: &I| size + (self.size)(input) <= self.most.bytes;
            let Some(input) = inputs.next_if(fits) else {
                break;
            };
            size += (self.size)(&input);
            part.push(input);
        }
        Some((part, size))
    }
}

/// Sees to it that nobody waits for a thread that has ended, however it did.
struct Ending<'a, I, O>(&'a Queue<I, O>);

impl<I, O> Drop for Ending<'_, I, O> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn run<I, O>(queue: &Queue<I, O>, most: Most, compute: &impl Fn(&[I]) -> Outputs<O>) {
    let _ending = Ending(queue);
    loop {
        let batch = queue.wait(most);
        if batch.is_empty() {
            return;
        }
        let began = Instant::now();
        answer(batch, compute);
        queue.took(began.elapsed());
    }
}

/// Computes some jobs together, since single queries fill a pack; where that fails, each alone.
fn answer<I, O>(batch: Vec<Job<I, O>>, compute: &impl Fn(&[I]) -> Outputs<O>) {
    let (mut inputs, mut replies) = (Vec::new(), Vec::new());
    for job in batch {
        let start = inputs.len();
        inputs.extend(job.inputs);
        replies.push((start..inputs.len(), job.reply));
    }
    let attempt = |inputs: &[I]| {
        std::panic::catch_unwind(AssertUnwindSafe(|| compute(inputs))).unwrap_or_else(|_| {
            Err(ModelError::Internal(
                "the encoder failed on these texts".into(),
            ))
        })
    };
    // A caller that has gone away needs no answer.
    match attempt(&inputs) {
        Ok(outputs) => {
            let mut outputs = outputs.into_iter();
            for (own, reply) in replies {
                let _ = reply.send(Ok(outputs.by_ref().take(own.len()).collect()));
            }
        }
        Err(error) => {
            if replies.len() == 1
                && let Some((_, reply)) = replies.pop()
            {
                let _ = reply.send(Err(error));
            }
            for (own, reply) in replies {
                let _ = reply.send(attempt(&inputs[own]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Divides: 0 is a text that cannot be computed.
    fn divide(texts: &[u32]) -> Outputs<u32> {
        Ok(texts.iter().map(|text| 100 / text).collect())
    }

    /// Refuses 0, as a tokenizer may.
    fn refuse(texts: &[u32]) -> Outputs<u32> {
        if texts.contains(&0) {
            return Err(ModelError::Internal("no tokens".into()));
        }
        divide(texts)
    }

    #[tokio::test]
    async fn what_fails_on_one_text_does_not_stop_the_next() {
        let worker = Worker::start("test", Some(1), |_: &u32| 1, divide).unwrap();
        let compute = |texts: [u32; 2]| worker.compute(Priority::Batch, texts.into_iter());
        assert!(compute([5, 0]).await.is_err());
        assert_eq!(compute([5, 20]).await.unwrap(), [20, 5]);
    }

    #[tokio::test]
    async fn outputs_come_in_order_over_many_parts() {
        let size = |text: &u32| *text as usize * 1000;
        let worker = Worker::start("test", Some(1), size, |texts: &[u32]| Ok(texts.to_vec()));
        let texts: Vec<u32> = (0..300).map(|at| at % 30).collect();
        let outputs = worker
            .unwrap()
            .compute(Priority::Batch, texts.iter().copied())
            .await;
        assert_eq!(outputs.unwrap(), texts);
    }

    #[test]
    fn a_text_that_fails_takes_no_other_calls_texts_with_it() {
        type Compute = fn(&[u32]) -> Outputs<u32>;
        let computes: [Compute; 2] = [divide, refuse];
        for compute in computes {
            let mut answers = Vec::new();
            let batch = [vec![5, 10], vec![4, 0], vec![20]].map(|inputs| {
                let (reply, answer) = oneshot::channel();
                answers.push(answer);
                Job {
                    inputs,
                    size: 1,
                    priority: Priority::Interactive,
                    came: Instant::now(),
                    first: true,
                    reply,
                }
            });
            answer(batch.into(), &compute);
            let told: Vec<_> = answers.iter_mut().map(|a| a.try_recv().unwrap()).collect();
            assert_eq!(told[0].as_ref().unwrap(), &[20, 10]);
            assert!(matches!(told[1], Err(ModelError::Internal(_))), "{told:?}");
            assert_eq!(told[2].as_ref().unwrap(), &[5]);
        }
    }
}
