//! The whole server, with documents that not every caller may read: whatever address is asked, nobody gets
//! a word of what is not theirs. Only the model is a script: it repeats all that it is told, so what it was
//! told is seen in its answer.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use praxis_api::{Access, ApiState, AppInfo, Batches, Cors, Reach, Responses};
use praxis_core::embed::{EmbedKind, TokenCounter, normalize};
use praxis_core::trace::NoTrace;
use praxis_core::{
    CallContext, Caller, ChatChunk, ChatGateway, ChatRequest, ChatStream, Clearance, Embedder,
    EntityId, FinishReason, ModelError, Retriever, Secret, Usage, now_s,
};
use praxis_function::{Deps, Functions, Known, Library, Moderator};
use praxis_knowledge::{
    BaseConfig, FileLimits, Files, FolderConfig, GraphConfig, Knowledge, MetadataRule,
    VectorStores, functions,
};
use praxis_store::{NewExtraction, NewMention, NewTriple, Store, TraceWriter};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Words that stand in the hidden document only: its text, its title, its path and its metadata.
const HIDDEN: [&str; 4] = ["Zanzibar", "Quetzal", "paybook", "Xanadu"];

/// Counts of letters.
struct Letters;

#[async_trait]
impl Embedder for Letters {
    fn identity(&self) -> String {
        "letters@1".to_owned()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Ok(26)
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Ok(512)
    }

    async fn embed(&self, _: EmbedKind, texts: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        let vector = |text: &String| {
            let mut vector = vec![0.1f32; 26];
            for letter in text.to_lowercase().bytes().filter(u8::is_ascii_lowercase) {
                vector[usize::from(letter - b'a')] += 1.0;
            }
            normalize(&mut vector);
            vector
        };
        Ok(texts.iter().map(vector).collect())
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Ok(Arc::new(|text: &str| text.split_whitespace().count()))
    }
}

/// A model that repeats all that it is told.
struct Parrot;

#[async_trait]
impl ChatGateway for Parrot {
    async fn chat(&self, request: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        let told = request.messages.iter().map(|m| m.text().into_owned());
        let told: Vec<String> = told.collect();
        let text = ChatChunk::Delta {
            text: told.join("\n"),
            logprobs: Vec::new(),
        };
        let done = ChatChunk::Done {
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
        };
        Ok(futures::stream::iter([Ok(text), Ok(done)]).boxed())
    }
}

const ANSWER: &str = "---\ndescription: Answers.\ninput:\n  schema:\n    question: string\n\
    praxis.knowledge: docs\n---\n{{role \"user\"}}{{>_passages}}\nQuestion: {{question}}\n";

const PICK: &str = "---\ndescription: Answers from one document.\ninput:\n  schema:\n    question: string\n    \
    title?: string\npraxis.knowledge:\n  base: docs\n  filter: {type: eq, key: title, value: \"{{title}}\"}\n\
    praxis.query: question\n---\n{{role \"user\"}}{{>_passages}}\nQuestion: {{question}}\n";

/// A server with three keys: of who may read everything, of who has the label `hr`, and of who has none.
struct Server {
    dir: tempfile::TempDir,
    address: SocketAddr,
    knowledge: Arc<Knowledge>,
    traces: Arc<TraceWriter>,
}

/// Bytes of a document, at most.
const MOST_BYTES: u64 = 65_536;

const KEYS: [&str; 3] = ["key-all", "key-hr", "key-none"];

