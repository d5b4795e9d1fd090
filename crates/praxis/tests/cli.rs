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

use support::{Run, Sandbox, has_model};

#[test]
fn a_new_application_checks_clean() {
    let app = Sandbox::empty();
    let run = app.praxis(&["new", "kb", "--template", "knowledge-qa"]);
    assert!(run.ok && run.stderr.contains("praxis ingest"), "{run:?}");
    for folder in ["kb", "kb/praxis.toml"] {
        let run = app.praxis(&["check", "--app", folder]);
        assert!(run.ok && run.stdout.contains("ok kb"), "{run:?}");
    }
    let run = app.praxis(&["new", "kb"]);
    assert!(
        !run.ok && run.stderr.contains("exists and is not empty"),
        "{run:?}"
    );
    let run = app.praxis(&["new", "a b", "--template", "blank"]);
    let next = "cd 'a b' && praxis models pull && praxis call";
    assert!(run.ok && run.stderr.contains(next), "{run:?}");
}

#[test]
fn an_empty_variable_names_no_folder() {
    let app = Sandbox::knowledge_qa();
    let check = |folder: &str| {
        let output = app.command(&["check"]).env("PRAXIS_APP", folder).output();
        Run::from(output.unwrap())
    };
    let run = check("");
    assert!(run.ok, "{run:?}");
    let run = check("nowhere");
    assert!(!run.ok && run.stderr.contains("nowhere"), "{run:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let app = Sandbox::knowledge_qa();
    for (args, expected) in [
        (&["check"][..], &["cannot write the output"][..]),
        (&["check", "--json"], &["cannot write the output"]),
        (
            &["search", "", "--json"],
            &["cannot write the output", "the query is empty"],
        ),
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let output = app.command(args).stdout(full.unwrap()).output();
        let run = Run::from(output.unwrap());
        assert!(!run.ok, "{run:?}");
        for part in expected {
            assert_eq!(run.stderr.matches(part).count(), 1, "{part}: {run:?}");
        }
    }
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
        (&["search", " "], &["the query is empty", "praxis search"]),
        (&["search", "x", "-n", "0"], &["--limit", "1 or more"]),
        (&["traces", "list", "-n", "0"], &["--limit", "1 or more"]),
        (&["approvals", "list", "-n", "0"], &["--limit", "1 or more"]),
        (
            &["approvals", "audit", "-n", "0"],
            &["--limit", "1 or more"],
        ),
        (
            &["serve", "--host", "elsewhere"],
            &["elsewhere", "127.0.0.1, or 0.0.0.0"],
        ),
        (&["chat", "--model", "nope"], &["no model is called `nope`"]),
        (
            &["chat", "--model", "multilingual-e5-small"],
            &["for embedding, not chat"],
        ),
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
fn check_tells_what_a_server_would_refuse() {
    let app = Sandbox::empty();
    let check = |more: &str| {
        app.write("praxis.toml", format!("[app]\nname = \"b\"\n{more}"));
        app.praxis(&["check"])
    };
    for (more, ok, expected) in [
        (
            "[server]\napi_key = \"sk-live-123\"\n",
            false,
            &["praxis.toml:4:11", "must name an environment variable"][..],
        ),
        (
            "[server]\napi_key = \"env:PRAXIS_NO_SUCH_KEY\"\n",
            true,
            &["praxis.toml:4:11", "PRAXIS_NO_SUCH_KEY is not set"],
        ),
        (
            "[[server.keys]]\nname = \"hr\"\nkey = \"env:PRAXIS_NO_SUCH_KEY\"\n",
            true,
            &["praxis.toml:5:7", "PRAXIS_NO_SUCH_KEY is not set"],
        ),
        (
            "[server.tls]\ncertificate = \"none.pem\"\nkey = \"none.key\"\n",
            true,
            &["praxis.toml:3:9", "none.pem"],
        ),
        (
            "[server]\nhost = \"0.0.0.0\"\n",
            true,
            &["praxis.toml:4:8", "reachable from other machines"],
        ),
        (
            "[server]\nhost = \"0.0.0.0\"\nopen = true\n",
            false,
            &["praxis.toml:4:8", "reachable from other machines"],
        ),
        ("[server]\nhost = \"localhost\"\n", true, &["ok b"]),
        (
            "[server]\nhost = \"elsewhere\"\n",
            false,
            &["praxis.toml:4", "write 127.0.0.1, or 0.0.0.0"],
        ),
        (
            "[defaults]\nchat = \"m\"\n[models.m]\nprovider = \"local\"\nmodel = \"missing.gguf\"\n",
            true,
            &["praxis.toml:5:9", "missing.gguf"],
        ),
        (
            "[models.gpt]\nprovider = \"openai\"\nmodel = \"m\"\napi_key = \"env:PRAXIS_NO_SUCH_KEY\"\n",
            true,
            &["praxis.toml:3:9", "PRAXIS_NO_SUCH_KEY is not set"],
        ),
    ] {
        let run = check(more);
        assert_eq!(run.ok, ok, "{more}: {run:?}");
        let all = format!("{}{}", run.stdout, run.stderr);
        for part in expected {
            assert!(all.contains(part), "{part:?} is missing for {more}: {all}");
        }
        assert!(!all.contains("sk-live"), "{all}");
    }

    // Whether there is a key is known only where the store is.
    let any = "[server]\ncors_origins = [\"*\"]\n";
    let run = check(any);
    assert!(run.ok && run.stderr.contains("no key is set"), "{run:?}");
    assert!(app.praxis(&["traces", "list"]).ok);
    let run = check(any);
    assert!(!run.ok && run.stderr.contains("no key is set"), "{run:?}");
    assert!(app.praxis(&["keys", "create", "desk"]).ok);
    let run = check(any);
    assert!(run.ok && !run.stderr.contains("no key is set"), "{run:?}");
}

#[test]
fn a_chat_tells_a_script_that_it_failed() {
    let app = Sandbox::empty();
    app.write(
        "praxis.toml",
        "[models.gpt]\nprovider = \"openai\"\nmodel = \"m\"\nbase_url = \"http://127.0.0.1:1/v1\"\nmax_retries = 0\n",
    );
    app.write("turns.txt", "/hlep\nhello\n");
    let chat = |args: &[&str]| {
        let turns = std::fs::File::open(app.path("turns.txt")).unwrap();
        let output = app.command(args).stdin(turns).output();
        Run::from(output.unwrap())
    };
    let run = chat(&["chat", "--model", "gpt"]);
    assert!(!run.ok && run.stderr.contains("error"), "{run:?}");
    assert!(
        run.stderr.contains("there is no /hlep. /reset forgets"),
        "{run:?}"
    );
    let run = chat(&["chat"]);
    let expected = "there is no function to talk to";
    assert!(!run.ok && run.stderr.contains(expected), "{run:?}");
    let run = chat(&["chat", "--model", "gpt", "--json"]);
    assert!(!run.ok && run.stdout.contains("has no JSON"), "{run:?}");
}

#[test]
fn a_tool_file_that_gives_nothing_is_no_success() {
    let app = Sandbox::empty();
    app.write("praxis.toml", "[app]\nname = \"b\"\n");
    app.write("tools/crm.mcp.toml", "command = [\"/nowhere/server\"]\n");
    let run = app.praxis(&["tools", "refresh", "crm"]);
    assert!(
        !run.ok && run.stderr.contains("`crm` gave no tools"),
        "{run:?}"
    );
    let told = run.stderr.matches("the tools of `crm` are not there");
    assert_eq!(told.count(), 1, "{run:?}");
    let run = app.praxis(&["tools", "refresh"]);
    assert!(run.ok && run.stdout.contains("ok 0 tools"), "{run:?}");
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
