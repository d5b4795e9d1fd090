//! Batches as one process after the other works on them, with answers that are made up: what comes out, and that
//! nothing is lost or doubled whoever is killed when.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use praxis_core::{Secret, now_s};
use praxis_knowledge::{FileLimits, NewFile};
use praxis_store::{NewKey, Scopes};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::answer::{Answer, Asked, Reply};
use super::work::{Pace, Worker};
use super::*;

const ENDPOINT: &str = "/v1/embeddings";

const PACE: Pace = Pace {
    at_once: 4,
    least_rest: Duration::ZERO,
    most_rest: Duration::ZERO,
};

/// What a request is answered by its text, and by how often it was asked; nothing: it never is.
type Script = Arc<dyn Fn(&str, usize) -> Option<Reply> + Send + Sync>;

/// Answers by a script, and notes what was asked.
struct Scripted {
    script: Script,
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    fn new(script: impl Fn(&str, usize) -> Option<Reply> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            script: Arc::new(script),
            asked: Mutex::default(),
        })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Answer for Scripted {
    fn answer(&self, asked: Asked) -> BoxFuture<'static, Reply> {
        assert_eq!(asked.endpoint, ENDPOINT);
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let text = body["input"].as_str().unwrap().to_owned();
        let times = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(text.clone());
            asked.iter().filter(|one| **one == text).count()
        };
        let script = Arc::clone(&self.script);
        async move {
            match script(&text, times) {
                Some(reply) => reply,
                None => futures::future::pending().await,
            }
        }
        .boxed()
    }
}

fn said(status: u16, body: Value) -> Reply {
    Reply {
        status,
        request: "r".to_owned(),
        body,
        retry_after: None,
    }
}

fn good(text: &str) -> Reply {
    said(
        200,
        json!({ "said": text, "usage": { "prompt_tokens": 2 } }),
    )
}

/// What a process has of an application.
struct Process {
    batches: Batches,
    files: Arc<Files>,
    store: Store,
    _dir: tempfile::TempDir,
}

async fn process_with(clock: fn() -> i64, keys: bool) -> Process {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("praxis.db")).await.unwrap();
    let limits = FileLimits::default();
    let files = Files::new(dir.path().join("files"), store.clone(), limits, clock);
    let files = Arc::new(files);
    let access = Access::new(vec![(Secret::new("server"), Caller::full())]);
    let access = keys.then(|| Arc::new(access.with_store(store.clone())));
    Process {
        batches: Batches::new(store.clone(), Arc::clone(&files), access, clock),
        files,
        store,
        _dir: dir,
    }
}

async fn process() -> Process {
    process_with(now_s, false).await
}

fn full() -> Holder {
    Caller::full().into()
}

fn labelled(name: &str) -> Holder {
    Caller {
        name: Some(name.to_owned()),
        clearance: Clearance::of([name]),
    }
    .into()
}

/// An input whose requests have these texts.
fn input(texts: &[&str]) -> String {
    let lines = texts.iter().map(|text| {
        let body = json!({ "input": text, "model": "m" });
        let line = json!({
            "custom_id": format!("id of {text}"), "method": "POST", "url": ENDPOINT, "body": body,
        });
        format!("{line}\n")
    });
    lines.collect()
}

impl Process {
    async fn send(&self, text: &str, holder: &Holder) -> String {
        let mut upload = self.files.receive().await.unwrap();
        upload.write(text.as_bytes()).await.unwrap();
        let new = NewFile {
            filename: "in.jsonl".to_owned(),
            purpose: "batch".to_owned(),
            expires_after: None,
        };
        let file = self.files.keep(upload, new, &holder.caller).await;
        file.unwrap().id
    }

    async fn make_by(&self, holder: &Holder, text: &str) -> Batch {
        let new = NewBatch {
            input: self.send(text, holder).await,
            endpoint: ENDPOINT.to_owned(),
            output_expires: Some(3600),
            ..NewBatch::default()
        };
        self.batches.create(new, holder).await.unwrap()
    }

    async fn make(&self, texts: &[&str]) -> Batch {
        self.make_by(&full(), &input(texts)).await
    }

    async fn get(&self, batch: &Batch) -> Batch {
        let found = self.batches.get(&batch.id, &Clearance::Full).await;
        found.unwrap()
    }

    /// Works until a batch is so, and is killed then.
    async fn work(
        &self,
        batch: &Batch,
        answers: &Arc<Scripted>,
        until: impl Fn(&Batch) -> bool,
    ) -> Batch {
        let answers: Arc<dyn Answer> = Arc::<Scripted>::clone(answers);
        let mut worker = Worker::new(&self.batches, answers, PACE);
        loop {
            let batch = self.get(batch).await;
            if until(&batch) {
                return batch;
            }
            if !worker.step().await.unwrap() {
                worker.wait().await;
            }
        }
    }

