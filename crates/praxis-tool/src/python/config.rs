//! `tools/NAME.python.toml`: which Python runs code, what it sees, and how much it may use. Left out: how that is held
//! to (`crate::sandbox`).

use std::path::{Component, Path};
use std::time::Duration;

use praxis_core::Problem;
use praxis_core::period::Period;
use serde::Deserialize;

use crate::safety::PolicyConfig;
use crate::sandbox::{Bounds, Isolation};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Folders of an application that say what it does and who may do it.
const OURS: [&str; 4] = [".praxis", ".git", "prompts", "tools"];

/// Handles of files that a program may have open.
const HANDLES: u64 = 128;

/// A `python` tool file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// What `NAME/run` is for, for models; what it is in general where nothing is said.
    pub description: Option<String>,
    /// The interpreter: a name that is looked for in the path, or a path; `python3` where nothing is said.
    pub python: Option<String>,
    /// Which packages code may import beside Python's own library.
    pub packages: Packages,
    /// A folder, below the application's, whose files code may be given by their names.
    pub workspace: Option<String>,
    /// What keeps code in.
    pub isolation: Isolation,
    /// Whether `NAME/propose` is there, with which a model proposes a snippet as a tool.
    pub propose: bool,
    /// What a call may use.
    pub limits: Limits,
    /// Interpreters that stay between calls.
    pub sessions: Sessions,
    /// Which calls need a person, and how many there may be.
    pub policy: PolicyConfig,
}

/// Packages beside Python's own library.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "must be true, false or the path of a virtual environment"
)]
pub(crate) enum Packages {
    /// All that the interpreter has, or none.
    Own(bool),
    /// Those of the virtual environment at this path; its interpreter is the one that runs.
    Environment(String),
}

impl Default for Packages {
    fn default() -> Self {
        Self::Own(false)
    }
}

/// What a call may use. Sizes are bytes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// How long it may take.
    pub time: Period,
    /// Processor time.
    pub cpu: Period,
    /// Memory, without the scratch folder.
    pub memory: u64,
    /// The scratch folder.
    pub scratch: u64,
    /// Files and folders in the scratch folder.
    pub files: u64,
    /// One file.
    pub file: u64,
    /// What is kept of each output, and of the text of a result or an error.
    pub output: u64,
    /// Files that are given back.
    pub returned: u64,
    /// All files that are given back together.
    pub returned_bytes: u64,
    /// Processes. With more than one, each has its share of the memory, and threads count as processes.
    pub processes: u64,
    /// Threads, where there is one process.
    pub threads: u64,
    /// Calls that run at a time.
    pub at_once: u64,
    /// Calls that wait for their turn.
    pub waiting: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Period(Duration::from_secs(30)),
            cpu: Period(Duration::from_secs(20)),
            memory: 1024 * MIB,
            scratch: 256 * MIB,
            files: 1000,
            file: 64 * MIB,
            output: 64 * KIB,
            returned: 16,
            returned_bytes: 16 * MIB,
            processes: 1,
            threads: 32,
            at_once: 8,
            waiting: 64,
        }
    }
}

/// Interpreters that stay between calls.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sessions {
    /// How many at a time; none is none.
    pub most: u64,
    /// How long one stays that nobody calls.
    pub idle: Period,
    /// Processor time of one in all its life.
    pub cpu: Period,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            most: 8,
            idle: Period(Duration::from_secs(600)),
            cpu: Period(Duration::from_secs(600)),
        }
    }
}

/// Numbers and the range that each has to be in: what a limit is called, its value, its least and its most.
type Range = (&'static str, u64, u64, u64);

impl Config {
    /// What is wrong with it, as far as it can be told without looking around.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.limits.problems();
        let sessions = [
            ("sessions.most", self.sessions.most, 0, 1000),
            ("sessions.cpu", self.sessions.cpu.0.as_secs(), 1, 86_400),
            ("sessions.idle", self.sessions.idle.0.as_secs(), 1, 86_400),
        ];
        problems.extend(sessions.into_iter().filter_map(out_of_range));
        if self.isolation == Isolation::Landlock && self.limits.processes > 1 {
            problems.push(problem(
                "limits.processes",
                "without namespaces, code has one process".to_owned(),
                "leave it out, or set `isolation = \"namespaces\"`",
            ));
        }
        if self.python.is_some() && matches!(self.packages, Packages::Environment(_)) {
            problems.push(problem(
                "python",
                "a virtual environment has an interpreter of its own".to_owned(),
                "leave out `python`, or set `packages` to true",
            ));
        }
        if let Some(workspace) = &self.workspace
            && !is_workspace(workspace)
        {
            problems.push(problem(
                "workspace",
                format!("code is given no files of `{workspace}`"),
                "name a folder of its own below the application's, such as \"data\"",
            ));
        }
        problems
    }

    /// What the sandbox holds code to; `cpu` is for all of its life.
    pub(super) fn bounds(&self, cpu: Duration) -> Bounds {
        let limits = &self.limits;
        Bounds {
            memory: limits.memory,
            // A second more than what the interpreter ends by itself, and what it takes to start.
            cpu: cpu.as_secs().saturating_add(2),
            scratch: limits.scratch,
            files: limits.files,
            file: limits.file,
            processes: limits.processes,
            threads: limits.threads,
            handles: HANDLES,
        }
    }
}

