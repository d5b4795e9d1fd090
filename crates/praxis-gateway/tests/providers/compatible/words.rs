//! What a request becomes where a provider has words of its own for it, or none.

use praxis_core::chat::ReasoningEffort;
use praxis_core::{ChatRequest, Constraint, Message, ModelError, Role, ToolCall, ToolChoice};
use serde_json::{Value, json};

use super::{left_out, lines, short, wanted, weather};
use crate::{ask, question};

/// A request to a model, the fields in which it is sent beside those of each, and what of it is not told.
pub type Row = (
    &'static str,
    &'static str,
    ChatRequest,
    Value,
    &'static [&'static str],
);

pub async fn are_sent(rows: Vec<Row>) {
    for (provider, model, request, fields, not_told) in rows {
        let exchange = short(provider, model, fields);
        let outcome = ask(&lines(provider, model), vec![exchange], request).await;
        assert_eq!(outcome.answer.unwrap().text, "Paris has 21 °C.", "{model}");
        assert_eq!(left_out(&outcome.span), not_told, "{provider} {model}");
    }
}

fn held_to(constraint: Constraint) -> ChatRequest {
    ChatRequest {
        constraint: Some(constraint),
        ..question("Hi")
    }
}

/// With two tools, while the model should think hard.
fn calling(choice: ToolChoice) -> ChatRequest {
    let mut other = weather();
    other.name = "time".to_owned();
    ChatRequest {
        tools: vec![weather(), other],
        tool_choice: choice,
        reasoning_effort: Some(ReasoningEffort::High),
        ..question("Hi")
    }
}

/// The tools of [`calling`] as they are sent.
fn tools() -> [Value; 2] {
    ["weather", "time"].map(|name| {
        let mut function = serde_json::to_value(weather()).unwrap();
        function["name"] = name.into();
        json!({ "type": "function", "function": function })
    })
}

#[tokio::test]
async fn calls_that_are_forced() {
    let named = || ToolChoice::Named("time".to_owned());
    let forced = json!({ "type": "function", "function": { "name": "time" } });
    let [weather, time] = tools();
    let both = json!([weather, time]);
    are_sent(vec![
        (
            "deepseek",
            "m",
            calling(ToolChoice::Required),
            json!({ "tools": both, "tool_choice": "required", "thinking": { "type": "disabled" } }),
            &["reasoning_effort"],
        ),
        (
            "moonshot",
            "kimi-k2.6",
            calling(named()),
            json!({ "tools": both, "tool_choice": forced, "thinking": { "type": "disabled" } }),
            &["reasoning_effort"],
        ),
        (
            "moonshot",
            "kimi-k3",
            calling(ToolChoice::Required),
            json!({ "tools": both, "tool_choice": "required", "reasoning_effort": "high" }),
            &[],
        ),
        (
            "qwen",
            "m",
            calling(named()),
            json!({ "tools": both, "tool_choice": forced, "enable_thinking": false }),
            &["reasoning_effort"],
        ),
        (
            "ollama",
            "m",
            calling(ToolChoice::Required),
            json!({ "tools": both, "reasoning_effort": "high" }),
            &["tool_choice"],
        ),
        (
            "ollama",
            "m",
            calling(named()),
            json!({ "tools": [time], "reasoning_effort": "high" }),
            &["tool_choice"],
        ),
        (
            "ollama",
            "m",
            calling(ToolChoice::None),
            json!({ "reasoning_effort": "high" }),
            &[],
        ),
        (
            "zhipu",
            "glm-4.7",
            calling(ToolChoice::Required),
            json!({ "tools": both, "thinking": { "type": "enabled" } }),
            &["tool_choice"],
        ),
        (
            "mistral",
            "m",
            ChatRequest {
                constraint: Some(Constraint::JsonSchema(json!({ "type": "object" }))),
                ..calling(ToolChoice::Required)
            },
            json!({ "tools": both, "tool_choice": "required", "reasoning_effort": "high" }),
            &[],
        ),
    ])
    .await;
}

