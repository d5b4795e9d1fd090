//! `GET /openapi.json`: the description of the server, as far as who asks may know of it.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use praxis_store::Scope;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::guard::Paying;
use crate::state::ApiState;

/// The description of this server's API for who sent a request: the functions of its application are in it for a key
/// that is for functions.
pub struct Document(pub Value);

impl FromRequestParts<ApiState> for Document {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let paying = Paying::from_request_parts(parts, state).await?;
        let mut functions = Vec::new();
        if paying.is_for(Scope::Functions).is_ok() {
            functions = state.library.list();
            functions.extend(state.library.built_in());
        }
        let mut document = super::of_application(&functions);
        // Whatever this server is called from where the client is.
        document["servers"] = json!([{ "url": "/", "description": "This server" }]);
        Ok(Self(document))
    }
}

/// The document.
pub(crate) async fn show(Document(document): Document) -> Json<Value> {
    Json(document)
}
