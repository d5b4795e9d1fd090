//! API keys and reports of use on the command line, through the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::sync::Arc;

use praxis_core::function::now_ms;
use praxis_core::{Claim, Ledger, Limit, Money, Payer, Secret, Spent, Usage};
use praxis_store::{Clock, Store, hash_of};
use serde_json::{Value, json};
use support::Sandbox;

const CONFIG: &str = "[app]\nname = \"b\"\n";
const DAY_MS: i64 = 86_400_000;

fn application() -> Sandbox {
    let app = Sandbox::empty();
    app.write("praxis.toml", CONFIG);
    app
}

#[cfg(target_os = "linux")]
#[test]
fn a_key_whose_secret_cannot_be_written_is_revoked() {
    let app = application();
    for how in ["--quiet", "--json"] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut command = app.command(&["keys", "create", "ci", how]);
        let run = support::Run::from(command.stdout(full.unwrap()).output().unwrap());
        assert!(!run.ok, "{run:?}");
        for part in ["cannot write the output", "the key is revoked"] {
            assert!(run.stderr.contains(part), "{part}: {run:?}");
        }
    }
    assert!(names(&app, &[]).is_empty());
    assert_eq!(names(&app, &["--all"]), ["ci", "ci"]);
}

fn names(app: &Sandbox, args: &[&str]) -> Vec<String> {
    let list = app.json(&[&["keys", "list"][..], args].concat());
    let keys = list["keys"].as_array().unwrap_or_else(|| panic!("{list}"));
    let name = |key: &Value| key["name"].as_str().unwrap().to_owned();
    keys.iter().map(name).collect()
}

async fn store(app: &Sandbox) -> Store {
    Store::open(&app.path(".praxis/praxis.db")).await.unwrap()
}

#[tokio::test]
async fn a_key_is_made_listed_changed_and_revoked() {
    let app = application();
    let began = now_ms();
    let args = [
        "keys",
        "create",
        "hr",
        "--scope",
        "chat",
        "--scope",
        "embeddings,files",
        "--label",
        "hr",
        "--label",
        "legal",
        "--limit",
        "60 requests/minute",
        "--limit",
        "0.5 usd/day for user:*",
        "--expires",
        "90d",
    ];
    let made = app.json(&args);
    let secret = made["key"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("sk-praxis-"), "{made}");
    assert!(secret.ends_with(made["hint"].as_str().unwrap()), "{made}");
    assert!(made["id"].is_string() && made["first"] == true, "{made}");
    assert_eq!(made["scopes"], json!(["chat", "embeddings", "files"]));
    assert_eq!(made["labels"], json!(["hr", "legal"]));
    let limits = json!(["60 requests/minute", "0.50 usd/day for user:*"]);
    assert_eq!(made["limits"], limits);
    let expires = made["expires_ms"].as_i64().unwrap();
    assert!((began + 90 * DAY_MS..=now_ms() + 90 * DAY_MS).contains(&expires));
    // It is the key that a server finds by what a client sends.
    let store = store(&app).await;
    let hash = hash_of(&Secret::new(secret.as_str()));
    let found = store.key_by_hash(&hash).await.unwrap().unwrap();
    assert_eq!(found.name, "hr");

    let listed = app.json(&["keys", "list"])["keys"][0].clone();
    for field in [
        "name",
        "id",
        "hint",
        "scopes",
        "labels",
        "limits",
        "expires_ms",
    ] {
        assert_eq!(listed[field], made[field], "{field}");
    }
    assert_eq!(
        (&listed["state"], &listed["key"]),
        (&json!("valid"), &Value::Null)
    );
    let run = app.praxis(&["keys", "list"]);
    for part in [
        "hr, legal",
        "chat, embeddings, files",
        "0.50 usd/day for user:*",
    ] {
        assert!(run.ok && run.stdout.contains(part), "{part}: {run:?}");
    }
    assert!(!run.stdout.contains(&secret), "{run:?}");

    let changed = app.json(&["keys", "update", "hr", "--scope", "all", "--never-expires"]);
    assert_eq!(changed["scopes"], json!(["all"]));
    assert_eq!(changed["expires_ms"], Value::Null);
    assert_eq!(
        (&changed["limits"], &changed["labels"]),
        (&limits, &made["labels"])
    );
    let changed = app.json(&[
        "keys",
        "update",
        "hr",
        "--limit",
        "5 usd",
        "--expires",
        "12h",
    ]);
    assert_eq!(
        (&changed["limits"], &changed["scopes"]),
        (&json!(["5 usd"]), &json!(["all"]))
    );
    assert!(changed["expires_ms"].is_i64(), "{changed}");
    let run = app.praxis(&["keys", "update", "hr", "--no-limits"]);
    assert!(run.ok && run.stdout.contains("no limit"), "{run:?}");

    let run = app.praxis(&["keys", "revoke", "hr"]);
    assert!(run.ok && run.stdout.contains("hr is revoked"), "{run:?}");
    assert_eq!(store.key_by_hash(&hash).await.unwrap(), None);
    assert!(names(&app, &[]).is_empty());
    assert_eq!(names(&app, &["--all"]), ["hr"]);
    let run = app.praxis(&["keys", "list", "--all"]);
    assert!(run.ok && run.stdout.contains("revoked"), "{run:?}");
    // Its name is free again.
    assert_eq!(app.json(&["keys", "create", "hr"])["name"], "hr");
    assert_eq!(names(&app, &["--all"]), ["hr", "hr"]);
}