async fn server() -> Server {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "knowledge/heron.md",
        "# The heron\n\nThe heron is paid in fish at the pond.\n",
    );
    write(
        "knowledge/hr/paybook.md",
        "---\nauthor: Xanadu\n---\n# The Quetzal\n\nThe pay of all is kept in Zanzibar.\n",
    );
    write("prompts/answer.prompt", ANSWER);
    write("prompts/pick.prompt", PICK);
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let config = BaseConfig {
        source: Some(FolderConfig {
            max_file_bytes: MOST_BYTES,
            ..FolderConfig::default()
        }),
        metadata: vec![MetadataRule {
            pattern: "hr/**".to_owned(),
            set: Default::default(),
            labels: Some(vec!["hr".to_owned()]),
        }],
        graph: GraphConfig {
            enabled: true,
            weight: 0.5,
            ..GraphConfig::default()
        },
        ..BaseConfig::default()
    };
    let embedder: Arc<dyn Embedder> = Arc::new(Letters);
    let source = {
        let embedder = Arc::clone(&embedder);
        Arc::new(move |_: Option<&str>| Ok(Arc::clone(&embedder)))
    };
    let bases = vec![("docs".to_owned(), dir.path().join("knowledge"), config)];
    let state_dir = dir.path().join("state");
    let knowledge = Knowledge::open(state_dir, store.clone(), bases, source.clone());
    let knowledge = Arc::new(knowledge);
    let report = knowledge
        .ingest("docs", &|_| {}, &CallContext::new(Arc::new(NoTrace)))
        .await
        .unwrap();
    assert_eq!(report.added, 2, "{report:?}");
    extract(&store, &knowledge).await;

    let retriever: Arc<dyn Retriever> = knowledge.clone();
    let built_in = functions([("docs", None)].into_iter(), &retriever, &embedder);
    let deps = Deps {
        chat: Arc::new(Parrot),
        retriever,
        embedder,
        functions: Functions::with_built_in(built_in),
        moderator: Arc::new(Moderator::new(None)),
    };
    let traces = Arc::new(TraceWriter::start(&store).unwrap());
    let caller = |name: &str, labels: &[&str]| Caller {
        name: Some(name.to_owned()),
        clearance: Clearance::of(labels.iter().copied()),
    };
    let access = Access::new(vec![
        (Secret::new(KEYS[0]), Caller::full()),
        (Secret::new(KEYS[1]), caller("hr", &["hr"])),
        (Secret::new(KEYS[2]), caller("none", &[])),
    ]);
    let files = Files::new(
        dir.path().join("files"),
        store.clone(),
        FileLimits::default(),
        now_s,
    );
    let files = Arc::new(files);
    let vector_stores = VectorStores::open(knowledge.clone(), files.clone(), now_s);
    let batches = Batches::new(store.clone(), files.clone(), None, now_s);
    let state = ApiState::from(Reach {
        batches: Arc::new(batches),
        responses: Arc::new(Responses::new(store.clone(), now_s)),
        cors: Cors::default(),
        files,
        vector_stores: Arc::new(vector_stores.await.unwrap()),
        app: Arc::new(AppInfo::default()),
        chat: Arc::new(Parrot),
        embedders: Arc::new(move |name, _| source(name)),
        transcribers: Arc::new(|_, _| Err(ModelError::NotFound("there is no speech model".into()))),
        models: Arc::new(Vec::new),
        library: Arc::new(library(dir.path(), &deps)),
        knowledge: knowledge.clone(),
        store,
        sink: traces.clone(),
        access: Some(Arc::new(access)),
        metrics: PrometheusBuilder::new().build_recorder().handle(),
    });
    let pages = praxis_console::router(state.clone());
    let router = praxis_api::hardened(&state, praxis_api::router(state.clone()).merge(pages));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(praxis_api::serve(
        listener,
        router,
        std::future::pending::<()>(),
    ));
    Server {
        dir,
        address,
        knowledge,
        traces,
    }
}

