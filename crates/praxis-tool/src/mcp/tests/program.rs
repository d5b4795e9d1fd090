//! A server that is a program.

use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;

const PYTHON: &str = "python3";

/// Where programs say that they run.
struct Alive(TcpListener);

impl Alive {
    async fn open() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// The file of the program; what follows its arguments.
    fn file(&self, more: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mcp/tests/server.py");
        let port = self.0.local_addr().unwrap().port();
        format!("command = [\"{PYTHON}\", {script:?}, \"{port}\", \"an argument\"]\n{more}")
    }

    /// The next program that runs.
    async fn next(&self) -> TcpStream {
        self.0.accept().await.unwrap().0
    }
}

fn is_missing() -> bool {
    let there = std::process::Command::new(PYTHON)
        .arg("--version")
        .output()
        .is_ok();
    if !there {
        eprintln!("SKIPPED: there is no `{PYTHON}`");
    }
    !there
}

#[tokio::test]
async fn a_program_sees_what_its_file_gives_it() {
    if is_missing() {
        return;
    }
    let (alive, app) = (Alive::open().await, App::new());
    std::fs::create_dir(app.folder.path().join("sub")).unwrap();
    let more = "cwd = \"sub\"\nenv = { GIVEN = \"a text\", REFERRED = \"env:CARGO_PKG_NAME\" }";
    let functions = app.functions(&alive.file(more)).await;
    assert_eq!(functions.names(), ["srv/where", "srv/end"]);
    let told = functions.call("srv/where", json!({})).await.unwrap();
    let told: Value = serde_json::from_str(told.as_str().unwrap()).unwrap();
    assert_eq!(told["arguments"], json!(["an argument"]));
    assert!(told["folder"].as_str().unwrap().ends_with("/sub"), "{told}");
    let environment = told["environment"].as_object().unwrap();
    assert_eq!(environment["GIVEN"], "a text");
    assert_eq!(environment["REFERRED"], "praxis-tool");
    // Python adds its locale where there is none.
    let ours = [
        "PATH",
        "HOME",
        "GIVEN",
        "REFERRED",
        "LC_CTYPE",
        "__CF_USER_TEXT_ENCODING",
    ];
    // A shell that starts Python, as pyenv's does, adds its own.
    let added = |name: &str| name == "PWD" || name == "SHLVL" || name.contains("PYENV");
    let strange = environment
        .keys()
        .filter(|name| !ours.contains(&name.as_str()) && !added(name));
    assert_eq!(strange.count(), 0, "{environment:?}");
}

#[tokio::test]
async fn a_program_ends_with_those_who_use_it() {
    if is_missing() {
        return;
    }
    let (alive, app) = (Alive::open().await, App::new());
    let functions = app.functions(&alive.file("")).await;
    let mut program = alive.next().await;
    functions.call("srv/where", json!({})).await.unwrap();
    drop(functions);
    assert_eq!(program.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_program_that_ended_is_started_again() {
    if is_missing() {
        return;
    }
    let (alive, app) = (Alive::open().await, App::new());
    let functions = app.functions(&alive.file("")).await;
    let mut first = alive.next().await;
    let error = functions.call("srv/end", json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Upstream, "{error:?}");
    assert_eq!(first.read(&mut [0]).await.unwrap_or(0), 0);
    functions.call("srv/where", json!({})).await.unwrap();
    alive.next().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_or_speaks_otherwise_is_told_of() {
    let app = App::new();
    let made = app.made("command = [\"praxis-no-such-program\"]").await;
    assert!(
        made.warnings[0].message.contains("cannot be started"),
        "{:?}",
        made.warnings
    );
    if is_missing() {
        return;
    }
    let made = app
        .made(&format!(
            "command = [\"{PYTHON}\", \"-c\", \"print('hello')\"]"
        ))
        .await;
    assert!(
        made.warnings[0].message.contains("`srv`"),
        "{:?}",
        made.warnings
    );
    let made = app
        .made("command = [\"sh\"]\nenv = { A = \"env:PRAXIS_TEST_NO_SUCH_VARIABLE\" }")
        .await;
    let warning = &made.warnings[0];
    assert!(
        warning.message.contains("PRAXIS_TEST_NO_SUCH_VARIABLE"),
        "{warning:?}"
    );
}
