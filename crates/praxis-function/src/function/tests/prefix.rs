//! How much of prompts is the same in each call, and what of an input ends that.

use super::*;
use crate::prefix::StablePrefix;

/// What two calls of a prompt have in common.
async fn prefix(text: &str, one: Value, other: Value) -> StablePrefix {
    let deps = Deps {
        chat: Arc::new(Scripted {
            script: Box::new(|_, _| Ok(String::new())),
            asked: Mutex::default(),
        }),
        retriever: Arc::new(NoDocuments),
        embedder: Arc::new(Words),
        functions: Functions::default(),
        moderator: Arc::default(),
    };
    let known = Known {
        knowledge: vec!["docs".to_owned()],
        ..Known::default()
    };
    let sources = [("f.prompt".to_owned(), text.to_owned())].into();
    let library = Library::from_sources(&sources, "prompts", &known, &deps).unwrap();
    let cx = CallContext::new(Arc::new(Spans::default()));
    let (one, other) = (one.as_object().unwrap(), other.as_object().unwrap());
    let function = library.get("f").unwrap();
    function.stable_prefix(one, other, &cx).await.unwrap()
}

const BOTH: &str = "---\ninput:\n  schema:\n    name: string\n    q: string\n---\n";

#[tokio::test]
async fn the_first_input_that_changes_is_named() {
    let rules = "Follow the rules. ".repeat(20);
    let one = json!({"name": "Ann", "q": "Is it late?"});
    let other = json!({"name": "Bob", "q": "Where is it?"});
    for (template, breaks_at, is_short) in [
        // What changes stands before the rules: nothing of them is read from a cache.
        (
            "{{role \"system\"}}For {{name}}. RULES{{role \"user\"}}{{q}}",
            "name",
            true,
        ),
        (
            "{{role \"system\"}}RULES For {{name}}.{{role \"user\"}}{{q}}",
            "name",
            false,
        ),
        (
            "{{role \"system\"}}RULES{{role \"user\"}}{{q}} {{name}}",
            "q",
            false,
        ),
    ] {
        let text = format!("{BOTH}{}", template.replace("RULES", &rules));
        let found = prefix(&text, one.clone(), other.clone()).await;
        assert_eq!(found.breaks_at.as_deref(), Some(breaks_at), "{template}");
        assert_eq!(found.tokens < 10, is_short, "{template}: {found:?}");
        assert!(found.total > 80 && found.tokens < found.total, "{found:?}");
    }
}

#[tokio::test]
async fn passages_and_examples_count_as_they_stand() {
    // Passages are put before the question.
    let front = "praxis.knowledge: docs\n";
    let found = prefix(
        &prompt(front),
        json!({"q": "A cat?"}),
        json!({"q": "A dog?"}),
    )
    .await;
    assert_eq!(found.breaks_at.as_deref(), Some("passages"));
    // Examples that are chosen by the question end it sooner than the question does.
    let examples = |by: &str| {
        prompt(&format!(
            "praxis.technique:\n  few_shot:\n    by: {by}\n    count: 1\n    examples:\n      - {{input: a cat, output: miaow}}\n      - {{input: a dog, output: woof}}\n"
        ))
    };
    let (one, other) = (json!({"q": "My cat?"}), json!({"q": "My dog?"}));
    let fixed = prefix(&examples("first"), one.clone(), other.clone()).await;
    let chosen = prefix(&examples("similarity"), one, other).await;
    assert!(chosen.tokens < fixed.tokens, "{chosen:?} {fixed:?}");
    assert_eq!(chosen.breaks_at.as_deref(), Some("q"));
}

#[tokio::test]
async fn prompts_that_are_the_same_do_not_part() {
    let one = json!({"q": "Is it late?"});
    let found = prefix(&prompt(""), one.clone(), one).await;
    assert_eq!((found.tokens, found.breaks_at), (found.total, None));
    // An input that the template does not read changes nothing.
    let unread = format!("{BOTH}{{{{q}}}}");
    let one = json!({"name": "Ann", "q": "Is it late?"});
    let other = json!({"name": "Bob", "q": "Is it late?"});
    let found = prefix(&unread, one, other).await;
    assert_eq!((found.tokens, found.breaks_at), (found.total, None));
}