impl Limits {
    fn problems(&self) -> Vec<Problem> {
        let ranges = [
            ("limits.time", self.time.0.as_secs(), 1, 3600),
            ("limits.cpu", self.cpu.0.as_secs(), 1, 3600),
            ("limits.memory", self.memory, 64 * MIB, u64::MAX),
            ("limits.scratch", self.scratch, MIB, 1 << 40),
            ("limits.files", self.files, 16, 1_000_000),
            ("limits.file", self.file, KIB, self.scratch),
            ("limits.output", self.output, KIB, 16 * MIB),
            ("limits.returned", self.returned, 0, 1000),
            ("limits.returned_bytes", self.returned_bytes, 0, 1 << 30),
            ("limits.processes", self.processes, 1, 1000),
            ("limits.threads", self.threads, 1, 10_000),
            ("limits.at_once", self.at_once, 1, 10_000),
            ("limits.waiting", self.waiting, 0, 100_000),
        ];
        ranges.into_iter().filter_map(out_of_range).collect()
    }
}

/// Whether a folder is one below the application's, and none that says what the application does.
fn is_workspace(folder: &str) -> bool {
    let parts: Vec<Component<'_>> = Path::new(folder).components().collect();
    let is_ours = |part: &Component<'_>| {
        let name = part.as_os_str().to_string_lossy().to_lowercase();
        OURS.contains(&name.as_str())
    };
    let is_plain = |part: &Component<'_>| matches!(part, Component::Normal(_));
    parts.iter().all(is_plain) && parts.first().is_some_and(|first| !is_ours(first))
}

fn out_of_range((path, value, least, most): Range) -> Option<Problem> {
    let what = match most {
        u64::MAX => format!("at least {least}"),
        _ => format!("{least} to {most}"),
    };
    (!(least..=most).contains(&value)).then(|| {
        let help = match path.ends_with("time") || path.ends_with("cpu") || path.ends_with("idle") {
            true => format!("it is {what} seconds, written like \"30s\""),
            false => format!("it is {what}"),
        };
        problem(path, format!("{value} is out of range"), help)
    })
}

pub(super) fn problem(path: &str, message: String, help: impl Into<String>) -> Problem {
    Problem {
        path: path.to_owned(),
        message,
        help: Some(help.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_file_may_be_empty_or_say_everything() {
        assert!(read("").problems().is_empty());
        let config = read(
            "description = \"Computes.\"\npackages = \".venv\"\nworkspace = \"data\"\nisolation = \"landlock\"\n\
             propose = true\n[limits]\ntime = \"5s\"\nmemory = 268435456\n[sessions]\nmost = 2\nidle = \"1m\"\n\
             [policy]\nrate = \"30/min\"\n",
        );
        assert!(config.problems().is_empty());
        assert_eq!(config.packages, Packages::Environment(".venv".to_owned()));
        assert_eq!(config.isolation, Isolation::Landlock);
        assert_eq!(config.bounds(Duration::from_secs(20)).cpu, 22);
    }

    #[test]
    fn what_cannot_be_is_named_with_its_place() {
        for (text, path) in [
            ("[limits]\nmemory = 1", "limits.memory"),
            ("[limits]\ntime = \"2h\"", "limits.time"),
            ("[limits]\ntime = \"5ms\"", "limits.time"),
            ("[limits]\nfile = 1073741824", "limits.file"),
            (
                "isolation = \"landlock\"\n[limits]\nprocesses = 2",
                "limits.processes",
            ),
            ("python = \"python3\"\npackages = \".venv\"", "python"),
            ("workspace = \"../other\"", "workspace"),
            ("workspace = \"/etc\"", "workspace"),
            ("workspace = \".Praxis/tools\"", "workspace"),
            ("workspace = \"\"", "workspace"),
            ("[sessions]\nmost = 100000", "sessions.most"),
        ] {
            let problems = read(text).problems();
            assert_eq!(
                problems.first().map(|p| p.path.as_str()),
                Some(path),
                "{text}"
            );
        }
        for text in ["isolation = \"none\"", "packages = 3", "sandbox = false"] {
            assert!(toml::from_str::<Config>(text).is_err(), "{text}");
        }
    }
}
