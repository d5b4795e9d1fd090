//! The work on batches: one task looks at what is open, makes a few requests at a time, the batches in turn, and keeps
//! what came of them as it comes.
//!
//! All that must not be lost is in the store; what is here can be made anew from it. A request that there is no room
//! for is made again later, and its batch rests meanwhile, while others go on. So is one that failed for a reason that
//! may pass, a few times: an outage of a minute must not use up a batch, and a request that fails always must not keep
//! it open. Left out: what a request means.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::ops::Bound;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use praxis_core::{CallError, ErrorCode, Usage, ids};
use praxis_store::{Batch, BatchAnswer, BatchError, BatchStatus, LineOutcome};
use serde_json::Value;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::Instant;

use super::answer::{Answer, Asked, Reply};
use super::lines::{self, Line, Place, Raw, START};
use super::output::{self, RESULT};
use super::{Batches, PURPOSE};

/// The longest time between two looks at what is open: another process may have made a batch, and time passes.
const LOOK: Duration = Duration::from_secs(5);

/// How long to wait where the store failed.
const PAUSE: Duration = Duration::from_secs(5);

/// How often a request is made that fails for a reason that may pass. With the rests between, which double, the first
/// requests of an outage wait for it about eight minutes, and later ones longer.
const MOST_TRIES: u32 = 10;

/// What the claim of the work is called.
const CLAIM: &str = "batches";

/// How fast it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Requests at a time.
    pub at_once: usize,
    /// The shortest rest of a batch that there is no room for; it doubles as long as there is none.
    pub least_rest: Duration,
    /// The longest.
    pub most_rest: Duration,
}

const PACE: Pace = Pace {
    at_once: 4,
    least_rest: Duration::from_secs(1),
    most_rest: Duration::from_secs(300),
};

