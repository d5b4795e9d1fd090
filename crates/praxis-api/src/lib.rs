//! The HTTP edge: the OpenAI platform API over functions, models, files and vector stores, and Praxis's own beside it.
//!
//! [`router`] is the map of all routes. Handlers parse, call a port, and shape the answer; no
//! product logic lives here.

pub mod access;
mod error;
mod guard;
mod routes;
mod server;
mod sse;
mod state;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;

pub use access::Access;
pub use error::ApiError;
pub use guard::Admitted;
pub use server::serve;
pub use state::{ApiState, AppInfo, EmbedderSource, ModelInfo, ModelList};

/// The most bytes of a request's body.
const MAX_BODY: usize = 8 << 20;

/// The longest pause while a request's body arrives.
const BODY_PAUSE: Duration = Duration::from_secs(30);

/// All routes of the API.
pub fn router(state: ApiState) -> Router {
    let open = Router::new().route("/healthz", get(routes::health::healthz));
    let keyed = Router::new()
        .route("/metrics", get(routes::health::metrics))
        .route("/v1/models", get(routes::models::list))
        .route("/v1/models/{id}", get(routes::models::retrieve))
        .route("/v1/chat/completions", post(routes::chat::completions))
        .route("/v1/embeddings", post(routes::embeddings::create))
        .merge(files(&state))
        .merge(vector_stores())
        .merge(usage())
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
            post(routes::preview::preview).layer(uploads(&state)),
        )
        .route(
            "/praxis/v1/passages/{chunk}",
            get(routes::knowledge::passage),
        )
        .route("/praxis/v1/traces/{id}", get(routes::traces::show));
    let keyed = keyed_by(&state, keyed.with_state(state.clone()));
    open.with_state(state).merge(keyed)
}

/// The limit of a body that is a file, where alone bodies may be large.
fn uploads(state: &ApiState) -> DefaultBodyLimit {
    let most = state.files.limits().max_file_bytes;
    let most = usize::try_from(most.saturating_mul(2)).unwrap_or(usize::MAX);
    DefaultBodyLimit::max(most.max(MAX_BODY))
}

/// Files.
fn files(state: &ApiState) -> Router<ApiState> {
    let upload = post(routes::files::create).layer(uploads(state));
    Router::new()
        .route("/v1/files", upload.get(routes::files::list))
        .route(
            "/v1/files/{file}",
            get(routes::files::retrieve).delete(routes::files::delete),
        )
        .route("/v1/files/{file}/content", get(routes::files::content))
}

/// Vector stores, the files in them, batches of files, and searches.
fn vector_stores() -> Router<ApiState> {
    use routes::vector_stores::{batches, files, search, stores};
    let store = |rest: &str| format!("/v1/vector_stores/{{store}}{rest}");
    Router::new()
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

/// Reports of what was used.
fn usage() -> Router<ApiState> {
    use routes::usage::{completions, costs, embeddings};
    Router::new()
        .route("/v1/organization/usage/completions", get(completions))
        .route("/v1/organization/usage/embeddings", get(embeddings))
        .route("/v1/organization/costs", get(costs))
}

/// Puts a router behind the application's key, if it has one. `/healthz` alone stays open.
fn keyed_by(state: &ApiState, router: Router) -> Router {
    router.layer(middleware::from_fn_with_state(
        state.clone(),
        guard::api_key,
    ))
}

/// The same for pages, which lead to the login page instead of answering with an error.
pub fn pages_keyed_by(state: &ApiState, router: Router) -> Router {
    router.layer(middleware::from_fn_with_state(
        state.clone(),
        guard::page_key,
    ))
}

/// Wraps a router (the API's, or the API's and the console's) in what every request goes through.
pub fn hardened(state: &ApiState, router: Router) -> Router {
    let request_id = HeaderName::from_static("x-request-id");
    router
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            guard::same_origin,
        ))
        .layer(middleware::from_fn(guard::measure))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(RequestBodyTimeoutLayer::new(BODY_PAUSE))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
}
