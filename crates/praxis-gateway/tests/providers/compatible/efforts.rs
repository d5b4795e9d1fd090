//! How long models think, in the words of each provider.

use praxis_core::ChatRequest;
use praxis_core::chat::ReasoningEffort::{High, Low, Max, Medium, Minimal, None as Not, XHigh};
use serde_json::json;

use super::words::are_sent;
use crate::question;

#[tokio::test]
async fn an_effort_is_told_as_the_model_takes_it() {
    let thinking = |kind: &str| json!({ "thinking": { "type": kind } });
    let of_template = |on: bool| json!({ "enable_thinking": on, "thinking": on });
    let rows: Vec<(_, _, _, _, &'static [&'static str])> = vec![
        (
            "azure",
            "m",
            Some(Not),
            json!({ "reasoning_effort": "none" }),
            &[],
        ),
        (
            "azure",
            "m",
            Some(Max),
            json!({ "reasoning_effort": "max" }),
            &[],
        ),
        ("deepseek", "m", None, json!({}), &[]),
        ("deepseek", "m", Some(Not), thinking("disabled"), &[]),
        (
            "deepseek",
            "m",
            Some(Medium),
            json!({ "thinking": { "type": "enabled" }, "reasoning_effort": "medium" }),
            &[],
        ),
        (
            "groq",
            "qwen/qwen3-32b",
            None,
            json!({ "reasoning_format": "parsed" }),
            &[],
        ),
        (
            "groq",
            "qwen/qwen3-32b",
            Some(Not),
            json!({ "reasoning_format": "parsed", "reasoning_effort": "none" }),
            &[],
        ),
        (
            "groq",
            "qwen/qwen3-32b",
            Some(Low),
            json!({ "reasoning_format": "parsed", "reasoning_effort": "default" }),
            &[],
        ),
        (
            "groq",
            "openai/gpt-oss-20b",
            Some(Minimal),
            json!({ "reasoning_effort": "low" }),
            &[],
        ),
        (
            "groq",
            "llama-3.3-70b-versatile",
            Some(High),
            json!({}),
            &["reasoning_effort"],
        ),
        ("groq", "llama-3.3-70b-versatile", Some(Not), json!({}), &[]),
        (
            "llama-server",
            "m",
            Some(Not),
            json!({ "chat_template_kwargs": of_template(false) }),
            &[],
        ),
        (
            "mistral",
            "m",
            Some(Not),
            json!({ "reasoning_effort": "none" }),
            &[],
        ),
        ("moonshot", "kimi-k2.6", None, json!({}), &[]),
        (
            "moonshot",
            "kimi-k2.6",
            Some(Not),
            thinking("disabled"),
            &[],
        ),
        (
            "moonshot",
            "kimi-k2.7-code",
            Some(Not),
            json!({}),
            &["reasoning_effort"],
        ),
        (
            "moonshot",
            "kimi-k3",
            Some(XHigh),
            json!({ "reasoning_effort": "max" }),
            &[],
        ),
        (
            "moonshot",
            "moonshot-v1-8k",
            Some(High),
            json!({}),
            &["reasoning_effort"],
        ),
        (
            "ollama",
            "m",
            Some(Not),
            json!({ "reasoning_effort": "none" }),
            &[],
        ),
        (
            "ollama",
            "m",
            Some(XHigh),
            json!({ "reasoning_effort": "high" }),
            &[],
        ),
        (
            "openrouter",
            "m",
            Some(Not),
            json!({ "reasoning": { "effort": "none" } }),
            &[],
        ),
        ("qwen", "m", None, json!({}), &[]),
        (
            "qwen",
            "m",
            Some(Not),
            json!({ "enable_thinking": false }),
            &[],
        ),
        (
            "qwen",
            "m",
            Some(Low),
            json!({ "enable_thinking": true, "thinking_budget": 2048 }),
            &[],
        ),
        ("sglang", "m", None, json!({}), &[]),
        ("tgi", "m", Some(Low), json!({}), &["reasoning_effort"]),
        (
            "vllm",
            "m",
            Some(Not),
            json!({ "chat_template_kwargs": of_template(false) }),
            &[],
        ),
        (
            "vllm",
            "m",
            Some(Minimal),
            json!({ "reasoning_effort": "low", "chat_template_kwargs": of_template(true) }),
            &[],
        ),
        ("zhipu", "glm-4.7", Some(Not), thinking("disabled"), &[]),
        (
            "zhipu",
            "glm-5.2",
            Some(Medium),
            json!({ "thinking": { "type": "enabled" }, "reasoning_effort": "medium" }),
            &[],
        ),
        (
            "zhipu",
            "glm-5.3",
            Some(Not),
            json!({ "thinking": { "type": "enabled" }, "reasoning_effort": "low" }),
            &[],
        ),
    ];
    let rows = rows
        .into_iter()
        .map(|(provider, model, effort, fields, not_told)| {
            let request = ChatRequest {
                reasoning_effort: effort,
                ..question("Hi")
            };
            (provider, model, request, fields, not_told)
        });
    are_sent(rows.collect()).await;
}