/// Works for ever, once no other process does.
pub(super) async fn work_on(batches: &Batches, answers: Arc<dyn Answer>) {
    let _claim = loop {
        match batches.files.claim(CLAIM).await {
            Ok(Some(claim)) => break claim,
            Ok(None) => {}
            Err(error) => tracing::warn!(error = %error.message, "batches wait"),
        }
        tokio::time::sleep(LOOK).await;
    };
    let mut worker = Worker::new(batches, answers, PACE);
    loop {
        match worker.step().await {
            Ok(true) => {}
            Ok(false) => worker.wait().await,
            Err(error) => {
                tracing::warn!(error = %error.message, "batches wait");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// What one process knows of the batches that it works on. Dropped, it calls off the requests that run.
pub(super) struct Worker<'a> {
    batches: &'a Batches,
    answers: Arc<dyn Answer>,
    pace: Pace,
    /// Batches whose requests are made.
    open: BTreeMap<String, Open>,
    /// Batches that are let be for a while.
    rests: HashMap<String, Rest>,
    running: JoinSet<Answered>,
    /// Results that are yet to be kept, by batch.
    done: BTreeMap<String, Vec<(BatchAnswer, Usage)>>,
    /// The batch whose turn it was.
    last: String,
}

/// A batch whose requests are made.
struct Open {
    batch: Batch,
    path: PathBuf,
    /// Lines that had a result when it was opened.
    answered: Arc<HashSet<u64>>,
    /// Where the lines begin that nobody looked at since.
    next: Place,
    /// Lines whose requests are to be made again.
    again: VecDeque<Place>,
    /// Whether all lines were looked at.
    is_read: bool,
    /// Lines whose requests run.
    running: HashMap<u64, AbortHandle>,
    /// How often the requests of lines failed for a reason that may pass.
    failed: HashMap<u64, u32>,
}

/// A request that was made.
struct Answered {
    batch: String,
    place: Place,
    custom_id: String,
    reply: Reply,
}

/// How long a batch is let be.
struct Rest {
    until: Instant,
    /// How often in a row.
    times: u32,
}

impl Open {
    fn has_more(&self) -> bool {
        !self.is_read || !self.again.is_empty()
    }

    fn is_done(&self) -> bool {
        !self.has_more() && self.running.is_empty()
    }

    /// Whether the request of a line that was answered is to be made again.
    fn is_again(&mut self, line: u64, reply: &Reply) -> bool {
        if reply.is_for_later() {
            return true;
        }
        if reply.may_pass() {
            let failed = self.failed.entry(line).or_default();
            *failed += 1;
            if *failed < MOST_TRIES {
                return true;
            }
        }
        self.failed.remove(&line);
        false
    }

    /// The next line whose request is to be made.
    async fn take(&mut self) -> io::Result<Option<Raw>> {
        let again = self.again.front().copied();
        let at = match again {
            Some(place) => place,
            None if self.is_read => return Ok(None),
            None => self.next,
        };
        let (path, answered) = (self.path.clone(), Arc::clone(&self.answered));
        let read = tokio::task::spawn_blocking(move || lines::next_from(&path, at, &answered));
        let found = read.await.map_err(io::Error::other)??;
        if again.is_some() {
            self.again.pop_front();
            return Ok(found.map(|(raw, _)| raw));
        }
        match found {
            Some((raw, behind)) => {
                self.next = behind;
                Ok(Some(raw))
            }
            None => {
                self.is_read = true;
                Ok(None)
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        for request in self.running.values() {
            request.abort();
        }
    }
}

impl<'a> Worker<'a> {
    pub fn new(batches: &'a Batches, answers: Arc<dyn Answer>, pace: Pace) -> Self {
        Self {
            batches,
            answers,
            pace,
            open: BTreeMap::new(),
            rests: HashMap::new(),
            running: JoinSet::new(),
            done: BTreeMap::new(),
            last: String::new(),
        }
    }

    /// Does what can be done now; `false` where there was nothing.
    ///
    /// # Errors
    /// A store that fails; then what is done is kept the next time.
    pub async fn step(&mut self) -> Result<bool, CallError> {
        let mut busy = self.keep().await?;
        let listed = self.batches.store.open_batches().await;
        let listed = listed.map_err(CallError::failure)?;
        let known = |id: &String| listed.iter().find(|batch| batch.id == *id);
        let goes_on = |batch: &Batch| batch.status == BatchStatus::InProgress;
        self.rests.retain(|id, _| known(id).is_some());
        let (rests, open) = (&mut self.rests, &mut self.open);
        open.retain(|id, _| {
            let goes_on = known(id).is_some_and(goes_on);
            if !goes_on {
                // It rests no more: what is left of it is to be ended.
                rests.remove(id);
            }
            goes_on
        });
        for batch in &listed {
            match self.advance(batch).await {
                Ok(did) => busy |= did,
                Err(error) => self.let_be(&batch.id, &error),
            }
        }
        while self.running.len() < self.pace.at_once
            && let Some(id) = self.turn()
        {
            busy = true;
            self.last.clone_from(&id);
            if let Err(error) = self.begin(&id).await {
                self.let_be(&id, &error);
            }
        }
        Ok(busy)
    }

    /// Waits until there may be something to do.
    pub async fn wait(&mut self) {
        let (batches, now) = (self.batches, Instant::now());
        let ends = self.rests.values().map(|rest| rest.until);
        let next = ends.filter(|until| *until > now).min();
        let look = now + LOOK;
        tokio::select! {
            Some(joined) = self.running.join_next() => self.receive(joined),
            () = batches.work.notified() => {}
            () = tokio::time::sleep_until(next.map_or(look, |next| next.min(look))) => {}
        }
    }

    /// Takes what is answered by now, and keeps all results that are there. Returns whether there were some.
    async fn keep(&mut self) -> Result<bool, CallError> {
        while let Some(joined) = self.running.try_join_next() {
            self.receive(joined);
        }
        let mut kept = false;
        while let Some((batch, results)) = self.done.pop_first() {
            let store = &self.batches.store;
            if let Err(error) = store.put_batch_answers(&batch, &results).await {
                self.done.insert(batch, results);
                return Err(CallError::failure(error));
            }
            kept = true;
        }
        Ok(kept)
    }

    fn receive(&mut self, joined: Result<Answered, JoinError>) {
        // What was called off has nothing to say.
        let Ok(answered) = joined else { return };
        let Answered {
            batch,
            place,
            custom_id,
            reply,
        } = answered;
        let Some(open) = self.open.get_mut(&batch) else {
            // Of a batch that is over, what is to be made again has no result.
            if !reply.is_for_later() {
                self.result(batch, place.line, custom_id, &reply);
            }
            return;
        };
        open.running.remove(&place.line);
        let again = open.is_again(place.line, &reply);
        if again {
            open.again.push_back(place);
        }
        let now = Instant::now();
        if again || reply.may_pass() {
            self.rest(&batch, reply.retry_after);
        } else if self.rests.get(&batch).is_some_and(|rest| rest.until <= now) {
            self.rests.remove(&batch);
        }
        if again {
            return;
        }
        self.result(batch, place.line, custom_id, &reply);
    }

    /// Notes what came of a request, to be kept with the next ones.
    fn result(&mut self, batch: String, line: u64, custom_id: String, reply: &Reply) {
        let answer = BatchAnswer {
            line,
            id: ids::generate(RESULT),
            custom_id,
            outcome: LineOutcome::Answered {
                status: reply.status,
                request: reply.request.clone(),
                body: reply.body.to_string(),
            },
        };
        let results = self.done.entry(batch).or_default();
        results.push((answer, reply.usage()));
    }

    /// Does what the status of a batch asks for, but its requests; `false` where that is nothing.
    async fn advance(&mut self, batch: &Batch) -> Result<bool, CallError> {
        match batch.status {
            BatchStatus::InProgress => self.watch(batch).await,
            _ if self.is_resting(&batch.id) => Ok(false),
            BatchStatus::Validating => self.validate(batch).await.map(|()| true),
            BatchStatus::Finalizing | BatchStatus::Cancelling => {
                output::finish(self.batches, batch).await.map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// Opens a batch whose requests are to be made, and closes it in time.
    async fn watch(&mut self, batch: &Batch) -> Result<bool, CallError> {
        let is_late = (self.batches.clock)() >= batch.times.expires;
        let is_done = self.open.get(&batch.id).map(Open::is_done);
        match (is_late, is_done) {
            (true, _) => self.close(&batch.id, BatchStatus::Expired, &[]).await?,
            (false, Some(true)) => {
                self.close(&batch.id, BatchStatus::Completed, &[]).await?;
            }
            (false, Some(false)) => return Ok(false),
            (false, None) => {
                let answered = self.batches.store.answered_lines(&batch.id).await;
                let answered = answered.map_err(CallError::failure)?;
                let open = Open {
                    path: self.batches.files.path(&batch.hash),
                    batch: batch.clone(),
                    answered: Arc::new(answered.into_iter().collect()),
                    next: START,
                    again: VecDeque::new(),
                    is_read: false,
                    running: HashMap::new(),
                    failed: HashMap::new(),
                };
                self.open.insert(batch.id.clone(), open);
            }
        }
        Ok(true)
    }

    /// Makes no more requests of a batch.
    async fn close(
        &mut self,
        id: &str,
        ending: BatchStatus,
        errors: &[BatchError],
    ) -> Result<(), CallError> {
        let now = (self.batches.clock)();
        let store = &self.batches.store;
        let closed = store.close_batch(id, ending, errors, now).await;
        closed.map_err(CallError::failure)?;
        self.open.remove(id);
        self.rests.remove(id);
        Ok(())
    }

    /// Reads the input of a batch to its end.
    async fn validate(&self, batch: &Batch) -> Result<(), CallError> {
        let Batches { store, files, .. } = self.batches;
        let (path, endpoint) = (files.path(&batch.hash), batch.endpoint.clone());
        let checked = tokio::task::spawn_blocking(move || lines::check_file(&path, &endpoint));
        let checked = checked.await.map_err(CallError::failure)?;
        let now = (self.batches.clock)();
        let errors = match checked {
            Ok(Ok(good)) => {
                let (total, model) = (good.total, good.model.as_deref());
                let begun = store.begin_batch(&batch.id, total, model, now).await;
                return begun.map(|_| ()).map_err(CallError::failure);
            }
            Ok(Err(errors)) => errors,
            Err(error) if error.kind() == io::ErrorKind::NotFound => vec![no_input()],
            Err(error) => return Err(CallError::failure(error)),
        };
        let rejected = store.reject_batch(&batch.id, &errors, now).await;
        rejected.map_err(CallError::failure)?;
        files.release(&batch.hash).await
    }

    /// The batch whose turn it is: the next one after the last that has requests to make and does not rest.
    fn turn(&self) -> Option<String> {
        let behind = (Bound::Excluded(self.last.as_str()), Bound::Unbounded);
        let behind = self.open.range::<str, _>(behind);
        let mut in_turn = behind.chain(&self.open);
        let found = in_turn.find(|(id, open)| open.has_more() && !self.is_resting(id));
        found.map(|(id, _)| id.clone())
    }

    /// Makes the next request of a batch.
    async fn begin(&mut self, id: &str) -> Result<(), CallError> {
        let Some(open) = self.open.get_mut(id) else {
            return Ok(());
        };
        let Some(holder) = self.batches.holder(&open.batch.maker).await? else {
            return self.close(id, BatchStatus::Failed, &[no_holder()]).await;
        };
        let raw = match open.take().await {
            Ok(Some(raw)) => raw,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.close(id, BatchStatus::Failed, &[no_input()]).await;
            }
            Err(error) => return Err(CallError::failure(error)),
        };
        let (id, place) = (id.to_owned(), raw.place);
        let Ok(Line { custom_id, body }) = lines::parse(&raw.bytes, &open.batch.endpoint) else {
            // All lines were good: the disk has changed them.
            let message = format!("line {} of the input is not what it was", place.line);
            let reply = Reply::failed(ErrorCode::Internal, message);
            self.result(id, place.line, String::new(), &reply);
            return Ok(());
        };
        let asked = Asked {
            endpoint: open.batch.endpoint.clone(),
            body: Value::Object(body).to_string(),
            holder,
            tags: open.batch.tags.clone(),
            host: open.batch.host.clone(),
        };
        let reply = AssertUnwindSafe(self.answers.answer(asked)).catch_unwind();
        let request = self.running.spawn(async move {
            let reply = reply.await.unwrap_or_else(|_| {
                Reply::failed(ErrorCode::Internal, "the request met a defect of Praxis")
            });
            Answered {
                batch: id,
                place,
                custom_id,
                reply,
            }
        });
        open.running.insert(place.line, request);
        Ok(())
    }

    fn is_resting(&self, id: &str) -> bool {
        let now = Instant::now();
        self.rests.get(id).is_some_and(|rest| rest.until > now)
    }

    /// Lets a batch be because something failed that may not fail later.
    fn let_be(&mut self, id: &str, error: &CallError) {
        tracing::warn!(batch = id, error = %error.message, "a batch waits");
        self.rest(id, None);
    }

    /// Lets a batch be for so long, and longer each time.
    fn rest(&mut self, id: &str, wanted: Option<Duration>) {
        let now = Instant::now();
        let rest = self.rests.entry(id.to_owned()).or_insert(Rest {
            until: now,
            times: 0,
        });
        let usual = self.pace.least_rest.saturating_mul(1 << rest.times.min(16));
        let wait = wanted.unwrap_or_default().max(usual);
        // What was told while it rests already is no news.
        if rest.until <= now {
            rest.times += 1;
            rest.until = now + wait.min(self.pace.most_rest);
        }
    }
}

/// The error of a batch that nobody stands for any more.
fn no_holder() -> BatchError {
    BatchError {
        code: ErrorCode::Unauthorized.as_str().to_owned(),
        line: None,
        message: "the key that made this batch opens nothing any more: it was revoked, has expired, or is none of \
                  this server's keys"
            .to_owned(),
        param: None,
    }
}

/// The error of a batch whose input is gone.
fn no_input() -> BatchError {
    BatchError {
        code: ErrorCode::NotFound.as_str().to_owned(),
        line: None,
        message: format!("the input is gone: send it again with the purpose `{PURPOSE}`"),
        param: Some("input_file_id".to_owned()),
    }
}
