//! A client, and the server that it asks.

use std::sync::Arc;

use axum::Router;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ElicitationAction,
    ElicitationCapability, ErrorCode, ErrorData, FormElicitationCapability, Implementation,
    ProgressNotificationParam, ProtocolVersion,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, NotificationContext,
    RequestContext, RunningService, ServiceError,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, RoleClient};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::app::{Application, Keys};

/// What a client hears.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    Progress(String),
    Log(Value),
    /// It is asked for these fields.
    Form(Vec<String>),
}

pub(super) struct Client {
    config: ClientConfig,
    heard: UnboundedSender<Heard>,
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        self.config.clone()
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let ElicitRequestParams::FormElicitationParams {
            requested_schema, ..
        } = request
        else {
            panic!("no form");
        };
        let fields = requested_schema.properties.keys().cloned().collect();
        self.heard.send(Heard::Form(fields)).unwrap();
        let content = json!({ "name": "Grace" });
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(content))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let message = params.message.unwrap_or_default();
        let _ = self.heard.send(Heard::Progress(message));
    }

    async fn on_logging_message(
        &self,
        params: rmcp::model::LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let _ = self.heard.send(Heard::Log(params.data));
    }
}

/// A client, and what it hears.
type Connected = (RunningService<RoleClient, Client>, UnboundedReceiver<Heard>);

/// A server at a port of its own.
pub(super) struct Served {
    pub app: Application,
    pub router: Router,
    pub url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    /// Serves an application with these keys: their names, scopes and labels.
    pub(super) async fn start(keys: Option<Keys<'_>>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let app = Application::start(keys).await;
        let router = crate::hardened(&app.state, crate::router(app.state.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let served = router.clone();
        let task = tokio::spawn(async move { axum::serve(listener, served).await.unwrap() });
        Self {
            app,
            router,
            url,
            task,
        }
    }

    /// A client with the key of that name.
    pub(super) async fn client(
        &self,
        key: Option<&str>,
        revision: ProtocolVersion,
        has_person: bool,
    ) -> Connected {
        let key = key.map(|name| self.app.keys[name].clone());
        self.connected(key, revision, has_person).await.unwrap()
    }

    /// A client with this key, if it is let in.
    pub(super) async fn connected(
        &self,
        key: Option<String>,
        revision: ProtocolVersion,
        has_person: bool,
    ) -> Result<Connected, ClientInitializeError> {
        let (heard, hears) = unbounded_channel();
        let mut can = ClientCapabilities::default();
        can.elicitation = has_person
            .then(|| ElicitationCapability::new().with_form(FormElicitationCapability::new()));
        let config = ClientConfig::new(can, Implementation::new("test", "1"));
        let client = Client {
            config: config.with_protocol_version(revision.clone()),
            heard,
        };
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut settings =
            StreamableHttpClientTransportConfig::with_uri(Arc::from(self.url.as_str()));
        if let Some(key) = key {
            settings = settings.auth_header(key);
        }
        let transport = StreamableHttpClientTransport::with_client(http, settings);
        let lifecycle = match revision.has_initialize() {
            true => ClientLifecycleMode::Initialize,
            false => ClientLifecycleMode::Discover {
                preferred_versions: vec![revision],
            },
        };
        let running = client.serve_with_lifecycle(transport, lifecycle).await?;
        Ok((running, hears))
    }
}

/// The code of an error that the server gave.
pub(super) fn code(error: &ServiceError) -> ErrorCode {
    match error {
        ServiceError::McpError(data) => data.code,
        other => panic!("{other:?}"),
    }
}
