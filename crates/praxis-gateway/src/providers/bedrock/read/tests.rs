//! Answers as Bedrock gives them.

use super::*;

type Seen = (Vec<Piece>, Option<Piece>);

/// What a reader makes of events.
fn read(mut events: Events, all: &[(&str, Value)]) -> Result<Seen, Fault> {
    let mut pieces = VecDeque::new();
    for (kind, data) in all {
        events.event(kind, &data.to_string(), &mut pieces)?;
    }
    Ok((pieces.into(), events.done()))
}

fn plain() -> Events {
    Events::new("m", "anthropic.claude-x", None)
}

fn delta(block: u64, delta: Value) -> (&'static str, Value) {
    let data = json!({ "contentBlockIndex": block, "delta": delta, "p": "abc" });
    ("contentBlockDelta", data)
}

fn start(block: u64, id: &str, name: &str) -> (&'static str, Value) {
    let call = json!({ "toolUse": { "toolUseId": id, "name": name } });
    (
        "contentBlockStart",
        json!({ "contentBlockIndex": block, "start": call }),
    )
}

fn end(block: u64) -> (&'static str, Value) {
    ("contentBlockStop", json!({ "contentBlockIndex": block }))
}

fn stop(reason: &str) -> (&'static str, Value) {
    ("messageStop", json!({ "stopReason": reason }))
}

fn piece(index: usize, id: Option<&str>, name: Option<&str>, arguments: &str) -> Piece {
    Piece::ToolCall(ToolCallDelta {
        index,
        id: id.map(str::to_owned),
        name: name.map(str::to_owned),
        arguments: arguments.to_owned(),
    })
}

fn finished(finish_reason: FinishReason) -> Option<Piece> {
    Some(Piece::Done {
        finish_reason,
        usage: None,
    })
}

#[test]
fn text_thoughts_and_calls_come_as_pieces() {
    let (pieces, done) = read(
        plain(),
        &[
            ("messageStart", json!({ "role": "assistant" })),
            delta(0, json!({ "reasoningContent": { "text": "Hm." } })),
            delta(0, json!({ "reasoningContent": { "text": "" } })),
            delta(0, json!({ "reasoningContent": { "signature": "c2ln" } })),
            end(0),
            delta(1, json!({ "text": "" })),
            delta(1, json!({ "text": "Let me see." })),
            end(1),
            start(2, "t1", "look"),
            delta(2, json!({ "toolUse": { "input": "" } })),
            delta(2, json!({ "toolUse": { "input": "{\"a\"" } })),
            start(3, "t2", "find"),
            delta(2, json!({ "toolUse": { "input": ":1}" } })),
            delta(9, json!({ "toolUse": { "input": "of no call" } })),
            ("somethingNew", json!({})),
            stop("tool_use"),
        ],
    )
    .unwrap();
    assert_eq!(
        pieces,
        [
            Piece::Reasoning("Hm.".to_owned()),
            delta_of("Let me see.".to_owned()),
            piece(0, Some("t1"), Some("look"), ""),
            piece(0, None, None, "{\"a\""),
            piece(1, Some("t2"), Some("find"), ""),
            piece(0, None, None, ":1}"),
        ]
    );
    assert_eq!(done, finished(FinishReason::ToolCalls));
}

#[test]
fn the_input_of_the_answers_tool_is_the_text() {
    let reader = || Events::new("m", "anthropic.claude-x", Some("answer".to_owned()));
    let (pieces, done) = read(
        reader(),
        &[
            delta(0, json!({ "text": "Here it is:" })),
            start(1, "t1", "answer"),
            delta(1, json!({ "toolUse": { "input": "{\"n\":" } })),
            delta(1, json!({ "toolUse": { "input": "1}" } })),
            end(1),
            start(2, "t2", "answer"),
            delta(2, json!({ "toolUse": { "input": "{\"n\":2}" } })),
            end(2),
            stop("tool_use"),
        ],
    )
    .unwrap();
    let texts = ["{\"n\":", "1}"].map(|text| delta_of(text.to_owned()));
    assert_eq!(
        (pieces, done),
        (texts.to_vec(), finished(FinishReason::Stop))
    );

    let empty = [start(0, "t1", "answer"), end(0), end(0), stop("tool_use")];
    let (pieces, _) = read(reader(), &empty).unwrap();
    assert_eq!(pieces, [delta_of("{}".to_owned())]);

    let call = [start(0, "t1", "look"), end(0), stop("tool_use")];
    let (pieces, done) = read(reader(), &call).unwrap();
    assert_eq!(pieces, [piece(0, Some("t1"), Some("look"), "")]);
    assert_eq!(done, finished(FinishReason::ToolCalls));
}

