//! Techniques as tables: what is asked, what came back, what is concluded.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn machine(declared: Value) -> Machine {
    Technique::parse(&declared).unwrap().machine(false)
}

/// Runs a machine: `reply` answers each question, told its place in the order of asking; questions are
/// answered in turn. Gives the end and the steps that were asked.
fn run(
    mut machine: Machine,
    mut reply: impl FnMut(&Ask, usize) -> Option<Answer>,
) -> (Option<Conclusion>, Vec<String>) {
    let mut waiting: std::collections::VecDeque<Command> = machine.start().into();
    let mut cancelled = Vec::new();
    let mut asked = Vec::new();
    loop {
        // A machine that waits for nothing has ended.
        let command = waiting.pop_front().expect("an end");
        // Machines live as rows: what they are must survive being stored.
        let stored = serde_json::to_string(&machine).unwrap();
        machine = serde_json::from_str(&stored).unwrap();
        let event = match command {
            Command::Done(conclusion) => return (Some(conclusion), asked),
            Command::GiveUp => return (None, asked),
            Command::Cancel(id) => {
                cancelled.push(id);
                continue;
            }
            Command::Ask { id, .. } if cancelled.contains(&id) => continue,
            Command::Ask { id, ask } => {
                asked.push(ask.step.clone());
                match reply(&ask, asked.len() - 1) {
                    Some(answer) => Event::Answered { id, answer },
                    None => Event::Failed { id },
                }
            }
            Command::Embed { id, texts } => Event::Embedded {
                id,
                vectors: texts.iter().map(|t| vec![t.len() as f32, 1.0]).collect(),
            },
            Command::Grade { id, output, .. } => Event::Graded {
                id,
                score: output.as_str().map_or(0.0, |t| t.len() as f64),
            },
        };
        // What ends a machine comes last, and nothing that waited before it is done.
        for command in machine.on(event) {
            match command {
                Command::Done(_) | Command::GiveUp => waiting.push_front(command),
                other => waiting.push_back(other),
            }
        }
    }
}

fn output(text: &str) -> Option<Answer> {
    Some(Answer {
        text: "because".into(),
        output: Some(json!(text)),
    })
}

fn free(text: &str) -> Option<Answer> {
    Some(Answer {
        text: text.into(),
        output: None,
    })
}

#[test]
fn reasoning_is_kept_apart_from_the_answer() {
    let (end, asked) = run(machine(json!("step_by_step")), |_, _| output("4"));
    let end = end.unwrap();
    assert_eq!(
        (end.output, end.reasoning.as_deref()),
        (json!("4"), Some("because"))
    );
    assert_eq!(asked, ["reason"]);

    // Reasoning that never came to its mark is asked for its answer.
    let (end, asked) = run(machine(json!("step_by_step")), |ask, i| match i {
        0 => free("2 and 2"),
        _ => {
            assert_eq!(ask.turns[0], Message::assistant("2 and 2"));
            output("4")
        }
    });
    assert_eq!(end.unwrap().reasoning.as_deref(), Some("2 and 2"));
    assert_eq!(asked, ["reason", "extract"]);

    let structured = Technique::parse(&json!("step_by_step"))
        .unwrap()
        .machine(true);
    let (_, asked) = run(structured, |ask, i| {
        assert_eq!(ask.form, if i == 0 { Form::Free } else { Form::Output });
        if i == 0 { free("r") } else { output("x") }
    });
    assert_eq!(asked, ["reason", "extract"]);
}

#[test]
fn the_answer_of_most_samples_wins_and_the_vote_stops_when_decided() {
    let voting = || machine(json!([{"self_consistency": {"samples": 5}}, "step_by_step"]));
    let answers = ["7", "8", "7.0", "7", "9"];
    let mut seeds = Vec::new();
    let (end, asked) = run(voting(), |ask, i| {
        assert!(!ask.shown && ask.temperature == Some(0.7));
        seeds.push(ask.sample);
        output(answers[i])
    });
    let end = end.unwrap();
    assert_eq!(end.output, "7");
    assert_eq!(end.votes, [("7".to_owned(), 3), ("8".to_owned(), 1)]);
    assert_eq!(end.confidence, Some(0.75));
    assert_eq!((asked.len(), seeds), (4, vec![0, 1, 2, 3]));

    // Samples that fail have no vote; if all do, there is no answer.
    let (end, _) = run(voting(), |_, i| (i > 2).then(|| output("7").unwrap()));
    assert_eq!(end.unwrap().confidence, Some(0.4));
    assert_eq!(run(voting(), |_, _| None).0, None);

    let patient = machine(json!({"self_consistency": {"samples": 4, "early_stop": false}}));
    let (end, asked) = run(patient, |_, _| output("x"));
    assert_eq!((asked.len(), end.unwrap().confidence), (4, Some(1.0)));
}

