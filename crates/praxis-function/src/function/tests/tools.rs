//! Functions whose model calls others meanwhile, and what prompts read beside their input.

use praxis_core::{Caller, ToolChoice};

use super::*;

const DOUBLE: (&str, &str) = (
    "desk/double",
    "---\ndescription: Doubles a number.\ninput:\n  schema:\n    n: integer\n---\ndouble {{n}}",
);

fn with_tools(more: &str) -> String {
    prompt(&format!("tools: [desk/double]\n{more}"))
}

/// A model that has 4 doubled and says what came of it.
fn doubling(request: &ChatRequest, _: usize) -> Result<String, ModelError> {
    let last = request.messages.last().unwrap();
    Ok(match (last.role, last.text().as_ref()) {
        (_, "double 4") => "8".into(),
        (Role::Tool, text) => format!("It is {text}."),
        _ => "Let me see.\n@desk_double {\"n\": 4}".into(),
    })
}

#[tokio::test]
async fn a_model_calls_a_function_and_answers_with_what_it_gave() {
    let called = call(
        &[("f", &with_tools("")), DOUBLE],
        json!({"q": "4?"}),
        doubling,
    )
    .await;
    // What readers have seen is part of the answer.
    assert_eq!(called.output.as_ref().unwrap(), "Let me see.\n\nIt is 8.");
    assert_eq!(called.text, "Let me see.\n\nIt is 8.");
    assert_eq!(called.asked.len(), 3);
    let tool = &called.asked[0].tools[0];
    assert_eq!(
        (&*tool.name, &*tool.description),
        ("desk_double", "Doubles a number.")
    );
    assert_eq!(tool.parameters["required"], json!(["n"]));
    assert!(called.asked[1].tools.is_empty(), "the tool has none");
    let [.., wants, result] = &called.asked[2].messages[..] else {
        panic!("{:?}", called.asked[2]);
    };
    assert_eq!(
        (wants.role, &*wants.text()),
        (Role::Assistant, "Let me see.")
    );
    assert_eq!(wants.tool_calls[0].arguments, "{\"n\": 4}");
    assert_eq!((result.role, &*result.text()), (Role::Tool, "8"));
    assert_eq!(
        result.tool_call_id.as_deref(),
        Some(&*wants.tool_calls[0].id)
    );
    let span = called
        .spans
        .iter()
        .find(|s| s.kind == SpanKind::Tool)
        .unwrap();
    assert_eq!((&*span.name, &span.output), ("desk_double", &json!("8")));
    let inner = called
        .spans
        .iter()
        .find(|s| s.name == "desk/double")
        .unwrap();
    assert_eq!(inner.parent_id.as_ref(), Some(&span.span_id));
}

