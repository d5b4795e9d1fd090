//! A workspace on a real folder, through the functions that a model calls.

use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, Function};

use super::*;

struct Desk {
    root: tempfile::TempDir,
    functions: Vec<Arc<dyn Function>>,
}

fn desk(toml: &str) -> Desk {
    let root = tempfile::tempdir().unwrap();
    let config: Config = toml::from_str(toml).unwrap();
    assert!(config.problems().is_empty());
    let workspace = Arc::new(Workspace::open(root.path(), &config.folder).unwrap());
    let function = |operation| {
        tool(Files {
            operation,
            signature: signature("desk", operation, &config.folder),
            workspace: Arc::clone(&workspace),
            limits: config.limits,
        })
        .unwrap()
    };
    let functions: Vec<_> = config.operations().map(function).collect();
    let made = functions.iter().map(|f| f.signature().name.clone());
    let known = names("desk", &config, root.path(), root.path());
    assert_eq!(known, Names::Known(made.collect()));
    Desk { root, functions }
}

impl Desk {
    async fn call(&self, operation: &str, input: Value) -> Result<Value, CallError> {
        let name = format!("desk/{operation}");
        let function = self.functions.iter().find(|f| f.signature().name == name);
        let cx = CallContext::new(Arc::new(NoTrace));
        function.unwrap().call(input, &cx).await
    }
}

