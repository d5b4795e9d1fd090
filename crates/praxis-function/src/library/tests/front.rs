//! Values of our own keys that cannot be meant are found when a prompt is loaded, with their place and the fix.

use super::*;

/// What is said of a prompt with these keys, which begin on line 5.
fn said(keys: &str) -> String {
    let source = format!("---\ninput:\n  schema:\n    question: string\n{keys}\n---\nx");
    let dir = folder(&[("a.prompt", &source)]);
    let problems = check(&dir.path().join("prompts"), &known());
    problems.iter().map(|p| p.render(false)).collect()
}

#[test]
fn numbers_out_of_their_range_are_told_with_it() {
    for (keys, parts) in [
        (
            "praxis.knowledge: docs\npraxis.limit: 51",
            &[
                "prompts/a.prompt:6:8",
                "`limit` must be a whole number, 1 to 50, not 51",
                "leave it out for 4",
            ][..],
        ),
        (
            "praxis.knowledge: docs\npraxis.limit: 0",
            &["1 to 50, not 0"],
        ),
        (
            "praxis.knowledge: docs\npraxis.limit: -1",
            &["1 to 50, not -1"],
        ),
        (
            "praxis:\n  knowledge:\n    base: docs\n    limit: 99",
            &[
                "prompts/a.prompt:8:5",
                "`knowledge.limit` must be a whole number, 1 to 50, not 99",
            ],
        ),
        (
            "praxis.technique: {least_to_most: {max_questions: 21}}",
            &[
                "prompts/a.prompt:5:1",
                "`least_to_most`: `max_questions` must be 1 to 20, not 21",
                "leave it out for 5",
            ],
        ),
        (
            "praxis.budget:\n  repairs: 0\n  questions: 0",
            &[
                "prompts/a.prompt:7:3",
                "`questions` must be at least 1",
                "leave `questions` out",
            ],
        ),
        (
            "praxis.budget: {tokens: 0}",
            &["prompts/a.prompt:5:8", "`tokens` must be at least 1"],
        ),
    ] {
        let text = said(keys);
        for part in parts {
            assert!(
                text.contains(part),
                "{part:?} is missing for {keys}:\n{text}"
            );
        }
    }
    for keys in [
        "praxis.knowledge: docs\npraxis.limit: 1",
        "praxis.knowledge: {base: docs, limit: 50}",
        "praxis.technique: {least_to_most: {max_questions: 20}}",
        "praxis.budget: {questions: 1, repairs: 0, tokens: 1}",
    ] {
        assert_eq!(said(keys), "", "{keys}");
    }
}

#[test]
fn a_base_that_is_no_text_is_not_passed_over() {
    for (knowledge, parts) in [
        (
            "[docs, 3]",
            &[
                "prompts/a.prompt:5:1",
                "3 is no name of a base",
                "in quotes: \"3\"",
            ][..],
        ),
        ("[true, docs]", &["in quotes: \"true\""]),
        (
            "{base: [docs, [docs]]}",
            &["[\"docs\"] is no name of a base", "a list of names"],
        ),
        (
            "[{base: docs}]",
            &["{\"base\":\"docs\"} is no name of a base"],
        ),
        ("7", &["7 is no name of a base"]),
    ] {
        let text = said(&format!("praxis.knowledge: {knowledge}"));
        for part in parts {
            assert!(
                text.contains(part),
                "{part:?} is missing for {knowledge}:\n{text}"
            );
        }
        assert!(!text.contains("names no base"), "{text}");
    }
    for knowledge in ["[]", "", "{limit: 3}"] {
        let text = said(&format!("praxis.knowledge: {knowledge}"));
        assert!(text.contains("names no base"), "{knowledge}: {text}");
    }
    assert_eq!(said("praxis.knowledge: [docs, \"docs\"]"), "");
}

