//! The HTTP edge: the OpenAI platform API over functions, models, files and vector stores, and Praxis's own beside it.
//!
//! [`router`] is the map of all routes. Handlers parse, call a port, and shape the answer; no
//! product logic lives here.

pub mod access;
mod batches;
mod cors;
mod encoding;
mod error;
mod guard;
mod headers;
mod idempotency;
pub mod mcp;
pub mod openapi;
mod refusals;
mod responses;
mod routes;
mod server;
mod sse;
mod state;

// The application of the tests of `mcp` is an example's too.
#[cfg(test)]
extern crate self as praxis_api;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware;
use axum::routing::{get, post};
use praxis_knowledge::Files;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

pub use access::Access;
pub use batches::Batches;
pub use cors::{Cors, InvalidOrigin};
pub use error::ApiError;
pub use guard::Admitted;
use openapi::Routes;
pub use responses::Responses;
pub use server::{Bounds, Listening, Peer, Tls, TlsError, serve};
#[cfg(unix)]
pub use server::{Socket, SocketError};
pub use state::{
    ApiState, AppInfo, EmbedderSource, ModelInfo, ModelList, Reach, TranscriberSource,
};

/// The most bytes of a request's body.
const MAX_BODY: usize = 8 << 20;

/// The longest pause while a request's body arrives.
const BODY_PAUSE: Duration = Duration::from_secs(30);

/// All routes of the API, and the application as a server of the Model Context Protocol.
pub fn router(state: ApiState) -> Router {
    let server = mcp::Server::of(&state);
    router_with(state, server)
}

/// The same, where that server offers something else.
pub fn router_with(state: ApiState, server: mcp::Server) -> Router {
    let (open, keyed) = (open().into_router(), keyed(&state).into_router());
    let keyed = keyed.merge(routes::later::routes());
    // Behind the application's key, if it has one. `/healthz` and `/readyz` alone stay open.
    let key = middleware::from_fn_with_state(state.clone(), guard::api_key);
    let answers = idempotency::Idempotency::new(state.store.clone());
    let keyed = keyed.with_state(state.clone()).layer(
        ServiceBuilder::new()
            .layer(key.clone())
            // Who asks is known before: keys of two callers are two.
            .layer(middleware::from_fn_with_state(answers, idempotency::once)),
    );
    let protocol = mcp::router(&state, server).layer(key);
    open.with_state(state).merge(keyed).merge(protocol)
}

/// All routes, for the test that compares them with the document.
#[cfg(test)]
fn all_routes(state: &ApiState) -> Routes {
    open().merge(keyed(state))
}

/// Routes that anybody may ask.
fn open() -> Routes {
    Routes::new()
        .route("/healthz", get(routes::health::healthz))
        .route("/readyz", get(routes::health::readyz))
}

/// Routes that need a key where there are keys.
fn keyed(state: &ApiState) -> Routes {
    Routes::new()
        .route("/openapi.json", get(openapi::show))
        .route("/metrics", get(routes::health::metrics))
        .route("/v1/models", get(routes::models::list))
        .route("/v1/models/{id}", get(routes::models::retrieve))
        .route("/v1/chat/completions", post(routes::chat::completions))
        .route("/v1/completions", post(routes::completions::create))
        .route("/v1/embeddings", post(routes::embeddings::create))
        .route("/v1/moderations", post(routes::moderations::create))
        .merge(files(state))
        .merge(vector_stores())
        .merge(responses())
        .merge(batches())
        .merge(in_parts())
        .merge(audio(state))
        .merge(usage())
        .merge(approvals())
        .route("/praxis/v1/functions", get(routes::functions::list))
        .route(
            "/praxis/v1/functions/{name}/call",
            post(routes::functions::call),
        )
        .route(
            "/praxis/v1/functions/{name}/chat",
            post(routes::functions::chat),
        )
        .route("/praxis/v1/knowledge", get(routes::knowledge::list))
        .route(
            "/praxis/v1/knowledge/{base}/search",
            post(routes::knowledge::search),
        )
        .route(
            "/praxis/v1/knowledge/{base}/graph",
            get(routes::knowledge::graph),
        )
        .route(
            "/praxis/v1/knowledge/{base}/preview",
            post(routes::preview::preview).layer(uploads(state)),
        )
        .route(
            "/praxis/v1/passages/{chunk}",
            get(routes::knowledge::passage),
        )
        .route("/praxis/v1/traces", get(routes::traces::list))
        .route("/praxis/v1/traces/{id}", get(routes::traces::show))
        .route(
            "/praxis/v1/feedback",
            get(routes::feedback::list).post(routes::feedback::create),
        )
}

/// The limit of a body that is a file, where alone bodies may be large.
fn uploads(state: &ApiState) -> DefaultBodyLimit {
    let most = state.files.limits().max_file_bytes;
    let most = usize::try_from(most.saturating_mul(2)).unwrap_or(usize::MAX);
    DefaultBodyLimit::max(most.max(MAX_BODY))
}

/// Files.
fn files(state: &ApiState) -> Routes {
    let upload = post(routes::files::create).layer(uploads(state));
    Routes::new()
        .route("/v1/files", upload.get(routes::files::list))
        .route(
            "/v1/files/{file}",
            get(routes::files::retrieve).delete(routes::files::delete),
        )
        .route("/v1/files/{file}/content", get(routes::files::content))
}