/// What a model would have read in the hidden document.
async fn extract(store: &Store, knowledge: &Knowledge) {
    let heads = knowledge.documents("docs", &Clearance::Full).await.unwrap();
    let hidden = heads.iter().find(|d| d.uri == "hr/paybook.md").unwrap();
    let document = knowledge
        .document(&hidden.id, &Clearance::Full)
        .await
        .unwrap();
    let before = document.text.split("The pay of all").next().unwrap();
    let start = before.chars().count();
    let mention = |name: &str| NewMention {
        entity: EntityId::from_string(name),
        kind: "thing".to_owned(),
        key: name.to_lowercase(),
        name: name.to_owned(),
    };
    let new = NewExtraction {
        method: "m".to_owned(),
        model: "m".to_owned(),
        mentions: vec![mention("pay"), mention("Zanzibar")],
        triples: vec![NewTriple {
            subject: EntityId::from_string("pay"),
            relation: "kept_in".to_owned(),
            object: EntityId::from_string("Zanzibar"),
            start,
            end: start + "The pay of all is kept in Zanzibar".len(),
        }],
        ..NewExtraction::default()
    };
    let written = store
        .put_extraction("docs", &document.chunks[0].id, &new)
        .await;
    assert!(written.unwrap());
}

fn library(dir: &Path, deps: &Deps) -> Library {
    let known = Known {
        knowledge: vec!["docs".to_owned()],
        ..Known::default()
    };
    Library::load(&dir.join("prompts"), &known, deps).unwrap()
}

/// How a request shows who sends it.
#[derive(Clone)]
enum Shown {
    Nothing,
    Key(&'static str),
    Pass(String),
}

impl Server {
    /// Status and all that is sent back.
    async fn ask(&self, shown: &Shown, path: &str, body: Option<Value>) -> (u16, String) {
        let method = if body.is_some() { "POST" } else { "GET" };
        let (content_type, body) = match (path, body) {
            ("/login", Some(key)) => {
                let form = format!("key={}&next=/", key.as_str().unwrap());
                ("application/x-www-form-urlencoded", Some(form))
            }
            (_, body) => ("application/json", body.map(|body| body.to_string())),
        };
        let body = body.map(String::into_bytes);
        self.send(shown, method, path, content_type, body).await
    }

    /// The same for a file that would become a document of a base.
    async fn preview(&self, shown: &Shown, base: &str, name: &str, file: &[u8]) -> (u16, String) {
        let mut body = format!(
            "--part\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--part--\r\n");
        let path = format!("/praxis/v1/knowledge/{base}/preview");
        let content_type = "multipart/form-data; boundary=part";
        self.send(shown, "POST", &path, content_type, Some(body))
            .await
    }

