//! Kept answers (`praxis.cache`): who gets one, what is never kept, and what a caller hears of it.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use praxis_core::{Caller, ChunkId, Clearance, DocumentId, Money, Payer};

use super::*;

/// The front matter of the cache; vectors of the embedder here have no threshold that was measured.
const CACHE: &str = "praxis.cache: {similar: 0.9, ttl: 1h}\n";

type Answers = dyn Fn(&ChatRequest, usize) -> (String, FinishReason) + Send + Sync;

/// A model that answers as its script says, and leaves a span with what that took.
struct Model {
    script: Box<Answers>,
    asked: Mutex<Vec<ChatRequest>>,
}

#[async_trait]
impl ChatGateway for Model {
    async fn chat(&self, request: ChatRequest, cx: &CallContext) -> Result<ChatStream, ModelError> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request.clone());
            asked.len() - 1
        };
        let (text, finish_reason) = (self.script)(&request, number);
        if text == "!" {
            return Err(ModelError::Unavailable("down".into()));
        }
        let usage = Usage {
            input_tokens: 70,
            output_tokens: 3,
            ..Usage::default()
        };
        let (mut span, _) = cx.span(SpanKind::Chat, "m", Value::Null);
        span.charge(usage, Money(5));
        span.finish(Value::Null);
        let chunks = vec![
            Ok(ChatChunk::Delta {
                text,
                logprobs: Vec::new(),
            }),
            Ok(ChatChunk::Done {
                finish_reason,
                usage,
            }),
        ];
        Ok(futures::stream::iter(chunks).boxed())
    }
}

/// A base whose passages change.
#[derive(Default)]
struct Documents(Mutex<Vec<Passage>>);

#[async_trait]
impl Retriever for Documents {
    async fn search(&self, _: &str, _: &Query, _: &CallContext) -> Result<Retrieval, CallError> {
        Ok(Retrieval {
            passages: self.0.lock().unwrap().clone(),
            ..Retrieval::default()
        })
    }
}

impl Documents {
    fn are(&self, texts: &[&str]) {
        *self.0.lock().unwrap() = texts.iter().map(|text| passage(text)).collect();
    }
}

fn passage(text: &str) -> Passage {
    Passage {
        chunk: ChunkId::from_string(text),
        document: DocumentId::from_string(text),
        title: "t".into(),
        uri: "u".into(),
        headings: vec![],
        page: None,
        start: 0,
        end: 1,
        text: text.into(),
        score: 1.0,
        relevance: 0.9,
    }
}

/// An application that stays from call to call.
struct App {
    library: Library,
    model: Arc<Model>,
    documents: Arc<Documents>,
    spans: Arc<Spans>,
}

/// What a caller has of a call.
struct Heard {
    output: Result<Value, CallError>,
    events: Vec<CallEvent>,
}

impl Heard {
    fn text(&self) -> String {
        let deltas = self.events.iter().filter_map(|event| match event {
            CallEvent::Delta { text, .. } => Some(text.as_str()),
            _ => None,
        });
        deltas.collect()
    }

    /// The kinds of its events, one after the other.
    fn kinds(&self) -> Vec<&'static str> {
        let mut kinds: Vec<&'static str> = self.events.iter().map(kind).collect();
        kinds.dedup();
        kinds
    }
}

fn kind(event: &CallEvent) -> &'static str {
    match event {
        CallEvent::Retrieved(_) => "retrieved",
        CallEvent::Delta { .. } => "delta",
        CallEvent::Reasoning { .. } => "reasoning",
        CallEvent::Partial(_) => "partial",
        CallEvent::Concluded { .. } => "concluded",
        CallEvent::Finished { .. } => "finished",
        CallEvent::Cited { .. } => "cited",
        _ => "other",
    }
}

fn app_of(
    prompts: &[(&str, &str)],
    script: impl Fn(&ChatRequest, usize) -> (String, FinishReason) + Send + Sync + 'static,
) -> App {
    let model = Arc::new(Model {
        script: Box::new(script),
        asked: Mutex::default(),
    });
    let documents = Arc::new(Documents::default());
    let deps = Deps {
        chat: model.clone(),
        retriever: documents.clone(),
        embedder: Arc::new(Words),
        functions: Functions::default(),
        moderator: Arc::default(),
    };
    let known = Known {
        knowledge: vec!["docs".to_owned()],
        ..Known::default()
    };
    let named = |(name, text): &(&str, &str)| (format!("{name}.prompt"), (*text).to_owned());
    let sources = prompts.iter().map(named).collect();
    let library = Library::from_sources(&sources, "prompts", &known, &deps);
    App {
        library: library.map_err(|found| format!("{found:?}")).unwrap(),
        model,
        documents,
        spans: Arc::default(),
    }
}

