//! A connection to a server: a program that is started, or a URL that is asked. Left out: when one is made.

use std::collections::HashMap;
use std::future::Future;
use std::process::Stdio;
use std::sync::Arc;

use praxis_core::{CallError, ErrorCode, KeyReference};
use process_wrap::tokio::{CommandWrap, KillOnDrop};
use reqwest::header::{HeaderName, HeaderValue};
use rmcp::model::ProtocolVersion;
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, RunningService, ServiceError,
};
use rmcp::transport::TokioChildProcess;
use rmcp::transport::auth::AuthClient;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
};
use rmcp::{ClientCacheConfig, RoleClient};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{ChildStderr, Command};
use url::Url;

use super::Place;
use super::config::Config;
use super::failure;
use super::handler::Handler;
use super::oauth;
use crate::egress::{Egress, secret};

/// A connection that runs.
pub(super) type Link = RunningService<RoleClient, Arc<Handler>>;

/// What a program's environment has of ours.
const INHERITED: [&str; 2] = ["PATH", "HOME"];

/// The longest line of a program's standard error that is logged, and the most lines.
const LONGEST_LINE: u64 = 4096;
const MOST_LINES: usize = 10_000;

/// Why there is no connection.
pub(super) enum Refusal {
    /// The server wants a login, and said this (`WWW-Authenticate`).
    Login(String),
    /// For another reason.
    Other(CallError),
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Self::Other(error)
    }
}

/// Who connects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Whoever has logged in at the server.
    Known,
    /// Somebody without a login.
    Unknown,
}

/// Connects, with the token of a login where there is one.
///
/// # Errors
/// Where the server cannot be started or reached, wants a login, or cannot be talked to.
pub(super) async fn connect(
    name: &str,
    config: &Config,
    place: &Place,
    handler: &Arc<Handler>,
) -> Result<Link, Refusal> {
    connect_as(Who::Known, name, config, place, handler).await
}

/// Connects as somebody who has never logged in.
///
/// # Errors
/// As [`connect`].
pub(super) async fn connect_unknown(
    name: &str,
    config: &Config,
    place: &Place,
    handler: &Arc<Handler>,
) -> Result<Link, Refusal> {
    connect_as(Who::Unknown, name, config, place, handler).await
}

async fn connect_as(
    who: Who,
    name: &str,
    config: &Config,
    place: &Place,
    handler: &Arc<Handler>,
) -> Result<Link, Refusal> {
    let link = match &config.url {
        Some(url) => over_http(who, name, url, config, place, handler).await?,
        None => {
            let start = || async move { child(name, config, place) };
            begun(name, config, handler, start).await?
        }
    };
    // Lists are kept by ourselves.
    let cache = ClientCacheConfig::disabled();
    link.peer().set_response_cache_config(cache).await;
    Ok(link)
}

/// Says hello over a new transport, and over another one in the older way where that fails: some servers end at a
/// question that they do not know.
async fn begun<T, E, A, S, F>(
    name: &str,
    config: &Config,
    handler: &Arc<Handler>,
    start: S,
) -> Result<Link, Refusal>
where
    S: Fn() -> F,
    F: Future<Output = Result<T, CallError>>,
    T: rmcp::transport::IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    let initialize = ClientLifecycleMode::Initialize;
    let first = match config.version() {
        None => ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        },
        Some(version) if version.has_initialize() => initialize.clone(),
        Some(version) => ClientLifecycleMode::Discover {
            preferred_versions: vec![version],
        },
    };
    let may_repeat = matches!(first, ClientLifecycleMode::Auto { .. });
    let transport = start().await?;
    let refused = match Arc::clone(handler)
        .serve_with_lifecycle(transport, first)
        .await
    {
        Ok(link) => return Ok(link),
        Err(error) => error,
    };
    if !may_repeat || wants_login(&refused) {
        return Err(refusal(name, &refused));
    }
    let transport = start().await?;
    let link = Arc::clone(handler)
        .serve_with_lifecycle(transport, initialize)
        .await;
    link.map_err(|error| refusal(name, &error))
}

fn wants_login(error: &ClientInitializeError) -> bool {
    error.auth_challenge().is_some() || error.is_authorization_required()
}

fn refusal(name: &str, error: &ClientInitializeError) -> Refusal {
    match error.auth_challenge() {
        Some(challenge) => Refusal::Login(challenge.to_owned()),
        None if error.is_authorization_required() => Refusal::Login(String::new()),
        None => Refusal::Other(failure::of_start(name, error)),
    }
}

