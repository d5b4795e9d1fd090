//! Errors in OpenAI's shape, with our stable codes.

use std::any::Any;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::JsonRejection;
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
    retry_after: Option<u64>,
}

impl ApiError {
    /// An error of that code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            param: None,
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

    /// The body, as OpenAI writes it.
    pub fn body(&self) -> Value {
        json!({ "error": {
            "message": self.message,
            "type": self.code.openai_type(),
            "param": self.param,
            "code": self.code.as_str(),
        }})
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        let message = match error.hint {
            Some(hint) => format!("{} ({hint})", error.message),
            None => error.message,
        };
        Self::new(error.code, message)
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        let retry_after = match &error {
            ModelError::RateLimited { retry_after, .. } => {
                Some(retry_after.map_or(1, |d| d.as_secs().max(1)))
            }
            _ => None,
        };
        Self {
            retry_after,
            ..Self::from(CallError::from(error))
        }
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

/// A JSON body whose errors come in OpenAI's shape.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => {
                let message = match &rejection {
                    JsonRejection::MissingJsonContentType(_) => {
                        "send the body with `content-type: application/json`".to_owned()
                    }
                    other => other.body_text(),
                };
                Err(ApiError::new(ErrorCode::InvalidRequest, message))
            }
        }
    }
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
