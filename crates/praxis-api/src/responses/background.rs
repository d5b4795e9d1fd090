//! Responses that nobody waits for: so many are made at a time, so many wait for their turn, and more are refused, as are
//! more of one key than places are free. Each can be called off. A server that stops begins no more of them, and lets
//! those that run end for a while.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use praxis_core::{CallError, ErrorCode, NoPlace, Place, Places};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::tell::Log;
use crate::error::ApiError;

/// Responses that are made at a time.
const RUNNING: usize = 4;

/// Responses that are made or wait, at most.
const MOST: usize = 64;

/// How long those that run may go on after the server was stopped.
const DRAIN: Duration = Duration::from_secs(10);

/// How long they may take to note that they were broken off.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What runs in the background.
pub(crate) struct Background {
    running: Arc<Semaphore>,
    places: Places,
    lives: Arc<Mutex<HashMap<String, Live>>>,
    tasks: TaskTracker,
    /// Cancelled when no more are to begin.
    stopped: CancellationToken,
    /// Cancelled when those that run are to end.
    aborted: CancellationToken,
}

/// A response that runs or waits.
struct Live {
    cancel: CancellationToken,
    log: Option<Arc<Log>>,
}

/// Whether the turn of a response comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chance {
    /// It has come.
    Comes,
    /// It was called off, or the server stops.
    Never,
}

impl Default for Background {
    fn default() -> Self {
        Self::of(RUNNING, MOST)
    }
}

impl Background {
    fn of(running: usize, most: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(running)),
            places: Places::new(most),
            lives: Arc::default(),
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
            aborted: CancellationToken::new(),
        }
    }

    /// Takes a place for a response that is to come, of a key of that name.
    ///
    /// # Errors
    /// `rate_limited` where there is none, or where the key has its share.
    pub fn admit(&self, key: Option<&str>) -> Result<Place, ApiError> {
        self.admitted(self.places.take(key))
    }

    /// The same for one that another process left, where it had a place: its key's share does not count, or one key
    /// would hold up what others left.
    ///
    /// # Errors
    /// `rate_limited` where there is none.
    pub fn admit_again(&self, key: Option<&str>) -> Result<Place, ApiError> {
        self.admitted(self.places.take_again(key))
    }

    fn admitted(&self, place: Result<Place, NoPlace>) -> Result<Place, ApiError> {
        let message = match place {
            Ok(place) if !self.stopped.is_cancelled() => return Ok(place),
            Ok(_) => "the server is being stopped".to_owned(),
            Err(none) => none.told("responses in the background"),
        };
        // As one that says when to come back.
        Err(CallError::new(ErrorCode::RateLimited, message).into())
    }

    /// The token that calls off a response, for its context.
    pub fn token(&self) -> CancellationToken {
        self.aborted.child_token()
    }

    /// Makes a response when it is its turn. `run` is told whether that comes; what it leaves undone because it panics
    /// is for `broken` to note.
    pub fn start<R, B>(
        &self,
        place: Place,
        id: &str,
        cancel: CancellationToken,
        log: Option<Arc<Log>>,
        run: impl FnOnce(Chance) -> R + Send + 'static,
        broken: impl FnOnce() -> B + Send + 'static,
    ) where
        R: Future<Output = ()> + Send + 'static,
        B: Future<Output = ()> + Send + 'static,
    {
        let live = Live {
            cancel: cancel.clone(),
            log: log.clone(),
        };
        lock(&self.lives).insert(id.to_owned(), live);
        let (running, stopped) = (Arc::clone(&self.running), self.stopped.clone());
        let (lives, id) = (Arc::clone(&self.lives), id.to_owned());
        self.tasks.spawn(async move {
            let turn = tokio::select! {
                biased;
                () = cancel.cancelled() => None,
                () = stopped.cancelled() => None,
                turn = running.acquire_owned() => turn.ok(),
            };
            let chance = match turn {
                Some(_) => Chance::Comes,
                None => Chance::Never,
            };
            if tokio::spawn(run(chance)).await.is_err() {
                broken().await;
            }
            if let Some(log) = log {
                log.end();
            }
            lock(&lives).remove(&id);
            drop((turn, place));
        });
    }

    /// Calls off a response, if it is here.
    pub fn cancel(&self, id: &str) {
        if let Some(live) = lock(&self.lives).get(id) {
            live.cancel.cancel();
        }
    }

    /// The responses that run or wait here.
    pub fn ids(&self) -> Vec<String> {
        lock(&self.lives).keys().cloned().collect()
    }

    /// Whether another would get a place.
    pub fn has_room(&self) -> bool {
        !self.stopped.is_cancelled() && !self.places.are_full()
    }

    /// The log of a response, if it is here and has one.
    pub fn log(&self, id: &str) -> Option<Arc<Log>> {
        lock(&self.lives).get(id).and_then(|live| live.log.clone())
    }

    /// Begins no more, and waits until all have ended, if need be because they are broken off.
    pub async fn drain(&self) {
        self.drain_within(DRAIN).await;
    }

    async fn drain_within(&self, patience: Duration) {
        self.stopped.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(patience, self.tasks.wait()).await;
        if ended.is_ok() {
            return;
        }
        self.aborted.cancel();
        let _ = tokio::time::timeout(LAST_WORDS, self.tasks.wait()).await;
    }
}