    /// The lines of a file.
    async fn lines(&self, file: Option<&String>) -> Vec<Value> {
        let Some(id) = file else { return Vec::new() };
        let file = self.files.get(id, &Clearance::Full).await.unwrap();
        let mut text = String::new();
        let mut bytes = self.files.content(&file).await.unwrap();
        bytes.read_to_string(&mut text).await.unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Texts of the requests that were answered well, and those of all others with what became of them.
    async fn results(&self, batch: &Batch) -> (Vec<String>, Vec<(String, String)>) {
        let text = |line: &Value| {
            let id = line["custom_id"].as_str().unwrap();
            id.strip_prefix("id of ").unwrap().to_owned()
        };
        let output = self.lines(batch.output_file.as_ref()).await;
        let error = self.lines(batch.error_file.as_ref()).await;
        let good = output.iter().map(|line| {
            assert_eq!(line["response"]["body"]["said"], text(line));
            text(line)
        });
        let bad = error.iter().map(|line| {
            let code = match &line["error"]["code"] {
                Value::String(code) => code.clone(),
                _ => line["response"]["status_code"].to_string(),
            };
            (text(line), code)
        });
        (good.collect(), bad.collect())
    }

    async fn outputs(&self) -> usize {
        let page = Page {
            limit: 100,
            ..Page::default()
        };
        let purpose = Some("batch_output");
        let listed = self.files.list(purpose, &page, &Clearance::Full).await;
        listed.unwrap().items.len()
    }
}

fn has_ended(batch: &Batch) -> bool {
    batch.times.ended.is_some()
}

fn counts(batch: &Batch) -> [u64; 3] {
    let counts = batch.counts;
    [counts.total, counts.completed, counts.failed]
}

#[tokio::test]
async fn a_batch_leaves_its_results_in_the_order_of_its_input() {
    let process = process().await;
    let made = process.make(&["a", "bad", "c", "broken", "e", "f"]).await;
    assert_eq!(made.status, BatchStatus::Validating);
    assert_eq!(process.get(&made).await, made);
    let answers = Scripted::new(|text, _| match text {
        "bad" => Some(said(400, json!({ "error": { "code": "invalid_request" } }))),
        "broken" => panic!("a handler is broken"),
        text => Some(good(text)),
    });
    let ended = process.work(&made, &answers, has_ended).await;
    assert_eq!(ended.status, BatchStatus::Completed);
    assert_eq!(counts(&ended), [6, 4, 2]);
    assert_eq!(ended.usage.input_tokens, 8);
    assert_eq!(ended.model.as_deref(), Some("m"));
    let (good, bad) = process.results(&ended).await;
    assert_eq!(good, ["a", "c", "e", "f"]);
    let pair = |text: &str, code: &str| (text.to_owned(), code.to_owned());
    assert_eq!(bad, [pair("bad", "400"), pair("broken", "500")]);
    let id = ended.output_file.as_ref().unwrap();
    let file = process.files.get(id, &Clearance::Full).await.unwrap();
    assert_eq!(file.filename, format!("{}_output.jsonl", made.id));
    assert_eq!(file.expires, Some(file.created + 3600));
    let rows = process.store.answered_lines(&made.id).await.unwrap();
    assert!(rows.is_empty());
}

#[tokio::test]
async fn whoever_is_killed_no_request_is_lost_and_none_has_two_results() {
    let texts: Vec<String> = (0..12).map(|n| n.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for stops in [&[0][..], &[3], &[11], &[1, 4, 9], &[12]] {
        let process = process().await;
        let made = process.make(&texts).await;
        let mut known = 0;
        for &stop in stops {
            // Requests behind the stop run when the process is killed.
            let answers = Scripted::new(move |text, _| {
                let number: u64 = text.parse().unwrap();
                (number < stop).then(|| good(text))
            });
            let kept = |batch: &Batch| {
                let goes_on = batch.times.begun.is_some() && !has_ended(batch);
                goes_on && batch.counts.completed == stop
            };
            let killed = process.work(&made, &answers, kept).await;
            assert_eq!(counts(&killed), [12, stop, 0]);
            let asked = answers.asked();
            let done = &texts[..known];
            let again = asked.iter().any(|text| done.contains(&text.as_str()));
            assert!(!again, "{asked:?}");
            known = usize::try_from(stop).unwrap();
        }
        let answers = Scripted::new(|text, _| Some(good(text)));
        let ended = process.work(&made, &answers, has_ended).await;
        assert_eq!(answers.asked(), texts[known..]);
        assert_eq!(counts(&ended), [12, 12, 0]);
        let (good, bad) = process.results(&ended).await;
        assert_eq!(good, texts);
        assert!(bad.is_empty(), "{bad:?}");
        assert_eq!(process.outputs().await, 1);
    }
}

#[tokio::test]
async fn whoever_is_killed_while_files_are_written_there_is_one_of_each() {
    let process = process().await;
    let made = process.make(&["a", "b"]).await;
    let answers = Scripted::new(|text, _| Some(good(text)));
    let ready = |batch: &Batch| batch.status == BatchStatus::Finalizing;
    let ready = process.work(&made, &answers, ready).await;
    // The bytes are there, and nothing is noted.
    let mut upload = process.files.write_own().await.unwrap();
    upload.write(b"{}\n").await.unwrap();
    let nobody = Owned::default();
    let placed = process
        .files
        .place(vec![(upload, NewFile::default())], &nobody);
    drop(placed.await.unwrap());
    assert_eq!(process.outputs().await, 0);
    let ended = process.work(&made, &answers, has_ended).await;
    assert_eq!(process.outputs().await, 1);
    // Another process did not hear of it.
    output::finish(&process.batches, &ready).await.unwrap();
    assert_eq!(process.outputs().await, 1);
    assert_eq!(process.get(&made).await, ended);
    assert_eq!(answers.asked().len(), 2);
}

#[tokio::test]
async fn a_request_that_there_is_no_room_for_is_made_again_and_one_without_a_budget_is_not() {
    let process = process().await;
    let made = process.make(&["a", "b", "spent", "c", "d", "e"]).await;
    let code = |code: &str| said(429, json!({ "error": { "code": code } }));
    let answers = Scripted::new(move |text, times| {
        Some(match (text, times) {
            ("spent", _) => code("quota_exceeded"),
            (_, 1 | 2) => code("rate_limited"),
            (text, _) => good(text),
        })
    });
    let ended = process.work(&made, &answers, has_ended).await;
    assert_eq!(ended.status, BatchStatus::Completed);
    let (good, bad) = process.results(&ended).await;
    assert_eq!(good, ["a", "b", "c", "d", "e"]);
    assert_eq!(bad, [("spent".to_owned(), "429".to_owned())]);
    assert_eq!(answers.asked().len(), 3 * 5 + 1);
}

#[tokio::test]
async fn an_outage_uses_up_no_request_and_one_that_always_fails_ends() {
    let process = process().await;
    let made = process.make(&["a", "away", "b", "slow"]).await;
    let code = |status: u16, code: &str| said(status, json!({ "error": { "code": code } }));
    let answers = Scripted::new(move |text, times| {
        Some(match (text, times) {
            ("away", _) => code(502, "upstream_error"),
            ("slow", 1..=9) => code(504, "timeout"),
            (_, 1) => code(503, "model_not_pulled"),
            (text, _) => good(text),
        })
    });
    let ended = process.work(&made, &answers, has_ended).await;
    assert_eq!(ended.status, BatchStatus::Completed);
    let (good, bad) = process.results(&ended).await;
    assert_eq!(good, ["a", "b", "slow"]);
    assert_eq!(bad, [("away".to_owned(), "502".to_owned())]);
    assert_eq!(answers.asked().len(), 2 + 2 + 10 + 10);
}

#[tokio::test]
async fn what_is_called_off_gives_what_was_there() {
    let process = process().await;
    let made = process.make(&["a", "b", "c", "d", "e", "f", "g"]).await;
    let answers = Scripted::new(|text, _| (text < "c").then(|| good(text)));
    let two = |batch: &Batch| batch.counts.completed == 2;
    process.work(&made, &answers, two).await;
    for _ in 0..2 {
        let cancelled = process.batches.cancel(&made.id, &Caller::full()).await;
        assert_eq!(cancelled.unwrap().status, BatchStatus::Cancelling);
    }
    let ended = process.work(&made, &answers, has_ended).await;
    assert_eq!(ended.status, BatchStatus::Cancelled);
    assert_eq!(counts(&ended), [7, 2, 5]);
    let (good, bad) = process.results(&ended).await;
    assert_eq!(good, ["a", "b"]);
    let rest =
        ["c", "d", "e", "f", "g"].map(|text| (text.to_owned(), "batch_cancelled".to_owned()));
    assert_eq!(bad, rest);
    let again = process.batches.cancel(&made.id, &Caller::full()).await;
    assert_eq!(again.unwrap(), ended);
}

#[tokio::test]
async fn what_is_called_off_before_it_is_read_leaves_no_files() {
    let process = process().await;
    let made = process.make(&["a"]).await;
    let caller = Caller::full();
    process.batches.cancel(&made.id, &caller).await.unwrap();
    let answers = Scripted::new(|_, _| None);
    let ended = process.work(&made, &answers, has_ended).await;
    assert_eq!(ended.status, BatchStatus::Cancelled);
    assert_eq!((ended.output_file, ended.error_file), (None, None));
    assert!(answers.asked().is_empty());
}

#[tokio::test]
async fn what_takes_longer_than_a_day_expires_with_what_is_there() {
    static CLOCK: AtomicI64 = AtomicI64::new(1_774_948_000);
    fn clock() -> i64 {
        CLOCK.load(Ordering::Relaxed)
    }
    let process = process_with(clock, false).await;
    let made = process.make(&["a", "b", "c"]).await;
    assert_eq!(made.times.expires, made.times.created + 86_400);
    let answers = Scripted::new(|text, _| (text == "b").then(|| good(text)));
    let one = |batch: &Batch| batch.counts.completed == 1;
    process.work(&made, &answers, one).await;
    CLOCK.fetch_add(WINDOW, Ordering::Relaxed);
    let ended = process.work(&made, &answers, has_ended).await;
    assert_eq!(ended.status, BatchStatus::Expired);
    assert_eq!(counts(&ended), [3, 1, 2]);
    let (good, bad) = process.results(&ended).await;
    assert_eq!(good, ["b"]);
    let expired = |text: &str| (text.to_owned(), "batch_expired".to_owned());
    assert_eq!(bad, [expired("a"), expired("c")]);
}

#[tokio::test]
async fn a_batch_ends_with_its_makers_key() {
    let process = process_with(now_s, true).await;
    let access = process.batches.access.clone().unwrap();
    let new = NewKey {
        name: "desk".to_owned(),
        scopes: Scopes::all(),
        clearance: Clearance::of(["hr"]),
        limits: Vec::new(),
        expires_ms: None,
    };
    let made = process.store.create_key(new, 0).await.unwrap();
    let (_, secret) = made.unwrap();
    let holder = access.holder_of(secret.expose()).await.unwrap().unwrap();
    let made = process.make_by(&holder, &input(&["a", "b", "c"])).await;
    let server = access.holder_of("server").await.unwrap().unwrap();
    let other = process.make_by(&server, &input(&["d"])).await;
    assert_eq!(
        (made.owner.as_deref(), &made.labels[..]),
        (Some("desk"), &["hr".to_owned()][..])
    );
    let answers = Scripted::new(|text, _| (text == "a").then(|| good(text)));
    let one = |batch: &Batch| batch.counts.completed == 1;
    process.work(&made, &answers, one).await;
    assert!(process.store.revoke_key("desk", 1).await.unwrap());
    let answers = Scripted::new(|text, _| Some(good(text)));
    let ended = process.work(&made, &answers, has_ended).await;
    assert_eq!(ended.status, BatchStatus::Failed);
    assert_eq!(ended.errors[0].code, "unauthorized");
    assert!(ended.errors[0].message.contains("revoked"));
    let (good, bad) = process.results(&ended).await;
    assert_eq!(good, ["a"]);
    let failed = |text: &str| (text.to_owned(), "batch_failed".to_owned());
    assert_eq!(bad, [failed("b"), failed("c")]);
    // What is another key's goes on.
    let ended = process.work(&other, &answers, has_ended).await;
    assert_eq!(ended.status, BatchStatus::Completed);
    assert!(answers.asked().iter().all(|text| text == "d"));
}

#[tokio::test]
async fn a_batch_of_a_key_does_not_go_on_without_keys_nor_the_other_way_round() {
    for (keys, maker) in [
        (false, Maker::Stored("key-1".to_owned())),
        (false, Maker::Configured(None)),
        (true, Maker::Nobody),
        (true, Maker::Configured(Some("gone".to_owned()))),
    ] {
        let process = process_with(now_s, keys).await;
        assert_eq!(
            process.batches.holder(&maker).await.unwrap(),
            None,
            "{maker:?}"
        );
    }
    let process = process_with(now_s, true).await;
    let server = process.batches.holder(&Maker::Configured(None)).await;
    assert!(server.unwrap().is_some());
}

#[tokio::test]
async fn an_input_that_is_wrong_is_refused_whole() {
    let process = process().await;
    let text = format!("{}{{\n", input(&["a"]));
    let made = process.make_by(&full(), &text).await;
    let answers = Scripted::new(|text, _| Some(good(text)));
    let ended = process.work(&made, &answers, has_ended).await;
    assert_eq!(ended.status, BatchStatus::Failed);
    let error = &ended.errors[0];
    assert_eq!(
        (error.line, error.code.as_str()),
        (Some(2), "invalid_json_line")
    );
    assert!(answers.asked().is_empty());
    assert_eq!(process.outputs().await, 0);
    // Nor is it a batch at all without a file that was sent for one.
    let new = |input: &str| NewBatch {
        input: input.to_owned(),
        endpoint: ENDPOINT.to_owned(),
        ..NewBatch::default()
    };
    let absent = process.batches.create(new("file-none"), &full()).await;
    assert_eq!(absent.unwrap_err().code, ErrorCode::NotFound);
    let upload = process.files.receive().await.unwrap();
    let other = NewFile {
        purpose: "assistants".to_owned(),
        ..NewFile::default()
    };
    let other = process.files.keep(upload, other, &Caller::full()).await;
    let refused = process
        .batches
        .create(new(&other.unwrap().id), &full())
        .await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn the_batches_have_their_turns() {
    let process = process().await;
    let first = process.make(&["a1", "a2", "a3"]).await;
    process.make(&["b1", "b2", "b3"]).await;
    let answers = Scripted::new(|text, _| Some(good(text)));
    let dynamic: Arc<dyn Answer> = Arc::<Scripted>::clone(&answers);
    let one = Pace { at_once: 1, ..PACE };
    let mut worker = Worker::new(&process.batches, dynamic, one);
    while !has_ended(&process.get(&first).await) {
        if !worker.step().await.unwrap() {
            worker.wait().await;
        }
    }
    let asked = answers.asked();
    assert_eq!(asked[..5], ["a1", "b1", "a2", "b2", "a3"]);
}

#[tokio::test]
async fn a_batch_goes_on_when_its_input_is_deleted_and_its_bytes_go_with_it() {
    let process = process().await;
    let made = process.make(&["a", "b"]).await;
    let caller = Caller::full();
    process.files.delete(&made.input, &caller).await.unwrap();
    let path = process.files.path(&made.hash);
    assert!(path.exists());
    let answers = Scripted::new(|text, _| Some(good(text)));
    let released = |batch: &Batch| has_ended(batch) && !path.exists();
    let ended = process.work(&made, &answers, released).await;
    assert_eq!(counts(&ended), [2, 2, 0]);
}

#[tokio::test]
async fn a_batch_is_seen_by_who_may_read_it_and_called_off_by_its_maker() {
    let process = process().await;
    let holder = labelled("hr");
    let made = process.make_by(&holder, &input(&["a"])).await;
    let open = process.make(&["b"]).await;
    for (caller, batch, code) in [
        (&labelled("it").caller, &made, Some(ErrorCode::NotFound)),
        (&labelled("it").caller, &open, Some(ErrorCode::Forbidden)),
        (&holder.caller, &made, None),
        (&Caller::full(), &open, None),
    ] {
        let cancelled = process.batches.cancel(&batch.id, caller).await;
        assert_eq!(cancelled.err().map(|error| error.code), code, "{caller:?}");
    }
    // What comes of a file that not everybody may read is not for everybody.
    let new = NewBatch {
        input: made.input.clone(),
        endpoint: ENDPOINT.to_owned(),
        ..NewBatch::default()
    };
    let by_all = process.batches.create(new, &full()).await.unwrap();
    assert_eq!((by_all.owner, by_all.labels), (None, vec!["hr".to_owned()]));
    let page = Page {
        limit: 10,
        descending: true,
        ..Page::default()
    };
    for (clearance, seen) in [
        (Clearance::Full, 3),
        (Clearance::of(["hr"]), 3),
        (Clearance::of(["it"]), 1),
    ] {
        let listed = process.batches.list(&page, &clearance).await.unwrap();
        assert_eq!(listed.items.len(), seen, "{clearance:?}");
    }
}

#[tokio::test]
async fn a_key_has_so_many_batches_open_and_no_more() {
    let process = process().await;
    let input = process.send(&input(&["a"]), &full()).await;
    let new = || NewBatch {
        input: input.clone(),
        endpoint: ENDPOINT.to_owned(),
        ..NewBatch::default()
    };
    for _ in 0..BOUNDS.of_one {
        process.batches.create(new(), &full()).await.unwrap();
    }
    let refused = process.batches.create(new(), &full()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::RateLimited);
}
