//! A real server on this machine, crawled as a stranger's would be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use praxis_core::Period;
use tokio_util::sync::CancellationToken;

use super::*;

mod maps;

/// What the server has at a path, and whom it answered.
#[derive(Default)]
struct Site {
    pages: BTreeMap<String, Reply>,
    /// `STATUS PATH` of each answer.
    log: Vec<String>,
    agents: BTreeSet<String>,
}

#[derive(Clone, Default)]
struct Reply {
    status: u16,
    kind: &'static str,
    body: Vec<u8>,
    location: Option<String>,
    /// Sent as `ETag`, and compared.
    etag: Option<String>,
}

type Shared = Arc<Mutex<Site>>;

async fn answer(State(site): State<Shared>, request: Request<Body>) -> Response<Body> {
    let path = request
        .uri()
        .path_and_query()
        .map(ToString::to_string)
        .unwrap_or_default();
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned)
    };
    let mut site = site.lock().unwrap();
    let reply = site.pages.get(&path).cloned().unwrap_or(Reply {
        status: 404,
        ..Reply::default()
    });
    let same = reply.etag.is_some() && header("if-none-match") == reply.etag;
    let status = if same { 304 } else { reply.status };
    site.log.push(format!("{status} {path}"));
    site.agents.extend(header("user-agent"));
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in [
        ("content-type", Some(reply.kind.to_owned())),
        ("location", reply.location),
        ("etag", reply.etag),
    ] {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            response = response.header(name, value);
        }
    }
    response
        .body(Body::from(if same { Vec::new() } else { reply.body }))
        .unwrap()
}

/// A site on a port of this machine, and the source that reads it.
struct Stand {
    site: Shared,
    address: SocketAddr,
    dir: tempfile::TempDir,
}

impl Stand {
    async fn new() -> Self {
        let site = Shared::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&site));
        // The loop that `axum::serve` has, without the feature that it is behind.
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = hyper_util::service::TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    let io = hyper_util::rt::TokioIo::new(stream);
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(io, service)
                        .await;
                });
            }
        });
        Self {
            site,
            address,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn put(&self, path: &str, reply: Reply) {
        self.site
            .lock()
            .unwrap()
            .pages
            .insert(path.to_owned(), reply);
    }

    fn page(&self, path: &str, body: &str) {
        let reply = Reply {
            status: 200,
            kind: "text/html; charset=utf-8",
            body: body.as_bytes().to_vec(),
            etag: Some(format!("\"{}\"", &crate::hash(body.as_bytes())[..8])),
            location: None,
        };
        self.put(path, reply);
    }

    fn file(&self, path: &str, kind: &'static str, body: &[u8]) {
        self.put(
            path,
            Reply {
                status: 200,
                kind,
                body: body.to_vec(),
                ..Reply::default()
            },
        );
    }

    fn status(&self, path: &str, status: u16) {
        self.put(
            path,
            Reply {
                status,
                ..Reply::default()
            },
        );
    }

    fn moved(&self, path: &str, status: u16, to: &str) {
        self.put(
            path,
            Reply {
                status,
                location: Some(to.to_owned()),
                ..Reply::default()
            },
        );
    }

    fn url(&self, path: &str) -> String {
        format!("http://site.test:{}{path}", self.address.port())
    }

    fn config(&self) -> WebConfig {
        WebConfig {
            urls: vec![self.url("/docs/")],
            timeout: Period(Duration::from_secs(2)),
            ..WebConfig::default()
        }
    }

    /// `site.test` counts as public; `inside.test` and everything else of this machine does not.
    fn source(&self, config: WebConfig) -> Web {
        let at = |text: &str| vec![text.parse::<IpAddr>().unwrap()];
        let known = [
            ("site.test".to_owned(), at("127.0.0.1")),
            ("inside.test".to_owned(), at("127.0.0.2")),
        ];
        let known: BTreeMap<String, Vec<IpAddr>> = known.into();
        let guard = Guard::new(false).within(Arc::new(known), at("127.0.0.1"));
        let place = Place {
            state: self.dir.path().to_owned(),
            ..Place::default()
        };
        Web::guarded(config, place, guard).unwrap()
    }

    async fn crawl(&self, config: &WebConfig) -> Result<Listing, SourceError> {
        let source = self.source(config.clone());
        let mut fetcher = Fetcher::new(config, source.guard.clone())?;
        fetcher.pause = Duration::from_millis(5);
        let cancel = CancellationToken::new();
        let run = Run {
            progress: &|_| {},
            cancel: &cancel,
        };
        source.crawl(source.mirror()?, fetcher, &run).await
    }

    /// Paths of what a crawl lists, and the rest of it.
    async fn listed(&self, config: &WebConfig) -> (Vec<String>, Listing) {
        let listing = self.crawl(config).await.unwrap();
        let paths = listing
            .entries
            .iter()
            .map(|e| e.uri.replacen(&self.url(""), "", 1))
            .collect();
        (paths, listing)
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.site.lock().unwrap().log)
    }
}

