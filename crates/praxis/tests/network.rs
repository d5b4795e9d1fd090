//! Where the real binary listens, and whom it lets in there.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::Sandbox;

const CONFIG: &str = "[app]\nname = \"b\"\n";
const CERTIFICATE: &str = include_str!("../../praxis-api/tests/fixtures/tls/first.pem");
const KEY: &str = include_str!("../../praxis-api/tests/fixtures/tls/first.key");
const OTHER_KEY: &str = include_str!("../../praxis-api/tests/fixtures/tls/second.key");

/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that is killed with its test.
struct Server {
    process: Child,
    said: Value,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(app: &Sandbox, args: &[&str]) -> Self {
        let mut process = app
            .command(&[&["serve", "--json"][..], args].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let said = loop {
            let read = lines.read_line(&mut said).unwrap();
            assert!(read > 0, "the server ended: {said}");
            if let Ok(value) = serde_json::from_str::<Value>(&said) {
                break value;
            }
        };
        Self { process, said }
    }

    fn connect(&self) -> TcpStream {
        let url = self.said["url"].as_str().unwrap();
        let stream = TcpStream::connect(url.split("://").nth(1).unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

/// What is answered to a request with these headers.
fn ask(mut stream: impl Read + Write, path: &str, headers: &str) -> String {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn application(config: &str) -> Sandbox {
    let app = Sandbox::empty();
    app.write("praxis.toml", format!("{CONFIG}{config}"));
    app
}

#[test]
fn a_socket_is_for_programs_of_this_user() {
    let app = application("[server]\nsocket = \"here.sock\"\n");
    let path = app.path("here.sock");
    let mut server = Server::start(&app, &[]);
    assert_eq!(server.said["url"], Value::Null);
    assert!(
        server.said["socket"]
            .as_str()
            .unwrap()
            .ends_with("here.sock")
    );
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // No key, and any name: no browser can ask here.
    let ask_here = |headers: &str| {
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        ask(stream, "/v1/models", headers)
    };
    let answer = ask_here("host: praxis\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // What a proxy hands on from another site's page is refused all the same.
    let answer = ask_here("host: praxis\r\norigin: https://evil.example\r\n");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

    let second = app.praxis(&["serve"]);
    assert!(
        !second.ok && second.stderr.contains("another server listens at"),
        "{second:?}"
    );

    // A killed server leaves its socket behind, and the next one takes its place.
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    assert!(path.exists());
    let _server = Server::start(&app, &[]);
    let answer = ask_here("host: praxis\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_server_whose_keys_are_all_gone_stays_shut_when_it_is_started_anew() {
    let app = application("[server]\nsocket = \"here.sock\"\n");
    assert!(app.praxis(&["keys", "create", "site"]).ok);
    let run = app.praxis(&["keys", "revoke", "site"]);
    assert!(
        run.ok && run.stderr.contains("refuses everybody"),
        "{run:?}"
    );
    let ask_here = || {
        let stream = UnixStream::connect(app.path("here.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        ask(stream, "/v1/models", "host: praxis\r\n")
    };
    let shut = Server::start(&app, &[]);
    let answer = ask_here();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    drop(shut);
    app.write(
        "praxis.toml",
        format!("{CONFIG}[server]\nsocket = \"here.sock\"\nopen = true\n"),
    );
    let open = Server::start(&app, &[]);
    let answer = ask_here();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(open);
    // A key that would hold for nobody is no way to go on.
    assert!(app.praxis(&["keys", "create", "desk"]).ok);
    let run = app.praxis(&["serve"]);
    assert!(
        !run.ok && run.stderr.contains("the store has `desk`"),
        "{run:?}"
    );
}

#[test]
fn a_socket_and_a_port_are_served_together() {
    let app = application("");
    let server = Server::start(&app, &["--socket", "here.sock", "--port", "0"]);
    let answer = ask(server.connect(), "/healthz", "host: localhost\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let stream = UnixStream::connect(app.path("here.sock")).unwrap();
    let answer = ask(stream, "/healthz", "host: localhost\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn pages_of_listed_origins_alone_may_call_the_api() {
    let app = application("[server]\ncors_origins = [\"https://app.example\"]\n");
    let server = Server::start(&app, &["--port", "0"]);
    for (origin, status, allowed) in [
        ("https://app.example", 200, true),
        ("https://evil.example", 401, false),
    ] {
        let headers = format!("host: localhost\r\norigin: {origin}\r\n");
        let answer = ask(server.connect(), "/v1/models", &headers);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        let told = format!("access-control-allow-origin: {origin}");
        assert_eq!(answer.contains(&told), allowed, "{answer}");
    }

    let app = application("[server]\ncors_origins = [\"*\"]\n");
    let run = app.praxis(&["serve", "--port", "0"]);
    assert!(!run.ok && run.stderr.contains("no key is set"), "{run:?}");
}

#[test]
fn pages_are_packed() {
    let app = application("");
    let server = Server::start(&app, &["--port", "0"]);
    let headers = "host: localhost\r\naccept-encoding: gzip\r\n";
    let answer = ask(server.connect(), "/", headers);
    assert!(answer.contains("content-encoding: gzip"), "{answer}");
}

#[test]
fn a_port_with_a_certificate_speaks_tls_alone() {
    let app = application("[server.tls]\ncertificate = \"own.pem\"\nkey = \"own.key\"\n");
    app.write("own.pem", CERTIFICATE);
    app.write("own.key", KEY);
    let server = Server::start(&app, &["--port", "0"]);
    let url = server.said["url"].as_str().unwrap();
    assert!(url.starts_with("https://"), "{url}");
    let answer = ask(server.connect(), "/healthz", "host: localhost\r\n");
    assert!(!answer.contains("HTTP/1.1"), "{answer}");

    app.write("own.key", OTHER_KEY);
    let run = app.praxis(&["serve", "--port", "0"]);
    assert!(
        !run.ok && run.stderr.contains("is not that of the certificate"),
        "{run:?}"
    );
    let run = app.praxis(&["serve", "--tls-cert", "none.pem", "--tls-key", "own.key"]);
    assert!(
        !run.ok && run.stderr.contains("cannot read `none.pem`"),
        "{run:?}"
    );
}
