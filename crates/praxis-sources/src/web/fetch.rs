//! One request for one URL: conditional, bounded in time and size, tried again where that may help, and never
//! beyond the guard. Redirects are answers, not followed: where they lead is checked like any other URL. Left out:
//! which URLs are asked, and what becomes of the answers.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::header::{self, HeaderMap};
use reqwest::{Client, StatusCode, redirect};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::address::{normal, origin};
use super::guard::{Guard, Refused};
use super::sitemap::unpack;
use crate::SourceError;
use crate::config::WebConfig;

/// How we call ourselves.
const USER_AGENT: &str = concat!(
    "praxis/",
    env!("CARGO_PKG_VERSION"),
    " (+",
    env!("CARGO_PKG_REPOSITORY"),
    ")"
);

/// Tries of one request, the first included.
const TRIES: u32 = 3;

/// The longest wait that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What an earlier answer can be asked to be compared by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
}

/// What a server says.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Here it is.
    Body(Body),
    /// It is as it was.
    NotModified,
    /// It is elsewhere.
    Moved {
        /// Where.
        to: Url,
        /// Whether for good.
        lasting: bool,
    },
    /// It is not, or no longer, there.
    Gone,
    /// It is larger than may be: its bytes, as far as known.
    TooLarge(u64),
}

/// A page's bytes with what was told of them.
#[derive(Debug)]
pub(crate) struct Body {
    /// The bytes, unpacked.
    pub bytes: Vec<u8>,
    /// `Content-Type`.
    pub content_type: String,
    /// How to ask whether it changed.
    pub validators: Validators,
    /// `X-Robots-Tag` forbids to be found.
    pub noindex: bool,
}

/// Why there is no answer, this time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Failure {
    /// What a person is told.
    pub why: String,
    /// What the server said, if it said anything.
    status: Option<StatusCode>,
}

impl Failure {
    fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            status: None,
        }
    }

    fn of(status: StatusCode) -> Self {
        Self {
            why: format!("the server answers {status}"),
            status: Some(status),
        }
    }

    /// Whether the server knows what it was asked, and will not.
    pub fn is_refusal(&self) -> bool {
        self.status
            .is_some_and(|s| s.is_client_error() && s != StatusCode::TOO_MANY_REQUESTS)
    }
}

/// Asks servers.
pub(crate) struct Fetcher {
    client: Client,
    guard: Guard,
    delay: Duration,
    /// When each origin may be asked next, and how long to wait between.
    turns: Mutex<HashMap<String, Turn>>,
    pub pause: Duration,
}

struct Turn {
    next: Instant,
    delay: Duration,
}

impl Fetcher {
    /// # Errors
    /// A client that cannot be made.
    pub fn new(config: &WebConfig, guard: Guard) -> Result<Self, SourceError> {
        // Whoever comes first installs it; an error means that someone did.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .connect_timeout(config.timeout.0.min(Duration::from_secs(15)))
            .timeout(config.timeout.0)
            .dns_resolver(guard.clone());
        if !guard.is_open() {
            // A proxy would resolve names by itself, past the guard.
            client = client.no_proxy();
        }
        Ok(Self {
            client: client
                .build()
                .map_err(|e| SourceError::Unavailable(chain(&e)))?,
            guard,
            delay: config.delay.map_or(Duration::ZERO, |p| p.0),
            turns: Mutex::default(),
            pause: Duration::from_secs(1),
        })
    }

    /// Lengthens the time between two requests to an origin.
    pub async fn slow_down(&self, url: &Url, delay: Duration) {
        let mut turns = self.turns.lock().await;
        let turn = turns.entry(origin(url)).or_insert_with(|| Turn {
            next: Instant::now(),
            delay: self.delay,
        });
        turn.delay = turn.delay.max(delay);
    }

    /// Waits for the origin's next turn.
    async fn turn(&self, url: &Url) {
        let at = {
            let mut turns = self.turns.lock().await;
            let turn = turns.entry(origin(url)).or_insert_with(|| Turn {
                next: Instant::now(),
                delay: self.delay,
            });
            let at = turn.next.max(Instant::now());
            turn.next = at + turn.delay;
            at
        };
        tokio::time::sleep_until(at).await;
    }

