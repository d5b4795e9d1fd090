//! Errors in OpenAI's shape, with our stable codes.

use std::any::Any;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use praxis_core::{CallError, ErrorCode, ModelError};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// An error on its way to a client.
#[derive(Debug, Clone)]
pub struct ApiError {
    code: ErrorCode,
    message: String,
    param: Option<String>,
    details: Option<Box<Value>>,
    /// Seconds.
    retry_after: Option<u64>,
}

impl ApiError {
    /// Its code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// What it says.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// An error of that code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            param: None,
            details: None,
            retry_after: None,
        }
    }

    /// A bad request that names the field.
    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.to_owned()),
            ..Self::new(ErrorCode::InvalidRequest, message)
        }
    }

    /// The same, naming the field that it is about.
    #[must_use]
    pub fn about(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    /// The body, as OpenAI writes it; with `details` where there are some.
    pub fn body(&self) -> Value {
        let mut body = json!({ "error": {
            "message": self.message,
            "type": self.code.openai_type(),
            "param": self.param,
            "code": self.code.as_str(),
        }});
        if let Some(details) = &self.details {
            body["error"]["details"] = Value::clone(details);
        }
        body
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        let message = match error.hint {
            Some(hint) => format!("{} ({hint})", error.message),
            None => error.message,
        };
        let limited = error.code == ErrorCode::RateLimited;
        let seconds = error
            .retry_after
            .map(|wait| wait.as_millis().div_ceil(1000).max(1));
        let seconds = seconds.map(|s| u64::try_from(s).unwrap_or(u64::MAX));
        Self {
            details: error.details,
            retry_after: seconds.or(limited.then_some(1)),
            ..Self::new(error.code, message)
        }
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        CallError::from(error).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.code == ErrorCode::Internal {
            tracing::error!(message = %self.message, "a request failed");
        }
        let status = StatusCode::from_u16(self.code.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// A JSON body whose errors come in OpenAI's shape and name the field.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        parse(&json_of(request, state).await?).map(Self)
    }
}

/// The same, with the body as it came.
pub(crate) struct KeptBody<T>(pub T, pub Bytes);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for KeptBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = json_of(request, state).await?;
        Ok(Self(parse(&bytes)?, bytes))
    }
}

/// The bytes of a body that says it is JSON.
async fn json_of<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    let invalid = |message: String| ApiError::new(ErrorCode::InvalidRequest, message);
    let json = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(is_json);
    if !json {
        let message = "send the body with `content-type: application/json`";
        return Err(invalid(message.to_owned()));
    }
    let bytes = Bytes::from_request(request, state).await;
    bytes.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let message = "the body is larger than this address takes, as it is sent or unpacked";
            return ApiError::new(ErrorCode::TooLarge, message);
        }
        invalid(rejection.body_text())
    })
}

/// Whether a media type is JSON: `application/json`, or one with the suffix `+json` (RFC 6839).
pub(crate) fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // To keep track of places costs as much as all else, and is for those bodies alone in which something is wrong.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner().to_string();
        // A missing field is reported at what lacks it.
        let missing = inner
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split('`').next());
        let param = match (path.as_str(), missing) {
            (".", None) => None,
            (".", Some(field)) => Some(field.to_owned()),
            (path, None) => Some(path.to_owned()),
            (path, Some(field)) => Some(format!("{path}.{field}")),
        };
        let message = match &param {
            Some(param) => format!("`{param}`: {inner}"),
            None => format!("the body is not the JSON that is wanted here: {inner}"),
        };
        ApiError {
            param,
            ..ApiError::new(ErrorCode::InvalidRequest, message)
        }
    })?;
    reader.end().map_err(|error| {
        let message = format!("the body goes on after its JSON: {error}");
        ApiError::new(ErrorCode::InvalidRequest, message)
    })?;
    Ok(value)
}

pub(crate) async fn not_found(uri: Uri) -> ApiError {
    ApiError::new(
        ErrorCode::NotFound,
        format!("no such address: {}", uri.path()),
    )
}

pub(crate) async fn wrong_method(uri: Uri) -> Response {
    let error = ApiError::new(
        ErrorCode::InvalidRequest,
        format!("{} does not take this method", uri.path()),
    );
    (StatusCode::METHOD_NOT_ALLOWED, Json(error.body())).into_response()
}

pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    ApiError::new(ErrorCode::Internal, "the request met a defect of Praxis").into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Part {
        #[serde(rename = "text")]
        _text: String,
    }

    #[derive(Debug, Deserialize)]
    struct Sample {
        #[serde(rename = "parts")]
        _parts: Vec<Part>,
    }

    #[test]
    fn an_error_of_a_body_names_the_field() {
        for (body, param) in [
            (
                r#"{"parts": [{"text": "a"}, {"text": 3}]}"#,
                Some("parts[1].text"),
            ),
            (r#"{"parts": [{}]}"#, Some("parts[0].text")),
            ("{}", Some("parts")),
            (r#"{"parts": 7}"#, Some("parts")),
            ("[", None),
            (r#"{"parts": []} more"#, None),
        ] {
            let error = parse::<Sample>(body.as_bytes()).unwrap_err();
            assert_eq!(error.param.as_deref(), param, "{body}: {}", error.message);
        }
    }

    #[test]
    fn who_is_refused_for_want_of_room_is_told_when_to_come_back() {
        let limited = |retry_after| {
            let message = "64 requests already wait for this model".to_owned();
            ModelError::RateLimited {
                message,
                retry_after,
            }
        };
        let seven = Some(Duration::from_secs(7));
        for (error, wanted) in [
            (ApiError::from(limited(seven)), Some("7")),
            (ApiError::from(limited(None)), Some("1")),
            // As a function hands it on.
            (ApiError::from(CallError::from(limited(seven))), Some("7")),
            (
                ApiError::from(CallError::new(ErrorCode::RateLimited, "full")),
                Some("1"),
            ),
            (ApiError::from(ModelError::Cancelled), None),
        ] {
            let message = error.message.clone();
            let response = error.into_response();
            let header = response.headers().get(header::RETRY_AFTER);
            assert_eq!(
                header.map(|value| value.to_str().unwrap()),
                wanted,
                "{message}"
            );
        }
    }

    #[test]
    fn media_types_of_json() {
        assert!(is_json("application/json; charset=utf-8") && is_json("application/problem+JSON"));
        assert!(!is_json("text/plain") && !is_json("application/jsonp"));
    }
}
