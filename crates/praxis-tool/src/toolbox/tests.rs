//! Tool files of an application on the disk: what they make, and what is said of their mistakes.

use std::sync::Mutex;

use praxis_core::approval::NoApprovals;
use praxis_core::chat::ChatStream;
use praxis_core::embed::TokenCounter;
use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, ChatGateway, ChatRequest, EmbedKind, Embedder, ModelError};
use serde_json::json;

use super::*;

/// No model is asked here.
struct Silent;

#[async_trait]
impl ChatGateway for Silent {
    async fn chat(&self, _: ChatRequest, _: &CallContext) -> Result<ChatStream, ModelError> {
        Err(ModelError::Unavailable("silent".to_owned()))
    }
}

#[async_trait]
impl Embedder for Silent {
    fn identity(&self) -> String {
        "silent".to_owned()
    }

    async fn dimension(&self) -> Result<usize, ModelError> {
        Ok(1)
    }

    async fn max_tokens(&self) -> Result<usize, ModelError> {
        Ok(1)
    }

    async fn embed(&self, _: EmbedKind, _: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        Err(ModelError::Unavailable("silent".to_owned()))
    }

    async fn token_counter(&self) -> Result<TokenCounter, ModelError> {
        Err(ModelError::Unavailable("silent".to_owned()))
    }
}

fn application(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

fn deps(root: &Path) -> ToolDeps {
    ToolDeps {
        chat: Arc::new(Silent),
        embedder: Arc::new(Silent),
        approvals: Arc::new(NoApprovals),
        root: root.to_owned(),
        state: root.join(".praxis/tools"),
    }
}

const NOTES: &str = "folder = \"space\"\n[policy]\napproval = \"never\"\n";

#[tokio::test]
async fn files_make_functions_that_can_be_called() {
    let root = application(&[
        ("tools/notes.files.toml", NOTES),
        (
            "tools/letters.mail.toml",
            "folder = \"drafts\"\nfrom = \"a@example.com\"\n",
        ),
        ("tools/README.md", "not a tool"),
        ("prompts/ask.prompt", "Hello"),
    ]);
    let deps = deps(root.path());
    let toolbox = Toolbox::read(root.path());
    let loaded = toolbox.load(&deps).await;
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    let names: Vec<&str> = loaded
        .functions
        .iter()
        .map(|f| f.signature().name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "letters",
            "notes/append",
            "notes/delete",
            "notes/edit",
            "notes/list",
            "notes/read",
            "notes/write",
            "praxis/approved",
            "praxis/calculate",
            "praxis/convert",
            "praxis/date",
        ]
    );
    // What is said without making them is the same.
    let (known, diagnostics) = toolbox.check(&deps.state);
    assert!(diagnostics.is_empty());
    for name in names {
        assert!(known.iter().any(|names| names.may_have(name)), "{name}");
    }
    let function = |name: &str| {
        let found = loaded.functions.iter().find(|f| f.signature().name == name);
        Arc::clone(found.unwrap())
    };
    let cx = CallContext::new(Arc::new(NoTrace));
    let write = json!({"path": "a.txt", "text": "hello"});
    function("notes/write").call(write, &cx).await.unwrap();
    let read = function("notes/read")
        .call(json!({"path": "a.txt"}), &cx)
        .await
        .unwrap();
    assert_eq!(read["text"], "hello");
    // A draft needs an approval, which nobody gives here.
    let draft = json!({"to": ["b@example.com"], "subject": "s", "text": "t"});
    assert!(function("letters").call(draft, &cx).await.is_err());
}

/// Files of an application, and what is said of them.
type Mistake = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

