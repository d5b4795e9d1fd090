//! The upkeep of a base through the real binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::fs::File;

use support::{Sandbox, has_model};

#[test]
fn vectors_that_another_process_has_open_are_left_out_and_it_is_said() {
    if !has_model("multilingual-e5-small") {
        return;
    }
    let app = Sandbox::knowledge_qa();
    app.write(
        "knowledge/guide.md",
        "# Guide\n\nThe library opens at nine and closes at six.\n",
    );
    assert!(app.praxis(&["ingest"]).ok);
    let folder = std::fs::read_dir(app.path(".praxis/index/docs/vectors"));
    let index = folder.unwrap().next().unwrap().unwrap().path();
    // As a server has it, for as long as it runs.
    let lock = File::open(index.join("lock")).unwrap();
    lock.try_lock().unwrap();
    for (command, stdout, stderr) in [
        (
            "check",
            "vectors not checked",
            "praxis knowledge check docs",
        ),
        (
            "rebuild",
            "indexed by their words",
            "praxis knowledge rebuild docs",
        ),
    ] {
        let run = app.praxis(&["knowledge", command]);
        assert!(run.ok, "what could be done was done: {run:?}");
        assert!(run.stdout.contains(stdout), "{run:?}");
        assert!(run.stderr.contains(stderr), "{run:?}");
    }
    let checked = app.json(&["knowledge", "check"])["bases"][0]["report"].clone();
    assert_eq!(checked["vectors_elsewhere"], true, "{checked}");
    let rebuilt = app.json(&["knowledge", "rebuild"])["bases"][0].clone();
    assert_eq!(rebuilt["vectors_elsewhere"], true, "{rebuilt}");
    assert_eq!(rebuilt["chunks"], checked["chunks"], "{rebuilt}");

    drop(lock);
    let run = app.praxis(&["knowledge", "rebuild"]);
    assert!(run.ok && !run.stderr.contains("another process"), "{run:?}");
    let rebuilt = app.json(&["knowledge", "rebuild"])["bases"][0].clone();
    assert_eq!(rebuilt["vectors_elsewhere"], false, "{rebuilt}");
    let run = app.praxis(&["knowledge", "check"]);
    assert!(run.ok && !run.stdout.contains("not checked"), "{run:?}");
}
