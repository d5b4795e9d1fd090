//! The requests that wait for the model, bounded, first come first served. A request whose caller
//! has gone gives its place back at once.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use praxis_core::{ChatChunk, ModelError};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::decoder::{Adapter, AdapterId};
use crate::sampler::Sampler;

/// A request that is ready to compute.
pub(super) struct Job {
    /// What is added to the model for this request; loaded as long as the request runs.
    pub(super) adapter: Option<Arc<Adapter>>,
    pub(super) prompt: Vec<u32>,
    pub(super) sampler: Sampler,
    pub(super) stop: Vec<String>,
    pub(super) max_tokens: usize,
    pub(super) top_logprobs: Option<usize>,
    pub(super) sender: UnboundedSender<Result<ChatChunk, ModelError>>,
    pub(super) cancel: CancellationToken,
}

impl Job {
    /// Which adapter it has.
    pub(super) fn adapter_id(&self) -> Option<AdapterId> {
        Some(self.adapter.as_ref()?.id())
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.cancel.is_cancelled() || self.sender.is_closed()
    }
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
    /// Running mean of the time after which a request ends.
    mean: Duration,
}

/// The queue between the handles and the worker.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
}

impl Queue {
    /// A queue of at most `limit` waiting requests.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            limit,
        }
    }

    /// Adds a request, or refuses it with the time after which a place may be free.
    pub(super) fn push(&self, job: Job) -> Result<(), ModelError> {
        let mut state = self.lock();
        if state.jobs.len() >= self.limit {
            state.jobs.retain(|job| !job.is_abandoned());
        }
        if state.jobs.len() >= self.limit {
            return Err(ModelError::RateLimited {
                message: format!("{} requests already wait for this model", state.jobs.len()),
                retry_after: Some(state.mean.max(Duration::from_secs(1))),
            });
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Whether no request waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().jobs.is_empty()
    }

    /// The next request, if one waits.
    pub(super) fn pop(&self) -> Option<Job> {
        self.lock().jobs.pop_front()
    }

    /// Waits for the next request; `None` when the queue is closed and empty.
    pub(super) fn wait(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes how long a request took, beside others or alone.
    pub(super) fn took(&self, time: Duration, together: usize) {
        let mut state = self.lock();
        state.mean = (state.mean * 3 + time / together as u32) / 4;
    }

    /// Lets the worker end after the requests that wait.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
