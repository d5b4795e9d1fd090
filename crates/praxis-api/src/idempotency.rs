//! Requests that may be sent again (draft-ietf-httpapi-idempotency-key-header): of those with one `Idempotency-Key` the
//! first runs, and the others get its answer. It runs to its end also where its client goes away, since that is when
//! the same request comes again. Where answers are kept is the store's. Left out: requests without the header, and
//! forms, which are refused with it: their files may be larger than what is compared here.

mod answers;
mod lease;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use praxis_core::function::now_ms;
use praxis_core::{CallError, Caller, ErrorCode, Place, Places, ids};
use praxis_store::{Attempt, Begun, MostKept, Store};

use self::lease::{LEASE_MS, Lease};
use crate::error::ApiError;
use crate::guard::Admitted;

/// The header, as errors name it.
const HEADER: &str = "Idempotency-Key";

/// The most characters of a key.
const MAX_KEY: usize = 255;

/// How long an answer is kept.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// What is kept of one caller's answers, and of all.
const MOST_OF_CALLER: MostKept = MostKept {
    answers: 10_000,
    bytes: 64 << 20,
};
const MOST: MostKept = MostKept {
    answers: 100_000,
    bytes: 512 << 20,
};

/// How often what is over is dropped.
const SWEEP_MS: i64 = 60_000;

/// Requests with a key that run at a time: their clients may be gone, so that connections do not bound them. No caller has
/// more of these places than are free.
const RUNNING: usize = 256;

/// After how long a request may come again whose first attempt runs.
const AGAIN: Duration = Duration::from_secs(1);

/// What requests with a key have in common. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Idempotency(Arc<Shared>);

struct Shared {
    store: Store,
    running: Places,
    swept_ms: AtomicI64,
}

impl Idempotency {
    /// Keeps answers in this store.
    pub(crate) fn new(store: Store) -> Self {
        Self(Arc::new(Shared {
            store,
            running: Places::new(RUNNING),
            swept_ms: AtomicI64::new(0),
        }))
    }
}

/// Runs each request with a key once. It has to stand behind what says who asks.
pub(crate) async fn once(
    State(idempotency): State<Idempotency>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(HEADER) {
        return next.run(request).await;
    }
    let answer = idempotency.answer(request, next).await;
    answer.unwrap_or_else(IntoResponse::into_response)
}

impl Idempotency {
    async fn answer(&self, request: Request, next: Next) -> Result<Response, ApiError> {
        let (parts, body) = request.into_parts();
        let key = key_of(&parts.headers)?;
        if is_form(&parts.headers) {
            let message = format!("forms cannot be sent again by their key: leave `{HEADER}` out");
            return Err(ApiError::invalid(HEADER, message));
        }
        let Some(Admitted(caller)) = parts.extensions.get::<Admitted>().cloned() else {
            let message = "nobody was let in here";
            return Err(ApiError::new(ErrorCode::Unauthorized, message));
        };
        // The limit of a body goes with its request.
        let whole = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(whole, &()).await.map_err(|rejection| {
            let code = match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::TooLarge,
                _ => ErrorCode::InvalidRequest,
            };
            ApiError::new(code, rejection.body_text())
        })?;
        let now = now_ms();
        self.sweep(now);
        let place = self.place(caller.name.as_deref())?;
        let attempt = attempt(&caller, &parts.uri, &key, &bytes, now);
        let begun = self.0.store.begin_attempt(&attempt, now).await;
        match begun.map_err(CallError::failure)? {
            Begun::Answered(answer) => answers::again(answer),
            Begun::UnderWay => Err(CallError {
                retry_after: Some(AGAIN),
                ..CallError::new(
                    ErrorCode::IdempotencyConflict,
                    format!("the first request with this `{HEADER}` still runs"),
                )
            }
            .into()),
            Begun::Differs => Err(ApiError::new(
                ErrorCode::IdempotencyMismatch,
                format!("this `{HEADER}` was sent with another body"),
            )
            .about(HEADER)),
            Begun::Runs => {
                let lease = Lease::hold(self.0.store.clone(), attempt.id, attempt.run);
                let request = Request::from_parts(parts, Body::from(bytes));
                run(request, next, lease, place).await
            }
        }
    }

    /// A caller's place among the requests that run.
    fn place(&self, caller: Option<&str>) -> Result<Place, ApiError> {
        self.0.running.take(caller).map_err(|none| {
            let message = none.told(&format!("requests with an `{HEADER}`"));
            CallError {
                retry_after: Some(AGAIN),
                ..CallError::new(ErrorCode::RateLimited, message)
            }
            .into()
        })
    }

    /// Drops what is over, now and then. Nobody waits for it.
    fn sweep(&self, now: i64) {
        let swept = self.0.swept_ms.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(swept) >= SWEEP_MS;
        let order = Ordering::Relaxed;
        if !is_due
            || self
                .0
                .swept_ms
                .compare_exchange(swept, now, order, order)
                .is_err()
        {
            return;
        }
        let store = self.0.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.sweep_answers(MOST, now).await {
                tracing::warn!(%error, "kept answers could not be swept");
            }
        });
    }
}

