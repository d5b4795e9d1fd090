//! Calls from end to end over a scripted model: what it is asked, and what comes of what it writes.
//!
//! The script stands for models that write what no model can be made to write on purpose.

use std::sync::Mutex;

use futures::StreamExt;
use praxis_core::embed::TokenCounter;
use praxis_core::trace::TraceSink;
use praxis_core::{
    ChatChunk, ChatGateway, ChatRequest, ChatStream, EmbedKind, Embedder, FinishReason, ModelError,
    Query, Retriever, Span, ToolCallDelta, Usage,
};

use super::*;
use crate::library::{Functions, Known, Library};
use crate::moderation::Moderator;

mod application;
mod choice;
mod guard;
mod prefix;
mod promises;
mod reuse;
mod scope;
mod tools;

type Script = dyn Fn(&ChatRequest, usize) -> Result<String, ModelError> + Send + Sync;

/// A model that writes what its script says, character by character. A line `@NAME JSON` is a call, a line
/// `!WORDS` an error behind the rest, and after a line `~` it was cut off.
struct Scripted {
    script: Box<Script>,
    asked: Mutex<Vec<ChatRequest>>,
}

#[async_trait]
impl ChatGateway for Scripted {
    async fn chat(&self, request: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request.clone());
            asked.len() - 1
        };
        let written = (self.script)(&request, number)?;
        let (broken, text): (Vec<&str>, Vec<&str>) =
            written.split('\n').partition(|line| line.starts_with('!'));
        let (calls, text): (Vec<&str>, Vec<&str>) =
            text.into_iter().partition(|line| line.starts_with('@'));
        let (cut, text): (Vec<&str>, Vec<&str>) = text.into_iter().partition(|line| *line == "~");
        let text = text.join("\n");
        let mut chunks: Vec<_> = text
            .chars()
            .map(|c| {
                Ok(ChatChunk::Delta {
                    text: c.to_string(),
                    logprobs: Vec::new(),
                })
            })
            .collect();
        for (index, call) in calls.iter().enumerate() {
            let (name, arguments) = call[1..].split_once(' ').unwrap();
            chunks.push(Ok(ChatChunk::ToolCall(ToolCallDelta {
                index,
                id: Some(format!("c{number}.{index}")),
                name: Some(name.to_owned()),
                arguments: arguments.to_owned(),
            })));
        }
        if let Some(error) = broken.first() {
            chunks.push(Err(ModelError::InvalidRequest(error[1..].to_owned())));
        }
        chunks.push(Ok(ChatChunk::Done {
            finish_reason: match (cut.is_empty(), calls.is_empty()) {
                (false, _) => FinishReason::Length,
                (true, true) => FinishReason::Stop,
                (true, false) => FinishReason::ToolCalls,
            },
            usage: Usage {
                output_tokens: 10,
                ..Usage::default()
            },
        }));
        Ok(futures::stream::iter(chunks).boxed())
    }
}

/// Vectors of one dimension for each of some words.
pub(crate) struct Words;

#[async_trait]
impl Embedder for Words {
    fn identity(&self) -> String {
        "words".into()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Ok(3)
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Ok(100)
    }

    async fn embed(&self, _: EmbedKind, texts: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        let has = |text: &str, word| f32::from(u8::from(text.contains(word)));
        let vector = |t: &String| vec![has(t, "cat"), has(t, "dog"), has(t, "hen")];
        Ok(texts.iter().map(vector).collect())
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Ok(Arc::new(str::len))
    }
}

struct NoDocuments;

#[async_trait]
impl Retriever for NoDocuments {
    async fn search(&self, _: &str, _: &Query, _: &CallContext) -> Result<Retrieval, CallError> {
        Ok(Retrieval::default())
    }
}

#[derive(Default)]
struct Spans(Mutex<Vec<Span>>);

impl TraceSink for Spans {
    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }
}

/// What a call did.
struct Called {
    output: Result<Value, CallError>,
    text: String,
    reasoning: String,
    partials: Vec<Value>,
    confidence: Option<f32>,
    asked: Vec<ChatRequest>,
    spans: Vec<Span>,
}

/// What a function is called with.
enum Given {
    Input(Value),
    Chat(Vec<Message>),
}

/// Calls `f` of an application with these prompts.
async fn call(
    prompts: &[(&str, &str)],
    input: Value,
    script: impl Fn(&ChatRequest, usize) -> Result<String, ModelError> + Send + Sync + 'static,
) -> Called {
    call_judged(prompts, Given::Input(input), Moderator::default(), script).await
}

