//! Guards around calls: what a model is asked, what a caller hears, and what is said of it elsewhere.
//!
//! Of the scripted embedder's words, `cat` is violence, `dog` is hate and `hen` is a category of the application's own.

use std::collections::BTreeMap;

use praxis_core::tool::ToolCall;
use proptest::prelude::*;

use super::*;
use crate::moderation::classifier::tests::of_axes;
use crate::moderation::policy::{Action, Guard, OnError, Step, Wanted, What};

const MAIL: &str = "ann@example.com";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

fn moderator() -> Moderator {
    Moderator::new(Some(of_axes("words", &["violence", "hate", "brand"], 3)))
}

async fn guarded(
    front: &str,
    given: Given,
    script: impl Fn(&ChatRequest, usize) -> Result<String, ModelError> + Send + Sync + 'static,
) -> Called {
    call_judged(&[("f", &prompt(front))], given, moderator(), script).await
}

fn input(text: &str) -> Given {
    Given::Input(json!({ "q": text }))
}

/// The steps `guard` of a call: side and output.
fn steps(called: &Called) -> BTreeMap<String, Value> {
    let steps = called.spans.iter().filter(|span| span.name == "guard");
    let step = |span: &Span| {
        let side = span.input["side"].as_str().unwrap().to_owned();
        (side, span.output.clone())
    };
    steps.map(step).collect()
}

/// All that a call left in its trace.
fn trace(called: &Called) -> String {
    serde_json::to_string(&called.spans).unwrap()
}

#[tokio::test]
async fn what_is_blocked_reaches_no_model_and_is_not_repeated() {
    let rules = "praxis.guard:\n  input: {rules: [secrets, email], action: block}\n";
    let categories = "praxis.guard:\n  input: {categories: [violence], action: block}\n";
    let own = "praxis.guard:\n  input: {categories: {brand: 0.9}, action: block}\n";
    for (front, text, words, found) in [
        (
            rules,
            "my key is AKIAIOSFODNN7EXAMPLE",
            "`f` does not take this input: it has an API key",
            json!({"kind": "api_key", "count": 1, "action": "block"}),
        ),
        (
            rules,
            "ann@example.com, bob@example.com",
            "`f` does not take this input: it has an e-mail address",
            json!({"kind": "email", "count": 2, "action": "block"}),
        ),
        (
            categories,
            "a cat",
            "`f` does not take this input: it is judged as `violence`",
            json!({"category": "violence", "score": 0.982, "threshold": 0.5, "action": "block"}),
        ),
        (
            own,
            "a hen",
            "`f` does not take this input: it is judged as `brand`",
            json!({"category": "brand", "score": 0.982, "threshold": 0.9, "action": "block"}),
        ),
    ] {
        let called = guarded(front, input(text), |_, _| Ok("never".into())).await;
        let error = called.output.as_ref().unwrap_err();
        assert_eq!(error.code, ErrorCode::ContentBlocked);
        assert_eq!(error.message, words);
        let details = error.details.as_deref().unwrap();
        assert_eq!(details["found"], json!([found]), "{text}");
        assert!(called.asked.is_empty() && called.text.is_empty());
        let step = &steps(&called)["input"];
        assert_eq!(step["decisions"], json!([found]), "{text}");
        for secret in [MAIL, "bob@example.com", KEY] {
            assert!(!trace(&called).contains(secret), "{}", trace(&called));
        }
    }
}

#[tokio::test]
async fn what_is_harmless_passes_and_what_is_flagged_is_told() {
    let front = "praxis.guard:\n  input:\n    - {rules: [phone], action: block}\n    - {categories: [violence, hate], action: flag}\n  output: {categories: all, action: flag}\n";
    let called = guarded(front, input("a dog"), |_, _| Ok("a cat".into())).await;
    assert_eq!(called.output.as_ref().unwrap(), "a cat");
    assert_eq!((called.text.as_str(), called.asked.len()), ("a cat", 1));
    let steps = steps(&called);
    let flagged = |category: &str| json!([{"category": category, "score": 0.982, "threshold": 0.5, "action": "flag"}]);
    assert_eq!(steps["input"]["decisions"], flagged("hate"));
    assert_eq!(
        steps["input"]["scores"],
        json!({"hate": 0.982, "violence": 0.018})
    );
    assert_eq!(steps["output"]["decisions"], flagged("violence"));
}

