//! The way out: every request of a tool to a server goes through [`Egress`]. It asks hosts that the tool's file allows,
//! at addresses of the public internet, and reads no more and no longer than it may.
//!
//! The guard of `praxis_sources` is the resolver of the HTTP client, so that the addresses that were checked are those
//! that are connected to. Redirects are followed here, each checked like the first URL. Left out: which requests are
//! made, and what becomes of the answers.

mod answer;
mod hosts;
mod redirect;
mod secret;
#[cfg(test)]
#[path = "../tests/support/site.rs"]
pub(crate) mod site;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use praxis_core::{CallContext, CallError, ErrorCode, Problem};
use praxis_sources::{Guard, Refused};
use reqwest::header::{ACCEPT_ENCODING, HeaderValue};
use reqwest::{Client, ClientBuilder, Request};
use serde::Deserialize;
use url::Url;

use self::hosts::Hosts;
use self::redirect::Next;

pub use self::answer::Answer;
pub(crate) use self::secret::secret;

/// How tools call themselves.
const USER_AGENT: &str = concat!(
    "praxis/",
    env!("CARGO_PKG_VERSION"),
    " (+",
    env!("CARGO_PKG_REPOSITORY"),
    ")"
);

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// The longest URL, in bytes.
const LONGEST_URL: usize = 8192;

/// Headers of an answer, and their bytes together.
const MOST_HEADERS: usize = 100;
const MOST_HEADER_BYTES: u32 = 64 << 10;

/// Connections that wait for more, for each host.
const IDLE: usize = 4;

/// What a tool may ask.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressConfig {
    /// Hosts: `example.org`, `*.example.org` (all below it), `*` (all); with `:8443` or `:*` behind it another port
    /// than 80 and 443. Empty: all hosts of the public internet.
    pub allow: Vec<String>,
    /// Whether these hosts may be at private addresses: this machine, an intranet.
    pub allow_private: bool,
}

impl EgressConfig {
    /// What is wrong with it; `path` is the key that it stands at, empty for the file itself.
    pub fn problems(&self, path: &str) -> Vec<Problem> {
        let key = match path {
            "" => "allow".to_owned(),
            path => format!("{path}.allow"),
        };
        let problem = |(message, help): (String, String)| Problem {
            path: key.clone(),
            message,
            help: Some(help),
        };
        let mistakes = self
            .allow
            .iter()
            .filter_map(|text| hosts::mistake(text).map(problem));
        mistakes.collect()
    }
}

/// Bounds of one request and all its redirects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of an answer's body, unpacked; what is longer is cut.
    pub bytes: u64,
    /// The longest time until the whole answer is there.
    pub time: Duration,
    /// Redirects that are followed.
    pub redirects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 2 << 20,
            time: Duration::from_secs(30),
            redirects: 5,
        }
    }
}

/// Asks servers. Cloning is cheap, and clones share connections.
#[derive(Debug, Clone)]
pub struct Egress {
    hosts: Arc<Hosts>,
    guard: Guard,
    /// Made for the first request: reading the machine's certificates takes milliseconds, and most tools of an
    /// application are not called in most of its processes.
    client: Arc<OnceLock<Client>>,
}

impl Egress {
    /// The way out for what a configuration allows.
    ///
    /// # Errors
    /// A host that is none.
    pub fn new(config: &EgressConfig) -> Result<Self, Problem> {
        Self::within(config, Guard::new(config.allow_private))
    }

    /// The way out through this guard, for a network of its own.
    ///
    /// # Errors
    /// As [`Egress::new`].
    pub fn within(config: &EgressConfig, guard: Guard) -> Result<Self, Problem> {
        if let Some(problem) = config.problems("").into_iter().next() {
            return Err(problem);
        }
        Ok(Self {
            hosts: Arc::new(Hosts::new(&config.allow)),
            guard,
            client: Arc::default(),
        })
    }

