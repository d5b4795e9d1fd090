//! The code interpreter as its users have it: what code gives, what stays between calls, what becomes a tool, and that
//! hostile code gets nowhere. The sandboxes are real; without one, each test says that it is skipped.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking, and say what they skip"
)]

#[path = "support/escapes.rs"]
mod escapes;
#[path = "support/nobody.rs"]
mod nobody;

use escapes::application;
use nobody::Functions;
use praxis_core::{Caller, Clearance, ErrorCode};
use praxis_tool::{Proposals, sandbox};
use serde_json::{Value, json};

/// The functions of an application with an interpreter; none where there is no sandbox.
async fn interpreter(settings: &str) -> Option<(tempfile::TempDir, Functions)> {
    sandbox::use_launcher(env!("CARGO_BIN_EXE_praxis-sandbox"));
    let root = application(settings);
    let functions = Functions::load(root.path()).await;
    (!functions.is_skipped()).then_some((root, functions))
}

fn caller(name: &str) -> Caller {
    Caller {
        name: Some(name.to_owned()),
        clearance: Clearance::default(),
    }
}

#[tokio::test]
async fn hostile_code_is_contained_by_namespaces() {
    sandbox::use_launcher(env!("CARGO_BIN_EXE_praxis-sandbox"));
    escapes::contained("isolation = \"namespaces\"", false).await;
}

#[tokio::test]
async fn hostile_code_is_contained_by_landlock_alone() {
    sandbox::use_launcher(env!("CARGO_BIN_EXE_praxis-sandbox"));
    escapes::contained("isolation = \"landlock\"", true).await;
}

#[tokio::test]
async fn code_gives_its_output_its_last_value_and_its_files() {
    let Some((root, functions)) = interpreter("workspace = \"data\"\n").await else {
        return;
    };
    std::fs::create_dir(root.path().join("data")).unwrap();
    std::fs::write(root.path().join("data/sales.csv"), "4\n8\n30\n").unwrap();
    let code = "import sys\n\
                total = sum(int(line) for line in open('sales.csv'))\n\
                print('hello', file=sys.stderr)\n\
                print('total', total)\n\
                import os\n\
                os.makedirs('out')\n\
                open('out/total.txt', 'w').write(str(total))\n\
                open('note.md', 'a').write('!')\n\
                {'total': total}";
    let files = json!(["sales.csv", { "name": "note.md", "text": "hi" }]);
    let ran = functions
        .call("code/run", json!({ "code": code, "files": files }))
        .await
        .unwrap();
    // Content of a workspace comes from outside, and is framed.
    assert_eq!(ran["from"], "code/run");
    let ran = &ran["content"];
    assert_eq!(ran["stdout"], "total 42\n");
    assert_eq!(ran["stderr"], "hello\n");
    assert_eq!(ran["result"], "{'total': 42}");
    assert_eq!(ran["error"], Value::Null);
    let files = ran["files"].as_array().unwrap();
    let names: Vec<&str> = files
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["note.md", "out/total.txt"],
        "what was only read is not given back"
    );
    let id = &files[1]["id"];
    let file = functions
        .call("code/file", json!({ "id": id }))
        .await
        .unwrap();
    assert_eq!(
        (&file["content"]["text"], &file["content"]["media_type"]),
        (&json!("42"), &json!("text/plain"))
    );
    let other = functions
        .call_as(caller("a"), "code/file", json!({ "id": id }))
        .await;
    assert_eq!(other.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test]
async fn an_error_is_told_from_the_first_line_of_the_code_on() {
    let Some((_root, functions)) = interpreter("").await else {
        return;
    };
    let code = "def third(xs):\n    return xs[2]\n\nprint('before')\nthird([1])";
    let ran = functions
        .call("code/run", json!({ "code": code }))
        .await
        .unwrap();
    assert_eq!(ran["stdout"], "before\n");
    let error = &ran["error"];
    assert_eq!(
        (&error["type"], &error["line"]),
        (&json!("IndexError"), &json!(2))
    );
    let trace = error["traceback"].as_str().unwrap();
    assert!(
        trace.contains("line 5") && trace.contains("return xs[2]"),
        "{trace}"
    );
    assert!(
        !trace.contains("<string>"),
        "nothing of ours is in it: {trace}"
    );
    let ran = functions
        .call("code/run", json!({ "code": "x = (1,\ny = 2" }))
        .await
        .unwrap();
    assert_eq!(ran["error"]["type"], "SyntaxError");
    for (code, error) in [
        ("import sys; sys.exit()", Value::Null),
        ("import sys; sys.exit(3)", json!("SystemExit")),
    ] {
        let ran = functions
            .call("code/run", json!({ "code": code }))
            .await
            .unwrap();
        assert_eq!(ran["error"]["type"], error, "{code}");
    }
}

