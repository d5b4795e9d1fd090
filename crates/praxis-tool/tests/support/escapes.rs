//! Hostile code, run in sandboxes: the parts of `tests/sandbox/escapes.py`, and what is to come of each. Left out:
//! which sandbox (`tests/sandbox.rs`, `tests/sandbox_user.rs`).

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking, and share support that not each of them uses"
)]

use std::path::Path;

use futures::StreamExt;
use serde_json::{Value, json};

use crate::nobody::Functions;

/// The parts.
const CODE: &str = include_str!("../sandbox/escapes.py");

/// How many run at a time.
const AT_ONCE: usize = 4;

/// Limits that code soon reaches. The time is enough for harmless code on a busy machine; code that only computes is
/// ended by it, two seconds later at most, and therefore before its processor time is used up.
pub const LIMITS: &str = "[limits]\ntime = \"15s\"\ncpu = \"20s\"\nmemory = 536870912\nscratch = 33554432\n\
                          files = 200\nfile = 16777216\noutput = 4096\nthreads = 16\nat_once = 8\nwaiting = 1000\n";

/// What looking alone can tell of, where there are no namespaces: there these end with `ScratchLimit` too.
const LOOKED_AT: [&str; 5] = [
    "a thread bomb",
    "the scratch folder is full",
    "one file too large",
    "files without number",
    "folders without end",
];

/// A part: what it is called, how it may end, and its code.
struct Part {
    name: String,
    ends: Vec<String>,
    code: String,
}

fn parts(root: &Path) -> Vec<Part> {
    let mut sections = CODE.split("\n#: ").skip(1);
    let prelude = sections.next().unwrap().split_once('\n').unwrap().1;
    let quoted = |path: &Path| json!(path).to_string();
    let known = format!(
        "APPLICATION = {}\nSTATE = {}\nSERVER = {}\nSECRET = {}\n",
        quoted(root),
        quoted(&root.join(".praxis/tools")),
        std::process::id(),
        json!(std::env::var("CARGO_MANIFEST_DIR").unwrap()),
    );
    let part = |section: &str| {
        let (head, code) = section.split_once('\n').unwrap();
        let (name, ends) = head.split_once(": ").unwrap_or((head, ""));
        Part {
            name: name.to_owned(),
            ends: ends.split_whitespace().map(str::to_owned).collect(),
            code: format!("{known}{prelude}\n{code}"),
        }
    };
    sections.map(part).collect()
}

/// An application with an interpreter, and with secrets. Everybody may pass through its folder.
pub fn application(settings: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("praxis.toml", "secret");
    write(".env", "KEY=secret");
    write(".praxis/tools/secret", "secret");
    // The machine's own where there is one: another may lie where only this user can go.
    let own = Path::new("/usr/bin/python3");
    let python = match own.exists() {
        true => format!("python = \"{}\"\n", own.display()),
        false => String::new(),
    };
    write("tools/code.python.toml", &format!("{python}{settings}"));
    root
}

/// Runs all parts in sandboxes with these settings, and then something harmless. Says why where there is no sandbox.
pub async fn contained(settings: &str, is_bare: bool) {
    let root = application(&format!("{settings}\n{LIMITS}"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).unwrap();
    }
    let functions = Functions::load(root.path()).await;
    if functions.is_skipped() {
        return;
    }
    let parts = parts(root.path());
    assert!(parts.len() >= 60, "only {} parts were read", parts.len());
    let functions = &functions;
    let runs = parts.iter().map(|part| async move {
        let ran = functions
            .call("code/run", json!({ "code": part.code }))
            .await;
        (
            part,
            ran.unwrap_or_else(|error| panic!("`{}`: {error:?}", part.name)),
        )
    });
    let runs: Vec<_> = runs.collect();
    let mut runs = futures::stream::iter(runs).buffer_unordered(AT_ONCE);
    let mut wrong = Vec::new();
    while let Some((part, ran)) = runs.next().await {
        if !is_contained(part, &ran, is_bare) {
            wrong.push(format!("`{}`: {ran:#}", part.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "not as it should be:\n{}",
        wrong.join("\n")
    );
    // The server goes on, and so does the next sandbox.
    let ran = functions
        .call("code/run", json!({ "code": "6 * 7" }))
        .await
        .unwrap();
    assert_eq!(
        (&ran["result"], &ran["error"]),
        (&json!("42"), &Value::Null)
    );
    assert_eq!(
        std::fs::read_to_string(root.path().join(".env")).unwrap(),
        "KEY=secret"
    );
}

fn is_contained(part: &Part, ran: &Value, is_bare: bool) -> bool {
    let output = ran["stdout"].as_str().unwrap_or_default();
    if output.contains("ESCAPED") || !ran["files"].as_array().unwrap().iter().all(is_own) {
        return false;
    }
    let Some(error) = ran["error"]["type"].as_str() else {
        return part.ends.is_empty() && output.contains("CONTAINED");
    };
    let is_looked_at = is_bare && LOOKED_AT.contains(&part.name.as_str());
    part.ends.iter().any(|end| end == error) || (is_looked_at && error == "ScratchLimit")
}

/// Whether a file that was given back is none of the machine's.
fn is_own(file: &Value) -> bool {
    !matches!(
        file["name"].as_str(),
        Some("passwd.txt" | "python.bin" | "pipe.txt")
    )
}
