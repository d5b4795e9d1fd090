//! Upstreams that misbehave: each ends in the way that is documented, within its time-out, with one span, and with its
//! connection closed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use praxis_core::{
    ChatChunk, ChatGateway, ChatRequest, EmbedKind, Message, ModelError, Money, Span, SpanStatus,
};
use praxis_gateway::Gateway;
use support::{Spans, gateway};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The longest that any of these may take: all limits below are shorter.
const PATIENCE: Duration = Duration::from_secs(20);

/// A text of the answer, as an event.
const DELTA: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// What an upstream does once it has a request.
#[derive(Clone, Copy)]
enum Fault {
    /// Nothing at all.
    Stall,
    /// These bytes, and then it closes.
    Close(&'static str),
    /// These bytes, and then nothing.
    Hang(&'static str),
    /// These bytes once, and those over and over, as fast as they are read.
    Flood(&'static str, &'static str),
    /// These bytes once, and those over and over, one each time.
    Drip(&'static str, &'static str, Duration),
}

/// An upstream.
struct Upstream {
    url: String,
    asked: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Upstream {
    async fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (asked, open) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counts = (Arc::clone(&asked), Arc::clone(&open));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, open) = (Arc::clone(&counts.0), Arc::clone(&counts.1));
                tokio::spawn(async move {
                    open.fetch_add(1, Ordering::SeqCst);
                    let _ = misbehave(stream, fault, &asked).await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, asked, open }
    }

    /// Waits until no connection is open.
    async fn is_left(&self) {
        let began = Instant::now();
        while self.open.load(Ordering::SeqCst) > 0 {
            assert!(began.elapsed() < PATIENCE, "a connection stays open");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn misbehave(
    mut stream: TcpStream,
    fault: Fault,
    asked: &AtomicUsize,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let mut more = [0; 4096];
        match stream.read(&mut more).await? {
            0 => return Ok(()),
            n => head.extend_from_slice(&more[..n]),
        }
    }
    asked.fetch_add(1, Ordering::SeqCst);
    match fault {
        Fault::Stall => {}
        Fault::Close(bytes) => return stream.write_all(bytes.as_bytes()).await,
        Fault::Hang(bytes) => stream.write_all(bytes.as_bytes()).await?,
        Fault::Flood(first, again) => {
            stream.write_all(first.as_bytes()).await?;
            let block = again.repeat(1 + (256 << 10) / again.len());
            loop {
                stream.write_all(block.as_bytes()).await?;
            }
        }
        Fault::Drip(first, again, pause) => {
            stream.write_all(first.as_bytes()).await?;
            for byte in again.as_bytes().iter().cycle() {
                tokio::time::sleep(pause).await;
                stream.write_all(std::slice::from_ref(byte)).await?;
            }
        }
    }
    // Until the other side goes.
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

const MODEL: &str = "[models.m]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"URL\"\nmax_retries = 0\n\
    first_token_timeout = \"400ms\"\nidle_timeout = \"400ms\"\ntimeout = \"2s\"\nprice = { input = 1000, output = 1000 }\n";

/// The model with time-outs that no machine is too slow for.
fn patient() -> String {
    MODEL.replace("400ms", "8s").replace("2s", "8s")
}

struct Outcome {
    text: String,
    error: ModelError,
    span: Span,
}

async fn ask(gateway: &Gateway) -> Outcome {
    let spans = Arc::new(Spans::default());
    let request = ChatRequest {
        model: "m".to_owned(),
        messages: vec![Message::user("Hello")],
        ..ChatRequest::default()
    };
    let mut text = String::new();
    let error = match gateway.chat(request, &spans.context()).await {
        Err(error) => error,
        Ok(mut stream) => loop {
            match stream.next().await {
                Some(Ok(ChatChunk::Delta { text: more, .. })) => text.push_str(&more),
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(error)) => break error,
                None => panic!("it ended without a word"),
            }
        },
    };
    Outcome {
        text,
        error,
        span: spans.only(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_ends_as_documented_and_leaves_nothing_behind() {
    let flood = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ";
    for (name, fault, (begun, owed), code, said) in [
        (
            "stall",
            Fault::Stall,
            (false, true),
            "timeout",
            "no answer within",
        ),
        (
            "head only",
            Fault::Hang(STREAM),
            (false, true),
            "timeout",
            "no answer within",
        ),
        (
            "closed",
            Fault::Close(""),
            (false, true),
            "upstream_error",
            "`m`",
        ),
        (
            "half a stream",
            Fault::Close(const_str(STREAM, DELTA)),
            (true, true),
            "upstream_error",
            "ended without a finish",
        ),
        (
            "a stream that stops",
            Fault::Hang(const_str(STREAM, DELTA)),
            (true, true),
            "upstream_error",
            "nothing came for",
        ),
        (
            "garbage for HTTP",
            Fault::Close("\x01\x02 what\r\n\r\n"),
            (false, true),
            "upstream_error",
            "`m`",
        ),
        (
            "garbage for events",
            Fault::Close(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {\"choices\": 3}\n\n",
            ),
            (false, true),
            "upstream_error",
            "not what its provider's protocol says",
        ),
        (
            "wrong content type",
            Fault::Close("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Log in</html>"),
            (false, true),
            "upstream_error",
            "`text/html`",
        ),
        (
            "an event without end",
            Fault::Flood(flood, "xxxxxxxxxxxxxxxx"),
            (false, true),
            "upstream_error",
            "larger than 32 MiB",
        ),
        (
            "an error without end",
            Fault::Flood(
                "HTTP/1.1 500 Oh\r\nContent-Type: text/plain\r\n\r\n",
                "xxxxxxxxxxxxxxxx",
            ),
            (false, false),
            "upstream_error",
            "answered 500",
        ),
        (
            "a drip before the first token",
            Fault::Drip(STREAM, ": still here\n", Duration::from_millis(5)),
            (false, true),
            "timeout",
            "no answer within",
        ),
        (
            "a drip of tokens",
            Fault::Drip(const_str(STREAM, DELTA), DELTA, Duration::from_millis(1)),
            (true, true),
            "upstream_error",
            "was not complete within",
        ),
        (
            "429",
            Fault::Close("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"),
            (false, false),
            "rate_limited",
            "429",
        ),
        (
            "503",
            Fault::Close("HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n"),
            (false, false),
            "upstream_error",
            "answered 503",
        ),
        (
            "a redirect to nowhere",
            Fault::Close("HTTP/1.1 302 Go\r\nContent-Length: 0\r\n\r\n"),
            (false, false),
            "upstream_error",
            "answered 302",
        ),
    ] {
        let upstream = Upstream::start(fault).await;
        let toml = match said {
            // These wait for a time-out, which is to come soon, but not before a busy machine has sent the request.
            "no answer within" => MODEL.replacen("400ms", "1s", 1),
            "nothing came for" => MODEL.replacen("400ms", "8s", 1).replace("2s", "8s"),
            "was not complete within" => MODEL.replace("400ms", "8s"),
            _ => patient(),
        };
        let gateway = gateway(&toml, &upstream.url);
        let began = Instant::now();
        let outcome = tokio::time::timeout(PATIENCE, ask(&gateway))
            .await
            .unwrap_or_else(|_| panic!("{name}: it does not end"));
        assert!(began.elapsed() < Duration::from_secs(15), "{name}");
        let error = &outcome.error;
        assert_eq!(error.code().as_str(), code, "{name}: {error}");
        assert!(error.to_string().contains(said), "{name}: {error}");
        assert_eq!(
            matches!(error, ModelError::Broken(_)),
            begun,
            "{name}: {error:?}"
        );
        // What a provider may have read is paid for, once; what it refused is not.
        assert_eq!(!outcome.text.is_empty(), begun, "{name}");
        assert_eq!(
            outcome.span.cost > Money(0),
            owed,
            "{name}: {:?}",
            outcome.span
        );
        assert!(
            matches!(outcome.span.status, SpanStatus::Error(_)),
            "{name}"
        );
        if let ModelError::RateLimited { retry_after, .. } = error {
            assert_eq!(*retry_after, Some(Duration::from_secs(7)));
        }
        upstream.is_left().await;
        assert_eq!(upstream.asked.load(Ordering::SeqCst), 1, "{name}");
    }
}

/// Two constants as one, kept for as long as the tests run.
fn const_str(a: &str, b: &str) -> &'static str {
    Box::leak(format!("{a}{b}").into_boxed_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let outcome = ask(&gateway(&patient(), &url)).await;
    assert_eq!(outcome.error.code().as_str(), "upstream_error");
    assert!(
        outcome.error.to_string().contains("cannot be reached"),
        "{}",
        outcome.error
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_answer_to_embeddings_is_cut_off() {
    let flood = Fault::Flood(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"data\": [",
        "                ",
    );
    let upstream = Upstream::start(flood).await;
    let toml = "[models.e]\nprovider = \"openai\"\ntask = \"embedding\"\nmodel = \"e\"\nbase_url = \"URL\"\n\
        max_retries = 0\ntimeout = \"60s\"\n";
    let gateway = gateway(toml, &upstream.url);
    let embedder = gateway.embedder(Some("e")).unwrap();
    let texts = vec!["a".to_owned()];
    let error = embedder.embed(EmbedKind::Raw, texts).await.unwrap_err();
    assert!(error.to_string().contains("larger than 256 MiB"), "{error}");
    upstream.is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_storm_a_model_is_left_alone() {
    let down = Fault::Close("HTTP/1.1 503 Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let upstream = Upstream::start(down).await;
    // The pause is longer than it takes to ask many times.
    let toml = format!(
        "{}breaker = {{ failures = 3, pause = \"3s\" }}\n",
        patient()
    );
    let gateway = gateway(&toml, &upstream.url);
    for _ in 0..3 {
        let error = ask(&gateway).await.error;
        assert!(error.to_string().contains("answered 503"), "{error}");
    }
    for _ in 0..50 {
        let error = ask(&gateway).await.error;
        assert!(error.to_string().contains("left alone for"), "{error}");
        assert!(error.is_retryable());
    }
    assert_eq!(upstream.asked.load(Ordering::SeqCst), 3);
    // After the pause it is tried with one request.
    tokio::time::sleep(Duration::from_millis(3100)).await;
    let all = futures::future::join_all((0..20).map(|_| ask(&gateway))).await;
    assert_eq!(upstream.asked.load(Ordering::SeqCst), 4);
    assert_eq!(all.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_sound_pieces_is_cut_off_where_it_does_not_end() {
    let delta = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "x".repeat(64 << 10)
    );
    let upstream = Upstream::start(Fault::Flood(STREAM, const_str(&delta, ""))).await;
    // How fast 128 MiB are read is up to the machine.
    let toml = MODEL.replace("400ms", "60s").replace("\"2s\"", "\"60s\"");
    let gateway = gateway(&toml, &upstream.url);
    let spans = Arc::new(Spans::default());
    let request = ChatRequest {
        model: "m".to_owned(),
        messages: vec![Message::user("Hello")],
        ..ChatRequest::default()
    };
    let mut stream = gateway.chat(request, &spans.context()).await.unwrap();
    let mut bytes = 0;
    let error = loop {
        match stream.next().await.unwrap() {
            Ok(ChatChunk::Delta { text, .. }) => bytes += text.len(),
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ModelError::Broken(_)), "{error:?}");
    assert!(error.to_string().contains("larger than 128 MiB"), "{error}");
    assert!(bytes > 100 << 20 && bytes <= 128 << 20, "{bytes}");
    drop(stream);
    upstream.is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_told_and_not_followed() {
    let other = Upstream::start(Fault::Stall).await;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let head = format!(
            "HTTP/1.1 {status}\r\nLocation: {}/chat/completions?key=secret\r\nContent-Length: 0\r\n\r\n",
            other.url
        );
        let upstream = Upstream::start(Fault::Close(const_str(&head, ""))).await;
        let outcome = ask(&gateway(&patient(), &upstream.url)).await;
        let said = outcome.error.to_string();
        assert_eq!(outcome.error.code().as_str(), "upstream_error", "{said}");
        assert!(
            said.contains(&other.url) && said.contains("`base_url`"),
            "{said}"
        );
        assert!(!said.contains("secret"), "{said}");
        assert_eq!(outcome.span.cost, Money(0), "{status}");
    }
    assert_eq!(other.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_breaks_off_again_and_again_is_left_alone() {
    let broken = Fault::Close(const_str(STREAM, DELTA));
    let upstream = Upstream::start(broken).await;
    let toml = format!(
        "{}breaker = {{ failures = 3, pause = \"60s\" }}\n",
        patient()
    );
    let gateway = gateway(&toml, &upstream.url);
    for _ in 0..3 {
        let outcome = ask(&gateway).await;
        assert_eq!(outcome.text, "Hi");
        assert!(matches!(outcome.error, ModelError::Broken(_)));
    }
    let outcome = ask(&gateway).await;
    let said = outcome.error.to_string();
    assert!(said.contains("left alone for"), "{said}");
    assert_eq!(outcome.span.cost, Money(0), "nobody was asked");
    assert_eq!(upstream.asked.load(Ordering::SeqCst), 3);
}
