//! Which pages of other sites may call the API (CORS): those of listed origins, whose browsers are told so when they
//! ask. Left out: what such a page may do. That says the key that it sends, as for any client; a cookie never counts
//! for it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, Uri};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// How long a browser may remember what it was told.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// Headers of an answer that a page may read, beside those that every page may.
const EXPOSED: &[&str] = &[
    "x-request-id",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "retry-after",
    "openai-processing-ms",
    "openai-version",
    "idempotent-replayed",
    "mcp-session-id",
];

/// The origins whose pages may call the API; by default, no page but the server's own.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    origins: Origins,
}

#[derive(Debug, Clone, Default)]
enum Origins {
    #[default]
    None,
    Listed(Arc<[HeaderValue]>),
    Any,
}

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{origin}` is no origin of a page")]
pub struct InvalidOrigin {
    origin: String,
    /// What to write instead.
    pub help: String,
}

impl Cors {
    /// Pages of these origins, each written as browsers send it (`https://app.example`); `*` stands for all pages.
    ///
    /// # Errors
    /// The first that is no origin.
    pub fn new<S: AsRef<str>>(origins: &[S]) -> Result<Self, InvalidOrigin> {
        let mut is_any = false;
        let mut listed = Vec::new();
        for origin in origins {
            match origin.as_ref() {
                "*" => is_any = true,
                origin => listed.push(read(origin)?),
            }
        }
        let origins = match (is_any, listed.is_empty()) {
            (true, _) => Origins::Any,
            (false, true) => Origins::None,
            (false, false) => Origins::Listed(listed.into()),
        };
        Ok(Self { origins })
    }

    /// Whether pages of all sites may call the API.
    pub fn is_for_any(&self) -> bool {
        matches!(self.origins, Origins::Any)
    }

    /// Whether pages of this origin may call the API.
    pub(crate) fn allows(&self, origin: &str) -> bool {
        match &self.origins {
            Origins::None => false,
            Origins::Listed(listed) => listed.iter().any(|one| one.as_bytes() == origin.as_bytes()),
            Origins::Any => true,
        }
    }

    /// What tells browsers which pages may read the answers of what it stands around; their questions before a request
    /// are answered without it. None where no other site's pages may.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        let origins = match &self.origins {
            Origins::None => return None,
            Origins::Listed(listed) => AllowOrigin::list(listed.iter().cloned()),
            Origins::Any => AllowOrigin::any(),
        };
        let exposed = EXPOSED.iter().copied().map(HeaderName::from_static);
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ])
            // SDKs send headers of their own, and more with each version (`x-stainless-...`). None of them lets
            // a page do more but `authorization`, whose key it must know.
            .allow_headers(AllowHeaders::mirror_request())
            // A server on the user's own machine, called by a page from the Internet.
            .allow_private_network(true)
            .expose_headers(exposed.collect::<Vec<_>>())
            .max_age(REMEMBERED);
        Some(layer)
    }
}

