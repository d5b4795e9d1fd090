//! Prompts that name many tools by a pattern, of which a turn is given some.

use super::*;

const TOOLS: [(&str, &str); 4] = [
    ("desk/double", "---\ndescription: Doubles.\n---\nx"),
    ("desk/halve", "---\ndescription: Halves.\n---\nx"),
    ("desk/inner/square", "---\ndescription: Squares.\n---\nx"),
    ("other", "---\ndescription: Does something else.\n---\nx"),
];

async fn asked(front: &str) -> Called {
    let f = prompt(front);
    let mut prompts = vec![("f", f.as_str())];
    prompts.extend(TOOLS);
    call(&prompts, json!({"q": "4?"}), |request, number| {
        Ok(match number {
            0 if !request.tools.is_empty() => "@desk_halve {}".into(),
            _ => last(request),
        })
    })
    .await
}

fn given(called: &Called) -> Vec<&str> {
    called.asked[0]
        .tools
        .iter()
        .map(|tool| tool.name.as_str())
        .collect()
}

#[tokio::test]
async fn a_pattern_stands_for_all_functions_that_begin_so() {
    let called = asked("tools: [desk/*]\n").await;
    assert_eq!(
        given(&called),
        ["desk_double", "desk_halve", "desk_inner_square"]
    );
    // Nothing was left out, so nothing is said of it.
    assert!(!called.spans.iter().any(|span| span.name == "tools"));
}

#[tokio::test]
async fn a_turn_is_given_as_many_as_the_prompt_says_and_the_trace_says_what_was_left_out() {
    let called =
        asked("tools: [desk/*, other]\npraxis.tools:\n  select: 2\n  always: [other]\n").await;
    // Nobody chooses here, so the first of the others is taken.
    assert_eq!(given(&called), ["desk_double", "other"]);
    let span = called
        .spans
        .iter()
        .find(|span| span.name == "tools")
        .unwrap();
    assert_eq!(span.output["given"], json!(["desk_double", "other"]));
    assert_eq!(span.output["of"], 4);
    let tokens = |key: &str| span.output[key].as_u64().unwrap();
    assert!(tokens("tokens") > 0 && tokens("left_out_tokens") > 0);
    // What was left out is not there for the model.
    let output = called.output.unwrap();
    let said = output.as_str().unwrap();
    assert!(
        said.contains("there is no tool `desk_halve`; there are: desk_double, other"),
        "{said}"
    );
}

#[test]
fn patterns_and_numbers_that_mean_nothing_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("prompts");
    std::fs::create_dir(&folder).unwrap();
    for (front, said) in [
        ("tools: [nothing/*]\n", "no function begins with `nothing/`"),
        ("tools: [\"*\"]\n", "a `*` stands at the end"),
        (
            "tools: [files/read]\npraxis.tools: {select: 0}\n",
            "`select` must be between 1 and 128",
        ),
        (
            "tools: [files/read]\npraxis.tools: {selct: 3}\n",
            "unknown field `selct`",
        ),
        ("praxis.tools: {select: 3}\n", "`tools` is missing"),
    ] {
        std::fs::write(folder.join("f.prompt"), prompt(front)).unwrap();
        let known = Known {
            functions: vec!["files/".to_owned()],
            ..Known::default()
        };
        let found = crate::library::check(&folder, &known);
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(text.concat().contains(said), "{front}: {text:?}");
    }
}
