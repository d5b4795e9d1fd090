//! Tests of the table of prices, and of what is found in one.

use super::*;

fn price(text: &str) -> Prices {
    Prices::read(&format!("date = 2026-11-27\n[prices]\n{text}")).unwrap()
}

/// An entry with an input price by which it is told from others.
fn entry(models: &str, input: u32) -> String {
    format!(
        "{{ models = [{models}], input = {input}, output = 1, seen = 2026-11-01, source = \"x\" }}"
    )
}

#[test]
fn the_builtin_prices_are_sound() {
    let prices = Prices::builtin().unwrap();
    let all: Vec<(&str, &Listed)> = prices.entries().collect();
    assert!((60..=150).contains(&all.len()), "{}", all.len());
    let date = prices.dates().next().unwrap();
    for (provider, listed) in all {
        let Listed { models, price, .. } = listed;
        let seen: Date = listed.seen.parse().unwrap();
        assert!(seen <= date, "{provider} {models:?}");
        assert!(listed.source.starts_with("https://"), "{models:?}");
        assert!(price.input > 0.0 && price.input <= 1000.0, "{models:?}");
        // Embedders have no answer to pay.
        let embeds = models.iter().all(|name| name.contains("embed"));
        assert_eq!(price.output == 0.0, embeds, "{models:?}");
        assert!(price.output <= 1000.0, "{models:?}");
        assert!(
            price
                .cached_input
                .is_none_or(|p| 0.0 < p && p < price.input)
        );
        assert!(price.cache_write.is_none_or(|p| price.input <= p));
        // Long prompts cost more, in each of their parts.
        for tier in price.above.iter() {
            assert!(tier.tokens >= 100_000, "{models:?}");
            assert!(
                tier.input > price.input && tier.output > price.output,
                "{models:?}"
            );
            assert_eq!(
                tier.cached_input.is_some(),
                price.cached_input.is_some(),
                "{models:?}"
            );
        }
    }
}

#[test]
fn long_prompts_have_prices_of_their_own() {
    let prices = Prices::builtin().unwrap();
    let usage = |input_tokens| praxis_core::Usage {
        input_tokens,
        ..praxis_core::Usage::default()
    };
    for (provider, model, bound, times) in [
        ("anthropic", "claude-haiku-5-5", 100_000, 5.0),
        ("gemini", "gemini-2.5-pro", 200_000, 2.0),
        ("openai", "gpt-5.5", 272_000, 2.0),
    ] {
        let (price, _) = prices.find(provider, model).unwrap();
        let (short, long) = (price.cost(usage(bound)), price.cost(usage(bound + 1)));
        let ratio = long.0 as f64 / short.0 as f64;
        assert!((ratio - times).abs() < 0.01, "{model}: {short} {long}");
        // What is reserved covers the tier that the prompt may come into.
        assert!(price.most(bound + 1, 0) >= long && price.most(bound, 0) < long);
    }
}

#[test]
fn each_provider_with_prices_of_its_own_has_some() {
    let prices = Prices::builtin().unwrap();
    let with: BTreeSet<&str> = prices.entries().map(|(provider, _)| provider).collect();
    let expected = [
        "anthropic",
        "bedrock",
        "deepseek",
        "gemini",
        "groq",
        "mistral",
        "moonshot",
        "openai",
        "qwen",
        "zhipu",
    ];
    assert_eq!(with, BTreeSet::from(expected));
}

#[test]
fn models_are_found_by_their_names() {
    let prices = Prices::builtin().unwrap();
    for (provider, model, input) in [
        ("openai", "gpt-4o", Some(2.5)),
        // A pattern, and an exact name before it.
        ("openai", "gpt-4o-2024-08-06", Some(2.5)),
        ("openai", "gpt-4o-2024-05-13", Some(5.0)),
        // Of another seller.
        ("azure", "gpt-4o", Some(2.5)),
        ("openai-responses", "gpt-4o", Some(2.5)),
        ("groq", "gpt-4o", None),
        // A relative that costs something else.
        ("openai", "gpt-4o-audio-preview", None),
        ("openai", "ft:gpt-4o:acme", None),
        ("openai", "", None),
        ("openai", "gpt-4o-mini-2024-07-18", Some(0.15)),
        ("anthropic", "claude-haiku-4-5-20251001", Some(1.0)),
        ("bedrock", "anthropic.claude-opus-5", Some(5.5)),
        ("bedrock", "us.anthropic.claude-opus-5", Some(5.5)),
        ("bedrock", "eu.anthropic.claude-opus-5-v1:0", Some(5.5)),
        ("bedrock", "apac.amazon.nova-pro-v1:0", Some(0.8)),
        // The whole world has a price of its own, or that of a region.
        ("bedrock", "global.anthropic.claude-opus-5", Some(5.0)),
        ("bedrock", "global.amazon.nova-pro-v1:0", Some(0.8)),
        ("bedrock", "moon.anthropic.claude-opus-5", None),
        ("openai", "us.gpt-4o", None),
        ("ollama", "gpt-4o", None),
        ("nobody", "gpt-4o", None),
    ] {
        let found = prices.find(provider, model);
        assert_eq!(found.map(|(p, _)| p.input), input, "{provider} {model}");
    }
    let (_, seen) = prices.find("openai", "gpt-4o").unwrap();
    assert!(seen.parse::<Date>().is_ok(), "{seen}");
}

