//! Answers that are kept: who gets them again, what they cost, and which are not kept.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use praxis_core::chat::{ChatAnswer, collect};
use praxis_core::{
    CallContext, Caller, ChatChunk, ChatGateway, ChatRequest, Clearance, FinishReason, Message,
    Money, Sampling, Span, TraceSink, Usage,
};
use praxis_gateway::Gateway;
use serde_json::json;
use support::{Exchange, Replay, fixture, gateway};

/// Keeps all spans.
#[derive(Default)]
struct Kept(Mutex<Vec<Span>>);

impl TraceSink for Kept {
    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

impl Kept {
    /// A context of a caller, whose spans come here.
    fn of(self: &Arc<Self>, caller: Caller) -> CallContext {
        CallContext::new(Arc::clone(self) as Arc<dyn TraceSink>).with_caller(caller)
    }

    /// The same of one who may read everything.
    fn of_root(self: &Arc<Self>) -> CallContext {
        self.of(Caller::full())
    }

    /// What the spans say of the cache, in their order; null: nothing.
    fn said(&self) -> Vec<serde_json::Value> {
        let spans = self.0.lock().unwrap();
        spans
            .iter()
            .map(|span| span.output["cache"].clone())
            .collect()
    }
}

/// A model of the server, with these lines and tables more.
fn model(name: &str, more: &str) -> String {
    format!(
        "[models.{name}]\nprovider = \"openai\"\nmodel = \"{name}-there\"\nbase_url = \"URL\"\n\
         api_key = \"env:TEST_KEY\"\nmax_retries = 0\nprice = {{ input = 0.15, output = 0.6 }}\n{more}"
    )
}

/// An exchange that is meant for a model, and has the seed of [`request`].
fn to(model: &str, exchange: &str) -> Exchange {
    fixture(exchange).asked_with(json!({ "model": format!("{model}-there"), "seed": 7 }))
}

/// The same answer with another end.
fn ending(mut exchange: Exchange, reason: &str) -> Exchange {
    let (old, new) = (
        "\"finish_reason\": \"stop\"",
        format!("\"finish_reason\": \"{reason}\""),
    );
    for piece in &mut exchange.response.body {
        if let Some(text) = piece.as_str() {
            *piece = json!(text.replace(old, &new));
        }
    }
    exchange
}

fn request(model: &str) -> ChatRequest {
    ChatRequest {
        model: model.to_owned(),
        messages: vec![
            Message::system("You answer in one short sentence."),
            Message::user("What is the capital of France?"),
        ],
        sampling: Sampling {
            seed: Some(7),
            ..Sampling::default()
        },
        ..ChatRequest::default()
    }
}

async fn ask(gateway: &Gateway, model: &str, cx: &CallContext) -> ChatAnswer {
    let stream = gateway.chat(request(model), cx).await.unwrap();
    collect(stream).await.unwrap()
}

#[tokio::test]
async fn the_same_request_is_answered_once_and_paid_once() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let server = Replay::start(vec![to("a", "openai_usage")]).await;
    let gateway = gateway(&model("a", "cache = \"1h\"\n"), &server.url);
    let spans = Arc::new(Kept::default());
    let cx = spans.of_root();
    let first = ask(&gateway, "a", &cx).await;
    let second = ask(&gateway, "a", &cx).await;
    server.finish();
    let usage = Usage {
        input_tokens: 1000,
        cached_tokens: 1000,
        output_tokens: 200,
        ..Usage::default()
    };
    let expected = ChatAnswer {
        usage,
        ..first.clone()
    };
    assert_eq!((first.usage.cached_tokens, second), (64, expected));
    assert_eq!(spans.said(), [json!("stored"), json!("hit")]);
    let spans = spans.0.lock().unwrap();
    assert_eq!(
        (spans[0].cost, spans[0].usage),
        (Money(150 + 120), first.usage)
    );
    assert_eq!((spans[1].cost, spans[1].usage), (Money(0), usage));
    for name in ["model", "text", "finish_reason"] {
        assert_eq!(spans[0].output[name], spans[1].output[name], "{name}");
    }
    assert!(spans[1].first_token_us.is_some());
    let text = handle.render();
    for line in [
        "praxis_model_cache_total{model=\"a\",outcome=\"miss\"} 1",
        "praxis_model_cache_total{model=\"a\",outcome=\"stored\"} 1",
        "praxis_model_cache_total{model=\"a\",outcome=\"hit\"} 1",
        "praxis_model_cache_bytes ",
        // No model read or wrote anything for the second.
        "praxis_model_requests_total{model=\"a\",outcome=\"ok\"} 1",
        "praxis_model_requests_total{model=\"a\",outcome=\"cached\"} 1",
        "praxis_model_tokens_total{model=\"a\",direction=\"input\"} 1000",
        "praxis_model_tokens_total{model=\"a\",direction=\"output\"} 200",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn an_answer_without_usage_is_estimated_once() {
    let recorded = fixture("chat_stream").asked_with(json!({ "model": "a-there" }));
    let server = Replay::start(vec![recorded]).await;
    let gateway = gateway(&model("a", "cache = \"1h\"\n"), &server.url);
    let spans = Arc::new(Kept::default());
    let cx = spans.of_root();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = ChatRequest {
            sampling: Sampling {
                temperature: Some(0.0),
                max_tokens: Some(24),
                ..request("a").sampling
            },
            ..request("a")
        };
        let stream = gateway.chat(request, &cx).await.unwrap();
        answers.push(collect(stream).await.unwrap());
    }
    server.finish();
    assert_eq!(answers[1].text, "The capital of France is Paris.");
    let usage = Usage {
        cached_tokens: answers[0].usage.input_tokens,
        ..answers[0].usage
    };
    assert_eq!(answers[1].usage, usage);
    assert_eq!(spans.said()[1], "hit");
}

#[tokio::test]
async fn nothing_is_kept_unasked() {
    let twice = || vec![to("a", "openai_usage"), to("a", "openai_usage")];
    let without_seed = || {
        let exchange = fixture("openai_usage").asked_with(json!({ "model": "a-there" }));
        vec![exchange.clone(), exchange]
    };
    let once = |mut exchanges: Vec<Exchange>| {
        exchanges.truncate(1);
        exchanges
    };
    let any = "cache = { ttl = \"1h\", any = true }\n";
    for (exchanges, seed, more) in [
        (twice(), Some(7), ""),
        (without_seed(), None, "cache = \"1h\"\n"),
        (once(without_seed()), None, any),
        (twice(), Some(7), "cache = \"1h\"\n[cache]\nmax_bytes = 0\n"),
        (
            twice(),
            Some(7),
            "cache = \"1h\"\n[cache]\nmax_answer_bytes = 100\n",
        ),
    ] {
        let server = Replay::start(exchanges).await;
        let gateway = gateway(&model("a", more), &server.url);
        let cx = Arc::new(Kept::default()).of_root();
        for _ in 0..2 {
            let request = ChatRequest {
                sampling: Sampling {
                    seed,
                    ..Sampling::default()
                },
                ..request("a")
            };
            let answer = collect(gateway.chat(request, &cx).await.unwrap()).await;
            assert_eq!(answer.unwrap().text, "Paris.", "{more}");
        }
        server.finish();
    }
}

#[tokio::test]
async fn callers_get_what_they_might_have_asked_themselves() {
    let named = |name: &str| Caller {
        name: Some(name.to_owned()),
        clearance: Clearance::of(["hr"]),
    };
    let root = Caller {
        name: Some("root".to_owned()),
        ..Caller::full()
    };
    // Of each two that may share an answer the first asks.
    let exchanges = vec![to("a", "openai_usage"); 5];
    let server = Replay::start(exchanges).await;
    let gateway = gateway(&model("a", "cache = \"1h\"\n"), &server.url);
    let spans = Arc::new(Kept::default());
    for caller in [
        Caller::full(),
        root,
        named("ada"),
        named("li"),
        named("ada"),
        // Nobody knows who they are: each asks.
        Caller::default(),
        Caller::default(),
    ] {
        ask(&gateway, "a", &spans.of(caller)).await;
    }
    server.finish();
    let said = spans.said();
    let expected = [
        json!("stored"),
        json!("hit"),
        json!("stored"),
        json!("stored"),
        json!("hit"),
        json!(null),
        json!(null),
    ];
    assert_eq!(said, expected);
}

#[tokio::test]
async fn an_answer_that_nobody_heard_to_its_end_is_not_kept() {
    let slow = to("a", "openai_usage").pause_before(2, Duration::from_secs(5));
    let broken = to("a", "openai_usage").broken_after(2);
    let whole = to("a", "openai_usage");
    let server = Replay::start(vec![slow, broken, whole]).await;
    let gateway = gateway(&model("a", "cache = \"1h\"\n"), &server.url);
    let spans = Arc::new(Kept::default());
    let cx = spans.of_root();
    let mut stream = gateway.chat(request("a"), &cx).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert!(matches!(first, ChatChunk::Delta { .. }), "{first:?}");
    drop(stream);
    let stream = gateway.chat(request("a"), &cx).await.unwrap();
    assert!(collect(stream).await.is_err());
    ask(&gateway, "a", &cx).await;
    ask(&gateway, "a", &cx).await;
    server.finish();
    let expected = [json!(null), json!(null), json!("stored"), json!("hit")];
    assert_eq!(spans.said(), expected);
}

#[tokio::test]
async fn what_is_cut_off_is_kept_and_what_is_withheld_is_not() {
    for (reason, finish_reason, asked) in [
        ("length", FinishReason::Length, 1),
        ("content_filter", FinishReason::ContentFilter, 2),
    ] {
        let exchange = ending(to("a", "openai_usage"), reason);
        let server = Replay::start(vec![exchange; asked]).await;
        let gateway = gateway(&model("a", "cache = \"1h\"\n"), &server.url);
        let cx = Arc::new(Kept::default()).of_root();
        for _ in 0..2 {
            let answer = ask(&gateway, "a", &cx).await;
            assert_eq!(answer.finish_reason, finish_reason);
        }
        server.finish();
    }
}

#[tokio::test]
async fn who_stands_in_leaves_no_answer_of_the_model_that_failed() {
    let exchanges = vec![
        to("a", "openai_overloaded"),
        to("b", "openai_usage"),
        to("a", "openai_usage"),
    ];
    let server = Replay::start(exchanges).await;
    let a = model("a", "cache = \"1h\"\nfallback = [\"b\"]\n");
    let both = format!("{a}{}", model("b", "cache = \"1h\"\n"));
    let gateway = gateway(&both, &server.url);
    let spans = Arc::new(Kept::default());
    let cx = spans.of_root();
    for _ in 0..3 {
        ask(&gateway, "a", &cx).await;
    }
    server.finish();
    assert_eq!(spans.said(), [json!(null), json!("stored"), json!("hit")]);
    let spans = spans.0.lock().unwrap();
    let models: Vec<_> = spans.iter().map(|s| s.output["model"].clone()).collect();
    assert_eq!(models, [json!("b"), json!("a"), json!("a")]);
}

#[tokio::test]
async fn an_answer_ends_with_its_time() {
    let server = Replay::start(vec![to("a", "openai_usage"); 2]).await;
    let gateway = gateway(&model("a", "cache = \"300ms\"\n"), &server.url);
    let cx = Arc::new(Kept::default()).of_root();
    ask(&gateway, "a", &cx).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    ask(&gateway, "a", &cx).await;
    server.finish();
}

#[tokio::test]
async fn a_route_may_ask_for_it_too() {
    let server = Replay::start(vec![to("a", "openai_usage"), to("a", "openai_usage")]).await;
    let route = "[routes.main]\ntargets = [\"a\"]\ncache = \"1h\"\n";
    let gateway = gateway(&model("a", route), &server.url);
    let spans = Arc::new(Kept::default());
    let cx = spans.of_root();
    for name in ["main", "main", "a"] {
        ask(&gateway, name, &cx).await;
    }
    server.finish();
    // Who asks the model itself did not ask for kept answers.
    assert_eq!(spans.said(), [json!("stored"), json!("hit"), json!(null)]);
}

#[tokio::test]
async fn logprobs_come_again_with_their_tokens() {
    let recorded = fixture("chat_logprobs").asked_with(json!({ "model": "a-there" }));
    let server = Replay::start(vec![recorded]).await;
    let gateway = gateway(&model("a", "cache = \"1h\"\n"), &server.url);
    let cx = Arc::new(Kept::default()).of_root();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = ChatRequest {
            top_logprobs: Some(2),
            sampling: Sampling {
                temperature: Some(0.0),
                max_tokens: Some(2),
                ..Sampling::default()
            },
            ..request("a")
        };
        let stream = gateway.chat(request, &cx).await.unwrap();
        answers.push(collect(stream).await.unwrap());
    }
    server.finish();
    assert_eq!(answers[0].logprobs.len(), 2);
    assert_eq!(answers[0].logprobs, answers[1].logprobs);
    assert_eq!(answers[0].text, answers[1].text);
}
