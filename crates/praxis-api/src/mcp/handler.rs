//! Requests of clients, answered. Left out: what is offered, and who may ask.

#![expect(
    deprecated,
    reason = "logging is deprecated since revision 2026-07-28, and clients of older ones have it"
)]

use std::sync::{Arc, Mutex, PoisonError};

use praxis_core::{CallContext, CallError, ErrorCode};
use praxis_store::Scope;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, Extensions,
    GetPromptRequestParams, GetPromptResponse, Implementation, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, LoggingLevel,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    Reference, ResourceUpdatedNotificationParam, ServerCapabilities, ServerConfig,
    SetLevelRequestMethod, SetLevelRequestParams, SubscribeRequestParams, SubscriptionFilter, Tool,
    UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, Peer, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::asking::{self, Asking, Halt, Round};
use super::call::Call;
use super::server::Server;
use super::telling::Telling;
use super::watch::{self, Watch};
use super::{completion, content, page};

/// In whose name a request runs, if it may be about this.
pub(super) type Contexts =
    Arc<dyn Fn(&Extensions, Scope) -> Result<CallContext, ErrorData> + Send + Sync>;

/// Answers the requests of one client.
pub(super) struct Handler {
    server: Arc<Server>,
    contexts: Contexts,
    /// From which level the client wants the log; none until it says so.
    level: Mutex<Option<LoggingLevel>>,
    /// What it has subscribed to.
    watched: tokio::sync::Mutex<Option<Watched>>,
}

struct Watched {
    watch: Arc<tokio::sync::Mutex<Watch>>,
    _task: AbortOnDropHandle<()>,
}

impl Handler {
    pub(super) fn new(server: Arc<Server>, contexts: Contexts) -> Self {
        Self {
            server,
            contexts,
            level: Mutex::new(None),
            watched: tokio::sync::Mutex::new(None),
        }
    }

    /// A request that runs.
    fn call(
        &self,
        context: RequestContext<RoleServer>,
        round: Round<'_>,
    ) -> Result<Call, ErrorData> {
        let cx = (self.contexts)(&context.extensions, Scope::Functions)?;
        let cx = cx.with_cancel(context.ct.child_token());
        let asking = Asking::new(self.server.codec.as_ref(), cx.caller(), round)?;
        let level = match asking::is_older(&context) {
            true => *self.level.lock().unwrap_or_else(PoisonError::into_inner),
            false => context.meta.log_level(),
        };
        let token = context.meta.get_progress_token();
        let telling = Telling::new(context.peer.clone(), token, level);
        Ok(Call::new(cx, context, asking, telling))
    }

    /// The context for documents, where the caller may read any.
    fn reader(&self, context: &RequestContext<RoleServer>) -> Option<CallContext> {
        (self.contexts)(&context.extensions, Scope::Knowledge).ok()
    }
}

/// An argument as the requests of both rounds have it.
fn bound(arguments: Option<&rmcp::model::JsonObject>) -> Value {
    arguments.map_or(Value::Null, |arguments| Value::Object(arguments.clone()))
}

/// An error that is not for a model.
fn failed(error: &CallError) -> ErrorData {
    let data = json!({ "code": error.code.as_str() });
    ErrorData::internal_error(content::said(error), Some(data))
}

