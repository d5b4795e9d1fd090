//! What files of MCP servers may say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use super::*;

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

/// The keys that are wrong.
fn wrong(text: &str) -> Vec<String> {
    let problems = config(text).problems();
    assert!(
        problems.iter().all(|problem| problem.help.is_some()),
        "{text}"
    );
    problems.into_iter().map(|problem| problem.path).collect()
}

#[test]
fn what_is_wrong_is_told_with_its_key() {
    for (text, keys) in [
        ("", &[""][..]),
        ("command = [\"server\"]", &[]),
        ("command = [\"\"]", &["command"]),
        ("url = \"https://example.org/mcp\"", &[]),
        (
            "url = \"https://example.org/mcp\"\ncommand = [\"server\"]",
            &["url"],
        ),
        ("url = \"http://example.org/mcp\"", &["url"]),
        (
            "url = \"http://127.0.0.1:3000/mcp\"\nallow_private = true",
            &[],
        ),
        ("url = \"ftp://example.org/\"", &["url"]),
        ("url = \"https://me:secret@example.org/mcp\"", &["url"]),
        (
            "url = \"https://example.org/\"\ncwd = \"a\"\nenv = { A = \"b\" }",
            &["env", "cwd"],
        ),
        (
            "command = [\"server\"]\nbearer = \"env:TOKEN\"",
            &["bearer"],
        ),
        (
            "command = [\"server\"]\nallow_private = true",
            &["allow_private"],
        ),
        (
            "command = [\"server\"]\nenv = { \"A=B\" = \"c\" }",
            &["env.A=B"],
        ),
        (
            "command = [\"server\"]\nenv = { A = \"env:1\" }",
            &["env.A"],
        ),
        (
            "url = \"https://example.org/\"\nbearer = \"sk-live\"",
            &["bearer"],
        ),
        (
            "url = \"https://example.org/\"\nheaders = { Mcp-Session-Id = \"1\" }",
            &["headers.Mcp-Session-Id"],
        ),
        (
            "url = \"https://example.org/\"\nheaders = { \"a b\" = \"1\" }",
            &["headers.a b"],
        ),
        (
            "url = \"https://example.org/\"\nbearer = \"env:A\"\n[oauth]\nscopes = [\"a\"]",
            &["oauth"],
        ),
        (
            "url = \"https://example.org/\"\n[oauth]\nclient_secret = \"env:A\"",
            &["oauth.client_secret"],
        ),
        (
            "url = \"https://example.org/\"\n[oauth]\nclient_id = \"a\"\nclient_secret = \"b\"",
            &["oauth.client_secret"],
        ),
        (
            "url = \"https://example.org/\"\n[oauth]\nclient_metadata_url = \"http://a.test/b\"",
            &["oauth.client_metadata_url"],
        ),
        (
            "command = [\"server\"]\ntools = [\"a\", \"[\"]",
            &["tools.1"],
        ),
        ("command = [\"server\"]\nprotocol = \"2025-11-25\"", &[]),
        (
            "command = [\"server\"]\nprotocol = \"2020-01-01\"",
            &["protocol"],
        ),
        (
            "command = [\"server\"]\ntimeout = \"10m\"\nlongest = \"1m\"",
            &["longest"],
        ),
        ("command = [\"server\"]\nsampling = \"\"", &["sampling"]),
        (
            "command = [\"server\"]\nsampling_tokens = 0",
            &["sampling_tokens"],
        ),
    ] {
        assert_eq!(wrong(text), keys, "{text}");
    }
}

#[test]
fn a_secret_that_was_written_into_the_file_is_not_told() {
    let text = "url = \"https://example.org/\"\nbearer = \"sk-live-123\"";
    let told = format!("{:?}", config(text).problems());
    assert!(!told.contains("sk-live"), "{told}");
}

#[test]
fn nothing_that_a_server_may_ask_is_on_unless_it_is_said() {
    let plain = config("command = [\"server\"]");
    assert!(!plain.roots && !plain.trust_hints && plain.sampling.is_none());
    assert_eq!(plain.elicitation, Elicitation::Decline);
    assert_eq!(plain.media, Media::Describe);
    assert!(plain.resources && plain.prompts && !plain.may_log_in());
    assert_eq!(plain.timeout(), Duration::from_secs(60));
    assert_eq!(plain.longest(), Duration::from_secs(600));
    assert!(toml::from_str::<Config>("command = [\"a\"]\nsamplin = \"m\"").is_err());
}

#[test]
fn a_login_is_for_urls_without_a_token() {
    for (text, may) in [
        ("url = \"https://example.org/\"", true),
        ("url = \"https://example.org/\"\nbearer = \"env:A\"", false),
        (
            "url = \"https://example.org/\"\nheaders = { authorization = \"env:A\" }",
            false,
        ),
        (
            "url = \"https://example.org/\"\nheaders = { X-Key = \"env:A\" }",
            true,
        ),
    ] {
        assert_eq!(config(text).may_log_in(), may, "{text}");
    }
}

#[test]
fn tools_are_chosen_by_globs() {
    for (globs, tool, has) in [
        (&[][..], "read_file", true),
        (&["read_*"], "read_file", true),
        (&["read_*"], "write_file", false),
        (&["!write_*"], "read_file", true),
        (&["!write_*"], "write_file", false),
        (&["*_file", "!write_*"], "write_file", false),
        (&["*_file", "!write_*"], "list_files", false),
        (&["a/*"], "a/b/c", true),
    ] {
        let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        assert_eq!(
            Wanted::new(&globs).unwrap().has(tool),
            has,
            "{globs:?} {tool}"
        );
    }
}
