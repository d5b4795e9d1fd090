//! OpenAI's Responses API.

use praxis_core::chat::{CacheRetention, ReasoningEffort, ServiceTier, Verbosity};
use praxis_core::{
    ChatRequest, Constraint, FinishReason, Message, ModelError, Part, Role, Sampling, ToolCall,
    ToolChoice, ToolSpec, Usage,
};
use serde_json::json;

use super::{Outcome, question};
use crate::support::{Exchange, fixture, fixtures};

const MODEL: &str = "provider = \"openai-responses\"\nmodel = \"gpt-5.4\"\nbase_url = \"URL\"\n\
    api_key = \"env:OPENAI_API_KEY\"\n";

async fn ask(exchange: Exchange, request: ChatRequest) -> Outcome {
    super::ask(MODEL, vec![exchange], request).await
}

#[tokio::test]
async fn an_answer_streams_with_its_usage() {
    let answer = ask(fixture("providers/responses"), question("Hello!")).await;
    let answer = answer.answer.unwrap();
    assert_eq!(answer.text, "Hi there! How can I assist you today?");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert!(answer.reasoning.is_empty() && answer.logprobs.is_empty());
    assert_eq!(
        answer.usage,
        Usage {
            input_tokens: 37,
            cached_tokens: 16,
            output_tokens: 11,
            ..Usage::default()
        }
    );
}

#[tokio::test]
async fn what_is_asked_is_told_in_the_api_s_words() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    let sampling = Sampling {
        temperature: Some(0.7),
        top_p: Some(0.9),
        max_tokens: Some(64),
        seed: Some(7),
        ..Sampling::default()
    };
    let with = |change: fn(&mut ChatRequest)| {
        let mut request = question("Hello!");
        change(&mut request);
        request
    };
    for (request, sent) in [
        (
            ChatRequest {
                sampling,
                ..question("Hello!")
            },
            json!({ "temperature": 0.7, "top_p": 0.9, "max_output_tokens": 64 }),
        ),
        (
            ChatRequest {
                constraint: Some(Constraint::JsonSchema(schema.clone())),
                ..question("Hello!")
            },
            json!({ "text": { "format": {
                "type": "json_schema",
                "name": "answer",
                "strict": false,
                "schema": schema,
            } } }),
        ),
        (
            with(|request| request.constraint = Some(Constraint::JsonObject)),
            json!({ "text": { "format": { "type": "json_object" } } }),
        ),
        (
            with(|request| {
                request.extras.verbosity = Some(Verbosity::High);
                request.extras.service_tier = Some(ServiceTier::Flex);
                request.extras.cache_retention = Some(CacheRetention::Day);
            }),
            json!({
                "text": { "verbosity": "high" },
                "service_tier": "flex",
                "prompt_cache_retention": "24h",
            }),
        ),
        (
            with(|request| request.reasoning_effort = Some(ReasoningEffort::None)),
            json!({ "reasoning": { "effort": "none" } }),
        ),
        (
            with(|request| request.cache_key = Some("hello".to_owned())),
            json!({ "prompt_cache_key": "hello" }),
        ),
        (
            with(|request| request.messages.insert(0, Message::system("Be short."))),
            json!({ "input": [
                { "type": "message", "role": "system", "content": [{ "type": "input_text", "text": "Be short." }] },
                { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Hello!" }] },
            ] }),
        ),
    ] {
        let asked = fixture("providers/responses").asked_with(sent);
        ask(asked, request).await.answer.unwrap();
    }
}

