//! Functions of an MCP server, as callers have them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use super::*;

fn hints(reads: Option<bool>, destroys: Option<bool>, open: Option<bool>) -> ToolAnnotations {
    ToolAnnotations::from_raw(None, reads, destroys, None, open)
}

#[test]
fn a_hint_lowers_nothing_unless_it_is_trusted() {
    use Effect::{External, Irreversible, Read, Write};
    let (yes, no) = (Some(true), Some(false));
    for (hints, unknown, trusted) in [
        (
            hints(None, None, None),
            &[Write, External][..],
            &[Write, Irreversible, External][..],
        ),
        (hints(yes, None, no), &[Write, External], &[Read]),
        (
            hints(yes, None, None),
            &[Write, External],
            &[Read, External],
        ),
        (hints(yes, yes, no), &[Write, External], &[Read]),
        (hints(no, no, no), &[Write, External], &[Write]),
        (hints(no, no, yes), &[Write, External], &[Write, External]),
        (
            hints(no, yes, no),
            &[Write, External, Irreversible],
            &[Write, Irreversible],
        ),
        (
            hints(None, yes, None),
            &[Write, External, Irreversible],
            &[Write, Irreversible, External],
        ),
    ] {
        assert_eq!(
            effects(false, Some(&hints)),
            Effects::of(unknown),
            "{hints:?}"
        );
        assert_eq!(
            effects(true, Some(&hints)),
            Effects::of(trusted),
            "{hints:?}"
        );
    }
    assert_eq!(effects(true, None), UNKNOWN);
}

#[test]
fn a_description_is_bounded_and_never_empty() {
    let tool = |value: Value| serde_json::from_value::<TheirTool>(value).unwrap();
    let schema = json!({ "type": "object" });
    let bare = tool(json!({ "name": "a", "inputSchema": schema }));
    assert_eq!(
        description("s", &bare),
        "The tool `a` of the MCP server `s`."
    );
    let titled = tool(json!({ "name": "a", "title": "Adds", "inputSchema": schema }));
    assert_eq!(description("s", &titled), "Adds");
    let long = tool(json!({ "name": "a", "description": "ä".repeat(5000), "inputSchema": schema }));
    let told = description("s", &long);
    assert!(
        told.len() <= LONGEST && told.ends_with('…'),
        "{}",
        told.len()
    );
}

#[test]
fn a_description_keeps_its_lines_and_shows_all_that_it_says() {
    let told = json!({
        "name": "a",
        "title": "Ad\u{200b}ds",
        "description": "Adds.\n\n- two\u{e0041}\u{202e} numbers",
        "inputSchema": { "type": "object" },
    });
    let mut tool: TheirTool = serde_json::from_value(told).unwrap();
    assert_eq!(description("s", &tool), "Adds.\n\n- two numbers");
    tool.description = None;
    assert_eq!(description("s", &tool), "Adds");
}

/// A rule for all tools of a server holds for each, whatever the server calls it.
#[test]
fn names_of_tools_stay_below_the_server_and_are_there_once() {
    let tool = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
    let names_of = |all: &[&str]| {
        let mut offer = Offer::default();
        for name in all {
            offer
                .tools
                .push(serde_json::from_value(tool(name)).unwrap());
        }
        let config: Config = toml::from_str("command = [\"x\"]").unwrap();
        names("tracker", &config, &offer)
    };
    assert_eq!(
        names_of(&["issue/delete", "list", "issue.delete", "a\u{202e}b"]),
        ["tracker/issue.delete", "tracker/list"]
    );
}

#[test]
fn a_list_in_a_description_says_when_it_is_cut() {
    let mut text = "Reads.".to_owned();
    listed(&mut text, "Resources", std::iter::empty());
    assert_eq!(text, "Reads.");
    let lines = (0..1000).map(|n| line(&format!("file:///{n}"), "a file", Some("What\nit  is")));
    listed(&mut text, "Resources", lines);
    assert!(text.starts_with("Reads.\nResources:\n- file:///0: What it is\n"));
    assert!(
        text.len() <= LONGEST && text.ends_with("\n- and more"),
        "{}",
        text.len()
    );
}

#[test]
fn a_prompt_is_listed_with_its_arguments() {
    let prompt = json!({
        "name": "review",
        "description": "Reviews code.",
        "arguments": [{ "name": "code", "required": true }, { "name": "style" }],
    });
    let prompt: Prompt = serde_json::from_value(prompt).unwrap();
    assert_eq!(
        prompt_line(&prompt),
        "- review(code, style?): Reviews code."
    );
}