#[tokio::test]
async fn pages_are_found_by_their_links_and_asked_for_again_only_if_they_changed() {
    let stand = Stand::new().await;
    stand.page("/docs/", "<a href='a.html#top'>a</a><a href=\"a.html?utm_source=x\">a</a><a href='/blog/'>out</a><a href='sub/b'>b</a><a href='logo.png'>p</a>");
    stand.page(
        "/docs/a.html",
        "<h1>A</h1><a href='/docs/'>back</a><a href='c.pdf'>c</a><a href='gone'>g</a>",
    );
    stand.page(
        "/docs/sub/b",
        "<link rel=canonical href='/docs/sub/b/'><p>B</p>",
    );
    stand.page(
        "/docs/sub/b/",
        "<link rel=canonical href='/docs/sub/b/'><p>B</p>",
    );
    stand.file("/docs/c.pdf", "application/pdf", b"%PDF-1.7");
    stand.page("/blog/", "<p>not here</p>");
    let config = stand.config();
    let (paths, listing) = stand.listed(&config).await;
    assert_eq!(
        paths,
        ["/docs/", "/docs/a.html", "/docs/c.pdf", "/docs/sub/b/"]
    );
    assert!(listing.complete && listing.notes.is_empty(), "{listing:?}");
    let agents = stand.site.lock().unwrap().agents.clone();
    assert!(
        agents
            .iter()
            .all(|a| a.starts_with(concat!("praxis/", env!("CARGO_PKG_VERSION")))),
        "{agents:?}"
    );
    let source = stand.source(config.clone());
    let content = source.fetch(&listing.entries[1]).await.unwrap();
    assert_eq!(content.name, "a.html");
    assert!(content.bytes.starts_with(b"<h1>A"));
    assert_eq!(
        source.fetch(&listing.entries[2]).await.unwrap().name,
        "c.pdf"
    );

    stand.log();
    stand.page("/docs/a.html", "<h1>A, changed</h1><a href='c.pdf'>c</a>");
    let (again, later) = stand.listed(&config).await;
    assert_eq!(again, paths);
    let changed: Vec<&str> = std::iter::zip(&listing.entries, &later.entries)
        .filter(|(a, b)| a.version != b.version)
        .map(|(a, _)| a.uri.as_str())
        .collect();
    assert_eq!(changed, [stand.url("/docs/a.html")]);
    let log = stand.log();
    assert!(
        log.contains(&"304 /docs/".to_owned()) && log.contains(&"304 /docs/sub/b/".to_owned()),
        "{log:?}"
    );
    assert!(log.contains(&"200 /docs/a.html".to_owned()), "{log:?}");
}

