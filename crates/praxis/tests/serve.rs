//! What the server streams, asked over its own port as a client would.

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
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Sandbox, has_model};

const MODEL: &str = "smollm2-135m-instruct";
const CONFIG: &str = "[app]\nname = \"b\"\n\n[defaults]\nchat = \"smollm2-135m-instruct\"\n";

/// A server that ends with its test.
struct Server {
    process: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(app: &Sandbox) -> Self {
        let mut process = app
            .command(&["serve", "--port", "0", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let address = loop {
            let read = lines.read_line(&mut said).unwrap();
            assert!(read > 0, "the server ended: {said}");
            if let Ok(value) = serde_json::from_str::<Value>(&said) {
                let url = value["url"].as_str().unwrap();
                break url.trim_start_matches("http://").to_owned();
            }
        };
        Self { process, address }
    }

    /// The events of a chat with a function: their names and what they say.
    fn chat(&self, function: &str, question: &str) -> Vec<(String, Value)> {
        let messages = json!({"messages": [{"role": "user", "content": question}]}).to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(120)))
            .unwrap();
        write!(
            stream,
            "POST /praxis/v1/functions/{function}/chat HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{messages}",
            self.address,
            messages.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let lines: Vec<&str> = answer.lines().collect();
        let event = |pair: &[&str]| {
            let name = pair[0].strip_prefix("event: ")?;
            let data = pair[1].strip_prefix("data: ")?;
            Some((name.to_owned(), serde_json::from_str(data).unwrap()))
        };
        lines.windows(2).filter_map(event).collect()
    }
}

#[test]
fn the_last_event_of_a_stream_has_the_whole_output() {
    if !has_model(MODEL) {
        return;
    }
    let app = Sandbox::empty();
    app.write("praxis.toml", CONFIG);
    let front = "---\nconfig:\n  temperature: 0\n  maxOutputTokens: 12\ninput:\n  schema:\n    question: string\n";
    app.write(
        "prompts/hello.prompt",
        format!("{front}---\nGreet {{{{question}}}}.\n"),
    );
    app.write(
        "prompts/sized.prompt",
        format!(
            "{front}output:\n  schema:\n    size(enum): [small]\n---\nHow large is {{{{question}}}}?\n"
        ),
    );
    let server = Server::start(&app);

    let events = server.chat("hello", "Ada");
    let (last, done) = events.last().unwrap();
    assert_eq!(last, "done", "{events:?}");
    let deltas = events.iter().filter(|(name, _)| name == "delta");
    let text: String = deltas
        .filter_map(|(_, delta)| delta["text"].as_str())
        .collect();
    assert!(!text.trim().is_empty(), "{events:?}");
    assert_eq!(done["output"], text);
    assert!(done["trace_id"].is_string(), "{done}");

    let events = server.chat("sized", "an ant");
    let (last, done) = events.last().unwrap();
    assert_eq!(last, "done", "{events:?}");
    assert_eq!(done["output"], json!({"size": "small"}));
    let part = events.iter().rfind(|(name, _)| name == "partial");
    assert_eq!(part.unwrap().1["output"], done["output"]);
}
