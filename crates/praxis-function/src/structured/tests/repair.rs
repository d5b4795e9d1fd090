//! The loop: what it asks for, and that it ends.

use praxis_core::{CallError, ErrorCode, FinishReason, Role};
use proptest::prelude::*;
use serde_json::json;

use super::super::checks::Checks;
use super::super::repair::{
    Answer, Exhausted, OutputFormat, OutputSpec, Repair, RepairBudget, Verdict,
};
use super::super::schema::OutputSchema;
use super::super::violation::Violation;
use super::{any_json, any_jsonish};

fn spec(checks: serde_json::Value) -> OutputSpec {
    let schema = json!({"type": "object", "required": ["n"], "properties": {
        "n": {"type": "integer"}, "mood": {"enum": ["good", "bad"]}}});
    OutputSpec {
        schema: Some(OutputSchema::compile(&schema).unwrap()),
        checks: Checks::parse(&checks).unwrap(),
        format: OutputFormat::Json,
    }
}

fn answer(text: &str) -> Answer<'_> {
    Answer {
        text,
        finish: FinishReason::Stop,
        tokens: 10,
        passages: 0,
    }
}

#[test]
fn a_mended_answer_is_valid_and_says_so() {
    let mut repair = Repair::new(RepairBudget::default());
    let verdict = repair.on_answer(&spec(json!([])), answer("```json\n{n: \"3\"}\n```"));
    let Verdict::Valid(value, mended) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(value, json!({"n": 3}));
    assert_eq!(
        mended,
        [
            "took off the Markdown fence",
            "quoted keys",
            "`n`: took \"3\" as 3"
        ]
    );
}

#[test]
fn a_lone_text_of_digits_keeps_them() {
    for (schema, text, value) in [
        (json!({"type": "string"}), "3.10", json!("3.10")),
        (
            json!({"type": ["string", "null"]}),
            "```\n3.10\n```",
            json!("3.10"),
        ),
        (
            json!({"type": "string"}),
            "<think>hm</think> 12345678901234567890123",
            json!("12345678901234567890123"),
        ),
        (json!({"type": "string"}), "\"3.10\"", json!("3.10")),
        (json!({"type": "number"}), "3.10", json!(3.1)),
    ] {
        let spec = OutputSpec {
            schema: Some(OutputSchema::compile(&schema).unwrap()),
            checks: Checks::parse(&json!([])).unwrap(),
            format: OutputFormat::Json,
        };
        let verdict = Repair::new(RepairBudget::default()).on_answer(&spec, answer(text));
        let Verdict::Valid(read, _) = verdict else {
            panic!("{text}: {verdict:?}");
        };
        assert_eq!(read, value, "{text}");
    }
}

#[test]
fn the_model_gets_its_output_and_what_is_wrong_with_it() {
    let spec = spec(json!([]));
    let mut repair = Repair::new(RepairBudget::default());
    let Verdict::Ask(request) = repair.on_answer(&spec, answer("{\"n\": \"x\"}")) else {
        panic!("not asked again");
    };
    assert_eq!(request.temperature, None);
    let [first, second] = request.messages.as_slice() else {
        panic!("{request:?}");
    };
    assert_eq!(
        (first.role, first.text().as_ref()),
        (Role::Assistant, "{\"n\": \"x\"}")
    );
    assert_eq!(second.role, Role::User);
    assert_eq!(
        second.text(),
        "Your output is not valid yet. What is wrong:
- `n`: found the string \"x\"; wanted an integer

The form that is wanted:
{
  \"n\": integer,
  \"mood\": \"good\" or \"bad\", // optional
}

Write the whole corrected output, nothing else."
    );
    // The state can be stored between answers.
    let stored = serde_json::to_string(&repair).unwrap();
    let mut repair: Repair = serde_json::from_str(&stored).unwrap();
    let Verdict::Ask(request) = repair.on_answer(&spec, answer("{\"n\": \"x\"}\n")) else {
        panic!("not asked again");
    };
    assert_eq!(request.temperature, Some(0.5));
    assert!(request.messages[1].text().contains("start anew"));
    assert!(matches!(
        repair.on_answer(&spec, answer("{\"n\": 1}")),
        Verdict::Valid(..)
    ));
}

#[test]
fn an_answer_that_was_cut_off_is_not_taken_for_whole() {
    let spec = spec(json!([]));
    let mut repair = Repair::new(RepairBudget::default());
    let cut = Answer {
        finish: FinishReason::Length,
        ..answer("{\"n\": 12")
    };
    let Verdict::Ask(request) = repair.on_answer(&spec, cut) else {
        panic!("taken for whole");
    };
    assert!(request.messages[1].text().contains("write a shorter one"));
    // A bracket that the model forgot is closed.
    assert!(matches!(
        repair.on_answer(&spec, answer("{\"n\": 12")),
        Verdict::Valid(..)
    ));
}

