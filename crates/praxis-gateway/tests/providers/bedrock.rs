//! Amazon Bedrock: ConverseStream, and the frames in which its answers come. Signatures are tested beside their code:
//! they hold for a moment only.

use std::time::Duration;

use praxis_core::chat::{ChatAnswer, ReasoningEffort};
use praxis_core::{
    ChatRequest, Constraint, FinishReason, Message, ModelError, Sampling, ToolCall, ToolSpec, Usage,
};
use serde_json::{Value, json};

use super::{Outcome, question};
use crate::support::{Exchange, fixture, fixtures};

const HAIKU: &str = "anthropic.claude-3-haiku-20240307-v1:0";
const SONNET: &str = "eu.anthropic.claude-sonnet-4-20250514-v1:0";

/// Asks a model with a key of Bedrock's own.
async fn ask(model: &str, exchange: Exchange, request: ChatRequest) -> Outcome {
    let declared = format!(
        "provider = \"bedrock\"\nbase_url = \"URL\"\napi_key = \"env:TEST_KEY\"\nmodel = \"{model}\"\n"
    );
    super::ask(&declared, vec![exchange], request).await
}

async fn answered(model: &str, exchange: Exchange, request: ChatRequest) -> ChatAnswer {
    ask(model, exchange, request).await.answer.unwrap()
}

/// Why there is no answer to the question of most fixtures.
async fn failed(exchange: Exchange) -> ModelError {
    let outcome = ask(HAIKU, exchange, capital()).await;
    outcome.answer.unwrap_err()
}

fn capital() -> ChatRequest {
    question("What is the capital of France?")
}

/// The question of the first fixture.
fn sampled() -> ChatRequest {
    let mut request = capital();
    let system = Message::system("You answer in one short sentence.");
    request.messages.insert(0, system);
    request.sampling = Sampling {
        temperature: Some(0.5),
        top_p: Some(0.9),
        top_k: Some(200),
        max_tokens: Some(512),
        stop: vec!["END".to_owned()],
        ..Sampling::default()
    };
    request
}

const ANSWER: &str = "The capital of France is Paris, voilà.";

/// The bytes of an answer, as digits.
fn digits(exchange: &Exchange) -> String {
    exchange.response.body.iter().map(digits_of).collect()
}

fn digits_of(chunk: &Value) -> &str {
    chunk["hex"].as_str().unwrap()
}

fn chunks(digits: &str, bytes: usize) -> Vec<Value> {
    let pieces = digits.as_bytes().chunks(bytes * 2);
    let text = |piece: &[u8]| String::from_utf8(piece.to_vec()).unwrap();
    pieces.map(|piece| json!({ "hex": text(piece) })).collect()
}

#[tokio::test]
async fn an_answer_streams_with_its_usage() {
    let mut request = sampled();
    request.sampling.seed = Some(7);
    let outcome = ask(HAIKU, fixture("providers/bedrock"), request).await;
    let answer = outcome.answer.unwrap();
    assert_eq!(answer.text, ANSWER);
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    let usage = Usage {
        input_tokens: 21,
        output_tokens: 9,
        ..Usage::default()
    };
    assert_eq!(answer.usage, usage);
    assert_eq!(outcome.span.output["left_out"], json!(["seed"]));
}

#[tokio::test]
async fn frames_are_read_wherever_the_network_cuts_them() {
    let whole = fixture("providers/bedrock");
    for bytes in [1, 7, 13, 100_000] {
        let mut cut = whole.clone();
        cut.response.body = chunks(&digits(&whole), bytes);
        let answer = answered(HAIKU, cut, sampled()).await;
        assert_eq!(answer.text, ANSWER, "{bytes} bytes at a time");
    }
}

#[tokio::test]
async fn a_frame_that_is_not_what_was_sent_ends_the_answer() {
    let whole = fixture("providers/bedrock");
    // The last digit of a frame is of its checksum; before the first text the answer can be asked for again.
    for (frame, retryable) in [(0, true), (2, false)] {
        let mut wrong = whole.clone();
        let mut sent = digits_of(&wrong.response.body[frame]).to_owned();
        let last = sent.pop().unwrap();
        sent.push(if last == '0' { '1' } else { '0' });
        wrong.response.body[frame] = json!({ "hex": sent });
        let wrong = wrong.pause_before(frame, Duration::from_millis(50));
        let error = ask(HAIKU, wrong, sampled()).await.answer.unwrap_err();
        assert_eq!(error.code().as_str(), "upstream_error");
        assert!(error.to_string().contains("garbled"), "{error}");
        assert_eq!(error.is_retryable(), retryable, "{error}");
    }
    let mut huge = whole.clone();
    huge.response.body = vec![json!({ "hex": "7fffffff0000000000000000" })];
    let error = ask(HAIKU, huge, sampled()).await.answer.unwrap_err();
    assert!(error.to_string().contains("MiB"), "{error}");
}

