//! Raw texts through the gateway: what providers are sent and what is read of their answers, what is refused, and
//! what a caller is told of its limits. The exchanges are written by hand after the providers' references.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::useless_format,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use praxis_core::chat::{ChatAnswer, Layout, collect};
use praxis_core::ledger::Figures;
use praxis_core::{
    ChatGateway, ChatRequest, Claim, FinishReason, Ledger, LedgerError, Limit, Message, ModelError,
    Payer, Refusal, Remaining, Reserved, Sampling, Spent, Subject, Ticket, ToolSpec,
};
use serde_json::{Value, json};
use support::{Exchange, Replay, Spans, gateway};

/// A text to go on with.
fn raw(layout: Layout) -> ChatRequest {
    ChatRequest {
        model: "m".to_owned(),
        messages: vec![Message::user("Once upon")],
        layout,
        sampling: Sampling {
            temperature: Some(0.5),
            repetition_penalty: Some(1.1),
            seed: Some(7),
            max_tokens: Some(16),
            stop: vec!["END".to_owned()],
            ..Sampling::default()
        },
        top_logprobs: Some(2),
        ..ChatRequest::default()
    }
}

/// The same with biases of tokens.
fn biased(layout: Layout) -> ChatRequest {
    let mut request = raw(layout);
    request.sampling.logit_bias = [(5, -100.0), (50256, 2.5)].into();
    request
}

fn gap() -> Layout {
    Layout::Infill {
        suffix: "the end".to_owned(),
    }
}

/// An exchange at this path, with a body of these fields beside those of each, answered with these events.
fn exchange(path: &str, fields: &Value, events: &[Value]) -> Exchange {
    let mut body = json!({
        "model": "there",
        "prompt": "Once upon",
        "stream": true,
        "stream_options": { "include_usage": true },
        "temperature": 0.5,
        "max_tokens": 16,
        "logprobs": 2,
        "stop": ["END"],
    });
    let more = fields.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    let events = events.iter().map(|event| format!("data: {event}\n\n"));
    let events: Vec<String> = events.chain(["data: [DONE]\n\n".to_owned()]).collect();
    serde_json::from_value(json!({
        "request": { "method": "POST", "path": path, "headers": {}, "body": body },
        "response": {
            "status": 200,
            "headers": { "content-type": "text/event-stream" },
            "body": events,
        },
    }))
    .unwrap()
}

async fn ask(
    lines: &str,
    exchanges: Vec<Exchange>,
    request: ChatRequest,
) -> Result<ChatAnswer, ModelError> {
    let server = Replay::start(exchanges).await;
    let toml = format!("[models.m]\nmax_retries = 0\nmodel = \"there\"\n{lines}");
    let gateway = gateway(&toml, &server.url);
    let spans = Arc::new(Spans::default());
    let answer = match gateway.chat(request, &spans.context()).await {
        Ok(stream) => collect(stream).await,
        Err(error) => Err(error),
    };
    server.finish();
    answer
}

fn event(text: &str, logprobs: &Value, finish: Option<&str>) -> Value {
    json!({
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "there",
        "choices": [{ "index": 0, "text": text, "logprobs": logprobs, "finish_reason": finish }],
    })
}

