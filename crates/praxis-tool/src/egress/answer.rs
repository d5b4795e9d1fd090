//! Answers of servers, read within bounds: so many bytes, packed or unpacked. Left out: what they say.

use std::io::Read;

use praxis_core::{CallError, ErrorCode};
use reqwest::header::{
    AsHeaderName, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RETRY_AFTER,
};
use reqwest::{Response, StatusCode};
use url::Url;

use super::{Limits, MOST_HEADER_BYTES};

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status, whatever it is but for redirects that were followed.
    pub status: StatusCode,
    /// Its headers; what told of how the body was packed is gone.
    pub headers: HeaderMap,
    /// Where it came from, after redirects. It may hold a secret of the request.
    pub url: Url,
    /// The body, unpacked.
    pub body: Vec<u8>,
    /// Whether the body is longer than that, and was cut.
    pub cut: bool,
}

impl Answer {
    /// A header that is text, the first of its name.
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The type of the body without its parameters, in lower case: `text/html`; empty where the server tells none.
    pub fn kind(&self) -> String {
        let whole = self.header(CONTENT_TYPE).unwrap_or_default();
        let kind = whole.split(';').next().unwrap_or_default();
        kind.trim().to_ascii_lowercase()
    }

    /// After how many seconds the same may be asked again, where the server says so in seconds.
    pub fn retry_after(&self) -> Option<u64> {
        self.header(RETRY_AFTER)?.trim().parse().ok()
    }
}

/// Refuses headers that are larger than any service needs.
pub(super) fn check_headers(host: &str, headers: &HeaderMap) -> Result<(), CallError> {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if bytes <= MOST_HEADER_BYTES as usize {
        return Ok(());
    }
    let message = format!("`{host}` answers with {bytes} bytes of headers");
    Err(CallError::new(ErrorCode::Upstream, message))
}

/// Reads a body up to its limit, and unpacks it up to the same.
pub(super) async fn read(
    mut response: Response,
    url: Url,
    limits: &Limits,
) -> Result<Answer, CallError> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let broken = |what: &dyn std::fmt::Display| {
        let message = format!("the answer of `{host}` broke off or is damaged: {what}");
        CallError::new(ErrorCode::Upstream, message)
    };
    let limit = usize::try_from(limits.bytes).unwrap_or(usize::MAX);
    let (status, mut headers) = (response.status(), response.headers().clone());
    let (mut body, mut cut) = (Vec::new(), false);
    // Without its URL, which may hold a secret.
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| broken(&error.without_url()))?
    {
        let room = limit - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            cut = true;
            break;
        }
        body.extend_from_slice(&chunk);
    }
    let coding = headers.remove(CONTENT_ENCODING);
    let coding = coding.as_ref().and_then(|v| v.to_str().ok());
    match coding
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
        .as_str()
    {
        "" | "identity" => {}
        "gzip" | "x-gzip" if !body.is_empty() => {
            headers.remove(CONTENT_LENGTH);
            let (unpacked, longer) = unpack(&body, limit, cut).map_err(|error| broken(&error))?;
            (body, cut) = (unpacked, cut || longer);
        }
        "gzip" | "x-gzip" => {}
        other => return Err(broken(&format!("it comes packed as `{other}`, unasked"))),
    }
    Ok(Answer {
        status,
        headers,
        url,
        body,
        cut,
    })
}

/// The first bytes of what gzip packed, and whether there are more. Of what was cut before, as much as there is.
fn unpack(packed: &[u8], limit: usize, cut: bool) -> std::io::Result<(Vec<u8>, bool)> {
    let mut out = Vec::new();
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = flate2::read::MultiGzDecoder::new(packed)
        .take(one_more)
        .read_to_end(&mut out);
    if let Err(error) = read
        && !cut
    {
        return Err(error);
    }
    let longer = out.len() > limit;
    out.truncate(limit);
    Ok((out, longer))
}
