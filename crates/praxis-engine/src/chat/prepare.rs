//! What is done of a request before it is queued, and counting: rendering, tokenizing, compiling. It takes a processor for
//! milliseconds, and for seconds where a text is megabytes, so it is done on threads for blocking work, never where
//! connections are served, and as much at a time as there are processors: more would only take them from each other. A
//! caller who leaves gives nothing back before the work has ended that was begun for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use praxis_core::ModelError;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::cpu;

/// When a request's time is up, and how long it had.
pub(super) type Deadline = Option<(Instant, Duration)>;

/// The room for such work.
pub(super) struct Preparing {
    /// What is done at a time.
    running: Arc<Semaphore>,
    /// Counts that are done or wait; those of requests have their places in the queue.
    counts: Arc<Semaphore>,
}

impl Preparing {
    /// Room for as much at a time as there are processors, and for so many counts, those that wait included.
    pub(super) fn new(counts: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(cpu::threads())),
            counts: Arc::new(Semaphore::new(counts.max(1))),
        }
    }

    /// What `work` gives, unless the request is cancelled, its time is up or its caller gone before. `work` is told when
    /// nobody wants it any more, and keeps its room until it ends.
    ///
    /// # Errors
    /// What `work` fails with, [`ModelError::Cancelled`], [`ModelError::Timeout`], and [`ModelError::Internal`] where it
    /// panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        cancel: &CancellationToken,
        deadline: Deadline,
        work: impl FnOnce(&CancellationToken) -> Result<T, ModelError> + Send + 'static,
    ) -> Result<T, ModelError> {
        let stop = cancel.child_token();
        let _gone = stop.clone().drop_guard();
        let running = Arc::clone(&self.running);
        let done = async move {
            let room = running.acquire_owned().await;
            let room = room.map_err(|e| ModelError::Internal(e.to_string()))?;
            let work = move || {
                let _room = room;
                if stop.is_cancelled() {
                    return Err(ModelError::Cancelled);
                }
                work(&stop)
            };
            let done = tokio::task::spawn_blocking(work).await;
            done.map_err(|e| ModelError::Internal(format!("preparing a request failed: {e}")))?
        };
        within(done, cancel, deadline).await?
    }

    /// What `count` gives, which nobody can cancel.
    ///
    /// # Errors
    /// [`ModelError::RateLimited`] where too many wait to be counted, and as [`Preparing::run`].
    pub(super) async fn count<T: Send + 'static>(
        &self,
        count: impl FnOnce() -> Result<T, ModelError> + Send + 'static,
    ) -> Result<T, ModelError> {
        let room = Arc::clone(&self.counts).try_acquire_owned();
        let room = room.map_err(|_| ModelError::RateLimited {
            message: "too many conversations already wait to be counted".to_owned(),
            retry_after: Some(Duration::from_secs(1)),
        })?;
        let work = move |_: &CancellationToken| {
            let _room = room;
            count()
        };
        self.run(&CancellationToken::new(), None, work).await
    }
}

/// What `work` gives, unless the request is cancelled or its time is up before.
pub(super) async fn within<T>(
    work: impl Future<Output = T>,
    cancel: &CancellationToken,
    deadline: Deadline,
) -> Result<T, ModelError> {
    let timed_out = async {
        match deadline {
            Some((at, timeout)) => {
                tokio::time::sleep_until(at.into()).await;
                timeout
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(ModelError::Cancelled),
        timeout = timed_out => Err(ModelError::Timeout(timeout)),
        done = work => Ok(done),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Room for one piece of work at a time.
    fn one() -> Preparing {
        Preparing {
            running: Arc::new(Semaphore::new(1)),
            counts: Arc::new(Semaphore::new(2)),
        }
    }

    /// Waits until what `is_so` says holds.
    async fn until(is_so: impl Fn() -> bool) {
        for _ in 0..1000 {
            if is_so() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("it never came to be");
    }

    #[tokio::test]
    async fn whoever_leaves_gives_nothing_back_while_the_work_goes_on() {
        let preparing = one();
        let (place, gone) = (Arc::new(()), CancellationToken::new());
        let (go_on, told) = mpsc::channel::<()>();
        let (begun, mut has_begun) = tokio::sync::oneshot::channel();
        let (held, seen) = (Arc::clone(&place), gone.clone());
        let work = move |stop: &CancellationToken| {
            let _ = begun.send(());
            let _ = told.recv();
            if stop.is_cancelled() {
                seen.cancel();
            }
            Ok(held)
        };
        let cancel = CancellationToken::new();
        let mut caller = Box::pin(preparing.run(&cancel, None, work));
        tokio::select! {
            _ = &mut caller => panic!("it waits"),
            _ = &mut has_begun => {}
        }
        drop(caller);
        assert_eq!(Arc::strong_count(&place), 2, "its place is taken");
        assert_eq!(preparing.running.available_permits(), 0);
        go_on.send(()).unwrap();
        until(|| Arc::strong_count(&place) == 1).await;
        until(|| preparing.running.available_permits() == 1).await;
        assert!(gone.is_cancelled(), "the work is told");
    }

    #[tokio::test]
    async fn work_is_under_the_requests_time_and_cancellation() {
        let preparing = one();
        let (go_on, told) = mpsc::channel::<()>();
        let cancel = CancellationToken::new();
        let timeout = Duration::from_millis(20);
        let deadline = Some((Instant::now() + timeout, timeout));
        let slow = move |_: &CancellationToken| {
            let _ = told.recv();
            Ok(())
        };
        let ended = preparing.run(&cancel, deadline, slow).await;
        let is_late = matches!(ended, Err(ModelError::Timeout(told)) if told == timeout);
        assert!(is_late, "{ended:?}");
        // The room is still taken, and who waits for it can be cancelled.
        let waits = preparing.run(&cancel, None, |_| Ok(()));
        cancel.cancel();
        assert!(matches!(waits.await, Err(ModelError::Cancelled)));
        go_on.send(()).unwrap();
        let cancel = CancellationToken::new();
        let next = preparing.run(&cancel, None, |_| Ok(7));
        assert_eq!(next.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn counts_beyond_the_room_are_told_when_to_come_again_and_a_panic_gives_its_room_back() {
        let preparing = one();
        let (go_on, told) = mpsc::channel::<()>();
        let first = preparing.count(move || {
            let _ = told.recv();
            Ok(1)
        });
        let second = preparing.count(|| Ok(2));
        let third = async {
            let third = preparing.count(|| Ok(3)).await;
            go_on.send(()).unwrap();
            third
        };
        let (first, second, third) = tokio::join!(first, second, third);
        assert_eq!((first.unwrap(), second.unwrap()), (1, 2));
        assert!(matches!(
            third,
            Err(ModelError::RateLimited {
                retry_after: Some(_),
                ..
            })
        ));
        let broken = preparing.count(|| -> Result<(), ModelError> { panic!("a defect") });
        assert!(matches!(broken.await, Err(ModelError::Internal(_))));
        assert_eq!(preparing.count(|| Ok(4)).await.unwrap(), 4);
    }
}
