//! What must not be reached from a tool: this machine, private networks, metadata services, in every dress that a URL,
//! a name or a redirect can give them. Each case is a row; those that may be reached are rows too.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they skip"
)]

#[path = "support/site.rs"]
mod site;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use praxis_core::{CallError, ErrorCode};
use praxis_sources::{Guard, Lookup};
use praxis_tool::egress::{Answer, Egress, EgressConfig, Limits};
use reqwest::{Method, Request, Url};
use site::{Reply, Site, context};

/// URLs that are this machine, a private network, a metadata service, or nothing of the web.
const CLOSED: &[&str] = &[
    // This machine, and numbers that are it as the URL standard reads them.
    "http://127.0.0.1/",
    "https://127.0.0.1/",
    "http://127.0.0.1:443/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0X7F000001/",
    "http://0x7f.0.0.1/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://0177.0x0.0.1/",
    "http://127.0.0.1./",
    "http://0/",
    "http://0.0.0.0/",
    "http://0.1.2.3/",
    // Private networks, and what else is not the internet.
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://172.16.0.1/",
    "http://172.31.255.254/",
    "http://192.168.0.1/",
    "http://3232235521/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://192.0.2.1/",
    "http://203.0.113.7/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    // Metadata services.
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://169.254.170.2/v2/credentials",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://168.63.129.16/",
    "http://[fd00:ec2::254]/",
    // Version 6, and version 4 in it.
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:0:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2606:4700::5efe:7f00:1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[::1%25lo]/",
    "http://[fc00::1]/",
    "http://[fd12:3456::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    // Names that are never of the internet.
    "http://localhost/",
    "http://LocalHost/",
    "http://localhost./",
    "http://a.localhost/",
    "http://printer.local/",
    "http://router.home.arpa/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://metadata.google.internal./",
    "http://metadata/",
    "http://redis/",
    // Letters and dots that become those of the above.
    "http://①②⑦.⓪.⓪.①/",
    "http://１２７.0.0.1/",
    "http://127。0。0。1/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://ｌｏｃａｌｈｏｓｔ/",
    "http://%31%32%37.0.0.1/",
    "http://127.0.0.1%00.example.com/",
    "http://\t127.0.0.1/",
    "http://127.0.\n0.1/",
    "http:\\\\127.0.0.1\\",
    "http:///127.0.0.1/",
    "http:127.0.0.1",
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1?@example.com/",
    "http://127.0.0.1\\@example.com/",
    // Names and passwords, which hide where a URL leads.
    "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1/",
    "http://127.0.0.1@example.com/",
    "http://user:password@example.com/",
    "http://user@example.com/",
    "http://example.com%40127.0.0.1/",
    // No scheme of the web.
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "ftp://example.com/",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/stat",
    "ldap://127.0.0.1/",
    "ws://127.0.0.1/",
    "data:text/html,hello",
    "javascript:alert(1)",
    "about:blank",
    "blob:http://example.com/1",
    "view-source:http://127.0.0.1/",
    "jar:http://127.0.0.1!/a",
    "//127.0.0.1/",
    "127.0.0.1",
    "",
];

fn egress(allow: &[&str], guard: Guard) -> Egress {
    let config = EgressConfig {
        allow: allow.iter().map(|host| (*host).to_owned()).collect(),
        allow_private: false,
    };
    Egress::within(&config, guard).unwrap()
}

/// Asks as a tool does. What is no URL cannot be asked at all.
async fn ask(egress: &Egress, url: &str) -> Result<Answer, CallError> {
    let url = Url::parse(url)
        .map_err(|error| CallError::new(ErrorCode::InvalidRequest, error.to_string()))?;
    let request = Request::new(Method::GET, url);
    egress.send(request, &Limits::default(), &context()).await
}

/// What an attacker wants to reach: whether somebody did is seen at the end.
struct Inside(TcpListener);