/// One whose function has these keys, and a model that numbers its answers.
fn app(front: &str) -> App {
    app_of(&[("f", &prompt(front))], |_, number| {
        (format!("answer {number}"), FinishReason::Stop)
    })
}

impl App {
    fn cx(&self) -> CallContext {
        CallContext::new(self.spans.clone()).with_caller(Caller::full())
    }

    async fn call(&self, input: Value, cx: CallContext) -> Heard {
        let (send, mut receive) = tokio::sync::mpsc::channel(1000);
        let cx = cx.with_events(send);
        let output = self.library.get("f").unwrap().call(input, &cx).await;
        drop(cx);
        let mut events = Vec::new();
        while let Some(event) = receive.recv().await {
            events.push(event);
        }
        Heard { output, events }
    }

    async fn ask(&self, question: &str) -> Heard {
        self.call(json!({ "q": question }), self.cx()).await
    }

    /// How often the model was asked.
    fn asked(&self) -> usize {
        self.model.asked.lock().unwrap().len()
    }

    /// What the step `cache` of the last call says.
    fn step(&self) -> Value {
        let spans = self.spans.0.lock().unwrap();
        let last = spans.iter().rfind(|span| span.name == "cache");
        last.map(|span| span.output.clone()).unwrap_or_default()
    }
}

#[tokio::test]
async fn a_question_that_means_the_same_gets_the_kept_answer() {
    let app = app(CACHE);
    let first = app.ask("Is the cat here?").await;
    assert_eq!(first.output.as_ref().unwrap(), "answer 0");
    assert_eq!(app.step(), json!({"hit": false}));
    let kept_of = app.spans.0.lock().unwrap()[0].trace_id.clone();
    for question in ["Is the cat here?", " is my cat here", "Is a cat there?"] {
        let again = app.ask(question).await;
        assert_eq!(again.output.as_ref().unwrap(), "answer 0", "{question}");
        assert_eq!(again.text(), "answer 0");
        assert_eq!(again.kinds(), first.kinds());
        let ended = again.events.iter().find(|event| kind(event) == "finished");
        assert_eq!(
            ended,
            Some(&CallEvent::Finished {
                finish_reason: FinishReason::Stop,
                usage: Usage::default(),
            })
        );
        assert_eq!(
            app.step(),
            json!({
                "hit": true,
                "similarity": 1.0,
                "question": "Is the cat here?",
                "trace_id": kept_of,
                "saved": {"input_tokens": 70, "output_tokens": 3, "cost_usd": 0.000_005},
            })
        );
    }
    assert_eq!(app.asked(), 1);
}

#[tokio::test]
async fn a_question_that_does_not_is_answered() {
    let app = app(CACHE);
    app.ask("Is the cat here?").await.output.unwrap();
    for (number, question) in [
        "Is the dog here?",
        "Where is the cat?",
        "Is the cat not here?",
        "Are 2 cats here?",
        // The same words, and another vector.
        "Is the Cat here?",
    ]
    .into_iter()
    .enumerate()
    {
        let other = app.ask(question).await.output.unwrap();
        assert_eq!(other, format!("answer {}", number + 1), "{question}");
    }
}

#[tokio::test]
async fn without_the_key_nothing_is_kept_and_without_a_threshold_only_equal_questions_are_one() {
    for (front, like, asked) in [
        ("", "Is the cat here?", 2),
        ("praxis.cache: 1h\n", "Is the cat here?", 1),
        ("praxis.cache: 1h\n", "Is my cat here?", 2),
        (
            "praxis.cache: {similar: 1, ttl: 1h}\n",
            "Is my cat here?",
            2,
        ),
    ] {
        let app = app(front);
        app.ask("Is the cat here?").await.output.unwrap();
        app.ask(like).await.output.unwrap();
        assert_eq!(app.asked(), asked, "{front}");
    }
}

