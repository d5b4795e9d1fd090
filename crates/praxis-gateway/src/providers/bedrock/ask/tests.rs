//! Questions as Bedrock takes them, by the maker of the model.

use praxis_core::{Message, Sampling, ToolCall, ToolSpec};

use super::*;

const HAIKU_3: &str = "anthropic.claude-3-haiku-20240307-v1:0";
const SONNET_4: &str = "anthropic.claude-sonnet-4-20250514-v1:0";
const OPUS_46: &str = "anthropic.claude-opus-4-6-v1";
const OPUS_55: &str = "global.anthropic.claude-opus-5-5";
const NOVA: &str = "amazon.nova-lite-v1:0";
const LLAMA: &str = "meta.llama3-1-70b-instruct-v1:0";

fn to(model: &str) -> To<'_> {
    To {
        name: "m",
        model,
        prompt_cache: false,
    }
}

fn request() -> ChatRequest {
    ChatRequest {
        messages: vec![Message::user("q")],
        ..ChatRequest::default()
    }
}

fn with_tools(tool_choice: ToolChoice) -> ChatRequest {
    let look = ToolSpec {
        name: "look".to_owned(),
        description: "Looks.".to_owned(),
        parameters: no_parameters(),
    };
    ChatRequest {
        tools: vec![look],
        tool_choice,
        ..request()
    }
}

/// The fields that say the same in all questions are not compared.
fn asked(model: &str, request: &ChatRequest) -> (Value, Vec<&'static str>) {
    let (mut body, left_out) = body(to(model), request).unwrap();
    body.as_object_mut().unwrap().remove("messages");
    (body, left_out)
}

#[test]
fn ids_are_part_of_a_path() {
    for (id, expected) in [
        (HAIKU_3, "anthropic.claude-3-haiku-20240307-v1%3A0"),
        ("arn:aws:x/y z", "arn%3Aaws%3Ax%2Fy%20z"),
    ] {
        assert_eq!(encoded(id), expected);
    }
    let question = question(to(NOVA), &request()).unwrap();
    assert_eq!(
        question.path,
        "model/amazon.nova-lite-v1%3A0/converse-stream"
    );
}

#[test]
fn sampling_is_told_as_far_as_the_model_takes_it() {
    let sampling = Sampling {
        temperature: Some(0.7),
        top_p: Some(0.9),
        top_k: Some(40),
        min_p: Some(0.1),
        seed: Some(7),
        max_tokens: Some(100),
        stop: vec!["END".to_owned(), String::new()],
        ..Sampling::default()
    };
    let request = ChatRequest {
        sampling,
        ..request()
    };
    let rest = json!({ "maxTokens": 100, "stopSequences": ["END"] });
    let with = |fields: Value| {
        let mut all = rest.clone();
        let fields = fields.as_object().cloned().unwrap_or_default();
        all.as_object_mut().unwrap().extend(fields);
        all
    };
    let top_k = json!({ "top_k": 40 });
    for (model, inference, more, left_out) in [
        (
            HAIKU_3,
            with(json!({ "temperature": 0.7, "topP": 0.9 })),
            top_k.clone(),
            vec!["min_p", "seed"],
        ),
        (
            OPUS_46,
            with(json!({ "temperature": 0.7 })),
            top_k,
            vec!["top_p", "min_p", "seed"],
        ),
        (
            OPUS_55,
            with(json!({})),
            Value::Null,
            vec!["temperature", "top_p", "top_k", "min_p", "seed"],
        ),
        (
            LLAMA,
            with(json!({ "temperature": 0.7, "topP": 0.9 })),
            Value::Null,
            vec!["top_k", "min_p", "seed"],
        ),
    ] {
        let (body, left) = asked(model, &request);
        assert_eq!(body["inferenceConfig"], inference, "{model}");
        assert_eq!(body["additionalModelRequestFields"], more, "{model}");
        assert_eq!(left, left_out, "{model}");
    }
}

#[test]
fn tools_are_offered_and_calls_forced_as_far_as_the_model_takes_it() {
    let named = || ToolChoice::Named("look".to_owned());
    let any = || json!({ "any": {} });
    let tool = || json!({ "tool": { "name": "look" } });
    for (model, choice, expected, left_out) in [
        (HAIKU_3, ToolChoice::Auto, Value::Null, vec![]),
        (HAIKU_3, ToolChoice::Required, any(), vec![]),
        (NOVA, named(), tool(), vec![]),
        (
            OPUS_55,
            ToolChoice::Required,
            Value::Null,
            vec!["tool_choice"],
        ),
        (LLAMA, named(), Value::Null, vec!["tool_choice"]),
    ] {
        let (body, left) = asked(model, &with_tools(choice));
        let config = &body["toolConfig"];
        assert_eq!(
            config["tools"],
            json!([{ "toolSpec": {
                "name": "look",
                "description": "Looks.",
                "inputSchema": { "json": no_parameters() },
            } }])
        );
        assert_eq!(config["toolChoice"], expected, "{model}");
        assert_eq!(left, left_out, "{model}");
    }
    let (body, left) = asked(HAIKU_3, &with_tools(ToolChoice::None));
    assert_eq!((&body["toolConfig"], left), (&Value::Null, vec![]));
    let serial = ChatRequest {
        parallel_tool_calls: Some(false),
        ..with_tools(ToolChoice::Auto)
    };
    assert_eq!(asked(HAIKU_3, &serial).1, ["parallel_tool_calls"]);
}

