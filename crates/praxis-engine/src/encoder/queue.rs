//! The inputs that wait for an encoder, bounded. Whoever waits for an answer (a search, a rerank) goes before what is
//! embedded in bulk, which counts as having come half a minute later, so that it is never put off for ever. A call has its
//! place from its beginning to its end; one for which there is none is told when to come again, and one that somebody
//! waits for and that is not begun within a minute is given up. Left out: what is computed of them ([`super::worker`]).

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use praxis_core::{ModelError, Priority};
use tokio::sync::oneshot;

/// Calls at a time. Each has at most two jobs here.
const CALLS: usize = 256;

/// How much later a batch job counts as having come.
const BATCH_WAITS: Duration = Duration::from_secs(30);

/// How long a call that somebody waits for may wait until it is begun.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What a caller gets.
pub(super) type Outputs<O> = Result<Vec<O>, ModelError>;

/// Some inputs of one call, and where the outputs go.
pub(super) struct Job<I, O> {
    pub(super) inputs: Vec<I>,
    /// About how many bytes of text they are.
    pub(super) size: usize,
    pub(super) priority: Priority,
    pub(super) came: Instant,
    /// Whether its call begins with it. What comes behind waits for the call's own inputs as well.
    pub(super) first: bool,
    /// Closed where the caller has gone away: the job is then skipped.
    pub(super) reply: oneshot::Sender<Outputs<O>>,
}

impl<I, O> Job<I, O> {
    /// Jobs are computed by this, the smallest first.
    fn turn(&self) -> Instant {
        match self.priority {
            Priority::Interactive => self.came,
            Priority::Batch => self.came + BATCH_WAITS,
        }
    }

    fn is_late(&self, now: Instant) -> bool {
        let waited = now.duration_since(self.came);
        self.first && self.priority == Priority::Interactive && waited >= PATIENCE
    }
}

/// How much is computed in one go: what comes meanwhile waits for no more than that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) inputs: usize,
    /// Of text.
    pub(super) bytes: usize,
}

struct State<I, O> {
    jobs: Vec<Job<I, O>>,
    calls: usize,
    closed: bool,
    /// Running mean of the time that a batch takes.
    mean: Duration,
}

impl<I, O> State<I, O> {
    /// Ends the jobs whose callers have gone or that waited too long.
    fn drop_over(&mut self) {
        let now = Instant::now();
        let over = |job: &mut Job<I, O>| job.reply.is_closed() || job.is_late(now);
        for job in self.jobs.extract_if(.., over) {
            let _ = job.reply.send(Err(ModelError::Timeout(PATIENCE)));
        }
    }

    /// The jobs to compute next: the one whose turn it is, and with it those that fit. Beside one that somebody waits for
    /// none goes that nobody does.
    fn batch(&mut self, most: Most) -> Vec<Job<I, O>> {
        self.jobs.sort_by_key(Job::turn);
        let Some(first) = self.jobs.first() else {
            return Vec::new();
        };
        let urgent = first.priority == Priority::Interactive;
        let (mut inputs, mut bytes, mut full) = (0, 0, false);
        let fits = |job: &mut Job<I, O>| {
            if full || (urgent && job.priority != Priority::Interactive) {
                return false;
            }
            let (more, larger) = (inputs + job.inputs.len(), bytes + job.size);
            // The first is taken whatever it is.
            full = inputs > 0 && (more > most.inputs || larger > most.bytes);
            if !full {
                (inputs, bytes) = (more, larger);
            }
            !full
        };
        self.jobs.extract_if(.., fits).collect()
    }
}

/// The queue between callers and the thread that computes.
pub(super) struct Queue<I, O> {
    state: Mutex<State<I, O>>,
    changed: Condvar,
}

/// A call's place; dropping it gives the place back.
pub(super) struct Place<I, O> {
    queue: Arc<Queue<I, O>>,
}

impl<I, O> Drop for Place<I, O> {
    fn drop(&mut self) {
        self.queue.lock().calls -= 1;
    }
}