#[test]
fn the_secret_alone_is_on_standard_output() {
    let app = application();
    let run = app.praxis(&["keys", "list"]);
    assert!(
        run.ok && run.stderr.contains("praxis keys create"),
        "{run:?}"
    );
    let run = app.praxis(&["keys", "create", "website"]);
    assert!(run.ok && run.stdout.starts_with("sk-praxis-"), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 1, "{run:?}");
    assert!(!run.stderr.contains(run.stdout.trim()), "{run:?}");
    for part in [
        "not shown again",
        "Authorization: Bearer",
        "documents without labels",
        "first key",
        "started anew",
    ] {
        assert!(run.stderr.contains(part), "{part}: {run:?}");
    }
    let run = app.praxis(&["keys", "create", "desk", "--all-documents"]);
    assert!(run.ok && run.stderr.contains("all documents"), "{run:?}");
    assert!(!run.stderr.contains("first key"), "{run:?}");
    let run = app.praxis(&["keys", "create", "night", "--quiet"]);
    assert!(run.stdout.starts_with("sk-praxis-"), "{run:?}");
    assert!(run.ok && run.stderr.is_empty(), "{run:?}");
    let list = app.json(&["keys", "list"]);
    let labels: Vec<&Value> = list["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|k| &k["labels"])
        .collect();
    assert_eq!(labels, [&Value::Null, &json!([]), &json!([])]);
}

#[test]
fn mistakes_name_the_field_and_the_fix() {
    let app = application();
    assert!(app.praxis(&["keys", "create", "website"]).ok);
    assert!(app.praxis(&["keys", "create", "over"]).ok);
    assert!(app.praxis(&["keys", "revoke", "over"]).ok);
    for (args, parts) in [
        (
            &["create", "website"][..],
            &["`website` already", "praxis keys revoke website"][..],
        ),
        (&["create", "h r"], &["NAME: `h r`", "without spaces"]),
        (&["create", "x", "--label", "h r"], &["--label: `h r`"]),
        (
            &["create", "x", "--label", "hr", "--all-documents"],
            &["--label", "--all-documents"],
        ),
        (
            &["create", "x", "--scope", "vector-stores"],
            &["--scope", "vector_stores"],
        ),
        (
            &["create", "x", "--limit", "5 eur/day"],
            &["--limit: `5 eur/day`", "20.50 usd/month"],
        ),
        (
            &["create", "x", "--limit", "5 usd for key:y"],
            &["--limit: `5 usd for key:y`", "user:x/*"],
        ),
        (
            &["create", "x", "--expires", "soon"],
            &["--expires: `soon`", "2027-01-31"],
        ),
        (
            &["create", "x", "--expires", "2020-01-01"],
            &["--expires", "not in the future"],
        ),
        (&["update", "website"], &["--scope", "--no-limits"]),
        (
            &["update", "website", "--no-limits", "--limit", "5 usd"],
            &["--no-limits", "--limit"],
        ),
        (
            &["revoke", "web-site"],
            &["`web-site`", "did you mean `website`?"],
        ),
        (&["revoke", "nobody"], &["`nobody`", "praxis keys list"]),
        (
            &["revoke", "over"],
            &["revoked since", "praxis keys create over"],
        ),
        (&["update", "over", "--no-limits"], &["revoked since"]),
    ] {
        let run = app.praxis(&[&["keys"][..], args].concat());
        assert!(!run.ok, "{args:?}: {run:?}");
        for part in parts {
            assert!(run.stderr.contains(part), "{part:?}, {args:?}: {run:?}");
        }
        assert!(!run.stderr.contains("panicked"), "{run:?}");
    }
    assert_eq!(names(&app, &[]), ["website"]);
}

#[test]
fn names_of_the_configuration_are_taken_and_mistakes_in_prompts_do_not_matter() {
    let app = application();
    app.write(
        "praxis.toml",
        format!("{CONFIG}\n[[server.keys]]\nname = \"hr\"\nkey = \"env:HR_KEY\"\n"),
    );
    app.write("prompts/broken.prompt", "---\nmodel: [\n---\n{{#if}}\n");
    let run = app.praxis(&["keys", "create", "hr"]);
    assert!(!run.ok && run.stderr.contains("in praxis.toml"), "{run:?}");
    let made = app.json(&["keys", "create", "it"]);
    assert_eq!(made["first"], false, "{made}");
    // A server does not start with such a file; a key can be revoked all the same.
    app.write("praxis.toml", "[app");
    assert!(!app.praxis(&["keys", "create", "other"]).ok);
    assert_eq!(names(&app, &[]), ["it"]);
    assert!(app.praxis(&["keys", "revoke", "it"]).ok);
}

/// What a call takes: key, user, tags, model, tokens read and written, millionths of a dollar, and how many days ago.
type Call<'a> = (&'a str, &'a str, &'a [&'a str], &'a str, u64, u64, i64, i64);

async fn call(store: &Store, calls: &[Call<'_>]) {
    for (key, user, tags, model, read, written, micros, days) in calls {
        let at = (now_ms() - days * DAY_MS) * 1000;
        let clock: Clock = Arc::new(move || at);
        let ledger = store.ledger(clock).await.unwrap();
        let payer = Payer {
            key: Some((*key).to_owned()),
            user: Some((*user).to_owned()),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        };
        let none: [Limit; 0] = [];
        let reserved = ledger.reserve(Claim::new(&payer, &none)).await.unwrap();
        let spent = Spent {
            model: (*model).to_owned(),
            usage: Usage {
                input_tokens: *read,
                cached_tokens: 1,
                output_tokens: *written,
                ..Usage::default()
            },
            money: Money(*micros),
            failed: *micros == 0,
            ..Spent::default()
        };
        ledger.settle(reserved.ticket, spent).await;
        ledger.close().await;
    }
}

#[tokio::test]
async fn use_is_reported_by_day_model_key_user_and_tag() {
    let app = application();
    let run = app.praxis(&["usage"]);
    for part in ["nothing was used", "praxis traces list"] {
        assert!(run.ok && run.stderr.contains(part), "{part}: {run:?}");
    }
    let calls: [Call<'_>; 4] = [
        ("hr", "li", &["day", "night"], "qwen", 10, 5, 330, 0),
        ("hr", "", &["night"], "gpt", 20, 5, 1000, 3),
        ("it", "li", &[], "qwen", 7, 0, 0, 3),
        ("it", "li", &[], "gpt", 1, 1, 5000, 40),
    ];
    call(&store(&app).await, &calls).await;

    let rows = |args: &[&str]| -> Vec<(String, u64, u64)> {
        let report = app.json(&[&["usage"][..], args].concat());
        let rows = report["rows"]
            .as_array()
            .unwrap_or_else(|| panic!("{report}"));
        let row = |row: &Value| {
            let count = |field: &str| row[field].as_u64().unwrap();
            let name = row["name"].as_str().unwrap().to_owned();
            (name, count("requests"), count("input_tokens"))
        };
        rows.iter().map(row).collect()
    };
    let row = |name: &str, requests: u64, read: u64| (name.to_owned(), requests, read);
    // The dearest first.
    for (args, wanted) in [
        (
            &["--by", "model"][..],
            &[("gpt", 1, 20), ("qwen", 2, 17)][..],
        ),
        (
            &["--by", "model", "--days", "60"],
            &[("gpt", 2, 21), ("qwen", 2, 17)],
        ),
        (&["--by", "model", "--key", "it"], &[("qwen", 1, 7)]),
        (&["--by", "key"], &[("hr", 2, 30), ("it", 1, 7)]),
        (&["--by", "key", "--key", "it"], &[("it", 1, 7)]),
        (
            &["--by", "key", "--model", "qwen"],
            &[("hr", 1, 10), ("it", 1, 7)],
        ),
        (&["--by", "user"], &[("hr/li", 1, 10), ("it/li", 1, 7)]),
        (&["--by", "user", "--key", "hr"], &[("hr/li", 1, 10)]),
        (&["--by", "user", "--user", "it/li"], &[("it/li", 1, 7)]),
        (&["--by", "tag"], &[("night", 2, 30), ("day", 1, 10)]),
        (&["--by", "tag", "--tag", "day"], &[("day", 1, 10)]),
        (&["--by", "model", "--user", "hr/li"], &[("qwen", 1, 10)]),
        (
            &["--by", "model", "--key", "hr", "--user", "li"],
            &[("qwen", 1, 10)],
        ),
        (&["--key", "nobody"], &[]),
        (
            &["--by", "model", "--kind", "completion"],
            &[("gpt", 1, 20), ("qwen", 2, 17)],
        ),
        (&["--by", "model", "--kind", "embedding"], &[]),
    ] {
        let wanted: Vec<_> = wanted.iter().map(|(n, r, t)| row(n, *r, *t)).collect();
        assert_eq!(rows(args), wanted, "{args:?}");
    }
    let days = rows(&[]);
    let counts: Vec<u64> = days.iter().map(|(_, requests, _)| *requests).collect();
    assert_eq!(counts, [2, 1], "{days:?}");
    assert!(days[0].0 < days[1].0, "{days:?}");

    // A request with two tags counts once in all.
    let total = app.json(&["usage", "--by", "tag"])["total"].clone();
    let wanted = json!({
        "requests": 3, "failed": 1, "input_tokens": 37, "cached_tokens": 3, "output_tokens": 10,
        "audio_seconds": 0, "cost_usd": 0.00133,
    });
    assert_eq!(total, wanted);
    let run = app.praxis(&["usage", "--by", "model"]);
    for part in ["tokens read (cached)", "17 (2)", "$0.000330", "in all"] {
        assert!(run.ok && run.stdout.contains(part), "{part}: {run:?}");
    }
    for (args, parts) in [
        (
            &["--user", "li"][..],
            &["--user: whose user", "KEY/USER"][..],
        ),
        (
            &["--tag", "day", "--key", "hr"],
            &["--tag: the use of `day`"],
        ),
        (
            &["--tag", "day", "--by", "key"],
            &["--by: the use of one tag", "--by model"],
        ),
        (&["--days", "0"], &["--days"]),
    ] {
        let run = app.praxis(&[&["usage"][..], args].concat());
        assert!(!run.ok, "{args:?}: {run:?}");
        for part in parts {
            assert!(run.stderr.contains(part), "{part:?}, {args:?}: {run:?}");
        }
    }
}