#[tokio::test]
async fn a_kept_answer_is_of_one_caller_and_one_call() {
    let app = app(CACHE);
    let named = |name: &str, labels: &[&str]| Caller {
        name: Some(name.to_owned()),
        clearance: Clearance::of(labels.iter().copied()),
    };
    let user = |user: &str| Payer {
        key: Some("k".to_owned()),
        user: Some(user.to_owned()),
        tags: Vec::new(),
    };
    let contexts = || {
        [
            app.cx(),
            app.cx().with_caller(named("hr", &["hr"])),
            app.cx().with_caller(named("hr", &[])),
            app.cx().with_caller(named("desk", &["hr"])),
            app.cx().with_payer(user("ann"), Arc::default()),
            app.cx().with_payer(user("bob"), Arc::default()),
            app.cx().with_data("state", json!({"user": "Ann"})),
        ]
    };
    let mut answers = Vec::new();
    for cx in contexts() {
        let input = json!({"q": "Is the cat here?"});
        answers.push(app.call(input, cx).await.output.unwrap());
    }
    let numbered: Vec<String> = (0..7).map(|number| format!("answer {number}")).collect();
    assert_eq!(answers, numbered);
    // Each gets its own again.
    for (cx, answer) in contexts().into_iter().zip(answers) {
        let again = app.call(json!({"q": "Is my cat here?"}), cx).await;
        assert_eq!(again.output.unwrap(), answer);
    }
    // Nobody knows who has no name and no key, and so none is kept.
    for number in [7, 8] {
        let cx = app.cx().with_caller(Caller::default());
        let input = json!({"q": "Is the cat here?"});
        let output = app.call(input, cx).await.output.unwrap();
        assert_eq!(output, format!("answer {number}"));
        assert_eq!(app.step(), json!({"skipped": "a caller without a name"}));
    }
}

#[tokio::test]
async fn a_chat_with_history_or_other_sampling_is_another_call() {
    let app = app(CACHE);
    let function = app.library.get("f").unwrap();
    let chat = async |past: &[&str], sampling: Sampling, top: Option<u8>| {
        let mut messages: Vec<Message> = past.iter().map(|text| Message::user(*text)).collect();
        messages.push(Message::user("Is the cat here?"));
        let output = function.call_chat(messages, sampling, top, &app.cx()).await;
        output.unwrap()
    };
    let plain = Sampling::default;
    let seeded = || Sampling {
        seed: Some(7),
        ..plain()
    };
    assert_eq!(chat(&[], plain(), None).await, "answer 0");
    assert_eq!(chat(&[], plain(), None).await, "answer 0");
    assert_eq!(chat(&[], seeded(), None).await, "answer 1");
    assert_eq!(chat(&[], seeded(), None).await, "answer 1");
    // The question may lean on what was said before.
    assert_eq!(chat(&["Hi."], plain(), None).await, "answer 2");
    assert_eq!(app.step(), json!({"skipped": "history"}));
    assert_eq!(chat(&[], plain(), Some(2)).await, "answer 3");
    assert_eq!(app.step(), json!({"skipped": "logprobs"}));
}

#[tokio::test]
async fn what_is_not_whole_and_good_is_not_kept() {
    let checked = format!("{CACHE}praxis.checks: [{{length: {{max: 3}}}}]\n");
    let vote = format!(
        "{CACHE}praxis.technique: [{{self_consistency: {{samples: 4, early_stop: false}}}}, direct]\n"
    );
    for (what, front, each) in [
        ("cut", CACHE, 1),
        ("withheld", CACHE, 1),
        ("repaired", checked.as_str(), 2),
        // Two of four votes are no majority.
        ("undecided", vote.as_str(), 4),
        ("failed", CACHE, 1),
    ] {
        let app = app_of(&[("f", &prompt(front))], move |_, number| {
            let (text, finish_reason) = match what {
                "cut" => ("a", FinishReason::Length),
                "withheld" => ("a", FinishReason::ContentFilter),
                "repaired" => (["too long", "ok"][number % 2], FinishReason::Stop),
                "undecided" => (["a", "a", "b", "c"][number % 4], FinishReason::Stop),
                _ => ("!", FinishReason::Stop),
            };
            (text.to_owned(), finish_reason)
        });
        for times in 1..=2 {
            let heard = app.ask("Is the cat here?").await;
            assert_eq!(heard.output.is_err(), what == "failed", "{what}");
            assert_eq!(app.asked(), times * each, "{what}");
        }
    }
}

