//! Filters and access labels on the command line, through the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::collections::BTreeSet;

use support::{Sandbox, has_model};

const RULES: &str = "[types]\nyear = \"number\"\n\n[[metadata]]\nmatch = \"hr/**\"\nset = { department = \"hr\" }\nlabels = [\"hr\"]\n";

fn found(app: &Sandbox, args: &[&str]) -> BTreeSet<String> {
    let mut all = vec!["search", "holidays of the year"];
    all.extend(args);
    let passages = app.json(&all)["passages"].clone();
    let passages = passages.as_array().unwrap_or_else(|| panic!("{args:?}"));
    let uri = |p: &serde_json::Value| p["passage"]["uri"].as_str().unwrap().to_owned();
    passages.iter().map(uri).collect()
}

#[test]
fn searches_are_filtered_and_tried_as_another_caller() {
    if !has_model("multilingual-e5-small") {
        return;
    }
    let app = Sandbox::knowledge_qa();
    app.write("knowledge/docs.toml", RULES);
    app.write(
        "knowledge/open.md",
        "---\nyear: 2025\ntags: [travel]\n---\n# Holidays\n\nHolidays of the year begin in May.\n",
    );
    app.write(
        "knowledge/hr/leave.md",
        "---\nyear: 2026\nlabels: [hr]\n---\n# Leave\n\nHolidays are granted by the staff office.\n",
    );
    app.write(
        "knowledge/board.txt",
        "The holidays of the board are secret.\n",
    );
    app.write(
        "knowledge/board.txt.meta.toml",
        "labels = [\"board\"]\ndecided = 2026-02-03\n",
    );
    let run = app.praxis(&["ingest"]);
    assert!(run.ok && run.stderr.contains("protect nothing"), "{run:?}");

    let set =
        |uris: &[&str]| -> BTreeSet<String> { uris.iter().map(|u| (*u).to_owned()).collect() };
    for (args, want) in [
        (&[][..], &["board.txt", "hr/leave.md", "open.md"][..]),
        (&["--as", ""], &["open.md"]),
        (&["--as", "hr"], &["hr/leave.md", "open.md"]),
        (
            &["--as", "hr,board"],
            &["board.txt", "hr/leave.md", "open.md"],
        ),
        (&["--where", "department=hr"], &["hr/leave.md"]),
        (
            &["--where", "year>=2025", "--where", "tags=travel"],
            &["open.md"],
        ),
        (&["--where", "decided<2026-03-01"], &["board.txt"]),
        (&["--where", "year>2024", "--as", ""], &["open.md"]),
        (
            &[
                "--where",
                r#"{"type": "in", "key": "format", "value": ["text", "PDF"]}"#,
            ],
            &["board.txt"],
        ),
    ] {
        assert_eq!(found(&app, args), set(want), "{args:?}");
    }
    for (args, part) in [
        (
            &["--where", "departmnt=hr"][..],
            "did you mean `department`?",
        ),
        (
            &["--where", "decided=2026-02-03", "--as", "hr"],
            "no document of `docs` has `decided`",
        ),
        (&["--where", "department"], "KEY=VALUE"),
        (&["--where", "year=soon"], "write a number"),
    ] {
        let mut all = vec!["search", "holidays"];
        all.extend(args);
        let run = app.praxis(&all);
        assert!(!run.ok && run.stderr.contains(part), "{args:?}: {run:?}");
    }

    let documents = app.json(&["knowledge", "documents", "--as", "hr"]);
    let documents = documents["documents"].as_array().unwrap();
    assert_eq!(documents.len(), 2, "{documents:?}");
    let leave = &documents[0]["document"];
    assert_eq!(leave["labels"], serde_json::json!(["hr"]));
    assert_eq!(leave["metadata"]["year"], 2026);
    assert_eq!(leave["metadata"]["department"], "hr");

    // Rules change, and nothing is read anew.
    app.write(
        "knowledge/docs.toml",
        RULES.replace("labels = [\"hr\"]", "labels = [\"staff\"]"),
    );
    let report = app.json(&["ingest"])["bases"][0]["report"].clone();
    assert_eq!(
        (&report["described"], &report["chunks"]),
        (&1.into(), &0.into()),
        "{report}"
    );
    assert_eq!(found(&app, &["--as", "hr"]), set(&["open.md"]));
    assert_eq!(
        found(&app, &["--as", "staff"]),
        set(&["hr/leave.md", "open.md"])
    );
}

#[test]
fn mistakes_in_rules_and_keys_are_found_before_anything_runs() {
    let app = Sandbox::knowledge_qa();
    app.write(
        "knowledge/docs.toml",
        "[[metadata]]\nmatch = \"hr/**\"\nlabels = [\"h r\"]\n",
    );
    let run = app.praxis(&["check"]);
    for part in ["knowledge/docs.toml", "`h r` is no label"] {
        assert!(
            run.stderr.contains(part) || run.stdout.contains(part),
            "{part}: {run:?}"
        );
    }
    assert!(!run.ok);
}
