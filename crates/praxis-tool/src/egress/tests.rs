//! Requests to a real server of this machine: bounds of time and size, redirects, and what goes along with them. What
//! must not be asked is in `tests/ssrf.rs`.

use std::io::Write;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use super::site::{Reply, Site, context};
use super::*;

fn egress(site: &Site) -> Egress {
    let config = EgressConfig {
        allow: vec!["*:*".to_owned()],
        allow_private: false,
    };
    Egress::within(&config, site.guard()).unwrap()
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, Url::parse(url).unwrap())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn a_body_is_read_and_unpacked_up_to_its_limit() {
    let site = Site::new().await;
    let long = vec![b'a'; 10_000];
    site.put("/plain", Reply::of("text/plain", long.clone()));
    let packed =
        |bytes: &[u8]| Reply::of("text/plain", gzip(bytes)).header("content-encoding", "gzip");
    site.put("/packed", packed(&long));
    // A thousand times what may be read.
    site.put("/bomb", packed(&vec![0; 10_000_000]));
    site.put("/empty", packed(b"").status(204));
    site.put(
        "/strange",
        Reply::of("text/plain", "x").header("content-encoding", "br"),
    );
    site.put(
        "/damaged",
        Reply::of("text/plain", "no gzip").header("content-encoding", "gzip"),
    );
    let egress = egress(&site);
    for (path, bytes, length, cut) in [
        ("/plain", 10_000, 10_000, false),
        ("/plain", 9_999, 9_999, true),
        ("/packed", 10_000, 10_000, false),
        ("/packed", 9_999, 9_999, true),
        ("/bomb", 10_000, 10_000, true),
        ("/empty", 100, 0, false),
        ("/nothing", 100, 12, false),
    ] {
        let limits = Limits {
            bytes,
            ..Limits::default()
        };
        let answer = egress.send(get(&site.url(path)), &limits, &context()).await;
        let answer = answer.unwrap();
        assert_eq!(
            (answer.body.len(), answer.cut),
            (length, cut),
            "{path} {bytes}"
        );
        assert!(!answer.headers.contains_key("content-encoding"));
    }
    for path in ["/strange", "/damaged"] {
        let (limits, cx) = (Limits::default(), context());
        let answer = egress.send(get(&site.url(path)), &limits, &cx);
        assert_eq!(
            answer.await.unwrap_err().code,
            ErrorCode::Upstream,
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_server_that_does_not_end_is_left_after_its_time_and_when_the_call_is_cancelled() {
    let site = Site::new().await;
    site.put("/slow", Reply::page("so far").stalling());
    let egress = egress(&site);
    let limits = Limits {
        time: Duration::from_millis(200),
        ..Limits::default()
    };
    let error = egress
        .send(get(&site.url("/slow")), &limits, &context())
        .await;
    assert_eq!(error.unwrap_err().code, ErrorCode::Timeout);
    let cx = context();
    cx.cancel().cancel();
    let error = egress
        .send(get(&site.url("/slow")), &Limits::default(), &cx)
        .await;
    assert_eq!(error.unwrap_err().code, ErrorCode::Cancelled);
    // Cancelled on the way, not before.
    let cx = context();
    let limits = Limits::default();
    let (error, ()) = tokio::join!(egress.send(get(&site.url("/slow")), &limits, &cx), async {
        while site.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        cx.cancel().cancel();
    });
    assert_eq!(error.unwrap_err().code, ErrorCode::Cancelled);
}

#[tokio::test]
async fn redirects_are_followed_so_often_and_secrets_stay_with_their_origin() {
    let site = Site::new().await;
    let port = site.address.port();
    site.put("/", Reply::page("here"));
    site.put("/1", Reply::moved(302, "/2"));
    site.put("/2", Reply::moved(307, "/3"));
    site.put(
        "/3",
        Reply::moved(301, &format!("http://other.test:{port}/")),
    );
    site.put("/round", Reply::moved(302, "/round"));
    site.put("/nowhere", Reply::moved(302, "http://"));
    let egress = egress(&site);
    let mut request = get(&site.url("/1"));
    let secret = HeaderValue::from_static("Bearer secret");
    request.headers_mut().insert(AUTHORIZATION, secret);
    let answer = egress.send(request, &Limits::default(), &context()).await;
    let answer = answer.unwrap();
    assert_eq!(answer.url.as_str(), format!("http://other.test:{port}/"));
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..]),
        (200, &b"here"[..])
    );
    let asked = site.asked();
    let seen: Vec<(&str, bool)> = asked
        .iter()
        .map(|a| (a.target.as_str(), a.headers.contains_key("authorization")))
        .collect();
    assert_eq!(
        seen,
        [("/1", true), ("/2", true), ("/3", true), ("/", false)]
    );
    assert_eq!(asked[3].headers["host"], format!("other.test:{port}"));
    for (path, redirects, part) in [
        ("/1", 2, "more than 2 times"),
        ("/round", 5, "more than 5 times"),
        ("/nowhere", 5, "no URL"),
    ] {
        let limits = Limits {
            redirects,
            ..Limits::default()
        };
        let error = egress.send(get(&site.url(path)), &limits, &context()).await;
        let error = error.unwrap_err();
        assert!(error.message.contains(part), "{path}: {error}");
    }
}

#[tokio::test]
async fn errors_name_the_host_and_nothing_secret() {
    let site = Site::new().await;
    let egress = egress(&site);
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    for url in [
        format!("http://site.test:{closed}/a?key=sesame"),
        "http://unknown.test/a?key=sesame".to_owned(),
        format!("http://inside.test:{}/a?key=sesame", site.address.port()),
        "http://10.0.0.1/a?key=sesame".to_owned(),
        "ftp://site.test/a?key=sesame".to_owned(),
    ] {
        let error = egress.send(get(&url), &Limits::default(), &context()).await;
        let text = format!("{:?}", error.unwrap_err());
        assert!(!text.contains("sesame"), "{text}");
        // Where a name of an inner network leads is told to nobody.
        assert!(!text.contains("127.0.0.2"), "{text}");
    }
}

#[tokio::test]
async fn headers_have_a_bound() {
    let site = Site::new().await;
    let many = |count: usize, value: &str| {
        (0..count).fold(Reply::page("x"), |reply, i| {
            reply.header(&format!("x-{i}"), value)
        })
    };
    site.put("/many", many(500, "a"));
    site.put("/large", many(50, &"a".repeat(4000)));
    site.put("/good", many(50, "a"));
    let egress = egress(&site);
    for (path, good) in [("/many", false), ("/large", false), ("/good", true)] {
        let (limits, cx) = (Limits::default(), context());
        let answer = egress.send(get(&site.url(path)), &limits, &cx);
        assert_eq!(answer.await.is_ok(), good, "{path}");
    }
}

#[test]
fn a_configuration_with_a_host_that_is_none_is_refused() {
    let config = EgressConfig {
        allow: vec!["https://example.org".to_owned(), "b.test".to_owned()],
        allow_private: false,
    };
    let problems = config.problems("egress");
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].path, "egress.allow");
    assert!(Egress::new(&config).is_err());
    assert!(EgressConfig::default().problems("").is_empty());
}
