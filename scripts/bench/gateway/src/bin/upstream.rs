//! A model that answers at once: what gateways are measured in front of.
//!
//! `upstream PORT` (0: a free one) prints `{"port": PORT}` and serves until it is ended. A `POST` to any path that ends
//! with `/chat/completions` gets a fixed small answer, whole or as events, in OpenAI's form; `GET /count` says how many
//! of each there were. It knows one answer, and looks at nothing of a request but `stream` and `stream_options`.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const WORDS: [&str; 9] = [
    "The", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog.",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).ok_or("usage: upstream PORT")?;
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?)).await?;
    println!("{}", json!({ "port": listener.local_addr()?.port() }));
    let model = Arc::new(Model::new());
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let model = Arc::clone(&model);
        tokio::spawn(async move {
            let service = service_fn(|request| model.answer(request));
            // Whoever goes away is not missed.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(connection), service)
                .await;
        });
    }
}

/// The answers, and how often each was given.
struct Model {
    whole: Bytes,
    events: Vec<Bytes>,
    /// The event before the last that tells the usage, for those who ask for it.
    usage: Bytes,
    given_whole: AtomicU64,
    given_streams: AtomicU64,
}

impl Model {
    fn new() -> Self {
        let usage = json!({ "prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29 });
        let message = json!({ "role": "assistant", "content": WORDS.concat(), "refusal": null });
        let whole = json!({
            "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_700_000_000, "model": "mock",
            "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": "stop" }],
            "usage": usage,
        });
        let first = json!({ "role": "assistant", "content": "" });
        let mut events = vec![event(&choice(&first, None), None)];
        events.extend(
            WORDS
                .iter()
                .map(|word| event(&choice(&json!({ "content": word }), None), None)),
        );
        events.push(event(&choice(&json!({}), Some("stop")), None));
        Self {
            whole: Bytes::from(whole.to_string()),
            events,
            usage: event(&json!([]), Some(&usage)),
            given_whole: AtomicU64::new(0),
            given_streams: AtomicU64::new(0),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
        let path = request.uri().path();
        let chat = request.method() == Method::POST && path.ends_with("/chat/completions");
        if path == "/count" {
            let count = json!({
                "whole": self.given_whole.load(Ordering::Relaxed),
                "streams": self.given_streams.load(Ordering::Relaxed),
            });
            return Ok(respond(
                StatusCode::OK,
                whole(Bytes::from(count.to_string())),
            ));
        }
        if !chat {
            let error = json!({ "error": {
                "message": "only chat completions are here", "type": "invalid_request_error", "param": null,
                "code": "not_found",
            }});
            return Ok(respond(
                StatusCode::NOT_FOUND,
                whole(Bytes::from(error.to_string())),
            ));
        }
        // Who sends half a request hears no answer anyway.
        let body = request.into_body().collect().await;
        let body = body
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let answer = if asked["stream"] == true {
            self.given_streams.fetch_add(1, Ordering::Relaxed);
            self.stream(asked["stream_options"]["include_usage"] == true)
        } else {
            self.given_whole.fetch_add(1, Ordering::Relaxed);
            whole(self.whole.clone())
        };
        Ok(respond(StatusCode::OK, answer))
    }

    fn stream(&self, with_usage: bool) -> Answer {
        let mut parts = self.events.clone();
        if with_usage {
            parts.push(self.usage.clone());
        }
        parts.push(Bytes::from_static(b"data: [DONE]\n\n"));
        Answer {
            parts: parts.into_iter(),
            length: None,
        }
    }
}

fn choice(delta: &Value, finish_reason: Option<&str>) -> Value {
    json!([{ "index": 0, "delta": delta, "finish_reason": finish_reason }])
}

fn event(choices: &Value, usage: Option<&Value>) -> Bytes {
    let mut chunk = json!({
        "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "mock",
        "choices": choices,
    });
    if let Some(usage) = usage {
        chunk["usage"] = usage.clone();
    }
    Bytes::from(format!("data: {chunk}\n\n"))
}

fn whole(bytes: Bytes) -> Answer {
    let length = bytes.len().try_into().ok();
    Answer {
        parts: vec![bytes].into_iter(),
        length,
    }
}

fn respond(status: StatusCode, answer: Answer) -> Response<Answer> {
    let media_type = match answer.length {
        Some(_) => "application/json",
        None => "text/event-stream",
    };
    let mut response = Response::new(answer);
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static(media_type),
    );
    response
}

/// The parts of an answer, all of which are there at once.
struct Answer {
    parts: std::vec::IntoIter<Bytes>,
    /// Of a whole answer.
    length: Option<u64>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.parts.next().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
