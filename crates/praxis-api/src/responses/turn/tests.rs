//! Events in their order, and the items that gather, as tables.

use praxis_core::{ChunkId, Citation, DocumentId, Passage};

use super::*;
use crate::responses::item::{Annotation, Content, OutputText, Speaker};

fn text(text: &str) -> Piece {
    Piece::Text {
        text: text.to_owned(),
        logprobs: Vec::new(),
    }
}

fn thought(text: &str) -> Piece {
    Piece::Reasoning(text.to_owned())
}

fn call(index: usize, name: Option<&str>, arguments: &str) -> Piece {
    Piece::ToolCall(ToolCallDelta {
        index,
        id: name.map(|_| format!("call_{index}")),
        name: name.map(str::to_owned),
        arguments: arguments.to_owned(),
    })
}

fn turn(searches: Option<u32>) -> Turn {
    let manner = Manner {
        searches,
        ..Manner::default()
    };
    Turn::new(manner, Vec::new())
}

fn found(file: &str) -> Found {
    Found {
        file_id: format!("file-{file}"),
        filename: format!("{file}.md"),
        score: 0.5,
        attributes: Map::new(),
        text: format!("Of {file}."),
    }
}

/// Types of events without what they all begin with, and with the place of their item.
fn kinds(events: &[Event]) -> Vec<String> {
    let short = |event: &Event| {
        let kind = event.kind.strip_prefix("response.").unwrap_or(event.kind);
        format!("{kind} {}", event.body["output_index"])
    };
    events.iter().map(short).collect()
}

/// What all pieces and the end of a round give.
fn round(turn: &mut Turn, pieces: Vec<Piece>, finish: FinishReason) -> (Vec<Event>, Next) {
    let mut events: Vec<Event> = pieces.into_iter().flat_map(|p| turn.push(p)).collect();
    let (more, next) = turn.finish(finish);
    events.extend(more);
    (events, next)
}

/// Types and states of items.
fn items(turn: Turn) -> Vec<String> {
    let (output, _) = turn.into_parts();
    let shown = output.iter().map(|item| item.shown(Include::default()));
    let short = |item: Value| format!("{} {}", item["type"], item["status"]).replace('"', "");
    shown.map(short).collect()
}

#[test]
fn events_come_in_openais_order() {
    for (pieces, finish, wanted, made) in [
        (
            vec![text("He"), text(""), text("llo")],
            FinishReason::Stop,
            &[
                "output_item.added 0",
                "content_part.added 0",
                "output_text.delta 0",
                "output_text.delta 0",
                "output_text.done 0",
                "content_part.done 0",
                "output_item.done 0",
            ][..],
            &["message completed"][..],
        ),
        (
            vec![thought("Hm"), thought("."), text("Hi")],
            FinishReason::Length,
            &[
                "output_item.added 0",
                "content_part.added 0",
                "reasoning_text.delta 0",
                "reasoning_text.delta 0",
                "reasoning_text.done 0",
                "content_part.done 0",
                "output_item.done 0",
                "output_item.added 1",
                "content_part.added 1",
                "output_text.delta 1",
                "output_text.done 1",
                "content_part.done 1",
                "output_item.done 1",
            ],
            &["reasoning completed", "message incomplete"],
        ),
        (
            vec![
                text("So."),
                call(0, Some("f"), "{\"a\""),
                call(1, Some("g"), ""),
                call(0, None, ":1}"),
                call(1, None, "{}"),
            ],
            FinishReason::ToolCalls,
            &[
                "output_item.added 0",
                "content_part.added 0",
                "output_text.delta 0",
                "output_text.done 0",
                "content_part.done 0",
                "output_item.done 0",
                "output_item.added 1",
                "function_call_arguments.delta 1",
                "output_item.added 2",
                "function_call_arguments.delta 1",
                "function_call_arguments.delta 2",
                "function_call_arguments.done 1",
                "output_item.done 1",
                "function_call_arguments.done 2",
                "output_item.done 2",
            ],
            &[
                "message completed",
                "function_call completed",
                "function_call completed",
            ],
        ),
        (
            vec![call(0, Some("f"), "{\"a\"")],
            FinishReason::Length,
            &[
                "output_item.added 0",
                "function_call_arguments.delta 0",
                "function_call_arguments.done 0",
                "output_item.done 0",
            ],
            &["function_call incomplete"],
        ),
    ] {
        let mut turn = turn(None);
        let (events, next) = round(&mut turn, pieces, finish);
        assert_eq!(kinds(&events), wanted);
        assert!(next.searches.is_empty() && matches!(next.then, Then::End(_)));
        assert!(turn.end().is_empty());
        assert_eq!(items(turn), made);
    }
}

