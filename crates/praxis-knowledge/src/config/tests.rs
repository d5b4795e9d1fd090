//! What is wrong with a base's file is told by its key, with the fix.

use super::*;

/// The keys that have a problem.
fn keys(toml: &str) -> Vec<String> {
    let config: BaseConfig = toml::from_str(toml).unwrap();
    let problems = config.problems();
    for problem in &problems {
        let name = problem.path.rsplit('.').next().unwrap();
        assert!(problem.message.contains(name), "{problem}");
        let help = problem.help.as_deref().unwrap_or_default();
        assert!(!help.is_empty(), "{problem}");
    }
    problems.into_iter().map(|problem| problem.path).collect()
}

#[test]
fn settings_that_could_only_be_a_mistake_are_told_by_their_keys() {
    for (toml, key) in [
        ("[search]\nthreshold = 5.0", "search.threshold"),
        ("[search]\nthreshold = -0.1", "search.threshold"),
        ("[search]\nthreshold = nan", "search.threshold"),
        ("[search]\nexpand_tokens = 1000000", "search.expand_tokens"),
        ("[search]\ndiversity = 1.5", "search.diversity"),
        ("[segment]\nmax_tokens = 8", "segment.max_tokens"),
        ("[segment]\nmin_tokens = 200", "segment.min_tokens"),
        ("[segment]\nmax_tokens = 16", "segment.min_tokens"),
        ("[source]\nmax_file_bytes = 0", "source.max_file_bytes"),
        (
            "[[sources]]\ntype = \"jsonl\"\nname = \"a\"\npaths = [\"a.jsonl\"]\n\
             [[sources]]\ntype = \"jsonl\"\nname = \"b\"\npaths = [\"b\"]\nmax_file_bytes = 0",
            "sources.1.max_file_bytes",
        ),
    ] {
        assert_eq!(keys(toml), [key], "{toml}");
    }
}

#[test]
fn what_is_within_its_range_is_taken() {
    for toml in [
        "",
        "[search]\nthreshold = 0\nexpand_tokens = 0\ndiversity = 0.3",
        "[search]\nthreshold = 1.0\nexpand_tokens = 32000",
        "[segment]\nmax_tokens = 32\nmin_tokens = 32",
        "[segment]\nmax_tokens = 2048\nmin_tokens = 0",
    ] {
        assert_eq!(keys(toml), Vec::<String>::new(), "{toml}");
    }
}
