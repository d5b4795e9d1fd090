//! What a client sees of requests that it sends again, over routes that say how often they ran.

use std::convert::Infallible;
use std::sync::atomic::AtomicUsize;

use axum::Router;
use axum::extract::Path;
use axum::http::HeaderValue;
use axum::middleware::from_fn_with_state;
use axum::response::sse::{Event, Sse};
use axum::routing::post;
use futures::{Stream, StreamExt, stream};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use praxis_core::Clearance;
use tokio::sync::Notify;

use super::*;

/// Routes over a store.
struct Server {
    _dir: tempfile::TempDir,
    routes: TowerToHyperService<Router>,
    /// Those for requests that run.
    places: Places,
    seen: Arc<Seen>,
}

/// How often routes ran, that one waits, and that it may go on.
#[derive(Default)]
struct Seen {
    runs: AtomicUsize,
    waits: Notify,
    go: Notify,
}

/// An answer, read to its end.
#[derive(Debug, Clone, PartialEq)]
struct Answer {
    status: u16,
    body: String,
    replayed: bool,
    kind: String,
    retry_after: Option<String>,
}

async fn server() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let seen = Arc::<Seen>::default();
    let shown = Arc::clone(&seen);
    let route =
        move |Path(kind): Path<String>, body: String| answer(Arc::clone(&shown), kind, body);
    let idempotency = Idempotency::new(store);
    let places = idempotency.0.running.clone();
    let router = Router::new()
        .route("/v1/{kind}", post(route.clone()).get(route))
        .layer(from_fn_with_state(idempotency, once));
    Server {
        _dir: dir,
        routes: TowerToHyperService::new(router),
        places,
        seen,
    }
}

async fn answer(seen: Arc<Seen>, kind: String, body: String) -> Response {
    let run = seen.runs.fetch_add(1, Ordering::SeqCst) + 1;
    let text = format!("{run}: {body}");
    match kind.as_str() {
        "made" => (StatusCode::CREATED, text).into_response(),
        "wrong" => (StatusCode::BAD_REQUEST, text).into_response(),
        "busy" => (StatusCode::TOO_MANY_REQUESTS, text).into_response(),
        "broken" => (StatusCode::INTERNAL_SERVER_ERROR, text).into_response(),
        "large" => "x".repeat((1 << 20) + run).into_response(),
        "waiting" => {
            seen.waits.notify_one();
            seen.go.notified().await;
            text.into_response()
        }
        "failing" => Sse::new(events([text, "{\"error\": {}}".to_owned()])).into_response(),
        "endless" => {
            Sse::new(events([text, "more".to_owned()]).chain(stream::pending())).into_response()
        }
        _ => Sse::new(events([text, "[DONE]".to_owned()])).into_response(),
    }
}

fn events(data: [String; 2]) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::iter(data.map(|data| Ok(Event::default().data(data))))
}

