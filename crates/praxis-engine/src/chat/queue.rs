//! The requests that wait for the model, bounded. They are served in the order in which they came,
//! where a batch request counts as one that came half a minute later: whoever waits for an answer
//! goes before it, and it goes before those who come after that, so that it is never put off for
//! ever. A request whose caller has gone, or whose time is up, gives its place back at once. Places are
//! taken before a request is prepared, so that what is refused costs nothing.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use praxis_core::{ChatChunk, ModelError, Priority};
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

/// A place in the queue of a request that is being prepared; dropping it gives the place back.
pub(super) struct Place {
    queue: Arc<Queue>,
}

impl Place {
    /// Puts the request there.
    pub(super) fn take(self, job: Job) {
        self.queue.lock().jobs.push(job);
        self.queue.changed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.lock().coming -= 1;
    }
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    /// Places of requests that are being prepared.
    coming: usize,
    closed: bool,
    /// Running mean of the time after which a request ends.
    mean: Duration,
}

impl State {
    fn pop(&mut self, wanted: Wanted) -> Option<Job> {
        let jobs = self.jobs.iter().enumerate();
        let next = jobs.filter(|(_, job)| wanted.takes(job));
        let (place, _) = next.min_by_key(|(_, job)| job.turn())?;
        Some(self.jobs.remove(place))
    }

    fn drop_over(&mut self) {
        self.jobs.retain(|job| match job.is_over() {
            None => true,
            Some(error) => {
                // Nobody may be listening any more, which is fine.
                let _ = job.sender.send(Err(error));
                false
            }
        });
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

    /// A place for a request of that priority, or the time after which one may be free.
    pub(super) fn place(self: &Arc<Self>, priority: Priority) -> Result<Place, ModelError> {
        let places = share(self.limit, priority);
        let mut state = self.lock();
        if state.jobs.len() + state.coming >= places {
            state.drop_over();
        }
        let waiting = state.jobs.len() + state.coming;
        if waiting >= places {
            return Err(ModelError::RateLimited {
                message: format!("{waiting} requests already wait for this model"),
                retry_after: Some(state.mean.max(Duration::from_secs(1))),
            });
        }
        state.coming += 1;
        Ok(Place {
            queue: Arc::clone(self),
        })
    }

    /// Whether a request waits that is wanted.
    pub(super) fn has(&self, wanted: Wanted) -> bool {
        self.lock().jobs.iter().any(|job| wanted.takes(job))
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
mod tests {
    use super::*;
    use praxis_core::Sampling;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    type Answer = UnboundedReceiver<Result<ChatChunk, ModelError>>;

    /// A request that came `ago` seconds before now; `name` is its only token.
    fn job(name: u32, priority: Priority, ago: u64, timeout: Option<u64>) -> (Job, Answer) {
        let (sender, receiver) = unbounded_channel();
        let job = Job {
            adapter: None,
            prompt: vec![name],
            sampler: Sampler::new(&Sampling::default(), &[]),
            stop: Vec::new(),
            max_tokens: 1,
            top_logprobs: None,
            guide: None,
            priority,
            came: Instant::now() - Duration::from_secs(ago),
            timeout: timeout.map(Duration::from_secs),
            sender,
            cancel: CancellationToken::new(),
        };
        (job, receiver)
    }

    fn push(queue: &Arc<Queue>, job: Job) -> Result<(), ModelError> {
        queue.place(job.priority).map(|place| place.take(job))
    }

    /// The names in the order in which the requests are served.
    fn served(queue: &Queue, wanted: Wanted) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop(wanted))
            .map(|job| job.prompt[0])
            .collect()
    }

    #[test]
    fn batch_requests_wait_for_interactive_ones_but_not_for_ever() {
        use Priority::{Batch, Interactive};
        for (what, jobs, order) in [
            (
                "first come first served",
                vec![
                    (1, Interactive, 3),
                    (2, Interactive, 2),
                    (3, Interactive, 1),
                ],
                vec![1, 2, 3],
            ),
            (
                "whoever waits goes first",
                vec![(1, Batch, 9), (2, Batch, 8), (3, Interactive, 1)],
                vec![3, 1, 2],
            ),
            (
                "an old batch request goes before new interactive ones",
                vec![(1, Batch, 40), (2, Interactive, 5), (3, Interactive, 20)],
                vec![3, 1, 2],
            ),
        ] {
            let queue = Arc::new(Queue::new(9));
            let mut answers = Vec::new();
            for (name, priority, ago) in jobs {
                let (job, answer) = job(name, priority, ago, None);
                answers.push(answer);
                push(&queue, job).unwrap();
            }
            assert_eq!(served(&queue, Wanted::Any), order, "{what}");
        }
    }

    #[test]
    fn a_quarter_of_the_places_is_kept_from_batch_requests() {
        let queue = Arc::new(Queue::new(4));
        let mut answers = Vec::new();
        let mut add = |name, priority| {
            let (job, answer) = job(name, priority, 0, None);
            answers.push(answer);
            push(&queue, job)
        };
        for name in 0..3 {
            add(name, Priority::Batch).unwrap();
        }
        assert!(matches!(
            add(3, Priority::Batch),
            Err(ModelError::RateLimited {
                retry_after: Some(_),
                ..
            })
        ));
        assert!(!queue.has(Wanted::Interactive));
        add(4, Priority::Interactive).unwrap();
        assert!(add(5, Priority::Interactive).is_err());
        assert!(queue.has(Wanted::Interactive));
        assert_eq!(served(&queue, Wanted::Interactive), [4]);
        assert_eq!(served(&queue, Wanted::Any), [0, 1, 2]);
        assert_eq!(share(1, Priority::Batch), 1, "there is always room for one");
    }

    #[test]
    fn a_request_whose_time_is_up_while_it_waits_is_told_so_and_gives_its_place_back() {
        let queue = Arc::new(Queue::new(1));
        let (late, mut answer) = job(1, Priority::Interactive, 5, Some(4));
        push(&queue, late).unwrap();
        let (next, _next_answer) = job(2, Priority::Interactive, 0, Some(4));
        push(&queue, next).unwrap();
        match answer.try_recv() {
            Ok(Err(ModelError::Timeout(timeout))) => assert_eq!(timeout, Duration::from_secs(4)),
            other => panic!("{other:?}"),
        }
        queue.drop_over();
        assert_eq!(served(&queue, Wanted::Any), [2]);
    }

    #[test]
    fn a_request_that_is_being_prepared_has_its_place() {
        let queue = Arc::new(Queue::new(1));
        let place = queue.place(Priority::Interactive).unwrap();
        assert!(queue.place(Priority::Interactive).is_err());
        drop(place);
        let place = queue.place(Priority::Interactive).unwrap();
        let (job, _answer) = job(1, Priority::Interactive, 0, None);
        place.take(job);
        assert!(queue.place(Priority::Interactive).is_err());
        assert_eq!(served(&queue, Wanted::Any), [1]);
        assert!(queue.place(Priority::Interactive).is_ok());
    }
}