#[test]
fn an_answer_ends_for_one_reason_and_with_its_usage() {
    for (reason, expected) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("tool_use", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("content_filtered", FinishReason::ContentFilter),
        ("guardrail_intervened", FinishReason::ContentFilter),
    ] {
        let (_, done) = read(plain(), &[stop(reason)]).unwrap();
        assert_eq!(done, finished(expected), "{reason}");
    }
    let Err(Fault::Said(error)) = read(plain(), &[stop("malformed_tool_use")]) else {
        panic!("it was read");
    };
    assert!(error.is_retryable(), "{error}");
    assert_eq!(
        read(plain(), &[]).unwrap().1,
        None,
        "nothing said that it is over"
    );

    let mut events = plain();
    let mut pieces = VecDeque::new();
    let usage = json!({ "usage": {
        "inputTokens": 10, "outputTokens": 5, "totalTokens": 115,
        "cacheReadInputTokens": 60, "cacheWriteInputTokens": 40,
    }, "metrics": { "latencyMs": 1 } });
    let (kind, data) = stop("end_turn");
    assert_eq!(
        events.event(kind, &data.to_string(), &mut pieces).unwrap(),
        Flow::More
    );
    assert_eq!(
        events
            .event("metadata", &usage.to_string(), &mut pieces)
            .unwrap(),
        Flow::End
    );
    let Some(Piece::Done { usage, .. }) = events.done() else {
        panic!("it is not over");
    };
    let expected = Usage {
        input_tokens: 110,
        cached_tokens: 60,
        cache_write_tokens: 40,
        output_tokens: 5,
        ..Usage::default()
    };
    assert_eq!(usage, Some(expected));
    let most = TokenUsage {
        input_tokens: Some(u64::MAX),
        cache_read_input_tokens: Some(1),
        ..TokenUsage::default()
    };
    assert_eq!(Usage::from(most).input_tokens, u64::MAX);
}

#[test]
fn only_signed_thoughts_are_kept_and_not_without_end() {
    let add = |thoughts: &mut Thoughts, block: u64, thinking: Value| {
        thoughts.add(block, &serde_json::from_value(thinking).unwrap());
    };
    let mut thoughts = Thoughts::default();
    add(&mut thoughts, 0, json!({ "text": "a" }));
    add(&mut thoughts, 0, json!({ "text": "b" }));
    add(&mut thoughts, 0, json!({ "signature": "s" }));
    add(&mut thoughts, 1, json!({ "redactedContent": "AA==" }));
    add(&mut thoughts, 2, json!({ "text": "unsigned" }));
    add(
        &mut thoughts,
        3,
        json!({ "signature": "of what is not shown" }),
    );
    let text = |text: &str, signature: &str| {
        let shown = json!({ "text": text, "signature": signature });
        json!({ "reasoningContent": { "reasoningText": shown } })
    };
    assert_eq!(
        thoughts.take(),
        [
            text("ab", "s"),
            json!({ "reasoningContent": { "redactedContent": "AA==" } }),
            text("", "of what is not shown"),
        ]
    );
    assert!(thoughts.take().is_empty());
    add(
        &mut thoughts,
        4,
        json!({ "text": "x".repeat(LONGEST_THOUGHTS) }),
    );
    add(&mut thoughts, 4, json!({ "signature": "s" }));
    assert!(thoughts.blocks.is_empty() && thoughts.take().is_empty());
    add(&mut thoughts, 5, json!({ "text": "c", "signature": "s" }));
    assert_eq!(thoughts.take(), [text("c", "s")]);
}

#[test]
fn what_is_no_event_is_a_fault() {
    for (kind, data) in [
        ("contentBlockDelta", "{"),
        ("contentBlockDelta", r#"{"delta":{"text":1}}"#),
        ("metadata", r#"{"usage":{"inputTokens":-1}}"#),
    ] {
        let read = plain().event(kind, data, &mut VecDeque::new());
        assert!(matches!(read, Err(Fault::Garbled(_))), "{kind} {data}");
    }
    for (kind, data) in [("", ""), ("messageStart", ""), ("contentBlockStart", "{}")] {
        let read = plain().event(kind, data, &mut VecDeque::new());
        assert!(matches!(read, Ok(Flow::More)), "{kind} {data}");
    }
}
