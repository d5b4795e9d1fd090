//! Files of the kind `openapi` against real servers of this machine, and documents that mean harm.

mod answers;
mod arrivals;
mod credentials;
mod documents;
mod generated;
mod hostile;
mod praxis;
mod service;

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;
use axum::response::Response;
use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, CallError, Function};
use serde_json::Value;

use super::*;

/// The document of the service in `service`.
const CRM: &str = include_str!("crm.openapi.yaml");

fn config(text: &str) -> Config {
    let config: Config = toml::from_str(text).unwrap();
    let problems = config.problems();
    assert!(problems.is_empty(), "{problems:?}");
    config
}

/// Serves a router at an address of this machine; gives its URL.
async fn serve(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// What a server was asked.
#[derive(Debug, Clone)]
struct Asked {
    method: String,
    /// Path and query.
    target: String,
    headers: HeaderMap,
    body: String,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A server that answers everything in one way, and keeps what it was asked.
struct Told {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Told {
    async fn start(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (kept, answer) = (Arc::clone(&asked), Arc::new(answer));
        let handler = move |request: axum::extract::Request| {
            let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(body, 1 << 20).await.unwrap();
                let asked = Asked {
                    method: head.method.to_string(),
                    target: head.uri.to_string(),
                    headers: head.headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                kept.lock().unwrap().push(asked.clone());
                answer(&asked)
            }
        };
        let url = serve(axum::Router::new().fallback(handler)).await;
        Self { url, asked }
    }

    /// What it was asked since the last time.
    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// An answer with these headers.
fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Body::from(body.into())).unwrap()
}

/// An answer in JSON.
fn json_reply(status: u16, body: &Value) -> Response {
    reply(
        status,
        &[("content-type", "application/json")],
        body.to_string(),
    )
}

/// A folder with a document in it, `crm.openapi.yaml`.
fn folder(document: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("crm.openapi.yaml"), document).unwrap();
    folder
}

/// Variables that are set: `KEY` holds `key-secret`, and so on.
fn environment(variable: &str) -> Option<String> {
    let known = ["KEY", "TOKEN", "PASSWORD", "ID", "SECRET"];
    let is_known = known.contains(&variable);
    is_known.then(|| format!("{}-secret", variable.to_lowercase()))
}

async fn make_here(text: &str, folder: &Path) -> Result<Made, Problem> {
    let state = folder.join("state");
    make_in("crm", &config(text), folder, &state, &environment).await
}

async fn made(text: &str, folder: &Path) -> Made {
    make_here(text, folder).await.unwrap()
}

fn warnings(made: &Made) -> Vec<String> {
    made.warnings.iter().map(ToString::to_string).collect()
}

fn names_of(made: &Made) -> Vec<String> {
    let tools = made.tools.iter();
    tools
        .map(|tool| tool.function.signature().name.clone())
        .collect()
}

fn function(made: &Made, name: &str) -> Arc<dyn Function> {
    let found = made
        .tools
        .iter()
        .find(|tool| tool.function.signature().name == name);
    Arc::clone(&found.unwrap().function)
}

/// Calls a function; what it gives is what its signature says.
async fn call(function: &Arc<dyn Function>, input: Value) -> Result<Value, CallError> {
    let cx = CallContext::new(Arc::new(NoTrace));
    let output = function.call(input, &cx).await?;
    let validator = jsonschema::validator_for(&function.signature().output_schema).unwrap();
    assert!(validator.is_valid(&output), "{output}");
    Ok(output)
}
