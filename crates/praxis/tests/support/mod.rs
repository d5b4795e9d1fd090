//! Runs the real binary in a folder of its own, as a user would.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An application folder that is deleted at the end of the test.
pub struct Sandbox {
    dir: tempfile::TempDir,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Run {
    pub stdout: String,
    pub stderr: String,
    pub ok: bool,
}

impl Sandbox {
    /// An empty folder.
    pub fn empty() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// A `knowledge-qa` application that answers with the smallest model.
    pub fn knowledge_qa() -> Self {
        let sandbox = Self::empty();
        let run = sandbox.praxis(&["new", "."]);
        assert!(run.ok, "{run:?}");
        let path = sandbox.path("praxis.toml");
        let config = std::fs::read_to_string(&path).expect("praxis.toml");
        std::fs::write(
            path,
            config.replace("qwen2.5-coder-1.5b-instruct", "smollm2-135m-instruct"),
        )
        .expect("praxis.toml is written");
        sandbox
    }

    /// A path in the folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    /// Writes a file.
    pub fn write(&self, relative: &str, content: impl AsRef<[u8]>) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, content).expect("the file is written");
    }

    /// The binary, ready to run in the folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_praxis"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("PRAXIS_APP");
        command
    }

    /// Runs the binary in the folder.
    pub fn praxis(&self, args: &[&str]) -> Run {
        Run::from(self.command(args).output().expect("praxis starts"))
    }

    /// Runs it with `--json` and parses what it printed.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let mut all = args.to_vec();
        all.push("--json");
        let run = self.praxis(&all);
        serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e} in {run:?}"))
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            ok: output.status.success(),
        }
    }
}

/// Whether a model is in the cache; says so where not. `make test` pulls those that the default
/// suite needs.
pub fn has_model(name: &str) -> bool {
    let sandbox = Sandbox::empty();
    let info = sandbox.json(&["models", "info", name]);
    let here = info["path"].is_string();
    if !here {
        eprintln!("SKIPPED: needs `praxis models pull {name}`");
    }
    here
}

/// The shared data folder beside the repository, if it is there.
pub fn shared(relative: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(relative);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: needs ../shared/{relative}");
    None
}
