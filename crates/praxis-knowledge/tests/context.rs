//! What a chat model writes about chunks of a real base: found by it, cited without it, asked for once, gone on with
//! after a stop, and done without where the model is away. The model names the subject that a passage leaves out, so
//! that what must be found is known; the last test lets a real small model write. Vectors are counts of words.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they skip"
)]

#[path = "support/counts.rs"]
mod counts;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use counts::Counts;
use futures::StreamExt;
use praxis_core::embed::{EmbedKind, TokenCounter};
use praxis_core::trace::{NoTrace, SpanKind};
use praxis_core::{
    CallContext, Caller, ChatChunk, ChatGateway, ChatRequest, ChatStream, Clearance, Constraint,
    Embedder, ErrorCode, FinishReason, ModelError, Passage, Query, Retriever, Span, TraceSink,
    Usage,
};
use praxis_gateway::{Gateway, GatewayConfig};
use praxis_hub::{Cache, Catalogue};
use praxis_knowledge::{BaseConfig, ContextReport, IngestEvent, IngestReport, Knowledge};
use praxis_store::Store;
use tokio_util::sync::CancellationToken;

const SMALL: &str = "smollm2-135m-instruct";

/// The same vectors under another name.
struct Again;

#[async_trait]
impl Embedder for Again {
    fn identity(&self) -> String {
        "again@1".to_owned()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Counts.dimension().await
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Counts.max_tokens().await
    }

    async fn embed(
        &self,
        kind: EmbedKind,
        texts: Vec<String>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        Counts.embed(kind, texts).await
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Counts.token_counter().await
    }
}

/// Says of each passage that it is about the last word of its document's title.
#[derive(Default)]
struct Writer {
    asked: AtomicUsize,
    /// Whether it is down.
    down: AtomicBool,
    /// Whether it refuses whatever it is asked, as one does whose account has no money.
    refuses_all: AtomicBool,
    /// What it was asked last.
    last: Mutex<String>,
}

#[async_trait]
impl ChatGateway for Writer {
    async fn chat(&self, request: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if request.model == "nobody" {
            return Err(ModelError::NotFound("no model `nobody`".to_owned()));
        }
        if self.down.load(Ordering::Relaxed) {
            return Err(ModelError::Unavailable("it is down".to_owned()));
        }
        let asked = request.messages.last().unwrap().text().into_owned();
        if asked.contains("Passage:\nForbidden") {
            let reason = "the content filter was triggered";
            return Err(ModelError::InvalidRequest(reason.to_owned()));
        }
        if self.refuses_all.load(Ordering::Relaxed) {
            let reason = "your credit balance is too low";
            return Err(ModelError::InvalidRequest(reason.to_owned()));
        }
        let Some(Constraint::JsonSchema(form)) = &request.constraint else {
            return Err(ModelError::InvalidRequest("no form".to_owned()));
        };
        let title = asked.split("Title: ").nth(1).unwrap_or_default();
        let subject = title
            .lines()
            .next()
            .unwrap_or_default()
            .split(' ')
            .next_back()
            .unwrap();
        let context = format!("Concerns the {subject}.");
        let text = if asked.contains("Passage:\nNonsense") {
            "I cannot say.".to_owned()
        } else if form["properties"].get("questions").is_some() {
            format!("{{\"context\": \"{context}\", \"questions\": [\"Whence {subject}?\"]}}")
        } else {
            format!("{{\"context\": \"{context}\"}}")
        };
        *self.last.lock().unwrap() = asked;
        let chunks = [
            Ok(ChatChunk::Delta {
                text,
                logprobs: Vec::new(),
            }),
            Ok(ChatChunk::Done {
                finish_reason: FinishReason::Stop,
                usage: Usage {
                    input_tokens: 100,
                    output_tokens: 10,
                    ..Usage::default()
                },
            }),
        ];
        Ok(futures::stream::iter(chunks).boxed())
    }
}

/// Sections that are long enough to be chunks of their own, and that do not name what they are about.
fn article(title: &str, sections: &[&str]) -> String {
    let mut text = format!("# All of the {title}\n\n");
    for section in sections {
        let said =
            format!("{section} it was as it is said to have been, and so it stayed. ").repeat(3);
        text.push_str(&format!("## {section}\n\n{said}\n\n"));
    }
    text
}

struct Desk {
    writer: Arc<Writer>,
    dir: tempfile::TempDir,
}

const ON: &str = "[segment]\nmax_tokens = 64\n[context]\nenabled = true\nconcurrency = 1\n";
const OFF: &str = "[segment]\nmax_tokens = 64\n";

