//! The login page, for applications with a key: it takes the key and gives the browser a pass.

use std::time::Instant;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use praxis_api::ApiState;
use praxis_api::access::{self, LoginError};
use serde::Deserialize;

use crate::pages::{Frame, render};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    next: String,
    problem: String,
}

/// Where to go afterwards.
#[derive(Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct Login {
    key: String,
    #[serde(default)]
    next: String,
}

/// The form; who needs none goes on.
pub(crate) async fn form(
    State(state): State<ApiState>,
    Query(Next { next }): Query<Next>,
    headers: HeaderMap,
) -> Response {
    let inside = match &state.access {
        Some(access) => access.admits(&headers, Instant::now()).await,
        None => return Redirect::to(local(&next)).into_response(),
    };
    if inside.is_ok_and(|holder| holder.is_some()) {
        return Redirect::to(local(&next)).into_response();
    }
    page(&state, &next, String::new())
}

/// Takes the key.
pub(crate) async fn log_in(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Form(Login { key, next }): Form<Login>,
) -> Response {
    let Some(access) = &state.access else {
        return Redirect::to("/").into_response();
    };
    match access.log_in(key.trim(), Instant::now()).await {
        Ok(pass) => {
            let cookie = [(header::SET_COOKIE, access::cookie(&pass, &headers))];
            (cookie, Redirect::to(local(&next))).into_response()
        }
        Err(LoginError::WrongKey) => {
            let problem = "That is not a key of this server.".to_owned();
            (StatusCode::UNAUTHORIZED, page(&state, &next, problem)).into_response()
        }
        Err(LoginError::TooManyTries(wait)) => {
            let seconds = wait.as_secs() + 1;
            let problem = format!("Too many wrong keys. Try again in {seconds} seconds.");
            let mut response = page(&state, &next, problem);
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            let retry = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, retry);
            response
        }
        Err(LoginError::NoRandomness) => {
            let problem = "This machine gives no random numbers; nobody can log in.".to_owned();
            let page = page(&state, &next, problem);
            (StatusCode::INTERNAL_SERVER_ERROR, page).into_response()
        }
        Err(LoginError::Store(error)) => {
            tracing::error!(%error, "the store does not say whose key it is");
            let problem = "The store of this server does not answer. Try again.".to_owned();
            let page = page(&state, &next, problem);
            (StatusCode::INTERNAL_SERVER_ERROR, page).into_response()
        }
    }
}

/// Ends the pass.
pub(crate) async fn log_out(State(state): State<ApiState>, headers: HeaderMap) -> Response {
    if let Some(access) = &state.access {
        access.log_out(&headers);
    }
    let forget = [(header::SET_COOKIE, access::no_cookie())];
    (forget, Redirect::to("/login")).into_response()
}

fn page(state: &ApiState, next: &str, problem: String) -> Response {
    let page = render(&LoginPage {
        frame: Frame::new(state, "login", "Log in"),
        next: local(next).to_owned(),
        problem,
    });
    ([(header::CACHE_CONTROL, "no-store")], page).into_response()
}

/// The page asked for, where it is one of this server's; else the first one. What browsers take for
/// another host (`//host`, `/\host`, with or without control characters between) is none.
fn local(next: &str) -> &str {
    let own = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
        && !next.starts_with("/login");
    if own { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_leads_nowhere_but_to_this_server() {
        let passage = "/documents/a?start=1&end=2";
        for (next, goal) in [
            ("/", "/"),
            (passage, passage),
            ("", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("https://evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("/login?next=/login", "/"),
        ] {
            assert_eq!(local(next), goal, "{next:?}");
        }
    }
}