impl<I, O> Queue<I, O> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                jobs: Vec::new(),
                calls: 0,
                closed: false,
                mean: Duration::ZERO,
            }),
            changed: Condvar::new(),
        }
    }

    /// A place for a call of that priority. A quarter of the places is kept from those that nobody waits for.
    ///
    /// # Errors
    /// [`ModelError::RateLimited`] with the time after which one may be free.
    pub(super) fn place(self: &Arc<Self>, priority: Priority) -> Result<Place<I, O>, ModelError> {
        let places = match priority {
            Priority::Interactive => CALLS,
            Priority::Batch => CALLS - CALLS / 4,
        };
        let mut state = self.lock();
        if state.calls >= places {
            return Err(ModelError::RateLimited {
                message: format!("{} calls already wait for this model", state.calls),
                retry_after: Some(state.mean.max(Duration::from_secs(1))),
            });
        }
        state.calls += 1;
        Ok(Place {
            queue: Arc::clone(self),
        })
    }

    /// Lets a job wait for its turn.
    pub(super) fn push(&self, job: Job<I, O>) {
        let mut state = self.lock();
        // Where nobody computes any more, dropping the job tells its caller.
        if !state.closed {
            state.jobs.push(job);
        }
        self.changed.notify_one();
    }

    /// Waits for jobs and gives those to compute next; none when the queue is closed.
    pub(super) fn wait(&self, most: Most) -> Vec<Job<I, O>> {
        let mut state = self.lock();
        loop {
            state.drop_over();
            let batch = state.batch(most);
            if state.closed || !batch.is_empty() {
                return batch;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes how long a batch took.
    pub(super) fn took(&self, time: Duration) {
        let mut state = self.lock();
        state.mean = (state.mean * 3 + time) / 4;
    }

    /// Ends the thread after the jobs that wait.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Tells all callers that nobody computes any more.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.jobs.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State<I, O>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use Priority::{Batch, Interactive};

    const MOST: Most = Most {
        inputs: 4,
        bytes: 100,
    };

    type Answer = oneshot::Receiver<Outputs<()>>;

    /// A job that came `ago` seconds before now; its inputs are its name.
    fn job(
        (name, inputs): (u32, usize),
        size: usize,
        priority: Priority,
        ago: u64,
    ) -> (Job<u32, ()>, Answer) {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            inputs: vec![name; inputs],
            size,
            priority,
            came: Instant::now() - Duration::from_secs(ago),
            first: true,
            reply,
        };
        (job, answer)
    }

    fn names(batch: &[Job<u32, ()>]) -> Vec<u32> {
        batch.iter().map(|job| job.inputs[0]).collect()
    }

    #[test]
    fn a_query_goes_before_passages_and_passages_are_not_put_off_for_ever() {
        let queue = Queue::new();
        let mut answers = Vec::new();
        for (name, priority, ago) in [
            (1, Batch, 40),
            (2, Batch, 8),
            (3, Interactive, 1),
            (4, Interactive, 2),
        ] {
            let (job, answer) = job((name, 1), 10, priority, ago);
            answers.push(answer);
            queue.push(job);
        }
        // The oldest has waited long enough, and others that fit are computed with it.
        assert_eq!(names(&queue.wait(MOST)), [1, 4, 3, 2]);
        for (name, priority) in [(1, Batch), (2, Interactive), (3, Interactive)] {
            let (job, answer) = job((name, 1), 10, priority, 4 - u64::from(name));
            answers.push(answer);
            queue.push(job);
        }
        assert_eq!(names(&queue.wait(MOST)), [2, 3], "nobody waits for 1");
        assert_eq!(names(&queue.wait(MOST)), [1]);
    }

    #[test]
    fn a_batch_holds_no_more_than_its_bounds_but_for_a_job_that_is_larger() {
        let queue = Queue::new();
        let mut answers = Vec::new();
        for (name, inputs, size) in [(1, 1, 500), (2, 2, 60), (3, 2, 40), (4, 1, 1), (5, 4, 4)] {
            let (job, answer) = job((name, inputs), size, Batch, 20 - u64::from(name));
            answers.push(answer);
            queue.push(job);
        }
        for wanted in [&[1][..], &[2, 3], &[4], &[5]] {
            assert_eq!(names(&queue.wait(MOST)), wanted);
        }
        queue.close();
        assert!(queue.wait(MOST).is_empty());
    }

    #[test]
    fn a_job_that_waited_too_long_is_told_so_and_one_that_nobody_wants_is_dropped() {
        let queue = Queue::new();
        let (late, mut late_answer) = job((1, 1), 1, Interactive, 61);
        let (gone, answer) = job((2, 1), 1, Interactive, 0);
        let (patient, _patient_answer) = job((3, 1), 1, Batch, 61);
        let (mut begun, _begun_answer) = job((4, 1), 1, Interactive, 61);
        begun.first = false;
        drop(answer);
        for job in [late, gone, patient, begun] {
            queue.push(job);
        }
        let left = names(&queue.wait(MOST));
        assert_eq!(left, [4], "what was begun of a call is not thrown away");
        assert_eq!(names(&queue.wait(MOST)), [3]);
        let told = late_answer.try_recv().unwrap();
        assert!(matches!(told, Err(ModelError::Timeout(_))), "{told:?}");
    }

    #[test]
    fn calls_beyond_the_places_are_told_when_to_come_again() {
        let queue: Arc<Queue<u32, ()>> = Arc::new(Queue::new());
        let for_batch = CALLS - CALLS / 4;
        let mut places: Vec<_> = (0..for_batch)
            .map(|_| queue.place(Batch).unwrap())
            .collect();
        assert!(matches!(
            queue.place(Batch),
            Err(ModelError::RateLimited {
                retry_after: Some(_),
                ..
            })
        ));
        places.extend((for_batch..CALLS).map(|_| queue.place(Interactive).unwrap()));
        assert!(queue.place(Interactive).is_err());
        places.pop();
        assert!(queue.place(Interactive).is_ok());
    }
}
