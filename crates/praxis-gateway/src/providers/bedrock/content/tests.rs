//! Messages as Bedrock takes them.

use super::*;

const MODEL_ID: &str = "anthropic.claude-3-haiku-20240307-v1:0";

fn of(messages: &[Message]) -> Result<Conversation, ModelError> {
    let to = To {
        name: "m",
        model: MODEL_ID,
        prompt_cache: false,
    };
    Conversation::of(to, messages)
}

fn turns(messages: &[Message]) -> Value {
    let turns = of(messages).unwrap().turns;
    turns.into_iter().map(Turn::value).collect()
}

fn calls(text: &str, calls: &[(&str, &str)]) -> Message {
    let call = |(id, arguments): &(&str, &str)| ToolCall {
        id: (*id).to_owned(),
        name: "f".to_owned(),
        arguments: (*arguments).to_owned(),
    };
    Message {
        tool_calls: calls.iter().map(call).collect(),
        ..Message::assistant(text)
    }
}

#[test]
fn each_side_has_its_say_in_one_turn_and_what_is_blank_is_left_out() {
    let user = |texts: &[&str]| {
        let content: Vec<Value> = texts.iter().map(|t| json!({ "text": t })).collect();
        json!({ "role": "user", "content": content })
    };
    let model = |text: &str| json!({ "role": "assistant", "content": [{ "text": text }] });
    for (messages, system, expected) in [
        (
            vec![
                Message::system("Be short."),
                Message::user("a"),
                Message::user(" "),
                Message::user("b"),
                Message::assistant(""),
                Message::user("c"),
            ],
            json!([{ "text": "Be short." }]),
            json!([user(&["a", "b", "c"])]),
        ),
        (
            vec![Message::user("a"), Message::assistant("So: \n")],
            json!([]),
            json!([user(&["a"]), model("So:")]),
        ),
        (
            vec![Message::system("Say hello.")],
            json!([]),
            json!([user(&["Say hello."])]),
        ),
        (vec![], json!([]), json!([])),
    ] {
        assert_eq!(Value::Array(of(&messages).unwrap().system), system);
        assert_eq!(turns(&messages), expected);
    }
}

#[test]
fn calls_and_results_go_out_as_converse_has_them() {
    let long = "x".repeat(LONGEST_ID + 1);
    let messages = [
        Message::user("q"),
        calls(
            "",
            &[
                ("c:1", r#"{"a":1}"#),
                (long.as_str(), "not JSON"),
                ("c3", ""),
            ],
        ),
        Message::tool("c:1", "4"),
        Message::tool(long.as_str(), " "),
        Message::tool("c3", "5"),
        Message::user("go on"),
    ];
    let hash = blake3::hash(long.as_bytes()).to_hex().to_string();
    let called = |id: &str, input: Value| json!({ "toolUse": { "toolUseId": id, "name": "f", "input": input } });
    let result =
        |id: &str, content: Value| json!({ "toolResult": { "toolUseId": id, "content": content } });
    assert_eq!(
        turns(&messages),
        json!([
            { "role": "user", "content": [{ "text": "q" }] },
            { "role": "assistant", "content": [
                called("c:1", json!({ "a": 1 })),
                called(&hash, json!({ "arguments": "not JSON" })),
                called("c3", json!({})),
            ] },
            { "role": "user", "content": [
                result("c:1", json!([{ "text": "4" }])),
                result(&hash, json!([])),
                result("c3", json!([{ "text": "5" }])),
                { "text": "go on" },
            ] },
        ])
    );
    assert_eq!(of(&messages).unwrap().called, ["f"]);
}

#[test]
fn thoughts_are_those_of_the_model_that_is_asked() {
    let thought = json!({ "reasoningContent": { "redactedContent": "AA==" } });
    let kept = of_call(MODEL_ID, vec![thought.clone()]);
    assert_eq!(of_model(MODEL_ID, kept.clone()), [thought]);
    for (model, kept) in [
        ("another model", kept),
        (MODEL_ID, json!({ "blocks": [{}] })),
        (MODEL_ID, json!({ "bedrock": MODEL_ID })),
        (MODEL_ID, json!([1])),
    ] {
        assert_eq!(of_model(model, kept.clone()), [] as [Value; 0], "{kept}");
    }
}

#[test]
fn a_turn_of_the_model_that_goes_on_without_its_thoughts_is_noticed() {
    let asked = [
        Message::user("q"),
        calls("Let me see.", &[("bedrock_forgotten", "{}")]),
        Message::tool("bedrock_forgotten", "4"),
    ];
    let over = [&asked[..], &[Message::user("next")]].concat();
    let prefilled = vec![Message::user("q"), Message::assistant("So")];
    for (messages, forgotten) in [
        (vec![Message::user("q")], false),
        (asked.to_vec(), true),
        (over, false),
        (prefilled, true),
    ] {
        assert_eq!(of(&messages).unwrap().forgotten, forgotten, "{messages:?}");
    }
}

#[test]
fn media_are_sent_where_there_is_a_word_for_them() {
    let media = |url: &str, content_type: Option<&str>| Part::Media {
        url: url.to_owned(),
        content_type: content_type.map(str::to_owned),
        detail: None,
    };
    let sent = |part: Part| {
        let message = Message::of_parts(Role::User, vec![part]);
        of(&[message]).map(|mut talk| talk.turns.remove(0).content.remove(0))
    };
    for (part, expected) in [
        (
            media("data:image/png;base64,AA==", None),
            json!({ "image": { "format": "png", "source": { "bytes": "AA==" } } }),
        ),
        (
            media("s3://bucket/clip.mp4", Some("video/mp4")),
            json!({ "video": { "format": "mp4", "source": { "s3Location": { "uri": "s3://bucket/clip.mp4" } } } }),
        ),
        (
            media(
                "data:text/plain;base64,AA==",
                Some("Text/Plain; charset=utf-8"),
            ),
            json!({ "document": { "format": "txt", "source": { "bytes": "AA==" }, "name": "document-1" } }),
        ),
    ] {
        assert_eq!(sent(part).unwrap(), expected);
    }
    for (part, said) in [
        (media("https://a/b.png", Some("image/png")), "`data:` URL"),
        (media("data:audio/wav;base64,AA==", None), "`audio/wav`"),
        (media("s3://bucket/b", None), "give their type"),
    ] {
        let error = sent(part).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("`m`"), "{error}");
    }
    let part = media("data:image/png;base64,AA==", None);
    let system = Message::of_parts(Role::System, vec![part]);
    let error = of(&[system]).unwrap_err().to_string();
    assert!(error.contains("instructions as text"), "{error}");
}