/// The same, where texts are judged by `moderator`.
async fn call_judged(
    prompts: &[(&str, &str)],
    given: Given,
    moderator: Moderator,
    script: impl Fn(&ChatRequest, usize) -> Result<String, ModelError> + Send + Sync + 'static,
) -> Called {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("prompts");
    std::fs::create_dir(&folder).unwrap();
    for (name, text) in prompts {
        let file = match name.contains(".schema.") {
            true => (*name).to_owned(),
            false => format!("{name}.prompt"),
        };
        std::fs::create_dir_all(folder.join(&file).parent().unwrap()).unwrap();
        std::fs::write(folder.join(file), text).unwrap();
    }
    let chat = Arc::new(Scripted {
        script: Box::new(script),
        asked: Mutex::default(),
    });
    let deps = Deps {
        chat: chat.clone(),
        retriever: Arc::new(NoDocuments),
        embedder: Arc::new(Words),
        functions: Functions::default(),
        moderator: Arc::new(moderator),
    };
    let known = Known {
        knowledge: vec!["docs".to_owned()],
        models: vec!["judge".to_owned()],
        categories: vec!["brand".to_owned()],
        ..Known::default()
    };
    let library = Library::load(&folder, &known, &deps).unwrap();
    let spans = Arc::new(Spans::default());
    let (send, mut receive) = tokio::sync::mpsc::channel(10_000);
    let cx = CallContext::new(spans.clone()).with_events(send);
    let function = library.get("f").unwrap();
    let output = match given {
        Given::Input(input) => function.call(input, &cx).await,
        Given::Chat(messages) => {
            let sampling = Sampling::default();
            function.call_chat(messages, sampling, None, &cx).await
        }
    };
    drop(cx);
    let mut called = Called {
        output,
        text: String::new(),
        reasoning: String::new(),
        partials: Vec::new(),
        confidence: None,
        asked: chat.asked.lock().unwrap().clone(),
        spans: spans.0.lock().unwrap().clone(),
    };
    while let Some(event) = receive.recv().await {
        match event {
            CallEvent::Delta { text, .. } => called.text.push_str(&text),
            CallEvent::Reasoning { text } => called.reasoning.push_str(&text),
            CallEvent::Partial(value) => called.partials.push(value),
            CallEvent::Concluded { confidence, .. } => called.confidence = confidence,
            _ => {}
        }
    }
    called
}

fn prompt(front: &str) -> String {
    format!(
        "---\ninput:\n  schema:\n    q: string\n{front}---\n{{{{role \"system\"}}}}S{{{{role \"user\"}}}}{{{{q}}}}"
    )
}

fn last(request: &ChatRequest) -> String {
    request.messages.last().unwrap().text().into_owned()
}

const CITY: &str = "output:\n  schema:\n    name: string\n    people: integer\n";

