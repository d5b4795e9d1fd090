//! What a request becomes where a provider has words of its own for it, or none.

use praxis_core::chat::{CacheRetention, Extras, Form, ReasoningEffort, ServiceTier, Verbosity};
use praxis_core::message::ImageDetail;
use praxis_core::{ChatRequest, Constraint, Message, ModelError, Part, Role, ToolCall, ToolChoice};
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
        "json_schema": { "name": "answer", "strict": false, "schema": { "type": "object" } },
    });
    let object = json!({ "response_format": { "type": "json_object" } });
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
            "tgi",
            "m",
            held_to(Constraint::JsonObject),
            json!({ "response_format": { "type": "json", "value": { "type": "object" } } }),
            &[],
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
    for provider in [
        "azure",
        "deepseek",
        "llama-server",
        "mistral",
        "moonshot",
        "ollama",
        "sglang",
        "vllm",
    ] {
        let asked = held_to(Constraint::JsonObject);
        rows.push((provider, "m", asked, object.clone(), &[]));
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
async fn a_form_is_called_and_held_as_the_client_says() {
    let closed = json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false,
    });
    let named = Form {
        name: Some("place".to_owned()),
        description: Some("Where it is.".to_owned()),
        strict: Some(false),
    };
    let rows = [(Form::default(), true), (named, false)];
    let rows = rows.into_iter().map(|(form, strict)| -> Row {
        let mut held = json!({ "strict": strict, "schema": closed });
        held["name"] = form.name.as_deref().unwrap_or("answer").into();
        if let Some(description) = &form.description {
            held["description"] = description.as_str().into();
        }
        let mut request = held_to(Constraint::JsonSchema(closed.clone()));
        request.extras.form = form;
        let format = json!({ "type": "json_schema", "json_schema": held });
        let fields = json!({ "response_format": format });
        ("azure", "m", request, fields, &[])
    });
    are_sent(rows.collect()).await;
}

#[tokio::test]
async fn what_few_providers_have_words_for() {
    let asked = |tier: ServiceTier| ChatRequest {
        tools: vec![weather()],
        cache_key: Some("k".to_owned()),
        extras: Extras {
            verbosity: Some(Verbosity::Low),
            service_tier: Some(tier),
            cache_retention: Some(CacheRetention::Day),
            cache_ttl: Some("30m".to_owned()),
            strict_tools: vec!["weather".to_owned()],
            ..Extras::default()
        },
        ..question("Hi")
    };
    let function = |strict: bool| {
        let mut function = serde_json::to_value(weather()).unwrap();
        if strict {
            function["strict"] = true.into();
        }
        json!([{ "type": "function", "function": function }])
    };
    let azure = |tier: Option<&str>| {
        let mut fields = json!({
            "tools": function(true),
            "verbosity": "low",
            "prompt_cache_key": "k",
            "prompt_cache_retention": "24h",
            "prompt_cache_options": { "ttl": "30m" },
        });
        if let Some(tier) = tier {
            fields["service_tier"] = tier.into();
        }
        fields
    };
    are_sent(vec![
        (
            "azure",
            "m",
            asked(ServiceTier::Flex),
            azure(Some("flex")),
            &[],
        ),
        // It would cost more than the model's price.
        (
            "azure",
            "m",
            asked(ServiceTier::Priority),
            azure(None),
            &["service_tier"],
        ),
        (
            "groq",
            "m",
            asked(ServiceTier::Default),
            json!({ "tools": function(true), "service_tier": "on_demand" }),
            &["verbosity"],
        ),
        (
            "deepseek",
            "m",
            asked(ServiceTier::Flex),
            json!({ "tools": function(false) }),
            &["service_tier", "strict", "verbosity"],
        ),
        (
            "moonshot",
            "moonshot-v1-8k",
            asked(ServiceTier::Auto),
            json!({ "tools": function(false), "prompt_cache_key": "k" }),
            &["strict", "verbosity"],
        ),
        (
            "openrouter",
            "m",
            asked(ServiceTier::Default),
            json!({ "tools": function(true), "verbosity": "low" }),
            &[],
        ),
    ])
    .await;
}

#[tokio::test]
async fn who_wrote_it_and_what_it_shows_and_sounds_like() {
    let recording = Part::Media {
        url: "data:audio/wav;base64,UklGRg==".to_owned(),
        content_type: None,
        detail: None,
    };
    let image = Part::image("https://a.example/b.png").detailed(Some(ImageDetail::Low));
    let heard = |parts: Vec<Part>| {
        let mut message = Message::of_parts(Role::User, parts);
        message.name = Some("ann".to_owned());
        ChatRequest {
            messages: vec![message],
            ..question("")
        }
    };
    let seen = json!({
        "type": "image_url",
        "image_url": { "url": "https://a.example/b.png", "detail": "low" },
    });
    let sent = |name: Option<&str>, audio: Value| {
        let audio = json!({ "type": "input_audio", "input_audio": audio });
        let mut message = json!({ "role": "user", "content": [seen, audio] });
        if let Some(name) = name {
            message["name"] = name.into();
        }
        json!({ "messages": [message] })
    };
    let plain = || json!({ "data": "UklGRg==", "format": "wav" });
    let both = || heard(vec![image.clone(), recording.clone()]);
    are_sent(vec![
        ("azure", "m", both(), sent(Some("ann"), plain()), &[]),
        ("vllm", "m", both(), sent(Some("ann"), plain()), &[]),
        (
            "qwen",
            "m",
            both(),
            sent(
                None,
                json!({ "data": "data:;base64,UklGRg==", "format": "wav" }),
            ),
            &["name"],
        ),
        (
            "mistral",
            "m",
            both(),
            sent(None, json!("UklGRg==")),
            &["name"],
        ),
    ])
    .await;
    for provider in ["deepseek", "groq", "moonshot", "ollama", "tgi", "zhipu"] {
        let outcome = ask(&lines(provider, "m"), vec![], both()).await;
        match outcome.answer {
            Err(ModelError::InvalidRequest(message)) => {
                assert!(message.contains("takes no audio"), "{message}");
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