#[tokio::test]
async fn three_of_four_votes_are_kept_with_their_confidence() {
    let front = format!(
        "{CACHE}praxis.technique: [{{self_consistency: {{samples: 4, early_stop: false}}}}, step_by_step]\n"
    );
    let app = app_of(&[("f", &prompt(&front))], |_, number| {
        let answer = if number == 3 { "b" } else { "a" };
        (format!("Thinking.\nAnswer: {answer}"), FinishReason::Stop)
    });
    let first = app.ask("Is the cat here?").await;
    let again = app.ask("Is my cat here?").await;
    assert_eq!(app.asked(), 4);
    let concluded = |heard: &Heard| {
        let found = heard.events.iter().find(|e| kind(e) == "concluded");
        found.cloned().unwrap()
    };
    assert_eq!(concluded(&first), concluded(&again));
    assert!(matches!(
        concluded(&again),
        CallEvent::Concluded { confidence: Some(share), .. } if share == 0.75
    ));
    assert_eq!(app.step()["saved"]["output_tokens"], 12);
}

#[tokio::test]
async fn an_output_that_is_json_comes_again_as_it_was() {
    let app = app_of(&[("f", &prompt(&format!("{CITY}{CACHE}")))], |_, _| {
        let text = r#"{"name": "Bern", "people": 140000}"#;
        (text.to_owned(), FinishReason::Stop)
    });
    let first = app.ask("A cat's city?").await;
    let again = app.ask("a cat's city").await;
    assert_eq!(app.asked(), 1);
    assert_eq!(first.output.unwrap(), *again.output.as_ref().unwrap());
    assert_eq!(again.kinds(), ["partial", "delta", "finished"]);
    let told: Value = serde_json::from_str(&again.text()).unwrap();
    assert_eq!(told, again.output.unwrap());
}

/// A function over documents, whose model cites the passage that has `one` in it.
fn over_documents() -> App {
    let front = format!("praxis.knowledge: docs\n{CACHE}");
    app_of(&[("f", &prompt(&front))], |request, number| {
        let asked = last(request);
        let place = asked.lines().position(|line| line == "one");
        let mark = place.and_then(|at| asked.lines().nth(at - 1));
        let mark = mark.and_then(|line| line.split(' ').next());
        let text = match mark {
            Some(mark) => format!("Number {number} {mark}."),
            None => "NOT_IN_DOCUMENTS".to_owned(),
        };
        (text, FinishReason::Stop)
    })
}

fn retrieved(heard: &Heard) -> Vec<String> {
    let mut events = heard.events.iter();
    let found = events.find_map(|event| match event {
        CallEvent::Retrieved(retrieval) => Some(&retrieval.passages),
        _ => None,
    });
    found.unwrap().iter().map(|p| p.text.clone()).collect()
}

#[tokio::test]
async fn an_answer_over_documents_counts_as_long_as_they_bear_it_out() {
    let app = over_documents();
    let documents = |texts: &[&str]| app.documents.are(texts);
    documents(&["other", "one"]);
    let first = app.ask("Is the cat here?").await;
    assert_eq!(first.output.unwrap()["answer"], "Number 0 [2].");
    // The same passages in another order: the numbers of the text still point to theirs.
    documents(&["one", "other", "third"]);
    let again = app.ask("Is my cat here?").await;
    assert_eq!(app.asked(), 1);
    assert_eq!(retrieved(&again), ["other", "one", "third"]);
    assert_eq!(again.kinds(), ["retrieved", "delta", "finished", "cited"]);
    assert!(matches!(
        again.events.last(),
        Some(CallEvent::Cited { text, citations }) if text == "Number 0 [2]." && citations.len() == 1
    ));
    let output = again.output.unwrap();
    assert_eq!(output["answer"], "Number 0 [2].");
    assert_eq!(
        (&output["refused"], &output["citations"][0]["number"]),
        (&json!(false), &json!(2))
    );
    assert_eq!(output["citations"][0]["text"], "one");
    // What it cites changed, is gone or hidden, or something that it never read ranks before that.
    for (number, texts) in [&["other", "one more\none"][..], &["fresh", "one"]]
        .into_iter()
        .enumerate()
    {
        documents(texts);
        let asked = app.asked();
        let other = app.ask("Is the cat here?").await.output.unwrap();
        assert_eq!(app.asked(), asked + 1, "{texts:?}");
        let answer = other["answer"].as_str().unwrap();
        assert!(
            answer.starts_with(&format!("Number {}", number + 1)),
            "{answer}"
        );
    }
    documents(&["other", "else"]);
    let gone = app.ask("Is the cat here?").await.output.unwrap();
    assert_eq!(gone["refused"], true);
}

