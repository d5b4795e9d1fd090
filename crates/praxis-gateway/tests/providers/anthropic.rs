//! Anthropic's Messages API.

use std::time::Duration;

use praxis_core::chat::ReasoningEffort;
use praxis_core::{
    ChatRequest, Constraint, FinishReason, Message, ModelError, Part, Role, Sampling, ToolCall,
    ToolSpec, Usage,
};
use serde_json::{Value, json};

use super::{Outcome, question};
use crate::support::{Exchange, fixture, fixtures};

const PLACE: &str =
    "provider = \"anthropic\"\nbase_url = \"URL\"\napi_key = \"env:ANTHROPIC_API_KEY\"\n";

/// Asks a model, with more lines for its declaration.
async fn ask(model: &str, more: &str, exchange: Exchange, request: ChatRequest) -> Outcome {
    let declared = format!("{PLACE}model = \"{model}\"\n{more}");
    super::ask(&declared, vec![exchange], request).await
}

const NO_CACHE: &str = "prompt_cache = false";

/// Asks the small model without a cache.
async fn small(exchange: Exchange, request: ChatRequest) -> Outcome {
    ask("claude-haiku-4-5", NO_CACHE, exchange, request).await
}

/// Why the small model gives no answer.
async fn failed(exchange: Exchange) -> ModelError {
    let outcome = small(exchange, short("Hello")).await;
    outcome.answer.unwrap_err()
}

/// A question whose answer has at most 4096 tokens.
fn short(text: &str) -> ChatRequest {
    ChatRequest {
        sampling: Sampling {
            max_tokens: Some(4096),
            ..Sampling::default()
        },
        ..question(text)
    }
}

fn brief(text: &str) -> ChatRequest {
    let mut request = question(text);
    request.messages.insert(0, Message::system("Be brief."));
    request
}

fn weather() -> ToolSpec {
    ToolSpec {
        name: "get_weather".to_owned(),
        description: "The weather at a place.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {"location": {"type": "string"}},
            "required": ["location"],
        }),
    }
}

#[tokio::test]
async fn an_answer_streams_with_its_usage_and_its_prompt_is_cached() {
    let exchange = fixture("providers/anthropic");
    let outcome = ask("claude-opus-5-5", "", exchange, brief("Hello")).await;
    let answer = outcome.answer.unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.reasoning.as_str()),
        ("Hello!", "")
    );
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    let usage = Usage {
        input_tokens: 1525,
        cached_tokens: 1200,
        cache_write_tokens: 300,
        output_tokens: 15,
        reasoning_tokens: 4,
        ..Usage::default()
    };
    assert_eq!(answer.usage, usage);
    assert_eq!(outcome.span.usage, usage);
    assert!(outcome.span.output.get("left_out").is_none());
}

#[tokio::test]
async fn what_the_api_has_no_word_for_is_told_to_the_caller() {
    let request = ChatRequest {
        sampling: Sampling {
            temperature: Some(0.2),
            top_p: Some(0.9),
            top_k: Some(40),
            min_p: Some(0.1),
            seed: Some(7),
            presence_penalty: Some(0.5),
            max_tokens: Some(256),
            stop: vec!["END".to_owned()],
            ..Sampling::default()
        },
        top_logprobs: Some(2),
        cache_key: Some("k".to_owned()),
        ..brief("Hello")
    };
    let exchange = fixtures("providers/anthropic").remove(1);
    let outcome = small(exchange, request).await;
    assert_eq!(outcome.answer.unwrap().text, "Hello!");
    let left_out = json!(["min_p", "presence_penalty", "seed", "logprobs", "top_p"]);
    assert_eq!(outcome.span.output["left_out"], left_out);
}

#[tokio::test]
async fn the_version_of_the_api_can_be_another() {
    let mut exchange = fixture("providers/anthropic");
    let headers = &mut exchange.request.headers;
    headers.insert("anthropic-version".to_owned(), json!("2027-01-01"));
    let more = "api_version = \"2027-01-01\"";
    let outcome = ask("claude-opus-5-5", more, exchange, brief("Hello")).await;
    assert!(outcome.answer.is_ok());
}

#[tokio::test]
async fn what_was_thought_before_a_call_goes_back_with_it() {
    let [first, second, third]: [Exchange; 3] =
        fixtures("providers/anthropic_tools").try_into().unwrap();
    let mut request = ChatRequest {
        tools: vec![weather()],
        parallel_tool_calls: Some(false),
        reasoning_effort: Some(ReasoningEffort::Low),
        ..brief("What's the weather in San Francisco?")
    };
    let asked = |exchange, request| ask("claude-opus-5-5", NO_CACHE, exchange, request);
    let answer = asked(first, request.clone()).await.answer.unwrap();
    assert_eq!(answer.reasoning, "The tool knows.");
    assert_eq!(answer.text, "Okay, let's see");
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    let call = ToolCall {
        id: "toolu_01T1x1fJ34qAmk2tNTrN7Up6".to_owned(),
        name: "get_weather".to_owned(),
        arguments: "{\"location\": \"San Francisco, CA\"}".to_owned(),
    };
    assert_eq!(answer.tool_calls, std::slice::from_ref(&call));
    assert_eq!(
        (answer.usage.input_tokens, answer.usage.output_tokens),
        (472, 89)
    );

    request.messages.push(Message {
        tool_calls: answer.tool_calls,
        ..Message::assistant(answer.text)
    });
    let gave = Message::tool(call.id, "15 degrees");
    request.messages.push(gave);
    let answer = asked(second, request.clone()).await.answer.unwrap();
    assert_eq!(answer.text, "15 degrees.");

    // Behind another system prompt the provider would refuse it.
    request.messages[0] = Message::system("Be long.");
    assert!(asked(third, request).await.answer.is_ok());
}

