//! What a server may ask our models.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::sync::Mutex;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use praxis_core::{CallContext, ChatChunk, ChatStream, ModelError, Span, TraceSink, Usage};
use serde_json::{Value, json};

use super::*;

struct Nowhere;

impl TraceSink for Nowhere {
    fn record(&self, _: Span) {}
}

/// A model that answers each question alike, and remembers them.
#[derive(Default)]
struct Model(Mutex<Vec<ChatRequest>>);

#[async_trait]
impl ChatGateway for Model {
    async fn chat(&self, request: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        self.0.lock().unwrap().push(request);
        let usage = Usage {
            input_tokens: 45,
            output_tokens: 10,
            ..Usage::default()
        };
        let chunks = [
            Ok(ChatChunk::Delta {
                text: "Paris".to_owned(),
                logprobs: Vec::new(),
            }),
            Ok(ChatChunk::Done {
                finish_reason: FinishReason::Stop,
                usage,
            }),
        ];
        Ok(stream::iter(chunks).boxed())
    }
}

fn running(left: u64) -> Running {
    Running {
        cx: CallContext::new(Arc::new(Nowhere)),
        left: tokio::sync::Mutex::new(left),
    }
}

fn question(more: Value) -> CreateMessageRequestParams {
    let mut question = json!({
        "messages": [{ "role": "user", "content": { "type": "text", "text": "What is the capital of France?" } }],
        "systemPrompt": "Be brief.",
        "maxTokens": 100,
        "temperature": 0.5,
    });
    for (key, value) in more.as_object().unwrap() {
        question[key] = value.clone();
    }
    serde_json::from_value(question).unwrap()
}

fn asks(model: &Arc<Model>) -> Sampling {
    Sampling {
        model: "small".to_owned(),
        tokens: 100,
        chat: Arc::clone(model) as Arc<dyn ChatGateway>,
    }
}

#[tokio::test]
async fn a_model_answers_within_the_tokens_of_the_call() {
    let model = Arc::new(Model::default());
    let (sampling, running) = (asks(&model), running(100));
    let answer = sampling
        .answer(question(json!({})), &running)
        .await
        .unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["role"], "assistant");
    assert_eq!(answer["content"]["text"], "Paris");
    assert_eq!(
        (&answer["model"], &answer["stopReason"]),
        (&json!("small"), &json!("endTurn"))
    );
    let asked = model.0.lock().unwrap()[0].clone();
    assert_eq!(asked.model, "small");
    assert_eq!(asked.messages[0], Message::system("Be brief."));
    let most = asked.sampling.max_tokens.unwrap();
    let counted = praxis_core::TokenCount::estimate(&asked.messages).total();
    assert_eq!(most as usize, 100 - counted);
    assert_eq!(*running.left.lock().await, 45);
    sampling
        .answer(question(json!({})), &running)
        .await
        .unwrap();
    assert_eq!(*running.left.lock().await, 0);
    // Nothing is left for a third one.
    let error = sampling
        .answer(question(json!({})), &running)
        .await
        .unwrap_err();
    assert!(error.message.contains("0 are left"), "{error:?}");
    assert_eq!(model.0.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_no_conversation_is_not_asked() {
    let model = Arc::new(Model::default());
    let tool = json!({ "name": "a", "inputSchema": { "type": "object" } });
    let used = json!({ "type": "tool_use", "id": "1", "name": "a", "input": {} });
    for more in [
        json!({ "messages": [] }),
        json!({ "tools": [tool] }),
        json!({ "messages": [{ "role": "assistant", "content": used }] }),
    ] {
        let error = asks(&model)
            .answer(question(more), &running(100))
            .await
            .unwrap_err();
        assert_eq!(error.code, rmcp::model::ErrorCode::INVALID_PARAMS);
    }
    assert!(model.0.lock().unwrap().is_empty());
}
