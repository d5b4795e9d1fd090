//! Pages, a module and a template for each; here, what they share.

pub(crate) mod approvals;
pub(crate) mod chat;
pub(crate) mod documents;
pub(crate) mod graph;
mod picture;
pub(crate) mod preview;
pub(crate) mod texts;
pub(crate) mod traces;

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use praxis_api::ApiState;
use praxis_core::CallError;
use praxis_core::language::Language;

/// What a page of the console may load: its own files and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What stands around every page.
pub(crate) struct Frame {
    /// The application's title.
    pub(crate) app: String,
    /// The page's own title; empty on the first page.
    pub(crate) page: String,
    /// The page's name in the navigation; empty where there is none.
    pub(crate) tab: &'static str,
    /// Whether somebody is logged in, and so may log out.
    pub(crate) keyed: bool,
}

impl Frame {
    pub(crate) fn new(state: &ApiState, tab: &'static str, page: impl Into<String>) -> Self {
        Self {
            app: state.app.title.clone(),
            page: page.into(),
            tab,
            keyed: state.access.is_some() && tab != "login",
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    heading: &'static str,
    message: String,
    hint: String,
}

/// The page that says why another is not shown.
pub(crate) fn failed(state: &ApiState, error: &CallError) -> Response {
    let status =
        StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let heading = if status.is_server_error() {
        "That did not work"
    } else {
        "That is not here"
    };
    let page = render(&ErrorPage {
        frame: Frame::new(state, "", heading),
        heading,
        message: error.message.clone(),
        hint: error.hint.clone().unwrap_or_default(),
    });
    (status, page).into_response()
}

/// A page with the headers of every page.
pub(crate) fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => {
            let headers = [
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::REFERRER_POLICY, "same-origin"),
            ];
            (headers, Html(html)).into_response()
        }
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the page does not render: {error}"),
        )
            .into_response(),
    }
}

/// A number with its noun.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The value of `lang` for a text that is not the console's own: it decides about glyphs, line
/// breaks and voices.
fn lang(text: &str) -> &'static str {
    match Language::of(text) {
        Language::Chinese => "zh-Hans",
        Language::English => "",
    }
}

/// A text as a part of an address.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// A document's path as it is shown: a source may lie above the application, and how far is of no interest.
fn shown_uri(uri: &str) -> String {
    uri.trim_start_matches("../").to_owned()
}

/// The models of the application that do this and are not on this machine.
fn missing(state: &ApiState, task: Option<&str>) -> Vec<String> {
    let models = (state.models)().into_iter();
    models
        .filter(|m| m.declared && !m.available && task.is_none_or(|task| task == m.task))
        .map(|m| m.id)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_any_name() {
        assert_eq!(
            encoded("a&b=仙/台?#"),
            "a%26b%3D%E4%BB%99%2F%E5%8F%B0%3F%23"
        );
    }

    #[test]
    fn one_is_no_plural() {
        let counted = [0, 1, 2].map(|n| count(n, "document"));
        assert_eq!(counted, ["0 documents", "1 document", "2 documents"]);
    }
}
