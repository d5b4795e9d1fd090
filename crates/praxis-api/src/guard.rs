//! What stands between the network and the handlers.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use praxis_core::ledger::{PaidBy, Told};
use praxis_core::{CallContext, CallError, Caller, ErrorCode, Payer, Priority};
use praxis_store::Scope;

use crate::access::Holder;
use crate::error::ApiError;
use crate::headers;
use crate::responses::again::Resumed;
use crate::server::Peer;
use crate::state::ApiState;

/// Lets through who may ask, where the application has a key; all others get an error in JSON. Answers say what is left
/// of their caller's limits.
pub(crate) async fn api_key(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let is_openai = request.uri().path().starts_with("/v1/");
    let (mut response, told) = match let_in(&state, request).await {
        Ok(Let::In(request)) => {
            let paying = request.extensions().get::<Paying>();
            let told = paying.map(|paying| paying.told.clone());
            (next.run(request).await, told)
        }
        Ok(Let::Out(_)) => {
            let message = "send the server's key as `Authorization: Bearer KEY`";
            let error = ApiError::new(ErrorCode::Unauthorized, message);
            (error.into_response(), None)
        }
        Err(error) => (error.into_response(), None),
    };
    // A stream's answer begins when its claim was decided on: what is told then is told in time.
    if let Some(remaining) = told.and_then(|told| told.latest()) {
        headers::tell_limits(response.headers_mut(), &remaining);
    }
    if is_openai {
        headers::tell_openai(response.headers_mut(), began.elapsed());
    }
    response
}