#[tokio::test]
async fn a_refusal_and_what_cites_nothing_are_not_kept() {
    let app = over_documents();
    app.documents.are(&["nothing of it"]);
    for times in 1..=2 {
        let heard = app.ask("Is the cat here?").await;
        assert_eq!(heard.output.unwrap()["refused"], true);
        assert_eq!(app.asked(), times);
    }
    let front = format!("praxis.knowledge: docs\n{CACHE}");
    let app = app_of(&[("f", &prompt(&front))], |_, _| {
        ("Bananas grow.".to_owned(), FinishReason::Stop)
    });
    app.documents.are(&["one"]);
    for times in 1..=2 {
        let output = app.ask("Is the cat here?").await.output.unwrap();
        assert_eq!(output["citations"], json!([]));
        assert_eq!(app.asked(), times);
    }
}

#[tokio::test]
async fn a_kept_answer_passes_the_guard_again_and_a_blocked_one_is_not_kept() {
    let masked = format!("{CACHE}praxis.guard:\n  output: {{rules: [email], action: mask}}\n");
    let app = app_of(&[("f", &prompt(&masked))], |_, _| {
        ("Ask bob@example.com.".to_owned(), FinishReason::Stop)
    });
    for question in ["Is the cat here?", "Is my cat here?"] {
        let heard = app.ask(question).await;
        assert_eq!(heard.output.as_ref().unwrap(), "Ask <EMAIL_1>.");
        assert_eq!(heard.text(), "Ask <EMAIL_1>.");
    }
    assert_eq!(app.asked(), 1);
    let blocked = masked.replace("mask", "block");
    let app = app_of(&[("f", &prompt(&blocked))], |_, _| {
        ("Ask bob@example.com.".to_owned(), FinishReason::Stop)
    });
    for times in 1..=2 {
        let heard = app.ask("Is the cat here?").await;
        assert_eq!(heard.output.unwrap_err().code, ErrorCode::ContentBlocked);
        assert_eq!(app.asked(), times);
    }
}

#[tokio::test]
async fn where_a_guard_hides_something_nothing_is_kept() {
    let front = format!("{CACHE}praxis.guard:\n  input: {{rules: [email], action: mask}}\n");
    let app = app_of(&[("f", &prompt(&front))], |request, number| {
        (format!("{number}: {}", last(request)), FinishReason::Stop)
    });
    for number in 0..2 {
        let heard = app.ask("Is ann@example.com a cat?").await;
        let expected = format!("{number}: Is ann@example.com a cat?");
        assert_eq!(heard.output.unwrap(), expected);
        assert_eq!(app.step(), json!({"skipped": "personal data"}));
    }
    // Without anything to hide, it is as without a guard.
    app.ask("Is the cat here?").await.output.unwrap();
    let again = app.ask("Is my cat here?").await.output.unwrap();
    assert_eq!((again, app.asked()), (json!("2: Is the cat here?"), 3));
    // The passages have something to hide.
    let front = format!(
        "praxis.knowledge: docs\n{CACHE}praxis.guard:\n  input: {{rules: [email], action: mask}}\n"
    );
    let app = app_of(&[("f", &prompt(&front))], |_, _| {
        ("It is <EMAIL_1> [1].".to_owned(), FinishReason::Stop)
    });
    app.documents.are(&["Write to ann@example.com."]);
    for times in 1..=2 {
        let output = app.ask("Is the cat here?").await.output.unwrap();
        assert_eq!(output["answer"], "It is ann@example.com [1].");
        assert_eq!(app.asked(), times);
    }
}

