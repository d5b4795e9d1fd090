//! What a server may ask of us: a model's answer, the application's folder, a form to be filled in. Each is off unless
//! the tool's file turns it on. Left out: what we ask of the server.

#![expect(
    deprecated,
    reason = "sampling and roots are deprecated since revision 2026-07-28, and servers of older ones use them"
)]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use praxis_core::{CallContext, ChatGateway};
use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestMethod, CreateMessageRequestParams,
    CreateMessageResult, ElicitRequestParams, ElicitResult, ElicitationCapability, ErrorData,
    FormElicitationCapability, Implementation, InputRequest, InputRequests, InputResponses,
    ListRootsRequestMethod, ListRootsResult, LoggingMessageNotificationParam, ProtocolVersion,
    Root, RootsCapabilities, SamplingCapability,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ClientHandler, RoleClient};
use serde_json::Value;
use tokio::sync::Notify;
use url::Url;

use super::config::{Config, Elicitation};
use super::elicitation;
use super::failure::cut;
use super::sampling::Sampling;

/// The most that a server may ask for at once.
const MOST_REQUESTS: usize = 16;

/// What answers a server.
pub(super) struct Handler {
    name: String,
    config: ClientConfig,
    elicitation: Elicitation,
    root: Option<PathBuf>,
    sampling: Option<Sampling>,
    /// The call that runs, which pays for what the server asks of a model. There is one at a time where sampling is on.
    running: Mutex<Option<Arc<Running>>>,
    /// Told when the server says that it offers something else now.
    pub changed: Arc<Notify>,
}

/// A call that runs, and what is left of its tokens.
pub(super) struct Running {
    pub cx: CallContext,
    pub left: tokio::sync::Mutex<u64>,
}

/// Takes a call out again when it ends.
pub(super) struct Ends<'h>(&'h Handler);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

impl Handler {
    /// What answers this server.
    pub(super) fn new(
        name: &str,
        config: &Config,
        root: &Path,
        chat: Option<&Arc<dyn ChatGateway>>,
    ) -> Self {
        let model = config.sampling.as_ref().zip(chat);
        let sampling = model.map(|(model, chat)| Sampling {
            model: model.clone(),
            tokens: config.sampling_tokens,
            chat: Arc::clone(chat),
        });
        let mut can = ClientCapabilities::default();
        // A server that cannot ask may act unasked: it is heard, and told that nobody answers.
        let form = FormElicitationCapability::new();
        can.elicitation = Some(ElicitationCapability::new().with_form(form));
        can.sampling = sampling.is_some().then(SamplingCapability::default);
        can.roots = config.roots.then(RootsCapabilities::default);
        let us = Implementation::new("praxis", env!("CARGO_PKG_VERSION")).with_title("Praxis");
        let mut client = ClientConfig::new(can, us);
        let version = config.version().filter(ProtocolVersion::has_initialize);
        client = client.with_protocol_version(version.unwrap_or(ProtocolVersion::V_2025_11_25));
        Self {
            name: name.to_owned(),
            config: client,
            elicitation: config.elicitation,
            root: config.roots.then(|| root.to_owned()),
            sampling,
            running: Mutex::new(None),
            changed: Arc::new(Notify::new()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the call that pays for what the server asks of a model, until what is given back is dropped.
    pub(super) fn begins(&self, cx: &CallContext) -> Ends<'_> {
        if let Some(sampling) = &self.sampling {
            *self.lock() = Some(Arc::new(Running {
                cx: cx.clone(),
                left: tokio::sync::Mutex::new(sampling.tokens),
            }));
        }
        Ends(self)
    }

    async fn sample(
        &self,
        params: CreateMessageRequestParams,
    ) -> Result<CreateMessageResult, ErrorData> {
        let Some(sampling) = &self.sampling else {
            return Err(ErrorData::method_not_found::<CreateMessageRequestMethod>());
        };
        let running = self.lock().clone();
        let Some(running) = running else {
            let message = "a model is asked within a call of a tool only";
            return Err(ErrorData::invalid_request(message, None));
        };
        sampling.answer(params, &running).await
    }

    fn roots(&self) -> Result<ListRootsResult, ErrorData> {
        let Some(root) = &self.root else {
            return Err(ErrorData::method_not_found::<ListRootsRequestMethod>());
        };
        let whole = std::path::absolute(root).unwrap_or_else(|_| root.clone());
        let url = Url::from_directory_path(&whole)
            .map_err(|()| ErrorData::internal_error("the folder has no URI", None))?;
        let name = whole.file_name().and_then(|name| name.to_str());
        let mut found = Root::new(url.as_str().trim_end_matches('/'));
        if let Some(name) = name {
            found = found.with_name(name);
        }
        let mut result = ListRootsResult::default();
        result.roots.push(found);
        Ok(result)
    }

    /// Answers to what a server asks for within an answer of its own (SEP-2322).
    ///
    /// # Errors
    /// What we do not answer.
    pub(super) async fn answers(
        &self,
        requests: InputRequests,
    ) -> Result<InputResponses, ErrorData> {
        if requests.len() > MOST_REQUESTS {
            let message = format!("more than {MOST_REQUESTS} requests at once");
            return Err(ErrorData::invalid_request(message, None));
        }
        let mut answers = InputResponses::new();
        for (key, request) in requests {
            let answer = match request {
                InputRequest::CreateMessage(request) => value(&self.sample(request.params).await?),
                InputRequest::Elicitation(request) => {
                    value(&elicitation::answer(self.elicitation, &request.params))
                }
                InputRequest::ListRoots(_) => value(&self.roots()?),
                _ => Err(ErrorData::invalid_request(
                    "a request that is not known",
                    None,
                )),
            };
            answers.insert(key, answer?);
        }
        Ok(answers)
    }
}

fn value(answer: &impl serde::Serialize) -> Result<Value, ErrorData> {
    serde_json::to_value(answer).map_err(|e| ErrorData::internal_error(e.to_string(), None))
}

impl ClientHandler for Handler {
    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.sample(params).await
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        self.roots()
    }

    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(elicitation::answer(self.elicitation, &params))
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let said = cut(&params.data.to_string());
        tracing::debug!(server = %self.name, level = ?params.level, "{said}");
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }

    fn get_info(&self) -> ClientConfig {
        self.config.clone()
    }
}