/// Runs a request on a task of its own, and keeps its answer.
async fn run(
    request: Request,
    next: Next,
    lease: Lease,
    place: Place,
) -> Result<Response, ApiError> {
    let work = async move {
        let response = next.run(request).await;
        drop(place);
        answers::kept(response, lease).await
    };
    tokio::spawn(work).await.map_err(|error| {
        tracing::error!(%error, "a request with an idempotency key failed");
        ApiError::new(ErrorCode::Internal, "the request met a defect of Praxis")
    })
}

/// The key of a request: a string as structured fields have it (RFC 9651), in quotes, or, as most clients send it, the
/// bare text.
fn key_of(headers: &HeaderMap) -> Result<String, ApiError> {
    let invalid = |what: &str| Err(ApiError::invalid(HEADER, format!("`{HEADER}` {what}")));
    let mut values = headers.get_all(HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return invalid("was sent twice: send one");
    };
    let Ok(text) = value.to_str() else {
        return invalid("has characters beyond ASCII: send a UUID, for one");
    };
    let text = text.trim();
    let key = match text.strip_prefix('"') {
        Some(quoted) => match unquoted(quoted) {
            Some(key) => key,
            None => return invalid("begins with a quote and is no quoted string"),
        },
        None => text.to_owned(),
    };
    match key.len() {
        0 => invalid("is empty: send a UUID, for one"),
        1..=MAX_KEY => Ok(key),
        length => invalid(&format!("has {length} characters, {MAX_KEY} are the most")),
    }
}

/// The text of a quoted string behind its first quote.
fn unquoted(text: &str) -> Option<String> {
    let mut key = String::new();
    let mut letters = text.chars();
    loop {
        match letters.next()? {
            '"' => return letters.as_str().is_empty().then_some(key),
            '\\' => key.push(letters.next().filter(|c| matches!(c, '"' | '\\'))?),
            letter => key.push(letter),
        }
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.trim_start().as_bytes();
    let form = b"multipart/";
    kind.get(..form.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(form))
}

/// The attempt that a request is. Who asks is told by name and labels: what one may not read is not given again to
/// whoever has a key of its name later.
fn attempt(caller: &Caller, uri: &Uri, key: &str, body: &[u8], now: i64) -> Attempt {
    let clearance = match caller.clearance.is_full() {
        true => "all",
        false => "some",
    };
    let labels = caller.clearance.labels();
    let known = [caller.name.as_deref().unwrap_or_default(), clearance];
    let parts = known.into_iter().chain(labels.iter().map(String::as_str));
    let owner = digest(parts);
    let address = uri.path_and_query().map_or("", |path| path.as_str());
    Attempt {
        id: digest([owner.as_str(), address, key]),
        owner,
        request: blake3::hash(body).to_hex().to_string(),
        run: ids::generate("run-"),
        lease_ms: now.saturating_add(LEASE_MS),
        expires_ms: now.saturating_add(KEPT_MS),
    }
}

/// A hash of texts, each with its length before it, so that no two lists are written alike.
fn digest<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests;