    fn client(&self) -> Result<&Client, CallError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let made = builder(&self.guard).build().map_err(|error| {
            let message = format!("no HTTP client can be made: {error}");
            CallError::new(ErrorCode::Internal, message)
                .with_hint("are the certificates of this machine readable?")
        })?;
        Ok(self.client.get_or_init(|| made))
    }

    /// Whether a URL may be asked: it is one of HTTP, without a name or a password in it, of a host and a port in the
    /// list, and not a private address itself. What its name leads to is checked when it is connected to.
    ///
    /// # Errors
    /// `invalid_request`, which names what is wrong.
    pub fn check(&self, url: &Url) -> Result<(), CallError> {
        if !matches!(url.scheme(), "http" | "https") {
            let what = format!("`{}:` is no scheme of the web", url.scheme());
            return Err(refused(&what, "write a URL that begins with https://"));
        }
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err(refused(
                "the URL has no host",
                "write it whole: https://example.org/",
            ));
        };
        if !url.username().is_empty() || url.password().is_some() {
            let what = format!("the URL of `{host}` has a name or a password in it");
            return Err(refused(&what, "leave out what stands before the `@`"));
        }
        if url.as_str().len() > LONGEST_URL {
            let what = format!("the URL of `{host}` is longer than {LONGEST_URL} bytes");
            return Err(refused(&what, "shorten it"));
        }
        if let Some((what, hint)) = self.hosts.objection(url) {
            return Err(refused(&what, &hint));
        }
        self.guard.check(url).map_err(|_| private(host))
    }

    /// A client's beginning for libraries that bring requests of their own: names are resolved by the guard, redirects
    /// are not followed, and there is no proxy. Who uses it calls [`Egress::check`] for each URL: an address in a URL
    /// needs no resolver.
    pub fn builder(&self) -> ClientBuilder {
        builder(&self.guard)
    }

    /// Asks, follows redirects, and reads the answer. Cross-origin redirects lose all headers but those that say which
    /// form of an answer is wanted.
    ///
    /// # Errors
    /// `invalid_request` for what may not be asked, `timeout`, `cancelled`, and `upstream_error` for a server that
    /// does not answer or not in HTTP; `internal_error` where this machine's certificates cannot be read.
    pub async fn send(
        &self,
        request: Request,
        limits: &Limits,
        cx: &CallContext,
    ) -> Result<Answer, CallError> {
        let host = request.url().host_str().unwrap_or_default().to_owned();
        tokio::select! {
            biased;
            () = cx.cancel().cancelled() => {
                Err(CallError::new(ErrorCode::Cancelled, "the call was cancelled"))
            }
            answer = tokio::time::timeout(limits.time, self.follow(request, limits)) => {
                answer.unwrap_or_else(|_| Err(late(&host, limits.time)))
            }
        }
    }

    async fn follow(&self, mut request: Request, limits: &Limits) -> Result<Answer, CallError> {
        self.check(request.url())?;
        request
            .headers_mut()
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("gzip"));
        let mut followed = 0;
        loop {
            let asked = Next::of(&request);
            let url = request.url().clone();
            let host = url.host_str().unwrap_or_default().to_owned();
            let response = self.client()?.execute(request).await;
            let response = response.map_err(|error| no_answer(&host, limits.time, &error))?;
            answer::check_headers(&host, response.headers())?;
            match asked.behind(response.status(), response.headers())? {
                None => return answer::read(response, url, limits).await,
                Some(_) if followed == limits.redirects => {
                    let message = format!("`{host}` redirects more than {followed} times");
                    return Err(CallError::new(ErrorCode::Upstream, message));
                }
                Some(next) => {
                    self.check(next.url())?;
                    followed += 1;
                    request = next;
                }
            }
        }
    }
}

/// A client behind a guard.
fn builder(guard: &Guard) -> ClientBuilder {
    // Whoever comes first installs it; an error means that someone did.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(USER_AGENT)
        .dns_resolver(guard.clone())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // A proxy would resolve names by itself, past the guard.
        .no_proxy()
        // Bodies are unpacked here, within their bounds.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd()
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(IDLE)
        .http1_max_headers(MOST_HEADERS)
        .http2_max_header_list_size(MOST_HEADER_BYTES)
}

/// That something is not asked.
fn refused(what: &str, hint: &str) -> CallError {
    CallError::new(
        ErrorCode::InvalidRequest,
        format!("{what}, so it is not asked"),
    )
    .with_hint(hint)
}

/// That a host is not of the internet. Where it is instead is nobody's business.
fn private(host: &str) -> CallError {
    refused(
        &format!("`{host}` is not of the public internet"),
        "the tool's file says with `allow_private = true` where that is meant",
    )
}

fn late(host: &str, time: Duration) -> CallError {
    let message = format!("`{host}` gave no whole answer within {time:?}");
    CallError::new(ErrorCode::Timeout, message)
}

/// Why there is no answer.
fn no_answer(host: &str, time: Duration, error: &reqwest::Error) -> CallError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut last = String::new();
    while let Some(cause) = source {
        if cause.is::<Refused>() {
            return private(host);
        }
        last = cause.to_string();
        source = cause.source();
    }
    if error.is_timeout() {
        return late(host, time.min(CONNECT));
    }
    // The innermost cause says what is wrong; those around it repeat the URL, which may hold a secret.
    CallError::new(
        ErrorCode::Upstream,
        format!("`{host}` does not answer: {last}"),
    )
}

#[cfg(test)]
mod tests;