#[test]
fn a_conversation_with_calls_says_what_can_be_called() {
    let mut call = Message::assistant("");
    call.tool_calls = vec![ToolCall {
        id: "c1".to_owned(),
        name: "find".to_owned(),
        arguments: "{}".to_owned(),
    }];
    let messages = vec![Message::user("q"), call, Message::tool("c1", "4")];
    for (request, name, left_out) in [
        (request(), "find", vec![]),
        (with_tools(ToolChoice::None), "look", vec!["tool_choice"]),
    ] {
        let request = ChatRequest {
            messages: messages.clone(),
            ..request
        };
        let (body, left) = asked(HAIKU_3, &request);
        let tools = body["toolConfig"]["tools"].as_array().unwrap();
        assert_eq!(tools.len(), 1);
        assert_eq!(tools[0]["toolSpec"]["name"], name);
        assert_eq!(body["toolConfig"]["toolChoice"], Value::Null);
        assert_eq!(left, left_out);
    }
}

#[test]
fn an_answer_is_held_to_a_schema_in_the_way_that_the_model_has() {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    let held_to = |schema: &Value, request: ChatRequest| ChatRequest {
        constraint: Some(Constraint::JsonSchema(schema.clone())),
        ..request
    };
    let alone = held_to(&schema, request());
    let (body, _) = asked(HAIKU_3, &alone);
    let config = &body["toolConfig"];
    assert_eq!(
        config["tools"][0]["toolSpec"]["inputSchema"]["json"],
        schema
    );
    assert_eq!(
        config["toolChoice"],
        json!({ "tool": { "name": "answer" } })
    );
    assert_eq!(answer_tool(to(HAIKU_3), &alone).as_deref(), Some("answer"));

    // Beside tools, the answer is one more of them.
    let mut beside = held_to(&schema, with_tools(ToolChoice::Auto));
    beside.tools[0].name = "answer".to_owned();
    let (body, _) = asked(HAIKU_3, &beside);
    let config = &body["toolConfig"];
    assert_eq!(config["tools"][1]["toolSpec"]["name"], "answer_");
    assert_eq!(config["toolChoice"], json!({ "any": {} }));
    assert_eq!(
        answer_tool(to(HAIKU_3), &beside).as_deref(),
        Some("answer_")
    );

    // What has to be a call is no answer.
    let call = held_to(&schema, with_tools(ToolChoice::Required));
    assert_eq!(answer_tool(to(HAIKU_3), &call), None);
    assert_eq!(
        asked(HAIKU_3, &call).0["toolConfig"]["tools"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    for model in [LLAMA, OPUS_55] {
        let (body, _) = asked(model, &alone);
        let format = &body["outputConfig"]["textFormat"];
        assert_eq!(format["type"], "json_schema");
        let written = format["structure"]["jsonSchema"]["schema"]
            .as_str()
            .unwrap();
        assert_eq!(serde_json::from_str::<Value>(written).unwrap(), schema);
        assert_eq!(body["toolConfig"], Value::Null);
        assert_eq!(answer_tool(to(model), &alone), None);
    }
}

#[test]
fn json_of_any_kind_is_asked_for_in_words() {
    let request = ChatRequest {
        constraint: Some(Constraint::JsonObject),
        ..request()
    };
    let (body, left_out) = body(to(HAIKU_3), &request).unwrap();
    let told = json!({ "text": JSON_ALONE });
    let system = body["system"].as_array().unwrap();
    assert_eq!((system.last(), left_out), (Some(&told), vec![]));
    assert_eq!(body.get("toolConfig"), None);
    assert_eq!(answer_tool(to(HAIKU_3), &request), None);
}

#[test]
fn what_an_answer_cannot_be_held_to_is_refused_with_the_fix() {
    for (constraint, said) in [
        (Constraint::Regex("a+".to_owned()), "`regex`"),
        (
            Constraint::JsonSchema(json!({ "type": "array" })),
            "schemas of objects",
        ),
    ] {
        let request = ChatRequest {
            constraint: Some(constraint),
            ..request()
        };
        let error = body(to(HAIKU_3), &request).unwrap_err().to_string();
        assert!(error.starts_with("constraint: `m`"), "{error}");
        assert!(
            error.contains(said) && error.contains("local model"),
            "{error}"
        );
    }
}

#[test]
fn a_model_thinks_as_long_as_it_is_asked_to() {
    use ReasoningEffort::{High, Low, None as Rest, XHigh};
    let budget = |most: u32| json!({ "thinking": { "type": "enabled", "budget_tokens": most } });
    let adaptive = |effort: &str| json!({ "output_config": { "effort": effort }, "thinking": { "type": "adaptive" } });
    let left = vec!["reasoning_effort"];
    for (model, effort, most, more, left_out) in [
        (HAIKU_3, High, None, Value::Null, left.clone()),
        (NOVA, High, None, Value::Null, left.clone()),
        (SONNET_4, High, None, budget(16384), vec![]),
        (SONNET_4, High, Some(4000), budget(2000), vec![]),
        (SONNET_4, Low, Some(2000), Value::Null, left.clone()),
        (SONNET_4, Rest, None, Value::Null, vec![]),
        (OPUS_46, XHigh, Some(100), adaptive("max"), vec![]),
        (OPUS_46, Rest, None, Value::Null, vec![]),
        (OPUS_55, XHigh, None, adaptive("xhigh"), vec![]),
        (OPUS_55, Rest, None, Value::Null, left),
        (
            "anthropic.claude-opus-5",
            Rest,
            None,
            json!({ "thinking": { "type": "disabled" } }),
            vec![],
        ),
    ] {
        let request = ChatRequest {
            reasoning_effort: Some(effort),
            sampling: Sampling {
                max_tokens: most,
                ..Sampling::default()
            },
            ..request()
        };
        let (body, left) = asked(model, &request);
        assert_eq!(
            body["additionalModelRequestFields"], more,
            "{model} {effort:?}"
        );
        assert_eq!(left, left_out, "{model} {effort:?}");
    }
}

#[test]
fn thoughts_give_way_to_forced_calls_and_sampling_to_thoughts() {
    let thinking = |request: ChatRequest| ChatRequest {
        reasoning_effort: Some(ReasoningEffort::High),
        sampling: Sampling {
            temperature: Some(0.0),
            ..Sampling::default()
        },
        ..request
    };
    let zero = json!({ "temperature": 0.0 });
    let effort = json!({ "output_config": { "effort": "high" } });
    for (model, forced, inference, more, left_out) in [
        (
            SONNET_4,
            true,
            zero.clone(),
            Value::Null,
            vec!["reasoning_effort"],
        ),
        (OPUS_46, true, zero, effort, vec![]),
        (
            OPUS_46,
            false,
            Value::Null,
            json!({ "output_config": { "effort": "high" }, "thinking": { "type": "adaptive" } }),
            vec!["temperature"],
        ),
    ] {
        let choice = if forced {
            ToolChoice::Required
        } else {
            ToolChoice::Auto
        };
        let (body, left) = asked(model, &thinking(with_tools(choice)));
        assert_eq!(body["inferenceConfig"], inference, "{model}");
        assert_eq!(body["additionalModelRequestFields"], more, "{model}");
        assert_eq!(left, left_out, "{model}");
    }
}

#[test]
fn prompts_are_kept_where_the_model_takes_the_word() {
    let messages = vec![
        Message::system("Be short."),
        Message::user("q"),
        Message::assistant("a"),
        Message::user("r"),
    ];
    let point = cache_point();
    // Behind the instructions, the tools, and the last turn.
    for (model, kept) in [
        (SONNET_4, [true, true, true]),
        (NOVA, [true, false, true]),
        (HAIKU_3, [false, false, false]),
        (LLAMA, [false, false, false]),
    ] {
        let request = ChatRequest {
            messages: messages.clone(),
            ..with_tools(ToolChoice::Auto)
        };
        let to = To {
            prompt_cache: true,
            ..to(model)
        };
        let (body, _) = body(to, &request).unwrap();
        let places = [
            &body["system"],
            &body["toolConfig"]["tools"],
            &body["messages"][2]["content"],
        ];
        let ends = places.map(|place| place.as_array().unwrap().last() == Some(&point));
        assert_eq!(ends, kept, "{model}");
        let first = body["messages"][0]["content"].as_array().unwrap();
        assert_eq!(first.len(), 1, "{model}");
    }
    let answered = vec![Message::user("q"), Message::tool("c1", "4")];
    for (model, length) in [(SONNET_4, 3), (NOVA, 2)] {
        let request = ChatRequest {
            messages: answered.clone(),
            ..request()
        };
        let to = To {
            prompt_cache: true,
            ..to(model)
        };
        let (body, _) = body(to, &request).unwrap();
        let content = body["messages"][0]["content"].as_array().unwrap();
        assert_eq!(content.len(), length, "{model}: not behind a result");
    }
}