#[tokio::test]
async fn a_schema_holds_the_model_and_tells_it_what_to_write() {
    let called = call(&[("f", &prompt(CITY))], json!({"q": "Bern"}), |_, _| {
        Ok(r#"{"name": "Bern", "people": 140000}"#.into())
    })
    .await;
    assert_eq!(
        called.output.unwrap(),
        json!({"name": "Bern", "people": 140_000})
    );
    let asked = &called.asked[0];
    assert!(matches!(&asked.constraint, Some(Constraint::JsonSchema(s)) if s["type"] == "object"));
    assert!(last(asked).starts_with("Bern\n\n") && last(asked).contains("\"people\""));
    // Parts are valid, and each is the beginning of the next.
    assert_eq!(called.partials.last().unwrap()["people"], 140_000);
    assert!(called.partials.iter().all(Value::is_object) && called.partials.len() > 3);
    assert_eq!(called.text, r#"{"name": "Bern", "people": 140000}"#);
}

#[tokio::test]
async fn a_broken_promise_is_told_to_the_model_until_it_is_kept() {
    let front = format!("{CITY}praxis.constrained: false\n");
    let called = call(
        &[("f", &prompt(&front))],
        json!({"q": "Bern"}),
        |request, n| {
            assert_eq!(request.constraint, None);
            Ok(match n {
                0 => "Sure! {\"name\": \"Bern\", \"people\": \"many\"}".into(),
                1 => {
                    let turns = &request.messages[request.messages.len() - 2..];
                    assert_eq!(turns[0].role, Role::Assistant);
                    assert!(turns[1].text().contains("`people`"), "{}", turns[1].text());
                    "{\"name\": \"Bern\", \"people\": 140000,}".into()
                }
                _ => unreachable!("it was valid"),
            })
        },
    )
    .await;
    assert_eq!(called.output.unwrap()["people"], 140_000);
    // What the reader sees is the output that was kept.
    assert_eq!(called.text, r#"{"name":"Bern","people":140000}"#);
    let steps: Vec<&str> = called
        .spans
        .iter()
        .filter(|s| s.kind == SpanKind::Step)
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(steps, ["repair", "mend"]);
}

#[tokio::test]
async fn the_best_attempt_comes_with_the_error() {
    let front = format!("{CITY}praxis:\n  constrained: false\n  budget: {{repairs: 2}}\n");
    let called = call(&[("f", &prompt(&front))], json!({"q": "Bern"}), |_, n| {
        Ok(["no", "{\"name\": \"Bern\"}", "never"][n].into())
    })
    .await;
    let error = called.output.unwrap_err();
    assert_eq!(error.code, ErrorCode::OutputInvalid);
    assert!(error.message.starts_with("`f`: "), "{}", error.message);
    assert_eq!(
        error.details.unwrap()["best"]["value"],
        json!({"name": "Bern"})
    );
    // The last try is held to the schema.
    let held: Vec<bool> = called
        .asked
        .iter()
        .map(|r| r.constraint.is_some())
        .collect();
    assert_eq!(held, [false, false, true]);
}

#[tokio::test]
async fn a_model_that_cannot_be_held_is_asked_freely() {
    let called = call(
        &[("f", &prompt(CITY))],
        json!({"q": "Bern"}),
        |request, _| match request.constraint {
            Some(_) => Err(ModelError::InvalidRequest("no such schema here".into())),
            None => Ok("```json\n{\"name\": \"Bern\", \"people\": 3}\n```".into()),
        },
    )
    .await;
    assert_eq!(called.output.unwrap()["people"], 3);
    assert_eq!(
        (called.text.as_str(), called.asked.len()),
        (r#"{"name":"Bern","people":3}"#, 2)
    );
}

#[tokio::test]
async fn checks_are_part_of_the_promise() {
    let front = "praxis.checks:\n  - length: {max: 5}\n  - function: judge\n";
    let judge = "---\ninput:\n  schema:\n    output: string\n    input: any\noutput:\n  schema:\n    ok: boolean\n    message: string\n---\nJudge {{output}}";
    let called = call(
        &[("f", &prompt(front)), ("judge", judge)],
        json!({"q": "Hi"}),
        |request, _| {
            let asked = last(request);
            Ok(match asked.as_str() {
                "Hi" => "far too long".into(),
                a if a.starts_with("Judge bad") => r#"{"ok": false, "message": "be kind"}"#.into(),
                a if a.starts_with("Judge good") => r#"{"ok": true, "message": ""}"#.into(),
                a if a.contains("be kind") => "good".into(),
                _ => "bad".into(),
            })
        },
    )
    .await;
    assert_eq!(called.output.unwrap(), "good");
    assert_eq!(called.text, "good");
}

#[tokio::test]
async fn samples_vote_and_reasoning_stays_apart() {
    let front = "config:\n  seed: 3\npraxis.technique:\n  - self_consistency: {samples: 3}\n  - step_by_step\n";
    let called = call(
        &[("f", &prompt(front))],
        json!({"q": "2+2?"}),
        |request, n| {
            assert!(last(request).contains("step by step"));
            Ok(format!("thinking\nAnswer: {}", [4, 5, 4][n]))
        },
    )
    .await;
    assert_eq!(
        (called.output.unwrap(), called.text.as_str()),
        (json!("4"), "4")
    );
    assert_eq!(called.reasoning, "");
    assert!((called.confidence.unwrap() - 2.0 / 3.0).abs() < 1e-6);
    let mut seeds: Vec<_> = called.asked.iter().map(|r| r.sampling.seed).collect();
    assert!(
        called
            .asked
            .iter()
            .all(|r| r.sampling.temperature == Some(0.7))
    );
    seeds.dedup();
    assert_eq!((seeds.len(), seeds[0]), (3, Some(3)));

    let single = prompt("praxis.technique: step_by_step\n");
    let called = call(&[("f", &single)], json!({"q": "2+2?"}), |_, _| {
        Ok("two and two\n**Answer:** **4**".into())
    })
    .await;
    assert_eq!(
        (called.reasoning.trim(), called.text.as_str()),
        ("two and two", "4")
    );
    let root = called
        .spans
        .iter()
        .find(|s| s.kind == SpanKind::Function)
        .unwrap();
    assert_eq!(root.output["reasoning"], "two and two");
}

#[tokio::test]
async fn examples_are_turns_and_those_nearest_to_the_input_come_last() {
    let front = "praxis.technique:\n  few_shot:\n    by: similarity\n    count: 2\n    examples:\n      - {input: a cat, output: miaow}\n      - {input: a hen, output: cluck}\n      - {input: a dog and a hen, output: woof}\n";
    let called = call(&[("f", &prompt(front))], json!({"q": "my dog"}), |_, _| {
        Ok("wuff".into())
    })
    .await;
    let turns: Vec<String> = called.asked[0]
        .messages
        .iter()
        .map(|m| m.text().into_owned())
        .collect();
    assert_eq!(
        turns,
        ["S", "a cat", "miaow", "a dog and a hen", "woof", "my dog"]
    );
}

#[tokio::test]
async fn a_call_ends_within_its_budget() {
    let samples = "[{self_consistency: {samples: 4}}, direct]";
    for (budget, technique, message) in [
        ("questions: 2", samples, "2 questions"),
        ("tokens: 15", "least_to_most", "15 tokens"),
    ] {
        let front = format!("praxis:\n  budget: {{{budget}}}\n  technique: {technique}\n");
        let script = |_: &ChatRequest, _| Ok("1. One?\n2. Two?".to_owned());
        let called = call(&[("f", &prompt(&front))], json!({"q": "?"}), script).await;
        let error = called.output.unwrap_err();
        assert_eq!(error.code, ErrorCode::BudgetExceeded);
        assert!(error.message.contains(message), "{}", error.message);
        if budget.starts_with("tokens") {
            let most: Vec<_> = called.asked.iter().map(|r| r.sampling.max_tokens).collect();
            assert_eq!(most, [Some(15), Some(5)]);
        }
    }
}

#[tokio::test]
async fn an_answer_that_the_budget_cuts_is_none() {
    let budget = "praxis.budget: {tokens: 10}\n";
    for (config, budget, is_answer) in [
        ("", budget, false),
        ("config: {maxOutputTokens: 20}\n", budget, false),
        // It is as long as it was to be, or as its model can.
        ("config: {maxOutputTokens: 10}\n", budget, true),
        ("", "", true),
    ] {
        let front = format!("{config}{budget}");
        let script = |_: &ChatRequest, _| Ok("The Shadowf\n~".to_owned());
        let called = call(&[("f", &prompt(&front))], json!({"q": "?"}), script).await;
        let wanted = match is_answer {
            true => Ok(json!("The Shadowf")),
            false => Err(ErrorCode::BudgetExceeded),
        };
        assert_eq!(called.output.map_err(|e| e.code), wanted, "{front}");
    }
}

#[tokio::test]
async fn a_choice_is_enforced_as_text() {
    let front = "praxis.constraint: {choice: [yes it is, \"no\"]}\n";
    let called = call(&[("f", &prompt(front))], json!({"q": "?"}), |request, _| {
        assert!(matches!(&request.constraint, Some(Constraint::Choice(c)) if c.len() == 2));
        Ok("no".into())
    })
    .await;
    assert_eq!(called.output.unwrap(), "no");
}

#[tokio::test]
async fn what_a_model_cannot_be_held_to_is_checked() {
    for (constraint, right) in [
        ("{choice: [maybe, \"no\"]}", "no"),
        ("{regex: '[0-9]{2}'}", "42"),
    ] {
        let front = format!("praxis.constraint: {constraint}\n");
        let called = call(
            &[("f", &prompt(&front))],
            json!({"q": "?"}),
            move |request, n| match (&request.constraint, n) {
                (Some(_), _) => Err(ModelError::InvalidRequest("not here".into())),
                (None, 1) => Ok("No, 421!".into()),
                _ => Ok(right.into()),
            },
        )
        .await;
        assert_eq!(
            (called.output.unwrap(), called.text.as_str()),
            (json!(right), right)
        );
        assert_eq!(called.asked.len(), 3);
    }
}

#[tokio::test]
async fn a_model_that_knows_no_choices_is_still_held_to_its_schema() {
    let front = format!("{CITY}praxis.technique: [revise, {{best_of: {{samples: 2}}}}, direct]\n");
    let called = call(
        &[("f", &prompt(&front))],
        json!({"q": "Bern"}),
        |request, n| match &request.constraint {
            Some(Constraint::Choice(_)) => Err(ModelError::InvalidRequest("no choices".into())),
            Some(_) => Ok(format!("{{\"name\": \"Bern\", \"people\": {n}}}")),
            None if last(request).contains("proposed") => Ok("2".into()),
            None => Ok("too few people".into()),
        },
    )
    .await;
    let revised = called.asked.last().unwrap();
    assert!(matches!(
        &revised.constraint,
        Some(Constraint::JsonSchema(_))
    ));
    assert_eq!(
        called.output.unwrap()["people"],
        called.asked.len() as u64 - 1
    );
}
