//! Tools that were proposed and wait for a person: a file each in the folder of state. What is proposed does nothing.
//! A person who has read it approves it, and it becomes two files of the application: `tools/NAME.py` and
//! `tools/NAME.pytool.toml`. Nothing that a model can call approves.
//!
//! Left out: proposing (`propose`), and what an approved tool does (`made`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use praxis_core::{Caller, Problem};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::problem;
use crate::disk;

/// The folder of proposals in that of state, and that of tool files in the application's.
const PROPOSED: &str = "proposed";
const TOOLS: &str = "tools";

/// The kind of tool files that come of proposals.
pub(super) const KIND: &str = "pytool";

/// Proposals that wait at a time.
const MOST: usize = 100;

/// The longest name.
const LONGEST: usize = 40;

/// A tool that somebody proposed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// What it is to be called.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The interpreter that runs it: the name of a `python` tool file.
    pub interpreter: String,
    /// JSON Schema of its input, an object.
    pub input_schema: Value,
    /// Python code that defines `run`, which takes the input's properties by their names.
    pub code: String,
    /// What was tried, and what came out.
    pub tests: Vec<Tried>,
    /// Who proposed it.
    pub caller: Caller,
    /// The trace in which it was proposed.
    pub trace: String,
    /// When, in milliseconds since 1970.
    pub proposed_ms: i64,
}

/// A test of a proposal, which passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// What `run` was given.
    pub input: Value,
    /// What it gave.
    pub output: Value,
}

impl Proposal {
    /// What an approval is bound to: the proposal as it was read, to the last letter.
    pub fn digest(&self) -> String {
        let whole = serde_json::to_vec(self).unwrap_or_default();
        blake3::hash(&whole).to_hex().chars().take(16).collect()
    }
}

/// The proposals of an application.
pub struct Proposals {
    folder: PathBuf,
}

impl Proposals {
    /// Those in this folder of state (`.praxis/tools`).
    pub fn new(state: &Path) -> Self {
        Self {
            folder: state.join(PROPOSED),
        }
    }

    /// All of them, by name. Files that are none are left out.
    pub fn all(&self) -> Vec<Proposal> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let read = |entry: fs::DirEntry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok();
        let mut all: Vec<Proposal> = entries.take(2 * MOST).filter_map(read).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// That of this name.
    pub fn find(&self, name: &str) -> Option<Proposal> {
        let path = self.path(name)?;
        let found: Option<Proposal> = serde_json::from_slice(&fs::read(path).ok()?).ok();
        found.filter(|proposal| proposal.name == name)
    }

    /// Keeps a proposal, in the place of one of its name that waited.
    ///
    /// # Errors
    /// A name that is none, too many that wait, or a disk that cannot be written.
    pub(super) fn keep(&self, proposal: &Proposal) -> Result<(), Problem> {
        let path = self
            .path(&proposal.name)
            .ok_or_else(|| bad_name(&proposal.name))?;
        if !path.exists() && self.all().len() >= MOST {
            let message = format!("{MOST} proposed tools wait already");
            return Err(problem(
                "",
                message,
                "approve or discard some: `praxis tools proposed`",
            ));
        }
        let written = serde_json::to_vec_pretty(proposal)
            .map_err(io::Error::from)
            .and_then(|json| disk::replace(&path, &[&json]));
        written.map_err(|error| {
            problem(
                "",
                format!("the proposal was not kept: {error}"),
                "is the disk full?",
            )
        })
    }

    /// Makes a proposal a tool of the application in `root`. `digest` is that of the proposal which was read.
    ///
    /// # Errors
    /// No such proposal, another one than was read, or a tool of that name.
    pub fn approve(&self, name: &str, digest: &str, root: &Path) -> Result<PathBuf, Problem> {
        let Some(proposal) = self.find(name) else {
            let message = format!("no tool `{name}` is proposed");
            return Err(problem(
                "",
                message,
                "`praxis tools proposed` lists what is",
            ));
        };
        if proposal.digest() != digest {
            let message = format!("the proposed tool `{name}` is another one than `{digest}`");
            return Err(problem("", message, "read it again: it was proposed anew"));
        }
        let folder = root.join(TOOLS);
        if let Some(taken) = taken(&folder, name) {
            let message = format!("`{TOOLS}/{taken}` is there already");
            return Err(problem(
                "",
                message,
                "remove it first, or have the tool proposed under another name",
            ));
        }
        let file = folder.join(format!("{name}.{KIND}.toml"));
        // The code first: a tool file without it would be a mistake.
        let code = folder.join(format!("{name}.py"));
        let made = disk::create(&code, &[proposal.code.as_bytes()])
            .and_then(|()| disk::create(&file, &[declared(&proposal).as_bytes()]));
        made.map_err(|error| {
            problem(
                "",
                format!("the tool `{name}` was not written: {error}"),
                "may the folder be written?",
            )
        })?;
        self.discard(name);
        Ok(file)
    }

