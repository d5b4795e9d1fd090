//! Which requests are the same.

use std::collections::BTreeSet;

use praxis_core::chat::{CacheRetention, Extras, Layout, ReasoningEffort, ServiceTier, Verbosity};
use praxis_core::message::ImageDetail;
use praxis_core::{Clearance, Constraint, Part, Priority, Role, ToolChoice, ToolSpec};
use serde_json::json;

use super::*;

fn holder(name: Option<&str>, labels: &[&str]) -> Caller {
    Caller {
        name: name.map(str::to_owned),
        clearance: Clearance::of(labels.iter().copied()),
    }
}

fn tool(name: &str, parameters: serde_json::Value) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: String::new(),
        parameters,
    }
}

fn wanted(id: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: "get".to_owned(),
        arguments: "{}".to_owned(),
    }
}

fn key(request: &ChatRequest) -> Key {
    key::of(&ASKED, request, &Caller::full()).unwrap()
}

#[test]
fn whatever_changes_an_answer_makes_another_request() {
    let changes: &[fn(&mut ChatRequest)] = &[
        |r| r.messages.push(Message::user("Why?")),
        |r| r.messages.swap(0, 1),
        |r| r.messages[1] = Message::user("Why not?"),
        |r| r.messages[1].role = Role::Assistant,
        |r| {
            r.messages = vec![Message::system("Be short.W"), Message::user("hy?")];
        },
        |r| r.messages[1].content.push(Part::Text(String::new())),
        |r| {
            r.messages[1] = Message::of_parts(
                Role::User,
                vec![Part::Text("Wh".to_owned()), Part::Text("y?".to_owned())],
            );
        },
        |r| {
            r.messages[1]
                .content
                .push(Part::image("data:image/png;base64,AA=="));
        },
        |r| {
            r.messages[1]
                .content
                .push(Part::image("data:image/png;base64,AB=="));
        },
        |r| {
            r.messages[1].content.push(Part::Media {
                url: "data:image/png;base64,AA==".to_owned(),
                content_type: None,
                detail: None,
            });
        },
        |r| {
            let image = Part::image("data:image/png;base64,AA==");
            let low = image.detailed(Some(ImageDetail::Low));
            r.messages[1].content.push(low);
        },
        |r| r.messages[1].name = Some("ann".to_owned()),
        |r| r.messages[1].tool_calls.push(wanted("a")),
        |r| r.messages[1].tool_calls.push(wanted("b")),
        |r| r.messages[1].tool_call_id = Some("a".to_owned()),
        |r| r.layout = Layout::Raw,
        |r| {
            r.layout = Layout::Infill {
                suffix: String::new(),
            };
        },
        |r| {
            r.layout = Layout::Infill {
                suffix: "a".to_owned(),
            };
        },
        |r| r.sampling.seed = None,
        |r| r.sampling.seed = Some(8),
        |r| r.sampling.temperature = Some(0.0),
        |r| r.sampling.temperature = Some(f32::NAN),
        |r| r.sampling.temperature = Some(f32::INFINITY),
        |r| r.sampling.top_p = Some(0.0),
        |r| r.sampling.min_p = Some(0.0),
        |r| r.sampling.repetition_penalty = Some(0.0),
        |r| r.sampling.frequency_penalty = Some(0.0),
        |r| r.sampling.presence_penalty = Some(0.0),
        |r| r.sampling.top_k = Some(7),
        |r| r.sampling.max_tokens = Some(7),
        |r| r.sampling.stop = vec!["ab".to_owned()],
        |r| r.sampling.stop = vec!["a".to_owned(), "b".to_owned()],
        |r| r.sampling.logit_bias = [(5, 1.0)].into(),
        |r| r.sampling.logit_bias = [(5, -1.0)].into(),
        |r| r.sampling.logit_bias = [(6, 1.0)].into(),
        |r| r.top_logprobs = Some(0),
        |r| r.top_logprobs = Some(1),
        |r| r.constraint = Some(Constraint::JsonSchema(json!({}))),
        |r| r.constraint = Some(Constraint::JsonObject),
        |r| r.constraint = Some(Constraint::Regex("a".into())),
        |r| r.constraint = Some(Constraint::Grammar("a".into())),
        |r| r.constraint = Some(Constraint::Choice(vec!["a".into()])),
        |r| r.tools = vec![tool("get", json!({ "a": 1, "b": 2 }))],
        |r| r.tools = vec![tool("get", json!({ "b": 2, "a": 1 }))],
        |r| r.tools = vec![tool("got", json!({ "a": 1, "b": 2 }))],
        |r| r.tool_choice = ToolChoice::None,
        |r| r.tool_choice = ToolChoice::Required,
        |r| r.tool_choice = ToolChoice::Named("get".into()),
        |r| r.parallel_tool_calls = Some(true),
        |r| r.parallel_tool_calls = Some(false),
        |r| r.reasoning_effort = Some(ReasoningEffort::None),
        |r| r.reasoning_effort = Some(ReasoningEffort::High),
        |r| r.extras.verbosity = Some(Verbosity::Low),
        |r| r.extras.form.name = Some("a".to_owned()),
        |r| r.extras.form.description = Some("a".to_owned()),
        |r| r.extras.form.strict = Some(true),
        |r| r.extras.form.strict = Some(false),
        |r| r.extras.strict_tools = vec!["get".to_owned()],
    ];
    let mut keys = BTreeSet::from([key(&request())]);
    for (i, change) in changes.iter().enumerate() {
        let mut changed = request();
        change(&mut changed);
        assert_eq!(key(&changed), key(&changed.clone()));
        assert!(keys.insert(key(&changed)), "change {i}: {changed:?}");
    }
    for asked in [
        Asked {
            name: "other",
            ..ASKED
        },
        Asked {
            provider: "vllm",
            ..ASKED
        },
        Asked {
            model: "other",
            ..ASKED
        },
        Asked {
            base_url: "https://example.org/v1",
            ..ASKED
        },
        Asked {
            reasoning_effort: Some(ReasoningEffort::Low),
            ..ASKED
        },
    ] {
        let key = key::of(&asked, &request(), &Caller::full()).unwrap();
        assert!(keys.insert(key), "{asked:?}");
    }
}

