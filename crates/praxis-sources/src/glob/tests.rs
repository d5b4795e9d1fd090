//! What globs of paths fit, and that they never fit more than the same glob read without folders.

use proptest::prelude::*;

use super::*;

fn fits(glob: &str, path: &str) -> bool {
    path_glob(glob).unwrap().compile_matcher().is_match(path)
}

#[test]
fn a_star_stays_within_a_folder_and_two_cross_folders() {
    for (glob, path, expected) in [
        ("*.md", "a.md", true),
        ("*.md", "docs/a.md", false),
        ("docs/*", "docs/a.md", true),
        ("docs/*", "docs/old/a.md", false),
        ("docs/?.md", "docs/a.md", true),
        ("docs?a.md", "docs/a.md", false),
        ("**", "a/b/c.md", true),
        ("**/*.md", "a.md", true),
        ("**/*.md", "a/b/c.md", true),
        ("docs/**", "docs/old/a.md", true),
        ("docs/**", "docs.md", false),
        ("docs/**/a.md", "docs/a.md", true),
        ("docs/**/a.md", "docs/x/y/a.md", true),
        ("../wiki/*.md", "../wiki/a.md", true),
        ("../wiki/*.md", "../wiki/b/a.md", false),
        ("{docs,wiki}/*", "wiki/a.md", true),
        ("{docs/**,wiki/*}", "docs/b/a.md", true),
        ("{docs/**,wiki/*}", "wiki/b/a.md", false),
        ("*/*", "docs/a.md", true),
    ] {
        assert_eq!(fits(glob, path), expected, "{glob}: {path}");
    }
}

#[test]
fn two_stars_cross_folders_wherever_they_stand() {
    for (glob, path, expected) in [
        ("manual:*", "manual:pump.md", true),
        ("manual:*", "manual:docs/pump.md", false),
        ("manual:**", "manual:docs/pump.md", true),
        ("manual:**", "manual:pump.md", true),
        ("manual:**/*.md", "manual:docs/a/pump.md", true),
        ("manual:**", "other:pump.md", false),
        ("**#1", "tickets/a.jsonl#1", true),
        ("**#1", "tickets/a.jsonl#2", false),
        ("{**,x}", "a/b", true),
        ("{manual:**,wiki/*}", "manual:a/b.md", true),
        ("{manual:**,wiki/*}", "wiki/a/b.md", false),
        ("a***z", "a/b/z", true),
        ("https://example.com/*", "https://example.com/a", true),
        ("https://example.com/*", "https://example.com/a/b", false),
        ("https://example.com/**", "https://example.com/a/b", true),
        ("[**]/a", "*/a", true),
        ("\\*\\*", "**", true),
        ("\\*\\*", "a", false),
    ] {
        assert_eq!(fits(glob, path), expected, "{glob}: {path}");
    }
}

#[test]
fn what_is_wrong_is_told_of_what_was_written() {
    for glob in ["a[", "{a", "manual:**["] {
        let error = path_glob(glob).unwrap_err();
        assert_eq!(error.glob(), Some(glob), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_glob_of_paths_fits_nothing_that_it_would_not_fit_without_folders(
        glob in "[ab/*?{},\\[\\]!:\\\\]{0,12}",
        path in "[ab/:,]{0,10}",
    ) {
        if let Ok(wide) = Glob::new(&glob) {
            let narrow = path_glob(&glob);
            prop_assert!(narrow.is_ok(), "{glob}: {narrow:?}");
            let fits = narrow.unwrap().compile_matcher().is_match(&path);
            prop_assert!(!fits || wide.compile_matcher().is_match(&path), "{glob}: {path}");
        }
    }
}