/// An origin as browsers write it: scheme, host, and the port where it is not the scheme's own.
fn read(origin: &str) -> Result<HeaderValue, InvalidOrigin> {
    let wrong = |help: &str| InvalidOrigin {
        origin: origin.to_owned(),
        help: help.to_owned(),
    };
    if origin.contains('*') {
        return Err(wrong("write each origin by its whole name"));
    }
    let whole = "write scheme and host, as in \"https://app.example\"";
    let uri: Uri = origin.parse().map_err(|_| wrong(whole))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong(whole));
    };
    let usual = match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    let port = authority.port_u16().filter(|port| Some(*port) != usual);
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    let written = format!("{scheme}://{}{port}", authority.host()).to_ascii_lowercase();
    if written != origin {
        return Err(wrong(&format!("write it as browsers do: \"{written}\"")));
    }
    HeaderValue::from_str(origin).map_err(|_| wrong("write it in ASCII, as browsers do"))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, StatusCode, header};
    use axum::response::Response;
    use axum::routing::post;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    use tower::ServiceBuilder;

    use super::*;

    const PAGE: &str = "https://app.example";

    async fn answer(cors: &Cors, request: Request<Body>) -> Response {
        let router = Router::new().route("/v1/chat/completions", post(|| async { "said" }));
        let around = ServiceBuilder::new().option_layer(cors.layer());
        let service = TowerToHyperService::new(around.service(router));
        service.call(request).await.unwrap()
    }

    fn from_page(method: Method, origin: &str) -> Request<Body> {
        let request = Request::builder()
            .method(method)
            .uri("/v1/chat/completions")
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(
                header::ACCESS_CONTROL_REQUEST_HEADERS,
                "authorization,content-type,idempotency-key,x-praxis-tags,x-stainless-os",
            );
        request.body(Body::empty()).unwrap()
    }

    fn header_of(response: &Response, name: HeaderName) -> &str {
        let value = response.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        for (origin, fix) in [
            ("https://app.example", None),
            ("http://localhost:3000", None),
            ("http://[::1]:3000", None),
            ("tauri://localhost", None),
            ("https://app.example/", Some("https://app.example")),
            ("https://app.example/chat", Some("https://app.example")),
            ("https://App.example", Some("https://app.example")),
            ("https://app.example:443", Some("https://app.example")),
            ("http://app.example:80", Some("http://app.example")),
            ("https://me@app.example", Some("https://app.example")),
            ("https://*.example", Some("whole name")),
            ("app.example", Some("scheme and host")),
            ("null", Some("scheme and host")),
            ("", Some("scheme and host")),
        ] {
            let help = Cors::new(&[origin]).err().map(|wrong| wrong.help);
            assert_eq!(help.is_some(), fix.is_some(), "{origin}: {help:?}");
            assert!(
                help.unwrap_or_default().contains(fix.unwrap_or_default()),
                "{origin}"
            );
        }
    }

    #[test]
    fn only_pages_of_listed_origins_are_let_in() {
        let listed = Cors::new(&[PAGE, "http://localhost:3000"]).unwrap();
        let any = Cors::new(&["*", PAGE]).unwrap();
        for (origin, is_listed) in [
            (PAGE, true),
            ("http://localhost:3000", true),
            ("http://app.example", false),
            ("https://app.example.evil.example", false),
            ("null", false),
        ] {
            assert_eq!(listed.allows(origin), is_listed, "{origin}");
            assert!(any.allows(origin), "{origin}");
            assert!(!Cors::default().allows(origin), "{origin}");
        }
        assert!(any.is_for_any() && !listed.is_for_any());
    }

    #[tokio::test]
    async fn a_browser_is_told_before_it_sends_a_request() {
        let listed = Cors::new(&[PAGE]).unwrap();
        let response = answer(&listed, from_page(Method::OPTIONS, PAGE)).await;
        assert_eq!(response.status(), StatusCode::OK);
        let allowed = header_of(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(allowed, PAGE);
        let headers = header_of(&response, header::ACCESS_CONTROL_ALLOW_HEADERS);
        for name in ["authorization", "idempotency-key", "x-stainless-os"] {
            assert!(headers.contains(name), "{headers}");
        }
        let methods = header_of(&response, header::ACCESS_CONTROL_ALLOW_METHODS);
        assert!(methods.contains("POST") && methods.contains("DELETE"));
        // Cookies stay with this server's own pages.
        let credentials = header_of(&response, header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
        assert_eq!(credentials, "");

        let other = from_page(Method::OPTIONS, "https://evil.example");
        let response = answer(&listed, other).await;
        let allowed = header_of(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(allowed, "");
    }

    #[tokio::test]
    async fn a_page_may_read_the_answer_and_its_limits() {
        let any = Cors::new(&["*"]).unwrap();
        for (cors, origin) in [(Cors::new(&[PAGE]).unwrap(), PAGE), (any, "*")] {
            let response = answer(&cors, from_page(Method::POST, PAGE)).await;
            let allowed = header_of(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN);
            assert_eq!(allowed, origin);
            let exposed = header_of(&response, header::ACCESS_CONTROL_EXPOSE_HEADERS);
            for name in EXPOSED {
                assert!(exposed.contains(name), "{exposed}");
            }
        }
        let response = answer(&Cors::default(), from_page(Method::POST, PAGE)).await;
        let allowed = header_of(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(allowed, "");
    }
}
