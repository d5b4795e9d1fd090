//! What hosts ask of those who read their pages (RFC 9309): each robots.txt once in a while. Left out: reading one,
//! which `praxis_sources` does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use praxis_core::{CallContext, CallError, ErrorCode};
use praxis_sources::{MAX_ROBOTS_BYTES, Robots};
use reqwest::{Method, Request};
use url::Url;

use crate::egress::{Egress, Limits};

/// How long what a host asked counts (RFC 9309: a day at most), and for how many hosts it is kept.
const KEPT: Duration = Duration::from_secs(3600);
const MOST: usize = 256;

/// The longest wait for a robots.txt.
const WAIT: Duration = Duration::from_secs(10);

/// What hosts ask, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Hosts(Mutex<HashMap<String, (Instant, Arc<Robots>)>>);

impl Hosts {
    /// Refuses a page that its host does not want read.
    ///
    /// # Errors
    /// `invalid_request` for such a page, and what went wrong where nobody can tell.
    pub async fn check(
        &self,
        egress: &Egress,
        url: &Url,
        cx: &CallContext,
    ) -> Result<(), CallError> {
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        if self.of(egress, url, cx).await?.allows(&path) {
            return Ok(());
        }
        let host = url.host_str().unwrap_or_default();
        let message = format!("`{host}` does not want this page to be read by programs");
        Err(CallError::new(ErrorCode::InvalidRequest, message)
            .with_hint("its robots.txt says so; look for another page"))
    }

    async fn of(
        &self,
        egress: &Egress,
        url: &Url,
        cx: &CallContext,
    ) -> Result<Arc<Robots>, CallError> {
        let origin = url.origin().ascii_serialization();
        if let Some(robots) = self.known(&origin) {
            return Ok(robots);
        }
        let robots = Arc::new(ask(egress, url, cx).await?);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(origin, (Instant::now(), Arc::clone(&robots)));
        Ok(robots)
    }

    fn known(&self, origin: &str) -> Option<Arc<Robots>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, robots) = all.get(origin)?;
        (asked.elapsed() < KEPT).then(|| Arc::clone(robots))
    }
}

/// A host's robots.txt. One that is not there forbids nothing; one that cannot be had forbids all (RFC 9309, 2.3.1).
async fn ask(egress: &Egress, url: &Url, cx: &CallContext) -> Result<Robots, CallError> {
    let host = url.host_str().unwrap_or_default();
    let unknown = |why: &str| {
        let message = format!("the robots.txt of `{host}` cannot be had: {why}");
        CallError::new(ErrorCode::Upstream, message)
            .with_hint("until it can, no page of this host is read")
    };
    let place = url
        .join("/robots.txt")
        .map_err(|_| unknown("it has no URL"))?;
    let limits = Limits {
        bytes: MAX_ROBOTS_BYTES,
        time: WAIT,
        ..Limits::default()
    };
    let request = Request::new(Method::GET, place);
    let answer = match egress.send(request, &limits, cx).await {
        Ok(answer) => answer,
        Err(error) if matches!(error.code, ErrorCode::Upstream | ErrorCode::Timeout) => {
            return Err(unknown(&error.message));
        }
        Err(error) => return Err(error),
    };
    match answer.status.as_u16() {
        200..=299 => Ok(Robots::parse(&String::from_utf8_lossy(&answer.body))),
        429 => Err(unknown("the server wants to be asked later")),
        400..=499 => Ok(Robots::default()),
        _ => Err(unknown(&format!("the server answers {}", answer.status))),
    }
}
