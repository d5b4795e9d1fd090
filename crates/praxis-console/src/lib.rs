//! The web console: pages rendered on the server, a few small scripts for what happens on them.
//!
//! The scripts talk to `/praxis/v1` like any other client. No build step, no framework, nothing
//! from another host. Left out: accounts and settings.

mod assets;
mod login;
mod pages;
mod reading;
mod reference;

use axum::Router;
use axum::routing::{get, post};
use praxis_api::ApiState;

/// All pages of the console; those that show something are behind the application's key.
pub fn router(state: ApiState) -> Router {
    let open = Router::new()
        .route("/login", get(login::form).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/assets/{*path}", get(assets::asset))
        .route("/favicon.ico", get(assets::favicon));
    let keyed = Router::new()
        .route("/", get(pages::chat::show))
        .route("/documents", get(pages::documents::list))
        .route("/documents/preview", get(pages::preview::show))
        .route("/documents/graph/{base}", get(pages::graph::show))
        .route("/documents/{id}", get(pages::documents::show))
        .route("/approvals", get(pages::approvals::show))
        .route("/texts", get(pages::texts::show))
        .route("/reference", get(reference::index))
        .route("/reference/{operation}", get(reference::show))
        .route("/traces", get(pages::traces::list))
        .route("/traces/{id}", get(pages::traces::show));
    let keyed = praxis_api::pages_keyed_by(&state, keyed.with_state(state.clone()));
    open.with_state(state).merge(keyed)
}
