//! Ingestion through the real binary: good files, bad files, killed runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::useless_format,
    dead_code,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

mod support;

use std::time::Duration;

use support::{Sandbox, has_model};

const GUIDE: &str = "# Guide\n\n## Opening hours\n\nThe library opens at nine and closes at six.\n\n## Loans\n\nA book may be kept for four weeks.\n";

#[test]
fn documents_come_change_and_go() {
    if !has_model("multilingual-e5-small") {
        return;
    }
    let app = Sandbox::knowledge_qa();
    app.write("knowledge/guide.md", GUIDE);
    app.write(
        "knowledge/藤野.txt",
        "藤野严九郎是鲁迅在仙台学医时的老师，教解剖学。\n",
    );
    let report = |app: &Sandbox| app.json(&["ingest"])["bases"][0]["report"].clone();

    let first = report(&app);
    assert_eq!(
        (&first["added"], &first["failed"]),
        (&2.into(), &serde_json::json!([])),
        "{first}"
    );
    let second = report(&app);
    assert_eq!(
        (&second["added"], &second["unchanged"]),
        (&0.into(), &2.into()),
        "{second}"
    );

    let top = |query: &str| app.json(&["search", query])["passages"][0]["passage"].clone();
    assert_eq!(top("鲁迅的老师是谁")["uri"], "藤野.txt");
    let hours = top("When does the library close?");
    assert_eq!(hours["uri"], "guide.md");
    assert!(
        hours["text"]
            .as_str()
            .is_some_and(|t| t.contains("closes at six")),
        "{hours}"
    );

    app.write("knowledge/guide.md", GUIDE.replace("six", "eight"));
    let third = report(&app);
    assert_eq!(
        (&third["updated"], &third["unchanged"]),
        (&1.into(), &1.into()),
        "{third}"
    );
    assert!(
        top("When does the library close?")["text"]
            .as_str()
            .unwrap()
            .contains("eight")
    );

    std::fs::remove_file(app.path("knowledge/guide.md")).unwrap();
    assert_eq!(report(&app)["removed"], 1);
    assert_eq!(top("When does the library close?")["uri"], "藤野.txt");
    assert!(app.praxis(&["knowledge", "check"]).ok);
}

