//! Parts of OpenAI's API whose place is kept: evals and fine-tuning. They answer that they are not there yet, in the shape
//! of all errors, so that a client is told what it asked for and not that it misspelt an address.

use axum::Router;
use axum::http::Uri;
use axum::routing::any;
use praxis_core::ErrorCode;

use crate::error::ApiError;
use crate::state::ApiState;

/// Their paths, each with all below it.
const PLACES: [&str; 2] = ["/v1/evals", "/v1/fine_tuning"];

/// Routes of what is to come, which the document does not tell of.
pub(crate) fn routes() -> Router<ApiState> {
    PLACES.iter().fold(Router::new(), |router, place| {
        router
            .route(place, any(not_yet))
            .route(&format!("{place}/{{*rest}}"), any(not_yet))
    })
}

async fn not_yet(uri: Uri) -> ApiError {
    let path = uri.path();
    let what = PLACES.iter().find(|place| path.starts_with(**place));
    let what = what.copied().unwrap_or(path);
    let message = format!("Praxis does not have `{what}` yet; docs/http-api.md lists what it has");
    ApiError::new(ErrorCode::NotFound, message)
}
