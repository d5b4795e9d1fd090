//! A server over an application with one function and without models, which requests are put to without a network.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use praxis_core::Clearance;
use praxis_core::function::now_ms;
use praxis_store::{NewKey, Scopes};
use serde_json::Value;

use crate::mcp::tests::app::{Content, assemble};
use crate::{ApiState, AppInfo};

const GREET: &str =
    "---\ndescription: Greets.\ninput:\n  schema:\n    name: string\n---\nGreet {{name}}.\n";

/// Bytes of an answer, at most.
const MOST: usize = 8 << 20;

/// The server.
pub(crate) struct Server {
    pub state: ApiState,
    /// Its keys by name.
    pub keys: BTreeMap<String, String>,
    _dir: tempfile::TempDir,
}

impl Server {
    /// A server with keys of these names, each for one scope or `all`, or without keys.
    pub async fn start(keys: Option<&[(&str, &str)]>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = |(name, scope): &(&str, &str)| NewKey {
            name: (*name).to_owned(),
            scopes: Scopes::parse([*scope]).unwrap(),
            clearance: Clearance::Full,
            limits: Vec::new(),
            expires_ms: None,
        };
        let content = Content {
            app: AppInfo::default(),
            prompt: GREET,
            bases: Vec::new(),
            functions: Vec::new(),
            keys: keys.map(|keys| keys.iter().map(key).collect()),
        };
        let (state, secrets) = assemble(dir.path(), content).await;
        Self {
            state,
            keys: secrets,
            _dir: dir,
        }
    }

    /// All routes, as they are served.
    pub fn router(&self) -> Router {
        crate::hardened(&self.state, crate::router(self.state.clone()))
    }

    /// A new key of a name, for one scope and with one label: its secret.
    pub async fn key(&self, name: &str, scope: &str, label: &str) -> String {
        let new = NewKey {
            name: name.to_owned(),
            scopes: Scopes::parse([scope]).unwrap(),
            clearance: Clearance::of([label]),
            limits: Vec::new(),
            expires_ms: None,
        };
        let made = self.state.store.create_key(new, now_ms()).await.unwrap();
        made.unwrap().1.expose().to_owned()
    }

    /// What is answered to a key that sends JSON: the status, and the body if it is JSON.
    pub async fn ask(
        &self,
        key: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .body(Body::from(body.to_string()))
            .unwrap();
        let (status, _, value) = answer(&self.router(), request).await;
        (status, value)
    }
}

/// What a router answers without a body: status, headers, and the body if it is JSON.
pub(super) async fn ask(router: &Router, request: Builder) -> (StatusCode, HeaderMap, Value) {
    answer(router, request.body(Body::empty()).unwrap()).await
}

async fn answer(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Value) {
    let service = TowerToHyperService::new(router.clone());
    let response = service.call(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MOST).await.unwrap();
    let value = serde_json::from_slice(&bytes).unwrap_or_default();
    (parts.status, parts.headers, value)
}
