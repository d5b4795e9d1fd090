//! What clients see of models where the application's guard holds for them, over HTTP: at every endpoint at which a key
//! can ask a model past all functions.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use futures::StreamExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use praxis_core::trace::{NoTrace, TraceSink};
use praxis_core::{
    CallContext, ChatChunk, ChatGateway, ChatRequest, ChatStream, FinishReason, ModelError, Span,
    Usage,
};
use praxis_function::{ApplicationGuard, Deps, Functions, Known, Library, Moderator};
use serde_json::{Value, json};

use crate::openapi::tests::server::Server;
use crate::state::{ApiState, Reach};

const MAIL: &str = "ann@example.com";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

/// A sentence that is judged, and let through, by itself.
const CALM: &str =
    "Here is a quiet sentence about nothing much, which is long enough to be judged alone. ";

/// Says what it was asked last, behind some calm sentences, character by character; of Eve it tells more than it should.
#[derive(Default)]
struct Echo {
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl ChatGateway for Echo {
    async fn chat(&self, request: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        let last = request.messages.last().unwrap().text().into_owned();
        let text = format!("{}{last}", CALM.repeat(3)).replace("Eve", "eve@example.com");
        self.asked.lock().unwrap().push(last);
        let delta = |c: char| {
            Ok(ChatChunk::Delta {
                text: c.to_string(),
                logprobs: Vec::new(),
            })
        };
        let mut chunks: Vec<_> = text.chars().map(delta).collect();
        chunks.push(Ok(ChatChunk::Done {
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
        }));
        Ok(futures::stream::iter(chunks).boxed())
    }
}

#[derive(Default)]
struct Spans(Mutex<Vec<Span>>);

impl TraceSink for Spans {
    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

struct Guarded {
    server: Server,
    model: Arc<Echo>,
    spans: Arc<Spans>,
}

impl Guarded {
    /// A server of an application with this guard.
    async fn start(guard: Value) -> Self {
        let mut server = Server::start(None).await;
        let (model, spans) = (Arc::new(Echo::default()), Arc::new(Spans::default()));
        let nobody = CallContext::new(Arc::new(NoTrace));
        let deps = Deps {
            chat: model.clone(),
            retriever: server.state.knowledge.clone(),
            embedder: (server.state.embedders)(None, &nobody).unwrap(),
            functions: Functions::default(),
            moderator: Arc::new(Moderator::default()),
        };
        let known = Known {
            guard: Some(Arc::new(ApplicationGuard::read(&guard).unwrap())),
            ..Known::default()
        };
        let prompt = "---\ninput:\n  schema:\n    question: string\n---\n{{question}}";
        let sources = [("ask.prompt".to_owned(), prompt.to_owned())].into();
        let library = Library::from_sources(&sources, "prompts", &known, &deps);
        let library = library.map_err(|found| format!("{found:?}")).unwrap();
        server.state = ApiState::from(Reach {
            chat: library.guarded(model.clone()),
            library: Arc::new(library),
            sink: spans.clone(),
            ..Reach::clone(&server.state)
        });
        Self {
            server,
            model,
            spans,
        }
    }

    /// Status and body.
    async fn ask(&self, path: &str, body: &Value) -> (StatusCode, String) {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let service: TowerToHyperService<Router> = TowerToHyperService::new(self.server.router());
        let response = service.call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn trace(&self) -> Vec<Span> {
        self.spans.0.lock().unwrap().clone()
    }
}

/// A text as each endpoint takes it; the last asks a function.
fn requests(text: &str) -> [(&'static str, Value); 4] {
    let chat =
        |model: &str| json!({ "model": model, "messages": [{ "role": "user", "content": text }] });
    [
        ("/v1/chat/completions", chat("m")),
        ("/v1/completions", json!({ "model": "m", "prompt": text })),
        ("/v1/responses", json!({ "model": "m", "input": text })),
        ("/v1/chat/completions", chat("function:ask")),
    ]
}

fn streamed(mut body: Value) -> Value {
    body["stream"] = json!(true);
    body
}

#[tokio::test]
async fn what_is_blocked_gets_the_same_error_at_every_endpoint() {
    let guard = json!({ "models": true, "input": { "rules": "secrets", "action": "block" } });
    let guarded = Guarded::start(guard).await;
    for (path, body) in requests(&format!("my key is {KEY}")) {
        for body in [body.clone(), streamed(body)] {
            let (status, text) = guarded.ask(path, &body).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {text}");
            let error = serde_json::from_str::<Value>(&text).unwrap()["error"].clone();
            assert_eq!(error["code"], "content_blocked", "{body}");
            assert_eq!(error["type"], "invalid_request_error");
            assert_eq!(error["details"]["side"], "input");
            let found = json!([{ "kind": "api_key", "count": 1, "action": "block" }]);
            assert_eq!(error["details"]["found"], found);
            assert!(!text.contains(KEY), "{text}");
        }
    }
    assert!(guarded.model.asked.lock().unwrap().is_empty());
    let trace = guarded.trace();
    let steps = trace.iter().filter(|span| span.name == "guard");
    assert!(steps.count() >= 8, "each of them is in the trace");
    let trace = serde_json::to_string(&trace).unwrap();
    assert!(!trace.contains(KEY), "{trace}");
    for (path, body) in requests("hello") {
        let (status, text) = guarded.ask(path, &body).await;
        assert_eq!(status, StatusCode::OK, "{body}: {text}");
        assert!(text.contains("quiet sentence"), "{text}");
    }
}

#[tokio::test]
async fn a_client_gets_values_that_no_model_has_read() {
    let guard = json!({ "models": true, "input": { "rules": "personal", "action": "mask" } });
    let guarded = Guarded::start(guard).await;
    for (path, body) in requests(&format!("I am {MAIL}")) {
        let (status, text) = guarded.ask(path, &body).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        assert!(text.contains(&format!("I am {MAIL}")), "{text}");
    }
    let asked = guarded.model.asked.lock().unwrap().clone();
    assert_eq!(asked, ["I am <EMAIL_1>"; 4]);
    let trace = serde_json::to_string(&guarded.trace()).unwrap();
    assert!(!trace.contains(MAIL), "{trace}");
}

#[tokio::test]
async fn a_stream_ends_with_the_error_before_what_is_withheld() {
    let guard = json!({ "models": true, "output": { "rules": "email", "action": "block" } });
    let guarded = Guarded::start(guard).await;
    for (path, body) in requests(&format!("Tell Eve of {MAIL}")) {
        let (status, text) = guarded.ask(path, &streamed(body)).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        assert!(text.contains("quiet sentence"), "{text}");
        assert!(!text.contains("eve@example.com"), "{text}");
        let error = match path {
            "/v1/responses" => "response.failed",
            _ => "content_blocked",
        };
        assert!(
            text.contains(error) && text.contains("is withheld"),
            "{text}"
        );
    }
    // The caller's own may come back.
    for (path, body) in requests(&format!("I am {MAIL}")) {
        let (status, text) = guarded.ask(path, &streamed(body)).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        assert!(text.contains(MAIL) && !text.contains("withheld"), "{text}");
    }
}

#[tokio::test]
async fn without_a_word_models_stay_as_they_are() {
    let guard = json!({ "input": { "rules": "secrets", "action": "block" } });
    let guarded = Guarded::start(guard).await;
    let status = async |request: usize| {
        let (path, body) = requests(&format!("my key is {KEY}"))[request].clone();
        guarded.ask(path, &body).await.0
    };
    assert_eq!(status(0).await, StatusCode::OK);
    assert_eq!(status(3).await, StatusCode::UNPROCESSABLE_ENTITY);
}
