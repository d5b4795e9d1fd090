//! Routes: who is asked, in what order, and what a caller sees of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use praxis_core::chat::collect;
use praxis_core::{CallContext, ChatGateway, ChatRequest, Message, ModelError, Span, TraceSink};
use praxis_gateway::Gateway;
use serde_json::json;
use support::{Exchange, Replay, fixture, gateway};

/// Keeps all spans.
#[derive(Default)]
struct Kept(std::sync::Mutex<Vec<Span>>);

impl TraceSink for Kept {
    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

/// Models `a`, `b` and `c` of one server, told apart by their names there.
fn models(more: &str) -> String {
    let model = |name: &str, region: &str| {
        format!(
            "[models.{name}]\nprovider = \"openai\"\nmodel = \"{name}-there\"\nbase_url = \"URL\"\napi_key = \"env:TEST_KEY\"\n\
             max_retries = 0\nregion = \"{region}\"\n"
        )
    };
    format!(
        "{}{}{}{more}",
        model("a", "us"),
        model("b", "eu"),
        model("c", "eu")
    )
}

/// An exchange that is meant for a model.
fn to(model: &str, exchange: &str) -> Exchange {
    fixture(exchange).asked_with(json!({ "model": format!("{model}-there") }))
}

fn request(model: &str) -> ChatRequest {
    ChatRequest {
        model: model.to_owned(),
        messages: vec![
            Message::system("You answer in one short sentence."),
            Message::user("What is the capital of France?"),
        ],
        ..ChatRequest::default()
    }
}

/// Asks, and gives who answered with the span of it.
async fn ask(gateway: &Gateway, model: &str, cx: &CallContext) -> Result<String, ModelError> {
    let stream = gateway.chat(request(model), cx).await?;
    collect(stream).await.map(|answer| answer.text)
}

#[tokio::test]
async fn a_route_is_another_name_for_a_model() {
    let server = Replay::start(vec![to("a", "openai_usage")]).await;
    let gateway = gateway(&models("[routes]\nfast = \"a\"\n"), &server.url);
    let spans = Arc::new(Kept::default());
    let cx = CallContext::new(Arc::clone(&spans) as Arc<dyn TraceSink>);
    ask(&gateway, "fast", &cx).await.unwrap();
    server.finish();
    let spans = spans.0.lock().unwrap();
    assert_eq!(
        (&*spans[0].name, &spans[0].output["model"]),
        ("fast", &json!("a"))
    );
    let listed = gateway.models();
    let fast = listed.iter().find(|m| m.name == "fast").unwrap();
    assert_eq!((fast.provider.as_str(), fast.available), ("route", true));
}

#[tokio::test]
async fn the_next_of_a_route_answers_where_the_first_does_not() {
    let exchanges = vec![to("a", "openai_overloaded"), to("b", "openai_usage")];
    let server = Replay::start(exchanges).await;
    let gateway = gateway(&models("[routes]\nmain = [\"a\", \"b\"]\n"), &server.url);
    let spans = Arc::new(Kept::default());
    let cx = CallContext::new(Arc::clone(&spans) as Arc<dyn TraceSink>);
    ask(&gateway, "main", &cx).await.unwrap();
    server.finish();
    let spans = spans.0.lock().unwrap();
    assert_eq!(spans[0].output["model"], "b");
    assert_eq!(spans[0].output["failed_attempts"][0]["model"], "a");
}

#[tokio::test]
async fn weights_share_the_requests() {
    let route = "[routes.main]\norder = \"weighted\"\ntargets = [{ model = \"a\", weight = 3 }, \"b\", { model = \"c\", weight = 0 }]\n";
    let exchanges = (0..200).flat_map(|_| ["a", "b"].map(|m| to(m, "openai_usage")));
    let server = Replay::start(exchanges.collect()).await;
    let gateway = gateway(&models(route), &server.url);
    let spans = Arc::new(Kept::default());
    let cx = CallContext::new(Arc::clone(&spans) as Arc<dyn TraceSink>);
    for _ in 0..200 {
        ask(&gateway, "main", &cx).await.unwrap();
    }
    let mut asked = BTreeMap::new();
    for span in spans.0.lock().unwrap().iter() {
        let model = span.output["model"].as_str().unwrap().to_owned();
        *asked.entry(model).or_insert(0) += 1;
    }
    assert_eq!(asked.values().sum::<i32>(), 200);
    // 150 are expected; five standard deviations of a binomial distribution are 31.
    assert!((119..=181).contains(&asked["a"]), "{asked:?}");
    assert!(!asked.contains_key("c"), "{asked:?}");
}

#[tokio::test]
async fn a_pinned_route_leaves_its_regions_for_nobody() {
    // `b` would fall back to `a`, which is elsewhere.
    let toml = models("[routes.eu]\ntargets = [\"a\", \"b\", \"c\"]\nregions = [\"eu\"]\n")
        .replace(
            "[models.c]",
            "[models.b2]\nprovider = \"openai\"\nmodel = \"x\"\nbase_url = \"URL\"\n[models.c]",
        )
        .replacen(
            "region = \"eu\"\n",
            "region = \"eu\"\nfallback = [\"a\", \"b2\"]\n",
            1,
        );
    let exchanges = vec![to("b", "openai_overloaded"), to("c", "openai_overloaded")];
    let server = Replay::start(exchanges).await;
    let gateway = gateway(&toml, &server.url);
    let cx = CallContext::new(Arc::new(Kept::default()));
    let error = ask(&gateway, "eu", &cx).await.unwrap_err();
    assert!(error.to_string().contains("`c` answered 503"), "{error}");
    server.finish();
}

#[tokio::test]
async fn a_slow_first_token_is_hedged_and_the_first_to_begin_answers() {
    let slow = to("a", "openai_usage").pause_before(0, Duration::from_secs(60));
    let server = Replay::start(vec![slow, to("b", "openai_usage")]).await;
    let route = "[routes.main]\ntargets = [\"a\", \"b\", \"c\"]\nhedge_after = \"200ms\"\n";
    let gateway = gateway(&models(route), &server.url);
    let spans = Arc::new(Kept::default());
    let cx = CallContext::new(Arc::clone(&spans) as Arc<dyn TraceSink>);
    let began = Instant::now();
    ask(&gateway, "main", &cx).await.unwrap();
    let took = began.elapsed();
    assert!(
        took > Duration::from_millis(200) && took < Duration::from_secs(30),
        "{took:?}"
    );
    server.finish();
    let spans = spans.0.lock().unwrap();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].output["model"], "b");
    assert_eq!(spans[0].output["hedged"], true);
}