#[test]
fn an_exact_name_goes_before_the_longest_pattern() {
    let entries = [
        entry("\"a*\"", 1),
        entry("\"a-b*\"", 2),
        entry("\"a-b-c\", \"a-*\"", 3),
    ];
    let prices = price(&format!("vllm = [{}]", entries.join(",")));
    for (model, input) in [
        ("a", Some(1.0)),
        ("ab", Some(1.0)),
        ("a-b", Some(2.0)),
        ("a-bx", Some(2.0)),
        ("a-b-c", Some(3.0)),
        ("a-b-c-d", Some(2.0)),
        ("a-c", Some(3.0)),
        ("b", None),
    ] {
        let found = prices.find("vllm", model);
        assert_eq!(found.map(|(p, _)| p.input), input, "{model}");
    }
}

#[test]
fn prices_of_ones_own_go_before() {
    let own = price(&format!("openai = [{}]", entry("\"gpt-4o*\"", 7)));
    let prices = own.before(&Prices::builtin().unwrap());
    for (provider, model, input) in [
        ("openai", "gpt-4o", 7.0),
        ("azure", "gpt-4o-mini", 7.0),
        ("openai", "gpt-4.1", 2.0),
        ("groq", "llama-3.1-8b-instant", 0.05),
    ] {
        let (price, _) = prices.find(provider, model).unwrap();
        assert_eq!(price.input, input, "{model}");
    }
    assert_eq!(prices.dates().count(), 2);
}

#[test]
fn a_day_may_be_a_text_or_a_date() {
    let text = "date = \"2026-11-27\"\n[prices]\nzhipu = [{ models = [\"m\"], input = 1, output = 2, \
                seen = \"2026-11-27\", source = \"s\" }]";
    let prices = Prices::read(text).unwrap();
    let (price, seen) = prices.find("zhipu", "m").unwrap();
    assert_eq!((price.input, price.output, seen), (1.0, 2.0, "2026-11-27"));
}

#[test]
fn a_broken_file_names_its_entry() {
    let good = "date = 2026-11-27\n[prices]\ngroq = [{ models = [\"one\"], input = 1, output = 2, \
                seen = 2026-11-01, source = \"s\" }]";
    assert!(Prices::read(good).is_ok());
    let of_one = "prices.groq `one`: ";
    for (from, to, at, expected) in [
        (
            "output = 2",
            "outputt = 2",
            of_one,
            "unknown field `outputt`",
        ),
        ("output = 2, ", "", of_one, "missing field `output`"),
        ("input = 1, ", "", of_one, "missing field `input`"),
        ("input = 1", "input = -1", of_one, "from 0 to 1000"),
        ("input = 1", "input = nan", of_one, "from 0 to 1000"),
        ("output = 2", "output = 2e6", of_one, "from 0 to 1000"),
        ("output = 2", "output = \"2\"", of_one, "invalid type"),
        ("seen = 2026-11-01, ", "", of_one, "missing field `seen`"),
        ("2026-11-01", "\"November\"", of_one, "`November` is no day"),
        (
            "2026-11-01",
            "2026-11-28",
            of_one,
            "after the file's `date`",
        ),
        ("\"s\"", "\" \"", of_one, "`source` is empty"),
        (
            "output = 2",
            "output = 2, above = [{ tokens = 9, input = -1 }]",
            of_one,
            "from 0 to 1000",
        ),
        (
            "output = 2",
            "output = 2, above = [{ tokens = 0, input = 1 }]",
            of_one,
            "at least 1",
        ),
        (
            "[\"one\"]",
            "[\"one\", \"one\"]",
            of_one,
            "`one` is listed twice",
        ),
        (
            "[\"one\"]",
            "[\"one\", \"a*b\"]",
            of_one,
            "`models` are names",
        ),
        (
            "one",
            "one**",
            "prices.groq `one**`: ",
            "`models` are names",
        ),
        (
            "[\"one\"]",
            "[]",
            "prices.groq, entry 1: ",
            "`models` are names",
        ),
        (
            "models",
            "model",
            "prices.groq, entry 1: ",
            "unknown field `model`",
        ),
        ("groq", "grok", "prices.grok: ", "did you mean `groq`?"),
        (
            "groq",
            "local",
            "prices.local: ",
            "no provider is called `local`",
        ),
        ("2026-11-27", "\"today\"", "date: ", "`today` is no day"),
        ("date =", "day =", "line 1: ", "unknown field `day`"),
        ("groq = [", "groq = [[", "line 3: ", ""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        let problem = Prices::read(&bad).unwrap_err().to_string();
        assert!(problem.starts_with(at), "{at} is missing in {problem}");
        assert!(
            problem.contains(expected),
            "{expected} is missing in {problem}"
        );
    }
}
