//! A request that runs: in whose name, and what can be told to or asked of its client. Left out: what is done.

#![expect(
    deprecated,
    reason = "logging is deprecated since revision 2026-07-28, and clients of older ones have it"
)]

use praxis_core::{CallContext, CallEvent};
use rmcp::RoleServer;
use rmcp::model::{InputRequests, InputResponses, LoggingLevel};
use rmcp::service::RequestContext;
use serde_json::Value;
use tokio::sync::mpsc;

use super::asking::{self, Asking, Halt};
use super::telling::Telling;

/// A request that runs.
pub struct Call {
    cx: CallContext,
    context: RequestContext<RoleServer>,
    asking: Asking,
    telling: Telling,
}

impl Call {
    pub(super) fn new(
        cx: CallContext,
        context: RequestContext<RoleServer>,
        asking: Asking,
        telling: Telling,
    ) -> Self {
        Self {
            cx,
            context,
            asking,
            telling,
        }
    }

    /// In whose name it runs; it is cancelled when the client cancels it or goes away.
    pub fn cx(&self) -> &CallContext {
        &self.cx
    }

    /// The request as the protocol's crate has it.
    pub fn context(&self) -> &RequestContext<RoleServer> {
        &self.context
    }

    /// Whether a form can be shown to a person at the client.
    pub fn has_forms(&self) -> bool {
        asking::has_forms(&self.context)
    }

    /// Asks the client, and gives its answers by the names of the requests. Call it with the same requests in each
    /// round, and return what it fails with.
    ///
    /// # Errors
    /// [`Halt::Asks`] where the answers come with another round; [`Halt::Fails`] where the client did not declare that
    /// it can be asked so, or gives no answer.
    pub async fn ask(&self, requests: InputRequests) -> Result<InputResponses, Halt> {
        self.asking.ask(requests, &self.context).await
    }

    /// Tells of progress, where the client wants to hear of it. It must be more than before.
    pub async fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        self.telling.progress(progress, total, message).await;
    }

    /// Logs, where the client wants to hear of this level.
    pub async fn log(&self, level: LoggingLevel, logger: &str, data: Value) {
        self.telling.log(level, logger, data).await;
    }

    /// Whether the client wants to hear anything.
    pub(super) fn is_heard(&self) -> bool {
        self.telling.is_heard()
    }

    /// Tells of a function's events, until there are no more.
    pub(super) async fn events(&self, function: &str, events: mpsc::Receiver<CallEvent>) {
        self.telling.events(function, events).await;
    }
}
