//! Responses in the background beside other processes of the same application: each says now and then that it is alive.
//! What one that is gone had begun has failed: nobody knows how far it came, and what it took is paid. What waited is
//! asked for again, as its maker's, by the first process that finds it. Left out: the rows (`praxis-store`).

use axum::Router;
use praxis_core::{CallError, ErrorCode};
use praxis_store::{LeftResponse, Maker, ResponseEnd, ResponseItems, ResponseStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::record::{Failure, Outcome};
use super::{LEASE, Responses};
use crate::batches::Batches;
use crate::batches::answer::{Asked, read, request};
use crate::error::ApiError;

/// Where responses are asked for.
const PATH: &str = "/v1/responses";

/// What a response that waits can be made by again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// The body of the request, as it came.
    pub body: String,
    /// Whose key it came with.
    pub maker: Maker,
    /// What it is counted under, as the client sent it.
    pub tags: String,
    /// The name by which the client called the server.
    pub host: String,
}

/// Says of a request that the server makes of itself which response it is for. It does not come over a connection.
#[derive(Debug, Clone)]
pub(crate) struct Resumed {
    pub id: String,
    /// Seconds since the epoch.
    pub created: i64,
}

impl Responses {
    /// Says that this process is alive, calls off what is not its own any more, and sees to what others left.
    ///
    /// # Errors
    /// A store that fails.
    pub(super) async fn look_after(
        &self,
        batches: &Batches,
        router: &Router,
    ) -> Result<(), CallError> {
        let here = self.background.ids();
        let until = self.now().saturating_add(LEASE);
        let own = self.store.renew_responses(&self.owner, until).await;
        let own = own.map_err(CallError::failure)?;
        // It was cancelled or deleted by way of another server, or this one did not say for too long that it is alive.
        for id in here.iter().filter(|id| !own.contains(id)) {
            self.background.cancel(id);
        }
        self.recover().await?;
        while self.background.has_room() {
            let now = self.now();
            let until = now.saturating_add(LEASE);
            let left = self.store.take_over_response(&self.owner, until, now).await;
            let Some(left) = left.map_err(CallError::failure)? else {
                break;
            };
            if !self.make_again(batches, router, &left).await? {
                break;
            }
        }
        Ok(())
    }

    /// Begins what another process left. Returns whether there may be room for more.
    async fn make_again(
        &self,
        batches: &Batches,
        router: &Router,
        left: &LeftResponse,
    ) -> Result<bool, CallError> {
        let Err(error) = ask(batches, router, left).await else {
            return Ok(true);
        };
        if error.code() == ErrorCode::RateLimited {
            let again = self.store.leave_response(&left.id, &self.owner).await;
            again.map_err(CallError::failure)?;
            return Ok(false);
        }
        let end = ResponseEnd {
            status: ResponseStatus::Failed,
            ended: self.now(),
            outcome: json!(Outcome {
                error: Some(Failure::of_server(error.message())),
                ..Outcome::default()
            }),
            conversation: None,
            events: Vec::new(),
            owner: Some(self.owner.clone()),
        };
        let nothing = ResponseItems::default();
        let ended = self.store.end_response(&left.id, &end, nothing).await;
        ended.map_err(CallError::failure)?;
        Ok(true)
    }
}

/// Asks for a response again, as its maker.
///
/// # Errors
/// What it was refused with; `rate_limited` where there is no room for it now.
async fn ask(batches: &Batches, router: &Router, left: &LeftResponse) -> Result<(), ApiError> {
    let waiting: Waiting = serde_json::from_str(&left.request).map_err(super::failed)?;
    let Some(holder) = batches.holder(&waiting.maker).await? else {
        let message = "the key that made this response opens nothing any more";
        return Err(ApiError::new(ErrorCode::Unauthorized, message));
    };
    let asked = Asked {
        endpoint: PATH.to_owned(),
        body: waiting.body,
        holder,
        tags: waiting.tags,
        host: waiting.host,
    };
    let mut request = request(asked).map_err(super::failed)?;
    request.extensions_mut().insert(Resumed {
        id: left.id.clone(),
        created: left.created,
    });
    let response = router.clone().oneshot(request).await;
    let response = response.unwrap_or_else(|never| match never {});
    if response.status().is_success() {
        // Its events are in its log; nobody reads them here.
        return Ok(());
    }
    let reply = read(response).await;
    let message = reply.body.pointer("/error/message").and_then(Value::as_str);
    let message = message.unwrap_or("the request was refused when it was made again");
    let code = match reply.is_for_later() {
        true => ErrorCode::RateLimited,
        false => ErrorCode::InvalidRequest,
    };
    Err(ApiError::new(code, message))
}

#[cfg(test)]
mod tests;