#[tokio::test]
async fn images_and_documents_are_sent_in_their_place() {
    let content = vec![
        Part::Text("What do they have in common?".to_owned()),
        Part::image("data:image/png;base64,iVBORw0KGgo="),
        Part::Media {
            url: "data:application/pdf;base64,JVBERi0=".to_owned(),
            content_type: None,
            detail: None,
        },
        Part::Media {
            url: "https://example.com/letter.pdf".to_owned(),
            content_type: Some("application/pdf".to_owned()),
            detail: None,
        },
    ];
    let asked = fixture("providers/responses").asked_with(json!({ "input": [{
        "type": "message",
        "role": "user",
        "content": [
            { "type": "input_text", "text": "What do they have in common?" },
            { "type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto" },
            {
                "type": "input_file",
                "filename": "document.pdf",
                "file_data": "data:application/pdf;base64,JVBERi0=",
            },
            { "type": "input_file", "file_url": "https://example.com/letter.pdf" },
        ],
    }] }));
    let request = ChatRequest {
        messages: vec![Message::of_parts(Role::User, content)],
        ..question("")
    };
    ask(asked, request).await.answer.unwrap();
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_before_anything_is_sent() {
    let stopped = Sampling {
        stop: vec!["\n".to_owned()],
        ..Sampling::default()
    };
    let audio = Part::Media {
        url: "data:audio/wav;base64,AAAA".to_owned(),
        content_type: None,
        detail: None,
    };
    for (request, begin, part) in [
        (
            ChatRequest {
                constraint: Some(Constraint::Regex("a+".to_owned())),
                ..question("Hello!")
            },
            "constraint: ",
            "`regex`",
        ),
        (
            ChatRequest {
                sampling: stopped,
                ..question("Hello!")
            },
            "stop: ",
            "leave them out",
        ),
        (
            ChatRequest {
                messages: vec![Message::of_parts(Role::User, vec![audio])],
                ..question("")
            },
            "messages: ",
            "`audio/wav`",
        ),
    ] {
        match super::ask(MODEL, Vec::new(), request).await.answer {
            Err(ModelError::InvalidRequest(message)) => {
                assert!(
                    message.starts_with(begin) && message.contains(part),
                    "{message}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The question of `responses_tools.json`, and what was said since.
fn weather(since: Vec<Message>) -> ChatRequest {
    let mut request = question("What is the weather like in Boston and in Paris?");
    request.messages.extend(since);
    let parameters = json!({
        "type": "object",
        "properties": { "location": { "type": "string" } },
        "required": ["location"],
    });
    ChatRequest {
        tools: vec![ToolSpec {
            name: "get_current_weather".to_owned(),
            description: "Get the current weather in a given location".to_owned(),
            parameters,
        }],
        reasoning_effort: Some(ReasoningEffort::Low),
        cache_key: Some("weather".to_owned()),
        ..request
    }
}

#[tokio::test]
async fn what_was_thought_before_calls_goes_back_with_them() {
    let mut exchanges = fixtures("providers/responses_tools").into_iter();
    let request = ChatRequest {
        tool_choice: ToolChoice::Required,
        parallel_tool_calls: Some(true),
        ..weather(Vec::new())
    };
    let answer = ask(exchanges.next().unwrap(), request)
        .await
        .answer
        .unwrap();
    let call = |city: &str, location: &str| ToolCall {
        id: format!("call_responses_{city}"),
        name: "get_current_weather".to_owned(),
        arguments: format!("{{\"location\":\"{location}\"}}"),
    };
    assert_eq!(
        answer.tool_calls,
        [call("boston", "Boston, MA"), call("paris", "Paris")]
    );
    assert_eq!(
        (answer.text.as_str(), answer.reasoning.as_str()),
        (
            "I look that up.",
            "**Looking** at the weather\n\n**Asking** for both cities"
        )
    );
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    assert_eq!(
        answer.usage,
        Usage {
            input_tokens: 291,
            cache_write_tokens: 256,
            output_tokens: 123,
            reasoning_tokens: 64,
            ..Usage::default()
        }
    );
    // A client sends back what it was given, and nothing of what was thought.
    let called = Message {
        tool_calls: answer.tool_calls,
        ..Message::assistant(answer.text)
    };
    let since = vec![
        called,
        Message::tool("call_responses_boston", "12 °C"),
        Message::tool("call_responses_paris", "15 °C"),
    ];
    let answer = ask(exchanges.next().unwrap(), weather(since)).await;
    let answer = answer.answer.unwrap();
    assert_eq!(answer.text, "12 °C in Boston and 15 °C in Paris.");
    assert_eq!(answer.finish_reason, FinishReason::Stop);
}

#[tokio::test]
async fn a_call_that_must_be_made_is_named() {
    let request = ChatRequest {
        tool_choice: ToolChoice::Named("get_current_weather".to_owned()),
        parallel_tool_calls: Some(true),
        ..weather(Vec::new())
    };
    let choice = json!({ "type": "function", "name": "get_current_weather" });
    let asked = fixture("providers/responses_tools").asked_with(json!({ "tool_choice": choice }));
    assert_eq!(
        ask(asked, request).await.answer.unwrap().tool_calls.len(),
        2
    );
}

#[tokio::test]
async fn logprobs_come_with_their_tokens() {
    let request = ChatRequest {
        top_logprobs: Some(2),
        ..question("Hello!")
    };
    let answer = ask(fixture("providers/responses_logprobs"), request).await;
    let answer = answer.answer.unwrap();
    let tokens = answer.logprobs.iter();
    let tokens: Vec<_> = tokens
        .map(|l| (l.token.as_str(), l.logprob, l.top_logprobs.len()))
        .collect();
    assert_eq!(tokens, [("Hi", -0.25, 2), (" there", -0.5, 2)]);
    assert_eq!(answer.logprobs[0].bytes.as_deref(), Some(&b"Hi"[..]));
    assert_eq!(answer.text, "Hi there");
}

#[tokio::test]
async fn an_answer_that_is_cut_says_why() {
    let limited = Sampling {
        max_tokens: Some(16),
        ..Sampling::default()
    };
    let exchanges = fixtures("providers/responses_incomplete");
    for ((exchange, sampling), (reason, tokens)) in exchanges
        .into_iter()
        .zip([limited, Sampling::default()])
        .zip([(FinishReason::Length, 16), (FinishReason::ContentFilter, 5)])
    {
        let request = ChatRequest {
            sampling,
            ..question("Hello!")
        };
        let answer = ask(exchange, request).await.answer.unwrap();
        assert_eq!(answer.text, "Once upon a time");
        assert_eq!(
            (answer.finish_reason, answer.usage.output_tokens),
            (reason, tokens)
        );
    }
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    let answer = ask(fixture("providers/responses_refusal"), question("Hello!")).await;
    assert_eq!(answer.answer.unwrap().text, "I cannot help with that.");
}

#[tokio::test]
async fn a_failure_says_whether_another_attempt_may_do_better() {
    let mut exchanges = fixtures("providers/responses_failed").into_iter();
    for (code, retryable, said) in [
        ("upstream_error", true, "failed to generate"),
        ("rate_limited", true, "Rate limit reached"),
        ("invalid_request", false, "flagged"),
        // After the first piece.
        ("upstream_error", false, "failed to generate"),
        // Of the stream, as the reference has it and as it comes.
        ("upstream_error", true, "Something went wrong"),
        ("rate_limited", true, "Too Many Requests"),
    ] {
        let outcome = ask(exchanges.next().unwrap(), question("Hello!")).await;
        let error = outcome.answer.unwrap_err();
        assert_eq!(
            (error.code().as_str(), error.is_retryable()),
            (code, retryable),
            "{error:?}"
        );
        assert!(error.to_string().contains(said), "{error}");
        if code == "upstream_error" && !retryable {
            assert!(matches!(error, ModelError::Broken(_)), "{error:?}");
            assert_eq!(outcome.span.output["text"], "Hi there");
        }
    }
    assert!(exchanges.next().is_none());
}

#[tokio::test]
async fn an_answer_without_an_end_is_broken() {
    let cut = fixture("providers/responses").broken_after(6);
    let error = ask(cut, question("Hello!")).await.answer.unwrap_err();
    assert!(matches!(error, ModelError::Broken(_)), "{error:?}");
    let mut ended = fixture("providers/responses");
    ended.response.body.retain(|chunk| {
        let text = chunk.as_str().unwrap_or_default();
        !text.starts_with("event: response.completed")
    });
    let error = ask(ended, question("Hello!")).await.answer.unwrap_err();
    assert!(error.to_string().contains("without a finish"), "{error}");
}
