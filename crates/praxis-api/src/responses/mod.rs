//! Responses and conversations of OpenAI's API, without HTTP: what is kept of them, for whom, and how a response is
//! made, now or in the background. Left out: requests and answers (`routes`).

pub(crate) mod again;
pub(crate) mod attached;
pub(crate) mod background;
pub(crate) mod compact;
pub(crate) mod event;
pub(crate) mod interpreter;
pub(crate) mod item;
pub(crate) mod prompt;
pub(crate) mod record;
pub(crate) mod run;
pub(crate) mod search;
pub(crate) mod tell;
pub(crate) mod trim;
pub(crate) mod turn;

use std::time::{Duration, Instant};

use axum::Router;
use futures::StreamExt;
use futures::stream::BoxStream;
use praxis_core::{CallError, Caller, ErrorCode, ids};
use praxis_store::{
    Chain, ChainBounds, Conversation, ConversationBounds, Held, ResponseEnd, ResponseItems, Store,
    StoreError, StoredEvents,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::background::Background;
use self::event::Line;
use self::item::{Include, Item, stored};
use self::record::{Failure, KEPT, Outcome, Response};
use self::tell::kept;
use crate::batches::Batches;
use crate::error::ApiError;

/// How often what has expired is swept.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// How long a server counts as alive that does not say so, in seconds: so long what one that was killed left in the
/// background stays as it is.
const LEASE: i64 = 60;

/// How often a server says that it is alive, and looks for what others left.
const LOOK: Duration = Duration::from_secs(15);

/// Responses, and conversations, that are swept in one go, and how often in a row.
const SWEPT: usize = 500;
const SWEEPS: usize = 20;

/// How much may come before a response that goes on from another.
const CHAIN: ChainBounds = ChainBounds {
    links: 256,
    bytes: 16 << 20,
};

/// How large a conversation may become.
pub(crate) const CONVERSATION: ConversationBounds = ConversationBounds {
    items: 5000,
    bytes: 16 << 20,
};

/// The responses and conversations of an application.
pub struct Responses {
    store: Store,
    clock: fn() -> i64,
    background: Background,
    /// What tells this process from others that have the same store.
    owner: String,
}

/// What came of keeping the end of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is kept.
    Whole,
    /// It was cancelled or deleted before.
    Cancelled,
}

impl Responses {
    /// The responses of a store.
    pub fn new(store: Store, clock: fn() -> i64) -> Self {
        Self {
            store,
            clock,
            background: Background::default(),
            owner: ids::generate("server-"),
        }
    }

