//! A server over HTTP, by the other half of the crate.

#![expect(
    deprecated,
    reason = "a server of an older revision asks a model and for roots"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::Next;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CreateMessageRequest,
    CreateMessageRequestParams, ElicitRequest, ElicitRequestParams, GetPromptRequestParams,
    GetPromptResponse, GetPromptResult, InputRequest, InputRequests, InputRequiredResult,
    ListPromptsResult, ListResourcesResult, ListRootsRequest, ListToolsResult,
    PaginatedRequestParams, Prompt, PromptMessage, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, Resource, ResourceContents, Role, SamplingMessage, ServerCapabilities,
    ServerConfig, ServerRequest, SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, Peer, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// A server that runs until it is dropped.
pub(super) struct Site {
    pub url: String,
    /// A call of `wait` has begun.
    pub waits: Arc<Notify>,
    /// It was cancelled.
    pub cancelled: Arc<Notify>,
    /// A client hears of changes.
    pub listens: Arc<Notify>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    requests: AtomicUsize,
    revision: Mutex<String>,
    grown: AtomicBool,
    changed: Notify,
    peers: Mutex<Vec<Peer<RoleServer>>>,
}

#[derive(Clone)]
struct Handler {
    waits: Arc<Notify>,
    cancelled: Arc<Notify>,
    listens: Arc<Notify>,
    shared: Arc<Shared>,
}

