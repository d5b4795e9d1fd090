//! A server on a port of this machine, which answers what it was told to and keeps what it was asked, and a network in
//! which names lead to it. Left out: HTTP beyond what a client of the tests sends.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use praxis_core::CallContext;
use praxis_core::trace::NoTrace;
use praxis_sources::Guard;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the server answers.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// It promises more than it sends, and goes on waiting.
    stalls: bool,
}

impl Reply {
    /// A body of some type.
    pub fn of(kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body: body.into(),
            stalls: false,
        }
    }

    /// A page.
    pub fn page(body: &str) -> Self {
        Self::of("text/html; charset=utf-8", body)
    }

    /// A redirect.
    pub fn moved(status: u16, to: &str) -> Self {
        Self::page("").status(status).header("location", to)
    }

    /// The same with this status.
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same with one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, without an end.
    pub fn stalling(self) -> Self {
        Self {
            stalls: true,
            ..self
        }
    }
}

/// What the server was asked.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `GET`
    pub method: String,
    /// Path and query.
    pub target: String,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

#[derive(Default)]
struct State {
    replies: BTreeMap<String, Reply>,
    asked: Vec<Asked>,
}

/// The server.
pub struct Site {
    /// Where it is.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Site {
    /// A server without pages.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    /// Answers a path, with its query or without, from now on.
    pub fn put(&self, path: &str, reply: Reply) {
        let mut state = self.state.lock().unwrap();
        state.replies.insert(path.to_owned(), reply);
    }

    /// A URL of the server, by its name in [`Site::guard`].
    pub fn url(&self, path: &str) -> String {
        format!("http://site.test:{}{path}", self.address.port())
    }

    /// A URL of the server, by its address.
    pub fn direct(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was asked since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    /// A network in which `site.test` and `other.test` are this server at a public address, and `inside.test` is at a
    /// private one.
    pub fn guard(&self) -> Guard {
        let here: IpAddr = self.address.ip();
        let names: BTreeMap<String, Vec<IpAddr>> = [
            ("site.test".to_owned(), vec![here]),
            ("other.test".to_owned(), vec![here]),
            ("inside.test".to_owned(), vec!["127.0.0.2".parse().unwrap()]),
        ]
        .into();
        Guard::new(false).within(Arc::new(names), vec![here])
    }
}

/// The context of a call that nobody watches.
pub fn context() -> CallContext {
    CallContext::new(Arc::new(NoTrace))
}

async fn answer(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let Some(asked) = read(&mut stream).await else {
        return;
    };
    let path = asked.target.split('?').next().unwrap_or_default();
    let reply = {
        let mut state = state.lock().unwrap();
        let found = state.replies.get(&asked.target);
        let found = found.or_else(|| state.replies.get(path)).cloned();
        let reply = found.unwrap_or_else(|| Reply::page("nothing here").status(404));
        state.asked.push(asked.clone());
        reply
    };
    let length = reply.body.len() + usize::from(reply.stalls);
    let mut head = format!(
        "HTTP/1.1 {} Told\r\ncontent-length: {length}\r\nconnection: close\r\n",
        reply.status
    );
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    if asked.method != "HEAD" {
        let _ = stream.write_all(&reply.body).await;
    }
    let _ = stream.flush().await;
    if reply.stalls {
        std::future::pending::<()>().await;
    }
    let _ = stream.shutdown().await;
}

/// A request, as far as it is one.
async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes: Vec<u8> = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        bytes.extend_from_slice(&piece[..read]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|n| n.parse().ok());
    let length: usize = length.unwrap_or(0);
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        body.extend_from_slice(&piece[..read]);
    }
    Some(Asked {
        method,
        target,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
