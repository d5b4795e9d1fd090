//! What callers rely on who give a model tools, tried on real ones: on SmolLM2, whose template knows
//! nothing of tools, and on Qwen, whose template does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]
mod common;

use praxis_core::chat::{ChatAnswer, collect};
use praxis_core::{
    ChatModel, ChatRequest, Constraint, FinishReason, Message, ModelError, Sampling, ToolChoice,
    ToolSpec,
};
use praxis_engine::{ChatEngine, ChatOptions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn weather() -> ToolSpec {
    ToolSpec {
        name: "get_weather".to_owned(),
        description: "The weather of a city on a day.".to_owned(),
        parameters: json!({
            "type": "object",
            "properties": {
                "city": { "type": "string", "maxLength": 40 },
                "days": { "type": "integer", "minimum": 1, "maximum": 7 },
                "unit": { "enum": ["celsius", "fahrenheit"] },
            },
            "required": ["city", "days", "unit"],
            "additionalProperties": false,
        }),
    }
}

fn request(text: &str, choice: ToolChoice, seed: u64) -> ChatRequest {
    ChatRequest {
        messages: vec![Message::user(text)],
        sampling: Sampling {
            temperature: Some(1.0),
            seed: Some(seed),
            max_tokens: Some(200),
            ..Sampling::default()
        },
        tools: vec![weather()],
        tool_choice: choice,
        ..ChatRequest::default()
    }
}

async fn ask(engine: &ChatEngine, request: ChatRequest) -> Result<ChatAnswer, ModelError> {
    collect(engine.chat(request, CancellationToken::new()).await?).await
}

#[tokio::test]
async fn a_required_call_keeps_its_schema_whatever_the_model() {
    let Some(engine) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let validator = jsonschema::validator_for(&weather().parameters).unwrap();
    for seed in 0..8 {
        let mut request = request("Weather in Oslo?", ToolChoice::Required, seed);
        request.parallel_tool_calls = Some(false);
        let answer = ask(&engine, request).await.unwrap();
        assert_eq!(answer.finish_reason, FinishReason::ToolCalls, "{answer:?}");
        let [call] = &answer.tool_calls[..] else {
            panic!("{answer:?}");
        };
        assert_eq!(
            (call.name.as_str(), answer.text.as_str()),
            ("get_weather", "")
        );
        let arguments = call.parsed().unwrap();
        assert!(validator.is_valid(&arguments), "{arguments}");
    }
}

#[tokio::test]
async fn a_call_that_is_named_is_the_one_that_is_made() {
    let Some(engine) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let mut request = request("Hello!", ToolChoice::Named("stop".to_owned()), 1);
    request.tools.push(ToolSpec {
        name: "stop".to_owned(),
        description: String::new(),
        parameters: json!({ "type": "object", "properties": {}, "additionalProperties": false }),
    });
    let answer = ask(&engine, request).await.unwrap();
    let [call] = &answer.tool_calls[..] else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (call.name.as_str(), call.arguments.as_str()),
        ("stop", "{}")
    );
}

#[tokio::test]
async fn an_answer_beside_tools_is_held_to_its_own_constraint() {
    let Some(engine) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    for seed in 0..4 {
        let mut request = request("Yes or no?", ToolChoice::Auto, seed);
        request.constraint = Some(Constraint::Choice(vec!["yes".into(), "no".into()]));
        let answer = ask(&engine, request).await.unwrap();
        let is_answer = ["yes", "no"].contains(&answer.text.as_str());
        assert!(is_answer == answer.tool_calls.is_empty(), "{answer:?}");
    }
}

#[tokio::test]
async fn tools_that_are_none_are_refused_by_name() {
    let Some(engine) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let error = ask(&engine, request("Hi", ToolChoice::Named("go".into()), 1)).await;
    assert!(error.unwrap_err().to_string().contains("no tool `go`"));
}

#[tokio::test]
async fn a_schema_that_cannot_be_followed_does_not_stop_its_tool() {
    let Some(engine) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let mut request = request("Weather?", ToolChoice::Required, 3);
    request.parallel_tool_calls = Some(false);
    // Nobody can follow this one token by token.
    request.tools[0].parameters["properties"]["city"] =
        json!({ "type": "string", "not": { "pattern": "a" } });
    request.tools[0].parameters["dependentSchemas"] = json!({ "city": { "minProperties": 2 } });
    // Any object will do for this model, which may find no end of it.
    let answer = ask(&engine, request).await.unwrap();
    match answer.tool_calls.first() {
        Some(call) => assert!(call.parsed().unwrap().is_object()),
        None => assert_eq!(answer.finish_reason, FinishReason::Length, "{answer:?}"),
    }
}

/// Needs Qwen2.5-Coder-1.5B; says so where it is absent.
#[tokio::test]
async fn a_model_that_knows_tools_calls_them_and_reads_what_they_give() {
    let Some(path) = common::models::model_file("qwen2.5-coder-1.5b-instruct", "model.gguf") else {
        return;
    };
    let engine = ChatEngine::load(&path, ChatOptions::default()).unwrap();
    let question = "How is the weather in Oslo tomorrow, in celsius?";
    let mut asked = request(question, ToolChoice::Auto, 1);
    asked.sampling.temperature = Some(0.0);
    let answer = ask(&engine, asked.clone()).await.unwrap();
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls, "{answer:?}");
    let call = &answer.tool_calls[0];
    let arguments: Value = call.parsed().unwrap();
    assert_eq!(
        (&arguments["city"], &arguments["unit"]),
        (&json!("Oslo"), &json!("celsius"))
    );
    asked.messages.push(Message {
        tool_calls: answer.tool_calls.clone(),
        ..Message::assistant(answer.text.clone())
    });
    asked.messages.push(Message::tool(
        &call.id,
        "{\"forecast\": \"snow\", \"celsius\": -7}",
    ));
    asked.tool_choice = ToolChoice::None;
    let told = ask(&engine, asked).await.unwrap();
    assert!(told.tool_calls.is_empty(), "{told:?}");
    assert!(told.text.contains("-7"), "{told:?}");
}
