//! Tool files `NAME.shell.toml`: programs of this machine, each with the arguments that the file allows.
//!
//! ```toml
//! folder = "workspace"
//! commands = ["git status", "git log --oneline -n {integer}", "wc -l {path...}"]
//! read_only = true
//! ```
//!
//! The function `NAME` takes a command line, which has to fit one of the patterns and is never seen by a shell. A
//! program runs in the folder, with an empty home, without the server's environment and with limits of time and output;
//! but it may do whatever the server's user may, and obeys what it finds in the folder. So there is none without a file,
//! and none that runs code of its own choice: that is what the kind `python` is for, in a sandbox. A folder in which a
//! model writes is warned of (`crate::toolbox`).

mod pattern;
mod run;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use praxis_core::{
    CallContext, CallError, Effect, Effects, ErrorCode, KeyReference, Problem, Signature,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use self::pattern::{Pattern, split};
use self::run::{Run, find};
use super::workspace::{Workspace, folder_problems};
use crate::deps::ToolDeps;
use crate::safety::PolicyConfig;
use crate::toolbox::{Made, Names, Ties, Tool};
use crate::work::{Work, invalid, read, tool};

/// Limits of the limits.
const MOST_SECONDS: u64 = 600;
const MOST_OUTPUT: usize = 4 << 20;
const MOST_COMMANDS: usize = 100;

/// Programs of one file that run at a time.
const AT_ONCE: usize = 4;

/// Commands of which a model is told.
const MOST_TOLD: usize = 30;

/// Programs that run what a file or an argument says, without the version at the end of their names.
const INTERPRETERS: [&str; 53] = [
    "ash", "awk", "bash", "bun", "busybox", "cargo", "csh", "dash", "deno", "doas", "docker", "ed",
    "emacs", "env", "fish", "gawk", "gdb", "gmake", "go", "ksh", "lua", "luajit", "make", "mawk",
    "nice", "node", "nohup", "npm", "npx", "parallel", "perl", "php", "pip", "pnpm", "podman",
    "pypy", "python", "ruby", "sed", "setsid", "sh", "ssh", "strace", "sudo", "tar", "tclsh",
    "time", "timeout", "vim", "watch", "xargs", "yarn", "zsh",
];

/// The beginnings of names of git's variables that say which settings count: those that are set here keep git from
/// running what a repository says.
const SETTINGS_OF_GIT: [&str; 3] = ["GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"];

/// A `shell` tool file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where programs run, below the application's folder.
    pub folder: String,
    /// What may be run.
    pub commands: Vec<String>,
    /// Whether none of them changes anything.
    #[serde(default)]
    pub read_only: bool,
    /// Seconds that a program may take.
    #[serde(default = "seconds")]
    pub timeout: u64,
    /// Bytes that are kept of what it writes.
    #[serde(default = "bytes")]
    pub output: usize,
    /// Variables of its environment; a value may be `env:NAME`.
    #[serde(default)]
    pub env: BTreeMap<String, KeyReference>,
    /// Approvals, effects and rates.
    #[serde(default)]
    pub policy: PolicyConfig,
}

fn seconds() -> u64 {
    30
}

fn bytes() -> usize {
    64 << 10
}