    async fn send(
        &self,
        shown: &Shown,
        method: &str,
        path: &str,
        content_type: &str,
        body: Option<Vec<u8>>,
    ) -> (u16, String) {
        let host = self.address;
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
        match shown {
            Shown::Nothing => {}
            Shown::Key(key) => request += &format!("authorization: Bearer {key}\r\n"),
            Shown::Pass(pass) => {
                request += &format!("cookie: praxis-pass={pass}\r\norigin: http://{host}\r\n");
            }
        }
        if let Some(body) = &body {
            let length = body.len();
            request += &format!("content-type: {content_type}\r\ncontent-length: {length}\r\n");
        }
        request += "\r\n";
        let mut request = request.into_bytes();
        request.extend(body.unwrap_or_default());
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut answer = Vec::new();
        // A server that refuses a request need not read all of it before it hangs up.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }

    /// The pass that the login page gives for a key.
    async fn log_in(&self, key: &str) -> Shown {
        let (status, answer) = self.ask(&Shown::Nothing, "/login", Some(json!(key))).await;
        assert_eq!(status, 303, "{answer}");
        let pass = answer.split("praxis-pass=").nth(1).unwrap();
        Shown::Pass(pass.split(';').next().unwrap().to_owned())
    }

    /// Ids of a document and of its first chunk.
    async fn ids_of(&self, uri: &str) -> (String, String) {
        let documents = self.knowledge.documents("docs", &Clearance::Full).await;
        let documents = documents.unwrap();
        let head = documents.iter().find(|d| d.uri == uri).unwrap();
        let document = self.knowledge.document(&head.id, &Clearance::Full).await;
        let chunk = document.unwrap().chunks.remove(0).id;
        (head.id.to_string(), chunk.to_string())
    }
}

fn tells(answer: &str) -> Vec<&'static str> {
    let lower = answer.to_lowercase();
    let told = |word: &&&str| lower.contains(&word.to_lowercase());
    HIDDEN.iter().filter(told).copied().collect()
}

/// All addresses that tell something of documents, with what is sent there.
fn addresses(document: &str, chunk: &str) -> Vec<(String, Option<Value>)> {
    let search = "/praxis/v1/knowledge/docs/search";
    let question = "Where is the pay kept?";
    let messages = json!([{ "role": "user", "content": question }]);
    let post = |path: &str, body: Value| (path.to_owned(), Some(body));
    let get = |path: String| (path, None);
    vec![
        post(search, json!({ "query": question, "limit": 20 })),
        post(search, json!({ "query": "zanzibar", "limit": 20 })),
        post(search, json!({ "query": question, "level": "document" })),
        post(
            search,
            json!({ "query": question, "filters": { "type": "gt", "key": "size", "value": 1 } }),
        ),
        post(
            search,
            json!({ "query": question, "filters": { "type": "ne", "key": "title", "value": "x" } }),
        ),
        post(
            "/praxis/v1/functions/answer/call",
            json!({ "input": { "question": question } }),
        ),
        post(
            "/praxis/v1/functions/answer/chat",
            json!({ "messages": messages }),
        ),
        post(
            "/v1/chat/completions",
            json!({ "model": "function:answer", "messages": messages }),
        ),
        post(
            "/v1/chat/completions",
            json!({ "model": "function:answer", "messages": messages, "stream": true }),
        ),
        get("/praxis/v1/knowledge".to_owned()),
        get("/praxis/v1/knowledge?base=docs&limit=1&after=a".to_owned()),
        get("/praxis/v1/knowledge/docs/graph".to_owned()),
        get("/praxis/v1/knowledge/docs/graph?entity=pay".to_owned()),
        get(format!("/praxis/v1/passages/{chunk}")),
        get("/documents".to_owned()),
        get("/documents?base=docs&after=a".to_owned()),
        get("/documents/preview".to_owned()),
        get("/documents/graph/docs".to_owned()),
        get("/documents/graph/docs?type=thing".to_owned()),
        get("/documents/graph/docs?entity=zanz".to_owned()),
        get("/documents/graph/docs?entity=pay".to_owned()),
        get("/documents/graph/docs?entity=pay&to=the+pay".to_owned()),
        get("/approvals".to_owned()),
        get("/texts".to_owned()),
        get(format!("/documents/{document}")),
        get(format!("/documents/{document}?start=0&end=9")),
        get("/".to_owned()),
        get("/traces".to_owned()),
    ]
}

#[tokio::test]
async fn no_address_tells_a_caller_what_is_not_theirs() {
    let server = server().await;
    let (document, chunk) = server.ids_of("hr/paybook.md").await;
    let mut askers = Vec::new();
    for (at, key) in KEYS.into_iter().enumerate() {
        askers.push((at < 2, Shown::Key(key)));
        askers.push((at < 2, server.log_in(key).await));
    }
    for (may, shown) in &askers {
        let mut told = Vec::new();
        for (path, body) in addresses(&document, &chunk) {
            let (status, answer) = server.ask(shown, &path, body.clone()).await;
            if *may {
                assert_eq!(status, 200, "{path} {body:?}: {answer}");
                told.extend(tells(&answer));
            } else {
                assert!(status == 200 || status == 404, "{path} {body:?}: {answer}");
                assert!(tells(&answer).is_empty(), "{path} {body:?}: {answer}");
            }
        }
        // Who may is told all of it, so the words prove something.
        for word in HIDDEN {
            assert_eq!(told.contains(&word), *may, "{word}");
        }
    }
    // What is hidden is told in the words of what is not there.
    let none = Shown::Key(KEYS[2]);
    for (path, id) in [("/praxis/v1/passages/", &chunk), ("/documents/", &document)] {
        let (status, hidden) = server.ask(&none, &format!("{path}{id}"), None).await;
        let (_, absent) = server.ask(&none, &format!("{path}absent"), None).await;
        assert_eq!(status, 404, "{hidden}");
        let plain = |answer: &str, id: &str| body_of(answer).replace(id, "absent");
        assert_eq!(plain(&hidden, id), plain(&absent, "absent"));
    }
    for (key, status) in [(KEYS[1], 200), (KEYS[2], 404)] {
        for query in ["entity=PAY", "entity=pay&to=zanzibar"] {
            let path = format!("/praxis/v1/knowledge/docs/graph?{query}");
            let (got, answer) = server.ask(&Shown::Key(key), &path, None).await;
            assert_eq!(got, status, "{path}: {answer}");
            let quote = answer.contains("The pay of all is kept in Zanzibar");
            assert_eq!(quote, status == 200, "{path}: {answer}");
        }
    }
    let (_, page) = server.ask(&none, "/", None).await;
    assert!(page.contains("1 document is ready"), "{page}");
    let (_, page) = server.ask(&Shown::Key(KEYS[1]), "/", None).await;
    assert!(page.contains("2 documents are ready"), "{page}");
}

#[tokio::test]
async fn nobody_gets_in_without_a_key() {
    let server = server().await;
    let (document, chunk) = server.ids_of("heron.md").await;
    for (path, body) in addresses(&document, &chunk) {
        for shown in [
            Shown::Nothing,
            Shown::Key("key-wrong"),
            Shown::Pass("0".repeat(64)),
        ] {
            let (status, answer) = server.ask(&shown, &path, body.clone()).await;
            assert!(status == 401 || status == 303, "{path}: {answer}");
        }
    }
}

/// What comes after the head of an answer.
fn body_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn a_file_is_previewed_for_who_knows_the_base_and_not_kept() {
    let server = server().await;
    let file = server.dir.path().join("notes.md");
    std::fs::write(&file, "# Notes\n\nThe ibis is paid in mud.\n").unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let wanted = server.knowledge.preview("docs", &file).await.unwrap();
    let wanted = serde_json::to_value(wanted).unwrap();
    assert_eq!(
        wanted["chunks"][0]["headings"],
        json!(["Notes"]),
        "{wanted}"
    );
    for key in KEYS {
        for shown in [Shown::Key(key), server.log_in(key).await] {
            let (status, answer) = server.preview(&shown, "docs", "notes.md", &bytes).await;
            assert_eq!(status, 200, "{answer}");
            let found: Value = serde_json::from_str(body_of(&answer)).unwrap();
            assert_eq!(found, wanted);
        }
    }
    for shown in [Shown::Nothing, Shown::Key("key-wrong")] {
        let (status, answer) = server.preview(&shown, "docs", "notes.md", &bytes).await;
        assert_eq!(status, 401, "{answer}");
    }
    let documents = server.knowledge.documents("docs", &Clearance::Full).await;
    assert_eq!(documents.unwrap().len(), 2);
    let (_, found) = server
        .ask(
            &Shown::Key(KEYS[0]),
            "/praxis/v1/knowledge/docs/search",
            Some(json!({ "query": "ibis mud" })),
        )
        .await;
    assert!(!found.contains("is paid in mud"), "{found}");

    // A vector store of another caller is told like a base that is not there.
    let new = Some(json!({ "name": "secret" }));
    let made = server.ask(&Shown::Key(KEYS[1]), "/v1/vector_stores", new);
    let made: Value = serde_json::from_str(body_of(&made.await.1)).unwrap();
    let id = made["id"].as_str().unwrap();
    for (key, base, status) in [
        (KEYS[1], id, 200),
        (KEYS[2], id, 404),
        (KEYS[2], "vs_absent", 404),
    ] {
        let shown = Shown::Key(key);
        let (got, answer) = server.preview(&shown, base, "notes.md", &bytes).await;
        assert_eq!(got, status, "{key} {base}: {answer}");
        let path = format!("/documents/graph/{base}");
        let (seen, page) = server.ask(&shown, &path, None).await;
        assert_eq!(seen, status, "{key} {base}: {page}");
    }
    let none = Shown::Key(KEYS[2]);
    let hidden = server.preview(&none, id, "notes.md", &bytes).await.1;
    let absent = server.preview(&none, "vs_absent", "notes.md", &bytes).await;
    assert_eq!(
        body_of(&hidden).replace(id, "vs_absent"),
        body_of(&absent.1)
    );
    for path in ["/documents", "/documents/preview"] {
        assert!(!server.ask(&none, path, None).await.1.contains(id));
        let (_, page) = server.ask(&Shown::Key(KEYS[1]), path, None).await;
        assert!(page.contains(id), "{page}");
    }
}

#[tokio::test]
async fn documents_are_listed_in_pages() {
    let server = server().await;
    let path = "/praxis/v1/knowledge?";
    for (key, query, status, told) in [
        (0, "limit=1", 200, "\"documents\":2,"),
        (0, "limit=1", 200, "\"has_more\":true"),
        (0, "limit=1", 200, "\"last_uri\":\"heron.md\""),
        (0, "base=docs&after=heron.md", 200, "\"has_more\":false"),
        (0, "base=docs&after=heron.md", 200, "hr/paybook.md"),
        (2, "", 200, "\"documents\":1,"),
        (0, "limit=0", 400, "between 1 and 1000"),
        (0, "after=a", 400, "`after` needs `base`"),
        (0, "base=dosc", 404, "did you mean `docs`"),
    ] {
        let shown = Shown::Key(KEYS[key]);
        let (got, answer) = server.ask(&shown, &format!("{path}{query}"), None).await;
        assert_eq!(got, status, "{query}: {answer}");
        assert!(answer.contains(told), "{query}: {answer}");
    }
    let later = "/documents?base=docs&after=heron.md";
    let (_, page) = server.ask(&Shown::Key(KEYS[0]), later, None).await;
    assert!(page.contains("Later") && page.contains("paybook"), "{page}");
    assert!(!page.contains("heron.md</"), "{page}");
}

#[tokio::test]
async fn a_file_that_cannot_be_previewed_is_told_with_the_fix() {
    let server = server().await;
    let all = Shown::Key(KEYS[0]);
    let large = vec![b'a'; usize::try_from(MOST_BYTES).unwrap() + 1];
    for (base, name, file, status, told) in [
        ("docs", "empty.txt", &b" \n"[..], 400, "fill it, delete it"),
        ("docs", "noise.bin", b"\0\x01\x02\0", 400, "noise.bin"),
        ("docs", "a.pdf", b"%PDF-1.7 no more", 400, "a.pdf"),
        ("docs", "", b"text", 400, "no file name"),
        ("docs", "../../etc/a.txt", b"text", 200, "text"),
        ("docs", "large.txt", &large, 413, "max_file_bytes"),
        ("dosc", "a.txt", b"text", 404, "did you mean `docs`"),
    ] {
        let (got, answer) = server.preview(&all, base, name, file).await;
        assert_eq!(got, status, "{name}: {answer}");
        assert!(answer.contains(told), "{name}: {answer}");
    }
    let path = "/praxis/v1/knowledge/docs/preview";
    let form = "multipart/form-data; boundary=part";
    let part = "--part\r\ncontent-disposition: form-data; name=";
    for (content_type, body, told) in [
        ("application/json", "{}".to_owned(), "multipart/form-data"),
        (form, "--part--\r\n".to_owned(), "the form has no `file`"),
        (
            form,
            format!("{part}\"base\"\r\n\r\nx\r\n--part--\r\n"),
            "`base` is no field",
        ),
        (
            form,
            format!("{part}\"file\"; filename=\"a.txt\"\r\n\r\nhalf"),
            "cannot be read",
        ),
    ] {
        let sent = server.send(&all, "POST", path, content_type, Some(body.into()));
        let (status, answer) = sent.await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer.contains(told), "{told}: {answer}");
    }
}

