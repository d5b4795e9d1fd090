//! A small HTTP server with range requests and faults on demand, wheels, and a catalogue over both.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use praxis_hub::{Catalogue, ModelEntry, PullOptions};
use sha2::{Digest, Sha256};

/// What a path answers, besides its bytes.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status instead.
    Status(u16),
    /// Close the connection after so many bytes.
    CutAfter(usize),
    /// Send nothing more after so many bytes, and leave the connection open.
    StallAfter(usize),
    /// Ignore range requests.
    NoRange,
}

#[derive(Default)]
struct State {
    files: HashMap<String, (Vec<u8>, &'static str)>,
    faults: HashMap<String, Vec<Fault>>,
    log: Vec<String>,
}

/// A server on a port of its own; it lives as long as the test process.
#[derive(Clone)]
pub struct Server {
    state: Arc<Mutex<State>>,
    pub url: String,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.unwrap(), Arc::clone(&shared));
                std::thread::spawn(move || answer(stream, &state));
            }
        });
        Self { state, url }
    }

    pub fn file(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.typed(path, bytes, "application/octet-stream");
    }

    pub fn typed(&self, path: &str, bytes: impl Into<Vec<u8>>, content_type: &'static str) {
        let bytes = bytes.into();
        self.state
            .lock()
            .unwrap()
            .files
            .insert(path.to_owned(), (bytes, content_type));
    }

    /// Faults of the next requests for a path, one each.
    pub fn faults(&self, path: &str, faults: &[Fault]) {
        let faults = faults.iter().rev().cloned().collect();
        self.state
            .lock()
            .unwrap()
            .faults
            .insert(path.to_owned(), faults);
    }

    /// The requests so far, as `PATH` or `PATH RANGE`, and forgets them.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }
}

fn answer(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let (mut request, mut range) = (String::new(), None);
    reader.read_line(&mut request).unwrap();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("range: bytes=") {
            range = value.trim().trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let mut stream = reader.into_inner();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let (file, fault) = {
        let mut state = state.lock().unwrap();
        let logged = range.map_or_else(|| path.clone(), |start| format!("{path} {start}-"));
        state.log.push(logged);
        let fault = state.faults.get_mut(&path).and_then(Vec::pop);
        (state.files.get(&path).cloned(), fault)
    };
    let Some((bytes, content_type)) = file else {
        let _ = write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        return;
    };
    if let Some(Fault::Status(status)) = fault {
        let _ = write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        return;
    }
    let start = match (range, &fault) {
        (Some(start), fault) if !matches!(fault, Some(Fault::NoRange)) => start,
        _ => 0,
    };
    let body = &bytes[start.min(bytes.len())..];
    let status = match start {
        0 => "200 OK".to_owned(),
        _ => format!(
            "206 Partial Content\r\nContent-Range: bytes {start}-{}/{}",
            bytes.len() - 1,
            bytes.len()
        ),
    };
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let end = match fault {
        Some(Fault::CutAfter(n) | Fault::StallAfter(n)) => n.min(body.len()),
        _ => body.len(),
    };
    let _ = stream.write_all(&body[..end]);
    if let Some(Fault::StallAfter(_)) = fault {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// Bytes that do not repeat and do not compress to nothing.
pub fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x.to_le_bytes()[0] & 0x3f
        })
        .collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A wheel with these files.
pub fn wheel(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A model `m` with one file and these sources, in `models.toml`'s words.
pub fn model(content: &[u8], sources: &str) -> ModelEntry {
    let text = format!(
        "[[models]]\nname = \"m\"\ndescription = \"d\"\ntask = \"chat\"\nlicence = \"MIT\"\ncontext = 8\n\
         primary = \"model.gguf\"\n[[models.files]]\nname = \"model.gguf\"\nsize = {}\nsha256 = \"{}\"\n{sources}",
        content.len(),
        sha256(content)
    );
    Catalogue::parse(&text).unwrap().get("m").unwrap().clone()
}

pub const HUB: &str = "[[models.sources]]\nkind = \"hub\"\nrepo = \"o/r\"\nrevision = \"main\"\nfiles = { \"model.gguf\" = \"x.gguf\" }\n";
pub const HUB_PATH: &str = "/o/r/resolve/main/x.gguf";

/// Options that reach the server only.
pub fn options(server: &Server) -> PullOptions {
    PullOptions {
        only: None,
        models_dir: None,
        hub: server.url.clone(),
        hub_token: None,
        index: format!("{}/simple", server.url),
    }
}
