//! `/mcp`: the protocol over HTTP ("Streamable HTTP"), behind the application's keys like the rest of the API. A key
//! for functions has tools and prompts, one for knowledge has resources. Left out: which pages may ask (`guard`).

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use praxis_store::Scope;
use rmcp::ErrorData;
use rmcp::model::Extensions;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;

use super::handler::{Contexts, Handler};
use super::server::Server;
use super::sessions::Sessions;
use super::taints::Taints;
use crate::MAX_BODY;
use crate::error::ApiError;
use crate::guard::{Admitted, Paying};
use crate::state::ApiState;

/// The path that clients ask.
const PATH: &str = "/mcp";

/// The header that names a session.
const SESSION: &str = "mcp-session-id";

/// The route of the protocol, for who was let in by `guard`.
pub(crate) fn router(state: &ApiState, server: Server) -> Router {
    let (server, sessions) = (Arc::new(server), Arc::new(Sessions::default()));
    let contexts = contexts(state.clone(), Arc::clone(&sessions));
    let handler = move || Ok(Handler::new(Arc::clone(&server), Arc::clone(&contexts)));
    // Hosts and origins are `guard`'s, which knows which pages may ask.
    let settings = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(MAX_BODY);
    let service = StreamableHttpService::new(handler, Arc::clone(&sessions), settings);
    Router::new()
        .route_service(PATH, service)
        .layer(middleware::from_fn_with_state(sessions, of_its_key))
}

/// In whose name requests run: who was let in with them. Requests of a session know what others of it have read, and
/// so do those without a session that have one key. A session counts where there is one: requests of later revisions
/// may name any, and nobody asks for it.
fn contexts(state: ApiState, sessions: Arc<Sessions>) -> Contexts {
    let taints = Taints::default();
    Arc::new(move |extensions: &Extensions, scope: Scope| {
        let parts = extensions.get::<Parts>();
        let with = parts.map(|parts| &parts.extensions);
        let who = with.and_then(|with| Some((with.get::<Admitted>()?, with.get::<Paying>()?)));
        let Some((Admitted(caller), paying)) = who else {
            return Err(ErrorData::invalid_request("nobody was let in here", None));
        };
        paying.is_for(scope).map_err(|error| refused(&error))?;
        let key = paying.holder().maker();
        let named = parts.and_then(|parts| parts.headers.get(SESSION)?.to_str().ok());
        let of_session = named.and_then(|id| sessions.taint(id, &key));
        let taint = of_session.unwrap_or_else(|| taints.of(&key, Instant::now()));
        let cx = state.context(caller.clone(), paying.clone());
        Ok(cx.with_taint(taint))
    })
}

fn refused(error: &ApiError) -> ErrorData {
    let data = json!({ "code": error.code().as_str() });
    ErrorData::invalid_request(error.message().to_owned(), Some(data))
}

/// Lets a request into the session that it names, if its key began it. To others it is not there.
async fn of_its_key(
    State(sessions): State<Arc<Sessions>>,
    request: Request,
    next: Next,
) -> Response {
    let id = request
        .headers()
        .get(SESSION)
        .and_then(|id| id.to_str().ok());
    if let Some(id) = id {
        let owner = request
            .extensions()
            .get::<Paying>()
            .map(|paying| paying.holder().maker());
        if !owner.is_some_and(|owner| sessions.is_of(id, &owner)) {
            return (StatusCode::NOT_FOUND, "Not Found: Session not found").into_response();
        }
    }
    next.run(request).await
}