#[test]
fn a_constraint_that_nothing_can_be_held_to_is_found_before_a_call() {
    for (keys, parts) in [
        (
            "praxis.constraint: {regex: '[a'}",
            &[
                "error",
                "prompts/a.prompt:5:8",
                "`constraint.regex`: `[a` is no regular expression: unclosed character class",
                "Rust's `regex`",
            ][..],
        ),
        (
            "praxis:\n  constraint:\n    regex: 'a{2,1}'",
            &["prompts/a.prompt:7:5", "is no regular expression"],
        ),
        ("praxis.constraint: {regex: '(?=a)b'}", &["look-around"]),
        ("praxis.constraint: {regex: ''}", &["an empty expression"]),
        (
            "praxis.constraint: {choice: []}",
            &["`constraint.choice`: it needs at least one text"],
        ),
        (
            "praxis.constraint: {choice: [aye, \"\"]}",
            &["none that is empty"],
        ),
        (
            "praxis.constraint: {grammar: ' '}",
            &["`constraint.grammar`: the grammar is empty"],
        ),
        (
            "praxis.constraint: {grammar: 'starting: \"a\"'}",
            &["warning", "no rule `start`", "Lark"],
        ),
        (
            "praxis.constraint: {json_schema: {type: text}}",
            &[
                "`constraint.json_schema`: no JSON Schema",
                "`output.schema`",
            ],
        ),
    ] {
        let text = said(keys);
        for part in parts {
            assert!(
                text.contains(part),
                "{part:?} is missing for {keys}:\n{text}"
            );
        }
    }
    for constraint in [
        "{regex: '-?[0-9]{1,9}(\\.[0-9]{1,2})?'}",
        // What the engine cannot follow is checked.
        "{regex: '^[a-z]+\\b.*$'}",
        "{choice: [aye, nay]}",
        "{grammar: 'start: \"a\"'}",
        "{grammar: \"%import common.INT\\n?start: INT\"}",
        "{json_schema: {type: object}}",
    ] {
        let keys = format!("praxis.constraint: {constraint}");
        assert_eq!(said(&keys), "", "{keys}");
    }
}

#[test]
fn what_is_said_of_calls_of_tools_needs_tools() {
    for key in ["tool_choice: required", "parallel_tool_calls: false"] {
        let text = said(&format!("praxis.{key}"));
        let (name, _) = key.split_once(':').unwrap();
        let part = format!("`praxis.{name}` needs tools to call: `tools` is missing");
        assert!(text.contains(&part), "{text}");
    }
    let text = said("tools: [praxis/date]\npraxis.parallel_tool_calls: often");
    assert!(
        text.contains("prompts/a.prompt:6:") && text.contains("parallel_tool_calls"),
        "{text}"
    );
}

#[test]
fn mistakes_of_our_keys_are_told_by_their_path_in_plain_words() {
    for (keys, part) in [
        (
            "praxis.checks: [{lenght: {max: 3}}]",
            "`praxis.checks[0].lenght`: ",
        ),
        (
            "praxis.budget: {tokens: many}",
            "expected a whole number from 0",
        ),
        (
            "config: {maxOutputTokens: many}",
            "expected a whole number from 0",
        ),
        ("config: {temperature: warm}", "expected a number"),
        ("config: {stopSequences: x}", "expected a list: `[\"...\"]`"),
    ] {
        let text = said(keys);
        assert!(
            text.contains(part) && !text.contains("praxis.praxis"),
            "{part:?} is missing for {keys}:\n{text}"
        );
    }
}

#[test]
fn what_cannot_be_read_is_told_and_no_list_is_empty() {
    let prompt = "---\ninput:\n  schema:\n    question: string\npraxis.knowledge: doks\n---\nx";
    let dir = folder(&[("a.prompt", prompt)]);
    let prompts = dir.path().join("prompts");
    std::fs::write(prompts.join("b.prompt"), b"Say\ncaf\xe9").unwrap();
    let nothing = Known {
        knowledge: Vec::new(),
        ..known()
    };
    let told = |dir: &Path| -> String {
        let problems = check(dir, &nothing);
        problems.iter().map(|p| p.render(false)).collect()
    };
    let text = told(&prompts);
    assert!(text.contains("line 2 is not UTF-8"), "{text}");
    assert!(text.contains("there is no knowledge base yet"), "{text}");
    assert!(!text.contains("there are:"), "{text}");
    let text = told(&prompts.join("a.prompt"));
    assert!(
        text.contains("cannot read the folder `a.prompt/`"),
        "{text}"
    );
    assert_eq!(told(&dir.path().join("none")), "");
}