    /// Notes of responses that a killed process had begun and not ended that they failed. Those of processes that are
    /// alive are let be, and so are those that wait: they are made by another. Returns how many there were.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn recover(&self) -> Result<u64, CallError> {
        let error = Failure::of_server("the server ended before the response was done");
        let outcome = json!(Outcome {
            error: Some(error),
            ..Outcome::default()
        });
        let failed = self.store.fail_unfinished_responses(&outcome, self.now());
        failed.await.map_err(CallError::failure)
    }

    /// Says that this process is alive, makes what others left, and sweeps what has expired, now and then; once stopped,
    /// lets what runs in the background end, for a while. `router` has to be the API's own, with its guards: what is made
    /// again goes through them as its maker's, whose keys `batches` know.
    pub async fn run(&self, batches: &Batches, router: Router, stop: CancellationToken) {
        let mut swept: Option<Instant> = None;
        loop {
            if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
                if let Err(error) = self.sweep().await {
                    tracing::warn!(%error, "responses that have expired were not removed");
                }
                swept = Some(Instant::now());
            }
            if let Err(error) = self.look_after(batches, &router).await {
                tracing::warn!(error = %error.message, "responses in the background are not looked after");
            }
            if tokio::time::timeout(LOOK, stop.cancelled()).await.is_ok() {
                break;
            }
        }
        self.background.drain().await;
    }

    /// Removes what has expired, up to a bound: the rest is for the next time.
    async fn sweep(&self) -> Result<(), StoreError> {
        let now = self.now();
        let unused = now.saturating_sub(KEPT);
        for _ in 0..SWEEPS {
            let swept = self.store.sweep_responses(now, SWEPT).await?
                + self.store.sweep_conversations(unused, SWEPT).await?;
            if swept == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Seconds since the epoch.
    pub(crate) fn now(&self) -> i64 {
        (self.clock)()
    }

    /// What tells this process from others.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// The store.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// What runs in the background.
    pub(crate) fn background(&self) -> &Background {
        &self.background
    }

    /// A response that the caller sees.
    ///
    /// # Errors
    /// `not_found`, or a store that fails.
    pub(crate) async fn get(&self, id: &str, caller: &Caller) -> Result<Response, ApiError> {
        let found = self.store.response(id, caller, self.now()).await;
        let (response, output) = found.map_err(failed)?.ok_or_else(|| no_response(id))?;
        Response::read(response, output).map_err(failed)
    }

    /// Keeps a response that is made, if it is to be kept, and adds it to its conversation.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) async fn put(
        &self,
        response: &Response,
        input: &[Item],
        is_kept: bool,
        maker: &Caller,
    ) -> Result<(), ApiError> {
        let (input, output) = (stored(input), stored(&response.output));
        if is_kept {
            let items = ResponseItems {
                input: &input,
                output: &output,
            };
            let row = response.stored();
            let put = self.store.put_response(&row, maker, items).await;
            return put.map_err(failed);
        }
        let Some(conversation) = &response.conversation else {
            return Ok(());
        };
        if !response.status.has_answer() {
            return Ok(());
        }
        let items = [input, output].concat();
        let added = self
            .store
            .extend_conversation(conversation, &items, self.now());
        added.await.map_err(failed)
    }

    /// Keeps a response that waits, with what it can be made by again.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) async fn put_waiting(
        &self,
        response: &Response,
        input: &[Item],
        request: &str,
        maker: &Caller,
    ) -> Result<(), ApiError> {
        let input = stored(input);
        let items = ResponseItems {
            input: &input,
            output: &[],
        };
        let held = Held {
            owner: &self.owner,
            until: self.now().saturating_add(LEASE),
            request,
        };
        let row = response.stored();
        let put = self
            .store
            .put_held_response(&row, maker, items, Some(held))
            .await;
        put.map_err(failed)
    }

    /// Keeps the end of a response that was kept when it was begun.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) async fn end(
        &self,
        response: &Response,
        input: &[Item],
        events: Vec<StoredEvents>,
    ) -> Result<Kept, ApiError> {
        let (input, output) = (stored(input), stored(&response.output));
        let end = ResponseEnd {
            status: response.status,
            ended: response.ended.unwrap_or_else(|| self.now()),
            outcome: json!(response.outcome),
            conversation: response.conversation.clone(),
            events,
            owner: Some(self.owner.clone()),
        };
        let items = ResponseItems {
            input: &input,
            output: &output,
        };
        let ended = self.store.end_response(&response.id, &end, items).await;
        Ok(match ended.map_err(failed)? {
            true => Kept::Whole,
            false => Kept::Cancelled,
        })
    }

    /// Calls off a response that is in the background, and gives it as it is then.
    ///
    /// # Errors
    /// `not_found`, one that is not in the background, or a store that fails.
    pub(crate) async fn cancel(&self, id: &str, caller: &Caller) -> Result<Response, ApiError> {
        if !self.get(id, caller).await?.background {
            let message = "only a response that was made with `background: true` can be cancelled";
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        // Noted first: who makes it finds out that it was cancelled when it ends.
        let noted = self.store.cancel_response(id, caller, self.now()).await;
        if noted.map_err(failed)? {
            self.background.cancel(id);
        }
        self.get(id, caller).await
    }

    /// Deletes a response; one that is being made is called off.
    ///
    /// # Errors
    /// `not_found`, or a store that fails.
    pub(crate) async fn delete(&self, id: &str, caller: &Caller) -> Result<(), ApiError> {
        let deleted = self.store.delete_response(id, caller, self.now()).await;
        if !deleted.map_err(failed)? {
            return Err(no_response(id));
        }
        self.background.cancel(id);
        Ok(())
    }

    /// The events of a response that is or was in the background, behind the number `after`.
    ///
    /// # Errors
    /// `not_found`, one whose events nobody asked for, or a store that fails.
    pub(crate) async fn follow(
        &self,
        id: &str,
        after: Option<u64>,
        caller: &Caller,
    ) -> Result<BoxStream<'static, Line>, ApiError> {
        let log = self.background.log(id);
        let response = self.get(id, caller).await?;
        if !(response.background && response.streamed) {
            let message = "only a response that was made with `background: true` and `stream: true` can be followed";
            return Err(ApiError::invalid("stream", message));
        }
        if let Some(log) = log {
            return Ok(log.follow(after).boxed());
        }
        let first = self
            .store
            .response_events(id, after)
            .await
            .map_err(failed)?;
        let Some(first) = first else {
            // One that was cancelled, or whose server was killed, has none.
            let number = after.map_or(0, |after| after.saturating_add(1));
            let last = response.last_word(Include::default()).numbered(number);
            return Ok(futures::stream::iter([last]).boxed());
        };
        let begun = futures::stream::iter(kept(&first, after));
        let rest = rows(self.store.clone(), id.to_owned(), first.last);
        Ok(begun.chain(rest).boxed())
    }

    /// The items that came up to a response and with it.
    ///
    /// # Errors
    /// What the client can do about a response that there is nothing to go on from; or a store that fails.
    pub(crate) async fn before(&self, id: &str, caller: &Caller) -> Result<Vec<Item>, ApiError> {
        let wrong = |message: String| Err(ApiError::invalid("previous_response_id", message));
        let chain = self.store.response_chain(id, caller, CHAIN, self.now());
        match chain.await.map_err(failed)? {
            Chain::Items(items) => items_of(items),
            Chain::Missing => Err(no_response(id).about("previous_response_id")),
            Chain::Unanswered(status) => wrong(format!(
                "the response `{id}` is `{}`: go on from one that is `completed` or `incomplete`",
                status.as_str()
            )),
            Chain::OfConversation(of) => wrong(format!(
                "the response `{id}` is of the conversation `{of}`: send that as `conversation` instead"
            )),
            Chain::TooLong => wrong(format!(
                "more than {} responses, or {} bytes, came before: begin anew with what matters of them",
                CHAIN.links, CHAIN.bytes
            )),
        }
    }

    /// A conversation that the caller sees.
    ///
    /// # Errors
    /// `not_found`, or a store that fails.
    pub(crate) async fn conversation(
        &self,
        id: &str,
        caller: &Caller,
    ) -> Result<Conversation, ApiError> {
        let found = self.store.conversation(id, caller).await.map_err(failed)?;
        let unused = self.now().saturating_sub(KEPT);
        let found = found.filter(|conversation| conversation.active > unused);
        found.ok_or_else(|| no_conversation(id))
    }

    /// The items of a conversation that a response goes on from.
    ///
    /// # Errors
    /// `not_found`, one that has no room for another turn, or a store that fails.
    pub(crate) async fn said_in(&self, id: &str, caller: &Caller) -> Result<Vec<Item>, ApiError> {
        let conversation = self.conversation(id, caller).await;
        let conversation = conversation.map_err(|error| error.about("conversation"))?;
        let (most, bytes) = (CONVERSATION.items, CONVERSATION.bytes);
        if conversation.items >= most || conversation.bytes >= bytes {
            return Err(full().about("conversation"));
        }
        let items = self.store.all_conversation_items(id).await;
        items_of(items.map_err(failed)?)
    }

    /// The item of that id in any response or conversation that the caller sees.
    ///
    /// # Errors
    /// `not_found`, or a store that fails.
    pub(crate) async fn item(&self, id: &str, caller: &Caller) -> Result<Item, ApiError> {
        let found = self.store.stored_item(id, caller, self.now()).await;
        let found = found.map_err(failed)?.ok_or_else(|| no_item(id))?;
        serde_json::from_value(found).map_err(failed)
    }

    /// What was said before a conversation was compacted, by the content that stands for it with clients.
    ///
    /// # Errors
    /// A content that was not made here, or not for this caller, or that is there no more; or a store that fails.
    pub(crate) async fn compaction(
        &self,
        content: &str,
        caller: &Caller,
    ) -> Result<Item, ApiError> {
        let unknown = || {
            let message = "nothing is kept here by this `encrypted_content`: send what /v1/responses/compact gave this \
                           key within 30 days";
            ApiError::new(ErrorCode::NotFound, message)
        };
        let id = compact::opened(content).ok_or_else(unknown)?;
        match self.item(&id, caller).await {
            Ok(item @ Item::Compaction(_)) => Ok(item),
            Ok(_) => Err(unknown()),
            Err(error) if error.code() == ErrorCode::NotFound => Err(unknown()),
            Err(error) => Err(error),
        }
    }
}

