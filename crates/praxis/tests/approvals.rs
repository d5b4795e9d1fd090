//! Approvals and the log of calls on the command line, through the real binary. Left out: which calls wait, and what an
//! approval is good for (`praxis-tool`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::time::Duration;

use praxis_core::approval::{Entry, Outcome, Wanted, digest};
use praxis_core::function::now_ms;
use praxis_core::trace::redact::sealed;
use praxis_core::{Caller, Effect, Effects, TraceId};
use praxis_store::Store;
use serde_json::{Value, json};
use support::Sandbox;

const HOUR_MS: i64 = 3_600_000;

/// A secret, long enough to be told with its digest.
const SECRET: &str = "correct horse battery staple";

async fn application() -> (Sandbox, Store) {
    let app = Sandbox::empty();
    app.write("praxis.toml", "[app]\nname = \"a\"\n");
    app.write(".praxis/keep", "");
    let store = Store::open(&app.path(".praxis/praxis.db")).await.unwrap();
    (app, store)
}

#[tokio::test]
async fn a_secret_is_shown_where_it_is_asked_for_alone() {
    let (app, store) = application().await;
    let caller = Caller::full();
    let arguments = json!({ "to": "li", "passphrase": SECRET });
    let wanted = Wanted {
        function: "bank/pay".to_owned(),
        effects: Effects::of(&[Effect::Write]),
        digest: digest("bank/pay", &arguments, &caller, None),
        shown: sealed(&arguments, &[vec!["passphrase".to_owned()]]),
        arguments: arguments.clone(),
        caller,
        user: None,
        reason: "it writes".to_owned(),
        scope: "t".to_owned(),
        trace_id: TraceId::from_string("t"),
        valid: Duration::from_secs(3600),
    };
    let reserved = store.reserve_approval(&wanted, now_ms()).await.unwrap();
    let id = reserved.unwrap().id;

    let usual = app.praxis(&["approvals", "show", &id]);
    assert!(usual.ok, "{usual:?}");
    assert!(
        usual.stdout.contains("*** (28 characters") && usual.stdout.contains("\"to\": \"li\""),
        "{usual:?}"
    );
    assert!(usual.stderr.contains("--reveal"), "{usual:?}");
    let masked = app.json(&["approvals", "show", &id]);
    let decided = app.praxis(&["approvals", "approve", &id]);
    for told in [&usual.stdout, &masked.to_string(), &decided.stderr] {
        assert!(!told.contains(SECRET), "{told}");
    }

    let revealed = app.praxis(&["approvals", "show", &id, "--reveal"]);
    assert!(revealed.stdout.contains(SECRET), "{revealed:?}");
    assert!(!revealed.stderr.contains("--reveal"), "{revealed:?}");
    let whole = app.json(&["approvals", "show", &id, "--reveal"]);
    assert_eq!(whole["arguments"], arguments);
}

#[tokio::test]
async fn the_log_is_filtered() {
    let (app, store) = application().await;
    for (function, outcome, hours) in [
        ("shop/refund", Outcome::Done, 50),
        ("shop/refund", Outcome::Denied, 3),
        ("shop/find", Outcome::Done, 2),
        ("bank/pay", Outcome::Denied, 1),
    ] {
        let entry = Entry {
            call: "c".to_owned(),
            function: function.to_owned(),
            effects: Effects::of(&[Effect::Write]),
            digest: "d".to_owned(),
            arguments: json!({}),
            caller: Caller::full(),
            user: None,
            trace_id: TraceId::from_string("t"),
            tainted_by: None,
            decision: "it writes".to_owned(),
            approval: None,
            outcome,
            message: None,
        };
        let at = now_ms() - hours * HOUR_MS;
        store.note_tool_call(&entry, None, at).await.unwrap();
    }
    let numbers = |args: &[&str]| -> Vec<i64> {
        let log = app.json(&[&["approvals", "audit"][..], args].concat());
        let calls = log["calls"].as_array().unwrap();
        let number = |call: &Value| call["number"].as_i64().unwrap();
        calls.iter().map(number).collect()
    };
    for (args, expected) in [
        (&[][..], &[4, 3, 2, 1][..]),
        (&["--function", "shop"], &[3, 2, 1]),
        (&["--function", "shop/refund"], &[2, 1]),
        (&["--outcome", "denied"], &[4, 2]),
        (&["--since", "1d"], &[4, 3, 2]),
        (
            &["--since", "1d", "--function", "shop", "--outcome", "denied"],
            &[2],
        ),
        (&["--function", "shop", "--after", "1"], &[2, 3]),
    ] {
        assert_eq!(numbers(args), expected, "{args:?}");
    }
    let wrong = app.praxis(&["approvals", "audit", "--since", "yesterday"]);
    assert!(!wrong.ok && wrong.stderr.contains("--since"), "{wrong:?}");
}
