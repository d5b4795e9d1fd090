//! Chat through the gateway against recorded traffic: what a caller sees, what the trace keeps.

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

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use praxis_core::chat::{ChatAnswer, collect};
use praxis_core::{
    ChatChunk, ChatGateway, ChatRequest, Constraint, FinishReason, Message, ModelError, Money,
    Sampling, Span, SpanKind, SpanStatus, Usage,
};
use serde_json::json;
use support::{Exchange, Replay, Spans, fixture, gateway, model_dir};

const REMOTE: &str = "[models.gpt]\nprovider = \"openai\"\nmodel = \"smollm2\"\nbase_url = \"URL\"\n\
    api_key = \"env:TEST_KEY\"\nprice = { input = 0.15, output = 0.6 }\n";

fn request() -> ChatRequest {
    ChatRequest {
        model: "gpt".to_owned(),
        messages: vec![
            Message::system("You answer in one short sentence."),
            Message::user("What is the capital of France?"),
        ],
        ..ChatRequest::default()
    }
}

/// The request of `chat_stream.json`.
fn recorded_request() -> ChatRequest {
    let sampling = Sampling {
        temperature: Some(0.0),
        seed: Some(7),
        max_tokens: Some(24),
        ..Sampling::default()
    };
    ChatRequest {
        sampling,
        ..request()
    }
}

struct Outcome {
    answer: Result<ChatAnswer, ModelError>,
    span: Span,
    pauses: Vec<Duration>,
}

async fn ask(exchanges: Vec<Exchange>, extra: &str, request: ChatRequest) -> Outcome {
    let server = Replay::start(exchanges).await;
    let gateway = gateway(&format!("{REMOTE}{extra}"), &server.url);
    let spans = Arc::new(Spans::default());
    let answer = match gateway.chat(request, &spans.context()).await {
        Ok(stream) => collect(stream).await,
        Err(error) => Err(error),
    };
    Outcome {
        answer,
        span: spans.only(),
        pauses: server.finish(),
    }
}

#[tokio::test]
async fn an_answer_streams_and_leaves_one_span() {
    let outcome = ask(vec![fixture("chat_stream")], "", recorded_request()).await;
    let answer = outcome.answer.unwrap();
    assert_eq!(answer.text, "The capital of France is Paris.");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    // This server reports no usage for streams.
    assert_eq!(
        answer.usage,
        Usage {
            input_tokens: 25,
            output_tokens: 7,
            ..Usage::default()
        }
    );
    let span = outcome.span;
    assert_eq!(
        (span.kind, span.name.as_str(), &span.status),
        (SpanKind::Chat, "gpt", &SpanStatus::Ok)
    );
    assert_eq!(
        span.input["messages"][1]["content"],
        "What is the capital of France?"
    );
    assert_eq!(span.input["sampling"]["seed"], 7);
    assert_eq!(
        span.output,
        json!({"model": "gpt", "text": answer.text, "finish_reason": "stop", "estimated": true})
    );
    assert_eq!((span.usage, span.cost), (answer.usage, Money(4 + 4)));
    assert!(
        span.first_token_us
            .is_some_and(|us| us > 0 && us <= span.duration_us)
    );
}