#[test]
fn answers_can_be_compared_by_meaning() {
    let voting = machine(json!({"self_consistency": {"samples": 3, "vote": "embedding"}}));
    // The vectors of these tests are texts' lengths.
    let (end, _) = run(voting, |_, i| output(["a big one", "no", "hi"][i]));
    let end = end.unwrap();
    assert_eq!(end.votes.iter().map(|v| v.1).sum::<usize>(), 3);
}

#[test]
fn simpler_questions_are_answered_first() {
    let (end, asked) = run(machine(json!("least_to_most")), |ask, i| match i {
        0 => free("1. How many hens?\n2. How many eggs?"),
        1 => {
            assert!(ask.suffix.ends_with("How many hens?"));
            free("Three.")
        }
        2 => {
            assert!(ask.suffix.ends_with("How many hens?"));
            let turns = [
                Message::assistant("Three."),
                Message::user("How many eggs?"),
            ];
            assert_eq!(ask.turns, turns);
            free("Six.")
        }
        _ => {
            assert_eq!(ask.turns[2], Message::assistant("Six."));
            assert!(
                ask.turns[3]
                    .text()
                    .starts_with("Now answer the whole question")
            );
            output("6")
        }
    });
    assert_eq!(
        asked,
        [
            "decompose",
            "simpler question",
            "simpler question",
            "reason"
        ]
    );
    assert!(end.unwrap().reasoning.unwrap().contains("Three."));
    // Examples of how a question is broken up stand before it, as turns.
    let examples = json!({"least_to_most": {"examples": [{"question": "Q", "steps": ["a", "b"]}]}});
    let (_, asked) = run(machine(examples), |ask, i| {
        assert_eq!(ask.before.is_empty(), i > 0);
        if i > 0 {
            return output("6");
        }
        assert_eq!(ask.before[0], Message::user(format!("Q{}", ask.suffix)));
        assert_eq!(ask.before[1], Message::assistant("1. a\n2. b"));
        free("no list")
    });
    assert_eq!(asked, ["decompose", "reason"]);
    // Examples with answers show how simpler questions and the whole one are answered.
    let worked = json!({"question": "Q", "output": "2", "steps": [
        {"question": "a", "answer": "one"}, {"question": "b", "answer": "two"}]});
    let examples = json!({"least_to_most": {"examples": [worked]}});
    run(machine(examples), |ask, i| {
        let texts: Vec<String> = ask.before.iter().map(|m| m.text().into_owned()).collect();
        match i {
            0 => free("1. c"),
            1 => {
                assert_eq!(
                    texts[0],
                    format!("Q{}", ask.suffix.replace("First: c", "First: a"))
                );
                assert_eq!(texts[1..4], ["one", "b", "two"]);
                assert_eq!(texts[5], "two\nAnswer: 2");
                free("three")
            }
            _ => {
                assert_eq!(ask.before.len(), 6);
                assert!(ask.turns[1].text().starts_with(&texts[4]));
                output("3")
            }
        }
    });
    // Without simpler questions it is one step.
    let (_, asked) = run(machine(json!("least_to_most")), |_, i| {
        if i == 0 { free("NONE") } else { output("6") }
    });
    assert_eq!(asked, ["decompose", "reason"]);
}