#[tokio::test]
async fn a_session_keeps_variables_and_files_for_who_opened_it() {
    let Some((_root, functions)) =
        interpreter("[limits]\ntime = \"4s\"\n[sessions]\nmost = 2\n").await
    else {
        return;
    };
    let run = async |session: &str, code: &str| {
        let input = json!({ "code": code, "session": session });
        functions.call_as(caller("a"), "code/run", input).await
    };
    let first = run("new", "x = 20\nopen('a.txt', 'w').write('kept')")
        .await
        .unwrap();
    let session = first["session"].as_str().unwrap().to_owned();
    assert_eq!(first["files"].as_array().unwrap().len(), 1);
    let second = run(&session, "x += 1\n(x * 2, open('a.txt').read())")
        .await
        .unwrap();
    assert_eq!(second["result"], "(42, 'kept')");
    assert_eq!(
        second["files"],
        json!([]),
        "what did not change is not given back again"
    );
    // Code that is late is stopped, and nothing is lost.
    let late = run(&session, "while True: pass").await.unwrap();
    assert_eq!(
        (&late["error"]["type"], &late["session_ended"]),
        (&json!("TimeLimit"), &Value::Null)
    );
    assert_eq!(run(&session, "x").await.unwrap()["result"], "21");
    // It is nobody else's.
    let input = json!({ "code": "x", "session": session });
    for other in [caller("b"), Caller::full()] {
        let error = functions
            .call_as(other, "code/run", input.clone())
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
    }
    // Code that ends its interpreter is told what is lost with it.
    let ended = run(&session, "import os\nos._exit(1)").await.unwrap();
    assert_eq!(ended["error"]["type"], "Exited");
    assert!(
        ended["session_ended"].as_str().unwrap().contains("`x`"),
        "{ended}"
    );
    let gone = run(&session, "x").await.unwrap_err();
    assert!(
        gone.message.contains("`x`") && gone.hint.unwrap().contains("new"),
        "{}",
        gone.message
    );
    // There are as many as the file says.
    let open = run("new", "1").await.unwrap();
    run("new", "1").await.unwrap();
    assert_eq!(
        run("new", "1").await.unwrap_err().code,
        ErrorCode::RateLimited
    );
    let reset = json!({ "session": open["session"] });
    functions
        .call_as(caller("a"), "code/reset", reset)
        .await
        .unwrap();
    assert!(run("new", "1").await.is_ok());
}

#[tokio::test]
async fn calls_of_one_session_come_one_after_the_other() {
    let Some((_root, functions)) = interpreter("").await else {
        return;
    };
    let opened = functions
        .call("code/run", json!({ "code": "n = 0", "session": "new" }))
        .await
        .unwrap();
    let code = "before = n\nimport time\ntime.sleep(0.01)\nn = before + 1";
    let input = json!({ "code": code, "session": opened["session"] });
    let calls = (0..10).map(|_| functions.call("code/run", input.clone()));
    for ran in futures::future::join_all(calls).await {
        assert_eq!(ran.unwrap()["error"], Value::Null);
    }
    let input = json!({ "code": "n", "session": opened["session"] });
    assert_eq!(
        functions.call("code/run", input).await.unwrap()["result"],
        "10"
    );
}