#[tokio::test]
async fn what_is_gone_goes_and_what_fails_stays() {
    let stand = Stand::new().await;
    stand.page(
        "/docs/",
        "<a href=a>a</a><a href=b>b</a><a href=c>c</a><a href=d>d</a><a href=e>e</a>",
    );
    for name in ["a", "b", "c", "d", "e"] {
        stand.page(&format!("/docs/{name}"), &format!("<p>{name}</p>"));
    }
    let config = stand.config();
    assert_eq!(stand.listed(&config).await.0.len(), 6);
    stand.status("/docs/a", 410);
    stand.status("/docs/b", 500);
    stand.status("/docs/c", 403);
    stand.moved("/docs/d", 302, "http://elsewhere.test/maintenance");
    stand.moved("/docs/e", 307, "/docs/");
    stand.log();
    let (paths, listing) = stand.listed(&config).await;
    assert_eq!(
        paths,
        ["/docs/", "/docs/b", "/docs/c", "/docs/d", "/docs/e"]
    );
    assert_eq!(
        (listing.notes.len(), listing.complete),
        (4, true),
        "{listing:?}"
    );
    assert_eq!(listing.gone, [stand.url("/docs/a")]);
    let tries = stand.log().iter().filter(|l| *l == "500 /docs/b").count();
    assert_eq!(tries, 3, "a server error is tried again, but not for ever");
    // What was never seen and fails hides what it leads to.
    stand.page("/docs/", "<a href=new>n</a>");
    stand.status("/docs/new", 502);
    let (paths, listing) = stand.listed(&config).await;
    assert_eq!(
        (paths.as_slice(), listing.complete),
        (["/docs/".to_owned()].as_slice(), false)
    );
    // Nor does a site that is down look empty.
    stand.site.lock().unwrap().pages.clear();
    stand.status("/robots.txt", 503);
    let (paths, listing) = stand.listed(&config).await;
    assert_eq!(paths, ["/docs/"]);
    assert!(
        listing.notes.iter().any(|n| n.contains("robots.txt")),
        "{listing:?}"
    );
}