#[tokio::test]
async fn a_hedge_that_fails_leaves_the_first_its_time() {
    let slow = to("a", "openai_usage").pause_before(0, Duration::from_secs(3));
    let server = Replay::start(vec![slow, to("b", "openai_overloaded")]).await;
    let route = "[routes.main]\ntargets = [\"a\", \"b\"]\nhedge_after = \"100ms\"\n";
    let gateway = gateway(&models(route), &server.url);
    let spans = Arc::new(Kept::default());
    let cx = CallContext::new(Arc::clone(&spans) as Arc<dyn TraceSink>);
    ask(&gateway, "main", &cx).await.unwrap();
    server.finish();
    let spans = spans.0.lock().unwrap();
    assert_eq!(spans[0].output["model"], "a");
    assert_eq!(spans[0].output["failed_attempts"][0]["model"], "b");
}

#[tokio::test]
async fn a_shadow_is_asked_and_traced_and_nobody_waits_for_it() {
    let slow = to("b", "openai_usage").pause_before(0, Duration::from_secs(3));
    let server = Replay::start(vec![to("a", "openai_usage"), slow]).await;
    let route = "[routes.main]\ntargets = [\"a\"]\nshadow = { model = \"b\" }\n";
    let gateway = gateway(&models(route), &server.url);
    let spans = Arc::new(Kept::default());
    let cx = CallContext::new(Arc::clone(&spans) as Arc<dyn TraceSink>);
    let began = Instant::now();
    ask(&gateway, "main", &cx).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(2500));
    // The caller is gone, and the shadow is not.
    cx.cancel().cancel();
    for _ in 0..1000 {
        if spans.0.lock().unwrap().len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.finish();
    let spans = spans.0.lock().unwrap();
    let shadow = spans.iter().find(|s| s.name == "b").unwrap();
    assert_eq!(shadow.output["shadow_of"], "main");
    assert!(shadow.usage.output_tokens > 0);
    assert_eq!(shadow.trace_id, *cx.trace_id());
    let answered = spans.iter().find(|s| s.name == "main").unwrap();
    assert_eq!(answered.output["model"], "a");
}
