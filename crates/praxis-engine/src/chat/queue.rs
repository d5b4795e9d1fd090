//! The requests that wait for the model, bounded. They are served in the order in which they came,
//! where a batch request counts as one that came half a minute later: whoever waits for an answer
//! goes before it, and it goes before those who come after that, so that it is never put off for
//! ever. Among requests of the priority whose turn it is, callers are served one after the other, each
//! its oldest, so that one who sends many does not make the others wait for all of them. A request
//! whose caller has gone, or whose time is up, gives its place back at once. Places are taken before a
//! request is prepared, so that what is refused costs nothing.
//!
//! A caller with a name has at most as many places as are free (dynamic thresholds: Choudhury and
//! Hahne 1998): one alone half of the queue, two a third each, and there is always one for the next.
//! Requests without a caller's name, such as all of a server without keys, may take the whole queue.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use praxis_core::{ChatChunk, ModelError, NoPlace, Priority};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::constraint::Guide;
use crate::decoder::{Adapter, AdapterId};
use crate::sampler::Sampler;

/// How much later a batch request counts as having come.
const BATCH_WAITS: Duration = Duration::from_secs(30);

/// A request that is ready to compute.
pub(super) struct Job {
    /// What is added to the model for this request; loaded as long as the request runs.
    pub(super) adapter: Option<Arc<Adapter>>,
    pub(super) prompt: Vec<u32>,
    pub(super) sampler: Sampler,
    pub(super) stop: Vec<String>,
    pub(super) max_tokens: usize,
    pub(super) top_logprobs: Option<usize>,
    /// What the answer must be.
    pub(super) guide: Option<Guide>,
    pub(super) priority: Priority,
    pub(super) came: Instant,
    /// How long it may take from when it came.
    pub(super) timeout: Option<Duration>,
    pub(super) sender: UnboundedSender<Result<ChatChunk, ModelError>>,
    pub(super) cancel: CancellationToken,
}

impl Job {
    /// Which adapter it has.
    pub(super) fn adapter_id(&self) -> Option<AdapterId> {
        Some(self.adapter.as_ref()?.id())
    }

    /// Why it is not to be computed any further, where it is not.
    pub(super) fn is_over(&self) -> Option<ModelError> {
        if self.cancel.is_cancelled() || self.sender.is_closed() {
            return Some(ModelError::Cancelled);
        }
        let timeout = self.timeout?;
        (self.came.elapsed() >= timeout).then_some(ModelError::Timeout(timeout))
    }

    /// Requests are served by this, the smallest first.
    pub(super) fn turn(&self) -> Instant {
        match self.priority {
            Priority::Interactive => self.came,
            Priority::Batch => self.came + BATCH_WAITS,
        }
    }
}

/// How many of some places requests of a priority may take: a quarter is kept from those that nobody
/// waits for.
pub(super) fn share(places: usize, priority: Priority) -> usize {
    match priority {
        Priority::Interactive => places,
        Priority::Batch => (places - places / 4).max(1),
    }
}

/// Which requests are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Any,
    Interactive,
}

impl Wanted {
    fn takes(self, job: &Job) -> bool {
        self == Self::Any || job.priority == Priority::Interactive
    }
}

/// The name of who asks, where requests have one.
type Caller = Option<Arc<str>>;

/// A place in the queue of a request that is being prepared; dropping it gives the place back.
pub(super) struct Place {
    queue: Arc<Queue>,
    caller: Caller,
}

impl Place {
    /// Puts the request there.
    pub(super) fn take(self, job: Job) {
        self.queue.lock().push(job, self.caller.clone());
        self.queue.changed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        let mut coming = state.coming.iter();
        if let Some(at) = coming.position(|caller| *caller == self.caller) {
            state.coming.swap_remove(at);
        }
    }
}

/// A request that waits.
struct Waiting {
    job: Job,
    caller: Caller,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    /// Places of requests that are being prepared: whose.
    coming: Vec<Caller>,
    /// The callers of those that wait, whoever is next first.
    callers: Vec<Caller>,
    closed: bool,
    /// Running mean of the time after which a request ends.
    mean: Duration,
}

