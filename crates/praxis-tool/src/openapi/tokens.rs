//! Tokens of an application by OAuth 2.0 client credentials (RFC 6749, 4.4): one is kept and used until shortly before
//! it ends, and of many calls that need a new one, one asks for it.
//!
//! Left out: tokens of persons, which a browser has to get, and refresh tokens, which this grant has none of.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use praxis_core::{CallContext, CallError, ErrorCode, ModelError};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::auth::{Held, secret_header};
use super::config::ClientAuth;
use crate::egress::{Answer, Egress, Limits};
use crate::text::plain;

/// The largest answer, and the longest wait for it.
const LARGEST: u64 = 64 << 10;
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// How long a token is used of which nobody says how long it lasts, and the longest that one is believed to last.
const USUAL_LIFE: Duration = Duration::from_secs(300);
const LONGEST_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// A new token is asked for that long before the old one ends, or a quarter of its life if that is shorter.
const EARLY: Duration = Duration::from_secs(60);

/// Where tokens come from, and the one that there is.
pub(super) struct Tokens {
    pub url: Url,
    pub id: Held,
    pub secret: Held,
    pub scopes: Vec<String>,
    pub parameters: BTreeMap<String, String>,
    pub client: ClientAuth,
    /// Reaches nobody but the host of `url`.
    pub egress: Egress,
    pub state: Mutex<State>,
}

/// The token that there is, and the last attempt that gave none.
#[derive(Default)]
pub(super) struct State {
    token: Option<Token>,
    failed: Option<(Instant, CallError)>,
    given: u64,
}

#[derive(Clone)]
struct Token {
    /// `Bearer ...`
    line: HeaderValue,
    number: u64,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Value,
}

impl Tokens {
    /// The `Authorization` of a request, and the number of its token.
    ///
    /// # Errors
    /// What the token's server says, or that nobody knows the secret.
    pub async fn current(&self, cx: &CallContext) -> Result<(HeaderValue, u64), CallError> {
        let asked = Instant::now();
        let mut state = tokio::select! {
            () = cx.cancel().cancelled() => return Err(ModelError::Cancelled.into()),
            state = self.state.lock() => state,
        };
        if let Some(token) = state.token.as_ref().filter(|t| Instant::now() < t.until) {
            return Ok((token.line.clone(), token.number));
        }
        // Who waited while another one was refused is refused with it, and does not ask again.
        if let Some((_, error)) = state.failed.as_ref().filter(|(when, _)| *when >= asked) {
            return Err(error.clone());
        }
        match self.ask(cx).await {
            Ok((line, life)) => {
                state.given += 1;
                let token = Token {
                    line,
                    number: state.given,
                    until: Instant::now() + used_for(life),
                };
                state.failed = None;
                state.token = Some(token.clone());
                Ok((token.line, token.number))
            }
            Err(error) => {
                if error.code != ErrorCode::Cancelled {
                    state.failed = Some((Instant::now(), error.clone()));
                }
                Err(error)
            }
        }
    }

    /// Drops the token of that number, which a service refused.
    pub async fn drop_token(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.token.as_ref().is_some_and(|t| t.number == number) {
            state.token = None;
        }
    }

    async fn ask(&self, cx: &CallContext) -> Result<(HeaderValue, Duration), CallError> {
        let limits = Limits {
            bytes: LARGEST,
            time: LONGEST_WAIT,
            redirects: 0,
        };
        let answer = self.egress.send(self.request()?, &limits, cx).await?;
        let host = self.url.host_str().unwrap_or_default();
        if !answer.status.is_success() {
            return Err(refused(host, &answer));
        }
        let odd = |what: &str| {
            CallError::new(
                ErrorCode::Upstream,
                format!("`{host}` gave no token: {what}"),
            )
        };
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| odd("its answer is not that of RFC 6749"))?;
        let kind = granted.token_type.as_deref().unwrap_or("bearer");
        if !kind.eq_ignore_ascii_case("bearer") {
            return Err(odd("it is of a type that is not known here"));
        }
        let line = secret_header(&format!("Bearer {}", granted.access_token))?;
        Ok((line, life(&granted.expires_in)))
    }

    fn request(&self) -> Result<Request, CallError> {
        let (id, secret) = (self.id.get()?.expose(), self.secret.get()?.expose());
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.scopes.is_empty() {
            form.append_pair("scope", &self.scopes.join(" "));
        }
        form.extend_pairs(&self.parameters);
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let media = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, media);
        match self.client {
            ClientAuth::Basic => {
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(id), encoded(secret));
                let line = format!("Basic {}", STANDARD.encode(pair));
                headers.insert(AUTHORIZATION, secret_header(&line)?);
            }
            ClientAuth::Body => {
                form.append_pair("client_id", id);
                form.append_pair("client_secret", secret);
            }
        }
        *request.body_mut() = Some(form.finish().into());
        Ok(request)
    }
}

/// Why there is no token (RFC 6749, 5.2).
fn refused(host: &str, answer: &Answer) -> CallError {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = |field: &str| json.get(field).and_then(Value::as_str).unwrap_or_default();
    let words = format!("{} {}", said("error"), said("error_description"));
    let words = plain(&words, 300);
    let code = match answer.status {
        StatusCode::TOO_MANY_REQUESTS => ErrorCode::RateLimited,
        status if status.is_client_error() => ErrorCode::Unauthorized,
        _ => ErrorCode::Upstream,
    };
    let mut message = format!("`{host}` gave no token, {}", answer.status);
    if !words.is_empty() {
        message.push_str(&format!("; {}", crate::text::said(&words)));
    }
    CallError::new(code, message).with_hint("check `[auth]` of the tool's file, and its secrets")
}

/// How long a token lasts: seconds, which some servers write as a text.
fn life(expires_in: &Value) -> Duration {
    let seconds = match expires_in {
        Value::String(text) => text.trim().parse().ok(),
        number => number.as_f64(),
    };
    let life = seconds.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
    life.unwrap_or(USUAL_LIFE).min(LONGEST_LIFE)
}

/// How long a token is used that lasts so long.
fn used_for(life: Duration) -> Duration {
    life.saturating_sub(EARLY.min(life / 4))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_ends() {
        let seconds = Duration::from_secs;
        for (expires_in, used) in [
            (json!(3600), seconds(3540)),
            (json!("3600"), seconds(3540)),
            (json!(40), seconds(30)),
            (json!(0), seconds(0)),
            (json!(-5), seconds(0)),
            (json!(null), seconds(240)),
            (json!("soon"), seconds(240)),
            (json!(1e300), seconds(240)),
            (json!(1e9), LONGEST_LIFE - EARLY),
        ] {
            assert_eq!(used_for(life(&expires_in)), used, "{expires_in}");
        }
    }
}