impl Config {
    /// What is wrong with it.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut all = folder_problems("folder", &self.folder);
        let mut wrong = |path: String, message: String, help: &str| {
            all.push(Problem {
                path,
                message,
                help: Some(help.to_owned()),
            });
        };
        if self.commands.is_empty() || self.commands.len() > MOST_COMMANDS {
            let message = format!("`commands` has 1 to {MOST_COMMANDS} commands");
            let help = "write each with its arguments, such as \"git log -n {integer}\"";
            wrong("commands".to_owned(), message, help);
        }
        for (i, command) in self.commands.iter().enumerate() {
            if let Err(message) = Pattern::read(command) {
                let help = "write a program and its arguments; {path}, {integer}, {word} and {text} stand for any";
                wrong(format!("commands.{i}"), message, help);
            }
        }
        if !(1..=MOST_SECONDS).contains(&self.timeout) {
            let message = format!("`timeout` is {} s", self.timeout);
            wrong("timeout".to_owned(), message, "write 1 to 600 seconds");
        }
        if !(1..=MOST_OUTPUT).contains(&self.output) {
            let message = format!("`output` is {} bytes", self.output);
            wrong("output".to_owned(), message, "write 1 to 4194304 bytes");
        }
        for name in self.env.keys() {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let is_loader = name.starts_with("LD_") || name.starts_with("DYLD_") || name == "PATH";
            let is_of_git = SETTINGS_OF_GIT.iter().any(|begin| name.starts_with(begin));
            if name.is_empty() || !name.chars().all(plain) || is_loader || is_of_git {
                let message = format!("`{name}` is no variable to set");
                let help =
                    "letters, digits and `_`; not PATH, none of the loader's, and no GIT_CONFIG_*";
                wrong(format!("env.{name}"), message, help);
            }
        }
        all
    }

    /// The folder in which programs run, and those of them that run anything. Where a person sees each command, a
    /// folder that a model writes in is of no use to it.
    pub(crate) fn ties(&self) -> Ties {
        let commands = self.commands.iter().enumerate();
        let warnings = commands.filter_map(|(i, text)| {
            let pattern = Pattern::read(text).ok()?;
            open(&pattern, Path::new(&pattern.program), i)
        });
        Ties {
            folder: Some(self.folder.clone()),
            runs: !self.policy.always_asks(),
            warnings: warnings.collect(),
            ..Ties::default()
        }
    }
}

/// What is said of a command whose program runs whatever it is given; `program` is where that is.
fn open(pattern: &Pattern, program: &Path, i: usize) -> Option<Problem> {
    let file = program.file_name().unwrap_or_default().to_string_lossy();
    let plain = file.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    let is_open = pattern.is_open() && INTERPRETERS.contains(&plain);
    is_open.then(|| Problem {
        path: format!("commands.{i}"),
        message: format!("`{}` runs whatever code it is given", pattern.text),
        help: Some("name the exact file, or use the kind `python`".to_owned()),
    })
}

/// Names of its functions.
pub(crate) fn names(name: &str, _: &Config, _: &Path, _: &Path) -> Names {
    Names::Known(vec![name.to_owned()])
}

/// Makes its function.
///
/// # Errors
/// A folder that cannot be made or opened, a variable that is not set, and what [`Config::problems`] finds.
pub(crate) async fn make(name: &str, config: &Config, deps: &ToolDeps) -> Result<Made, Problem> {
    let workspace = Workspace::open(&deps.root, &config.folder)?;
    let homes = deps.state.join("shell").join(name);
    let homes = std::path::absolute(&homes).unwrap_or(homes);
    let (shell, warnings) = Shell::new(name, config, workspace.path(), homes)?;
    Ok(Made {
        tools: vec![Tool {
            function: tool(shell)?,
            outside: true,
        }],
        warnings,
    })
}

struct Shell {
    signature: Signature,
    /// What may be run, with the program that it is on this machine.
    commands: Vec<(Pattern, PathBuf)>,
    run: Run,
    places: Semaphore,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    command: String,
}