impl Site {
    pub(super) async fn start() -> Self {
        let handler = Handler {
            waits: Arc::default(),
            cancelled: Arc::default(),
            listens: Arc::default(),
            shared: Arc::default(),
        };
        let ours = handler.clone();
        let (shared, listens) = (Arc::clone(&handler.shared), Arc::clone(&handler.listens));
        let service = StreamableHttpService::new(
            move || Ok(handler.clone()),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        );
        let watch = move |request: Request, next: Next| {
            shared.requests.fetch_add(1, Ordering::SeqCst);
            let listens = Arc::clone(&listens);
            async move {
                let is_stream = request.method() == Method::GET;
                let response = next.run(request).await;
                if is_stream {
                    listens.notify_one();
                }
                response
            }
        };
        let router = axum::Router::new()
            .route_service("/mcp", service)
            .layer(axum::middleware::from_fn(watch));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            waits: ours.waits,
            cancelled: ours.cancelled,
            listens: ours.listens,
            shared: ours.shared,
            task,
        }
    }

    /// Takes no more connections.
    pub(super) async fn stop(mut self) {
        self.task.abort();
        assert!((&mut self.task).await.is_err());
    }

    pub(super) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// The revision that was spoken last.
    pub(super) fn revision(&self) -> String {
        self.shared.revision.lock().unwrap().clone()
    }

    /// Offers one more tool from now on, and says so.
    pub(super) async fn grow(&self) {
        self.shared.grown.store(true, Ordering::SeqCst);
        self.shared.changed.notify_one();
        let peers = std::mem::take(&mut *self.shared.peers.lock().unwrap());
        for peer in peers {
            // Some have gone away.
            let _ = peer.notify_tool_list_changed().await;
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn tool(name: &'static str, properties: Value, required: Value) -> Tool {
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    let Value::Object(schema) = schema else {
        panic!("an object")
    };
    Tool::new(name, format!("Does {name}."), Arc::new(schema))
}

fn text(text: impl Into<String>) -> CallToolResponse {
    CallToolResult::success(vec![ContentBlock::text(text)]).into()
}

/// What `ask`, `confirm` and `roots` want of the client.
fn wanted(tool: &str) -> InputRequest {
    match tool {
        "ask" => {
            let question = SamplingMessage::user_text("What is the capital of France?");
            let params = CreateMessageRequestParams::new(vec![question], 100);
            InputRequest::CreateMessage(CreateMessageRequest::new(params))
        }
        "confirm" => {
            let form = json!({
                "type": "object",
                "properties": { "sure": { "type": "boolean", "default": true } },
                "required": ["sure"],
            });
            InputRequest::Elicitation(ElicitRequest::new(
                ElicitRequestParams::FormElicitationParams {
                    meta: None,
                    message: "Sure?".to_owned(),
                    requested_schema: serde_json::from_value(form).unwrap(),
                },
            ))
        }
        _ => InputRequest::ListRoots(ListRootsRequest::default()),
    }
}

/// The client's answer to it.
async fn asked(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<Result<Value, CallToolResponse>, ErrorData> {
    let wanted = wanted(&request.name);
    if context
        .protocol_version()
        .is_some_and(|version| version.has_initialize())
    {
        let request = match wanted {
            InputRequest::CreateMessage(request) => ServerRequest::CreateMessageRequest(request),
            InputRequest::Elicitation(request) => ServerRequest::ElicitRequest(request),
            InputRequest::ListRoots(request) => ServerRequest::ListRootsRequest(request),
            _ => panic!("no such request"),
        };
        let answer = context.peer.send_request(request).await;
        let answer = answer.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        return Ok(Ok(serde_json::to_value(answer).unwrap()));
    }
    if let Some(answer) = request
        .input_responses
        .as_ref()
        .and_then(|all| all.get("it"))
    {
        return Ok(Ok(answer.clone()));
    }
    let requests = InputRequests::from([("it".to_owned(), wanted)]);
    Ok(Err(InputRequiredResult::new(Some(requests), None).into()))
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let can = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .enable_prompts()
            .build();
        ServerConfig::new(can)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let revision = context
            .protocol_version()
            .map(|version| version.to_string());
        *self.shared.revision.lock().unwrap() = revision.unwrap_or_default();
        let none = || json!({});
        let Value::Object(sum) = json!({
            "type": "object",
            "properties": { "sum": { "type": "integer" } },
            "required": ["sum"],
        }) else {
            panic!("an object")
        };
        let number = json!({ "type": "integer" });
        let mut tools = vec![
            tool(
                "echo",
                json!({ "text": { "type": "string" } }),
                json!(["text"]),
            ),
            tool(
                "add",
                json!({ "a": number, "b": number }),
                json!(["a", "b"]),
            )
            .with_raw_output_schema(Arc::new(sum)),
            tool("fail", none(), json!([])),
        ];
        // Two pages.
        let second = request.and_then(|request| request.cursor).is_some();
        if second {
            tools = ["wait", "ask", "confirm", "roots"]
                .map(|name| tool(name, none(), json!([])))
                .into();
            if self.shared.grown.load(Ordering::SeqCst) {
                tools.push(tool("new", none(), json!([])));
            }
        }
        Ok(ListToolsResult {
            tools,
            next_cursor: (!second).then(|| "second".to_owned()),
            ..ListToolsResult::default()
        })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.clone().unwrap_or_default());
        match &*request.name {
            "echo" => Ok(text(arguments["text"].as_str().unwrap())),
            "add" => {
                let sum = arguments["a"].as_i64().unwrap() + arguments["b"].as_i64().unwrap();
                Ok(CallToolResult::structured(json!({ "sum": sum })).into())
            }
            "fail" => Ok(CallToolResult::error(vec![ContentBlock::text("it broke")]).into()),
            "wait" => {
                self.waits.notify_one();
                context.ct.cancelled().await;
                self.cancelled.notify_one();
                Ok(text("late"))
            }
            name => match asked(&request, &context).await? {
                Err(back) => Ok(back),
                Ok(answer) => Ok(text(match name {
                    "ask" => format!(
                        "the model says: {}",
                        answer["content"]["text"].as_str().unwrap()
                    ),
                    "confirm" => answer["action"].as_str().unwrap().to_owned(),
                    _ => answer["roots"][0]["uri"].as_str().unwrap().to_owned(),
                })),
            },
        }
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let motto =
            Resource::new("site:///motto", "motto").with_description("The motto of this site");
        Ok(ListResourcesResult {
            resources: vec![motto],
            ..ListResourcesResult::default()
        })
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if request.uri != "site:///motto" {
            return Err(ErrorData::resource_not_found("no such resource", None));
        }
        let contents = ResourceContents::text("Festina lente", request.uri);
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult {
            prompts: vec![Prompt::new("greet", Some("Greets."), None)],
            ..ListPromptsResult::default()
        })
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        let words = format!("Greet {}", arguments["who"].as_str().unwrap_or("all"));
        let message = PromptMessage::new_text(Role::User, words);
        Ok(GetPromptResult::new(vec![message]).into())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.shared.peers.lock().unwrap().push(context.peer);
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.listens.notify_one();
        tokio::select! {
            () = context.cancelled() => {}
            () = self.shared.changed.notified() => {
                let _ = context.sink().notify_tool_list_changed().await;
            }
        }
        Ok(())
    }
}