/// Why a request over a connection was not answered.
pub(super) fn unanswered(name: &str, error: &ServiceError) -> Refusal {
    match error.auth_challenge() {
        Some(challenge) => Refusal::Login(challenge.to_owned()),
        None if error.is_authorization_required() => Refusal::Login(String::new()),
        None => Refusal::Other(failure::of_service(name, error)),
    }
}

/// A program that was started. It has a group of its own, so that its children end with it.
fn child(name: &str, config: &Config, place: &Place) -> Result<TokioChildProcess, CallError> {
    let (program, arguments) = match config.command.split_first() {
        Some((program, arguments)) => (program, arguments),
        None => return Err(failure::upstream(name, "has no command")),
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    for (key, reference) in &config.env {
        command.env(key, value(&format!("env.{key}"), reference)?);
    }
    command.current_dir(match &config.cwd {
        Some(cwd) => place.root.join(cwd),
        None => place.root.clone(),
    });
    let mut command = CommandWrap::from(command);
    #[cfg(unix)]
    command.wrap(process_wrap::tokio::ProcessGroup::leader());
    command.wrap(KillOnDrop);
    let started = TokioChildProcess::builder(command)
        .stderr(Stdio::piped())
        .spawn();
    let (transport, stderr) = started.map_err(|error| {
        let message = format!("the MCP server `{name}` cannot be started: `{program}`: {error}");
        CallError::new(ErrorCode::Upstream, message)
            .with_hint("is the program installed, and in a folder of PATH?")
    })?;
    if let Some(stderr) = stderr {
        tokio::spawn(logged(name.to_owned(), stderr));
    }
    Ok(transport)
}

/// Logs what a program writes to its standard error, until it ends. What is beyond the bounds is read and dropped, so
/// that the program is never kept waiting.
async fn logged(name: String, stderr: ChildStderr) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    for _ in 0..MOST_LINES {
        line.clear();
        let mut start = (&mut reader).take(LONGEST_LINE);
        match start.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                tracing::debug!(server = %name, "{}", text.trim_end());
            }
        }
    }
    let _ = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
}

/// A connection over HTTP.
async fn over_http(
    who: Who,
    name: &str,
    url: &str,
    config: &Config,
    place: &Place,
    handler: &Arc<Handler>,
) -> Result<Link, Refusal> {
    let (client, settings) = http(url, config)?;
    if who == Who::Known
        && config.may_log_in()
        && let Some(manager) = oauth::manager(name, url, config, place).await?
    {
        // Both ways of saying hello use the same token.
        let client = AuthClient::new(client, manager);
        return begun(name, config, handler, || {
            over(client.clone(), settings.clone())
        })
        .await;
    }
    begun(name, config, handler, || {
        over(client.clone(), settings.clone())
    })
    .await
}

async fn over<C: StreamableHttpClient>(
    client: C,
    settings: StreamableHttpClientTransportConfig,
) -> Result<StreamableHttpClientTransport<C>, CallError> {
    Ok(StreamableHttpClientTransport::with_client(client, settings))
}

/// What asks the server, and how.
fn http(
    url: &str,
    config: &Config,
) -> Result<(reqwest::Client, StreamableHttpClientTransportConfig), CallError> {
    let egress = Egress::new(&config.egress())
        .map_err(|problem| CallError::new(ErrorCode::InvalidRequest, problem.message))?;
    let parsed = Url::parse(url)
        .map_err(|error| CallError::new(ErrorCode::InvalidRequest, error.to_string()))?;
    egress.check(&parsed)?;
    let client = egress.builder().build().map_err(|error| {
        CallError::new(
            ErrorCode::Internal,
            format!("no HTTP client can be made: {error}"),
        )
    })?;
    let mut settings = StreamableHttpClientTransportConfig::with_uri(parsed.as_str());
    let mut headers = HashMap::new();
    for (key, reference) in &config.headers {
        let path = format!("headers.{key}");
        let name = HeaderName::from_bytes(key.as_bytes()).map_err(|_| unfit(&path))?;
        let text = value(&path, reference)?;
        let mut value = HeaderValue::from_str(&text).map_err(|_| unfit(&path))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    settings = settings.custom_headers(headers);
    if let Some(bearer) = &config.bearer {
        settings = settings.auth_header(secret("bearer", bearer)?.expose());
    }
    Ok((client, settings))
}

fn unfit(path: &str) -> CallError {
    let message = format!("`{path}` is no header that can be sent");
    CallError::new(ErrorCode::InvalidRequest, message)
        .with_hint("write letters, digits and signs of ASCII")
}

/// A text of the file, or of the variable that it names.
fn value(key: &str, reference: &KeyReference) -> Result<String, CallError> {
    match reference.variable() {
        Some(_) => Ok(secret(key, reference)?.expose().to_owned()),
        None => Ok(reference.written().to_owned()),
    }
}
