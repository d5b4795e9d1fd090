//! What `praxis.cache` cannot mean is found when a prompt is loaded, with its place and the fix.

use super::*;

/// What is said of a prompt with these keys, which begin on line 5.
fn said(keys: &str) -> String {
    let source = format!("---\ninput:\n  schema:\n    question: string\n{keys}\n---\nx");
    let dir = folder(&[("a.prompt", &source)]);
    let problems = check(&dir.path().join("prompts"), &known());
    problems.iter().map(|p| p.render(false)).collect()
}

#[test]
fn answers_are_kept_for_a_time_or_with_more_to_say() {
    for keys in [
        "praxis.cache: 1h",
        "praxis:\n  cache: 30m",
        "praxis.cache: {similar: 0.95, ttl: 1h, max: 1000}",
        "praxis.cache:\n  similar: 1\n  ttl: 7d",
        "config:\n  temperature: 0.2\npraxis.cache: 1h",
    ] {
        assert_eq!(said(keys), "", "{keys}");
    }
}

#[test]
fn a_cache_that_cannot_be_meant_is_told_with_the_fix() {
    for (keys, parts) in [
        (
            "praxis.cache: true",
            &[
                "error",
                "prompts/a.prompt:5:1",
                "`praxis.cache` is true, which says no span of time",
                "`{similar: 0.95, ttl: 1h, max: 1000}`",
            ][..],
        ),
        (
            "praxis.cache: long",
            &["`cache`: `long` is not a span of time", "`1h`"],
        ),
        ("praxis.cache: 60", &["is 60, which says no span of time"]),
        (
            "praxis.cache: {similar: 0.9}",
            &["does not say for how long: `ttl` is missing"],
        ),
        (
            "praxis.cache:\n  ttl: 1 week",
            &["prompts/a.prompt:6:3", "`cache.ttl`: `1 week`"],
        ),
        (
            "praxis.cache:\n  ttl: 1h\n  similar: 95",
            &[
                "prompts/a.prompt:7:3",
                "`cache.similar` must be a number from 0.5 to 1, not 95",
                "leave it out",
            ],
        ),
        (
            "praxis.cache:\n  ttl: 1h\n  max: 0",
            &[
                "prompts/a.prompt:7:3",
                "`cache.max` must be a whole number, 1 to 10000, not 0",
                "leave it out for 1000",
            ],
        ),
        (
            "praxis.cache:\n  ttl: 1h\n  similars: 0.9",
            &[
                "prompts/a.prompt:7:3",
                "unknown key `cache.similars`",
                "did you mean `similar`?",
            ],
        ),
        (
            "praxis.caches: 1h",
            &["unknown key `caches`", "did you mean `cache`?"],
        ),
        (
            "tools: [a]\npraxis.cache: 1h",
            &[
                "warning",
                "`praxis.cache` does nothing here",
                "leave out `praxis.cache`, or `tools`",
            ],
        ),
        (
            "config:\n  temperature: 0.9\npraxis.cache: 1h",
            &[
                "warning",
                "`config.temperature: 0.9` has each be another",
                "lower the temperature",
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
}

#[test]
fn a_cache_without_a_question_says_so() {
    let source =
        "---\ninput:\n  schema:\n    from: string\n    to: string\npraxis.cache: 1h\n---\nx";
    let dir = folder(&[("a.prompt", source)]);
    let problems = check(&dir.path().join("prompts"), &known());
    let text: String = problems.iter().map(|p| p.render(false)).collect();
    for part in [
        "warning",
        "no input is the question",
        "`praxis.query: NAME`",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let named = source.replace("praxis.cache", "praxis.query: to\npraxis.cache");
    let dir = folder(&[("a.prompt", &named)]);
    assert!(check(&dir.path().join("prompts"), &known()).is_empty());
}
