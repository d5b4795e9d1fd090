//! Conversations that do not fit, over a scripted model with a window.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use praxis_core::trace::TraceSink;
use praxis_core::{ChatChunk, ChatRequest, ChatStream, FinishReason, ModelError, Span, Usage};
use serde_json::Value;

use super::*;

/// A model in whose window each word is a token, and that says the same of all it is asked.
struct Model {
    window: Option<usize>,
    says: Result<&'static str, fn() -> ModelError>,
    asked: Mutex<Vec<ChatRequest>>,
}

#[async_trait]
impl ChatGateway for Model {
    async fn chat(&self, request: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        self.asked.lock().unwrap().push(request);
        let text = self.says.map_err(|error| error())?.to_owned();
        let chunks = [
            ChatChunk::Delta {
                text,
                logprobs: Vec::new(),
            },
            ChatChunk::Done {
                finish_reason: FinishReason::Stop,
                usage: Usage {
                    output_tokens: 7,
                    ..Usage::default()
                },
            },
        ];
        Ok(futures::stream::iter(chunks.map(Ok)).boxed())
    }

    fn window(&self, _: &str) -> Option<usize> {
        self.window
    }

    async fn count_tokens(&self, _: &str, messages: &[Message]) -> Result<TokenCount, ModelError> {
        let words = |m: &Message| m.text().split_whitespace().count();
        Ok(TokenCount {
            messages: messages.iter().map(words).collect(),
            frame: 0,
            exact: true,
        })
    }
}

#[derive(Default)]
struct Spans(Mutex<Vec<Span>>);

