//! What goes wrong with a server, as a caller is told it. Left out: what is done about it.

use std::error::Error;

use praxis_core::{CallError, ErrorCode};
use praxis_sources::Refused;
use rmcp::model::{ErrorCode as Code, ErrorData};
use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::auth::AuthError;
use rmcp::transport::streamable_http_client::StreamableHttpError;
use serde_json::json;

use crate::text::said;

/// The most characters of what a server says is wrong.
const LONGEST: usize = 2000;

/// Causes of causes that are looked at.
const HOPS: usize = 16;

/// Why a request failed.
pub(super) fn of_service(name: &str, error: &ServiceError) -> CallError {
    match error {
        ServiceError::McpError(data) => of_server(name, data),
        ServiceError::TransportSend(error) => of_connection(name, error.error.as_ref()),
        ServiceError::TransportClosed => upstream(name, "closed the connection"),
        ServiceError::Timeout { timeout } => CallError::new(
            ErrorCode::Timeout,
            format!("the MCP server `{name}` gave no answer within {timeout:?}"),
        ),
        ServiceError::Cancelled { .. } => cancelled(),
        other => upstream(name, &format!("failed; {}", said(&other.to_string()))),
    }
}

/// Why a connection could not be begun.
pub(super) fn of_start(name: &str, error: &ClientInitializeError) -> CallError {
    match error {
        ClientInitializeError::TransportError { error, .. } => {
            of_connection(name, error.error.as_ref())
        }
        ClientInitializeError::JsonRpcError(data) => of_server(name, data),
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => of_start(name, fallback),
        ClientInitializeError::ConnectionClosed(_) => {
            upstream(name, "ended before it said what it can do")
                .with_hint("does its command run by itself? What it writes to standard error is in the log at `debug`")
        }
        ClientInitializeError::Cancelled => cancelled(),
        other => upstream(name, &format!("cannot be talked to; {}", said(&other.to_string()))),
    }
}

/// What the server says is wrong.
pub(super) fn of_server(name: &str, data: &ErrorData) -> CallError {
    let code = match data.code {
        Code::INVALID_PARAMS => ErrorCode::InvalidRequest,
        Code::RESOURCE_NOT_FOUND => ErrorCode::NotFound,
        _ => ErrorCode::Upstream,
    };
    let message = format!(
        "the MCP server `{name}` answers with an error; {}",
        said(&data.message)
    );
    CallError::new(code, message).with_details(json!({ "mcp_code": data.code.0 }))
}

/// Why a connection carries nothing.
fn of_connection(name: &str, error: &(dyn Error + 'static)) -> CallError {
    let mut cause = error;
    for _ in 0..HOPS {
        if cause.is::<Refused>() {
            let message = format!(
                "the MCP server `{name}` is not of the public internet, so it is not asked"
            );
            return CallError::new(ErrorCode::InvalidRequest, message)
                .with_hint("its file says with `allow_private = true` where that is meant");
        }
        if let Some(error) = cause.downcast_ref::<AuthError>() {
            let message = format!(
                "the MCP server `{name}` wants a login; {}",
                said(&error.to_string())
            );
            return CallError::new(ErrorCode::Unauthorized, message).with_hint(login_hint(name));
        }
        // This error does not tell what it wraps.
        let wrapped = match cause.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
            Some(StreamableHttpError::Client(error)) => Some(error as &(dyn Error + 'static)),
            _ => cause.source(),
        };
        match wrapped {
            Some(next) => cause = next,
            None => break,
        }
    }
    // The innermost cause says what is wrong; those around it repeat the URL, which may hold a secret.
    upstream(
        name,
        &format!("does not answer; {}", said(&cause.to_string())),
    )
}

/// How to log in at a server.
pub(super) fn login_hint(name: &str) -> String {
    format!("run `praxis tools login {name}`, and follow the link that it prints")
}

/// That the caller went away.
pub(super) fn cancelled() -> CallError {
    CallError::new(ErrorCode::Cancelled, "the call was cancelled")
}

/// That a server did something that it should not.
pub(super) fn upstream(name: &str, what: &str) -> CallError {
    CallError::new(
        ErrorCode::Upstream,
        format!("the MCP server `{name}` {what}"),
    )
}

/// A text that is no longer than a person reads.
pub(super) fn cut(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
