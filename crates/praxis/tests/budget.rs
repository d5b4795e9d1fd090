//! A budget holds: however many calls come at a time, and however often the server is killed.

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
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::Sandbox;

/// The longest that the whole may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// An upstream that answers each question after a while.
struct Upstream {
    url: String,
    answered: Arc<AtomicUsize>,
}

impl Upstream {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let answered = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&answered);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let count = Arc::clone(&count);
                thread::spawn(move || answer(stream.unwrap(), &count));
            }
        });
        Self { url, answered }
    }
}

fn answer(mut stream: TcpStream, count: &AtomicUsize) {
    if request(&mut stream).is_none() {
        return;
    }
    // From here on it has to be paid.
    count.fetch_add(1, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(30));
    let answer = concat!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":88,\"completion_tokens\":10}}\n\n",
        "data: [DONE]\n\n",
    );
    let _ = stream.write_all(answer.as_bytes());
}

/// Reads a request whole.
fn request(stream: &mut TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()
}

/// A call takes all that it may: 88 tokens of its prompt and 10 of its answer, $0.098.
fn configuration(upstream: &Upstream) -> String {
    format!(
        "[app]\nname = \"b\"\n[defaults]\nchat = \"m\"\n[models.m]\nprovider = \"openai\"\nmodel = \"m\"\n\
         base_url = \"{}\"\nmax_retries = 0\nprice = {{ input = 1000, output = 1000 }}\n",
        upstream.url
    )
}

fn serve(app: &Sandbox, port: &str) -> (Child, String) {
    let mut child = app
        .command(&["serve", "--port", port, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let said: Value = loop {
        let read = lines.read_line(&mut said).unwrap();
        assert!(read > 0, "the server ended: {said}");
        if let Ok(value) = serde_json::from_str(&said) {
            break value;
        }
    };
    let address = said["url"]
        .as_str()
        .unwrap()
        .strip_prefix("http://")
        .unwrap();
    (child, address.to_owned())
}

/// The status of a call, if there was an answer.
fn call(address: &str, key: &str) -> Option<(u16, String)> {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":10}"#;
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .ok()?;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer))
}

/// Calls at a time, each until it has an answer.
fn wave(calls: usize, address: &str, key: &str) -> Vec<JoinHandle<(u16, String)>> {
    let began = Instant::now();
    let caller = |_| {
        let (address, key) = (address.to_owned(), key.to_owned());
        thread::spawn(move || {
            loop {
                assert!(began.elapsed() < PATIENCE, "a caller gets no answer");
                if let Some(answer) = call(&address, &key) {
                    return answer;
                }
                // The server was killed, or is not there yet.
                thread::sleep(Duration::from_millis(20));
            }
        })
    };
    (0..calls).map(caller).collect()
}

#[test]
fn two_hundred_calls_spend_no_more_than_a_budget_for_fifty_through_two_kills() {
    let upstream = Upstream::start();
    let app = Sandbox::empty();
    app.write("praxis.toml", configuration(&upstream));
    let made = app.json(&["keys", "create", "desk", "--limit", "4.90 usd"]);
    let key = made["key"].as_str().unwrap().to_owned();
    let (mut server, address) = serve(&app, "0");
    let port = address.rsplit_once(':').unwrap().1.to_owned();
    let began = Instant::now();
    let mut callers = Vec::new();
    // Two servers are killed in the middle of their calls, which are sent again to the next.
    for calls in [12, 12] {
        let before = upstream.answered.load(Ordering::SeqCst);
        callers.extend(wave(calls, &address, &key));
        while upstream.answered.load(Ordering::SeqCst) < before + 3 {
            assert!(began.elapsed() < PATIENCE, "nobody is answered");
            thread::sleep(Duration::from_millis(1));
        }
        server.kill().unwrap();
        server.wait().unwrap();
        (server, _) = serve(&app, &port);
    }
    callers.extend(wave(176, &address, &key));
    let (mut good, mut refused) = (0, 0);
    for caller in callers {
        match caller.join().unwrap() {
            (200, _) => good += 1,
            (429, answer) => {
                assert!(answer.contains("quota_exceeded"), "{answer}");
                assert!(answer.contains("`key:desk` may use 4.90 usd"), "{answer}");
                refused += 1;
            }
            (status, answer) => panic!("{status}: {answer}"),
        }
    }
    let paid = upstream.answered.load(Ordering::SeqCst);
    // What a killed server had reserved stays counted: of 12 calls all but 3, and of 24, with those sent again, as well.
    assert!((20..=50).contains(&paid), "{paid} calls were paid for");
    assert!(
        good > 0 && refused >= 150,
        "{good} answered, {refused} refused"
    );
    // Nothing is left, and what is reported is what was answered.
    assert_eq!(call(&address, &key).unwrap().0, 429);
    server.kill().unwrap();
    server.wait().unwrap();
    let usage = app.json(&["usage", "--by", "key", "--key", "desk"]);
    assert!(usage.to_string().contains("desk"), "{usage}");
}

#[test]
fn two_hundred_calls_at_once_spend_one_budget_at_two_servers() {
    let upstream = Upstream::start();
    let app = Sandbox::empty();
    app.write("praxis.toml", configuration(&upstream));
    let made = app.json(&["keys", "create", "desk", "--limit", "4.90 usd"]);
    let key = made["key"].as_str().unwrap().to_owned();
    let mut servers = [serve(&app, "0"), serve(&app, "0")];
    let callers: Vec<_> = servers
        .iter()
        .flat_map(|(_, address)| wave(100, address, &key))
        .collect();
    let mut good = 0;
    for caller in callers {
        match caller.join().unwrap() {
            (200, _) => good += 1,
            (429, answer) => assert!(answer.contains("quota_exceeded"), "{answer}"),
            (status, answer) => panic!("{status}: {answer}"),
        }
    }
    // A call reserves what it takes, so that the budget is used up to the last of them, and no further.
    let paid = upstream.answered.load(Ordering::SeqCst);
    assert_eq!((good, paid), (50, 50));
    for (server, address) in &mut servers {
        assert_eq!(call(address, &key).unwrap().0, 429);
        server.kill().unwrap();
        server.wait().unwrap();
    }
}