/// The same for pages: who may not ask is led to the login page, and from there back. No page stays
/// behind in the browser for those who come after.
pub(crate) async fn page_key(
    State(state): State<ApiState>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match let_in(&state, request).await {
        Ok(Let::In(request)) => next.run(request).await,
        Ok(Let::Out(uri)) => {
            let wanted = uri.path_and_query().map_or("/", |p| p.as_str());
            Redirect::to(&format!("/login?next={}", escaped(wanted))).into_response()
        }
        Err(error) => error.into_response(),
    };
    if state.access.is_some() {
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// What becomes of a request.
enum Let {
    /// It goes on, as its caller's.
    In(Request),
    /// It came from nobody, and wanted this.
    Out(Uri),
}

async fn let_in(state: &ApiState, request: Request) -> Result<Let, ApiError> {
    let (mut parts, body) = request.into_parts();
    let (holder, priority) = match parts.extensions.remove::<OnBehalf>() {
        Some(OnBehalf(holder)) => (Some(holder), Priority::Batch),
        None => {
            let holder = admitted(state, &parts.method, &parts.headers).await?;
            (holder, Priority::Interactive)
        }
    };
    match holder {
        Some(holder) => {
            admit(&mut parts, holder, priority)?;
            Ok(Let::In(Request::from_parts(parts, body)))
        }
        None => Ok(Let::Out(parts.uri)),
    }
}

/// Who asks, if they may.
async fn admitted(
    state: &ApiState,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Arc<Holder>>, ApiError> {
    let Some(access) = &state.access else {
        // Without keys, only this machine may ask, and everything.
        return Ok(Some(Arc::new(Caller::full().into())));
    };
    let holder = match bearer(headers) {
        Some(key) => access.holder_of(key).await,
        None if says_where_from(method, headers) => access.admits(headers, Instant::now()).await,
        None => Ok(None),
    };
    holder.map_err(|error| CallError::failure(error).into())
}

/// Lets a request through as its holder's, if the key is for what it asks.
fn admit(parts: &mut Parts, holder: Arc<Holder>, priority: Priority) -> Result<(), ApiError> {
    let path = parts.extensions.get::<MatchedPath>();
    let path = path.map_or_else(|| parts.uri.path(), MatchedPath::as_str);
    let scope = scope_of(path);
    let tags = parts.headers.get(TAGS).and_then(|t| t.to_str().ok());
    let tags = tags.unwrap_or_default().split(',').map(str::trim);
    let paying = Paying {
        payer: Payer {
            key: holder.caller.name.clone(),
            user: None,
            tags: tags.filter(|t| !t.is_empty()).map(str::to_owned).collect(),
        },
        holder: Arc::clone(&holder),
        told: Told::default(),
        priority,
        request: request_of(parts),
    };
    if let Some(scope) = scope {
        paying.is_for(scope)?;
    }
    parts.extensions.insert(Admitted(holder.caller.clone()));
    parts.extensions.insert(paying);
    Ok(())
}

/// What the client says is one request: the address, and the `Idempotency-Key` that it sent.
fn request_of(parts: &Parts) -> Option<String> {
    let key = parts.headers.get("idempotency-key")?.to_str().ok()?;
    Some(format!("{} {}", parts.uri.path(), key.trim()))
}

/// The header in which a client says what its calls are counted under, separated by commas.
pub(crate) const TAGS: &str = "x-praxis-tags";

/// What a key has to be for, by the path's beginning. The first that fits counts.
const SCOPES: &[(&str, Scope)] = &[
    ("/v1/models", Scope::Models),
    ("/v1/chat", Scope::Chat),
    ("/v1/completions", Scope::Chat),
    ("/v1/responses", Scope::Responses),
    ("/v1/conversations", Scope::Responses),
    ("/v1/embeddings", Scope::Embeddings),
    ("/v1/audio", Scope::Audio),
    ("/v1/moderations", Scope::Moderations),
    ("/v1/files", Scope::Files),
    ("/v1/uploads", Scope::Files),
    ("/v1/batches", Scope::Batches),
    ("/v1/vector_stores", Scope::VectorStores),
    ("/v1/organization", Scope::Usage),
    ("/praxis/v1/functions", Scope::Functions),
    ("/praxis/v1/approvals", Scope::Approvals),
    ("/praxis/v1/audit", Scope::Approvals),
    ("/praxis/v1/knowledge", Scope::Knowledge),
    ("/praxis/v1/passages", Scope::Knowledge),
    ("/praxis/v1/traces", Scope::Traces),
    ("/praxis/v1/feedback", Scope::Traces),
    ("/metrics", Scope::Usage),
    ("/documents", Scope::Knowledge),
    ("/knowledge", Scope::Knowledge),
    ("/graph", Scope::Knowledge),
    ("/preview", Scope::Knowledge),
    ("/texts", Scope::Embeddings),
    ("/traces", Scope::Traces),
];

pub(crate) fn scope_of(path: &str) -> Option<Scope> {
    let begins = |begin: &str| {
        let rest = path.strip_prefix(begin);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let found = SCOPES.iter().find(|(begin, _)| begins(begin));
    found.map(|(_, scope)| *scope)
}

/// Who asks, as handlers take it. It comes from the guards alone, and a route that no guard stands before
/// has nobody and is refused.
#[derive(Debug, Clone)]
pub struct Admitted(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for Admitted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let admitted = parts.extensions.get::<Self>().cloned();
        admitted.ok_or_else(nobody)
    }
}

/// In whose name the server makes a request of itself, for work that was brought earlier and that nobody waits for. The
/// guards let it in as that holder's. No request from outside has it: extensions do not come over a connection.
#[derive(Debug, Clone)]
pub(crate) struct OnBehalf(pub(crate) Arc<Holder>);

/// Which response a request is to go on with, where the server makes it of itself.
pub(crate) struct Resuming(pub(crate) Option<Resumed>);

impl<S: Send + Sync> FromRequestParts<S> for Resuming {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(parts.extensions.get::<Resumed>().cloned()))
    }
}

/// Who pays for what is asked, with the limits that hold; as [`Admitted`].
#[derive(Debug, Clone)]
pub(crate) struct Paying {
    payer: Payer,
    holder: Arc<Holder>,
    /// What its calls are told of its limits.
    told: Told,
    /// How urgent its calls are at most.
    priority: Priority,
    /// What the client says is one request: a tool's call that was approved is made once within it.
    request: Option<String>,
}

impl Paying {
    /// The same for a user of the key, as the client calls it.
    pub(crate) fn by_user(mut self, user: Option<String>) -> Self {
        self.payer.user = user;
        self
    }

    /// Whether the key is for something.
    ///
    /// # Errors
    /// `forbidden` where it is not.
    pub(crate) fn is_for(&self, scope: Scope) -> Result<(), ApiError> {
        if self.holder.may(scope) {
            return Ok(());
        }
        let message = format!("this key is not for `{scope}`");
        Err(ApiError::new(ErrorCode::Forbidden, message))
    }

    /// A context whose calls are paid so.
    pub(crate) fn pays_in(self, cx: CallContext) -> CallContext {
        let cx = match self.request {
            Some(request) => cx.with_scope(request),
            None => cx,
        };
        let cx = cx.with_payer(self.payer, Arc::clone(&self.holder.limits));
        cx.with_told(self.told).with_priority(self.priority)
    }

    /// The same for work that is done later.
    pub(crate) fn pays_later(&self) -> PaidBy {
        PaidBy::new(self.payer.clone(), &self.holder.limits)
    }

    /// Who has the key.
    pub(crate) fn holder(&self) -> &Holder {
        &self.holder
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paying {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let paying = parts.extensions.get::<Self>().cloned();
        paying.ok_or_else(nobody)
    }
}

fn nobody() -> ApiError {
    ApiError::new(ErrorCode::Unauthorized, "nobody was let in here")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let sent = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    sent.strip_prefix("Bearer ")
}

/// Browsers send a cookie along whoever wrote the page, at least between ports of one host. So it
/// counts only where the request comes from this server's own pages: what changes something must
/// say so, as browsers do, and what only reads must not say otherwise.
fn says_where_from(method: &Method, headers: &HeaderMap) -> bool {
    (method.is_safe() || headers.contains_key(header::ORIGIN)) && foreign_origin(headers).is_none()
}

/// A path as the value of a query.
fn escaped(path: &str) -> String {
    path.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// Refuses what another site's page sends with a browser, unless its origin is listed: a page that a user happens to
/// visit must not reach a server on the user's own machine.
pub(crate) async fn same_origin(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    // No browser asks at the socket, whose clients call the server what they like.
    let at_socket = request.extensions().get::<Peer>() == Some(&Peer::Socket);
    if state.access.is_none()
        && !at_socket
        && request.extensions().get::<OnBehalf>().is_none()
        && let Some(host) = foreign_host(request.headers())
    {
        let message = format!("this server does not answer for the host `{host}` without a key");
        return ApiError::new(ErrorCode::Unauthorized, message).into_response();
    }
    match foreign_origin(request.headers()) {
        None => next.run(request).await,
        Some(origin) if state.cors.allows(&origin) => {
            // What a browser has of this server's own pages never counts for another site's.
            request.headers_mut().remove(header::COOKIE);
            next.run(request).await
        }
        Some(origin) => {
            let message = format!("pages of {origin} may not call this server");
            // The Model Context Protocol has a status of its own for it ("Transports", "Security Warning").
            let code = match request.uri().path() {
                "/mcp" => ErrorCode::Forbidden,
                _ => ErrorCode::Unauthorized,
            };
            ApiError::new(code, message).into_response()
        }
    }
}

/// The name that a request was made by, where it is not one of this machine: a page of a name that
/// was pointed here (DNS rebinding) has its own origin and may send any header it likes. A server
/// with a key needs no such check: the page does not know the key.
fn foreign_host(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let port = |p: &str| p.parse::<u16>().is_ok();
    let name = host
        .rsplit_once(':')
        .filter(|(_, p)| port(p))
        .map_or(host, |h| h.0);
    let address = name
        .trim_matches(['[', ']'])
        .parse::<std::net::IpAddr>()
        .is_ok();
    let own = address || name == "localhost" || name.ends_with(".localhost");
    (!own).then(|| name.to_owned())
}

/// The page's origin, where it is not this server's own.
fn foreign_origin(headers: &HeaderMap) -> Option<String> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    let origin = text(header::ORIGIN)?;
    let own = origin.split_once("://").map(|(_, host)| host);
    (own.is_none() || own != text(header::HOST)).then(|| origin.to_owned())
}

/// Counts and times each request by its route.
pub(crate) async fn measure(request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |p| p.as_str().to_owned());
    let method = method_label(request.method());
    let started = Instant::now();
    let response = next.run(request).await;
    let labels = [
        ("method", method.to_owned()),
        ("route", route),
        ("status", response.status().as_u16().to_string()),
    ];
    metrics::counter!("praxis_http_requests_total", &labels).increment(1);
    metrics::histogram!("praxis_http_request_seconds", &labels)
        .record(started.elapsed().as_secs_f64());
    response
}

/// A method as metrics count it. Any word is a method to HTTP, and each label is kept for good: those that nobody needs
/// are one, so that a stranger cannot fill the memory with them.
fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_nobody_knows_are_counted_as_one() {
        for (method, label) in [
            ("GET", "GET"),
            ("DELETE", "DELETE"),
            ("OPTIONS", "OPTIONS"),
            ("get", "other"),
            ("X1", "other"),
            ("PROPFIND", "other"),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(method_label(&method), label);
        }
    }

    #[test]
    fn only_names_of_this_machine_are_answered_without_a_key() {
        for (host, foreign) in [
            ("localhost:8787", false),
            ("127.0.0.1:8787", false),
            ("[::1]:8787", false),
            ("evil.example", true),
            ("evil.example:8787", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
            assert_eq!(foreign_host(&headers).is_some(), foreign, "{host}");
        }
    }

    #[test]
    fn each_route_has_its_scope() {
        for (path, scope) in [
            ("/v1/chat/completions", Some(Scope::Chat)),
            ("/v1/completions", Some(Scope::Chat)),
            ("/v1/models/{id}", Some(Scope::Models)),
            ("/v1/moderations", Some(Scope::Moderations)),
            ("/v1/responses/{id}/cancel", Some(Scope::Responses)),
            ("/v1/files", Some(Scope::Files)),
            ("/v1/filesystem", None),
            ("/praxis/v1/functions/{name}/call", Some(Scope::Functions)),
            ("/praxis/v1/approvals/{id}", Some(Scope::Approvals)),
            ("/praxis/v1/audit", Some(Scope::Approvals)),
            ("/praxis/v1/traces/{id}", Some(Scope::Traces)),
            ("/praxis/v1/feedback", Some(Scope::Traces)),
            ("/", None),
        ] {
            assert_eq!(scope_of(path), scope, "{path}");
        }
    }

    #[test]
    fn a_cookie_counts_only_on_this_servers_own_pages() {
        for (method, origin, counts) in [
            (Method::GET, None, true),
            (Method::GET, Some("http://127.0.0.1:8787"), true),
            (Method::GET, Some("http://127.0.0.1:3000"), false),
            (Method::POST, Some("http://127.0.0.1:8787"), true),
            (Method::POST, Some("http://127.0.0.1:3000"), false),
            (Method::POST, Some("https://evil.example"), false),
            (Method::POST, Some("null"), false),
            (Method::POST, None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8787"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let found = says_where_from(&method, &headers);
            assert_eq!(found, counts, "{method} from {origin:?}");
        }
    }

    #[test]
    fn a_path_survives_the_way_through_the_login_page() {
        let path = "/documents/a?start=1&end=2";
        assert_eq!(escaped(path), "/documents/a%3Fstart%3D1%26end%3D2");
    }
}
