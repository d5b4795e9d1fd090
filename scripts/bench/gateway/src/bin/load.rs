//! Requests for chat completions at a constant rate, whatever becomes of them.
//!
//! `load URL SECONDS whole|stream CONNECTIONS NAME,KEY,RATE...` sends RATE requests a second with KEY for each NAME, all
//! at once, each name over up to CONNECTIONS connections of its own that are kept alive, and prints one line of JSON:
//! a list of what came of each name.
//!
//! A request's time counts from the moment in which it was due to the end of its answer. So it holds the wait for a
//! connection, and for requests before it that took too long: slowness cannot hide by slowing down who measures
//! (coordinated omission). Answers other than a whole, right one are counted by their kind, and have no time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How long answers are waited for after the last request was due.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest time that is told apart from longer ones, in microseconds.
const LONGEST: u64 = 120_000_000;
/// Digits of a time.
const DIGITS: u8 = 3;

const USAGE: &str = "usage: load URL SECONDS whole|stream CONNECTIONS NAME,KEY,RATE...";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, seconds, form, connections, names @ ..] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    let (seconds, connections): (f64, u32) = (seconds.parse()?, connections.parse()?);
    let stream = match form.as_str() {
        "whole" => false,
        "stream" => true,
        _ => return Err(USAGE.into()),
    };
    // All begin together, when all is set up.
    let start = Instant::now() + Duration::from_millis(200);
    let mut running = Vec::with_capacity(names.len());
    for name in names {
        let sender = Arc::new(Sender::new(url, name, stream)?);
        running.push(tokio::spawn(send(sender, start, seconds, connections)));
    }
    let mut told = Vec::with_capacity(running.len());
    for one in running {
        told.push(one.await??);
    }
    println!("{}", Value::Array(told));
    Ok(())
}

/// Sends all requests of a name, and tells what came of them.
async fn send(
    sender: Arc<Sender>,
    start: Instant,
    seconds: f64,
    connections: u32,
) -> Result<Value> {
    let (due, mut wanted) = mpsc::unbounded_channel();
    let rate = sender.rate;
    // A thread of its own sleeps more exactly than the runtime, which counts in milliseconds.
    let pacer = thread::spawn(move || pace(start, rate, seconds, &due));
    let slots = Arc::new(Semaphore::new(usize::try_from(connections)?));
    let all = async {
        while let Some(at) = wanted.recv().await {
            let slot = Arc::clone(&slots).acquire_owned().await?;
            let sender = Arc::clone(&sender);
            tokio::spawn(async move {
                sender.request(at).await;
                drop(slot);
            });
        }
        slots.acquire_many(connections).await.map(drop)
    };
    let end = start + Duration::from_secs_f64(seconds) + PATIENCE;
    // What is not there by then is told as unfinished.
    let _ = tokio::time::timeout_at(end.into(), all).await;
    drop(wanted);
    let asked = pacer.join().map_err(|_| "the pacer panicked")?;
    Ok(sender.told(asked, start, seconds))
}

/// Says when each request is due, and in the end how many were.
fn pace(start: Instant, rate: f64, seconds: f64, due: &mpsc::UnboundedSender<Instant>) -> u64 {
    let mut number = 0;
    loop {
        let offset = number as f64 / rate;
        if offset >= seconds {
            return number;
        }
        let at = start + Duration::from_secs_f64(offset);
        thread::sleep(at.saturating_duration_since(Instant::now()));
        // Nobody listens where the patience is over; the rate says what was asked all the same.
        let _ = due.send(at);
        number += 1;
    }
}

/// One name's requests.
struct Sender {
    name: String,
    rate: f64,
    host: String,
    path: String,
    authorization: String,
    body: Bytes,
    /// What a right answer contains.
    mark: &'static [u8],
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    tally: Mutex<Tally>,
}

/// What came of them.
struct Tally {
    /// Microseconds to the end of an answer, and to its first bytes.
    whole: Histogram<u64>,
    first: Histogram<u64>,
    /// Answers that were not right, by their kind.
    wrong: BTreeMap<String, u64>,
    last: Option<Instant>,
}