fn lock(lives: &Mutex<HashMap<String, Live>>) -> MutexGuard<'_, HashMap<String, Live>> {
    lives.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// Starts what ends when it is told to, or called off; gives how to tell it, and how it went.
    fn started(
        background: &Background,
        id: &str,
    ) -> (oneshot::Sender<()>, oneshot::Receiver<&'static str>) {
        let (end, ends) = oneshot::channel::<()>();
        let (went, how) = oneshot::channel();
        let (cancel, place) = (background.token(), background.admit(None).unwrap());
        let token = cancel.clone();
        let run = move |chance: Chance| async move {
            let how = match chance {
                Chance::Never => "never",
                Chance::Comes => tokio::select! {
                    _ = ends => "done",
                    () = token.cancelled() => "broken off",
                },
            };
            let _ = went.send(how);
        };
        background.start(place, id, cancel, None, run, || async {});
        (end, how)
    }

    #[tokio::test]
    async fn each_is_made_in_its_turn_and_too_many_are_refused() {
        let background = Background::of(1, 2);
        let (first, first_went) = started(&background, "a");
        let (second, second_went) = started(&background, "b");
        let error = background.admit(None).err().unwrap();
        assert_eq!(error.code(), ErrorCode::RateLimited);
        first.send(()).unwrap();
        assert_eq!(first_went.await.unwrap(), "done");
        second.send(()).unwrap();
        assert_eq!(second_went.await.unwrap(), "done");
        background.drain().await;
        assert!(lock(&background.lives).is_empty());
        assert!(
            background.admit(None).is_err(),
            "a stopped server begins none"
        );
    }

    #[tokio::test]
    async fn a_key_that_asks_for_many_leaves_places_for_others() {
        let background = Background::default();
        let many: Vec<_> = (0..MOST / 2)
            .map(|_| background.admit(Some("ann")).unwrap())
            .collect();
        let error = background.admit(Some("ann")).err().unwrap();
        assert_eq!(error.code(), ErrorCode::RateLimited);
        assert!(
            error.message().contains("32 of the 64 places"),
            "{}",
            error.message()
        );
        let other = background.admit(Some("bob")).unwrap();
        let again = background.admit_again(Some("ann")).unwrap();
        drop((many, again));
        assert!(background.admit(Some("ann")).is_ok());
        drop(other);
        assert!(background.places.are_free());
    }

    #[tokio::test]
    async fn one_is_called_off_whether_it_runs_or_waits() {
        let background = Background::of(1, 3);
        let (_first, running) = started(&background, "a");
        tokio::task::yield_now().await;
        let (_second, waiting) = started(&background, "b");
        let (third, last) = started(&background, "c");
        background.cancel("b");
        assert_eq!(waiting.await.unwrap(), "never");
        background.cancel("a");
        background.cancel("nothing");
        assert_eq!(running.await.unwrap(), "broken off");
        third.send(()).unwrap();
        assert_eq!(last.await.unwrap(), "done");
    }

    #[tokio::test]
    async fn a_server_that_stops_breaks_off_what_does_not_end() {
        let background = Background::of(1, 3);
        let (_first, running) = started(&background, "a");
        tokio::task::yield_now().await;
        let (_second, waiting) = started(&background, "b");
        background.drain_within(Duration::ZERO).await;
        assert_eq!(waiting.await.unwrap(), "never");
        assert_eq!(running.await.unwrap(), "broken off");
    }

    async fn panics() {
        panic!("on purpose");
    }

    #[tokio::test]
    async fn what_panics_is_noted_and_gives_its_place_back() {
        let background = Background::of(1, 1);
        let (told, noted) = oneshot::channel();
        let place = background.admit(None).unwrap();
        let run = |_: Chance| panics();
        let broken = move || async move {
            let _ = told.send(());
        };
        background.start(place, "a", background.token(), None, run, broken);
        noted.await.unwrap();
        background.drain().await;
        assert!(background.log("a").is_none());
        assert!(background.places.are_free());
    }
}