impl Shell {
    fn new(
        name: &str,
        config: &Config,
        folder: &Path,
        homes: PathBuf,
    ) -> Result<(Self, Vec<Problem>), Problem> {
        let (mut commands, mut warnings) = (Vec::new(), Vec::new());
        for (i, text) in config.commands.iter().enumerate() {
            let path = format!("commands.{i}");
            let pattern = Pattern::read(text).map_err(|message| Problem {
                path: path.clone(),
                message,
                help: None,
            })?;
            let Some(program) = find(&pattern.program) else {
                warnings.push(Problem {
                    path,
                    message: format!("there is no program `{}` on this machine", pattern.program),
                    help: Some("install it, or leave the command out".to_owned()),
                });
                continue;
            };
            warnings.extend(open(&pattern, &program, i));
            commands.push((pattern, program));
        }
        let mut env = BTreeMap::new();
        for (key, value) in &config.env {
            let value = match value.variable() {
                Some(variable) => std::env::var(variable).map_err(|_| Problem {
                    path: format!("env.{key}"),
                    message: format!("the environment variable `{variable}` is not set"),
                    help: Some("set it where the server is started".to_owned()),
                })?,
                None => value.written().to_owned(),
            };
            env.insert(key.clone(), value);
        }
        let told: Vec<&str> = commands.iter().map(|(p, _)| p.text.as_str()).collect();
        let shown = told.iter().take(MOST_TOLD).map(|text| format!("`{text}`"));
        let shell = Self {
            signature: Signature {
                name: name.to_owned(),
                description: format!(
                    "Runs one of these commands, without a shell; {{path}}, {{integer}}, {{word}} and {{text}} are \
                     filled in: {}",
                    shown.collect::<Vec<_>>().join(", ")
                ),
                input_schema: json!({
                    "type": "object",
                    "properties": { "command": { "type": "string", "minLength": 1 } },
                    "required": ["command"],
                    "additionalProperties": false,
                }),
                output_schema: json!({
                    "type": "object",
                    "properties": {
                        "status": { "type": "integer" },
                        "stdout": { "type": "string" },
                        "stderr": { "type": "string" },
                        "cut": { "type": "boolean" },
                    },
                    "required": ["status", "stdout", "stderr", "cut"],
                }),
                effects: if config.read_only {
                    Effects::READ
                } else {
                    Effects::of(&[Effect::Write, Effect::External, Effect::Irreversible])
                },
            },
            commands,
            run: Run {
                folder: folder.to_owned(),
                homes,
                env,
                time: Duration::from_secs(config.timeout),
                output: config.output,
            },
            places: Semaphore::new(AT_ONCE),
        };
        Ok((shell, warnings))
    }
}

#[async_trait]
impl Work for Shell {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, cx: &CallContext) -> Result<Value, CallError> {
        let name = &self.signature.name;
        let input: Input = read(name, input)?;
        let words = split(input.command.trim(), false).map_err(|what| invalid(name, what))?;
        let found = self
            .commands
            .iter()
            .find(|(pattern, _)| pattern.fits(&words));
        let Some((_, program)) = found else {
            let commands: Vec<&str> = self.commands.iter().map(|(p, _)| p.text.as_str()).collect();
            let message = format!("`{name}` does not run `{}`", input.command);
            return Err(CallError::new(ErrorCode::InvalidRequest, message)
                .with_hint(format!("it runs: {}", commands.join(", "))));
        };
        let _place = tokio::select! {
            place = self.places.acquire() => place.map_err(CallError::failure)?,
            () = cx.cancel().cancelled() => return Err(praxis_core::ModelError::Cancelled.into()),
        };
        self.run.run(program, &words[1..], cx).await
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use praxis_core::trace::NoTrace;

    use super::*;

    struct Desk {
        root: tempfile::TempDir,
        function: Arc<dyn praxis_core::Function>,
        warnings: Vec<Problem>,
    }

    fn desk(toml: &str) -> Desk {
        let root = tempfile::tempdir().unwrap();
        let config: Config = toml::from_str(toml).unwrap();
        assert!(config.problems().is_empty(), "{:?}", config.problems());
        let workspace = Workspace::open(root.path(), &config.folder).unwrap();
        let homes = root.path().join("homes");
        let (shell, warnings) = Shell::new("desk", &config, workspace.path(), homes).unwrap();
        Desk {
            root,
            function: tool(shell).unwrap(),
            warnings,
        }
    }

    impl Desk {
        async fn call(&self, command: &str) -> Result<Value, CallError> {
            let cx = CallContext::new(Arc::new(NoTrace));
            self.function.call(json!({ "command": command }), &cx).await
        }
    }