impl Inside {
    fn new() -> Option<Self> {
        // All of 127.0.0.0/8 is this machine on Linux.
        let Ok(listener) = TcpListener::bind("127.0.0.2:0") else {
            eprintln!("SKIPPED: needs the address 127.0.0.2");
            return None;
        };
        listener.set_nonblocking(true).unwrap();
        Some(Self(listener))
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn assert_untouched(&self) {
        let error = self.0.accept().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn no_url_leads_inside_whatever_it_looks_like() {
    let rows = CLOSED.len();
    assert!(rows >= 100, "{rows}");
    // All hosts and all ports, so that nothing but the guard stands in the way.
    let egress = egress(&["*:*"], Guard::new(false));
    for url in CLOSED {
        let error = ask(&egress, url).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{url}: {error}");
    }
}

#[tokio::test]
async fn redirects_lead_inside_no_more_than_first_urls_do() {
    let Some(inside) = Inside::new() else { return };
    let site = Site::new().await;
    let port = inside.port();
    let egress = egress(&["*:*"], site.guard());
    let mut targets = vec![
        format!("http://127.0.0.2:{port}/"),
        format!("http://2130706434:{port}/"),
        format!("http://0x7f.2:{port}/"),
        format!("http://0177.0.0.2:{port}/"),
        format!("http://[::ffff:127.0.0.2]:{port}/"),
        format!("http://[64:ff9b::7f00:2]:{port}/"),
        format!("http://inside.test:{port}/"),
        format!("http://localhost:{port}/"),
        format!("//127.0.0.2:{port}/"),
        format!("\\\\127.0.0.2:{port}\\"),
        format!("http://site.test@127.0.0.2:{port}/"),
        format!("http://127.0.0.2:{port}\\@site.test/"),
        "http://site.test:pass@site.test/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://①⑥⑨.254.169.254/".to_owned(),
        "http://[fd00:ec2::254]/".to_owned(),
        "http://metadata.google.internal/".to_owned(),
        "http://10.0.0.1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ftp://site.test/".to_owned(),
        "gopher://127.0.0.2/".to_owned(),
        "data:text/html,hello".to_owned(),
        "javascript:alert(1)".to_owned(),
        "about:blank".to_owned(),
    ];
    // Behind one and two redirects that are good themselves.
    targets.push(site.url("/0"));
    targets.push(site.url("/24"));
    for status in [301, 302, 303, 307, 308] {
        for (i, target) in targets.iter().enumerate() {
            site.put(&format!("/{i}"), Reply::moved(status, target));
            let error = ask(&egress, &site.url(&format!("/{i}"))).await.unwrap_err();
            assert_eq!(
                error.code,
                ErrorCode::InvalidRequest,
                "{status} {target}: {error}"
            );
        }
    }
    inside.assert_untouched();
}

#[tokio::test]
async fn names_lead_inside_nowhere_whatever_their_addresses_are() {
    let addresses = [
        "127.0.0.2",
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::ffff:127.0.0.2",
        "::ffff:169.254.169.254",
        "::127.0.0.2",
        "64:ff9b::7f00:2",
        "2002:7f00:2::",
        "2001:0:1::1",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
    ];
    let mut names: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for (i, address) in addresses.iter().enumerate() {
        let address = address.parse().unwrap();
        names.insert(format!("name{i}.test"), vec![address]);
        names.insert(format!("twice{i}.test"), vec![address, address]);
    }
    let count = names.len();
    let hosts: Vec<String> = names.keys().cloned().collect();
    let guard = Guard::new(false).within(Arc::new(names), Vec::new());
    let egress = egress(&["*:*"], guard);
    for host in &hosts {
        let error = ask(&egress, &format!("http://{host}:9/"))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{host}: {error}");
        assert!(error.message.contains("public internet"), "{host}: {error}");
    }
    assert_eq!(count, 2 * addresses.len());
}

/// Names that are somewhere else each time that somebody asks.
#[derive(Debug)]
struct Turning(Mutex<VecDeque<Vec<IpAddr>>>);

impl Turning {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = |answer: &&[&str]| -> Vec<IpAddr> {
            answer.iter().map(|a| a.parse().unwrap()).collect()
        };
        Arc::new(Self(Mutex::new(answers.iter().map(parsed).collect())))
    }

    fn left(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

#[async_trait]
impl Lookup for Turning {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let next = self.0.lock().unwrap().pop_front();
        next.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

#[tokio::test]
async fn a_name_that_turns_inside_after_it_was_good_is_refused_when_it_is_connected_to() {
    let Some(inside) = Inside::new() else { return };
    let site = Site::new().await;
    let port = site.address.port();
    site.put("/ok", Reply::page("ok"));
    site.put("/again", Reply::moved(302, "/ok"));
    site.put(
        "/inside",
        Reply::moved(307, &format!("http://turn.test:{}/", inside.port())),
    );
    let here: IpAddr = site.address.ip();
    let good: &[&str] = &["127.0.0.1"];
    let bad: &[&str] = &["127.0.0.2"];
    let mapped: &[&str] = &["::ffff:127.0.0.2", "::1"];
    let mixed: &[&str] = &["127.0.0.2", "127.0.0.1", "10.0.0.1"];
    for (answers, paths) in [
        // Asked twice, and each time checked for itself.
        (vec![good, bad], vec![("/ok", true), ("/ok", false)]),
        (vec![bad, good], vec![("/ok", false), ("/ok", true)]),
        (vec![good, mapped], vec![("/ok", true), ("/ok", false)]),
        // Between a page and its redirect.
        (vec![good, bad], vec![("/again", false)]),
        (vec![good, mapped], vec![("/again", false)]),
        (vec![good, bad], vec![("/inside", false)]),
        (vec![good, good], vec![("/again", true)]),
        // Of several addresses, the good one alone is connected to.
        (vec![mixed, mixed], vec![("/again", true)]),
    ] {
        let turning = Turning::new(&answers);
        let lookup = Arc::clone(&turning) as Arc<dyn Lookup>;
        let egress = egress(&["*:*"], Guard::new(false).within(lookup, vec![here]));
        for (path, passes) in &paths {
            let answer = ask(&egress, &format!("http://turn.test:{port}{path}")).await;
            match answer {
                Ok(answer) => assert!(*passes && answer.body == b"ok", "{answers:?} {path}"),
                Err(error) => {
                    assert!(!passes, "{answers:?} {path}: {error}");
                    assert_eq!(error.code, ErrorCode::InvalidRequest, "{error}");
                }
            }
        }
        assert_eq!(turning.left(), 0, "{answers:?} {paths:?}");
    }
    inside.assert_untouched();
}

#[tokio::test]
async fn a_list_of_hosts_is_not_talked_around() {
    let site = Site::new().await;
    let port = site.address.port();
    site.put("/ok", Reply::page("ok"));
    site.put(
        "/away",
        Reply::moved(302, &format!("http://other.test:{port}/ok")),
    );
    let listed = format!("site.test:{port}");
    let egress = egress(&[&listed], site.guard());
    for (url, passes) in [
        (format!("http://site.test:{port}/ok"), true),
        (format!("http://SITE.test:{port}/ok"), true),
        (format!("http://site.test:{port}/a/../ok"), true),
        (format!("http://ｓｉｔｅ.test:{port}/ok"), true),
        (format!("http://other.test:{port}/ok"), false),
        (format!("http://site.test:{port}/away"), false),
        (format!("http://a.site.test:{port}/ok"), false),
        (format!("http://site.test.other.test:{port}/ok"), false),
        (format!("http://othersite.test:{port}/ok"), false),
        (
            format!("http://other.test:{port}/ok?site.test:{port}"),
            false,
        ),
        (
            format!("http://other.test:{port}#@site.test:{port}/ok"),
            false,
        ),
        (
            format!("http://other.test:{port}\\@site.test:{port}/ok"),
            false,
        ),
        (
            format!("http://site.test:{port}@other.test:{port}/ok"),
            false,
        ),
        (format!("http://site.test:{port}:80@other.test/ok"), false),
        ("http://site.test/ok".to_owned(), false),
        ("https://site.test/ok".to_owned(), false),
        ("http://site.test:22/ok".to_owned(), false),
        ("http://site.test:6379/ok".to_owned(), false),
        (format!("http://site.test:0{port}0/ok"), false),
        (format!("http://127.0.0.1:{port}/ok"), false),
        (format!("http://[::1]:{port}/ok"), false),
    ] {
        let answer = ask(&egress, &url).await;
        assert_eq!(answer.is_ok(), passes, "{url}: {answer:?}");
        if let Err(error) = answer {
            assert_eq!(error.code, ErrorCode::InvalidRequest, "{url}: {error}");
        }
    }
}

#[test]
fn what_is_of_the_internet_may_be_asked_at_the_ports_of_the_web() {
    let egress = egress(&[], Guard::new(false));
    for (url, passes) in [
        ("https://example.com/", true),
        ("http://example.com:443/", true),
        ("https://www.example.co.uk/a?b=c#d", true),
        ("https://例え.jp/", true),
        ("http://1.1.1.1/", true),
        ("http://16843009/", true),
        ("https://[2606:4700:4700::1111]/", true),
        ("http://[::ffff:8.8.8.8]/", true),
        ("http://172.32.0.1/", true),
        ("http://100.128.0.1/", true),
        ("http://localhost.example.com/", true),
        ("http://internal.example.com/", true),
        ("http://example.com:22/", false),
        ("http://example.com:25/", false),
        ("http://example.com:6379/", false),
        ("http://example.com:8080/", false),
        ("https://example.com:9200/", false),
        ("http://1.1.1.1:53/", false),
    ] {
        let url = Url::parse(url).unwrap();
        assert_eq!(egress.check(&url).is_ok(), passes, "{url}");
    }
    let long = Url::parse(&format!("https://example.com/{}", "a".repeat(9000))).unwrap();
    assert!(egress.check(&long).is_err());
}

#[tokio::test]
async fn private_addresses_are_asked_where_the_file_says_so() {
    let site = Site::new().await;
    site.put("/ok", Reply::page("ok"));
    let listed = site.address.to_string();
    for (allow, allow_private, passes) in [
        (vec![listed.clone()], true, true),
        (vec!["127.0.0.1:*".to_owned()], true, true),
        (vec![listed], false, false),
        // Not at any port, for all that.
        (vec!["127.0.0.1".to_owned()], true, false),
        (Vec::new(), true, false),
    ] {
        let config = EgressConfig {
            allow,
            allow_private,
        };
        let egress = Egress::new(&config).unwrap();
        let answer = ask(&egress, &site.direct("/ok")).await;
        assert_eq!(answer.is_ok(), passes, "{config:?}: {answer:?}");
    }
}