#[tokio::test]
async fn older_models_think_within_a_budget_if_their_turn_began_so() {
    let [thinks, forgot]: [Exchange; 2] =
        fixtures("providers/anthropic_budget").try_into().unwrap();
    let mut request = ChatRequest {
        reasoning_effort: Some(ReasoningEffort::Medium),
        ..short("What's the weather in San Francisco?")
    };
    let answer = small(thinks, request.clone()).await.answer.unwrap();
    assert_eq!(answer.reasoning, "Let me see.");
    assert_eq!(answer.usage.reasoning_tokens, 30);

    let mut calls = Message::assistant("");
    calls.tool_calls = vec![ToolCall {
        id: "toolu_forgotten".to_owned(),
        name: "get_weather".to_owned(),
        arguments: String::new(),
    }];
    request.messages.push(calls);
    request
        .messages
        .push(Message::tool("toolu_forgotten", "15 degrees"));
    let outcome = small(forgot, request).await;
    assert_eq!(outcome.answer.unwrap().text, "15 degrees.");
    assert_eq!(outcome.span.output["left_out"], json!(["reasoning_effort"]));
}

#[tokio::test]
async fn images_and_documents_are_sent() {
    let parts = vec![
        Part::Text("What is this?".to_owned()),
        Part::image("data:image/png;base64,iVBORw0KGgo="),
        Part::image("https://example.com/a.jpg"),
        Part::image("data:application/pdf;base64,JVBERi0="),
    ];
    let mut request = short("");
    request.messages = vec![Message::of_parts(Role::User, parts)];
    let outcome = small(fixture("providers/anthropic_media"), request).await;
    assert_eq!(outcome.answer.unwrap().text, "A square.");
}

#[tokio::test]
async fn an_answer_is_held_to_a_schema() {
    let schema = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": false,
    });
    let request = ChatRequest {
        constraint: Some(Constraint::JsonSchema(schema)),
        ..short("Where?")
    };
    let outcome = small(fixture("providers/anthropic_schema"), request).await;
    assert_eq!(outcome.answer.unwrap().text, "{\"city\": \"Paris\"}");
    let request = ChatRequest {
        constraint: Some(Constraint::Choice(vec!["a".to_owned()])),
        ..short("Where?")
    };
    let declared = format!("{PLACE}model = \"claude-haiku-4-5\"\n");
    let outcome = super::ask(&declared, Vec::new(), request).await;
    let error = outcome.answer.unwrap_err();
    assert!(matches!(error, ModelError::InvalidRequest(_)), "{error:?}");
    assert!(error.to_string().starts_with("constraint: `m`"), "{error}");
}

#[tokio::test]
async fn why_an_answer_ended_is_told() {
    for (reason, expected) in [
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("refusal", FinishReason::ContentFilter),
        ("pause_turn", FinishReason::Stop),
    ] {
        let mut exchange = fixture("providers/anthropic");
        for chunk in &mut exchange.response.body {
            let text = chunk.as_str().unwrap().replace("end_turn", reason);
            *chunk = Value::String(text);
        }
        let outcome = ask("claude-opus-5-5", "", exchange, brief("Hello")).await;
        let answer = outcome.answer.unwrap();
        assert_eq!(
            (answer.text.as_str(), answer.finish_reason),
            ("Hello!", expected)
        );
    }
}

#[tokio::test]
async fn errors_say_whether_asking_again_may_help() {
    let [overloaded, limited, long, early, late]: [Exchange; 5] =
        fixtures("providers/anthropic_errors").try_into().unwrap();
    let error = failed(overloaded).await;
    assert!(matches!(error, ModelError::Unavailable(_)), "{error:?}");
    let ModelError::RateLimited { retry_after, .. } = failed(limited).await else {
        panic!("429");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
    let ModelError::ContextLengthExceeded {
        prompt_tokens,
        context_length,
    } = failed(long).await
    else {
        panic!("400");
    };
    assert_eq!((prompt_tokens, context_length), (210_000, 200_000));
    let error = failed(early).await;
    assert!(error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("Overloaded"), "{error}");
    let error = failed(late.clone()).await;
    assert!(matches!(error, ModelError::Broken(_)), "{error:?}");
    assert!(error.to_string().contains("Overloaded"), "{error}");
    let error = failed(late.broken_after(3)).await;
    assert!(matches!(error, ModelError::Broken(_)), "{error:?}");
}