    /// Removes a proposal; whether there was one.
    pub fn discard(&self, name: &str) -> bool {
        self.path(name)
            .is_some_and(|path| fs::remove_file(path).is_ok())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        is_name(name).then(|| self.folder.join(format!("{name}.json")))
    }
}

/// Whether a text can be the name of a tool file.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= LONGEST
        && name.chars().all(plain)
}

pub(super) fn bad_name(name: &str) -> Problem {
    let help = format!(
        "begin it with a letter; letters, digits, `_` and `-` may follow, {LONGEST} at most"
    );
    problem(
        "name",
        format!("`{name}` cannot be the name of a tool"),
        help,
    )
}

/// A file of the folder that has this name, of whatever kind.
fn taken(folder: &Path, name: &str) -> Option<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.find(|file| file.split('.').next() == Some(name))
}

/// The tool file of a proposal.
fn declared(proposal: &Proposal) -> String {
    let text = |text: &str| toml::Value::String(text.to_owned()).to_string();
    format!(
        "# Proposed by {}, in the trace {}, and approved by a person. Its code is in {}.py.\ndescription = {}\n\
         interpreter = {}\ninput_schema = {}\n",
        proposal
            .caller
            .name
            .as_deref()
            .map_or("the owner".to_owned(), |name| name
                .escape_default()
                .to_string()),
        proposal.trace.escape_default(),
        proposal.name,
        text(&proposal.description),
        text(&proposal.interpreter),
        text(&proposal.input_schema.to_string()),
    )
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub fn proposal(name: &str) -> Proposal {
        Proposal {
            name: name.to_owned(),
            description: "Adds \"two\" numbers.\nNothing more.".to_owned(),
            interpreter: "code".to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": { "a": { "type": "number" }, "b": { "type": "number" } },
                "required": ["a", "b"],
            }),
            code: "def run(a, b):\n    return a + b\n".to_owned(),
            tests: vec![Tried {
                input: json!({ "a": 1, "b": 2 }),
                output: json!(3),
            }],
            caller: Caller::full(),
            trace: "t".to_owned(),
            proposed_ms: 1,
        }
    }

    #[test]
    fn a_person_approves_what_was_read_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let proposals = Proposals::new(&root.path().join(".praxis/tools"));
        assert!(proposals.all().is_empty());
        proposals.keep(&proposal("add")).unwrap();
        let read = proposals.find("add").unwrap();
        // It is proposed anew while it is read.
        let mut other = proposal("add");
        other.code.push_str("import os\n");
        proposals.keep(&other).unwrap();
        let error = proposals
            .approve("add", &read.digest(), root.path())
            .unwrap_err();
        assert!(error.message.contains("another one"), "{error}");
        assert!(!root.path().join("tools/add.py").exists());

        let digest = proposals.find("add").unwrap().digest();
        let file = proposals.approve("add", &digest, root.path()).unwrap();
        let text = fs::read_to_string(file).unwrap();
        let declared: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(
            declared["description"].as_str(),
            Some(other.description.as_str())
        );
        let schema: Value =
            serde_json::from_str(declared["input_schema"].as_str().unwrap()).unwrap();
        assert_eq!(schema, other.input_schema);
        assert_eq!(
            fs::read_to_string(root.path().join("tools/add.py")).unwrap(),
            other.code
        );
        assert!(proposals.find("add").is_none());
    }

    #[test]
    fn a_tool_that_is_there_is_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("tools")).unwrap();
        fs::write(root.path().join("tools/add.http.toml"), "").unwrap();
        let proposals = Proposals::new(root.path());
        proposals.keep(&proposal("add")).unwrap();
        let digest = proposals.find("add").unwrap().digest();
        let error = proposals.approve("add", &digest, root.path()).unwrap_err();
        assert!(error.message.contains("add.http.toml"), "{error}");
        assert!(proposals.discard("add") && !proposals.discard("add"));
        assert!(proposals.approve("add", &digest, root.path()).is_err());
    }

    #[test]
    fn names_are_those_of_files_and_proposals_are_bounded() {
        let root = tempfile::tempdir().unwrap();
        let proposals = Proposals::new(root.path());
        for name in [
            "",
            "../x",
            "a/b",
            "1st",
            "a.b",
            "é",
            &"x".repeat(LONGEST + 1),
        ] {
            assert!(proposals.keep(&proposal(name)).is_err(), "{name}");
            assert!(proposals.find(name).is_none());
        }
        for number in 0..MOST {
            proposals.keep(&proposal(&format!("t{number}"))).unwrap();
        }
        assert!(proposals.keep(&proposal("more")).is_err());
        assert!(proposals.keep(&proposal("t1")).is_ok());
    }
}
