//! What is kept of what a server offers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::cell::Cell;

use serde_json::json;

use super::*;

fn config(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

fn offer(config: &Config) -> Offer {
    let tool = json!({ "name": "echo", "inputSchema": { "type": "object" } });
    Offer {
        form: FORM,
        server: server_id(config),
        tools: vec![serde_json::from_value(tool).unwrap()],
        ..Offer::default()
    }
}

#[test]
fn a_copy_is_of_one_server_only() {
    let state = tempfile::tempdir().unwrap();
    let ours = config("command = [\"server\", \"a b\"]");
    assert!(kept(state.path(), "s", &ours).is_none());
    keep(state.path(), "s", &offer(&ours)).unwrap();
    assert_eq!(kept(state.path(), "s", &ours), Some(offer(&ours)));
    for other in [
        "command = [\"server\", \"a\", \"b\"]",
        "command = [\"server\", \"a b\"]\ncwd = \"sub\"",
        "command = [\"server\", \"a b\"]\nprotocol = \"2025-06-18\"",
        "url = \"https://example.org/mcp\"",
    ] {
        assert!(kept(state.path(), "s", &config(other)).is_none(), "{other}");
    }
    // Which tools are taken is not the server's.
    let fewer = config("command = [\"server\", \"a b\"]\ntools = [\"x\"]");
    assert!(kept(state.path(), "s", &fewer).is_some());
}

#[test]
fn a_copy_that_is_damaged_is_none() {
    let state = tempfile::tempdir().unwrap();
    let ours = config("command = [\"server\"]");
    disk::replace(&path(state.path(), "s"), &[b"{\"form\":"]).unwrap();
    assert!(kept(state.path(), "s", &ours).is_none());
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_what_is_kept() {
    use std::os::unix::fs::PermissionsExt;
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("deep/er/file");
    disk::replace(&path, &[b"x"]).unwrap();
    disk::replace(&path, &[b"y"]).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"y");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

#[tokio::test]
async fn a_list_ends_however_long_it_is() {
    let asked = Cell::new(0);
    let numbered = |at: Option<PaginatedRequestParams>, items: usize, next: Option<&str>| {
        asked.set(asked.get() + 1);
        let from = at.and_then(|at| at.cursor).unwrap_or_default();
        let page = (vec![from; items], next.map(str::to_owned));
        std::future::ready(Ok::<_, ServiceError>(page))
    };
    // The same page again.
    let (all, cut) = pages(|at| numbered(at, 2, Some("again"))).await.unwrap();
    assert_eq!((all.len(), cut, asked.take()), (4, false, 2));
    // Another page each time.
    let n = Cell::new(0);
    let (all, cut) = pages(|at| {
        n.set(n.get() + 1);
        numbered(at, 1, Some(&n.get().to_string()))
    })
    .await
    .unwrap();
    assert_eq!(
        (all.len(), cut, asked.take()),
        (MOST_PAGES, true, MOST_PAGES)
    );
    // One page of too many.
    let (all, cut) = pages(|at| numbered(at, MOST + 1, None)).await.unwrap();
    assert_eq!((all.len(), cut), (MOST, true));
}