#[test]
fn mistakes_are_told_with_file_line_and_fix() {
    let mistakes: &[Mistake] = &[
        (
            &[("tools", "no folder")],
            &["cannot read the folder `tools/`"],
        ),
        (
            &[("tools/a.toml", "")],
            &["`tools/a.toml`", "what kind of tool", "`a.KIND.toml`"],
        ),
        (
            &[(
                "tools/crm.openapi.toml",
                "document = \"crm.yaml\"\noperations = [\"find\"]",
            )],
            &[
                "tools/crm.openapi.toml:1:12",
                "cannot read `",
                "a file below the application's folder, or a URL",
            ],
        ),
        (
            &[
                ("tools/crm.openapi.toml", "document = \"crm.yaml\""),
                ("crm.yaml", "a: ["),
            ],
            &["tools/crm.openapi.toml:1:12", "crm.yaml`: "],
        ),
        (
            &[("tools/a.sqll.toml", "")],
            &["no kind of tools `sqll`", "did you mean `sql`?"],
        ),
        (
            &[("tools/praxis.files.toml", NOTES)],
            &["begins the names of what is built in"],
        ),
        (
            &[("tools/1a.files.toml", NOTES)],
            &["cannot be the name of a tool", "begin it with a letter"],
        ),
        (
            &[
                ("tools/a.files.toml", NOTES),
                ("tools/a.mail.toml", "folder = \"d\"\nfrom = \"a@b.c\""),
            ],
            &[
                "`tools/a.files.toml` and `tools/a.mail.toml`",
                "both called `a`",
            ],
        ),
        (
            &[("tools/a.files.toml", "folder = \"x\"\nred_only = true")],
            &[
                "tools/a.files.toml:2:1",
                "unknown key `red_only`",
                "did you mean `read_only`?",
            ],
        ),
        (
            &[("tools/a.files.toml", "folder = \"../x\"")],
            &[
                "tools/a.files.toml:1:10",
                "no folder below the application's",
            ],
        ),
        (
            &[(
                "tools/a.files.toml",
                "folder = \"x\"\n[policy]\nrate = \"often\"",
            )],
            &["tools/a.files.toml:3"],
        ),
        (
            &[
                ("tools/a.files.toml", NOTES),
                ("prompts/a/read.prompt", "x"),
            ],
            &[
                "a tool and `prompts/a/read.prompt` are both `a/read`",
                "rename",
            ],
        ),
    ];
    for (files, said) in mistakes {
        let root = application(files);
        let toolbox = Toolbox::read(root.path());
        let (_, found) = toolbox.check(&root.path().join(".praxis/tools"));
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        let text = text.join("\n");
        for part in *said {
            assert!(text.contains(part), "{part:?} is missing in:\n{text}");
        }
        assert!(
            found.iter().any(|d| d.severity == Severity::Error),
            "{text}"
        );
    }
}

#[tokio::test]
async fn programs_in_a_folder_that_a_model_writes_in_are_warned_of() {
    let shell = |folder: &str, more: &str| {
        format!("folder = \"{folder}\"\ncommands = [\"git status\"]\nread_only = true\n{more}")
    };
    let always = "[policy]\napproval = \"always\"\n";
    for (files, folder, more, warned) in [
        ("space", "space", "", true),
        ("space", "space/code", "", true),
        ("space/notes", "space", "", true),
        ("space", "spaces", "", false),
        ("space", "space", always, false),
    ] {
        let root = application(&[
            ("tools/git.shell.toml", shell(folder, more).as_str()),
            (
                "tools/notes.files.toml",
                format!("folder = \"{files}\"\n").as_str(),
            ),
        ]);
        let deps = deps(root.path());
        let toolbox = Toolbox::read(root.path());
        let (_, checked) = toolbox.check(&deps.state);
        let loaded = toolbox.load(&deps).await.diagnostics;
        for found in [checked, loaded] {
            let armed = |d: &Diagnostic| {
                let text = d.to_string();
                d.severity == Severity::Warning
                    && text.contains("tools/git.shell.toml:1")
                    && text.contains("`tools/notes.files.toml`")
            };
            assert_eq!(
                found.iter().any(armed),
                warned,
                "{files} {folder}: {found:?}"
            );
        }
    }
    let reads = application(&[
        ("tools/git.shell.toml", shell("space", "").as_str()),
        (
            "tools/notes.files.toml",
            "folder = \"space\"\nread_only = true\n",
        ),
    ]);
    let (_, found) = Toolbox::read(reads.path()).check(&reads.path().join(".praxis/tools"));
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn what_was_checked_is_what_is_made() {
    let root = application(&[
        ("tools/notes.files.toml", NOTES),
        ("tools/bad.files.toml", "folder = 3"),
    ]);
    let deps = deps(root.path());
    let toolbox = Toolbox::read(root.path());
    // As an editor saves them while the application starts.
    std::fs::write(root.path().join("tools/notes.files.toml"), "folder = 3").unwrap();
    std::fs::write(root.path().join("tools/bad.files.toml"), NOTES).unwrap();
    let (names, checked) = toolbox.check(&deps.state);
    let loaded = toolbox.load(&deps).await;
    assert_eq!(checked, loaded.diagnostics);
    assert!(matches!(&checked[..], [one] if one.to_string().contains("tools/bad.files.toml:1")));
    for (function, there) in [("notes/read", true), ("bad/read", false)] {
        let is_made = |f: &Arc<dyn Function>| f.signature().name == function;
        assert_eq!(loaded.functions.iter().any(is_made), there, "{function}");
        assert_eq!(
            names.iter().any(|n| n.may_have(function)),
            there,
            "{function}"
        );
    }
}

#[tokio::test]
async fn a_file_with_mistakes_takes_no_other_along() {
    let root = application(&[
        ("tools/good.files.toml", NOTES),
        ("tools/bad.files.toml", "folder = 3"),
    ]);
    let loaded = Toolbox::read(root.path()).load(&deps(root.path())).await;
    assert_eq!(loaded.diagnostics.len(), 1);
    assert!(
        loaded
            .functions
            .iter()
            .any(|f| f.signature().name == "good/read")
    );
}

#[tokio::test]
async fn an_application_without_tool_files_has_what_is_built_in() {
    let root = application(&[]);
    let loaded = Toolbox::read(root.path()).load(&deps(root.path())).await;
    assert!(loaded.diagnostics.is_empty());
    assert_eq!(loaded.functions.len(), 4);
}

#[test]
fn a_tool_that_was_made_is_held_to_the_policy_of_its_interpreter() {
    let made = |policy: &str| {
        format!(
            "description = \"x\"\ninterpreter = \"code\"\ninput_schema = '{{\"type\": \"object\"}}'\n{policy}"
        )
    };
    let root = application(&[
        (
            "tools/code.python.toml",
            "[policy]\napproval = \"always\"\nrate = \"5/min\"\n",
        ),
        ("tools/vat.pytool.toml", made("").as_str()),
        (
            "tools/free.pytool.toml",
            made("[policy]\napproval = \"never\"\n").as_str(),
        ),
    ]);
    let toolbox = Toolbox::read(root.path());
    let policy = |name: &str| {
        let file = toolbox.files.iter().find(|file| file.name == name);
        file.unwrap().policy.clone()
    };
    assert_eq!(policy("vat"), policy("code"));
    assert_ne!(policy("vat"), PolicyConfig::default());
    // One that says something says it all.
    assert_eq!(policy("free").rate, None);
}

/// A kind whose functions are called as they like.
struct Strange {
    names: Mutex<Vec<&'static str>>,
    policy: PolicyConfig,
}

#[async_trait]
impl Declared for Strange {
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    fn policy(&self) -> &PolicyConfig {
        &self.policy
    }

    fn names(&self, _: &str, _: &Path, _: &Path) -> Looked {
        Names::Below("a/".to_owned()).into()
    }

    async fn make(&self, _: &str, _: &ToolDeps) -> Result<Made, Problem> {
        let names = std::mem::take(&mut *self.names.lock().unwrap());
        let named = |name: &'static str| Tool {
            function: Arc::new(Named(praxis_core::Signature {
                name: name.to_owned(),
                description: String::new(),
                input_schema: json!({ "type": "object" }),
                output_schema: json!({}),
                effects: praxis_core::Effects::default(),
            })),
            outside: false,
        };
        Ok(Made {
            tools: names.into_iter().map(named).collect(),
            warnings: vec![Problem {
                path: String::new(),
                message: "an old copy is used".to_owned(),
                help: None,
            }],
        })
    }
}