#[tokio::test]
async fn a_question_out_of_scope_is_declined_before_anything_is_looked_for() {
    let front = format!("{CACHE}praxis.scope: {{topics: [cats]}}\n");
    let app = app_of(&[("f", &prompt(&front))], |request, _| {
        let is_gate = request.messages[0].text().contains("Sort each message");
        let text = match (is_gate, last(request).contains("cat")) {
            (true, true) => "1",
            (true, false) => "0",
            (false, _) => "meow",
        };
        (text.to_owned(), FinishReason::Stop)
    });
    for (question, inside, asked) in [
        ("Is the cat here?", true, 2),
        ("Is my cat here?", true, 3),
        ("Is the hen here?", false, 4),
    ] {
        let output = app.ask(question).await.output.unwrap();
        assert_eq!(
            (output == "meow", app.asked()),
            (inside, asked),
            "{question}"
        );
    }
    let spans = app.spans.0.lock().unwrap();
    let looked = spans.iter().filter(|span| span.name == "cache");
    assert_eq!(looked.count(), 2);
}

/// An embedder that is down.
struct Broken;

#[async_trait]
impl Embedder for Broken {
    fn identity(&self) -> String {
        "broken".into()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Ok(3)
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Ok(100)
    }

    async fn embed(&self, _: EmbedKind, _: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        Err(ModelError::Unavailable("down".into()))
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Ok(Arc::new(str::len))
    }
}

#[tokio::test]
async fn an_embedder_that_fails_fails_no_call() {
    let whole = app(CACHE);
    let deps = Deps {
        chat: whole.model.clone(),
        retriever: whole.documents.clone(),
        embedder: Arc::new(Broken),
        functions: Functions::default(),
        moderator: Arc::default(),
    };
    let sources = [("f.prompt".to_owned(), prompt(CACHE))].into();
    let library = Library::from_sources(&sources, "prompts", &Known::default(), &deps);
    let app = App {
        library: library.map_err(|found| format!("{found:?}")).unwrap(),
        ..whole
    };
    assert_eq!(
        app.ask("Is the cat here?").await.output.unwrap(),
        "answer 0"
    );
    assert!(app.step()["not_compared"].is_string(), "{}", app.step());
    assert_eq!(app.ask("Is my cat here?").await.output.unwrap(), "answer 1");
    // Equal wording needs no vector.
    assert_eq!(
        app.ask("Is the cat here?").await.output.unwrap(),
        "answer 0"
    );
}

#[tokio::test]
async fn many_calls_at_a_time_get_answers_and_leave_one() {
    let app = app(CACHE);
    let asked = (0..20).map(|_| app.ask("Is the cat here?"));
    for heard in futures::future::join_all(asked).await {
        assert!(heard.output.is_ok());
    }
    let asked = app.asked();
    let again = app.ask("Is my cat here?").await.output.unwrap();
    assert!(again.as_str().unwrap().starts_with("answer"));
    assert_eq!(app.asked(), asked);
}

/// Counts what is counted.
#[derive(Default)]
struct Counters(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl metrics::Recorder for Counters {
    fn describe_counter(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn describe_gauge(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn describe_histogram(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        let labels: Vec<&str> = key.labels().map(metrics::Label::value).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        let mut all = self.0.lock().unwrap();
        metrics::Counter::from_arc(Arc::clone(all.entry(name).or_default()))
    }

    fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::noop()
    }

    fn register_histogram(
        &self,
        _: &metrics::Key,
        _: &metrics::Metadata<'_>,
    ) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}

#[tokio::test]
async fn what_becomes_of_calls_is_counted() {
    let counters = Counters::default();
    let _guard = metrics::set_default_local_recorder(&counters);
    let app = app(CACHE);
    for question in ["Is the cat here?", "Is my cat here?", "Is the dog here?"] {
        app.ask(question).await.output.unwrap();
    }
    let nobody = app.cx().with_caller(Caller::default());
    app.call(json!({"q": "Is the cat here?"}), nobody)
        .await
        .output
        .unwrap();
    let all = counters.0.lock().unwrap();
    let counted = |name: &str| all.get(name).map_or(0, |n| n.load(Ordering::Relaxed));
    for (outcome, times) in [("hit", 1), ("miss", 2), ("stored", 2), ("skipped", 1)] {
        let name = format!("praxis_function_cache_total f {outcome}");
        assert_eq!(counted(&name), times, "{outcome}");
    }
    assert_eq!(
        counted("praxis_function_cache_saved_tokens_total f input"),
        70
    );
    assert_eq!(
        counted("praxis_function_cache_saved_tokens_total f output"),
        3
    );
}