#[tokio::test]
async fn constraints() {
    let schema = || Constraint::JsonSchema(json!({ "type": "object" }));
    let format = json!({
        "type": "json_schema",
        "json_schema": { "name": "answer", "strict": true, "schema": { "type": "object" } },
    });
    let formatted = json!({ "response_format": format });
    let choice = || Constraint::Choice(vec!["1.5".to_owned(), "no".to_owned()]);
    let regex = || Constraint::Regex("a+".to_owned());
    let grammar = || Constraint::Grammar("start: /a+/".to_owned());
    let thinks_hard = ChatRequest {
        reasoning_effort: Some(ReasoningEffort::High),
        ..held_to(schema())
    };
    let mut rows: Vec<Row> = vec![
        (
            "openrouter",
            "m",
            held_to(schema()),
            json!({ "response_format": format, "provider": { "require_parameters": true } }),
            &[],
        ),
        (
            "qwen",
            "m",
            thinks_hard,
            json!({ "response_format": format, "enable_thinking": false }),
            &["reasoning_effort"],
        ),
        (
            "sglang",
            "m",
            held_to(regex()),
            json!({ "regex": "a+" }),
            &[],
        ),
        (
            "sglang",
            "m",
            held_to(choice()),
            json!({ "regex": r"(1\.5|no)" }),
            &[],
        ),
        (
            "tgi",
            "m",
            held_to(schema()),
            json!({ "response_format": { "type": "json", "value": { "type": "object" } } }),
            &[],
        ),
        (
            "tgi",
            "m",
            held_to(choice()),
            json!({ "response_format": { "type": "regex", "value": r"(1\.5|no)" } }),
            &[],
        ),
        (
            "vllm",
            "m",
            held_to(grammar()),
            json!({ "structured_outputs": { "grammar": "start: /a+/" } }),
            &[],
        ),
        (
            "vllm",
            "m",
            held_to(choice()),
            json!({ "structured_outputs": { "choice": ["1.5", "no"] } }),
            &[],
        ),
    ];
    for provider in [
        "azure",
        "llama-server",
        "mistral",
        "moonshot",
        "ollama",
        "sglang",
        "vllm",
    ] {
        rows.push((provider, "m", held_to(schema()), formatted.clone(), &[]));
    }
    are_sent(rows).await;

    for (provider, constraint) in [
        ("deepseek", schema()),
        ("groq", schema()),
        ("zhipu", schema()),
        ("llama-server", regex()),
        ("openrouter", regex()),
        ("sglang", grammar()),
        ("tgi", grammar()),
    ] {
        let outcome = ask(&lines(provider, "m"), vec![], held_to(constraint)).await;
        match outcome.answer {
            Err(ModelError::InvalidRequest(message)) => {
                assert!(message.starts_with("constraint: "), "{message}");
            }
            other => panic!("{provider}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn calls_that_other_models_made() {
    let call = ToolCall {
        id: "call_1".to_owned(),
        name: "weather".to_owned(),
        arguments: "{}".to_owned(),
    };
    let messages = vec![
        Message::user("Hi"),
        Message::new(Role::Assistant, "Hello."),
        Message::user("How warm is it?"),
        wanted("", &[call]),
        Message::tool("call_1", "21 °C"),
    ];
    let sent = |id: &str, on_text: Option<&str>, on_call: Option<&str>| {
        let function = json!({ "name": "weather", "arguments": "{}" });
        let called = json!([{ "id": id, "type": "function", "function": function }]);
        let mut text = json!({ "role": "assistant", "content": "Hello." });
        let mut call = json!({ "role": "assistant", "content": null, "tool_calls": called });
        for (message, thoughts) in [(&mut text, on_text), (&mut call, on_call)] {
            if let Some(thoughts) = thoughts {
                message["reasoning_content"] = thoughts.into();
            }
        }
        json!({ "messages": [
            { "role": "user", "content": "Hi" },
            text,
            { "role": "user", "content": "How warm is it?" },
            call,
            { "role": "tool", "content": "21 °C", "tool_call_id": id },
        ] })
    };
    let rows = [
        ("deepseek", "m", sent("call_1", Some(""), Some(""))),
        // Nine letters and digits.
        ("mistral", "m", sent("Hufr1lFl4", None, None)),
        ("moonshot", "kimi-k2.6", sent("call_1", None, Some(" "))),
        ("openrouter", "m", sent("call_1", None, None)),
        ("zhipu", "glm-4.7", sent("call_1", None, None)),
    ];
    let rows = rows.into_iter().map(|(provider, model, fields)| -> Row {
        let request = ChatRequest {
            messages: messages.clone(),
            ..question("")
        };
        (provider, model, request, fields, &[])
    });
    are_sent(rows.collect()).await;
}
