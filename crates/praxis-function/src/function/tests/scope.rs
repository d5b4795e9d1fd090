//! Functions that are bound to a scene: what is let in, and what a caller gets whose question is not.

use super::*;

const SCENE: &str =
    "praxis.scope:\n  role: You are the cat desk.\n  topics: [cats, cat food]\n  not: [dogs]\n";

/// A model whose gate lets in what is about cats, and that answers `meow`.
fn cats(request: &ChatRequest, _: usize) -> Result<String, ModelError> {
    Ok(match is_gate(request) {
        true if last(request).contains("cat") || last(request).contains("猫") => "1".into(),
        true => "0".into(),
        false => "meow".into(),
    })
}

fn is_gate(request: &ChatRequest) -> bool {
    request.messages[0].text().contains("Sort each message")
}

fn step(called: &Called) -> &Span {
    let mut steps = called.spans.iter().filter(|s| s.name == "scope");
    let step = steps.next().unwrap();
    assert_eq!((step.kind, steps.next().is_none()), (SpanKind::Step, true));
    step
}

#[tokio::test]
async fn the_gate_is_asked_first_and_held_to_its_choices() {
    let called = call(&[("f", &prompt(SCENE))], json!({"q": "my cat?"}), cats).await;
    assert_eq!(called.output.as_ref().unwrap(), "meow");
    assert_eq!((called.text.as_str(), called.asked.len()), ("meow", 2));
    let gate = &called.asked[0];
    assert_eq!(gate.sampling.temperature, Some(0.0));
    let choices = ["0", "1", "2", "3"].map(str::to_owned).to_vec();
    assert_eq!(gate.constraint, Some(Constraint::Choice(choices)));
    let step = step(&called);
    assert_eq!(step.input, json!({"question": "my cat?", "by": "model"}));
    assert_eq!(step.output, json!({"inside": true, "why": "about cats"}));
}

#[tokio::test]
async fn a_refusal_is_in_the_questions_language_and_in_the_place_of_the_output() {
    let knowledge = format!("{SCENE}praxis.knowledge: docs\n");
    let object = |text: &str| json!({"answer": text, "citations": [], "refused": true});
    let english = "Sorry, this question is outside of what I can help with.";
    let chinese = "抱歉，这个问题不在我能帮助的范围内。";
    let own = format!("{SCENE}praxis.refusal: {{en: Only cats.}}\n");
    for (front, question, text, output) in [
        (SCENE, "Who won?", english, json!(english)),
        (SCENE, "谁赢了？", chinese, json!(chinese)),
        (&own, "Who won?", "Only cats.", json!("Only cats.")),
        (&own, "谁赢了？", chinese, json!(chinese)),
        (&knowledge, "Who won?", english, object(english)),
        (&knowledge, "谁赢了？", chinese, object(chinese)),
    ] {
        let called = call(&[("f", &prompt(front))], json!({"q": question}), cats).await;
        assert_eq!(
            called.output.as_ref().unwrap(),
            &output,
            "{front} {question}"
        );
        assert_eq!((called.text.as_str(), called.asked.len()), (text, 1));
        assert_eq!(step(&called).output["inside"], false);
    }
}

#[tokio::test]
async fn an_output_that_cannot_hold_a_refusal_is_an_error_with_its_words() {
    let choice = "praxis.constraint: {choice: [a, b]}\n";
    for (front, question, words) in [
        (CITY, "Who won?", "Sorry, this question"),
        (CITY, "谁赢了？", "抱歉"),
        (choice, "Who won?", "Sorry, this question"),
    ] {
        let front = format!("{front}{SCENE}");
        let called = call(&[("f", &prompt(&front))], json!({"q": question}), cats).await;
        let error = called.output.unwrap_err();
        assert_eq!(error.code, ErrorCode::OutOfScope);
        assert!(error.message.starts_with("`f` declines: "), "{error}");
        let refusal = error.details.unwrap()["refusal"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(refusal.starts_with(words), "{refusal}");
        // A reader of the stream has seen it.
        assert_eq!((called.text, called.asked.len()), (refusal, 1));
    }
}

#[tokio::test]
async fn a_gate_that_cannot_be_held_is_read_by_its_first_number() {
    for (question, output) in [
        ("my cat?", "meow"),
        (
            "Who won?",
            "Sorry, this question is outside of what I can help with.",
        ),
    ] {
        let script = |request: &ChatRequest, n| match request.constraint {
            Some(_) => Err(ModelError::InvalidRequest("no constraints here".into())),
            None if is_gate(request) => Ok(format!("It is {}.", cats(request, n)?)),
            None => cats(request, n),
        };
        let called = call(&[("f", &prompt(SCENE))], json!({"q": question}), script).await;
        assert_eq!(called.output.unwrap(), output);
        assert_eq!(called.asked.len(), if output == "meow" { 3 } else { 2 });
    }
}

#[tokio::test]
async fn a_gate_that_fails_lets_nothing_in() {
    let script = |_: &ChatRequest, _| Err(ModelError::Unavailable("down".into()));
    let called = call(&[("f", &prompt(SCENE))], json!({"q": "my cat?"}), script).await;
    assert_eq!(
        called.output.as_ref().unwrap_err().code,
        ErrorCode::Upstream
    );
    assert_eq!((called.text.as_str(), called.asked.len()), ("", 1));
    let failed = &step(&called).status;
    assert!(matches!(failed, SpanStatus::Error(_)), "{failed:?}");
}

#[tokio::test]
async fn similarity_asks_no_model() {
    let front = format!("{SCENE}  by: embedding\n");
    for (question, asked) in [("my cat?", 1), ("my dog?", 0)] {
        let called = call(&[("f", &prompt(&front))], json!({"q": question}), cats).await;
        assert_eq!(called.asked.len(), asked, "{question}");
        assert_eq!(step(&called).input["by"], "embedding");
        assert_eq!(step(&called).output["inside"], asked == 1);
    }
}

#[tokio::test]
async fn the_role_is_the_system_message_of_a_template_without_one() {
    let bare = format!("---\ninput:\n  schema:\n    q: string\n{SCENE}---\n{{{{q}}}}");
    for (text, system) in [(prompt(SCENE), "S"), (bare, "You are the cat desk.")] {
        let called = call(&[("f", &text)], json!({"q": "my cat?"}), cats).await;
        let messages = &called.asked[1].messages;
        let systems: Vec<_> = messages.iter().filter(|m| m.role == Role::System).collect();
        assert_eq!((systems.len(), &*messages[0].text()), (1, system));
    }
}
