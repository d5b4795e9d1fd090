//! A server over an application with one function and without models, which requests are put to without a network.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, StatusCode};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusBuilder;
use praxis_core::embed::TokenCounter;
use praxis_core::function::now_ms;
use praxis_core::trace::NoTrace;
use praxis_core::{
    CallContext, Caller, ChatGateway, ChatRequest, ChatStream, Clearance, EmbedKind, Embedder,
    ModelError, Retriever, Secret, now_s,
};
use praxis_function::{Deps, Functions, Known, Library, Moderator};
use praxis_knowledge::{FileLimits, Files, Knowledge, VectorStores};
use praxis_store::{NewKey, Scopes, Store};
use serde_json::Value;

use crate::responses::Responses;
use crate::{Access, ApiState, AppInfo, Batches, Cors};

const GREET: &str =
    "---\ndescription: Greets.\ninput:\n  schema:\n    name: string\n---\nGreet {{name}}.\n";

/// Bytes of an answer, at most.
const MOST: usize = 8 << 20;

/// Neither chats nor embeds.
struct NoModel;

fn none<T>() -> Result<T, ModelError> {
    Err(ModelError::NotFound("there is no model".to_owned()))
}

#[async_trait]
impl ChatGateway for NoModel {
    async fn chat(&self, _: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        none()
    }
}

#[async_trait]
impl Embedder for NoModel {
    fn identity(&self) -> String {
        "none@1".to_owned()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        none()
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        none()
    }

    async fn embed(&self, _: EmbedKind, _: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        none()
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        none()
    }
}

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
        let prompts = dir.path().join("prompts");
        std::fs::create_dir(&prompts).unwrap();
        std::fs::write(prompts.join("greet.prompt"), GREET).unwrap();
        let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
        let embedder: Arc<dyn Embedder> = Arc::new(NoModel);
        let source = {
            let embedder = Arc::clone(&embedder);
            Arc::new(move |_: Option<&str>| Ok(Arc::clone(&embedder)))
        };
        let place = dir.path().join("state");
        let knowledge = Knowledge::open(place, store.clone(), Vec::new(), source.clone());
        let knowledge = Arc::new(knowledge);
        let retriever: Arc<dyn Retriever> = knowledge.clone();
        let deps = Deps {
            chat: Arc::new(NoModel),
            retriever,
            embedder,
            functions: Functions::default(),
            moderator: Arc::new(Moderator::new(None)),
        };
        let library = Library::load(&prompts, &Known::default(), &deps).unwrap();
        let limits = FileLimits::default();
        let files = Files::new(dir.path().join("files"), store.clone(), limits, now_s);
        let files = Arc::new(files);
        let vector_stores = VectorStores::open(knowledge.clone(), files.clone(), now_s);
        let vector_stores = Arc::new(vector_stores.await.unwrap());
        let mut secrets = BTreeMap::new();
        for (name, scope) in keys.unwrap_or_default() {
            let new = NewKey {
                name: (*name).to_owned(),
                scopes: Scopes::parse([scope]).unwrap(),
                clearance: Clearance::Full,
                limits: Vec::new(),
                expires_ms: None,
            };
            let made = store.create_key(new, now_ms()).await.unwrap();
            let (_, secret) = made.unwrap();
            secrets.insert((*name).to_owned(), secret.expose().to_owned());
        }
        let access = Access::new(Vec::<(Secret, Caller)>::new());
        let access = keys.map(|_| Arc::new(access.with_store(store.clone())));
        let batches = Batches::new(store.clone(), files.clone(), access.clone(), now_s);
        let state = ApiState {
            app: Arc::new(AppInfo::default()),
            chat: Arc::new(NoModel),
            transcribers: Arc::new(|_, _| none()),
            embedders: Arc::new(move |name, _| source(name)),
            models: Arc::new(Vec::new),
            library: Arc::new(library),
            knowledge,
            files,
            vector_stores,
            batches: Arc::new(batches),
            responses: Arc::new(Responses::new(store.clone(), now_s)),
            cors: Cors::default(),
            store,
            sink: Arc::new(NoTrace),
            access,
            metrics: PrometheusBuilder::new().build_recorder().handle(),
        };
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
}

/// What a router answers: status, headers, and the body if it is JSON.
pub(super) async fn ask(router: &Router, request: Builder) -> (StatusCode, HeaderMap, Value) {
    let request = request.body(Body::empty()).unwrap();
    let service = TowerToHyperService::new(router.clone());
    let response = service.call(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, MOST).await.unwrap();
    let value = serde_json::from_slice(&bytes).unwrap_or_default();
    (parts.status, parts.headers, value)
}