#[tokio::test]
async fn a_model_reads_placeholders_and_its_caller_values() {
    let front = "praxis.guard:\n  input: {rules: [personal], action: mask}\n";
    let messages = vec![
        Message::user("I am ann@example.com."),
        Message::assistant("Hello ann@example.com!"),
        Message::user("Write to bob@example.com and 13800138000, too."),
    ];
    let called = guarded(front, Given::Chat(messages), |request, _| {
        let texts: Vec<String> = request
            .messages
            .iter()
            .map(|m| m.text().into_owned())
            .collect();
        assert_eq!(
            texts,
            [
                "S",
                "I am <EMAIL_2>.",
                "Hello <EMAIL_2>!",
                "Write to <EMAIL_1> and <PHONE_1>, too."
            ]
        );
        Ok("I wrote to < email_1 >, <PHONE_1> and <EMAIL_3>.".into())
    })
    .await;
    let answer = "I wrote to bob@example.com, 13800138000 and <EMAIL_3>.";
    assert_eq!(called.output.as_ref().unwrap(), answer);
    // The same piece by piece.
    assert_eq!(called.text, answer);
    let trace = trace(&called);
    assert!(
        !trace.contains("@example.com") && !trace.contains("13800138000"),
        "{trace}"
    );
    let masked = json!([
        {"kind": "email", "count": 3, "action": "mask"},
        {"kind": "phone", "count": 1, "action": "mask"},
    ]);
    let decisions = steps(&called)["input"]["decisions"].clone();
    let mut decisions = decisions.as_array().unwrap().clone();
    decisions.sort_by_key(|d| d["kind"].to_string());
    assert_eq!(Value::from(decisions), masked);
}