#[tokio::test]
async fn files_are_written_read_edited_and_deleted() {
    let desk = desk("folder = \"space\"");
    let written = desk
        .call(
            "write",
            json!({"path": "notes/a.md", "text": "one\ntwo\nthree\n"}),
        )
        .await
        .unwrap();
    assert_eq!(written, json!({"path": "notes/a.md", "bytes": 14}));
    desk.call("append", json!({"path": "notes/a.md", "text": "four"}))
        .await
        .unwrap();
    let read = desk
        .call(
            "read",
            json!({"path": "notes/a.md", "from_line": 2, "lines": 2}),
        )
        .await
        .unwrap();
    let wanted =
        json!({"text": "two\nthree\n", "from_line": 2, "to_line": 3, "lines": 4, "cut": true});
    assert_eq!(read, wanted);
    desk.call(
        "edit",
        json!({"path": "notes/a.md", "old": "two\nth", "new": "2\nTh"}),
    )
    .await
    .unwrap();
    let read = desk
        .call("read", json!({"path": "notes/a.md"}))
        .await
        .unwrap();
    assert_eq!(read["text"], "one\n2\nThree\nfour");
    assert_eq!(read["cut"], false);
    let listed = desk.call("list", json!({})).await.unwrap();
    assert_eq!(
        listed["entries"],
        json!([{"path": "notes", "folder": true}])
    );
    let listed = desk
        .call("list", json!({"pattern": "**/*.md"}))
        .await
        .unwrap();
    assert_eq!(
        listed["entries"],
        json!([{"path": "notes/a.md", "bytes": 16}])
    );
    let deleted = desk
        .call("delete", json!({"path": "notes/a.md"}))
        .await
        .unwrap();
    let kept = desk
        .root
        .path()
        .join("space")
        .join(deleted["moved_to"].as_str().unwrap());
    assert_eq!(
        std::fs::read_to_string(kept).unwrap(),
        "one\n2\nThree\nfour"
    );
    let listed = desk.call("list", json!({"depth": 3})).await.unwrap();
    assert_eq!(
        listed["entries"],
        json!([{"path": "notes", "folder": true}])
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_with_what_to_do() {
    let desk = desk("folder = \"space\"\n[limits]\nfile = 20\ntotal = 30\ncount = 5");
    desk.call("write", json!({"path": "a", "text": "x x x"}))
        .await
        .unwrap();
    for (operation, input, code, said) in [
        ("read", json!({"path": "b"}), ErrorCode::NotFound, "no `b`"),
        (
            "read",
            json!({"path": "../b"}),
            ErrorCode::InvalidRequest,
            "leads out",
        ),
        (
            "read",
            json!({"path": ""}),
            ErrorCode::InvalidRequest,
            "names no file",
        ),
        (
            "read",
            json!({"path": "a", "from_line": 9}),
            ErrorCode::InvalidRequest,
            "has 1 lines",
        ),
        (
            "write",
            json!({"path": "a", "text": "y"}),
            ErrorCode::InvalidRequest,
            "there already",
        ),
        (
            "write",
            json!({"path": "/tmp/a", "text": "y"}),
            ErrorCode::InvalidRequest,
            "leads out",
        ),
        (
            "write",
            json!({"path": "c", "text": "y".repeat(21)}),
            ErrorCode::TooLarge,
            "20 bytes",
        ),
        (
            "append",
            json!({"path": "a", "text": "y".repeat(18)}),
            ErrorCode::InvalidRequest,
            "more than 20",
        ),
        (
            "edit",
            json!({"path": "a", "old": "z", "new": ""}),
            ErrorCode::InvalidRequest,
            "not in `a`",
        ),
        (
            "edit",
            json!({"path": "a", "old": "x", "new": ""}),
            ErrorCode::InvalidRequest,
            "3 times",
        ),
        (
            "list",
            json!({"pattern": "[a"}),
            ErrorCode::InvalidRequest,
            "`pattern`",
        ),
        (
            "list",
            json!({"path": "none"}),
            ErrorCode::NotFound,
            "no `none`",
        ),
        (
            "delete",
            json!({"path": ".trash/a"}),
            ErrorCode::InvalidRequest,
            "only a person",
        ),
        (
            "write",
            json!({"path": ".gitconfig", "text": "[core]\nfsmonitor = x"}),
            ErrorCode::InvalidRequest,
            "which programs obey",
        ),
        (
            "append",
            json!({"path": "sub/.git/config", "text": "x"}),
            ErrorCode::InvalidRequest,
            "which programs obey",
        ),
        (
            "read",
            json!({"file": "a"}),
            ErrorCode::InvalidRequest,
            "path",
        ),
    ] {
        let error = desk.call(operation, input.clone()).await.unwrap_err();
        let whole = format!(
            "{} {}",
            error.message,
            error.hint.clone().unwrap_or_default()
        );
        assert_eq!(error.code, code, "{operation} {input}: {whole}");
        assert!(whole.contains(said), "{operation} {input}: {whole}");
    }
    desk.call(
        "edit",
        json!({"path": "a", "old": "x", "new": "y", "all": true}),
    )
    .await
    .unwrap();
    desk.call("write", json!({"path": "b", "text": "y".repeat(20)}))
        .await
        .unwrap();
    let full = desk
        .call("write", json!({"path": "c", "text": "y".repeat(10)}))
        .await;
    assert_eq!(full.unwrap_err().code, ErrorCode::TooLarge);
    for name in ["c", "d", "e"] {
        desk.call("write", json!({"path": name, "text": ""}))
            .await
            .unwrap();
    }
    let many = desk
        .call("write", json!({"path": "f", "text": ""}))
        .await
        .unwrap_err();
    assert!(many.message.contains("5 files"), "{many:?}");
}

#[tokio::test]
async fn a_long_line_is_cut_and_binary_is_refused() {
    let desk = desk("folder = \"space\"");
    let space = desk.root.path().join("space");
    std::fs::write(space.join("long"), "é".repeat(80_000)).unwrap();
    std::fs::write(space.join("binary"), [0xff, 0xfe, 0x00]).unwrap();
    let read = desk.call("read", json!({"path": "long"})).await.unwrap();
    assert_eq!(read["text"].as_str().unwrap().len(), 100_000);
    assert_eq!(read["cut"], true);
    let error = desk
        .call("read", json!({"path": "binary"}))
        .await
        .unwrap_err();
    assert!(error.message.contains("no text"), "{error:?}");
}

#[tokio::test]
async fn a_folder_that_is_read_only_has_no_functions_that_change_it() {
    let desk = desk("folder = \"space\"\nread_only = true");
    let names: Vec<&str> = desk
        .functions
        .iter()
        .map(|f| f.signature().name.as_str())
        .collect();
    assert_eq!(names, ["desk/list", "desk/read"]);
    assert!(
        desk.functions
            .iter()
            .all(|f| f.signature().effects.only_reads())
    );
}

#[test]
fn mistakes_in_the_file_are_found() {
    for (toml, path) in [
        ("folder = \"..\"", "folder"),
        ("folder = \"prompts\"", "folder"),
        ("folder = \"a\"\n[limits]\nfile = 0", "limits.file"),
        ("folder = \"a\"\n[limits]\ncount = 1000000", "limits.count"),
        (
            "folder = \"a\"\n[limits]\nfile = 10\ntotal = 5",
            "limits.total",
        ),
    ] {
        let config: Config = toml::from_str(toml).unwrap();
        let problems = config.problems();
        assert_eq!(problems.len(), 1, "{toml}: {problems:?}");
        assert_eq!(problems[0].path, path);
    }
    assert!(toml::from_str::<Config>("folder = \"a\"\nfoldr = 1").is_err());
}
