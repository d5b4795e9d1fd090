//! Google's Gemini API.

use std::time::Duration;

use praxis_core::chat::ReasoningEffort;
use praxis_core::{
    ChatRequest, Constraint, EmbedKind, FinishReason, Message, ModelError, Part, Role, Sampling,
    ToolCall, ToolChoice, ToolSpec, Usage,
};
use serde_json::json;

use crate::support::{Replay, fixture, fixtures, gateway};
use crate::{ask, question};

const FLASH: &str = "provider = \"gemini\"\nmodel = \"gemini-2.5-flash\"\nbase_url = \"URL\"\n\
    api_key = \"env:GEMINI_API_KEY\"\n";
const THREE: &str = "provider = \"gemini\"\nmodel = \"gemini-3-flash-preview\"\nbase_url = \"URL\"\n\
    api_key = \"env:GEMINI_API_KEY\"\n";

fn weather() -> ToolSpec {
    ToolSpec {
        name: "weather".to_owned(),
        description: "The weather of a city.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": { "city": { "type": "string" } },
            "required": ["city"],
        }),
    }
}

/// The model's message with its calls.
fn wanted(text: &str, calls: &[ToolCall]) -> Message {
    Message {
        tool_calls: calls.to_vec(),
        ..Message::assistant(text)
    }
}

#[tokio::test]
async fn an_answer_streams() {
    let request = ChatRequest {
        messages: vec![
            Message::system("You answer in one short sentence."),
            Message::user("What is the capital of France?"),
        ],
        sampling: Sampling {
            temperature: Some(0.0),
            top_p: Some(0.9),
            top_k: Some(40),
            seed: Some(7),
            max_tokens: Some(24),
            stop: vec!["END".to_owned()],
            ..Sampling::default()
        },
        ..question("")
    };
    let outcome = ask(FLASH, vec![fixture("providers/gemini")], request).await;
    let answer = outcome.answer.unwrap();
    assert_eq!(answer.text, "The capital of France is Paris.");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    let usage = Usage {
        input_tokens: 15,
        cached_tokens: 4,
        output_tokens: 8,
        ..Usage::default()
    };
    assert_eq!((answer.usage, outcome.span.usage), (usage, usage));
}

#[tokio::test]
async fn calls_go_and_come_with_their_ids_and_signatures() {
    let mut exchanges = fixtures("providers/gemini_tools");
    let results = exchanges.split_off(1);
    let first = ChatRequest {
        tools: vec![weather()],
        tool_choice: ToolChoice::Required,
        reasoning_effort: Some(ReasoningEffort::Low),
        ..question("What is the weather in Paris and in London?")
    };
    let answer = ask(THREE, exchanges, first.clone()).await.answer.unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.reasoning.as_str()),
        ("", "**Two cities**\n\nI need the weather of each.")
    );
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    assert_eq!(
        (answer.usage.output_tokens, answer.usage.reasoning_tokens),
        (42, 12)
    );
    let calls = &answer.tool_calls;
    let seen: Vec<_> = calls.iter().map(|c| (&*c.id, &*c.arguments)).collect();
    assert_eq!(
        seen,
        [
            ("weather-paris", "{\"city\":\"Paris\"}"),
            ("weather-london", "{\"city\":\"London\"}"),
        ]
    );

    let mut messages = first.messages.clone();
    messages.push(wanted("", calls));
    messages.push(Message::tool("weather-paris", "{\"celsius\": 21}"));
    messages.push(Message::tool("weather-london", "rain"));
    let second = ChatRequest {
        messages,
        tool_choice: ToolChoice::Auto,
        ..first
    };
    let answer = ask(THREE, results, second).await.answer.unwrap();
    assert_eq!(answer.text, "Paris has 21 °C, London rain.");
}

