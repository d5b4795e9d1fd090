//! What callers rely on who say what an answer must be, tried on a real model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking"
)]
mod common;

use common::answer;
use praxis_core::chat::collect;
use praxis_core::{
    ChatModel, ChatRequest, Constraint, FinishReason, Message, ModelError, Sampling,
};
use praxis_engine::ChatOptions;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn request(text: &str, constraint: Constraint, sampling: Sampling) -> ChatRequest {
    ChatRequest {
        messages: vec![Message::user(text)],
        sampling,
        constraint: Some(constraint),
        ..ChatRequest::default()
    }
}

fn greedy() -> Sampling {
    Sampling {
        temperature: Some(0.0),
        max_tokens: Some(400),
        ..Sampling::default()
    }
}

fn hot(seed: u64) -> Sampling {
    Sampling {
        temperature: Some(1.0),
        seed: Some(seed),
        ..greedy()
    }
}

fn order() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "customer": {
                "type": "object",
                "properties": {
                    "name": { "type": "string", "minLength": 1, "maxLength": 20 },
                    "since": { "type": "string", "format": "date" },
                    "kind": { "enum": ["private", "business", null] }
                },
                "required": ["name", "since", "kind"],
                "additionalProperties": false
            },
            "items": {
                "type": "array",
                "minItems": 1,
                "maxItems": 3,
                "items": {
                    "type": "object",
                    "properties": {
                        "sku": { "type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$" },
                        "count": { "type": "integer", "minimum": 1, "maximum": 99 },
                        "price": { "type": "number", "minimum": 0, "exclusiveMaximum": 1000, "multipleOf": 0.25 }
                    },
                    "required": ["sku", "count", "price"],
                    "additionalProperties": false
                }
            },
            "paid": { "type": "boolean" },
            "note": { "anyOf": [{ "type": "null" }, { "type": "string", "maxLength": 16 }] }
        },
        "required": ["customer", "items", "paid"],
        "additionalProperties": false
    })
}

