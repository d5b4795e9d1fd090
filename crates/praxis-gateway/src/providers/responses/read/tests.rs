//! Events in, pieces out.

use serde_json::json;

use super::*;

/// The pieces of events, and how they end.
fn read(events: Value) -> (Vec<Piece>, Option<Piece>) {
    let mut reader = Events::new("m");
    let mut pieces = VecDeque::new();
    for event in events.as_array().unwrap() {
        reader
            .event("message", &event.to_string(), &mut pieces)
            .unwrap();
    }
    (pieces.into(), reader.done())
}

fn call(index: usize, id: Option<&str>, name: Option<&str>, arguments: &str) -> Piece {
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
fn calls_are_counted_apart_from_other_items_however_they_come() {
    let item = |id: &str, call: &str, name: &str, arguments: &str| json!({ "type": "function_call", "id": id, "call_id": call, "name": name, "arguments": arguments });
    let added = |index: u64, item: Value| json!({ "type": "response.output_item.added", "output_index": index, "item": item });
    let done = |index: u64, item: Value| json!({ "type": "response.output_item.done", "output_index": index, "item": item });
    let written = |id: &str, index: u64, delta: &str| {
        json!({
            "type": "response.function_call_arguments.delta",
            "item_id": id,
            "output_index": index,
            "delta": delta,
        })
    };
    let ending = json!({ "type": "response.completed", "response": {} });
    let (first, second) = (
        item("f1", "read_c1", "a", "{}"),
        item("f2", "read_c2", "b", "{}"),
    );
    let both = vec![
        call(0, Some("read_c1"), Some("a"), ""),
        call(1, Some("read_c2"), Some("b"), ""),
        call(0, None, None, "{}"),
        call(1, None, None, "{}"),
    ];
    for (events, expected) in [
        // As the reference has it.
        (
            json!([
                added(1, item("f1", "read_c1", "a", "")),
                added(2, item("f2", "read_c2", "b", "")),
                written("f1", 1, "{}"),
                written("f2", 2, "{}"),
                done(1, first.clone()),
                done(2, second.clone()),
                ending.clone(),
            ]),
            both.clone(),
        ),
        // One index for all items.
        (
            json!([
                added(0, item("f1", "read_c1", "a", "")),
                added(0, item("f2", "read_c2", "b", "")),
                written("f1", 0, "{}"),
                written("f2", 0, "{}"),
                done(0, first.clone()),
                done(0, second.clone()),
                ending.clone(),
            ]),
            both,
        ),
        // An id that changes, and arguments that never come in pieces.
        (
            json!([
                added(3, item("x", "read_c1", "a", "")),
                done(3, first.clone()),
                ending.clone()
            ]),
            vec![
                call(0, Some("read_c1"), Some("a"), ""),
                call(0, None, None, "{}"),
            ],
        ),
        // Whole, and at the end only.
        (
            json!([written("f1", 0, "{"), done(0, first), ending]),
            vec![
                call(0, Some("read_c1"), Some("a"), ""),
                call(0, None, None, "{}"),
            ],
        ),
    ] {
        assert_eq!(
            read(events.clone()),
            (expected, finished(FinishReason::ToolCalls)),
            "{events}"
        );
    }
}

#[test]
fn thoughts_have_a_blank_line_between_their_parts() {
    let thought = |item: u64, part: u64, text: &str| {
        json!({
            "type": "response.reasoning_summary_text.delta",
            "output_index": item,
            "summary_index": part,
            "delta": text,
        })
    };
    let (pieces, done) = read(json!([
        thought(0, 0, "a"),
        thought(0, 0, "b"),
        thought(0, 1, ""),
        thought(0, 1, "c"),
        thought(2, 0, "d"),
        { "type": "response.reasoning_text.delta", "output_index": 3, "content_index": 0, "delta": "e" },
    ]));
    let expected = ["a", "b", "\n\nc", "\n\nd", "\n\ne"];
    let expected = expected.map(|text| Piece::Reasoning(text.to_owned()));
    assert_eq!((pieces, done), (expected.to_vec(), None));
}

#[test]
fn how_an_answer_ends_is_told() {
    let incomplete =
        |reason: Value| json!({ "status": "incomplete", "incomplete_details": reason });
    for (response, reason) in [
        (
            json!({ "status": "completed", "incomplete_details": null }),
            FinishReason::Stop,
        ),
        (
            incomplete(json!({ "reason": "max_output_tokens" })),
            FinishReason::Length,
        ),
        (
            incomplete(json!({ "reason": "content_filter" })),
            FinishReason::ContentFilter,
        ),
        (incomplete(Value::Null), FinishReason::Length),
    ] {
        let events = json!([{ "type": "response.incomplete", "response": response }]);
        assert_eq!(read(events), (Vec::new(), finished(reason)));
    }
}

#[test]
fn what_is_not_known_is_ignored_and_nothing_breaks_the_reader() {
    let unknown = json!([
        { "type": "response.new.thing", "item": 7, "delta": {} },
        { "type": "response.output_item.added", "item": { "type": "new_call", "arguments": {} } },
        { "type": "response.output_text.delta", "delta": "", "logprobs": null },
        ["response.completed"],
    ]);
    assert_eq!(read(unknown), (Vec::new(), None));
    let mut reader = Events::new("m");
    let mut pieces = VecDeque::new();
    let text = r#"{ "delta": "Hi" }"#;
    let mut event = |kind: &str, data: &str| reader.event(kind, data, &mut pieces);
    // The name of the event stands in for a missing type.
    assert!(matches!(
        event("response.output_text.delta", text),
        Ok(Flow::More)
    ));
    assert!(matches!(event("", "[DONE]"), Ok(Flow::End)));
    for garbled in ["", "{", r#"{ "type": "response.output_item.added" }"#] {
        assert!(
            matches!(event("", garbled), Err(Fault::Garbled(_))),
            "{garbled}"
        );
    }
    let failed = event("message", r#"{ "error": { "message": "Oh no" } }"#);
    assert!(matches!(failed, Err(Fault::Said(error)) if error.to_string() == "`m`: Oh no"));
    assert_eq!(pieces.len(), 1);
}