#[tokio::test]
async fn a_graph_is_shown_where_its_caller_has_one() {
    let server = server().await;
    for (key, sees) in KEYS.into_iter().zip([true, true, false]) {
        let shown = Shown::Key(key);
        let (_, page) = server.ask(&shown, "/documents", None).await;
        assert_eq!(page.contains("/documents/graph/docs"), sees, "{page}");
        let path = "/documents/graph/docs?entity=PAY";
        let (status, page) = server.ask(&shown, path, None).await;
        assert_eq!(status, 200, "{page}");
        for part in ["kept in", "The pay of all is kept in Zanzibar", "#passage"] {
            assert_eq!(page.contains(part), sees, "{key} {part}: {page}");
        }
        assert_eq!(page.contains("Nothing here yet"), !sees, "{page}");
    }
    // A name of a hidden document is as unknown as one that stands nowhere.
    let none = Shown::Key(KEYS[2]);
    let known = server.ask(&none, "/documents/graph/docs?entity=pay", None);
    let known = known.await.1;
    let unknown = server.ask(&none, "/documents/graph/docs?entity=owl", None);
    assert_eq!(body_of(&known), body_of(&unknown.await.1));
    let all = Shown::Key(KEYS[0]);
    for (query, part) in [
        ("entity=zanz", "With “zanz” in their names"),
        ("entity=owl", "Nothing here is called “owl”."),
        ("entity=Zanzibra", "did you mean `Zanzibar`?"),
        ("entity=%3Cb%3E", "“&#60;b&#62;”"),
        ("entity=pay&to=zanzibar", "From pay to zanzibar"),
        ("entity=pay&to=PAY", "Both names are one entity"),
        ("entity=pay&to=owl", "Nothing here is called “owl”."),
        ("type=thing", "Most often named of type thing"),
    ] {
        let path = format!("/documents/graph/docs?{query}");
        let (status, page) = server.ask(&all, &path, None).await;
        assert_eq!(status, 200, "{query}: {page}");
        assert!(page.contains(part), "{query}: {page}");
    }
}