/// One lane of the search alone.
const KEYWORDS: &str = "[search]\nkeyword_weight = 1.0\nvector_weight = 0.0\n";
const VECTORS: &str = "[search]\nkeyword_weight = 0.0\nvector_weight = 1.0\nfeedback = 0.0\n";

impl Desk {
    fn new() -> Self {
        let desk = Self {
            writer: Arc::default(),
            dir: tempfile::tempdir().unwrap(),
        };
        desk.write("walrus.md", &article("walrus", &["Morning", "Noon"]));
        desk.write(
            "heron.md",
            &article("heron", &["Morning", "Evening", "Night"]),
        );
        desk
    }

    fn write(&self, uri: &str, text: &str) {
        let folder = self.dir.path().join("knowledge");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(uri), text).unwrap();
    }

    /// The base, as a process of its own would open it.
    async fn open(&self, base: &str) -> Knowledge {
        let writer = Arc::clone(&self.writer) as Arc<dyn ChatGateway>;
        opened(self.dir.path(), base, writer).await
    }

    /// Ingests as a process of its own would.
    async fn ingest(&self, base: &str) -> IngestReport {
        let knowledge = self.open(base).await;
        knowledge.ingest("docs", &|_| {}, &cx()).await.unwrap()
    }

    fn asked(&self) -> usize {
        self.writer.asked.swap(0, Ordering::Relaxed)
    }
}

async fn opened(dir: &Path, base: &str, chat: Arc<dyn ChatGateway>) -> Knowledge {
    let config: BaseConfig = toml::from_str(base).unwrap();
    assert_eq!(config.problems(), []);
    Knowledge::open(
        dir.join("state"),
        Store::open(&dir.join("praxis.db")).await.unwrap(),
        vec![("docs".to_owned(), dir.join("knowledge"), config)],
        Arc::new(|name| {
            Ok(match name {
                Some("again") => Arc::new(Again) as Arc<dyn Embedder>,
                _ => Arc::new(Counts),
            })
        }),
    )
    .with_models(chat, Arc::new(|_| Ok(None)))
}

fn cx() -> CallContext {
    CallContext::new(Arc::new(NoTrace)).with_caller(Caller::full())
}

async fn found(knowledge: &Knowledge, question: &str) -> Vec<Passage> {
    let query = Query::new(question, 10);
    knowledge
        .search("docs", &query, &cx())
        .await
        .unwrap()
        .passages
}

fn contexts(report: &IngestReport) -> &ContextReport {
    report.contexts.as_ref().unwrap()
}

/// What stands before the chunks of the base, in the order of documents.
async fn written(knowledge: &Knowledge) -> Vec<String> {
    let heads = knowledge.documents("docs", &Clearance::Full).await.unwrap();
    let mut all = Vec::new();
    for head in heads {
        let document = knowledge
            .document(&head.id, &Clearance::Full)
            .await
            .unwrap();
        all.extend(document.chunks.into_iter().map(|c| c.context));
    }
    all
}

#[tokio::test]
async fn a_passage_is_found_by_what_was_written_about_it_and_cited_without() {
    let desk = Desk::new();
    let plain = desk.ingest(OFF).await;
    assert_eq!(plain.contexts, None);
    assert_eq!(desk.asked(), 0, "it is off by default");
    let words = "concerns whence";
    let off = format!("{OFF}{KEYWORDS}");
    assert_eq!(found(&desk.open(&off).await, words).await, []);

    let both = format!("{ON}questions = 1\n{KEYWORDS}");
    let report = desk.ingest(&both).await;
    assert_eq!(
        (report.updated, contexts(&report).written),
        (2, 5),
        "{report:?}"
    );
    assert_eq!(contexts(&report).usage.input_tokens, 500);
    assert_eq!(desk.asked(), 5);
    let knowledge = desk.open(&both).await;
    let hits = found(&knowledge, words).await;
    assert_eq!(hits.len(), 5);
    for hit in &hits {
        assert!(
            !hit.text.contains("Concerns") && !hit.text.contains("Whence"),
            "{}",
            hit.text
        );
        assert!(hit.text.contains("as it is said to have been"));
    }
    let about = written(&knowledge).await;
    assert_eq!(about.len(), 5);
    assert!(
        about.contains(&"Concerns the walrus.\nWhence walrus?".to_owned()),
        "{about:?}"
    );
    // The model saw the passage in its document.
    let asked = desk.writer.last.lock().unwrap().clone();
    assert!(asked.contains("Document:\nTitle: All of the ") && asked.contains("Passage:\n"));
    assert!(knowledge.check("docs").await.unwrap().is_clean());

    let again = desk.ingest(&both).await;
    assert_eq!((again.unchanged, again.contexts), (2, None));
    assert_eq!(desk.asked(), 0);
    assert_eq!(desk.ingest(&off).await.updated, 2);
    let knowledge = desk.open(&off).await;
    assert_eq!(written(&knowledge).await, ["", "", "", "", ""]);
    assert_eq!(found(&knowledge, words).await, []);
}