impl TraceSink for Spans {
    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

/// What became of a conversation: its texts, the output of the step, and what the model was asked.
struct Became {
    texts: Result<Vec<String>, CallError>,
    step: Option<Span>,
    asked: Vec<ChatRequest>,
    written: u64,
}

fn history(keys: Value) -> History {
    let keys: HistoryKeys = serde_json::from_value(keys).unwrap();
    History::try_from(keys).unwrap()
}

/// A conversation of so many turns, each message of which has so many words.
fn turns(count: usize, words: usize) -> Vec<Message> {
    let text = |name: String| format!("{name}{}", " word".repeat(words - 1));
    (0..count)
        .flat_map(|i| {
            [
                Message::user(text(format!("u{i}"))),
                Message::assistant(text(format!("a{i}"))),
            ]
        })
        .collect()
}

/// The first words of texts.
fn names(texts: &[String]) -> Vec<&str> {
    let first = |text: &'_ String| text.split(' ').next().map(str::len);
    texts.iter().map(|t| &t[..first(t).unwrap_or(0)]).collect()
}

async fn became(
    model: Model,
    tools: usize,
    make: impl AsyncFn(&Asked<'_>) -> Result<Vec<Message>, CallError>,
) -> Became {
    let spans = Arc::new(Spans::default());
    let written = AtomicU64::new(0);
    let cx = CallContext::new(spans.clone());
    let asked = Asked {
        chat: &model,
        model: "m",
        written: &written,
        tools,
        veil: None,
        cx: &cx,
    };
    let texts = make(&asked).await;
    let texts = texts.map(|all| all.iter().map(|m| m.text().into_owned()).collect());
    let step = spans
        .0
        .lock()
        .unwrap()
        .iter()
        .find(|s| s.name == "history")
        .cloned();
    Became {
        texts,
        step,
        asked: model.asked.into_inner().unwrap(),
        written: written.into_inner(),
    }
}

fn model(window: Option<usize>, says: Result<&'static str, fn() -> ModelError>) -> Model {
    Model {
        window,
        says,
        asked: Mutex::default(),
    }
}

#[tokio::test]
async fn the_latest_messages_stay_and_the_trace_says_what_went() {
    for (keys, kept, dropped) in [
        (
            json!({"max_messages": 2}),
            &["u2", "a2"][..],
            json!([0, 1, 2, 3]),
        ),
        (json!({"max_messages": 0}), &[], json!([0, 1, 2, 3, 4, 5])),
        (
            json!({"policy": "pinned", "pinned": 1, "max_messages": 4}),
            &["u0", "a0", "u2", "a2"],
            json!([2, 3]),
        ),
        (
            json!({"max_messages": 6}),
            &["u0", "a0", "u1", "a1", "u2", "a2"],
            Value::Null,
        ),
    ] {
        let history = history(keys.clone());
        let latest = async |asked: &Asked<'_>| history.latest(turns(3, 1), asked).await;
        let became = became(model(None, Ok("x")), 0, latest).await;
        assert_eq!(names(&became.texts.unwrap()), kept, "{keys}");
        let said = became
            .step
            .map_or(Value::Null, |s| s.input["dropped_messages"].clone());
        assert_eq!(said, dropped, "{keys}");
        assert!(became.asked.is_empty(), "{keys}");
    }
}

#[tokio::test]
async fn what_does_not_fit_the_window_goes_by_the_policy() {
    let mut messages = turns(4, 50);
    messages.insert(0, Message::system("s"));
    messages.push(Message::user("now"));
    for (keys, kept) in [
        (json!({}), &["s", "u2", "a2", "u3", "a3", "now"][..]),
        (
            json!({"policy": "pinned", "pinned": 2}),
            &["s", "u0", "a0", "u3", "a3", "now"],
        ),
    ] {
        let history = history(keys);
        let fitting =
            async |asked: &Asked<'_>| history.fitting(messages.clone(), Some(20), asked).await;
        let became = became(model(Some(300), Ok("x")), 0, fitting).await;
        assert_eq!(names(&became.texts.unwrap()), kept);
        let step = became.step.unwrap();
        assert_eq!(step.kind, SpanKind::Step);
        assert_eq!(step.input["dropped_tokens"], 200);
        assert_eq!(step.output["messages"], 6);
    }
}

#[tokio::test]
async fn a_summary_is_written_of_what_the_window_holds_and_takes_the_place_of_the_rest() {
    // Ten old turns of a hundred words each are far more than the window.
    let past = turns(11, 100);
    let history = history(json!({"policy": "summary", "max_messages": 2}));
    let latest = async |asked: &Asked<'_>| history.latest(past.clone(), asked).await;
    let became = became(model(Some(1600), Ok("They spoke.")), 0, latest).await;
    let texts = became.texts.unwrap();
    assert_eq!(texts[0], "What was said before, in short: They spoke.");
    assert_eq!(names(&texts[1..]), ["u10", "a10"]);
    let asked = became.asked[0].messages[1].text().into_owned();
    let size = praxis_core::tokens::estimate(&asked);
    assert!(size + 512 <= 1600 && size > 300, "{size}");
    // The newest of the old ones, and not the oldest.
    assert!(asked.contains("a9") && !asked.contains("u0 "), "{asked}");
    let step = became.step.unwrap();
    assert_eq!(step.input["summarized"], true);
    assert_eq!(step.output["summary"], "They spoke.");
    assert!(
        !step.output["summarized_messages"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(became.written, 7);
}

#[tokio::test]
async fn without_a_summary_the_oldest_go_and_the_trace_says_why() {
    let down: fn() -> ModelError = || ModelError::Unavailable("down".into());
    let gone: fn() -> ModelError = || ModelError::Cancelled;
    for (says, why) in [(Err(down), "down"), (Ok("  "), "it was empty")] {
        let history = history(json!({"policy": "summary", "max_messages": 2}));
        let latest = async |asked: &Asked<'_>| history.latest(turns(3, 1), asked).await;
        let became = became(model(Some(1600), says), 0, latest).await;
        assert_eq!(names(&became.texts.unwrap()), ["u2", "a2"]);
        let output = became.step.unwrap().output;
        assert_eq!(
            (&output["no_summary"], &output["policy"]),
            (&json!(why), &json!("oldest_first"))
        );
    }
    let history = history(json!({"policy": "summary", "max_messages": 2}));
    let latest = async |asked: &Asked<'_>| history.latest(turns(3, 1), asked).await;
    let became = became(model(Some(1600), Err(gone)), 0, latest).await;
    assert_eq!(became.texts.unwrap_err().code, ErrorCode::Cancelled);
}

#[tokio::test]
async fn tools_that_leave_no_room_are_named() {
    let history = history(json!({}));
    let messages = vec![Message::user("now")];
    let fitting =
        async |asked: &Asked<'_>| history.fitting(messages.clone(), Some(20), asked).await;
    let became = became(model(Some(300), Ok("x")), 290, fitting).await;
    let error = became.texts.unwrap_err();
    assert_eq!(error.code, ErrorCode::ContextLengthExceeded);
    assert!(error.message.contains("its tools take 290"), "{error}");
    assert!(error.hint.unwrap().contains("fewer `tools`"));
}