#[test]
fn deltas_add_up_to_what_is_whole() {
    let mut turn = turn(None);
    let pieces = vec![
        thought("a"),
        thought("b"),
        text("c"),
        text("d"),
        call(0, None, "{\"x\""),
        call(0, Some("f"), ":"),
        call(0, None, "1}"),
    ];
    let (events, _) = round(&mut turn, pieces, FinishReason::ToolCalls);
    for (delta, done, field, whole) in [
        ("reasoning_text.delta", "reasoning_text.done", "text", "ab"),
        ("output_text.delta", "output_text.done", "text", "cd"),
        (
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "arguments",
            "{\"x\":1}",
        ),
    ] {
        let of = |kind: &str| {
            let kind = format!("response.{kind}");
            events.iter().filter(move |event| event.kind == kind)
        };
        let deltas = of(delta).filter_map(|event| event.body["delta"].as_str());
        assert_eq!(deltas.collect::<String>(), whole);
        let ends: Vec<&Value> = of(done).map(|event| &event.body[field]).collect();
        assert_eq!(ends, [whole]);
    }
    let done = events.last().unwrap();
    assert_eq!(done.body["item"]["call_id"], "call_0");
    assert_eq!(done.body["item"]["arguments"], "{\"x\":1}");
}

#[test]
fn thoughts_are_a_summary_where_one_is_asked_for() {
    let manner = Manner {
        summary: true,
        ..Manner::default()
    };
    let mut turn = Turn::new(manner, Vec::new());
    let (events, _) = round(&mut turn, vec![thought("Hm.")], FinishReason::Stop);
    assert_eq!(
        kinds(&events),
        [
            "output_item.added 0",
            "reasoning_summary_part.added 0",
            "reasoning_summary_text.delta 0",
            "reasoning_summary_text.done 0",
            "reasoning_summary_part.done 0",
            "output_item.done 0",
        ]
    );
    let item = &events.last().unwrap().body["item"];
    assert_eq!(item["summary"][0]["text"], "Hm.");
    assert_eq!(item.get("content"), None);
    // An answer of nothing but thoughts is an empty message.
    assert_eq!(kinds(&turn.end()).len(), 5);
    assert_eq!(items(turn), ["reasoning completed", "message completed"]);
}

#[test]
fn a_search_is_made_and_the_answer_cites_what_it_found() {
    let mut turn = turn(Some(2));
    let wish = call(0, Some(search::TOOL), "{\"queries\": [\"otters\"]}");
    let (events, next) = round(&mut turn, vec![wish], FinishReason::ToolCalls);
    assert_eq!(
        kinds(&events),
        ["output_item.added 0", "file_search_call.in_progress 0"]
    );
    let [wanted] = &next.searches[..] else {
        panic!("{next:?}");
    };
    assert_eq!((wanted.place, wanted.call.id.as_str()), (Some(0), "call_0"));
    let Then::Ask(said) = next.then else {
        panic!("the model is to be asked again");
    };
    assert_eq!(said.tool_calls, std::slice::from_ref(&wanted.call));
    assert_eq!(turn.next_mark(), 1);
    let mut events = turn.searching(0);
    events.extend(turn.searched(
        0,
        vec!["otters".to_owned()],
        Some(vec![found("lynx"), found("otter")]),
    ));
    assert_eq!(
        kinds(&events),
        [
            "file_search_call.searching 0",
            "file_search_call.completed 0",
            "output_item.done 0",
        ]
    );
    let item = &events.last().unwrap().body["item"];
    assert_eq!(
        (&item["queries"], &item["results"]),
        (&json!(["otters"]), &Value::Null)
    );
    assert_eq!(turn.next_mark(), 3);
    let pieces = vec![text("They eat "), text("fish [2].")];
    let (events, next) = round(&mut turn, pieces, FinishReason::Stop);
    assert_eq!(
        kinds(&events)[4..],
        [
            "output_text.annotation.added 1",
            "output_text.done 1",
            "content_part.done 1",
            "output_item.done 1",
        ]
    );
    let part = &events[6].body["part"];
    assert_eq!(
        part["annotations"],
        json!([{ "type": "file_citation", "file_id": "file-otter", "filename": "otter.md", "index": 14 }])
    );
    assert_eq!(next.then, Then::End(End::Whole));
    assert_eq!(
        items(turn),
        ["file_search_call completed", "message completed"]
    );
}

