//! The way back of a person's browser: a port of this machine that waits for one request (RFC 8252, section 7.3,
//! "Loopback Interface Redirection"). Left out: what is done with what it brings.

use std::time::Duration;

use praxis_core::{CallError, ErrorCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// How long a person has.
const LONGEST: Duration = Duration::from_secs(600);

/// Connections that are looked at, how long one may take to say what it wants, and in how many bytes.
const MOST_CONNECTIONS: usize = 200;
const LONGEST_REQUEST: Duration = Duration::from_secs(10);
const LARGEST_REQUEST: usize = 16 << 10;

/// Waits for a browser.
pub(super) struct Browser {
    listener: TcpListener,
    port: u16,
}

/// A browser that came back.
pub(super) struct Back {
    stream: TcpStream,
    /// The whole URL that it was sent to.
    pub url: Url,
}

impl Browser {
    /// Opens the port; any that is free, unless one is named.
    ///
    /// # Errors
    /// Where it is taken.
    pub(super) async fn open(port: Option<u16>) -> Result<Self, CallError> {
        let wanted = port.unwrap_or(0);
        let taken = |error: std::io::Error| {
            let message = format!("port {wanted} of this machine cannot be opened: {error}");
            CallError::new(ErrorCode::InvalidRequest, message)
                .with_hint("write another `redirect_port`, or none")
        };
        let listener = TcpListener::bind(("127.0.0.1", wanted))
            .await
            .map_err(taken)?;
        let port = listener.local_addr().map_err(taken)?.port();
        Ok(Self { listener, port })
    }

    /// The URL that the browser is to come back to.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/callback", self.port)
    }

    /// Waits for the browser that was sent away with this `state`.
    ///
    /// # Errors
    /// Where none comes in time.
    pub(super) async fn comes_back(&self, state: &str) -> Result<Back, CallError> {
        let back = tokio::time::timeout(LONGEST, self.first(state)).await;
        back.unwrap_or_else(|_| {
            let message = format!("nobody came back from the login within {LONGEST:?}");
            Err(CallError::new(ErrorCode::Timeout, message))
        })
    }

    async fn first(&self, state: &str) -> Result<Back, CallError> {
        for _ in 0..MOST_CONNECTIONS {
            let accepted = self.listener.accept().await;
            let (mut stream, _) = accepted.map_err(CallError::failure)?;
            let target = tokio::time::timeout(LONGEST_REQUEST, target(&mut stream)).await;
            let Ok(Some(target)) = target else {
                continue;
            };
            let url = Url::parse(&format!("http://127.0.0.1:{}{target}", self.port)).ok();
            let is_ours = |url: &Url| {
                let mut pairs = url.query_pairs();
                url.path() == "/callback"
                    && pairs.any(|(key, value)| key == "state" && value == state)
            };
            match url.filter(is_ours) {
                Some(url) => return Ok(Back { stream, url }),
                None => answer(&mut stream, "404 Not Found", "There is nothing here.").await,
            }
        }
        let message = "too many strange requests came instead of the login";
        Err(CallError::new(ErrorCode::Upstream, message))
    }
}

impl Back {
    /// What the URL says under this name.
    pub(super) fn value(&self, key: &str) -> Option<String> {
        let mut pairs = self.url.query_pairs();
        pairs
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.into_owned())
    }

    /// Tells the person.
    pub(super) async fn tell(mut self, text: &str) {
        answer(&mut self.stream, "200 OK", text).await;
    }
}

/// What a request asks for: the target of its first line.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    let mut chunk = [0; 1024];
    while !read.windows(4).any(|four| four == b"\r\n\r\n") {
        let n = stream.read(&mut chunk).await.ok()?;
        if n == 0 || read.len() + n > LARGEST_REQUEST {
            return None;
        }
        read.extend_from_slice(&chunk[..n]);
    }
    let head = String::from_utf8(read).ok()?;
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    (method == "GET" && target.starts_with('/')).then(|| target.to_owned())
}

/// Answers in plain text. Where the browser went away, nobody is told.
async fn answer(stream: &mut TcpStream, status: &str, text: &str) {
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    if stream.write_all(answer.as_bytes()).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}
