//! What outputs promise: constraints with techniques, repairs that end otherwise, votes within a budget.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use super::*;

#[tokio::test]
async fn a_constraint_holds_behind_reasoning_too() {
    for technique in ["step_by_step", "chain_of_thought", "least_to_most"] {
        let front =
            format!("praxis:\n  technique: {technique}\n  constraint: {{choice: [aye, nay]}}\n");
        let called = call(
            &[("f", &prompt(&front))],
            json!({"q": "?"}),
            |request, _| {
                Ok(match &request.constraint {
                    Some(Constraint::Choice(_)) => "aye".into(),
                    _ => "I think.\nAnswer: perhaps".into(),
                })
            },
        )
        .await;
        assert_eq!(called.output.unwrap(), "aye", "{technique}");
        assert!(called.asked.last().unwrap().constraint.is_some());
    }
}

#[tokio::test]
async fn what_a_held_model_left_half_done_is_no_output() {
    let front = "praxis.constraint: {choice: [yes it is, \"no\"]}\n";
    let called = call(&[("f", &prompt(front))], json!({"q": "?"}), |_, n| {
        Ok(["yes it", "yes it is"][n].into())
    })
    .await;
    assert_eq!(called.output.unwrap(), "yes it is");
}

#[tokio::test]
async fn a_grammar_is_never_left_out() {
    let front = "praxis.constraint: {grammar: 'start: \"a\"'}\n";
    let called = call(
        &[("f", &prompt(front))],
        json!({"q": "?"}),
        |request, _| match request.constraint {
            Some(_) => Err(ModelError::InvalidRequest("no grammars here".into())),
            None => Ok("b".into()),
        },
    )
    .await;
    let error = called.output.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest);
    assert!(
        error.message.contains("`f` must be held to the grammar")
            && error.message.contains("no grammars here"),
        "{error}"
    );
    assert!(error.hint.is_some());
    assert_eq!(called.asked.len(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_after_it_began_is_not_begun_again() {
    let called = call(&[("f", &prompt(CITY))], json!({"q": "Bern"}), |_, _| {
        Ok("{\"name\": \"Be\n!constraint: it cannot be followed".into())
    })
    .await;
    let error = called.output.unwrap_err();
    assert_eq!(error.code, ErrorCode::Upstream);
    assert_eq!(called.asked.len(), 1, "{error}");
}

#[tokio::test]
async fn a_repair_may_reason_again_before_its_answer() {
    let front = "praxis:\n  technique: step_by_step\n  checks: [{length: {max: 3}}]\n";
    for mended in ["Shorter.\nAnswer: abc", "abc"] {
        let called = call(&[("f", &prompt(front))], json!({"q": "?"}), move |_, n| {
            Ok(match n {
                0 => "Long.\nAnswer: abcdef".into(),
                _ => mended.into(),
            })
        })
        .await;
        assert_eq!(called.output.unwrap(), "abc", "{mended}");
        assert_eq!(called.asked.len(), 2);
    }
}

#[tokio::test]
async fn the_last_partial_value_is_the_output() {
    let front = format!("{CITY}praxis.constrained: false\n");
    let called = call(&[("f", &prompt(&front))], json!({"q": "Bern"}), |_, n| {
        Ok([r#"{"name": "Bern"}"#, r#"{"name": "Berne", "people": 3}"#][n].into())
    })
    .await;
    assert_eq!(called.partials.last(), Some(&called.output.unwrap()));
}

/// Counts what is counted.
#[derive(Default)]
struct Counters(Mutex<BTreeMap<String, Arc<AtomicU64>>>, Mutex<Vec<String>>);

impl metrics::Recorder for Counters {
    fn describe_counter(
        &self,
        key: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
        self.1.lock().unwrap().push(key.as_str().to_owned());
    }

    fn describe_gauge(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn describe_histogram(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        let labels: Vec<String> = key
            .labels()
            .map(|l| format!("{}={}", l.key(), l.value()))
            .collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        let mut all = self.0.lock().unwrap();
        metrics::Counter::from_arc(Arc::clone(all.entry(name).or_default()))
    }

    fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::noop()
    }

    fn register_histogram(
        &self,
        _: &metrics::Key,
        _: &metrics::Metadata<'_>,
    ) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}

#[tokio::test]
async fn a_repair_that_ends_otherwise_keeps_the_best_attempt_and_is_counted() {
    let counters = Counters::default();
    let _guard = metrics::set_default_local_recorder(&counters);
    // The reasoning and the output have used up what the repair needs.
    let front = format!(
        "{CITY}praxis:\n  constrained: false\n  technique: step_by_step\n  budget: {{tokens: 20}}\n"
    );
    let called = call(&[("f", &prompt(&front))], json!({"q": "Bern"}), |_, n| {
        Ok(["I think.", r#"{"name": "Bern"}"#][n].into())
    })
    .await;
    let error = called.output.unwrap_err();
    assert_eq!(error.code, ErrorCode::BudgetExceeded);
    let details = error.details.unwrap();
    assert_eq!(details["best"]["value"], json!({"name": "Bern"}));
    assert_eq!(details["attempts"], 1);
    let counted = |end: &str| {
        let all = counters.0.lock().unwrap();
        let name = format!("praxis_output_repairs_total function=f end={end}");
        all.get(&name).map(|n| n.load(Ordering::Relaxed))
    };
    assert_eq!((counted("failed"), counted("valid")), (Some(1), None));
    let described = counters.1.lock().unwrap().clone();
    assert!(described.contains(&"praxis_output_repairs_total".to_owned()));
    // The same where a check fails instead of saying what it thinks.
    let front = "praxis.checks:\n  - function: judge\n";
    let judge = "---\ninput:\n  schema:\n    output: string\n    input: any\n---\nJudge {{output}}";
    let called = call(
        &[("f", &prompt(front)), ("judge", judge)],
        json!({"q": "Hi"}),
        |request, _| match last(request).as_str() {
            "Hi" => Ok("hello".into()),
            _ => Err(ModelError::Unavailable("down".into())),
        },
    )
    .await;
    let error = called.output.unwrap_err();
    assert_eq!(error.code, ErrorCode::Upstream);
    assert_eq!(error.details.unwrap()["best"]["value"], "hello");
}

#[tokio::test]
async fn a_vote_without_tokens_ends_the_call_unless_it_is_decided() {
    let vote = |samples: usize, more: &str| {
        prompt(&format!(
            "praxis:\n  budget: {{tokens: 30}}\n  technique: [{{self_consistency: {{samples: {samples}{more}}}}}, direct]\n"
        ))
    };
    let patient = ", early_stop: false";
    for (samples, answers, ends) in [
        (12, ["a", "b"], Err(ErrorCode::BudgetExceeded)),
        (4, ["a", "a"], Ok(json!("a"))),
    ] {
        let text = vote(samples, patient);
        let called = call(&[("f", &text)], json!({"q": "?"}), move |_, n| {
            Ok(answers[n % 2].into())
        })
        .await;
        assert_eq!(called.output.map_err(|e| e.code), ends, "{samples}");
        // A sample that the budget did not suffice for agrees with none.
        let confidence = (samples == 4).then_some(0.75);
        assert_eq!(called.confidence, confidence);
    }
}

#[tokio::test]
async fn examples_of_reasoning_show_what_is_asked() {
    let front = format!(
        "{CITY}praxis.technique:\n  chain_of_thought:\n    examples:\n      - {{input: Rome, reasoning: It is big., output: {{name: Rome, people: 3}}}}\n"
    );
    let called = call(
        &[("f", &prompt(&front))],
        json!({"q": "Bern"}),
        |request, _| {
            Ok(match request.constraint {
                Some(_) => r#"{"name": "Bern", "people": 3}"#.into(),
                None => "It is small.".into(),
            })
        },
    )
    .await;
    called.output.unwrap();
    let turns: Vec<String> = called.asked[0].messages[1..5]
        .iter()
        .map(|m| m.text().into_owned())
        .collect();
    assert_eq!(turns[..2], ["Rome", "It is big."]);
    assert!(turns[2].starts_with("Now write the final output"));
    assert_eq!(turns[3], r#"{"name":"Rome","people":3}"#);
}