/// The events of rows behind that with the number `after`, row by row.
fn rows(store: Store, id: String, after: u64) -> BoxStream<'static, Line> {
    let rows = futures::stream::unfold((store, id, after), |(store, id, after)| async move {
        let row = store.response_events(&id, Some(after)).await;
        match row {
            Ok(row) => row.map(|row| {
                let lines = futures::stream::iter(kept(&row, Some(after)));
                (lines, (store, id, row.last))
            }),
            Err(error) => {
                tracing::error!(%error, "events of a response were not read");
                None
            }
        }
    });
    rows.flatten().boxed()
}

/// Items as they were kept.
///
/// # Errors
/// One that is damaged.
pub(crate) fn items_of(kept: Vec<Value>) -> Result<Vec<Item>, ApiError> {
    let items = kept.into_iter().map(serde_json::from_value);
    items.collect::<Result<_, _>>().map_err(failed)
}

/// What failed here through no fault of the client.
pub(crate) fn failed(error: impl std::fmt::Display) -> ApiError {
    CallError::failure(error).into()
}

fn no_response(id: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("no response `{id}`"))
}

/// The error of a conversation that the caller does not see.
pub(crate) fn no_conversation(id: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("no conversation `{id}`"))
}

/// The error of an item that the caller does not see.
pub(crate) fn no_item(id: &str) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("no item `{id}`"))
}

/// The error of a conversation that has no room.
pub(crate) fn full() -> ApiError {
    let message = format!(
        "a conversation has at most {} items and {} bytes: delete some, or begin another",
        CONVERSATION.items, CONVERSATION.bytes
    );
    ApiError::new(ErrorCode::InvalidRequest, message)
}