#[tokio::test]
async fn much_output_and_many_files_are_cut_and_say_so() {
    let settings = "[limits]\noutput = 1024\nreturned = 2\nfile = 4096\n";
    let Some((_root, functions)) = interpreter(settings).await else {
        return;
    };
    let code = "print('x' * 5000)\n\
                for name in 'abc': open(name + '.txt', 'w').write(name)\n\
                open('d.bin', 'wb').write(bytes(4096))\n\
                'y' * 5000";
    let ran = functions
        .call("code/run", json!({ "code": code }))
        .await
        .unwrap();
    assert_eq!(ran["stdout"].as_str().unwrap().len(), 1024);
    assert_eq!(ran["result"].as_str().unwrap().len(), 1024);
    assert_eq!(ran["truncated"], json!(["stdout", "result"]));
    assert_eq!(ran["files"].as_array().unwrap().len(), 2);
    let left_out: Vec<&str> = ran["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert_eq!(left_out, ["c.txt", "d.bin"]);
}

#[tokio::test]
async fn a_hundred_run_at_once() {
    let settings = "[limits]\nat_once = 100\ntime = \"60s\"\n";
    let Some((_root, functions)) = interpreter(settings).await else {
        return;
    };
    let calls = (0..100).map(|number| {
        let code = format!(
            "import os\nopen('mine', 'w').write('{number}')\nopen('mine').read(), os.listdir()"
        );
        functions.call("code/run", json!({ "code": code }))
    });
    for (number, ran) in futures::future::join_all(calls)
        .await
        .into_iter()
        .enumerate()
    {
        let wanted = format!("('{number}', ['mine'])");
        assert_eq!(
            ran.unwrap()["result"],
            json!(wanted),
            "each has a folder of its own"
        );
    }
}

#[tokio::test]
async fn a_snippet_becomes_a_tool_when_a_person_approves_it() {
    let Some((root, functions)) = interpreter("propose = true\n").await else {
        return;
    };
    let proposal = |code: &str, output: Value| {
        json!({
            "name": "vat",
            "description": "Adds value-added tax to a price.",
            "input_schema": {
                "type": "object",
                "properties": { "price": { "type": "number" }, "rate": { "type": "number" } },
                "required": ["price"],
                "additionalProperties": false,
            },
            "code": code,
            "tests": [{ "input": { "price": 100 }, "output": output }],
        })
    };
    let good = "def run(price, rate=0.19):\n    return {'price': round(price * (1 + rate), 2)}\n";
    for (code, output, words) in [
        (good, json!({ "price": 1 }), "was to come out"),
        (
            "def run(price):\n    return 1 / 0\n",
            Value::Null,
            "ZeroDivisionError",
        ),
        ("x = 1", Value::Null, "no function `run`"),
    ] {
        let error = functions
            .call("code/propose", proposal(code, output))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidRequest);
        assert!(error.message.contains(words), "{error}");
    }
    let proposals = Proposals::new(&root.path().join(".praxis/tools"));
    assert!(
        proposals.all().is_empty(),
        "what fails its tests is not kept"
    );
    let proposed = functions
        .call("code/propose", proposal(good, json!({ "price": 119.0 })))
        .await
        .unwrap();
    assert_eq!(proposed["proposed"], "vat");
    // Nothing that a model can call approves.
    assert!(
        !functions
            .names()
            .iter()
            .any(|name| !name.starts_with("praxis/") && name.contains("approve"))
    );
    assert!(!Functions::load(root.path()).await.names().contains(&"vat"));
    let found = proposals.find("vat").unwrap();
    proposals
        .approve("vat", &found.digest(), root.path())
        .unwrap();
    let functions = Functions::load(root.path()).await;
    assert_eq!(functions.said, Vec::<String>::new());
    let output = functions
        .call("vat", json!({ "price": 50, "rate": 0.07 }))
        .await
        .unwrap();
    assert_eq!(output, json!({ "price": 53.5 }));
    let wrong = functions
        .call("vat", json!({ "rate": 0.07 }))
        .await
        .unwrap_err();
    assert_eq!(wrong.code, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn figures_are_saved_where_the_machine_can_draw() {
    let Some((_root, functions)) =
        interpreter("packages = true\n[limits]\ntime = \"60s\"\ncpu = \"60s\"\n").await
    else {
        return;
    };
    let found = functions
        .call("code/run", json!({ "code": "import matplotlib" }))
        .await
        .unwrap();
    if found["error"] != Value::Null {
        eprintln!("SKIPPED: needs matplotlib: {}", found["error"]["message"]);
        return;
    }
    let code =
        "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.figure()\nplt.bar([1], [2])";
    let ran = functions
        .call("code/run", json!({ "code": code }))
        .await
        .unwrap();
    let files = ran["files"].as_array().unwrap();
    let names: Vec<&str> = files
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["figure-1.png", "figure-2.png"], "{ran}");
    assert_eq!(files[0]["media_type"], "image/png");
}

#[tokio::test]
async fn packages_are_seen_only_where_the_file_says_so() {
    let Some((_root, functions)) = interpreter("").await else {
        return;
    };
    let code = "import sys\n[path for path in sys.path if 'packages' in path]";
    let ran = functions
        .call("code/run", json!({ "code": code }))
        .await
        .unwrap();
    assert_eq!(ran["result"], "[]");
}