#[tokio::test]
async fn a_schema_is_passed_on_and_other_constraints_are_refused() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    let constrained = |constraint| ChatRequest {
        constraint: Some(constraint),
        ..request()
    };
    let asked = fixture("openai_usage").asked_with(json!({ "response_format": {
        "type": "json_schema",
        "json_schema": { "name": "answer", "strict": false, "schema": schema },
    } }));
    let outcome = ask(vec![asked], "", constrained(Constraint::JsonSchema(schema))).await;
    outcome.answer.unwrap();
    let object = json!({ "response_format": { "type": "json_object" } });
    let asked = fixture("openai_usage").asked_with(object);
    let json = ask(vec![asked], "", constrained(Constraint::JsonObject)).await;
    json.answer.unwrap();
    assert!(outcome.span.input["constraint"]["json_schema"].is_object());
    for (constraint, sent) in [
        (Constraint::Regex("a+".into()), json!({ "regex": "a+" })),
        (
            Constraint::Choice(vec!["a".into(), "b".into()]),
            json!({ "choice": ["a", "b"] }),
        ),
        (
            Constraint::Grammar("start: /a+/".into()),
            json!({ "grammar": "start: /a+/" }),
        ),
    ] {
        let asked = fixture("openai_usage").asked_with(json!({ "structured_outputs": sent }));
        let vllm = "structured_outputs = true\n";
        ask(vec![asked], vllm, constrained(constraint))
            .await
            .answer
            .unwrap();
    }
    let outcome = ask(vec![], "", constrained(Constraint::Regex("a+".into()))).await;
    match outcome.answer {
        Err(ModelError::InvalidRequest(message)) => {
            assert!(message.contains("`regex`"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reported_usage_is_charged_at_the_listed_price() {
    let outcome = ask(vec![fixture("openai_usage")], "", request()).await;
    let usage = Usage {
        input_tokens: 1000,
        cached_tokens: 64,
        output_tokens: 200,
        ..Usage::default()
    };
    assert_eq!(outcome.answer.unwrap().usage, usage);
    assert_eq!(
        (outcome.span.usage, outcome.span.cost),
        (usage, Money(150 + 120))
    );
    assert_eq!(outcome.span.output.get("estimated"), None);
}

#[tokio::test]
async fn logprobs_come_with_their_tokens() {
    let request = ChatRequest {
        top_logprobs: Some(2),
        sampling: Sampling {
            temperature: Some(0.0),
            max_tokens: Some(2),
            ..Sampling::default()
        },
        ..request()
    };
    let answer = ask(vec![fixture("chat_logprobs")], "", request)
        .await
        .answer
        .unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.finish_reason),
        ("The capital", FinishReason::Length)
    );
    let tokens: Vec<_> = answer
        .logprobs
        .iter()
        .map(|l| (l.token.as_str(), l.top_logprobs.len()))
        .collect();
    assert_eq!(tokens, [("The", 2), (" capital", 2)]);
    assert!((answer.logprobs[0].logprob + 0.7666).abs() < 1e-3);
}

#[tokio::test]
async fn passing_errors_are_retried_and_noted() {
    let exchanges = vec![
        fixture("openai_overloaded"),
        fixture("openai_error_in_stream"),
        fixture("openai_usage"),
    ];
    let outcome = ask(exchanges, "", request()).await;
    assert_eq!(outcome.answer.unwrap().text, "Paris.");
    let failed = outcome.span.output["failed_attempts"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(failed.len(), 2);
    assert!(
        failed[0]["error"].as_str().unwrap().contains("overloaded"),
        "{failed:?}"
    );
    assert!(
        failed[1]["error"]
            .as_str()
            .unwrap()
            .contains("had an error"),
        "{failed:?}"
    );
    let [first, second] = outcome.pauses[..] else {
        panic!("{:?}", outcome.pauses)
    };
    // 500 ms and twice that, each less a quarter at most; how much longer they are is up to the machine.
    assert!(
        first >= Duration::from_millis(370) && second >= Duration::from_millis(740),
        "{first:?} {second:?}"
    );
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let exchanges = vec![fixture("openai_rate_limited"), fixture("openai_usage")];
    let outcome = ask(exchanges, "", request()).await;
    assert_eq!(outcome.answer.unwrap().text, "Paris.");
    assert!(
        outcome.pauses[0] >= Duration::from_secs(1),
        "{:?}",
        outcome.pauses
    );
}

#[tokio::test]
async fn what_another_attempt_cannot_mend_is_not_retried() {
    let hot = ChatRequest {
        sampling: Sampling {
            temperature: Some(3.0),
            ..Sampling::default()
        },
        ..request()
    };
    for (name, request, code, message) in [
        (
            "openai_invalid",
            hot,
            "invalid_request",
            "Invalid 'temperature'",
        ),
        (
            "openai_too_long",
            request(),
            "context_length_exceeded",
            "130011 tokens, the model's context window 128000",
        ),
    ] {
        let outcome = ask(vec![fixture(name)], "", request).await;
        let error = outcome.answer.unwrap_err();
        assert_eq!(error.code().as_str(), code);
        assert!(error.to_string().contains(message), "{error}");
        assert!(matches!(&outcome.span.status, SpanStatus::Error(m) if m.contains(message)));
        assert_eq!(
            (outcome.span.usage, outcome.span.cost),
            (Usage::default(), Money(0))
        );
    }
}

#[tokio::test]
async fn a_refused_or_absent_key_is_told_without_showing_it() {
    let server = Replay::start(vec![fixture("chat_unauthorized")]).await;
    let config = "[models.wrong]\nprovider = \"openai\"\nmodel = \"smollm2\"\nbase_url = \"URL\"\napi_key = \"env:WRONG_KEY\"\n\
        [models.absent]\nprovider = \"openai\"\nmodel = \"smollm2\"\nbase_url = \"URL\"\napi_key = \"env:ABSENT_KEY\"\n";
    let gateway = gateway(config, &server.url);
    for (model, part) in [
        ("wrong", "Invalid API key"),
        ("absent", "ABSENT_KEY is not set"),
    ] {
        let sampling = Sampling {
            temperature: Some(0.0),
            ..Sampling::default()
        };
        let request = ChatRequest {
            model: model.to_owned(),
            sampling,
            ..request()
        };
        let spans = Arc::new(Spans::default());
        let error = gateway.chat(request, &spans.context()).await.err().unwrap();
        assert_eq!(error.code().as_str(), "upstream_unauthorized");
        let text = error.to_string();
        assert!(text.contains(part) && !text.contains("wrong-key"), "{text}");
        assert!(!format!("{:?}", spans.only()).contains("wrong-key"));
    }
    let info = gateway
        .models()
        .into_iter()
        .find(|m| m.name == "absent")
        .unwrap();
    assert!(!info.available && info.reason.unwrap().contains("ABSENT_KEY"));
    server.finish();
}

#[tokio::test]
async fn an_answer_that_breaks_before_its_first_token_is_asked_for_again() {
    for broken in [
        fixture("chat_stream").broken_after(0),
        fixture("chat_stream").broken_after(1),
        // This server answers a prompt that is too long with an empty stream.
        Exchange {
            response: fixture("chat_too_long").response,
            ..fixture("chat_stream")
        },
    ] {
        let outcome = ask(vec![broken, fixture("chat_stream")], "", recorded_request()).await;
        assert_eq!(
            outcome.answer.unwrap().text,
            "The capital of France is Paris."
        );
        assert_eq!(
            outcome.span.output["failed_attempts"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
    }
}

#[tokio::test]
async fn an_answer_that_breaks_later_is_an_error_and_is_charged() {
    let outcome = ask(
        vec![fixture("chat_stream").broken_after(4)],
        "",
        recorded_request(),
    )
    .await;
    let error = outcome.answer.unwrap_err();
    assert!(matches!(error, ModelError::Broken(_)), "{error:?}");
    let span = outcome.span;
    assert!(matches!(span.status, SpanStatus::Error(_)));
    assert_eq!(span.output["text"], "The capital of");
    assert_eq!(span.output["estimated"], true);
    assert_eq!((span.usage.input_tokens, span.usage.output_tokens), (25, 3));
    assert!(span.cost > Money(0));
}

#[tokio::test]
async fn waits_are_bounded() {
    // Much longer than any limit, so that also a slow machine can tell them apart.
    let pause = Duration::from_secs(60);
    for (exchange, limits, expected) in [
        (
            fixture("chat_stream").pause_before(0, pause),
            "first_token_timeout = \"1s\"",
            "no answer within 1s",
        ),
        (
            fixture("chat_stream").pause_before(1, pause),
            "first_token_timeout = \"1s\"",
            "no answer within 1s",
        ),
        (
            fixture("chat_stream").pause_before(3, pause),
            "idle_timeout = \"200ms\"",
            "nothing came for 200ms",
        ),
        (
            fixture("chat_stream").pause_before(3, pause),
            "timeout = \"2s\"",
            "not complete within 2s",
        ),
    ] {
        let began = std::time::Instant::now();
        let extra = format!("max_retries = 0\n{limits}\n");
        let error = ask(vec![exchange], &extra, recorded_request())
            .await
            .answer
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{limits}: {error}");
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{limits}: {:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn a_dropped_stream_is_traced_as_cancelled_and_charged() {
    let server = Replay::start(vec![
        fixture("chat_stream").pause_before(4, Duration::from_secs(5)),
    ])
    .await;
    let gateway = gateway(REMOTE, &server.url);
    let spans = Arc::new(Spans::default());
    let mut stream = gateway
        .chat(recorded_request(), &spans.context())
        .await
        .unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(
        first,
        ChatChunk::Delta {
            text: "The".to_owned(),
            logprobs: Vec::new()
        }
    );
    drop(stream);
    let span = spans.only();
    assert_eq!(
        (span.status, &span.output["text"]),
        (SpanStatus::Cancelled, &json!("The"))
    );
    assert_eq!((span.usage.input_tokens, span.usage.output_tokens), (25, 1));
}

#[tokio::test]
async fn a_cancelled_call_ends_while_it_waits() {
    let server = Replay::start(vec![
        fixture("chat_stream").pause_before(0, Duration::from_secs(60)),
    ])
    .await;
    let gateway = gateway(REMOTE, &server.url);
    let spans = Arc::new(Spans::default());
    let cx = spans.context();
    let cancel = cx.cancel().clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel.cancel();
    });
    let began = std::time::Instant::now();
    let error = gateway.chat(recorded_request(), &cx).await.err().unwrap();
    assert!(matches!(error, ModelError::Cancelled), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(spans.only().status, SpanStatus::Cancelled);
}

#[tokio::test]
async fn a_fallback_answers_where_the_first_model_cannot() {
    let second = fixture("openai_usage").asked_with(json!({"model": "other"}));
    let extra = "max_retries = 1\nfallback = [\"second\"]\n[models.second]\nprovider = \"openai\"\nmodel = \"other\"\n\
        base_url = \"URL\"\napi_key = \"env:TEST_KEY\"\nprice = { input = 1.0, output = 1.0 }\n";
    let exchanges = vec![
        fixture("openai_overloaded"),
        fixture("openai_overloaded"),
        second,
    ];
    let outcome = ask(exchanges, extra, request()).await;
    assert_eq!(outcome.answer.unwrap().text, "Paris.");
    assert_eq!(
        (outcome.span.name.as_str(), &outcome.span.output["model"]),
        ("gpt", &json!("second"))
    );
    assert_eq!(
        outcome.span.output["failed_attempts"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        outcome.span.cost,
        Money(1200),
        "the price of the model that answered"
    );
}

#[tokio::test]
async fn a_local_model_stands_in_for_an_unreachable_endpoint() {
    if model_dir("smollm2-135m-instruct").is_none() {
        return;
    }
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = format!("{REMOTE}max_retries = 0\nfallback = [\"smollm2-135m-instruct\"]\n");
    let gateway = gateway(&config, &format!("http://{closed}/v1"));
    let spans = Arc::new(Spans::default());
    let answer = collect(
        gateway
            .chat(recorded_request(), &spans.context())
            .await
            .unwrap(),
    )
    .await;
    let answer = answer.unwrap();
    assert!(answer.text.contains("Paris"), "{}", answer.text);
    assert!(
        answer.usage.input_tokens > 20 && answer.usage.output_tokens > 3,
        "{:?}",
        answer.usage
    );
    let span = spans.only();
    assert_eq!(span.output["model"], "smollm2-135m-instruct");
    assert!(
        span.output["failed_attempts"][0]["error"]
            .as_str()
            .unwrap()
            .contains("cannot be reached")
    );
    assert_eq!((span.output.get("estimated"), span.cost), (None, Money(0)));
}

#[tokio::test]
async fn names_that_cannot_chat_say_why() {
    let gateway = gateway(REMOTE, "http://127.0.0.1:9/v1");
    for (model, code, part) in [
        ("gtp", "not_found", "did you mean `gpt`?"),
        ("nobody", "not_found", "`praxis models list` shows all"),
        (
            "multilingual-e5-small",
            "invalid_request",
            "is a model for embedding",
        ),
        (
            "whisper-base",
            "invalid_request",
            "is a model for transcription",
        ),
    ] {
        let request = ChatRequest {
            model: model.to_owned(),
            ..request()
        };
        let spans = Arc::new(Spans::default());
        let error = gateway.chat(request, &spans.context()).await.err().unwrap();
        assert_eq!(error.code().as_str(), code);
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_model_that_was_not_pulled_names_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let cache = praxis_hub::Cache::open(Some(dir.path().to_owned())).unwrap();
    let gateway =
        praxis_gateway::Gateway::new(praxis_gateway::GatewayConfig::default(), cache).unwrap();
    assert_eq!(gateway.missing(), ["qwen2.5-coder-1.5b-instruct"]);
    let spans = Arc::new(Spans::default());
    let request = ChatRequest {
        model: String::new(),
        ..request()
    };
    let error = gateway.chat(request, &spans.context()).await.err().unwrap();
    assert!(
        error
            .to_string()
            .contains("praxis models pull qwen2.5-coder-1.5b-instruct"),
        "{error}"
    );
    let embedder = gateway.embedder(None).unwrap();
    assert_eq!(embedder.identity(), "multilingual-e5-small@1571fc98");
    let error = embedder.dimension().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("praxis models pull multilingual-e5-small"),
        "{error}"
    );
}

#[tokio::test]
async fn requests_and_tokens_are_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let exchanges = vec![fixture("openai_overloaded"), fixture("openai_usage")];
    ask(exchanges, "", request()).await.answer.unwrap();
    let text = handle.render();
    for line in [
        "praxis_model_requests_total{model=\"gpt\",outcome=\"ok\"} 1",
        "praxis_model_tokens_total{model=\"gpt\",direction=\"input\"} 1000",
        "praxis_model_tokens_total{model=\"gpt\",direction=\"output\"} 200",
        "praxis_model_retries_total{model=\"gpt\"} 1",
        "praxis_model_request_seconds_count{model=\"gpt\"} 1",
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

/// A folder as PEFT saves it, with an adapter of rank 1 for one projection of SmolLM2.
fn adapter(folder: &std::path::Path) {
    let config = json!({ "peft_type": "LORA", "r": 1, "lora_alpha": 1.0 });
    std::fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    let name = "base_model.model.model.layers.0.mlp.down_proj";
    let mut header = json!({}).as_object().unwrap().clone();
    let mut data = Vec::new();
    for (side, shape) in [("lora_A", [1, 1536]), ("lora_B", [576, 1])] {
        let start = data.len();
        let numbers = (0..shape[0] * shape[1]).map(|i| (i % 7) as f32 - 3.0);
        data.extend(numbers.flat_map(f32::to_le_bytes));
        let entry = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(format!("{name}.{side}.weight"), entry);
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(data);
    std::fs::write(folder.join("adapter_model.safetensors"), file).unwrap();
}

#[tokio::test]
async fn a_model_with_an_adapter_answers_beside_the_bare_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd");
    let config = format!(
        "[models.odd]\nprovider = \"local\"\nmodel = \"smollm2-135m-instruct\"\nadapter = \"{}\"\n",
        path.display()
    );
    let gateway = gateway(&config, "");
    let odd = |gateway: &praxis_gateway::Gateway| {
        let models = gateway.models();
        models.into_iter().find(|m| m.name == "odd").unwrap()
    };
    assert!(!odd(&gateway).available);
    if model_dir("smollm2-135m-instruct").is_none() {
        return;
    }
    let reason = odd(&gateway).reason.unwrap();
    assert!(reason.contains("there is no adapter"), "{reason}");
    std::fs::create_dir(&path).unwrap();
    adapter(&path);
    assert!(odd(&gateway).available);
    let ask = |model: &str| {
        let request = ChatRequest {
            model: model.to_owned(),
            ..recorded_request()
        };
        let cx = Arc::new(Spans::default()).context();
        let gateway = &gateway;
        async move {
            collect(gateway.chat(request, &cx).await.unwrap())
                .await
                .unwrap()
        }
    };
    let (bare, with) = tokio::join!(ask("smollm2-135m-instruct"), ask("odd"));
    assert!(bare.text.contains("Paris"), "{}", bare.text);
    assert_ne!(bare.text, with.text);
}

#[tokio::test]
async fn windows_are_known_before_anything_is_loaded_and_tokens_counted_as_the_model_reads_them() {
    let config = format!(
        "{REMOTE}context_length = 1000\n[models.narrow]\nprovider = \"local\"\n\
         model = \"smollm2-135m-instruct\"\ncontext_length = 512\n"
    );
    let gateway = gateway(&config, "http://localhost/v1");
    for (model, window) in [
        ("gpt", Some(1000)),
        ("narrow", Some(512)),
        ("smollm2-135m-instruct", Some(8192)),
        ("none", None),
    ] {
        assert_eq!(gateway.window(model), window, "{model}");
    }
    let messages = request().messages;
    let remote = gateway.count_tokens("gpt", &messages).await.unwrap();
    assert!(!remote.exact && remote.total() > 15, "{remote:?}");
    assert!(gateway.count_tokens("none", &messages).await.is_err());
    if model_dir("smollm2-135m-instruct").is_none() {
        return;
    }
    let local = gateway.count_tokens("narrow", &messages).await.unwrap();
    let asked = ChatRequest {
        model: "narrow".to_owned(),
        sampling: Sampling {
            max_tokens: Some(1),
            ..Sampling::default()
        },
        ..request()
    };
    let cx = Arc::new(Spans::default()).context();
    let answer = collect(gateway.chat(asked, &cx).await.unwrap())
        .await
        .unwrap();
    assert_eq!(local.total() as u64, answer.usage.input_tokens);
    assert!(local.exact);
}