#[tokio::test]
async fn a_start_page_without_an_answer_removes_nothing() {
    let stand = Stand::new().await;
    let one = stand.config();
    let mut two = stand.config();
    two.urls.push(stand.url("/more/"));
    let gone = |stand: &Stand| stand.status("/docs/", 404);
    let closed = |stand: &Stand| {
        let rules = b"User-agent: *\nDisallow: /docs/\n";
        stand.file("/robots.txt", "text/plain", rules);
    };
    let moved = |stand: &Stand| stand.moved("/docs/", 301, "http://elsewhere.test/");
    let inside = |stand: &Stand| stand.moved("/docs/", 301, "/docs/nothing");
    type Change = dyn Fn(&Stand);
    let cases: [(&str, &Change); 4] = [
        ("404", &gone),
        ("robots.txt", &closed),
        ("elsewhere.test", &moved),
        ("/docs/nothing", &inside),
    ];
    for (told, change) in cases {
        stand.site.lock().unwrap().pages.clear();
        stand.page("/docs/", "<a href=a>a</a>");
        stand.page("/docs/a", "<p>a</p>");
        stand.page("/more/", "<p>more</p>");
        let (paths, listing) = stand.listed(&two).await;
        assert_eq!(paths, ["/docs/", "/docs/a", "/more/"], "{told}");
        assert!(listing.complete, "{told}: {listing:?}");
        change(&stand);
        let (paths, listing) = stand.listed(&two).await;
        assert_eq!(paths, ["/more/"], "{told}");
        assert!(
            !listing.complete && listing.gone.is_empty() && listing.notes[0].contains(told),
            "{told}: {listing:?}"
        );
        let error = stand.crawl(&one).await.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[tokio::test]
async fn of_pages_that_name_each_other_one_is_read() {
    let stand = Stand::new().await;
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let links: String = names.iter().map(|n| format!("<a href={n}>x</a>")).collect();
    stand.page("/docs/", &links);
    // Two that name each other; one that names what is not included; a circle of three, and what leads into it;
    // one that names a page.
    for (name, canonical) in [
        ("a", "b"),
        ("b", "a"),
        ("c", "out/c"),
        ("d", "e"),
        ("e", "f"),
        ("f", "d"),
        ("g", "e"),
        ("h", "./"),
        ("out/c", "out/c"),
    ] {
        let head = format!("<link rel=canonical href='/docs/{canonical}'><p>{name}</p>");
        stand.page(&format!("/docs/{name}"), &head);
    }
    let config = WebConfig {
        include: vec!["/docs/".to_owned(), "/docs/?".to_owned()],
        ..stand.config()
    };
    let (paths, listing) = stand.listed(&config).await;
    assert_eq!(paths, ["/docs/", "/docs/a", "/docs/c", "/docs/d"]);
    assert!(listing.complete, "{listing:?}");
    let log = stand.log();
    assert!(log.contains(&"200 /docs/out/c".to_owned()), "{log:?}");
}

#[tokio::test]
async fn robots_are_obeyed() {
    let stand = Stand::new().await;
    stand.file("/robots.txt", "text/plain", b"User-agent: *\nDisallow: /\n\nUser-agent: praxis\nDisallow: /docs/private\nCrawl-delay: 0.05\n");
    stand.page("/docs/", "<a href=private/x>x</a><a href=hidden>h</a><a rel=nofollow href=not>n</a><a href=quiet>q</a>");
    stand.page("/docs/private/x", "<p>x</p>");
    stand.page(
        "/docs/hidden",
        "<meta name=robots content=noindex><a href=behind>b</a>",
    );
    stand.page("/docs/behind", "<p>b</p>");
    stand.page("/docs/not", "<p>n</p>");
    stand.page(
        "/docs/quiet",
        "<meta name='robots' content='nofollow'><a href=deeper>d</a>",
    );
    stand.page("/docs/deeper", "<p>d</p>");
    let begun = std::time::Instant::now();
    let (paths, _) = stand.listed(&stand.config()).await;
    assert_eq!(paths, ["/docs/", "/docs/behind", "/docs/quiet"]);
    assert!(
        begun.elapsed() >= Duration::from_millis(150),
        "the delay is not kept: {:?}",
        begun.elapsed()
    );
    let log = stand.log();
    assert!(!log.iter().any(|l| l.contains("private")), "{log:?}");
}

#[tokio::test]
async fn private_addresses_are_refused_by_name_by_number_and_behind_redirects() {
    let stand = Stand::new().await;
    let port = stand.address.port();
    stand.page("/docs/", "<p>here</p>");
    for (i, target) in [
        "127.0.0.2",
        "inside.test",
        "[::1]",
        "169.254.169.254",
        "2130706434",
    ]
    .iter()
    .enumerate()
    {
        let path = format!("/docs/jump{i}");
        stand.moved(&path, 301, &format!("http://{target}:{port}/docs/"));
        let mut config = stand.config();
        config.urls.push(stand.url(&path));
        // Even a host that is allowed by name is asked at public addresses alone.
        let host = url::Url::parse(&format!("http://{target}/"))
            .unwrap()
            .host_str()
            .unwrap()
            .to_owned();
        config.hosts = vec![format!("{host}:{port}")];
        let (paths, listing) = stand.listed(&config).await;
        assert_eq!(paths, ["/docs/"], "{target}");
        assert!(
            listing.notes.iter().any(|n| n.contains("private address")),
            "{target}: {listing:?}"
        );
    }
    let config = WebConfig {
        urls: vec![format!("http://inside.test:{port}/docs/")],
        ..stand.config()
    };
    let error = stand.crawl(&config).await.unwrap_err().to_string();
    assert!(
        error.contains("private address") && error.contains("allow_private"),
        "{error}"
    );
    // Said so, it is read.
    let open = WebConfig {
        urls: vec![format!("http://127.0.0.1:{port}/docs/")],
        allow_private: true,
        ..stand.config()
    };
    let place = Place {
        state: stand.dir.path().join("open"),
        ..Place::default()
    };
    let cancel = CancellationToken::new();
    let run = Run {
        progress: &|_| {},
        cancel: &cancel,
    };
    let listing = Web::new(open, place).unwrap().list(&run).await.unwrap();
    assert_eq!(listing.entries.len(), 1);
}

#[tokio::test]
async fn bounds_hold() {
    let stand = Stand::new().await;
    // A page for every number, without end.
    for i in 0..60 {
        stand.page(
            &format!("/docs/{i}"),
            &format!("<p>{i}</p><a href={}>next</a>", i + 1),
        );
    }
    stand.page("/docs/", "<a href=0>first</a>");
    let deep = WebConfig {
        max_depth: 3,
        ..stand.config()
    };
    assert_eq!(
        stand.listed(&deep).await.0,
        ["/docs/", "/docs/0", "/docs/1", "/docs/2"]
    );
    let few = WebConfig {
        max_depth: 100,
        max_pages: 10,
        ..stand.config()
    };
    let (paths, listing) = stand.listed(&few).await;
    assert_eq!(paths.len(), 10);
    assert!(
        !listing.complete && listing.notes[0].contains("max_pages"),
        "{listing:?}"
    );

    stand.page(
        "/docs/",
        "<a href=large>l</a><a href=circle>c</a><a href=image>i</a><a href=old>o</a>",
    );
    stand.page("/docs/large", &"x".repeat(5000));
    stand.moved("/docs/circle", 302, "/docs/circle2");
    stand.moved("/docs/circle2", 302, "/docs/circle");
    stand.file("/docs/image", "image/png", b"\x89PNG");
    stand.moved("/docs/old", 301, "/docs/new");
    stand.file("/docs/new", "text/plain; charset=gbk", b"\xc4\xe3\xba\xc3");
    let small = WebConfig {
        max_file_bytes: 1000,
        ..stand.config()
    };
    let (paths, listing) = stand.listed(&small).await;
    assert_eq!(paths, ["/docs/", "/docs/large", "/docs/new"]);
    assert!(
        listing.entries[1].size > 1000,
        "it is listed to be reported"
    );
    let source = stand.source(small.clone());
    let content = source.fetch(&listing.entries[2]).await.unwrap();
    assert_eq!(
        (content.name.as_str(), content.bytes.as_slice()),
        ("new.txt", "你好".as_bytes())
    );
}

#[tokio::test]
async fn a_crawl_that_was_killed_goes_on() {
    let stand = Stand::new().await;
    stand.page("/docs/", "<a href=a>a</a><a href=b>b</a>");
    stand.file("/docs/a", "text/html", b"<p>a</p>");
    stand.file("/docs/b", "text/html", b"<p>b</p>");
    let config = stand.config();
    let source = stand.source(config.clone());
    let mirror = source.mirror().unwrap();
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let first = WebConfig {
        parallel: 1,
        ..config.clone()
    };
    // It is stopped when the first page is there.
    let fetcher = Fetcher::new(&first, source.guard.clone()).unwrap();
    let state = stand.dir.path().join("pages");
    tokio::spawn(async move {
        loop {
            let files = std::fs::read_dir(&state).map_or(0, |d| d.count());
            if files >= 3 {
                stop.cancel();
                return;
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    });
    let run = Run {
        progress: &|_| {},
        cancel: &cancel,
    };
    let stopped = source.crawl(mirror, fetcher, &run).await;
    stand.log();
    let (paths, _) = stand.listed(&config).await;
    assert_eq!(paths, ["/docs/", "/docs/a", "/docs/b"]);
    if stopped.is_err() {
        let log = stand.log();
        assert!(
            !log.iter().any(|l| l.ends_with(" /docs/")),
            "what was read is read again: {log:?}"
        );
    }
}

#[tokio::test]
async fn a_crawl_that_ran_out_of_time_goes_on_and_removes_nothing() {
    let stand = Stand::new().await;
    stand.page("/docs/", "<a href=a>a</a><a href=b>b</a>");
    stand.page("/docs/a", "<p>a</p>");
    stand.page("/docs/b", "<p>b</p>");
    let short = WebConfig {
        parallel: 1,
        delay: Some(Period(Duration::from_millis(150))),
        max_time: Period(Duration::from_millis(200)),
        ..stand.config()
    };
    let (paths, listing) = stand.listed(&short).await;
    assert!(paths.len() < 3 && !listing.complete, "{listing:?}");
    assert!(
        listing.notes.iter().any(|n| n.contains("max_time")),
        "{listing:?}"
    );
    stand.log();
    let (paths, listing) = stand.listed(&stand.config()).await;
    assert_eq!((paths.len(), listing.complete), (3, true));
    assert!(
        !stand.log().iter().any(|l| l.ends_with(" /docs/")),
        "it began anew"
    );
}
