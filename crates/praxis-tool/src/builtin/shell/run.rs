//! Runs one program: its own environment, a home that is new and empty, no input, a folder, a time and an output that
//! end. What it leaves running in its group of processes is ended with it.
//!
//! Left out: a program that begins a session of its own (`setsid`) is not followed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use praxis_core::{CallContext, CallError, ErrorCode, ModelError};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// Where programs are looked for.
const PLACES: [&str; 5] = [
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
    "/usr/local/sbin",
    "/opt/homebrew/bin",
];

/// What keeps git from running programs that settings name and nobody asked for. The last of several settings counts,
/// and these are read last: before them come those of the system, of the user, and of the repository.
const GIT: [(&str, &str); 10] = [
    // A folder with a `HEAD` in it is no repository unless someone says so.
    ("safe.bareRepository", "explicit"),
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("core.editor", "false"),
    ("core.sshCommand", "ssh"),
    ("core.askPass", ""),
    ("protocol.ext.allow", "never"),
    // It would go on in the background.
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
];

/// How long what a program wrote is waited for when it has ended.
const AFTER: Duration = Duration::from_secs(2);

/// How a program is run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Its folder.
    pub folder: PathBuf,
    /// Where each run has a home of its own. Programs obey what they find in their home, so it is nowhere that a model
    /// writes.
    pub homes: PathBuf,
    /// Its environment, beside `PATH`, `HOME`, `LANG` and what git is told.
    pub env: BTreeMap<String, String>,
    /// The longest that it may take.
    pub time: Duration,
    /// The most bytes that are kept of what it writes, of each of the two outputs.
    pub output: usize,
}

/// The program of this name, or of this absolute path.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        let path = PathBuf::from(program);
        return path.is_file().then_some(path);
    }
    let mut paths = PLACES.iter().map(|place| Path::new(place).join(program));
    paths.find(|path| path.is_file())
}

impl Run {
    /// Runs `program` with `arguments` to its end.
    ///
    /// # Errors
    /// `timeout` with what it wrote until then, `cancelled`, and what keeps it from being started.
    pub async fn run(
        &self,
        program: &Path,
        arguments: &[String],
        cx: &CallContext,
    ) -> Result<Value, CallError> {
        let home = std::fs::create_dir_all(&self.homes)
            .and_then(|()| tempfile::tempdir_in(&self.homes))
            .map_err(CallError::failure)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", PLACES.join(":"))
            .env("HOME", home.path())
            .env("LANG", "C.UTF-8")
            .envs(of_git())
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // What it starts is in its group, and ends with it.
        #[cfg(unix)]
        command.process_group(0);
        let name = program.display();
        let mut child = command.spawn().map_err(|error| {
            CallError::new(
                ErrorCode::Upstream,
                format!("`{name}` cannot be started: {error}"),
            )
        })?;
        let group = Group(child.id());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let stdout = tokio::spawn(kept(stdout, self.output));
        let stderr = tokio::spawn(kept(stderr, self.output));
        let ended = tokio::select! {
            ended = tokio::time::timeout(self.time, child.wait()) => ended,
            () = cx.cancel().cancelled() => return Err(ModelError::Cancelled.into()),
        };
        // Also what it left running, which holds its outputs open.
        drop(group);
        let written = tokio::time::timeout(AFTER, async {
            (
                stdout.await.unwrap_or_default(),
                stderr.await.unwrap_or_default(),
            )
        });
        let (stdout, stderr) = written.await.unwrap_or_default();
        let mut told = json!({
            "stdout": stdout.text(),
            "stderr": stderr.text(),
            "cut": stdout.cut || stderr.cut,
        });
        match ended {
            Ok(Ok(status)) => {
                told["status"] = json!(code(status));
                Ok(told)
            }
            Ok(Err(error)) => Err(CallError::failure(error)),
            Err(_) => {
                let seconds = self.time.as_secs();
                let message = format!("`{name}` took longer than {seconds} s, and was ended");
                Err(CallError::new(ErrorCode::Timeout, message)
                    .with_hint("ask for less of it, or have `timeout` raised in the tool file")
                    .with_details(told))
            }
        }
    }
}

/// The variables that tell git what it may do.
fn of_git() -> Vec<(String, String)> {
    let mut all = vec![
        ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
        ("GIT_CONFIG_GLOBAL".to_owned(), "/dev/null".to_owned()),
        ("GIT_ATTR_NOSYSTEM".to_owned(), "1".to_owned()),
        ("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned()),
        ("GIT_CONFIG_COUNT".to_owned(), GIT.len().to_string()),
    ];
    for (i, (key, value)) in GIT.into_iter().enumerate() {
        all.push((format!("GIT_CONFIG_KEY_{i}"), key.to_owned()));
        all.push((format!("GIT_CONFIG_VALUE_{i}"), value.to_owned()));
    }
    all
}

/// A status as shells have it: 128 and the signal's number for one that a signal ended.
fn code(status: std::process::ExitStatus) -> i32 {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            return 128 + signal;
        }
    }
    status.code().unwrap_or(-1)
}

/// The processes of a program, which are ended when this goes.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        {
            let number = self.0.and_then(|id| i32::try_from(id).ok());
            if let Some(group) = number.and_then(rustix::process::Pid::from_raw) {
                // It may be gone already.
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
        }
    }
}

/// What a program wrote: its beginning, and whether there was more.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    cut: bool,
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Reads an output to its end; what is beyond `most` bytes is dropped, so that the program need not wait.
async fn kept(output: Option<impl AsyncRead + Unpin>, most: usize) -> Kept {
    let mut kept = Kept::default();
    let Some(mut output) = output else {
        return kept;
    };
    let mut buffer = vec![0; 8192];
    while let Ok(count) = output.read(&mut buffer).await {
        if count == 0 {
            break;
        }
        let room = most.saturating_sub(kept.bytes.len()).min(count);
        kept.bytes.extend_from_slice(&buffer[..room]);
        kept.cut |= room < count;
    }
    kept
}
