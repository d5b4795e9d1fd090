//! Data files as parts of versions: a version is called with its own, wherever it comes from.

use super::*;

const EXAMPLES: &str = "---\ninput:\n  schema:\n    q: string\npraxis.technique:\n  few_shot: {data: data/e.jsonl, count: 1}\n---\n{{q}}\n";

/// An application with that prompt and a data file.
struct Application {
    dir: tempfile::TempDir,
    known: Known,
    deps: Deps,
    chat: Arc<Replay>,
}

impl Application {
    fn new() -> Self {
        let dir = folder(&[("answer.prompt", EXAMPLES)]);
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let chat = Arc::new(Replay {
            pieces: vec!["yes"],
            ..Replay::default()
        });
        Self {
            known: Known {
                root: dir.path().to_owned(),
                ..known()
            },
            deps: Deps {
                chat: chat.clone(),
                retriever: Arc::new(Shelf::default()),
                embedder: Arc::new(Words),
                functions: Functions::default(),
                moderator: Arc::default(),
            },
            dir,
            chat,
        }
    }

    fn prompts(&self) -> PathBuf {
        self.dir.path().join("prompts")
    }

    fn write(&self, data: &str) {
        std::fs::write(self.dir.path().join("data/e.jsonl"), data).unwrap();
    }

    fn load(&self) -> Library {
        Library::load(&self.prompts(), &self.known, &self.deps).unwrap()
    }
}

fn example(output: &str) -> String {
    json!({ "input": "one", "output": output }).to_string() + "\n"
}

fn version_of(library: &Library) -> String {
    library.get("answer").unwrap().version().to_owned()
}

#[tokio::test]
async fn a_version_is_called_with_the_data_of_its_time() {
    let app = Application::new();
    app.write(&example("first"));
    let first = app.load();
    let kept = first.get("answer").unwrap().sources().clone();
    assert_eq!(kept["../data/e.jsonl"], example("first"));
    app.write(&example("second"));
    let now = app.load();
    let pinned = Library::from_sources(&kept, "prompts@1", &app.known, &app.deps).unwrap();
    assert_ne!(version_of(&first), version_of(&now));
    assert_eq!(version_of(&first), version_of(&pinned));
    // The same files have the same version where nothing is loaded.
    let files = version::read_sources(&app.prompts());
    let sources = version::sources(&files, "answer").unwrap();
    assert_eq!(version::version("answer", &sources), version_of(&now));
    for (library, shown) in [(&pinned, "first"), (&now, "second")] {
        call(library, json!({"q": "x"})).await.0.unwrap();
        let asked = app.chat.asked.lock().unwrap();
        assert_eq!(asked.last().unwrap().messages[1].text(), shown);
    }
}

#[tokio::test]
async fn of_large_data_a_version_runs_while_it_is_still_the_same() {
    let app = Application::new();
    let large = example("first") + &example(&"x".repeat(1 << 20));
    app.write(&large);
    let first = app.load();
    let kept = first.get("answer").unwrap().sources().clone();
    assert!(kept["../data/e.jsonl"].starts_with("blake3:"));
    let pinned = Library::from_sources(&kept, "prompts@1", &app.known, &app.deps).unwrap();
    assert_eq!(version_of(&first), version_of(&pinned));
    call(&pinned, json!({"q": "x"})).await.0.unwrap();
    let shown = app.chat.asked.lock().unwrap()[0].messages[1]
        .text()
        .into_owned();
    assert_eq!(shown, "first");
    app.write(&large.replace("first", "other"));
    assert_ne!(version_of(&app.load()), version_of(&first));
    let problems = Library::from_sources(&kept, "prompts@1", &app.known, &app.deps).err();
    let text = problems.unwrap()[0].render(false);
    assert!(text.contains("only the hash"), "{text}");
}

#[test]
fn what_is_wrong_with_a_data_file_is_said_at_its_technique() {
    let app = Application::new();
    let said = |problems: Vec<Diagnostic>| -> String {
        problems.iter().map(|p| p.render(false)).collect()
    };
    let folder = || said(check(&app.prompts(), &app.known));
    let text = folder();
    assert!(text.contains("cannot read `data/e.jsonl`"), "{text}");
    assert!(text.contains("prompts/answer.prompt:5:8"), "{text}");
    app.write(&(example("first") + "{\n"));
    let text = folder();
    assert!(text.contains("`data/e.jsonl`, line 2"), "{text}");
    app.write(&example("first"));
    assert_eq!(folder(), "");
    // A version without its data is not run on what the file is today.
    let files = Sources::from([("answer.prompt".to_owned(), EXAMPLES.to_owned())]);
    let text = said(check_sources(&files, "prompts@1", &app.known));
    assert!(text.contains("kept without `data/e.jsonl`"), "{text}");
    assert!(text.contains("prompts@1/answer.prompt:5:8"), "{text}");
}