    #[tokio::test]
    async fn a_command_runs_in_its_folder_with_a_clean_environment() {
        let desk = desk(
            "folder = \"space\"\ncommands = [\"pwd\", \"env\", \"cat {path}\", \"sh -c 'exit 3'\"]\n\
             [env]\nDESK = \"x\"",
        );
        std::fs::write(desk.root.path().join("space/a b.txt"), "hello").unwrap();
        let output = desk.call("cat 'a b.txt'").await.unwrap();
        assert_eq!(
            output,
            json!({"stdout": "hello", "stderr": "", "cut": false, "status": 0})
        );
        let pwd = desk.call("pwd").await.unwrap();
        assert!(
            pwd["stdout"]
                .as_str()
                .unwrap()
                .trim_end()
                .ends_with("/space"),
            "{pwd}"
        );
        let env = desk.call("env").await.unwrap();
        let mut names: Vec<&str> = env["stdout"]
            .as_str()
            .unwrap()
            .lines()
            .filter_map(|line| Some(line.split_once('=')?.0))
            .filter(|name| !matches!(*name, "PWD" | "SHLVL" | "_") && !name.starts_with("GIT_"))
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["DESK", "HOME", "LANG", "PATH"]);
        assert_eq!(desk.call("sh -c 'exit 3'").await.unwrap()["status"], 3);
    }

    #[tokio::test]
    async fn each_run_has_a_new_home_that_is_empty_and_not_the_folder() {
        let look = "sh -c 'ls -A \"$HOME\"; echo x > \"$HOME/.profile\"; echo \"$HOME\"'";
        let desk = desk(&format!("folder = \"space\"\ncommands = ['''{look}''']"));
        std::fs::write(desk.root.path().join("space/.profile"), "x").unwrap();
        let mut homes = Vec::new();
        for _ in 0..2 {
            let output = desk.call(look).await.unwrap();
            // One line: nothing was there.
            let home = output["stdout"].as_str().unwrap().trim_end().to_owned();
            let home = PathBuf::from(home);
            assert_eq!(
                home.parent(),
                Some(desk.root.path().join("homes").as_path())
            );
            assert!(!home.exists(), "{home:?}");
            homes.push(home);
        }
        assert_ne!(homes[0], homes[1]);
    }

    /// A model that may write into the folder, by whatever way, has no program of its own run by git.
    #[tokio::test]
    async fn settings_of_git_in_the_folder_run_nothing() {
        if find("git").is_none() {
            return;
        }
        let desk = desk("folder = \"space\"\ncommands = [\"git status --short\"]");
        let space = desk.root.path().join("space");
        let pwned = desk.root.path().join("pwned");
        let settings = |own: &str| {
            let runs = format!("touch '{}'; false", pwned.display());
            format!("[core]\n\trepositoryformatversion = 0\n{own}\tfsmonitor = \"{runs}\"\n")
        };
        let repository = |folder: &Path, own: &str| {
            std::fs::create_dir_all(folder.join("objects")).unwrap();
            std::fs::create_dir_all(folder.join("refs")).unwrap();
            std::fs::write(folder.join("HEAD"), "ref: refs/heads/main\n").unwrap();
            std::fs::write(folder.join("config"), settings(own)).unwrap();
        };
        std::fs::write(space.join(".gitconfig"), settings("")).unwrap();
        repository(&space.join(".git"), "");
        std::fs::write(space.join("a.txt"), "x").unwrap();
        let output = desk.call("git status --short").await.unwrap();
        assert_eq!(output["status"], 0, "{output}");
        assert!(
            output["stdout"].as_str().unwrap().contains("a.txt"),
            "{output}"
        );
        assert!(!pwned.exists());
        // Without `.git`, the folder itself looks like a repository.
        std::fs::remove_dir_all(space.join(".git")).unwrap();
        std::fs::create_dir_all(space.join("work")).unwrap();
        repository(&space, "\tbare = false\n\tworktree = work\n");
        desk.call("git status --short").await.unwrap();
        assert!(!pwned.exists());
    }

    #[tokio::test]
    async fn what_the_file_does_not_allow_is_not_run() {
        let desk = desk("folder = \"space\"\ncommands = [\"touch {path}\"]");
        for (command, said) in [
            ("touch a; touch b", "means something to a shell"),
            ("touch $(id)", "means something to a shell"),
            ("touch ../a", "does not run"),
            ("touch -d now a", "does not run"),
            ("rm a", "does not run"),
            ("", "shorter than 1"),
        ] {
            let error = desk.call(command).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest);
            assert!(error.message.contains(said), "{command}: {error:?}");
        }
        let left = std::fs::read_dir(desk.root.path().join("space"))
            .unwrap()
            .count();
        assert_eq!(left, 0);
        let effects = desk.function.signature().effects;
        assert!(effects.has(Effect::Irreversible));
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_ended_with_all_that_it_started() {
        // Within its time it has to write what is looked for, also on a busy machine.
        let desk = desk(
            "folder = \"space\"\ntimeout = 5\n\
             commands = [\"sh -c 'echo begun; sleep 600 & echo $! > child; sleep 600'\"]",
        );
        let command = "sh -c 'echo begun; sleep 600 & echo $! > child; sleep 600'";
        let error = desk.call(command).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Timeout);
        assert_eq!(error.details.unwrap()["stdout"], "begun\n");
        let child = std::fs::read_to_string(desk.root.path().join("space/child")).unwrap();
        let child: i32 = child.trim().parse().unwrap();
        let child = rustix::process::Pid::from_raw(child).unwrap();
        // The kernel may take a moment to bury it.
        let gone = async {
            while rustix::process::test_kill_process(child).is_ok() && !is_zombie(child) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone)
            .await
            .unwrap();
    }

    /// Whether a process is dead and waits for whoever started it.
    fn is_zombie(process: rustix::process::Pid) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
        stat.is_ok_and(|stat| {
            stat.rsplit(')')
                .next()
                .is_some_and(|rest| rest.trim_start().starts_with('Z'))
        })
    }

    #[tokio::test]
    async fn what_is_written_beyond_the_limit_is_dropped() {
        let desk = desk("folder = \"space\"\noutput = 1000\ncommands = [\"seq {integer}\"]");
        let output = desk.call("seq 100000").await.unwrap();
        assert_eq!(output["stdout"].as_str().unwrap().len(), 1000);
        assert_eq!(
            (&output["cut"], &output["status"]),
            (&json!(true), &json!(0))
        );
    }

    #[tokio::test]
    async fn a_cancelled_call_ends_its_program() {
        let desk = desk("folder = \"space\"\ncommands = [\"sleep {integer}\"]");
        let cx = CallContext::new(Arc::new(NoTrace));
        let cancel = cx.cancel().clone();
        let call = desk.function.call(json!({"command": "sleep 500"}), &cx);
        let (output, ()) = tokio::join!(call, async move {
            tokio::task::yield_now().await;
            cancel.cancel();
        });
        assert_eq!(output.unwrap_err().code, ErrorCode::Cancelled);
    }

    #[test]
    fn programs_that_are_missing_or_run_anything_are_warned_of() {
        let desk = desk(
            "folder = \"space\"\nread_only = true\ncommands = [\"no-such-program\", \"sh {path}\", \"sh -c 'true'\"]",
        );
        let said: Vec<&str> = desk.warnings.iter().map(|w| w.path.as_str()).collect();
        assert_eq!(said, ["commands.0", "commands.1"]);
        assert!(desk.function.signature().effects.only_reads());
        let config = |commands: &str| -> Config {
            toml::from_str(&format!("folder = \"s\"\ncommands = [{commands}]")).unwrap()
        };
        let all = config(
            "\"python3.12 {path}\", \"/usr/bin/awk {text}\", \"make {word}\", \"wc {path}\", \"make all\"",
        );
        // Without looking for them on this machine.
        let warned = all.ties().warnings;
        let warned: Vec<&str> = warned.iter().map(|w| w.path.as_str()).collect();
        assert_eq!(warned, ["commands.0", "commands.1", "commands.2"]);
    }

    #[test]
    fn mistakes_in_the_file_are_found() {
        for (toml, path) in [
            ("folder = \"prompts\"\ncommands = [\"ls\"]", "folder"),
            ("folder = \"s\"\ncommands = []", "commands"),
            (
                "folder = \"s\"\ncommands = [\"ls\", \"ls | wc\"]",
                "commands.1",
            ),
            (
                "folder = \"s\"\ncommands = [\"ls\"]\ntimeout = 0",
                "timeout",
            ),
            ("folder = \"s\"\ncommands = [\"ls\"]\noutput = 0", "output"),
            (
                "folder = \"s\"\ncommands = [\"ls\"]\n[env]\nLD_PRELOAD = \"x\"",
                "env.LD_PRELOAD",
            ),
            (
                "folder = \"s\"\ncommands = [\"ls\"]\n[env]\nGIT_CONFIG_COUNT = \"0\"",
                "env.GIT_CONFIG_COUNT",
            ),
        ] {
            let config: Config = toml::from_str(toml).unwrap();
            let problems = config.problems();
            assert_eq!(problems.len(), 1, "{toml}: {problems:?}");
            assert_eq!(problems[0].path, path);
        }
    }
}