struct Named(praxis_core::Signature);

#[async_trait]
impl Function for Named {
    fn signature(&self) -> &praxis_core::Signature {
        &self.0
    }

    async fn call(
        &self,
        input: serde_json::Value,
        _: &CallContext,
    ) -> Result<serde_json::Value, praxis_core::CallError> {
        Ok(input)
    }
}

#[tokio::test]
async fn functions_that_are_not_called_by_their_file_are_left_out() {
    let root = application(&[]);
    let file = ToolFile {
        name: "a".to_owned(),
        kind: "mcp",
        text: TomlFile::new("tools/a.mcp.toml", ""),
        policy: PolicyConfig::default(),
        declared: Box::new(Strange {
            names: Mutex::new(vec!["a", "a/x", "a/x", "ab/y", "praxis/date", "a/"]),
            policy: PolicyConfig::default(),
        }),
    };
    let (functions, found) = made(&file, &deps(root.path())).await;
    let names: Vec<&str> = functions
        .iter()
        .map(|f| f.signature().name.as_str())
        .collect();
    assert_eq!(names, ["a", "a/x"]);
    let errors = found
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    assert_eq!((errors, found.len()), (4, 5));
}

#[tokio::test]
async fn what_a_server_offered_stays_where_it_does_not_answer() {
    let root = application(&[
        ("tools/notes.files.toml", NOTES),
        (".praxis/tools/files/notes.json", "kept"),
    ]);
    let deps = deps(root.path());
    let copy = deps.state.join("files/notes.json");
    let toolbox = Toolbox::read(root.path());
    let loaded = toolbox.refresh(&deps, Some("notes")).await.unwrap();
    assert!(loaded.diagnostics.is_empty());
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "kept");
    assert!(!copy.with_extension("before").exists());
    let error = toolbox.refresh(&deps, Some("note")).await.err().unwrap();
    assert_eq!(error.label.as_deref(), Some("did you mean `notes`?"));
}