    /// Asks for a URL, unless it is as it was.
    ///
    /// # Errors
    /// No answer, or one that says that there may be one later.
    pub async fn get(&self, url: &Url, known: &Validators, limit: u64) -> Result<Answer, Failure> {
        self.guard
            .check(url)
            .map_err(|e| Failure::new(e.to_string()))?;
        let mut tries = 0;
        loop {
            tries += 1;
            self.turn(url).await;
            let (failure, pause) = match self.once(url, known, limit).await {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Final(failure)) => return Err(failure),
                Err(Trouble::Passing(failure, pause)) => (failure, pause),
            };
            if tries >= TRIES {
                return Err(failure);
            }
            tokio::time::sleep(
                pause
                    .unwrap_or(self.pause * 2u32.pow(tries - 1))
                    .min(LONGEST_PAUSE),
            )
            .await;
        }
    }

    async fn once(&self, url: &Url, known: &Validators, limit: u64) -> Result<Answer, Trouble> {
        let mut request = self
            .client
            .get(url.clone())
            .header(header::ACCEPT_ENCODING, "gzip");
        if let Some(etag) = &known.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        if let Some(time) = &known.last_modified {
            request = request.header(header::IF_MODIFIED_SINCE, time);
        }
        let response = request.send().await.map_err(|e| no_answer(&e))?;
        let (status, headers) = (response.status(), response.headers().clone());
        match status {
            StatusCode::NOT_MODIFIED => return Ok(Answer::NotModified),
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(Answer::Gone),
            StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION => {}
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let seconds = text(&headers, header::RETRY_AFTER).and_then(|s| s.parse().ok());
                let failure = Failure::of(status);
                return Err(Trouble::Passing(failure, seconds.map(Duration::from_secs)));
            }
            _ if status.is_redirection() => {
                let place = text(&headers, header::LOCATION).and_then(|l| url.join(&l).ok());
                return match place.and_then(|url| normal(&url)) {
                    Some(to) => {
                        let lasting = matches!(
                            status,
                            StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT
                        );
                        Ok(Answer::Moved { to, lasting })
                    }
                    None => Err(Trouble::Final(Failure::new(
                        "it redirects to nowhere".to_owned(),
                    ))),
                };
            }
            _ if status.is_server_error() => {
                return Err(Trouble::Passing(Failure::of(status), None));
            }
            _ => {
                return Err(Trouble::Final(Failure::of(status)));
            }
        }
        if let Some(size) = response.content_length().filter(|size| *size > limit) {
            return Ok(Answer::TooLarge(size));
        }
        let Some(bytes) = read(response, limit).await? else {
            return Ok(Answer::TooLarge(limit + 1));
        };
        let coding = text(&headers, header::CONTENT_ENCODING).unwrap_or_default();
        let bytes = match coding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => bytes,
            "gzip" | "x-gzip" => {
                unpack(&bytes, limit).map_err(|e| Trouble::Final(Failure::new(e)))?
            }
            other => {
                return Err(Trouble::Final(Failure::new(format!(
                    "it comes packed as `{other}`, unasked"
                ))));
            }
        };
        let tags = headers
            .get_all("x-robots-tag")
            .iter()
            .filter_map(|v| v.to_str().ok());
        Ok(Answer::Body(Body {
            bytes,
            content_type: text(&headers, header::CONTENT_TYPE).unwrap_or_default(),
            validators: Validators {
                etag: text(&headers, header::ETAG),
                last_modified: text(&headers, header::LAST_MODIFIED),
            },
            noindex: tags
                .flat_map(|t| t.split([',', ':']))
                .any(|w| matches!(w.trim(), "noindex" | "none")),
        }))
    }
}

/// Why a try failed.
enum Trouble {
    /// It would fail again.
    Final(Failure),
    /// It may work later: after so long, if the server said.
    Passing(Failure, Option<Duration>),
}

/// A body up to a limit; `None` beyond.
async fn read(mut response: reqwest::Response, limit: u64) -> Result<Option<Vec<u8>>, Trouble> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| no_answer(&e))? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

fn no_answer(error: &reqwest::Error) -> Trouble {
    // The guard's own words say what to do.
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return Trouble::Final(Failure::new(refused.to_string()));
        }
        source = cause.source();
    }
    if error.is_timeout() {
        return Trouble::Final(Failure::new("the server takes too long"));
    }
    Trouble::Passing(Failure::new(chain(error)), None)
}

/// An error with its causes.
fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = source {
        // The first level repeats the URL.
        let part = cause.to_string();
        if cause.source().is_none() || !part.contains("://") {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        source = cause.source();
    }
    text
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
