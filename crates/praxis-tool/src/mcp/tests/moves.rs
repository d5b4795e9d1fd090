//! A server whose authorization server becomes another one, or forgets its clients: what one of them gave is not shown
//! to the other, and a person who logs in again mends it, also for an application that runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::{Form, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Redirect, Response};
use axum::routing::{get, post};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};

use super::super::login;
use super::login::{OneTool, browse, issuer_metadata, ring};
use super::*;

/// An authorization server. What it gives has its name in it.
#[derive(Clone)]
struct Issuer {
    name: &'static str,
    base: String,
    registrations: Arc<AtomicUsize>,
    /// How often it forgot all that it gave.
    forgot: Arc<AtomicUsize>,
    /// Its requests: line, `Authorization` and body.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Issuer {
    async fn start(name: &'static str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            name,
            base: format!("http://{}", listener.local_addr().unwrap()),
            registrations: Arc::default(),
            forgot: Arc::default(),
            heard: Arc::default(),
        };
        let router = axum::Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/register", post(register))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .layer(axum::middleware::from_fn_with_state(issuer.clone(), hear))
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        issuer
    }

    fn registrations(&self) -> usize {
        self.registrations.load(Ordering::SeqCst)
    }

    /// What it gives now, by its kind.
    fn gives(&self, what: &str) -> String {
        let forgot = self.forgot.load(Ordering::SeqCst);
        format!("{what}-of-{}-{forgot}", self.name)
    }

    fn heard(&self, what: &str) -> bool {
        let heard = self.heard.lock().unwrap();
        heard.iter().any(|request| request.contains(what))
    }
}

async fn hear(State(issuer): State<Issuer>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let text = String::from_utf8_lossy(&body).into_owned();
    let shown = head.headers.get(header::AUTHORIZATION);
    let line = format!("{} {} {shown:?} {text}", head.method, head.uri);
    issuer.heard.lock().unwrap().push(line);
    next.run(Request::from_parts(head, Body::from(body))).await
}

async fn metadata(State(issuer): State<Issuer>) -> Json<Value> {
    Json(issuer_metadata(&issuer.base))
}

async fn register(
    State(issuer): State<Issuer>,
    Json(mut client): Json<Value>,
) -> (StatusCode, Json<Value>) {
    issuer.registrations.fetch_add(1, Ordering::SeqCst);
    client["client_id"] = json!(issuer.gives("client"));
    (StatusCode::CREATED, Json(client))
}

async fn authorize(Query(asked): Query<HashMap<String, String>>) -> Redirect {
    let (back, state) = (&asked["redirect_uri"], &asked["state"]);
    Redirect::to(&format!("{back}?code=once&state={state}"))
}

async fn token(
    State(issuer): State<Issuer>,
    Form(form): Form<HashMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let renews = form.get("refresh_token");
    if renews.is_some_and(|shown| *shown != issuer.gives("again")) {
        let error = json!({ "error": "invalid_client" });
        return (StatusCode::UNAUTHORIZED, Json(error));
    }
    let given = json!({
        "access_token": issuer.gives("token"),
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": issuer.gives("again"),
        "scope": "tools",
    });
    (StatusCode::OK, Json(given))
}

/// A server behind a login.
#[derive(Clone)]
struct Home {
    base: String,
    /// Its authorization server.
    issuer: Arc<Mutex<Issuer>>,
    /// It does not tell which that is.
    is_silent: Arc<AtomicBool>,
}

/// Where it tells it: nobody finds that without its word.
const METADATA: &str = "/who-logs-in.json";

impl Home {
    async fn start(issuer: &Issuer) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let home = Self {
            base: format!("http://{}", listener.local_addr().unwrap()),
            issuer: Arc::new(Mutex::new(issuer.clone())),
            is_silent: Arc::default(),
        };
        let service = StreamableHttpService::new(
            || Ok(OneTool),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        );
        let router = axum::Router::new()
            .route_service("/mcp", service)
            .layer(axum::middleware::from_fn_with_state(home.clone(), guard))
            .route(METADATA, get(resource))
            .with_state(home.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        home
    }

    fn file(&self, more: &str) -> String {
        file(&format!("{}/mcp", self.base), more)
    }

    fn moves_to(&self, issuer: &Issuer) {
        *self.issuer.lock().unwrap() = issuer.clone();
    }

    fn issuer(&self) -> Issuer {
        self.issuer.lock().unwrap().clone()
    }

    fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::SeqCst)
    }
}

async fn guard(
    State(home): State<Home>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let wanted = format!("Bearer {}", home.issuer().gives("token"));
    let shown = headers.get(header::AUTHORIZATION);
    if shown.is_some_and(|shown| shown.to_str().unwrap() == wanted) {
        return next.run(request).await;
    }
    let challenge = match home.is_silent() {
        true => "Bearer".to_owned(),
        false => format!("Bearer resource_metadata=\"{}{METADATA}\"", home.base),
    };
    let headers = [(header::WWW_AUTHENTICATE, challenge)];
    (StatusCode::UNAUTHORIZED, headers).into_response()
}

async fn resource(State(home): State<Home>) -> Response {
    if home.is_silent() {
        return StatusCode::NOT_FOUND.into_response();
    }
    Json(json!({
        "resource": format!("{}/mcp", home.base),
        "authorization_servers": [home.issuer().base],
    }))
    .into_response()
}

/// Writes the file of the server.
fn write(app: &App, text: &str) {
    let tools = app.folder.path().join("tools");
    std::fs::create_dir_all(&tools).unwrap();
    std::fs::write(tools.join("srv.mcp.toml"), text).unwrap();
}

