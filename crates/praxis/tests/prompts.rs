//! Versions of prompts and trying them, as a user meets both.

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

use std::process::Command;

use serde_json::{Value, json};
use support::{Sandbox, has_model};

const MODEL: &str = "smollm2-135m-instruct";
const CONFIG: &str =
    "# Mine.\n[app]\nname = \"b\"\n\n[defaults]\nchat = \"smollm2-135m-instruct\"\n";
const HELLO: &str = "---\ndescription: Greets.\nconfig:\n  temperature: 0\n  maxOutputTokens: 12\ninput:\n  schema:\n    name: string\n---\n{{>style}}\nGreet {{name}}.\n";

fn application() -> Sandbox {
    let app = Sandbox::empty();
    app.write("praxis.toml", CONFIG);
    app.write("prompts/hello.prompt", HELLO);
    app.write("prompts/_style.prompt", "Be kind.\n");
    app.write("prompts/other.prompt", "Say something.\n");
    app
}

fn git(app: &Sandbox, args: &[&str]) {
    let output = Command::new("git")
        .arg("-C")
        .arg(app.path("."))
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
        .args(["-c", "commit.gpgsign=false"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{args:?}: {output:?}");
}

fn commit(app: &Sandbox, message: &str) {
    git(app, &["add", "prompts"]);
    git(app, &["commit", "--quiet", "-m", message]);
}

fn versions(app: &Sandbox, args: &[&str]) -> Vec<Value> {
    let all = [&["prompts", "log"][..], args].concat();
    let log = app.json(&all);
    log["versions"]
        .as_array()
        .unwrap_or_else(|| panic!("{log}"))
        .clone()
}

/// An application with two committed versions of `hello`, the second by its partial, and a working copy.
fn committed() -> Sandbox {
    let app = application();
    git(&app, &["init", "--quiet"]);
    commit(&app, "First words");
    app.write("prompts/_style.prompt", "Be brief.\n");
    commit(&app, "Brief");
    app.write("prompts/other.prompt", "Say something else.\n");
    commit(&app, "Other");
    app.write(
        "prompts/hello.prompt",
        HELLO.replace("Greet {{name}}", "Welcome {{name}}"),
    );
    app
}

#[test]
fn versions_come_from_the_history_of_a_prompt_and_its_partials() {
    let app = committed();
    let seen = versions(&app, &["hello"]);
    let subjects: Vec<&str> = seen
        .iter()
        .filter_map(|v| v["commit"]["subject"].as_str())
        .collect();
    assert_eq!(subjects, ["Brief", "First words"], "{seen:?}");
    assert_eq!(seen.len(), 3);
    assert_eq!(
        (&seen[0]["working_copy"], &seen[0]["current"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(seen[1]["commit"]["author"], "Ada");
    assert_eq!(versions(&app, &[]).len(), 5);

    let run = app.praxis(&["prompts", "log", "hello"]);
    for part in ["working copy", "First words", "current"] {
        assert!(run.ok && run.stdout.contains(part), "{part}: {run:?}");
    }
    let run = app.praxis(&["prompts", "diff", "hello"]);
    assert!(
        run.stdout.contains("-Greet {{name}}.\n+Welcome {{name}}."),
        "{run:?}"
    );
    assert!(run.stdout.contains("+++ prompts/hello.prompt"), "{run:?}");
    let hash = |i: usize| seen[i]["version"].as_str().unwrap();
    let run = app.praxis(&["prompts", "diff", "hello", &hash(2)[..6], hash(1)]);
    assert!(run.stdout.contains("-Be kind.\n+Be brief."), "{run:?}");
    assert!(!run.stdout.contains("hello.prompt"), "{run:?}");
    let run = app.praxis(&["prompts", "log", "helo"]);
    assert!(
        !run.ok && run.stderr.contains("did you mean `hello`?"),
        "{run:?}"
    );
    let run = app.praxis(&["prompts", "diff", "hello", "ffffff"]);
    assert!(
        !run.ok && run.stderr.contains("praxis prompts log hello"),
        "{run:?}"
    );
}

#[test]
fn a_pinned_version_is_served_until_it_is_removed() {
    let app = committed();
    let seen = versions(&app, &["hello"]);
    let first = seen[2]["version"].as_str().unwrap();
    let working = seen[0]["version"].as_str().unwrap();
    let run = app.praxis(&["prompts", "pin", "hello", &first[..8]]);
    assert!(run.ok && run.stdout.contains(first), "{run:?}");
    let config = std::fs::read_to_string(app.path("praxis.toml")).unwrap();
    assert_eq!(
        config,
        format!("{CONFIG}\n[prompts.pin]\nhello = \"{first}\"\n")
    );
    let run = app.praxis(&["check"]);
    for part in [
        "pinned to",
        first,
        working,
        "praxis prompts diff hello pinned",
    ] {
        assert!(run.ok && run.stderr.contains(part), "{part}: {run:?}");
    }
    let list = app.json(&["prompts", "list"]);
    assert_eq!(list["functions"][0]["version"], first, "{list}");
    assert_eq!(list["functions"][0]["working_copy"], working);
    // Opening the application noted what it serves: the pin does not need git any more.
    std::fs::rename(app.path(".git"), app.path("git")).unwrap();
    assert_eq!(
        app.json(&["prompts", "list"])["functions"][0]["version"],
        first
    );
    std::fs::rename(app.path("git"), app.path(".git")).unwrap();
    if has_model(MODEL) {
        let call = app.json(&["call", "hello", "name=Ada"]);
        let trace = app.json(&["traces", "show", call["trace_id"].as_str().unwrap()]);
        let spans = trace["spans"].as_array().unwrap();
        let function = spans.iter().find(|s| s["kind"] == "function").unwrap();
        assert_eq!(function["input"]["version"], first, "{function}");
        let chat = spans.iter().find(|s| s["kind"] == "chat").unwrap();
        let asked = chat["input"]["messages"][0]["content"].as_str().unwrap();
        assert!(
            asked.contains("Be kind.") && asked.contains("Greet Ada"),
            "{chat}"
        );
        let seen = versions(&app, &["hello"]);
        let used = seen.iter().find(|v| v["version"] == first).unwrap();
        assert_eq!(
            (&used["calls"], &used["pinned"]),
            (&json!(1), &json!(true)),
            "{used}"
        );
        assert!(used["mean_ms"].as_f64() > Some(0.0));
    }
    let run = app.praxis(&["prompts", "pin", "hello", "--remove"]);
    assert!(run.ok, "{run:?}");
    assert_eq!(
        std::fs::read_to_string(app.path("praxis.toml")).unwrap(),
        CONFIG
    );
    let list = app.json(&["prompts", "list"]);
    assert_eq!(list["functions"][0]["version"], working);
}

#[test]
fn a_pin_that_cannot_be_kept_says_how_to_get_rid_of_it() {
    let app = application();
    app.write(
        "praxis.toml",
        format!("{CONFIG}[prompts.pin]\nhello = \"0123456789ab\"\n"),
    );
    for args in [
        &["check"][..],
        &["call", "hello", "name=x"],
        &["prompts", "list"],
    ] {
        let run = app.praxis(args);
        assert!(!run.ok, "{run:?}");
        for part in [
            "praxis.toml:8:9",
            "0123456789ab",
            "praxis prompts pin hello --remove",
        ] {
            assert!(run.stderr.contains(part), "{part}: {run:?}");
        }
    }
    assert!(app.praxis(&["prompts", "pin", "hello", "--remove"]).ok);
    assert!(app.praxis(&["check"]).ok);
    app.write(
        "praxis.toml",
        format!("{CONFIG}[prompts.pin]\nhello = \"newest\"\n"),
    );
    let run = app.praxis(&["check"]);
    assert!(!run.ok && run.stderr.contains("12 hex digits"), "{run:?}");
    app.write(
        "praxis.toml",
        format!("{CONFIG}[prompts.pin]\nhelo = \"0123456789ab\"\n"),
    );
    let run = app.praxis(&["check"]);
    assert!(
        !run.ok && run.stderr.contains("there is no prompts/helo.prompt"),
        "{run:?}"
    );
}

#[test]
fn without_git_versions_come_from_the_store() {
    let app = application();
    let run = app.praxis(&["prompts", "diff", "hello"]);
    assert!(
        !run.ok && run.stderr.contains("no version before"),
        "{run:?}"
    );
    assert!(app.praxis(&["prompts", "list"]).ok);
    app.write("prompts/_style.prompt", "Be brief.\n");
    let seen = versions(&app, &["hello"]);
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen[0]["working_copy"], true);
    assert!(seen[1]["at_ms"].as_i64() > Some(0) && seen[1]["commit"].is_null());
    let run = app.praxis(&["prompts", "diff", "hello"]);
    assert!(run.stdout.contains("-Be kind.\n+Be brief."), "{run:?}");
    let old = seen[1]["version"].as_str().unwrap();
    let run = app.praxis(&["prompts", "pin", "hello", old]);
    assert!(run.ok && run.stderr.contains("in no commit"), "{run:?}");
    assert_eq!(
        app.json(&["prompts", "list"])["functions"][0]["version"],
        old
    );
}

const GREET: &str = "---\ninput:\n  schema:\n    name: string\nconfig:\n  maxOutputTokens: 8\npraxis.technique:\n  few_shot: {data: data/names.jsonl, count: 1}\n---\nGreet {{name}}.\n";

/// An application whose function `greet` reads its examples from a file.
fn with_data(greeting: &str) -> Sandbox {
    let app = application();
    app.write("prompts/greet.prompt", GREET);
    app.write("data/names.jsonl", example(greeting));
    git(&app, &["init", "--quiet"]);
    app
}

fn example(greeting: &str) -> String {
    json!({"input": "Bob", "output": format!("{greeting} Bob")}).to_string() + "\n"
}

#[test]
fn a_changed_data_file_is_a_version_of_its_own() {
    let app = with_data("Hi");
    git(&app, &["add", "data"]);
    commit(&app, "Hi");
    app.write("data/names.jsonl", example("Hey"));
    git(&app, &["add", "data"]);
    commit(&app, "Hey");
    app.write("data/names.jsonl", example("Ho"));
    let seen = versions(&app, &["greet"]);
    let subjects: Vec<&Value> = seen.iter().map(|v| &v["commit"]["subject"]).collect();
    assert_eq!(subjects, [&Value::Null, &json!("Hey"), &json!("Hi")]);
    assert_eq!(seen[0]["working_copy"], true);
    assert_eq!(
        seen[0]["files"],
        json!(["../data/names.jsonl", "greet.prompt"])
    );
    assert_eq!(versions(&app, &["hello"]).len(), 1);

    let run = app.praxis(&["prompts", "diff", "greet"]);
    let lines = format!("-{}+{}", example("Hey"), example("Ho"));
    assert!(run.stdout.contains(&lines), "{run:?}");
    assert!(run.stdout.contains("+++ data/names.jsonl"), "{run:?}");
    assert!(!run.stdout.contains("greet.prompt"), "{run:?}");

    let first = seen[2]["version"].as_str().unwrap();
    assert!(app.praxis(&["prompts", "pin", "greet", first]).ok);
    assert!(app.praxis(&["check"]).ok);
    let served = || {
        let functions = app.json(&["prompts", "list"])["functions"].clone();
        let functions = functions.as_array().unwrap().clone();
        let greet = functions.into_iter().find(|f| f["name"] == "greet");
        greet.unwrap()["version"].clone()
    };
    assert_eq!(served(), first);
    // Opening the application noted it: the store has it with its data.
    std::fs::rename(app.path(".git"), app.path("git")).unwrap();
    assert_eq!(served(), first);
    if !has_model(MODEL) {
        return;
    }
    let call = app.json(&["call", "greet", "name=Ada"]);
    let trace = app.json(&["traces", "show", call["trace_id"].as_str().unwrap()]);
    let spans = trace["spans"].as_array().unwrap();
    let chat = spans.iter().find(|s| s["kind"] == "chat").unwrap();
    let asked = chat["input"]["messages"].to_string();
    assert!(
        asked.contains("Hi Bob") && !asked.contains("Ho Bob"),
        "{asked}"
    );
    // A file from elsewhere reads the application's data too.
    app.write("drafts/welcome.prompt", GREET.replace("names", "others"));
    app.write("data/others.jsonl", example("Hello"));
    app.write("cases.jsonl", "{\"name\": \"Ada\"}\n");
    let args = [
        "prompts",
        "try",
        "drafts/welcome.prompt",
        "--data",
        "cases.jsonl",
    ];
    let tried = app.json(&args);
    assert_eq!(tried["results"][0]["error"], Value::Null, "{tried}");
}

#[test]
fn a_version_without_its_data_is_not_run_on_other_data() {
    let app = with_data("Hi");
    commit(&app, "Without data");
    let seen = versions(&app, &["greet"]);
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen[0]["working_copy"], true);
    let run = app.praxis(&["prompts", "pin", "greet"]);
    assert!(
        run.ok && run.stderr.contains("until its files are committed"),
        "{run:?}"
    );
    let old = seen[1]["version"].as_str().unwrap();
    assert!(app.praxis(&["prompts", "pin", "greet", old]).ok);
    for args in [&["check"][..], &["prompts", "list"]] {
        let run = app.praxis(args);
        assert!(
            !run.ok && run.stderr.contains("kept without `data/names.jsonl`"),
            "{run:?}"
        );
    }
    assert!(app.praxis(&["prompts", "pin", "greet", "--remove"]).ok);
    assert!(app.praxis(&["prompts", "list"]).ok);
}

fn trial() -> Sandbox {
    let app = application();
    app.write(
        "prompts/hello.short.prompt",
        HELLO.replace("Greet", "Write only the name"),
    );
    let cases: String = ["Ada", "Grace", "Emmy"]
        .iter()
        .map(|name| json!({"input": {"name": name}, "expect": name, "id": name}).to_string() + "\n")
        .collect();
    app.write("cases.jsonl", cases);
    app
}

#[test]
fn mistakes_of_a_trial_say_what_to_do() {
    let app = trial();
    app.write("broken.jsonl", "{\"name\": \"x\"}\n{\n");
    app.write(
        "twice.jsonl",
        "{\"name\": \"x\", \"id\": 1}\n{\"name\": \"y\", \"id\": 1}\n",
    );
    for (args, expected) in [
        (
            &["helo", "--data", "cases.jsonl"][..],
            &["did you mean `hello`?"][..],
        ),
        (&["hello", "--data", "none.jsonl"], &["none.jsonl"]),
        (
            &["hello", "--data", "broken.jsonl"],
            &["broken.jsonl:2", "not JSON"],
        ),
        (
            &["hello", "--data", "twice.jsonl"],
            &["twice.jsonl:2", "twice"],
        ),
        (
            &["hello", "--data", "cases.jsonl", "--compare", "base,shrt"],
            &["`shrt`", "`short`"],
        ),
        (
            &["hello", "--data", "cases.jsonl", "--model", "smollm"],
            &["no model `smollm`"],
        ),
        (
            &["hello", "--data", "cases.jsonl", "--out", "cases.jsonl"],
            &["no file of results"],
        ),
    ] {
        let run = app.praxis(&[&["prompts", "try"][..], args].concat());
        assert!(!run.ok, "{run:?}");
        for part in expected {
            assert!(run.stderr.contains(part), "{part}: {run:?}");
        }
    }
}

#[test]
fn two_runs_do_not_write_into_one_file() {
    let app = trial();
    // As a run that goes on has it.
    app.write("r.jsonl", "");
    let held = std::fs::File::open(app.path("r.jsonl")).unwrap();
    held.lock().unwrap();
    let run = app.praxis(&[
        "prompts",
        "try",
        "hello",
        "--data",
        "cases.jsonl",
        "--out",
        "r.jsonl",
    ]);
    assert!(!run.ok, "{run:?}");
    for part in [
        "another run writes its results into",
        "r.jsonl",
        "name another file with --out",
    ] {
        assert!(run.stderr.contains(part), "{part}: {run:?}");
    }
}

#[test]
fn variants_are_compared_and_a_run_goes_on_where_it_stopped() {
    if !has_model(MODEL) {
        return;
    }
    let app = trial();
    let args = [
        "prompts",
        "try",
        "hello",
        "--data",
        "cases.jsonl",
        "--check",
        "contains",
        "--out",
        "r.jsonl",
    ];
    let run = app.praxis(&args);
    assert!(run.ok, "{run:?}");
    for part in [
        "Case Ada",
        "| variant",
        "| base ",
        "| short ",
        "expected: Ada",
        MODEL,
    ] {
        assert!(run.stdout.contains(part), "{part}: {run:?}");
    }
    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(app.path("r.jsonl")).unwrap();
        text.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    };
    assert_eq!(lines().len(), 6);
    assert!(
        lines()
            .iter()
            .all(|l| l["output_tokens"].as_u64() > Some(0)),
        "{:?}",
        lines()
    );
    // Three cases of a variant are known already, and the file ends in the middle of a line.
    let text = std::fs::read_to_string(app.path("r.jsonl")).unwrap();
    app.write("r.jsonl", &text[..text.len() - 20]);
    let json = app.json(&args);
    assert_eq!(lines().len(), 6, "{json}");
    let rows = json["variants"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(
            (&row["cases"], &row["judged"], &row["errors"]),
            (&json!(3), &json!(3), &json!(0))
        );
        assert!(row["p95_ms"].as_f64() >= row["p50_ms"].as_f64(), "{row}");
        assert!(
            row["interval"][1].as_f64() > row["interval"][0].as_f64(),
            "{row}"
        );
    }
    // Another check judges the same answers anew, without asking again.
    let judged = app.json(&[&args[..5], &["--check", "regex", "--out", "r.jsonl"]].concat());
    assert_eq!(lines().len(), 6);
    assert_eq!(judged["variants"][0]["judged"], 3);
    // A file from elsewhere, another function, and an old version by its hash.
    app.write("drafts/hi.prompt", HELLO.replace("Greet", "Praise"));
    let old = app.json(&["prompts", "list"])["functions"][0]["version"]
        .as_str()
        .unwrap()
        .to_owned();
    app.write("prompts/_style.prompt", "Be brief.\n");
    let json = app.json(&[
        "prompts",
        "try",
        "drafts/hi.prompt",
        "--data",
        "cases.jsonl",
        "--compare",
        "base,hello",
        "--limit",
        "1",
    ]);
    assert_eq!(json["results"].as_array().unwrap().len(), 2, "{json}");
    let json = app.json(&[
        "prompts",
        "try",
        "hello",
        "--data",
        "cases.jsonl",
        "--compare",
        &format!("base,{old}"),
        "--limit",
        "1",
        "--model",
        MODEL,
    ]);
    let versions: Vec<&Value> = [0, 1]
        .iter()
        .map(|i| &json["variants"][*i]["version"])
        .collect();
    assert!(
        versions[0] != versions[1] && *versions[1] == json!(old),
        "{json}"
    );
}

#[test]
fn the_answers_of_as_many_cases_are_shown_as_are_asked_for() {
    let app = trial();
    let functions = app.json(&["prompts", "list"])["functions"].clone();
    let version = |name: &str| {
        let functions = functions.as_array().unwrap();
        functions.iter().find(|f| f["name"] == name).unwrap()["version"].clone()
    };
    // All results are there already, so no model is asked.
    let (mut cases, mut results) = (String::new(), String::new());
    for case in 1..=7 {
        let id = format!("c{case}");
        let line = json!({"input": {"name": id}, "expect": "a greeting", "id": id});
        cases += &format!("{line}\n");
        for (variant, function) in [("base", "hello"), ("short", "hello.short")] {
            let line = json!({
                "case": id,
                "variant": variant,
                "version": version(function),
                "input": {"name": id},
                "output": format!("{variant} greets {id}"),
                "input_tokens": 1,
                "cached_tokens": 0,
                "output_tokens": 2,
                "cost_usd": 0.0,
                "latency_ms": 1.0,
                "trace_id": "t",
            });
            results += &format!("{line}\n");
        }
    }
    app.write("cases.jsonl", cases);
    app.write("r.jsonl", results);
    let args = [
        "prompts",
        "try",
        "hello",
        "--data",
        "cases.jsonl",
        "--out",
        "r.jsonl",
    ];
    for (show, shown) in [
        (&[][..], 6),
        (&["--show", "2"], 2),
        (&["--show", "0"], 0),
        (&["--show", "9"], 7),
    ] {
        let run = app.praxis(&[&args[..], show].concat());
        assert!(run.ok && run.stdout.contains("| variant"), "{run:?}");
        let lines: Vec<&str> = run.stdout.lines().collect();
        let titles = lines.iter().filter(|line| line.starts_with("Case "));
        let expected: Vec<String> = (1..=shown).map(|case| format!("Case c{case}")).collect();
        assert_eq!(titles.copied().collect::<Vec<_>>(), expected, "{show:?}");
        // The answers of a case stand beside each other.
        for case in 1..=7 {
            let both = [
                format!("base greets c{case}"),
                format!("short greets c{case}"),
            ];
            let beside = |line: &&str| both.iter().all(|answer| line.contains(answer));
            assert_eq!(lines.iter().any(beside), case <= shown, "{run:?}");
        }
        let expectations = lines.iter().filter(|l| **l == "expected: a greeting");
        assert_eq!(expectations.count(), shown, "{run:?}");
    }
    // One JSON document is nothing but that.
    let json = app.json(&[&args[..], &["--show", "2"]].concat());
    assert_eq!(json["cases"], 7);
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_results_that_can_be_gone_on_from() {
    if !has_model(MODEL) {
        return;
    }
    let app = trial();
    let cases: String = (0..400)
        .map(|i| format!("{{\"name\": \"N{i}\"}}\n"))
        .collect();
    app.write("many.jsonl", cases);
    let mut child = app
        .command(&[
            "prompts",
            "try",
            "hello",
            "--data",
            "many.jsonl",
            "--out",
            "r.jsonl",
            "--compare",
            "base",
            "--json",
        ])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let read = || std::fs::read_to_string(app.path("r.jsonl")).unwrap_or_default();
    let began = std::time::Instant::now();
    while read().lines().count() < 3 && began.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    assert!(!child.wait().unwrap().success());
    let text = read();
    let written = text.lines().count();
    assert!(
        (3..400).contains(&written) && text.ends_with('\n'),
        "{written}"
    );
    for line in text.lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    let json = app.json(&[
        "prompts",
        "try",
        "hello",
        "--data",
        "many.jsonl",
        "--out",
        "r.jsonl",
        "--compare",
        "base",
        "--limit",
        "3",
    ]);
    assert_eq!(json["variants"][0]["cases"], 3, "{json}");
}

const SCENE: &str = "---\nconfig:\n  maxOutputTokens: 8\ninput:\n  schema:\n    question: string\npraxis.scope:\n  role: You are the desk of a library.\n  topics: [opening hours, lending books]\n---\n{{question}}\n";

#[test]
fn a_scope_is_measured_with_questions_inside_and_outside() {
    if !has_model(MODEL) {
        return;
    }
    let app = application();
    app.write("prompts/desk.prompt", SCENE);
    app.write("in.txt", "# note\nWhen do you open?\n怎么借书？\nHello\n");
    app.write("out.txt", "Who won?\n\n谁赢了？\n");
    let args = ["prompts", "scope", "desk", "--inside", "in.txt"];
    let with = |more: &[&'static str]| [&args[..], more].concat();
    let numbers = |json: &Value| -> Vec<(String, u64)> {
        let rows = json["rows"].as_array().unwrap_or_else(|| panic!("{json}"));
        let number = |r: &Value| {
            let name = |key: &str| r[key].as_str().unwrap_or("all").to_owned();
            (
                format!("{} {}", name("place"), name("language")),
                r["questions"].as_u64().unwrap(),
            )
        };
        rows.iter().map(number).collect()
    };
    let expected = [
        ("outside english", 1),
        ("outside chinese", 1),
        ("outside all", 2),
        ("inside english", 2),
        ("inside chinese", 1),
        ("inside all", 3),
    ]
    .map(|(name, n)| (name.to_owned(), n));
    for full in [&[][..], &["--full"]] {
        let json = app.json(&[&with(&["--outside", "out.txt"]), full].concat());
        assert_eq!(numbers(&json), expected, "{json}");
        let wrong = |r: &Value| {
            r["language"]
                .is_null()
                .then(|| r["wrong"].as_u64())
                .flatten()
        };
        let all: u64 = json["rows"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(wrong)
            .sum();
        assert_eq!(
            json["wrong"].as_array().unwrap().len() as u64,
            all,
            "{json}"
        );
        assert_eq!(json["failed"], json!([]));
    }
    // Without a file, general questions are outside; --skip and --limit take a part of each list.
    let json = app.json(&with(&["--skip", "1", "--limit", "2"]));
    assert_eq!(numbers(&json)[2], ("outside all".to_owned(), 2), "{json}");
    let run = app.praxis(&with(&["--outside", "out.txt"]));
    for part in [
        "| outside",
        "false accepts",
        "false refusals",
        "95 % interval",
    ] {
        assert!(run.ok && run.stdout.contains(part), "{part}: {run:?}");
    }
}

#[test]
fn what_has_no_scope_to_measure_says_so() {
    let app = application();
    app.write("prompts/desk.prompt", SCENE);
    app.write("empty.txt", "# nothing\n");
    for (args, said) in [
        (&["hello"][..], "`hello` has no scope"),
        (&["dask"], "did you mean `desk`?"),
        (&["desk", "--inside", "empty.txt"], "has no questions"),
        (&["desk", "--outside", "none.txt"], "cannot read `none.txt`"),
        (&["desk", "--skip", "99"], "no question to ask"),
    ] {
        let run = app.praxis(&[&["prompts", "scope"], args].concat());
        assert!(!run.ok && run.stderr.contains(said), "{said}: {run:?}");
    }
}