#[tokio::test]
async fn values_come_back_as_json_writes_them() {
    let front = format!("{CITY}praxis.guard:\n  input: {{rules: [all], action: mask}}\n");
    let line = "aB3+".repeat(16);
    let key = format!("-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----");
    let called = guarded(&front, input(&key), |request, _| {
        assert!(
            !request.messages[1].text().contains("aB3+"),
            "{:?}",
            request.messages
        );
        Ok(r#"{"name": "<PRIVATE_KEY_1>", "people": 1}"#.into())
    })
    .await;
    assert_eq!(called.output.unwrap(), json!({"name": key, "people": 1}));
    assert_eq!(called.partials.last().unwrap()["name"], key);
}

#[tokio::test]
async fn functions_that_are_called_get_placeholders() {
    let front = "tools: [look]\npraxis.guard:\n  input: {rules: [personal], action: mask}\n";
    let look = "---\ninput:\n  schema:\n    who: string\n---\nLook up {{who}}";
    let prompt = prompt(front);
    let files = [("f", prompt.as_str()), ("look", look)];
    let given = input("Who is ann@example.com?");
    let called = call_judged(&files, given, moderator(), |request, n| {
        let all = serde_json::to_string(&request.messages).unwrap();
        assert!(!all.contains(MAIL), "{n}: {all}");
        Ok(match n {
            0 => r#"@look {"who": "<EMAIL_1>"}"#.into(),
            1 => "<EMAIL_1> is Ann".into(),
            _ => "It is Ann: <EMAIL_1>".into(),
        })
    })
    .await;
    assert_eq!(
        called.output.as_ref().unwrap(),
        "It is Ann: ann@example.com"
    );
    assert_eq!(called.asked.len(), 3);
    assert!(!trace(&called).contains(MAIL), "{}", trace(&called));
    let calls: Vec<&ToolCall> = called.asked[2]
        .messages
        .iter()
        .flat_map(|m| &m.tool_calls)
        .collect();
    assert_eq!(calls[0].arguments, r#"{"who": "<EMAIL_1>"}"#);
}

/// An answer whose last sentence but one is not to be seen.
fn answer(bad: &str) -> String {
    let calm =
        "Here is a quiet sentence about nothing much, which is long enough to be judged alone. ";
    format!("{}{bad} {calm}", calm.repeat(3))
}

#[tokio::test]
async fn a_blocked_window_is_never_heard() {
    let front = "praxis.guard:\n  output: {categories: [violence], action: block}\n";
    let bad =
        "Then came the cat, and what it did is not to be told to anybody who did not ask for it.";
    let called = guarded(front, input("tell"), move |_, _| Ok(answer(bad))).await;
    let error = called.output.as_ref().unwrap_err();
    assert_eq!(error.code, ErrorCode::ContentBlocked);
    assert_eq!(
        error.message,
        "the answer of `f` is withheld: it is judged as `violence`"
    );
    // What was judged before it was heard while the model wrote.
    assert!(called.text.starts_with("Here is a quiet") && called.text.len() > 200);
    for word in ["cat", "came", "anybody"] {
        assert!(!called.text.contains(word), "{}", called.text);
    }
    let step = &steps(&called)["output"];
    assert_eq!(step["decisions"][0]["action"], "block");
    // Who does not stream is told the same.
    let harmless = guarded(front, input("tell"), |_, _| Ok(answer("A calm end."))).await;
    let whole = answer("A calm end.");
    let output = harmless.output.unwrap();
    assert_eq!(output.as_str().unwrap().trim_end(), whole.trim_end());
    assert_eq!(harmless.text.trim_end(), whole.trim_end());
}

#[tokio::test]
async fn what_an_answer_tells_of_others_is_masked_and_what_the_caller_said_is_not() {
    let front = "praxis.guard:\n  input: {rules: [email], action: mask}\n  output: {rules: [personal], action: mask}\n";
    let called = guarded(front, input("I am ann@example.com"), |_, _| {
        Ok("Dear <EMAIL_1>, Bob is bob@example.com. Again: bob@example.com.".into())
    })
    .await;
    let told = "Dear ann@example.com, Bob is <EMAIL_1>. Again: <EMAIL_1>.";
    assert_eq!(called.output.as_ref().unwrap(), told);
    assert_eq!(called.text, told);
    let step = &steps(&called)["output"];
    assert_eq!(
        step["decisions"],
        json!([{"kind": "email", "count": 2, "action": "mask"}])
    );
    assert!(
        !trace(&called).contains("bob@example.com"),
        "{}",
        trace(&called)
    );
}

#[tokio::test]
async fn structured_output_is_judged_as_a_whole() {
    let front =
        format!("{CITY}praxis.guard:\n  output: {{categories: [violence], action: block}}\n");
    for (name, ok) in [("Bern", true), ("cat", false)] {
        let called = guarded(&front, input("?"), move |_, _| {
            Ok(format!("{{\"name\": \"{name}\", \"people\": 3}}"))
        })
        .await;
        let value = json!({"name": name, "people": 3});
        if ok {
            assert_eq!(called.output.unwrap(), value);
            // It is heard when it is judged, and not before.
            assert_eq!(
                (called.text.as_str(), called.partials),
                (value.to_string().as_str(), vec![value])
            );
        } else {
            assert_eq!(called.output.unwrap_err().code, ErrorCode::ContentBlocked);
            assert!(called.text.is_empty() && called.partials.is_empty());
        }
    }
    let masked = format!("{CITY}praxis.guard:\n  output: {{rules: [email], action: mask}}\n");
    let called = guarded(&masked, input("?"), |_, _| {
        Ok(r#"{"name": "ann@example.com", "people": 3}"#.into())
    })
    .await;
    assert_eq!(
        called.output.unwrap(),
        json!({"name": "<EMAIL_1>", "people": 3})
    );
}

fn is_judge(request: &ChatRequest) -> bool {
    request.model == "judge"
}

#[tokio::test]
async fn a_model_judges_where_a_guard_names_it() {
    let front = "praxis.guard:\n  input: {categories: [hate, rivals], judge: judge, action: block}\n  output: {categories: [hate], judge: judge, action: block}\n";
    for (asked, said, code) in [
        ("fine", "fine", None),
        ("rivals", "fine", Some("input")),
        ("fine", "hateful", Some("output")),
    ] {
        let called = guarded(front, input(asked), move |request, _| {
            if !is_judge(request) {
                return Ok(said.into());
            }
            assert!(matches!(
                request.constraint,
                Some(Constraint::JsonSchema(_))
            ));
            let text = last(request);
            let found: &[&str] = match () {
                () if text.contains("rivals") => &["rivals"],
                () if text.contains("hateful") => &["hate"],
                () => &[],
            };
            Ok(json!({"reason": "because", "categories": found}).to_string())
        })
        .await;
        match code {
            None => assert_eq!(called.output.unwrap(), "fine"),
            Some(side) => {
                let error = called.output.as_ref().unwrap_err();
                assert_eq!(error.code, ErrorCode::ContentBlocked);
                assert_eq!(error.details.as_deref().unwrap()["side"], side);
                assert_eq!(called.text, "");
                let judges = called.asked.iter().filter(|r| is_judge(r)).count();
                assert_eq!(judges, if side == "input" { 1 } else { 2 });
            }
        }
    }
}

#[tokio::test]
async fn a_guard_that_cannot_judge_lets_through_only_what_it_is_told_to() {
    let judge = "praxis.guard:\n  input: {categories: [hate], judge: judge, action: block}\n";
    let pass = format!("{judge}  on_error: pass\n");
    for (front, answer, ok) in [
        (judge, Err("down"), false),
        (judge, Ok("It seems fine."), false),
        (&pass, Err("down"), true),
        (&pass, Ok("It seems fine."), true),
    ] {
        let called = guarded(front, input("?"), move |request, _| {
            match is_judge(request) {
                false => Ok("hello".into()),
                true => answer
                    .map(str::to_owned)
                    .map_err(|e| ModelError::Unavailable(e.into())),
            }
        })
        .await;
        let step = &steps(&called)["input"];
        assert_eq!(step["not_judged"], json!(["upstream_error"]));
        if ok {
            assert_eq!(called.output.unwrap(), "hello");
        } else {
            let error = called.output.unwrap_err();
            assert_eq!(error.code, ErrorCode::Upstream);
            assert!(
                error
                    .message
                    .starts_with("`f`: the input could not be judged: "),
                "{error}"
            );
            assert!(called.asked.iter().all(is_judge));
        }
    }
    // So it is without a classifier for the embedder.
    let front = "praxis.guard:\n  input: {categories: [hate], action: block}\n";
    let called = call(&[("f", &prompt(front))], json!({"q": "?"}), |_, _| {
        Ok("hello".into())
    })
    .await;
    assert!(called.output.unwrap_err().message.contains("no classifier"));
    assert!(called.asked.is_empty());
}

#[tokio::test]
async fn reasoning_is_judged_too() {
    let front = "praxis:\n  technique: step_by_step\n  guard:\n    output: {categories: [violence], action: block}\n";
    let called = guarded(front, input("?"), |_, _| {
        Ok("I think of a cat.\nAnswer: nothing".into())
    })
    .await;
    assert_eq!(called.output.unwrap_err().code, ErrorCode::ContentBlocked);
    assert!(!called.reasoning.contains("cat") && called.text.is_empty());
}

/// What a caller hears of an answer that comes in these pieces, and what ends it.
fn relayed(pieces: &[String]) -> (String, Result<(), CallError>) {
    let deps = Deps {
        chat: Arc::new(Scripted {
            script: Box::new(|_, _| Ok(String::new())),
            asked: Mutex::default(),
        }),
        retriever: Arc::new(NoDocuments),
        embedder: Arc::new(Words),
        functions: Functions::default(),
        moderator: Arc::new(moderator()),
    };
    let wanted = Wanted {
        category: "violence".to_owned(),
        threshold: None,
        optional: false,
    };
    let guard = Guard {
        output: vec![Step {
            what: What::Categories {
                wanted: vec![wanted],
                judge: None,
            },
            action: Action::Block,
            on_error: OnError::Block,
        }],
        ..Guard::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let guarding = Guarding::new(&guard, Before::Function("f"), &deps);
        let mut watch = guarding.watch(false);
        let (send, events) = tokio::sync::mpsc::channel(10_000);
        for text in pieces {
            let (text, logprobs) = (text.clone(), Vec::new());
            send.send(CallEvent::Delta { text, logprobs })
                .await
                .unwrap();
        }
        drop(send);
        let (out, mut heard) = tokio::sync::mpsc::channel(10_000);
        let cx = CallContext::new(Arc::new(Spans::default())).with_events(out);
        let outcome = watch.relay(events, &cx).await;
        drop(cx);
        let mut text = String::new();
        while let Some(event) = heard.recv().await {
            if let CallEvent::Delta { text: more, .. } = event {
                text.push_str(&more);
            }
        }
        (text, outcome)
    })
}

proptest! {
    #[test]
    fn nothing_of_a_blocked_window_is_heard_however_it_is_cut(
        text in "(A [a-b]{1,40} [a-b]{1,40}\\. |the cat sat |字{1,60}。|x\n){0,12}",
        lengths in prop::collection::vec(1usize..120, 1..6),
    ) {
        let chars: Vec<char> = text.chars().collect();
        let (mut pieces, mut at, mut lengths) = (Vec::new(), 0, lengths.iter().cycle());
        while at < chars.len() {
            let end = (at + lengths.next().unwrap()).min(chars.len());
            pieces.push(chars[at..end].iter().collect::<String>());
            at = end;
        }
        let (heard, outcome) = relayed(&pieces);
        prop_assert!(text.starts_with(&heard));
        prop_assert!(!heard.contains("cat"), "{}", heard);
        prop_assert_eq!(outcome.is_err(), text.contains("cat"));
        // The same as if it had come at once.
        let (at_once, _) = relayed(std::slice::from_ref(&text));
        prop_assert_eq!(&heard, &at_once);
        if !text.contains("cat") {
            prop_assert_eq!(heard, text);
        }
    }
}

/// Windows of an answer are what they are, whatever the pieces in which a model writes it: here the answer comes
/// character by character, and as a whole.
#[tokio::test]
async fn a_caller_who_streams_gets_the_verdict_of_one_who_does_not() {
    let front = "praxis.guard:\n  output:\n    - {rules: [personal], action: mask}\n    - {categories: [violence], action: block}\n";
    let sentences = [
        "Nothing to see here, go on and look at the next one if you like to do so at all. ",
        "Her address is bob@example.com and her number is 13800138000, as everybody knows. ",
        "A cat! ",
    ];
    for pattern in 0..27usize {
        let picked = [pattern % 3, pattern / 3 % 3, pattern / 9];
        let text: String = picked.iter().map(|i| sentences[*i]).collect();
        let has_cat = picked.contains(&2);
        let called = guarded(front, input("?"), move |_, _| Ok(text.clone())).await;
        assert_eq!(called.output.is_err(), has_cat, "{picked:?}");
        assert!(
            !called.text.contains("cat") && !called.text.contains("@example"),
            "{}",
            called.text
        );
        if let Ok(output) = &called.output {
            let output = output.as_str().unwrap();
            assert_eq!(output.trim_end(), called.text.trim_end(), "{picked:?}");
        }
    }
}