#[test]
fn functions_are_asked_last_and_can_fail_an_output() {
    let spec = spec(json!([{"function": "even", "at": "n"}]));
    let mut repair = Repair::new(RepairBudget::default());
    assert!(matches!(
        repair.on_answer(&spec, answer("{}")),
        Verdict::Ask(_)
    ));
    let Verdict::Pending(pending) = repair.on_answer(&spec, answer("{\"n\": 3}")) else {
        panic!("not asked");
    };
    let violation = pending[0].judged(&json!(false)).unwrap().unwrap();
    let verdict = repair.on_checked(&spec, "{\"n\": 3}", vec![violation]);
    assert!(matches!(verdict, Verdict::Ask(_)), "{verdict:?}");
    assert!(matches!(
        repair.on_answer(&spec, answer("{\"n\": 4}")),
        Verdict::Pending(_)
    ));
    assert!(matches!(
        repair.on_checked(&spec, "{\"n\": 4}", vec![]),
        Verdict::Valid(..)
    ));
}

#[test]
fn a_failure_carries_the_best_attempt() {
    let spec = spec(json!([]));
    let mut repair = Repair::new(RepairBudget {
        attempts: 4,
        tokens: 1000,
    });
    let mut last = None;
    for text in [
        "{\"mood\": \"x\"}",
        "{\"n\": \"a\"}",
        "{\"n\": \"b\"}",
        "no",
    ] {
        last = Some(repair.on_answer(&spec, answer(text)));
    }
    let Some(Verdict::Failed(failure)) = last else {
        panic!("{last:?}");
    };
    assert_eq!(
        (failure.exhausted, failure.attempts, failure.tokens),
        (Exhausted::Attempts, 4, 40)
    );
    assert_eq!(failure.best.text, "{\"n\": \"b\"}");
    let error = CallError::from(failure);
    assert_eq!(error.code, ErrorCode::OutputInvalid);
    assert_eq!(
        error.message,
        "the model's output does not keep its promise; the best of 4 tries: `n`: found the string \"b\"; wanted an integer"
    );
    assert_eq!(error.details.unwrap()["best"]["value"], json!({"n": "b"}));
}

#[test]
fn a_text_is_only_checked() {
    let spec = OutputSpec {
        checks: Checks::parse(&json!([{"length": {"max": 3}}])).unwrap(),
        ..OutputSpec::default()
    };
    let mut repair = Repair::new(RepairBudget {
        attempts: 2,
        tokens: 15,
    });
    assert!(matches!(
        repair.on_answer(&spec, answer("long")),
        Verdict::Ask(_)
    ));
    let verdict = repair.on_answer(&spec, answer("longer"));
    assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
    let mut repair = Repair::new(RepairBudget {
        attempts: 0,
        tokens: 0,
    });
    assert_eq!(
        repair.on_answer(&spec, answer("ok")),
        Verdict::Valid(json!("ok"), vec![])
    );
}

proptest! {
    #[test]
    fn the_loop_ends_within_its_budget(
        texts in prop::collection::vec(prop_oneof![any_jsonish(), any_json().prop_map(|v| v.to_string())], 1..12),
        attempts in 0u32..6,
        tokens in 0u64..60,
        cut in any::<bool>(),
    ) {
        let spec = spec(json!(["no_pii", {"function": "never", "at": "n"}]));
        let mut repair = Repair::new(RepairBudget { attempts, tokens });
        let mut asked = 0;
        for text in texts.iter().cycle() {
            let finish = if cut { FinishReason::Length } else { FinishReason::Stop };
            let mut verdict = repair.on_answer(&spec, Answer { finish, ..answer(text) });
            asked += 1;
            if let Verdict::Pending(pending) = &verdict {
                let found = pending.iter().map(|p| Violation::new(p.path.clone(), "it", "else")).collect();
                verdict = repair.on_checked(&spec, text, found);
            }
            match verdict {
                Verdict::Ask(request) => prop_assert_eq!(request.messages.len(), 2),
                Verdict::Failed(failure) => {
                    prop_assert!(failure.attempts == asked && asked <= attempts.max(1));
                    break;
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
        // Who goes on after the end gets the end again.
        let after = repair.on_answer(&spec, answer("{}"));
        prop_assert!(matches!(after, Verdict::Failed(_)), "{:?}", after);
    }
}