#[tokio::test]
async fn a_change_is_asked_about_where_it_is() {
    let desk = Desk::new();
    desk.ingest(ON).await;
    assert_eq!(desk.asked(), 5);
    desk.write("walrus.md", &article("walrus", &["Morning", "Dusk"]));
    let report = desk.ingest(ON).await;
    // Both chunks of the walrus are read with the changed document around them; the heron's are as they were.
    assert_eq!((report.updated, contexts(&report).written), (1, 2));
    assert_eq!(desk.asked(), 2);
    // Other settings of the cut read the documents anew, and know what was written about the same passages.
    let report = desk
        .ingest(&ON.replace("[segment]\n", "[segment]\nmin_tokens = 31\n"))
        .await;
    assert_eq!(
        (report.updated, contexts(&report).known, desk.asked()),
        (2, 5, 0),
        "{report:?}"
    );
    // What a document had is forgotten with it.
    std::fs::remove_file(desk.dir.path().join("knowledge/walrus.md")).unwrap();
    assert_eq!(desk.ingest(ON).await.removed, 1);
    desk.asked();
    desk.write("walrus.md", &article("walrus", &["Morning", "Dusk"]));
    assert_eq!(contexts(&desk.ingest(ON).await).written, 2);
}

#[tokio::test]
async fn an_ingest_that_was_stopped_asks_for_nothing_twice() {
    let desk = Desk::new();
    let knowledge = desk.open(ON).await;
    let cancel = CancellationToken::new();
    let stop = |event: IngestEvent| {
        if matches!(event, IngestEvent::Contexts { done: 2, .. }) {
            cancel.cancel();
        }
    };
    let stopped = knowledge
        .ingest("docs", &stop, &cx().with_cancel(cancel.clone()))
        .await;
    assert_eq!(stopped.unwrap_err().code, ErrorCode::Cancelled);
    let before = desk.asked();
    assert!((2..5).contains(&before), "{before}");
    let report = desk.ingest(ON).await;
    assert_eq!(report.added, 2);
    assert_eq!(contexts(&report).known + contexts(&report).written, 5);
    assert_eq!(before + desk.asked(), 5, "each chunk is asked about once");
}