#[tokio::test]
async fn a_call_without_an_id_gets_one() {
    let mut exchanges = fixtures("providers/gemini_call");
    let mut results = exchanges.split_off(1);
    let first = ChatRequest {
        tools: vec![weather()],
        ..question("What is the weather in Paris?")
    };
    let answer = ask(FLASH, exchanges, first.clone()).await.answer.unwrap();
    assert_eq!(answer.text, "Let me look.");
    let id = answer.tool_calls[0].id.clone();
    assert!(id.starts_with("call_"), "{id}");

    let body = &mut results[0].request.body;
    *body = serde_json::from_str(&body.to_string().replace("CALL_ID", &id)).unwrap();
    let mut messages = first.messages.clone();
    messages.push(wanted(&answer.text, &answer.tool_calls));
    messages.push(Message::tool(id, "21 °C"));
    let second = ChatRequest { messages, ..first };
    let answer = ask(FLASH, results, second).await.answer.unwrap();
    assert_eq!(answer.text, "21 °C.");
}

#[tokio::test]
async fn a_call_that_another_model_made_has_a_signature_that_says_so() {
    let called = ToolCall {
        id: "toolu_elsewhere".to_owned(),
        name: "weather".to_owned(),
        arguments: "{\"city\":\"Paris\"}".to_owned(),
    };
    let messages = vec![
        Message::user("Hi"),
        wanted("", &[called]),
        Message::tool("toolu_elsewhere", "rain"),
    ];
    let function =
        json!({ "id": "toolu_elsewhere", "name": "weather", "args": { "city": "Paris" } });
    let gave =
        json!({ "id": "toolu_elsewhere", "name": "weather", "response": { "result": "rain" } });
    let contents = json!([
        { "role": "user", "parts": [{ "text": "Hi" }] },
        { "role": "model", "parts": [
            { "functionCall": function, "thoughtSignature": "skip_thought_signature_validator" },
        ] },
        { "role": "user", "parts": [{ "functionResponse": gave }] },
    ]);
    let mut exchange =
        fixture("providers/gemini_short").asked_with(json!({ "contents": contents }));
    exchange.request.path = exchange
        .request
        .path
        .replace("gemini-2.5-flash", "gemini-3-flash-preview");
    let request = ChatRequest {
        messages,
        ..question("")
    };
    ask(THREE, vec![exchange], request).await.answer.unwrap();
}

#[tokio::test]
async fn media_are_sent_or_fetched() {
    let media = |url: &str, content_type: Option<&str>| Part::Media {
        url: url.to_owned(),
        content_type: content_type.map(str::to_owned),
        detail: None,
    };
    let content = vec![
        Part::Text("What do you see, hear and read?".to_owned()),
        Part::image("data:image/png;base64,iVBORw0KGgo="),
        media("data:audio/wav;base64,UklGRg==", None),
        media("https://files.example/report.pdf", Some("application/pdf")),
    ];
    let request = ChatRequest {
        messages: vec![Message::of_parts(Role::User, content)],
        ..question("")
    };
    let outcome = ask(FLASH, vec![fixture("providers/gemini_media")], request).await;
    assert_eq!(outcome.answer.unwrap().text, "A dot, a beep, a report.");
}