impl Sender {
    fn new(url: &str, name: &str, stream: bool) -> Result<Self> {
        let uri: Uri = url.parse()?;
        let [name, key, rate] = name.split(',').collect::<Vec<_>>()[..] else {
            return Err(USAGE.into());
        };
        let body = json!({
            "model": "mock",
            "messages": [
                { "role": "system", "content": "You are the assistant of a library. Answer politely and briefly." },
                { "role": "user", "content": "How long may a book be kept, and what happens after that?" },
            ],
            "max_tokens": 64,
            "temperature": 0.7,
            "stream": stream,
        });
        let times = || Histogram::new_with_bounds(1, LONGEST, DIGITS);
        Ok(Self {
            name: name.to_owned(),
            rate: rate.parse()?,
            host: uri
                .authority()
                .ok_or("the address has no host")?
                .to_string(),
            path: format!("{}/chat/completions", uri.path().trim_end_matches('/')),
            authorization: format!("Bearer {key}"),
            body: Bytes::from(body.to_string()),
            mark: if stream {
                b"[DONE]".as_slice()
            } else {
                b"lazy dog.".as_slice()
            },
            idle: Mutex::default(),
            tally: Mutex::new(Tally {
                whole: times()?,
                first: times()?,
                wrong: BTreeMap::new(),
                last: None,
            }),
        })
    }

    /// Sends a request that is or was due, and counts what comes of it.
    async fn request(&self, due: Instant) {
        let found = self.ask().await;
        let mut tally = locked(&self.tally);
        match found {
            Ok((first, end)) => {
                tally.first.saturating_record(micros(first - due));
                tally.whole.saturating_record(micros(end - due));
                tally.last = tally.last.max(Some(end));
            }
            Err(kind) => *tally.wrong.entry(kind).or_default() += 1,
        }
    }

    /// When the first bytes of the answer came, and the last; or what is wrong with it.
    async fn ask(&self) -> std::result::Result<(Instant, Instant), String> {
        let broken = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
        // The newest first, so that few stay open where few are needed.
        let kept = locked(&self.idle).pop();
        let (mut connection, response) = match kept {
            Some(connection) => match self.over(connection).await {
                Ok(answered) => answered,
                // The server may have closed it in the meantime.
                Err(_) => self.over(self.connect().await?).await?,
            },
            None => self.over(self.connect().await?).await?,
        };
        let status = response.status();
        let mut body = response.into_body();
        let (mut bytes, mut first) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| broken("cut off", &error))?;
            first.get_or_insert_with(Instant::now);
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        let end = Instant::now();
        if connection.ready().await.is_ok() {
            locked(&self.idle).push(connection);
        }
        if status != StatusCode::OK {
            return Err(status.as_u16().to_string());
        }
        if !bytes.windows(self.mark.len()).any(|part| part == self.mark) {
            return Err("another answer".to_owned());
        }
        Ok((first.unwrap_or(end), end))
    }

    async fn connect(&self) -> std::result::Result<SendRequest<Full<Bytes>>, String> {
        let failed = |error: &dyn std::fmt::Display| format!("no connection: {error}");
        let stream = TcpStream::connect(&self.host)
            .await
            .map_err(|e| failed(&e))?;
        stream.set_nodelay(true).map_err(|e| failed(&e))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| failed(&e))?;
        tokio::spawn(async move {
            // Its end is seen by who uses it.
            let _ = connection.await;
        });
        Ok(sender)
    }

    /// The head of an answer over a connection, and the connection.
    async fn over(
        &self,
        mut connection: SendRequest<Full<Bytes>>,
    ) -> std::result::Result<(SendRequest<Full<Bytes>>, Response<Incoming>), String> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(self.body.clone()))
            .map_err(|error| error.to_string())?;
        let response = connection.send_request(request).await;
        let response = response.map_err(|error| format!("no answer: {error}"))?;
        Ok((connection, response))
    }

    fn told(&self, asked: u64, start: Instant, seconds: f64) -> Value {
        let tally = locked(&self.tally);
        let right = tally.whole.len();
        let wrong: u64 = tally.wrong.values().sum();
        let took = tally.last.map_or(0.0, |last| (last - start).as_secs_f64());
        let at = |times: &Histogram<u64>| {
            json!({
                "p50": times.value_at_quantile(0.5),
                "p90": times.value_at_quantile(0.9),
                "p99": times.value_at_quantile(0.99),
                "p999": times.value_at_quantile(0.999),
                "max": times.max(),
                "mean": times.mean(),
            })
        };
        json!({
            "name": self.name,
            "rate_asked": self.rate,
            "rate_reached": right as f64 / took.max(seconds),
            "asked": asked,
            "right": right,
            "wrong": tally.wrong,
            "unfinished": asked.saturating_sub(right + wrong),
            "us": at(&tally.whole),
            "first_us": at(&tally.first),
        })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(LONGEST)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