#[tokio::test]
async fn without_the_model_documents_are_found_and_asked_about_later() {
    let desk = Desk::new();
    desk.writer.down.store(true, Ordering::Relaxed);
    let report = desk.ingest(ON).await;
    assert_eq!(report.added, 2);
    assert_eq!(contexts(&report).missing, 5);
    assert!(
        contexts(&report)
            .reason
            .as_ref()
            .unwrap()
            .contains("it is down")
    );
    assert_eq!(
        desk.asked(),
        3,
        "after three chunks without an answer nobody is asked"
    );
    let knowledge = desk.open(ON).await;
    assert!(!found(&knowledge, "What was at noon?").await.is_empty());

    desk.writer.down.store(false, Ordering::Relaxed);
    let report = desk.ingest(ON).await;
    assert_eq!((report.updated, contexts(&report).written), (2, 5));
    assert_eq!(desk.ingest(ON).await.unchanged, 2);

    let nobody = format!("{ON}model = \"nobody\"\n");
    let knowledge = desk.open(&nobody).await;
    let refused = knowledge.ingest("docs", &|_| {}, &cx()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound, "{refused}");
    let kept = written(&knowledge).await;
    assert!(
        kept.iter().all(|context| !context.is_empty()),
        "the base is as it was: {kept:?}"
    );
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_told_and_not_asked_for_again() {
    let desk = Desk::new();
    desk.write(
        "odd.md",
        &article("newt", &["Nonsense", "Noon"]).replace("## Nonsense\n\n", ""),
    );
    let spans = Arc::new(Spans::default());
    let knowledge = desk.open(ON).await;
    let traced = CallContext::new(Arc::clone(&spans) as Arc<dyn TraceSink>);
    let report = knowledge.ingest("docs", &|_| {}, &traced).await.unwrap();
    assert_eq!(
        (contexts(&report).written, contexts(&report).unusable),
        (6, 1),
        "{report:?}"
    );
    let spans = std::mem::take(&mut *spans.0.lock().unwrap());
    let steps: Vec<&Span> = spans.iter().filter(|s| s.kind == SpanKind::Step).collect();
    assert_eq!(steps.iter().filter(|s| s.name == "context").count(), 7);
    let root = steps.iter().find(|s| s.name == "ingest").unwrap();
    assert_eq!(
        (&root.parent_id, &root.output["contexts"]["unusable"]),
        (&None, &1.into())
    );
    desk.asked();
    desk.write(
        "odd.md",
        &(article("newt", &["Nonsense", "Noon"]).replace("## Nonsense\n\n", "") + "\n\n"),
    );
    let report = desk.ingest(ON).await;
    assert_eq!(
        (
            contexts(&report).unusable,
            contexts(&report).known,
            desk.asked()
        ),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn a_passage_that_the_model_refuses_is_told_with_its_document_and_stops_nothing() {
    let desk = Desk::new();
    let odd = article("newt", &["Forbidden", "Noon"]).replace("## Forbidden\n\n", "");
    desk.write("odd.md", &odd);
    let report = desk.ingest(ON).await;
    assert_eq!((report.added, report.failed.len()), (3, 0), "{report:?}");
    assert_eq!(
        (contexts(&report).written, contexts(&report).unusable),
        (6, 1),
        "{report:?}"
    );
    let [warning] = &report.warnings[..] else {
        panic!("{report:?}");
    };
    assert_eq!(warning.uri, "odd.md");
    assert!(
        warning.reason.contains("content filter") && warning.reason.contains("1 of its 2"),
        "{warning:?}"
    );
    desk.asked();
    desk.write("odd.md", &format!("{odd}\n\n"));
    let report = desk.ingest(ON).await;
    assert_eq!((report.updated, desk.asked()), (1, 0), "{report:?}");

    // A model that refuses all is no matter of a passage: nothing is kept of it.
    desk.writer.refuses_all.store(true, Ordering::Relaxed);
    desk.write("eel.md", &article("eel", &["Morning", "Noon"]));
    let knowledge = desk.open(ON).await;
    let refused = knowledge.ingest("docs", &|_| {}, &cx()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidRequest);
    for part in ["`eel.md`", "credit balance"] {
        assert!(refused.message.contains(part), "{part}: {refused:?}");
    }
    desk.writer.refuses_all.store(false, Ordering::Relaxed);
    let report = desk.ingest(ON).await;
    assert_eq!(contexts(&report).written, 2, "{report:?}");
}

#[tokio::test]
async fn a_move_to_another_embedder_takes_contexts_along() {
    let desk = Desk::new();
    desk.write("short.md", "One line.\n");
    let base = format!("{ON}questions = 1\n{VECTORS}");
    desk.ingest(&base).await;
    let knowledge = desk.open(&base).await;
    let question = "concerns the heron, whence?";
    let before = found(&knowledge, question).await;
    let cancel = CancellationToken::new();
    let moved = knowledge.reembed("docs", "again", &|_| {}, &cancel).await;
    assert_eq!(moved.unwrap().embedded, 6);
    let after = found(&knowledge, question).await;
    assert_eq!(before, after, "the same texts have the same vectors");
}

#[derive(Default)]
struct Spans(Mutex<Vec<Span>>);

impl TraceSink for Spans {
    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

#[tokio::test]
async fn a_small_model_writes_within_bounds() {
    let catalogue = Catalogue::builtin().unwrap();
    let cache = Cache::open(None).unwrap();
    if cache.resolve(catalogue.get(SMALL).unwrap()).is_none() {
        eprintln!("SKIPPED: needs `praxis models pull {SMALL}`");
        return;
    }
    let desk = Desk::new();
    desk.write("school.md", "# 江城大学化学系\n\n化学系成立于1952年，系主任是陈立群。\n\n## 时间\n\n他每周二下午接待学生。\n");
    let gateway = Gateway::new(GatewayConfig::default(), Cache::open(None).unwrap()).unwrap();
    let base = format!("{ON}model = \"{SMALL}\"\nquestions = 2\n");
    let knowledge = opened(desk.dir.path(), &base, Arc::new(gateway)).await;
    let report = knowledge.ingest("docs", &|_| {}, &cx()).await.unwrap();
    let chunks = written(&knowledge).await;
    assert_eq!(contexts(&report).written, chunks.len(), "{report:?}");
    assert_eq!(contexts(&report).missing, 0);
    for context in &chunks {
        let words = context.split_whitespace().count();
        assert!(
            !context.is_empty() && words <= 80 + 2 * 24,
            "{words}: {context}"
        );
        assert!(context.lines().count() <= 3, "{context}");
    }
    let usage = contexts(&report).usage;
    assert!(
        usage.cached_tokens > usage.input_tokens / 2,
        "the document is read once: {usage:?}"
    );
}