impl State {
    fn push(&mut self, job: Job, caller: Caller) {
        if !self.callers.contains(&caller) {
            self.callers.push(caller.clone());
        }
        self.waiting.push(Waiting { job, caller });
    }

    fn pop(&mut self, wanted: Wanted) -> Option<Job> {
        let takes = self.waiting.iter().filter(|w| wanted.takes(&w.job));
        let priority = takes.min_by_key(|w| w.job.turn())?.job.priority;
        let oldest = |caller: &Caller| {
            let all = self.waiting.iter().enumerate();
            let own = all.filter(|(_, w)| w.job.priority == priority && w.caller == *caller);
            own.min_by_key(|(_, w)| w.job.turn()).map(|(at, _)| at)
        };
        let callers = self.callers.iter().enumerate();
        let mut next = callers.filter_map(|(turn, caller)| Some((turn, oldest(caller)?)));
        let (turn, at) = next.next()?;
        let caller = self.callers.remove(turn);
        let Waiting { job, .. } = self.waiting.remove(at);
        if self.waiting.iter().any(|w| w.caller == caller) {
            self.callers.push(caller);
        }
        Some(job)
    }

    fn drop_over(&mut self) {
        let Self {
            waiting, callers, ..
        } = self;
        waiting.retain(|Waiting { job, .. }| match job.is_over() {
            None => true,
            Some(error) => {
                // Nobody may be listening any more, which is fine.
                let _ = job.sender.send(Err(error));
                false
            }
        });
        callers.retain(|caller| waiting.iter().any(|w| w.caller == *caller));
    }

    /// Why there is no place for one more request of a caller, of so many places; `None` where there
    /// is one.
    fn refusal(&self, places: usize, caller: &Caller) -> Option<String> {
        let all = self.waiting.len() + self.coming.len();
        let own = caller.as_ref().map(|_| {
            let waiting = self.waiting.iter().map(|w| &w.caller);
            let own = waiting.chain(&self.coming).filter(|other| *other == caller);
            own.count()
        });
        Some(match NoPlace::of(places, all, own)? {
            NoPlace::Full { .. } => format!("{all} requests already wait for this model"),
            NoPlace::Share { own, .. } => format!(
                "{own} requests of this key already wait for this model; the other places are kept \
                 for others"
            ),
        })
    }
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

    /// A place for a request of that priority and caller, or the time after which one may be free.
    pub(super) fn place(
        self: &Arc<Self>,
        priority: Priority,
        caller: Option<&str>,
    ) -> Result<Place, ModelError> {
        let places = share(self.limit, priority);
        let caller: Caller = caller.filter(|name| !name.is_empty()).map(Arc::from);
        let mut state = self.lock();
        if state.refusal(places, &caller).is_some() {
            state.drop_over();
        }
        if let Some(message) = state.refusal(places, &caller) {
            return Err(ModelError::RateLimited {
                message,
                retry_after: Some(state.mean.max(Duration::from_secs(1))),
            });
        }
        state.coming.push(caller.clone());
        Ok(Place {
            queue: Arc::clone(self),
            caller,
        })
    }

    /// Whether a request waits that is wanted.
    pub(super) fn has(&self, wanted: Wanted) -> bool {
        let state = self.lock();
        state.waiting.iter().any(|w| wanted.takes(&w.job))
    }

    /// The next request of those that are wanted, if one waits.
    pub(super) fn pop(&self, wanted: Wanted) -> Option<Job> {
        self.lock().pop(wanted)
    }

    /// Waits for the next request; `None` when the queue is closed and empty.
    pub(super) fn wait(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.pop(Wanted::Any) {
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

    /// Ends the waiting requests whose time is up or whose callers have gone.
    pub(super) fn drop_over(&self) {
        self.lock().drop_over();
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

#[cfg(test)]
mod tests;
