//! A server that replays recorded traffic: a request must equal the recorded one in method, path,
//! headers and JSON body, and gets the recorded bytes. Whatever was not recorded fails the test.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use praxis_core::{CallContext, Span, TraceSink};
use praxis_gateway::{Gateway, GatewayConfig};
use praxis_hub::Cache;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A recorded exchange.
#[derive(Clone, Debug, Deserialize)]
pub struct Exchange {
    pub request: Request,
    pub response: Response,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Map<String, Value>,
    pub body: Value,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Response {
    pub status: u16,
    pub headers: Map<String, Value>,
    /// Chunks as they came; a number is a pause in milliseconds, and `{"hex": "…"}` what is no text.
    pub body: Vec<Value>,
    /// Break the connection instead of ending the body.
    #[serde(default)]
    pub breaks: bool,
}

impl Exchange {
    /// The first `n` chunks only, and then a broken connection.
    pub fn broken_after(mut self, n: usize) -> Self {
        self.response.body.truncate(n);
        self.response.breaks = true;
        self
    }

    /// A pause before chunk `n`.
    pub fn pause_before(mut self, n: usize, pause: Duration) -> Self {
        self.response
            .body
            .insert(n, json!(u64::try_from(pause.as_millis()).unwrap()));
        self
    }

    /// The same response to a request with these fields too.
    pub fn asked_with(mut self, fields: Value) -> Self {
        let body = self.request.body.as_object_mut().unwrap();
        body.extend(fields.as_object().unwrap().clone());
        self
    }
}

/// The first exchange of a fixture.
pub fn fixture(name: &str) -> Exchange {
    fixtures(name).remove(0)
}

/// All exchanges of a fixture, in their order.
pub fn fixtures(name: &str) -> Vec<Exchange> {
    #[derive(Deserialize)]
    struct Fixture {
        exchanges: Vec<Exchange>,
    }
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Fixture>(&text).unwrap().exchanges
}

/// A replay server with the times at which requests came.
pub struct Replay {
    pub url: String,
    waiting: Arc<Mutex<Vec<Exchange>>>,
    strangers: Arc<Mutex<Vec<String>>>,
    times: Arc<Mutex<Vec<Instant>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Replay {
    /// Replays each exchange once; equal requests get them in this order.
    pub async fn start(exchanges: Vec<Exchange>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let waiting = Arc::new(Mutex::new(exchanges));
        let (strangers, times) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let shared = (
            Arc::clone(&waiting),
            Arc::clone(&strangers),
            Arc::clone(&times),
        );
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, shared.clone()));
            }
        });
        Self {
            url,
            waiting,
            strangers,
            times,
            task,
        }
    }

    /// Ends it; gives the pauses between requests.
    ///
    /// # Panics
    /// If a request came that was not recorded, or a recorded one did not come.
    pub fn finish(self) -> Vec<Duration> {
        self.task.abort();
        let strangers = self.strangers.lock().unwrap();
        assert!(
            strangers.is_empty(),
            "not recorded:\n{}",
            strangers.join("\n")
        );
        let waiting = self.waiting.lock().unwrap();
        assert!(waiting.is_empty(), "not asked for: {:#?}", waiting);
        self.times
            .lock()
            .unwrap()
            .windows(2)
            .map(|w| w[1] - w[0])
            .collect()
    }
}

type Shared = (
    Arc<Mutex<Vec<Exchange>>>,
    Arc<Mutex<Vec<String>>>,
    Arc<Mutex<Vec<Instant>>>,
);

async fn answer(mut stream: TcpStream, (waiting, strangers, times): Shared) {
    let Some((method, path, headers, body)) = read(&mut stream).await else {
        return;
    };
    times.lock().unwrap().push(Instant::now());
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let found = {
        let mut waiting = waiting.lock().unwrap();
        let at = waiting.iter().position(|e| {
            e.request.method == method
                && e.request.path == path
                && e.request.body == json
                && e.request
                    .headers
                    .iter()
                    .all(|(k, v)| headers.get(k) == Some(v))
        });
        at.map(|at| waiting.remove(at))
    };
    let Some(exchange) = found else {
        strangers
            .lock()
            .unwrap()
            .push(format!("{method} {path} {headers:?} {json}"));
        let _ = stream
            .write_all(b"HTTP/1.1 418 Not recorded\r\nContent-Length: 0\r\n\r\n")
            .await;
        return;
    };
    let response = exchange.response;
    let mut head = format!(
        "HTTP/1.1 {} X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n",
        response.status
    );
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap()));
    }
    head.push_str("\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    for piece in &response.body {
        if let Some(ms) = piece.as_u64() {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            continue;
        }
        let bytes = match piece.get("hex") {
            Some(hex) => unhex(hex.as_str().unwrap()),
            None => piece.as_str().unwrap().as_bytes().to_vec(),
        };
        let head = format!("{:x}\r\n", bytes.len());
        let chunk = [head.as_bytes(), &bytes, b"\r\n"].concat();
        let _ = stream.write_all(&chunk).await;
        let _ = stream.flush().await;
    }
    if !response.breaks {
        let _ = stream.write_all(b"0\r\n\r\n").await;
    }
    let _ = stream.shutdown().await;
}

/// The bytes of pairs of hexadecimal digits.
pub fn unhex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

async fn read(stream: &mut TcpStream) -> Option<(String, String, Map<String, Value>, Vec<u8>)> {
    let mut buffer = Vec::new();
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        let mut more = [0; 4096];
        match stream.read(&mut more).await.ok()? {
            0 => return None,
            n => buffer.extend_from_slice(&more[..n]),
        }
    };
    let head = String::from_utf8(buffer[..end].to_vec()).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Map<String, Value> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(k, v)| (k.to_lowercase(), json!(v.trim())))
        .collect();
    let length: usize = headers.get("content-length")?.as_str()?.parse().ok()?;
    let mut body = buffer[end + 4..].to_vec();
    let missing = length.checked_sub(body.len())?;
    let start = body.len();
    body.resize(start + missing, 0);
    stream.read_exact(&mut body[start..]).await.ok()?;
    Some((method, path, headers, body))
}

/// Keeps spans.
#[derive(Default)]
pub struct Spans(Mutex<Vec<Span>>);

impl TraceSink for Spans {
    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

impl Spans {
    /// A context that records here.
    pub fn context(self: &Arc<Self>) -> CallContext {
        CallContext::new(Arc::clone(self) as Arc<dyn TraceSink>)
    }

    /// The only span.
    pub fn only(&self) -> Span {
        let spans = self.0.lock().unwrap();
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans[0].clone()
    }
}

/// A gateway of a configuration in TOML; `URL` in it is the server's address.
pub fn gateway(toml: &str, url: &str) -> Gateway {
    let config: GatewayConfig = toml::from_str(&toml.replace("URL", url)).unwrap();
    let env = |name: &str| match name {
        "TEST_KEY" => Some("test-key".to_owned()),
        "WRONG_KEY" => Some("wrong-key".to_owned()),
        name if name.ends_with("_API_KEY") => Some("test-key".to_owned()),
        _ => None,
    };
    Gateway::with_env(config, Cache::open(None).unwrap(), &env).unwrap()
}

/// The folder of a test model, if it is here.
pub fn model_dir(name: &str) -> Option<PathBuf> {
    let cache = Cache::open(None).unwrap();
    let catalogue = praxis_hub::Catalogue::builtin().unwrap();
    let found = cache
        .resolve(catalogue.get(name).unwrap())
        .map(|l| l.dir().to_owned());
    if found.is_none() {
        eprintln!("SKIPPED: {name} is not in {}", cache.root().display());
    }
    found
}
