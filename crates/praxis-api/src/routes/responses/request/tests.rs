//! What a request may say, what it comes to, and what the answer repeats of it.

use praxis_core::{Priority, ToolChoice};

use super::*;
use crate::routes::responses::tools::offered;

fn read(body: Value) -> Create {
    serde_json::from_value(body).unwrap()
}

fn refused(body: Value) -> Value {
    let error = read(body.clone()).check();
    error.map_or_else(|error| error.body()["error"].clone(), |()| panic!("{body}"))
}

#[test]
fn what_does_not_go_together_or_is_not_there_is_refused_by_name() {
    let long = "x".repeat(513);
    let many: Map<String, Value> = (0..17).map(|i| (format!("k{i}"), json!("v"))).collect();
    for (body, param) in [
        (json!({ "prompt": { "id": "pmpt_1" } }), "prompt"),
        (
            json!({ "context_management": [{ "type": "compaction" }] }),
            "context_management",
        ),
        (json!({ "moderation": {} }), "moderation"),
        (json!({ "temperature": 2.5 }), "temperature"),
        (json!({ "top_p": -0.1 }), "top_p"),
        (json!({ "top_logprobs": 21 }), "top_logprobs"),
        (json!({ "max_output_tokens": 0 }), "max_output_tokens"),
        (json!({ "metadata": { "k": long } }), "metadata"),
        (json!({ "metadata": many }), "metadata"),
        (
            json!({ "previous_response_id": "resp_1", "conversation": "conv_1" }),
            "previous_response_id",
        ),
        (json!({ "background": true, "store": false }), "background"),
        (
            json!({ "prompt_cache_options": { "mode": "explicit" } }),
            "prompt_cache_options.mode",
        ),
        (
            json!({ "model": "function:answer", "tools": [{ "type": "function" }] }),
            "tools",
        ),
        (
            json!({ "model": "function:answer", "text": { "format": { "type": "json_object" } } }),
            "text.format",
        ),
        (
            json!({ "model": "function:answer", "instructions": "Be short." }),
            "instructions",
        ),
    ] {
        let error = refused(body);
        assert_eq!(error["param"], param);
        assert_eq!(error["type"], "invalid_request_error");
    }
    for body in [
        json!({}),
        json!({ "prompt": null, "verbosity": "low", "stream_options": { "include_obfuscation": false } }),
        json!({ "background": true }),
        json!({ "store": false, "conversation": "conv_1" }),
        json!({ "model": "function:answer", "tools": [], "instructions": "" }),
        json!({ "model": "m", "text": { "format": { "type": "json_object" }, "verbosity": "low" } }),
    ] {
        assert!(read(body.clone()).check().is_ok(), "{body}");
    }
}

#[test]
fn what_a_request_goes_on_from_is_read_in_all_its_forms() {
    let conversation = || Before::Conversation("conv_1".to_owned());
    for (body, before) in [
        (json!({}), Before::Nothing),
        (
            json!({ "previous_response_id": null, "conversation": null }),
            Before::Nothing,
        ),
        (
            json!({ "previous_response_id": "resp_1" }),
            Before::Response("resp_1".to_owned()),
        ),
        (json!({ "conversation": "conv_1" }), conversation()),
        (
            json!({ "conversation": { "id": "conv_1" } }),
            conversation(),
        ),
    ] {
        assert_eq!(read(body).before(), before);
    }
    let mut text = read(json!({ "input": "Hi" }));
    assert_eq!(text.items(), [json!({ "role": "user", "content": "Hi" })]);
    let mut items = read(json!({ "input": [{ "id": "x" }] }));
    assert_eq!(items.items(), [json!({ "id": "x" })]);
    assert!(read(json!({})).items().is_empty());
    assert!(serde_json::from_value::<Create>(json!({ "input": 3 })).is_err());
}

#[test]
fn a_request_comes_to_what_is_asked() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    let body = json!({
        "model": "m",
        "text": {
            "format": { "type": "json_schema", "name": "a", "schema": schema, "strict": true },
            "verbosity": "low",
        },
        "reasoning": { "effort": "high", "summary": "auto" },
        "temperature": 0.7,
        "top_p": 0.9,
        "max_output_tokens": 50,
        "max_tool_calls": 3,
        "top_logprobs": 2,
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "prompt_cache_options": { "ttl": "30m" },
        "truncation": "auto",
        "parallel_tool_calls": false,
        "metadata": { "topic": "demo" },
        "user": "ada",
        "tools": [
            { "type": "function", "name": "f", "parameters": null, "strict": false },
            { "type": "function", "name": "g", "parameters": null, "strict": true },
        ],
        "tool_choice": "required",
    });
    let request = read(body);
    request.check().unwrap();
    let offered = offered(request.tools.as_deref(), request.tool_choice.as_ref()).unwrap();
    let include = request.included().unwrap();
    let ask = request.ask(Target::Model, &offered, include, String::new());
    assert_eq!(ask.constraint, Some(Constraint::JsonSchema(schema.clone())));
    assert_eq!(ask.sampling.max_tokens, Some(50));
    assert_eq!(
        (ask.effort, ask.summary),
        (Some(ReasoningEffort::High), true)
    );
    assert_eq!((ask.top_logprobs, ask.priority), (Some(2), Priority::Batch));
    assert_eq!((ask.tools.len(), ask.choice), (2, ToolChoice::Required));
    let form = Form {
        name: Some("a".to_owned()),
        description: None,
        strict: Some(true),
    };
    let extras = Extras {
        verbosity: Some(Verbosity::Low),
        service_tier: Some(ServiceTier::Flex),
        cache_retention: Some(CacheRetention::Day),
        cache_ttl: Some("30m".to_owned()),
        form,
        strict_tools: vec!["g".to_owned()],
    };
    assert_eq!(ask.extras, extras);
    assert!(ask.truncates && ask.parallel == Some(false));
    let echo = Value::Object(request.echo(&offered));
    for (field, value) in [
        ("temperature", json!(0.7)),
        ("top_p", json!(0.9)),
        ("metadata", json!({ "topic": "demo" })),
        ("user", json!("ada")),
        ("service_tier", json!("flex")),
        ("truncation", json!("auto")),
        ("reasoning", json!({ "effort": "high", "summary": "auto" })),
        ("tool_choice", json!("required")),
        ("store", json!(true)),
        (
            "text",
            json!({
                "format": { "type": "json_schema", "name": "a", "schema": schema, "strict": true },
                "verbosity": "low",
            }),
        ),
        (
            "tools",
            json!([
                { "type": "function", "name": "f", "parameters": null, "strict": false },
                { "type": "function", "name": "g", "parameters": null, "strict": true },
            ]),
        ),
    ] {
        assert_eq!(echo[field], value, "{field}");
    }
    let plain = read(json!({ "model": "m" }));
    let nothing = Offered::default();
    let include = plain.included().unwrap();
    let ask = plain.ask(Target::Model, &nothing, include, String::new());
    assert_eq!((ask.top_logprobs, ask.constraint), (None, None));
    assert_eq!(Value::Object(plain.echo(&nothing)).get("user"), None);
}

#[test]
fn what_is_shown_on_demand_has_openais_names() {
    for (names, wanted) in [
        (&[] as &[&str], Some((false, false))),
        (&["file_search_call.results"], Some((true, false))),
        (
            &[
                "message.output_text.logprobs",
                "reasoning.encrypted_content",
            ],
            Some((false, true)),
        ),
        (&["everything"], None),
    ] {
        let found = included(names.iter().copied()).ok();
        assert_eq!(found.map(|i| (i.results, i.logprobs)), wanted, "{names:?}");
    }
}
