//! A call of an operation: the request is made, given credentials, sent, and sent again where that may help.
//!
//! Only requests are sent twice that are as good as once: GET, HEAD, PUT and DELETE after 429 and 503, and any after a
//! token that the service refused, since it did nothing with that. Left out: approvals and rates, which are
//! `safety`'s.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use praxis_core::{CallContext, CallError, Effect, Effects, ModelError, Signature};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::answer::{Reading, retry_after};
use super::auth::Credentials;
use super::request::Operation;
use crate::egress::{Answer, Egress, Limits};
use crate::keep::Keep;
use crate::work::{Work, invalid};

/// Tries after the first, the first pause, and the longest that a service may ask for.
const RETRIES: usize = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// The largest answer, and redirects that are followed.
const LARGEST: u64 = 2 << 20;
const MOST_REDIRECTS: usize = 5;

/// What the functions of one file share.
pub(super) struct Service {
    /// Reaches the hosts of the service and no others.
    pub egress: Egress,
    pub credentials: Option<Credentials>,
    /// The longest that one request may take.
    pub longest: Duration,
}

/// An operation that can be called.
pub(super) struct Call {
    pub signature: Signature,
    pub operation: Operation,
    pub service: Arc<Service>,
    pub keep: Option<Keep>,
    /// Tokens of an answer that a caller gets at most.
    pub room: usize,
}

/// What a call of a method does to the world (RFC 9110, 9.2.1). What is deleted does not come back.
pub(super) fn effects(method: &Method) -> Effects {
    match *method {
        Method::GET | Method::HEAD => Effects::of(&[Effect::Read, Effect::External]),
        Method::DELETE => Effects::of(&[Effect::Write, Effect::External, Effect::Irreversible]),
        _ => Effects::of(&[Effect::Write, Effect::External]),
    }
}

#[async_trait]
impl Work for Call {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let name = &self.signature.name;
        let Value::Object(input) = input else {
            return Err(invalid(name, "it is no object"));
        };
        let limits = Limits {
            bytes: LARGEST,
            time: self.service.longest,
            redirects: MOST_REDIRECTS,
        };
        let credentials = self.service.credentials.as_ref();
        let credentials = credentials.filter(|_| self.operation.secured);
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_times(RETRIES)
            .build();
        let mut renewed = false;
        loop {
            let mut request = self.operation.request(name, &input)?;
            let token = match credentials {
                Some(credentials) => credentials.apply(&mut request, cx).await?,
                None => None,
            };
            let answer = self.service.egress.send(request, &limits, cx).await?;
            if answer.status == StatusCode::UNAUTHORIZED
                && !renewed
                && let (Some(credentials), Some(token)) = (credentials, token)
            {
                renewed = true;
                credentials.forget(token).await;
                continue;
            }
            if let Some(asked) = self.may_pass(&answer)
                && let Some(own) = pauses.next()
                && let Some(pause) = pause(asked, own)
            {
                tokio::select! {
                    () = cx.cancel().cancelled() => return Err(ModelError::Cancelled.into()),
                    () = tokio::time::sleep(pause) => {}
                }
                continue;
            }
            let reading = Reading {
                name,
                keep: self.keep.as_ref(),
                room: self.room,
            };
            return reading.value(&answer);
        }
    }
}

impl Call {
    /// Whether the same request may be answered later, and when, if the service says so.
    fn may_pass(&self, answer: &Answer) -> Option<Option<Duration>> {
        let busy = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ];
        let again = busy.contains(&answer.status) && self.operation.is_idempotent();
        again.then(|| retry_after(&answer.headers))
    }
}

/// The pause before the next try: what the service asks for, or our own; none where it asks for too long.
fn pause(asked: Option<Duration>, own: Duration) -> Option<Duration> {
    match asked {
        Some(asked) => (asked <= LONGEST_PAUSE).then_some(asked),
        None => Some(own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_say_what_a_call_does() {
        for (method, reads, lasts) in [
            (Method::GET, true, false),
            (Method::HEAD, true, false),
            (Method::POST, false, false),
            (Method::PATCH, false, false),
            (Method::DELETE, false, true),
        ] {
            let effects = effects(&method);
            assert!(effects.has(Effect::External), "{method}");
            let found = (effects.only_reads(), effects.has(Effect::Irreversible));
            assert_eq!(found, (reads, lasts), "{method}");
        }
    }

    #[test]
    fn a_service_may_ask_for_a_short_pause() {
        let seconds = Duration::from_secs;
        assert_eq!(pause(None, seconds(1)), Some(seconds(1)));
        assert_eq!(pause(Some(seconds(0)), seconds(1)), Some(seconds(0)));
        assert_eq!(pause(Some(seconds(20)), seconds(1)), Some(seconds(20)));
        assert_eq!(pause(Some(seconds(21)), seconds(1)), None);
    }
}