/// ` a time`, with log probabilities as they are told side by side.
fn answered() -> Vec<Value> {
    let logprobs = json!({
        "tokens": [" a", " time"],
        "token_logprobs": [-0.5, -0.25],
        "top_logprobs": [{ " the": -1.5, " a": -0.5 }, { " time": -0.25 }],
        "text_offset": [9, 11],
    });
    let usage = json!({ "prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4 });
    vec![
        event(" a time", &logprobs, None),
        event("", &Value::Null, Some("length")),
        json!({ "id": "cmpl-1", "object": "text_completion", "created": 1, "model": "there", "choices": [], "usage": usage }),
    ]
}

#[tokio::test]
async fn each_that_goes_on_with_texts_is_asked_for_that() {
    let seeded = json!({ "seed": 7, "repetition_penalty": 1.1 });
    let filled = json!({ "seed": 7, "repetition_penalty": 1.1, "suffix": "the end" });
    for (provider, layout, path, fields) in [
        ("openai", Layout::Raw, "/v1/completions", &seeded),
        ("openai", gap(), "/v1/completions", &filled),
        ("vllm", Layout::Raw, "/v1/completions", &seeded),
        ("sglang", Layout::Raw, "/v1/completions", &seeded),
        (
            "llama-server",
            Layout::Raw,
            "/v1/completions",
            &json!({ "seed": 7, "repeat_penalty": 1.1 }),
        ),
        (
            "ollama",
            gap(),
            "/v1/completions",
            &json!({ "seed": 7, "suffix": "the end" }),
        ),
        ("tgi", Layout::Raw, "/v1/completions", &json!({ "seed": 7 })),
        (
            "deepseek",
            gap(),
            "/beta/completions",
            &json!({ "suffix": "the end" }),
        ),
    ] {
        let exchange = exchange(path, fields, &answered());
        let lines = format!("provider = \"{provider}\"\nbase_url = \"URL\"\n");
        let answer = ask(&lines, vec![exchange], raw(layout)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{provider}: {error}"));
        assert_eq!(answer.text, " a time", "{provider}");
        assert_eq!(answer.finish_reason, FinishReason::Length, "{provider}");
        let usage = (answer.usage.input_tokens, answer.usage.output_tokens);
        assert_eq!(usage, (2, 2), "{provider}");
        let logprobs = answer.logprobs.iter();
        let tokens: Vec<_> = logprobs.map(|t| (t.token.as_str(), t.logprob)).collect();
        assert_eq!(tokens, [(" a", -0.5), (" time", -0.25)], "{provider}");
        let top = answer.logprobs[0].top_logprobs.iter();
        let top: Vec<&str> = top.map(|t| t.token.as_str()).collect();
        assert_eq!(top, [" a", " the"], "the best first");
    }
}

#[tokio::test]
async fn biases_of_tokens_are_told_by_their_ids() {
    let fields = json!({
        "seed": 7,
        "repetition_penalty": 1.1,
        "logit_bias": { "5": -100, "50256": 2.5 },
    });
    let exchange = exchange("/v1/completions", &fields, &answered());
    let lines = "provider = \"vllm\"\nbase_url = \"URL\"\n";
    let answer = ask(lines, vec![exchange], biased(Layout::Raw)).await;
    assert_eq!(answer.unwrap().text, " a time");
}

#[tokio::test]
async fn log_probabilities_are_read_as_a_chat_tells_them_too() {
    let logprobs = json!({ "content": [{ "token": " a", "logprob": -0.5, "bytes": null, "top_logprobs": [] }] });
    let fields = json!({ "seed": 7, "repeat_penalty": 1.1 });
    let events = [event(" a", &logprobs, Some("stop"))];
    let exchange = exchange("/v1/completions", &fields, &events);
    let lines = "provider = \"llama-server\"\nbase_url = \"URL\"\n";
    let answer = ask(lines, vec![exchange], raw(Layout::Raw)).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.logprobs.len()), (" a", 1));
    assert_eq!(answer.finish_reason, FinishReason::Stop);
}

#[tokio::test]
async fn what_a_provider_does_not_do_is_refused_with_the_way_out() {
    let tools = ChatRequest {
        tools: vec![ToolSpec {
            name: "f".to_owned(),
            description: String::new(),
            parameters: json!({ "type": "object" }),
        }],
        ..raw(Layout::Raw)
    };
    for (provider, request, said) in [
        ("anthropic", raw(Layout::Raw), "only chats"),
        ("gemini", raw(Layout::Raw), "only chats"),
        ("groq", raw(Layout::Raw), "only chats"),
        ("mistral", raw(gap()), "only chats"),
        ("vllm", raw(gap()), "suffix: `m`"),
        ("openai", tools, "send messages"),
        ("tgi", biased(Layout::Raw), "logit_bias: `m`"),
        ("mistral", biased(Layout::Chat), "logit_bias: `m`"),
        ("anthropic", biased(Layout::Chat), "logit_bias: `m`"),
    ] {
        let error = ask(&format!("provider = \"{provider}\"\n"), Vec::new(), request).await;
        match error {
            Err(ModelError::InvalidRequest(message)) => {
                assert!(
                    message.contains(said) && message.contains("`m`"),
                    "{message}"
                );
            }
            other => panic!("{provider}: {other:?}"),
        }
    }
}

/// A ledger that admits so many claims, and says each time what is left.
struct Few(Mutex<u64>);

#[async_trait]
impl Ledger for Few {
    async fn reserve(&self, claim: Claim) -> Result<Reserved, LedgerError> {
        let mut left = self.0.lock().unwrap();
        let remaining = |left| Remaining {
            requests: Some(Figures {
                limit: 2,
                remaining: left,
                reset: Some(Duration::from_secs(60)),
            }),
            tokens: None,
        };
        let Some(less) = left.checked_sub(1) else {
            let (subject, limit) = claim.limits[0].clone();
            return Err(LedgerError::Refused(Refusal {
                limit,
                subject,
                asked: 1,
                left: 0,
                retry_after: None,
                remaining: remaining(0),
            }));
        };
        *left = less;
        Ok(Reserved {
            ticket: Ticket::new(()),
            remaining: remaining(less),
        })
    }

    async fn settle(&self, _: Ticket, _: Spent) {}

    async fn give_back(&self, _: Ticket) {}

    async fn note(&self, _: Vec<Subject>, _: Spent) {}
}

#[tokio::test]
async fn a_caller_is_told_what_its_limits_leave() {
    let seeded = json!({ "seed": 7, "repetition_penalty": 1.1 });
    let exchange = exchange("/v1/completions", &seeded, &answered());
    let server = Replay::start(vec![exchange.clone(), exchange]).await;
    let toml =
        "[models.m]\nmax_retries = 0\nmodel = \"there\"\nprovider = \"vllm\"\nbase_url = \"URL\"\n";
    let gateway = gateway(toml, &server.url);
    gateway.counts_in(Arc::new(Few(Mutex::new(2))));
    let payer = Payer {
        key: Some("hr".to_owned()),
        ..Payer::default()
    };
    let limits: [Limit; 1] = ["2 requests/hour".parse().unwrap()];
    let nobody = Arc::new(Spans::default()).context();
    let cx = nobody.clone().with_payer(payer, Arc::new(limits));
    for (left, admitted) in [(1, true), (0, true), (0, false)] {
        let answer = gateway.chat(raw(Layout::Raw), &cx).await;
        // It is told before anything of the answer has come.
        let told = cx.told().latest().unwrap().requests.unwrap();
        assert_eq!((told.limit, told.remaining), (2, left));
        assert_eq!(answer.is_ok(), admitted);
        if let Ok(answer) = answer {
            collect(answer).await.unwrap();
        }
    }
    assert_eq!(
        nobody.told().latest(),
        cx.told().latest(),
        "clones share it"
    );
    server.finish();
}