#[test]
fn who_is_served_when_and_where_changes_no_answer() {
    for changed in [
        ChatRequest {
            model: "a route".to_owned(),
            ..request()
        },
        ChatRequest {
            priority: Priority::Batch,
            ..request()
        },
        ChatRequest {
            caller: Some("ann".to_owned()),
            ..request()
        },
        ChatRequest {
            cache_key: Some("k".to_owned()),
            ..request()
        },
        ChatRequest {
            timeout: Some(Duration::from_secs(1)),
            ..request()
        },
        ChatRequest {
            extras: Extras {
                service_tier: Some(ServiceTier::Flex),
                cache_retention: Some(CacheRetention::Day),
                cache_ttl: Some("30m".to_owned()),
                ..Extras::default()
            },
            ..request()
        },
    ] {
        assert_eq!(key(&changed), key(&request()));
    }
    // What a model does unasked is the same as asking for it.
    let low = Some(ReasoningEffort::Low);
    let asked = Asked {
        reasoning_effort: low,
        ..ASKED
    };
    let said = ChatRequest {
        reasoning_effort: low,
        ..request()
    };
    let full = Caller::full();
    assert_eq!(
        key::of(&asked, &request(), &full),
        key::of(&asked, &said, &full)
    );
}

#[test]
fn answers_are_shared_where_all_may_be_read_and_within_a_key() {
    let of = |caller: &Caller| key::of(&ASKED, &request(), caller);
    let named = Caller {
        name: Some("root".to_owned()),
        ..Caller::full()
    };
    assert!(of(&named).is_some());
    assert_eq!(of(&named), of(&Caller::full()));
    let hr = of(&holder(Some("hr"), &["hr"]));
    assert_eq!(hr, of(&holder(Some("hr"), &["hr"])));
    for other in [
        Caller::full(),
        holder(Some("board"), &["hr"]),
        holder(Some("hr"), &[]),
        holder(Some("hr"), &["hr", "board"]),
    ] {
        assert!(hr.is_some() && of(&other).is_some());
        assert_ne!(hr, of(&other), "{other:?}");
    }
    // Nobody knows who that is.
    for nobody in [
        Caller::default(),
        holder(None, &["hr"]),
        holder(Some(""), &[]),
    ] {
        assert_eq!(of(&nobody), None);
    }
}