#[tokio::test]
async fn answers_are_held_to_schemas_and_choices_only() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    let asked = |constraint: Constraint| ChatRequest {
        constraint: Some(constraint),
        ..question("Hi")
    };
    for (constraint, config) in [
        (
            Constraint::JsonSchema(schema.clone()),
            json!({ "responseMimeType": "application/json", "responseJsonSchema": schema }),
        ),
        (
            Constraint::Choice(vec!["a".to_owned(), "b".to_owned()]),
            json!({
                "responseMimeType": "text/x.enum",
                "responseSchema": { "type": "STRING", "enum": ["a", "b"] },
            }),
        ),
    ] {
        let config = json!({ "generationConfig": config });
        let exchange = fixture("providers/gemini_short").asked_with(config);
        let outcome = ask(FLASH, vec![exchange], asked(constraint)).await;
        assert_eq!(outcome.answer.unwrap().text, "Hello!");
    }
    let outcome = ask(FLASH, vec![], asked(Constraint::Regex("a+".to_owned()))).await;
    match outcome.answer {
        Err(ModelError::InvalidRequest(message)) => {
            assert!(message.starts_with("constraint: "), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_effort_is_told_in_the_words_of_the_model() {
    for (effort, thinking) in [
        (ReasoningEffort::None, json!({ "thinkingBudget": 0 })),
        (
            ReasoningEffort::Medium,
            json!({ "includeThoughts": true, "thinkingBudget": 8192 }),
        ),
    ] {
        let config = json!({ "generationConfig": { "thinkingConfig": thinking } });
        let exchange = fixture("providers/gemini_short").asked_with(config);
        let request = ChatRequest {
            reasoning_effort: Some(effort),
            ..question("Hi")
        };
        ask(FLASH, vec![exchange], request).await.answer.unwrap();
    }
}

#[tokio::test]
async fn what_a_filter_withheld_is_told() {
    let mut exchanges = fixtures("providers/gemini_blocked").into_iter();
    for text in ["", "First, "] {
        let exchange = exchanges.next().unwrap();
        let outcome = ask(FLASH, vec![exchange], question("Hi")).await;
        let answer = outcome.answer.unwrap();
        assert_eq!(
            (answer.text.as_str(), answer.finish_reason),
            (text, FinishReason::ContentFilter)
        );
        assert_eq!(answer.usage.input_tokens, 5);
    }
    // A call that nobody could make is no answer: another attempt may be one.
    let error = ask(FLASH, exchanges.collect(), question("Hi")).await.answer;
    let error = error.unwrap_err();
    assert!(error.is_retryable());
    assert!(
        error.to_string().contains("MALFORMED_FUNCTION_CALL"),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_without_an_end_is_no_answer() {
    let cut = fixture("providers/gemini").broken_after(1);
    let mut open = fixture("providers/gemini");
    open.response.body.truncate(1);
    for mut exchange in [cut, open] {
        exchange.request.body = fixture("providers/gemini_short").request.body;
        let outcome = ask(FLASH, vec![exchange], question("Hi")).await;
        match outcome.answer {
            Err(ModelError::Broken(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn each_error_says_what_the_caller_can_do() {
    let exchanges = fixtures("providers/gemini_errors");
    let codes = [
        "rate_limited",
        "context_length_exceeded",
        "upstream_unauthorized",
        "invalid_request",
        "upstream_unauthorized",
        "not_found",
        "upstream_error",
        "upstream_error",
    ];
    assert_eq!(exchanges.len(), codes.len());
    for (exchange, code) in exchanges.into_iter().zip(codes) {
        let outcome = ask(FLASH, vec![exchange], question("Hi")).await;
        let error = outcome.answer.unwrap_err();
        assert_eq!(error.code().as_str(), code, "{error}");
        if let ModelError::ContextLengthExceeded {
            prompt_tokens,
            context_length,
        } = error
        {
            assert_eq!((prompt_tokens, context_length), (1_200_293, 1_048_576));
        }
    }
}

#[tokio::test]
async fn an_error_inside_of_the_stream_is_the_same() {
    let details = json!([
        { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.5s" },
    ]);
    let error = json!({ "error": {
        "code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": details,
    } });
    let mut exchange = fixture("providers/gemini_short");
    exchange.response.body = vec![json!(format!("data: {error}\r\n\r\n"))];
    let outcome = ask(FLASH, vec![exchange], question("Hi")).await;
    match outcome.answer {
        Err(ModelError::RateLimited { retry_after, .. }) => {
            assert_eq!(retry_after, Some(Duration::from_millis(3500)));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn texts_become_vectors() {
    let server = Replay::start(vec![fixture("providers/gemini_embeddings")]).await;
    let toml = "[models.e]\nprovider = \"gemini\"\ntask = \"embedding\"\nmodel = \"gemini-embedding-001\"\n\
        base_url = \"URL\"\napi_key = \"env:GEMINI_API_KEY\"\ndimension = 2\nmax_retries = 0\n";
    let gateway = gateway(toml, &server.url);
    let embedder = gateway.embedder(Some("e")).unwrap();
    let texts = ["Who taught Lu Xun?", "鲁迅的老师是谁？"];
    let texts = texts.map(str::to_owned).to_vec();
    let vectors = embedder.embed(EmbedKind::Passage, texts).await.unwrap();
    // As they come they are not of length 1.
    assert_eq!(vectors.len(), 2);
    for (vector, expected) in vectors.iter().zip([[0.6_f32, 0.8], [0.0, -1.0]]) {
        let near = vector
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near && vector.len() == 2, "{vector:?}");
    }
    server.finish();
}