#[tokio::test]
async fn what_nobody_is_shown_of_a_call_is_in_no_trace() {
    let login = "---\ninput:\n  schema:\n    user: string\n    password: string\n---\n\
                 log in {{user}} with {{password}}";
    let asks = prompt("tools: [desk/login]\n");
    let called = call(
        &[("f", &asks), ("desk/login", login)],
        json!({"q": "Log in"}),
        |request, _| {
            let last = request.messages.last().unwrap();
            Ok(match (last.role, last.text().as_ref()) {
                (_, "log in li with open-sesame") => "{\"token\": \"t-4711\"}".into(),
                (Role::Tool, text) => format!("open-sesame gave {text}"),
                _ => "@desk_login {\"user\": \"li\", \"password\": \"open-sesame\"}".into(),
            })
        },
    )
    .await;
    // Models and readers have what there is.
    let output = called.output.unwrap();
    assert_eq!(output, "open-sesame gave {\"token\": \"t-4711\"}");
    let tool = called.spans.iter().find(|s| s.kind == SpanKind::Tool);
    assert_eq!(
        tool.unwrap().input["arguments"],
        json!(r#"{"user":"li","password":"***"}"#)
    );
    let inner = called.spans.iter().find(|s| s.name == "desk/login");
    let input = json!({ "user": "li", "password": "***" });
    assert_eq!(inner.unwrap().input["input"], input);
    let spans = json!(called.spans).to_string();
    for secret in ["open-sesame", "t-4711"] {
        assert!(!spans.contains(secret), "{spans}");
    }
}

#[tokio::test]
async fn what_goes_wrong_with_a_call_is_told_to_the_model() {
    let called = call(
        &[("f", &with_tools("")), DOUBLE],
        json!({"q": "4?"}),
        |request, number| {
            Ok(match number {
                0 => "@desk_double {\"n\": \"four\"}\n@halve {}\n@desk_double {".into(),
                _ => {
                    let results = request.messages.iter().filter(|m| m.role == Role::Tool);
                    results.map(|m| format!("{}\n", m.text())).collect()
                }
            })
        },
    )
    .await;
    let output = called.output.unwrap();
    let told: Vec<&str> = output.as_str().unwrap().lines().collect();
    assert!(
        told[0].contains("error: input of `desk/double` at `/n`"),
        "{told:?}"
    );
    assert!(
        told[1].contains("there is no tool `halve`; there are: desk_double"),
        "{told:?}"
    );
    assert!(told[2].contains("are no JSON"), "{told:?}");
}

#[tokio::test]
async fn after_the_last_round_the_model_has_to_answer() {
    let prompts = [("f", &*with_tools("maxTurns: 2\n")), DOUBLE];
    let called = call(&prompts, json!({"q": "4?"}), |request, _| {
        Ok(match (last(request).as_str(), &request.tool_choice) {
            ("double 4", _) => "8".into(),
            (_, ToolChoice::None) => "Enough.".into(),
            _ => "@desk_double {\"n\": 4}".into(),
        })
    })
    .await;
    assert_eq!(called.output.unwrap(), "Enough.");
    // Two rounds with a call of the tool each, and the answer.
    assert_eq!(called.asked.len(), 5);
    assert!(called.spans.iter().any(|s| s.name == "no_more_tools"));
}

#[tokio::test]
async fn a_model_can_be_made_to_call_before_it_answers() {
    let first = with_tools("praxis.tool_choice: required\n");
    let called = call(
        &[("f", &first), DOUBLE],
        json!({"q": "4?"}),
        |request, number| {
            assert_eq!(request.tool_choice == ToolChoice::Required, number == 0);
            doubling(request, number)
        },
    )
    .await;
    assert_eq!(called.output.unwrap(), "Let me see.\n\nIt is 8.");
}

#[tokio::test]
async fn a_model_can_be_kept_to_one_call_a_turn() {
    for (key, told) in [
        ("praxis.parallel_tool_calls: false\n", Some(false)),
        ("praxis.parallel_tool_calls: true\n", None),
        ("", None),
    ] {
        let prompt = with_tools(key);
        let called = call(
            &[("f", &prompt), DOUBLE],
            json!({"q": "4?"}),
            move |request, number| {
                let told = if request.tools.is_empty() { None } else { told };
                assert_eq!(request.parallel_tool_calls, told, "{key}");
                doubling(request, number)
            },
        )
        .await;
        assert_eq!(called.output.unwrap(), "Let me see.\n\nIt is 8.");
    }
}

#[tokio::test]
async fn a_function_that_calls_itself_comes_to_an_end() {
    let itself = prompt("tools: [f]\n");
    let called = call(&[("f", &itself)], json!({"q": "?"}), |request, _| {
        Ok(match request.messages.last().unwrap().role {
            Role::Tool => last(request),
            _ => "@f {\"q\": \"?\"}".into(),
        })
    })
    .await;
    let output = called.output.unwrap();
    assert!(
        output.as_str().unwrap().contains("more than 16 deep"),
        "{output}"
    );
}

#[tokio::test]
async fn a_structured_output_is_what_comes_after_the_calls() {
    let prompts = [("f", &*with_tools(CITY)), DOUBLE];
    let called = call(&prompts, json!({"q": "Bern"}), |request, number| {
        Ok(match (number, last(request).as_str()) {
            (0, _) => "I need a number.\n@desk_double {\"n\": 4}".into(),
            (_, "double 4") => "8".into(),
            // The first answer breaks its promise; the repair still knows what the tool gave.
            (2, _) => r#"{"name": "Bern"}"#.into(),
            _ => {
                assert!(request.messages.iter().any(|m| m.role == Role::Tool));
                r#"{"name": "Bern", "people": 8}"#.into()
            }
        })
    })
    .await;
    assert_eq!(called.output.unwrap(), json!({"name": "Bern", "people": 8}));
    assert_eq!(called.asked.len(), 4);
}

#[tokio::test]
async fn prompts_read_the_state_of_the_call() {
    let spans = Arc::new(Spans::default());
    let chat = Arc::new(Scripted {
        script: Box::new(|request, _| Ok(last(request))),
        asked: Mutex::default(),
    });
    let deps = Deps {
        chat,
        retriever: Arc::new(NoDocuments),
        embedder: Arc::new(Words),
        functions: Functions::default(),
        moderator: Arc::default(),
    };
    let sources = [(
        "f.prompt".to_owned(),
        "For {{@state.user}} of {{@auth.name}}: {{@state.list.1}}".to_owned(),
    )];
    let library = Library::from_sources(&sources.into(), "prompts", &Known::default(), &deps);
    let cx = CallContext::new(spans.clone())
        .with_data("state", json!({"user": "Ann", "list": [1, 2]}))
        .with_data("auth", json!({"name": "root"}))
        .with_caller(Caller {
            name: Some("desk".to_owned()),
            ..Caller::default()
        });
    let function = library.unwrap().get("f").unwrap();
    assert_eq!(
        function.call(json!({}), &cx).await.unwrap(),
        "For Ann of desk: 2"
    );
    let spans = spans.0.lock().unwrap();
    let span = spans.iter().find(|s| s.kind == SpanKind::Function).unwrap();
    assert_eq!(span.input["context"]["state"]["user"], "Ann");
}

#[tokio::test]
async fn a_schema_is_called_by_its_name() {
    let city = ("City.schema.yaml", "name: string\npeople: integer");
    let named = prompt("output:\n  schema: City\n");
    let called = call(&[("f", &named), city], json!({"q": "Bern"}), |_, _| {
        Ok(r#"{"name": "Bern", "people": 140000}"#.into())
    })
    .await;
    let written = call(&[("f", &prompt(CITY))], json!({"q": "Bern"}), |_, _| {
        Ok(r#"{"name": "Bern", "people": 140000}"#.into())
    })
    .await;
    assert_eq!(called.output.unwrap(), written.output.unwrap());
    assert_eq!(called.asked[0].constraint, written.asked[0].constraint);
}
