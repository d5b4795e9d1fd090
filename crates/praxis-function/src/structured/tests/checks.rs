//! Semantic validators: what they accept, what they say, and how mistakes in them are reported.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::checks::Checks;
use super::{any_json, any_text};

fn said(checks: Value, output: &Value, passages: usize) -> Vec<String> {
    Checks::parse(&checks)
        .unwrap_or_else(|e| panic!("{checks}: {e:?}"))
        .evaluate(output, passages)
        .violations
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn each_kind_says_what_is_found_and_what_is_wanted() {
    for (check, good, bad, words) in [
        (
            json!({"length": {"max": 3}}),
            json!("abc"),
            json!("abcd"),
            "The whole output: found 4 characters; wanted at most 3 characters",
        ),
        (
            json!({"length": {"min": 1, "max": 2}, "at": "l"}),
            json!({"l": [1]}),
            json!({"l": []}),
            "`l`: found 0 items; wanted 1 to 2 items",
        ),
        (
            json!({"words": {"min": 4}}),
            json!("two words 两个"),
            json!("it's one-word twice"),
            "The whole output: found 3 words; wanted at least 4 words",
        ),
        (
            json!({"regex": r"^\d{4}$", "at": "items.*.code"}),
            json!({"items": [{"code": "1234"}]}),
            json!({"items": [{"code": "1234"}, {"code": "x"}]}),
            r#"`items[1].code`: found "x"; wanted a text that matches ^\d{4}$"#,
        ),
        (
            json!({"not_regex": "(?i)as an ai"}),
            json!("hello"),
            json!("As an AI model"),
            "The whole output: found `As an AI`; wanted no text that matches (?i)as an ai",
        ),
        (
            json!({"one_of": ["low", "high"], "at": "/p"}),
            json!({"p": "low"}),
            json!({"p": "hihg"}),
            r#"`p`: found "hihg"; wanted one of "low" or "high", perhaps "high""#,
        ),
        (
            json!("no_pii"),
            json!({"a": ["fine"]}),
            json!({"a": ["x", "me@mail.example.org, 13800138000"]}),
            "`a[1]`: found an e-mail address and a phone number; wanted the same without personal data: leave it out or write [removed]",
        ),
        (
            json!("no_pii"),
            json!({"a": [12, 3.5, 13_800_138_000.5]}),
            json!({"a": [12, {"b": 13_800_138_000u64}]}),
            "`a[1].b`: found a phone number; wanted the same without personal data: leave it out or write [removed]",
        ),
        (
            json!({"no_pii": true, "message": "no names of people"}),
            json!("ok"),
            json!("4111111111111111"),
            "The whole output: found a card number; wanted no names of people",
        ),
        (
            json!({"must_cite": true}),
            json!("So it is [2]."),
            json!("So it is."),
            "The whole output: found no citation; wanted after each statement the number of the passage it is from, [1] to [2]",
        ),
        (
            json!({"must_cite": {"every_sentence": true}}),
            json!("It opens at nine [1]. It is 3.5 km away. [2]\n## How\n它在九点开门。【1】"),
            json!("It opens at nine [1]. Nobody knows why it does. It closes at six [2]."),
            "The whole output: found a sentence without a citation: Nobody knows why it does.; wanted after each sentence the number of its passage, [1] to [2]",
        ),
        (
            json!({"language": "zh"}),
            json!({"a": "图书馆九点开门"}),
            json!("It opens at nine"),
            "The whole output: found text that is not Chinese: It opens at nine; wanted the text in Chinese (中文)",
        ),
        (
            json!({"language": "en"}),
            json!("42"),
            json!("图书馆"),
            "The whole output: found text that is Chinese: 图书馆; wanted the text in English",
        ),
    ] {
        assert_eq!(
            said(json!([check]), &good, 2),
            Vec::<String>::new(),
            "{check}"
        );
        assert_eq!(said(json!([check]), &bad, 2), [words], "{check}");
    }
    // A place that is not there is the schema's to miss; without passages no citation is.
    assert!(
        said(
            json!([{"length": {"min": 9}, "at": "x.y"}, "must_cite"]),
            &json!({}),
            0
        )
        .is_empty()
    );
    assert_eq!(
        said(json!(["must_cite"]), &json!("So [1] and [7]."), 2).len(),
        1
    );
}

#[test]
fn functions_are_reported_and_their_results_judged() {
    let checks = Checks::parse(&json!([{"function": "polite", "at": "a.*"}])).unwrap();
    assert_eq!(checks.functions().collect::<Vec<_>>(), ["polite"]);
    let pending = checks.evaluate(&json!({"a": ["x", "y"]}), 0).pending;
    let paths: Vec<&str> = pending.iter().map(|p| p.path.as_str()).collect();
    assert_eq!(paths, ["a[0]", "a[1]"]);
    for (result, words) in [
        (json!(true), Ok(None)),
        (json!({"ok": true}), Ok(None)),
        (json!(false), Ok(Some("an output that passes `polite`"))),
        (
            json!({"ok": false, "message": "say please"}),
            Ok(Some("say please")),
        ),
        (json!("yes"), Err(())),
    ] {
        let judged = pending[0].judged(&result);
        let wanted = judged.map(|v| v.map(|v| v.wanted)).map_err(|_| ());
        assert_eq!(wanted, words.map(|w| w.map(str::to_owned)), "{result}");
    }
}

#[test]
fn mistakes_are_reported_with_their_place_and_the_likely_meaning() {
    for (source, place, message) in [
        (
            json!({}),
            "praxis.checks",
            "checks are a list, such as `- length: {max: 400}`",
        ),
        (
            json!([3]),
            "praxis.checks[0]",
            "a check is a mapping such as `length: {max: 400}`",
        ),
        (
            json!([{"lenght": {"max": 1}}]),
            "praxis.checks[0].lenght",
            "`lenght` is no kind of check; did you mean `length`?",
        ),
        (
            json!([{"length": {"mx": 1}}]),
            "praxis.checks[0].length.mx",
            "`mx` is no bound; did you mean `max`?",
        ),
        (
            json!([{"length": {"max": -1}}]),
            "praxis.checks[0].length.max",
            "a whole number, 0 or more",
        ),
        (
            json!([{"length": {"min": 3, "max": 1}}]),
            "praxis.checks[0].length",
            "min (3) is above max (1)",
        ),
        (
            json!([{"regex": "("}]),
            "praxis.checks[0].regex",
            "`(` is no regular expression: unclosed group",
        ),
        (
            json!([{"regex": "(a{1000}){1000}"}]),
            "praxis.checks[0].regex",
            "the expression becomes too big",
        ),
        (
            json!([{"one_of": []}]),
            "praxis.checks[0].one_of",
            "a list of values, such as `[low, high]`",
        ),
        (
            json!([{"no_pii": false}]),
            "praxis.checks[0].no_pii",
            "write `no_pii: true`, or leave the check out",
        ),
        (
            json!([{"must_cite": {"every_sentense": true}}]),
            "praxis.checks[0].must_cite.every_sentense",
            "`every_sentense` is no option of `must_cite`; did you mean `every_sentence`?",
        ),
        (
            json!([{"language": "fr"}]),
            "praxis.checks[0].language",
            "`fr` is no language that can be checked; there are zh and en",
        ),
        (
            json!([{"function": ""}]),
            "praxis.checks[0].function",
            "the name of a function of this application",
        ),
        (
            json!([{"at": "a"}]),
            "praxis.checks[0]",
            "a check needs a kind: length, words, regex, not_regex, one_of, no_pii, must_cite, language, function",
        ),
        (
            json!([{"no_pii": true, "language": "en"}]),
            "praxis.checks[0]",
            "write no_pii and language as checks of their own",
        ),
        (
            json!([{"no_pii": true, "at": "a..b"}]),
            "praxis.checks[0].at",
            "`a..b` is not a place in the output; write it as `items.*.name` or `/items/0/name`",
        ),
        (
            json!(["no_pii", {"no_pii": true, "message": 1}]),
            "praxis.checks[1].message",
            "a message is a text",
        ),
    ] {
        let problems = Checks::parse(&source).unwrap_err();
        assert_eq!(
            problems,
            [(place.to_owned(), message.to_owned())],
            "{source}"
        );
    }
}

proptest! {
    #[test]
    fn no_declaration_and_no_output_panics(
        kind in prop::sample::select(vec!["length", "words", "regex", "not_regex", "one_of", "no_pii",
            "must_cite", "language", "function", "at", "message", "other"]),
        argument in any_json(),
        at in any_text(),
        output in any_json(),
        passages in 0usize..3,
    ) {
        for source in [json!([{kind: argument, "at": at}]), json!([{kind: argument}]), json!(argument)] {
            if let Ok(checks) = Checks::parse(&source) {
                checks.evaluate(&output, passages);
            }
        }
        let all = json!(["no_pii", {"must_cite": {"every_sentence": true}}, {"language": "zh"},
            {"words": {"max": 1}}, {"length": {"min": 2}}, {"regex": "^a"}, {"not_regex": "b|题"}]);
        Checks::parse(&all).unwrap().evaluate(&output, passages);
    }

    #[test]
    fn no_text_panics_a_check(text in "([0-9A-Z+ ()@.\\[\\]-]|\\PC){0,60}") {
        let all = json!(["no_pii", {"must_cite": {"every_sentence": true}}, {"words": {"max": 1}}]);
        Checks::parse(&all).unwrap().evaluate(&json!(text), 2);
    }
}
