//! The command line as a newcomer meets it: help, mistakes, and the way out of each.

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

use support::{Sandbox, has_model};

#[test]
fn a_new_application_checks_clean() {
    let app = Sandbox::empty();
    let run = app.praxis(&["new", "kb", "--template", "knowledge-qa"]);
    assert!(run.ok && run.stderr.contains("praxis ingest"), "{run:?}");
    let run = app.praxis(&["check", "--app", "kb"]);
    assert!(run.ok && run.stdout.contains("ok kb"), "{run:?}");
    let run = app.praxis(&["new", "kb"]);
    assert!(
        !run.ok && run.stderr.contains("exists and is not empty"),
        "{run:?}"
    );
}

#[test]
fn mistakes_say_what_to_do() {
    let app = Sandbox::knowledge_qa();
    for (args, expected) in [
        (
            &["call", "anser", "question=x"][..],
            &["anser", "answer"][..],
        ),
        (&["call", "answer", "question"], &["KEY=VALUE"]),
        (&["call", "answer"], &["question"]),
        (&["search", "x", "--base", "doc"], &["doc", "docs"]),
        (
            &["models", "pull", "qwen2.5-coder-1.5b-instrct"],
            &["qwen2.5-coder-1.5b-instruct"],
        ),
        (&["traces", "show", "nope"], &["nope", "praxis traces list"]),
        (&["ingst"], &["ingest"]),
        (&["check", "--app", "nowhere"], &["nowhere", "praxis new"]),
    ] {
        let run = app.praxis(args);
        assert!(!run.ok, "{args:?} succeeded: {run:?}");
        for part in expected {
            assert!(
                run.stderr.contains(part),
                "{part:?} is missing for {args:?}: {}",
                run.stderr
            );
        }
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    }
}

#[test]
fn check_points_at_file_line_and_column() {
    let app = Sandbox::knowledge_qa();
    app.write("praxis.toml", "[app]\nname = \"x\"\n[modles.a]\n");
    app.write("knowledge/docs.toml", "[source]\npahts = [\".\"]\n");
    let run = app.praxis(&["check"]);
    assert!(!run.ok);
    for part in [
        "praxis.toml:3:2",
        "`models`",
        "knowledge/docs.toml:2:1",
        "`paths`",
        "2 errors",
    ] {
        assert!(
            run.stderr.contains(part),
            "{part:?} is missing: {}",
            run.stderr
        );
    }
    let json = app.json(&["check"]);
    assert_eq!(json["error"]["diagnostics"][0]["span"]["line"], 3, "{json}");
}

#[test]
fn check_reads_prompts_too() {
    let app = Sandbox::knowledge_qa();
    app.write("prompts/answer.prompt", "---\nmodl: x\n---\nHello {{name\n");
    let run = app.praxis(&["check"]);
    assert!(
        !run.ok && run.stderr.contains("prompts/answer.prompt:"),
        "{run:?}"
    );
    assert!(run.stderr.contains("model"), "{run:?}");
}

#[test]
fn check_tells_which_functions_do_without_the_applications_guard() {
    let app = Sandbox::empty();
    let config =
        "[app]\nname = \"b\"\n[guard]\ninput = { rules = \"secrets\", action = \"block\" }\n";
    app.write("praxis.toml", config);
    let prompt =
        |keys: &str| format!("---\ninput:\n  schema:\n    q: string\n{keys}---\n{{{{q}}}}\n");
    app.write("prompts/held.prompt", prompt(""));
    app.write(
        "prompts/free.prompt",
        prompt("praxis.guard: {inherit: false}\n"),
    );
    let run = app.praxis(&["check"]);
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(run.ok, "{run:?}");
    for part in [
        "`free` does without the application's guard",
        "prompts/free.prompt:5:16",
    ] {
        assert!(all.contains(part), "{part:?} is missing: {all}");
    }
    assert!(!all.contains("`held`"), "{all}");
    let config = "[guard]\ninput = { categories = [\"hat\"], action = \"block\" }\n";
    app.write("praxis.toml", config);
    let run = app.praxis(&["check"]);
    assert!(!run.ok);
    for part in [
        "praxis.toml:1:2",
        "no category `hat`",
        "did you mean `hate`?",
    ] {
        assert!(
            run.stderr.contains(part),
            "{part:?} is missing: {}",
            run.stderr
        );
    }
}

#[test]
fn check_knows_the_models_that_a_base_names() {
    let app = Sandbox::knowledge_qa();
    app.write(
        "knowledge/docs.toml",
        "[search.question]\nmodel = \"smollm2-135-instruct\"\nrewrite = true\n\n[search.rerank]\nmodel = \"multilingual-e5-small\"\ndepth = 1\n",
    );
    let run = app.praxis(&["check"]);
    assert!(!run.ok);
    for part in [
        "knowledge/docs.toml:2:9",
        "did you mean `smollm2-135m-instruct`?",
        "knowledge/docs.toml:6:9",
        "for embedding, not reranking",
        "`depth` is 1",
        "3 errors",
    ] {
        assert!(
            run.stderr.contains(part),
            "{part:?} is missing: {}",
            run.stderr
        );
    }
}

#[test]
fn output_to_a_pipe_has_no_colours() {
    let app = Sandbox::knowledge_qa();
    for args in [&["models", "list"][..], &["check"], &["--help"]] {
        let run = app.praxis(args);
        assert!(
            run.ok && !run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'),
            "{run:?}"
        );
    }
}

#[test]
fn a_call_answers_and_leaves_a_trace() {
    if !has_model("smollm2-135m-instruct") {
        return;
    }
    let app = Sandbox::empty();
    assert!(app.praxis(&["new", "b", "--template", "blank"]).ok);
    let config = "[app]\nname = \"b\"\n[defaults]\nchat = \"smollm2-135m-instruct\"\n";
    app.write("b/praxis.toml", config);
    let call = app.json(&["--app", "b", "call", "hello", "name=World"]);
    let text = call["output"].as_str().unwrap_or_default();
    assert!(!text.trim().is_empty(), "{call}");
    let trace = call["trace_id"].as_str().expect("a trace id");
    let spans = app.json(&["--app", "b", "traces", "show", trace]);
    let kinds: Vec<&str> = spans["spans"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|s| s["kind"].as_str())
        .collect();
    assert!(
        kinds.contains(&"function") && kinds.contains(&"chat"),
        "{spans}"
    );
    let chat = spans["spans"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["kind"] == "chat")
        .unwrap();
    assert!(chat["usage"]["input_tokens"].as_u64() > Some(5), "{chat}");
    assert!(chat["usage"]["output_tokens"].as_u64() > Some(0), "{chat}");
}