#[tokio::test]
async fn an_answer_that_stops_inside_of_a_frame_is_none() {
    let whole = fixture("providers/bedrock");
    let all = digits(&whole);
    for frames in [3, 5] {
        let cut = whole.clone().broken_after(frames);
        let error = ask(HAIKU, cut, sampled()).await.answer.unwrap_err();
        assert_eq!(error.code().as_str(), "upstream_error", "{frames}");
    }
    let mut half = whole.clone();
    half.response.body = chunks(&all[..all.len() / 2], 1 << 20);
    let error = ask(HAIKU, half, sampled()).await.answer.unwrap_err();
    assert_eq!(error.code().as_str(), "upstream_error");
}

#[tokio::test]
async fn calls_come_with_thoughts_that_go_back_and_prompts_are_kept() {
    let exchanges = fixtures("providers/bedrock_tools");
    let [first, second] = <[Exchange; 2]>::try_from(exchanges).unwrap();
    let tool = ToolSpec {
        name: "top_song".to_owned(),
        description: "Gets the most popular song of a radio station.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": { "sign": { "type": "string" } },
            "required": ["sign"],
        }),
    };
    let mut request = question("What is the most popular song on WZPZ?");
    let system = Message::system("You know music.");
    request.messages.insert(0, system);
    request.tools = vec![tool];
    request.reasoning_effort = Some(ReasoningEffort::High);
    request.sampling.max_tokens = Some(4000);
    let answer = answered(SONNET, first, request.clone()).await;
    assert_eq!(answer.reasoning, "The station's charts are needed.");
    assert_eq!(answer.text, "Let me look.");
    let call = ToolCall {
        id: "tooluse_bedrock_song".to_owned(),
        name: "top_song".to_owned(),
        arguments: r#"{"sign": "WZPZ"}"#.to_owned(),
    };
    assert_eq!(answer.tool_calls, [call]);
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    let usage = Usage {
        input_tokens: 1440,
        cache_write_tokens: 1428,
        output_tokens: 60,
        ..Usage::default()
    };
    assert_eq!(answer.usage, usage);

    // What a client sends back has no thoughts.
    let mut said = Message::assistant(answer.text);
    said.tool_calls = answer.tool_calls;
    request.messages.push(said);
    let result = Message::tool("tooluse_bedrock_song", "Elemental Hotel");
    request.messages.push(result);
    let answer = answered(SONNET, second, request).await;
    assert_eq!(answer.text, "It is Elemental Hotel.");
    let usage = Usage {
        input_tokens: 1532,
        cached_tokens: 1428,
        cache_write_tokens: 99,
        output_tokens: 8,
        ..Usage::default()
    };
    assert_eq!(answer.usage, usage);
}

#[tokio::test]
async fn an_answer_is_held_to_a_schema() {
    let schema = json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false,
    });
    let exchanges = fixtures("providers/bedrock_schema");
    let models = [HAIKU, "qwen.qwen3-32b-v1:0"];
    assert_eq!(exchanges.len(), models.len());
    for (model, exchange) in models.into_iter().zip(exchanges) {
        let request = ChatRequest {
            constraint: Some(Constraint::JsonSchema(schema.clone())),
            ..capital()
        };
        let answer = answered(model, exchange, request).await;
        assert_eq!(answer.text, r#"{"city":"Paris"}"#, "{model}");
        assert!(answer.tool_calls.is_empty(), "{model}");
        assert_eq!(answer.finish_reason, FinishReason::Stop, "{model}");
    }
}

#[tokio::test]
async fn errors_say_what_the_caller_can_do() {
    let exchanges = fixtures("providers/bedrock_errors");
    let expected = [
        // In the middle of the text: it cannot be asked for again.
        ("upstream_error", false, "Too many tokens"),
        ("upstream_error", true, "The model stream failed."),
        ("context_length_exceeded", false, ""),
        ("upstream_unauthorized", false, "not authorized"),
        ("rate_limited", true, "Too many requests"),
        ("upstream_error", true, "while the model was called"),
    ];
    assert_eq!(exchanges.len(), expected.len());
    for (exchange, (code, retryable, said)) in exchanges.into_iter().zip(expected) {
        let error = failed(exchange).await;
        assert_eq!(error.code().as_str(), code, "{error}");
        assert_eq!(error.is_retryable(), retryable, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}