/// Responses and conversations.
fn responses() -> Routes {
    use routes::{conversations, responses};
    Routes::new()
        .route("/v1/responses", post(responses::create))
        .route("/v1/responses/input_tokens", post(responses::input_tokens))
        .route("/v1/responses/compact", post(responses::compact::create))
        .route(
            "/v1/responses/{id}",
            get(responses::retrieve).delete(responses::delete),
        )
        .route("/v1/responses/{id}/cancel", post(responses::cancel))
        .route(
            "/v1/responses/{id}/input_items",
            get(responses::input_items),
        )
        .route("/v1/conversations", post(conversations::create))
        .route(
            "/v1/conversations/{conversation}",
            get(conversations::retrieve)
                .post(conversations::update)
                .delete(conversations::delete),
        )
        .route(
            "/v1/conversations/{conversation}/items",
            get(conversations::list_items).post(conversations::add_items),
        )
        .route(
            "/v1/conversations/{conversation}/items/{item}",
            get(conversations::retrieve_item).delete(conversations::delete_item),
        )
}

/// Batches.
fn batches() -> Routes {
    use routes::batches::{cancel, create, list, retrieve};
    Routes::new()
        .route("/v1/batches", get(list).post(create))
        .route("/v1/batches/{batch}", get(retrieve))
        .route("/v1/batches/{batch}/cancel", post(cancel))
}

/// Files that come in parts.
fn in_parts() -> Routes {
    use routes::uploads::{add_part, cancel, complete, create};
    let most = Files::MAX_PART.saturating_mul(2);
    let most = DefaultBodyLimit::max(usize::try_from(most).unwrap_or(usize::MAX));
    Routes::new()
        .route("/v1/uploads", post(create))
        .route("/v1/uploads/{upload}/parts", post(add_part).layer(most))
        .route("/v1/uploads/{upload}/complete", post(complete))
        .route("/v1/uploads/{upload}/cancel", post(cancel))
}

/// Speech to text.
fn audio(state: &ApiState) -> Routes {
    use routes::audio::{transcribe, translate};
    Routes::new()
        .route(
            "/v1/audio/transcriptions",
            post(transcribe).layer(uploads(state)),
        )
        .route(
            "/v1/audio/translations",
            post(translate).layer(uploads(state)),
        )
}

/// Vector stores, the files in them, batches of files, and searches.
fn vector_stores() -> Routes {
    use routes::vector_stores::{batches, files, search, stores};
    let store = |rest: &str| format!("/v1/vector_stores/{{store}}{rest}");
    Routes::new()
        .route("/v1/vector_stores", get(stores::list).post(stores::create))
        .route(
            &store(""),
            get(stores::retrieve)
                .post(stores::modify)
                .delete(stores::delete),
        )
        .route(&store("/search"), post(search::search))
        .route(&store("/files"), get(files::list).post(files::create))
        .route(
            &store("/files/{file}"),
            get(files::retrieve)
                .post(files::update)
                .delete(files::delete),
        )
        .route(&store("/files/{file}/content"), get(files::content))
        .route(&store("/file_batches"), post(batches::create))
        .route(&store("/file_batches/{batch}"), get(batches::retrieve))
        .route(
            &store("/file_batches/{batch}/cancel"),
            post(batches::cancel),
        )
        .route(&store("/file_batches/{batch}/files"), get(batches::files))
}

/// Calls of tools that wait for a person, and the log of all calls.
fn approvals() -> Routes {
    use routes::approvals::{audit, decide, list, retrieve, waiting};
    Routes::new()
        .route("/praxis/v1/approvals", get(list))
        .route("/praxis/v1/approvals/waiting", get(waiting))
        .route("/praxis/v1/approvals/{id}", get(retrieve).post(decide))
        .route("/praxis/v1/audit", get(audit))
}

/// Reports of what was used.
fn usage() -> Routes {
    use routes::usage::{audio_transcriptions, completions, costs, embeddings, moderations};
    Routes::new()
        .route("/v1/organization/usage/completions", get(completions))
        .route("/v1/organization/usage/embeddings", get(embeddings))
        .route("/v1/organization/usage/moderations", get(moderations))
        .route(
            "/v1/organization/usage/audio_transcriptions",
            get(audio_transcriptions),
        )
        .route("/v1/organization/costs", get(costs))
}

/// Puts pages behind the application's key, if it has one; they lead to the login page instead of answering with an error.
pub fn pages_keyed_by(state: &ApiState, router: Router) -> Router {
    router.layer(middleware::from_fn_with_state(
        state.clone(),
        guard::page_key,
    ))
}

/// Wraps a router (the API's, or the API's and the console's) in what every request goes through.
///
/// axum copies what stands around a route for each request, and what stands within that once more at each
/// [`Router::layer`]. So what needs to know the route is one layer, and all else stands around the router as a whole.
pub fn hardened(state: &ApiState, router: Router) -> Router {
    let request_id = HeaderName::from_static("x-request-id");
    let router = router
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(
            ServiceBuilder::new()
                .layer(DefaultBodyLimit::max(MAX_BODY))
                .layer(middleware::from_fn(guard::measure))
                .layer(middleware::from_fn_with_state(
                    state.clone(),
                    guard::same_origin,
                ))
                .layer(middleware::from_fn(refusals::in_our_words)),
        );
    let around = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(request_id.clone(), MakeRequestUuid))
        .layer(PropagateRequestIdLayer::new(request_id))
        // Errors, too, must be readable for the pages that may call.
        .option_layer(state.cors.layer())
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE))
        // Bodies are unpacked outside of whoever reads them, so that limits count what comes out.
        .service(encoding::over(router));
    Router::new().fallback_service(around)
}
