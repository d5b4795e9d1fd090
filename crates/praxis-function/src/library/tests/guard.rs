//! Guards that cannot be meant are found when a prompt is loaded, with their place and the fix.

use super::*;

/// What is said of a prompt with these keys, which begin on line 5.
fn said(keys: &str) -> String {
    let source = format!("---\ninput:\n  schema:\n    question: string\n{keys}\n---\nx");
    let dir = folder(&[("a.prompt", &source)]);
    let known = Known {
        categories: vec!["rivals".to_owned()],
        ..known()
    };
    let problems = check(&dir.path().join("prompts"), &known);
    problems.iter().map(|p| p.render(false)).collect()
}

#[test]
fn a_guard_may_be_a_step_or_several() {
    for keys in [
        "praxis.guard:\n  input: {rules: [email, phone, card, cn_id, secrets], action: mask}",
        "praxis.guard:\n  input:\n    - rules: [personal]\n      action: mask\n    - rules: [all, ip_address]\n      action: flag\n  on_error: pass",
        "praxis:\n  guard:\n    output: {categories: [hate, violence/graphic, rivals], threshold: 0.5, action: block}",
        "praxis.guard:\n  output: {categories: {hate: 0.8, sexual: 0}, action: flag}",
        "praxis.guard:\n  output: {rules: secrets, categories: all, action: block}",
        "praxis.guard:\n  input: {categories: [anything], judge: qwen, action: block}",
    ] {
        assert_eq!(said(keys), "", "{keys}");
    }
}

#[test]
fn a_guard_that_cannot_be_meant_is_told_with_the_fix() {
    for (keys, parts) in [
        (
            "praxis.guard: yes",
            &["prompts/a.prompt:5:1", "must be a mapping"][..],
        ),
        ("praxis.guard: {}", &["guards nothing", "write a step"]),
        (
            "praxis.guard:\n  inputs: {rules: [email], action: mask}\n  output: {rules: [email], action: mask}",
            &[
                "prompts/a.prompt:6:3",
                "unknown key `guard.inputs`",
                "did you mean `input`?",
            ],
        ),
        (
            "praxis.guard:\n  input:\n    rules: [emial]\n    action: mask",
            &[
                "prompts/a.prompt:7:5",
                "\"emial\", which is none of",
                "did you mean `email`?",
            ],
        ),
        (
            "praxis.guard:\n  input:\n    rules: [email]\n    action: blok",
            &["prompts/a.prompt:8:5", "did you mean `block`?"],
        ),
        (
            "praxis.guard:\n  input:\n    rules: [email]",
            &["prompts/a.prompt:6:3", "has no `action`"],
        ),
        (
            "praxis.guard:\n  input:\n    action: block",
            &["looks for nothing"],
        ),
        (
            "praxis.guard:\n  input: {rules: [email], threshold: 0.5, action: block}",
            &["`threshold` goes with `categories`"],
        ),
        (
            "praxis.guard:\n  input: {rules: [ip_address], action: block}",
            &["`ip_address` can only be flagged", "action: flag"],
        ),
        (
            "praxis.guard:\n  input: {rules: [], action: block}",
            &["names nothing"],
        ),
        (
            "praxis.guard:\n  output: {categories: [hate], action: mask}",
            &["cannot be masked for its category", "a step of their own"],
        ),
        (
            "praxis.guard:\n  output:\n    categories: [hate]\n    threshold: 2\n    action: block",
            &["prompts/a.prompt:8:5", "from 0 to 1, not 2"],
        ),
        (
            "praxis.guard:\n  output: {categories: {hate: high}, action: block}",
            &["`hate` must be a number"],
        ),
        (
            "praxis.guard:\n  output: {categories: 3, action: block}",
            &["must be a list of categories", "thresholds such as"],
        ),
        (
            "praxis.guard:\n  output: {categories: [hate, 3], action: block}",
            &["must be a list of categories"],
        ),
        (
            "praxis.guard:\n  output: {categories: [violenec], action: block}",
            &[
                "prompts/a.prompt:6:25",
                "no category `violenec`",
                "did you mean `violence`?",
            ],
        ),
        (
            "praxis.guard:\n  output: {categories: [hate], judge: qwem, action: block}",
            &["no model `qwem`", "did you mean `qwen`?"],
        ),
        (
            "praxis.guard:\n  output: {categories: [hate], judge: 3, action: block}",
            &["must be the name of a chat model"],
        ),
        (
            "praxis.guard:\n  output: {categories: [hate], judge: qwen, threshold: 0.5, action: block}",
            &["a judge gives no scores"],
        ),
        (
            "praxis.guard:\n  output: {rules: [email], action: flag}\n  on_error: pas",
            &["prompts/a.prompt:7:3", "did you mean `pass`?"],
        ),
        ("praxis.guard:\n  input: [3]", &["3 is no step"]),
        ("praxis.guard:\n  input: []", &["`guard.input` has no step"]),
        (
            "praxis.gaurd:\n  input: {rules: [email], action: mask}",
            &["unknown key `gaurd`", "did you mean `guard`?"],
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
}