#[test]
fn searches_end_where_the_client_is_needed_and_at_their_number() {
    let search = |index| call(index, Some(search::TOOL), "{}");
    let client = |index| call(index, Some("f"), "{}");
    for (pieces, finish, most, made, asks, output) in [
        (
            vec![search(0), client(1)],
            FinishReason::ToolCalls,
            9,
            1,
            false,
            &["file_search_call incomplete", "function_call completed"][..],
        ),
        (
            vec![search(0), search(1)],
            FinishReason::ToolCalls,
            1,
            1,
            true,
            &["file_search_call incomplete"],
        ),
        (vec![search(0)], FinishReason::ToolCalls, 0, 0, true, &[]),
        (
            vec![search(0)],
            FinishReason::Length,
            9,
            0,
            false,
            &["file_search_call incomplete"],
        ),
    ] {
        let mut turn = turn(Some(most));
        let (_, next) = round(&mut turn, pieces, finish);
        let places = next.searches.iter().filter(|one| one.place.is_some());
        assert_eq!(places.count(), made);
        assert_eq!(matches!(next.then, Then::Ask(_)), asks, "{next:?}");
        assert_eq!(items(turn), output);
    }
    // Where the tool is not offered, its name is that of a function of the client's.
    let mut turn = turn(None);
    round(&mut turn, vec![search(0)], FinishReason::ToolCalls);
    assert_eq!(items(turn), ["function_call completed"]);
}

#[test]
fn a_search_in_vain_is_told_and_no_search_follows_where_none_may() {
    let mut turn = turn(Some(5));
    let wish = || call(0, Some(search::TOOL), "{}");
    round(&mut turn, vec![wish()], FinishReason::ToolCalls);
    let events = turn.searched(0, Vec::new(), None);
    assert_eq!(kinds(&events), ["output_item.done 0"]);
    turn.stop_searching();
    let (events, next) = round(&mut turn, vec![wish()], FinishReason::ToolCalls);
    assert!(events.is_empty() && next.searches[0].place.is_none());
    assert_eq!(turn.end().len(), 5);
    assert_eq!(
        items(turn),
        ["file_search_call failed", "message completed"]
    );
}

#[test]
fn the_final_text_of_a_function_is_that_with_its_citations() {
    let passage = Passage {
        chunk: ChunkId::from_string("c"),
        document: DocumentId::from_string("d"),
        title: "Otters".to_owned(),
        uri: "otter.md".to_owned(),
        headings: Vec::new(),
        page: None,
        start: 3,
        end: 9,
        text: "fish".to_owned(),
        score: 1.0,
        relevance: 0.9,
    };
    let manner = Manner {
        origin: "http://here".to_owned(),
        ..Manner::default()
    };
    let mut turn = Turn::new(manner, Vec::new());
    let cited = Piece::Cited {
        text: "鱼 [1]".to_owned(),
        citations: vec![Citation { number: 1, passage }],
    };
    let pieces = vec![
        text("鱼 [1] [7]"),
        cited,
        Piece::Concluded {
            confidence: Some(0.5),
        },
    ];
    let (events, _) = round(&mut turn, pieces, FinishReason::Stop);
    assert!(kinds(&events).contains(&"output_text.annotation.added 0".to_owned()));
    let (output, praxis) = turn.into_parts();
    let Item::Message(said) = &output[0] else {
        panic!("{output:?}");
    };
    assert_eq!(
        said.content,
        [Content::OutputText(OutputText {
            text: "鱼 [1]".to_owned(),
            annotations: vec![Annotation::UrlCitation {
                url: "http://here/documents/d?start=3&end=9#passage".to_owned(),
                title: "Otters".to_owned(),
                start_index: 2,
                end_index: 5,
            }],
            logprobs: Vec::new(),
        })]
    );
    assert_eq!(
        (said.role, &praxis["confidence"]),
        (Speaker::Assistant, &json!(0.5))
    );
    assert_eq!(praxis["citations"][0]["title"], "Otters");
}

#[test]
fn what_was_begun_when_it_broke_off_is_incomplete() {
    let mut turn = turn(Some(3));
    turn.push(text("Once"));
    turn.push(call(0, Some("f"), "{"));
    turn.push(call(1, Some(search::TOOL), "{"));
    assert_eq!(
        items(turn),
        [
            "message completed",
            "function_call incomplete",
            "file_search_call incomplete",
        ]
    );
}

#[test]
fn log_probabilities_come_with_their_text() {
    let mut turn = turn(None);
    let token = praxis_core::TokenLogprob {
        token: "Hi".to_owned(),
        logprob: -0.5,
        bytes: Some(vec![72, 105]),
        top_logprobs: Vec::new(),
    };
    let piece = Piece::Text {
        text: "Hi".to_owned(),
        logprobs: vec![token],
    };
    let (events, _) = round(&mut turn, vec![piece], FinishReason::Stop);
    let told = json!([{ "token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": [] }]);
    assert_eq!(events[2].body["logprobs"], told);
    assert_eq!(events[3].body["logprobs"], told);
    assert_eq!(events[4].body["part"]["logprobs"], told);
}