#[test]
fn examples_of_simpler_questions_end_as_the_output_is_asked_for() {
    let worked = json!({"question": "Q", "output": {"n": 2}, "steps": [
        {"question": "a", "answer": "one"}, {"question": "b", "answer": "two"}]});
    let declared = json!({"least_to_most": {"examples": [worked]}});
    let structured = Technique::parse(&declared).unwrap().machine(true);
    let (_, asked) = run(structured, |ask, i| {
        let texts: Vec<String> = ask.before.iter().map(|m| m.text().into_owned()).collect();
        assert!(!texts.concat().contains("Answer:"), "{texts:?}");
        match i {
            0 => free("1. c"),
            1 => free("three"),
            2 => {
                assert!(ask.turns[1].text().starts_with(&texts[4]));
                assert_eq!((texts.len(), texts[5].as_str()), (8, "two"));
                free("so three")
            }
            _ => {
                assert_eq!(ask.form, Form::Output);
                assert_eq!(ask.turns.last().unwrap().text(), texts[6]);
                assert_eq!(texts[7], r#"{"n":2}"#);
                output("3")
            }
        }
    });
    assert_eq!(
        asked,
        ["decompose", "simpler question", "reason", "extract"]
    );
}

#[test]
fn a_grader_takes_the_best() {
    let best = |options: Value| machine(json!([{"best_of": options}, "direct"]));
    let (end, asked) = run(best(json!({"samples": 3})), |ask, i| match &ask.form {
        Form::Choice(numbers) => {
            // Equal answers are one candidate.
            assert_eq!(numbers, &["1", "2"]);
            assert!(ask.suffix.contains("[2]\nlonger"));
            free("2")
        }
        _ => output(["one", "longer", "one"][i]),
    });
    assert_eq!(end.unwrap().output, "longer");
    assert_eq!(asked.len(), 4);
    let (end, _) = run(best(json!({"samples": 2, "grader": "g"})), |_, i| {
        output(["long", "longest"][i])
    });
    assert_eq!(end.unwrap().output, "longest");
    let (end, asked) = run(best(json!({"samples": 3})), |_, _| output("same"));
    assert_eq!((end.unwrap().output, asked.len()), (json!("same"), 3));
}

#[test]
fn a_grade_that_is_no_number_loses() {
    let declared = json!([{"best_of": {"samples": 2, "grader": "g"}}, "direct"]);
    let mut machine = machine(declared);
    machine.start();
    let answered = |id, text: &str| Event::Answered {
        id,
        answer: output(text).unwrap(),
    };
    machine.on(answered(0, "first"));
    let commands = machine.on(answered(1, "second"));
    let ids: Vec<AskId> = commands
        .iter()
        .filter_map(|c| match c {
            Command::Grade { id, .. } => Some(*id),
            _ => None,
        })
        .collect();
    machine.on(Event::Graded {
        id: ids[0],
        score: f64::NAN,
    });
    let commands = machine.on(Event::Graded {
        id: ids[1],
        score: 0.1,
    });
    assert!(
        matches!(&commands[..], [Command::Done(end)] if end.output == "second"),
        "{commands:?}"
    );
}

#[test]
fn an_answer_is_revised_until_nothing_is_to_mend() {
    let revising = || machine(json!([{"revise": {"rounds": 3}}, "direct"]));
    let (end, asked) = run(revising(), |_, i| match i {
        0 => output("draft"),
        1 => free("too short"),
        2 => output("a longer draft"),
        _ => free("Nothing to mend."),
    });
    assert_eq!(end.unwrap().output, "a longer draft");
    assert_eq!(asked, ["answer", "criticise", "revise", "criticise"]);
    // An answer that does not change, or a failed critique, ends it.
    // So does one that says that the documents hold none.
    let (end, asked) = run(revising(), |_, _| output("NOT_IN_DOCUMENTS"));
    assert_eq!(
        (end.unwrap().output, asked.len()),
        (json!("NOT_IN_DOCUMENTS"), 1)
    );
    let (_, asked) = run(
        revising(),
        |_, i| if i == 1 { free("bad") } else { output("x") },
    );
    assert_eq!(asked, ["answer", "criticise", "revise"]);
    let (end, _) = run(revising(), |_, i| (i == 0).then(|| output("x").unwrap()));
    assert_eq!(end.unwrap().output, "x");
}

proptest! {
    /// Whatever comes back, each machine ends after a bounded number of questions.
    #[test]
    fn every_stack_of_techniques_ends(
        wrappers in proptest::collection::vec(prop_oneof![
            Just(json!({"self_consistency": {"samples": 3}})),
            Just(json!({"self_consistency": {"samples": 2, "vote": "embedding"}})),
            Just(json!({"best_of": {"samples": 2}})),
            Just(json!({"best_of": {"samples": 2, "grader": "g"}})),
            Just(json!({"revise": {"rounds": 2}})),
        ], 0..3),
        core in prop_oneof![Just("direct"), Just("step_by_step"), Just("least_to_most")],
        replies in proptest::collection::vec((0u8..4, "[a-c1-3]{1,2}"), 1..40),
    ) {
        let mut layers = wrappers;
        layers.push(json!(core));
        let (end, asked) = run(machine(json!(layers)), |ask, i| {
            let (kind, text) = &replies[i % replies.len()];
            match (kind, &ask.form) {
                (0, _) => None,
                (_, Form::Free | Form::Choice(_)) => free(&format!("1. {text}\n2. {text}")),
                (1, Form::Reasoned) => free(text),
                _ => output(text),
            }
        });
        prop_assert!(asked.len() < 400);
        if replies.iter().all(|r| r.0 > 1) {
            prop_assert!(end.is_some());
        }
    }
}