fn request(path: &str, key: Option<&'static str>, body: &str) -> Request {
    let mut request = Request::new(Body::from(body.to_owned()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path.parse().unwrap();
    if let Some(key) = key {
        let value = HeaderValue::from_static(key);
        request.headers_mut().insert(HEADER, value);
    }
    request.extensions_mut().insert(Admitted(Caller::full()));
    request
}

impl Server {
    async fn send(&self, request: Request) -> Answer {
        let response = self.routes.call(request).await.unwrap();
        let text = |name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let (kind, retry_after) = (text("content-type"), text("retry-after"));
        let replayed = text("idempotent-replayed").as_deref() == Some("true");
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        Answer {
            status,
            body: String::from_utf8(bytes.unwrap().to_vec()).unwrap(),
            replayed,
            kind: kind.unwrap_or_default(),
            retry_after,
        }
    }

    async fn post(&self, kind: &str, key: Option<&'static str>, body: &str) -> Answer {
        self.send(request(&format!("/v1/{kind}"), key, body)).await
    }

    /// The first piece of an answer whose client goes away then.
    async fn first_piece(&self, kind: &str) -> String {
        let request = request(&format!("/v1/{kind}"), Some("k"), "a");
        let response = self.routes.call(request).await.unwrap();
        let mut pieces = response.into_body().into_data_stream();
        let first = pieces.next().await.unwrap().unwrap();
        String::from_utf8(first.to_vec()).unwrap()
    }
}

#[tokio::test]
async fn a_request_runs_once_and_its_answer_is_given_again() {
    let server = server().await;
    for (run, kind) in (1..).zip(["made", "wrong", "events"]) {
        let first = server.post(kind, Some("k"), "a").await;
        assert!(first.body.contains(&format!("{run}: a")), "{first:?}");
        assert!(!first.replayed, "{kind}");
        for key in ["k", "\"k\""] {
            let wanted = Answer {
                replayed: true,
                ..first.clone()
            };
            assert_eq!(server.post(kind, Some(key), "a").await, wanted, "{kind}");
        }
        let other = server.post(kind, Some("k"), "b").await;
        assert_eq!(other.status, 422, "{kind}: {}", other.body);
        assert!(other.body.contains("idempotency_mismatch"), "{other:?}");
    }
    // Another key, another caller and another address are other requests, and so is one without a key.
    let mut stranger = request("/v1/made", Some("k"), "a");
    let labelled = Caller {
        name: Some("hr".to_owned()),
        clearance: Clearance::of(["hr"]),
    };
    stranger.extensions_mut().insert(Admitted(labelled));
    let others = [
        request("/v1/made", Some("l"), "a"),
        request("/v1/made?a=b", Some("k"), "a"),
        stranger,
        request("/v1/made", None, "a"),
        request("/v1/made", None, "a"),
    ];
    for (run, other) in (4..).zip(others) {
        let answer = server.send(other).await;
        assert_eq!((answer.body, answer.replayed), (format!("{run}: a"), false));
    }
    // What changes nothing may be asked as often as one likes.
    for run in [9, 10] {
        let mut get = request("/v1/made", Some("k"), "a");
        *get.method_mut() = Method::GET;
        assert_eq!(server.send(get).await.body, format!("{run}: a"));
    }
}

#[tokio::test]
async fn what_may_succeed_again_and_what_is_too_large_runs_again() {
    let server = server().await;
    for (kind, runs) in [("busy", [1, 2]), ("broken", [3, 4]), ("failing", [5, 6])] {
        for run in runs {
            let answer = server.post(kind, Some("k"), "a").await;
            assert!(answer.body.contains(&format!("{run}: a")), "{answer:?}");
            assert!(!answer.replayed, "{kind}");
        }
    }
    for run in [7, 8] {
        let answer = server.post("large", Some("k"), "a").await;
        assert_eq!(answer.body.len(), (1 << 20) + run);
        assert!(!answer.replayed);
    }
}

#[tokio::test]
async fn a_request_that_runs_is_waited_for_and_outlives_its_client() {
    let server = server().await;
    let routes = server.routes.clone();
    let first = tokio::spawn(async move {
        let request = request("/v1/waiting", Some("k"), "a");
        routes.call(request).await.map(|response| response.status())
    });
    server.seen.waits.notified().await;
    let again = server.post("waiting", Some("k"), "a").await;
    assert_eq!(
        (again.status, again.retry_after.as_deref()),
        (409, Some("1"))
    );
    assert!(again.body.contains("idempotency_conflict"), "{again:?}");
    assert_eq!(server.post("waiting", Some("k"), "b").await.status, 422);
    first.abort();
    assert!(first.await.is_err(), "its client has gone");
    assert_eq!(server.post("waiting", Some("k"), "a").await.status, 409);
    server.seen.go.notify_one();
    let mut again = again;
    while again.status == 409 {
        again = server.post("waiting", Some("k"), "a").await;
    }
    assert_eq!((again.body.as_str(), again.replayed), ("1: a", true));
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_not_kept() {
    let server = server().await;
    for run in [1, 2] {
        // Who has gone is noticed a little later.
        let mut piece = server.first_piece("endless").await;
        while piece.contains("idempotency_conflict") {
            piece = server.first_piece("endless").await;
        }
        assert!(piece.contains(&format!("{run}: a")), "{piece}");
    }
}

#[tokio::test]
async fn a_caller_with_many_requests_leaves_places_for_others() {
    let server = server().await;
    let many: Vec<_> = (0..RUNNING / 2)
        .map(|_| server.places.take(Some("ann")).unwrap())
        .collect();
    let by = |name: &str| {
        let mut request = request("/v1/made", Some("k"), "a");
        let caller = Caller {
            name: Some(name.to_owned()),
            clearance: Clearance::Full,
        };
        request.extensions_mut().insert(Admitted(caller));
        request
    };
    let refused = server.send(by("ann")).await;
    assert_eq!(
        (refused.status, refused.retry_after.as_deref()),
        (429, Some("1"))
    );
    assert!(
        refused.body.contains("128 of the 256 places"),
        "{refused:?}"
    );
    assert_eq!(server.send(by("bob")).await.status, 201);
    drop(many);
    assert_eq!(server.send(by("ann")).await.status, 201);
    assert!(server.places.are_free());
}

#[tokio::test]
async fn a_form_is_refused_with_the_header() {
    let server = server().await;
    let mut form = request("/v1/made", Some("k"), "a");
    let kind = HeaderValue::from_static("Multipart/form-data; boundary=x");
    form.headers_mut().insert(header::CONTENT_TYPE, kind);
    let answer = server.send(form).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains(HEADER), "{answer:?}");
    assert_eq!(server.seen.runs.load(Ordering::SeqCst), 0);
}

#[test]
fn a_key_is_read_as_structured_fields_have_it_and_bare() {
    let longest = "k".repeat(MAX_KEY);
    let longer = "k".repeat(MAX_KEY + 1);
    let quoted = format!("\"{longest}\"");
    for (sent, wanted) in [
        (&["8e03978e-40d5"][..], Some("8e03978e-40d5")),
        (&["\"8e03978e-40d5\""], Some("8e03978e-40d5")),
        (&[" k "], Some("k")),
        (&["a key"], Some("a key")),
        (&[r#""a \"b\" \\ c""#], Some(r#"a "b" \ c"#)),
        (&[r"a\b"], Some(r"a\b")),
        (&[longest.as_str()], Some(longest.as_str())),
        (&[quoted.as_str()], Some(longest.as_str())),
        (&[longer.as_str()], None),
        (&[""], None),
        (&["\"\""], None),
        (&["\"k"], None),
        (&["\"k\" more"], None),
        (&[r#""a\b""#], None),
        (&["k", "k"], None),
    ] {
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(HEADER, HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(key_of(&headers).ok().as_deref(), wanted, "{sent:?}");
    }
    let mut headers = HeaderMap::new();
    headers.insert(HEADER, HeaderValue::from_bytes(b"\xc3\xa9").unwrap());
    assert!(key_of(&headers).is_err());
}