#[tokio::test]
async fn hundred_answers_are_valid_under_their_schema() {
    let Some(engine) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let schema = order();
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|seed| {
            let constraint = Constraint::JsonSchema(schema.clone());
            let request = request("Invent an order, as JSON.", constraint, hot(seed));
            let engine = engine.clone();
            // A queue has 64 places.
            async move {
                loop {
                    match engine.chat(request.clone(), CancellationToken::new()).await {
                        Ok(stream) => return collect(stream).await.expect("answered"),
                        Err(ModelError::RateLimited { .. }) => {
                            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        })
        .map(tokio::spawn)
        .collect();
    let mut texts = std::collections::HashSet::new();
    for task in tasks {
        let answer = task.await.unwrap();
        assert_eq!(answer.finish_reason, FinishReason::Stop, "{}", answer.text);
        let value: Value = serde_json::from_str(&answer.text).expect(&answer.text);
        if let Err(error) = validator.validate(&value) {
            panic!("{}: {error}", answer.text);
        }
        assert!(answer.usage.forced_tokens > 10, "{:?}", answer.usage);
        texts.insert(answer.text);
    }
    assert!(
        texts.len() > 95,
        "the constraint leaves the choice to the model"
    );
}

#[tokio::test]
async fn regexes_choices_and_grammars_are_kept_as_a_whole() {
    let Some(engine) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let colours = ["red", "deep \"blue\"", "grün", "redder"];
    let choice = Constraint::Choice(colours.map(str::to_owned).to_vec());
    let grammar = Constraint::Grammar(
        "start: sum\nsum: NUMBER (\" + \" NUMBER)+\nNUMBER: /[1-9][0-9]{0,3}/".into(),
    );
    for seed in 0..8 {
        let ask = |constraint: &Constraint| request("Say it.", constraint.clone(), hot(seed));
        let digits = Constraint::Regex("[0-9]{3}(-[0-9]{2}){2}|[0-9]{40}".into());
        let text = answer(&engine, ask(&digits)).await.text;
        assert!(
            [9, 40].contains(&text.len()) && text.chars().all(|c| c == '-' || c.is_ascii_digit()),
            "{text:?}"
        );
        let chosen = answer(&engine, ask(&choice)).await;
        assert!(colours.contains(&chosen.text.as_str()), "{:?}", chosen.text);
        assert_eq!(chosen.finish_reason, FinishReason::Stop);
        let sum = answer(
            &engine,
            ChatRequest {
                sampling: Sampling {
                    max_tokens: Some(30),
                    ..hot(seed)
                },
                ..ask(&grammar)
            },
        )
        .await;
        let terms: Vec<&str> = sum.text.split(" + ").collect();
        let complete = sum.finish_reason == FinishReason::Stop;
        let numbers = &terms[..terms.len() - usize::from(!complete)];
        assert!(
            numbers.iter().all(|n| n.parse::<u16>().is_ok()),
            "{:?}",
            sum.text
        );
        assert!(!complete || terms.len() > 1, "{:?}", sum.text);
    }
    let one = Constraint::Choice(vec!["the only answer".into()]);
    let only = answer(&engine, request("Say it.", one, greedy())).await;
    assert_eq!(only.text, "the only answer");
    assert_eq!(only.usage.forced_tokens, only.usage.output_tokens);
}

#[tokio::test]
async fn a_constraint_that_cannot_be_kept_is_refused_and_says_where() {
    let Some(engine) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let within = |schema: Value| json!({"type": "object", "properties": {"a/b": schema}});
    for (constraint, named) in [
        (
            Constraint::JsonSchema(within(json!({"not": {"pattern": "a"}}))),
            "`not` is not supported (at /properties/a~1b)",
        ),
        (
            Constraint::JsonSchema(within(json!({"type": "array", "uniqueItems": true}))),
            "`uniqueItems` is not supported (at /properties/a~1b)",
        ),
        (
            Constraint::JsonSchema(within(json!({"type": "string", "format": "iri"}))),
            "`format` \"iri\" is not supported (at /properties/a~1b)",
        ),
        (
            Constraint::JsonSchema(within(
                json!({"oneOf": [{"pattern": "a"}, {"pattern": "b"}]}),
            )),
            "(at /properties/a~1b); use `anyOf`",
        ),
        (
            Constraint::JsonSchema(json!({"type": "object", "minProperties": 3})),
            "`minProperties`",
        ),
        (Constraint::JsonSchema(json!({"type": "text"})), "text"),
        (Constraint::JsonSchema(json!(3)), "not a schema"),
        (Constraint::JsonSchema(json!(false)), "json_schema"),
        (Constraint::Regex("[a".into()), "regex"),
        (Constraint::Choice(vec![]), "choice"),
        (Constraint::Grammar("start: other".into()), "other"),
    ] {
        let asked = request("Say it.", constraint.clone(), greedy());
        match engine.chat(asked, CancellationToken::new()).await.err() {
            Some(ModelError::InvalidRequest(message)) => {
                let kind = format!("constraint: {}: ", constraint.kind());
                assert!(message.starts_with(&kind), "{message}");
                assert!(message.contains(named), "{message} should name {named}");
                assert!(!message.contains('\n'), "{message}");
            }
            other => panic!("{constraint:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_says_nothing_in_a_schema_is_no_reason_to_refuse_it() {
    let Some(engine) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    for (schema, good, bad) in [
        (
            json!({"type": "array", "uniqueItems": false, "items": {"format": "int32"}}),
            "[1, 1]",
            "{}",
        ),
        (json!(true), "{\"a\": [null, 1.5]}", "nil"),
        (
            json!({"type": "string", "format": "date"}),
            "\"2024-02-29\"",
            "\"2023-02-29\"",
        ),
        (
            json!({"format": "date-time"}),
            "\"2000-02-29T12:00:00Z\"",
            "\"1900-02-29T12:00:00Z\"",
        ),
        (json!({"format": "date"}), "17", "\"17\""),
    ] {
        let constraint = Constraint::JsonSchema(schema.clone());
        let walk = |text| engine.walk(&constraint, text).unwrap().accepted;
        assert!(walk(good), "{schema}: {good}");
        assert!(!walk(bad), "{schema}: {bad}");
    }
}

#[tokio::test]
async fn constraints_of_requests_at_the_same_time_do_not_mix() {
    let Some(engine) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let ask = |i: u64| {
        let constraint = match i % 4 {
            0 => None,
            1 => Some(Constraint::Regex(format!("[a-z ]{{10,20}}{i}"))),
            2 => Some(Constraint::JsonSchema(order())),
            _ => Some(Constraint::Choice(vec![
                format!("yes {i}"),
                format!("no {i}"),
            ])),
        };
        ChatRequest {
            messages: vec![Message::user(format!("What about {i}?"))],
            sampling: Sampling {
                max_tokens: Some(120),
                ..hot(i)
            },
            constraint,
            ..ChatRequest::default()
        }
    };
    let together: Vec<_> = (0..12)
        .map(|i| {
            let (engine, request) = (engine.clone(), ask(i));
            tokio::spawn(async move { answer(&engine, request).await })
        })
        .collect();
    let fresh = common::smollm2(ChatOptions::default()).unwrap();
    for (i, task) in (0..).zip(together) {
        let together = task.await.unwrap();
        let alone = answer(&fresh, ask(i)).await;
        assert_eq!(together.text, alone.text, "request {i}");
    }
}

#[tokio::test]
async fn jumping_over_what_is_forced_does_not_change_an_answer() {
    let Some(jumping) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let plain = common::smollm2(ChatOptions {
        jump_forward: false,
        prompt_lookup: false,
        ..ChatOptions::default()
    });
    let plain = plain.unwrap();
    let constraints = [
        Constraint::JsonSchema(order()),
        Constraint::Regex(
            "Dear (Ann|Bob), I am writing to you about [a-z ]{5,30}\\. Yours, Eve".into(),
        ),
        Constraint::Choice(vec!["a long answer".into(), "a longer answer".into()]),
    ];
    for constraint in constraints {
        for seed in 0..8 {
            let sampling = if seed == 0 { greedy() } else { hot(seed) };
            let asked = request(
                "Repeat an order with a sku: ABC-1234.",
                constraint.clone(),
                sampling,
            );
            let with = answer(&jumping, asked.clone()).await;
            let without = answer(&plain, asked.clone()).await;
            assert_eq!(with.text, without.text, "seed {seed}");
            assert_eq!(with.usage.output_tokens, without.usage.output_tokens);
            assert!(with.usage.forced_tokens > 0);
            assert_eq!(without.usage.forced_tokens, 0);
            // Log probabilities are given for forced tokens, too, and leave the answer as it is.
            let logprobs = ChatRequest {
                top_logprobs: Some(0),
                ..asked
            };
            let logprobs = answer(&jumping, logprobs).await;
            assert_eq!(logprobs.text, with.text);
            assert_eq!(logprobs.logprobs.len() as u64, with.usage.output_tokens);
        }
    }
}

#[tokio::test]
async fn log_probabilities_are_the_models_own_whatever_the_constraint() {
    let Some(engine) = common::smollm2(ChatOptions::default()) else {
        return;
    };
    let mut constrained = request(
        "What is the capital of France?",
        Constraint::Choice(vec!["Zanzibar".into(), "Quito".into()]),
        greedy(),
    );
    constrained.top_logprobs = Some(5);
    let free = ChatRequest {
        constraint: None,
        ..constrained.clone()
    };
    let (constrained, free) = (
        answer(&engine, constrained).await,
        answer(&engine, free).await,
    );
    assert_eq!(
        constrained.logprobs[0].top_logprobs,
        free.logprobs[0].top_logprobs
    );
    assert!(constrained.logprobs[0].logprob < free.logprobs[0].logprob);
    assert!(["Zanzibar", "Quito"].contains(&constrained.text.as_str()));
}
