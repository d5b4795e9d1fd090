//! Where a redirect leads and what goes along (Fetch standard, "HTTP-redirect fetch"): the method and the body as the
//! status says, and to another origin nothing that could be a secret. Left out: whether the place may be asked.

use praxis_core::{CallError, ErrorCode};
use reqwest::header::{HeaderMap, HeaderName, LOCATION};
use reqwest::{Method, Request, StatusCode};
use url::Url;

/// Headers that go to another origin. All others may hold a secret: keys of services have names of their own.
const HARMLESS: [&str; 4] = ["accept", "accept-encoding", "accept-language", "user-agent"];

/// Headers that go with the body.
const OF_BODY: [&str; 6] = [
    "content-type",
    "content-length",
    "content-encoding",
    "content-language",
    "content-location",
    "transfer-encoding",
];

/// What a request was, for the one behind its redirect.
pub(super) struct Next {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    /// Whether it had a body at all; a stream cannot be sent twice.
    had_body: bool,
}

impl Next {
    /// What a request is before it is sent.
    pub fn of(request: &Request) -> Self {
        let body = request.body();
        Self {
            method: request.method().clone(),
            url: request.url().clone(),
            headers: request.headers().clone(),
            body: body.and_then(|body| body.as_bytes()).map(<[u8]>::to_vec),
            had_body: body.is_some(),
        }
    }

    /// The request behind an answer; `None` for an answer that is no redirect.
    ///
    /// # Errors
    /// A place that is no URL, or one that the request's body cannot go to.
    pub fn behind(
        self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Option<Request>, CallError> {
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let Some(location) = headers.get(LOCATION) else {
            return Ok(None);
        };
        let host = self.url.host_str().unwrap_or_default().to_owned();
        let failed = |what: &str| CallError::new(ErrorCode::Upstream, format!("`{host}` {what}"));
        let place = String::from_utf8_lossy(location.as_bytes());
        let url = self
            .url
            .join(&place)
            .map_err(|_| failed("redirects to what is no URL"))?;
        let same_origin = url.origin() == self.url.origin();
        let to_get = match status.as_u16() {
            301 | 302 => self.method == Method::POST,
            303 => self.method != Method::GET && self.method != Method::HEAD,
            _ => false,
        };
        let with_body = self.had_body && !to_get;
        if with_body && !same_origin {
            let error = failed("redirects what was sent to another server, where it does not go");
            return Err(error.with_hint("write the URL that the service is at now"));
        }
        let method = if to_get { Method::GET } else { self.method };
        let mut next = Request::new(method, url);
        let is = |list: &[&str], name: &HeaderName| list.contains(&name.as_str());
        for (name, value) in &self.headers {
            let goes = same_origin || is(&HARMLESS, name);
            if goes && (with_body || !is(&OF_BODY, name)) {
                next.headers_mut().append(name, value.clone());
            }
        }
        if with_body {
            let body = self
                .body
                .ok_or_else(|| failed("redirects what can be sent only once"))?;
            *next.body_mut() = Some(body.into());
        }
        Ok(Some(next))
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{CONTENT_TYPE, HeaderValue};

    use super::*;

    fn request(method: Method, url: &str) -> Request {
        let mut request = Request::new(method, Url::parse(url).unwrap());
        for (name, value) in [
            ("accept", "text/html"),
            ("authorization", "Bearer secret"),
            ("x-api-key", "secret"),
            ("cookie", "a=secret"),
        ] {
            let name = HeaderName::from_static(name);
            let value = HeaderValue::from_static(value);
            request.headers_mut().insert(name, value);
        }
        request
    }

    fn behind(request: &Request, status: u16, to: &str) -> Result<Option<Request>, CallError> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_str(to).unwrap());
        Next::of(request).behind(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn nothing_secret_goes_to_another_origin() {
        let asked = request(Method::GET, "https://a.test/x");
        for (to, kept) in [
            ("/y", true),
            ("https://a.test:443/y", true),
            ("https://b.test/", false),
            ("//b.test/", false),
            ("http://a.test/x", false),
            ("https://a.test:8443/x", false),
            ("https://sub.a.test/x", false),
        ] {
            let next = behind(&asked, 302, to).unwrap().unwrap();
            for name in ["authorization", "x-api-key", "cookie"] {
                assert_eq!(next.headers().contains_key(name), kept, "{to} {name}");
            }
            assert!(next.headers().contains_key("accept"), "{to}");
        }
    }

    #[test]
    fn method_and_body_are_those_of_the_standard() {
        let with_body = |method: &Method| {
            let mut request = request(method.clone(), "https://a.test/x");
            *request.body_mut() = Some("{}".into());
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
            request
        };
        for (method, status, becomes, keeps) in [
            (Method::POST, 301, Method::GET, false),
            (Method::POST, 302, Method::GET, false),
            (Method::POST, 303, Method::GET, false),
            (Method::POST, 307, Method::POST, true),
            (Method::POST, 308, Method::POST, true),
            (Method::PUT, 302, Method::PUT, true),
            (Method::PUT, 303, Method::GET, false),
        ] {
            let asked = with_body(&method);
            let next = behind(&asked, status, "/y").unwrap().unwrap();
            assert_eq!(next.method(), becomes, "{method} {status}");
            assert_eq!(next.body().is_some(), keeps, "{method} {status}");
            assert_eq!(next.headers().contains_key(CONTENT_TYPE), keeps);
            let away = behind(&asked, status, "https://b.test/");
            assert_eq!(away.is_ok(), !keeps, "{method} {status}");
        }
        let get = request(Method::GET, "https://a.test/x");
        assert!(behind(&get, 304, "/y").unwrap().is_none());
        assert!(behind(&get, 200, "/y").unwrap().is_none());
        assert!(behind(&get, 302, "https://[::1").is_err());
        let nowhere = Next::of(&get).behind(StatusCode::FOUND, &HeaderMap::new());
        assert!(nowhere.unwrap().is_none());
    }
}