/// Tells a client of older revisions of changes, as long as it is there.
async fn tell(peer: Peer<RoleServer>, watch: Arc<tokio::sync::Mutex<Watch>>) {
    while !peer.is_transport_closed() {
        tokio::time::sleep(watch::PAUSE).await;
        let (changed, list) = watch.lock().await.changed().await;
        for uri in changed {
            let param = ResourceUpdatedNotificationParam::new(uri);
            if peer.notify_resource_updated(param).await.is_err() {
                return;
            }
        }
        if list && peer.notify_resource_list_changed().await.is_err() {
            return;
        }
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let can = ServerCapabilities::builder()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_resources_list_changed()
            .enable_completions()
            .enable_logging()
            .build();
        let mut us = Implementation::new("praxis", env!("CARGO_PKG_VERSION"));
        if !self.server.title.is_empty() {
            us = us.with_title(self.server.title.clone());
        }
        let info = ServerConfig::new(can).with_server_info(us);
        match self.server.about.as_str() {
            "" => info,
            about => info.with_instructions(about),
        }
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.server.tool(name).map(|tool| tool.tool().clone())
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if (self.contexts)(&context.extensions, Scope::Functions).is_err() {
            return Ok(ListToolsResult::default());
        }
        let at = request.and_then(|request| request.cursor);
        let (tools, next_cursor) = page::page(self.server.tools.iter(), at.as_deref())?;
        Ok(ListToolsResult {
            tools: tools.into_iter().map(|tool| tool.tool().clone()).collect(),
            next_cursor,
            ..ListToolsResult::default()
        })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = bound(request.arguments.as_ref());
        let round = Round {
            method: "tools/call",
            name: &request.name,
            arguments: &arguments,
            answers: request.input_responses,
            state: request.request_state.as_deref(),
        };
        let call = self.call(context, round)?;
        let Some(tool) = self.server.tool(&request.name) else {
            let message = format!("Unknown tool: {}", request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        let Ok(_running) = self.server.calls.try_acquire() else {
            let busy = CallError::new(ErrorCode::RateLimited, "too many calls run just now")
                .with_hint("try again in a second");
            return Ok(content::error(&busy).into());
        };
        let result = tool
            .call(request.arguments.unwrap_or_default(), &call)
            .await;
        match result {
            Ok(result) => Ok(result.into()),
            Err(Halt::Asks(asks)) => Ok(CallToolResponse::InputRequired(*asks)),
            Err(Halt::Fails(error)) => Err(error),
        }
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        if (self.contexts)(&context.extensions, Scope::Functions).is_err() {
            return Ok(ListPromptsResult::default());
        }
        let at = request.and_then(|request| request.cursor);
        let (prompts, next_cursor) = page::page(self.server.prompts.iter(), at.as_deref())?;
        Ok(ListPromptsResult {
            prompts: prompts
                .into_iter()
                .map(|prompt| prompt.prompt().clone())
                .collect(),
            next_cursor,
            ..ListPromptsResult::default()
        })
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = bound(request.arguments.as_ref());
        let round = Round {
            method: "prompts/get",
            name: &request.name,
            arguments: &arguments,
            answers: request.input_responses,
            state: request.request_state.as_deref(),
        };
        let call = self.call(context, round)?;
        let Some(prompt) = self.server.prompts.get(&request.name) else {
            let message = format!("Unknown prompt: {}", request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        match prompt
            .get(request.arguments.unwrap_or_default(), &call)
            .await
        {
            Ok(result) => Ok(result.into()),
            Err(Halt::Asks(asks)) => Ok(GetPromptResponse::InputRequired(*asks)),
            Err(Halt::Fails(error)) => Err(error),
        }
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let Some(cx) = self.reader(&context) else {
            return Ok(ListResourcesResult::default());
        };
        let at = request.and_then(|request| request.cursor);
        // A cursor names the part of the list, and the entry in it.
        let at = at.map(|at| page::read(&at)).transpose()?;
        let (mut part, mut after) = (0, None);
        if let Some((number, entry)) = at.as_deref().and_then(|at| at.split_once(' ')) {
            part = number.parse().unwrap_or(usize::MAX);
            after = Some(entry.to_owned());
        }
        let mut all = Vec::new();
        let mut next_cursor = None;
        for (number, resources) in self.server.resources.iter().enumerate().skip(part) {
            let room = page::PAGE - all.len();
            let listed = resources.list(after.take().as_deref(), room, &cx).await;
            let (entries, more) = listed.map_err(|error| failed(&error))?;
            let last = entries.last().map(|(entry, _)| format!("{number} {entry}"));
            all.extend(entries.into_iter().map(|(_, resource)| resource));
            let is_last = number + 1 == self.server.resources.len();
            if more || (all.len() >= page::PAGE && !is_last) {
                next_cursor = last.map(|last| page::cursor(&last));
                break;
            }
        }
        Ok(ListResourcesResult {
            resources: all,
            next_cursor,
            ..ListResourcesResult::default()
        })
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        if self.reader(&context).is_none() {
            return Ok(ListResourceTemplatesResult::default());
        }
        let templates = self
            .server
            .resources
            .iter()
            .flat_map(|part| part.templates());
        Ok(ListResourceTemplatesResult {
            resource_templates: templates.collect(),
            ..ListResourceTemplatesResult::default()
        })
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let cx = (self.contexts)(&context.extensions, Scope::Knowledge)?;
        for resources in &self.server.resources {
            let read = resources.read(&request.uri, &cx).await;
            if let Some(contents) = read.map_err(|error| failed(&error))? {
                return Ok(ReadResourceResult::new(contents).into());
            }
        }
        let data = Some(json!({ "uri": request.uri }));
        Err(ErrorData::resource_not_found("Resource not found", data))
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let (name, typed) = (&request.argument.name, &request.argument.value);
        let values = match &request.r#ref {
            Reference::Prompt(prompt) => {
                (self.contexts)(&context.extensions, Scope::Functions)?;
                let Some(prompt) = self.server.prompts.get(&prompt.name) else {
                    let message = format!("Unknown prompt: {}", prompt.name);
                    return Err(ErrorData::invalid_params(message, None));
                };
                prompt.complete(name, typed)
            }
            Reference::Resource(template) => {
                let cx = (self.contexts)(&context.extensions, Scope::Knowledge)?;
                let parts = self.server.resources.iter();
                parts
                    .flat_map(|part| part.complete(&template.uri, name, typed, &cx))
                    .collect()
            }
            _ => Vec::new(),
        };
        completion::answer(values)
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if !asking::is_older(&context) {
            return Err(ErrorData::method_not_found::<SetLevelRequestMethod>());
        }
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.level);
        Ok(())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let cx = (self.contexts)(&context.extensions, Scope::Knowledge)?;
        let mut slot = self.watched.lock().await;
        if slot.is_none() {
            let watch = Watch::new(Arc::clone(&self.server), cx, [], true).await;
            let watch = Arc::new(tokio::sync::Mutex::new(watch));
            let task = tokio::spawn(tell(context.peer.clone(), Arc::clone(&watch)));
            *slot = Some(Watched {
                watch,
                _task: AbortOnDropHandle::new(task),
            });
        }
        if let Some(watched) = &*slot
            && watched.watch.lock().await.add(&request.uri).await
        {
            return Ok(());
        }
        let message = format!("a client subscribes to {} resources at most", watch::MOST);
        Err(ErrorData::invalid_request(message, None))
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if let Some(watched) = &*self.watched.lock().await {
            watched.watch.lock().await.remove(&request.uri);
        }
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let mut accepted = requested.supported_by(&self.get_info().capabilities);
        if let Some(uris) = &mut accepted.resource_subscriptions {
            uris.truncate(watch::MOST);
        }
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let request = context.request_context();
        let Some(cx) = self.reader(request) else {
            context.cancelled().await;
            return Ok(());
        };
        let accepted = context.accepted();
        let uris = accepted.resource_subscriptions.clone().unwrap_or_default();
        let list = accepted.resources_list_changed == Some(true);
        if uris.is_empty() && !list {
            context.cancelled().await;
            return Ok(());
        }
        let mut watch = Watch::new(Arc::clone(&self.server), cx, uris, list).await;
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = tokio::time::sleep(watch::PAUSE) => {}
            }
            let (changed, list) = watch.changed().await;
            for uri in changed {
                if context.sink().notify_resource_updated(uri).await.is_err() {
                    return Ok(());
                }
            }
            if list && context.sink().notify_resource_list_changed().await.is_err() {
                return Ok(());
            }
        }
    }
}