#[tokio::test]
async fn texts_are_compared_by_whoever_has_a_key() {
    let server = server().await;
    for key in KEYS {
        let shown = Shown::Key(key);
        let (_, page) = server.ask(&shown, "/texts", None).await;
        for word in ["similar", "duplicates", "classify", "cluster", "recommend"] {
            let named = format!("data-function=\"praxis/{word}\"");
            assert!(page.contains(&named), "{word}: {page}");
        }
        assert!(page.contains("data-most=\"2000\""), "{page}");
        let path = "/praxis/v1/functions/praxis%2Fsimilar/call";
        let input = json!({ "input": { "query": "aa", "texts": ["bb", "aab"], "limit": 1 } });
        let (status, answer) = server.ask(&shown, path, Some(input)).await;
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(body_of(&answer)).unwrap();
        assert_eq!(answer["output"]["data"][0]["index"], 1, "{answer}");
        assert!(answer["trace_id"].is_string(), "{answer}");
    }
}

#[tokio::test]
async fn traces_are_for_who_called_and_for_who_sees_all() {
    let server = server().await;
    let call = json!({ "input": { "question": "Where is the pay kept?" } });
    let path = "/praxis/v1/functions/answer/call";
    let mut traces = Vec::new();
    for key in KEYS {
        let (_, answer) = server.ask(&Shown::Key(key), path, Some(call.clone())).await;
        let id = answer.split("\"trace_id\":\"").nth(1).unwrap();
        traces.push(id.split('"').next().unwrap().to_owned());
    }
    server.traces.flush().await;
    for (reader, key) in KEYS.into_iter().enumerate() {
        let shown = Shown::Key(key);
        let (_, list) = server.ask(&shown, "/traces", None).await;
        for (caller, trace) in traces.iter().enumerate() {
            let may = reader == 0 || reader == caller;
            assert_eq!(list.contains(trace.as_str()), may, "{key} {caller}");
            for path in ["/traces/", "/praxis/v1/traces/"] {
                let (status, answer) = server.ask(&shown, &format!("{path}{trace}"), None).await;
                assert_eq!(
                    status,
                    if may { 200 } else { 404 },
                    "{key} {caller}: {answer}"
                );
            }
        }
        if reader == 2 {
            assert!(tells(&list).is_empty(), "{list}");
        }
    }
    // A trace names its caller, and never the key.
    let (_, trace) = server
        .ask(
            &Shown::Key(KEYS[0]),
            &format!("/praxis/v1/traces/{}", traces[1]),
            None,
        )
        .await;
    assert!(
        trace.contains(r#""caller":{"name":"hr","labels":["hr"]}"#),
        "{trace}"
    );
    assert!(!trace.contains("key-hr"), "{trace}");
}

#[tokio::test]
async fn a_filter_that_is_wrong_is_a_request_that_names_the_place() {
    let server = server().await;
    let search = async |filters: Value| {
        let body = json!({ "query": "pay", "filters": filters });
        let path = "/praxis/v1/knowledge/docs/search";
        server.ask(&Shown::Key(KEYS[0]), path, Some(body)).await
    };
    for (filters, part) in [
        (json!({ "type": "like" }), "no type of filter"),
        (
            json!({ "type": "and", "filters": [{ "type": "eq", "key": "title" }] }),
            "at `filters[0]`",
        ),
        (
            json!({ "type": "eq", "key": "titel", "value": "x" }),
            "did you mean `title`?",
        ),
        (
            json!({ "type": "eq", "key": "size", "value": "large" }),
            "write a number",
        ),
    ] {
        let (status, answer) = search(filters.clone()).await;
        assert_eq!(status, 400, "{filters}: {answer}");
        assert!(answer.contains(part), "{filters}: {answer}");
    }
    let (status, answer) =
        search(json!({ "type": "eq", "key": "title", "value": "The heron" })).await;
    assert_eq!(status, 200, "{answer}");
    assert!(
        answer.contains("heron.md") && tells(&answer).is_empty(),
        "{answer}"
    );
}

#[tokio::test]
async fn a_prompt_filters_by_its_inputs_and_opens_nothing_by_that() {
    let server = server().await;
    let call = async |key: &'static str, title: Value| {
        let input = json!({ "question": "Where is the pay kept?", "title": title });
        let path = "/praxis/v1/functions/pick/call";
        let body = json!({ "input": input });
        let (status, answer) = server.ask(&Shown::Key(key), path, Some(body)).await;
        assert_eq!(status, 200, "{answer}");
        (answer.contains("pond"), !tells(&answer).is_empty())
    };
    for (key, title, heron, hidden) in [
        (KEYS[0], json!("The heron"), true, false),
        (KEYS[0], json!("The Quetzal"), false, true),
        (KEYS[0], json!(null), true, true),
        (KEYS[2], json!("The heron"), true, false),
        (KEYS[2], json!(null), true, false),
    ] {
        assert_eq!(
            call(key, title.clone()).await,
            (heron, hidden),
            "{key} {title}"
        );
    }
    // Who may not read it does not learn by a filter that it is there: an absent title finds as little.
    for title in ["The Quetzal", "The Absent"] {
        assert_eq!(call(KEYS[2], json!(title)).await, (false, false), "{title}");
    }
}
