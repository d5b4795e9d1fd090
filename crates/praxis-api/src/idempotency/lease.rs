//! The lease of an attempt: renewed while it runs, given up where it ends without an answer, however that comes.

use std::time::Duration;

use praxis_core::function::now_ms;
use praxis_store::{KeptAnswer, Store};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::MOST_OF_CALLER;

/// How long an attempt counts as running that does not renew its lease: as long does one of a process that was killed.
pub(super) const LEASE_MS: i64 = 60_000;

/// How often it is renewed.
const RENEWED: Duration = Duration::from_secs(20);

/// A lease that is held. Dropped, it is given up.
pub(super) struct Lease {
    store: Store,
    id: String,
    run: String,
    renewing: JoinHandle<()>,
    is_held: bool,
}

impl Lease {
    /// Holds the lease of an attempt that has begun.
    pub(super) fn hold(store: Store, id: String, run: String) -> Self {
        let renewing = tokio::spawn(renew(store.clone(), id.clone(), run.clone()));
        Self {
            store,
            id,
            run,
            renewing,
            is_held: true,
        }
    }

    /// Ends it with an answer.
    pub(super) async fn keep(mut self, answer: &KeptAnswer) {
        let attempt = (self.id.as_str(), self.run.as_str());
        match self
            .store
            .keep_answer(attempt, answer, MOST_OF_CALLER)
            .await
        {
            Ok(true) => {}
            Ok(false) => tracing::warn!("an answer came when its lease was over, and is not kept"),
            Err(error) => {
                tracing::warn!(%error, "an answer could not be kept");
                return;
            }
        }
        self.is_held = false;
    }

    /// Ends it without one, and waits for that: the next attempt may come at once.
    pub(super) async fn give_up(mut self) {
        match self.store.give_up_attempt(&self.id, &self.run).await {
            Ok(()) => self.is_held = false,
            Err(error) => tracing::warn!(%error, "an attempt could not be given up"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewing.abort();
        if !self.is_held {
            return;
        }
        // Where nothing runs any more, the lease ends by itself.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (store, id, run) = (self.store.clone(), self.id.clone(), self.run.clone());
        runtime.spawn(async move {
            if let Err(error) = store.give_up_attempt(&id, &run).await {
                tracing::warn!(%error, "an attempt could not be given up");
            }
        });
    }
}

async fn renew(store: Store, id: String, run: String) {
    loop {
        tokio::time::sleep(RENEWED).await;
        let until = now_ms().saturating_add(LEASE_MS);
        match store.renew_attempt(&id, &run, until).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "a lease could not be renewed"),
        }
    }
}
