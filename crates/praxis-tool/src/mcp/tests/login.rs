//! Logging in at a server with an authorization server of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Redirect, Response};
use axum::routing::{get, post};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};

use super::super::login;
use super::*;

/// A server behind a login.
#[derive(Clone)]
struct Guarded {
    base: String,
    logins: Arc<AtomicUsize>,
    renewals: Arc<AtomicUsize>,
    /// What the last login asked for.
    asked: Arc<Mutex<HashMap<String, String>>>,
}

/// What a server behind a login has.
pub(super) struct OneTool;

impl ServerHandler for OneTool {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = json!({ "type": "object" }).as_object().unwrap().clone();
        Ok(ListToolsResult {
            tools: vec![Tool::new("secret", "Tells it.", Arc::new(schema))],
            ..ListToolsResult::default()
        })
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::success(vec![ContentBlock::text("it is 42")]).into())
    }
}

impl Guarded {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let guarded = Self {
            base: format!("http://{}", listener.local_addr().unwrap()),
            logins: Arc::default(),
            renewals: Arc::default(),
            asked: Arc::default(),
        };
        let service = StreamableHttpService::new(
            || Ok(OneTool),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        );
        let router = axum::Router::new()
            .route_service("/mcp", service)
            .layer(axum::middleware::from_fn_with_state(guarded.clone(), guard))
            .route("/.well-known/oauth-protected-resource/mcp", get(resource))
            .route("/.well-known/oauth-authorization-server", get(server))
            .route("/register", post(register))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(guarded.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        guarded
    }

    fn file(&self) -> String {
        file(&format!("{}/mcp", self.base), "")
    }
}

async fn guard(
    State(guarded): State<Guarded>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let shown = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap());
    if shown == Some("Bearer good") {
        return next.run(request).await;
    }
    let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", guarded.base);
    let challenge = format!("Bearer resource_metadata=\"{metadata}\", scope=\"tools\"");
    (
        StatusCode::UNAUTHORIZED,
        [(header::WWW_AUTHENTICATE, challenge)],
    )
        .into_response()
}

async fn resource(State(guarded): State<Guarded>) -> Json<Value> {
    Json(json!({
        "resource": format!("{}/mcp", guarded.base),
        "authorization_servers": [guarded.base],
    }))
}

async fn server(State(guarded): State<Guarded>) -> Json<Value> {
    Json(issuer_metadata(&guarded.base))
}

/// Metadata of an authorization server (RFC 8414).
pub(super) fn issuer_metadata(base: &str) -> Value {
    let at = |path: &str| format!("{base}{path}");
    json!({
        "issuer": base,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "registration_endpoint": at("/register"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
    })
}

async fn register(Json(mut client): Json<Value>) -> (StatusCode, Json<Value>) {
    client["client_id"] = json!("praxis-1");
    (StatusCode::CREATED, Json(client))
}

async fn authorize(
    State(guarded): State<Guarded>,
    Query(asked): Query<HashMap<String, String>>,
) -> Redirect {
    let back = format!(
        "{}?code=once&state={}",
        asked["redirect_uri"], asked["state"]
    );
    *guarded.asked.lock().unwrap() = asked;
    Redirect::to(&back)
}

async fn token(
    State(guarded): State<Guarded>,
    Form(form): Form<HashMap<String, String>>,
) -> Json<Value> {
    let expires = match form["grant_type"].as_str() {
        "refresh_token" => {
            assert_eq!(form["refresh_token"], "again");
            guarded.renewals.fetch_add(1, Ordering::SeqCst);
            3600
        }
        _ => {
            assert_eq!(
                (form["code"].as_str(), form["client_id"].as_str()),
                ("once", "praxis-1")
            );
            assert!(form.contains_key("code_verifier"));
            guarded.logins.fetch_add(1, Ordering::SeqCst);
            // Over at once: the first use renews it.
            0
        }
    };
    Json(json!({
        "access_token": "good",
        "token_type": "Bearer",
        "expires_in": expires,
        "refresh_token": "again",
        "scope": "tools",
    }))
}

/// A person's browser, which follows the link and what it leads to.
pub(super) fn browse(link: &str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    tokio::spawn(client.get(link).send());
}

pub(super) fn ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[tokio::test]
async fn a_person_logs_in_once_and_calls_use_the_token() {
    ring();
    let (guarded, app) = (Guarded::start().await, App::new());
    let place = app.place();
    std::fs::create_dir(app.folder.path().join("tools")).unwrap();
    std::fs::write(app.folder.path().join("tools/srv.mcp.toml"), guarded.file()).unwrap();

    let made = app.made(&guarded.file()).await;
    assert!(made.tools.is_empty());
    let help = made.warnings[0].help.as_deref().unwrap();
    assert!(help.contains("praxis tools login srv"), "{help}");

    login(&place.root, &place.state, "srv", browse)
        .await
        .unwrap();
    assert_eq!(guarded.logins.load(Ordering::SeqCst), 1);
    {
        let asked = guarded.asked.lock().unwrap();
        assert_eq!(asked["client_id"], "praxis-1");
        assert_eq!(asked["scope"], "tools");
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(asked["resource"], format!("{}/mcp", guarded.base));
        assert!(asked["redirect_uri"].starts_with("http://127.0.0.1:"));
    }
    // The list is kept already, and the token is renewed where it is over.
    let functions = app.functions(&guarded.file()).await;
    assert_eq!(functions.names(), ["srv/secret"]);
    assert!(guarded.renewals.load(Ordering::SeqCst) >= 1);
    assert_eq!(guarded.logins.load(Ordering::SeqCst), 1);

    assert!(logout(&place.root, &place.state, "srv").await.unwrap());
    assert!(!logout(&place.root, &place.state, "srv").await.unwrap());
    let functions = app.functions(&guarded.file()).await;
    let error = functions.call("srv/secret", json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unauthorized, "{error:?}");
}

#[tokio::test]
async fn a_login_that_is_not_wanted_is_refused() {
    let (site, app) = (Site::start().await, App::new());
    let place = app.place();
    std::fs::create_dir(app.folder.path().join("tools")).unwrap();
    let path = app.folder.path().join("tools/srv.mcp.toml");
    let login =
        |name: &'static str| super::super::login(&place.root, &place.state, name, |_: &str| ());
    std::fs::write(&path, file(&site.url, "")).unwrap();
    let error = login("srv").await.unwrap_err();
    assert!(
        error.message.contains("answers without a new login"),
        "{error:?}"
    );
    std::fs::write(&path, "command = [\"server\"]").unwrap();
    let error = login("srv").await.unwrap_err();
    assert!(error.message.contains("nobody logs in"), "{error:?}");
    for name in ["other", "../srv", ""] {
        let error = login(name).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{error:?}");
    }
}