async fn log_in(app: &App) -> Result<(), CallError> {
    let place = app.place();
    login(&place.root, &place.state, "srv", browse).await
}

/// An application that runs and has logged in at a server whose authorization server this is.
async fn logged_in(issuer: &Issuer) -> (Home, App, Functions) {
    let (home, app) = (Home::start(issuer).await, App::new());
    write(&app, &home.file(""));
    log_in(&app).await.unwrap();
    let functions = app.functions(&home.file("")).await;
    assert_eq!(secret(&functions).await.unwrap(), "it is 42");
    (home, app, functions)
}

async fn secret(functions: &Functions) -> Result<Value, CallError> {
    functions.call("srv/secret", json!({})).await
}

#[tokio::test]
async fn a_login_is_made_anew_where_the_authorization_server_is_another_one() {
    ring();
    let (a, b) = (Issuer::start("a").await, Issuer::start("b").await);
    let (home, app, functions) = logged_in(&a).await;

    // The application that runs says what has become of it, at once and as long as nobody logs in.
    home.moves_to(&b);
    for _ in 0..3 {
        let error = secret(&functions).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unauthorized, "{error:?}");
        let gone = format!(
            "wants a new login: its authorization server is no longer `{}`",
            a.base
        );
        assert!(error.message.contains(&gone), "{error:?}");
        let hint = error.hint.unwrap();
        assert!(hint.contains("praxis tools login srv"), "{hint}");
    }
    let kept = app.place().state.join("mcp/logins/srv.json");
    let kept = std::fs::read_to_string(kept).unwrap();
    let of_a = ["token-of-a", "again-of-a", "client-of-a"];
    for gone in of_a {
        assert!(!kept.contains(gone), "{kept}");
    }

    // Nobody has registered there but who logs in, and nothing of the one is told to the other.
    assert_eq!((a.registrations(), b.registrations()), (1, 0));
    log_in(&app).await.unwrap();
    assert_eq!((a.registrations(), b.registrations()), (1, 1));
    assert!(b.heard("client_id=client-of-b-0"));
    assert_eq!(secret(&functions).await.unwrap(), "it is 42");
    let functions = app.functions(&home.file("")).await;
    assert_eq!(secret(&functions).await.unwrap(), "it is 42");
    for one in of_a {
        assert!(!b.heard(one), "{one}: {:?}", b.heard.lock().unwrap());
    }
    assert!(!a.heard("-of-b"), "{:?}", a.heard.lock().unwrap());
}

#[tokio::test]
async fn an_application_that_runs_uses_a_login_that_came_meanwhile() {
    ring();
    let (a, b) = (Issuer::start("a").await, Issuer::start("b").await);
    let (home, app, functions) = logged_in(&a).await;
    home.moves_to(&b);
    log_in(&app).await.unwrap();
    assert_eq!((a.registrations(), b.registrations()), (1, 1));
    // Its connection is held to the one before, which is not shown the new token either.
    assert_eq!(secret(&functions).await.unwrap(), "it is 42");
    assert!(!b.heard("-of-a"), "{:?}", b.heard.lock().unwrap());
    assert!(!a.heard("-of-b"), "{:?}", a.heard.lock().unwrap());
}

#[tokio::test]
async fn a_token_that_cannot_be_renewed_keeps_nobody_from_logging_in() {
    ring();
    let a = Issuer::start("a").await;
    let (_, app, functions) = logged_in(&a).await;

    a.forgot.fetch_add(1, Ordering::SeqCst);
    let error = secret(&functions).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unauthorized, "{error:?}");
    assert!(error.hint.unwrap().contains("praxis tools login srv"));
    log_in(&app).await.unwrap();
    assert_eq!(a.registrations(), 2);
    assert_eq!(secret(&functions).await.unwrap(), "it is 42");
}

#[tokio::test]
async fn a_login_waits_for_a_server_that_does_not_tell_whose_it_is() {
    ring();
    let a = Issuer::start("a").await;
    let (home, app) = (Home::start(&a).await, App::new());
    write(&app, &home.file(""));
    log_in(&app).await.unwrap();

    let functions = app.functions(&home.file("")).await;
    home.is_silent.store(true, Ordering::SeqCst);
    let error = secret(&functions).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unauthorized, "{error:?}");
    home.is_silent.store(false, Ordering::SeqCst);
    assert_eq!(secret(&functions).await.unwrap(), "it is 42");
    assert_eq!(a.registrations(), 1);
}

#[tokio::test]
async fn a_client_of_the_file_is_shown_to_the_authorization_server_that_knows_it_only() {
    ring();
    let (a, b) = (Issuer::start("a").await, Issuer::start("b").await);
    let (home, app) = (Home::start(&a).await, App::new());
    write(&app, &home.file("[oauth]\nclient_id = \"mine\""));
    log_in(&app).await.unwrap();
    assert!(a.heard("client_id=mine"));

    home.moves_to(&b);
    let error = log_in(&app).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest, "{error:?}");
    for base in [&a.base, &b.base] {
        assert!(error.message.contains(base), "{error:?}");
    }
    let hint = error.hint.unwrap();
    assert!(hint.contains("praxis tools logout srv"), "{hint}");
    assert!(!b.heard("mine"), "{:?}", b.heard.lock().unwrap());

    write(&app, &home.file("[oauth]\nclient_id = \"other\""));
    log_in(&app).await.unwrap();
    assert!(b.heard("client_id=other") && !b.heard("client_id=mine"));
    assert_eq!((a.registrations(), b.registrations()), (0, 0));
}