#[test]
fn bad_files_are_reported_and_the_rest_is_ingested() {
    if !has_model("multilingual-e5-small") {
        return;
    }
    let app = Sandbox::knowledge_qa();
    app.write("knowledge/good.md", GUIDE);
    app.write("knowledge/empty.txt", "");
    let noise: Vec<u8> = (0..4096u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    app.write("knowledge/noise.bin", &noise);
    app.write("knowledge/noise.txt", &noise);
    app.write(
        "knowledge/cut.pdf",
        b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 ob",
    );
    app.write(
        "knowledge/latin.txt",
        b"Caf\xe9 au lait costs four euros in the town of Orl\xe9ans, they say.\n",
    );
    let run = app.praxis(&["ingest"]);
    assert!(run.ok, "{run:?}");
    for name in ["empty.txt", "noise.txt", "cut.pdf"] {
        assert!(run.stderr.contains(name), "{name} is not reported: {run:?}");
    }
    assert!(!run.stderr.contains("good.md"), "{run:?}");
    let found = app.json(&["search", "library opening hours"]);
    assert_eq!(found["passages"][0]["passage"]["uri"], "good.md");
    let again = app.json(&["ingest"]);
    assert_eq!(
        again["bases"][0]["report"]["added"], 0,
        "bad files are not tried again: {again}"
    );
}

#[test]
fn a_killed_ingest_leaves_what_one_clean_run_leaves() {
    if !has_model("multilingual-e5-small") {
        return;
    }
    let fill = |app: &Sandbox| {
        for i in 0..24 {
            app.write(
                &format!("knowledge/page-{i:02}.md"),
                format!(
                    "# Page {i}\n\nFact number {i}: the code of room {i} is {}.\n",
                    i * 7919 % 1000
                ),
            );
        }
    };
    let state = |app: &Sandbox| {
        let mut documents = app.json(&["knowledge", "documents"]);
        for entry in documents["documents"].as_array_mut().unwrap() {
            let document = entry["document"].as_object_mut().unwrap();
            document.retain(|key, _| {
                ["uri", "title", "chunks", "size", "error"].contains(&key.as_str())
            });
        }
        let hits =
            app.json(&["search", "What is the code of room 7?"])["passages"][0]["passage"]["text"]
                .clone();
        (documents, hits)
    };
    let clean = Sandbox::knowledge_qa();
    fill(&clean);
    assert!(clean.praxis(&["ingest"]).ok);

    let killed = Sandbox::knowledge_qa();
    fill(&killed);
    for pause in [30, 120, 300, 500, 800, 1200] {
        let mut child = killed.command(&["ingest", "--quiet"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        let _ = child.kill();
        let _ = child.wait();
    }
    assert!(killed.praxis(&["ingest"]).ok);
    assert_eq!(state(&killed), state(&clean));
    assert!(killed.praxis(&["knowledge", "check"]).ok);
}

#[test]
fn a_base_is_searched_while_another_process_ingests_it() {
    if !has_model("multilingual-e5-small") {
        return;
    }
    let app = Sandbox::knowledge_qa();
    app.write("knowledge/guide.md", GUIDE);
    assert!(app.praxis(&["ingest"]).ok);
    // What an ingest holds while it writes, and a rebuild as long as it runs.
    let lock = std::fs::File::create(app.path(".praxis/index/docs.lock")).unwrap();
    lock.lock().unwrap();
    let found = app.json(&["search", "When does the library close?"]);
    let best = &found["passages"][0]["passage"];
    assert_eq!(best["uri"], "guide.md", "{found}");
}

#[test]
fn a_file_above_the_limit_is_reported_with_the_fix_and_the_rest_is_ingested() {
    if !has_model("multilingual-e5-small") {
        return;
    }
    let app = Sandbox::knowledge_qa();
    app.write("knowledge/guide.md", GUIDE);
    app.write("knowledge/docs.toml", "[source]\nmax_file_bytes = 1000\n");
    app.write(
        "knowledge/large.txt",
        "A line of a large file.\n".repeat(100),
    );
    let run = app.praxis(&["ingest"]);
    assert!(run.ok, "{run:?}");
    for part in ["large.txt", "max_file_bytes"] {
        assert!(run.stderr.contains(part), "{part} is missing: {run:?}");
    }
    assert_eq!(
        app.json(&["search", "closing time"])["passages"][0]["passage"]["uri"],
        "guide.md"
    );

    app.write("knowledge/docs.toml", "[source]\nmax_file_bytes = 100000\n");
    let raised = app.json(&["ingest"])["bases"][0]["report"].clone();
    assert_eq!(
        raised["failed"],
        serde_json::json!([]),
        "the fix works: {raised}"
    );
    assert_eq!(raised["unchanged"], 1, "{raised}");
}

#[test]
fn a_file_can_be_previewed_without_a_model_and_without_an_application() {
    let app = Sandbox::empty();
    let rows: String = (0..400).map(|i| format!("{i},station {i}\n")).collect();
    app.write("stations.csv", format!("number,name\n{rows}"));
    let preview = app.json(&["knowledge", "preview", "stations.csv"])["preview"].clone();
    assert_eq!(
        (&preview["format"], &preview["approximate"]),
        (&"CSV".into(), &true.into()),
        "{preview}"
    );
    let chunks = preview["chunks"].as_array().unwrap();
    assert!(chunks.len() > 3, "{preview}");
    for chunk in chunks {
        let text = chunk["text"].as_str().unwrap();
        let header = "| number | name |\n| --- | --- |\n| ";
        assert!(text.starts_with(header), "{chunk}");
        assert!(chunk["tokens"].as_u64().unwrap() <= 256, "{chunk}");
    }
    app.write("guide.md", GUIDE);
    let run = app.praxis(&["knowledge", "preview", "guide.md", "--full"]);
    assert!(run.ok, "{run:?}");
    for part in [
        "Guide",
        "Markdown",
        "characters 22..109",
        "closes at six",
        "four weeks",
    ] {
        assert!(run.stdout.contains(part), "{part} is missing: {run:?}");
    }
    assert!(run.stderr.contains("rule of thumb"), "{run:?}");
    app.write("noise.bin", b"\0\x01");
    let run = app.praxis(&["knowledge", "preview", "noise.bin"]);
    assert!(!run.ok && run.stderr.contains("unknown format"), "{run:?}");

    let base = Sandbox::knowledge_qa();
    base.write(
        "knowledge/docs.toml",
        "[segment]\nmax_tokens = 16\nmin_tokens = 1\n",
    );
    base.write("guide.md", GUIDE);
    let preview = base.json(&["knowledge", "preview", "guide.md", "--base", "docs"]);
    assert_eq!(preview["preview"]["max_tokens"], 16, "{preview}");
    let run = base.praxis(&["knowledge", "preview", "guide.md", "--base", "dosc"]);
    assert!(
        !run.ok && run.stderr.contains("did you mean `docs`?"),
        "{run:?}"
    );
}

#[test]
fn a_watched_base_takes_up_what_changes_and_ends_cleanly() {
    use std::io::{BufRead, BufReader};
    if !has_model("multilingual-e5-small") {
        return;
    }
    let app = Sandbox::knowledge_qa();
    app.write("knowledge/guide.md", GUIDE);
    let mut child = app
        .command(&["ingest", "--watch", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || {
        let line = lines.next().expect("it goes on").unwrap();
        serde_json::from_str::<serde_json::Value>(&line).unwrap()["report"].clone()
    };
    assert_eq!(next()["added"], 1);
    app.write(
        "knowledge/notes/new.md",
        "# New\n\nThe mill grinds on Fridays.\n",
    );
    let report = next();
    assert_eq!(
        (&report["added"], &report["unchanged"]),
        (&1.into(), &1.into()),
        "{report}"
    );
    std::fs::remove_file(app.path("knowledge/guide.md")).unwrap();
    assert_eq!(next()["removed"], 1);
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(sent.unwrap().success());
    assert!(child.wait().unwrap().success(), "Ctrl-C is no failure");
}

#[test]
fn what_a_missing_source_needs_is_told() {
    if !has_model("multilingual-e5-small") {
        return;
    }
    let app = Sandbox::knowledge_qa();
    app.write("knowledge/guide.md", GUIDE);
    let base = "[source]\n\n[[sources]]\ntype = \"git\"\nname = \"manual\"\nurl = \"../nowhere\"\n";
    app.write("knowledge/docs.toml", base);
    let run = app.praxis(&["ingest"]);
    assert!(run.ok && run.stdout.contains("1 added"), "{run:?}");
    for part in ["docs, manual", "git repository", "check `url`"] {
        assert!(run.stderr.contains(part), "{part} is missing: {run:?}");
    }
    // One of two is a warning, unless somebody wants it otherwise; all of them are a failure.
    let run = app.praxis(&["ingest", "--strict"]);
    assert!(!run.ok && run.stdout.contains("1 unchanged"), "{run:?}");
    assert!(run.stderr.contains("without --strict"), "{run:?}");
    app.write("knowledge/docs.toml", base.replace("[source]\n", ""));
    let run = app.praxis(&["ingest"]);
    assert!(!run.ok, "{run:?}");
    assert!(run.stderr.contains("no source of `docs`"), "{run:?}");
    app.write(
        "knowledge/docs.toml",
        base.replace("../nowhere", "ext::sh -c x"),
    );
    let run = app.praxis(&["check"]);
    assert!(
        !run.ok && run.stderr.contains("knowledge/docs.toml:6"),
        "{run:?}"
    );
}
